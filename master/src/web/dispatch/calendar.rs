//! When dispatches fire in a month: a heat map of days and hours, and the firings of one of them.
//!
//! Days and hours are the viewer's; a rule counts as it is now, also for days that have passed.

use super::super::auth::{Right, Viewer};
use super::super::error::{Error, Result};
use super::super::{Page, choices, zone};
use super::load::{self, Ask, LISTED_MAX, Load, One};
use super::{interface_name, preview};
use crate::app::App;
use crate::engine::calendar;
use crate::engine::calendar::days::{Days, Hour};
use crate::engine::catalog::{Catalog, Dispatch};
use crate::engine::quiet::{Held, Quiet};
use axum::Json;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use chrono::{Datelike, Months, NaiveDate};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ids::*;
use shared::kind::FieldError;
use std::sync::Arc;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Asked {
    /// `2026-11`; empty: this month.
    month: String,
    interface: String,
    dispatch: String,
    /// What is listed: `2026-11-05`, or one hour of it.
    day: String,
    hour: String,
    /// Where clocks repeat it: the second time.
    again: String,
}

impl Asked {
    fn wants(&self, one: &Dispatch) -> bool {
        (self.interface.is_empty() || self.interface == one.spec.interface.to_string())
            && (self.dispatch.is_empty() || self.dispatch == one.id.to_string())
    }

    fn days(&self, zone: chrono_tz::Tz, now: Millis) -> Result<Days, FieldError> {
        let month = match self.month.trim() {
            "" => zone::day(now, zone).format("%Y-%m").to_string(),
            month => month.to_owned(),
        };
        Days::month(&month, zone).map_err(|error| FieldError::new("month", error.to_string()))
    }

    /// Hours of the month whose firings are listed.
    fn chosen(&self, days: &Days) -> Result<Option<(Millis, Millis)>, Error> {
        if self.day.is_empty() {
            return Ok(None);
        }
        let fits = |hour: &&Hour| {
            hour.date.to_string() == self.day
                && (self.hour.is_empty()
                    || (self.hour.parse() == Ok(hour.hour) && hour.again != self.again.is_empty()))
        };
        let mut found = days.hours.iter().filter(fits);
        let first = found.next();
        let last = found.next_back().or(first);
        match first.zip(last) {
            Some((first, last)) => Ok(Some((first.from, last.until))),
            None => {
                let (day, hour, month) = (&self.day, &self.hour, days.first.format("%Y-%m"));
                Err(Error::bad_request(format!(
                    "there is no hour {day} {hour} in {month} here: choose one of the calendar"
                )))
            }
        }
    }
}

/// One hour of the picture.
#[derive(Clone, Debug, Serialize)]
struct Cell {
    fires: u32,
    held: u32,
    level: u32,
    again: bool,
    here: bool,
    /// It is over.
    past: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    date: String,
    day: u32,
    /// From Monday, 0.
    weekday: u32,
    today: bool,
    here: bool,
    /// Of each hour of the clock: once, where clocks skip it never, where they repeat it twice.
    hours: Vec<Vec<Cell>>,
    fires: u64,
    held: u64,
}

fn rows(days: &Days, load: &Load, (now, listed): (Millis, Option<(Millis, Millis)>)) -> Vec<Row> {
    let most = load.fires.iter().copied().max().unwrap_or_default();
    let today = zone::day(now, days.zone);
    let mut rows: Vec<Row> = Vec::new();
    for (at, hour) in days.hours.iter().enumerate() {
        let date = hour.date.to_string();
        if rows.last().is_none_or(|row| row.date != date) {
            rows.push(Row {
                date,
                day: hour.date.day(),
                weekday: hour.date.weekday().num_days_from_monday(),
                today: hour.date == today,
                here: false,
                hours: vec![Vec::new(); 24],
                fires: 0,
                held: 0,
            });
        }
        let Some(row) = rows.last_mut() else { continue };
        let (fires, held) = (load.fires[at], load.held[at]);
        let here = listed.is_some_and(|(from, until)| from <= hour.from && hour.until <= until);
        row.fires += u64::from(fires);
        row.held += u64::from(held);
        row.here |= here;
        let (level, past) = (load::level(fires, most), hour.until <= now);
        let cell = Cell { fires, held, level, again: hour.again, here, past };
        row.hours[hour.hour as usize].push(cell);
    }
    rows
}

/// One firing of the list.
#[derive(Clone, Debug, Serialize)]
struct Fires {
    /// In the viewer's zone, with its offset.
    at: String,
    /// In the dispatch's, where the clock there shows something else.
    there: Option<String>,
    zone: String,
    dispatch: i64,
    name: String,
    interface: i64,
    interface_name: String,
    period: Option<String>,
    held: &'static str,
}

fn fires(catalog: &Catalog, own: chrono_tz::Tz, at: Millis, One { dispatch, held }: &One) -> Fires {
    let spec = &dispatch.spec;
    let theirs = calendar::zone(&spec.zone).unwrap_or(own);
    let quiet = Quiet::of(catalog, spec, theirs).ok();
    let held = match quiet.and_then(|quiet| quiet.holding(at)) {
        Some(Held::Window(_)) if held.is_empty() => "blackout",
        Some(Held::Day { .. } | Held::NoPeriod { .. }) if held.is_empty() => "holiday",
        _ => held,
    };
    let there = zone::moment(at, theirs);
    Fires {
        at: calendar::show(own, at),
        there: (there != zone::moment(at, own)).then_some(there),
        zone: spec.zone.clone(),
        dispatch: dispatch.id.0,
        name: dispatch.name.clone(),
        interface: spec.interface.0,
        interface_name: interface_name(catalog, spec.interface),
        period: preview::period(catalog, spec, at),
        held,
    }
}

/// What the list of firings is made from.
fn listing(catalog: &Catalog, asked: &Asked, (ask, load): &(Ask, Load)) -> Value {
    let Some((from, until)) = ask.listed else { return Value::from(()) };
    let own = ask.days.zone;
    let shown = load.listed.iter();
    let items: Vec<Fires> =
        shown.map(|(at, who)| fires(catalog, own, *at, &ask.dispatches[*who])).collect();
    let within = |hour: &Hour| from <= hour.from && hour.until <= until;
    let hours = ask.days.hours.iter().enumerate().filter(|(_, hour)| within(hour));
    let sums = hours.map(|(at, _)| (u64::from(load.fires[at]), u64::from(load.held[at])));
    let (fires, held) = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let more = (fires + held).saturating_sub(items.len() as u64);
    context! {
        day => asked.day.as_str(), hour => asked.hour.as_str(), again => !asked.again.is_empty(),
        items => Serde(items), fires, held, more, most => LISTED_MAX,
    }
}

async fn loaded(
    page: &Page,
    catalog: &Arc<Catalog>,
    asked: &Asked,
    days: Days,
) -> Result<(Ask, Load), Error> {
    let viewer = page.viewer()?;
    let listed = asked.chosen(&days)?;
    let wanted = |one: &Dispatch| viewer.lists(one.project) && asked.wants(one);
    let dispatches = load::dispatches(&page.app, catalog, wanted).await?;
    Ok(load::of(&page.app, Ask { catalog: Arc::clone(catalog), days, dispatches, listed }).await?)
}

/// The month before, or after, as the address has it.
fn beside(first: NaiveDate, months: i32) -> String {
    let by = Months::new(months.unsigned_abs());
    let there = match months < 0 {
        true => first.checked_sub_months(by),
        false => first.checked_add_months(by),
    };
    there.unwrap_or(first).format("%Y-%m").to_string()
}

pub(super) async fn show(page: Page, Query(mut asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    let viewer = page.viewer()?;
    let now = page.app.clock.wall_ms();
    // A month that is not understood is told beside its field, above the one of now.
    let (days, wrong) = match asked.days(viewer.zone, now) {
        Ok(days) => (days, String::new()),
        Err(error) => {
            let known = Asked { month: String::new(), day: String::new(), ..asked.clone() };
            let days = known.days(viewer.zone, now).map_err(|error| Error::invalid(vec![error]))?;
            asked.day.clear();
            (days, error.message)
        }
    };
    let found = loaded(&page, &catalog, &asked, days).await?;
    let (ask, load) = &found;
    let rows = rows(&ask.days, load, (now, ask.listed));
    let hours: Vec<u64> = (0..24)
        .map(|hour| rows.iter().flat_map(|row| &row.hours[hour]).map(|c| u64::from(c.fires)).sum())
        .collect();
    let chosen = [asked.interface.clone()];
    let interfaces =
        choices::interfaces(&catalog, (viewer, Right::View), &chosen, |one| one.name.clone());
    let dispatches = choices::dispatches(&catalog, viewer, &asked.dispatch, &asked.interface);
    let first = ask.days.first;
    page.render(
        "dispatch/calendar.html",
        context! {
            month => first.format("%Y-%m").to_string(), typed => asked.month.as_str(), wrong,
            before => beside(first, -1), after => beside(first, 1),
            asked => Serde(&asked), rows => Serde(&rows), hours,
            total => rows.iter().map(|row| row.fires).sum::<u64>(),
            held => rows.iter().map(|row| row.held).sum::<u64>(),
            count => ask.dispatches.len(), uncounted => load.uncounted,
            defined => catalog.dispatches.values().any(|one| viewer.lists(one.project)),
            listing => listing(&catalog, &asked, &found),
            interfaces => Serde(interfaces.options), search => interfaces.search,
            dispatches => Serde(dispatches.options), search_dispatch => dispatches.search,
        },
    )
}

/// The list of firings alone.
pub(super) async fn part(page: Page, Query(asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    let zone = page.viewer()?.zone;
    let days = asked.days(zone, page.app.clock.wall_ms());
    let days = days.map_err(|error| Error::invalid(vec![error]))?;
    let found = loaded(&page, &catalog, &asked, days).await?;
    page.render("dispatch/hour.html", context! { listing => listing(&catalog, &asked, &found) })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ForPrograms {
    month: String,
    zone: String,
    interface: String,
    dispatch: String,
}

/// `GET /api/v1/dispatches/calendar?month=2026-11&zone=Asia/Shanghai&interface=…&dispatch=…`
pub(super) async fn api(
    State(app): State<App>,
    viewer: Viewer,
    Query(given): Query<ForPrograms>,
) -> Result {
    let wrong = |error: FieldError| Error::invalid(vec![error]);
    let zone = match given.zone.as_str() {
        "" => viewer.zone,
        name => calendar::zone(name)
            .map_err(|error| wrong(FieldError::new("zone", error.to_string())))?,
    };
    let ForPrograms { month, interface, dispatch, .. } = given;
    for (name, text) in [("interface", &interface), ("dispatch", &dispatch)] {
        if !text.is_empty() && text.parse::<i64>().is_err() {
            let message = format!("{text:?} is no id: a whole number is expected");
            return Err(wrong(FieldError::new(name, message)));
        }
    }
    let asked = Asked { month, interface, dispatch, ..Asked::default() };
    let days = asked.days(zone, app.clock.wall_ms()).map_err(wrong)?;
    let catalog = app.catalog().await?;
    let wanted = |one: &Dispatch| viewer.sees(one.project) && asked.wants(one);
    let dispatches = load::dispatches(&app, &catalog, wanted).await?;
    let (ask, load) = load::of(&app, Ask { catalog, days, dispatches, listed: None }).await?;
    Ok(Json(for_programs(&ask, &load)).into_response())
}

fn for_programs(Ask { days, dispatches, .. }: &Ask, load: &Load) -> serde_json::Value {
    let mut by_day: Vec<serde_json::Value> = Vec::new();
    let all: Vec<(usize, &Hour)> = days.hours.iter().enumerate().collect();
    for of_day in all.chunk_by(|one, next| one.1.date == next.1.date) {
        let hours = of_day.iter().map(|(at, hour)| {
            json!({ "from_ms": hour.from, "from": calendar::show(days.zone, hour.from),
                "hour": hour.hour,
                "firings": load.fires[*at], "held": load.held[*at] })
        });
        let sum = |of: &[u32]| of_day.iter().map(|(at, _)| u64::from(of[*at])).sum::<u64>();
        by_day.push(json!({
            "day": of_day[0].1.date.to_string(), "firings": sum(&load.fires),
            "held": sum(&load.held), "hours": hours.collect::<Vec<_>>(),
        }));
    }
    json!({
        "month": days.first.format("%Y-%m").to_string(), "zone": days.zone.name(),
        "dispatches": dispatches.len(), "uncounted": load.uncounted, "days": by_day,
    })
}
