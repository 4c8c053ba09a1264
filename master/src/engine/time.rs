//! What time alone does: retries that come due, waits that are given up, hosts that fall silent.
//!
//! Nobody polls: everything that time will change stands in an ordered set, and [`World::wake`] says
//! when the first of it comes. A date that a wrong clock wrote must neither hold for ever nor give
//! up early: while the clocks disagree none is written, and one too far off is written again.

use super::reason::Reason;
use super::rows::*;
use super::world::{Now, SKEW_MS, World};
use shared::ids::*;
use shared::spec::Backoff;
use std::collections::{BTreeMap, BTreeSet};

/// While something waits for the clocks to agree again, it is looked at this often.
const RECHECK_MS: Millis = 500;

#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Jobs that are not to begin before a date.
    retries: BTreeSet<(Millis, JobRunId)>,
    /// Live runs, by when waiting is given up.
    deadlines: BTreeSet<(Millis, RunId)>,
    /// Live runs that have no such date yet: no clock could be trusted.
    undated: BTreeSet<RunId>,
    /// Live runs that have begun, by when that takes too long; each once.
    ages: BTreeSet<(Millis, RunId)>,
    ages_of: BTreeMap<RunId, Millis>,
    /// Live runs that began while no clock could be trusted: their age counts from when one can be.
    ageless: BTreeSet<RunId>,
    /// Past their date, while what they wait for is not known yet: it may long be there.
    overdue: BTreeSet<RunId>,
}

impl Times {
    /// 0: at once.
    pub(crate) fn job(&mut self, id: JobRunId, old: Millis, new: Millis) {
        if old > 0 {
            self.retries.remove(&(old, id));
        }
        if new > 0 {
            self.retries.insert((new, id));
        }
    }

    pub(crate) fn run(&mut self, id: RunId, old: Option<Millis>, new: Option<Millis>) {
        if let Some(old) = old {
            self.deadlines.remove(&(old, id));
            self.undated.remove(&id);
            self.overdue.remove(&id);
        }
        match new {
            Some(Millis::MAX) => _ = self.undated.insert(id),
            Some(new) => _ = self.deadlines.insert((new, id)),
            None => {}
        }
    }
}

impl Times {
    /// When something follows from the age of this run.
    fn age(&mut self, id: RunId, next: Option<Millis>) {
        if let Some(old) = self.ages_of.remove(&id) {
            self.ages.remove(&(old, id));
        }
        if let Some(next) = next {
            self.ages_of.insert(id, next);
            self.ages.insert((next, id));
        }
    }
}

/// How long until the next attempt after so many.
pub(crate) fn delay_ms(backoff: Backoff, attempts: u32) -> Millis {
    let max = u64::from(backoff.delay_max_s);
    let mut delay = u64::from(backoff.delay_s);
    for _ in 1..attempts.min(64) {
        delay = delay.saturating_mul(u64::from(backoff.factor)).min(max);
    }
    Millis::try_from(delay.min(max.max(u64::from(backoff.delay_s))) * 1_000).unwrap_or(Millis::MAX)
}

impl World {
    /// Every event begins with it.
    pub(crate) fn pass_time(&mut self, now: Now) {
        let jumped = self.now.is_none_or(|last| {
            let expected = last.date.saturating_add(now.tick.saturating_sub(last.tick));
            now.date.abs_diff(expected) > SKEW_MS.unsigned_abs()
        });
        self.now = Some(now);
        // What is known already counts before time gives up on it: a new leader begins with all its
        // waits unasked.
        self.work();
        if jumped {
            let all: Vec<JobRunId> = self.times.retries.iter().map(|(_, id)| *id).collect();
            all.into_iter().for_each(|id| self.refresh(id));
            if now.clocks_agree() {
                let all: Vec<RunId> = self.times.deadlines.iter().map(|(_, id)| *id).collect();
                all.into_iter().for_each(|id| self.date_run(now, id));
            }
        }
        while let Some(&(date, id)) = self.times.retries.first()
            && date <= now.date
        {
            self.times.retries.remove(&(date, id));
            self.refresh(id);
        }
        if now.clocks_agree() {
            for id in std::mem::take(&mut self.times.undated) {
                self.date_run(now, id);
            }
            while let Some(&(date, id)) = self.times.deadlines.first()
                && date <= now.date
            {
                self.times.deadlines.remove(&(date, id));
                self.times.overdue.insert(id);
            }
            for id in std::mem::take(&mut self.times.ageless) {
                let Some(run) = self.run(id).filter(|run| run.state.is_live()).cloned() else {
                    continue;
                };
                self.put(Key::Run(id), Row::Run(Run { age_from: Some(now.date), ..run }));
            }
            self.judge_ages(now);
            for id in std::mem::take(&mut self.times.overdue) {
                match self.knows_waits_of(id) {
                    true => self.give_up_waiting(id),
                    false => _ = self.times.overdue.insert(id),
                }
            }
        }
        self.give_up_silent(now);
        if !self.table.doubts.is_empty() {
            self.queue.look_at_all();
        }
        self.queue.wake_sulkers(now.tick);
        self.work();
    }

    /// Whether the time of this job has come. One further away than any retry would be put was
    /// written by a clock that was wrong.
    pub(crate) fn is_ripe(&self, id: JobRunId, not_before: Millis) -> bool {
        let Some(now) = self.now else { return not_before == 0 };
        not_before <= now.date || {
            let backoff = self.policy(id).backoff;
            let max = backoff.delay_max_s.max(backoff.delay_s);
            not_before > now.date + Millis::from(max) * 1_000 + SKEW_MS
        }
    }

    /// Until when this run may wait.
    pub(crate) fn wait_until(&self, now: Now, interface: InterfaceId) -> Millis {
        let spec = self.catalog.interfaces.get(&interface);
        let timeout = spec.map_or(24 * 3_600, |interface| interface.spec.wait_timeout_s);
        match now.clocks_agree() {
            true => now.date + Millis::from(timeout) * 1_000,
            false => Millis::MAX,
        }
    }

    /// None while the clocks disagree.
    pub(crate) fn trusted_date(&self) -> Option<Millis> {
        self.now.filter(|now| now.clocks_agree()).map(|now| now.date)
    }

    /// What a run has begun with, and what follows from its age: (since when, alarm, stop).
    fn limits(&self, id: RunId) -> Option<(Millis, [Option<u32>; 2])> {
        let run = self.run(id).filter(|run| run.state.is_live())?;
        let spec = &self.lives.get(&id)?.shape.interface.spec;
        Some((run.age_from?, [spec.alarm_after_s, spec.stop_after_s]))
    }

    /// It has begun, or has ended: its age is watched from now on, or no more.
    pub(crate) fn watch_age(&mut self, id: RunId) {
        let started = |run: &&Run| run.state.is_live() && run.started.is_some();
        match self.run(id).filter(started).is_some_and(|run| run.age_from.is_none()) {
            true => _ = self.times.ageless.insert(id),
            false => _ = self.times.ageless.remove(&id),
        }
        let next = self.limits(id).and_then(|(since, limits)| {
            let limits = limits.into_iter().flatten();
            limits.map(|limit| since + Millis::from(limit) * 1_000).min()
        });
        self.times.age(id, next);
    }

    fn judge_ages(&mut self, now: Now) {
        while let Some(&(date, id)) = self.times.ages.first()
            && date <= now.date
        {
            let Some((since, [alarm, stop])) = self.limits(id) else {
                self.times.age(id, None);
                continue;
            };
            let until = |limit: u32| since + Millis::from(limit) * 1_000;
            // Of the two limits one comes first; the other is looked at when its time has come.
            let next = [alarm, stop].into_iter().flatten().map(until).filter(|at| *at > date).min();
            self.times.age(id, next);
            if let Some(limit) = alarm.filter(|limit| until(*limit) == date) {
                self.tell_of_age(id, date, limit, AlertEvent::RunLate);
            }
            if let Some(limit) = stop.filter(|limit| until(*limit) == date) {
                self.tell_of_age(id, date, limit, AlertEvent::RunTimedOut);
                // It may have been stopped for that by a leader before us.
                let _ = self.stop(&[id], &Reason::RunTookTooLong { seconds: limit });
            }
        }
    }

    /// Told again, it is the same row: its key is made of the run and of the date.
    fn tell_of_age(&mut self, id: RunId, date: Millis, seconds: u32, event: AlertEvent) {
        let Some(run) = self.run(id) else { return };
        let name = self.name_of(run.interface);
        let body = format!("{name} {}: it has taken longer than {seconds} s", run.period);
        let alert = Alert {
            project: run.project,
            event,
            execution: Some(run.execution),
            run: Some(id),
            job: None,
            body,
            created: date,
        };
        self.alert(&id.to_string(), alert);
    }

    fn date_run(&mut self, now: Now, id: RunId) {
        let Some(run) = self.run(id) else { return };
        let until = self.wait_until(now, run.interface);
        if run.wait_until > until {
            let run = Run { wait_until: until, ..run.clone() };
            self.put(Key::Run(id), Row::Run(run));
        }
    }

    /// The next moment on the monotonic clock at which time changes something.
    pub(crate) fn wake(&self, now: Now) -> Option<Millis> {
        let tick = |date: Millis| now.tick.saturating_add((date - now.date).max(1));
        let retry = self.times.retries.first().map(|(date, _)| tick(*date));
        let agree = now.clocks_agree();
        let deadline = self.times.deadlines.first().filter(|_| agree);
        let deadline = deadline.map(|(date, _)| tick(*date));
        let age = self.times.ages.first().filter(|_| agree).map(|(date, _)| tick(*date));
        let firing = self.heap.next().map(tick);
        let firing = if agree { firing } else { firing.map(|_| now.tick + RECHECK_MS) };
        let undated = !self.times.undated.is_empty() || !self.times.ageless.is_empty();
        let undated = undated.then_some(now.tick + RECHECK_MS);
        let fill = self.fills.next(now.date).map(tick);
        let fill = if agree { fill } else { fill.map(|_| now.tick + RECHECK_MS) };
        let silence = self.next_silence().filter(|at| *at > now.tick);
        let sulk = self.queue.next_sulk();
        [retry, deadline, age, firing, fill, undated, silence, sulk].into_iter().flatten().min()
    }
}
