//! How long nobody leads: two real masters on MariaDB, MongoDB and Redis, with jobs that run.
//!
//! Part of `make bench`, which starts the servers. Figures only: nothing is asserted about a time.

#[path = "../tests/cluster/pair.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "it is made for the tests, which use more of it"
)]
mod pair;
#[path = "../tests/cluster/real.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "it is made for the tests, which use more of it"
)]
mod real;
#[path = "../tests/contract/server.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for the tests, which use more of it")]
mod server;

use pair::{Gone, PROBE, Pair, TakeOver};
use shared::ids::Millis;

/// Jobs that run all the while.
const RUNNING: usize = 400;
const ROUNDS: usize = 5;

fn main() {
    if shared::config::env("HCNDC_TEST_MYSQL").is_none() {
        return println!(
            "Take-over is not measured: no servers are given (make services; source .services/env)."
        );
    }
    let mut pair = Pair::start();
    pair.masters[0].slots = 1_000;
    let jobs = (0..RUNNING).map(|at| {
        format!(
            "  - {{name: j{at}, kind: shell, fields: {{use_shell: true, script: sleep 3600}}}}\n"
        )
    });
    let yaml = format!(
        "kind: interface\nname: long\nspec: {{granularity: day, zone: UTC}}\njobs:\n{}---\n{PROBE}",
        jobs.collect::<String>()
    );
    pair.masters[0].apply(&yaml);
    pair.masters[0].must(&["run", "long", "--period", "2026-11-20"]);
    pair.until("all of them run", |pair| pair.running() == RUNNING);
    println!("{RUNNING} jobs run on one host; {ROUNDS} rounds; smallest, middle, largest\n");
    println!("| take-over | ms |\n|---|---|");
    let mut killed = Vec::new();
    let mut stopped = Vec::new();
    for _ in 0..ROUNDS {
        killed.push(round(&mut pair, Gone::Killed));
        stopped.push(round(&mut pair, Gone::Stopped));
    }
    assert_eq!(pair.running(), RUNNING, "jobs are untouched");
    let after_lease = killed.iter().filter_map(|one| Some(one.batch_ms - one.free_ms?));
    show("kill -9: from the end of the lease to the first guarded batch", after_lease.collect());
    show("kill -9: from the kill to the first guarded batch", batches(&killed));
    show("TERM: from the signal to the other one's first guarded batch", batches(&stopped));
}

fn round(pair: &mut Pair, how: Gone) -> TakeOver {
    let leader = pair.leader().expect("one leads");
    let measured = pair.take_over(leader, how);
    pair.masters[leader].start_master(&[]);
    pair.masters[leader].master_is_ready();
    pair.until("one of them says that it leads", |pair| pair.leader().is_some());
    measured
}

fn batches(all: &[TakeOver]) -> Vec<Millis> {
    all.iter().map(|one| one.batch_ms).collect()
}

fn show(what: &str, mut all: Vec<Millis>) {
    all.sort_unstable();
    match (all.first(), all.get(all.len() / 2), all.last()) {
        (Some(least), Some(middle), Some(most)) => {
            println!("| {what} | {least}, {middle}, {most} |")
        }
        _ => println!("| {what} | not seen |"),
    }
}
