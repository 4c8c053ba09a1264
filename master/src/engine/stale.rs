//! Stale marks: what was fed by a generation that has since been made again.
//!
//! They are for people: nothing is decided by them. What is not resident is loaded for it.

use super::rows::*;
use super::world::{Ask, Step, World};
use shared::ids::*;
use shared::period::Period;
use shared::spec::PeriodMap;
use std::collections::BTreeSet;

impl World {
    /// The run has succeeded as a later generation, or has become stale: those that it fed, if they
    /// have ended, are stale.
    pub(crate) fn pass_on_stale(&mut self, id: RunId) {
        let Some(run) = self.run(id) else { return };
        if run.generation == 0 && !run.stale {
            return;
        }
        let (interface, period, since) =
            (run.interface, run.period, run.ended.or(Some(run.created)));
        let fresh = !run.stale;
        for child in self.mesh.children.get(&interface).cloned().unwrap_or_default() {
            for of in self.fed(interface, period, child) {
                let slice = (child, of);
                if !self.slices.is_decidable(slice) {
                    self.due.load.insert(Ask::Slice(child, of));
                    self.slices.stale.entry(slice).or_default().insert(id);
                    continue;
                }
                let Some(latest) = self.slices.latest(slice) else { continue };
                let Some(fed) = self.run(latest) else { continue };
                let older = !fresh || fed.ended <= since;
                if fed.state == RunState::Succeeded && !fed.stale && older {
                    let fed = Run { stale: true, ..fed.clone() };
                    self.slices.touch(slice, self.step);
                    self.put(Key::Run(latest), Row::Run(fed));
                    self.agenda.push_back(Step::Stale(latest));
                }
            }
        }
    }

    /// The periods of a child that this period of ours feeds.
    fn fed(&mut self, parent: InterfaceId, period: Period, child: InterfaceId) -> BTreeSet<Period> {
        let Some(ours) = self.mesh.current(&self.catalog, parent) else { return BTreeSet::new() };
        let Some(theirs) = self.mesh.current(&self.catalog, child) else { return BTreeSet::new() };
        let map = |map| period.map(map, ours.cut.zone, theirs.cut).unwrap_or_default();
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
