//! Why: why an instant of a dispatch fired or did not, why something is not there or waits, and why
//! what has ended ended then. One answer for pages, API and command line, made of rows.
//!
//! The rule: pure. [`explain`] composes the answer from [`Facts`] and says what else it must know
//! ([`Want`]); who calls it reads that, adds it, and asks again, until nothing is missing or the
//! facts are closed. So the chain is followed from wait to wait without a query that is not needed.

mod facts;
mod instant;
mod job;
mod said;
mod slice;
mod then;

pub use facts::{Facts, Want};
pub use said::Said;

use shared::ids::*;
use shared::period::Period;
use std::collections::BTreeSet;

/// How deep causes are followed.
const DEPTH_MAX: usize = 12;
/// Lines of one answer.
const LINES_MAX: usize = 300;
/// Causes of one kind that are told beside each other.
const BESIDE_MAX: usize = 6;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    Instant(DispatchId, Millis),
    /// All instants of a dispatch whose data is of this period.
    Instants(DispatchId, Period),
    Period(InterfaceId, Period),
    Execution(ExecutionId),
    Job(JobRunId),
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    #[default]
    Plain,
    Good,
    /// It may still come.
    Open,
    Bad,
}

/// What a line is about, for links.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Link {
    Dispatch { dispatch: DispatchId },
    Instant { dispatch: DispatchId, instant_ms: Millis },
    Period { interface: InterfaceId, period: Period },
    Execution { execution: ExecutionId },
    Run { execution: ExecutionId, run: RunId },
    Job { execution: ExecutionId, run: RunId, job: JobId },
}

/// One sentence of an answer, with what caused it below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub said: Said,
    pub tone: Tone,
    /// When it was, or since when it is.
    pub at: Option<Millis>,
    /// Until when: given up, tried again.
    pub until: Option<Millis>,
    /// What would satisfy it.
    pub cure: Option<Said>,
    pub link: Option<Link>,
    /// Of a time line: what was waited for last.
    pub last: bool,
    pub because: Vec<Line>,
}

impl Line {
    fn new(said: Said) -> Line {
        Line {
            said,
            tone: Tone::Plain,
            at: None,
            until: None,
            cure: None,
            link: None,
            last: false,
            because: Vec::new(),
        }
    }

    fn tone(self, tone: Tone) -> Line {
        Line { tone, ..self }
    }

    fn at(self, at: impl Into<Option<Millis>>) -> Line {
        Line { at: at.into(), ..self }
    }

    /// None while no clock can be trusted.
    fn until(self, until: Millis) -> Line {
        Line { until: (until != Millis::MAX).then_some(until), ..self }
    }

    fn cure(self, cure: Said) -> Line {
        Line { cure: Some(cure), ..self }
    }

    fn link(self, link: Link) -> Line {
        Line { link: Some(link), ..self }
    }

    fn because(self, because: Vec<Line>) -> Line {
        Line { because, ..self }
    }

    /// The lines at the ends of the chain: what it comes from. Plain ones are about it.
    fn ends<'a>(&'a self, found: &mut Vec<&'a Line>) {
        let before = found.len();
        let causes = self.because.iter().filter(|line| line.tone != Tone::Plain);
        causes.for_each(|line| line.ends(found));
        if found.len() == before && self.tone != Tone::Good {
            found.push(self);
        }
    }
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What is so, and below it why.
    pub head: Line,
    /// What led to it, in order.
    pub then: Vec<Line>,
}

impl Explanation {
    /// Where the chain of causes begins, each once: what somebody could do something about.
    pub fn roots(&self) -> Vec<&Line> {
        let mut found = Vec::new();
        self.head.ends(&mut found);
        let mut seen = BTreeSet::new();
        found.retain(|line| *line != &self.head && seen.insert(line.said.to_string()));
        found
    }
}

/// The answer as far as it can be given, and what must be known for more.
pub fn explain(question: Question, facts: &Facts) -> (Explanation, BTreeSet<Want>) {
    let asked = match question {
        Question::Instant(id, at) => Some((id, at)),
        _ => None,
    };
    let mut story = Story { asked, ..Story::new(facts) };
    let (head, then) = match question {
        Question::Instant(id, at) => story.instant(id, at),
        Question::Instants(id, period) => (story.instants(id, period), Vec::new()),
        Question::Period(id, period) => {
            let then = story.then_slice((id, period));
            (story.slice((id, period)), then)
        }
        Question::Execution(id) => story.execution(id),
        Question::Job(id) => (story.job_alone(id), story.then_job(id)),
    };
    (Explanation { head, then }, story.wants)
}

/// Of each of these runs, what it was fed by and has been made anew since; and what must be known for
/// more.
pub fn fed_by(runs: &[RunId], facts: &Facts) -> (Vec<Vec<Line>>, BTreeSet<Want>) {
    let mut wants = BTreeSet::new();
    let fed = runs.iter().map(|id| {
        let mut story = Story::new(facts);
        let lines = story.run(*id).map(|run| story.fed_by(run)).unwrap_or_default();
        wants.append(&mut story.wants);
        lines
    });
    (fed.collect(), wants)
}

/// An answer on its way.
struct Story<'a> {
    facts: &'a Facts,
    wants: BTreeSet<Want>,
    /// What is being explained, from the question down.
    path: Vec<(InterfaceId, Period)>,
    lines: usize,
    /// The instant that is asked about.
    asked: Option<(DispatchId, Millis)>,
}

impl<'a> Story<'a> {
    fn new(facts: &'a Facts) -> Story<'a> {
        Story { facts, wants: BTreeSet::new(), path: Vec::new(), lines: 0, asked: None }
    }

    /// Whether so much may be followed; counts a line.
    fn has_room(&mut self) -> bool {
        self.lines += 1;
        self.path.len() < DEPTH_MAX && self.lines < LINES_MAX
    }
}

/// The first few, and that there is more.
fn few(mut lines: Vec<Line>) -> Vec<Line> {
    if lines.len() > BESIDE_MAX {
        lines.truncate(BESIDE_MAX);
        lines.push(Line::new(Said::More {}));
    }
    lines
}
