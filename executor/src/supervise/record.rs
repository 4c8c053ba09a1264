//! The journal as the loop uses it: what cannot be written is made good as a whole later, and
//! meanwhile nothing is started.

use super::attempts::{Attempts, Entry};
use crate::spool::journal::Journal;
use serde::{Deserialize, Serialize};
use shared::ids::{AttemptId, Millis};

/// Records copied into a new file in one turn of the loop.
const COPIED_MAX: usize = 500;
/// A disk that did not take a write is tried again after this long.
const RETRY_MS: Millis = 1_000;

#[derive(Debug)]
pub struct Recorder {
    journal: Journal,
    /// Still to be copied into the newest file, before the older ones may go.
    copying: Option<Vec<AttemptId>>,
    /// Something is missing in the journal: all must be written anew, not before then.
    broken: Option<Millis>,
}

/// Whether a journal can be gone on with as it is; else all that counts is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whole {
    Yes,
    No,
}

impl Recorder {
    pub fn new(journal: Journal) -> Recorder {
        Recorder { journal, copying: None, broken: None }
    }

    /// Goes on with a journal in which something may be missing, or not yet be in its newest file.
    pub fn resumed(journal: Journal, whole: Whole, now: Millis) -> Recorder {
        Recorder { journal, copying: None, broken: (whole == Whole::No).then_some(now) }
    }

    /// Whether the newest file and those before it say all, and nothing is being copied.
    pub fn whole(&self) -> Whole {
        match self.broken.is_none() && self.copying.is_none() {
            true => Whole::Yes,
            false => Whole::No,
        }
    }

    /// Whether it stands in the journal now.
    pub fn append(&mut self, now: Millis, entries: &[Entry]) -> bool {
        if self.broken.is_some() {
            return entries.is_empty();
        }
        match self.journal.append(entries) {
            Ok(()) => true,
            Err(error) => {
                self.fail(now, &error);
                false
            }
        }
    }

    /// A flush has failed since this was last asked.
    pub fn has_lost(&self) -> bool {
        self.journal.has_lost()
    }

    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// There is copying or mending to do; when.
    pub fn next(&self, now: Millis) -> Option<Millis> {
        self.broken.or(self.copying.as_ref().map(|_| now))
    }

    /// Copies some of what still counts, when the file has become long or is broken.
    pub fn turn(&mut self, now: Millis, attempts: &Attempts) {
        let mend = self.broken.is_some_and(|at| at <= now);
        if mend || self.broken.is_none() && self.copying.is_none() && self.journal.wants_copying() {
            if let Err(error) = self.journal.turn() {
                return self.fail(now, &error);
            }
            if let Err(error) = self.journal.append(&[attempts.lineage()]) {
                return self.fail(now, &error);
            }
            self.broken = None;
            self.copying = Some(attempts.records().map(|record| record.attempt).collect());
        }
        let Some(left) = &mut self.copying else { return };
        let some = left.split_off(left.len().saturating_sub(COPIED_MAX));
        let still = some.into_iter().filter_map(|attempt| attempts.record(attempt));
        let entries: Vec<Entry> =
            still.map(|record| Entry::Put(Box::new(record.clone()))).collect();
        let all = left.is_empty();
        let mut result = self.journal.append(&entries);
        if all && result.is_ok() {
            self.copying = None;
            result = self.journal.drop_older();
        }
        if let Err(error) = result {
            self.fail(now, &error);
        }
    }

    fn fail(&mut self, now: Millis, error: &std::io::Error) {
        tracing::error!("the journal cannot be written, no job is started until it can: {error}");
        self.copying = None;
        self.broken = Some(now + RETRY_MS);
    }
}
