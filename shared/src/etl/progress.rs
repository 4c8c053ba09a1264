//! When a run that goes on says how far it is: pure, asked by who stands before Kettle and Hop.

use super::counts::{Counts, EVERY_MS};
use crate::ids::Millis;

/// What was said last, and when to look again.
#[derive(Clone, Debug)]
pub struct Progress {
    said: Counts,
    due: Millis,
}

impl Progress {
    pub fn new(now: Millis) -> Progress {
        Progress { said: Counts::default(), due: now + EVERY_MS }
    }

    /// Nothing is said before.
    pub fn due(&self) -> Millis {
        self.due
    }

    /// What is to be said now. A long line is said less often: a byte in a millisecond, so that they
    /// never are what fills an output.
    pub fn line(&mut self, now: Millis, counts: &Counts) -> Option<String> {
        if now < self.due {
            return None;
        }
        self.due = now + EVERY_MS;
        if counts.is_empty() || *counts == self.said {
            return None;
        }
        let line = counts.line();
        self.due = now + EVERY_MS.max(Millis::try_from(line.len()).unwrap_or(Millis::MAX / 2));
        self.said = counts.clone();
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counts::Step;
    use super::*;

    #[test]
    fn only_news_is_said_and_not_too_often() {
        let mut progress = Progress::new(0);
        let mut counts = Counts::default();
        assert_eq!(progress.line(EVERY_MS, &counts), None, "nothing to tell");
        counts.add(Step { name: "a".into(), at_row: 1_000, ..Step::default() });
        assert_eq!(progress.line(EVERY_MS + 1, &counts), None, "too early");
        assert_eq!(progress.line(2 * EVERY_MS, &counts), Some(counts.line()));
        assert_eq!(progress.line(3 * EVERY_MS, &counts), None, "no news");
        (0..150).for_each(|n| {
            counts.add(Step { name: "x".repeat(60) + &n.to_string(), ..Step::default() })
        });
        let long = progress.line(4 * EVERY_MS, &counts).unwrap();
        assert!(long.len() > 10_000);
        assert_eq!(progress.due(), 4 * EVERY_MS + i64::try_from(long.len()).unwrap());
    }
}
