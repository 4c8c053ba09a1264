//! Hosts inside this process: the real core of a host and the wire's codec, without TLS and without
//! processes. An attempt ends at once, as its command says: `exit 3` in its argv, 0 otherwise.

use executor::supervise::attempts::{Attempts, Beginning, Do, Now, Setup, Usage};
use master::leader::dial::Inside;
use shared::clock::Clock;
use shared::etl::browse;
use shared::ids::*;
use shared::rpc::{self, Executor, ExecutorClient};
use shared::wire::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tarpc::context::Context;
use tokio::sync::Notify;

/// What travels at one time between leader and host.
const PIPE: usize = 256 * 1024;

pub(crate) struct Hosts {
    all: BTreeMap<String, SimHost>,
}

#[derive(Clone)]
pub(crate) struct SimHost(Arc<Inner>);

struct Inner {
    agent: String,
    cluster: String,
    clock: Clock,
    core: Mutex<Attempts>,
    news: Notify,
    begun: Mutex<Vec<Start>>,
    spawned: AtomicUsize,
}

impl Hosts {
    /// `h1` to `hN`, which are also their addresses.
    pub(crate) fn new(cluster: &str, count: usize, clock: &Clock) -> Arc<Hosts> {
        let host = |number: usize| {
            let agent = format!("h{number}");
            (agent.clone(), SimHost::new(cluster, agent, clock.clone()))
        };
        Arc::new(Hosts { all: (1..=count).map(host).collect() })
    }

    pub(crate) fn get(&self, address: &str) -> &SimHost {
        &self.all[address]
    }

    /// Attempts begun on all of them.
    pub(crate) fn spawned(&self) -> usize {
        self.all.values().map(|host| host.0.spawned.load(Ordering::Relaxed)).sum()
    }
}

impl Inside for Hosts {
    fn connect(&self, address: &str) -> anyhow::Result<(String, ExecutorClient)> {
        let host = self.all.get(address);
        let host = host.ok_or_else(|| anyhow::anyhow!("nobody answers at {address}"))?;
        let (near, far) = tokio::io::duplex(PIPE);
        shared::tasks::spawn("a host inside", rpc::serve(far, host.clone()));
        Ok((host.0.agent.clone(), rpc::connect(near)))
    }
}

impl SimHost {
    fn new(cluster: &str, agent: String, clock: Clock) -> SimHost {
        let mut life = [0; 16];
        getrandom::fill(&mut life).unwrap();
        let life = Incarnation(u128::from_be_bytes(life));
        let setup = Setup { cluster: cluster.into(), ..Setup::default() };
        let now = now(&clock);
        let beginning =
            Beginning { incarnation: life, machine: "", whole: true, alive: &BTreeSet::new() };
        let core = Attempts::boot(setup, Vec::new(), beginning, now);
        SimHost(Arc::new(Inner {
            agent,
            cluster: cluster.into(),
            clock,
            core: Mutex::new(core),
            news: Notify::new(),
            begun: Mutex::default(),
            spawned: AtomicUsize::new(0),
        }))
    }

    /// What was begun here, in its order; kept only as long as it is short.
    pub(crate) fn begun(&self) -> Vec<Start> {
        self.0.begun.lock().unwrap().clone()
    }

    fn obey(&self, core: &mut Attempts, now: Now) {
        loop {
            let todo = core.todo();
            if todo.is_empty() {
                return;
            }
            for what in todo {
                match what {
                    Do::Journal(_) => {}
                    Do::Spawn(start) => {
                        self.0.spawned.fetch_add(1, Ordering::Relaxed);
                        let code = exit_code(&start);
                        let mut begun = self.0.begun.lock().unwrap();
                        if begun.len() < 1_000 {
                            begun.push((*start).clone());
                        }
                        core.ended(now, start.attempt, Exit::Code(code), Usage::default());
                    }
                    Do::Kill { attempt, .. } => core.gone(now, attempt, Usage::default()),
                }
            }
        }
    }
}

fn now(clock: &Clock) -> Now {
    Now { mono: clock.mono_ms(), wall: clock.wall_ms() }
}

fn exit_code(start: &Start) -> i32 {
    let text = start.work.argv.iter().find_map(|arg| arg.strip_prefix("exit "));
    text.and_then(|code| code.parse().ok()).unwrap_or(0)
}

impl Executor for SimHost {
    async fn hello(self, _: Context, hello: Hello) -> Result<Hello, Refused> {
        if hello.cluster != self.0.cluster {
            return Err(Refused::Cluster(self.0.cluster.clone()));
        }
        Ok(Hello { agent: self.0.agent.clone(), ..hello })
    }

    async fn order(self, _: Context, call: OrderCall) -> Result<(), Refused> {
        let now = now(&self.0.clock);
        let mut core = self.0.core.lock().unwrap();
        core.order(now, &call)?;
        self.obey(&mut core, now);
        self.0.news.notify_waiters();
        Ok(())
    }

    async fn watch(self, _: Context, call: WatchCall) -> Result<WatchAnswer, Refused> {
        let hold = Duration::from_millis(u64::try_from(call.hold_ms).unwrap_or(0));
        let sleep = tokio::time::sleep(hold);
        tokio::pin!(sleep);
        let mut give = false;
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let answer = {
                let mut core = self.0.core.lock().unwrap();
                core.watch(now(&self.0.clock), &call, give)?
            };
            if let Some(mut answer) = answer {
                answer.facts = call.after.is_none().then(Box::default);
                return Ok(answer);
            }
            tokio::select! {
                () = news => {}
                () = &mut sleep => give = true,
            }
        }
    }

    async fn read_log(self, _: Context, query: LogQuery) -> Result<Option<LogPart>, Refused> {
        let text = format!("{} on {}\n", query.attempt, self.0.agent).into_bytes();
        let len = text.len() as u64;
        let from = usize::try_from(query.from.min(len)).unwrap_or(text.len());
        let bytes: Vec<u8> = text[from..].iter().copied().take(query.max as usize).collect();
        Ok(Some(LogPart { from: from as u64, bytes, len, ended: true, ..LogPart::default() }))
    }

    async fn probe(self, _: Context, _: Call) -> Result<HostFacts, Refused> {
        Ok(HostFacts { hostname: self.0.agent.clone(), ..HostFacts::default() })
    }

    async fn browse(self, _: Context, _: browse::Ask) -> Result<browse::Answer, Refused> {
        Err(Refused::Role)
    }

    async fn next_key(self, _: Context, _: Call) -> Result<String, Refused> {
        Err(Refused::Role)
    }

    async fn next_certificate(self, _: Context, _: Call, _: String) -> Result<(), Refused> {
        Err(Refused::Role)
    }
}
