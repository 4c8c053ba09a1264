//! Runs that take too long: on-call is told, and they are stopped.

use super::lab::*;
use crate::engine::rows::*;
use shared::wire::Exit;

const DAY: &str = "2026-11-20";

#[test]
fn what_takes_too_long_is_told_and_then_stopped() {
    let mut lab = Lab::new("A: a>b; a hangs; alarm 60; stop 90\nB <A: a");
    let plan = lab.runs("A", DAY, true);
    lab.wait(59_000);
    assert_eq!(lab.alerts(), []);
    lab.wait(1_000);
    assert_eq!(lab.alerts(), [AlertEvent::RunLate]);
    // Another leader tells it no second time.
    lab.reload();
    lab.wait(29_000);
    assert_eq!(lab.alerts(), [AlertEvent::RunLate]);
    lab.reload();
    lab.wait(1_000);
    assert_eq!(lab.jobs("A", DAY), "a stopped, b stopped");
    for job in ["a", "b"] {
        assert_eq!(lab.job_row("A", DAY, job).reason, "its run has taken longer than 90 s");
    }
    assert_eq!((lab.state("A", DAY), lab.state("B", DAY)), ("stopped", "failed"));
    use AlertEvent::*;
    assert_eq!(lab.alerts(), [RunLate, ExecutionFailed, RunTimedOut]);
    assert_eq!(lab.execution(&plan).state, RunState::Failed);
}

#[test]
fn waiting_for_others_is_no_age_and_a_resumed_run_begins_anew() {
    let mut lab = Lab::new("A: a; a hangs\nB <A: a>b; a hangs; stop 60");
    let plan = lab.runs("A", DAY, true);
    lab.wait(600_000);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.exit("A", DAY, "a", Exit::Code(0));
    lab.wait(59_000);
    assert_eq!(lab.jobs("B", DAY), "a running, b waiting");
    lab.wait(1_000);
    assert_eq!(lab.jobs("B", DAY), "a stopped, b stopped");
    let execution = plan.execution.unwrap();
    lab.command(Verb::ResumeExecution { execution }, false);
    lab.settle();
    lab.wait(59_000);
    assert_eq!(lab.jobs("B", DAY), "a running, b waiting");
    lab.exit("B", DAY, "a", Exit::Code(0));
    assert_eq!(lab.state("B", DAY), "succeeded");
    lab.wait(60_000);
    assert_eq!(lab.state("B", DAY), "succeeded");
}

/// A clock that is wrong stops nobody.
#[test]
fn ages_are_judged_by_clocks_that_agree() {
    let mut lab = Lab::new("A: a; a hangs; stop 60");
    lab.runs("A", DAY, false);
    lab.now.wall += 3_600_000;
    lab.pass(61_000);
    assert_eq!(lab.jobs("A", DAY), "a running");
    lab.now.wall -= 3_600_000;
    lab.pass(1_000);
    assert_eq!(lab.jobs("A", DAY), "a stopped");
}

/// What began while no clock could be trusted has its time from when one can be.
#[test]
fn an_age_counts_by_clocks_that_agree() {
    let mut lab = Lab::new("A: a; a hangs; stop 60");
    lab.now.date -= 10_800_000;
    lab.pass(1);
    lab.runs("A", DAY, false);
    assert_eq!(lab.run_row("A", DAY).age_from, None);
    lab.now.date += 10_800_000;
    lab.pass(1_000);
    lab.wait(58_000);
    assert_eq!(lab.jobs("A", DAY), "a running");
    lab.wait(3_000);
    assert_eq!(lab.jobs("A", DAY), "a stopped");
}
