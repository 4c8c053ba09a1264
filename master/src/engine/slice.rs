//! Which part of history is resident: slices, each all that is of one (interface, period).
//!
//! Live runs always are, and what a live run or execution may still ask about. What else is needed
//! is named in [`Due::load`](super::world::Due::load), whoever needs it goes on when it has come,
//! and it is dropped when nobody has touched it for a while and all of it is stored.

use super::rows::*;
use super::wait::slice_of;
use super::world::{Ask, Now, SliceRows, Step, World};
use shared::ids::*;
use shared::period::Period;
use shared::sabotage::Sabotage;
use std::collections::{BTreeMap, BTreeSet};

/// A slice that nobody needs is kept so long: what has just ended is often asked about.
pub(crate) const KEEP_MS: Millis = 120_000;

pub(crate) type SliceId = (InterfaceId, Period);

#[derive(Debug, Default)]
struct Slice {
    /// By generation.
    runs: BTreeMap<u32, RunId>,
    live: Option<RunId>,
    /// All its runs are resident.
    known: bool,
    waiters: usize,
    /// Executions that are not ended and name a run of it.
    pins: usize,
    /// In which step it was last of use, and when that was.
    used: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Slices {
    all: BTreeMap<SliceId, Slice>,
    /// Nobody needs them now, by when they were last of use.
    idle: BTreeSet<(u64, SliceId)>,
    /// When each step was, for as long as something idle is from it.
    ticks: BTreeMap<u64, Millis>,
    /// Runs whose attempts are all resident, or of which it is known that they are not there.
    pub(crate) attempts_known: BTreeSet<RunId>,
    /// Asks for one run or execution that were answered, and in which step.
    pub(crate) told: BTreeSet<Ask>,
    /// Runs whose staleness concerns a slice that is being loaded.
    pub(crate) stale: BTreeMap<SliceId, BTreeSet<RunId>>,
    told_order: BTreeSet<(u64, Ask)>,
}

impl Slices {
    /// The slice, and whatever becomes of it, is indexed anew.
    fn edit(&mut self, id: SliceId, step: u64, edit: impl FnOnce(&mut Slice)) {
        let slice = self.all.entry(id).or_default();
        self.idle.remove(&(slice.used, id));
        edit(slice);
        slice.used = step;
        let needed = slice.live.is_some() || slice.waiters > 0 || slice.pins > 0;
        if slice.runs.is_empty() && !slice.known && !needed {
            self.all.remove(&id);
        } else if !needed {
            self.idle.insert((step, id));
        }
    }

    pub(crate) fn hold(&mut self, id: SliceId, generation: u32, run: Option<RunId>, step: u64) {
        self.edit(id, step, |slice| match run {
            Some(run) => _ = slice.runs.insert(generation, run),
            None => _ = slice.runs.remove(&generation),
        });
    }

    pub(crate) fn live(&mut self, id: SliceId, run: Option<RunId>, step: u64) {
        self.edit(id, step, |slice| slice.live = run);
    }

    pub(crate) fn wait(&mut self, id: SliceId, by: isize, step: u64) {
        self.edit(id, step, |slice| slice.waiters = slice.waiters.saturating_add_signed(by));
    }

    pub(crate) fn pin(&mut self, id: SliceId, by: isize, step: u64) {
        self.edit(id, step, |slice| slice.pins = slice.pins.saturating_add_signed(by));
    }

    pub(crate) fn know(&mut self, id: SliceId, step: u64) {
        self.edit(id, step, |slice| slice.known = true);
    }

    /// It is about to be of use.
    pub(crate) fn touch(&mut self, id: SliceId, step: u64) {
        if self.all.contains_key(&id) {
            self.edit(id, step, |_| {});
        }
    }

    pub(crate) fn is_known(&self, id: SliceId) -> bool {
        self.all.get(&id).is_some_and(|slice| slice.known)
    }

    pub(crate) fn is_live(&self, id: SliceId) -> bool {
        self.all.get(&id).is_some_and(|slice| slice.live.is_some())
    }

    /// Enough is known to decide what a start of it makes: its newest run, or that there is none.
    pub(crate) fn is_decidable(&self, id: SliceId) -> bool {
        self.is_known(id) || self.is_live(id)
    }

    pub(crate) fn runs(&self, id: SliceId) -> impl Iterator<Item = RunId> {
        self.all.get(&id).into_iter().flat_map(|slice| slice.runs.values().copied())
    }

    /// The newest generation that is resident; a live run is always the newest.
    pub(crate) fn latest(&self, id: SliceId) -> Option<RunId> {
        self.all.get(&id)?.runs.values().next_back().copied()
    }
}

impl World {
    /// What was asked for has come. Rows that are resident are newer than what was read.
    pub(crate) fn loaded(&mut self, slices: Vec<SliceRows>) {
        for SliceRows { ask, rows, definition } in slices {
            let asked = self.due.load.remove(&ask);
            let mut found = match ask {
                Ask::Slice(interface, period) => BTreeSet::from([(interface, period)]),
                Ask::Run(_) | Ask::Execution(_) | Ask::Version(..) => BTreeSet::new(),
            };
            if asked && self.has(Sabotage::FactsBeforeWaits) {
                self.believe_facts(&rows);
            }
            let (runs, others): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|(key, _)| matches!(key, Key::Run(_)));
            for (key, row) in runs.into_iter().chain(others) {
                if let Row::Run(run) = &row {
                    found.insert((run.interface, run.period));
                }
                self.remember_loaded(ask, key, row);
            }
            match ask {
                Ask::Slice(..) => {}
                Ask::Run(run) => {
                    self.slices.attempts_known.insert(run);
                    self.slices.told.insert(ask);
                    self.slices.told_order.insert((self.step, ask));
                    self.agenda.push_back(Step::Tell(Target::Run(run)));
                }
                Ask::Execution(_) => {
                    self.slices.told.insert(ask);
                    self.slices.told_order.insert((self.step, ask));
                }
                Ask::Version(id, version) => self.learn_version(id, version, definition),
            }
            for slice in found {
                self.slices.know(slice, self.step);
                self.heap.unhold(slice);
                self.fills.unhold(slice);
                self.tell_slice(slice);
                let stale = self.slices.stale.remove(&slice).unwrap_or_default();
                self.agenda.extend(stale.into_iter().map(Step::Stale));
            }
        }
    }

    fn remember_loaded(&mut self, ask: Ask, key: Key, row: Row) {
        let wanted = match (key, ask) {
            (Key::Run(_) | Key::JobRun(_) | Key::Execution(_), _) => true,
            (Key::Attempt(attempt), Ask::Run(run)) => attempt.run == run,
            _ => false,
        };
        if wanted && self.table.get(key).is_none() {
            self.remember(key, row);
        }
    }

    /// All who wait for anything in it look again.
    fn tell_slice(&mut self, (interface, period): SliceId) {
        let job = |job| Target::Job(interface, period, JobId(job));
        let jobs = self.waiters.range(job(i64::MIN)..=job(i64::MAX)).map(|(target, _)| *target);
        let jobs: Vec<Target> = jobs.collect();
        let whole = [Target::Success(interface, period), Target::SuccessOrNone(interface, period)];
        self.agenda.extend(whole.into_iter().chain(jobs).map(Step::Tell));
    }

    /// Sabotage: what was read counts, not what has happened since.
    fn believe_facts(&mut self, rows: &[(Key, Row)]) {
        for (key, row) in rows {
            if let (Key::Run(id), Row::Run(old)) = (key, row)
                && let Some(now) = self.run(*id)
                && old.state.is_live()
                && !now.state.is_live()
            {
                let slice = (now.interface, now.period);
                self.waiters.retain(|target, _| slice_of(*target) != Some(slice));
            }
        }
    }

    /// Drops what nobody has needed for a while, as far as it is stored.
    pub(crate) fn evict(&mut self, now: Now) {
        self.slices.ticks.entry(self.step).or_insert(now.tick);
        let old =
            self.slices.ticks.iter().rev().find(|(_, tick)| **tick + self.keep_ms <= now.tick);
        let Some(until) = old.map(|(step, _)| self.stored.min(*step)) else { return };
        self.slices.ticks = self.slices.ticks.split_off(&until);
        while let Some(&(step, id)) = self.slices.idle.first()
            && step <= until
        {
            self.drop_slice(id);
        }
        if self.has(Sabotage::EvictWaitedFor) {
            let old = self.slices.all.iter().filter(|(_, slice)| slice.used <= until);
            let old: Vec<SliceId> = old.map(|(id, _)| *id).collect();
            old.into_iter().for_each(|id| self.drop_slice(id));
        }
        while let Some(&(step, ask)) = self.slices.told_order.first()
            && step <= until
        {
            self.slices.told_order.remove(&(step, ask));
            self.slices.told.remove(&ask);
            if let Ask::Run(run) = ask
                && self.run(run).is_none()
            {
                self.slices.attempts_known.remove(&run);
            }
        }
        while let Some(&(step, id)) = self.folds.ended.front()
            && step <= until
        {
            self.folds.ended.pop_front();
            if self.table.executions.get(&id).is_some_and(|row| !row.state.is_live()) {
                self.forget(Key::Execution(id));
            }
        }
        self.forget_commands(until);
        self.forget_backfills(until);
    }

    fn drop_slice(&mut self, id: SliceId) {
        let runs: Vec<RunId> = self.slices.runs(id).collect();
        if runs.iter().any(|run| self.has_live_orphan(*run)) {
            return self.slices.touch(id, self.step); // that it has ended is why the orphan is killed
        }
        for run in runs {
            let jobs: Vec<Key> = self.table.jobs_of(run).map(|(id, _)| Key::JobRun(id)).collect();
            let marked = |attempt: &Attempt| attempt.mark != Mark::Plain;
            let attempts = self.table.attempts_of(run).filter(|(_, attempt)| !marked(attempt));
            let attempts: Vec<Key> = attempts.map(|(id, _)| Key::Attempt(id)).collect();
            jobs.into_iter().chain(attempts).for_each(|key| self.forget(key));
            self.slices.attempts_known.remove(&run);
            self.forget(Key::Run(run));
        }
        if let Some(slice) = self.slices.all.remove(&id) {
            self.slices.idle.remove(&(slice.used, id));
        }
    }

    fn has_live_orphan(&self, run: RunId) -> bool {
        let mut attempts = self.table.attempts_of(run);
        attempts.any(|(_, attempt)| attempt.mark == Mark::Orphan && attempt.end.is_none())
    }

    /// Details of what ended before that date are deleted, as far as they are resident, stored, and
    /// nobody needs them; runs stay. The store deletes the rest by the same rule.
    pub(crate) fn purge(&mut self, before: Millis) {
        let is_old = |ended: Option<Millis>| ended.is_some_and(|ended| ended < before);
        let stored = self.stored;
        let idle = self.slices.idle.iter().take_while(|(used, _)| *used <= stored);
        let idle = idle.flat_map(|(_, id)| self.slices.runs(*id));
        for run in idle.collect::<Vec<RunId>>() {
            if !self.run(run).is_some_and(|run| is_old(run.ended)) {
                continue;
            }
            let jobs = self.table.jobs_of(run).map(|(id, _)| Key::JobRun(id));
            let attempts = self.table.attempts_of(run);
            let attempts = attempts.filter(|(_, attempt)| attempt.mark != Mark::Abandoned);
            let keys: Vec<Key> = jobs.chain(attempts.map(|(id, _)| Key::Attempt(id))).collect();
            keys.into_iter().for_each(|key| self.set(key, None));
        }
        self.heap.purge(before);
        let executions = self.folds.ended.iter().take_while(|(step, _)| *step <= stored);
        let executions = executions.map(|(_, id)| *id);
        let executions = executions
            .filter(|id| self.table.executions.get(id).is_some_and(|row| is_old(row.ended)));
        let keys: Vec<Key> = executions.map(Key::Execution).collect();
        keys.into_iter().for_each(|key| self.set(key, None));
    }
}
