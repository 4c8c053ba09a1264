//! What is said of a job that ended by SIGKILL: whether it was the kernel, for want of memory.

use crate::process::cgroup;
use crate::process::memory::{self, Kills};
use shared::ids::Millis;
use shared::wire::Exit;
use std::path::Path;

/// The machine's count, as it was lately.
#[derive(Debug, Default)]
pub(super) struct MemoryKills(Kills);

impl MemoryKills {
    /// Now and then, while something runs.
    pub(super) fn look(&mut self, now: Millis) {
        if let Some(count) = memory::kills() {
            self.0.note(now, count);
        }
    }

    /// Its group knows for certain. Without one the machine's count is all there is: if that rose
    /// just now it was most likely this.
    pub(super) fn judge(&self, now: Millis, group: Option<&Path>) -> Exit {
        let risen = || memory::kills().is_some_and(|count| self.0.have_risen(now, count));
        match group.and_then(cgroup::memory_events) {
            Some(events) if events.killed > 0 && events.at_limit > 0 => Exit::OverMemory,
            Some(events) if events.killed > 0 => Exit::HostOutOfMemory,
            None if risen() => Exit::HostOutOfMemory,
            Some(_) | None => Exit::Signal(libc::SIGKILL),
        }
    }
}
