//! Why then: what led to a start and to an end, in order, and what was waited for last.
//!
//! When a wait was satisfied is kept nowhere: it is when what was waited for had succeeded, and that
//! is in its row.

use super::super::execution::word;
use super::super::job::told;
use super::super::rows::*;
use super::super::slice::SliceId;
use super::{Line, Link, Said, Story, Tone};
use shared::ids::*;
use std::collections::BTreeSet;

/// Runs of one execution in its time line.
const RUNS_MAX: usize = 30;
/// Jobs of a run, back from the last one.
const CHAIN_MAX: usize = 12;

impl<'a> Story<'a> {
    /// How an execution stands, and the way there.
    pub(super) fn execution(&mut self, id: ExecutionId) -> (Line, Vec<Line>) {
        let Some(row) = self.row_of(id) else {
            let what = format!("execution {id}");
            return (Line::new(Said::ExecutionPurged { what }), Vec::new());
        };
        let what = self.facts.what((row.interface, row.period));
        let (said, tone) = match row.state {
            RunState::Succeeded => (Said::Succeeded { what }, Tone::Good),
            RunState::Failed => (Said::Failed { what }, Tone::Bad),
            RunState::Stopped => (Said::Stopped { what }, Tone::Bad),
            RunState::Waiting => (Said::Waits { what }, Tone::Open),
            RunState::Ready => (Said::Begins { what }, Tone::Open),
            RunState::Running => (Said::Runs { what }, Tone::Open),
        };
        let mut because = Vec::new();
        for run in row.runs.clone() {
            let Some(found) = self.run(run) else { continue };
            let fine = found.is_success() && !found.stale;
            // What waits for a run of the same execution is told there, once.
            let inner =
                |target: &Target| matches!(target, Target::Run(of) if row.runs.contains(of));
            let follows = found.state == RunState::Waiting && found.waits.iter().all(inner);
            if !fine && !follows && because.len() < super::BESIDE_MAX && self.has_room() {
                let slice = (found.interface, found.period);
                self.path.push(slice);
                because.push(self.run_line(run, found));
                self.path.pop();
            }
        }
        let line = Line::new(said).tone(tone).at(row.ended.or(Some(row.created)));
        let line = line.link(Link::Execution { execution: id }).because(because);
        (line, self.then_execution(id, row))
    }

    /// Who or what made an execution, and how late.
    fn origin(&mut self, id: ExecutionId, row: &Execution) -> Vec<Line> {
        let mut lines = Vec::new();
        let link = Link::Execution { execution: id };
        if let Some((dispatch, instant)) = row.dispatch.filter(|_| row.origin == Origin::Cron) {
            let name = self.facts.dispatch(dispatch).map(|found| found.name.clone());
            let name = name.unwrap_or_else(|| format!("dispatch {dispatch}"));
            let of = Link::Instant { dispatch, instant_ms: instant };
            let said = Said::Instant { dispatch: name.clone() };
            lines.push(Line::new(said).at(instant).link(of.clone()));
            if let Some(firing) = self.firing(dispatch, instant) {
                let said = match firing.why.is_empty() {
                    true => Said::Fired { dispatch: name },
                    false => Said::FiredLate { dispatch: name, why: firing.why.clone() },
                };
                lines.push(Line::new(said).at(firing.decided).link(of));
            }
            return lines;
        }
        let who = row.by.and_then(|by| self.facts.users.get(&by).cloned());
        let said = match who {
            Some(who) => Said::StartedBy { who },
            None => Said::StartedByOrigin { state: origin_word(row.origin).to_owned() },
        };
        lines.push(Line::new(said).at(row.created).link(link));
        lines
    }

    fn then_execution(&mut self, id: ExecutionId, row: &Execution) -> Vec<Line> {
        let mut lines = self.origin(id, row);
        let what = self.facts.what((row.interface, row.period));
        let link = Link::Execution { execution: id };
        let said = Said::ExecutionMade { what: what.clone() };
        lines.push(Line::new(said).at(row.created).link(link.clone()));
        for run in row.runs.iter().take(RUNS_MAX) {
            let Some(found) = self.run(*run) else { continue };
            if found.execution != id {
                let what = self.facts.what((found.interface, found.period));
                let joined = Line::new(Said::RunJoined { what }).at(row.created);
                lines.push(joined.link(Link::Run { execution: found.execution, run: *run }));
                continue;
            }
            let (before, ended) = self.of_run(*run, found);
            lines.extend(before.into_iter().chain(ended));
        }
        if let Some(ended) = row.ended {
            let state = word(row.state).to_owned();
            lines.push(Line::new(Said::ExecutionEnded { what, state }).at(ended).link(link));
        }
        lines.sort_by_key(|line| line.at);
        lines
    }

    /// Of the newest run of an interface and a period.
    pub(super) fn then_slice(&mut self, slice: SliceId) -> Vec<Line> {
        let found = self.facts.catalog.interfaces.get(&slice.0);
        if !found.is_some_and(|found| self.facts.may_see(found.project)) {
            return Vec::new();
        }
        let Some((id, run)) = self.runs(slice).and_then(|runs| runs.last().copied()) else {
            return Vec::new();
        };
        let mut lines = match self.row_of(run.execution) {
            Some(row) => self.origin(run.execution, row),
            None => Vec::new(),
        };
        let (before, ended) = self.of_run(id, run);
        lines.extend(before);
        lines.extend(self.chain(id, run));
        lines.extend(ended);
        lines.sort_by_key(|line| line.at);
        // Of what was waited for until the first job began: the last.
        let began = run.started.unwrap_or(Millis::MAX);
        let starred = lines.iter().rposition(|line| line.last && line.at <= Some(began));
        for (at, line) in lines.iter_mut().enumerate() {
            line.last = Some(at) == starred;
        }
        lines
    }

    /// Made, what it waited for, begun; and its end.
    fn of_run(&mut self, id: RunId, run: &'a Run) -> (Vec<Line>, Option<Line>) {
        let what = self.facts.what((run.interface, run.period));
        let link = Link::Run { execution: run.execution, run: id };
        let made = Line::new(Said::RunMade { what: what.clone() }).at(run.created);
        let mut lines = vec![made.link(link.clone())];
        lines.extend(self.met(run));
        // Of a run that never began there is nothing that it waited for last.
        if let Some(started) = run.started {
            mark_last(&mut lines);
            let said = Said::Begun { what: what.clone() };
            lines.push(Line::new(said).at(started).link(link.clone()));
        }
        let ended = run.ended.map(|ended| {
            let state = word(run.state).to_owned();
            Line::new(Said::Ended { what, state }).at(ended).link(link)
        });
        (lines, ended)
    }

    /// What came to be there while it waited: which run, and when that had succeeded.
    fn met(&mut self, run: &Run) -> Vec<Line> {
        let siblings = self.row_of(run.execution).map(|row| row.runs.clone());
        let siblings: BTreeSet<RunId> = siblings.unwrap_or_default().into_iter().collect();
        let mut targets = self.parents(run);
        if let Some(definition) = self.definition(run)
            && definition.spec.self_dependence != shared::spec::SelfDependence::None
            && let Ok(cut) = self.facts.catalog.cut(&definition.spec)
        {
            targets.extend(cut.offset(run.period, -1).map(|period| (run.interface, period)));
        }
        let until = run.started.or(run.ended).unwrap_or(Millis::MAX);
        let mut lines = Vec::new();
        for slice in targets {
            let Some(runs) = self.runs(slice) else { continue };
            let good = |run: &&(RunId, &Run)| run.1.is_success();
            let own = runs.iter().filter(good).find(|(id, _)| siblings.contains(id));
            let first = runs.iter().filter(good).min_by_key(|(_, run)| run.ended);
            let Some((id, found)) = own.or(first) else { continue };
            let ended = found.ended.filter(|ended| (run.created..=until).contains(ended));
            if let Some(ended) = ended {
                let said = Said::WasThere { what: self.facts.what(slice) };
                let link = Link::Run { execution: found.execution, run: *id };
                lines.push(Line::new(said).at(ended).link(link));
            }
        }
        lines
    }

    /// Back from the job that ended last: each with the one before it that ended last.
    fn chain(&mut self, id: RunId, run: &'a Run) -> Vec<Line> {
        let ended = |job: &JobRun| job.ended.filter(|_| job.phase != Phase::Done(Verdict::Skipped));
        let mut next = self.jobs(id).into_iter().max_by_key(|(id, job)| (ended(job), *id));
        let mut jobs = Vec::new();
        while let Some((job, row)) = next.filter(|(_, row)| row.number > 0)
            && jobs.len() < CHAIN_MAX
        {
            jobs.push(self.tries_of(run, job, row));
            let before = self.before(run, job);
            next = before.into_iter().max_by_key(|(id, row)| (ended(row), *id));
        }
        jobs.into_iter().rev().flatten().collect()
    }

    /// Each attempt of a job, and its end.
    fn tries_of(&mut self, run: &'a Run, id: JobRunId, row: &JobRun) -> Vec<Line> {
        let job = self.job_name(run, id.job);
        let link = Link::Job { execution: run.execution, run: id.run, job: id.job };
        let mut lines = Vec::new();
        for (attempt, found) in self.tries(id) {
            let host = self.facts.host(found.place.host);
            let n = attempt.number.to_string();
            if !found.queued.is_empty() {
                let said = Said::JobHadNoPlace { job: job.clone(), why: found.queued.clone() };
                lines.push(Line { last: true, ..Line::new(said).at(found.assigned) });
            }
            let said = Said::JobAssigned { job: job.clone(), host: host.clone() };
            lines.push(Line::new(said).at(found.assigned).link(link.clone()));
            // The host's clock; nothing begins before it was assigned.
            let begun = found.started.map(|at| at.max(found.assigned));
            if let Some(at) = begun.filter(|_| row.number > 1) {
                lines.push(Line::new(Said::TryBegan { n: n.clone(), host }).at(at));
            }
            if let (Some(end), true) = (&found.end, row.number > 1) {
                let at = found.ended.or(begun).unwrap_or(found.assigned).max(found.assigned);
                lines.push(Line::new(Said::TryEnded { n, why: told(end).told() }).at(at));
            }
        }
        if let (Some(ended), Phase::Done(_)) = (row.ended, row.phase) {
            let said = Said::JobEnded { job, state: row.phase.word().to_owned() };
            lines.push(Line::new(said).at(ended).link(link));
        }
        lines
    }

    /// What a job needed and when that was there, where it went, how it ended.
    pub(super) fn then_job(&mut self, id: JobRunId) -> Vec<Line> {
        let Some(run) = self.run(id.run) else { return Vec::new() };
        let Some(row) = self.job(id) else { return Vec::new() };
        let mut lines = match self.row_of(run.execution) {
            Some(execution) => self.origin(run.execution, execution),
            None => Vec::new(),
        };
        let what = self.facts.what((run.interface, run.period));
        let link = Link::Run { execution: run.execution, run: id.run };
        let mut needed = vec![Line::new(Said::RunMade { what }).at(run.created).link(link)];
        needed.extend(self.met(run));
        for (before, of) in self.before(run, id) {
            let Phase::Done(_) = of.phase else { continue };
            let job = self.job_name(run, before.job);
            let said = Said::JobBefore { job, state: of.phase.word().to_owned() };
            let link = Link::Job { execution: run.execution, run: id.run, job: before.job };
            needed.push(Line::new(said).at(of.ended).link(link));
        }
        needed.extend(self.needs_met(run, id));
        let job = self.job_name(run, id.job);
        if let Some(ready) = row.ready {
            mark_last(&mut needed);
            needed.push(Line::new(Said::JobReady { job }).at(ready));
        }
        let tried = self.tries_of(run, id, row);
        // A place that was missing is what it waited for last.
        if tried.iter().any(|line| line.last) {
            needed.iter_mut().for_each(|line| line.last = false);
        }
        lines.extend(needed);
        lines.extend(tried);
        lines.sort_by_key(|line| line.at);
        lines
    }

    /// Jobs of other interfaces that it needs, where they succeeded after its run was made.
    fn needs_met(&mut self, run: &Run, id: JobRunId) -> Vec<Line> {
        let Some(definition) = self.definition(run).cloned() else { return Vec::new() };
        let needs = definition.jobs.iter().find(|job| job.id == id.job).map(|job| &job.spec.needs);
        let mut lines = Vec::new();
        for need in needs.into_iter().flatten() {
            for of in self.mapped((&definition, run.period), need.interface, need.map) {
                let slice = (need.interface, of);
                for (other, row) in self.runs(slice).unwrap_or_default() {
                    let found = self.job(JobRunId { run: other, job: need.job });
                    let good = found.filter(|job| job.phase == Phase::Done(Verdict::Succeeded));
                    let ended = good.and_then(|job| job.ended).filter(|at| *at >= run.created);
                    let Some(ended) = ended else { continue };
                    let name = self.job_name(row, need.job);
                    let what = format!("{} {name}", self.facts.what(slice));
                    let link = Link::Job { execution: row.execution, run: other, job: need.job };
                    lines.push(Line::new(Said::WasThere { what }).at(ended).link(link));
                    break;
                }
            }
        }
        lines
    }
}

/// A key of the catalogue of languages.
fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Cron => "cron",
        Origin::Hand => "hand",
        Origin::Api => "api",
        Origin::File => "file",
        Origin::Backfill => "backfill",
    }
}

fn mark_last(lines: &mut [Line]) {
    if let Some(line) = lines.iter_mut().max_by_key(|line| line.at) {
        line.last = true;
    }
}
