//! Dispatches: rows and their versions; and what the leader keeps beside them (pause, cursor).

use super::audit::Deed;
use super::edit::Edit;
use super::interface::{self, Meta, json};
use crate::db::{self, Db, Mode, Value, Write, guard, params, sql};
use shared::ids::*;
use shared::spec::DispatchSpec;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: DispatchId,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a DispatchSpec,
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
        "INSERT INTO dispatch_version (dispatch_id, version, project_id, name, spec, note, \
         reason, at_ms, by_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        version_values(put, version, edit)?,
    ))
}

/// # Errors
/// The spec cannot be written.
pub fn insert(put: &Put, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        sql(
            "INSERT INTO dispatch (id, project_id, interface_id, name, version, deleted_ms, \
             updated_ms, updated_by) VALUES (?, ?, ?, ?, 1, NULL, ?, ?)",
            params![put.id, put.project, put.spec.interface, put.name, edit.at, edit.by],
        ),
        version_row(put, 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "create", ("dispatch", put.id.0), put.name),
    ])
}

/// Whether it is paused is not touched: that is the leader's.
///
/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE dispatch SET name = ?, interface_id = ?, version = ?, updated_ms = ?, \
             updated_by = ? WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![put.name, put.spec.interface, from + 1, edit.at, edit.by, put.id, from],
        ),
        version_row(put, from + 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "update", ("dispatch", put.id.0), put.name),
    ])
}

/// As [`interface::put_all`]; whether they are paused is not touched.
///
/// # Errors
/// A spec cannot be written.
pub fn put_all(all: &[(Put, i64)], edit: &Edit) -> db::Result<Vec<Write>> {
    let row = |(put, from): &(Put, i64)| {
        let of = put.spec.interface;
        params![put.id, put.project, of, put.name, from + 1, None::<i64>, edit.at, edit.by]
    };
    let version = |(put, from): &(Put, i64)| version_values(put, from + 1, edit);
    let deeds: Vec<Deed> = all
        .iter()
        .map(|(put, from)| Deed::put(put.project, ("dispatch", put.id.0), *from, put.name))
        .collect();
    Ok(vec![
        Write::Rows {
            table: "dispatch",
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
            table: "dispatch_version",
            key: &["dispatch_id", "version"],
            columns: &[
                "dispatch_id",
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

pub fn delete(
    id: DispatchId,
    from: i64,
    (project, name): (ProjectId, &str),
    edit: &Edit,
) -> Vec<Write> {
    vec![
        guard(
            // Another version: no firing of the one before may be stored any more (rule L6).
            "UPDATE dispatch SET name = ?, deleted_ms = ?, updated_ms = ?, updated_by = ?, \
             version = version + 1 WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![format!("{name} (deleted {id})"), edit.at, edit.at, edit.by, id, from],
        ),
        edit.revision(),
        edit.audit(project, "delete", ("dispatch", id.0), &edit.farewell(name)),
    ]
}

/// Of all current dispatches.
///
/// # Errors
/// The database's.
pub async fn metas(db: &Db) -> db::Result<BTreeMap<i64, Meta>> {
    let sql = "SELECT id, version, updated_ms, updated_by FROM dispatch WHERE deleted_ms IS NULL";
    interface::read_metas(db, sql).await
}

/// Which dispatches a person has paused.
///
/// # Errors
/// The database's.
pub async fn paused(db: &Db) -> db::Result<Vec<DispatchId>> {
    let rows = db.query("SELECT dispatch_id FROM dispatch_state WHERE paused <> 0", vec![]).await?;
    rows.iter().map(|row| Ok(DispatchId(row.int("dispatch_id")?))).collect()
}

/// What was decided at an instant: fired, or why not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fired {
    pub instant_ms: Millis,
    pub period: String,
    pub decision: String,
    pub why: String,
    pub execution: Option<ExecutionId>,
    pub state: Option<String>,
}

/// The newest decisions of one dispatch.
///
/// # Errors
/// The database's.
pub async fn fired(db: &Db, id: DispatchId, limit: u32) -> db::Result<Vec<Fired>> {
    let sql = "SELECT f.instant_ms, f.period, f.decision, f.why, f.execution_id, e.state \
               FROM firing f LEFT JOIN execution e ON e.id = f.execution_id \
               WHERE f.dispatch_id = ? ORDER BY f.instant_ms DESC LIMIT ?";
    let rows = db.query(sql, params![id, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Fired {
                instant_ms: row.int("instant_ms")?,
                period: row.text("period")?.to_owned(),
                decision: row.text("decision")?.to_owned(),
                why: row.text("why")?.to_owned(),
                execution: row.opt_int("execution_id")?.map(ExecutionId),
                state: row.opt_text("state")?.map(str::to_owned),
            })
        })
        .collect()
}

/// How an instant was decided, why so, and when.
///
/// # Errors
/// The database's.
pub async fn decision(
    db: &Db,
    id: DispatchId,
    instant: Millis,
) -> db::Result<Option<(String, String, Millis)>> {
    let sql = "SELECT decision, why, decided_ms FROM firing \
               WHERE dispatch_id = ? AND instant_ms = ?";
    let row = db.first(sql, params![id, instant]).await?;
    let read = |row: db::Row| {
        Ok((row.text("decision")?.to_owned(), row.text("why")?.to_owned(), row.int("decided_ms")?))
    };
    row.map(read).transpose()
}

/// A dispatch's last execution, and its state.
///
/// # Errors
/// The database's.
pub async fn last(db: &Db, id: DispatchId) -> db::Result<Option<(ExecutionId, String)>> {
    let sql = "SELECT id, state FROM execution WHERE dispatch_id = ? \
               ORDER BY instant_ms DESC LIMIT 1";
    let row = db.first(sql, params![id]).await?;
    row.map(|row| Ok((ExecutionId(row.int("id")?), row.text("state")?.to_owned()))).transpose()
}
