//! The processes that live: which attempt each belongs to, and how much they have written.
//!
//! A job's process is our child; what it leaves behind when it dies comes to us too (we are the
//! subreaper), and is told by its mark. So *nothing of an attempt is left* is exactly: its process is
//! reaped, and nobody we adopted carries its mark. Used by the supervisor's loop alone.

use super::attempts::Usage;
use super::spawner::Newborn;
use super::talk::Grown;
use crate::process::mark::{HostMark, Mark};
use crate::process::sys::{Ended, Reaped};
use crate::process::table;
use crate::spool::output::{self, Holes, Marker};
use serde::{Deserialize, Serialize};
use shared::ids::AttemptId;
use shared::wire::Exit;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;

/// The process of one attempt.
#[derive(Debug, Serialize, Deserialize)]
pub struct Child {
    pub attempt: AttemptId,
    pub mark: Mark,
    /// None before it is started, and once it is reaped.
    pub pid: Option<i32>,
    /// The same pid, for good: the number of its session.
    pub leader: Option<i32>,
    #[serde(skip)]
    pub files: Option<(File, File)>,
    pub marker: Marker,
    pub group: Option<PathBuf>,
    /// It runs as somebody else than we.
    pub other_user: bool,
    /// It only looks on at what lives elsewhere.
    #[serde(default)]
    pub elsewhere: bool,
    pub success_codes: Vec<i32>,
    pub grace_ms: i64,
    /// Per stream.
    pub output_max: u64,
    pub holes: Holes,
    /// Once it is reaped: how, and what it has used. (What it has written counts when all is gone.)
    pub end: Option<(Exit, Usage)>,
}

/// Serialised it is what a re-execution hands over, when all are born.
#[derive(Debug, Serialize, Deserialize)]
pub struct Children {
    host: HostMark,
    next_serial: u32,
    live: HashMap<AttemptId, Child>,
    by_pid: HashMap<i32, AttemptId>,
    /// The first process of an attempt leads its session; so as long as the attempt is here.
    sessions: HashMap<i32, Mark>,
    /// Being started just now; their exit may be seen before their birth.
    #[serde(skip)]
    unborn: usize,
    #[serde(skip)]
    early: HashMap<i32, Reaped>,
    /// Adopted, and whose they are.
    adopted: HashMap<i32, Option<Mark>>,
}

impl Children {
    /// # Errors
    /// There are no random numbers.
    pub fn new(host: HostMark) -> anyhow::Result<Children> {
        Ok(Children {
            host,
            // Of an earlier life nothing is left; it is random only for the sake of people who read.
            next_serial: getrandom::u32().map_err(|error| anyhow::anyhow!("random: {error}"))?,
            live: HashMap::new(),
            by_pid: HashMap::new(),
            sessions: HashMap::new(),
            unborn: 0,
            early: HashMap::new(),
            adopted: HashMap::new(),
        })
    }

    pub fn next_mark(&mut self) -> Mark {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.host.attempt(self.next_serial)
    }

    /// It is being started.
    pub fn expect(&mut self, child: Child) {
        self.unborn += 1;
        self.live.insert(child.attempt, child);
    }

    /// It is there. Says whether it has ended meanwhile.
    pub fn born(&mut self, attempt: AttemptId, newborn: Newborn) -> Option<Reaped> {
        self.unborn = self.unborn.saturating_sub(1);
        let child = self.live.get_mut(&attempt)?;
        child.group = newborn.group;
        child.other_user = newborn.other_user;
        child.files = Some((newborn.out, newborn.err));
        child.leader = Some(newborn.pid);
        self.sessions.insert(newborn.pid, child.mark);
        let ended = self.early.remove(&newborn.pid);
        if ended.is_none() {
            child.pid = Some(newborn.pid);
            self.by_pid.insert(newborn.pid, attempt);
        }
        self.calm();
        ended
    }

    /// It could not be started.
    pub fn stillborn(&mut self, attempt: AttemptId) {
        self.unborn = self.unborn.saturating_sub(1);
        self.remove(attempt);
        self.calm();
    }

    /// Nobody is being started: an early exit that nobody has asked for was no job's.
    fn calm(&mut self) {
        if self.unborn == 0 {
            self.early.clear();
        }
    }

    /// Nobody is just being started.
    pub fn all_born(&self) -> bool {
        self.unborn == 0
    }

    /// After a re-execution. What of the output cannot be opened is not measured any more; the job
    /// itself writes on.
    pub fn reopen(&mut self) {
        for child in self.live.values_mut() {
            match output::reopen(child.marker.base()) {
                Ok(files) => child.files = Some(files),
                Err(error) => tracing::warn!("{}: its output: {error}", child.attempt),
            }
        }
    }

    /// Reaped, and not yet concluded.
    pub fn ended(&self) -> Vec<AttemptId> {
        let ended = self.live.values().filter(|child| child.end.is_some());
        ended.map(|child| child.attempt).collect()
    }

    /// Whose process that was, if it was a job's.
    pub fn reaped(&mut self, reaped: Reaped) -> Option<AttemptId> {
        if let Some(attempt) = self.by_pid.remove(&reaped.pid) {
            if let Some(child) = self.live.get_mut(&attempt) {
                child.pid = None;
            }
            return Some(attempt);
        }
        if self.adopted.remove(&reaped.pid).is_none() && self.unborn > 0 {
            self.early.insert(reaped.pid, reaped);
        }
        None
    }

    pub fn get(&self, attempt: AttemptId) -> Option<&Child> {
        self.live.get(&attempt)
    }

    pub fn get_mut(&mut self, attempt: AttemptId) -> Option<&mut Child> {
        self.live.get_mut(&attempt)
    }

    pub fn remove(&mut self, attempt: AttemptId) -> Option<Child> {
        let child = self.live.remove(&attempt)?;
        if let Some(pid) = child.pid {
            self.by_pid.remove(&pid);
        }
        if let Some(leader) = child.leader {
            self.sessions.remove(&leader);
        }
        Some(child)
    }

    pub fn all(&mut self) -> impl Iterator<Item = &mut Child> {
        self.live.values_mut()
    }

    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Looks at what we have adopted; gives the serials of attempts that something is left of. None:
    /// somebody unknown has ended while we looked, and may have left us children; reap, look again.
    ///
    /// Who has ended and is not reaped counts as left: its children became ours before it ended, so
    /// the list that we hold may lack them.
    pub fn adopt(&mut self) -> Option<HashSet<u32>> {
        let now: BTreeSet<i32> = table::adopted().into_iter().collect();
        self.adopted.retain(|pid, _| now.contains(pid));
        for pid in now {
            // Nothing is asked twice of the same process.
            if self.by_pid.contains_key(&pid) || self.adopted.contains_key(&pid) {
                continue;
            }
            let process = table::look(pid)?;
            let session = || self.sessions.get(&process.session).copied();
            let mark = self.host.read(pid).or_else(session);
            if mark.is_none() && process.zombie {
                return None;
            }
            if mark.is_none() {
                tracing::warn!("process {pid} came to us and carries no mark: it is left alone");
            }
            self.adopted.insert(pid, mark);
        }
        Some(self.adopted.values().flatten().map(|mark| mark.serial).collect())
    }

    pub fn adopted_of(&self, serial: u32) -> impl Iterator<Item = i32> {
        let of = move |mark: &Option<Mark>| mark.is_some_and(|mark| mark.serial == serial);
        self.adopted.iter().filter(move |(_, mark)| of(mark)).map(|(pid, _)| *pid)
    }
}

impl Child {
    /// What the agent is told of it while it runs.
    pub fn grown(&self) -> Grown {
        let (out, err) = self.marker.last();
        Grown { attempt: self.attempt, out, err, ended: false }
    }

    /// Bytes written to out and err.
    pub fn lengths(&self) -> (u64, u64) {
        let length = |file: &File| file.metadata().map_or(0, |found| found.len());
        let files = self.files.as_ref();
        files.map_or_else(|| self.marker.last(), |(out, err)| (length(out), length(err)))
    }

    pub fn has_failed(&self) -> bool {
        match self.end {
            Some((Exit::Code(code), _)) => match self.success_codes.is_empty() {
                true => code != 0,
                false => !self.success_codes.contains(&code),
            },
            _ => true,
        }
    }
}

pub fn exit_of(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal(signal) => Exit::Signal(signal),
    }
}
