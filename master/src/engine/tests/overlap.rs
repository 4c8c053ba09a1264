//! What an instant does while earlier executions of its dispatch live, and in a blackout window.

use super::lab::*;
use super::notation::Fate;
use super::time::{D1, MINUTE, away, dispatch, firings, with};
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::spec::{Misfire, Overlap};

/// Jobs of an hour that never end by themselves, fired each hour, the hour before it: it is 10:26:40.
fn hourly(mesh: &str, overlap: Overlap) -> Lab {
    let mut rule = dispatch("0 * * * *");
    rule.spec.overlap = overlap;
    with(mesh, rule)
}

const ONE: &str = "2026-11-18T10+00:00";
const TWO: &str = "2026-11-18T11+00:00";
const THREE: &str = "2026-11-18T12+00:00";

#[test]
fn while_one_lives_the_next_instant_is_skipped_and_told() {
    let mut lab = hourly("A hour: a; a hangs", Overlap::Skip);
    lab.wait(60 * MINUTE);
    lab.reload();
    lab.wait(60 * MINUTE);
    assert_eq!(firings(&lab), "11:00 fired, 12:00 overlap");
    lab.wait(60 * MINUTE);
    // Once, however many are skipped; the leader before had nothing to tell.
    assert_eq!(lab.alerts(), [AlertEvent::FiringSkipped]);
    let run = lab.run("A", ONE);
    lab.command(Verb::Stop { run }, false);
    lab.settle();
    lab.wait(60 * MINUTE);
    assert_eq!(firings(&lab), "11:00 fired, 12:00 overlap, 13:00 overlap, 14:00 fired");
    // By hand it is started nevertheless, and does not count.
    let verb = Verb::RunDispatch { dispatch: D1, period: ONE.parse().unwrap(), cascade: false };
    lab.command(verb, false);
    let run = lab.run("A", "2026-11-18T13+00:00");
    lab.command(Verb::Stop { run }, false);
    lab.settle();
    lab.wait(60 * MINUTE);
    assert!(firings(&lab).ends_with("15:00 fired"), "{}", firings(&lab));
}

#[test]
fn so_many_may_live_at_once() {
    let mut lab = hourly("A hour: a; a hangs", Overlap::Parallel(2));
    lab.wait(150 * MINUTE);
    assert_eq!(firings(&lab), "11:00 fired, 12:00 fired");
    lab.wait(60 * MINUTE);
    assert_eq!(firings(&lab), "11:00 fired, 12:00 fired, 13:00 overlap");
}

#[test]
fn they_wait_for_each_other_interface_by_interface() {
    let mut lab = hourly("A hour: a; a hangs\nB hour <A: b", Overlap::Queue);
    lab.wait(120 * MINUTE);
    lab.reload();
    lab.wait(60 * MINUTE);
    assert_eq!(firings(&lab), "11:00 fired, 12:00 fired, 13:00 fired");
    let states = |lab: &Lab, of: &str| [ONE, TWO, THREE].map(|on| lab.state(of, on));
    assert_eq!(states(&lab, "A"), ["running", "waiting", "waiting"]);
    // However the first one ends, the second begins, and not the third.
    let run = lab.run("A", ONE);
    lab.command(Verb::Stop { run }, false);
    lab.settle();
    assert_eq!(states(&lab, "A"), ["stopped", "running", "waiting"]);
    assert_eq!(states(&lab, "B")[1..], ["waiting", "waiting"]);
}

#[test]
fn who_is_stopped_in_the_queue_lets_nobody_past() {
    let mut lab = hourly("A hour: a; a hangs", Overlap::Queue);
    lab.wait(180 * MINUTE);
    let states = |lab: &Lab| [ONE, TWO, THREE].map(|on| lab.state("A", on));
    assert_eq!(states(&lab), ["running", "waiting", "waiting"]);
    let run = lab.run("A", TWO);
    lab.command(Verb::Stop { run }, false);
    lab.reload();
    lab.settle();
    assert_eq!(states(&lab), ["running", "stopped", "waiting"]);
    let run = lab.run("A", ONE);
    lab.command(Verb::Stop { run }, false);
    lab.settle();
    assert_eq!(states(&lab), ["stopped", "stopped", "running"]);
}

#[test]
fn hours_of_one_day_that_is_fired_again_do_not_wait_for_each_other() {
    // Each hour of the day after the one before; the first that fails holds up the others.
    let mut rule = dispatch("0 * * * *");
    rule.spec.overlap = Overlap::Queue;
    let mut lab = with("A: a\nB hour <A: b; b fails 1; self succeeded", rule);
    lab.wait(60 * MINUTE);
    let first = lab.run_row("B", "2026-11-17T00+00:00");
    assert_eq!((first.generation, first.state), (0, RunState::Failed));
    lab.fate("B", "b", Fate::Ok);
    lab.wait(60 * MINUTE);
    // Made anew, it succeeds, and all behind it go on.
    for hour in [0, 1, 23] {
        let on = format!("2026-11-17T{hour:02}+00:00");
        assert_eq!(lab.state("B", &on), "succeeded", "{on}");
    }
}

#[test]
fn a_period_that_is_fired_again_does_not_wait_for_itself() {
    // Each hour, for the same day: the second firing joins what lives, and makes anew what failed.
    let mut rule = dispatch("0 * * * *");
    rule.spec.overlap = Overlap::Queue;
    let mut lab = with("A: a\nB <A: b; b fails\nC <A: c; c hangs", rule);
    lab.wait(60 * MINUTE);
    let day = "2026-11-17";
    assert_eq!([lab.state("B", day), lab.state("C", day)], ["failed", "running"]);
    lab.wait(60 * MINUTE);
    let again = lab.run_row("B", day);
    assert_eq!((again.generation, again.state), (1, RunState::Failed), "it was made anew, and ran");
}

#[test]
fn what_ran_before_is_stopped() {
    let mut lab = hourly("A hour: a; a hangs\nB day <A: b; b hangs", Overlap::Cancel);
    lab.wait(120 * MINUTE);
    lab.settle();
    assert_eq!(firings(&lab), "11:00 fired, 12:00 fired");
    assert_eq!([lab.state("A", ONE), lab.state("A", TWO)], ["stopped", "running"]);
    // It says why, and not that a person did it.
    assert_eq!(lab.job_row("A", ONE, "a").reason, "stopped by its dispatch, which has fired again");
    // What both need, the day, goes on.
    assert!(["waiting", "running"].contains(&lab.state("B", "2026-11-18")));
}

#[test]
fn in_a_blackout_window_it_does_not_fire() {
    let mut rule = dispatch("* * * * *");
    rule.spec.blackouts = vec!["10:28-10:30 WED".into(), "10:28-10:31 THU".into()];
    let mut lab = with("A: a", rule);
    lab.wait(4 * MINUTE);
    assert_eq!(firings(&lab), "10:27 fired, 10:28 blackout, 10:29 blackout, 10:30 fired");
}

#[test]
fn the_last_one_is_made_good_also_before_a_blackout() {
    let mut rule = dispatch("* * * * *");
    rule.spec.misfire = Misfire::Last;
    rule.spec.late_s = 10;
    rule.spec.blackouts = vec!["10:29-10:33".into()];
    let mut lab = with("A: a", rule);
    away(&mut lab, 4 * MINUTE);
    lab.apply(Event::Tick);
    lab.settle();
    assert_eq!(firings(&lab), "10:27 misfired, 10:28 fired, 10:29 blackout, 10:30 blackout");
}
