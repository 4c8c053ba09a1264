//! Reading what Kettle and Hop print, line by line as it goes by, in whatever language.
//!
//! `yyyy/MM/dd HH:mm:ss - SUBJECT - text`: only what no translation touches is looked at: the date, the
//! subject, `ERROR (version`, the brackets with a name, `(I=…, O=…, R=…, W=…, U=…, E=…)`, and, on the way,
//! the number at the end of `read.0 - Linenr 50000` (where a run is configured to give such feedback).

use super::Engine;
use super::counts::{Counts, STEPS_MAX, Step, Whose, short};
use super::entries::{Entries, Told};
use crate::ids::Millis;
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// Characters of an error that is kept.
const ERROR_CHARS_MAX: usize = 300;
/// What stands before the number of a row, in any language: no more than that.
const FEEDBACK_CHARS_MAX: usize = 16;

/// Who speaks before what is to run is loaded: the programs, the list of repositories, and a part of every newer Kettle
/// that says what it does not know of sftp.
const BEFORE: &[&str] = &["Kitchen", "Pan", "RepositoriesMeta", "cfgbuilder"];
/// Steps whose errors are told.
const FAULTS_MAX: usize = 200;

/// What was read so far.
#[derive(Clone, Debug)]
pub struct Reading {
    engine: Engine,
    /// The program has begun.
    pub began: bool,
    /// What it runs has begun: it is loaded, from wherever it was.
    pub at_work: bool,
    /// Lines that tell of an error.
    pub errors: u64,
    pub first_error: Option<String>,
    /// The JVM had no heap left.
    pub out_of_heap: bool,
    /// The JVM was not given by its host what it asked for.
    pub out_of_memory: bool,
    pub counts: Counts,
    entries: Entries,
    /// The entry that has begun it.
    entry: String,
    /// The transformation that began last.
    part: String,
    /// When that was, by the clock of the log.
    begun: Millis,
    /// Of steps of any part: when its round began, and what it has taken of it so far.
    took: BTreeMap<[String; 3], (Millis, u64)>,
    /// Lines of the program itself.
    own: u32,
}

impl Reading {
    pub fn new(engine: Engine) -> Reading {
        Reading {
            engine,
            began: false,
            at_work: false,
            errors: 0,
            first_error: None,
            out_of_heap: false,
            out_of_memory: false,
            counts: Counts::default(),
            entries: Entries::default(),
            entry: String::new(),
            part: String::new(),
            begun: 0,
            took: BTreeMap::new(),
            own: 0,
        }
    }

    /// Of a server, which runs what was asked for in jobs of these names: they are ours, and not told of.
    pub fn below(engine: Engine, around: impl IntoIterator<Item = String>) -> Reading {
        Reading { entries: Entries::below(around), ..Reading::new(engine) }
    }

    /// The transformation that began last (empty: none has), with the entry that has begun it.
    pub fn whose(&self) -> Whose<'_> {
        Whose { entry: &self.entry, part: &self.part }
    }

    /// Some lines will never be read.
    pub fn hole(&mut self) {
        self.entries.hole();
        self.entry.clear();
    }

    pub fn line(&mut self, line: &str) {
        self.out_of_heap |= line.contains("java.lang.OutOfMemoryError");
        let Some((at, rest)) = dated(line) else { return self.bare(line) };
        if is_error(self.engine, rest) {
            return self.error(rest);
        }
        let who = rest.split_once(" - ").map(|(subject, _)| subject);
        self.at_work |= who.is_some_and(|subject| !BEFORE.contains(&subject));
        if let Some(step) = step(rest).or_else(|| feedback(rest)) {
            let mut step = step.of(&self.entry);
            step.part.clone_from(&self.part);
            step.took_ms = self.took(at, &step);
            return self.counts.add(step);
        }
        let Some((subject, text)) = rest.split_once(" - ") else { return };
        match self.entries.line(rest) {
            Told::Part(part) => {
                (self.entry, self.part) = (self.entries.path(), short(part));
                self.begun = at;
            }
            // It may have been begun by one of them.
            Told::Launch => self.entry = self.entries.path(),
            Told::Entry { .. } | Told::Nothing => {}
        }
        match self.engine {
            Engine::Kitchen | Engine::Pan => {
                if matches!(subject, "Kitchen" | "Pan") {
                    // The first may be the line of the level; what comes next is the start, in any language.
                    self.own += 1;
                    self.began |= text.starts_with("Start of run") || self.own > 1;
                }
            }
            Engine::Hop => self.began = true,
        }
    }

    /// What a step has taken beyond what was counted of it already: its copies run side by side, the
    /// rounds of a loop one after the other.
    fn took(&mut self, at: Millis, step: &Step) -> u64 {
        // The clock of a log goes back in autumn.
        let all = u64::try_from(at - self.begun).unwrap_or(0);
        let key = [&step.entry, &step.part, &step.name].map(Clone::clone);
        let room = self.took.len() < STEPS_MAX;
        let known = self.took.get(&key).filter(|(begun, _)| *begun == self.begun);
        let known = known.map_or(0, |(_, took)| *took);
        if step.part.is_empty() || !room && !self.took.contains_key(&key) {
            return 0;
        }
        self.took.insert(key, (self.begun, known.max(all)));
        all.saturating_sub(known)
    }

    /// What is printed before there is a log, or instead of one.
    fn bare(&mut self, line: &str) {
        self.out_of_memory |= is_refused_memory(line);
        let fatal =
            ["ERROR: ", "Unrecognized VM option", "Error: Could not create the Java Virtual"];
        let hop = ["Error found during execution!", "General error found"];
        let found = fatal.iter().any(|text| line.starts_with(text))
            || self.engine == Engine::Hop && hop.iter().any(|text| line.starts_with(text));
        if found {
            self.error(line);
        }
    }

    fn error(&mut self, text: &str) {
        self.errors = self.errors.saturating_add(1);
        let first = || text.trim().chars().take(ERROR_CHARS_MAX).collect();
        self.first_error.get_or_insert_with(first);
    }
}

/// Steps and entries that an output tells errors of, with the first line of each; without words an
/// entry that has only said that it went wrong.
pub fn faults(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for rest in text.lines().filter_map(dated).map(|(_, rest)| rest) {
        let error = [" - ERROR (", " - ERROR: "].iter().find_map(|mark| rest.split_once(mark));
        let (subject, words) = match error {
            // A step has the number of its copy.
            Some((subject, words)) => {
                let (name, copy) = subject.rsplit_once('.').unwrap_or((subject, ""));
                let is_copy = !copy.is_empty() && copy.bytes().all(|byte| byte.is_ascii_digit());
                let words = words.split_once(") : ").map_or(words, |(_, words)| words);
                (if is_copy { name } else { subject }, words)
            }
            // In any language.
            None => match rest.trim_end().strip_suffix("] (result=[false])") {
                Some(head) => (head.rsplit_once('[').map_or("", |(_, name)| name), ""),
                None => continue,
            },
        };
        if !found.contains_key(subject) && found.len() >= FAULTS_MAX {
            continue;
        }
        let known = found.entry(short(subject)).or_default();
        if known.is_empty() {
            *known = words.trim().chars().take(ERROR_CHARS_MAX).collect();
        }
    }
    found
}

/// When it was said (by a clock without a zone), and what comes after `2026/11/20 10:19:21 - `.
pub(crate) fn dated(line: &str) -> Option<(Millis, &str)> {
    const SHAPE: &[u8] = b"0000/00/00 00:00:00 - ";
    let head = line.as_bytes().get(..SHAPE.len())?;
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte == shape,
    };
    if !head.iter().zip(SHAPE).all(fits) {
        return None;
    }
    let number = |at: usize, len: usize| line.get(at..at + len)?.parse::<u32>().ok();
    let year = number(0, 4).and_then(|year| i32::try_from(year).ok())?;
    let day = NaiveDate::from_ymd_opt(year, number(5, 2)?, number(8, 2)?)?;
    let at = day.and_hms_opt(number(11, 2)?, number(14, 2)?, number(17, 2)?)?;
    Some((at.and_utc().timestamp_millis(), line.get(SHAPE.len()..)?))
}

/// What a JVM says that its host refuses memory, at its start or later. The size stands between the words
/// in some: `Could not reserve enough space for 67108864KB object heap`.
fn is_refused_memory(line: &str) -> bool {
    let heap = line.contains("Could not reserve enough space for") && line.contains("object heap");
    heap || line.contains("There is insufficient memory for the Java Runtime Environment")
        || line.contains("Could not allocate compressed class space")
}

fn is_error(engine: Engine, rest: &str) -> bool {
    match engine {
        Engine::Kitchen | Engine::Pan => rest.contains(" - ERROR (version "),
        Engine::Hop => rest.contains(" - ERROR: ") || rest.contains(" - ERROR ("),
    }
}

/// `gen.0 - Finished processing (I=0, O=0, R=0, W=3, U=0, E=0)`, whatever the words.
fn step(rest: &str) -> Option<Step> {
    let (head, numbers) = rest.trim_end().strip_suffix(')')?.rsplit_once("(I=")?;
    let (subject, _) = head.rsplit_once(" - ")?;
    let (name, copy) = subject.rsplit_once('.')?;
    let mut values = [0; 6];
    let mut parts = numbers.split(", ");
    for (value, key) in values.iter_mut().zip(["", "O=", "R=", "W=", "U=", "E="]) {
        *value = parts.next()?.strip_prefix(key)?.parse().ok()?;
    }
    let whole = parts.next().is_none() && !name.is_empty() && !copy.is_empty();
    whole.then(|| Step::ended(String::new(), short(name), values))
}

/// `gen.0 - LineNr : 50000`, whatever the words: what a step says every so many rows.
fn feedback(rest: &str) -> Option<Step> {
    let (subject, text) = rest.trim_end().rsplit_once(" - ")?;
    let (name, copy) = subject.rsplit_once('.')?;
    // Some leave no blank between them.
    let words = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let at_row: u64 = text.get(words.len()..)?.parse().ok()?;
    let is_copy = !copy.is_empty() && copy.bytes().all(|byte| byte.is_ascii_digit());
    let fits = words.chars().count() <= FEEDBACK_CHARS_MAX
        && !words.contains(|c: char| c.is_ascii_digit());
    // It is given at round numbers.
    let fits = fits
        && at_row > 0
        && at_row.is_multiple_of(1_000)
        && is_copy
        && !name.is_empty()
        && !words.is_empty();
    fits.then(|| Step { name: short(name), at_row, ..Step::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(engine: Engine, text: &str) -> Reading {
        let mut reading = Reading::new(engine);
        text.lines().for_each(|line| reading.line(line));
        reading
    }

    fn steps(reading: &Reading) -> Vec<String> {
        let told = |step: &Step| {
            let Step { part, name, lines, input, output, read, written, updated, errors, .. } =
                step;
            format!("{part}/{name} {lines}: {input} {output} {read} {written} {updated} {errors}")
        };
        reading.counts.steps.iter().map(told).collect()
    }

    #[test]
    fn a_job_of_kettle_is_read_as_it_was_recorded() {
        let reading = read(Engine::Kitchen, include_str!("fixtures/kitchen-7.1-ok.txt"));
        assert!(reading.began && !reading.out_of_heap);
        assert_eq!((reading.errors, &reading.first_error), (0, &None));
        assert_eq!(steps(&reading), ["hello/gen 1: 0 0 0 3 0 0", "hello/log 1: 0 0 3 3 0 0"]);
        let failed = read(Engine::Kitchen, include_str!("fixtures/kitchen-7.1-failed.txt"));
        assert_eq!(failed.errors, 2);
        assert!(failed.first_error.unwrap().ends_with("deliberate abort"));
    }

    #[test]
    fn errors_are_told_of_the_step_that_has_them() {
        let told = faults(include_str!("fixtures/kitchen-7.1-failed.txt"));
        assert_eq!(told["abort"], "deliberate abort");
        assert_eq!(told.get("trans").map(String::as_str), Some(""), "{told:?}");
        let told = faults(include_str!("fixtures/hop-2.15-failed.txt"));
        assert!(told.values().any(|words| words.contains("bad row seen")), "{told:?}");
        let told = faults(
            "2026/11/20 10:19:21 - a.b.0 - ERROR (version 9) : x\n2026/11/20 10:19:21 - a.b.1 - ERROR (version 9) : y",
        );
        assert_eq!(told.into_iter().collect::<Vec<_>>(), [("a.b".to_owned(), "x".to_owned())]);
        let many = (0..1_000).map(|n| format!("2026/11/20 10:19:21 - s{n} - ERROR: x\n"));
        assert_eq!(faults(&many.collect::<String>()).len(), FAULTS_MAX);
    }

    #[test]
    fn another_language_changes_nothing() {
        let reading = read(Engine::Pan, include_str!("fixtures/pan-zh.txt"));
        assert!(reading.began);
        assert_eq!(reading.errors, 1);
        assert_eq!(
            steps(&reading),
            ["载入/读取 - 订单 2: 2001 0 0 2000 0 0", "载入/写入 1: 0 1999 2000 1999 5 1"]
        );
    }

    #[test]
    fn a_workflow_of_hop_is_read_as_it_was_recorded() {
        let reading = read(Engine::Hop, include_str!("fixtures/hop-2.15-daily.txt"));
        assert!(reading.began);
        assert_eq!(reading.errors, 0);
        assert_eq!(steps(&reading)[0], "sales/read 1: 7 0 0 6 0 0");
        let failed = read(Engine::Hop, include_str!("fixtures/hop-2.15-missing.txt"));
        assert!(failed.errors > 0, "{failed:?}");
        let failed = read(Engine::Hop, include_str!("fixtures/hop-2.15-failed.txt"));
        assert!(failed.first_error.unwrap().contains("bad row seen"));
    }

    #[test]
    fn on_its_way_a_step_is_at_a_row_and_its_speed_is_known() {
        let mut reading = Reading::new(Engine::Hop);
        let mut say = |text: &str| reading.line(&format!("2026/11/30 07:{text}"));
        say("49:30 - rows - Execution started for pipeline [rows]");
        say("49:30 - gen.0 - LineNr : 50000");
        say("49:34 - gen.0 - LineNr : 400000");
        say("49:33 - out.0 - Linenr 300000");
        say("49:34 - out.0 - linenr350000");
        say("49:35 - 写.0 - 行号 1000");
        for none in [
            "out.0 - Opened 7 files 4000",
            "out.0 - at 1234",
            "out - Linenr 50000",
            "out.x - row 9000",
        ] {
            say(&format!("49:40 - {none}"));
        }
        let told: Vec<_> = reading
            .counts
            .steps
            .iter()
            .map(|it| (&*it.name, it.lines, it.at_row, it.speed()))
            .collect();
        assert_eq!(
            told,
            [
                ("gen", 0, 400_000, Some(100_000)),
                ("out", 0, 350_000, Some(87_500)),
                ("写", 0, 1_000, Some(200)),
            ]
        );
    }

    #[test]
    fn copies_take_their_time_side_by_side_and_rounds_one_after_the_other() {
        let mut reading = Reading::new(Engine::Pan);
        let mut say = |text: &str| reading.line(&format!("2026/11/30 07:{text}"));
        for (begin, first, second) in [("10:00", "10:04", "10:06"), ("11:00", "11:01", "11:02")] {
            say(&format!("{begin} - load - Dispatching started for transformation [load]"));
            say(&format!("{first} - a.0 - Finished processing (I=0, O=0, R=0, W=4000, U=0, E=0)"));
            say(&format!("{second} - a.1 - Finished processing (I=0, O=0, R=0, W=4000, U=0, E=0)"));
        }
        let step = &reading.counts.steps[0];
        assert_eq!((step.lines, step.took_ms, step.speed()), (4, 8_000, Some(2_000)));
    }

    #[test]
    fn only_lines_of_that_very_shape_count() {
        for line in [
            "gen.0 - Finished processing (I=0, O=0, R=0, W=3, U=0, E=0)",
            "2026/11/20 10:19:21 - gen.0 - done (I=0, O=0, R=0, W=3, U=0)",
            "2026/11/20 10:19:21 - gen.0 - done (I=0, O=0, R=0, W=3, U=0, E=x)",
            "2026/11/20 10:19:21 - gen - done (I=0, O=0, R=0, W=3, U=0, E=0)",
            "2026/11/20 10:19:21 - gen.0 - done (I=0, O=0, R=0, W=3, U=0, E=0, X=1)",
            "2026/1/20 10:19:21 - gen.0 - done (I=0, O=0, R=0, W=3, U=0, E=0)",
            "2026/11/20 10:19:21 - ",
            "日期",
            "",
        ] {
            let reading = read(Engine::Pan, line);
            assert!(reading.counts.is_empty() && reading.errors == 0, "{line}");
        }
        let odd = "2026/11/20 10:19:21 - [map].a.b.p1 - x (I=1, O=2, R=3, W=4, U=5, E=6)  ";
        assert_eq!(steps(&read(Engine::Pan, odd)), ["/[map].a.b 1: 1 2 3 4 5 6"]);
    }

    #[test]
    fn the_line_of_the_level_alone_is_no_start() {
        let level = "2026/11/20 10:19:21 - Kitchen - Logging is at level : Basic";
        assert!(!read(Engine::Kitchen, level).began);
        let start = "2026/11/20 10:19:21 - Kitchen - Start of run.";
        assert!(read(Engine::Kitchen, start).began);
        let usage = "Options:\n  -rep = Repository name";
        assert!(!read(Engine::Kitchen, usage).began);
    }

    #[test]
    fn what_the_jvm_says_is_heard() {
        let heap = "Exception in thread \"x\" java.lang.OutOfMemoryError: Java heap space";
        assert!(read(Engine::Pan, heap).out_of_heap);
        for refused in [
            "Could not reserve enough space for object heap",
            "Could not reserve enough space for 67108864KB object heap",
            "# There is insufficient memory for the Java Runtime Environment to continue.",
            "Could not allocate compressed class space: 1073741824 bytes",
        ] {
            let reading = read(Engine::Hop, refused);
            assert!(reading.out_of_memory && !reading.out_of_heap, "{refused}");
        }
        let other = "2026/11/20 10:19:21 - x - Could not reserve enough space for the order";
        assert!(!read(Engine::Pan, other).out_of_memory);
        let option = "Unrecognized VM option 'MaxPermSize=256m'\nError: Could not create the Java Virtual Machine.";
        let reading = read(Engine::Pan, option);
        assert_eq!(
            reading.first_error.as_deref(),
            Some("Unrecognized VM option 'MaxPermSize=256m'")
        );
    }
}
