//! The order of the rules of time, pair by pair: of two that hold for one instant, the first of
//! docs/SCHEDULING.md decides.

use super::lab::*;
use super::time::{D1, MINUTE, dispatch, with};
use crate::engine::catalog::{Calendar, Catalog, Dispatch};
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::calendar::{DaysSpec, On};
use shared::ids::*;
use shared::spec::{Misfire, Overlap};
use std::sync::Arc;

/// In their order: rule, decision, and what its reason says.
const RULES: [(&str, Decision, &str); 9] = [
    ("unstorable", Decision::Failed, "its rows could not be stored"),
    ("paused", Decision::Paused, "the dispatch is paused"),
    ("frozen", Decision::Frozen, "the interface is frozen"),
    ("no calendar", Decision::Failed, "there is no calendar 9"),
    ("holiday", Decision::Holiday, "2026-11-18 is not among the days of calendar days"),
    ("blackout", Decision::Blackout, "in its blackout window 10:28-10:29"),
    ("late", Decision::Misfired, "s late"),
    ("gone", Decision::Failed, "there is no interface 99"),
    ("overlap", Decision::Overlap, "1 execution(s) that it has fired before still run"),
];
/// Two that cannot hold for one instant.
const NEVER: [(&str, &str); 2] = [("frozen", "gone"), ("no calendar", "holiday")];
/// 10:28.
const INSTANT: Millis = DATE + 80_000;

pub(super) fn calendar(json: &str) -> Arc<Calendar> {
    let spec = Arc::new(serde_json::from_str(json).unwrap());
    let (id, project, name) = (CalendarId(1), ProjectId(1), "days".to_owned());
    Arc::new(Calendar { id, project, name, version: 1, spec })
}

fn make(rule: &str, dispatch: &mut Dispatch, catalog: &mut Catalog) {
    let days = |id| Some(DaysSpec { calendar: CalendarId(id), on: On::Holidays });
    match rule {
        "frozen" => {
            let interface = catalog.interfaces.get_mut(&InterfaceId(1)).unwrap();
            // The run that lives names it.
            catalog.old.insert((interface.id, 1), Arc::clone(interface));
            let interface = Arc::make_mut(interface);
            (interface.version, interface.spec.frozen) = (2, true);
        }
        "no calendar" => dispatch.spec.days = days(9),
        "holiday" => dispatch.spec.days = days(1),
        "blackout" => dispatch.spec.blackouts = vec!["10:28-10:29".into()],
        "late" => (dispatch.spec.misfire, dispatch.spec.late_s) = (Misfire::None, 10),
        "gone" => dispatch.spec.interface = InterfaceId(99),
        "overlap" => dispatch.spec.overlap = Overlap::Skip,
        "unstorable" | "paused" => {}
        other => panic!("{other}"),
    }
}

/// What becomes of 10:28 when all of these hold, and an execution of 10:27 still runs.
fn decided(rules: &[&str]) -> (Decision, String) {
    let mut lab = with("A hour: a; a hangs", dispatch("* * * * *"));
    lab.wait(30_000);
    let mut after = Dispatch { version: 2, since: lab.now.date, ..dispatch("* * * * *") };
    lab.catalog.calendars.insert(CalendarId(1), calendar("{}"));
    rules.iter().for_each(|rule| make(rule, &mut after, &mut lab.catalog));
    lab.catalog.dispatches.insert(D1, Arc::new(after));
    lab.catalog.revision += 1;
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(Event::Catalog(catalog));
    lab.settle();
    if rules.contains(&"paused") {
        lab.command(Verb::PauseDispatch { dispatch: D1 }, false);
    }
    if rules.contains(&"unstorable") {
        lab.apply(Event::Unfirable(D1, INSTANT));
    }
    let wait = if rules.contains(&"late") { 3 * MINUTE } else { MINUTE };
    (lab.now.tick, lab.now.date, lab.now.wall) =
        (lab.now.tick + wait, lab.now.date + wait, lab.now.wall + wait);
    lab.apply(Event::Tick);
    lab.settle();
    match lab.db.get(&Key::Firing(D1, INSTANT)) {
        Some(Row::Firing(firing)) => (firing.decision, firing.why.clone()),
        other => panic!("{rules:?}: {other:?}"),
    }
}

#[test]
fn of_two_rules_that_hold_the_first_decides() {
    assert_eq!(decided(&[]).0, Decision::Fired, "10:27 lives, and nothing forbids");
    for (at, (rule, decision, why)) in RULES.iter().enumerate() {
        let alone = decided(&[rule]);
        assert!(alone.0 == *decision && alone.1.contains(why), "{rule}: {alone:?}");
        for (later, ..) in &RULES[at + 1..] {
            if !NEVER.contains(&(rule, later)) {
                let both = decided(&[rule, later]);
                assert!(both.0 == *decision && both.1.contains(why), "{rule}, {later}: {both:?}");
            }
        }
    }
}
