//! Servers of a test's own, on loopback: it may kill them with -9 and start them again on what they had
//! on their disk. Ended, when the test is over, by the pid that was started.

use crate::server::{free_port, url};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Of a server's start; then it is broken, not slow.
const STARTS_MAX: u32 = 600;
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Mariadb,
    Mongod,
    Redis,
}

pub(crate) struct Own {
    kind: Kind,
    pub(crate) port: u16,
    /// Beside those that every one has.
    args: Vec<String>,
    dir: tempfile::TempDir,
    process: Option<Child>,
}

impl Own {
    /// Until it takes connections.
    pub(crate) fn start(kind: Kind, args: &[String]) -> Own {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        // One that starts removes what it finds in a common one.
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let mut own = Own { kind, port: free_port(), args: args.to_vec(), dir, process: None };
        if kind == Kind::Mariadb {
            let made = command("mariadb-install-db")
                .args(["--no-defaults", "--auth-root-authentication-method=normal"])
                .args(["--skip-test-db", &own.flag("--datadir=", "data")])
                .env("TMPDIR", own.dir.path().join("tmp"))
                .args(as_root())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        own.again();
        own
    }

    fn flag(&self, name: &str, file: &str) -> String {
        format!("{name}{}", self.dir.path().join(file).display())
    }

    /// With what it had on its disk.
    pub(crate) fn again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let port = self.port.to_string();
        let mut program = match self.kind {
            Kind::Mariadb => {
                let mut program = command("mariadbd");
                program
                    .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
                    .args(["--innodb-buffer-pool-size=64M", "--port", &port])
                    .arg(self.flag("--datadir=", "data"))
                    .arg(self.flag("--socket=", "socket"))
                    .arg(self.flag("--pid-file=", "pid"))
                    .env("TMPDIR", self.dir.path().join("tmp"))
                    .args(as_root());
                program
            }
            Kind::Mongod => {
                // Where .ci/services has it from is its own matter.
                let mut program = command(&url("HCNDC_TEST_MONGOD"));
                program
                    .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--port", &port])
                    .args(["--wiredTigerCacheSizeGB", "0.25", "--dbpath"])
                    .arg(self.dir.path().join("data"))
                    .args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
                program
            }
            Kind::Redis => {
                let mut program = command("redis-server");
                program
                    .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                    .arg("--dir")
                    .arg(self.dir.path().join("data"));
                // With TLS it has no other port.
                if !self.args.iter().any(|arg| arg == "--tls-port") {
                    program.args(["--port", &port]);
                }
                program
            }
        };
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let args = self.args.iter().map(|arg| arg.replace("{port}", &port));
        program.args(args).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = program.spawn().expect("it is there: make services installs it");
        for _ in 0..STARTS_MAX {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                self.process = Some(process);
                return;
            }
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{:?} has ended: {ended:?}\n{}", self.kind, self.said());
            std::thread::sleep(LOOK);
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("{:?} does not take connections\n{}", self.kind, self.said());
    }

    /// By kill -9, and it is gone.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        let status = process.wait().unwrap();
        assert!(!status.success(), "it had ended by itself");
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_err(), "somebody still answers");
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn url(&self) -> String {
        let port = self.port;
        match self.kind {
            Kind::Mariadb => format!("mysql://root@127.0.0.1:{port}"),
            Kind::Mongod => format!("mongodb://127.0.0.1:{port}/"),
            Kind::Redis => format!("redis://127.0.0.1:{port}"),
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// The end of what it has said.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Servers lie where only root's path leads.
#[expect(clippy::disallowed_methods, reason = "servers that are killed")]
fn command(program: &str) -> Command {
    let behind = Path::new("/usr/sbin").join(program);
    Command::new(if behind.exists() { behind } else { program.into() })
}

/// MariaDB wants to be told that it may.
fn as_root() -> Option<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.and_then(|uid| uid.split_whitespace().next()).filter(|uid| *uid == "0")?;
    Some("--user=root")
}
