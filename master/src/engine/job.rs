//! The life of a job run: attempts, how they end, retries.

use super::reason::Reason;
use super::rows::*;
use super::run::is_waiting;
use super::time::delay_ms;
use super::world::World;
use shared::ids::*;
use shared::kind::{self, Kind, Locus};
use shared::sabotage::Sabotage;
use shared::spec::OnUnknown;
use shared::wire::{Exit, Refusal};

/// Attempts of one job run whose work lives elsewhere, with those that only looked on.
const OBSERVERS_MAX: u32 = 100;
/// Earlier ones that an attempt is told of: all of those, and what people have asked for beside.
const ADOPT_MAX: usize = 150;

impl World {
    /// Promises the job to this host.
    pub(crate) fn assign(&mut self, id: JobRunId, place: Place) {
        let Some(mut job) = self.job(id).cloned() else { return };
        let date = self.date();
        // What an earlier attempt died of is no reason for having waited.
        let queued = match job.phase {
            Phase::Queued => std::mem::take(&mut job.reason),
            _ => String::new(),
        };
        job.number += 1;
        job.reign = if self.has(Sabotage::AttemptByNumber) { 0 } else { self.reign };
        job.phase = Phase::Assigned(place);
        job.reason = String::new();
        job.ready = job.ready.or(Some(date));
        let attempt = Attempt {
            project: job.project,
            place,
            end: None,
            mark: Mark::Plain,
            queued,
            assigned: date,
            started: None,
            ended: None,
            out_bytes: 0,
            err_bytes: 0,
            rss_max_kib: None,
            cpu_ms: None,
        };
        self.put(Key::Attempt(job.attempt(id)), Row::Attempt(attempt));
        self.put(Key::JobRun(id), Row::JobRun(job));
        self.begin(id.run);
    }

    /// The run has begun.
    pub(crate) fn begin(&mut self, id: RunId) {
        let Some(run) = self.run(id).filter(|run| run.state.is_live()) else { return };
        if run.state != RunState::Running {
            let started = run.started.or(Some(self.date()));
            let age_from = self.trusted_date();
            let run = Run { state: RunState::Running, started, age_from, ..run.clone() };
            self.put(Key::Run(id), Row::Run(run));
        }
    }

    /// The orphan that concerns this job: a live one before one that has ended, then the newest.
    pub(crate) fn orphan(&self, id: JobRunId) -> Option<(AttemptId, Attempt)> {
        if self.orphans.is_empty() || self.has(Sabotage::NoAdoption) {
            return None;
        }
        let all = |number, reign| AttemptId { run: id.run, job: id.job, number, reign };
        let orphans = self.orphans.range(all(0, i64::MIN)..=all(u32::MAX, i64::MAX));
        let rows = orphans.filter_map(|orphan| Some((*orphan, self.table.attempts.get(orphan)?)));
        rows.max_by_key(|(attempt, row)| (row.end.is_none(), attempt.number))
            .map(|(attempt, row)| (attempt, row.clone()))
    }

    /// Instead of placing: a host already has an attempt whose commit was lost.
    pub(crate) fn adopt(&mut self, id: JobRunId) {
        let Some((attempt, mut row)) = self.orphan(id).filter(|_| self.is_ready(id)) else {
            return;
        };
        let Some(mut job) = self.job(id).cloned() else { return };
        if attempt.number <= job.number {
            return;
        }
        job.number = attempt.number;
        job.reign = attempt.reign;
        job.allowed = job.allowed.max(job.number);
        job.phase = Phase::Running(row.place);
        job.reason = String::new();
        job.started = job.started.or(Some(self.date()));
        row.mark = Mark::Plain;
        row.project = job.project;
        let end = row.end.clone();
        self.put(Key::Attempt(attempt), Row::Attempt(row));
        self.put(Key::JobRun(id), Row::JobRun(job));
        self.begin(id.run);
        if let Some(end) = end {
            self.end_attempt(id, end);
        }
    }

    /// The attempt that the job has now has ended, or is given up.
    pub(crate) fn end_attempt(&mut self, id: JobRunId, end: End) {
        let Some(mut job) = self.job(id).cloned() else { return };
        let attempt = job.attempt(id);
        if let Some(row) = self.table.attempts.get(&attempt) {
            let abandoned = end == End::Abandoned
                && job.phase != Phase::Unknown
                && !self.has(Sabotage::AbandonAndForget);
            let mark = if abandoned { Mark::Abandoned } else { Mark::Plain };
            let row = Attempt { end: Some(end.clone()), mark, ..row.clone() };
            self.put(Key::Attempt(attempt), Row::Attempt(row));
        }
        if matches!(&end, End::Refused(Refusal::DiskLow | Refusal::Draining)) {
            job.allowed += 1; // it never began, and elsewhere it may
        }
        let policy = self.policy(id);
        let why = self.told_of(id, &end);
        if self.is_success(id, &end) {
            self.put(Key::JobRun(id), Row::JobRun(job));
            let warning = matches!(why, Reason::ExitMeans { .. }).then_some(why);
            return self.finish(id, Verdict::Succeeded, warning);
        }
        if matches!(job.phase, Phase::Stopping(_)) {
            let reason = std::mem::take(&mut job.reason);
            self.put(Key::JobRun(id), Row::JobRun(job));
            return self.finish_as_told(id, Verdict::Stopped, reason);
        }
        if self.is_unobserved(id, &end) && job.number < OBSERVERS_MAX {
            job.allowed += 1; // it goes on where it is, and the next one goes on looking
            job.phase = Phase::Waiting;
            job.not_before = self.date() + delay_ms(policy.backoff, 1);
            job.reason = Reason::NotObserved { why: Box::new(why.clone()) }.told();
            self.put(Key::JobRun(id), Row::JobRun(job));
            return self.fail_if_doomed(id, why);
        }
        let unknown = end == End::Unknown && !self.has(Sabotage::UnknownIsLost);
        let again = job.number < job.allowed && !self.is_final(id, &end);
        match policy.on_unknown {
            OnUnknown::Hold if unknown => return self.hold(id, job),
            OnUnknown::Fail if unknown => {}
            _ if again => {
                job.phase = Phase::Waiting;
                job.not_before = self.date() + delay_ms(policy.backoff, job.number);
                let (n, all) = (job.number, job.allowed);
                job.reason = Reason::Again { n, all, why: Box::new(why.clone()) }.told();
                self.put(Key::JobRun(id), Row::JobRun(job));
                return self.fail_if_doomed(id, why);
            }
            _ => {}
        }
        let timed_out = end == End::Exit(Exit::TimedOut);
        let verdict = if timed_out { Verdict::TimedOut } else { Verdict::Failed };
        self.put(Key::JobRun(id), Row::JobRun(job));
        self.finish(id, verdict, Some(why));
    }

    /// Nobody was sent it, nobody ever will be; a retry would be given the same.
    pub(crate) fn cannot_start(&mut self, attempt: AttemptId, why: String) {
        let id = attempt.job_run();
        let job = self.job(id).filter(|job| job.attempt(id) == attempt);
        let Some(Phase::Assigned(_)) = job.map(|job| job.phase) else { return };
        let end = End::Refused(Refusal::CannotStart(why));
        let reason = told(&end);
        if let Some(row) = self.table.attempts.get(&attempt) {
            let row = Attempt { end: Some(end), ended: Some(self.date()), ..row.clone() };
            self.put(Key::Attempt(attempt), Row::Attempt(row));
        }
        self.finish(id, Verdict::Failed, Some(reason));
    }

    /// While it ran, what it came after was decided otherwise by a person: there is no next attempt.
    fn fail_if_doomed(&mut self, id: JobRunId, why: Reason) {
        let Some(live) = self.lives.get(&id.run) else { return };
        let Some(&at) = live.shape.at.get(&id.job) else { return };
        let forced = self.job(id).is_some_and(|job| job.forced != Forced::Not);
        if !forced && live.shape.is_doomed(at, live.edges[at]) {
            self.finish(id, Verdict::Failed, Some(why));
        }
    }

    /// In the words of its kind, where that has some for the code.
    fn told_of(&self, id: JobRunId, end: &End) -> Reason {
        let End::Exit(Exit::Code(code)) = *end else { return told(end) };
        let spec = self.lives.get(&id.run).and_then(|live| {
            let at = live.shape.at.get(&id.job)?;
            Some(&live.shape.job(*at).spec)
        });
        let means = spec.and_then(|spec| kind::find(&spec.kind)?.exit_means(&spec.fields, code));
        match means {
            Some(why) => Reason::ExitMeans { code, why: why.into() },
            None => told(end),
        }
    }

    fn kind_of(&self, id: JobRunId) -> Option<&'static dyn Kind> {
        let live = self.lives.get(&id.run)?;
        let at = live.shape.at.get(&id.job)?;
        kind::find(&live.shape.job(*at).spec.kind)
    }

    /// It lives elsewhere, and only who looked on has ended.
    fn is_unobserved(&self, id: JobRunId, end: &End) -> bool {
        let external = self.kind_of(id).filter(|kind| kind.locus() == Locus::External);
        external.is_some_and(|kind| match end {
            // A person's word, or the clock's: it was told to end there too.
            End::Exit(Exit::Killed | Exit::TimedOut) | End::Abandoned => false,
            end => is_unseen(kind, end),
        })
    }

    /// To try it again is for a person to say.
    fn is_final(&self, id: JobRunId, end: &End) -> bool {
        let kind = self.kind_of(id);
        kind.is_some_and(|kind| matches!(*end, End::Exit(Exit::Code(code)) if kind.is_final(code)))
    }

    /// Its work goes on without its process, and its process can be ended without its work.
    pub(super) fn lives_elsewhere(&self, id: JobRunId) -> bool {
        self.kind_of(id).is_some_and(|kind| kind.locus() == Locus::External)
    }

    /// Of what lives elsewhere: attempts of the job before this one whose end nobody has seen there, back
    /// to the last one that was.
    pub fn unseen_before(&self, attempt: AttemptId) -> Unseen {
        let id = attempt.job_run();
        let Some(kind) = self.kind_of(id).filter(|kind| kind.locus() == Locus::External) else {
            return Unseen::default();
        };
        let all = self.table.attempts_of(attempt.run);
        let mut own: Vec<(AttemptId, &Attempt)> = all
            .filter(|(other, _)| other.job == attempt.job && other.number <= attempt.number)
            .filter(|(other, _)| *other != attempt)
            .collect();
        own.sort_by_key(|(other, _)| std::cmp::Reverse((other.number, other.reign)));
        // What never began is neither here nor there.
        own.retain(|(_, row)| !matches!(row.end, Some(End::Refused(_))));
        let unseen = |(_, row): &&(AttemptId, &Attempt)| {
            row.end.as_ref().is_none_or(|end| is_unseen(kind, end))
        };
        let unseen = own.iter().take_while(unseen).take(ADOPT_MAX);
        let by_us = |(_, row): &(AttemptId, &Attempt)| {
            matches!(row.end, Some(End::Exit(Exit::Killed | Exit::TimedOut)))
        };
        Unseen {
            stopped: unseen.clone().any(by_us),
            attempts: unseen.map(|(other, _)| *other).collect(),
        }
    }

    fn is_success(&self, id: JobRunId, end: &End) -> bool {
        let End::Exit(Exit::Code(code)) = end else { return false };
        let codes = self.lives.get(&id.run).and_then(|live| {
            let at = live.shape.at.get(&id.job)?;
            Some(live.shape.nodes[*at].success_codes.contains(code))
        });
        codes.unwrap_or(*code == 0)
    }

    /// The process is gone, how it ended is not known: a person decides.
    fn hold(&mut self, id: JobRunId, mut job: JobRun) {
        let date = self.date();
        job.phase = Phase::Unknown;
        job.reason = Reason::Held {}.told();
        let attempt = job.attempt(id);
        let project = job.project;
        self.put(Key::JobRun(id), Row::JobRun(job));
        let Some(run) = self.run(id.run) else { return };
        let name = self.name_of(run.interface);
        let body = format!("{name} {}: how attempt {attempt} ended is not known", run.period);
        let alert = Alert {
            project,
            event: AlertEvent::AttemptUnknown,
            execution: Some(run.execution),
            run: Some(id.run),
            job: Some(id.job),
            body,
            created: date,
        };
        self.alert(&attempt.to_string(), alert);
    }

    /// Ends what is stopped: what waits at once, what runs by a kill. Why is in its row until then, so
    /// that any leader tells it.
    pub(crate) fn stop_job(&mut self, id: JobRunId, why: &Reason) -> bool {
        let Some(job) = self.job(id) else { return false };
        match (job.phase, job.phase.place()) {
            (phase, _) if is_waiting(phase) || phase == Phase::Unknown => {
                self.finish(id, Verdict::Stopped, Some(why.clone()));
                true
            }
            (Phase::Assigned(_) | Phase::Running(_), Some(place)) => {
                let reason = why.told();
                let job = JobRun { phase: Phase::Stopping(place), reason, ..job.clone() };
                self.put(Key::JobRun(id), Row::JobRun(job));
                true
            }
            _ => false,
        }
    }
}

/// Attempts whose work lives elsewhere and whose end there nobody has seen, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    pub attempts: Vec<AttemptId>,
    /// One of them was told to end its work.
    pub stopped: bool,
}

/// What became of its work elsewhere was not seen by who looked on.
fn is_unseen(kind: &dyn Kind, end: &End) -> bool {
    match end {
        End::Exit(Exit::Code(code)) => kind.is_unseen(*code),
        End::Exit(_) | End::Unknown | End::Lost | End::Abandoned => true,
        End::Refused(_) => false,
    }
}

/// For people.
pub(crate) fn told(end: &End) -> Reason {
    match end {
        End::Exit(Exit::Code(code)) => Reason::ExitCode { code: *code },
        End::Exit(Exit::Signal(signal)) => Reason::Signal { signal: *signal },
        End::Exit(Exit::Killed) => Reason::Killed {},
        End::Exit(Exit::Fenced) => Reason::Fenced {},
        End::Exit(Exit::TimedOut) => Reason::TookTooLong {},
        End::Exit(Exit::OverMemory) => Reason::OverMemory {},
        End::Exit(Exit::HostOutOfMemory) => Reason::HostOutOfMemory {},
        End::Refused(Refusal::DiskLow) => Reason::DiskLow {},
        End::Refused(Refusal::Draining) => Reason::Draining {},
        End::Refused(Refusal::CannotStart(why)) => Reason::CannotStart { why: why.clone() },
        End::Unknown => Reason::EndUnknown {},
        End::Lost => Reason::HostSilent {},
        End::Abandoned => Reason::Abandoned {},
    }
}
