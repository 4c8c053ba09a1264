//! Who is logged in, and who has failed to: a port. Embedded, both live in this process's memory:
//! one master, and a restart asks everybody to log in again. In Redis they are every master's.
//!
//! Only the SHA-256 of a session's id is kept, so that what is kept cannot be used. A session ends
//! when it is idle for too long, when it is too old, and when it is revoked.

mod memory;
mod redis;
mod throttle;

pub use throttle::{Failures, Throttle};

use crate::link;
use sha2::{Digest, Sha256};
use shared::clock::Clock;
use shared::ids::{Millis, UserId};

/// Sessions at a time; the one that was idle longest gives way.
const SESSIONS_MAX: usize = 10_000;
const ADDRESS_CHARS_MAX: usize = 64;
const AGENT_CHARS_MAX: usize = 200;

/// When sessions end by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle_ms: Millis,
    pub age_ms: Millis,
}

impl Limits {
    fn hold(&self, session: &Session, now: Millis) -> bool {
        now - session.used_ms < self.idle_ms && now - session.since_ms < self.age_ms
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody can be recognised until it is back.
    #[error("the store of sessions is away: {0}")]
    Away(#[from] link::Away),
    #[error("no random bytes from the system: {0}")]
    Random(#[from] getrandom::Error),
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
    Memory(memory::Memory),
    Redis(redis::Rows),
}

impl Sessions {
    pub fn memory(clock: Clock, limits: Limits) -> Sessions {
        Sessions::Memory(memory::Memory::new(clock, limits))
    }

    pub fn redis(redis: link::redis::Redis, clock: Clock, limits: Limits) -> Sessions {
        Sessions::Redis(redis::Rows::new(redis, clock, limits))
    }

    /// Counts failed logins where the sessions are.
    pub fn throttle(&self, failures: Failures) -> Throttle {
        match self {
            Sessions::Memory(_) => Throttle::memory(failures),
            Sessions::Redis(rows) => Throttle::redis(rows.link().clone(), failures),
        }
    }

    /// A new session; the text goes into the cookie and nowhere else.
    ///
    /// # Errors
    /// There is no randomness to be had, or the store is away.
    pub async fn create(&self, user: UserId, address: &str, agent: &str) -> Result<String, Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let id = hex(&random);
        let key = digest(&id);
        let session = Session {
            handle: hex(&key[..8]),
            user,
            address: address.chars().take(ADDRESS_CHARS_MAX).collect(),
            agent: agent.chars().take(AGENT_CHARS_MAX).collect(),
            since_ms: 0,
            used_ms: 0,
        };
        match self {
            Sessions::Memory(memory) => memory.insert(key, session),
            Sessions::Redis(rows) => rows.insert(key, &session).await?,
        }
        Ok(id)
    }

    /// Whose session this is, if it still holds; this is also its use.
    ///
    /// # Errors
    /// The store is away.
    pub async fn find(&self, id: &str) -> Result<Option<UserId>, Error> {
        match self {
            Sessions::Memory(memory) => Ok(memory.find(digest(id))),
            Sessions::Redis(rows) => Ok(rows.find(digest(id)).await?),
        }
    }

    /// # Errors
    /// The store is away.
    pub async fn end(&self, id: &str) -> Result<(), Error> {
        match self {
            Sessions::Memory(memory) => memory.end(digest(id)),
            Sessions::Redis(rows) => rows.end(digest(id)).await?,
        }
        Ok(())
    }

    /// The user's sessions, the newest first.
    ///
    /// # Errors
    /// The store is away.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<Session>, Error> {
        let mut own = match self {
            Sessions::Memory(memory) => memory.of_user(user),
            Sessions::Redis(rows) => rows.of_user(user).await?,
        };
        own.sort_by_key(|session| std::cmp::Reverse(session.since_ms));
        Ok(own)
    }

    /// Forgets what has run out; how many.
    ///
    /// # Errors
    /// The store is away.
    pub async fn purge(&self) -> Result<usize, Error> {
        match self {
            Sessions::Memory(memory) => Ok(memory.purge()),
            Sessions::Redis(rows) => Ok(rows.purge().await?),
        }
    }

    /// Ends the user's sessions with this handle, or all of them; how many.
    ///
    /// # Errors
    /// The store is away.
    pub async fn revoke(&self, user: UserId, handle: Option<&str>) -> Result<usize, Error> {
        match self {
            Sessions::Memory(memory) => Ok(memory.revoke(user, handle)),
            Sessions::Redis(rows) => Ok(rows.revoke(user, handle).await?),
        }
    }

    /// The handle of the session with this id: to mark one's own in a list.
    pub fn handle(id: &str) -> String {
        hex(&digest(id)[..8])
    }
}

type Key = [u8; 32];

fn digest(id: &str) -> Key {
    Sha256::digest(id.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
