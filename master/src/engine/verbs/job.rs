//! Verbs about one job of a run, and about what it waits for.

use super::{Done, is_settled};
use crate::engine::reason::Reason;
use crate::engine::rows::*;
use crate::engine::run::is_waiting;
use crate::engine::world::{Now, Step, World};
use shared::ids::*;

impl World {
    pub(super) fn kill(&mut self, run: RunId, job: JobId) -> Done {
        let runs_waiting_on_it = self.waiting_on(run);
        match self.stop_job(JobRunId { run, job }, &Reason::StoppedByHand {}) {
            true => Ok(Plan { runs_waiting_on_it, ..Plan::default() }),
            false => Err(Reason::JobEnded {}),
        }
    }

    /// What was skipped for it goes on.
    pub(super) fn mark_success(&mut self, now: Now, run: RunId, job: JobId, reason: &str) -> Done {
        let id = JobRunId { run, job };
        let bad = |phase| {
            phase == Phase::Unknown || matches!(phase, Phase::Done(verdict) if !is_settled(verdict))
        };
        if !self.job(id).is_some_and(|job| bad(job.phase)) {
            return Err(Reason::NotMarkable {});
        }
        self.reopen(now, run)?;
        let skipped = |job: &JobRun| job.phase == Phase::Done(Verdict::Skipped);
        let skipped = self.table.jobs_of(run).filter(|(_, job)| skipped(job));
        for job in skipped.map(|(id, _)| id).filter(|job| *job != id).collect::<Vec<_>>() {
            self.reset(job);
        }
        let note = Reason::MarkedByHand { note: reason.to_owned() };
        self.finish(id, Verdict::Succeeded, Some(note));
        self.look_again(run);
        Ok(Plan { runs_waiting_on_it: self.waiting_on(run), ..Plan::default() })
    }

    /// Skips anew what the edges still forbid, parents first.
    pub(super) fn look_again(&mut self, run: RunId) {
        let Some(live) = self.lives.get(&run) else { return };
        let shape = live.shape.clone();
        for node in &shape.nodes {
            let id = JobRunId { run, job: node.job };
            if let Some(Phase::Done(_)) = self.job(id).map(|job| job.phase) {
                self.agenda.push_back(Step::Ended(id));
            }
        }
    }

    pub(super) fn abandon(&mut self, run: RunId, job: JobId) -> Done {
        let id = JobRunId { run, job };
        let phase = self.job(id).map(|job| job.phase);
        if !phase.is_some_and(|phase| phase.place().is_some() || phase == Phase::Unknown) {
            return Err(Reason::NoHostHasIt {});
        }
        self.end_attempt(id, End::Abandoned);
        Ok(Plan { attempts_abandoned: 1, ..Plan::default() })
    }

    /// Nobody needs it this time: what comes after it goes on.
    pub(super) fn skip(&mut self, run: RunId, job: JobId, note: &str) -> Done {
        let id = JobRunId { run, job };
        self.may_be_told(id)?;
        let note = note.to_owned();
        self.finish(id, Verdict::LeftOut, Some(Reason::LeftOutByHand { note }));
        Ok(Plan { runs_waiting_on_it: self.waiting_on(run), ..Plan::default() })
    }

    /// It begins as soon as there is a place, whatever it was to wait for.
    pub(super) fn force_job(&mut self, run: RunId, job: JobId) -> Done {
        let id = JobRunId { run, job };
        let row = self.may_be_told(id)?;
        if row.phase == Phase::Queued {
            return Err(Reason::WaitsForNothing {}); // but for a place, and of that there are no more
        }
        let row = JobRun { forced: Forced::All, waits: Targets::new(), not_before: 0, ..row };
        self.put(Key::JobRun(id), Row::JobRun(row));
        match self.is_ready(id) {
            true => Ok(Plan { jobs_to_run: 1, ..Plan::default() }),
            false => Err(Reason::WaitsForNothing {}), // but for a person: it is paused, or frozen
        }
    }

    /// What the run and its jobs wait for outside of it is not waited for any more.
    pub(super) fn force_run(&mut self, id: RunId) -> Done {
        let run = self.run(id).filter(|run| run.state.is_live());
        let Some(run) = run.cloned() else { return Err(Reason::RunNotLive {}) };
        let waits = |job: &JobRun| is_waiting(job.phase) && !job.waits.is_empty();
        let jobs = self.table.jobs_of(id).filter(|(_, job)| waits(job));
        let jobs: Vec<(JobRunId, JobRun)> = jobs.map(|(id, job)| (id, job.clone())).collect();
        if run.waits.is_empty() && jobs.is_empty() {
            return Err(Reason::WaitsForNothing {});
        }
        let state = if run.state == RunState::Waiting { RunState::Ready } else { run.state };
        let jobs_to_run = match run.waits.is_empty() {
            true => jobs.len(),
            false => self.table.jobs_of(id).filter(|(_, job)| is_waiting(job.phase)).count(),
        };
        self.put(Key::Run(id), Row::Run(Run { state, waits: Targets::new(), ..run }));
        for (id, job) in jobs {
            self.put(Key::JobRun(id), Row::JobRun(JobRun { waits: Targets::new(), ..job }));
        }
        self.agenda.push_back(Step::Settle(id));
        let jobs_to_run = u32::try_from(jobs_to_run).unwrap_or(u32::MAX);
        Ok(Plan { jobs_to_run, ..Plan::default() })
    }

    /// A job that has not begun, of a run that lives.
    fn may_be_told(&self, id: JobRunId) -> Result<JobRun, Reason> {
        let live = self.run(id.run).is_some_and(|run| run.state.is_live());
        let waits = |job: &&JobRun| live && is_waiting(job.phase);
        self.job(id).filter(waits).cloned().ok_or(Reason::JobBegun {})
    }
}

type Targets = std::collections::BTreeSet<Target>;
