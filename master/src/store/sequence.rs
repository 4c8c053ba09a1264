//! Small ids, that people say aloud: counted up in a row per name.

use crate::db::{self, Db, guard, params, sql};

/// Two masters may count at the same time: one of them loses the guard and counts again.
const TRIES: u32 = 50;

/// # Errors
/// The database's.
pub async fn next(db: &Db, name: &'static str) -> db::Result<i64> {
    take(db, name, 1).await
}

/// The first of `count` ids that follow each other.
///
/// # Errors
/// The database's.
pub async fn take(db: &Db, name: &'static str, count: u32) -> db::Result<i64> {
    let mut last = db::Error::Conflict;
    for _ in 0..TRIES {
        let row = db.first("SELECT next FROM sequence WHERE name = ?", params![name]).await?;
        let (first, write) = match row {
            Some(row) => {
                let first = row.int("next")?;
                let next = first + i64::from(count);
                let text = "UPDATE sequence SET next = ? WHERE name = ? AND next = ?";
                (first, guard(text, params![next, name, first]))
            }
            None => {
                let next = 1 + i64::from(count);
                let text = "INSERT INTO sequence (name, next) VALUES (?, ?)";
                (1, sql(text, params![name, next]))
            }
        };
        match db.commit(vec![write]).await {
            Ok(()) => return Ok(first),
            Err(error @ (db::Error::Conflict | db::Error::Duplicate { .. })) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
