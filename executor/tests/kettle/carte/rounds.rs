//! From a start to its end and back: on the stand-in for Carte, or on a real one, where HCNDC_TEST_PDI names an install
//! with `carte.sh`.

use super::server::Carte;
use crate::install::{ENGLISH, named, sample};
use crate::served::{Host, Server, WELL, ports};
use nix::sys::signal::Signal::SIGKILL;
use serde_json::{Value, json};
use shared::etl::counts::Counts;
use shared::ids::*;
use shared::wire::*;
use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

const BEGUN: &str = "Dispatching started for transformation";

enum There {
    StandIn(Option<Carte>),
    Real { script: PathBuf, home: tempfile::TempDir, port: u16, server: Option<Server> },
}

impl There {
    fn new() -> There {
        match named().map(|pdi| pdi.join("carte.sh")).filter(|script| script.is_file()) {
            None => There::StandIn(Some(Carte::start())),
            Some(script) => {
                let (home, [port]) = (tempfile::tempdir().unwrap(), ports());
                let about = format!(
                    "<slave_config><slaveserver><name>c</name><hostname>127.0.0.1</hostname><port>{port}</port>\
                     <username>cluster</username><password>s3cret</password><master>N</master></slaveserver>\
                     <max_log_lines>0</max_log_lines><max_log_timeout_minutes>0</max_log_timeout_minutes>\
                     <object_timeout_minutes>0</object_timeout_minutes></slave_config>"
                );
                std::fs::write(home.path().join("carte.xml"), about).unwrap();
                There::Real { script, home, port, server: None }
            }
        }
    }

    /// What it knew is forgotten.
    fn start(&mut self) {
        match self {
            There::StandIn(carte) => carte.as_ref().unwrap().forget(),
            There::Real { script, home, port, server } => {
                *server = None;
                let home = home.path();
                let started = Server::start(script, &home.join("carte.log"), *port, |command| {
                    let options = format!("-Xmx512m -Duser.home={} {ENGLISH}", home.display());
                    command.arg(home.join("carte.xml")).env("KETTLE_HOME", home);
                    command.env("PENTAHO_DI_JAVA_OPTIONS", options);
                    command.env("SKIP_WEBKITGTK_CHECK", "1");
                });
                *server = Some(started);
            }
        }
    }

    fn end(&mut self) {
        match self {
            There::StandIn(carte) => *carte = None,
            There::Real { server, .. } => *server = None,
        }
    }

    fn address(&self) -> String {
        match self {
            There::StandIn(carte) => carte.as_ref().unwrap().address.to_string(),
            There::Real { port, .. } => format!("127.0.0.1:{port}"),
        }
    }

    /// The stand-in itself tells how often something has begun there, and that it knows nothing any more.
    fn begun(&self, times: usize) {
        if let There::StandIn(Some(carte)) = self {
            assert_eq!(carte.begun().len(), times, "{:?}", carte.asked());
        }
    }

    fn forgotten(&self) {
        if let There::StandIn(Some(carte)) = self {
            assert_eq!(carte.known(), [""; 0]);
        }
    }
}

impl Drop for There {
    fn drop(&mut self) {
        if let There::Real { home, .. } = self
            && std::thread::panicking()
        {
            let log = std::fs::read_to_string(home.path().join("carte.log")).unwrap_or_default();
            eprintln!("{log}");
        }
    }
}

struct OnCarte {
    host: Host,
    there: There,
}

impl OnCarte {
    fn new() -> OnCarte {
        OnCarte::with_password("s3cret")
    }

    fn with_password(password: &str) -> OnCarte {
        let mut there = There::new();
        there.start();
        let vars = format!(
            "CARTE_URL = \"http://{}/\", CARTE_USER = \"cluster\", CARTE_PASSWORD = \"{password}\"",
            there.address()
        );
        let host = OnCarte { host: Host::new(("carte", "carte"), &vars), there };
        host.ready();
        host
    }

    fn ready(&self) {
        if let There::Real { server: Some(server), .. } = &self.there {
            self.host.rig.until("Carte", |_| server.answers());
        }
    }

    fn forever(&mut self, unseen: Vec<AttemptId>) -> AttemptId {
        let attempt = self.begin(ktr("forever"), unseen);
        self.said(attempt, Stream::Out, BEGUN);
        attempt
    }
}

impl Deref for OnCarte {
    type Target = Host;
    fn deref(&self) -> &Host {
        &self.host
    }
}

impl DerefMut for OnCarte {
    fn deref_mut(&mut self) -> &mut Host {
        &mut self.host
    }
}

fn ktr(name: &str) -> Value {
    json!({"runs": "transformation", "file": sample(&format!("{name}.ktr"))})
}

fn kjb(name: &str, params: Value) -> Value {
    json!({"runs": "job", "file": sample(&format!("{name}.kjb")), "params": params})
}

fn written_by(err: &str, name: &str) -> u64 {
    let counts = Counts::find(err).expect("row counts");
    counts.steps.iter().filter(|step| step.name == name).map(|step| step.written).sum()
}

/// Those that have begun what moved rows.
fn entries(err: &str) -> BTreeSet<String> {
    let counts = Counts::find(err).expect("row counts");
    counts.steps.into_iter().map(|step| step.entry).collect()
}

#[test]
fn a_transformation_and_a_job_run_on_a_carte_with_their_log_and_rows() {
    let mut host = OnCarte::new();
    let mut fields = ktr("hello");
    fields["params"] = json!({"N": "${rows}"});
    let (state, out, err) = host.run(fields);
    assert_eq!(state, WELL, "{out}\n{err}");
    assert_eq!(out.matches("Start of job execution").count(), 1, "each line once: {out}");
    assert_eq!(out.matches(BEGUN).count(), 1, "each line once: {out}");
    assert_eq!(written_by(&err, "gen"), 5, "{err}");
    assert_eq!(entries(&err), BTreeSet::from([String::new()]), "{err}");
    let (state, out, err) = host.run(kjb("job", json!({"WHO": "it's <&>"})));
    assert_eq!(state, WELL, "{out}\n{err}");
    assert_eq!(written_by(&err, "gen"), 3, "{err}");
    assert_eq!(entries(&err), BTreeSet::from(["trans".to_owned()]), "{err}");
    host.there.begun(2);
    host.there.forgotten();
}

#[test]
fn how_it_ends_on_a_carte_is_how_it_ends() {
    let mut host = OnCarte::new();
    for (fields, code, words) in [
        (ktr("bad"), 1, "deliberate abort"),
        (ktr("gone"), 1, "gone.ktr"),
        (kjb("lenient", json!({})), 200, "errors"),
    ] {
        let (state, out, err) = host.run(fields);
        assert_eq!(state, State::Ended(Exit::Code(code)), "{words}: {out}\n{err}");
        assert!(out.contains(words) || err.contains(words), "{words}: {out}\n{err}");
    }
    let mut host = OnCarte::with_password("wrong");
    let (state, _, err) = host.run(ktr("hello"));
    assert_eq!(state, State::Ended(Exit::Code(203)), "{err}");
    assert!(err.contains("CARTE_PASSWORD is not what it knows"), "{err}");
    host.there.begun(0);
}

#[test]
fn how_far_it_is_is_told_on_its_way_where_that_is_wanted() {
    let mut host = OnCarte::new();
    let mut fields = ktr("forever");
    fields["live_rows"] = json!(true);
    let attempt = host.begin(fields, Vec::new());
    let on_its_way = |counts: &Counts| counts.steps.iter().any(|it| it.lines == 0 && it.rows() > 0);
    host.counted(attempt, on_its_way);
    host.rig.stop(attempt, 20_000);
    assert_eq!(host.end(attempt).0, State::Ended(Exit::Killed));
}

#[test]
fn a_stop_ends_it_there_first() {
    let mut host = OnCarte::new();
    let attempt = host.forever(Vec::new());
    host.rig.stop(attempt, 20_000);
    let (state, out, err) = host.end(attempt);
    assert_eq!(state, State::Ended(Exit::Killed), "{out}\n{err}");
    assert!(err.contains("it was told to end, and has ended"), "{err}");
    if let There::StandIn(Some(carte)) = &host.there {
        assert_eq!(carte.live(), 0, "{err}");
    }
    // Who comes after sees that it is over, and begins anew.
    host.stopped = true;
    let next = host.begin(ktr("hello"), vec![attempt]);
    let (state, out, err) = host.end(next);
    assert_eq!(state, WELL, "{out}\n{err}");
    host.there.begun(2);
    host.there.forgotten();
}

#[test]
fn what_goes_on_without_who_looked_on_is_adopted() {
    let mut host = OnCarte::new();
    let first = host.forever(Vec::new());
    host.signal_looker(SIGKILL);
    assert_eq!(host.end(first).0, State::Ended(Exit::Signal(9)));
    if let There::StandIn(Some(carte)) = &host.there {
        assert_eq!(carte.live(), 1);
    }
    // Its log comes from the beginning: it has begun once.
    let second = host.forever(vec![first]);
    host.said(second, Stream::Err, &format!("what hcndc-{first} has submitted is there"));
    host.rig.stop(second, 20_000);
    let (state, out, err) = host.end(second);
    assert_eq!(state, State::Ended(Exit::Killed), "{out}\n{err}");
    assert_eq!(out.matches(BEGUN).count(), 1, "{out}");
    host.there.begun(1);
}

#[test]
fn what_the_server_has_forgotten_is_submitted_again_only_where_that_is_wanted() {
    let mut host = OnCarte::new();
    let first = host.forever(Vec::new());
    host.there.start();
    host.ready();
    let (state, _, err) = host.end(first);
    assert_eq!(state, State::Ended(Exit::Code(207)), "{err}");
    assert!(err.contains("does not know any more what was submitted to it"), "{err}");
    let next = host.begin(ktr("hello"), vec![first]);
    assert_eq!(host.end(next).0, State::Ended(Exit::Code(207)));
    host.there.begun(1);
    let mut again = ktr("hello");
    again["again_if_gone"] = json!(true);
    let third = host.begin(again, vec![first]);
    let (state, out, err) = host.end(third);
    assert_eq!(state, WELL, "{out}\n{err}");
    host.there.begun(2);
    // And where there is none, nothing has run.
    host.there.end();
    let mut away = ktr("hello");
    away["patience_s"] = json!(10);
    let (state, _, err) = host.run(away);
    assert_eq!(state, State::Ended(Exit::Code(203)), "{err}");
    assert!(err.contains("Carte does not answer") && err.contains("nothing has run"), "{err}");
}
