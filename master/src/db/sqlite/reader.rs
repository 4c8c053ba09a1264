//! Threads that read, each with its own connection: they see what is committed and wait for nobody.

use super::{connect, fault};
use crate::db::error::{Error, Result};
use crate::db::{Row, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, params_from_iter};
use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

const READERS: usize = 4;
/// Questions that wait for a reader; then those who ask wait.
const READS_QUEUED_MAX: usize = 1_024;

struct Job {
    sql: Cow<'static, str>,
    params: Vec<Value>,
    reply: oneshot::Sender<Result<Vec<Row>>>,
    running: Running,
}

/// How to stop a question that runs: set only while it does, so that no other one is hit.
type Running = Arc<Mutex<Option<Arc<InterruptHandle>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct Readers(mpsc::Sender<Job>);

impl Readers {
    pub(super) fn start(path: &Path, rows_max: usize) -> Result<Readers> {
        let (jobs, queue) = mpsc::channel::<Job>(READS_QUEUED_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..READERS {
            let connection = connect(path)?;
            let read_only = connection.pragma_update(None, "query_only", true);
            read_only.map_err(|error| fault(&error))?;
            let queue = queue.clone();
            std::thread::Builder::new()
                .name("db-reader".into())
                .spawn(move || {
                    let stop = Arc::new(connection.get_interrupt_handle());
                    loop {
                        let Some(job) = lock(&queue).blocking_recv() else { return };
                        work(&connection, &stop, job, rows_max);
                    }
                })
                .map_err(|error| Error::Fatal(error.to_string()))?;
        }
        Ok(Readers(jobs))
    }

    pub(super) async fn query(
        &self,
        sql: Cow<'static, str>,
        params: Vec<Value>,
        within: Duration,
    ) -> Result<Vec<Row>> {
        let (reply, answer) = oneshot::channel();
        let running = Running::default();
        let job = Job { sql, params, reply, running: running.clone() };
        match timeout(within, self.0.send(job)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Error::Fatal("the threads that read have died".into())),
            Err(_) => return Err(Error::Retry("too many questions wait".into())),
        }
        match timeout(within, answer).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(_)) => Err(Error::Retry("a thread that reads has died".into())),
            Err(_) => {
                if let Some(stop) = &*lock(&running) {
                    stop.interrupt();
                }
                Err(Error::Retry(format!("no answer within {} s", within.as_secs())))
            }
        }
    }
}

fn work(connection: &Connection, stop: &Arc<InterruptHandle>, job: Job, rows_max: usize) {
    if job.reply.is_closed() {
        return; // nobody waits any more
    }
    *lock(&job.running) = Some(stop.clone());
    let rows = select(connection, &job.sql, &job.params, rows_max);
    *lock(&job.running) = None;
    let _ = job.reply.send(rows); // whoever asked may have gone
}

/// Runs one query to its end.
pub(super) fn select(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    rows_max: usize,
) -> Result<Vec<Row>> {
    let fault = |error: rusqlite::Error| match fault(&error) {
        Error::Fatal(why) => Error::Fatal(format!("{why} in: {sql}")),
        other => other,
    };
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let names: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    let mut cursor = statement.query(params_from_iter(params)).map_err(fault)?;
    let mut rows = Vec::new();
    while let Some(row) = cursor.next().map_err(fault)? {
        if rows.len() >= rows_max {
            return Err(Error::Fatal(format!("more than {rows_max} rows for: {sql}")));
        }
        let values = (0..names.len()).map(|at| match row.get_ref(at) {
            Ok(ValueRef::Null) => Ok(Value::Null),
            Ok(ValueRef::Integer(value)) => Ok(Value::Int(value)),
            Ok(ValueRef::Text(text)) => String::from_utf8(text.to_vec())
                .map(Value::Text)
                .map_err(|_| Error::Fatal(format!("column {} is not UTF-8", names[at]))),
            Ok(ValueRef::Blob(bytes)) => Ok(Value::Bytes(bytes.to_vec())),
            Ok(ValueRef::Real(_)) => {
                Err(Error::Fatal(format!("column {} is a fraction: not in our SQL", names[at])))
            }
            Err(error) => Err(fault(error)),
        });
        let values = values.collect::<Result<Vec<Value>>>()?;
        rows.push(Row::new(names.clone(), values));
    }
    Ok(rows)
}
