//! Dispatch states, firings, doubts, alerts.

use super::{Table, bad, cut, from_word, json, word};
use crate::db::{self, Value, params};
use crate::engine::rows::*;
use shared::ids::*;
use std::sync::Arc;

pub(in crate::store) static DISPATCH: Table = Table {
    name: "dispatch_state",
    key: &["dispatch_id"],
    columns: &["dispatch_id", "project_id", "cursor_ms", "paused"],
};

pub(in crate::store) static FIRING: Table = Table {
    name: "firing",
    key: &["dispatch_id", "instant_ms"],
    columns: &[
        "dispatch_id",
        "instant_ms",
        "project_id",
        "dispatch_version",
        "period",
        "decision",
        "why",
        "execution_id",
        "decided_ms",
    ],
};

pub(in crate::store) static DOUBT: Table =
    Table { name: "host_doubt", key: &["host_id"], columns: &["host_id"] };

/// Without `sent_ms`: telling again does not send again.
pub(in crate::store) static OUTBOX: Table = Table {
    name: "outbox",
    key: &["id"],
    columns: &[
        "id",
        "project_id",
        "event",
        "execution_id",
        "run_id",
        "job_id",
        "body",
        "created_ms",
    ],
};

pub(in crate::store) static BACKFILL: Table = Table {
    name: "backfill",
    key: &["id"],
    columns: &[
        "id",
        "project_id",
        "interface_id",
        "by_user",
        "spec",
        "pins",
        "planned",
        "made",
        "failed",
        "cursor_period",
        "state",
        "why",
        "created_ms",
        "ended_ms",
    ],
};

pub(super) fn put_backfill(values: &mut Vec<Value>, row: &Backfill) {
    values.extend(params![
        row.project,
        row.interface,
        row.by,
        json(&row.spec),
        json(&row.pins),
        row.planned,
        row.made,
        row.failed,
        row.cursor.map(|period| period.to_string()),
        word(&row.state),
        cut(&row.why),
        row.created,
        row.ended,
    ]);
}

pub(in crate::store) fn backfill(row: &db::Row) -> db::Result<(Key, Row)> {
    let cursor = row.opt_text("cursor_period")?.map(str::parse).transpose();
    let backfill = Backfill {
        project: ProjectId(row.int("project_id")?),
        interface: InterfaceId(row.int("interface_id")?),
        by: UserId(row.int("by_user")?),
        spec: row.json("spec")?,
        pins: row.json("pins")?,
        planned: row.small("planned")?,
        made: row.small("made")?,
        failed: row.small("failed")?,
        cursor: cursor.map_err(|why| bad("cursor_period", why))?,
        state: from_word(row, "state")?,
        why: row.text("why")?.to_owned(),
        created: row.int("created_ms")?,
        ended: row.opt_int("ended_ms")?,
    };
    Ok((Key::Backfill(CommandId(row.int("id")?)), Row::Backfill(Arc::new(backfill))))
}

pub(super) fn put_dispatch(values: &mut Vec<Value>, row: &DispatchState) {
    values.extend(params![row.project, row.cursor, row.paused]);
}

pub(in crate::store) fn dispatch(row: &db::Row) -> db::Result<(Key, Row)> {
    let state = DispatchState {
        project: ProjectId(row.int("project_id")?),
        cursor: row.int("cursor_ms")?,
        paused: row.flag("paused")?,
    };
    Ok((Key::Dispatch(DispatchId(row.int("dispatch_id")?)), Row::Dispatch(state)))
}

pub(super) fn put_firing(values: &mut Vec<Value>, row: &Firing) {
    values.extend(params![
        row.project,
        row.version,
        row.period,
        word(&row.decision),
        cut(&row.why),
        row.execution,
        row.decided,
    ]);
}

pub(in crate::store) fn firing(row: &db::Row) -> db::Result<(Key, Row)> {
    let key = Key::Firing(DispatchId(row.int("dispatch_id")?), row.int("instant_ms")?);
    let firing = Firing {
        project: ProjectId(row.int("project_id")?),
        version: row.int("dispatch_version")?,
        period: row.parsed("period")?,
        decision: from_word(row, "decision")?,
        why: row.text("why")?.to_owned(),
        execution: row.opt_int("execution_id")?.map(ExecutionId),
        decided: row.int("decided_ms")?,
    };
    Ok((key, Row::Firing(firing)))
}

pub(in crate::store) fn doubt(row: &db::Row) -> db::Result<(Key, Row)> {
    Ok((Key::Doubt(HostId(row.int("host_id")?)), Row::Doubt))
}

pub(super) fn put_outbox(values: &mut Vec<Value>, row: &Alert) {
    values.extend(params![
        row.project,
        word(&row.event),
        row.execution,
        row.run,
        row.job,
        &row.body,
        row.created,
    ]);
}

pub(in crate::store) fn outbox(row: &db::Row) -> db::Result<(Key, Row)> {
    let alert = Alert {
        project: ProjectId(row.int("project_id")?),
        event: from_word(row, "event")?,
        execution: row.opt_int("execution_id")?.map(ExecutionId),
        run: row.opt_int("run_id")?.map(RunId),
        job: row.opt_int("job_id")?.map(JobId),
        body: row.text("body")?.to_owned(),
        created: row.int("created_ms")?,
    };
    Ok((Key::Outbox(row.int("id")?), Row::Outbox(alert)))
}
