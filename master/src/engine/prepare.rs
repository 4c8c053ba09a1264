//! What must be resident before a verb can be obeyed. All that is missing is asked for at once.

use super::reason::Reason;
use super::rows::*;
use super::world::{Ask, World};
use shared::ids::*;
use shared::period::Period;

impl World {
    /// Whether all that the verb looks at is resident; what is not is asked for.
    pub(super) fn is_prepared(&mut self, verb: &Verb) -> bool {
        match verb {
            Verb::RunNow { interface, period, cascade, .. } => {
                self.may_start(*interface, *period, *cascade)
            }
            Verb::RunDispatch { dispatch, period, cascade } => {
                let found = self.catalog.dispatches.get(dispatch);
                let interface = found.map(|dispatch| dispatch.spec.interface);
                interface.is_none_or(|interface| self.may_start(interface, *period, *cascade))
            }
            Verb::RunPart { interface, period, .. } => self.may_start(*interface, *period, false),
            Verb::Follow { run, .. } => {
                self.has_past(*run) && {
                    let run = self.run(*run).map(|run| (run.interface, run.period));
                    run.is_none_or(|(interface, period)| self.may_start(interface, period, true))
                }
            }
            Verb::Reset { execution } => {
                self.has_execution(*execution) && {
                    let row = self.table.executions.get(execution);
                    let of = row.map(|row| (row.interface, row.period, row.cascade));
                    of.is_none_or(|(interface, period, cascade)| {
                        self.may_start(interface, period, cascade)
                    })
                }
            }
            Verb::Skip { run, .. }
            | Verb::Force { run, .. }
            | Verb::Stop { run }
            | Verb::Pause { run }
            | Verb::Unpause { run }
            | Verb::Prioritize { run, .. }
            | Verb::Kill { run, .. }
            | Verb::Abandon { run, .. } => self.has_run(*run),
            Verb::Resume { run } | Verb::MarkSuccess { run, .. } => self.has_past(*run),
            Verb::StopExecution { execution }
            | Verb::PauseExecution { execution }
            | Verb::StartExecution { execution } => self.has_execution(*execution),
            Verb::ResumeExecution { execution } => {
                self.has_execution(*execution) && {
                    let runs = self.own_runs(*execution).unwrap_or_default();
                    let missing = runs.into_iter().filter(|run| !self.has_past(*run));
                    missing.count() == 0
                }
            }
            Verb::PauseDispatch { .. }
            | Verb::ResumeDispatch { .. }
            | Verb::Backfill { .. }
            | Verb::PauseBackfill { .. }
            | Verb::ResumeBackfill { .. }
            | Verb::CancelBackfill { .. }
            | Verb::Retire { .. } => true,
        }
    }

    fn may_start(&mut self, interface: InterfaceId, period: Period, cascade: bool) -> bool {
        let members = self.members(interface, period, cascade);
        members.is_err() || members.is_ok_and(|members| self.has_history(&members))
    }

    fn has_run(&mut self, run: RunId) -> bool {
        let ask = Ask::Run(run);
        let has = self.run(run).is_some() || self.slices.told.contains(&ask);
        if !has {
            self.due.load.insert(ask);
        }
        has
    }

    /// Asks for all that are missing, not only for the first.
    fn have_runs(&mut self, runs: &[RunId]) -> bool {
        runs.iter().filter(|run| !self.has_run(**run)).count() == 0
    }

    fn has_execution(&mut self, id: ExecutionId) -> bool {
        let ask = Ask::Execution(id);
        let Some(row) = self.table.executions.get(&id) else {
            if self.slices.told.contains(&ask) {
                return true; // there is none
            }
            self.due.load.insert(ask);
            return false;
        };
        let runs = row.runs.clone();
        self.have_runs(&runs)
    }

    /// The run, the other generations of it, what it waits for, and the execution that made it.
    fn has_past(&mut self, id: RunId) -> bool {
        if !self.has_run(id) {
            return false;
        }
        let Some(run) = self.run(id) else { return true };
        let (slice, execution) = ((run.interface, run.period), run.execution);
        let version = run.version;
        let parents: Vec<RunId> = run
            .waits
            .iter()
            .filter_map(|target| if let Target::Run(run) = target { Some(*run) } else { None })
            .collect();
        let known = self.slices.is_decidable(slice);
        if !known {
            self.due.load.insert(Ask::Slice(slice.0, slice.1));
        }
        let parents = self.have_runs(&parents);
        let version = self.has_version(slice.0, version);
        self.has_execution(execution) && parents && known && version
    }

    /// Those that the execution made itself; others it has only joined.
    pub(super) fn own_runs(&self, id: ExecutionId) -> Result<Vec<RunId>, Reason> {
        let row = self.table.executions.get(&id);
        let row = row.ok_or(Reason::NoExecution { id })?;
        let own = |run: &&RunId| self.run(**run).is_some_and(|run| run.execution == id);
        Ok(row.runs.iter().filter(own).copied().collect())
    }
}
