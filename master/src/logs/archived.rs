//! Output that is shipped: the live tail from the host, what has ended from the store, and each for the
//! other where one of them is away.

use super::archive::Archive;
use super::on_host::OnHost;
use super::{Error, Result, Seek};
use crate::db::Db;
use crate::store::upkeep;
use crate::store::whereabouts::Place;
use shared::clock::Clock;
use shared::ids::{AttemptId, HostId, Millis, RunId};
use shared::mongo::Away;
use shared::wire::{LogPart, LogQuery, Stream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the store can answer, a host that did not is not waited for again for so long.
const AWAY_MS: Millis = 10_000;
/// Hosts that are remembered for it.
const AWAY_MAX: usize = 1_000;

#[derive(Clone, Debug)]
pub struct Archived {
    hosts: OnHost,
    archive: Archive,
    clock: Clock,
    away: Arc<Mutex<HashMap<HostId, Millis>>>,
}

impl Archived {
    pub fn new(hosts: OnHost, archive: Archive, clock: Clock) -> Archived {
        Archived { hosts, archive, clock, away: Arc::default() }
    }

    pub(super) async fn read(&self, query: LogQuery) -> Result<LogPart> {
        let place = self.hosts.find(query.attempt).await?;
        let live = match place.ended || self.is_away(place.host) {
            true => None,
            false => match self.ask(&place, query).await {
                Ok(part) => return Ok(part),
                Err(error) => Some(error),
            },
        };
        let stored = match self.archive.part(query).await {
            // What it has is right. At its end more may be on the host, if that can be asked.
            Ok(Some(part)) if part.ended || !part.bytes.is_empty() || self.is_away(place.host) => {
                return Ok(part);
            }
            other => other,
        };
        let error = match live {
            Some(error) => error,
            None => match self.ask(&place, query).await {
                Ok(part) => return Ok(part),
                Err(error) => error,
            },
        };
        match stored {
            Ok(Some(part)) => Ok(part),
            Ok(None) => Err(error),
            Err(away) => Err(both(error, &away)),
        }
    }

    /// In the store by its indexes; what it does not have yet, on the host.
    pub(super) async fn seek(
        &self,
        attempt: AttemptId,
        stream: Stream,
        wanted: Seek,
    ) -> Result<Option<u64>> {
        match self.archive.seek(attempt, stream, wanted).await {
            Ok(Some(place)) => Ok(Some(place)),
            Ok(None) => {
                let place = self.hosts.find(attempt).await?;
                if self.is_away(place.host) {
                    return Ok(None);
                }
                // Who has nothing more, or cannot be asked, has nothing that is nearer.
                match self.hosts.seek(attempt, stream, wanted).await {
                    Err(Error::Away { .. } | Error::NoOutput { .. }) => Ok(None),
                    other => other,
                }
            }
            Err(away) => {
                self.hosts.seek(attempt, stream, wanted).await.map_err(|error| both(error, &away))
            }
        }
    }

    pub(super) async fn forget(&self, runs: &[RunId]) -> std::result::Result<u64, Away> {
        self.archive.forget(runs).await
    }

    /// See [`Logs::forget_orphans`](super::Logs::forget_orphans).
    pub(super) async fn forget_orphans(&self, db: &Db, before: Millis) -> anyhow::Result<u64> {
        let (mut swept, mut count) = (None, 0);
        while let Some((runs, next)) = self.archive.stale(swept, before).await? {
            let runs: Vec<RunId> = runs.into_iter().collect();
            let known = upkeep::with_details(db, &runs).await?;
            let orphans: Vec<_> = runs.into_iter().filter(|run| !known.contains(run)).collect();
            count += self.archive.forget(&orphans).await?;
            swept = Some(next);
        }
        Ok(count)
    }

    fn is_away(&self, host: HostId) -> bool {
        let now = self.clock.mono_ms();
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.retain(|_, until| now < *until);
        away.contains_key(&host)
    }

    async fn ask(&self, place: &Place, query: LogQuery) -> Result<LogPart> {
        let answer = self.hosts.ask(place, query).await;
        if matches!(answer, Err(Error::Away { .. })) {
            let until = self.clock.mono_ms() + AWAY_MS;
            let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
            if away.len() < AWAY_MAX {
                away.insert(place.host, until);
            }
        }
        answer
    }
}

fn both(error: Error, store: &Away) -> Error {
    match error {
        Error::Away { host, why } => {
            Error::Away { host, why: format!("{why}; nor can the store of logs be asked: {store}") }
        }
        Error::NoOutput { host } => Error::StoreAway { host, why: store.to_string() },
        other => other,
    }
}
