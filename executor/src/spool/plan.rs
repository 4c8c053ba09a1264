//! What of an attempt's output has been cut into chunks, and how much of that the store has: `.sent`.
//!
//! The rule: where a chunk ends is written here before it is sent for the first time, so that an agent
//! that was killed sends the identical chunk again (G1). Written by the agent, read by the keeper too.

use super::output::file;
use shared::wire::Stream;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const ENTRY_BYTES: usize = 40;
const CHUNK: u8 = 1;
const STORED: u8 = 2;
const WHOLE: u8 = 3;
const GIVEN_UP: u8 = 4;

/// One chunk as it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub stream: Stream,
    pub from: u64,
    pub until: u64,
    /// Ends of lines before it, and in it.
    pub line: u64,
    pub lines: u64,
    /// The attempt has ended, and nothing comes after it.
    pub end: bool,
}

/// Of one stream: what is planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    pub bytes: u64,
    pub lines: u64,
}

#[derive(Debug)]
pub struct Plan {
    path: PathBuf,
    /// Decided, and not known to be in the store; oldest first.
    pending: VecDeque<Cut>,
    out: Planned,
    err: Planned,
    ended: bool,
    whole: bool,
    given_up: bool,
}

impl Plan {
    /// What an earlier life decided. Half an entry at the end is of a write that was cut short.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn read(base: &Path) -> io::Result<Plan> {
        let path = file(base, "sent");
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let mut plan = Plan {
            path,
            pending: VecDeque::new(),
            out: Planned::default(),
            err: Planned::default(),
            ended: false,
            whole: false,
            given_up: false,
        };
        for entry in bytes.chunks_exact(ENTRY_BYTES) {
            plan.take(entry);
        }
        Ok(plan)
    }

    fn take(&mut self, entry: &[u8]) {
        let number = |at: usize| {
            entry[8 + at * 8..].first_chunk::<8>().map_or(0, |eight| u64::from_le_bytes(*eight))
        };
        match entry[0] {
            CHUNK => self.note(Cut {
                stream: if entry[1] == 0 { Stream::Out } else { Stream::Err },
                end: entry[2] != 0,
                from: number(0),
                until: number(1),
                line: number(2),
                lines: number(3),
            }),
            STORED => self.forget(usize::try_from(number(0)).unwrap_or(usize::MAX)),
            WHOLE => self.whole = true,
            GIVEN_UP => self.given_up = true,
            // Of a newer program.
            _ => {}
        }
    }

    fn note(&mut self, cut: Cut) {
        self.pending.push_back(cut);
        self.ended |= cut.end;
        let planned = match cut.stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        planned.bytes = planned.bytes.max(cut.until);
        planned.lines = planned.lines.max(cut.line + cut.lines);
    }

    fn forget(&mut self, count: usize) {
        self.pending.drain(..count.min(self.pending.len()));
    }

    pub fn pending(&self) -> impl Iterator<Item = &Cut> {
        self.pending.iter()
    }

    pub fn planned(&self, stream: Stream) -> Planned {
        match stream {
            Stream::Out => self.out,
            Stream::Err => self.err,
        }
    }

    /// The last chunk is decided.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The store has all of it.
    pub fn whole(&self) -> bool {
        self.whole
    }

    /// It can never be shipped whole: it goes from the host by its age.
    pub fn given_up(&self) -> bool {
        self.given_up
    }

    /// # Errors
    /// As the operating system says.
    pub fn give_up(&mut self) -> io::Result<()> {
        self.append(&[entry([GIVEN_UP, 0, 0], [0; 4])])?;
        self.given_up = true;
        Ok(())
    }

    /// Decides: from now on they are as they are. At once, so that a tick costs one write.
    ///
    /// # Errors
    /// As the operating system says: then nothing is decided.
    pub fn decide(&mut self, cuts: &[Cut]) -> io::Result<()> {
        let entries = cuts.iter().map(|cut| {
            let stream = u8::from(cut.stream == Stream::Err);
            entry([CHUNK, stream, cut.end.into()], [cut.from, cut.until, cut.line, cut.lines])
        });
        self.append(&entries.collect::<Vec<_>>())?;
        cuts.iter().for_each(|cut| self.note(*cut));
        Ok(())
    }

    /// The store has the oldest `count` of what was pending; if that was the last, it has all.
    ///
    /// # Errors
    /// As the operating system says: they are sent again, which does no harm.
    pub fn stored(&mut self, count: usize) -> io::Result<()> {
        let whole = self.ended && count >= self.pending.len();
        let mut entries = vec![entry([STORED, 0, 0], [count as u64, 0, 0, 0])];
        if whole {
            entries.push(entry([WHOLE, 0, 0], [0; 4]));
        }
        self.append(&entries)?;
        self.forget(count);
        self.whole = whole;
        Ok(())
    }

    fn append(&self, entries: &[[u8; ENTRY_BYTES]]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file: File = options.append(true).create(true).mode(0o600).open(&self.path)?;
        let before = file.metadata()?.len() / ENTRY_BYTES as u64 * ENTRY_BYTES as u64;
        file.set_len(before)?;
        let written = file.write_all(entries.as_flattened());
        if written.is_err() {
            // A full disk: half of it must not stand before what comes next.
            file.set_len(before)?;
        }
        written
    }
}

fn entry([kind, stream, end]: [u8; 3], numbers: [u64; 4]) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..3].copy_from_slice(&[kind, stream, end]);
    for (place, number) in bytes[8..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(from: u64, until: u64, end: bool) -> Cut {
        Cut { stream: Stream::Out, from, until, line: from, lines: until - from, end }
    }

    #[test]
    fn an_agent_that_was_killed_finds_what_it_had_decided() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a");
        let mut plan = Plan::read(&base).unwrap();
        plan.decide(&[cut(0, 10, false), cut(10, 25, false)]).unwrap();
        plan.stored(1).unwrap();
        let mut again = Plan::read(&base).unwrap();
        assert_eq!(again.pending().copied().collect::<Vec<_>>(), [cut(10, 25, false)]);
        assert_eq!(again.planned(Stream::Out), Planned { bytes: 25, lines: 25 });
        assert_eq!(again.planned(Stream::Err), Planned::default());
        assert!(!again.ended() && !again.whole());
        again.decide(&[cut(25, 25, true)]).unwrap();
        again.stored(2).unwrap();
        let all = Plan::read(&base).unwrap();
        assert!(all.ended() && all.whole() && all.pending().count() == 0);
    }

    #[test]
    fn a_write_that_was_cut_short_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a");
        Plan::read(&base).unwrap().decide(&[cut(0, 10, false)]).unwrap();
        let path = file(&base, "sent");
        let mut half = std::fs::read(&path).unwrap();
        half.extend([1; 17]);
        std::fs::write(&path, half).unwrap();
        let mut plan = Plan::read(&base).unwrap();
        assert_eq!(plan.pending().count(), 1);
        plan.decide(&[cut(10, 12, false)]).unwrap();
        assert_eq!(Plan::read(&base).unwrap().planned(Stream::Out).bytes, 12);
    }
}
