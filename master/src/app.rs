//! What every page, and the boot of the master, hold in their hands. Cheap to clone.

use crate::bus::Bus;
use crate::config::Config;
use crate::db::Db;
use crate::engine::catalog::Catalog;
use crate::leader::dial::Caller;
use crate::leader::status::LeaderStatus;
use crate::logs::Logs;
use crate::session::{Failures, Sessions, Throttle};
use crate::store::catalog::Kept;
use crate::web::away::Known;
use crate::web::dispatch::{Counted, Upcoming};
use crate::web::events::Hub;
use crate::web::frame::Templates;
use crate::web::graph;
use shared::clock::Clock;
use shared::ids::Millis;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Password hashes at a time: each takes 19 MiB and a core for 40 ms.
const HASHES_MAX: usize = 2;
/// Sets of definitions at a time about which hosts are asked.
const ASKING_MAX: usize = 4;

#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub config: Config,
    pub clock: Clock,
    pub db: Db,
    pub sessions: Sessions,
    pub bus: Bus,
    /// What the leader of this process says of itself; on other masters it stands still.
    pub leader: watch::Receiver<LeaderStatus>,
    pub logs: Logs,
    /// Tests a host.
    pub caller: Caller,
    pub templates: Templates,
    pub hashing: Semaphore,
    /// One set of definitions at a time.
    pub applying: Semaphore,
    /// Sets that hosts are asked about: they are in memory meanwhile.
    pub asking: Semaphore,
    pub throttle: Throttle,
    /// When each rule fires next.
    pub upcoming: Upcoming,
    /// How often, hour by hour.
    pub counted: Counted,
    /// What is told while the database is away.
    pub known: Known,
    /// Browsers that listen.
    pub live: Hub,
    /// Pictures of late.
    pub graphs: graph::Cache,
    /// The definitions as last read: see [`App::catalog`].
    pub definitions: Arc<Kept>,
    pub started_ms: Millis,
}

/// What an [`App`] is made from: opened by `cli`, or by a test.
#[derive(Debug)]
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub db: Db,
    pub sessions: Sessions,
    pub bus: Bus,
    pub leader: watch::Receiver<LeaderStatus>,
    pub logs: Logs,
    pub caller: Caller,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// # Errors
    /// A template or the catalogue of texts is broken.
    pub fn new(parts: Parts) -> anyhow::Result<App> {
        let Parts { config, clock, db, sessions, bus, leader, logs, caller } = parts;
        let templates = Templates::load(&config)?;
        let throttle = sessions.throttle(Failures {
            failures_max: config.web.login_failures_max as usize,
            window_ms: Millis::from(config.web.login_window_s) * 1_000,
        });
        let started_ms = clock.wall_ms();
        Ok(App(Arc::new(Inner {
            config,
            clock,
            db,
            sessions,
            bus,
            leader,
            logs,
            caller,
            templates,
            hashing: Semaphore::new(HASHES_MAX),
            applying: Semaphore::new(1),
            asking: Semaphore::new(ASKING_MAX),
            throttle,
            upcoming: Upcoming::default(),
            counted: Counted::default(),
            known: Known::default(),
            live: Hub::default(),
            graphs: graph::Cache::default(),
            definitions: Arc::default(),
            started_ms,
        })))
    }

    /// The definitions as they were read last; nothing is asked for.
    pub fn known_catalog(&self) -> Arc<Catalog> {
        self.definitions.last()
    }

    /// All current definitions: a page costs one small query for them.
    ///
    /// # Errors
    /// The database's.
    pub async fn catalog(&self) -> crate::db::Result<Arc<Catalog>> {
        let seen = self.known.asked(&self.clock, self.definitions.seen(&self.db)).await?;
        self.definitions.current(&self.db, seen).await
    }

    /// `__Host-`: browsers take it only over HTTPS, for this host and all of it.
    pub fn cookie_name(&self) -> &'static str {
        match self.config.web.is_https() {
            true => "__Host-hcndc",
            false => "hcndc",
        }
    }
}
