//! One job, its server, and all who look on, one after the other.

mod oracle;
mod server;

use shared::external::observe::*;
use std::collections::BTreeSet;

/// As it is presumed of a server.
const LATE_MS: i64 = 30_000;
const PATIENCE_MS: i64 = 120_000;
/// How long a looker-on waits for an answer.
const ANSWER_MS: i64 = 10_000;
/// Faults end here, and everything must come to an end.
const QUIET_MS: i64 = 600_000;
const END_MS: i64 = 3_600_000;
const RETRIES: u32 = 2;

pub(crate) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: i64) -> i64 {
        (self.next() % n.unsigned_abs()).cast_signed()
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) killed: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) restarts: u64,
    pub(crate) gone: u64,
    pub(crate) adopted: u64,
    pub(crate) well: u64,
    pub(crate) failed: u64,
    pub(crate) stopped: u64,
    /// On the server, by somebody else.
    pub(crate) foreign: u64,
    pub(crate) runs: u64,
}

impl Facts {
    pub(crate) fn add(&mut self, other: &Facts) {
        self.killed += other.killed;
        self.lost += other.lost;
        self.late += other.late;
        self.restarts += other.restarts;
        self.gone += other.gone;
        self.adopted += other.adopted;
        self.well += other.well;
        self.failed += other.failed;
        self.stopped += other.stopped;
        self.foreign += other.foreign;
        self.runs += other.runs;
    }
}

/// What has really run.
#[derive(Clone, Debug)]
struct Ran {
    name: String,
    until: i64,
    will: Ended,
    end: Option<Ended>,
}

#[derive(Clone, Debug)]
struct Kept {
    entry: Entry,
    /// Of [`World::ran`].
    run: Option<usize>,
}

/// Somebody who looks on: one attempt.
struct Looker {
    number: u32,
    observer: Observer,
    /// To end it there.
    told: bool,
    /// When it hears what.
    hears: Option<(i64, Answer)>,
    wakes: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Seen(Told),
    Unseen,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Ended(Ended),
    Stopped,
    NotBegun,
    Gone,
}

pub(crate) struct World {
    rng: Rng,
    now: i64,
    kept: Vec<Kept>,
    ran: Vec<Ran>,
    away_until: i64,
    /// On their way to the server: when they arrive.
    sent: Vec<(i64, u32, Ask)>,
    looker: Option<Looker>,
    /// When the next one begins.
    begins: i64,
    ends: Vec<End>,
    /// Whether that attempt was told to end it there.
    were_told: Vec<bool>,
    /// A person has told it to stop at that time.
    stop_at: Option<i64>,
    told_to_stop: bool,
    /// Nobody of ours ever stops it.
    left_alone: bool,
    /// It is no person but its time-out that stops it: then it may be tried again.
    times_out: bool,
    timed_out: u32,
    /// Runs that have ended because one of us has told them to.
    halted: usize,
    again: bool,
    sabotage: Option<Sabotage>,
    told: Vec<String>,
    over: bool,
    pub(crate) facts: Facts,
    pub(crate) broken: Option<String>,
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>) -> World {
        let mut rng = Rng(seed);
        let stop_at = rng.one_in(6).then(|| rng.below(90_000));
        let times_out = rng.one_in(2);
        let again = rng.one_in(5);
        World {
            rng,
            now: 0,
            kept: Vec::new(),
            ran: Vec::new(),
            away_until: 0,
            sent: Vec::new(),
            looker: None,
            begins: 0,
            ends: Vec::new(),
            were_told: Vec::new(),
            left_alone: stop_at.is_none(),
            stop_at,
            told_to_stop: false,
            times_out,
            timed_out: 0,
            halted: 0,
            again,
            sabotage,
            told: Vec::new(),
            over: false,
            facts: Facts::default(),
            broken: None,
        }
    }

    pub(crate) fn story(&self) -> String {
        self.told.join("\n")
    }

    fn tell(&mut self, what: String) {
        self.told.push(format!("{:>8} {what}", self.now));
    }

    fn break_it(&mut self, why: &str) {
        self.tell(format!("BROKEN: {why}"));
        self.broken.get_or_insert_with(|| why.to_owned());
    }

    fn quiet(&self) -> bool {
        self.now >= QUIET_MS
    }

    pub(crate) fn run(&mut self) {
        while !self.over && self.broken.is_none() {
            self.step();
            let Some(next) = self.next_instant() else { break };
            if next > END_MS {
                self.break_it("it does not come to an end");
            }
            self.now = next.max(self.now);
        }
        // What is still on its way may arrive.
        while self.broken.is_none() && !self.sent.is_empty() {
            let next = self.sent.iter().map(|(at, ..)| *at).min().unwrap_or(self.now);
            self.now = next.max(self.now);
            self.arrive();
        }
        if self.broken.is_none() {
            self.judge_end();
        }
    }

    fn next_instant(&self) -> Option<i64> {
        let arriving = self.sent.iter().map(|(at, ..)| *at);
        let ending = self.ran.iter().filter(|ran| ran.end.is_none()).map(|ran| ran.until);
        let looker =
            self.looker.as_ref().map(|it| it.hears.as_ref().map_or(it.wakes, |(at, _)| *at));
        let begins = self.looker.is_none().then_some(self.begins);
        let stop = self.stop_at.filter(|_| self.looker.is_some());
        arriving.chain(ending).chain(looker).chain(begins).chain(stop).min()
    }

    fn step(&mut self) {
        self.arrive();
        self.finish_runs();
        self.misfortune();
        if self.looker.is_none() && self.begins <= self.now {
            self.begin();
        }
        if self.stop_at.is_some_and(|at| at <= self.now)
            && let Some(looker) = &mut self.looker
        {
            self.stop_at = None;
            self.told_to_stop = !self.times_out;
            looker.observer.stop();
            looker.told = true;
            looker.wakes = self.now;
            self.tell("told to stop".into());
        }
        self.look_on();
    }

    // ---- who looks on ----

    /// As the leader composes it: those since the last attempt whose end was seen.
    fn adopt(&self) -> Vec<String> {
        let unseen = self.ends.iter().enumerate().rev().take_while(|(_, end)| **end == End::Unseen);
        unseen.map(|(at, _)| key(u32::try_from(at + 1).unwrap())).collect()
    }

    fn begin(&mut self) {
        let number = u32::try_from(self.ends.len() + 1).unwrap();
        let mut observer = Observer::new(Plan {
            key: key(number),
            stopped: self.were_told.iter().rev().take(self.adopt().len()).any(|told| *told),
            adopt: self.adopt(),
            patience_ms: PATIENCE_MS,
            late_ms: LATE_MS,
            again_if_gone: self.again,
        });
        observer.sabotage = self.sabotage;
        self.tell(format!("attempt {number} begins, adopts {:?}", self.adopt()));
        self.looker = Some(Looker { number, observer, told: false, hears: None, wakes: self.now });
    }

    fn look_on(&mut self) {
        let Some(mut looker) = self.looker.take() else { return };
        if let Some((at, answer)) = looker.hears.clone() {
            if at > self.now {
                self.looker = Some(looker);
                return;
            }
            looker.hears = None;
            self.tell(format!("  {} hears {answer:?}", looker.number));
            let before = looker.observer.follows().cloned();
            looker.observer.heard(self.now, answer);
            let follows = looker.observer.follows();
            if before.is_none() && follows.is_some_and(|it| it.name != key(looker.number)) {
                self.facts.adopted += 1;
            }
        }
        match looker.observer.next(self.now) {
            Next::Wait(until) => looker.wakes = until,
            Next::Ask(ask) => self.ask(&mut looker, ask),
            Next::Over(verdict) => {
                let told = match verdict {
                    Verdict::Ended(ended) => End::Seen(Told::Ended(ended)),
                    Verdict::Stopped => End::Seen(Told::Stopped),
                    Verdict::NotBegun(_) => End::Seen(Told::NotBegun),
                    Verdict::Gone => End::Seen(Told::Gone),
                    Verdict::Unseen(_) => End::Unseen,
                };
                // Killed between its last step and the journal of its host.
                let lost = !self.quiet() && self.rng.one_in(20);
                self.looker = Some(looker);
                let end = if lost { End::Unseen } else { told };
                return self.end(end, &format!("{verdict:?}"));
            }
        }
        self.looker = Some(looker);
    }

    fn ask(&mut self, looker: &mut Looker, ask: Ask) {
        self.tell(format!("  {} asks {ask:?}", looker.number));
        let (now, name) = (self.now, key(looker.number));
        let heard = |at: i64, answer: Answer| Some((at, answer));
        if self.away_until > now {
            looker.hears = heard(now + 1, Answer::Away("away".into()));
            return;
        }
        let lot = if self.quiet() { 99 } else { self.rng.below(100) };
        let lost = || Answer::Lost("no answer".into());
        match lot {
            0..3 => {
                self.facts.lost += 1;
                looker.hears = heard(now + ANSWER_MS, lost());
            }
            // It arrives; what is answered does not.
            3..7 => {
                self.facts.lost += 1;
                self.deliver(&ask, &name);
                looker.hears = heard(now + ANSWER_MS, lost());
            }
            7..12 => {
                self.facts.late += 1;
                let at = now + self.rng.below(LATE_MS - 1);
                self.sent.push((at, looker.number, ask));
                looker.hears = heard(now + self.rng.below(ANSWER_MS), lost());
            }
            _ => {
                let answer = self.deliver(&ask, &name);
                looker.hears = heard(now + 1 + self.rng.below(50), answer);
            }
        }
    }

    fn deliver(&mut self, ask: &Ask, name: &str) -> Answer {
        match ask {
            Ask::Register => self.register(name),
            other => self.obey(other),
        }
    }

    fn end(&mut self, end: End, why: &str) {
        let Some(looker) = self.looker.take() else { return };
        self.tell(format!("attempt {} ends: {why} as {end:?}", looker.number));
        self.judge_told(end);
        // Its host says that it has timed out, and nothing more.
        let timed_out = self.times_out && end == End::Seen(Told::Stopped);
        let end = if timed_out { End::Unseen } else { end };
        self.timed_out += u32::from(timed_out);
        self.ends.push(end);
        self.were_told.push(looker.told);
        match end {
            End::Seen(Told::Ended(Ended::Well)) => self.facts.well += 1,
            End::Seen(Told::Gone) => self.facts.gone += 1,
            End::Seen(Told::Stopped) => self.facts.stopped += 1,
            End::Seen(_) => self.facts.failed += 1,
            End::Unseen => {}
        }
        let seen = self.ends.iter().filter(|end| **end != End::Unseen).count();
        let again = match end {
            // What a person has stopped is over, also where nobody has seen it: its page says so.
            End::Unseen => !self.told_to_stop && self.timed_out <= RETRIES,
            End::Seen(Told::Ended(Ended::WithErrors | Ended::Stopped) | Told::NotBegun) => {
                u32::try_from(seen).unwrap() <= RETRIES
            }
            End::Seen(_) => false,
        };
        self.over = !again;
        self.begins = self.now + 1 + self.rng.below(30_000);
    }
}

fn key(number: u32) -> String {
    format!("h-run-job-{number}")
}
