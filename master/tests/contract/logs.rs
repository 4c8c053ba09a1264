//! The log store: bytes as they are, found by offset, told apart by stream.
//!
//! An adapter is one [`Store`] in [`every_store`].

use crate::logs_mongo::InMongo;
use crate::sqlite;
use futures::future::BoxFuture;
use master::db::{Db, params, sql};
use master::leader::dial::{Caller, Dial, Inside};
use master::logs::on_host::OnHost;
use master::logs::{Error, Logs};
use shared::clock::Clock;
use shared::etl::browse;
use shared::ids::*;
use shared::rpc::{self, Executor, ExecutorClient};
use shared::wire::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tarpc::context::Context;

/// A store with what was put into it, as an adapter keeps it.
pub(crate) trait Store {
    fn logs(&self) -> &Logs;
    /// All that this attempt has written so far.
    fn put<'a>(
        &'a self,
        attempt: AttemptId,
        stream: Stream,
        bytes: &'a [u8],
        ended: bool,
    ) -> BoxFuture<'a, ()>;
    /// Nobody answers, until it is back.
    fn away(&self, away: bool);
}

async fn every_store(check: impl AsyncFn(&dyn Store)) {
    check(&OnHosts::new().await).await;
    let store = InMongo::new().await;
    check(&store).await;
    store.clear().await;
}

// ---- embedded: output stays on its host ----

pub(crate) struct OnHosts {
    pub(crate) logs: Logs,
    pub(crate) hosts: OnHost,
    pub(crate) db: Db,
    host: OneHost,
    _fresh: crate::Fresh,
}

type Output = (Vec<u8>, bool);

#[derive(Clone, Default)]
struct OneHost(Arc<Inner>);

#[derive(Default)]
struct Inner {
    output: Mutex<HashMap<(AttemptId, Stream), Output>>,
    away: AtomicBool,
    connections: AtomicUsize,
    links: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

/// Bytes that this host gives at a time: less than it is asked for.
const PIECE: usize = 1_000;

impl OnHosts {
    pub(crate) async fn new() -> OnHosts {
        let fresh = sqlite().await;
        let db = fresh.db.clone();
        let host = "INSERT INTO host (id, project_id, name, agent, spec, version, updated_ms,
            updated_by) VALUES (1, 0, 'h1', 'a1', '{\"address\":\"h1:1\"}', 1, 0, 0)";
        let attempt = "INSERT INTO attempt (run_id, job_id, number, reign, project_id, host_id,
            incarnation, basis_seq, mark, assigned_ms, out_bytes, err_bytes)
            VALUES (?, 1, ?, 1, 1, 1, '', 0, 'plain', 0, 0, 0)";
        let mut batch = vec![sql(host, params![])];
        batch.extend((1..=2).map(|number| sql(attempt, params![RunId(1), number])));
        db.commit(batch).await.unwrap();
        let host = OneHost::default();
        let caller = Caller::new(Dial::Inside(Arc::new(host.clone())), "test", "m1");
        let hosts = OnHost::new(db.clone(), caller, Clock::system());
        let logs = Logs::OnHost(hosts.clone());
        OnHosts { logs, hosts, db, host, _fresh: fresh }
    }
}

impl Store for OnHosts {
    fn logs(&self) -> &Logs {
        &self.logs
    }

    fn put<'a>(
        &'a self,
        attempt: AttemptId,
        stream: Stream,
        bytes: &'a [u8],
        ended: bool,
    ) -> BoxFuture<'a, ()> {
        let mut output = self.host.0.output.lock().unwrap();
        output.insert((attempt, stream), (bytes.to_vec(), ended));
        Box::pin(async {})
    }

    fn away(&self, away: bool) {
        self.host.0.away.store(away, Ordering::Relaxed);
        if away {
            self.host.0.links.lock().unwrap().drain(..).for_each(|link| link.abort());
        }
    }
}

impl Inside for OneHost {
    fn connect(&self, address: &str) -> anyhow::Result<(String, ExecutorClient)> {
        anyhow::ensure!(!self.0.away.load(Ordering::Relaxed), "nobody answers at {address}");
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        let (near, far) = tokio::io::duplex(64 * 1024);
        let link = shared::tasks::spawn("a host of a test", rpc::serve(far, self.clone()));
        self.0.links.lock().unwrap().push(link);
        Ok(("a1".into(), rpc::connect(near)))
    }
}

impl Executor for OneHost {
    async fn hello(self, _: Context, hello: Hello) -> Result<Hello, Refused> {
        Ok(hello)
    }

    async fn order(self, _: Context, _: OrderCall) -> Result<(), Refused> {
        Err(Refused::Role)
    }

    async fn watch(self, _: Context, _: WatchCall) -> Result<WatchAnswer, Refused> {
        Err(Refused::Role)
    }

    async fn read_log(self, _: Context, query: LogQuery) -> Result<Option<LogPart>, Refused> {
        let output = self.0.output.lock().unwrap();
        let Some((bytes, ended)) = output.get(&(query.attempt, query.stream)) else {
            return Ok(None);
        };
        let len = bytes.len() as u64;
        let from = query.from.min(len);
        let rest = &bytes[usize::try_from(from).unwrap()..];
        let part = &rest[..rest.len().min(query.max as usize).min(PIECE)];
        let (bytes, ended) = (part.to_vec(), *ended);
        Ok(Some(LogPart { from, bytes, len, ended, ..LogPart::default() }))
    }

    async fn probe(self, _: Context, _: Call) -> Result<HostFacts, Refused> {
        Err(Refused::Role)
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

// ---- what each must do ----

pub(crate) fn attempt(number: u32) -> AttemptId {
    AttemptId { run: RunId(1), job: JobId(1), number, reign: 1 }
}

/// To its end, part by part, as a page reads.
async fn whole(logs: &Logs, attempt: AttemptId, stream: Stream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let part = logs.read(attempt, stream, all.len() as u64, 700).await.unwrap();
        assert_eq!(part.from, all.len() as u64);
        assert!(part.bytes.len() <= 700);
        all.extend_from_slice(&part.bytes);
        if all.len() as u64 == part.len {
            return all;
        }
        assert!(!part.bytes.is_empty(), "it goes on");
    }
}

#[tokio::test]
async fn bytes_come_back_as_they_were_written() {
    every_store(async |store| {
        let odd: Vec<u8> = (0..5_000_u32).map(|at| u8::try_from(at % 256).unwrap()).collect();
        store.put(attempt(1), Stream::Out, &odd, false).await;
        store.put(attempt(1), Stream::Err, b"\xff\x00err", false).await;
        assert_eq!(whole(store.logs(), attempt(1), Stream::Out).await, odd);
        assert_eq!(whole(store.logs(), attempt(1), Stream::Err).await, b"\xff\x00err");
        // What is written meanwhile is behind it.
        let grown = [&odd[..], b"more"].concat();
        store.put(attempt(1), Stream::Out, &grown, true).await;
        let part = store.logs().read(attempt(1), Stream::Out, 5_000, 100).await.unwrap();
        assert_eq!((part.bytes.as_slice(), part.len, part.ended), (&b"more"[..], 5_004, true));
    })
    .await;
}

#[tokio::test]
async fn the_tail_is_the_last_bytes_and_beyond_the_end_is_nothing() {
    every_store(async |store| {
        store.put(attempt(1), Stream::Out, b"0123456789", false).await;
        let tail = store.logs().tail(attempt(1), Stream::Out, 4).await.unwrap();
        assert_eq!((tail.from, tail.bytes.as_slice()), (6, &b"6789"[..]));
        let all = store.logs().tail(attempt(1), Stream::Out, 400).await.unwrap();
        assert_eq!((all.from, all.bytes.as_slice()), (0, &b"0123456789"[..]));
        let none = store.logs().read(attempt(1), Stream::Out, 99, 4).await.unwrap();
        assert_eq!((none.bytes.len(), none.len, none.ended), (0, 10, false));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_said_and_who_is_away_comes_back() {
    every_store(async |store| {
        let read = async |number| store.logs().read(attempt(number), Stream::Out, 0, 9).await;
        assert_eq!(read(9).await.unwrap_err(), Error::NoAttempt);
        assert!(matches!(read(2).await, Err(Error::NoOutput { .. })));
        store.put(attempt(1), Stream::Out, b"x", true).await;
        assert_eq!(read(1).await.unwrap().bytes, b"x");
        store.away(true);
        assert!(matches!(read(1).await, Err(Error::Away { .. })));
        store.away(false);
        assert_eq!(read(1).await.unwrap().bytes, b"x");
    })
    .await;
}

#[tokio::test]
async fn many_questions_share_a_connection() {
    let store = OnHosts::new().await;
    store.put(attempt(1), Stream::Out, b"x", true).await;
    for _ in 0..20 {
        store.logs.read(attempt(1), Stream::Out, 0, 9).await.unwrap();
    }
    assert_eq!(store.host.0.connections.load(Ordering::Relaxed), 1);
}
