//! Statements of many rows, as MySQL and MariaDB say them.

use super::fault::fault;
use super::values::{bind, to_driver};
use crate::db::bulk::{PARAMS_MAX, SIZES, at_write, head, shape};
use crate::db::error::{Error, Result};
use crate::db::{Mode, Value, Write};
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Transaction};
use std::collections::HashSet;

/// Bytes of the values of one statement: far below the smallest `max_allowed_packet` in use.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// All writes of a batch, in order; the first error ends it. What was done is the caller's to undo.
pub(super) async fn write_all(
    connection: &mut Transaction<'_>,
    batch: &[Write],
    server: &str,
) -> Result<()> {
    for (at, write) in batch.iter().enumerate() {
        let done = match write {
            Write::Sql { sql, params, must_match } => {
                write_sql(connection, (sql, server), params.clone(), *must_match).await
            }
            _ => write_rows(connection, write).await,
        };
        done.map_err(|error| at_write(error, at))?;
    }
    Ok(())
}

async fn write_sql(
    connection: &mut Transaction<'_>,
    (sql, server): (&str, &str),
    params: Vec<Value>,
    must_match: Option<u64>,
) -> Result<()> {
    let (text, params) = bind(sql, params, server);
    let done = connection.exec_drop(text.as_ref(), params).await;
    done.map_err(|error| told(&error, table_of(sql), sql))?;
    match must_match {
        Some(rows) if rows != connection.affected_rows() => Err(Error::Conflict),
        _ => Ok(()),
    }
}

async fn write_rows(connection: &mut Transaction<'_>, write: &Write) -> Result<()> {
    let Some((table, width, rows)) = shape(write) else { return Ok(()) };
    let mut done = 0;
    while done < rows.len() {
        let size = size_of_next(&rows[done..], width);
        let chunk = &rows[done..done + size];
        if let Err(error) = write_chunk(connection, write, table, chunk).await {
            return Err(blame(connection, write, (table, chunk, done), error).await);
        }
        done += size;
    }
    Ok(())
}

fn size_of_next(rows: &[Vec<Value>], width: usize) -> usize {
    let fits = |size: &usize| {
        let bytes = || rows[..*size].iter().flatten().map(bytes_of).sum::<usize>();
        *size <= rows.len() && size * width <= PARAMS_MAX && bytes() <= BYTES_MAX
    };
    SIZES.into_iter().find(fits).unwrap_or(1)
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Null | Value::Int(_) | Value::Server => 8,
    }
}

async fn write_chunk(
    connection: &mut Transaction<'_>,
    write: &Write,
    table: &str,
    chunk: &[Vec<Value>],
) -> Result<()> {
    let values: Vec<mysql_async::Value> = chunk.iter().flatten().cloned().map(to_driver).collect();
    let params = Params::Positional(values);
    match write {
        Write::Sql { .. } => Ok(()),
        Write::Rows { key, columns, mode, .. } => {
            let sql = insert(table, key, columns, (chunk.len(), *mode));
            let done = connection.exec_drop(&sql, params).await;
            done.map_err(|error| taken(told(&error, table, &sql), key, *mode))
        }
        Write::Delete { key, .. } => {
            let sql = format!("DELETE FROM {table} WHERE {}", one_of(key, chunk.len()));
            let done = connection.exec_drop(&sql, params).await;
            done.map_err(|error| told(&error, table, &sql))
        }
        Write::Exist { columns, .. } => {
            let rows = one_of(columns, chunk.len());
            let sql = format!("SELECT 1 FROM {table} WHERE {rows} LOCK IN SHARE MODE");
            let found: Vec<i64> =
                connection.exec(&sql, params).await.map_err(|error| told(&error, table, &sql))?;
            match found.len() == chunk.iter().collect::<HashSet<_>>().len() {
                true => Ok(()),
                false => Err(Error::Conflict),
            }
        }
    }
}

/// Which row of a statement of many it was: one by one. What that writes is undone with the batch.
async fn blame(
    connection: &mut Transaction<'_>,
    write: &Write,
    (table, chunk, before): (&str, &[Vec<Value>], usize),
    error: Error,
) -> Error {
    if !matches!(error, Error::Duplicate { .. } | Error::Bad { .. }) {
        return error;
    }
    for (at, row) in chunk.iter().enumerate() {
        match write_chunk(connection, write, table, std::slice::from_ref(row)).await {
            Ok(()) => {}
            Err(Error::Duplicate { table, columns, write, .. }) => {
                return Error::Duplicate { table, columns, write, row: before + at };
            }
            Err(Error::Bad { why, write, .. }) => {
                return Error::Bad { write, row: before + at, why };
            }
            Err(other) => return other,
        }
    }
    error
}

/// With the table and the statement, where they say something.
fn told(error: &mysql_async::Error, of: &str, sql: &str) -> Error {
    match fault(error) {
        Error::Duplicate { columns, write, row, .. } => {
            Error::Duplicate { table: of.to_owned(), columns, write, row }
        }
        Error::Fatal(why) => Error::Fatal(format!("{why} in: {}", head(sql))),
        other => other,
    }
}

/// `INSERT INTO table …`, `UPDATE table …`
fn table_of(sql: &str) -> &str {
    let mut words = sql.split_whitespace();
    match words.next().map(str::to_ascii_uppercase).as_deref() {
        Some("INSERT") => words.find(|word| !word.eq_ignore_ascii_case("into")),
        Some("UPDATE") => words.next(),
        _ => None,
    }
    .unwrap_or_default()
}

/// A key that is NULL by [`insert`]'s doing: another unique key than the primary one is taken.
fn taken(error: Error, key: &[&str], mode: Mode) -> Error {
    match error {
        Error::Bad { why, write, row }
            if mode != Mode::Insert && key.iter().any(|key| why.contains(&format!("'{key}'"))) =>
        {
            Error::Duplicate { table: why, columns: vec!["another unique key".into()], write, row }
        }
        other => other,
    }
}

/// `ON DUPLICATE KEY` means any unique key: where it is not the primary one, the key becomes NULL, which
/// none may be, and the statement is refused. Else it would write over another row.
fn insert(table: &str, key: &[&str], columns: &[&str], (count, mode): (usize, Mode)) -> String {
    let tuple = format!("({})", vec!["?"; columns.len()].join(","));
    let rows = vec![tuple; count].join(",");
    let sql = format!("INSERT INTO {table} ({}) VALUES {rows}", columns.join(","));
    if mode == Mode::Insert {
        return sql;
    }
    let same = key.iter().map(|key| format!("{key}=IF({key}<=>VALUES({key}),{key},NULL)"));
    let others = columns.iter().filter(|column| !key.contains(column) && mode == Mode::Upsert);
    let others = others.map(|column| format!("{column}=VALUES({column})"));
    let all: Vec<String> = same.chain(others).collect();
    format!("{sql} ON DUPLICATE KEY UPDATE {}", all.join(","))
}

/// Not `(a,b) IN (…)`: MariaDB would look at every row for it.
fn one_of(columns: &[&str], count: usize) -> String {
    if let [column] = columns {
        return format!("{column} IN ({})", vec!["?"; count].join(","));
    }
    let all: Vec<String> = columns.iter().map(|column| format!("{column}=?")).collect();
    vec![format!("({})", all.join(" AND ")); count].join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_its_table() {
        assert_eq!(table_of("INSERT INTO sequence (name) VALUES (?)"), "sequence");
        assert_eq!(table_of("update leader SET batch = 1"), "leader");
        assert_eq!(table_of("SELECT 1"), "");
    }

    #[test]
    fn rows_are_sent_in_few_sizes_and_never_too_many_bytes() {
        let small: Vec<Vec<Value>> = (0..100).map(|n| vec![Value::Int(n)]).collect();
        assert_eq!(size_of_next(&small, 1), 64);
        let large: Vec<Vec<Value>> =
            (0..100).map(|_| vec![Value::Text("x".repeat(BYTES_MAX / 3))]).collect();
        assert_eq!(size_of_next(&large, 1), 1);
    }
}
