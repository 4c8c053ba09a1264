//! Definitions as people write them: names in the place of ids. What `apply` reads back, and what
//! differences are shown of.
//!
//! A thing of another project has no name here, and neither has what is gone: its number stays,
//! which `apply` understands too.

use crate::engine::catalog::{Catalog, Interface};
use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};
use shared::ids::*;
use shared::spec::*;
use std::collections::HashMap;

/// What ids are called.
#[derive(Debug)]
pub struct Names<'a> {
    catalog: &'a Catalog,
    jobs: HashMap<JobId, &'a str>,
}

impl<'a> Names<'a> {
    pub fn of(catalog: &'a Catalog) -> Names<'a> {
        let jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
        Names { catalog, jobs: jobs.map(|job| (job.id, job.name.as_str())).collect() }
    }

    /// As jobs were called in this version, those that are gone included.
    pub fn at(catalog: &'a Catalog, interface: &'a Interface) -> Names<'a> {
        let mut names = Names::of(catalog);
        names.jobs.extend(interface.jobs.iter().map(|job| (job.id, job.name.as_str())));
        names
    }

    pub fn interface_spec(&self, project: ProjectId, spec: &InterfaceSpec) -> Mapping {
        let mut written = written(spec);
        for parent in elements(&mut written, "parents") {
            self.name_interface(parent, project);
        }
        self.name_calendar(written.get_mut("calendar"), project);
        written
    }

    pub fn job_spec(&self, project: ProjectId, spec: &JobSpec) -> Mapping {
        let mut written = written(spec);
        for edge in elements(&mut written, "after") {
            self.name_job(edge);
        }
        for need in elements(&mut written, "needs") {
            // Of an interface that has no name here no job has one.
            if self.name_interface(need, project) {
                self.name_job(need);
            }
        }
        if let Some(Value::Sequence(hosts)) =
            written.get_mut("place").and_then(|place| place.get_mut("hosts"))
        {
            for host in hosts {
                let known = host.as_i64().and_then(|id| self.catalog.hosts.get(&HostId(id)));
                if let Some(known) = known {
                    *host = known.name.as_str().into();
                }
            }
        }
        written
    }

    /// Its interface stands in front, by name.
    pub fn dispatch_spec(&self, project: ProjectId, spec: &DispatchSpec) -> Mapping {
        let mut written = Value::Mapping(written(spec));
        self.name_interface(&mut written, project);
        let days = written.get_mut("days");
        self.name_calendar(days.and_then(|days| days.get_mut("calendar")), project);
        match written {
            Value::Mapping(written) => written,
            _ => Mapping::new(),
        }
    }

    fn name_interface(&self, element: &mut Value, project: ProjectId) -> bool {
        let Some(field) = element.get_mut("interface") else { return false };
        let known = field.as_i64().and_then(|id| self.catalog.interfaces.get(&InterfaceId(id)));
        match known.filter(|known| known.project == project) {
            Some(known) => *field = known.name.as_str().into(),
            None => return false,
        }
        true
    }

    fn name_calendar(&self, field: Option<&mut Value>, project: ProjectId) {
        let Some(field) = field else { return };
        let known = field.as_i64().and_then(|id| self.catalog.calendars.get(&CalendarId(id)));
        if let Some(known) = known.filter(|known| known.project == project) {
            *field = known.name.as_str().into();
        }
    }

    fn name_job(&self, element: &mut Value) {
        let Some(field) = element.get_mut("job") else { return };
        if let Some(name) = field.as_i64().and_then(|id| self.jobs.get(&JobId(id))) {
            *field = (*name).into();
        }
    }
}

/// Field by field, in the order in which a definition is declared: by way of its JSON, as it is stored.
pub fn written<T: Serialize>(spec: &T) -> Mapping {
    let text = serde_json::to_string(spec).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn elements<'a>(written: &'a mut Mapping, list: &str) -> impl Iterator<Item = &'a mut Value> {
    written.get_mut(list).and_then(Value::as_sequence_mut).into_iter().flatten()
}
