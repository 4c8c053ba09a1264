//! What is stored is judged: by what really happened, and by what was stored before it.

use super::{Oracle, Told};
use crate::db::Db;
use master::engine::rows::*;
use shared::calendar::On;
use shared::ids::*;
use shared::period::{Granularity, Period};
use shared::spec::*;
use shared::wire::Exit;
use std::collections::BTreeMap;

/// What a leader knows of what was stored so long ago.
const PATIENCE: Millis = 20_000;

/// Whether this instant is on a day on which its dispatch fires, for a period that there is. Neither
/// calendars nor what names them are ever edited in a world.
fn is_day(db: &Db, spec: &DispatchSpec, instant: Millis, period: Period) -> bool {
    let of = &db.catalog.interfaces[&spec.interface].spec;
    let zone = shared::period::zone(&spec.zone).expect("a zone");
    let Period::Day(date) = Period::containing(Granularity::Day, instant, zone) else {
        return false;
    };
    let fires = spec.days.is_none_or(|days| {
        db.catalog.calendars[&days.calendar].spec.works(date) == (days.on == On::Working)
    });
    // One that is for its own day has no period on a day off; a step back goes over those.
    let own = shared::period::zone(&of.zone).expect("a zone");
    let today = Period::containing(Granularity::Day, instant, own);
    let cut = db.catalog.cut(of).expect("a zone");
    let asked =
        if spec.period_offset == 0 && of.granularity == Granularity::Day { today } else { period };
    fires && cut.has(asked)
}

impl Oracle {
    pub(super) fn check_firing(
        &mut self,
        (now, db): (Millis, &Db),
        dispatch: DispatchId,
        instant: Millis,
        firing: &Firing,
    ) {
        let count = self.decided.entry((dispatch, instant)).or_default();
        *count += 1;
        let once = *count == 1;
        self.check(once, || format!("instant {instant} of {dispatch} decided twice"));
        let of = &db.catalog.dispatches[&dispatch].spec;
        let is_day = is_day(db, of, instant, firing.period);
        if firing.decision == Decision::Holiday {
            self.check(!is_day, || format!("{dispatch} did not fire at {instant}, a day of it"));
        }
        if firing.decision != Decision::Fired {
            return;
        }
        self.check(is_day, || format!("{dispatch} fired at {instant}, no day of its calendar"));
        let early = instant - now;
        self.check(early < 3_000, || format!("{dispatch} fired {early} ms early"));
        let version = db.catalog.dispatches[&dispatch].version;
        let (had, has) = (firing.version, version);
        self.check(had == has, || format!("{dispatch} fired by version {had}, it is {has}"));
        let execution = firing.execution.map(Key::Execution);
        let made = execution.is_some_and(|key| db.rows.contains_key(&key));
        self.check(made, || format!("{dispatch} fired at {instant} and made no execution"));
    }

    pub(super) fn check_run(&mut self, now: Millis, id: RunId, run: &Run) {
        let slice = (run.interface, run.period);
        let live = self.live[&slice].len();
        self.check(live <= 1, || format!("{id:?}: {live} generations are live"));
        let derived = RunId::of(run.interface, run.period, run.generation) == id;
        self.check(derived, || format!("{id:?} is not the id of {run:?}"));
        self.of_slice.entry(slice).or_default().insert(id);
        self.of_execution.entry(run.execution).or_default().insert(id);
        let exact = run.waits.iter().filter_map(|target| match target {
            Target::Run(run) => Some(*run),
            _ => None,
        });
        let Some(interface) = self.versions.get(&(run.interface, run.version)).cloned() else {
            return self.fail(format!("{id:?} is of a version that never was"));
        };
        let new = Told {
            interface,
            period: run.period,
            exact: exact.collect(),
            succeeded: run.is_success(),
            since: now,
            ended: !run.state.is_live(),
            lost: false,
        };
        match self.runs.get_mut(&id).filter(|told| !told.lost) {
            Some(told) => {
                if new.succeeded && !told.succeeded {
                    (told.succeeded, told.since) = (true, now);
                }
                // One that goes on after its end no longer waits for runs that ended badly.
                if std::mem::replace(&mut told.ended, new.ended) && !new.ended {
                    told.exact = new.exact;
                }
            }
            None => {
                let before = self.runs.get(&id).is_some_and(|told| told.succeeded);
                let succeeded = new.succeeded || before;
                self.runs.insert(id, Told { succeeded, ..new });
            }
        }
    }

    /// Nobody gives up waiting for what has been there for a while.
    pub(super) fn check_given_up(&mut self, (now, db): (Millis, &Db), id: RunId, run: &Run) {
        if run.state != RunState::Failed {
            return;
        }
        // That a parent of the same execution has failed needs no waiting for the others.
        let hopeless = |target: &Target| match target {
            Target::Run(parent) => matches!(db.rows.get(&Key::Run(*parent)),
                Some(Row::Run(row)) if !row.state.is_live() && !row.is_success()),
            _ => false,
        };
        if run.waits.iter().any(hopeless) {
            return;
        }
        let run_ended = run.ended;
        for target in &run.waits {
            let Target::Success(interface, period) = *target else { continue };
            let runs = self.of_slice.get(&(interface, period)).into_iter().flatten();
            let there = runs.filter(|run| {
                let stored = db.rows.get(&Key::Run(**run));
                // What succeeded after it was given up, and is stored with that, came too late.
                let in_time = |found: &Run| found.is_success() && found.ended < run_ended;
                let stored = matches!(stored, Some(Row::Run(found)) if in_time(found));
                stored && self.runs[run].since + PATIENCE < now
            });
            if let Some(found) = there.copied().next() {
                self.fail(format!("{id:?} gave up waiting for {found:?}, which had succeeded"));
            }
        }
    }

    /// Every job succeeded, or failed and something was there to take it up, or was not needed.
    pub(super) fn check_success(&mut self, id: RunId) {
        let told = &self.runs[&id];
        let interface = told.interface.clone();
        for job in &interface.jobs {
            let job_run = JobRunId { run: id, job: job.id };
            let handled = interface.jobs.iter().any(|other| {
                let taken = |edge: &Edge| edge.job == job.id && edge.expect != Expect::Success;
                other.spec.after.iter().any(taken)
            });
            let verdicts = self.verdicts.get(&job_run);
            let skipped = verdicts.is_some_and(|v| v.contains(&Verdict::Skipped));
            let left = self.by_hand.skipped.contains(&job_run);
            let good = self.succeeded.contains(&job_run) || skipped || handled || left;
            self.check(good, || format!("{id:?} succeeded, but not its job {:?}", job.id));
        }
    }

    pub(super) fn check_job(&mut self, id: JobRunId, job: &JobRun) {
        match job.phase.place() {
            Some(_) => _ = self.placed.insert(id),
            None => _ = self.placed.remove(&id),
        }
        let (number, allowed) = (job.number, job.allowed);
        self.check(number <= allowed, || format!("{id:?}: attempt {number} of {allowed}"));
        let Phase::Done(verdict) = job.phase else { return };
        self.verdicts.entry(id).or_default().insert(verdict);
        if verdict == Verdict::LeftOut {
            let asked = self.by_hand.skipped.contains(&id) || self.is_in_parts(id);
            self.check(asked, || format!("{id:?} is left out, and nobody has asked for that"));
        }
        if verdict == Verdict::Succeeded {
            self.take_over(id, job);
            let done = self.succeeded.contains(&id);
            self.check(done, || format!("{id:?} is said to have succeeded"));
        }
    }

    pub(super) fn check_attempt(&mut self, id: AttemptId, attempt: &Attempt) {
        // Listed and adopted in one batch, it is never stored as an orphan.
        if attempt.mark == Mark::Orphan || self.unstored.contains(&id) {
            self.adopted.insert(id.job_run());
        }
        if let Some((_, job)) = self.definition(id.job_run()) {
            let leased = job.spec.policy.on_lost == OnLost::Retry;
            self.leased.entry(id).or_insert(leased);
        }
        let Some(end) = &attempt.end else { return };
        let process = self.processes.get(&id).copied();
        let live = process.is_some_and(|p| p.live);
        match end {
            End::Exit(Exit::Code(code)) => {
                let truth = process.and_then(|p| p.code);
                self.check(truth == Some(*code), || {
                    format!("{id:?}: code {code}, truly {truth:?}")
                });
            }
            End::Refused(_) => {
                let began = process.is_some();
                self.check(!began, || format!("{id:?} was refused and yet began"));
            }
            End::Exit(_) | End::Unknown => {
                let seen = process.is_some_and(|p| p.seen && !p.forgotten && p.code.is_some());
                let told = *end != End::Unknown || !seen || self.unstored.contains(&id);
                self.check(told, || format!("{id:?} is said to be unknown; its host knows"));
                self.check(!live, || format!("{id:?} is said to be gone ({end:?}) and lives"));
            }
            End::Abandoned => _ = self.abandoned.insert(id),
            End::Lost => {}
        }
    }

    /// No more of a pool are placed than it has room for.
    pub(super) fn check_pools(&mut self) {
        let mut used: BTreeMap<PoolId, (u32, bool)> = BTreeMap::new();
        for id in &self.placed {
            let Some((_, job)) = self.definition(*id) else { continue };
            for pool in &job.spec.place.pools {
                let (count, adopted) = used.entry(*pool).or_default();
                *count += 1;
                *adopted |= self.adopted.contains(id);
            }
        }
        for (pool, (count, adopted)) in used {
            let room = self.pools[&pool];
            self.check(count <= room || adopted, || format!("pool {pool} of {room} holds {count}"));
        }
    }

    // ---- alerts ----

    /// An execution that ends is told of in the very batch that ends it, and no other is. (One that
    /// had ended may have been resumed and have ended again since the last batch.)
    pub(crate) fn check_alerts(
        &mut self,
        before: &BTreeMap<ExecutionId, RunState>,
        changes: &[Change],
    ) {
        let mut ended = BTreeMap::new();
        let mut again = BTreeMap::new();
        for (key, row) in changes {
            if let (Key::Execution(id), Some(Row::Execution(execution))) = (key, row)
                && !execution.state.is_live()
            {
                let was_live = before.get(id).is_none_or(|state| state.is_live());
                let which = if was_live { &mut ended } else { &mut again };
                which.insert(*id, execution.state);
            }
        }
        for (key, row) in changes {
            let (Key::Outbox(_), Some(Row::Outbox(alert))) = (key, row) else { continue };
            let Some(id) = alert.execution else { continue };
            let state = match alert.event {
                AlertEvent::ExecutionSucceeded => RunState::Succeeded,
                AlertEvent::ExecutionFailed => RunState::Failed,
                AlertEvent::ExecutionStopped => RunState::Stopped,
                AlertEvent::AttemptUnknown
                | AlertEvent::FiringFailed
                | AlertEvent::FiringSkipped
                | AlertEvent::RunLate
                | AlertEvent::RunTimedOut
                | AlertEvent::BackfillPaused => continue,
            };
            self.alerts += 1;
            let known = ended.get(&id).or(again.get(&id)).copied();
            // One that was resumed and has ended again at the very same date is the row that it was,
            // and so is its alert. One that ended and was resumed since the last batch is so too: then
            // its runs tell.
            let runs = self.members.get(&id);
            let of_it = |key: &Key| match *key {
                Key::Execution(other) => other == id,
                Key::Run(run) => runs.is_some_and(|runs| runs.contains(&run)),
                _ => false,
            };
            let any = self.told[key] > 1 || changes.iter().any(|(key, _)| of_it(key));
            self.check(any, || format!("{id:?} is told to have ended, and did not"));
            if known == Some(state) {
                ended.remove(&id);
            }
        }
        self.check(ended.is_empty(), || format!("nobody is told of the end of {ended:?}"));
    }
}
