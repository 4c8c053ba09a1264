//! While the leader cannot store anything: since when, and which jobs will be ended for it.
//!
//! A host keeps jobs with `on_lost = retry` only while its leader stores what it says (rule H8). This
//! works out, before it happens, when each host will end its own: from the last answer that was stored.

use super::reign::Reign;
use super::status::{Away, Doomed, Ending};
use crate::engine::rows::Run;
use shared::ids::*;
use std::collections::BTreeMap;

/// A database that refuses for so long is away; a deadlock is over before.
const REFUSES_MS: Millis = 1_000;
/// One that says nothing for so long is, too.
const SILENT_MS: Millis = 5_000;
/// Jobs that are named of one host and project; of the others people are told how many.
const NAMED_MAX: usize = 20;
const LOOK_EVERY_MS: Millis = 500;

/// How questions of one kind have gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The last answer, or when the one that is still asked was asked for the first time.
    pub since: Millis,
    pub failed: bool,
}

impl Asked {
    pub(super) fn from(since: Millis) -> Asked {
        Asked { since, failed: false }
    }

    fn away_since(self, tick: Millis) -> Option<Millis> {
        let patience = if self.failed { REFUSES_MS } else { SILENT_MS };
        (self.since + patience <= tick).then_some(self.since)
    }
}

/// With thousands of jobs it is not worked out at every step.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    next: Millis,
    found: Option<Away>,
}

impl Look {
    pub(super) fn at(&mut self, reign: &Reign, now: (Millis, Millis)) -> Option<Away> {
        if self.next <= now.0 || reign.away_since(now.0).is_none() {
            self.next = now.0 + LOOK_EVERY_MS;
            self.found = reign.away(now);
        }
        self.found.clone()
    }
}

impl Reign {
    fn away_since(&self, tick: Millis) -> Option<Millis> {
        let commits = self.asked_to_store().and_then(|asked| asked.away_since(tick));
        let polls = self.asked_to_poll.away_since(tick);
        commits.into_iter().chain(polls).min()
    }

    /// None: all is well.
    pub fn away(&self, (tick, wall): (Millis, Millis)) -> Option<Away> {
        let since = self.away_since(tick)?;
        let date = |at: Millis| self.now(at, wall).date;
        let hosts = self.world().fleet.hosts.keys();
        let mut ends: Vec<Ending> = hosts.filter_map(|host| self.ending(*host, &date)).collect();
        ends.sort_by_key(|ending| ending.at_ms);
        Some(Away { since_ms: date(since), ends })
    }

    fn ending(&self, host: HostId, date: &impl Fn(Millis) -> Millis) -> Option<Ending> {
        let world = self.world();
        let running = world.fleet.running_on(host);
        let leased: Vec<JobRunId> = running
            .into_iter()
            .map(|attempt| attempt.job_run())
            .filter(|id| world.is_leased(*id))
            .collect();
        let mut counts: BTreeMap<ProjectId, usize> = BTreeMap::new();
        let mut jobs = Vec::new();
        for id in &leased {
            let Some(run) = world.run(id.run) else { continue };
            let count = counts.entry(run.project).or_default();
            *count += 1;
            if *count <= NAMED_MAX {
                jobs.extend(self.doomed(*id, run));
            }
        }
        // None: this leader has stored none yet, and the one before it did so before this one began.
        let heard = self.lines.get(&host).and_then(|line| line.stored).map(|(_, at)| at);
        let from = heard.unwrap_or(world.fleet.since);
        let at_ms = date(from + self.pace.timing.fence_ms);
        let found = world.catalog().hosts.get(&host)?;
        let (host, project, count) = (found.name.clone(), found.project, leased.len());
        (count > 0).then_some(Ending { host, project, at_ms, count, counts, jobs })
    }

    fn doomed(&self, id: JobRunId, run: &Run) -> Option<Doomed> {
        let interface = self.world().catalog().at(run.interface, run.version)?;
        let job = interface.jobs.iter().find(|job| job.id == id.job)?;
        Some(Doomed {
            project: run.project,
            execution: run.execution,
            job: job.name.clone(),
            interface: interface.name.clone(),
            period: run.period.to_string(),
        })
    }
}
