//! Row counts of attempts, from their output into the database: now and then while they run, and once
//! more when they have ended. Beside the guarded batches, for nothing is decided by them; pages read only
//! what is kept here.
//!
//! What is missed (this master dies, the host is cut off) is looked for again for two hours after the end
//! of its run, by whoever leads then.

use crate::db::Db;
use crate::engine::catalog::Catalog;
use crate::engine::{World, params};
use crate::logs::{self, Logs, PART_MAX};
use crate::store;
use shared::clock::Clock;
use shared::etl::counts::{Counts, EVERY_MS};
use shared::ids::{AttemptId, JobId, Millis};
use shared::kind;
use shared::tasks;
use shared::wire::{Report, State, Stream};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;

/// News that wait to be taken up, and attempts that are looked at while they run; more are read at the end.
const WAITING_MAX: usize = 1_000;
const LIVE_MAX: usize = 2_000;
/// A host may be cut off just now.
const TRIES: u32 = 5;
const TICK: Duration = Duration::from_secs(2);
/// So long may one round of looking take; the next one goes on behind it.
const ROUND_MAX: Duration = Duration::from_secs(5);
/// So long one of them that runs: a host that is silent is not to keep the others waiting.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// What was missed: how often it is looked for, how far back, and how many at once.
const MISSED_EVERY_MS: Millis = 10 * 60_000;
const MISSED_MS: Millis = 2 * 3_600_000;
const MISSED_MAX: usize = 500;
/// Attempts known to have moved no rows.
const EMPTY_MAX: usize = 10_000;

#[derive(Debug)]
enum News {
    Runs(AttemptId),
    Ended(AttemptId),
    /// How it ended nobody has seen, or it never began.
    Gone(AttemptId),
    /// This master leads; these jobs count rows.
    Leads(BTreeSet<JobId>),
    Follows,
}

/// Where the counts of an attempt go; it ends with its owner.
#[derive(Debug)]
pub(super) struct Counter(mpsc::Sender<News>);

impl Counter {
    pub(super) fn start(db: Db, logs: Logs, clock: Clock) -> Counter {
        let (tell, mut news) = mpsc::channel(WAITING_MAX);
        tasks::spawn("row counts", async move {
            let mut keeper = Keeper::new(db, logs, clock);
            let mut tick = tokio::time::interval(TICK);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    told = news.recv() => match told {
                        Some(told) => keeper.told(told).await,
                        None => return,
                    },
                    _ = tick.tick() => {
                        // Cut short it goes on where it was.
                        let _ = tokio::time::timeout(ROUND_MAX, keeper.round()).await;
                    }
                }
            }
        });
        Counter(tell)
    }

    /// What a host has told, before the world hears it: then the run is still there.
    pub(super) fn heard(&self, world: &World, listed: &[Report]) {
        for report in listed.iter().filter(|report| counts_rows(world, report.attempt)) {
            self.tell(match report.state {
                State::Running => News::Runs(report.attempt),
                State::Ended(_) => News::Ended(report.attempt),
                State::Refused(_) | State::Unknown => News::Gone(report.attempt),
            });
        }
    }

    pub(super) fn leads(&self, catalog: &Catalog) {
        let jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
        let counting = jobs.filter(|job| counts(&job.spec.kind)).map(|job| job.id);
        self.tell(News::Leads(counting.collect()));
    }

    pub(super) fn follows(&self) {
        self.tell(News::Follows);
    }

    fn tell(&self, news: News) {
        if let Err(error) = self.0.try_send(news) {
            tracing::debug!("row counts: {error}; they are looked for later");
        }
    }
}

fn counts(name: &str) -> bool {
    kind::find(name).is_some_and(kind::Kind::counts_rows)
}

fn counts_rows(world: &World, attempt: AttemptId) -> bool {
    let job = world.run(attempt.run).and_then(|run| {
        let interface = params::definition(world.catalog(), run)?;
        let at = interface.jobs.binary_search_by_key(&attempt.job, |job| job.id).ok()?;
        interface.jobs.get(at)
    });
    job.is_some_and(|job| counts(&job.spec.kind))
}

#[derive(Debug)]
struct Keeper {
    db: Db,
    logs: Logs,
    clock: Clock,
    /// Attempts that run, and how long their output was when it was read last.
    live: BTreeMap<AttemptId, u64>,
    /// Behind which of them the next round goes on.
    last: Option<AttemptId>,
    /// When all of them have been looked at again.
    live_due: Millis,
    /// Ended, and not read yet: how often it was tried.
    ended: VecDeque<(AttemptId, u32)>,
    leads: bool,
    jobs: BTreeSet<JobId>,
    missed_due: Millis,
    empty: BTreeSet<AttemptId>,
}

impl Keeper {
    fn new(db: Db, logs: Logs, clock: Clock) -> Keeper {
        Keeper {
            db,
            logs,
            clock,
            live: BTreeMap::new(),
            last: None,
            live_due: 0,
            ended: VecDeque::new(),
            leads: false,
            jobs: BTreeSet::new(),
            missed_due: 0,
            empty: BTreeSet::new(),
        }
    }

    async fn told(&mut self, news: News) {
        match news {
            News::Runs(attempt) => {
                if self.live.len() < LIVE_MAX {
                    self.live.entry(attempt).or_insert(0);
                }
            }
            News::Gone(attempt) => _ = self.live.remove(&attempt),
            News::Ended(attempt) => {
                self.live.remove(&attempt);
                let kept = tokio::time::timeout(ROUND_MAX, self.keep(attempt)).await;
                if kept != Ok(true) {
                    self.again(attempt, 1);
                }
            }
            News::Leads(jobs) => {
                (self.leads, self.jobs) = (true, jobs);
                self.missed_due = self.clock.mono_ms();
            }
            News::Follows => {
                self.leads = false;
                self.live.clear();
            }
        }
    }

    fn again(&mut self, attempt: AttemptId, tried: u32) {
        match tried < TRIES && self.ended.len() < WAITING_MAX {
            true => self.ended.push_back((attempt, tried)),
            false => {
                tracing::warn!(%attempt, "its row counts cannot be read now: they are looked for later")
            }
        }
    }

    async fn round(&mut self) {
        for _ in 0..self.ended.len() {
            let Some((attempt, tried)) = self.ended.pop_front() else { break };
            // Before it is tried: a round may be cut short.
            self.again(attempt, tried + 1);
            if self.keep(attempt).await {
                self.ended.retain(|(other, _)| *other != attempt);
            }
        }
        let now = self.clock.mono_ms();
        if self.leads && self.missed_due <= now {
            self.missed_due = now + MISSED_EVERY_MS;
            self.missed().await;
        }
        if self.live_due <= now {
            self.look().await;
            self.live_due = now + EVERY_MS;
            self.last = None;
        }
    }

    /// The attempts that run, from where the last round was cut short.
    async fn look(&mut self) {
        let behind = self.last;
        let behind = |attempt: &AttemptId| behind.is_none_or(|last| *attempt > last);
        let all: Vec<_> = self.live.iter().map(|(id, len)| (*id, *len)).collect();
        for (attempt, known) in all.into_iter().filter(|(attempt, _)| behind(attempt)) {
            self.last = Some(attempt);
            let read = self.read(attempt, Some(known));
            let Ok(read) = tokio::time::timeout(LOOK_MAX, read).await else {
                // Its host is silent; when it reports again, it is looked at again.
                self.live.remove(&attempt);
                continue;
            };
            match read {
                Ok((len, counts)) => {
                    self.live.entry(attempt).and_modify(|known| *known = len);
                    if let Some(counts) = counts {
                        self.put(attempt, &counts).await;
                    }
                }
                Err(
                    logs::Error::NoAttempt
                    | logs::Error::NoOutput { .. }
                    | logs::Error::Away { .. },
                ) => _ = self.live.remove(&attempt),
                Err(error) => tracing::debug!(%attempt, "its row counts: {error}"),
            }
        }
    }

    /// Of one that has ended; no: once more.
    async fn keep(&mut self, attempt: AttemptId) -> bool {
        match self.read(attempt, None).await {
            Ok((_, Some(counts))) => self.put(attempt, &counts).await,
            Ok((_, None)) | Err(logs::Error::NoAttempt | logs::Error::NoOutput { .. }) => {
                if self.empty.len() >= EMPTY_MAX {
                    self.empty.clear();
                }
                self.empty.insert(attempt);
                true
            }
            Err(error) => {
                tracing::debug!(%attempt, "its row counts: {error}");
                false
            }
        }
    }

    async fn put(&self, attempt: AttemptId, counts: &Counts) -> bool {
        let done = self.db.commit(store::counts::put(attempt, counts)).await;
        if let Err(error) = &done {
            tracing::debug!(%attempt, "its row counts: {error}");
        }
        done.is_ok()
    }

    /// How long its output is, and what the end of it tells: nothing if it is as long as it was.
    async fn read(
        &self,
        attempt: AttemptId,
        known: Option<u64>,
    ) -> logs::Result<(u64, Option<Counts>)> {
        let end = self.logs.read(attempt, Stream::Err, u64::MAX, 1).await?;
        if end.len == 0 || Some(end.len) == known {
            return Ok((end.len, None));
        }
        let from = end.len.saturating_sub(u64::from(PART_MAX));
        let tail = self.logs.read(attempt, Stream::Err, from, PART_MAX).await?;
        // Who answered the second time may be behind who answered the first time.
        if tail.from + u64::try_from(tail.bytes.len()).unwrap_or(0) < end.len {
            let why = "its end has not come there yet".to_owned();
            return Err(logs::Error::StoreAway { host: String::new(), why });
        }
        let counts = Counts::find(&String::from_utf8_lossy(&tail.bytes));
        Ok((end.len, counts.filter(|counts| !counts.is_empty())))
    }

    /// Of runs that have ended lately, attempts of which nothing is kept.
    async fn missed(&mut self) {
        let since = self.clock.wall_ms() - MISSED_MS;
        let jobs: Vec<JobId> = self.jobs.iter().copied().collect();
        let found = store::counts::missed(&self.db, &jobs, since, MISSED_MAX).await;
        let found = found.unwrap_or_else(|error| {
            tracing::debug!("row counts that were missed: {error}");
            Vec::new()
        });
        for attempt in found {
            if !self.empty.contains(&attempt) && self.ended.len() < WAITING_MAX {
                self.ended.push_back((attempt, TRIES - 1));
            }
        }
    }
}
