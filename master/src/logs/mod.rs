//! Port: where the output of attempts is read (rules G1 to G3).
//!
//! Embedded, it stays on the host and is read from there. A store of its own is the next adapter;
//! `tests/contract` holds what each must do. Bytes are as they are: offsets are those of the file,
//! also where a quota has cut a hole. Called by pages and API.

pub mod on_host;

use shared::ids::AttemptId;
use shared::wire::{LogPart, LogQuery, Stream};

/// Bytes of one answer, at most: an adapter may give fewer, never more than were asked for.
pub const PART_MAX: u32 = 128 * 1024;

/// Where output is.
#[derive(Clone, Debug)]
pub enum Logs {
    OnHost(on_host::OnHost),
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
}
