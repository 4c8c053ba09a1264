//! What lives on a server of Kettle or Hop, and a host that looks on: for all servers the same.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use crate::rig::{Rig, program};
use executor::process::table;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use shared::etl::counts::Counts;
use shared::ids::*;
use shared::wire::*;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub const WELL: State = State::Ended(Exit::Code(0));

pub struct Host {
    pub rig: Rig,
    kind: (&'static str, &'static str),
    /// An earlier attempt was told to end it.
    pub stopped: bool,
}

impl Host {
    /// A kind and its named environment, with these variables.
    pub fn new(kind: (&'static str, &'static str), vars: &str) -> Host {
        let rig = Rig::with(&format!("[environments.{}]\nvars = {{ {vars} }}\n", kind.1));
        Host { rig, kind, stopped: false }
    }

    pub fn begin(&mut self, fields: Value, unseen: Vec<AttemptId>) -> AttemptId {
        let mut start = self.rig.plan_kind(self.kind, fields, unseen, &[("rows", "5")]);
        start.grace_ms = 10_000;
        start.work.external.as_mut().unwrap().stopped = self.stopped;
        self.rig.begin(start)
    }

    /// How it ended, its output, and what the looker-on has said.
    pub fn end(&mut self, attempt: AttemptId) -> (State, String, String) {
        let state = self.rig.end(attempt);
        (state, self.rig.out(attempt), self.rig.out_of(attempt, Stream::Err))
    }

    pub fn run(&mut self, fields: Value) -> (State, String, String) {
        let attempt = self.begin(fields, Vec::new());
        self.end(attempt)
    }

    /// What has come of it by now has these words.
    pub fn said(&self, attempt: AttemptId, stream: Stream, words: &str) {
        self.rig.until(words, |rig| rig.so_far(attempt, stream).contains(words));
    }

    /// The row counts that it tells on its way, as soon as they are like this.
    pub fn counted(&self, attempt: AttemptId, like: impl Fn(&Counts) -> bool) -> Counts {
        let mut counts = Counts::default();
        self.rig.until("rows on their way", |rig| {
            let told = Counts::find(&rig.so_far(attempt, Stream::Err));
            counts = told.unwrap_or_default();
            like(&counts)
        });
        counts
    }

    pub fn signal_looker(&self, signal: Signal) {
        let own = self.rig.pid();
        let below = table::descendants(&table::all(), |process| process.pid == own);
        let looker = below.into_iter().map(|process| process.pid).find(|pid| *pid != own);
        kill(Pid::from_raw(looker.expect("a looker-on")), signal).unwrap();
    }
}

/// A server as its own script starts it, on loopback; it lives until it is dropped.
pub struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Its output goes to `log`; `more` says with what it is started.
    pub fn start(script: &Path, log: &Path, port: u16, more: impl FnOnce(&mut Command)) -> Server {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = program(script);
        // Its script starts java as a child: both are ended as a group.
        command.process_group(0);
        command.stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        more(&mut command);
        Server { process: command.spawn().unwrap(), port }
    }

    pub fn answers(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// All of it, by SIGKILL.
    pub fn kill(&mut self) {
        let _ = killpg(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Nobody has them just now.
pub fn ports<const N: usize>() -> [u16; N] {
    let free = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    free.each_ref().map(|one| one.local_addr().unwrap().port())
}
