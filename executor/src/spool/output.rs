//! The output of attempts: two files that the children append to, and two small ones of ours.
//!
//! `.marks` says when how much was written, `.hole` what the quota has cut out. The supervisor
//! writes ([`Marker`]), the agent reads ([`read`]); bytes are never changed, offsets never move.

use serde::{Deserialize, Serialize};
use shared::ids::Millis;
use shared::wire::{LogPart, LogQuery, Mark, Stream};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Layout;

/// Bytes in one part: with its marks it fits into a frame of the wire.
pub const PART_MAX: usize = 128 * 1024;
/// Marks in one part; where more concern it, it is cut, so that every byte has its time.
const PART_MARKS_MAX: usize = shared::chunk::MARKS_MAX;
const MARK_BYTES: usize = 24;
const HOLE_BYTES: usize = 32;

/// What is cut out of both files: from, until. Equal numbers mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holes {
    pub out: (u64, u64),
    pub err: (u64, u64),
}

impl Holes {
    pub fn of(&self, stream: Stream) -> (u64, u64) {
        match stream {
            Stream::Out => self.out,
            Stream::Err => self.err,
        }
    }
}

/// `.out`, `.err`, `.marks`, `.hole` of an attempt.
pub fn file(base: &Path, ending: &str) -> PathBuf {
    // The name of an attempt has no dot in it.
    base.with_extension(ending)
}

pub fn stream_file(base: &Path, stream: Stream) -> PathBuf {
    match stream {
        Stream::Out => file(base, "out"),
        Stream::Err => file(base, "err"),
    }
}

/// Both files of a new attempt, to be appended to.
///
/// # Errors
/// As the operating system says.
pub fn create(base: &Path) -> io::Result<(File, File)> {
    let open = |stream| {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).open(stream_file(base, stream))
    };
    let first = match open(Stream::Out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = base.parent().unwrap_or(base);
            std::fs::create_dir_all(parent)?;
            open(Stream::Out)?
        }
        other => other?,
    };
    Ok((first, open(Stream::Err)?))
}

/// Both files of an attempt that runs, to look at their lengths and to cut holes.
///
/// # Errors
/// As the operating system says.
pub fn reopen(base: &Path) -> io::Result<(File, File)> {
    let open = |stream| OpenOptions::new().append(true).open(stream_file(base, stream));
    Ok((open(Stream::Out)?, open(Stream::Err)?))
}

/// All files of an attempt.
pub fn remove(base: &Path) {
    // What was sent goes last: without it the rest would be sent again.
    for ending in ["out", "err", "marks", "hole", "sent"] {
        // What is not there need not go; what cannot go now is found again by its age.
        let _ = std::fs::remove_file(file(base, ending));
    }
}

/// Appends marks while the files grow. Opened with the first byte that is written.
#[derive(Debug, Serialize, Deserialize)]
pub struct Marker {
    base: PathBuf,
    #[serde(skip)]
    file: Option<File>,
    last: (u64, u64),
    /// That it cannot be written was told already.
    #[serde(skip)]
    pub told: bool,
}

impl Marker {
    pub fn new(base: PathBuf) -> Marker {
        Marker { base, file: None, last: (0, 0), told: false }
    }

    pub fn base(&self) -> &Path {
        &self.base
    }

    pub fn last(&self) -> (u64, u64) {
        self.last
    }

    /// Notes the lengths if they have changed; says whether they have.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn note(&mut self, at_ms: Millis, lengths: (u64, u64)) -> io::Result<bool> {
        if lengths == self.last {
            return Ok(false);
        }
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let options = options.append(true).create(true).mode(0o600);
            self.file = Some(options.open(file(&self.base, "marks"))?);
        }
        self.last = lengths;
        if let Some(file) = &mut self.file {
            let mut bytes = [0; MARK_BYTES];
            bytes[..8].copy_from_slice(&at_ms.to_le_bytes());
            bytes[8..16].copy_from_slice(&lengths.0.to_le_bytes());
            bytes[16..].copy_from_slice(&lengths.1.to_le_bytes());
            if let Err(error) = file.write_all(&bytes) {
                // A disk that fills up may have taken a part of it: all later ones would be askew.
                let length = file.metadata()?.len();
                file.set_len(length - length % MARK_BYTES as u64)?;
                return Err(error);
            }
        }
        Ok(true)
    }
}

/// Written *before* the hole is punched: a reader must not take its zeros for output.
///
/// # Errors
/// As the operating system says.
pub fn write_holes(base: &Path, holes: Holes) -> io::Result<()> {
    let numbers = [holes.out.0, holes.out.1, holes.err.0, holes.err.1];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    // One write of 32 bytes: a reader sees the old numbers or the new.
    file.open(file_of_holes(base))?.write_all_at(&bytes, 0)
}

fn file_of_holes(base: &Path) -> PathBuf {
    file(base, "hole")
}

/// None where nothing was cut.
pub fn read_holes(base: &Path) -> Holes {
    let Ok(bytes) = std::fs::read(file_of_holes(base)) else { return Holes::default() };
    if bytes.len() != HOLE_BYTES {
        return Holes::default();
    }
    let number = |at: usize| {
        bytes[at * 8..].first_chunk::<8>().map_or(0, |eight| u64::from_le_bytes(*eight))
    };
    Holes { out: (number(0), number(1)), err: (number(2), number(3)) }
}

/// A part of the output; nothing if there is no such attempt here (any more). `ended` says that it
/// was known to have ended *before* this was called.
///
/// # Errors
/// As the operating system says.
pub fn read(layout: &Layout, wanted: &LogQuery, ended: bool) -> io::Result<Option<LogPart>> {
    let base = layout.output_of(wanted.attempt);
    let file = match File::open(stream_file(&base, wanted.stream)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let len = file.metadata()?.len();
    let mut hole = read_holes(&base).of(wanted.stream);
    let inside = |from: u64| if (hole.0..hole.1).contains(&from) { hole.1 } else { from };
    let mut from = inside(wanted.from);
    let max = (wanted.max as usize).min(PART_MAX) as u64;
    let mut until = len.min(from.saturating_add(max));
    if from < hole.0 {
        until = until.min(hole.0);
    }
    let marks = marks_of(&base, wanted.stream, from, &mut until)?;
    let mut bytes = vec![0; usize::try_from(until.saturating_sub(from)).unwrap_or(0)];
    let got = read_at_most(&file, &mut bytes, from)?;
    bytes.truncate(got);
    // It may have grown while we read: what we took for output were zeros then.
    let later = read_holes(&base).of(wanted.stream);
    if later != hole {
        hole = later;
        if (hole.0..hole.1).contains(&from) {
            bytes.clear();
            from = hole.1;
        } else if from < hole.0 {
            bytes.truncate(usize::try_from(hole.0 - from).unwrap_or(usize::MAX));
        }
    }
    let hole = (hole.0 < hole.1).then_some(hole);
    Ok(Some(LogPart { from, bytes, len, ended, hole, marks }))
}

pub(super) fn read_at_most(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], from + got as u64) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// The marks of `from..until`: the first that reaches beyond `from`, to the one that reaches
/// `until`. Where they are too many, `until` is drawn in.
pub(super) fn marks_of(
    base: &Path,
    stream: Stream,
    from: u64,
    until: &mut u64,
) -> io::Result<Vec<Mark>> {
    let file = match File::open(file(base, "marks")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let count = file.metadata()?.len() / MARK_BYTES as u64;
    let mark_at = |at: u64| -> io::Result<Mark> {
        let mut bytes = [0; MARK_BYTES];
        file.read_exact_at(&mut bytes, at * MARK_BYTES as u64)?;
        let number =
            |at: usize| bytes[at..].first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        Ok(Mark { at_ms: number(0).cast_signed(), out_len: number(8), err_len: number(16) })
    };
    let length = |mark: &Mark| match stream {
        Stream::Out => mark.out_len,
        Stream::Err => mark.err_len,
    };
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match length(&mark_at(middle)?) > from {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    let mut marks = Vec::new();
    let mut reached = from;
    for at in low..count {
        if reached >= *until {
            break;
        }
        let mark = mark_at(at)?;
        if length(&mark) == reached {
            continue; // only the other stream grew
        }
        if marks.len() == PART_MARKS_MAX {
            *until = reached;
            break;
        }
        reached = length(&mark);
        marks.push(mark);
    }
    Ok(marks)
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
