//! The leader's lines to real ports of executors, over TLS: they come back, and they are not fooled.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use executor::agent::own::Own;
use executor::agent::server::{Behind, Server, own_hello};
use futures::FutureExt;
use master::db::{Db, migrate};
use master::engine::catalog::{Catalog, Host};
use master::leader::certs::Certs;
use master::leader::dial::{self, Caller, Fault};
use master::leader::lines::{Ask, FromLine, Lines, Told};
use master::store::certificate;
use shared::address::Target;
use shared::clock::Clock;
use shared::ids::*;
use shared::pki::Authority;
use shared::seal::Key;
use shared::spec::HostSpec;
use shared::tls::{Credentials, Role};
use shared::wire::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

#[derive(Clone, Default)]
struct Fake {
    orders: Arc<AtomicUsize>,
}

impl Behind for Fake {
    async fn order(&self, call: OrderCall) -> Result<(), Refused> {
        self.orders.fetch_add(call.orders.len(), Ordering::SeqCst);
        Ok(())
    }

    async fn watch(&self, call: WatchCall) -> Result<WatchAnswer, Refused> {
        tokio::time::sleep(dial::duration(call.hold_ms)).await;
        let answer = Answer { incarnation: Incarnation(1), seq: 1 };
        let listed = Vec::new();
        Ok(WatchAnswer { answer, full: true, listed, ..WatchAnswer::default() })
    }

    async fn read_log(&self, _: LogQuery) -> Result<Option<LogPart>, Refused> {
        Ok(None)
    }

    async fn probe(&self) -> Result<HostFacts, Refused> {
        Ok(HostFacts::default())
    }

    async fn browse(&self, _: shared::etl::browse::Ask) -> shared::etl::browse::Answer {
        Err(shared::etl::browse::Unseen::NoFolders)
    }
}

/// One cluster: an authority, and its leader's lines.
struct Cluster {
    authority: Authority,
    lines: Lines,
    told: mpsc::Receiver<FromLine>,
    /// Certificates of its hosts.
    pki: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Cluster {
        let now = Clock::system().wall_ms();
        let (authority, _) = Authority::make("prod", now).unwrap();
        Cluster::of(authority, None)
    }

    fn of(authority: Authority, certs: Option<Arc<Certs>>) -> Cluster {
        let now = Clock::system().wall_ms();
        let own = authority.issue(Role::Master, "m1", now).unwrap().credentials().unwrap();
        let caller = Caller { certs, ..Caller::over_tls(&own).unwrap() };
        let (lines, told) = Lines::new(caller);
        Cluster { authority, lines, told, pki: tempfile::tempdir().unwrap() }
    }

    /// Opens the port of an agent; it closes when the sender is dropped.
    async fn host(&self, agent: &str, at: &str) -> (SocketAddr, Fake, oneshot::Sender<()>) {
        self.host_since(Clock::system().wall_ms(), agent, at).await
    }

    /// Its certificate was issued then.
    async fn host_since(
        &self,
        issued: Millis,
        agent: &str,
        at: &str,
    ) -> (SocketAddr, Fake, oneshot::Sender<()>) {
        let pki = self.pki.path().join(agent);
        self.authority.issue(Role::Host, agent, issued).unwrap().write(&pki).unwrap();
        let certificate = Arc::new(Own::read(&pki).unwrap());
        let behind = Fake::default();
        let server = Server {
            own: own_hello(certificate.identity()),
            certificate,
            behind: behind.clone(),
            clock: Clock::system(),
        };
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        shared::tasks::spawn("port", async move {
            server.run(listener, async { _ = stopped.await }).await;
        });
        (address, behind, stop)
    }

    async fn told(&mut self) -> FromLine {
        tokio::time::timeout(Duration::from_secs(5), self.told.recv()).await.unwrap().unwrap()
    }

    /// Skips what does not match.
    async fn until(&mut self, wanted: impl Fn(&FromLine) -> bool) -> FromLine {
        loop {
            let told = self.told().await;
            if wanted(&told) {
                return told;
            }
        }
    }
}

fn catalog(hosts: &[(i64, SocketAddr, &str)]) -> Catalog {
    let mut catalog = Catalog::default();
    for (id, address, agent) in hosts {
        let spec = serde_json::json!({ "address": address.to_string() });
        let host = Host {
            id: HostId(*id),
            project: ProjectId(0),
            name: format!("h{id}"),
            agent: (*agent).into(),
            version: 1,
            spec: serde_json::from_value::<HostSpec>(spec).unwrap(),
        };
        catalog.hosts.insert(HostId(*id), Arc::new(host));
    }
    catalog
}

fn call() -> Call {
    Call { cluster: "prod".into(), leader: Reigning { epoch: 1, holder: 1 } }
}

fn kills(count: u32) -> OrderCall {
    let kill = |number| Order::Kill {
        attempt: AttemptId { run: RunId(1), job: JobId(1), number, reign: 1 },
        incarnation: Incarnation(1),
        grace_ms: 0,
    };
    OrderCall { call: call(), stored: None, orders: (0..count).map(kill).collect() }
}

fn is_up(told: &FromLine) -> bool {
    matches!(told.told, Told::Up { .. })
}

#[tokio::test]
async fn a_line_comes_back_when_its_host_does() {
    let mut cluster = Cluster::new();
    let (address, fake, stop) = cluster.host("a", "127.0.0.1:0").await;
    cluster.lines.follow(&catalog(&[(1, address, "")]));
    let first = cluster.until(is_up).await;
    assert!(matches!(&first.told, Told::Up { agent } if agent == "a"));
    // More orders than one call holds.
    cluster.lines.ask(HostId(1), 7, Ask::Order(kills(450))).unwrap();
    let done = cluster.told().await;
    assert!(matches!(done.told, Told::Ordered { number: 7, result: Ok(()) }), "{done:?}");
    assert_eq!(fake.orders.load(Ordering::SeqCst), 450);

    drop(stop);
    let watch = WatchCall { call: call(), after: None, stored: None, hold_ms: 3_000 };
    let asked = cluster.lines.ask(HostId(1), 8, Ask::Watch(watch));
    if asked.is_ok() {
        let lost = cluster.until(|told| matches!(told.told, Told::Watched { .. })).await;
        assert!(matches!(lost.told, Told::Watched { number: 8, result: Err(Fault::Broken(_)) }));
    }
    // While nobody is there, calls are answered at once.
    let down = cluster.until(|told| matches!(told.told, Told::Down { .. })).await;
    assert!(matches!(down.told, Told::Down { refused: false, .. }));
    cluster.lines.ask(HostId(1), 9, Ask::Order(kills(1))).unwrap();
    let lost = cluster.until(|told| matches!(told.told, Told::Ordered { .. })).await;
    assert!(matches!(lost.told, Told::Ordered { number: 9, result: Err(Fault::Broken(_)) }));

    let (again, _, _stop) = cluster.host("a", &address.to_string()).await;
    assert_eq!(again, address);
    let second = cluster.until(is_up).await;
    assert!(second.connection > first.connection);
}

#[tokio::test]
async fn two_rows_for_one_agent_are_refused_loudly() {
    let mut cluster = Cluster::new();
    let (one, _, _stop) = cluster.host("a", "127.0.0.1:0").await;
    // The same certificate at a second address: a machine that was copied.
    let (two, _, _stop2) = cluster.host("a", "127.0.0.1:0").await;
    cluster.lines.follow(&catalog(&[(1, one, "a")]));
    cluster.until(is_up).await;
    cluster.lines.follow(&catalog(&[(1, one, "a"), (2, one, ""), (3, two, "")]));
    for _ in 0..2 {
        let refused =
            cluster.until(|told| matches!(told.told, Told::Down { refused: true, .. })).await;
        assert_ne!(refused.host, HostId(1));
        let Told::Down { why, .. } = &refused.told else { unreachable!() };
        assert!(why.contains("host 1 already"), "{why}");
    }
    // The first one gone, the second may have it.
    cluster.lines.follow(&catalog(&[(2, one, "")]));
    assert_eq!(cluster.until(is_up).await.host, HostId(2));
}

#[tokio::test]
async fn another_agent_than_the_rows_is_refused() {
    let mut cluster = Cluster::new();
    let (address, _, _stop) = cluster.host("b", "127.0.0.1:0").await;
    cluster.lines.follow(&catalog(&[(1, address, "a")]));
    let told = cluster.told().await;
    let Told::Down { why, refused: true } = &told.told else { panic!("{told:?}") };
    assert!(why.contains("host 1 is agent \"a\""), "{why}");
}

#[tokio::test]
async fn the_test_button_says_who_is_there_and_why_not() {
    let cluster = Cluster::new();
    let (address, _, stop) = cluster.host("a", "127.0.0.1:0").await;
    let now = Clock::system().wall_ms();
    let own = cluster.authority.issue(Role::Master, "m2", now).unwrap();
    let caller = Caller::over_tls(&own.credentials().unwrap()).unwrap();
    let (agent, facts) = caller.probe(&address.to_string()).await.unwrap();
    assert_eq!((agent.as_str(), facts), ("a", HostFacts::default()));
    // Another protocol than ours is told in words.
    let mut newer = caller.clone();
    newer.hello.protocol += 1;
    let why = newer.probe(&address.to_string()).await.unwrap_err().to_string();
    assert!(why.contains("protocol"), "{why}");
    // A certificate that the host does not believe.
    let (foreign, _) = Authority::make("prod", now).unwrap();
    let mut own = foreign.issue(Role::Master, "m2", now).unwrap();
    own.signed.authority_pem.clone_from(&cluster.authority.pem);
    let foreign = Caller::over_tls(&own.credentials().unwrap()).unwrap();
    let why = foreign.probe(&address.to_string()).await.unwrap_err().to_string();
    assert!(why.contains("certificate"), "{why}");
    drop(stop);
}

const DAY: Millis = 24 * 3_600_000;

#[tokio::test]
async fn a_certificate_that_runs_out_is_exchanged_and_a_denied_one_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let now = Clock::system().wall_ms();
    let (pki, key) = (dir.path().join("pki"), dir.path().join("secret.key"));
    let open = || Authority::open(&pki, &key, "prod", now).unwrap();
    let clock = Clock::set_to(now);
    let url = format!("sqlite:{}", dir.path().join("db").display());
    let db = Db::open(Target::plain("database", &url), clock.clone()).await.unwrap();
    migrate::run(&db).await.unwrap();
    let sealing = Key::read_or_make(&key).unwrap();
    let certs = Arc::new(Certs::new(open(), sealing, db.clone(), clock.clone()));
    let mut cluster = Cluster::of(open(), Some(certs.clone()));
    // 70 of 90 days are over.
    let (at, _, _stop) = cluster.host_since(now - 70 * DAY, "a1", "127.0.0.1:0").await;
    let old = Credentials::read(&cluster.pki.path().join("a1")).unwrap().facts;
    cluster.lines.follow(&catalog(&[(1, at, "a1")]));
    cluster.until(is_up).await;
    cluster.until(|told| matches!(told.told, Told::Down { .. })).await;
    cluster.until(is_up).await;
    let new = Credentials::read(&cluster.pki.path().join("a1")).unwrap().facts;
    assert_ne!(new.serial, old.serial);
    assert!(new.expires_ms > now + 89 * DAY, "for 90 days again");
    assert_eq!(certificate::good(&db, "a1", now).await.unwrap(), 1, "recorded: it can be denied");
    certs.check(&new).await.unwrap();
    loop {
        clock.advance(5_000);
        let mut asking = Box::pin(certs.check(&new));
        // The database may have answered before we look.
        if futures::poll!(&mut asking).is_pending() {
            let meanwhile = certs.check(&new).now_or_never();
            meanwhile.expect("who comes meanwhile goes by the list before").unwrap();
            asking.await.unwrap();
            break;
        }
    }
    db.commit(vec![certificate::deny("a1", now)]).await.unwrap();
    clock.advance(5_000);
    let told = certs.check(&new).await.unwrap_err().to_string();
    assert!(told.contains("denied"), "{told}");
    assert!(certs.check(&old).await.is_ok(), "nobody has denied what nobody has recorded");
    // Denied, it is not exchanged for a good one.
    let next = open().issue(Role::Host, "a1", now).unwrap().signed;
    db.commit([certificate::renewed(&(&next).into(), &new.serial)]).await.unwrap();
    assert!(!certificate::good_serial(&db, &next.serial).await.unwrap());
    db.commit([certificate::renewed(&(&next).into(), &old.serial)]).await.unwrap();
    assert!(certificate::good_serial(&db, &next.serial).await.unwrap());
}
