//! The supervisor's loop: wait, take in what has happened, obey [`Attempts`], answer.
//!
//! All state is here and in one thread. Whatever happens ends in [`Supervisor::obey`]: first the
//! journal, then what it is for. Started by `hcndc-executor supervise`.

use super::answers::Held;
use super::attempts::{Attempts, Do, Entry, Now, Usage};
use super::children::{Child, Children, exit_of};
use super::ending::Endings;
use super::keeper::Keeper;
use super::memory::MemoryKills;
use super::outlet::Outlet;
use super::record::Recorder;
use super::reexec::Upgrade;
use super::socket::Socket;
use super::spawner::{Birth, Born, Spawner};
use super::talk::Grown;
use super::{growth, signals};
use crate::clock;
use crate::config::Config;
use crate::external;
use crate::process::cgroup;
use crate::process::sys::{self, Ended, Reaped};
use crate::spool::output::{Holes, Marker};
use crate::spool::scratch::{Ours, Scratch};
use crate::spool::{Layout, Lock};
use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use shared::clock::Clock;
use shared::ids::{AttemptId, Millis};
use shared::wire::{Refusal, Start};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// To forget what is old is not urgent.
const TICK_EVERY_MS: Millis = 30_000;

#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) config: Config,
    pub(super) layout: Layout,
    pub(super) core: Attempts,
    pub(super) children: Children,
    pub(super) endings: Endings,
    pub(super) socket: Socket,
    pub(super) held: Vec<Held>,
    pub(super) recorder: Recorder,
    pub(super) outlet: Outlet,
    pub(super) since_ms: Millis,
    /// Asked to end as soon as nothing runs.
    pub(super) retiring: bool,
    /// Asked to end all jobs and then ourselves: their ends are not recorded.
    pub(super) stopping: bool,
    /// When the disk was last looked at.
    pub(super) disk_at: Millis,
    pub(super) clock: Clock,
    pub(super) spawner: Spawner,
    pub(super) scratch: Scratch,
    pub(super) keeper: Keeper,
    pub(super) signals: SignalFd,
    pub(super) bell: UnixStream,
    /// Reaped, and not yet known whether something of them is left.
    pub(super) exited: Vec<AttemptId>,
    pub(super) kills: MemoryKills,
    pub(super) grow_at: Millis,
    pub(super) tick_at: Millis,
    pub(super) lock: Lock,
    pub(super) upgrade: Upgrade,
}

impl Supervisor {
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.obey();
            self.answer_held();
            if self.is_over() {
                let _ = std::fs::remove_file(self.layout.socket());
                tracing::info!("the supervisor ends");
                return Ok(());
            }
            self.upgrade_if_wanted();
            let somebody_speaks = self.wait()?;
            self.hear_signals();
            self.hear_bell();
            self.reap();
            if somebody_speaks {
                self.hear_clients();
            }
            self.pass_time();
        }
    }

    fn is_over(&self) -> bool {
        (self.retiring || self.stopping) && self.children.is_empty()
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: clock::boot_ms(), wall: self.clock.wall_ms() }
    }

    /// Whether the socket or one of its clients is what we were woken for.
    fn wait(&self) -> anyhow::Result<bool> {
        let now = clock::boot_ms();
        let growth = (!self.children.is_empty()).then_some(self.grow_at);
        let held = self.held.iter().map(|held| held.until).min();
        let others = [self.core.wake(), self.endings.next(), self.recorder.next(now), held, growth];
        let own = [Some(self.tick_at), self.upgrade.until];
        let next = others.into_iter().chain(own).flatten().min().unwrap_or(now);
        let wait = u16::try_from((next - now).max(0)).unwrap_or(u16::MAX);
        let own = [self.signals.as_fd(), self.bell.as_fd()].map(|fd| (fd, PollFlags::POLLIN));
        // Before an upgrade nothing new is taken up.
        let heard = self.upgrade.until.is_none();
        let all = own.into_iter().chain(self.socket.interests().filter(|_| heard));
        let mut fds: Vec<PollFd> = all.map(|(fd, flags)| PollFd::new(fd, flags)).collect();
        match poll(&mut fds, PollTimeout::from(wait)) {
            Ok(_) => Ok(fds.iter().skip(own.len()).any(|fd| fd.any() != Some(false))),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error).context("waiting"),
        }
    }

    // ---- what has happened ----

    fn hear_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signals::is_upgrade(signal.ssi_signo) {
                self.want_upgrade(None);
            }
            if signals::is_end(signal.ssi_signo) && !self.retiring {
                self.retiring = true;
                // From the next order on.
                self.disk_at = 0;
                let running = self.core.running();
                tracing::info!("told to end: {running} attempts run, their end is waited for");
            }
        }
    }

    fn hear_bell(&mut self) {
        let mut rings = [0; 4096];
        while self.bell.read(&mut rings).is_ok_and(|count| count == rings.len()) {}
        let born: Vec<Born> = self.spawner.born().collect();
        for Born { attempt, result } in born {
            match result {
                Ok(newborn) => {
                    shared::crash::point("after-spawn-before-first-answer");
                    if let Some(reaped) = self.children.born(attempt, newborn) {
                        self.exited(attempt, reaped);
                    }
                }
                Err(words) => {
                    self.children.stillborn(attempt);
                    self.outlet.note(Grown { attempt, out: 0, err: 0, ended: true });
                    self.endings.done(attempt);
                    let now = self.now();
                    self.core.refused(now, attempt, Refusal::CannotStart(words));
                }
            }
        }
        let (children, core) = (&self.children, &self.core);
        let ships = self.config.ships();
        let unsettled = |attempt| ships && !core.is_stored(attempt);
        self.keeper.attend(|attempt| children.get(attempt).is_some() || unsettled(attempt));
    }

    fn reap(&mut self) {
        let mut any = false;
        while let Some(reaped) = sys::reap() {
            any = true;
            if let Some(attempt) = self.children.reaped(reaped) {
                shared::crash::point("after-exit-before-journal");
                self.exited(attempt, reaped);
            }
        }
        if any || !self.exited.is_empty() {
            self.conclude_all();
        }
    }

    fn exited(&mut self, attempt: AttemptId, reaped: Reaped) {
        let now = self.now();
        let Some(child) = self.children.get_mut(attempt) else { return };
        let usage = Usage {
            rss_max_kib: Some(reaped.rss_max_kib),
            cpu_ms: Some(reaped.cpu_ms),
            ..Usage::default()
        };
        let exit = match reaped.ended {
            Ended::Signal(libc::SIGKILL) => self.kills.judge(now.mono, child.group.as_deref()),
            ended => exit_of(ended),
        };
        child.end = Some((exit, usage));
        self.exited.push(attempt);
    }

    /// An attempt is over when nothing of it is left.
    fn conclude_all(&mut self) {
        let mut candidates = std::mem::take(&mut self.exited);
        candidates.extend(self.endings.attempts());
        if candidates.is_empty() {
            return;
        }
        let Some(left) = self.children.adopt() else {
            self.exited = candidates;
            return;
        };
        let now = self.now();
        for attempt in candidates {
            let Some(child) = self.children.get(attempt) else { continue };
            if child.end.is_none() {
                continue;
            }
            let in_group = child.group.as_deref().is_some_and(|group| !cgroup::dissolve(group));
            if !in_group && !left.contains(&child.mark.serial) {
                self.conclude(now, attempt);
            } else if !self.endings.contains(attempt) {
                if child.has_failed() || self.config.jobs.end_leftovers {
                    let grace_ms = child.grace_ms;
                    tracing::info!("{attempt} has ended and left processes behind: ending them");
                    self.endings.begin(now.mono, attempt, (libc::SIGTERM, grace_ms));
                } else {
                    self.conclude(now, attempt);
                }
            }
        }
    }

    fn conclude(&mut self, now: Now, attempt: AttemptId) {
        self.endings.done(attempt);
        let Some(mut child) = self.children.remove(attempt) else { return };
        growth::note(&mut child, now.wall);
        let alone = !child.other_user && self.config.jobs.end_leftovers;
        self.scratch.give_back(attempt, if alone { Ours::Yes } else { Ours::No });
        let (out_bytes, err_bytes) = child.marker.last();
        self.outlet.note(Grown { attempt, out: out_bytes, err: err_bytes, ended: true });
        let Some((exit, usage)) = child.end else { return };
        if self.stopping {
            return; // it did not end by itself, and nobody ordered it: that is unknown
        }
        let usage = Usage { out_bytes, err_bytes, ..usage };
        // The one is for what ended by itself, the other for what was told to.
        self.core.ended(now, attempt, exit, usage);
        self.core.gone(now, attempt, usage);
    }

    fn pass_time(&mut self) {
        let now = self.now();
        if now.mono >= self.grow_at {
            self.grow_at = now.mono + growth::EVERY_MS;
            let (core, outlet) = (&mut self.core, &mut self.outlet);
            let grew = |attempt, (out, err)| {
                core.grew(attempt, out, err);
                outlet.note(Grown { attempt, out, err, ended: false });
            };
            self.kills.look(now.mono);
            growth::look(&mut self.children, now.wall, grew);
        }
        self.endings.round(now.mono, &self.children);
        if now.mono >= self.tick_at || self.core.wake().is_some_and(|at| at <= now.mono) {
            self.tick_at = now.mono + TICK_EVERY_MS;
            self.core.tick(now);
        }
        if self.recorder.has_lost() {
            self.core.distrust_journal();
        }
        self.recorder.turn(now.mono, &self.core);
    }

    // ---- what is to be done ----

    /// The journal first, then what it is for.
    pub(super) fn obey(&mut self) {
        loop {
            let mut entries: Vec<Entry> = Vec::new();
            let mut rest: Vec<Do> = Vec::new();
            for todo in self.core.todo() {
                match todo {
                    Do::Journal(entry) => entries.push(entry),
                    Do::Spawn(_) | Do::Kill { .. } => rest.push(todo),
                }
            }
            if entries.is_empty() && rest.is_empty() {
                return;
            }
            let now = self.now();
            let written = self.recorder.append(now.mono, &entries);
            for todo in rest {
                match todo {
                    Do::Spawn(start) if written => self.start(start),
                    Do::Spawn(start) => self.core.refused(now, start.attempt, Refusal::DiskLow),
                    Do::Kill { attempt, grace_ms } => self.kill(now, attempt, grace_ms),
                    Do::Journal(_) => {}
                }
            }
        }
    }

    fn start(&mut self, start: Box<Start>) {
        shared::crash::point("after-journal-before-spawn");
        let attempt = start.attempt;
        self.outlet.note(Grown { attempt, out: 0, err: 0, ended: false });
        let mark = self.children.next_mark();
        let quota = self.config.output.max_bytes;
        self.children.expect(Child {
            attempt: start.attempt,
            mark,
            pid: None,
            leader: None,
            files: None,
            marker: Marker::new(self.layout.output_of(start.attempt)),
            group: None,
            other_user: false,
            elsewhere: start.work.external.is_some(),
            success_codes: start.work.success_codes.clone(),
            grace_ms: start.grace_ms,
            output_max: start.work.output_max.map_or(quota, |asked| asked.min(quota)),
            holes: Holes::default(),
            end: None,
        });
        self.spawner.spawn(Birth { start, mark });
    }

    fn kill(&mut self, now: Now, attempt: AttemptId, grace_ms: Millis) {
        match self.children.get(attempt) {
            // Who is fenced is followed by another one, who goes on looking at what goes on.
            Some(child) if child.elsewhere && !self.core.is_fenced(attempt) => {
                self.endings.begin(now.mono, attempt, (external::STOP, grace_ms));
            }
            Some(_) => self.endings.begin(now.mono, attempt, (libc::SIGTERM, grace_ms)),
            // Nothing of it is here: it was refused a moment ago.
            None => self.core.gone(now, attempt, Usage::default()),
        }
    }
}
