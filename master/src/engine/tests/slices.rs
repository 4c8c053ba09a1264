//! What is resident: loaded when needed, never missed, dropped when idle.

use super::lab::*;
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::ids::*;

const DAY: &str = "2026-11-20";

fn stored(lab: &mut Lab) {
    let step = lab.world.step();
    lab.apply(Event::Stored(step));
}

#[test]
fn what_is_idle_is_dropped_and_comes_back() {
    let mut lab = Lab::new("A: a\nB <A: a\nC: a; a needs A.a\nD: a hangs");
    lab.runs("A", DAY, false);
    lab.runs("D", DAY, false);
    stored(&mut lab);
    lab.pass(119_000);
    stored(&mut lab);
    assert_eq!(lab.world.table().runs.len(), 2);
    lab.pass(2_000);
    stored(&mut lab);
    let table = lab.world.table();
    assert_eq!((table.runs.len(), table.jobs.len(), table.executions.len()), (1, 1, 1));
    lab.runs("B", DAY, false);
    lab.runs("C", DAY, false);
    assert_eq!((lab.state("B", DAY), lab.state("C", DAY)), ("succeeded", "succeeded"));
    let plan = lab.runs("A", DAY, false);
    assert_eq!(plan.runs_made, 1);
    assert_eq!(lab.run_row("A", DAY).generation, 1);
}

#[test]
fn what_is_not_stored_is_not_dropped() {
    let mut lab = Lab::new("A: a");
    let step = lab.world.step();
    lab.runs("A", DAY, false);
    for _ in 0..5 {
        lab.pass(100_000);
        lab.apply(Event::Stored(step));
    }
    assert_eq!(lab.world.table().runs.len(), 1);
}

#[test]
fn runs_of_a_live_execution_and_slices_that_are_waited_for_stay() {
    let mut lab = Lab::new("A: a\nB <A: a hangs\nC <D: a\nD: a");
    lab.runs("A", DAY, true);
    lab.runs("C", DAY, false);
    for _ in 0..5 {
        lab.pass(100_000);
        stored(&mut lab);
    }
    assert_eq!(lab.world.table().runs.len(), 3);
    let loads = lab.loads;
    lab.runs("D", DAY, false);
    assert_eq!(lab.state("C", DAY), "succeeded");
    assert_eq!(lab.loads, loads, "it was known that D had no run");
}

#[test]
fn a_fact_that_comes_between_the_wait_and_its_load_is_not_missed() {
    let mut lab = Lab::new("A: a; a hangs\nB <A: a");
    lab.runs("A", DAY, false);
    lab.reload();
    lab.settle();
    // B waits, and asks what is known of A. The answer is from before A ends, and comes after.
    let verb = Verb::RunNow {
        interface: interface("B"),
        period: period(DAY),
        cascade: false,
        params: Default::default(),
        missing_only: false,
        api: false,
    };
    let command = Command { project: ProjectId(1), by: UserId(1), verb, dry_run: false };
    lab.apply(Event::Command(CommandId(99), command));
    lab.give();
    assert_eq!(lab.state("B", DAY), "waiting");
    assert!(!lab.world.due().load.is_empty());
    let ask = *lab.world.due().load.first().unwrap();
    let old: Vec<(Key, Row)> = lab.db.iter().map(|(key, row)| (*key, row.clone())).collect();
    let old =
        old.into_iter().filter(|(key, _)| matches!(key, Key::Run(id) if *id == lab.run("A", DAY)));
    let old = SliceRows { ask, rows: old.collect(), definition: None };
    let id = JobRunId { run: lab.run("A", DAY), job: job(interface("A"), "a") };
    let attempt = lab.world.table().jobs[&id].attempt(id);
    lab.running.clear();
    let ended = shared::wire::State::Ended(shared::wire::Exit::Code(0));
    lab.answer(HostId(1), false, vec![report(attempt, ended)]);
    lab.apply(Event::Slices(vec![old]));
    lab.settle();
    assert_eq!(lab.state("B", DAY), "succeeded");
}

#[test]
fn waits_of_the_rows_are_looked_at_again_by_a_new_leader() {
    let mut lab = Lab::new("A: a\nB <A: a");
    lab.runs("B", DAY, false);
    lab.runs("A", "2026-11-19", false);
    lab.reload();
    // As if the leader had died between the commit of the wait and its first look.
    let run = lab.run("A", "2026-11-19");
    let Some(Row::Run(row)) = lab.db.get(&Key::Run(run)).cloned() else { panic!("no run") };
    let id = RunId::of(interface("A"), period(DAY), 0);
    lab.db.insert(Key::Run(id), Row::Run(Run { period: period(DAY), ..row }));
    lab.settle();
    lab.apply(Event::Tick);
    lab.settle();
    assert_eq!(lab.state("B", DAY), "succeeded");
}

#[test]
fn details_are_purged_and_the_run_still_counts() {
    let mut lab = Lab::new("A: a\nB: a; a needs A.a");
    lab.runs("A", DAY, false);
    lab.pass(1_000);
    let gone = |changes: Vec<Change>| changes.iter().filter(|(_, row)| row.is_none()).count();
    let changes = lab.apply(Event::Purge(lab.now.date));
    assert_eq!(gone(changes), 0, "nothing of it is stored yet");
    stored(&mut lab);
    let changes = lab.apply(Event::Purge(lab.now.date));
    assert_eq!(gone(changes), 3);
    lab.runs("B", DAY, false);
    assert_eq!(lab.state("B", DAY), "succeeded");
    let plan = lab.runs("A", DAY, false);
    assert_eq!(plan.runs_made, 1);
}
