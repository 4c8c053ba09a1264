//! The host's side of the protocol: what a supervisor remembers of attempts, and when it obeys.
//!
//! Pure: no clock, no I/O. The supervisor's shell tells it what happens (orders, ends, time), and
//! after every call does what [`Attempts::todo`] says, in that order: journal entries stand before
//! the spawn that they are for (rule P4). What was told to end counts as running until the shell
//! tells [`Attempts::gone`], which it may do only with a proof (rule P2).
//!
//! `docs/PROTOCOL.md` has the rules; `master/tests/sim` breaks them.

mod book;
mod journal;
#[cfg(test)]
mod tests;

pub use book::{Phase, Record, Usage};
pub use journal::{Beginning, Entry, Lineage, Saved};

use book::Book;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::sabotage::{Sabotage, Switch};
use shared::wire::*;
use std::collections::VecDeque;

/// Settled attempts remembered; beyond that the oldest that a leader has stored are forgotten
/// before their time. A late start of one of them is answered `Unknown`.
pub const REMEMBERED_MAX: usize = 100_000;
/// Answers whose time is remembered for the lease.
const GIVEN_MAX: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// `CLOCK_BOOTTIME`, absolute: it goes on while the machine sleeps, and over a re-execution.
    pub mono: Millis,
    /// For people only.
    pub wall: Millis,
}

/// What does not change while a supervisor lives.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub cluster: String,
    pub timing: Timing,
    /// For the simulation only; none in the product.
    pub sabotage: Switch,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Do {
    /// Append it before what follows is done.
    Journal(Entry),
    /// Begin it; if that fails, tell [`Attempts::refused`].
    Spawn(Box<Start>),
    /// End the whole tree: TERM, this long, KILL. Tell [`Attempts::gone`] when it is proved gone, and
    /// go on trying until then.
    Kill { attempt: AttemptId, grace_ms: Millis },
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Life {
    incarnation: Incarnation,
    /// The highest epoch seen, and who came first with it: all others are refused. It need not
    /// outlive us: orders of older leaders are for an older incarnation.
    leader: Reigning,
    /// Counts changes and answers together, so that an answer `n` tells all changes up to `n`.
    seq: u64,
    /// When recent answers were given: the lease counts from there.
    given: VecDeque<(u64, Millis)>,
    /// The last answer that a leader has stored.
    heard: u64,
    /// When the lease of `on_lost = retry` jobs ends.
    lease: Option<Millis>,
    /// Orders that rest on an earlier answer may be about what was forgotten.
    floor: u64,
    /// Starts under the lease that rest on an earlier answer are from before it last ended.
    lease_floor: u64,
    /// As in [`Lineage`].
    #[serde(default)]
    machine: String,
    #[serde(default)]
    follows: Vec<Former>,
}

#[derive(Debug)]
pub struct Attempts {
    setup: Setup,
    life: Life,
    book: Book,
    refusing: Option<Refusal>,
    listed_max: usize,
    todo: Vec<Do>,
}

impl Attempts {
    /// A new life. What is not alive and had no end in the journal has ended somehow.
    pub fn boot(
        setup: Setup,
        journal: impl IntoIterator<Item = Entry>,
        beginning: Beginning<'_>,
        now: Now,
    ) -> Attempts {
        let Beginning { incarnation, machine, alive, .. } = beginning;
        let (records, before) = journal::read(journal);
        let follows =
            before.map_or(Vec::new(), |last| last.followed_by(&beginning, setup.sabotage));
        let machine = machine.to_owned();
        let mut life = Life { incarnation, machine, follows, ..Life::default() };
        let mut book = Book::default();
        for (attempt, record) in records {
            life.seq += 1;
            let phase = match record.phase {
                Phase::Settled(state) => Phase::Settled(state),
                Phase::Running if alive.contains(&attempt) => Phase::Ending(State::Unknown),
                Phase::Running => Phase::Settled(State::Unknown),
                Phase::Ending(state) if alive.contains(&attempt) => Phase::Ending(state),
                Phase::Ending(state) => Phase::Settled(state),
            };
            book.put(Record { phase, changed: life.seq, settled: now.mono, ..record });
        }
        Attempts { setup, life, book, refusing: None, listed_max: LISTED_MAX, todo: Vec::new() }
    }

    /// What is to be done since this was last asked.
    #[must_use]
    pub fn todo(&mut self) -> Vec<Do> {
        std::mem::take(&mut self.todo)
    }

    /// All that a journal need hold now: for writing it anew, shorter.
    pub fn snapshot(&self) -> impl Iterator<Item = Entry> {
        let records = self.book.all().map(|record| Entry::Put(Box::new(record.clone())));
        std::iter::once(self.lineage()).chain(records)
    }

    pub fn incarnation(&self) -> Incarnation {
        self.life.incarnation
    }

    pub fn leader(&self) -> Reigning {
        self.life.leader
    }

    pub fn record(&self, attempt: AttemptId) -> Option<&Record> {
        self.book.get(attempt)
    }

    /// A leader has stored how it ended; what is not remembered was.
    pub fn is_stored(&self, attempt: AttemptId) -> bool {
        let heard = self.life.heard;
        self.book.get(attempt).is_none_or(|record| record.is_settled() && record.changed <= heard)
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.book.all()
    }

    /// Running, or told to end and not yet gone.
    pub fn running(&self) -> usize {
        self.book.count() - self.book.settled_count()
    }

    /// Why starts are refused now, if they are.
    pub fn refuse_starts(&mut self, why: Option<Refusal>) {
        self.refusing = why;
    }

    /// So many attempts in one answer, instead of [`LISTED_MAX`]: the rest comes with the next ones.
    pub fn list_at_most(&mut self, count: usize) {
        self.listed_max = count.clamp(1, LISTED_MAX);
    }

    // ---- time ----

    /// When [`Attempts::tick`] is due, if nothing else happens. (To forget is not urgent.)
    pub fn wake(&self) -> Option<Millis> {
        [self.book.next_timer(), self.life.lease].into_iter().flatten().min()
    }

    /// It is being ended because no leader was heard of for too long.
    pub fn is_fenced(&self, attempt: AttemptId) -> bool {
        let phase = self.book.get(attempt).map(|record| &record.phase);
        matches!(phase, Some(Phase::Ending(State::Ended(Exit::Fenced))))
    }

    /// Time-outs, the end of the lease; and old things are forgotten.
    pub fn tick(&mut self, now: Now) {
        for attempt in self.book.out_of_time(now.mono) {
            self.end(attempt, State::Ended(Exit::TimedOut), None);
        }
        if self.life.lease.is_some_and(|end| end <= now.mono) && !self.has(Sabotage::NoFence) {
            self.life.lease = None;
            // The leader gives them up LOST after the answer, however long they want to say good-bye.
            let grace = (self.setup.timing.lost_ms - self.setup.timing.fence_ms) / 2;
            for attempt in self.book.leased() {
                self.end(attempt, State::Ended(Exit::Fenced), Some(grace));
            }
        }
        self.forget(now);
    }

    /// Only what a leader has stored, and not before its time: another leader, or this one after a
    /// failover that lost commits, may have to ask (rule H5).
    fn forget(&mut self, now: Now) {
        let unheard = self.has(Sabotage::ForgetUnheard);
        let at_once = self.has(Sabotage::ForgetHeard);
        let mut too_many = self.book.settled_count().saturating_sub(REMEMBERED_MAX);
        let mut gone = Vec::new();
        for record in self.book.settled() {
            let old = record.settled + self.setup.timing.memory_ms <= now.mono;
            if !old && !at_once && too_many == 0 {
                break;
            }
            too_many = too_many.saturating_sub(1);
            if record.changed <= self.life.heard || unheard {
                gone.push((record.attempt, record.changed));
            }
        }
        let Some(floor) = gone.iter().map(|(_, changed)| *changed).max() else { return };
        self.life.floor = self.life.floor.max(floor);
        // It may have been of a former life.
        self.life.follows.clear();
        // First: should the write be cut short, the next life must not answer for what is forgotten.
        self.todo.push(Do::Journal(self.lineage()));
        for (attempt, _) in gone {
            self.book.remove(attempt);
            self.todo.push(Do::Journal(Entry::Forget(attempt)));
        }
    }

    // ---- the leader ----

    fn admit(&mut self, call: &Call) -> Result<(), Refused> {
        if call.cluster != self.setup.cluster {
            return Err(Refused::Cluster(self.setup.cluster.clone()));
        }
        let (seen, from) = (self.life.leader, call.leader);
        let same = from == seen || from.epoch == seen.epoch && self.has(Sabotage::SharedEpoch);
        if from.epoch > seen.epoch || same || self.has(Sabotage::AnyEpoch) {
            self.life.leader = from;
            return Ok(());
        }
        Err(Refused::Reign(seen))
    }

    /// Takes orders up; how they fare is told by `watch`.
    ///
    /// # Errors
    /// Another cluster's or an older reign's call.
    pub fn order(&mut self, now: Now, call: &OrderCall) -> Result<(), Refused> {
        self.tick(now);
        self.admit(&call.call)?;
        self.hear(now, call.stored);
        for order in &call.orders {
            match order {
                Order::Start(start) if self.is_ours(start.basis.incarnation) => {
                    self.start(now, start);
                }
                Order::Kill { attempt, incarnation, grace_ms } if self.is_ours(*incarnation) => {
                    self.kill(now, *attempt, *grace_ms);
                }
                Order::Start(_) | Order::Kill { .. } => {}
            }
        }
        Ok(())
    }

    /// What changed after what the leader knows; none while nothing has, unless the call has been
    /// held long enough (`give`). A held call is simply asked again: doing so changes nothing.
    ///
    /// # Errors
    /// Another cluster's or an older reign's call.
    pub fn watch(
        &mut self,
        now: Now,
        call: &WatchCall,
        give: bool,
    ) -> Result<Option<WatchAnswer>, Refused> {
        self.tick(now);
        self.admit(&call.call)?;
        if self.hear(now, call.stored) {
            self.forget(now);
        }
        let own = self.life.incarnation;
        let after = call.after.filter(|after| after.incarnation == own).map(|after| after.seq);
        let live_only = self.has(Sabotage::ListLiveOnly) && after.is_none();
        let news = self.book.since(after.unwrap_or(0));
        let news = news.filter(|record| !live_only || !record.is_settled());
        let mut news: Vec<&Record> = news.take(self.listed_max + 1).collect();
        if news.is_empty() && after.is_some() && !give {
            return Ok(None);
        }
        let more = news.len() > self.listed_max;
        news.truncate(self.listed_max);
        let last = news.last().map_or(0, |record| record.changed);
        let listed: Vec<Report> = news.into_iter().map(Record::report).collect();
        // What is cut short answers as if it had been given when its last line was true. The lease
        // does not count from it: only a whole answer shows that we are alive and heard.
        let seq = if more { last } else { self.give(now) };
        let answer = Answer { incarnation: own, seq };
        let full = after.is_none();
        let follows = if full { self.life.follows.clone() } else { Vec::new() };
        let (wall_ms, facts) = (now.wall, None);
        Ok(Some(WatchAnswer { answer, full, listed, more, wall_ms, facts, follows }))
    }

    fn give(&mut self, now: Now) -> u64 {
        self.life.seq += 1;
        if self.life.given.len() >= GIVEN_MAX {
            self.life.given.pop_front();
        }
        self.life.given.push_back((self.life.seq, now.mono));
        self.life.seq
    }

    /// Whether it is about an answer of ours.
    fn hear(&mut self, now: Now, stored: Option<Answer>) -> bool {
        let stored = stored.filter(|stored| self.is_ours(stored.incarnation));
        if let Some(stored) = stored {
            self.renew(now, stored.seq);
        }
        stored.is_some()
    }

    /// The leader has stored our answer `seq`: the lease counts from when that was *given*.
    fn renew(&mut self, now: Now, seq: u64) {
        self.life.heard = self.life.heard.max(seq);
        while self.life.given.front().is_some_and(|&(first, _)| first < seq) {
            self.life.given.pop_front();
        }
        let Some(&(first, at)) = self.life.given.front() else { return };
        let from = if self.has(Sabotage::LeaseFromHearing) { now.mono } else { at };
        let until = from + self.setup.timing.fence_ms;
        if first != seq || until <= now.mono {
            return;
        }
        if self.life.lease.is_none() {
            // What was assigned before may have been given up while there was no lease.
            self.life.lease_floor = seq;
        }
        self.life.lease = self.life.lease.max(Some(until));
    }

    fn start(&mut self, now: Now, start: &Start) {
        let known = self.book.get(start.attempt);
        let again = self.has(Sabotage::StartAgain) && known.is_some_and(Record::is_settled);
        if known.is_some() && !again {
            return; // the answer says how it is
        }
        let free = self.has(Sabotage::NoLeaseOnStart) || !start.leased;
        if !free && self.life.lease.is_none() {
            return;
        }
        let (basis, silent) = (start.basis.seq, self.has(Sabotage::RefuseSilently));
        let phase = match &self.refusing {
            // It may be one that we have forgotten.
            _ if basis < self.life.floor && !self.has(Sabotage::AnyBasis) => {
                Phase::Settled(State::Unknown)
            }
            _ if !free && basis < self.life.lease_floor => {
                Phase::Settled(State::Ended(Exit::Fenced))
            }
            Some(_) if silent => return,
            Some(why) => Phase::Settled(State::Refused(why.clone())),
            None => Phase::Running,
        };
        let begins = phase == Phase::Running;
        self.put(Record {
            attempt: start.attempt,
            phase,
            leased: start.leased,
            until: start.timeout_ms.map(|timeout| now.mono.saturating_add(timeout)),
            grace_ms: start.grace_ms,
            started_ms: begins.then_some(now.wall),
            ended_ms: None,
            usage: Usage::default(),
            changed: 0,
            settled: now.mono,
        });
        if begins {
            self.todo.push(Do::Spawn(Box::new(start.clone())));
        }
    }

    fn kill(&mut self, now: Now, attempt: AttemptId, grace_ms: Millis) {
        let killed = State::Ended(Exit::Killed);
        if self.book.get(attempt).is_some() {
            self.end(attempt, killed, Some(grace_ms));
        } else if !self.has(Sabotage::NoTombstone) {
            // A tombstone: a start that comes late must not revive it.
            self.put(Record {
                attempt,
                phase: Phase::Settled(killed),
                leased: false,
                until: None,
                grace_ms,
                started_ms: None,
                ended_ms: None,
                usage: Usage::default(),
                changed: 0,
                settled: now.mono,
            });
        }
    }

    // ---- children ----

    /// Asks for the end of what runs; it is over when it is gone.
    fn end(&mut self, attempt: AttemptId, how: State, grace: Option<Millis>) {
        let Some(record) = self.book.get(attempt).filter(|r| r.phase == Phase::Running) else {
            return;
        };
        let grace_ms = grace.map_or(record.grace_ms, |grace| grace.min(record.grace_ms));
        self.put(Record { phase: Phase::Ending(how), grace_ms, ..record.clone() });
        self.todo.push(Do::Kill { attempt, grace_ms });
    }

    /// A child has ended by itself, and what it left behind is gone too. Told of one that was being
    /// ended it changes nothing: that is over when it is [`Attempts::gone`].
    pub fn ended(&mut self, now: Now, attempt: AttemptId, exit: Exit, usage: Usage) {
        if self.book.get(attempt).is_some_and(|record| record.phase == Phase::Running) {
            self.settle(now, attempt, State::Ended(exit), usage);
        }
    }

    /// It is proved that nothing of this attempt lives any more. If nobody told it to end, and its
    /// exit was not seen, that is unknown.
    pub fn gone(&mut self, now: Now, attempt: AttemptId, usage: Usage) {
        match self.book.get(attempt).map(|record| record.phase.clone()) {
            Some(Phase::Ending(how)) => self.settle(now, attempt, how, usage),
            Some(Phase::Running) => self.settle(now, attempt, State::Unknown, usage),
            Some(Phase::Settled(_)) | None => {}
        }
    }

    /// It could not be begun: nothing of it has run.
    pub fn refused(&mut self, now: Now, attempt: AttemptId, why: Refusal) {
        match self.book.get(attempt).map(|record| record.phase.clone()) {
            Some(Phase::Running) => {
                self.settle(now, attempt, State::Refused(why), Usage::default());
            }
            Some(Phase::Ending(how)) => self.settle(now, attempt, how, Usage::default()),
            Some(Phase::Settled(_)) | None => {}
        }
    }

    /// So much has it written by now. Told with the next change, it is no change of its own.
    pub fn grew(&mut self, attempt: AttemptId, out_bytes: u64, err_bytes: u64) {
        if let Some(usage) = self.book.usage(attempt) {
            (usage.out_bytes, usage.err_bytes) = (out_bytes, err_bytes);
        }
    }

    fn settle(&mut self, now: Now, attempt: AttemptId, state: State, usage: Usage) {
        let Some(record) = self.book.get(attempt) else { return };
        self.put(Record {
            phase: Phase::Settled(state),
            ended_ms: Some(now.wall),
            settled: now.mono,
            usage,
            ..record.clone()
        });
    }

    fn put(&mut self, record: Record) {
        self.life.seq += 1;
        let record = Record { changed: self.life.seq, ..record };
        self.todo.push(Do::Journal(Entry::Put(Box::new(record.clone()))));
        self.book.put(record);
    }

    fn is_ours(&self, incarnation: Incarnation) -> bool {
        incarnation == self.life.incarnation || self.has(Sabotage::AnyIncarnation)
    }

    fn has(&self, sabotage: Sabotage) -> bool {
        self.setup.sabotage == Some(sabotage)
    }
}
