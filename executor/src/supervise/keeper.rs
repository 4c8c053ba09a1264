//! Old output goes once its attempt has ended and a leader has stored how: a thread that looks now and
//! then. By age; or, where output is shipped, when the store has it, and never before.
//!
//! It names what may go; the loop strikes out what runs or is not settled; then it deletes.

use crate::config::Config;
use crate::process::clear::clear;
use crate::spool::plan::Plan;
use crate::spool::{Layout, output};
use shared::clock::Clock;
use shared::ids::{AttemptId, Millis};
use shared::wire::Stream;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(600);
/// The first one, when the start is over.
const FIRST: Duration = Duration::from_secs(20);
/// Deleted at one look; the rest at the next.
const DELETED_MAX: usize = 20_000;

/// What stays how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    keep_ms: Millis,
    /// Only what the store has may go; what it can never have, after so long.
    shipped: Option<Millis>,
}

impl Keep {
    pub fn of(config: &Config) -> Keep {
        let hours = |hours: u32| Millis::from(hours) * 3_600_000;
        let here = hours(config.output.keep_h);
        match config.ships() {
            true => Keep { keep_ms: hours(config.logs.keep_h), shipped: Some(here) },
            false => Keep { keep_ms: here, shipped: None },
        }
    }

    /// Whether this attempt may go, so long after the last of it was written.
    fn allows(self, base: &Path, age: Millis) -> bool {
        let written = || output::stream_file(base, Stream::Out).exists();
        match self.shipped {
            Some(given_up_ms) if age > self.keep_ms.min(given_up_ms) && written() => {
                Plan::read(base).is_ok_and(|plan| {
                    plan.whole() && age > self.keep_ms || plan.given_up() && age > given_up_ms
                })
            }
            _ => age > self.keep_ms,
        }
    }
}

#[derive(Debug)]
pub struct Keeper {
    old: Receiver<Vec<AttemptId>>,
    delete: Sender<Vec<AttemptId>>,
}

impl Keeper {
    /// # Errors
    /// The thread cannot be started.
    pub fn start(layout: &Layout, keep: Keep, bell: &UnixStream) -> std::io::Result<Keeper> {
        let (tell, old) = channel();
        let (delete, asked) = channel::<Vec<AttemptId>>();
        let (layout, mut bell) = (layout.clone(), bell.try_clone()?);
        let thread = std::thread::Builder::new().name("keeper".into()).stack_size(256 * 1024);
        thread.spawn(move || {
            std::thread::sleep(FIRST);
            loop {
                let old = find_old(&layout, Clock::system().wall_ms(), keep);
                if !old.is_empty() {
                    if tell.send(old).is_err() {
                        return;
                    }
                    let _ = bell.write(b"!");
                    let Ok(gone) = asked.recv() else { return };
                    gone.iter().for_each(|attempt| forget(&layout, *attempt));
                }
                std::thread::sleep(EVERY);
            }
        })?;
        Ok(Keeper { old, delete })
    }

    /// Strikes out what is still needed; the rest is deleted.
    pub fn attend(&self, needed: impl Fn(AttemptId) -> bool) {
        for mut old in self.old.try_iter() {
            old.retain(|attempt| !needed(*attempt));
            let _ = self.delete.send(old);
        }
    }
}

/// Attempts none of whose files has been written for long enough.
fn find_old(layout: &Layout, now: Millis, keep: Keep) -> Vec<AttemptId> {
    let mut newest: BTreeMap<AttemptId, Millis> = BTreeMap::new();
    let shards = std::fs::read_dir(layout.out()).into_iter().flatten().flatten();
    for shard in shards {
        note_files(&shard.path(), &mut newest);
    }
    note_files(&layout.work(), &mut newest);
    let old = newest.into_iter();
    let old = old.filter(|(attempt, at)| keep.allows(&layout.output_of(*attempt), now - at));
    old.map(|(attempt, _)| attempt).take(DELETED_MAX).collect()
}

fn note_files(dir: &Path, newest: &mut BTreeMap<AttemptId, Millis>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let Some(attempt) = stem.and_then(|stem| stem.parse().ok()) else { continue };
        let written = entry.metadata().and_then(|found| found.modified()).ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let at = since.map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(0));
        let known = newest.entry(attempt).or_insert(at);
        *known = at.max(*known);
    }
}

fn forget(layout: &Layout, attempt: AttemptId) {
    output::remove(&layout.output_of(attempt));
    // Its own directory, whatever the job has left in it, or still puts there.
    if let Err(error) = clear(&layout.work_of(attempt), &layout.root) {
        tracing::warn!("the working directory of {attempt} stays: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::plan::Cut;
    use shared::ids::{JobId, RunId};

    #[test]
    fn what_is_old_is_found_by_its_newest_file() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::make(dir.path()).unwrap();
        let attempt = |number| AttemptId { run: RunId(99), job: JobId(1), number, reign: 7 };
        for number in [1, 2] {
            output::create(&layout.output_of(attempt(number))).unwrap();
            std::fs::create_dir(layout.work_of(attempt(number))).unwrap();
        }
        let now = Clock::system().wall_ms();
        let by_age = Keep { keep_ms: 0, shipped: None };
        assert_eq!(find_old(&layout, now + 10_000, by_age), [attempt(1), attempt(2)]);
        assert!(find_old(&layout, now - 10_000, by_age).is_empty());
        forget(&layout, attempt(1));
        assert_eq!(find_old(&layout, now + 10_000, by_age), [attempt(2)]);
    }

    #[test]
    fn where_output_is_shipped_only_what_the_store_has_may_go() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::make(dir.path()).unwrap();
        let attempt = AttemptId { run: RunId(99), job: JobId(1), number: 1, reign: 7 };
        let base = layout.output_of(attempt);
        output::create(&base).unwrap();
        let later = Clock::system().wall_ms() + 10_000;
        let shipped = Keep { keep_ms: 0, shipped: Some(60_000) };
        assert!(find_old(&layout, later, shipped).is_empty());
        let mut plan = Plan::read(&base).unwrap();
        let end = Cut { stream: Stream::Out, from: 0, until: 0, line: 0, lines: 0, end: true };
        plan.decide(&[end]).unwrap();
        assert!(find_old(&layout, later, shipped).is_empty());
        plan.stored(1).unwrap();
        assert_eq!(find_old(&layout, later, shipped), [attempt]);
        forget(&layout, attempt);
        assert!(!output::file(&base, "sent").exists());
    }

    #[test]
    fn what_can_never_be_shipped_goes_by_its_age() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::make(dir.path()).unwrap();
        let attempt = AttemptId { run: RunId(99), job: JobId(1), number: 1, reign: 7 };
        let base = layout.output_of(attempt);
        output::create(&base).unwrap();
        let now = Clock::system().wall_ms();
        let shipped = Keep { keep_ms: 0, shipped: Some(60_000) };
        let days = now + 1_000_000_000;
        assert!(find_old(&layout, days, shipped).is_empty());
        Plan::read(&base).unwrap().give_up().unwrap();
        assert!(find_old(&layout, now + 10_000, shipped).is_empty());
        assert_eq!(find_old(&layout, days, shipped), [attempt]);
        let longer = Keep { keep_ms: 2_000_000_000, shipped: Some(60_000) };
        assert_eq!(find_old(&layout, days, longer), [attempt], "it is not in the store to be kept");
    }
}
