//! Copies of repositories of Kettle that are in a database or on Pentaho's server: nothing but Kettle can read these, so it
//! exports one as a whole ([`export`]), when somebody asks, and what comes is taken apart ([`split`]) into a folder that is
//! ours alone ([`tree`]).
//!
//! A thread of the agent does it, one repository at a time; who asks is told at once that it is being read. Only what
//! `browse.repositories` names is read; a copy of what is not named any more goes.

mod export;
mod split;
mod told;
mod tree;

use crate::config::Config;
use crate::process::clear::clear;
use crate::process::sys::Stack;
use export::{Bench, Exported, Stop, short};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use shared::clock::Clock;
use shared::etl::browse::Unseen;
use shared::etl::stored::{Copied, Failed};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// An environment, and a repository as it knows it.
type Name = (String, String);

/// What a host has of them, and has read.
#[derive(Debug)]
pub struct Repositories {
    shelf: Arc<Shelf>,
    reader: Mutex<Option<(SyncSender<Name>, JoinHandle<()>)>>,
}

/// What is known of each.
#[derive(Debug)]
struct Shelf {
    dir: PathBuf,
    copies: Mutex<BTreeMap<Name, Copied>>,
    clock: Clock,
    stop: AtomicBool,
}

impl Stop for Shelf {
    fn is_asked(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Repositories {
    /// Copies of an earlier life count; what it has left otherwise goes.
    pub fn start(config: &Config, clock: Clock) -> Repositories {
        let dir = config.data.join("repositories");
        let copy = |(environment, name): (&str, &str)| {
            let place = place(&dir, environment, name);
            let (environment, name) = (environment.to_owned(), name.to_owned());
            let empty = Copied { environment, name, ..Copied::default() };
            let found = tree::about(&place, &empty.environment, &empty.name);
            ((empty.environment.clone(), empty.name.clone()), found.unwrap_or(empty))
        };
        let copies: BTreeMap<Name, Copied> = config.browse.wanted().map(copy).collect();
        // Nothing to read, and nothing to take away.
        let idle = copies.is_empty() && !dir.exists();
        let (copies, stop) = (Mutex::new(copies), AtomicBool::new(false));
        let shelf = Arc::new(Shelf { dir, copies, clock, stop });
        let reader = if idle { None } else { reader(config, &shelf) };
        Repositories { shelf, reader: Mutex::new(reader) }
    }

    /// None may be read.
    pub fn is_empty(&self) -> bool {
        self.shelf.lock().is_empty()
    }

    pub fn all(&self) -> Vec<Copied> {
        self.shelf.lock().values().cloned().collect()
    }

    /// Of this environment; of an empty one the first of this name.
    pub fn find(&self, environment: &str, name: &str) -> Option<Copied> {
        let copies = self.shelf.lock();
        let fits = |copied: &&Copied| {
            copied.name == name && (environment.is_empty() || copied.environment == environment)
        };
        copies.values().find(fits).cloned()
    }

    /// Where the files of its copy are.
    pub fn files(&self, copied: &Copied) -> Option<PathBuf> {
        copied.read_ms?;
        tree::files(&place(&self.shelf.dir, &copied.environment, &copied.name))
    }

    /// Has it read, and does not wait for that.
    ///
    /// # Errors
    /// It may not be read, or another one is being read.
    pub fn read(&self, environment: &str, name: &str) -> Result<Copied, Unseen> {
        let key = (environment.to_owned(), name.to_owned());
        let mut copies = self.shelf.lock();
        if !copies.contains_key(&key) {
            return Err(Unseen::InDatabase(short(name)));
        }
        if let Some(other) = copies.values().find(|copied| copied.since_ms.is_some()) {
            return Err(Unseen::Reads(other.name.clone()));
        }
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = reader.as_ref().is_some_and(|(wishes, _)| wishes.try_send(key.clone()).is_ok());
        match copies.get_mut(&key) {
            Some(copied) if asked => {
                copied.since_ms = Some(self.shelf.clock.wall_ms());
                Ok(copied.clone())
            }
            _ => Err(Unseen::System("nothing is read now: the log of the agent says why".into())),
        }
    }

    /// Ends what is being read, and waits for that.
    pub fn end(&self) {
        self.shelf.stop.store(true, Ordering::Relaxed);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((wishes, thread)) = reader {
            drop(wishes);
            let _ = thread.join();
        }
    }
}

/// Where the copies of a repository are.
fn place(dir: &Path, environment: &str, name: &str) -> PathBuf {
    // FNV-1a: the same in every version of ours; what is in it says of which repository it is.
    let mut key: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in environment.bytes().chain([b':']).chain(name.bytes()) {
        key = (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    dir.join(format!("{key:016x}"))
}

fn reader(config: &Config, shelf: &Arc<Shelf>) -> Option<(SyncSender<Name>, JoinHandle<()>)> {
    let (wishes, wished) = sync_channel(1);
    let (config, own) = (config.clone(), shelf.clone());
    let thread = std::thread::Builder::new().name("repository".into()).spawn(move || {
        // A handler of ours must not run in a child that shares our memory.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        own.work(&config, &wished);
    });
    match thread {
        Ok(thread) => Some((wishes, thread)),
        Err(error) => {
            tracing::warn!("no repository is read: no thread: {error}");
            None
        }
    }
}

/// Whatever happens, it is not being read any more.
struct Turn<'a> {
    shelf: &'a Shelf,
    key: &'a Name,
    done: Option<anyhow::Result<Copied>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut copies = self.shelf.lock();
        let Some(copied) = copies.get_mut(self.key) else { return };
        let done =
            self.done.take().unwrap_or_else(|| Err(anyhow::anyhow!("the agent is at fault")));
        match done {
            Ok(read) => {
                let (objects, left) = (read.objects, read.left_out);
                tracing::info!(
                    "repository {:?} is read: {objects} objects, {left} left out",
                    read.name
                );
                *copied = read;
            }
            Err(why) => {
                let words = short(&format!("{why:#}"));
                tracing::warn!("repository {:?} cannot be read: {words}", copied.name);
                copied.failed = Some(Failed { at_ms: self.shelf.clock.wall_ms(), words });
                copied.since_ms = None;
            }
        }
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Copied>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, config: &Config, wished: &Receiver<Name>) {
        let known: Vec<PathBuf> = {
            let copies = self.lock();
            copies.keys().map(|(environment, name)| place(&self.dir, environment, name)).collect()
        };
        let bench = Bench::new(config, &self.dir, self);
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            match entry.path() {
                path if known.contains(&path) => tree::tidy(&path),
                path if known.is_empty() || path.is_dir() => {
                    if let Err(error) = clear(&path, &self.dir) {
                        tracing::warn!("{} stays: {error}", path.display());
                    }
                }
                _ => {}
            }
        }
        let bench = match bench {
            Ok(bench) if !known.is_empty() => bench,
            Ok(_) => return,
            Err(error) => return tracing::warn!("no repository is read: {error:#}"),
        };
        let mut stack = Stack::default();
        while let Ok(key) = wished.recv() {
            let mut turn = Turn { shelf: self, key: &key, done: None };
            turn.done = Some(self.one(&bench, &key, &mut stack));
            bench.clean();
        }
    }

    fn one(&self, bench: &Bench, key: &Name, stack: &mut Stack) -> anyhow::Result<Copied> {
        let (environment, name) = key;
        let read_ms = Some(self.clock.wall_ms());
        let Exported { file, error } = bench.export(environment, name, stack, self)?;
        let (environment, name) = (environment.clone(), name.clone());
        let user = bench.user(&environment);
        let dir = place(&self.dir, &environment, &name);
        let copied = Copied { environment, name, user, read_ms, error, ..Copied::default() };
        let begun = self.clock.mono_ms();
        tree::make(&dir, copied, file, || {
            anyhow::ensure!(!self.is_asked(), "the agent of this host has ended meanwhile");
            bench.in_time(begun, "to take its export apart")?;
            bench.has_room()
        })
    }
}
