//! Becoming the program that is installed now, without letting go of anything (rules P1, H2).
//!
//! `execve` keeps the process: its pid, its children, its lock, its blocked signals. What only memory
//! holds goes over in a file in memory ([`Handover`]); descriptors that must live (the listener,
//! clients, the lock) go over by their numbers; output and journal are opened anew. First the new
//! program is rehearsed: as a child it reads that very state and its configuration. If it cannot take
//! over, this one goes on and says why. What ends meanwhile stays a zombie until the new program asks
//! for its exit.

use super::answers::Held;
use super::attempts::Saved;
use super::begin::Called;
use super::children::Children;
use super::ending::Endings;
use super::host::Supervisor;
use super::record::Whole;
use super::socket::{self, ClientId};
use super::talk::Told;
use crate::process::{own, sys};
use crate::spool::Lock;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use shared::ids::Millis;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Raised when an older program would take a handover for something else.
const FORMAT: u32 = 1;
/// What is being started just then is waited for, at most so long.
const BIRTHS_MAX_MS: Millis = 5_000;

/// A client and its question.
type Asker = (ClientId, u64);

/// The wish to become another program.
#[derive(Debug)]
pub(super) struct Upgrade {
    cluster: String,
    args: Vec<OsString>,
    /// It is wanted, and given up then.
    pub(super) until: Option<Millis>,
    askers: Vec<Asker>,
}

impl Upgrade {
    pub(super) fn new(called: &Called) -> Upgrade {
        let (cluster, args) = (called.cluster.clone(), called.args.clone());
        Upgrade { cluster, args, until: None, askers: Vec::new() }
    }
}

/// A whole life, as one program hands it to the next: MessagePack with names. Written with references
/// and read with values; it is one type so that both sides name the same fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Handover<C = Children, E = Endings, H = Vec<Held>> {
    format: u32,
    data: PathBuf,
    cluster: String,
    pub(super) core: Saved,
    pub(super) children: C,
    pub(super) endings: E,
    pub(super) held: H,
    pub(super) socket: socket::Saved,
    lock: RawFd,
    pub(super) journal: Whole,
    pub(super) since_ms: Millis,
    pub(super) retiring: bool,
    pub(super) stopping: bool,
    pub(super) askers: Vec<Asker>,
}

/// Reads what lies in that descriptor, which stays as it is.
pub(super) fn read(number: RawFd) -> anyhow::Result<Handover> {
    let what = "the state that was handed over";
    let file = File::from(sys::inherited(number).context(what)?);
    let length = usize::try_from(file.metadata().context(what)?.len()).context(what)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0).context(what)?;
    rmp_serde::from_slice(&bytes).context(what)
}

impl Handover {
    pub(super) fn fits(&self, called: &Called) -> anyhow::Result<()> {
        let (format, data, cluster) = (self.format, &self.data, &self.cluster);
        ensure!(format == FORMAT, "the state is of format {format}, and {FORMAT} is known here");
        ensure!(
            *data == called.config.data,
            "data: the state is that of {}, the configuration says {}: that needs a stop",
            data.display(),
            called.config.data.display()
        );
        ensure!(
            *cluster == called.cluster,
            "the state is of cluster {cluster:?}, the certificate of {:?}: that needs a stop",
            called.cluster
        );
        Ok(())
    }

    pub(super) fn lock(&self) -> anyhow::Result<Lock> {
        Lock::inherited(sys::inherited(self.lock).context("the lock that was handed over")?)
    }
}

impl Supervisor {
    pub(super) fn want_upgrade(&mut self, asker: Option<Asker>) {
        let until = self.now().mono + BIRTHS_MAX_MS;
        self.upgrade.until.get_or_insert(until);
        self.upgrade.askers.extend(asker);
    }

    /// Does not return if it is wanted, possible now, and done. The journal has been written, and
    /// nothing is left to do.
    pub(super) fn upgrade_if_wanted(&mut self) {
        let Some(until) = self.upgrade.until else { return };
        let why = match self.children.all_born() {
            true => self.become_installed().err(),
            false if self.now().mono < until => return,
            false => Some(anyhow::anyhow!("a program is being started for {BIRTHS_MAX_MS} ms")),
        };
        self.upgrade.until = None;
        let words = why.map_or_else(String::new, |error| format!("{error:#}"));
        tracing::error!("no upgrade, this program goes on: {words}");
        for (client, id) in std::mem::take(&mut self.upgrade.askers) {
            self.socket.send(client, id, Told::Upgrade(Err(words.clone())));
        }
    }

    fn become_installed(&self) -> anyhow::Result<()> {
        let handover = Handover {
            format: FORMAT,
            data: self.config.data.clone(),
            cluster: self.upgrade.cluster.clone(),
            core: self.core.save(),
            children: &self.children,
            endings: &self.endings,
            held: &self.held,
            socket: self.socket.save(),
            lock: self.lock.as_fd().as_raw_fd(),
            journal: self.recorder.whole(),
            since_ms: self.since_ms,
            retiring: self.retiring,
            stopping: self.stopping,
            askers: self.upgrade.askers.clone(),
        };
        let bytes = rmp_serde::to_vec_named(&handover).context("writing down the state")?;
        let mut file = own::memory_file("handover")?;
        file.write_all(&bytes).context("writing down the state")?;
        let args = |number: RawFd, last: &[&str]| -> Vec<OsString> {
            let resume = ["--resume".into(), number.to_string().into()];
            let all = self.upgrade.args.iter().cloned().chain(resume);
            all.chain(last.iter().map(OsString::from)).collect()
        };
        own::rehearse(&args(0, &["--rehearse"]), &file)?;
        let fds = [self.lock.as_fd(), file.as_fd()];
        let keep: Vec<BorrowedFd> = fds.into_iter().chain(self.socket.descriptors()).collect();
        own::become_installed(&args(file.as_raw_fd(), &[]), &keep)
    }

    /// First thing after the `exec`.
    pub(super) fn taken_up(&mut self, askers: Vec<Asker>) {
        // A journal in which something is missing is made whole before anything is started.
        self.recorder.turn(self.now().mono, &self.core);
        tracing::info!(
            "supervisor {} goes on as version {}, incarnation {}, {} attempts run",
            std::process::id(),
            env!("CARGO_PKG_VERSION"),
            self.core.incarnation(),
            self.core.running()
        );
        for (client, id) in askers {
            let told = Told::Upgrade(Ok(self.status()));
            self.socket.send(client, id, told);
        }
    }
}
