//! Two masters, or three, on the stores of several: MariaDB, the lease and the logs in MongoDB, sessions
//! and bus in Redis. Each test has a database of its own in each; the servers are those of all tests, or
//! its own.

use crate::real::{Real, facts, text};
use crate::server::{cluster, url};
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mysql_async::prelude::{FromRow, Queryable};
use shared::chunk::{Chunk, collection};
use shared::clock::Clock;
use shared::ids::Millis;
use std::time::Duration;

/// More than a pool has connections.
const TRIES_MAX: u32 = 200;
const TIDY_MAX: Duration = Duration::from_secs(5);

pub struct Pair {
    /// The first one has the executor, too.
    pub masters: Vec<Real>,
    pub clock: Clock,
    runtime: tokio::runtime::Runtime,
    pool: mysql_async::Pool,
    mongo: mongodb::Database,
    name: String,
    probes: u32,
}

/// So that a new leader has something to store: a job that does nothing.
pub const PROBE: &str = "kind: interface\nname: probe\nspec: {granularity: day, zone: UTC}\njobs:\n  \
    - {name: probe, kind: shell, fields: {use_shell: true, script: exit 0}}\n";

/// Addresses of the three, without a database.
#[derive(Clone, Debug)]
pub struct Servers {
    pub mysql: String,
    pub mongo: String,
    pub redis: String,
}

impl Servers {
    /// Those of `make services`.
    pub fn shared() -> Servers {
        let [mysql, mongo, redis] =
            ["HCNDC_TEST_MYSQL", "HCNDC_TEST_MONGO", "HCNDC_TEST_REDIS"].map(url);
        Servers { mysql, mongo, redis }
    }
}

/// What a [`Pair`] is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub servers: Servers,
    pub masters: usize,
    /// Where masters and executor find MariaDB and MongoDB, if not where the test does.
    pub through: Option<[String; 2]>,
    /// `[timing]` of all; empty: the defaults.
    pub timing: &'static str,
    /// Each master has a wall clock that the test sets: `clock` of its folder.
    pub clocks: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { servers: Servers::shared(), masters: 2, through: None, timing: "", clocks: false }
    }
}

/// The row that says who leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Leads {
    pub epoch: i64,
    pub batch: i64,
    pub url: String,
}

/// How a leader goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    Killed,
    Stopped,
}

/// Milliseconds since the leader was told to go, or was killed.
#[derive(Clone, Copy, Debug)]
pub struct TakeOver {
    /// When the lease was free; not seen if another one took it before we looked.
    pub free_ms: Option<Millis>,
    /// When the other one's first guarded batch was stored.
    pub batch_ms: Millis,
    /// When the job that was asked for at that moment had run: it places again.
    pub placed_ms: Millis,
}

impl Pair {
    /// Both run, and one of them leads.
    pub fn start() -> Pair {
        Pair::of(Setup::default())
    }

    /// As [`Pair::start`], on these servers.
    pub fn on(servers: &Servers) -> Pair {
        Pair::of(Setup { servers: servers.clone(), ..Setup::default() })
    }

    /// All run, and one of them leads.
    pub fn of(setup: Setup) -> Pair {
        let Servers { mysql, mongo, redis } = &setup.servers;
        let name = cluster().replace('-', "_");
        let own = [format!("{mysql}/{name}"), named(mongo, &name)];
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let (pool, client) = runtime.block_on(async {
            let pool = mysql_async::Pool::new(mysql.as_str());
            let mut connection = pool.get_conn().await.unwrap();
            connection.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
            let client = mongodb::Client::with_uri_str(mongo).await.unwrap();
            (mysql_async::Pool::new(own[0].as_str()), client)
        });
        let [database, store] = match &setup.through {
            Some([mysql, mongo]) => [named(mysql, &name), named(mongo, &name)],
            None => own.clone(),
        };
        let logs = format!("[logs]\nurl = \"{store}\"\n");
        let more = format!(
            "[database]\nurl = \"{database}\"\n[lease]\nurl = \"{store}\"\n\
             [session]\nurl = \"{redis}\"\n[bus]\nurl = \"{redis}\"\n{logs}"
        );
        let mut masters: Vec<Real> = (0..setup.masters).map(|_| Real::new()).collect();
        // One cluster has one authority.
        for part in ["secret.key", "pki/ca.pem", "pki/ca.key"] {
            let [from, to @ ..] = &masters[..] else { unreachable!("there is a first one") };
            for to in to {
                let path = |master: &Real| master.path("master").join(part);
                std::fs::copy(path(from), path(to)).unwrap();
            }
        }
        for master in &mut masters {
            master.master_more.clone_from(&more);
            master.executor_more.clone_from(&logs);
            master.timing = setup.timing;
        }
        let mongo = client.database(&name);
        let mut pair =
            Pair { masters, clock: Clock::system(), runtime, pool, mongo, name, probes: 0 };
        pair.masters[0].start_executor(&[]);
        for at in 0..setup.masters {
            let env = if setup.clocks { pair.masters[at].own_clock("clock") } else { Vec::new() };
            pair.masters[at].start_master(&env);
            pair.masters[at].master_is_ready();
        }
        pair.until("one of them leads", |pair| pair.leader().is_some());
        pair
    }

    /// What the database says.
    pub fn leads(&self) -> Leads {
        let row: (i64, i64, String) = self.first("SELECT epoch, batch, url FROM leader");
        let (epoch, batch, url) = row;
        Leads { epoch, batch, url }
    }

    /// Rows of the database, asked without the masters. Connections of before the server's last start are
    /// found dead one by one.
    pub fn rows<T: FromRow + Send + 'static>(&self, text: &str) -> Vec<T> {
        let mut why = String::new();
        for _ in 0..TRIES_MAX {
            let asked = async { self.pool.get_conn().await?.query::<T, _>(text).await };
            match self.runtime.block_on(asked) {
                Ok(rows) => return rows,
                Err(error) => why = error.to_string(),
            }
        }
        panic!("{text}: {why}");
    }

    /// Jobs that run, as the database says.
    pub fn running(&self) -> usize {
        self.first("SELECT COUNT(*) FROM job_run WHERE state = 'running'")
    }

    /// Of rows, as the database says.
    pub fn count(&self, text: &str) -> usize {
        self.first(text)
    }

    fn first<T: FromRow + Send + 'static>(&self, text: &str) -> T {
        self.rows(text).into_iter().next().expect("a row")
    }

    /// What the store has of the output of jobs, in the order of attempts, streams and places.
    pub fn chunks(&self) -> Vec<Chunk> {
        let chunks = self.mongo.collection::<Chunk>(&collection("hcndc"));
        self.runtime.block_on(async {
            let found = chunks.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
            found.try_collect().await.unwrap()
        })
    }

    /// Which of them says that it leads.
    pub fn leader(&self) -> Option<usize> {
        (0..self.masters.len()).find(|at| {
            let master = &self.masters[*at];
            master.master.is_some() && master.ready_text().contains("\"leads\":true")
        })
    }

    /// Milliseconds until the lease runs out, by the server's clock; less than 0: it has.
    fn lease_left(&self) -> Option<Millis> {
        let left = doc! { "$project": { "left": { "$subtract": ["$until", "$$NOW"] } } };
        let asked = async {
            let leases = self.mongo.collection::<Document>("lease");
            let mut found = leases.aggregate([left]).await.unwrap();
            found.advance().await.unwrap().then(|| found.deserialize_current().unwrap())
        };
        self.runtime.block_on(asked).map(|row| row.get_i64("left").unwrap())
    }

    /// The leader goes: killed, or told to stop. At that moment somebody asks the other master for a
    /// run of [`PROBE`]; waits until another reign has stored a batch.
    pub fn take_over(&mut self, leader: usize, how: Gone) -> TakeOver {
        let before = self.leads();
        let began = self.clock.mono_ms();
        match how {
            Gone::Killed => self.masters[leader].kill_master(),
            Gone::Stopped => self.masters[leader].signal_master("-TERM"),
        }
        self.probes += 1;
        let period = format!("2026-10-{:02}", self.probes);
        let other = (0..self.masters.len())
            .find(|at| *at != leader && self.masters[*at].master.is_some())
            .expect("another master runs");
        let mut asked = self.masters[other].begin_hcndc(&["run", "probe", "--period", &period]);
        let mut free = None;
        self.until("another reign has stored a batch", |pair| {
            if free.is_none() && pair.lease_left().is_none_or(|left| left <= 0) {
                free = Some(pair.clock.mono_ms() - began);
            }
            let now = pair.leads();
            now.epoch > before.epoch && now.batch > 0
        });
        let batch_ms = self.clock.mono_ms() - began;
        let placed =
            format!("SELECT COUNT(*) FROM run WHERE period = '{period}' AND state = 'succeeded'");
        self.until("the job that was asked for has run", |pair| pair.count(&placed) > 0);
        let placed_ms = self.clock.mono_ms() - began;
        assert!(asked.wait().unwrap().success(), "{}", self.logs());
        if how == Gone::Stopped {
            let status = self.masters[leader].master.take().expect("it was started").wait();
            assert!(status.unwrap().success());
        }
        assert_ne!(self.leads().url, before.url, "the other one leads");
        TakeOver { free_ms: free, batch_ms, placed_ms }
    }

    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Pair) -> bool) {
        let end = self.clock.mono_ms() + crate::real::WAIT_MS;
        while !holds(self) {
            assert!(self.clock.mono_ms() < end, "waited in vain: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn logs(&self) -> String {
        let of = |(at, master): (usize, &Real)| format!("=== {at}\n{}", master.logs());
        let logs: String = self.masters.iter().enumerate().map(of).collect();
        // The database may be what is away.
        let asked =
            async { self.pool.get_conn().await.ok()?.query(crate::real::CAUSES).await.ok() };
        let asked = async { tokio::time::timeout(Duration::from_secs(5), asked).await };
        let causes = self.runtime.block_on(asked).ok().flatten().unwrap_or_default();
        logs + &crate::real::told(causes)
    }

    /// States of all executions, as one of the masters tells.
    pub fn states(&self, at: usize) -> Vec<String> {
        let told = self.masters[at].hcndc(&["-o", "json", "execution", "list"]);
        assert!(told.status.success(), "{}", text(&told));
        let list: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        let rows = list["items"].as_array().or(list.as_array()).unwrap();
        rows.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
    }

    /// The file to which jobs append.
    pub fn journal(&self) -> Vec<String> {
        self.masters[0].journal()
    }
}

/// The address of a database on this server.
fn named(server: &str, name: &str) -> String {
    let (address, options) = server.split_once("/?").unwrap();
    format!("{address}/{name}?{options}")
}

impl Drop for Pair {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            facts::note("firings", self.count("SELECT COUNT(*) FROM firing"));
        }
        for master in &mut self.masters {
            if let Some(child) = &mut master.master {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        let name = self.name.clone();
        // A server of the test's own may be dead: what is in it goes with it.
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(TIDY_MAX, self.mongo.drop()).await;
            let dropped = async {
                self.pool.get_conn().await?.query_drop(format!("DROP DATABASE {name}")).await
            };
            let _ = tokio::time::timeout(TIDY_MAX, dropped).await;
        });
    }
}
