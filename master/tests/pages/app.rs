//! A master's pages without a socket: an embedded database in a temporary folder, a clock that is
//! set, requests through `Router::oneshot`.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use master::app::{App, Parts};
use master::bus::Bus;
use master::config::Config;
use master::db::faulty::Faulty;
use master::db::{Db, migrate};
use master::leader::certs::Certs;
use master::leader::dial::{Caller, Dial, Inside};
use master::leader::status::LeaderStatus;
use master::logs::{Logs, on_host::OnHost};
use master::session::{Limits, Sessions};
use master::store::edit::Edit;
use master::store::user::{self, Rights};
use master::web;
use shared::address::Target;
use shared::clock::Clock;
use shared::ids::UserId;
use shared::pki::Authority;
use shared::rpc::ExecutorClient;
use shared::seal::Key;
use std::sync::Arc;
use tokio::sync::watch;
use tower::ServiceExt;

/// 2026-11-21T03:00Z, a Saturday; 11:00 in Shanghai.
pub const NOW: i64 = 1_795_230_000_000;
pub const PASSWORD: &str = "correct horse battery";

pub struct TestApp {
    pub app: App,
    pub clock: Clock,
    /// Counts the rows that are read.
    pub link: Faulty,
    router: Router,
    _data: tempfile::TempDir,
    /// What this master knows of leading.
    pub leader: watch::Sender<LeaderStatus>,
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn has(&self, part: &str) -> &Answer {
        assert!(self.text.contains(part), "{part:?} is not in\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn has_not(&self, part: &str) -> &Answer {
        assert!(!self.text.contains(part), "{part:?} is in\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn is(&self, status: u16) -> &Answer {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Client {
    cookie: String,
    bearer: String,
}

/// Pages need no machines.
struct NoHosts;

impl Inside for NoHosts {
    fn connect(&self, address: &str) -> anyhow::Result<(String, ExecutorClient)> {
        anyhow::bail!("nobody answers at {address}")
    }
}

impl TestApp {
    pub async fn new() -> TestApp {
        TestApp::with_hosts(Arc::new(NoHosts)).await
    }

    /// With executors in this process.
    pub async fn with_hosts(hosts: Arc<dyn Inside>) -> TestApp {
        TestApp::made(hosts, Sessions::memory).await
    }

    /// With sessions that live elsewhere.
    pub async fn with_sessions(sessions: impl FnOnce(Clock, Limits) -> Sessions) -> TestApp {
        TestApp::made(Arc::new(NoHosts), sessions).await
    }

    async fn made(
        hosts: Arc<dyn Inside>,
        sessions: impl FnOnce(Clock, Limits) -> Sessions,
    ) -> TestApp {
        // What a request logs is shown beside its failed test.
        let _ = tracing_subscriber::fmt().with_test_writer().with_ansi(false).try_init();
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::set_to(NOW);
        let config = Config { data: data.path().into(), ..Config::default() };
        let db = Db::open(Target::plain("database", &config.database_url()), clock.clone())
            .await
            .unwrap();
        migrate::run(&db).await.unwrap();
        let link = Faulty::new(db);
        let db = link.db();
        let limits = Limits { idle_ms: 3_600_000, age_ms: 86_400_000 };
        let (sender, leader) = watch::channel(LeaderStatus::default());
        let mut caller = Caller::new(Dial::Inside(hosts), &config.cluster, "test");
        let key = data.path().join("secret.key");
        let pki = data.path().join("pki");
        let authority = Authority::open(&pki, &key, &config.cluster, NOW).unwrap();
        let key = Key::read_or_make(&key).unwrap();
        let certs = Certs::new(authority, key, db.clone(), clock.clone());
        caller.certs = Some(Arc::new(certs));
        let logs = Logs::OnHost(OnHost::new(db.clone(), caller.clone(), clock.clone()));
        let app = App::new(Parts {
            config,
            clock: clock.clone(),
            db,
            sessions: sessions(clock.clone(), limits),
            bus: Bus::memory(),
            leader,
            logs,
            caller,
        })
        .unwrap();
        let router = web::router(app.clone());
        TestApp { app, clock, link, router, _data: data, leader: sender }
    }

    pub async fn user(&self, name: &str, rights: &str) -> UserId {
        let hash = web::login::hash_password(&self.app, PASSWORD.into()).await.unwrap();
        let edit = Edit::of_system(NOW);
        user::create(&self.app.db, name, &hash, Rights::parse(rights), &edit).await.unwrap()
    }

    /// Logged in by a session, without the cost of a password hash.
    pub async fn client(&self, name: &str, rights: &str) -> Client {
        let edit = Edit::of_system(NOW);
        let rights = Rights::parse(rights);
        let id = user::create(&self.app.db, name, "no hash", rights, &edit).await.unwrap();
        let session = self.app.sessions.create(id, "127.0.0.1", "test").await.unwrap();
        Client { cookie: format!("hcndc={session}; lang=en"), bearer: String::new() }
    }

    pub async fn admin(&self) -> Client {
        self.client("admin", "admin").await
    }

    pub async fn send(&self, client: &Client, mut request: Request<Body>) -> Answer {
        let headers = request.headers_mut();
        if !client.cookie.is_empty() {
            headers.append(header::COOKIE, client.cookie.parse().unwrap());
        }
        if !client.bearer.is_empty() {
            headers.insert(header::AUTHORIZATION, client.bearer.parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            // As people see it: escaping of slashes is no matter of a test.
            text: String::from_utf8_lossy(&bytes).replace("&#x2f;", "/"),
        }
    }

    pub async fn get(&self, client: &Client, path: &str) -> Answer {
        self.send(client, Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A stream of server-sent events: one text each.
    pub async fn stream(
        &self,
        client: &Client,
        path: &str,
    ) -> impl futures::Stream<Item = String> + Unpin + use<> {
        let request = Request::get(path).header(header::COOKIE, &client.cookie);
        let response =
            self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let parts = response.into_body().into_data_stream();
        Box::pin(futures::StreamExt::filter_map(parts, |part| async {
            Some(String::from_utf8_lossy(&part.ok()?).into_owned())
        }))
    }

    /// As a browser posts a form of our own page.
    pub async fn post(&self, client: &Client, path: &str, form: &[(&str, &str)]) -> Answer {
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(pairs.join("&")))
            .unwrap();
        self.send(client, request).await
    }

    pub async fn api(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: serde_json::Value,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(client, request).await
    }
}

impl Client {
    pub fn nobody() -> Client {
        Client::default()
    }

    pub fn in_chinese(&self) -> Client {
        Client { cookie: self.cookie.replace("lang=en", "lang=zh"), ..self.clone() }
    }

    /// With one more cookie.
    pub fn with(&self, name: &str, value: &str) -> Client {
        Client { cookie: format!("{}; {name}={value}", self.cookie), ..self.clone() }
    }

    pub fn with_token(token: &str) -> Client {
        Client { bearer: format!("Bearer {token}"), ..Client::default() }
    }

    pub fn with_cookie(cookie: &str) -> Client {
        Client { cookie: cookie.to_owned(), ..Client::default() }
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
