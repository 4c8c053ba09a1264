//! The calendar: what is drawn is what fires, each sees their own, and what is wrong is said.

use crate::app::{Client, TestApp};
use axum::http::Method;
use master::db::{params, sql};
use serde_json::{Value, json};

/// Two interfaces: one is frozen; three dispatches, of which the second is paused.
async fn scene() -> (TestApp, Client) {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let post = async |path: &str, body: Value| {
        app.api(&admin, Method::POST, path, body).await.is(201).json()["id"].as_i64().unwrap()
    };
    let spec = |more: Value| {
        let mut spec = json!({"granularity": "day", "zone": "Asia/Shanghai"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let clean = post("/api/v1/interfaces", json!({"name": "clean", "spec": spec(json!({}))})).await;
    let still = json!({"name": "still", "spec": spec(json!({"frozen": true}))});
    let still = post("/api/v1/interfaces", still).await;
    for (name, interface, cron, zone) in [
        ("nightly", clean, "30 2 * * *", "Asia/Shanghai"),
        ("often", clean, "*/20 9 * * *", "Asia/Shanghai"),
        ("never", still, "0 2 * * *", "Asia/Shanghai"),
    ] {
        let spec = json!({"interface": interface, "cron": cron, "zone": zone});
        post("/api/v1/dispatches", json!({"name": name, "spec": spec})).await;
    }
    let pause = "INSERT INTO dispatch_state VALUES (2, 1, 0, 1)";
    app.app.db.commit([sql(pause, params![])]).await.unwrap();
    (app, admin)
}

#[tokio::test]
async fn a_month_is_drawn_and_an_hour_of_it_listed() {
    let (app, admin) = scene().await;
    let page = app.get(&admin, "/dispatch/calendar/").await;
    page.is(200).has("30 firings of 3 dispatches").has("2026-11-21 02:00");
    let one = app.get(&admin, "/dispatch/calendar/?dispatch=1").await;
    one.is(200).has("30 firings of one dispatch").has_not("of 1 dispatches");
    app.get(&admin.in_chinese(), "/dispatch/calendar/?dispatch=1").await.has("这个调度触发 30 次");
    // 30 of the frozen interface, and 3 × 30 that are paused.
    page.has("‖ 120 more start nothing").has("days and hours of Asia/Shanghai");
    page.has("href=\"?month=2026-10\"").has("href=\"?month=2026-12\"");
    page.has("href=\"/dispatch/calendar/\" aria-current=\"page\"");
    page.has_not("href=\"/dispatch/\" aria-current=\"page\"");

    let hour = "month=2026-11&day=2026-11-05&hour=2";
    for path in ["/dispatch/calendar/", "/dispatch/calendar/firings/"] {
        let page = app.get(&admin, &format!("{path}?{hour}")).await;
        page.is(200).has("2026-11-05 02:30:00 +08:00").has("2026-11-05 02:00:00 +08:00");
        page.has("nightly").has("never").has("s-frozen").has("2026-11-04");
    }
    let day = app.get(&admin, "/dispatch/calendar/firings/?day=2026-11-05").await;
    day.is(200).has("2026-11-05 09:40:00 +08:00").has("s-paused").has("1 firings");
    app.get(&admin.in_chinese(), "/dispatch/calendar/").await.has("3 个调度共触发 30 次");

    // The viewer's days and hours: 02:30 in Shanghai is the evening before in Berlin.
    let berlin = admin.with("zone", "Europe/Berlin");
    let page = app.get(&berlin, "/dispatch/calendar/firings/?month=2026-11&day=2026-11-04&hour=19");
    page.await.is(200).has("2026-11-04 19:30:00 +01:00").has("11-05 02:30 in Asia/Shanghai");
}

/// What is decided only when an instant comes is not foretold, and that is said.
#[tokio::test]
async fn what_cannot_be_foretold_is_told_so() {
    let (app, admin) = scene().await;
    let plain = app.get(&admin, "/dispatch/1/").await;
    plain.is(200).has_not("known only at the instant").has_not("comes late");
    let spec = json!({"interface": 1, "cron": "30 2 * * *", "zone": "UTC",
        "overlap": {"parallel": 2}, "misfire": "last"});
    let body = json!({"name": "careful", "spec": spec});
    app.api(&admin, Method::POST, "/api/v1/dispatches", body).await.is(201);
    let page = app.get(&admin, "/dispatch/4/").await;
    page.is(200).has("known only at the instant: then it is skipped").has("comes late");
    page.has_not("run now");
    // Two that it has fired still run.
    for n in 1..=2 {
        let execution = "INSERT INTO execution (id, project_id, interface_id, period, origin, \
            dispatch_id, instant_ms, is_cascade, params, state, runs, created_ms, batch) \
            VALUES (?, 1, 1, '2026-11-20', 'cron', 4, ?, 0, '{}', 'running', '[]', 0, 1)";
        let firing = "INSERT INTO firing (dispatch_id, instant_ms, project_id, dispatch_version, period, \
            decision, why, execution_id, decided_ms) VALUES (4, ?, 1, 1, '2026-11-20', 'fired', '', ?, 0)";
        let writes = [sql(execution, params![n, n]), sql(firing, params![n, n])];
        app.app.db.commit(writes).await.unwrap();
    }
    app.get(&admin, "/dispatch/4/").await.has("2 of them run now.");
    let form = [
        ("interface", "1"),
        ("cron", "0 1 * * *"),
        ("zone", "UTC"),
        ("overlap", "skip"),
        ("misfire", "all"),
    ];
    let preview = app.post(&admin, "/dispatch/preview/", &form).await;
    preview.is(200).has("known only at the instant").has_not("comes late");
}

#[tokio::test]
async fn it_is_filtered_and_each_sees_their_own() {
    let (app, admin) = scene().await;
    let at = async |who: &Client, query: &str| {
        app.get(who, &format!("/api/v1/dispatches/calendar?month=2026-11{query}")).await
    };
    let sums = |told: &Value| {
        let days = told["days"].as_array().unwrap();
        let sum = |name: &str| days.iter().map(|day| day[name].as_u64().unwrap()).sum::<u64>();
        (told["dispatches"].as_u64().unwrap(), sum("firings"), sum("held"))
    };
    for (query, expect) in [
        ("", (3, 30, 120)),
        ("&interface=1", (2, 30, 90)),
        ("&interface=2", (1, 0, 30)),
        ("&dispatch=1", (1, 30, 0)),
        ("&dispatch=99", (0, 0, 0)),
    ] {
        assert_eq!(sums(&at(&admin, query).await.is(200).json()), expect, "{query}");
    }
    let page = app.get(&admin, "/dispatch/calendar/?month=2026-11&dispatch=99").await;
    page.is(200).has("Nothing fits this filter");

    let olga = app.client("olga", "view").await;
    let right = "UPDATE user_right SET project_id = 2 WHERE user_id = \
                 (SELECT id FROM user_account WHERE name = 'olga')";
    app.app.db.commit([sql(right, params![])]).await.unwrap();
    assert_eq!(sums(&at(&olga, "").await.is(200).json()), (0, 0, 0));
    let day = app.get(&olga, "/dispatch/calendar/firings/?month=2026-11&day=2026-11-05").await;
    day.is(200).has("Nothing fires then").has_not("nightly");
}

#[tokio::test]
async fn days_have_their_hours_and_what_is_wrong_is_said() {
    let (app, admin) = scene().await;
    let at =
        async |query: &str| app.get(&admin, &format!("/api/v1/dispatches/calendar?{query}")).await;
    let told = at("month=2026-10&zone=Europe/Berlin").await.is(200).json();
    assert_eq!((&told["month"], &told["zone"]), (&json!("2026-10"), &json!("Europe/Berlin")));
    let hours = |day: usize| told["days"][day]["hours"].as_array().unwrap().clone();
    assert_eq!((hours(23).len(), hours(24).len()), (24, 25));
    // 02:30 in Shanghai: 20:30 of summer, 19:30 of winter.
    let fires = |day: usize| -> Vec<Value> {
        let fired = |hour: &&Value| hour["firings"] != 0;
        hours(day).iter().filter(fired).map(|hour| hour["hour"].clone()).collect()
    };
    assert_eq!((fires(23), fires(24)), (vec![json!(20)], vec![json!(19)]));
    for (query, why) in [
        ("month=2026-13", "is no month"),
        ("month=november", "is no month"),
        ("month=2026-11&zone=Mars/Olympus", "is no time zone"),
        ("month=2026-11&interface=clean", "is no id"),
        ("months=2026-11", "unknown field"),
    ] {
        let answer = at(query).await;
        assert!(answer.status.is_client_error(), "{query}: {}", answer.status);
        answer.has(why);
    }
    // The page says it beside the field and shows the month of now.
    let page = app.get(&admin, "/dispatch/calendar/?month=2026-13").await;
    page.is(200).has("is no month").has("value=\"2026-13\"").has("30 firings");
    let page = app.get(&admin, "/dispatch/calendar/?month=2026-11&day=2026-12-01").await;
    page.is(400).has("there is no hour 2026-12-01");
    // The hour that comes twice, and its second time.
    let berlin = admin.with("zone", "Europe/Berlin");
    let hour = "/dispatch/calendar/firings/?month=2026-10&day=2026-10-25&hour=2";
    app.get(&berlin, hour).await.is(200).has_not("(again)");
    app.get(&berlin, &format!("{hour}&again=1")).await.is(200).has("(again)");
    app.get(&berlin, &hour.replace("hour=2", "hour=3&again=1")).await.is(400);
}

#[tokio::test]
async fn what_lies_in_a_blackout_window_is_shown_apart() {
    let (app, admin) = scene().await;
    let spec = json!({"interface": 1, "cron": "@every 30m", "zone": "Asia/Shanghai",
        "blackouts": ["05:00-05:30", "2026-11-10 00:00/2026-11-11 00:00"]});
    let body = json!({"name": "rate", "spec": spec});
    app.api(&admin, Method::POST, "/api/v1/dispatches", body).await.is(201);
    let told = app.get(&admin, "/api/v1/dispatches/calendar?month=2026-11&dispatch=4").await.json();
    let day =
        |day: usize| (told["days"][day]["firings"].clone(), told["days"][day]["held"].clone());
    assert_eq!((day(0), day(9)), ((json!(47), json!(1)), (json!(0), json!(48))));
    let hour = "month=2026-11&dispatch=4&day=2026-11-05&hour=5";
    let page = app.get(&admin, &format!("/dispatch/calendar/firings/?{hour}")).await;
    page.is(200).has("05:00:00").has("05:30:00").has("s-blackout").has("s-active").has("1 firings");
}

/// Before it is saved: what is typed, and behind it the others, but not itself.
#[tokio::test]
async fn the_form_shows_the_month_to_come() {
    let (app, admin) = scene().await;
    let form = |cron: &'static str| {
        [("interface", "1"), ("cron", cron), ("zone", "Asia/Shanghai"), ("period_offset", "1")]
    };
    let preview = async |query: &str, cron: &'static str| {
        app.post(&admin, &format!("/dispatch/preview/{query}"), &form(cron)).await
    };
    // It is 11:00 of the first of 31 days; what is paused or frozen is no load.
    let page = preview("", "0 2 * * *").await;
    page.is(200).has("this one: 30 firings").has("1 other dispatches").has("others: 1");
    page.has("Its fullest hour, with all others: 2026-11-22 02:00:00 +08:00, 2 firings.");
    let page = preview("?id=1", "0 2 * * *").await;
    page.is(200).has("this one: 30 firings").has("0 other dispatches").has_not("others: 1");
    preview("", "* * * * * *").await.is(200).has(&format!("{} firings", 31 * 86_400 - 39_600 - 1));
    let page = preview("", "0 25 * * *").await;
    page.is(200).has("no cron expression").has_not("class=\"ahead\"");
    let frozen = [("interface", "2"), ("cron", "0 2 * * *"), ("zone", "Asia/Shanghai")];
    app.post(&admin, "/dispatch/preview/", &frozen).await.is(200).has("The interface is frozen");
    app.get(&admin, "/dispatch/1/edit/").await.has("data-preview=\"/dispatch/preview/?id=1\"");
}
