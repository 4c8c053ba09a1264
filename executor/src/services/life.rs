//! The life of one service, pure: when it is started, started again, killed.

use shared::ids::Millis;

/// Between an end and the next start, at first and at most.
const DELAY_MS: (Millis, Millis) = (1_000, 60_000);
/// Who lived longer than this is started again soon.
const LONG_LIFE_MS: Millis = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be started then.
    Waits(Millis),
    Runs {
        pid: i32,
        started: Millis,
    },
    /// Told to end; killed then.
    Ends {
        pid: i32,
        kill_at: Millis,
    },
    /// Its first process has obeyed (a script does at once); what it has started may need longer.
    Lingers {
        kill_at: Millis,
    },
    /// For good.
    Over,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Start,
    Kill,
}

#[derive(Clone, Debug)]
pub(super) struct Life {
    state: State,
    delay: Millis,
    pub(super) restarts: u32,
}

impl Life {
    pub(super) fn new(now: Millis) -> Life {
        Life { state: State::Waits(now), delay: 0, restarts: 0 }
    }

    pub(super) fn due(&self, now: Millis) -> Option<Due> {
        match self.state {
            State::Waits(at) if at <= now => Some(Due::Start),
            State::Ends { kill_at, .. } | State::Lingers { kill_at } if kill_at <= now => {
                Some(Due::Kill)
            }
            _ => None,
        }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Millis> {
        match self.state {
            State::Waits(at) | State::Ends { kill_at: at, .. } | State::Lingers { kill_at: at } => {
                Some(at)
            }
            State::Runs { .. } | State::Over => None,
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match self.state {
            State::Runs { pid, .. } | State::Ends { pid, .. } => Some(pid),
            State::Waits(_) | State::Lingers { .. } | State::Over => None,
        }
    }

    /// It was told to end.
    pub(super) fn ends(&self) -> bool {
        matches!(self.state, State::Ends { .. } | State::Lingers { .. })
    }

    pub(super) fn lingers(&self) -> bool {
        matches!(self.state, State::Lingers { .. })
    }

    /// Nothing of it is left.
    pub(super) fn gone(&mut self) {
        self.state = State::Over;
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Runs { .. })
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn started(&mut self, now: Millis, pid: i32) {
        self.state = State::Runs { pid, started: now };
    }

    /// It has ended, or could not be started; gives after how long it is started again.
    pub(super) fn ended(&mut self, now: Millis) -> Option<Millis> {
        let long = match self.state {
            State::Ends { kill_at, .. } => {
                self.state = State::Lingers { kill_at };
                return None;
            }
            State::Lingers { .. } | State::Over => return None,
            State::Runs { started, .. } => now - started >= LONG_LIFE_MS,
            State::Waits(_) => false,
        };
        let longer = if long { 0 } else { self.delay * 2 };
        self.delay = longer.clamp(DELAY_MS.0, DELAY_MS.1);
        self.state = State::Waits(now + self.delay);
        self.restarts = self.restarts.saturating_add(1);
        Some(self.delay)
    }

    /// Not to be started again; gives whom to tell.
    pub(super) fn end(&mut self, now: Millis, grace_ms: Millis) -> Option<i32> {
        match self.state {
            State::Runs { pid, .. } => {
                self.state = State::Ends { pid, kill_at: now + grace_ms };
                Some(pid)
            }
            State::Waits(_) => {
                self.state = State::Over;
                None
            }
            State::Ends { .. } | State::Lingers { .. } | State::Over => None,
        }
    }

    /// What was due has been done; again a little later.
    pub(super) fn killed(&mut self, now: Millis) {
        if let State::Ends { kill_at, .. } | State::Lingers { kill_at } = &mut self.state {
            *kill_at = now + DELAY_MS.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_soon_is_started_later_and_later_but_never_after_more_than_a_minute() {
        let mut life = Life::new(0);
        let mut now = 0;
        let mut delays = Vec::new();
        for _ in 0..8 {
            assert_eq!(life.due(now), Some(Due::Start));
            life.started(now, 7);
            assert_eq!((life.due(now), life.runs()), (None, true));
            let delay = life.ended(now + 10).unwrap();
            assert_eq!(life.due(now + 9 + delay), None);
            now += 10 + delay;
            delays.push(delay / 1_000);
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        life.started(now, 8);
        assert_eq!(life.ended(now + LONG_LIFE_MS), Some(1_000));
        assert_eq!(life.restarts, 9);
    }

    #[test]
    fn who_is_told_to_end_is_killed_after_its_grace_and_not_started_again() {
        let mut life = Life::new(0);
        life.started(0, 7);
        assert_eq!(life.end(100, 500), Some(7));
        assert_eq!(life.end(100, 500), None);
        assert_eq!((life.due(599), life.due(600)), (None, Some(Due::Kill)));
        life.killed(600);
        assert_eq!(life.due(601), None);
        assert_eq!(life.ended(602), None);
        // What its first process has left is killed after the same grace.
        assert!(life.lingers() && life.pid().is_none() && !life.is_over());
        assert_eq!((life.due(1_599), life.due(1_600)), (None, Some(Due::Kill)));
        life.gone();
        assert!(life.is_over() && life.next().is_none());
        let mut waits = Life::new(0);
        waits.started(0, 1);
        waits.ended(1);
        assert_eq!(waits.end(2, 0), None);
        assert!(waits.is_over());
    }
}
