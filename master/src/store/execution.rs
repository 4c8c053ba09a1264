//! What pages and API read of executions: lists by keyset, one execution with all of its runs, and
//! what changed since a batch of the leader.
//!
//! Reads only: the leader alone writes these rows (`store/run.rs`). What is asked for many ids goes
//! in chunks, so that no statement has more than [`IDS_MAX`] of them.

mod attempt;

pub use attempt::{Attempt, attempts, attempts_of, find_attempt, hosts};

use crate::db::{Db, Result, Row, Value};
use crate::engine::rows::{self, Origin, RunState, Target};
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// Ids in one statement.
const IDS_MAX: usize = 400;
/// Executions of one page at most.
pub const PAGE_MAX: usize = 200;

/// One line of a list.
#[derive(Clone, Debug)]
pub struct Execution {
    pub id: ExecutionId,
    pub project: ProjectId,
    pub interface: InterfaceId,
    pub period: Period,
    pub origin: Origin,
    pub dispatch: Option<DispatchId>,
    /// The scheduled one, of a firing.
    pub instant: Option<Millis>,
    /// That asked for it; of a period of a backfill, the backfill.
    pub command: Option<CommandId>,
    pub by: Option<UserId>,
    pub by_name: Option<String>,
    pub cascade: bool,
    pub params: BTreeMap<String, String>,
    pub state: RunState,
    pub runs: Vec<RunId>,
    pub created: Millis,
    pub ended: Option<Millis>,
    pub batch: i64,
}

/// A run with its id.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: RunId,
    pub row: rows::Run,
}

impl Deref for Run {
    type Target = rows::Run;

    fn deref(&self) -> &rows::Run {
        &self.row
    }
}

#[derive(Clone, Debug)]
pub struct JobRun {
    pub run: RunId,
    pub job: JobId,
    /// A word of `Phase::word`.
    pub state: String,
    pub reason: String,
    pub number: u32,
    pub reign: i64,
    pub allowed: u32,
    pub not_before: Millis,
    pub waits: BTreeSet<Target>,
    pub host: Option<HostId>,
    pub ready: Option<Millis>,
    pub started: Option<Millis>,
    pub ended: Option<Millis>,
}

/// What a list is narrowed to. `None` and empty mean all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The viewer's; `None` for those who see every project.
    pub projects: Option<Vec<ProjectId>>,
    pub interface: Option<InterfaceId>,
    pub dispatch: Option<DispatchId>,
    pub states: Vec<RunState>,
    pub period: Option<Period>,
    pub origin: Option<Origin>,
    /// Made at or after, and before.
    pub from: Option<Millis>,
    pub until: Option<Millis>,
    /// Only these.
    pub ids: Option<Vec<ExecutionId>>,
}

/// The last line of a page: the next one begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub created: Millis,
    pub id: ExecutionId,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}-{}", self.created, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Cursor, String> {
        let parts = text.split_once('-').and_then(|(created, id)| {
            Some(Cursor { created: created.parse().ok()?, id: id.parse().ok()? })
        });
        parts.ok_or_else(|| "this is no cursor: leave it out to begin at the first page".into())
    }
}

const EXECUTION: &str = "SELECT e.id, e.project_id, e.interface_id, e.period, e.origin, e.dispatch_id, \
    e.instant_ms, e.command_id, e.by_user, u.name AS by_name, e.is_cascade, e.params, e.state, e.runs, e.created_ms, \
    e.ended_ms, e.batch FROM execution e LEFT JOIN user_account u ON u.id = e.by_user";
const RUN: &str = "id, project_id, interface_id, period, period_ms, generation, version, execution_id, \
    priority, params, state, paused, stale, is_partial, waits, wait_until_ms, created_ms, started_ms, \
    age_from_ms, ended_ms";
const JOB_RUN: &str = "run_id, job_id, state, reason, number, reign, allowed, not_before_ms, waits, \
    host_id, ready_ms, started_ms, ended_ms";
/// The word of a state or origin in the database: as in JSON.
pub fn word<T: serde::Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn of_word<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    let text = row.text(column)?;
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| crate::db::Error::Fatal(format!("column {column}: {error}")))
}

/// Newest first; `limit` + 1 rows tell whether there is a next page.
pub async fn list(
    db: &Db,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Execution>> {
    let mut sql = format!("{EXECUTION} WHERE 1 = 1");
    let mut values: Vec<Value> = Vec::new();
    let mut and = |clause: &str, given: Vec<Value>| {
        sql.push_str(" AND ");
        sql.push_str(clause);
        values.extend(given);
    };
    if let Some(projects) = &filter.projects {
        let given: Vec<Value> = projects.iter().map(|&project| project.into()).collect();
        and(&format!("e.project_id IN ({})", marks(given.len())), given);
    }
    if let Some(interface) = filter.interface {
        and("e.interface_id = ?", vec![interface.into()]);
    }
    if let Some(dispatch) = filter.dispatch {
        and("e.dispatch_id = ?", vec![dispatch.into()]);
    }
    if !filter.states.is_empty() {
        let given: Vec<Value> = filter.states.iter().map(|&state| word(state).into()).collect();
        and(&format!("e.state IN ({})", marks(given.len())), given);
    }
    if let Some(period) = filter.period {
        and("e.period = ?", vec![period.into()]);
    }
    if let Some(origin) = filter.origin {
        and("e.origin = ?", vec![word(origin).into()]);
    }
    if let Some(from) = filter.from {
        and("e.created_ms >= ?", vec![from.into()]);
    }
    if let Some(until) = filter.until {
        and("e.created_ms < ?", vec![until.into()]);
    }
    if let Some(ids) = &filter.ids {
        let given: Vec<Value> = ids.iter().map(|&id| id.into()).collect();
        and(&format!("e.id IN ({})", marks(given.len())), given);
    }
    if let Some(Cursor { created, id }) = after {
        let given = vec![created.into(), created.into(), id.into()];
        and("(e.created_ms < ? OR (e.created_ms = ? AND e.id < ?))", given);
    }
    let limit = limit.min(PAGE_MAX + 1) as u64;
    sql.push_str(&format!(" ORDER BY e.created_ms DESC, e.id DESC LIMIT {limit}"));
    db.query(sql, values).await?.iter().map(execution).collect()
}

/// For an empty `IN ()` a clause that nothing meets.
fn marks(count: usize) -> String {
    match count {
        0 => "NULL".into(),
        _ => vec!["?"; count].join(", "),
    }
}

fn execution(row: &Row) -> Result<Execution> {
    Ok(Execution {
        id: ExecutionId(row.int("id")?),
        project: ProjectId(row.int("project_id")?),
        interface: InterfaceId(row.int("interface_id")?),
        period: row.parsed("period")?,
        origin: of_word(row, "origin")?,
        dispatch: row.opt_int("dispatch_id")?.map(DispatchId),
        instant: row.opt_int("instant_ms")?,
        command: row.opt_int("command_id")?.map(CommandId),
        by: row.opt_int("by_user")?.map(UserId),
        by_name: row.opt_text("by_name")?.map(str::to_owned),
        cascade: row.flag("is_cascade")?,
        params: row.json("params")?,
        state: of_word(row, "state")?,
        runs: row.json("runs")?,
        created: row.int("created_ms")?,
        ended: row.opt_int("ended_ms")?,
        batch: row.int("batch")?,
    })
}

fn run(row: &Row) -> Result<Run> {
    let run = rows::Run {
        project: ProjectId(row.int("project_id")?),
        interface: InterfaceId(row.int("interface_id")?),
        period: row.parsed("period")?,
        period_start: row.int("period_ms")?,
        generation: row.small("generation")?,
        version: row.int("version")?,
        execution: ExecutionId(row.int("execution_id")?),
        priority: row.small("priority")?,
        params: row.json("params")?,
        state: of_word(row, "state")?,
        paused: row.flag("paused")?,
        stale: row.flag("stale")?,
        partial: row.flag("is_partial")?,
        waits: row.json("waits")?,
        wait_until: row.int("wait_until_ms")?,
        created: row.int("created_ms")?,
        started: row.opt_int("started_ms")?,
        age_from: row.opt_int("age_from_ms")?,
        ended: row.opt_int("ended_ms")?,
    };
    Ok(Run { id: RunId(row.int("id")?), row: run })
}

fn job_run(row: &Row) -> Result<JobRun> {
    Ok(JobRun {
        run: RunId(row.int("run_id")?),
        job: JobId(row.int("job_id")?),
        state: row.text("state")?.to_owned(),
        reason: row.text("reason")?.to_owned(),
        number: row.small("number")?,
        reign: row.int("reign")?,
        allowed: row.small("allowed")?,
        not_before: row.int("not_before_ms")?,
        waits: row.json("waits")?,
        host: row.opt_int("host_id")?.map(HostId),
        ready: row.opt_int("ready_ms")?,
        started: row.opt_int("started_ms")?,
        ended: row.opt_int("ended_ms")?,
    })
}

/// `{}` of `sql` stands for the marks of one chunk of ids; `more` follows them.
async fn for_ids<T>(
    db: &Db,
    sql: &str,
    ids: &[i64],
    more: &[Value],
    read: fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(IDS_MAX) {
        let mut values: Vec<Value> = chunk.iter().map(|&id| id.into()).collect();
        values.extend_from_slice(more);
        let rows = db.query(sql.replace("{}", &marks(chunk.len())), values).await?;
        for row in &rows {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

pub async fn find(db: &Db, id: ExecutionId) -> Result<Option<Execution>> {
    Ok(many(db, &[id]).await?.pop())
}

pub async fn many(db: &Db, ids: &[ExecutionId]) -> Result<Vec<Execution>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let sql = format!("{EXECUTION} WHERE e.id IN ({{}})");
    for_ids(db, &sql, &ids, &[], execution).await
}

/// In the order asked for; those that are not there are left out.
pub async fn runs(db: &Db, ids: &[RunId]) -> Result<Vec<Run>> {
    changed_runs(db, ids, -1).await
}

/// Those of them that are stale.
pub async fn stale(db: &Db, ids: &[RunId]) -> Result<BTreeSet<RunId>> {
    let sql = "SELECT id FROM run WHERE id IN ({}) AND stale <> 0";
    let read = |row: &Row| Ok(RunId(row.int("id")?));
    Ok(for_ids(db, sql, &raw(ids), &[], read).await?.into_iter().collect())
}

/// Those of them that a batch after `batch` has written.
pub async fn changed_runs(db: &Db, ids: &[RunId], batch: i64) -> Result<Vec<Run>> {
    let sql = format!("SELECT {RUN} FROM run WHERE id IN ({{}}) AND batch > ?");
    let mut found = for_ids(db, &sql, &raw(ids), &[batch.into()], run).await?;
    let place: BTreeMap<RunId, usize> = ids.iter().enumerate().map(|(at, &id)| (id, at)).collect();
    found.sort_by_key(|run| place.get(&run.id).copied());
    Ok(found)
}

/// By run and job.
pub async fn job_runs(db: &Db, runs: &[RunId]) -> Result<Vec<JobRun>> {
    changed_job_runs(db, runs, -1).await
}

pub async fn changed_job_runs(db: &Db, runs: &[RunId], batch: i64) -> Result<Vec<JobRun>> {
    let sql = format!(
        "SELECT {JOB_RUN} FROM job_run WHERE run_id IN ({{}}) AND batch > ? ORDER BY run_id, job_id"
    );
    for_ids(db, &sql, &raw(runs), &[batch.into()], job_run).await
}

fn raw(ids: &[RunId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

/// How many job runs of each state: for progress bars.
pub async fn counts(db: &Db, runs: &[RunId]) -> Result<BTreeMap<RunId, BTreeMap<String, i64>>> {
    let sql = "SELECT run_id, state, COUNT(*) AS n FROM job_run WHERE run_id IN ({}) \
               GROUP BY run_id, state";
    let read =
        |row: &Row| Ok((RunId(row.int("run_id")?), row.text("state")?.to_owned(), row.int("n")?));
    let mut counts: BTreeMap<RunId, BTreeMap<String, i64>> = BTreeMap::new();
    for (run, state, n) in for_ids(db, sql, &raw(runs), &[], read).await? {
        counts.entry(run).or_default().insert(state, n);
    }
    Ok(counts)
}

/// The leader's last batch: nothing has changed while it stands.
pub async fn batch(db: &Db) -> Result<i64> {
    let row = db.first("SELECT MAX(batch) AS batch FROM leader", Vec::new()).await?;
    row.map_or(Ok(0), |row| Ok(row.opt_int("batch")?.unwrap_or(0)))
}

/// The counters of the top bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Running, or ready to.
    pub running: i64,
    pub waiting: i64,
    /// Executions made since `since` that have failed.
    pub failed: i64,
}

/// Of these projects, or of all.
pub async fn counters(db: &Db, projects: Option<&[ProjectId]>, since: Millis) -> Result<Counters> {
    let (clause, of) = of_projects(projects);
    let live = format!(
        "SELECT state, COUNT(*) AS n FROM execution \
         WHERE state IN ('waiting', 'ready', 'running'){clause} GROUP BY state"
    );
    let mut counters = Counters::default();
    for row in db.query(live, of.clone()).await? {
        match row.text("state")? {
            "waiting" => counters.waiting = row.int("n")?,
            _ => counters.running += row.int("n")?,
        }
    }
    let failed = format!(
        "SELECT COUNT(*) AS n FROM execution WHERE state = 'failed' AND created_ms >= ?{clause}"
    );
    let values = [vec![Value::from(since)], of].concat();
    if let Some(row) = db.first(failed, values).await? {
        counters.failed = row.int("n")?;
    }
    Ok(counters)
}

pub(super) fn of_projects(projects: Option<&[ProjectId]>) -> (String, Vec<Value>) {
    projects.map_or_else(Default::default, |projects| {
        let clause = format!(" AND project_id IN ({})", marks(projects.len()));
        (clause, projects.iter().map(|&project| project.into()).collect())
    })
}

/// How many executions were made after the newest one of a list.
pub async fn newer(db: &Db, projects: Option<&[ProjectId]>, than: Millis) -> Result<i64> {
    let (clause, of) = of_projects(projects);
    let sql = format!("SELECT COUNT(*) AS n FROM execution WHERE created_ms > ?{clause}");
    let values = [vec![Value::from(than)], of].concat();
    db.first(sql, values).await?.map_or(Ok(0), |row| row.int("n"))
}

/// How long the last successful executions that began with this interface took: what is usual.
pub async fn durations(db: &Db, like: &Execution, limit: u32) -> Result<Vec<Millis>> {
    let sql = format!(
        "SELECT created_ms, ended_ms FROM execution WHERE interface_id = ? AND is_cascade = ? \
         AND state = 'succeeded' AND ended_ms IS NOT NULL AND id <> ? \
         ORDER BY created_ms DESC LIMIT {limit}"
    );
    let rows = db.query(sql, crate::params![like.interface, like.cascade, like.id]).await?;
    rows.iter().map(|row| Ok(row.int("ended_ms")? - row.int("created_ms")?)).collect()
}
