//! How a world ends: everything has come to an end, or is shown unknown under its policy.

use crate::cluster::Cluster;
use crate::db::Db;
use crate::mesh::LATE_S;
use master::engine::calendar;
use master::engine::catalog::Job;
use master::engine::rows::*;
use master::engine::world::{Setup, Todo};
use master::engine::{Table, World};
use master::leader::master::Master;
use shared::ids::*;
use shared::sabotage::Switch;
use shared::spec::*;
use std::collections::BTreeMap;

impl Cluster {
    fn state(&self, id: DispatchId) -> DispatchState {
        match self.db.rows.get(&Key::Dispatch(id)) {
            Some(Row::Dispatch(state)) => *state,
            _ => DispatchState::default(),
        }
    }

    /// The first instant of this dispatch after that one.
    fn next_instant(&self, id: DispatchId, after: Millis) -> Millis {
        let spec = &self.db.catalog.dispatches[&id].spec;
        let cron = calendar::parse(&spec.cron).expect("a cron expression");
        let zone = calendar::zone(&spec.zone).expect("a zone");
        calendar::next_after(&cron, zone, after).expect("it goes on for ever")
    }

    /// Half a minute after the last fault every schedule is up to date.
    pub(crate) fn check_punctual(&mut self) {
        for id in self.catalog().dispatches.keys() {
            // An edit holds for the instants after it.
            let since = self.catalog().dispatches[id].since;
            let next = self.next_instant(*id, self.state(*id).cursor.max(since));
            if next + Millis::from(LATE_S) * 1_000 < self.now {
                self.oracle.fail(format!("dispatch {id} has stopped: {next} is not decided"));
            }
        }
    }

    fn job_spec(&self, id: JobRunId) -> Option<Job> {
        let Some(Row::Run(run)) = self.db.rows.get(&Key::Run(id.run)) else { return None };
        let interface = self.db.versions.get(&(run.interface, run.version))?;
        interface.jobs.iter().find(|job| job.id == id.job).cloned()
    }

    /// A host is dead and the world is calm: its leased jobs are elsewhere by now; for the others,
    /// and for what the database may have lost, a person has to say so.
    pub(crate) fn bury(&mut self, host: HostId) {
        for (key, row) in &self.db.rows {
            if let (Key::JobRun(id), Row::JobRun(job)) = (key, row)
                && job.phase.place().is_some_and(|place| place.host == host)
                && self.job_spec(*id).is_some_and(|job| job.spec.policy.on_lost == OnLost::Retry)
            {
                self.oracle.fail(format!("{id:?} was never given up by dead host {host}"));
            }
        }
        self.command(Verb::Retire { host }, false);
    }

    fn leader(&self) -> Option<&World> {
        let reigns = self.nodes.iter().filter_map(|node| node.master.reign());
        let mut leads = reigns.filter(|reign| reign.row().holder == self.db.leader.holder);
        leads.next().map(|reign| reign.world())
    }

    /// Held: a job of it, or of one that it waits for, is unknown and nobody has decided.
    fn is_held(&self, run: RunId) -> bool {
        let first = Key::JobRun(JobRunId { run, job: JobId(i64::MIN) });
        let jobs = self.db.rows.range(first..);
        jobs.take_while(|(key, _)| matches!(key, Key::JobRun(id) if id.run == run))
            .any(|(_, row)| matches!(row, Row::JobRun(job) if job.phase == Phase::Unknown))
    }

    /// Nothing can happen any more without a hand.
    pub(crate) fn is_over(&self) -> bool {
        self.leader().is_some()
            && self.db.unanswered().next().is_none()
            && self.db.rows.iter().all(|(key, row)| match (key, row) {
                (Key::Run(id), Row::Run(run)) => !run.state.is_live() || self.is_held(*id),
                (Key::JobRun(_), Row::JobRun(job)) => job.phase.place().is_none(),
                (Key::Doubt(_), _) => false,
                (_, Row::Backfill(row)) => row.state != BackfillState::Running,
                (Key::Dispatch(id), _) => {
                    self.next_instant(*id, self.state(*id).cursor) > self.now - 5_000
                }
                _ => true,
            })
    }

    pub(crate) fn stuck(&self) -> String {
        let open = self.db.rows.iter().filter(|(key, row)| match (key, row) {
            (Key::Run(id), Row::Run(run)) => run.state.is_live() && !self.is_held(*id),
            (_, Row::JobRun(job)) => job.phase.place().is_some(),
            (_, Row::Doubt) => true,
            (_, Row::Backfill(row)) => row.state == BackfillState::Running,
            (Key::Dispatch(id), _) => {
                self.next_instant(*id, self.state(*id).cursor) <= self.now - 5_000
            }
            _ => false,
        });
        let open: Vec<_> = open.take(3).collect();
        let runs = self.db.rows.iter().filter(
            |(_, row)| matches!(row, Row::JobRun(job) if !matches!(job.phase, Phase::Done(_))),
        );
        let jobs: Vec<_> = runs.take(4).collect();
        let commands: Vec<_> = self.db.unanswered().take(2).collect();
        let world = self.leader();
        let ready: Option<Vec<_>> = world.map(|world| world.ready().collect());
        let hosts = world.map(|world| (&world.fleet.hosts, &world.table().doubts));
        format!(
            "stuck; {open:?}; jobs {jobs:?}; commands {commands:?}; ready {ready:?}; hosts {hosts:?}"
        )
    }

    pub(crate) fn check_end(&mut self) {
        let mut wrong = Vec::new();
        for &id in self.catalog().dispatches.keys() {
            if self.db.catalog.dispatches[&id].version > 1 {
                continue; // it had another expression before
            }
            let mut instant = self.next_instant(id, self.start);
            while instant <= self.state(id).cursor {
                if !self.oracle.decided.contains_key(&(id, instant)) {
                    wrong.push(format!("instant {instant} of {id} was missed"));
                }
                instant = self.next_instant(id, instant);
            }
        }
        for (key, row) in &self.db.rows {
            match (key, row) {
                (Key::JobRun(id), Row::JobRun(job)) if job.phase == Phase::Unknown => {
                    let spec = self.job_spec(*id);
                    if spec.is_some_and(|job| job.spec.policy.on_unknown != OnUnknown::Hold) {
                        wrong.push(format!("{id:?} is held against its policy"));
                    }
                }
                (Key::Execution(id), Row::Execution(execution)) => {
                    let live = |run: &RunId| match self.db.rows.get(&Key::Run(*run)) {
                        Some(Row::Run(run)) => run.state.is_live(),
                        _ => false,
                    };
                    if execution.state.is_live() && !execution.runs.iter().any(live) {
                        wrong.push(format!("{id:?} goes on and none of its runs does"));
                    }
                }
                _ => {}
            }
        }
        if let Some(what) = wrong.into_iter().next() {
            self.oracle.fail(what);
        }
    }
}

/// A World loaded from the rows is the one in memory, and wants the same.
pub(crate) fn same_as_stored(
    master: &Master,
    (now, db): (Millis, &Db),
    sabotage: Switch,
) -> Result<(), String> {
    let Some(reign) = master.reign() else { return Ok(()) };
    if !reign.is_stored() || db.leader != *reign.row() {
        return Ok(());
    }
    let table = reign.world().table();
    for key in keys(table) {
        let (memory, stored) = (table.get(key), db.rows.get(&key));
        // What was read just before it was purged is no matter.
        let purged = stored.is_none() && is_old(table, key, now);
        if memory.as_ref() != stored && !purged {
            return Err(format!("{key:?}: memory {memory:?}, stored {stored:?}"));
        }
    }
    let setup = Setup {
        catalog: reign.world().catalog().clone(),
        reign: reign.row().holder,
        timing: crate::cluster::TIMING,
        sabotage,
        fleet: reign.world().fleet.clone(),
    };
    let fresh = World::load(setup, db.live());
    // How long a stray is given may have been forgotten with its run.
    let order = |(attempt, todo): (&AttemptId, &Todo)| match *todo {
        Todo::Kill { incarnation, .. } => {
            (*attempt, Todo::Kill { attempt: *attempt, incarnation, grace_ms: 0 })
        }
        start @ Todo::Start { .. } => (*attempt, start),
    };
    let orders = |world: &World| -> BTreeMap<HostId, BTreeMap<AttemptId, Todo>> {
        let all = world.due().orders.iter();
        all.map(|(host, orders)| (*host, orders.iter().map(order).collect())).collect()
    };
    let (memory, stored) = (orders(reign.world()), orders(&fresh));
    match memory == stored {
        true => Ok(()),
        false => Err(format!("memory wants {memory:?}, a World from the rows {stored:?}")),
    }
}

fn is_old(table: &Table, key: Key, now: Millis) -> bool {
    let run = |id: RunId| table.runs.get(&id).map_or(Some(0), |run| run.ended);
    let ended = match key {
        Key::Execution(id) => table.executions.get(&id).and_then(|execution| execution.ended),
        Key::JobRun(id) => run(id.run),
        Key::Attempt(id) => run(id.run),
        _ => None,
    };
    // Dates may be some time off, as the clocks of this world are.
    ended.is_some_and(|ended| ended + crate::cluster::KEEP < now + 5_000)
}

/// Of all that is resident. Results of commands are only written.
fn keys(table: &Table) -> impl Iterator<Item = Key> {
    let dispatches = table.dispatches.keys().map(|id| Key::Dispatch(*id));
    let executions = table.executions.keys().map(|id| Key::Execution(*id));
    let runs = table.runs.keys().map(|id| Key::Run(*id));
    let jobs = table.jobs.keys().map(|id| Key::JobRun(*id));
    let attempts = table.attempts.keys().map(|id| Key::Attempt(*id));
    let doubts = table.doubts.iter().map(|id| Key::Doubt(*id));
    let backfills = table.backfills.keys().map(|id| Key::Backfill(*id));
    let rows = dispatches.chain(executions).chain(runs).chain(jobs).chain(attempts);
    rows.chain(doubts).chain(backfills)
}
