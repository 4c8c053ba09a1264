//! Tokens: how programs log in. Only the SHA-256 of a token is kept.

use super::edit::Edit;
use super::sequence;
use crate::db::{self, Db, guard, params, sql};
use shared::ids::*;

/// What is shown of a token: never itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    pub id: i64,
    pub user: UserId,
    pub name: String,
    pub created_ms: Millis,
    pub expires_ms: Millis,
    pub revoked_ms: Option<Millis>,
}

/// Whose token this is, if it is good.
///
/// # Errors
/// The database's.
pub async fn user_of(db: &Db, hash: &[u8], now: Millis) -> db::Result<Option<UserId>> {
    let sql = "SELECT user_id FROM token WHERE hash = ? AND revoked_ms IS NULL AND expires_ms > ?";
    let row = db.first(sql, params![hash, now]).await?;
    row.map(|row| Ok(UserId(row.int("user_id")?))).transpose()
}

/// # Errors
/// The database's.
pub async fn of_user(db: &Db, user: UserId) -> db::Result<Vec<Token>> {
    let sql = "SELECT * FROM token WHERE user_id = ? ORDER BY id DESC LIMIT 100";
    let rows = db.query(sql, params![user]).await?;
    rows.iter()
        .map(|row| {
            Ok(Token {
                id: row.int("id")?,
                user: UserId(row.int("user_id")?),
                name: row.text("name")?.to_owned(),
                created_ms: row.int("created_ms")?,
                expires_ms: row.int("expires_ms")?,
                revoked_ms: row.opt_int("revoked_ms")?,
            })
        })
        .collect()
}

/// Keeps the hash of a new token.
///
/// # Errors
/// The database's.
pub async fn create(
    db: &Db,
    user: UserId,
    (name, hash): (&str, &[u8]),
    expires: Millis,
    edit: &Edit,
) -> db::Result<i64> {
    let id = sequence::next(db, "token").await?;
    let insert = sql(
        "INSERT INTO token (id, user_id, name, hash, created_ms, expires_ms, revoked_ms) \
         VALUES (?, ?, ?, ?, ?, ?, NULL)",
        params![id, user, name, hash, edit.at, expires],
    );
    db.commit(vec![insert, edit.audit(ProjectId(0), "create", ("token", id), name)]).await?;
    Ok(id)
}

/// # Errors
/// There is no such token of that user, or it is revoked ([`db::Error::Conflict`]).
pub async fn revoke(db: &Db, user: UserId, id: i64, edit: &Edit) -> db::Result<()> {
    let change = guard(
        "UPDATE token SET revoked_ms = ? WHERE id = ? AND user_id = ? AND revoked_ms IS NULL",
        params![edit.at, id, user],
    );
    db.commit(vec![change, edit.audit(ProjectId(0), "revoke", ("token", id), "")]).await
}
