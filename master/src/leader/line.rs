//! What one host is told, and the calls that are open to it. One `order` and one `watch` at a time.

use super::ops::{Orders, Pace, Watch};
use crate::engine::world::Todo;
use shared::ids::*;
use shared::wire::ORDERS_MAX;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub type HostOrders = Arc<BTreeMap<AttemptId, Todo>>;

#[derive(Clone, Copy, Debug)]
struct Open {
    number: u64,
    /// When it was made.
    at: Millis,
}

#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What the committed state wants of it.
    released: HostOrders,
    /// Of these, what it has not been told yet.
    untold: BTreeSet<AttemptId>,
    /// All of them are told again then.
    again: Millis,
    order: Option<Open>,
    watch: Option<Open>,
    /// After a failure it is left alone until then.
    rest: Millis,
    full_at: Option<Millis>,
    /// The answer that our last committed batch holds (rule H9).
    pub stored: Option<Answer>,
}

impl Line {
    /// The batch that wants this is stored.
    pub fn release(&mut self, orders: Option<&HostOrders>, tick: Millis, pace: &Pace) {
        let orders = orders.cloned().unwrap_or_default();
        if Arc::ptr_eq(&orders, &self.released) {
            return;
        }
        for (attempt, todo) in orders.iter() {
            if self.released.get(attempt) != Some(todo) {
                self.untold.insert(*attempt);
            }
        }
        self.untold.retain(|attempt| orders.contains_key(attempt));
        if self.released.is_empty() {
            self.again = tick + pace.order_again_ms;
        }
        self.released = orders;
    }

    pub fn released(&self) -> &HostOrders {
        &self.released
    }

    /// What to tell it now, if anything.
    pub fn orders(
        &mut self,
        tick: Millis,
        (number, leader): (u64, Reigning),
        pace: &Pace,
    ) -> Option<Orders> {
        if self.order.is_some_and(|open| tick < open.at + pace.call_timeout_ms) || tick < self.rest
        {
            return None;
        }
        if self.again <= tick && !self.released.is_empty() {
            self.untold = self.released.keys().copied().collect();
            self.again = tick + pace.order_again_ms;
        }
        if self.untold.is_empty() {
            return None;
        }
        let mut todo = Vec::new();
        while todo.len() < ORDERS_MAX
            && let Some(attempt) = self.untold.pop_first()
        {
            todo.extend(self.released.get(&attempt).copied());
        }
        self.order = Some(Open { number, at: tick });
        Some(Orders { leader, todo })
    }

    /// How the call went. What was lost with it is told again.
    pub fn ordered(&mut self, number: u64, done: bool, tick: Millis, pace: &Pace) {
        if self.order.is_none_or(|open| open.number != number) {
            return;
        }
        self.order = None;
        if !done {
            self.rest = tick + pace.call_again_ms;
            self.again = self.rest;
        }
    }

    /// The next watch, if none is open. `after`: the last answer applied.
    pub fn watch(
        &mut self,
        tick: Millis,
        (number, leader): (u64, Reigning),
        after: Option<Answer>,
        pace: &Pace,
    ) -> Option<Watch> {
        let hold_ms = pace.timing.watch_ms;
        let waits = |open: Open| {
            tick < open.at.saturating_add(hold_ms).saturating_add(pace.call_timeout_ms)
        };
        if self.watch.is_some_and(waits) || tick < self.rest {
            return None;
        }
        let full_at = *self.full_at.get_or_insert(tick + pace.full_every_ms);
        let full = full_at <= tick;
        if full {
            self.full_at = Some(tick + pace.full_every_ms);
        }
        self.watch = Some(Open { number, at: tick });
        Some(Watch { leader, after: after.filter(|_| !full), stored: self.stored, hold_ms })
    }

    /// Whether this is the answer to the newest call: a call is made when the one before was
    /// answered or given up, so these answers were given in the order in which they come (rule H3).
    pub fn watched(&mut self, number: u64, done: bool, tick: Millis, pace: &Pace) -> bool {
        let newest = self.watch.is_some_and(|open| open.number == number);
        if newest {
            self.watch = None;
            if !done {
                self.rest = tick + pace.call_again_ms;
            }
        }
        newest && done
    }
}
