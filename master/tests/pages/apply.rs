//! `POST /api/v1/apply`: all or nothing, shown before, by those who may.

use crate::app::{Client, TestApp};
use axum::http::Method;
use master::store::catalog;
use serde_json::{Value, json};

async fn apply(app: &TestApp, client: &Client, dry_run: bool, documents: Value) -> (u16, Value) {
    let body = json!({"dry_run": dry_run, "documents": documents});
    let answer = app.api(client, Method::POST, "/api/v1/apply", body).await;
    (answer.status.as_u16(), answer.json())
}

fn documents() -> Value {
    json!([
        {"source": "mesh.yaml:1", "kind": "interface", "name": "load", "spec": {"params": {"day": "${date}"}},
         "jobs": [
            {"name": "extract", "kind": "shell", "fields": {"program": "echo", "args": ["${day}"]}},
            {"name": "check", "kind": "shell", "fields": {"program": "true"}, "after": ["extract"]},
         ],
         "dispatches": [{"name": "daily", "cron": "30 2 * * *"}]},
        {"source": "mesh.yaml:20", "kind": "interface", "name": "report", "spec": {"parents": ["load"]},
         "jobs": [{"name": "print", "kind": "shell", "fields": {"program": "true"}, "needs": ["load/check"]}]},
        {"source": "hosts.yaml:1", "kind": "host", "name": "one", "spec": {"address": "127.0.0.1:7701"}},
    ])
}

#[tokio::test]
async fn a_mesh_is_shown_then_written_then_unchanged() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let (status, shown) = apply(&app, &admin, true, documents()).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["changes"].as_array().unwrap().len(), 7);
    assert!(catalog::load(&app.app.db).await.unwrap().interfaces.is_empty());

    let (status, done) = apply(&app, &admin, false, documents()).await;
    assert_eq!((status, done["dry_run"].as_bool()), (200, Some(false)), "{done}");
    let stored = catalog::load(&app.app.db).await.unwrap();
    assert_eq!((stored.interfaces.len(), stored.dispatches.len(), stored.hosts.len()), (2, 1, 1));
    assert!(stored.interfaces.values().all(|it| it.version == 1));

    let (_, again) = apply(&app, &admin, false, documents()).await;
    assert_eq!((&again["changes"], &again["unchanged"]), (&json!([]), &json!(7)));
    assert_eq!(catalog::load(&app.app.db).await.unwrap().revision, stored.revision);

    // A job changed and one left out: the interface goes on by one version, the other stays.
    let mut changed = documents();
    changed[1]["jobs"] = json!([]);
    changed[0]["jobs"] = json!([
        {"name": "extract", "kind": "shell", "fields": {"program": "echo", "args": ["x"]}},
        {"name": "verify", "kind": "shell", "fields": {"program": "true"}, "after": ["extract"]},
    ]);
    let (status, done) = apply(&app, &admin, false, changed).await;
    assert_eq!(status, 200, "{done}");
    let actions: Vec<&str> = done["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["update", "create", "delete", "delete"]);
    let now = catalog::load(&app.app.db).await.unwrap();
    let load = now.interfaces.values().find(|it| it.name == "load").unwrap();
    let names: Vec<&str> = load.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!((load.version, &names[..]), (2, &["extract", "verify"][..]));
    // The name of a job that is gone is free again.
    let (status, done) = apply(&app, &admin, false, documents()).await;
    assert_eq!(status, 200, "{done}");
}

#[tokio::test]
async fn nothing_is_half_written() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut bad = documents();
    bad[0]["dispatches"][0]["cron"] = "30 2 * *".into();
    bad[1]["jobs"][0]["needs"] = json!(["load/nothing"]);
    let (status, told) = apply(&app, &admin, false, bad).await;
    assert_eq!(status, 422);
    let paths: Vec<&str> =
        told["errors"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["mesh.yaml:20: job report/print: jobs[0].needs[0]"], "{told}");
    let mut bad = documents();
    bad[0]["dispatches"][0]["cron"] = "30 2 * *".into();
    let (status, told) = apply(&app, &admin, false, bad).await;
    assert_eq!(status, 422);
    assert_eq!(told["errors"][0]["path"], "mesh.yaml:1: dispatch daily: dispatches[0].cron");
    let stored = catalog::load(&app.app.db).await.unwrap();
    assert!(stored.interfaces.is_empty() && stored.hosts.is_empty());
    // What is no apply at all names the place too.
    let (status, told) = apply(&app, &admin, false, json!([{"kind": "table", "name": "x"}])).await;
    assert_eq!((status, told["errors"][0]["path"].as_str()), (422, Some("documents[0].kind")));
}

#[tokio::test]
async fn who_may_not_write_writes_nothing() {
    let app = TestApp::new().await;
    let viewer = app.client("viewer", "view").await;
    let (status, _) = apply(&app, &viewer, true, documents()).await;
    assert_eq!(status, 403);
    // Who may write but not schedule cannot bring a dispatch.
    let writer = app.client("writer", "view,write").await;
    let (status, told) = apply(&app, &writer, false, documents()).await;
    assert_eq!(status, 403, "{told}");
    assert!(catalog::load(&app.app.db).await.unwrap().interfaces.is_empty());
    let mut without = documents();
    without[0].as_object_mut().unwrap().remove("dispatches");
    let (status, told) = apply(&app, &writer, false, without).await;
    assert_eq!(status, 200, "{told}");
}

#[tokio::test]
async fn definitions_may_be_many_and_other_requests_stay_small() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let dispatch = |number: usize| {
        let spec = json!({"cron": "0 2 * * *", "description": "n".repeat(600)});
        json!({"source": "all.yaml:9", "kind": "dispatch", "interface": "load",
               "name": format!("d{number}"), "spec": spec})
    };
    let mut all = documents();
    all.as_array_mut().unwrap().extend((0..1_800).map(dispatch));
    assert!(all.to_string().len() > app.app.config.web.body_max_bytes);
    let (status, done) = apply(&app, &admin, false, all.clone()).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(catalog::load(&app.app.db).await.unwrap().dispatches.len(), 1_801);
    // The same body, where nobody sends as much.
    let answer = app.api(&admin, Method::POST, "/api/v1/interfaces", all).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (413, &json!("too_large")));
    // More than the key allows: nothing of it is looked at.
    let padding = "x".repeat(app.app.config.web.apply_max_bytes);
    let (status, told) = apply(&app, &admin, false, json!([{"source": padding}])).await;
    assert_eq!((status, told["type"].as_str()), (413, Some("too_large")));
    assert!(told["detail"].as_str().unwrap().contains("web.apply_max_bytes"), "{told}");
}

/// `count` interfaces from the number `first` on, with two jobs and a dispatch each.
fn many(first: usize, count: usize, word: &str) -> Value {
    let document = |number: usize| {
        let shell = |name: &str, after: Value| {
            let fields = json!({"program": "echo", "args": [word]});
            json!({"name": name, "kind": "shell", "fields": fields, "after": after})
        };
        json!({"source": "many.yaml:1", "kind": "interface", "name": format!("many_{number}"),
               "spec": {"description": word},
               "jobs": [shell("a", json!([])), shell("b", json!(["a"]))],
               "dispatches": [{"name": format!("many_{number}"), "cron": "0 2 * * *", "description": word}]})
    };
    Value::Array((first..first + count).map(document).collect())
}

#[tokio::test]
async fn many_definitions_are_few_statements() {
    /// Seven tables in statements of up to 256 rows, and what is asked around them.
    const STATEMENTS_PER_1000_MAX: usize = 200;
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let cost = async |documents: Value, changes: usize| {
        let before = app.link.statements();
        let (status, done) = apply(&app, &admin, false, documents).await;
        assert_eq!(status, 200, "{done}");
        assert_eq!(done["changes"].as_array().unwrap().len(), changes);
        app.link.statements() - before
    };
    let new = cost(many(0, 1_000, "one"), 4_000).await;
    // On top of those that are there, changed, and as they are already.
    let more = cost(many(1_000, 1_000, "one"), 4_000).await;
    let changed = cost(many(0, 1_000, "two"), 4_000).await;
    let same = cost(many(0, 1_000, "two"), 0).await;
    println!(
        "statements of 1,000 interfaces: {new} new, {more} more, {changed} changed, {same} same"
    );
    for count in [new, more, changed] {
        assert!(count <= STATEMENTS_PER_1000_MAX, "{count} statements for 1,000 interfaces");
    }
    assert!(same <= 40, "{same} statements where nothing changes");
    let stored = catalog::load(&app.app.db).await.unwrap();
    let versions: Vec<i64> = stored.interfaces.values().map(|it| it.version).collect();
    assert_eq!(versions.len(), 2_000);
    assert_eq!(versions.iter().filter(|version| **version == 2).count(), 1_000);
    assert!(stored.interfaces.values().all(|it| it.jobs.len() == 2));
}

#[tokio::test]
async fn a_host_is_moved_once_and_stays_whose_it_is() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let host = |project: Option<&str>| {
        let mut host = json!({"source": "h.yaml:1", "kind": "host", "name": "one", "spec": {"address": "127.0.0.1:7701"}});
        if let Some(project) = project {
            host["project"] = project.into();
        }
        json!([host])
    };
    let changes = async |documents: Value| {
        let (status, done) = apply(&app, &admin, false, documents).await;
        assert_eq!(status, 200, "{done}");
        done["changes"].as_array().unwrap().len()
    };
    assert_eq!(changes(host(None)).await, 1);
    assert_eq!(changes(host(Some("default"))).await, 1, "moved to a project");
    assert_eq!(changes(host(Some("default"))).await, 0, "and there it is");
    assert_eq!(changes(host(None)).await, 0, "who says nothing moves nothing");
    let stored = catalog::load(&app.app.db).await.unwrap();
    assert!(stored.hosts.values().all(|it| it.project == shared::ids::ProjectId(1)));
}
