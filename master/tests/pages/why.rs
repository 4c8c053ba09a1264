//! Why: the answer as page and API, in the reader's language, for those who may see it.

use crate::app::{NOW, TestApp};
use crate::executions::{SECOND, Scene, day};
use axum::http::Method;
use master::engine::rows::*;
use serde_json::{Value, json};
use shared::ids::*;

/// 02:30 in Shanghai, on the day of the tests and before.
const HALF_PAST_TWO: i64 = NOW - (8 * 60 + 30) * 60 * SECOND;
const DAY_MS: i64 = 86_400_000;

/// The dispatch `nightly` of `load` was paused for one instant, and has fired for another.
async fn decided(app: &TestApp, scene: &mut Scene) {
    let firing = |at: i64, period: &str, decision, why: &str, execution| {
        let row = Firing {
            project: ProjectId(1),
            version: 1,
            period: day(period),
            decision,
            why: why.into(),
            execution,
            decided: at + 2 * SECOND,
        };
        (Key::Firing(DispatchId(1), at), Some(Row::Firing(row)))
    };
    let state = DispatchState { project: ProjectId(1), cursor: HALF_PAST_TWO, paused: true };
    let before = HALF_PAST_TWO - DAY_MS;
    let paused = "the dispatch is paused";
    let rows = [
        firing(before, "2026-11-19", Decision::Paused, paused, None),
        firing(HALF_PAST_TWO, "2026-11-20", Decision::Misfired, "75 s late", None),
        (Key::Dispatch(DispatchId(1)), Some(Row::Dispatch(state))),
    ];
    scene.commit(app, &rows).await;
}

#[tokio::test]
async fn an_instant_is_told_with_its_neighbours_and_what_can_be_done() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    decided(&app, &mut scene).await;
    let ask = async |what: &str, when: &str| {
        app.get(&admin, &format!("/api/v1/explain?what={what}&when={when}")).await
    };
    let told = ask("nightly", "2026-11-21T02:30").await.is(200).json();
    let answer = &told["answer"];
    assert_eq!((&answer["code"], &answer["tone"]), (&json!("not_fired"), &json!("bad")));
    assert_eq!(answer["params"], json!({ "dispatch": "nightly", "why": "75 s late" }));
    assert_eq!(answer["text"], "nightly did not fire: 75 s late");
    assert_eq!(answer["satisfied_by"]["code"], "by_run");
    assert_eq!(answer["at_ms"], HALF_PAST_TWO);
    assert_eq!(told["question"]["instant_ms"], HALF_PAST_TWO);
    // Without a time: the latest one. By id, with an offset, in milliseconds: the same.
    for (what, when) in [
        ("nightly", ""),
        ("dispatch:1", "2026-11-20T18:30Z"),
        ("1", "2026-11-21T02:30:00%2B08:00"),
        ("dispatch:nightly", &HALF_PAST_TWO.to_string()),
    ] {
        let (what, when) = if what == "1" { ("dispatch:1", when) } else { (what, when) };
        assert_eq!(ask(what, when).await.is(200).json()["answer"], *answer, "{what} {when}");
    }
    let none = ask("nightly", "2026-11-21T04:00").await.is(200).json();
    assert_eq!(none["answer"]["code"], "no_instant");
    let codes: Vec<&Value> =
        none["answer"]["because"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert_eq!(codes, ["the_rule", "instant_before", "instant_after"]);
    assert_eq!(none["answer"]["because"][1]["at_ms"], HALF_PAST_TWO);
    assert_eq!(none["answer"]["because"][2]["at_ms"], HALF_PAST_TWO + DAY_MS);
    // It is paused, so the next one will not be.
    let next = ask("nightly", "2026-11-22T02:30").await.is(200).json();
    assert_eq!(next["answer"]["code"], "will_not_fire");
    assert_eq!(next["roots"][0]["code"], "is_paused");

    let page = app.get(&admin, "/dispatch/1/").await;
    page.is(200).has(&format!("/why/?what=dispatch:1&amp;when={HALF_PAST_TWO}"));
    let page = app.get(&admin, &format!("/why/?what=dispatch:1&when={HALF_PAST_TWO}")).await;
    page.is(200).has("nightly did not fire: 75 s late").has("run it by hand");
    page.has("nothing has started load 2026-11-20");
    let page = app.get(&admin.in_chinese(), "/why/?what=nightly&when=2026-11-21T02:30").await;
    page.is(200).has("nightly 未触发：迟到 75 秒").has("手工运行");
}

#[tokio::test]
async fn what_waits_and_what_failed_is_told_to_where_it_begins() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    let [_, bad, live, _] = scene.usual(&app).await;
    let ask = async |what: &str, when: &str| {
        app.get(&admin, &format!("/api/v1/explain?what={what}&when={when}")).await.is(200).json()
    };
    let failed = ask(&bad.to_string(), "").await;
    assert_eq!(failed["answer"]["code"], "failed");
    let roots = failed["roots"].as_array().unwrap();
    assert!(roots.iter().any(|root| root["code"] == "job_ended_so"), "{roots:#?}");
    let then = failed["then"].as_array().unwrap();
    assert_eq!(
        (&then[0]["code"], &then[0]["params"]["dispatch"]),
        (&json!("instant"), &json!("nightly"))
    );
    assert!(then.iter().any(|line| line["last"] == true), "{then:#?}");
    let at: Vec<i64> = then.iter().filter_map(|line| line["at_ms"].as_i64()).collect();
    assert!(at.is_sorted(), "{at:?}");

    // The same through the run of a job, and through interface and period.
    let catalog = app.app.catalog().await.unwrap();
    let waiting = ask(&live.to_string(), "").await;
    assert_eq!(waiting["answer"]["tone"], "open", "{waiting:#}");
    let clean = scene.run_id("clean", day("2026-11-19"));
    let job = scene.job_id("clean", "normalize");
    let of_job = ask(&format!("{clean}-{job}"), "").await;
    assert_eq!(of_job["question"]["job"], json!(job));
    assert_eq!(ask(&bad.to_string(), "clean/normalize").await["answer"], of_job["answer"]);
    assert_eq!(ask(&bad.to_string(), "normalize").await["answer"], of_job["answer"]);
    let name = &catalog.interfaces.values().next().unwrap().name;
    let slice = ask(&format!("{name}/2026-01-05"), "").await;
    assert_eq!(slice["answer"]["code"], "never_started");

    let page = app.get(&admin, &format!("/execute/flow/detail/{bad}/")).await;
    page.is(200).has(&format!("/why/?what={bad}"));
    let page = app.get(&admin, &format!("/why/?what={bad}")).await;
    page.is(200).has("Where it begins").has("the last thing that was waited for");
    page.has(&format!("/execute/flow/detail/{bad}/?tab=jobs&amp;job="));
}

#[tokio::test]
async fn what_is_not_understood_is_said_and_what_is_not_ones_own_is_not_there() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    let [good, ..] = scene.usual(&app).await;
    let same = json!({ "name": "load", "spec": { "interface": 1, "cron": "0 5 * * *" } });
    app.api(&admin, Method::POST, "/api/v1/dispatches", same).await.is(201);
    let ask = async |query: &str| app.get(&admin, &format!("/api/v1/explain?{query}")).await;
    for (query, status, why) in [
        ("", 422, "a dispatch, an interface, an execution or a job run is expected"),
        ("what=load&when=2026-11-20", 422, "names a dispatch and an interface"),
        ("what=nightly&when=yesterday", 422, "is neither a time"),
        ("what=clean&when=yesterday", 422, "is not a period"),
        ("what=nothing", 404, "there is no dispatch or interface"),
        ("what=0000000000007", 404, "there is no execution"),
        ("what=0000000000007-3", 404, "there is no run"),
        (&format!("what={good}&when=nothing"), 422, "has no job"),
        ("thing=nightly", 400, "unknown field"),
    ] {
        ask(query).await.is(status).has(why);
    }
    let page = app.get(&admin, "/why/?what=nightly&when=yesterday").await;
    page.is(200).has("is neither a time").has("value=\"yesterday\"");
    app.get(&admin, "/why/").await.is(200).has("Ask why a dispatch fired");
    ask("what=interface:load&when=2026-11-20").await.is(200);

    let olga = app.client("olga", "view").await;
    let right = "UPDATE user_right SET project_id = 2 WHERE user_id = \
                 (SELECT id FROM user_account WHERE name = 'olga')";
    app.app.db.commit([master::db::sql(right, master::params![])]).await.unwrap();
    for what in ["nightly", "clean", &good.to_string()] {
        app.get(&olga, &format!("/api/v1/explain?what={what}")).await.is(404);
    }
}
