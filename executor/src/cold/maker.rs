//! The thread of the agent that has archives made: one at a time, at the lowest priority, and only while the host has
//! nothing better to do. Orders pass by it ([`wished`]); nothing ever waits for it.

use super::making::{Bench, Failed, Wanted, Wish};
use crate::config::Config;
use crate::process::sys::{self, Stack};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use shared::clock::Clock;
use shared::etl::Engine;
use shared::ids::Millis;
use shared::wire::{Order, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// From an order to the first look: the run that it is about begins meanwhile.
const SETTLE_MS: Millis = 3_000;
/// What was looked at is not looked at again for so long.
const AGAIN_MS: Millis = 10_000;
/// Orders that are not yet taken, and wishes.
const WISHES_MAX: usize = 100;
/// With less memory, or less disk beside what jobs must have, none is made.
const MEMORY_MIN: u64 = 1 << 30;
const DISK_MIN: u64 = 512 << 20;
/// Of one and the same archive.
const TRIES_MAX: u32 = 5;
/// Reasons that have been told.
const TOLD_MAX: usize = 1_000;

/// Cheap to ask; ends its thread, and what that has started, when it is told to.
#[derive(Debug)]
pub struct Maker {
    running: Mutex<Option<(SyncSender<Wish>, JoinHandle<()>)>>,
    stop: Arc<AtomicBool>,
}

impl Maker {
    /// None where no archives are wanted.
    pub fn start(config: &Config) -> Option<Maker> {
        let dir = config.cold.place(&config.data)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (wished, wishes) = sync_channel(WISHES_MAX);
        let (config, stopping) = (config.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("cold".into()).spawn(move || {
            // A handler of ours must not run in a child that shares our memory.
            let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
            sys::be_last();
            match Bench::new(&config, dir.clone()) {
                Ok(bench) => Desk::new(bench, config, dir, stopping).work(&wishes),
                Err(error) => tracing::warn!("no class-data archives are made: {error:#}"),
            }
        });
        match thread {
            Ok(thread) => Some(Maker { running: Mutex::new(Some((wished, thread))), stop }),
            Err(error) => {
                tracing::warn!("no class-data archives are made: no thread: {error}");
                None
            }
        }
    }

    /// What runs that a leader has ordered would like; see [`wished`].
    pub(crate) fn wish(&self, wishes: Vec<Wish>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((wished, _)) = &*running else { return };
        for wish in wishes {
            // Full: the next run of its kind wishes the same.
            let _ = wished.try_send(wish);
        }
    }

    /// Waits for the thread, which ends at once.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((wished, thread)) = running {
            drop(wished);
            let _ = thread.join();
        }
    }
}

/// Environments and users of the runs of Hop among these.
pub(crate) fn wished(orders: &[Order]) -> Vec<Wish> {
    let of = |work: &Work| {
        let hop = work.etl.as_ref().is_some_and(|etl| etl.engine == Engine::Hop);
        hop.then(|| Wish { environment: work.environment.clone(), user: work.user.clone() })
    };
    let one = |order: &Order| match order {
        Order::Start(start) => of(&start.work),
        _ => None,
    };
    orders.iter().filter_map(one).collect()
}

/// When which is looked at. Pure.
#[derive(Debug, Default)]
struct Wishes {
    due: BTreeMap<Wish, Millis>,
    looked: BTreeMap<Wish, Millis>,
}

impl Wishes {
    fn take(&mut self, now: Millis, wish: Wish) {
        self.looked.retain(|_, at| now - *at < AGAIN_MS);
        let looked = self.looked.get(&wish).copied();
        if self.due.len() < WISHES_MAX {
            let at = looked.map_or(now + SETTLE_MS, |at| at + AGAIN_MS);
            self.due.entry(wish).or_insert(at);
        }
    }

    fn next(&mut self, now: Millis) -> Option<Wish> {
        let wish = self.due.iter().find(|(_, at)| **at <= now).map(|(wish, _)| wish.clone())?;
        self.due.remove(&wish);
        self.looked.insert(wish.clone(), now);
        Some(wish)
    }

    fn at(&self) -> Option<Millis> {
        self.due.values().min().copied()
    }
}

struct Desk {
    bench: Bench,
    config: Config,
    dir: PathBuf,
    stop: Arc<AtomicBool>,
    clock: Clock,
    wishes: Wishes,
    /// User, place and state of what was made, and how often: it may have been taken away. What has failed is not tried
    /// again in this life.
    tries: BTreeMap<(u32, super::kept::Key), u32>,
    told: BTreeSet<(Wish, String)>,
    stack: Stack,
}

impl Desk {
    fn new(bench: Bench, config: Config, dir: PathBuf, stop: Arc<AtomicBool>) -> Desk {
        Desk {
            bench,
            config,
            dir,
            stop,
            clock: Clock::system(),
            wishes: Wishes::default(),
            tries: BTreeMap::new(),
            told: BTreeSet::new(),
            stack: Stack::default(),
        }
    }

    fn work(mut self, wishes: &Receiver<Wish>) {
        loop {
            let left = self.wishes.at().map(|at| (at - self.clock.mono_ms()).max(0));
            let wish = match left.map(|ms| u64::try_from(ms).unwrap_or(0)) {
                None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(ms) => wishes.recv_timeout(Duration::from_millis(ms)),
            };
            let now = self.clock.mono_ms();
            match wish {
                Ok(wish) => self.wishes.take(now, wish),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(wish) = self.wishes.next(now) {
                self.look(wish);
            }
        }
    }

    fn look(&mut self, wish: Wish) {
        let wanted = match self.bench.look(&wish) {
            Ok(Some(wanted)) if self.tries(&wanted) < TRIES_MAX => wanted,
            Ok(_) => return,
            Err(why) => return self.tell(wish, why),
        };
        if let Some(why) = self.busy() {
            tracing::debug!("no class-data archive of {} yet: {why}", wanted.what);
            return self.wishes.take(self.clock.mono_ms(), wish);
        }
        let (begun, stop) = (self.clock.mono_ms(), self.stop.clone());
        let made = self.bench.make(&wanted, &mut self.stack, || stop.load(Ordering::Relaxed));
        let tries = if made.is_ok() { self.tries(&wanted) + 1 } else { TRIES_MAX };
        match made {
            Ok(length) => tracing::info!(
                "a class-data archive of {} is made, {} MiB in {} ms: cold starts use it",
                wanted.what,
                length >> 20,
                self.clock.mono_ms() - begun
            ),
            Err(Failed::Why(why)) => tracing::warn!(
                "no class-data archive of {}, so its cold starts take longer; it is tried again when one of them has \
                 changed, or the agent is started again: {why}",
                wanted.what
            ),
            Err(Failed::Stopped) => return,
        }
        self.tries.insert((wanted.uid, wanted.key), tries);
    }

    fn tries(&self, wanted: &Wanted) -> u32 {
        self.tries.get(&(wanted.uid, wanted.key)).copied().unwrap_or(0)
    }

    /// Once each.
    fn tell(&mut self, wish: Wish, why: String) {
        if self.told.len() < TOLD_MAX && !self.told.contains(&(wish.clone(), why.clone())) {
            let name = wish.environment.as_deref().unwrap_or("no environment");
            tracing::info!("Hop in {name} starts without a class-data archive: {why}");
            self.told.insert((wish, why));
        }
    }

    /// Why the host has better things to do.
    fn busy(&self) -> Option<String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = f64::from(u32::try_from(cores).unwrap_or(u32::MAX));
        let load = sysinfo::System::load_average().map_or(0.0, |load| load.one);
        if load > self.config.cold.load_max * cores {
            return Some(format!("the load is {load}"));
        }
        let memory = sysinfo::System::new().map(|mut system| {
            system.refresh_memory();
            system.available_memory()
        });
        if let Some(free) = memory.ok().filter(|free| *free < MEMORY_MIN) {
            return Some(format!("only {free} bytes of memory are free"));
        }
        let (_, free) = crate::process::disk_of(&self.dir)?;
        let least = self.config.output.disk_low_bytes.saturating_add(DISK_MIN);
        (free < least).then(|| format!("only {free} bytes of the disk are free"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(name: &str) -> Wish {
        Wish { environment: Some(name.into()), user: None }
    }

    #[test]
    fn a_wish_settles_first_and_is_not_looked_at_all_the_time() {
        let mut wishes = Wishes::default();
        wishes.take(0, wish("a"));
        wishes.take(2_000, wish("a"));
        assert_eq!((wishes.at(), wishes.next(SETTLE_MS - 1)), (Some(SETTLE_MS), None));
        assert_eq!(wishes.next(SETTLE_MS), Some(wish("a")));
        assert_eq!(wishes.at(), None);
        wishes.take(SETTLE_MS + 1, wish("a"));
        wishes.take(SETTLE_MS + 1, wish("b"));
        assert_eq!(wishes.next(SETTLE_MS * 2 + 1), Some(wish("b")));
        assert_eq!(wishes.at(), Some(SETTLE_MS + AGAIN_MS));
        assert_eq!(wishes.next(SETTLE_MS + AGAIN_MS), Some(wish("a")));
        (0..1_000).for_each(|number| wishes.take(0, wish(&number.to_string())));
        assert_eq!(wishes.due.len(), WISHES_MAX);
    }
}
