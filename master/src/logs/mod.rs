//! Port: where the output of attempts is read (rules G1 to G3).
//!
//! Embedded, it stays on the host and is read from there; with a store (`logs.url`) it is shipped, and
//! read from both. `tests/contract` holds what each must do. Bytes are as they are: offsets are those
//! of the file, also where a quota has cut a hole. Called by pages and API, and by the housekeeping.

pub mod archive;
pub mod archived;
pub mod on_host;

use crate::db::Db;
use shared::ids::{AttemptId, Millis, RunId};
use shared::mongo;
use shared::wire::{LogPart, LogQuery, Stream};

/// Bytes of one answer, at most: an adapter may give fewer, never more than were asked for.
pub const PART_MAX: u32 = 128 * 1024;

/// Where output is.
#[derive(Clone, Debug)]
pub enum Logs {
    OnHost(on_host::OnHost),
    Archived(archived::Archived),
}

/// What somebody looks for in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The first line that was written then or later: the host's clock.
    Time(Millis),
    /// The line that has so many before it. What was cut out has none.
    Line(u64),
}

/// Why there is nothing to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no such attempt")]
    NoAttempt,
    /// It never began, or its time has passed.
    #[error(
        "host {host:?} has no output of this attempt: it never began there, or it was removed with age"
    )]
    NoOutput { host: String },
    /// Now; it may well come back.
    #[error("its output is on host {host:?}, which cannot be reached now: {why}")]
    Away { host: String, why: String },
    /// It is no longer on its host, and whether it is stored nobody can say now.
    #[error(
        "host {host:?} has no output of this attempt, and the store of logs cannot be asked now: {why}"
    )]
    StoreAway { host: String, why: String },
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Logs {
    /// The part that begins at byte `from`. At or beyond the end it is empty and says how long the
    /// output is, and whether more may come.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read(
        &self,
        attempt: AttemptId,
        stream: Stream,
        from: u64,
        max: u32,
    ) -> Result<LogPart> {
        let query = LogQuery { attempt, stream, from, max: max.min(PART_MAX) };
        match self {
            Logs::OnHost(hosts) => hosts.read(query).await,
            Logs::Archived(both) => both.read(query).await,
        }
    }

    /// The last `max` bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tail(&self, attempt: AttemptId, stream: Stream, max: u32) -> Result<LogPart> {
        let max = max.min(PART_MAX);
        let end = self.read(attempt, stream, u64::MAX, 1).await?;
        self.read(attempt, stream, end.len.saturating_sub(u64::from(max)), max).await
    }
    /// Where that line begins; none: it is behind what is there, or too far to be looked for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn seek(
        &self,
        attempt: AttemptId,
        stream: Stream,
        wanted: Seek,
    ) -> Result<Option<u64>> {
        let found = match self {
            Logs::OnHost(hosts) => hosts.seek(attempt, stream, wanted).await?,
            Logs::Archived(both) => both.seek(attempt, stream, wanted).await?,
        };
        match (found, wanted) {
            (Some(place), Seek::Time(_)) if place > 0 => {
                self.line_at(attempt, stream, place).await.map(Some)
            }
            _ => Ok(found),
        }
    }

    /// The beginning of the first line at or behind a place; the place itself if that is far away.
    async fn line_at(&self, attempt: AttemptId, stream: Stream, place: u64) -> Result<u64> {
        let part = self.read(attempt, stream, place - 1, PART_MAX).await?;
        let end = part.bytes.iter().position(|byte| *byte == b'\n');
        Ok(end.map_or(place, |at| part.from + at as u64 + 1))
    }

    /// Their executions are forgotten: so is what a store has of them. How many chunks that was.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn forget(&self, runs: &[RunId]) -> std::result::Result<u64, mongo::Away> {
        match self {
            Logs::OnHost(_) => Ok(0),
            Logs::Archived(both) => both.forget(runs).await,
        }
    }

    /// What came after its run was forgotten, from a host that had been away for all that time: chunks
    /// written before this date of runs of which no job is known any more. As long as a job of a run is
    /// known nothing of it goes, however old; and a run that has lost its jobs gets none again. How many
    /// chunks that was.
    ///
    /// # Errors
    /// The store cannot be asked, or the database.
    pub async fn forget_orphans(&self, db: &Db, before: Millis) -> anyhow::Result<u64> {
        match self {
            Logs::OnHost(_) => Ok(0),
            Logs::Archived(both) => both.forget_orphans(db, before).await,
        }
    }
}
