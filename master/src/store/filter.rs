//! Saved filters: what a person looks for again and again, of each list.

use crate::db::{self, Db, guard, params, sql};
use shared::ids::*;

/// Of one person and one list.
pub const FILTERS_MAX: u32 = 20;

/// One of a list's: `state=failed&interface=7` under a name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Filter {
    pub name: String,
    pub query: String,
}

/// By name.
///
/// # Errors
/// The database's.
pub async fn all(db: &Db, user: UserId, list: &str) -> db::Result<Vec<Filter>> {
    let sql = "SELECT name, query FROM saved_filter WHERE user_id = ? AND list = ? \
               ORDER BY name LIMIT ?";
    let rows = db.query(sql, params![user, list, FILTERS_MAX]).await?;
    let read = |row: &db::Row| {
        Ok(Filter { name: row.text("name")?.to_owned(), query: row.text("query")?.to_owned() })
    };
    rows.iter().map(read).collect()
}

/// In place of the one of this name, if there is one.
///
/// # Errors
/// [`db::Error::Conflict`] when there are [`FILTERS_MAX`] others.
pub async fn put(db: &Db, user: UserId, list: &str, filter: &Filter, at: Millis) -> db::Result<()> {
    let Filter { name, query } = filter;
    let insert = "INSERT INTO saved_filter (user_id, list, name, query, at_ms) \
                  SELECT ?, ?, ?, ?, ? FROM \
                  (SELECT COUNT(*) AS n FROM saved_filter WHERE user_id = ? AND list = ?) AS other \
                  WHERE other.n < ?";
    db.commit([
        sql(DELETE, params![user, list, name]),
        guard(insert, params![user, list, name, query, at, user, list, FILTERS_MAX]),
    ])
    .await
}

/// # Errors
/// The database's.
pub async fn delete(db: &Db, user: UserId, list: &str, name: &str) -> db::Result<()> {
    db.commit([sql(DELETE, params![user, list, name])]).await
}

const DELETE: &str = "DELETE FROM saved_filter WHERE user_id = ? AND list = ? AND name = ?";
