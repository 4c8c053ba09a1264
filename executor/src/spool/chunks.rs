//! Output as chunks for the store: where each ends is decided ([`decide`]), then it is made, as often
//! as need be ([`make`]).
//!
//! Up to where the quota may cut, output is cut as it grows; what comes after a hole when the attempt
//! has ended, for until then its head moves on. So the store has little more than the quota allows.

use super::output::{self, Holes};
use super::plan::{Cut, Plan};
use shared::chunk::{CHUNK_MAX, Chunk, ChunkId, pack, signed};
use shared::ids::{AttemptId, Millis};
use shared::wire::{Mark, Stream};
use std::fs::File;
use std::io;
use std::path::Path;

/// A hole that grows while somebody reads is looked at again so many times.
const LOOKS_MAX: u32 = 8;

/// How long the streams are, and whether they stay so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    pub out: u64,
    pub err: u64,
    pub ended: bool,
}

impl Lengths {
    pub fn of(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Out => self.out,
            Stream::Err => self.err,
        }
    }

    /// As the files are: of an attempt that has ended.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn at_end(base: &Path) -> io::Result<Lengths> {
        let of = |stream| match std::fs::metadata(output::stream_file(base, stream)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other.map(|found| found.len()),
        };
        Ok(Lengths { out: of(Stream::Out)?, err: of(Stream::Err)?, ended: true })
    }
}

/// The next chunks, at most `bytes` and `count` of them: errors before output, so that the end is told
/// by a chunk of out. Nothing is written down yet.
///
/// # Errors
/// As the operating system says; `InvalidData`: it is shorter than what was planned.
pub fn decide(
    base: &Path,
    plan: &Plan,
    lengths: Lengths,
    (mut bytes, count): (usize, usize),
) -> io::Result<Vec<Cut>> {
    let mut cuts: Vec<Cut> = Vec::new();
    if plan.ended() {
        return Ok(cuts);
    }
    let mut done = true;
    for stream in [Stream::Err, Stream::Out] {
        let mut at = plan.planned(stream);
        if lengths.ended && lengths.of(stream) < at.bytes {
            // Were it called whole, what the job has written since would go from the host unshipped.
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the job has cut it off itself",
            ));
        }
        while at.bytes < lengths.of(stream) {
            if cuts.len() >= count || bytes == 0 {
                return Ok(cuts);
            }
            let Some(cut) = next(base, (stream, at.bytes, at.lines), lengths)? else {
                done = false;
                break;
            };
            // Of a hole nothing is sent.
            let length = (cut.until - cut.from).min(CHUNK_MAX as u64);
            bytes = bytes.saturating_sub(usize::try_from(length).unwrap_or(bytes));
            (at.bytes, at.lines) = (cut.until, cut.line + cut.lines);
            cuts.push(cut);
        }
    }
    if lengths.ended && done {
        let room = cuts.len() < count;
        match cuts.last_mut() {
            Some(last) if last.stream == Stream::Out => last.end = true,
            _ if !room => {}
            _ => {
                let at = plan.planned(Stream::Out);
                cuts.push(Cut {
                    stream: Stream::Out,
                    from: at.bytes,
                    until: at.bytes,
                    line: at.lines,
                    lines: 0,
                    end: true,
                });
            }
        }
    }
    Ok(cuts)
}

/// None: what comes next is left for the end.
fn next(
    base: &Path,
    (stream, from, line): (Stream, u64, u64),
    lengths: Lengths,
) -> io::Result<Option<Cut>> {
    let hole = output::read_holes(base).of(stream);
    let cut = |until, lines| Some(Cut { stream, from, until, line, lines, end: false });
    let mut until = lengths.of(stream).min(from + CHUNK_MAX as u64);
    if hole.0 < hole.1 && from < hole.1 {
        match from < hole.0 {
            true => until = until.min(hole.0),
            false if lengths.ended => return Ok(cut(hole.1, 0)),
            false => return Ok(None),
        }
    }
    // Where they are too many, it ends sooner.
    output::marks_of(base, stream, from, &mut until)?;
    let loaded = load(base, stream, (from, until))?;
    Ok(cut(until, count_lines(&loaded.bytes)))
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A chunk as it was decided; the same each time, but for what the quota has cut out meanwhile. `end`
/// is how much of out and err is planned.
///
/// # Errors
/// As the operating system says.
pub fn make(
    base: &Path,
    (attempt, host): (AttemptId, &str),
    cut: &Cut,
    end: (u64, u64),
) -> io::Result<Chunk> {
    let Cut { stream, from, until, .. } = *cut;
    let loaded = load(base, stream, (from, until))?;
    let mut reached = until;
    let found = match loaded.bytes.is_empty() {
        true => Vec::new(),
        false => output::marks_of(base, stream, from, &mut reached)?,
    };
    let length = |mark: &Mark| match stream {
        Stream::Out => mark.out_len,
        Stream::Err => mark.err_len,
    };
    let marks: Vec<(Millis, u64)> = found.iter().map(|mark| (mark.at_ms, length(mark))).collect();
    let (first_ms, last_ms) = match (marks.first(), marks.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => written(base, stream).map(|at| (at, at))?,
    };
    let end = cut.end.then(|| (signed(end.0), signed(end.1)));
    Ok(Chunk {
        id: ChunkId::new(attempt, stream, from),
        until: signed(until),
        bytes: loaded.bytes,
        cut: loaded.cut.map(|(from, until)| (signed(from), signed(until))),
        first_ms,
        last_ms,
        line: signed(cut.line),
        lines: signed(cut.lines),
        marks: pack(&marks),
        end,
        host: host.to_owned(),
    })
}

struct Loaded {
    bytes: Vec<u8>,
    cut: Option<(u64, u64)>,
}

/// The bytes of a range without what is cut out of it. The hole is read before and after: what was
/// punched while we read were zeros.
fn load(base: &Path, stream: Stream, (from, until): (u64, u64)) -> io::Result<Loaded> {
    let mut holes: Holes = output::read_holes(base);
    if from == until {
        return Ok(Loaded { bytes: Vec::new(), cut: None });
    }
    let file = File::open(output::stream_file(base, stream))?;
    for _ in 0..LOOKS_MAX {
        let hole = holes.of(stream);
        let cut = (hole.0.max(from), hole.1.min(until));
        let cut = (cut.0 < cut.1).then_some(cut);
        let (first, second) = match cut {
            None => ((from, until), (until, until)),
            Some(cut) => ((from, cut.0), (cut.1, until)),
        };
        let mut bytes = read_range(&file, first)?;
        let mut cut = cut;
        if (bytes.len() as u64) < first.1 - first.0 {
            cut = Some((first.0 + bytes.len() as u64, until));
        } else {
            let rest = read_range(&file, second)?;
            match (rest.len() as u64) < second.1 - second.0 {
                true => cut = Some((first.1, until)),
                false => bytes.extend(rest),
            }
        }
        let later = output::read_holes(base);
        if later.of(stream) == hole {
            return Ok(Loaded { bytes, cut });
        }
        holes = later;
    }
    Err(io::Error::other("its output is cut again and again while it is read"))
}

/// Fewer bytes: the file is shorter than what was said of it. A disk has lost its newest blocks, or
/// the job has shortened its own output; what is missing counts as cut out.
fn read_range(file: &File, (from, until): (u64, u64)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(until.saturating_sub(from)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let got = output::read_at_most(file, &mut bytes, from)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// When a stream was last written: of bytes that have no mark.
fn written(base: &Path, stream: Stream) -> io::Result<Millis> {
    let at = std::fs::metadata(output::stream_file(base, stream))?.modified()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Millis::try_from(since.as_millis()).unwrap_or(0))
}

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
