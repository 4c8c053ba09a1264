//! Rows of the run state as rows of tables, and back: one table per kind of row, columns once.
//!
//! The rule: what is written and read again is equal (texts for people are cut at their column's
//! width). Called by [`super::run`] and [`super::slice`] only.

mod runs;
mod small;

use crate::db::{self, Error, Value};
use crate::engine::rows::{Key, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Where rows of one kind are kept. The columns of the key come first.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static [&'static str],
    pub(super) columns: &'static [&'static str],
}

impl Table {
    /// For a SELECT; the prefix is `j.` or empty.
    pub(super) fn list(&self, prefix: &str) -> String {
        let names: Vec<String> =
            self.columns.iter().map(|column| format!("{prefix}{column}")).collect();
        names.join(", ")
    }
}

pub(super) use runs::{ATTEMPT, EXECUTION, JOB_RUN, RUN};
pub(super) use runs::{attempt, execution, job_run, run};
pub(super) use small::{BACKFILL, DISPATCH, DOUBT, FIRING, OUTBOX};
pub(super) use small::{backfill, dispatch, doubt, firing, outbox};

/// Texts for people (`why`, `reason`) have so many characters in the database.
pub(super) const TEXT_MAX: usize = 255;

pub(super) fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// The table of a key; commands are updated, not stored whole: see [`super::command`].
pub(super) fn table(key: &Key) -> Option<&'static Table> {
    match key {
        Key::Dispatch(_) => Some(&DISPATCH),
        Key::Firing(..) => Some(&FIRING),
        Key::Execution(_) => Some(&EXECUTION),
        Key::Run(_) => Some(&RUN),
        Key::JobRun(_) => Some(&JOB_RUN),
        Key::Attempt(_) => Some(&ATTEMPT),
        Key::Doubt(_) => Some(&DOUBT),
        Key::Outbox(_) => Some(&OUTBOX),
        Key::Backfill(_) => Some(&BACKFILL),
        Key::Command(_) => None,
    }
}

/// What the table's key columns hold.
pub(super) fn key_values(key: &Key) -> Vec<Value> {
    use crate::db::params;
    match *key {
        Key::Dispatch(id) => params![id],
        Key::Firing(dispatch, instant) => params![dispatch, instant],
        Key::Execution(id) => params![id],
        Key::Run(id) => params![id],
        Key::JobRun(id) => params![id.run, id.job],
        Key::Attempt(id) => params![id.run, id.job, id.number, id.reign],
        Key::Doubt(host) => params![host],
        Key::Command(id) => params![id],
        Key::Outbox(id) => params![id],
        Key::Backfill(id) => params![id],
    }
}

/// All columns of a row. `batch` of the leader, as live pages see it.
pub(super) fn values(key: &Key, row: &Row, batch: i64) -> Vec<Value> {
    let mut values = key_values(key);
    match row {
        Row::Dispatch(row) => small::put_dispatch(&mut values, row),
        Row::Firing(row) => small::put_firing(&mut values, row),
        Row::Execution(row) => runs::put_execution(&mut values, row, batch),
        Row::Run(row) => runs::put_run(&mut values, row, batch),
        Row::JobRun(row) => runs::put_job_run(&mut values, row, batch),
        Row::Attempt(row) => runs::put_attempt(&mut values, row),
        Row::Outbox(row) => small::put_outbox(&mut values, row),
        Row::Backfill(row) => small::put_backfill(&mut values, row),
        Row::Doubt | Row::Command(_) => {}
    }
    values
}

/// The word of a closed set, as serde writes it.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

pub(super) fn from_word<T: DeserializeOwned>(row: &db::Row, column: &str) -> db::Result<T> {
    let text = row.text(column)?;
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| Error::Fatal(format!("column {column}: {text:?} is no word of ours")))
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Most rows have none: no need to call a parser.
pub(super) fn map_json(map: &BTreeMap<String, String>) -> String {
    if map.is_empty() { "{}".into() } else { json(map) }
}

pub(super) fn bad(column: &str, value: impl std::fmt::Display) -> Error {
    Error::Fatal(format!("column {column}: {value} is not known"))
}
