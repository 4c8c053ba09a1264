//! The part that talks: it may die and be started again at any time, while jobs run.
//!
//! What a master's call needs is behind [`Host`]: the supervisor over its socket ([`link`]), the
//! output straight from the files, and [`facts`]. Started by [`crate::run`].

pub mod facts;
pub mod link;
pub mod server;

use crate::config::Config;
use crate::spool::Layout;
use crate::spool::output;
use facts::Facts;
use link::SupervisorLink;
use server::Behind;
use shared::wire::{HostFacts, LogPart, LogQuery, OrderCall, Refused, WatchAnswer, WatchCall};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    layout: Layout,
    link: SupervisorLink,
    facts: Facts,
}

impl Host {
    /// Begins to gather facts.
    ///
    /// # Errors
    /// The data directory cannot be made.
    pub fn new(config: &Config) -> anyhow::Result<Host> {
        let layout = Layout::make(&config.data)?;
        let link = SupervisorLink::new(&layout.socket());
        let facts = Facts::gather(config, link.clone());
        Ok(Host { layout, link, facts })
    }
}

impl Behind for Host {
    async fn order(&self, call: OrderCall) -> Result<(), Refused> {
        self.link.order(call).await
    }

    /// With the facts, as often as there are new ones.
    async fn watch(&self, call: WatchCall) -> Result<WatchAnswer, Refused> {
        // A leader who knows nothing of us yet is told at once.
        let first = call.after.is_none();
        let mut answer = self.link.watch(call).await?;
        answer.facts = self.facts.news(first);
        Ok(answer)
    }

    /// None: this attempt has no output here.
    async fn read_log(&self, query: LogQuery) -> Result<Option<LogPart>, Refused> {
        let attempt = query.attempt;
        // Asked first: what has ended by now does not grow afterwards. Who does not answer may run.
        let ended = self.link.is_running(attempt).await.is_ok_and(|running| !running);
        let layout = self.layout.clone();
        let part = shared::tasks::blocking(move || output::read(&layout, &query, ended)).await;
        let part = part.and_then(|part| part.map_err(Into::into));
        part.map_err(|error| Refused::Supervisor(format!("output of {attempt}: {error:#}")))
    }

    /// As the host is now.
    async fn probe(&self) -> Result<HostFacts, Refused> {
        self.facts.now().await
    }
}
