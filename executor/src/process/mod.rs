//! The only place that starts programs, looks at processes and ends them.

use std::path::Path;

/// Bytes of the disk that holds `path`: all, and those we may still use.
pub fn disk_of(path: &Path) -> Option<(u64, u64)> {
    let disk = nix::sys::statvfs::statvfs(path).ok()?;
    let unit = disk.fragment_size();
    Some((disk.blocks().saturating_mul(unit), disk.blocks_available().saturating_mul(unit)))
}
