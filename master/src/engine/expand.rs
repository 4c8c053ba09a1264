//! From one start to its runs: all of them at once, each with its waits, in O(runs + edges).
//!
//! A run is shared, never doubled: a live one is joined; one that has succeeded satisfies a firing,
//! while a hand makes a new generation of it; one that has failed or was stopped is made anew.

use super::dag::Shape;
use super::reason::Reason;
use super::rows::*;
use super::wait::{Met, slice_of};
use super::world::{Ask, Now, Step, World};
use shared::ids::*;
use shared::period::Period;
use shared::spec::{PeriodMap, SelfDependence};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Runs that one start may make.
pub(crate) const RUNS_MAX: usize = 100_000;

/// Why, and what for, an execution begins.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) id: ExecutionId,
    pub(crate) origin: Origin,
    pub(crate) dispatch: Option<(DispatchId, Millis)>,
    pub(crate) command: Option<CommandId>,
    pub(crate) by: Option<UserId>,
    pub(crate) interface: InterfaceId,
    pub(crate) period: Period,
    pub(crate) cascade: bool,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) again: Again,
    /// Only some jobs of its interface.
    pub(crate) part: Option<(JobId, Part)>,
    /// What it makes waits until a person starts it.
    pub(crate) paused: bool,
    /// What a new run of an interface waits for besides.
    pub(crate) after: After,
    /// One of the periods of a backfill.
    pub(crate) fill: Option<Fill>,
}

/// What is peculiar to the executions of a backfill.
#[derive(Clone, Debug)]
pub(crate) struct Fill {
    pub(crate) of: CommandId,
    /// Versions that count instead of those of now.
    pub(crate) pins: Arc<BTreeMap<InterfaceId, i64>>,
}

/// Which runs that have succeeded get a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    None,
    /// Those that were fed by what has been made again since; this one counts in any case.
    Stale(RunId),
    /// All but this one.
    AllBut(RunId),
    All,
}

impl Again {
    pub(super) fn is_asked_for(self, id: RunId, run: &Run) -> bool {
        match self {
            Again::None => false,
            Again::Stale(kept) => run.stale && kept != id,
            Again::AllBut(kept) => kept != id,
            Again::All => true,
        }
    }
}

/// By interface.
pub(crate) type After = BTreeMap<InterfaceId, BTreeSet<Target>>;

/// Which runs, parents first.
pub(crate) type Members = Vec<(InterfaceId, Period)>;

/// # Errors
/// The interface has no such period.
pub(super) fn accept(shape: &Shape, period: Period) -> Result<(), Reason> {
    let interface = || shape.interface.name.clone();
    if !shape.cut.has(period) {
        return Err(Reason::RestDay { interface: interface(), period });
    }
    if !shape.cut.accepts(period) {
        let cut = format!("{:?}", shape.granularity()).to_lowercase();
        return Err(Reason::NoSuchPeriod { interface: interface(), cut, period });
    }
    Ok(())
}

/// Which of the family, the first of which has this period, and for which of their periods; in order.
///
/// # Errors
/// One has no such period; these are too many.
pub(super) fn members_of(
    family: &[Arc<Shape>],
    period: Period,
    mut found: impl FnMut(usize, Period),
) -> Result<(), Reason> {
    let Some((root, others)) = family.split_first() else { return Ok(()) };
    found(0, period);
    let mut count = 1;
    for (at, member) in others.iter().enumerate() {
        let periods = period.map(PeriodMap::Same, root.cut.zone, &member.cut);
        let periods = periods.map_err(|why| {
            let (interface, why) = (member.interface.name.clone(), why.to_string());
            Reason::NoPeriods { interface, period, why }
        })?;
        count += periods.len();
        if count > RUNS_MAX {
            return Err(Reason::TooManyRuns { n: RUNS_MAX });
        }
        periods.into_iter().for_each(|period| found(at + 1, period));
    }
    Ok(())
}

impl World {
    /// The interface and, if asked for, all that descends from it, each for the period that is the
    /// same at its granularity: the one around it, or all within.
    pub(crate) fn members(
        &mut self,
        root: InterfaceId,
        period: Period,
        cascade: bool,
    ) -> Result<Members, Reason> {
        let ids = match cascade {
            true => self.mesh.family(&self.catalog, root).to_vec(),
            false => vec![root],
        };
        let shapes = ids.into_iter().filter_map(|id| self.mesh.current(&self.catalog, id));
        let family: Vec<Arc<Shape>> = shapes.collect();
        let first = family.first().filter(|shape| shape.interface.id == root);
        accept(first.ok_or(Reason::NoInterface { id: root })?, period)?;
        let mut members = Members::new();
        members_of(&family, period, |at, of| members.push((family[at].interface.id, of)))?;
        Ok(members)
    }

    /// Asks for the history that must be known before these runs can be made. Whether all is there.
    pub(crate) fn has_history(&mut self, members: &Members) -> bool {
        let mut all = true;
        for &(interface, period) in members {
            if self.slices.is_decidable((interface, period)) {
                self.slices.touch((interface, period), self.step);
            } else {
                self.due.load.insert(Ask::Slice(interface, period));
                all = false;
            }
        }
        all
    }

    /// Makes the execution and its runs; `has_history` said that it can be decided.
    pub(crate) fn execute(&mut self, now: Now, start: &Start, members: &Members) -> Plan {
        let mut plan = Plan { execution: Some(start.id), ..Plan::default() };
        let mut runs: BTreeMap<(InterfaceId, Period), RunId> = BTreeMap::new();
        let mut order = Vec::with_capacity(members.len());
        let mut made = Vec::new();
        for &(interface, period) in members {
            let latest = self.slices.latest((interface, period));
            let latest = latest.and_then(|id| Some((id, self.run(id)?)));
            let id = match latest {
                Some((id, run)) if run.state.is_live() => {
                    plan.runs_joined += 1;
                    if run.partial {
                        order.push(id);
                        continue; // what depends on it waits for the whole: see `make_whole`
                    }
                    id
                }
                Some((id, run)) if self.counted(id, run, start.again).is_some() => {
                    plan.runs_satisfied += 1;
                    self.counted(id, run, start.again).unwrap_or(id)
                }
                before => {
                    let generation = before.map_or(0, |(_, run)| run.generation + 1);
                    let id = RunId::of(interface, period, generation);
                    plan.jobs_to_run +=
                        self.expand(id, (interface, period, generation), start, &runs);
                    plan.runs_made += 1;
                    made.push(id);
                    id
                }
            };
            runs.insert((interface, period), id);
            order.push(id);
        }
        let interface = self.catalog.interfaces.get(&start.interface);
        let created = self.table.executions.get(&start.id).map_or(now.date, |row| row.created);
        let row = Execution {
            project: interface.map_or(ProjectId::default(), |interface| interface.project),
            interface: start.interface,
            period: start.period,
            origin: start.origin,
            dispatch: start.dispatch,
            command: start.command,
            by: start.by,
            cascade: start.cascade,
            params: start.params.clone(),
            state: RunState::Running,
            runs: order,
            created,
            ended: None,
        };
        self.put(Key::Execution(start.id), Row::Execution(row));
        self.agenda.extend(made.into_iter().map(Step::Settle));
        self.agenda.push_back(Step::Fold(start.id));
        plan
    }

    /// Makes one run and its jobs. Inside the execution a run waits for exactly its parents' runs,
    /// unless it is coarser; for what is outside, for any success.
    pub(super) fn expand(
        &mut self,
        id: RunId,
        (interface, period, generation): (InterfaceId, Period, u32),
        start: &Start,
        siblings: &BTreeMap<(InterfaceId, Period), RunId>,
    ) -> u32 {
        let Some(now) = self.now else { return 0 };
        let Some(shape) = self.shape_for(start, interface) else { return 0 };
        let mut waits = self.run_waits(&shape, period, siblings);
        let unfinished = self.unfinished_of(start, &waits, period, &shape);
        waits.extend(unfinished);
        let earlier = |target: &&Target| slice_of(**target).is_some_and(|(_, of)| of < period);
        waits.extend(start.after.get(&interface).into_iter().flatten().filter(earlier));
        let waits = self.unmet(waits);
        let project = shape.interface.project;
        let chosen = self.chosen(&shape, period, start.part);
        let state = if waits.is_empty() { RunState::Ready } else { RunState::Waiting };
        let run = Run {
            project,
            interface,
            period,
            period_start: period.start_ms(shape.cut.zone),
            generation,
            version: shape.interface.version,
            execution: start.id,
            priority: shape.interface.spec.priority,
            params: start.params.clone(),
            state,
            paused: start.paused,
            stale: false,
            partial: chosen.is_partial(),
            waits,
            wait_until: self.wait_until(now, interface),
            created: now.date,
            started: None,
            age_from: None,
            ended: None,
        };
        self.put(Key::Run(id), Row::Run(run));
        self.slices.attempts_known.insert(id);
        for node in &shape.nodes {
            let job = &shape.interface.jobs[node.index];
            let waits = match chosen.has(node.job) {
                true => {
                    let needs = self.needs(&shape, node.index, period);
                    self.unmet(needs)
                }
                false => BTreeSet::new(),
            };
            let row = JobRun {
                project,
                phase: Phase::Waiting,
                reason: String::new(),
                number: 0,
                reign: 0,
                allowed: job.spec.policy.attempts_max.max(1),
                not_before: 0,
                forced: chosen.forced(job.id),
                waits,
                ready: None,
                started: None,
                ended: None,
            };
            self.put(Key::JobRun(JobRunId { run: id, job: job.id }), Row::JobRun(row));
        }
        let jobs = shape.nodes.len() - chosen.rest.len();
        let broken = shape.broken.iter().filter(|(job, _)| chosen.has(**job));
        for (job, why) in broken {
            self.finish(JobRunId { run: id, job: *job }, Verdict::Failed, Some(why.clone()));
        }
        self.leave_out(id, chosen);
        u32::try_from(jobs).unwrap_or(u32::MAX)
    }

    /// By which definition it is made.
    fn shape_for(&mut self, start: &Start, interface: InterfaceId) -> Option<Arc<Shape>> {
        let pin = start.fill.as_ref().and_then(|fill| fill.pins.get(&interface).copied());
        let current = self.catalog.interfaces.get(&interface);
        let version = pin.filter(|version| self.catalog.at(interface, *version).is_some());
        let version = version.or(current.map(|interface| interface.version))?;
        let project = self.catalog.at(interface, version)?.project;
        Some(self.mesh.shape(&self.catalog, interface, version, project))
    }

    fn run_waits(
        &mut self,
        shape: &Shape,
        period: Period,
        siblings: &BTreeMap<(InterfaceId, Period), RunId>,
    ) -> BTreeSet<Target> {
        let mut waits = BTreeSet::new();
        for parent in &shape.interface.spec.parents {
            let periods = self.mapped(shape, period, parent.interface, parent.map);
            for of in periods {
                let coarser = shape.granularity() > of.granularity();
                let exact = siblings.get(&(parent.interface, of)).filter(|_| !coarser);
                waits.insert(match exact {
                    Some(run) => Target::Run(*run),
                    None => Target::Success(parent.interface, of),
                });
            }
        }
        let id = shape.interface.id;
        let previous = shape.cut.offset(period, -1);
        match (shape.interface.spec.self_dependence, previous) {
            (SelfDependence::None, _) | (_, None) => {}
            (SelfDependence::Idle, Some(previous)) => {
                waits.insert(Target::Idle(id, previous));
            }
            (SelfDependence::Succeeded, Some(previous)) => {
                waits.insert(Target::SuccessOrNone(id, previous));
            }
        }
        waits
    }

    fn needs(&mut self, shape: &Shape, index: usize, period: Period) -> BTreeSet<Target> {
        let mut waits = BTreeSet::new();
        for need in &shape.interface.jobs[index].spec.needs {
            for of in self.mapped(shape, period, need.interface, need.map) {
                waits.insert(Target::Job(need.interface, of, need.job));
            }
        }
        waits
    }

    /// The periods of a target that this period of ours needs. Of a target that is not there any
    /// more, or out of the calendar, the same one: it is waited for until the time-out, visibly.
    fn mapped(
        &mut self,
        shape: &Shape,
        period: Period,
        target: InterfaceId,
        map: PeriodMap,
    ) -> Vec<Period> {
        let Some(target) = self.mesh.current(&self.catalog, target) else { return vec![period] };
        period.map(map, shape.cut.zone, &target.cut).unwrap_or_else(|_| vec![period])
    }

    /// The waits of a run that is to go on after it had ended: of an exact run that will never
    /// succeed, any success counts instead.
    pub(crate) fn waits_again(&mut self, run: &Run) -> BTreeSet<Target> {
        let mut waits = BTreeSet::new();
        for &target in &run.waits {
            let instead = match target {
                Target::Run(parent) if self.met(target) == Met::Never => {
                    self.run(parent).map(|run| Target::Success(run.interface, run.period))
                }
                _ => None,
            };
            waits.insert(instead.unwrap_or(target));
        }
        self.unmet(waits)
    }
}
