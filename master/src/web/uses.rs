//! What uses a definition: what would be left hanging if it were deleted, in words.

use super::Page;
use super::error::Error;
use super::form::Form;
use super::interface::differences;
use crate::engine::catalog::Catalog;
use crate::store;
use crate::store::interface::Meta;
use axum::http::StatusCode;
use serde::Serialize;
use shared::ids::*;

/// Users shown of one definition; the rest is counted.
const SHOWN_MAX: usize = 20;
/// What nobody's runs depend on.
const QUIET: [&str; 3] = ["description", "owner", "catalog"];

/// What stands beside a form besides its errors.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    pub stale: Option<Stale>,
    pub review: Option<Review>,
}

/// Somebody has saved a newer version while the form was open.
#[derive(Clone, Debug, Serialize)]
pub struct Stale {
    pub version: i64,
    pub by: String,
    pub at_ms: Option<Millis>,
    /// Field, theirs, yours.
    pub rows: Vec<[String; 3]>,
}

impl Stale {
    /// # Errors
    /// The database's.
    pub async fn of(
        page: &Page,
        meta: Option<Meta>,
        (theirs, yours): (&Form, &Form),
    ) -> Result<Stale, Error> {
        let names = store::user::names(&page.app.db).await?;
        let by = meta.as_ref().and_then(|meta| names.get(&meta.updated_by)).cloned();
        Ok(Stale {
            version: theirs.text("version").parse().unwrap_or_default(),
            by: by.unwrap_or_default(),
            at_ms: meta.map(|meta| meta.updated_ms),
            rows: differences(theirs, yours),
        })
    }
}

/// Of a form that is shown again, or for the first time.
pub fn status(form: &Form, stale: &Option<Stale>) -> StatusCode {
    match stale {
        Some(_) => StatusCode::CONFLICT,
        None if form.errors.is_empty() => StatusCode::OK,
        None => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// What saving would change of a definition on which others depend: shown before it is done.
#[derive(Clone, Debug, Serialize)]
pub struct Review {
    pub changes: Vec<[String; 3]>,
    pub uses: Vec<String>,
    pub total: usize,
}

impl Review {
    /// None: nobody depends on it, nothing that matters changes, or it has been looked at.
    pub fn of(before: &Form, after: &Form, mut uses: Vec<String>) -> Option<Review> {
        let stale = before.text("version") != after.text("version");
        if uses.is_empty() || stale || after.text("confirmed") == "1" {
            return None;
        }
        let changes = differences(before, after);
        let total = uses.len();
        uses.truncate(SHOWN_MAX);
        let matters = changes.iter().any(|change| !QUIET.contains(&change[0].as_str()));
        matters.then_some(Review { changes, uses, total })
    }
}

pub fn uses_of_interface(catalog: &Catalog, id: InterfaceId) -> Vec<String> {
    let mut uses = Vec::new();
    for other in catalog.interfaces.values().filter(|other| other.id != id) {
        if other.spec.parents.iter().any(|parent| parent.interface == id) {
            uses.push(format!("interface {} {}", other.id, other.name));
        }
        for job in &other.jobs {
            if job.spec.needs.iter().any(|need| need.interface == id) {
                uses.push(format!("job {} {}", job.id, job.name));
            }
        }
    }
    for dispatch in catalog.dispatches.values().filter(|d| d.spec.interface == id) {
        uses.push(format!("dispatch {} {}", dispatch.id, dispatch.name));
    }
    uses
}

pub fn uses_of_calendar(catalog: &Catalog, id: CalendarId) -> Vec<String> {
    let interfaces = catalog.interfaces.values().filter(|it| it.spec.calendar == Some(id));
    let interfaces = interfaces.map(|it| format!("interface {} {}", it.id, it.name));
    let dispatches = catalog.dispatches.values();
    let dispatches = dispatches.filter(|it| it.spec.days.is_some_and(|days| days.calendar == id));
    interfaces.chain(dispatches.map(|it| format!("dispatch {} {}", it.id, it.name))).collect()
}

pub fn uses_of_job(catalog: &Catalog, id: JobId) -> Vec<String> {
    let jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
    jobs.filter(|job| {
        job.spec.after.iter().any(|edge| edge.job == id)
            || job.spec.needs.iter().any(|need| need.job == id)
    })
    .map(|job| format!("job {} {}", job.id, job.name))
    .collect()
}

pub fn uses_of_host(catalog: &Catalog, id: HostId) -> Vec<String> {
    let jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
    jobs.filter(|job| job.spec.place.hosts.contains(&id))
        .map(|job| format!("job {} {}", job.id, job.name))
        .collect()
}
