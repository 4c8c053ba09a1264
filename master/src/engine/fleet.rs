//! What this leader knows of the hosts, and what it concludes from what they say. Not stored: a new
//! leader asks.

use super::rows::*;
use super::world::{Ask, Now, World};
use shared::ids::*;
use shared::sabotage::Sabotage;
use shared::wire::{Former, Report, State, WatchAnswer};
use std::collections::{BTreeMap, BTreeSet};

/// A host that has just refused is left alone this long.
pub const SULK_MS: Millis = 10_000;
/// One attempt is given to a next life so often: its order may be what kills each supervisor.
const ANEW_MAX: u32 = 3;

#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The last answer applied: where the next `watch` goes on from.
    pub answer: Option<Answer>,
    /// When that was, on the monotonic clock.
    pub at: Option<Millis>,
    /// The host's wall clock then: for people.
    pub wall: Millis,
    /// It has listed all that it remembers, in this life.
    pub whole: bool,
    /// A full list has begun and goes on in the next answer.
    listing: bool,
    /// Former lives for which this one answers, too (rule H11).
    follows: Vec<Former>,
    refused: Option<Millis>,
    /// The named environments that it says it has.
    environments: BTreeSet<String>,
    /// What it has said to be running. What has ended it has said once, and its row holds it.
    running: BTreeSet<AttemptId>,
}

#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// When this leader took over: silence is counted from here at the earliest.
    pub since: Millis,
    pub hosts: BTreeMap<HostId, Seen>,
    /// Who has an attempt of this job running.
    running: BTreeMap<JobRunId, BTreeSet<(HostId, AttemptId)>>,
    /// How often each assigned attempt has been given to a next life; forgotten when it is assigned
    /// no more.
    pub(super) anew: BTreeMap<AttemptId, u32>,
    /// When each silent host was given up; only a sabotage looks at it.
    announced: BTreeMap<HostId, Millis>,
}

impl Fleet {
    pub fn new(since: Millis) -> Fleet {
        Fleet { since, ..Fleet::default() }
    }

    /// The rows are loaded anew: every host must list all again, but who spoke when stays true.
    #[must_use]
    pub fn reloaded(mut self) -> Fleet {
        self.running.clear();
        for seen in self.hosts.values_mut() {
            let environments = std::mem::take(&mut seen.environments);
            let (at, wall, refused) = (seen.at, seen.wall, seen.refused);
            *seen = Seen { at, wall, refused, environments, ..Seen::default() };
        }
        self
    }

    /// The life that has told us all it knows.
    pub fn incarnation(&self, host: HostId) -> Option<Incarnation> {
        let seen = self.hosts.get(&host).filter(|seen| seen.whole)?;
        Some(seen.answer?.incarnation)
    }

    /// How long it has said nothing, as far as this leader can tell.
    pub fn silent_ms(&self, tick: Millis, host: HostId) -> Millis {
        tick - self.heard_at(host)
    }

    pub(crate) fn heard_at(&self, host: HostId) -> Millis {
        let heard = self.hosts.get(&host).and_then(|seen| seen.at).unwrap_or(self.since);
        heard.max(self.since)
    }

    pub(crate) fn sulks_until(&self, host: HostId) -> Option<Millis> {
        Some(self.hosts.get(&host)?.refused? + SULK_MS)
    }

    /// It has said that it has this environment, whole.
    pub(crate) fn offers(&self, host: HostId, environment: &str) -> bool {
        self.hosts.get(&host).is_some_and(|seen| seen.environments.contains(environment))
    }

    pub(crate) fn is_listed(&self, host: HostId, attempt: AttemptId) -> bool {
        self.hosts.get(&host).is_some_and(|seen| seen.running.contains(&attempt))
    }

    pub(crate) fn running_of(&self, id: JobRunId) -> Vec<(HostId, AttemptId)> {
        self.running.get(&id).into_iter().flatten().copied().collect()
    }

    pub(crate) fn running_on(&self, host: HostId) -> Vec<AttemptId> {
        self.hosts.get(&host).into_iter().flat_map(|seen| &seen.running).copied().collect()
    }

    fn list(&mut self, host: HostId, attempt: AttemptId, runs: bool) {
        let seen = self.hosts.entry(host).or_default();
        let of_job = self.running.entry(attempt.job_run()).or_default();
        match runs {
            true => {
                seen.running.insert(attempt);
                of_job.insert((host, attempt));
            }
            false => {
                seen.running.remove(&attempt);
                of_job.remove(&(host, attempt));
            }
        }
        if of_job.is_empty() {
            self.running.remove(&attempt.job_run());
        }
    }
}

/// As an attempt's row has it.
fn end_of(state: &State) -> Option<End> {
    match state {
        State::Running => None,
        State::Ended(exit) => Some(End::Exit(*exit)),
        State::Refused(why) => Some(End::Refused(why.clone())),
        State::Unknown => Some(End::Unknown),
    }
}

impl World {
    /// The master has seen to it that answers come in order (rule H3).
    pub(crate) fn hear(&mut self, now: Now, host: HostId, answer: WatchAnswer) {
        let awake = self.speaks(now, host);
        let seen = self.fleet.hosts.entry(host).or_default();
        let incarnation = answer.answer.incarnation;
        let same = seen.answer.is_some_and(|a| a.incarnation == incarnation);
        if !same && !answer.full {
            return;
        }
        seen.at = Some(now.tick);
        seen.wall = answer.wall_ms;
        if let Some(facts) = &answer.facts {
            let whole = facts.named.iter().filter(|(_, named)| named.whole).map(|(name, _)| name);
            if !seen.environments.iter().eq(whole.clone()) {
                seen.environments = whole.cloned().collect();
                self.queue.look_at_host(host);
            }
        }
        if !self.all_known(host, &answer.listed) {
            return; // it will list them again: we have not taken this answer up
        }
        let part = self.has(Sabotage::PartIsFull);
        let was = self.fleet.incarnation(host);
        if answer.full {
            for attempt in self.fleet.running_on(host) {
                self.fleet.list(host, attempt, false);
                self.reorder_at(host, attempt);
            }
        }
        let seen = self.fleet.hosts.entry(host).or_default();
        if answer.full {
            seen.follows = answer.follows;
        }
        seen.listing |= answer.full;
        seen.whole &= same;
        seen.answer = Some(answer.answer);
        let concludes = seen.listing && (!answer.more || part);
        for report in &answer.listed {
            let runs = report.state == State::Running;
            self.fleet.list(host, report.attempt, runs);
            self.store_orphan(now, host, answer.answer, report);
            self.report(now, report);
            self.reorder_at(host, report.attempt);
        }
        if concludes {
            let seen = self.fleet.hosts.entry(host).or_default();
            (seen.listing, seen.whole) = (false, true);
            self.conclude(host, incarnation);
            self.set(Key::Doubt(host), None);
        }
        if was != self.fleet.incarnation(host) || self.has(Sabotage::FreshBasis) {
            self.reorder_host(host);
        }
        if !awake || was != self.fleet.incarnation(host) {
            self.queue.look_at_host(host);
        }
    }

    /// Only a failover can have lost the row of an attempt. Until a host in doubt has told all, each
    /// attempt that is not resident is looked up; its answers wait for that.
    fn all_known(&mut self, host: HostId, listed: &[Report]) -> bool {
        if !self.table.doubts.contains(&host) {
            return true;
        }
        let unknown: BTreeSet<RunId> = listed
            .iter()
            .filter(|report| !self.table.attempts.contains_key(&report.attempt))
            .map(|report| report.attempt.run)
            .filter(|run| !self.slices.attempts_known.contains(run))
            .collect();
        for &run in &unknown {
            self.due.load.insert(Ask::Run(run));
        }
        unknown.is_empty()
    }

    /// It becomes a row at once, before the host is told that we have stored its answer. Of an ended
    /// run the rows may have been purged: that is no loss.
    fn store_orphan(&mut self, now: Now, host: HostId, basis: Answer, report: &Report) {
        let id = report.attempt;
        if self.table.attempts.contains_key(&id) || !self.slices.attempts_known.contains(&id.run) {
            return;
        }
        let run = self.run(id.run);
        if run.is_some() && self.job(id.job_run()).is_none() {
            return;
        }
        let row = Attempt {
            project: run.map_or(ProjectId::default(), |run| run.project),
            place: Place { host, basis },
            end: end_of(&report.state),
            mark: Mark::Orphan,
            queued: String::new(),
            assigned: now.date,
            started: report.started_ms,
            ended: report.ended_ms,
            out_bytes: report.out_bytes,
            err_bytes: report.err_bytes,
            rss_max_kib: report.rss_max_kib,
            cpu_ms: report.cpu_ms,
        };
        self.put(Key::Attempt(id), Row::Attempt(row));
    }

    /// A host says how an attempt is. Only the attempt that the job has now counts.
    fn report(&mut self, now: Now, report: &Report) {
        let (attempt, id) = (report.attempt, report.attempt.job_run());
        let end = end_of(&report.state);
        if let Some(mut row) = self.table.attempts.get(&attempt).cloned() {
            row.started = row.started.or(report.started_ms);
            if report.state != State::Running {
                if row.mark == Mark::Orphan {
                    row.end = row.end.or(end.clone());
                }
                if row.mark == Mark::Abandoned {
                    row.mark = Mark::Plain;
                }
                row.ended = row.ended.or(report.ended_ms);
                row.out_bytes = row.out_bytes.max(report.out_bytes);
                row.err_bytes = row.err_bytes.max(report.err_bytes);
                row.rss_max_kib = report.rss_max_kib.or(row.rss_max_kib);
                row.cpu_ms = report.cpu_ms.or(row.cpu_ms);
            }
            self.put(Key::Attempt(attempt), Row::Attempt(row));
        }
        let job = self.job(id).filter(|job| job.attempt(id) == attempt).cloned();
        let Some(mut job) = job else { return };
        let Some(place) = job.phase.place() else { return };
        let assigned = matches!(job.phase, Phase::Assigned(_));
        if matches!(report.state, State::Refused(_)) {
            let seen = self.fleet.hosts.entry(place.host).or_default();
            seen.refused = Some(now.tick);
            self.queue.sulk(place.host, now.tick + SULK_MS);
        }
        match end {
            None if assigned => {
                job.phase = Phase::Running(place);
                job.started = job.started.or(Some(now.date));
                self.put(Key::JobRun(id), Row::JobRun(job));
            }
            None => {}
            Some(end) => self.end_attempt(id, end),
        }
    }

    /// What ought to be there and is not listed has vanished. An attempt that this incarnation may
    /// not have been told of yet has not.
    fn conclude(&mut self, host: HostId, incarnation: Incarnation) {
        for id in self.places.on(host) {
            let Some(job) = self.job(id) else { continue };
            let Some(place) = job.phase.place() else { continue };
            let listed = self.fleet.is_listed(host, job.attempt(id));
            let waiting = matches!(job.phase, Phase::Assigned(_) | Phase::Stopping(_))
                && place.basis.incarnation == incarnation;
            if listed || waiting || self.has(Sabotage::NoVanished) {
                continue;
            }
            match self.next_life(id, job) {
                Some(place) => self.assign_anew(id, place),
                None => self.end_attempt(id, End::Unknown),
            }
        }
        for id in self.places.marked_on(host) {
            let Some(row) = self.table.attempts.get(&id) else { continue };
            let other = row.place.basis.incarnation != incarnation;
            if row.mark == Mark::Abandoned && other && !self.fleet.is_listed(host, id) {
                let row = Attempt { mark: Mark::Plain, ..row.clone() };
                self.put(Key::Attempt(id), Row::Attempt(row));
            }
        }
        self.end_orphans(host, true);
    }

    /// Where an attempt that was assigned to a former life of a host may still begin: that life is
    /// over and has not begun it, and an order for it is no order for this one (rule H11). With commits
    /// lost (rule L5) a later attempt of the job may be elsewhere: while a host is in doubt nobody knows.
    fn next_life(&self, id: JobRunId, job: &JobRun) -> Option<Place> {
        let Phase::Assigned(Place { host, basis: was }) = job.phase else { return None };
        let seen = self.fleet.hosts.get(&host)?;
        let former = seen.follows.iter().find(|life| life.incarnation == was.incarnation)?;
        let remembered = former.floor <= was.seq || self.has(Sabotage::FollowsForgotten);
        let often = self.fleet.anew.get(&job.attempt(id)).is_some_and(|times| *times >= ANEW_MAX);
        let elsewhere = self.table.doubts.iter().any(|other| *other != host)
            || self
                .orphan(id)
                .is_some_and(|(other, row)| row.end.is_none() || other.number > job.number);
        (remembered && !elsewhere && !often).then_some(Place { host, basis: seen.answer? })
    }

    fn assign_anew(&mut self, id: JobRunId, place: Place) {
        let Some(job) = self.job(id).cloned() else { return };
        let attempt = job.attempt(id);
        *self.fleet.anew.entry(attempt).or_default() += 1;
        if let Some(row) = self.table.attempts.get(&attempt).cloned() {
            self.put(Key::Attempt(attempt), Row::Attempt(Attempt { place, ..row }));
        }
        let phase = Phase::Assigned(place);
        self.put(Key::JobRun(id), Row::JobRun(JobRun { phase, ..job }));
    }

    /// Orphans of this host that have no end: those that it does not list, or all.
    pub(crate) fn end_orphans(&mut self, host: HostId, unlisted_only: bool) {
        for id in self.places.marked_on(host) {
            let Some(row) = self.table.attempts.get(&id) else { continue };
            let gone = !unlisted_only || !self.fleet.is_listed(host, id);
            if row.mark == Mark::Orphan && row.end.is_none() && gone {
                let row = Attempt { end: Some(End::Unknown), ..row.clone() };
                self.put(Key::Attempt(id), Row::Attempt(row));
            }
        }
    }

    /// It answers, has told all, and has not just refused.
    pub(crate) fn speaks(&self, now: Now, host: HostId) -> bool {
        self.fleet.incarnation(host).is_some()
            && self.fleet.silent_ms(now.tick, host) < self.timing.lost_ms / 2
            && self.fleet.sulks_until(host).is_none_or(|until| until < now.tick)
    }

    /// Hosts that have been silent for so long that their lease has ended. Concluded from the state
    /// whenever time passes, so that it does not matter which leader does (rule H7).
    pub(crate) fn give_up_silent(&mut self, now: Now) {
        let wait_too = self.has(Sabotage::LostIsUnknown);
        let places = if wait_too { &self.places.jobs } else { &self.places.leased };
        let with_jobs: Vec<HostId> =
            places.iter().filter(|(_, jobs)| !jobs.is_empty()).map(|(host, _)| *host).collect();
        for host in with_jobs {
            let silent = self.fleet.silent_ms(now.tick, host) >= self.timing.lost_ms;
            let fell = self.announce(now, host, silent);
            let lost = if self.has(Sabotage::LostOnce) { fell } else { silent };
            if !lost {
                continue;
            }
            let places = if wait_too { &self.places.jobs } else { &self.places.leased };
            for id in places.get(&host).cloned().unwrap_or_default() {
                let end = if self.is_leased(id) { End::Lost } else { End::Unknown };
                self.end_attempt(id, end);
            }
        }
    }

    /// Whether this host, once heard, falls silent just now.
    fn announce(&mut self, now: Now, host: HostId, silent: bool) -> bool {
        let heard = self.fleet.hosts.get(&host).is_some_and(|seen| seen.at.is_some());
        if !silent || !heard {
            self.fleet.announced.remove(&host);
            return false;
        }
        *self.fleet.announced.entry(host).or_insert(now.tick) == now.tick
    }

    /// When silence alone changes something next.
    pub(crate) fn next_silence(&self) -> Option<Millis> {
        let leased = self.places.leased.iter().filter(|(_, jobs)| !jobs.is_empty());
        let doubtful = self.table.doubts.iter().filter(|_| !self.queue.is_empty());
        let hosts = leased.map(|(host, _)| host).chain(doubtful);
        hosts.map(|host| self.fleet.heard_at(*host) + self.timing.lost_ms).min()
    }
}
