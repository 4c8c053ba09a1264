//! What a page loads of our own scripts: little, so that it paints at once on a slow line.

use crate::app::TestApp;
use crate::executions::{Hosts, Scene};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of our own scripts that one page may load before anybody clicks.
const PAGE_MAX: usize = 60 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../static/js")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Scripts that this one imports; `lazily` those that it imports when they are needed.
fn imports(text: &str, lazily: bool) -> Vec<String> {
    let (now, later) =
        (r"(?m)^(?:import|export)\b[^;]*?'\./([\w-]+\.js)'", r"\bimport\('\./([\w-]+\.js)'\)");
    let expression = regex::Regex::new(if lazily { later } else { now }).unwrap();
    expression.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// With all that they import at once.
fn closure(names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = names.into_iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            open.extend(imports(&read(&name), false));
        }
    }
    found
}

fn size(names: &BTreeSet<String>) -> usize {
    names.iter().map(|name| read(name).len()).sum()
}

/// Our own scripts that the page names.
fn of_page(html: &str) -> BTreeSet<String> {
    let source = regex::Regex::new(r#"<script[^>]* src="/static/\w+/js/([\w-]+\.js)""#).unwrap();
    closure(source.captures_iter(html).map(|found| found[1].to_owned()))
}

#[tokio::test]
async fn no_page_loads_more_than_its_share() {
    let app = TestApp::with_hosts(Arc::new(Hosts)).await;
    let admin = app.admin().await;
    let mut scene = Scene::new(&app, &admin).await;
    let [_, bad, ..] = scene.usual(&app).await;
    let run = scene.run_id("clean", crate::executions::day("2026-11-19"));
    let job = scene.job_id("clean", "normalize");
    let execution = format!("/execute/flow/detail/{bad}/");
    let log = format!("/execute/job/log/{run}-{job}-2-9/");
    let fixed = [
        "/",
        "/interface/",
        "/interface/add/",
        "/interface/1/",
        "/interface/1/?tab=graph",
        "/interface/1/edit/",
        "/job/",
        "/job/add/",
        "/job/1/",
        "/job/1/edit/",
        "/dispatch/",
        "/dispatch/add/",
        "/dispatch/calendar/",
        "/dispatch/1/",
        "/dispatch/1/edit/",
        "/execute/flow/",
        "/execute/stale/",
        "/why/",
        "/base/exec/host/",
        "/base/exec/host/add/",
        "/base/exec/host/1/",
        "/base/exec/host/1/edit/",
        "/account/",
    ];
    let mut sizes = BTreeMap::new();
    for path in fixed.iter().copied().chain([execution.as_str(), log.as_str()]) {
        let page = app.get(&admin, path).await;
        assert_eq!(page.status.as_u16(), 200, "{path}");
        let mut scripts = of_page(&page.text);
        assert!(scripts.contains("frame.js"), "{path}: {scripts:?}");
        // The first tab of an execution is loaded with it.
        if path == execution {
            assert!(imports(&read("execution.js"), true).contains(&"tab-mesh.js".to_owned()));
            scripts.extend(closure(["tab-mesh.js".to_owned()]));
        }
        sizes.insert(path.to_owned(), size(&scripts));
    }
    let over: Vec<_> = sizes.iter().filter(|(_, size)| **size > PAGE_MAX).collect();
    assert!(over.is_empty(), "over {PAGE_MAX} bytes: {over:?}; all: {sizes:#?}");
}

#[test]
fn what_is_loaded_later_is_small_and_there() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for lazy in imports(&read(&name), true) {
            let size = size(&closure([lazy.clone()]));
            assert!(size <= PAGE_MAX, "{name} loads {lazy} with {size} bytes");
        }
    }
}
