//! Versions of definitions: their history, what differs between two of them, the way back, copies;
//! and definitions as documents.

pub mod diff;
pub mod documents;
pub mod history;
pub mod named;

mod copy;
mod rollback;
mod show;
mod whole;

use super::api::definitions::understood;
use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::save::{self, Refused};
use super::{Page, Routes};
use crate::app::App;
use crate::engine::catalog::{Calendar, Catalog, Dispatch, Host, Interface, Job};
use crate::store;
use crate::store::project::{Project, ProjectSpec};
use crate::store::version::{Of, Version};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::SecondsFormat;
use diff::Diff;
use history::{History, Turned};
use minijinja::context;
use minijinja::value::Serde;
use named::Names;
use serde_yaml_ng::Mapping;
use shared::ids::*;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/interface/{id}/version/{version}/", Right::View, show::version)
        .get("/job/{id}/version/{version}/", Right::View, show::version)
        .get("/dispatch/{id}/version/{version}/", Right::View, show::version)
        .get("/calendar/{id}/version/{version}/", Right::View, show::version)
        .get("/calendar/{id}/diff/", Right::View, show::compare)
        .get("/api/v1/calendars/{id}/versions", Right::View, history::api)
        .get("/api/v1/calendars/{id}/versions/{version}", Right::View, show::version_api)
        .get("/api/v1/calendars/{id}/diff", Right::View, show::compare_api)
        .get("/calendar/{id}/rollback/{version}/", Right::Write, rollback::page)
        .post("/calendar/{id}/rollback/{version}/", Right::Write, rollback::post)
        .post("/api/v1/calendars/{id}/rollback", Right::Write, rollback::api)
        .post("/api/v1/calendars/{id}/copy", Right::Write, copy::api)
        .get("/interface/{id}/diff/", Right::View, show::compare)
        .get("/job/{id}/diff/", Right::View, show::compare)
        .get("/dispatch/{id}/diff/", Right::View, show::compare)
        .get("/api/v1/interfaces/{id}/versions", Right::View, history::api)
        .get("/api/v1/jobs/{id}/versions", Right::View, history::api)
        .get("/api/v1/dispatches/{id}/versions", Right::View, history::api)
        .get("/api/v1/interfaces/{id}/versions/{version}", Right::View, show::version_api)
        .get("/api/v1/jobs/{id}/versions/{version}", Right::View, show::version_api)
        .get("/api/v1/dispatches/{id}/versions/{version}", Right::View, show::version_api)
        .get("/api/v1/interfaces/{id}/diff", Right::View, show::compare_api)
        .get("/api/v1/jobs/{id}/diff", Right::View, show::compare_api)
        .get("/api/v1/dispatches/{id}/diff", Right::View, show::compare_api)
        .get("/interface/{id}/rollback/{version}/", Right::Write, rollback::page)
        .post("/interface/{id}/rollback/{version}/", Right::Write, rollback::post)
        .get("/job/{id}/rollback/{version}/", Right::Write, rollback::page)
        .post("/job/{id}/rollback/{version}/", Right::Write, rollback::post)
        .get("/dispatch/{id}/rollback/{version}/", Right::Schedule, rollback::page)
        .post("/dispatch/{id}/rollback/{version}/", Right::Schedule, rollback::post)
        .post("/api/v1/interfaces/{id}/rollback", Right::Write, rollback::api)
        .post("/api/v1/jobs/{id}/rollback", Right::Write, rollback::api)
        .post("/api/v1/dispatches/{id}/rollback", Right::Schedule, rollback::api)
        .post("/api/v1/interfaces/{id}/copy", Right::Write, copy::api)
        .post("/api/v1/jobs/{id}/copy", Right::Write, copy::api)
        .post("/api/v1/dispatches/{id}/copy", Right::Schedule, copy::api)
        .get("/base/exec/host/{id}/version/{version}/", Right::View, show::version)
        .get("/base/exec/host/{id}/diff/", Right::View, show::compare)
        .get("/base/exec/host/{id}/rollback/{version}/", Right::Write, rollback::page)
        .post("/base/exec/host/{id}/rollback/{version}/", Right::Write, rollback::post)
        .get("/api/v1/hosts/{id}/versions", Right::View, history::api)
        .get("/api/v1/hosts/{id}/versions/{version}", Right::View, show::version_api)
        .get("/api/v1/hosts/{id}/diff", Right::View, show::compare_api)
        .post("/api/v1/hosts/{id}/rollback", Right::Write, rollback::api)
        .get("/base/project/{id}/version/{version}/", Right::View, show::version)
        .get("/base/project/{id}/diff/", Right::View, show::compare)
        .get("/base/project/{id}/rollback/{version}/", Right::Admin, rollback::page)
        .post("/base/project/{id}/rollback/{version}/", Right::Admin, rollback::post)
        .get("/api/v1/projects/{id}/versions", Right::View, history::api)
        .get("/api/v1/projects/{id}/versions/{version}", Right::View, show::version_api)
        .get("/api/v1/projects/{id}/diff", Right::View, show::compare_api)
        .post("/api/v1/projects/{id}/rollback", Right::Admin, rollback::api)
}

/// What the tab of versions of a definition's page shows.
///
/// # Errors
/// The database's; there is none that the viewer may see.
pub async fn tab(page: &Page, of: Of, turned: &Turned) -> Result<minijinja::Value, Error> {
    let (app, viewer) = (&page.app, page.viewer()?);
    let known = Known::find(app, viewer, About(of)).await?;
    let history = History::load(app, &known, turned).await?;
    Ok(context! {
        items => Serde(&history.items), next => history.next, turned => turned.before.is_some(),
        href => known.href(), current => known.version, is_interface => matches!(of, Of::Interface(_)),
        may_change => viewer.may(known.right(), known.project),
    })
}

/// As a program is told: also who has saved meanwhile.
pub(super) async fn told(app: &App, viewer: &Viewer, of: Of, refused: Refused) -> Error {
    if !matches!(refused, Refused::Stale) {
        return refused.into();
    }
    let newest = async {
        let known = Known::find(app, viewer, About(of)).await?;
        show::Made::find(app, &known, known.version).await
    };
    let Ok(newest) = newest.await else { return refused.into() };
    let at = newest.at_ms.and_then(chrono::DateTime::from_timestamp_millis);
    let at = at.map(|at| format!(" at {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)));
    Error::conflict(format!(
        "{} has saved version {} meanwhile{}: load it, make the change again and save it with that \
         version",
        newest.by,
        newest.version,
        at.unwrap_or_default()
    ))
}

/// What an address is about: `/job/5/…` and `/api/v1/jobs/5/…` about job 5.
#[derive(Clone, Copy, Debug)]
pub struct About(pub Of);

impl FromRequestParts<App> for About {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<About, Error> {
        let path = parts.uri.path();
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let path = path.trim_start_matches('/');
        let path =
            ["base/exec/", "base/"].iter().find_map(|base| path.strip_prefix(base)).unwrap_or(path);
        let mut words = path.split('/');
        let (what, id) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let id = id.parse().map_err(|_| Error::not_found(format!("{what} {id}")))?;
        match what {
            "interface" | "interfaces" => Ok(About(Of::Interface(InterfaceId(id)))),
            "job" | "jobs" => Ok(About(Of::Job(JobId(id)))),
            "dispatch" | "dispatches" => Ok(About(Of::Dispatch(DispatchId(id)))),
            "calendar" | "calendars" => Ok(About(Of::Calendar(CalendarId(id)))),
            "host" | "hosts" => Ok(About(Of::Host(HostId(id)))),
            "project" | "projects" => Ok(About(Of::Project(ProjectId(id)))),
            _ => Err(Error::not_found("such page")),
        }
    }
}

/// A definition as it is now.
#[derive(Clone, Debug)]
pub struct Known {
    pub catalog: Arc<Catalog>,
    pub of: Of,
    /// Whose right a change needs: of a project that of the machines, as they are nobody's.
    pub project: ProjectId,
    pub name: String,
    pub version: i64,
    pub content: Content,
}

/// A definition at one of its versions.
#[derive(Clone, Debug)]
pub enum Content {
    Interface(Arc<Interface>),
    /// With its interface as it was then.
    Job(Arc<Interface>, Arc<Job>),
    Dispatch(Arc<Dispatch>),
    Calendar(Arc<Calendar>),
    Host(Arc<Host>),
    Project(Arc<Project>),
}

impl Known {
    /// # Errors
    /// There is none that the viewer may see.
    pub async fn find(app: &App, viewer: &Viewer, About(of): About) -> Result<Known, Error> {
        let catalog = app.catalog().await?;
        let (project, name, version, content) = match of {
            Of::Interface(id) => {
                let it = save::interface_of(&catalog, id, viewer)?;
                (it.project, it.name.clone(), it.version, Content::Interface(it))
            }
            Of::Job(id) => {
                let (owner, job) = save::job_of(&catalog, id, viewer)?;
                let meta = store::job::meta(&app.db, id).await?;
                let version = meta.map_or(owner.version, |meta| meta.version);
                (owner.project, job.name.clone(), version, Content::Job(owner, Arc::new(job)))
            }
            Of::Dispatch(id) => {
                let found = catalog.dispatches.get(&id).filter(|it| viewer.sees(it.project));
                let it = found.ok_or_else(|| Error::not_found(format!("dispatch {id}")))?;
                (it.project, it.name.clone(), it.version, Content::Dispatch(Arc::clone(it)))
            }
            Of::Calendar(id) => {
                let it = save::calendar_of(&catalog, id, viewer)?;
                (it.project, it.name.clone(), it.version, Content::Calendar(it))
            }
            Of::Host(id) => {
                let found = catalog.hosts.get(&id).filter(|it| viewer.sees(it.project));
                let it = found.ok_or_else(|| Error::not_found(format!("exec host {id}")))?;
                (it.project, it.name.clone(), it.version, Content::Host(Arc::clone(it)))
            }
            Of::Project(id) => {
                let all = store::project::list(&app.db).await?;
                let found = all.into_iter().find(|it| it.id == id && viewer.sees(id));
                let it = found.ok_or_else(|| Error::not_found(format!("project {id}")))?;
                (ProjectId(0), it.name.clone(), it.version, Content::Project(Arc::new(it)))
            }
        };
        Ok(Known { catalog, of, project, name, version, content })
    }

    /// As it was at this version.
    ///
    /// # Errors
    /// There was none.
    pub async fn at(&self, app: &App, version: i64) -> Result<Content, Error> {
        if version == self.version {
            return Ok(self.content.clone());
        }
        let missing = || Error::not_found(format!("version {version} of {}", self.title()));
        match (self.of, &self.content) {
            (Of::Interface(id), _) => {
                let found = interface_at(app, &self.catalog, id, version).await?;
                Ok(Content::Interface(found.ok_or_else(missing)?))
            }
            (Of::Job(id), Content::Job(owner, _)) => {
                let found = interface_at(app, &self.catalog, owner.id, version).await?;
                let owner = found.ok_or_else(missing)?;
                let job = owner.jobs.iter().find(|job| job.id == id).cloned();
                Ok(Content::Job(owner, Arc::new(job.ok_or_else(missing)?)))
            }
            (_, now) => {
                let found = store::version::at(&app.db, self.of, version).await?;
                now.then(found.ok_or_else(missing)?)?.ok_or_else(missing)
            }
        }
    }

    /// `interface 4`, `job 7`.
    pub fn title(&self) -> String {
        match self.of {
            Of::Interface(id) => format!("interface {id}"),
            Of::Job(id) => format!("job {id}"),
            Of::Dispatch(id) => format!("dispatch {id}"),
            Of::Calendar(id) => format!("calendar {id}"),
            Of::Host(id) => format!("exec host {id}"),
            Of::Project(id) => format!("project {id}"),
        }
    }

    /// Where its pages begin.
    pub fn href(&self) -> String {
        match self.of {
            Of::Interface(id) => format!("/interface/{id}/"),
            Of::Job(id) => format!("/job/{id}/"),
            Of::Dispatch(id) => format!("/dispatch/{id}/"),
            Of::Calendar(id) => format!("/calendar/{id}/"),
            Of::Host(id) => format!("/base/exec/host/{id}/"),
            Of::Project(id) => format!("/base/project/{id}/"),
        }
    }

    /// What a change of it needs.
    pub fn right(&self) -> Right {
        match self.of {
            Of::Interface(_) | Of::Job(_) | Of::Calendar(_) | Of::Host(_) => Right::Write,
            Of::Dispatch(_) => Right::Schedule,
            Of::Project(_) => Right::Admin,
        }
    }

    /// What is another in the second.
    pub fn diff(&self, old: &Content, new: &Content) -> Diff {
        let (was, names) = (old.names(&self.catalog), new.names(&self.catalog));
        match (old, new) {
            (Content::Interface(old), Content::Interface(new)) => {
                diff::of_interface((&was, old), (&names, new))
            }
            _ => {
                let (old_spec, new_spec) = (old.written(&was), new.written(&names));
                diff::of_spec((old.name(), &old_spec), (new.name(), &new_spec))
            }
        }
    }
}

impl Content {
    pub fn name(&self) -> &str {
        match self {
            Content::Interface(it) => &it.name,
            Content::Job(_, job) => &job.name,
            Content::Dispatch(it) => &it.name,
            Content::Calendar(it) => &it.name,
            Content::Host(it) => &it.name,
            Content::Project(it) => &it.name,
        }
    }

    /// As it was at this version, which stands for itself; none: that takes more than its row.
    fn then(&self, was: Version) -> Result<Option<Content>, Error> {
        let Version { version, at_ms, ref spec, .. } = was;
        let name = if was.name.is_empty() { self.name().to_owned() } else { was.name.clone() };
        Ok(Some(match self {
            Content::Interface(_) | Content::Job(..) => return Ok(None),
            Content::Dispatch(now) => Content::Dispatch(Arc::new(Dispatch {
                name,
                version,
                since: at_ms,
                spec: read(spec)?,
                ..now.as_ref().clone()
            })),
            Content::Calendar(now) => Content::Calendar(Arc::new(Calendar {
                name,
                version,
                spec: Arc::new(read(spec)?),
                ..now.as_ref().clone()
            })),
            Content::Host(now) => Content::Host(Arc::new(Host {
                name,
                version,
                spec: read(spec)?,
                ..now.as_ref().clone()
            })),
            Content::Project(now) => {
                let ProjectSpec { run_as } = read(spec)?;
                Content::Project(Arc::new(Project {
                    name,
                    version,
                    run_as,
                    ..now.as_ref().clone()
                }))
            }
        }))
    }

    fn names<'a>(&'a self, catalog: &'a Catalog) -> Names<'a> {
        match self {
            Content::Interface(it) | Content::Job(it, _) => Names::at(catalog, it),
            _ => Names::of(catalog),
        }
    }

    /// Its spec, whole.
    fn written(&self, names: &Names) -> Mapping {
        match self {
            Content::Interface(it) => names.interface_spec(it.project, &it.spec),
            Content::Job(owner, job) => names.job_spec(owner.project, &job.spec),
            Content::Dispatch(it) => names.dispatch_spec(it.project, &it.spec),
            Content::Calendar(it) => named::written(&*it.spec),
            Content::Host(it) => named::written(&it.spec),
            Content::Project(it) => named::written(&ProjectSpec { run_as: it.run_as.clone() }),
        }
    }

    /// As `apply` would take it.
    pub fn document(&self, catalog: &Catalog) -> Mapping {
        let names = self.names(catalog);
        match self {
            Content::Interface(it) => documents::interface((catalog, &names), it, &[]),
            Content::Job(owner, job) => documents::job((catalog, &names), owner, job),
            Content::Dispatch(it) => documents::dispatch((catalog, &names), it),
            Content::Calendar(it) => documents::calendar(catalog, it),
            Content::Host(it) => documents::host(catalog, it),
            // It is none that `apply` takes: what is decided of it, and no more.
            Content::Project(_) => self.written(&names),
        }
    }
}

/// What a version has kept.
fn read<T: serde::de::DeserializeOwned>(spec: &str) -> Result<T, Error> {
    Ok(serde_json::from_str(spec).map_err(anyhow::Error::from)?)
}

async fn interface_at(
    app: &App,
    catalog: &Catalog,
    id: InterfaceId,
    version: i64,
) -> Result<Option<Arc<Interface>>, Error> {
    if let Some(known) = catalog.at(id, version) {
        return Ok(Some(Arc::clone(known)));
    }
    let key = (id, version);
    Ok(store::catalog::versions(&app.db, &BTreeSet::from([key])).await?.remove(&key))
}
