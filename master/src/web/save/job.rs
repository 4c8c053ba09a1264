//! Saving jobs: each makes the next version of its interface.

use super::super::browse::{declared, notice::Notice};
use super::*;
use crate::engine::catalog::{Interface, Job};
use std::sync::Arc;

impl Saver {
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

    /// Whether it might be saved, and what a host says of the file that it runs: asked for a moment, with
    /// nothing locked.
    ///
    /// # Errors
    /// [`Refused`]; a parameter that the file does not declare.
    pub async fn asked_job(
        &self,
        id: Option<JobId>,
        interface: InterfaceId,
        draft: &Draft<JobSpec>,
    ) -> Result<Vec<Notice>, Refused> {
        let owner = self.judge_job(id, interface, draft).await?;
        let catalog = self.app.catalog().await?;
        let (id, name, spec) = (id.unwrap_or_default(), draft.name.clone(), draft.spec.clone());
        let job = Job { id, name, spec };
        let checked = declared::check((&self.app, &self.viewer), &catalog, &owner, &job).await?;
        none_wrong(checked.errors.into_iter().map(|(_, error)| error).collect())?;
        Ok(checked.notices)
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
}

/// The next version of an interface whose job changes: its own spec stays.
fn next_version(owner: &Interface, edit: &Edit) -> Result<Batch, db::Error> {
    let Interface { id, project, ref name, ref spec, version, .. } = *owner;
    store::interface::update(&store::interface::Put { id, project, name, spec }, version, edit)
}

/// A job that the viewer may see, with its interface.
///
/// # Errors
/// There is none.
pub fn job_of(
    catalog: &Catalog,
    id: JobId,
    viewer: &Viewer,
) -> Result<(Arc<Interface>, Job), Error> {
    let mut all = catalog.interfaces.values();
    let found = all.find_map(|interface| {
        let job = interface.jobs.iter().find(|job| job.id == id)?;
        viewer.sees(interface.project).then(|| (Arc::clone(interface), job.clone()))
    });
    found.ok_or_else(|| Error::not_found(format!("job {id}")))
}
