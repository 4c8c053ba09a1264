//! The kind `hop_server` on a real Hop server: started on loopback, asked, killed.

use super::served::{Host, Server, WELL, ports};
use super::{install, prepare, read_by};
use nix::sys::signal::Signal;
use serde_json::json;
use shared::etl::counts::Counts;
use shared::ids::*;
use shared::wire::*;
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// What a Hop server is told of itself; the second port is the one that ends it.
pub(super) fn about(ports: [u16; 2]) -> String {
    format!(
        "<hop-server-config><hop-server><name>h</name><hostname>127.0.0.1</hostname><port>{}</port>\
         <shutdownPort>{}</shutdownPort><username>cluster</username><password>s3cret</password>\
         </hop-server><max_log_lines>0</max_log_lines><max_log_timeout_minutes>0\
         </max_log_timeout_minutes><object_timeout_minutes>0</object_timeout_minutes></hop-server-config>",
        ports[0], ports[1]
    )
}

struct OnHop {
    host: Host,
    server: Server,
    ports: [u16; 2],
    home: tempfile::TempDir,
}

fn start(home: &Path, ports: [u16; 2]) -> Server {
    let file = home.join("server.xml");
    std::fs::write(&file, about(ports)).unwrap();
    let script = install().join("hop-server.sh");
    Server::start(&script, &home.join("server.log"), ports[0], |command| {
        command.arg(&file).args(["-j", "demo"]).env("HOP_CONFIG_FOLDER", home.join("config"));
        command.env("HOP_AUDIT_FOLDER", home.join("audit"));
        command.env("HOP_OPTIONS", "-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
    })
}

impl OnHop {
    fn new() -> OnHop {
        let (home, ports) = (tempfile::tempdir().unwrap(), ports());
        prepare(home.path());
        let server = start(home.path(), ports);
        let vars = format!(
            "HOP_SERVER_URL = \"http://127.0.0.1:{}\", HOP_SERVER_USER = \"cluster\", \
             HOP_SERVER_PASSWORD = \"s3cret\"",
            ports[0],
        );
        let host = OnHop { host: Host::new(("hop_server", "hop"), &vars), server, ports, home };
        host.ready();
        host
    }

    fn ready(&self) {
        self.rig.until("the Hop server", |_| self.server.answers());
    }

    /// It was killed, or not: another one takes its place.
    fn again(&mut self) {
        self.server.kill();
        self.server = start(self.home.path(), self.ports);
        self.ready();
    }

    fn fails(&mut self, file: &str, words: &str) {
        let (state, out, err) = self.run(json!({ "file": file }));
        assert_eq!(state, State::Ended(Exit::Code(1)), "{out}\n{err}");
        let last = err.lines().last().unwrap_or_default();
        assert!(last.contains("it ended with errors") && last.contains(words), "{last}\n{out}");
    }

    fn forever(&mut self, unseen: Vec<AttemptId>) -> AttemptId {
        let attempt = self.begin(json!({"file": "forever.hpl"}), unseen);
        self.said(attempt, Stream::Out, "Execution started for pipeline [forever]");
        attempt
    }
}

impl Deref for OnHop {
    type Target = Host;
    fn deref(&self) -> &Host {
        &self.host
    }
}

impl DerefMut for OnHop {
    fn deref_mut(&mut self) -> &mut Host {
        &mut self.host
    }
}

#[test]
fn a_pipeline_and_a_workflow_run_on_a_server_with_their_log_and_rows() {
    let mut host = OnHop::new();
    let out = host.home.path().join("a, b=<c>").display().to_string();
    let (state, log, err) = host.run(json!({
        "file": "sales.hpl", "params": {"OUT": out, "MIN": "20"},
    }));
    assert_eq!(state, WELL, "{log}\n{err}");
    assert!(err.contains("sales.hpl is seen by Hop server alone, not from here"), "{err}");
    assert_eq!(log.matches("Start of workflow execution").count(), 1, "each line once: {log}");
    let counts = Counts::find(&err).expect("row counts");
    assert_eq!(read_by(&counts, "read"), 7, "six rows and the head: {counts:?}");
    assert!(counts.steps.iter().all(|step| step.part == "sales"), "{counts:?}");
    let written = std::fs::read_to_string(host.home.path().join("a, b=<c>.csv")).unwrap();
    assert!(written.contains("south") && !written.contains(";10;"), "{written}");
    let out = host.home.path().join("daily").display().to_string();
    let daily = host.home.path().join("project/daily.hwf");
    let (state, log, err) = host.run(json!({
        "file": daily, "params": {"OUT": out},
    }));
    assert_eq!(state, WELL, "{log}\n{err}");
    assert_eq!(read_by(&Counts::find(&err).expect("row counts"), "read"), 7);
    assert!(host.home.path().join("daily.csv").exists());
}

#[test]
fn the_truth_of_an_end_on_a_server_is_told() {
    let mut host = OnHop::new();
    host.fails("fail.hpl", "stop.0 - ERROR");
    host.fails("unknown.hpl", "missing.Missing");
    host.fails("gone.hpl", "gone.hpl is invalid");
    host.fails("gone.hwf", "Error running action");
    // Where this host sees the file, before anything is submitted.
    let file = host.home.path().join("project/rows.hpl").display().to_string();
    let slip = json!({"file": file, "params": {"ROW": "3"}});
    let (state, _, err) = host.run(slip);
    assert_eq!(state, State::Ended(Exit::Code(202)), "{err}");
    assert!(err.contains("declares no parameter \"ROW\"; it has: ROWS"), "{err}");
    // It knows no such run configuration.
    let nowhere = json!({"file": "rows.hpl", "run_configuration": "nope"});
    let (state, out, err) = host.run(nowhere);
    assert_eq!(state, State::Ended(Exit::Code(1)), "{out}\n{err}");
    assert!(!out.contains("s3cret") && !err.contains("s3cret"));
}

#[test]
fn a_long_pipeline_on_a_server_tells_its_rows_on_its_way() {
    let mut host = OnHop::new();
    let rows = json!({"file": "rows.hpl", "params": {"ROWS": "25000000"}});
    let attempt = host.begin(rows, Vec::new());
    let far = |counts: &Counts| counts.steps.iter().map(|step| step.at_row).max().unwrap_or(0);
    let seen = far(&host.counted(attempt, |counts| far(counts) > 0));
    assert!((100_000..25_000_000).contains(&seen), "{seen}");
    let (state, log, err) = host.end(attempt);
    assert_eq!(state, WELL, "{log}\n{err}");
    let counts = Counts::find(&err).unwrap();
    let told: Vec<_> =
        counts.steps.iter().map(|it| (it.rows(), it.at_row, it.speed().is_some())).collect();
    assert_eq!(told, [(25_000_000, 0, true); 2], "{counts:?}");
}

#[test]
fn a_stop_ends_it_on_the_server_first() {
    let mut host = OnHop::new();
    let attempt = host.forever(Vec::new());
    host.rig.stop(attempt, 20_000);
    let (state, out, err) = host.end(attempt);
    assert_eq!(state, State::Ended(Exit::Killed), "{err}");
    assert!(err.contains("it was told to end, and has ended"), "{err}");
    assert!(out.contains("Execution finished on a local pipeline engine"), "{out}");
}

#[test]
fn what_goes_on_without_who_looked_on_is_adopted_from_the_server() {
    let mut host = OnHop::new();
    let first = host.forever(Vec::new());
    host.signal_looker(Signal::SIGKILL);
    assert_eq!(host.end(first).0, State::Ended(Exit::Signal(9)));
    // Its log comes from the beginning: the pipeline has begun once.
    let second = host.forever(vec![first]);
    host.rig.stop(second, 20_000);
    let (state, out, err) = host.end(second);
    assert_eq!(state, State::Ended(Exit::Killed), "{out}\n{err}");
    assert!(err.contains(&format!("what hcndc-{first} has submitted is there")), "{err}");
    assert_eq!(out.matches("Execution started for pipeline").count(), 1, "{out}");
}

#[test]
fn a_server_that_is_killed_has_forgotten_and_nothing_is_submitted_twice() {
    let mut host = OnHop::new();
    let first = host.forever(Vec::new());
    host.again();
    let (state, _, err) = host.end(first);
    assert_eq!(state, State::Ended(Exit::Code(207)), "{err}");
    assert!(err.contains("does not know any more what was submitted to it"), "{err}");
    let out = host.home.path().join("again").display().to_string();
    let sales = json!({
        "file": "sales.hpl", "params": {"OUT": out}, "again_if_gone": true,
    });
    let next = host.begin(sales, vec![first]);
    let (state, log, err) = host.end(next);
    assert_eq!(state, WELL, "{log}\n{err}");
    // And where there is none, nothing has run.
    host.server.kill();
    let away = json!({"file": "sales.hpl", "patience_s": 10});
    let (state, _, err) = host.run(away);
    assert_eq!(state, State::Ended(Exit::Code(203)), "{err}");
    assert!(err.contains("Hop server does not answer") && err.contains("nothing has run"), "{err}");
}
