//! People: accounts, their rights by project, their passwords.

use super::edit::Edit;
use super::sequence;
use crate::db::{self, Db, Row, Write, guard, params, sql};
use serde::{Deserialize, Serialize};
use shared::ids::*;
use std::collections::BTreeMap;

/// What a person or a program may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    View,
    /// Interfaces, jobs, hosts.
    Write,
    /// Run, stop, resume, kill.
    Execute,
    /// Dispatches.
    Schedule,
    /// Users, tokens, settings; and everything else.
    Admin,
}

impl Right {
    pub const ALL: [Right; 5] =
        [Right::View, Right::Write, Right::Execute, Right::Schedule, Right::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Right::View => "view",
            Right::Write => "write",
            Right::Execute => "execute",
            Right::Schedule => "schedule",
            Right::Admin => "admin",
        }
    }
}

/// A set of rights, as stored: `view,write`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    pub fn all() -> Rights {
        Right::ALL.into_iter().collect()
    }

    /// An admin may everything; who may do something may look at it.
    pub fn has(self, right: Right) -> bool {
        let admin = self.0 & (1 << Right::Admin as u8) != 0;
        admin || self.0 & (1 << right as u8) != 0 || (right == Right::View && self.0 != 0)
    }

    /// Words that nobody knows are left out: they grant nothing.
    pub fn parse(text: &str) -> Rights {
        Right::ALL.into_iter().filter(|right| text.split(',').any(|w| w == right.word())).collect()
    }

    pub fn words(self) -> String {
        let words = Right::ALL.iter().filter(|right| self.0 & (1 << **right as u8) != 0);
        words.map(|right| right.word()).collect::<Vec<_>>().join(",")
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        Rights(rights.into_iter().fold(0, |set, right| set | 1 << right as u8))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub title: String,
    pub disabled: bool,
    pub version: i64,
    /// By project; 0 holds in every project.
    pub rights: BTreeMap<ProjectId, Rights>,
}

const COLUMNS: &str = "SELECT id, name, title, disabled, row_version FROM user_account";

fn user(row: &Row) -> db::Result<User> {
    Ok(User {
        id: UserId(row.int("id")?),
        name: row.text("name")?.to_owned(),
        title: row.text("title")?.to_owned(),
        disabled: row.flag("disabled")?,
        version: row.int("row_version")?,
        rights: BTreeMap::new(),
    })
}

/// # Errors
/// The database's.
pub async fn find(db: &Db, id: UserId) -> db::Result<Option<User>> {
    let Some(row) = db.first(format!("{COLUMNS} WHERE id = ?"), params![id]).await? else {
        return Ok(None);
    };
    let mut user = user(&row)?;
    let sql = "SELECT project_id, rights FROM user_right WHERE user_id = ?";
    for row in db.query(sql, params![id]).await? {
        user.rights.insert(ProjectId(row.int("project_id")?), Rights::parse(row.text("rights")?));
    }
    Ok(Some(user))
}

/// For the login: id, hash of the password.
///
/// # Errors
/// The database's.
pub async fn password_of(db: &Db, name: &str) -> db::Result<Option<(UserId, String)>> {
    let sql = "SELECT id, password_hash FROM user_account WHERE name = ? AND disabled = 0";
    let row = db.first(sql, params![name]).await?;
    row.map(|row| Ok((UserId(row.int("id")?), row.text("password_hash")?.to_owned()))).transpose()
}

/// Names by id: for lists that say who changed something.
///
/// # Errors
/// The database's.
pub async fn names(db: &Db) -> db::Result<BTreeMap<UserId, String>> {
    let rows = db.query("SELECT id, name FROM user_account", vec![]).await?;
    rows.iter().map(|row| Ok((UserId(row.int("id")?), row.text("name")?.to_owned()))).collect()
}

/// # Errors
/// The database's.
pub async fn count(db: &Db) -> db::Result<i64> {
    let row = db.first("SELECT COUNT(*) AS n FROM user_account", vec![]).await?;
    row.map_or(Ok(0), |row| row.int("n"))
}

/// A new account with the same rights in every project. The hash is of argon2id.
///
/// # Errors
/// The name is taken ([`db::Error::Duplicate`]); the database's.
pub async fn create(
    db: &Db,
    name: &str,
    password_hash: &str,
    rights: Rights,
    edit: &Edit,
) -> db::Result<UserId> {
    let id = UserId(sequence::next(db, "user").await?);
    db.commit(vec![
        sql(
            "INSERT INTO user_account (id, name, title, password_hash, disabled, created_ms, \
             row_version) VALUES (?, ?, ?, ?, 0, ?, 1)",
            params![id, name, name, password_hash, edit.at],
        ),
        sql(
            "INSERT INTO user_right (user_id, project_id, rights) VALUES (?, 0, ?)",
            params![id, rights.words()],
        ),
        edit.audit(ProjectId(0), "create", ("user", id.0), name),
    ])
    .await?;
    Ok(id)
}

/// # Errors
/// The database's.
pub async fn set_password(db: &Db, id: UserId, hash: &str, edit: &Edit) -> db::Result<()> {
    let change: Write = guard(
        "UPDATE user_account SET password_hash = ?, row_version = row_version + 1 WHERE id = ?",
        params![hash, id],
    );
    let audit = edit.audit(ProjectId(0), "password", ("user", id.0), "");
    db.commit(vec![change, audit]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_what_was_granted() {
        let rights = Rights::parse("write,nonsense");
        assert!(rights.has(Right::Write) && rights.has(Right::View));
        assert!(!rights.has(Right::Execute) && !rights.has(Right::Admin));
        assert!(!Rights::parse("").has(Right::View));
        assert!(Right::ALL.iter().all(|right| Rights::parse("admin").has(*right)));
        assert_eq!(Rights::all().words(), "view,write,execute,schedule,admin");
    }
}
