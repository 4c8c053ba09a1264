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
    /// Its output is not there any more, or is not what it was.
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
                        one.give_up(&error);
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
    /// No later look finds what the job itself has cut off.
    fn give_up(&mut self, why: &io::Error) {
        self.gone = true;
        let attempt = self.attempt;
        tracing::warn!("the output of {attempt} is not in the store whole: {why}");
        let noted = self.known.plan.as_mut().map_or(Ok(()), Plan::give_up);
        if let Err(error) = noted {
            tracing::warn!("the output of {attempt} stays on this host: {error}");
        }
    }

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
        if plan.whole() || plan.given_up() {
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
            one.failed = true;
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
            if Plan::read(&base).is_ok_and(|plan| plan.whole() || plan.given_up()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::{JobId, RunId};

    const ATTEMPT: AttemptId = AttemptId { run: RunId(77), job: JobId(3), number: 2, reign: 5 };

    fn unsent(out: u64, ended: bool) -> Vec<Unsent> {
        let lengths = Lengths { out, err: 0, ended };
        vec![Unsent::new(ATTEMPT, Known { lengths, ..Known::default() })]
    }

    /// An attempt that has written twelve bytes.
    fn written() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::make(dir.path()).unwrap();
        let base = layout.output_of(ATTEMPT);
        output::create(&base).unwrap();
        std::fs::write(output::stream_file(&base, Stream::Out), "twelve bytes").unwrap();
        (dir, layout)
    }

    #[test]
    fn what_cannot_be_noted_rests() {
        let (_dir, layout) = written();
        let batch = gather(&layout, "h", unsent(12, false));
        assert_eq!(batch.chunks.len(), 1);
        // A disk that takes nothing more.
        let notes = output::file(&layout.output_of(ATTEMPT), "sent");
        std::fs::remove_file(&notes).unwrap();
        std::fs::create_dir(&notes).unwrap();
        let noted = stored(batch.unsent, &[]);
        assert!(noted[0].failed, "else it would be sent again at once, and again");
    }

    #[test]
    fn what_its_own_job_has_cut_off_is_given_up_for_good() {
        let (_dir, layout) = written();
        let batch = gather(&layout, "h", unsent(12, false));
        stored(batch.unsent, &[]);
        std::fs::write(output::stream_file(&layout.output_of(ATTEMPT), Stream::Out), "less")
            .unwrap();
        assert_eq!(scan(&layout, 9).unwrap().len(), 1);
        let batch = gather(&layout, "h", unsent(4, true));
        assert!(batch.chunks.is_empty() && batch.unsent[0].gone);
        assert!(Plan::read(&layout.output_of(ATTEMPT)).unwrap().given_up());
        assert!(scan(&layout, 9).unwrap().is_empty(), "nor does a later start look again");
    }
}
