//! Jobs: rows and their versions. A job's version is that of its interface from which on it holds:
//! saving a job makes the next version of its interface, in the same batch.

use super::audit::Deed;
use super::edit::Edit;
use super::interface::{self, Meta, json};
use crate::db::{self, Db, Mode, Value, Write, guard, params, sql};
use shared::ids::*;
use shared::spec::JobSpec;
use std::collections::BTreeMap;

/// What a job is to be, from version `version` of its interface on.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: JobId,
    pub project: ProjectId,
    pub interface: InterfaceId,
    pub name: &'a str,
    pub spec: &'a JobSpec,
    pub version: i64,
}

fn version_values(put: &Put, deleted: bool, edit: &Edit) -> db::Result<Vec<Value>> {
    Ok(params![
        put.id,
        put.version,
        put.project,
        put.interface,
        put.name,
        deleted,
        json(put.spec)?,
        edit.at,
        edit.by
    ])
}

fn version_row(put: &Put, deleted: bool, edit: &Edit) -> db::Result<Write> {
    Ok(sql(
        "INSERT INTO job_version (job_id, version, project_id, interface_id, name, deleted, \
         spec, at_ms, by_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        version_values(put, deleted, edit)?,
    ))
}

/// A new job. The batch must also hold [`interface::update`] to `put.version`, or
/// [`interface::insert`].
///
/// # Errors
/// The spec cannot be written.
pub fn insert(put: &Put, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        sql(
            "INSERT INTO job (id, project_id, interface_id, name, version, deleted_ms, \
             updated_ms, updated_by) VALUES (?, ?, ?, ?, ?, NULL, ?, ?)",
            params![put.id, put.project, put.interface, put.name, put.version, edit.at, edit.by],
        ),
        version_row(put, false, edit)?,
        edit.audit(put.project, "create", ("job", put.id.0), put.name),
    ])
}

/// Replaces the version `from` of the job. As with [`insert`], the interface goes on too.
///
/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE job SET name = ?, version = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![put.name, put.version, edit.at, edit.by, put.id, from],
        ),
        version_row(put, false, edit)?,
        edit.audit(put.project, "update", ("job", put.id.0), put.name),
    ])
}

/// As with [`insert`], the interface goes on too.
///
/// # Errors
/// As [`update`].
pub fn delete(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE job SET name = ?, version = ?, deleted_ms = ?, updated_ms = ?, \
             updated_by = ? WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![freed(put), put.version, edit.at, edit.at, edit.by, put.id, from],
        ),
        version_row(put, true, edit)?,
        edit.audit(put.project, "delete", ("job", put.id.0), &edit.farewell(put.name)),
    ])
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    New,
    Changed,
    /// Its name is free again; its history stays.
    Gone,
}

/// Many at once: as [`interface::put_all`], which writes their interfaces in the same batch.
///
/// # Errors
/// A spec cannot be written.
pub fn put_all(all: &[(Put, Fate)], edit: &Edit) -> db::Result<Vec<Write>> {
    let row = |(put, fate): &(Put, Fate)| {
        let gone = *fate == Fate::Gone;
        let name = if gone { freed(put) } else { put.name.to_owned() };
        let deleted = gone.then_some(edit.at);
        let (of, version) = (put.interface, put.version);
        params![put.id, put.project, of, name, version, deleted, edit.at, edit.by]
    };
    let version = |(put, fate): &(Put, Fate)| version_values(put, *fate == Fate::Gone, edit);
    let mut deeds = Vec::with_capacity(all.len());
    for (put, fate) in all {
        let action = match fate {
            Fate::New => "create",
            Fate::Changed => "update",
            Fate::Gone => "delete",
        };
        let object = ("job", put.id.0);
        deeds.push(Deed { project: put.project, action, object, detail: put.name });
    }
    Ok(vec![
        Write::Rows {
            table: "job",
            key: &["id"],
            columns: &[
                "id",
                "project_id",
                "interface_id",
                "name",
                "version",
                "deleted_ms",
                "updated_ms",
                "updated_by",
            ],
            rows: all.iter().map(row).collect(),
            mode: Mode::Upsert,
        },
        Write::Rows {
            table: "job_version",
            key: &["job_id", "version"],
            columns: &[
                "job_id",
                "version",
                "project_id",
                "interface_id",
                "name",
                "deleted",
                "spec",
                "at_ms",
                "by_user",
            ],
            rows: all.iter().map(version).collect::<db::Result<_>>()?,
            mode: Mode::Insert,
        },
        edit.audit_all(&deeds),
    ])
}

/// Within a batch that gives it another name: its old one may be the new one of another job.
pub fn free_name(id: JobId, old: &str) -> Write {
    let text = "UPDATE job SET name = ? WHERE id = ?";
    sql(text, params![format!("{old} (renamed {id})"), id])
}

/// The name of a job that is gone.
fn freed(put: &Put) -> String {
    format!("{} (deleted {})", put.name, put.id)
}

/// Of all current jobs.
///
/// # Errors
/// The database's.
pub async fn metas(db: &Db) -> db::Result<BTreeMap<i64, Meta>> {
    let sql = "SELECT id, version, updated_ms, updated_by FROM job WHERE deleted_ms IS NULL";
    interface::read_metas(db, sql).await
}

/// # Errors
/// The database's.
pub async fn meta(db: &Db, id: JobId) -> db::Result<Option<Meta>> {
    let sql = "SELECT version, updated_ms, updated_by FROM job WHERE id = ? AND deleted_ms IS NULL";
    let row = db.first(sql, params![id]).await?;
    row.map(|row| {
        Ok(Meta {
            version: row.int("version")?,
            updated_ms: row.int("updated_ms")?,
            updated_by: UserId(row.int("updated_by")?),
        })
    })
    .transpose()
}

/// One run of a job, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Last {
    pub run: RunId,
    pub execution: ExecutionId,
    pub period: String,
    pub generation: i64,
    pub state: String,
    /// Its run is.
    pub stale: bool,
    pub reason: String,
    pub attempts: i64,
    pub host: Option<HostId>,
    pub started_ms: Option<Millis>,
    pub ended_ms: Option<Millis>,
    pub took_ms: Option<Millis>,
}

/// The runs of the newest periods, the newest first.
///
/// # Errors
/// The database's.
pub async fn latest(db: &Db, id: JobId, limit: u32) -> db::Result<Vec<Last>> {
    let sql = "SELECT j.run_id, j.state, j.reason, j.number, j.host_id, j.started_ms, \
               j.ended_ms, r.execution_id, r.period, r.generation, r.stale FROM job_run j \
               JOIN run r ON r.id = j.run_id WHERE j.job_id = ? \
               ORDER BY r.period_ms DESC, r.generation DESC LIMIT ?";
    let rows = db.query(sql, params![id, limit]).await?;
    rows.iter()
        .map(|row| {
            let (started_ms, ended_ms) = (row.opt_int("started_ms")?, row.opt_int("ended_ms")?);
            Ok(Last {
                run: RunId(row.int("run_id")?),
                execution: ExecutionId(row.int("execution_id")?),
                period: row.text("period")?.to_owned(),
                generation: row.int("generation")?,
                state: row.text("state")?.to_owned(),
                stale: row.flag("stale")?,
                reason: row.text("reason")?.to_owned(),
                attempts: row.int("number")?,
                host: row.opt_int("host_id")?.map(HostId),
                started_ms,
                ended_ms,
                took_ms: started_ms.zip(ended_ms).map(|(from, to)| to - from),
            })
        })
        .collect()
}
