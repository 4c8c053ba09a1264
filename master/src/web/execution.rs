//! Executions (执行): the list, one execution with everything about it, and their API.
//!
//! The page of one execution is rendered with its head and failed roots in place (the first things
//! somebody who is woken wants to see); its tabs paint from the same data as the API gives.

pub mod events;
pub mod mesh;
pub mod whole;

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::{Page, Routes, choices};
use crate::app::App;
use crate::engine::catalog::{Catalog, Interface};
use crate::engine::params;
use crate::store;
use crate::store::execution::{Cursor, Execution, Filter, PAGE_MAX};
use axum::Json;
use axum::extract::{Path, Query, State};
use mesh::Folded;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::{self, FieldError};
use shared::period;
use std::collections::BTreeMap;
use whole::{Whole, is_failure, run_word};

/// Rows of one page unless asked otherwise.
const PAGE: usize = 50;
/// Failed roots that are shown as cards; the rest is counted.
const ROOTS_MAX: usize = 12;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/execute/flow/", Right::View, list_page)
        .get("/execute/flow/detail/{id}/", Right::View, detail_page)
        .get("/api/v1/executions", Right::View, list_api)
        .get("/api/v1/runnable", Right::View, runnable_api)
        .get("/api/v1/executions/{id}", Right::View, show_api)
        .get("/api/v1/executions/{id}/runs", Right::View, runs_api)
        .get("/api/v1/executions/{id}/events", Right::View, events::api)
        .get("/api/v1/executions/{id}/mesh", Right::View, mesh_api)
        .get("/api/v1/executions/{id}/jobs/{run}/{job}", Right::View, job_api)
}

/// The filter row, as it stands in the URL.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    interface: String,
    dispatch: String,
    state: String,
    period: String,
    origin: String,
    from: String,
    until: String,
    cursor: String,
    limit: String,
}

impl Asked {
    /// # Errors
    /// Every field that cannot be understood, with what it should be.
    fn filter(&self, viewer: &Viewer, zone: &str) -> Result<Filter, Error> {
        let mut errors = Vec::new();
        let mut filter = Filter { projects: seen_projects(viewer), ..Filter::default() };
        filter.interface =
            field(&mut errors, "interface", &self.interface, "the id of an interface");
        filter.dispatch = field(&mut errors, "dispatch", &self.dispatch, "the id of a dispatch");
        filter.period = field(&mut errors, "period", &self.period, "a period such as 2026-11-20");
        for word in self.state.split(',').filter(|word| !word.is_empty()) {
            match serde_json::from_value(json!(word)) {
                Ok(state) => filter.states.push(state),
                Err(_) => errors.push(FieldError::new(
                    "state",
                    format!(
                        "{word:?} is no state: waiting, ready, running, succeeded, failed or stopped \
                         is expected"
                    ),
                )),
            }
        }
        if !self.origin.is_empty() {
            match serde_json::from_value(json!(self.origin)) {
                Ok(origin) => filter.origin = Some(origin),
                Err(_) => errors.push(FieldError::new(
                    "origin",
                    "this is no origin: cron, hand, api, file or backfill is expected",
                )),
            }
        }
        let zone = period::zone(zone).ok();
        let mut day = |path: &str, text: &str, end: bool| -> Option<Millis> {
            if let (Ok(ms), true) = (text.parse::<Millis>(), text.len() > 10) {
                return Some(ms);
            }
            let day: Option<period::Period> =
                field(&mut errors, path, text, "a day such as 2026-11-20");
            zone.zip(day).map(|(zone, day)| if end { day.end_ms(zone) } else { day.start_ms(zone) })
        };
        filter.from = day("from", &self.from, false);
        filter.until = day("until", &self.until, true);
        match errors.is_empty() {
            true => Ok(filter),
            false => Err(Error::invalid(errors)),
        }
    }

    fn page(&self) -> Result<(Option<Cursor>, usize), Error> {
        let mut errors = Vec::new();
        let cursor = field(&mut errors, "cursor", &self.cursor, "the cursor of the page before");
        let limit = field(&mut errors, "limit", &self.limit, "a number of rows");
        match errors.is_empty() {
            true => Ok((cursor, limit.unwrap_or(PAGE).clamp(1, PAGE_MAX))),
            false => Err(Error::invalid(errors)),
        }
    }
}

/// An empty text is none; one that is not understood is an error beside its field.
fn field<T: std::str::FromStr>(
    errors: &mut Vec<FieldError>,
    path: &str,
    text: &str,
    expected: &str,
) -> Option<T> {
    let text = text.trim();
    let parsed = text.parse().ok();
    if parsed.is_none() && !text.is_empty() {
        errors.push(FieldError::new(path, format!("{expected} is expected")));
    }
    parsed
}

/// Of lists and counters: `None` when all of them are.
pub(super) fn seen_projects(viewer: &Viewer) -> Option<Vec<ProjectId>> {
    if let Some(chosen) = viewer.scope {
        return Some(vec![chosen]);
    }
    match viewer.may(Right::View, ProjectId(0)) {
        true => None,
        false => Some(viewer.rights.keys().copied().filter(|id| viewer.sees(*id)).collect()),
    }
}

/// One page of a list: the items, and the cursor of the next.
async fn page_of(
    app: &App,
    asked: &Asked,
    viewer: &Viewer,
) -> Result<(Vec<Value>, Option<String>)> {
    let filter = asked.filter(viewer, &app.config.web.zone)?;
    let (after, limit) = asked.page()?;
    let mut found = store::execution::list(&app.db, &filter, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| Cursor { created: last.created, id: last.id }.to_string());
    Ok((items(app, &found).await?, next))
}

/// Executions as lists and the live stream give them: with their jobs counted by state.
pub(super) async fn items(app: &App, found: &[Execution]) -> crate::db::Result<Vec<Value>> {
    let catalog = app.catalog().await?;
    let runs: Vec<RunId> = found.iter().flat_map(|one| one.runs.iter().copied()).collect();
    let counts = store::execution::counts(&app.db, &runs).await?;
    Ok(found
        .iter()
        .map(|execution| {
            let mut jobs: BTreeMap<&str, i64> = BTreeMap::new();
            for (state, n) in execution.runs.iter().filter_map(|run| counts.get(run)).flatten() {
                *jobs.entry(state).or_default() += n;
            }
            execution_json(&catalog, execution, json!(jobs))
        })
        .collect())
}

/// An execution as API and pages give it.
fn execution_json(catalog: &Catalog, execution: &Execution, jobs: Value) -> Value {
    let interface = catalog.interfaces.get(&execution.interface);
    let interface = interface
        .map_or_else(|| format!("interface {}", execution.interface), |it| it.name.clone());
    let dispatch = execution.dispatch.map(|id| {
        let dispatch = catalog.dispatches.get(&id);
        let name = dispatch.map_or_else(|| format!("dispatch {id}"), |it| it.name.clone());
        json!({ "id": id, "name": name })
    });
    let total: i64 =
        jobs.as_object().map_or(0, |jobs| jobs.values().filter_map(Value::as_i64).sum());
    json!({
        "id": execution.id,
        "project": execution.project,
        "interface": { "id": execution.interface, "name": interface },
        "period": execution.period,
        "origin": execution.origin,
        "dispatch": dispatch,
        "scheduled_ms": execution.instant,
        "by": execution.by.map(|id| json!({ "id": id, "name": execution.by_name })),
        "cascade": execution.cascade,
        "params": execution.params,
        "state": execution.state,
        "created_ms": execution.created,
        "ended_ms": execution.ended,
        "jobs": jobs,
        "jobs_total": total,
        "batch": execution.batch,
    })
}

async fn list_api(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let (items, next) = page_of(&app, &asked, &viewer).await?;
    Ok(Json(json!({ "items": items, "next": next })))
}

async fn list_page(page: Page, Query(asked): Query<Asked>) -> Result {
    let viewer = page.viewer()?;
    // A filter that is not understood is shown beside its field, above an empty list.
    let (found, errors) = match page_of(&page.app, &asked, viewer).await {
        Ok((items, next)) => ((items, next), Vec::new()),
        Err(error) if !error.problem().errors.is_empty() => {
            ((Vec::new(), None), error.problem().errors.clone())
        }
        Err(error) => return Err(error),
    };
    let catalog = page.app.catalog().await?;
    let chosen = [asked.interface.clone()];
    let interfaces =
        choices::interfaces(&catalog, viewer, &chosen, |interface| interface.name.clone());
    let offered = runnable(&page.app, viewer, &catalog, &asked.interface);
    let newest = found.0.first().and_then(|item| item["created_ms"].as_i64());
    let batch = store::execution::batch(&page.app.db).await?;
    let errors: BTreeMap<String, String> =
        errors.into_iter().map(|error| (error.path, error.message)).collect();
    page.render(
        "execution/list.html",
        context! {
            items => Serde(&found.0),
            next => found.1,
            asked => context! {
                interface => asked.interface, dispatch => asked.dispatch, state => asked.state,
                period => asked.period, origin => asked.origin, from => asked.from,
                until => asked.until, cursor => asked.cursor,
            },
            errors => Serde(&errors),
            interfaces => Serde(&interfaces.options),
            search => interfaces.search,
            choices => Serde(&offered),
            states => Serde(["waiting", "ready", "running", "succeeded", "failed", "stopped"]),
            origins => Serde(["cron", "hand", "api", "file", "backfill"]),
            may_execute => viewer.may_somewhere(Right::Execute),
            newest => newest,
            batch => batch,
        },
    )
}

/// The interfaces of the run-now form, each with its default period (T-1): those that are named so,
/// or have this id; the first of them where they are many.
fn runnable(app: &App, viewer: &Viewer, catalog: &Catalog, sought: &str) -> Vec<Value> {
    let may = |interface: &&std::sync::Arc<Interface>| {
        viewer.lists(interface.project) && viewer.may(Right::Execute, interface.project)
    };
    let all = || catalog.interfaces.values().filter(may);
    let own = all().find(|interface| interface.id.to_string() == sought);
    let named = all().filter(|interface| {
        let other = own.is_none_or(|own| own.id != interface.id);
        other && (own.is_some() || super::list::matches(sought, &[&interface.name]))
    });
    own.into_iter()
        .chain(named)
        .take(choices::OPTIONS_MAX)
        .map(|interface| {
            json!({ "id": interface.id, "name": interface.name,
                "period": default_period(app, interface).map(|period| period.to_string()),
                "granularity": interface.spec.granularity, "zone": interface.spec.zone })
        })
        .collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sought {
    q: String,
}

async fn runnable_api(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Sought>,
) -> Result<Json<Value>> {
    let catalog = app.catalog().await?;
    Ok(Json(json!({ "items": runnable(&app, &viewer, &catalog, asked.q.trim()), "next": null })))
}

/// The period before the one that contains now.
fn default_period(app: &App, interface: &Interface) -> Option<period::Period> {
    let zone = period::zone(&interface.spec.zone).ok()?;
    let now = app.clock.wall_ms();
    period::Period::containing(interface.spec.granularity, now, zone).offset(-1, zone)
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
    shown["verbs"] = json!(job_verbs(&row.state, viewer.may(Right::Execute, of.project)));
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
            "env": masked(&work.env), "success_codes": work.success_codes }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

/// Values of what is called a secret are not for the eye.
fn masked(env: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    const SECRET: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY"];
    let is_secret = |name: &str| SECRET.iter().any(|part| name.to_uppercase().contains(part));
    env.iter()
        .map(|(name, value)| (name.as_str(), if is_secret(name) { "••••••" } else { value }))
        .collect()
}
