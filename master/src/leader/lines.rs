//! The lines to the hosts: one task per host, which connects, says hello, and carries the leader's
//! calls; it decides nothing.
//!
//! `order` and `watch` share one connection, and each connection has a number: what comes from an
//! older one does not count (rule H3). Two rows, or two addresses, that lead to one agent are
//! refused loudly (rule H1). Called by the leader's shell ([`super::drive`]).

use super::dial::{CALL_MAX, Caller, Fault, Peer, duration, flat};
use crate::engine::catalog::Catalog;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use shared::ids::HostId;
use shared::rpc::{ExecutorClient, within};
use shared::tasks;
use shared::wire::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Between two attempts to connect: from, doubled each time, until.
const BACKOFF_MIN_MS: u64 = 200;
const BACKOFF_MAX_MS: u64 = 10_000;
/// Calls that wait for one line; the leader has two open at most.
const CALLS_MAX: usize = 8;
/// What all lines tell the shell, before a line waits.
const TOLD_MAX: usize = 1_024;
/// Of the orders in one call, as they are on the wire: they fit a frame with what stands around.
const ORDER_BYTES_MAX: usize = 192 * 1024;

/// One call of the leader; `number` comes back with its answer.
#[derive(Clone, Debug)]
pub enum Ask {
    Order(OrderCall),
    Watch(WatchCall),
}

/// What a line tells the shell.
#[derive(Debug)]
pub enum Told {
    /// A new connection stands, and hello is said. Answers of older ones do not count any more.
    Up {
        agent: String,
    },
    /// There is no connection, and why; it goes on trying.
    Down {
        why: String,
        refused: bool,
    },
    Ordered {
        number: u64,
        result: Result<(), Fault>,
    },
    Watched {
        number: u64,
        result: Result<Box<WatchAnswer>, Fault>,
    },
}

/// [`Told`], by whom.
#[derive(Debug)]
pub struct FromLine {
    pub host: HostId,
    /// Counts the connections of all lines: a later one is newer.
    pub connection: u64,
    pub told: Told,
}

/// All lines. Dropping it ends them.
#[derive(Debug)]
pub struct Lines {
    caller: Caller,
    lines: BTreeMap<HostId, Line>,
    agents: Agents,
    tell: mpsc::Sender<FromLine>,
}

#[derive(Debug)]
struct Line {
    address: String,
    calls: mpsc::Sender<(u64, Ask)>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Which row an agent belongs to: the first that met it, or that names it (rule H1).
type Agents = Arc<Mutex<HashMap<String, HostId>>>;

impl Lines {
    pub fn new(caller: Caller) -> (Lines, mpsc::Receiver<FromLine>) {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let lines = Lines { caller, lines: BTreeMap::new(), agents: Agents::default(), tell };
        (lines, told)
    }

    /// Lines to these hosts and no others; one whose address has changed begins anew.
    pub fn follow(&mut self, catalog: &Catalog) {
        let hosts = &catalog.hosts;
        self.lines
            .retain(|id, line| hosts.get(id).is_some_and(|host| host.spec.address == line.address));
        {
            let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
            agents.retain(|_, host| self.lines.contains_key(host));
            for (&id, host) in hosts.iter().filter(|(_, host)| !host.agent.is_empty()) {
                // By id: of two rows that name one agent the older has it.
                let known = agents.entry(host.agent.clone()).or_insert(id);
                if hosts.get(known).is_none_or(|holder| holder.agent != host.agent) {
                    *known = id;
                }
            }
        }
        for (&id, host) in hosts {
            if self.lines.contains_key(&id) {
                continue;
            }
            let (calls, asked) = mpsc::channel(CALLS_MAX);
            let task = Task {
                host: id,
                address: host.spec.address.clone(),
                pinned: host.agent.clone(),
                caller: self.caller.clone(),
                agents: self.agents.clone(),
                tell: self.tell.clone(),
                connection: 0,
            };
            let task = tasks::spawn("line to a host", task.run(asked));
            let address = host.spec.address.clone();
            self.lines.insert(id, Line { address, calls, task });
        }
    }

    /// The answer comes as [`Told::Ordered`] or [`Told::Watched`] with this number.
    ///
    /// # Errors
    /// There is no such line, or it has too many calls waiting: nothing comes.
    pub fn ask(&self, host: HostId, number: u64, ask: Ask) -> Result<(), Fault> {
        let no = |why: &str| Fault::Broken(why.into());
        let line = self.lines.get(&host).ok_or_else(|| no("there is no such host"))?;
        line.calls.try_send((number, ask)).map_err(|_| no("its line is busy"))
    }
}

/// Whether a host is still believed is looked at so often; whether its certificate runs out, at each
/// so many looks.
const TRUST_LOOK: Duration = Duration::from_secs(5);
const RENEW_EVERY: u32 = 720;

/// One line.
struct Task {
    host: HostId,
    address: String,
    /// The agent that its row names, or that has answered first.
    pinned: String,
    caller: Caller,
    agents: Agents,
    tell: mpsc::Sender<FromLine>,
    connection: u64,
}

impl Task {
    async fn run(mut self, mut asked: mpsc::Receiver<(u64, Ask)>) {
        let mut wait_ms = BACKOFF_MIN_MS;
        loop {
            let (why, refused) = match self.caller.connect(&self.address).await {
                Ok((peer, client)) => match self.claim(&peer.agent) {
                    Ok(()) => {
                        self.pinned.clone_from(&peer.agent);
                        self.connection = next_connection();
                        self.tell(Told::Up { agent: peer.agent.clone() }).await;
                        let (why, answered) = self.serve(&client, &peer, &mut asked).await;
                        if answered {
                            wait_ms = BACKOFF_MIN_MS;
                        }
                        (why, false)
                    }
                    Err(why) => {
                        tracing::error!(host = %self.host, "{why}");
                        (why, true)
                    }
                },
                Err(error) => (format!("{error:#}"), false),
            };
            self.tell(Told::Down { why, refused }).await;
            if !self.pause(jittered(wait_ms), &mut asked).await {
                return;
            }
            wait_ms = (wait_ms * 2).min(BACKOFF_MAX_MS);
        }
    }

    /// Whether this row may have this agent (rule H1).
    fn claim(&self, agent: &str) -> Result<(), String> {
        let Task { host, address, pinned, .. } = self;
        if !pinned.is_empty() && pinned != agent {
            return Err(format!(
                "agent {agent:?} answers at {address}, and host {host} is agent {pinned:?}: \
                 two machines have changed places, or its certificate was exchanged"
            ));
        }
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        match agents.get(agent) {
            Some(other) if other != host => Err(format!(
                "agent {agent:?} answers at {address}, and it is host {other} already: two rows for \
                 one executor would use its slots twice; delete one of them"
            )),
            _ => {
                agents.insert(agent.to_owned(), *host);
                Ok(())
            }
        }
    }

    /// Carries calls until the connection ends. Why it ended, and whether any call was answered.
    async fn serve(
        &self,
        client: &ExecutorClient,
        peer: &Peer,
        asked: &mut mpsc::Receiver<(u64, Ask)>,
    ) -> (String, bool) {
        let mut open: FuturesUnordered<BoxFuture<'_, Told>> = FuturesUnordered::new();
        let mut answered = false;
        let trust = self.watch_certificate(client, peer);
        tokio::pin!(trust);
        loop {
            let told = tokio::select! {
                why = &mut trust => return (why, answered),
                Some(told) = open.next() => told,
                Some((number, ask)) = asked.recv() => {
                    open.push(Box::pin(carry(client, number, ask)));
                    continue;
                }
                else => return ("this master does not lead any more".into(), answered),
            };
            let fault = match &told {
                Told::Ordered { result: Err(fault), .. }
                | Told::Watched { result: Err(fault), .. } => Some(fault.clone()),
                _ => None,
            };
            self.tell(told).await;
            match fault {
                // A refusal in words is an answer; but who was superseded is to come again.
                None => answered = true,
                Some(Fault::Refused(Refused::Superseded)) => {
                    return (Refused::Superseded.to_string(), answered);
                }
                Some(Fault::Refused(_)) => {}
                Some(Fault::Broken(why)) => return (why, answered),
            }
        }
    }

    /// Exchanges its certificate in time; done when it is not believed any more, and why.
    async fn watch_certificate(&self, client: &ExecutorClient, peer: &Peer) -> String {
        let (Some(certs), Some(facts)) = (&self.caller.certs, &peer.certificate) else {
            return std::future::pending().await;
        };
        let mut renew_in = 0;
        loop {
            if let Err(error) = certs.check(facts).await {
                return format!("{error:#}");
            }
            if renew_in == 0 {
                renew_in = RENEW_EVERY;
                match certs.renew(client, facts).await {
                    // The next connection is met with the new one.
                    Ok(true) => return "it has a new certificate".into(),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(host = %self.host, "its certificate runs out: {error:#}");
                    }
                }
            }
            renew_in -= 1;
            tokio::time::sleep(TRUST_LOOK).await;
        }
    }

    /// Between two connections calls are answered at once. False: nobody asks any more.
    async fn pause(&self, long: Duration, asked: &mut mpsc::Receiver<(u64, Ask)>) -> bool {
        let sleep = tokio::time::sleep(long);
        tokio::pin!(sleep);
        loop {
            let (number, ask) = tokio::select! {
                () = &mut sleep => return true,
                asked = asked.recv() => match asked {
                    Some(asked) => asked,
                    None => return false,
                },
            };
            let fault = Fault::Broken("not connected".into());
            self.tell(match ask {
                Ask::Order(_) => Told::Ordered { number, result: Err(fault) },
                Ask::Watch(_) => Told::Watched { number, result: Err(fault) },
            })
            .await;
        }
    }

    async fn tell(&self, told: Told) {
        let (host, connection) = (self.host, self.connection);
        // Nobody listens any more: the line is about to end.
        let _ = self.tell.send(FromLine { host, connection, told }).await;
    }
}

async fn carry(client: &ExecutorClient, number: u64, ask: Ask) -> Told {
    match ask {
        Ask::Order(call) => Told::Ordered { number, result: order(client, call).await },
        Ask::Watch(call) => {
            let limit = duration(call.hold_ms) + CALL_MAX;
            let answer = client.watch(within(limit), call).await;
            Told::Watched { number, result: flat(answer).map(Box::new) }
        }
    }
}

/// In as many calls as frames and [`ORDERS_MAX`] ask for.
async fn order(client: &ExecutorClient, call: OrderCall) -> Result<(), Fault> {
    let OrderCall { call, stored, orders } = call;
    for orders in parted(orders) {
        let part = OrderCall { call: call.clone(), stored, orders };
        flat(client.order(within(CALL_MAX), part).await)?;
    }
    Ok(())
}

fn parted(orders: Vec<Order>) -> Vec<Vec<Order>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for order in orders {
        let size = shared::codec::encode(&order).map_or(ORDER_BYTES_MAX, |order| order.len());
        if !part.is_empty() && (part.len() >= ORDERS_MAX || bytes + size > ORDER_BYTES_MAX) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(order);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

fn next_connection() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

/// Between half and all of it, so that a hundred hosts do not come back in one moment.
fn jittered(wait_ms: u64) -> Duration {
    let mut random = [0; 8];
    let half = wait_ms / 2;
    match getrandom::fill(&mut random) {
        Ok(()) => Duration::from_millis(half + u64::from_be_bytes(random) % (half + 1)),
        Err(_) => Duration::from_millis(wait_ms),
    }
}
