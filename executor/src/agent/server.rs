//! The executor's port: masters of its own cluster call here, over mutual TLS.
//!
//! One accept loop; the handshake and all calls of a connection happen in a task of its own, with
//! the peer's identity. Only the newest connection orders and watches (rule H3); `read_log`, `probe`
//! and `browse` take nothing over. Called by the agent's start.

use super::own::Own;
use shared::clock::Clock;
use shared::etl::browse;
use shared::ids::Millis;
use shared::rpc::Executor;
use shared::wire::*;
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tarpc::context::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections at one time, handshakes included; one more is closed at once.
const CONNECTIONS_MAX: usize = 64;
/// A connection without a call for so long is closed: its master may be gone without a word.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The same peer with the same fault is logged once in so long.
const QUIET_MS: Millis = 60_000;
/// Peers whose faults are remembered.
const FAULTS_MAX: usize = 256;
/// Bytes of output in one answer, and marks with them: together they fit a frame.
#[expect(clippy::cast_possible_truncation, reason = "a part is 128 KiB")]
const LOG_PART_MAX: u32 = crate::spool::output::PART_MAX as u32;
/// Of a frame, for what stands around an answer.
const WRAPPING_MAX: usize = 4 * 1024;
/// Bytes of words about one attempt, when all at length do not fit (`wire` proves that these do).
const WORDS_MAX: usize = 60;

/// What stands behind the port: the supervisor, the spool and the facts of this host.
pub trait Behind: Clone + Send + Sync + 'static {
    fn order(&self, call: OrderCall) -> impl Future<Output = Result<(), Refused>> + Send;
    fn watch(&self, call: WatchCall) -> impl Future<Output = Result<WatchAnswer, Refused>> + Send;
    /// None: this attempt has no output here.
    fn read_log(
        &self,
        query: LogQuery,
    ) -> impl Future<Output = Result<Option<LogPart>, Refused>> + Send;
    fn probe(&self) -> impl Future<Output = Result<HostFacts, Refused>> + Send;
    fn browse(&self, ask: browse::Ask) -> impl Future<Output = browse::Answer> + Send;
}

/// Which connection orders and watches: (epoch of its leader, number of the connection).
type Current = (i64, u64);

/// The port of one host.
#[derive(Debug)]
pub struct Server<B> {
    pub certificate: Arc<Own>,
    /// As in this host's certificate.
    pub own: Hello,
    pub behind: B,
    pub clock: Clock,
}

/// What this executor says of itself in `hello`.
pub fn own_hello(own: &shared::tls::Identity) -> Hello {
    Hello {
        protocol: PROTOCOL,
        cluster: own.cluster.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        agent: own.agent.clone(),
    }
}

impl<B: Behind> Server<B> {
    /// Accepts until `stop` is done; what is under way then is dropped (no handler owns work).
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
        let server = Arc::new(self);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let faults = Arc::new(Faults { clock: server.clock.clone(), told: Mutex::default() });
        let current = watch::Sender::new((0, 0));
        let mut connections = tokio::task::JoinSet::new();
        let mut number = 0;
        tokio::pin!(stop);
        loop {
            let (stream, from) = tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!("a connection's task panicked: {error}");
                    }
                    continue;
                }
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // No descriptors left, most of the time: it passes when others close.
                        tracing::warn!("accepting a connection: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                faults.tell(from.ip(), "too many connections at one time: closed");
                continue;
            };
            number += 1;
            let turn = Turn { number, current: current.clone() };
            let task = one(server.clone(), stream, from, turn, faults.clone());
            connections.spawn(async move {
                task.await;
                drop(place);
            });
        }
        connections.shutdown().await;
    }
}

/// One connection, from handshake to end.
async fn one<B: Behind>(
    server: Arc<Server<B>>,
    stream: TcpStream,
    from: SocketAddr,
    turn: Turn,
    faults: Arc<Faults>,
) {
    let (tls, peer) = match server.certificate.acceptor().accept(stream).await {
        Ok(accepted) => accepted,
        Err(error) => return faults.tell(from.ip(), &format!("{error:#}")),
    };
    tracing::debug!("{} has connected from {from}", peer.identity);
    let service = Service {
        last_call: Arc::new(AtomicI64::new(server.clock.mono_ms())),
        greeted: Arc::default(),
        server,
        turn,
    };
    tokio::select! {
        () = shared::rpc::serve(tls, service.clone()) => {}
        () = service.idle() => tracing::debug!("{} says nothing: closed", peer.identity),
    }
}

/// A place in the order of connections.
#[derive(Clone, Debug)]
struct Turn {
    number: u64,
    current: watch::Sender<Current>,
}

impl Turn {
    /// A newer connection, or a newer reign, takes over; an older one is told so. An older *reign*
    /// is the supervisor's to refuse: it names the reign that it knows.
    fn take(&self, epoch: i64) -> Result<(), Refused> {
        let mine = (epoch, self.number);
        let mut superseded = false;
        self.current.send_if_modified(|current| {
            superseded = current.0 == epoch && mine < *current;
            let newer = mine > *current;
            if newer {
                *current = mine;
            }
            newer
        });
        if superseded { Err(Refused::Superseded) } else { Ok(()) }
    }

    /// Done when somebody else has taken over.
    async fn lost(&self, epoch: i64) {
        let mut current = self.current.subscribe();
        if current.borrow().0 > epoch {
            return std::future::pending().await;
        }
        let mine = (epoch, self.number);
        if current.wait_for(|current| *current > mine).await.is_err() {
            std::future::pending().await
        }
    }
}

/// The service of one connection.
#[derive(Clone)]
struct Service<B> {
    server: Arc<Server<B>>,
    turn: Turn,
    greeted: Arc<AtomicBool>,
    /// Of the monotonic clock.
    last_call: Arc<AtomicI64>,
}

impl<B: Behind> Service<B> {
    fn begin(&self) -> Result<(), Refused> {
        self.last_call.store(self.server.clock.mono_ms(), Ordering::Relaxed);
        match self.greeted.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(Refused::HelloFirst),
        }
    }

    fn ours(&self, cluster: &str) -> Result<(), Refused> {
        let own = &self.server.own.cluster;
        if cluster == own { Ok(()) } else { Err(Refused::Cluster(own.clone())) }
    }

    async fn idle(&self) {
        let max = Millis::try_from(IDLE_MAX.as_millis()).unwrap_or(Millis::MAX);
        loop {
            tokio::time::sleep(IDLE_MAX / 4).await;
            let since = self.server.clock.mono_ms() - self.last_call.load(Ordering::Relaxed);
            if since > max {
                return;
            }
        }
    }
}

impl<B: Behind> Executor for Service<B> {
    async fn hello(self, _: Context, hello: Hello) -> Result<Hello, Refused> {
        self.ours(&hello.cluster)?;
        if hello.protocol != PROTOCOL {
            return Err(Refused::Protocol(PROTOCOL));
        }
        self.greeted.store(true, Ordering::Relaxed);
        self.begin()?;
        Ok(self.server.own.clone())
    }

    async fn order(self, _: Context, call: OrderCall) -> Result<(), Refused> {
        self.begin()?;
        self.ours(&call.call.cluster)?;
        self.turn.take(call.call.leader.epoch)?;
        let result = self.server.behind.order(call).await;
        shared::crash::point("after-order-before-ack");
        result
    }

    async fn watch(self, _: Context, call: WatchCall) -> Result<WatchAnswer, Refused> {
        self.begin()?;
        self.ours(&call.call.cluster)?;
        let epoch = call.call.leader.epoch;
        self.turn.take(epoch)?;
        let answer = tokio::select! {
            answer = self.server.behind.watch(call) => answer?,
            () = self.turn.lost(epoch) => return Err(Refused::Superseded),
        };
        fitted(answer)
    }

    async fn read_log(self, _: Context, query: LogQuery) -> Result<Option<LogPart>, Refused> {
        self.begin()?;
        let max = query.max.min(LOG_PART_MAX);
        let mut part = self.server.behind.read_log(LogQuery { max, ..query }).await?;
        if let Some(part) = &mut part {
            part.bytes.truncate(max as usize);
            // The first ones tell of the first bytes; a reader who wants more asks further on.
            part.marks.truncate(shared::chunk::MARKS_MAX);
        }
        Ok(part)
    }

    async fn probe(self, _: Context, call: Call) -> Result<HostFacts, Refused> {
        self.begin()?;
        self.ours(&call.cluster)?;
        self.server.behind.probe().await
    }

    async fn browse(self, _: Context, ask: browse::Ask) -> Result<browse::Answer, Refused> {
        self.begin()?;
        Ok(self.server.behind.browse(ask).await)
    }

    async fn next_key(self, _: Context, call: Call) -> Result<String, Refused> {
        self.begin()?;
        self.ours(&call.cluster)?;
        refused(self.server.certificate.next_key())
    }

    async fn next_certificate(
        self,
        _: Context,
        call: Call,
        certificate: String,
    ) -> Result<(), Refused> {
        self.begin()?;
        self.ours(&call.cluster)?;
        let own = self.server.certificate.clone();
        let taken = shared::tasks::blocking(move || own.take(certificate)).await;
        refused(taken.and_then(|taken| taken))
    }
}

fn refused<T>(result: anyhow::Result<T>) -> Result<T, Refused> {
    result.map_err(|error| Refused::Certificate(format!("{error:#}")))
}

/// An answer that is too large would end the connection, and the next one would be as large. Only
/// words can make it so: a thousand attempts whose program is not there, each told at length.
fn fitted(mut answer: WatchAnswer) -> Result<WatchAnswer, Refused> {
    if size(&answer) <= FRAME_MAX - WRAPPING_MAX {
        return Ok(answer);
    }
    for report in &mut answer.listed {
        if let State::Refused(Refusal::CannotStart(words)) = &mut report.state {
            words.truncate(words.floor_char_boundary(WORDS_MAX));
        }
    }
    match size(&answer) {
        size if size <= FRAME_MAX - WRAPPING_MAX => Ok(answer),
        size => {
            let listed = answer.listed.len();
            tracing::error!("an answer of {size} bytes with {listed} attempts fits no frame");
            Err(Refused::Supervisor(format!("its answer of {size} bytes fits no frame")))
        }
    }
}

fn size(answer: &WatchAnswer) -> usize {
    shared::codec::encode(answer).map_or(usize::MAX, |bytes| bytes.len())
}

/// Who could not come in, and why: each told once in a while, so that a scan does not fill the log.
#[derive(Debug)]
struct Faults {
    clock: Clock,
    told: Mutex<HashMap<(IpAddr, String), Millis>>,
}

impl Faults {
    fn tell(&self, from: IpAddr, why: &str) {
        if self.is_news(from, why) {
            tracing::warn!("refused a connection from {from}: {why}");
        }
    }

    fn is_news(&self, from: IpAddr, why: &str) -> bool {
        let now = self.clock.mono_ms();
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        told.retain(|_, at| now - *at < QUIET_MS);
        let full = told.len() >= FAULTS_MAX;
        !full && told.insert((from, why.to_owned()), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_in_a_while_and_a_scan_fills_no_log() {
        let faults = Faults { clock: Clock::set_to(0), told: Mutex::default() };
        let peer = |last| IpAddr::from([10, 0, 0, last]);
        assert!(faults.is_news(peer(1), "no certificate"));
        assert!(!faults.is_news(peer(1), "no certificate"));
        assert!(faults.is_news(peer(1), "another cluster"));
        assert!(faults.is_news(peer(2), "no certificate"));
        faults.clock.advance(QUIET_MS);
        assert!(faults.is_news(peer(1), "no certificate"));
        let scan = (0..1_000).filter(|why| faults.is_news(peer(3), &why.to_string()));
        assert_eq!(scan.count(), FAULTS_MAX - 1);
    }
}
