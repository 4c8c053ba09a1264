//! Exec hosts: their rows, and what the leader last heard of them.

use super::edit::Edit;
use super::interface::{self, Meta, json};
use super::read;
use crate::db::{self, Db, Mode, Write, guard, params, sql};
use shared::ids::*;
use shared::spec::HostSpec;
use shared::wire::HostFacts;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    pub id: HostId,
    /// 0: shared by all projects.
    pub project: ProjectId,
    pub name: &'a str,
    /// As in its certificate; empty until it has been met.
    pub agent: &'a str,
    pub spec: &'a HostSpec,
}

fn version_row(put: &Put, version: i64, edit: &Edit) -> db::Result<Write> {
    let (spec, note, reason) = (json(put.spec)?, edit.how.text(), edit.reason());
    Ok(sql(
        "INSERT INTO host_version (host_id, version, project_id, name, spec, note, reason, at_ms, \
         by_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![put.id, version, put.project, put.name, spec, note, reason, edit.at, edit.by],
    ))
}

/// # Errors
/// The spec cannot be written.
pub fn insert(put: &Put, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        sql(
            "INSERT INTO host (id, project_id, name, agent, spec, version, deleted_ms, \
             updated_ms, updated_by) VALUES (?, ?, ?, ?, ?, 1, NULL, ?, ?)",
            params![put.id, put.project, put.name, put.agent, json(put.spec)?, edit.at, edit.by],
        ),
        version_row(put, 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "create", ("host", put.id.0), put.name),
    ])
}

/// Whether what it ran before the database was restored is not known yet.
///
/// # Errors
/// The database's.
pub async fn is_in_doubt(db: &Db, id: HostId) -> db::Result<bool> {
    let row = db.first("SELECT host_id FROM host_doubt WHERE host_id = ?", params![id]).await?;
    Ok(row.is_some())
}

/// # Errors
/// The spec cannot be written. At the commit: [`db::Error::Conflict`] when `from` is not the newest.
pub fn update(put: &Put, from: i64, edit: &Edit) -> db::Result<Vec<Write>> {
    Ok(vec![
        guard(
            "UPDATE host SET project_id = ?, name = ?, spec = ?, version = ?, updated_ms = ?, \
             updated_by = ? WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![
                put.project,
                put.name,
                json(put.spec)?,
                from + 1,
                edit.at,
                edit.by,
                put.id,
                from
            ],
        ),
        version_row(put, from + 1, edit)?,
        edit.revision(),
        edit.audit(put.project, "update", ("host", put.id.0), put.name),
    ])
}

pub fn delete(
    id: HostId,
    from: i64,
    (project, name): (ProjectId, &str),
    edit: &Edit,
) -> Vec<Write> {
    vec![
        guard(
            "UPDATE host SET name = ?, deleted_ms = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ? AND deleted_ms IS NULL",
            params![format!("{name} (deleted {id})"), edit.at, edit.at, edit.by, id, from],
        ),
        edit.revision(),
        edit.audit(project, "delete", ("host", id.0), &edit.farewell(name)),
    ]
}

/// Of all current hosts.
///
/// # Errors
/// The database's.
pub async fn metas(db: &Db) -> db::Result<BTreeMap<i64, Meta>> {
    let sql = "SELECT id, version, updated_ms, updated_by FROM host WHERE deleted_ms IS NULL";
    interface::read_metas(db, sql).await
}

/// What the leader last heard of a host.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Status {
    pub state: String,
    pub heard_ms: Millis,
    pub incarnation: String,
    pub why: String,
    pub facts: Option<HostFacts>,
}

/// # Errors
/// The database's.
pub async fn statuses(db: &Db) -> db::Result<BTreeMap<i64, Status>> {
    let sql = "SELECT host_id, state, heard_ms, incarnation, why, facts FROM host_status";
    let rows = db.query(sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            let status = Status {
                state: row.text("state")?.to_owned(),
                heard_ms: row.int("heard_ms")?,
                incarnation: row.text("incarnation")?.to_owned(),
                why: row.text("why")?.to_owned(),
                // Written by a leader of another version, perhaps: shown if understood.
                facts: serde_json::from_str(row.text("facts")?).ok(),
            };
            Ok((row.int("host_id")?, status))
        })
        .collect()
}

/// Changes when the leader has written anew how the hosts are.
///
/// # Errors
/// The database's.
pub async fn mark(db: &Db) -> db::Result<Mark> {
    let sql = "SELECT COUNT(*) AS hosts, MAX(heard_ms) AS heard_ms, \
               COUNT(CASE WHEN state = 'live' THEN 1 END) AS live FROM host_status";
    let row = db.first(sql, vec![]).await?;
    let read = |row: db::Row| Ok((row.int("hosts")?, row.opt_int("heard_ms")?, row.int("live")?));
    row.map(read).transpose().map(Option::unwrap_or_default)
}

/// How many hosts, the last that was heard of any, how many live.
pub type Mark = (i64, Option<Millis>, i64);

/// One stretch of the ring of samples.
pub const SAMPLE_MS: Millis = 30_000;
/// Places of the ring: half an hour.
pub const SAMPLES: i64 = 60;

/// How busy a host was in the stretch that began at `at_ms`, a multiple of [`SAMPLE_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub host: HostId,
    pub at_ms: Millis,
    pub cpu_permille: i64,
    pub memory_permille: i64,
    /// Hundredths of what the system calls load.
    pub load_centi: i64,
}

/// Written over what stood there half an hour ago; nothing depends on it.
pub fn put_samples(all: &[Sample]) -> Write {
    let rows = all.iter().map(|one| {
        let place = one.at_ms.div_euclid(SAMPLE_MS).rem_euclid(SAMPLES);
        params![one.host, place, one.at_ms, one.cpu_permille, one.memory_permille, one.load_centi]
    });
    Write::Rows {
        table: "host_sample",
        key: &["host_id", "place"],
        columns: &["host_id", "place", "at_ms", "cpu_permille", "memory_permille", "load_centi"],
        rows: rows.collect(),
        mode: Mode::Upsert,
    }
}

/// Of these hosts since then, the oldest first.
///
/// # Errors
/// The database's.
pub async fn samples(
    db: &Db,
    ids: &[i64],
    since: Millis,
) -> db::Result<BTreeMap<i64, Vec<Sample>>> {
    let select = "SELECT host_id, place, at_ms, cpu_permille, memory_permille, load_centi \
                  FROM host_sample";
    let rows = read::by_ids(db, ids, (select, "host_id"), (&["host_id", "place"], "")).await?;
    let mut all: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
    for row in rows {
        let sample = Sample {
            host: HostId(row.int("host_id")?),
            at_ms: row.int("at_ms")?,
            cpu_permille: row.int("cpu_permille")?,
            memory_permille: row.int("memory_permille")?,
            load_centi: row.int("load_centi")?,
        };
        // What is older stands in the ring until its place is needed.
        if sample.at_ms >= since {
            all.entry(sample.host.0).or_default().push(sample);
        }
    }
    for samples in all.values_mut() {
        samples.sort_by_key(|sample| sample.at_ms);
    }
    Ok(all)
}

/// A job that a host has now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Running {
    pub host: HostId,
    pub run: RunId,
    pub execution: ExecutionId,
    pub interface: InterfaceId,
    pub job: JobId,
    pub period: String,
    pub state: String,
    pub number: i64,
    pub started_ms: Option<Millis>,
}

/// What all hosts have now, at most `limit` jobs.
///
/// # Errors
/// The database's.
pub async fn running(db: &Db, limit: u32) -> db::Result<Vec<Running>> {
    let sql = "SELECT j.host_id, j.run_id, j.job_id, j.state, j.number, j.started_ms, \
               r.execution_id, r.interface_id, r.period FROM job_run j \
               JOIN run r ON r.id = j.run_id \
               WHERE j.state IN ('assigned', 'running', 'stopping') AND j.host_id IS NOT NULL \
               ORDER BY j.started_ms LIMIT ?";
    let rows = db.query(sql, params![limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Running {
                host: HostId(row.int("host_id")?),
                run: RunId(row.int("run_id")?),
                execution: ExecutionId(row.int("execution_id")?),
                interface: InterfaceId(row.int("interface_id")?),
                job: JobId(row.int("job_id")?),
                period: row.text("period")?.to_owned(),
                state: row.text("state")?.to_owned(),
                number: row.int("number")?,
                started_ms: row.opt_int("started_ms")?,
            })
        })
        .collect()
}
