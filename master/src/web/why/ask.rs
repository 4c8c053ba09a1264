//! What is asked about: a text of a person or a link, read as a question.

use super::Asked;
use crate::app::App;
use crate::engine::calendar;
use crate::engine::catalog::{Catalog, Dispatch, Interface};
use crate::engine::explain::Question;
use crate::store;
use crate::web::auth::Viewer;
use crate::web::error::{Error, Result};
use chrono::{DateTime, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::FieldError;
use shared::period::{Cut, Period};
use std::sync::Arc;

const CHARS_MAX: usize = 300;

/// # Errors
/// What is not understood, beside its field; or there is no such thing that the viewer may see.
pub(super) async fn read(app: &App, viewer: &Viewer, asked: &Asked) -> Result<Question, Error> {
    let (what, when) = (asked.what.trim(), asked.when.trim());
    if what.is_empty() || what.len() > CHARS_MAX || when.len() > CHARS_MAX {
        return Err(wrong(
            "what",
            "a dispatch, an interface, an execution or a job run is expected",
        ));
    }
    if let Ok(execution) = what.parse::<ExecutionId>() {
        return of_execution(app, viewer, execution, when).await;
    }
    if let Some(id) = job_run(what) {
        return of_job(app, viewer, id).await;
    }
    let catalog = app.catalog().await?;
    // `orders/2026-11-20` is one word.
    let cut = what.rsplit_once('/').filter(|(_, period)| period.parse::<Period>().is_ok());
    let (name, when) = match cut {
        Some((name, period)) if when.is_empty() => (name, period),
        _ => (what, when),
    };
    let now = app.clock.wall_ms();
    let found = (dispatch(&catalog, viewer, name)?, interface(&catalog, viewer, name)?);
    match found {
        (Some(_), Some(_)) => Err(wrong(
            "what",
            format!(
                "{name:?} names a dispatch and an interface: write dispatch:{name} or interface:{name}"
            ),
        )),
        (Some(found), None) => of_dispatch(&found, when, now),
        (None, Some(found)) => of_interface(&catalog, &found, when, now),
        (None, None) => Err(Error::not_found(format!("dispatch or interface {name:?}"))),
    }
}

/// Of 1 January 2200.
const YEAR_2200_MS: Millis = 7_258_118_400_000;

fn wrong(path: &str, message: impl Into<String>) -> Error {
    Error::invalid(vec![FieldError::new(path, message)])
}

/// As programs read it again.
pub(super) fn told(question: Question) -> Value {
    match question {
        Question::Instant(dispatch, at) => {
            json!({ "dispatch": dispatch, "instant_ms": at, "what": format!("dispatch:{dispatch}"), "when": utc(at) })
        }
        Question::Instants(dispatch, period) => {
            json!({ "dispatch": dispatch, "period": period, "what": format!("dispatch:{dispatch}"), "when": period })
        }
        Question::Period(interface, period) => {
            json!({ "interface": interface, "period": period, "what": format!("interface:{interface}"), "when": period })
        }
        Question::Execution(execution) => {
            json!({ "execution": execution, "what": execution, "when": "" })
        }
        Question::Job(JobRunId { run, job }) => {
            json!({ "run": run, "job": job, "what": format!("{run}-{job}"), "when": "" })
        }
    }
}

/// `2026-11-20T02:00:00Z`
pub(super) fn utc(at: Millis) -> String {
    let at = DateTime::from_timestamp_millis(at).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `RUN-JOB` as pages name it, or an attempt of it.
fn job_run(text: &str) -> Option<JobRunId> {
    let mut parts = text.split('-');
    let (run, job) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let rest = parts.count();
    (rest == 0 || rest == 2).then_some(JobRunId { run, job })
}

async fn of_execution(
    app: &App,
    viewer: &Viewer,
    id: ExecutionId,
    job: &str,
) -> Result<Question, Error> {
    let missing = || Error::not_found(format!("execution {id}"));
    let Some(found) = store::execution::find(&app.db, id).await? else {
        // Runs have ids of the same kind.
        let run = store::execution::runs(&app.db, &[RunId(id.0)]).await?.pop();
        let run = run.filter(|run| viewer.sees(run.project)).ok_or_else(missing)?;
        return Ok(Question::Period(run.interface, run.period));
    };
    if !viewer.sees(found.project) {
        return Err(missing());
    }
    if job.is_empty() {
        return Ok(Question::Execution(id));
    }
    let catalog = app.catalog().await?;
    let runs = store::execution::runs(&app.db, &found.runs).await?;
    let mut jobs = Vec::new();
    for run in &runs {
        let Some(interface) = catalog.interfaces.get(&run.interface) else { continue };
        let named = interface
            .jobs
            .iter()
            .filter(|one| one.name == job || format!("{}/{}", interface.name, one.name) == job);
        jobs.extend(named.map(|one| JobRunId { run: run.id, job: one.id }));
    }
    match jobs[..] {
        [one] => Ok(Question::Job(one)),
        [] => Err(wrong("when", format!("execution {id} has no job {job:?}"))),
        _ => Err(wrong("when", format!("several jobs are called {job:?}: write interface/job"))),
    }
}

async fn of_job(app: &App, viewer: &Viewer, id: JobRunId) -> Result<Question, Error> {
    let run = store::execution::runs(&app.db, &[id.run]).await?.pop();
    let run = run.filter(|run| viewer.sees(run.project));
    run.map(|_| Question::Job(id)).ok_or_else(|| Error::not_found(format!("run {}", id.run)))
}

fn dispatch(
    catalog: &Catalog,
    viewer: &Viewer,
    name: &str,
) -> Result<Option<Arc<Dispatch>>, Error> {
    let Some(name) = of_kind(name, "dispatch", "interface") else { return Ok(None) };
    let seen = catalog.dispatches.values().filter(|found| viewer.sees(found.project));
    let all: Vec<_> = seen.map(|found| (found.id.0, found.name.as_str(), found)).collect();
    one(all, name)
}

fn interface(
    catalog: &Catalog,
    viewer: &Viewer,
    name: &str,
) -> Result<Option<Arc<Interface>>, Error> {
    let Some(name) = of_kind(name, "interface", "dispatch") else { return Ok(None) };
    let seen = catalog.interfaces.values().filter(|found| viewer.sees(found.project));
    let all: Vec<_> = seen.map(|found| (found.id.0, found.name.as_str(), found)).collect();
    one(all, name)
}

/// Without `dispatch:` before it; none if it says that it is of the other kind.
fn of_kind<'a>(name: &'a str, kind: &str, other: &str) -> Option<&'a str> {
    let after = |kind: &str| name.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':'));
    match (after(kind), after(other)) {
        (Some(own), _) => Some(own.trim()),
        (None, Some(_)) => None,
        (None, None) => Some(name),
    }
}

/// By name, or else by id.
fn one<T>(all: Vec<(i64, &str, &Arc<T>)>, name: &str) -> Result<Option<Arc<T>>, Error> {
    let named: Vec<_> = all.iter().filter(|(_, own, _)| *own == name).collect();
    match named[..] {
        [(.., found)] => Ok(Some(Arc::clone(found))),
        [] => {
            let id = name.parse::<i64>().ok();
            let found = all.iter().find(|(own, ..)| Some(*own) == id);
            Ok(found.map(|(.., found)| Arc::clone(found)))
        }
        _ => {
            let ids: Vec<String> = named.iter().map(|(id, ..)| id.to_string()).collect();
            let ids = ids.join(", ");
            Err(wrong("what", format!("{name:?} names several ({ids}): give the id")))
        }
    }
}

fn of_interface(
    catalog: &Catalog,
    found: &Interface,
    when: &str,
    now: Millis,
) -> Result<Question, Error> {
    if when.is_empty() {
        let natural = || Cut::natural(found.spec.granularity, Tz::UTC);
        let cut = catalog.cut(&found.spec).unwrap_or_else(|_| natural());
        let current = cut.containing(now);
        return Ok(Question::Period(found.id, cut.offset(current, -1).unwrap_or(current)));
    }
    let period = when.parse::<Period>().map_err(|error| wrong("when", error.to_string()))?;
    Ok(Question::Period(found.id, period))
}

/// A time is an instant; a date, a week, a month or an hour is a period.
fn of_dispatch(found: &Dispatch, when: &str, now: Millis) -> Result<Question, Error> {
    let zone = calendar::zone(&found.spec.zone).unwrap_or(Tz::UTC);
    if when.is_empty() {
        let last = calendar::parse(&found.spec.cron).ok().and_then(|cron| {
            let before = calendar::before(&cron, zone, now + 1);
            before.or_else(|| calendar::next_after(&cron, zone, now))
        });
        return Ok(Question::Instant(found.id, last.unwrap_or(now)));
    }
    match moment(when, zone)? {
        Some(at) => Ok(Question::Instant(found.id, at)),
        None => {
            let period = when.parse::<Period>().map_err(|_| {
                wrong(
                    "when",
                    format!("{when:?} is neither a time (2026-11-20T02:00, with or without an offset) nor a period (2026-11-20)"),
                )
            })?;
            Ok(Question::Instants(found.id, period))
        }
    }
}

/// `2026-11-20T02:00`, with seconds, with a blank, with an offset; without one the dispatch's clock.
fn moment(text: &str, zone: Tz) -> Result<Option<Millis>, Error> {
    // As links have it: milliseconds since 1970.
    if let (Ok(at), true) = (text.parse::<Millis>(), text.len() > 10) {
        return match (0..YEAR_2200_MS).contains(&at) {
            true => Ok(Some(at)),
            false => Err(wrong("when", "a time between 1970 and 2200 is expected")),
        };
    }
    let text = text.replacen(' ', "T", 1);
    for format in ["%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%dT%H:%M%:z"] {
        let with_offset =
            text.strip_suffix('Z').map_or_else(|| text.clone(), |it| format!("{it}+00:00"));
        if let Ok(at) = DateTime::parse_from_str(&with_offset, format) {
            return Ok(Some(at.timestamp_millis()));
        }
    }
    let local = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok());
    let Some(local) = local else { return Ok(None) };
    match zone.from_local_datetime(&local).earliest() {
        Some(at) => Ok(Some(at.timestamp_millis())),
        None => Err(wrong("when", format!("the clocks of {} skip {local}", zone.name()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_the_zone_of_the_dispatch_or_with_its_offset() {
        let zone = Tz::Asia__Shanghai;
        for (text, expect) in [
            ("2026-11-20T02:00", Some("2026-11-19T18:00:00Z")),
            ("2026-11-20 02:00:05", Some("2026-11-19T18:00:05Z")),
            ("2026-11-20T02:00+00:00", Some("2026-11-20T02:00:00Z")),
            ("2026-11-20T02:00:00Z", Some("2026-11-20T02:00:00Z")),
            ("1794997600000", Some("2026-11-18T10:26:40Z")),
            ("2026-11-20", None),
            ("2026-11-20T02+08:00", None),
            ("2026-W47", None),
            ("yesterday", None),
        ] {
            let found = moment(text, zone).ok().flatten().map(utc);
            assert_eq!(found.as_deref(), expect, "{text}");
        }
        let skipped = moment("2027-03-28T02:30", Tz::Europe__Paris).unwrap_err();
        assert!(skipped.problem().errors[0].message.contains("skip"), "{skipped:?}");
    }

    #[test]
    fn a_job_run_is_a_run_and_a_job_or_an_attempt_of_it() {
        let run = RunId(7).to_string();
        let id = JobRunId { run: RunId(7), job: JobId(3) };
        assert_eq!(job_run(&format!("{run}-3")), Some(id));
        assert_eq!(job_run(&format!("{run}-3-1-9")), Some(id));
        assert_eq!(job_run(&format!("{run}-3-1")), None);
        assert_eq!(job_run("nightly-3"), None);
    }
}
