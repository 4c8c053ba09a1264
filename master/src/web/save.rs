//! Saving definitions: one place for pages and API. Right, check, write, nudge.
//!
//! A change names the version it was made from. When somebody else has saved meanwhile it is
//! [`Refused::Stale`], and nothing is written.

use super::auth::{Right, Viewer};
use super::error::Error;
use super::uses::*;
use crate::app::App;
use crate::bus::Topic;
use crate::db::{self, Batch};
use crate::engine::catalog::{Catalog, Interface};
use crate::engine::validate::*;
use crate::store::edit::{Edit, REASON_CHARS_MAX};
use crate::store::version::How;
use crate::store::{self, sequence};
use shared::ids::*;
use shared::kind::FieldError;
use shared::spec::*;
use std::sync::Arc;

mod calendar;

pub use calendar::calendar_of;

/// Jobs of one interface that are saved at the same time lose the guard to each other, and try again.
const TRIES: u32 = 8;
/// Users of a thing that are named when it cannot be deleted.
const NAMED_MAX: usize = 10;

/// Why nothing was saved.
#[derive(Debug)]
pub enum Refused {
    Invalid(Vec<FieldError>),
    /// Somebody has saved a newer version.
    Stale,
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Error(error)
    }
}

impl From<db::Error> for Refused {
    fn from(error: db::Error) -> Refused {
        Refused::Error(error.into())
    }
}

/// For the API; pages show the two versions beside each other.
impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Invalid(errors) => Error::invalid(errors),
            Refused::Stale => Error::conflict(
                "somebody has saved a newer version; load it, make the change again and save it \
                 with that version",
            ),
            Refused::Error(error) => error,
        }
    }
}

/// Who saves, with what the history is to say.
#[derive(Clone, Debug)]
pub struct Saver {
    pub app: App,
    pub viewer: Viewer,
    pub reason: String,
    pub how: How,
}

/// What a definition is to be. `from`: the version it was made from; none when it is new.
#[derive(Clone, Debug)]
pub struct Draft<S> {
    pub name: String,
    pub spec: S,
    pub from: Option<i64>,
}

impl Saver {
    pub fn new(app: &App, viewer: &Viewer) -> Saver {
        let (app, viewer) = (app.clone(), viewer.clone());
        Saver { app, viewer, reason: String::new(), how: How::Saved }
    }

    /// With what the history of versions is to say.
    pub fn because(self, reason: impl Into<String>) -> Saver {
        Saver { reason: reason.into(), ..self }
    }

    /// As its history is to tell.
    pub fn by(self, how: How) -> Saver {
        Saver { how, ..self }
    }

    pub(super) fn edit(&self) -> Result<Edit, Refused> {
        none_wrong(reason_problem(&self.reason).into_iter().collect())?;
        let at = self.app.clock.wall_ms();
        Ok(Edit {
            reason: self.reason.clone(),
            how: self.how,
            ..Edit::new(self.viewer.id, self.viewer.address.as_str(), at)
        })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<(), Refused> {
        match self.app.db.commit(batch).await {
            Ok(()) => {
                self.app.bus.nudge(Topic::Definition);
                Ok(())
            }
            Err(db::Error::Conflict) => Err(Refused::Stale),
            Err(db::Error::Duplicate { .. }) => Err(Refused::Invalid(vec![FieldError::new(
                "name",
                "this name is taken: choose another one",
            )])),
            Err(error) => Err(Refused::Error(error.into())),
        }
    }

    /// Whether it might be saved; the project that it is in, or will be.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_interface(
        &self,
        id: Option<InterfaceId>,
        project: ProjectId,
        draft: &Draft<InterfaceSpec>,
    ) -> Result<ProjectId, Refused> {
        let catalog = self.app.catalog().await?;
        let project = match id {
            Some(id) => interface_of(&catalog, id, &self.viewer)?.project,
            None => project,
        };
        self.viewer.must(Right::Write, project)?;
        is_there(&catalog, project)?;
        let Draft { name, spec, .. } = draft;
        let check = InterfaceDraft { id, project, name, spec };
        none_wrong(check_interface(&catalog, &check))?;
        Ok(project)
    }

    /// # Errors
    /// [`Refused`].
    pub async fn interface(
        &self,
        id: Option<InterfaceId>,
        project: ProjectId,
        draft: &Draft<InterfaceSpec>,
    ) -> Result<InterfaceId, Refused> {
        let project = self.judge_interface(id, project, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::interface::Put { id, project, name, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::interface::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = InterfaceId(sequence::next(&self.app.db, "interface").await?);
                self.commit(store::interface::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`]; something uses it.
    pub async fn delete_interface(&self, id: InterfaceId, from: i64) -> Result<(), Refused> {
        let catalog = self.app.catalog().await?;
        let interface = interface_of(&catalog, id, &self.viewer)?;
        self.viewer.must(Right::Write, interface.project)?;
        unused(uses_of_interface(&catalog, id))?;
        let what = (interface.project, interface.name.as_str());
        self.commit(store::interface::delete(id, from, what, &self.edit()?)).await
    }

    /// Whether it might be saved; the interface that it is in.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_job(
        &self,
        id: Option<JobId>,
        interface: InterfaceId,
        draft: &Draft<JobSpec>,
    ) -> Result<Arc<Interface>, Refused> {
        let catalog = self.app.catalog().await?;
        let owner = interface_of(&catalog, interface, &self.viewer)?;
        self.viewer.must(Right::Write, owner.project)?;
        let Draft { name, spec, from } = draft;
        none_wrong(check_job(&catalog, &JobDraft { id, interface, name, spec }))?;
        self.still(id, *from).await?;
        Ok(owner)
    }

    /// Saving a job makes the next version of its interface.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn job(
        &self,
        id: Option<JobId>,
        interface: InterfaceId,
        draft: &Draft<JobSpec>,
    ) -> Result<JobId, Refused> {
        let edit = self.edit()?;
        let mut new = None;
        for _ in 0..TRIES {
            let owner = self.judge_job(id, interface, draft).await?;
            let Draft { name, spec, from } = draft;
            let job = match (id, new) {
                (Some(id), _) | (None, Some(id)) => id,
                (None, None) => {
                    let id = JobId(sequence::next(&self.app.db, "job").await?);
                    *new.insert(id)
                }
            };
            let mut batch = next_version(&owner, &edit)?;
            let put = store::job::Put {
                id: job,
                project: owner.project,
                interface,
                name,
                spec,
                version: owner.version + 1,
            };
            batch.extend(match (id, from) {
                (Some(_), Some(from)) => store::job::update(&put, *from, &edit)?,
                _ => store::job::insert(&put, &edit)?,
            });
            match self.commit(batch).await {
                // Another job of the interface, perhaps: look again.
                Err(Refused::Stale) => {}
                other => return other.map(|()| job),
            }
        }
        Err(Refused::Stale)
    }

    /// # Errors
    /// [`Refused`]; something uses it.
    pub async fn delete_job(&self, id: JobId, from: i64) -> Result<(), Refused> {
        let edit = self.edit()?;
        for _ in 0..TRIES {
            let catalog = self.app.catalog().await?;
            let (owner, job) = job_of(&catalog, id, &self.viewer)?;
            self.viewer.must(Right::Write, owner.project)?;
            unused(uses_of_job(&catalog, id))?;
            self.still(Some(id), Some(from)).await?;
            let mut batch = next_version(&owner, &edit)?;
            let put = store::job::Put {
                id,
                project: owner.project,
                interface: owner.id,
                name: &job.name,
                spec: &job.spec,
                version: owner.version + 1,
            };
            batch.extend(store::job::delete(&put, from, &edit)?);
            match self.commit(batch).await {
                Err(Refused::Stale) => {}
                other => return other,
            }
        }
        Err(Refused::Stale)
    }

    /// Whether the job is still at the version that the change was made from.
    async fn still(&self, id: Option<JobId>, from: Option<i64>) -> Result<(), Refused> {
        let (Some(id), Some(from)) = (id, from) else { return Ok(()) };
        match store::job::meta(&self.app.db, id).await? {
            Some(meta) if meta.version == from => Ok(()),
            _ => Err(Refused::Stale),
        }
    }

    /// Whether it might be saved; the project that it is in.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_dispatch(
        &self,
        id: Option<DispatchId>,
        draft: &Draft<DispatchSpec>,
    ) -> Result<ProjectId, Refused> {
        let catalog = self.app.catalog().await?;
        let Draft { name, spec, .. } = draft;
        let Some(target) = catalog.interfaces.get(&spec.interface) else {
            let why = "there is no such interface: choose one of the list";
            return Err(Refused::Invalid(vec![FieldError::new("interface", why)]));
        };
        let project = target.project;
        let known = id.and_then(|id| catalog.dispatches.get(&id));
        if let Some(id) = id {
            let known = known.ok_or_else(|| Error::not_found(format!("dispatch {id}")))?;
            self.viewer.must(Right::Schedule, known.project)?;
        }
        self.viewer.must(Right::Schedule, project)?;
        let mut errors = check_dispatch(&catalog, &DispatchDraft { id, project, name, spec });
        let least = self.app.config.dispatch.min_interval_s;
        errors.extend(too_often(known.map(|known| &known.spec), spec, least));
        none_wrong(errors)?;
        Ok(project)
    }

    /// # Errors
    /// [`Refused`].
    pub async fn dispatch(
        &self,
        id: Option<DispatchId>,
        draft: &Draft<DispatchSpec>,
    ) -> Result<DispatchId, Refused> {
        let project = self.judge_dispatch(id, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::dispatch::Put { id, project, name, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::dispatch::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = DispatchId(sequence::next(&self.app.db, "dispatch").await?);
                self.commit(store::dispatch::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`].
    pub async fn delete_dispatch(&self, id: DispatchId, from: i64) -> Result<(), Refused> {
        let catalog = self.app.catalog().await?;
        let dispatch = catalog.dispatches.get(&id).filter(|d| self.viewer.sees(d.project));
        let dispatch = dispatch.ok_or_else(|| Error::not_found(format!("dispatch {id}")))?;
        self.viewer.must(Right::Schedule, dispatch.project)?;
        let what = (dispatch.project, dispatch.name.as_str());
        self.commit(store::dispatch::delete(id, from, what, &self.edit()?)).await
    }

    /// Whether it might be saved; the project that it is in, or will be, and its agent's name.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_host(
        &self,
        id: Option<HostId>,
        project: ProjectId,
        draft: &Draft<HostSpec>,
    ) -> Result<(ProjectId, String), Refused> {
        let catalog = self.app.catalog().await?;
        let known = match id {
            Some(id) => {
                let known = catalog.hosts.get(&id);
                Some(known.ok_or_else(|| Error::not_found(format!("exec host {id}")))?)
            }
            None => None,
        };
        let project = known.map_or(project, |host| host.project);
        self.viewer.must(Right::Write, project)?;
        if project != ProjectId(0) {
            is_there(&catalog, project)?;
        }
        let Draft { name, spec, .. } = draft;
        none_wrong(check_host(&catalog, &HostDraft { id, project, name, spec }))?;
        Ok((project, known.map_or_else(String::new, |host| host.agent.clone())))
    }

    /// # Errors
    /// [`Refused`].
    pub async fn host(
        &self,
        id: Option<HostId>,
        project: ProjectId,
        draft: &Draft<HostSpec>,
    ) -> Result<HostId, Refused> {
        let (project, agent) = self.judge_host(id, project, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::host::Put { id, project, name, agent: &agent, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::host::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = HostId(sequence::next(&self.app.db, "host").await?);
                self.commit(store::host::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`]; a job names it, or it still runs something.
    pub async fn delete_host(&self, id: HostId, from: i64) -> Result<(), Refused> {
        let catalog = self.app.catalog().await?;
        let host = catalog.hosts.get(&id).filter(|host| self.viewer.sees(host.project));
        let host = host.ok_or_else(|| Error::not_found(format!("exec host {id}")))?;
        self.viewer.must(Right::Write, host.project)?;
        let mut uses = uses_of_host(&catalog, id);
        let running = store::host::running(&self.app.db, 100_000).await?;
        let count = running.iter().filter(|running| running.host == id).count();
        if count > 0 {
            uses.push(format!("{count} running jobs"));
        }
        // Only retiring it says that nothing is to be waited for.
        if store::host::is_in_doubt(&self.app.db, id).await? {
            uses.push("what it ran before the database was restored (retire it first)".into());
        }
        unused(uses)?;
        let what = (host.project, host.name.as_str());
        self.commit(store::host::delete(id, from, what, &self.edit()?)).await
    }
}

/// As which user of the hosts a project's jobs run is a matter of the machines: nobody decides it
/// for a project alone.
impl Saver {
    /// # Errors
    /// [`Refused`].
    pub async fn run_as(&self, id: ProjectId, from: i64, name: &str) -> Result<(), Refused> {
        self.viewer.must(Right::Admin, ProjectId(0))?;
        let catalog = self.app.catalog().await?;
        let found = catalog.projects.get(&id);
        let found = found.ok_or_else(|| Error::not_found(format!("project {id}")))?;
        none_wrong(check_run_as(name))?;
        let spec = store::project::ProjectSpec { run_as: name.to_owned() };
        let put = store::project::Put { id, name: &found.name, spec: &spec };
        self.commit(store::project::update(&put, from, &self.edit()?)?).await
    }
}

fn is_there(catalog: &Catalog, project: ProjectId) -> Result<(), Refused> {
    match catalog.projects.contains_key(&project) {
        true => Ok(()),
        false => {
            let why = format!("there is no project {project}");
            Err(Refused::Invalid(vec![FieldError::new("project", why)]))
        }
    }
}

/// What is wrong with a reason: it is kept as it was typed, or not at all.
pub fn reason_problem(reason: &str) -> Option<FieldError> {
    let chars = reason.chars().count();
    let message = format!("{chars} characters; at most {REASON_CHARS_MAX} are allowed");
    (chars > REASON_CHARS_MAX).then(|| FieldError::new("reason", message))
}

pub(super) fn none_wrong(errors: Vec<FieldError>) -> Result<(), Refused> {
    if errors.is_empty() { Ok(()) } else { Err(Refused::Invalid(errors)) }
}

fn unused(uses: Vec<String>) -> Result<(), Refused> {
    if uses.is_empty() {
        return Ok(());
    }
    let more = uses.len().saturating_sub(NAMED_MAX);
    let mut named = uses.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(", and {more} more"));
    }
    Err(Refused::Error(Error::conflict(format!("it is still used by {named}"))))
}

/// The next version of an interface whose job changes: its own spec stays.
fn next_version(owner: &Interface, edit: &Edit) -> Result<Batch, db::Error> {
    let Interface { id, project, ref name, ref spec, version, .. } = *owner;
    store::interface::update(&store::interface::Put { id, project, name, spec }, version, edit)
}

/// An interface that the viewer may see.
///
/// # Errors
/// There is none.
pub fn interface_of(
    catalog: &Catalog,
    id: InterfaceId,
    viewer: &Viewer,
) -> Result<Arc<Interface>, Error> {
    let found = catalog.interfaces.get(&id).filter(|interface| viewer.sees(interface.project));
    found.cloned().ok_or_else(|| Error::not_found(format!("interface {id}")))
}

/// A job that the viewer may see, with its interface.
///
/// # Errors
/// There is none.
pub fn job_of(
    catalog: &Catalog,
    id: JobId,
    viewer: &Viewer,
) -> Result<(Arc<Interface>, crate::engine::catalog::Job), Error> {
    let mut all = catalog.interfaces.values();
    let found = all.find_map(|interface| {
        let job = interface.jobs.iter().find(|job| job.id == id)?;
        viewer.sees(interface.project).then(|| (Arc::clone(interface), job.clone()))
    });
    found.ok_or_else(|| Error::not_found(format!("job {id}")))
}
