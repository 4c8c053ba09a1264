//! Definitions as the engine reads them: whole interfaces at one version, and dispatches and hosts.

use shared::calendar::CalendarSpec;
use shared::ids::*;
use shared::period::{BadZone, Cut};
use shared::spec::{DispatchSpec, HostSpec, InterfaceSpec, JobSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One interface at one version, with its jobs as they were then.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    pub id: InterfaceId,
    pub project: ProjectId,
    pub name: String,
    pub version: i64,
    pub spec: InterfaceSpec,
    /// By id. Their order in the DAG is the engine's to find.
    pub jobs: Vec<Job>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub name: String,
    pub spec: JobSpec,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub id: DispatchId,
    pub project: ProjectId,
    pub name: String,
    pub version: i64,
    /// When this version was saved, by the database's date: it fires for instants after that.
    pub since: Millis,
    pub spec: DispatchSpec,
}

/// Which days work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub id: CalendarId,
    pub project: ProjectId,
    pub name: String,
    pub version: i64,
    pub spec: Arc<CalendarSpec>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub id: HostId,
    /// 0: shared by all projects.
    pub project: ProjectId,
    pub name: String,
    /// As in its certificate; empty until it has been met.
    pub agent: String,
    pub version: i64,
    pub spec: HostSpec,
}

/// Whom definitions belong to, as far as jobs see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    /// The weakest of the parameters: project < interface < job < run.
    pub params: BTreeMap<String, String>,
    /// User of the hosts that its jobs run as; empty: as each host's own rule says.
    pub run_as: String,
}

/// All current definitions, at one revision.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub revision: i64,
    pub projects: BTreeMap<ProjectId, Arc<Project>>,
    pub interfaces: BTreeMap<InterfaceId, Arc<Interface>>,
    /// Older versions that live runs name.
    pub old: BTreeMap<(InterfaceId, i64), Arc<Interface>>,
    pub dispatches: BTreeMap<DispatchId, Arc<Dispatch>>,
    pub calendars: BTreeMap<CalendarId, Arc<Calendar>>,
    pub hosts: BTreeMap<HostId, Arc<Host>>,
    pub pools: BTreeMap<PoolId, u32>,
}

impl Catalog {
    /// How an interface cuts time: with its calendar, if it names one that is there.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn cut(&self, spec: &InterfaceSpec) -> Result<Cut, BadZone> {
        let calendar = spec.calendar.and_then(|id| self.calendars.get(&id));
        let calendar = calendar.map(|calendar| Arc::clone(&calendar.spec));
        Ok(Cut::new(spec.granularity, &spec.zone)?.with(calendar))
    }

    /// As it was at that version, if that is known here.
    pub fn at(&self, id: InterfaceId, version: i64) -> Option<&Arc<Interface>> {
        let current = self.interfaces.get(&id).filter(|interface| interface.version == version);
        current.or_else(|| self.old.get(&(id, version)))
    }
}
