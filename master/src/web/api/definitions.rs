//! `/api/v1/{interfaces,jobs,dispatches,calendars,hosts,projects}`: what the forms do, for programs.
//!
//! One definition is `{"id", "project", "name", "version", "spec": {…}}`, the spec with the names of
//! `shared::spec`. `PUT` names the version it was made from; `DELETE ?version=` too. Lists are
//! `{"items": […], "next": cursor}`, by id, at most 500 a page.

use super::super::auth::{Right, Viewer};
use super::super::browse::notice::Notice;
use super::super::error::{Error, Result};
use super::super::save::{self, Draft, Refused, Saver};
use super::super::{Routes, list, version};
use crate::app::App;
use crate::engine::catalog::{Catalog, Dispatch};
use crate::store;
use crate::store::version::Of;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::FieldError;

mod calendars;

const PAGE_MAX: usize = 500;

pub(in super::super) fn routes() -> Routes {
    Routes::default()
        .get("/api/v1/interfaces", Right::View, interfaces)
        .post("/api/v1/interfaces", Right::Write, post_interface)
        .get("/api/v1/interfaces/{id}", Right::View, interface)
        .put("/api/v1/interfaces/{id}", Right::Write, put_interface)
        .delete("/api/v1/interfaces/{id}", Right::Write, delete_interface)
        .get("/api/v1/jobs", Right::View, jobs)
        .post("/api/v1/jobs", Right::Write, post_job)
        .get("/api/v1/jobs/{id}", Right::View, job)
        .put("/api/v1/jobs/{id}", Right::Write, put_job)
        .delete("/api/v1/jobs/{id}", Right::Write, delete_job)
        .get("/api/v1/dispatches", Right::View, dispatches)
        .post("/api/v1/dispatches", Right::Schedule, post_dispatch)
        .get("/api/v1/dispatches/{id}", Right::View, dispatch)
        .put("/api/v1/dispatches/{id}", Right::Schedule, put_dispatch)
        .delete("/api/v1/dispatches/{id}", Right::Schedule, delete_dispatch)
        .merge(calendars::routes())
        .get("/api/v1/hosts", Right::View, hosts)
        .post("/api/v1/hosts", Right::Write, post_host)
        .get("/api/v1/hosts/{id}", Right::View, host)
        .put("/api/v1/hosts/{id}", Right::Write, put_host)
        .delete("/api/v1/hosts/{id}", Right::Write, delete_host)
        .get("/api/v1/projects", Right::View, projects)
        .put("/api/v1/projects/{id}", Right::Admin, put_project)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Words in the name or the id.
    q: Option<String>,
    name: Option<String>,
    interface: Option<i64>,
    /// Ids after this one: what `next` said.
    after: Option<i64>,
    limit: Option<usize>,
}

/// One definition, as programs see it.
#[derive(Clone, Debug, Serialize)]
struct Item {
    id: i64,
    project: ProjectId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<InterfaceId>,
    version: i64,
    spec: Value,
    /// What is known beside the definition: a host's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    /// What was saved although nobody could say whether it is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<Notice>,
}

fn item<S: Serialize>(id: i64, project: ProjectId, name: &str, version: i64, spec: &S) -> Item {
    let spec = serde_json::to_value(spec).unwrap_or_default();
    let (name, interface, status, notices) = (name.to_owned(), None, None, Vec::new());
    Item { id, project, name, interface, version, spec, status, notices }
}

/// Items come by id.
fn page(all: Vec<Item>, asked: &Asked) -> Response {
    let limit = asked.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let after = asked.after.unwrap_or(i64::MIN);
    let fits = |item: &Item| {
        let id = item.id.to_string();
        item.id > after
            && asked.name.as_ref().is_none_or(|name| *name == item.name)
            && asked.q.as_ref().is_none_or(|q| list::matches(q, &[&item.name, &id]))
    };
    let mut items: Vec<Item> = all.into_iter().filter(fits).take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| last.id);
    Json(json!({ "items": items, "next": next })).into_response()
}

/// What is posted or put.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<S> {
    name: String,
    #[serde(default)]
    project: Option<ProjectId>,
    /// Of a job.
    #[serde(default)]
    interface: Option<InterfaceId>,
    /// The version that the change was made from.
    #[serde(default)]
    version: Option<i64>,
    /// What `GET` gave beside, and is not written.
    #[serde(default, rename = "id")]
    _id: Option<i64>,
    #[serde(default, rename = "status")]
    _status: Option<Value>,
    #[serde(default, rename = "notices")]
    _notices: Option<Value>,
    /// Why, for the history of versions; it was called a note once.
    #[serde(default, alias = "note")]
    reason: String,
    spec: S,
}

/// # Errors
/// What is not understood, by its path.
fn read<S: DeserializeOwned>(body: Value) -> Result<Body<S>, Error> {
    understood(body)
}

/// # Errors
/// As [`read`].
pub(in super::super) fn understood<T: DeserializeOwned>(body: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        Error::invalid(vec![FieldError::new(path, error.into_inner().to_string())])
    })
}

fn draft<S>(body: Body<S>, is_new: bool) -> Result<(Draft<S>, Option<ProjectId>, String), Error> {
    if !is_new && body.version.is_none() {
        let why = "the version that the change was made from is needed";
        return Err(Error::invalid(vec![FieldError::new("version", why)]));
    }
    let from = if is_new { None } else { body.version };
    Ok((Draft { name: body.name, spec: body.spec, from }, body.project, body.reason))
}

fn saver(app: &App, viewer: &Viewer, reason: String) -> Saver {
    Saver::new(app, viewer).because(reason)
}

/// Who has saved meanwhile is said too.
async fn told<T>(
    app: &App,
    viewer: &Viewer,
    of: Of,
    saved: Result<T, Refused>,
) -> Result<T, Error> {
    match saved {
        Ok(saved) => Ok(saved),
        Err(refused) => Err(version::told(app, viewer, of, refused).await),
    }
}

fn created(path: &str, item: Item) -> Response {
    let place = format!("/api/v1/{path}/{}", item.id);
    (StatusCode::CREATED, [(header::LOCATION, place)], Json(item)).into_response()
}

#[derive(Debug, Deserialize)]
struct From {
    version: i64,
    /// Why, for the history of versions and the audit.
    #[serde(default)]
    reason: String,
}

// ---- interfaces ----

async fn interfaces(State(app): State<App>, viewer: Viewer, Query(asked): Query<Asked>) -> Result {
    let catalog = app.catalog().await?;
    let seen = catalog.interfaces.values().filter(|it| viewer.sees(it.project));
    let items = seen.map(|it| item(it.id.0, it.project, &it.name, it.version, &it.spec));
    Ok(page(items.collect(), &asked))
}

async fn one_interface(app: &App, viewer: &Viewer, id: InterfaceId) -> Result<Item, Error> {
    let catalog = app.catalog().await?;
    let it = save::interface_of(&catalog, id, viewer)?;
    Ok(item(it.id.0, it.project, &it.name, it.version, &it.spec))
}

async fn interface(State(app): State<App>, viewer: Viewer, Path(id): Path<i64>) -> Result {
    Ok(Json(one_interface(&app, &viewer, InterfaceId(id)).await?).into_response())
}

async fn post_interface(State(app): State<App>, viewer: Viewer, Json(body): Json<Value>) -> Result {
    let (draft, project, reason) = draft(read(body)?, true)?;
    let project = project.unwrap_or(ProjectId(1));
    let id = saver(&app, &viewer, reason).interface(None, project, &draft).await?;
    Ok(created("interfaces", one_interface(&app, &viewer, id).await?))
}

async fn put_interface(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Json(body): Json<Value>,
) -> Result {
    let (draft, _, reason) = draft(read(body)?, false)?;
    let id = InterfaceId(id);
    let saved = saver(&app, &viewer, reason).interface(Some(id), ProjectId(0), &draft).await;
    told(&app, &viewer, Of::Interface(id), saved).await?;
    Ok(Json(one_interface(&app, &viewer, id).await?).into_response())
}

async fn delete_interface(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Query(from): Query<From>,
) -> Result {
    saver(&app, &viewer, from.reason).delete_interface(InterfaceId(id), from.version).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

// ---- jobs ----

async fn jobs(State(app): State<App>, viewer: Viewer, Query(asked): Query<Asked>) -> Result {
    let catalog = app.catalog().await?;
    let metas = store::job::metas(&app.db).await?;
    let seen = catalog.interfaces.values().filter(|it| {
        viewer.sees(it.project) && asked.interface.is_none_or(|wanted| wanted == it.id.0)
    });
    let mut items: Vec<Item> = seen
        .flat_map(|owner| owner.jobs.iter().map(move |job| (owner, job)))
        .map(|(owner, job)| {
            let version = metas.get(&job.id.0).map_or(owner.version, |meta| meta.version);
            let mut item = item(job.id.0, owner.project, &job.name, version, &job.spec);
            item.interface = Some(owner.id);
            item
        })
        .collect();
    items.sort_by_key(|item| item.id);
    Ok(page(items, &asked))
}

async fn one_job(app: &App, viewer: &Viewer, id: JobId) -> Result<Item, Error> {
    let catalog = app.catalog().await?;
    let (owner, job) = save::job_of(&catalog, id, viewer)?;
    let meta = store::job::meta(&app.db, id).await?;
    let version = meta.map_or(owner.version, |meta| meta.version);
    let mut item = item(job.id.0, owner.project, &job.name, version, &job.spec);
    item.interface = Some(owner.id);
    Ok(item)
}

async fn job(State(app): State<App>, viewer: Viewer, Path(id): Path<i64>) -> Result {
    Ok(Json(one_job(&app, &viewer, JobId(id)).await?).into_response())
}

async fn post_job(State(app): State<App>, viewer: Viewer, Json(body): Json<Value>) -> Result {
    let body = read(body)?;
    let interface = body.interface.unwrap_or_default();
    let (draft, _, reason) = draft(body, true)?;
    let saver = saver(&app, &viewer, reason);
    let notices = saver.asked_job(None, interface, &draft).await?;
    let id = saver.job(None, interface, &draft).await?;
    Ok(created("jobs", Item { notices, ..one_job(&app, &viewer, id).await? }))
}

async fn put_job(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Json(body): Json<Value>,
) -> Result {
    let body = read(body)?;
    let catalog = app.catalog().await?;
    let (owner, _) = save::job_of(&catalog, JobId(id), &viewer)?;
    if body.interface.is_some_and(|asked| asked != owner.id) {
        let why = "a job stays in its interface: make a new one there, and delete this one";
        return Err(Error::invalid(vec![FieldError::new("interface", why)]));
    }
    let (draft, _, reason) = draft(body, false)?;
    let saver = saver(&app, &viewer, reason);
    let saved = match saver.asked_job(Some(JobId(id)), owner.id, &draft).await {
        Ok(notices) => {
            let saved = saver.job(Some(JobId(id)), owner.id, &draft).await;
            saved.map(|_| notices)
        }
        Err(refused) => Err(refused),
    };
    let notices = told(&app, &viewer, Of::Job(JobId(id)), saved).await?;
    Ok(Json(Item { notices, ..one_job(&app, &viewer, JobId(id)).await? }).into_response())
}

async fn delete_job(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Query(from): Query<From>,
) -> Result {
    saver(&app, &viewer, from.reason).delete_job(JobId(id), from.version).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

// ---- dispatches ----

async fn dispatches(State(app): State<App>, viewer: Viewer, Query(asked): Query<Asked>) -> Result {
    let catalog = app.catalog().await?;
    let paused = store::dispatch::paused(&app.db).await?;
    let seen = catalog.dispatches.values().filter(|it| {
        viewer.sees(it.project) && asked.interface.is_none_or(|id| id == it.spec.interface.0)
    });
    let items = seen.map(|it| dispatch_item(&app, &catalog, it, &paused));
    Ok(page(items.collect(), &asked))
}

fn dispatch_item(app: &App, catalog: &Catalog, it: &Dispatch, paused: &[DispatchId]) -> Item {
    let mut item = item(it.id.0, it.project, &it.name, it.version, &it.spec);
    let is_paused = paused.contains(&it.id);
    let next = app.upcoming.next(catalog, &it.spec, app.clock.wall_ms()).filter(|_| !is_paused);
    item.status = Some(json!({ "paused": is_paused, "next_ms": next }));
    item
}

async fn one_dispatch(app: &App, viewer: &Viewer, id: DispatchId) -> Result<Item, Error> {
    let catalog = app.catalog().await?;
    let found = catalog.dispatches.get(&id).filter(|it| viewer.sees(it.project));
    let it = found.ok_or_else(|| Error::not_found(format!("dispatch {id}")))?;
    let paused = store::dispatch::paused(&app.db).await?;
    Ok(dispatch_item(app, &catalog, it, &paused))
}

async fn dispatch(State(app): State<App>, viewer: Viewer, Path(id): Path<i64>) -> Result {
    Ok(Json(one_dispatch(&app, &viewer, DispatchId(id)).await?).into_response())
}

async fn post_dispatch(State(app): State<App>, viewer: Viewer, Json(body): Json<Value>) -> Result {
    let (draft, _, reason) = draft(read(body)?, true)?;
    let id = saver(&app, &viewer, reason).dispatch(None, &draft).await?;
    Ok(created("dispatches", one_dispatch(&app, &viewer, id).await?))
}

async fn put_dispatch(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Json(body): Json<Value>,
) -> Result {
    let (draft, _, reason) = draft(read(body)?, false)?;
    let id = DispatchId(id);
    let saved = saver(&app, &viewer, reason).dispatch(Some(id), &draft).await;
    told(&app, &viewer, Of::Dispatch(id), saved).await?;
    Ok(Json(one_dispatch(&app, &viewer, id).await?).into_response())
}

async fn delete_dispatch(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Query(from): Query<From>,
) -> Result {
    saver(&app, &viewer, from.reason).delete_dispatch(DispatchId(id), from.version).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

// ---- hosts, projects ----

async fn host_items(app: &App, viewer: &Viewer) -> Result<Vec<Item>, Error> {
    let catalog = app.catalog().await?;
    let mut items = Vec::new();
    for view in super::super::host::views(app, viewer, &catalog).await? {
        let project = ProjectId(view.project);
        let mut item = item(view.id, project, &view.name, view.version, &view.spec);
        item.status = Some(json!({
            "state": view.state, "running": view.used, "last": view.status,
            "heard_ago_ms": view.heard_ago_ms,
        }));
        items.push(item);
    }
    Ok(items)
}

async fn hosts(State(app): State<App>, viewer: Viewer, Query(asked): Query<Asked>) -> Result {
    Ok(page(host_items(&app, &viewer).await?, &asked))
}

async fn one_host(app: &App, viewer: &Viewer, id: i64) -> Result<Item, Error> {
    let found = host_items(app, viewer).await?.into_iter().find(|item| item.id == id);
    found.ok_or_else(|| Error::not_found(format!("exec host {id}")))
}

async fn host(State(app): State<App>, viewer: Viewer, Path(id): Path<i64>) -> Result {
    Ok(Json(one_host(&app, &viewer, id).await?).into_response())
}

async fn post_host(State(app): State<App>, viewer: Viewer, Json(body): Json<Value>) -> Result {
    let (draft, project, reason) = draft(read(body)?, true)?;
    let project = project.unwrap_or(ProjectId(0));
    let id = saver(&app, &viewer, reason).host(None, project, &draft).await?;
    Ok(created("hosts", one_host(&app, &viewer, id.0).await?))
}

async fn put_host(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Json(body): Json<Value>,
) -> Result {
    let (draft, _, reason) = draft(read(body)?, false)?;
    let of = HostId(id);
    let saved = saver(&app, &viewer, reason).host(Some(of), ProjectId(0), &draft).await;
    told(&app, &viewer, Of::Host(of), saved).await?;
    Ok(Json(one_host(&app, &viewer, id).await?).into_response())
}

async fn delete_host(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Query(from): Query<From>,
) -> Result {
    saver(&app, &viewer, from.reason).delete_host(HostId(id), from.version).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn projects(State(app): State<App>, viewer: Viewer) -> Result {
    let all = store::project::list(&app.db).await?;
    let items: Vec<_> = all.into_iter().filter(|project| viewer.sees(project.id)).collect();
    Ok(Json(json!({ "items": items, "next": null })).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectBody {
    /// The version that the change was made from.
    version: i64,
    run_as: String,
    /// Why, for the history of versions.
    #[serde(default)]
    reason: String,
}

async fn put_project(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Json(body): Json<Value>,
) -> Result {
    let ProjectBody { version, run_as, reason } = understood(body)?;
    let of = ProjectId(id);
    let saved = saver(&app, &viewer, reason).run_as(of, version, &run_as).await;
    told(&app, &viewer, Of::Project(of), saved).await?;
    let all = store::project::list(&app.db).await?;
    let found = all.into_iter().find(|project| project.id.0 == id);
    Ok(Json(found.ok_or_else(|| Error::not_found(format!("project {id}")))?).into_response())
}
