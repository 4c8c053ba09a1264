//! Stale marks: what was fed by a generation that has since been made again.
//!
//! They are for people: nothing is decided by them. What is not resident is loaded for it.

use super::dag::Shape;
use super::rows::*;
use super::slice::SliceId;
use super::world::{Ask, Step, World};
use shared::ids::*;
use shared::period::{PERIODS_MAX, Period};
use shared::spec::PeriodMap;
use std::collections::BTreeSet;

impl World {
    /// The run has succeeded, or has become stale: what it fed is stale, if it has ended or is at work.
    /// What waits yet will be fed by the new one.
    pub(crate) fn pass_on_stale(&mut self, id: RunId) {
        let Some(run) = self.run(id) else { return };
        if run.generation == 0 && !run.stale {
            return;
        }
        let (interface, period, since) =
            (run.interface, run.period, run.ended.or(Some(run.created)));
        let fresh = !run.stale;
        if run.is_success() {
            self.supersede(id, (interface, period));
        }
        for child in self.mesh.children.get(&interface).cloned().unwrap_or_default() {
            for of in self.fed(interface, period, child) {
                let slice = (child, of);
                if !self.slices.is_decidable(slice) {
                    self.due.load.insert(Ask::Slice(child, of));
                    self.slices.stale.entry(slice).or_default().insert(id);
                    continue;
                }
                let older = |run: &Run| !fresh || run.ended <= since;
                self.mark_stale(slice, older);
            }
        }
    }

    /// The newest success of a slice, and a later run that is at work.
    fn mark_stale(&mut self, slice: SliceId, older: impl Fn(&Run) -> bool) {
        let runs: Vec<RunId> = self.slices.runs(slice).collect();
        for id in runs.into_iter().rev() {
            let Some(run) = self.run(id) else { continue };
            let succeeded = run.is_success();
            if (succeeded && older(run) || run.state == RunState::Running) && !run.stale {
                let run = Run { stale: true, ..run.clone() };
                self.slices.touch(slice, self.step);
                self.put(Key::Run(id), Row::Run(run));
                if succeeded {
                    self.agenda.push_back(Step::Stale(id));
                }
            }
            if succeeded {
                break;
            }
        }
    }

    /// Generations before this one count no more: nobody need make them anew.
    fn supersede(&mut self, id: RunId, slice: SliceId) {
        for other in self.slices.runs(slice).take_while(|other| *other != id).collect::<Vec<_>>() {
            if let Some(run) = self.run(other).filter(|run| run.stale) {
                let run = Run { stale: false, ..run.clone() };
                self.put(Key::Run(other), Row::Run(run));
            }
        }
    }

    /// The periods of a child that this period of ours feeds.
    fn fed(&mut self, parent: InterfaceId, period: Period, child: InterfaceId) -> BTreeSet<Period> {
        let Some(ours) = self.mesh.current(&self.catalog, parent) else { return BTreeSet::new() };
        let Some(theirs) = self.mesh.current(&self.catalog, child) else { return BTreeSet::new() };
        if ours.cut.calendar.is_some() || theirs.cut.calendar.is_some() {
            return fed_by_days(period, parent, (&ours, &theirs));
        }
        let map = |map| period.map(map, ours.cut.zone, &theirs.cut).unwrap_or_default();
        let mut fed = BTreeSet::new();
        let edges = theirs.interface.spec.parents.iter();
        for edge in edges.filter(|edge| edge.interface == parent) {
            match edge.map {
                PeriodMap::Same | PeriodMap::AllWithin | PeriodMap::LastWithin => {
                    fed.extend(map(PeriodMap::Same));
                }
                PeriodMap::Offset(steps) => {
                    fed.extend(map(PeriodMap::Offset(steps.saturating_neg())));
                }
                PeriodMap::Previous(count) => {
                    for step in 1..=i32::try_from(count.min(400)).unwrap_or(400) {
                        fed.extend(map(PeriodMap::Offset(step)));
                    }
                }
            }
        }
        fed
    }
}

/// Where days are left out, steps there and back are not each other's opposite: each period that
/// might wait for ours is asked.
fn fed_by_days(
    period: Period,
    parent: InterfaceId,
    (ours, theirs): (&Shape, &Shape),
) -> BTreeSet<Period> {
    let mut fed = BTreeSet::new();
    for edge in theirs.interface.spec.parents.iter().filter(|edge| edge.interface == parent) {
        let (back, ahead) = match edge.map {
            PeriodMap::Same | PeriodMap::AllWithin | PeriodMap::LastWithin => (0, 0),
            PeriodMap::Offset(steps) => (i64::from(steps.max(0)), i64::from(steps.min(0).abs())),
            PeriodMap::Previous(count) => (0, i64::from(count.min(400))),
        };
        // One step more, as between two working days there may be many others.
        let more = i64::from(back + ahead > 0);
        let first = ours.cut.offset(period, -back - more).unwrap_or(period);
        let last = ours.cut.offset(period, ahead + more).unwrap_or(period);
        let until = last.end_ms(ours.cut.zone);
        let mut next = Some(theirs.cut.containing(first.start_ms(ours.cut.zone)));
        for _ in 0..PERIODS_MAX {
            let Some(of) = next.filter(|of| of.start_ms(theirs.cut.zone) < until) else { break };
            let needs = of.map(edge.map, theirs.cut.zone, &ours.cut).unwrap_or_default();
            if theirs.cut.has(of) && needs.contains(&period) {
                fed.insert(of);
            }
            next = of.offset(1, theirs.cut.zone);
        }
    }
    fed
}
