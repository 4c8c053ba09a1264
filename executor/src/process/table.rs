//! What lives on this machine, as `/proc` tells it.

use std::collections::HashMap;

/// One process. A pid alone is not enough to know it again: its start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub session: i32,
    /// In ticks since the machine was started.
    pub start: u64,
    /// Ended, and not yet taken off the table by its parent.
    pub zombie: bool,
}

pub fn look(pid: i32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets, and may hold anything, brackets too.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, parent, session, start, zombie: matches!(state, "Z" | "X") })
}

/// Whether that very process still lives.
pub fn lives(pid: i32, start: u64) -> bool {
    look(pid).is_some_and(|process| process.start == start && !process.zombie)
}

/// Everything that lives. Not one instant's picture: who is born meanwhile may be missing.
pub fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// Children of this process's first thread: those that the kernel gave us because their parent
/// has died. Other threads spawn, so a job itself is not among them until we re-execute ourselves. Only
/// the first thread reaps, so nothing leaves the list while it reads: none is missed.
pub fn adopted() -> Vec<i32> {
    let own = std::process::id().cast_signed();
    match std::fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(text) => text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        // A kernel without that file.
        Err(_) => all().iter().filter(|p| p.parent == own).map(|p| p.pid).collect(),
    }
}

/// `roots` and all that descends from them, by the parents in `all`.
pub fn descendants(all: &[Process], mut is_root: impl FnMut(&Process) -> bool) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Process> = all.iter().filter(|process| is_root(process)).copied().collect();
    let mut known: std::collections::HashSet<i32> = found.iter().map(|p| p.pid).collect();
    let mut at = 0;
    while let Some(process) = found.get(at) {
        for child in children.get(&process.pid).into_iter().flatten() {
            if known.insert(child.pid) {
                found.push(**child);
            }
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_find_ourselves() {
        let own = std::process::id().cast_signed();
        let me = look(own).unwrap();
        assert!(me.pid == own && !me.zombie && lives(own, me.start) && !lives(own, me.start + 1));
        assert!(all().contains(&me));
        assert_eq!(look(i32::MAX), None);
    }

    #[test]
    fn a_tree_is_followed_whatever_the_order() {
        let one = |pid, parent| Process { pid, parent, session: 0, start: 0, zombie: false };
        let all = [one(9, 8), one(2, 1), one(8, 2), one(5, 1), one(3, 2)];
        let mut pids: Vec<i32> = descendants(&all, |p| p.pid == 2).iter().map(|p| p.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [2, 3, 8, 9]);
    }
}
