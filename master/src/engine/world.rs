//! All state across runs: the rows, and indexes made from them.
//!
//! [`World::apply`] takes an event and answers with the rows that changed; [`World::due`] says what
//! ought to be done, by the state alone. So a leader that has loaded the rows wants what its
//! predecessor wanted, and there is no code for recovery. The leader's core calls it, and the
//! simulation.
//!
//! Rule: every index is a function of the rows, kept by [`World::put`] alone; that is why a dry run
//! is the very call, rolled back by putting the old rows back.

use super::backfill::Fills;
use super::catalog::{Catalog, Interface};
use super::execution::Folds;
use super::fire::Heap;
use super::fleet::Fleet;
use super::index::Live;
use super::mesh::Mesh;
use super::orders::Places;
use super::queue::Queue;
use super::reason::Reason;
use super::rows::*;
use super::slice::Slices;
use super::table::Table;
use super::time::Times;
use super::wait::Waiter;
use shared::ids::*;
use shared::period::Period;
use shared::sabotage::{Sabotage, Switch};
use shared::wire::{Timing, WatchAnswer};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The wall may differ from the database's clock by this much; beyond it nothing fires (rule L7).
pub const SKEW_MS: Millis = 2_000;

/// What a world needs beside its rows.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub catalog: Arc<Catalog>,
    /// The holder of the lead: part of the key of every attempt that is assigned (rule H4).
    pub reign: i64,
    pub timing: Timing,
    /// For the simulation only; none in the product.
    pub sabotage: Switch,
    /// `Fleet::new(tick)` of a new leader; of one that loads its rows anew, `fleet.reloaded()`.
    pub fleet: Fleet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic: silence is counted on it alone.
    pub tick: Millis,
    /// The same clock anchored to the database's: dates in rows.
    pub date: Millis,
    /// This machine's wall. When it differs from `date`, nothing fires (rule L7).
    pub wall: Millis,
}

impl Now {
    pub fn clocks_agree(self) -> bool {
        self.wall.abs_diff(self.date) <= SKEW_MS.unsigned_abs()
    }
}

#[derive(Clone, Debug)]
pub enum Event {
    /// Time passed.
    Tick,
    /// A host answered `watch`; answers come in order (rule H3).
    Heard(HostId, WatchAnswer),
    /// Definitions were edited.
    Catalog(Arc<Catalog>),
    /// Known ones, and those that were answered, are ignored: it may be told as often as it is read.
    Command(CommandId, Command),
    /// The command of this assigned attempt cannot be composed (a parameter without a value): nobody
    /// was sent it, nobody ever will be. It ends as [`Refusal::CannotStart`] with these words; a
    /// retry would be given the same, so the job run fails.
    ///
    /// [`Refusal::CannotStart`]: shared::wire::Refusal::CannotStart
    CannotStart(AttemptId, String),
    /// The rows of this firing cannot be stored (rule L4).
    Unfirable(DispatchId, Millis),
    /// The rows of an execution of this backfill cannot be stored (rule L4).
    Unfillable(CommandId),
    /// What [`Due::load`] asked for, in any order.
    Slices(Vec<SliceRows>),
    /// All changes made up to this [`World::step`] are stored: what is idle may be dropped.
    Stored(u64),
    /// Details of what ended before this date are deleted; the store deletes what is not resident.
    Purge(Millis),
}

/// What must be read before something can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// All runs of all generations and their job runs; no attempts.
    Slice(InterfaceId, Period),
    /// The slice that this run is in, and the attempts of this run. Nothing if there is no such run.
    Run(RunId),
    /// The row itself; its runs are asked for when they are needed.
    Execution(ExecutionId),
    /// An interface as it was at this version, for a run that is to go on by it.
    Version(InterfaceId, i64),
}

/// The answer to one [`Ask`]; what is not there is thereby known not to be there.
#[derive(Clone, Debug)]
pub struct SliceRows {
    pub ask: Ask,
    pub rows: Vec<(Key, Row)>,
    /// Of [`Ask::Version`].
    pub definition: Option<Arc<Interface>>,
}

/// An order to a host without the work that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    Start {
        attempt: AttemptId,
        basis: Answer,
        leased: bool,
        timeout_ms: Option<Millis>,
        grace_ms: Millis,
    },
    Kill {
        attempt: AttemptId,
        incarnation: Incarnation,
        grace_ms: Millis,
    },
}

impl Todo {
    pub fn attempt(&self) -> AttemptId {
        match self {
            Todo::Start { attempt, .. } | Todo::Kill { attempt, .. } => *attempt,
        }
    }
}

/// What ought to be done now, by the state alone. Kept, not computed: reading it costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// Hosts with nothing to do have no entry. Telling them twice is harmless. A snapshot for a batch
    /// clones the `Arc`s only.
    pub orders: BTreeMap<HostId, Arc<BTreeMap<AttemptId, Todo>>>,
    /// To be read; stays here until it is answered.
    pub load: BTreeSet<Ask>,
    /// The next moment, on the monotonic clock, at which time alone changes something.
    pub wake: Option<Millis>,
    /// Assigned or running attempts of `on_lost = retry` jobs: while there are any, the leader proves
    /// in each tick that it still leads (rule H9).
    pub leased: usize,
}

/// What follows from what has just changed; worked off before a step ends, so that neither a long
/// chain of jobs nor one of runs is recursion. Each is checked again when its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This job run has come to its end.
    Ended(JobRunId),
    /// Perhaps nothing is left to do in this run.
    Settle(RunId),
    /// Perhaps this target is met now, or never will be: those who wait for it are to know.
    Tell(Target),
    /// Perhaps all runs that this execution counts have ended.
    Fold(ExecutionId),
    /// A host has an attempt of this ready job whose commit was lost.
    Adopt(JobRunId),
    /// A new generation has succeeded, or one is stale: so is what it fed.
    Stale(RunId),
    /// A run of some jobs only has ended: who has joined it needs the whole.
    Whole(RunId),
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) reign: i64,
    pub(crate) timing: Timing,
    pub(crate) sabotage: Switch,
    pub fleet: Fleet,
    pub(crate) table: Table,
    /// The rows that this step has touched, as they were before it.
    journal: BTreeMap<Key, Option<Row>>,
    touched: Vec<Key>,
    /// Rows that are stored again though they are as they were: somebody else may just be deleting them.
    rewritten: Vec<Key>,
    pub(crate) agenda: VecDeque<Step>,
    pub(crate) step: u64,
    /// All changes made up to this step are stored.
    pub(crate) stored: u64,
    /// None before the first event.
    pub(crate) now: Option<Now>,
    pub(crate) due: Due,
    // ---- indexes, made from the rows and the definitions ----
    pub(crate) mesh: Mesh,
    pub(crate) lives: BTreeMap<RunId, Live>,
    pub(crate) slices: Slices,
    /// How long a slice that nobody needs stays resident.
    pub(crate) keep_ms: Millis,
    pub(crate) waiters: BTreeMap<Target, BTreeSet<Waiter>>,
    pub(crate) folds: Folds,
    pub(crate) queue: Queue,
    pub(crate) times: Times,
    pub(crate) places: Places,
    /// Attempts with a mark.
    pub(crate) orphans: BTreeSet<AttemptId>,
    pub(crate) abandoned: BTreeSet<AttemptId>,
    // ---- what is asked for and not decided yet ----
    pub(crate) heap: Heap,
    pub(crate) fills: Fills,
    pub(crate) inbox: BTreeMap<CommandId, Command>,
}

impl World {
    /// `rows`: executions that are not ended and all runs they name; live runs with all their job
    /// runs and attempts; attempts that are marked, and of orphans their runs with the job runs;
    /// dispatch states; doubts; backfills that have not ended. What has ended otherwise is asked for when it is needed.
    pub fn load(setup: Setup, rows: impl IntoIterator<Item = (Key, Row)>) -> World {
        let Setup { catalog, reign, timing, sabotage, fleet } = setup;
        let mut world = World {
            mesh: Mesh::new(&catalog),
            catalog,
            reign,
            timing,
            sabotage,
            fleet,
            table: Table::default(),
            journal: BTreeMap::new(),
            touched: Vec::new(),
            rewritten: Vec::new(),
            agenda: VecDeque::new(),
            step: 0,
            stored: 0,
            now: None,
            due: Due::default(),
            lives: BTreeMap::new(),
            slices: Slices::default(),
            keep_ms: super::slice::KEEP_MS,
            waiters: BTreeMap::new(),
            folds: Folds::default(),
            queue: Queue::default(),
            times: Times::default(),
            places: Places::default(),
            orphans: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            heap: Heap::default(),
            fills: Fills::default(),
            inbox: BTreeMap::new(),
        };
        // Runs before their jobs; everything else in any order.
        let (jobs, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(key, _)| matches!(key, Key::JobRun(_)));
        for (key, row) in others.into_iter().chain(jobs) {
            world.remember(key, row);
        }
        let runs: Vec<RunId> = world.lives.keys().copied().collect();
        world.slices.attempts_known.extend(runs);
        let targets: Vec<Target> = world.waiters.keys().copied().collect();
        world.agenda.extend(targets.into_iter().map(Step::Tell));
        world.reschedule_all();
        for host in world.fleet.hosts.keys().copied().collect::<Vec<_>>() {
            if let Some(until) = world.fleet.sulks_until(host) {
                world.queue.sulk(host, until);
            }
            world.reorder_host(host);
        }
        world
    }

    /// The only way a world changes.
    #[must_use]
    pub fn apply(&mut self, now: Now, event: Event) -> Vec<Change> {
        self.step += 1;
        self.pass_time(now);
        match event {
            Event::Tick => {}
            Event::Heard(host, answer) => self.hear(now, host, answer),
            Event::Catalog(catalog) => self.edited(now, catalog),
            Event::Command(id, command) => {
                if !self.table.commands.contains_key(&id) {
                    self.inbox.insert(id, command);
                }
            }
            Event::CannotStart(attempt, why) => self.cannot_start(attempt, why),
            Event::Unfirable(dispatch, instant) => {
                // Nothing fires yet: there may be more of them.
                self.heap.unfirable.insert((dispatch, instant));
                return self.changes();
            }
            Event::Unfillable(backfill) => {
                self.pause_fill(backfill, &Reason::Unstorable {});
                return self.changes(); // as above
            }
            Event::Slices(slices) => self.loaded(slices),
            Event::Stored(step) => {
                self.stored = self.stored.max(step);
                self.evict(now);
            }
            Event::Purge(before) if now.clocks_agree() => self.purge(before),
            Event::Purge(_) => {}
        }
        self.work();
        self.fire(now);
        self.take_commands();
        self.fill(now);
        while !self.agenda.is_empty() || !self.queue.dirty.is_empty() {
            self.work();
            self.place_ready(now);
        }
        self.due.wake = self.wake(now);
        self.changes()
    }

    /// Slices that nobody needs stay resident for so long.
    pub fn keep_slices(&mut self, keep_ms: Millis) {
        self.keep_ms = keep_ms;
    }

    pub fn due(&self) -> &Due {
        &self.due
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// If it is resident.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.table.runs.get(&id)
    }

    /// If it is resident.
    pub fn execution(&self, id: ExecutionId) -> Option<&Execution> {
        self.table.executions.get(&id)
    }

    /// Counts the events that were applied.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The resident rows.
    pub fn table(&self) -> &Table {
        &self.table
    }

    // ---- rows ----

    pub(crate) fn put(&mut self, key: Key, row: Row) {
        self.set(key, Some(row));
    }

    pub(crate) fn set(&mut self, key: Key, row: Option<Row>) {
        let old = self.table.set(key, row);
        if self.table.is(key, old.as_ref()) {
            return;
        }
        self.reindex(key, old.as_ref());
        if let Entry::Vacant(entry) = self.journal.entry(key) {
            entry.insert(old);
            self.touched.push(key);
        }
    }

    /// A row that is stored already: no change.
    pub(crate) fn remember(&mut self, key: Key, row: Row) {
        let old = self.table.set(key, Some(row));
        self.reindex(key, old.as_ref());
    }

    /// The row stays stored, and is not resident any more.
    pub(crate) fn forget(&mut self, key: Key) {
        let old = self.table.set(key, None);
        self.reindex(key, old.as_ref());
    }

    /// Where [`World::roll_back`] goes back to. A dry run begins with nothing to be worked off.
    pub(crate) fn mark(&mut self) -> (usize, BTreeMap<Key, Option<Row>>) {
        (self.touched.len(), std::mem::take(&mut self.journal))
    }

    /// Undoes all changes since the mark, the last one first.
    pub(crate) fn roll_back(&mut self, (count, before): (usize, BTreeMap<Key, Option<Row>>)) {
        let mut undo = std::mem::replace(&mut self.journal, before);
        while self.touched.len() > count {
            let Some(key) = self.touched.pop() else { break };
            let old = undo.remove(&key).flatten();
            let undone = self.table.set(key, old);
            self.reindex(key, undone.as_ref());
        }
        self.agenda.clear();
        // What was rewritten before the mark is too: once more does no harm, and it is rare.
        let table = &self.table;
        self.rewritten.retain(|key| table.get(*key).is_some());
    }

    /// This row is stored with the step, changed or not.
    pub(crate) fn rewrite(&mut self, key: Key) {
        self.rewritten.push(key);
    }

    /// What was changed since the mark stays.
    pub(crate) fn keep(&mut self, (_, before): (usize, BTreeMap<Key, Option<Row>>)) {
        self.journal.extend(before);
    }

    /// What was touched since the mark, as it was then.
    pub(crate) fn journal_since(&self, from: usize) -> impl Iterator<Item = (Key, Option<&Row>)> {
        let keys = self.touched.iter().skip(from);
        keys.filter_map(|key| Some((*key, self.journal.get(key)?.as_ref())))
    }

    fn changes(&mut self) -> Vec<Change> {
        let mut journal = std::mem::take(&mut self.journal);
        let touched = std::mem::take(&mut self.touched);
        let changed = touched.into_iter().filter_map(|key| {
            let before = journal.remove(&key)?;
            (!self.table.is(key, before.as_ref())).then(|| (key, self.table.get(key)))
        });
        let mut changes: Vec<Change> = changed.collect();
        let changed: BTreeSet<Key> = match self.rewritten.is_empty() {
            true => BTreeSet::new(),
            false => changes.iter().map(|(key, _)| *key).collect(),
        };
        let again = std::mem::take(&mut self.rewritten).into_iter();
        let again = again.filter(|key| !changed.contains(key));
        changes
            .extend(again.map(|key| (key, self.table.get(key))).filter(|(_, row)| row.is_some()));
        self.table.written.clear();
        changes
    }

    pub(crate) fn job(&self, id: JobRunId) -> Option<&JobRun> {
        self.table.jobs.get(&id)
    }

    pub(crate) fn has(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }
}

impl JobRun {
    /// The newest attempt of it.
    pub fn attempt(&self, id: JobRunId) -> AttemptId {
        AttemptId { run: id.run, job: id.job, number: self.number, reign: self.reign }
    }
}
