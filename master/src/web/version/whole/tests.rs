//! An interface that is to be as it was, or as another one is.

use super::{copied, judge};
use crate::engine::catalog::{Catalog, Interface, Project};
use crate::web::api::apply::documents::{Document, items};
use crate::web::api::apply::resolve::{Ids, resolve};
use crate::web::save::Draft;
use serde_json::{Value, json};
use shared::ids::*;
use std::sync::Arc;

fn catalog() -> Catalog {
    let project = Arc::new(Project { name: "default".into(), ..Project::default() });
    let empty = Catalog { projects: [(ProjectId(1), project)].into(), ..Catalog::default() };
    let shell = |name: &str, more: Value| {
        let mut job = json!({"name": name, "kind": "shell", "fields": {"program": "true"}});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    let own = json!({"after": [{"job": "x", "expect": "failure"}],
        "needs": [{"interface": "it", "job": "x", "map": {"previous": 1}}, "other/o"]});
    let documents = json!([
        {"kind": "interface", "name": "other", "jobs": [shell("o", json!({}))]},
        {"kind": "interface", "name": "it", "jobs": [shell("x", json!({})), shell("y", own)],
            "spec": {"parents": ["other", {"interface": "it", "map": {"previous": 1}}]}},
        {"kind": "interface", "name": "needs", "jobs": [shell("n", json!({"needs": ["it/x"]}))]},
    ]);
    let documents: Vec<Document> = serde_json::from_value(documents).unwrap();
    let ids = Ids { host: 1, calendar: 1, interface: 1, job: 1, dispatch: 1 };
    resolve(&empty, items(documents).unwrap(), ids).unwrap().catalog
}

fn it(catalog: &Catalog) -> Interface {
    (*catalog.interfaces[&InterfaceId(2)]).clone()
}

fn said(catalog: &Catalog, it: &Interface) -> Vec<String> {
    judge(catalog, it).iter().map(ToString::to_string).collect()
}

#[test]
fn what_fits_is_not_complained_about() {
    let catalog = catalog();
    assert_eq!(said(&catalog, &it(&catalog)), [""; 0]);
}

#[test]
fn what_does_not_fit_any_more_is_told() {
    let catalog = catalog();
    let complains = |change: &dyn Fn(&mut Interface), about: &str| {
        let mut wanted = it(&catalog);
        change(&mut wanted);
        let said = said(&catalog, &wanted);
        assert!(said.iter().any(|line| line.contains(about)), "{about}: {said:?}");
    };
    complains(&|it| it.name = "other".into(), "interface 1 has this name already");
    complains(&|it| it.spec.parents[0].interface = InterfaceId(99), "there is no interface 99");
    complains(&|it| it.jobs[0].spec.place.hosts = vec![HostId(5)], "jobs[x].place.hosts[0]");
    complains(&|it| drop(it.jobs.remove(0)), "job needs/n needs job x");
    complains(&|it| it.jobs[1].spec.after[0].job = JobId(77), "this interface has no job 77");
    let back = |it: &mut Interface| {
        let edge = it.jobs[1].spec.after[0];
        it.jobs[0].spec.after = vec![shared::spec::Edge { job: it.jobs[1].id, ..edge }];
    };
    complains(&back, "a cycle");
}

#[test]
fn a_copy_stays_within_itself() {
    let catalog = catalog();
    let source = it(&catalog);
    let draft = Draft { name: "copy".into(), spec: source.spec.clone(), from: None };
    let copy = copied(&source, &draft, (InterfaceId(70), 80));
    assert_eq!(said(&catalog, &copy), [""; 0]);
    let ids: Vec<JobId> = copy.jobs.iter().map(|job| job.id).collect();
    assert_eq!(ids, [JobId(80), JobId(81)]);
    let y = &copy.jobs[1].spec;
    assert_eq!(y.after[0].job, JobId(80));
    assert_eq!((y.needs[0].interface, y.needs[0].job), (InterfaceId(70), JobId(80)));
    // What it shares with its source is shared still.
    assert_eq!(y.needs[1], source.jobs[1].spec.needs[1]);
    let parents: Vec<InterfaceId> = copy.spec.parents.iter().map(|it| it.interface).collect();
    assert_eq!(parents, [InterfaceId(1), InterfaceId(70)]);
}
