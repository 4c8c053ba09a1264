//! Working directories of jobs that name none: `work/ATTEMPT`.
//!
//! Most jobs leave theirs empty. Making and deleting one for each is the dearest thing a short job
//! does to a disk, so empty ones are renamed and used again; what a job has left in its own stays
//! until it is deleted by age (keeper.rs). Used by the threads that spawn and by the loop.

use super::Layout;
use shared::ids::AttemptId;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Empty ones kept at hand.
const SPARE_MAX: usize = 1_000;

/// Clones share what is at hand.
#[derive(Clone, Debug)]
pub struct Scratch {
    layout: Layout,
    spare: Arc<Mutex<Spare>>,
}

#[derive(Debug, Default)]
struct Spare {
    empty: Vec<PathBuf>,
    next: u64,
}

impl Scratch {
    /// What an earlier life kept at hand goes.
    pub fn new(layout: &Layout) -> Scratch {
        for entry in std::fs::read_dir(layout.work()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("spare-") {
                let _ = std::fs::remove_dir(entry.path());
            }
        }
        Scratch { layout: layout.clone(), spare: Arc::default() }
    }

    /// An empty directory of the attempt's name.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn take(&self, attempt: AttemptId) -> io::Result<PathBuf> {
        let own = self.layout.work_of(attempt);
        let spare = self.lock().empty.pop();
        if spare.is_some_and(|spare| std::fs::rename(spare, &own).is_ok()) {
            return Ok(own);
        }
        // What a job leaves there is its own, whatever its umask.
        match DirBuilder::new().mode(0o700).create(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(own),
        }
    }

    /// Its job is gone: it is used again if it is empty and still ours.
    pub fn give_back(&self, attempt: AttemptId, ours: Ours) {
        let own = self.layout.work_of(attempt);
        let Ok(mut entries) = std::fs::read_dir(&own) else { return };
        if entries.next().is_some() {
            return;
        }
        let mut spare = self.lock();
        if ours == Ours::No || spare.empty.len() >= SPARE_MAX {
            drop(spare);
            let _ = std::fs::remove_dir(&own);
            return;
        }
        spare.next += 1;
        let name = self.layout.work().join(format!("spare-{}", spare.next));
        if std::fs::rename(&own, &name).is_ok() {
            spare.empty.push(name);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody else could change what the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    Yes,
    /// The job ran as another user, or something of it may live on in there.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::{JobId, RunId};

    #[test]
    fn empty_ones_are_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::make(dir.path()).unwrap();
        let attempt = |number| AttemptId { run: RunId(1), job: JobId(1), number, reign: 1 };
        let scratch = Scratch::new(&layout);
        let first = scratch.take(attempt(1)).unwrap();
        scratch.give_back(attempt(1), Ours::Yes);
        assert!(!first.exists());
        let second = scratch.take(attempt(2)).unwrap();
        assert_eq!(second, layout.work_of(attempt(2)));
        std::fs::write(second.join("kept"), "x").unwrap();
        scratch.give_back(attempt(2), Ours::Yes);
        assert!(second.join("kept").exists());
        scratch.take(attempt(3)).unwrap();
        scratch.give_back(attempt(3), Ours::No);
        scratch.take(attempt(4)).unwrap();
        scratch.give_back(attempt(4), Ours::Yes);
        Scratch::new(&layout);
        let left: Vec<_> = std::fs::read_dir(layout.work()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
