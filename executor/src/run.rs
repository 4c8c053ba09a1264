//! `hcndc-executor run`: supervisor and agent as two processes, each started again when it dies.
//!
//! The supervisor is detached: it and its jobs outlive us, and the next `run` finds it by its lock.
//! The agent ends with us. Told to end, we end the agent, and tell the supervisor to end once nothing
//! runs (with `--stop-jobs`: to end the jobs first). A process that cannot even begin ends us.

use crate::process::own;
use crate::spool::Layout;
use crate::supervise::talk::{self, Ask, Told};
use anyhow::{Context, bail};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use shared::clock::Clock;
use shared::ids::Millis;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// Between two looks at a supervisor that is not our child.
const LOOK_EVERY_MS: u16 = 500;
/// Who lived shorter than this is started again later and later.
const SHORT_LIFE_MS: Millis = 5_000;
const DELAY_MS: (Millis, Millis) = (100, 10_000);
/// Given to the agent to end.
const AGENT_END_MS: Millis = 5_000;
/// Until the supervisor's first answer; what an earlier life left may be stubborn.
const FIRST_ANSWER_MS: Millis = 60_000;
/// The supervisor's own words begin anew beyond this.
const LOG_MAX: u64 = 16 * 1024 * 1024;

#[derive(Clone, Debug)]
pub struct Options {
    /// Handed to both processes, after their name.
    pub args: Vec<OsString>,
    pub stop_jobs: bool,
    /// From TERM to KILL, with `stop_jobs`.
    pub grace_ms: Millis,
}

/// Ends the agent if there is a `run` that starts it again; says whether there is.
///
/// # Errors
/// It is another user's.
pub fn restart_agent(layout: &Layout) -> anyhow::Result<bool> {
    let (run, agent) = (layout.holder("run"), layout.holder("agent"));
    if let (Some(_), Some(agent)) = (run, agent) {
        kill(Pid::from_raw(agent), Signal::SIGTERM).context("telling the agent to end")?;
    }
    Ok(run.is_some())
}

#[derive(Debug)]
struct Run {
    options: Options,
    layout: Layout,
    clock: Clock,
    signals: SignalFd,
    agent: Slot,
    /// Without a child while the supervisor is an earlier run's.
    supervisor: Slot,
}

/// One of the two processes.
#[derive(Debug, Default)]
struct Slot {
    child: Option<Child>,
    started: Millis,
    delay: Millis,
    not_before: Millis,
}

/// Runs until it is told to end.
///
/// # Errors
/// One of the two cannot begin; another `run` is there.
pub fn run(layout: Layout, options: Options) -> anyhow::Result<()> {
    let _lock = layout.lock("run")?;
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        set.add(signal);
    }
    set.thread_block().context("blocking signals")?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals = SignalFd::with_flags(&set, flags).context("receiving signals")?;
    let (agent, supervisor) = (Slot::default(), Slot::default());
    let clock = Clock::system();
    let mut run = Run { options, layout, clock, signals, agent, supervisor };
    run.begin_supervisor()?;
    run.start_agent()?;
    while !run.wait()? {
        run.mend()?;
    }
    run.end()
}

impl Run {
    /// Whether we are to end.
    fn wait(&self) -> anyhow::Result<bool> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting"),
        }
        let mut ends = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            ends |= signal.ssi_signo != (Signal::SIGCHLD as i32).cast_unsigned();
        }
        Ok(ends)
    }

    fn mend(&mut self) -> anyhow::Result<()> {
        let now = self.clock.mono_ms();
        let first = self.agent.delay == 0;
        if let Some(status) = self.agent.ended()? {
            // One that says why it cannot begin has said it; one that was killed is started again.
            if status.code() == Some(1) && first && now - self.agent.started < SHORT_LIFE_MS {
                self.end()?;
                bail!("the agent could not begin: its reason stands above");
            }
            tracing::warn!("the agent has ended ({status}): starting it again");
            self.agent.put_off(now);
        }
        if self.agent.child.is_none() && self.agent.not_before <= now {
            self.start_agent()?;
        }
        if let Some(status) = self.supervisor.ended()? {
            tracing::warn!("the supervisor has ended ({status}): starting it again");
            self.supervisor.put_off(now);
        }
        let gone = self.supervisor.child.is_none() && self.layout.holder("supervisor").is_none();
        if gone && self.supervisor.not_before <= now {
            self.start_supervisor()?;
        }
        Ok(())
    }

    /// Finds the one that an earlier run left, or starts one; returns when it answers.
    fn begin_supervisor(&mut self) -> anyhow::Result<()> {
        match self.layout.holder("supervisor") {
            Some(pid) => tracing::info!("process {pid} is the supervisor already: it stays"),
            None => self.start_supervisor()?,
        }
        let begun = self.clock.mono_ms();
        loop {
            // Should it be about to end because nobody needed it: somebody does.
            if let Ok(Told::Done) = talk::call(&self.layout.socket(), Ask::Stay) {
                return Ok(());
            }
            if self.supervisor.ended()?.is_some() {
                bail!("the supervisor could not begin: {}", self.last_words());
            }
            if self.clock.mono_ms() - begun > FIRST_ANSWER_MS {
                bail!("the supervisor does not answer: {}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn start_supervisor(&mut self) -> anyhow::Result<()> {
        let path = self.layout.root.join("supervisor.log");
        let long = path.metadata().is_ok_and(|found| found.len() > LOG_MAX);
        let mut options = OpenOptions::new();
        let log = options.create(true).append(true).mode(0o600).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        if long {
            log.set_len(0).with_context(|| format!("cannot shorten {}", path.display()))?;
        }
        let child = own::start_detached(&self.args("supervise"), log)?;
        self.supervisor.start(child, self.clock.mono_ms());
        Ok(())
    }

    fn start_agent(&mut self) -> anyhow::Result<()> {
        let child = own::start_attached(&self.args("agent"))?;
        self.agent.start(child, self.clock.mono_ms());
        Ok(())
    }

    fn args(&self, command: &str) -> Vec<OsString> {
        std::iter::once(command.into()).chain(self.options.args.iter().cloned()).collect()
    }

    fn last_words(&self) -> String {
        let path = self.layout.root.join("supervisor.log");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.map_or_else(|| format!("see {}", path.display()), str::to_owned)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some(mut agent) = self.agent.child.take() {
            let pid = Pid::from_raw(agent.id().cast_signed());
            let _ = kill(pid, Signal::SIGTERM);
            let until = self.clock.mono_ms() + AGENT_END_MS;
            while agent.try_wait()?.is_none() {
                if self.clock.mono_ms() > until {
                    agent.kill().context("ending the agent")?;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let Some(pid) = self.layout.holder("supervisor") else { return Ok(()) };
        let socket = self.layout.socket();
        if self.options.stop_jobs {
            talk::call(&socket, Ask::StopJobs { grace_ms: self.options.grace_ms })
                .context("telling the supervisor to end the jobs")?;
            while self.layout.holder("supervisor").is_some() {
                std::thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        let running = match talk::call(&socket, Ask::Status) {
            Ok(Told::Status(status)) => status.running,
            _ => 0,
        };
        kill(Pid::from_raw(pid), Signal::SIGTERM).context("telling the supervisor to end")?;
        if running > 0 {
            tracing::info!("{running} attempts go on under the supervisor, process {pid}");
        }
        Ok(())
    }
}

impl Slot {
    fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait().context("looking after a process")?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    fn start(&mut self, child: Child, now: Millis) {
        self.child = Some(child);
        self.started = now;
    }

    fn put_off(&mut self, now: Millis) {
        let short = now - self.started < SHORT_LIFE_MS;
        let longer = if short { self.delay * 2 } else { 0 };
        self.delay = longer.clamp(DELAY_MS.0, DELAY_MS.1);
        self.not_before = now + self.delay;
    }
}
