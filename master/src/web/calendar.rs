//! Calendars of holidays and working days: list, the picture of a year, form, what an `.ics` file
//! would make of one.

mod edit;
pub mod ics;
mod import;
mod year;

use super::auth::Right;
use super::error::Result;
use super::form::Form;
use super::save::{self, Saver};
use super::uses;
use super::version;
use super::version::history::Turned;
use super::{Page, Routes, zone};
use crate::store;
use crate::store::version::Of;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use chrono::Datelike;
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/calendar/", Right::View, list)
        .get("/calendar/add/", Right::Write, edit::add)
        .post("/calendar/add/", Right::Write, edit::create)
        .post("/calendar/import/", Right::View, import::part)
        .post("/api/v1/calendars/ics", Right::View, import::api)
        .get("/calendar/{id}/", Right::View, detail)
        .get("/calendar/{id}/edit/", Right::Write, edit::show)
        .post("/calendar/{id}/edit/", Right::Write, edit::save)
        .post("/calendar/{id}/delete/", Right::Write, delete)
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    id: i64,
    name: String,
    description: String,
    holidays: usize,
    workdays: usize,
    /// The last day that it names.
    until: Option<String>,
    today: Today,
    uses: usize,
}

/// What a day is, in a word and with its name.
#[derive(Clone, Debug, Serialize)]
struct Today {
    kind: &'static str,
    label: String,
}

async fn list(page: Page) -> Result {
    let catalog = page.app.catalog().await?;
    let viewer = page.viewer()?;
    let today = zone::day(page.app.clock.wall_ms(), viewer.zone);
    let seen = catalog.calendars.values().filter(|calendar| viewer.lists(calendar.project));
    let mut rows: Vec<Row> = seen
        .map(|it| {
            let (kind, label) = year::kind(it.spec.day(today));
            Row {
                id: it.id.0,
                name: it.name.clone(),
                description: it.spec.description.clone(),
                holidays: it.spec.holidays.len(),
                workdays: it.spec.workdays.len(),
                until: it.spec.named_until().map(|date| date.to_string()),
                today: Today { kind, label: label.to_owned() },
                uses: uses::uses_of_calendar(&catalog, it.id).len(),
            }
        })
        .collect();
    rows.sort_by_key(|row| row.name.to_lowercase());
    page.render("calendar/list.html", context! { rows => Serde(rows) })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    year: Option<i32>,
    tab: String,
}

async fn detail(
    page: Page,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
    Query(turned): Query<Turned>,
) -> Result {
    let app = &page.app;
    let catalog = app.catalog().await?;
    let viewer = page.viewer()?;
    let calendar = save::calendar_of(&catalog, CalendarId(id), viewer)?;
    let today = zone::day(app.clock.wall_ms(), viewer.zone);
    let shown = asked.year.unwrap_or_else(|| today.year());
    let shown = shown.clamp(*year::YEARS.start(), *year::YEARS.end());
    let tab = if asked.tab == "versions" { "versions" } else { "facts" };
    let names = store::user::names(&app.db).await?;
    let of = Of::Calendar(calendar.id);
    let versions = match tab {
        "versions" => Some(version::tab(&page, of, &turned).await?),
        _ => None,
    };
    let newest = store::version::at(&app.db, of, calendar.version).await?;
    let by = newest.as_ref().and_then(|newest| names.get(&newest.by)).cloned().unwrap_or_default();
    page.render(
        "calendar/detail.html",
        context! {
            id, tab, year => shown,
            name => calendar.name.as_str(), version => calendar.version,
            description => calendar.spec.description.as_str(),
            rest => Serde(&calendar.spec.rest),
            picture => Serde(year::picture(&calendar.spec, shown, today)),
            named => calendar.spec.holidays.len() + calendar.spec.workdays.len(),
            until => calendar.spec.named_until().map(|date| date.to_string()),
            ended => calendar.spec.named_until().is_some_and(|until| until < today),
            uses => Serde(uses::uses_of_calendar(&catalog, calendar.id)),
            versions => versions,
            updated_ms => newest.map(|newest| newest.at_ms), updated_by => by,
            may_edit => viewer.may(Right::Write, calendar.project),
        },
    )
}

async fn delete(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let from = form.text("version").parse().unwrap_or_default();
    saver.delete_calendar(CalendarId(id), from).await?;
    Ok(Redirect::to("/calendar/").into_response())
}
