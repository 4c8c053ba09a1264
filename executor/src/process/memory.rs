//! Whether it was memory that ended a job: what the kernel counts of it.

use shared::ids::Millis;
use std::collections::VecDeque;

/// Between a kill by the kernel and our reaping: a large process takes its time to go.
const WINDOW_MS: Millis = 5_000;

/// What a group of cgroup v2 counts in `memory.events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// It stood at its own limit.
    pub at_limit: u64,
    /// Processes in it that the kernel has killed for memory, its own limit or the machine's.
    pub killed: u64,
}

impl Events {
    pub fn of(text: &str) -> Events {
        let count = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let found = lines.find(|(key, _)| *key == name);
            found.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or(0)
        };
        Events { at_limit: count("oom"), killed: count("oom_kill") }
    }
}

/// The machine's own count, looked at now and then: that it has risen lately is all that can be known
/// of a process in no group.
#[derive(Debug, Default)]
pub struct Kills {
    /// When it was what; only changes, and the one before the window.
    changes: VecDeque<(Millis, u64)>,
    looked: Millis,
}

impl Kills {
    pub fn note(&mut self, now: Millis, count: u64) {
        if now - self.looked > WINDOW_MS {
            // Nobody ran: what rose meanwhile is nobody's.
            self.changes.clear();
        }
        self.looked = now;
        while self.changes.get(1).is_some_and(|(at, _)| *at <= now - WINDOW_MS) {
            self.changes.pop_front();
        }
        if self.changes.back().is_none_or(|(_, last)| *last != count) {
            self.changes.push_back((now, count));
        }
    }

    /// Whether the kernel has killed something for memory since then, as it counts now.
    pub fn have_risen(&self, now: Millis, count: u64) -> bool {
        let before = self.changes.iter().rev().find(|(at, _)| *at <= now - WINDOW_MS);
        before.or(self.changes.front()).is_some_and(|(_, before)| *before < count)
    }
}

/// Of the machine since it was started; none where the kernel does not count them.
pub fn kills() -> Option<u64> {
    of_vmstat(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn of_vmstat(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "low 0\nhigh 0\nmax 131\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(Events::of(text), Events { at_limit: 3, killed: 2 });
        assert_eq!(Events::of(""), Events::default());
        assert_eq!(of_vmstat("pgfault 1\noom_kill 17\nx 2\n"), Some(17));
        assert_eq!(of_vmstat("pgfault 1\n"), None);
    }

    #[test]
    fn only_what_rose_lately_counts() {
        let mut kills = Kills::default();
        assert!(!kills.have_risen(0, 9), "nothing is known yet");
        for at in 0..100 {
            kills.note(at * 100, 7);
        }
        assert!(!kills.have_risen(9_900, 7));
        assert!(kills.have_risen(9_950, 8), "between two looks");
        kills.note(10_000, 8);
        assert!(kills.have_risen(14_000, 8));
        for at in 101..160 {
            kills.note(at * 100, 8);
        }
        assert!(!kills.have_risen(15_950, 8), "long ago");
        assert!(kills.have_risen(15_950, 9));
        assert_eq!(kills.changes.len(), 1);
        kills.note(90_000, 20);
        assert!(!kills.have_risen(90_050, 20), "nothing ran meanwhile");
        assert!(kills.have_risen(90_050, 21));
    }
}
