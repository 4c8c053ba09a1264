//! Firing: which instants, what is decided, and what an edit, a pause or a wrong clock does.

use super::lab::*;
use crate::engine::catalog::Dispatch;
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::ids::*;
use shared::spec::{DispatchSpec, Misfire};
use std::sync::Arc;

pub(super) const MINUTE: Millis = 60_000;
pub(super) const D1: DispatchId = DispatchId(1);

pub(super) fn dispatch(cron: &str) -> Dispatch {
    let spec: DispatchSpec = serde_json::from_value(serde_json::json!({
        "interface": 1, "cron": cron, "zone": "UTC",
    }))
    .unwrap();
    let name = "nightly".into();
    Dispatch { id: D1, project: ProjectId(1), name, version: 1, since: DATE, spec }
}

pub(super) fn edit(lab: &mut Lab, dispatch: Dispatch) {
    lab.catalog.dispatches.insert(dispatch.id, Arc::new(dispatch));
    lab.catalog.revision += 1;
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(Event::Catalog(catalog));
    lab.settle();
}

pub(super) fn with(mesh: &str, dispatch: Dispatch) -> Lab {
    let mut lab = Lab::new(mesh);
    edit(&mut lab, dispatch);
    lab
}

/// `10:27 fired, 10:28 paused`
pub(super) fn firings(lab: &Lab) -> String {
    let rows = lab.db.iter().filter_map(|(key, row)| match (key, row) {
        (Key::Firing(_, instant), Row::Firing(firing)) => {
            let at = chrono::DateTime::from_timestamp_millis(*instant).unwrap();
            Some(format!("{} {:?}", at.format("%H:%M"), firing.decision).to_lowercase())
        }
        _ => None,
    });
    rows.collect::<Vec<_>>().join(", ")
}

/// The wall goes on and nobody leads.
pub(super) fn away(lab: &mut Lab, ms: Millis) {
    lab.now.tick += ms;
    lab.now.date += ms;
    lab.now.wall += ms;
    lab.reload();
    lab.settle();
}

fn due_at(lab: &Lab, ms: Millis) -> bool {
    lab.world.due().wake.is_some_and(|wake| wake == lab.now.tick + ms)
}

#[test]
fn instants_fire_when_they_come() {
    let mut lab = with("A: a\nB <A: a", dispatch("* * * * *"));
    assert!(due_at(&lab, 20_000), "it is 10:26:40");
    lab.wait(19_999);
    assert_eq!(firings(&lab), "");
    lab.wait(1);
    assert_eq!(firings(&lab), "10:27 fired");
    lab.wait(2 * MINUTE);
    assert_eq!(firings(&lab), "10:27 fired, 10:28 fired, 10:29 fired");
    // T-1, by the scheduled instant; the second and third were satisfied.
    assert_eq!(lab.state("B", "2026-11-17"), "succeeded");
    assert_eq!(lab.begun.len(), 2);
    let cursor = lab.world.table().dispatches[&D1].cursor;
    assert_eq!(cursor, DATE + 20_000 + 2 * MINUTE);
}

#[test]
fn the_period_follows_granularity_and_offset() {
    let mut spec = dispatch("0 11 * * *");
    spec.spec.period_offset = 0;
    let mut lab = with("A hour: a", spec);
    lab.wait(3_600_000);
    assert_eq!(lab.state("A", "2026-11-18T11+00:00"), "succeeded");
    let mut spec = dispatch("0 11 * * *");
    spec.spec.period_offset = 2;
    let mut lab = with("A week: a", spec);
    lab.wait(3_600_000);
    assert_eq!(lab.state("A", "2026-W45"), "succeeded");
}

fn after_five_minutes(misfire: Misfire) -> String {
    let mut spec = dispatch("* * * * *");
    spec.spec.misfire = misfire;
    spec.spec.late_s = 10;
    let mut lab = with("A: a", spec);
    away(&mut lab, 5 * MINUTE);
    lab.apply(Event::Tick);
    lab.settle();
    firings(&lab)
}

#[test]
fn late_instants_are_treated_by_their_policy() {
    let all = "10:27 fired, 10:28 fired, 10:29 fired, 10:30 fired, 10:31 fired";
    assert_eq!(after_five_minutes(Misfire::All), all);
    let last = "10:27 misfired, 10:28 misfired, 10:29 misfired, 10:30 misfired, 10:31 fired";
    assert_eq!(after_five_minutes(Misfire::Last), last);
    let none = "10:27 misfired, 10:28 misfired, 10:29 misfired, 10:30 misfired, 10:31 misfired";
    assert_eq!(after_five_minutes(Misfire::None), none);
    let within = "10:27 misfired, 10:28 misfired, 10:29 fired, 10:30 fired, 10:31 fired";
    assert_eq!(after_five_minutes(Misfire::Within(170)), within);
}

#[test]
fn a_paused_dispatch_decides_and_does_not_fire() {
    let mut lab = with("A: a", dispatch("* * * * *"));
    lab.command(Verb::PauseDispatch { dispatch: D1 }, false);
    lab.wait(MINUTE);
    lab.reload();
    lab.wait(MINUTE);
    lab.command(Verb::ResumeDispatch { dispatch: D1 }, false);
    lab.wait(MINUTE);
    assert_eq!(firings(&lab), "10:27 paused, 10:28 paused, 10:29 fired");
    let plan = lab.command(Verb::ResumeDispatch { dispatch: D1 }, false);
    assert_eq!(plan.refused.unwrap(), "it is not paused");
}

#[test]
fn a_frozen_interface_and_one_that_is_gone() {
    let mut lab = with("A: a; frozen", dispatch("* * * * *"));
    lab.wait(30_000);
    lab.catalog.interfaces.clear();
    edit(&mut lab, Dispatch { version: 2, ..dispatch("* * * * *") });
    lab.wait(MINUTE);
    assert_eq!(firings(&lab), "10:27 frozen, 10:28 failed");
    assert_eq!(lab.alerts(), [AlertEvent::FiringFailed]);
}

#[test]
fn while_the_clocks_disagree_nothing_fires() {
    let mut lab = with("A: a", dispatch("* * * * *"));
    lab.now.wall += 3_600_000;
    lab.wait(MINUTE);
    assert_eq!(firings(&lab), "");
    lab.now.wall -= 3_600_000;
    lab.apply(Event::Tick);
    lab.settle();
    assert_eq!(firings(&lab), "10:27 fired");
}

#[test]
fn an_edit_holds_from_when_it_was_saved() {
    let mut lab = with("A: a", dispatch("0 3 * * *"));
    lab.wait(10 * MINUTE);
    let since = lab.now.date;
    // Not for the ten minutes before.
    edit(&mut lab, Dispatch { version: 2, since, ..dispatch("* * * * *") });
    lab.wait(MINUTE);
    assert_eq!(firings(&lab), "10:37 fired");
}

#[test]
fn an_instant_that_was_due_when_the_dispatch_was_edited_is_decided() {
    let mut lab = with("A: a", dispatch("* * * * *"));
    lab.now.tick += 25_000;
    lab.now.date += 25_000;
    lab.now.wall += 25_000;
    // 10:27 is due and undecided when the edit is read.
    let since = lab.now.date - 1_000;
    edit(&mut lab, Dispatch { version: 2, since, ..dispatch("0 3 * * *") });
    assert_eq!(firings(&lab), "10:27 fired");
    match &lab.db[&Key::Firing(D1, DATE + 20_000)] {
        Row::Firing(firing) => assert_eq!(firing.version, 2),
        _ => panic!("no firing"),
    }
    lab.wait(MINUTE);
    assert_eq!(firings(&lab), "10:27 fired");
}

#[test]
fn only_between_its_dates_and_not_when_it_is_deleted() {
    let mut spec = dispatch("* * * * *");
    spec.spec.from_ms = Some(DATE + 20_000 + MINUTE);
    spec.spec.until_ms = Some(DATE + 20_000 + 3 * MINUTE);
    let mut lab = with("A: a", spec);
    lab.wait(10 * MINUTE);
    assert_eq!(firings(&lab), "10:28 fired, 10:29 fired");
    let mut lab = with("A: a", dispatch("* * * * *"));
    lab.catalog.dispatches.clear();
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(Event::Catalog(catalog));
    lab.wait(10 * MINUTE);
    assert_eq!(firings(&lab), "");
}

#[test]
fn a_firing_that_cannot_be_stored_is_refused_alone() {
    let mut lab = with("A: a", dispatch("* * * * *"));
    lab.apply(Event::Unfirable(D1, DATE + 20_000));
    lab.wait(2 * MINUTE);
    assert_eq!(firings(&lab), "10:27 failed, 10:28 fired");
}

#[test]
fn history_is_asked_for_ahead_and_a_firing_waits_for_it() {
    let mut lab = with("A: a", dispatch("* * * * *"));
    lab.world.apply(lab.now, Event::Tick).clear();
    assert!(lab.world.due().load.is_empty(), "it was given");
    assert_eq!(lab.loads, 1);
    lab.wait(5 * MINUTE);
    assert_eq!(lab.loads, 1, "one day, one load");
    let mut lab = Lab::new("A: a");
    lab.catalog.dispatches.insert(D1, Arc::new(dispatch("* * * * *")));
    lab.now.tick += MINUTE;
    lab.now.date += MINUTE;
    lab.now.wall += MINUTE;
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(Event::Catalog(catalog));
    assert_eq!(firings(&lab), "", "held");
    assert!(!due_at(&lab, 1), "nobody is to turn in circles for it");
    lab.give();
    assert_eq!(firings(&lab), "10:27 fired");
}

#[test]
fn a_backlog_is_decided_in_steps() {
    let mut lab = with("A: a", dispatch("* * * * * *"));
    away(&mut lab, 30 * MINUTE);
    lab.wait(1_000);
    assert_eq!(firings(&lab).split(", ").count(), 1_801);
}

#[test]
fn a_dispatch_is_run_by_hand_for_any_period() {
    let mut spec = dispatch("0 3 * * *");
    spec.spec.params.insert("x".into(), "7".into());
    let mut lab = with("A: a\nB <A: a", spec);
    let verb = Verb::RunDispatch { dispatch: D1, period: period("2026-11-01"), cascade: true };
    let dry = lab.command(verb.clone(), true);
    assert_eq!((dry.runs_made, dry.jobs_to_run, dry.refused.is_none()), (2, 2, true));
    assert!(!lab.db.values().any(|row| matches!(row, Row::Run(_))), "a dry run makes nothing");
    let plan = lab.command(verb, false);
    lab.settle();
    assert_eq!(
        (lab.state("A", "2026-11-01"), lab.state("B", "2026-11-01")),
        ("succeeded", "succeeded")
    );
    assert_eq!(lab.run_row("B", "2026-11-01").params["x"], "7");
    assert_eq!(lab.execution(&plan).dispatch.map(|(id, _)| id), Some(D1));
    assert_eq!(firings(&lab), "", "no instant of its own was decided");
    let unknown =
        Verb::RunDispatch { dispatch: DispatchId(9), period: period("2026-11-01"), cascade: true };
    assert_eq!(lab.command(unknown, false).refused.unwrap(), "there is no dispatch 9");
}

#[test]
fn pausing_a_dispatch_as_a_dry_run_pauses_nothing() {
    let mut lab = with("A: a", dispatch("* * * * *"));
    let dry = lab.command(Verb::PauseDispatch { dispatch: D1 }, true);
    assert_eq!(dry, Plan::default());
    lab.wait(MINUTE);
    assert_eq!(firings(&lab), "10:27 fired");
}
