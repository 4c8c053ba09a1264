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
use crate::engine::catalog::Catalog;
use crate::engine::validate::*;
use crate::store::edit::{Edit, REASON_CHARS_MAX};
use crate::store::version::How;
use crate::store::{self, sequence};
use shared::ids::*;
use shared::kind::FieldError;
use shared::spec::*;

mod calendar;
mod dispatch;
mod host;
mod interface;
mod job;

pub use calendar::calendar_of;
pub use interface::interface_of;
pub use job::job_of;

/// What loses the guard to another change at the same time (of jobs of one interface, say) is tried again, so often.
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
