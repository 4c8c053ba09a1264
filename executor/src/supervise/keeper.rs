//! Old output goes, by age, once its attempt has ended: a thread that looks now and then.
//!
//! It names what is old; the loop strikes out what still runs; then it deletes.

use crate::spool::{Layout, output};
use shared::clock::Clock;
use shared::ids::{AttemptId, Millis};
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

#[derive(Debug)]
pub struct Keeper {
    old: Receiver<Vec<AttemptId>>,
    delete: Sender<Vec<AttemptId>>,
}

impl Keeper {
    /// # Errors
    /// The thread cannot be started.
    pub fn start(layout: &Layout, keep_ms: Millis, bell: &UnixStream) -> std::io::Result<Keeper> {
        let (tell, old) = channel();
        let (delete, asked) = channel::<Vec<AttemptId>>();
        let (layout, mut bell) = (layout.clone(), bell.try_clone()?);
        let thread = std::thread::Builder::new().name("keeper".into()).stack_size(256 * 1024);
        thread.spawn(move || {
            std::thread::sleep(FIRST);
            loop {
                let before = Clock::system().wall_ms() - keep_ms;
                let old = find_old(&layout, before);
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

    /// Strikes out what still runs; the rest is deleted.
    pub fn attend(&self, runs: impl Fn(AttemptId) -> bool) {
        for mut old in self.old.try_iter() {
            old.retain(|attempt| !runs(*attempt));
            let _ = self.delete.send(old);
        }
    }
}

/// Attempts none of whose files has been written since `before`.
fn find_old(layout: &Layout, before: Millis) -> Vec<AttemptId> {
    let mut newest: BTreeMap<AttemptId, Millis> = BTreeMap::new();
    let shards = std::fs::read_dir(layout.out()).into_iter().flatten().flatten();
    for shard in shards {
        note_files(&shard.path(), &mut newest);
    }
    note_files(&layout.work(), &mut newest);
    let old = newest.into_iter().filter(|(_, at)| *at < before);
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
    // Its own directory, whatever the job has left in it; links are not followed.
    let _ = std::fs::remove_dir_all(layout.work_of(attempt));
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(find_old(&layout, now + 10_000), [attempt(1), attempt(2)]);
        assert!(find_old(&layout, now - 10_000).is_empty());
        forget(&layout, attempt(1));
        assert_eq!(find_old(&layout, now + 10_000), [attempt(2)]);
    }
}
