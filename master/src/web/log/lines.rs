//! Lines of an attempt's output: bytes of two files and the marks of their growth, put into one order.
//!
//! Pure. A line's time is that of the first mark that covers its first byte (grain: 100 ms); out and
//! err are merged by it. What is no UTF-8 is shown as `\xNN`, never lost. Called by [`super`].

use serde::Serialize;
use shared::ids::Millis;
use shared::wire::{LogPart, Mark, Stream};

/// A longer line is shown in pieces.
const LINE_MAX: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) stream: Stream,
    /// Its first byte in the stream's file: how it is named in links.
    pub(super) from: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_ms: Option<Millis>,
    pub(super) text: String,
    /// Its end has not been written yet: it will be told again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) open: bool,
    #[serde(skip)]
    pub(super) until: u64,
}

/// Where to begin: one offset per stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) out: u64,
    pub(super) err: u64,
}

impl Place {
    pub(super) fn of(self, stream: Stream) -> u64 {
        match stream {
            Stream::Out => self.out,
            Stream::Err => self.err,
        }
    }

    pub(super) fn set(&mut self, stream: Stream, at: u64) {
        match stream {
            Stream::Out => self.out = at,
            Stream::Err => self.err = at,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}-{}", self.out, self.err)
    }
}

/// One stream's part as lines. `whole` says that the part begins at the beginning of a line;
/// otherwise what comes before the first newline is left out.
pub(super) fn split(part: &LogPart, stream: Stream, whole: bool) -> Vec<Line> {
    let bytes = &part.bytes[..];
    let end = part.from + bytes.len() as u64;
    let mut at = match (whole, bytes.iter().position(|&byte| byte == b'\n')) {
        (true, _) => 0,
        (false, Some(newline)) => newline + 1,
        (false, None) => bytes.len(),
    };
    let mut lines = Vec::new();
    while at < bytes.len() {
        let rest = &bytes[at..];
        let newline = rest.iter().position(|&byte| byte == b'\n');
        let (length, skip, open) = match newline {
            Some(newline) if newline <= LINE_MAX => (newline, 1, false),
            _ if rest.len() > LINE_MAX => (boundary(rest, LINE_MAX), 0, false),
            Some(newline) => (newline, 1, false),
            // The last line without a newline: it may still grow, or the next part has its end.
            None => (rest.len(), 0, !(part.ended && end >= part.len)),
        };
        let from = part.from + at as u64;
        lines.push(Line {
            stream,
            from,
            at_ms: time_of(&part.marks, stream, from),
            text: shown(&rest[..length]),
            open,
            until: from + (length + skip) as u64,
        });
        at += length + skip;
    }
    lines
}

/// Not in the middle of a character.
fn boundary(bytes: &[u8], at: usize) -> usize {
    let back = (0..4).find(|back| bytes[at - back] & 0b1100_0000 != 0b1000_0000);
    at - back.unwrap_or(0)
}

fn length(mark: &Mark, stream: Stream) -> u64 {
    match stream {
        Stream::Out => mark.out_len,
        Stream::Err => mark.err_len,
    }
}

fn time_of(marks: &[Mark], stream: Stream, from: u64) -> Option<Millis> {
    let at = marks.partition_point(|mark| length(mark, stream) <= from);
    marks.get(at).or(marks.last()).map(|mark| mark.at_ms)
}

/// UTF-8 as it is; other bytes as `\xNN`.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if text.ends_with('\r') {
        text.pop();
    }
    text
}

/// Both streams by time; of one time, out first. Each stream keeps its own order.
pub(super) fn merge(out: Vec<Line>, err: Vec<Line>) -> Vec<Line> {
    let mut merged = Vec::with_capacity(out.len() + err.len());
    let (mut out, mut err) = (out.into_iter().peekable(), err.into_iter().peekable());
    while let (Some(a), Some(b)) = (out.peek(), err.peek()) {
        let next = if a.at_ms <= b.at_ms { out.next() } else { err.next() };
        merged.extend(next);
    }
    merged.extend(out);
    merged.extend(err);
    merged
}

/// Reading forward: if one stream's part ends before the stream does, lines of the other that are
/// later than its last one wait for the next page.
pub(super) fn cut_after(lines: &mut Vec<Line>, parts: [(&LogPart, Stream); 2]) {
    for (part, stream) in parts {
        let more = part.from + (part.bytes.len() as u64) < part.len;
        let last =
            lines.iter().rev().find(|line| line.stream == stream).and_then(|line| line.at_ms);
        if let (true, Some(last)) = (more, last) {
            lines.retain(|line| line.stream == stream || line.at_ms.is_none_or(|at| at <= last));
        }
    }
}

/// Reading backward: lines of one stream that are older than where the other begins wait for the
/// page before.
pub(super) fn cut_before(lines: &mut Vec<Line>, parts: [(&LogPart, Stream); 2]) {
    for (part, stream) in parts {
        let first = lines.iter().find(|line| line.stream == stream).and_then(|line| line.at_ms);
        if let (true, Some(first)) = (part.from > 0, first) {
            lines.retain(|line| line.stream == stream || line.at_ms.is_none_or(|at| at >= first));
        }
    }
}

/// Words that a line with the cause of a failure has.
const CAUSE: &str = r"(?i)\b(error|exception|fatal|failed|failure|panic(ked)?|traceback|denied|refused|cannot|can't|no such|not found|unable|killed|out of memory|segmentation|ora-\d+|unexpected|invalid)\b";

/// The line of an output's tail that most likely says why it failed: the last one with such a word
/// that is no frame of a stack; else the last that says anything.
pub(super) fn cause(lines: &[Line]) -> Option<&Line> {
    static WORDS: std::sync::OnceLock<Option<regex::Regex>> = std::sync::OnceLock::new();
    let words = WORDS.get_or_init(|| regex::Regex::new(CAUSE).ok()).as_ref();
    let says = |line: &&Line| !line.text.trim().is_empty();
    let frame = |text: &str| {
        let text = text.trim_start();
        text.starts_with("at ") || text.starts_with("File \"") || text.starts_with("...")
    };
    let told = lines.iter().rev().filter(says);
    let mut with_word =
        told.clone().filter(|line| words.is_some_and(|words| words.is_match(&line.text)));
    with_word.find(|line| !frame(&line.text)).or_else(|| told.clone().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &[u8], from: u64, len: u64, marks: &[(Millis, u64, u64)]) -> LogPart {
        LogPart {
            from,
            bytes: text.to_vec(),
            len,
            ended: true,
            hole: None,
            marks: marks
                .iter()
                .map(|&(at_ms, out_len, err_len)| Mark { at_ms, out_len, err_len })
                .collect(),
        }
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_have_the_time_at_which_they_were_first_seen() {
        let part = part(b"a\nbb\nccc", 0, 8, &[(100, 2, 0), (200, 8, 0)]);
        let lines = split(&part, Stream::Out, true);
        assert_eq!(texts(&lines), ["a", "bb", "ccc"]);
        let times: Vec<_> = lines.iter().map(|line| (line.from, line.at_ms)).collect();
        assert_eq!(times, [(0, Some(100)), (2, Some(200)), (5, Some(200))]);
        assert!(!lines[2].open, "it has ended");
    }

    #[test]
    fn the_last_line_of_what_still_runs_is_open() {
        let mut part = part(b"a\nb", 0, 3, &[]);
        part.ended = false;
        let lines = split(&part, Stream::Out, true);
        assert_eq!((lines[0].open, lines[1].open), (false, true));
    }

    #[test]
    fn a_part_from_the_middle_begins_at_a_line() {
        let part = part(b"alf\nwhole\n", 10, 20, &[]);
        let lines = split(&part, Stream::Err, false);
        assert_eq!((texts(&lines), lines[0].from, lines[0].until), (vec!["whole"], 14, 20));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown() {
        let lines = split(&part(b"\xff\xe4\xb8\xad\x00\r\n", 0, 7, &[]), Stream::Out, true);
        assert_eq!(lines[0].text, "\\xff中\0");
    }

    #[test]
    fn an_endless_line_is_shown_in_pieces_of_whole_characters() {
        let bytes = "中".repeat(10_000).into_bytes();
        let lines = split(&part(&bytes, 0, 30_000, &[]), Stream::Out, true);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines.iter().map(|line| line.text.chars().count()).sum::<usize>(), 10_000);
    }

    #[test]
    fn out_and_err_are_put_into_one_order() {
        let marks = [(100, 2, 0), (200, 2, 2), (300, 4, 2)];
        let out = split(&part(b"1\n3\n", 0, 4, &marks), Stream::Out, true);
        let err = split(&part(b"2\n", 0, 2, &marks), Stream::Err, true);
        assert_eq!(texts(&merge(out, err)), ["1", "2", "3"]);
    }

    #[test]
    fn a_page_does_not_run_ahead_of_the_slower_stream() {
        let marks = [(100, 2, 0), (200, 2, 2), (300, 4, 2), (400, 4, 4)];
        // Of out only the first line is read; there is more.
        let (out, err) = (part(b"1\n", 0, 4, &marks), part(b"2\n4\n", 0, 4, &marks));
        let mut lines = merge(split(&out, Stream::Out, true), split(&err, Stream::Err, true));
        cut_after(&mut lines, [(&out, Stream::Out), (&err, Stream::Err)]);
        assert_eq!(texts(&lines), ["1"]);
        let (out, err) = (part(b"3\n", 2, 4, &marks), part(b"2\n4\n", 0, 4, &marks));
        let mut lines = merge(split(&out, Stream::Out, true), split(&err, Stream::Err, true));
        cut_before(&mut lines, [(&out, Stream::Out), (&err, Stream::Err)]);
        assert_eq!(texts(&lines), ["3", "4"]);
    }

    #[test]
    fn the_cause_is_the_last_line_that_says_so() {
        let check = |text: &str, expected: Option<&str>| {
            let lines = split(&part(text.as_bytes(), 0, 999, &[]), Stream::Err, true);
            assert_eq!(cause(&lines).map(|line| line.text.as_str()), expected, "{text}");
        };
        check("go\nERROR: no space left\ncleaning up\n", Some("ERROR: no space left"));
        check("awk: cannot open x\nexit\n", Some("awk: cannot open x"));
        check(
            "Exception in thread main\n  at a.Failed.error(A.java)\n",
            Some("Exception in thread main"),
        );
        check("one\ntwo\n\n", Some("two"));
        check("\n\n", None);
    }
}
