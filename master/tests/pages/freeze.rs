//! Freezing and unfreezing as verbs: in numbers first, then a version with its reason.

use crate::app::{Answer, Client, TestApp};
use crate::executions::Scene;
use axum::http::Method;
use master::store::audit;
use serde_json::{Value, json};

async fn post(app: &TestApp, who: &Client, path: &str, body: Value) -> Answer {
    app.api(who, Method::POST, &format!("/api/v1/{path}"), body).await
}

/// What a dry run counts, without what is nothing.
async fn planned(app: &TestApp, who: &Client, path: &str) -> Value {
    let told = post(app, who, path, json!({"dry_run": true})).await.is(200).json();
    assert_eq!(told["dry_run"], true);
    let plan = told["plan"].as_object().unwrap().clone();
    plan.into_iter()
        .filter(|(_, n)| !n.is_null() && *n != 0)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// `clean` has a run with one job done, one at work, one queued, one waiting, and one of four that wait.
#[tokio::test]
async fn what_would_be_held_is_told_in_numbers() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    scene.usual(&app).await;
    let [load, clean, report] =
        ["load", "clean", "report"].map(|name| scene.interfaces[name].id.to_string());
    let job = |name: &str| scene.job_id("clean", name).to_string();

    let plan = planned(&app, &admin, &format!("interfaces/{clean}/freeze")).await;
    let expect = json!({"runs_live": 2, "jobs_held": 6, "jobs_queued": 1, "jobs_running": 1,
        "dispatches_held": 1, "interfaces_waiting": 1, "interfaces_behind": 2});
    assert_eq!(plan, expect);
    let plan = planned(&app, &admin, &format!("jobs/{}/freeze", job("reject"))).await;
    let expect = json!({"runs_live": 2, "jobs_held": 2, "jobs_queued": 1, "jobs_after": 1,
        "dispatches_held": 1, "interfaces_waiting": 1, "interfaces_behind": 2});
    assert_eq!(plan, expect);
    let mut plan = planned(&app, &admin, &format!("interfaces/{load}/freeze")).await;
    let next = plan.as_object_mut().unwrap().remove("next_ms").unwrap();
    let expect = json!({"dispatches_skipped": 1, "interfaces_waiting": 1, "interfaces_behind": 3});
    assert_eq!(plan, expect);
    let told = app.get(&admin, "/api/v1/dispatches/1").await.json();
    assert_eq!(next, told["status"]["next_ms"]);
    // One that is paused starts nothing in any case; and at the end of the mesh nobody waits.
    let pause = "INSERT INTO dispatch_state VALUES (1, 1, 0, 1)";
    app.app.db.commit([master::db::sql(pause, vec![])]).await.unwrap();
    let plan = planned(&app, &admin, &format!("interfaces/{report}/freeze")).await;
    assert_eq!(plan, json!({"runs_live": 2, "jobs_held": 6}));
}

#[tokio::test]
async fn it_is_a_version_with_its_reason() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    Scene::new(&app, &admin).await;
    let page = app.get(&admin, "/interface/1/").await;
    page.is(200).has("data-turn=\"/api/v1/interfaces/1/freeze\"");
    let none = post(&app, &admin, "interfaces/1/freeze", json!({"reason": " "})).await;
    assert_eq!(none.is(422).json()["errors"][0]["path"], "reason");
    let long = json!({"reason": "x".repeat(501)});
    post(&app, &admin, "interfaces/1/freeze", long).await.is(422);
    post(&app, &admin, "interfaces/1/freeze", json!({"dry_run": true})).await.is(200);
    let now = app.get(&admin, "/api/v1/interfaces/1").await.json();
    assert_eq!((&now["version"], &now["spec"]["frozen"]), (&json!(1), &json!(false)));

    let why = json!({"reason": "the source is being moved", "from": 1});
    let done = post(&app, &admin, "interfaces/1/freeze", why.clone()).await.is(200).json();
    assert_eq!((&done["frozen"], &done["version"]), (&json!(true), &json!(2)));
    let again = post(&app, &admin, "interfaces/1/freeze", why).await;
    again.is(409).has("frozen already");
    let steps = app.get(&admin, "/api/v1/interfaces/1/versions").await.json();
    assert_eq!(steps["items"][0]["reason"], "the source is being moved");
    assert_eq!(steps["items"][0]["changes"][0]["path"], "frozen");
    let page = app.get(&admin, "/interface/1/").await;
    page.is(200).has("s-frozen").has("data-turn=\"/api/v1/interfaces/1/unfreeze\"");

    // Who decided about another version is told who has saved meanwhile.
    let late = json!({"reason": "as planned", "from": 1});
    post(&app, &admin, "interfaces/1/unfreeze", late.clone()).await.is(409).has("meanwhile");
    let dry = json!({"dry_run": true, "from": 1});
    post(&app, &admin, "interfaces/1/unfreeze", dry).await.is(409).has("meanwhile");
    let done = post(&app, &admin, "interfaces/1/unfreeze", json!({"reason": "moved"})).await;
    assert_eq!(done.is(200).json()["version"], 3);
    post(&app, &admin, "interfaces/1/unfreeze", json!({"reason": "moved"})).await.is(409);

    let done = post(&app, &admin, "jobs/1/freeze", json!({"reason": "it breaks the source"})).await;
    assert_eq!(done.is(200).json()["version"], 4, "a job's versions are its interface's");
    let page = app.get(&admin, "/job/1/").await;
    page.is(200).has("s-frozen").has("data-turn=\"/api/v1/jobs/1/unfreeze\"");
    let viewer = app.client("viewer", "view").await;
    app.get(&viewer, "/job/1/").await.is(200).has_not("data-turn");
    post(&app, &viewer, "jobs/1/unfreeze", json!({"dry_run": true})).await.is(403);
    post(&app, &admin, "jobs/99/freeze", json!({"dry_run": true})).await.is(404);
    post(&app, &admin, "jobs/1/unfreeze", json!({"because": "x"})).await.is(422);
}

/// Buttons for many, and deletes, take a reason as every other edit does.
#[tokio::test]
async fn bulk_buttons_and_deletes_keep_the_reason() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    crate::definitions::sample(&app, &admin).await;
    let reason_of = async |path: &str| {
        let steps = app.get(&admin, &format!("/api/v1/{path}/versions")).await.is(200).json();
        steps["items"][0]["reason"].as_str().unwrap().to_owned()
    };
    let deleted = async |object: &str, id: i64| {
        let told = audit::of_object(&app.app.db, object, id, 1).await.unwrap().remove(0);
        assert_eq!(told.action, "delete");
        told.detail
    };
    let bulk = [("action", "freeze"), ("id", "1"), ("id", "2"), ("reason", "the year ends")];
    app.post(&admin, "/interface/bulk/", &bulk).await.is(303);
    assert_eq!(reason_of("interfaces/1").await, "the year ends");
    assert_eq!(reason_of("interfaces/2").await, "the year ends");
    let bulk = [("action", "thaw"), ("id", "3"), ("reason", "was it ever frozen?")];
    app.post(&admin, "/job/bulk/", &bulk).await.is(303);
    assert_eq!(reason_of("jobs/3").await, "was it ever frozen?");

    let bulk = [("action", "delete"), ("id", "1"), ("reason", "it fires too early")];
    app.post(&admin, "/dispatch/bulk/", &bulk).await.is(303);
    assert_eq!(deleted("dispatch", 1).await, "nightly: it fires too early");
    let job = app.get(&admin, "/api/v1/jobs/3").await.json();
    let form = [("version", job["version"].to_string()), ("reason", "nobody reads it".into())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, text)| (*name, &**text)).collect();
    app.post(&admin, "/job/3/delete/", &form).await.is(303);
    assert_eq!(deleted("job", 3).await, "dedupe: nobody reads it");
    assert_eq!(reason_of("interfaces/2").await, "nobody reads it");
    let version = app.get(&admin, "/api/v1/interfaces/2").await.json()["version"].to_string();
    let path = format!("/api/v1/interfaces/2?version={version}&reason=gone%20too");
    app.api(&admin, Method::DELETE, &path, json!({})).await.is(204);
    assert_eq!(deleted("interface", 2).await, "clean: gone too");
    let long = format!("/api/v1/hosts/1?version=1&reason={}", "x".repeat(501));
    app.api(&admin, Method::DELETE, &long, json!({})).await.is(422);
    let plain = "/api/v1/hosts/1?version=1";
    app.api(&admin, Method::DELETE, plain, json!({})).await.is(204);
    assert_eq!(deleted("host", 1).await, "etl-1");
    let page = app.get(&admin, "/interface/").await;
    page.is(200).has("data-reason");
}
