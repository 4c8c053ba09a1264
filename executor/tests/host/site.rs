//! A `run` with its certificates, both processes, and a master's connection to it.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

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

pub const LIMIT: Duration = Duration::from_secs(10);

pub fn kill(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// A `run` with its certificates, and a master's connection to it.
pub struct Site {
    pub rig: Rig,
    pub connector: Connector,
    pub runtime: tokio::runtime::Runtime,
    pub client: Option<ExecutorClient>,
    pub known: BTreeMap<AttemptId, Report>,
    pub answer: Option<Answer>,
    pub facts: Option<HostFacts>,
}

impl Site {
    pub fn start() -> Site {
        Site::of(|_| {})
    }

    /// With a copy of the program that a test can replace.
    pub fn installed() -> Site {
        Site::of(Rig::install)
    }

    /// With what a test prepares before it is started.
    pub fn of(prepare: impl FnOnce(&mut Rig)) -> Site {
        let now = Clock::system().wall_ms();
        let authority = Authority::make("test", now).unwrap().0;
        let mut rig = Rig::without_process("listen = \"127.0.0.1:0\"\n[timing]\nfacts_ms = 300\n");
        prepare(&mut rig);
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

    pub fn holder(&self, what: &str) -> Option<i32> {
        self.rig.layout.holder(what)
    }

    pub fn connect(&mut self) {
        let address = self.rig.layout.root.join("agent.address");
        let until = self.rig.now_ms() + crate::rig::wait_ms();
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

    pub fn log(&self) -> String {
        let supervisor = self.rig.layout.root.join("supervisor.log");
        let both = [self.rig.path("run.log"), supervisor];
        both.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// False when nobody answers any more.
    pub fn watch(&mut self, hold_ms: Millis) -> bool {
        let call = Call { cluster: "test".into(), leader: self.rig.leader };
        let call = WatchCall { call, after: self.answer, stored: self.answer, hold_ms };
        let client = self.client.as_ref().unwrap();
        let Ok(Ok(answer)) = self.runtime.block_on(client.watch(within(LIMIT), call)) else {
            return false;
        };
        self.answer = Some(answer.answer);
        self.facts = answer.facts.map(|facts| *facts).or(self.facts.take());
        self.known.extend(answer.listed.into_iter().map(|report| (report.attempt, report)));
        true
    }

    pub fn order(&self, orders: Vec<Order>) {
        let call = Call { cluster: "test".into(), leader: self.rig.leader };
        let client = self.client.as_ref().unwrap();
        let done = client.order(within(LIMIT), OrderCall { call, stored: None, orders });
        self.runtime.block_on(done).unwrap().unwrap();
    }

    /// So many jobs that say something, wait for the gate and exit with codes of their own.
    pub fn gated(&mut self, count: u32) -> Vec<AttemptId> {
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
