//! One job of a run: what it does, what it waits for, how it ended.

use super::super::job::told;
use super::super::rows::*;
use super::{BESIDE_MAX, Line, Link, Said, Story, Tone, few};
use shared::ids::*;

impl<'a> Story<'a> {
    /// Asked about by itself.
    pub(super) fn job_alone(&mut self, id: JobRunId) -> Line {
        let Some(run) = self.run(id.run) else {
            let what = format!("run {}", id.run);
            return Line::new(Said::NoRun { what }).tone(Tone::Bad);
        };
        let Some(job) = self.job(id) else {
            return Line::new(Said::JobsPurged {}).at(run.ended);
        };
        self.job_line(run, id, job)
    }

    pub(super) fn job_line(&mut self, run: &'a Run, id: JobRunId, row: &JobRun) -> Line {
        let job = self.job_name(run, id.job);
        let why = row.reason.clone();
        let host = |place: Place| self.facts.host(place.host);
        let line = match row.phase {
            Phase::Waiting if row.number > 0 && row.not_before > self.facts.now => {
                let line = Line::new(Said::JobAgain { job, why }).tone(Tone::Open);
                line.at(row.ready).until(row.not_before)
            }
            Phase::Waiting => {
                let because = self.job_waits(run, id, row);
                Line::new(Said::JobWaits { job }).tone(Tone::Open).at(run.created).because(because)
            }
            Phase::Queued => {
                let line = Line::new(Said::JobQueued { job, why }).tone(Tone::Open);
                line.at(row.ready).cure(Said::ByPlace {})
            }
            Phase::Assigned(place) => {
                let said = Said::JobPromised { job, host: host(place) };
                Line::new(said).tone(Tone::Open).at(row.ready)
            }
            Phase::Running(place) => {
                let said = Said::JobRuns { job, host: host(place) };
                Line::new(said).tone(Tone::Open).at(row.started)
            }
            Phase::Stopping(place) => {
                let said = Said::JobStopping { job, host: host(place) };
                Line::new(said).tone(Tone::Open).at(row.started)
            }
            Phase::Unknown => {
                let line = Line::new(Said::JobHeld { job }).tone(Tone::Bad);
                line.at(row.started).cure(Said::ByVerdict {})
            }
            Phase::Done(Verdict::Succeeded) => {
                Line::new(Said::JobSucceeded { job }).tone(Tone::Good).at(row.ended)
            }
            Phase::Done(verdict) => {
                let state = row.phase.word().to_owned();
                let said = match why.is_empty() {
                    true => Said::JobEnded { job, state },
                    false => Said::JobEndedSo { job, state, why },
                };
                let because = match verdict {
                    Verdict::Skipped => self.skipped(run, id),
                    _ => self.tried(id, row),
                };
                let tone = match verdict {
                    Verdict::LeftOut => Tone::Plain,
                    _ => Tone::Bad,
                };
                Line::new(said).tone(tone).at(row.ended).because(because)
            }
        };
        line.link(Link::Job { execution: run.execution, run: id.run, job: id.job })
    }

    /// Every attempt, where there were several.
    fn tried(&mut self, id: JobRunId, row: &JobRun) -> Vec<Line> {
        if row.number < 2 {
            return Vec::new();
        }
        let tries = self.tries(id);
        let line = |(id, attempt): (AttemptId, &Attempt)| {
            let why = told(attempt.end.as_ref()?).told();
            let said = Said::TryEnded { n: id.number.to_string(), why };
            Some(Line::new(said).at(attempt.ended.or(Some(attempt.assigned))))
        };
        few(tries.into_iter().filter_map(line).collect())
    }

    /// What came before it and did not end as it needed.
    fn skipped(&mut self, run: &'a Run, id: JobRunId) -> Vec<Line> {
        let mut lines = Vec::new();
        for (id, row) in self.before(run, id) {
            let good = matches!(row.phase, Phase::Done(Verdict::Succeeded | Verdict::LeftOut));
            let bad = matches!(row.phase, Phase::Done(_)) && !good;
            if bad && lines.len() < BESIDE_MAX && self.has_room() {
                lines.push(self.job_line(run, id, row));
            }
        }
        lines
    }

    /// What it comes after, in its run.
    pub(super) fn before(&mut self, run: &Run, id: JobRunId) -> Vec<(JobRunId, &'a JobRun)> {
        let edges = self.job_of(run, id.job).map(|job| job.spec.after.as_slice());
        let edges: Vec<JobId> = edges.into_iter().flatten().map(|edge| edge.job).collect();
        let row = |job: JobId| {
            let id = JobRunId { run: id.run, job };
            Some((id, self.job(id)?))
        };
        edges.into_iter().filter_map(row).collect()
    }

    /// Whether something of its own run holds it up.
    pub(super) fn comes_after(&mut self, run: &Run, id: JobRunId) -> bool {
        let before = self.before(run, id);
        before.iter().any(|(_, row)| !matches!(row.phase, Phase::Done(_)))
    }

    fn job_waits(&mut self, run: &'a Run, id: JobRunId, row: &JobRun) -> Vec<Line> {
        let mut lines = Vec::new();
        if run.state == RunState::Waiting {
            let because = self.waiting(run);
            let what = self.facts.what((run.interface, run.period));
            let line = Line::new(Said::RunWaitsFirst { what }).tone(Tone::Open).at(run.created);
            lines.push(line.because(because));
        }
        let job = self.job_name(run, id.job);
        if self.job_of(run, id.job).is_some_and(|job| job.spec.frozen) {
            let said = Said::JobFrozen { job: job.clone() };
            lines.push(Line::new(said).tone(Tone::Bad).cure(Said::ByThaw {}));
        }
        if run.paused {
            lines.push(Line::new(Said::RunPaused {}).tone(Tone::Bad).cure(Said::ByUnpause {}));
        }
        for target in row.waits.iter().take(BESIDE_MAX) {
            let (what, cure, inner) = self.target(*target);
            let said = Said::JobNeeds { job: job.clone(), what };
            let line = Line::new(said).tone(Tone::Open).at(run.created).until(run.wait_until);
            lines.push(line.cure(cure).because(vec![inner]));
        }
        for (before, row) in self.before(run, id) {
            if matches!(row.phase, Phase::Done(_)) || lines.len() > BESIDE_MAX || !self.has_room() {
                continue;
            }
            let inner = self.job_line(run, before, row);
            let said = Said::JobAfter { job: job.clone(), before: self.job_name(run, before.job) };
            lines.push(Line::new(said).tone(Tone::Open).because(vec![inner]));
        }
        few(lines)
    }
}
