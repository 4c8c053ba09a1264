//! `run`: both processes, mutual TLS, and what a master sees when one of them is killed.

use crate::rig::Rig;
use nix::sys::signal::Signal;
use shared::clock::Clock;
use shared::ids::*;
use shared::pki::Authority;
use shared::rpc::{self, ExecutorClient, within};
use shared::tls::{Connector, Role};
use shared::wire::*;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

fn kill(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// A `run` with its certificates, and a master's connection to it.
struct Site {
    rig: Rig,
    connector: Connector,
    runtime: tokio::runtime::Runtime,
    client: Option<ExecutorClient>,
    known: BTreeMap<AttemptId, Report>,
    answer: Option<Answer>,
    facts: Option<HostFacts>,
}

impl Site {
    fn start() -> Site {
        let now = Clock::system().wall_ms();
        let authority = Authority::make("test", now).unwrap().0;
        let rig = Rig::without_process("listen = \"127.0.0.1:0\"\n[timing]\nfacts_ms = 300\n");
        let pki = rig.layout.root.join("pki");
        std::fs::create_dir_all(&pki).unwrap();
        authority.issue(Role::Host, "host-1", now).unwrap().write(&pki).unwrap();
        let master = authority.issue(Role::Master, "m1", now).unwrap().credentials().unwrap();
        let connector = Connector::new(&master).unwrap();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let (client, known) = (None, BTreeMap::new());
        let mut site = Site { rig, connector, runtime, client, known, answer: None, facts: None };
        site.rig.process = Some(site.rig.spawn("run", &[]));
        site.connect();
        site
    }

    fn holder(&self, what: &str) -> Option<i32> {
        self.rig.layout.holder(what)
    }

    fn connect(&mut self) {
        let address = self.rig.layout.root.join("agent.address");
        let until = self.rig.now_ms() + crate::rig::WAIT_MS;
        loop {
            assert!(self.rig.now_ms() < until, "nobody answers\n{}", self.log());
            let text = std::fs::read_to_string(&address).unwrap_or_default();
            let connected = self.runtime.block_on(async {
                let (tls, _) = self.connector.connect(&text).await.ok()?;
                let client = rpc::connect(tls);
                let hello = Hello {
                    protocol: PROTOCOL,
                    cluster: "test".into(),
                    version: "1".into(),
                    agent: "m1".into(),
                };
                let told = client.hello(within(LIMIT), hello).await.ok()?.unwrap();
                assert_eq!((told.cluster.as_str(), told.agent.as_str()), ("test", "host-1"));
                Some(client)
            });
            if let Some(client) = connected {
                self.client = Some(client);
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        let supervisor = self.rig.layout.root.join("supervisor.log");
        let both = [self.rig.path("run.log"), supervisor];
        both.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// False when nobody answers any more.
    fn watch(&mut self, hold_ms: Millis) -> bool {
        let call = Call { cluster: "test".into(), leader: self.rig.leader };
        let call = WatchCall { call, after: self.answer, stored: self.answer, hold_ms };
        let client = self.client.as_ref().unwrap();
        let Ok(Ok(answer)) = self.runtime.block_on(client.watch(within(LIMIT), call)) else {
            return false;
        };
        self.answer = Some(answer.answer);
        self.facts = answer.facts.or(self.facts.take());
        self.known.extend(answer.listed.into_iter().map(|report| (report.attempt, report)));
        true
    }

    fn order(&self, orders: Vec<Order>) {
        let call = Call { cluster: "test".into(), leader: self.rig.leader };
        let client = self.client.as_ref().unwrap();
        let done = client.order(within(LIMIT), OrderCall { call, orders });
        self.runtime.block_on(done).unwrap().unwrap();
    }

    /// So many jobs that say something, wait for the gate and exit with codes of their own.
    fn gated(&mut self, count: u32) -> Vec<AttemptId> {
        let gate = self.rig.path("gate").display().to_string();
        let script = "echo $1; while [ ! -e \"$0\" ]; do sleep 0.2; done; echo end $1; exit $1";
        let mut orders = Vec::new();
        for number in 0..count {
            let code = (number % 100).to_string();
            let mut start = self.rig.plan(&["sh", "-c", script, &gate, &code]);
            start.attempt.number = number;
            orders.push(Order::Start(Box::new(start)));
        }
        let attempts = orders.iter().map(Order::attempt).collect();
        for part in orders.chunks(50) {
            self.order(part.to_vec());
        }
        attempts
    }
}

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
    let until = site.rig.now_ms() + crate::rig::WAIT_MS;
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
    let until = site.rig.now_ms() + crate::rig::WAIT_MS;
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
    let until = site.rig.now_ms() + crate::rig::WAIT_MS;
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
