//! Sessions of one master, in its memory.

use super::{Key, Limits, SESSIONS_MAX, Session};
use shared::clock::Clock;
use shared::ids::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug)]
pub struct Memory {
    clock: Clock,
    limits: Limits,
    rows: Arc<Mutex<HashMap<Key, Session>>>,
}

impl Memory {
    pub(super) fn new(clock: Clock, limits: Limits) -> Memory {
        Memory { clock, limits, rows: Arc::default() }
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, key: Key, mut session: Session) {
        let now = self.clock.wall_ms();
        (session.since_ms, session.used_ms) = (now, now);
        let mut rows = self.rows();
        if rows.len() >= SESSIONS_MAX
            && let Some(oldest) = rows.iter().min_by_key(|(_, s)| s.used_ms).map(|(key, _)| *key)
        {
            rows.remove(&oldest);
        }
        rows.insert(key, session);
    }

    pub(super) fn find(&self, key: Key) -> Option<UserId> {
        let now = self.clock.wall_ms();
        let mut rows = self.rows();
        let session = rows.get_mut(&key)?;
        if !self.limits.hold(session, now) {
            rows.remove(&key);
            return None;
        }
        session.used_ms = now;
        Some(session.user)
    }

    pub(super) fn end(&self, key: Key) {
        self.rows().remove(&key);
    }

    pub(super) fn of_user(&self, user: UserId) -> Vec<Session> {
        let now = self.clock.wall_ms();
        let mut rows = self.rows();
        rows.retain(|_, session| self.limits.hold(session, now));
        rows.values().filter(|session| session.user == user).cloned().collect()
    }

    pub(super) fn purge(&self) -> usize {
        let now = self.clock.wall_ms();
        let mut rows = self.rows();
        let before = rows.len();
        rows.retain(|_, session| self.limits.hold(session, now));
        before - rows.len()
    }

    pub(super) fn revoke(&self, user: UserId, handle: Option<&str>) -> usize {
        let mut rows = self.rows();
        let before = rows.len();
        rows.retain(|_, s| s.user != user || handle.is_some_and(|handle| s.handle != handle));
        before - rows.len()
    }
}
