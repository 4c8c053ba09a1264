//! Row counts of what has just ended, from the end of its output into the database: beside the guarded
//! batches, for nothing is decided by them.
//!
//! Best effort: what is missed (this master dies, the host is cut off) a page reads from the log itself.

use crate::db::Db;
use crate::engine::{World, params};
use crate::logs::{Logs, PART_MAX};
use crate::store;
use anyhow::Context;
use shared::etl::counts::Counts;
use shared::ids::AttemptId;
use shared::kind;
use shared::tasks;
use shared::wire::{Report, State, Stream};
use std::time::Duration;
use tokio::sync::mpsc;

/// Attempts that wait to be read; more are left to the pages.
const WAITING_MAX: usize = 1_000;
/// A host may be cut off just now.
const TRIES: u32 = 5;
const AGAIN: Duration = Duration::from_secs(2);

/// Where the counts of an attempt go; it ends with its owner.
#[derive(Debug)]
pub(super) struct Counter(mpsc::Sender<AttemptId>);

impl Counter {
    pub(super) fn start(db: Db, logs: Logs) -> Counter {
        let (waits, mut ended) = mpsc::channel(WAITING_MAX);
        tasks::spawn("row counts", async move {
            while let Some(attempt) = ended.recv().await {
                keep(&db, &logs, attempt).await;
            }
        });
        Counter(waits)
    }

    /// What a host has told, before the world hears it: then the run is still there.
    pub(super) fn heard(&self, world: &World, listed: &[Report]) {
        for report in listed.iter().filter(|report| matches!(report.state, State::Ended(_))) {
            if counts_rows(world, report.attempt) && self.0.try_send(report.attempt).is_err() {
                tracing::debug!(attempt = %report.attempt, "its row counts are left to who looks");
            }
        }
    }
}

fn counts_rows(world: &World, attempt: AttemptId) -> bool {
    let job = world.run(attempt.run).and_then(|run| {
        let interface = params::definition(world.catalog(), run)?;
        let at = interface.jobs.binary_search_by_key(&attempt.job, |job| job.id).ok()?;
        interface.jobs.get(at)
    });
    job.and_then(|job| kind::find(&job.spec.kind)).is_some_and(kind::Kind::counts_rows)
}

async fn keep(db: &Db, logs: &Logs, attempt: AttemptId) {
    for _ in 0..TRIES {
        match read(logs, attempt).await {
            Ok(counts) if counts.is_empty() => return,
            Ok(counts) => match db.commit([store::counts::put(attempt, &counts)]).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%attempt, "its row counts: {error}"),
            },
            Err(error) => tracing::debug!(%attempt, "its row counts: {error:#}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
    tracing::warn!(%attempt, "its row counts could not be kept: its page reads them from the log");
}

/// What the end of its output tells; nothing is no error.
///
/// # Errors
/// The output is not to be had now.
pub(crate) async fn read(logs: &Logs, attempt: AttemptId) -> anyhow::Result<Counts> {
    let tail = logs.tail(attempt, Stream::Err, PART_MAX).await.context("the end of its output")?;
    Ok(Counts::find(&String::from_utf8_lossy(&tail.bytes)).unwrap_or_default())
}
