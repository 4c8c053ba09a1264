//! Executions, runs, job runs, attempts.

use super::{Table, bad, cut, from_word, json, map_json, word};
use crate::db::{self, Value, params};
use crate::engine::rows::*;
use shared::ids::*;
use shared::wire::{Exit, Refusal};
use std::collections::BTreeSet;

pub(in crate::store) static EXECUTION: Table = Table {
    name: "execution",
    key: &["id"],
    columns: &[
        "id",
        "project_id",
        "interface_id",
        "period",
        "origin",
        "dispatch_id",
        "instant_ms",
        "command_id",
        "by_user",
        "is_cascade",
        "params",
        "state",
        "runs",
        "created_ms",
        "ended_ms",
        "batch",
    ],
};

pub(in crate::store) static RUN: Table = Table {
    name: "run",
    key: &["id"],
    columns: &[
        "id",
        "project_id",
        "interface_id",
        "period",
        "period_ms",
        "generation",
        "version",
        "execution_id",
        "priority",
        "params",
        "state",
        "paused",
        "stale",
        "is_partial",
        "waits",
        "wait_until_ms",
        "created_ms",
        "started_ms",
        "age_from_ms",
        "ended_ms",
        "batch",
    ],
};

pub(in crate::store) static JOB_RUN: Table = Table {
    name: "job_run",
    key: &["run_id", "job_id"],
    columns: &[
        "run_id",
        "job_id",
        "project_id",
        "state",
        "reason",
        "number",
        "reign",
        "allowed",
        "not_before_ms",
        "forced",
        "waits",
        "host_id",
        "incarnation",
        "basis_seq",
        "ready_ms",
        "started_ms",
        "ended_ms",
        "batch",
    ],
};

pub(in crate::store) static ATTEMPT: Table = Table {
    name: "attempt",
    key: &["run_id", "job_id", "number", "reign"],
    columns: &[
        "run_id",
        "job_id",
        "number",
        "reign",
        "project_id",
        "host_id",
        "incarnation",
        "basis_seq",
        "mark",
        "queued_why",
        "end_kind",
        "end_code",
        "end_text",
        "assigned_ms",
        "started_ms",
        "ended_ms",
        "out_bytes",
        "err_bytes",
        "rss_max_kib",
        "cpu_ms",
    ],
};

pub(super) fn put_execution(values: &mut Vec<Value>, row: &Execution, batch: i64) {
    values.extend(params![
        row.project,
        row.interface,
        row.period,
        word(&row.origin),
        row.dispatch.map(|(dispatch, _)| dispatch),
        row.dispatch.map(|(_, instant)| instant),
        row.command,
        row.by,
        row.cascade,
        map_json(&row.params),
        word(&row.state),
        json(&row.runs),
        row.created,
        row.ended,
        batch,
    ]);
}

pub(in crate::store) fn execution(row: &db::Row) -> db::Result<(Key, Row)> {
    let dispatch = match (row.opt_int("dispatch_id")?, row.opt_int("instant_ms")?) {
        (Some(dispatch), Some(instant)) => Some((DispatchId(dispatch), instant)),
        _ => None,
    };
    let execution = Execution {
        project: ProjectId(row.int("project_id")?),
        interface: InterfaceId(row.int("interface_id")?),
        period: row.parsed("period")?,
        origin: from_word(row, "origin")?,
        dispatch,
        command: row.opt_int("command_id")?.map(CommandId),
        by: row.opt_int("by_user")?.map(UserId),
        cascade: row.flag("is_cascade")?,
        params: row.json("params")?,
        state: from_word(row, "state")?,
        runs: row.json("runs")?,
        created: row.int("created_ms")?,
        ended: row.opt_int("ended_ms")?,
    };
    Ok((Key::Execution(ExecutionId(row.int("id")?)), Row::Execution(execution)))
}

/// Most rows wait for nothing.
fn waits_json(waits: &BTreeSet<Target>) -> String {
    if waits.is_empty() { "[]".into() } else { json(waits) }
}

pub(super) fn put_run(values: &mut Vec<Value>, row: &Run, batch: i64) {
    values.extend(params![
        row.project,
        row.interface,
        row.period,
        row.period_start,
        row.generation,
        row.version,
        row.execution,
        row.priority,
        map_json(&row.params),
        word(&row.state),
        row.paused,
        row.stale,
        row.partial,
        waits_json(&row.waits),
        row.wait_until,
        row.created,
        row.started,
        row.age_from,
        row.ended,
        batch,
    ]);
}

pub(in crate::store) fn run(row: &db::Row) -> db::Result<(Key, Row)> {
    let run = Run {
        project: ProjectId(row.int("project_id")?),
        interface: InterfaceId(row.int("interface_id")?),
        period: row.parsed("period")?,
        period_start: row.int("period_ms")?,
        generation: row.small("generation")?,
        version: row.int("version")?,
        execution: ExecutionId(row.int("execution_id")?),
        priority: row.small("priority")?,
        params: row.json("params")?,
        state: from_word(row, "state")?,
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
    Ok((Key::Run(RunId(row.int("id")?)), Row::Run(run)))
}

/// As a number of the database: no answer of a host comes near to 2^63.
fn seq(basis: Answer) -> i64 {
    i64::try_from(basis.seq).unwrap_or(i64::MAX)
}

fn forced_number(forced: Forced) -> i64 {
    match forced {
        Forced::Not => 0,
        Forced::Edges => 1,
        Forced::All => 2,
    }
}

fn forced(number: i64) -> db::Result<Forced> {
    let all = [Forced::Not, Forced::Edges, Forced::All];
    let found = all.into_iter().find(|forced| forced_number(*forced) == number);
    found.ok_or_else(|| bad("forced", number.to_string()))
}

pub(super) fn put_job_run(values: &mut Vec<Value>, row: &JobRun, batch: i64) {
    let place = row.phase.place();
    values.extend(params![
        row.project,
        row.phase.word(),
        cut(&row.reason),
        row.number,
        row.reign,
        row.allowed,
        row.not_before,
        forced_number(row.forced),
        waits_json(&row.waits),
        place.map(|place| place.host),
        place.map(|place| place.basis.incarnation),
        place.map(|place| seq(place.basis)),
        row.ready,
        row.started,
        row.ended,
        batch,
    ]);
}

fn place(row: &db::Row) -> db::Result<Place> {
    let basis = Answer { incarnation: row.parsed("incarnation")?, seq: row.small("basis_seq")? };
    Ok(Place { host: HostId(row.int("host_id")?), basis })
}

fn phase(row: &db::Row) -> db::Result<Phase> {
    Ok(match row.text("state")? {
        "waiting" => Phase::Waiting,
        "queued" => Phase::Queued,
        "assigned" => Phase::Assigned(place(row)?),
        "running" => Phase::Running(place(row)?),
        "stopping" => Phase::Stopping(place(row)?),
        "unknown" => Phase::Unknown,
        "succeeded" => Phase::Done(Verdict::Succeeded),
        "failed" => Phase::Done(Verdict::Failed),
        "skipped" => Phase::Done(Verdict::Skipped),
        "stopped" => Phase::Done(Verdict::Stopped),
        "timed_out" => Phase::Done(Verdict::TimedOut),
        "left_out" => Phase::Done(Verdict::LeftOut),
        other => return Err(bad("state", other)),
    })
}

pub(in crate::store) fn job_run(row: &db::Row) -> db::Result<(Key, Row)> {
    let id = JobRunId { run: RunId(row.int("run_id")?), job: JobId(row.int("job_id")?) };
    let job_run = JobRun {
        project: ProjectId(row.int("project_id")?),
        phase: phase(row)?,
        reason: row.text("reason")?.to_owned(),
        number: row.small("number")?,
        reign: row.int("reign")?,
        allowed: row.small("allowed")?,
        not_before: row.int("not_before_ms")?,
        forced: forced(row.int("forced")?)?,
        waits: row.json("waits")?,
        ready: row.opt_int("ready_ms")?,
        started: row.opt_int("started_ms")?,
        ended: row.opt_int("ended_ms")?,
    };
    Ok((Key::JobRun(id), Row::JobRun(job_run)))
}

pub(super) fn put_attempt(values: &mut Vec<Value>, row: &Attempt) {
    let (kind, code, text) = end_columns(row.end.as_ref());
    values.extend(params![
        row.project,
        row.place.host,
        row.place.basis.incarnation,
        seq(row.place.basis),
        word(&row.mark),
        cut(&row.queued),
        kind,
        code,
        text,
        row.assigned,
        row.started,
        row.ended,
        row.out_bytes,
        row.err_bytes,
        row.rss_max_kib,
        row.cpu_ms,
    ]);
}

/// A host could not begin it because …: the words that come before the system's own.
const CANNOT_START: &str = "cannot_start: ";

fn end_columns(end: Option<&End>) -> (Option<&'static str>, Option<i32>, Option<String>) {
    let Some(end) = end else { return (None, None, None) };
    let (kind, code, text) = match end {
        End::Exit(Exit::Code(code)) => ("code", Some(*code), None),
        End::Exit(Exit::Signal(signal)) => ("signal", Some(*signal), None),
        End::Exit(Exit::Killed) => ("killed", None, None),
        End::Exit(Exit::Fenced) => ("fenced", None, None),
        End::Exit(Exit::TimedOut) => ("timed_out", None, None),
        End::Exit(Exit::OverMemory) => ("over_memory", None, None),
        End::Exit(Exit::HostOutOfMemory) => ("host_memory", None, None),
        End::Refused(Refusal::DiskLow) => ("refused", None, Some("disk_low".to_owned())),
        End::Refused(Refusal::Draining) => ("refused", None, Some("draining".to_owned())),
        End::Refused(Refusal::CannotStart(why)) => {
            ("refused", None, Some(cut(&format!("{CANNOT_START}{why}"))))
        }
        End::Unknown => ("unknown", None, None),
        End::Lost => ("lost", None, None),
        End::Abandoned => ("abandoned", None, None),
    };
    (Some(kind), code, text)
}

fn end(row: &db::Row) -> db::Result<Option<End>> {
    let Some(kind) = row.opt_text("end_kind")? else { return Ok(None) };
    Ok(Some(match kind {
        "code" => End::Exit(Exit::Code(row.small("end_code")?)),
        "signal" => End::Exit(Exit::Signal(row.small("end_code")?)),
        "killed" => End::Exit(Exit::Killed),
        "fenced" => End::Exit(Exit::Fenced),
        "timed_out" => End::Exit(Exit::TimedOut),
        "over_memory" => End::Exit(Exit::OverMemory),
        "host_memory" => End::Exit(Exit::HostOutOfMemory),
        "refused" => End::Refused(match row.opt_text("end_text")?.unwrap_or_default() {
            "disk_low" => Refusal::DiskLow,
            "draining" => Refusal::Draining,
            text => {
                let why = text.strip_prefix(CANNOT_START).unwrap_or(text);
                Refusal::CannotStart(why.to_owned())
            }
        }),
        "unknown" => End::Unknown,
        "lost" => End::Lost,
        "abandoned" => End::Abandoned,
        other => return Err(bad("end_kind", other)),
    }))
}

pub(in crate::store) fn attempt(row: &db::Row) -> db::Result<(Key, Row)> {
    let id = AttemptId {
        run: RunId(row.int("run_id")?),
        job: JobId(row.int("job_id")?),
        number: row.small("number")?,
        reign: row.int("reign")?,
    };
    let size = |column| row.opt_int(column).map(|size| size.and_then(|n| u64::try_from(n).ok()));
    let attempt = Attempt {
        project: ProjectId(row.int("project_id")?),
        place: place(row)?,
        end: end(row)?,
        mark: from_word(row, "mark")?,
        queued: row.text("queued_why")?.to_owned(),
        assigned: row.int("assigned_ms")?,
        started: row.opt_int("started_ms")?,
        ended: row.opt_int("ended_ms")?,
        out_bytes: row.small("out_bytes")?,
        err_bytes: row.small("err_bytes")?,
        rss_max_kib: size("rss_max_kib")?,
        cpu_ms: size("cpu_ms")?,
    };
    Ok((Key::Attempt(id), Row::Attempt(attempt)))
}
