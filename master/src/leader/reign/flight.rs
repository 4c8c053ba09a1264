//! Batches, one at a time: what is pending takes off, its answer is judged, and what it wants of the
//! hosts is released when it lands (rule L3).

use super::super::away::Asked;
use super::super::line::HostOrders;
use super::super::ops::*;
use super::{Bad, Next, Reign};
use crate::engine::World;
use crate::engine::rows::*;
use crate::engine::world::Event;
use shared::ids::*;
use shared::sabotage::Sabotage;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Flight {
    batch: Batch,
    /// Becomes `released` with the commit.
    then: Released,
    /// The last event whose changes are in it.
    step: u64,
    doubtful: bool,
    asked: Asked,
}

/// What the committed state wants of the hosts, and the answers it rests on.
#[derive(Clone, Debug, Default)]
pub(super) struct Released {
    pub(super) orders: BTreeMap<HostId, HostOrders>,
    pub(super) bases: BTreeMap<HostId, (Answer, Millis)>,
}

impl Reign {
    /// The batch in the air: since when, and how it has gone so far.
    pub(in super::super) fn asked_to_store(&self) -> Option<Asked> {
        self.flight.as_ref().map(|flight| flight.asked)
    }

    /// The question that the flight has: one at a time.
    pub(in super::super) fn question(&self, tick: Millis) -> Option<DbOp> {
        let flight = self.flight.as_ref().filter(|_| self.rest <= tick)?;
        Some(match flight.doubtful {
            true => DbOp::Leader,
            false => DbOp::Commit(flight.batch.clone()),
        })
    }

    pub(in super::super) fn answered(
        &mut self,
        (tick, wall): (Millis, Millis),
        answer: Option<DbAnswer>,
    ) -> Next {
        let Some(mut flight) = self.flight.take() else { return Next::Lead };
        match answer {
            None if self.has(Sabotage::UnknownIsDone) => self.land(flight, (tick, wall)),
            None if self.has(Sabotage::UnknownIsNotDone) => {
                for (key, row) in flight.batch.changes {
                    self.pending.entry(key).or_insert(row);
                }
            }
            None => {
                (flight.doubtful, flight.asked.failed) = (true, true);
                self.flight = Some(flight);
            }
            Some(DbAnswer::Committed) => self.land(flight, (tick, wall)),
            Some(DbAnswer::Leader { leader, server } | DbAnswer::Refused { leader, server }) => {
                return self.judge(flight, (&leader, &server), (tick, wall));
            }
            Some(DbAnswer::Edited) => return Next::Reload(None),
            Some(DbAnswer::BadItem(key, why)) if !self.has(Sabotage::BadItemFailsBatch) => {
                let cause = cause(&flight.batch.changes, &self.world, key);
                tracing::error!(?key, ?cause, "a row cannot be stored: {why}");
                if let Some(cause) = cause {
                    return Next::Reload(Some(cause));
                }
                self.again(flight, tick);
            }
            Some(_) => self.again(flight, tick),
        }
        Next::Lead
    }

    /// It is certain that nothing is stored: the very same, a little later.
    fn again(&mut self, mut flight: Flight, tick: Millis) {
        flight.asked.failed = true;
        self.rest = tick + self.pace.poll_ms;
        self.flight = Some(flight);
    }

    /// The row says what became of a batch (rule L3).
    fn judge(
        &mut self,
        mut flight: Flight,
        (leader, server): (&LeaderRow, &str),
        (tick, wall): (Millis, Millis),
    ) -> Next {
        if !self.is_ours(leader, server) {
            return Next::Deposed;
        }
        if leader.batch == flight.batch.batch + 1 {
            self.land(flight, (tick, wall));
        } else if leader.batch == flight.batch.batch {
            flight.doubtful = false; // not done: the very same again
            self.flight = Some(flight);
        } else {
            return Next::Deposed;
        }
        Next::Lead
    }

    /// One batch at a time. It may be empty, for it also proves that we still lead: that is what
    /// `retry` jobs live on (rule H9).
    pub(super) fn take_off(&mut self, tick: Millis) {
        if self.flight.is_some() || self.rest > tick {
            return;
        }
        let idle = self.pending.is_empty() && self.orders_are_released();
        let proof = self.world.due().leased > 0 && self.took_off + self.pace.tick_ms <= tick;
        if idle && !proof {
            return;
        }
        self.took_off = tick;
        let changes: Vec<Change> = std::mem::take(&mut self.pending).into_iter().collect();
        let fires = match self.has(Sabotage::FiringAnyRevision) {
            true => Vec::new(),
            false => fires(&changes),
        };
        let answers = self.world.fleet.hosts.iter();
        let then = Released {
            orders: self.world.due().orders.clone(),
            bases: answers
                .filter_map(|(&host, seen)| Some((host, (seen.answer?, seen.at?))))
                .collect(),
        };
        if self.has(Sabotage::OrderBeforeCommit) {
            self.release(then.clone(), tick);
        }
        let LeaderRow { epoch, holder, batch, server } = self.row.clone();
        let batch = Batch { epoch, holder, batch, server, fires, changes };
        let asked = Asked::from(tick);
        self.flight = Some(Flight { batch, then, step: self.world.step(), doubtful: false, asked });
    }

    fn orders_are_released(&self) -> bool {
        let (wanted, released) = (&self.world.due().orders, &self.released.orders);
        let same = |host: &HostId, orders: &HostOrders| {
            wanted.get(host).is_some_and(|wanted| std::sync::Arc::ptr_eq(wanted, orders))
        };
        wanted.len() == released.len() && released.iter().all(|(host, orders)| same(host, orders))
    }

    fn land(&mut self, flight: Flight, (tick, wall): (Millis, Millis)) {
        self.row.batch = flight.batch.batch + 1;
        self.release(flight.then, tick);
        self.apply(self.now(tick, wall), Event::Stored(flight.step));
    }

    fn release(&mut self, then: Released, tick: Millis) {
        for (&host, line) in &mut self.lines {
            line.release(then.orders.get(&host), tick, &self.pace);
            line.stored = then.bases.get(&host).copied();
        }
        self.released = then;
    }
}

/// The versions that the firings of a batch were computed from.
fn fires(changes: &[Change]) -> Vec<(DispatchId, i64)> {
    let fired = changes.iter().filter_map(|(key, row)| match (key, row) {
        (Key::Firing(dispatch, _), Some(Row::Firing(firing))) => Some((*dispatch, firing.version)),
        _ => None,
    });
    fired.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What made a row: only that can be set aside.
fn cause(changes: &[Change], world: &World, key: Key) -> Option<Bad> {
    // While its own row is not stored there is nothing to be paused.
    let backfill = |id: CommandId| match changes.iter().any(|(key, _)| *key == Key::Command(id)) {
        true => Bad::Command(id),
        false => Bad::Backfill(id),
    };
    let execution = |id: ExecutionId| {
        changes.iter().find_map(|change| match change {
            (Key::Execution(key), Some(Row::Execution(row))) if *key == id => {
                // A dispatch that a person runs has both.
                let firing = row.dispatch.map(|(d, instant)| Bad::Firing(d, instant));
                let asked = row.command.map(|id| match row.origin {
                    Origin::Backfill => backfill(id),
                    _ => Bad::Command(id),
                });
                asked.or(firing)
            }
            _ => None,
        })
    };
    let run = |id: RunId| execution(world.run(id)?.execution);
    match key {
        Key::Firing(dispatch, instant) => Some(Bad::Firing(dispatch, instant)),
        Key::Command(id) => Some(Bad::Command(id)),
        Key::Backfill(id) => Some(backfill(id)),
        Key::Execution(id) => execution(id),
        Key::Run(id) => run(id),
        Key::JobRun(id) => run(id.run),
        Key::Attempt(_) | Key::Dispatch(_) | Key::Doubt(_) | Key::Outbox(_) => None,
    }
}
