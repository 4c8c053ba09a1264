//! The run state as a whole: changes of the World as writes, and the rows a new leader begins with.

use super::codec::{self, ATTEMPT, DISPATCH, DOUBT, EXECUTION, FIRING, JOB_RUN, RUN};
use super::leader::LeaderRow;
use super::read::{by_ids, marks, padded};
use super::{command, leader};
use crate::db::{self, Db, Error, Mode, Value, Write, params};
use crate::engine::rows::{Change, Key, Mark, Row};
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};

/// Runs, executions: what has not ended.
pub(super) const LIVE: &str = "('waiting','ready','running')";

/// What became of a batch of the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    Done,
    /// The leader row is not ours, or not at this batch, as the row shows; nothing is stored.
    Refused(Option<LeaderRow>),
    /// These firings were computed from dispatches that were edited since; nothing is stored.
    Edited(Vec<Key>),
    /// This row can never be stored, and why; nothing is (rule L4).
    Bad(Key, String),
    /// Nothing is stored; the same again a little later.
    NotDone(String),
    /// Read the leader row before anything else: [`leader::read`] (rule L3).
    Unknown(String),
}

/// Stores batch `batch + 1` of this reign: the guard, and the changes.
pub async fn store(
    db: &Db,
    cluster: &str,
    (reign, batch): (Reigning, i64),
    changes: &[Change],
) -> Stored {
    let mut all = vec![leader::guard(cluster, reign, batch)];
    all.extend(writes(changes, batch + 1));
    let (write, row, why) = match db.commit(all).await {
        Ok(()) => return Stored::Done,
        Err(Error::Conflict) => return conflict(db, cluster, (reign, batch), changes).await,
        Err(Error::UnknownOutcome(why)) => return Stored::Unknown(why),
        Err(ref error @ (Error::Duplicate { write, row, .. } | Error::Bad { write, row, .. })) => {
            (write, row, error.to_string())
        }
        Err(error) => return Stored::NotDone(error.to_string()),
    };
    // The guard is the first write.
    let key = write.checked_sub(1).and_then(|write| {
        grouped(changes, batch + 1).get(write).and_then(|(_, keys)| keys.get(row).copied())
    });
    key.map_or_else(|| Stored::NotDone(why.clone()), |key| Stored::Bad(key, why.clone()))
}

/// Was it the guard, or a dispatch that was edited?
async fn conflict(
    db: &Db,
    cluster: &str,
    (reign, batch): (Reigning, i64),
    changes: &[Change],
) -> Stored {
    let row = match leader::read(db, cluster).await {
        Ok(row) => row,
        Err(error) => return Stored::NotDone(error.to_string()),
    };
    let ours = row.as_ref().is_some_and(|row| {
        row.reigning() == reign && row.batch == batch && row.server == row.answered_by
    });
    if !ours {
        return Stored::Refused(row);
    }
    match refused_firings(db, changes).await {
        Ok(keys) => Stored::Edited(keys),
        Err(error) => Stored::NotDone(error.to_string()),
    }
}

/// What the World changed, as few statements of many rows. Of several changes of one key the last
/// counts. `batch` is the number that this batch will have: live pages catch up by it.
///
/// Every firing is stored only while its dispatch has the version that it was computed from (rule
/// L6): else the batch is a conflict, and [`refused_firings`] tells which ones are to blame.
pub fn writes(changes: &[Change], batch: i64) -> Vec<Write> {
    grouped(changes, batch).into_iter().map(|(write, _)| write).collect()
}

/// Rows of one table, and whose they are.
type Group = (&'static codec::Table, Vec<Vec<Value>>, Vec<Key>);

/// Each write with the keys of its rows.
fn grouped(changes: &[Change], batch: i64) -> Vec<(Write, Vec<Key>)> {
    let mut newest: BTreeMap<Key, Option<&Row>> = BTreeMap::new();
    for (key, row) in changes {
        newest.insert(*key, row.as_ref());
    }
    let mut writes = Vec::new();
    let versions = dispatch_versions(changes);
    if !versions.is_empty() {
        let rows = versions.iter().map(|(dispatch, version)| params![*dispatch, *version]);
        let columns = &["id", "version"];
        let exist = Write::Exist { table: "dispatch", columns, rows: rows.collect() };
        writes.push((exist, Vec::new()));
    }
    let mut rows: BTreeMap<&'static str, Group> = BTreeMap::new();
    let mut gone: BTreeMap<&'static str, Group> = BTreeMap::new();
    for (key, row) in newest {
        let Some(table) = codec::table(&key) else {
            // Commands are the audit trail of operations: forgotten by the World, kept here.
            if let (Key::Command(id), Some(Row::Command(result))) = (key, row) {
                writes.push((command::answer(id, result), vec![key]));
            }
            continue;
        };
        let (groups, values) = match row {
            Some(row) => (&mut rows, codec::values(&key, row, batch)),
            None => (&mut gone, codec::key_values(&key)),
        };
        let group = groups.entry(table.name).or_insert_with(|| (table, Vec::new(), Vec::new()));
        group.1.push(values);
        group.2.push(key);
    }
    writes.extend(rows.into_values().map(|(table, rows, keys)| {
        // An alert that was told already stays as it is: it may have been sent since.
        let mode = if table.name == "outbox" { Mode::InsertIfAbsent } else { Mode::Upsert };
        let codec::Table { name, key, columns } = *table;
        (Write::Rows { table: name, key, columns, rows, mode }, keys)
    }));
    writes.extend(gone.into_values().map(|(table, rows, keys)| {
        (Write::Delete { table: table.name, key: table.key, rows }, keys)
    }));
    writes
}

/// Dispatches that firings among the changes name, at the version they name.
fn dispatch_versions(changes: &[Change]) -> BTreeSet<(DispatchId, i64)> {
    let version = |(key, row): &Change| match (key, row) {
        (Key::Firing(dispatch, _), Some(Row::Firing(firing))) => Some((*dispatch, firing.version)),
        _ => None,
    };
    changes.iter().filter_map(version).collect()
}

/// Firings among the changes whose dispatch has another version by now, or is deleted: they, and
/// what was made for them, must not be stored (rule L6). For after a conflict that is not of the
/// leader row.
///
/// # Errors
/// The database's.
pub async fn refused_firings(db: &Db, changes: &[Change]) -> db::Result<Vec<Key>> {
    let wanted = dispatch_versions(changes);
    let ids: Vec<i64> = wanted.iter().map(|(dispatch, _)| dispatch.0).collect();
    let mut current = BTreeSet::new();
    for ids in ids.chunks(super::read::IDS_MAX) {
        let ids = padded(ids);
        let text = format!(
            "SELECT id, version FROM dispatch WHERE deleted_ms IS NULL AND id IN {}",
            marks(ids.len())
        );
        for row in db.query_locking(text, ids).await? {
            current.insert((DispatchId(row.int("id")?), row.int("version")?));
        }
    }
    let refused = |(key, row): &Change| match (key, row) {
        (Key::Firing(dispatch, _), Some(Row::Firing(firing))) => {
            (!current.contains(&(*dispatch, firing.version))).then_some(*key)
        }
        _ => None,
    };
    Ok(changes.iter().filter_map(refused).collect())
}

/// What a new leader begins with: executions that have not ended and all runs they name; live runs
/// with all their job runs and attempts; attempts that are marked, and of orphans their runs with the
/// job runs; dispatch states; doubts; backfills that have not ended.
///
/// # Errors
/// The database's.
pub async fn load_live(db: &Db) -> db::Result<Vec<(Key, Row)>> {
    // Two rounds of questions side by side: what the second asks for is what the first has found.
    let (mut all, doubts, backfills, executions, runs, marked) = tokio::try_join!(
        dispatch_states(db),
        db.query("SELECT host_id FROM host_doubt", params![]),
        // Six questions side by side are a large future.
        Box::pin(live_backfills(db)),
        live(db, &EXECUTION, codec::execution),
        live(db, &RUN, codec::run),
        marked_attempts(db),
    )?;
    for row in &doubts {
        all.push(codec::doubt(row)?);
    }
    all.extend(backfills);
    let mut named = BTreeSet::new();
    for (_, row) in &executions {
        if let Row::Execution(execution) = row {
            named.extend(execution.runs.iter().map(|run| run.0));
        }
    }
    let open: Vec<i64> = runs
        .iter()
        .filter_map(|(key, _)| if let Key::Run(id) = key { Some(id.0) } else { None })
        .collect();
    let is_open: BTreeSet<i64> = open.iter().copied().collect();
    // Whether an orphan is to be killed depends on whether its run has ended.
    let orphaned: BTreeSet<i64> = marked
        .iter()
        .filter_map(|(key, row)| match (key, row) {
            (Key::Attempt(id), Row::Attempt(attempt)) if attempt.mark == Mark::Orphan => {
                Some(id.run.0)
            }
            _ => None,
        })
        .filter(|id| !is_open.contains(id))
        .collect();
    let ended: Vec<i64> =
        named.union(&orphaned).copied().filter(|id| !is_open.contains(id)).collect();
    let orphaned: Vec<i64> = orphaned.into_iter().collect();
    let (ended, jobs, of_orphans, attempts) = tokio::try_join!(
        rows_of(db, &RUN, &ended, codec::run),
        rows_of(db, &JOB_RUN, &open, codec::job_run),
        rows_of(db, &JOB_RUN, &orphaned, codec::job_run),
        rows_of(db, &ATTEMPT, &open, codec::attempt),
    )?;
    let known: BTreeSet<Key> = attempts.iter().map(|(key, _)| *key).collect();
    let marked = marked.into_iter().filter(|(key, _)| !known.contains(key));
    all.extend(executions.into_iter().chain(runs).chain(ended).chain(jobs).chain(of_orphans));
    all.extend(attempts);
    all.extend(marked);
    Ok(all)
}

async fn marked_attempts(db: &Db) -> db::Result<Vec<(Key, Row)>> {
    let text =
        format!("SELECT {} FROM attempt WHERE mark IN ('orphan','abandoned')", ATTEMPT.list(""));
    db.query(text, params![]).await?.iter().map(codec::attempt).collect()
}

async fn live_backfills(db: &Db) -> db::Result<Vec<(Key, Row)>> {
    let live = "state IN ('running','paused') AND id > ?";
    pages(db, &codec::BACKFILL, live, "id", codec::backfill).await
}

async fn dispatch_states(db: &Db) -> db::Result<Vec<(Key, Row)>> {
    pages(db, &DISPATCH, "dispatch_id > ?", "dispatch_id", codec::dispatch).await
}

/// Rows that have not ended, page by page.
async fn live(
    db: &Db,
    table: &codec::Table,
    read: fn(&db::Row) -> db::Result<(Key, Row)>,
) -> db::Result<Vec<(Key, Row)>> {
    pages(db, table, &format!("state IN {LIVE} AND id > ?"), "id", read).await
}

async fn pages(
    db: &Db,
    table: &codec::Table,
    condition: &str,
    key: &str,
    read: fn(&db::Row) -> db::Result<(Key, Row)>,
) -> db::Result<Vec<(Key, Row)>> {
    let page = super::read::PAGE;
    let (columns, name) = (table.list(""), table.name);
    let text =
        format!("SELECT {columns} FROM {name} WHERE {condition} ORDER BY {key} LIMIT {page}");
    let mut all = Vec::new();
    let mut after = i64::MIN;
    loop {
        let rows = db.query(text.clone(), params![after]).await?;
        for row in &rows {
            all.push(read(row)?);
        }
        match rows.last() {
            Some(row) if rows.len() == page => after = row.int(key)?,
            _ => return Ok(all),
        }
    }
}

/// Rows of runs (or of other things with such ids), in few queries.
pub(super) async fn rows_of(
    db: &Db,
    table: &codec::Table,
    ids: &[i64],
    read: fn(&db::Row) -> db::Result<(Key, Row)>,
) -> db::Result<Vec<(Key, Row)>> {
    let select = format!("SELECT {} FROM {}", table.list(""), table.name);
    let rows = by_ids(db, ids, (&select, table.key[0]), (table.key, "")).await?;
    rows.iter().map(read).collect()
}

/// Rows by their keys, whatever they are: for tests and for one who doubts.
///
/// # Errors
/// The database's.
pub async fn find(db: &Db, keys: &[Key]) -> db::Result<Vec<(Key, Row)>> {
    let wanted: BTreeSet<Key> = keys.iter().copied().collect();
    let mut ids: BTreeMap<&'static str, BTreeSet<i64>> = BTreeMap::new();
    for key in keys {
        if let (Some(table), Some(Value::Int(id))) =
            (codec::table(key), codec::key_values(key).first())
        {
            ids.entry(table.name).or_default().insert(*id);
        }
    }
    type Read = fn(&db::Row) -> db::Result<(Key, Row)>;
    let tables: [(&codec::Table, Read); 9] = [
        (&DISPATCH, codec::dispatch),
        (&FIRING, codec::firing),
        (&EXECUTION, codec::execution),
        (&RUN, codec::run),
        (&JOB_RUN, codec::job_run),
        (&ATTEMPT, codec::attempt),
        (&DOUBT, codec::doubt),
        (&codec::OUTBOX, codec::outbox),
        (&codec::BACKFILL, codec::backfill),
    ];
    let mut all = Vec::new();
    for (table, read) in tables {
        let ids: Vec<i64> =
            ids.get(table.name).map(|ids| ids.iter().copied().collect()).unwrap_or_default();
        let rows = rows_of(db, table, &ids, read).await?;
        all.extend(rows.into_iter().filter(|(key, _)| wanted.contains(key)));
    }
    Ok(all)
}
