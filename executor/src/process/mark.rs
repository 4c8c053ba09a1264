//! Whose a process is: a mark that every descendant of a job inherits.
//!
//! It stands in a limit that the kernel keeps and does not use (`RLIMIT_LOCKS`): double forks, `setsid`
//! and `env -i` do not shake it off, and it can only be lowered. A login shell that resets limits can
//! lose it; the environment carries it too. It names the data directory, so that two executors on a
//! machine do not end each other's jobs, and the attempt by a number of this life.

use super::sys;
use crate::spool::layout;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The variable that carries it too.
pub const VARIABLE: &str = "HCNDC_MARK";

/// Of a data directory: 31 random bits, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMark(u32);

/// Of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    host: u32,
    pub serial: u32,
}

impl HostMark {
    /// Reads the directory's own mark, makes one first if there is none.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else.
    pub fn of(data: &Path) -> anyhow::Result<HostMark> {
        let path = data.join("mark");
        let what = || format!("the mark of this data directory, {}", path.display());
        if !path.exists() {
            let number = (getrandom::u32().context("random numbers")? >> 1).max(1);
            let part = path.with_extension("part");
            layout::write_private(&part, &format!("{number:08x}\n")).with_context(what)?;
            std::fs::rename(&part, &path).with_context(what)?;
        }
        let text = std::fs::read_to_string(&path).with_context(what)?;
        let number = u32::from_str_radix(text.trim(), 16).with_context(what)?;
        Ok(HostMark(number & (u32::MAX >> 1)))
    }

    pub fn attempt(self, serial: u32) -> Mark {
        Mark { host: self.0, serial }
    }

    /// How names of cgroups of this data directory begin.
    pub fn group_prefix(self) -> String {
        format!("hcndc-{:08x}", self.0)
    }

    /// The mark of a process, if it is of this data directory. The environment is read only where
    /// the limit says nothing.
    pub fn read(self, pid: i32) -> Option<Mark> {
        let limit = sys::locks_limit(pid).or_else(|| limit_of_file(pid));
        let ours = |mark: &Mark| mark.host == self.0;
        limit.and_then(Mark::of_limit).filter(ours).or_else(|| of_environment(pid).filter(ours))
    }
}

impl Mark {
    pub fn limit(self) -> u64 {
        u64::from(self.host) << 32 | u64::from(self.serial)
    }

    fn of_limit(limit: u64) -> Option<Mark> {
        let host = u32::try_from(limit >> 32).ok()?;
        let serial = u32::try_from(limit & u64::from(u32::MAX)).ok()?;
        (host != 0).then_some(Mark { host, serial })
    }

    /// The name of the attempt's cgroup.
    pub fn group(self) -> String {
        format!("hcndc-{}", self.text())
    }

    pub fn text(self) -> String {
        format!("{:016x}", self.limit())
    }
}

/// The limits of other users' processes may be read, though not by `prlimit`.
fn limit_of_file(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn of_environment(pid: i32) -> Option<Mark> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = bytes
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    let number = u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()?;
    Mark::of_limit(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_keeps_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mark = HostMark::of(dir.path()).unwrap();
        assert_eq!(HostMark::of(dir.path()).unwrap(), mark);
        let of = mark.attempt(u32::MAX);
        assert_eq!(Mark::of_limit(of.limit()), Some(of));
        assert_eq!(Mark::of_limit(u64::MAX >> 33), None);
        assert_eq!(mark.read(1), None);
    }
}
