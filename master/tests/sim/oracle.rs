//! What must hold, judged by what really happened. Here is what the oracle follows: processes, and what
//! is stored; it judges in [`judge`], and the moment in which an attempt begins in [`began`].

mod began;
mod by_hand;
mod fills;
mod judge;

use crate::db::Db;
use crate::mesh::Versions;
use by_hand::ByHand;
use master::engine::catalog::{Calendar, Catalog, Interface};
use master::engine::rows::*;
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy)]
pub(crate) struct Process {
    pub(crate) host: HostId,
    pub(crate) live: bool,
    /// How it ended by itself.
    pub(crate) code: Option<i32>,
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
    /// When that was stored.
    since: Millis,
    ended: bool,
    /// A failover has lost it; it may be made anew, and otherwise.
    lost: bool,
}

pub(crate) struct Oracle {
    pub(crate) memory: Millis,
    pub(crate) versions: Versions,
    /// Nobody edits them.
    calendars: BTreeMap<CalendarId, Arc<Calendar>>,
    pub(crate) processes: BTreeMap<AttemptId, Process>,
    of_job: BTreeMap<JobRunId, Vec<AttemptId>>,
    /// A process of it ended well, or a person said so.
    succeeded: BTreeSet<JobRunId>,
    /// How job runs were stored to have ended, ever.
    verdicts: BTreeMap<JobRunId, BTreeSet<Verdict>>,
    abandoned: BTreeSet<AttemptId>,
    /// Whether an attempt was assigned as an `on_lost = retry` job.
    leased: BTreeMap<AttemptId, bool>,
    /// Attempts of which a failover lost the row, or the end.
    unstored: BTreeSet<AttemptId>,
    runs: BTreeMap<RunId, Told>,
    /// What runs were made of, as far as a failover has lost that: an order of then may still begin.
    lost: BTreeMap<RunId, Vec<Arc<Interface>>>,
    of_execution: BTreeMap<ExecutionId, BTreeSet<RunId>>,
    /// A person has said that what failed in it, or is unknown, shall run again.
    resumed: BTreeSet<JobRunId>,
    by_hand: ByHand,
    of_slice: BTreeMap<(InterfaceId, Period), BTreeSet<RunId>>,
    live: BTreeMap<(InterfaceId, Period), BTreeSet<RunId>>,
    /// Job runs that a host has, as stored.
    placed: BTreeSet<JobRunId>,
    /// Those that were not placed by a leader: a failover had lost their commit.
    adopted: BTreeSet<JobRunId>,
    pub(crate) pools: BTreeMap<PoolId, u32>,
    pub(crate) decided: BTreeMap<(DispatchId, Millis), u32>,
    pub(crate) exempt: BTreeMap<&'static str, u64>,
    pub(crate) alerts: u64,
    /// The runs that each execution names.
    members: BTreeMap<ExecutionId, Vec<RunId>>,
    /// Executions that were stored to have ended, ever.
    finished: BTreeSet<ExecutionId>,
    /// How often each alert was stored.
    told: BTreeMap<Key, u32>,
    pub(crate) verdict: Option<String>,
}

impl Oracle {
    pub(crate) fn new(memory: Millis, versions: Versions, catalog: &Catalog) -> Oracle {
        Oracle {
            memory,
            versions,
            calendars: catalog.calendars.clone(),
            processes: BTreeMap::new(),
            of_job: BTreeMap::new(),
            succeeded: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            leased: BTreeMap::new(),
            unstored: BTreeSet::new(),
            runs: BTreeMap::new(),
            lost: BTreeMap::new(),
            of_execution: BTreeMap::new(),
            resumed: BTreeSet::new(),
            by_hand: ByHand::default(),
            of_slice: BTreeMap::new(),
            live: BTreeMap::new(),
            placed: BTreeSet::new(),
            adopted: BTreeSet::new(),
            pools: catalog.pools.clone(),
            decided: BTreeMap::new(),
            exempt: BTreeMap::new(),
            alerts: 0,
            members: BTreeMap::new(),
            finished: BTreeSet::new(),
            told: BTreeMap::new(),
            verdict: None,
        }
    }

    pub(crate) fn fail(&mut self, what: String) {
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

    fn add(&mut self, attempt: AttemptId, host: HostId) {
        let process =
            Process { host, live: true, code: None, seen: false, forgotten: false, ended: 0 };
        self.processes.insert(attempt, process);
        self.of_job.entry(attempt.job_run()).or_default().push(attempt);
    }

    pub(crate) fn ended(&mut self, now: Millis, attempt: AttemptId, code: Option<i32>, seen: bool) {
        let process = self.processes.get_mut(&attempt).expect("it began");
        process.live = false;
        process.code = code;
        process.seen = seen;
        process.ended = now;
        if code == Some(0) {
            self.succeeded.insert(attempt.job_run());
        }
    }

    pub(crate) fn disk_lost(&mut self, host: HostId) {
        for process in self.processes.values_mut().filter(|p| p.host == host) {
            process.forgotten = true;
        }
    }

    /// A power loss has torn the record of this one.
    pub(crate) fn record_lost(&mut self, attempt: AttemptId) {
        if let Some(process) = self.processes.get_mut(&attempt) {
            process.forgotten = true;
        }
    }

    // ---- what is stored ----

    /// A failover lost these; `db` is as it is now.
    pub(crate) fn undone(&mut self, db: &Db, undone: &[Change]) {
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
                        self.lost.entry(*id).or_default().push(told.interface.clone());
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
    pub(crate) fn stored(&mut self, now: Millis, db: &Db, changes: &[Change]) {
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
                (Key::Run(id), Row::Run(run)) => {
                    self.check_run(now, id, run);
                    self.check_given_up((now, db), id, run);
                }
                (Key::JobRun(id), Row::JobRun(job)) => self.check_job(id, job),
                (Key::Attempt(id), Row::Attempt(attempt)) => self.check_attempt(id, attempt),
                (Key::Execution(id), Row::Execution(execution)) => {
                    self.members.insert(id, execution.runs.clone());
                    if !execution.state.is_live() {
                        self.finished.insert(id);
                    }
                }
                (Key::Outbox(_), _) => *self.told.entry(*key).or_default() += 1,
                _ => {}
            }
        }
        self.check_fills(db, changes);
        if changes.iter().any(|(_, row)| matches!(row, Some(Row::JobRun(job)) if matches!(job.phase, Phase::Assigned(_)))) {
            self.check_pools();
        }
        for (key, row) in changes {
            if let (Key::Run(id), Some(Row::Run(run))) = (key, row)
                && run.is_success()
            {
                self.check_success(*id);
            }
        }
    }
}
