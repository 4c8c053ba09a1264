//! Slices: what the World does not hold and must know before it decides (see [`Ask`]).

use super::codec::{self, ATTEMPT, EXECUTION, JOB_RUN, RUN};
use super::read::{IDS_MAX, marks, padded};
use super::run::rows_of;
use crate::db::{self, Db, Value};
use crate::engine::rows::{Key, Row};
use crate::engine::world::{Ask, SliceRows};
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};

/// (interface, period) pairs in one query.
const PAIRS_MAX: usize = 250;

type Slice = (InterfaceId, Period);

/// One answer for each question, in few queries for many. Nobody else writes run state while this
/// leader leads; what its own batch on the way changes, the World knows.
///
/// # Errors
/// The database's.
pub async fn load(db: &Db, asks: &[Ask]) -> db::Result<Vec<SliceRows>> {
    let asked_runs: Vec<i64> = asks
        .iter()
        .filter_map(|ask| if let Ask::Run(run) = ask { Some(run.0) } else { None })
        .collect();
    let slice_of = slices_of(db, &asked_runs).await?;
    let slices: BTreeSet<Slice> = asks
        .iter()
        .filter_map(|ask| match ask {
            Ask::Slice(interface, period) => Some((*interface, *period)),
            Ask::Run(run) => slice_of.get(run).copied(),
            Ask::Execution(_) | Ask::Version(..) => None,
        })
        .collect();
    let mut rows = slice_rows(db, &slices).await?;
    let mut attempts: BTreeMap<RunId, Vec<(Key, Row)>> = BTreeMap::new();
    for (key, row) in rows_of(db, &ATTEMPT, &asked_runs, codec::attempt).await? {
        if let Key::Attempt(attempt) = key {
            attempts.entry(attempt.run).or_default().push((key, row));
        }
    }
    let executions: Vec<i64> = asks
        .iter()
        .filter_map(|ask| if let Ask::Execution(id) = ask { Some(id.0) } else { None })
        .collect();
    let executions: BTreeMap<Key, Row> =
        rows_of(db, &EXECUTION, &executions, codec::execution).await?.into_iter().collect();
    let versions: BTreeSet<(InterfaceId, i64)> = asks
        .iter()
        .filter_map(|ask| match ask {
            Ask::Version(id, version) => Some((*id, *version)),
            _ => None,
        })
        .collect();
    let versions = super::catalog::versions(db, &versions).await?;
    // A slice that two ask for goes to both.
    let answers = asks.iter().map(|ask| {
        let rows = match ask {
            Ask::Slice(interface, period) => {
                rows.get(&(*interface, *period)).cloned().unwrap_or_default()
            }
            Ask::Run(run) => {
                let slice = slice_of.get(run).and_then(|slice| rows.get_mut(slice));
                let mut all = slice.map(|rows| rows.clone()).unwrap_or_default();
                all.extend(attempts.get(run).cloned().unwrap_or_default());
                all
            }
            Ask::Execution(id) => {
                let key = Key::Execution(*id);
                executions.get(&key).map(|row| (key, row.clone())).into_iter().collect()
            }
            Ask::Version(..) => Vec::new(),
        };
        let definition = match ask {
            Ask::Version(id, version) => versions.get(&(*id, *version)).cloned(),
            _ => None,
        };
        SliceRows { ask: *ask, rows, definition }
    });
    Ok(answers.collect())
}

/// Which slices these runs are in.
pub(super) async fn slices_of(db: &Db, runs: &[i64]) -> db::Result<BTreeMap<RunId, Slice>> {
    let mut found = BTreeMap::new();
    for ids in runs.chunks(IDS_MAX) {
        let ids = padded(ids);
        let text =
            format!("SELECT id, interface_id, period FROM run WHERE id IN {}", marks(ids.len()));
        for row in db.query(text, ids).await? {
            let slice = (InterfaceId(row.int("interface_id")?), row.parsed("period")?);
            found.insert(RunId(row.int("id")?), slice);
        }
    }
    Ok(found)
}

/// All runs of all generations, and their job runs.
async fn slice_rows(
    db: &Db,
    slices: &BTreeSet<Slice>,
) -> db::Result<BTreeMap<Slice, Vec<(Key, Row)>>> {
    let mut all: BTreeMap<Slice, Vec<(Key, Row)>> = BTreeMap::new();
    let mut slice_of: BTreeMap<RunId, Slice> = BTreeMap::new();
    let wanted: Vec<Slice> = slices.iter().copied().collect();
    for pairs in wanted.chunks(PAIRS_MAX) {
        // A union of look-ups: each is one seek in the unique index of (interface, period, …).
        let one = "(interface_id = ? AND period = ?)";
        let length = pairs.len().next_power_of_two().min(PAIRS_MAX);
        let last = pairs.last().copied();
        let filled = pairs.iter().copied().chain(std::iter::repeat_n(last, PAIRS_MAX).flatten());
        let params: Vec<Value> = filled
            .take(length)
            .flat_map(|(interface, period)| [Value::from(interface), Value::from(period)])
            .collect();
        let text = format!(
            "SELECT {} FROM run WHERE {} ORDER BY generation",
            RUN.list(""),
            vec![one; length].join(" OR ")
        );
        for row in db.query(text, params).await? {
            let (key, row) = codec::run(&row)?;
            if let (Key::Run(id), Row::Run(run)) = (key, &row) {
                let slice = (run.interface, run.period);
                slice_of.insert(id, slice);
                all.entry(slice).or_default().push((key, row));
            }
        }
    }
    let ids: Vec<i64> = slice_of.keys().map(|run| run.0).collect();
    for (key, row) in rows_of(db, &JOB_RUN, &ids, codec::job_run).await? {
        if let Key::JobRun(id) = key
            && let Some(slice) = slice_of.get(&id.run)
        {
            all.entry(*slice).or_default().push((key, row));
        }
    }
    Ok(all)
}
