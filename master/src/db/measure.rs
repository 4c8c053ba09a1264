//! How fast this database takes rows: the limit that a leader's throughput is measured against.
//!
//! Called by `make bench`, on the disk and in the run of what it is compared with.

use super::{Db, Mode, Result, Value, Write, params};
use shared::clock::Clock;
use shared::ids::Millis;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub rows: usize,
    pub batches: usize,
    pub ms: Millis,
    pub rows_per_second: f64,
    /// One small batch after the other, each waited for: what a commit costs.
    pub commit_ms: f64,
}

/// Rows as wide as job runs, below all ids that are given; gone again at the end.
const COLUMNS: &[&str] = &[
    "run_id",
    "job_id",
    "project_id",
    "state",
    "reason",
    "number",
    "reign",
    "allowed",
    "not_before_ms",
    "waits",
    "host_id",
    "incarnation",
    "basis_seq",
    "ready_ms",
    "started_ms",
    "ended_ms",
    "batch",
];
const KEY: &[&str] = &["run_id", "job_id"];
/// Small batches that are waited for one by one.
const COMMITS: usize = 200;
/// Jobs of one run.
const JOBS: usize = 1_000;

fn row(at: usize, batch: usize) -> Vec<Value> {
    let (at, batch) = (i64::try_from(at).unwrap_or(0), i64::try_from(batch).unwrap_or(0));
    let jobs = JOBS as i64;
    params![
        -1 - at / jobs,
        at % jobs,
        1,
        "running",
        "",
        1,
        batch,
        1,
        0,
        "[]",
        1,
        "0123456789abcdef0123456789abcdef",
        batch,
        at,
        at,
        None::<i64>,
        batch,
    ]
}

fn upsert(rows: Vec<Vec<Value>>) -> Write {
    Write::Rows { table: "job_run", key: KEY, columns: COLUMNS, rows, mode: Mode::Upsert }
}

/// Writes `rows` rows, `batch` of them at a time, each batch waited for; then every one of them again, as a
/// leader does whose jobs go through their states.
///
/// # Errors
/// The database's.
pub async fn bulk_rows(db: &Db, clock: &Clock, rows: usize, batch: usize) -> Result<Rate> {
    let batch = batch.max(1);
    let began = clock.mono_ms();
    let mut batches = 0;
    for _ in 0..2 {
        for from in (0..rows).step_by(batch) {
            let until = rows.min(from + batch);
            batches += 1;
            db.commit([upsert((from..until).map(|at| row(at, batches)).collect())]).await?;
        }
    }
    let ms = (clock.mono_ms() - began).max(1);
    let began = clock.mono_ms();
    for number in 0..COMMITS {
        db.commit([upsert(vec![row(number, number)])]).await?;
    }
    let commit_ms = (clock.mono_ms() - began) as f64 / COMMITS as f64;
    for from in (0..rows.max(COMMITS)).step_by(batch) {
        let until = rows.max(COMMITS).min(from + batch);
        let keys = (from..until).map(|at| row(at, 0)[..KEY.len()].to_vec()).collect();
        db.commit([Write::Delete { table: "job_run", key: KEY, rows: keys }]).await?;
    }
    let rows_per_second = (2 * rows) as f64 * 1_000.0 / ms as f64;
    Ok(Rate { rows: 2 * rows, batches, ms, rows_per_second, commit_ms })
}
