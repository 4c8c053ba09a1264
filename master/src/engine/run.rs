//! The life of a run: what follows from the end of a job, when nothing can begin any more, how it ends.

use super::dag::is_failure;
use super::reason::Reason;
use super::rows::*;
use super::world::{Step, World};
use shared::ids::*;
use shared::spec::{Expect, OnFailure};

impl World {
    /// The date of this step.
    pub(crate) fn date(&self) -> Millis {
        self.now.map_or(0, |now| now.date)
    }

    /// Works off what follows. Each item is O(what it concerns), and each change makes a bounded
    /// number of items.
    pub(crate) fn work(&mut self) {
        while let Some(step) = self.agenda.pop_front() {
            match step {
                Step::Ended(id) => self.job_ended(id),
                Step::Settle(id) => self.settle(id),
                Step::Tell(target) => self.tell(target),
                Step::Fold(id) => self.fold(id),
                Step::Adopt(id) => self.adopt(id),
                Step::Stale(id) => self.pass_on_stale(id),
                Step::Whole(id) => self.make_whole(id),
            }
        }
    }

    /// Brings a job run to its end.
    pub(crate) fn finish(&mut self, id: JobRunId, verdict: Verdict, reason: Option<Reason>) {
        self.finish_as_told(id, verdict, reason.map(|reason| reason.told()).unwrap_or_default());
    }

    /// With a reason that its row has kept.
    pub(crate) fn finish_as_told(&mut self, id: JobRunId, verdict: Verdict, reason: String) {
        let Some(mut job) = self.job(id).cloned() else { return };
        job.phase = Phase::Done(verdict);
        job.reason = reason;
        job.ended = Some(self.date());
        self.put(Key::JobRun(id), Row::JobRun(job));
        self.agenda.push_back(Step::Ended(id));
    }

    fn job_ended(&mut self, id: JobRunId) {
        let Some(Phase::Done(verdict)) = self.job(id).map(|job| job.phase) else { return };
        let Some(run) = self.run(id.run) else { return };
        let (interface, period) = (run.interface, run.period);
        if verdict == Verdict::Succeeded {
            self.agenda.push_back(Step::Tell(Target::Job(interface, period, id.job)));
        }
        let Some(live) = self.lives.get(&id.run) else { return };
        let shape = live.shape.clone();
        let Some(&at) = shape.at.get(&id.job) else { return };
        let name = &shape.job(at).name;
        let mut before = usize::MAX;
        for &(child, _) in &shape.nodes[at].outs {
            if child != before {
                self.skip_if_doomed(id.run, child, name, verdict);
            }
            before = child;
        }
        self.stop_on_failure(id, at, verdict);
        self.agenda.push_back(Step::Settle(id.run));
    }

    fn skip_if_doomed(&mut self, run: RunId, at: usize, cause: &str, verdict: Verdict) {
        let Some(live) = self.lives.get(&run) else { return };
        let id = JobRunId { run, job: live.shape.nodes[at].job };
        let doomed = live.shape.is_doomed(at, live.edges[at]);
        let waits = |job: &JobRun| is_waiting(job.phase) && job.forced == Forced::Not;
        let waits = self.job(id).is_some_and(waits);
        if doomed && waits {
            self.finish(id, Verdict::Skipped, Some(Reason::ended(cause.to_owned(), verdict)));
        }
    }

    /// `on_failure = stop`: a failure that nothing will handle ends what has not begun.
    fn stop_on_failure(&mut self, id: JobRunId, at: usize, verdict: Verdict) {
        let Some(live) = self.lives.get(&id.run) else { return };
        let shape = live.shape.clone();
        if shape.interface.spec.on_failure != OnFailure::Stop {
            return;
        }
        // A skipped job may have been the one that was to handle an earlier failure.
        let unhandled = match verdict {
            _ if is_failure(verdict) && !self.may_be_handled(id.run, at) => Some(at),
            out if is_out(out) => {
                let failed = live.failed.clone();
                let ins = shape.nodes[at].ins.iter().filter(|(_, e)| *e == Expect::Failure);
                ins.map(|(from, _)| *from)
                    .find(|from| failed.contains(from) && !self.may_be_handled(id.run, *from))
            }
            _ => None,
        };
        if let Some(failed) = unhandled {
            let job = shape.job(failed).name.clone();
            self.skip_rest(id.run, &Reason::JobFailed { job });
        }
    }

    /// Some job takes up the failure of this one, or still may.
    fn may_be_handled(&self, run: RunId, at: usize) -> bool {
        let Some(live) = self.lives.get(&run) else { return false };
        let takers = live.shape.nodes[at].outs.iter().filter(|(_, e)| *e == Expect::Failure);
        takers.map(|(to, _)| JobRunId { run, job: live.shape.nodes[*to].job }).any(|id| {
            self.job(id).is_some_and(|job| !matches!(job.phase, Phase::Done(out) if is_out(out)))
        })
    }

    /// What has not begun never will.
    pub(crate) fn skip_rest(&mut self, run: RunId, why: &Reason) {
        let idle =
            |job: &JobRun| is_waiting(job.phase) && job.number == 0 && job.forced != Forced::All;
        let jobs = self.table.jobs_of(run).filter(|(_, job)| idle(job));
        let jobs: Vec<JobRunId> = jobs.map(|(id, _)| id).collect();
        for id in jobs {
            self.finish(id, Verdict::Skipped, Some(why.clone()));
        }
    }

    /// Ends the run when nothing is left.
    fn settle(&mut self, id: RunId) {
        let Some(live) = self.lives.get(&id) else { return };
        let Some(run) = self.run(id) else { return };
        if live.open > 0 || live.shape.missing {
            return;
        }
        let doomed = run.waits.iter().any(|target| self.is_hopeless(id, *target));
        if !run.waits.is_empty() && !doomed {
            let met = |target: &Target| self.met(*target);
            let unknown = run.waits.iter().any(|target| met(target) == super::wait::Met::Unknown);
            if live.shape.nodes.is_empty() || unknown {
                return; // nothing to do but to wait, or not known yet whether there is
            }
        }
        let unhandled = live.failed.iter().any(|at| !self.may_be_handled(id, *at));
        let state = match () {
            () if live.stopped > 0 => RunState::Stopped,
            // What a person has made begin, or left out, needed nothing of what is still waited for.
            () if unhandled || doomed => RunState::Failed,
            () => RunState::Succeeded,
        };
        self.end_run(id, state);
    }

    /// The wait has failed, or has gone on for too long.
    fn is_hopeless(&self, id: RunId, target: Target) -> bool {
        let late = self.run(id).is_some_and(|run| run.wait_until <= self.date());
        let agree = self.now.is_some_and(super::world::Now::clocks_agree);
        late && agree && self.knows_waits_of(id) || self.met(target) == super::wait::Met::Never
    }

    pub(crate) fn end_run(&mut self, id: RunId, state: RunState) {
        let Some(run) = self.run(id) else { return };
        let (interface, period) = (run.interface, run.period);
        let partial = run.partial;
        let run = Run { state, ended: Some(self.date()), paused: false, ..run.clone() };
        if partial {
            self.agenda.push_front(Step::Whole(id)); // before any execution is folded for it
        }
        self.put(Key::Run(id), Row::Run(run));
        let mut told = vec![Target::Run(id), Target::Idle(interface, period)];
        if state == RunState::Succeeded && !partial {
            told.push(Target::Success(interface, period));
            told.push(Target::SuccessOrNone(interface, period));
            self.agenda.push_back(Step::Stale(id));
        }
        self.agenda.extend(told.into_iter().map(Step::Tell));
    }
}

/// It did nothing, and nobody waits for it to.
fn is_out(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Skipped | Verdict::LeftOut)
}

pub(crate) fn is_waiting(phase: Phase) -> bool {
    matches!(phase, Phase::Waiting | Phase::Queued)
}
