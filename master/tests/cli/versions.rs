//! Versions by the command line: why, what differs, the way back, copies, and the round of export.

use crate::rig::Cluster;
use serde_json::Value;
use std::path::Path;

const FLOW: &str = "\
kind: interface
name: load
jobs:
- {name: fetch, kind: shell, fields: {program: 'true'}}
- {name: check, kind: shell, fields: {program: 'true'}, after: [fetch]}
dispatches:
- {name: daily, cron: 0 2 * * *}
";

#[test]
fn a_definition_has_a_history_a_difference_and_a_way_back() {
    let cluster = Cluster::master();
    let file = cluster.file("flow.yaml", FLOW);
    cluster.hcndc(&["apply", "-f", &file, "--reason", "the first of them"]).is(0);
    let changed =
        FLOW.replace("fields: {program: 'true'}}", "fields: {program: 'false'}, priority: 3}");
    let changed = changed.replace(", after: [fetch]", ", after: [{job: fetch, expect: done}]");
    let file = cluster.file("flow.yaml", &changed);
    cluster.hcndc(&["apply", "-f", &file, "--reason", &"x".repeat(501)]).is(2);
    cluster.hcndc(&["apply", "-f", &file, "--reason", "it never failed"]).is(0);

    let history = cluster.hcndc(&["history", "interface", "load"]).is(0).out;
    let lines: Vec<&str> = history.lines().collect();
    assert!(
        lines[0].starts_with("v2  ") && lines[0].ends_with("admin  from files  it never failed"),
        "{history}"
    );
    assert_eq!((lines[1], lines[2]), ("    ~ job fetch", "    ~ job check"));
    assert!(lines[3].starts_with("v1  ") && lines[3].ends_with("the first of them"), "{history}");
    let older = cluster.hcndc(&["history", "interface", "load", "--limit", "1"]).is(0).out;
    assert!(older.ends_with("older: --before 2\n"), "{older}");
    let older = cluster
        .hcndc(&["history", "interface", "load", "--before", "2", "-o", "json"])
        .is(0)
        .json();
    assert_eq!(older["items"][0]["version"], 1);

    let diff = cluster.hcndc(&["diff", "interface", "load"]).is(0).out;
    assert!(diff.starts_with("--- v1  ") && diff.contains("\n+++ v2  "), "{diff}");
    assert!(diff.contains("\n~ edge fetch -> check (success -> done)\n"), "{diff}");
    assert!(diff.contains("\n    fields.program: \"true\" -> \"false\"\n"), "{diff}");
    assert_eq!(
        cluster.hcndc(&["diff", "job", "load/fetch", "2", "2"]).is(0).out.lines().last(),
        Some("they are the same")
    );
    cluster.hcndc(&["diff", "interface", "load", "7"]).is(1);

    let back = ["rollback", "interface", "load", "1", "--reason", "it does fail"];
    let dry = cluster.hcndc(&[&back[..], &["--dry-run"]].concat()).is(0).out;
    assert!(
        dry.contains("fields.program: \"false\" -> \"true\"") && dry.contains("used by dispatch"),
        "{dry}"
    );
    assert!(dry.ends_with("would be as version 1 was\n"), "{dry}");
    assert_eq!(cluster.hcndc(&["get", "interface", "load"]).is(0).json()["version"], 2);
    let stale = cluster.hcndc(&[&back[..], &["--from", "1"]].concat()).is(1);
    assert!(stale.err.contains("admin has saved version 2 meanwhile"), "{stale:?}");
    let done = cluster.hcndc(&back).is(0).out;
    assert!(done.ends_with("version 3 is as version 1 was\n"), "{done}");
    let history = cluster.hcndc(&["history", "interface", "load"]).is(0).out;
    assert!(
        history.lines().next().unwrap().ends_with("rolled back to 1  it does fail"),
        "{history}"
    );
    cluster.hcndc(&back).is(1);
    // It is as the first file says.
    let file = cluster.file("flow.yaml", FLOW);
    assert!(cluster.hcndc(&["apply", "-f", &file]).is(0).out.starts_with("0 changed"));

    let copied = cluster.hcndc(&["copy", "interface", "load", "load two"]).is(0).out;
    assert!(copied.starts_with("load two is a copy of load, #"), "{copied}");
    let jobs = cluster.hcndc(&["get", "job", "-o", "json"]).is(0).json();
    assert_eq!(jobs["items"].as_array().unwrap().len(), 4);
    cluster.hcndc(&["copy", "job", "load/check", "check again", "--interface", "load two"]).is(0);
    cluster.hcndc(&["copy", "dispatch", "daily", "daily two", "--interface", "load two"]).is(0);
    cluster.hcndc(&["copy", "interface", "load", "load two"]).is(2);
    cluster.hcndc(&["copy", "interface", "load", "x", "--interface", "load two"]).is(2);
}

#[test]
fn so_has_a_calendar() {
    const REST: &str = "{kind: calendar, name: works, spec: {rest: [SAT, SUN]}}";
    let cluster = Cluster::master();
    let file = cluster.file("works.yaml", REST);
    cluster.hcndc(&["apply", "-f", &file, "--reason", "two days"]).is(0);
    let file = cluster.file("works.yaml", &REST.replace("SAT, SUN", "SUN"));
    cluster.hcndc(&["apply", "-f", &file, "--reason", "one day"]).is(0);

    let history = cluster.hcndc(&["history", "calendar", "works"]).is(0).out;
    let lines: Vec<&str> = history.lines().collect();
    assert!(lines[0].starts_with("v2  ") && lines[0].ends_with("one day"), "{history}");
    assert!(lines.iter().any(|line| line.starts_with("    rest")), "{history}");
    let diff = cluster.hcndc(&["diff", "calendar", "works"]).is(0).out;
    assert!(diff.contains("\nrest"), "{diff}");
    let done = cluster.hcndc(&["rollback", "calendar", "works", "1"]).is(0).out;
    assert!(done.ends_with("version 3 is as version 1 was\n"), "{done}");
    let shown = cluster.hcndc(&["get", "calendar", "works"]).is(0).json();
    assert_eq!(shown["spec"]["rest"], serde_json::json!(["SAT", "SUN"]));
    let copied = cluster.hcndc(&["copy", "calendar", "works", "works too"]).is(0).out;
    assert!(copied.starts_with("works too is a copy of works, #"), "{copied}");
    cluster.hcndc(&["copy", "calendar", "works", "x", "--interface", "1"]).is(2);
}

#[test]
fn so_have_a_host_and_a_project() {
    let cluster = Cluster::master();
    const HOST: &str = "{kind: host, name: far, spec: {address: '127.0.0.1:1', slots: 4}}";
    let file = cluster.file("host.yaml", HOST);
    cluster.hcndc(&["apply", "-f", &file]).is(0);
    let file = cluster.file("host.yaml", &HOST.replace('4', "6"));
    cluster.hcndc(&["apply", "-f", &file, "--reason", "more memory"]).is(0);
    let history = cluster.hcndc(&["history", "host", "far"]).is(0).out;
    assert!(history.contains("more memory\n    slots: \"4\" -> \"6\"\n"), "{history}");
    assert!(cluster.hcndc(&["diff", "host", "far"]).is(0).out.contains("slots: 4 -> 6"));
    let back = ["rollback", "host", "far", "1", "--reason", "it was too much"];
    assert!(cluster.hcndc(&back).is(0).out.ends_with("version 3 is as version 1 was\n"));
    cluster.hcndc(&["copy", "host", "far", "near"]).is(2);
    let history = cluster.hcndc(&["history", "project", "default"]).is(0).out;
    assert!(history.starts_with("v1  ") && history.ends_with("first version\n"), "{history}");
}

#[test]
fn the_sample_goes_round_to_the_byte() {
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/sample").canonicalize().unwrap();
    let sample = sample.display().to_string();
    let cluster = Cluster::master();
    cluster.hcndc(&["apply", "-f", &sample]).is(0);
    let exported = cluster.hcndc(&["export", "all"]).is(0).out;
    assert!(exported.matches("kind: interface").count() >= 4, "{exported}");
    let file = cluster.file("exported/all.yaml", &exported);
    let said = cluster.hcndc(&["apply", "-f", &file]).is(0).out;
    assert!(said.starts_with("0 changed, ") && !said.contains(", 0 unchanged"), "{said}");
    // In another database, of which it knows nothing.
    let other = Cluster::master();
    other.hcndc(&["apply", "-f", &file]).is(0);
    assert_eq!(other.hcndc(&["export", "all"]).is(0).out, exported);

    let one = cluster.hcndc(&["export", "interface", "flights_load"]).is(0).out;
    assert!(
        exported.contains(&one) && one.starts_with("kind: interface\nname: flights_load\n"),
        "{one}"
    );
    let project = cluster.hcndc(&["export", "project", "default"]).is(0).out;
    assert!(project.contains("flights_report"), "{project}");
    cluster.hcndc(&["export", "project", "none"]).is(1);
    let json = cluster.hcndc(&["export", "interface", "flights_load", "-o", "json"]).is(0).json();
    assert_eq!(json["documents"][0]["name"], Value::from("flights_load"));
}
