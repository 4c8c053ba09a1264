//! What an earlier life of the supervisor left running: found by its mark, ended, proved gone,
//! before this life says its first word (rule P2).
//!
//! Those processes belong to init by now, so the whole table is looked through; proved gone means
//! that two looks in a row find nothing.

use super::ending::send;
use crate::clock;
use crate::process::mark::HostMark;
use crate::process::table::{self, Process};
use crate::process::{cgroup, cgroup::Groups};
use shared::ids::Millis;
use std::collections::HashSet;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is not gone after so long is told, again and again.
const STUBBORN_MS: Millis = 5_000;

/// Ends them; gives how many there were. `stop` asks to give up, because we are to end ourselves.
///
/// # Errors
/// It was stopped before all were gone.
pub fn end_all(
    host: HostMark,
    groups: Option<&Groups>,
    grace_ms: Millis,
    mut stop: impl FnMut() -> bool,
) -> anyhow::Result<usize> {
    let begun = clock::boot_ms();
    let kill_at = begun + grace_ms.max(0);
    let mut told = kill_at + STUBBORN_MS;
    let mut known: HashSet<(i32, u64)> = HashSet::new();
    let mut empty = 0;
    while empty < 2 {
        anyhow::ensure!(!stop(), "told to stop while what an earlier life left is being ended");
        let now = clock::boot_ms();
        let left = look(host, groups, &known);
        empty = if left.is_empty() { empty + 1 } else { 0 };
        for process in &left {
            let first = known.insert((process.pid, process.start));
            if now >= kill_at {
                send(process, libc::SIGKILL);
            } else if first {
                tracing::warn!("process {} was left by an earlier life: ending it", process.pid);
                send(process, libc::SIGTERM);
                send(process, libc::SIGCONT);
            }
        }
        if now >= told {
            told = now + STUBBORN_MS;
            let pids: Vec<i32> = left.iter().map(|process| process.pid).collect();
            tracing::error!(
                "processes {pids:?} of an earlier life do not end: nothing is answered"
            );
        }
        if empty < 2 {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    for group in groups.iter().flat_map(|groups| groups.left(&host.group_prefix())) {
        cgroup::dissolve(&group);
    }
    Ok(known.len())
}

fn look(host: HostMark, groups: Option<&Groups>, known: &HashSet<(i32, u64)>) -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let all = table::all();
    let left = groups.map(|groups| groups.left(&host.group_prefix())).unwrap_or_default();
    let in_groups: HashSet<i32> = left.iter().flat_map(|group| cgroup::members(group)).collect();
    let is_root = |process: &Process| {
        process.pid != own
            && (known.contains(&(process.pid, process.start))
                || in_groups.contains(&process.pid)
                || host.read(process.pid).is_some())
    };
    let found = table::descendants(&all, is_root);
    // Were we started by a job of ours, we would be among them.
    found.into_iter().filter(|process| !process.zombie && process.pid != own).collect()
}
