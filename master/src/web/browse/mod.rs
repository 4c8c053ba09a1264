//! Files of Kettle and Hop on exec hosts: folders and repositories, what a file is made of, its picture.
//!
//! A host shows what its own `browse.folders` names; here it is asked ([`ask`]) and drawn ([`picture`]).
//! Who sees a host sees what it shows.

pub(super) mod ask;
pub(super) mod declared;
mod import;
pub(super) mod job;
pub(super) mod notice;
mod picture;
mod ran;
pub(super) mod stored;

use super::auth::Right;
use super::error::{Error, Result};
use super::{Page, Routes};
use crate::engine::catalog::{Catalog, Host};
use crate::store;
use ask::{Problem, ask};
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use minijinja::context;
use minijinja::value::Serde;
use picture::{Picture, picture};
use serde::{Deserialize, Serialize};
use shared::etl::browse::{Ask, At, File, Folder, Known, Shown, Start};
use shared::etl::stored::Stored;
use shared::ids::HostId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A person waits for a folder.
const PATIENCE: Duration = Duration::from_secs(8);
/// Jobs that are named beside a file.
const JOBS_MAX: usize = 50;

pub(super) fn routes() -> Routes {
    stored::add(import::add(Routes::default()))
        .get("/browse/", Right::View, show)
        .get("/browse/part/", Right::View, part)
        .get("/browse/file/", Right::View, file)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    host: i64,
    path: String,
    /// Where the last answer ended.
    after: String,
    /// A repository was to be read, and the host reads another one, or this one already.
    busy: bool,
}

/// Hosts that the viewer sees, by name: those of the chosen project, and shared ones.
fn hosts(page: &Page, catalog: &Catalog) -> Result<Vec<Arc<Host>>, Error> {
    let viewer = page.viewer()?;
    let mut hosts: Vec<Arc<Host>> =
        catalog.hosts.values().filter(|host| viewer.sees(host.project)).cloned().collect();
    hosts.sort_by_key(|host| host.name.to_lowercase());
    Ok(hosts)
}

/// What a page shows of a host: the beginning or a folder, or why neither.
#[derive(Debug, Default, Serialize)]
struct Seen {
    start: Option<Start>,
    folder: Option<Folder>,
    problem: Option<Problem>,
    /// Where copies of repositories begin: of each that the beginning names, and of the one that the folder is in.
    roots: Vec<Option<String>>,
    root: Option<String>,
}

impl Seen {
    fn of_start(start: Start) -> Seen {
        let root = |known: &Known| known.copied.as_ref().map(|copied| copied.root());
        let roots = start.kept.iter().map(root).collect();
        Seen { start: Some(start), roots, ..Seen::default() }
    }

    fn of_folder(folder: Folder) -> Seen {
        let root = folder.copied.as_ref().map(|copied| copied.root());
        Seen { folder: Some(folder), root, ..Seen::default() }
    }

    fn status(&self, path: &str) -> StatusCode {
        self.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status(path))
    }
}

async fn look(page: &Page, host: &Host, asked: &Asked) -> Seen {
    let question = match asked.path.is_empty() {
        true => Ask::Start,
        false => Ask::Folder { path: asked.path.clone(), after: asked.after.clone() },
    };
    match ask(&page.app, host, question, PATIENCE).await {
        Ok(Shown::Start(start)) => Seen::of_start(start),
        Ok(Shown::Folder(folder)) => Seen::of_folder(folder),
        Ok(_) => Seen::default(),
        Err(problem) => Seen { problem: Some(problem), ..Seen::default() },
    }
}

/// With the status of a page that shows it; `problem`: why a question before has come to nothing.
async fn context(
    page: &Page,
    asked: &Asked,
    problem: Option<Problem>,
) -> Result<(StatusCode, minijinja::Value), Error> {
    let catalog = page.app.catalog().await?;
    let all = hosts(page, &catalog)?;
    let host = match asked.host {
        // One that answers, if there is one.
        0 => {
            let statuses = store::host::statuses(&page.app.db).await?;
            let lives = |host: &&Arc<Host>| {
                statuses.get(&host.id.0).is_some_and(|status| status.state == "live")
            };
            all.iter().find(lives).or(all.first())
        }
        id => all.iter().find(|host| host.id.0 == id),
    };
    if asked.host != 0 && host.is_none() {
        return Err(Error::not_found(format!("exec host {}", asked.host)));
    }
    let mut seen = match host {
        Some(host) => look(page, host, asked).await,
        None => Seen::default(),
    };
    seen.problem = problem.or(seen.problem);
    // Where it is this very one, its page says so.
    let reads = |problem: &Problem| problem.copied.as_ref().is_some_and(|it| it.since_ms.is_some());
    if let Some(host) = host.filter(|_| asked.busy && !seen.problem.as_ref().is_some_and(reads)) {
        seen.problem = Some(Problem::new("reads", &host.name, Default::default()));
    }
    let options: Vec<(String, &str)> =
        all.iter().map(|host| (host.id.to_string(), host.name.as_str())).collect();
    let context = context! {
        hosts => Serde(options), host => host.map(|host| host.id.0),
        host_name => host.map(|host| host.name.as_str()), path => asked.path.as_str(),
        may_read => host.is_some_and(|host| stored::may_read(page, host)),
        ..minijinja::Value::from(Serde(&seen))
    };
    Ok((seen.status(&asked.path), context))
}

async fn show(page: Page, Query(asked): Query<Asked>) -> Result {
    // A file that somebody has typed or pasted.
    if shared::etl::drawn::Form::of_file(&asked.path).is_some() {
        return file(page, Query(asked)).await;
    }
    let (status, context) = context(&page, &asked, None).await?;
    Ok((status, page.render("browse/folder.html", context)?).into_response())
}

/// Beside the field of a job's form.
async fn part(page: Page, Query(asked): Query<Asked>) -> Result {
    let (status, context) = context(&page, &asked, None).await?;
    Ok((status, page.render("browse/part.html", context)?).into_response())
}

/// One file, for a template.
#[derive(Debug, Serialize)]
pub(super) struct View {
    file: File,
    picture: Picture,
}

impl View {
    fn of(host: HostId, file: File, marks: &BTreeMap<String, picture::Mark>) -> View {
        let picture = picture(&file.drawn, marks, |path| address(host, path));
        View { file, picture }
    }
}

/// Where a file is shown.
fn address(host: HostId, path: &str) -> String {
    format!("/browse/file/?host={host}&path={}", super::error::form_urlencoded(path))
}

/// A job that runs this file.
#[derive(Debug, Serialize)]
struct Runs {
    id: i64,
    name: String,
    interface: String,
}

fn jobs_of(page: &Page, catalog: &Catalog, path: &str) -> Result<Vec<Runs>, Error> {
    let viewer = page.viewer()?;
    let seen = catalog.interfaces.values().filter(|interface| viewer.sees(interface.project));
    let jobs = seen.flat_map(|interface| interface.jobs.iter().map(move |job| (interface, job)));
    let at = Stored::parse(path);
    let file = |job: &crate::engine::catalog::Job| match &at {
        Some(at) => stored::is_run_by(at, &job.spec),
        None => job.spec.fields.get("file").and_then(|file| file.as_str()) == Some(path),
    };
    let found = jobs.filter(|(_, job)| file(job)).take(JOBS_MAX).map(|(interface, job)| Runs {
        id: job.id.0,
        name: job.name.clone(),
        interface: interface.name.clone(),
    });
    Ok(found.collect())
}

async fn file(page: Page, Query(asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    let all = hosts(&page, &catalog)?;
    let host = all.iter().find(|host| host.id.0 == asked.host || asked.host == 0);
    let host = host.ok_or_else(|| Error::not_found(format!("exec host {}", asked.host)))?;
    let question = Ask::File(At::Path(asked.path.clone()));
    let (view, problem) = match ask(&page.app, host, question, PATIENCE).await {
        Ok(Shown::File(file)) => (Some(View::of(host.id, *file, &BTreeMap::new())), None),
        Ok(_) => (None, None),
        Err(problem) => (None, Some(problem)),
    };
    let path = view.as_ref().map_or(asked.path.as_str(), |view| view.file.path.as_str());
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let jobs = jobs_of(&page, &catalog, path)?;
    let status = problem.as_ref().map_or(StatusCode::OK, |problem: &Problem| problem.status(path));
    let html = page.render(
        "browse/file.html",
        context! {
            host => host.id.0, host_name => host.name.as_str(), path, folder, file_name => name,
            may_read => stored::may_read(&page, host),
            view => Serde(&view), problem => Serde(problem), jobs => Serde(jobs),
        },
    )?;
    Ok((status, html).into_response())
}
