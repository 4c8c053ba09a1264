//! A real Hop server as a service of a host: kept running, started again, run on, and ended within its
//! grace.

use super::rig::{Rig, alive};
use super::{OPTIONS, install, prepare, read_by};
use executor::agent::servers::Servers;
use executor::config::Config;
use executor::process::table;
use executor::services::told;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use shared::clock::Clock;
use shared::etl::counts::Counts;
use shared::ids::Millis;
use shared::wire::*;
use std::io::Write;
use std::process::Child;
use std::time::Duration;

/// `grace_s` of a service that says nothing of it.
const GRACE_MS: Millis = 10_000;

/// It lives until it is dropped.
struct Host {
    rig: Rig,
    keeper: Child,
    ports: [u16; 2],
    home: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let home = tempfile::tempdir().unwrap();
        let config = prepare(home.path());
        let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|one| one.local_addr().unwrap().port());
        drop(free);
        let about = home.path().join("server.xml");
        std::fs::write(&about, super::server::about(ports)).unwrap();
        let rig = Rig::with(&format!(
            "[environments.hop]\nvars = {{ HOP_HOME = \"{}\", HOP_CONFIG_FOLDER = \"{}\", HOP_AUDIT_FOLDER = \"{}\", \
             HOP_OPTIONS = \"{OPTIONS}\" }}\n\
             [environments.server]\nvars = {{ HOP_SERVER_URL = \"http://127.0.0.1:{}\", \
             HOP_SERVER_USER = \"cluster\", HOP_SERVER_PASSWORD = \"s3cret\" }}\n\
             [services.hop]\nargv = [\"hop-server.sh\", \"{}\", \"-j\", \"demo\"]\nenvironment = \"hop\"\n",
            install().display(),
            config.display(),
            home.path().join("audit").display(),
            ports[0],
            about.display(),
        ));
        let keeper = rig.spawn("services", &[]);
        Host { rig, keeper, ports, home }
    }

    fn told(&self) -> Service {
        told::read(&self.rig.layout.root, &["hop".to_owned()]).remove("hop").unwrap()
    }

    fn answers(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.ports[0])).is_ok()
    }

    fn ready(&self) {
        self.rig.until("the Hop server", |_| self.answers());
    }

    /// What the page of the host says of the server.
    fn probed(&self) -> Reach {
        let config = Config::read(&self.rig.path("executor.toml")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let servers = Servers::watch(&config);
            let told = async {
                loop {
                    if let Some(reach) = servers.told().remove("server: Hop server") {
                        return reach;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), told).await.unwrap()
        })
    }

    /// Its script and its JVM.
    fn tree(&self) -> Vec<i32> {
        let own = self.keeper.id().cast_signed();
        let below = table::descendants(&table::all(), |process| process.pid == own);
        below.into_iter().map(|process| process.pid).filter(|pid| *pid != own).collect()
    }

    /// What a pipeline on it has read.
    fn runs(&mut self, name: &str) -> u64 {
        let out = self.home.path().join(name).display().to_string();
        let fields = json!({"file": "sales.hpl", "params": {"OUT": out}});
        let start = self.rig.plan_kind(("hop_server", "server"), fields, Vec::new(), &[]);
        let attempt = self.rig.begin(start);
        let state = self.rig.end(attempt);
        let err = self.rig.out_of(attempt, Stream::Err);
        assert_eq!(state, State::Ended(Exit::Code(0)), "{}\n{err}", self.rig.out(attempt));
        read_by(&Counts::find(&err).expect("row counts"), "read")
    }

    /// Tells the keeper to end; how long that takes.
    fn end(&mut self) -> Millis {
        let clock = Clock::system();
        let before = clock.mono_ms();
        let _ = kill(Pid::from_raw(self.keeper.id().cast_signed()), Signal::SIGTERM);
        let _ = self.keeper.wait();
        clock.mono_ms() - before
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn a_server_is_kept_running_and_ends_before_its_grace_is_over() {
    let mut host = Host::new();
    host.ready();
    assert!(host.probed().answers, "{:?}", host.probed());
    assert_eq!(host.runs("first"), 7);
    let first = host.tree();
    assert!(first.len() >= 2 && host.told().runs, "{first:?}");
    // Its JVM alone: the script before it ends, and all of it is started again.
    let is_jvm = |pid: &&i32| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains("org.apache.hop.www.HopServer")
    };
    let jvm = *first.iter().rfind(is_jvm).expect("a JVM");
    kill(Pid::from_raw(jvm), Signal::SIGKILL).unwrap();
    host.rig.until("it is started again", |_| host.told().restarts == 1 && host.told().runs);
    assert!(host.told().words.contains("ended with 137"), "{:?}", host.told());
    host.ready();
    assert!(!first.into_iter().any(alive), "nothing of it is left");
    assert_eq!(host.runs("second"), 7);
    let second = host.tree();
    let took_ms = host.end();
    println!("a Hop server ends in {took_ms} ms");
    assert!(took_ms < GRACE_MS, "{took_ms}");
    assert!(!second.into_iter().any(alive) && !host.told().runs);
    assert!(!host.probed().answers);
}

/// It needs half a minute to end then.
#[test]
fn a_server_that_waits_for_what_never_comes_is_killed_after_its_grace() {
    let mut host = Host::new();
    host.ready();
    let body = "<pipeline_configuration></pipeline_configuration>";
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", host.ports[0])).unwrap();
    write!(
        stream,
        "POST /hop/registerPipeline/?xml=Y HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\n\
         Authorization: Basic Y2x1c3RlcjpzM2NyZXQ=\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let tree = host.tree();
    let took_ms = host.end();
    println!("a Hop server that waits ends in {took_ms} ms");
    assert!((GRACE_MS - 500..GRACE_MS + 5_000).contains(&took_ms), "{took_ms}");
    assert!(!tree.into_iter().any(alive));
}
