//! Attempts, as pages and API show them.

use super::{IDS_MAX, JobRun, marks};
use crate::db::{Db, Result, Row, Value};
use shared::ids::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Attempt {
    pub id: AttemptId,
    pub host: HostId,
    pub mark: String,
    /// Why it had no place until it was assigned.
    pub queued: String,
    /// A word: code, signal, killed, …; none while it lives.
    pub end_kind: Option<String>,
    pub end_code: Option<i64>,
    pub end_text: Option<String>,
    pub assigned: Millis,
    pub started: Option<Millis>,
    pub ended: Option<Millis>,
    pub out_bytes: i64,
    pub err_bytes: i64,
    pub rss_max_kib: Option<i64>,
    pub cpu_ms: Option<i64>,
}

const ATTEMPT: &str = "run_id, job_id, number, reign, host_id, mark, queued_why, end_kind, end_code, end_text, \
    assigned_ms, started_ms, ended_ms, out_bytes, err_bytes, rss_max_kib, cpu_ms";

fn attempt(row: &Row) -> Result<Attempt> {
    let text = |column| row.opt_text(column).map(|text| text.map(str::to_owned));
    Ok(Attempt {
        id: AttemptId {
            run: RunId(row.int("run_id")?),
            job: JobId(row.int("job_id")?),
            number: row.small("number")?,
            reign: row.int("reign")?,
        },
        host: HostId(row.int("host_id")?),
        mark: row.text("mark")?.to_owned(),
        queued: row.text("queued_why")?.to_owned(),
        end_kind: text("end_kind")?,
        end_code: row.opt_int("end_code")?,
        end_text: text("end_text")?,
        assigned: row.int("assigned_ms")?,
        started: row.opt_int("started_ms")?,
        ended: row.opt_int("ended_ms")?,
        out_bytes: row.int("out_bytes")?,
        err_bytes: row.int("err_bytes")?,
        rss_max_kib: row.opt_int("rss_max_kib")?,
        cpu_ms: row.opt_int("cpu_ms")?,
    })
}

/// All tries of one job run, oldest first.
pub async fn attempts(db: &Db, run: RunId, job: JobId) -> Result<Vec<Attempt>> {
    let sql = format!(
        "SELECT {ATTEMPT} FROM attempt WHERE run_id = ? AND job_id = ? \
         ORDER BY number, assigned_ms LIMIT 1000"
    );
    db.query(sql, crate::params![run, job]).await?.iter().map(attempt).collect()
}

/// All tries of these runs, at most `limit`, by run and job.
pub async fn attempts_of(db: &Db, runs: &[RunId], limit: usize) -> Result<Vec<Attempt>> {
    let mut found = Vec::new();
    for chunk in runs.chunks(IDS_MAX) {
        let left = limit - found.len();
        if left == 0 {
            break;
        }
        let sql = format!(
            "SELECT {ATTEMPT} FROM attempt WHERE run_id IN ({}) \
             ORDER BY run_id, job_id, number, assigned_ms LIMIT {left}",
            marks(chunk.len())
        );
        let ids = chunk.iter().map(|&id| id.into()).collect();
        for row in &db.query(sql, ids).await? {
            found.push(attempt(row)?);
        }
    }
    Ok(found)
}

/// Where the newest tries of these job runs were: a job run forgets its host when it ends.
pub async fn hosts(db: &Db, jobs: &[JobRun]) -> Result<BTreeMap<(RunId, JobId), HostId>> {
    let mut by_run: BTreeMap<RunId, Vec<Value>> = BTreeMap::new();
    for job in jobs.iter().filter(|job| job.number > 0) {
        by_run.entry(job.run).or_default().push(job.job.into());
    }
    let mut found = BTreeMap::new();
    for (run, jobs) in by_run {
        for chunk in jobs.chunks(IDS_MAX) {
            let sql = format!(
                "SELECT job_id, host_id FROM attempt WHERE run_id = ? AND job_id IN ({}) \
                 ORDER BY number",
                marks(chunk.len())
            );
            let values = [&[run.into()], chunk].concat();
            for row in db.query(sql, values).await? {
                found.insert((run, JobId(row.int("job_id")?)), HostId(row.int("host_id")?));
            }
        }
    }
    Ok(found)
}

pub async fn find_attempt(db: &Db, id: AttemptId) -> Result<Option<Attempt>> {
    let sql = format!(
        "SELECT {ATTEMPT} FROM attempt WHERE run_id = ? AND job_id = ? AND number = ? AND reign = ?"
    );
    let row = db.first(sql, crate::params![id.run, id.job, id.number, id.reign]).await?;
    row.as_ref().map(attempt).transpose()
}
