//! Why: what is told of every situation, from the rows that the World itself has written.

use super::lab::*;
use super::time::{D1, MINUTE, away, dispatch, edit, with};
use crate::engine::explain::*;
use crate::engine::rows::*;
use crate::engine::slice::SliceId;
use crate::engine::world::Ask;
use shared::ids::{JobRunId, Millis, UserId};
use shared::spec::Misfire;
use shared::wire::Exit;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const DAY: &str = "2026-11-20";

fn rows(lab: &Lab, wanted: impl Fn(&Key, &Row) -> bool) -> Vec<(Key, Row)> {
    let rows = lab.db.iter().filter(|(key, row)| wanted(key, row));
    rows.map(|(key, row)| (*key, row.clone())).collect()
}

fn slice_rows(lab: &Lab, slice: SliceId) -> Vec<(Key, Row)> {
    let runs =
        rows(lab, |_, row| matches!(row, Row::Run(run) if (run.interface, run.period) == slice));
    let ids: BTreeSet<Key> = runs.iter().map(|(key, _)| *key).collect();
    let jobs =
        rows(lab, |key, _| matches!(key, Key::JobRun(job) if ids.contains(&Key::Run(job.run))));
    runs.into_iter().chain(jobs).collect()
}

/// The database of the lab, as the store answers.
pub(super) fn answer(lab: &Lab, facts: &mut Facts, want: Want) {
    let one = |key: Key| rows(lab, |other, _| *other == key);
    let found = match want {
        Want::Rows(Ask::Slice(interface, period)) => slice_rows(lab, (interface, period)),
        Want::Rows(Ask::Execution(id)) => one(Key::Execution(id)),
        Want::Rows(Ask::Version(id, version)) => {
            return facts.learn_version(id, version, None);
        }
        Want::Rows(Ask::Run(_)) => panic!("an answer looks at few attempts"),
        Want::Run(id) => match lab.db.get(&Key::Run(id)) {
            Some(Row::Run(run)) => slice_rows(lab, (run.interface, run.period)),
            _ => Vec::new(),
        },
        Want::Tries(id) => {
            rows(lab, |key, _| matches!(key, Key::Attempt(one) if one.job_run() == id))
        }
        Want::Firing(id, at) => one(Key::Firing(id, at)),
        Want::State(id) => one(Key::Dispatch(id)),
    };
    facts.learn(want, found);
}

pub(super) fn explained(lab: &Lab, question: Question) -> Explanation {
    let mut facts = Facts::new(lab.now.date, Arc::new(lab.catalog.clone()));
    facts.kept_ms = 30 * 86_400_000;
    facts.users.insert(UserId(1), "olga".to_owned());
    for _ in 0..100 {
        let (found, wants) = explain(question, &facts);
        if wants.is_empty() {
            return found;
        }
        for want in wants {
            answer(lab, &mut facts, want);
        }
    }
    panic!("it wants more and more");
}

pub(super) fn written(line: &Line, deep: usize, text: &mut String) {
    let cure = line.cure.as_ref().map(|cure| format!(" <- {cure}")).unwrap_or_default();
    text.push_str(&format!("{}{}{cure}\n", "  ".repeat(deep), line.said));
    line.because.iter().for_each(|line| written(line, deep + 1, text));
}

/// The chain, one line a sentence, and what would satisfy it.
pub(super) fn why(lab: &Lab, question: Question) -> Told {
    let mut text = String::new();
    written(&explained(lab, question).head, 0, &mut text);
    Told(text)
}

/// The time line; a star before what was waited for last.
pub(super) fn then(lab: &Lab, question: Question) -> Told {
    let lines = explained(lab, question).then;
    let line = |line: &Line| format!("{}{}\n", if line.last { "*" } else { "" }, line.said);
    Told(lines.iter().map(line).collect())
}

fn at(text: &str) -> Millis {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

pub(super) fn of(name: &str, on: &str) -> Question {
    Question::Period(interface(name), period(on))
}

pub(super) fn job_of(lab: &Lab, name: &str, on: &str, job_name: &str) -> Question {
    Question::Job(JobRunId { run: lab.run(name, on), job: job(interface(name), job_name) })
}

pub(super) struct Told(pub(super) String);

impl Told {
    /// Lines as they stand here, without what the source is indented by.
    #[track_caller]
    pub(super) fn is(self, expect: &str) {
        let expect: Vec<&str> = expect.lines().filter(|line| !line.trim().is_empty()).collect();
        let indent = |line: &&str| line.len() - line.trim_start().len();
        let by = expect.iter().map(indent).min().unwrap_or(0);
        let expect: String = expect.iter().map(|line| format!("{}\n", &line[by..])).collect();
        assert_eq!(self.0, expect, "found:\n{}", self.0);
    }
}

#[test]
fn every_decision_about_an_instant_is_told() {
    let mut daily = dispatch("0 2 * * *");
    daily.spec.misfire = Misfire::None;
    daily.spec.blackouts = vec!["2026-11-22 00:00/2026-11-23 00:00".into()];
    let mut lab = with("A: a", daily);
    lab.wait(17 * 60 * MINUTE);
    let of = |text: &str| Question::Instant(D1, at(text));
    why(&lab, of("2026-11-19T02:00:00Z")).is("
            nightly fired
              A 2026-11-18 succeeded
    ");
    then(&lab, of("2026-11-19T02:00:00Z")).is("
            the instant of nightly
            nightly fired
            an execution of A 2026-11-18 was made
            *the run of A 2026-11-18 was made
            the first job of A 2026-11-18 began
            A 2026-11-18 ended: succeeded
            the execution of A 2026-11-18 ended: succeeded
    ");
    // Nobody leads for a day.
    away(&mut lab, 24 * 60 * MINUTE);
    why(&lab, of("2026-11-20T02:00:00Z")).is("
            nightly did not fire: 5200 s late <- run it by hand
              its policy for missed instants is not to make them good
              it is for A 2026-11-19
                nothing has started A 2026-11-19 <- run it by hand
    ");
    lab.command(Verb::PauseDispatch { dispatch: D1 }, false);
    lab.wait(24 * 60 * MINUTE);
    why(&lab, of("2026-11-21T02:00:00Z")).is("
            nightly did not fire: the dispatch is paused
              the dispatch is paused now <- resume the dispatch
              it is for A 2026-11-20
                nothing has started A 2026-11-20 <- run it by hand
    ");
    lab.command(Verb::ResumeDispatch { dispatch: D1 }, false);
    lab.wait(24 * 60 * MINUTE);
    why(&lab, of("2026-11-22T02:00:00Z")).is("
            nightly did not fire: in its blackout window 2026-11-22 00:00/2026-11-23 00:00 <- run it by hand
              it is for A 2026-11-21
                nothing has started A 2026-11-21 <- run it by hand
    ");
}

#[test]
fn instants_to_come_and_instants_that_are_none_are_told() {
    let mut daily = dispatch("0 2 * * *");
    daily.spec.blackouts = vec!["2026-11-22 00:00/2026-11-23 00:00".into()];
    let mut lab = with("A: a", daily);
    let of = |text: &str| Question::Instant(D1, at(text));
    lab.wait(4 * 24 * 60 * MINUTE);
    why(&lab, of("2026-11-23T02:00:00Z")).is("
            nightly is to fire then
    ");
    why(&lab, of("2026-11-23T02:30:00Z")).is("
            the rule of nightly has no such instant <- change the rule, or run it by hand
              its rule is 0 2 * * * in UTC
              the nearest instant before
              the nearest instant after
    ");
    why(&lab, of("2026-11-18T02:00:00Z")).is("
            nothing is known of this instant of nightly
              this version of the dispatch was saved only then: it fires for instants after that
    ");
    why(&lab, of("2025-01-01T02:00:00Z")).is("
            nothing is known of this instant of nightly
              decisions are kept for 30 days
    ");
    why(&lab, Question::Instants(D1, period("2026-11-18"))).is("
            what nightly does for 2026-11-18
              nightly fired
                A 2026-11-18 succeeded
    ");
    why(&lab, Question::Instants(D1, period("2026-11-18T13+00:00"))).is("
            2026-11-18T13+00:00 is no period of A
    ");
}

#[test]
fn late_frozen_and_overlapping_instants_are_told() {
    let mut lab = with("A: a; a hangs", dispatch("0 * * * *"));
    let of = |text: &str| Question::Instant(D1, at(text));
    away(&mut lab, 60 * MINUTE);
    why(&lab, of("2026-11-18T11:00:00Z")).is("
            nightly fired, 1600 s late
              A 2026-11-17 is running
                A 2026-11-17 is running
                  a runs on h1
    ");
    let mut once = dispatch("0 * * * *");
    (once.version, once.since) = (2, lab.now.date);
    once.spec.overlap = shared::spec::Overlap::Skip;
    edit(&mut lab, once);
    lab.wait(60 * MINUTE);
    why(&lab, of("2026-11-18T12:00:00Z")).is("
            nightly did not fire: 1 execution(s) that it has fired before still run <- run it by hand
              it is for A 2026-11-17
                A 2026-11-17 is running
                  a runs on h1
    ");
    let mut frozen = (*lab.catalog.interfaces[&interface("A")]).clone();
    frozen.spec.frozen = true;
    frozen.version = 2;
    let before = lab.catalog.interfaces.insert(frozen.id, Arc::new(frozen)).unwrap();
    lab.catalog.old.insert((before.id, before.version), before);
    lab.catalog.revision += 1;
    let catalog = Arc::new(lab.catalog.clone());
    lab.apply(crate::engine::world::Event::Catalog(catalog));
    lab.wait(60 * MINUTE);
    why(&lab, of("2026-11-18T13:00:00Z")).is("
            nightly did not fire: the interface is frozen
              A is frozen now <- thaw it
              it is for A 2026-11-17
                A 2026-11-17 is running
                  A is frozen now <- thaw it
                  a runs on h1
    ");
}

#[test]
fn what_is_not_there_is_followed_to_where_it_begins() {
    let mut lab = with("A: a>b\nB <A: a\nC <B: a\nD: a needs A.b", dispatch("0 2 * * *"));
    why(&lab, of("C", DAY)).is("
            nothing has started C 2026-11-20 <- run it by hand
              nightly is to fire then
    ");
    why(&lab, of("D", DAY)).is("
            nothing has started D 2026-11-20 <- run it by hand
              no dispatch starts D, nor anything that it follows from
    ");
    lab.runs("C", DAY, false);
    why(&lab, of("C", DAY)).is("
            C 2026-11-20 waits
              it waits for B 2026-11-20 <- any run of it that succeeds
                nothing has started B 2026-11-20 <- run it by hand
                  nightly is to fire then
    ");
    lab.fate("A", "a", Fate::Hangs);
    lab.runs("A", DAY, true);
    why(&lab, of("C", DAY)).is("
            C 2026-11-20 waits
              it waits for B 2026-11-20 <- any run of it that succeeds
                B 2026-11-20 waits
                  it waits for A 2026-11-20 <- exactly this run, when it succeeds; if it cannot, resume the waiting one alone, and any success counts
                    A 2026-11-20 is running
                      a runs on h1
    ");
    lab.runs("D", DAY, false);
    why(&lab, of("D", DAY)).is("
            D 2026-11-20 has begun nothing yet
              a has not begun
                a needs A 2026-11-20 b <- the success of that job in any run of it
                  b has not begun
                    b comes after a, which has not ended
                      a runs on h1
    ");
    why(&lab, job_of(&lab, "A", DAY, "b")).is("
            b has not begun
              b comes after a, which has not ended
                a runs on h1
    ");
}

#[test]
fn what_failed_is_told_to_all_that_waits_for_it() {
    let mut lab = with("A: a>b; a hangs\nB <A: a\nC <B: a", dispatch("0 2 * * *"));
    lab.runs("C", DAY, false);
    lab.runs("A", DAY, true);
    lab.exit("A", DAY, "a", Exit::Code(3));
    why(&lab, of("A", DAY)).is("
            A 2026-11-20 failed <- resume it, or run it anew
              a: failed, exit code 3
    ");
    why(&lab, of("C", DAY)).is("
            C 2026-11-20 waits
              it waits for B 2026-11-20 <- any run of it that succeeds
                B 2026-11-20 failed <- resume it, or run it anew
                  it waited in vain for A 2026-11-20
                    A 2026-11-20 failed <- resume it, or run it anew
                      a: failed, exit code 3
    ");
    why(&lab, job_of(&lab, "A", DAY, "b")).is("
            b: skipped, a failed
              a: failed, exit code 3
    ");
    why(&lab, of("A", "2026-11")).is("
            2026-11 is no period of A
    ");
}
