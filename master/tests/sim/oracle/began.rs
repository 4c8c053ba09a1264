//! What must hold in the moment in which an attempt begins.

use super::Oracle;
use crate::db::Db;
use master::engine::catalog::{Interface, Job};
use master::engine::rows::*;
use shared::ids::*;
use shared::period::{Cut, Period, zone};
use shared::spec::*;
use std::sync::Arc;

impl Oracle {
    /// `excuse`: why the promise allows that a leased process on this host still lives.
    pub(crate) fn began(
        &mut self,
        (now, db): (Millis, &Db),
        attempt: AttemptId,
        host: HostId,
        excuse: impl Fn(HostId) -> Option<&'static str>,
    ) {
        let id = attempt.job_run();
        let twice = self.processes.contains_key(&attempt);
        self.check(!twice, || format!("{attempt:?} began twice"));
        let Some((_, job)) = self.definition(id) else {
            return self.fail(format!("{attempt:?} began and no run is known"));
        };
        let policy = job.spec.policy.clone();
        if self.abandoned.contains(&attempt) {
            let row = db.rows.get(&Key::Attempt(attempt));
            let marked = matches!(row, Some(Row::Attempt(row)) if row.mark == Mark::Abandoned);
            match marked {
                true => self.excused("abandoned, began before its host was reached"),
                false if self.unstored.contains(&attempt) => self.excused("abandonment lost"),
                false => self.fail(format!("{attempt:?} was abandoned and began later")),
            }
            return self.add(attempt, host);
        }
        for other in self.of_job.get(&id).cloned().unwrap_or_default() {
            if !self.abandoned.contains(&other) {
                self.check_other((now, db), (attempt, host, other), &policy, &excuse);
            }
        }
        self.check_waits(id);
        self.add(attempt, host);
    }

    /// Another attempt of the same job run began before.
    fn check_other(
        &mut self,
        (now, db): (Millis, &Db),
        (attempt, host, other): (AttemptId, HostId, AttemptId),
        policy: &Policy,
        excuse: &impl Fn(HostId) -> Option<&'static str>,
    ) {
        let process = self.processes[&other];
        let waits = policy.on_lost == OnLost::Wait;
        let unstored_any = [attempt, other].iter().any(|id| self.unstored.contains(id));
        if process.live {
            let as_wait = |id: &AttemptId| self.leased.get(id) == Some(&false);
            let edited = unstored_any && (as_wait(&attempt) || as_wait(&other));
            match excuse(process.host).or_else(|| excuse(host)).filter(|_| !waits) {
                Some(why) => self.excused(why),
                None if !waits && edited => self.excused("lost, and made anew as a retry job"),
                None => self.fail(format!("two live: {other:?} and {attempt:?} ({policy:?})")),
            }
            return;
        }
        let stored = match db.rows.get(&Key::Attempt(other)) {
            Some(Row::Attempt(row)) => matches!(row.end, Some(End::Exit(_))),
            _ => false,
        };
        let unstored = self.unstored.contains(&other);
        let known = stored || process.seen && !process.forgotten;
        let old = process.ended + self.memory <= now;
        let hold = policy.on_unknown != OnUnknown::Retry;
        let (success, unknown) = (known && process.code == Some(0), !known && hold);
        // A person may run again what has failed or is unknown, never what has succeeded.
        let by_hand = self.resumed.contains(&attempt.job_run());
        if waits && (success || unknown && !by_hand) {
            match () {
                () if unstored && process.forgotten => self.excused("row and disk both lost"),
                () if unstored && old => self.excused("row lost, and not asked in time"),
                () if success => {
                    self.fail(format!("{other:?} had succeeded and began again as {attempt:?}"));
                }
                () => self.fail(format!("{other:?} was unknown and began again as {attempt:?}")),
            }
        }
    }

    // ---- waits ----

    pub(super) fn definition(&self, id: JobRunId) -> Option<(Arc<Interface>, Job)> {
        let run = self.runs.get(&id.run)?;
        let interface = run.interface.clone();
        let job = interface.jobs.iter().find(|job| job.id == id.job)?.clone();
        Some((interface, job))
    }

    /// What the promise says of each job: not before what it depends on.
    fn check_waits(&mut self, id: JobRunId) {
        let Some((interface, job)) = self.definition(id) else { return };
        let holds = |edge: &Edge| {
            let up = JobRunId { job: edge.job, ..id };
            let verdicts = self.verdicts.get(&up);
            let ended = |verdict| verdicts.is_some_and(|v| v.contains(&verdict));
            match edge.expect {
                Expect::Success => self.succeeded.contains(&up) || ended(Verdict::LeftOut),
                Expect::Failure => ended(Verdict::Failed) || ended(Verdict::TimedOut),
                Expect::Done => verdicts.is_some_and(|v| !v.is_empty()),
            }
        };
        let edges = |job: &Job| match job.spec.join {
            Join::All => job.spec.after.iter().all(holds),
            Join::Any => job.spec.after.is_empty() || job.spec.after.iter().any(holds),
        };
        let forced = self.by_hand.forced.contains(&id.job);
        let now = edges(&job);
        // An order whose commit a failover has lost is of the definition of then.
        let unstored = self.unstored.iter().any(|attempt| attempt.job_run() == id);
        let lost = self.lost.get(&id.run).into_iter().flatten().filter(|_| unstored);
        let then = lost.flat_map(|of| &of.jobs).any(|job| job.id == id.job && edges(job));
        if then && !now {
            self.excused("ordered by a definition that a failover has lost");
        }
        self.check(now || then || forced, || format!("{id:?} began before {:?}", job.spec.after));
        if self.by_hand.past_waits.contains(&id) || self.by_hand.runs_past_waits.contains(&id.run) {
            return;
        }
        let Some(run) = self.runs.get(&id.run) else { return };
        let (period, exact) = (run.period, run.exact.clone());
        for need in &job.spec.needs {
            for target in self.mapped(&interface, period, need.interface, need.map) {
                let of = (need.interface, target);
                let runs = || self.of_slice.get(&of).into_iter().flatten();
                let done = runs()
                    .any(|run| self.succeeded.contains(&JobRunId { run: *run, job: need.job }));
                // Its details may be purged by now: then what is known is that all went well.
                let old = !done && runs().any(|run| self.runs[run].succeeded);
                if old {
                    self.excused("needs a job that was skipped, and its run succeeded long ago");
                }
                self.check(done || old, || format!("{id:?} began before job {need:?} of {target}"));
            }
        }
        for parent in &interface.spec.parents {
            for target in self.mapped(&interface, period, parent.interface, parent.map) {
                let of = (parent.interface, target);
                let runs = self.of_slice.get(&of).into_iter().flatten();
                let done = runs.into_iter().any(|run| self.runs[run].succeeded);
                self.check(done, || format!("{id:?} began before {parent:?} of {target}"));
            }
        }
        for run in exact {
            let done = self.runs.get(&run).is_some_and(|run| run.succeeded);
            self.check(done, || format!("{id:?} began before {run:?}"));
        }
    }

    /// Of the newest version of the target: its granularity and zone are never edited here.
    fn mapped(
        &self,
        waiter: &Interface,
        period: Period,
        target: InterfaceId,
        map: PeriodMap,
    ) -> Vec<Period> {
        let mut versions = self.versions.range((target, 0)..=(target, i64::MAX));
        let Some((_, target)) = versions.next_back() else { return Vec::new() };
        let calendar = target.spec.calendar.map(|id| self.calendars[&id].spec.clone());
        let cut = Cut::new(target.spec.granularity, &target.spec.zone).expect("a zone");
        let cut = cut.with(calendar);
        let zone = zone(&waiter.spec.zone).expect("a zone");
        period.map(map, zone, &cut).expect("a short map")
    }
}
