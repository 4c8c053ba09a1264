//! `hcndc-executor services`: one process that keeps a host's services running, as `executor.toml` lists
//! them. Not needed by jobs, supervisor or agent; the agent tells the leader how they are ([`told`]).
//!
//! Each is started as a job is (environment, user, limits, a session and a mark of its own), and when its
//! first process has ended, what it has left is killed before it is started again ([`life`] says when).
//! What an earlier life of ours has left is ended first. SIGTERM ends them all, each with its grace: also
//! what a script has started (a JVM), which itself is gone at once.

pub mod defined;
mod life;
pub mod told;

use crate::config::{Config, Limits};
use crate::process::disk_of;
use crate::process::launch::{self, Common};
use crate::process::limits::Controllers;
use crate::process::mark::HostMark;
use crate::process::sys::{self, Ended, Plan, Stack};
use crate::process::table::{self, Process};
use crate::spool::Layout;
use crate::spool::layout::private_dir;
use crate::supervise::ending::send;
use crate::supervise::{signals, strays};
use crate::warm;
use anyhow::Context;
use life::{Due, Life};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::SignalFd;
use shared::clock::Clock;
use shared::ids::Millis;
use shared::wire::Service;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the lengths of their logs are looked at.
const LOOK_EVERY_MS: Millis = 10_000;
/// Their own words begin anew beyond this; the part before is kept beside.
const LOG_MAX: u64 = 16 * 1024 * 1024;
/// With less room than this nothing can be said in a log.
const DISK_MIN: u64 = 64 * 1024;
/// Given to what an earlier life of ours has left.
const STRAY_GRACE_MS: Millis = 5_000;
/// Between two shots at what does not end.
const KILL_EVERY: Duration = Duration::from_millis(20);
const KILLS_MAX: u32 = 250;

/// What there is to be kept running.
pub fn names(config: &Config) -> Vec<String> {
    all(config).into_keys().collect()
}

fn all(config: &Config) -> BTreeMap<String, defined::Service> {
    let warm = config.warm.service().map(|service| (warm::defined::NAME.to_owned(), service));
    config.services.clone().into_iter().chain(warm).collect()
}

/// Keeps them until it is told to end.
///
/// # Errors
/// Another one keeps them; the data directory cannot be used; a user or a value cannot be.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let layout = Layout::make(&config.data)?;
    let _lock = layout.lock("services")?;
    let dir = layout.root.join("services");
    private_dir(&dir, 0o711)?;
    let mark = HostMark::of(&dir)?;
    let signals = signals::take()?;
    // A child shares our memory until its `exec`: no handler of ours may run in it.
    SigSet::all().thread_block().context("blocking signals")?;
    nix::sys::prctl::set_child_subreaper(true).context("becoming the subreaper of the services")?;
    let left = strays::end_all(mark, None, STRAY_GRACE_MS, || signals::told_to_end(&signals))?;
    if left > 0 {
        tracing::warn!("{left} processes that an earlier life has left were ended");
    }
    // Limits of jobs are none of theirs.
    let common = Common::new(&Config { limits: Limits::default(), ..config.clone() })?;
    let clock = Clock::system();
    let now = clock.mono_ms();
    let kept = (1..).zip(all(config)).map(|(serial, (name, service))| Kept {
        serial,
        name,
        service,
        life: Life::new(now),
        since_ms: 0,
        words: String::new(),
    });
    let kept: Vec<Kept> = kept.collect();
    if kept.is_empty() {
        tracing::warn!(
            "executor.toml has no [services] and no [warm] engine: there is nothing to keep running"
        );
    }
    let null = File::open("/dev/null").context("/dev/null")?;
    Keeper { layout, dir, mark, common, clock, kept, null, looked: now }.keep(&signals)
}

struct Keeper {
    layout: Layout,
    dir: PathBuf,
    mark: HostMark,
    common: Common,
    clock: Clock,
    kept: Vec<Kept>,
    null: File,
    /// When the logs were last looked at.
    looked: Millis,
}

struct Kept {
    serial: u32,
    name: String,
    service: defined::Service,
    life: Life,
    since_ms: Millis,
    words: String,
}

impl Kept {
    fn told(&self) -> Service {
        let (runs, restarts) = (self.life.runs(), self.life.restarts);
        Service { runs, since_ms: self.since_ms, restarts, words: self.words.clone() }
    }

    fn say(&mut self, wall_ms: Millis, words: String) {
        self.since_ms = wall_ms;
        self.words = launch::short(&words);
    }
}

/// On a full disk a log says nothing: so it is told here.
fn full(dir: &Path, words: String) -> String {
    match disk_of(dir) {
        Some((_, free)) if free < DISK_MIN => {
            format!("the disk of {} is full ({free} bytes are free): {words}", dir.display())
        }
        _ => words,
    }
}

impl Keeper {
    fn keep(mut self, signals: &SignalFd) -> anyhow::Result<()> {
        let mut stack = Stack::default();
        let mut ending = false;
        self.tell();
        while !(ending && self.kept.iter().all(|kept| kept.life.is_over())) {
            let mut changed = false;
            let now = self.clock.mono_ms();
            for at in 0..self.kept.len() {
                changed |= match self.kept[at].life.due(now) {
                    Some(Due::Start) => self.start(at, &mut stack),
                    Some(Due::Kill) => self.kill(at),
                    None => false,
                };
            }
            if now - self.looked >= LOOK_EVERY_MS {
                self.looked = now;
                self.shorten();
            }
            if changed {
                self.tell();
            }
            if self.wait(signals)? && !ending {
                ending = true;
                self.end();
            }
            if self.reap() {
                self.tell();
            }
        }
        Ok(())
    }

    /// Whether we are to end.
    fn wait(&self, signals: &SignalFd) -> anyhow::Result<bool> {
        let next = self.kept.iter().filter_map(|kept| kept.life.next());
        let next = next.chain([self.looked + LOOK_EVERY_MS]).min().unwrap_or_default();
        let ms = (next - self.clock.mono_ms()).clamp(0, LOOK_EVERY_MS);
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(signals::told_to_end(signals)),
            Err(error) => Err(error).context("waiting"),
        }
    }

    fn start(&mut self, at: usize, stack: &mut Stack) -> bool {
        let kept = &self.kept[at];
        let born = self.spawn(kept, stack);
        let (now, wall) = (self.clock.mono_ms(), self.clock.wall_ms());
        let kept = &mut self.kept[at];
        match born {
            Ok(pid) => {
                tracing::info!("service {}: process {pid}", kept.name);
                kept.life.started(now, pid);
                let words = std::mem::take(&mut kept.words);
                kept.say(wall, words);
            }
            Err(words) => {
                let words = full(&self.dir, words);
                tracing::warn!("service {}: {words}", kept.name);
                kept.life.ended(now);
                kept.say(wall, words);
            }
        }
        true
    }

    fn spawn(&self, kept: &Kept, stack: &mut Stack) -> Result<i32, String> {
        let work = kept.service.work();
        let own = || {
            let dir = self.dir.join(format!("{}.dir", kept.name));
            private_dir(&dir, 0o700).map_err(std::io::Error::other)?;
            Ok(dir)
        };
        let mark = self.mark.attempt(kept.serial);
        let plan = self.common.launch(&work, own, mark)?;
        let bounds = self.common.bounds(&work, plan.user.as_ref(), Controllers::default())?;
        let log = self.log(&kept.name).map_err(|error| format!("its log: {error}"))?;
        let files = [self.null.as_fd(), log.as_fd(), log.as_fd()];
        let limits = (self.common.umask(), bounds.resources);
        let plan = Plan { mark: mark.limit(), ..plan.with(files, limits) };
        sys::spawn(&plan, stack).map_err(|(step, error)| launch::words(step, &error, &work))
    }

    fn log(&self, name: &str) -> std::io::Result<File> {
        let path = self.dir.join(format!("{name}.log"));
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)
    }

    /// A log that is too long begins anew. Whoever writes goes on in the same file.
    fn shorten(&self) {
        for kept in &self.kept {
            let path = self.dir.join(format!("{}.log", kept.name));
            if path.metadata().is_ok_and(|found| found.len() > LOG_MAX) {
                let beside = path.with_extension("log.1");
                if let Err(error) = std::fs::copy(&path, &beside) {
                    // On a full disk the service itself comes first.
                    let _ = std::fs::remove_file(&beside);
                    let path = path.display();
                    tracing::warn!("the log {path} begins anew, what it held is not kept: {error}");
                }
                if let Err(error) = self.log(&kept.name).and_then(|log| log.set_len(0)) {
                    tracing::warn!("the log {} cannot be shortened: {error}", path.display());
                }
            }
        }
    }

    /// Takes off the table what has ended; whether one of ours was among it.
    fn reap(&mut self) -> bool {
        let mut changed = false;
        while let Some(reaped) = sys::reap() {
            let found = self.kept.iter().position(|kept| kept.life.pid() == Some(reaped.pid));
            let Some(at) = found else { continue };
            if !self.kept[at].life.ends() {
                self.sweep(self.kept[at].serial);
            }
            let (now, wall) = (self.clock.mono_ms(), self.clock.wall_ms());
            let kept = &mut self.kept[at];
            let mut words = match reaped.ended {
                Ended::Code(code) => format!("ended with {code}"),
                Ended::Signal(signal) => format!("ended by signal {signal}"),
            };
            words = full(&self.dir, words);
            if let Some(delay) = kept.life.ended(now) {
                words = format!("{words}, started again after {} s", delay / 1_000);
                tracing::warn!("service {}: {words}", kept.name);
            }
            kept.say(wall, words);
            changed = true;
        }
        for at in 0..self.kept.len() {
            if self.kept[at].life.lingers() && self.members(self.kept[at].serial).is_empty() {
                self.kept[at].life.gone();
            }
        }
        changed
    }

    /// What it has left is killed, until none is found twice.
    fn sweep(&self, serial: u32) {
        let mut empty = 0;
        for _ in 0..KILLS_MAX {
            let left = self.members(serial);
            left.iter().for_each(|process| send(process, libc::SIGKILL));
            empty = if left.is_empty() { empty + 1 } else { 0 };
            if empty == 2 {
                return;
            }
            if !left.is_empty() {
                std::thread::sleep(KILL_EVERY);
            }
        }
        tracing::error!("service {serial}: something of it does not end by SIGKILL");
    }

    fn members(&self, serial: u32) -> Vec<Process> {
        let marked = |process: &Process| {
            let mark = self.mark.read(process.pid);
            !process.zombie && mark.is_some_and(|mark| mark.serial == serial)
        };
        let own = std::process::id().cast_signed();
        table::all().into_iter().filter(|process| process.pid != own && marked(process)).collect()
    }

    fn end(&mut self) {
        let now = self.clock.mono_ms();
        for at in 0..self.kept.len() {
            let kept = &mut self.kept[at];
            if kept.life.end(now, kept.service.grace_ms()).is_some() {
                let members = self.members(self.kept[at].serial);
                members.iter().for_each(|process| send(process, libc::SIGTERM));
            }
        }
        self.tell();
    }

    fn kill(&mut self, at: usize) -> bool {
        let members = self.members(self.kept[at].serial);
        members.iter().for_each(|process| send(process, libc::SIGKILL));
        let now = self.clock.mono_ms();
        self.kept[at].life.killed(now);
        false
    }

    fn tell(&self) {
        let all = self.kept.iter().map(|kept| (kept.name.clone(), kept.told())).collect();
        if let Err(error) = told::write(&self.layout.root, &all) {
            tracing::warn!("how the services are cannot be written: {error}");
        }
    }
}
