//! Executions: list, detail, mesh, logs, verbs, the live stream; and who may.

use crate::app::{Client, TestApp};
use crate::executions::{Hosts, Scene, day, documents, waiting};
use axum::http::Method;
use futures::StreamExt;
use master::engine::rows::*;
use master::store;
use serde_json::{Value, json};
use shared::etl::counts::{Counts, Step};
use shared::ids::*;
use std::sync::Arc;

async fn scene() -> (TestApp, Client, Scene, [ExecutionId; 4]) {
    let app = TestApp::with_hosts(Arc::new(Hosts)).await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    let made = scene.usual(&app).await;
    (app, admin, scene, made)
}

fn ids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let (app, admin, _, [good, bad, live, waits]) = scene().await;
    let list = async |query: &str| {
        app.get(&admin, &format!("/api/v1/executions{query}")).await.is(200).json()
    };
    let all = list("").await;
    let newest: Vec<String> = [waits, live, bad, good].iter().map(ToString::to_string).collect();
    assert_eq!(ids(&all), newest);
    assert_eq!(all["items"][2]["jobs"]["failed"], 1);
    assert_eq!(all["items"][2]["jobs_total"], 15);
    assert_eq!(ids(&list("?state=failed").await), [bad.to_string()]);
    assert_eq!(ids(&list("?state=failed,running&period=2026-11-20").await), [live.to_string()]);
    assert_eq!(ids(&list("?origin=hand").await), Vec::<String>::new());
    let first = list("?limit=3").await;
    assert_eq!(ids(&first), newest[..3]);
    let next = list(&format!("?limit=3&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((ids(&next), &next["next"]), (vec![good.to_string()], &Value::Null));
    let wrong = app.get(&admin, "/api/v1/executions?period=yesterday&state=fine").await;
    let wrong = wrong.is(422).json();
    let paths: Vec<&str> =
        wrong["errors"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["period", "state"]);
}

#[tokio::test]
async fn pages_show_them() {
    let (app, admin, _, [_, bad, live, _]) = scene().await;
    let list = app.get(&admin, "/execute/flow/").await;
    list.is(200).has(&bad.to_string()).has("2026-11-19").has("nightly");
    let wrong = app.get(&admin, "/execute/flow/?period=yesterday").await;
    wrong.is(200).has("is expected").has("yesterday");
    let none = app.get(&admin, "/execute/flow/?origin=backfill").await;
    none.is(200).has("Nothing fits");
    let detail = app.get(&admin, &format!("/execute/flow/detail/{bad}/")).await;
    detail.is(200).has("ex-roots").has("normalize").has("2026-11-19");
    app.get(&admin, &format!("/execute/flow/detail/{live}/?tab=gantt")).await.is(200);
    app.get(&admin, "/execute/flow/detail/0000000000000/").await.is(404);
    app.get(&admin, "/execute/flow/detail/nonsense/").await.is(404);
}

#[tokio::test]
async fn the_failed_root_comes_first_and_its_cause_from_the_log() {
    let (app, admin, scene, [_, bad, ..]) = scene().await;
    let shown = app.get(&admin, &format!("/api/v1/executions/{bad}")).await.is(200).json();
    let roots = shown["failed_roots"].as_array().unwrap();
    assert_eq!(roots.len(), 1, "skipped jobs are no roots: {roots:?}");
    let root = &roots[0];
    assert_eq!((&root["name"], &root["last"]["code"]), (&json!("normalize"), &json!(2)));
    assert_eq!(root["host"]["name"], "exec-one");
    let attempt = root["last"]["id"].as_str().unwrap();
    let cause = app.get(&admin, &format!("/api/v1/attempts/{attempt}/log/cause")).await;
    cause.is(200).has("awk: cannot open");
    let job = scene.job_id("clean", "normalize");
    let run = scene.run_id("clean", day("2026-11-19"));
    let drawer = app.get(&admin, &format!("/api/v1/executions/{bad}/jobs/{run}/{job}")).await;
    let drawer = drawer.is(200).json();
    assert_eq!(drawer["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(drawer["command"]["argv"], json!(["sh", "-c", "echo normalize 20261119"]));
    assert_eq!(drawer["verbs"], json!(["resume", "mark_success"]));
}

#[tokio::test]
async fn every_decision_is_told_with_its_reason() {
    let (app, admin, scene, [_, bad, live, _]) = scene().await;
    let leader = obey(&app);
    let stop = json!({ "verb": "stop_execution", "execution": live });
    app.api(&admin, Method::POST, "/api/v1/commands", stop.clone()).await.is(200);
    let mut asked = stop;
    asked["dry_run"] = json!(true);
    app.api(&admin, Method::POST, "/api/v1/commands", asked).await.is(200);
    leader.abort();
    let events = async |id: ExecutionId, query: &str| {
        app.get(&admin, &format!("/api/v1/executions/{id}/events{query}")).await.is(200).json()
    };
    let count = |answer: &Value, kind: &str| {
        answer["items"].as_array().unwrap().iter().filter(|one| one["kind"] == kind).count()
    };
    let all = events(bad, "").await;
    let items = all["items"].as_array().unwrap();
    assert!(items.windows(2).all(|pair| pair[0]["at_ms"].as_i64() <= pair[1]["at_ms"].as_i64()));
    assert_eq!((count(&all, "made"), count(&all, "over"), count(&all, "asked")), (4, 1, 0));
    let (run, job) = (scene.run_id("clean", day("2026-11-19")), scene.job_id("clean", "normalize"));
    let of_job = events(bad, &format!("?job={run}-{job}")).await;
    assert_eq!((count(&of_job, "assigned"), count(&of_job, "tried")), (2, 2), "{of_job}");
    let ended = of_job["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&ended["kind"], &ended["bad"]), (&json!("ended"), &json!(true)));
    let wrong = events(bad, "?only=bad").await;
    assert!(wrong["total"].as_i64() < all["total"].as_i64());
    assert!(wrong["items"].as_array().unwrap().iter().all(|one| one["bad"] == true));
    let first = events(bad, "?limit=3").await;
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (3, &json!(3)));
    let rest = events(bad, "?limit=3&from=3").await;
    assert_eq!(rest["items"][0], items[3]);
    let people = events(live, "?only=people").await;
    assert_eq!(people["total"], 1, "what only asked is no event: {people}");
    assert_eq!(
        (&people["items"][0]["verb"], &people["items"][0]["by"]),
        (&json!("stop_execution"), &json!("admin"))
    );
}

#[tokio::test]
async fn the_mesh_has_boxes_edges_and_folds() {
    let (app, admin, _, [_, bad, _, waits]) = scene().await;
    let mesh = async |id: ExecutionId, query: &str| {
        app.get(&admin, &format!("/api/v1/executions/{id}/mesh{query}")).await.is(200).json()
    };
    let open = mesh(bad, "").await;
    let count = |json: &Value, key: &str| json[key].as_array().unwrap().len();
    assert_eq!((count(&open, "groups"), count(&open, "nodes")), (4, 15));
    let parents = |json: &Value| {
        let edges = json["edges"].as_array().unwrap();
        edges.iter().filter(|edge| edge["expect"] == "parent").count()
    };
    assert_eq!(parents(&open), 3);
    let folded = mesh(bad, "?folded=all").await;
    assert!(folded["groups"].as_array().unwrap().iter().all(|group| group["folded"] == true));
    assert!(folded["nodes"].as_array().unwrap().iter().all(|node| node["rect"][2] == 0));
    assert!(folded["width"].as_i64() < open["width"].as_i64());
    let outside = mesh(waits, "").await;
    let names: Vec<&Value> =
        outside["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!(names.len(), 2, "what it waits for outside is a box too: {names:?}");
}

#[tokio::test]
async fn a_log_is_read_in_parts_searched_and_downloaded() {
    let (app, admin, scene, _) = scene().await;
    let (run, job) = (scene.run_id("clean", day("2026-11-19")), scene.job_id("clean", "normalize"));
    let attempt = AttemptId { run, job, number: 2, reign: 9 };
    let base = format!("/api/v1/attempts/{attempt}/log");
    let read = async |query: &str| app.get(&admin, &format!("{base}{query}")).await.is(200).json();
    let (mut from, mut texts) = ("0-0".to_owned(), Vec::new());
    for _ in 0..20 {
        let part = read(&format!("?from={from}&max=1024")).await;
        let lines = part["lines"].as_array().unwrap();
        // A line whose end is not read yet is told again.
        let whole = lines.iter().filter(|line| line["open"] != true);
        texts.extend(whole.map(|line| line["text"].as_str().unwrap().to_owned()));
        from = part["next"].as_str().unwrap().to_owned();
        if part["ended"] == true {
            break;
        }
    }
    assert_eq!(texts.len(), 63, "each line once: {texts:?}");
    let end = read("?stream=out&max=1024").await;
    let lines = end["lines"].as_array().unwrap();
    assert!(lines.last().unwrap()["text"].as_str().unwrap().contains(" 60 航班"));
    assert!(lines.len() < 60 && end["ended"] == true);
    let before =
        read(&format!("?stream=out&max=1024&before={}", end["begin"].as_str().unwrap())).await;
    let last = before["lines"].as_array().unwrap().last().unwrap().clone();
    let first = lines[0]["from"].as_u64().unwrap();
    assert!(last["from"].as_u64().unwrap() < first && before["next"] == end["begin"]);
    let found = read("/search?q=ROWS=37").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 2, "37 and 370: {found}");
    app.get(&admin, &format!("{base}/search?q=[&regex=1")).await.is(422).has("regular expression");
    let file = app.get(&admin, &format!("/execute/job/log/{attempt}/download?stream=err")).await;
    file.is(200).has("cannot open");
    app.get(&admin, &format!("/execute/job/log/{attempt}/")).await.is(200).has("normalize");
    app.get(&admin, "/execute/job/log/nothing/").await.is(404);
}

#[tokio::test]
async fn rows_of_steps_are_shown_where_a_kind_counts_them() {
    let (app, admin, scene, _) = scene().await;
    let (run, job) = (scene.run_id("clean", day("2026-11-19")), scene.job_id("clean", "normalize"));
    let attempt = AttemptId { run, job, number: 2, reign: 9 };
    let step =
        Step { part: "p".into(), name: "gen <b>".into(), lines: 2, written: 7, ..Step::default() };
    let step =
        Step { took_ms: 2_000, input: 1_234_000, output: 617, errors: 3, ..step }.of("north <i>");
    let on_its_way =
        Step { name: "log".into(), at_row: 350_000, took_ms: 7_000, ..Step::default() };
    let counts = Counts::new(vec![step, on_its_way]);
    app.app.db.commit(store::counts::put(attempt, &counts)).await.unwrap();
    let page = format!("/execute/job/log/{attempt}/");
    app.get(&admin, &page).await.is(200).has_not("Rows of its steps");
    let mut documents = documents();
    let changed = &mut documents[2]["jobs"][1];
    changed["kind"] = json!("kettle");
    changed["fields"] = json!({"runs": "job", "file": "/srv/x.kjb"});
    let apply = async |documents: &Value| {
        let body = json!({ "dry_run": false, "documents": documents });
        app.api(&admin, Method::POST, "/api/v1/apply", body).await
    };
    apply(&documents).await.is(422).has("jobs of this kind run in a named environment");
    documents[2]["jobs"][1]["environment"] = json!("pdi-8.3");
    apply(&documents).await.is(200);
    let shown = app.get(&admin, &page).await;
    shown.is(200).has("Rows of its steps").has("gen &lt;b&gt;").has("×2");
    shown.has("617000").has(">north &lt;i&gt;<").has("at row 350000").has("js/steps.js");
    let told = app.get(&admin, &format!("/api/v1/attempts/{attempt}")).await.is(200).json();
    assert_eq!(told["steps"][0]["written"], 7, "{told}");
    assert_eq!(told["steps"][0]["entry"], "north <i>", "{told}");
    assert_eq!(
        (&told["steps"][1]["speed"], &told["steps"][1]["lines"]),
        (&json!(50_000), &json!(0))
    );
    // Its history, the newest run of each period.
    let runs = app.get(&admin, &format!("/job/{job}/?tab=runs")).await;
    runs.is(200).has("Rows by period").has("1234000").has("<title>2026-11-19</title>").has("617");
    let other = scene.job_id("clean", "reject");
    app.get(&admin, &format!("/job/{other}/?tab=runs")).await.is(200).has_not("Rows by period");
    // Of another attempt nothing is kept, and its output tells of none.
    let other = AttemptId { number: 1, ..attempt };
    let told = app.get(&admin, &format!("/api/v1/attempts/{other}")).await.is(200).json();
    assert_eq!(told["steps"], json!([]), "{told}");
}

/// A leader that answers every command with the same plan.
fn obey(app: &TestApp) -> tokio::task::JoinHandle<()> {
    let db = app.app.db.clone();
    shared::tasks::spawn("a leader of a test", async move {
        loop {
            for (id, command) in store::command::poll(&db, 10).await.unwrap() {
                let plan = Plan { jobs_stopped: 3, jobs_skipped: 12, ..Plan::default() };
                let result = CommandResult { done: !command.dry_run, plan, at: 1 };
                db.commit([store::command::answer(id, &result)]).await.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
}

#[tokio::test]
async fn verbs_are_asked_first_and_written_down() {
    let (app, admin, _, [_, _, live, _]) = scene().await;
    let leader = obey(&app);
    let stop = |dry: bool| json!({ "verb": "stop_execution", "execution": live, "dry_run": dry });
    let asked = app.api(&admin, Method::POST, "/api/v1/commands", stop(true)).await.is(200).json();
    assert_eq!((&asked["dry_run"], &asked["plan"]["jobs_stopped"]), (&json!(true), &json!(3)));
    let done = app.api(&admin, Method::POST, "/api/v1/commands", stop(false)).await.is(200).json();
    assert_eq!(done["result"], "done");
    let trail = app.get(&admin, "/api/v1/commands").await.is(200).json();
    assert_eq!(trail["items"][0]["verb"], "stop_execution");
    assert_eq!(trail["items"][0]["by"]["name"], "admin");
    for (body, path) in [
        (json!({ "verb": "explode" }), "verb"),
        (json!({ "verb": "stop", "run": "x" }), "run"),
        (json!({ "verb": "stop_execution" }), "execution"),
        (json!({ "verb": "run_now", "interface": 999, "period": "2026-11-20" }), "interface"),
        (json!({ "verb": "run_now", "interface": 1, "period": "20261120" }), "period"),
        (json!({ "verb": "stop_execution", "execution": "0000000000000" }), "execution"),
    ] {
        let wrong = app.api(&admin, Method::POST, "/api/v1/commands", body.clone()).await;
        let wrong = wrong.is(422).json();
        assert_eq!(wrong["errors"][0]["path"], path, "{body} {wrong}");
    }
    leader.abort();
}

#[tokio::test]
async fn who_may_not_cannot() {
    let (app, _, _, [good, ..]) = scene().await;
    let reader = app.client("reader", "view").await;
    app.get(&reader, &format!("/execute/flow/detail/{good}/"))
        .await
        .is(200)
        .has_not("id=\"run-now\"");
    let stop = json!({ "verb": "stop_execution", "execution": good });
    app.api(&reader, Method::POST, "/api/v1/commands", stop).await.is(403);
    for path in ["/execute/flow/", "/api/v1/executions", "/events", "/api/v1/commands"] {
        let answer = app.get(&Client::nobody(), path).await;
        assert!(matches!(answer.status.as_u16(), 303 | 401), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn what_other_projects_have_is_not_there() {
    let (app, _, _, [good, ..]) = scene().await;
    let outsider = app.client("outsider", "write,execute,schedule").await;
    let sql = "UPDATE user_right SET project_id = 2 WHERE user_id = \
               (SELECT id FROM user_account WHERE name = 'outsider')";
    app.app.db.commit(vec![master::db::sql(sql, vec![])]).await.unwrap();
    let counters = app.get(&outsider, "/api/v1/counters").await.is(200).json();
    assert_eq!(counters, json!({ "running": 0, "waiting": 0, "failed": 0, "away": false }));
    for path in ["/api/v1/executions", "/api/v1/interfaces", "/api/v1/jobs", "/api/v1/commands"] {
        let items = app.get(&outsider, path).await.is(200).json();
        assert_eq!(items["items"], json!([]), "{path}");
    }
    for path in [
        format!("/execute/flow/detail/{good}/"),
        format!("/api/v1/executions/{good}/mesh"),
        "/interface/1/".to_owned(),
        "/interface/1/edit/".to_owned(),
        "/interface/1/graph/?of=all".to_owned(),
    ] {
        app.get(&outsider, &path).await.is(404);
    }
    app.get(&outsider, "/").await.is(200);
    app.post(&outsider, "/interface/1/edit/", &[("priority", "x")]).await.is(404);
    let stop = json!({ "verb": "stop_execution", "execution": good });
    app.api(&outsider, Method::POST, "/api/v1/commands", stop).await.is(422);
    // What is not understood is told with its place.
    let asked = app.get(&outsider, "/api/v1/interfaces?limit=many").await.is(400).json();
    assert!(asked["detail"].as_str().unwrap().contains("limit"), "{asked}");
}

#[tokio::test]
async fn browsers_are_told_what_changed_and_what_they_missed() {
    let (app, admin, mut scene, [_, _, live, _]) = scene().await;
    let batch = store::execution::batch(&app.app.db).await.unwrap();
    let query = format!("/events?execution={live}&after={batch}");
    let mut stream = app.stream(&admin, &query).await;
    let counters = next(&mut stream, "counters").await;
    assert_eq!((&counters["running"], &counters["waiting"]), (&json!(1), &json!(1)));
    let (run, job) = (scene.run_id("clean", day("2026-11-20")), scene.job_id("clean", "reject"));
    let row = JobRun { phase: Phase::Running(scene.place()), ..waiting() };
    scene.commit(&app, &[(Key::JobRun(JobRunId { run, job }), Some(Row::JobRun(row)))]).await;
    let delta = next(&mut stream, "delta").await;
    assert_eq!(
        (&delta["jobs"][0]["name"], &delta["jobs"][0]["state"]),
        (&json!("reject"), &json!("running"))
    );
    assert_eq!(delta["jobs"].as_array().unwrap().len(), 1, "only what changed");
    drop(stream);
    // Another page that was last told before it: told again.
    let mut late = app.stream(&admin, &query).await;
    assert_eq!(next(&mut late, "delta").await["jobs"][0]["name"], "reject");
}

/// The next event of this name.
async fn next(stream: &mut (impl StreamExt<Item = String> + Unpin), name: &str) -> Value {
    let wait = async {
        loop {
            let text = stream.next().await.expect("the stream goes on");
            if text.contains(&format!("event: {name}")) {
                let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                return serde_json::from_str(data).unwrap();
            }
        }
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, wait).await.unwrap_or_else(|_| panic!("no {name} came"))
}
