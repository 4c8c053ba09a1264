//! The indexes that follow a row, whatever changed it: a verb, a host, time, or a dry run that is
//! rolled back. [`World::set`] calls [`World::reindex`] with the row as it was before.

use super::dag::{Edges, Shape, holds, is_failure};
use super::rows::*;
use super::run::is_waiting;
use super::wait::Waiter;
use super::world::{Step, World};
use shared::ids::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is counted of a live run, so that nobody need look at all of its jobs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) shape: Arc<Shape>,
    /// By node.
    pub(crate) edges: Vec<Edges>,
    /// Jobs that are not done.
    pub(crate) open: usize,
    pub(crate) failed: BTreeSet<usize>,
    pub(crate) stopped: usize,
}

fn verdict(phase: Option<Phase>) -> Option<Verdict> {
    match phase {
        Some(Phase::Done(verdict)) => Some(verdict),
        _ => None,
    }
}

impl Live {
    fn new(shape: Arc<Shape>) -> Live {
        let edges = vec![Edges::default(); shape.nodes.len()];
        let open = shape.nodes.len();
        Live { shape, edges, open, failed: BTreeSet::new(), stopped: 0 }
    }

    /// A job went from one phase to another. Whether that means anything to its children.
    fn moved(&mut self, at: usize, before: Option<Phase>, after: Option<Phase>) -> bool {
        let (old, new) = (verdict(before), verdict(after));
        if old == new {
            return false;
        }
        self.open = self.open + usize::from(old.is_some()) - usize::from(new.is_some());
        self.stopped = self.stopped + usize::from(new == Some(Verdict::Stopped))
            - usize::from(old == Some(Verdict::Stopped));
        if new.is_some_and(is_failure) {
            self.failed.insert(at);
        } else {
            self.failed.remove(&at);
        }
        for &(to, expect) in &self.shape.nodes[at].outs {
            self.edges[to].count(holds(expect, before), -1);
            self.edges[to].count(holds(expect, after), 1);
        }
        true
    }
}

impl World {
    /// Called after the row has changed; `old` is what it was.
    pub(crate) fn reindex(&mut self, key: Key, old: Option<&Row>) {
        match (key, old) {
            (Key::Run(id), Some(Row::Run(old))) => self.index_run(id, Some(old)),
            (Key::Run(id), _) => self.index_run(id, None),
            (Key::JobRun(id), Some(Row::JobRun(old))) => self.index_job(id, Some(old)),
            (Key::JobRun(id), _) => self.index_job(id, None),
            (Key::Attempt(id), Some(Row::Attempt(old))) => self.index_attempt(id, Some(old)),
            (Key::Attempt(id), _) => self.index_attempt(id, None),
            (Key::Execution(id), Some(Row::Execution(old))) => self.index_execution(id, Some(old)),
            (Key::Execution(id), _) => self.index_execution(id, None),
            (Key::Dispatch(id), _) => self.reschedule(id),
            (Key::Doubt(_), _) => self.queue.look_at_all(),
            (Key::Firing(id, instant), _) => self.heap.fired(id, instant),
            (Key::Backfill(id), _) => self.index_backfill(id),
            (Key::Command(_) | Key::Outbox(_), _) => {}
        }
    }

    fn index_run(&mut self, id: RunId, old: Option<&Run>) {
        let new = self.run(id).cloned();
        let new = new.as_ref();
        let Some(any) = new.or(old) else { return };
        let slice = (any.interface, any.period);
        if old.is_some() != new.is_some() {
            self.slices.hold(slice, any.generation, new.map(|_| id), self.step);
        }
        let (was, is) = (old.filter(|r| r.state.is_live()), new.filter(|r| r.state.is_live()));
        let waiter = Waiter::Run(id);
        self.index_waits(waiter, was.map(|run| &run.waits), is.map(|run| &run.waits));
        self.times.run(id, was.map(|run| run.wait_until), is.map(|run| run.wait_until));
        self.fold_run(id, old.map(|run| run.state), new.map(|run| run.state));
        match (was, is) {
            (None, Some(run)) => self.enliven(id, run, slice),
            (Some(_), None) => {
                self.lives.remove(&id);
                self.mesh.by_interface.entry(any.interface).or_default().remove(&id);
                self.slices.live(slice, None, self.step);
            }
            (Some(before), Some(run)) => {
                let gate = |run: &Run| (run.waits.is_empty(), run.paused, run.priority);
                if gate(before) != gate(run) {
                    self.refresh_run(id);
                }
            }
            (None, None) => {}
        }
        let age = |run: Option<&Run>| run.map(|run| (run.started.is_some(), run.age_from));
        if age(was) != age(is) {
            self.watch_age(id);
        }
    }

    fn enliven(&mut self, id: RunId, run: &Run, slice: (InterfaceId, shared::period::Period)) {
        let shape = self.mesh.shape(&self.catalog, run.interface, run.version, run.project);
        let mut live = Live::new(shape);
        for (job, row) in self.table.jobs_of(id) {
            if let Some(&at) = live.shape.at.get(&job.job) {
                live.moved(at, None, Some(row.phase));
            }
        }
        self.lives.insert(id, live);
        self.mesh.by_interface.entry(run.interface).or_default().insert(id);
        self.slices.live(slice, Some(id), self.step);
    }

    /// Looks again at every job of a run that might have become ready, or no longer be.
    pub(crate) fn refresh_run(&mut self, id: RunId) {
        let jobs: Vec<JobRunId> = self
            .table
            .jobs_of(id)
            .filter(|(_, job)| is_waiting(job.phase))
            .map(|(id, _)| id)
            .collect();
        for job in jobs {
            self.refresh(job);
        }
    }

    fn index_job(&mut self, id: JobRunId, old: Option<&JobRun>) {
        let new = self.job(id).cloned();
        let new = new.as_ref();
        let open = |job: &&JobRun| !matches!(job.phase, Phase::Done(_));
        let (was, is) = (old.filter(open), new.filter(open));
        self.index_waits(Waiter::Job(id), was.map(|job| &job.waits), is.map(|job| &job.waits));
        // One that is queued was ripe for the leader before us; we have yet to learn the date.
        let date = |job: Option<&JobRun>| {
            job.filter(|job| is_waiting(job.phase)).map_or(0, |job| job.not_before)
        };
        let past = |date: Millis| self.now.is_some_and(|now| date <= now.date);
        let next = if past(date(new)) { 0 } else { date(new) };
        self.times.job(id, date(old), next);
        self.index_place(id, old, new);
        let assigned =
            |job: &&JobRun| matches!(job.phase, Phase::Assigned(_)).then(|| job.attempt(id));
        let (before, now) = (old.as_ref().and_then(assigned), new.as_ref().and_then(assigned));
        if let Some(attempt) = before.filter(|_| before != now) {
            self.fleet.anew.remove(&attempt);
        }
        let phase = |job: Option<&JobRun>| job.map(|job| job.phase);
        let mut children: Vec<JobRunId> = Vec::new();
        if let Some(live) = self.lives.get_mut(&id.run)
            && let Some(&at) = live.shape.at.get(&id.job)
            && live.moved(at, phase(old), phase(new))
        {
            let nodes = &live.shape.nodes;
            let outs = nodes[at].outs.iter();
            children.extend(outs.map(|(to, _)| JobRunId { run: id.run, job: nodes[*to].job }));
            children.dedup();
        }
        for child in children {
            self.refresh(child);
        }
        for job in [old, new].into_iter().flatten() {
            if let Some(place) = job.phase.place() {
                self.reorder_at(place.host, job.attempt(id));
            }
        }
        self.reorder_strays(id);
        self.refresh(id);
    }

    fn index_attempt(&mut self, id: AttemptId, old: Option<&Attempt>) {
        let mark = self.table.attempts.get(&id).map(|attempt| attempt.mark);
        let was = old.map(|attempt| attempt.mark);
        for (set, which) in
            [(&mut self.orphans, Mark::Orphan), (&mut self.abandoned, Mark::Abandoned)]
        {
            match mark == Some(which) {
                true => _ = set.insert(id),
                false => _ = set.remove(&id),
            }
        }
        if was != mark || mark == Some(Mark::Orphan) {
            self.places.mark(id, old, self.table.attempts.get(&id));
            if let Some(old) = old {
                self.reorder_at(old.place.host, id);
            }
            self.reorder(id);
            self.reorder_strays(id.job_run());
            self.refresh(id.job_run());
        }
    }

    /// Whether the job may begin now: the definition of the ready set, which is kept by
    /// [`World::refresh`].
    pub(crate) fn is_ready(&self, id: JobRunId) -> bool {
        let (Some(job), Some(run)) = (self.job(id), self.run(id.run)) else { return false };
        let Some(live) = self.lives.get(&id.run) else { return false };
        let Some(&at) = live.shape.at.get(&id.job) else { return false };
        is_waiting(job.phase)
            && job.waits.is_empty()
            && (run.waits.is_empty() || job.forced == Forced::All)
            && !run.paused
            && (job.forced != Forced::Not || live.shape.may_begin(at, live.edges[at]))
            && self.is_ripe(id, job.not_before)
            && !self.mesh.is_frozen(run.interface, id.job)
    }

    /// Brings the ready set up to date for this job.
    pub(crate) fn refresh(&mut self, id: JobRunId) {
        let mut ready = self.is_ready(id);
        if ready && let Some((attempt, row)) = self.orphan(id) {
            let number = self.job(id).map_or(0, |job| job.number);
            if attempt.number > number {
                self.agenda.push_back(Step::Adopt(id));
                ready = false;
            } else {
                // One that is older than ours is no use; while it lives (it is being killed as a
                // stray) nothing else may.
                ready = row.end.is_some();
            }
        }
        match ready {
            true => self.enqueue(id),
            false => self.queue.remove(id),
        }
    }
}
