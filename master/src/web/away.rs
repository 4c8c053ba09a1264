//! What pages can tell while the database does not answer: since when, and which jobs will be ended for
//! it, as the leader of this process knows; to whom: as they were known when they were last seen.

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::{Page, Routes};
use crate::app::App;
use crate::db;
use crate::leader::status::{Away, Ending};
use crate::store::user::User;
use minijinja::context;
use minijinja::value::Value;
use shared::clock::Clock;
use shared::ids::{Millis, UserId};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// People who are remembered; of more than that, any.
const USERS_MAX: usize = 1_000;
/// And for so long: who has lost a right does not keep it for a day because the database is away.
const USERS_MS: Millis = 3_600_000;
/// Who asks is looked up for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// And while the database is away, for so long: there is a page that needs none.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// As the leader judges: one that refuses for so long is away, a deadlock is over before …
const REFUSES_MS: Millis = 1_000;
/// … and one that says nothing for so long.
const SILENT_MS: Millis = 5_000;

pub(super) fn routes() -> Routes {
    Routes::default().get("/away/", Right::View, part)
}

/// What the database said when it last answered.
#[derive(Debug, Default)]
pub struct Known(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    /// And when, by the monotonic clock.
    users: BTreeMap<UserId, (User, Millis)>,
    /// Where the pages of the leader are.
    led_by: String,
    /// When a question of this master was last answered, by the monotonic clock.
    answered: Millis,
    missed: Option<Missed>,
}

/// Questions without an answer, since the last one that had one. All by the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Missed {
    /// The last answer, or when the first of them was asked.
    since: Millis,
    /// When the last of them was given up.
    last: Millis,
    /// It was told that it cannot be answered; else it was told nothing.
    refused: bool,
    /// The date of `since`.
    date: Millis,
}

impl Missed {
    fn is_away(self) -> bool {
        let patience = if self.refused { REFUSES_MS } else { SILENT_MS };
        self.since + patience <= self.last
    }
}

impl Known {
    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and notes whether there was an answer.
    ///
    /// # Errors
    /// The query's.
    pub async fn asked<T>(
        &self,
        clock: &Clock,
        query: impl Future<Output = db::Result<T>>,
    ) -> db::Result<T> {
        let began = clock.mono_ms();
        let outcome = query.await;
        match &outcome {
            // That it is not there, or not so, is an answer.
            Ok(_)
            | Err(db::Error::Conflict | db::Error::Duplicate { .. } | db::Error::Bad { .. }) => {
                self.answered(clock);
            }
            Err(db::Error::Retry(_) | db::Error::UnknownOutcome(_) | db::Error::Fatal(_)) => {
                self.missed(began, clock, true);
            }
        }
        outcome
    }

    fn answered(&self, clock: &Clock) {
        let mut last = self.lock();
        last.answered = clock.mono_ms();
        last.missed = None;
    }

    fn missed(&self, began: Millis, clock: &Clock, refused: bool) {
        let (now, wall) = (clock.mono_ms(), clock.wall_ms());
        let mut last = self.lock();
        // What another question was answered meanwhile counts.
        let since = began.max(last.answered);
        let first = Missed { since, last: now, refused, date: wall - (now - since) };
        last.missed = Some(match last.missed {
            None => first,
            Some(missed) => Missed { last: now, refused, ..missed },
        });
    }

    /// The date since when this master is not answered.
    fn away_since(&self) -> Option<Millis> {
        self.lock().missed.filter(|missed| missed.is_away()).map(|missed| missed.date)
    }

    pub(super) fn remember(&self, id: UserId, user: Option<&User>, now: Millis) {
        let mut last = self.lock();
        let Some(user) = user else {
            last.users.remove(&id);
            return;
        };
        if last.users.len() >= USERS_MAX && !last.users.contains_key(&id) {
            last.users.pop_first();
        }
        last.users.insert(id, (user.clone(), now));
    }

    /// Who that was when the database last told, if that is not long ago.
    pub(super) fn remembered(&self, id: UserId, now: Millis) -> Option<User> {
        let mut last = self.lock();
        last.users.retain(|_, (_, seen)| now < *seen + USERS_MS);
        last.users.get(&id).map(|(user, _)| user.clone())
    }

    pub(super) fn led_by(&self, url: &str) {
        url.clone_into(&mut self.lock().led_by);
    }
}

/// Whether pages tell that the database is away.
pub(super) fn is(app: &App) -> bool {
    app.leader.borrow().away.is_some() || app.known.away_since().is_some()
}

/// Asks what no page can do without, for as long as a page can wait.
pub(super) async fn ask<T>(
    app: &App,
    query: impl Future<Output = db::Result<T>>,
) -> Result<T, Error> {
    let began = app.clock.mono_ms();
    let patience = if is(app) { IMPATIENCE } else { PATIENCE };
    match tokio::time::timeout(patience, app.known.asked(&app.clock, query)).await {
        Ok(outcome) => outcome.map_err(Error::from),
        Err(_) => {
            app.known.missed(began, &app.clock, false);
            Err(Error::unavailable("the database is busy or away; try again in a moment"))
        }
    }
}

/// The banner alone, for pages that were open before.
async fn part(page: Page) -> Result {
    page.render("away.html", Value::from(()))
}

/// For the banner of every page; nothing if all is well. A stranger is told since when, and no names.
pub(super) fn shown(app: &App, viewer: Option<&Viewer>) -> Value {
    let status = app.leader.borrow().clone();
    if let Some(Away { since_ms, ends }) = status.away {
        let seen = viewer.into_iter();
        let hosts: Vec<Value> =
            seen.flat_map(|viewer| ends.iter().filter_map(|end| ending(end, viewer))).collect();
        return context! { since_ms, hosts };
    }
    let Some(since_ms) = app.known.away_since() else { return Value::from(()) };
    // The leader alone knows what runs: this one need not be sent to itself.
    let last = app.known.lock();
    let url = viewer.map(|_| last.led_by.as_str()).filter(|url| !url.is_empty() && !status.leads);
    context! { since_ms, hosts => Vec::<Value>::new(), url }
}

/// Of the viewer's own projects; nothing if none is in danger.
fn ending(end: &Ending, viewer: &Viewer) -> Option<Value> {
    let own = end.counts.iter().filter(|(project, _)| viewer.sees(**project));
    let count: usize = own.map(|(_, count)| count).sum();
    let named = end.jobs.iter().filter(|job| viewer.sees(job.project));
    let jobs: Vec<Value> = named
        .map(|job| {
            context! { job => job.job.as_str(), interface => job.interface.as_str(),
            period => job.period.as_str(), execution => job.execution.to_string() }
        })
        .collect();
    let more = count.saturating_sub(jobs.len());
    let host = viewer.sees(end.project).then_some(end.host.as_str());
    (count > 0).then(|| context! { host, at_ms => end.at_ms, count, jobs, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64) -> User {
        let (name, title) = (String::new(), String::new());
        User { id: UserId(id), name, title, disabled: false, version: 1, rights: BTreeMap::new() }
    }

    fn refused() -> db::Result<()> {
        Err(db::Error::Retry("nobody".into()))
    }

    #[tokio::test]
    async fn one_failure_is_no_outage_and_any_answer_ends_one() {
        let (known, clock) = (Known::default(), Clock::set_to(1_000_000));
        let ask = async |outcome| _ = known.asked(&clock, async { outcome }).await;
        clock.advance(50_000);
        ask(refused()).await;
        assert_eq!(known.away_since(), None, "a deadlock is over in a moment");
        clock.advance(REFUSES_MS);
        assert_eq!(known.away_since(), None, "nobody has asked since");
        ask(refused()).await;
        assert_eq!(known.away_since(), Some(1_050_000));
        ask(Err(db::Error::Conflict)).await;
        assert_eq!(known.away_since(), None, "no is an answer");
        ask(refused()).await;
        assert_eq!(known.away_since(), None, "and it begins anew");
    }

    #[test]
    fn silence_is_longer_than_a_refusal_and_others_may_have_been_answered() {
        let (known, clock) = (Known::default(), Clock::set_to(1_000_000));
        let began = clock.mono_ms();
        clock.advance(3_000);
        known.answered(&clock);
        clock.advance(2_000);
        known.missed(began, &clock, false);
        assert_eq!(known.away_since(), None, "another question was answered meanwhile");
        clock.advance(3_000);
        known.missed(clock.mono_ms(), &clock, false);
        assert_eq!(known.away_since(), Some(1_003_000), "since the last answer");
    }

    #[test]
    fn people_are_remembered_for_an_hour() {
        let known = Known::default();
        known.remember(UserId(1), Some(&user(1)), 0);
        assert!(known.remembered(UserId(1), USERS_MS - 1).is_some());
        assert!(known.remembered(UserId(1), USERS_MS).is_none());
        for id in 0..1_100 {
            known.remember(UserId(id), Some(&user(id)), 0);
        }
        assert_eq!(known.lock().users.len(), USERS_MAX);
        known.remember(UserId(1_099), None, 0);
        assert!(known.remembered(UserId(1_099), 0).is_none());
    }
}
