//! Whether what was told is what has happened.

use super::*;

impl World {
    pub(super) fn judge_begin(&mut self) {
        let seen = self.ends.iter().filter(|end| matches!(end, End::Seen(_))).count();
        let failed = seen + self.halted;
        // What is lost with its server may be submitted anew only where that was asked for.
        if !self.again && self.ran.len() > failed + 1 {
            self.break_it("it has run more often than its attempts were seen to end");
        }
    }

    pub(super) fn judge_told(&mut self, end: End) {
        let End::Seen(told) = end else { return };
        let since = self.ends.iter().rev().take_while(|end| **end == End::Unseen).count();
        let from = self.ends.len() - since + 1;
        let own: BTreeSet<String> =
            (from..=self.ends.len() + 1).map(|n| key(u32::try_from(n).unwrap())).collect();
        let mut ran = self.ran.iter().filter(|ran| own.contains(&ran.name));
        let (count, last) = (ran.clone().count(), ran.next_back().map(|ran| ran.end));
        let wrong = match told {
            Told::Ended(ended) => last != Some(Some(ended)),
            Told::NotBegun => count > 0,
            // One that has begun has ended by now, in whatever way.
            Told::Stopped => last == Some(None),
            Told::Gone => last == Some(None),
        };
        if wrong {
            self.break_it(&format!("{told:?} is told, and {count} have run, the last {last:?}"));
        }
    }

    pub(super) fn judge_end(&mut self) {
        let stopping = self.told_to_stop || self.timed_out > RETRIES;
        let unseen = stopping && self.ends.last() == Some(&End::Unseen);
        if !unseen && self.ran.iter().any(|ran| ran.end.is_none() && ran.until > self.now) {
            self.break_it("something runs that nobody looks on");
        }
    }
}
