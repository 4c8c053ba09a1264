//! Waiting: for runs, periods and jobs outside of the own run. The only way anything waits.
//!
//! A wait is registered first, in the row of the waiter; then what is known of its target is looked
//! at, loaded if need be. So nothing that happens in between is missed.

use super::reason::Reason;
use super::rows::*;
use super::world::{Ask, Step, World};
use shared::ids::*;
use shared::period::Period;
use shared::sabotage::Sabotage;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiter {
    Run(RunId),
    Job(JobRunId),
}

/// What is known of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Yes,
    /// Not yet.
    No,
    /// Exactly this run has ended badly.
    Never,
    Unknown,
}

/// The slice that a target is in; none for an exact run.
pub(crate) fn slice_of(target: Target) -> Option<(InterfaceId, Period)> {
    match target {
        Target::Run(_) => None,
        Target::Success(interface, period)
        | Target::Idle(interface, period)
        | Target::Job(interface, period, _)
        | Target::SuccessOrNone(interface, period) => Some((interface, period)),
    }
}

impl World {
    pub(crate) fn index_waits(
        &mut self,
        waiter: Waiter,
        old: Option<&BTreeSet<Target>>,
        new: Option<&BTreeSet<Target>>,
    ) {
        let nothing = BTreeSet::new();
        let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
        if old == new {
            return;
        }
        for target in old.difference(new) {
            if let Some(set) = self.waiters.get_mut(target) {
                set.remove(&waiter);
                if set.is_empty() {
                    self.waiters.remove(target);
                }
            }
            if let Some(slice) = slice_of(*target) {
                self.slices.wait(slice, -1, self.step);
            }
        }
        for target in new.difference(old) {
            self.waiters.entry(*target).or_default().insert(waiter);
            if let Some(slice) = slice_of(*target) {
                self.slices.wait(slice, 1, self.step);
            }
        }
    }

    pub(crate) fn met(&self, target: Target) -> Met {
        let Some(slice) = slice_of(target) else {
            let Target::Run(run) = target else { return Met::Unknown };
            return match self.run(run).map(|run| run.state) {
                Some(RunState::Succeeded) => Met::Yes,
                Some(RunState::Failed | RunState::Stopped) => Met::Never,
                Some(_) => Met::No,
                None if self.slices.told.contains(&Ask::Run(run)) => Met::Never,
                None => Met::Unknown,
            };
        };
        let runs = || self.slices.runs(slice).filter_map(|id| Some((id, self.run(id)?)));
        let success = || runs().any(|(_, run)| run.is_success());
        let met = match target {
            Target::Idle(..) => return if self.slices.is_live(slice) { Met::No } else { Met::Yes },
            Target::Success(..) => success(),
            Target::SuccessOrNone(..) => {
                success() || self.slices.is_known(slice) && runs().next().is_none()
            }
            Target::Job(_, _, job) => {
                runs().any(|(run, row)| self.has_succeeded(JobRunId { run, job }, row))
            }
            Target::Run(_) => false,
        };
        match met {
            true => Met::Yes,
            false if self.slices.is_known(slice) => Met::No,
            false => Met::Unknown,
        }
    }

    /// The jobs of an old run are purged; the run is not.
    pub(crate) fn has_succeeded(&self, id: JobRunId, run: &Run) -> bool {
        match self.job(id) {
            Some(job) => job.phase == Phase::Done(Verdict::Succeeded),
            None => run.is_success(),
        }
    }

    /// The targets of a new waiter that are not met, as far as is known; the rest is asked for.
    pub(crate) fn unmet(&mut self, targets: BTreeSet<Target>) -> BTreeSet<Target> {
        let mut unmet = BTreeSet::new();
        for target in targets {
            match self.met(target) {
                Met::Yes => continue,
                Met::No => {}
                Met::Never => self.agenda.push_back(Step::Tell(target)),
                Met::Unknown => self.ask(target),
            }
            unmet.insert(target);
        }
        unmet
    }

    fn ask(&mut self, target: Target) {
        self.due.load.insert(match (target, slice_of(target)) {
            (_, Some((interface, period))) => Ask::Slice(interface, period),
            (Target::Run(run), None) => Ask::Run(run),
            (_, None) => return,
        });
    }

    /// Something happened to a target: by the reverse index, to those who wait for it.
    pub(crate) fn tell(&mut self, target: Target) {
        let Some(waiters) = self.waiters.get(&target).cloned() else { return };
        let met = self.met(target);
        let unseen = self.has(Sabotage::FactsBeforeWaits)
            && slice_of(target).is_some_and(|slice| !self.slices.is_known(slice));
        match met {
            Met::Unknown => return self.ask(target),
            Met::No => return self.settle_waiters(&waiters),
            Met::Yes if unseen => return self.ask(target),
            Met::Yes | Met::Never => {}
        }
        for waiter in waiters {
            match waiter {
                Waiter::Run(id) if met == Met::Never => self.doom(id, target),
                Waiter::Run(id) => {
                    let Some(mut run) = self.run(id).cloned() else { continue };
                    run.waits.remove(&target);
                    if run.waits.is_empty() && run.state == RunState::Waiting {
                        run.state = RunState::Ready;
                    }
                    self.put(Key::Run(id), Row::Run(run));
                    self.agenda.push_back(Step::Settle(id));
                }
                Waiter::Job(id) if met == Met::Yes => {
                    let Some(mut job) = self.job(id).cloned() else { continue };
                    job.waits.remove(&target);
                    self.put(Key::JobRun(id), Row::JobRun(job));
                }
                Waiter::Job(_) => {}
            }
        }
    }

    /// It is known now that they wait in vain, or go on waiting: a run in which nothing else is open
    /// was held up by that.
    fn settle_waiters(&mut self, waiters: &BTreeSet<Waiter>) {
        for waiter in waiters {
            if let Waiter::Run(id) = waiter
                && self.lives.get(id).is_some_and(|live| live.open == 0)
            {
                self.agenda.push_back(Step::Settle(*id));
            }
        }
    }

    /// An exact run that this one waits for has ended badly: it will never begin.
    fn doom(&mut self, id: RunId, target: Target) {
        let why = match target {
            Target::Run(run) => match self.run(run) {
                Some(run) => {
                    let name = format!("{} {}", self.name_of(run.interface), run.period);
                    let stopped = run.state == RunState::Stopped;
                    let verdict = if stopped { Verdict::Stopped } else { Verdict::Failed };
                    Reason::ended(name, verdict)
                }
                None => Reason::RunGone { run },
            },
            _ => return,
        };
        self.skip_rest(id, &why);
        self.agenda.push_back(Step::Settle(id));
    }

    /// Whether of everything that holds this run up it is known whether it is there. A new leader asks
    /// for it when it loads the waits; until the answer nobody gives up what may long be met.
    pub(crate) fn knows_waits_of(&self, id: RunId) -> bool {
        let Some(run) = self.run(id) else { return true };
        let known = |target: &Target| self.met(*target) != Met::Unknown;
        let waiting = || self.table.jobs_of(id).filter(|(_, job)| job.phase == Phase::Waiting);
        let jobs = || waiting().flat_map(|(_, job)| &job.waits);
        run.waits.iter().all(known) && (!run.waits.is_empty() || jobs().all(known))
    }

    /// The time-out of a run's waits: all of it if it waits itself, else the jobs of it that do.
    pub(crate) fn give_up_waiting(&mut self, id: RunId) {
        let Some(run) = self.run(id) else { return };
        if let Some(target) = run.waits.first() {
            let why = Reason::GaveUp { what: Box::new(self.describe(*target)) };
            self.skip_rest(id, &why);
            self.agenda.push_back(Step::Settle(id));
            return;
        }
        let waiting: Vec<JobRunId> = self
            .table
            .jobs_of(id)
            .filter(|(_, job)| job.phase == Phase::Waiting && !job.waits.is_empty())
            .map(|(id, _)| id)
            .collect();
        for job in waiting {
            let Some(row) = self.job(job) else { continue };
            let Some(target) = row.waits.first().copied() else { continue };
            let why = Reason::GaveUp { what: Box::new(self.describe(target)) };
            self.finish(job, Verdict::TimedOut, Some(why));
        }
    }

    /// For people.
    pub(crate) fn describe(&self, target: Target) -> Reason {
        match target {
            Target::Run(run) => match self.run(run) {
                Some(row) => {
                    let interface = self.name_of(row.interface);
                    Reason::OfPeriod { interface, period: row.period }
                }
                None => Reason::OfRun { run },
            },
            Target::Success(interface, period)
            | Target::Idle(interface, period)
            | Target::SuccessOrNone(interface, period) => {
                Reason::OfPeriod { interface: self.name_of(interface), period }
            }
            Target::Job(interface, period, job) => {
                let found = self.catalog.interfaces.get(&interface);
                let found = found.and_then(|found| found.jobs.iter().find(|found| found.id == job));
                let job = found.map_or_else(|| job.to_string(), |job| job.name.clone());
                Reason::OfJob { job, interface: self.name_of(interface), period }
            }
        }
    }
}
