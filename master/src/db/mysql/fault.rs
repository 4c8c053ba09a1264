//! Which class an error of the server or of the link is of.

use crate::db::error::Error;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error as Driver};

/// Why a batch was not stored.
#[derive(Debug)]
pub(super) enum Undone {
    /// The server has chosen it to end a deadlock: nothing of it is written, and it may try again.
    Deadlock(String),
    Error(Error),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Undone {
        match error {
            Error::Retry(why) if why.contains(DEADLOCK) => Undone::Deadlock(why),
            other => Undone::Error(other),
        }
    }
}

/// As the words of [`fault`] begin for it.
const DEADLOCK: &str = "a deadlock was ended";

/// Before COMMIT was sent. `write` and `row` are unknown here.
pub(super) fn fault(error: &Driver) -> Error {
    let why = one_line(&error.to_string());
    match error {
        Driver::Server(server) => match server.code {
            1213 => Error::Retry(format!("{DEADLOCK}: {why}")),
            // Lock wait, statement time (MySQL, MariaDB), shutting down, too many connections,
            // read-only after a failover, killed.
            1205 | 3024 | 1969 | 1053 | 1040 | 1290 | 1836 | 1317 | 1927 => Error::Retry(why),
            1062 | 1586 => duplicate(&server.message),
            // NULL, too long, out of range, not of this type, a default that is missing, a check.
            1048 | 1406 | 1264 | 1366 | 1364 | 3819 | 4025 | 1153 => {
                Error::Bad { write: 0, row: 0, why }
            }
            _ => Error::Fatal(why),
        },
        Driver::Io(_) => Error::Retry(why),
        Driver::Driver(DriverError::PacketTooLarge) => Error::Bad { write: 0, row: 0, why },
        Driver::Driver(
            DriverError::ConnectionClosed
            | DriverError::PoolDisconnected
            | DriverError::PacketOutOfOrder,
        ) => Error::Retry(why),
        Driver::Driver(_) | Driver::Other(_) | Driver::Url(_) => Error::Fatal(why),
    }
}

/// COMMIT itself has failed: only a deadlock is known to have written nothing.
pub(super) fn at_commit(error: &Driver) -> Undone {
    match fault(error) {
        Error::Retry(why) if why.contains(DEADLOCK) => Undone::Deadlock(why),
        other => Undone::Error(Error::UnknownOutcome(other.to_string())),
    }
}

/// A table, a column, an index or a row of a migration that was there before.
pub(super) fn is_there_already(error: &Driver) -> bool {
    matches!(error, Driver::Server(server) if [1050, 1060, 1061, 1062].contains(&server.code))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `Duplicate entry 'x' for key 'PRIMARY'`; MySQL writes the table before the key. Which columns those
/// are is asked later, in [`name_columns`].
fn duplicate(message: &str) -> Error {
    let key = message.rsplit("for key ").next().unwrap_or_default().trim_matches('\'');
    let (table, key) = key.split_once('.').unwrap_or(("", key));
    Error::Duplicate { table: table.to_owned(), columns: vec![key.to_owned()], write: 0, row: 0 }
}

/// The columns of the key that is taken, in place of its name.
pub(super) async fn name_columns(connection: &mut Conn, error: Error) -> Error {
    let Error::Duplicate { table, columns, write, row } = error else { return error };
    let sql = "SELECT column_name FROM information_schema.statistics WHERE table_schema = \
               DATABASE() AND table_name = ? AND index_name = ? ORDER BY seq_in_index";
    let key = columns.first().cloned().unwrap_or_default();
    let found: std::result::Result<Vec<String>, Driver> =
        connection.exec(sql, (table.as_str(), key.as_str())).await;
    let columns = match found {
        Ok(found) if !found.is_empty() => found,
        _ => columns,
    };
    Error::Duplicate { table, columns, write, row }
}
