//! A machine: its processes, its clocks, its journal, and the ways it breaks. The core of the
//! supervisor on it is the real one; this is its shell, and the processes that it starts.

use crate::oracle::Oracle;
use crate::rng::Rng;
use executor::supervise::attempts::{Attempts, Beginning, Do, Entry, Now, Phase, Setup, Usage};
use shared::ids::*;
use shared::sabotage::{Sabotage, Switch};
use shared::wire::*;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const CLUSTER: &str = "sim";

/// Attempts in one answer: few, so that lists are cut.
const LISTED: usize = 3;

/// A call to a host, and whom to answer: the master, its life, the number of the call.
pub(crate) type From = (usize, i64, u64);

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Order(OrderCall),
    Watch(WatchCall),
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Order(Result<(), Refused>),
    Watch(Result<Box<WatchAnswer>, Refused>),
}

/// A supervisor that wakes has to end what it should have ended: TERM, the grace of these worlds, KILL.
const WAKING: Millis = 1_500;

pub(crate) struct Process {
    /// When it ends by itself, and how.
    end: Millis,
    code: i32,
    /// When it was told to end, and when it is gone.
    dies: Option<(Millis, Millis)>,
    /// It has ended, and nobody has asked for its exit code yet.
    exited: bool,
    bytes: u64,
}

pub(crate) struct Host {
    id: HostId,
    sabotage: Switch,
    timing: Timing,
    /// None while the supervisor is dead.
    pub(crate) agent: Option<Attempts>,
    /// What is on disk, and when it was written: what is younger than the last sync is lost with
    /// the machine.
    journal: Vec<(Millis, Entry)>,
    lives: u128,
    /// Nothing in it is damaged.
    whole: bool,
    /// Whether its disk loses records though no power was lost, and that disk's own luck: where disks
    /// are well, no chance is taken.
    pub(crate) bad_disk: bool,
    disk: Rng,
    /// Lives of the machine.
    machine: u32,
    pub(crate) processes: BTreeMap<AttemptId, Process>,
    /// The machine, or the supervisor alone, is back then.
    pub(crate) down_until: Millis,
    pub(crate) supervisor_until: Millis,
    pub(crate) frozen_until: Millis,
    pub(crate) asleep_until: Millis,
    /// It is being replaced by a newer program, and takes up its life where it was.
    reexecutes: bool,
    clock_stops: bool,
    /// CLOCK_BOOTTIME lags this much behind: it stood still while the machine was frozen.
    lag: Millis,
    /// The last moment at which the supervisor was not itself.
    unwell: Millis,
    /// The last moment at which something could not be killed in time.
    unkillable: Millis,
    pub(crate) wall: Millis,
    pub(crate) inbox: Vec<(From, Ask)>,
    /// Watches that are held open, and until when.
    held: Vec<(From, WatchCall, Millis)>,
    pub(crate) full_disk: bool,
    /// One attempt in this many fails.
    pub(crate) bad_luck: i64,
    pub(crate) calm: bool,
}

impl Host {
    pub(crate) fn new(id: HostId, rng: &mut Rng, timing: Timing, sabotage: Switch) -> Host {
        let mut host = Host {
            id,
            sabotage,
            timing,
            agent: None,
            journal: Vec::new(),
            lives: 0,
            whole: true,
            bad_disk: false,
            disk: Rng(rng.0 ^ 0xd15c),
            machine: 0,
            processes: BTreeMap::new(),
            down_until: 0,
            supervisor_until: 0,
            frozen_until: 0,
            asleep_until: 0,
            reexecutes: false,
            clock_stops: false,
            lag: 0,
            unwell: 0,
            unkillable: 0,
            wall: 0,
            inbox: Vec::new(),
            held: Vec::new(),
            full_disk: false,
            bad_luck: 6,
            calm: false,
        };
        host.boot(Now { mono: 0, wall: 0 }, rng, &BTreeSet::new());
        host
    }

    fn has(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    fn setup(&self) -> Setup {
        Setup { cluster: CLUSTER.into(), timing: self.timing, sabotage: self.sabotage }
    }

    fn boot(&mut self, now: Now, rng: &mut Rng, alive: &BTreeSet<AttemptId>) {
        self.lives += 1;
        let random = u128::from(rng.next()) << 64 | u128::from(rng.next());
        let counted = self.has(Sabotage::CountedIncarnation);
        let incarnation = Incarnation(if counted { self.lives } else { random });
        let journal = self.journal.iter().map(|(_, entry)| entry.clone());
        let (machine, whole) =
            (&*self.machine.to_string(), std::mem::replace(&mut self.whole, true));
        let beginning = Beginning { incarnation, machine, whole, alive };
        let mut agent = Attempts::boot(self.setup(), journal, beginning, now);
        agent.list_at_most(LISTED);
        self.journal = agent.snapshot().map(|entry| (i64::MIN, entry)).collect();
        self.agent = Some(agent);
    }

    // ---- faults ----

    /// Power is lost: what was not synced is gone, and the last record that was may be torn.
    pub(crate) fn crash(
        &mut self,
        (now, until): (Millis, Millis),
        disk_lost: bool,
        rng: &mut Rng,
        oracle: &mut Oracle,
    ) {
        self.die(until, oracle);
        self.down_until = until;
        self.machine += 1;
        for (attempt, process) in std::mem::take(&mut self.processes) {
            if !process.exited {
                oracle.ended(now, attempt, None, false);
            }
        }
        if disk_lost {
            self.journal.clear();
            self.lives = 0;
            return oracle.disk_lost(self.id);
        }
        let synced = now - rng.below(200);
        let mut torn: Vec<Entry> = Vec::new();
        self.journal.retain(|(at, entry)| {
            let lost = *at > synced;
            if lost {
                torn.push(entry.clone());
            }
            !lost
        });
        if rng.one_in(3) {
            torn.extend(self.journal.pop().map(|(_, entry)| entry));
        }
        for entry in torn {
            if let Entry::Put(record) = entry {
                oracle.record_lost(record.attempt);
            }
        }
    }

    /// The last record cannot be read.
    fn damage(&mut self, oracle: &mut Oracle) {
        let Some((_, last)) = self.journal.pop() else { return };
        self.whole = false;
        if let Entry::Put(record) = last {
            oracle.record_lost(record.attempt);
        }
    }

    /// Its children live on.
    pub(crate) fn kill_supervisor(&mut self, until: Millis, oracle: &mut Oracle) {
        self.die(until, oracle);
        if self.bad_disk && self.disk.one_in(2) {
            self.damage(oracle);
        }
    }

    fn die(&mut self, until: Millis, oracle: &mut Oracle) {
        self.agent = None;
        // Whose exit code it had not asked for: nobody will.
        for (attempt, _) in self.processes.extract_if(.., |_, process| process.exited) {
            oracle.record_lost(attempt);
        }
        self.reexecutes = false;
        self.supervisor_until = until;
        self.inbox.clear();
        self.held.clear();
    }

    pub(crate) fn freeze(&mut self, until: Millis, clock_stops: bool) {
        self.frozen_until = until;
        self.clock_stops = clock_stops;
    }

    /// It is upgraded: its children live on and it keeps its incarnation.
    pub(crate) fn reexecute(&mut self, until: Millis) {
        if self.agent.is_some() {
            self.reexecutes = true;
            self.asleep_until = until;
            self.inbox.clear();
            self.held.clear();
        }
    }

    /// Why a leased process here may live although the leader has given it up.
    pub(crate) fn excuse(&self, now: Millis) -> Option<&'static str> {
        if self.frozen_until > now {
            Some("machine frozen")
        } else if self.agent.is_none() {
            Some("supervisor dead, children alive")
        } else if self.asleep_until > now || self.unwell + WAKING >= now {
            Some("supervisor frozen, children not")
        } else if self.lag > 0 && self.unwell + self.timing.fence_ms + 1_200 >= now {
            Some("machine woke with a clock that had stopped")
        } else if self.unkillable + 200 >= now {
            Some("a process that could not be killed")
        } else {
            None
        }
    }

    // ---- time ----

    /// Answers, and what was begun.
    pub(crate) fn step(
        &mut self,
        now: Millis,
        step: Millis,
        rng: &mut Rng,
        oracle: &mut Oracle,
    ) -> (Vec<(From, Reply)>, Vec<AttemptId>) {
        if self.down_until > now {
            self.inbox.clear();
            return (Vec::new(), Vec::new());
        }
        if self.frozen_until > now {
            self.unwell = now;
            if self.clock_stops {
                self.lag += step;
            }
            for process in self.processes.values_mut() {
                process.end = process.end.saturating_add(step);
                process.dies = process.dies.map(|(told, at)| (told + step, at + step));
            }
            return (Vec::new(), Vec::new());
        }
        let clock = Now { mono: now - self.lag, wall: now + self.wall };
        self.exits(now, oracle);
        if self.agent.is_none() && self.supervisor_until <= now {
            self.unwell = now;
            self.restart(clock, now, rng, oracle);
        }
        if self.asleep_until > now {
            self.unwell = now;
            return (Vec::new(), Vec::new());
        }
        if std::mem::take(&mut self.reexecutes) {
            self.take_over(clock, rng);
        }
        let (mut replies, mut spawned) = (Vec::new(), Vec::new());
        if self.agent.is_some() {
            self.reap(clock);
            self.talk(clock, now, &mut replies);
            self.obey(clock, now, rng, &mut spawned);
            self.reap(clock);
            self.obey(clock, now, rng, &mut spawned);
        }
        (replies, spawned)
    }

    /// Processes end, by themselves or because they were told to.
    fn exits(&mut self, now: Millis, oracle: &mut Oracle) {
        let seen = self.agent.is_some();
        for (attempt, process) in &mut self.processes {
            let killed = process.dies.is_some_and(|(_, at)| at <= now);
            if process.dies.is_some_and(|(told, _)| told + TIME_TO_DIE <= now) {
                self.unkillable = now;
            }
            if !process.exited && (killed || process.end <= now) {
                process.exited = true;
                let code = (process.dies.is_none()).then_some(process.code);
                oracle.ended(now, *attempt, code, seen);
            }
        }
        if !seen {
            self.processes.retain(|_, process| !process.exited); // reaped by nobody of ours
        }
    }

    /// P2: first all that an earlier life has left is ended; what is not yet proved gone is named.
    fn restart(&mut self, clock: Now, now: Millis, rng: &mut Rng, oracle: &mut Oracle) {
        let mut alive = BTreeSet::new();
        if !self.has(Sabotage::AnswerBeforeSweep) {
            for (attempt, mut process) in std::mem::take(&mut self.processes) {
                // One without a record would be named by nobody: the real one ends all of them first.
                if rng.one_in(6) && self.whole {
                    // Whom the leader has given up need not wait until we are back.
                    process.dies = Some((now - TIME_TO_DIE, now + time_to_die(rng, 0, self.calm)));
                    alive.insert(attempt);
                    self.processes.insert(attempt, process);
                } else {
                    oracle.ended(now, attempt, None, false);
                }
            }
        }
        self.boot(clock, rng, &alive);
    }

    fn take_over(&mut self, clock: Now, rng: &mut Rng) {
        if self.has(Sabotage::ReexecIsNewLife) {
            return self.boot(clock, rng, &BTreeSet::new());
        }
        let Some(agent) = self.agent.take() else { return };
        let saved = serde_json::to_vec(&agent.save()).expect("it is plain data");
        let saved = serde_json::from_slice(&saved).expect("we wrote it");
        let mut agent = Attempts::restore(self.setup(), saved);
        agent.list_at_most(LISTED);
        self.agent = Some(agent);
    }

    /// Tells the core who has ended.
    fn reap(&mut self, clock: Now) {
        let Some(agent) = &mut self.agent else { return };
        let early = self.sabotage == Some(Sabotage::KillIsGone);
        self.processes.retain(|attempt, process| {
            let usage = Usage { out_bytes: process.bytes, ..Usage::default() };
            if process.exited {
                if process.dies.is_none() {
                    agent.ended(clock, *attempt, Exit::Code(process.code), usage);
                }
                // Also of what was told to end and ended by itself in that moment.
                agent.gone(clock, *attempt, usage);
            } else if early && process.dies.is_some() {
                agent.gone(clock, *attempt, usage);
            }
            !process.exited
        });
    }

    fn talk(&mut self, clock: Now, now: Millis, replies: &mut Vec<(From, Reply)>) {
        let Some(agent) = &mut self.agent else { return };
        agent.refuse_starts(self.full_disk.then_some(Refusal::DiskLow));
        agent.tick(clock);
        for (from, ask) in std::mem::take(&mut self.inbox) {
            match ask {
                Ask::Order(call) => replies.push((from, Reply::Order(agent.order(clock, &call)))),
                Ask::Watch(call) => {
                    let until = now + call.hold_ms;
                    self.held.push((from, call, until));
                }
            }
        }
        self.held.retain(|(from, call, until)| {
            match agent.watch(clock, call, *until <= now).transpose() {
                Some(answer) => {
                    replies.push((*from, Reply::Watch(answer.map(Box::new))));
                    false
                }
                None => true,
            }
        });
    }

    fn obey(&mut self, clock: Now, now: Millis, rng: &mut Rng, spawned: &mut Vec<AttemptId>) {
        let Some(agent) = &mut self.agent else { return };
        for todo in agent.todo() {
            match todo {
                Do::Journal(Entry::Put(record))
                    if self.sabotage == Some(Sabotage::JournalAfterSpawn)
                        && record.phase == Phase::Running => {}
                Do::Journal(entry) => self.journal.push((now, entry)),
                Do::Spawn(start) if rng.one_in(60) && !self.calm => {
                    let why = Refusal::CannotStart("no such program".into());
                    agent.refused(clock, start.attempt, why);
                }
                Do::Spawn(start) => {
                    spawned.push(start.attempt);
                    let lasts = 200 + rng.pick(&[4_000, 9_000, 30_000]) * rng.below(100) / 100;
                    let process = Process {
                        end: if rng.one_in(25) { Millis::MAX } else { now + lasts },
                        code: i32::from(rng.one_in(self.bad_luck)),
                        dies: None,
                        exited: false,
                        bytes: rng.next() % 1_000,
                    };
                    self.processes.insert(start.attempt, process);
                }
                Do::Kill { attempt, grace_ms } => {
                    let lasts = time_to_die(rng, grace_ms, self.calm);
                    if let Some(process) = self.processes.get_mut(&attempt) {
                        process.dies.get_or_insert((now, now + lasts));
                    } else {
                        // It has ended just now, or never began.
                        agent.gone(clock, attempt, Usage::default());
                    }
                }
            }
        }
    }
}

/// By then it should be gone: the longest grace under a fence, and the steps of this world.
const TIME_TO_DIE: Millis = 1_400;

/// Most go at once, some only when they are forced to, and some hang in the kernel for a while.
fn time_to_die(rng: &mut Rng, grace: Millis, calm: bool) -> Millis {
    match rng.below(40) {
        0 if !calm => grace + rng.below(20_000),
        1..8 => grace + 100,
        _ => rng.below(grace.max(1)).min(300),
    }
}
