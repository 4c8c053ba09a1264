//! What the cluster's authority has signed, and what of it is denied; tokens with which hosts join.

use super::edit::Edit;
use crate::db::{self, Db, Mode, Write, guard, params, sql};
use shared::ids::*;
use shared::pki::Signed;

/// One certificate of this cluster's authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Hexadecimal.
    pub serial: String,
    /// `master` or `host`.
    pub role: String,
    pub agent: String,
    pub issued_ms: Millis,
    pub expires_ms: Millis,
}

impl From<&Signed> for Certificate {
    fn from(signed: &Signed) -> Certificate {
        Certificate {
            serial: signed.serial.clone(),
            role: signed.identity.role.to_string(),
            agent: signed.identity.agent.clone(),
            issued_ms: signed.issued_ms,
            expires_ms: signed.expires_ms,
        }
    }
}

/// That it was issued: for the alarm before it runs out, and for the deny-list.
pub fn issued(certificate: &Certificate) -> Write {
    let Certificate { serial, role, agent, issued_ms, expires_ms } = certificate;
    Write::Rows {
        table: "certificate",
        key: &["serial"],
        columns: &["serial", "role", "agent", "issued_ms", "expires_ms"],
        rows: vec![params![serial, role, agent, *issued_ms, *expires_ms]],
        mode: Mode::InsertIfAbsent,
    }
}

/// The same, unless the one that it follows was denied: then nothing is written.
pub fn renewed(certificate: &Certificate, before: &str) -> Write {
    let Certificate { serial, role, agent, issued_ms, expires_ms } = certificate;
    sql(
        "INSERT INTO certificate (serial, role, agent, issued_ms, expires_ms) \
         SELECT ?, ?, ?, ?, ? FROM revision WHERE name = 'definition' AND NOT EXISTS (\
         SELECT 1 FROM certificate d WHERE d.serial = ? AND d.denied_ms IS NOT NULL)",
        params![serial, role, agent, *issued_ms, *expires_ms, before],
    )
}

/// Whether this one is recorded, and not denied.
///
/// # Errors
/// The database's.
pub async fn good_serial(db: &Db, serial: &str) -> db::Result<bool> {
    let text = "SELECT serial FROM certificate WHERE serial = ? AND denied_ms IS NULL";
    Ok(db.first(text, params![serial]).await?.is_some())
}

/// The newest certificate of each agent, if it runs out before this date and is not denied.
///
/// # Errors
/// The database's.
pub async fn expiring(db: &Db, before: Millis) -> db::Result<Vec<Certificate>> {
    let text = "SELECT c.serial, c.role, c.agent, c.issued_ms, c.expires_ms FROM certificate c \
                WHERE c.denied_ms IS NULL AND c.expires_ms < ? AND NOT EXISTS (\
                SELECT 1 FROM certificate n WHERE n.role = c.role AND n.agent = c.agent \
                AND n.denied_ms IS NULL AND n.expires_ms > c.expires_ms) \
                ORDER BY c.expires_ms, c.serial LIMIT 100";
    let rows = db.query(text, params![before]).await?;
    let certificate = |row: &db::Row| {
        Ok(Certificate {
            serial: row.text("serial")?.to_owned(),
            role: row.text("role")?.to_owned(),
            agent: row.text("agent")?.to_owned(),
            issued_ms: row.int("issued_ms")?,
            expires_ms: row.int("expires_ms")?,
        })
    };
    rows.iter().map(certificate).collect()
}

/// Numbers of certificates that are good for nothing any more, as long as they have not run out.
///
/// # Errors
/// The database's.
pub async fn denied(db: &Db, now: Millis) -> db::Result<Vec<String>> {
    let text = "SELECT serial FROM certificate WHERE denied_ms IS NOT NULL AND expires_ms > ? \
                ORDER BY serial LIMIT 10000";
    let rows = db.query(text, params![now]).await?;
    rows.iter().map(|row| Ok(row.text("serial")?.to_owned())).collect()
}

/// All certificates of a host's agent so far are denied; how many there are is [`good`] before.
pub fn deny(agent: &str, now: Millis) -> Write {
    sql(
        "UPDATE certificate SET denied_ms = ? \
         WHERE role = 'host' AND agent = ? AND denied_ms IS NULL",
        params![now, agent],
    )
}

/// What it was invited with is good no more either.
pub fn uninvite(host: HostId) -> Write {
    sql("DELETE FROM join_token WHERE host_id = ?", params![host])
}

/// How many certificates of this host's agent are good.
///
/// # Errors
/// The database's.
pub async fn good(db: &Db, agent: &str, now: Millis) -> db::Result<i64> {
    let text = "SELECT COUNT(*) AS n FROM certificate \
                WHERE role = 'host' AND agent = ? AND denied_ms IS NULL AND expires_ms > ?";
    let row = db.first(text, params![agent, now]).await?;
    row.map_or(Ok(0), |row| row.int("n"))
}

/// The token with which a host may join: one at a time, the newest. `sealed` under the cluster's key.
pub fn invite(host: HostId, sealed: &[u8], expires: Millis, edit: &Edit) -> Write {
    Write::Rows {
        table: "join_token",
        key: &["host_id"],
        columns: &["host_id", "sealed", "created_ms", "created_by", "expires_ms", "used_ms"],
        rows: vec![params![host, sealed, edit.at, edit.by, expires, db::Value::Null]],
        mode: Mode::Upsert,
    }
}

/// The sealed token of a host, if it is still good.
///
/// # Errors
/// The database's.
pub async fn invitation(db: &Db, host: HostId, now: Millis) -> db::Result<Option<Vec<u8>>> {
    let text =
        "SELECT sealed FROM join_token WHERE host_id = ? AND used_ms IS NULL AND expires_ms > ?";
    let row = db.first(text, params![host, now]).await?;
    row.map(|row| Ok(row.bytes("sealed")?.to_owned())).transpose()
}

/// It has joined with this very token, which is good no more; [`db::Error::Conflict`]: somebody else
/// was first.
pub fn joined(host: HostId, sealed: &[u8], now: Millis) -> Write {
    guard(
        "UPDATE join_token SET used_ms = ? WHERE host_id = ? AND sealed = ? AND used_ms IS NULL",
        params![now, host, sealed],
    )
}
