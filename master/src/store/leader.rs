//! The row that says who leads (rules L2, L3, L5): claimed by compare-and-set, read with a lock, and
//! first in every batch of the leader.

use super::codec;
use crate::db::{self, Db, Error, Mode, Value, Write, guard as must, params, sql};
use shared::ids::{Millis, Reigning};

/// Table `leader`, and who answers now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderRow {
    pub epoch: i64,
    /// Random for each claim.
    pub holder: i64,
    /// The database server that this reign was claimed on.
    pub server: String,
    /// How many batches this reign has stored.
    pub batch: i64,
    pub since_ms: Millis,
    /// Where the leader's pages are.
    pub url: String,
    /// The server that gave this answer: another one after a failover.
    pub answered_by: String,
}

impl LeaderRow {
    pub fn reigning(&self) -> Reigning {
        Reigning { epoch: self.epoch, holder: self.holder }
    }

    /// Whether a reign claimed by this holder may still write through this server.
    pub fn is_of(&self, holder: i64) -> bool {
        self.holder == holder && self.server == self.answered_by
    }
}

const READ: &str = "SELECT epoch, holder, server, batch, since_ms, url, ? AS answered_by
    FROM leader WHERE cluster = ?";

fn leader_row(row: &db::Row) -> db::Result<LeaderRow> {
    Ok(LeaderRow {
        epoch: row.int("epoch")?,
        holder: row.int("holder")?,
        server: row.text("server")?.to_owned(),
        batch: row.int("batch")?,
        since_ms: row.int("since_ms")?,
        url: row.text("url")?.to_owned(),
        answered_by: row.text("answered_by")?.to_owned(),
    })
}

/// Behind every commit that is still on its way: what it says is what became of them (rule L3).
///
/// # Errors
/// The database's.
pub async fn read(db: &Db, cluster: &str) -> db::Result<Option<LeaderRow>> {
    let rows = db.query_locking(READ, vec![Value::Server, cluster.into()]).await?;
    rows.first().map(leader_row).transpose()
}

/// For pages: without a lock.
///
/// # Errors
/// The database's.
pub async fn show(db: &Db, cluster: &str) -> db::Result<Option<LeaderRow>> {
    let row = db.first(READ, vec![Value::Server, cluster.into()]).await?;
    row.as_ref().map(leader_row).transpose()
}

/// What a claim writes.
#[derive(Clone, Debug)]
pub struct Claim {
    pub cluster: String,
    /// Never used before.
    pub holder: i64,
    /// The highest epoch that a host has told of: the new one is above it (rule L2).
    pub told: i64,
    pub url: String,
    pub now: Millis,
}

/// The epoch becomes max(row, told) + 1. On another server than the row names, all hosts are in doubt
/// from this very commit on (rule L5). Whatever it answers, the row tells who leads: read it.
///
/// # Errors
/// [`Error::Conflict`]: somebody else claimed at the same time. The database's.
pub async fn claim(db: &Db, claim: &Claim) -> db::Result<()> {
    let Claim { cluster, holder, told, url, now } = claim;
    let Some(row) = read(db, cluster).await? else {
        let insert = sql(
            "INSERT INTO leader (epoch, holder, server, since_ms, url, cluster, batch)
             VALUES (?, ?, ?, ?, ?, ?, 0)",
            params![told + 1, *holder, Value::Server, *now, url, cluster],
        );
        // Hosts have obeyed a leader before, and no row is left of it: all was lost.
        let doubt = (*told > 0).then(doubt_all);
        let batch: Vec<Write> = std::iter::once(insert).chain(doubt).collect();
        return match db.commit(batch).await {
            Err(Error::Duplicate { .. }) => Err(Error::Conflict),
            other => other,
        };
    };
    let epoch = row.epoch.max(*told) + 1;
    // No doubt only if the server of this very commit is the one that the row names.
    let same = row.server == row.answered_by;
    let on = if same { Value::Server } else { Value::Text(row.server.clone()) };
    let update = must(
        "UPDATE leader SET epoch = ?, holder = ?, server = ?, since_ms = ?, url = ?, batch = 0
         WHERE cluster = ? AND epoch = ? AND holder = ? AND server = ?",
        params![epoch, *holder, Value::Server, *now, url, cluster, row.epoch, row.holder, on],
    );
    let mut batch = vec![update];
    if !same {
        batch.push(doubt_all());
    }
    db.commit(batch).await
}

fn doubt_all() -> Write {
    sql(
        "INSERT INTO host_doubt (host_id) SELECT id FROM host WHERE deleted_ms IS NULL
         AND id NOT IN (SELECT host_id FROM host_doubt)",
        params![],
    )
}

/// A restore that an operator has declared: every host is in doubt, whatever the server says. Who
/// leads now is deposed, for its memory is of what has been taken back.
pub fn restored(cluster: &str, holder: i64) -> [Write; 2] {
    let depose = sql(
        "UPDATE leader SET epoch = epoch + 1, holder = ?, batch = 0 WHERE cluster = ?",
        params![holder, cluster],
    );
    [doubt_all(), depose]
}

/// How many hosts are in doubt.
///
/// # Errors
/// The database's.
pub async fn in_doubt(db: &Db) -> db::Result<i64> {
    let row = db.first("SELECT COUNT(*) AS n FROM host_doubt", params![]).await?;
    row.map_or(Ok(0), |row| row.int("n"))
}

/// The first write of every batch: stores batch `batch + 1`, or nobody leads by this name any more.
pub fn guard(cluster: &str, reign: Reigning, batch: i64) -> Write {
    must(
        "UPDATE leader SET batch = ?
         WHERE cluster = ? AND epoch = ? AND holder = ? AND batch = ? AND server = ?",
        params![batch + 1, cluster, reign.epoch, reign.holder, batch, Value::Server],
    )
}

/// What the leader last heard of a host: for pages, outside of the guarded batches.
#[derive(Clone, Debug, PartialEq)]
pub struct HostStatus {
    pub host: shared::ids::HostId,
    /// `unknown`, `live`, `silent`, `refused`.
    pub state: String,
    pub heard_ms: Millis,
    pub incarnation: shared::ids::Incarnation,
    pub why: String,
    /// [`shared::wire::HostFacts`] as JSON.
    pub facts: String,
}

/// Overwrites; nothing depends on it.
pub fn host_statuses(all: &[HostStatus]) -> Write {
    let rows = all.iter().map(|one| {
        params![
            one.host,
            &one.state,
            one.heard_ms,
            one.incarnation,
            codec::cut(&one.why),
            &one.facts
        ]
    });
    Write::Rows {
        table: "host_status",
        key: &["host_id"],
        columns: &["host_id", "state", "heard_ms", "incarnation", "why", "facts"],
        rows: rows.collect(),
        mode: Mode::Upsert,
    }
}
