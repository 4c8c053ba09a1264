//! Backfill: what is refused, and what is only tried.

use super::backfill::*;
use super::lab::*;
use crate::engine::backfill::{BackfillSpec, Span, check, outline};
use crate::engine::rows::*;
use shared::wire::Exit;

#[test]
fn a_dry_run_leaves_nothing() {
    let mut lab = Lab::new("A: a; a hangs");
    let spec = days(&["2026-11-01..2026-11-05"]);
    let plan = lab.command(Verb::Backfill { spec: Box::new(spec.clone()) }, true);
    assert_eq!((plan.executions, plan.refused), (5, None));
    lab.settle();
    assert_eq!(executions(&lab), "");
    assert!(lab.world.table().backfills.is_empty());
    let found = outline(&lab.catalog, &spec).unwrap();
    assert_eq!((found.periods, found.runs, found.jobs), (5, 5, 5));
    assert_eq!(found.first.to_string(), "2026-11-01");
    assert_eq!(found.last.to_string(), "2026-11-05");
}

#[test]
fn what_is_wrong_is_said_beside_its_field() {
    let lab = Lab::new(
        "A: a
         B <A: a; self succeeded
         C month: a
         D: a
         E <D:-1: a
         F month: a
         G month <F: a
         H: a
         I month <H: a
         J <I: a",
    );
    let wrong = |more: serde_json::Value| {
        let mut json = serde_json::json!({"interface": 1, "spans": ["2026-11-01"]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let errors = check(&lab.catalog, &spec(json));
        errors.iter().map(|error| error.path.clone()).collect::<Vec<_>>().join(",")
    };
    for (more, fields) in [
        (serde_json::json!({}), ""),
        (serde_json::json!({"interface": 99}), "interface"),
        (serde_json::json!({"spans": []}), "spans"),
        (serde_json::json!({"spans": ["2026-11-01T10+00:00"]}), "spans"),
        (serde_json::json!({"interface": 3}), "spans"),
        (serde_json::json!({"skips": ["2026-11-01T10+00:00"]}), "skips"),
        (serde_json::json!({"parallel": 0}), "parallel"),
        (serde_json::json!({"parallel": 101}), "parallel"),
        (serde_json::json!({"zone": "Mars"}), "zone"),
        (serde_json::json!({"windows": ["noon"]}), "windows"),
        (serde_json::json!({"descending": true}), ""),
        (serde_json::json!({"descending": true, "cascade": true}), "descending"),
        (serde_json::json!({"interface": 4, "descending": true}), ""),
        (serde_json::json!({"interface": 4, "cascade": true}), ""),
        (serde_json::json!({"interface": 4, "descending": true, "cascade": true}), "descending"),
        (serde_json::json!({"interface": 8, "cascade": true}), "cascade"),
        (serde_json::json!({"failures_max": 10_001}), "failures_max"),
    ] {
        assert_eq!(wrong(more.clone()), fields, "{more}");
    }
    for bad in
        ["", "x", "2026-11-02..2026-11-01", "2026-11-01..2026-12", "2026-11-01..", "2026-13-01"]
    {
        assert!(bad.parse::<Span>().is_err(), "{bad}");
    }
    let most = days(&["1970-01-01..9999-12-31"]);
    assert!(outline(&lab.catalog, &most).unwrap_err().to_string().contains("100000 periods"));
    let skips = vec!["2026-11-01".parse().unwrap()];
    let none = BackfillSpec { skips, ..days(&["2026-11-01"]) };
    assert!(outline(&lab.catalog, &none).unwrap_err().to_string().contains("no period is left"));
}

#[test]
fn only_so_many_live() {
    let mut lab = Lab::new("A: a; a hangs");
    let nth = |n: usize| {
        let params = serde_json::json!({"params": {"n": n.to_string()}});
        of(&["2026-11-01"], params)
    };
    for n in 0..crate::engine::backfill::LIVE_MAX {
        let (_, plan) = fill(&mut lab, nth(n));
        assert_eq!(plan.refused, None);
    }
    let (_, plan) = fill(&mut lab, days(&["2026-11-01"]));
    assert!(plan.refused.unwrap().contains("have not ended"));
    // They all share one run.
    lab.settle();
    assert_eq!(lab.run_row("A", "2026-11-01").generation, 0);
    assert_eq!(lab.begun.len(), 1);
}

#[test]
fn the_same_twice_is_refused_while_it_lives() {
    let mut lab = Lab::new("A: a; a hangs");
    let (first, plan) = fill(&mut lab, days(&["2026-11-01"]));
    assert_eq!(plan.refused, None);
    let (_, plan) = fill(&mut lab, days(&["2026-11-01"]));
    let told = format!("backfill {first} is the same and has not ended: look at that one");
    assert_eq!(plan.refused, Some(told));
    let (_, plan) = fill(&mut lab, days(&["2026-11-01..2026-11-02"]));
    assert_eq!(plan.refused, None);
    lab.settle();
    lab.exit("A", "2026-11-01", "a", Exit::Code(0));
    let (_, plan) = fill(&mut lab, days(&["2026-11-01"]));
    assert_eq!(plan.refused, None);
}
