//! The database, as small as it can be: read rows, or commit a batch.
//!
//! The rule: no SQL dialect outside of this folder, no SQL outside of `store/`. All adapters agree on
//! the SQL that we allow ourselves: `?` parameters, BIGINT milliseconds, no upsert, RETURNING, JSON
//! function or date written by hand; what differs (bulk upserts, bulk deletes, locks) is built here from
//! [`Write`]. Called by `store/` and by those who hand a batch of the store's writes to [`Db::commit`].

mod bulk;
pub mod error;
pub mod faulty;
pub mod measure;
pub mod migrate;
pub mod mysql;
pub mod sqlite;
pub mod value;

pub use crate::params;
pub use error::{Error, Result};
pub use value::{Row, Value};

use shared::address::Target;
use shared::clock::Clock;
use shared::ids::Millis;
use std::borrow::Cow;
use std::time::Duration;

/// One statement of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Sql {
        sql: Cow<'static, str>,
        params: Vec<Value>,
        /// How many rows it must match (not: change), or nothing of the batch is written and it is
        /// an [`Error::Conflict`].
        must_match: Option<u64>,
    },
    /// Many rows of one table, in statements of many rows each.
    Rows {
        table: &'static str,
        /// The columns of the primary key.
        key: &'static [&'static str],
        columns: &'static [&'static str],
        /// Each as long as `columns`.
        rows: Vec<Vec<Value>>,
        mode: Mode,
    },
    /// Deletes by primary key; rows that are not there are no matter.
    Delete { table: &'static str, key: &'static [&'static str], rows: Vec<Vec<Value>> },
    /// All these rows must be there, each named by some of its columns, and stay as they are until
    /// the commit; or it is an [`Error::Conflict`].
    Exist { table: &'static str, columns: &'static [&'static str], rows: Vec<Vec<Value>> },
}

/// What becomes of a bulk row whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The row is overwritten.
    Upsert,
    /// [`Error::Duplicate`].
    Insert,
    /// The old one stays.
    InsertIfAbsent,
}

/// All of it, or nothing.
pub type Batch = Vec<Write>;

/// A statement that may match any number of rows.
pub fn sql(sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Write {
    Write::Sql { sql: sql.into(), params, must_match: None }
}

/// A statement that must match exactly one row: somebody else has not been here before us.
pub fn guard(sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Write {
    Write::Sql { sql: sql.into(), params, must_match: Some(1) }
}

/// `params![id, name, None::<i64>]`: what goes for the `?` of a statement.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Value::from($value)),*] };
}

/// Nothing waits or grows without a limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A query with more rows than that is refused: it ought to be paged.
    pub rows_max: usize,
    pub query_timeout: Duration,
    /// After that a commit is an [`Error::UnknownOutcome`].
    pub commit_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rows_max: 100_000,
            query_timeout: Duration::from_secs(20),
            commit_timeout: Duration::from_secs(30),
        }
    }
}

/// One database; cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// Embedded: one file.
    Sqlite(sqlite::Sqlite),
    /// MySQL or MariaDB.
    Mysql(mysql::Mysql),
    /// Any other one behind a link that breaks when a test says so.
    Faulty(Box<faulty::Faulty>),
}

impl Db {
    /// `sqlite:PATH` or `mysql://USER:PASSWORD@HOST:PORT/DATABASE`. Does not create tables: see [`migrate::run`].
    ///
    /// # Errors
    /// The kind of database is not known; it cannot be opened.
    pub async fn open(target: Target, clock: Clock) -> Result<Db> {
        Db::open_with(target, clock, Limits::default()).await
    }

    /// # Errors
    /// As [`Db::open`].
    pub async fn open_with(target: Target, clock: Clock, limits: Limits) -> Result<Db> {
        let url = &*target.url;
        match url.split_once(':') {
            Some(("sqlite", path)) => {
                sqlite::Sqlite::open(path.into(), clock, limits).await.map(Db::Sqlite)
            }
            Some(("mysql", _)) => mysql::Mysql::open(&target, limits).await.map(Db::Mysql),
            _ => {
                let kind = url.split(':').next().unwrap_or_default();
                Err(Error::Fatal(format!(
                    "{kind:?} is no kind of database: sqlite:PATH or \
                     mysql://USER:PASSWORD@HOST:PORT/DATABASE is expected"
                )))
            }
        }
    }

    /// # Errors
    /// [`Error::Retry`] or [`Error::Fatal`].
    pub async fn query(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        match self {
            Db::Sqlite(db) => db.query(sql.into(), params).await,
            Db::Mysql(db) => db.query(sql.into(), params).await,
            Db::Faulty(db) => Box::pin(db.query(sql.into(), params)).await,
        }
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn first(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: Vec<Value>,
    ) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// A read that waits for every commit under way which touches these rows: what it says cannot be
    /// changed by a commit that was sent before (rule L3).
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn query_locking(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        match self {
            Db::Sqlite(db) => db.query_locking(sql.into(), params).await,
            Db::Mysql(db) => db.query_locking(sql.into(), params).await,
            Db::Faulty(db) => Box::pin(db.query_locking(sql.into(), params)).await,
        }
    }

    /// All of it, or nothing.
    ///
    /// # Errors
    /// Every class: see [`Error`].
    pub async fn commit(&self, batch: impl Into<Batch>) -> Result<()> {
        match self {
            Db::Sqlite(db) => db.commit(batch.into()).await,
            Db::Mysql(db) => db.commit(batch.into()).await,
            Db::Faulty(db) => Box::pin(db.commit(batch.into())).await,
        }
    }

    /// Runs the missing steps, nobody else at the same time. Called by [`migrate::run`] only.
    ///
    /// # Errors
    /// A newer schema, a step that was changed since, or one that fails.
    pub(crate) async fn migrate(&self, steps: Vec<migrate::Step>) -> Result<u32> {
        match self {
            Db::Sqlite(db) => db.migrate(steps).await,
            Db::Mysql(db) => db.migrate(steps).await,
            Db::Faulty(db) => Box::pin(db.migrate(steps)).await,
        }
    }

    /// What the database wants done now and then, in a quiet hour; another server does it by itself.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn upkeep(&self) -> Result<()> {
        match self {
            Db::Sqlite(db) => db.upkeep().await,
            Db::Mysql(_) => Ok(()),
            Db::Faulty(db) => Box::pin(db.upkeep()).await,
        }
    }

    /// The identity of the server that answers now: another one after a failover (rule L3).
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn server(&self) -> Result<String> {
        match self {
            Db::Sqlite(db) => Ok(db.server()),
            Db::Mysql(db) => db.server().await,
            Db::Faulty(db) => Box::pin(db.server()).await,
        }
    }

    /// The database's date: milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn now_ms(&self) -> Result<Millis> {
        match self {
            Db::Sqlite(db) => Ok(db.now_ms()),
            Db::Mysql(db) => db.now_ms().await,
            Db::Faulty(db) => Box::pin(db.now_ms()).await,
        }
    }
}
