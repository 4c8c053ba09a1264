//! The rows that are resident, one map per table. [`super::World`] alone writes them.

use super::rows::*;
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Table {
    pub dispatches: BTreeMap<DispatchId, DispatchState>,
    pub executions: BTreeMap<ExecutionId, Execution>,
    pub runs: BTreeMap<RunId, Run>,
    pub jobs: BTreeMap<JobRunId, JobRun>,
    pub attempts: BTreeMap<AttemptId, Attempt>,
    pub doubts: BTreeSet<HostId>,
    pub commands: BTreeMap<CommandId, CommandResult>,
    pub backfills: BTreeMap<CommandId, Arc<Backfill>>,
    /// Firings and alerts are written and never read again: here until the end of the step.
    pub written: BTreeMap<Key, Row>,
}

/// Puts or removes; what was there before.
fn swap<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

/// The row as this variant; a row under a key of another table is a slip of ours and is dropped.
macro_rules! as_row {
    ($row:expr, $variant:ident) => {
        match $row {
            Some(Row::$variant(row)) => Some(row),
            other => {
                debug_assert!(other.is_none(), "a row under the key of another table");
                None
            }
        }
    };
}

impl Table {
    /// What was there before.
    pub fn set(&mut self, key: Key, row: Option<Row>) -> Option<Row> {
        match key {
            Key::Dispatch(id) => {
                swap(&mut self.dispatches, id, as_row!(row, Dispatch)).map(Row::Dispatch)
            }
            Key::Execution(id) => {
                swap(&mut self.executions, id, as_row!(row, Execution)).map(Row::Execution)
            }
            Key::Run(id) => swap(&mut self.runs, id, as_row!(row, Run)).map(Row::Run),
            Key::JobRun(id) => swap(&mut self.jobs, id, as_row!(row, JobRun)).map(Row::JobRun),
            Key::Attempt(id) => {
                swap(&mut self.attempts, id, as_row!(row, Attempt)).map(Row::Attempt)
            }
            Key::Command(id) => {
                swap(&mut self.commands, id, as_row!(row, Command)).map(Row::Command)
            }
            Key::Backfill(id) => {
                swap(&mut self.backfills, id, as_row!(row, Backfill)).map(Row::Backfill)
            }
            Key::Doubt(host) => {
                let was = match row {
                    Some(_) => !self.doubts.insert(host),
                    None => self.doubts.remove(&host),
                };
                was.then_some(Row::Doubt)
            }
            Key::Firing(..) | Key::Outbox(_) => swap(&mut self.written, key, row),
        }
    }

    pub fn get(&self, key: Key) -> Option<Row> {
        match key {
            Key::Dispatch(id) => self.dispatches.get(&id).cloned().map(Row::Dispatch),
            Key::Execution(id) => self.executions.get(&id).cloned().map(Row::Execution),
            Key::Run(id) => self.runs.get(&id).cloned().map(Row::Run),
            Key::JobRun(id) => self.jobs.get(&id).cloned().map(Row::JobRun),
            Key::Attempt(id) => self.attempts.get(&id).cloned().map(Row::Attempt),
            Key::Command(id) => self.commands.get(&id).cloned().map(Row::Command),
            Key::Backfill(id) => self.backfills.get(&id).cloned().map(Row::Backfill),
            Key::Doubt(host) => self.doubts.contains(&host).then_some(Row::Doubt),
            Key::Firing(..) | Key::Outbox(_) => self.written.get(&key).cloned(),
        }
    }

    /// Whether the row there is this one, without cloning it.
    pub fn is(&self, key: Key, row: Option<&Row>) -> bool {
        match (key, row) {
            (Key::JobRun(id), Some(Row::JobRun(row))) => self.jobs.get(&id) == Some(row),
            (Key::Run(id), Some(Row::Run(row))) => self.runs.get(&id) == Some(row),
            (Key::JobRun(id), None) => !self.jobs.contains_key(&id),
            (Key::Attempt(id), None) => !self.attempts.contains_key(&id),
            (Key::Run(id), None) => !self.runs.contains_key(&id),
            _ => self.get(key).as_ref() == row,
        }
    }

    /// The jobs of one run.
    pub fn jobs_of(&self, run: RunId) -> impl Iterator<Item = (JobRunId, &JobRun)> {
        let id = |job| JobRunId { run, job: JobId(job) };
        self.jobs.range(id(i64::MIN)..=id(i64::MAX)).map(|(id, row)| (*id, row))
    }

    /// The attempts of one run.
    pub fn attempts_of(&self, run: RunId) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        let from = AttemptId { run, job: JobId(i64::MIN), number: 0, reign: i64::MIN };
        let to = AttemptId { run, job: JobId(i64::MAX), number: u32::MAX, reign: i64::MAX };
        self.attempts.range(from..=to).map(|(id, row)| (*id, row))
    }
}
