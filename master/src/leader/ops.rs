//! What the leader's core asks of the world around it, and what it is told.

use crate::engine::catalog::Catalog;
use crate::engine::rows::{Change, Command, Key, Row};
use crate::engine::world::{Ask, SliceRows, Todo};
use shared::ids::*;
use shared::wire::{Refused, Timing, WatchAnswer};
use std::sync::Arc;

/// Table `leader`, one row per cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderRow {
    pub epoch: i64,
    /// Random for every claim.
    pub holder: i64,
    /// The number of the next batch.
    pub batch: i64,
    /// The database server on which the lead was taken; another one may have lost commits.
    pub server: String,
}

impl LeaderRow {
    pub fn reigning(&self) -> Reigning {
        Reigning { epoch: self.epoch, holder: self.holder }
    }
}

/// One question to the database. Each is answered once, or given up by the core after
/// [`Pace::db_timeout_ms`]; an answer that comes later is ignored.
#[derive(Clone, Debug)]
pub enum DbOp {
    /// Compare-and-set: the epoch becomes the greater of the row's and this one, + 1; batch 0; the
    /// server that answers. If the row named another server, every host is in doubt, in the same
    /// commit (rules L2, L5).
    Claim {
        above: i64,
        holder: i64,
    },
    /// The leader row, all that a World is loaded from, and all definitions.
    Load,
    /// The leader row, the revision of the definitions, commands that have no answer, the date.
    Poll,
    /// All definitions, with the old versions that live runs name.
    Catalog,
    /// After a doubt: a *locking* read of the leader row, so that no commit of ours is still on its
    /// way (rule L3).
    Leader,
    Commit(Batch),
    /// What the World wants to know before it decides; at most [`ASKS_MAX`].
    Slices(Vec<Ask>),
}

/// Questions of the World in one [`DbOp::Slices`].
pub const ASKS_MAX: usize = 500;

/// One guarded batch: `UPDATE leader SET batch = batch + 1 WHERE epoch = ? AND holder = ? AND batch = ?
/// AND server = ?`, with the identity of the server of *this connection*, which must be `server` too.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub epoch: i64,
    pub holder: i64,
    pub batch: i64,
    pub server: String,
    /// Firings were computed from these versions; if one is no longer so (or deleted), nothing of
    /// the batch is stored and the answer is [`DbAnswer::Edited`] (rule L6).
    pub fires: Vec<(DispatchId, i64)>,
    /// At most one per key, in the order of keys.
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug)]
pub enum DbAnswer {
    /// Granted or not: the row tells.
    Claimed,
    Loaded {
        leader: LeaderRow,
        /// The identity of the server that answered.
        server: String,
        catalog: Arc<Catalog>,
        rows: Vec<(Key, Row)>,
        /// The server's clock.
        date: Millis,
    },
    Polled {
        leader: LeaderRow,
        server: String,
        revision: i64,
        commands: Vec<(CommandId, Command)>,
        date: Millis,
    },
    Catalog(Arc<Catalog>),
    Leader {
        leader: LeaderRow,
        server: String,
    },
    Committed,
    /// The guard did not match: nothing is stored.
    Refused {
        leader: LeaderRow,
        server: String,
    },
    /// A dispatch of `fires` was edited: nothing is stored.
    Edited,
    /// This row can never be stored; nothing is (rule L4).
    BadItem(Key, String),
    /// Nothing is stored, for certain; again a little later.
    NotDone,
    Slices(Vec<SliceRows>),
}

#[derive(Clone, Debug)]
pub enum Input {
    /// Time passed; at the latest at [`super::master::Master::wake`].
    Time,
    /// `None`: the link broke; done or not done is unknown.
    Db(u64, Option<DbAnswer>),
    /// Whether the lease is ours: it only says who may try (rule L1).
    Lease(bool),
    /// The lease may be free now: who does not lead asks at once.
    Free,
    /// The answer to an [`Output::Order`].
    Ordered(HostId, u64, Result<(), CallError>),
    /// The answer to an [`Output::Watch`].
    Watched(HostId, u64, Result<WatchAnswer, CallError>),
    /// The work of a start that was to go out cannot be composed, and why; it was not sent.
    CannotStart(AttemptId, String),
    /// The bus: something changed.
    Nudge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// No connection, or it broke, or nothing was heard in time.
    Broken,
    Refused(Refused),
}

#[derive(Clone, Debug)]
pub enum Output {
    Db(u64, DbOp),
    /// Take the lease, or keep it.
    Lease,
    /// Committed orders; the shell adds the work to each start.
    Order(HostId, u64, Orders),
    /// One `watch`; a newer one of the same host makes this one void.
    Watch(HostId, u64, Watch),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Orders {
    pub leader: Reigning,
    /// The answer that our last committed batch holds (rule H9).
    pub stored: Option<Answer>,
    pub todo: Vec<Todo>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    pub leader: Reigning,
    pub after: Option<Answer>,
    pub stored: Option<Answer>,
    pub hold_ms: Millis,
}

/// How often the core does what, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub timing: Timing,
    pub lease_ms: Millis,
    /// Between two looks at `revision` and `command`, without a nudge.
    pub poll_ms: Millis,
    /// Between two ticks of the World, unless it asks for an earlier one.
    pub tick_ms: Millis,
    /// A question is given up after this long: what became of it is unknown.
    pub db_timeout_ms: Millis,
    /// A call that is not answered this long after it should have been is given up.
    pub call_timeout_ms: Millis,
    /// After a call has failed.
    pub call_again_ms: Millis,
    /// Orders that are still due are told again.
    pub order_again_ms: Millis,
    /// Each host lists all it remembers.
    pub full_every_ms: Millis,
    /// The World keeps history that nobody needs for so long.
    pub slice_keep_ms: Millis,
    /// Purging of what has ended.
    pub purge_every_ms: Millis,
    /// Details of what has ended are kept this long; longer than a host remembers.
    pub keep_ms: Millis,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            timing: Timing::default(),
            lease_ms: 1_000,
            poll_ms: 200,
            tick_ms: 500,
            db_timeout_ms: 60_000,
            call_timeout_ms: 4_000,
            call_again_ms: 500,
            order_again_ms: 2_000,
            full_every_ms: 600_000,
            slice_keep_ms: 120_000,
            purge_every_ms: 3_600_000,
            keep_ms: 30 * 24 * 3_600_000,
        }
    }
}
