//! Backfills (补数): list, form with its plan, one of them; and the same for programs,
//! `/api/v1/backfills`. They begin, pause, go on and are cancelled by commands.

mod form;

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::execution::list::seen_projects;
use super::{Page, Routes};
use crate::app::App;
use crate::engine::backfill::{BackfillSpec, Estimate, Outline, check, estimate, outline};
use crate::engine::catalog::Catalog;
use crate::engine::rows::Backfill;
use crate::store;
use crate::store::backfill::{Found, PAGE_MAX};
use axum::Json;
use axum::extract::{Path, Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::FieldError;
use shared::tasks;
use std::collections::BTreeMap;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/backfill/", Right::View, list)
        .get("/backfill/add/", Right::Execute, form::add)
        .post("/backfill/add/", Right::Execute, form::post)
        .get("/backfill/{id}/", Right::View, detail)
        .get("/api/v1/backfills", Right::View, api_list)
        .post("/api/v1/backfills/plan", Right::View, api_plan)
        .get("/api/v1/backfills/{id}", Right::View, api_show)
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// Id of an interface.
    interface: String,
    /// `live`: only what has not ended.
    state: String,
    cursor: String,
}

impl Asked {
    fn interface(&self) -> Result<Option<InterfaceId>, Error> {
        read(&self.interface, "interface", "the id of an interface")
    }

    fn live(&self) -> Result<bool, Error> {
        match self.state.as_str() {
            "" => Ok(false),
            "live" => Ok(true),
            _ => Err(invalid("state", "live, or nothing, is expected")),
        }
    }
}

fn invalid(path: &str, message: &str) -> Error {
    Error::invalid(vec![FieldError::new(path, message)])
}

fn read<T: std::str::FromStr>(text: &str, path: &str, what: &str) -> Result<Option<T>, Error> {
    match (text.trim(), text.trim().parse()) {
        ("", _) => Ok(None),
        (_, Ok(read)) => Ok(Some(read)),
        (_, Err(_)) => Err(invalid(path, &format!("{what} is expected"))),
    }
}

/// How many of its executions are in which state.
type Counts = BTreeMap<String, i64>;

/// One page, and the cursor of the next.
async fn page_of(
    app: &App,
    viewer: &Viewer,
    asked: &Asked,
) -> Result<(Vec<Value>, Option<CommandId>), Error> {
    let which = (asked.interface()?, asked.live()?);
    let before = read(&asked.cursor, "cursor", "the cursor of the page before")?;
    let projects = seen_projects(viewer);
    let mut found =
        store::backfill::list(&app.db, projects.as_deref(), which, before, PAGE_MAX + 1).await?;
    let next = (found.len() > PAGE_MAX).then(|| found[PAGE_MAX - 1].0);
    found.truncate(PAGE_MAX);
    let ids: Vec<CommandId> = found.iter().map(|(id, _)| *id).collect();
    let mut counts = store::backfill::counts(&app.db, &ids).await?;
    let names = store::user::names(&app.db).await?;
    let catalog = app.catalog().await?;
    let items = found.iter().map(|one| {
        let counts = counts.remove(&one.0).unwrap_or_default();
        item((&catalog, viewer), &names, one, &counts)
    });
    Ok((items.collect(), next))
}

/// What is gone, or is of a project that the viewer may not see, has its number.
fn name_of(catalog: &Catalog, viewer: &Viewer, id: InterfaceId) -> String {
    let found = catalog.interfaces.get(&id).filter(|found| viewer.sees(found.project));
    found.map_or_else(|| format!("interface {id}"), |found| found.name.clone())
}

/// As API and pages give it.
fn item(
    (catalog, viewer): (&Catalog, &Viewer),
    names: &BTreeMap<UserId, String>,
    (id, row): &Found,
    counts: &Counts,
) -> Value {
    let sum =
        |states: &[&str]| -> i64 { states.iter().filter_map(|state| counts.get(*state)).sum() };
    let live = sum(&["running", "waiting", "ready"]);
    json!({
        "id": id, "project": row.project,
        "interface": { "id": row.interface, "name": name_of(catalog, viewer, row.interface) },
        "by": { "id": row.by, "name": names.get(&row.by) },
        "state": row.state, "why": row.why,
        "planned": row.planned, "made": row.made, "failed_since": row.failed, "cursor": row.cursor,
        "executions": { "live": live, "succeeded": sum(&["succeeded"]), "failed": sum(&["failed"]),
            "stopped": sum(&["stopped"]) },
        "created_ms": row.created, "ended_ms": row.ended, "spec": row.spec,
    })
}

async fn list(page: Page, Query(asked): Query<Asked>) -> Result {
    let viewer = page.viewer()?;
    let (items, next) = page_of(&page.app, viewer, &asked).await?;
    page.render(
        "backfill/list.html",
        context! {
            asked => Serde(&asked), items => Serde(&items), next => next.map(|id| id.to_string()),
            may_execute => viewer.may_somewhere(Right::Execute),
        },
    )
}

async fn api_list(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let (items, next) = page_of(&app, &viewer, &asked).await?;
    Ok(Json(json!({ "items": items, "next": next })))
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Shown {
    /// Without its executions: a page that only wants to know whether there is news asks so.
    brief: bool,
}

/// It, its counts, and its executions.
async fn whole(
    app: &App,
    viewer: &Viewer,
    id: CommandId,
    brief: bool,
) -> Result<(Value, std::sync::Arc<Backfill>), Error> {
    let found = store::backfill::find(&app.db, id).await?;
    let found = found.filter(|row| viewer.sees(row.project));
    let row = found.ok_or_else(|| Error::not_found(format!("backfill {id}")))?;
    let counts = store::backfill::counts(&app.db, &[id]).await?.remove(&id).unwrap_or_default();
    let names = store::user::names(&app.db).await?;
    let catalog = app.catalog().await?;
    let mut value = item((&catalog, viewer), &names, &(id, row.clone()), &counts);
    if brief {
        return Ok((value, row));
    }
    let pins = row.pins.iter().map(|(interface, version)| {
        json!({ "interface": { "id": interface, "name": name_of(&catalog, viewer, *interface) },
            "version": version })
    });
    value["pins"] = pins.collect();
    let made = store::backfill::executions(&app.db, id).await?;
    let made = made.into_iter().map(|one| {
        json!({ "id": one.id, "period": one.period, "state": one.state, "created_ms": one.created,
            "ended_ms": one.ended })
    });
    value["made_executions"] = made.collect();
    Ok((value, row))
}

async fn api_show(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<CommandId>,
    Query(shown): Query<Shown>,
) -> Result<Json<Value>> {
    Ok(Json(whole(&app, &viewer, id, shown.brief).await?.0))
}

async fn detail(page: Page, Path(id): Path<CommandId>) -> Result {
    let viewer = page.viewer()?;
    let (value, row) = whole(&page.app, viewer, id, false).await?;
    page.render(
        "backfill/detail.html",
        context! {
            one => Serde(&value), live => row.state.is_live(),
            spans => form::write_spans(&row.spec.spans), skips => form::write_spans(&row.spec.skips),
            may_execute => viewer.may(Right::Execute, row.project),
        },
    )
}

/// What it would do, and how long that is likely to take.
async fn planned(
    app: &App,
    viewer: &Viewer,
    spec: &BackfillSpec,
) -> Result<(Outline, Estimate), Error> {
    let catalog = app.catalog().await?;
    let mut errors = check(&catalog, spec);
    let interface = catalog.interfaces.get(&spec.interface);
    if !interface.is_some_and(|interface| viewer.sees(interface.project)) {
        errors =
            vec![FieldError::new("interface", format!("there is no interface {}", spec.interface))];
    }
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    let (of, asked) = (catalog.clone(), spec.clone());
    let found = tasks::blocking(move || outline(&of, &asked)).await;
    let found = found.map_err(Error::internal)?;
    let found = found.map_err(|why| invalid("spans", &why.to_string()))?;
    let ids: Vec<InterfaceId> = found.family.iter().map(|(id, _)| *id).collect();
    let now = app.clock.wall_ms();
    let means = store::backfill::means(&app.db, &ids, now).await?;
    let estimate = estimate(&catalog, spec, (&found, now), &means);
    Ok((found, estimate))
}

fn plan_value(
    (catalog, viewer): (&Catalog, &Viewer),
    found: &Outline,
    estimate: &Estimate,
) -> Value {
    let family = found.family.iter().map(
        |(id, version)| json!({ "id": id, "name": name_of(catalog, viewer, *id), "version": version }),
    );
    json!({ "executions": found.periods, "first": found.first, "last": found.last,
        "runs_most": found.runs, "jobs_most": found.jobs, "estimate": estimate,
        "interfaces": family.collect::<Vec<_>>() })
}

async fn api_plan(
    State(app): State<App>,
    viewer: Viewer,
    Json(body): Json<Value>,
) -> Result<Json<Value>> {
    let spec: BackfillSpec =
        serde_json::from_value(body).map_err(|error| invalid("spec", &error.to_string()))?;
    let (found, estimate) = planned(&app, &viewer, &spec).await?;
    let catalog = app.catalog().await?;
    Ok(Json(plan_value((&catalog, &viewer), &found, &estimate)))
}
