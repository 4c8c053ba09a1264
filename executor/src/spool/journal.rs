//! The journal of attempts: appended, never changed, so that a torn tail costs only itself.
//!
//! A record is its length, its CRC-32 and MessagePack. `append` puts it into the page cache, which
//! survives a `kill -9`; a thread of its own flushes every 100 ms, for a power loss (rule P4). Files
//! are numbered; a new life begins a new one. What still counts is copied forward bit by bit, then the
//! oldest file goes: [`Journal::wants_copying`]. Called by the supervisor.

use crate::supervise::attempts::Entry;
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// A file as long as this is followed by a new one, and what still counts is copied.
const FILE_MAX: u64 = 32 * 1024 * 1024;
/// One record; a length beyond it is no length.
const RECORD_MAX: usize = 64 * 1024;
const FLUSH_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    number: u64,
    length: u64,
    shared: Arc<Shared>,
}

/// What the flushing thread needs.
#[derive(Debug)]
struct Shared {
    file: Mutex<Arc<File>>,
    dirty: AtomicBool,
    /// A flush has failed: what was appended before may be lost.
    lost: AtomicBool,
}

/// What was read at the start.
#[derive(Debug, Default)]
pub struct Found {
    pub entries: Vec<Entry>,
    /// Records or tails that were damaged, and are left out.
    pub damaged: usize,
    last: u64,
}

/// Reads all files, oldest first.
///
/// # Errors
/// A file cannot be read.
pub fn read(dir: &Path) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for number in numbers(dir)? {
        let path = path(dir, number);
        let bytes = std::fs::read(&path).with_context(|| format!("journal {}", path.display()))?;
        found.take(&bytes);
        found.last = number;
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let head = bytes.first_chunk::<8>();
            let word = |at: usize| {
                let four = head.and_then(|head| head[at..].first_chunk::<4>());
                four.map_or(u32::MAX, |four| u32::from_be_bytes(*four))
            };
            let length = word(0) as usize;
            if length > RECORD_MAX || bytes.len() < 8 + length {
                // Torn: the rest has no beginning any more.
                self.damaged += 1;
                return;
            }
            let body = &bytes[8..8 + length];
            match rmp_serde::from_slice(body) {
                Ok(entry) if crc32(body) == word(4) => self.entries.push(entry),
                _ => self.damaged += 1,
            }
            bytes = &bytes[8 + length..];
        }
    }
}

impl Journal {
    /// Begins a new file after those that were read, holding `snapshot`; then the old ones go.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn begin(
        dir: &Path,
        found: &Found,
        snapshot: impl Iterator<Item = Entry>,
    ) -> anyhow::Result<Journal> {
        let number = found.last + 1;
        let mut journal = Journal::open(dir, number)?;
        let entries: Vec<Entry> = snapshot.collect();
        journal.append(&entries).context("writing the journal")?;
        journal.current().sync_data().context("flushing the journal")?;
        journal.drop_before(number);
        Ok(journal)
    }

    /// Goes on with the newest file: after a re-execution.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn resume(dir: &Path) -> anyhow::Result<Journal> {
        let last = numbers(dir)?.last().copied().unwrap_or(1);
        let journal = Journal::open(dir, last)?;
        // What was appended just before may wait for its flush.
        journal.shared.dirty.store(true, Ordering::Release);
        Ok(journal)
    }

    fn open(dir: &Path, number: u64) -> anyhow::Result<Journal> {
        let file = open(dir, number).context("opening the journal")?;
        let length = file.metadata()?.len();
        let file = Mutex::new(Arc::new(file));
        let (dirty, lost) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { file, dirty, lost });
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new()
            .name("journal".into())
            .stack_size(64 * 1024)
            .spawn(move || flush(&weak))
            .context("starting the thread that flushes the journal")?;
        Ok(Journal { dir: dir.to_owned(), number, length, shared })
    }

    /// In one write: all of it is in the page cache when this returns.
    ///
    /// # Errors
    /// The disk does not take it; the file is cut back to what it held before.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(entries.len() * 256);
        for entry in entries {
            let at = bytes.len();
            bytes.extend([0; 8]);
            rmp_serde::encode::write_named(&mut bytes, entry).map_err(io::Error::other)?;
            let body = &bytes[at + 8..];
            let length = u32::try_from(body.len()).map_err(io::Error::other)?;
            let sum = crc32(body);
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&sum.to_be_bytes());
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let file = self.current();
        if let Err(error) = (&*file).write_all(&bytes) {
            // Half a record in the middle would hide all that follow.
            let _ = file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.shared.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// A flush has failed since this was last asked.
    pub fn has_lost(&self) -> bool {
        self.shared.lost.swap(false, Ordering::AcqRel)
    }

    /// The file is long: call [`Journal::turn`], append all that still counts (in as many steps as
    /// you like), then [`Journal::drop_older`].
    pub fn wants_copying(&self) -> bool {
        self.length > FILE_MAX
    }

    /// Goes on in a new file.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn turn(&mut self) -> io::Result<()> {
        let file = open(&self.dir, self.number + 1)?;
        self.shared.sync()?;
        *self.shared.file.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
        self.number += 1;
        self.length = 0;
        Ok(())
    }

    /// All that counts stands in the newest file.
    ///
    /// # Errors
    /// It could not be flushed; the older ones stay.
    pub fn drop_older(&mut self) -> io::Result<()> {
        self.shared.sync()?;
        self.drop_before(self.number);
        Ok(())
    }

    /// Oldest first: what one file forgets must not come back from an older one.
    fn drop_before(&self, number: u64) {
        for old in numbers(&self.dir).unwrap_or_default() {
            if old < number && std::fs::remove_file(path(&self.dir, old)).is_err() {
                return;
            }
        }
    }

    fn current(&self) -> Arc<File> {
        self.shared.current()
    }
}

impl Shared {
    fn current(&self) -> Arc<File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asked again, a system may say that all is well: it tells of what it has lost once.
    fn sync(&self) -> io::Result<()> {
        let result = self.current().sync_data();
        if result.is_err() {
            self.lost.store(true, Ordering::Release);
        }
        result
    }
}

/// As long as the journal is there.
fn flush(journal: &Weak<Shared>) {
    loop {
        std::thread::sleep(FLUSH_EVERY);
        let Some(shared) = journal.upgrade() else { return };
        if shared.dirty.swap(false, Ordering::AcqRel)
            && let Err(error) = shared.sync()
        {
            tracing::error!("flushing the journal: {error}");
        }
    }
}

fn open(dir: &Path, number: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path(dir, number))
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

fn numbers(dir: &Path) -> anyhow::Result<Vec<u64>> {
    let entries = std::fs::read_dir(dir);
    let entries = entries.with_context(|| format!("reading the journal {}", dir.display()))?;
    let number = |entry: io::Result<std::fs::DirEntry>| -> Option<u64> {
        entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.parse().ok()
    };
    let mut numbers: Vec<u64> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// CRC-32 as in Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let (mut at, mut first) = (0, 0);
        while at < 256 {
            let mut sum: u32 = first;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
                bit += 1;
            }
            table[at] = sum;
            at += 1;
            first += 1;
        }
        table
    };
    let step = |sum: u32, byte: &u8| sum >> 8 ^ TABLE[((sum ^ u32::from(*byte)) & 255) as usize];
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::{AttemptId, JobId, RunId};

    fn entry(number: u32) -> Entry {
        Entry::Forget(AttemptId { run: RunId(9), job: JobId(1), number, reign: 4 })
    }

    fn numbers_in(dir: &Path) -> (Vec<Entry>, usize) {
        let found = read(dir).unwrap();
        (found.entries, found.damaged)
    }

    #[test]
    fn a_torn_tail_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let none = Found::default();
        let mut journal = Journal::begin(dir.path(), &none, [entry(1)].into_iter()).unwrap();
        journal.append(&[entry(2), entry(3)]).unwrap();
        let file = path(dir.path(), 1);
        let whole = std::fs::read(&file).unwrap();
        let two = [entry(1), entry(2)];
        for cut in whole.len() * 2 / 3 + 1..whole.len() {
            std::fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(numbers_in(dir.path()), (two.to_vec(), 1), "cut at {cut}");
        }
        // A flipped bit costs one record, not the next.
        let mut flipped = whole.clone();
        flipped[whole.len() / 3 + 20] ^= 1;
        std::fs::write(&file, &flipped).unwrap();
        assert_eq!(numbers_in(dir.path()), (vec![entry(1), entry(3)], 1));
        // A new life goes on in a new file and says anew what counts.
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        let found = read(dir.path()).unwrap();
        let known = found.entries.clone();
        let mut next = Journal::begin(dir.path(), &found, known.into_iter()).unwrap();
        next.append(&[entry(4)]).unwrap();
        assert_eq!(numbers_in(dir.path()), (vec![entry(1), entry(2), entry(4)], 0));
        assert_eq!(numbers(dir.path()).unwrap(), [2]);
    }

    #[test]
    fn a_long_file_is_copied_forward() {
        let dir = tempfile::tempdir().unwrap();
        let none = Found::default();
        let mut journal = Journal::begin(dir.path(), &none, [entry(1)].into_iter()).unwrap();
        journal.turn().unwrap();
        journal.append(&[entry(2)]).unwrap();
        assert_eq!(numbers_in(dir.path()).0, [entry(1), entry(2)]);
        journal.append(&[entry(1)]).unwrap();
        journal.drop_older().unwrap();
        assert_eq!(numbers_in(dir.path()).0, [entry(2), entry(1)]);
        let mut again = Journal::resume(dir.path()).unwrap();
        again.append(&[entry(3)]).unwrap();
        assert_eq!(numbers_in(dir.path()).0, [entry(2), entry(1), entry(3)]);
    }

    #[test]
    fn a_flush_that_fails_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let none = Found::default();
        let mut journal = Journal::begin(dir.path(), &none, [entry(1)].into_iter()).unwrap();
        let put = |file: File| *journal.shared.file.lock().unwrap() = Arc::new(file);
        // Of a device nothing can be flushed.
        put(OpenOptions::new().write(true).open("/dev/null").unwrap());
        journal.shared.dirty.store(true, Ordering::Release);
        while !journal.has_lost() {
            std::thread::yield_now();
        }
        assert!(!journal.has_lost());
        assert!(journal.drop_older().is_err() && journal.has_lost());
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
