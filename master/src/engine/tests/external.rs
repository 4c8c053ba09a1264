//! What lives elsewhere goes on without who looked on: the next attempt goes on looking.

use super::lab::*;
use shared::external::outcome::{GONE, UNSEEN};
use shared::ids::*;
use shared::wire::{Exit, State};

const DAY: &str = "2026-11-20";

fn begun(mesh: &str) -> Lab {
    let mut lab = Lab::new(mesh);
    lab.start("A", DAY, false);
    lab.settle();
    lab
}

fn attempt(lab: &Lab) -> AttemptId {
    let id = JobRunId { run: lab.run("A", DAY), job: lab.begun.last().unwrap().job };
    lab.world.table().jobs[&id].attempt(id)
}

fn unseen(lab: &Lab) -> Vec<u32> {
    lab.world
        .unseen_before(attempt(lab))
        .attempts
        .into_iter()
        .map(|attempt| attempt.number)
        .collect()
}

#[test]
fn who_looked_on_may_die_as_often_as_he_likes() {
    let mut lab = begun("A: a; a is carte; a hangs");
    for number in 1..5 {
        let exit = if number % 2 == 0 { Exit::Code(UNSEEN) } else { Exit::Signal(9) };
        lab.exit("A", DAY, "a", exit);
        lab.wait(60_000);
        assert_eq!(attempt(&lab).number, number + 1);
        assert_eq!(unseen(&lab), (1..=number).rev().collect::<Vec<_>>());
        assert!(!lab.world.unseen_before(attempt(&lab)).stopped);
    }
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn what_has_failed_there_is_not_adopted_by_who_tries_it_again() {
    let mut lab = begun("A: a; a is carte; a tries 2; a hangs");
    lab.exit("A", DAY, "a", Exit::Signal(9));
    lab.wait(60_000);
    lab.exit("A", DAY, "a", Exit::Code(1));
    lab.wait(60_000);
    assert_eq!((attempt(&lab).number, unseen(&lab)), (3, vec![]));
    // That was its second try: looking on is none.
    lab.exit("A", DAY, "a", Exit::Code(1));
    lab.wait(60_000);
    assert_eq!(lab.state("A", DAY), "failed");
}

#[test]
fn what_the_server_has_forgotten_is_for_a_person_to_say() {
    let mut lab = begun("A: a; a is carte; a tries 3; a hangs");
    lab.exit("A", DAY, "a", Exit::Code(GONE));
    lab.wait(60_000);
    assert_eq!(lab.state("A", DAY), "failed");
    let why = &lab.job_row("A", DAY, "a").reason;
    assert!(why.contains("does not know it any more"), "{why}");
}

#[test]
fn one_whose_end_is_unknown_is_looked_for_whatever_its_policy() {
    let mut lab = begun("A: a; a is carte; a unknown hold; a hangs");
    let host = HostId(1);
    let lost = attempt(&lab);
    lab.running.entry(host).or_default().clear();
    lab.answer(host, false, vec![report(lost, State::Unknown)]);
    lab.wait(60_000);
    assert_eq!((attempt(&lab).number, unseen(&lab)), (2, vec![1]));
    // A time-out is its end: whether it has ended there too, who comes after sees.
    let mut lab = begun("A: a; a is carte; a tries 2; a hangs");
    lab.exit("A", DAY, "a", Exit::TimedOut);
    lab.wait(60_000);
    assert_eq!((attempt(&lab).number, unseen(&lab)), (2, vec![1]));
    assert!(
        lab.world.unseen_before(attempt(&lab)).stopped,
        "what was stopped there we have stopped"
    );
    lab.exit("A", DAY, "a", Exit::TimedOut);
    lab.wait(60_000);
    assert_eq!(lab.state("A", DAY), "failed");
}

#[test]
fn a_process_has_nothing_to_be_looked_for() {
    let mut lab = begun("A: a; a tries 2; a hangs");
    lab.exit("A", DAY, "a", Exit::Signal(9));
    lab.wait(60_000);
    assert_eq!((attempt(&lab).number, unseen(&lab)), (2, vec![]));
    lab.exit("A", DAY, "a", Exit::Signal(9));
    lab.wait(60_000);
    assert_eq!(lab.state("A", DAY), "failed");
}
