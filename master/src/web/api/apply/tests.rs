//! Documents against an empty and a filled catalog.

use super::diff::{Action, changes};
use super::documents::{Document, Problem, items};
use super::resolve::{Ids, Resolved, resolve};
use crate::engine::catalog::{Catalog, Project};
use serde_json::{Value, json};
use shared::ids::*;
use std::sync::Arc;

fn empty() -> Catalog {
    let project = Project { name: "default".into(), ..Project::default() };
    Catalog { projects: [(ProjectId(1), Arc::new(project))].into(), ..Catalog::default() }
}

fn apply(catalog: &Catalog, documents: Value) -> Result<Resolved, Vec<Problem>> {
    let documents: Vec<Document> = serde_json::from_value(documents).unwrap();
    let ids = Ids { host: 1, calendar: 1, interface: 1, job: 1, dispatch: 1 };
    resolve(catalog, items(documents)?, ids)
}

fn said(result: Result<Resolved, Vec<Problem>>) -> String {
    let problems = result.unwrap_err();
    let lines: Vec<String> = problems
        .iter()
        .map(|it| format!("{} {} {}: {}", it.source, it.object, it.path, it.message))
        .collect();
    lines.join("\n")
}

fn mesh() -> Value {
    json!([
        {"source": "b.yaml:1", "kind": "interface", "name": "b", "spec": {"parents": ["a"]}, "jobs": [
            {"name": "y", "kind": "shell", "fields": {"program": "true"}, "needs": ["a/x"],
             "place": {"hosts": ["one"]}},
        ]},
        {"source": "a.yaml:1", "kind": "interface", "name": "a", "spec": {"params": {"n": 5}}, "jobs": [
            {"name": "x", "kind": "shell", "fields": {"program": "echo", "args": ["${n}"]}},
            {"name": "z", "kind": "shell", "fields": {"program": "true"}, "after": ["x"]},
        ], "dispatches": [{"name": "daily", "cron": "0 2 * * *"}]},
        {"source": "h.yaml:1", "kind": "host", "name": "one", "spec": {"address": "127.0.0.1:7"}},
    ])
}

#[test]
fn names_become_ids_wherever_they_stand() {
    let done = apply(&empty(), mesh()).unwrap();
    let catalog = &done.catalog;
    let by_name = |name: &str| catalog.interfaces.values().find(|it| it.name == name).unwrap();
    let (a, b) = (by_name("a"), by_name("b"));
    assert_eq!(b.spec.parents[0].interface, a.id);
    assert_eq!(b.jobs[0].spec.needs[0].interface, a.id);
    assert_eq!(b.jobs[0].spec.needs[0].job, a.jobs[0].id);
    assert_eq!(a.jobs[1].spec.after[0].job, a.jobs[0].id);
    assert_eq!(b.jobs[0].spec.place.hosts, [HostId(1)]);
    assert_eq!(a.spec.params["n"], "5");
    assert_eq!(catalog.dispatches[&DispatchId(1)].spec.interface, a.id);
    assert_eq!(done.taken, Ids { host: 1, calendar: 0, interface: 2, job: 3, dispatch: 1 });
    assert!(changes(&empty(), &done).iter().all(|change| change.action == Action::Create));
    // A second time there is nothing to do.
    let again = apply(catalog, mesh()).unwrap();
    assert!(changes(catalog, &again).iter().all(|change| change.action == Action::None));
    assert_eq!(again.taken, Ids::default());
}

#[test]
fn differences_are_told_by_field() {
    let old = apply(&empty(), mesh()).unwrap().catalog;
    let mut documents = mesh();
    documents[1]["spec"]["priority"] = 7.into();
    documents[1]["jobs"][0]["fields"]["args"] = json!(["${n}", "more"]);
    documents[1]["jobs"].as_array_mut().unwrap().remove(1);
    let done = apply(&old, documents).unwrap();
    let told: Vec<Value> = changes(&old, &done)
        .into_iter()
        .filter(|change| change.action != Action::None)
        .map(|change| serde_json::to_value(&change).unwrap())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0]["differences"], json!([{"path": "priority", "old": 0, "new": 7}]));
    let args = json!([{"path": "fields.args[1]", "old": null, "new": "more"}]);
    assert_eq!(told[1]["differences"], args);
    assert_eq!((&told[2]["action"], &told[2]["name"]), (&json!("delete"), &json!("z")));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (change, expect) in [
        (
            json!({"kind": "interface", "name": "b", "spec": {"parents": ["c"]}}),
            "c.yaml:9 interface b parents[0]: there is no interface \"c\"",
        ),
        (
            json!({"kind": "interface", "name": "c", "spec": {"prio": 1}}),
            "c.yaml:9 interface c prio: unknown field `prio`",
        ),
        (
            json!({"kind": "job", "name": "j", "interface": "q", "spec": {"kind": "shell"}}),
            "c.yaml:9 job q/j interface: there is no interface \"q\"",
        ),
        (
            json!({"kind": "job", "name": "j", "interface": "a", "spec": {"kind": "shell"}}),
            "c.yaml:9 job a/j fields.program: the program is missing",
        ),
        (
            json!({"kind": "job", "name": "j", "spec": {"kind": "shell"}}),
            "c.yaml:9 job j interface: the name of its interface",
        ),
        (
            json!({"kind": "dispatch", "name": "d", "interface": "a", "spec": {"cron": "0 2 * *"}}),
            "c.yaml:9 dispatch d cron: \"0 2 * *\" has 4 fields",
        ),
        (
            json!({"kind": "host", "name": "one", "spec": {"address": "127.0.0.1:8"}}),
            "c.yaml:9 host one name: it is there twice, also in h.yaml:1",
        ),
        (
            json!({"kind": "interface", "name": "c", "jobs": [{"kind": "shell"}]}),
            "c.yaml:9 interface c jobs[0].name: a name is required",
        ),
        (
            json!({"kind": "interface", "name": "c", "jobs": [
            {"name": "p", "kind": "shell", "fields": {"program": "a"}, "after": ["r"]},
            {"name": "r", "kind": "shell", "fields": {"program": "a"}, "after": ["p"]}]}),
            "job c/p jobs[0].after: a cycle: each waits for the next: c / ",
        ),
        (
            json!({"kind": "job", "name": "j", "interface": "a", "spec":
            {"kind": "shell", "fields": {"program": "a"}, "needs": ["b/y"]}}),
            "interface b parents: a cycle: each waits for the next: b > a > a / j > b / y > b",
        ),
        (
            json!({"kind": "job", "name": "j", "interface": "a", "spec":
            {"kind": "shell", "fields": {"program": "a"}, "needs": ["b/nothing"]}}),
            "job a/j needs[0]: that interface has no job \"nothing\"",
        ),
    ] {
        let mut documents = mesh();
        let mut change = change;
        change["source"] = "c.yaml:9".into();
        if change["name"] == "b" {
            documents.as_array_mut().unwrap().remove(0);
        }
        documents.as_array_mut().unwrap().push(change);
        let told = said(apply(&empty(), documents));
        assert!(told.contains(expect), "{expect}\n{told}");
    }
}

#[test]
fn nothing_that_is_needed_is_removed() {
    let old = apply(&empty(), mesh()).unwrap().catalog;
    let told = said(apply(
        &old,
        json!([
            {"source": "a.yaml:1", "kind": "interface", "name": "a", "jobs": [
                {"name": "z", "kind": "shell", "fields": {"program": "true"}},
            ]},
        ]),
    ));
    assert!(told.contains("job b/y needs: it needs job"), "{told}");
    // Without a list of jobs none is removed.
    let done = apply(&old, json!([{"kind": "interface", "name": "a"}])).unwrap();
    assert!(done.removed.is_empty());
}

#[test]
fn a_granularity_that_does_not_fit_who_waits_is_refused() {
    let shell = |needs: Value| {
        let fields = json!({"program": "true"});
        json!([{"name": "x", "kind": "shell", "fields": fields, "needs": needs}])
    };
    let last = json!([{"interface": "a", "job": "x", "map": "last_within"}]);
    let old = apply(
        &empty(),
        json!([
            {"kind": "interface", "name": "a", "spec": {"granularity": "hour"}, "jobs": shell(json!([]))},
            {"kind": "interface", "name": "b", "spec": {"parents": [{"interface": "a", "map": "last_within"}]}},
            {"kind": "interface", "name": "c", "jobs": shell(last)},
        ]),
    );
    let old = old.unwrap().catalog;
    // Who waits is in no file.
    let told = said(apply(
        &old,
        json!([{"source": "a.yaml:1", "kind": "interface", "name": "a", "spec": {"granularity": "day"}}]),
    ));
    assert!(told.contains("a.yaml:1 interface b map: it waits for interface a"), "{told}");
    assert!(told.contains("a.yaml:1 job c/x map: it waits for interface a"), "{told}");
}
