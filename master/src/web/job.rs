//! Jobs: list, detail, form made from the kind's own fields, preview of the exact command.

mod edit;
mod fields;
mod history;
mod preview;

pub(super) use preview::context;

use super::auth::Right;
use super::error::{Error, Result};
use super::form::Form;
use super::interface::{after_bulk, told, word};
use super::list::{self, Asked, Key, Sorter};
use super::save::{self, Draft, Saver};
use super::version;
use super::version::history::Turned;
use super::{Page, Routes, browse, choices, filters};
use crate::engine::catalog::{Catalog, Interface, Job};
use crate::store;
use crate::store::version::Of;
use axum::extract::{Path, Query};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::kind;
use shared::spec::JobSpec;
use std::collections::{BTreeMap, BTreeSet};

/// Runs shown of one job.
const RUNS: u32 = 50;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/job/", Right::View, show)
        .get("/job/add/", Right::Write, edit::add)
        .post("/job/add/", Right::Write, edit::create)
        .post("/job/bulk/", Right::Write, bulk)
        .post("/job/preview/", Right::Write, preview::part)
        .get("/job/{id}/", Right::View, detail)
        .get("/job/{id}/edit/", Right::Write, edit::show)
        .post("/job/{id}/edit/", Right::Write, edit::save)
        .post("/job/{id}/delete/", Right::Write, edit::delete)
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filter {
    q: String,
    interface: String,
    catalog: String,
    kind: String,
    /// `active` or `frozen`.
    status: String,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    id: i64,
    name: String,
    description: String,
    interface: i64,
    interface_name: String,
    catalog: String,
    owner: String,
    kind: String,
    command: String,
    after: usize,
    needs: usize,
    frozen: bool,
    last: Option<store::job::Last>,
}

const SORTERS: &[Sorter<Row>] = &[
    ("name", |row| Key::Text(row.name.to_lowercase())),
    ("id", |row| Key::Int(row.id)),
    ("interface", |row| Key::Text(row.interface_name.to_lowercase())),
    ("catalog", |row| Key::Text(row.catalog.clone())),
    ("kind", |row| Key::Text(row.kind.clone())),
];

/// What a person recognizes a job by: its program and arguments, or the first line of its text.
fn command(job: &Job) -> String {
    let fields = &job.spec.fields;
    let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    if !text("script").is_empty() {
        return text("script")
            .lines()
            .find(|l| !l.trim().is_empty())
            .unwrap_or_default()
            .to_owned();
    }
    if !text("file").is_empty() || !text("object").is_empty() {
        return format!("{}{}", text("file"), text("object"));
    }
    let args = fields.get("args").and_then(|value| value.as_array());
    let args = args.into_iter().flatten().filter_map(|arg| arg.as_str());
    std::iter::once(text("program")).chain(args).collect::<Vec<_>>().join(" ")
}

fn rows(page: &Page, catalog: &Catalog, filter: &Filter) -> Result<Vec<Row>, Error> {
    let viewer = page.viewer()?;
    let mut rows = Vec::new();
    for interface in catalog.interfaces.values().filter(|i| viewer.lists(i.project)) {
        if !filter.interface.is_empty() && filter.interface != interface.id.to_string() {
            continue;
        }
        for job in &interface.jobs {
            let spec = &job.spec;
            let command = command(job);
            let id = job.id.to_string();
            let texts = [&job.name, &id, &spec.description, &spec.owner, &interface.name, &command];
            let shown = list::matches(&filter.q, &texts.map(String::as_str))
                && (filter.catalog.is_empty() || filter.catalog == spec.catalog)
                && (filter.kind.is_empty() || filter.kind == spec.kind)
                && (filter.status.is_empty() || (filter.status == "frozen") == spec.frozen);
            if shown {
                rows.push(Row {
                    id: job.id.0,
                    name: job.name.clone(),
                    description: spec.description.clone(),
                    interface: interface.id.0,
                    interface_name: interface.name.clone(),
                    catalog: spec.catalog.clone(),
                    owner: spec.owner.clone(),
                    kind: spec.kind.clone(),
                    command,
                    after: spec.after.len(),
                    needs: spec.needs.len(),
                    frozen: spec.frozen,
                    last: None,
                });
            }
        }
    }
    Ok(rows)
}

async fn show(page: Page, Query(asked): Query<Asked>, Query(filter): Query<Filter>) -> Result {
    let app = &page.app;
    let catalog = app.catalog().await?;
    let all = rows(&page, &catalog, &filter)?;
    if asked.format == "csv" {
        let head = ["Id", "Name", "Interface", "Catalog", "Owner", "Kind", "Command", "Status"];
        let line = |row: Row| {
            let status = page.t(if row.frozen { "frozen" } else { "active" }).to_owned();
            let id = row.id.to_string();
            let Row { name, interface_name, catalog, owner, kind, command, .. } = row;
            vec![id, name, interface_name, catalog, owner, kind, command, status]
        };
        return Ok(list::csv("jobs", &head.map(|key| page.t(key)), all.into_iter().map(line)));
    }
    let filters = [
        ("q", filter.q.as_str()),
        ("interface", filter.interface.as_str()),
        ("catalog", filter.catalog.as_str()),
        ("kind", filter.kind.as_str()),
        ("status", filter.status.as_str()),
    ];
    let mut listed = list::page(all, |row| row.id, SORTERS, &asked, &filters);
    let last = listed.rows.iter().map(|row| store::job::latest(&app.db, JobId(row.id), 1));
    let last = futures::future::try_join_all(last).await?;
    for (row, last) in listed.rows.iter_mut().zip(last) {
        row.last = last.into_iter().next();
    }
    let viewer = page.viewer()?;
    let seen = || catalog.interfaces.values().filter(|interface| viewer.lists(interface.project));
    let chosen = [filter.interface.clone()];
    let interfaces = choices::interfaces(&catalog, (viewer, Right::View), &chosen, |interface| {
        interface.name.clone()
    });
    let catalogs: BTreeSet<&str> = seen()
        .flat_map(|interface| &interface.jobs)
        .map(|job| job.spec.catalog.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    page.render(
        "job/list.html",
        context! {
            list => Serde(&listed), filter => Serde(&filter),
            interfaces => Serde(interfaces.options), search => interfaces.search,
            catalogs => Serde(catalogs), kinds => kinds(),
            saved => Serde(filters::of(&page).await?),
        },
    )
}

/// Name and title of every kind.
fn kinds() -> minijinja::Value {
    minijinja::Value::from(Serde(
        kind::ALL.iter().map(|kind| (kind.name(), kind.title())).collect::<Vec<_>>(),
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tab {
    tab: String,
}

/// The job was saved, and its host could not be asked what its file declares.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Saved {
    unchecked: String,
    /// A copy of a repository does not know these names, with commas; since when it is there.
    names: String,
    read_ms: Millis,
}

impl Saved {
    /// Those that the job does give: an address may say anything.
    fn given(&self, spec: &JobSpec) -> Vec<String> {
        let params = spec.fields.get("params");
        let given = |name: &&str| params.is_some_and(|it| it.get(*name).is_some());
        self.names.split(',').filter(given).map(str::to_owned).collect()
    }
}

/// Another job, by a link.
#[derive(Clone, Debug, Serialize)]
struct Link {
    id: i64,
    name: String,
    more: String,
}

fn before(catalog: &Catalog, interface: &Interface, job: &Job) -> Vec<Link> {
    let name = |id: JobId| {
        let mut jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
        jobs.find(|job| job.id == id).map_or_else(|| format!("#{id}"), |job| job.name.clone())
    };
    let own: BTreeMap<JobId, &str> =
        interface.jobs.iter().map(|job| (job.id, job.name.as_str())).collect();
    let edges = job.spec.after.iter().map(|edge| Link {
        id: edge.job.0,
        name: own.get(&edge.job).map_or_else(|| format!("#{}", edge.job), |n| (*n).to_owned()),
        more: word(&edge.expect),
    });
    let needs = job.spec.needs.iter().map(|need| Link {
        id: need.job.0,
        name: name(need.job),
        more: catalog.interfaces.get(&need.interface).map(|i| i.name.clone()).unwrap_or_default(),
    });
    edges.chain(needs).collect()
}

fn after(catalog: &Catalog, id: JobId) -> Vec<Link> {
    let mut links = Vec::new();
    for interface in catalog.interfaces.values() {
        for job in &interface.jobs {
            let edge = job.spec.after.iter().find(|edge| edge.job == id);
            let is_needed = job.spec.needs.iter().any(|need| need.job == id);
            if edge.is_some() || is_needed {
                let more = edge.map_or_else(|| interface.name.clone(), |edge| word(&edge.expect));
                links.push(Link { id: job.id.0, name: job.name.clone(), more });
            }
        }
    }
    links
}

async fn detail(
    page: Page,
    Path(id): Path<i64>,
    Query(tab): Query<Tab>,
    Query(turned): Query<Turned>,
    Query(saved): Query<Saved>,
) -> Result {
    let app = &page.app;
    let viewer = page.viewer()?;
    let catalog = app.catalog().await?;
    let (interface, job) = save::job_of(&catalog, JobId(id), viewer)?;
    let tab = match tab.tab.as_str() {
        tab @ ("runs" | "versions" | "picture") => tab,
        _ => "facts",
    };
    let names = store::user::names(&app.db).await?;
    let versions = match tab {
        "versions" => Some(version::tab(&page, Of::Job(job.id), &turned).await?),
        _ => None,
    };
    let drawn = match tab {
        "picture" => Some(browse::job::tab(&page, &catalog, &interface, &job).await?),
        _ => None,
    };
    let history = match tab {
        "runs" => history::of(&page, interface.id, &job).await?,
        _ => None,
    };
    let newest = store::job::meta(&app.db, job.id).await?;
    let by = newest.as_ref().and_then(|newest| names.get(&newest.updated_by)).cloned();
    let command = preview::command(&page, &catalog, &interface, &job).await;
    let hosts: Vec<Link> = job
        .spec
        .place
        .hosts
        .iter()
        .map(|id| Link {
            id: id.0,
            name: catalog.hosts.get(id).map_or_else(|| format!("#{id}"), |host| host.name.clone()),
            more: String::new(),
        })
        .collect();
    page.render(
        "job/detail.html",
        context! {
            tab, id, drawn, unchecked => saved.unchecked.as_str(), is_drawn => browse::job::is_drawn(&job.spec.kind),
            unknown => saved.given(&job.spec), read_ms => saved.read_ms,
            name => job.name.as_str(), spec => Serde(&job.spec),
            version => newest.as_ref().map(|newest| newest.version),
            kind_title => kind::find(&job.spec.kind).map(|kind| kind.title()),
            interface => interface.id.0, interface_name => interface.name.as_str(),
            before => Serde(before(&catalog, &interface, &job)),
            after => Serde(after(&catalog, job.id)),
            hosts => Serde(hosts),
            command => Serde(command),
            runs => Serde(store::job::latest(&app.db, job.id, RUNS).await?),
            updated_ms => newest.as_ref().map(|newest| newest.updated_ms),
            updated_by => by.unwrap_or_default(),
            versions => versions,
            history => Serde(history),
            granularity => format!("{:?}", interface.spec.granularity).to_lowercase(),
            may_write => viewer.may(Right::Write, interface.project),
            may_execute => viewer.may(Right::Execute, interface.project),
        },
    )
}

async fn bulk(page: Page, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let action = form.text("action").to_owned();
    let mut failed = Vec::new();
    for id in form.all("id").iter().filter_map(|id| id.parse().ok()).map(JobId) {
        let catalog = page.app.catalog().await?;
        let (interface, job) = save::job_of(&catalog, id, page.viewer()?)?;
        let Some(meta) = store::job::meta(&page.app.db, id).await? else { continue };
        let done = match action.as_str() {
            "delete" => saver.delete_job(id, meta.version).await,
            "freeze" | "thaw" => {
                let mut spec = job.spec.clone();
                spec.frozen = action == "freeze";
                let draft = Draft { name: job.name.clone(), spec, from: Some(meta.version) };
                saver.job(Some(id), interface.id, &draft).await.map(|_| ())
            }
            _ => return Err(Error::bad_request("this action is not known")),
        };
        if let Err(refused) = done {
            failed.push(format!("{}: {}", job.name, told(refused)));
        }
    }
    after_bulk("/job/", failed)
}
