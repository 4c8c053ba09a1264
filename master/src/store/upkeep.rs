//! What is deleted with age, and certificates that run out. Called by the leader's housekeeping.

use super::read::{IDS_MAX, marks, padded};
use super::run::LIVE;
use crate::db::{self, Db, Value, Write, params, sql};
use shared::ids::{Millis, RunId};
use std::collections::BTreeSet;

/// Rows deleted at a time, so that no batch of the leader waits behind it.
const DELETED_MAX: u32 = 1_000;

/// Forgets commands that were answered before this date; how many, at most 1,000.
///
/// # Errors
/// The database's.
pub async fn forget_commands(db: &Db, before: Millis) -> db::Result<usize> {
    let text = format!(
        "SELECT id FROM command WHERE result IS NOT NULL AND done_ms < ? ORDER BY id LIMIT {DELETED_MAX}"
    );
    let rows = db.query(text, params![before]).await?;
    let ids = rows.iter().map(|row| row.int("id").map(|id| vec![Value::Int(id)]));
    let ids = ids.collect::<db::Result<Vec<_>>>()?;
    let count = ids.len();
    if count > 0 {
        db.commit([Write::Delete { table: "command", key: &["id"], rows: ids }]).await?;
    }
    Ok(count)
}

/// Where [`long_ended`] goes on: the end of the last run it looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    ended_ms: Millis,
    run: i64,
}

/// Runs looked at in one step.
const RUNS_MAX: u32 = 500;

/// Runs that ended before this date and still have their jobs, at most 500. None: there are no more.
///
/// # Errors
/// The database's.
pub async fn long_ended(
    db: &Db,
    from: Swept,
    before: Millis,
) -> db::Result<Option<(Vec<RunId>, Swept)>> {
    let text = format!(
        "SELECT id, ended_ms FROM run WHERE ended_ms < ? \
         AND (ended_ms > ? OR (ended_ms = ? AND id > ?)) \
         AND EXISTS (SELECT 1 FROM job_run WHERE run_id = run.id) \
         ORDER BY ended_ms, id LIMIT {RUNS_MAX}"
    );
    let params = params![before, from.ended_ms, from.ended_ms, from.run];
    let rows = db.query(text, params).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let swept = Swept { ended_ms: last.int("ended_ms")?, run: last.int("id")? };
    let runs: db::Result<_> = rows.iter().map(|row| Ok(RunId(row.int("id")?))).collect();
    Ok(Some((runs?, swept)))
}

/// Those of these runs of which a job is known, or an attempt whose commit was lost: its host lists it
/// before its run is made again.
///
/// # Errors
/// The database's.
pub async fn with_details(db: &Db, runs: &[RunId]) -> db::Result<BTreeSet<RunId>> {
    let mut known = BTreeSet::new();
    for some in runs.chunks(IDS_MAX) {
        let ids = padded(&some.iter().map(|run| run.0).collect::<Vec<_>>());
        let marks = marks(ids.len());
        let text = format!(
            "SELECT run_id FROM job_run WHERE run_id IN {marks} \
             UNION SELECT run_id FROM attempt WHERE mark = 'orphan' AND run_id IN {marks}"
        );
        let twice = [ids.clone(), ids].concat();
        for row in db.query(text, twice).await? {
            known.insert(RunId(row.int("run_id")?));
        }
    }
    Ok(known)
}

/// Deletes jobs and attempts of those of these runs that ended before this date; the runs themselves
/// stay, for they say what succeeded. What hosts must still be told to kill stays too.
///
/// # Errors
/// The database's.
pub async fn forget_details(db: &Db, runs: &[RunId], before: Millis) -> db::Result<()> {
    let ids: Vec<i64> = runs.iter().map(|run| run.0).collect();
    let ids = padded(&ids);
    // Asked again where it is deleted: a run may have been resumed in this very moment.
    let old = format!(
        "run_id IN (SELECT id FROM run WHERE id IN {} AND ended_ms < ? AND state NOT IN {LIVE})",
        marks(ids.len())
    );
    let params: Vec<Value> = ids.into_iter().chain([Value::Int(before)]).collect();
    let attempts = format!("DELETE FROM attempt WHERE mark <> 'abandoned' AND {old}");
    let counts = format!("DELETE FROM step_count WHERE {old}");
    let jobs = format!("DELETE FROM job_run WHERE {old}");
    let all = [attempts, counts, jobs].map(|text| sql(text, params.clone()));
    db.commit(all).await
}

/// Deletes executions that ended, firings that were decided and alerts that were sent before this
/// date: how many executions, at most 1,000. The cursor of a dispatch stays, so nothing fires again.
///
/// # Errors
/// The database's.
pub async fn forget_history(db: &Db, before: Millis) -> db::Result<usize> {
    let text = format!(
        "SELECT id FROM execution WHERE created_ms < ? AND ended_ms < ? AND state NOT IN {LIVE} \
         ORDER BY created_ms, id LIMIT {DELETED_MAX}"
    );
    let rows = db.query(text, params![before, before]).await?;
    let ids = rows.iter().map(|row| row.int("id").map(|id| vec![Value::Int(id)]));
    let ids = ids.collect::<db::Result<Vec<_>>>()?;
    let count = ids.len();
    let firings = "DELETE FROM firing WHERE instant_ms < ? AND instant_ms <= \
        (SELECT s.cursor_ms FROM dispatch_state s WHERE s.dispatch_id = firing.dispatch_id)";
    db.commit([
        Write::Delete { table: "execution", key: &["id"], rows: ids },
        sql(firings, params![before]),
        sql("DELETE FROM outbox WHERE sent_ms < ?", params![before]),
    ])
    .await?;
    Ok(count)
}

/// Forgets how hosts were that are defined no more.
///
/// # Errors
/// The database's.
pub async fn forget_hosts(db: &Db) -> db::Result<()> {
    let of = |table: &str| {
        let known = "SELECT id FROM host WHERE deleted_ms IS NULL";
        sql(format!("DELETE FROM {table} WHERE host_id NOT IN ({known})"), params![])
    };
    db.commit([of("host_status"), of("host_sample")]).await
}
