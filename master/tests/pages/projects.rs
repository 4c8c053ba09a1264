//! Projects: as which user of the hosts their jobs run.

use crate::app::TestApp;
use axum::http::Method;
use serde_json::json;
use shared::ids::ProjectId;

#[tokio::test]
async fn the_user_on_hosts_is_chosen_by_the_form() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    app.get(&admin, "/base/project/").await.is(200).has("as each host says");
    app.get(&admin.in_chinese(), "/base/project/").await.is(200).has("服务器上的用户");
    let path = "/base/project/1/edit/";
    app.get(&admin, path).await.is(200).has("jobs.users in executor.toml");
    let wrong = [("version", "1"), ("run_as", "not a user")];
    app.post(&admin, path, &wrong).await.is(422).has("begins with no digit").has("not a user");
    let right = [("version", "1"), ("run_as", " etl ")];
    app.post(&admin, path, &right).await.is(303);
    app.get(&admin, "/base/project/").await.is(200).has("<code>etl</code>");
    let catalog = app.app.catalog().await.unwrap();
    assert_eq!(catalog.projects[&ProjectId(1)].run_as, "etl", "what orders are made of");
    // From a version that is no more: both are shown, nothing is lost.
    let late = [("version", "1"), ("run_as", "other")];
    app.post(&admin, path, &late)
        .await
        .is(409)
        .has("admin has saved version 2")
        .has("<ins>etl</ins>")
        .has("<del>other</del>");
    app.get(&admin, "/base/project/").await.is(200).has("<code>etl</code>");
    app.get(&admin, "/base/project/99/edit/").await.is(404);
}

#[tokio::test]
async fn the_user_on_hosts_is_no_matter_of_the_project_alone() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let of_one = app.client("lead", "view,write,admin").await;
    let only = "UPDATE user_right SET project_id = 1 WHERE user_id = \
                (SELECT id FROM user_account WHERE name = 'lead')";
    app.app.db.commit(vec![master::db::sql(only, vec![])]).await.unwrap();
    let path = "/api/v1/projects/1";
    let body = |run_as: &str, version: i64| json!({ "run_as": run_as, "version": version });
    app.api(&of_one, Method::PUT, path, body("root", 1)).await.is(403);
    app.post(&of_one, "/base/project/1/edit/", &[("version", "1"), ("run_as", "root")])
        .await
        .is(403);
    let list = app.get(&of_one, "/base/project/").await;
    list.is(200).has_not("/base/project/1/edit/").has_not("root");
    let put = async |body| app.api(&admin, Method::PUT, path, body).await;
    let told = put(body("1st", 1)).await.is(422).json();
    assert_eq!(told["errors"][0]["path"], "run_as", "{told}");
    put(json!({ "run_as": "etl" })).await.is(422).has("version");
    put(json!({ "run_as": "etl", "version": 1, "user": 1 })).await.is(422).has("unknown field");
    let told = put(body("etl", 1)).await.is(200).json();
    assert_eq!((&told["run_as"], &told["version"]), (&json!("etl"), &json!(2)));
    put(body("other", 1)).await.is(409);
    put(body("", 2)).await.is(200);
    app.api(&admin, Method::PUT, "/api/v1/projects/99", body("etl", 1)).await.is(404);
}

#[tokio::test]
async fn what_is_decided_of_a_project_has_versions() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let form = [("version", "1"), ("run_as", "etl"), ("reason", "files of its own")];
    app.post(&admin, "/base/project/1/edit/", &form).await.is(303);
    let body = json!({"run_as": "batch", "version": 2, "reason": "etl is gone"});
    app.api(&admin, Method::PUT, "/api/v1/projects/1", body).await.is(200);
    let steps = app.get(&admin, "/api/v1/projects/1/versions").await.is(200).json();
    let told = steps["items"].as_array().unwrap().iter();
    let told: Vec<_> = told.map(|it| it["reason"].as_str().unwrap()).collect();
    assert_eq!(told, ["etl is gone", "files of its own", ""], "the first is from the row");
    let page = app.get(&admin, "/base/project/1/?tab=versions").await;
    page.is(200).has("files of its own").has("<ins>batch</ins>");
    app.get(&admin, "/base/project/1/").await.is(200).has("<code>batch</code>");
    app.get(&admin, "/base/project/1/version/2/").await.is(200).has("run_as: etl");
    app.get(&admin, "/base/project/1/rollback/1/").await.is(200).has("batch");
    let post = [("version", "3"), ("reason", "as it was")];
    app.post(&admin, "/base/project/1/rollback/1/", &post).await.is(303);
    let catalog = app.app.catalog().await.unwrap();
    assert_eq!(catalog.projects[&ProjectId(1)].run_as, "");
    // Who may only look sees the history, and is offered no way back.
    let viewer = app.client("viewer", "view").await;
    app.get(&viewer, "/base/project/1/?tab=versions").await.is(200).has_not("/rollback/");
    app.get(&viewer, "/base/project/1/rollback/1/").await.is(403);
}
