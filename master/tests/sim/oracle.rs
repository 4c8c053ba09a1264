//! What must hold, judged by what really happened.

use crate::db::Db;
use crate::mesh::Versions;
use master::engine::catalog::{Interface, Job};
use master::engine::rows::*;
use shared::ids::*;
use shared::period::{Cut, Period, zone};
use shared::spec::*;
use shared::wire::Exit;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy)]
pub struct Process {
    pub host: HostId,
    pub live: bool,
    /// How it ended by itself.
    pub code: Option<i32>,
    /// A supervisor has seen how it ended.
    seen: bool,
    /// Its host has lost that since.
    forgotten: bool,
    ended: Millis,
}

/// What is known of one run for ever, whatever becomes of its rows.
struct Told {
    /// As it was when the run was made: after a failover its number may be another's.
    interface: Arc<Interface>,
    period: Period,
    /// Runs that it waited for when it was made.
    exact: BTreeSet<RunId>,
    succeeded: bool,
    ended: bool,
    /// A failover has lost it; it may be made anew, and otherwise.
    lost: bool,
}

pub struct Oracle {
    pub memory: Millis,
    pub versions: Versions,
    pub processes: BTreeMap<AttemptId, Process>,
    of_job: BTreeMap<JobRunId, Vec<AttemptId>>,
    /// A process of it ended well, or a person said so.
    succeeded: BTreeSet<JobRunId>,
    /// How job runs were stored to have ended, ever.
    verdicts: BTreeMap<JobRunId, BTreeSet<Verdict>>,
    abandoned: BTreeSet<AttemptId>,
    /// Attempts of which a failover lost the row, or the end.
    unstored: BTreeSet<AttemptId>,
    runs: BTreeMap<RunId, Told>,
    of_execution: BTreeMap<ExecutionId, BTreeSet<RunId>>,
    /// A person has said that what failed in it, or is unknown, shall run again.
    resumed: BTreeSet<JobRunId>,
    of_slice: BTreeMap<(InterfaceId, Period), BTreeSet<RunId>>,
    live: BTreeMap<(InterfaceId, Period), BTreeSet<RunId>>,
    /// Job runs that a host has, as stored.
    placed: BTreeSet<JobRunId>,
    /// Those that were not placed by a leader: a failover had lost their commit.
    adopted: BTreeSet<JobRunId>,
    pub pools: BTreeMap<PoolId, u32>,
    pub decided: BTreeMap<(DispatchId, Millis), u32>,
    pub exempt: BTreeMap<&'static str, u64>,
    pub alerts: u64,
    pub verdict: Option<String>,
}

impl Oracle {
    pub fn new(memory: Millis, versions: Versions, pools: BTreeMap<PoolId, u32>) -> Oracle {
        Oracle {
            memory,
            versions,
            processes: BTreeMap::new(),
            of_job: BTreeMap::new(),
            succeeded: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            unstored: BTreeSet::new(),
            runs: BTreeMap::new(),
            of_execution: BTreeMap::new(),
            resumed: BTreeSet::new(),
            of_slice: BTreeMap::new(),
            live: BTreeMap::new(),
            placed: BTreeSet::new(),
            adopted: BTreeSet::new(),
            pools,
            decided: BTreeMap::new(),
            exempt: BTreeMap::new(),
            alerts: 0,
            verdict: None,
        }
    }

    pub fn fail(&mut self, what: String) {
        self.verdict.get_or_insert(what);
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what());
        }
    }

    fn excused(&mut self, why: &'static str) {
        *self.exempt.entry(why).or_default() += 1;
    }

    // ---- processes ----

    /// `excuse`: why the promise allows that a leased process on this host still lives.
    pub fn began(
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
                self.check_other((now, db), (attempt, host), (other, &policy), &excuse);
            }
        }
        self.check_waits(id);
        self.add(attempt, host);
    }

    /// Another attempt of the same job run began before.
    fn check_other(
        &mut self,
        (now, db): (Millis, &Db),
        (attempt, host): (AttemptId, HostId),
        (other, policy): (AttemptId, &Policy),
        excuse: &impl Fn(HostId) -> Option<&'static str>,
    ) {
        let process = self.processes[&other];
        let waits = policy.on_lost == OnLost::Wait;
        if process.live {
            match excuse(process.host).or_else(|| excuse(host)).filter(|_| !waits) {
                Some(why) => self.excused(why),
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

    fn add(&mut self, attempt: AttemptId, host: HostId) {
        let process =
            Process { host, live: true, code: None, seen: false, forgotten: false, ended: 0 };
        self.processes.insert(attempt, process);
        self.of_job.entry(attempt.job_run()).or_default().push(attempt);
    }

    pub fn ended(&mut self, now: Millis, attempt: AttemptId, code: Option<i32>, seen: bool) {
        let process = self.processes.get_mut(&attempt).expect("it began");
        process.live = false;
        process.code = code;
        process.seen = seen;
        process.ended = now;
        if code == Some(0) {
            self.succeeded.insert(attempt.job_run());
        }
    }

    pub fn disk_lost(&mut self, host: HostId) {
        for process in self.processes.values_mut().filter(|p| p.host == host) {
            process.forgotten = true;
        }
    }

    /// A power loss has torn the record of this one.
    pub fn record_lost(&mut self, attempt: AttemptId) {
        if let Some(process) = self.processes.get_mut(&attempt) {
            process.forgotten = true;
        }
    }

    // ---- waits ----

    fn definition(&self, id: JobRunId) -> Option<(Arc<Interface>, Job)> {
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
                Expect::Success => self.succeeded.contains(&up),
                Expect::Failure => ended(Verdict::Failed) || ended(Verdict::TimedOut),
                Expect::Done => verdicts.is_some_and(|v| !v.is_empty()),
            }
        };
        let edges = match job.spec.join {
            Join::All => job.spec.after.iter().all(holds),
            Join::Any => job.spec.after.is_empty() || job.spec.after.iter().any(holds),
        };
        self.check(edges, || format!("{id:?} began before {:?}", job.spec.after));
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
        let cut = Cut::new(target.spec.granularity, &target.spec.zone).expect("a zone");
        let zone = zone(&waiter.spec.zone).expect("a zone");
        period.map(map, zone, cut).expect("a short map")
    }

    // ---- what is stored ----

    /// A failover lost these; `db` is as it is now.
    pub fn undone(&mut self, db: &Db, undone: &[Change]) {
        for (key, lost) in undone {
            let gone = lost.is_some() && !db.rows.contains_key(key);
            match (key, lost) {
                (Key::Attempt(id), _) => _ = self.unstored.insert(*id),
                (Key::Firing(dispatch, instant), _) if gone => {
                    self.decided.remove(&(*dispatch, *instant));
                }
                (Key::JobRun(id), _) => {
                    let place = match db.rows.get(key) {
                        Some(Row::JobRun(job)) => job.phase.place(),
                        _ => None,
                    };
                    match place {
                        Some(_) => _ = self.placed.insert(*id),
                        None => _ = self.placed.remove(id),
                    }
                }
                (Key::Run(id), Some(Row::Run(run))) => {
                    if let Some(told) = self.runs.get_mut(id).filter(|_| gone) {
                        told.lost = true;
                    }
                    let now = db.rows.get(key);
                    let live = matches!(now, Some(Row::Run(run)) if run.state.is_live());
                    self.set_live((run.interface, run.period), *id, live);
                }
                _ => {}
            }
        }
    }

    fn set_live(&mut self, slice: (InterfaceId, Period), id: RunId, live: bool) {
        let set = self.live.entry(slice).or_default();
        if live {
            set.insert(id)
        } else {
            set.remove(&id)
        };
    }

    /// A batch is stored; `before` are the rows that it has overwritten.
    pub fn stored(&mut self, now: Millis, db: &Db, changes: &[Change]) {
        for (key, row) in changes {
            if let (Key::Command(id), Some(Row::Command(result))) = (key, row)
                && result.done
                && let Some(command) = db.commands.get(id)
                && !command.dry_run
            {
                self.obeyed(&command.verb);
            }
        }
        for (key, row) in changes {
            if let (Key::Run(id), Some(Row::Run(run))) = (key, row) {
                self.set_live((run.interface, run.period), *id, run.state.is_live());
            }
        }
        for (key, row) in changes {
            let Some(row) = row else { continue };
            match (*key, row) {
                (Key::Firing(dispatch, instant), Row::Firing(firing)) => {
                    self.check_firing((now, db), dispatch, instant, firing);
                }
                (Key::Run(id), Row::Run(run)) => self.check_run(id, run),
                (Key::JobRun(id), Row::JobRun(job)) => self.check_job(id, job),
                (Key::Attempt(id), Row::Attempt(attempt)) => self.check_attempt(id, attempt),
                _ => {}
            }
        }
        if changes.iter().any(|(_, row)| matches!(row, Some(Row::JobRun(job)) if matches!(job.phase, Phase::Assigned(_)))) {
            self.check_pools();
        }
        for (key, row) in changes {
            if let (Key::Run(id), Some(Row::Run(run))) = (key, row)
                && run.state == RunState::Succeeded
            {
                self.check_success(*id);
            }
        }
    }

    fn obeyed(&mut self, verb: &Verb) {
        match verb {
            Verb::MarkSuccess { run, job, .. } => {
                self.succeeded.insert(JobRunId { run: *run, job: *job });
            }
            Verb::Resume { run } => self.resume(*run),
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

    fn check_firing(
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
        if firing.decision != Decision::Fired {
            return;
        }
        let early = instant - now;
        self.check(early < 3_000, || format!("{dispatch} fired {early} ms early"));
        let version = db.catalog.dispatches[&dispatch].version;
        let (had, has) = (firing.version, version);
        self.check(had == has, || format!("{dispatch} fired by version {had}, it is {has}"));
        let execution = firing.execution.map(Key::Execution);
        let made = execution.is_some_and(|key| db.rows.contains_key(&key));
        self.check(made, || format!("{dispatch} fired at {instant} and made no execution"));
    }

    fn check_run(&mut self, id: RunId, run: &Run) {
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
            succeeded: run.state == RunState::Succeeded,
            ended: !run.state.is_live(),
            lost: false,
        };
        match self.runs.get_mut(&id).filter(|told| !told.lost) {
            Some(told) => {
                told.succeeded |= new.succeeded;
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

    /// Every job succeeded, or failed and something was there to take it up, or was not needed.
    fn check_success(&mut self, id: RunId) {
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
            let good = self.succeeded.contains(&job_run) || skipped || handled;
            self.check(good, || format!("{id:?} succeeded, but not its job {:?}", job.id));
        }
    }

    fn check_job(&mut self, id: JobRunId, job: &JobRun) {
        match job.phase.place() {
            Some(_) => _ = self.placed.insert(id),
            None => _ = self.placed.remove(&id),
        }
        let (number, allowed) = (job.number, job.allowed);
        self.check(number <= allowed, || format!("{id:?}: attempt {number} of {allowed}"));
        let Phase::Done(verdict) = job.phase else { return };
        self.verdicts.entry(id).or_default().insert(verdict);
        if verdict == Verdict::Succeeded {
            let done = self.succeeded.contains(&id);
            self.check(done, || format!("{id:?} is said to have succeeded"));
        }
    }

    fn check_attempt(&mut self, id: AttemptId, attempt: &Attempt) {
        if attempt.mark == Mark::Orphan {
            self.adopted.insert(id.job_run());
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
    fn check_pools(&mut self) {
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
    pub fn check_alerts(&mut self, before: &BTreeMap<ExecutionId, RunState>, changes: &[Change]) {
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
                AlertEvent::AttemptUnknown | AlertEvent::FiringFailed => continue,
            };
            self.alerts += 1;
            let known = ended.get(&id).or(again.get(&id)).copied();
            let any = changes.iter().any(|(key, _)| *key == Key::Execution(id));
            self.check(any, || format!("{id:?} is told to have ended, and did not"));
            if known == Some(state) {
                ended.remove(&id);
            }
        }
        self.check(ended.is_empty(), || format!("nobody is told of the end of {ended:?}"));
    }
}
