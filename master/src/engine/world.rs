//! All state across runs: the rows, and indexes made from them.
//!
//! [`World::apply`] takes an event and answers with the rows that changed; [`World::due`] says what
//! ought to be done, by the state alone. So a leader that has loaded the rows wants what its
//! predecessor wanted, and there is no code for recovery. The leader's core calls it, and the
//! simulation.
//!
//! Rule: every index is a function of the rows, kept by [`World::put`] alone; that is why a dry run
//! is the very call, rolled back by putting the old rows back.

use super::catalog::Catalog;
use super::fleet::Fleet;
use super::rows::*;
use shared::ids::*;
use shared::period::Period;
use shared::sabotage::Switch;
use shared::wire::{Timing, WatchAnswer};
use std::collections::{BTreeMap, BTreeSet};
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
}

/// The answer to one [`Ask`]; what is not there is thereby known not to be there.
#[derive(Clone, Debug)]
pub struct SliceRows {
    pub ask: Ask,
    pub rows: Vec<(Key, Row)>,
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

/// See the module.
#[derive(Debug)]
pub struct World {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) reign: i64,
    pub(crate) timing: Timing,
    pub(crate) sabotage: Switch,
    pub fleet: Fleet,
    step: u64,
    due: Due,
}

impl World {
    /// `rows`: executions that are not ended and all runs they name; live runs with all their job
    /// runs and attempts; attempts that are marked; dispatch states; doubts. What has ended
    /// otherwise is asked for when it is needed.
    pub fn load(setup: Setup, rows: impl IntoIterator<Item = (Key, Row)>) -> World {
        let Setup { catalog, reign, timing, sabotage, fleet } = setup;
        let _ = rows;
        World { catalog, reign, timing, sabotage, fleet, step: 0, due: Due::default() }
    }

    /// The only way a world changes.
    #[must_use]
    pub fn apply(&mut self, now: Now, event: Event) -> Vec<Change> {
        self.step += 1;
        let _ = (now, event);
        Vec::new()
    }

    pub fn due(&self) -> &Due {
        &self.due
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// If it is resident.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        let _ = id;
        None
    }

    /// If it is resident.
    pub fn execution(&self, id: ExecutionId) -> Option<&Execution> {
        let _ = id;
        None
    }

    /// Counts the events that were applied.
    pub fn step(&self) -> u64 {
        self.step
    }
}
