//! Sizes: what must not be quadratic, exponential or recursive. Counts are asserted, times only told.

use super::lab::*;
use crate::engine::catalog::*;
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::clock::Clock;
use shared::ids::*;
use shared::spec::*;
use std::sync::Arc;

const DAY: &str = "2026-11-20";
/// Of the test that the promise is about, and of the others: debug builds are slow.
const MANY: i64 = 100_000;
const JOBS: i64 = 10_000;

fn spec(after: &[i64]) -> JobSpec {
    let mut spec: JobSpec = serde_json::from_value(serde_json::json!({"kind": "shell"})).unwrap();
    spec.after =
        after.iter().map(|&job| Edge { job: JobId(job), expect: Expect::Success }).collect();
    spec
}

fn lab(count: i64, shape: impl Fn(i64) -> Vec<i64>, slots: u32) -> Lab {
    let jobs =
        (1..=count).map(|id| Job { id: JobId(id), name: format!("j{id}"), spec: spec(&shape(id)) });
    let found = Interface {
        id: InterfaceId(1),
        project: ProjectId(1),
        name: "A".into(),
        version: 1,
        spec: InterfaceSpec::default(),
        jobs: jobs.collect(),
    };
    let mut catalog = Catalog::default();
    catalog.interfaces.insert(found.id, Arc::new(found));
    catalog.hosts.insert(HostId(1), Arc::new(host(1, slots)));
    Lab::of(catalog, Default::default(), None)
}

fn told<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let clock = Clock::system();
    let done = work();
    println!("{what}: {} ms", clock.mono_ms());
    done
}

#[test]
fn a_hundred_thousand_jobs_are_expanded_in_one_step() {
    // A ladder: 2^50000 paths.
    let mut lab = lab(
        MANY,
        |id| if id <= 2 { vec![] } else { vec![(id - 1) / 2 * 2 - 1, (id - 1) / 2 * 2] },
        8,
    );
    let plan = told("expand 100,000 jobs in a ladder", || lab.start("A", DAY, true));
    assert_eq!(i64::from(plan.jobs_to_run), MANY);
    assert_eq!(lab.world.ready().count(), 0);
    assert_eq!(lab.world.due().orders[&HostId(1)].len(), 2);
    let run = lab.run("A", DAY);
    let dry = told("stop them, as a dry run", || lab.command(Verb::Stop { run }, true));
    assert_eq!(i64::from(dry.jobs_stopped), MANY);
}

#[test]
fn a_failure_skips_ten_thousand_descendants() {
    let mut lab = lab(JOBS, |id| if id == 1 { vec![] } else { vec![id - 1] }, 8);
    lab.start("A", DAY, true);
    lab.fate("A", "a", Fate::Ok);
    let id = JobRunId { run: lab.run("A", DAY), job: JobId(1) };
    let attempt = lab.world.table().jobs[&id].attempt(id);
    let exit = shared::wire::State::Ended(shared::wire::Exit::Code(1));
    told("skip a chain of 10,000", || lab.answer(HostId(1), false, vec![report(attempt, exit)]));
    assert_eq!(lab.state("A", DAY), "failed");
    let rows = lab.db.values().filter(
        |row| matches!(row, Row::JobRun(job) if job.phase == Phase::Done(Verdict::Skipped)),
    );
    assert_eq!(i64::try_from(rows.count()).unwrap(), JOBS - 1);
}

#[test]
fn ten_thousand_ready_jobs_go_through_one_host() {
    let mut lab = lab(JOBS, |_| vec![], 1_000);
    told("queue 10,000 ready jobs", || lab.start("A", DAY, true));
    assert_eq!(i64::try_from(lab.world.ready().count()).unwrap(), JOBS - 1_000);
    told("run them all", || lab.settle());
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn one_step_costs_what_it_changes() {
    // Many open jobs, one after the other ends: a step may not look at the others.
    let mut lab = lab(JOBS, |_| vec![], 10);
    lab.start("A", DAY, true);
    let run = lab.run("A", DAY);
    let mut seq = 50;
    told("1,000 of 10,000 end, one by one", || {
        for id in 1..=1_000 {
            let id = JobRunId { run, job: JobId(id) };
            let attempt = lab.world.table().jobs[&id].attempt(id);
            let exit = shared::wire::State::Ended(shared::wire::Exit::Code(0));
            seq += 1;
            let answer = shared::wire::WatchAnswer {
                answer: Answer { incarnation: Incarnation(1), seq },
                full: false,
                listed: vec![report(attempt, exit)],
                ..shared::wire::WatchAnswer::default()
            };
            let changes = lab.world.apply(lab.now, Event::Heard(HostId(1), answer));
            let count = changes.len();
            assert!(
                count <= 5,
                "its attempt, it, the next one with its attempt, the run: {changes:?}"
            );
        }
    });
    told("a thousand ticks", || {
        for _ in 0..1_000 {
            assert!(lab.world.apply(lab.now, Event::Tick).is_empty());
        }
    });
}

/// Ten years of an interface of a hundred jobs, and of a hundred interfaces of one: the plan and the
/// first of its executions, however many are to come.
#[test]
fn ten_years_are_planned_as_a_row() {
    use crate::engine::backfill::{BackfillSpec, outline};
    let spec = |json: serde_json::Value| serde_json::from_value::<BackfillSpec>(json).unwrap();
    let years = ["2016-01-01..2025-12-31"];
    let wide = lab(100, |_| vec![], 8);
    let asked = spec(serde_json::json!({"interface": 1, "spans": years, "parallel": 4}));
    let plan =
        told("plan ten years of an interface of 100 jobs", || outline(&wide.catalog, &asked));
    let plan = plan.unwrap();
    assert_eq!((plan.periods, plan.runs, plan.jobs), (3_653, 3_653, 365_300));
    let mut wide = wide;
    let verb = Verb::Backfill { spec: Box::new(asked) };
    let plan = told("begin it", || wide.command(verb, false));
    assert_eq!((plan.executions, plan.jobs_to_run), (3_653, 365_300));
    let executions = wide.db.keys().filter(|key| matches!(key, Key::Execution(_)));
    assert_eq!(executions.count(), 0, "its history is asked for first");
    let asks = wide.world.due().load.len();
    assert!((1..=4).contains(&asks), "{asks}");
    let mut catalog = (*wide.catalog.interfaces[&InterfaceId(1)]).clone();
    catalog.jobs.truncate(1);
    let mut chain = Catalog::default();
    for id in 1..=100 {
        let mut one = catalog.clone();
        (one.id, one.name) = (InterfaceId(id), format!("i{id}"));
        let map = PeriodMap::Same;
        one.spec.parents = (id > 1)
            .then_some(Parent { interface: InterfaceId(id - 1), map })
            .into_iter()
            .collect();
        chain.interfaces.insert(one.id, Arc::new(one));
    }
    let asked = spec(serde_json::json!({"interface": 1, "spans": years, "cascade": true}));
    let plan = told("plan ten years of 100 interfaces", || outline(&chain, &asked)).unwrap();
    assert_eq!((plan.periods, plan.runs, plan.jobs), (3_653, 365_300, 365_300));
    assert_eq!(plan.widths, vec![1; 100]);
}
