//! Two versions of something, and what is said of them.

use super::super::named::Names;
use super::{Change, Diff, Field, Line, Sign, changes, of_interface, of_spec};
use crate::engine::catalog::{Catalog, Interface, Job};
use serde_json::{Value, json};
use serde_yaml_ng::Mapping;
use shared::ids::*;
use std::sync::Arc;

fn mapping(value: Value) -> Mapping {
    serde_json::from_value(value).unwrap()
}

fn told(old: Value, new: Value) -> Vec<String> {
    changes(&mapping(old), &mapping(new)).iter().map(words).collect()
}

fn words(field: &Field) -> String {
    let side = |value: &Option<serde_yaml_ng::Value>| {
        value.as_ref().map_or_else(|| "none".into(), super::text)
    };
    if field.lines.is_empty() {
        return format!("{}: {} > {}", field.path, side(&field.old), side(&field.new));
    }
    let line = |line: &Line| {
        let sign = match line.sign {
            Sign::Gone => '-',
            Sign::New => '+',
            Sign::Same => ' ',
            Sign::Left => '~',
        };
        format!("{sign}{}", line.text)
    };
    format!("{}: {}", field.path, field.lines.iter().map(line).collect::<Vec<_>>().join("|"))
}

#[test]
fn fields_are_told_by_path() {
    let old = json!({"a": 1, "b": {"c": "x", "d": true}, "e": null});
    let new = json!({"a": 1, "b": {"c": "y", "d": true}, "e": 5, "f": "new"});
    assert_eq!(told(old.clone(), new.clone()), ["b.c: x > y", "e: – > 5", "f: none > new"]);
    assert_eq!(told(new, old.clone()), ["b.c: y > x", "e: 5 > –", "f: new > none"]);
    assert_eq!(told(old.clone(), old), [""; 0]);
}

#[test]
fn texts_of_several_lines_are_compared_line_by_line() {
    let long = |middle: &str| {
        let lines: Vec<String> = (0..20).map(|at| format!("l{at}")).collect();
        format!("{}\n{middle}\n{}", lines.join("\n"), lines.join("\n"))
    };
    let [old, new] = ["select 1", "select 2"].map(|middle| json!({"sql": long(middle)}));
    let expected = "sql: ~17| l17| l18| l19|-select 1|+select 2| l0| l1| l2|~17";
    assert_eq!(told(old, new), [expected]);
    // A text that was one line before too.
    let (old, new) = (json!({"s": "a"}), json!({"s": "a\nb"}));
    assert_eq!(told(old, new), ["s:  a|+b"]);
}

#[test]
fn lists_are_compared_by_what_is_in_them() {
    let list = |items: &[&str]| json!({"args": items});
    assert_eq!(told(list(&["a", "b", "c"]), list(&["a", "c"])), ["args:  a|-b| c"]);
    assert_eq!(told(list(&[]), list(&["a\nb"])), ["args: +a⏎b"]);
    let parents = |names: &[&str]| -> Value {
        let all: Vec<Value> =
            names.iter().map(|name| json!({"interface": name, "map": "same"})).collect();
        json!({"parents": all})
    };
    // Whichever place they have.
    assert_eq!(
        told(parents(&["a", "b"]), parents(&["b"])),
        ["parents[a].interface: a > none", "parents[a].map: same > none"]
    );
    let mut other = parents(&["b", "a"]);
    other["parents"][0]["map"] = json!({"previous": 2});
    assert_eq!(told(parents(&["a", "b"]), other), ["parents[b].map: same > {\"previous\":2}"]);
}

#[test]
fn a_new_name_is_a_field() {
    let spec = Mapping::new();
    let Diff { fields, .. } = of_spec(("a", &spec), ("b", &spec));
    assert_eq!(fields.iter().map(words).collect::<Vec<_>>(), ["name: a > b"]);
}

/// Id, name, program, and after which jobs.
type Task<'a> = (i64, &'a str, &'a str, &'a [(i64, &'a str)]);

fn interface(jobs: &[Task]) -> Interface {
    let job = |(id, name, program, after): &Task| {
        let after: Vec<Value> =
            after.iter().map(|(job, expect)| json!({"job": job, "expect": expect})).collect();
        let spec = json!({"kind": "shell", "fields": {"program": program}, "after": after});
        let spec = serde_json::from_value(spec).unwrap();
        Job { id: JobId(*id), name: (*name).into(), spec }
    };
    Interface {
        id: InterfaceId(1),
        project: ProjectId(1),
        name: "it".into(),
        version: 1,
        spec: serde_json::from_value(json!({})).unwrap(),
        jobs: jobs.iter().map(job).collect(),
    }
}

#[test]
fn jobs_and_edges_are_told_by_name() {
    let old = interface(&[
        (1, "load", "x", &[]),
        (2, "check", "x", &[(1, "success")]),
        (3, "old", "x", &[(1, "success")]),
    ]);
    let new = interface(&[
        (1, "load", "y", &[]),
        (2, "verify", "x", &[(1, "done")]),
        (4, "new", "x", &[(2, "success")]),
    ]);
    let catalog = Catalog {
        interfaces: [(InterfaceId(1), Arc::new(new.clone()))].into(),
        ..Catalog::default()
    };
    let diff = of_interface((&Names::at(&catalog, &old), &old), (&Names::at(&catalog, &new), &new));
    assert_eq!(diff.fields, []);
    let jobs: Vec<(Change, &str, Vec<String>)> = diff
        .jobs
        .iter()
        .map(|job| (job.change, job.name.as_str(), job.fields.iter().map(words).collect()))
        .collect();
    assert_eq!(jobs[0], (Change::Changed, "load", vec!["fields.program: x > y".into()]));
    assert_eq!(jobs[1], (Change::Changed, "verify", vec!["name: check > verify".into()]));
    assert_eq!((jobs[2].0, jobs[2].1), (Change::Added, "new"));
    assert!(jobs[2].2.contains(&"fields.program: none > x".into()), "{jobs:?}");
    assert_eq!((jobs[3].0, jobs[3].1, jobs.len()), (Change::Removed, "old", 4));
    let edges: Vec<String> = diff
        .edges
        .iter()
        .map(|edge| format!("{:?} {} > {}", edge.change, edge.from, edge.to))
        .collect();
    assert_eq!(edges, ["Added verify > new", "Removed load > old", "Changed load > verify"]);
}
