//! What pages can tell while the database does not answer: since when, and which jobs will be ended for
//! it, as the leader of this process knows; to whom: as they were known when they were last seen.

use super::auth::Viewer;
use crate::app::App;
use crate::leader::status::{Away, Ending};
use crate::store::user::User;
use minijinja::context;
use minijinja::value::Value;
use shared::ids::{Millis, UserId};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// People who are remembered; of more than that, any.
const USERS_MAX: usize = 1_000;
/// Who asks is looked up for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// And while the database is away, for so long: there is a page that needs none.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// What the database said when it last answered.
#[derive(Debug, Default)]
pub struct Known(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    users: BTreeMap<UserId, User>,
    /// Where the pages of the leader are.
    led_by: String,
    /// When it began not to answer this master's pages.
    away_ms: Option<Millis>,
}

impl Known {
    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answered(&self, id: UserId, user: Option<&User>) {
        let mut last = self.lock();
        last.away_ms = None;
        match user {
            None => _ = last.users.remove(&id),
            Some(user) => {
                if last.users.len() >= USERS_MAX && !last.users.contains_key(&id) {
                    last.users.pop_first();
                }
                last.users.insert(id, user.clone());
            }
        }
    }

    /// Who that was when the database last told.
    pub(super) fn silent(&self, id: UserId, now: Millis) -> Option<User> {
        let mut last = self.lock();
        last.away_ms.get_or_insert(now);
        last.users.get(&id).cloned()
    }

    pub(super) fn led_by(&self, url: &str) {
        url.clone_into(&mut self.lock().led_by);
    }
}

/// How long a page waits to learn who asks.
pub(super) fn patience(app: &App) -> Duration {
    match app.leader.borrow().away.is_some() || app.known.lock().away_ms.is_some() {
        true => IMPATIENCE,
        false => PATIENCE,
    }
}

/// For the banner of every page; nothing if all is well. A stranger is told since when, and no names.
pub(super) fn shown(app: &App, viewer: Option<&Viewer>) -> Value {
    let status = app.leader.borrow().clone();
    if let Some(Away { since_ms, ends }) = status.away {
        let seen = viewer.into_iter();
        let hosts: Vec<Value> =
            seen.flat_map(|viewer| ends.iter().map(|end| ending(end, viewer))).collect();
        return context! { since_ms, hosts, here => true };
    }
    let last = app.known.lock();
    let Some(since_ms) = last.away_ms else { return Value::from(()) };
    // The leader alone knows what runs.
    let url = viewer.map(|_| last.led_by.as_str()).filter(|url| !url.is_empty());
    context! { since_ms, hosts => Vec::<Value>::new(), here => status.leads, url }
}

fn ending(end: &Ending, viewer: &Viewer) -> Value {
    let named = end.jobs.iter().filter(|job| viewer.sees(job.project));
    let jobs: Vec<Value> = named
        .map(|job| {
            context! { job => job.job.as_str(), interface => job.interface.as_str(),
            period => job.period.as_str(), execution => job.execution.to_string() }
        })
        .collect();
    let more = end.count - jobs.len();
    context! { host => end.host.as_str(), at_ms => end.at_ms, count => end.count, jobs, more }
}
