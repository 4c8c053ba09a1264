use super::super::Layout;
use super::super::output::{Marker, create, write_holes};
use super::*;
use shared::ids::{JobId, RunId};
use std::io::Write;
use std::path::PathBuf;

const ROOM: (usize, usize) = (1 << 30, 1_000);

fn attempt() -> AttemptId {
    AttemptId { run: RunId(77), job: JobId(3), number: 2, reign: 5 }
}

struct Spool {
    _dir: tempfile::TempDir,
    base: PathBuf,
    files: (File, File),
    marker: Marker,
    lengths: Lengths,
    at: Millis,
}

impl Spool {
    fn new() -> Spool {
        let dir = tempfile::tempdir().unwrap();
        let base = Layout::make(dir.path()).unwrap().output_of(attempt());
        let files = create(&base).unwrap();
        let marker = Marker::new(base.clone());
        Spool { _dir: dir, base, files, marker, lengths: Lengths::default(), at: 0 }
    }

    fn write(&mut self, out: &[u8], err: &[u8]) {
        self.files.0.write_all(out).unwrap();
        self.files.1.write_all(err).unwrap();
        self.lengths.out += out.len() as u64;
        self.lengths.err += err.len() as u64;
        self.at += 100;
        self.marker.note(self.at, (self.lengths.out, self.lengths.err)).unwrap();
    }

    /// Decides what there is to decide, and makes it.
    fn ship(&self, plan: &mut Plan) -> Vec<Chunk> {
        let cuts = decide(&self.base, plan, self.lengths, ROOM).unwrap();
        plan.decide(&cuts).unwrap();
        self.made(plan)
    }

    fn made(&self, plan: &Plan) -> Vec<Chunk> {
        let end = (plan.planned(Stream::Out).bytes, plan.planned(Stream::Err).bytes);
        let one = |cut| make(&self.base, (attempt(), "h"), cut, end).unwrap();
        plan.pending().map(one).collect()
    }
}

/// Their bytes, one after the other, what was cut out as dots.
#[track_caller]
fn joined(chunks: &[Chunk], stream: Stream) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in chunks.iter().filter(|chunk| chunk.id.stream() == stream) {
        assert_eq!(chunk.from(), all.len() as u64, "no gap");
        let cut = chunk.cut.unwrap_or((chunk.until, chunk.until));
        let before = usize::try_from(cut.0 - chunk.id.from).unwrap();
        all.extend(&chunk.bytes[..before]);
        all.extend((cut.0..cut.1).map(|_| b'.'));
        all.extend(&chunk.bytes[before..]);
        assert_eq!(chunk.until(), all.len() as u64);
    }
    all
}

#[test]
fn what_grows_is_cut_once_and_the_same_again() {
    let mut spool = Spool::new();
    let mut plan = Plan::read(&spool.base).unwrap();
    assert!(spool.ship(&mut plan).is_empty());
    spool.write(b"a\nb\n", b"\xff");
    let first = spool.ship(&mut plan);
    assert_eq!(first.len(), 2);
    // Killed before the store's answer: found again, and made anew with the same content.
    spool.write(b"c", b"");
    let mut again = Plan::read(&spool.base).unwrap();
    assert_eq!(spool.made(&again), first);
    again.stored(2).unwrap();
    spool.lengths.ended = true;
    let last = spool.ship(&mut again);
    assert_eq!(last.len(), 1);
    let chunk = &last[0];
    assert_eq!((chunk.from(), &chunk.bytes[..], chunk.end), (4, &b"c"[..], Some((5, 1))));
    assert_eq!((chunk.line, chunk.lines, chunk.first_ms, chunk.last_ms), (2, 0, 200, 200));
    again.stored(1).unwrap();
    assert!(again.whole());
    assert!(spool.ship(&mut again).is_empty());
}

#[test]
fn large_output_becomes_many_chunks_and_an_end_of_its_own_if_nothing_is_left() {
    let mut spool = Spool::new();
    let mut plan = Plan::read(&spool.base).unwrap();
    let text: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    spool.write(&text, b"");
    let chunks = spool.ship(&mut plan);
    assert_eq!(chunks.len(), 3);
    assert!(joined(&chunks, Stream::Out) == text);
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    let last = chunks.last().unwrap();
    assert_eq!(usize::try_from(last.line + last.lines).unwrap(), lines);
    plan.stored(3).unwrap();
    spool.lengths.ended = true;
    let end = spool.ship(&mut plan);
    assert_eq!((end[0].from(), end[0].until(), end[0].end), (300_000, 300_000, Some((300_000, 0))));
}

#[test]
fn many_small_writes_make_shorter_chunks_so_that_each_byte_has_its_time() {
    let mut spool = Spool::new();
    let mut plan = Plan::read(&spool.base).unwrap();
    (0..2_500).for_each(|_| spool.write(b"x\n", b""));
    let chunks = spool.ship(&mut plan);
    let counts: Vec<usize> = chunks.iter().map(|chunk| chunk.marks().len()).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
    assert_eq!(joined(&chunks, Stream::Out).len(), 5_000);
}

#[test]
fn what_the_quota_cuts_out_is_told_and_the_tail_comes_at_the_end() {
    let mut spool = Spool::new();
    let mut plan = Plan::read(&spool.base).unwrap();
    spool.write(&[b'a'; 10_000], b"");
    let mut all = spool.ship(&mut plan);
    plan.stored(1).unwrap();
    // The hole begins behind what was shipped, and moves on.
    spool.write(&[b'b'; 90_000], b"");
    write_holes(&spool.base, Holes { out: (12_288, 40_960), err: (0, 0) }).unwrap();
    all.extend(spool.ship(&mut plan));
    plan.stored(1).unwrap();
    assert_eq!(joined(&all, Stream::Out).len(), 12_288);
    assert!(spool.ship(&mut plan).is_empty(), "its tail still moves");
    write_holes(&spool.base, Holes { out: (12_288, 81_920), err: (0, 0) }).unwrap();
    spool.lengths.ended = true;
    all.extend(spool.ship(&mut plan));
    let whole = joined(&all, Stream::Out);
    let expected = [vec![b'a'; 10_000], vec![b'b'; 2_288], vec![b'.'; 69_632], vec![b'b'; 18_080]];
    assert!(whole == expected.concat());
    assert_eq!(all.last().unwrap().end, Some((100_000, 0)));
}

#[test]
fn what_was_decided_and_then_punched_or_lost_is_told_as_cut_out() {
    let mut spool = Spool::new();
    let mut plan = Plan::read(&spool.base).unwrap();
    spool.write(&[b'x'; 20_000], b"");
    spool.ship(&mut plan);
    write_holes(&spool.base, Holes { out: (4_096, 8_192), err: (0, 0) }).unwrap();
    let chunks = spool.made(&plan);
    assert_eq!((chunks[0].cut, chunks[0].bytes.len()), (Some((4_096, 8_192)), 15_904));
    write_holes(&spool.base, Holes::default()).unwrap();
    spool.files.0.set_len(5_000).unwrap();
    let chunks = spool.made(&plan);
    assert_eq!((chunks[0].cut, chunks[0].bytes.len()), (Some((5_000, 20_000)), 5_000));
}
