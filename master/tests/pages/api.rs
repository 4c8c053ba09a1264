//! `/api/v1` for definitions.

use crate::app::TestApp;
use crate::definitions::sample;
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn a_definition_goes_round() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    for (path, count) in [("interfaces", 2), ("jobs", 3), ("dispatches", 1), ("hosts", 1)] {
        let list = app.get(&admin, &format!("/api/v1/{path}")).await.is(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{path}");
        assert_eq!(list["next"], json!(null));
        // What GET gives, PUT takes.
        let one = format!("/api/v1/{path}/1");
        let body = app.get(&admin, &one).await.is(200).json();
        let put = app.api(&admin, Method::PUT, &one, body.clone()).await.is(200).json();
        assert_eq!(put["spec"], body["spec"], "{path}");
        assert!(put["version"].as_i64() > body["version"].as_i64(), "{path}");
        app.api(&admin, Method::PUT, &one, body).await.is(409);
    }
    let jobs = app.get(&admin, "/api/v1/jobs?interface=2").await.json();
    assert_eq!(jobs["items"][0]["name"], "dedupe");
    let page = app.get(&admin, "/api/v1/jobs?limit=2").await.json();
    assert_eq!(page["next"], 2);
    let rest = app.get(&admin, "/api/v1/jobs?limit=2&after=2").await.json();
    assert_eq!((rest["items"][0]["id"].clone(), rest["next"].clone()), (json!(3), json!(null)));
}

#[tokio::test]
async fn what_is_used_is_not_deleted_and_says_by_what() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let delete = async |path: &str| {
        let path = format!("/api/v1/{path}");
        app.api(&admin, Method::DELETE, &path, json!(null)).await
    };
    delete("interfaces/1?version=3").await.is(409).has("interface 2 clean").has("dispatch 1");
    delete("jobs/1?version=2").await.is(409).has("job 2 check");
    delete("dispatches/1?version=1").await.is(204);
    delete("jobs/3?version=2").await.is(204);
    delete("interfaces/2?version=9").await.is(409);
    delete("interfaces/2?version=3").await.is(204);
    delete("interfaces/1?version=3").await.is(204);
    let rest = app.get(&admin, "/api/v1/jobs").await.json();
    assert_eq!(rest["items"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_path() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let post = async |path: &str, body: serde_json::Value| {
        let path = format!("/api/v1/{path}");
        let answer = app.api(&admin, Method::POST, &path, body).await;
        answer.is(422).json()["errors"].clone()
    };
    let errors = post("interfaces", json!({"name": "x", "spec": {"zone": "Mars"}})).await;
    assert_eq!(errors[0]["path"], "zone");
    let errors = post("interfaces", json!({"name": "x", "spec": {"nonsense": 1}})).await;
    assert!(errors[0]["path"].as_str().unwrap().starts_with("spec"), "{errors}");
    let body = json!({"name": "x", "spec": {"interface": 1, "cron": "99 * * * *"}});
    assert_eq!(post("dispatches", body).await[0]["path"], "cron");
    let body = json!({"name": "x", "interface": 1, "spec": {"kind": "shell", "fields": {}}});
    assert_eq!(post("jobs", body).await[0]["path"], "fields.program");
}

#[tokio::test]
async fn jobs_of_one_interface_saved_at_once_are_all_saved() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let spec = json!({"kind": "shell", "fields": {"program": "true"}});
    let post = async |number: i32| {
        let body = json!({"interface": 1, "name": format!("job {number}"), "spec": spec});
        app.api(&admin, Method::POST, "/api/v1/jobs", body).await.status.as_u16()
    };
    let made = futures::join!(post(1), post(2), post(3), post(4));
    assert_eq!(made, (201, 201, 201, 201));
    let interface = app.get(&admin, "/api/v1/interfaces/1").await.json();
    assert_eq!(interface["version"], 7);
}

#[tokio::test]
async fn a_search_finds_the_best_first() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let found = app.get(&admin, "/api/v1/search?q=load").await.json();
    assert_eq!(found["items"][0]["href"], "/interface/1/");
    let jobs = app.get(&admin, "/api/v1/search?q=dedupe&kind=job").await.json();
    assert_eq!(jobs["items"][0]["name"], "clean / dedupe");
    assert_eq!(app.get(&admin, "/search/?q=nightly").await.is(303).location(), "/dispatch/1/");
    let counters = app.get(&admin, "/api/v1/counters").await.json();
    assert_eq!(counters, json!({"running": 0, "waiting": 0, "failed": 0, "away": false}));
}
