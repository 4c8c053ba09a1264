//! Who looks on at what lives on a Carte: submitted once, whatever is lost or dies. What can be tried on a real one too is in
//! `tests/kettle/carte`.

mod children;
mod server;

use crate::rig::Rig;
use executor::process::table;
use nix::sys::signal::Signal::{SIGKILL, SIGTERM};
use serde_json::{Value, json};
use server::Carte;
use shared::etl::counts::Counts;
use shared::ids::*;
use shared::wire::*;

struct Host {
    rig: Rig,
    carte: Carte,
}

impl Host {
    fn with_password(password: &str) -> Host {
        let carte = Carte::start();
        let url = format!("http://{}/", carte.address);
        Host::with(carte, &url, password)
    }

    fn with_url(url: &str) -> Host {
        Host::with(Carte::start(), url, "s3cret")
    }

    fn with_repository(password: &str) -> Host {
        let carte = Carte::start();
        let url = format!("http://{}/", carte.address);
        Host::with_both(carte, &url, ("s3cret", password))
    }

    fn with(carte: Carte, url: &str, password: &str) -> Host {
        Host::with_both(carte, url, (password, "rep0"))
    }

    /// Passwords of the server and of a repository.
    fn with_both(carte: Carte, url: &str, (password, repository): (&str, &str)) -> Host {
        let rig = Rig::with(&format!(
            "[environments.carte]\nvars = {{ CARTE_URL = \"{url}\", CARTE_USER = \"cluster\", \
             CARTE_PASSWORD = \"{password}\", KETTLE_PASSWORD = \"{repository}\" }}\n"
        ));
        Host { rig, carte }
    }

    fn new() -> Host {
        Host::with_password("s3cret")
    }

    fn begin(&mut self, fields: Value, unseen: Vec<AttemptId>) -> AttemptId {
        let mut all = json!({"runs": "transformation"});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut start = self.rig.plan_kind(("carte", "carte"), all, unseen, &[("rows", "5")]);
        start.grace_ms = 10_000;
        self.rig.begin(start)
    }

    fn end(&mut self, attempt: AttemptId) -> (State, String, String) {
        let state = self.rig.end(attempt);
        (state, self.rig.out(attempt), self.rig.out_of(attempt, Stream::Err))
    }

    fn run(&mut self, fields: Value) -> (State, String, String) {
        let attempt = self.begin(fields, Vec::new());
        self.end(attempt)
    }

    fn signal_looker(&self, signal: nix::sys::signal::Signal) {
        let own = self.rig.pid();
        let below = table::descendants(&table::all(), |process| process.pid == own);
        let looker = below.into_iter().map(|process| process.pid).find(|pid| *pid != own);
        let pid = nix::unistd::Pid::from_raw(looker.expect("a looker-on"));
        nix::sys::signal::kill(pid, signal).unwrap();
    }
}

const WELL: State = State::Ended(Exit::Code(0));

fn ktr(name: &str) -> Value {
    json!({"file": format!("/etl/{name}.ktr")})
}

#[test]
fn its_log_and_its_rows_are_ours_and_it_is_forgotten_there() {
    let mut host = Host::new();
    let more =
        json!({"file": "/etl/a & b/well.ktr", "params": {"N": "${rows} <&>"}, "level": "Detailed"});
    let (state, out, err) = host.run(more);
    assert_eq!(state, WELL, "{out}\n{err}");
    assert!(out.contains("2026/11/20 10:19:19 - hello - Dispatching started"), "{out}");
    assert_eq!(out.matches("Start of job execution").count(), 1, "each line once: {out}");
    let counts = Counts::find(&err).unwrap();
    assert_eq!((counts.steps[0].name.as_str(), counts.steps[0].written), ("gen", 3));
    assert_eq!(host.carte.begun().len(), 1);
    assert_eq!(host.carte.known(), [""; 0]);
    let asked = host.carte.asked().join("\n");
    assert!(asked.contains("<filename>/etl/a &amp; b/well.ktr</filename>"), "{asked}");
    assert!(asked.contains("<value>5 &lt;&amp;&gt;</value>"), "{asked}");
    assert!(!asked.contains("s3cret"), "no password in an address or a body");
}

#[test]
fn a_repository_is_named_and_its_password_is_in_no_address() {
    let job = json!({
        "repository": "main", "directory": "/daily", "object": "load", "user": "etl"
    });
    // Plain, and encoded by who keeps the host; Kettle takes nothing else.
    for password in ["rep0", "Encrypted 2be98afc86aa7f2e4cb79ce10cc97bf8a"] {
        let mut host = Host::with_repository(password);
        let (state, out, err) = host.run(job.clone());
        assert_eq!(state, WELL, "{password}: {out}\n{err}");
        let asked = host.carte.asked();
        let register = asked.iter().find(|one| one.starts_with("addJob")).unwrap();
        for part in
            ["<transname>load</transname>", "<directory>/daily</directory>", "<login>etl</login>"]
        {
            assert!(register.contains(part), "{part}: {register}");
        }
        let (address, body) = register.split_once('<').unwrap();
        assert!(!address.contains("2be98") && !body.contains("rep0"), "{register}");
    }
    let mut host = Host::with_repository("rep1");
    let (state, out, err) = host.run(job);
    assert_eq!(state, State::Ended(Exit::Code(1)), "{out}\n{err}");
    assert!(err.contains("no repository is connected"), "{err}");
}

#[test]
fn how_it_ends_there_is_how_it_ends() {
    let mut host = Host::new();
    let (state, _, err) = host.run(ktr("fails"));
    assert_eq!(state, State::Ended(Exit::Code(1)), "{err}");
    assert!(err.contains("deliberate abort"), "{err}");
    let (state, out, err) = host.run(ktr("errors"));
    assert_eq!(state, State::Ended(Exit::Code(200)), "{err}");
    assert!(!out.contains("s3cret") && !err.contains("s3cret"), "{out}\n{err}");
    let mut host = Host::with_password("wrong");
    let (state, _, err) = host.run(ktr("well"));
    assert_eq!(state, State::Ended(Exit::Code(203)), "{err}");
    assert!(err.contains("CARTE_PASSWORD is not what it knows"), "{err}");
    assert_eq!(host.carte.begun(), [""; 0]);
}

#[test]
fn a_parameter_that_is_not_declared_is_told_before_anything_is_submitted() {
    let mut host = Host::new();
    let file = host.rig.path("hello.ktr");
    std::fs::write(&file, include_str!("../../kettle/samples/hello.ktr")).unwrap();
    let file = file.display().to_string();
    let (state, _, err) = host.run(json!({"file": file, "params": {"M": "1"}}));
    assert_eq!(state, State::Ended(Exit::Code(202)), "{err}");
    assert!(err.contains("hello.ktr declares no parameter \"M\"; it has: N"), "{err}");
    assert_eq!(host.carte.asked(), [""; 0]);
    let (state, _, err) = host.run(json!({"file": file, "params": {"N": "1"}}));
    assert_eq!((state, err.contains("not checked")), (WELL, false), "{err}");
    // A file of another machine, and one that is in a repository.
    let (state, _, err) = host.run(json!({"file": "/etl/well.ktr", "params": {"M": "1"}}));
    assert_eq!(state, WELL, "{err}");
    assert!(err.contains("/etl/well.ktr is seen by Carte alone, not from here"), "{err}");
    let object = json!({"repository": "main", "object": "load", "params": {"M": "1"}});
    let (state, _, err) = host.run(object);
    assert_eq!(state, WELL, "{err}");
    assert!(err.contains("what is in the repository is seen by Carte alone"), "{err}");
}

#[test]
fn what_is_not_answered_is_not_submitted_twice() {
    let mut host = Host::new();
    host.carte.mute("addJob", 2);
    host.carte.mute("startJob", 1);
    host.carte.mute("jobStatus", 2);
    host.carte.mute("status", 1);
    let (state, out, err) = host.run(ktr("well"));
    assert_eq!(state, WELL, "{out}\n{err}");
    assert!(
        err.contains("Carte does not answer: 500") && err.contains("Carte answers again"),
        "{err}"
    );
    assert_eq!(host.carte.begun().len(), 1, "{:?}", host.carte.asked());
    assert_eq!(host.carte.known(), [""; 0], "those that were registered in vain are forgotten too");
}

/// On a Carte that was asked to list what a job begins; one that was not lists nothing.
#[test]
fn how_far_its_steps_are_is_asked_of_the_server_where_that_is_wanted() {
    let mut host = Host::new();
    for lists in [true, false] {
        let more = json!({"file": "/etl/forever.ktr", "live_rows": lists});
        let attempt = host.begin(more, Vec::new());
        let mut steps = Vec::new();
        host.rig.until("rows on their way", |rig| {
            let counts = Counts::find(&rig.so_far(attempt, Stream::Err)).unwrap_or_default();
            steps = counts.steps;
            steps.len() > usize::from(lists)
        });
        let told: Vec<_> =
            steps.iter().map(|it| (&*it.name, it.lines, it.rows(), it.speed())).collect();
        let live = [("gen", 1, 3, None), ("sort", 0, 7_000, Some(3_500))];
        assert_eq!(told, live[..1 + usize::from(lists)]);
        assert_eq!(host.carte.children().len(), usize::from(lists));
        host.rig.stop(attempt, 20_000);
        let (state, _, err) = host.end(attempt);
        assert_eq!(state, State::Ended(Exit::Killed));
        assert_eq!(host.carte.children(), [""; 0], "{err}");
    }
}

#[test]
fn what_it_has_begun_there_is_removed_and_nobody_elses() {
    let mut host = Host::new();
    host.carte.foreign("hello");
    let job = json!({"runs": "job", "file": "/etl/daily.kjb", "live_rows": true});
    let (state, out, err) = host.run(job);
    assert_eq!(state, WELL, "{out}\n{err}");
    assert_eq!(host.carte.children(), ["hello of somebody"], "{err}");
    assert!(!err.contains("are left there"), "{err}");
    assert_eq!(host.carte.known(), [""; 0]);
    // Of two that have begun since then it cannot be told which one is ours.
    let attempt = host.begin(json!({"file": "/etl/forever.ktr", "live_rows": true}), Vec::new());
    host.rig.until("it runs", |_| host.carte.live() == 1);
    host.carte.foreign("hello");
    host.rig.stop(attempt, 20_000);
    let (state, _, err) = host.end(attempt);
    assert_eq!(state, State::Ended(Exit::Killed));
    assert_eq!(host.carte.children().len(), 3, "{err}");
    assert!(err.contains("2 of what Carte lists") && err.contains("are left there"), "{err}");
}

#[test]
fn what_is_no_answer_is_asked_again_whatever_its_size() {
    let mut host = Host::new();
    let wrong = [
        ("status", "x".repeat(10 << 20)),
        ("startJob", "<".repeat(33 << 20)),
        ("jobStatus", "<jobstatus><status_desc>Finis".to_owned()),
    ];
    for (verb, answer) in wrong {
        host.carte.garble(verb, 1, answer);
    }
    let (state, out, err) = host.run(ktr("well"));
    assert_eq!(state, WELL, "{out}\n{err}");
    assert!(err.contains("longer than 33554432 bytes"), "{err}");
    assert!(err.len() < 20_000 && !err.contains("xxxx"), "what is no answer is not shown whole");
    assert_eq!(host.carte.begun().len(), 1, "{err}");
    assert_eq!(host.carte.known(), [""; 0], "{err}");
}

#[test]
fn a_log_that_is_longer_than_any_is_cut_and_that_is_told() {
    let mut host = Host::new();
    let attempt = host.begin(ktr("forever"), Vec::new());
    host.rig.until("it runs", |_| host.carte.live() == 1);
    // Small on the wire, 72 MiB when it is unpacked.
    host.carte.talk(72, &"0".repeat(1 << 20));
    host.carte.talk(1, "the last word");
    let cut = |rig: &Rig| rig.so_far(attempt, Stream::Err).contains("cut");
    host.rig.until("it is told", cut);
    host.rig.stop(attempt, 20_000);
    let (state, ..) = host.end(attempt);
    assert_eq!(state, State::Ended(Exit::Killed));
    assert_eq!(host.carte.live(), 0);
}

#[test]
fn who_is_only_to_go_leaves_it_there() {
    let mut host = Host::new();
    let first = host.begin(ktr("forever"), Vec::new());
    host.rig.until("it runs", |_| host.carte.live() == 1);
    // As who clears up after a dead supervisor, or a machine that goes down.
    host.signal_looker(SIGTERM);
    let (state, _, err) = host.end(first);
    assert_eq!(state, State::Ended(Exit::Code(206)), "{err}");
    assert!(err.contains("that goes on"), "{err}");
    assert_eq!(host.carte.live(), 1);
}

#[test]
fn somebody_else_has_stopped_it_and_it_is_not_begun_anew() {
    let mut host = Host::new();
    let first = host.begin(ktr("forever"), Vec::new());
    host.rig.until("it runs", |_| host.carte.live() == 1);
    host.signal_looker(SIGKILL);
    host.end(first);
    host.carte.stop_all();
    let next = host.begin(ktr("forever"), vec![first]);
    let (state, _, err) = host.end(next);
    assert_eq!(state, State::Ended(Exit::Code(1)), "{err}");
    assert!(err.contains("somebody has stopped it"), "{err}");
    assert_eq!(host.carte.begun().len(), 1);
}

#[test]
fn a_newer_one_says_by_404_that_it_knows_none() {
    let mut host = Host::new();
    let attempt = host.begin(ktr("forever"), Vec::new());
    host.rig.until("it runs", |_| host.carte.live() == 1);
    host.carte.unknown_is_404();
    host.carte.forget();
    let (state, _, err) = host.end(attempt);
    assert_eq!(state, State::Ended(Exit::Code(207)), "{err}");
}

#[test]
fn who_cannot_look_for_what_was_submitted_does_not_say_that_it_is_over() {
    let mut host = Host::with_url("http://cluster:s3cret@127.0.0.1:1");
    let first = host.begin(ktr("well"), Vec::new());
    let (state, _, err) = host.end(first);
    assert_eq!(state, State::Ended(Exit::Code(203)), "{err}");
    assert!(err.contains("variables of their own") && !err.contains("s3cret"), "{err}");
    let next = host.begin(ktr("well"), vec![first]);
    assert_eq!(host.end(next).0, State::Ended(Exit::Code(206)));
}
