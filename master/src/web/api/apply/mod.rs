//! `POST /api/v1/apply`: many definitions at once, all of them or none.
//!
//! Documents name things ([`documents`]); names become ids and everything is judged together
//! ([`resolve`]); hosts are asked whether the files of new and changed jobs declare the parameters
//! that these give ([`declared`]), in nobody's way; what differs is shown ([`diff`]) and, unless it is a
//! dry run, written in one batch that is refused when anybody has edited a definition meanwhile. Called
//! by `hcndc apply`.

pub mod diff;
pub mod documents;
mod names;
pub mod resolve;

use crate::app::App;
use crate::bus::Topic;
use crate::db;
use crate::engine::catalog::{Catalog, Interface, Job};
use crate::engine::validate;
use crate::store::edit::Edit;
use crate::store::version::How;
use crate::store::{calendar, dispatch, host, interface, job, sequence};
use crate::web::Routes;
use crate::web::auth::{Right, Viewer};
use crate::web::browse::declared::{self, Answers, Questions};
use crate::web::browse::notice::Notice;
use crate::web::error::{Error, Result};
use crate::web::save::reason_problem;
use axum::Json;
use axum::extract::{Request, State};
use diff::{Action, Change};
use documents::{Apply, ITEMS_MAX, Item, Problem, What};
use resolve::{Ids, Resolved, renumbered, resolve};
use serde::Serialize;
use shared::ids::*;
use shared::kind::FieldError;
use std::collections::BTreeMap;
use tokio::sync::SemaphorePermit;

/// Somebody else edits at the same moment: read again and try again, so often.
const TRIES: u32 = 5;

pub fn routes() -> Routes {
    Routes::default().post("/api/v1/apply", Right::View, apply)
}

/// What came of it, or would.
#[derive(Debug, Serialize)]
pub struct Applied {
    pub dry_run: bool,
    pub changes: Vec<Change>,
    /// Definitions that are as the documents say already.
    pub unchanged: usize,
    /// What was saved, or would be, although nobody could say whether it is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
}

async fn apply(State(app): State<App>, viewer: Viewer, request: Request) -> Result<Json<Applied>> {
    // All definitions of a site in one piece: larger than what the pages send.
    let body = axum::body::to_bytes(request.into_body(), app.config.web.apply_max_bytes).await;
    let body = body.map_err(|_| {
        let max = app.config.web.apply_max_bytes;
        Error::too_large(format!(
            "the definitions did not come whole, or are more than {max} bytes \
             (web.apply_max_bytes); apply them in parts"
        ))
    })?;
    // One set at a time is parsed and judged: it is many times as large as its text.
    let turn = app.applying.acquire().await.map_err(Error::internal)?;
    let mut json = serde_json::Deserializer::from_slice(&body);
    let asked: Apply = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Error::invalid(vec![FieldError::new(error.path().to_string(), error.inner().to_string())])
    })?;
    judged(&app, &viewer, asked, turn).await.map(Json)
}

/// The same, of documents that were made by a page.
///
/// # Errors
/// What is wrong with which document, or a right that is missing.
pub async fn put(app: &App, viewer: &Viewer, asked: Apply) -> Result<Applied> {
    let turn = app.applying.acquire().await.map_err(Error::internal)?;
    judged(app, viewer, asked, turn).await
}

async fn judged<'a>(
    app: &'a App,
    viewer: &Viewer,
    asked: Apply,
    mut turn: SemaphorePermit<'a>,
) -> Result<Applied> {
    let Apply { dry_run, reason, documents } = asked;
    if let Some(problem) = reason_problem(&reason) {
        return Err(Error::invalid(vec![problem]));
    }
    let items = documents::items(documents).map_err(refused)?;
    if items.len() > ITEMS_MAX {
        let detail = format!("at most {ITEMS_MAX} definitions can be applied at once");
        return Err(Error::bad_request(detail));
    }
    let (mut kept, mut answers) = (None, Answers::default());
    for _ in 0..TRIES {
        match once(app, viewer, &items, (dry_run, &reason, &mut kept), &answers).await {
            Ok(applied) => return Ok(applied),
            Err(Failure::Conflict) => {}
            Err(Failure::Unasked(questions)) => {
                // While hosts are asked others apply: a set that waits is in nobody's way.
                drop(turn);
                match app.asking.try_acquire() {
                    Ok(_few) => {
                        let patience = declared::APPLY_PATIENCE;
                        declared::ask(app, &questions, &mut answers, patience).await;
                    }
                    Err(_) => questions.unasked(&mut answers),
                }
                turn = app.applying.acquire().await.map_err(Error::internal)?;
            }
            Err(Failure::Told(error)) => return Err(error),
        }
    }
    drop(turn);
    Err(Error::conflict("definitions are being edited all the time; try again"))
}

/// Taken from the sequences: how many, and the first of them.
struct Numbers {
    count: Ids,
    first: Ids,
}

enum Failure {
    /// Somebody has edited something since the catalog was read.
    Conflict,
    /// Hosts have to be asked first.
    Unasked(Questions),
    Told(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Told(error)
    }
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Failure {
        match error {
            db::Error::Conflict | db::Error::Duplicate { .. } => Failure::Conflict,
            error => Failure::Told(error.into()),
        }
    }
}

async fn once(
    app: &App,
    viewer: &Viewer,
    items: &[Item],
    (dry_run, reason, kept): (bool, &str, &mut Option<Numbers>),
    answers: &Answers,
) -> Result<Applied, Failure> {
    let catalog = app.catalog().await?;
    let mut resolved = resolve(&catalog, items.to_vec(), Ids::NOBODY).map_err(refused)?;
    let wrong = too_often(&catalog, &resolved, app.config.dispatch.min_interval_s);
    if !wrong.is_empty() {
        return Err(refused(wrong).into());
    }
    let mut changes = diff::changes(&catalog, &resolved);
    allowed(viewer, &catalog, &resolved, &changes)?;
    let notices = declares(app, viewer, (&catalog, &resolved, &changes), answers).await?;
    if !dry_run && changes.iter().any(|change| change.action != Action::None) {
        // Only now, as ids are not given back; those of a try that wrote nothing are used by the next.
        let ids = match *kept {
            Some(Numbers { count, first }) if count == resolved.taken => first,
            _ => take(&app.db, resolved.taken).await?,
        };
        *kept = Some(Numbers { count: resolved.taken, first: ids });
        resolved = renumbered(&catalog, items.to_vec(), ids).map_err(refused)?;
        changes = diff::changes(&catalog, &resolved);
        let edit = Edit {
            how: How::Applied,
            reason: reason.to_owned(),
            ..Edit::new(viewer.id, viewer.address.as_str(), app.db.now_ms().await?)
        };
        let mut batch = vec![edit.unchanged_since(catalog.revision)];
        batch.extend(writes(&catalog, &resolved, &changes, &edit)?);
        app.db.commit(batch).await?;
        app.bus.nudge(Topic::Definition);
    }
    let all = changes.len();
    changes.retain(|change| change.action != Action::None);
    let unchanged = all - changes.len();
    Ok(Applied { dry_run, changes, unchanged, notices })
}

/// Whether the files of new and changed jobs declare the parameters that these give, by what hosts have
/// said; what nobody could say is told.
async fn declares(
    app: &App,
    viewer: &Viewer,
    (old, resolved, changes): (&Catalog, &Resolved, &[Change]),
    answers: &Answers,
) -> Result<Vec<Notice>, Failure> {
    let written = |change: &&Change| matches!(change.action, Action::Create | Action::Update);
    let jobs: Vec<(&Interface, &Job)> =
        changes.iter().filter(written).filter_map(|it| job_of(&resolved.catalog, it)).collect();
    let all = jobs.iter().copied();
    // Hosts as they are: one that this set brings has never been met.
    let questions = Questions::of((app, viewer), &resolved.catalog, &old.hosts, all).await?;
    if !questions.is_answered(answers) {
        return Err(Failure::Unasked(questions));
    }
    let checked = questions.judged(answers);
    if checked.errors.is_empty() {
        return Ok(checked.notices);
    }
    let items: BTreeMap<i64, &Item> = resolved
        .items
        .iter()
        .filter(|(item, ..)| item.what == What::Job)
        .map(|(item, id, _)| (*id, item))
        .collect();
    let wrong = checked.errors.iter().filter_map(|(at, error)| {
        let (_, job) = jobs.get(*at)?;
        Some(items.get(&job.id.0)?.problem(error))
    });
    Err(refused(wrong.take(resolve::PROBLEMS_MAX).collect()).into())
}

/// The job that a change is about, as it is there.
fn job_of<'a>(catalog: &'a Catalog, change: &Change) -> Option<(&'a Interface, &'a Job)> {
    let interface = catalog.interfaces.get(&change.interface_id?)?;
    let id = JobId(change.id);
    let at = interface.jobs.binary_search_by_key(&id, |job| job.id).ok()?;
    (change.kind == What::Job).then_some((interface, &interface.jobs[at]))
}

/// Rules that are new or changed; what was there before the operator's rule stays.
fn too_often(catalog: &Catalog, resolved: &Resolved, min_interval_s: u32) -> Vec<Problem> {
    let dispatches = resolved.items.iter().filter(|(item, ..)| item.what == What::Dispatch);
    let wrong = dispatches.filter_map(|(item, id, _)| {
        let spec = &resolved.catalog.dispatches.get(&DispatchId(*id))?.spec;
        let known = catalog.dispatches.get(&DispatchId(*id)).map(|known| &known.spec);
        Some(item.problem(&validate::too_often(known, spec, min_interval_s)?))
    });
    wrong.take(resolve::PROBLEMS_MAX).collect()
}

fn refused(problems: Vec<Problem>) -> Error {
    let said = |problem: &Problem| {
        let place = match problem.source.is_empty() {
            true => format!("{}: {}", problem.object, problem.path),
            false => format!("{}: {}: {}", problem.source, problem.object, problem.path),
        };
        FieldError::new(place, problem.message.clone())
    };
    Error::invalid(problems.iter().map(said).collect())
}

/// Who applies needs the right for everything that changes, and to see what is named.
fn allowed(
    viewer: &Viewer,
    catalog: &Catalog,
    resolved: &Resolved,
    changes: &[Change],
) -> Result<(), Error> {
    for change in changes {
        let right = match (change.action, change.kind) {
            (Action::None, _) => Right::View,
            (_, What::Dispatch) => Right::Schedule,
            (_, What::Host | What::Calendar | What::Interface | What::Job) => Right::Write,
        };
        viewer.must(right, change.project)?;
        // What is moved out of a project needs the right there as well.
        if let Some(old) = change.old_project(catalog, resolved)
            && old != change.project
        {
            viewer.must(right, old)?;
        }
    }
    Ok(())
}

async fn take(db: &db::Db, count: Ids) -> db::Result<Ids> {
    let next = async |name: &'static str, count: i64| match u32::try_from(count) {
        Ok(0) | Err(_) => Ok(0),
        Ok(count) => sequence::take(db, name, count).await,
    };
    Ok(Ids {
        host: next("host", count.host).await?,
        calendar: next("calendar", count.calendar).await?,
        interface: next("interface", count.interface).await?,
        job: next("job", count.job).await?,
        dispatch: next("dispatch", count.dispatch).await?,
    })
}

/// Everything that changes, in few statements however many there are. An interface goes on by one
/// version, whatever of it changes.
fn writes(
    old: &Catalog,
    resolved: &Resolved,
    changes: &[Change],
    edit: &Edit,
) -> db::Result<Vec<db::Write>> {
    let new = &resolved.catalog;
    let mut interfaces = Vec::new();
    for id in diff::interfaces(changes) {
        let Some(it) = new.interfaces.get(&id) else { continue };
        let put = interface::Put { id, project: it.project, name: &it.name, spec: &it.spec };
        interfaces.push((put, old.interfaces.get(&id).map_or(0, |old| old.version)));
    }
    let (mut jobs, mut dispatches, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes.iter().filter(|change| change.action != Action::None) {
        match change.kind {
            What::Interface => {}
            What::Host => {
                let Some(it) = new.hosts.get(&HostId(change.id)) else { continue };
                let put = host::Put {
                    id: it.id,
                    project: it.project,
                    name: &it.name,
                    agent: &it.agent,
                    spec: &it.spec,
                };
                writes.extend(match old.hosts.get(&it.id) {
                    None => host::insert(&put, edit)?,
                    Some(old) => host::update(&put, old.version, edit)?,
                });
            }
            What::Calendar => {
                let Some(it) = new.calendars.get(&CalendarId(change.id)) else { continue };
                let (id, project, name) = (it.id, it.project, it.name.as_str());
                let put = calendar::Put { id, project, name, spec: &it.spec };
                writes.extend(match old.calendars.get(&id) {
                    None => calendar::insert(&put, edit)?,
                    Some(old) => calendar::update(&put, old.version, edit)?,
                });
            }
            What::Dispatch => {
                let Some(it) = new.dispatches.get(&DispatchId(change.id)) else { continue };
                let (id, project, name) = (it.id, it.project, it.name.as_str());
                let put = dispatch::Put { id, project, name, spec: &it.spec };
                dispatches.push((put, old.dispatches.get(&id).map_or(0, |old| old.version)));
            }
            What::Job => jobs.extend(job_put(old, new, change)),
        }
    }
    writes.extend(interface::put_all(&interfaces, edit)?);
    writes.extend(job::put_all(&jobs, edit)?);
    writes.extend(dispatch::put_all(&dispatches, edit)?);
    Ok(writes)
}

fn job_put<'a>(
    old: &'a Catalog,
    new: &'a Catalog,
    change: &Change,
) -> Option<(job::Put<'a>, job::Fate)> {
    let interface = change.interface_id?;
    let id = JobId(change.id);
    let fate = match change.action {
        Action::Create => job::Fate::New,
        Action::Update => job::Fate::Changed,
        Action::Delete => job::Fate::Gone,
        Action::None => return None,
    };
    let (_, found) = job_of(new, change).or_else(|| job_of(old, change))?;
    let version = old.interfaces.get(&interface).map_or(0, |old| old.version) + 1;
    let project = change.project;
    Some((job::Put { id, project, interface, name: &found.name, spec: &found.spec, version }, fate))
}

#[cfg(test)]
mod tests;
