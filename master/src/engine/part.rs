//! Runs of some of their jobs only. Of the others counts what they have done in an earlier generation;
//! where one of them has never succeeded, the run is *partial*: its success is none of its period.

use super::dag::Shape;
use super::execution::fill_of;
use super::expand::{After, Again, Start};
use super::reason::Reason;
use super::rows::*;
use super::world::{Step, World};
use shared::ids::*;
use shared::period::Period;
use std::collections::BTreeMap;

/// What is asked for of the jobs of a new run.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Those that are not, and the generation in which each has succeeded.
    pub(super) rest: BTreeMap<JobId, Option<u32>>,
    /// This one begins whatever the jobs before it have come to.
    here: Option<JobId>,
}

impl Chosen {
    pub(super) fn has(&self, job: JobId) -> bool {
        !self.rest.contains_key(&job)
    }

    pub(super) fn is_partial(&self) -> bool {
        self.rest.values().any(Option::is_none)
    }

    pub(super) fn forced(&self, job: JobId) -> Forced {
        if self.here == Some(job) { Forced::Edges } else { Forced::Not }
    }
}

impl World {
    pub(super) fn chosen(
        &self,
        shape: &Shape,
        period: Period,
        part: Option<(JobId, Part)>,
    ) -> Chosen {
        let Some((job, part)) = part else { return Chosen::default() };
        let asked = shape.part(job, part);
        let rest = (0..shape.nodes.len()).filter(|at| !asked.contains(at));
        let rest = rest.map(|at| shape.nodes[at].job);
        let slice = (shape.interface.id, period);
        let rest = rest.map(|job| (job, self.succeeded_in(slice, job))).collect();
        Chosen { rest, here: (part != Part::To).then_some(job) }
    }

    /// The newest generation in which it has.
    fn succeeded_in(&self, slice: (InterfaceId, Period), job: JobId) -> Option<u32> {
        let runs = self.slices.runs(slice).filter_map(|id| Some((id, self.run(id)?)));
        let ok = |(id, run): &(RunId, &Run)| self.has_succeeded(JobRunId { run: *id, job }, run);
        runs.filter(ok).map(|(_, run)| run.generation).max()
    }

    /// The run that has succeeded and need not be made again, if there is one: also where some of its
    /// jobs were run by themselves since.
    pub(super) fn counted(&self, id: RunId, run: &Run, again: Again) -> Option<RunId> {
        if run.is_success() {
            return (!again.is_asked_for(id, run)).then_some(id);
        }
        let before = run.state == RunState::Succeeded && again == Again::None;
        let runs = self.slices.runs((run.interface, run.period)).filter(|_| before);
        runs.filter(|id| self.run(*id).is_some_and(Run::is_success)).last()
    }

    pub(super) fn leave_out(&mut self, run: RunId, chosen: Chosen) {
        for (job, before) in chosen.rest {
            let (verdict, why) = match before {
                Some(generation) => (Verdict::Succeeded, Reason::TakenOver { generation }),
                None => (Verdict::LeftOut, Reason::LeftOut {}),
            };
            self.finish(JobRunId { run, job }, verdict, Some(why));
        }
    }

    /// A run of some jobs only has ended. The executions that had joined it need all of them: one
    /// run is made for them all.
    pub(crate) fn make_whole(&mut self, part: RunId) {
        let Some(run) = self.run(part).cloned() else { return };
        let joined = self.joined(part, run.execution);
        if self.mesh.current(&self.catalog, run.interface).is_none() {
            return; // deleted since: there is no whole of it
        }
        let Some(first) = joined.first().copied() else { return };
        let Some(row) = self.table.executions.get(&first).cloned() else { return };
        let (interface, period, generation) = (run.interface, run.period, run.generation + 1);
        let id = RunId::of(interface, period, generation);
        let siblings = row.runs.iter().filter_map(|id| Some((*id, self.run(*id)?)));
        let siblings = siblings.filter(|(_, run)| !run.partial);
        let siblings = siblings.map(|(id, run)| ((run.interface, run.period), id)).collect();
        let fill = fill_of(&row).and_then(|of| self.fill_by(of));
        let start = Start {
            id: first,
            origin: row.origin,
            dispatch: row.dispatch,
            command: row.command,
            by: row.by,
            interface: row.interface,
            period: row.period,
            cascade: row.cascade,
            params: row.params,
            again: Again::None,
            part: None,
            paused: false,
            after: After::new(),
            fill,
        };
        self.expand(id, (interface, period, generation), &start, &siblings);
        for execution in joined {
            let Some(mut row) = self.table.executions.get(&execution).cloned() else { continue };
            for of in row.runs.iter_mut().filter(|of| **of == part) {
                *of = id;
            }
            self.put(Key::Execution(execution), Row::Execution(row));
        }
        self.agenda.push_back(Step::Settle(id));
    }
}
