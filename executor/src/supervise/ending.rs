//! Ending all that belongs to an attempt: TERM (or what its process understands) to all, grace, KILL to all, until it is proved gone.
//!
//! The proof is [`Children`]'s (its process is reaped, and none of those we adopted carries its mark)
//! and, where there is one, an empty cgroup. It is looked for whenever a child has ended; the rounds
//! here only send signals. What cannot be ended is tried again for ever, and told. Used by the
//! supervisor's loop.

use super::children::{Child, Children};
use crate::process::table::{self, Process};
use crate::process::{cgroup, sys};
use serde::{Deserialize, Serialize};
use shared::ids::{AttemptId, Millis};
use std::collections::{HashMap, HashSet};

/// Between two rounds while there is grace: for what is born meanwhile.
const TERM_EVERY_MS: Millis = 250;
/// Between two rounds of KILL, at first.
const KILL_EVERY_MS: Millis = 20;
/// What is not gone after so long is told, and tried less often.
const STUBBORN_MS: Millis = 10_000;

#[derive(Debug, Serialize, Deserialize)]
struct Ending {
    /// The first one that it is sent.
    #[serde(default = "term")]
    signal: i32,
    kill_at: Millis,
    next: Millis,
    /// Told to end; by pid and start, since pids come again.
    known: HashSet<(i32, u64)>,
    told: Millis,
}

fn term() -> i32 {
    libc::SIGTERM
}

/// Attempts that are being ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Endings(HashMap<AttemptId, Ending>);

impl Endings {
    /// Begins with the next round. Asked again, the shorter grace counts.
    pub fn begin(&mut self, now: Millis, attempt: AttemptId, (signal, grace_ms): (i32, Millis)) {
        let kill_at = now.saturating_add(grace_ms.max(0));
        let ending = self.0.entry(attempt).or_insert_with(|| Ending {
            signal,
            kill_at,
            next: now,
            known: HashSet::new(),
            told: kill_at.saturating_add(STUBBORN_MS),
        });
        ending.kill_at = ending.kill_at.min(kill_at);
        ending.next = now;
    }

    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.0.contains_key(&attempt)
    }

    pub fn attempts(&self) -> Vec<AttemptId> {
        self.0.keys().copied().collect()
    }

    pub fn done(&mut self, attempt: AttemptId) {
        self.0.remove(&attempt);
    }

    pub fn next(&self) -> Option<Millis> {
        self.0.values().map(|ending| ending.next).min()
    }

    /// Sends what is due.
    pub fn round(&mut self, now: Millis, children: &Children) {
        if self.next().is_none_or(|next| next > now) {
            return;
        }
        let all = table::all();
        for (attempt, ending) in self.0.iter_mut().filter(|(_, ending)| ending.next <= now) {
            if let Some(child) = children.get(*attempt) {
                ending.round(now, child, members(&all, child, children, &ending.known));
            }
        }
    }
}

impl Ending {
    fn round(&mut self, now: Millis, child: &Child, members: Vec<Process>) {
        let kill = now >= self.kill_at;
        for process in &members {
            let first = self.known.insert((process.pid, process.start));
            if kill {
                send(process, libc::SIGKILL);
            } else if first {
                send(process, self.signal);
                // What is stopped hears it only when it goes on.
                send(process, libc::SIGCONT);
            }
        }
        if kill && let Some(group) = &child.group {
            cgroup::kill(group);
        }
        if now >= self.told {
            self.told = now + STUBBORN_MS;
            let pids: Vec<i32> = members.iter().map(|process| process.pid).collect();
            tracing::warn!("{}: processes {pids:?} do not end by SIGKILL", child.attempt);
        }
        let late = now.saturating_sub(self.kill_at);
        self.next = match kill {
            false => self.kill_at.min(now + TERM_EVERY_MS),
            true => now + KILL_EVERY_MS.max(late / 8).min(1_000),
        };
    }
}

fn members(
    all: &[Process],
    child: &Child,
    children: &Children,
    known: &HashSet<(i32, u64)>,
) -> Vec<Process> {
    let adopted: HashSet<i32> = children.adopted_of(child.mark.serial).collect();
    let group = child.group.as_deref().map(cgroup::members).unwrap_or_default();
    let is_root = |process: &Process| {
        child.pid == Some(process.pid)
            || child.leader == Some(process.session)
            || adopted.contains(&process.pid)
            || group.contains(&process.pid)
            || known.contains(&(process.pid, process.start))
    };
    table::descendants(all, is_root).into_iter().filter(|process| !process.zombie).collect()
}

/// Only to that very process.
pub fn send(process: &Process, signal: i32) {
    let still = || table::lives(process.pid, process.start);
    if let Err(error) = sys::signal_if(process.pid, signal, still)
        && error.raw_os_error() != Some(libc::ESRCH)
    {
        tracing::warn!("process {}: signal {signal}: {error}", process.pid);
    }
}
