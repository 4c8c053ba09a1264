//! The lines that desk and JVM speak in; `Warm.java` has the other end, and says what they are. Pure.

use super::talk::{Ended, How};
use shared::etl::counts::{NAME_CHARS_MAX, Step};
use shared::etl::warm::Asked;

/// What a JVM has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ready,
    Log(u64, String),
    /// The end of one copy; without lines: how far all its copies are.
    Step(u64, Step),
    End(u64, Ended),
    /// Not of our language: the JVM's own last words, mostly.
    Odd(String),
}

pub(super) fn run(id: u64, what: &Asked) -> String {
    let id = id.to_string();
    let form = if what.job { "job" } else { "" };
    let Asked { file, level, configuration, project, lifecycle, .. } = what;
    let fields = ["RUN", &id, form, file, level, configuration, project, lifecycle];
    let params = what.params.iter().map(|(name, value)| format!("{name}={value}"));
    let fields = fields.into_iter().map(str::to_owned).chain(params);
    let escaped: Vec<String> = fields.map(|field| escaped(&field)).collect();
    escaped.join("\t") + "\n"
}

pub(super) fn stop(id: u64) -> String {
    format!("STOP\t{id}\n")
}

pub(super) const QUIT: &str = "QUIT\n";

fn escaped(field: &str) -> String {
    let escaped = field.replace('\\', "\\\\").replace('\t', "\\t");
    escaped.replace('\n', "\\n").replace('\r', "\\r")
}

fn plain(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        let next = if c == '\\' { chars.next() } else { None };
        text.push(match next {
            None => c,
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some(other) => other,
        });
    }
    text
}

pub(super) fn heard(line: &str) -> Word {
    known(line).unwrap_or_else(|| Word::Odd(line.to_owned()))
}

fn known(line: &str) -> Option<Word> {
    let fields: Vec<String> = line.split('\t').map(plain).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    match *fields.as_slice() {
        ["READY", _] => Some(Word::Ready),
        ["LOG", id, text] => Some(Word::Log(id.parse().ok()?, text.to_owned())),
        [word @ ("STEP" | "LIVE"), id, entry, part, name, ref rows @ ..] => {
            let rows: Option<Vec<u64>> = rows.iter().map(|row| row.parse().ok()).collect();
            let counts = <[u64; 6]>::try_from(rows?).ok()?;
            let short = |name: &str| name.chars().take(NAME_CHARS_MAX).collect();
            let ended = Step::ended(short(part), short(name), counts);
            let step = Step { lines: u32::from(word == "STEP"), ..ended }.of(entry);
            Some(Word::Step(id.parse().ok()?, step))
        }
        ["END", id, how, errors, words] => {
            let how = match how {
                "OK" => How::Well,
                "ERROR" => How::WithErrors,
                "STOPPED" => How::Stopped,
                "LOAD" => How::NotLoaded,
                "INIT" => How::NotPrepared,
                _ => return None,
            };
            let ended = Ended { how, errors: errors.parse().ok()?, words: words.to_owned() };
            Some(Word::End(id.parse().ok()?, ended))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_through_whatever_they_hold() {
        for text in ["", "a b", "a\tb\\t\\", "two\nlines\r\n", "\\n", "日期\\"] {
            assert_eq!(plain(&escaped(text)), text);
            assert!(!escaped(text).contains(['\t', '\n', '\r']), "{text:?}");
        }
        let what = Asked {
            file: "/a b.hpl".into(),
            level: "Basic".into(),
            params: [("A".to_owned(), "1\t2".to_owned())].into(),
            ..Asked::default()
        };
        assert_eq!(run(7, &what), "RUN\t7\t\t/a b.hpl\tBasic\t\t\t\tA=1\\t2\n");
    }

    #[test]
    fn what_a_jvm_says_is_understood_or_odd() {
        assert_eq!(heard("READY\t12"), Word::Ready);
        assert_eq!(heard("LOG\t7\ta\\tb"), Word::Log(7, "a\tb".into()));
        let Word::Step(7, step) = heard("STEP\t7\tdaily\tsales\tread\t7\t0\t0\t6\t0\t1") else {
            panic!("a step")
        };
        assert_eq!((step.input, step.written, step.errors, &*step.part), (7, 6, 1, "sales"));
        assert_eq!((step.lines, &*step.entry), (1, "daily"));
        let Word::Step(7, step) = heard("LIVE\t7\t\tsales\tread\t7\t0\t0\t6\t0\t0") else {
            panic!("a step on its way")
        };
        assert_eq!((step.input, step.lines, &*step.entry), (7, 0, ""));
        let ended = Ended { how: How::WithErrors, errors: 2, words: "why".into() };
        assert_eq!(heard("END\t7\tERROR\t2\twhy"), Word::End(7, ended));
        for odd in
            ["", "Terminating due to java.lang.OutOfMemoryError", "LOG\tx\ty", "END\t1\tX\t0\t"]
        {
            assert_eq!(heard(odd), Word::Odd(odd.into()));
        }
    }
}
