//! Freezing and unfreezing by the command line: what lives is held, and goes on.

use crate::rig::Cluster;

const FLOW: &str = "\
kind: interface
name: load
jobs:
- {name: fetch, kind: shell, fields: {program: 'true'}}
- {name: check, kind: shell, fields: {program: 'true'}, after: [fetch]}
dispatches:
- {name: daily, cron: 0 2 * * *}
---
kind: interface
name: report
spec: {parents: [load]}
";

#[test]
fn what_is_frozen_is_held_until_it_is_not() {
    let cluster = Cluster::start();
    let file = cluster.file("flow.yaml", FLOW);
    cluster.hcndc(&["apply", "-f", &file]).is(0);
    let dry = cluster.hcndc(&["freeze", "interface", "load", "--dry-run"]).is(0).out;
    assert_eq!(
        dry.trim(),
        "load would be frozen: 1 dispatch starts nothing, 1 interface waits for it"
    );
    cluster.hcndc(&["freeze", "interface", "load"]).is(2);
    let frozen = ["freeze", "job", "load/check", "--reason", "the rules are being changed"];
    let done = cluster.hcndc(&frozen).is(0).out;
    assert!(done.starts_with("check is frozen, version 2: "), "{done}");
    cluster.hcndc(&frozen).is(1);
    let history = cluster.hcndc(&["history", "job", "load/check"]).is(0).out;
    assert!(history.contains("the rules are being changed"), "{history}");

    // Its run gets as far as the job before it, and waits there.
    let run = ["run", "load", "--period", "2026-11-20", "-o", "json"];
    let made = cluster.hcndc(&run).is(0).json();
    let id = made["plan"]["execution"].as_str().unwrap();
    cluster.until("the job before it is done", || {
        let shown = cluster.hcndc(&["execution", "show", id, "-o", "json"]).json();
        let jobs = shown["runs"][0]["jobs"].as_array().unwrap();
        jobs.iter().any(|job| job["name"] == "fetch" && job["state"] == "succeeded")
    });
    let dry = cluster.hcndc(&["unfreeze", "job", "load/check", "--dry-run"]).is(0).out;
    assert!(dry.contains("not frozen any more: 1 job goes on that has not begun"), "{dry}");
    let done = ["unfreeze", "job", "load/check", "--reason", "changed", "-o", "json"];
    assert_eq!(cluster.hcndc(&done).is(0).json()["plan"]["jobs_held"], 1);
    cluster.hcndc(&["execution", "wait", id]).is(0);

    cluster.hcndc(&["freeze", "interface", "load", "--reason", "the source is away"]).is(0);
    let refused = cluster.hcndc(&["run", "load", "--period", "2026-11-21"]).is(1);
    assert!(refused.err.contains("load is frozen"), "{refused:?}");
    cluster.hcndc(&["thaw", "interface", "load", "--reason", "it is back"]).is(0);
    cluster.hcndc(&["run", "load", "--period", "2026-11-21", "--wait"]).is(0);
}
