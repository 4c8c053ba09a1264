//! The thread that writes: whatever waits at one moment shares one transaction and one fsync, each
//! batch in a savepoint of its own, so that a conflict of one is nobody else's.

use super::bulk::write_all;
use super::reader::select;
use super::{Job, fault};
use crate::db::error::{Error, Result};
use crate::db::migrate::{self, Step};
use crate::db::{Batch, Write};
use rusqlite::{Connection, params};
use shared::clock::Clock;
use tokio::sync::{mpsc, oneshot};

/// Batches in one transaction.
const GROUP_MAX: usize = 256;
/// Rows after which a transaction takes no further batch.
const GROUP_ROWS_MAX: usize = 20_000;

type Reply = oneshot::Sender<Result<()>>;

pub(super) struct Writer {
    connection: Connection,
    clock: Clock,
    rows_max: usize,
}

impl Writer {
    pub(super) fn new(connection: Connection, clock: Clock, rows_max: usize) -> Writer {
        Writer { connection, clock, rows_max }
    }

    /// Until nobody is left who could ask.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut next = Some(first);
            let mut group = Vec::new();
            let mut rows = 0;
            while let Some(job) = next.take() {
                match job {
                    Job::Commit(batch, reply) => {
                        rows += batch.iter().map(weight).sum::<usize>();
                        group.push((batch, reply));
                        if group.len() < GROUP_MAX && rows < GROUP_ROWS_MAX {
                            next = jobs.try_recv().ok();
                        }
                    }
                    other => {
                        self.commit(std::mem::take(&mut group));
                        self.other(other);
                    }
                }
            }
            self.commit(group);
        }
    }

    fn other(&mut self, job: Job) {
        match job {
            Job::Query(sql, params, reply) => {
                let _ = reply.send(select(&self.connection, &sql, &params, self.rows_max));
            }
            Job::Migrate(steps, reply) => {
                let _ = reply.send(self.migrate(steps));
            }
            Job::Upkeep(reply) => {
                // Passive: it waits for no reader.
                let done = self.execute("PRAGMA optimize");
                let back =
                    self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                let _ = reply.send(done.and(back.map_err(|error| fault(&error))));
            }
            Job::Commit(batch, reply) => self.commit(vec![(batch, reply)]),
        }
    }

    /// Answers go to whoever still waits: a batch whose maker has gone is written all the same.
    fn commit(&mut self, group: Vec<(Batch, Reply)>) {
        if group.is_empty() {
            return;
        }
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            return answer(group.into_iter().map(|(_, reply)| reply), &Err(error));
        }
        let mut written = Vec::new();
        let mut group = group.into_iter();
        while let Some((batch, reply)) = group.next() {
            match self.write(&batch) {
                Ok(()) => written.push(reply),
                Err(error) => {
                    // A full disk and the like end the whole transaction.
                    let ended = self.connection.is_autocommit();
                    let _ = reply.send(Err(error));
                    if ended {
                        let why = "another batch of the same transaction could not be written";
                        let others = written.into_iter().chain(group.map(|(_, reply)| reply));
                        return answer(others, &Err(Error::Retry(why.into())));
                    }
                }
            }
        }
        let end = if written.is_empty() { "ROLLBACK" } else { "COMMIT" };
        let outcome = self.execute(end);
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK"); // what cannot be ended fails the next BEGIN, aloud
        }
        answer(
            written.into_iter(),
            &outcome.map_err(|error| Error::UnknownOutcome(error.to_string())),
        );
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.execute("SAVEPOINT batch")?;
        match write_all(&self.connection, batch) {
            Ok(()) => self.execute("RELEASE batch"),
            Err(error) => {
                if !self.connection.is_autocommit() {
                    self.execute("ROLLBACK TO batch")?;
                    self.execute("RELEASE batch")?;
                }
                Err(error)
            }
        }
    }

    fn execute(&self, sql: &str) -> Result<()> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(|error| fault(&error))
    }

    /// In one exclusive transaction: a second process waits, and then finds nothing left to do.
    fn migrate(&mut self, steps: Vec<Step>) -> Result<u32> {
        self.execute("BEGIN EXCLUSIVE")?;
        let done = self.migrate_within(steps);
        let end = self.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        done.and_then(|count| end.map(|()| count))
    }

    fn migrate_within(&self, steps: Vec<Step>) -> Result<u32> {
        let to_fault = |error: rusqlite::Error| fault(&error);
        self.connection.execute_batch(migrate::TABLE).map_err(to_fault)?;
        let applied = select(&self.connection, migrate::APPLIED, &[], self.rows_max)?;
        let applied = migrate::applied(&applied)?;
        let mut count = 0;
        for step in migrate::missing(&applied, steps)? {
            for statement in step.statements() {
                self.connection.execute_batch(statement).map_err(|error| {
                    Error::Fatal(format!("step {} of the schema: {error}", step.name))
                })?;
            }
            let record = params![step.version, step.name, step.checksum(), self.clock.wall_ms()];
            self.connection.execute(migrate::RECORD, record).map_err(to_fault)?;
            count += 1;
        }
        Ok(count)
    }
}

fn weight(write: &Write) -> usize {
    match write {
        Write::Sql { .. } => 1,
        Write::Rows { rows, .. } | Write::Delete { rows, .. } | Write::Exist { rows, .. } => {
            rows.len()
        }
    }
}

fn answer(replies: impl Iterator<Item = Reply>, outcome: &Result<()>) {
    for reply in replies {
        let _ = reply.send(outcome.clone()); // its maker may have gone
    }
}
