//! A world with hosts that answer at once, and a database that is a map.

pub(super) use super::notation::*;
use crate::engine::catalog::*;
use crate::engine::fleet::Fleet;
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::ids::*;
use shared::sabotage::Switch;
use shared::spec::*;
use shared::wire::{Exit, Report, State, Timing, WatchAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const DATE: Millis = 1_794_997_600_000; // 2026-11-18T10:26:40Z

pub(super) struct Lab {
    pub(super) world: World,
    pub(super) db: BTreeMap<Key, Row>,
    pub(super) now: Now,
    pub(super) catalog: Catalog,
    fates: BTreeMap<(InterfaceId, JobId), Fate>,
    /// What each host has running.
    pub(super) running: BTreeMap<HostId, BTreeSet<AttemptId>>,
    /// Their answers so far.
    pub(super) seq: BTreeMap<HostId, Answer>,
    pub(super) begun: Vec<AttemptId>,
    begun_once: BTreeSet<AttemptId>,
    pub(super) loads: usize,
    pub(super) commands: i64,
    /// Silent hosts neither hear nor answer.
    pub(super) silent: BTreeSet<HostId>,
}

pub(super) fn host(id: i64, slots: u32) -> Host {
    let spec = HostSpec {
        description: String::new(),
        address: "127.0.0.1:1".into(),
        slots,
        weight: 1,
        labels: Vec::new(),
        draining: false,
    };
    let name = format!("h{id}");
    Host { id: HostId(id), project: ProjectId(0), name, agent: String::new(), version: 1, spec }
}

impl Lab {
    /// One host with eight slots.
    pub(super) fn new(mesh: &str) -> Lab {
        Lab::with_hosts(mesh, &[8])
    }

    pub(super) fn with_hosts(mesh: &str, slots: &[u32]) -> Lab {
        let mut catalog = Catalog { revision: 1, ..Catalog::default() };
        let mut fates = BTreeMap::new();
        for line in mesh.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Parsed { interface, fates: of } = parse(line);
            fates.extend(of.into_iter().map(|(job, fate)| ((interface.id, job), fate)));
            catalog.interfaces.insert(interface.id, Arc::new(interface));
        }
        for (id, &slots) in (1..).zip(slots) {
            catalog.hosts.insert(HostId(id), Arc::new(host(id, slots)));
        }
        catalog.pools.insert(PoolId(1), 1);
        Lab::of(catalog, fates, None)
    }

    pub(super) fn of(
        catalog: Catalog,
        fates: BTreeMap<(InterfaceId, JobId), Fate>,
        sabotage: Switch,
    ) -> Lab {
        let now = Now { tick: 1_000_000, date: DATE, wall: DATE };
        let setup = Setup {
            catalog: Arc::new(catalog.clone()),
            reign: 7,
            timing: Timing::default(),
            sabotage,
            fleet: Fleet::new(now.tick),
        };
        let mut lab = Lab {
            world: World::load(setup, []),
            db: BTreeMap::new(),
            now,
            catalog,
            fates,
            running: BTreeMap::new(),
            seq: BTreeMap::new(),
            begun: Vec::new(),
            begun_once: BTreeSet::new(),
            loads: 0,
            commands: 0,
            silent: BTreeSet::new(),
        };
        for host in lab.catalog.hosts.keys().copied().collect::<Vec<_>>() {
            lab.answer(host, true, vec![]);
        }
        lab
    }

    /// A world from the rows that are stored: what a `Load` of the store gives. It knows the date.
    pub(super) fn loaded(&self) -> (World, Vec<Change>) {
        let live: BTreeSet<RunId> = self.live_rows();
        let rows: Vec<(Key, Row)> = self
            .db
            .iter()
            .filter(|(key, row)| match (key, row) {
                (Key::Run(id), _) => live.contains(id),
                (Key::JobRun(id), _) => is_live(self.db.get(&Key::Run(id.run))),
                (Key::Attempt(id), Row::Attempt(attempt)) => {
                    attempt.mark != Mark::Plain || is_live(self.db.get(&Key::Run(id.run)))
                }
                (Key::Execution(_), Row::Execution(row)) => row.state.is_live(),
                (Key::Dispatch(_) | Key::Doubt(_), _) => true,
                (_, Row::Backfill(row)) => row.state.is_live(),
                _ => false,
            })
            .map(|(key, row)| (*key, row.clone()))
            .collect();
        let setup = Setup {
            catalog: Arc::new(self.catalog.clone()),
            reign: 8,
            timing: Timing::default(),
            sabotage: None,
            fleet: Fleet::new(self.now.tick),
        };
        let mut world = World::load(setup, rows);
        let asked = world.apply(self.now, Event::Stored(0));
        (world, asked)
    }

    /// Another leader.
    pub(super) fn reload(&mut self) {
        let (world, changes) = self.loaded();
        self.world = world;
        self.store(&changes);
        for host in self.catalog.hosts.keys().copied().collect::<Vec<_>>() {
            if !self.silent.contains(&host) {
                let running = self.running.get(&host).into_iter().flatten();
                let listed = running.map(|id| report(*id, State::Running)).collect();
                self.answer(host, true, listed);
            }
        }
    }

    fn live_rows(&self) -> BTreeSet<RunId> {
        let mut live = BTreeSet::new();
        for (key, row) in &self.db {
            match (key, row) {
                (Key::Run(id), Row::Run(run)) if run.state.is_live() => _ = live.insert(*id),
                (_, Row::Execution(row)) if row.state.is_live() => live.extend(&row.runs),
                _ => {}
            }
        }
        live
    }

    /// Applies and stores.
    pub(super) fn apply(&mut self, event: Event) -> Vec<Change> {
        let changes = self.world.apply(self.now, event);
        self.store(&changes);
        super::definition::check(self);
        changes
    }

    fn store(&mut self, changes: &[Change]) {
        for (key, row) in changes {
            match row {
                Some(row) => _ = self.db.insert(*key, row.clone()),
                None => _ = self.db.remove(key),
            }
        }
    }

    pub(super) fn answer(&mut self, host: HostId, full: bool, mut listed: Vec<Report>) {
        // A leader that has heard nothing of it asks for all.
        let first = self.world.fleet.hosts.get(&host).is_none_or(|seen| seen.answer.is_none());
        if first && !full {
            let running = self.running.get(&host).into_iter().flatten();
            listed.extend(running.map(|id| report(*id, State::Running)));
        }
        let full = full || first;
        let first = Answer { incarnation: Incarnation(host.0.unsigned_abs().into()), seq: 0 };
        let answer = self.seq.entry(host).or_insert(first);
        answer.seq += 1;
        let answer = *answer;
        let wall_ms = self.now.wall;
        let answer = WatchAnswer { answer, full, listed, wall_ms, ..WatchAnswer::default() };
        self.apply(Event::Heard(host, answer));
    }

    /// Gives what is asked for, and lets the hosts do what they are told, until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.give() && !self.obey() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// One read of the database.
    pub(super) fn give(&mut self) -> bool {
        let asks: Vec<Ask> = self.world.due().load.iter().copied().collect();
        if asks.is_empty() {
            return false;
        }
        self.loads += asks.len();
        let slices = asks
            .into_iter()
            .map(|ask| SliceRows { ask, rows: self.rows(ask), definition: self.definition(ask) })
            .collect();
        self.apply(Event::Slices(slices));
        true
    }

    /// As the store has them, whatever the World was told.
    fn definition(&self, ask: Ask) -> Option<Arc<Interface>> {
        let Ask::Version(id, version) = ask else { return None };
        self.catalog.at(id, version).cloned()
    }

    fn rows(&self, ask: Ask) -> Vec<(Key, Row)> {
        let slice = |run: RunId| match self.db.get(&Key::Run(run)) {
            Some(Row::Run(run)) => Some((run.interface, run.period)),
            _ => None,
        };
        let of = match ask {
            Ask::Execution(id) => {
                let key = Key::Execution(id);
                return self.db.get(&key).map(|row| (key, row.clone())).into_iter().collect();
            }
            Ask::Slice(interface, period) => Some((interface, period)),
            Ask::Run(run) => slice(run),
            Ask::Version(..) => None,
        };
        let Some(of) = of else { return Vec::new() };
        let wanted = |key: &Key| match *key {
            Key::Run(id) | Key::JobRun(JobRunId { run: id, .. }) => slice(id) == Some(of),
            Key::Attempt(id) => ask == Ask::Run(id.run),
            _ => false,
        };
        let rows = self.db.iter().filter(|(key, _)| wanted(key));
        rows.map(|(key, row)| (*key, row.clone())).collect()
    }

    /// Every host takes its orders and tells what became of them.
    fn obey(&mut self) -> bool {
        let mut did = false;
        for (host, orders) in self.world.due().orders.clone() {
            if self.silent.contains(&host) {
                continue;
            }
            let mut listed = Vec::new();
            for (&attempt, todo) in orders.iter() {
                match todo {
                    Todo::Start { .. } => {
                        assert!(self.begun_once.insert(attempt), "{attempt} began twice");
                        self.begun.push(attempt);
                        match self.end(attempt) {
                            Some(exit) => listed.push(report(attempt, State::Ended(exit))),
                            None => {
                                self.running.entry(host).or_default().insert(attempt);
                                listed.push(report(attempt, State::Running));
                            }
                        }
                    }
                    Todo::Kill { .. } => {
                        self.running.entry(host).or_default().remove(&attempt);
                        listed.push(report(attempt, State::Ended(Exit::Killed)));
                    }
                }
            }
            did = true;
            self.answer(host, false, listed);
        }
        did
    }

    fn end(&self, attempt: AttemptId) -> Option<Exit> {
        let of = match self.db.get(&Key::Run(attempt.run)) {
            Some(Row::Run(run)) => run.interface,
            _ => panic!("{attempt} has no run"),
        };
        match self.fates.get(&(of, attempt.job)).copied().unwrap_or(Fate::Ok) {
            Fate::Ok => Some(Exit::Code(0)),
            Fate::Fails(times) if attempt.number <= times => Some(Exit::Code(1)),
            Fate::Fails(_) => Some(Exit::Code(0)),
            Fate::TimesOut => Some(Exit::TimedOut),
            Fate::Hangs => None,
        }
    }

    pub(super) fn fate(&mut self, of: &str, name: &str, fate: Fate) {
        let of = interface(of);
        self.fates.insert((of, job(of, name)), fate);
    }

    /// A running attempt ends now.
    pub(super) fn exit(&mut self, of: &str, on: &str, name: &str, exit: Exit) {
        let id = JobRunId { run: self.run(of, on), job: job(interface(of), name) };
        let attempt = self.world.table().jobs[&id].attempt(id);
        let host =
            self.running.iter().find(|(_, set)| set.contains(&attempt)).map(|(host, _)| *host);
        let host = host.expect("it runs somewhere");
        self.running.entry(host).or_default().remove(&attempt);
        self.answer(host, false, vec![report(attempt, State::Ended(exit))]);
        self.settle();
    }

    /// Time passes, hosts that are not silent answer.
    pub(super) fn pass(&mut self, ms: Millis) {
        self.now.tick += ms;
        self.now.date += ms;
        self.now.wall += ms;
        for host in self.catalog.hosts.keys().copied().collect::<Vec<_>>() {
            if !self.silent.contains(&host) {
                self.answer(host, false, vec![]);
            }
        }
        self.apply(Event::Tick);
        self.settle();
    }

    /// From one moment at which time changes something to the next, for at most so long.
    pub(super) fn wait(&mut self, ms: Millis) {
        let until = self.now.tick + ms;
        while let Some(wake) = self.world.due().wake.filter(|wake| *wake <= until) {
            self.pass((wake - self.now.tick).max(1));
        }
        self.pass((until - self.now.tick).max(0));
    }

    pub(super) fn command(&mut self, verb: Verb, dry_run: bool) -> Plan {
        self.commands += 1;
        let id = CommandId(self.commands);
        let command = Command { project: ProjectId(1), by: UserId(1), verb, dry_run };
        self.apply(Event::Command(id, command));
        for _ in 0..100 {
            if let Some(Row::Command(result)) = self.db.get(&Key::Command(id)) {
                return result.plan.clone();
            }
            assert!(self.give(), "the command waits for nothing");
        }
        panic!("the command is never answered");
    }

    pub(super) fn start(&mut self, of: &str, on: &str, cascade: bool) -> Plan {
        let verb = Verb::RunNow {
            interface: interface(of),
            period: period(on),
            cascade,
            params: BTreeMap::new(),
            missing_only: false,
            api: false,
        };
        self.command(verb, false)
    }

    /// Starts and waits.
    pub(super) fn runs(&mut self, of: &str, on: &str, cascade: bool) -> Plan {
        let plan = self.start(of, on, cascade);
        self.settle();
        plan
    }

    // ---- what is there ----

    /// The newest generation.
    pub(super) fn run(&self, of: &str, on: &str) -> RunId {
        let generations = self.db.values().filter_map(|row| match row {
            Row::Run(run) if run.interface == interface(of) && run.period == period(on) => {
                Some(run.generation)
            }
            _ => None,
        });
        RunId::of(interface(of), period(on), generations.max().expect("it has a run"))
    }

    pub(super) fn run_row(&self, of: &str, on: &str) -> &Run {
        match self.db.get(&Key::Run(self.run(of, on))) {
            Some(Row::Run(run)) => run,
            _ => panic!("no run"),
        }
    }

    pub(super) fn job_row(&self, of: &str, on: &str, name: &str) -> &JobRun {
        let id = JobRunId { run: self.run(of, on), job: job(interface(of), name) };
        match self.db.get(&Key::JobRun(id)) {
            Some(Row::JobRun(job)) => job,
            _ => panic!("no job"),
        }
    }

    /// `a ok, b failed, c skipped`
    pub(super) fn jobs(&self, of: &str, on: &str) -> String {
        let run = self.run(of, on);
        let rows = self.db.iter().filter_map(|(key, row)| match (key, row) {
            (Key::JobRun(id), Row::JobRun(job)) if id.run == run => Some((id.job, job.phase)),
            _ => None,
        });
        let name = |job: JobId| char::from(b'a' + u8::try_from((job.0 - 1) % 100).unwrap());
        let word = |phase: Phase| match phase {
            Phase::Done(Verdict::Succeeded) => "ok",
            phase => phase.word(),
        };
        let jobs: Vec<String> =
            rows.map(|(job, phase)| format!("{} {}", name(job), word(phase))).collect();
        jobs.join(", ")
    }

    pub(super) fn state(&self, of: &str, on: &str) -> &'static str {
        crate::engine::word(self.run_row(of, on).state)
    }

    pub(super) fn execution(&self, plan: &Plan) -> &Execution {
        match self.db.get(&Key::Execution(plan.execution.unwrap())) {
            Some(Row::Execution(row)) => row,
            _ => panic!("no execution"),
        }
    }

    pub(super) fn alerts(&self) -> Vec<AlertEvent> {
        let alerts = self.db.values().filter_map(|row| match row {
            Row::Outbox(alert) => Some((alert.created, alert.event)),
            _ => None,
        });
        let mut alerts: Vec<_> = alerts.collect();
        alerts.sort_by_key(|(at, _)| *at);
        alerts.into_iter().map(|(_, event)| event).collect()
    }
}

fn is_live(row: Option<&Row>) -> bool {
    matches!(row, Some(Row::Run(run)) if run.state.is_live())
}

pub(super) fn report(attempt: AttemptId, state: State) -> Report {
    Report {
        attempt,
        state,
        started_ms: None,
        ended_ms: None,
        out_bytes: 0,
        err_bytes: 0,
        rss_max_kib: None,
        cpu_ms: None,
    }
}
