//! The embedded lease: one process has the data directory, by a lock that the kernel takes back when
//! the process ends, however it ends.

use shared::clock::Clock;
use shared::ids::Millis;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The file in the data directory that is locked; it holds the pid, for people.
const NAME: &str = "master.lock";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the data directory {} is in use by process {pid}: stop that one, or name another directory",
        .dir.display()
    )]
    Taken { dir: PathBuf, pid: String },
    #[error("cannot lock the data directory {}: {why}", .dir.display())]
    Io { dir: PathBuf, why: std::io::Error },
}

/// Held as long as it lives.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
    dir: PathBuf,
}

impl DirLock {
    /// # Errors
    /// Another process has it; the directory cannot be written.
    pub fn take(dir: &Path) -> Result<DirLock, Error> {
        let io = |why| Error::Io { dir: dir.to_owned(), why };
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(dir.join(NAME))
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(why)) => return Err(io(why)),
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid); // locked by one who has not written it yet
                let pid = pid.trim();
                let pid = if pid.is_empty() { "unknown" } else { pid }.to_owned();
                return Err(Error::Taken { dir: dir.to_owned(), pid });
            }
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(io)?;
        Ok(DirLock { _file: file, dir: dir.to_owned() })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Among what runs inside this process, told apart by holder.
#[derive(Clone, Debug)]
pub struct Local {
    _directory: Arc<DirLock>,
    clock: Clock,
    held: Arc<Mutex<Option<(String, Millis)>>>,
}

impl Local {
    pub fn new(directory: Arc<DirLock>, clock: Clock) -> Local {
        Local { _directory: directory, clock, held: Arc::default() }
    }

    pub(super) fn try_hold(&self, holder: &str, ttl: Duration) -> bool {
        let now = self.clock.mono_ms();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|(other, until)| other != holder && now < *until) {
            return false;
        }
        let ttl = Millis::try_from(ttl.as_millis()).unwrap_or(Millis::MAX);
        *held = Some((holder.to_owned(), now.saturating_add(ttl)));
        true
    }

    pub(super) fn release(&self, holder: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|(other, _)| other == holder) {
            *held = None;
        }
    }
}
