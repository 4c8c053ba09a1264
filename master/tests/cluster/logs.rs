//! Shipping of logs with real processes and a real MongoDB: whatever dies or is away, every byte is in
//! the store once and in order, and the page has it.

use crate::proxy::{Link, Proxy};
use crate::real::Real;
use crate::server::{cluster, free_port, url};
use mongodb::bson::doc;
use shared::chunk::{Chunk, collection};
use shared::wire::Stream;
use std::collections::BTreeMap;

/// Lines of a job, on each stream.
const LINES: u32 = 60;

/// A database of its own in the real store; the agent's way to it may be cut.
pub struct Stored {
    pub real: Real,
    runtime: tokio::runtime::Runtime,
    database: mongodb::Database,
    proxy: Proxy,
}

impl Stored {
    pub fn new() -> Stored {
        let mut real = Real::new();
        let server = url("HCNDC_TEST_MONGO");
        let (name, address) = (cluster(), server.trim_start_matches("mongodb://"));
        let (address, options) = address.split_once("/?").unwrap_or((address, ""));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(mongodb::Client::with_uri_str(&server)).unwrap();
        let port = address.rsplit(':').next().unwrap().parse().unwrap();
        let proxy = Proxy::to(port, free_port());
        let own = format!("mongodb://127.0.0.1:{}/{name}?directConnection=true", proxy.port);
        real.executor_more = format!("[logs]\nurl = \"{own}\"\n");
        real.master_more = format!("[logs]\nurl = \"mongodb://{address}/{name}?{options}\"\n");
        Stored { real, runtime, database: client.database(&name), proxy }
    }

    /// A job that writes bytes that are no text, on both streams, for a while.
    pub fn start(&mut self, agent: &[(&str, String)]) {
        self.start_with(agent, LINES);
    }

    /// With so many lines on each stream, 20 in a second at most.
    pub fn start_with(&mut self, agent: &[(&str, String)], lines: u32) {
        self.go();
        self.start_held(agent, lines);
    }

    /// What was started held writes its lines.
    pub fn go(&self) {
        std::fs::write(self.real.path("go"), "").unwrap();
    }

    /// The job writes nothing before [`Stored::go`].
    pub fn start_held(&mut self, agent: &[(&str, String)], lines: u32) {
        self.real.start_executor(agent);
        self.real.start_master(&[]);
        self.real.master_is_ready();
        let go = self.real.path("go");
        let go = go.display();
        let script = format!(
            "until [ -e {go} ]; do sleep 0.05; done\n        i=0\n        while [ $i -lt {lines} ]; do\n          printf '\\377\\000out %d\\n' $i\n          \
             printf 'err %d\\n' $i >&2\n          i=$((i+1)); sleep 0.05\n        done\n        printf 'no newline'\n"
        );
        self.real.apply(&format!(
            "kind: interface\nname: first\nspec: {{granularity: day, zone: UTC}}\njobs:\n  - name: a\n    \
             kind: shell\n    fields:\n      use_shell: true\n      script: |\n        {script}"
        ));
        self.real.must(&["run", "first", "--period", "2026-11-20"]);
    }

    pub fn chunks(&self) -> Vec<Chunk> {
        let chunks = self.database.collection::<Chunk>(&collection("hcndc"));
        self.runtime.block_on(async {
            let mut cursor = chunks.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
            let mut all = Vec::new();
            while cursor.advance().await.unwrap() {
                all.push(cursor.deserialize_current().unwrap());
            }
            all
        })
    }

    /// The store has the end of it.
    fn until_whole(&mut self) {
        let mut chunks = Vec::new();
        let end = crate::real::WAIT_MS / 25;
        for _ in 0..end {
            chunks = self.chunks();
            if chunks.iter().any(|chunk| chunk.end.is_some()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        assert!(chunks.iter().any(|chunk| chunk.end.is_some()), "{}", self.real.logs());
        let mut streams: BTreeMap<i32, Vec<u8>> = BTreeMap::new();
        for chunk in &chunks {
            let stream = streams.entry(chunk.id.stream).or_default();
            assert_eq!(chunk.from(), stream.len() as u64, "once, and in order");
            stream.extend(&chunk.bytes);
            assert_eq!(chunk.until(), stream.len() as u64);
            assert!(
                chunk.bytes.is_empty() || chunk.first_ms > 0 && chunk.first_ms <= chunk.last_ms
            );
        }
        let (out, err) = expected();
        assert!(streams[&0] == out, "out as it was written: {:?}", streams[&0]);
        assert!(streams[&1] == err, "err as it was written: {:?}", streams[&1]);
        let lengths = (out.len() as i64, err.len() as i64);
        assert_eq!(chunks.iter().filter_map(|chunk| chunk.end).collect::<Vec<_>>(), [lengths]);
    }

    fn attempt(&self) -> String {
        self.chunks().first().expect("something is stored").id.attempt().to_string()
    }

    /// What the command line shows of one stream.
    fn shown(&self, stream: Stream) -> String {
        let name = if stream == Stream::Out { "out" } else { "err" };
        let output = self.real.hcndc(&["log", &self.attempt(), "--stream", name]);
        assert!(output.status.success(), "{}", crate::real::text(&output));
        let told = if stream == Stream::Out { output.stdout } else { output.stderr };
        String::from_utf8(told).unwrap()
    }

    fn until_ended(&mut self) {
        self.real.until("the execution has ended", |real| {
            real.executions().iter().all(|state| state != "running")
        });
        assert_eq!(self.real.executions(), ["succeeded"], "{}", self.real.logs());
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(async { self.database.drop().await });
    }
}

fn expected() -> (Vec<u8>, Vec<u8>) {
    let mut out: Vec<u8> = Vec::new();
    let mut err: Vec<u8> = Vec::new();
    for line in 0..LINES {
        out.extend(b"\xff\0");
        out.extend(format!("out {line}\n").bytes());
        err.extend(format!("err {line}\n").bytes());
    }
    out.extend(b"no newline");
    (out, err)
}

/// Dies with the chunks of its first batch decided and not sent; and with those of a later one sent
/// and not noted as stored.
#[test]
fn agent_dies_during_shipping() {
    for pass in [1, 4] {
        let mut stored = Stored::new();
        let proof = stored.real.path("proof");
        let env = [
            ("HCNDC_CRASH_AT", format!("during-shipping:{pass}")),
            ("HCNDC_CRASH_PROOF", proof.display().to_string()),
        ];
        stored.start(&env);
        stored.until_ended();
        assert_eq!(std::fs::read_to_string(proof).unwrap(), "during-shipping");
        stored.until_whole();
    }
}

#[test]
fn agents_are_killed_while_a_job_writes() {
    let mut stored = Stored::new();
    stored.start(&[]);
    for _ in 0..3 {
        let before = stored.chunks().len();
        let mut waited = 0;
        while stored.chunks().len() == before && waited < 2_000 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            waited += 1;
        }
        assert!(stored.real.kill_of_executor("agent") > 0, "no agent was there to be killed");
    }
    stored.until_ended();
    stored.until_whole();
}

/// The job goes on, its log is read from the host, and what was written meanwhile is shipped later.
#[test]
fn the_store_is_away_while_a_job_writes() {
    let mut stored = Stored::new();
    stored.start(&[]);
    while stored.chunks().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    stored.proxy.set(Link::Cut);
    let at_cut = stored.chunks().len();
    stored.until_ended();
    assert!(stored.shown(Stream::Err).ends_with("err 59\n"), "read from the host");
    assert!(stored.chunks().len() <= at_cut + 2, "the store was away");
    assert!(stored.proxy.faults() > 0, "the link was cut");
    stored.proxy.set(Link::Whole);
    stored.until_whole();
}

#[test]
fn the_host_is_gone_and_its_logs_are_still_shown() {
    let mut stored = Stored::new();
    stored.start(&[]);
    stored.until_ended();
    stored.until_whole();
    let (out, err) = (stored.shown(Stream::Out), stored.shown(Stream::Err));
    stored.real.kill_executor();
    std::fs::remove_dir_all(stored.real.path("executor")).unwrap();
    assert_eq!((stored.shown(Stream::Out), stored.shown(Stream::Err)), (out.clone(), err.clone()));
    assert!(out.starts_with("\\xff\0out 0\n") && out.contains("no newline"), "{out}");
    assert_eq!(err.lines().count(), LINES as usize);
    let page =
        stored.real.get(&format!("/api/v1/attempts/{}/log?stream=err&line=43", stored.attempt()));
    assert!(page.contains("err 42") && !page.contains("err 41"), "{page}");
}

/// Only the agent has heard that output is shipped now: what the supervisor runs has not ended.
#[test]
fn a_host_begins_to_ship_while_a_job_runs() {
    let mut stored = Stored::new();
    let ships = std::mem::take(&mut stored.real.executor_more);
    stored.start(&[]);
    stored.real.until("the job runs", |real| real.attempts_started() > 0);
    std::fs::write(stored.real.path("executor.toml"), &ships).unwrap();
    assert!(stored.real.kill_of_executor("agent") > 0, "no agent was there to be killed");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(stored.chunks().is_empty(), "it was called whole while it ran: {:?}", stored.chunks());
    let told = stored.real.upgrade();
    assert!(told.contains("1 attempts go on"), "{told}");
    stored.until_ended();
    stored.until_whole();
}
