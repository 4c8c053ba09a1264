//! How the output grows: marks every 100 ms, and the quota, which cuts a hole into the middle.
//!
//! Head and tail stay, offsets stay, the job goes on. Used by the supervisor's loop.

use super::children::{Child, Children};
use crate::spool::output;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use shared::ids::{AttemptId, Millis};
use shared::wire::Stream;

/// The grain of the times of lines.
pub const EVERY_MS: Millis = 100;
/// Holes begin and end at blocks: what is within one cannot be given back.
const BLOCK: u64 = 4096;
/// No quota is smaller: head and tail must hold something.
pub const QUOTA_MIN: u64 = 16 * BLOCK;

/// Looks at all that runs; tells who has grown to how much.
pub fn look(children: &mut Children, wall_ms: Millis, mut grew: impl FnMut(AttemptId, (u64, u64))) {
    for child in children.all() {
        if note(child, wall_ms) {
            grew(child.attempt, child.marker.last());
        }
    }
}

/// Notes how much one has written by now, and keeps it within its quota.
pub fn note(child: &mut Child, wall_ms: Millis) -> bool {
    let lengths = child.lengths();
    let (grown, marked) = match child.marker.note(wall_ms, lengths) {
        Ok(grown) => {
            child.marker.told &= !grown;
            (grown, true)
        }
        Err(error) => {
            // Once: a full disk is looked at ten times a second.
            if !std::mem::replace(&mut child.marker.told, true) {
                tracing::warn!("{}: times of its output are not kept: {error}", child.attempt);
            }
            // A hole gives room: it is what a full disk needs most.
            (false, false)
        }
    };
    if grown || !marked {
        for (stream, length) in [(Stream::Out, lengths.0), (Stream::Err, lengths.1)] {
            cut(child, stream, length);
        }
    }
    grown
}

fn cut(child: &mut Child, stream: Stream, length: u64) {
    let max = child.output_max.max(QUOTA_MIN);
    let Some((out, err)) = &child.files else { return };
    let (file, hole) = match stream {
        Stream::Out => (out, child.holes.out),
        Stream::Err => (err, child.holes.err),
    };
    let down = |bytes: u64| bytes / BLOCK * BLOCK;
    let begin = down(max / 2);
    let done = hole.1.max(begin);
    let until = down(length.saturating_sub(max / 2));
    // Not for every block: each cut is a few system calls.
    if length <= max || until < done + (max / 8).max(BLOCK) {
        return;
    }
    let before = child.holes;
    match stream {
        Stream::Out => child.holes.out = (begin, until),
        Stream::Err => child.holes.err = (begin, until),
    }
    if let Err(error) = output::write_holes(child.marker.base(), child.holes) {
        child.holes = before;
        if !std::mem::replace(&mut child.marker.told, true) {
            tracing::warn!("{}: its quota cannot be kept: {error}", child.attempt);
        }
        return;
    }
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let (from, bytes) = (done.cast_signed(), (until - done).cast_signed());
    match fallocate(file, flags, from, bytes) {
        Ok(()) => {}
        Err(Errno::EINTR) => child.holes = before,
        Err(error) => {
            // A file system without holes: all is kept, and the low-water mark of the disk must do.
            child.holes = before;
            child.output_max = u64::MAX;
            let _ = output::write_holes(child.marker.base(), before);
            tracing::warn!("{}: no hole can be made in its output: {error}", child.attempt);
        }
    }
}
