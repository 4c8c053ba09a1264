//! Who looks on: `hcndc-executor external`, the process of an attempt whose work lives on a server.
//!
//! A process of the attempt like any other: supervised, limited and killed with it, as the job's user. What
//! to ask next is decided by [`shared::external::observe`]; here it is asked ([`server`]), and the log of the
//! server goes into our own output. Told to end by [`STOP`], it ends the work there first; any other signal
//! (of who clears up, of a machine that goes down) ends it alone, and the work goes on.

mod children;
mod metadata;
mod parameters;
pub(crate) mod server;

use crate::etl::pump::hidden;
use crate::etl::{code, say, told};
use crate::process::launch::ABOUT;
use server::{ANSWER_BYTES_MAX, Connection};
use shared::clock::Clock;
use shared::config::env;
use shared::etl::log::Reading;
use shared::etl::outcome::{NOT_READY, UNDECLARED, WITH_ERRORS};
use shared::etl::progress::Progress;
use shared::external::carte::live::Begun;
use shared::external::carte::{Beside, Reply};
use shared::external::observe::{Answer, Ask, Ended, Entry, Next, Observer, Plan, There, Verdict};
use shared::external::outcome::{GONE, UNSEEN};
use shared::external::{External, password};
use shared::ids::Millis;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Who has the work ended sends this one.
pub const STOP: i32 = libc::SIGINT;
/// What a server has not worked off by then, it never will.
const LATE_MS: Millis = 30_000;
/// Of one answer's log, unpacked.
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A line whose end has not come is told in pieces of this, in bytes.
const LINE_MAX: usize = 1024 * 1024;
/// From which line on nothing is there: how it goes is told without its log.
const NO_LINE: u64 = 2_000_000_000;
/// Looks in a row.
const SAME_MAX: u32 = 3;

/// Runs it.
pub fn run() -> ExitCode {
    let about = env(ABOUT).unwrap_or_default();
    let external: External = match serde_json::from_str(&about) {
        Ok(external) => external,
        Err(error) => {
            say(&format!("what is to be run (HCNDC_ABOUT): {error}"));
            return code(UNSEEN);
        }
    };
    // Of what was submitted before it was checked then.
    if external.adopt.is_empty() {
        match parameters::check(&external) {
            Ok(note) => note.iter().for_each(|note| say(note)),
            Err(words) => {
                say(&words);
                return code(UNDECLARED);
            }
        }
    }
    // What was submitted before may run: that it cannot be looked for is not how it ends.
    let not_ready = if external.adopt.is_empty() { NOT_READY } else { UNSEEN };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| format!("a runtime: {error}")).and_then(|runtime| {
        runtime.block_on(async { Ok(Looker::new(external)?.look_on(Signals::new()?).await) })
    });
    ended.unwrap_or_else(|why| {
        say(&why);
        code(not_ready)
    })
}

struct Signals {
    stop: Signal,
    others: Others,
}

/// Those that are not about the work.
struct Others([Signal; 2]);

impl Signals {
    fn new() -> Result<Signals, String> {
        let caught =
            |kind| signal(kind).map_err(|error| format!("no signal can be caught: {error}"));
        Ok(Signals {
            stop: caught(SignalKind::from_raw(STOP))?,
            others: Others([caught(SignalKind::terminate())?, caught(SignalKind::hangup())?]),
        })
    }
}

impl Others {
    async fn recv(&mut self) {
        let [term, hup] = &mut self.0;
        tokio::select! {
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    }
}

struct Looker {
    external: External,
    observer: Observer,
    connection: Connection,
    clock: Clock,
    reading: Reading,
    /// What of that which a Carte lists is ours.
    begun: Begun,
    progress: Progress,
    /// Not to be seen in our output.
    secrets: Vec<String>,
    /// As Kettle reads it.
    repository_password: String,
    metadata: String,
    /// Of the log of this one.
    line: u64,
    of: Option<Entry>,
    /// So often there was no new line of anybody.
    same: u32,
    /// Not all of its log was read.
    cut: bool,
    /// The end of the last part, without its line feed.
    rest: String,
    /// That it does not answer was said.
    away: bool,
}

impl Looker {
    fn new(external: External) -> Result<Looker, String> {
        let variables = external.server.variables();
        let of = |name: &str| env(&format!("{variables}_{name}")).unwrap_or_default();
        let (url, server_password) = (of("URL"), of("PASSWORD"));
        if url.is_empty() {
            return Err(format!(
                "{variables}_URL is not set: the named environment of the job says where its server is"
            ));
        }
        let path = of("METADATA");
        let metadata = metadata::of(&path)
            .map_err(|error| format!("{variables}_METADATA: {path}: {error}"))?;
        let connection = Connection::new(&url, (of("USER"), server_password.clone()), &of("CA"))?;
        let repository_password = env("KETTLE_PASSWORD").unwrap_or_default();
        let encoded = password::encoded(&repository_password);
        let secrets = [server_password, repository_password, encoded.clone()].into_iter();
        let plan = Plan {
            key: external.key.clone(),
            adopt: external.adopt.clone(),
            stopped: external.stopped,
            patience_ms: Millis::from(external.patience_s) * 1_000,
            late_ms: LATE_MS,
            again_if_gone: external.again_if_gone,
        };
        let clock = Clock::system();
        let own = || external.adopt.iter().chain([&external.key]).cloned();
        Ok(Looker {
            progress: Progress::new(clock.mono_ms()),
            observer: Observer::new(plan),
            reading: Reading::below(external.server.engine(), own()),
            begun: Begun::new(own()),
            external,
            connection,
            clock,
            secrets: secrets.filter(|secret| !secret.is_empty()).collect(),
            repository_password: encoded,
            metadata: server::packed(metadata.as_bytes()),
            line: 0,
            of: None,
            same: 0,
            cut: false,
            rest: String::new(),
            away: false,
        })
    }

    async fn look_on(&mut self, Signals { mut stop, mut others }: Signals) -> ExitCode {
        loop {
            self.tell_progress().await;
            let next = self.observer.next(self.clock.mono_ms());
            let (ask, ms) = match next {
                Next::Over(verdict) => {
                    self.forget_children(&verdict).await;
                    return self.conclude(verdict);
                }
                Next::Ask(ask) => (Some(ask), 0),
                Next::Wait(until) => (None, until - self.clock.mono_ms()),
            };
            let Some(ask) = ask else {
                let sleep =
                    tokio::time::sleep(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
                tokio::select! {
                    () = sleep => {}
                    _ = stop.recv() => self.stop(),
                    () = others.recv() => return self.leave(),
                }
                continue;
            };
            if ask == Ask::Register {
                self.note_children().await;
            }
            // Cut short only where nothing is meant to happen there: whether the rest has arrived would
            // not be known.
            let idle = matches!(ask, Ask::List | Ask::Look(_));
            let reply = tokio::select! {
                reply = self.ask(&ask) => Some(reply),
                _ = stop.recv(), if idle => None,
                () = others.recv() => return self.leave(),
            };
            match reply {
                Some(reply) => {
                    let reply = self.take_log(reply);
                    // Its log was cut off before its state was looked at: what came between is asked for.
                    if let (Ask::Look(_), Answer::Seen(There::Ended(_))) = (&ask, &reply.answer) {
                        let rest = self.ask(&ask).await;
                        self.take_log(rest);
                    }
                    self.heard(&ask, reply);
                }
                None => self.stop(),
            }
        }
    }

    /// How far it is, by its log and, where the server tells it, by itself.
    async fn tell_progress(&mut self) {
        if self.clock.mono_ms() < self.progress.due() {
            return;
        }
        let mut counts = self.reading.counts.clone();
        let whose = self.reading.whose();
        if self.external.lists && self.observer.follows().is_some() && !whose.part.is_empty() {
            counts.on_their_way(self.connection.steps(&self.begun, whose).await);
        }
        if let Some(line) = self.progress.line(self.clock.mono_ms(), &counts) {
            told(&line);
        }
    }

    fn stop(&mut self) {
        say(&format!("told to end: so is what runs on {}", self.external.server.title()));
        self.observer.stop();
    }

    /// Without a word to the server.
    fn leave(&self) -> ExitCode {
        let title = self.external.server.title();
        say(&format!("told to end, and not what runs on {title}: that goes on"));
        code(UNSEEN)
    }

    async fn ask(&mut self, ask: &Ask) -> Reply {
        if let Ask::Look(entry) = ask
            && self.of.as_ref() != Some(entry)
        {
            (self.of, self.line) = (Some(entry.clone()), 0);
        }
        let mut beside = Beside {
            secret: &self.repository_password,
            metadata: &self.metadata,
            from_line: self.line,
        };
        if self.same % SAME_MAX == SAME_MAX - 1 && matches!(ask, Ask::Look(_)) {
            self.forget_what_it_told(ask, beside).await;
        }
        if let Some(reply) = self.connection.ask(&self.external, ask, beside).await {
            return reply;
        }
        let why = format!("its answer is longer than {ANSWER_BYTES_MAX} bytes");
        if matches!(ask, Ask::Look(_)) {
            beside.from_line = NO_LINE;
            if let Some(reply) = self.connection.ask(&self.external, ask, beside).await {
                say(&format!("{why}: a part of its log is left out, and is on the server only"));
                self.miss();
                return reply;
            }
        }
        Answer::Lost(why).into()
    }

    /// A Carte keeps what it has told of a job that is being stopped, and tells it again, "Halting", to who asks for the
    /// same lines: for ever, if nobody logs any more. Who asks for others makes it look again.
    async fn forget_what_it_told(&self, ask: &Ask, beside: Beside<'_>) {
        let others = Beside { from_line: NO_LINE + u64::from(self.same), ..beside };
        let _ = self.connection.ask(&self.external, ask, others).await;
    }

    /// Its log goes on to our output.
    fn take_log(&mut self, mut reply: Reply) -> Reply {
        if let Some(log) = reply.log.take() {
            self.pass(&log);
            let next = reply.next_line.unwrap_or(self.line);
            self.same = if next == self.line { self.same.wrapping_add(1) } else { 0 };
            self.line = next;
        }
        reply
    }

    fn heard(&mut self, ask: &Ask, reply: Reply) {
        let title = self.external.server.title();
        match &reply.answer {
            Answer::Away(why) | Answer::Lost(why) if !self.away => {
                self.away = true;
                self.say(&format!("{title} does not answer: {why}; asked again"));
            }
            Answer::Away(_) | Answer::Lost(_) => {}
            Answer::Refused(why) if matches!(ask, Ask::Look(_)) => {
                if !std::mem::replace(&mut self.away, true) {
                    self.say(&format!("{title} does not tell how it goes: {why}; asked again"));
                }
            }
            answer => {
                if std::mem::take(&mut self.away) {
                    say(&format!("{title} answers again"));
                }
                if let Answer::Registered(id) = answer {
                    say(&format!("{title} knows it as {}, id {id}", self.external.key));
                }
                if let (Ask::Stop(_), Answer::Refused(why)) = (ask, answer) {
                    self.say(&format!("{title} does not stop it: {why}"));
                }
            }
        }
        let before = self.observer.follows().cloned();
        self.observer.heard(self.clock.mono_ms(), reply.answer);
        if let Some(entry) = self.observer.follows().filter(|_| before.is_none())
            && entry.name != self.external.key
        {
            say(&format!(
                "what {} has submitted is there: it is looked on, id {}",
                entry.name, entry.id
            ));
        }
    }

    /// A part of its log will never be read.
    fn miss(&mut self) {
        self.cut = true;
        self.reading.hole();
    }

    /// Its log becomes our output, line by line.
    fn pass(&mut self, log: &str) {
        let (text, more) = match server::unpacked(log, LOG_BYTES_MAX) {
            Ok(unpacked) => unpacked,
            Err(why) => {
                self.miss();
                return say(&format!("a part of its log cannot be read: {why}"));
            }
        };
        if more {
            self.miss();
            say(&format!(
                "a part of its log is longer than {LOG_BYTES_MAX} bytes: it is cut, and its rest is on the \
                 server only"
            ));
        }
        let text = std::mem::take(&mut self.rest) + &text;
        let mut out = std::io::stdout().lock();
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            if lines.peek().is_none() && line.len() <= LINE_MAX {
                line.clone_into(&mut self.rest);
                break;
            }
            let line = hidden(line.trim_end_matches('\r'), &self.secrets);
            self.reading.line(&line);
            if self.external.lists {
                self.begun.line(&line);
            }
            // Whoever does not read us is no reason to stop looking on.
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
    }

    fn conclude(&mut self, verdict: Verdict) -> ExitCode {
        if !self.rest.is_empty() {
            let line = hidden(self.rest.trim_end_matches('\r'), &self.secrets);
            self.reading.line(&line);
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        if !self.reading.counts.is_empty() {
            told(&self.reading.counts.line());
        }
        let title = self.external.server.title();
        let first = self.reading.first_error.as_deref();
        let first = first.map_or(String::new(), |text| format!(": {text}"));
        let errors = self.reading.errors.saturating_add(self.reading.counts.errors());
        let (code_of, words) = match verdict {
            Verdict::Ended(Ended::Well) if errors == 0 && self.cut => (
                WITH_ERRORS,
                format!(
                    "{title} says that it ended well; its log was too long to be read whole, and may tell of errors"
                ),
            ),
            Verdict::Ended(Ended::Well) if errors == 0 => (0, String::new()),
            Verdict::Ended(Ended::Well) => (
                WITH_ERRORS,
                format!("{title} says that it ended well, but not without errors{first}"),
            ),
            Verdict::Ended(Ended::WithErrors) => (1, format!("it ended with errors{first}")),
            Verdict::Ended(Ended::Stopped) => (1, format!("somebody has stopped it on {title}")),
            Verdict::Stopped => (143, "it was told to end, and has ended".into()),
            Verdict::NotBegun(why) => (NOT_READY, format!("nothing has run: {why}")),
            Verdict::Unseen(why) => {
                (UNSEEN, format!("what it does on {title} is not known: {why}"))
            }
            Verdict::Gone => (
                GONE,
                format!(
                    "{title} does not know any more what was submitted to it (it was started anew, or has \
                     forgotten what ended long ago): whether it has run, and how it ended, is not known"
                ),
            ),
        };
        if !words.is_empty() {
            self.say(&words);
        }
        code(code_of)
    }

    /// What may hold words of the server.
    fn say(&self, text: &str) {
        say(&hidden(text, &self.secrets));
    }
}
