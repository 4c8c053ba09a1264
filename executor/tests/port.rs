//! The executor's port from outside: who comes in, what the limits are, who takes over.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use executor::agent::own::Own;
use executor::agent::server::{Behind, Server, own_hello};
use shared::clock::Clock;
use shared::ids::*;
use shared::pki::Authority;
use shared::rpc::{self, ExecutorClient, within};
use shared::tls::{Acceptor, Connector, Credentials, Role};
use shared::wire::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const SECOND: Duration = Duration::from_secs(1);

/// Counts what reaches it.
#[derive(Clone, Default)]
struct Fake {
    orders: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    open_most: Arc<AtomicUsize>,
}

impl Behind for Fake {
    async fn order(&self, call: OrderCall) -> Result<(), Refused> {
        if call.call.leader.epoch < 5 {
            return Err(Refused::Reign(Reigning { epoch: 5, holder: 1 }));
        }
        self.orders.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn watch(&self, call: WatchCall) -> Result<WatchAnswer, Refused> {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.open_most.fetch_max(open, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(u64::try_from(call.hold_ms).unwrap())).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
        // A hold of 7 ms asks for an answer that no frame holds.
        let listed = if call.hold_ms == 7 { vec![long_report(); LISTED_MAX] } else { Vec::new() };
        Ok(WatchAnswer {
            answer: Answer { incarnation: Incarnation(1), seq: 1 },
            full: true,
            listed,
            ..WatchAnswer::default()
        })
    }

    async fn read_log(&self, query: LogQuery) -> Result<Option<LogPart>, Refused> {
        let mark = Mark { at_ms: i64::MAX, out_len: u64::MAX, err_len: u64::MAX };
        let (bytes, marks) = (vec![0xff; 1_000_000], vec![mark; 100_000]);
        Ok(Some(LogPart { from: query.from, bytes, len: 1_000_000, marks, ..LogPart::default() }))
    }

    async fn probe(&self) -> Result<HostFacts, Refused> {
        Ok(HostFacts { hostname: "fake".into(), ..HostFacts::default() })
    }

    async fn browse(&self, _: shared::etl::browse::Ask) -> shared::etl::browse::Answer {
        Err(shared::etl::browse::Unseen::NoFolders)
    }
}

fn long_report() -> Report {
    Report {
        attempt: attempt(),
        state: State::Refused(Refusal::CannotStart("x".repeat(1_000))),
        started_ms: None,
        ended_ms: None,
        out_bytes: 0,
        err_bytes: 0,
        rss_max_kib: None,
        cpu_ms: None,
    }
}

fn attempt() -> AttemptId {
    AttemptId { run: RunId(1), job: JobId(1), number: 1, reign: 1 }
}

fn query(max: u32) -> LogQuery {
    LogQuery { attempt: attempt(), stream: Stream::Out, from: 0, max }
}

struct Port {
    authority: Authority,
    address: SocketAddr,
    behind: Fake,
    pki: tempfile::TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

fn now() -> Millis {
    Clock::system().wall_ms()
}

fn authority(cluster: &str) -> Authority {
    Authority::make(cluster, now()).unwrap().0
}

fn credentials(authority: &Authority, role: Role) -> Credentials {
    authority.issue(role, "x1", now()).unwrap().credentials().unwrap()
}

impl Port {
    async fn open() -> Port {
        let authority = authority("prod");
        let pki = tempfile::tempdir().unwrap();
        authority.issue(Role::Host, "x1", now()).unwrap().write(pki.path()).unwrap();
        let certificate = Arc::new(Own::read(pki.path()).unwrap());
        let server = Server {
            own: own_hello(certificate.identity()),
            certificate,
            behind: Fake::default(),
            clock: Clock::system(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), server.behind.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        shared::tasks::spawn("port", async move {
            server.run(listener, async { _ = stopped.await }).await;
        });
        Port { authority, address, behind, pki, _stop: stop }
    }

    /// Connected, and not yet greeted.
    async fn connect(&self) -> ExecutorClient {
        let own = credentials(&self.authority, Role::Master);
        let connector = Connector::new(&own).unwrap();
        let (tls, peer) = connector.connect(&self.address.to_string()).await.unwrap();
        assert_eq!(peer.identity.to_string(), "hcndc://prod/host/x1");
        rpc::connect(tls)
    }

    async fn greeted(&self) -> ExecutorClient {
        let client = self.connect().await;
        assert_eq!(client.hello(within(SECOND), hello()).await.unwrap().unwrap().agent, "x1");
        client
    }

    /// The handshake of these credentials fails, or the first call does; nothing reaches the host.
    async fn refuses(&self, own: &Credentials) {
        let connector = Connector::new(own).unwrap();
        if let Ok((tls, _)) = connector.connect(&self.address.to_string()).await {
            let client = rpc::connect(tls);
            assert!(client.hello(within(SECOND), hello()).await.is_err());
            assert!(client.order(within(SECOND), orders(9)).await.is_err());
        }
        assert_eq!(self.behind.orders.load(Ordering::SeqCst), 0);
    }
}

fn hello() -> Hello {
    Hello { protocol: PROTOCOL, cluster: "prod".into(), version: "t".into(), agent: "m".into() }
}

fn call(epoch: i64) -> Call {
    Call { cluster: "prod".into(), leader: Reigning { epoch, holder: 1 } }
}

fn orders(epoch: i64) -> OrderCall {
    OrderCall { call: call(epoch), stored: None, orders: Vec::new() }
}

fn watching(epoch: i64, hold_ms: Millis) -> WatchCall {
    WatchCall { call: call(epoch), after: None, stored: None, hold_ms }
}

#[tokio::test]
async fn foreign_and_missing_certificates_come_to_nothing() {
    let port = Port::open().await;
    // Another authority, of the same name and of another.
    port.refuses(&credentials(&authority("prod"), Role::Master)).await;
    port.refuses(&credentials(&authority("other"), Role::Master)).await;
    // A host's certificate, used as a master's.
    port.refuses(&credentials(&port.authority, Role::Host)).await;
    // No certificate at all: whoever may listen, he is not let in.
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(port.address).await.unwrap();
    assert!(tls.connect("hcndc.internal".try_into().unwrap(), stream).await.is_err());
    // Garbage.
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[0; 4_096]).await.unwrap();
    // And he who belongs here still comes in.
    port.greeted().await;
}

#[tokio::test]
async fn a_master_does_not_talk_to_a_foreign_host() {
    let port = Port::open().await;
    let own = credentials(&authority("prod"), Role::Master);
    let error = Connector::new(&own).unwrap().connect(&port.address.to_string()).await;
    assert!(error.is_err());
    // Nor is a master a host: it cannot even open a port.
    assert!(Acceptor::new(&own).is_err());
}

#[tokio::test]
async fn hello_comes_first_and_must_fit() {
    let port = Port::open().await;
    let client = port.connect().await;
    let early = client.order(within(SECOND), orders(9)).await.unwrap();
    assert_eq!(early, Err(Refused::HelloFirst));
    let other = Hello { protocol: PROTOCOL + 1, ..hello() };
    let told = client.hello(within(SECOND), other).await.unwrap();
    assert_eq!(told, Err(Refused::Protocol(PROTOCOL)));
    let other = Hello { cluster: "other".into(), ..hello() };
    let told = client.hello(within(SECOND), other).await.unwrap();
    assert_eq!(told, Err(Refused::Cluster("prod".into())));
    let early = client.probe(within(SECOND), call(9)).await.unwrap();
    assert_eq!(early, Err(Refused::HelloFirst));
    assert_eq!(port.behind.orders.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_newest_connection_takes_over() {
    let port = Port::open().await;
    let (old, new) = (port.greeted().await, port.greeted().await);
    assert_eq!(old.order(within(SECOND), orders(9)).await.unwrap(), Ok(()));
    let waiting = {
        let old = old.clone();
        async move { old.watch(within(10 * SECOND), watching(9, 8_000)).await.unwrap() }
    };
    let take = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        // Neither of these takes anything over.
        assert!(new.probe(within(SECOND), call(9)).await.unwrap().is_ok());
        assert!(new.read_log(within(SECOND), query(9)).await.unwrap().is_ok());
        assert_eq!(port.behind.open.load(Ordering::SeqCst), 1);
        // An older reign is refused by its number, and takes nothing over either.
        let told = new.order(within(SECOND), orders(4)).await.unwrap();
        assert!(matches!(told, Err(Refused::Reign(_))));
        assert_eq!(port.behind.open.load(Ordering::SeqCst), 1);
        assert_eq!(new.order(within(SECOND), orders(9)).await.unwrap(), Ok(()));
    };
    let (waited, ()) = tokio::time::timeout(2 * SECOND, async { tokio::join!(waiting, take) })
        .await
        .expect("the old watch ends at once");
    assert_eq!(waited, Err(Refused::Superseded));
    assert_eq!(old.order(within(SECOND), orders(9)).await.unwrap(), Err(Refused::Superseded));
    // A newer reign may take over on whatever connection it has.
    assert_eq!(old.order(within(SECOND), orders(10)).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn frames_have_a_limit_that_ends_no_connection() {
    let port = Port::open().await;
    let client = port.greeted().await;
    // A request that is too large fails alone.
    let mut large = orders(9);
    large.call.cluster = "x".repeat(FRAME_MAX);
    assert!(client.order(within(SECOND), large).await.is_err());
    // An answer that would be too large loses words, not attempts; output is cut to what fits.
    let told = client.watch(within(SECOND), watching(9, 7)).await.unwrap().unwrap();
    assert_eq!(told.listed.len(), LISTED_MAX);
    let short = Refusal::CannotStart("x".repeat(60));
    assert!(told.listed.iter().all(|report| report.state == State::Refused(short.clone())));
    let part = client.read_log(within(SECOND), query(u32::MAX)).await;
    let part = part.unwrap().unwrap().unwrap();
    assert_eq!(part.bytes.len(), 128 * 1024);
    assert!(client.probe(within(SECOND), call(9)).await.unwrap().is_ok());
}

#[tokio::test]
async fn calls_in_flight_have_a_limit_and_wait_their_turn() {
    let port = Port::open().await;
    let client = port.greeted().await;
    let calls = (0..80).map(|_| client.watch(within(10 * SECOND), watching(9, 30)));
    let told = futures::future::join_all(calls).await;
    assert!(told.into_iter().all(|told| told.unwrap().is_ok()));
    assert_eq!(port.behind.open_most.load(Ordering::SeqCst), rpc::IN_FLIGHT_MAX);
}

/// Who the host says it is to a new connection, by its certificate's number.
async fn shown(port: &Port) -> String {
    let own = credentials(&port.authority, Role::Master);
    let connector = Connector::new(&own).unwrap();
    connector.connect(&port.address.to_string()).await.unwrap().1.serial
}

#[tokio::test]
async fn a_host_exchanges_its_certificate_while_calls_go_on() {
    let port = Port::open().await;
    let before = shown(&port).await;
    let client = port.greeted().await;
    let request = client.next_key(within(SECOND), call(5)).await.unwrap().unwrap();
    let signed = port.authority.sign(&request, Role::Host, "x1", now()).unwrap();
    let told =
        client.next_certificate(within(SECOND), call(5), signed.certificate_pem.clone()).await;
    told.unwrap().unwrap();
    assert!(
        client.probe(within(SECOND), call(5)).await.unwrap().is_ok(),
        "the connection lives on"
    );
    let after = shown(&port).await;
    assert_eq!(after, signed.serial);
    assert_ne!(after, before);
    let kept = Credentials::read(port.pki.path()).unwrap();
    assert_eq!(kept.facts.serial, signed.serial, "the next agent has it too");
    // A second time, with nothing asked for; of another key; for another host.
    let twice = client.next_certificate(within(SECOND), call(5), signed.certificate_pem).await;
    assert!(matches!(twice.unwrap(), Err(Refused::Certificate(_))));
    for (agent, key) in [("x1", shared::pki::Request::make().unwrap().pem), ("x2", String::new())] {
        let own = client.next_key(within(SECOND), call(5)).await.unwrap().unwrap();
        let request = if key.is_empty() { own } else { key };
        let signed = port.authority.sign(&request, Role::Host, agent, now()).unwrap();
        let told = client.next_certificate(within(SECOND), call(5), signed.certificate_pem).await;
        assert!(matches!(told.unwrap(), Err(Refused::Certificate(_))), "{agent}");
    }
    assert_eq!(shown(&port).await, after, "what is wrong changes nothing");
}
