//! The embedded database: one file, one thread that writes, a few that read.
//!
//! The rule: nothing is confirmed before it is on the disk (WAL, synchronous=FULL); what that costs is
//! shared by all batches that wait at the same moment (group commit, in [`writer`]). A caller who goes
//! away leaves nothing open: threads own the connections, a batch is done whole or not at all.

mod bulk;
mod reader;
mod writer;

use super::bulk::check;
use super::error::{Error, Result};
use super::migrate::{self, Step};
use super::{Batch, Limits, Row, Value, Write};
use reader::Readers;
use rusqlite::types::{Null, ToSqlOutput};
use rusqlite::{Connection, OpenFlags, ToSql};
use shared::clock::Clock;
use shared::ids::Millis;
use std::borrow::Cow;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Batches that wait for the writer; then their makers wait.
const WRITES_QUEUED_MAX: usize = 4_096;
/// Prepared statements kept by each connection.
const STATEMENTS_KEPT: usize = 256;

/// What the writer is asked. Answers go to whoever still waits.
#[derive(Debug)]
enum Job {
    /// Statistics for the planner, and the log written back into the file.
    Upkeep(oneshot::Sender<Result<()>>),
    Commit(Batch, oneshot::Sender<Result<()>>),
    Query(Cow<'static, str>, Vec<Value>, oneshot::Sender<Result<Vec<Row>>>),
    Migrate(Vec<Step>, oneshot::Sender<Result<u32>>),
}

#[derive(Clone, Debug)]
pub struct Sqlite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: mpsc::Sender<Job>,
    readers: Readers,
    server: String,
    clock: Clock,
    limits: Limits,
}

impl Sqlite {
    /// Opens the file, or makes it (readable by its owner only).
    ///
    /// # Errors
    /// It cannot be opened, or is no database.
    pub async fn open(path: PathBuf, clock: Clock, limits: Limits) -> Result<Sqlite> {
        let at = path.display().to_string();
        let opened = shared::tasks::blocking(move || Sqlite::open_now(&path, clock, limits)).await;
        opened
            .map_err(|error| Error::Fatal(error.to_string()))?
            .map_err(|error| Error::Fatal(format!("cannot open the database file {at}: {error}")))
    }

    fn open_now(path: &Path, clock: Clock, limits: Limits) -> Result<Sqlite> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Error::Fatal(error.to_string()))?;
        let writing = connect(path)?;
        // Measured: twice the rows per second of the defaults (2 MB, 1000 pages).
        writing
            .execute_batch("PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 4000")
            .map_err(|error| fault(&error))?;
        let server = identity(&writing).map_err(|error| fault(&error))?;
        let readers = Readers::start(path, limits.rows_max)?;
        let (writer, jobs) = mpsc::channel(WRITES_QUEUED_MAX);
        let writes = writer::Writer::new(writing, clock.clone(), limits.rows_max);
        std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || writes.run(jobs))
            .map_err(|error| Error::Fatal(error.to_string()))?;
        Ok(Sqlite(Arc::new(Inner { writer, readers, server, clock, limits })))
    }

    pub(super) async fn query(
        &self,
        sql: Cow<'static, str>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let params = self.named(params);
        self.0.readers.query(sql, params, self.0.limits.query_timeout).await
    }

    /// On the writer, behind every batch that was sent before.
    pub(super) async fn query_locking(
        &self,
        sql: Cow<'static, str>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Query(sql, self.named(params), reply);
        self.send(job, self.0.limits.query_timeout).await?;
        match timeout(self.0.limits.query_timeout, answer).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(_)) => Err(writer_gone()),
            Err(_) => Err(Error::Retry("no answer in time".into())),
        }
    }

    pub(super) async fn commit(&self, mut batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        check(&batch)?;
        for write in &mut batch {
            if let Write::Sql { params, .. } = write {
                *params = self.named(std::mem::take(params));
            }
        }
        let (reply, answer) = oneshot::channel();
        self.send(Job::Commit(batch, reply), self.0.limits.commit_timeout).await?;
        match timeout(self.0.limits.commit_timeout, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::UnknownOutcome("the writer died".into())),
            Err(_) => Err(Error::UnknownOutcome("no answer in time".into())),
        }
    }

    pub(super) async fn migrate(&self, steps: Vec<Step>) -> Result<u32> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Migrate(steps, reply), self.0.limits.commit_timeout).await?;
        answer.await.map_err(|_| writer_gone())?
    }

    pub(super) async fn upkeep(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Upkeep(reply), self.0.limits.commit_timeout).await?;
        answer.await.map_err(|_| writer_gone())?
    }

    pub(super) fn server(&self) -> String {
        self.0.server.clone()
    }

    pub(super) fn now_ms(&self) -> Millis {
        self.0.clock.wall_ms()
    }

    /// One file is one server, whoever executes the statement.
    fn named(&self, mut params: Vec<Value>) -> Vec<Value> {
        for value in params.iter_mut().filter(|value| **value == Value::Server) {
            *value = Value::Text(self.0.server.clone());
        }
        params
    }

    async fn send(&self, job: Job, within: Duration) -> Result<()> {
        match timeout(within, self.0.writer.send(job)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(writer_gone()),
            Err(_) => Err(Error::Retry("too many batches wait for the disk".into())),
        }
    }
}

fn writer_gone() -> Error {
    Error::Fatal("the thread that writes has died".into())
}

/// A connection as we want all of them.
fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;",
        )?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(connection)
    };
    open().map_err(|error| fault(&error))
}

/// Random, made once, kept in the file: a copy of the file is the same server.
fn identity(connection: &Connection) -> rusqlite::Result<String> {
    connection.execute_batch(migrate::IDENTITY)?;
    connection.execute(
        "INSERT INTO database_identity (one, id) VALUES (1, lower(hex(randomblob(16))))
         ON CONFLICT (one) DO NOTHING",
        [],
    )?;
    connection.query_row("SELECT id FROM database_identity", [], |row| row.get(0))
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Value::Null => Ok(ToSqlOutput::from(Null)),
            Value::Int(value) => Ok(ToSqlOutput::from(*value)),
            Value::Text(value) => value.to_sql(),
            Value::Bytes(value) => value.to_sql(),
            Value::Server => Err(rusqlite::Error::ToSqlConversionFailure(
                "the server's identity was not filled in".into(),
            )),
        }
    }
}

/// Which class an error is of. `write` and `row` are unknown here: see [`Error::Duplicate`].
fn fault(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    let why = error.to_string();
    let rusqlite::Error::SqliteFailure(code, message) = error else { return Error::Fatal(why) };
    match code.code {
        Code::DatabaseBusy | Code::DatabaseLocked | Code::OperationInterrupted => Error::Retry(why),
        Code::ConstraintViolation
            if [SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE]
                .contains(&code.extended_code) =>
        {
            duplicate(message.as_deref().unwrap_or_default())
        }
        Code::ConstraintViolation | Code::TooBig | Code::TypeMismatch => {
            Error::Bad { write: 0, row: 0, why }
        }
        _ => Error::Fatal(why),
    }
}

/// `UNIQUE constraint failed: job.interface_id, job.name`
fn duplicate(message: &str) -> Error {
    let names = message.rsplit(": ").next().unwrap_or_default();
    let pairs: Vec<(&str, &str)> =
        names.split(", ").filter_map(|name| name.split_once('.')).collect();
    let table = pairs.first().map_or("", |(table, _)| table).to_owned();
    let columns = pairs.iter().map(|(_, column)| (*column).to_owned()).collect();
    Error::Duplicate { table, columns, write: 0, row: 0 }
}
