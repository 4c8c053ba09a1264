//! Ten thousand of everything: the first page, the last one, what is searched, and how many rows the
//! database is asked for.

use crate::app::{Answer, Client, TestApp};
use crate::executions::{Scene, waiting};
use master::engine::rows::*;
use master::store;
use master::store::edit::Edit;
use serde_json::json;
use shared::ids::*;
use shared::period::{Granularity, Period};
use shared::spec::{InterfaceSpec, JobSpec};

const MANY: usize = 10_000;
/// Rows of one page, unless asked otherwise.
const PAGE: usize = 50;
/// Rows read for one row of a list: itself, its last runs, who changed it.
const ROWS_EACH: usize = 40;

/// Straight into the store: what is tested is how they are shown.
async fn define(app: &TestApp) {
    let edit = Edit::of_system(crate::app::NOW);
    let interface: InterfaceSpec = serde_json::from_value(json!({})).unwrap();
    let fields = json!({ "kind": "shell", "fields": { "program": "true" } });
    let job: JobSpec = serde_json::from_value(fields).unwrap();
    let mut writes = Vec::new();
    for n in 1..=i64::try_from(MANY).unwrap() {
        let name = format!("many_{:05}", n - 1);
        let project = ProjectId(1);
        let id = InterfaceId(n);
        let put = store::interface::Put { id, project, name: &name, spec: &interface };
        writes.extend(store::interface::insert(&put, &edit).unwrap());
        let name = format!("job_{:05}", n - 1);
        let (interface, id) = (id, JobId(n));
        let put = store::job::Put { id, project, interface, name: &name, spec: &job, version: 1 };
        writes.extend(store::job::insert(&put, &edit).unwrap());
        if n % 500 == 0 {
            app.app.db.commit(std::mem::take(&mut writes)).await.unwrap();
        }
    }
}

/// One execution of one day after another, the newest last.
async fn execute(app: &TestApp, scene: &mut Scene) {
    let interface = scene.interfaces["load"].clone();
    let first = crate::app::NOW - i64::try_from(MANY).unwrap() * 60_000;
    let mut changes: Vec<Change> = Vec::new();
    for n in 0..i64::try_from(MANY).unwrap() {
        let at = first + n * 60_000;
        let period: Period = Period::containing(Granularity::Minute, at, chrono_tz::UTC);
        let id = ExecutionId::of_firing(DispatchId(1), at);
        let run = RunId::of(interface.id, period, 1);
        let row = Execution {
            project: ProjectId(1),
            interface: interface.id,
            period,
            origin: Origin::Cron,
            dispatch: Some((DispatchId(1), at)),
            command: None,
            by: None,
            cascade: false,
            params: Default::default(),
            state: if n % 100 == 0 { RunState::Failed } else { RunState::Succeeded },
            runs: vec![run],
            created: at,
            ended: Some(at + 5_000),
        };
        changes.push((Key::Execution(id), Some(Row::Execution(row))));
        let phase = Phase::Done(if n % 100 == 0 { Verdict::Failed } else { Verdict::Succeeded });
        let job = JobRunId { run, job: interface.jobs[0].id };
        let row = JobRun { phase, number: 0, ended: Some(at + 5_000), ..waiting() };
        changes.push((Key::JobRun(job), Some(Row::JobRun(row))));
        if changes.len() >= 2_000 {
            scene.commit(app, &std::mem::take(&mut changes)).await;
        }
    }
}

/// The page, and how many rows were read for it.
async fn read(app: &TestApp, client: &Client, path: &str) -> (Answer, usize) {
    let before = app.link.rows_read();
    let answer = app.get(client, path).await;
    answer.is(200);
    (answer, app.link.rows_read() - before)
}

fn links(page: &Answer, rel: &str) -> Option<String> {
    let text = page.text.replace("&amp;", "&");
    let tag = regex::Regex::new(&format!(r#"<a [^>]*rel="{rel}"[^>]*>"#)).unwrap();
    let href = regex::Regex::new(r#"href="([^"]+)""#).unwrap();
    let found = tag.find(&text)?;
    Some(href.captures(found.as_str()).unwrap()[1].to_owned())
}

fn rows(page: &Answer) -> usize {
    let (_, body) = page.text.split_once("<tbody>").unwrap();
    body.split_once("</tbody>").unwrap().0.matches("<tr").count()
}

#[tokio::test]
async fn lists_of_definitions_are_read_by_the_page() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    define(&app).await;
    // What is read once, when definitions have changed, is no matter of a page.
    app.get(&admin, "/interface/").await.is(200);
    for (base, first, deep) in
        [("/interface/", "many_00000", "many_07000"), ("/job/", "job_00000", "job_07000")]
    {
        let (page, read_rows) = read(&app, &admin, base).await;
        page.has(first).has("10000");
        assert_eq!(rows(&page), PAGE, "{base}");
        assert!(read_rows <= PAGE * ROWS_EACH, "{base}: {read_rows} rows are read");
        assert!(page.text.len() < 400_000, "{base}: {} bytes", page.text.len());
        let next = links(&page, "next").unwrap_or_else(|| panic!("{base}: no next page"));
        let (second, _) = read(&app, &admin, &format!("{base}{next}")).await;
        second.has(&first.replace("00000", "00050")).has_not(first);
        // Keyset: the row before it need not be there.
        let name = deep.replace("07000", "06999");
        let cursor = format!("{base}?sort=name&size=50&after=t{name}~999999");
        let (page, read_rows) = read(&app, &admin, &cursor).await;
        page.has(deep);
        assert_eq!(rows(&page), PAGE, "{cursor}");
        assert!(read_rows <= PAGE * ROWS_EACH, "{cursor}: {read_rows} rows are read");
        let (page, _) = read(&app, &admin, &format!("{base}?q=_09999")).await;
        assert_eq!(rows(&page), 1, "{base} searched");
        // The last page.
        let (last, _) = read(&app, &admin, &format!("{base}?sort=-name")).await;
        last.has(&first.replace("00000", "09999"));
    }
    let (page, read_rows) = read(&app, &admin, "/interface/?sort=-updated").await;
    assert!(rows(&page) == PAGE && read_rows >= MANY, "who changed it is in the database");
    // Forms and filters do not carry all interfaces with them.
    for path in
        ["/job/add/?interface=77", "/dispatch/add/", "/interface/add/", "/execute/flow/", "/"]
    {
        let (page, read_rows) = read(&app, &admin, path).await;
        assert!(page.text.len() < 200_000, "{path}: {} bytes", page.text.len());
        assert!(read_rows < 1_000, "{path}: {read_rows} rows are read");
    }
    let (page, _) = read(&app, &admin, "/job/add/?interface=77").await;
    page.has("data-search=\"interface\"").has("many_00076");
    let (page, read_rows) = read(&app, &admin, "/interface/77/").await;
    page.has("many_00076");
    assert!(read_rows < 1_000, "one interface: {read_rows} rows are read");
    let found = app.get(&admin, "/api/v1/runnable?q=many_0500").await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 10, "{found}");
    assert_eq!(found["items"][0]["period"], "2026-11-20");
}

#[tokio::test]
async fn executions_are_read_by_the_page() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    execute(&app, &mut scene).await;
    app.get(&admin, "/execute/flow/").await.is(200);
    let mut path = "/execute/flow/".to_owned();
    let mut ids = std::collections::BTreeSet::new();
    let id = regex::Regex::new(r#"<tr data-id="([0-9a-z]{13})""#).unwrap();
    for _ in 0..5 {
        let (page, read_rows) = read(&app, &admin, &path).await;
        assert!(read_rows <= PAGE * 3 + 20, "{path}: {read_rows} rows are read");
        ids.extend(id.captures_iter(&page.text).map(|found| found[1].to_owned()));
        path = format!("/execute/flow/{}", links(&page, "next").unwrap());
    }
    assert_eq!(ids.len(), 5 * PAGE, "no row twice, none left out");
    // Deep inside: by the moment and id after which it begins.
    let at = crate::app::NOW - 60_000 * 9_000;
    let after = ExecutionId::of_firing(DispatchId(1), at);
    let deep = format!("/api/v1/executions?limit=50&cursor={at}-{after}");
    let (page, read_rows) = read(&app, &admin, &deep).await;
    let items = page.json()["items"].as_array().unwrap().clone();
    assert_eq!((items.len(), &items[0]["created_ms"]), (PAGE, &json!(at - 60_000)));
    assert!(read_rows <= PAGE * 3 + 20, "{deep}: {read_rows} rows are read");
    let (page, read_rows) = read(&app, &admin, "/api/v1/executions?state=failed&limit=200").await;
    assert_eq!(page.json()["items"].as_array().unwrap().len(), MANY / 100);
    assert!(read_rows <= MANY / 100 * 3 + 20, "only what fits: {read_rows} rows are read");
}
