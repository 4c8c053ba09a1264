//! Statements of many rows: upserts, inserts and deletes as SQLite says them.

use super::fault;
use crate::db::bulk::{PARAMS_MAX, SIZES, at_write, head};
use crate::db::error::{Error, Result};
use crate::db::{Mode, Value, Write};
use rusqlite::{Connection, params_from_iter};
use std::collections::HashSet;
use std::fmt::Write as _;

/// All writes of a batch, in order; the first error ends it. What was done is the caller's to undo.
pub(super) fn write_all(connection: &Connection, batch: &[Write]) -> Result<()> {
    for (at, write) in batch.iter().enumerate() {
        write_one(connection, write).map_err(|error| at_write(error, at))?;
    }
    Ok(())
}

fn write_one(connection: &Connection, write: &Write) -> Result<()> {
    match write {
        Write::Sql { sql, params, must_match } => {
            let matched = execute(connection, sql, params.iter())?;
            match must_match {
                Some(rows) if *rows != matched => Err(Error::Conflict),
                _ => Ok(()),
            }
        }
        Write::Rows { table, key, columns, rows, mode } => {
            in_chunks(rows, columns.len(), |chunk| {
                let sql = insert(table, key, columns, (chunk.len(), *mode));
                execute(connection, &sql, chunk.iter().flatten()).map(drop)
            })
        }
        Write::Delete { table, key, rows } => in_chunks(rows, key.len(), |chunk| {
            let sql = format!("DELETE FROM {table} WHERE {}", one_of(key, chunk.len()));
            execute(connection, &sql, chunk.iter().flatten()).map(drop)
        }),
        Write::Exist { table, columns, rows } => in_chunks(rows, columns.len(), |chunk| {
            let sql = format!("SELECT 1 FROM {table} WHERE {}", one_of(columns, chunk.len()));
            let distinct = chunk.iter().collect::<HashSet<_>>().len();
            match count(connection, &sql, chunk.iter().flatten())? {
                found if found == distinct => Ok(()),
                _ => Err(Error::Conflict),
            }
        }),
    }
}

fn count<'a>(
    connection: &Connection,
    sql: &str,
    params: impl Iterator<Item = &'a Value>,
) -> Result<usize> {
    let run = || {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(params))?;
        let mut count = 0;
        while rows.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    run().map_err(|error| fault(&error))
}

fn execute<'a>(
    connection: &Connection,
    sql: &str,
    params: impl Iterator<Item = &'a Value>,
) -> Result<u64> {
    let run = || connection.prepare_cached(sql)?.execute(params_from_iter(params));
    match run() {
        Ok(matched) => Ok(matched as u64),
        Err(error) => Err(match fault(&error) {
            Error::Fatal(why) => Error::Fatal(format!("{why} in: {}", head(sql))),
            other => other,
        }),
    }
}

fn in_chunks(
    rows: &[Vec<Value>],
    width: usize,
    run: impl Fn(&[Vec<Value>]) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    for size in SIZES.into_iter().filter(|size| *size == 1 || size * width <= PARAMS_MAX) {
        while rows.len() - done >= size {
            let chunk = &rows[done..done + size];
            run(chunk).map_err(|error| blame(chunk, done, error, &run))?;
            done += size;
        }
    }
    Ok(())
}

/// Which row of a statement of many it was: one by one. What that writes is undone with the batch.
fn blame(
    chunk: &[Vec<Value>],
    before: usize,
    error: Error,
    run: impl Fn(&[Vec<Value>]) -> Result<()>,
) -> Error {
    if !matches!(error, Error::Duplicate { .. } | Error::Bad { .. }) {
        return error;
    }
    let each = chunk.iter().enumerate();
    let mut faults =
        each.filter_map(|(at, row)| Some((before + at, run(std::slice::from_ref(row)).err()?)));
    match faults.next() {
        Some((row, Error::Duplicate { table, columns, write, .. })) => {
            Error::Duplicate { table, columns, write, row }
        }
        Some((row, Error::Bad { why, write, .. })) => Error::Bad { write, row, why },
        Some((_, other)) => other,
        None => error,
    }
}

fn tuples(width: usize, count: usize) -> String {
    let tuple = format!("({})", vec!["?"; width].join(","));
    vec![tuple; count].join(",")
}

fn insert(table: &str, key: &[&str], columns: &[&str], (count, mode): (usize, Mode)) -> String {
    let mut sql = format!("INSERT INTO {table} ({}) VALUES ", columns.join(","));
    sql.push_str(&tuples(columns.len(), count));
    let rest: Vec<String> = columns
        .iter()
        .filter(|column| !key.contains(column))
        .map(|column| format!("{column}=excluded.{column}"))
        .collect();
    let _ = match mode {
        Mode::Insert => Ok(()),
        Mode::Upsert if !rest.is_empty() => {
            write!(sql, " ON CONFLICT ({}) DO UPDATE SET {}", key.join(","), rest.join(","))
        }
        Mode::Upsert | Mode::InsertIfAbsent => {
            write!(sql, " ON CONFLICT ({}) DO NOTHING", key.join(","))
        }
    };
    sql
}

fn one_of(columns: &[&str], count: usize) -> String {
    format!("({}) IN (VALUES {})", columns.join(","), tuples(columns.len(), count))
}
