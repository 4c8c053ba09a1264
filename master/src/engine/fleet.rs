//! What this leader knows of the hosts. Not stored: a new leader asks.

use shared::ids::*;
use shared::wire::State;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The last answer applied: where the next `watch` goes on from.
    pub answer: Option<Answer>,
    /// When that was, on the monotonic clock.
    pub at: Option<Millis>,
    /// The host's wall clock then: for people.
    pub wall: Millis,
    /// What it has said of its attempts.
    pub listed: BTreeMap<AttemptId, State>,
}

#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// When this leader took over: silence is counted from here at the earliest.
    pub since: Millis,
    pub hosts: BTreeMap<HostId, Seen>,
}

impl Fleet {
    pub fn new(since: Millis) -> Fleet {
        Fleet { since, ..Fleet::default() }
    }

    /// The rows are loaded anew: every host must list all again, but who spoke when stays true.
    #[must_use]
    pub fn reloaded(mut self) -> Fleet {
        for seen in self.hosts.values_mut() {
            seen.answer = None;
            seen.listed.clear();
        }
        self
    }
}
