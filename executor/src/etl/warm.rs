//! A run that is lent a JVM: submitted to the warm engine's desk of this host, in the place of a program of its own.
//!
//! The process of the attempt stays here: its lines are those of its run alone, a signal stops the run, and its death
//! does too. What the desk did not take up starts cold; what it has begun, and lost, may have run in part.

use super::{code, conclude, say};
use crate::supervise::talk as frames;
use crate::warm::talk::{Ask, Ended, How, Told};
use anyhow::Context;
use shared::clock::Clock;
use shared::etl::counts::{Counts, Step};
use shared::etl::log::Reading;
use shared::etl::outcome::{self, WARM_LOST};
use shared::etl::progress::Progress;
use shared::etl::{Engine, Etl, warm::Asked};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How it came out, or why nothing was begun: then it starts cold.
pub(super) enum Outcome {
    Over(ExitCode),
    Cold(String),
}

/// # Errors
/// The system gives us no runtime.
pub(super) fn run(socket: &Path, etl: &Etl, what: &Asked) -> anyhow::Result<Outcome> {
    // Root may open any socket; what it asked for would run as somebody else.
    let own = nix::unistd::geteuid().as_raw();
    if socket.metadata().is_ok_and(|found| found.uid() != own) {
        return Ok(Outcome::Cold("the warm engine of this host runs as another user".into()));
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().context("a runtime")?;
    runtime.block_on(async {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [term, int, hup] = kinds.map(signal);
        let signals = [term?, int?, hup?];
        let stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error) => {
                return Ok(Outcome::Cold(format!("{} does not answer: {error}", socket.display())));
            }
        };
        let reading = Reading::new(etl.engine);
        let (ended, live) = (Counts::default(), Counts::default());
        let clock = Clock::system();
        let progress = Progress::new(clock.mono_ms());
        let (engine, begun) = (etl.engine, false);
        let stopped = false;
        let mut guest =
            Guest { stream, engine, reading, ended, live, progress, clock, begun, stopped };
        Ok(match guest.stay(what, signals).await {
            Outcome::Cold(why) if guest.stopped => {
                say(&format!("told to end before it began: {why}"));
                Outcome::Over(code(128 + libc::SIGTERM))
            }
            outcome => outcome,
        })
    })
}

struct Guest {
    stream: UnixStream,
    engine: Engine,
    reading: Reading,
    /// As the engine itself has counted, of what has ended.
    ended: Counts,
    /// And of what goes on.
    live: Counts,
    progress: Progress,
    clock: Clock,
    /// It may have done something.
    begun: bool,
    /// Told to end: nothing is to begin any more.
    stopped: bool,
}

impl Guest {
    async fn stay(&mut self, what: &Asked, [mut term, mut int, mut hup]: [Signal; 3]) -> Outcome {
        let run = Ask::Run { engine: self.engine, what: Box::new(what.clone()) };
        if let Err(error) = self.ask(&run).await {
            return Outcome::Cold(format!("it does not take what is to be run: {error}"));
        }
        let mut received = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            loop {
                let told = match frames::take_frame(&mut received) {
                    Ok(Some(frame)) => frames::decode::<Told>(&frame),
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                let told =
                    told.unwrap_or_else(|error| Told::Lost(format!("not understood: {error}")));
                if let Some(outcome) = self.heard(told) {
                    return outcome;
                }
            }
            let _ = std::io::stdout().flush();
            let due = u64::try_from(self.progress.due() - self.clock.mono_ms()).unwrap_or(0);
            let read = tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(due)) => { self.tell(); continue }
                read = self.stream.read(&mut buffer) => read,
                _ = term.recv() => { self.stop().await; continue }
                _ = int.recv() => { self.stop().await; continue }
                _ = hup.recv() => { self.stop().await; continue }
            };
            match read {
                Ok(0) | Err(_) if !self.begun => {
                    return Outcome::Cold("it has closed the connection before it began".into());
                }
                Ok(0) | Err(_) => return self.lost("the warm engine itself has gone"),
                Ok(count) => received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    async fn ask(&mut self, ask: &Ask) -> std::io::Result<()> {
        self.stream.write_all(&frames::encode(ask)?).await
    }

    async fn stop(&mut self) {
        self.stopped = true;
        say("told to end: so is its run in the warm engine");
        // Should the desk be gone, the next read says so.
        let _ = self.ask(&Ask::Stop).await;
    }

    fn heard(&mut self, told: Told) -> Option<Outcome> {
        match told {
            Told::Begun => self.begun = true,
            Told::Log(line) => {
                self.reading.line(&line);
                // Whoever does not read us is no reason to stop.
                let _ = writeln!(std::io::stdout(), "{line}");
                self.tell();
            }
            Told::Step(step) if step.lines == 0 => self.live.on_their_way(vec![step]),
            Told::Step(step) => self.ended.add(step),
            Told::Refused(why) => return Some(Outcome::Cold(why)),
            Told::Lost(why) => return Some(self.lost(&why)),
            Told::Ended(ended) => return Some(self.ended(ended)),
        }
        None
    }

    /// How far it is, when that is due.
    fn tell(&mut self) {
        let now = self.clock.mono_ms();
        if now < self.progress.due() {
            return;
        }
        let counts = counted(&self.ended, &self.live, &self.reading.counts);
        if let Some(line) = self.progress.line(now, &counts) {
            super::told(&line);
        }
    }

    fn lost(&mut self, why: &str) -> Outcome {
        self.reading.counts = counted(&self.ended, &self.live, &self.reading.counts);
        let words = outcome::means(self.engine, WARM_LOST).unwrap_or_default();
        say(&format!("{words}: {why}"));
        Outcome::Over(code(WARM_LOST))
    }

    fn ended(&mut self, Ended { how, errors, words }: Ended) -> Outcome {
        let _ = std::io::stdout().flush();
        self.reading.counts = counted(&self.ended, &self.live, &self.reading.counts);
        // At a level at which it says nothing, the engine still counts.
        self.reading.errors = self.reading.errors.max(errors);
        if !words.is_empty() {
            self.reading.first_error.get_or_insert(words);
        }
        let code = match (how, self.engine) {
            (How::Well, _) => 0,
            (How::WithErrors, _) => 1,
            (How::Stopped, _) => 143,
            (How::NotLoaded, Engine::Kitchen | Engine::Pan) => 7,
            (How::NotPrepared, Engine::Pan) => 3,
            (How::NotLoaded | How::NotPrepared, _) => 1,
        };
        Outcome::Over(conclude(self.engine, outcome::Ended::Code(code), &self.reading, false))
    }
}

/// What the engine has counted is truer than what its log says; of what a step of Kettle begins (a mapping)
/// only the log tells, and takes steps of who has begun it for its own.
fn counted(ended: &Counts, live: &Counts, log: &Counts) -> Counts {
    let mut counts = ended.clone();
    counts.on_their_way(live.steps.clone());
    // Only the log has times.
    counts.take_times(log);
    let told = |of: fn(&Step) -> &String| counts.steps.iter().map(of).cloned().collect();
    let parts: BTreeSet<String> = told(|step| &step.part);
    let names: BTreeSet<String> = told(|step| &step.name);
    counts.leave_out_with(log);
    let others = |step: &&Step| !parts.contains(&step.part) && !names.contains(&step.name);
    log.steps.iter().filter(others).for_each(|step| counts.add(step.clone()));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(steps: &[(&str, &str, &str, u32, u64)]) -> Counts {
        let mut counts = Counts::default();
        for (entry, part, name, lines, written) in steps {
            let (part, name) = ((*part).to_owned(), (*name).to_owned());
            let step = Step { lines: *lines, written: *written, part, name, ..Step::default() };
            counts.add(step.of(entry));
        }
        counts
    }

    #[test]
    fn what_the_engine_counts_is_told_once() {
        let ended = counts(&[("north", "load", "a", 1, 7)]);
        let live = counts(&[("north", "load", "a", 0, 6), ("south", "load", "a", 0, 3)]);
        // Side by side its log does not tell whose they are, and what ends late is taken for the mapping's.
        let log = counts(&[
            ("", "load", "a", 1, 7),
            ("south", "mapping", "b", 1, 9),
            ("south", "mapping", "a", 1, 7),
        ]);
        let told = counted(&ended, &live, &log);
        let told: Vec<_> =
            told.steps.iter().map(|it| (&*it.entry, &*it.part, it.lines, it.written)).collect();
        assert_eq!(
            told,
            [("north", "load", 1, 7), ("south", "load", 0, 3), ("south", "mapping", 1, 9)]
        );
    }
}
