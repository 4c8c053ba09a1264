//! A group of cgroup v2 for each attempt, where a directory of such a tree is ours to write.
//!
//! What is in a group is ended all at once, and that it is empty is a proof. The kind of the file
//! system is asked, never the path: a directory in a plain one would take our words and do nothing.

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Where the groups of attempts are made.
#[derive(Clone, Debug)]
pub struct Groups {
    base: PathBuf,
}

impl Groups {
    /// As `jobs.cgroup` says; none where nothing is to be had.
    ///
    /// # Errors
    /// A directory that was named cannot be used.
    pub fn find(key: &str) -> anyhow::Result<Option<Groups>> {
        match key {
            "off" => Ok(None),
            "" => Ok(delegated().filter(|base| usable(base).is_ok()).map(|base| Groups { base })),
            path => {
                let base = PathBuf::from(path);
                usable(&base).map_err(|error| {
                    anyhow::anyhow!("jobs.cgroup: {path:?} cannot hold groups: {error}")
                })?;
                Ok(Some(Groups { base }))
            }
        }
    }

    /// Makes the group of an attempt; the child joins by writing `0` to the file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn make(&self, name: &str) -> io::Result<(PathBuf, File)> {
        let path = self.base.join(name);
        std::fs::create_dir(&path)?;
        let procs = File::options().write(true).open(path.join("cgroup.procs"))?;
        Ok((path, procs))
    }

    /// Groups that an earlier life has left.
    pub fn left(&self, prefix: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.base) else { return Vec::new() };
        let ours = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        };
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours).collect()
    }
}

/// Ends all in the group at once (kernels from 5.14 on).
pub fn kill(group: &Path) {
    if let Err(error) = std::fs::write(group.join("cgroup.kill"), "1") {
        tracing::debug!("{}: cgroup.kill: {error}", group.display());
    }
}

pub fn members(group: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whether nothing is in it, nor in groups below it. Then it is removed.
pub fn dissolve(group: &Path) -> bool {
    // Groups below, which the job may have made: the deepest first.
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !dissolve(&entry.path()) {
            return false;
        }
    }
    match std::fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Our own group, if somebody has given it to us: the root of the tree belongs to the system.
fn delegated() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!own.is_empty()).then(|| Path::new("/sys/fs/cgroup").join(own))
}

fn usable(base: &Path) -> io::Result<()> {
    let kind = statfs(base).map_err(io::Error::from)?.filesystem_type();
    if kind != CGROUP2_SUPER_MAGIC {
        return Err(io::Error::other("it is not in a cgroup v2 tree"));
    }
    let probe = base.join(format!("hcndc-probe-{}", std::process::id()));
    std::fs::create_dir(&probe)?;
    std::fs::remove_dir(&probe)
}
