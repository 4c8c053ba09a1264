//! Versions of definitions: the history, what differs, the way back, copies, and export.

use crate::app::{Answer, Client, TestApp};
use crate::definitions::sample;
use axum::http::Method;
use serde_json::{Value, json};

async fn put(app: &TestApp, client: &Client, path: &str, body: Value) -> Answer {
    app.api(client, Method::PUT, path, body).await
}

async fn post(app: &TestApp, client: &Client, path: &str, body: Value) -> Answer {
    app.api(client, Method::POST, path, body).await
}

/// The job's spec as it is, changed, saved with a reason.
async fn edit_job(
    app: &TestApp,
    client: &Client,
    id: i64,
    reason: &str,
    change: impl Fn(&mut Value),
) {
    let path = format!("/api/v1/jobs/{id}");
    let mut job = app.get(client, &path).await.is(200).json();
    change(&mut job["spec"]);
    let (name, version, spec) = (&job["name"], &job["version"], &job["spec"]);
    let body = json!({"name": name, "version": version, "spec": spec, "reason": reason});
    put(app, client, &path, body).await.is(200);
}

#[tokio::test]
async fn every_change_is_a_version_with_who_when_and_why() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let ann = app.client("ann", "view,write,schedule").await;
    app.clock.advance(60_000);
    edit_job(&app, &ann, 1, "the source has moved", |spec| {
        spec["fields"]["program"] = "curl".into();
        spec["fields"]["script"] = json!("");
    })
    .await;
    let form = [
        ("name", "nightly"),
        ("version", "1"),
        ("interface", "1"),
        ("cron", "0 3 * * *"),
        ("zone", "Asia/Shanghai"),
        ("reason", "half past two is too early"),
    ];
    app.post(&ann, "/dispatch/1/edit/", &form).await.is(303);
    let documents = json!([{"kind": "interface", "name": "clean", "spec": {"parents": ["load"], "priority": 5}}]);
    let body = json!({"documents": documents, "reason": "as agreed on Monday"});
    post(&app, &ann, "/api/v1/apply", body).await.is(200);

    let versions = app.get(&admin, "/api/v1/interfaces/1/versions").await.is(200).json();
    let newest = &versions["items"][0];
    assert_eq!((&newest["version"], &newest["by"]["name"]), (&json!(4), &json!("ann")), "{newest}");
    assert_eq!(newest["reason"], "the source has moved");
    assert_eq!(newest["at_ms"], crate::app::NOW + 60_000);
    assert_eq!(newest["jobs"], json!([{"change": "changed", "id": 1, "name": "fetch"}]));
    assert_eq!(versions["items"][1]["jobs"][0]["change"], "added");
    assert_eq!(versions["items"][3]["first"], true);
    // The job has the reason too, and says which fields.
    let job = app.get(&admin, "/api/v1/jobs/1/versions").await.is(200).json();
    assert_eq!(job["items"][0]["reason"], "the source has moved");
    assert_eq!(job["items"][0]["changes"][0]["path"], "fields.program");
    let dispatch = app.get(&admin, "/api/v1/dispatches/1/versions").await.is(200).json();
    assert_eq!(dispatch["items"][0]["reason"], "half past two is too early");
    let applied =
        &app.get(&admin, "/api/v1/interfaces/2/versions").await.is(200).json()["items"][0];
    assert_eq!(
        (&applied["applied"], &applied["reason"]),
        (&json!(true), &json!("as agreed on Monday"))
    );
    app.get(&admin, "/interface/2/?tab=versions")
        .await
        .has("as agreed on Monday")
        .has("from files");
    app.get(&admin, "/job/1/?tab=versions")
        .await
        .has("the source has moved")
        .has("<ins>curl</ins>");
}

#[tokio::test]
async fn a_reason_has_a_limit_wherever_it_is_given() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let (fits, long) = ("账".repeat(500), "账".repeat(501));
    let said = "501 characters; at most 500 are allowed";
    let spec = json!({"parents": [{"interface": 1}]});
    let body = |reason: &str, version: i64| json!({"name": "clean", "version": version, "spec": spec, "reason": reason});
    put(&app, &admin, "/api/v1/interfaces/2", body(&long, 2)).await.is(422).has(said);
    put(&app, &admin, "/api/v1/interfaces/2", body(&fits, 2)).await.is(200);
    let kept = app.get(&admin, "/api/v1/interfaces/2/versions/3").await.is(200).json();
    assert_eq!(kept["reason"], fits);
    let apply = json!({"documents": [{"kind": "interface", "name": "new"}], "reason": long});
    post(&app, &admin, "/api/v1/apply", apply).await.is(422).has(said);
    let form = [("name", "new"), ("granularity", "day"), ("zone", "UTC"), ("reason", &long)];
    app.post(&admin, "/interface/add/", &form).await.is(422).has(said).has(&long);
    let back = json!({"version": 1, "reason": long});
    post(&app, &admin, "/api/v1/interfaces/2/rollback", back).await.is(422).has(said);
    let copy = json!({"name": "other", "reason": long});
    post(&app, &admin, "/api/v1/interfaces/2/copy", copy).await.is(422).has(said);
    let all = app.get(&admin, "/api/v1/interfaces").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_long_history_is_turned_page_by_page() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    for at in 0..120 {
        let spec = json!({"interface": 1, "cron": "30 2 * * *", "zone": "Asia/Shanghai", "description": format!("d{at}")});
        let body = json!({"name": "nightly", "version": at + 1, "spec": spec});
        put(&app, &admin, "/api/v1/dispatches/1", body).await.is(200);
    }
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/dispatches/1/versions?limit=50{before}");
        let page = app.get(&admin, &path).await.is(200).json();
        for one in page["items"].as_array().unwrap() {
            let version = one["version"].as_i64().unwrap();
            let (old, new) = (&one["changes"][0]["old"], &one["changes"][0]["new"]);
            // Also where the version before is on the next page.
            if version > 2 {
                assert_eq!(
                    (old, new),
                    (&json!(format!("d{}", version - 3)), &json!(format!("d{}", version - 2)))
                );
            }
            seen.push(version);
        }
        let Some(next) = page["next"].as_i64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seen, (1..=121).rev().collect::<Vec<i64>>());
    let first = app.get(&admin, "/dispatch/1/?tab=versions").await;
    first.is(200).has(">121</a>").has_not(">71</a>").has("?tab=versions&amp;before=72");
    app.get(&admin, "/dispatch/1/?tab=versions&before=72")
        .await
        .is(200)
        .has(">71</a>")
        .has_not(">72</a>");
}

#[tokio::test]
async fn two_versions_are_compared_with_names_jobs_and_edges() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    edit_job(&app, &admin, 2, "", |spec| {
        spec["after"] = json!([{"job": 1, "expect": "done"}]);
        spec["fields"] = json!({"use_shell": true, "script": "one\ntwo\nthree"});
        spec["place"]["hosts"] = json!([1]);
    })
    .await;
    edit_job(&app, &admin, 2, "", |spec| {
        spec["fields"]["script"] = json!("one\n2\nthree");
    })
    .await;
    let shown = app.get(&admin, "/api/v1/interfaces/1/diff?from=2&to=4").await.is(200).json();
    let diff = &shown["diff"];
    assert_eq!(diff["jobs"][0]["change"], "added", "{diff}");
    assert_eq!(diff["edges"][0]["from"], "fetch");
    let shown = app.get(&admin, "/api/v1/interfaces/1/diff?from=3&to=5").await.is(200).json();
    let diff = &shown["diff"];
    assert_eq!(
        diff["edges"],
        json!([{"change": "changed", "from": "fetch", "to": "check",
        "old": "success", "new": "done"}])
    );
    let fields = diff["jobs"][0]["fields"].to_string();
    // The host by its name; edges are told by themselves.
    assert!(fields.contains("etl-1") && !fields.contains("\"after"), "{fields}");
    // Without saying which: the newest and the one before.
    let page = app.get(&admin, "/job/2/diff/").await;
    page.is(200)
        .has("<ins><span aria-hidden=\"true\">+</span>2</ins>")
        .has("<del>")
        .has("fields.script");
    app.get(&admin.in_chinese(), "/interface/1/diff/?from=3&to=5").await.is(200).has("依赖边");
    // Of a version its whole content, as a document.
    let then = app.get(&admin, "/interface/1/version/4/").await;
    then.is(200).has("name: load").has("expect: done").has("two").has("etl-1");
    let then = app.get(&admin, "/interface/1/version/3/").await;
    then.is(200).has("- fetch").has("What is another now, in version 5").has("<ins>done</ins>");
    app.get(&admin, "/interface/1/version/99/").await.is(404);
    app.get(&admin, "/api/v1/interfaces/1/diff?from=99").await.is(404);
    app.get(&admin, "/job/2/version/1/").await.is(404);
}

#[tokio::test]
async fn an_interface_goes_back_with_its_jobs_as_they_were() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    // From version 3 on: fetch changed and renamed, check taken out, a new one of its name, priority 7.
    edit_job(&app, &admin, 1, "", |spec| spec["fields"]["program"] = "curl".into()).await;
    app.api(&admin, Method::DELETE, "/api/v1/jobs/3?version=2", Value::Null).await.is(204);
    app.api(&admin, Method::DELETE, "/api/v1/jobs/2?version=3", Value::Null).await.is(204);
    let shell = json!({"kind": "shell", "fields": {"program": "other"}});
    post(&app, &admin, "/api/v1/jobs", json!({"interface": 1, "name": "check", "spec": shell}))
        .await
        .is(201);
    let job = app.get(&admin, "/api/v1/jobs/1").await.json();
    let renamed = json!({"name": "load_it", "version": job["version"], "spec": job["spec"]});
    put(&app, &admin, "/api/v1/jobs/1", renamed).await.is(200);
    let spec = json!({"zone": "Asia/Shanghai", "priority": 7});
    put(
        &app,
        &admin,
        "/api/v1/interfaces/1",
        json!({"name": "loading", "version": 7, "spec": spec}),
    )
    .await
    .is(200);
    let then = app.get(&admin, "/api/v1/interfaces/1/versions/3").await.is(200).json();

    // What it would do is told, and nothing is done.
    let path = "/api/v1/interfaces/1/rollback";
    let dry = post(&app, &admin, path, json!({"version": 3, "dry_run": true})).await.is(200).json();
    let jobs: Vec<(&str, &str)> = dry["diff"]["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["change"].as_str().unwrap(), job["name"].as_str().unwrap()))
        .collect();
    assert_eq!(jobs, [("changed", "fetch"), ("added", "check"), ("removed", "check")], "{dry}");
    assert!(dry["uses"].to_string().contains("nightly"), "{dry}");
    let page = app.get(&admin, "/interface/1/rollback/3/").await;
    page.is(200).has("Roll back to version 3").has("nightly").has("name=\"version\" value=\"8\"");
    assert_eq!(app.get(&admin, "/api/v1/interfaces/1").await.json()["version"], 8);

    // Decided about another version than it is now: told who, and nothing is done.
    let stale = post(&app, &admin, path, json!({"version": 3, "from": 7})).await;
    stale.is(409).has("admin has saved version 8 meanwhile at 2026-11-21T03:00:00Z");
    let form = [("version", "7"), ("reason", "typed")];
    let stale = app.post(&admin, "/interface/1/rollback/3/", &form).await;
    stale
        .is(409)
        .has("admin has saved version 8 meanwhile.")
        .has("value=\"typed\"")
        .has("value=\"8\"");

    let form = [("version", "8"), ("reason", "that was a mistake")];
    let done = app.post(&admin, "/interface/1/rollback/3/", &form).await;
    assert_eq!(done.is(303).location(), "/interface/1/?tab=versions");
    let now = app.get(&admin, "/api/v1/interfaces/1/versions/9").await.is(200).json();
    assert_eq!(now["document"], then["document"]);
    assert_eq!((&now["name"], &now["reason"]), (&json!("load"), &json!("that was a mistake")));
    let jobs = app.get(&admin, "/api/v1/jobs?interface=1").await.json();
    let ids: Vec<i64> =
        jobs["items"].as_array().unwrap().iter().map(|job| job["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1, 2], "the job that was taken out is itself again");
    app.get(&admin, "/interface/1/?tab=versions")
        .await
        .has("rolled back to version 3")
        .has("that was a mistake");
    // Nothing is erased: what was before the way back is there, and can be gone back to.
    let before = app.get(&admin, "/api/v1/interfaces/1/versions/8").await.is(200).json();
    assert_eq!(before["name"], "loading");
    post(&app, &admin, path, json!({"version": 8})).await.is(200);
    let again = app.get(&admin, "/api/v1/interfaces/1/versions/10").await.is(200).json();
    assert_eq!(again["document"], before["document"]);
    // To what it is already there is no way.
    post(&app, &admin, path, json!({"version": 8})).await.is(409).has("nothing to roll back");
    // What was stored is what the engine reads.
    let stored = master::store::catalog::load(&app.app.db).await.unwrap();
    let it = &stored.interfaces[&shared::ids::InterfaceId(1)];
    assert_eq!((it.version, it.name.as_str(), it.jobs.len()), (10, "loading", 2));
}

#[tokio::test]
async fn two_jobs_that_changed_names_change_back() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let job = |name: &str, program: &str| json!({"name": name, "kind": "shell", "fields": {"program": program}});
    let set =
        |jobs: Value| json!({"documents": [{"kind": "interface", "name": "it", "jobs": jobs}]});
    post(&app, &admin, "/api/v1/apply", set(json!([job("a", "1"), job("b", "2")]))).await.is(200);
    for (id, name, version) in [(1, "c", 1), (2, "a", 1), (1, "b", 2)] {
        let spec = app.get(&admin, &format!("/api/v1/jobs/{id}")).await.json()["spec"].clone();
        let body = json!({"name": name, "version": version, "spec": spec});
        put(&app, &admin, &format!("/api/v1/jobs/{id}"), body).await.is(200);
    }
    post(&app, &admin, "/api/v1/interfaces/1/rollback", json!({"version": 1})).await.is(200);
    let jobs = app.get(&admin, "/api/v1/jobs").await.json();
    let names: Vec<&str> =
        jobs["items"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn what_does_not_fit_any_more_is_refused_with_its_reason() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    // "clean" no longer waits for anything, and its job needs nothing; then "load" is deleted.
    put(&app, &admin, "/api/v1/interfaces/2", json!({"name": "clean", "version": 2, "spec": {}}))
        .await
        .is(200);
    edit_job(&app, &admin, 3, "", |spec| spec["needs"] = json!([])).await;
    app.api(&admin, Method::DELETE, "/api/v1/dispatches/1?version=1", Value::Null).await.is(204);
    app.api(&admin, Method::DELETE, "/api/v1/interfaces/1?version=3", Value::Null).await.is(204);
    for dry_run in [true, false] {
        let body = json!({"version": 2, "dry_run": dry_run});
        let told = post(&app, &admin, "/api/v1/interfaces/2/rollback", body).await;
        told.is(422).has("parents[0].interface").has("there is no interface 1 in this project");
        told.has("jobs[dedupe].needs[0].interface");
    }
    let page = app.get(&admin, "/interface/2/rollback/2/").await;
    page.is(200).has("there is no interface 1 in this project").has("type=\"submit\" disabled");
    app.post(&admin, "/interface/2/rollback/2/", &[("version", "4")]).await.is(422);
    let body = json!({"version": 2});
    post(&app, &admin, "/api/v1/jobs/3/rollback", body).await.is(422).has("needs[0].interface");
    assert_eq!(app.get(&admin, "/api/v1/interfaces/2").await.json()["version"], 4);
    // A cycle that closed meanwhile.
    let spec = json!({"parents": [{"interface": 2}]});
    post(&app, &admin, "/api/v1/interfaces", json!({"name": "child", "spec": spec})).await.is(201);
    let first = json!({"name": "other", "spec": {"parents": [{"interface": 3}]}});
    post(&app, &admin, "/api/v1/interfaces", first).await.is(201);
    let free = json!({"name": "other", "version": 1, "spec": {}});
    put(&app, &admin, "/api/v1/interfaces/4", free).await.is(200);
    let spec = json!({"parents": [{"interface": 4}]});
    put(&app, &admin, "/api/v1/interfaces/2", json!({"name": "clean", "version": 4, "spec": spec}))
        .await
        .is(200);
    let told = post(&app, &admin, "/api/v1/interfaces/4/rollback", json!({"version": 1})).await;
    told.is(422).has("a cycle").has("child");
}

#[tokio::test]
async fn a_dispatch_and_a_job_go_back_by_those_who_may() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let spec = json!({"interface": 1, "cron": "0 5 * * *", "zone": "UTC"});
    put(&app, &admin, "/api/v1/dispatches/1", json!({"name": "later", "version": 1, "spec": spec}))
        .await
        .is(200);
    edit_job(&app, &admin, 1, "", |spec| spec["priority"] = 9.into()).await;
    let writer = app.client("writer", "view,write").await;
    let viewer = app.client("viewer", "view").await;
    post(&app, &writer, "/api/v1/dispatches/1/rollback", json!({"version": 1})).await.is(403);
    app.get(&writer, "/dispatch/1/rollback/1/").await.is(403);
    post(&app, &viewer, "/api/v1/jobs/1/rollback", json!({"version": 2})).await.is(403);
    app.get(&viewer, "/job/1/?tab=versions").await.is(200).has_not("/rollback/");
    let done = post(&app, &admin, "/api/v1/dispatches/1/rollback", json!({"version": 1}))
        .await
        .is(200)
        .json();
    assert_eq!((&done["version"], &done["to"]), (&json!(3), &json!(1)));
    let now = app.get(&admin, "/api/v1/dispatches/1").await.json();
    assert_eq!((&now["name"], &now["spec"]["cron"]), (&json!("nightly"), &json!("30 2 * * *")));
    post(&app, &writer, "/api/v1/jobs/1/rollback", json!({"version": 2, "reason": "no"}))
        .await
        .is(200);
    assert_eq!(app.get(&admin, "/api/v1/jobs/1").await.json()["spec"]["priority"], 0);
    let history = app.get(&admin, "/api/v1/jobs/1/versions").await.json();
    assert_eq!(
        (&history["items"][0]["rolled_back_to"], &history["items"][0]["reason"]),
        (&json!(2), &json!("no"))
    );
    // Its interface was not rolled back: one of its jobs was.
    let history = app.get(&admin, "/api/v1/interfaces/1/versions").await.json();
    assert_eq!(history["items"][0]["rolled_back_to"], Value::Null);
    assert_eq!(history["items"][0]["jobs"][0]["name"], "fetch");
}

#[tokio::test]
async fn interfaces_jobs_and_dispatches_are_copied() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    // By the form: filled in, and the jobs come with it.
    let form = app.get(&admin, "/interface/add/?copy=1").await;
    form.is(200).has("value=\"load copy\"").has("name=\"copy\" value=\"1\"").has("its 2 jobs");
    let pairs = [
        ("name", "load two"),
        ("granularity", "day"),
        ("zone", "UTC"),
        ("copy", "1"),
        ("reason", "a trial"),
    ];
    let made = app.post(&admin, "/interface/add/", &pairs).await;
    assert_eq!(made.is(303).location(), "/interface/3/");
    let jobs = app.get(&admin, "/api/v1/jobs?interface=3").await.json();
    let jobs = jobs["items"].as_array().unwrap();
    assert_eq!(
        (&jobs[0]["name"], &jobs[1]["name"], jobs.len()),
        (&json!("fetch"), &json!("check"), 2)
    );
    assert_eq!(jobs[1]["spec"]["after"][0]["job"], jobs[0]["id"], "edges stay within the copy");
    assert_ne!(jobs[0]["id"], 1);
    app.get(&admin, "/interface/3/?tab=versions").await.has("copy of #1").has("a trial");
    app.get(&admin, "/interface/3/").await.has("UTC");
    // A slip of the pen loses nothing: it is a copy still.
    let again = app.post(&admin, "/interface/add/", &pairs).await;
    again.is(422).has("has this name already").has("name=\"copy\" value=\"1\"").has("its 2 jobs");
    // By programs.
    let made = post(&app, &admin, "/api/v1/interfaces/2/copy", json!({"name": "clean two"})).await;
    let id = made.is(201).json()["id"].as_i64().unwrap();
    let now = app.get(&admin, &format!("/api/v1/interfaces/{id}")).await.json();
    assert_eq!(now["spec"]["parents"][0]["interface"], 1);
    let made = post(&app, &admin, "/api/v1/jobs/2/copy", json!({"name": "check two"}))
        .await
        .is(201)
        .json();
    let job = app.get(&admin, &format!("/api/v1/jobs/{}", made["id"])).await.json();
    assert_eq!(job["spec"]["after"], json!([{"job": 1, "expect": "success"}]));
    post(&app, &admin, "/api/v1/jobs/2/copy", json!({"name": "check"})).await.is(422);
    post(&app, &admin, "/api/v1/jobs/2/copy", json!({"name": "check", "interface": 2}))
        .await
        .is(201);
    post(&app, &admin, "/api/v1/dispatches/1/copy", json!({"name": "second", "interface": 3}))
        .await
        .is(201);
    let copy = app.get(&admin, "/api/v1/dispatches/2").await.json();
    assert_eq!(
        (&copy["spec"]["interface"], &copy["spec"]["cron"]),
        (&json!(3), &json!("30 2 * * *"))
    );
    app.get(&admin, "/dispatch/add/?copy=1")
        .await
        .is(200)
        .has("value=\"nightly copy\"")
        .has("30 2 * * *");
    app.get(&admin, "/job/add/?copy=1").await.is(200).has("value=\"fetch copy\"");
    let viewer = app.client("viewer", "view").await;
    post(&app, &viewer, "/api/v1/interfaces/1/copy", json!({"name": "x"})).await.is(403);
}

#[tokio::test]
async fn who_saves_second_is_told_who_was_first_by_the_api_too() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let ann = app.client("ann", "view,write,schedule").await;
    let change = |version: i64, priority: i64| json!({"name": "clean", "version": version, "spec": {"parents": [{"interface": 1}], "priority": priority}});
    put(&app, &ann, "/api/v1/interfaces/2", change(2, 1)).await.is(200);
    let told = put(&app, &admin, "/api/v1/interfaces/2", change(2, 2)).await;
    told.is(409).has("ann has saved version 3 meanwhile at 2026-11-21T03:00:00Z");
    assert_eq!(told.json()["type"], "conflict");
    let job = app.get(&admin, "/api/v1/jobs/1").await.json();
    edit_job(&app, &ann, 1, "", |spec| spec["priority"] = 1.into()).await;
    let body = json!({"name": "fetch", "version": job["version"], "spec": job["spec"]});
    put(&app, &admin, "/api/v1/jobs/1", body)
        .await
        .is(409)
        .has("ann has saved version 4 meanwhile");
}

#[tokio::test]
async fn what_is_exported_is_taken_back_unchanged() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    sample(&app, &admin).await;
    let before = master::store::catalog::load(&app.app.db).await.unwrap();
    let documents = app.get(&admin, "/api/v1/export").await.is(200).json();
    assert_eq!(documents["documents"].as_array().unwrap().len(), 3);
    let done = post(&app, &admin, "/api/v1/apply", documents.clone()).await.is(200).json();
    assert_eq!((&done["changes"], &done["unchanged"]), (&json!([]), &json!(7)), "{done}");
    let after = master::store::catalog::load(&app.app.db).await.unwrap();
    assert_eq!(before.revision, after.revision);
    let yaml = app.get(&admin, "/api/v1/export?format=yaml").await;
    yaml.is(200).has("kind: interface\nname: load\n");
    // Into an empty database: the same bytes.
    let other = TestApp::new().await;
    let admin_there = other.admin().await;
    post(&other, &admin_there, "/api/v1/apply", documents).await.is(200);
    let there = other.get(&admin_there, "/api/v1/export?format=yaml").await;
    assert_eq!(there.is(200).text, yaml.text);
    // One interface, with what is its own.
    let one = app.get(&admin, "/api/v1/export?interface=1&format=yaml").await;
    one.is(200).has("name: load").has("nightly").has_not("name: clean").has_not("kind: host");
    let name = one.headers["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(name, "attachment; filename=\"load.yaml\"");
    app.get(&admin, "/api/v1/export?interface=77").await.is(404);
    app.get(&admin, "/api/v1/export?format=toml").await.is(400);
    app.get(&admin, "/api/v1/export?project=1").await.is(200).has("\"load\"").has_not("etl-1");
    // Who sees nothing exports nothing.
    let nobody = app.client("nobody", "").await;
    assert!(!app.get(&nobody, "/api/v1/export").await.text.contains("load"));
    app.get(&admin, "/interface/1/").await.has("/api/v1/export?interface=1&amp;format=yaml");
}
