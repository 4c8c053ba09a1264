//! An interface with all its jobs, judged and written as one: what rolling back and copying have in
//! common. One version, one batch, against the definitions as they were read.

use crate::db::{self, Write};
use crate::engine::catalog::{Catalog, Interface, Job};
use crate::engine::validate::mesh::{self, Node, goes_back};
use crate::engine::validate::{InterfaceDraft, JobDraft, interface_fields, job_fields};
use crate::store::edit::Edit;
use crate::store::job::Fate;
use crate::store::version::How;
use crate::store::{interface, job, sequence};
use crate::web::auth::Right;
use crate::web::error::Error;
use crate::web::save::{Draft, Refused, Saver, interface_of, none_wrong};
use shared::ids::*;
use shared::kind::FieldError;
use shared::spec::InterfaceSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Somebody else edits at the same moment: read again and try again, so often.
const TRIES: u32 = 5;
/// An id that nothing has: what is only judged takes none from the sequences.
const NOBODY: i64 = 1 << 40;

/// What would be wrong with the definitions if this interface were so.
pub(super) fn judge(catalog: &Catalog, it: &Interface) -> Vec<FieldError> {
    let (project, name, spec) = (it.project, it.name.as_str(), &it.spec);
    let twin = catalog
        .interfaces
        .values()
        .find(|other| other.id != it.id && other.project == project && other.name == name);
    let said = twin.map(|twin| format!("interface {} has this name already", twin.id));
    let mut errors: Vec<FieldError> =
        said.map(|said| FieldError::new("name", said)).into_iter().collect();
    // Against what holds now: another granularity may not fit who waits for it.
    errors.extend(interface_fields(
        catalog,
        &InterfaceDraft { id: Some(it.id), project, name, spec },
    ));
    let mut next = catalog.clone();
    next.interfaces.insert(it.id, Arc::new(it.clone()));
    for job in &it.jobs {
        let draft =
            JobDraft { id: Some(job.id), interface: it.id, name: &job.name, spec: &job.spec };
        let inside = |error: FieldError| {
            FieldError::new(format!("jobs[{}].{}", job.name, error.path), error.message)
        };
        errors.extend(job_fields(&next, &draft).into_iter().map(inside));
    }
    errors.extend(hanging(catalog, it));
    if errors.is_empty()
        && let Some(cycle) = mesh::cycle(&next, &[Node::End(it.id)])
    {
        errors.push(FieldError::new("parents", cycle.words(&next)));
    }
    errors
}

/// Jobs of others that need one which would not be there.
fn hanging(catalog: &Catalog, it: &Interface) -> Vec<FieldError> {
    let now = catalog.interfaces.get(&it.id);
    let mut errors = Vec::new();
    for other in catalog.interfaces.values().filter(|other| other.id != it.id) {
        for job in &other.jobs {
            let mut needs = job.spec.needs.iter().filter(|need| need.interface == it.id);
            let Some(gone) =
                needs.find(|need| it.jobs.iter().all(|own| own.id != need.job)).map(|it| it.job)
            else {
                continue;
            };
            let called = now.and_then(|now| now.jobs.iter().find(|own| own.id == gone));
            let called = called.map_or_else(|| gone.to_string(), |own| own.name.clone());
            let (interface, needing) = (&other.name, &job.name);
            let said =
                format!("job {interface}/{needing} needs job {called}, which would not be there");
            errors.push(FieldError::new("jobs", said));
        }
    }
    errors
}

fn put(it: &Interface) -> interface::Put<'_> {
    interface::Put { id: it.id, project: it.project, name: &it.name, spec: &it.spec }
}

fn job_put<'a>(it: &Interface, job: &'a Job, version: i64) -> job::Put<'a> {
    let (project, interface) = (it.project, it.id);
    job::Put { id: job.id, project, interface, name: &job.name, spec: &job.spec, version }
}

/// From one to the other: its next version, with the jobs that change, come back or go.
fn writes(now: &Interface, wanted: &Interface, edit: &Edit) -> db::Result<Vec<Write>> {
    let version = now.version + 1;
    let mut writes = Vec::new();
    let mut jobs = Vec::new();
    let find = |it: &Interface, id: JobId| it.jobs.iter().position(|job| job.id == id);
    for job in now.jobs.iter().filter(|job| find(wanted, job.id).is_none()) {
        jobs.push((job_put(now, job, version), Fate::Gone));
    }
    for job in &wanted.jobs {
        match find(now, job.id).map(|at| &now.jobs[at]) {
            None => jobs.push((job_put(wanted, job, version), Fate::New)),
            Some(same) if same == job => {}
            Some(other) => {
                if other.name != job.name {
                    // Two may have changed names with each other.
                    writes.push(job::free_name(job.id, &other.name));
                }
                jobs.push((job_put(wanted, job, version), Fate::Changed));
            }
        }
    }
    writes.extend(interface::put_all(&[(put(wanted), now.version)], edit)?);
    writes.extend(job::put_all(&jobs, edit)?);
    Ok(writes)
}

/// This interface under other ids: edges, and waits for its own earlier periods, stay within it.
fn copied(
    source: &Interface,
    draft: &Draft<InterfaceSpec>,
    (id, first): (InterfaceId, i64),
) -> Interface {
    let ids: BTreeMap<JobId, JobId> =
        source.jobs.iter().zip(first..).map(|(job, id)| (job.id, JobId(id))).collect();
    let own = |id: JobId| ids.get(&id).copied().unwrap_or(id);
    let mut spec = draft.spec.clone();
    for parent in &mut spec.parents {
        if parent.interface == source.id
            && goes_back(parent.map)
            && source.spec.parents.contains(parent)
        {
            parent.interface = id;
        }
    }
    let jobs = source.jobs.iter().map(|job| {
        let mut spec = job.spec.clone();
        for edge in &mut spec.after {
            edge.job = own(edge.job);
        }
        for need in spec.needs.iter_mut().filter(|need| need.interface == source.id) {
            (need.interface, need.job) = (id, own(need.job));
        }
        Job { id: own(job.id), name: job.name.clone(), spec }
    });
    let (project, name) = (source.project, draft.name.clone());
    Interface { id, project, name, version: 0, spec, jobs: jobs.collect() }
}

impl Saver {
    /// A new version of it that is as this earlier one was, jobs included.
    ///
    /// # Errors
    /// [`Refused`]: what was does not fit what is now.
    pub async fn roll_back_interface(
        &self,
        id: InterfaceId,
        from: i64,
        wanted: &Interface,
    ) -> Result<(), Refused> {
        for _ in 0..TRIES {
            let catalog = self.app.catalog().await?;
            let now = interface_of(&catalog, id, &self.viewer)?;
            self.viewer.must(Right::Write, now.project)?;
            if now.version != from {
                return Err(Refused::Stale);
            }
            none_wrong(judge(&catalog, wanted))?;
            let edit = self.edit()?;
            let mut batch = vec![edit.unchanged_since(catalog.revision)];
            batch.extend(writes(&now, wanted, &edit)?);
            match self.commit(batch).await {
                // Something else, perhaps: look again.
                Err(Refused::Stale) => {}
                other => return other,
            }
        }
        Err(Refused::Stale)
    }

    /// Another interface with jobs and edges as this one has them; the rest as the draft says.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn copy_interface(
        &self,
        source: InterfaceId,
        draft: &Draft<InterfaceSpec>,
    ) -> Result<InterfaceId, Refused> {
        let saver = self.clone().by(How::Copied(source.0));
        let mut taken: Option<(usize, (InterfaceId, i64))> = None;
        for _ in 0..TRIES {
            let catalog = self.app.catalog().await?;
            let source = interface_of(&catalog, source, &self.viewer)?;
            self.viewer.must(Right::Write, source.project)?;
            none_wrong(judge(&catalog, &copied(&source, draft, (InterfaceId(NOBODY), NOBODY))))?;
            let count = source.jobs.len();
            let ids = match taken {
                Some((of, ids)) if of == count => ids,
                _ => self.take(count).await?,
            };
            taken = Some((count, ids));
            let copy = copied(&source, draft, ids);
            let edit = saver.edit()?;
            let mut batch = vec![edit.unchanged_since(catalog.revision)];
            let jobs: Vec<(job::Put, Fate)> =
                copy.jobs.iter().map(|job| (job_put(&copy, job, 1), Fate::New)).collect();
            batch.extend(interface::put_all(&[(put(&copy), 0)], &edit)?);
            batch.extend(job::put_all(&jobs, &edit)?);
            match self.commit(batch).await {
                Err(Refused::Stale) => {}
                other => return other.map(|()| copy.id),
            }
        }
        Err(Error::conflict("definitions are being edited all the time; try again").into())
    }

    /// Ids of an interface and of the first of its jobs.
    async fn take(&self, jobs: usize) -> Result<(InterfaceId, i64), Refused> {
        let id = InterfaceId(sequence::next(&self.app.db, "interface").await?);
        let first = match u32::try_from(jobs) {
            Ok(0) | Err(_) => 0,
            Ok(count) => sequence::take(&self.app.db, "job", count).await?,
        };
        Ok((id, first))
    }
}

#[cfg(test)]
mod tests;
