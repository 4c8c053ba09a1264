//! Whose clock a page shows: the viewer's, by name; and whose it is where it is another one's.

use crate::app::{NOW, TestApp};
use crate::executions::{Hosts, Scene};
use axum::http::Method;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn home_is_of_the_viewers_day() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    // It is 03:00Z: 11:00 of the 21st for the server in Shanghai, 22:00 of the 20th in New York.
    assert_eq!(app.app.config.web.zone, "Asia/Shanghai");
    let page = app.get(&admin, "/").await;
    page.has("2026-11-21 · Asia/Shanghai").has("state=failed&amp;from=2026-11-21");
    page.has_not("on the server's clock");
    let away = admin.with("zone", "America/New_York");
    let page = app.get(&away, "/").await;
    page.has("2026-11-20 · America/New_York").has("state=failed&amp;from=2026-11-20");
    page.has("00:00 in America/New_York is 13:00 on the server&#x27;s clock (Asia/Shanghai)");
    page.has("23:00 (12:00 Asia/Shanghai)");
    let page = app.get(&away.in_chinese(), "/").await;
    page.has("America/New_York 00:00 即服务器时钟（Asia/Shanghai）13:00");
    // What is no zone is the server's.
    app.get(&admin.with("zone", "Mars/Olympus"), "/").await.has("2026-11-21 · Asia/Shanghai");
}

#[tokio::test]
async fn a_day_in_a_filter_is_the_viewers_and_is_iso() {
    let app = TestApp::with_hosts(Arc::new(Hosts)).await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    scene.usual(&app).await;
    let away = admin.with("zone", "America/New_York");
    let count = async |client, query: &str| {
        let page = app.get(client, &format!("/execute/flow/?{query}")).await;
        page.is(200).text.matches("<tr data-id=").count()
    };
    // All were made within the hours before now: today there, and yesterday here.
    let all = count(&admin, "").await;
    assert!(all > 0);
    let since = count(&admin, "from=2026-11-21").await;
    assert_eq!(count(&away, "until=2026-11-19").await + count(&away, "from=2026-11-20").await, all);
    assert_eq!(count(&away, "from=2026-11-21").await, 0, "there it is not the 21st yet");
    assert!(since > 0 && count(&away, "from=2026-11-20").await >= since);
    // How many are new is counted of the whole list: a filtered one does not claim to know.
    app.get(&admin, "/execute/flow/?from=2026-11-20").await.has(r#"data-newest="""#);
    app.get(&admin, "/execute/flow/").await.has(r#"data-newest="17"#);
    let page = app.get(&away, "/execute/flow/?from=20.11.2026").await;
    page.has("a day such as 2026-11-20 is expected").has(r#"value="20.11.2026""#);
    page.has("days of America/New_York").has_not(r#"type="date""#);
}

#[tokio::test]
async fn what_belongs_to_a_zone_says_so() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let body = json!({"name": "load", "spec": {"zone": "Asia/Shanghai"}});
    app.api(&admin, Method::POST, "/api/v1/interfaces", body).await.is(201);
    let typed = [
        ("name", "nightly"),
        ("interface", "1"),
        ("cron", "30 2 * * *"),
        ("zone", "Asia/Shanghai"),
        ("from_ms", "2026-11-25 02:30"),
        ("until_ms", "2026-12-25T02:30"),
    ];
    app.post(&admin, "/dispatch/add/", &typed).await.is(303);
    app.get(&admin, "/dispatch/1/").await.has("2026-11-25 02:30:00 +08:00").has_not(" in America");
    let away = admin.with("zone", "America/New_York");
    let page = app.get(&away, "/dispatch/1/").await;
    page.has("2026-11-25 02:30:00 +08:00").has("11-24 13:30 in America/New_York");
    let form = app.get(&away, "/dispatch/1/edit/").await;
    form.has(r#"value="2026-11-25 02:30""#).has(r#"value="2026-12-25 02:30""#);
    form.has_not("datetime-local");
    for (wrong, why) in [
        ("25.11.2026 2:30", "a date and time such as 2026-11-20 02:30 is expected here"),
        ("2026-02-30 00:00", "a date and time such as 2026-11-20 02:30 is expected here"),
    ] {
        let mut typed = typed;
        (typed[0].1, typed[4].1) = ("other", wrong);
        app.post(&admin, "/dispatch/add/", &typed).await.is(422).has(why).has(wrong);
    }
    assert_eq!(app.clock.wall_ms(), NOW);
}
