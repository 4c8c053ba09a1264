//! One execution (执行) with everything about it, and the API of executions; their list is in [`list`].
//!
//! The page of one execution is rendered with its head and failed roots in place (the first things
//! somebody who is woken wants to see); its tabs paint from the same data as the API gives.

pub mod events;
pub mod list;
pub mod mesh;
pub mod whole;

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::{Page, Routes, steps};
use crate::app::App;
use crate::engine::params;
use crate::store;
use crate::store::execution::Execution;
use axum::Json;
use axum::extract::{Path, Query, State};
use list::execution_json;
use mesh::Folded;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind;
use std::collections::BTreeMap;
use whole::{Whole, is_failure, run_word};

/// Failed roots that are shown as cards; the rest is counted.
const ROOTS_MAX: usize = 12;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/execute/flow/", Right::View, list::list_page)
        .get("/execute/flow/detail/{id}/", Right::View, detail_page)
        .get("/api/v1/executions", Right::View, list::list_api)
        .get("/api/v1/runnable", Right::View, list::runnable_api)
        .get("/api/v1/executions/{id}", Right::View, show_api)
        .get("/api/v1/executions/{id}/runs", Right::View, runs_api)
        .get("/api/v1/executions/{id}/events", Right::View, events::api)
        .get("/api/v1/executions/{id}/mesh", Right::View, mesh_api)
        .get("/api/v1/executions/{id}/jobs/{run}/{job}", Right::View, job_api)
}

/// One execution with everything, if the viewer may see it.
async fn load(app: &App, viewer: &Viewer, id: &str) -> Result<Whole, Error> {
    let execution = load_row(app, viewer, id).await?;
    Ok(Whole::load(&app.db, app.catalog().await?, execution).await?)
}

/// Its row alone, if the viewer may see it.
pub(super) async fn load_row(app: &App, viewer: &Viewer, id: &str) -> Result<Execution, Error> {
    let missing = || Error::not_found(format!("execution {id}"));
    let parsed: ExecutionId = id.parse().map_err(|_| missing())?;
    let execution = store::execution::find(&app.db, parsed).await?.ok_or_else(missing)?;
    if !viewer.sees(execution.project) {
        return Err(missing());
    }
    Ok(execution)
}

async fn show_api(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let whole = load(&app, &viewer, &id).await?;
    let mut shown = execution_json(&whole.catalog, &whole.execution, json!(whole.counts()));
    shown["runs"] = whole.runs.iter().map(|run| whole.run_json(run)).collect();
    shown["failed_roots"] = roots(&app, &whole).await?;
    Ok(Json(shown))
}

async fn runs_api(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let whole = load(&app, &viewer, &id).await?;
    Ok(Json(json!({ "items": runs_json(&whole), "next": null })))
}

fn runs_json(whole: &Whole) -> Vec<Value> {
    let mut jobs: BTreeMap<RunId, Vec<Value>> = BTreeMap::new();
    for job in &whole.jobs {
        jobs.entry(job.run).or_default().push(whole.job_json(job));
    }
    whole
        .runs
        .iter()
        .map(|run| {
            let mut shown = whole.run_json(run);
            shown["jobs"] = json!(jobs.remove(&run.id).unwrap_or_default());
            shown
        })
        .collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MeshAsked {
    folded: String,
}

async fn mesh_api(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(asked): Query<MeshAsked>,
) -> Result<Json<Value>> {
    let whole = load(&app, &viewer, &id).await?;
    if whole.jobs.len() > super::graph::NODES_MAX {
        return Err(Error::bad_request(format!(
            "this execution has {} jobs; up to {} are drawn: look at its table of jobs instead",
            whole.jobs.len(),
            super::graph::NODES_MAX
        )));
    }
    Ok(Json(mesh::of_execution(&whole, &Folded::of(&asked.folded), &app.graphs)))
}

/// The failed roots with their newest attempt; the line of the log comes by its own request.
async fn roots(app: &App, whole: &Whole) -> Result<Value, Error> {
    let mut cards = Vec::new();
    for job in whole.failed_roots().into_iter().take(ROOTS_MAX) {
        let attempts = store::execution::attempts(&app.db, job.run, job.job).await?;
        let mut card = whole.job_json(job);
        let run = whole.run(job.run);
        card["interface"] = json!(run.map(|run| whole.interface_name(run.interface)));
        card["period"] = json!(run.map(|run| run.period));
        card["last"] = json!(attempts.last().map(|attempt| whole.attempt_json(attempt)));
        card["tries"] = json!(attempts.len());
        cards.push(card);
    }
    Ok(json!(cards))
}

async fn detail_page(page: Page, Path(id): Path<String>) -> Result {
    let viewer = page.viewer()?;
    let whole = load(&page.app, viewer, &id).await?;
    let counts = whole.counts();
    let shown = execution_json(&whole.catalog, &whole.execution, json!(counts));
    let roots = roots(&page.app, &whole).await?;
    let given_up: Vec<Value> =
        whole.given_up().into_iter().map(|run| whole.run_json(run)).collect();
    let usual = usual(&page.app, &whole.execution).await?;
    let own = whole.runs.iter().find(|run| run.interface == whole.execution.interface);
    let own = own.map(|run| whole.run_json(run));
    let may = viewer.may(Right::Execute, whole.execution.project);
    let failed: usize = counts.iter().filter(|(state, _)| is_failure(state)).map(|(_, n)| n).sum();
    let data = json!({
        "execution": shown, "runs": runs_json(&whole), "batch": whole.execution.batch,
        "may_execute": may, "usual_ms": usual, "roots": roots,
    });
    page.render(
        "execution/detail.html",
        context! {
            execution => Serde(&shown),
            runs => Serde(&whole.runs.iter().map(|run| whole.run_json(run)).collect::<Vec<_>>()),
            own => Serde(own),
            roots => Serde(&roots),
            roots_more => whole.failed_roots().len().saturating_sub(ROOTS_MAX),
            given_up => Serde(&given_up),
            counts => Serde(&counts),
            failed => failed,
            total => whole.jobs.len(),
            usual_ms => usual,
            may_execute => may,
            live => whole.execution.state.is_live(),
            paused => whole.runs.iter().any(|run| run_word(run) == "paused"),
            params => Serde(&parameters(&whole)),
            data => Serde(&data),
        },
    )
}

/// The median of the last thirty successful ones like it.
async fn usual(app: &App, execution: &Execution) -> Result<Option<Millis>, Error> {
    let mut took = store::execution::durations(&app.db, execution, 30).await?;
    took.sort_unstable();
    Ok(took.get(took.len() / 2).copied())
}

/// What its jobs are given, per interface: name, value, and which layer says so.
fn parameters(whole: &Whole) -> Vec<Value> {
    let given = &whole.execution.params;
    let mut shown: Vec<Value> = given
        .iter()
        .map(
            |(name, value)| json!({ "layer": "execution", "of": "", "name": name, "value": value }),
        )
        .collect();
    for run in &whole.runs {
        let Some(interface) = whole.definition(run) else { continue };
        let layers = interface.spec.params.iter().map(|pair| ("interface", &interface.name, pair));
        let jobs = interface
            .jobs
            .iter()
            .flat_map(|job| job.spec.params.iter().map(move |pair| ("job", &job.name, pair)));
        for (layer, of, (name, value)) in layers.chain(jobs).take(500) {
            shown.push(json!({ "layer": layer, "of": of, "name": name, "value": value,
                "overridden": run.params.contains_key(name) }));
        }
    }
    shown
}

/// The drawer of one job: its attempts, its command, what it waits for.
async fn job_api(
    State(app): State<App>,
    viewer: Viewer,
    Path((id, run, job)): Path<(String, RunId, JobId)>,
) -> Result<Json<Value>> {
    let whole = load(&app, &viewer, &id).await?;
    let missing = || Error::not_found(format!("job {job} in run {run}"));
    let row = whole.jobs.iter().find(|one| one.run == run && one.job == job).ok_or_else(missing)?;
    let of = whole.run(run).ok_or_else(missing)?;
    let attempts = store::execution::attempts(&app.db, run, job).await?;
    let mut shown = whole.job_json(row);
    shown["run_state"] = json!(run_word(of));
    shown["interface"] = json!({ "id": of.interface, "name": whole.interface_name(of.interface) });
    shown["period"] = json!(of.period);
    shown["attempts"] = attempts.iter().rev().map(|one| whole.attempt_json(one)).collect();
    if let Some(newest) = attempts.last() {
        let kind = whole.job_kind(of, job);
        shown["steps"] = steps::json(&steps::of(&app, newest, &kind).await?);
    }
    let may = viewer.may(Right::Execute, of.project);
    shown["verbs"] = json!(job_verbs(&row.state, may));
    shown["parts"] = json!(may && !of.state.is_live());
    if let Some(command) = command_of(&whole, of, row) {
        shown["command"] = command;
    }
    Ok(Json(shown))
}

/// What a person may do to a job now; the dry run says the rest.
fn job_verbs(state: &str, may: bool) -> Vec<&'static str> {
    match state {
        _ if !may => Vec::new(),
        "assigned" | "running" => vec!["kill"],
        "stopping" => vec!["abandon"],
        "waiting" => vec!["force", "skip"],
        "queued" => vec!["skip"],
        "unknown" => vec!["abandon", "mark_success"],
        "failed" | "timed_out" | "stopped" => vec!["resume", "mark_success"],
        "skipped" => vec!["mark_success"],
        _ => Vec::new(),
    }
}

/// The exact command of its newest attempt, or of its next: what stands in the definition, filled in.
fn command_of(
    whole: &Whole,
    run: &store::execution::Run,
    row: &store::execution::JobRun,
) -> Option<Value> {
    let interface = whole.definition(run)?;
    let job = interface.jobs.iter().find(|job| job.id == row.job)?;
    let attempt =
        AttemptId { run: run.id, job: row.job, number: row.number.max(1), reign: row.reign };
    let context = params::context(&whole.catalog, interface, job, run, attempt);
    Some(match kind::work(&job.spec.kind, &job.spec.fields, &context) {
        Ok(work) => json!({ "text": kind::preview(&work), "argv": work.argv, "dir": work.dir,
            "env": kind::shown_env(&work), "success_codes": work.success_codes }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}
