//! Calendars: on which days a dispatch fires, and periods that are working days (逻辑账期).

use super::lab::*;
use super::rules::calendar;
use super::time::{D1, dispatch, with};
use crate::engine::catalog::{Calendar, Dispatch};
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::calendar::{DaysSpec, On};
use shared::ids::*;
use std::sync::Arc;

const DAY: Millis = 86_400_000;
/// Friday the 20th is a holiday, Sunday the 22nd is worked.
const DAYS: &str = r#"{"holidays": {"2026-11-20": "x"}, "workdays": {"2026-11-22": "y"}}"#;

fn change(lab: &mut Lab, change: impl FnOnce(&mut crate::engine::catalog::Catalog)) {
    change(&mut lab.catalog);
    lab.catalog.revision += 1;
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(Event::Catalog(catalog));
    lab.settle();
}

/// The interfaces of these names have the calendar; it is Wednesday, 2026-11-18.
fn lab(mesh: &str, of: &str, rule: Dispatch) -> Lab {
    let mut lab = with(mesh, rule);
    change(&mut lab, |catalog| {
        catalog.calendars.insert(CalendarId(1), calendar(DAYS));
        for name in of.chars().map(String::from) {
            let found = catalog.interfaces.get_mut(&interface(&name)).unwrap();
            let found = Arc::make_mut(found);
            (found.version, found.spec.calendar) = (2, Some(CalendarId(1)));
        }
    });
    lab
}

/// `18 fired 17, 19 fired 18`: day, decision, period's day.
fn days(lab: &Lab) -> String {
    let rows = lab.db.iter().filter_map(|(key, row)| match (key, row) {
        (Key::Firing(_, instant), Row::Firing(firing)) => {
            let at = chrono::DateTime::from_timestamp_millis(*instant).unwrap();
            let period = firing.period.to_string();
            let (at, decision) = (at.format("%d"), format!("{:?}", firing.decision));
            Some(format!("{at} {} {}", decision.to_lowercase(), &period[8..]))
        }
        _ => None,
    });
    rows.collect::<Vec<_>>().join(", ")
}

fn daily(on: Option<On>, period_offset: i32) -> Dispatch {
    let mut rule = dispatch("0 11 * * *");
    rule.spec.days = on.map(|on| DaysSpec { calendar: CalendarId(1), on });
    rule.spec.period_offset = period_offset;
    rule
}

fn pass_days(lab: &mut Lab, days: usize) {
    (0..days).for_each(|_| lab.wait(DAY));
}

#[test]
fn the_day_before_is_the_working_day_before() {
    let mut lab = lab("A: a", "A", daily(None, 1));
    pass_days(&mut lab, 7);
    assert_eq!(
        days(&lab),
        "18 fired 17, 19 fired 18, 20 fired 19, 21 fired 19, 22 fired 19, 23 fired 22, 24 fired 23"
    );
    // Once each: three of them were satisfied by what the 20th had made.
    assert_eq!(lab.begun.len(), 5);
}

#[test]
fn a_dispatch_fires_on_its_days_alone() {
    for (on, expected) in [
        (
            On::Working,
            "18 fired 17, 19 fired 18, 20 holiday 19, 21 holiday 20, 22 fired 21, 23 fired 22",
        ),
        (
            On::Holidays,
            "18 holiday 17, 19 holiday 18, 20 fired 19, 21 holiday 20, 22 holiday 21, 23 holiday 22",
        ),
        (
            On::NthWorking(-5),
            "18 holiday 17, 19 holiday 18, 20 holiday 19, 21 holiday 20, 22 holiday 21, 23 holiday 22",
        ),
    ] {
        let mut lab = lab("A: a", "", daily(Some(on), 1));
        pass_days(&mut lab, 6);
        assert_eq!(days(&lab), expected, "{on:?}");
    }
    // Of November 2026 24 to 30 are five working days, the last of them the 30th.
    let mut lab = lab("A: a", "", daily(Some(On::NthWorking(-5)), 1));
    pass_days(&mut lab, 7);
    assert!(days(&lab).ends_with("24 fired 23"), "{}", days(&lab));
}

#[test]
fn an_own_day_that_rests_has_no_period() {
    let mut lab = lab("A: a", "A", daily(None, 0));
    pass_days(&mut lab, 5);
    assert_eq!(days(&lab), "18 fired 18, 19 fired 19, 20 holiday 20, 21 holiday 21, 22 fired 22");
    let period = "2026-11-21".parse().unwrap();
    let verb = Verb::RunDispatch { dispatch: D1, period, cascade: false };
    let refused = lab.command(verb, false).refused.unwrap();
    assert!(refused.contains("2026-11-21 is no working day of the calendar of A"), "{refused}");
}

#[test]
fn waits_go_from_working_day_to_working_day() {
    // B is natural and needs the two working days before; C waits for its own one before.
    let mut lab = lab("A: a\nB <A:prev2: b\nC: c; self succeeded", "AC", daily(None, 1));
    for day in ["2026-11-18", "2026-11-19", "2026-11-22"] {
        lab.runs("A", day, false);
    }
    lab.runs("B", "2026-11-21", false);
    assert_eq!(lab.state("B", "2026-11-21"), "succeeded");
    lab.runs("B", "2026-11-24", false);
    assert_eq!(lab.state("B", "2026-11-24"), "waiting", "for the 23rd");
    lab.runs("A", "2026-11-23", false);
    assert_eq!(lab.state("B", "2026-11-24"), "succeeded");
    lab.fate("C", "c", Fate::Fails(u32::MAX));
    lab.runs("C", "2026-11-19", false);
    lab.runs("C", "2026-11-22", false);
    let waits = &lab.run_row("C", "2026-11-22").waits;
    let previous = Target::SuccessOrNone(interface("C"), "2026-11-19".parse().unwrap());
    assert!(waits.contains(&previous), "{waits:?}");
}

#[test]
fn a_cascade_has_no_run_for_a_day_of_rest() {
    let mut lab = lab("A: a\nB <A: b", "B", daily(None, 1));
    lab.runs("A", "2026-11-21", true);
    assert_eq!(lab.state("A", "2026-11-21"), "succeeded");
    let runs = |lab: &Lab| lab.db.keys().filter(|key| matches!(key, Key::Run(_))).count();
    assert_eq!(runs(&lab), 1);
    lab.runs("A", "2026-11-22", true);
    assert_eq!((runs(&lab), lab.state("B", "2026-11-22")), (3, "succeeded"));
}

#[test]
fn what_days_of_rest_were_fed_by_is_found() {
    let mut lab = lab("A: a\nB <A:-1: b", "A", daily(None, 1));
    lab.runs("A", "2026-11-19", false);
    // Friday, a holiday, Saturday and the Sunday that is worked: all need Thursday.
    let fed = ["2026-11-20", "2026-11-21", "2026-11-22"];
    fed.iter().for_each(|day| _ = lab.runs("B", day, false));
    lab.runs("A", "2026-11-22", false);
    lab.runs("B", "2026-11-23", false);
    lab.runs("A", "2026-11-19", false);
    assert!(fed.iter().all(|day| lab.run_row("B", day).stale));
    assert!(!lab.run_row("B", "2026-11-23").stale);
}

#[test]
fn a_changed_calendar_counts_from_the_next_firing_on() {
    let mut lab = lab("A: a; a hangs", "A", daily(None, 1));
    pass_days(&mut lab, 3);
    let run = lab.run("A", "2026-11-19");
    change(&mut lab, |catalog| {
        let old = catalog.calendars[&CalendarId(1)].as_ref().clone();
        let works = Calendar { version: 2, spec: Arc::default(), ..old };
        catalog.calendars.insert(CalendarId(1), Arc::new(works));
    });
    pass_days(&mut lab, 1);
    lab.reload();
    pass_days(&mut lab, 2);
    let expected = "18 fired 17, 19 fired 18, 20 fired 19, 21 fired 20, 22 fired 20, 23 fired 20";
    assert_eq!(days(&lab), expected);
    assert_eq!(lab.run("A", "2026-11-19"), run, "what was fired stays");
}

#[test]
fn the_last_one_late_is_made_good_behind_a_holiday() {
    let mut rule = daily(Some(On::Working), 1);
    rule.spec.misfire = shared::spec::Misfire::Last;
    let mut lab = lab("A: a", "", rule);
    super::time::away(&mut lab, 3 * DAY);
    lab.apply(Event::Tick);
    lab.settle();
    assert_eq!(days(&lab), "18 misfired 17, 19 fired 18, 20 holiday 19");
}
