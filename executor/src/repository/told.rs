//! What Kettle has said of an export: why it came to nothing, and the end of it for who looks after the host. Pure.

use shared::etl::Engine;
use shared::etl::log::Reading;
use std::collections::VecDeque;

/// Lines that are kept.
const END_LINES: usize = 500;
/// Lines after an error that say why.
const WHY_LINES: usize = 3;

#[derive(Debug)]
pub(super) struct Told {
    reading: Reading,
    /// What stands below the first error.
    why: Vec<String>,
    end: VecDeque<String>,
}

impl Default for Told {
    fn default() -> Told {
        let (reading, why, end) = (Reading::new(Engine::Pan), Vec::new(), VecDeque::new());
        Told { reading, why, end }
    }
}

impl Told {
    pub(super) fn line(&mut self, line: &str) {
        // Of a JVM: options that it was given, a password among them in whatever quotes, whoever passes it on.
        let line = line.split("Picked up ").next().unwrap_or_default();
        if line.is_empty() {
            return;
        }
        let text = plain(line);
        let is_trace = text.starts_with("at ") || text.starts_with("... ") || text.is_empty();
        if self.reading.first_error.is_some() && !is_trace && self.why.len() < WHY_LINES {
            self.why.push(text.to_owned());
        }
        self.reading.line(line);
        self.end.push_back(line.to_owned());
        if self.end.len() > END_LINES {
            self.end.pop_front();
        }
    }

    /// The first error with what stands below it; without one the last line that speaks of any. Empty: it has told of
    /// none.
    pub(super) fn error(&self) -> String {
        if let Some(first) = &self.reading.first_error {
            let first = plain(first);
            let all = std::iter::once(first).chain(self.why.iter().map(String::as_str));
            return all.collect::<Vec<_>>().join(" ");
        }
        // Bare words, before there is a log.
        let found = self.end.iter().rfind(|line| line.to_lowercase().contains(" error"));
        found.map(|line| plain(line).to_owned()).unwrap_or_default()
    }

    pub(super) fn end(&self) -> String {
        self.end.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Without date, subject and version.
fn plain(line: &str) -> &str {
    let line = line.trim();
    if let Some((_, text)) =
        line.split_once(" - ERROR (version").or(line.split_once("ERROR (version"))
    {
        return text.split_once(") : ").map_or(text, |(_, text)| text).trim();
    }
    let is_date = |date: &&str| date.ends_with(" - ") && date.starts_with(char::is_numeric);
    let Some(date) = line.get(..22).filter(is_date) else {
        return line.trim_start_matches("ERROR: ");
    };
    let rest = &line[date.len()..];
    // An empty line has a subject too.
    rest.split_once(" -").map_or(rest, |(_, text)| text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(lines: &[&str]) -> String {
        let mut told = Told::default();
        lines.iter().for_each(|line| told.line(line));
        told.error()
    }

    #[test]
    fn the_first_error_is_told_with_its_reason() {
        let dated = |text: &str| format!("2026/11/30 10:00:00 - Pan - {text}");
        let version = "ERROR (version 8.3.0.0-371, build 8.3.0.0-371 from 2019-06-11 11.09.08 by buildguy) : ";
        let first = dated(&format!("{version}Error connecting to the repository!"));
        assert_eq!(
            error(&[
                "Picked up _JAVA_OPTIONS: '-DKETTLE_PASSWORD=error'",
                &dated("Start of run."),
                &first,
                &dated(""),
                &dated("Incorrect password"),
                &dated("at org.x.Y(Y.java:1)"),
                &dated(&format!("{version}another")),
            ]),
            "Error connecting to the repository! Incorrect password another"
        );
        assert_eq!(
            error(&["ERROR: Pan can't continue because the repository [x] could not be found."]),
            "Pan can't continue because the repository [x] could not be found."
        );
        assert_eq!(
            error(&["Processing has stopped because of an error: no such user", "bye"]),
            "Processing has stopped because of an error: no such user"
        );
        assert_eq!(error(&[&dated("Start of run."), "bye"]), "");
    }

    #[test]
    fn the_end_is_kept_without_what_a_jvm_was_given() {
        let mut told = Told::default();
        told.line("Picked up _JAVA_OPTIONS: -DKETTLE_PASSWORD=x");
        // Passed on by a script, too.
        told.line("java: Picked up _JAVA_OPTIONS: -DKETTLE_PASSWORD='x error'");
        assert_eq!((told.end().as_str(), told.error().as_str()), ("java: \n", ""));
        (0..END_LINES + 5).for_each(|n| told.line(&n.to_string()));
        assert!(told.end().starts_with("5\n6\n") && told.end().ends_with("504\n"));
    }
}
