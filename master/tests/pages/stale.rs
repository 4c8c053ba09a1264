//! What is stale: listed with what is newer, shown wherever a run is, filtered by an index.

use crate::app::TestApp;
use crate::executions::{Scene, day};
use master::db::sql;
use master::params;
use serde_json::{Value, json};
use shared::ids::*;

/// `load` of the 18th was made anew: `clean` is stale, and with it what that has fed.
async fn scene(app: &TestApp, scene: &mut Scene) -> ExecutionId {
    let [good, ..] = scene.usual(app).await;
    let period = day("2026-11-18");
    let mut writes = Vec::new();
    for name in ["clean", "aggregate", "report"] {
        let run = scene.run_id(name, period);
        writes.push(sql("UPDATE run SET stale = 1 WHERE id = ?", params![run]));
    }
    let load = scene.run_id("load", period);
    let later = "UPDATE run SET ended_ms = ended_ms + 86400000 WHERE id = ?";
    writes.push(sql(later, params![load]));
    app.app.db.commit(writes).await.unwrap();
    good
}

#[tokio::test]
async fn what_is_stale_is_listed_with_what_is_newer() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut made = Scene::new(&app, &admin).await;
    let empty = app.get(&admin, "/execute/stale/").await;
    empty.is(200).has("Nothing is stale").has_not("Run all of these anew");
    let good = scene(&app, &mut made).await;

    let told = app.get(&admin, "/api/v1/stale").await.is(200).json();
    let items = told["items"].as_array().unwrap();
    let of = |item: &Value| {
        let newer = item["fed_by"][0]["code"].as_str().unwrap_or_default().to_owned();
        (item["interface"]["name"].as_str().unwrap().to_owned(), item["first"] == true, newer)
    };
    let found: Vec<_> = items.iter().map(of).collect();
    let expect = [
        ("clean", true, "newer_since"),
        ("aggregate", false, "stale_itself"),
        ("report", false, "stale_itself"),
    ];
    assert_eq!(found, expect.map(|(name, first, newer)| (name.into(), first, newer.into())));
    let newer = &items[0]["fed_by"][0]["text"];
    assert_eq!(newer, "load 2026-11-18 has succeeded as generation 1 since");
    assert_eq!((&items[0]["execution"], &told["next"]), (&json!(good), &Value::Null));

    // Of one interface; and who may only look is offered nothing.
    let id = &items[1]["interface"]["id"];
    let one = app.get(&admin, &format!("/api/v1/stale?interface={id}")).await.json();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let page = app.get(&admin, "/execute/stale/").await;
    page.is(200).has("Run all of these anew").has("has succeeded as generation 1 since");
    assert_eq!(page.text.matches("data-rerun=").count(), 1, "the others follow from it");
    app.get(&admin.in_chinese(), "/execute/stale/").await.has("过时的运行");
    let olga = app.client("olga", "view").await;
    app.get(&olga, "/execute/stale/").await.is(200).has_not("data-rerun=");
}

#[tokio::test]
async fn what_is_stale_comes_page_by_page_and_wrong_filters_are_told() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut made = Scene::new(&app, &admin).await;
    scene(&app, &mut made).await;
    let all = app.get(&admin, "/api/v1/stale").await.is(200).json();
    let runs = |page: &Value| -> Vec<Value> {
        page["items"].as_array().unwrap().iter().map(|item| item["run"].clone()).collect()
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&admin, &format!("/api/v1/stale?limit=1&cursor={cursor}")).await;
        let page = page.is(200).json();
        seen.extend(runs(&page));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, runs(&all));
    for (query, why) in [
        ("interface=clean", "the id of an interface is expected"),
        ("cursor=x", "the cursor of the page before is expected"),
        ("of=x", "unknown field"),
    ] {
        let answer = app.get(&admin, &format!("/api/v1/stale?{query}")).await;
        assert!(answer.status.is_client_error(), "{query}");
        answer.has(why);
    }
}

#[tokio::test]
async fn every_page_that_shows_a_run_shows_that_it_is_stale() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut made = Scene::new(&app, &admin).await;
    app.get(&admin, "/execute/flow/").await.is(200).has_not("tag stale");
    let good = scene(&app, &mut made).await;
    let clean = made.interfaces["clean"].id;
    let job = made.job_id("clean", "dedupe");
    app.get(&admin, "/").await.is(200).has("<b>3</b><span>↻ stale</span>");
    app.get(&admin, "/execute/flow/").await.is(200).has("tag stale");
    let page = app.get(&admin, &format!("/execute/flow/detail/{good}/")).await;
    page.is(200).has("is stale: what it was fed by has been made anew since.");
    page.has(&format!("/why/?what=interface:{clean}&amp;when=2026-11-18"));
    app.get(&admin, &format!("/interface/{clean}/")).await.is(200).has("s-succeeded stale");
    app.get(&admin, "/interface/").await.is(200).has("s-succeeded stale");
    app.get(&admin, &format!("/job/{job}/?tab=runs")).await.is(200).has("tag stale");
    let why = app.get(&admin, "/why/?what=report/2026-11-18").await;
    why.is(200).has("load 2026-11-18 has succeeded as generation 1 since");

    // The list of executions takes it as a state.
    let list = app.get(&admin, "/api/v1/executions?state=stale").await.is(200).json();
    let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!(good)]);
    assert_eq!(list["items"][0]["stale"], true);
    let both = app.get(&admin, "/api/v1/executions?state=stale,failed").await.json();
    assert_eq!(both["items"], json!([]));
    let page = app.get(&admin, "/execute/flow/?state=stale").await;
    page.is(200).has("<option value=\"stale\" selected>");
}
