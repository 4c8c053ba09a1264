//! Sessions of every master, in Redis.
//!
//! A hash for each session; a set of each user's; and all of them ordered by their last use, for the
//! limit and for what has run out. One script does one thing whole, so that no use of a session can
//! bring back one that is being revoked. The masters' clock decides what has run out; that keys
//! expire is only how Redis gets rid of what nobody asks for again.

use super::{Key, Limits, SESSIONS_MAX, Session, hex};
use crate::link::Away;
use crate::link::redis::Redis;
use redis::Script;
use shared::clock::Clock;
use shared::ids::{Millis, UserId};
use std::sync::Arc;

/// Ended by one call of the script that purges: Redis does nothing else meanwhile.
const PURGE_STEP: usize = 500;

/// Of every script: KEYS[1] is what all keys begin with, ARGV[1] the hash or the user.
const HEAD: &str = "
local head, what = KEYS[1], ARGV[1]
local all = head .. 'all'
local function drop(user, hash)
  redis.call('SREM', head .. 'user:' .. user, hash)
  redis.call('ZREM', all, user .. '/' .. hash)
  return redis.call('DEL', head .. hash)
end
local function drop_member(member)
  local user, hash = string.match(member, '^(.-)/(.*)$')
  return drop(user, hash)
end
";

/// user, address, agent, now, idle, age, limit
const INSERT: &str = "
local user, now, age = ARGV[2], ARGV[5], ARGV[7]
if redis.call('EXISTS', head .. what) == 0 and redis.call('ZCARD', all) >= tonumber(ARGV[8]) then
  drop_member(redis.call('ZRANGE', all, 0, 0)[1])
end
redis.call('HSET', head .. what, 'user', user, 'address', ARGV[3], 'agent', ARGV[4], 'since', now, 'used', now)
redis.call('PEXPIRE', head .. what, math.min(tonumber(ARGV[6]), tonumber(age)))
redis.call('SADD', head .. 'user:' .. user, what)
redis.call('PEXPIRE', head .. 'user:' .. user, age)
redis.call('ZADD', all, now, user .. '/' .. what)
redis.call('PEXPIRE', all, age)
";

/// now, idle, age
const FIND: &str = "
local now, idle, age = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local row = redis.call('HMGET', head .. what, 'user', 'since', 'used')
local user, since, used = row[1], tonumber(row[2] or ''), tonumber(row[3] or '')
if not user then return false end
if now - used >= idle or now - since >= age then
  drop(user, what)
  return false
end
used = math.max(now, used)
redis.call('HSET', head .. what, 'used', used)
redis.call('PEXPIRE', head .. what, math.min(idle, age - (now - since)))
redis.call('ZADD', all, used, user .. '/' .. what)
return user
";

const END: &str = "
local user = redis.call('HGET', head .. what, 'user')
if user then drop(user, what) end
";

const OF_USER: &str = "
local found = {}
for _, hash in ipairs(redis.call('SMEMBERS', head .. 'user:' .. what)) do
  local row = redis.call('HMGET', head .. hash, 'address', 'agent', 'since', 'used')
  if row[1] then
    table.insert(found, {hash, row[1], row[2], row[3], row[4]})
  else
    drop(what, hash)
  end
end
return found
";

/// handle, or nothing for all
const REVOKE: &str = "
local ended = 0
for _, hash in ipairs(redis.call('SMEMBERS', head .. 'user:' .. what)) do
  if ARGV[2] == '' or string.sub(hash, 1, 16) == ARGV[2] then
    ended = ended + drop(what, hash)
  end
end
return ended
";

/// idle since, step
const PURGE: &str = "
local old = redis.call('ZRANGEBYSCORE', all, '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(old) do drop_member(member) end
return #old
";

#[derive(Clone, Debug)]
pub struct Rows {
    redis: Redis,
    head: String,
    clock: Clock,
    limits: Limits,
    scripts: Arc<Scripts>,
}

#[derive(Debug)]
struct Scripts {
    insert: Script,
    find: Script,
    end: Script,
    of_user: Script,
    revoke: Script,
    purge: Script,
}

/// Hash, address, agent, since, used.
type Row = (String, String, String, Millis, Millis);

impl Rows {
    pub(super) fn new(redis: Redis, clock: Clock, limits: Limits) -> Rows {
        let script = |body: &str| Script::new(&format!("{HEAD}{body}"));
        let scripts = Scripts {
            insert: script(INSERT),
            find: script(FIND),
            end: script(END),
            of_user: script(OF_USER),
            revoke: script(REVOKE),
            purge: script(PURGE),
        };
        let head = redis.key("session:");
        Rows { redis, head, clock, limits, scripts: Arc::new(scripts) }
    }

    pub(super) fn link(&self) -> &Redis {
        &self.redis
    }

    pub(super) async fn insert(&self, key: Key, session: &Session) -> Result<(), Away> {
        let Limits { idle_ms, age_ms } = self.limits;
        let mut call = self.scripts.insert.key(&self.head);
        call.arg(hex(&key)).arg(session.user.0).arg(&session.address).arg(&session.agent);
        call.arg(self.clock.wall_ms()).arg(idle_ms).arg(age_ms).arg(SESSIONS_MAX);
        self.redis.run(&call).await
    }

    pub(super) async fn find(&self, key: Key) -> Result<Option<UserId>, Away> {
        let Limits { idle_ms, age_ms } = self.limits;
        let mut call = self.scripts.find.key(&self.head);
        call.arg(hex(&key)).arg(self.clock.wall_ms()).arg(idle_ms).arg(age_ms);
        Ok(self.redis.run::<Option<i64>>(&call).await?.map(UserId))
    }

    pub(super) async fn end(&self, key: Key) -> Result<(), Away> {
        let mut call = self.scripts.end.key(&self.head);
        self.redis.run(call.arg(hex(&key))).await
    }

    pub(super) async fn of_user(&self, user: UserId) -> Result<Vec<Session>, Away> {
        let mut call = self.scripts.of_user.key(&self.head);
        let rows = self.redis.run::<Vec<Row>>(call.arg(user.0)).await?;
        let now = self.clock.wall_ms();
        let sessions = rows.into_iter().map(|(hash, address, agent, since_ms, used_ms)| Session {
            handle: hash.chars().take(16).collect(),
            user,
            address,
            agent,
            since_ms,
            used_ms,
        });
        Ok(sessions.filter(|session| self.limits.hold(session, now)).collect())
    }

    pub(super) async fn purge(&self) -> Result<usize, Away> {
        let before = self.clock.wall_ms() - self.limits.idle_ms;
        let mut ended = 0;
        loop {
            let mut call = self.scripts.purge.key(&self.head);
            let step: usize = self.redis.run(call.arg("").arg(before).arg(PURGE_STEP)).await?;
            ended += step;
            if step < PURGE_STEP {
                return Ok(ended);
            }
        }
    }

    pub(super) async fn revoke(&self, user: UserId, handle: Option<&str>) -> Result<usize, Away> {
        let mut call = self.scripts.revoke.key(&self.head);
        self.redis.run(call.arg(user.0).arg(handle.unwrap_or_default())).await
    }
}
