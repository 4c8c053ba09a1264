//! What outlives a process: the journal, whose journal a life has read whole (rule H11), and what is
//! handed over to a newer program.

use super::book::{Book, Phase, Record};
use super::{Attempts, Do, Life, Setup};
use serde::{Deserialize, Serialize};
use shared::ids::{AttemptId, Incarnation};
use shared::sabotage::{Sabotage, Switch};
use shared::wire::{FOLLOWS_MAX, Former, LISTED_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// One record of the journal. The newest one of an attempt counts; one whose checksum is wrong is
/// skipped by the shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    Put(Box<Record>),
    Forget(AttemptId),
    /// Who writes from here on; the newest one counts.
    Life(Box<Lineage>),
}

/// One life, and those whose journals it has read whole (rule H11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    pub own: Former,
    /// The life of the machine: what was written before that ended may be lost. Empty: what was written
    /// may be lost already, and no next life answers for this one.
    pub machine: String,
    pub follows: Vec<Former>,
}

/// What a life begins with.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// Random.
    pub incarnation: Incarnation,
    /// As in [`Lineage`].
    pub machine: &'a str,
    /// Nothing in the journal was damaged.
    pub whole: bool,
    /// The attempts of earlier lives that are not yet proved gone: they go on as *ending*, and the shell
    /// goes on ending them.
    pub alive: &'a BTreeSet<AttemptId>,
}

/// What is handed over when a supervisor re-executes itself: it stays the same incarnation (rule H2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    life: Life,
    records: Vec<Record>,
}

/// What counts of a journal: records, and who wrote it last.
pub(super) fn read(
    journal: impl IntoIterator<Item = Entry>,
) -> (BTreeMap<AttemptId, Record>, Option<Lineage>) {
    let (mut records, mut last) = (BTreeMap::new(), None);
    for entry in journal {
        match entry {
            Entry::Put(record) => _ = records.insert(record.attempt, *record),
            Entry::Forget(attempt) => _ = records.remove(&attempt),
            Entry::Life(lineage) => last = Some(*lineage),
        }
    }
    (records, last)
}

impl Lineage {
    /// Whom the next life answers for.
    pub(super) fn followed_by(self, next: &Beginning<'_>, sabotage: Switch) -> Vec<Former> {
        let has = |one| sabotage == Some(one);
        let whole = next.whole || has(Sabotage::FollowsDamaged);
        let same = self.machine == next.machine || has(Sabotage::FollowsPowerLoss);
        if !whole || !same || self.machine.is_empty() {
            return Vec::new();
        }
        std::iter::once(self.own).chain(self.follows).take(FOLLOWS_MAX).collect()
    }
}

impl Attempts {
    pub fn save(&self) -> Saved {
        Saved { life: self.life.clone(), records: self.book.all().cloned().collect() }
    }

    /// After the re-execution: kills that were under way are asked for again.
    pub fn restore(setup: Setup, saved: Saved) -> Attempts {
        let mut attempts = Attempts {
            setup,
            life: saved.life,
            book: Book::default(),
            refusing: None,
            listed_max: LISTED_MAX,
            todo: Vec::new(),
        };
        for record in saved.records {
            if matches!(record.phase, Phase::Ending(_)) {
                let (attempt, grace_ms) = (record.attempt, record.grace_ms);
                attempts.todo.push(Do::Kill { attempt, grace_ms });
            }
            attempts.book.put(record);
        }
        attempts
    }

    /// The disk has not taken what was written to the journal: it may hold less than was put there,
    /// without a trace. No next life answers for this one.
    pub fn distrust_journal(&mut self) {
        self.life.machine.clear();
        self.todo.push(Do::Journal(self.lineage()));
    }

    /// Who writes this journal.
    pub fn lineage(&self) -> Entry {
        let Life { incarnation, floor, machine, follows, .. } = &self.life;
        let own = Former { incarnation: *incarnation, floor: *floor };
        Entry::Life(Box::new(Lineage { own, machine: machine.clone(), follows: follows.clone() }))
    }
}
