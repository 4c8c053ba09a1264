//! What a supervisor remembers of its attempts, with an index for every question that it is asked
//! often. Only [`super::Attempts`] uses it.

use serde::{Deserialize, Serialize};
use shared::ids::{AttemptId, Millis};
use shared::wire::{Report, State};
use std::collections::{BTreeMap, BTreeSet};

/// What an attempt has written and used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub out_bytes: u64,
    pub err_bytes: u64,
    pub rss_max_kib: Option<u64>,
    pub cpu_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Running,
    /// Told to end. It counts as running until it is proved gone; then this is how it ended.
    Ending(State),
    Settled(State),
}

/// One attempt. Also what the journal keeps of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub attempt: AttemptId,
    pub phase: Phase,
    pub leased: bool,
    /// Monotonic: when its time is up.
    pub until: Option<Millis>,
    pub grace_ms: Millis,
    /// Wall clock, for people.
    pub started_ms: Option<Millis>,
    pub ended_ms: Option<Millis>,
    pub usage: Usage,
    /// The change that made it so, in the order of all changes of this life.
    pub changed: u64,
    /// Monotonic: since when it is settled.
    pub settled: Millis,
}

impl Record {
    pub(super) fn report(&self) -> Report {
        Report {
            attempt: self.attempt,
            state: match &self.phase {
                Phase::Running | Phase::Ending(_) => State::Running,
                Phase::Settled(state) => state.clone(),
            },
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            out_bytes: self.usage.out_bytes,
            err_bytes: self.usage.err_bytes,
            rss_max_kib: self.usage.rss_max_kib,
            cpu_ms: self.usage.cpu_ms,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Settled(_))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    records: BTreeMap<AttemptId, Record>,
    /// By the change that made them what they are.
    news: BTreeMap<u64, AttemptId>,
    /// Running ones with a time-out.
    timers: BTreeSet<(Millis, AttemptId)>,
    /// Running ones under the lease.
    leased: BTreeSet<AttemptId>,
    settled: BTreeSet<(Millis, AttemptId)>,
}

impl Book {
    pub(super) fn put(&mut self, record: Record) {
        self.remove(record.attempt);
        let id = record.attempt;
        self.news.insert(record.changed, id);
        match record.phase {
            Phase::Running => {
                if let Some(until) = record.until {
                    self.timers.insert((until, id));
                }
                if record.leased {
                    self.leased.insert(id);
                }
            }
            Phase::Ending(_) => {}
            Phase::Settled(_) => _ = self.settled.insert((record.settled, id)),
        }
        self.records.insert(id, record);
    }

    pub(super) fn remove(&mut self, id: AttemptId) {
        let Some(record) = self.records.remove(&id) else { return };
        self.news.remove(&record.changed);
        self.leased.remove(&id);
        self.settled.remove(&(record.settled, id));
        if let Some(until) = record.until {
            self.timers.remove(&(until, id));
        }
    }

    pub(super) fn get(&self, id: AttemptId) -> Option<&Record> {
        self.records.get(&id)
    }

    pub(super) fn usage(&mut self, id: AttemptId) -> Option<&mut Usage> {
        self.records.get_mut(&id).map(|record| &mut record.usage)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// What changed after that change, oldest first.
    pub(super) fn since(&self, changed: u64) -> impl Iterator<Item = &Record> {
        self.news.range(changed + 1..).filter_map(|(_, id)| self.records.get(id))
    }

    pub(super) fn out_of_time(&self, now: Millis) -> Vec<AttemptId> {
        self.timers.iter().take_while(|(at, _)| *at <= now).map(|&(_, id)| id).collect()
    }

    pub(super) fn next_timer(&self) -> Option<Millis> {
        self.timers.first().map(|&(at, _)| at)
    }

    pub(super) fn leased(&self) -> Vec<AttemptId> {
        self.leased.iter().copied().collect()
    }

    /// Settled ones, the longest settled first.
    pub(super) fn settled(&self) -> impl Iterator<Item = &Record> {
        self.settled.iter().filter_map(|(_, id)| self.records.get(id))
    }

    pub(super) fn count(&self) -> usize {
        self.records.len()
    }

    pub(super) fn settled_count(&self) -> usize {
        self.settled.len()
    }
}
