//! Interfaces: list, detail with its graphs, form.

mod detail;
mod edit;
mod graph;

pub(super) use edit::differences;

use super::auth::Right;
use super::error::{Error, Result};
use super::form::Form;
use super::list::{self, Asked, Key, Listed, Sorter};
use super::save::{Draft, Refused, Saver};
use super::{Page, Routes, filters};
use crate::app::App;
use crate::engine::calendar;
use crate::engine::catalog::{Catalog, Interface};
use crate::store;
use crate::store::interface::RunSeen;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use futures::future::try_join_all;
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};

/// Runs in the strip of a list's row.
const STRIP: u32 = 12;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/interface/", Right::View, show)
        .get("/interface/add/", Right::Write, edit::add)
        .post("/interface/add/", Right::Write, edit::create)
        .post("/interface/bulk/", Right::Write, bulk)
        .get("/interface/{id}/", Right::View, detail::show)
        .get("/interface/{id}/graph/", Right::View, graph::data)
        .get("/interface/{id}/edit/", Right::Write, edit::show)
        .post("/interface/{id}/edit/", Right::Write, edit::save)
        .post("/interface/{id}/delete/", Right::Write, edit::delete)
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filter {
    q: String,
    catalog: String,
    granularity: String,
    /// `active` or `frozen`.
    status: String,
}

/// A row of the list.
#[derive(Clone, Debug, Serialize)]
struct Row {
    id: i64,
    name: String,
    description: String,
    catalog: String,
    owner: String,
    granularity: String,
    jobs: usize,
    parents: usize,
    children: usize,
    frozen: bool,
    version: i64,
    next_ms: Option<Millis>,
    dispatches: usize,
    updated_ms: Millis,
    updated_by: String,
    runs: Vec<RunSeen>,
}

const SORTERS: &[Sorter<Row>] = &[
    ("name", |row| Key::Text(row.name.to_lowercase())),
    ("id", |row| Key::Int(row.id)),
    ("catalog", |row| Key::Text(row.catalog.clone())),
    ("jobs", |row| Key::Int(i64::try_from(row.jobs).unwrap_or(i64::MAX))),
    ("next", |row| Key::Int(row.next_ms.unwrap_or(i64::MAX))),
    ("updated", |row| Key::Int(row.updated_ms)),
];

/// When the next of an interface's dispatches fires, if none is paused; and how many it has.
pub(super) fn next_firings(
    app: &App,
    catalog: &Catalog,
    paused: &[DispatchId],
) -> BTreeMap<InterfaceId, (usize, Option<Millis>)> {
    let now = app.clock.wall_ms();
    let mut next: BTreeMap<InterfaceId, (usize, Option<Millis>)> = BTreeMap::new();
    for dispatch in catalog.dispatches.values() {
        let entry = next.entry(dispatch.spec.interface).or_default();
        entry.0 += 1;
        if !paused.contains(&dispatch.id) {
            let at = app.upcoming.next(catalog, &dispatch.spec, now);
            entry.1 = [entry.1, at].into_iter().flatten().min();
        }
    }
    next
}

fn rows(page: &Page, catalog: &Catalog, filter: &Filter) -> Result<Vec<Row>, Error> {
    let viewer = page.viewer()?;
    let mut children: BTreeMap<InterfaceId, usize> = BTreeMap::new();
    for parent in catalog.interfaces.values().flat_map(|interface| &interface.spec.parents) {
        *children.entry(parent.interface).or_default() += 1;
    }
    let shown = |interface: &&std::sync::Arc<Interface>| {
        let spec = &interface.spec;
        let id = interface.id.to_string();
        let texts = [&interface.name, &id, &spec.description, &spec.owner, &spec.catalog];
        viewer.lists(interface.project)
            && list::matches(&filter.q, &texts.map(String::as_str))
            && (filter.catalog.is_empty() || filter.catalog == spec.catalog)
            && (filter.granularity.is_empty() || filter.granularity == word(&spec.granularity))
            && (filter.status.is_empty() || (filter.status == "frozen") == spec.frozen)
    };
    let row = |interface: &std::sync::Arc<Interface>| Row {
        id: interface.id.0,
        name: interface.name.clone(),
        description: interface.spec.description.clone(),
        catalog: interface.spec.catalog.clone(),
        owner: interface.spec.owner.clone(),
        granularity: word(&interface.spec.granularity),
        jobs: interface.jobs.len(),
        parents: interface.spec.parents.len(),
        children: children.get(&interface.id).copied().unwrap_or_default(),
        frozen: interface.spec.frozen,
        version: interface.version,
        next_ms: None,
        dispatches: 0,
        updated_ms: 0,
        updated_by: String::new(),
        runs: Vec::new(),
    };
    Ok(catalog.interfaces.values().filter(shown).map(row).collect())
}

/// Who changed them, and when.
async fn note_changes(
    app: &App,
    rows: &mut [Row],
    metas: &BTreeMap<i64, store::interface::Meta>,
) -> Result<(), Error> {
    let names = store::user::names(&app.db).await?;
    for row in rows {
        if let Some(meta) = metas.get(&row.id) {
            row.updated_ms = meta.updated_ms;
            row.updated_by = names.get(&meta.updated_by).cloned().unwrap_or_default();
        }
    }
    Ok(())
}

async fn show(page: Page, Query(asked): Query<Asked>, Query(filter): Query<Filter>) -> Result {
    let app = &page.app;
    let catalog = app.catalog().await?;
    let mut all = rows(&page, &catalog, &filter)?;
    let paused = store::dispatch::paused(&app.db).await?;
    let next = next_firings(app, &catalog, &paused);
    for row in &mut all {
        (row.dispatches, row.next_ms) = next.get(&InterfaceId(row.id)).copied().unwrap_or_default();
    }
    // Who changed it when is in the database: it is read for all of them only where it must be.
    let whole = asked.format == "csv" || asked.sort.trim_start_matches('-') == "updated";
    if whole {
        let metas = store::interface::metas(&app.db).await?;
        note_changes(app, &mut all, &metas).await?;
    }
    if asked.format == "csv" {
        return Ok(export(&page, all));
    }
    let filters = [
        ("q", filter.q.as_str()),
        ("catalog", filter.catalog.as_str()),
        ("granularity", filter.granularity.as_str()),
        ("status", filter.status.as_str()),
    ];
    let mut listed: Listed<Row> = list::page(all, |row| row.id, SORTERS, &asked, &filters);
    if !whole {
        let ids: Vec<i64> = listed.rows.iter().map(|row| row.id).collect();
        let metas = store::interface::metas_of(&app.db, &ids).await?;
        note_changes(app, &mut listed.rows, &metas).await?;
    }
    let runs = listed
        .rows
        .iter()
        .map(|row| store::interface::latest_runs(&app.db, InterfaceId(row.id), STRIP));
    let runs = try_join_all(runs).await?;
    for (row, runs) in listed.rows.iter_mut().zip(runs) {
        row.runs = runs;
    }
    let viewer = page.viewer()?;
    let catalogs: BTreeSet<&str> = catalog
        .interfaces
        .values()
        .filter(|interface| viewer.lists(interface.project))
        .map(|interface| interface.spec.catalog.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    page.render(
        "interface/list.html",
        context! {
            list => Serde(&listed), filter => Serde(&filter), catalogs => Serde(catalogs),
            saved => Serde(filters::of(&page).await?),
        },
    )
}

fn export(page: &Page, rows: Vec<Row>) -> axum::response::Response {
    let head = ["Id", "Name", "Description", "Catalog", "Owner", "Granularity", "Jobs", "Status"]
        .map(|key| page.t(key));
    let status = |frozen: bool| page.t(if frozen { "frozen" } else { "active" }).to_owned();
    let line = |row: Row| {
        let id = row.id.to_string();
        let jobs = row.jobs.to_string();
        vec![
            id,
            row.name,
            row.description,
            row.catalog,
            row.owner,
            row.granularity,
            jobs,
            status(row.frozen),
        ]
    };
    list::csv("interfaces", &head, rows.into_iter().map(line))
}

/// A word as serde writes it.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Freezes, thaws or deletes several; what cannot be done is told by name.
async fn bulk(page: Page, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let action = form.text("action").to_owned();
    let mut failed = Vec::new();
    for id in form.all("id").iter().filter_map(|id| id.parse().ok()).map(InterfaceId) {
        let catalog = page.app.catalog().await?;
        let interface = super::save::interface_of(&catalog, id, page.viewer()?)?;
        let done = match action.as_str() {
            "delete" => saver.delete_interface(id, interface.version).await,
            "freeze" | "thaw" => {
                let mut spec = interface.spec.clone();
                spec.frozen = action == "freeze";
                let name = interface.name.clone();
                let draft = Draft { name, spec, from: Some(interface.version) };
                saver.interface(Some(id), interface.project, &draft).await.map(|_| ())
            }
            _ => return Err(Error::bad_request("this action is not known")),
        };
        if let Err(refused) = done {
            failed.push(format!("{}: {}", interface.name, told(refused)));
        }
    }
    after_bulk("/interface/", failed)
}

/// Back to the list; or what was refused, by name.
pub(super) fn after_bulk(list: &str, failed: Vec<String>) -> Result {
    match failed.is_empty() {
        true => Ok(Redirect::to(list).into_response()),
        false => Err(Error::conflict(failed.join("; "))),
    }
}

/// Why something was not saved, in one line.
pub(super) fn told(refused: Refused) -> String {
    match refused {
        Refused::Invalid(errors) => {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        other => Error::from(other).problem().detail.clone(),
    }
}

/// How a dispatch's times look beside each other: cron in words.
pub(super) fn rule_in_words(cron: &str, lang: super::i18n::Lang) -> String {
    match calendar::parse(cron) {
        Ok(cron) if lang == super::i18n::Lang::Zh => calendar::describe_zh(&cron),
        Ok(cron) => calendar::describe(&cron),
        Err(error) => error.to_string(),
    }
}
