//! The part of shipping that reads and writes files; run where blocking does no harm.

use super::Known;
use super::store::Missing;
use crate::spool::chunks::{Lengths, decide, make};
use crate::spool::plan::Plan;
use crate::spool::{Layout, output};
use shared::chunk::Chunk;
use shared::ids::AttemptId;
use shared::wire::Stream;
use std::io;

/// Bytes and chunks of one batch; the last chunk may go beyond.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
const BATCH_CHUNKS_MAX: usize = 1_000;

/// An attempt on its way through a batch.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) attempt: AttemptId,
    pub(super) known: Known,
    /// Of its pending chunks, the oldest so many are in the batch.
    included: usize,
    /// The batch had room for it.
    pub(super) reached: bool,
    /// Its output is not there any more, or is not what it was: a later start looks again.
    pub(super) gone: bool,
    /// It cannot be read or noted now: it is tried again.
    pub(super) failed: bool,
}

impl Unsent {
    pub(super) fn new(attempt: AttemptId, known: Known) -> Unsent {
        Unsent { attempt, known, included: 0, reached: false, gone: false, failed: false }
    }
}

pub(super) struct Batch {
    pub(super) chunks: Vec<Chunk>,
    pub(super) unsent: Vec<Unsent>,
    /// There was no room for more.
    pub(super) full: bool,
}

/// What was decided before, as it was; then, while there is room, what is decided now.
pub(super) fn gather(layout: &Layout, host: &str, mut unsent: Vec<Unsent>) -> Batch {
    let mut chunks = Vec::new();
    let mut bytes = 0;
    for one in &mut unsent {
        if bytes >= BATCH_BYTES_MAX || chunks.len() >= BATCH_CHUNKS_MAX {
            break;
        }
        one.reached = true;
        let left = (BATCH_BYTES_MAX - bytes, BATCH_CHUNKS_MAX - chunks.len());
        match one.gather(layout, host, left) {
            Ok(more) => {
                bytes +=
                    more.iter().map(|chunk| chunk.bytes.len() + chunk.marks.len()).sum::<usize>();
                chunks.extend(more);
            }
            Err(error) => {
                one.included = 0;
                let attempt = one.attempt;
                match error.kind() {
                    io::ErrorKind::NotFound => {
                        one.gone = true;
                        tracing::debug!("{attempt} has no output here");
                    }
                    io::ErrorKind::InvalidData => {
                        one.gone = true;
                        tracing::warn!("the output of {attempt} stays on this host: {error}");
                    }
                    _ => {
                        one.failed = true;
                        tracing::warn!("the output of {attempt} is shipped later: {error}");
                    }
                }
            }
        }
    }
    let full = bytes >= BATCH_BYTES_MAX || chunks.len() >= BATCH_CHUNKS_MAX;
    Batch { chunks, unsent, full }
}

impl Unsent {
    fn gather(
        &mut self,
        layout: &Layout,
        host: &str,
        (bytes, count): (usize, usize),
    ) -> io::Result<Vec<Chunk>> {
        let base = layout.output_of(self.attempt);
        // Without its output there is nothing to write notes about.
        std::fs::metadata(output::stream_file(&base, Stream::Out))?;
        let plan = match &mut self.known.plan {
            Some(plan) => plan,
            empty => empty.insert(Plan::read(&base)?),
        };
        if plan.whole() {
            return Ok(Vec::new());
        }
        let pending = plan.pending().count();
        if pending < count {
            let cuts = decide(&base, plan, self.known.lengths, (bytes, count - pending))?;
            if !cuts.is_empty() {
                plan.decide(&cuts)?;
            }
        }
        let end = (plan.planned(Stream::Out).bytes, plan.planned(Stream::Err).bytes);
        let mut chunks = Vec::new();
        let mut size = 0;
        for cut in plan.pending().take(count) {
            if size >= bytes {
                break;
            }
            let chunk = make(&base, (self.attempt, host), cut, end)?;
            size += chunk.bytes.len();
            chunks.push(chunk);
        }
        self.included = chunks.len();
        Ok(chunks)
    }
}

/// The store has them: noted, with what turned out to be missing.
pub(super) fn stored(mut unsent: Vec<Unsent>, missing: &[Missing]) -> Vec<Unsent> {
    for one in &mut unsent {
        let Some(plan) = &mut one.known.plan else { continue };
        if one.included == 0 {
            continue;
        }
        let cuts: Vec<_> = missing
            .iter()
            .filter(|missing| missing.attempt == one.attempt)
            .map(|missing| missing.cut)
            .collect();
        let noted = match cuts.is_empty() {
            true => Ok(()),
            // Before the others are struck out, so that the end stays pending.
            false => plan.decide(&cuts),
        };
        if let Err(error) = noted.and_then(|()| plan.stored(one.included)) {
            tracing::warn!("{}: what was shipped is shipped again: {error}", one.attempt);
        }
    }
    unsent
}

/// Attempts on the disk that the store does not have whole, as if they had ended; at most so many.
pub(super) fn scan(layout: &Layout, room: usize) -> io::Result<Vec<(AttemptId, Lengths)>> {
    let mut found = Vec::new();
    for shard in std::fs::read_dir(layout.out())?.flatten() {
        for entry in std::fs::read_dir(shard.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "out") {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let Some(attempt) = stem.and_then(|stem| stem.parse().ok()) else { continue };
            let base = layout.output_of(attempt);
            // One that cannot be read is told of when its turn comes.
            if Plan::read(&base).is_ok_and(|plan| plan.whole()) {
                continue;
            }
            if found.len() >= room {
                return Ok(found);
            }
            found.push((attempt, Lengths::at_end(&base)?));
        }
    }
    Ok(found)
}
