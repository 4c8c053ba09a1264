//! What home asks: how many of what, what failed, what waits.

use crate::db::{self, Db, Row, params};
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

/// Executions begun since then, by state.
///
/// # Errors
/// The database's.
pub async fn states_since(db: &Db, since: Millis) -> db::Result<BTreeMap<String, i64>> {
    let sql = "SELECT state, COUNT(*) AS n FROM execution WHERE created_ms >= ? GROUP BY state";
    counts(db.query(sql, params![since]).await?)
}

/// Live runs, by state, and runs that failed since then.
///
/// # Errors
/// The database's.
pub async fn counters(db: &Db, since: Millis) -> db::Result<BTreeMap<String, i64>> {
    let sql = "SELECT state, COUNT(*) AS n FROM execution \
               WHERE state IN ('waiting', 'ready', 'running') GROUP BY state";
    let mut all = counts(db.query(sql, vec![]).await?)?;
    let sql = "SELECT state, COUNT(*) AS n FROM execution \
               WHERE state = 'failed' AND created_ms >= ? GROUP BY state";
    all.extend(counts(db.query(sql, params![since]).await?)?);
    Ok(all)
}

fn counts(rows: Vec<Row>) -> db::Result<BTreeMap<String, i64>> {
    rows.iter().map(|row| Ok((row.text("state")?.to_owned(), row.int("n")?))).collect()
}

/// Executions begun since then: when, and their state; for the day's hours.
///
/// # Errors
/// The database's.
pub async fn begun_since(db: &Db, since: Millis, limit: u32) -> db::Result<Vec<(Millis, String)>> {
    let sql = "SELECT created_ms, state FROM execution WHERE created_ms >= ? \
               ORDER BY created_ms LIMIT ?";
    let rows = db.query(sql, params![since, limit]).await?;
    rows.iter().map(|row| Ok((row.int("created_ms")?, row.text("state")?.to_owned()))).collect()
}

/// The newest executions that failed or were stopped since then.
///
/// # Errors
/// The database's.
pub async fn failed_since(db: &Db, since: Millis, limit: u32) -> db::Result<Vec<Seen>> {
    let sql = "SELECT id AS execution_id, project_id, interface_id, period, state, created_ms, \
               created_ms AS started_ms, ended_ms, '' AS waits, NULL AS wait_until_ms \
               FROM execution WHERE state IN ('failed', 'stopped') AND created_ms >= ? \
               ORDER BY created_ms DESC LIMIT ?";
    seen(db.query(sql, params![since, limit]).await?)
}

/// Runs that have waited longest.
///
/// # Errors
/// The database's.
pub async fn waiting(db: &Db, limit: u32) -> db::Result<Vec<Seen>> {
    let sql = "SELECT execution_id, project_id, interface_id, period, state, created_ms, \
               started_ms, ended_ms, waits, wait_until_ms FROM run WHERE state = 'waiting' \
               ORDER BY created_ms LIMIT ?";
    seen(db.query(sql, params![limit]).await?)
}

/// Runs that have been running longest.
///
/// # Errors
/// The database's.
pub async fn running(db: &Db, limit: u32) -> db::Result<Vec<Seen>> {
    let sql = "SELECT execution_id, project_id, interface_id, period, state, created_ms, \
               started_ms, ended_ms, waits, wait_until_ms FROM run WHERE state = 'running' \
               ORDER BY started_ms LIMIT ?";
    seen(db.query(sql, params![limit]).await?)
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
