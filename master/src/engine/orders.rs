//! Who is where, and what each host is to be told: kept up to date row by row.
//!
//! An order follows from the state alone: a start from *assigned*, a kill from *stopping*, from an
//! attempt that was abandoned, and from what lives on a host and is no longer wanted (a stray).

use super::rows::*;
use super::world::{Todo, World};
use shared::ids::*;
use shared::sabotage::Sabotage;
use shared::spec::{OnLost, Policy};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// From TERM to KILL for what no definition is known of.
const GRACE_MS: Millis = 10_000;
/// At least, where a server is to be told and heard first.
const ELSEWHERE_GRACE_S: u32 = 60;

#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Jobs that a host has.
    pub(crate) jobs: BTreeMap<HostId, BTreeSet<JobRunId>>,
    /// Those of them that run under the host's lease (rule H8).
    pub(crate) leased: BTreeMap<HostId, BTreeSet<JobRunId>>,
    pub(crate) slots: BTreeMap<HostId, u32>,
    /// Of a pool; the host is 0 unless a sabotage counts per host.
    pub(crate) pools: BTreeMap<(PoolId, HostId), u32>,
    /// Attempts with a mark, by their host.
    pub(crate) marked: BTreeMap<HostId, BTreeSet<AttemptId>>,
}

fn change<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K, by: i64) {
    let count = counts.entry(key).or_default();
    *count = u32::try_from((i64::from(*count) + by).max(0)).unwrap_or(u32::MAX);
}

fn member<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: K, value: V, is: bool) {
    let set = sets.entry(key).or_default();
    match is {
        true => _ = set.insert(value),
        false => _ = set.remove(&value),
    }
}

impl Places {
    pub(crate) fn mark(&mut self, id: AttemptId, old: Option<&Attempt>, new: Option<&Attempt>) {
        let marked = |attempt: &&Attempt| attempt.mark != Mark::Plain;
        if let Some(old) = old.filter(marked) {
            member(&mut self.marked, old.place.host, id, false);
        }
        if let Some(new) = new.filter(marked) {
            member(&mut self.marked, new.place.host, id, true);
        }
    }

    pub(crate) fn on(&self, host: HostId) -> Vec<JobRunId> {
        self.jobs.get(&host).into_iter().flatten().copied().collect()
    }

    pub(crate) fn marked_on(&self, host: HostId) -> Vec<AttemptId> {
        self.marked.get(&host).into_iter().flatten().copied().collect()
    }
}

impl World {
    pub(crate) fn policy(&self, id: JobRunId) -> Policy {
        let Some(live) = self.lives.get(&id.run) else { return Policy::default() };
        let at = live.shape.at.get(&id.job);
        at.map_or_else(Policy::default, |&at| live.shape.job(at).spec.policy.clone())
    }

    pub(crate) fn is_leased(&self, id: JobRunId) -> bool {
        self.policy(id).on_lost == OnLost::Retry
    }

    /// The job takes its place, or leaves it.
    pub(crate) fn index_place(&mut self, id: JobRunId, old: Option<&JobRun>, new: Option<&JobRun>) {
        let host = |job: Option<&JobRun>| Some(job?.phase.place()?.host);
        let (was, is) = (host(old), host(new));
        if was == is {
            return;
        }
        let live = self.lives.get(&id.run);
        let spec = live.and_then(|live| Some(live.shape.job(*live.shape.at.get(&id.job)?)));
        let (slots, pools) = spec
            .map_or((1, Vec::new()), |job| (job.spec.place.slots, job.spec.place.pools.clone()));
        let leased = self.is_leased(id);
        let by_host = self.has(Sabotage::PoolsByHost);
        for (host, by) in [(was, -1), (is, 1)] {
            let Some(host) = host else { continue };
            member(&mut self.places.jobs, host, id, by > 0);
            if leased {
                member(&mut self.places.leased, host, id, by > 0);
                self.due.leased =
                    self.due.leased.saturating_add_signed(if by > 0 { 1 } else { -1 });
            }
            change(&mut self.places.slots, host, i64::from(slots) * by);
            for &pool in &pools {
                let key = (pool, if by_host { host } else { HostId(0) });
                change(&mut self.places.pools, key, by);
                if by < 0 {
                    self.queue.look_at_pool(pool);
                }
            }
            if by < 0 {
                self.queue.look_at_host(host);
            }
        }
    }

    // ---- orders ----

    /// What this host is to be told of this attempt.
    fn order(&self, host: HostId, attempt: AttemptId) -> Option<Todo> {
        let id = attempt.job_run();
        let policy = || self.policy(id);
        let kill = |incarnation| {
            let known = self.lives.contains_key(&id.run);
            let grace_ms = if known { self.grace_ms(id, &policy()) } else { GRACE_MS };
            Some(Todo::Kill { attempt, incarnation, grace_ms })
        };
        // Who looks on is to go, and what he looks on at is to stay: another one may look on by now.
        let remove = |incarnation| match self.lives_elsewhere(id) {
            true => Some(Todo::Kill { attempt, incarnation, grace_ms: 0 }),
            false => kill(incarnation),
        };
        if let Some(job) = self.job(id).filter(|job| job.attempt(id) == attempt) {
            match job.phase {
                Phase::Assigned(place) if place.host == host => {
                    return Some(self.start(attempt, place, &policy()));
                }
                Phase::Stopping(place) if place.host == host => {
                    return kill(place.basis.incarnation);
                }
                _ => {}
            }
        }
        if self.abandoned.contains(&attempt)
            && let Some(row) = self.table.attempts.get(&attempt)
            && row.place.host == host
        {
            return remove(row.place.basis.incarnation);
        }
        let stray = self.fleet.is_listed(host, attempt) && self.is_stray(attempt);
        stray.then(|| remove(self.fleet.incarnation(host)?)).flatten()
    }

    fn start(&self, attempt: AttemptId, place: Place, policy: &Policy) -> Todo {
        let fresh = self.fleet.hosts.get(&place.host).and_then(|seen| seen.answer);
        let same = |fresh: &Answer| fresh.incarnation == place.basis.incarnation;
        let fresh = fresh.filter(same).filter(|_| self.has(Sabotage::FreshBasis));
        let basis = fresh.unwrap_or(place.basis);
        Todo::Start {
            attempt,
            basis,
            leased: policy.on_lost == OnLost::Retry,
            timeout_ms: policy.timeout_s.map(|s| Millis::from(s) * 1_000),
            grace_ms: self.grace_ms(attempt.job_run(), policy),
        }
    }

    /// Between the word to end and the kill.
    fn grace_ms(&self, id: JobRunId, policy: &Policy) -> Millis {
        let least_s = if self.lives_elsewhere(id) { ELSEWHERE_GRACE_S } else { 0 };
        Millis::from(policy.kill_grace_s.max(least_s)) * 1_000
    }

    /// It lives on a host and is no longer wanted: given up, abandoned, or lost with its commit
    /// while another attempt was made.
    fn is_stray(&self, attempt: AttemptId) -> bool {
        let id = attempt.job_run();
        match self.job(id) {
            Some(job) => {
                let ours = job.attempt(id) == attempt && job.phase.place().is_some();
                let free = matches!(job.phase, Phase::Waiting | Phase::Queued)
                    && self.orphans.contains(&attempt)
                    && attempt.number > job.number;
                !ours && !free
            }
            // All live runs are resident: this one has ended. But the run of an orphan may have been
            // lost with it, and be made again.
            None => match self.run(id.run) {
                Some(run) => !run.state.is_live(),
                None => !self.orphans.contains(&attempt),
            },
        }
    }

    /// The order about this attempt at its own host.
    pub(crate) fn reorder(&mut self, attempt: AttemptId) {
        if let Some(row) = self.table.attempts.get(&attempt) {
            self.reorder_at(row.place.host, attempt);
        }
    }

    pub(crate) fn reorder_strays(&mut self, id: JobRunId) {
        for (host, attempt) in self.fleet.running_of(id) {
            self.reorder_at(host, attempt);
        }
    }

    pub(crate) fn reorder_at(&mut self, host: HostId, attempt: AttemptId) {
        let incarnation = self.fleet.incarnation(host);
        let todo = self.order(host, attempt).filter(|todo| match todo {
            Todo::Start { basis, .. } => Some(basis.incarnation) == incarnation,
            Todo::Kill { incarnation: of, .. } => Some(*of) == incarnation,
        });
        let Some(orders) = self.due.orders.get_mut(&host) else {
            if let Some(todo) = todo {
                self.due.orders.insert(host, Arc::new(BTreeMap::from([(attempt, todo)])));
            }
            return;
        };
        if orders.get(&attempt) == todo.as_ref() {
            return;
        }
        let all = Arc::make_mut(orders);
        match todo {
            Some(todo) => _ = all.insert(attempt, todo),
            None => _ = all.remove(&attempt),
        }
        if all.is_empty() {
            self.due.orders.remove(&host);
        }
    }

    /// After another incarnation has answered: all orders of this host.
    pub(crate) fn reorder_host(&mut self, host: HostId) {
        self.due.orders.remove(&host);
        for id in self.places.on(host) {
            if let Some(attempt) = self.job(id).map(|job| job.attempt(id)) {
                self.reorder_at(host, attempt);
            }
        }
        for attempt in self.places.marked_on(host) {
            self.reorder_at(host, attempt);
        }
        for attempt in self.fleet.running_on(host) {
            self.reorder_at(host, attempt);
        }
    }
}
