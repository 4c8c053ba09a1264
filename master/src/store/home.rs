//! What home asks: how many of what, what failed, what waits. `projects`: those that the viewer may
//! see; none means all of them.

use super::execution::of_projects;
use crate::db::{self, Db, Row, Value};
use shared::ids::*;
use std::collections::BTreeMap;

/// An execution, or a run of one, as short lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    pub execution: ExecutionId,
    pub project: ProjectId,
    pub interface: InterfaceId,
    pub period: String,
    pub state: String,
    pub created_ms: Millis,
    pub started_ms: Option<Millis>,
    pub ended_ms: Option<Millis>,
    /// Of a waiting run: JSON, its targets.
    pub waits: String,
    pub wait_until_ms: Option<Millis>,
}

type Projects<'a> = Option<&'a [ProjectId]>;

/// Executions begun since then, by state.
///
/// # Errors
/// The database's.
pub async fn states_since(
    db: &Db,
    projects: Projects<'_>,
    since: Millis,
) -> db::Result<BTreeMap<String, i64>> {
    let (clause, of) = of_projects(projects);
    let sql = format!(
        "SELECT state, COUNT(*) AS n FROM execution WHERE created_ms >= ?{clause} GROUP BY state"
    );
    counts(db.query(sql, with(since.into(), of, None)).await?)
}

/// Values in the order of their marks.
fn with(first: Value, of: Vec<Value>, limit: Option<u32>) -> Vec<Value> {
    std::iter::once(first).chain(of).chain(limit.map(Value::from)).collect()
}

fn counts(rows: Vec<Row>) -> db::Result<BTreeMap<String, i64>> {
    rows.iter().map(|row| Ok((row.text("state")?.to_owned(), row.int("n")?))).collect()
}

/// Executions begun since then: when, and their state; for the day's hours.
///
/// # Errors
/// The database's.
pub async fn begun_since(
    db: &Db,
    projects: Projects<'_>,
    since: Millis,
    limit: u32,
) -> db::Result<Vec<(Millis, String)>> {
    let (clause, of) = of_projects(projects);
    let sql = format!(
        "SELECT created_ms, state FROM execution WHERE created_ms >= ?{clause} \
         ORDER BY created_ms LIMIT ?"
    );
    let rows = db.query(sql, with(since.into(), of, Some(limit))).await?;
    rows.iter().map(|row| Ok((row.int("created_ms")?, row.text("state")?.to_owned()))).collect()
}

/// The newest executions that failed or were stopped since then.
///
/// # Errors
/// The database's.
pub async fn failed_since(
    db: &Db,
    projects: Projects<'_>,
    since: Millis,
    limit: u32,
) -> db::Result<Vec<Seen>> {
    let (clause, of) = of_projects(projects);
    let sql = format!(
        "SELECT id AS execution_id, project_id, interface_id, period, state, created_ms, \
         created_ms AS started_ms, ended_ms, '' AS waits, NULL AS wait_until_ms \
         FROM execution WHERE state IN ('failed', 'stopped') AND created_ms >= ?{clause} \
         ORDER BY created_ms DESC LIMIT ?"
    );
    seen(db.query(sql, with(since.into(), of, Some(limit))).await?)
}

/// Runs that have waited longest.
///
/// # Errors
/// The database's.
pub async fn waiting(db: &Db, projects: Projects<'_>, limit: u32) -> db::Result<Vec<Seen>> {
    runs(db, "waiting", "created_ms", (projects, limit)).await
}

/// Runs that have been running longest.
///
/// # Errors
/// The database's.
pub async fn running(db: &Db, projects: Projects<'_>, limit: u32) -> db::Result<Vec<Seen>> {
    runs(db, "running", "started_ms", (projects, limit)).await
}

async fn runs(
    db: &Db,
    state: &'static str,
    order: &'static str,
    (projects, limit): (Projects<'_>, u32),
) -> db::Result<Vec<Seen>> {
    let (clause, of) = of_projects(projects);
    let sql = format!(
        "SELECT execution_id, project_id, interface_id, period, state, created_ms, started_ms, \
         ended_ms, waits, wait_until_ms FROM run WHERE state = '{state}'{clause} ORDER BY {order} LIMIT ?"
    );
    let values = of.into_iter().chain([limit.into()]).collect::<Vec<_>>();
    seen(db.query(sql, values).await?)
}

fn seen(rows: Vec<Row>) -> db::Result<Vec<Seen>> {
    rows.iter()
        .map(|row| {
            Ok(Seen {
                execution: ExecutionId(row.int("execution_id")?),
                project: ProjectId(row.int("project_id")?),
                interface: InterfaceId(row.int("interface_id")?),
                period: row.text("period")?.to_owned(),
                state: row.text("state")?.to_owned(),
                created_ms: row.int("created_ms")?,
                started_ms: row.opt_int("started_ms")?,
                ended_ms: row.opt_int("ended_ms")?,
                waits: row.text("waits")?.to_owned(),
                wait_until_ms: row.opt_int("wait_until_ms")?,
            })
        })
        .collect()
}
