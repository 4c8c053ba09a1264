//! Interfaces: rows and their versions. What is current is read through [`super::catalog`].
//!
//! Each change here is a list of writes, so that several can go into one batch (`apply`).

use super::audit::Deed;
use super::edit::Edit;
use super::read;
use super::run::LIVE;
use crate::db::{self, Db, Mode, Value, Write, guard, params, sql};
use shared::ids::*;
use shared::spec::InterfaceSpec;
use std::collections::BTreeMap;

/// Who changed a definition last, and when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Meta {
    pub version: i64,
    pub updated_ms: Millis,
    pub updated_by: UserId,
}

/// A spec as it is stored.
///
/// # Errors
/// A spec that cannot be JSON: there is none.
pub(super) fn json<T: serde::Serialize>(spec: &T) -> db::Result<String> {
    serde_json::to_string(spec).map_err(|error| db::Error::Fatal(format!("a spec: {error}")))
}

/// What an interface is to be.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: InterfaceId,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a InterfaceSpec,
}

fn version_values(put: &Put, version: i64, edit: &Edit) -> db::Result<Vec<Value>> {
    Ok(params![
        put.id,
        version,
        put.project,
        put.name,
        json(put.spec)?,
        edit.how.text(),
        edit.reason(),
        edit.at,
        edit.by
    ])
}

fn version_row(put: &Put, version: i64, edit: &Edit) -> db::Result<Write> {
    Ok(sql(
        "INSERT INTO interface_version (interface_id, version, project_id, name, spec, note, \
         reason, at_ms, by_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        version_values(put, version, edit)?,
    ))
}

/// A new interface, at version 1.
///
/// # Errors
/// The spec cannot be written.
pub fn insert(put: &Put, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        sql(
            "INSERT INTO interface (id, project_id, name, version, deleted_ms, updated_ms, \
             updated_by) VALUES (?, ?, ?, 1, NULL, ?, ?)",
            params![put.id, put.project, put.name, edit.at, edit.by],
        ),
        version_row(put, 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "create", ("interface", put.id.0), put.name),
    ])
}

/// The next version after `from`; also what a change of its jobs begins with.
///
/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE interface SET name = ?, version = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![put.name, from + 1, edit.at, edit.by, put.id, from],
        ),
        version_row(put, from + 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "update", ("interface", put.id.0), put.name),
    ])
}

/// Many at once, each with the version that it had; 0 for a new one. Rows are written over, whatever
/// stands there: the batch must begin with [`Edit::unchanged_since`].
///
/// # Errors
/// A spec cannot be written.
pub fn put_all(all: &[(Put, i64)], edit: &Edit) -> db::Result<Vec<Write>> {
    let rows = all.iter().map(|(put, from)| {
        params![put.id, put.project, put.name, from + 1, None::<i64>, edit.at, edit.by]
    });
    let version = |(put, from): &(Put, i64)| version_values(put, from + 1, edit);
    let deeds: Vec<Deed> = all
        .iter()
        .map(|(put, from)| Deed::put(put.project, ("interface", put.id.0), *from, put.name))
        .collect();
    Ok(vec![
        Write::Rows {
            table: "interface",
            key: &["id"],
            columns: &[
                "id",
                "project_id",
                "name",
                "version",
                "deleted_ms",
                "updated_ms",
                "updated_by",
            ],
            rows: rows.collect(),
            mode: Mode::Upsert,
        },
        Write::Rows {
            table: "interface_version",
            key: &["interface_id", "version"],
            columns: &[
                "interface_id",
                "version",
                "project_id",
                "name",
                "spec",
                "note",
                "reason",
                "at_ms",
                "by_user",
            ],
            rows: all.iter().map(version).collect::<db::Result<_>>()?,
            mode: Mode::Insert,
        },
        edit.audit_all(&deeds),
    ])
}

/// Its name is free again; its history stays.
pub fn delete(
    id: InterfaceId,
    from: i64,
    (project, name): (ProjectId, &str),
    edit: &Edit,
) -> Vec<Write> {
    vec![
        guard(
            "UPDATE interface SET name = ?, deleted_ms = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![format!("{name} (deleted {id})"), edit.at, edit.at, edit.by, id, from],
        ),
        sql(
            "UPDATE job SET deleted_ms = ?, updated_ms = ?, updated_by = ? \
             WHERE interface_id = ? AND deleted_ms IS NULL",
            params![edit.at, edit.at, edit.by, id],
        ),
        edit.revision(),
        edit.audit(project, "delete", ("interface", id.0), &edit.farewell(name)),
    ]
}

/// Of all current interfaces.
///
/// # Errors
/// The database's.
pub async fn metas(db: &Db) -> db::Result<BTreeMap<i64, Meta>> {
    let sql = "SELECT id, version, updated_ms, updated_by FROM interface WHERE deleted_ms IS NULL";
    read_metas(db, sql).await
}

/// Of these interfaces.
///
/// # Errors
/// The database's.
pub async fn metas_of(db: &Db, ids: &[i64]) -> db::Result<BTreeMap<i64, Meta>> {
    let select = "SELECT id, version, updated_ms, updated_by FROM interface";
    let rows = read::by_ids(db, ids, (select, "id"), (&["id"], "deleted_ms IS NULL")).await?;
    metas_in(&rows)
}

pub(super) async fn read_metas(db: &Db, sql: &'static str) -> db::Result<BTreeMap<i64, Meta>> {
    metas_in(&db.query(sql, vec![]).await?)
}

pub(super) fn metas_in(rows: &[db::Row]) -> db::Result<BTreeMap<i64, Meta>> {
    rows.iter()
        .map(|row| {
            let meta = Meta {
                version: row.int("version")?,
                updated_ms: row.int("updated_ms")?,
                updated_by: UserId(row.int("updated_by")?),
            };
            Ok((row.int("id")?, meta))
        })
        .collect()
}

/// How many runs of it have not ended: they keep the version that they began with.
///
/// # Errors
/// The database's.
pub async fn live_runs(db: &Db, id: InterfaceId) -> db::Result<i64> {
    let text = format!("SELECT COUNT(*) AS n FROM run WHERE interface_id = ? AND state IN {LIVE}");
    db.first(text, params![id]).await?.map_or(Ok(0), |row| row.int("n"))
}

/// What of an interface, or of one of its jobs, is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    pub runs: i64,
    /// Jobs of these runs that have not begun and are not ready, that are ready, and at work.
    pub waiting: i64,
    pub queued: i64,
    pub at_work: i64,
}

/// Of the interface; without a job of all its jobs.
///
/// # Errors
/// The database's.
pub async fn alive(db: &Db, id: InterfaceId, job: Option<JobId>) -> db::Result<Alive> {
    let mut alive = Alive { runs: live_runs(db, id).await?, ..Alive::default() };
    let (only, mut values) = (job.map_or("", |_| " AND j.job_id = ?"), params![id]);
    values.extend(job.map(Value::from));
    let text = format!(
        "SELECT j.state AS state, COUNT(*) AS n FROM run r JOIN job_run j ON j.run_id = r.id \
         WHERE r.interface_id = ? AND r.state IN {LIVE}{only} GROUP BY j.state"
    );
    for row in db.query(text, values).await? {
        let n = row.int("n")?;
        match row.text("state")? {
            "waiting" => alive.waiting += n,
            "queued" => alive.queued += n,
            "assigned" | "running" | "stopping" => alive.at_work += n,
            _ => {}
        }
    }
    Ok(alive)
}

/// One run, as strips and lists show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RunSeen {
    pub run: RunId,
    pub execution: ExecutionId,
    pub period: String,
    pub generation: i64,
    /// `paused` where a person has paused it.
    pub state: String,
    /// What it was fed by has been made anew since.
    pub stale: bool,
    pub created_ms: Millis,
    pub started_ms: Option<Millis>,
    pub ended_ms: Option<Millis>,
    pub took_ms: Option<Millis>,
}

/// The runs of the newest periods, the newest first.
///
/// # Errors
/// The database's.
pub async fn latest_runs(db: &Db, id: InterfaceId, limit: u32) -> db::Result<Vec<RunSeen>> {
    let sql = "SELECT id, execution_id, period, generation, state, paused, stale, created_ms, \
               started_ms, ended_ms FROM run WHERE interface_id = ? \
               ORDER BY period_ms DESC, generation DESC LIMIT ?";
    let rows = db.query(sql, params![id, limit]).await?;
    rows.iter()
        .map(|row| {
            let (started_ms, ended_ms) = (row.opt_int("started_ms")?, row.opt_int("ended_ms")?);
            let state = row.text("state")?;
            let live = matches!(state, "waiting" | "ready" | "running");
            Ok(RunSeen {
                run: RunId(row.int("id")?),
                execution: ExecutionId(row.int("execution_id")?),
                period: row.text("period")?.to_owned(),
                generation: row.int("generation")?,
                state: if live && row.flag("paused")? { "paused" } else { state }.to_owned(),
                stale: row.flag("stale")?,
                created_ms: row.int("created_ms")?,
                started_ms,
                ended_ms,
                took_ms: started_ms.zip(ended_ms).map(|(from, to)| to - from),
            })
        })
        .collect()
}
