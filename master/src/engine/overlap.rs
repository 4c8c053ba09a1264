//! Overlap: what an instant does while executions that its dispatch has fired before still live.

use super::catalog::Dispatch;
use super::expand::{After, Members};
use super::reason::Reason;
use super::rows::*;
use super::world::World;
use shared::ids::*;
use shared::spec::Overlap;
use std::collections::BTreeSet;

/// Executions of one dispatch that wait for each other; beyond them an instant is skipped.
const QUEUE_MAX: usize = 100;

impl World {
    /// Whether it may fire, and what the new runs wait for; what is to be cancelled is stopped.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn room(&mut self, dispatch: &Dispatch, members: &Members) -> Result<After, Reason> {
        // The usual one looks at nothing: hundreds may live.
        if dispatch.spec.overlap == Overlap::Allow {
            return Ok(After::new());
        }
        let live: Vec<ExecutionId> = self.folds.fired_by(dispatch.id).collect();
        let still = Reason::StillRuns { n: live.len() };
        match dispatch.spec.overlap {
            Overlap::Skip if !live.is_empty() => return Err(still),
            Overlap::Parallel(most) if live.len() >= most as usize => return Err(still),
            Overlap::Queue if live.len() >= QUEUE_MAX => return Err(still),
            Overlap::Queue => return Ok(self.after(&live, members)),
            Overlap::Cancel => self.cancel(&live, members),
            Overlap::Allow | Overlap::Skip | Overlap::Parallel(_) => {}
        }
        Ok(After::new())
    }

    /// A run begins when those of its interface that live, for earlier periods, have ended, however.
    /// All of them, as one between may end without having begun. Earlier ones only, and none that the
    /// new execution has too, so that no two ever wait for each other.
    fn after(&self, live: &[ExecutionId], members: &Members) -> After {
        let own: BTreeSet<_> = members.iter().copied().collect();
        let mut after = After::new();
        let rows = live.iter().filter_map(|id| self.table.executions.get(id));
        for run in rows.flat_map(|row| &row.runs).filter_map(|run| self.run(*run)) {
            if run.state.is_live() && !own.contains(&(run.interface, run.period)) {
                let target = Target::Idle(run.interface, run.period);
                after.entry(run.interface).or_default().insert(target);
            }
        }
        after
    }

    /// Runs that the new execution needs itself are joined, not stopped.
    fn cancel(&mut self, live: &[ExecutionId], members: &Members) {
        let needed: BTreeSet<_> = members.iter().copied().collect();
        for id in live {
            let mut runs = self.own_runs(*id).unwrap_or_default();
            runs.retain(|run| {
                self.run(*run).is_none_or(|run| !needed.contains(&(run.interface, run.period)))
            });
            // Nothing of it lives: then there is nothing to stop.
            _ = self.stop(&runs, &Reason::Overtaken {});
        }
    }
}
