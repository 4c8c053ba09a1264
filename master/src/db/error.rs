//! What can go wrong at a database, by what the caller must do about it.

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A guard matched another number of rows than it must. Nothing was written. Read again.
    #[error("somebody else changed it first")]
    Conflict,
    /// A unique key is taken. Nothing was written. `write` is the position in the batch, `row` that
    /// in a bulk write.
    #[error("{table} already has a row with this {}", .columns.join(", "))]
    Duplicate { table: String, columns: Vec<String>, write: usize, row: usize },
    /// This one row can never be stored (a NULL, a size). Nothing was written.
    #[error("row {row} of write {write} of the batch cannot be stored: {why}")]
    Bad { write: usize, row: usize, why: String },
    /// Nothing was written; the same again may well succeed.
    #[error("the database is busy or away: {0}")]
    Retry(String),
    /// The link broke at the commit: written or not, nobody knows. Read, with [`query_locking`].
    ///
    /// [`query_locking`]: crate::db::Db::query_locking
    #[error("whether the database has stored it is not known: {0}")]
    UnknownOutcome(String),
    /// Nothing was written, and trying again is of no use.
    #[error("database: {0}")]
    Fatal(String),
}
