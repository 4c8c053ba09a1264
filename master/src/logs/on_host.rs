//! Output that stays on its host: read from there, over a few connections of its own.
//!
//! Not over the leader's: any master shows logs, and reading takes nothing over.

use super::{Error, PART_MAX, Result, Seek};
use crate::db::Db;
use crate::leader::dial::{Caller, Peer};
use crate::store::whereabouts::{self, Place};
use shared::clock::Clock;
use shared::ids::{AttemptId, HostId, Millis};
use shared::rpc::{ExecutorClient, within};
use shared::wire::{LogPart, LogQuery, Mark, Stream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tarpc::client::RpcError;

/// Connections kept open for the next question; above that the longest idle one goes.
const KEPT_MAX: usize = 32;
/// Kept so long without a question. The host closes what is silent for a minute.
const IDLE_MS: Millis = 30_000;
/// Bytes in which lines are counted for one question.
const COUNTED_MAX: u64 = 64 * 1024 * 1024;
const CALL_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct OnHost(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    caller: Caller,
    clock: Clock,
    kept: Mutex<HashMap<HostId, Kept>>,
}

struct Kept {
    address: String,
    client: ExecutorClient,
    peer: Peer,
    used: Millis,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl OnHost {
    pub fn new(db: Db, caller: Caller, clock: Clock) -> OnHost {
        OnHost(Arc::new(Inner { db, caller, clock, kept: Mutex::default() }))
    }

    pub(super) async fn read(&self, query: LogQuery) -> Result<LogPart> {
        let place = self.find(query.attempt).await?;
        self.ask(&place, query).await
    }

    pub(super) async fn find(&self, attempt: AttemptId) -> Result<Place> {
        whereabouts::of_attempt(&self.0.db, attempt).await?.ok_or(Error::NoAttempt)
    }

    pub(super) async fn ask(&self, place: &Place, query: LogQuery) -> Result<LogPart> {
        let away = |why: String| Error::Away { host: place.name.clone(), why };
        // A kept connection may have died meanwhile: then once more over a new one.
        let mut fresh = false;
        loop {
            let client = match self.kept(place.host, &place.address) {
                Some((client, peer)) if !fresh => {
                    if let Err(denied) = self.0.caller.believes(&peer).await {
                        self.forget(place.host);
                        return Err(away(format!("{denied:#}")));
                    }
                    client
                }
                _ => {
                    fresh = true;
                    self.connect(place.host, &place.address).await.map_err(away)?
                }
            };
            match client.read_log(within(CALL_MAX), query).await {
                Ok(Ok(Some(part))) => return Ok(part),
                Ok(Ok(None)) => return Err(Error::NoOutput { host: place.name.clone() }),
                Ok(Err(refused)) => return Err(away(refused.to_string())),
                Err(error) => {
                    self.forget(place.host);
                    if fresh || matches!(error, RpcError::DeadlineExceeded) {
                        return Err(away(error.to_string()));
                    }
                    fresh = true;
                }
            }
        }
    }

    /// Without an index: a time by halves, a line by counting, as far as one request may.
    pub(super) async fn seek(
        &self,
        attempt: AttemptId,
        stream: Stream,
        wanted: Seek,
    ) -> Result<Option<u64>> {
        let place = self.find(attempt).await?;
        let part =
            async |from, max| self.ask(&place, LogQuery { attempt, stream, from, max }).await;
        match wanted {
            Seek::Time(at) => {
                let length = |mark: &Mark| match stream {
                    Stream::Out => mark.out_len,
                    Stream::Err => mark.err_len,
                };
                let (mut low, mut high) = (0, part(u64::MAX, 1).await?.len);
                let len = high;
                while low < high {
                    let middle = low + (high - low) / 2;
                    let found = part(middle, 1).await?;
                    let mark = found.marks.first();
                    match mark.is_none_or(|mark| mark.at_ms >= at) {
                        true => high = middle,
                        false => low = mark.map_or(middle, length).max(middle + 1),
                    }
                }
                Ok((low < len).then_some(low))
            }
            Seek::Line(0) => Ok(Some(0)),
            Seek::Line(line) => {
                let (mut seen, mut from) = (0, 0);
                while from < COUNTED_MAX {
                    let found = part(from, PART_MAX).await?;
                    let ends = found.bytes.iter().enumerate().filter(|(_, b)| **b == b'\n');
                    let nth = usize::try_from(line - seen - 1).unwrap_or(usize::MAX);
                    if let Some((at, _)) = ends.clone().nth(nth) {
                        return Ok(Some(found.from + at as u64 + 1));
                    }
                    seen += ends.count() as u64;
                    from = found.from + found.bytes.len() as u64;
                    if found.bytes.is_empty() || from >= found.len {
                        return Ok(None);
                    }
                }
                Ok(None)
            }
        }
    }

    fn kept(&self, host: HostId, address: &str) -> Option<(ExecutorClient, Peer)> {
        let now = self.0.clock.mono_ms();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| now - kept.used < IDLE_MS);
        let found = kept.get_mut(&host).filter(|kept| kept.address == address)?;
        found.used = now;
        Some((found.client.clone(), found.peer.clone()))
    }

    async fn connect(
        &self,
        host: HostId,
        address: &str,
    ) -> std::result::Result<ExecutorClient, String> {
        let connected = self.0.caller.connect(address).await;
        let (peer, client) = connected.map_err(|error| format!("{error:#}"))?;
        let used = self.0.clock.mono_ms();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX
            && let Some((&oldest, _)) = kept.iter().min_by_key(|(_, kept)| kept.used)
        {
            kept.remove(&oldest);
        }
        let address = address.to_owned();
        kept.insert(host, Kept { address, client: client.clone(), peer, used });
        Ok(client)
    }

    fn forget(&self, host: HostId) {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
    }
}
