//! `run`: both processes, mutual TLS, and what a master sees when one of them is killed.

use crate::rig::Rig;
use crate::site::{LIMIT, Site, kill};
use nix::sys::signal::Signal;
use shared::ids::*;
use shared::rpc::within;
use shared::wire::*;
use std::time::Duration;

#[test]
fn the_agent_killed_under_200_jobs_costs_nothing() {
    let mut site = Site::start();
    let attempts = site.gated(200);
    site.rig.until("all jobs", |rig| {
        let said = |attempt: &AttemptId| {
            rig.layout
                .output_of(*attempt)
                .with_extension("out")
                .metadata()
                .is_ok_and(|f| f.len() > 0)
        };
        attempts.iter().all(said)
    });
    let agent = site.holder("agent").unwrap();
    let supervisor = site.holder("supervisor").unwrap();
    kill(agent, Signal::SIGKILL);
    // They end while nobody talks.
    std::fs::write(site.rig.path("gate"), "").unwrap();
    site.rig
        .until("another agent", |rig| rig.layout.holder("agent").is_some_and(|pid| pid != agent));
    site.connect();
    assert_eq!(site.holder("supervisor"), Some(supervisor));
    let until = site.rig.now_ms() + crate::rig::wait_ms();
    while site.known.len() < 200 || site.known.values().any(|r| r.state == State::Running) {
        assert!(site.rig.now_ms() < until, "{}", site.log());
        assert!(site.watch(500));
    }
    for (number, attempt) in (0..).zip(&attempts) {
        let code = number % 100;
        assert_eq!(site.known[attempt].state, State::Ended(Exit::Code(code)));
        assert_eq!(site.rig.out(*attempt), format!("{code}\nend {code}\n"));
    }
}

#[test]
fn the_supervisor_killed_is_started_again_and_its_jobs_are_unknown() {
    let mut site = Site::start();
    let attempts = site.gated(20);
    assert!(site.watch(0));
    let before = site.answer.unwrap().incarnation;
    let supervisor = site.holder("supervisor").unwrap();
    kill(supervisor, Signal::SIGKILL);
    let until = site.rig.now_ms() + crate::rig::wait_ms();
    while site.answer.unwrap().incarnation == before {
        assert!(site.rig.now_ms() < until, "{}", site.log());
        if !site.watch(500) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert_ne!(site.holder("supervisor").unwrap(), supervisor);
    assert!(attempts.iter().all(|attempt| site.known[attempt].state == State::Unknown));
}

#[test]
fn a_master_sees_output_and_facts() {
    let mut site = Site::start();
    let attempt = site.gated(1)[0];
    let query = LogQuery { attempt, stream: Stream::Out, from: 0, max: 1_000_000 };
    let read = |site: &Site, query| {
        let client = site.client.as_ref().unwrap();
        site.runtime.block_on(client.read_log(within(LIMIT), query)).unwrap().unwrap()
    };
    site.rig.until("its first line", |_| {
        read(&site, query).is_some_and(|part| part.bytes == b"0\n" && !part.ended)
    });
    std::fs::write(site.rig.path("gate"), "").unwrap();
    site.rig.until("its end", |_| read(&site, query).is_some_and(|part| part.ended));
    assert_eq!(read(&site, LogQuery { from: 2, ..query }).unwrap().bytes, b"end 0\n");
    let nobody = AttemptId { number: 77, ..attempt };
    assert_eq!(read(&site, LogQuery { attempt: nobody, ..query }), None);
    let until = site.rig.now_ms() + crate::rig::wait_ms();
    while site.facts.as_ref().is_none_or(|facts| facts.since_ms == 0) {
        assert!(site.rig.now_ms() < until && site.watch(400));
    }
    let facts = site.facts.clone().unwrap();
    assert!(facts.cores > 0 && facts.memory_total > facts.memory_used && facts.memory_used > 0);
    assert!(facts.disk_total >= facts.disk_used && facts.disk_used > 0);
    assert!(!facts.hostname.is_empty() && !facts.os.is_empty());
    assert!(facts.environments.contains_key("sh"), "{:?}", facts.environments);
    let call = Call { cluster: "test".into(), leader: site.rig.leader };
    let probe = site.client.as_ref().unwrap().probe(within(LIMIT), call);
    assert_eq!(site.runtime.block_on(probe).unwrap().unwrap().hostname, facts.hostname);
}

#[test]
fn run_told_to_end_leaves_the_jobs_running_and_the_next_one_finds_them() {
    let mut site = Site::start();
    let attempt = site.gated(1)[0];
    site.watch(0);
    let supervisor = site.holder("supervisor");
    let mut process = site.rig.process.take().unwrap();
    let end = |process: &std::process::Child| kill(process.id().cast_signed(), Signal::SIGTERM);
    end(&process);
    assert!(process.wait().unwrap().success());
    assert_eq!(site.holder("agent"), None);
    assert_eq!(site.holder("supervisor"), supervisor, "its job runs");
    site.rig.process = Some(site.rig.spawn("run", &[]));
    site.rig.until("the agent", |rig| rig.layout.holder("agent").is_some());
    site.connect();
    std::fs::write(site.rig.path("gate"), "").unwrap();
    while site.known.get(&attempt).is_none_or(|report| report.state == State::Running) {
        assert!(site.watch(500), "{}", site.log());
    }
    assert_eq!(site.known[&attempt].state, State::Ended(Exit::Code(0)));
    assert_eq!(site.holder("supervisor"), supervisor);
    // With nothing to wait for, all end.
    let mut process = site.rig.process.take().unwrap();
    end(&process);
    assert!(process.wait().unwrap().success());
    site.rig.until("the supervisor's end", |rig| rig.layout.holder("supervisor").is_none());
}

#[test]
fn run_killed_is_begun_again_and_finds_its_supervisor() {
    let mut site = Site::start();
    let attempt = site.gated(1)[0];
    let supervisor = site.holder("supervisor");
    site.rig.kill();
    site.rig.process = Some(site.rig.spawn("run", &[]));
    let run = site.rig.pid();
    site.rig.until("the new run", |rig| rig.layout.holder("run") == Some(run));
    let alone = |rig: &Rig| {
        let parent = |pid| executor::process::table::look(pid).map(|process| process.parent);
        rig.layout.holder("agent").and_then(parent) == Some(run)
    };
    site.rig.until("its agent", alone);
    site.connect();
    std::fs::write(site.rig.path("gate"), "").unwrap();
    while site.known.get(&attempt).is_none_or(|report| report.state == State::Running) {
        assert!(site.watch(500), "{}", site.log());
    }
    assert_eq!(site.known[&attempt].state, State::Ended(Exit::Code(0)));
    assert_eq!(site.holder("supervisor"), supervisor);
}

#[test]
fn what_cannot_begin_says_so_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::start();
    let one_line = |rig: &Rig, command: &str, words: &str| {
        let mut process = rig.spawn(command, &[]);
        assert_eq!(process.wait().unwrap().code(), Some(1));
        let log = std::fs::read_to_string(rig.path(&format!("{command}.log"))).unwrap();
        let last = log.rsplit_once("hcndc-executor: ").map_or("", |(_, last)| last);
        assert!(last.contains(words), "{words}: {log}");
    };
    one_line(&site.rig, "run", "is the run of");
    one_line(&site.rig, "agent", "is the agent of");
    let mut other = Rig::without_process("datum = 1\n");
    one_line(&other, "agent", "unknown field `datum`");
    other.config = format!("listen = \"{}\"\n", taken.local_addr().unwrap());
    one_line(&other, "agent", "cannot read");
    let (from, to) = (site.rig.layout.root.join("pki"), other.layout.root.join("pki"));
    std::fs::create_dir_all(&to).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    one_line(&other, "agent", "cannot listen on");
    one_line(&other, "run", "the agent could not begin");
    std::fs::write(to.join("cert.pem"), "rubbish").unwrap();
    one_line(&other, "agent", "cert.pem is damaged");
}
