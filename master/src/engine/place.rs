//! Which host: placing what is ready on hosts that speak, have told all, and have room.

use super::queue::Head;
use super::reason::Reason;
use super::rows::*;
use super::world::{Now, World};
use shared::ids::*;
use shared::sabotage::Sabotage;
use std::collections::BTreeSet;

/// Jobs of a class whose reason is written anew when it changes; the others keep the one before.
const REASONS_MAX: usize = 50;

impl World {
    /// Gives what is ready its places, the first of all classes first, until none finds one.
    pub(crate) fn place_ready(&mut self, now: Now) {
        let dirty = std::mem::take(&mut self.queue.dirty);
        let mut heads: BTreeSet<(Head, usize)> = BTreeSet::new();
        for &class in &dirty {
            heads.extend(self.queue.head(class).map(|(head, _)| (head, class)));
        }
        while let Some((head, class)) = heads.pop_first() {
            let Some((actual, job)) = self.queue.head(class) else { continue };
            if actual != head {
                heads.insert((actual, class));
                continue;
            }
            match self.choose(now, class) {
                Ok(place) => {
                    self.queue.next_turn(class, head);
                    self.assign(job, place);
                    heads.extend(self.queue.head(class).map(|(head, _)| (head, class)));
                }
                Err(why) => self.explain(class, &why),
            }
        }
        for class in dirty {
            self.queue_fresh(now, class);
        }
    }

    fn explain(&mut self, class: usize, why: &Reason) {
        let why = why.told();
        if self.queue.classes[class].why == why {
            return;
        }
        self.queue.classes[class].why.clone_from(&why);
        for id in self.queue.some(class, REASONS_MAX) {
            let Some(job) = self.job(id).filter(|job| job.phase == Phase::Queued) else { continue };
            let job = JobRun { reason: why.clone(), ..job.clone() };
            self.put(Key::JobRun(id), Row::JobRun(job));
        }
    }

    /// What has become ready and found no place is queued, with the reason.
    fn queue_fresh(&mut self, now: Now, class: usize) {
        let of = &mut self.queue.classes[class];
        let (fresh, why) = (std::mem::take(&mut of.fresh), of.why.clone());
        for id in fresh {
            let Some(job) = self.job(id).filter(|job| job.phase == Phase::Waiting) else {
                continue;
            };
            let ready = job.ready.or(Some(now.date));
            let job = JobRun { phase: Phase::Queued, ready, reason: why.clone(), ..job.clone() };
            self.put(Key::JobRun(id), Row::JobRun(job));
        }
        self.queue.classes[class].fresh.clear();
    }

    /// A place for the first of this class, or why there is none.
    fn choose(&mut self, now: Now, class: usize) -> Result<Place, Reason> {
        if self.queue.classes[class].hosts.is_none() {
            let hosts = self.allowed(class);
            self.queue.set_hosts(class, hosts);
        }
        let of = &self.queue.classes[class];
        let key = &of.key;
        let hosts = of.hosts.as_deref().unwrap_or_default();
        if hosts.is_empty() {
            return Err(Reason::NoHostFits {});
        }
        self.may_place(now, key.leased)?;
        let by_host = self.has(Sabotage::PoolsByHost);
        let full = |pool: &&PoolId, host: HostId| {
            let size = self.catalog.pools.get(pool).copied().unwrap_or(0);
            self.places.pools.get(&(**pool, host)).copied().unwrap_or(0) >= size
        };
        if !by_host && let Some(pool) = key.pools.iter().find(|pool| full(pool, HostId(0))) {
            return Err(Reason::PoolFull { pool: *pool });
        }
        let lacks = |host: &HostId| {
            by_host && key.pools.iter().any(|pool| full(&pool, *host))
                || self.free(*host) < i64::from(key.slots)
        };
        let speaking: Vec<HostId> =
            hosts.iter().copied().filter(|host| self.speaks(now, *host)).collect();
        if speaking.is_empty() {
            return Err(Reason::NoneAnswers { n: hosts.len() });
        }
        let answering = speaking.len();
        let having: Vec<HostId> = match key.environment.as_str() {
            "" => speaking,
            name => speaking.into_iter().filter(|host| self.fleet.offers(*host, name)).collect(),
        };
        if having.is_empty() {
            let environment = key.environment.clone();
            return Err(Reason::NoEnvironment { environment, n: answering });
        }
        let free = having.iter().copied().filter(|host| !lacks(host));
        let best = free.max_by(|a, b| self.compare(*a, *b));
        let n = having.len();
        let best = best.ok_or(match key.slots {
            0 | 1 => Reason::NoFreeSlot { n },
            slots => Reason::NoFreeSlots { slots, n },
        })?;
        let answer = self.fleet.hosts.get(&best).and_then(|seen| seen.answer);
        answer.map(|basis| Place { host: best, basis }).ok_or(Reason::NoHostAnswers {})
    }

    fn allowed(&self, class: usize) -> Vec<HostId> {
        let key = &self.queue.classes[class].key;
        let fits = |host: &super::catalog::Host| {
            (key.hosts.is_empty() || key.hosts.contains(&host.id))
                && (host.project == ProjectId(0) || host.project == key.project)
                && !host.spec.draining
                && key.labels.iter().all(|label| host.spec.labels.contains(label))
        };
        self.catalog.hosts.values().filter(|host| fits(host)).map(|host| host.id).collect()
    }

    fn free(&self, host: HostId) -> i64 {
        let all = self.catalog.hosts.get(&host).map_or(0, |host| host.spec.slots);
        i64::from(all) - i64::from(self.places.slots.get(&host).copied().unwrap_or(0))
    }

    /// The greater share of free slots, then the heavier, then the first.
    fn compare(&self, a: HostId, b: HostId) -> std::cmp::Ordering {
        let spec = |host| {
            let spec =
                self.catalog.hosts.get(&host).map(|host| (host.spec.slots, host.spec.weight));
            let (slots, weight) = spec.unwrap_or((1, 1));
            (i64::from(slots.max(1)), weight)
        };
        let ((slots_a, weight_a), (slots_b, weight_b)) = (spec(a), spec(b));
        let share = (self.free(a) * slots_b).cmp(&(self.free(b) * slots_a));
        share.then(weight_a.cmp(&weight_b)).then(b.cmp(&a))
    }

    /// A commit that was lost in a failover may have started this job elsewhere. A leased job is dead
    /// after so long a silence, or will be listed; any other job must wait for the word of every host
    /// in doubt (rule L5).
    fn may_place(&self, now: Now, leased: bool) -> Result<(), Reason> {
        if self.has(Sabotage::PlaceUnasked) {
            return Ok(());
        }
        let by_silence = leased || self.has(Sabotage::NoDoubt);
        let settled = |host: &HostId| {
            by_silence && self.fleet.silent_ms(now.tick, *host) >= self.timing.lost_ms
        };
        match self.table.doubts.iter().find(|host| !settled(host)) {
            None => Ok(()),
            Some(&host) => Err(Reason::HostInDoubt { host }),
        }
    }
}
