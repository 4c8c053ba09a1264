//! What an explanation wants to know, read as it is asked for: a few rows by their keys at a time.

use super::codec::{self, ATTEMPT, DISPATCH, FIRING, Table};
use super::slice::{self, slices_of};
use crate::db::{self, Db, Value, params};
use crate::engine::explain::{Facts, Want};
use crate::engine::rows::{Key, Row};
use crate::engine::world::{Ask, SliceRows};
use std::collections::{BTreeMap, BTreeSet};

/// Adds what is wanted to the facts; how many rows that were.
///
/// # Errors
/// The database's.
pub async fn learn(db: &Db, wants: &BTreeSet<Want>, facts: &mut Facts) -> db::Result<usize> {
    let mut count = 0;
    let of_runs = wants.iter().filter_map(|want| match want {
        Want::Run(run) => Some(run.0),
        _ => None,
    });
    let slices = slices_of(db, &of_runs.collect::<Vec<_>>()).await?;
    let slice_asks = slices.values().map(|(interface, period)| Ask::Slice(*interface, *period));
    let asks = wants.iter().filter_map(|want| match want {
        Want::Rows(ask) => Some(*ask),
        _ => None,
    });
    let asks: BTreeSet<Ask> = asks.chain(slice_asks).collect();
    let asks: Vec<Ask> = asks.into_iter().collect();
    let mut found: BTreeMap<Ask, Vec<(Key, Row)>> = BTreeMap::new();
    for SliceRows { ask, rows, definition } in slice::load(db, &asks).await? {
        count += rows.len();
        if let Ask::Version(id, version) = ask {
            facts.learn_version(id, version, definition);
        } else {
            found.insert(ask, rows);
        }
    }
    for want in wants {
        let rows = match want {
            Want::Rows(Ask::Version(..)) => continue,
            Want::Rows(ask) => found.remove(ask).unwrap_or_default(),
            Want::Run(run) => {
                let of = slices.get(run).map(|(interface, period)| Ask::Slice(*interface, *period));
                of.and_then(|ask| found.get(&ask).cloned()).unwrap_or_default()
            }
            Want::Tries(id) => {
                let by = (&["run_id", "job_id"][..], params![id.run, id.job]);
                rows(db, &ATTEMPT, by, codec::attempt).await?
            }
            Want::Firing(id, at) => {
                let by = (&["dispatch_id", "instant_ms"][..], params![*id, *at]);
                rows(db, &FIRING, by, codec::firing).await?
            }
            Want::State(id) => {
                rows(db, &DISPATCH, (&["dispatch_id"][..], params![*id]), codec::dispatch).await?
            }
        };
        count += rows.len();
        facts.learn(*want, rows);
    }
    Ok(count)
}

/// Attempts of one job run at most.
const ROWS_MAX: u32 = 1_000;

async fn rows(
    db: &Db,
    table: &Table,
    (columns, values): (&[&str], Vec<Value>),
    read: fn(&db::Row) -> db::Result<(Key, Row)>,
) -> db::Result<Vec<(Key, Row)>> {
    let by: Vec<String> = columns.iter().map(|column| format!("{column} = ?")).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {} LIMIT {ROWS_MAX}",
        table.list(""),
        table.name,
        by.join(" AND ")
    );
    db.query(sql, values).await?.iter().map(read).collect()
}
