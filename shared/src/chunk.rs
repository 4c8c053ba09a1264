//! A chunk of a log as the store keeps it (rule G1): one document, written by the agent of a host and
//! read by masters.
//!
//! Its key is (attempt, stream, offset), so that it can be inserted again without harm; where it ends
//! was decided, and written down on the host, before it was sent for the first time. Chunks may
//! overlap after a host has lost its notes: then they hold the same bytes.

use crate::ids::{AttemptId, JobId, Millis, RunId};
use crate::wire::{Mark, Stream};
use serde::{Deserialize, Serialize};

/// Bytes in one chunk, at most.
pub const CHUNK_MAX: usize = 128 * 1024;
/// Marks in one chunk; where more would concern it, it is shorter.
pub const MARKS_MAX: usize = 1_000;

/// Clusters that share a server do not meet.
pub fn collection(cluster: &str) -> String {
    format!("log_{cluster}")
}

/// In the order in which chunks lie in the index: all of a run stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChunkId {
    pub run: i64,
    pub job: i64,
    pub number: i64,
    pub reign: i64,
    /// 0 is out, 1 is err.
    pub stream: i32,
    pub from: i64,
}

impl ChunkId {
    pub fn new(attempt: AttemptId, stream: Stream, from: u64) -> ChunkId {
        ChunkId {
            run: attempt.run.0,
            job: attempt.job.0,
            number: i64::from(attempt.number),
            reign: attempt.reign,
            stream: match stream {
                Stream::Out => 0,
                Stream::Err => 1,
            },
            from: signed(from),
        }
    }

    pub fn attempt(&self) -> AttemptId {
        AttemptId {
            run: RunId(self.run),
            job: JobId(self.job),
            number: u32::try_from(self.number).unwrap_or(u32::MAX),
            reign: self.reign,
        }
    }

    pub fn stream(&self) -> Stream {
        if self.stream == 0 { Stream::Out } else { Stream::Err }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    #[serde(rename = "_id")]
    pub id: ChunkId,
    /// The byte after its last one.
    pub until: i64,
    /// As they were written, without what is cut out.
    #[serde(with = "crate::wire::bytes")]
    pub bytes: Vec<u8>,
    /// What the quota has cut out of it: from, until.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<(i64, i64)>,
    /// When its first and its last byte were seen: the host's clock.
    pub first_ms: Millis,
    pub last_ms: Millis,
    /// Ends of lines in the stream before it, and in it. What was cut out has none.
    pub line: i64,
    pub lines: i64,
    /// Time and length of the stream at that time, eight bytes each.
    #[serde(with = "crate::wire::bytes")]
    pub marks: Vec<u8>,
    /// The attempt has ended, and this is the last chunk: lengths of out and err.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<(i64, i64)>,
    /// The agent that has written it.
    pub host: String,
}

impl Chunk {
    pub fn from(&self) -> u64 {
        self.id.from.max(0).cast_unsigned()
    }

    pub fn until(&self) -> u64 {
        self.until.max(0).cast_unsigned()
    }

    /// The marks of its bytes; the length of the other stream is not in them.
    pub fn marks(&self) -> Vec<Mark> {
        let number =
            |eight: &[u8]| eight.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
        let pairs = self.marks.chunks_exact(16);
        let mark = |pair: &[u8]| {
            let (at_ms, len) = (number(pair).cast_signed(), number(&pair[8..]));
            match self.id.stream() {
                Stream::Out => Mark { at_ms, out_len: len, err_len: 0 },
                Stream::Err => Mark { at_ms, out_len: 0, err_len: len },
            }
        };
        pairs.map(mark).collect()
    }
}

/// As [`Chunk::marks`] reads them.
pub fn pack(marks: &[(Millis, u64)]) -> Vec<u8> {
    marks.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()]).flatten().collect()
}

/// Offsets are far below 2^63: a file is.
pub fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson;

    #[test]
    fn a_chunk_is_a_document_and_back() {
        let attempt = AttemptId { run: RunId(i64::MAX), job: JobId(2), number: 3, reign: -5 };
        let chunk = Chunk {
            id: ChunkId::new(attempt, Stream::Err, 4),
            until: 9,
            bytes: b"\xff\0a\n".to_vec(),
            cut: Some((5, 6)),
            first_ms: 10,
            last_ms: 11,
            line: 1,
            lines: 1,
            marks: pack(&[(10, 5), (11, 9)]),
            end: None,
            host: "h".into(),
        };
        let document = bson::serialize_to_document(&chunk).unwrap();
        assert!(matches!(document.get("bytes"), Some(bson::Bson::Binary(_))), "{document}");
        let back: Chunk = bson::deserialize_from_document(document).unwrap();
        assert_eq!(back, chunk);
        assert_eq!(back.id.attempt(), attempt);
        let marks = back.marks().into_iter().map(|mark| (mark.at_ms, mark.out_len, mark.err_len));
        assert_eq!(marks.collect::<Vec<_>>(), [(10, 0, 5), (11, 0, 9)]);
    }
}
