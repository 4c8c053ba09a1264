//! A program whose output is read: what `etl` stands before.

use super::launch::ABOUT;
use super::table;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::clock::Clock;
use shared::ids::Millis;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Of an answer that is asked for.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub struct Piped {
    pub process: Child,
    pub out: ChildStdout,
    pub err: ChildStderr,
}

/// With our own environment, and these changes to it. It has no input.
///
/// # Errors
/// As the operating system says.
pub fn start(argv: &[String], set: &[(String, String)], unset: &[&str]) -> io::Result<Piped> {
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    let (program, args) = argv.split_first().ok_or_else(missing)?;
    let mut command = command(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in unset {
        command.env_remove(name);
    }
    command.envs(set.iter().map(|(name, value)| (name, value)));
    let mut process = command.spawn()?;
    match (process.stdout.take(), process.stderr.take()) {
        (Some(out), Some(err)) => Ok(Piped { process, out, err }),
        _ => Err(io::Error::other("its output is not to be had")),
    }
}

/// One that is spoken with; its standard error is ours.
#[derive(Debug)]
pub struct Spoken {
    pub process: Child,
    pub input: Option<ChildStdin>,
    pub output: Option<ChildStdout>,
}

/// With our own environment, in that directory.
///
/// # Errors
/// As the operating system says.
pub fn start_spoken(argv: &[String], dir: &Path) -> io::Result<Spoken> {
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    let (program, args) = argv.split_first().ok_or_else(missing)?;
    let mut command = command(program);
    command.args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let (input, output) = (process.stdin.take(), process.stdout.take());
    Ok(Spoken { process, input, output })
}

/// What a program has printed, and how it has ended.
#[derive(Debug)]
pub struct Answer {
    pub text: String,
    pub status: ExitStatus,
}

/// Of a program, however it ends; one that takes longer is killed with all that it has started.
///
/// # Errors
/// It cannot be started, or does not end in time.
pub fn ask(
    argv: &[String],
    set: &[(String, String)],
    unset: &[&str],
    limit_ms: Millis,
) -> io::Result<Answer> {
    let Piped { mut process, out, err } = start(argv, set, unset)?;
    let (told, answer) = channel();
    for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
        let told = told.clone();
        std::thread::Builder::new().name("answer".into()).spawn(move || {
            let mut bytes = Vec::new();
            let mut stream = stream;
            let _ = stream.by_ref().take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
            let _ = io::copy(&mut stream, &mut io::sink());
            let _ = told.send(bytes);
        })?;
    }
    let clock = Clock::system();
    let mut all = Vec::new();
    for _ in 0..2 {
        let left = u64::try_from((limit_ms - clock.mono_ms()).max(0)).unwrap_or(0);
        match answer.recv_timeout(Duration::from_millis(left)) {
            Ok(bytes) => all.extend(bytes),
            Err(_) => {
                end(process.id());
                let _ = process.wait();
                let words =
                    format!("{} gave no answer in time", argv.first().map_or("", String::as_str));
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
        }
    }
    let status = process.wait()?;
    Ok(Answer { text: String::from_utf8_lossy(&all).into_owned(), status })
}

/// A script's JVM would go on without it.
fn end(root: u32) {
    let is_root = |process: &table::Process| u32::try_from(process.pid) == Ok(root);
    for process in table::descendants(&table::all(), is_root) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where programs are started")]
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    // It is ours.
    command.env_remove(ABOUT);
    command
}
