//! Output of any bytes and size, out and err told apart, with times; quotas.

use crate::rig::Rig;
use shared::wire::*;
use std::os::unix::fs::MetadataExt;

#[test]
fn bytes_are_kept_as_they_are() {
    let mut rig = Rig::start();
    // Five megabytes without a line's end, all byte values, and something else on the other stream.
    let source = rig.path("bytes");
    let bytes: Vec<u8> =
        (0..5_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&source, &bytes).unwrap();
    let script = "cat \"$0\"; printf 'to err\\n\\377\\000' >&2";
    let attempt = rig.run(&["sh", "-c", script, &source.display().to_string()]);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)));
    assert!(rig.read(attempt, Stream::Out) == bytes);
    assert_eq!(rig.read(attempt, Stream::Err), b"to err\n\xff\0");
    let report = &rig.known[&attempt];
    assert_eq!((report.out_bytes, report.err_bytes), (5_000_000, 9));
    let silent = rig.run(&["true"]);
    rig.end(silent);
    assert!(rig.read(silent, Stream::Out).is_empty());
}

#[test]
fn it_can_be_read_while_it_is_written_and_has_its_times() {
    let mut rig = Rig::start();
    let gate = rig.path("gate");
    let script =
        "echo one; sleep 0.4; echo two; while [ ! -e \"$0\" ]; do sleep 0.05; done; echo three";
    let attempt = rig.run(&["sh", "-c", script, &gate.display().to_string()]);
    rig.until("two lines", |rig| {
        let file = rig.layout.output_of(attempt).with_extension("out");
        std::fs::read(file).is_ok_and(|bytes| bytes == b"one\ntwo\n")
    });
    std::fs::write(&gate, "").unwrap();
    rig.end(attempt);
    let part = rig.part(attempt, Stream::Out, 0);
    assert_eq!(part.bytes, b"one\ntwo\nthree\n");
    let time = |length| part.marks.iter().find(|mark| mark.out_len >= length).unwrap().at_ms;
    let apart = time(8) - time(4);
    assert!((200..5_000).contains(&apart), "{apart} ms: {:?}", part.marks);
    assert_eq!(part.marks.last().unwrap().out_len, 14);
}

#[test]
fn a_quota_keeps_head_and_tail() {
    let mut rig = Rig::start();
    let script = "printf HEAD; head -c 30000000 /dev/zero | tr '\\0' x; sleep 0.3
        head -c 30000000 /dev/zero | tr '\\0' y; sleep 0.3; printf TAIL; echo fine >&2";
    let mut start = rig.plan(&["sh", "-c", script]);
    start.work.output_max = Some(1_000_000);
    let attempt = rig.begin(start);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)), "the job goes on");
    assert_eq!(rig.known[&attempt].out_bytes, 60_000_008);
    let part = rig.part(attempt, Stream::Out, 0);
    let (from, until) = part.hole.unwrap();
    assert_eq!(part.len, 60_000_008);
    assert!((490_000..=500_000).contains(&from), "{from}");
    assert!((500_000..700_000).contains(&(part.len - until)), "{until}");
    let kept = rig.read(attempt, Stream::Out);
    assert_eq!(kept.len() as u64, from + part.len - until);
    assert!(kept.starts_with(b"HEADxxx") && kept.ends_with(b"yyyTAIL") && !kept.contains(&0));
    // A reader in the middle is sent to where it goes on.
    assert_eq!(rig.part(attempt, Stream::Out, from + 7).from, until);
    let file = rig.layout.output_of(attempt).with_extension("out");
    let blocks = std::fs::metadata(file).unwrap().blocks() * 512;
    assert!(blocks < 2_000_000, "{blocks} bytes are still on the disk");
    assert_eq!(rig.out_of(attempt, Stream::Err), "fine\n");
}
