//! The log store in MongoDB: written by the agent's own code, read by the master's.

use crate::logs::{OnHosts, Store, attempt};
use crate::proxy::{Link, Proxy};
use crate::server::{cluster, free_port, url};
use executor::agent::ship::store as ship;
use executor::spool::chunks::{Lengths, decide, make};
use executor::spool::output::{Holes, Marker, create, write_holes};
use executor::spool::plan::Plan;
use executor::spool::{Layout, output};
use futures::future::BoxFuture;
use master::db::{params, sql};
use master::logs::archive::Archive;
use master::logs::archived::Archived;
use master::logs::{Logs, PART_MAX, Seek};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use shared::address::Target;
use shared::chunk::{Chunk, ChunkId, collection};
use shared::clock::Clock;
use shared::ids::*;
use shared::wire::{Hello, Stream};
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};

const VARIABLE: &str = "HCNDC_TEST_MONGO";

/// The master reads over a way that can be cut; the host itself has no output any more.
pub(crate) struct InMongo {
    logs: Logs,
    hosts: OnHosts,
    proxy: Proxy,
    store: ship::Store,
    cluster: String,
    dir: tempfile::TempDir,
    /// The time of what is written next.
    at: AtomicI64,
}

impl InMongo {
    pub(crate) async fn new() -> InMongo {
        let hosts = OnHosts::new().await;
        let cluster = cluster();
        let real = url(VARIABLE);
        let server = real.trim_start_matches("mongodb://").split('/').next().unwrap();
        let port = server.rsplit(':').next().unwrap().parse().unwrap();
        let proxy = Proxy::to(port, free_port());
        let cut = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port);
        let archive = Archive::open(Target::plain("logs", &cut), &cluster).await.unwrap();
        let logs = Logs::Archived(Archived::new(hosts.hosts.clone(), archive, Clock::system()));
        let own = Hello {
            protocol: 1,
            cluster: cluster.clone(),
            version: String::new(),
            agent: "a1".into(),
        };
        let store = ship::Store::open(Target::plain("logs", &real), &own).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        InMongo { logs, hosts, proxy, store, cluster, dir, at: AtomicI64::new(1_000) }
    }

    fn layout(&self) -> Layout {
        Layout::make(self.dir.path()).unwrap()
    }

    /// Writes what is new, as a job does, and the supervisor its mark.
    fn write(&self, attempt: AttemptId, stream: Stream, all: &[u8]) -> Lengths {
        let base = self.layout().output_of(attempt);
        let (mut out, mut err) = create(&base).unwrap();
        let before = Lengths::at_end(&base).unwrap();
        let news = &all[usize::try_from(before.of(stream)).unwrap()..];
        match stream {
            Stream::Out => out.write_all(news).unwrap(),
            Stream::Err => err.write_all(news).unwrap(),
        }
        let lengths = Lengths::at_end(&base).unwrap();
        let mut marker = Marker::new(base);
        let at = self.at.fetch_add(100, Ordering::Relaxed);
        marker.note(at, (lengths.out, lengths.err)).unwrap();
        lengths
    }

    /// All that is not there yet.
    async fn ship(&self, attempt: AttemptId, lengths: Lengths) -> Vec<Chunk> {
        let base = self.layout().output_of(attempt);
        let mut plan = Plan::read(&base).unwrap();
        let cuts = decide(&base, &plan, lengths, (usize::MAX, 10_000)).unwrap();
        plan.decide(&cuts).unwrap();
        let end = (plan.planned(Stream::Out).bytes, plan.planned(Stream::Err).bytes);
        let one = |cut| make(&base, (attempt, "a1"), cut, end).unwrap();
        let chunks: Vec<Chunk> = plan.pending().map(one).collect();
        if !chunks.is_empty() {
            let missing = self.store.insert(&chunks).await.unwrap();
            let more: Vec<_> = missing.iter().map(|missing| missing.cut).collect();
            plan.decide(&more).unwrap();
            plan.stored(chunks.len()).unwrap();
        }
        chunks
    }

    async fn put_at_once(&self, all: &[u8]) -> Vec<Chunk> {
        let lengths = self.write(attempt(1), Stream::Out, all);
        self.ship(attempt(1), Lengths { ended: false, ..lengths }).await
    }

    async fn chunks(&self) -> Collection<Document> {
        let client = Client::with_uri_str(url(VARIABLE)).await.unwrap();
        client.database("hcndc").collection(&collection(&self.cluster))
    }

    /// They are made beside the first batch, which does not wait for them.
    async fn indexed(&self) {
        while self.chunks().await.list_index_names().await.unwrap().len() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn clear(&self) {
        self.chunks().await.drop().await.unwrap();
    }
}

impl Store for InMongo {
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
        Box::pin(async move {
            let lengths = self.write(attempt, stream, bytes);
            self.ship(attempt, Lengths { ended, ..lengths }).await;
        })
    }

    fn away(&self, away: bool) {
        self.proxy.set(if away { Link::Cut } else { Link::Whole });
        self.hosts.away(away);
    }
}

async fn whole(store: &InMongo) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let from = all.len() as u64;
        let part = store.logs.read(attempt(1), Stream::Out, from, PART_MAX).await.unwrap();
        assert_eq!(part.from, from, "nothing is missing");
        if part.bytes.is_empty() {
            return all;
        }
        all.extend(part.bytes);
    }
}

fn text(count: u32) -> Vec<u8> {
    (0..count).flat_map(|line| format!("line {line}\n").into_bytes()).collect()
}

#[tokio::test]
async fn what_is_sent_again_is_there_once() {
    let store = InMongo::new().await;
    let all = text(100_000);
    let chunks = store.put_at_once(&all).await;
    assert!(chunks.len() > 5);
    assert_eq!(store.store.insert(&chunks).await.unwrap(), []);
    assert_eq!(store.store.insert(&chunks[3..]).await.unwrap(), []);
    let count = store.chunks().await.count_documents(doc! {}).await.unwrap();
    assert_eq!(count, chunks.len() as u64);
    assert!(whole(&store).await == all);
    store.clear().await;
}

/// A machine that lost power: what it had noted is gone, and it cuts elsewhere.
#[tokio::test]
async fn a_host_that_has_forgotten_where_it_cut_leaves_no_gap() {
    let store = InMongo::new().await;
    let base = store.layout().output_of(attempt(1));
    let first = text(50);
    store.put_at_once(&first).await;
    let second = text(1_000);
    store.put_at_once(&second).await;
    std::fs::remove_file(output::file(&base, "sent")).unwrap();
    let third = text(30_000);
    let lengths = store.write(attempt(1), Stream::Out, &third);
    let ended = Lengths { ended: true, ..lengths };
    // What turns out to be missing is sent with the next batch.
    while !store.ship(attempt(1), ended).await.is_empty() {}
    assert!(Plan::read(&base).unwrap().whole());
    assert!(whole(&store).await == third);
    let part = store.logs.read(attempt(1), Stream::Out, u64::MAX, 1).await.unwrap();
    assert!(part.ended);
    store.clear().await;
}

#[tokio::test]
async fn a_line_and_a_time_are_found() {
    let store = InMongo::new().await;
    let mut all = Vec::new();
    for line in 0..3_000_u32 {
        all.extend(format!("line {line} {}\n", "x".repeat(200)).into_bytes());
        store.write(attempt(1), Stream::Out, &all);
    }
    let lengths = store.write(attempt(1), Stream::Err, b"err\n");
    store.ship(attempt(1), lengths).await;
    let at = async |wanted, expected: Option<&str>| {
        let place = store.logs.seek(attempt(1), Stream::Out, wanted).await;
        let Some(expected) = expected else {
            return assert!(matches!(place, Ok(None)), "{place:?}");
        };
        let place = place.unwrap().unwrap();
        let part = store.logs.read(attempt(1), Stream::Out, place, 20).await.unwrap();
        let found = String::from_utf8(part.bytes).unwrap();
        assert!(found.starts_with(expected), "{wanted:?}: {found}");
    };
    for line in [0, 1, 593, 1_024, 2_999] {
        at(Seek::Line(line), Some(&format!("line {line} "))).await;
        at(Seek::Time(1_000 + 100 * line.cast_signed()), Some(&format!("line {line} "))).await;
    }
    at(Seek::Time(1_001), Some("line 1 ")).await;
    at(Seek::Time(0), Some("line 0 ")).await;
    // Behind what is stored, the host is asked; this one has nothing.
    at(Seek::Time(999_999_999), None).await;
    at(Seek::Line(3_001), None).await;
    // By an index, and not by reading what is before it.
    store.indexed().await;
    let id = ChunkId::new(attempt(1), Stream::Out, 0);
    for (key, value) in
        [("line", doc! { "$lt": 1_500_i64 }), ("last_ms", doc! { "$gte": 1_500_i64 })]
    {
        let mut find = doc! { "_id.run": id.run, "_id.job": id.job, "_id.number": id.number };
        find.extend(doc! { "_id.reign": id.reign, "_id.stream": id.stream, key: value });
        let by = doc! { key: if key == "line" { -1 } else { 1 }, "_id.from": if key == "line" { -1 } else { 1 } };
        let name = collection(&store.cluster);
        let explain = doc! { "explain": { "find": name, "filter": find, "sort": by, "limit": 1 },
        "verbosity": "executionStats" };
        let client = Client::with_uri_str(url(VARIABLE)).await.unwrap();
        let told = client.database("hcndc").run_command(explain).await.unwrap();
        let stats = told.get_document("executionStats").unwrap();
        assert_eq!(stats.get_i32("totalDocsExamined").unwrap(), 1, "{key}: {stats}");
    }
    store.clear().await;
}

#[tokio::test]
async fn what_the_quota_has_cut_out_is_told_by_the_archive_too() {
    let store = InMongo::new().await;
    let base = store.layout().output_of(attempt(1));
    let all = [vec![b'a'; 20_000], vec![b'b'; 80_000]].concat();
    let lengths = store.write(attempt(1), Stream::Out, &all);
    let holes = Holes { out: (8_192, 90_112), err: (0, 0) };
    write_holes(&base, holes).unwrap();
    store.ship(attempt(1), Lengths { ended: true, ..lengths }).await;
    let read = async |from| store.logs.read(attempt(1), Stream::Out, from, 50_000).await.unwrap();
    let head = read(0).await;
    assert_eq!((head.bytes.len(), head.hole, head.len), (8_192, Some((8_192, 90_112)), 100_000));
    let tail = read(8_192).await;
    assert_eq!((tail.from, tail.bytes.len(), tail.ended), (90_112, 9_888, true));
    assert!(tail.bytes.iter().all(|byte| *byte == b'b'));
    store.clear().await;
}

#[tokio::test]
async fn each_source_answers_for_the_other() {
    let store = InMongo::new().await;
    let (out, name) = (Stream::Out, "old\n");
    store.put(attempt(1), out, name.as_bytes(), false).await;
    // The host has more, and is asked first while the attempt runs.
    store.hosts.put(attempt(1), out, b"old\nnew\n", false).await;
    let read = async || store.logs.read(attempt(1), out, 0, 100).await;
    assert_eq!(read().await.unwrap().bytes, b"old\nnew\n");
    store.hosts.away(true);
    let part = read().await.unwrap();
    assert_eq!((part.bytes.as_slice(), part.ended), (name.as_bytes(), false));
    // Ended: the archive first, and what it does not have yet from the host.
    store.hosts.away(false);
    let end = sql("UPDATE attempt SET end_kind = 'code' WHERE number = ?", params![1]);
    store.hosts.db.commit([end]).await.unwrap();
    assert_eq!(read().await.unwrap().bytes, name.as_bytes());
    let rest = crate::server::until("the host is asked again", async || {
        let part = store.logs.read(attempt(1), out, 4, 100).await.unwrap();
        (!part.bytes.is_empty()).then_some(part)
    });
    assert_eq!(rest.await.bytes, b"new\n");
    // Without the store the host answers all.
    store.proxy.set(Link::Cut);
    assert_eq!(read().await.unwrap().bytes, b"old\nnew\n");
    store.hosts.away(true);
    let told = read().await.unwrap_err().to_string();
    assert!(told.contains("store of logs"), "{told}");
    store.clear().await;
}

#[tokio::test]
async fn runs_are_forgotten_with_their_chunks() {
    let store = InMongo::new().await;
    let of = |run| AttemptId { run: RunId(run), job: JobId(9), number: 1, reign: 3 };
    for run in [1, 2, 3, i64::MAX] {
        store.put(of(run), Stream::Out, &text(10_000), true).await;
    }
    let gone = store.logs.forget(&[RunId(2), RunId(i64::MAX - 1), RunId(77)]).await.unwrap();
    assert_eq!(gone, 1);
    let mut left: Vec<i64> = Vec::new();
    let mut all = store.chunks().await.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    while all.advance().await.unwrap() {
        let row = all.deserialize_current().unwrap();
        left.push(row.get_document("_id").unwrap().get_i64("run").unwrap());
    }
    assert_eq!(left, [1, 3, i64::MAX]);
    store.clear().await;
}

/// A host that comes back after a long time ships what belongs to nothing any more.
#[tokio::test]
async fn old_chunks_of_unknown_runs_are_forgotten_and_no_others() {
    let store = InMongo::new().await;
    let of = |run| AttemptId { run: RunId(run), job: JobId(9), number: 1, reign: 3 };
    let db = &store.hosts.db;
    let known = "INSERT INTO job_run (run_id, job_id, project_id, state, reason, number, reign, \
                 allowed, not_before_ms, waits, batch) VALUES (?, 9, 1, 'succeeded', '', 1, 3, 1, 0, '[]', 1)";
    db.commit([sql(known, params![2])]).await.unwrap();
    // More than one step looks at, all written at the same moment.
    for run in [1, 2, 3] {
        store.put(of(run), Stream::Out, &text(10_000), true).await;
    }
    let template: Chunk = {
        let chunks = store.chunks().await.clone_with_type::<Chunk>();
        chunks.find_one(doc! { "_id.run": 1_i64 }).await.unwrap().unwrap()
    };
    let many = (0..1_500_i64).map(|from| {
        let id = ChunkId { run: 4 + from % 2, from, ..template.id };
        Chunk { id, last_ms: 500, bytes: Vec::new(), ..template.clone() }
    });
    let chunks = store.chunks().await.clone_with_type::<Chunk>();
    chunks.insert_many(many).await.unwrap();
    db.commit([sql(known, params![5])]).await.unwrap();
    let runs = async || {
        let all = chunks.distinct("_id.run", doc! {}).await.unwrap();
        all.iter().map(|run| run.as_i64().unwrap()).collect::<BTreeSet<_>>()
    };
    // Of run 3 all is younger.
    let younger = doc! { "$set": { "last_ms": 9_000_000_i64 } };
    chunks.update_many(doc! { "_id.run": 3_i64 }, younger).await.unwrap();
    // By an index: as many as it looks at, not all that there are.
    store.indexed().await;
    let name = collection(&store.cluster);
    let old = doc! { "last_ms": { "$lt": 5_000_i64 } };
    let find = doc! { "find": name, "filter": old, "sort": { "last_ms": 1, "_id": 1 }, "limit": 2 };
    let explain = doc! { "explain": find, "verbosity": "executionStats" };
    let client = Client::with_uri_str(url(VARIABLE)).await.unwrap();
    let told = client.database("hcndc").run_command(explain).await.unwrap();
    let stats = told.get_document("executionStats").unwrap();
    assert_eq!(stats.get_i32("totalDocsExamined").unwrap(), 2, "{stats}");
    assert_eq!(store.logs.forget_orphans(db, 400).await.unwrap(), 0);
    assert_eq!(runs().await, BTreeSet::from([1, 2, 3, 4, 5]));
    let gone = store.logs.forget_orphans(db, 5_000_000).await.unwrap();
    assert!(gone > 750, "{gone}");
    assert_eq!(runs().await, BTreeSet::from([2, 3, 5]));
    store.clear().await;
}
