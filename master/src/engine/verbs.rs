//! What people ask for. One function per verb; a dry run is the same function, rolled back.
//!
//! Commands are obeyed in the order of their ids. One whose history is not resident waits for it,
//! and those after it wait too.

mod begin;
mod job;

use super::execution::counts_for;
use super::reason::Reason;
use super::rows::*;
use super::run::is_waiting;
use super::world::{Now, Step, World};
use shared::ids::*;
use std::collections::BTreeSet;

/// Commands that one step obeys; the rest waits for the next one.
const AT_ONCE: usize = 200;
/// Results that are remembered, so that a command which is read twice is not obeyed twice.
const RESULTS_MAX: usize = 10_000;

pub(super) type Done = Result<Plan, Reason>;

impl World {
    pub(crate) fn take_commands(&mut self) {
        let Some(now) = self.now else { return };
        for _ in 0..AT_ONCE {
            let Some((&id, command)) = self.inbox.first_key_value() else { return };
            let command = command.clone();
            if !self.is_prepared(&command.verb) {
                return;
            }
            self.inbox.remove(&id);
            self.obey(now, id, &command);
        }
    }

    fn obey(&mut self, now: Now, id: CommandId, command: &Command) {
        self.work();
        let mark = self.mark();
        let plan = match self.act(now, id, command) {
            Ok(plan) => {
                self.work();
                self.count_changes(mark.0, plan)
            }
            Err(why) => Plan { refused: Some(why.to_string()), ..Plan::default() },
        };
        if command.dry_run || plan.refused.is_some() {
            self.roll_back(mark);
        } else {
            self.keep(mark);
        }
        let done = plan.refused.is_none() && !command.dry_run;
        let result = CommandResult { done, plan, at: now.date };
        self.put(Key::Command(id), Row::Command(result));
    }

    fn act(&mut self, now: Now, id: CommandId, command: &Command) -> Done {
        match &command.verb {
            Verb::RunNow { .. }
            | Verb::RunDispatch { .. }
            | Verb::RunPart { .. }
            | Verb::Follow { .. }
            | Verb::Reset { .. } => self.begin_anew(now, id, command),
            Verb::PauseExecution { execution } => self.pause_all(*execution, true),
            Verb::StartExecution { execution } => self.pause_all(*execution, false),
            Verb::Stop { run } => self.stop(&[*run], &Reason::StoppedByHand {}),
            Verb::StopExecution { execution } => {
                let runs = self.own_runs(*execution)?;
                self.stop(&runs, &Reason::StoppedByHand {})
            }
            Verb::Resume { run } => self.resume(now, &[*run]),
            Verb::ResumeExecution { execution } => {
                let runs = self.own_runs(*execution)?;
                self.resume(now, &runs)
            }
            Verb::Pause { run } => self.pause(*run, true),
            Verb::Unpause { run } => self.pause(*run, false),
            Verb::Prioritize { run, priority } => self.prioritize(*run, *priority),
            Verb::Kill { run, job } => self.kill(*run, *job),
            Verb::MarkSuccess { run, job, reason } => self.mark_success(now, *run, *job, reason),
            Verb::Abandon { run, job } => self.abandon(*run, *job),
            Verb::Skip { run, job, reason } => self.skip(*run, *job, reason),
            Verb::Force { run, job: Some(job) } => self.force_job(*run, *job),
            Verb::Force { run, job: None } => self.force_run(*run),
            Verb::PauseDispatch { dispatch } => self.pause_dispatch(now, *dispatch, true),
            Verb::ResumeDispatch { dispatch } => self.pause_dispatch(now, *dispatch, false),
            Verb::Backfill { spec } => self.begin_backfill(now, id, command, spec),
            Verb::PauseBackfill { backfill } => self.hold_backfill(*backfill, true),
            Verb::ResumeBackfill { backfill } => self.hold_backfill(*backfill, false),
            Verb::CancelBackfill { backfill, stop } => self.cancel_backfill(now, *backfill, *stop),
            Verb::Retire { host } => self.retire(*host),
        }
    }

    // ---- verbs ----

    pub(super) fn stop(&mut self, runs: &[RunId], why: &Reason) -> Done {
        let mut plan = Plan::default();
        let mut any = false;
        for &id in runs {
            if !self.run(id).is_some_and(|run| run.state.is_live()) {
                continue;
            }
            any = true;
            plan.runs_waiting_on_it += self.waiting_on(id);
            let jobs: Vec<JobRunId> = self.table.jobs_of(id).map(|(id, _)| id).collect();
            // In the order of the DAG backwards: a job that is stopped skips nobody.
            for job in jobs.into_iter().rev() {
                self.stop_job(job, why);
            }
            if self.lives.get(&id).is_some_and(|live| live.shape.nodes.is_empty()) {
                self.end_run(id, RunState::Stopped);
            }
        }
        any.then_some(plan).ok_or(Reason::NothingLive {})
    }

    pub(super) fn waiting_on(&self, id: RunId) -> u32 {
        let Some(run) = self.run(id) else { return 0 };
        let (interface, period) = (run.interface, run.period);
        let job = |job| Target::Job(interface, period, JobId(job));
        let jobs = self.waiters.range(job(i64::MIN)..=job(i64::MAX)).map(|(_, set)| set);
        let targets = [Target::Run(id), Target::Success(interface, period)];
        let whole = targets.iter().filter_map(|target| self.waiters.get(target));
        let runs: BTreeSet<RunId> = whole
            .chain(jobs)
            .flatten()
            .map(|waiter| match waiter {
                super::wait::Waiter::Run(run) => *run,
                super::wait::Waiter::Job(job) => job.run,
            })
            .collect();
        u32::try_from(runs.len()).unwrap_or(u32::MAX)
    }

    /// 断点续跑: in the same runs, what has succeeded stays.
    fn resume(&mut self, now: Now, runs: &[RunId]) -> Done {
        let mut refused = None;
        let mut any = false;
        for &id in runs {
            match self.resume_run(now, id) {
                Ok(()) => any = true,
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match any {
            true => Ok(Plan::default()),
            false => Err(refused.unwrap_or(Reason::NoOwnRuns {})),
        }
    }

    fn resume_run(&mut self, now: Now, id: RunId) -> Result<(), Reason> {
        let again = |phase| matches!(phase, Phase::Done(verdict) if !is_settled(verdict));
        let jobs = self.table.jobs_of(id).filter(|(_, job)| again(job.phase));
        let jobs: Vec<JobRunId> = jobs.map(|(id, _)| id).collect();
        let skipped = |id: &JobRunId| {
            self.job(*id).is_some_and(|job| job.phase == Phase::Done(Verdict::Skipped))
        };
        let any = !jobs.iter().all(skipped);
        let Some(run) = self.run(id) else { return Err(Reason::NoRun { run: id }) };
        if run.state == RunState::Succeeded || (run.state.is_live() && !any) {
            let what = Box::new(self.describe(Target::Run(id)));
            return Err(Reason::NothingFailed { what });
        }
        self.reopen(now, id)?;
        if let Some(run) = self.run(id).filter(|run| run.started.is_some()).cloned() {
            let age_from = self.trusted_date();
            self.put(Key::Run(id), Row::Run(Run { age_from, ..run }));
            self.watch_age(id); // also where it was the same date
        }
        for job in jobs {
            self.reset(job);
        }
        self.look_again(id);
        self.agenda.push_back(Step::Settle(id));
        Ok(())
    }

    pub(super) fn reset(&mut self, id: JobRunId) {
        let policy = self.policy(id);
        let Some(mut job) = self.job(id).cloned() else { return };
        job.waits = self.unmet(job.waits);
        job.phase = Phase::Waiting;
        job.reason = String::new();
        job.not_before = 0;
        job.allowed = job.number + policy.attempts_max.max(1);
        (job.ready, job.started, job.ended) = (None, None, None);
        let waits = !job.waits.is_empty();
        self.put(Key::JobRun(id), Row::JobRun(job));
        if waits && let (Some(now), Some(run)) = (self.now, self.run(id.run).cloned()) {
            // A live run may be past its date, which nobody would look at again.
            let wait_until = self.wait_until(now, run.interface);
            self.put(Key::Run(id.run), Row::Run(Run { wait_until, ..run }));
        }
    }

    /// A run that has ended is live again, and with it the executions that made it. Only the newest
    /// generation, so that no two are live.
    pub(super) fn reopen(&mut self, now: Now, id: RunId) -> Result<(), Reason> {
        let Some(run) = self.run(id).cloned() else { return Err(Reason::NoRun { run: id }) };
        if run.state.is_live() {
            return Ok(());
        }
        let name = self.name_of(run.interface);
        let Some(interface) = self.catalog.at(run.interface, run.version) else {
            return Err(Reason::VersionGone { version: run.version, interface: name });
        };
        if self.table.jobs_of(id).count() < interface.jobs.len() {
            return Err(Reason::Purged { interface: name });
        }
        if self.slices.latest((run.interface, run.period)) != Some(id) {
            let what = Box::new(self.describe(Target::Run(id)));
            return Err(Reason::NotNewest { generation: run.generation, what });
        }
        let waits = self.waits_again(&run);
        let state = match (waits.is_empty(), run.started) {
            (false, _) => RunState::Waiting,
            (true, None) => RunState::Ready,
            (true, Some(_)) => RunState::Running,
        };
        let wait_until = self.wait_until(now, run.interface);
        let execution = run.execution;
        let age_from = run.started.and_then(|_| self.trusted_date());
        let run = Run { state, waits, wait_until, age_from, ended: None, ..run };
        self.put(Key::Run(id), Row::Run(run));
        // It may be old enough for the housekeeping to be deleting its details in this very moment.
        let jobs = self.table.jobs_of(id).map(|(id, _)| Key::JobRun(id));
        let attempts = self.table.attempts_of(id).map(|(id, _)| Key::Attempt(id));
        let details: Vec<Key> = jobs.chain(attempts).collect();
        details.into_iter().for_each(|key| self.rewrite(key));
        let run = self.run(id);
        let row = self
            .table
            .executions
            .get(&execution)
            .filter(|row| !row.state.is_live() && run.is_some_and(|run| counts_for(row, run)));
        if let Some(row) = row.cloned() {
            let row = Execution { state: RunState::Running, ended: None, ..row };
            self.put(Key::Execution(execution), Row::Execution(row));
        }
        Ok(())
    }

    fn pause(&mut self, id: RunId, paused: bool) -> Done {
        let run = self.run(id).filter(|run| run.state.is_live());
        let Some(run) = run.cloned() else { return Err(Reason::RunNotLive {}) };
        if run.paused == paused {
            return Err(if paused { Reason::IsPaused {} } else { Reason::IsNotPaused {} });
        }
        if paused {
            self.unqueue_run(id, &Reason::RunPaused {});
        }
        self.put(Key::Run(id), Row::Run(Run { paused, ..run }));
        let runs_waiting_on_it = self.waiting_on(id);
        Ok(Plan { runs_waiting_on_it, ..Plan::default() })
    }

    fn pause_all(&mut self, execution: ExecutionId, paused: bool) -> Done {
        let runs = self.own_runs(execution)?;
        let mut plan = Plan::default();
        for run in runs {
            let Ok(of) = self.pause(run, paused) else { continue };
            plan.runs_waiting_on_it += of.runs_waiting_on_it;
            match paused {
                true => plan.runs_paused += 1,
                false => plan.runs_started += 1,
            }
        }
        match paused {
            true if plan.runs_paused == 0 => Err(Reason::NothingToPause {}),
            false if plan.runs_started == 0 => Err(Reason::NothingPaused {}),
            _ => Ok(plan),
        }
    }

    fn prioritize(&mut self, id: RunId, priority: i32) -> Done {
        let run = self.run(id).filter(|run| run.state.is_live());
        let Some(run) = run.cloned() else { return Err(Reason::RunNotLive {}) };
        if run.priority == priority {
            return Err(Reason::HasPriority { priority });
        }
        self.put(Key::Run(id), Row::Run(Run { priority, ..run }));
        Ok(Plan::default())
    }

    fn pause_dispatch(&mut self, now: Now, id: DispatchId, paused: bool) -> Done {
        let dispatch = self.catalog.dispatches.get(&id);
        let dispatch = dispatch.ok_or(Reason::NoDispatch { id })?;
        let state = self.table.dispatches.get(&id).copied();
        let fresh = DispatchState { project: dispatch.project, cursor: 0, paused: false };
        let state = state.unwrap_or(fresh);
        if state.paused == paused {
            return Err(if paused { Reason::IsPaused {} } else { Reason::IsNotPaused {} });
        }
        let cursor = state.cursor.max(self.cursor(id).min(now.date));
        let state = DispatchState { paused, cursor, ..state };
        self.put(Key::Dispatch(id), Row::Dispatch(state));
        Ok(Plan::default())
    }

    fn retire(&mut self, host: HostId) -> Done {
        self.set(Key::Doubt(host), None);
        self.end_orphans(host, false);
        let jobs = self.places.on(host);
        let attempts_abandoned = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        for id in jobs {
            self.end_attempt(id, End::Abandoned);
        }
        Ok(Plan { attempts_abandoned, ..Plan::default() })
    }

    // ---- plans ----

    /// What the verb has changed, by the journal of it.
    fn count_changes(&self, from: usize, mut plan: Plan) -> Plan {
        for (key, old) in self.journal_since(from) {
            let (Key::JobRun(id), Some(Row::JobRun(old))) = (key, old) else { continue };
            let Some(new) = self.job(id) else { continue };
            match (old.phase, new.phase) {
                (old, new) if old == new => {}
                (_, Phase::Stopping(_) | Phase::Done(Verdict::Stopped)) => plan.jobs_stopped += 1,
                (_, Phase::Done(Verdict::Skipped | Verdict::LeftOut)) => plan.jobs_skipped += 1,
                (Phase::Done(_), phase) if is_waiting(phase) => plan.jobs_reset += 1,
                _ => {}
            }
        }
        plan
    }

    pub(crate) fn forget_commands(&mut self, _until: u64) {
        while self.table.commands.len() > RESULTS_MAX {
            let Some((&id, _)) = self.table.commands.first_key_value() else { return };
            self.forget(Key::Command(id));
        }
    }
}

/// What is done again by nobody who resumes.
fn is_settled(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Succeeded | Verdict::LeftOut)
}
