//! The store of logs: chunks in MongoDB, as the agents of hosts have written them.
//!
//! A place, a line and a time are found by an index each. Chunks of one stream follow each other; where
//! they overlap they hold the same bytes, and what is missing between two counts as cut out.

use super::Seek;
use futures::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use mongodb::error::Error;
use serde::Deserialize;
use shared::address::Target;
use shared::chunk::{Chunk, ChunkId, collection, signed};
use shared::ids::{AttemptId, Millis, RunId};
use shared::mongo::{Away, Manner, Mongo};
use shared::wire::{LogPart, LogQuery, Stream};
use std::collections::BTreeSet;
use std::time::Duration;

/// A page waits for it; several pages ask at a time.
const MANNER: Manner = Manner { deadline: Duration::from_secs(5), pool_max: 8 };
/// Chunks read for one part.
const CHUNKS_MAX: i64 = 100;
/// Chunks looked at in one step, for their age.
const AGED_MAX: i64 = 1_000;
/// Runs whose chunks are deleted by one question.
const RUNS_MAX: usize = 100;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    server: Mongo,
    chunks: Collection<Chunk>,
}

/// Where a stream ends, so far.
#[derive(Debug, Deserialize)]
struct Edge {
    until: i64,
    #[serde(default)]
    end: Option<(i64, i64)>,
}

impl Archive {
    /// Asks nobody yet, but whether one that needs a certificate is who it should be.
    ///
    /// # Errors
    /// The address cannot be one, or another one answers there.
    pub async fn open(target: Target, cluster: &str) -> anyhow::Result<Archive> {
        let server = Mongo::open_met(target, cluster, MANNER).await?;
        let chunks = server.collection(&collection(cluster));
        Ok(Archive { server, chunks })
    }

    /// None: it has nothing of this attempt.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(super) async fn part(&self, query: LogQuery) -> Result<Option<LogPart>, Away> {
        self.server.in_time(self.read(query)).await
    }

    async fn read(&self, query: LogQuery) -> Result<Option<LogPart>, Error> {
        let LogQuery { attempt, stream, from, max } = query;
        let edge = |stream| self.edge(attempt, stream);
        let (out, err) = futures::try_join!(edge(Stream::Out), edge(Stream::Err))?;
        let end = out.as_ref().and_then(|edge| edge.end);
        if out.is_none() && err.is_none() {
            return Ok(None);
        }
        let own = if stream == Stream::Out { out } else { err };
        let len = own.map_or(0, |edge| edge.until.max(0).cast_unsigned());
        let mut walk = Walk::new(from, max as usize);
        while walk.wants(len) {
            let begun = walk.at;
            let first = self.last(attempt, stream, walk.at).await?;
            let rest = self.after(attempt, stream, (walk.at, walk.at.saturating_add(max.into())));
            let rest = rest.await?;
            first.into_iter().chain(rest).all(|chunk| walk.take(&chunk));
            if walk.at == begun {
                // Nothing begins near: what is missing there counts as cut out.
                let Some(next) = self.next(attempt, stream, begun).await? else { break };
                walk.skip(next.from());
            }
        }
        Ok(Some(walk.part(len, end.is_some())))
    }

    async fn edge(&self, attempt: AttemptId, stream: Stream) -> Result<Option<Edge>, Error> {
        let range = between(attempt, stream, (0, u64::MAX))?;
        let edges = self.chunks.clone_with_type::<Edge>();
        let asked = edges.find_one(range).sort(doc! { "_id": -1 });
        asked.projection(doc! { "_id": 0, "until": 1, "end": 1 }).await
    }

    /// The last chunk that begins at or before this place.
    async fn last(
        &self,
        attempt: AttemptId,
        stream: Stream,
        at: u64,
    ) -> Result<Option<Chunk>, Error> {
        let range = between(attempt, stream, (0, at))?;
        self.chunks.find_one(range).sort(doc! { "_id": -1 }).await
    }

    /// Those that begin behind the first place and before the second one.
    async fn after(
        &self,
        attempt: AttemptId,
        stream: Stream,
        (from, until): (u64, u64),
    ) -> Result<Vec<Chunk>, Error> {
        let range = between(attempt, stream, (from.saturating_add(1), until.saturating_sub(1)))?;
        let found = self.chunks.find(range).sort(doc! { "_id": 1 }).limit(CHUNKS_MAX).await?;
        found.try_collect().await
    }

    async fn next(
        &self,
        attempt: AttemptId,
        stream: Stream,
        at: u64,
    ) -> Result<Option<Chunk>, Error> {
        let range = between(attempt, stream, (at.saturating_add(1), u64::MAX))?;
        self.chunks.find_one(range).sort(doc! { "_id": 1 }).await
    }

    /// Where something is, by an index; none: it is behind what is stored.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(super) async fn seek(
        &self,
        attempt: AttemptId,
        stream: Stream,
        wanted: Seek,
    ) -> Result<Option<u64>, Away> {
        let mut range = doc! {};
        let id = ChunkId::new(attempt, stream, 0);
        let keys = [("run", id.run), ("job", id.job), ("number", id.number), ("reign", id.reign)];
        for (name, value) in keys {
            range.insert(format!("_id.{name}"), value);
        }
        range.insert("_id.stream", id.stream);
        let asked = async {
            match wanted {
                Seek::Time(at) => {
                    range.insert("last_ms", doc! { "$gte": at });
                    let by = doc! { "last_ms": 1, "_id.from": 1 };
                    let found = self.chunks.find_one(range).sort(by).await?;
                    Ok(found.map(|chunk| place_of_time(&chunk, at)))
                }
                Seek::Line(0) => Ok(Some(0)),
                Seek::Line(line) => {
                    let line = signed(line);
                    range.insert("line", doc! { "$lt": line });
                    let by = doc! { "line": -1, "_id.from": -1 };
                    let found = self.chunks.find_one(range).sort(by).await?;
                    Ok(found.and_then(|chunk| place_of_line(&chunk, line)))
                }
            }
        };
        self.server.in_time(asked).await
    }

    /// Runs of which it has chunks whose last byte was written before this date; of at most 1,000
    /// chunks. None: there are no more.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(super) async fn stale(
        &self,
        from: Option<Swept>,
        before: Millis,
    ) -> Result<Option<(BTreeSet<RunId>, Swept)>, Away> {
        let mut filter = doc! { "last_ms": { "$lt": before } };
        if let Some(Swept { last_ms, id }) = from {
            let id = serialize_to_bson(&id).unwrap_or(Bson::Null);
            // The first one is for the index alone.
            filter.insert("last_ms", doc! { "$gte": last_ms, "$lt": before });
            let later = doc! { "last_ms": { "$gt": last_ms } };
            filter.insert("$or", [later, doc! { "last_ms": last_ms, "_id": { "$gt": id } }]);
        }
        let asked = async {
            let aged = self.chunks.clone_with_type::<Aged>();
            let found = aged.find(filter).projection(doc! { "last_ms": 1 });
            let found = found.sort(doc! { "last_ms": 1, "_id": 1 }).limit(AGED_MAX).await?;
            found.try_collect::<Vec<_>>().await
        };
        let found = self.server.in_time(asked).await?;
        let Some(&Aged { id, last_ms }) = found.last() else { return Ok(None) };
        let runs = found.iter().map(|aged| RunId(aged.id.run)).collect();
        Ok(Some((runs, Swept { last_ms, id })))
    }

    /// Deletes all that it has of these runs.
    ///
    /// # Errors
    /// It cannot be asked; what is deleted is deleted.
    pub(super) async fn forget(&self, runs: &[RunId]) -> Result<u64, Away> {
        let mut count = 0;
        for some in runs.chunks(RUNS_MAX) {
            let ranges = some.iter().map(|run| {
                let next = run.0.saturating_add(1);
                doc! { "_id": { "$gte": { "run": run.0 }, "$lt": { "run": next } } }
            });
            let ranges: Vec<Document> = ranges.collect();
            let asked = async { self.chunks.delete_many(doc! { "$or": ranges }).await };
            count += self.server.in_time(asked).await?.deleted_count;
        }
        Ok(count)
    }
}

/// Where [`Archive::stale`] goes on: behind this chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    last_ms: Millis,
    id: ChunkId,
}

/// What is read of a chunk to know its age.
#[derive(Debug, Deserialize)]
struct Aged {
    #[serde(rename = "_id")]
    id: ChunkId,
    last_ms: Millis,
}

/// Chunks of a stream that begin in this range, both ends included.
fn between(
    attempt: AttemptId,
    stream: Stream,
    (from, until): (u64, u64),
) -> Result<Document, Error> {
    let id = |at| serialize_to_bson(&ChunkId::new(attempt, stream, at));
    let (low, high): (Bson, Bson) = (id(from)?, id(until)?);
    Ok(doc! { "_id": { "$gte": low, "$lte": high } })
}

/// Where the first byte lies that was written at that time or later.
fn place_of_time(chunk: &Chunk, at: i64) -> u64 {
    let length = |mark: &shared::wire::Mark| mark.out_len.max(mark.err_len);
    let marks = chunk.marks();
    let before = marks.iter().take_while(|mark| mark.at_ms < at).last();
    before.map_or(chunk.from(), |mark| length(mark).clamp(chunk.from(), chunk.until()))
}

/// Where a line begins that ends of lines in this chunk lead to.
fn place_of_line(chunk: &Chunk, line: i64) -> Option<u64> {
    let nth = usize::try_from(line - chunk.line - 1).ok()?;
    let ends = chunk.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let at = ends.map(|(at, _)| at as u64 + 1).nth(nth)?;
    let place = chunk.from() + at;
    Some(match chunk.cut {
        // The bytes behind what was cut out lie further on.
        Some((from, until)) if place > from.cast_unsigned() => {
            place + (until - from).cast_unsigned()
        }
        _ => place,
    })
}

/// A way through chunks, forward, until there are enough bytes or a hole.
struct Walk {
    /// The next byte.
    at: u64,
    begin: u64,
    max: usize,
    part: LogPart,
    done: bool,
}

impl Walk {
    fn new(from: u64, max: usize) -> Walk {
        Walk { at: from, begin: from, max, part: LogPart::default(), done: false }
    }

    fn wants(&self, len: u64) -> bool {
        !self.done && self.at < len && self.part.bytes.len() < self.max
    }

    /// Whether to go on with the next one.
    fn take(&mut self, chunk: &Chunk) -> bool {
        if self.at < chunk.from() {
            self.skip(chunk.from());
            if self.done {
                return false;
            }
        }
        let cut = chunk.cut.map_or((chunk.until(), chunk.until()), |(from, until)| {
            (from.max(0).cast_unsigned(), until.max(0).cast_unsigned())
        });
        if self.at < cut.0 {
            self.copy(chunk, (self.at - chunk.from(), cut.0 - chunk.from()));
        }
        if cut.0 <= self.at && self.at < cut.1 {
            self.skip(cut.1);
        }
        if cut.1 <= self.at && self.at < chunk.until() {
            let missing = cut.1 - cut.0;
            let range = (self.at - missing - chunk.from(), chunk.until() - missing - chunk.from());
            self.copy(chunk, range);
        }
        !self.done
    }

    /// Nothing is there until that place; what comes behind is of the next part.
    fn skip(&mut self, until: u64) {
        if self.done {
            return;
        }
        let hole = match self.part.hole {
            Some((from, end)) if end == self.at => (from, until),
            _ => (self.at, until),
        };
        self.part.hole = Some(hole);
        match self.part.bytes.is_empty() {
            true => (self.at, self.begin) = (until, until),
            false => self.done = true,
        }
    }

    fn copy(&mut self, chunk: &Chunk, (from, until): (u64, u64)) {
        if self.done {
            return;
        }
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let there = chunk.bytes.get(place(from)..place(until)).unwrap_or_default();
        let room = self.max - self.part.bytes.len();
        let some = &there[..there.len().min(room)];
        self.part.bytes.extend_from_slice(some);
        if self.at == self.begin || !some.is_empty() {
            self.part.marks.extend(chunk.marks());
        }
        self.at += some.len() as u64;
        // Fewer bytes than it says: a chunk that is not ours.
        self.done = self.part.bytes.len() >= self.max || some.is_empty();
    }

    fn part(mut self, len: u64, ended: bool) -> LogPart {
        (self.part.from, self.part.len, self.part.ended) = (self.begin, len, ended);
        self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chunk::pack;
    use shared::ids::JobId;

    fn chunk(from: u64, bytes: &[u8], cut: Option<(i64, i64)>) -> Chunk {
        let attempt = AttemptId { run: RunId(1), job: JobId(1), number: 1, reign: 1 };
        let missing = cut.map_or(0, |(from, until)| until - from);
        let until = signed(from + bytes.len() as u64) + missing;
        Chunk {
            id: ChunkId::new(attempt, Stream::Out, from),
            until,
            bytes: bytes.to_vec(),
            cut,
            first_ms: 100,
            last_ms: 200,
            line: 0,
            lines: bytes.iter().filter(|byte| **byte == b'\n').count() as i64,
            marks: pack(&[(100, from + 2), (200, until.cast_unsigned())]),
            end: None,
            host: "h".into(),
        }
    }

    fn walk(from: u64, max: usize, chunks: &[Chunk]) -> (u64, String, Option<(u64, u64)>) {
        let mut walk = Walk::new(from, max);
        chunks.iter().all(|chunk| walk.take(chunk));
        let part = walk.part(99, false);
        (part.from, String::from_utf8(part.bytes).unwrap(), part.hole)
    }

    #[test]
    fn chunks_are_joined_also_where_they_overlap() {
        let chunks = [chunk(0, b"abcdef", None), chunk(4, b"efgh", None), chunk(8, b"ij", None)];
        assert_eq!(walk(0, 99, &chunks), (0, "abcdefghij".into(), None));
        assert_eq!(walk(2, 3, &chunks), (2, "cde".into(), None));
        assert_eq!(walk(7, 99, &chunks[1..]), (7, "hij".into(), None));
    }

    #[test]
    fn what_was_cut_out_ends_a_part_and_is_stepped_over_by_the_next() {
        let chunks =
            [chunk(0, b"abcd", Some((2, 6))), chunk(8, b"", Some((8, 20))), chunk(20, b"yz", None)];
        assert_eq!(walk(0, 99, &chunks), (0, "ab".into(), Some((2, 6))));
        assert_eq!(walk(2, 99, &chunks), (6, "cd".into(), Some((8, 20))));
        assert_eq!(walk(8, 99, &chunks[1..]), (20, "yz".into(), Some((8, 20))));
        let two = [chunk(0, b"", Some((0, 5))), chunk(5, b"x", Some((5, 9)))];
        assert_eq!(walk(1, 99, &two), (9, "x".into(), Some((1, 9))));
        // Between two that do not meet something is missing.
        let gap = [chunk(0, b"ab", None), chunk(5, b"f", None)];
        assert_eq!(walk(0, 99, &gap), (0, "ab".into(), Some((2, 5))));
        assert_eq!(walk(3, 99, &gap[1..]), (5, "f".into(), Some((3, 5))));
    }

    #[test]
    fn a_time_and_a_line_are_found_in_their_chunk() {
        let one = chunk(10, b"a\nb\nc\n", None);
        assert_eq!((place_of_time(&one, 100), place_of_time(&one, 101)), (10, 12));
        assert_eq!((place_of_line(&one, 1), place_of_line(&one, 3)), (Some(12), Some(16)));
        assert_eq!(place_of_line(&one, 4), None);
        let cut = chunk(10, b"a\nb\n", Some((12, 50)));
        assert_eq!((place_of_line(&cut, 1), place_of_line(&cut, 2)), (Some(12), Some(52)));
    }
}
