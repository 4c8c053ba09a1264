//! Exec hosts: their rows, and what the leader last heard of them.

use super::edit::Edit;
use super::interface::{self, Meta, json};
use crate::db::{self, Db, Write, guard, params, sql};
use shared::ids::*;
use shared::spec::HostSpec;
use shared::wire::HostFacts;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: HostId,
    /// 0: shared by all projects.
    pub project: ProjectId,
    pub name: &'a str,
    /// As in its certificate; empty until it has been met.
    pub agent: &'a str,
    pub spec: &'a HostSpec,
}

/// # Errors
/// The spec cannot be written.
pub fn insert(put: &Put, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        sql(
            "INSERT INTO host (id, project_id, name, agent, spec, version, deleted_ms, \
             updated_ms, updated_by) VALUES (?, ?, ?, ?, ?, 1, NULL, ?, ?)",
            params![put.id, put.project, put.name, put.agent, json(put.spec)?, edit.at, edit.by],
        ),
        edit.revision(),
        edit.audit(put.project, "create", ("host", put.id.0), put.name),
    ])
}

/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE host SET name = ?, spec = ?, version = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![put.name, json(put.spec)?, from + 1, edit.at, edit.by, put.id, from],
        ),
        edit.revision(),
        edit.audit(put.project, "update", ("host", put.id.0), put.name),
    ])
}

pub fn delete(
    id: HostId,
    from: i64,
    (project, name): (ProjectId, &str),
    edit: &Edit,
) -> Vec<Write> {
    vec![
        guard(
            "UPDATE host SET name = ?, deleted_ms = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![format!("{name} (deleted {id})"), edit.at, edit.at, edit.by, id, from],
        ),
        edit.revision(),
        edit.audit(project, "delete", ("host", id.0), name),
    ]
}

/// Of all current hosts.
///
/// # Errors
/// The database's.
pub async fn metas(db: &Db) -> db::Result<BTreeMap<i64, Meta>> {
    let sql = "SELECT id, version, updated_ms, updated_by FROM host WHERE deleted_ms IS NULL";
    interface::read_metas(db, sql).await
}

/// What the leader last heard of a host.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Status {
    pub state: String,
    pub heard_ms: Millis,
    pub incarnation: String,
    pub why: String,
    pub facts: Option<HostFacts>,
}

/// # Errors
/// The database's.
pub async fn statuses(db: &Db) -> db::Result<BTreeMap<i64, Status>> {
    let sql = "SELECT host_id, state, heard_ms, incarnation, why, facts FROM host_status";
    let rows = db.query(sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            let status = Status {
                state: row.text("state")?.to_owned(),
                heard_ms: row.int("heard_ms")?,
                incarnation: row.text("incarnation")?.to_owned(),
                why: row.text("why")?.to_owned(),
                // Written by a leader of another version, perhaps: shown if understood.
                facts: serde_json::from_str(row.text("facts")?).ok(),
            };
            Ok((row.int("host_id")?, status))
        })
        .collect()
}

/// A job that a host has now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Running {
    pub host: HostId,
    pub run: RunId,
    pub execution: ExecutionId,
    pub interface: InterfaceId,
    pub job: JobId,
    pub period: String,
    pub state: String,
    pub number: i64,
    pub started_ms: Option<Millis>,
}

/// What all hosts have now, at most `limit` jobs.
///
/// # Errors
/// The database's.
pub async fn running(db: &Db, limit: u32) -> db::Result<Vec<Running>> {
    let sql = "SELECT j.host_id, j.run_id, j.job_id, j.state, j.number, j.started_ms, \
               r.execution_id, r.interface_id, r.period FROM job_run j \
               JOIN run r ON r.id = j.run_id \
               WHERE j.state IN ('assigned', 'running', 'stopping') AND j.host_id IS NOT NULL \
               ORDER BY j.started_ms LIMIT ?";
    let rows = db.query(sql, params![limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Running {
                host: HostId(row.int("host_id")?),
                run: RunId(row.int("run_id")?),
                execution: ExecutionId(row.int("execution_id")?),
                interface: InterfaceId(row.int("interface_id")?),
                job: JobId(row.int("job_id")?),
                period: row.text("period")?.to_owned(),
                state: row.text("state")?.to_owned(),
                number: row.int("number")?,
                started_ms: row.opt_int("started_ms")?,
            })
        })
        .collect()
}
