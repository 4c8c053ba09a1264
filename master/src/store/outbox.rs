//! What is to be told to people, written in the batch of what it tells of (see [`super::run`]).

use super::read::{marks, padded};
use crate::db::{self, Db, Write, params, sql};
use crate::engine::rows::{Alert, Row};

/// What nobody has sent yet, the oldest first.
///
/// # Errors
/// The database's.
pub async fn unsent(db: &Db, limit: u32) -> db::Result<Vec<(i64, Alert)>> {
    let columns = super::codec::OUTBOX.list("");
    let text = format!(
        "SELECT {columns} FROM outbox WHERE sent_ms IS NULL ORDER BY created_ms, id LIMIT {limit}"
    );
    let mut all = Vec::new();
    for row in db.query(text, params![]).await? {
        if let (_, Row::Outbox(alert)) = super::codec::outbox(&row)? {
            all.push((row.int("id")?, alert));
        }
    }
    Ok(all)
}

/// They have been told.
pub fn sent(ids: &[i64], now: shared::ids::Millis) -> Vec<Write> {
    let mark = |ids: &[i64]| {
        let ids = padded(ids);
        let text = format!("UPDATE outbox SET sent_ms = ? WHERE id IN {}", marks(ids.len()));
        sql(text, params![now].into_iter().chain(ids).collect())
    };
    ids.chunks(super::read::IDS_MAX).map(mark).collect()
}
