//! Inside one run: edges, joins, failures, retries.

use super::lab::*;

const DAY: &str = "2026-11-20";

/// The jobs of interface `A: {dag}` after it has run, and how the run ended.
fn check(dag: &str, jobs: &str) {
    let mut lab = Lab::new(&format!("A: {dag}"));
    lab.runs("A", DAY, false);
    lab.wait(24 * 3_600_000);
    assert_eq!(format!("{}; {}", lab.jobs("A", DAY), lab.state("A", DAY)), jobs, "{dag}");
}

#[test]
fn jobs_run_in_the_order_of_the_dag() {
    check("a>b>c", "a ok, b ok, c ok; succeeded");
    check("a>b>c; b fails", "a ok, b failed, c skipped; failed");
    check("a>b; c>d; a fails", "a failed, b skipped, c ok, d ok; failed");
    check("a>b,c>d; b fails", "a ok, b failed, c ok, d skipped; failed");
    check("", "; succeeded");
}

#[test]
fn failures_that_are_taken_up_do_not_fail_the_run() {
    check("a>!b; a fails", "a failed, b ok; succeeded");
    check("a>!b", "a ok, b skipped; succeeded");
    check("a>!b; a>c; a fails", "a failed, b ok, c skipped; succeeded");
    check("a>!b; a,b fails", "a failed, b ok; succeeded");
    check("a>!b; a fails; b fails", "a failed, b failed; failed");
    check("a>!b; c>b; a fails; c fails", "a failed, b skipped, c failed; failed");
    check("a>*b; a fails", "a failed, b ok; failed");
    check("a>*b>c; a>d; a fails", "a failed, b ok, c ok, d skipped; failed");
    check("a>!b; a times out", "a timed_out, b ok; succeeded");
}

#[test]
fn any_of_the_edges_may_be_enough() {
    check("a,b>c; any c; a fails", "a failed, b ok, c ok; failed");
    check("a,b>c; any c; a fails; b fails", "a failed, b failed, c skipped; failed");
    check("a>b; a>!c; b,c>d; any d; a fails", "a failed, b skipped, c ok, d ok; succeeded");
    check("a>b; a>!c; b,c>d; any d", "a ok, b ok, c skipped, d ok; succeeded");
}

#[test]
fn a_run_may_stop_at_the_first_failure() {
    check(
        "stop; a>b; c>d; a fails; c tries 2; c fails 1",
        "a failed, b skipped, c ok, d skipped; failed",
    );
    check("stop; a>!b; a fails; b>c", "a failed, b ok, c ok; succeeded");
    check(
        "stop; a>!b; c>b; d>e; a fails; c fails",
        "a failed, b skipped, c failed, d ok, e skipped; failed",
    );
}

#[test]
fn retries_are_counted_and_wait() {
    check("a tries 3; a fails 2; a>b", "a ok, b ok; succeeded");
    check("a tries 3; a fails 3; a>b", "a failed, b skipped; failed");
    let mut lab = Lab::new("A: a tries 3; a fails 2");
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a waiting");
    assert_eq!(lab.job_row("A", DAY, "a").reason, "attempt 1 of 3: exit code 1");
    lab.pass(29_999);
    assert_eq!(lab.begun.len(), 1);
    lab.pass(1);
    assert_eq!(lab.begun.len(), 2);
    lab.pass(59_999);
    assert_eq!(lab.begun.len(), 2);
    lab.pass(1);
    assert_eq!((lab.begun.len(), lab.state("A", DAY)), (3, "succeeded"));
}
