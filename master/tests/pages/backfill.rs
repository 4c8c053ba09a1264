//! Backfills: asked for, planned in numbers, listed, shown; what is wrong is said beside its field.

use crate::app::{NOW, TestApp};
use crate::executions::Scene;
use axum::http::Method;
use master::db::sql;
use master::engine::rows::*;
use master::params;
use master::store;
use serde_json::{Value, json};
use shared::ids::*;
use std::sync::Arc;

/// A row as the leader would have written it.
async fn stored(app: &TestApp, interface: InterfaceId, id: i64, edit: impl FnOnce(&mut Backfill)) {
    let spec: BackfillSpec = serde_json::from_value(json!({
        "interface": interface, "spans": ["2026-11-01..2026-11-10"], "skips": ["2026-11-03"],
    }))
    .unwrap();
    let mut row = Backfill {
        project: ProjectId(1),
        interface,
        by: UserId(1),
        spec,
        pins: Vec::new(),
        planned: 9,
        made: 4,
        failed: 0,
        cursor: None,
        state: BackfillState::Running,
        why: String::new(),
        created: NOW,
        ended: None,
    };
    edit(&mut row);
    let change = (Key::Backfill(CommandId(id)), Some(Row::Backfill(Arc::new(row))));
    app.app.db.commit(store::run::writes(&[change], 1)).await.unwrap();
}

async fn id_of(app: &TestApp, name: &str) -> InterfaceId {
    let catalog = app.app.catalog().await.unwrap();
    catalog.interfaces.values().find(|interface| interface.name == name).unwrap().id
}

#[tokio::test]
async fn a_plan_is_shown_before_anything_begins() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    scene.usual(&app).await;
    let load = id_of(&app, "load").await.to_string();
    app.get(&admin, "/backfill/").await.is(200).has("New backfill").has("A backfill makes many");
    app.get(&admin, &format!("/backfill/add/?interface={load}")).await.is(200).has("Show the plan");
    let form = |spans: &'static str, more: &[(&'static str, &'static str)]| {
        let mut form = vec![("interface", load.clone()), ("spans", spans.to_owned())];
        let usual = [("parallel", "2"), ("failures_max", "3"), ("zone", "UTC"), ("do", "plan")];
        form.extend(usual.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())));
        form
    };
    let post = async |form: Vec<(&'static str, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, text)| (*name, &**text)).collect();
        app.post(&admin, "/backfill/add/", &form).await
    };
    let plan = post(form("2026-11-01..2026-11-10\n2026-12", &[("cascade", "on")])).await;
    plan.is(200).has("<b>41</b>").has("2026-11-01 → 2026-12-31").has("164").has("report");
    assert!(plan.text.contains("value=\"start\""), "it may be begun now");
    // What was typed stays where something is wrong.
    let wrong = post(form("2026-11-05..2026-11-01", &[])).await;
    wrong
        .is(422)
        .has("ends before it begins")
        .has("2026-11-05..2026-11-01")
        .has_not("value=\"start\"");
    let wrong = post(form("2026-11-01", &[("parallel", "500"), ("windows", "noon")])).await;
    wrong.is(422).has("out of range: 1 to 100").has("is no window");
    post(form("2026-11-01T10+00:00", &[])).await.is(422).has("whose granularity is day");
    let many = post(form("1970-01-01..9999-12-31", &[])).await;
    many.is(422).has("more than 100000 periods");
    // Nobody leads here: the command stands, and the list is where it will be.
    let begun = post(form("2026-11-01", &[("do", "start")])).await;
    assert_eq!((begun.status.as_u16(), begun.location()), (303, "/backfill/"));
    let commands = app.get(&admin, "/api/v1/commands").await.is(200).json();
    assert_eq!(commands["items"][0]["verb"], "backfill");
    // Who may only look may not.
    let olga = app.client("olga", "view").await;
    app.get(&olga, "/backfill/").await.is(200).has_not("New backfill");
    app.get(&olga, "/backfill/add/").await.is(403);
    app.post(&olga, "/backfill/add/", &[("interface", "1")]).await.is(403);
}

#[tokio::test]
async fn what_goes_on_is_listed_and_shown() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    scene.usual(&app).await;
    let load = id_of(&app, "load").await;
    stored(&app, load, 101, |_| {}).await;
    stored(&app, load, 102, |row| {
        (row.state, row.ended) = (BackfillState::Ended, Some(NOW));
        row.pins = vec![(load, 1)];
    })
    .await;
    stored(&app, load, 103, |row| {
        row.state = BackfillState::Paused;
        row.why = "3 of its executions have ended without success".into();
    })
    .await;
    let told = app.get(&admin, "/api/v1/backfills").await.is(200).json();
    let ids: Vec<i64> =
        told["items"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [103, 102, 101]);
    let live = app.get(&admin, "/api/v1/backfills?state=live").await.is(200).json();
    assert_eq!(live["items"].as_array().unwrap().len(), 2);
    let page = app.get(&admin, "/backfill/").await;
    page.is(200)
        .has("4 / 9")
        .has("3 of its executions")
        .has("pause_backfill")
        .has("resume_backfill");
    let chinese = app.get(&admin.in_chinese(), "/backfill/103/").await;
    chinese.is(200).has("其 3 个执行未成功结束").has("已暂停");
    let one = app.get(&admin, "/backfill/102/").await;
    one.is(200).has("2026-11-01..2026-11-10").has("v1").has_not("data-backfill-verb");
    app.get(&admin, "/backfill/101/").await.is(200).has("data-stop=\"1\"");
    app.get(&admin, "/backfill/999/").await.is(404);
    app.get(&admin, "/api/v1/backfills/999").await.is(404);
    app.get(&admin, "/api/v1/backfills?state=dead").await.is(422);
    app.get(&admin, "/api/v1/backfills?cursor=x").await.is(422);
}

#[tokio::test]
async fn programs_plan_and_are_told_what_is_wrong() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    scene.usual(&app).await;
    let load = id_of(&app, "load").await;
    let plan =
        async |body: Value| app.api(&admin, Method::POST, "/api/v1/backfills/plan", body).await;
    let spec = json!({ "interface": load, "spans": ["2026-11-01..2026-11-30"], "cascade": true });
    let told = plan(spec.clone()).await.is(200).json();
    assert_eq!((&told["executions"], &told["runs_most"]), (&30.into(), &120.into()));
    assert_eq!(told["interfaces"].as_array().unwrap().len(), 4);
    assert_eq!(told["estimate"]["unknown"], 4, "nothing has run lately");
    // From runs that have succeeded.
    let lately = "UPDATE run SET period_ms = ?, started_ms = 1000, ended_ms = 61000";
    let lately = sql(lately, params![NOW]);
    app.app.db.commit(vec![lately]).await.unwrap();
    let told = plan(spec.clone()).await.is(200).json();
    // One after the other in a chain of as many as have succeeded, thirty times.
    let one = told["estimate"]["one_ms"].as_i64().unwrap();
    assert!(one >= 60_000 && one % 60_000 == 0, "{told}");
    assert_eq!(told["estimate"]["elapsed_ms"], 30 * one);
    for (key, value, path) in [
        ("interface", json!(999), "interface"),
        ("spans", json!(["x"]), "spec"),
        ("paralel", json!(3), "spec"),
        ("parallel", json!(0), "parallel"),
    ] {
        let mut spec = spec.clone();
        spec[key] = value;
        let told = plan(spec).await.is(422).json();
        assert_eq!(told["errors"][0]["path"], path, "{told}");
    }
    let verb = |spec: Value| json!({ "verb": "backfill", "spec": spec });
    let give = async |body: Value| app.api(&admin, Method::POST, "/api/v1/commands", body).await;
    give(verb(json!({ "interface": load, "spans": [] }))).await.is(422).has("spec.spans");
    give(verb(json!({ "interface": 999, "spans": ["2026-11-01"] }))).await.is(422);
    give(json!({ "verb": "pause_backfill", "backfill": 999 }))
        .await
        .is(422)
        .has("there is no backfill");
    give(json!({ "verb": "cancel_backfill", "backfill": "x" })).await.is(422);
}
