//! Passing output on while it is read: bytes stay as they are, but for what is a secret.

use shared::etl::log::Reading;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitStatus;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

/// A longer line is read in pieces of this size.
const LINE_MAX: usize = 64 * 1024;
const HIDDEN: &str = "••••••";
/// How a JVM tells of options that it was given by its environment: those that hold a password.
const PICKED_UP: &str = "Picked up _JAVA_OPTIONS";

/// What happens to a program that is followed.
#[derive(Debug)]
pub(super) enum News {
    /// It has said that it begins.
    Began,
    /// What it runs has begun.
    AtWork,
    /// One of its two streams has ended.
    Closed,
    /// It has ended.
    Over(std::io::Result<ExitStatus>),
}

/// Until the stream ends. Who cannot write any more goes on reading: the program must not stand still.
pub(super) fn pass(
    from: impl Read,
    to: impl Write,
    reading: &Mutex<Reading>,
    secrets: &[String],
    told: &Sender<News>,
) {
    let mut from = BufReader::with_capacity(LINE_MAX, from);
    // Only whole lines leave it: somebody else writes lines of their own to the same stream.
    let mut to = BufWriter::with_capacity(2 * LINE_MAX, to);
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // What is concluded from a line is told too: nobody reads what is hidden.
        let text = hidden(&String::from_utf8_lossy(&line), secrets);
        {
            let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
            let (began, at_work) = (reading.began, reading.at_work);
            reading.line(text.trim_end_matches(['\n', '\r']));
            if reading.began && !began {
                let _ = told.send(News::Began);
            }
            if reading.at_work && !at_work {
                let _ = told.send(News::AtWork);
            }
        }
        let _ = match secrets {
            [] => to.write_all(&line),
            _ => to.write_all(text.split(PICKED_UP).next().unwrap_or_default().as_bytes()),
        };
        // Whoever looks on sees each line when it is there.
        if from.buffer().is_empty() || to.buffer().len() >= LINE_MAX {
            let _ = to.flush();
        }
    }
    let _ = to.flush();
    let _ = told.send(News::Closed);
}

pub(crate) fn hidden(text: &str, secrets: &[String]) -> String {
    let hide = |text: String, secret: &String| text.replace(secret.as_str(), HIDDEN);
    secrets.iter().fold(text.to_owned(), hide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::etl::Engine;
    use std::sync::mpsc::channel;

    fn through(text: &[u8], secrets: &[&str]) -> (Vec<u8>, Vec<String>) {
        let reading = Mutex::new(Reading::new(Engine::Kitchen));
        read(text, secrets, &reading)
    }

    fn read(text: &[u8], secrets: &[&str], reading: &Mutex<Reading>) -> (Vec<u8>, Vec<String>) {
        let (told, news) = channel();
        let secrets: Vec<String> = secrets.iter().map(|text| (*text).to_owned()).collect();
        let mut out = Vec::new();
        pass(text, &mut out, reading, &secrets, &told);
        drop(told);
        (out, news.iter().map(|one| format!("{one:?}")).collect())
    }

    #[test]
    fn bytes_pass_as_they_are_and_the_start_is_heard() {
        let text = b"box\n2026/11/20 10:19:19 - Kitchen - Start of run.\n\xff\xfe no text\n\nlast";
        let (out, news) = through(text, &[]);
        assert_eq!(out, text);
        assert_eq!(news, ["Began", "Closed"]);
        let long = vec![b'x'; 3 * LINE_MAX + 7];
        assert_eq!(through(&long, &[]).0, long);
    }

    #[test]
    fn a_secret_is_not_in_a_log() {
        let text =
            "Picked up _JAVA_OPTIONS: -DKETTLE_PASSWORD=pässword\nuser x pässword, pässword\n";
        let (out, _) = through(text.as_bytes(), &["pässword"]);
        assert_eq!(String::from_utf8(out).unwrap(), "user x ••••••, ••••••\n");
    }
    /// The first error is told again at the end.
    #[test]
    fn a_secret_is_not_in_what_is_concluded() {
        let reading = Mutex::new(Reading::new(Engine::Kitchen));
        let text = "2026/11/20 10:19:19 - db - ERROR (version 8.3) : no login with pa'ss at db\n";
        read(text.as_bytes(), &["pa'ss"], &reading);
        let error = reading.lock().unwrap().first_error.clone().unwrap();
        assert!(error.contains(HIDDEN) && !error.contains("pa'ss"), "{error}");
    }
}
