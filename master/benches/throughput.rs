//! No-op jobs per second: the whole leader on the embedded database, hosts inside this process.
//!
//! `HCNDC_BENCH_JOBS` (10,000), `HCNDC_BENCH_HOSTS` (10), `HCNDC_BENCH_SLOTS` (100) per host,
//! `HCNDC_BENCH_INTERFACES` (1): the jobs are shared out among them. Beside the figure stands the
//! physical limit of the same run: rows per second that the database takes in bulk.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[expect(dead_code, reason = "tests look closer than the bench")]
#[path = "../tests/leader/hosts.rs"]
mod hosts;
#[path = "../tests/leader/rig.rs"]
mod rig;

use hosts::Hosts;
use master::db::{Mode, Write, params};
use master::leader::dial::{Caller, Dial};
use rig::{CLUSTER, Rig, shell};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);
/// Rows of one batch of the comparison, and how many batches.
const BULK_ROWS: i64 = 5_000;
const BULK_BATCHES: i64 = 20;

fn given(name: &str, default: usize) -> usize {
    shared::config::env(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    shared::logs::start("warn");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(bench());
}

async fn bench() {
    let jobs = given("HCNDC_BENCH_JOBS", 10_000);
    let hosts = given("HCNDC_BENCH_HOSTS", 10);
    let slots = given("HCNDC_BENCH_SLOTS", 100);
    let interfaces = given("HCNDC_BENCH_INTERFACES", 1).max(1);
    let rows_per_s = bulk().await;
    let (jobs, seconds, batches) = run(jobs, hosts, slots, interfaces).await;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let per_s = jobs as f64 / seconds;
    println!("hosts {hosts} x slots {slots}, interfaces {interfaces}");
    println!("jobs {jobs} in {seconds:.2} s: {per_s:.0} jobs/s, {batches} batches");
    println!("rows in bulk: {rows_per_s:.0} rows/s");
    println!("jobs/s per rows/s: {:.3}", per_s / rows_per_s);
}

/// Jobs done, seconds from the command to the end, batches of the leader.
async fn run(jobs: usize, hosts: usize, slots: usize, interfaces: usize) -> (usize, f64, i64) {
    let rig = Rig::new().await;
    let inside = Hosts::new(CLUSTER, hosts, &rig.clock);
    for (id, number) in (1_i64..).zip(1..=hosts) {
        rig.host(id, &format!("h{number}"), u32::try_from(slots).unwrap_or(u32::MAX)).await;
    }
    let each = jobs.div_ceil(interfaces);
    let each = i64::try_from(each).expect("fewer jobs");
    let count = i64::try_from(interfaces).expect("fewer interfaces");
    for interface in 1..=count {
        let names = (1..=each).map(|job| (interface * 1_000_000 + job, format!("j{job}")));
        let names: Vec<_> = names.collect();
        let specs: Vec<_> =
            names.iter().map(|(id, name)| (*id, &name[..], shell(&["true"], &[]))).collect();
        rig.interface(interface, &format!("i{interface}"), &specs).await;
    }
    let caller = Caller::new(Dial::Inside(inside.clone()), CLUSTER, "bench");
    let mut leading = rig.lead(caller);
    leading.until(|status| status.leads && status.why.is_empty()).await;
    let begin = rig.clock.mono_ms();
    let mut executions = Vec::new();
    for interface in 1..=count {
        executions.push(rig.run_now(interface, "2026-11-20").await);
    }
    for execution in executions {
        assert_eq!(rig.outcome(execution, LONG).await, "succeeded");
    }
    let seconds = seconds(rig.clock.mono_ms() - begin);
    let done = inside.spawned();
    leading.stop().await;
    let row = rig.db.first("SELECT batch FROM leader", params![]).await.expect("the database");
    let batches = row.map_or(0, |row| row.int("batch").unwrap_or(0));
    (done, seconds, batches)
}

/// Rows of the same form in the same database, in batches of thousands, one after the other.
async fn bulk() -> f64 {
    let rig = Rig::new().await;
    let begin = rig.clock.mono_ms();
    for batch in 0..BULK_BATCHES {
        let rows = (0..BULK_ROWS).map(|row| {
            params![batch * BULK_ROWS + row, 1, 1, "queued", "", 1, 1, 1, 0, "[]", batch]
        });
        let columns = &[
            "run_id",
            "job_id",
            "project_id",
            "state",
            "reason",
            "number",
            "reign",
            "allowed",
            "not_before_ms",
            "waits",
            "batch",
        ];
        let key = &["run_id", "job_id"];
        let (rows, mode) = (rows.collect(), Mode::Upsert);
        rig.db
            .commit([Write::Rows { table: "job_run", key, columns, rows, mode }])
            .await
            .expect("the database");
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rows = (BULK_BATCHES * BULK_ROWS) as f64;
    rows / seconds(rig.clock.mono_ms() - begin)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn seconds(ms: i64) -> f64 {
    ms.max(1) as f64 / 1_000.0
}
