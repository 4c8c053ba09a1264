use super::*;
use shared::ids::{AttemptId, JobId, RunId};

fn attempt() -> AttemptId {
    AttemptId { run: RunId(77), job: JobId(3), number: 2, reign: 5 }
}

fn read_part(layout: &Layout, stream: Stream, from: u64, max: u32) -> Option<LogPart> {
    read(layout, &LogQuery { attempt: attempt(), stream, from, max }, false).unwrap()
}

#[test]
fn parts_join_to_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::make(dir.path()).unwrap();
    let base = layout.output_of(attempt());
    assert!(read_part(&layout, Stream::Out, 0, 10).is_none());
    let (mut out, mut err) = create(&base).unwrap();
    let text: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
    out.write_all(&text).unwrap();
    err.write_all(b"\0\xff").unwrap();
    let mut joined = Vec::new();
    loop {
        let part = read_part(&layout, Stream::Out, joined.len() as u64, u32::MAX);
        let part = part.unwrap();
        assert!(part.bytes.len() <= PART_MAX);
        assert_eq!(part.len, 500_000);
        if part.bytes.is_empty() {
            break;
        }
        joined.extend(part.bytes);
    }
    assert!(joined == text);
    assert_eq!(read_part(&layout, Stream::Err, 0, 9).unwrap().bytes, b"\0\xff");
}

#[test]
fn marks_tell_the_time_of_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::make(dir.path()).unwrap();
    let base = layout.output_of(attempt());
    let (mut out, _err) = create(&base).unwrap();
    let mut marker = Marker::new(base.clone());
    for at in 1..=3000_u64 {
        out.write_all(b"0123456789").unwrap();
        assert!(marker.note(at as Millis * 100, (at * 10, at / 2)).unwrap());
    }
    assert!(!marker.note(999, (30_000, 1500)).unwrap());
    let part = read_part(&layout, Stream::Out, 25, 40).unwrap();
    let times: Vec<Millis> = part.marks.iter().map(|mark| mark.at_ms).collect();
    assert_eq!(times, [300, 400, 500, 600, 700]);
    let part = read_part(&layout, Stream::Out, 0, 100_000).unwrap();
    assert_eq!((part.marks.len(), part.bytes.len()), (1000, 10_000));
    // Of the other stream only those at which it grew.
    std::fs::write(file(&base, "err"), [7; 1500]).unwrap();
    let part = read_part(&layout, Stream::Err, 0, 3).unwrap();
    let times: Vec<Millis> = part.marks.iter().map(|mark| mark.at_ms).collect();
    assert_eq!(times, [200, 400, 600]);
}

#[test]
fn a_hole_is_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::make(dir.path()).unwrap();
    let base = layout.output_of(attempt());
    let (mut out, _err) = create(&base).unwrap();
    out.write_all(&[b'x'; 10_000]).unwrap();
    let holes = Holes { out: (4_096, 8_192), err: (0, 0) };
    write_holes(&base, holes).unwrap();
    assert_eq!(read_holes(&base), holes);
    let head = read_part(&layout, Stream::Out, 100, 100_000).unwrap();
    assert_eq!((head.from, head.bytes.len(), head.hole), (100, 3_996, Some((4_096, 8_192))));
    let tail = read_part(&layout, Stream::Out, 4_096, 100_000).unwrap();
    assert_eq!((tail.from, tail.bytes.len(), tail.len), (8_192, 1_808, 10_000));
    assert_eq!(read_part(&layout, Stream::Err, 0, 1).unwrap().hole, None);
}
