//! Projects: whom things belong to.

use super::edit::Edit;
use crate::db::{self, Db, Write, guard, params};
use shared::ids::ProjectId;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    pub title: String,
    /// User of the hosts that its jobs run as; empty: as each host's own rule says.
    pub run_as: String,
    pub version: i64,
}

/// All of them: there are few.
///
/// # Errors
/// The database's.
pub async fn list(db: &Db) -> db::Result<Vec<Project>> {
    let sql = "SELECT id, name, title, run_as, row_version FROM project ORDER BY id LIMIT ?";
    let rows = db.query(sql, params![10_000]).await?;
    rows.iter()
        .map(|row| {
            Ok(Project {
                id: ProjectId(row.int("id")?),
                name: row.text("name")?.to_owned(),
                title: row.text("title")?.to_owned(),
                run_as: row.text("run_as")?.to_owned(),
                version: row.int("row_version")?,
            })
        })
        .collect()
}

/// At the commit [`db::Error::Conflict`] when `from` is not the newest version.
pub fn set_run_as(id: ProjectId, from: i64, run_as: &str, edit: &Edit) -> Vec<Write> {
    let detail = format!("run_as {run_as:?}");
    vec![
        guard(
            "UPDATE project SET run_as = ?, row_version = ? WHERE id = ? AND row_version = ?",
            params![run_as, from + 1, id, from],
        ),
        edit.revision(),
        edit.audit(id, "update", ("project", id.0), &detail),
    ]
}
