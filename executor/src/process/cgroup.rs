//! A group of cgroup v2 for each attempt, where a directory of such a tree is ours to write.
//!
//! What is in a group is ended all at once, and that it is empty is a proof. The kind of the file
//! system is asked, never the path: a directory in a plain one would take our words and do nothing.

use super::limits::{Controllers, may_lack};
use super::memory::Events;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where the groups of attempts are made.
#[derive(Clone, Debug)]
pub struct Groups {
    base: PathBuf,
    controllers: Controllers,
}

/// Where we go ourselves: a group whose children have controllers holds no processes.
const OWN: &str = "hcndc.supervisor";

impl Groups {
    /// As `jobs.cgroup` says; none where nothing is to be had.
    ///
    /// # Errors
    /// A directory that was named cannot be used.
    pub fn find(key: &str) -> anyhow::Result<Option<Groups>> {
        match key {
            "off" => Ok(None),
            "" => Ok(delegated().filter(|base| usable(base).is_ok()).map(Groups::of)),
            path => {
                let base = PathBuf::from(path);
                usable(&base).map_err(|error| {
                    anyhow::anyhow!("jobs.cgroup: {path:?} cannot hold groups: {error}")
                })?;
                Ok(Some(Groups::of(base)))
            }
        }
    }

    fn of(base: PathBuf) -> Groups {
        let controllers = enable(&base);
        Groups { base, controllers }
    }

    /// What groups of attempts can be held to.
    pub fn controllers(&self) -> Controllers {
        self.controllers
    }

    /// Makes the group of an attempt with these of its files written; the child joins by writing `0`
    /// to the one that is given.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn make(&self, name: &str, limits: &[(&str, String)]) -> io::Result<(PathBuf, File)> {
        let path = self.base.join(name);
        std::fs::create_dir(&path)?;
        for (file, text) in limits {
            let written = write(&path.join(file), text);
            match written {
                Err(error) if error.kind() == io::ErrorKind::NotFound && may_lack(file) => {}
                Err(error) => {
                    let _ = std::fs::remove_dir(&path);
                    return Err(io::Error::other(format!("{file}: {error}")));
                }
                Ok(()) => {}
            }
        }
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

/// What memory has done to it; none where nobody counts.
pub fn memory_events(group: &Path) -> Option<Events> {
    std::fs::read_to_string(group.join("memory.events")).ok().map(|text| Events::of(&text))
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
    // After a re-execution we are below it.
    let own = own.strip_suffix(OWN).map_or(own, |above| above.trim_end_matches('/'));
    (!own.is_empty()).then(|| Path::new("/sys/fs/cgroup").join(own))
}

/// Gives the groups below `base` what controllers it has itself; says which they have then.
fn enable(base: &Path) -> Controllers {
    let list = |file: &str| std::fs::read_to_string(base.join(file)).unwrap_or_default();
    let own = std::process::id().cast_signed();
    if members(base).contains(&own) {
        let leaf = base.join(OWN);
        let _ = std::fs::create_dir(&leaf);
        if let Err(error) = write(&leaf.join("cgroup.procs"), "0") {
            tracing::warn!("{}: going there: {error}", leaf.display());
        }
    }
    for name in ["cpu", "memory", "pids"] {
        let there = list("cgroup.controllers").split_whitespace().any(|word| word == name);
        if there
            && let Err(error) = write(&base.join("cgroup.subtree_control"), &format!("+{name}"))
        {
            tracing::warn!("{}: {name} is not for jobs: {error}", base.display());
        }
    }
    Controllers::of(&list("cgroup.subtree_control"))
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).open(file)?.write_all(text.as_bytes())
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
