//! The list of executions (执行), its API, and what the run-now form beside it offers.

use crate::app::App;
use crate::engine::catalog::{Catalog, Interface};
use crate::engine::rows::Origin;
use crate::store;
use crate::store::execution::{Cursor, Execution, Filter, PAGE_MAX};
use crate::web::auth::{Right, Viewer};
use crate::web::error::{Error, Result};
use crate::web::{Page, choices, filters};
use axum::Json;
use axum::extract::{Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::FieldError;
use shared::period;
use std::collections::BTreeMap;

/// Rows of one page unless asked otherwise.
const PAGE: usize = 50;

/// The filter row, as it stands in the URL.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
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

/// Beside the states: executions of which something is stale.
const STALE: &str = "stale";

impl Asked {
    fn is_stale(&self) -> bool {
        self.state.split(',').any(|word| word == STALE)
    }

    /// # Errors
    /// Every field that cannot be understood, with what it should be.
    fn filter(&self, viewer: &Viewer) -> Result<Filter, Error> {
        let mut errors = Vec::new();
        let mut filter = Filter { projects: seen_projects(viewer), ..Filter::default() };
        filter.interface =
            field(&mut errors, "interface", &self.interface, "the id of an interface");
        filter.dispatch = field(&mut errors, "dispatch", &self.dispatch, "the id of a dispatch");
        filter.period = field(&mut errors, "period", &self.period, "a period such as 2026-11-20");
        for word in self.state.split(',').filter(|word| !word.is_empty() && *word != STALE) {
            match serde_json::from_value(json!(word)) {
                Ok(state) => filter.states.push(state),
                Err(_) => errors.push(FieldError::new(
                    "state",
                    format!(
                        "{word:?} is no state: waiting, ready, running, succeeded, failed, stopped \
                         or stale is expected"
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
        let zone = viewer.zone;
        let mut day = |path: &str, text: &str, end: bool| -> Option<Millis> {
            if let (Ok(ms), true) = (text.parse::<Millis>(), text.len() > 10) {
                return Some(ms);
            }
            let day: Option<period::Period> =
                field(&mut errors, path, text, "a day such as 2026-11-20");
            day.map(|day| if end { day.end_ms(zone) } else { day.start_ms(zone) })
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
pub(in crate::web) fn seen_projects(viewer: &Viewer) -> Option<Vec<ProjectId>> {
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
    let mut filter = asked.filter(viewer)?;
    if asked.is_stale() {
        let projects = filter.projects.as_deref();
        filter.ids = Some(store::stale::executions(&app.db, projects).await?);
    }
    let (after, limit) = asked.page()?;
    let mut found = store::execution::list(&app.db, &filter, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| Cursor { created: last.created, id: last.id }.to_string());
    Ok((items(app, &found).await?, next))
}

/// Executions as lists and the live stream give them: with their jobs counted by state.
pub(in crate::web) async fn items(app: &App, found: &[Execution]) -> crate::db::Result<Vec<Value>> {
    let catalog = app.catalog().await?;
    let runs: Vec<RunId> = found.iter().flat_map(|one| one.runs.iter().copied()).collect();
    let counts = store::execution::counts(&app.db, &runs).await?;
    let stale = store::execution::stale(&app.db, &runs).await?;
    Ok(found
        .iter()
        .map(|execution| {
            let mut jobs: BTreeMap<&str, i64> = BTreeMap::new();
            for (state, n) in execution.runs.iter().filter_map(|run| counts.get(run)).flatten() {
                *jobs.entry(state).or_default() += n;
            }
            let mut shown = execution_json(&catalog, execution, json!(jobs));
            shown[STALE] = execution.runs.iter().any(|run| stale.contains(run)).into();
            shown
        })
        .collect())
}

/// An execution as API and pages give it.
pub(super) fn execution_json(catalog: &Catalog, execution: &Execution, jobs: Value) -> Value {
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
        "backfill": execution.command.filter(|_| execution.origin == Origin::Backfill),
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

pub(super) async fn list_api(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let (items, next) = page_of(&app, &asked, &viewer).await?;
    Ok(Json(json!({ "items": items, "next": next })))
}

pub(super) async fn list_page(page: Page, Query(asked): Query<Asked>) -> Result {
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
    let interfaces = choices::interfaces(&catalog, (viewer, Right::View), &chosen, |interface| {
        interface.name.clone()
    });
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
            states => Serde(["waiting", "ready", "running", "succeeded", "failed", "stopped", STALE]),
            origins => Serde(["cron", "hand", "api", "file", "backfill"]),
            may_execute => viewer.may_somewhere(Right::Execute),
            newest => newest,
            batch => batch,
            saved => Serde(filters::of(&page).await?),
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
        other && (own.is_some() || crate::web::list::matches(sought, &[&interface.name]))
    });
    own.into_iter()
        .chain(named)
        .take(choices::OPTIONS_MAX)
        .map(|interface| {
            json!({ "id": interface.id, "name": interface.name,
                "period": default_period(app, catalog, interface).map(|period| period.to_string()),
                "granularity": interface.spec.granularity, "zone": interface.spec.zone })
        })
        .collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sought {
    q: String,
}

pub(super) async fn runnable_api(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Sought>,
) -> Result<Json<Value>> {
    let catalog = app.catalog().await?;
    Ok(Json(json!({ "items": runnable(&app, &viewer, &catalog, asked.q.trim()), "next": null })))
}

/// The period before the one that contains now.
fn default_period(app: &App, catalog: &Catalog, interface: &Interface) -> Option<period::Period> {
    let cut = catalog.cut(&interface.spec).ok()?;
    cut.offset(cut.containing(app.clock.wall_ms()), -1)
}
