//! What is stale: runs that were fed by a generation which has been made anew since.
//!
//! Found by the index of the mark alone: what is not stale is not looked at.

use super::execution::of_projects;
use crate::db::{self, Db, Value, params};
use shared::ids::*;
use shared::period::Period;

/// Runs in one answer.
pub const PAGE_MAX: usize = 100;
/// So many are counted; then it is "as many or more".
pub const COUNT_MAX: i64 = 1_000;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub run: RunId,
    pub execution: ExecutionId,
    pub interface: InterfaceId,
    pub period: Period,
    pub period_ms: Millis,
    pub generation: i64,
    pub state: String,
    pub ended: Option<Millis>,
}

/// The last one of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub interface: InterfaceId,
    pub period_ms: Millis,
    pub run: RunId,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}~{}~{}", self.interface, self.period_ms, self.run)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let mut parts = text.split('~');
        let mut read = || -> Option<Cursor> {
            Some(Cursor {
                interface: parts.next()?.parse().ok()?,
                period_ms: parts.next()?.parse().ok()?,
                run: parts.next()?.parse().ok()?,
            })
        };
        read().ok_or_else(|| "this is no cursor: leave it out to begin at the first page".into())
    }
}

/// By interface and period; `limit` + 1 rows tell whether there is a next page. `projects`: those
/// that the viewer may see; none means all.
///
/// # Errors
/// The database's.
pub async fn list(
    db: &Db,
    projects: Option<&[ProjectId]>,
    interface: Option<InterfaceId>,
    after: Option<Cursor>,
    limit: usize,
) -> db::Result<Vec<Stale>> {
    let (clause, of) = of_projects(projects);
    let mut sql = format!(
        "SELECT id, execution_id, interface_id, period, period_ms, generation, state, ended_ms \
         FROM run WHERE stale = 1{clause}"
    );
    let mut values: Vec<Value> = of;
    if let Some(interface) = interface {
        sql.push_str(" AND interface_id = ?");
        values.push(interface.into());
    }
    if let Some(Cursor { interface, period_ms, run }) = after {
        let last = params![interface, period_ms, run];
        let (beyond, bound) = super::read::beyond(&["interface_id", "period_ms", "id"], &last);
        sql.push_str(&format!(" AND {beyond}"));
        values.extend(bound);
    }
    let limit = limit.min(PAGE_MAX + 1);
    sql.push_str(&format!(" ORDER BY interface_id, period_ms, id LIMIT {limit}"));
    let read = |row: &db::Row| {
        Ok(Stale {
            run: RunId(row.int("id")?),
            execution: ExecutionId(row.int("execution_id")?),
            interface: InterfaceId(row.int("interface_id")?),
            period: row.parsed("period")?,
            period_ms: row.int("period_ms")?,
            generation: row.int("generation")?,
            state: row.text("state")?.to_owned(),
            ended: row.opt_int("ended_ms")?,
        })
    };
    db.query(sql, values).await?.iter().map(read).collect()
}

/// How many there are, up to [`COUNT_MAX`].
///
/// # Errors
/// The database's.
pub async fn count(db: &Db, projects: Option<&[ProjectId]>) -> db::Result<i64> {
    let (clause, of) = of_projects(projects);
    let sql = format!(
        "SELECT COUNT(*) AS n FROM \
         (SELECT 1 FROM run WHERE stale = 1{clause} LIMIT {COUNT_MAX}) AS some"
    );
    db.first(sql, of).await?.map_or(Ok(0), |row| row.int("n"))
}

/// Executions that made the first [`COUNT_MAX`] of them: a list is narrowed to these.
///
/// # Errors
/// The database's.
pub async fn executions(db: &Db, projects: Option<&[ProjectId]>) -> db::Result<Vec<ExecutionId>> {
    let (clause, of) = of_projects(projects);
    let sql = format!(
        "SELECT DISTINCT execution_id FROM \
         (SELECT execution_id FROM run WHERE stale = 1{clause} LIMIT {COUNT_MAX}) AS some"
    );
    let rows = db.query(sql, of).await?;
    rows.iter().map(|row| Ok(ExecutionId(row.int("execution_id")?))).collect()
}
