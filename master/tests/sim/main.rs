//! The simulated world: the product's own World, leader's core and attempts core, treated badly.
//!
//! `SEED=42 TRACE=1 cargo test -p master --test sim every_world -- --nocapture` replays one world;
//! `SEEDS=20000` runs many (`FROM=` moves on); `SABOTAGE=AnyEpoch` breaks a rule.
//!
//! Rules of the protocol that no simulation can carry, and what holds them instead: H1 (identity of an
//! agent, roles of certificates), P1's descriptors and systemd unit, P2's sweep of real process trees,
//! P3 (users, limits), P4's checksums, G (logs): the executor's own tests, the contract tests of the
//! ports, and the cluster tests with real processes. L1 and the real statements of L3 are in the
//! contract tests of the lease and the database.

mod caught;
mod cluster;
mod db;
mod ending;
mod faults;
mod host;
mod mesh;
mod oracle;
mod people;
mod rng;

use cluster::Cluster;
use shared::sabotage::{Sabotage, Switch};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Worlds in an ordinary test run; `make sim` asks for more.
const SEEDS: u64 = 2_000;
/// Beyond those, worlds that once broke the promise.
const ONCE_BROKEN: [u64; 12] =
    [2806, 2873, 3726, 4108, 4365, 5704, 6020, 7567, 7902, 15864, 22431, 29250];
/// Worlds in which each sabotage must be caught.
const LIMIT: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    shared::config::env(name).map(|n| n.parse().expect("a number"))
}

fn simulate(seed: u64, sabotage: Switch) -> Cluster {
    let mut cluster = Cluster::new(seed, sabotage);
    cluster.run();
    cluster
}

/// As many threads as there are cores take numbers from `0..count`.
fn in_parallel(count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(number);
                }
            });
        }
    });
}

#[derive(Default)]
struct Sum {
    worlds: u64,
    events: u64,
    processes: usize,
    alerts: u64,
    bad: BTreeMap<u64, String>,
    exempt: BTreeMap<&'static str, u64>,
}

#[test]
fn every_world_keeps_the_promise() {
    let (from, count) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (number("FROM").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS)),
    };
    let named = shared::config::env("SABOTAGE");
    let sabotage = named.map(|name| Sabotage::find(&name).expect("a sabotage"));
    let sum = Mutex::new(Sum::default());
    let mut seeds: Vec<u64> = (from..from + count).collect();
    if count > 1 && sabotage.is_none() {
        seeds.extend(ONCE_BROKEN.iter().filter(|seed| !(from..from + count).contains(seed)));
    }
    in_parallel(seeds.len() as u64, |number| {
        if sum.lock().expect("no panic").bad.len() >= 20 {
            return;
        }
        let seed = seeds[usize::try_from(number).expect("few")];
        let cluster = simulate(seed, sabotage);
        let mut sum = sum.lock().expect("no panic");
        sum.worlds += 1;
        sum.events += cluster.events;
        sum.processes += cluster.oracle.processes.len();
        sum.alerts += cluster.oracle.alerts;
        for (why, count) in &cluster.oracle.exempt {
            *sum.exempt.entry(why).or_insert(0) += count;
        }
        if let Some(verdict) = &cluster.oracle.verdict {
            println!("seed {seed} at {}: {verdict}", cluster.age());
            sum.bad.insert(seed, verdict.clone());
        }
    });
    let sum = sum.into_inner().expect("no panic");
    let Sum { worlds, events, processes, alerts, exempt, .. } = &sum;
    println!("{worlds} worlds, {events} events, {processes} processes, {alerts} alerts");
    println!("excused, each a limit of the promise: {exempt:?}");
    assert!(sum.bad.is_empty(), "replay with SEED=..: {:?}", sum.bad.keys());
}

/// The first seed that catches it, and what it says.
fn caught(sabotage: Sabotage, limit: u64) -> Option<(u64, String)> {
    let name = format!("{sabotage:?}");
    let known = caught::FIRST.iter().filter(|(known, _)| *known == name).map(|(_, seed)| *seed);
    known
        .chain(0..limit)
        .find_map(|seed| Some((seed, simulate(seed, Some(sabotage)).oracle.verdict?)))
}

#[test]
fn every_sabotage_is_caught() {
    let limit = number("LIMIT").unwrap_or(LIMIT);
    let only = shared::config::env("ONLY");
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|o| o == name));
    let all: Vec<_> =
        Sabotage::ALL.iter().filter(|(sabotage, ..)| wanted(&format!("{sabotage:?}"))).collect();
    let lines = Mutex::new(BTreeMap::new());
    in_parallel(all.len() as u64, |number| {
        let (sabotage, rule, _) = *all[usize::try_from(number).expect("few")];
        // Hosts and batch numbers notice most of what this one is for.
        let limit = if sabotage == Sabotage::GuardAnyServer { 15 * limit } else { limit };
        let caught = caught(sabotage, limit);
        if let Some((seed, verdict)) = &caught {
            let verdict: String = verdict.chars().take(90).collect();
            println!("{rule:6} {sabotage:?} {seed}: {verdict}");
        }
        lines.lock().expect("no panic").insert(sabotage, caught.map(|(seed, _)| seed));
    });
    let lines = lines.into_inner().expect("no panic");
    for (sabotage, seed) in lines.iter().filter_map(|(s, seed)| Some((s, (*seed)?))) {
        println!("    (\"{sabotage:?}\", {seed}),");
    }
    let missed: Vec<_> = lines.iter().filter(|(_, seed)| seed.is_none()).map(|(s, _)| s).collect();
    assert!(missed.is_empty(), "not caught within {limit} worlds: {missed:?}");
}
