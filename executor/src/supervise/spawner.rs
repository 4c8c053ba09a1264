//! Threads that start processes: as many as saturate the machine, for each is stopped until its
//! child has called `exec`. The loop hands them work and is woken with what came of it.

use crate::process::launch::{self, Common};
use crate::process::sys::{self, Plan, Stack};
use crate::process::{cgroup::Groups, mark::Mark};
use crate::spool::scratch::{Ours, Scratch};
use crate::spool::{Layout, output};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use shared::ids::AttemptId;
use shared::wire::{Start, Work};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads; more than this bring nothing even on large machines.
const THREADS_MAX: usize = 8;

/// One process to be started.
#[derive(Debug)]
pub struct Birth {
    pub start: Box<Start>,
    pub mark: Mark,
}

/// What came of it.
#[derive(Debug)]
pub struct Born {
    pub attempt: AttemptId,
    /// Why there is no process, in words for people.
    pub result: Result<Newborn, String>,
}

#[derive(Debug)]
pub struct Newborn {
    pub pid: i32,
    /// To ask for their lengths, and to punch holes.
    pub out: File,
    pub err: File,
    pub group: Option<PathBuf>,
    /// It runs as somebody else than we.
    pub other_user: bool,
}

#[derive(Debug)]
pub struct Spawner {
    todo: Sender<Birth>,
    done: Receiver<Born>,
}

/// What every thread has.
#[derive(Debug)]
struct Bench {
    layout: Layout,
    scratch: Scratch,
    common: Common,
    groups: Option<Groups>,
    null: File,
    done: Sender<Born>,
    bell: UnixStream,
}

impl Spawner {
    /// `bell` is written to whenever there is something in [`Spawner::born`].
    ///
    /// # Errors
    /// Threads cannot be started.
    pub fn start(
        (layout, scratch): (&Layout, &Scratch),
        common: &Common,
        groups: Option<&Groups>,
        bell: &UnixStream,
    ) -> io::Result<Spawner> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (todo, births) = channel::<Birth>();
        let (told, done) = channel();
        let births = Arc::new(Mutex::new(births));
        for _ in 0..cores.clamp(4, THREADS_MAX) {
            let bench = Bench {
                layout: layout.clone(),
                scratch: scratch.clone(),
                common: common.clone(),
                groups: groups.cloned(),
                null: File::open("/dev/null")?,
                done: told.clone(),
                bell: bell.try_clone()?,
            };
            let births = births.clone();
            let thread = std::thread::Builder::new().name("spawn".into()).stack_size(256 * 1024);
            thread.spawn(move || bench.work(&births))?;
        }
        Ok(Spawner { todo, done })
    }

    pub fn spawn(&self, birth: Birth) {
        // The threads live as long as we hold this end.
        let _ = self.todo.send(birth);
    }

    pub fn born(&self) -> impl Iterator<Item = Born> {
        self.done.try_iter()
    }
}

impl Bench {
    fn work(mut self, births: &Mutex<Receiver<Birth>>) {
        // A handler of ours must not run in a child that shares our memory.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        let mut stack = Stack::default();
        loop {
            let next = births.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Birth { start, mark }) = next else { return };
            let attempt = start.attempt;
            let born = self.one(attempt, &start.work, mark, &mut stack);
            let result = born.map_err(|words| launch::short(&words));
            if self.done.send(Born { attempt, result }).is_err() {
                return;
            }
            // Full means that it rings already.
            let _ = self.bell.write(b"!");
        }
    }

    fn one(
        &self,
        attempt: AttemptId,
        work: &Work,
        mark: Mark,
        stack: &mut Stack,
    ) -> Result<Newborn, String> {
        let own_dir = || self.scratch.take(attempt);
        let plan = self.common.launch(work, own_dir, mark)?;
        let controllers = self.groups.as_ref().map(Groups::controllers).unwrap_or_default();
        let bounds = self.common.bounds(work, plan.user.as_ref(), controllers)?;
        let other_user = plan.user.is_some();
        let base = self.layout.output_of(attempt);
        let spool = |error: io::Error| format!("its output cannot be kept: {error}");
        let (out, err) = output::create(&base).map_err(spool)?;
        let group = match &self.groups {
            Some(groups) => {
                let made = groups.make(&mark.group(), &bounds.group);
                Some(made.map_err(|error| format!("its cgroup cannot be made: {error}"))?)
            }
            None => None,
        };
        let spawned = sys::spawn(
            &Plan {
                group: group.as_ref().map(|(_, procs)| procs.as_fd()),
                mark: mark.limit(),
                ..plan.with(
                    [self.null.as_fd(), out.as_fd(), err.as_fd()],
                    (self.common.umask(), bounds.resources),
                )
            },
            stack,
        );
        let group = group.map(|(path, _)| path);
        match spawned {
            Ok(pid) => Ok(Newborn { pid, out, err, group, other_user }),
            Err((step, error)) => {
                // Nothing has run: nothing is to be seen of it.
                output::remove(&base);
                self.scratch.give_back(attempt, Ours::No);
                if let Some(path) = group {
                    crate::process::cgroup::dissolve(&path);
                }
                Err(launch::words(step, &error, work))
            }
        }
    }
}
