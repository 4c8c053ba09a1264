//! What an attempt of Kettle or Hop is started as: `hcndc-executor etl` before their own script.
//!
//! It is a process of the attempt like any other: supervised, limited and killed with it, as the job's
//! user. It looks at what can be known before a JVM starts ([`ready`]), passes their output on while
//! reading it ([`pump`]), and ends with the code that [`shared::etl::outcome`] makes of all that. While it
//! runs it says now and then on standard error how many rows there are; its last lines there are the
//! row counts and, unless all is well, what has happened.

pub(crate) mod pump;
pub(crate) mod ready;
mod warm;

use crate::cold;
use crate::process::launch::ABOUT;
use crate::process::piped::{self, Piped};
use anyhow::Context;
use pump::News;
use shared::clock::Clock;
use shared::config::env;
use shared::etl::log::Reading;
use shared::etl::outcome::{Ended, NO_START, NOT_READY, judge};
use shared::etl::progress::Progress;
use shared::etl::warm::Asked;
use shared::etl::{Engine, Etl};
use shared::ids::Millis;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use warm::Outcome;

/// What is still on its way when the program has ended comes within this, or is nobody's.
const LAST_WORDS_MS: Millis = 5_000;

/// Runs it. `argv` begins with the path of its script; `socket` is of the warm engine of its host, in `archives` are
/// its class-data archives.
///
/// # Errors
/// What is meant cannot be understood, or the system gives us no pipe or thread.
pub fn run(
    socket: Option<&Path>,
    archives: Option<&Path>,
    argv: &[String],
) -> anyhow::Result<ExitCode> {
    let about = env(ABOUT).unwrap_or_default();
    let etl: Etl = serde_json::from_str(&about).context("what is to be run (HCNDC_ABOUT)")?;
    let _ignoring = ignore_signals()?;
    let mut ready = match ready::ready(&etl, argv) {
        Ok(ready) => ready,
        Err(refused) => {
            say(&refused.words);
            return Ok(code(refused.code));
        }
    };
    ready.notes.iter().for_each(|note| say(note));
    if let Some(what) = &etl.warm {
        match lent(socket, &etl, what)? {
            Outcome::Over(code) => return Ok(code),
            Outcome::Cold(why) => say(&format!("it starts cold: {why}")),
        }
    }
    if let (Some(dir), Some(script)) = (archives, argv.first())
        && let Ok(options) = cold::options(dir, Path::new(script))
    {
        ready.set.push(("HOP_OPTIONS".into(), options));
    }
    let command: Vec<String> = ready.before.iter().chain(argv).cloned().collect();
    let child = match piped::start(&command, &ready.set, ready.unset) {
        Ok(child) => child,
        Err(error) => {
            say(&format!("{}: {error}", argv.first().map_or("", String::as_str)));
            return Ok(code(NOT_READY));
        }
    };
    let reading = Arc::new(Mutex::new(Reading::new(etl.engine)));
    let news = follow(child, &reading, Arc::new(ready.secrets))?;
    let begin_ms = (etl.speaks && ready.live).then(|| Millis::from(etl.start_within_s) * 1_000);
    let Some(status) = until_over(&news, (begin_ms, etl.logs_in), &reading) else {
        let silent = if etl.logs_in { "what it is to run has" } else { "it has" };
        say(&format!(
            "{}: {silent} said nothing for {} s: it does not begin, perhaps it waits for a browser or a password \
             (start_within_s says how long it may take)",
            etl.engine.program(),
            etl.start_within_s
        ));
        return Ok(code(NO_START));
    };
    let status = status.context("waiting for its end")?;
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    };
    let reading = reading.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(conclude(etl.engine, ended, &reading, etl.speaks))
}

fn lent(socket: Option<&Path>, etl: &Etl, what: &Asked) -> anyhow::Result<Outcome> {
    match socket {
        Some(socket) => warm::run(socket, etl, what),
        None => Ok(Outcome::Cold(
            "this host has no warm engine for its kind and environment ([warm] in executor.toml)"
                .into(),
        )),
    }
}

fn conclude(engine: Engine, ended: Ended, reading: &Reading, speaks: bool) -> ExitCode {
    let outcome = judge(engine, ended, reading, speaks);
    if !reading.counts.is_empty() {
        told(&reading.counts.line());
    }
    if !outcome.words.is_empty() {
        say(&outcome.words);
    }
    if outcome.killed {
        // Only who has started us can tell whether the kernel wanted the memory.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
    code(outcome.code)
}

/// A TERM goes to all of an attempt at once: we stay until the last words of the others are passed on.
/// What is caught here has its usual meaning again in the program that we start.
fn ignore_signals() -> anyhow::Result<impl Sized> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().context("a runtime")?;
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let caught = runtime.block_on(async { kinds.map(signal) });
    Ok((runtime, caught))
}

/// Threads that pass on what it says, and one that waits for its end.
fn follow(
    child: Piped,
    reading: &Arc<Mutex<Reading>>,
    secrets: Arc<Vec<String>>,
) -> anyhow::Result<Receiver<News>> {
    let (told, news) = channel();
    let Piped { mut process, out, err } = child;
    let thread = |name: &str| std::thread::Builder::new().name(name.into());
    let (out_reading, err_reading) = (reading.clone(), reading.clone());
    let (out_told, err_told, out_secrets) = (told.clone(), told.clone(), secrets.clone());
    thread("out").spawn(move || {
        let to = std::io::stdout();
        pump::pass(out, to, &out_reading, &out_secrets, &out_told);
    })?;
    thread("err").spawn(move || {
        let to = std::io::stderr();
        pump::pass(err, to, &err_reading, &secrets, &err_told);
    })?;
    thread("end").spawn(move || {
        // Nobody listens any more: it did not begin in time.
        let _ = told.send(News::Over(process.wait()));
    })?;
    Ok(news)
}

/// None: it has not begun in time.
fn until_over(
    news: &Receiver<News>,
    (begin_ms, logs_in): (Option<Millis>, bool),
    reading: &Mutex<Reading>,
) -> Option<std::io::Result<ExitStatus>> {
    // It counts from here.
    let clock = Clock::system();
    let mut begin_until = begin_ms.map(|ms| clock.mono_ms() + ms);
    let mut progress = Progress::new(clock.mono_ms());
    let mut status = None;
    let mut until: Option<Millis> = None;
    let mut open = 2;
    while open > 0 || status.is_none() {
        let at = until.or(begin_until).unwrap_or(Millis::MAX).min(progress.due());
        let left = u64::try_from((at - clock.mono_ms()).max(0)).unwrap_or(0);
        match news.recv_timeout(Duration::from_millis(left)) {
            Ok(News::Began) if logs_in => {}
            Ok(News::Began | News::AtWork) => begin_until = None,
            Ok(News::Closed) => open -= 1,
            Ok(News::Over(ended)) => {
                status = Some(ended);
                begin_until = None;
                until = Some(clock.mono_ms() + LAST_WORDS_MS);
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = clock.mono_ms();
                if until.is_some_and(|until| until <= now) {
                    break;
                }
                if begin_until.is_some_and(|until| until <= now) {
                    return None;
                }
                let counts = reading.lock().unwrap_or_else(PoisonError::into_inner).counts.clone();
                if let Some(line) = progress.line(now, &counts) {
                    told(&line);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    status
}

pub(crate) fn say(words: &str) {
    told(&format!("hcndc: {words}"));
}

/// A closed standard error is no reason to panic.
pub(crate) fn told(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub(crate) fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
