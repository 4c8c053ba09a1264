//! Small ids that people say aloud, one row per kind of thing.

use crate::db::{self, Db, Error, Write, guard, params, sql};

/// Others may take the same number first; each try is one small commit.
const TRIES_MAX: u32 = 200;

/// The next number of that name; the first is 1.
///
/// # Errors
/// The database's.
pub async fn next(db: &Db, name: &str) -> db::Result<i64> {
    take(db, name, 1).await
}

/// The first of `count` numbers, all of them the caller's. Numbers taken and not used are no matter.
///
/// # Errors
/// The database's.
pub async fn take(db: &Db, name: &str, count: u32) -> db::Result<i64> {
    for _ in 0..TRIES_MAX {
        let first = peek(db, name).await?;
        match db.commit(raise(name, first, count)).await {
            Ok(()) => return Ok(first.unwrap_or(1)),
            Err(Error::Conflict | Error::Duplicate { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Retry(format!("too many take a number of {name} at this moment")))
}

/// The next number, and what is made of it, in one batch.
///
/// # Errors
/// The database's; a [`Error::Conflict`] of the writes themselves looks as one of the number.
pub async fn with(db: &Db, name: &str, make: impl Fn(i64) -> Vec<Write>) -> db::Result<i64> {
    for _ in 0..TRIES_MAX {
        let first = peek(db, name).await?;
        let mut batch = raise(name, first, 1);
        let id = first.unwrap_or(1);
        batch.extend(make(id));
        match db.commit(batch).await {
            Ok(()) => return Ok(id),
            Err(Error::Conflict | Error::Duplicate { write: 0, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Retry(format!("too many take a number of {name} at this moment")))
}

async fn peek(db: &Db, name: &str) -> db::Result<Option<i64>> {
    let row = db.first("SELECT next FROM sequence WHERE name = ?", params![name]).await?;
    row.map(|row| row.int("next")).transpose()
}

fn raise(name: &str, first: Option<i64>, count: u32) -> Vec<Write> {
    let count = i64::from(count);
    vec![match first {
        Some(first) => guard(
            "UPDATE sequence SET next = ? WHERE name = ? AND next = ?",
            params![first + count, name, first],
        ),
        None => sql("INSERT INTO sequence (name, next) VALUES (?, ?)", params![name, 1 + count]),
    }]
}
