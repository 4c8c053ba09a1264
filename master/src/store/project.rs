//! Projects: whom things belong to.

use crate::db::{self, Db, params};
use shared::ids::ProjectId;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    pub title: String,
    pub version: i64,
}

/// All of them: there are few.
///
/// # Errors
/// The database's.
pub async fn list(db: &Db) -> db::Result<Vec<Project>> {
    let sql = "SELECT id, name, title, row_version FROM project ORDER BY id LIMIT ?";
    let rows = db.query(sql, params![10_000]).await?;
    rows.iter()
        .map(|row| {
            Ok(Project {
                id: ProjectId(row.int("id")?),
                name: row.text("name")?.to_owned(),
                title: row.text("title")?.to_owned(),
                version: row.int("row_version")?,
            })
        })
        .collect()
}
