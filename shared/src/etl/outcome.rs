//! How a run of Kettle or Hop has ended. Their exit code is the beginning of it: 0 may hide errors, or
//! that nothing ran at all; 1 may mean that there was no heap left.
//!
//! The codes from 200 on are ours: a program that ends with one of them (`KETTLE_TRANS_PAN_JVM_EXIT_CODE`
//! may be any number) has ended with 1, and its own is told.

use super::Engine;
use super::log::Reading;
use std::collections::BTreeSet;

const OURS: i32 = 200;
/// Exit code 0, but its log tells of errors. Whether that is success is the job's to say.
pub const WITH_ERRORS: i32 = 200;
/// Exit code 0, and it never said that it begins.
pub const NEVER_BEGAN: i32 = 201;
/// A parameter is given that what it runs does not declare.
pub const UNDECLARED: i32 = 202;
/// Something that it needs is not there: it was not started.
pub const NOT_READY: i32 = 203;
/// The JVM had no heap left, or its host gave it no memory.
pub const OUT_OF_HEAP: i32 = 204;
/// It did not begin in time: it waits for a browser or a password, or its machine is too slow.
pub const NO_START: i32 = 205;
/// The JVM that was lent to it has gone, by another run perhaps. (206 and 207: [`crate::external::outcome`].)
pub const WARM_LOST: i32 = 208;

/// How the program itself has ended, as a shell tells it: 128 and a signal's number, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub code: i32,
    /// It was killed: whoever stands before it ends the same way, for only the supervisor can tell
    /// whether the kernel wanted its memory.
    pub killed: bool,
    /// The last line of its log; empty: there is nothing to add.
    pub words: String,
}

/// `speaks`: at its log level it says that it begins.
pub fn judge(engine: Engine, ended: Ended, reading: &Reading, speaks: bool) -> Outcome {
    let program = engine.program();
    let code = match ended {
        Ended::Code(code) => code,
        Ended::Signal(signal) => 128 + signal,
    };
    let ours = |code: i32, words: String| Outcome { code, killed: false, words };
    let kettle = engine != Engine::Hop;
    let errors = reading.errors.saturating_add(reading.counts.errors());
    let first = reading.first_error.as_deref().map_or(String::new(), |text| format!(": {text}"));
    match code {
        137 => Outcome {
            code,
            killed: true,
            words: format!("{program} or its JVM was killed (SIGKILL)"),
        },
        0 if kettle && speaks && !reading.began => ours(
            NEVER_BEGAN,
            format!("{program} ended with 0 and never said that it begins: nothing has run"),
        ),
        0 if errors > 0 || reading.out_of_heap => {
            let (lines, rows) = (reading.errors, reading.counts.errors());
            let what = format!("{lines} lines tell of errors, steps count {rows}");
            ours(
                WITH_ERRORS,
                format!("{program} ended with 0, but not without errors: {what}{first}"),
            )
        }
        0 => ours(0, String::new()),
        _ if reading.out_of_heap => ours(
            OUT_OF_HEAP,
            format!(
                "{program} ended with {code}: its JVM had no heap left (give it more by -Xmx){first}"
            ),
        ),
        _ if reading.out_of_memory => ours(
            OUT_OF_HEAP,
            format!(
                "{program} ended with {code}: its JVM was given no memory by its host (let it ask for less by \
                 -Xmx, or give the host more){first}"
            ),
        ),
        OURS.. => ours(1, format!("{program} ended with {code}{first}")),
        143 => ours(code, format!("{program} was told to end (SIGTERM)")),
        _ => {
            let means = means(engine, code).map_or(String::new(), |text| format!(" ({text})"));
            ours(code, format!("{program} ended with {code}{means}{first}"))
        }
    }
}

/// In words for people; also keys of the catalogue of languages. What two versions mean differently
/// stands with both meanings.
pub fn means(engine: Engine, code: i32) -> Option<&'static str> {
    let ours = match code {
        WITH_ERRORS => Some("it ended with 0, but its log tells of errors"),
        NEVER_BEGAN => Some("it ended with 0, and nothing has run"),
        UNDECLARED => Some("a parameter is given that it does not declare"),
        NOT_READY => Some("something that it needs is not there: its log says what"),
        OUT_OF_HEAP => Some("its JVM had no heap left, or its host gave it no memory"),
        NO_START => Some("it did not begin in time"),
        WARM_LOST => Some("the warm engine has lost it: it may have run in part"),
        143 => Some("it was told to end by SIGTERM"),
        _ => None,
    };
    let theirs = || match (engine, code) {
        (Engine::Kitchen, 1) => Some("errors in the job, or its result is false"),
        (Engine::Kitchen, 2) => Some("an unexpected error; by version also an unknown repository"),
        (Engine::Pan, 1) => {
            Some("errors in the transformation; by version also a missing file or repository")
        }
        (Engine::Pan, 2) => Some("an unexpected error"),
        (Engine::Pan, 3) => Some("it cannot be prepared: a plug-in or a setting of a step"),
        (Engine::Kitchen | Engine::Pan, 7) => {
            Some("it cannot be loaded: the file, the repository, the directory or the name")
        }
        (Engine::Kitchen | Engine::Pan, 8) => {
            Some("plug-ins cannot be loaded, or the command line is wrong")
        }
        (Engine::Kitchen | Engine::Pan, 9) => Some("it was told nothing to run"),
        (Engine::Hop, 1) => Some("errors in the run, or something that it names is not there"),
        (Engine::Hop, 2) => Some("the installation of Hop is broken"),
        (Engine::Hop, 9) => Some("the command line is wrong"),
        _ => None,
    };
    ours.or_else(theirs)
}

/// All words of [`means`]: keys of the catalogue of languages.
pub fn words() -> BTreeSet<&'static str> {
    let engines = [Engine::Kitchen, Engine::Pan, Engine::Hop].into_iter();
    engines.flat_map(|engine| (0..256).filter_map(move |code| means(engine, code))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITCHEN_OK: &str = include_str!("fixtures/kitchen-7.1-ok.txt");
    const KITCHEN_FAILED: &str = include_str!("fixtures/kitchen-7.1-failed.txt");
    const HOP_OK: &str = include_str!("fixtures/hop-2.15-daily.txt");
    const HOP_FAILED: &str = include_str!("fixtures/hop-2.15-failed.txt");
    const HOP_MISSING: &str = include_str!("fixtures/hop-2.15-missing.txt");
    const PAN_ZH: &str = include_str!("fixtures/pan-zh.txt");
    const REJECTED: &str = "2026/11/20 10:19:19 - Pan - Logging is at level : Basic\n\
        2026/11/20 10:19:19 - Pan - Start of run.\n\
        2026/11/20 10:19:20 - out.0 - Finished processing (I=0, O=8, R=10, W=8, U=0, E=2)\n";
    const BOX: &str = "####\nThis architecture is not yet supported\n";
    const HEAP: &str = "2026/11/20 10:19:19 - Kitchen - Start of run.\njava.lang.OutOfMemoryError: Java heap space\n";

    #[track_caller]
    fn check(engine: Engine, ended: Ended, text: &str, expect: (i32, &str)) {
        let mut reading = Reading::new(engine);
        text.lines().for_each(|line| reading.line(line));
        let outcome = judge(engine, ended, &reading, true);
        assert_eq!(outcome.code, expect.0, "{outcome:?}");
        assert_eq!(outcome.killed, outcome.code == 137);
        assert!(outcome.words.contains(expect.1), "{outcome:?}");
        assert_eq!(outcome.words.is_empty(), outcome.code == 0, "{outcome:?}");
    }

    #[test]
    fn the_table_of_ends() {
        use Ended::{Code, Signal};
        use Engine::{Hop, Kitchen, Pan};
        for (engine, ended, text, expect) in [
            (Kitchen, Code(0), KITCHEN_OK, (0, "")),
            (Kitchen, Code(1), KITCHEN_FAILED, (1, "result is false")),
            // An entry failed, and the job went on by a hop that asks for nothing.
            (Kitchen, Code(0), KITCHEN_FAILED, (200, "deliberate abort")),
            (Pan, Code(0), PAN_ZH, (200, "意外的错误")),
            (Pan, Code(0), REJECTED, (200, "steps count 2")),
            // spoon.sh says 0 where it does not know the machine.
            (Kitchen, Code(0), BOX, (201, "nothing has run")),
            (Kitchen, Code(0), "", (201, "nothing has run")),
            (
                Kitchen,
                Code(7),
                "ERROR: Kitchen can't continue because the job couldn't be loaded.",
                (7, "couldn't be loaded"),
            ),
            (Kitchen, Code(2), "", (2, "unknown repository")),
            (Pan, Code(3), "", (3, "prepared")),
            (Pan, Code(7), "", (7, "loaded")),
            (Pan, Code(8), "", (8, "command line")),
            (Kitchen, Code(9), "", (9, "nothing to run")),
            // KETTLE_TRANS_PAN_JVM_EXIT_CODE may be any number.
            (Pan, Code(42), "", (42, "ended with 42")),
            (Kitchen, Code(1), HEAP, (204, "-Xmx")),
            (
                Kitchen,
                Code(1),
                "Error occurred during initialization of VM\nCould not reserve enough space for 67108864KB object heap",
                (204, "by its host"),
            ),
            (
                Hop,
                Signal(6),
                "# There is insufficient memory for the Java Runtime Environment to continue.",
                (204, "by its host"),
            ),
            (
                Pan,
                Code(0),
                "2026/11/20 10:19:19 - Pan - Start of run.\n2026/11/20 10:19:19 - Pan - Start of run.\n\
                Could not reserve enough space for object heap",
                (0, ""),
            ),
            (Pan, Code(1), "Unrecognized VM option 'MaxPermSize=256m'", (1, "MaxPermSize")),
            (Kitchen, Code(137), KITCHEN_OK, (137, "killed")),
            (Kitchen, Signal(9), "", (137, "killed")),
            (Kitchen, Code(143), KITCHEN_OK, (143, "SIGTERM")),
            (Pan, Signal(15), "", (143, "SIGTERM")),
            (Hop, Code(0), HOP_OK, (0, "")),
            (Hop, Code(1), HOP_FAILED, (1, "bad row seen")),
            (Hop, Code(1), HOP_MISSING, (1, "Error found during execution")),
            (Hop, Code(0), HOP_FAILED, (200, "bad row seen")),
            (Hop, Code(2), "General error found, something went horribly wrong!", (2, "broken")),
            (Hop, Code(9), "", (9, "command line")),
        ] {
            check(engine, ended, text, expect);
        }
    }

    #[test]
    fn who_was_told_to_be_silent_need_not_say_that_it_begins() {
        let reading = Reading::new(Engine::Pan);
        let outcome = judge(Engine::Pan, Ended::Code(0), &reading, false);
        assert_eq!((outcome.code, outcome.words.as_str()), (0, ""));
        // It fails with an empty log, too.
        assert_eq!(judge(Engine::Pan, Ended::Code(1), &reading, false).code, 1);
    }
}
