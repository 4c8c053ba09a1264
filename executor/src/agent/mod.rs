//! The part that talks: it may die and be started again at any time, while jobs run.
//!
//! What a master's call needs is behind [`Host`]: the supervisor over its socket ([`link`]), the
//! output straight from the files, and [`facts`]. [`ship`] brings output to a store. Started by [`crate::run`].

pub mod browse;
pub mod facts;
pub mod link;
pub mod own;
pub mod server;
pub mod servers;
pub mod ship;

use crate::cold::maker::{self, Maker};
use crate::config::Config;
use crate::spool::layout::write_private;
use crate::spool::output;
use crate::spool::{Layout, Lock};
use anyhow::Context;
use browse::Browser;
use facts::Facts;
use link::SupervisorLink;
use own::Own;
use server::{Behind, Server, own_hello};
use shared::clock::Clock;
use shared::etl::browse::{Answer, Ask};
use shared::ids::Millis;
use shared::wire::{HostFacts, LogPart, LogQuery, OrderCall, Refused, WatchAnswer, WatchCall};
use std::sync::Arc;

/// Threads that answer calls.
const THREADS: usize = 2;
/// Another agent may need so long to end.
const LOCK_WAIT_MS: Millis = 2_000;

/// Serves masters until SIGTERM. The address that was bound stands in `agent.address`.
///
/// # Errors
/// It cannot begin: no certificate, a port that is taken, another agent on the data directory.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let layout = Layout::make(&config.data)?;
    let _lock = lock(&layout)?;
    let certificate = Arc::new(Own::read(&config.pki)?);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(THREADS).enable_all().build().context("a runtime")?;
    let done = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(&config.listen)
            .await
            .with_context(|| format!("cannot listen on {} (listen)", config.listen))?;
        let address = listener.local_addr().context("the address that was bound")?;
        let file = layout.root.join("agent.address");
        write_private(&file, &address.to_string()).context("writing agent.address")?;
        let own = own_hello(certificate.identity());
        tracing::info!("agent {} of cluster {} on {address}", own.agent, own.cluster);
        if config.ships() {
            let store = ship::store::Store::open(config.logs.target(), &own).await?;
            let link = SupervisorLink::new(&layout.socket());
            let shipper = ship::Shipper::new(layout, link, store, Clock::system());
            shared::tasks::spawn("shipping", shipper.run());
        }
        let behind = Host::new(config)?;
        let (maker, browser) = (behind.maker.clone(), behind.browser.clone());
        shared::tasks::spawn("certificate", reload_when_told(certificate.clone()));
        let server = Server { certificate, own, behind, clock: Clock::system() };
        server.run(listener, told_to_end()).await;
        maker.inspect(|maker| maker.end());
        browser.end();
        Ok(())
    });
    // A question that is held open at the supervisor is nobody's any more: it is not waited for.
    runtime.shutdown_background();
    done
}

/// The agent of a `run` that was killed is told to end by the kernel, and takes a moment to.
fn lock(layout: &Layout) -> anyhow::Result<Lock> {
    let clock = Clock::system();
    loop {
        match layout.lock("agent") {
            Err(_) if clock.mono_ms() < LOCK_WAIT_MS => {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// SIGHUP: an operator has exchanged the certificate.
async fn reload_when_told(certificate: Arc<Own>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        if let Err(error) = certificate.reload() {
            tracing::error!("the certificate stays as it was: {error:#}");
        }
    }
}

async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut end), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    layout: Layout,
    link: SupervisorLink,
    facts: Facts,
    browser: Browser,
    maker: Option<Arc<Maker>>,
}

impl Host {
    /// Begins to gather facts, and to make archives for cold starts.
    ///
    /// # Errors
    /// The data directory cannot be made.
    pub fn new(config: &Config) -> anyhow::Result<Host> {
        let layout = Layout::make(&config.data)?;
        let link = SupervisorLink::new(&layout.socket());
        let facts = Facts::gather(config, link.clone());
        let browser = Browser::new(config, Clock::system());
        let maker = Maker::start(config).map(Arc::new);
        Ok(Host { layout, link, facts, browser, maker })
    }
}

impl Behind for Host {
    async fn order(&self, call: OrderCall) -> Result<(), Refused> {
        let wished = self.maker.as_ref().map(|maker| (maker, maker::wished(&call.orders)));
        self.link.order(call).await?;
        if let Some((maker, wishes)) = wished {
            maker.wish(wishes);
        }
        Ok(())
    }

    /// With the facts, as often as there are new ones.
    async fn watch(&self, call: WatchCall) -> Result<WatchAnswer, Refused> {
        // A leader who knows nothing of us yet is told at once.
        let first = call.after.is_none();
        let mut answer = self.link.watch(call).await?;
        answer.facts = self.facts.news(first).map(Box::new);
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

    async fn browse(&self, ask: Ask) -> Answer {
        self.browser.answer(ask).await
    }
}
