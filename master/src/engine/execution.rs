//! The state of an execution, folded from its runs: running while one lives, then failed, stopped
//! or succeeded. A run coarser than what was started (the week of a day) does not keep it open,
//! unless it is of some jobs only: who has joined that is there to be given the whole.

use super::rows::*;
use super::world::{Step, World};
use shared::ids::*;
use shared::sabotage::Sabotage;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Counts of the executions that are not ended.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    of_run: BTreeMap<RunId, BTreeSet<ExecutionId>>,
    counts: BTreeMap<ExecutionId, Counts>,
    /// By dispatch, those that it has fired, in order.
    fired: BTreeSet<(DispatchId, Millis, ExecutionId)>,
    /// By backfill.
    filling: BTreeSet<(CommandId, ExecutionId)>,
    /// Those that ended, and in which step; they may have been resumed since.
    pub(crate) ended: VecDeque<(u64, ExecutionId)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    live: usize,
    failed: usize,
    stopped: usize,
}

impl Folds {
    /// What this dispatch has fired and has not ended, the oldest first.
    pub(crate) fn fired_by(&self, id: DispatchId) -> impl Iterator<Item = ExecutionId> {
        let from = (id, Millis::MIN, ExecutionId(i64::MIN));
        let until = (id, Millis::MAX, ExecutionId(i64::MAX));
        self.fired.range(from..=until).map(|(.., execution)| *execution)
    }
}

impl Folds {
    /// Executions of this backfill that have not ended.
    pub(crate) fn filling(&self, id: CommandId) -> impl Iterator<Item = ExecutionId> {
        let from = (id, ExecutionId(i64::MIN));
        self.filling.range(from..=(id, ExecutionId(i64::MAX))).map(|(_, execution)| *execution)
    }

    pub(crate) fn is_filling(&self, id: CommandId, execution: ExecutionId) -> bool {
        self.filling.contains(&(id, execution))
    }
}

/// The backfill that made it.
pub(crate) fn fill_of(execution: &Execution) -> Option<CommandId> {
    execution.command.filter(|_| execution.origin == Origin::Backfill)
}

/// The instant that made it, of what was fired.
fn firing_of(id: ExecutionId, execution: &Execution) -> Option<(DispatchId, Millis, ExecutionId)> {
    let (dispatch, instant) = execution.dispatch?;
    // What a person has made anew counts no more than what a person has started.
    let fired = execution.origin == Origin::Cron && execution.command.is_none();
    fired.then_some((dispatch, instant, id))
}

impl Counts {
    fn count(&mut self, state: Option<RunState>, by: isize) {
        let count = match state {
            Some(RunState::Waiting | RunState::Ready | RunState::Running) => &mut self.live,
            Some(RunState::Failed) => &mut self.failed,
            Some(RunState::Stopped) => &mut self.stopped,
            Some(RunState::Succeeded) | None => return,
        };
        *count = count.saturating_add_signed(by);
    }
}

impl World {
    #[cfg(test)]
    pub(crate) fn fired(&self) -> &BTreeSet<(DispatchId, Millis, ExecutionId)> {
        &self.folds.fired
    }

    pub(crate) fn index_execution(&mut self, id: ExecutionId, old: Option<&Execution>) {
        let new = self.table.executions.get(&id).cloned();
        let live = |execution: &&Execution| execution.state.is_live();
        let (was, is) = (old.filter(live), new.as_ref().filter(live));
        if let Some(old) = was {
            self.folds.counts.remove(&id);
            if let Some(firing) = firing_of(id, old) {
                self.folds.fired.remove(&firing);
            }
            if let Some(fill) = fill_of(old) {
                self.folds.filling.remove(&(fill, id));
                self.fills.open(fill);
            }
            for run in &old.runs {
                if let Some(set) = self.folds.of_run.get_mut(run) {
                    set.remove(&id);
                    if set.is_empty() {
                        self.folds.of_run.remove(run);
                    }
                }
                self.pin(*run, -1);
            }
        }
        if let Some(new) = is {
            let mut counts = Counts::default();
            for run in &new.runs {
                self.folds.of_run.entry(*run).or_default().insert(id);
                self.pin(*run, 1);
                if let Some(row) = self.run(*run).filter(|run| counts_for(new, run)) {
                    counts.count(Some(row.state), 1);
                }
            }
            self.folds.counts.insert(id, counts);
            self.folds.fired.extend(firing_of(id, new));
            self.folds.filling.extend(fill_of(new).map(|fill| (fill, id)));
        }
        if new.is_some_and(|new| !new.state.is_live()) {
            self.folds.ended.push_back((self.step, id));
        }
    }

    /// Executions that are not ended and name this run, without the one that made it.
    pub(crate) fn joined(&self, run: RunId, made_by: ExecutionId) -> Vec<ExecutionId> {
        let of = self.folds.of_run.get(&run).into_iter().flatten().copied();
        of.filter(|execution| *execution != made_by).collect()
    }

    fn pin(&mut self, run: RunId, by: isize) {
        if let Some(row) = self.run(run) {
            let slice = (row.interface, row.period);
            self.slices.pin(slice, by, self.step);
        }
    }

    /// A run appeared, changed its state, or is no longer resident.
    pub(crate) fn fold_run(&mut self, id: RunId, old: Option<RunState>, new: Option<RunState>) {
        if old == new {
            return;
        }
        let Some(executions) = self.folds.of_run.get(&id).cloned() else { return };
        for execution in executions {
            if old.is_none() {
                self.pin(id, 1);
            }
            let Some(row) = self.table.executions.get(&execution) else { continue };
            let counted = self.run(id).is_none_or(|run| counts_for(row, run));
            let Some(counts) = self.folds.counts.get_mut(&execution).filter(|_| counted) else {
                continue;
            };
            counts.count(old, -1);
            counts.count(new, 1);
            if counts.live == 0 {
                self.agenda.push_back(Step::Fold(execution));
            }
        }
    }

    pub(crate) fn fold(&mut self, id: ExecutionId) {
        let Some(counts) = self.folds.counts.get(&id).copied() else { return };
        let Some(row) = self.table.executions.get(&id) else { return };
        if counts.live > 0 {
            return;
        }
        let (state, event) = match () {
            () if counts.failed > 0 => (RunState::Failed, AlertEvent::ExecutionFailed),
            () if counts.stopped > 0 => (RunState::Stopped, AlertEvent::ExecutionStopped),
            () => (RunState::Succeeded, AlertEvent::ExecutionSucceeded),
        };
        let row = Execution { state, ended: Some(self.date()), ..row.clone() };
        if let Some(fill) = fill_of(&row) {
            self.filled(fill, state);
        }
        let name = self.name_of(row.interface);
        let body = format!("{name} {}: {}", row.period, word(state));
        let alert = Alert {
            project: row.project,
            event,
            execution: Some(id),
            run: None,
            job: None,
            body,
            created: self.date(),
        };
        self.put(Key::Execution(id), Row::Execution(row));
        if !self.has(Sabotage::NoOutbox) {
            self.alert(&id.to_string(), alert);
        }
    }

    /// `about` and the moment make its key, so that telling again writes the same row.
    pub(crate) fn alert(&mut self, about: &str, alert: Alert) {
        let key = alert_key(&format!("{:?}", alert.event), about, alert.created);
        self.put(Key::Outbox(key), Row::Outbox(alert));
    }

    pub(crate) fn name_of(&self, interface: InterfaceId) -> String {
        let found = self.catalog.interfaces.get(&interface);
        found.map_or_else(|| format!("interface {interface}"), |found| found.name.clone())
    }
}

/// The word for it in API, database and pages.
pub fn word(state: RunState) -> &'static str {
    match state {
        RunState::Waiting => "waiting",
        RunState::Ready => "ready",
        RunState::Running => "running",
        RunState::Succeeded => "succeeded",
        RunState::Failed => "failed",
        RunState::Stopped => "stopped",
    }
}

/// Whether the execution goes on for as long as this run does.
pub(crate) fn counts_for(execution: &Execution, run: &Run) -> bool {
    run.partial || run.period.granularity() <= execution.period.granularity()
}
