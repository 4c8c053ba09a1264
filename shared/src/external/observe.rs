//! What to ask a server next: pure, without a clock. Proved in a world of lost and late messages, servers
//! that forget, and lookers-on that die at any step (`shared/tests/external/`).
//!
//! A submission has two steps, for no server lets us choose its ids: *register*, which runs nothing, and
//! *start* of that one id. Each is said once; whether it has arrived is looked at, and only when it can
//! arrive no more it is said again.

use crate::ids::Millis;

/// Between two looks: the first ones follow quickly, for many runs are short.
const LOOK_MS: (Millis, Millis) = (250, 3_000);
/// Between two tries of what has not been answered.
const AGAIN_MS: Millis = 2_000;
/// Between two words to end.
const STOP_AGAIN_MS: Millis = 5_000;
/// Registrations of one attempt.
const REGISTER_MAX: u32 = 20;
/// Tries to have the server forget what has ended.
const CLEAR_MAX: u32 = 3;

/// What the server calls one submission.
pub type Id = String;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// All that it knows.
    List,
    /// Under our name; nothing runs yet.
    Register,
    Start(Entry),
    Look(Entry),
    Stop(Entry),
    Remove(Entry),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub id: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// Registered, not begun.
    Waits,
    Lives,
    Ended(Ended),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    WithErrors,
    /// Somebody has told it to.
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Listed(Vec<(Entry, There)>),
    Registered(Id),
    Done,
    Seen(There),
    /// It understands, and says no.
    Refused(String),
    /// It knows no such id.
    Unknown,
    /// It has certainly not arrived.
    Away(String),
    /// Perhaps it has arrived.
    Lost(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Ask(Ask),
    /// Nothing before then.
    Wait(Millis),
    Over(Verdict),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ended(Ended),
    /// By us.
    Stopped,
    /// Nothing of it has run.
    NotBegun(String),
    /// What it does is not known.
    Unseen(String),
    /// It may have run.
    Gone,
}

/// What one looker-on is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of what it registers.
    pub key: String,
    /// Names under which it may have been submitted before.
    pub adopt: Vec<String>,
    /// One of those was told to end it: what was stopped was stopped by us.
    pub stopped: bool,
    pub patience_ms: Millis,
    /// See the module above.
    pub late_ms: Millis,
    pub again_if_gone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Find,
    Register,
    Start(Entry),
    /// It may have been told to start; when it can arrive no more, we know.
    Settle(Entry, Millis),
    Follow(Entry),
    Clear(Verdict),
}

/// Who looks on.
#[derive(Clone, Debug)]
pub struct Observer {
    plan: Plan,
    phase: Phase,
    /// Entries of ours that are to be forgotten when all is over.
    own: Vec<Entry>,
    not_before: Millis,
    /// Unanswered since then.
    away_since: Option<Millis>,
    look_ms: Millis,
    registered: u32,
    cleared: u32,
    stopping: bool,
    stop_at: Millis,
    /// Something of ours may have begun.
    begun: bool,
    /// What others have sent has arrived by now, or never will.
    settled: bool,
    /// Which rules are broken, to show that the world notices.
    pub sabotage: Option<Sabotage>,
}

/// What the simulated world must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Does not look for what was submitted before.
    NeverLooks,
    /// Says *start* again at once when there was no answer.
    StartsAgain,
    /// Does not wait for what may still arrive.
    NeverSettles,
    /// Submits again when the server has forgotten it.
    ForgetsGone,
    /// Takes an answer that did not come for a failure.
    LostIsFailed,
    /// Ends without having heard that it has ended there.
    StopsAndGoes,
    /// Does not wait for a registration that may still arrive.
    RegistersAgain,
    /// Begins anew what somebody else has stopped.
    RevivesStopped,
}

impl Observer {
    pub fn new(plan: Plan) -> Observer {
        let begun = !plan.adopt.is_empty();
        Observer {
            plan,
            phase: Phase::Find,
            own: Vec::new(),
            not_before: 0,
            away_since: None,
            look_ms: LOOK_MS.0,
            registered: 0,
            cleared: 0,
            stopping: false,
            stop_at: 0,
            begun,
            settled: false,
            sabotage: None,
        }
    }

    fn has(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }

    /// What it follows: whose log is to be read.
    pub fn follows(&self) -> Option<&Entry> {
        match &self.phase {
            Phase::Follow(entry) => Some(entry),
            _ => None,
        }
    }

    /// A person, a time-out, or the end of this host.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.not_before = 0;
    }

    pub fn next(&mut self, now: Millis) -> Next {
        if self.not_before > now {
            return Next::Wait(self.not_before);
        }
        match &self.phase {
            // Nothing was submitted: there is nothing to stop.
            Phase::Find | Phase::Register if self.stopping && !self.begun => {
                self.clear(Verdict::Stopped);
                self.next(now)
            }
            Phase::Find => Next::Ask(Ask::List),
            Phase::Register => Next::Ask(Ask::Register),
            Phase::Start(_) if self.stopping => {
                self.clear(Verdict::Stopped);
                self.next(now)
            }
            Phase::Start(entry) => Next::Ask(Ask::Start(entry.clone())),
            Phase::Follow(entry) if self.stopping && self.stop_at <= now => {
                let entry = entry.clone();
                self.stop_at = now + STOP_AGAIN_MS;
                Next::Ask(Ask::Stop(entry))
            }
            Phase::Settle(entry, _) | Phase::Follow(entry) => Next::Ask(Ask::Look(entry.clone())),
            Phase::Clear(verdict) => match self.own.last() {
                Some(entry) => Next::Ask(Ask::Remove(entry.clone())),
                None => Next::Over(verdict.clone()),
            },
        }
    }

    /// The answer to what was asked last.
    pub fn heard(&mut self, now: Millis, answer: Answer) {
        let looks = matches!(self.phase, Phase::Settle(..) | Phase::Follow(_));
        let silent = match answer {
            Answer::Away(ref why) | Answer::Lost(ref why) => Some(why.clone()),
            // No word about it, however well it is understood. (A stop that is refused: the next look
            // tells whether it is heard.)
            Answer::Refused(ref why) if looks => Some(why.clone()),
            _ => None,
        };
        if let Some(why) = silent {
            let since = *self.away_since.get_or_insert(now);
            self.not_before = now + AGAIN_MS;
            let sent = matches!(answer, Answer::Lost(_));
            return self.unanswered(now, (why, sent), now - since > self.plan.patience_ms);
        }
        self.away_since = None;
        match (self.phase.clone(), answer) {
            (Phase::Find, Answer::Listed(entries)) => self.found(now, entries),
            (Phase::Find, Answer::Refused(why)) => self.refused(why),
            (Phase::Register, Answer::Registered(id)) => {
                let entry = Entry { name: self.plan.key.clone(), id };
                self.own.push(entry.clone());
                self.phase = Phase::Start(entry);
            }
            (Phase::Register, Answer::Refused(why)) => self.refused(why),
            (Phase::Start(entry), Answer::Done) => self.follow(entry),
            (Phase::Start(_), Answer::Refused(why)) => self.clear(Verdict::NotBegun(why)),
            // Between the two steps it has forgotten: nothing has run.
            (Phase::Start(entry), Answer::Unknown) => {
                self.own.retain(|own| *own != entry);
                self.begun = !self.plan.adopt.is_empty();
                self.register(now);
            }
            (Phase::Settle(entry, until), Answer::Seen(there)) => {
                self.settle(now, entry, until, there)
            }
            (Phase::Follow(entry), Answer::Seen(there)) => self.seen(now, entry, there),
            (Phase::Settle(entry, _) | Phase::Follow(entry), Answer::Unknown) => {
                self.own.retain(|own| *own != entry);
                self.gone(now);
            }
            // Whether it has obeyed is looked at.
            (Phase::Follow(_), Answer::Done) => {
                self.not_before = now + LOOK_MS.0;
            }
            (Phase::Clear(_), _) => self.own.truncate(self.own.len().saturating_sub(1)),
            // An answer to something else: asked again.
            _ => self.not_before = now + AGAIN_MS,
        }
    }

    fn unanswered(&mut self, now: Millis, (why, sent): (String, bool), too_long: bool) {
        match self.phase.clone() {
            Phase::Clear(_) => {
                self.cleared += 1;
                if self.cleared >= CLEAR_MAX {
                    self.own.clear();
                }
                return;
            }
            Phase::Start(entry) if sent => {
                self.begun = true;
                self.settled = false;
                if self.has(Sabotage::StartsAgain) {
                    return;
                }
                self.phase = Phase::Settle(entry, now + self.plan.late_ms);
            }
            // Only when it can arrive no more it is registered again: a second one that arrives when the
            // first has run, and is forgotten, would be taken for one that has never begun.
            Phase::Register if sent => {
                self.phase = Phase::Find;
                if !self.has(Sabotage::RegistersAgain) {
                    self.not_before = now + self.plan.late_ms;
                }
            }
            _ => {}
        }
        let too_long = too_long || sent && self.has(Sabotage::LostIsFailed);
        if !too_long {
            return;
        }
        if self.has(Sabotage::LostIsFailed) {
            return self.clear(Verdict::NotBegun(why));
        }
        self.own.clear(); // nobody is there to forget them
        self.phase = Phase::Clear(match self.begun {
            true => Verdict::Unseen(why),
            false => Verdict::NotBegun(why),
        });
        self.not_before = 0;
    }

    /// Of all that it knows, what is ours.
    fn found(&mut self, now: Millis, entries: Vec<(Entry, There)>) {
        let entries = if self.has(Sabotage::NeverLooks) { Vec::new() } else { entries };
        let ours =
            |entry: &Entry| entry.name == self.plan.key || self.plan.adopt.contains(&entry.name);
        let mut ours: Vec<(Entry, There)> =
            entries.into_iter().filter(|(it, _)| ours(it)).collect();
        // What we have stopped says least: another one may have begun since.
        let stopped = if self.revives() { 4 } else { 2 };
        let rank = |there: &There| match there {
            There::Lives => 0,
            There::Ended(Ended::Well | Ended::WithErrors) => 1,
            There::Waits => 3,
            There::Ended(Ended::Stopped) => stopped,
        };
        ours.sort_by(|(a, at), (b, bt)| (rank(at), a).cmp(&(rank(bt), b)));
        self.own = ours.iter().map(|(entry, _)| entry.clone()).collect();
        let Some((first, there)) = ours.into_iter().next() else {
            return match self.begun {
                false => self.register(now),
                true => self.gone(now),
            };
        };
        match there {
            // By one of ours, for its time was up: what was before us is over.
            There::Ended(Ended::Stopped) if !self.stopping && self.revives() => self.register(now),
            There::Lives | There::Ended(_) => self.follow(first),
            // One of our own that we have not told to start: nobody else can have.
            There::Waits if self.plan.adopt.is_empty() || self.settled => {
                self.phase = Phase::Start(first);
            }
            There::Waits => self.phase = Phase::Settle(first, now + self.plan.late_ms),
        }
    }

    fn revives(&self) -> bool {
        self.plan.stopped || self.has(Sabotage::RevivesStopped)
    }

    fn settle(&mut self, now: Millis, entry: Entry, until: Millis, there: There) {
        let until = if self.has(Sabotage::NeverSettles) { now } else { until };
        match there {
            There::Waits if now < until => self.not_before = now + LOOK_MS.0,
            // It has not arrived, and never will; and of another one of ours, the list tells.
            There::Waits => {
                self.settled = true;
                self.phase = Phase::Find;
            }
            There::Lives | There::Ended(_) => self.follow(entry),
        }
    }

    fn follow(&mut self, entry: Entry) {
        self.begun = true;
        self.look_ms = LOOK_MS.0;
        self.phase = Phase::Follow(entry);
    }

    fn seen(&mut self, now: Millis, entry: Entry, there: There) {
        match there {
            There::Ended(_) if self.stopping => {
                // They stay there: who comes after must see that it is over.
                self.own.clear();
                self.clear(Verdict::Stopped);
            }
            There::Ended(ended) => {
                // It goes last: as long as it is there, who comes after sees that it has ended, and how.
                self.own.retain(|own| *own != entry);
                self.own.insert(0, entry);
                self.clear(Verdict::Ended(ended));
            }
            There::Waits | There::Lives => {
                if self.stopping && self.has(Sabotage::StopsAndGoes) {
                    return self.clear(Verdict::Stopped);
                }
                self.not_before = now + self.look_ms;
                self.look_ms = (self.look_ms * 3 / 2).min(LOOK_MS.1);
            }
        }
    }

    /// What may have run is not known any more.
    fn gone(&mut self, now: Millis) {
        let again = self.plan.again_if_gone && !self.stopping;
        let again = again || self.has(Sabotage::ForgetsGone);
        match again {
            true => self.register(now),
            false => self.clear(if self.stopping { Verdict::Stopped } else { Verdict::Gone }),
        }
    }

    fn register(&mut self, now: Millis) {
        self.registered += 1;
        if self.registered > REGISTER_MAX {
            let why = format!("{REGISTER_MAX} registrations were in vain");
            return self.clear(match self.begun {
                true => Verdict::Unseen(why),
                false => Verdict::NotBegun(why),
            });
        }
        if self.registered > 1 {
            self.not_before = now + AGAIN_MS;
        }
        self.settled = false;
        self.phase = Phase::Register;
    }

    fn refused(&mut self, why: String) {
        self.clear(match self.begun {
            true => Verdict::Unseen(why),
            false => Verdict::NotBegun(why),
        });
    }

    fn clear(&mut self, verdict: Verdict) {
        self.not_before = 0;
        self.phase = Phase::Clear(verdict);
    }
}
