//! The real binaries in a folder of their own, on loopback: a master and one executor, started and
//! killed by the pid that was started. Every wait has an end, and then says what was there.

#[path = "facts.rs"]
pub(crate) mod facts;
#[path = "port.rs"]
mod port;
#[path = "procs.rs"]
mod procs;
#[path = "visit.rs"]
mod visit;

pub(crate) use port::free_port;
use procs::{children_of, cpu_ms, kill_all, kill_of, pids_with, resident_kib, signal, signal_of};
use rusqlite::{Connection, OpenFlags};
use shared::clock::Clock;
use shared::ids::Millis;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// No wait is longer.
pub const WAIT_MS: Millis = 90_000;

pub struct Real {
    pub dir: tempfile::TempDir,
    clock: Clock,
    binaries: PathBuf,
    port: u16,
    host_port: u16,
    pub master: Option<Child>,
    pub executor: Option<Child>,
    /// Executors beside `h1`.
    more: Vec<More>,
    /// `[timing]` of both configurations; empty: the defaults.
    pub timing: &'static str,
    /// More of the configuration of executors.
    pub executor_more: String,
    /// More of the configuration of masters.
    pub master_more: String,
    /// Of each host.
    pub slots: u32,
    /// Where masters dial `h1`, if not where it listens.
    pub through: Option<u16>,
}

struct More {
    name: &'static str,
    port: u16,
    child: Child,
}

/// So that a host is lost within a test: FENCE 1.5 s, LOST 3 s.
pub const QUICK: &str = "[timing]\nwatch_ms = 500\nfence_ms = 1500\nlost_ms = 3000\n";

/// Something to die at, in the environment of a process.
pub type Env<'a> = &'a [(&'a str, String)];

/// Why jobs wait, why hosts have refused them, and how hosts are that are not well.
pub const CAUSES: &str = "SELECT 'job' AS what, state AS how, reason AS why FROM job_run
    WHERE reason <> '' UNION SELECT 'attempt', end_kind, COALESCE(end_text, '') FROM attempt
    WHERE end_kind IS NOT NULL AND end_kind <> 'code' UNION SELECT 'host', state, why
    FROM host_status WHERE why <> '' OR state <> 'live' LIMIT 30";

/// What [`CAUSES`] has found.
pub fn told(found: Vec<(String, String, String)>) -> String {
    let lines = found.into_iter().map(|(what, how, why)| format!("{what} {how}: {why}\n"));
    std::iter::once("--- causes\n".to_owned()).chain(lines).collect()
}

impl Real {
    /// Nothing runs yet; the executor has its certificate.
    pub fn new() -> Real {
        let binaries = Path::new(env!("CARGO_BIN_EXE_hcndc-master")).parent().unwrap().to_owned();
        let executor = binaries.join("hcndc-executor");
        let hint = "build it first: cargo build --workspace";
        assert!(executor.exists(), "{} is not there; {hint}", executor.display());
        let real = Real {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::system(),
            binaries,
            port: free_port(),
            host_port: free_port(),
            master: None,
            executor: None,
            more: Vec::new(),
            timing: "",
            executor_more: String::new(),
            master_more: String::new(),
            slots: 64,
            through: None,
        };
        real.issue("h1", "host-pki");
        real
    }

    /// As [`Real::new`], with [`QUICK`] timing.
    pub fn quick() -> Real {
        let mut real = Real::new();
        real.timing = QUICK;
        real
    }

    fn issue(&self, name: &str, folder: &str) {
        let made = self
            .command("hcndc-master", &[])
            .args(["issue-host", "--name", name, "--data"])
            .arg(self.path("master"))
            .arg("--out")
            .arg(self.path(folder))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
    }

    /// A configuration file with the timing, and what it is besides.
    fn config(&self, name: &str, more: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, format!("{}{more}", self.timing)).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "the real programs are started here alone")]
    fn command(&self, program: &str, env: Env) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.stdin(Stdio::null());
        for (name, value) in env {
            command.env(name, value);
        }
        command
    }

    fn log(&self, name: &str) -> Stdio {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true).open(self.path(name)).unwrap().into()
    }

    pub fn start_master(&mut self, env: Env) {
        let child = self
            .command("hcndc-master", env)
            .arg("--config")
            .arg(self.config("master.toml", &self.master_more))
            .args(["--data", &self.path("master").display().to_string()])
            .args(["--port", &self.port.to_string()])
            .arg("--client-file")
            .arg(self.path("client.toml"))
            .arg("--admin-password-file")
            .arg(self.path("admin-password"))
            .stdout(self.log("master.log"))
            .stderr(self.log("master.log"))
            .spawn()
            .unwrap();
        self.master = Some(child);
    }

    /// An environment in which a program's wall clock is ours, as [`Real::set_clock`] says; the monotonic
    /// ones stay the machine's, as when somebody sets a clock.
    pub fn own_clock(&self, name: &str) -> Vec<(&'static str, String)> {
        self.set_clock(name, 0);
        let found = glob("/usr/lib", "faketime/libfaketimeMT.so.1");
        let library = found.expect("libfaketime is there: .ci/needs installs it");
        vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.path(name).display().to_string()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }

    /// So many seconds before or behind the machine's.
    pub fn set_clock(&self, name: &str, seconds: i32) {
        facts::note("faults", usize::from(seconds != 0));
        let (path, next) = (self.path(name), self.path("clock.next"));
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(next, path).unwrap();
    }

    /// Until it answers the command line.
    pub fn master_is_ready(&mut self) {
        self.until("the master answers", |real| {
            real.path("client.toml").exists() && real.hcndc(&["execution", "list"]).status.success()
        });
    }

    pub fn start_executor(&mut self, env: Env) {
        self.executor = Some(self.executor_of("executor", "host-pki", self.host_port, env));
    }

    /// Another executor, with a certificate of its own.
    pub fn add_host(&mut self, name: &'static str) {
        let pki = format!("pki-{name}");
        self.issue(name, &pki);
        let port = free_port();
        let child = self.executor_of(name, &pki, port, &[]);
        self.more.push(More { name, port, child });
    }

    fn executor_of(&self, data: &str, pki: &str, port: u16, env: Env) -> Child {
        self.command("hcndc-executor", env)
            .arg("run")
            .arg("--config")
            .arg(self.config("executor.toml", &self.executor_more))
            .args(["--data", &self.path(data).display().to_string()])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--pki")
            .arg(self.path(pki))
            .stdout(self.log("executor.log"))
            .stderr(self.log("executor.log"))
            .spawn()
            .unwrap()
    }

    /// The command line.
    pub fn hcndc(&self, args: &[&str]) -> Output {
        let config = ("HCNDC_CONFIG", self.path("client.toml").display().to_string());
        self.command("hcndc", &[config]).args(args).output().unwrap()
    }

    /// The command line, not waited for.
    pub fn begin_hcndc(&self, args: &[&str]) -> Child {
        let config = ("HCNDC_CONFIG", self.path("client.toml").display().to_string());
        let mut command = self.command("hcndc", &[config]);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    #[track_caller]
    pub fn must(&self, args: &[&str]) -> String {
        let output = self.hcndc(args);
        assert!(output.status.success(), "hcndc {args:?}: {}\n{}", text(&output), self.logs());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Definitions, and the host.
    pub fn apply(&self, yaml: &str) {
        let folder = self.path("definitions");
        std::fs::create_dir_all(&folder).unwrap();
        let first = [("h1", self.through.unwrap_or(self.host_port))];
        let all = first.into_iter().chain(self.more.iter().map(|more| (more.name, more.port)));
        let hosts: Vec<String> = all
            .map(|(name, port)| {
                let slots = self.slots;
                let spec = format!("{{address: \"127.0.0.1:{port}\", slots: {slots}}}");
                format!("kind: host\nname: {name}\nspec: {spec}\n")
            })
            .collect();
        std::fs::write(folder.join("0_host.yaml"), hosts.join("---\n")).unwrap();
        std::fs::write(folder.join("1_mesh.yaml"), yaml).unwrap();
        self.must(&["apply", "-f", &folder.display().to_string()]);
    }

    /// Reads the embedded database as it is, from outside.
    pub fn rows<T>(
        &self,
        sql: &str,
        row: impl Fn(&rusqlite::Row) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = self.path("master/hcndc.db");
        let connection = Connection::open_with_flags(path, flags).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let found = statement.query_map([], |r| row(r)).unwrap();
        found.collect::<rusqlite::Result<Vec<T>>>().unwrap()
    }

    pub fn executions(&self) -> Vec<String> {
        self.rows("SELECT state FROM execution ORDER BY created_ms", |row| row.get(0))
    }

    /// Waits until it holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Real) -> bool) {
        let end = self.clock.mono_ms() + WAIT_MS;
        while !holds(self) {
            assert!(self.clock.mono_ms() < end, "waited in vain: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Waits for something outside.
    #[track_caller]
    pub fn until_some(&self, what: &str, holds: impl Fn() -> bool) {
        let end = self.clock.mono_ms() + WAIT_MS;
        while !holds() {
            assert!(self.clock.mono_ms() < end, "waited in vain: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    pub fn attempts_assigned(&self) -> usize {
        self.rows("SELECT number FROM attempt", |row| row.get::<_, i64>(0)).len()
    }

    pub fn attempts_started(&self) -> usize {
        let text = "SELECT started_ms FROM attempt WHERE started_ms IS NOT NULL";
        self.rows(text, |row| row.get::<_, Millis>(0)).len()
    }

    /// `hcndc-executor upgrade`, with the configuration that stands there now.
    pub fn upgrade(&self) -> String {
        let told = self
            .command("hcndc-executor", &[])
            .args(["upgrade", "--config", &self.path("executor.toml").display().to_string()])
            .args(["--data", &self.path("executor").display().to_string()])
            .arg("--pki")
            .arg(self.path("host-pki"))
            .output()
            .unwrap();
        text(&told)
    }

    /// What the programs have said.
    pub fn logs(&self) -> String {
        let tail = |name: &str| {
            let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(25).collect();
            format!("--- {name}\n{}\n", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        let supervisor = tail("executor/supervisor.log");
        format!("{}{}{supervisor}{}", tail("master.log"), tail("executor.log"), self.causes())
    }

    /// Why nothing happens, as the embedded database has it, if there is one.
    fn causes(&self) -> String {
        if !self.path("master/hcndc.db").exists() {
            return String::new();
        }
        let word = |row: &rusqlite::Row, at| row.get::<_, String>(at);
        let found = self.rows(CAUSES, |row| Ok((word(row, 0)?, word(row, 1)?, word(row, 2)?)));
        told(found)
    }

    /// SIGKILL to the master, reaped.
    pub fn kill_master(&mut self) {
        facts::note("faults", 1);
        let mut child = self.master.take().expect("the master was started");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// `hcndc-executor join`.
    pub fn join(&self, host: &str, token: &str) -> Output {
        self.command("hcndc-executor", &[])
            .args(["join", "--master", &format!("http://127.0.0.1:{}", self.port)])
            .args(["--host", host, "--token", token])
            .arg("--data")
            .arg(self.path("executor"))
            .arg("--pki")
            .arg(self.path("host-pki"))
            .output()
            .unwrap()
    }

    /// SIGTERM to the master, and waits for its end.
    pub fn stop_master(&mut self) {
        self.signal_master("-TERM");
        let mut child = self.master.take().expect("the master was started");
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    /// What `hcndc-master restore` says.
    pub fn restore(&self) -> String {
        let mut command = self.command("hcndc-master", &[]);
        let told = command.arg("restore").arg("--data").arg(self.path("master")).output().unwrap();
        assert!(told.status.success(), "{}", text(&told));
        text(&told)
    }

    /// SIGKILL to all of the executor, `run` first; it is not started again.
    pub fn kill_executor(&mut self) {
        let mut child = self.executor.take().expect("the executor was started");
        child.kill().unwrap();
        child.wait().unwrap();
        for kind in ["agent", "supervise"] {
            self.kill_of_executor(kind);
        }
    }

    /// SIGKILL to every process of the executor of this kind: `agent` or `supervise`.
    pub fn kill_of_executor(&self, kind: &str) -> usize {
        let killed = kill_of(&self.path("executor"), kind);
        facts::note("faults", killed);
        killed
    }

    /// Sends a signal to every process of the executor of this kind.
    pub fn signal_of_executor(&self, kind: &str, name: &str) -> usize {
        signal_of(&self.path("executor"), kind, name)
    }

    /// Sends a signal to agent and supervisor of `h1` and to all that its jobs have started, as if the
    /// machine itself were stopped; how many there were.
    pub fn signal_host(&self, name: &str) -> usize {
        facts::note("faults", usize::from(name == "-STOP"));
        self.everybody_of("executor").into_iter().filter(|pid| signal(*pid, name)).count()
    }

    fn everybody_of(&self, host: &str) -> Vec<u32> {
        let data = self.path(host);
        let mut pids = pids_with(&[data.as_os_str()]);
        let mut known: BTreeSet<u32> = pids.iter().copied().collect();
        let mut seen = 0;
        // Children of children: until there is nobody new.
        while seen < pids.len() {
            pids.extend(children_of(pids[seen]).into_iter().filter(|pid| known.insert(*pid)));
            seen += 1;
        }
        pids
    }

    /// A signal to the master.
    pub fn signal_master(&self, name: &str) {
        facts::note("faults", usize::from(name == "-STOP"));
        let pid = self.master.as_ref().expect("the master was started").id();
        assert!(signal(pid, name), "the master is there");
    }

    /// Where `h1` listens.
    pub fn host_port(&self) -> u16 {
        self.host_port
    }

    /// Resident memory in KiB of master, agent and supervisor.
    pub fn memory(&self) -> Vec<(&'static str, u32)> {
        self.pids().map(|(name, pid)| (name, resident_kib(pid))).to_vec()
    }

    /// Processor time in milliseconds, up to now: of master, agent, supervisor, and of the jobs that
    /// have ended.
    pub fn cpu_ms(&self) -> [(&'static str, u64); 4] {
        let [(_, master), (_, agent), (_, supervisor)] = self.pids();
        let (own, jobs) = cpu_ms(supervisor);
        let of = |pid| cpu_ms(pid).0;
        [("master", of(master)), ("agent", of(agent)), ("supervisor", own), ("jobs", jobs)]
    }

    fn pids(&self) -> [(&'static str, u32); 3] {
        let data = self.path("executor");
        let master = self.master.as_ref().map_or(0, Child::id);
        let of = |kind: &str| {
            pids_with(&[kind.as_ref(), data.as_os_str()]).first().copied().unwrap_or(0)
        };
        [("master", master), ("agent", of("agent")), ("supervisor", of("supervise"))]
    }

    /// What jobs have left: one line for each begin and each end, `begin RUN JOB ATTEMPT`.
    pub fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("journal")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// `folder/*/path`.
fn glob(folder: &str, path: &str) -> Option<PathBuf> {
    let below = std::fs::read_dir(folder).ok()?.flatten();
    below.map(|entry| entry.path().join(path)).find(|path| path.exists())
}

pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

impl Drop for Real {
    /// Nothing that was started outlives the test.
    fn drop(&mut self) {
        facts::note("faults", usize::from(self.path("proof").exists()));
        facts::note(
            "begun",
            self.journal().iter().filter(|line| line.starts_with("begin")).count(),
        );
        // Not of one that has failed: its database may be gone.
        if !std::thread::panicking() && self.path("master/hcndc.db").exists() {
            facts::note("firings", self.rows("SELECT 1 FROM firing", |_| Ok(())).len());
        }
        // Jobs too; what a test has stopped ends only by this.
        for host in self.more.iter().map(|more| more.name).chain(["executor"]) {
            kill_all(&self.everybody_of(host));
        }
        let more = self.more.iter_mut().map(|more| &mut more.child);
        let own = [&mut self.executor, &mut self.master].into_iter().flatten();
        for child in own.chain(more) {
            let _ = child.kill();
            let _ = child.wait();
        }
        let names = self.more.iter().map(|more| more.name).chain(["executor"]);
        for data in names.map(|name| self.path(name)) {
            for kind in ["agent", "supervise"] {
                kill_of(&data, kind);
            }
        }
    }
}
