//! Whose output has grown or is at its end: told to the agent that ships it.
//!
//! Pure. What runs stays listed; what has ended, until the agent has heard it, or until there is too
//! much of it: then the agent is told that it has missed something, and looks at the disk.

use super::talk::{Grown, Outputs};
use shared::ids::{AttemptId, Incarnation};
use std::collections::{BTreeMap, HashMap};

/// In one answer.
const LISTED_MAX: usize = 2_000;
/// Ended ones that nobody has asked for.
const ENDED_MAX: usize = 20_000;

/// Empty, and it stays so, where nothing is shipped.
#[derive(Debug)]
pub struct Outlet {
    ships: bool,
    /// Of this list: a re-execution begins another one.
    life: Incarnation,
    seq: u64,
    /// By the change that made them so.
    grown: BTreeMap<u64, Grown>,
    running: HashMap<AttemptId, u64>,
    /// What was dropped unheard had changed up to here.
    missed: u64,
}

impl Outlet {
    pub fn new(life: Incarnation, ships: bool) -> Outlet {
        let (grown, running) = (BTreeMap::new(), HashMap::new());
        Outlet { ships, life, seq: 0, grown, running, missed: 0 }
    }

    pub fn note(&mut self, grown: Grown) {
        if !self.ships {
            return;
        }
        self.seq += 1;
        if let Some(before) = self.running.remove(&grown.attempt) {
            self.grown.remove(&before);
        }
        if !grown.ended {
            self.running.insert(grown.attempt, self.seq);
        }
        self.grown.insert(self.seq, grown);
        while self.grown.len() - self.running.len() > ENDED_MAX {
            let Some(oldest) = self.grown.iter().find(|(_, grown)| grown.ended) else { return };
            self.missed = *oldest.0;
            self.grown.remove(&self.missed);
        }
    }

    /// What has changed after `after`, which has been heard. (Of another life: all that runs.)
    pub fn since(&mut self, life: Incarnation, after: u64) -> Outputs {
        let after = if life == self.life { after } else { 0 };
        let heard: Vec<u64> = self
            .grown
            .range(..=after)
            .filter(|(_, grown)| grown.ended)
            .map(|(at, _)| *at)
            .collect();
        heard.iter().for_each(|at| _ = self.grown.remove(at));
        let news = self.grown.range(after + 1..).take(LISTED_MAX);
        let listed: Vec<(u64, Grown)> = news.map(|(at, grown)| (*at, *grown)).collect();
        let seq = listed.last().map_or(self.seq, |(at, _)| *at);
        Outputs {
            ships: self.ships,
            life: self.life,
            seq,
            more: seq < self.seq && listed.len() == LISTED_MAX,
            missed: self.missed > after,
            listed: listed.into_iter().map(|(_, grown)| grown).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::{JobId, RunId};

    const LIFE: Incarnation = Incarnation(7);

    fn grown(number: u32, out: u64, ended: bool) -> Grown {
        let attempt = AttemptId { run: RunId(1), job: JobId(1), number, reign: 1 };
        Grown { attempt, out, err: 0, ended }
    }

    #[test]
    fn what_runs_stays_and_what_has_ended_is_told_until_it_is_heard() {
        let mut outlet = Outlet::new(LIFE, true);
        outlet.note(grown(1, 0, false));
        outlet.note(grown(2, 5, true));
        outlet.note(grown(1, 9, false));
        let first = outlet.since(Incarnation(0), 55);
        assert_eq!(
            (first.listed, first.missed),
            (vec![grown(2, 5, true), grown(1, 9, false)], false)
        );
        // Unheard, it is told again; heard, only what has changed since.
        assert_eq!(outlet.since(LIFE, 0).listed.len(), 2);
        assert!(outlet.since(LIFE, first.seq).listed.is_empty());
        outlet.note(grown(1, 10, true));
        assert_eq!(outlet.since(LIFE, first.seq).listed, [grown(1, 10, true)]);
        assert_eq!(outlet.since(Incarnation(0), 0).listed, [grown(1, 10, true)]);
    }

    #[test]
    fn nobody_asks_and_it_stays_small() {
        let mut outlet = Outlet::new(LIFE, true);
        outlet.note(grown(0, 1, false));
        for number in 1..=30_000 {
            outlet.note(grown(number, 1, true));
        }
        assert_eq!(outlet.grown.len(), ENDED_MAX + 1);
        let mut after = 0;
        let mut count = 0;
        loop {
            let told = outlet.since(LIFE, after);
            assert_eq!(told.missed, after < 10_001, "{after}");
            (after, count) = (told.seq, count + told.listed.len());
            if !told.more {
                break;
            }
        }
        assert_eq!((count, after), (ENDED_MAX + 1, 30_001));
        let mut none = Outlet::new(LIFE, false);
        none.note(grown(1, 1, true));
        let told = none.since(LIFE, 0);
        assert!(told.listed.is_empty() && !told.ships);
    }
}
