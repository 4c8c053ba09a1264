//! How long nobody leads: two and three real masters on MariaDB, MongoDB and Redis, with jobs that run.
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

use pair::{Gone, PROBE, Pair, Setup, TakeOver};
use shared::ids::Millis;

/// Jobs that run all the while, as processes of their own (`sleep`) on these hosts.
const HOSTS: [&str; 3] = ["h2", "h3", "h4"];
const INTERFACES: usize = 10;
const ROUNDS: usize = 5;

fn main() {
    if shared::config::env("HCNDC_TEST_MYSQL").is_none() {
        return println!(
            "Take-over is not measured: no servers are given (make services; source .services/env)."
        );
    }
    println!("Two and three masters, {ROUNDS} rounds each; smallest, middle, largest\n");
    println!("| masters | jobs that run | take-over | ms |\n|---|---|---|---|");
    measure(2, 400);
    measure(3, setting("HCNDC_BENCH_RUNNING").unwrap_or(10_000));
}

fn setting(name: &str) -> Option<usize> {
    shared::config::env(name).and_then(|text| text.parse().ok())
}

fn measure(masters: usize, running: usize) {
    let mut pair = Pair::of(Setup { masters, ..Setup::default() });
    pair.masters[0].slots = 4_000;
    for host in HOSTS {
        pair.masters[0].add_host(host);
    }
    let jobs: String = (0..running / INTERFACES)
        .map(|at| {
            format!(
                "  - {{name: j{at}, kind: shell, fields: {{program: sleep, args: [\"36000\"]}}}}\n"
            )
        })
        .collect();
    let long = (0..INTERFACES).map(|at| {
        format!("kind: interface\nname: long{at}\nspec: {{granularity: day, zone: UTC}}\njobs:\n{jobs}---\n")
    });
    pair.masters[0].apply(&format!("{}{PROBE}", long.collect::<String>()));
    for at in 0..INTERFACES {
        pair.masters[0].must(&["run", &format!("long{at}"), "--period", "2026-11-20"]);
        let begun = (at + 1) * (running / INTERFACES);
        pair.until("these run too", |pair| pair.running() >= begun);
    }
    let began = attempts(&pair);
    let mut killed = Vec::new();
    let mut stopped = Vec::new();
    for _ in 0..ROUNDS {
        killed.push(round(&mut pair, Gone::Killed));
        stopped.push(round(&mut pair, Gone::Stopped));
    }
    assert_eq!(pair.running(), running, "jobs are untouched");
    assert_eq!(attempts(&pair), began, "none has begun again");
    let show = |what: &str, all: Vec<Millis>| show(&format!("{masters} | {running} | {what}"), all);
    let after_lease = |of: fn(&TakeOver) -> Millis| -> Vec<Millis> {
        killed.iter().filter_map(|one| Some(of(one) - one.free_ms?)).collect()
    };
    let all = |all: &[TakeOver], of: fn(&TakeOver) -> Millis| all.iter().map(of).collect();
    show("kill -9: from the end of the lease to the first guarded batch", after_lease(batch));
    show(
        "kill -9: from the end of the lease until a job asked for meanwhile has run",
        after_lease(placed),
    );
    show("kill -9: from the kill to the first guarded batch", all(&killed, batch));
    show("TERM: from the signal to another one's first guarded batch", all(&stopped, batch));
    show("TERM: from the signal until a job asked for meanwhile has run", all(&stopped, placed));
}

fn batch(one: &TakeOver) -> Millis {
    one.batch_ms
}

fn placed(one: &TakeOver) -> Millis {
    one.placed_ms
}

/// Of the jobs that are to run on.
fn attempts(pair: &Pair) -> usize {
    pair.count(
        "SELECT COUNT(*) FROM attempt JOIN job ON job.id = attempt.job_id WHERE job.name LIKE 'j%'",
    )
}

fn round(pair: &mut Pair, how: Gone) -> TakeOver {
    let leader = pair.leader().expect("one leads");
    let measured = pair.take_over(leader, how);
    pair.masters[leader].start_master(&[]);
    pair.masters[leader].master_is_ready();
    pair.until("one of them says that it leads", |pair| pair.leader().is_some());
    measured
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
