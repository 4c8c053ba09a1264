//! Exec hosts: what they are, how they are, what they run.

mod edit;
mod join;
mod trend;

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::form::Form;
use super::save::{Draft, Refused, Saver};
use super::version::history::Turned;
use super::{Page, Routes, version};
use super::{filters, list};
use crate::app::App;
use crate::engine::catalog::{Catalog, Host};
use crate::store;
use crate::store::host::{Running, Status};
use crate::store::version::Of;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::spec::HostSpec;
use std::collections::BTreeMap;
use std::sync::Arc;
use trend::Trend;

/// Running jobs that a page reads.
const RUNNING_MAX: u32 = 20_000;
/// How long the test button waits for a host.
const PROBE_S: u64 = 8;

pub(super) fn routes() -> Routes {
    join::add(Routes::default())
        .get("/base/exec/host/", Right::View, show)
        .get("/base/exec/host/add/", Right::Write, edit::add)
        .post("/base/exec/host/add/", Right::Write, edit::create)
        .post("/base/exec/host/probe/", Right::Write, probe)
        .get("/base/exec/host/{id}/", Right::View, detail)
        .get("/base/exec/host/{id}/edit/", Right::Write, edit::show)
        .post("/base/exec/host/{id}/edit/", Right::Write, edit::save)
        .post("/base/exec/host/{id}/drain/", Right::Write, drain)
        .post("/base/exec/host/{id}/delete/", Right::Write, edit::delete)
}

/// A host with what is known of it now.
#[derive(Clone, Debug, Serialize)]
pub(super) struct View {
    pub id: i64,
    pub name: String,
    pub agent: String,
    pub version: i64,
    pub project: i64,
    pub spec: HostSpec,
    /// See [`state_of`].
    pub state: String,
    pub status: Option<Status>,
    /// Of late; empty where it was not asked for.
    pub trend: Trend,
    /// Since the last answer.
    pub heard_ago_ms: Option<Millis>,
    pub running: Vec<Running>,
    /// Running jobs as this host itself counts them, or as the rows do.
    pub used: usize,
}

/// `up`, `draining`, `silent`, `refused`, `never`. Who has not answered for so long is silent,
/// whatever was last said of it.
fn state_of(
    spec: &HostSpec,
    status: Option<&Status>,
    silent_ms: Option<Millis>,
    lost_ms: Millis,
) -> &'static str {
    let Some((status, silent_ms)) = status.zip(silent_ms) else { return "never" };
    match status.state.as_str() {
        "refused" => "refused",
        "live" if silent_ms < lost_ms && spec.draining => "draining",
        "live" if silent_ms < lost_ms => "up",
        _ => "silent",
    }
}

/// All hosts that the viewer may see; [`listed`] are those of the chosen project.
///
/// # Errors
/// The database's.
pub(super) async fn views(
    app: &App,
    viewer: &Viewer,
    catalog: &Catalog,
) -> Result<Vec<View>, Error> {
    let mut statuses = store::host::statuses(&app.db).await?;
    let mut running: BTreeMap<HostId, Vec<Running>> = BTreeMap::new();
    for job in store::host::running(&app.db, RUNNING_MAX).await? {
        running.entry(job.host).or_default().push(job);
    }
    let now = app.clock.wall_ms();
    let lost = app.config.timing.lost_ms;
    let seen = catalog.hosts.values().filter(|host| viewer.sees(host.project));
    Ok(seen
        .map(|host| {
            let status = statuses.remove(&host.id.0);
            // 0: this leader has not heard it yet.
            let heard = status.as_ref().filter(|status| status.heard_ms > 0);
            let silent = heard.map(|status| (now - status.heard_ms).max(0));
            let running = running.remove(&host.id).unwrap_or_default();
            View {
                id: host.id.0,
                name: host.name.clone(),
                agent: host.agent.clone(),
                version: host.version,
                project: host.project.0,
                spec: host.spec.clone(),
                state: state_of(&host.spec, status.as_ref(), silent, lost).to_owned(),
                heard_ago_ms: silent,
                used: running.len(),
                trend: Trend::default(),
                status,
                running,
            }
        })
        .collect())
}

/// Adds how busy they were of late.
async fn add_trends(app: &App, hosts: &mut [View]) -> Result<(), Error> {
    let now = app.clock.wall_ms();
    let ids: Vec<i64> = hosts.iter().map(|host| host.id).collect();
    let samples = store::host::samples(&app.db, &ids, now - trend::SPAN_MS).await?;
    for host in hosts {
        let own = samples.get(&host.id).map_or(&[][..], Vec::as_slice);
        if let Some(status) = &host.status {
            host.trend = trend::trend(own, status, now);
        }
    }
    Ok(())
}

/// # Errors
/// The database's.
pub(super) async fn listed(
    app: &App,
    viewer: &Viewer,
    catalog: &Catalog,
) -> Result<Vec<View>, Error> {
    let mut all = views(app, viewer, catalog).await?;
    all.retain(|view| viewer.lists(ProjectId(view.project)));
    Ok(all)
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filter {
    q: String,
    status: String,
    format: String,
}

async fn show(page: Page, Query(filter): Query<Filter>) -> Result {
    let catalog = page.app.catalog().await?;
    let mut hosts = listed(&page.app, page.viewer()?, &catalog).await?;
    hosts.retain(|host| {
        let labels = host.spec.labels.join(" ");
        let texts = [&host.name, &host.spec.address, &host.spec.description, &labels];
        list::matches(&filter.q, &texts.map(String::as_str))
            && (filter.status.is_empty() || filter.status == host.state)
    });
    hosts.sort_by_key(|host| host.name.to_lowercase());
    if filter.format == "csv" {
        let head = ["Id", "Name", "Address", "Status", "Slots", "Running jobs"];
        let line = |host: View| {
            let (slots, used) = (host.spec.slots.to_string(), host.used.to_string());
            vec![host.id.to_string(), host.name, host.spec.address, host.state, slots, used]
        };
        return Ok(list::csv("hosts", &head.map(|key| page.t(key)), hosts.into_iter().map(line)));
    }
    add_trends(&page.app, &mut hosts).await?;
    let may_write = page.viewer()?.may_somewhere(Right::Write);
    page.render(
        "host/list.html",
        context! {
            hosts => Serde(hosts), filter => Serde(filter), may_write,
            minutes => trend::SPAN_MS / 60_000,
            saved => Serde(filters::of(&page).await?),
        },
    )
}

/// A host that the viewer may see.
///
/// # Errors
/// There is none.
fn host_of(page: &Page, catalog: &Catalog, id: i64) -> Result<Arc<Host>, Error> {
    let viewer = page.viewer()?;
    let found = catalog.hosts.get(&HostId(id)).filter(|host| viewer.sees(host.project));
    found.cloned().ok_or_else(|| Error::not_found(format!("exec host {id}")))
}

#[derive(Clone, Debug, Serialize)]
struct JobRow {
    #[serde(flatten)]
    running: Running,
    job_name: String,
    interface_name: String,
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
    let catalog = page.app.catalog().await?;
    let host = host_of(&page, &catalog, id)?;
    let mut all = views(&page.app, page.viewer()?, &catalog).await?;
    let at = all.iter().position(|view| view.id == id);
    let view = at.map(|at| all.swap_remove(at));
    let mut view = view.ok_or_else(|| Error::not_found(format!("exec host {id}")))?;
    add_trends(&page.app, std::slice::from_mut(&mut view)).await?;
    let viewer = page.viewer()?;
    // A host that projects share runs jobs of others too: they are counted, and not named.
    let seen = |running: &&Running| {
        let of = catalog.interfaces.get(&running.interface);
        let project = of.map_or(ProjectId(0), |of| of.project);
        viewer.may(Right::View, project)
    };
    let jobs: Vec<JobRow> = view
        .running
        .iter()
        .filter(seen)
        .map(|running| {
            let interface = catalog.interfaces.get(&running.interface);
            let mut jobs = interface.into_iter().flat_map(|interface| &interface.jobs);
            let job = jobs.find(|job| job.id == running.job).map(|job| job.name.clone());
            JobRow {
                job_name: job.unwrap_or_else(|| format!("#{}", running.job)),
                interface_name: interface
                    .map_or_else(|| format!("#{}", running.interface), |found| found.name.clone()),
                running: running.clone(),
            }
        })
        .collect();
    let tab = if tab.tab == "versions" { "versions" } else { "facts" };
    let versions = match tab {
        "versions" => Some(version::tab(&page, Of::Host(host.id), &turned).await?),
        _ => None,
    };
    let names = store::user::names(&page.app.db).await?;
    let meta = store::host::metas(&page.app.db).await?.remove(&id);
    let by = meta.as_ref().and_then(|meta| names.get(&meta.updated_by)).cloned();
    page.render(
        "host/detail.html",
        context! {
            host => Serde(&view), jobs => Serde(jobs), tab, versions => versions,
            updated_ms => meta.map(|meta| meta.updated_ms), updated_by => by.unwrap_or_default(),
            may_write => viewer.may(Right::Write, host.project),
            minutes => trend::SPAN_MS / 60_000,
        },
    )
}

/// Nothing new is placed on it, or it takes work again.
async fn drain(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    let catalog = page.app.catalog().await?;
    let host = host_of(&page, &catalog, id)?;
    let mut spec = host.spec.clone();
    spec.draining = form.flag("draining");
    let draft = Draft { name: host.name.clone(), spec, from: Some(host.version) };
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    match saver.host(Some(host.id), host.project, &draft).await {
        Ok(_) => Ok(Redirect::to(&format!("/base/exec/host/{id}/")).into_response()),
        Err(refused) => Err(Refused::into(refused)),
    }
}

/// The test button: asks the executor at an address how it is, by itself.
async fn probe(page: Page, form: Form) -> Result {
    let address = form.text("address").to_owned();
    let asked = page.app.caller.probe(&address);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(PROBE_S), asked).await;
    let (agent, facts, error) = match answer {
        Ok(Ok((agent, facts))) => (agent, Some(facts), None),
        Ok(Err(error)) => (String::new(), None, Some(format!("{error:#}"))),
        Err(_) => {
            let error = format!("{address} did not answer within {PROBE_S} s");
            (String::new(), None, Some(error))
        }
    };
    page.render("host/probe.html", context! { address, agent, facts => Serde(facts), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_silent_whatever_was_said_of_it() {
        let spec: HostSpec =
            serde_json::from_str(r#"{"address": "a:1", "draining": true}"#).unwrap();
        let status = Status {
            state: "live".into(),
            heard_ms: 0,
            incarnation: String::new(),
            why: String::new(),
            facts: None,
        };
        assert_eq!(state_of(&spec, None, None, 25), "never");
        assert_eq!(state_of(&spec, Some(&status), Some(24), 25), "draining");
        assert_eq!(state_of(&spec, Some(&status), Some(25), 25), "silent");
    }
}
