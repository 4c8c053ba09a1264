//! The ready set, and who of it goes first.
//!
//! Jobs that may be placed alike (same hosts, labels, slots, pools) are one *class*: if the first of
//! them finds no place, none of them does, so a full host costs one look per class and not one per
//! job. Within a class the higher priority goes first; among runs of one priority it goes round in
//! turns, so that one run of a hundred thousand jobs does not hold up the others.

use super::reason::Reason;
use super::rows::*;
use super::world::World;
use shared::ids::*;
use shared::spec::OnLost;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What decides where a job may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassKey {
    pub(crate) project: ProjectId,
    pub(crate) hosts: Vec<HostId>,
    pub(crate) labels: Vec<String>,
    pub(crate) slots: u32,
    pub(crate) pools: Vec<PoolId>,
    /// A named environment, or none.
    pub(crate) environment: String,
    pub(crate) leased: bool,
}

#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) key: ClassKey,
    /// The hosts that it may use; none: not known yet, or the hosts were edited.
    pub(crate) hosts: Option<Vec<HostId>>,
    order: BTreeSet<Head>,
    groups: BTreeMap<Group, (u64, BTreeSet<(usize, JobId)>)>,
    /// Ready since it was last looked at.
    pub(crate) fresh: BTreeSet<JobRunId>,
    /// Why the first of it was not placed.
    pub(crate) why: String,
}

type Group = (Reverse<i32>, RunId);
/// Priority, turn, run.
pub(crate) type Head = (Reverse<i32>, u64, RunId);

#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) classes: Vec<Class>,
    ids: BTreeMap<ClassKey, usize>,
    /// The ready set: where each stands.
    at: BTreeMap<JobRunId, (usize, Reverse<i32>, usize)>,
    /// Classes that may find a place now.
    pub(crate) dirty: BTreeSet<usize>,
    by_host: BTreeMap<HostId, BTreeSet<usize>>,
    by_pool: BTreeMap<PoolId, BTreeSet<usize>>,
    /// Hosts that have refused, by when they are asked again.
    sulks: BTreeSet<(Millis, HostId)>,
    turn: u64,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// The ready set.
    pub(crate) fn ready(&self) -> impl Iterator<Item = JobRunId> {
        self.at.keys().copied()
    }

    fn class(&mut self, key: ClassKey) -> usize {
        if let Some(&class) = self.ids.get(&key) {
            return class;
        }
        let class = self.classes.len();
        for &pool in &key.pools {
            self.by_pool.entry(pool).or_default().insert(class);
        }
        self.ids.insert(key.clone(), class);
        self.classes.push(Class {
            key,
            hosts: None,
            order: BTreeSet::new(),
            groups: BTreeMap::new(),
            fresh: BTreeSet::new(),
            why: String::new(),
        });
        class
    }

    fn insert(&mut self, id: JobRunId, key: ClassKey, priority: i32, node: usize) {
        let class = self.class(key);
        let priority = Reverse(priority);
        if self.at.get(&id) == Some(&(class, priority, node)) {
            return;
        }
        self.remove(id);
        self.at.insert(id, (class, priority, node));
        let of = &mut self.classes[class];
        let turn = &mut self.turn;
        let (_, jobs) = of.groups.entry((priority, id.run)).or_insert_with(|| {
            *turn += 1;
            of.order.insert((priority, *turn, id.run));
            (*turn, BTreeSet::new())
        });
        jobs.insert((node, id.job));
        of.fresh.insert(id);
        self.dirty.insert(class);
    }

    pub(crate) fn remove(&mut self, id: JobRunId) {
        let Some((class, priority, node)) = self.at.remove(&id) else { return };
        let of = &mut self.classes[class];
        of.fresh.remove(&id);
        if let Some((turn, jobs)) = of.groups.get_mut(&(priority, id.run)) {
            jobs.remove(&(node, id.job));
            if jobs.is_empty() {
                of.order.remove(&(priority, *turn, id.run));
                of.groups.remove(&(priority, id.run));
            }
        }
    }

    pub(crate) fn head(&self, class: usize) -> Option<(Head, JobRunId)> {
        let of = &self.classes[class];
        let head = *of.order.first()?;
        let (_, jobs) = of.groups.get(&(head.0, head.2))?;
        Some((head, JobRunId { run: head.2, job: jobs.first()?.1 }))
    }

    /// The first ones of a class, in no fair order: for their reasons.
    pub(crate) fn some(&self, class: usize, count: usize) -> Vec<JobRunId> {
        let groups = self.classes[class].groups.iter();
        let jobs = groups.flat_map(|((_, run), (_, jobs))| {
            jobs.iter().map(|(_, job)| JobRunId { run: *run, job: *job })
        });
        jobs.take(count).collect()
    }

    /// Its run has had its turn.
    pub(crate) fn next_turn(&mut self, class: usize, head: Head) {
        let of = &mut self.classes[class];
        if let Some((turn, _)) = of.groups.get_mut(&(head.0, head.2)) {
            of.order.remove(&(head.0, *turn, head.2));
            self.turn += 1;
            *turn = self.turn;
            of.order.insert((head.0, *turn, head.2));
        }
    }

    // ---- when to look again ----

    pub(crate) fn look_at_all(&mut self) {
        self.dirty.extend(0..self.classes.len());
    }

    pub(crate) fn look_at_host(&mut self, host: HostId) {
        self.dirty.extend(self.by_host.get(&host).into_iter().flatten());
    }

    pub(crate) fn look_at_pool(&mut self, pool: PoolId) {
        self.dirty.extend(self.by_pool.get(&pool).into_iter().flatten());
    }

    pub(crate) fn set_hosts(&mut self, class: usize, hosts: Vec<HostId>) {
        for &host in &hosts {
            self.by_host.entry(host).or_default().insert(class);
        }
        self.classes[class].hosts = Some(hosts);
    }

    pub(crate) fn hosts_edited(&mut self) {
        self.by_host.clear();
        for class in &mut self.classes {
            class.hosts = None;
        }
        self.look_at_all();
    }

    pub(crate) fn sulk(&mut self, host: HostId, until: Millis) {
        self.sulks.insert((until, host));
    }

    pub(crate) fn wake_sulkers(&mut self, tick: Millis) {
        while let Some(&(until, host)) = self.sulks.first()
            && until < tick
        {
            self.sulks.pop_first();
            self.look_at_host(host);
        }
    }

    pub(crate) fn next_sulk(&self) -> Option<Millis> {
        self.sulks.first().map(|(until, _)| until + 1)
    }
}

impl World {
    pub(crate) fn enqueue(&mut self, id: JobRunId) {
        let (Some(live), Some(run)) = (self.lives.get(&id.run), self.run(id.run)) else { return };
        let Some(&node) = live.shape.at.get(&id.job) else { return };
        let job = live.shape.job(node);
        let priority = run.priority.saturating_add(job.spec.priority);
        let place = &job.spec.place;
        let key = ClassKey {
            project: run.project,
            hosts: place.hosts.clone(),
            labels: place.labels.clone(),
            slots: place.slots,
            pools: place.pools.clone(),
            environment: job.spec.environment.clone(),
            leased: job.spec.policy.on_lost == OnLost::Retry,
        };
        self.queue.insert(id, key, priority, node);
    }

    /// What is ready now.
    pub fn ready(&self) -> impl Iterator<Item = JobRunId> {
        self.queue.ready()
    }

    /// Jobs that were ready and may not begin now wait again, and say why.
    pub(crate) fn unqueue_run(&mut self, id: RunId, why: &Reason) {
        let queued = self.table.jobs_of(id).filter(|(_, job)| job.phase == Phase::Queued);
        for id in queued.map(|(id, _)| id).collect::<Vec<_>>() {
            let Some(job) = self.job(id).cloned() else { continue };
            let job = JobRun { phase: Phase::Waiting, reason: why.told(), ..job };
            self.put(Key::JobRun(id), Row::JobRun(job));
        }
    }
}
