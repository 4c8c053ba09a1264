//! Freezing (冻结) and unfreezing an interface or a job as a verb: told in numbers before it is done.
//!
//! The rule: what is frozen stands in the definition and nowhere else. So this is an edit, judged and
//! written as saving the form is: a version with a reason, which can be shown, compared and rolled back.

use super::Routes;
use super::api::definitions::understood;
use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::save::{Draft, Refused, Saver};
use super::version::{self, About, Content, Known};
use crate::app::App;
use crate::engine::catalog::{Catalog, Interface};
use crate::store;
use crate::store::version::Of;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::FieldError;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn routes() -> Routes {
    Routes::default()
        .post("/api/v1/interfaces/{id}/freeze", Right::Write, freeze)
        .post("/api/v1/interfaces/{id}/unfreeze", Right::Write, unfreeze)
        .post("/api/v1/jobs/{id}/freeze", Right::Write, freeze)
        .post("/api/v1/jobs/{id}/unfreeze", Right::Write, unfreeze)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// The version that it was decided about; the newest when it is not said.
    #[serde(default)]
    from: Option<i64>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

/// What it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Frozen,
    Thawed,
}

async fn freeze(
    State(app): State<App>,
    viewer: Viewer,
    about: About,
    Json(body): Json<Value>,
) -> Result<Json<Value>> {
    turn((&app, &viewer), about, To::Frozen, understood(body)?).await
}

async fn unfreeze(
    State(app): State<App>,
    viewer: Viewer,
    about: About,
    Json(body): Json<Value>,
) -> Result<Json<Value>> {
    turn((&app, &viewer), about, To::Thawed, understood(body)?).await
}

async fn turn(
    (app, viewer): (&App, &Viewer),
    about: About,
    to: To,
    body: Body,
) -> Result<Json<Value>> {
    let known = Known::find(app, viewer, about).await?;
    viewer.must(Right::Write, known.project)?;
    let plan = Plan::of(app, &known, to).await?;
    let reason = body.reason.trim();
    if reason.is_empty() && !body.dry_run {
        let message = "say why: it is kept with the version that this makes";
        return Err(Error::invalid(vec![FieldError::new("reason", message)]));
    }
    let saver = Saver::new(app, viewer).because(reason);
    let from = body.from.unwrap_or(known.version);
    if let Err(refused) = edit(&saver, &known, to, (from, body.dry_run)).await {
        return Err(version::told(app, viewer, about.0, refused).await);
    }
    let version = match body.dry_run {
        true => known.version,
        false => Known::find(app, viewer, about).await?.version,
    };
    Ok(Json(json!({
        "name": known.name, "frozen": to == To::Frozen, "version": version,
        "dry_run": body.dry_run, "plan": plan,
    })))
}

/// The very edit; a dry run is only judged.
async fn edit(
    saver: &Saver,
    known: &Known,
    to: To,
    (from, dry_run): (i64, bool),
) -> Result<(), Refused> {
    if from != known.version {
        return Err(Refused::Stale);
    }
    let (frozen, from) = (to == To::Frozen, Some(from));
    match (known.of, &known.content) {
        (Of::Interface(id), Content::Interface(it)) => {
            let mut spec = it.spec.clone();
            spec.frozen = frozen;
            let draft = Draft { name: it.name.clone(), spec, from };
            match dry_run {
                true => saver.judge_interface(Some(id), it.project, &draft).await.map(drop),
                false => saver.interface(Some(id), it.project, &draft).await.map(drop),
            }
        }
        (Of::Job(id), Content::Job(owner, job)) => {
            let mut spec = job.spec.clone();
            spec.frozen = frozen;
            let draft = Draft { name: job.name.clone(), spec, from };
            match dry_run {
                true => saver.judge_job(Some(id), owner.id, &draft).await.map(drop),
                false => saver.job(Some(id), owner.id, &draft).await.map(drop),
            }
        }
        _ => Err(Error::not_found(known.title()).into()),
    }
}

/// What it holds, or lets go on, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Plan {
    /// Live runs of the interface.
    runs_live: i64,
    /// Their jobs that have not begun, of which so many are queued: held, or let go on.
    jobs_held: i64,
    jobs_queued: i64,
    /// Jobs at work: they go on in any case.
    jobs_running: i64,
    /// Jobs of the interface that come after the job.
    jobs_after: usize,
    /// Dispatches of the interface: each of their instants is decided `frozen`.
    dispatches_skipped: usize,
    /// The first of these instants.
    next_ms: Option<Millis>,
    /// Dispatches that fire all the same, and make runs that are held.
    dispatches_held: usize,
    /// Interfaces that wait for it, and with those that wait for these.
    interfaces_waiting: usize,
    interfaces_behind: usize,
}

impl Plan {
    async fn of(app: &App, known: &Known, to: To) -> Result<Plan, Error> {
        let (it, job, is_frozen) = match &known.content {
            Content::Interface(it) => (it, None, it.spec.frozen),
            Content::Job(it, job) => (it, Some(job.id), job.spec.frozen),
            _ => return Err(Error::not_found(known.title())),
        };
        match (to, is_frozen) {
            (To::Frozen, true) => return Err(Error::conflict("it is frozen already")),
            (To::Thawed, false) => return Err(Error::conflict("it is not frozen")),
            _ => {}
        }
        let alive = store::interface::alive(&app.db, it.id, job).await?;
        let paused = store::dispatch::paused(&app.db).await?;
        let jobs = job.map(|job| with_after(it, job));
        let mut plan = Plan {
            runs_live: alive.runs,
            jobs_held: alive.waiting + alive.queued,
            jobs_queued: alive.queued,
            jobs_running: alive.at_work,
            jobs_after: jobs.as_ref().map_or(0, |jobs| jobs.len() - 1),
            ..Plan::default()
        };
        let (catalog, now) = (&known.catalog, app.clock.wall_ms());
        let above = above(catalog, it.id);
        for dispatch in catalog.dispatches.values().filter(|one| !paused.contains(&one.id)) {
            let fires = dispatch.spec.interface;
            if fires == it.id && job.is_none() {
                plan.dispatches_skipped += 1;
                let next = app.upcoming.next(catalog, &dispatch.spec, now);
                plan.next_ms = [plan.next_ms, next].into_iter().flatten().min();
            } else if fires == it.id || dispatch.spec.cascade && above.contains(&fires) {
                plan.dispatches_held += 1;
            }
        }
        let (waiting, behind) = waiting(catalog, it.id, jobs.as_ref());
        Ok(Plan { interfaces_waiting: waiting, interfaces_behind: behind, ..plan })
    }
}

/// The job, and those of its interface that come after it.
fn with_after(it: &Interface, job: JobId) -> BTreeSet<JobId> {
    let mut after: BTreeMap<JobId, Vec<JobId>> = BTreeMap::new();
    for one in &it.jobs {
        for edge in &one.spec.after {
            after.entry(edge.job).or_default().push(one.id);
        }
    }
    reached(&after, [job].into())
}

/// All that it descends from: their cascades make runs of it.
fn above(catalog: &Catalog, id: InterfaceId) -> BTreeSet<InterfaceId> {
    let parents = catalog.interfaces.values().map(|it| {
        (it.id, it.spec.parents.iter().map(|parent| parent.interface).collect::<Vec<_>>())
    });
    reached(&parents.collect(), [id].into())
}

/// How many interfaces wait for it, or for one of these jobs of it; and how many with those that wait
/// for these in turn.
fn waiting(catalog: &Catalog, id: InterfaceId, jobs: Option<&BTreeSet<JobId>>) -> (usize, usize) {
    let mut waits: BTreeMap<InterfaceId, Vec<InterfaceId>> = BTreeMap::new();
    let mut first = BTreeSet::new();
    for other in catalog.interfaces.values() {
        for parent in &other.spec.parents {
            waits.entry(parent.interface).or_default().push(other.id);
            if parent.interface == id {
                first.insert(other.id);
            }
        }
        for need in other.jobs.iter().flat_map(|job| &job.spec.needs) {
            waits.entry(need.interface).or_default().push(other.id);
            if need.interface == id && jobs.is_none_or(|jobs| jobs.contains(&need.job)) {
                first.insert(other.id);
            }
        }
    }
    first.remove(&id); // its own earlier periods
    let mut behind = reached(&waits, first.clone());
    behind.remove(&id);
    (first.len(), behind.len())
}

/// These, and what is reached from them: O(edges).
fn reached<T: Ord + Copy>(edges: &BTreeMap<T, Vec<T>>, from: BTreeSet<T>) -> BTreeSet<T> {
    let mut open: Vec<T> = from.iter().copied().collect();
    let mut found = from;
    while let Some(at) = open.pop() {
        let next = edges.get(&at).into_iter().flatten().copied();
        open.extend(next.filter(|next| found.insert(*next)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_is_counted_once_and_a_circle_ends() {
        let edges = BTreeMap::from([(1, vec![2, 3]), (2, vec![4]), (3, vec![4]), (4, vec![1])]);
        assert_eq!(reached(&edges, [2].into()), [1, 2, 3, 4].into());
        assert_eq!(reached(&edges, [5].into()), [5].into());
    }
}
