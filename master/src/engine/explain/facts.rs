//! What is known for an explanation, and what must still be read.

use super::super::catalog::{Catalog, Dispatch, Interface, Job};
use super::super::rows::*;
use super::super::slice::SliceId;
use super::super::table::Table;
use super::super::world::Ask;
use super::Story;
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What must be read before more can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// As the engine asks; never [`Ask::Run`], for an answer looks at few attempts.
    Rows(Ask),
    /// The slice that this run is in.
    Run(RunId),
    /// All attempts of one job run.
    Tries(JobRunId),
    Firing(DispatchId, Millis),
    /// Whether it is paused, and how far it is decided.
    State(DispatchId),
}

/// Rows and definitions, as far as they were read.
#[derive(Debug, Default)]
pub struct Facts {
    pub now: Millis,
    /// How long decisions are kept.
    pub kept_ms: Millis,
    pub catalog: Arc<Catalog>,
    pub users: BTreeMap<UserId, String>,
    /// The projects that who asks may see; none: all of them.
    pub sees: Option<BTreeSet<ProjectId>>,
    /// Nothing more is read: what is not known stays so.
    pub closed: bool,
    table: Table,
    slices: BTreeMap<SliceId, BTreeMap<u32, RunId>>,
    versions: BTreeMap<(InterfaceId, i64), Arc<Interface>>,
    told: BTreeSet<Want>,
}

impl Facts {
    pub fn new(now: Millis, catalog: Arc<Catalog>) -> Facts {
        Facts { now, catalog, ..Facts::default() }
    }

    /// What was wanted has come; no row: there is none.
    pub fn learn(&mut self, want: Want, rows: impl IntoIterator<Item = (Key, Row)>) {
        self.told.insert(want);
        for (key, row) in rows {
            if let (Key::Run(id), Row::Run(run)) = (key, &row) {
                let slice = (run.interface, run.period);
                self.slices.entry(slice).or_default().insert(run.generation, id);
                self.told.insert(Want::Rows(Ask::Slice(run.interface, run.period)));
                self.told.insert(Want::Run(id));
            }
            self.table.set(key, Some(row));
        }
    }

    pub fn learn_version(&mut self, id: InterfaceId, version: i64, found: Option<Arc<Interface>>) {
        self.told.insert(Want::Rows(Ask::Version(id, version)));
        self.versions.extend(found.map(|found| ((id, version), found)));
    }

    pub fn may_see(&self, project: ProjectId) -> bool {
        self.sees.as_ref().is_none_or(|sees| sees.contains(&project))
    }

    pub fn dispatch(&self, id: DispatchId) -> Option<&Arc<Dispatch>> {
        self.catalog.dispatches.get(&id)
    }

    pub(super) fn name(&self, id: InterfaceId) -> String {
        let found = self.catalog.interfaces.get(&id);
        found.map_or_else(|| format!("interface {id}"), |found| found.name.clone())
    }

    /// `orders 2026-11-20`.
    pub(super) fn what(&self, (id, period): SliceId) -> String {
        format!("{} {period}", self.name(id))
    }

    pub(super) fn host(&self, id: HostId) -> String {
        let found = self.catalog.hosts.get(&id);
        found.map_or_else(|| format!("host {id}"), |found| found.name.clone())
    }
}

impl<'a> Story<'a> {
    /// Whether it is known; else it is asked for.
    fn knows(&mut self, want: Want) -> bool {
        let known = self.facts.told.contains(&want);
        if !known && !self.facts.closed {
            self.wants.insert(want);
        }
        known
    }

    /// All runs of one interface and period by generation; none: not known yet.
    pub(super) fn runs(&mut self, slice: SliceId) -> Option<Vec<(RunId, &'a Run)>> {
        let known = self.knows(Want::Rows(Ask::Slice(slice.0, slice.1)));
        let runs = self.facts.slices.get(&slice).into_iter().flat_map(BTreeMap::values);
        let row = |id: &RunId| Some((*id, self.facts.table.runs.get(id)?));
        known.then(|| runs.filter_map(row).collect())
    }

    pub(super) fn run(&mut self, id: RunId) -> Option<&'a Run> {
        self.knows(Want::Run(id));
        self.facts.table.runs.get(&id)
    }

    /// Those of a run that is known.
    pub(super) fn jobs(&self, run: RunId) -> Vec<(JobRunId, &'a JobRun)> {
        self.facts.table.jobs_of(run).collect()
    }

    pub(super) fn job(&self, id: JobRunId) -> Option<&'a JobRun> {
        self.facts.table.jobs.get(&id)
    }

    /// The first one first.
    pub(super) fn tries(&mut self, id: JobRunId) -> Vec<(AttemptId, &'a Attempt)> {
        self.knows(Want::Tries(id));
        let of = self.facts.table.attempts_of(id.run);
        let mut tries: Vec<_> = of.filter(|(attempt, _)| attempt.job == id.job).collect();
        tries.sort_by_key(|(attempt, row)| (attempt.number, row.assigned));
        tries
    }

    pub(super) fn row_of(&mut self, id: ExecutionId) -> Option<&'a Execution> {
        self.knows(Want::Rows(Ask::Execution(id)));
        self.facts.table.executions.get(&id)
    }

    pub(super) fn firing(&mut self, id: DispatchId, at: Millis) -> Option<&'a Firing> {
        self.knows(Want::Firing(id, at));
        match self.facts.table.written.get(&Key::Firing(id, at)) {
            Some(Row::Firing(firing)) => Some(firing),
            _ => None,
        }
    }

    pub(super) fn state(&mut self, id: DispatchId) -> DispatchState {
        self.knows(Want::State(id));
        self.facts.table.dispatches.get(&id).copied().unwrap_or_default()
    }

    /// The definition by which a run was made.
    pub(super) fn definition(&mut self, run: &Run) -> Option<&'a Arc<Interface>> {
        let facts = self.facts;
        if let Some(found) = facts.catalog.at(run.interface, run.version) {
            return Some(found);
        }
        self.knows(Want::Rows(Ask::Version(run.interface, run.version)));
        facts.versions.get(&(run.interface, run.version))
    }

    pub(super) fn job_of(&mut self, run: &Run, id: JobId) -> Option<&'a Job> {
        self.definition(run)?.jobs.iter().find(|job| job.id == id)
    }

    pub(super) fn job_name(&mut self, run: &Run, id: JobId) -> String {
        self.job_of(run, id).map_or_else(|| format!("job {id}"), |job| job.name.clone())
    }

    /// The periods of another interface that one of ours needs by this map.
    pub(super) fn mapped(
        &self,
        (of, period): (&Interface, Period),
        target: InterfaceId,
        map: shared::spec::PeriodMap,
    ) -> Vec<Period> {
        let cut = |it: &Interface| self.facts.catalog.cut(&it.spec).ok();
        let target = self.facts.catalog.interfaces.get(&target).and_then(|it| cut(it));
        let found =
            cut(of).zip(target).and_then(|(own, target)| period.map(map, own.zone, &target).ok());
        found.unwrap_or_else(|| vec![period])
    }
}
