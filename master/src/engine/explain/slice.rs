//! An interface and a period: whether it is there, what it waits for, why it failed, what would start it.

use super::super::catalog::{Dispatch, Interface};
use super::super::rows::*;
use super::super::slice::SliceId;
use super::super::wait::slice_of;
use super::{BESIDE_MAX, Line, Link, Said, Story, Tone, few};
use shared::ids::*;
use shared::spec::PeriodMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Interfaces that are looked at in search of what would start one.
const ANCESTORS_MAX: usize = 1_000;
/// Periods of a finer root that are looked at.
const ROOTS_MAX: usize = 3;

impl<'a> Story<'a> {
    /// Is it there, and if not, why not.
    pub(super) fn slice(&mut self, slice: SliceId) -> Line {
        let what = self.facts.what(slice);
        if self.path.contains(&slice) {
            return Line::new(Said::Cycle { what }).tone(Tone::Bad);
        }
        if !self.has_room() {
            return Line::new(Said::More {});
        }
        let (interface, period) = slice;
        let link = Link::Period { interface, period };
        let facts = self.facts;
        let Some(found) = facts.catalog.interfaces.get(&interface) else {
            return Line::new(Said::InterfaceGone { what }).tone(Tone::Bad);
        };
        if !facts.may_see(found.project) {
            return Line::new(Said::OtherProject { what });
        }
        let cut = facts.catalog.cut(&found.spec);
        if !cut.is_ok_and(|cut| cut.accepts(period)) {
            let (interface, period) = (found.name.clone(), period.to_string());
            return Line::new(Said::NoPeriod { interface, period }).tone(Tone::Bad);
        }
        let Some(runs) = self.runs(slice) else { return Line::new(Said::More {}) };
        self.path.push(slice);
        let line = match runs.last() {
            None => self.never(slice).link(link),
            Some(&(id, run)) => {
                let mut line = self.run_line(id, run);
                // An older generation counts for those who wait for any success.
                let older = runs.iter().rev().find(|(_, run)| run.is_success());
                if let Some((_, older)) = older.filter(|(other, _)| *other != id) {
                    let there = Line::new(Said::IsThere { what }).tone(Tone::Good);
                    line.because.push(there.at(older.ended));
                }
                line
            }
        };
        self.path.pop();
        line
    }

    /// One run as it is now, and why.
    pub(super) fn run_line(&mut self, id: RunId, run: &'a Run) -> Line {
        let what = self.facts.what((run.interface, run.period));
        let line = match run.state {
            RunState::Succeeded if run.stale => {
                let because = self.fed_by(run);
                let line = Line::new(Said::IsStale { what }).tone(Tone::Bad).at(run.ended);
                line.cure(Said::ByRerun {}).because(because)
            }
            RunState::Succeeded if run.partial => {
                let line = Line::new(Said::IsPartial { what }).tone(Tone::Bad).at(run.ended);
                line.cure(Said::ByRun {})
            }
            RunState::Succeeded => Line::new(Said::IsThere { what }).tone(Tone::Good).at(run.ended),
            RunState::Waiting => {
                let because = self.waiting(run);
                Line::new(Said::Waits { what }).tone(Tone::Open).at(run.created).because(because)
            }
            RunState::Ready => {
                let because = self.at_work(id, run);
                Line::new(Said::Begins { what }).tone(Tone::Open).at(run.created).because(because)
            }
            RunState::Running => {
                let because = self.at_work(id, run);
                Line::new(Said::Runs { what }).tone(Tone::Open).at(run.started).because(because)
            }
            RunState::Failed => {
                let because = self.failed(id, run);
                let line = Line::new(Said::Failed { what }).tone(Tone::Bad).at(run.ended);
                line.cure(Said::ByResume {}).because(because)
            }
            RunState::Stopped => {
                let because = self.stopped(id, run);
                let line = Line::new(Said::Stopped { what }).tone(Tone::Bad).at(run.ended);
                line.cure(Said::ByResume {}).because(because)
            }
        };
        line.link(Link::Run { execution: run.execution, run: id })
    }

    pub(super) fn waiting(&mut self, run: &Run) -> Vec<Line> {
        let mut lines = Vec::new();
        if run.paused {
            lines.push(Line::new(Said::RunPaused {}).tone(Tone::Bad).cure(Said::ByUnpause {}));
        }
        for target in run.waits.iter().take(BESIDE_MAX + 1) {
            let (what, cure, inner) = self.target(*target);
            let line = Line::new(Said::WaitsFor { what }).tone(Tone::Open).at(run.created);
            lines.push(line.until(run.wait_until).cure(cure).because(vec![inner]));
        }
        few(lines)
    }

    /// What is waited for: its name, what would satisfy the wait, and how it stands.
    pub(super) fn target(&mut self, target: Target) -> (String, Said, Line) {
        let slice = match (slice_of(target), target) {
            (Some(slice), _) => Some(slice),
            (None, Target::Run(id)) => self.run(id).map(|run| (run.interface, run.period)),
            (None, _) => None,
        };
        let Some(slice) = slice else {
            let Target::Run(id) = target else {
                return (String::new(), Said::BySuccess {}, Line::new(Said::More {}));
            };
            let what = format!("run {id}");
            return (
                what.clone(),
                Said::ByThisRun {},
                Line::new(Said::NoRun { what }).tone(Tone::Bad),
            );
        };
        let what = self.facts.what(slice);
        let cure = match target {
            Target::Run(_) => Said::ByThisRun {},
            Target::Success(..) => Said::BySuccess {},
            Target::Idle(..) => Said::ByIdle {},
            Target::SuccessOrNone(..) => Said::BySuccessOrNone {},
            Target::Job(_, _, job) => {
                let inner = self.needed_job(slice, job);
                let name = self.needed_name(slice.0, job);
                return (format!("{} {name}", what), Said::ByJob {}, inner);
            }
        };
        (what, cure, self.slice(slice))
    }

    fn needed_name(&self, interface: InterfaceId, job: JobId) -> String {
        let found = self.facts.catalog.interfaces.get(&interface);
        let found = found.and_then(|it| it.jobs.iter().find(|other| other.id == job));
        found.map_or_else(|| format!("job {job}"), |job| job.name.clone())
    }

    /// The job in the newest run; without one, the whole.
    fn needed_job(&mut self, slice: SliceId, job: JobId) -> Line {
        let newest = self.runs(slice).and_then(|runs| runs.last().copied());
        let found = newest.and_then(|(run, row)| {
            let id = JobRunId { run, job };
            Some((id, row, self.job(id)?))
        });
        match found {
            Some((id, run, job)) if run.state != RunState::Waiting && self.has_room() => {
                self.job_line(run, id, job)
            }
            _ => self.slice(slice),
        }
    }

    /// What its jobs are doing: those that nothing of the same run holds up.
    fn at_work(&mut self, id: RunId, run: &'a Run) -> Vec<Line> {
        let mut lines = Vec::new();
        if run.paused {
            lines.push(Line::new(Said::RunPaused {}).tone(Tone::Bad).cure(Said::ByUnpause {}));
        }
        if let Some(found) = self.facts.catalog.interfaces.get(&run.interface)
            && found.spec.frozen
        {
            let said = Said::IsFrozen { interface: found.name.clone() };
            lines.push(Line::new(said).tone(Tone::Bad).cure(Said::ByThaw {}));
        }
        let held = !lines.is_empty();
        let mut jobs: Vec<_> = self.jobs(id);
        jobs.retain(|(_, job)| !matches!(job.phase, Phase::Done(_)));
        // The worst first: what a person must decide, what has no place, what runs, what waits.
        jobs.sort_by_key(|(_, job)| match job.phase {
            Phase::Unknown => 0,
            Phase::Queued => 1,
            Phase::Stopping(_) | Phase::Assigned(_) | Phase::Running(_) => 2,
            Phase::Waiting | Phase::Done(_) => 3,
        });
        for (id, job) in jobs {
            let waits = job.phase == Phase::Waiting;
            let held_up = waits && (held || self.comes_after(run, id));
            if !held_up && lines.len() <= BESIDE_MAX && self.has_room() {
                lines.push(self.job_line(run, id, job));
            }
        }
        few(lines)
    }

    /// Why it failed: the jobs with which it began, or what it waited for in vain.
    fn failed(&mut self, id: RunId, run: &'a Run) -> Vec<Line> {
        let mut lines = Vec::new();
        for target in run.waits.iter().take(BESIDE_MAX) {
            let (what, _, inner) = self.target(*target);
            let line = Line::new(Said::GaveUp { what }).tone(Tone::Bad).at(run.ended);
            lines.push(line.because(vec![inner]));
        }
        let jobs = self.jobs(id);
        if jobs.is_empty() && lines.is_empty() {
            return vec![Line::new(Said::JobsPurged {}).at(run.ended)];
        }
        let failed =
            |job: &JobRun| matches!(job.phase, Phase::Done(Verdict::Failed | Verdict::TimedOut));
        let all: BTreeSet<JobId> =
            jobs.iter().filter(|(_, job)| failed(job)).map(|(id, _)| id.job).collect();
        let mut roots: Vec<_> = jobs.into_iter().filter(|(_, job)| failed(job)).collect();
        roots.retain(|(id, _)| {
            let before = self.job_of(run, id.job).map(|job| job.spec.after.clone());
            !before.unwrap_or_default().iter().any(|edge| all.contains(&edge.job))
        });
        roots.sort_by_key(|(id, job)| (job.ended, *id));
        for (id, job) in roots.into_iter().take(BESIDE_MAX + 1) {
            lines.push(self.job_line(run, id, job));
        }
        few(lines)
    }

    fn stopped(&mut self, id: RunId, run: &'a Run) -> Vec<Line> {
        let mut seen = BTreeSet::new();
        let mut lines = Vec::new();
        for (id, job) in self.jobs(id) {
            // One of each reason: a stop concerns all of them.
            let stopped = job.phase == Phase::Done(Verdict::Stopped);
            if stopped && seen.insert(job.reason.clone()) && lines.len() <= BESIDE_MAX {
                lines.push(self.job_line(run, id, job));
            }
        }
        few(lines)
    }

    /// By the definition of the run: which interfaces and periods fed it.
    pub(super) fn parents(&mut self, run: &Run) -> Vec<SliceId> {
        let Some(definition) = self.definition(run).cloned() else { return Vec::new() };
        let mut found = BTreeSet::new();
        for parent in &definition.spec.parents {
            let periods = self.mapped((&definition, run.period), parent.interface, parent.map);
            found.extend(periods.into_iter().map(|period| (parent.interface, period)));
        }
        found.into_iter().collect()
    }

    /// What has been made anew since a run began.
    pub(super) fn fed_by(&mut self, run: &Run) -> Vec<Line> {
        let since = run.started.unwrap_or(run.created);
        let mut lines = Vec::new();
        for slice in self.parents(run) {
            let Some(runs) = self.runs(slice) else { continue };
            let good = runs.iter().rev().find(|(_, run)| run.is_success());
            let Some(&(id, fed)) = good else { continue };
            let what = self.facts.what(slice);
            let link = Link::Run { execution: fed.execution, run: id };
            if fed.generation > 0 && fed.ended.is_some_and(|ended| ended > since) {
                let generation = fed.generation.to_string();
                let said = Said::NewerSince { what, generation };
                lines.push(Line::new(said).tone(Tone::Bad).at(fed.ended).link(link));
            } else if fed.stale && lines.len() <= BESIDE_MAX {
                let inner = self.slice(slice);
                let line = Line::new(Said::StaleItself { what }).tone(Tone::Bad).link(link);
                lines.push(line.because(vec![inner]));
            }
        }
        few(lines)
    }

    /// Nothing has made a run of it: what would have, or will.
    fn never(&mut self, slice: SliceId) -> Line {
        let what = self.facts.what(slice);
        let line = Line::new(Said::NeverStarted { what }).tone(Tone::Bad).cure(Said::ByRun {});
        let mut lines = Vec::new();
        let starters = self.starters(slice.0);
        if starters.is_empty() {
            let interface = self.facts.name(slice.0);
            lines.push(Line::new(Said::NoDispatch { interface }).tone(Tone::Bad));
        }
        for dispatch in starters.into_iter().take(BESIDE_MAX + 1) {
            lines.extend(self.would_start(&dispatch, slice));
        }
        line.because(few(lines))
    }

    /// Dispatches of the interface, or of one that it follows from and that fire with all that follows.
    fn starters(&self, id: InterfaceId) -> Vec<Arc<Dispatch>> {
        let interfaces = &self.facts.catalog.interfaces;
        let mut above = BTreeSet::from([id]);
        let mut next = vec![id];
        while let Some(of) = next.pop() {
            let parents = interfaces.get(&of).into_iter().flat_map(|it| &it.spec.parents);
            for parent in parents {
                if above.len() < ANCESTORS_MAX && above.insert(parent.interface) {
                    next.push(parent.interface);
                }
            }
        }
        let starts = |dispatch: &&Arc<Dispatch>| {
            let root = dispatch.spec.interface;
            root == id || dispatch.spec.cascade && above.contains(&root)
        };
        let all = self.facts.catalog.dispatches.values().filter(starts);
        all.filter(|dispatch| self.facts.may_see(dispatch.project)).cloned().collect()
    }

    fn would_start(&mut self, dispatch: &Dispatch, (id, period): SliceId) -> Vec<Line> {
        let root = dispatch.spec.interface;
        let own: Option<Arc<Interface>> = self.facts.catalog.interfaces.get(&id).cloned();
        let mut periods = match own {
            Some(own) if root != id => self.mapped((&own, period), root, PeriodMap::Same),
            _ => vec![period],
        };
        periods.truncate(ROOTS_MAX);
        let mut lines = BTreeMap::new();
        for of in periods {
            match self.instants_for(dispatch, of) {
                Ok(all) => {
                    // The one that is asked about has been told already.
                    let asked = |at: &Millis| self.asked != Some((dispatch.id, *at));
                    for at in all.into_iter().filter(asked).collect::<Vec<_>>() {
                        lines.insert(at, self.decision(dispatch.id, at));
                    }
                }
                Err(why) => _ = lines.insert(0, *why),
            }
        }
        lines.into_values().collect()
    }
}
