//! The history of a definition, page by page: who, when, why, and what changed in short.

use super::diff::{self, Change, Field};
use super::named::{self, Names};
use super::{About, Known};
use crate::app::App;
use crate::store;
use crate::store::project::ProjectSpec;
use crate::store::version::{How, JobStep, Of, Version};
use crate::web::auth::Viewer;
use crate::web::error::{Error, Result};
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_yaml_ng::Mapping;
use shared::calendar::CalendarSpec;
use shared::ids::*;
use shared::spec::HostSpec;
use std::collections::BTreeMap;

/// Versions of one page.
const PAGE: u32 = 50;
/// Fields, and jobs, that are shown of one version.
const SHOWN_MAX: usize = 6;
/// Characters shown of one value.
const CHARS_MAX: usize = 80;
/// Changes of jobs that are read for one page.
const JOB_STEPS_MAX: u32 = 5_000;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Turned {
    /// Versions before this one: what `next` said.
    pub before: Option<i64>,
    pub limit: Option<u32>,
}

/// A version as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub version: i64,
    pub name: String,
    pub at_ms: Millis,
    pub by: Person,
    pub reason: String,
    pub applied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<i64>,
    /// Nothing was before it.
    pub first: bool,
    /// Of a job: it was taken out.
    pub deleted: bool,
    pub changes: Vec<Short>,
    /// Of an interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<ShortJob>,
    /// Changes that are not shown here.
    pub more: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct Person {
    pub id: UserId,
    pub name: String,
}

/// One field, cut.
#[derive(Clone, Debug, Serialize)]
pub struct Short {
    pub path: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ShortJob {
    pub change: Change,
    pub id: JobId,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// The newest first.
    pub items: Vec<Step>,
    pub next: Option<i64>,
}

impl History {
    /// # Errors
    /// The database's.
    pub async fn load(app: &App, known: &Known, turned: &Turned) -> Result<History, Error> {
        let limit = turned.limit.unwrap_or(PAGE).clamp(1, PAGE);
        // One more: what the last of the page is compared with.
        let versions = store::version::page(&app.db, known.of, turned.before, limit + 1).await?;
        let shown = versions.len().min(limit as usize);
        let next = versions.get(shown).and(versions[..shown].last()).map(|last| last.version);
        let mut jobs: BTreeMap<i64, Vec<JobStep>> = BTreeMap::new();
        if let (Of::Interface(id), [newest, ..]) = (known.of, &versions[..shown]) {
            let range = (versions[shown - 1].version, newest.version);
            for step in store::version::job_steps(&app.db, id, range, JOB_STEPS_MAX).await? {
                jobs.entry(step.version).or_default().push(step);
            }
        }
        let people = store::user::names(&app.db).await?;
        let names = Names::of(&known.catalog);
        let written: Vec<Option<Mapping>> =
            versions.iter().map(|version| written(known, &names, version)).collect();
        let mut items = Vec::with_capacity(shown);
        for (at, version) in versions[..shown].iter().enumerate() {
            let before = versions.get(at + 1).zip(written.get(at + 1));
            let now = written[at].as_ref();
            let fields = match (before, now) {
                (Some((old, Some(before))), Some(now)) if !version.deleted => {
                    diff::of_spec((called(known, old), before), (called(known, version), now))
                        .fields
                }
                _ => Vec::new(),
            };
            let steps = jobs.remove(&version.version).unwrap_or_default();
            let mut step = step(known, version, (fields, steps));
            step.first = before.is_none();
            step.by.name = people.get(&version.by).cloned().unwrap_or_default();
            items.push(step);
        }
        Ok(History { items, next })
    }
}

/// None: it is of a release whose definitions this one cannot read.
fn written(known: &Known, names: &Names, version: &Version) -> Option<Mapping> {
    let (project, text) = (known.project, &version.spec);
    Some(match known.of {
        Of::Interface(_) => names.interface_spec(project, &serde_json::from_str(text).ok()?),
        Of::Job(_) => names.job_spec(project, &serde_json::from_str(text).ok()?),
        Of::Dispatch(_) => names.dispatch_spec(project, &serde_json::from_str(text).ok()?),
        Of::Calendar(_) => named::written(&serde_json::from_str::<CalendarSpec>(text).ok()?),
        Of::Host(_) => named::written(&serde_json::from_str::<HostSpec>(text).ok()?),
        Of::Project(_) => named::written(&serde_json::from_str::<ProjectSpec>(text).ok()?),
    })
}

fn called<'a>(known: &'a Known, version: &'a Version) -> &'a str {
    if version.name.is_empty() { &known.name } else { &version.name }
}

fn step(known: &Known, version: &Version, (fields, jobs): (Vec<Field>, Vec<JobStep>)) -> Step {
    let more = fields.len().saturating_sub(SHOWN_MAX) + jobs.len().saturating_sub(SHOWN_MAX);
    Step {
        version: version.version,
        name: called(known, version).to_owned(),
        at_ms: version.at_ms,
        by: Person { id: version.by, name: String::new() },
        reason: version.reason.clone(),
        applied: version.how == How::Applied,
        // Of a job of an interface it is told among its jobs.
        rolled_back_to: match (version.how, known.of) {
            (How::RolledBack(to), _) => Some(to),
            (How::JobRolledBack(job, to), Of::Job(own)) if job == own => Some(to),
            _ => None,
        },
        copy_of: match (version.how, known.of) {
            (How::Copied(id), Of::Interface(_) | Of::Dispatch(_) | Of::Calendar(_)) => Some(id),
            // The other jobs of the interface have no version then.
            (How::JobCopied(JobId(id)), Of::Job(_)) => Some(id),
            _ => None,
        },
        first: false,
        deleted: version.deleted,
        changes: fields.into_iter().take(SHOWN_MAX).map(short).collect(),
        jobs: jobs.into_iter().take(SHOWN_MAX).map(short_job).collect(),
        more,
    }
}

fn short(field: Field) -> Short {
    let side = |value: Option<serde_yaml_ng::Value>| {
        let text = diff::text(&value?);
        let cut: String = text.chars().take(CHARS_MAX).collect();
        Some(if cut.len() < text.len() { format!("{cut}…") } else { cut })
    };
    Short { path: field.path, old: side(field.old), new: side(field.new) }
}

fn short_job(step: JobStep) -> ShortJob {
    let change = match (step.was_there, step.is_there) {
        (false, _) => Change::Added,
        (true, false) => Change::Removed,
        (true, true) => Change::Changed,
    };
    ShortJob { change, id: step.job, name: step.name }
}

pub(super) async fn api(
    State(app): State<App>,
    viewer: Viewer,
    asked: About,
    Query(turned): Query<Turned>,
) -> Result<Json<serde_json::Value>> {
    let known = Known::find(&app, &viewer, asked).await?;
    let History { items, next } = History::load(&app, &known, &turned).await?;
    Ok(Json(json!({ "items": items, "next": next })))
}
