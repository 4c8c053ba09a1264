//! Rows and definitions as the suites of the store want them.

use master::db::{Db, Write, guard, params, sql};
use master::engine::rows::*;
use master::store::leader::Claim;
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const CLUSTER: &str = "c";

pub(crate) fn claim_by(holder: i64, told: i64) -> Claim {
    Claim { cluster: CLUSTER.into(), holder, told, url: "http://x".into(), now: 5 }
}

pub(crate) async fn doubts(db: &Db) -> Vec<i64> {
    let rows =
        db.query("SELECT host_id FROM host_doubt ORDER BY host_id", params![]).await.unwrap();
    rows.iter().map(|row| row.int("host_id").unwrap()).collect()
}

pub(crate) fn host(id: i64, deleted: Option<i64>) -> Write {
    sql(
        "INSERT INTO host (id, project_id, name, agent, spec, version, deleted_ms, updated_ms, updated_by)
         VALUES (?, 0, ?, ?, ?, 1, ?, 0, 0)",
        params![id, format!("h{id}"), "", r#"{"address":"127.0.0.1:1"}"#, deleted],
    )
}

pub(crate) fn interface(id: i64, version: i64, spec: &str) -> Vec<Write> {
    vec![
        sql("DELETE FROM interface WHERE id = ?", params![id]),
        sql(
            "INSERT INTO interface (id, project_id, name, version, updated_ms, updated_by)
             VALUES (?, 1, ?, ?, 0, 0)",
            params![id, format!("i{id}"), version],
        ),
        sql(
            "INSERT INTO interface_version
             (interface_id, version, project_id, spec, note, at_ms, by_user)
             VALUES (?, ?, 1, ?, '', 0, 0)",
            params![id, version, spec],
        ),
    ]
}

pub(crate) fn job(id: i64, of: i64, version: i64, deleted: bool) -> Vec<Write> {
    let spec = format!(r#"{{"kind":"shell","description":"v{version}"}}"#);
    vec![
        sql("DELETE FROM job WHERE id = ?", params![id]),
        sql(
            "INSERT INTO job
             (id, project_id, interface_id, name, version, deleted_ms, updated_ms, updated_by)
             VALUES (?, 1, ?, ?, ?, ?, 0, 0)",
            params![id, of, format!("j{id}"), version, deleted.then_some(1)],
        ),
        sql(
            "INSERT INTO job_version
             (job_id, version, project_id, interface_id, deleted, spec, at_ms, by_user)
             VALUES (?, ?, 1, ?, ?, ?, 0, 0)",
            params![id, version, of, deleted, spec],
        ),
    ]
}

pub(crate) fn dispatch(id: i64, version: i64) -> Vec<Write> {
    vec![
        sql("DELETE FROM dispatch WHERE id = ?", params![id]),
        sql(
            "INSERT INTO dispatch
             (id, project_id, interface_id, name, version, updated_ms, updated_by)
             VALUES (?, 1, 1, ?, ?, 0, 0)",
            params![id, format!("d{id}"), version],
        ),
        sql(
            "INSERT INTO dispatch_version
             (dispatch_id, version, project_id, spec, note, at_ms, by_user)
             VALUES (?, ?, 1, ?, '', ?, 0)",
            params![id, version, r#"{"interface":1,"cron":"0 1 * * *"}"#, 77],
        ),
    ]
}

pub(crate) fn raise() -> Write {
    guard("UPDATE revision SET value = value + 1 WHERE name = 'definition'", params![])
}

pub(crate) fn day(text: &str) -> Period {
    text.parse().unwrap()
}

pub(crate) fn run_of(id: i64, interface: i64, generation: u32, state: RunState) -> Change {
    let run = Run {
        project: ProjectId(1),
        interface: InterfaceId(interface),
        period: day("2026-11-20"),
        period_start: 0,
        generation,
        version: 1,
        execution: ExecutionId(1),
        priority: 0,
        params: BTreeMap::new(),
        state,
        paused: false,
        stale: false,
        partial: false,
        waits: BTreeSet::new(),
        wait_until: i64::MAX,
        created: 0,
        started: None,
        age_from: None,
        ended: None,
    };
    (Key::Run(RunId(id)), Some(Row::Run(run)))
}

pub(crate) fn job_run_of(run: i64, job: i64) -> Change {
    let row = JobRun {
        project: ProjectId(1),
        phase: Phase::Waiting,
        reason: String::new(),
        number: 0,
        reign: 0,
        allowed: 1,
        not_before: 0,
        forced: Forced::Not,
        waits: BTreeSet::new(),
        ready: None,
        started: None,
        ended: None,
    };
    (Key::JobRun(JobRunId { run: RunId(run), job: JobId(job) }), Some(Row::JobRun(row)))
}

pub(crate) fn attempt_of(run: i64, job: i64, mark: Mark) -> Change {
    let row = Attempt {
        project: ProjectId(1),
        place: Place { host: HostId(1), basis: Answer::default() },
        end: None,
        mark,
        queued: String::new(),
        assigned: 0,
        started: None,
        ended: None,
        out_bytes: 0,
        err_bytes: 0,
        rss_max_kib: None,
        cpu_ms: None,
    };
    let id = AttemptId { run: RunId(run), job: JobId(job), number: 1, reign: 9 };
    (Key::Attempt(id), Some(Row::Attempt(row)))
}

pub(crate) fn execution_of(id: i64, state: RunState, runs: &[i64]) -> Change {
    let row = Execution {
        project: ProjectId(1),
        interface: InterfaceId(1),
        period: day("2026-11-20"),
        origin: Origin::Hand,
        dispatch: None,
        command: None,
        by: None,
        cascade: false,
        params: BTreeMap::new(),
        state,
        runs: runs.iter().map(|run| RunId(*run)).collect(),
        created: 0,
        ended: None,
    };
    (Key::Execution(ExecutionId(id)), Some(Row::Execution(row)))
}

pub(crate) fn firing_of(dispatch: i64, instant: i64, version: i64) -> Change {
    let row = Firing {
        project: ProjectId(1),
        version,
        period: day("2026-11-20"),
        decision: Decision::Fired,
        why: String::new(),
        execution: Some(ExecutionId(1)),
        decided: 0,
    };
    (Key::Firing(DispatchId(dispatch), instant), Some(Row::Firing(row)))
}

/// The same row, ended then.
pub(crate) fn ended(change: Change, at: i64) -> Change {
    match change {
        (key, Some(Row::Run(run))) => (key, Some(Row::Run(Run { ended: Some(at), ..run }))),
        (key, Some(Row::Execution(execution))) => {
            (key, Some(Row::Execution(Execution { ended: Some(at), ..execution })))
        }
        other => other,
    }
}
