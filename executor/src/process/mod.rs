//! The only place that starts programs, looks at processes and ends them.
//!
//! [`launch`] makes a plan out of a job's work, [`account`] says as whom, [`sys`] carries it out (the one place with `unsafe`),
//! [`table`] reads what lives, [`mark`] says whose it is, [`limits`] what it may use, [`memory`] whether that ended it, [`cgroup`] helps where it can, [`own`]
//! starts our own program, [`piped`] one whose output is read; [`peer`] says who has connected; [`clear`] takes away what one has left.

pub mod account;
pub mod cgroup;
pub mod clear;
pub mod launch;
pub mod limits;
pub mod mark;
pub mod memory;
pub mod own;
pub mod peer;
pub mod piped;
pub mod sys;
pub mod table;

use std::path::Path;

/// Bytes of the disk that holds `path`: all, and those we may still use.
pub fn disk_of(path: &Path) -> Option<(u64, u64)> {
    let disk = nix::sys::statvfs::statvfs(path).ok()?;
    let unit = disk.fragment_size();
    Some((disk.blocks().saturating_mul(unit), disk.blocks_available().saturating_mul(unit)))
}
