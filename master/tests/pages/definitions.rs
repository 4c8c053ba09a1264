//! Interfaces, jobs, dispatches, hosts: pages and forms, as a person uses them.

use crate::app::{Client, TestApp};
use serde_json::json;

/// Two interfaces, three jobs, a dispatch and a host, made through the API.
pub async fn sample(app: &TestApp, admin: &Client) {
    let post = async |path: &str, body: serde_json::Value| {
        let path = format!("/api/v1/{path}");
        app.api(admin, axum::http::Method::POST, &path, body).await.is(201).json()
    };
    post("hosts", json!({"name": "etl-1", "spec": {"address": "127.0.0.1:7890"}})).await;
    let load = json!({"zone": "Asia/Shanghai", "description": "Flights of a day"});
    post("interfaces", json!({"name": "load", "spec": load})).await;
    let clean = json!({"parents": [{"interface": 1}], "catalog": "flights"});
    post("interfaces", json!({"name": "clean", "spec": clean})).await;
    let fetch =
        json!({"kind": "shell", "fields": {"program": "fetch", "args": ["${date}", "a b"]}});
    post("jobs", json!({"interface": 1, "name": "fetch", "spec": fetch})).await;
    let check = json!({"kind": "shell", "fields": {"program": "check"}, "after": [{"job": 1}]});
    post("jobs", json!({"interface": 1, "name": "check", "spec": check})).await;
    let dedupe = json!({"kind": "shell", "fields": {"program": "dedupe"},
        "needs": [{"interface": 1, "job": 2}]});
    post("jobs", json!({"interface": 2, "name": "dedupe", "spec": dedupe})).await;
    let nightly = json!({"interface": 1, "cron": "30 2 * * *", "zone": "Asia/Shanghai"});
    post("dispatches", json!({"name": "nightly", "spec": nightly})).await;
}

#[tokio::test]
async fn every_page_is_there_in_both_languages_empty_and_filled() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let chinese = admin.in_chinese();
    let lists = ["/", "/interface/", "/job/", "/dispatch/", "/base/exec/host/"];
    let forms = ["/interface/add/", "/job/add/", "/dispatch/add/", "/base/exec/host/add/"];
    for path in lists.iter().chain(&forms) {
        app.get(&admin, path).await.is(200);
        app.get(&chinese, path).await.is(200);
    }
    sample(&app, &admin).await;
    let filled = [
        "/interface/1/",
        "/interface/1/?tab=jobs",
        "/interface/1/?tab=graph",
        "/interface/1/?tab=versions",
        "/interface/2/edit/",
        "/job/1/",
        "/job/1/?tab=runs",
        "/job/1/?tab=versions",
        "/job/3/edit/",
        "/job/add/?copy=2",
        "/dispatch/1/",
        "/dispatch/1/?tab=versions",
        "/dispatch/1/edit/",
        "/base/exec/host/1/",
        "/base/exec/host/1/edit/",
    ];
    for path in lists.iter().chain(&forms).chain(&filled) {
        app.get(&admin, path).await.is(200);
        app.get(&chinese, path).await.is(200);
    }
    app.get(&chinese, "/interface/").await.has("接口").has_not("New interface");
}

#[tokio::test]
async fn an_interface_is_made_changed_and_deleted_by_its_forms() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let form = [("name", "load"), ("granularity", "day"), ("zone", "Asia/Shanghai")];
    let made = app.post(&admin, "/interface/add/", &form).await;
    assert_eq!(made.is(303).location(), "/interface/1/");
    let again = app.post(&admin, "/interface/add/", &form).await;
    again.is(422).has("has this name already").has("value=\"load\"");
    let change = [
        ("name", "load2"),
        ("version", "1"),
        ("granularity", "hour"),
        ("zone", "UTC"),
        ("params", "table=flights"),
    ];
    app.post(&admin, "/interface/1/edit/", &change).await.is(303);
    app.get(&admin, "/interface/1/?tab=versions").await.has("granularity").has("<del>day</del>");
    app.post(&admin, "/interface/1/delete/", &[("version", "2")]).await.is(303);
    app.get(&admin, "/interface/1/").await.is(404);
    let made = app.post(&admin, "/interface/add/", &form).await;
    assert_eq!(made.is(303).location(), "/interface/2/", "the name is free again");
}

#[tokio::test]
async fn what_is_typed_survives_an_error_and_errors_stand_beside_their_fields() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let form = [
        ("name", "extra"),
        ("interface", "1"),
        ("kind", "shell"),
        ("fields.args", "one argument\n\"two\""),
        ("after[4].job", "1"),
        ("after[4].expect", "failure"),
        ("policy.timeout_s", "soon"),
    ];
    let answer = app.post(&admin, "/job/add/", &form).await;
    answer.is(422).has("a time like 90s, 15m, 24h or 2d is expected here");
    answer.has("one argument\n&quot;two&quot;").has("name=\"after[0].job\"").has("value=\"extra\"");
}

#[tokio::test]
async fn a_cycle_is_refused_with_its_path() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let form = [
        ("name", "load"),
        ("version", "3"),
        ("granularity", "day"),
        ("zone", "Asia/Shanghai"),
        ("parents[0].interface", "2"),
        ("parents[0].map", "same"),
    ];
    let answer = app.post(&admin, "/interface/1/edit/", &form).await;
    answer.is(422).has("parents[0].interface");
    assert!(answer.text.contains("clean") && answer.text.contains("cycle"), "{}", answer.text);
}

#[tokio::test]
async fn a_stale_form_shows_both_and_saves_on_the_second_try() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let form = |description: &'static str, version: &'static str| {
        [
            ("name", "nightly"),
            ("version", version),
            ("interface", "1"),
            ("cron", "30 2 * * *"),
            ("zone", "Asia/Shanghai"),
            ("description", description),
        ]
    };
    app.post(&admin, "/dispatch/1/edit/", &form("theirs", "1")).await.is(303);
    let stale = app.post(&admin, "/dispatch/1/edit/", &form("mine", "1")).await;
    stale
        .is(409)
        .has("admin has saved version 2 meanwhile.")
        .has("<ins>theirs</ins>")
        .has("<del>mine</del>")
        .has("name=\"version\" value=\"2\"");
    app.post(&admin, "/dispatch/1/edit/", &form("mine", "2")).await.is(303);
    app.get(&admin, "/dispatch/1/").await.has("mine");
}

/// Two people in the same job's form: who saves second is told who was first, and when, loses nothing of
/// either, and decides.
#[tokio::test]
async fn two_people_edit_one_job() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let (ann, ben) = (app.client("ann", "view,write").await, app.client("ben", "view,write").await);
    let version = |page: &crate::app::Answer| {
        let (_, after) = page.text.split_once(r#"name="version" value=""#).unwrap();
        after.split_once('"').unwrap().0.to_owned()
    };
    let before = version(&app.get(&ann, "/job/1/edit/").await);
    assert_eq!(version(&app.get(&ben, "/job/1/edit/").await), before);
    let save = async |client: &Client, description: &str, program: &str, from: &str| {
        let form = [
            ("name", "fetch"),
            ("version", from),
            ("kind", "shell"),
            ("description", description),
            ("fields.program", program),
            ("confirmed", "1"),
        ];
        app.post(client, "/job/1/edit/", &form).await
    };
    save(&ann, "of ann", "echo", &before).await.is(303);
    app.clock.advance(60_000);
    let stale = save(&ben, "of ben", "printf", &before).await;
    stale.is(409).has("ann has saved version 4 meanwhile.").has("2026-11-21 11:00:00");
    stale.has("<ins>of ann</ins>").has("<del>of ben</del>").has("<ins>echo</ins>");
    // What ben has typed is in the fields; what ann has saved is what holds.
    stale.has(">of ben</textarea>").has(r#"value="printf""#);
    app.get(&admin, "/job/1/").await.has("of ann").has_not("of ben");
    let now = version(&stale);
    assert_ne!(now, before);
    let chinese = save(&ben.in_chinese(), "of ben", "printf", &before).await;
    chinese.is(409).has("ann 在此期间保存了版本 4。");
    // Seen and decided: the second save replaces it, and the history has both.
    save(&ben, "of ben", "printf", &now).await.is(303);
    app.get(&admin, "/job/1/").await.has("of ben");
    app.get(&admin, "/job/1/?tab=versions").await.has("of ann").has("of ben").has("ann").has("ben");
    // A third who still has the first version is told of ben.
    save(&ann, "of ann again", "echo", &now).await.is(409).has("ben has saved version 5");
}

#[tokio::test]
async fn the_preview_shows_the_next_ten_firings_with_their_periods() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let path = "/api/v1/dispatches/preview?cron=30+2+*+*+MON-FRI&zone=Asia/Shanghai&interface=1";
    let answer = app.get(&admin, path).await.is(200).json();
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), 10);
    assert!(items[0]["local"].as_str().unwrap().contains("2026-11-23"), "{items:?}");
    assert_eq!(items[0]["period"], "2026-11-22");
    app.get(&admin, "/api/v1/dispatches/preview?cron=61+2+*+*+*").await.is(422).has("cron");
    let typed = [("interface", "1"), ("cron", "0 9 * * 1"), ("zone", "UTC"), ("cascade", "on")];
    let part = app.post(&admin, "/dispatch/preview/", &typed).await;
    part.is(200).has("2026-11-23").has("2 interfaces with 3 jobs");
}

/// What is typed about overlaps and blackouts is kept, shown, and said of the instants to come.
#[tokio::test]
async fn a_dispatch_says_when_it_does_not_fire() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let form = |windows: &'static str, most: &'static str| {
        let when = [("cron", "@every 12h"), ("zone", "UTC"), ("misfire", "all"), ("late_s", "5m")];
        let not = [("overlap", "parallel"), ("overlap.parallel", most), ("blackouts", windows)];
        let what = [("interface", "1"), ("name", "twice a day"), ("period_offset", "1")];
        [when.as_slice(), &not, &what].concat()
    };
    let bad = app.post(&admin, "/dispatch/add/", &form("10-11", "0")).await;
    bad.is(422).has("is no window").has("overlap.parallel");
    let windows = "11:00-13:00 SUN\n2026-12-24 00:00/2026-12-27 00:00";
    let part = app.post(&admin, "/dispatch/preview/", &form(windows, "2")).await;
    part.is(200).has("Every 12h").has("will not fire: 11:00-13:00 SUN");
    app.post(&admin, "/dispatch/add/", &form(windows, "2")).await.is(303);
    let page = app.get(&admin, "/dispatch/2/").await;
    page.is(200).has("while so many run").has("2026-12-24 00:00/2026-12-27 00:00");
    let edit = app.get(&admin, "/dispatch/2/edit/").await;
    edit.is(200).has("11:00-13:00 SUN").has("@every 12h");
}

#[tokio::test]
async fn the_preview_of_a_job_is_its_exact_command() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    app.get(&admin, "/job/1/").await.is(200).has("fetch").has("a b").has("2026-11-20");
}

#[tokio::test]
async fn names_that_are_markup_are_text() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let name = "<img src=x onerror=alert(1)>";
    let form = [("name", name), ("granularity", "day"), ("zone", "UTC"), ("description", name)];
    app.post(&admin, "/interface/add/", &form).await.is(303);
    for path in ["/interface/", "/interface/1/", "/interface/1/edit/", "/"] {
        app.get(&admin, path).await.is(200).has_not("<img src=x");
    }
}

#[tokio::test]
async fn rights_hold_for_the_project_of_the_thing() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let writer = app.client("writer", "write").await;
    app.get(&writer, "/interface/1/").await.is(200).has("/interface/1/edit/").has_not("Run now");
    let form = [("interface", "1"), ("name", "x"), ("cron", "0 0 * * *"), ("zone", "UTC")];
    app.post(&writer, "/dispatch/add/", &form).await.is(403);
    let viewer = app.client("viewer", "view").await;
    app.get(&viewer, "/interface/1/").await.is(200).has_not("/interface/1/edit/");
}

#[tokio::test]
async fn lists_filter_page_and_export() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    for number in 0..60 {
        let name = format!("interface {number:03}");
        let form = [("name", name.as_str()), ("granularity", "day"), ("zone", "UTC")];
        app.post(&admin, "/interface/add/", &form).await.is(303);
    }
    let first = app.get(&admin, "/interface/?size=25&sort=-name").await;
    first.is(200).has("interface 059").has_not("interface 034").has("1–25 of 60");
    let next = first.text.split("rel=\"next\" href=\"").nth(1).unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&").replace("&#x27;", "'");
    let second = app.get(&admin, &format!("/interface/{next}")).await;
    second.is(200).has("interface 034").has_not("interface 035").has("26–50 of 60");
    app.get(&admin, "/interface/?q=007").await.has("interface 007").has_not("interface 008");
    let csv = app.get(&admin, "/interface/?q=00&format=csv").await;
    assert_eq!(csv.is(200).text.lines().count(), 11);
}
