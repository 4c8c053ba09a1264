//! Backfill: which periods, in which order, how many at once, when, and by which definitions.

use super::lab::*;
use super::notation::Fate;
use crate::engine::backfill::{BackfillSpec, Line, Span};
use crate::engine::catalog::Catalog;
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::calendar::CalendarSpec;
use shared::ids::*;
use shared::period::{Cut, Granularity};
use shared::wire::Exit;
use std::sync::Arc;

const MINUTE: Millis = 60_000;

pub(super) fn spec(json: serde_json::Value) -> BackfillSpec {
    serde_json::from_value(json).unwrap()
}

/// Of interface A.
pub(super) fn of(spans: &[&str], more: serde_json::Value) -> BackfillSpec {
    let mut json = serde_json::json!({"interface": 1, "spans": spans});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec(json)
}

pub(super) fn days(spans: &[&str]) -> BackfillSpec {
    of(spans, serde_json::json!({}))
}

pub(super) fn fill(lab: &mut Lab, spec: BackfillSpec) -> (CommandId, Plan) {
    let plan = lab.command(Verb::Backfill { spec: Box::new(spec) }, false);
    (CommandId(lab.commands), plan)
}

pub(super) fn row(lab: &Lab, id: CommandId) -> Backfill {
    match lab.db.get(&Key::Backfill(id)) {
        Some(Row::Backfill(row)) => (**row).clone(),
        _ => panic!("there is no backfill {id}"),
    }
}

/// `18 live, 19 succeeded`: the days of its executions.
pub(super) fn executions(lab: &Lab) -> String {
    let rows = lab.db.values().filter_map(|row| match row {
        Row::Execution(row) if row.origin == Origin::Backfill => {
            let day = row.period.to_string().split_off(8);
            let live = row.state.is_live();
            let word = if live { "live" } else { crate::engine::word(row.state) };
            Some(format!("{day} {word}"))
        }
        _ => None,
    });
    let mut all: Vec<String> = rows.collect();
    all.sort();
    all.join(", ")
}

fn change(lab: &mut Lab, change: impl FnOnce(&mut Catalog)) {
    change(&mut lab.catalog);
    lab.catalog.revision += 1;
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(Event::Catalog(catalog));
    lab.settle();
}

// ---- which periods ----

fn line(spec: &BackfillSpec, cut: &Cut) -> String {
    let all: Vec<String> = Line::new(spec, cut).all().map(|period| period.to_string()).collect();
    all.join(" ")
}

#[test]
fn the_periods_are_the_union_without_the_skips_in_order() {
    let day = Cut::new(Granularity::Day, "UTC").unwrap();
    let asked = days(&["2026-01-05", "2026-01-01..2026-01-03", "2026-01-02..2026-01-04"]);
    let skips = vec!["2026-01-02..2026-01-03".parse().unwrap()];
    let skipped = BackfillSpec { skips, ..asked.clone() };
    assert_eq!(line(&skipped, &day), "2026-01-01 2026-01-04 2026-01-05");
    let back = BackfillSpec { descending: true, ..skipped };
    assert_eq!(line(&back, &day), "2026-01-05 2026-01-04 2026-01-01");
    let all = "2026-01-01 2026-01-02 2026-01-03 2026-01-04 2026-01-05";
    assert_eq!(line(&asked, &day), all);
    // A coarser span is all that is within.
    let hour = Cut::new(Granularity::Hour, "Europe/Berlin").unwrap();
    let autumn = Line::new(&days(&["2026-10-25"]), &hour).all().count();
    assert_eq!(autumn, 25);
    let months = days(&["2026-02", "2024-02"]);
    assert_eq!(Line::new(&months, &day).all().count(), 28 + 29);
}

#[test]
fn days_off_are_no_periods() {
    let json = r#"{"holidays": {"2026-11-20": "x"}, "workdays": {"2026-11-22": "y"}}"#;
    let calendar: CalendarSpec = serde_json::from_str(json).unwrap();
    let day = Cut::new(Granularity::Day, "UTC").unwrap().with(Some(Arc::new(calendar)));
    let asked = days(&["2026-11-19..2026-11-24"]);
    assert_eq!(line(&asked, &day), "2026-11-19 2026-11-22 2026-11-23 2026-11-24");
    let back = BackfillSpec { descending: true, ..asked };
    assert_eq!(line(&back, &day), "2026-11-24 2026-11-23 2026-11-22 2026-11-19");
}

#[test]
fn every_line_is_what_a_list_would_be() {
    let day = Cut::new(Granularity::Day, "UTC").unwrap();
    let first: shared::period::Period = "2026-03-01".parse().unwrap();
    let at = |n: i64| first.offset(n, chrono_tz::UTC).unwrap();
    let mut random = 12_345_u64;
    let mut below = |n: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(random >> 33).unwrap() % n
    };
    for _ in 0..2_000 {
        let mut spans = |most: i64| {
            let many = below(most);
            let mut span = || {
                let from = below(30);
                Span { first: at(from), last: at(from + below(6)) }
            };
            (0..many).map(|_| span()).collect::<Vec<Span>>()
        };
        let (spans, skips) = (spans(5), spans(4));
        let has =
            |spans: &[Span], n: i64| spans.iter().any(|s| s.first <= at(n) && at(n) <= s.last);
        let mut list: Vec<_> =
            (0..40).filter(|n| has(&spans, *n) && !has(&skips, *n)).map(at).collect();
        let mut asked = BackfillSpec { spans, skips, ..days(&[]) };
        assert_eq!(Line::new(&asked, &day).all().collect::<Vec<_>>(), list, "{asked:?}");
        asked.descending = true;
        list.reverse();
        assert_eq!(Line::new(&asked, &day).all().collect::<Vec<_>>(), list, "{asked:?}");
    }
}

// ---- how many at once ----

#[test]
fn as_many_live_as_there_are_slots_and_another_leader_goes_on() {
    let mut lab = Lab::new("A: a; a hangs");
    let two = of(&["2026-11-01..2026-11-05"], serde_json::json!({"parallel": 2}));
    let (id, plan) = fill(&mut lab, two);
    assert_eq!((plan.executions, plan.runs_made, plan.jobs_to_run), (5, 5, 5));
    lab.settle();
    assert_eq!(executions(&lab), "01 live, 02 live");
    lab.exit("A", "2026-11-02", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "01 live, 02 succeeded, 03 live");
    lab.reload();
    lab.settle();
    assert_eq!(executions(&lab), "01 live, 02 succeeded, 03 live");
    for day in ["2026-11-01", "2026-11-03", "2026-11-04"] {
        lab.exit("A", day, "a", Exit::Code(0));
    }
    assert_eq!(row(&lab, id).state, BackfillState::Running);
    lab.exit("A", "2026-11-05", "a", Exit::Code(0));
    let row = row(&lab, id);
    assert_eq!((row.state, row.made, row.planned), (BackfillState::Ended, 5, 5));
    assert!(row.ended.is_some());
}

#[test]
fn the_newest_first() {
    let mut lab = Lab::new("A: a; a hangs");
    let back = of(&["2026-11-01..2026-11-05"], serde_json::json!({"descending": true}));
    fill(&mut lab, back);
    lab.settle();
    assert_eq!(executions(&lab), "05 live");
    lab.exit("A", "2026-11-05", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "04 live, 05 succeeded");
}

#[test]
fn what_has_succeeded_counts_if_that_is_asked_for_and_what_lives_is_shared() {
    let mut lab = Lab::new("A: a; a hangs");
    for day in ["2026-11-01", "2026-11-02"] {
        lab.runs("A", day, false);
    }
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    let missing = serde_json::json!({"missing_only": true, "parallel": 9});
    let (id, _) = fill(&mut lab, of(&["2026-11-01..2026-11-03"], missing));
    lab.settle();
    assert_eq!(executions(&lab), "01 succeeded, 02 live, 03 live");
    assert_eq!(lab.run_row("A", "2026-11-02").generation, 0);
    assert_ne!(
        lab.run_row("A", "2026-11-02").execution,
        ExecutionId::of_backfill(id, period("2026-11-02"))
    );
    // The schedule joins what the backfill has made.
    let plan = lab.start("A", "2026-11-03", false);
    assert_eq!((plan.runs_joined, plan.runs_made), (1, 0));
    // Otherwise all of them are made anew.
    for day in ["2026-11-02", "2026-11-03"] {
        lab.exit("A", day, "a", Exit::Code(0));
    }
    fill(&mut lab, days(&["2026-11-01"]));
    lab.settle();
    assert_eq!(lab.run_row("A", "2026-11-01").generation, 1);
}

// ---- what holds it up ----

#[test]
fn it_pauses_when_too_many_have_failed_and_goes_on_when_told_to() {
    let mut lab = Lab::new("A: a; a fails");
    let two = of(&["2026-11-01..2026-11-06"], serde_json::json!({"failures_max": 2}));
    let (id, _) = fill(&mut lab, two);
    lab.settle();
    assert_eq!(executions(&lab), "01 failed, 02 failed");
    let paused = row(&lab, id);
    assert_eq!((paused.state, paused.failed), (BackfillState::Paused, 2));
    assert_eq!(paused.why, "2 of its executions have ended without success");
    let told = lab.alerts();
    assert_eq!(told.iter().filter(|event| **event == AlertEvent::BackfillPaused).count(), 1);
    lab.fate("A", "a", Fate::Ok);
    let plan = lab.command(Verb::ResumeBackfill { backfill: id }, false);
    assert_eq!(plan.executions, 4);
    lab.settle();
    assert_eq!(row(&lab, id).state, BackfillState::Ended);
    assert_eq!(row(&lab, id).made, 6);
}

#[test]
fn a_person_pauses_resumes_and_cancels_it() {
    let mut lab = Lab::new("A: a; a hangs");
    let (id, _) = fill(&mut lab, days(&["2026-11-01..2026-11-05"]));
    lab.settle();
    lab.command(Verb::PauseBackfill { backfill: id }, false);
    let again = lab.command(Verb::PauseBackfill { backfill: id }, false);
    assert_eq!(again.refused.as_deref(), Some("it is paused already"));
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "01 succeeded");
    lab.reload();
    lab.settle();
    assert_eq!(executions(&lab), "01 succeeded");
    lab.command(Verb::ResumeBackfill { backfill: id }, false);
    lab.settle();
    assert_eq!(executions(&lab), "01 succeeded, 02 live");
    let dry = lab.command(Verb::CancelBackfill { backfill: id, stop: true }, true);
    assert_eq!((dry.executions, dry.jobs_stopped), (3, 1));
    assert_eq!(row(&lab, id).state, BackfillState::Running);
    lab.command(Verb::CancelBackfill { backfill: id, stop: true }, false);
    lab.settle();
    assert_eq!(executions(&lab), "01 succeeded, 02 stopped");
    let cancelled = row(&lab, id);
    assert_eq!((cancelled.state, cancelled.made), (BackfillState::Cancelled, 2));
    let gone = lab.command(Verb::ResumeBackfill { backfill: id }, false);
    assert!(gone.refused.unwrap().contains("has ended, or there is none"));
}

#[test]
fn a_cancelled_one_lets_what_lives_come_to_its_end() {
    let mut lab = Lab::new("A: a; a hangs");
    let (id, _) = fill(&mut lab, days(&["2026-11-01..2026-11-05"]));
    lab.settle();
    lab.command(Verb::CancelBackfill { backfill: id, stop: false }, false);
    lab.settle();
    assert_eq!(executions(&lab), "01 live");
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "01 succeeded");
}

#[test]
fn it_begins_nothing_outside_of_its_windows() {
    let mut lab = Lab::new("A: a; a hangs"); // it is 10:26:40
    let night = serde_json::json!({"windows": ["10:30-10:32"], "zone": "UTC"});
    let (id, _) = fill(&mut lab, of(&["2026-11-01..2026-11-05"], night));
    lab.settle();
    assert_eq!(
        (executions(&lab).as_str(), row(&lab, id).why.as_str()),
        ("", "outside of its windows")
    );
    lab.wait(5 * MINUTE);
    assert_eq!((executions(&lab).as_str(), row(&lab, id).why.as_str()), ("01 live", ""));
    lab.wait(MINUTE); // 10:32:40
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "01 succeeded");
    lab.reload();
    lab.wait(24 * 60 * MINUTE);
    assert_eq!(executions(&lab), "01 succeeded, 02 live");
}

#[test]
fn a_frozen_interface_holds_it_and_a_deleted_one_pauses_it() {
    let mut lab = Lab::new("A: a; a hangs");
    let (id, _) = fill(&mut lab, days(&["2026-11-01..2026-11-05"]));
    lab.settle();
    let freeze = |lab: &mut Lab, frozen: bool| {
        change(lab, |catalog| {
            let before = catalog.interfaces[&interface("A")].clone();
            let mut after = (*before).clone();
            (after.version, after.spec.frozen) = (before.version + 1, frozen);
            catalog.old.insert((before.id, before.version), before);
            catalog.interfaces.insert(after.id, Arc::new(after));
        });
    };
    freeze(&mut lab, true);
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "01 succeeded");
    assert_eq!(row(&lab, id).why, "the interface is frozen");
    freeze(&mut lab, false);
    assert_eq!(executions(&lab), "01 succeeded, 02 live");
    change(&mut lab, |catalog| {
        let before = catalog.interfaces.remove(&interface("A")).unwrap();
        catalog.old.insert((before.id, before.version), before);
    });
    lab.exit("A", "2026-11-02", "a", Exit::Code(0));
    let paused = row(&lab, id);
    assert_eq!(paused.state, BackfillState::Paused);
    assert_eq!(paused.why, "there is no interface 1");
}

#[test]
fn what_cannot_be_stored_pauses_it() {
    let mut lab = Lab::new("A: a; a hangs");
    let (id, _) = fill(&mut lab, days(&["2026-11-01..2026-11-05"]));
    lab.settle();
    lab.apply(Event::Unfillable(id));
    assert_eq!(row(&lab, id).why, "its rows could not be stored");
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    assert_eq!(executions(&lab), "01 succeeded");
}

#[test]
fn while_the_clocks_disagree_nothing_begins() {
    let mut lab = Lab::new("A: a; a hangs");
    lab.now.wall += 60_000;
    let (id, plan) = fill(&mut lab, days(&["2026-11-01"]));
    assert_eq!(plan.refused, None);
    lab.settle();
    assert_eq!((executions(&lab).as_str(), row(&lab, id).made), ("", 0));
    assert!(lab.world.due().wake.is_some());
    lab.now.wall = lab.now.date;
    lab.pass(1_000);
    assert_eq!(executions(&lab), "01 live");
}

// ---- the mesh ----

#[test]
fn versions_that_are_pinned_count_whatever_is_edited() {
    for (pinned, version) in [(true, 1), (false, 2)] {
        let mut lab = Lab::new("A: a; a hangs");
        let more = serde_json::json!({"pinned": pinned});
        let (id, _) = fill(&mut lab, of(&["2026-11-01..2026-11-03"], more));
        lab.settle();
        assert_eq!(row(&lab, id).pins.len(), usize::from(pinned));
        // What was is in the store, and not in the World.
        let mut after = (*lab.catalog.interfaces[&interface("A")]).clone();
        after.version = 2;
        after.jobs.push(crate::engine::catalog::Job {
            id: JobId(102),
            name: "b".into(),
            spec: after.jobs[0].spec.clone(),
        });
        lab.exit("A", "2026-11-01", "a", Exit::Code(0));
        lab.command(Verb::PauseBackfill { backfill: id }, false);
        lab.exit("A", "2026-11-02", "a", Exit::Code(0));
        change(&mut lab, |catalog| {
            catalog.interfaces.insert(after.id, Arc::new(after.clone()));
        });
        let before = super::notation::parse("A: a").interface;
        lab.catalog.old.insert((before.id, 1), Arc::new(before));
        lab.command(Verb::ResumeBackfill { backfill: id }, false);
        lab.settle();
        assert_eq!(lab.run_row("A", "2026-11-03").version, version);
    }
}

#[test]
fn a_version_that_is_gone_pauses_it() {
    let mut lab = Lab::new("A: a; a hangs");
    let more = serde_json::json!({"pinned": true});
    let (id, _) = fill(&mut lab, of(&["2026-11-01..2026-11-03"], more));
    lab.settle();
    lab.command(Verb::PauseBackfill { backfill: id }, false);
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    change(&mut lab, |catalog| {
        let mut after = (*catalog.interfaces[&interface("A")]).clone();
        after.version = 2;
        catalog.interfaces.insert(after.id, Arc::new(after));
    });
    lab.command(Verb::ResumeBackfill { backfill: id }, false);
    lab.settle();
    assert!(row(&lab, id).why.starts_with("version 1 of A"), "{}", row(&lab, id).why);
}

#[test]
fn with_its_descendants_each_for_its_own_periods() {
    let mut lab = Lab::new(
        "A: a
         B <A: a
         C month <B: a",
    );
    let more = serde_json::json!({"cascade": true, "parallel": 3});
    let (_, plan) = fill(&mut lab, of(&["2026-10-30..2026-11-02"], more));
    // Each month once: with the last day within it.
    assert_eq!((plan.executions, plan.runs_made), (4, 10));
    lab.settle();
    assert_eq!(lab.state("B", "2026-11-02"), "succeeded");
    assert_eq!(lab.jobs("A", "2026-10-31"), "a ok");
}

#[test]
fn a_month_is_made_once_of_days_that_are_new() {
    let mut lab = Lab::new(
        "A: a; a hangs
         C month <A:last: a",
    );
    lab.runs("A", "2026-11-30", true);
    lab.exit("A", "2026-11-30", "a", Exit::Code(0));
    assert_eq!(
        (lab.state("C", "2026-11"), lab.run_row("C", "2026-11").generation),
        ("succeeded", 0)
    );
    let more = serde_json::json!({"cascade": true, "parallel": 2});
    fill(&mut lab, of(&["2026-11-28..2026-11-30"], more));
    lab.settle();
    lab.exit("A", "2026-11-28", "a", Exit::Code(0));
    // The last day is being made: the month waits for it, though an older one has succeeded.
    assert_eq!((lab.state("C", "2026-11"), lab.run_row("C", "2026-11").generation), ("waiting", 1));
    lab.exit("A", "2026-11-29", "a", Exit::Code(0));
    lab.exit("A", "2026-11-30", "a", Exit::Code(0));
    assert_eq!(
        (lab.state("C", "2026-11"), lab.run_row("C", "2026-11").generation),
        ("succeeded", 1)
    );
}

#[test]
fn an_edit_of_the_granularity_pauses_it() {
    let mut lab = Lab::new("A: a; a hangs");
    let (id, _) = fill(&mut lab, days(&["2026-11-01..2026-11-05"]));
    lab.settle();
    change(&mut lab, |catalog| {
        let before = catalog.interfaces[&interface("A")].clone();
        let mut after = (*before).clone();
        (after.version, after.spec.granularity) = (2, Granularity::Hour);
        catalog.old.insert((before.id, 1), before);
        catalog.interfaces.insert(after.id, Arc::new(after));
    });
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    let paused = row(&lab, id);
    assert_eq!((paused.state, paused.made), (BackfillState::Paused, 1));
    assert!(paused.why.contains("whose granularity is hour"), "{}", paused.why);
}

/// The second of two periods must not be fed by what the first one is making anew just now.
#[test]
fn who_needs_an_earlier_period_waits_for_what_the_same_backfill_makes_of_it() {
    let mut lab = Lab::new(
        "A: a; a hangs
         B <A <A:-1: a",
    );
    let (first, second) = ("2026-11-01", "2026-11-02");
    for day in ["2026-10-31", first, second] {
        lab.runs("A", day, false);
        lab.exit("A", day, "a", Exit::Code(0));
    }
    let more = serde_json::json!({"cascade": true, "parallel": 2});
    fill(&mut lab, of(&["2026-11-01..2026-11-02"], more));
    lab.settle();
    lab.exit("A", second, "a", Exit::Code(0));
    assert_eq!(lab.state("B", second), "waiting");
    lab.exit("A", first, "a", Exit::Code(0));
    assert_eq!((lab.state("B", first), lab.state("B", second)), ("succeeded", "succeeded"));
}

#[test]
fn one_that_depends_on_its_period_before_goes_in_order() {
    let mut lab = Lab::new("A: a; a hangs; self succeeded");
    for day in ["2026-11-01", "2026-11-02"] {
        lab.runs("A", day, false);
        lab.exit("A", day, "a", Exit::Code(0));
    }
    let more = serde_json::json!({"parallel": 2});
    fill(&mut lab, of(&["2026-11-01..2026-11-02"], more));
    lab.settle();
    assert_eq!(lab.state("A", "2026-11-02"), "waiting");
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    assert_eq!(lab.jobs("A", "2026-11-02"), "a running");
}

#[test]
fn one_with_nothing_left_ends_though_it_is_paused() {
    let mut lab = Lab::new("A: a; a hangs");
    let more = serde_json::json!({"parallel": 2, "failures_max": 1});
    let (id, _) = fill(&mut lab, of(&["2026-11-01..2026-11-02"], more));
    lab.settle();
    // All of it is made: there is nothing to hold back.
    lab.exit("A", "2026-11-01", "a", Exit::Code(1));
    assert_eq!(row(&lab, id).state, BackfillState::Running);
    lab.command(Verb::PauseBackfill { backfill: id }, false);
    assert_eq!(row(&lab, id).state, BackfillState::Paused);
    lab.exit("A", "2026-11-02", "a", Exit::Code(0));
    assert_eq!((row(&lab, id).state, row(&lab, id).failed), (BackfillState::Ended, 1));
}
