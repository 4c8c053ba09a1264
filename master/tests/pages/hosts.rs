//! Exec hosts: how they are, how busy they were of late, and that pages are told of it.

use crate::app::{NOW, TestApp};
use axum::http::Method;
use futures::StreamExt;
use master::store;
use master::store::host::{SAMPLE_MS, Sample};
use master::store::leader::HostStatus;
use serde_json::json;
use shared::ids::{HostId, Incarnation};
use shared::join::{Answer, Ask};
use shared::pki::Request;
use shared::wire::{HostFacts, Named, Reach, Service};
use std::collections::BTreeMap;

const HOST: HostId = HostId(1);

/// As the leader writes it.
async fn heard(app: &TestApp, at: i64, cpu_percent: f32) {
    let facts = HostFacts {
        version: "1".into(),
        cores: 4,
        cpu_percent,
        load_1: 1.5,
        memory_total: 8 << 30,
        memory_used: 2 << 30,
        named: [
            ("pdi-8.3".to_owned(), Named { whole: true, words: "PDI_HOME=/opt/pdi".into() }),
            ("hop-9".to_owned(), Named { whole: false, words: "/opt is no directory here".into() }),
        ]
        .into(),
        services: BTreeMap::from([(
            "carte".to_owned(),
            Service { runs: true, since_ms: at, restarts: 3, words: "ended with 1".into() },
        )]),
        servers: [
            ("a: Carte".to_owned(), Reach { answers: true, since_ms: at, words: String::new() }),
            (
                "b: Hop server".to_owned(),
                Reach { since_ms: at, words: "<refused>".into(), ..Reach::default() },
            ),
        ]
        .into(),
        ..HostFacts::default()
    };
    let status = HostStatus {
        host: HOST,
        state: "live".into(),
        heard_ms: at,
        incarnation: Incarnation(7),
        why: String::new(),
        facts: serde_json::to_string(&facts).unwrap(),
    };
    app.app.db.commit([store::leader::host_statuses(&[status])]).await.unwrap();
}

async fn with_host() -> (TestApp, crate::app::Client) {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let body = json!({"name": "etl-1", "spec": {"address": "127.0.0.1:7890"}});
    app.api(&admin, Method::POST, "/api/v1/hosts", body).await.is(201);
    (app, admin)
}

#[tokio::test]
async fn how_busy_a_host_was_is_drawn_and_said() {
    let (app, admin) = with_host().await;
    app.get(&admin, "/base/exec/host/").await.is(200).has_not("<svg viewBox");
    let sample = |ago: i64, cpu_permille: i64| Sample {
        host: HOST,
        at_ms: NOW - ago * SAMPLE_MS,
        cpu_permille,
        memory_permille: 250,
        load_centi: 50,
    };
    // The ring is written over: what stood in the place of the first is gone, the last is too old.
    let ring = [sample(70, 900), sample(10, 50), sample(2, 310), sample(1, 200)];
    app.app.db.commit([store::host::put_samples(&ring)]).await.unwrap();
    heard(&app, NOW, 42.0).await;
    let said = "CPU: now 42 %; from 5 % to 42 % in the last 30 minutes";
    for path in ["/base/exec/host/", "/base/exec/host/1/"] {
        let page = app.get(&admin, path).await;
        page.is(200).has("M83.3 ").has("42 %").has_not("90 %");
        if path == "/base/exec/host/" {
            page.has(said).has("Load: now 1.5; from 0.5 to 1.5 in the last");
        } else {
            page.has("In the last 30 minutes").has("<dt>lowest</dt><dd>5 %</dd>");
            page.has("<b>carte</b>").has("started again 3 times").has("ended with 1");
            page.has("<b>pdi-8.3</b>").has("PDI_HOME").has("is no directory here");
            page.has("<b>a: Carte</b> it answers, since");
            page.has("it does not answer, since</b>").has("&lt;refused&gt;");
        }
    }
    let form = app.get(&admin, "/job/add/").await;
    form.is(200).has("<option value=\"pdi-8.3\">").has_not("<option value=\"hop-9\">");
    let page = app.get(&admin.in_chinese(), "/base/exec/host/").await;
    page.has("CPU：当前 42 %；最近 30 分钟内从 5 % 到 42 %");
}

#[tokio::test]
async fn a_page_of_hosts_is_told_when_they_were_heard_of() {
    let (app, admin) = with_host().await;
    heard(&app, NOW, 1.0).await;
    let mut other = app.stream(&admin, "/events").await;
    let mut stream = app.stream(&admin, "/events?hosts=1").await;
    let mut next = async || loop {
        let event = stream.next().await.expect("the stream goes on");
        if event.contains("event: hosts") {
            return event;
        }
    };
    next().await;
    heard(&app, NOW + 5_000, 2.0).await;
    next().await;
    // Who does not ask for it is told the counters alone.
    assert!(other.next().await.unwrap().contains("event: counters"));
    let more = futures::poll!(other.next());
    assert!(more.is_pending(), "{more:?}");
}

#[tokio::test]
async fn a_dead_host_is_retired_and_one_in_doubt_is_not_deleted_instead() {
    let (app, admin) = with_host().await;
    app.get(&admin, "/base/exec/host/1/").await.is(200).has("data-verb=\"retire\" data-host=\"1\"");
    let doubt = "INSERT INTO host_doubt (host_id) VALUES (1)";
    app.app.db.commit([master::db::sql(doubt, vec![])]).await.unwrap();
    let delete =
        async || app.api(&admin, Method::DELETE, "/api/v1/hosts/1?version=1", json!({})).await;
    let refused = delete().await;
    assert!(refused.is(409).json().to_string().contains("retire it first"));
    app.app.db.commit([master::db::sql("DELETE FROM host_doubt", vec![])]).await.unwrap();
    delete().await.is(204);
}

#[tokio::test]
async fn the_agent_of_a_host_is_known_as_soon_as_it_is_pinned() {
    let (app, admin) = with_host().await;
    app.get(&admin, "/base/exec/host/1/").await.is(200).has_not("machine7");
    app.app.db.commit(store::whereabouts::pin(HOST, "machine7")).await.unwrap();
    app.get(&admin, "/base/exec/host/1/").await.is(200).has("machine7");
}

#[tokio::test]
async fn a_host_of_another_project_is_reached_by_its_link() {
    let (app, admin) = with_host().await;
    let second = "INSERT INTO project (id, name, title, params, created_ms, row_version) \
                  VALUES (2, 'second', 'Second', '{}', 0, 1)";
    let theirs = "UPDATE host SET project_id = 2, version = version + 1";
    let raise = "UPDATE revision SET value = value + 1";
    let all = [second, theirs, raise].map(|text| master::db::sql(text, vec![]));
    app.app.db.commit(all).await.unwrap();
    let first = admin.with("project", "1");
    app.get(&first, "/base/exec/host/").await.is(200).has_not("etl-1");
    app.get(&first, "/base/exec/host/1/").await.is(200).has("etl-1");
}

/// Two hosts whose certificates have one name: neither gets another one, who has no token learns
/// nothing of it, and the one that is known to be meant can be denied.
#[tokio::test]
async fn hosts_of_one_agent_get_no_certificates_and_can_be_denied() {
    let (app, admin) = with_host().await;
    let second = json!({"name": "etl-2", "spec": {"address": "127.0.0.1:7891"}});
    app.api(&admin, Method::POST, "/api/v1/hosts", second).await.is(201);
    let post = async |path: &str, body| app.api(&admin, Method::POST, path, body).await;
    let invited = post("/api/v1/hosts/2/invite", json!({})).await;
    let token = invited.is(200).json()["token"].as_str().unwrap().to_owned();
    // The first host turns out to be what the second one would be called.
    let named = async |agent: &str| {
        let text = "UPDATE host SET agent = ?, version = version + 1 WHERE id = 1";
        let raise = master::db::sql("UPDATE revision SET value = value + 1", vec![]);
        let named = master::db::sql(text, master::db::params![agent]);
        app.app.db.commit([named, raise]).await.unwrap();
    };
    named("etl-2").await;
    for host in [1, 2] {
        let refused = post(&format!("/api/v1/hosts/{host}/invite"), json!({})).await;
        refused.is(409).has("another exec host has the agent");
    }
    let request = Request::make().unwrap();
    let join = async |token: &str| {
        let ask = Ask::new(token, "etl-2", &request.pem);
        let answer = post("/api/v1/join", json!(ask)).await;
        (ask, answer)
    };
    let wrong = join("guessed").await.1;
    wrong.is(403).has("the token is not good").has_not("another exec host");
    join(&token).await.1.is(409).has("another exec host has the agent");

    post("/api/v1/hosts/2/deny", json!({})).await.is(409).has("another exec host has the agent");
    assert_eq!(post("/api/v1/hosts/1/deny", json!({})).await.is(200).json()["denied"], 0);
    named("etl-1").await;
    let (ask, joined) = join(&token).await;
    let answer: Answer = serde_json::from_value(joined.is(200).json()).unwrap();
    assert!(answer.knows(&token, &ask), "the token was still good: nothing was done with it");
    assert_eq!(post("/api/v1/hosts/2/deny", json!({})).await.is(200).json()["denied"], 1);
}

#[tokio::test]
async fn a_host_has_versions_as_any_definition() {
    let (app, admin) = with_host().await;
    let form = [
        ("name", "etl-1"),
        ("version", "1"),
        ("address", "127.0.0.1:7890"),
        ("slots", "4"),
        ("weight", "1"),
        ("reason", "the machine is shared now"),
    ];
    app.post(&admin, "/base/exec/host/1/edit/", &form).await.is(303);
    let drain = [("draining", "on"), ("reason", "new disks")];
    app.post(&admin, "/base/exec/host/1/drain/", &drain).await.is(303);
    let document = json!([{"kind": "host", "name": "etl-1",
        "spec": {"address": "127.0.0.1:7890", "slots": 6}}]);
    let body = json!({"documents": document, "reason": "as the files say"});
    app.api(&admin, Method::POST, "/api/v1/apply", body).await.is(200);
    let steps = app.get(&admin, "/api/v1/hosts/1/versions").await.is(200).json();
    let told = steps["items"].as_array().unwrap().iter();
    let told: Vec<_> = told.map(|it| (it["version"].clone(), it["reason"].clone())).collect();
    let reasons = ["as the files say", "new disks", "the machine is shared now", ""];
    let expect =
        [4, 3, 2, 1].map(|version| json!(version)).into_iter().zip(reasons.map(|it| json!(it)));
    assert_eq!(told, expect.collect::<Vec<_>>());
    assert_eq!(steps["items"][0]["applied"], true);
    let diff = app.get(&admin, "/api/v1/hosts/1/diff?from=1&to=2").await.is(200).json();
    let changed = &diff["diff"]["fields"][0];
    assert_eq!((&changed["path"], &changed["new"]), (&json!("slots"), &json!(4)), "{diff}");
    let page = app.get(&admin, "/base/exec/host/1/?tab=versions").await;
    page.is(200).has("new disks").has("href=\"/base/exec/host/1/rollback/1/\"");
    app.get(&admin, "/base/exec/host/1/version/2/").await.is(200).has("slots: 4");
    app.get(&admin, "/base/exec/host/1/diff/?from=1").await.is(200).has("slots");
    app.get(&admin, "/base/exec/host/1/rollback/2/").await.is(200).has("slots");
    app.get(&admin, "/base/exec/host/1/version/9/").await.is(404);

    let back = json!({"version": 2, "reason": "it is shared for good"});
    let path = "/api/v1/hosts/1/rollback";
    let done = app.api(&admin, Method::POST, path, back).await.is(200).json();
    assert_eq!(done["version"], 5);
    let now = app.get(&admin, "/api/v1/hosts/1").await.json();
    assert_eq!((&now["spec"]["slots"], &now["spec"]["draining"]), (&json!(4), &json!(false)));
    let late = json!({"name": "etl-1", "version": 1, "spec": now["spec"]});
    let told = app.api(&admin, Method::PUT, "/api/v1/hosts/1", late).await;
    told.is(409).has("admin has saved version 5 meanwhile");
    let viewer = app.client("viewer", "view").await;
    app.get(&viewer, "/base/exec/host/1/?tab=versions").await.is(200).has_not("rollback");
}
