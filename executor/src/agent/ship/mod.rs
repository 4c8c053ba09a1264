//! Output to the store: one batch of this host at a time, every 200 ms (rules G1, G2).
//!
//! The supervisor says whose output has grown; after a start, or when something was missed, the disk
//! does. What is under way is on the disk and in the store, never in memory alone: the store away, jobs
//! go on, nothing gathers here, and shipping goes on where it stopped.

mod gather;
pub mod store;

use super::link::SupervisorLink;
use crate::spool::Layout;
use crate::spool::chunks::Lengths;
use crate::spool::plan::Plan;
use gather::{Batch, Unsent};
use shared::clock::Clock;
use shared::ids::{AttemptId, Incarnation, Millis};
use std::collections::BTreeMap;
use std::time::Duration;
use store::Store;

/// Between two batches, while something is written.
const TICK: Duration = Duration::from_millis(200);
/// Between two questions to the supervisor when nothing runs and nothing is left to ship.
const QUIET: Duration = Duration::from_secs(1);
/// Between two tries while the store is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// A little output waits so long for more: a chunk for each line would be dear.
const HOLD_MS: Millis = 1_000;
/// So much does not wait.
const ENOUGH: u64 = 64 * 1024;
/// What could not be read or noted rests so long.
const FAILED_REST_MS: Millis = 10_000;
/// Attempts of which more than their name is in memory; others wait on the disk.
const KNOWN_MAX: usize = 20_000;
/// Attempts in one batch.
const BATCH_ATTEMPTS_MAX: usize = 500;
/// The store away is told so often.
const TOLD_EVERY_MS: Millis = 60_000;

/// Of one attempt: what there is, and what is planned.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) lengths: Lengths,
    /// Since when something may wait to be planned.
    since: Millis,
    /// It could not be read or planned: not again before then.
    rests: Millis,
    /// Read when it is needed.
    pub(super) plan: Option<Plan>,
}

impl Known {
    fn is_due(&self, now: Millis) -> bool {
        if now < self.rests {
            return false;
        }
        let Some(plan) = &self.plan else { return true };
        if self.lengths.ended || plan.pending().next().is_some() {
            return true;
        }
        use shared::wire::Stream::{Err, Out};
        let of = |stream| self.lengths.of(stream).saturating_sub(plan.planned(stream).bytes);
        let waits = of(Out) + of(Err);
        waits >= ENOUGH || waits > 0 && now - self.since >= HOLD_MS
    }
}

/// What one batch has brought to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    pub chunks: usize,
    /// It was as large as one may be: there is more.
    pub full: bool,
}

#[derive(Debug)]
pub struct Shipper {
    layout: Layout,
    link: SupervisorLink,
    store: Store,
    clock: Clock,
    known: BTreeMap<AttemptId, Known>,
    /// What the supervisor has told us: its life, and up to where.
    heard: (Incarnation, u64),
    /// The disk has more than is in `known`.
    rest: bool,
    /// Whether the supervisor ships, as it said last.
    ships: bool,
    /// When it was last told that the supervisor does not say whose output has grown.
    deaf: Option<Millis>,
    /// The last attempt of the last batch: the next one begins behind it.
    last: Option<AttemptId>,
    /// Since when the store is away, and when that was told.
    away: Option<(Millis, Millis)>,
}

impl Shipper {
    pub fn new(layout: Layout, link: SupervisorLink, store: Store, clock: Clock) -> Shipper {
        let (known, heard) = (BTreeMap::new(), (Incarnation(0), 0));
        Shipper {
            layout,
            link,
            store,
            clock,
            known,
            heard,
            rest: true,
            ships: false,
            deaf: None,
            last: None,
            away: None,
        }
    }

    /// For as long as the process lives.
    pub async fn run(mut self) {
        let mut wait = BACKOFF.0;
        loop {
            let learned = self.learn().await;
            self.tell_deaf(&learned);
            let shipped = match self.ship().await {
                Ok(shipped) => shipped,
                Err(error) => {
                    self.tell_away(&error);
                    wait = (wait * 2).clamp(BACKOFF.0, BACKOFF.1);
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            wait = BACKOFF.0;
            if let Some((since, _)) = self.away.take() {
                let seconds = (self.clock.mono_ms() - since) / 1_000;
                tracing::info!("the store of logs is back after {seconds} s");
            }
            if !shipped.full {
                tokio::time::sleep(if self.known.is_empty() { QUIET } else { TICK }).await;
            }
        }
    }

    /// Output that nobody tells us of is not shipped, and nothing else would show it. A supervisor that
    /// is not there may just be starting.
    fn tell_deaf(&mut self, learned: &anyhow::Result<()>) {
        let why = match learned {
            Ok(()) if self.ships => {
                self.deaf = None;
                return;
            }
            Ok(()) => "it is an older program, or began without logs.url".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let now = self.clock.mono_ms();
        let first = if learned.is_ok() { now - TOLD_EVERY_MS } else { now };
        let told = self.deaf.get_or_insert(first);
        if now - *told >= TOLD_EVERY_MS {
            *told = now;
            tracing::warn!(
                "output stays on this host, for the supervisor does not say whose has grown: {why}; \
                 `hcndc-executor upgrade` makes it the program and the configuration of now"
            );
        }
    }

    fn tell_away(&mut self, error: &anyhow::Error) {
        let now = self.clock.mono_ms();
        let (since, told) = self.away.unwrap_or((now, now - TOLD_EVERY_MS));
        let tell = now - told >= TOLD_EVERY_MS;
        if tell {
            tracing::warn!("logs stay on this host until the store takes them: {error:#}");
        }
        self.away = Some((since, if tell { now } else { told }));
    }

    /// Takes in what has changed since it was last asked.
    ///
    /// # Errors
    /// The supervisor does not answer; the disk cannot be read.
    pub async fn learn(&mut self) -> anyhow::Result<()> {
        let few = self.known.len() < KNOWN_MAX / 2;
        let scans = self.rest && few;
        // A supervisor with another configuration lists nobody: that does not mean that nothing runs.
        if scans && !self.ships {
            self.ships = self.link.outputs(Incarnation(0), 0).await?.ships;
            if !self.ships {
                return Ok(());
            }
        }
        let found = match scans {
            // Before the supervisor is asked: what it does not name then has ended.
            true => Some(self.scan().await?),
            false => None,
        };
        let (mut life, mut after) = if found.is_some() { (Incarnation(0), 0) } else { self.heard };
        let mut running = std::collections::BTreeSet::new();
        let mut lost = false;
        loop {
            let told = self.link.outputs(life, after).await?;
            self.ships = told.ships;
            if !told.ships {
                self.rest = true;
                return Ok(());
            }
            let another = told.life != life && life != Incarnation(0);
            // Its ends of an earlier life were not told: the disk knows.
            lost |= another || told.missed;
            for grown in told.listed {
                if !grown.ended {
                    running.insert(grown.attempt);
                }
                let lengths = Lengths { out: grown.out, err: grown.err, ended: grown.ended };
                self.note(grown.attempt, lengths);
            }
            (life, after) = (told.life, told.seq);
            if !told.more {
                break;
            }
        }
        self.heard = (life, after);
        match found {
            Some((found, more)) => {
                // Not before the supervisor has answered: without that it is all to be done again.
                self.rest = more || self.known.len() >= KNOWN_MAX;
                let ended = found.into_iter().filter(|(attempt, _)| !running.contains(attempt));
                for (attempt, lengths) in ended {
                    self.note(attempt, lengths);
                }
            }
            None => self.rest |= lost,
        }
        Ok(())
    }

    fn note(&mut self, attempt: AttemptId, lengths: Lengths) {
        let now = self.clock.mono_ms();
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&attempt) {
            self.rest = true;
            return;
        }
        let known =
            self.known.entry(attempt).or_insert_with(|| Known { since: now, ..Known::default() });
        // An end is final; without it, a length only grows.
        if !known.lengths.ended && known.lengths != lengths {
            known.lengths = lengths;
        }
    }

    /// Attempts on the disk that the store does not have whole, and whether there are more.
    async fn scan(&self) -> anyhow::Result<(Vec<(AttemptId, Lengths)>, bool)> {
        let layout = self.layout.clone();
        let room = KNOWN_MAX - self.known.len();
        let found = shared::tasks::blocking(move || gather::scan(&layout, room)).await??;
        let more = found.len() >= room;
        Ok((found, more))
    }

    /// One batch.
    ///
    /// # Errors
    /// The store is away; the disk cannot be read. Nothing is lost by it.
    pub async fn ship(&mut self) -> anyhow::Result<Shipped> {
        let now = self.clock.mono_ms();
        let unsent = self.take_due(now);
        if unsent.is_empty() {
            return Ok(Shipped::default());
        }
        let (layout, host) = (self.layout.clone(), self.store.host.clone());
        let gathered = shared::tasks::blocking(move || gather::gather(&layout, &host, unsent));
        let Batch { chunks, unsent, full } = gathered.await?;
        self.last = unsent.iter().rfind(|one| one.reached).map(|one| one.attempt);
        if chunks.is_empty() {
            self.put_back(now, unsent);
            return Ok(Shipped::default());
        }
        shared::crash::point("during-shipping");
        let missing = match self.store.insert(&chunks).await {
            Ok(missing) => missing,
            Err(away) => {
                self.put_back(now, unsent);
                return Err(away.into());
            }
        };
        shared::crash::point("during-shipping");
        let noted = shared::tasks::blocking(move || gather::stored(unsent, &missing)).await?;
        self.put_back(now, noted);
        Ok(Shipped { chunks: chunks.len(), full })
    }

    /// What is due, in turn: who writes much does not keep the others waiting.
    fn take_due(&mut self, now: Millis) -> Vec<Unsent> {
        use std::ops::Bound::{Excluded, Unbounded};
        let behind = self.known.range((self.last.map_or(Unbounded, Excluded), Unbounded));
        let before = self.known.iter().take_while(|(attempt, _)| Some(**attempt) <= self.last);
        let due = behind.chain(before).filter(|(_, known)| known.is_due(now));
        let due: Vec<AttemptId> =
            due.map(|(attempt, _)| *attempt).take(BATCH_ATTEMPTS_MAX).collect();
        let take = |attempt| self.known.remove(&attempt).map(|known| Unsent::new(attempt, known));
        due.into_iter().filter_map(take).collect()
    }

    fn put_back(&mut self, now: Millis, unsent: Vec<Unsent>) {
        for Unsent { attempt, mut known, reached, gone, failed, .. } in unsent {
            let over = known.plan.as_ref().is_some_and(|plan| plan.whole() || plan.given_up());
            if over || gone {
                continue;
            }
            if reached {
                known.since = now;
            }
            if failed {
                // A full disk takes no notes. What stands in them is read anew.
                known.plan = None;
                known.rests = now + FAILED_REST_MS;
            }
            self.known.insert(attempt, known);
        }
    }
}

#[cfg(test)]
mod tests;
