//! What statements of many rows have in common, whatever the database.

use super::error::{Error, Result};
use super::{Value, Write};

/// SQLite takes 32,766 parameters, MySQL 65,535; more than this many at once gain nothing.
pub(super) const PARAMS_MAX: usize = 8_000;
/// Rows per statement, greatest first: few sizes, so that the prepared ones are used again.
pub(super) const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// Table, values of a row, rows; none of a single statement.
pub(super) fn shape(write: &Write) -> Option<(&'static str, usize, &Vec<Vec<Value>>)> {
    match write {
        Write::Sql { .. } => None,
        Write::Rows { table, columns, rows, .. } | Write::Exist { table, columns, rows } => {
            Some((table, columns.len(), rows))
        }
        Write::Delete { table, key, rows } => Some((table, key.len(), rows)),
    }
}

/// How many statements a write is, where no row is very long.
pub(super) fn statements(write: &Write) -> usize {
    let Some((_, width, rows)) = shape(write) else { return 1 };
    let (mut left, mut count) = (rows.len(), 0);
    while left > 0 {
        let fits = |size: &usize| *size <= left && size * width <= PARAMS_MAX;
        left -= SIZES.into_iter().find(fits).unwrap_or(1);
        count += 1;
    }
    count
}

/// Rows must be as long as their columns: a slip in the program, found before anything is sent.
pub(super) fn check(batch: &[Write]) -> Result<()> {
    for (at, write) in batch.iter().enumerate() {
        let Some((table, width, rows)) = shape(write) else { continue };
        if width == 0 || width > PARAMS_MAX || rows.iter().any(|row| row.len() != width) {
            let why = format!("a row of {table} does not have its {width} columns");
            return Err(Error::Bad { write: at, row: 0, why });
        }
    }
    Ok(())
}

/// The error of a write, with its place in the batch.
pub(super) fn at_write(error: Error, at: usize) -> Error {
    match error {
        Error::Duplicate { table, columns, row, .. } => {
            Error::Duplicate { table, columns, write: at, row }
        }
        Error::Bad { why, row, .. } => Error::Bad { write: at, row, why },
        other => other,
    }
}

/// A statement of many rows is long, and its beginning says which one it is.
pub(super) fn head(sql: &str) -> String {
    sql.chars().take(200).collect()
}
