//! Which entry of a job is at work, and which transformation, by what a log of Kettle or Hop says:
//! `daily - Starting entry [load]` says a job, `load - Dispatching started for transformation [load]` a
//! transformation.
//!
//! The words are those of a language. Those of a start are known in some; in another one they are taken
//! for such when the entry that a line names is heard next (`load - Loading transformation …`). A
//! transformation names itself in any language.

use super::counts::{WITHIN, entry_name};
use std::collections::BTreeSet;

/// Who speaks, but is no job.
const PROGRAMS: &[&str] = &["Kitchen", "Pan", "HopRun", "RepositoriesMeta", "cfgbuilder"];
/// What stands before the bracket where an entry or action is started, in languages in which it was seen.
const STARTS: &[&str] = &[
    "Starting entry ",
    "Starting action ",
    "开始项",
    "Start Action ",
    "Entrada de comienzo ",
    "Acción inicial ",
    "Démarrage exécution action ",
    "Inizio entry ",
    "登録が開始されました ",
    "시작 엔트리 ",
];
/// A connection is named in brackets, too, and in no translation: by itself (`orders - Commit on database
/// connection [orders]`).
const CONNECTION: &str = "database connection [";
/// Jobs within jobs.
const DEEP_MAX: usize = 50;
/// Entries of a job that are kept; of more, it is not told which is at work.
const STARTED_MAX: usize = 2_000;
/// Bytes of words that may be those of a start.
const WORDS_BYTES_MAX: usize = 100;

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// A transformation or pipeline has begun.
    Part(&'a str),
    /// A job starts an entry.
    Entry {
        job: &'a str,
    },
    /// A job has launched entries side by side.
    Launch,
    Nothing,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    /// Jobs that are not told: those in which a server runs what was asked for. What was not started in
    /// one of them has lost its beginning.
    around: BTreeSet<String>,
    /// The job that was started, what it started, and so on.
    levels: Vec<Level>,
    /// By which words starts are told in this log.
    words: Option<String>,
    /// A start, perhaps.
    guess: Option<Start>,
    /// Lines are missing: who is at work cannot be known any more.
    lost: bool,
}

#[derive(Clone, Debug)]
struct Level {
    job: String,
    entry: String,
    started: BTreeSet<String>,
    /// It runs entries side by side: whose lines are whose is not told.
    parallel: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Start {
    job: String,
    words: String,
    entry: String,
}

impl Entries {
    pub(crate) fn below(around: impl IntoIterator<Item = String>) -> Entries {
        Entries { around: around.into_iter().collect(), ..Entries::default() }
    }

    /// Some lines will never be read.
    pub(crate) fn hole(&mut self) {
        self.lost = true;
    }

    /// What comes after the date of a line.
    pub(crate) fn line<'a>(&mut self, rest: &'a str) -> Told<'a> {
        self.hear(rest);
        let rest = rest.trim_end();
        let speaker = rest.split_once(" - ").map_or("", |(subject, _)| subject);
        if PROGRAMS.contains(&speaker) || rest.contains(CONNECTION) {
            return Told::Nothing;
        }
        let Some(named) = rest.strip_suffix(']') else { return self.other(rest) };
        if let Some((job, words, entry)) = self.started(named) {
            let known = self.words.as_deref() == Some(words);
            if !known {
                // What was guessed before was none.
                (self.words, self.levels) = (Some(words.to_owned()), Vec::new());
            }
            self.start(job, entry);
            return Told::Entry { job };
        }
        let itself = |(at, _)| {
            let name = named.get(at + 1..)?;
            rest.strip_prefix(name)?.starts_with(" - ").then_some(name)
        };
        if let Some(part) = named.match_indices('[').find_map(itself) {
            return Told::Part(part);
        }
        let told = self.other(rest);
        if told == Told::Nothing && self.words.is_none() {
            self.guess = guess(named);
        }
        told
    }

    /// The words of a start, its job before them and its entry behind.
    fn started<'a>(&self, named: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
        let own = self.words.as_deref();
        named.match_indices('[').find_map(|(at, _)| {
            let (head, entry) = (named.get(..at)?, named.get(at + 1..)?);
            let mut all = own.into_iter().chain(STARTS.iter().copied());
            all.find_map(|words| {
                let job = head.strip_suffix(words)?.strip_suffix(" - ")?;
                Some((job, head.get(head.len() - words.len()..)?, entry))
            })
        })
    }

    /// Whoever was named by a line that may have been a start speaks: it was one.
    fn hear(&mut self, rest: &str) {
        let Some(guess) = self.guess.take() else { return };
        let speaks = rest.strip_prefix(guess.entry.as_str());
        if speaks.is_some_and(|rest| rest.starts_with(" - ")) {
            self.start(&guess.job, &guess.entry);
            self.words = Some(guess.words);
        }
    }

    fn start(&mut self, job: &str, entry: &str) {
        let entry = entry_name(entry);
        let at = self.levels.iter().position(|level| level.job == job);
        let at = at.unwrap_or(self.levels.len());
        if at >= DEEP_MAX {
            return self.hole();
        }
        self.levels.truncate(at + 1);
        if at == self.levels.len() {
            let (job, entry, started) = (job.to_owned(), String::new(), BTreeSet::new());
            self.levels.push(Level { job, entry, started, parallel: false });
        }
        let level = &mut self.levels[at];
        level.entry.clone_from(&entry);
        if level.started.len() < STARTED_MAX {
            level.started.insert(entry);
        } else {
            level.parallel = true;
        }
    }

    /// `daily - Launched job entry [load] in parallel.`, and not `daily - Finished job entry [load]
    /// (result=[true])`.
    fn other(&mut self, rest: &str) -> Told<'static> {
        let says = |level: &&mut Level| {
            let text = rest.strip_prefix(level.job.as_str());
            text.is_some_and(|text| text.starts_with(" - "))
        };
        let Some(level) = self.levels.iter_mut().find(says) else { return Told::Nothing };
        let Some((_, named)) = rest.get(level.job.len()..).and_then(|text| text.split_once('['))
        else {
            return Told::Nothing;
        };
        let launched = named.match_indices(']').any(|(at, _)| {
            let after = named.get(at + 1..).unwrap_or_default();
            !after.contains('[') && level.started.contains(&entry_name(&named[..at]))
        });
        if !launched || level.parallel {
            return Told::Nothing;
        }
        level.parallel = true;
        Told::Launch
    }

    /// The entry that is at work, below those that have started its job. Empty: not known, or none is.
    pub(crate) fn path(&self) -> String {
        let first = self.levels.first().map(|level| &level.job);
        let begins = self.around.is_empty() || first.is_some_and(|job| self.around.contains(job));
        if self.lost || !begins {
            return String::new();
        }
        let told = self.levels.iter().take_while(|level| !level.parallel);
        let told = told.filter(|level| !self.around.contains(&level.job));
        told.map(|level| level.entry.as_str()).collect::<Vec<_>>().join(WITHIN)
    }
}

/// `daily - … [load`, said by no step: those say their copy (`write.0`) or their partition.
fn guess(named: &str) -> Option<Start> {
    let (head, entry) = named.split_once('[')?;
    let (job, words) = head.rsplit_once(" - ")?;
    let fits = !job.contains('.') && !words.is_empty() && !entry.is_empty();
    let fits = fits && words.len() <= WORDS_BYTES_MAX && entry.len() <= WORDS_BYTES_MAX;
    fits.then(|| Start { job: job.to_owned(), words: words.to_owned(), entry: entry.to_owned() })
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
