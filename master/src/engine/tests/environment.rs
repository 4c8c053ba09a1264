//! Named environments: a job goes only where its host has said that it has what the job asks for.

use super::lab::*;
use crate::engine::world::*;
use shared::ids::*;
use shared::wire::{Exit, HostFacts, Named, WatchAnswer};

const DAY: &str = "2026-11-20";

/// The host tells which environments it has; one that is broken is none.
fn has(lab: &mut Lab, host: HostId, names: &[&str]) {
    let named = |name: &&str, whole| ((*name).to_owned(), Named { whole, words: "x".into() });
    let all = names.iter().map(|name| named(name, true));
    let facts =
        HostFacts { named: all.chain([named(&"broken", false)]).collect(), ..HostFacts::default() };
    let answer = lab.seq.get_mut(&host).unwrap();
    answer.seq += 1;
    let (answer, facts, wall_ms) = (*answer, Some(Box::new(facts)), lab.now.wall);
    lab.apply(Event::Heard(host, WatchAnswer { answer, facts, wall_ms, ..WatchAnswer::default() }));
}

fn host_of(lab: &Lab, name: &str) -> HostId {
    let row = lab.job_row("A", DAY, name);
    row.phase.place().expect("it has a place").host
}

#[test]
fn a_job_waits_for_a_host_that_has_its_environment_and_says_so() {
    let mut lab = Lab::with_hosts("A: a hangs; a in pdi-8; b; c in broken", &[8, 8]);
    lab.start("A", DAY, false);
    let why = "none of 2 host(s) that answer has environment pdi-8";
    assert_eq!(lab.job_row("A", DAY, "a").reason, why);
    let why = "none of 2 host(s) that answer has environment broken";
    lab.settle();
    assert_eq!(lab.jobs("A", DAY), "a queued, b ok, c queued");
    // One that has another does not help.
    has(&mut lab, HostId(1), &["java-17", "pdi-9"]);
    assert_eq!(lab.jobs("A", DAY), "a queued, b ok, c queued");
    has(&mut lab, HostId(2), &["pdi-8"]);
    assert_eq!(host_of(&lab, "a"), HostId(2));
    lab.settle();
    assert_eq!(lab.jobs("A", DAY), "a running, b ok, c queued");
    assert_eq!(lab.job_row("A", DAY, "c").reason, why);
}

#[test]
fn what_a_host_has_no_more_is_not_counted_on_and_what_runs_goes_on() {
    let mut lab = Lab::with_hosts("A: a hangs; a in jdk", &[8]);
    has(&mut lab, HostId(1), &["jdk"]);
    lab.start("A", DAY, false);
    lab.settle();
    has(&mut lab, HostId(1), &[]);
    lab.settle();
    assert_eq!(lab.jobs("A", DAY), "a running");
    // Facts come now and then: an answer without them changes nothing.
    let mut other = Lab::with_hosts("A: a; a in jdk", &[8]);
    has(&mut other, HostId(1), &["jdk"]);
    other.answer(HostId(1), false, vec![]);
    other.runs("A", DAY, false);
    assert_eq!(other.jobs("A", DAY), "a ok");
}

#[test]
fn another_leader_waits_until_it_has_been_told() {
    let mut lab = Lab::with_hosts("A: a; a in jdk", &[8]);
    lab.start("A", DAY, false);
    lab.reload();
    lab.settle();
    assert_eq!(lab.jobs("A", DAY), "a queued");
    has(&mut lab, HostId(1), &["jdk"]);
    lab.settle();
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn a_kind_says_what_an_exit_code_means_and_a_warning_is_a_success() {
    let mut lab = Lab::new("A: a>b; a hangs; a is kettle");
    lab.runs("A", DAY, false);
    lab.exit("A", DAY, "a", Exit::Code(200));
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok");
    let why = "exit code 200: it ended with 0, but its log tells of errors";
    assert_eq!(lab.job_row("A", DAY, "a").reason, why);
    let mut lab = Lab::new("A: a>b; a hangs; a is kettle");
    lab.runs("A", DAY, false);
    lab.exit("A", DAY, "a", Exit::Code(9));
    assert_eq!(lab.jobs("A", DAY), "a failed, b skipped");
    assert_eq!(lab.job_row("A", DAY, "a").reason, "exit code 9: it was told nothing to run");
    let mut lab = Lab::new("A: a hangs");
    lab.runs("A", DAY, false);
    lab.exit("A", DAY, "a", Exit::Code(9));
    assert_eq!(lab.job_row("A", DAY, "a").reason, "exit code 9");
}
