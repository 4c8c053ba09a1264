//! The real programs on one machine, each figure beside the physical limit of the same run.
//!
//! `make bench` builds everything with optimisation and runs this; what it prints goes, dated, to
//! `docs/results/`. Times of attempts are the host's wall clock, to the millisecond. With words after
//! `--`, only those parts: `processes`, `lateness`, `backfill`.

#[path = "../tests/cluster/real.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "it is made for the tests, which use more of it"
)]
mod real;

use master::engine::backfill::{BackfillSpec, outline};
use master::engine::catalog::{Catalog, Interface, Job};
use real::Real;
use shared::clock::Clock;
use shared::ids::*;
use shared::spec::{InterfaceSpec, JobSpec, Parent, PeriodMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// No-op jobs of the throughput, and of the chain.
const JOBS: usize = 2_000;
const CHAIN: usize = 200;
/// Of the host. With 64 a job that takes one millisecond waits for its next commit more often than for
/// the machine, which is what is to be measured.
const SLOTS: u32 = 256;
/// Bare spawns are counted for so long.
const SPAWN_MS: Millis = 3_000;
/// Dispatches of one interface.
const PER_INTERFACE: usize = 100;
/// Firings are watched for so long.
const WATCH: Duration = Duration::from_secs(70);
/// Between the last job and the look at idle memory.
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    let clock = Clock::system();
    println!("| figure | measured | physical limit, same run | ratio |\n|---|---|---|---|");
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|word| word == part);
    if wanted("processes") {
        process_jobs(&clock);
    }
    if wanted("lateness") {
        for dispatches in [100, 10_000] {
            lateness(&clock, dispatches);
        }
    }
    if wanted("backfill") {
        backfill(&clock, 1, 100);
        backfill(&clock, 100, 1);
        // As many runs as are allowed.
        backfill(&clock, 270, 1);
    }
}

/// What ten years of daily interfaces, each after the one before, cost to be planned.
fn backfill(clock: &Clock, interfaces: i64, jobs: i64) {
    const TIMES: Millis = 20;
    let mut catalog = Catalog::default();
    for id in 1..=interfaces {
        let job =
            |job: i64| Job { id: JobId(id * 1_000 + job), name: format!("j{job}"), spec: shell() };
        let parents =
            (id > 1).then_some(Parent { interface: InterfaceId(id - 1), map: PeriodMap::Same });
        let interface = Interface {
            id: InterfaceId(id),
            project: ProjectId(1),
            name: format!("i{id}"),
            version: 1,
            spec: InterfaceSpec {
                parents: parents.into_iter().collect(),
                ..InterfaceSpec::default()
            },
            jobs: (1..=jobs).map(job).collect(),
        };
        catalog.interfaces.insert(interface.id, Arc::new(interface));
    }
    let spec =
        serde_json::json!({ "interface": 1, "spans": ["2016-01-01..2025-12-31"], "cascade": true });
    let spec: BackfillSpec = serde_json::from_value(spec).expect("a spec");
    let begin = clock.mono_ms();
    let mut planned = 0;
    for _ in 0..TIMES {
        planned = outline(&catalog, &spec).expect("a plan").jobs;
    }
    let each = (clock.mono_ms() - begin) / TIMES;
    println!(
        "| plan of a backfill: ten years, {interfaces} interfaces x {jobs} jobs = {planned} job runs | {each} ms | | |"
    );
}

fn shell() -> JobSpec {
    serde_json::from_value(serde_json::json!({ "kind": "shell" })).expect("a job")
}

/// Programs per second that this machine starts and reaps, with as many threads as cores; with
/// `output`, each has two new files there to write to, as a job has.
fn bare_spawns(clock: &Clock, output: Option<&Path>) -> f64 {
    let begin = clock.mono_ms();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let total: usize = std::thread::scope(|scope| {
        let one = |thread: usize| {
            let mut count = 0;
            while clock.mono_ms() < begin + SPAWN_MS {
                spawn_true(output.map(|dir| dir.join(format!("{thread}-{count}"))));
                count += 1;
            }
            count
        };
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        all.into_iter().map(|thread| thread.join().expect("it only counts")).sum()
    });
    per_second(total, clock.mono_ms() - begin)
}

#[expect(clippy::disallowed_methods, reason = "the limit is measured without any of ours")]
fn spawn_true(output: Option<PathBuf>) {
    let mut command = std::process::Command::new("/bin/true");
    if let Some(path) = output {
        let file = |ending| File::create(path.with_extension(ending)).expect("the disk takes it");
        command.stdout(file("out")).stderr(file("err"));
    }
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()));
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_second(count: usize, ms: Millis) -> f64 {
    count as f64 * 1_000.0 / ms.max(1) as f64
}

/// Sorted; the value below which so many hundredths lie.
fn percentile(sorted: &[Millis], hundredths: usize) -> Millis {
    let at = (sorted.len().max(1) - 1) * hundredths / 100;
    sorted.get(at).copied().unwrap_or(0)
}

fn job(name: &str, after: &str) -> String {
    format!("  - {{name: {name}, kind: shell, fields: {{program: /bin/true}}, after: [{after}]}}\n")
}

fn interface(name: &str, jobs: &str) -> String {
    format!(
        "kind: interface\nname: {name}\nspec: {{granularity: day, zone: UTC}}\njobs:\n{jobs}---\n"
    )
}

fn started() -> Real {
    let mut real = Real::new();
    real.slots = SLOTS;
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    real
}

fn run(real: &mut Real, name: &str) {
    let before = real.executions().len();
    real.must(&["run", name, "--period", "2026-11-20"]);
    real.until("the execution has ended", |real| {
        let states = real.executions();
        states.len() > before && states.iter().all(|state| state == "succeeded")
    });
}

/// Throughput of processes, hand-over from parent to child, memory when idle, cold start.
fn process_jobs(clock: &Clock) {
    // Kept to the end: some file systems are slow to make files where many were deleted just now.
    let outputs = [(); 2].map(|()| tempfile::tempdir().expect("the disk takes it"));
    // Before and after the jobs: the machine may have other things to do.
    let limits = |at: usize| [None, Some(outputs[at].path())].map(|dir| bare_spawns(clock, dir));
    let limits_before = limits(0);
    let mut real = started();
    let wide: String = (0..JOBS).map(|at| job(&format!("w{at}"), "")).collect();
    let chain: String = (0..CHAIN)
        .map(|at| {
            job(&format!("c{at}"), &at.checked_sub(1).map_or(String::new(), |up| format!("c{up}")))
        })
        .collect();
    real.apply(&format!("{}{}", interface("wide", &wide), interface("chain", &chain)));
    let before = real.cpu_ms();
    run(&mut real, "wide");
    let after = real.cpu_ms();
    let limits_after = limits(1);
    let [limit, limit_with_files] =
        [0, 1].map(|at| f64::midpoint(limits_before[at], limits_after[at]));
    let span = real.rows("SELECT MIN(created_ms), MAX(ended_ms) FROM execution", |row| {
        Ok((row.get::<_, Millis>(0)?, row.get::<_, Millis>(1)?))
    });
    let (begin, end) = span[0];
    let rate = per_second(JOBS, end - begin);
    println!(
        "| process jobs | {rate:.0}/s ({JOBS} in {} ms) | {limit:.0} bare spawns/s | {:.0} % |",
        end - begin,
        100.0 * rate / limit
    );
    println!(
        "| the same | {rate:.0}/s | {limit_with_files:.0} bare spawns/s, each with two new files | {:.0} % |",
        100.0 * rate / limit_with_files
    );
    where_it_went(&before, &after);
    run(&mut real, "chain");
    let mut gaps = real.rows(
        "SELECT child.started_ms - parent.ended_ms FROM attempt child \
         JOIN job cj ON cj.id = child.job_id JOIN job pj ON pj.interface_id = cj.interface_id \
         JOIN attempt parent ON parent.job_id = pj.id AND parent.run_id = child.run_id \
         WHERE cj.name LIKE 'c%' AND pj.name LIKE 'c%' \
         AND CAST(substr(cj.name, 2) AS INTEGER) = CAST(substr(pj.name, 2) AS INTEGER) + 1",
        |row| row.get::<_, Millis>(0),
    );
    gaps.sort_unstable();
    assert_eq!(gaps.len(), CHAIN - 1, "every job of the chain but the first has a parent");
    println!(
        "| parent's exit to child's start | p50 {} ms, p99 {} ms | grain 1 ms | |",
        percentile(&gaps, 50),
        percentile(&gaps, 99)
    );
    std::thread::sleep(IDLE);
    for (name, kib) in real.memory() {
        println!("| idle memory of {name} | {:.1} MB | | |", f64::from(kib) / 1024.0);
    }
    real.kill_master();
    let began = clock.mono_ms();
    real.start_master(&[]);
    let ready = real.ready_after(clock, began);
    println!("| cold start of the master, to /readyz | {ready} ms | | |");
}

type Cpu = [(&'static str, u64); 4];

/// Processor time of one job, by who has spent it. The ticks of the kernel are coarse.
fn where_it_went(before: &Cpu, after: &Cpu) {
    let each = before.iter().zip(after).map(|((name, before), (_, after))| {
        let us = 1_000 * (after - before) / JOBS as u64;
        format!("{name} {us} µs")
    });
    println!("| processor time of a process job | {} | | |", each.collect::<Vec<_>>().join(", "));
}

/// How long after its instant a firing is decided: each dispatch once a minute, spread over its
/// seconds, a hundred to an interface.
fn lateness(clock: &Clock, dispatches: usize) {
    let real = started();
    let interfaces = dispatches.div_ceil(PER_INTERFACE);
    let mut mesh: String = (0..interfaces)
        .map(|at| {
            let spec = "{granularity: day, zone: UTC}";
            format!("kind: interface\nname: i{at}\nspec: {spec}\njobs: []\n---\n")
        })
        .collect();
    for at in 0..dispatches {
        let (interface, second) = (at % interfaces, at % 60);
        let spec = format!("{{cron: \"{second} * * * * *\", zone: UTC, cascade: false}}");
        mesh +=
            &format!("kind: dispatch\ninterface: i{interface}\nname: d{at}\nspec: {spec}\n---\n");
    }
    let began = clock.mono_ms();
    real.apply(&mesh);
    let applied = clock.mono_ms() - began;
    println!("| `hcndc apply` of {dispatches} dispatches | {applied} ms | | |");
    std::thread::sleep(WATCH);
    let mut late = real
        .rows("SELECT decided_ms - instant_ms FROM firing WHERE decision = 'fired'", |row| {
            row.get::<_, Millis>(0)
        });
    late.sort_unstable();
    assert!(late.len() >= dispatches, "{} of {dispatches} have fired", late.len());
    println!(
        "| lateness with {dispatches} dispatches ({} firings) | p50 {} ms, p99 {} ms, max {} ms | grain 1 ms | |",
        late.len(),
        percentile(&late, 50),
        percentile(&late, 99),
        percentile(&late, 100)
    );
}
