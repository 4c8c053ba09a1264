//! Projects: whom things belong to.

use super::edit::Edit;
use super::interface::json;
use crate::db::{self, Db, Write, guard, params, sql};
use serde::{Deserialize, Serialize};
use shared::ids::ProjectId;

/// What is decided of a project, and has versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectSpec {
    /// User of the hosts that its jobs run as; empty: as each host's own rule says.
    #[serde(default)]
    pub run_as: String,
}

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

#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: ProjectId,
    pub name: &'a str,
    pub spec: &'a ProjectSpec,
}

/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    let Put { id, name, spec } = *put;
    let run_as = spec.run_as.as_str();
    let (text, note, reason) = (json(spec)?, edit.how.text(), edit.reason());
    Ok(vec![
        guard(
            "UPDATE project SET run_as = ?, row_version = ? WHERE id = ? AND row_version = ?",
            params![run_as, from + 1, id, from],
        ),
        sql(
            "INSERT INTO project_version (project_id, version, name, spec, note, reason, at_ms, \
             by_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![id, from + 1, name, text, note, reason, edit.at, edit.by],
        ),
        edit.revision(),
        edit.audit(id, "update", ("project", id.0), &format!("run_as {run_as:?}")),
    ])
}
