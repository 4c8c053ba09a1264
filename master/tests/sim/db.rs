//! A database with atomic batches guarded by the leader row. It may lose what it had confirmed when
//! it fails over; the server's id changes then. And the lease document.
//!
//! What it answers to a question is what `store/` answers: the contract tests hold that.

use crate::mesh::Versions;
use master::engine::catalog::Catalog;
use master::engine::rows::*;
use master::engine::world::{Ask, SliceRows};
use master::leader::ops::{Batch, DbAnswer, DbOp, LeaderRow};
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) struct Commit {
    pub(crate) at: Millis,
    /// The row before it.
    pub(crate) leader: LeaderRow,
    undo: Vec<Change>,
    /// Definitions before it, if it changed them.
    catalog: Option<Arc<Catalog>>,
    /// A command that it inserted.
    command: Option<CommandId>,
}

pub(crate) struct Db {
    pub(crate) rows: BTreeMap<Key, Row>,
    slices: BTreeMap<(InterfaceId, Period), BTreeSet<RunId>>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) versions: Versions,
    pub(crate) commands: BTreeMap<CommandId, Command>,
    pub(crate) leader: LeaderRow,
    pub(crate) server: u64,
    pub(crate) log: Vec<Commit>,
    pub(crate) away_until: Millis,
    /// Its clock minus the true one.
    pub(crate) clock: Millis,
    /// One in so many executions can never be stored.
    pub(crate) bad_luck: i64,
    pub(crate) guarded: bool,
    pub(crate) any_server: bool,
    /// Of the command to come.
    next: i64,
}

impl Db {
    pub(crate) fn new(catalog: Catalog, bad_luck: i64) -> Db {
        let server = 1;
        let versions =
            catalog.interfaces.values().map(|i| ((i.id, i.version), i.clone())).collect();
        Db {
            rows: BTreeMap::new(),
            slices: BTreeMap::new(),
            catalog: Arc::new(catalog),
            versions,
            commands: BTreeMap::new(),
            leader: LeaderRow { server: server.to_string(), ..LeaderRow::default() },
            server,
            log: Vec::new(),
            away_until: 0,
            clock: 0,
            bad_luck,
            guarded: true,
            any_server: false,
            next: 0,
        }
    }

    fn set(&mut self, key: Key, row: Option<Row>) -> Option<Row> {
        if let (Key::Run(id), Some(Row::Run(run))) = (key, &row) {
            self.slices.entry((run.interface, run.period)).or_default().insert(id);
        }
        match row {
            Some(row) => self.rows.insert(key, row),
            None => self.rows.remove(&key),
        }
    }

    fn write(&mut self, now: Millis, leader: LeaderRow, changes: &[Change]) {
        let undo = changes.iter().map(|(key, row)| (*key, self.set(*key, row.clone()))).collect();
        let before = std::mem::replace(&mut self.leader, leader);
        self.log.push(Commit { at: now, leader: before, undo, catalog: None, command: None });
    }

    // ---- what pages write ----

    pub(crate) fn edit(&mut self, now: Millis, catalog: Catalog) {
        let current = catalog.interfaces.values().map(|i| ((i.id, i.version), i.clone()));
        self.versions.extend(current);
        let before = std::mem::replace(&mut self.catalog, Arc::new(catalog));
        let leader = self.leader.clone();
        let (undo, command) = (Vec::new(), None);
        self.log.push(Commit { at: now, leader, undo, catalog: Some(before), command });
    }

    pub(crate) fn command(&mut self, now: Millis, command: Command) -> CommandId {
        self.next += 1;
        let id = CommandId(self.next);
        self.commands.insert(id, command);
        let (leader, undo) = (self.leader.clone(), Vec::new());
        self.log.push(Commit { at: now, leader, undo, catalog: None, command: Some(id) });
        id
    }

    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (CommandId, &Command)> {
        let all = self.commands.iter().map(|(id, command)| (*id, command));
        all.filter(|(id, _)| !self.rows.contains_key(&Key::Command(*id)))
    }

    // ---- what the leader asks ----

    /// Answers what was asked, and what was stored.
    pub(crate) fn execute(&mut self, now: Millis, op: &DbOp) -> (DbAnswer, Vec<Change>) {
        let date = now + self.clock;
        let (leader, server) = (self.leader.clone(), self.server.to_string());
        let mut stored = Vec::new();
        let answer = match op {
            DbOp::Claim { above, holder } => {
                // Another server than the last leader's may have lost what hosts were told.
                if leader.server != server {
                    let hosts = self.catalog.hosts.keys();
                    stored = hosts.map(|host| (Key::Doubt(*host), Some(Row::Doubt))).collect();
                }
                let epoch = leader.epoch.max(*above) + 1;
                let leader = LeaderRow { epoch, holder: *holder, batch: 0, server };
                self.write(now, leader, &stored);
                DbAnswer::Claimed
            }
            DbOp::Load => {
                let (catalog, rows) = (self.definitions(), self.live());
                DbAnswer::Loaded { leader, server, catalog, rows, date }
            }
            DbOp::Leader => DbAnswer::Leader { leader, server },
            DbOp::Poll => {
                let commands = self.unanswered().map(|(id, c)| (id, c.clone())).collect();
                let revision = self.catalog.revision;
                DbAnswer::Polled { leader, server, revision, commands, date }
            }
            DbOp::Catalog => DbAnswer::Catalog(self.definitions()),
            DbOp::Slices(asks) => {
                DbAnswer::Slices(asks.iter().map(|ask| self.answer(*ask)).collect())
            }
            DbOp::Commit(batch) => {
                if self.guarded && !self.matches(batch) {
                    return (DbAnswer::Refused { leader, server }, stored);
                }
                let version = |id| self.catalog.dispatches.get(&id).map(|d| d.version);
                if batch.fires.iter().any(|&(id, v)| version(id) != Some(v)) {
                    return (DbAnswer::Edited, stored);
                }
                if let Some((key, _)) = batch.changes.iter().find(|change| self.is_bad(change)) {
                    return (DbAnswer::BadItem(*key, "it is too long".into()), stored);
                }
                stored = batch.changes.clone();
                self.write(now, LeaderRow { batch: leader.batch + 1, ..leader }, &stored);
                DbAnswer::Committed
            }
        };
        (answer, stored)
    }

    fn matches(&self, batch: &Batch) -> bool {
        batch.epoch == self.leader.epoch
            && batch.holder == self.leader.holder
            && batch.batch == self.leader.batch
            && (self.any_server || self.leader.server == self.server.to_string())
    }

    /// Rule L4: some executions can never be stored.
    fn is_bad(&self, (key, row): &Change) -> bool {
        let (Key::Execution(id), Some(Row::Execution(_))) = (key, row) else { return false };
        id.0 % self.bad_luck == 0 && !self.rows.contains_key(key)
    }

    /// All definitions, and the versions that live runs name.
    fn definitions(&self) -> Arc<Catalog> {
        let runs = self.rows.values().filter_map(|row| match row {
            Row::Run(run) if run.state.is_live() => Some((run.interface, run.version)),
            _ => None,
        });
        let old = |key: &(InterfaceId, i64)| {
            self.catalog.interfaces.get(&key.0).is_none_or(|i| i.version != key.1)
        };
        let old: BTreeSet<(InterfaceId, i64)> = runs.filter(old).collect();
        let mut catalog = Catalog::clone(&self.catalog);
        catalog.old = old.into_iter().map(|key| (key, self.versions[&key].clone())).collect();
        Arc::new(catalog)
    }

    fn job_runs(&self, run: RunId) -> impl Iterator<Item = (Key, Row)> {
        let job = |job| Key::JobRun(JobRunId { run, job });
        let rows = self.rows.range(job(JobId(i64::MIN))..=job(JobId(i64::MAX)));
        rows.map(|(key, row)| (*key, row.clone()))
    }

    fn attempts(&self, run: RunId) -> impl Iterator<Item = (Key, Row)> {
        let first = AttemptId { run, job: JobId(i64::MIN), number: 0, reign: i64::MIN };
        let last = AttemptId { run, job: JobId(i64::MAX), number: u32::MAX, reign: i64::MAX };
        let rows = self.rows.range(Key::Attempt(first)..=Key::Attempt(last));
        rows.map(|(key, row)| (*key, row.clone()))
    }

    /// What a World is loaded from: see `World::load`.
    pub(crate) fn live(&self) -> Vec<(Key, Row)> {
        let mut named = BTreeSet::new();
        let mut rows = BTreeMap::new();
        for (key, row) in &self.rows {
            let keep = match (key, row) {
                (Key::Dispatch(_) | Key::Doubt(_), _) => true,
                (_, Row::Backfill(row)) => row.state.is_live(),
                (Key::Execution(_), Row::Execution(execution)) if execution.state.is_live() => {
                    named.extend(execution.runs.iter().copied());
                    true
                }
                (Key::Run(id), Row::Run(run)) if run.state.is_live() => {
                    rows.extend(self.job_runs(*id));
                    rows.extend(self.attempts(*id));
                    true
                }
                (Key::Attempt(id), Row::Attempt(attempt)) => {
                    if attempt.mark == Mark::Orphan {
                        named.insert(id.run);
                        rows.extend(self.job_runs(id.run));
                    }
                    attempt.mark != Mark::Plain
                }
                _ => false,
            };
            if keep {
                rows.insert(*key, row.clone());
            }
        }
        for run in named {
            rows.extend(self.rows.get(&Key::Run(run)).map(|row| (Key::Run(run), row.clone())));
        }
        rows.into_iter().collect()
    }

    fn answer(&self, ask: Ask) -> SliceRows {
        let slice = |interface, period| {
            let runs = self.slices.get(&(interface, period)).into_iter().flatten();
            let runs = runs.filter_map(|id| Some((*id, self.rows.get(&Key::Run(*id))?.clone())));
            runs.flat_map(|(id, row)| std::iter::once((Key::Run(id), row)).chain(self.job_runs(id)))
                .collect::<Vec<_>>()
        };
        let rows = match ask {
            Ask::Slice(interface, period) => slice(interface, period),
            Ask::Run(id) => match self.rows.get(&Key::Run(id)) {
                Some(Row::Run(run)) => {
                    let mut rows = slice(run.interface, run.period);
                    rows.extend(self.attempts(id));
                    rows
                }
                _ => Vec::new(),
            },
            Ask::Execution(id) => {
                let key = Key::Execution(id);
                self.rows.get(&key).map(|row| (key, row.clone())).into_iter().collect()
            }
            Ask::Version(..) => Vec::new(),
        };
        let definition = match ask {
            Ask::Version(id, version) => self.versions.get(&(id, version)).cloned(),
            Ask::Slice(..) | Ask::Run(_) | Ask::Execution(_) => None,
        };
        SliceRows { ask, rows, definition }
    }

    // ---- what goes wrong ----

    /// Another server takes over; it lacks the last `lost` commits. Answers what became undone.
    pub(crate) fn fail_over(&mut self, lost: usize) -> Vec<Change> {
        let mut undone = Vec::new();
        for _ in 0..lost.min(self.log.len()) {
            let commit = self.log.pop().expect("not empty");
            self.leader = commit.leader;
            if let Some(catalog) = commit.catalog {
                self.catalog = catalog;
            }
            if let Some(id) = commit.command {
                self.commands.remove(&id);
            }
            for (key, old) in commit.undo.into_iter().rev() {
                let lost = self.set(key, old);
                undone.push((key, lost));
            }
        }
        self.server += 1;
        undone
    }

    /// Housekeeping: details of what ended before are deleted, unless somebody still looks at it.
    pub(crate) fn purge(&mut self, now: Millis, before: Millis, resident: impl Fn(Key) -> bool) {
        let ended = |id: RunId| match self.rows.get(&Key::Run(id)) {
            Some(Row::Run(run)) => {
                run.ended.is_some_and(|at| at < before) && !resident(Key::Run(id))
            }
            _ => true,
        };
        let cursor = |id: DispatchId| match self.rows.get(&Key::Dispatch(id)) {
            Some(Row::Dispatch(state)) => state.cursor,
            _ => 0,
        };
        let old = |(key, row): &(&Key, &Row)| match (*key, *row) {
            (Key::Firing(id, instant), _) => *instant < before && *instant < cursor(*id),
            (Key::Execution(_), Row::Execution(execution)) => {
                !execution.state.is_live()
                    && !resident(**key)
                    && execution.runs.iter().all(|run| ended(*run))
            }
            (Key::JobRun(id), _) => ended(id.run),
            (Key::Attempt(id), Row::Attempt(attempt)) => {
                attempt.mark == Mark::Plain && ended(id.run)
            }
            _ => false,
        };
        let keys = self.rows.iter().filter(old).map(|(key, _)| (*key, None));
        let changes: Vec<Change> = keys.collect();
        self.write(now, self.leader.clone(), &changes);
    }
}

/// Mongo: compares with its own clock.
#[derive(Default)]
pub(crate) struct Lease {
    holder: Option<usize>,
    until: Millis,
    pub(crate) away_until: Millis,
}

const TTL: Millis = 4_000;

impl Lease {
    pub(crate) fn ask(&mut self, now: Millis, master: usize) -> bool {
        let granted = self.holder == Some(master) || now >= self.until;
        if granted {
            self.holder = Some(master);
            self.until = now + TTL;
        }
        granted
    }
}
