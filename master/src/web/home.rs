//! Home: is everything all right, in ten seconds. And what every page's head asks: the counters and
//! the search.

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::execution::list::seen_projects;
use super::{Page, Routes, away, host, lead, list, zone};
use crate::app::App;
use crate::engine::catalog::Catalog;
use crate::store;
use crate::store::home::Seen;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect};
use chrono::{DateTime, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;

const LISTED: u32 = 8;
/// Executions of one day that are counted by hour.
const DAY_MAX: u32 = 50_000;
const FOUND_MAX: usize = 30;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/", Right::View, home)
        .get("/search/", Right::View, search_page)
        .get("/api/v1/search", Right::View, search)
        .get("/api/v1/counters", Right::View, counters)
}

/// A line of a short list.
#[derive(Clone, Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    seen: Seen,
    name: String,
    /// What a waiting run waits for, in words.
    for_what: Vec<String>,
}

fn lines(seen: Vec<Seen>, catalog: &Catalog, viewer: &Viewer) -> Vec<Line> {
    let name = |id: InterfaceId| {
        catalog.interfaces.get(&id).map_or_else(|| format!("#{id}"), |found| found.name.clone())
    };
    seen.into_iter()
        .filter(|seen| viewer.lists(seen.project))
        .map(|seen| {
            let waits: Vec<crate::engine::rows::Target> =
                serde_json::from_str(&seen.waits).unwrap_or_default();
            let for_what = waits.iter().take(3).filter_map(|wait| wait_words(wait, &name));
            Line { name: name(seen.interface), for_what: for_what.collect(), seen }
        })
        .collect()
}

fn wait_words(
    target: &crate::engine::rows::Target,
    name: &dyn Fn(InterfaceId) -> String,
) -> Option<String> {
    use crate::engine::rows::Target;
    match target {
        Target::Run(_) => None,
        Target::Success(id, period)
        | Target::Idle(id, period)
        | Target::SuccessOrNone(id, period)
        | Target::Job(id, period, _) => Some(format!("{} {period}", name(*id))),
    }
}

/// One hour of today: how many began, by state.
#[derive(Clone, Debug, Default, Serialize)]
struct Hour {
    hour: u32,
    /// What the server's clock shows when it begins, where that is another one.
    there: String,
    succeeded: u32,
    failed: u32,
    live: u32,
    total: u32,
}

fn hours(begun: &[(Millis, String)], day: NaiveDate, zone: Tz, server: Tz) -> Vec<Hour> {
    let there = |hour| {
        let at = zone::hour_ms(day, hour, zone);
        at.map(|at| zone::clock(at, server)).unwrap_or_default()
    };
    let hour = |hour| Hour { hour, there: there(hour), ..Hour::default() };
    let mut hours: Vec<Hour> = (0..24).map(hour).collect();
    for (at, state) in begun {
        let local = DateTime::<Utc>::from_timestamp_millis(*at).map(|utc| utc.with_timezone(&zone));
        let Some(hour) = local.and_then(|local| hours.get_mut(local.hour() as usize)) else {
            continue;
        };
        hour.total += 1;
        match state.as_str() {
            "succeeded" => hour.succeeded += 1,
            "failed" | "stopped" => hour.failed += 1,
            _ => hour.live += 1,
        }
    }
    hours
}

/// A dispatch that fires soon.
#[derive(Clone, Debug, Serialize)]
struct Soon {
    dispatch: i64,
    name: String,
    interface: String,
    at_ms: Millis,
}

fn soon(app: &App, catalog: &Catalog, viewer: &Viewer, paused: &[DispatchId]) -> Vec<Soon> {
    let now = app.clock.wall_ms();
    let mut soon: Vec<Soon> = catalog
        .dispatches
        .values()
        .filter(|d| viewer.lists(d.project) && !paused.contains(&d.id))
        .filter_map(|found| {
            let interface = catalog.interfaces.get(&found.spec.interface);
            Some(Soon {
                dispatch: found.id.0,
                name: found.name.clone(),
                interface: interface.map(|interface| interface.name.clone()).unwrap_or_default(),
                at_ms: app.upcoming.next(catalog, &found.spec, now)?,
            })
        })
        .collect();
    soon.sort_by_key(|soon| soon.at_ms);
    soon.truncate(LISTED as usize);
    soon
}

async fn home(page: Page) -> Result {
    let app = &page.app;
    let viewer = page.viewer()?;
    let catalog = app.catalog().await?;
    let now = app.clock.wall_ms();
    let (zone, server) = (viewer.zone, zone::of_server(&app.config));
    let today = zone::today_ms(now, zone);
    let projects = seen_projects(viewer);
    let projects = projects.as_deref();
    let states = store::home::states_since(&app.db, projects, today).await?;
    let begun = store::home::begun_since(&app.db, projects, today, DAY_MAX).await?;
    let failed = store::home::failed_since(&app.db, projects, now - 86_400_000, LISTED).await?;
    let waiting = store::home::waiting(&app.db, projects, LISTED).await?;
    let running = store::home::running(&app.db, projects, LISTED).await?;
    let paused = store::dispatch::paused(&app.db).await?;
    let hours = hours(&begun, zone::day(now, zone), zone, server);
    let most = hours.iter().map(|hour| hour.total).max().unwrap_or_default();
    page.render(
        "home.html",
        context! {
            states => Serde(states),
            stale => store::stale::count(&app.db, projects).await?,
            stale_max => store::stale::COUNT_MAX,
            live => Serde(store::execution::counters(&app.db, projects, today).await?),
            hours => Serde(hours), most,
            failed => Serde(lines(failed, &catalog, viewer)),
            waiting => Serde(lines(waiting, &catalog, viewer)),
            running => Serde(lines(running, &catalog, viewer)),
            hosts => Serde(host::listed(app, viewer, &catalog).await?),
            soon => Serde(soon(app, &catalog, viewer, &paused)),
            lead => Serde(lead::of(app).await),
            interfaces => catalog.interfaces.values().filter(|it| viewer.lists(it.project)).count(),
        },
    )
}

#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    counts: store::execution::Counters,
    away: bool,
}

async fn counters(State(app): State<App>, viewer: Viewer) -> Result {
    let projects = seen_projects(&viewer);
    let today = zone::today_ms(app.clock.wall_ms(), viewer.zone);
    let counts = store::execution::counters(&app.db, projects.as_deref(), today).await?;
    // A database that answers may yet take nothing: pages that are open are told of it here.
    Ok(Json(Counted { counts, away: away::is(&app) }).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    /// Only these: `job`.
    kind: String,
}

#[derive(Clone, Debug, Serialize)]
struct Found {
    what: String,
    id: i64,
    name: String,
    more: String,
    href: String,
}

/// Better matches first: the id itself, the beginning of a name, then the rest by name.
fn rank(query: &str, found: &Found) -> (u8, String) {
    let name = found.name.to_lowercase();
    let rank = match () {
        () if found.id.to_string() == query => 0,
        () if name == query => 1,
        () if name.starts_with(query) => 2,
        () => 3,
    };
    (rank, name)
}

fn find(page: &Page, catalog: &Catalog, asked: &Asked) -> Result<Vec<Found>, Error> {
    let viewer = page.viewer()?;
    let mut found = Vec::new();
    let mut add = |what: &str, id: i64, name: &str, more: &str, href: String| {
        if list::matches(&asked.q, &[name, &id.to_string(), more]) {
            let (name, more) = (name.to_owned(), more.to_owned());
            found.push(Found { what: page.t(what).to_owned(), id, name, more, href });
        }
    };
    let wanted = |kind: &str| asked.kind.is_empty() || asked.kind == kind;
    for interface in catalog.interfaces.values().filter(|i| viewer.sees(i.project)) {
        let id = interface.id.0;
        if wanted("interface") {
            let more = &interface.spec.description;
            add("Interface", id, &interface.name, more, format!("/interface/{id}/"));
        }
        for job in interface.jobs.iter().filter(|_| wanted("job")) {
            let href = format!("/job/{}/", job.id);
            // Where one job is chosen among all, its interface says which.
            let name = match asked.kind.as_str() {
                "job" => format!("{} / {}", interface.name, job.name),
                _ => job.name.clone(),
            };
            add("Job", job.id.0, &name, &interface.name, href);
        }
    }
    for found in
        catalog.dispatches.values().filter(|d| wanted("dispatch") && viewer.sees(d.project))
    {
        let href = format!("/dispatch/{}/", found.id);
        add("Dispatch", found.id.0, &found.name, &found.spec.cron, href);
    }
    for host in catalog.hosts.values().filter(|h| wanted("host") && viewer.sees(h.project)) {
        let href = format!("/base/exec/host/{}/", host.id);
        add("Exec host", host.id.0, &host.name, &host.spec.address, href);
    }
    let query = asked.q.trim().to_lowercase();
    found.sort_by_cached_key(|found| rank(&query, found));
    found.truncate(FOUND_MAX);
    // An execution is found by its whole id only: there are millions.
    if let Ok(id) = query.parse::<ExecutionId>() {
        let (what, href) = (page.t("Execution").to_owned(), format!("/execute/flow/detail/{id}/"));
        found.insert(0, Found { what, id: 0, name: id.to_string(), more: String::new(), href });
    }
    Ok(found)
}

async fn search(page: Page, Query(asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    let items = find(&page, &catalog, &asked)?;
    Ok(Json(serde_json::json!({ "items": items, "next": null })).into_response())
}

/// Without scripts: straight to the best match.
async fn search_page(page: Page, Query(asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    match find(&page, &catalog, &asked)?.into_iter().next() {
        Some(found) => Ok(Redirect::to(&found.href).into_response()),
        None => Err(Error::not_found(format!("thing found by {:?}", asked.q))),
    }
}
