//! What people do: edits, and every verb.

use crate::cluster::{Cluster, Packet};
use crate::mesh;
use master::engine::backfill::Span;
use master::engine::rows::*;
use shared::ids::*;
use shared::period::{Cut, Period, zone};
use std::collections::BTreeMap;

/// Where their nudges come from: no link to them is ever cut.
const PEOPLE: usize = 30;

impl Cluster {
    pub(crate) fn people(&mut self) {
        if self.db.away_until > self.now || !self.rng.one_in(40) {
            return;
        }
        if self.rng.one_in(5) {
            let next = mesh::edit(&self.db.catalog, self.now, &mut self.rng);
            self.note(|| format!("edit: revision {}", next.revision));
            self.db.edit(self.now, next);
            self.oracle.versions = self.db.versions.clone();
            return self.nudge();
        }
        let verb = match self.rng.below(5) {
            0 => self.verb_on_dispatch(),
            1 => self.verb_on_run(),
            2 => self.verb_on_job(),
            3 => self.rarer_verb(),
            _ if !self.plain && self.rng.one_in(3) => Some(self.backfill_verb()),
            _ => None,
        };
        let verb = verb.unwrap_or_else(|| self.run_now());
        let dry_run = self.rng.one_in(8);
        self.command(verb, dry_run);
    }

    fn a_period(&mut self, interface: InterfaceId) -> Period {
        let catalog = self.catalog();
        let spec = &catalog.interfaces[&interface].spec;
        let cut = Cut::new(spec.granularity, &spec.zone).expect("a zone");
        let back = self.rng.below(2);
        let now = cut.containing(self.now);
        now.offset(-back, zone(&spec.zone).expect("a zone")).unwrap_or(now)
    }

    fn run_now(&mut self) -> Verb {
        let ids: Vec<InterfaceId> = self.db.catalog.interfaces.keys().copied().collect();
        let interface = self.rng.pick(&ids);
        Verb::RunNow {
            interface,
            period: self.a_period(interface),
            cascade: self.rng.one_in(2),
            params: BTreeMap::new(),
            missing_only: self.rng.one_in(3),
            api: self.rng.one_in(3),
        }
    }

    fn verb_on_dispatch(&mut self) -> Option<Verb> {
        let ids: Vec<DispatchId> = self.db.catalog.dispatches.keys().copied().collect();
        let dispatch = self.rng.pick(&ids);
        Some(match self.rng.below(5) {
            0 => Verb::PauseDispatch { dispatch },
            1 => {
                let interface = self.db.catalog.dispatches[&dispatch].spec.interface;
                let period = self.a_period(interface);
                Verb::RunDispatch { dispatch, period, cascade: self.rng.one_in(2) }
            }
            _ => Verb::ResumeDispatch { dispatch },
        })
    }

    fn verb_on_run(&mut self) -> Option<Verb> {
        let rows = self.db.rows.iter().filter_map(|(key, row)| match (key, row) {
            (Key::Run(id), Row::Run(run)) => Some((*id, run.execution, run.state, run.paused)),
            _ => None,
        });
        let runs: Vec<_> = rows.collect();
        if runs.is_empty() {
            return None;
        }
        let (run, execution, state, paused) = self.rng.pick(&runs);
        Some(match self.rng.below(3) {
            _ if paused => Verb::Unpause { run },
            0 if state.is_live() => Verb::Pause { run },
            1 if state.is_live() => Verb::Stop { run },
            _ if state.is_live() => Verb::StopExecution { execution },
            0 => Verb::ResumeExecution { execution },
            _ => Verb::Resume { run },
        })
    }

    fn verb_on_job(&mut self) -> Option<Verb> {
        let rows = self.db.rows.iter().filter_map(|(key, row)| match (key, row) {
            (Key::JobRun(id), Row::JobRun(job)) => Some((*id, job.phase)),
            _ => None,
        });
        let jobs: Vec<(JobRunId, Phase)> = rows.collect();
        if jobs.is_empty() {
            return None;
        }
        let (JobRunId { run, job }, phase) = self.rng.pick(&jobs);
        match phase {
            Phase::Unknown if self.rng.one_in(2) => Some(Verb::Resume { run }),
            Phase::Unknown | Phase::Running(_) | Phase::Assigned(_) if self.rng.one_in(2) => {
                Some(Verb::Abandon { run, job })
            }
            Phase::Running(_) | Phase::Assigned(_) => Some(Verb::Kill { run, job }),
            Phase::Unknown | Phase::Done(_) => {
                Some(Verb::MarkSuccess { run, job, reason: "seen by eye".into() })
            }
            Phase::Waiting | Phase::Queued | Phase::Stopping(_) => None,
        }
    }

    /// Some jobs only, what follows, all of it anew, and what is taken out of the way.
    fn rarer_verb(&mut self) -> Option<Verb> {
        let rows = self.db.rows.iter().filter_map(|(key, row)| match (key, row) {
            (Key::Run(id), Row::Run(run)) => Some((*id, run.interface, run.period, run.execution)),
            _ => None,
        });
        let runs: Vec<_> = rows.collect();
        if runs.is_empty() {
            return None;
        }
        let (run, interface, period, execution) = self.rng.pick(&runs);
        let of = self.db.catalog.interfaces.get(&interface)?.clone();
        let jobs: Vec<JobId> = of.jobs.iter().map(|job| job.id).collect();
        if jobs.is_empty() {
            return None;
        }
        let job = self.rng.pick(&jobs);
        Some(match self.rng.below(7) {
            0 | 1 => {
                let part = self.rng.pick(&[Part::Alone, Part::From, Part::To]);
                Verb::RunPart { interface, period, job, part, params: BTreeMap::new(), api: false }
            }
            2 => Verb::Follow { run, all: self.rng.one_in(3) },
            3 => Verb::Reset { execution },
            4 => Verb::StartExecution { execution },
            5 => Verb::Skip { run, job, reason: "not today".into() },
            _ => Verb::Force { run, job: (!self.rng.one_in(3)).then_some(job) },
        })
    }

    /// A few periods before now, or something about one that there is.
    fn backfill_verb(&mut self) -> Verb {
        let rows = self.db.rows.iter().filter_map(|(key, row)| match (key, row) {
            (Key::Backfill(id), Row::Backfill(row)) if row.state.is_live() => {
                Some((*id, row.state))
            }
            _ => None,
        });
        let live: Vec<_> = rows.collect();
        if !live.is_empty() && self.rng.one_in(2) {
            let (backfill, state) = self.rng.pick(&live);
            return match state {
                BackfillState::Paused => Verb::ResumeBackfill { backfill },
                _ if self.rng.one_in(3) => {
                    Verb::CancelBackfill { backfill, stop: self.rng.one_in(2) }
                }
                _ => Verb::PauseBackfill { backfill },
            };
        }
        let ids: Vec<InterfaceId> = self.db.catalog.interfaces.keys().copied().collect();
        let interface = self.rng.pick(&ids);
        let last = self.a_period(interface);
        let of = self.catalog().interfaces[&interface].spec.zone.clone();
        let back = |steps: i64| last.offset(-steps, zone(&of).expect("a zone")).unwrap_or(last);
        let steps = 1 + self.rng.below(5);
        let skipped = back(self.rng.below(steps + 1));
        let skips = if self.rng.one_in(2) { vec![Span::one(skipped)] } else { Vec::new() };
        let spec = BackfillSpec {
            interface,
            spans: vec![Span { first: back(steps), last }],
            skips,
            descending: self.rng.one_in(3),
            parallel: u32::try_from(1 + self.rng.below(3)).expect("small"),
            cascade: self.rng.one_in(3),
            missing_only: self.rng.one_in(3),
            windows: Vec::new(),
            zone: "UTC".into(),
            pinned: self.rng.one_in(2),
            failures_max: u32::try_from(self.rng.below(4)).expect("small"),
            params: BTreeMap::new(),
        };
        Verb::Backfill { spec: Box::new(spec) }
    }

    pub(crate) fn command(&mut self, verb: Verb, dry_run: bool) {
        let command = Command { project: ProjectId(1), by: UserId(1), verb, dry_run };
        let id = self.db.command(self.now, command.clone());
        self.note(|| format!("command {id}: {command:?}"));
        self.nudge();
    }

    fn nudge(&mut self) {
        for master in 0..self.nodes.len() {
            self.post(PEOPLE, master, Packet::Nudge(master));
        }
    }

    /// No new firings; what a person has paused goes on; and the dead are buried.
    pub(crate) fn pause_all(&mut self) {
        let ids: Vec<DispatchId> = self.db.catalog.dispatches.keys().copied().collect();
        for dispatch in ids {
            self.command(Verb::PauseDispatch { dispatch }, false);
        }
        let live = self.db.rows.iter().filter_map(|(key, row)| match (key, row) {
            (Key::Backfill(id), Row::Backfill(row)) if row.state.is_live() => Some(*id),
            _ => None,
        });
        for backfill in live.collect::<Vec<_>>() {
            self.command(Verb::CancelBackfill { backfill, stop: false }, false);
        }
        let paused = self.db.rows.iter().filter_map(|(key, row)| match (key, row) {
            (Key::Run(id), Row::Run(run)) if run.paused && run.state.is_live() => Some(*id),
            _ => None,
        });
        for run in paused.collect::<Vec<_>>() {
            self.command(Verb::Unpause { run }, false);
        }
        if let Some(dead) = self.dead {
            self.bury(crate::cluster::id_of(dead));
        }
    }
}
