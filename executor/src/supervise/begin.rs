//! How a supervisor begins: a life of its own, or that of the program it was until its `exec`.

use super::answers::Held;
use super::attempts::{Attempts, Beginning, Now, Setup};
use super::children::Children;
use super::ending::Endings;
use super::host::Supervisor;
use super::keeper::{Keep, Keeper};
use super::memory::MemoryKills;
use super::outlet::Outlet;
use super::record::Recorder;
use super::reexec::{self, Handover, Upgrade};
use super::socket::Socket;
use super::spawner::Spawner;
use super::{signals, strays};
use crate::clock;
use crate::config::Config;
use crate::process::cgroup::Groups;
use crate::process::launch::Common;
use crate::process::mark::HostMark;
use crate::spool::scratch::Scratch;
use crate::spool::{Layout, Lock, journal};
use anyhow::Context;
use nix::sys::signalfd::SignalFd;
use shared::clock::Clock;
use shared::ids::{Incarnation, Millis};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

/// What a supervisor was started with.
#[derive(Clone, Debug)]
pub struct Called {
    pub config: Config,
    pub cluster: String,
    /// The command line of an upgraded one, without the program and without [`Called::resume`].
    pub args: Vec<OsString>,
    /// The number of the descriptor that holds a [`Handover`], if this is no beginning.
    pub resume: Option<RawFd>,
}

/// Runs until it is told to end.
///
/// # Errors
/// It cannot begin: somebody else is the supervisor, the disk, the configuration.
pub fn supervise(called: Called) -> anyhow::Result<()> {
    let mut supervisor = match called.resume {
        None => Supervisor::begin(called)?,
        Some(number) => Supervisor::resume(called, number)?,
    };
    supervisor.run()
}

/// Whether a supervisor that is called so could go on with the life of another: state, configuration,
/// certificate, users and groups are tried. (Not journal and socket: who lives holds them.)
///
/// # Errors
/// Why it could not.
pub fn rehearse(called: Called) -> anyhow::Result<()> {
    let number = called.resume.context("--rehearse goes with --resume")?;
    let handover = reexec::read(number)?;
    handover.fits(&called)?;
    Ground::of(called).map(|_| ())
}

/// What a supervisor stands on, whether its life begins or goes on.
pub(super) struct Ground {
    called: Called,
    layout: Layout,
    host: HostMark,
    groups: Option<Groups>,
    common: Common,
}

impl Ground {
    fn of(called: Called) -> anyhow::Result<Ground> {
        let layout = Layout::make(&called.config.data)?;
        let host = HostMark::of(&layout.root)?;
        let groups = Groups::find(&called.config.jobs.cgroup)?;
        let common = Common::new(&called.config)?;
        Ok(Ground { called, layout, host, groups, common })
    }

    fn setup(&self) -> Setup {
        let timing = self.called.config.timing.timing();
        Setup { cluster: self.called.cluster.clone(), timing, sabotage: None }
    }
}

/// What a life has in memory.
struct Life {
    core: Attempts,
    children: Children,
    endings: Endings,
    socket: Socket,
    held: Vec<Held>,
    recorder: Recorder,
    since_ms: Millis,
    retiring: bool,
    stopping: bool,
}

impl Supervisor {
    fn begin(called: Called) -> anyhow::Result<Supervisor> {
        let layout = Layout::make(&called.config.data)?;
        let lock = layout.lock("supervisor")?;
        let signals = signals::take()?;
        let ground = Ground::of(called)?;
        let grace_ms = ground.called.config.timing.stray_grace_ms;
        become_ready()?;
        let told_to_stop = || signals::told_to_end(&signals);
        let strays = strays::end_all(ground.host, ground.groups.as_ref(), grace_ms, told_to_stop)?;
        if strays > 0 {
            tracing::warn!("{strays} processes of an earlier life are gone");
        }
        let found = journal::read(&layout.journal())?;
        if found.damaged > 0 {
            tracing::warn!("{} damaged records in the journal are left out", found.damaged);
        }
        let now = now();
        let incarnation = Incarnation(getrandom_u128()?);
        let (known, alive) = (found.entries.iter().cloned(), BTreeSet::new());
        let machine = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let machine = machine.context("which life of this machine it is")?;
        let (machine, whole) = (machine.trim(), found.damaged == 0);
        let beginning = Beginning { incarnation, machine, whole, alive: &alive };
        let core = Attempts::boot(ground.setup(), known, beginning, now);
        let journal = journal::Journal::begin(&layout.journal(), &found, core.snapshot())?;
        let life = Life {
            core,
            children: Children::new(ground.host)?,
            endings: Endings::default(),
            socket: Socket::bind(&layout.socket())
                .with_context(|| format!("cannot listen on {}", layout.socket().display()))?,
            held: Vec::new(),
            recorder: Recorder::new(journal),
            since_ms: now.wall,
            retiring: false,
            stopping: false,
        };
        let supervisor = Supervisor::assemble(ground, life, (lock, signals))?;
        tracing::info!(
            "supervisor {} of {}, incarnation {}",
            std::process::id(),
            supervisor.config.data.display(),
            supervisor.core.incarnation()
        );
        Ok(supervisor)
    }

    /// After an `exec`: nothing is ended, nothing is answered anew. What has ended meanwhile waits to
    /// be reaped, who has asked meanwhile waits in the sockets.
    fn resume(called: Called, number: RawFd) -> anyhow::Result<Supervisor> {
        shared::crash::point("during-re-execution");
        let signals = signals::take()?;
        let handover = reexec::read(number)?;
        handover.fits(&called)?;
        let lock = handover.lock()?;
        let ground = Ground::of(called)?;
        become_ready()?;
        let Handover { core, mut children, endings, held, socket, journal, .. } = handover;
        children.reopen();
        let now = now();
        let life = Life {
            core: Attempts::restore(ground.setup(), core),
            children,
            endings,
            socket: Socket::restore(socket).context("the socket that was handed over")?,
            held,
            recorder: Recorder::resumed(
                journal::Journal::resume(&ground.layout.journal())?,
                journal,
                now.mono,
            ),
            since_ms: handover.since_ms,
            retiring: handover.retiring,
            stopping: handover.stopping,
        };
        let mut supervisor = Supervisor::assemble(ground, life, (lock, signals))?;
        supervisor.taken_up(handover.askers);
        Ok(supervisor)
    }

    fn assemble(
        ground: Ground,
        mut life: Life,
        (lock, signals): (Lock, SignalFd),
    ) -> anyhow::Result<Supervisor> {
        let Ground { called, layout, groups, common, .. } = ground;
        let (bell, ringing) = UnixStream::pair().context("a pair of sockets")?;
        bell.set_nonblocking(true)?;
        ringing.set_nonblocking(true)?;
        let scratch = Scratch::new(&layout);
        let keep = Keep::of(&called.config);
        // What was told before is not known here: the agent looks at the disk, and hears what runs.
        let mut outlet = Outlet::new(Incarnation(getrandom_u128()?), called.config.ships());
        life.children.all().for_each(|child| outlet.note(child.grown()));
        let now = now();
        Ok(Supervisor {
            spawner: Spawner::start((&layout, &scratch), &common, groups.as_ref(), &ringing)?,
            scratch,
            keeper: Keeper::start(&layout, keep, &ringing)?,
            upgrade: Upgrade::new(&called),
            config: called.config,
            exited: life.children.ended(),
            core: life.core,
            children: life.children,
            endings: life.endings,
            socket: life.socket,
            held: life.held,
            recorder: life.recorder,
            outlet,
            since_ms: life.since_ms,
            retiring: life.retiring,
            stopping: life.stopping,
            disk_at: 0,
            clock: Clock::system(),
            layout,
            lock,
            signals,
            bell,
            kills: MemoryKills::default(),
            grow_at: now.mono,
            tick_at: now.mono,
        })
    }
}

fn now() -> Now {
    Now { mono: clock::boot_ms(), wall: Clock::system().wall_ms() }
}

/// What our jobs leave behind comes to us; two open files per attempt that runs.
fn become_ready() -> anyhow::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    nix::sys::prctl::set_child_subreaper(true).context("becoming the subreaper of the jobs")?;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Failing that, fewer attempts can run at a time, and those beyond are refused with the reason.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

fn getrandom_u128() -> anyhow::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("random numbers")?;
    Ok(u128::from_be_bytes(bytes))
}
