//! Dispatches: list, detail, form with its preview.

mod ahead;
mod calendar;
mod edit;
mod load;
mod preview;

pub use load::Counted;
pub use preview::{Firing, Upcoming};

use super::auth::Right;
use super::error::{Error, Result};
use super::form::Form;
use super::interface::{after_bulk, rule_in_words, told};
use super::list::{self, Asked, Key, Sorter};
use super::save::Saver;
use super::version;
use super::version::history::Turned;
use super::{Page, Routes, choices, filters};
use crate::engine::catalog::{Catalog, Dispatch};
use crate::store;
use crate::store::version::Of;
use axum::extract::{Path, Query};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::spec::DispatchSpec;
use std::sync::Arc;

/// Decisions shown of one dispatch.
const FIRED: u32 = 100;
const UPCOMING: usize = 10;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/dispatch/", Right::View, show)
        .get("/dispatch/add/", Right::Schedule, edit::add)
        .post("/dispatch/add/", Right::Schedule, edit::create)
        .post("/dispatch/bulk/", Right::Schedule, bulk)
        .post("/dispatch/preview/", Right::View, preview::part)
        .get("/api/v1/dispatches/preview", Right::View, preview::api)
        .get("/dispatch/calendar/", Right::View, calendar::show)
        .get("/dispatch/calendar/firings/", Right::View, calendar::part)
        .get("/api/v1/dispatches/calendar", Right::View, calendar::api)
        .get("/dispatch/{id}/", Right::View, detail)
        .get("/dispatch/{id}/edit/", Right::Schedule, edit::show)
        .post("/dispatch/{id}/edit/", Right::Schedule, edit::save)
        .post("/dispatch/{id}/delete/", Right::Schedule, edit::delete)
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filter {
    q: String,
    interface: String,
    /// `active` or `paused`.
    status: String,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    id: i64,
    name: String,
    description: String,
    interface: i64,
    interface_name: String,
    cron: String,
    rule: String,
    zone: String,
    cascade: bool,
    paused: bool,
    next_ms: Option<Millis>,
    last: Option<(ExecutionId, String)>,
}

const SORTERS: &[Sorter<Row>] = &[
    ("name", |row| Key::Text(row.name.to_lowercase())),
    ("id", |row| Key::Int(row.id)),
    ("interface", |row| Key::Text(row.interface_name.to_lowercase())),
    ("next", |row| Key::Int(row.next_ms.unwrap_or(i64::MAX))),
];

/// A dispatch that the viewer may see.
///
/// # Errors
/// There is none.
pub(super) fn dispatch_of(page: &Page, catalog: &Catalog, id: i64) -> Result<Arc<Dispatch>, Error> {
    let viewer = page.viewer()?;
    let found = catalog.dispatches.get(&DispatchId(id)).filter(|d| viewer.sees(d.project));
    found.cloned().ok_or_else(|| Error::not_found(format!("dispatch {id}")))
}

/// Which calendar, its name, and on which of its days; nothing where it has none.
fn days_words(
    catalog: &Catalog,
    spec: &DispatchSpec,
) -> Option<(i64, String, &'static str, String)> {
    let days = spec.days?;
    let found = catalog.calendars.get(&days.calendar);
    let name = found.map_or_else(|| format!("#{}", days.calendar), |found| found.name.clone());
    let (on, n) = edit::on_words(days.on);
    Some((days.calendar.0, name, on, n))
}

fn interface_name(catalog: &Catalog, id: InterfaceId) -> String {
    catalog.interfaces.get(&id).map_or_else(|| format!("#{id}"), |found| found.name.clone())
}

async fn rows(page: &Page, catalog: &Catalog, filter: &Filter) -> Result<Vec<Row>, Error> {
    let app = &page.app;
    let viewer = page.viewer()?;
    let paused = store::dispatch::paused(&app.db).await?;
    let now = app.clock.wall_ms();
    let mut rows = Vec::new();
    for dispatch in catalog.dispatches.values().filter(|d| viewer.lists(d.project)) {
        let spec = &dispatch.spec;
        let id = dispatch.id;
        let interface_name = interface_name(catalog, spec.interface);
        let is_paused = paused.contains(&id);
        let texts =
            [&dispatch.name, &id.to_string(), &spec.description, &interface_name, &spec.cron];
        let shown = list::matches(&filter.q, &texts.map(String::as_str))
            && (filter.interface.is_empty() || filter.interface == spec.interface.to_string())
            && (filter.status.is_empty() || (filter.status == "paused") == is_paused);
        if shown {
            rows.push(Row {
                id: id.0,
                name: dispatch.name.clone(),
                description: spec.description.clone(),
                interface: spec.interface.0,
                interface_name,
                cron: spec.cron.clone(),
                rule: String::new(),
                zone: spec.zone.clone(),
                cascade: spec.cascade,
                paused: is_paused,
                next_ms: if is_paused { None } else { app.upcoming.next(catalog, spec, now) },
                last: None,
            });
        }
    }
    Ok(rows)
}

async fn show(page: Page, Query(asked): Query<Asked>, Query(filter): Query<Filter>) -> Result {
    let catalog = page.app.catalog().await?;
    let all = rows(&page, &catalog, &filter).await?;
    if asked.format == "csv" {
        let head = ["Id", "Name", "Interface", "Cron", "Zone", "Status"].map(|key| page.t(key));
        let line = |row: Row| {
            let status = page.t(if row.paused { "paused" } else { "active" }).to_owned();
            vec![row.id.to_string(), row.name, row.interface_name, row.cron, row.zone, status]
        };
        return Ok(list::csv("dispatches", &head, all.into_iter().map(line)));
    }
    let filters = [
        ("q", filter.q.as_str()),
        ("interface", filter.interface.as_str()),
        ("status", filter.status.as_str()),
    ];
    let mut listed = list::page(all, |row| row.id, SORTERS, &asked, &filters);
    let ids: Vec<DispatchId> = listed.rows.iter().map(|row| DispatchId(row.id)).collect();
    let last = ids.iter().map(|id| store::dispatch::last(&page.app.db, *id));
    let last = futures::future::try_join_all(last).await?;
    for (row, last) in listed.rows.iter_mut().zip(last) {
        row.rule = rule_in_words(&row.cron, page.lang);
        row.last = last;
    }
    let viewer = page.viewer()?;
    let chosen = [filter.interface.clone()];
    let interfaces = choices::interfaces(&catalog, (viewer, Right::View), &chosen, |interface| {
        interface.name.clone()
    });
    page.render(
        "dispatch/list.html",
        context! {
            list => Serde(&listed), filter => Serde(&filter),
            interfaces => Serde(interfaces.options), search => interfaces.search,
            may_execute => viewer.may_somewhere(Right::Execute),
            saved => Serde(filters::of(&page).await?),
        },
    )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tab {
    tab: String,
}

async fn detail(
    page: Page,
    Path(id): Path<i64>,
    Query(tab): Query<Tab>,
    Query(turned): Query<Turned>,
) -> Result {
    let app = &page.app;
    let catalog = app.catalog().await?;
    let dispatch = dispatch_of(&page, &catalog, id)?;
    let viewer = page.viewer()?;
    let tab = if tab.tab == "versions" { "versions" } else { "facts" };
    let names = store::user::names(&app.db).await?;
    let versions = match tab {
        "versions" => Some(version::tab(&page, Of::Dispatch(dispatch.id), &turned).await?),
        _ => None,
    };
    let paused = store::dispatch::paused(&app.db).await?.contains(&dispatch.id);
    let upcoming =
        preview::firings(&catalog, &dispatch.spec, (app.clock.wall_ms(), UPCOMING), viewer.zone);
    let newest = store::version::at(&app.db, Of::Dispatch(dispatch.id), dispatch.version).await?;
    let by = newest.as_ref().and_then(|newest| names.get(&newest.by)).cloned().unwrap_or_default();
    let fired = store::dispatch::fired(&app.db, dispatch.id, FIRED).await?;
    let running = fired.iter().filter(|one| one.state.as_deref() == Some("running")).count();
    page.render(
        "dispatch/detail.html",
        context! {
            tab, id, paused,
            name => dispatch.name.as_str(), version => dispatch.version,
            spec => Serde(&dispatch.spec),
            misfire => edit::misfire_words(dispatch.spec.misfire),
            overlap => edit::overlap_words(dispatch.spec.overlap),
            days => days_words(&catalog, &dispatch.spec),
            interface_name => interface_name(&catalog, dispatch.spec.interface),
            rule => rule_in_words(&dispatch.spec.cron, page.lang),
            upcoming => Serde(upcoming.unwrap_or_default()),
            fired => Serde(fired), running,
            updated_ms => newest.map(|newest| newest.at_ms), updated_by => by,
            versions => versions,
            may_schedule => viewer.may(Right::Schedule, dispatch.project),
            may_execute => viewer.may(Right::Execute, dispatch.project),
        },
    )
}

/// Deletes several; pausing and running go as commands to the leader.
async fn bulk(page: Page, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    if form.text("action") != "delete" {
        return Err(Error::bad_request("this action is not known"));
    }
    let mut failed = Vec::new();
    for id in form.all("id").iter().filter_map(|id| id.parse().ok()).map(DispatchId) {
        let catalog = page.app.catalog().await?;
        let dispatch = dispatch_of(&page, &catalog, id.0)?;
        if let Err(refused) = saver.delete_dispatch(id, dispatch.version).await {
            failed.push(format!("{}: {}", dispatch.name, told(refused)));
        }
    }
    after_bulk("/dispatch/", failed)
}
