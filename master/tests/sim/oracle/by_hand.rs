//! What people have decided, and what follows from it that the mesh alone would not have done.

use super::Oracle;
use master::engine::rows::*;
use shared::ids::*;
use std::collections::BTreeSet;

/// What people have asked for that the mesh alone would not have done.
#[derive(Default)]
pub(super) struct ByHand {
    /// Some of their jobs only.
    pub(super) in_parts: BTreeSet<InterfaceId>,
    pub(super) skipped: BTreeSet<JobRunId>,
    /// Whatever the jobs before have come to.
    pub(super) forced: BTreeSet<JobId>,
    /// And whatever is waited for outside.
    pub(super) past_waits: BTreeSet<JobRunId>,
    pub(super) runs_past_waits: BTreeSet<RunId>,
    /// Made anew, by the definitions of then.
    pub(super) anew: BTreeSet<ExecutionId>,
}

impl Oracle {
    pub(super) fn obeyed(&mut self, verb: &Verb) {
        match verb {
            Verb::MarkSuccess { run, job, .. } => {
                self.succeeded.insert(JobRunId { run: *run, job: *job });
            }
            Verb::Resume { run } => self.resume(*run),
            Verb::RunPart { interface, job, part, .. } => {
                self.by_hand.in_parts.insert(*interface);
                if *part != Part::To {
                    self.by_hand.forced.insert(*job);
                }
            }
            Verb::Skip { run, job, .. } => {
                self.by_hand.skipped.insert(JobRunId { run: *run, job: *job });
            }
            Verb::Force { run, job: Some(job) } => {
                self.by_hand.forced.insert(*job);
                self.by_hand.past_waits.insert(JobRunId { run: *run, job: *job });
            }
            Verb::Force { run, job: None } => _ = self.by_hand.runs_past_waits.insert(*run),
            Verb::Reset { execution } => _ = self.by_hand.anew.insert(*execution),
            Verb::ResumeExecution { execution } => {
                let runs = self.of_execution.get(execution).cloned().unwrap_or_default();
                runs.into_iter().for_each(|run| self.resume(run));
            }
            _ => {}
        }
    }

    fn resume(&mut self, run: RunId) {
        let Some(told) = self.runs.get(&run) else { return };
        let interface = told.interface.clone();
        self.resumed.extend(interface.jobs.iter().map(|job| JobRunId { run, job: job.id }));
    }

    pub(super) fn is_in_parts(&self, id: JobRunId) -> bool {
        let run = self.runs.get(&id.run);
        run.is_some_and(|run| self.by_hand.in_parts.contains(&run.interface.id))
    }

    /// It did nothing: what it has done in another generation counts.
    pub(super) fn take_over(&mut self, id: JobRunId, job: &JobRun) {
        let Some(run) = self.runs.get(&id.run).filter(|_| job.number == 0) else { return };
        let slice = (run.interface.id, run.period);
        let mut others = self.of_slice.get(&slice).into_iter().flatten();
        let done = others.any(|run| {
            let other = JobRunId { run: *run, ..id };
            other != id && (self.succeeded.contains(&other) || self.runs[run].succeeded)
        });
        if done && self.is_in_parts(id) {
            self.succeeded.insert(id);
        }
    }
}
