//! Backfills, as pages and API show them; the leader's own rows are read by [`super::run`].

use super::codec::{self, BACKFILL};
use super::execution::of_projects;
use super::read::marks;
use crate::db::{self, Db, Value, params};
use crate::engine::rows::{Backfill, Key, Row};
use shared::ids::*;
use shared::period::Period;
use std::collections::BTreeMap;
use std::sync::Arc;

pub const PAGE_MAX: usize = 100;
/// Its executions in one answer.
pub const EXECUTIONS_MAX: usize = 500;
/// How far back the runs lie from which the next ones are estimated.
const LATELY_MS: Millis = 60 * 24 * 3_600_000;
/// Runs of an interface that are looked at for an estimate, those of the newest periods.
const LATELY_RUNS: usize = 50;
/// Interfaces whose runs are looked at for an estimate.
const MEANS_MAX: usize = 500;
/// Interfaces in one statement.
const AT_ONCE: usize = 50;

pub type Found = (CommandId, Arc<Backfill>);

/// One of its executions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub id: ExecutionId,
    pub period: Period,
    pub state: String,
    pub created: Millis,
    pub ended: Option<Millis>,
}

fn read(row: &db::Row) -> db::Result<Found> {
    match codec::backfill(row)? {
        (Key::Backfill(id), Row::Backfill(row)) => Ok((id, row)),
        _ => Err(db::Error::Fatal("a row of backfill is no backfill".into())),
    }
}

/// The newest first. `projects`: those that the viewer may see; none means all.
///
/// # Errors
/// The database's.
pub async fn list(
    db: &Db,
    projects: Option<&[ProjectId]>,
    (interface, live): (Option<InterfaceId>, bool),
    before: Option<CommandId>,
    limit: usize,
) -> db::Result<Vec<Found>> {
    let (clause, mut values) = of_projects(projects);
    let mut text = format!("SELECT {} FROM backfill WHERE 1 = 1{clause}", BACKFILL.list(""));
    if live {
        text.push_str(" AND state IN ('running','paused')");
    }
    if let Some(interface) = interface {
        text.push_str(" AND interface_id = ?");
        values.push(interface.into());
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        values.push(before.into());
    }
    let limit = limit.min(PAGE_MAX + 1);
    text.push_str(&format!(" ORDER BY id DESC LIMIT {limit}"));
    db.query(text, values).await?.iter().map(read).collect()
}

/// # Errors
/// The database's.
pub async fn find(db: &Db, id: CommandId) -> db::Result<Option<Arc<Backfill>>> {
    let text = format!("SELECT {} FROM backfill WHERE id = ?", BACKFILL.list(""));
    let row = db.first(text, params![id]).await?;
    Ok(row.as_ref().map(read).transpose()?.map(|(_, row)| row))
}

/// How many of its executions are in which state; those that housekeeping has deleted are not there.
///
/// # Errors
/// The database's.
pub async fn counts(
    db: &Db,
    ids: &[CommandId],
) -> db::Result<BTreeMap<CommandId, BTreeMap<String, i64>>> {
    let mut all: BTreeMap<CommandId, BTreeMap<String, i64>> = BTreeMap::new();
    if ids.is_empty() {
        return Ok(all);
    }
    let text = format!(
        "SELECT command_id, state, COUNT(*) AS n FROM execution \
         WHERE command_id IN {} AND origin = 'backfill' GROUP BY command_id, state",
        marks(ids.len())
    );
    let ids: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
    for row in db.query(text, ids).await? {
        let of = all.entry(CommandId(row.int("command_id")?)).or_default();
        of.insert(row.text("state")?.to_owned(), row.int("n")?);
    }
    Ok(all)
}

/// Those that live first, then the newest.
///
/// # Errors
/// The database's.
pub async fn executions(db: &Db, id: CommandId) -> db::Result<Vec<Made>> {
    let text = format!(
        "SELECT id, period, state, created_ms, ended_ms FROM execution \
         WHERE command_id = ? AND origin = 'backfill' \
         ORDER BY CASE WHEN ended_ms IS NULL THEN 0 ELSE 1 END, created_ms DESC, id \
         LIMIT {EXECUTIONS_MAX}"
    );
    let made = |row: &db::Row| {
        Ok(Made {
            id: ExecutionId(row.int("id")?),
            period: row.parsed("period")?,
            state: row.text("state")?.to_owned(),
            created: row.int("created_ms")?,
            ended: row.opt_int("ended_ms")?,
        })
    };
    db.query(text, params![id]).await?.iter().map(made).collect()
}

/// How long runs of these interfaces have taken, of the newest periods of the last two months.
///
/// # Errors
/// The database's.
pub async fn means(
    db: &Db,
    interfaces: &[InterfaceId],
    now: Millis,
) -> db::Result<BTreeMap<InterfaceId, Millis>> {
    let mut means = BTreeMap::new();
    for some in interfaces[..interfaces.len().min(MEANS_MAX)].chunks(AT_ONCE) {
        // Each by its own way through the index: minutes have ninety thousand runs in two months.
        let one = |(at, _): (usize, &InterfaceId)| {
            format!(
                "SELECT interface_id, took FROM (SELECT interface_id, ended_ms - started_ms AS took FROM run \
                 WHERE interface_id = ? AND period_ms > ? AND state = 'succeeded' \
                 AND started_ms IS NOT NULL AND ended_ms IS NOT NULL \
                 ORDER BY period_ms DESC LIMIT {LATELY_RUNS}) AS of{at}"
            )
        };
        let each: Vec<String> = some.iter().enumerate().map(one).collect();
        let text = format!(
            "SELECT interface_id, CAST(SUM(took) AS SIGNED) AS took, COUNT(*) AS n FROM ({}) AS lately \
             GROUP BY interface_id",
            each.join(" UNION ALL ")
        );
        let values = |id: &InterfaceId| -> [Value; 2] { [(*id).into(), (now - LATELY_MS).into()] };
        for row in db.query(text, some.iter().flat_map(values).collect::<Vec<_>>()).await? {
            let mean = row.int("took")? / row.int("n")?.max(1);
            means.insert(InterfaceId(row.int("interface_id")?), mean.max(0));
        }
    }
    Ok(means)
}
