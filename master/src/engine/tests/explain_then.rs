//! Why then: time lines, what is waited for in a queue, what is stale, and where an answer ends.

use super::explain::*;
use super::lab::*;
use super::time::MINUTE;
use crate::engine::explain::*;
use crate::engine::rows::*;
use shared::ids::ProjectId;
use shared::wire::Exit;
use std::sync::Arc;

#[test]
fn a_queue_a_retry_and_a_pause_say_what_they_wait_for() {
    let mut lab = Lab::with_hosts("A: a>b; a hangs; a tries 2\nB: a", &[1]);
    lab.runs("A", DAY, false);
    lab.runs("B", DAY, false);
    why(&lab, of("B", DAY)).is("
            B 2026-11-20 has begun nothing yet
              a is ready and has no place: no free slot on 1 host(s) <- a place that becomes free on a host that fits
    ");
    let run = lab.run("B", DAY);
    lab.command(Verb::Pause { run }, false);
    why(&lab, of("B", DAY)).is("
            B 2026-11-20 has begun nothing yet
              a person has paused it <- unpause it
    ");
    lab.command(Verb::Unpause { run }, false);
    lab.settle();
    lab.exit("A", DAY, "a", Exit::Code(1));
    why(&lab, of("A", DAY)).is("
            A 2026-11-20 is running
              a is to be tried again: attempt 1 of 2: exit code 1
    ");
    then(&lab, of("B", DAY)).is("
            olga started it
            the run of B 2026-11-20 was made
            the first job of B 2026-11-20 began
            *until then a had no place: no free slot on 1 host(s)
            a was assigned to h1
            a: succeeded
            B 2026-11-20 ended: succeeded
    ");
    then(&lab, job_of(&lab, "B", DAY, "a")).is("
            olga started it
            the run of B 2026-11-20 was made
            a had all that it needed
            *until then a had no place: no free slot on 1 host(s)
            a was assigned to h1
            a: succeeded
    ");
}

#[test]
fn every_try_stands_in_the_time_line() {
    let mut lab = Lab::new("A: a>b; a fails 1; a tries 2");
    lab.runs("A", DAY, false);
    lab.wait(60 * MINUTE);
    then(&lab, of("A", DAY)).is("
            olga started it
            *the run of A 2026-11-20 was made
            the first job of A 2026-11-20 began
            a was assigned to h1
            try 1 ended: exit code 1
            a was assigned to h1
            try 2 ended: exit code 0
            a: succeeded
            b was assigned to h1
            b: succeeded
            A 2026-11-20 ended: succeeded
    ");
    then(&lab, job_of(&lab, "A", DAY, "b")).is("
            olga started it
            the run of A 2026-11-20 was made
            *a, which comes before: succeeded
            b had all that it needed
            b was assigned to h1
            b: succeeded
    ");
}

#[test]
fn what_was_waited_for_last_is_why_it_ended_then() {
    let mut lab = Lab::new("A: a\nB: a\nC <A <B: a");
    lab.start("C", DAY, false);
    lab.settle();
    lab.runs("B", DAY, false);
    lab.wait(MINUTE);
    lab.runs("A", DAY, false);
    then(&lab, of("C", DAY)).is("
            olga started it
            the run of C 2026-11-20 was made
            B 2026-11-20 was there
            *A 2026-11-20 was there
            the first job of C 2026-11-20 began
            a was assigned to h1
            a: succeeded
            C 2026-11-20 ended: succeeded
    ");
    let plan = lab.runs("A", DAY, true);
    why(&lab, Question::Execution(plan.execution.unwrap())).is("
            A 2026-11-20 succeeded
    ");
    then(&lab, Question::Execution(plan.execution.unwrap())).is("
            olga started it
            an execution of A 2026-11-20 was made
            *the run of A 2026-11-20 was made
            the first job of A 2026-11-20 began
            A 2026-11-20 ended: succeeded
            the run of C 2026-11-20 was made
            *A 2026-11-20 was there
            the first job of C 2026-11-20 began
            C 2026-11-20 ended: succeeded
            the execution of A 2026-11-20 ended: succeeded
    ");
}

#[test]
fn what_is_stale_says_what_is_newer() {
    let mut lab = Lab::new("A: a\nB <A: a\nC <B: a");
    lab.runs("A", DAY, true);
    lab.wait(MINUTE);
    lab.runs("A", DAY, false);
    why(&lab, of("B", DAY)).is("
            B 2026-11-20 is there, and stale: what it was fed by is newer <- run it anew, with what follows from it
              A 2026-11-20 has succeeded as generation 1 since
    ");
    why(&lab, of("C", DAY)).is("
            C 2026-11-20 is there, and stale: what it was fed by is newer <- run it anew, with what follows from it
              B 2026-11-20, which fed it, is stale itself
                B 2026-11-20 is there, and stale: what it was fed by is newer <- run it anew, with what follows from it
                  A 2026-11-20 has succeeded as generation 1 since
    ");
}

#[test]
fn waits_that_are_given_up_and_waits_in_a_circle_come_to_an_end() {
    let mut lab = Lab::new("A: a\nB <A: a");
    lab.start("B", DAY, false);
    lab.settle();
    lab.wait(25 * 60 * MINUTE);
    why(&lab, of("B", DAY)).is("
            B 2026-11-20 failed <- resume it, or run it anew
              it waited in vain for A 2026-11-20
                nothing has started A 2026-11-20 <- run it by hand
                  no dispatch starts A, nor anything that it follows from
    ");
    // Two that need each other cannot be saved; should they be there, it is said.
    let mut lab = Lab::new("A <B: a\nB <A: a");
    lab.start("A", DAY, false);
    lab.start("B", DAY, false);
    lab.settle();
    why(&lab, of("A", DAY)).is("
            A 2026-11-20 waits
              it waits for B 2026-11-20 <- any run of it that succeeds
                B 2026-11-20 waits
                  it waits for A 2026-11-20 <- any run of it that succeeds
                    A 2026-11-20 again: they wait for each other
    ");
}

#[test]
fn what_belongs_to_others_is_not_followed() {
    let mut lab = Lab::new("A: a\nB <A: a");
    lab.start("B", DAY, false);
    lab.settle();
    let mut other = (*lab.catalog.interfaces[&interface("A")]).clone();
    other.project = ProjectId(2);
    lab.catalog.interfaces.insert(other.id, Arc::new(other));
    let mut facts = Facts::new(lab.now.date, Arc::new(lab.catalog.clone()));
    facts.sees = Some([ProjectId(1)].into());
    for _ in 0..20 {
        let (_, wants) = explain(of("B", DAY), &facts);
        wants.into_iter().for_each(|want| answer(&lab, &mut facts, want));
    }
    let (answer, wants) = explain(of("B", DAY), &facts);
    assert!(wants.is_empty(), "{wants:?}");
    let mut text = String::new();
    written(&answer.head, 0, &mut text);
    Told(text).is("
            B 2026-11-20 waits
              it waits for A 2026-11-20 <- any run of it that succeeds
                A 2026-11-20 belongs to a project that you may not see
    ");
}

#[test]
fn a_wide_mesh_is_told_up_to_a_limit() {
    // Twenty levels of two, each waiting for both of the level before: a million ways.
    let mut mesh = String::from("A: a\n");
    let name = |at: usize| char::from(b'A' + u8::try_from(at).unwrap());
    for at in 1..25_usize {
        let parents = [at.checked_sub(1), at.checked_sub(2)].into_iter().flatten();
        let parents: String = parents.map(|of| format!(" <{}", name(of))).collect();
        mesh.push_str(&format!("{}{parents}: a\n", name(at)));
    }
    let mut lab = Lab::new(&mesh);
    for at in (0..25).rev() {
        lab.start(&name(at).to_string(), DAY, false);
    }
    let answer = explained(&lab, of("Y", DAY));
    let mut text = String::new();
    written(&answer.head, 0, &mut text);
    assert!(text.lines().count() < 2_000, "{}", text.lines().count());
    assert!(text.contains("there is more, which is not followed"), "{text}");
}
