//! Starts the real programs and ends them. The only place of these tests that starts processes.

#[path = "../cluster/port.rs"]
mod port;

pub(crate) use port::free_port;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Until a program is ready, or has ended; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "the tests' one place that starts programs")]
pub(crate) fn command(program: &Path) -> Command {
    Command::new(program)
}

pub(crate) fn master_bin() -> PathBuf {
    env!("CARGO_BIN_EXE_hcndc-master").into()
}

/// The other crate's program, beside ours; built if it is not there (`cargo test -p master`).
fn executor_bin() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let path = master_bin().with_file_name("hcndc-executor");
        let release = master_bin().parent().is_some_and(|dir| dir.ends_with("release"));
        let mut build = command(Path::new(env!("CARGO")));
        build.args(["build", "--quiet", "--locked", "-p", "executor", "--bin", "hcndc-executor"]);
        if release {
            build.arg("--release");
        }
        if let Some(target) = path.parent().and_then(Path::parent) {
            build.env("CARGO_TARGET_DIR", target);
        }
        assert!(build.status().unwrap().success());
        path
    });
    built.clone()
}

/// A program that is ended when the test ends, however it ends.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        let _ = command(Path::new("kill")).args(["-TERM", &pid]).status();
        wait(&mut self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) && self.terminate().is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Its exit code, or none if it has not ended in time.
fn wait(child: &mut Child) -> Option<i32> {
    let clock = shared::clock::Clock::system();
    while clock.mono_ms() < i64::try_from(PATIENCE.as_millis()).unwrap() {
        if let Ok(Some(status)) = child.try_wait() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[derive(Debug)]
pub(crate) struct Cluster {
    /// Ended first, with its jobs.
    executor: Option<Running>,
    pub(crate) master: Running,
    pub(crate) dir: tempfile::TempDir,
    port: u16,
}

/// What `hcndc` has printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn is(self, code: i32) -> Said {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A master in this folder.
pub(crate) fn launch(dir: &Path) -> Running {
    let log = std::fs::File::create(dir.join("master.log")).unwrap();
    let child = command(&master_bin())
        .args(["--port", "0", "--data"])
        .arg(dir.join("master"))
        .arg("--admin-password-file")
        .arg(dir.join("admin-password"))
        .arg("--client-file")
        .arg(dir.join("client.toml"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Running(child.unwrap())
}

impl Cluster {
    /// A master alone.
    pub(crate) fn master() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let master = launch(dir.path());
        let cluster = Cluster { executor: None, master, dir, port: free_port() };
        cluster.until("the master is ready", || cluster.hcndc(&["execution", "list"]).code == 0);
        cluster
    }

    /// A master, and an executor that it has met.
    pub(crate) fn start() -> Cluster {
        let mut cluster = Cluster::master();
        let pki = cluster.path("executor/pki");
        let issued = command(&master_bin())
            .args(["issue-host", "--name", "local", "--data"])
            .arg(cluster.path("master"))
            .arg("--out")
            .arg(&pki)
            .output()
            .unwrap();
        Said::from(issued).is(0);
        let log = std::fs::File::create(cluster.path("executor.log")).unwrap();
        let address = format!("127.0.0.1:{}", cluster.port);
        let child = command(&executor_bin())
            .args(["run", "--stop-jobs", "--grace", "1", "--listen", &address, "--data"])
            .arg(cluster.path("executor"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        cluster.executor = Some(Running(child));
        let host = format!("kind: host\nname: local\nspec: {{address: \"{address}\", slots: 4}}\n");
        let host = cluster.file("host.yaml", &host);
        cluster.hcndc(&["apply", "-f", &host]).is(0);
        cluster
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub(crate) fn hcndc(&self, args: &[&str]) -> Said {
        self.hcndc_of(args).output().unwrap().into()
    }

    pub(crate) fn hcndc_of(&self, args: &[&str]) -> Command {
        let mut hcndc = command(Path::new(env!("CARGO_BIN_EXE_hcndc")));
        hcndc.args(args).env("HCNDC_CONFIG", self.path("client.toml"));
        hcndc
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is: impl FnMut() -> bool) {
        let clock = shared::clock::Clock::system();
        while !is() {
            if clock.mono_ms() > i64::try_from(PATIENCE.as_millis()).unwrap() {
                let log = |name: &str| std::fs::read_to_string(self.path(name)).unwrap_or_default();
                panic!("not in time: {what}\n{}\n{}", log("master.log"), log("executor.log"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
