//! A real supervisor in a directory of its own, and a leader that talks to it over its socket.
//!
//! What it was told is kept in `known`, as a leader would; every wait has an end, after which the
//! test fails with what was known by then.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use executor::spool::{Layout, output};
use executor::supervise::talk::{self, Ask, Status, Told};
use serde_json::Value;
use shared::clock::Clock;
use shared::ids::*;
use shared::kind::{self, Context, Fields};
use shared::wire::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// No wait in these tests is longer; on a whole Kettle, which takes its time to begin, they are.
pub fn wait_ms() -> Millis {
    if shared::config::env("HCNDC_TEST_PDI").is_some() { 300_000 } else { 60_000 }
}

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub layout: Layout,
    pub process: Option<Child>,
    pub leader: Reigning,
    pub answer: Option<Answer>,
    pub known: BTreeMap<AttemptId, Report>,
    /// As the last full answer has named them.
    pub follows: Vec<Former>,
    pub config: String,
    /// What is started, and what an upgrade takes up.
    pub program: PathBuf,
    clock: Clock,
    number: u32,
}

impl Rig {
    pub fn start() -> Rig {
        Rig::with("")
    }

    /// With these lines of `executor.toml`.
    pub fn with(config: &str) -> Rig {
        let mut rig = Rig::without_process(config);
        rig.launch(&[]);
        rig
    }

    pub fn without_process(config: &str) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { root: dir.path().join("data") };
        Rig {
            dir,
            layout,
            process: None,
            leader: Reigning { epoch: 1, holder: 11 },
            answer: None,
            known: BTreeMap::new(),
            follows: Vec::new(),
            config: config.into(),
            program: env!("CARGO_BIN_EXE_hcndc-executor").into(),
            clock: Clock::system(),
            number: 0,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn args(&self) -> Vec<String> {
        let config = self.path("executor.toml");
        std::fs::write(&config, &self.config).unwrap();
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&config, closed).unwrap();
        let text = |path: &Path| path.display().to_string();
        let data = text(&self.layout.root);
        let all = ["--cluster", "test", "--config", &text(&config), "--data", &data];
        all.map(str::to_owned).to_vec()
    }

    /// Puts a fresh copy of the program where this rig starts it from, as an upgrade does.
    pub fn install(&mut self) {
        let original = env!("CARGO_BIN_EXE_hcndc-executor");
        self.replace(|path| _ = std::fs::copy(original, path).unwrap());
    }

    /// Puts there what `make` makes.
    pub fn replace(&mut self, make: impl FnOnce(&Path)) {
        self.program = self.path("hcndc-executor");
        let beside = self.path("hcndc-executor.new");
        make(&beside);
        std::fs::rename(&beside, &self.program).unwrap();
    }

    /// A script in its place.
    pub fn replace_by_script(&mut self, text: &str) {
        self.replace(|path| {
            std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, mode).unwrap();
        });
    }

    pub fn upgrade(&self) -> Result<Status, String> {
        match talk::call(&self.layout.socket(), Ask::Upgrade) {
            Ok(Told::Upgrade(result)) => result,
            other => panic!("{other:?}\n{}", self.log()),
        }
    }

    /// Starts the supervisor, and waits until it answers.
    pub fn launch(&mut self, env: &[(&str, &OsStr)]) {
        self.process = Some(self.spawn("supervise", env));
        self.until("an answer", |rig| rig.status().is_some());
    }

    pub fn spawn(&self, command: &str, env: &[(&str, &OsStr)]) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(&format!("{command}.log")))
            .unwrap();
        let mut process = program(&self.program);
        process.arg(command).args(self.args()).envs(env.iter().copied());
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    pub fn pid(&self) -> i32 {
        self.process.as_ref().unwrap().id().cast_signed()
    }

    /// SIGKILL, and it is gone.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("supervise.log")).unwrap_or_default()
    }

    pub fn status(&self) -> Option<Status> {
        match talk::call(&self.layout.socket(), Ask::Status) {
            Ok(Told::Status(status)) => Some(status),
            _ => None,
        }
    }

    // ---- the leader ----

    fn call(&self) -> Call {
        Call { cluster: "test".into(), leader: self.leader }
    }

    /// A start, based on what is known now.
    pub fn plan<S: AsRef<str>>(&mut self, argv: &[S]) -> Start {
        self.number += 1;
        if self.answer.is_none() {
            self.watch(0);
        }
        Start {
            attempt: AttemptId { run: RunId(4711), job: JobId(1), number: self.number, reign: 11 },
            basis: self.answer.unwrap(),
            leased: false,
            timeout_ms: None,
            grace_ms: 500,
            work: Work {
                argv: argv.iter().map(|text| text.as_ref().to_owned()).collect(),
                success_codes: vec![0],
                ..Work::default()
            },
        }
    }

    /// As a leader would send a job of that kind; `unseen` and `params` as in [`Context`].
    pub fn plan_kind(
        &mut self,
        (kind, environment): (&str, &str),
        fields: Value,
        unseen: Vec<AttemptId>,
        params: &[(&str, &str)],
    ) -> Start {
        let mut start = self.plan(&["-"]);
        let fields: Fields = serde_json::from_value(fields).unwrap();
        assert_eq!(kind::check(kind, &fields), []);
        let params = params.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let context = Context {
            project: "default".into(),
            interface: "flights".into(),
            job: "load".into(),
            period: "2026-11-20".parse().unwrap(),
            execution: ExecutionId(1),
            attempt: start.attempt,
            unseen,
            stopped: false,
            params: params.collect(),
        };
        start.work = kind::work(kind, &fields, &context).unwrap();
        start.work.environment = Some(environment.into());
        start
    }

    pub fn try_order(&self, orders: Vec<Order>) -> std::io::Result<Result<(), Refused>> {
        let call = OrderCall { call: self.call(), stored: None, orders };
        match talk::call(&self.layout.socket(), Ask::Order(call))? {
            Told::Order(result) => Ok(result),
            other => panic!("{other:?}"),
        }
    }

    pub fn order(&self, orders: Vec<Order>) {
        self.try_order(orders).unwrap().unwrap();
    }

    pub fn begin(&mut self, start: Start) -> AttemptId {
        let attempt = start.attempt;
        self.order(vec![Order::Start(Box::new(start))]);
        attempt
    }

    pub fn run<S: AsRef<str>>(&mut self, argv: &[S]) -> AttemptId {
        let start = self.plan(argv);
        self.begin(start)
    }

    pub fn sh(&mut self, script: &str) -> AttemptId {
        self.run(&["sh", "-c", script])
    }

    pub fn stop(&self, attempt: AttemptId, grace_ms: Millis) {
        let incarnation = self.answer.unwrap().incarnation;
        self.order(vec![Order::Kill { attempt, incarnation, grace_ms }]);
    }

    /// Asks for news, and keeps it.
    pub fn watch(&mut self, hold_ms: Millis) {
        loop {
            let call =
                WatchCall { call: self.call(), after: self.answer, stored: self.answer, hold_ms };
            let told = talk::call(&self.layout.socket(), Ask::Watch(call)).unwrap();
            let Told::Watch(Ok(answer)) = told else { panic!("{told:?}") };
            self.answer = Some(answer.answer);
            if answer.full {
                self.follows = answer.follows;
            }
            for report in answer.listed {
                self.known.insert(report.attempt, report);
            }
            if !answer.more {
                return;
            }
        }
    }

    pub fn state(&self, attempt: AttemptId) -> Option<&State> {
        self.known.get(&attempt).map(|report| &report.state)
    }

    /// Watches until all of these are over; how they ended.
    pub fn ends(&mut self, attempts: &[AttemptId]) -> Vec<State> {
        let over = |rig: &Rig, attempt: &AttemptId| {
            rig.state(*attempt).is_some_and(|state| *state != State::Running)
        };
        let until = self.clock.mono_ms() + wait_ms();
        while !attempts.iter().all(|attempt| over(self, attempt)) {
            assert!(self.clock.mono_ms() < until, "{:?}\n{}", self.known, self.log());
            self.watch(500);
        }
        attempts.iter().map(|attempt| self.known[attempt].state.clone()).collect()
    }

    pub fn end(&mut self, attempt: AttemptId) -> State {
        self.ends(&[attempt]).remove(0)
    }

    // ---- looking ----

    pub fn until(&self, what: &str, mut done: impl FnMut(&Rig) -> bool) {
        let until = self.clock.mono_ms() + wait_ms();
        while !done(self) {
            assert!(self.clock.mono_ms() < until, "waited in vain for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn now_ms(&self) -> Millis {
        self.clock.mono_ms()
    }

    /// The beginning of what it has said by now; none: it is not there yet.
    pub fn so_far(&self, attempt: AttemptId, stream: Stream) -> String {
        let query = LogQuery { attempt, stream, from: 0, max: 64 * 1024 };
        let part = output::read(&self.layout, &query, false).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&part.bytes).into_owned()
    }

    pub fn until_it_says(&self, attempt: AttemptId, words: &str) {
        self.until(words, |rig| rig.so_far(attempt, Stream::Out).contains(words));
    }

    pub fn part(&self, attempt: AttemptId, stream: Stream, from: u64) -> LogPart {
        let query = LogQuery { attempt, stream, from, max: u32::MAX };
        output::read(&self.layout, &query, true).unwrap().expect("there is output")
    }

    /// All that is kept of a stream.
    pub fn read(&self, attempt: AttemptId, stream: Stream) -> Vec<u8> {
        let mut all = Vec::new();
        let mut from = 0;
        loop {
            let part = self.part(attempt, stream, from);
            if part.bytes.is_empty() && part.from >= part.len {
                return all;
            }
            from = part.from + part.bytes.len() as u64;
            all.extend(part.bytes);
        }
    }

    pub fn out(&self, attempt: AttemptId) -> String {
        self.out_of(attempt, Stream::Out)
    }

    pub fn out_of(&self, attempt: AttemptId, stream: Stream) -> String {
        String::from_utf8(self.read(attempt, stream)).unwrap()
    }

    /// Pids that a job has written into a file, one on each line.
    pub fn pids(&self, file: &str) -> Vec<i32> {
        let text = std::fs::read_to_string(self.path(file)).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }
}

impl Drop for Rig {
    /// Nothing of a test outlives it: the jobs are ended by their own supervisor.
    fn drop(&mut self) {
        let process = self.process.take();
        // A `run` would start again what is ended.
        let runs = process.as_ref().map(|process| process.id().cast_signed());
        if let Some(pid) = runs.filter(|pid| self.layout.holder("run") == Some(*pid)) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM);
        }
        let told = talk::call(&self.layout.socket(), Ask::StopJobs { grace_ms: 0 }).is_ok();
        if let Some(mut process) = process {
            if !told && runs != self.layout.holder("run") {
                let _ = process.kill();
            }
            let _ = process.wait();
        }
        let until = self.clock.mono_ms() + wait_ms();
        while self.layout.holder("supervisor").is_some() && self.clock.mono_ms() < until {
            let _ = talk::call(&self.layout.socket(), Ask::StopJobs { grace_ms: 0 });
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where these tests start programs")]
pub fn program(path: &Path) -> std::process::Command {
    std::process::Command::new(path)
}

/// Alive, and not merely unreaped.
pub fn alive(pid: i32) -> bool {
    executor::process::table::look(pid).is_some_and(|process| !process.zombie)
}
