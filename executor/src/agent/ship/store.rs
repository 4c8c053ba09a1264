//! The store's end of shipping: chunks go in, and what was there already is compared.

use crate::spool::plan::Cut;
use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{IndexOptions, ReadConcern};
use mongodb::{Collection, IndexModel};
use shared::address::Target;
use shared::chunk::{self, Chunk, ChunkId};
use shared::ids::AttemptId;
use shared::mongo::{Away, DUPLICATE_KEY, Manner, Mongo};
use shared::wire::Hello;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A batch of megabytes, written by a majority, on a slow link.
const MANNER: Manner = Manner { deadline: Duration::from_secs(10), pool_max: 2 };

/// To make the indexes of all that a store has; asked again it goes on where it is.
const INDEX_MAX: Duration = Duration::from_secs(600);
/// Between two tries.
const INDEX_AGAIN: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    server: Mongo,
    chunks: Collection<Chunk>,
    /// How this host is called there.
    pub(super) host: Arc<str>,
    /// A task sees to the indexes.
    indexed: Arc<AtomicBool>,
}

/// A chunk that the store has from an earlier life of this host, and that ends before ours: what is
/// missing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub attempt: AttemptId,
    pub cut: Cut,
}

impl Store {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// The address cannot be one; its authorities cannot be read.
    pub async fn open(target: Target, own: &Hello) -> anyhow::Result<Store> {
        let server = Mongo::open(target, &own.cluster, MANNER).await?;
        let chunks = server.collection(&chunk::collection(&own.cluster));
        Ok(Store { server, chunks, host: own.agent.as_str().into(), indexed: Arc::default() })
    }

    /// When this returns, a majority of the servers has them.
    ///
    /// # Errors
    /// Nobody can say so: insert them again.
    pub async fn insert(&self, chunks: &[Chunk]) -> Result<Vec<Missing>, Away> {
        self.index();
        let twice = self
            .server
            .in_time(async {
                match self.chunks.insert_many(chunks).ordered(false).await {
                    Ok(_) => Ok(Vec::new()),
                    Err(error) => duplicates(&error).ok_or(error),
                }
            })
            .await?;
        match twice.is_empty() {
            true => Ok(Vec::new()),
            false => self.compare(twice.iter().filter_map(|at| chunks.get(*at)).collect()).await,
        }
    }

    /// Normally they are what we have sent before.
    async fn compare(&self, ours: Vec<&Chunk>) -> Result<Vec<Missing>, Away> {
        let ids: Vec<_> = ours.iter().map(|chunk| id_of(&chunk.id)).collect();
        let found: Vec<Chunk> = self
            .server
            .in_time(async {
                // Only a majority's word counts; of what is there, the bytes are not asked for.
                let known = self.chunks.clone_with_type::<Known>();
                let asked = known
                    .find(doc! { "_id": { "$in": ids } })
                    .projection(doc! { "bytes": 0, "marks": 0 })
                    .read_concern(ReadConcern::majority());
                let mut cursor = asked.await?;
                let mut found = Vec::new();
                while cursor.advance().await? {
                    found.push(cursor.deserialize_current()?.into());
                }
                Ok(found)
            })
            .await?;
        let known: BTreeMap<ChunkId, Chunk> =
            found.into_iter().map(|chunk| (chunk.id, chunk)).collect();
        let mut missing = Vec::new();
        for chunk in ours {
            let Some(there) = known.get(&chunk.id) else {
                return Err(self
                    .server
                    .away("a chunk is there, but a majority does not have it yet"));
            };
            missing.extend(missing_of(chunk, there));
        }
        Ok(missing)
    }

    /// In a task of its own: of a store that has much already an index takes longer than a batch may,
    /// and shipping does not need it.
    fn index(&self) {
        if self.indexed.swap(true, Ordering::Relaxed) {
            return;
        }
        let (store, wanted) = (self.clone(), Arc::downgrade(&self.indexed));
        let Store { server, chunks, .. } = store;
        shared::tasks::spawn("indexes of the store of logs", async move {
            while wanted.strong_count() > 0 {
                match tokio::time::timeout(INDEX_MAX, make_indexes(&chunks)).await {
                    Ok(Ok(())) => return,
                    // The server is there and will not.
                    Ok(Err(error)) if matches!(*error.kind, ErrorKind::Command(_)) => {
                        let away = server.away(&error.to_string());
                        tracing::warn!("logs: times and lines will be found slowly: {away}");
                        return;
                    }
                    Ok(Err(error)) => tracing::debug!("logs: making the indexes: {error}"),
                    Err(_) => tracing::debug!("logs: making the indexes takes long"),
                }
                tokio::time::sleep(INDEX_AGAIN).await;
            }
        });
    }
}

/// So that a time and a line are found without reading what is before them.
async fn make_indexes(chunks: &Collection<Chunk>) -> Result<(), Error> {
    let by = |name: &str, keys: &[&str]| {
        let mut all = doc! {};
        for key in ["_id.run", "_id.job", "_id.number", "_id.reign", "_id.stream"] {
            all.insert(key, 1);
        }
        keys.iter().for_each(|key| _ = all.insert(*key, 1));
        let options = IndexOptions::builder().name(name.to_owned()).build();
        IndexModel::builder().keys(all).options(options).build()
    };
    // By this one the master finds what is so old that it may belong to nothing any more.
    let age = IndexModel::builder()
        .keys(doc! { "last_ms": 1, "_id": 1 })
        .options(IndexOptions::builder().name("age".to_owned()).build())
        .build();
    let models = [by("time", &["last_ms", "_id.from"]), by("line", &["line", "_id.from"]), age];
    chunks.create_indexes(models).await.map(|_| ())
}

/// Where nothing but duplicates is wrong: which ones.
fn duplicates(error: &Error) -> Option<Vec<usize>> {
    let ErrorKind::InsertMany(failure) = &*error.kind else { return None };
    if failure.write_concern_error.is_some() {
        return None;
    }
    let errors = failure.write_errors.as_ref()?;
    let all = errors.iter().all(|error| error.code == DUPLICATE_KEY);
    all.then(|| errors.iter().map(|error| error.index).collect())
}

fn id_of(id: &ChunkId) -> mongodb::bson::Document {
    let ChunkId { run, job, number, reign, stream, from } = *id;
    doc! { "run": run, "job": job, "number": number, "reign": reign, "stream": stream, "from": from }
}

/// A disk that had forgotten our notes made us cut anew, elsewhere: the rest is one more chunk.
fn missing_of(ours: &Chunk, there: &Chunk) -> Option<Missing> {
    let ends = ours.end.is_some() && there.end.is_none();
    if there.until >= ours.until && !ends {
        return None;
    }
    let (line, known) = (there.line + there.lines, ours.line + ours.lines);
    let cut = Cut {
        stream: ours.id.stream(),
        from: there.until(),
        until: ours.until().max(there.until()),
        line: line.max(0).cast_unsigned(),
        lines: (known - line).max(0).cast_unsigned(),
        end: ours.end.is_some(),
    };
    Some(Missing { attempt: ours.id.attempt(), cut })
}

/// A chunk without what takes room.
#[derive(Debug, serde::Deserialize)]
struct Known {
    #[serde(rename = "_id")]
    id: ChunkId,
    until: i64,
    line: i64,
    lines: i64,
    #[serde(default)]
    end: Option<(i64, i64)>,
}

impl From<Known> for Chunk {
    fn from(known: Known) -> Chunk {
        let Known { id, until, line, lines, end } = known;
        let (bytes, marks, host) = (Vec::new(), Vec::new(), String::new());
        Chunk {
            id,
            until,
            bytes,
            cut: None,
            first_ms: 0,
            last_ms: 0,
            line,
            lines,
            marks,
            end,
            host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::{JobId, RunId};
    use shared::wire::Stream;

    fn chunk(from: u64, until: i64, end: Option<(i64, i64)>) -> Chunk {
        let attempt = AttemptId { run: RunId(1), job: JobId(1), number: 1, reign: 1 };
        let id = ChunkId::new(attempt, Stream::Out, from);
        let (line, lines) = (id.from / 10, (until - id.from) / 10);
        Known { id, until, line, lines, end }.into_chunk()
    }

    impl Known {
        fn into_chunk(self) -> Chunk {
            self.into()
        }
    }

    #[test]
    fn what_an_earlier_life_stored_shorter_is_made_good() {
        let rest = |ours: &Chunk, there: &Chunk| {
            missing_of(ours, there).map(|missing| {
                let Cut { from, until, line, lines, end, .. } = missing.cut;
                (from, until, line, lines, end)
            })
        };
        let end = Some((200, 0));
        assert_eq!(rest(&chunk(0, 100, None), &chunk(0, 100, None)), None);
        assert_eq!(rest(&chunk(0, 100, None), &chunk(0, 150, None)), None);
        assert_eq!(rest(&chunk(0, 200, end), &chunk(0, 200, end)), None);
        assert_eq!(rest(&chunk(0, 200, None), &chunk(0, 50, None)), Some((50, 200, 5, 15, false)));
        assert_eq!(rest(&chunk(0, 200, end), &chunk(0, 200, None)), Some((200, 200, 20, 0, true)));
    }
}
