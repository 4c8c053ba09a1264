//! Verbs: what people and programs ask the leader to do, and what it would do (the dry run of the
//! very call).
//!
//! `POST /api/v1/commands` puts a row into the `command` table and waits a little for the leader's
//! answer; the table is the audit trail of operations (`GET`). The body is the verb itself,
//! `{"verb": "stop_execution", "execution": "…", "dry_run": true}`.

use super::Routes;
use super::auth::{Means, Right, Viewer};
use super::error::{Error, Result};
use crate::app::App;
use crate::bus::Topic;
use crate::engine::backfill::{self, BackfillSpec};
use crate::engine::params;
use crate::engine::rows::{Command, CommandResult, Part, Verb};
use crate::engine::validate::PRIORITY_MAX;
use crate::store;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::{FieldError, check::is_variable};
use shared::period::Period;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a request waits for the leader.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const REASON_CHARS_MAX: usize = 500;
const PAGE_MAX: u32 = 200;

pub(super) fn routes() -> Routes {
    Routes::default()
        // Which right depends on the verb: [`right_of`], in the project of what it is about.
        .post("/api/v1/commands", Right::View, give)
        .get("/api/v1/commands", Right::View, list)
        .get("/api/v1/commands/{id}", Right::View, show)
}

async fn give(State(app): State<App>, viewer: Viewer, Json(body): Json<Value>) -> Result {
    let (verb, dry_run) = read(body, &viewer)?;
    let name = store::command::name(&verb);
    let (id, answer) = ask(&app, &viewer, verb, dry_run).await?;
    let verb = name;
    Ok(match answer {
        Some(answer) => {
            // A dry run is never done; it may be refused.
            let refused = answer.plan.refused.is_some() || !(answer.done || dry_run);
            let result = if refused { "refused" } else { "done" };
            Json(json!({ "id": id, "verb": verb, "dry_run": dry_run, "at_ms": answer.at,
                "result": result, "plan": answer.plan }))
            .into_response()
        }
        None => pending(id, &verb, dry_run),
    })
}

/// Writes the command down, and waits a little for the leader's answer.
///
/// # Errors
/// The viewer may not; what it is about is not there; the database's.
pub(super) async fn ask(
    app: &App,
    viewer: &Viewer,
    verb: Verb,
    dry_run: bool,
) -> Result<(CommandId, Option<CommandResult>), Error> {
    let project = project_of(app, viewer, &verb).await?;
    viewer.must(right_of(&verb), project)?;
    if let Verb::Backfill { spec } = &verb {
        let mut errors = backfill::check(&*app.catalog().await?, spec);
        errors.iter_mut().for_each(|error| error.path = format!("spec.{}", error.path));
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
    }
    let command = Command { project, by: viewer.id, verb, dry_run };
    let id = store::command::insert(&app.db, &command, app.clock.wall_ms()).await?;
    app.bus.nudge(Topic::Command);
    Ok((id, store::command::wait(&app.db, id, ANSWER_WITHIN).await?))
}

/// Nobody leads just now, or the leader is busy: the command stands, and will be obeyed.
fn pending(id: CommandId, verb: &str, dry_run: bool) -> Response {
    let detail = "no leader has answered yet; the command is written down and will be obeyed";
    let body = json!({ "id": id, "verb": verb, "dry_run": dry_run, "result": null,
        "detail": detail });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// # Errors
/// No verb of ours, or a field of it that is not understood, by its path.
fn read(mut body: Value, viewer: &Viewer) -> Result<(Verb, bool), Error> {
    let dry_run = match body.as_object_mut().and_then(|body| body.remove("dry_run")) {
        None => false,
        Some(Value::Bool(dry_run)) => dry_run,
        Some(_) => {
            let error = FieldError::new("dry_run", "true or false is expected");
            return Err(Error::invalid(vec![error]));
        }
    };
    let errors = wrong_fields(&body);
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    let fields: Vec<String> =
        body.as_object().map(|body| body.keys().cloned().collect()).unwrap_or_default();
    let mut verb: Verb = serde_json::from_value(body).map_err(|error| {
        let message = error.to_string();
        // serde names the field that is missing; all else is about the verb itself.
        let path = match message.strip_prefix("missing field `") {
            Some(rest) => rest.split('`').next().unwrap_or("verb").to_owned(),
            None => "verb".to_owned(),
        };
        Error::invalid(vec![FieldError::new(path, message)])
    })?;
    let errors = unasked_fields(&fields, &verb);
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    match &mut verb {
        // Who asks decides it, not what is asked.
        Verb::RunNow { api, params, .. } | Verb::RunPart { api, params, .. } => {
            *api = viewer.means == Means::Token;
            // With a cascade they reach interfaces that declare other names: any name may be given.
            let errors = params::check(params, &is_variable);
            if !errors.is_empty() {
                return Err(Error::invalid(errors));
            }
        }
        Verb::Prioritize { priority, .. } if !(-PRIORITY_MAX..=PRIORITY_MAX).contains(priority) => {
            let message = format!("a number from -{PRIORITY_MAX} to {PRIORITY_MAX} is expected");
            return Err(Error::invalid(vec![FieldError::new("priority", message)]));
        }
        Verb::MarkSuccess { reason, .. } | Verb::Skip { reason, .. } => {
            *reason = reason.trim().to_owned();
            let long = reason.chars().count();
            if long == 0 || long > REASON_CHARS_MAX {
                let message = format!("a reason of 1 to {REASON_CHARS_MAX} characters is expected");
                return Err(Error::invalid(vec![FieldError::new("reason", message)]));
            }
        }
        _ => {}
    }
    Ok((verb, dry_run))
}

/// Fields that are there and cannot be: a tagged enum does not tell where it stopped.
fn wrong_fields(body: &Value) -> Vec<FieldError> {
    fn of<T: DeserializeOwned>(value: &Value) -> Option<String> {
        serde_json::from_value::<T>(value.clone()).err().map(|error| error.to_string())
    }
    type Check = fn(&Value) -> Option<String>;
    const FIELDS: [(&str, Check); 16] = [
        ("execution", of::<ExecutionId>),
        ("run", of::<RunId>),
        ("interface", of::<InterfaceId>),
        ("job", of::<JobId>),
        ("dispatch", of::<DispatchId>),
        ("host", of::<HostId>),
        ("period", of::<Period>),
        ("cascade", of::<bool>),
        ("all", of::<bool>),
        ("part", of::<Part>),
        ("missing_only", of::<bool>),
        ("priority", of::<i32>),
        ("params", of::<BTreeMap<String, String>>),
        ("backfill", of::<CommandId>),
        ("spec", of::<BackfillSpec>),
        ("stop", of::<bool>),
    ];
    let found = FIELDS.iter().filter_map(|(name, check)| {
        let message = check(body.get(name)?)?;
        Some(FieldError::new(*name, message))
    });
    found.collect()
}

/// Fields that this verb does not have: `dryrun` for `dry_run` must not be a run in earnest.
fn unasked_fields(fields: &[String], verb: &Verb) -> Vec<FieldError> {
    let own = serde_json::to_value(verb).unwrap_or_default();
    let unasked = fields.iter().filter(|name| own.get(name.as_str()).is_none());
    let wrong = |name: &String| {
        let shown: String = name.chars().take(40).collect();
        FieldError::new(shown, "this verb has no such field")
    };
    unasked.map(wrong).collect()
}

fn right_of(verb: &Verb) -> Right {
    match verb {
        Verb::PauseDispatch { .. } | Verb::ResumeDispatch { .. } => Right::Schedule,
        Verb::Retire { .. } => Right::Write,
        _ => Right::Execute,
    }
}

/// Whose it is.
///
/// # Errors
/// It is not there, by the field that names it.
async fn project_of(app: &App, viewer: &Viewer, verb: &Verb) -> Result<ProjectId, Error> {
    let (path, what, found) = whose(app, verb).await?;
    // What somebody may not see is not there for them.
    found.filter(|project| viewer.sees(*project)).ok_or_else(|| {
        Error::invalid(vec![FieldError::new(path, format!("there is no {path} {what}"))])
    })
}

/// The field that names what a verb is about, its value, and the project.
async fn whose(app: &App, verb: &Verb) -> Result<(&'static str, String, Option<ProjectId>), Error> {
    Ok(match verb {
        Verb::RunNow { interface, .. } | Verb::RunPart { interface, .. } => {
            let catalog = app.catalog().await?;
            let project = catalog.interfaces.get(interface).map(|found| found.project);
            ("interface", interface.to_string(), project)
        }
        Verb::StopExecution { execution }
        | Verb::ResumeExecution { execution }
        | Verb::Reset { execution }
        | Verb::PauseExecution { execution }
        | Verb::StartExecution { execution } => {
            let found = store::execution::find(&app.db, *execution).await?;
            ("execution", execution.to_string(), found.map(|found| found.project))
        }
        Verb::Stop { run }
        | Verb::Resume { run }
        | Verb::Pause { run }
        | Verb::Unpause { run }
        | Verb::Prioritize { run, .. }
        | Verb::Kill { run, .. }
        | Verb::MarkSuccess { run, .. }
        | Verb::Skip { run, .. }
        | Verb::Force { run, .. }
        | Verb::Follow { run, .. }
        | Verb::Abandon { run, .. } => {
            let found = store::execution::runs(&app.db, &[*run]).await?;
            ("run", run.to_string(), found.first().map(|found| found.project))
        }
        Verb::PauseDispatch { dispatch }
        | Verb::ResumeDispatch { dispatch }
        | Verb::RunDispatch { dispatch, .. } => {
            let catalog = app.catalog().await?;
            let project = catalog.dispatches.get(dispatch).map(|found| found.project);
            ("dispatch", dispatch.to_string(), project)
        }
        Verb::Backfill { spec } => {
            let catalog = app.catalog().await?;
            let project = catalog.interfaces.get(&spec.interface).map(|found| found.project);
            ("interface", spec.interface.to_string(), project)
        }
        Verb::PauseBackfill { backfill }
        | Verb::ResumeBackfill { backfill }
        | Verb::CancelBackfill { backfill, .. } => {
            let found = store::backfill::find(&app.db, *backfill).await?;
            ("backfill", backfill.to_string(), found.map(|found| found.project))
        }
        Verb::Retire { host } => {
            let catalog = app.catalog().await?;
            ("host", host.to_string(), catalog.hosts.get(host).map(|found| found.project))
        }
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    cursor: Option<CommandId>,
    limit: Option<u32>,
}

/// Newest first.
async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let limit = asked.limit.unwrap_or(50).clamp(1, PAGE_MAX);
    let rows = store::command::list(&app.db, asked.cursor, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.id.to_string());
    let seen = rows.iter().filter(|row| viewer.sees(row.project));
    let items: Vec<Value> = seen.map(item).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<CommandId>,
) -> Result<Json<Value>> {
    let row = store::command::find(&app.db, id).await?.filter(|row| viewer.sees(row.project));
    row.map(|row| Json(item(&row))).ok_or_else(|| Error::not_found(format!("command {id}")))
}

fn item(row: &store::command::Listed) -> Value {
    json!({
        "id": row.id, "project": row.project, "verb": row.verb, "args": row.args,
        "by": { "id": row.by, "name": row.by_name }, "at_ms": row.at,
        "result": row.result, "plan": row.plan, "done_ms": row.done,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer() -> Viewer {
        Viewer {
            scope: None,
            id: UserId(1),
            name: "a".into(),
            title: String::new(),
            rights: BTreeMap::new(),
            means: Means::Token,
            zone: chrono_tz::Tz::UTC,
            address: String::new(),
        }
    }

    fn wrong(body: Value) -> Vec<String> {
        let error = read(body, &viewer()).unwrap_err();
        error.problem().errors.iter().map(|error| error.path.clone()).collect()
    }

    #[test]
    fn a_slip_of_the_pen_is_no_command() {
        let run = |more: Value| {
            let mut body = json!({"verb": "run_now", "interface": 1, "period": "2026-11-20"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let (verb, dry_run) = read(run(json!({"dry_run": true})), &viewer()).unwrap();
        assert!(dry_run && matches!(verb, Verb::RunNow { api: true, .. }));
        assert_eq!(wrong(run(json!({"dryrun": true}))), ["dryrun"]);
        assert_eq!(wrong(run(json!({"params": {"a b": "x"}}))), ["params.a b"]);
        assert_eq!(wrong(run(json!({"period": "tomorrow"}))), ["period"]);
        assert_eq!(wrong(json!({"verb": "stop", "run": "7", "execution": "x"})).len(), 2);
        assert_eq!(wrong(json!([1, 2])), ["verb"]);
        let first = |priority: Value| json!({"verb": "prioritize", "run": RunId(7).to_string(), "priority": priority});
        assert!(read(first(json!(1000)), &viewer()).is_ok());
        assert_eq!(wrong(first(json!(1001))), ["priority"]);
        assert_eq!(wrong(first(json!(i32::MIN))), ["priority"]);
        assert_eq!(wrong(first(json!("high"))), ["priority"]);
    }
}
