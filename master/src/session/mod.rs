//! Who is logged in: a port. Embedded, the sessions live in this process's memory: one master, and
//! a restart asks everybody to log in again.
//!
//! Only the SHA-256 of a session's id is kept, so that what is kept cannot be used. A session ends
//! when it is idle for too long, when it is too old, and when it is revoked.

use sha2::{Digest, Sha256};
use shared::clock::Clock;
use shared::ids::{Millis, UserId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions at a time; the one that was idle longest gives way.
const SESSIONS_MAX: usize = 10_000;

/// When sessions end by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle_ms: Millis,
    pub age_ms: Millis,
}

/// What is shown of a session.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Session {
    /// The first digits of the hash: enough to revoke it by, useless to log in with.
    pub handle: String,
    pub user: UserId,
    pub address: String,
    pub agent: String,
    pub since_ms: Millis,
    pub used_ms: Millis,
}

#[derive(Clone, Debug)]
pub enum Sessions {
    Memory(Memory),
}

#[derive(Clone, Debug)]
pub struct Memory {
    clock: Clock,
    limits: Limits,
    rows: Arc<Mutex<HashMap<[u8; 32], Session>>>,
}

impl Sessions {
    pub fn memory(clock: Clock, limits: Limits) -> Sessions {
        Sessions::Memory(Memory { clock, limits, rows: Arc::default() })
    }

    /// A new session; the text goes into the cookie and nowhere else.
    ///
    /// # Errors
    /// There is no randomness to be had, or the store is away.
    pub async fn create(&self, user: UserId, address: &str, agent: &str) -> anyhow::Result<String> {
        let Sessions::Memory(memory) = self;
        memory.create(user, address, agent)
    }

    /// Whose session this is, if it still holds; this is also its use.
    ///
    /// # Errors
    /// The store is away.
    pub async fn find(&self, id: &str) -> anyhow::Result<Option<UserId>> {
        let Sessions::Memory(memory) = self;
        Ok(memory.find(id))
    }

    /// # Errors
    /// The store is away.
    pub async fn end(&self, id: &str) -> anyhow::Result<()> {
        let Sessions::Memory(memory) = self;
        memory.rows().remove(&digest(id));
        Ok(())
    }

    /// The user's sessions, the newest first.
    ///
    /// # Errors
    /// The store is away.
    pub async fn of_user(&self, user: UserId) -> anyhow::Result<Vec<Session>> {
        let Sessions::Memory(memory) = self;
        let now = memory.clock.wall_ms();
        let mut rows = memory.rows();
        rows.retain(|_, session| memory.holds(session, now));
        let mut own: Vec<_> = rows.values().filter(|s| s.user == user).cloned().collect();
        own.sort_by_key(|session| std::cmp::Reverse(session.since_ms));
        Ok(own)
    }

    /// Forgets what has run out; how many.
    ///
    /// # Errors
    /// The store is away.
    pub async fn purge(&self) -> anyhow::Result<usize> {
        let Sessions::Memory(memory) = self;
        let now = memory.clock.wall_ms();
        let mut rows = memory.rows();
        let before = rows.len();
        rows.retain(|_, session| memory.holds(session, now));
        Ok(before - rows.len())
    }

    /// Ends the user's sessions with this handle, or all of them.
    ///
    /// # Errors
    /// The store is away.
    pub async fn revoke(&self, user: UserId, handle: Option<&str>) -> anyhow::Result<usize> {
        let Sessions::Memory(memory) = self;
        let mut rows = memory.rows();
        let before = rows.len();
        rows.retain(|_, s| s.user != user || handle.is_some_and(|handle| s.handle != handle));
        Ok(before - rows.len())
    }

    /// The handle of the session with this id: to mark one's own in a list.
    pub fn handle(id: &str) -> String {
        hex(&digest(id)[..8])
    }
}

impl Memory {
    fn rows(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, session: &Session, now: Millis) -> bool {
        now - session.used_ms < self.limits.idle_ms && now - session.since_ms < self.limits.age_ms
    }

    fn create(&self, user: UserId, address: &str, agent: &str) -> anyhow::Result<String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let id = hex(&random);
        let key = digest(&id);
        let now = self.clock.wall_ms();
        let session = Session {
            handle: hex(&key[..8]),
            user,
            address: address.chars().take(64).collect(),
            agent: agent.chars().take(200).collect(),
            since_ms: now,
            used_ms: now,
        };
        let mut rows = self.rows();
        if rows.len() >= SESSIONS_MAX
            && let Some(oldest) = rows.iter().min_by_key(|(_, s)| s.used_ms).map(|(key, _)| *key)
        {
            rows.remove(&oldest);
        }
        rows.insert(key, session);
        Ok(id)
    }

    fn find(&self, id: &str) -> Option<UserId> {
        let key = digest(id);
        let now = self.clock.wall_ms();
        let mut rows = self.rows();
        let session = rows.get_mut(&key)?;
        if !self.holds(session, now) {
            rows.remove(&key);
            return None;
        }
        session.used_ms = now;
        Some(session.user)
    }
}

fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_ends_idle_old_or_revoked() {
        let clock = Clock::set_to(0);
        let sessions = Sessions::memory(clock.clone(), Limits { idle_ms: 100, age_ms: 250 });
        let user = UserId(7);
        let id = sessions.create(user, "here", "test").await.unwrap();
        for _ in 0..3 {
            clock.advance(80);
            assert_eq!(sessions.find(&id).await.unwrap(), Some(user));
        }
        clock.advance(80);
        assert_eq!(sessions.find(&id).await.unwrap(), None, "too old");
        let id = sessions.create(user, "here", "test").await.unwrap();
        clock.advance(100);
        assert_eq!(sessions.find(&id).await.unwrap(), None, "idle");
        let one = sessions.create(user, "here", "test").await.unwrap();
        let two = sessions.create(user, "there", "test").await.unwrap();
        let handle = Sessions::handle(&one);
        assert_eq!(sessions.revoke(user, Some(&handle)).await.unwrap(), 1);
        assert_eq!(sessions.find(&one).await.unwrap(), None);
        assert_eq!(sessions.find(&two).await.unwrap(), Some(user));
        assert_eq!(sessions.of_user(user).await.unwrap().len(), 1);
    }
}
