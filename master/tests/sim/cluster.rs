//! The simulated world: masters, hosts, database, lease, wire. What goes wrong is in `faults`, what
//! people do in `people`, how it ends in `ending`.

use crate::db::{Db, Lease};
use crate::host::{Ask, CLUSTER, Host, Reply};
use crate::mesh;
use crate::oracle::Oracle;
use crate::rng::Rng;
use master::engine::catalog::Catalog;
use master::engine::rows::*;
use master::engine::world::Todo;
use master::leader::master::Master;
use master::leader::ops::*;
use shared::ids::*;
use shared::sabotage::{Sabotage, Switch};
use shared::wire::*;
use std::collections::BTreeMap;

pub(crate) const STEP: Millis = 100;
/// Faults for so long; then all is well.
pub(crate) const CALM_AFTER: Millis = 150_000;
/// Half a minute after the last fault all schedules are paused.
pub(crate) const PAUSE_AFTER: Millis = CALM_AFTER + 30_000;
/// By then everything must have come to an end.
pub(crate) const STUCK_AFTER: Millis = CALM_AFTER + 900_000;

pub(crate) const TIMING: Timing =
    Timing { fence_ms: 6_000, lost_ms: 8_000, memory_ms: 20_000, watch_ms: 1_000 };

const PACE: Pace = Pace {
    timing: TIMING,
    lease_ms: 1_000,
    poll_ms: 300,
    tick_ms: 500,
    db_timeout_ms: 2_000,
    call_timeout_ms: 1_500,
    call_again_ms: 300,
    order_again_ms: 1_000,
    full_every_ms: 6_000,
    slice_keep_ms: 5_000,
    purge_every_ms: 20_000,
    keep_ms: KEEP,
};
/// Details of what has ended are kept this long.
pub(crate) const KEEP: Millis = 40_000;

/// Moments at which periods end in Europe/Berlin: an hour; day, week and month at once; the day on
/// which spring leaves an hour out and the one on which autumn repeats one.
const STARTS: &[&str] = &[
    "2026-11-18T13:00:00Z",
    "2026-05-31T22:00:00Z",
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
];

pub(crate) enum Packet {
    Call(usize, i64, HostId, u64, Ask),
    Reply(usize, i64, HostId, u64, Reply),
    Ask(usize, i64, u64, DbOp),
    Answer(usize, i64, u64, Option<DbAnswer>),
    Lease(usize, i64),
    LeaseAnswer(usize, i64, bool),
    Nudge(usize),
}

pub(crate) struct Node {
    pub(crate) master: Master,
    /// Its monotonic clock began then.
    pub(crate) origin: Millis,
    pub(crate) wall: Millis,
    pub(crate) paused_until: Millis,
    inbox: Vec<Input>,
    /// What it has decided and not yet done: a pause may come between.
    outbox: Vec<Output>,
}

pub(crate) struct Cluster {
    pub(crate) start: Millis,
    pub(crate) now: Millis,
    pub(crate) rng: Rng,
    /// One in this many steps brings a fault of each sort.
    pub(crate) weather: i64,
    pub(crate) sabotage: Switch,
    pub(crate) nodes: Vec<Node>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) db: Db,
    pub(crate) lease: Lease,
    wire: BTreeMap<(Millis, u64), Packet>,
    /// (from, to) is dead until then; masters are 0.., hosts 10.., database 20, lease 21.
    pub(crate) cuts: BTreeMap<(usize, usize), Millis>,
    /// Hosts whose answers take long, and whose supervisor is killed then.
    pub(crate) limping: BTreeMap<usize, Millis>,
    pub(crate) full_forever: bool,
    pub(crate) dead: Option<usize>,
    pub(crate) oracle: Oracle,
    pub(crate) events: u64,
    /// Few things at once: see [`mesh::mesh`].
    pub(crate) plain: bool,
    trace: bool,
}

pub(crate) const HOST: usize = 10;
pub(crate) const DB: usize = 20;
pub(crate) const LEASE: usize = 21;

fn at(host: HostId) -> usize {
    usize::try_from(host.0 - 1).expect("hosts are counted from one")
}

pub(crate) fn id_of(at: usize) -> HostId {
    HostId(i64::try_from(at).expect("few") + 1)
}

impl Cluster {
    pub(crate) fn new(seed: u64, sabotage: Switch) -> Cluster {
        let mut rng = Rng(seed);
        // What a power loss breaks shows where much is running: not where dispatches skip and cancel.
        let plain = matches!(sabotage, Some(Sabotage::FollowsDamaged | Sabotage::FollowsForgotten));
        let catalog = mesh::mesh(&mut rng, plain);
        let start = chrono::DateTime::parse_from_rfc3339(rng.pick(STARTS)).expect("a date");
        let start = start.timestamp_millis() - 60_000 - rng.below(60_000);
        let bad_luck = rng.pick(&[11, 1_000_003]);
        let mut db = Db::new(catalog, bad_luck);
        for dispatch in db.catalog.clone().dispatches.values() {
            let state = DispatchState { project: ProjectId(1), cursor: start, paused: false };
            db.rows.insert(Key::Dispatch(dispatch.id), Row::Dispatch(state));
        }
        db.guarded = sabotage != Some(Sabotage::NoGuard);
        db.any_server = sabotage == Some(Sabotage::GuardAnyServer);
        db.clock = rng.below(800) - 400;
        let ids: Vec<HostId> = db.catalog.hosts.keys().copied().collect();
        let host = |id| {
            let mut host = Host::new(id, &mut rng, TIMING, sabotage);
            host.bad_disk = seed % 10 == 9;
            host
        };
        let hosts = ids.into_iter().map(host).collect();
        let mut cluster = Cluster {
            start,
            now: start,
            weather: rng.pick(&[1, 1, 4, 20]),
            sabotage,
            nodes: Vec::new(),
            hosts,
            oracle: Oracle::new(TIMING.memory_ms, db.versions.clone(), &db.catalog),
            db,
            lease: Lease::default(),
            wire: BTreeMap::new(),
            cuts: BTreeMap::new(),
            limping: BTreeMap::new(),
            full_forever: seed % 8 == 5,
            dead: (seed % 8 == 6).then_some(1),
            events: 0,
            plain,
            trace: shared::config::env("TRACE").is_some(),
            rng,
        };
        for _ in 0..2 + cluster.rng.below(2) {
            let node = cluster.node();
            cluster.nodes.push(node);
        }
        cluster
    }

    pub(crate) fn node(&mut self) -> Node {
        let life = (self.rng.next() >> 1).cast_signed();
        let master = Master::new(life, PACE, self.sabotage);
        let origin = self.now - self.rng.below(10_000_000);
        let wall = self.rng.below(600) - 300;
        let (inbox, outbox) = (Vec::new(), Vec::new());
        Node { master, origin, wall, paused_until: 0, inbox, outbox }
    }

    /// Milliseconds since it began.
    pub(crate) fn age(&self) -> Millis {
        self.now - self.start
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.age() >= CALM_AFTER
    }

    pub(crate) fn catalog(&self) -> std::sync::Arc<Catalog> {
        self.db.catalog.clone()
    }

    pub(crate) fn run(&mut self) {
        while self.oracle.verdict.is_none() {
            self.now += STEP;
            let age = self.age();
            if age < CALM_AFTER {
                self.faults();
                self.people();
            } else if age == CALM_AFTER {
                self.calm_down();
            } else if age == PAUSE_AFTER {
                self.check_punctual();
                self.pause_all();
            } else if age > PAUSE_AFTER && age % 2_000 == 0 {
                if self.is_over() {
                    return self.check_end();
                }
                if age > STUCK_AFTER {
                    let stuck = self.stuck();
                    self.oracle.fail(stuck);
                }
            }
            if age % 20_000 == 0 {
                self.keep_house();
            }
            self.deliver();
            for at in 0..self.nodes.len() {
                self.step_master(at);
            }
            for at in 0..self.hosts.len() {
                self.step_host(at);
            }
        }
    }

    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>7} {}", self.age(), what());
        }
    }

    /// Details of what ended long ago are deleted.
    fn keep_house(&mut self) {
        if self.db.away_until > self.now {
            return;
        }
        let nodes = &self.nodes;
        let resident = |key| {
            let mut worlds = nodes.iter().filter_map(|node| node.master.reign());
            worlds.any(|reign| reign.world().table().get(key).is_some())
        };
        self.db.purge(self.now, self.now - KEEP, resident);
    }

    // ---- the wire ----

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.get(&(from, to)).is_some_and(|&until| until > self.now)
    }

    pub(crate) fn post(&mut self, from: usize, to: usize, packet: Packet) {
        let calm = self.is_calm();
        if self.is_cut(from, to) || !calm && self.rng.one_in(15 * self.weather) {
            return;
        }
        let delay = match self.rng.below(400 * self.weather) {
            _ if calm => 1 + self.rng.below(50),
            0 => 1 + self.rng.below(60_000),
            1..20 => 1 + self.rng.below(4_000),
            _ => 1 + self.rng.below(150),
        };
        let limps = from.checked_sub(HOST).is_some_and(|host| self.limping.contains_key(&host));
        let delay = if limps { delay + 2_500 } else { delay };
        let key = (self.now + delay, self.rng.next());
        self.wire.insert(key, packet);
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
            self.events += 1;
            match entry.remove() {
                Packet::Call(master, life, host, number, ask) => {
                    self.hosts[at(host)].inbox.push(((master, life, number), ask));
                }
                Packet::Reply(master, life, host, number, reply) => {
                    let input = match reply {
                        Reply::Order(answer) => {
                            Input::Ordered(host, number, answer.map_err(CallError::Refused))
                        }
                        Reply::Watch(answer) => {
                            let answer = answer.map(|answer| *answer).map_err(CallError::Refused);
                            Input::Watched(host, number, answer)
                        }
                    };
                    self.inform(master, life, input);
                }
                Packet::Ask(master, life, number, op) => self.execute(master, life, number, &op),
                Packet::Answer(master, life, number, answer) => {
                    self.inform(master, life, Input::Db(number, answer));
                }
                Packet::Lease(master, life) if self.lease.away_until <= self.now => {
                    let ours = self.lease.ask(self.now, master);
                    self.post(LEASE, master, Packet::LeaseAnswer(master, life, ours));
                }
                Packet::Lease(..) => {}
                Packet::LeaseAnswer(master, life, ours) => {
                    self.inform(master, life, Input::Lease(ours));
                }
                Packet::Nudge(master) => {
                    let life = self.nodes[master].master.life();
                    self.inform(master, life, Input::Nudge);
                }
            }
        }
    }

    fn inform(&mut self, master: usize, life: i64, input: Input) {
        let node = &mut self.nodes[master];
        if node.master.life() == life {
            node.inbox.push(input);
        }
    }

    fn execute(&mut self, master: usize, life: i64, number: u64, op: &DbOp) {
        if self.db.away_until > self.now {
            return;
        }
        let mut before = BTreeMap::new();
        if let DbOp::Commit(batch) = op {
            for (key, _) in &batch.changes {
                if let (Key::Execution(id), Some(Row::Execution(row))) =
                    (key, self.db.rows.get(key))
                {
                    before.insert(*id, row.state);
                }
            }
        }
        let (answer, stored) = self.db.execute(self.now, op);
        for (key, row) in &stored {
            self.note(|| format!("stored by {master}: {key:?} {row:?}"));
        }
        if matches!(op, DbOp::Claim { .. } | DbOp::Leader | DbOp::Commit(_))
            && !matches!(answer, DbAnswer::Committed)
        {
            self.note(|| format!("db {master}: {op:?} -> {answer:?}"));
        }
        self.oracle.stored(self.now, &self.db, &stored);
        if matches!(answer, DbAnswer::Committed) {
            self.oracle.check_alerts(&before, &stored);
        }
        // The link may break now: done, and the answer lost.
        self.post(DB, master, Packet::Answer(master, life, number, Some(answer)));
    }

    // ---- masters and hosts ----

    fn step_master(&mut self, at: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if node.paused_until > now {
            return;
        }
        let life = node.master.life();
        for output in std::mem::take(&mut node.outbox) {
            match output {
                Output::Db(number, op) => self.post(at, DB, Packet::Ask(at, life, number, op)),
                Output::Lease => self.post(at, LEASE, Packet::Lease(at, life)),
                Output::Order(host, number, orders) => {
                    self.call((at, life), host, number, Ask::Order(order_call(orders)));
                }
                Output::Watch(host, number, watch) => {
                    self.call((at, life), host, number, Ask::Watch(watch_call(watch)));
                }
            }
        }
        let node = &mut self.nodes[at];
        let (tick, wall) = (now - node.origin, now + node.wall);
        for input in std::mem::take(&mut node.inbox).into_iter().chain([Input::Time]) {
            let landed = matches!(input, Input::Db(_, Some(DbAnswer::Committed)));
            let out = node.master.step(tick, wall, input);
            node.outbox.extend(out);
            if landed
                && self.rng.one_in(20)
                && let Err(what) =
                    crate::ending::same_as_stored(&node.master, (now, &self.db), self.sabotage)
            {
                self.oracle.fail(what);
            }
        }
    }

    fn call(&mut self, (master, life): (usize, i64), host: HostId, number: u64, ask: Ask) {
        if !self.is_calm() && self.rng.one_in(10) {
            // A copy comes when nobody expects it any more, cut or not.
            let key = (self.now + 3_000 + self.rng.below(40_000), self.rng.next());
            self.wire.insert(key, Packet::Call(master, life, host, number, ask.clone()));
        }
        self.post(master, HOST + at(host), Packet::Call(master, life, host, number, ask));
    }

    fn step_host(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let (replies, spawned) = host.step(self.now, STEP, &mut self.rng, &mut self.oracle);
        for attempt in spawned {
            self.events += 1;
            let (hosts, now) = (&self.hosts, self.now);
            let excuse = |host| hosts[self::at(host)].excuse(now);
            self.oracle.began((now, &self.db), attempt, id_of(at), excuse);
            self.note(|| format!("host {at} begins {attempt:?}"));
        }
        for ((master, life, number), reply) in replies {
            let packet = Packet::Reply(master, life, id_of(at), number, reply);
            self.post(HOST + at, master, packet);
        }
    }
}

fn call_of(leader: Reigning) -> Call {
    Call { cluster: CLUSTER.into(), leader }
}

fn order_call(orders: Orders) -> OrderCall {
    let order = |todo: Todo| match todo {
        Todo::Start { attempt, basis, leased, timeout_ms, grace_ms } => {
            let work = Work::default();
            Order::Start(Box::new(Start { attempt, basis, leased, timeout_ms, grace_ms, work }))
        }
        Todo::Kill { attempt, incarnation, grace_ms } => {
            Order::Kill { attempt, incarnation, grace_ms }
        }
    };
    let call = call_of(orders.leader);
    OrderCall { call, stored: orders.stored, orders: orders.todo.into_iter().map(order).collect() }
}

fn watch_call(watch: Watch) -> WatchCall {
    let Watch { leader, after, stored, hold_ms } = watch;
    WatchCall { call: call_of(leader), after, stored, hold_ms }
}
