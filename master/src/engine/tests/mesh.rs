//! Between runs: cascades, waits, periods, generations, joining.

use super::lab::*;
use crate::engine::rows::*;
use shared::wire::Exit;

const DAY: &str = "2026-11-20";

#[test]
fn a_cascade_makes_all_runs_at_once_and_each_waits_for_its_parents() {
    let mut lab = Lab::new("A: a>b\nB <A: a\nC <A: a\nD <B <C: a");
    let plan = lab.start("A", DAY, true);
    assert_eq!((plan.runs_made, plan.jobs_to_run), (4, 5));
    assert_eq!(lab.state("D", DAY), "waiting");
    lab.settle();
    for name in ["A", "B", "C", "D"] {
        assert_eq!(lab.state(name, DAY), "succeeded", "{name}");
    }
    assert_eq!(lab.execution(&plan).state, RunState::Succeeded);
    assert_eq!(lab.alerts(), [AlertEvent::ExecutionSucceeded]);
    let order: Vec<i64> = lab.begun.iter().map(|attempt| attempt.job.0).collect();
    assert_eq!(order, [101, 102, 201, 301, 401]);
}

#[test]
fn without_cascade_only_the_interface_runs() {
    let mut lab = Lab::new("A: a\nB <A: a");
    let plan = lab.runs("A", DAY, false);
    assert_eq!(plan.runs_made, 1);
    assert_eq!(lab.execution(&plan).runs.len(), 1);
}

#[test]
fn a_failure_skips_what_descends_and_says_why() {
    let mut lab = Lab::new("A: a; a fails\nB <A: a>b\nC <B: a\nD: a");
    let plan = lab.runs("A", DAY, true);
    assert_eq!(lab.jobs("B", DAY), "a skipped, b skipped");
    assert_eq!(lab.job_row("B", DAY, "a").reason, "A 2026-11-20 failed");
    assert_eq!(lab.job_row("C", DAY, "a").reason, "B 2026-11-20 failed");
    assert_eq!(lab.state("C", DAY), "failed");
    assert_eq!(lab.execution(&plan).state, RunState::Failed);
    assert_eq!(lab.alerts(), [AlertEvent::ExecutionFailed]);
}

#[test]
fn a_parent_outside_is_waited_for_whoever_runs_it() {
    let mut lab = Lab::new("A: a\nB <A: a");
    lab.runs("B", DAY, false);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.runs("A", "2026-11-19", false);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.runs("A", DAY, false);
    assert_eq!(lab.state("B", DAY), "succeeded");
    // It is history now.
    lab.runs("A", "2026-11-18", false);
    lab.runs("B", "2026-11-18", false);
    assert_eq!(lab.state("B", "2026-11-18"), "succeeded");
}

#[test]
fn a_live_run_is_joined_and_a_succeeded_one_made_again_by_hand() {
    let mut lab = Lab::new("A: a; a hangs\nB <A: a");
    let first = lab.runs("A", DAY, true);
    let second = lab.runs("A", DAY, true);
    assert_eq!((second.runs_made, second.runs_joined), (0, 2));
    lab.exit("A", DAY, "a", Exit::Code(0));
    for plan in [&first, &second] {
        assert_eq!(lab.execution(plan).state, RunState::Succeeded);
    }
    assert_eq!(lab.begun.len(), 2);
    lab.fate("A", "a", Fate::Ok);
    let third = lab.runs("A", DAY, true);
    assert_eq!(third.runs_made, 2);
    assert_eq!(lab.run_row("B", DAY).generation, 1);
    let verb = Verb::RunNow {
        interface: interface("A"),
        period: period(DAY),
        cascade: true,
        params: Default::default(),
        missing_only: true,
        api: true,
    };
    let fourth = lab.command(verb, false);
    assert_eq!((fourth.runs_made, fourth.runs_satisfied), (0, 2));
    assert_eq!(lab.execution(&fourth).state, RunState::Succeeded);
}

#[test]
fn a_failed_run_is_made_anew() {
    let mut lab = Lab::new("A: a; a fails 1");
    lab.runs("A", DAY, false);
    assert_eq!(lab.state("A", DAY), "failed");
    lab.fate("A", "a", Fate::Ok);
    lab.runs("A", DAY, false);
    assert_eq!((lab.state("A", DAY), lab.run_row("A", DAY).generation), ("succeeded", 1));
}

#[test]
fn coarser_children_wait_for_all_within_and_keep_no_execution_open() {
    let mut lab = Lab::new("A: a\nB week <A:all: a\nC week <A:last: a");
    let monday = lab.runs("A", "2026-11-16", true);
    assert_eq!(lab.state("B", "2026-W47"), "waiting");
    assert_eq!(lab.execution(&monday).state, RunState::Succeeded);
    for day in 17..=21 {
        let plan = lab.runs("A", &format!("2026-11-{day}"), true);
        assert_eq!((plan.runs_made, plan.runs_joined), (1, 2));
    }
    assert_eq!(lab.state("C", "2026-W47"), "waiting");
    lab.runs("A", "2026-11-22", false);
    assert_eq!(lab.state("B", "2026-W47"), "succeeded");
    assert_eq!(lab.state("C", "2026-W47"), "succeeded");
}

#[test]
fn finer_children_run_for_every_period_within() {
    let mut lab = Lab::new("A: a\nB hour <A: a");
    let plan = lab.runs("A", DAY, true);
    assert_eq!(plan.runs_made, 25);
    assert_eq!(lab.state("B", "2026-11-20T23+00:00"), "succeeded");
    assert_eq!(lab.execution(&plan).state, RunState::Succeeded);
}

#[test]
fn periods_are_mapped() {
    let mut lab = Lab::new("A: a\nB <A:prev2: a\nC <A:-7: a\nD month <A:last: a");
    for name in ["B", "C"] {
        lab.runs(name, DAY, false);
        assert_eq!(lab.state(name, DAY), "waiting");
    }
    lab.runs("D", "2026-11", false);
    lab.runs("A", "2026-11-13", false);
    assert_eq!(lab.state("C", DAY), "succeeded");
    lab.runs("A", "2026-11-18", false);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.runs("A", "2026-11-19", false);
    assert_eq!(lab.state("B", DAY), "succeeded");
    assert_eq!(lab.state("D", "2026-11"), "waiting");
    lab.runs("A", "2026-11-30", false);
    assert_eq!(lab.state("D", "2026-11"), "succeeded");
}

#[test]
fn a_job_needs_a_job_of_another_interface() {
    let mut lab = Lab::new("A: a>b; b fails\nB: a>b; b needs A.a; c\nC: a; a needs A.b");
    lab.runs("B", DAY, false);
    assert_eq!(lab.jobs("B", DAY), "a ok, b waiting, c ok");
    lab.runs("C", DAY, false);
    lab.runs("A", DAY, false);
    assert_eq!(lab.state("B", DAY), "succeeded");
    assert_eq!(lab.jobs("C", DAY), "a waiting");
    // The need is never run by itself, and it is history too.
    lab.runs("B", DAY, false);
    assert_eq!(lab.state("B", DAY), "succeeded");
    let jobs = lab.begun.iter().filter(|attempt| attempt.job.0 == 101).count();
    assert_eq!(jobs, 1);
}

#[test]
fn waits_are_given_up_after_their_time() {
    let mut lab = Lab::new("A: a\nB <A: a; wait 60\nC: a>b; b needs A.a; b>!c; wait 60");
    let plan = lab.runs("B", DAY, false);
    lab.runs("C", DAY, false);
    lab.wait(59_000);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.wait(2_000);
    assert_eq!(lab.job_row("B", DAY, "a").reason, "gave up waiting for A 2026-11-20");
    assert_eq!(lab.execution(&plan).state, RunState::Failed);
    assert_eq!(lab.jobs("C", DAY), "a ok, b timed_out, c ok");
    assert_eq!(lab.state("C", DAY), "succeeded");
}

#[test]
fn an_empty_interface_passes_things_on() {
    let mut lab = Lab::new("A:\nB <A:\nC <B: a");
    lab.runs("A", DAY, true);
    assert_eq!(lab.state("C", DAY), "succeeded");
    let mut lab = Lab::new("A: a; a fails\nB <A:\nC <B: a");
    lab.runs("A", DAY, true);
    assert_eq!((lab.state("B", DAY), lab.state("C", DAY)), ("failed", "failed"));
}

#[test]
fn a_period_may_depend_on_the_one_before() {
    let mut lab = Lab::new("A: a; self idle; a hangs\nB: a; self succeeded; a hangs");
    for name in ["A", "B"] {
        lab.runs(name, "2026-11-19", false);
        lab.runs(name, DAY, false);
        assert_eq!((lab.state(name, "2026-11-19"), lab.state(name, DAY)), ("running", "waiting"));
        lab.exit(name, "2026-11-19", "a", Exit::Code(1));
    }
    assert_eq!((lab.state("A", DAY), lab.state("B", DAY)), ("running", "waiting"));
    lab.fate("B", "a", Fate::Ok);
    lab.runs("B", "2026-11-19", false);
    assert_eq!(lab.state("B", DAY), "succeeded");
}

#[test]
fn a_new_generation_makes_what_it_fed_stale() {
    let mut lab = Lab::new("A: a\nB <A: a\nC <B: a\nD <A:-1: a");
    lab.runs("A", DAY, true);
    lab.runs("D", "2026-11-21", false);
    lab.runs("A", DAY, false);
    let stale = |lab: &Lab, name, on| lab.run_row(name, on).stale;
    assert!(stale(&lab, "B", DAY) && stale(&lab, "C", DAY) && stale(&lab, "D", "2026-11-21"));
    assert!(!stale(&lab, "A", DAY));
    lab.runs("B", DAY, true);
    assert!(!stale(&lab, "B", DAY) && !stale(&lab, "C", DAY));
    // What was made anew counts no more: its mark is gone.
    let marked = |lab: &Lab, name| {
        let of = |row: &&Run| row.interface == interface(name) && row.stale;
        let runs = lab.db.values().filter_map(|row| match row {
            Row::Run(run) => Some(run),
            _ => None,
        });
        runs.filter(of).count()
    };
    assert_eq!((marked(&lab, "B"), marked(&lab, "C"), marked(&lab, "D")), (0, 0, 1));
}

#[test]
fn what_is_at_work_on_an_older_generation_is_stale_and_what_waits_is_not() {
    let mut lab = Lab::new("A: a\nB <A: a\nC <A: a");
    lab.runs("A", DAY, false);
    lab.fate("B", "a", Fate::Hangs);
    lab.runs("B", DAY, false);
    assert_eq!(lab.state("B", DAY), "running");
    // A and C anew: C waits for this very A.
    lab.runs("C", DAY, false);
    lab.runs("A", DAY, false);
    assert!(lab.run_row("B", DAY).stale && lab.run_row("C", DAY).stale);
    lab.runs("A", DAY, true);
    assert!(lab.run_row("B", DAY).stale, "it is shared, and was begun before");
    assert!(!lab.run_row("C", DAY).stale);
    lab.exit("B", DAY, "a", Exit::Code(0));
    assert_eq!(lab.state("B", DAY), "succeeded");
    assert!(lab.run_row("B", DAY).stale);
}

#[test]
fn a_ladder_of_two_to_the_thirtieth_paths_is_expanded_once() {
    // A1 -> B1, C1 -> A2 -> …: thirty diamonds.
    let mut catalog = crate::engine::catalog::Catalog::default();
    let parent = |id| shared::spec::Parent {
        interface: shared::ids::InterfaceId(id),
        map: Default::default(),
    };
    let mut add = |id: i64, parents: Vec<i64>| {
        let spec = shared::spec::InterfaceSpec {
            parents: parents.into_iter().map(parent).collect(),
            ..Default::default()
        };
        let id = shared::ids::InterfaceId(id);
        let name = format!("i{id}");
        let project = shared::ids::ProjectId(1);
        let found =
            crate::engine::catalog::Interface { id, project, name, version: 1, spec, jobs: vec![] };
        catalog.interfaces.insert(id, std::sync::Arc::new(found));
    };
    add(1, vec![]);
    for step in 0..30 {
        let top = 1 + step * 3;
        add(top + 1, vec![top]);
        add(top + 2, vec![top]);
        add(top + 3, vec![top + 1, top + 2]);
    }
    let mut lab = Lab::of(catalog, Default::default(), None);
    let plan = lab.runs("A", DAY, true);
    assert_eq!(plan.runs_made, 91);
    assert_eq!(lab.execution(&plan).state, RunState::Succeeded);
}
