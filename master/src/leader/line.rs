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
    /// The answer that our last committed batch holds (rule H9), and when it was heard.
    pub stored: Option<(Answer, Millis)>,
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

    fn answer(&self) -> Option<Answer> {
        self.stored.map(|(answer, _)| answer)
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
        Some(Orders { leader, stored: self.answer(), todo })
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
        Some(Watch { leader, after: after.filter(|_| !full), stored: self.answer(), hold_ms })
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

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: Reigning = Reigning { epoch: 1, holder: 9 };

    fn pace() -> Pace {
        Pace::default()
    }

    fn orders(numbers: impl IntoIterator<Item = u32>) -> HostOrders {
        let kill = |number| {
            let attempt = AttemptId { run: RunId(1), job: JobId(1), number, reign: 9 };
            let incarnation = Incarnation(7);
            (attempt, Todo::Kill { attempt, incarnation, grace_ms: 0 })
        };
        Arc::new(numbers.into_iter().map(kill).collect())
    }

    fn numbers(orders: Option<Orders>) -> Vec<u32> {
        let todo = orders.map(|orders| orders.todo).unwrap_or_default();
        todo.iter().map(|todo| todo.attempt().number).collect()
    }

    #[test]
    fn new_orders_go_at_once_and_what_stays_due_goes_again() {
        let mut line = Line::default();
        line.release(Some(&orders([1, 2])), 0, &pace());
        assert_eq!(numbers(line.orders(0, (1, LEADER), &pace())), [1, 2]);
        line.release(Some(&orders([2, 3])), 5, &pace());
        assert_eq!(
            numbers(line.orders(5, (2, LEADER), &pace())),
            Vec::<u32>::new(),
            "one call at a time"
        );
        line.ordered(1, true, 10, &pace());
        assert_eq!(numbers(line.orders(10, (2, LEADER), &pace())), [3]);
        line.ordered(2, true, 20, &pace());
        assert_eq!(numbers(line.orders(1_999, (3, LEADER), &pace())), Vec::<u32>::new());
        assert_eq!(numbers(line.orders(2_000, (3, LEADER), &pace())), [2, 3]);
    }

    #[test]
    fn what_was_lost_with_its_call_goes_again_soon() {
        let mut line = Line::default();
        line.release(Some(&orders([1])), 0, &pace());
        assert_eq!(numbers(line.orders(0, (1, LEADER), &pace())), [1]);
        line.ordered(1, false, 10, &pace());
        assert_eq!(numbers(line.orders(11, (2, LEADER), &pace())), Vec::<u32>::new());
        assert_eq!(numbers(line.orders(510, (2, LEADER), &pace())), [1]);
        line.release(None, 511, &pace());
        line.ordered(2, true, 512, &pace());
        assert_eq!(
            numbers(line.orders(9_999, (3, LEADER), &pace())),
            Vec::<u32>::new(),
            "nothing is due any more"
        );
    }

    #[test]
    fn only_the_answer_to_the_newest_watch_counts() {
        let mut line = Line::default();
        assert!(line.watch(0, (1, LEADER), None, &pace()).is_some());
        assert!(line.watch(6_999, (2, LEADER), None, &pace()).is_none());
        assert!(line.watch(7_000, (2, LEADER), None, &pace()).is_some(), "the first is given up");
        assert!(!line.watched(1, true, 7_001, &pace()));
        assert!(line.watched(2, true, 7_002, &pace()));
        assert!(!line.watched(2, true, 7_003, &pace()));
    }

    #[test]
    fn a_full_list_is_asked_for_now_and_then() {
        let mut line = Line::default();
        let after = Some(Answer { incarnation: Incarnation(7), seq: 5 });
        let first = line.watch(0, (1, LEADER), after, &pace()).unwrap();
        assert_eq!(first.after, after);
        line.watched(1, true, 1, &pace());
        let later = line.watch(600_000, (2, LEADER), after, &pace()).unwrap();
        assert_eq!(later.after, None);
        line.watched(2, true, 600_001, &pace());
        let next = line.watch(600_002, (3, LEADER), after, &pace()).unwrap();
        assert_eq!(next.after, after);
    }
}
