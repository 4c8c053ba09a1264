//! Calendars of working days: rows and their versions.

use super::edit::Edit;
use super::interface::{self, Meta, json};
use crate::db::{self, Db, Write, guard, params, sql};
use shared::calendar::CalendarSpec;
use shared::ids::*;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: CalendarId,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a CalendarSpec,
}

fn version_row(put: &Put, version: i64, edit: &Edit) -> db::Result<Write> {
    let (spec, note, reason) = (json(put.spec)?, edit.how.text(), edit.reason());
    Ok(sql(
        "INSERT INTO calendar_version (calendar_id, version, project_id, name, spec, note, \
         reason, at_ms, by_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![put.id, version, put.project, put.name, spec, note, reason, edit.at, edit.by],
    ))
}

/// # Errors
/// The spec cannot be written.
pub fn insert(put: &Put, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        sql(
            "INSERT INTO calendar (id, project_id, name, version, deleted_ms, updated_ms, \
             updated_by) VALUES (?, ?, ?, 1, NULL, ?, ?)",
            params![put.id, put.project, put.name, edit.at, edit.by],
        ),
        version_row(put, 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "create", ("calendar", put.id.0), put.name),
    ])
}

/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE calendar SET name = ?, version = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![put.name, from + 1, edit.at, edit.by, put.id, from],
        ),
        version_row(put, from + 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "update", ("calendar", put.id.0), put.name),
    ])
}

/// Refused at the commit when a definition has been edited since `revision`: it may use the calendar.
pub fn delete(
    id: CalendarId,
    (from, revision): (i64, i64),
    (project, name): (ProjectId, &str),
    edit: &Edit,
) -> Vec<Write> {
    vec![
        edit.unchanged_since(revision),
        guard(
            "UPDATE calendar SET name = ?, deleted_ms = ?, updated_ms = ?, updated_by = ?, \
             version = version + 1 WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![format!("{name} (deleted {id})"), edit.at, edit.at, edit.by, id, from],
        ),
        edit.audit(project, "delete", ("calendar", id.0), &edit.farewell(name)),
    ]
}

/// Of all current calendars.
///
/// # Errors
/// The database's.
pub async fn metas(db: &Db) -> db::Result<BTreeMap<i64, Meta>> {
    let sql = "SELECT id, version, updated_ms, updated_by FROM calendar WHERE deleted_ms IS NULL";
    interface::read_metas(db, sql).await
}
