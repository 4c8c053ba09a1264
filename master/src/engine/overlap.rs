//! Overlap: what an instant does while executions that its dispatch has fired before still live.

use super::catalog::Dispatch;
use super::expand::{After, Members};
use super::reason::Reason;
use super::rows::*;
use super::world::World;
use shared::ids::*;
use shared::spec::Overlap;
use std::collections::BTreeSet;

impl World {
    /// Whether it may fire, and what the new runs wait for; what is to be cancelled is stopped.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn room(&mut self, dispatch: &Dispatch, members: &Members) -> Result<After, Reason> {
        let live: Vec<ExecutionId> = self.folds.fired_by(dispatch.id).collect();
        let still = Reason::StillRuns { n: live.len() };
        match dispatch.spec.overlap {
            Overlap::Skip if !live.is_empty() => return Err(still),
            Overlap::Parallel(most) if live.len() >= most as usize => return Err(still),
            Overlap::Queue => return Ok(self.after(&live)),
            Overlap::Cancel => self.cancel(&live, members),
            Overlap::Allow | Overlap::Skip | Overlap::Parallel(_) => {}
        }
        Ok(After::new())
    }

    /// A run begins when those of its interface have ended, however: the last one waits already for
    /// those before it.
    fn after(&self, live: &[ExecutionId]) -> After {
        let mut after = After::new();
        let runs = live.last().and_then(|id| self.table.executions.get(id)).map(|row| &row.runs);
        for run in runs.into_iter().flatten().filter_map(|run| self.run(*run)) {
            let target = Target::Idle(run.interface, run.period);
            after.entry(run.interface).or_default().insert(target);
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
            _ = self.stop(&runs);
        }
    }
}
