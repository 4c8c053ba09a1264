//! Calendars of working days: pages, API, files, and what uses them.

use crate::app::{Client, TestApp};
use axum::http::Method;
use serde_json::{Value, json};

const ICS: &str = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:国庆节 假期\r\n\
    DTSTART;VALUE=DATE:20261001\r\nDTEND;VALUE=DATE:20261008\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n\
    SUMMARY:国庆节 补班\r\nDTSTART;VALUE=DATE:20261010\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n\
    SUMMARY:meeting\r\nDTSTART:20261012T010000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

async fn api(app: &TestApp, who: &Client, method: Method, path: &str, body: Value) -> Value {
    let answer = app.api(who, method, path, body).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.json()
}

/// A calendar in which 23 and 24 November are off and Sunday the 29th is worked, and an interface.
async fn scene() -> (TestApp, Client) {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let days = "2026-11-23/2026-11-24 off Feast\n2026-11-29 work For it";
    let form = [("name", "plant"), ("rest", "SAT"), ("rest", "SUN"), ("days", days)];
    let made = app.post(&admin, "/calendar/add/", &form).await;
    assert_eq!(made.is(303).location(), "/calendar/1/");
    let body = json!({"name": "load", "spec": {"zone": "Asia/Shanghai"}});
    api(&app, &admin, Method::POST, "/api/v1/interfaces", body).await;
    (app, admin)
}

#[tokio::test]
async fn a_year_is_drawn_and_a_form_says_what_is_wrong() {
    let (app, admin) = scene().await;
    let page = app.get(&admin, "/calendar/1/").await;
    page.is(200).has("2026-11-23 · holiday · Feast").has("2026-11-29 · made up · For it");
    page.has("2026-11-21 · rests · Today").has("href=\"?year=2027\"").has("2 holidays");
    // 261 weekdays, less two, and the Sunday.
    page.has("260 working days").has("href=\"/calendar/\" aria-current=\"page\"");
    app.get(&admin, "/calendar/1/?year=2027").await.is(200).has("0 holidays").has("2027-01-02");
    app.get(&admin.in_chinese(), "/calendar/1/").await.has("260 个工作日").has("调休上班");
    app.get(&admin, "/calendar/").await.is(200).has("plant").has("2026-11-29");

    let page = app.get(&admin, "/calendar/1/edit/").await;
    page.is(200).has("2026-11-23/2026-11-24 off Feast").has("value=\"SUN\" checked");
    for (days, rest, why) in [
        ("2026-11-23 off x\nfoo", "SAT", "line 2"),
        ("2026-11-23 off x\n2026-11-23 work y", "SAT", "2026-11-23 is named both as a holiday"),
        ("2300-11-23 off x", "SAT", "its year is not from 1970 to 2199"),
    ] {
        let form = [("name", "plant"), ("rest", rest), ("days", days), ("version", "1")];
        app.post(&admin, "/calendar/1/edit/", &form).await.is(422).has(why).has("data-dirty");
    }
    let all = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"].map(|day| ("rest", day));
    let form = [&[("name", "never")][..], &all].concat();
    app.post(&admin, "/calendar/add/", &form).await.is(422).has("one day of the week");
    app.post(&admin, "/calendar/add/", &[("name", "plant")]).await.is(422).has("this name already");

    // Two people at once, and its history.
    let form = |version| [("name", "plant"), ("rest", "SUN"), ("days", ""), ("version", version)];
    app.post(&admin, "/calendar/1/edit/", &form("1")).await.is(303);
    app.post(&admin, "/calendar/1/edit/", &form("1")).await.is(409).has("has saved version 2");
    app.get(&admin, "/calendar/1/?tab=versions").await.is(200).has("holidays.2026-11-23");
    let viewer = app.client("vera", "view").await;
    app.get(&viewer, "/calendar/1/").await.is(200).has_not("/calendar/1/edit/");
    app.post(&viewer, "/calendar/1/edit/", &form("2")).await.is(403);
}

#[tokio::test]
async fn a_dispatch_fires_on_its_days_and_pages_show_the_others_apart() {
    let (app, admin) = scene().await;
    let spec = json!({"interface": 1, "cron": "30 2 * * *", "zone": "Asia/Shanghai",
        "days": {"calendar": 1, "on": "working"}});
    let body = json!({"name": "daily", "spec": spec});
    let made = api(&app, &admin, Method::POST, "/api/v1/dispatches", body).await;
    // It is Saturday the 21st: the next working day is Wednesday the 25th.
    assert_eq!(made["status"]["next_ms"], json!(1_795_545_000_000_i64));
    let page = app.get(&admin, "/dispatch/1/").await;
    page.is(200).has("not among the days of calendar plant").has("working days alone");
    let told = app.get(&admin, "/api/v1/dispatches/calendar?month=2026-11").await.json();
    let day = |day: usize| {
        (told["days"][day - 1]["firings"].clone(), told["days"][day - 1]["held"].clone())
    };
    assert_eq!(
        (day(20), day(21), day(23)),
        ((json!(1), json!(0)), (json!(0), json!(1)), (json!(0), json!(1)))
    );
    assert_eq!((day(25), day(29)), ((json!(1), json!(0)), (json!(1), json!(0))));
    let hour = "month=2026-11&day=2026-11-23&hour=2";
    app.get(&admin, &format!("/dispatch/calendar/firings/?{hour}")).await.is(200).has("s-holiday");
    // What is counted goes by the version of the calendar.
    let spec = json!({"holidays": {"2026-11-25": ""}});
    let body = json!({"name": "plant", "version": 1, "spec": spec});
    api(&app, &admin, Method::PUT, "/api/v1/calendars/1", body).await;
    let told = app.get(&admin, "/api/v1/dispatches/calendar?month=2026-11").await.json();
    assert_eq!(told["days"][24]["firings"], json!(0));
    let next = app.get(&admin, "/api/v1/dispatches/1").await.json()["status"]["next_ms"].clone();
    assert_eq!(next, json!(1_795_372_200_000_i64), "Monday the 23rd works now");

    // In the form: the n-th working day.
    let form = [
        ("interface", "1"),
        ("cron", "30 2 * * *"),
        ("zone", "Asia/Shanghai"),
        ("period_offset", "1"),
        ("days.calendar", "1"),
        ("days.on", "nth_working"),
        ("days.on.nth_working", "-1"),
        ("name", "last"),
        ("late_s", "5m"),
    ];
    app.post(&admin, "/dispatch/preview/", &form)
        .await
        .is(200)
        .has("will not fire: no day of plant");
    app.post(&admin, "/dispatch/add/", &form).await.is(303);
    app.get(&admin, "/dispatch/2/").await.is(200).has("the n-th working day of the month -1");
    let wrong = form.map(|(name, value)| (name, if value == "-1" { "99" } else { value }));
    app.post(&admin, "/dispatch/add/", &wrong).await.is(422).has("99 is not from 1 to 31");

    // Refused while it is used, by whom.
    let refused = app.post(&admin, "/calendar/1/delete/", &[("version", "2")]).await;
    refused.is(409).has("dispatch 1 daily").has("dispatch 2 last");
    for id in [1, 2] {
        let path = format!("/api/v1/dispatches/{id}?version=1");
        app.api(&admin, Method::DELETE, &path, json!(null)).await.is(204);
    }
    app.post(&admin, "/calendar/1/delete/", &[("version", "2")]).await.is(303);
    app.get(&admin, "/calendar/1/").await.is(404);
    // Its name is free again.
    app.post(&admin, "/calendar/add/", &[("name", "plant")]).await.is(303);
}

#[tokio::test]
async fn periods_of_an_interface_can_be_working_days() {
    let (app, admin) = scene().await;
    let spec = json!({"zone": "Asia/Shanghai", "calendar": 1});
    let body = json!({"name": "load", "version": 1, "spec": spec});
    api(&app, &admin, Method::PUT, "/api/v1/interfaces/1", body).await;
    app.get(&admin, "/interface/1/").await.is(200).has("/calendar/1/").has("plant");
    let body = json!({"name": "d", "spec": {"interface": 1, "cron": "0 2 * * *", "zone": "Asia/Shanghai"}});
    api(&app, &admin, Method::POST, "/api/v1/dispatches", body).await;
    // The 22nd to the 25th are for Friday the 20th, the 30th for Sunday the 29th.
    let told = app
        .get(
            &admin,
            "/api/v1/dispatches/preview?cron=0 2 * * *&zone=Asia/Shanghai&interface=1"
                .replace(' ', "%20")
                .as_str(),
        )
        .await
        .json();
    let periods: Vec<&str> =
        told["items"].as_array().unwrap().iter().map(|it| it["period"].as_str().unwrap()).collect();
    assert_eq!(periods[..4], ["2026-11-20"; 4]);
    assert_eq!(periods[8], "2026-11-29");
    let month = json!({"name": "m", "spec": {"zone": "Asia/Shanghai", "granularity": "month", "calendar": 1}});
    let refused = app.api(&admin, Method::POST, "/api/v1/interfaces", month).await;
    refused.is(422).has("only daily periods");
    let unknown = json!({"name": "m", "spec": {"zone": "Asia/Shanghai", "calendar": 7}});
    let refused = app.api(&admin, Method::POST, "/api/v1/interfaces", unknown).await;
    refused.is(422).has("there is no calendar 7 in this project");
    let refused =
        app.api(&admin, Method::DELETE, "/api/v1/calendars/1?version=1", json!(null)).await;
    refused.is(409).has("interface 1 load");
}

#[tokio::test]
async fn a_file_is_looked_at_before_it_is_saved() {
    let (app, admin) = scene().await;
    let body = json!({"ics": ICS, "days": "2026-10-01 off 国庆节 假期\n2026-10-02 work x"});
    let part = app.api(&admin, Method::POST, "/calendar/import/", body).await;
    part.is(200)
        .has("6 new days, 1 changed, 1 as they are")
        .has("a moment of UTC")
        .has("<td>13</td>");
    part.has("2026-10-01/2026-10-07 off 国庆节 假期\n2026-10-10 work 国庆节 补班</textarea>");
    for (ics, days, why) in [
        ("<html>", "", "line 1: "),
        (ICS, "nonsense", "is not understood"),
        ("", "", "BEGIN:VCALENDAR is expected first"),
    ] {
        let body = json!({"ics": ics, "days": days});
        let part = app.api(&admin, Method::POST, "/calendar/import/", body).await;
        part.is(200).has("The file is not read").has(why).has_not("data-take");
    }
    let body = json!({"ics": ICS, "calendar": 1});
    let told = api(&app, &admin, Method::POST, "/api/v1/calendars/ics", body).await;
    assert_eq!(
        (&told["new"], &told["spec"]["holidays"]["2026-11-23"]),
        (&json!(8), &json!("Feast"))
    );
    let large = json!({"ics": " ".repeat(1024 * 1024 + 1)});
    let answer = app.api(&admin, Method::POST, "/api/v1/calendars/ics", large).await;
    answer.is(422).has("more than 1048576 bytes");
    let answer = app.api(&admin, Method::POST, "/api/v1/calendars/ics", json!({"ics": 1})).await;
    answer.is(422).has("\"path\":\"ics\"");
    // Nothing was saved by any of it.
    assert_eq!(app.get(&admin, "/api/v1/calendars/1").await.json()["version"], json!(1));
}

#[tokio::test]
async fn files_of_definitions_name_calendars() {
    let (app, admin) = scene().await;
    let documents = json!([
        {"kind": "dispatch", "name": "d", "interface": "trades",
         "spec": {"cron": "0 2 * * *", "days": {"calendar": "bourse", "on": {"nth_working": 3}}}},
        {"kind": "interface", "name": "trades", "spec": {"calendar": "bourse"}},
        {"kind": "calendar", "name": "bourse", "spec": {"holidays": {"2026-12-25": "Christmas"}}},
    ]);
    let apply = async |documents: &Value| {
        let body = json!({"documents": documents});
        app.api(&admin, Method::POST, "/api/v1/apply", body).await
    };
    let done = apply(&documents).await.is(200).json();
    assert_eq!(done["changes"].as_array().unwrap().len(), 3);
    assert_eq!(apply(&documents).await.is(200).json()["unchanged"], json!(3));
    let dispatch = app.get(&admin, "/api/v1/dispatches/1").await.json();
    assert_eq!(dispatch["spec"]["days"], json!({"calendar": 2, "on": {"nth_working": 3}}));
    let list = app.get(&admin, "/api/v1/calendars?name=bourse").await.json();
    assert_eq!(list["items"][0]["spec"]["rest"], json!(["SAT", "SUN"]));
    let mut wrong = documents.clone();
    wrong[0]["spec"]["days"]["calendar"] = json!("burse");
    wrong[1]["spec"]["calendar"] = json!("burse");
    wrong[2]["spec"]["rest"] = json!(["Sat"]);
    let refused = apply(&wrong).await;
    refused.is(422).has("there is no calendar \\\"burse\\\"").has("days.calendar").has("rest[0]");
}
