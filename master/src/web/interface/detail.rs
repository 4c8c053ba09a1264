//! One interface: facts, jobs, graph, history.

use super::super::Page;
use super::super::auth::Right;
use super::super::error::{Error, Result};
use super::super::version;
use super::super::version::history::Turned;
use super::super::{save, uses};
use super::{next_firings, rule_in_words, word};
use crate::engine::catalog::{Catalog, Interface};
use crate::store;
use crate::store::version::Of;
use axum::extract::{Path, Query};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::spec::PeriodMap;
use std::collections::BTreeMap;

/// Runs in the strip of the detail page.
const RUNS: u32 = 60;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tab {
    tab: String,
}

/// Another thing, named by a link.
#[derive(Clone, Debug, Serialize)]
struct Link {
    href: String,
    name: String,
    more: String,
}

#[derive(Clone, Debug, Serialize)]
struct JobRow {
    id: i64,
    name: String,
    description: String,
    kind: String,
    after: Vec<String>,
    needs: usize,
    attempts_max: u32,
    frozen: bool,
}

#[derive(Clone, Debug, Serialize)]
struct DispatchRow {
    id: i64,
    name: String,
    cron: String,
    rule: String,
    zone: String,
    paused: bool,
    next_ms: Option<Millis>,
}

/// In English: templates translate it.
pub(in super::super) fn map_words(map: PeriodMap) -> String {
    match map {
        PeriodMap::Same => "the same period".into(),
        PeriodMap::AllWithin => "all within ours".into(),
        PeriodMap::LastWithin => "the last within ours".into(),
        PeriodMap::Previous(n) => format!("the {n} before ours"),
        PeriodMap::Offset(n) if n < 0 => format!("the one {} earlier", n.unsigned_abs()),
        PeriodMap::Offset(n) => format!("the one {n} later"),
    }
}

fn parents(catalog: &Catalog, interface: &Interface) -> Vec<Link> {
    let link = |parent: &shared::spec::Parent| {
        let name = catalog.interfaces.get(&parent.interface).map(|other| other.name.clone());
        Link {
            href: format!("/interface/{}/", parent.interface),
            name: name.unwrap_or_else(|| format!("#{}", parent.interface)),
            more: map_words(parent.map),
        }
    };
    interface.spec.parents.iter().map(link).collect()
}

fn children(catalog: &Catalog, id: InterfaceId) -> Vec<Link> {
    let mut links = Vec::new();
    for other in catalog.interfaces.values() {
        if other.spec.parents.iter().any(|parent| parent.interface == id) {
            let href = format!("/interface/{}/", other.id);
            links.push(Link { href, name: other.name.clone(), more: String::new() });
        }
        let needing = other
            .jobs
            .iter()
            .filter(|job| other.id != id && job.spec.needs.iter().any(|need| need.interface == id));
        for job in needing {
            let href = format!("/job/{}/", job.id);
            links.push(Link { href, name: job.name.clone(), more: other.name.clone() });
        }
    }
    links
}

fn job_rows(interface: &Interface) -> Vec<JobRow> {
    let names: BTreeMap<JobId, &str> =
        interface.jobs.iter().map(|job| (job.id, job.name.as_str())).collect();
    let name = |id: JobId| names.get(&id).map_or_else(|| format!("#{id}"), |n| (*n).to_owned());
    interface
        .jobs
        .iter()
        .map(|job| JobRow {
            id: job.id.0,
            name: job.name.clone(),
            description: job.spec.description.clone(),
            kind: job.spec.kind.clone(),
            after: job.spec.after.iter().map(|edge| name(edge.job)).collect(),
            needs: job.spec.needs.len(),
            attempts_max: job.spec.policy.attempts_max,
            frozen: job.spec.frozen,
        })
        .collect()
}

pub(super) async fn show(
    page: Page,
    Path(id): Path<i64>,
    Query(tab): Query<Tab>,
    Query(turned): Query<Turned>,
) -> Result {
    let app = &page.app;
    let viewer = page.viewer()?;
    let catalog = app.catalog().await?;
    let interface = save::interface_of(&catalog, InterfaceId(id), viewer)?;
    let tab = match tab.tab.as_str() {
        tab @ ("jobs" | "graph" | "versions") => tab,
        _ => "facts",
    };
    let names = store::user::names(&app.db).await?;
    let runs = store::interface::latest_runs(&app.db, interface.id, RUNS).await?;
    let paused = store::dispatch::paused(&app.db).await?;
    let now = app.clock.wall_ms();
    let next = next_firings(app, &catalog, &paused).get(&interface.id).and_then(|next| next.1);
    let own =
        catalog.dispatches.values().filter(|dispatch| dispatch.spec.interface == interface.id);
    let dispatches: Vec<DispatchRow> = own
        .map(|dispatch| DispatchRow {
            id: dispatch.id.0,
            name: dispatch.name.clone(),
            cron: dispatch.spec.cron.clone(),
            rule: rule_in_words(&dispatch.spec.cron, page.lang),
            zone: dispatch.spec.zone.clone(),
            paused: paused.contains(&dispatch.id),
            next_ms: app.upcoming.next(&catalog, &dispatch.spec, now),
        })
        .collect();
    let versions = match tab {
        "versions" => Some(version::tab(&page, Of::Interface(interface.id), &turned).await?),
        _ => None,
    };
    let meta = store::interface::metas_of(&app.db, &[id]).await?.remove(&id);
    let meta = meta.ok_or_else(|| Error::not_found(format!("interface {id}")))?;
    let updated_by = names.get(&meta.updated_by).cloned().unwrap_or_default();
    page.render(
        "interface/detail.html",
        context! {
            tab,
            interface => Serde(&interface.spec),
            calendar_name => interface.spec.calendar.map(|id| {
                let found = catalog.calendars.get(&id);
                found.map_or_else(|| format!("#{id}"), |found| found.name.clone())
            }),
            granularity => word(&interface.spec.granularity),
            id, name => interface.name.as_str(), version => interface.version,
            jobs => Serde(job_rows(&interface)),
            parents => Serde(parents(&catalog, &interface)),
            children => Serde(children(&catalog, interface.id)),
            dispatches => Serde(dispatches),
            runs => Serde(runs),
            next_ms => next,
            updated_ms => meta.updated_ms, updated_by,
            versions => versions,
            uses => Serde(uses::uses_of_interface(&catalog, interface.id)),
            may_write => viewer.may(Right::Write, interface.project),
            may_execute => viewer.may(Right::Execute, interface.project),
            may_schedule => viewer.may(Right::Schedule, interface.project),
        },
    )
}
