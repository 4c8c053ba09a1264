//! Failed logins by name and by address: too many within a window, and one has to wait.
//!
//! The rule: a try counts as failed until it has succeeded. A thousand at the same moment are a
//! thousand.

use super::{Error, hex};
use crate::link;
use redis::Script;
use shared::ids::Millis;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names and addresses whose failures are remembered in memory. In Redis each is remembered for one
/// window at most, and its memory has a limit of its own.
const REMEMBERED_MAX: usize = 50_000;

/// How many are too many.
#[derive(Clone, Copy, Debug)]
pub struct Failures {
    pub failures_max: usize,
    pub window_ms: Millis,
}

#[derive(Debug)]
pub struct Throttle {
    limits: Failures,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Memory(Mutex<HashMap<String, Vec<Millis>>>),
    Redis(link::redis::Redis, Arc<Scripts>),
}

#[derive(Debug)]
struct Scripts {
    begin: Script,
    forget: Script,
}

/// KEYS: names and addresses; ARGV: now, window, limit, a name for this try.
const BEGIN: &str = "
local now, window, wait = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  if redis.call('ZCARD', key) >= tonumber(ARGV[3]) then
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    wait = math.max(wait, tonumber(first[2]) + window - now)
  end
end
if wait > 0 then return wait end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, ARGV[4])
  redis.call('PEXPIRE', key, window)
end
return 0
";

/// KEYS as above; ARGV: when the try was begun, `all` to forget all of the first key.
const FORGET: &str = "
for _, key in ipairs(KEYS) do
  local own = redis.call('ZRANGEBYSCORE', key, ARGV[1], ARGV[1], 'LIMIT', 0, 1)
  if own[1] then redis.call('ZREM', key, own[1]) end
end
if ARGV[2] == 'all' then redis.call('DEL', KEYS[1]) end
";

/// What is forgotten when a try was no failure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forget {
    Try,
    TryAndName,
}

impl Throttle {
    pub fn memory(limits: Failures) -> Throttle {
        Throttle { limits, store: Store::Memory(Mutex::default()) }
    }

    pub fn redis(redis: link::redis::Redis, limits: Failures) -> Throttle {
        let scripts = Scripts { begin: Script::new(BEGIN), forget: Script::new(FORGET) };
        Throttle { limits, store: Store::Redis(redis, Arc::new(scripts)) }
    }

    /// Counts a try as failed until it has succeeded. Or how long one of these still has to wait;
    /// then nothing was counted.
    ///
    /// # Errors
    /// The store is away.
    pub async fn begin(&self, keys: &[String], now: Millis) -> Result<Option<Millis>, Error> {
        let Failures { failures_max, window_ms } = self.limits;
        match &self.store {
            Store::Memory(rows) => Ok(self.begin_in(locked(rows), keys, now)),
            Store::Redis(redis, scripts) => {
                let mut random = [0; 8];
                getrandom::fill(&mut random)?;
                let mut call = scripts.begin.arg(now);
                call.arg(window_ms).arg(failures_max).arg(hex(&random));
                for key in keys {
                    call.key(redis.key(&format!("failed:{key}")));
                }
                let wait = redis.run::<Millis>(&call).await?;
                Ok((wait > 0).then_some(wait))
            }
        }
    }

    /// A try that was begun at `at` counts no more.
    ///
    /// # Errors
    /// The store is away.
    pub async fn forget(&self, keys: &[String], at: Millis) -> Result<(), Error> {
        self.drop(keys, at, Forget::Try).await
    }

    /// The name, which is the first key, is forgiven; the address is not: it may be trying other
    /// names.
    ///
    /// # Errors
    /// The store is away.
    pub async fn succeeded(&self, keys: &[String], at: Millis) -> Result<(), Error> {
        self.drop(keys, at, Forget::TryAndName).await
    }

    async fn drop(&self, keys: &[String], at: Millis, what: Forget) -> Result<(), Error> {
        match &self.store {
            Store::Memory(rows) => drop_from(locked(rows), keys, at, what),
            Store::Redis(redis, scripts) => {
                let mut call = scripts.forget.arg(at);
                call.arg(if what == Forget::TryAndName { "all" } else { "" });
                for key in keys {
                    call.key(redis.key(&format!("failed:{key}")));
                }
                redis.run::<()>(&call).await?;
            }
        }
        Ok(())
    }

    fn begin_in(&self, mut rows: Rows<'_>, keys: &[String], now: Millis) -> Option<Millis> {
        let Failures { failures_max, window_ms } = self.limits;
        let mut waits = Vec::new();
        for key in keys {
            let Some(times) = rows.get_mut(key) else { continue };
            times.retain(|at| now - at < window_ms);
            if times.len() >= failures_max
                && let Some(first) = times.first()
            {
                waits.push(first + window_ms - now);
            }
        }
        if let Some(wait) = waits.into_iter().max() {
            return Some(wait);
        }
        if rows.len() >= REMEMBERED_MAX {
            rows.retain(|_, times| times.last().is_some_and(|at| now - at < window_ms));
        }
        for key in keys {
            if rows.len() < REMEMBERED_MAX || rows.contains_key(key) {
                rows.entry(key.clone()).or_default().push(now);
            }
        }
        None
    }
}

type Rows<'a> = MutexGuard<'a, HashMap<String, Vec<Millis>>>;

fn locked(rows: &Mutex<HashMap<String, Vec<Millis>>>) -> Rows<'_> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drop_from(mut rows: Rows<'_>, keys: &[String], at: Millis, what: Forget) {
    for key in keys {
        let Some(times) = rows.get_mut(key) else { continue };
        if let Some(own) = times.iter().position(|time| *time == at) {
            times.remove(own);
        }
        if times.is_empty() {
            rows.remove(key);
        }
    }
    if what == Forget::TryAndName
        && let Some(name) = keys.first()
    {
        rows.remove(name);
    }
}
