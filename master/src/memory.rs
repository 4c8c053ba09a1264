//! How much of the machine's memory this process holds while it has nothing to do.
//!
//! The C library keeps what was freed, in as many heaps as eight times the cores, and lets its limits
//! grow with what it has seen: after a password hash or a large mesh that is tens of megabytes. Two
//! heaps with fixed limits do, and after work, when it is quiet again, the free pages go back.

#![expect(unsafe_code, reason = "the allocator's own controls have no safe form")]

use nix::time::{ClockId, clock_gettime};
use shared::ids::Millis;
use std::time::Duration;

/// Threads share them; most memory is the leader's, and it is one task.
const HEAPS: libc::c_int = 2;
/// Larger pieces are given back when they are freed; as much may stay at the end of a heap.
const PIECE_MAX: libc::c_int = 1024 * 1024;
/// Between two looks at whether it is quiet.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Processor time between two looks, below which it is: to look for free pages takes a heap's lock.
const QUIET_MS: Millis = 200;

/// Before any thread is there.
pub fn few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets numbers of the allocator, and is called before a second thread is there.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, PIECE_MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, PIECE_MAX);
    }
}

/// For as long as the process lives: once after each time of work.
pub async fn give_back_when_quiet() {
    let (mut last, mut owed) = (spent_ms(), true);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let spent = spent_ms();
        let busy = spent - last > QUIET_MS;
        last = spent;
        if !busy && owed && shared::tasks::blocking(give_back).await.is_err() {
            return;
        }
        owed = busy;
    }
}

/// All whole pages that are free.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks, and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Processor time of this process, of all its threads.
fn spent_ms() -> Millis {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .map_or(0, |spent| spent.tv_sec() * 1_000 + spent.tv_nsec() / 1_000_000)
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    #[test]
    fn free_pages_between_used_ones_go_back() {
        let mut pieces: Vec<Option<Vec<u8>>> = (0..32_000).map(|_| Some(vec![1; 4_000])).collect();
        let full = resident_kib();
        for (at, piece) in pieces.iter_mut().enumerate() {
            if at % 100 != 0 {
                *piece = None;
            }
        }
        give_back();
        let after = resident_kib();
        assert!(after + 64_000 < full, "{full} KiB, then {after} KiB");
        assert_eq!(pieces.iter().flatten().count(), 320);
    }
}
