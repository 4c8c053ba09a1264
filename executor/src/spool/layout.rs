//! Names of files under the data directory, and the lock that keeps a second process out.

use crate::process::table;
use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use shared::ids::AttemptId;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who was killed while it started a job may hold its lock until that job has begun; who has only
/// just locked has not signed yet.
const TRIES: u32 = 100;
const TRY_EVERY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub struct Layout {
    pub root: PathBuf,
}

impl Layout {
    /// # Errors
    /// A directory cannot be made there.
    pub fn make(root: &Path) -> anyhow::Result<Layout> {
        let layout = Layout { root: root.to_owned() };
        // Jobs of other users must reach their own directory, and read nothing on the way.
        private_dir(root, 0o711)?;
        private_dir(&layout.journal(), 0o700)?;
        private_dir(&layout.out(), 0o700)?;
        private_dir(&layout.work(), 0o711)?;
        Ok(layout)
    }

    pub fn socket(&self) -> PathBuf {
        self.root.join("supervisor.sock")
    }

    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub fn out(&self) -> PathBuf {
        self.root.join("out")
    }

    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where an attempt's output lies, without the ending: spread over a thousand directories.
    pub fn output_of(&self, attempt: AttemptId) -> PathBuf {
        let run = attempt.run.to_string();
        let shard = &run[run.len().saturating_sub(2)..];
        self.out().join(shard).join(attempt.to_string())
    }

    /// The working directory of an attempt that names none.
    pub fn work_of(&self, attempt: AttemptId) -> PathBuf {
        self.work().join(attempt.to_string())
    }

    /// # Errors
    /// Another process holds it: its pid is named.
    pub fn lock(&self, what: &str) -> anyhow::Result<Lock> {
        Lock::take(&self.root.join(format!("{what}.lock")), what)
    }

    /// The pid of who holds that lock now.
    pub fn holder(&self, what: &str) -> Option<i32> {
        let path = self.root.join(format!("{what}.lock"));
        let mut file = File::open(&path).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => None,
            Err(_) => text.trim().parse().ok().filter(|pid| is_alive(*pid)),
        }
    }
}

/// Of that mode afterwards, whoever made it.
///
/// # Errors
/// It cannot be made, or is somebody else's.
pub fn private_dir(path: &Path, mode: u32) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.with_context(|| format!("cannot make the directory {}", path.display()))?;
    let set = || {
        let found = std::fs::metadata(path)?.permissions();
        match found.mode() & 0o777 == mode {
            true => Ok(()),
            false => std::fs::set_permissions(path, PermissionsExt::from_mode(mode)),
        }
    };
    set().with_context(|| format!("cannot set the mode {mode:o} of {}", path.display()))
}

/// A small file that nobody else reads.
///
/// # Errors
/// As the operating system says.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Held as long as the process lives; its pid stands in the file.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
}

impl Lock {
    fn take(path: &Path, what: &str) -> anyhow::Result<Lock> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut file = file;
        for _ in 0..TRIES {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Lock { file: locked }.signed(),
                Err((same, _)) => file = same,
            }
            let mut text = String::new();
            file.rewind()?;
            let _ = file.read_to_string(&mut text);
            if text.trim().parse().is_ok_and(is_alive) {
                bail!(
                    "process {} is the {what} of {} already: stop it, or use another data directory",
                    text.trim(),
                    path.parent().unwrap_or(path).display()
                )
            }
            std::thread::sleep(TRY_EVERY);
        }
        bail!("somebody holds {}: stop it, or use another data directory", path.display())
    }

    /// The same lock after a re-execution: it was never let go.
    ///
    /// # Errors
    /// The descriptor is none that holds it.
    pub fn inherited(fd: OwnedFd) -> anyhow::Result<Lock> {
        match Flock::lock(File::from(fd), FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Lock { file }),
            Err((_, error)) => Err(error).context("the lock that was handed over"),
        }
    }

    fn signed(mut self) -> anyhow::Result<Lock> {
        self.file.set_len(0).context("cannot write the lock file")?;
        self.file.rewind()?;
        writeln!(self.file, "{}", std::process::id()).context("cannot write the lock file")?;
        Ok(self)
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn is_alive(pid: i32) -> bool {
    table::look(pid).is_some_and(|process| !process.zombie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_with_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::make(dir.path()).unwrap();
        assert_eq!(layout.holder("supervisor"), None);
        let first = layout.lock("supervisor").unwrap();
        let pid = std::process::id();
        assert_eq!(layout.holder("supervisor"), Some(i32::try_from(pid).unwrap()));
        let words = layout.lock("supervisor").unwrap_err().to_string();
        assert!(words.contains(&format!("process {pid} is the supervisor")), "{words}");
        drop(first);
        layout.lock("supervisor").unwrap();
    }
}
