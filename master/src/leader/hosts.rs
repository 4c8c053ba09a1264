//! How the hosts are, for pages: what the lines and the answers say of each, written to
//! `host_status` outside of the guarded batches, and seldom; and how busy each was, gathered into one
//! sample for each half minute.

use crate::store::host::{SAMPLE_MS, Sample};
use crate::store::leader::HostStatus;
use shared::ids::*;
use shared::wire::{HostFacts, WatchAnswer};
use std::collections::{BTreeMap, BTreeSet};

/// What has not changed but in time is written so often.
const WRITE_EVERY_MS: Millis = 5_000;
/// Rows of one write.
const ROWS_MAX: usize = 500;
/// Samples of one host that wait to be written: those of a database that is away are lost.
const SAMPLES_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    Silent,
    Refused,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Silent => "silent",
            State::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug)]
struct Seen {
    state: State,
    /// The date; 0: not by this leader.
    heard_ms: Millis,
    incarnation: Incarnation,
    why: String,
    facts: HostFacts,
    /// Not written yet; and whether people should know it at once.
    changed: bool,
    urgent: bool,
    /// On the monotonic clock.
    written: Millis,
    gathered: Gathered,
    samples: Vec<Sample>,
}

/// The facts of one stretch, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Gathered {
    at_ms: Millis,
    count: u32,
    cpu_percent: f64,
    memory_share: f64,
    load: f64,
}

impl Gathered {
    fn add(&mut self, facts: &HostFacts) {
        self.count += 1;
        self.cpu_percent += f64::from(facts.cpu_percent);
        self.load += f64::from(facts.load_1);
        if facts.memory_total > 0 {
            self.memory_share += facts.memory_used as f64 / facts.memory_total as f64;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "percents, and a load of few digits")]
    fn mean(&self, host: HostId) -> Sample {
        let mean = |sum: f64, scale: f64| (sum * scale / f64::from(self.count)).round() as i64;
        Sample {
            host,
            at_ms: self.at_ms,
            cpu_permille: mean(self.cpu_percent, 10.0).clamp(0, 1_000),
            memory_permille: mean(self.memory_share, 1_000.0).clamp(0, 1_000),
            load_centi: mean(self.load, 100.0).max(0),
        }
    }
}

/// All of them, as this leader knows them.
#[derive(Clone, Debug, Default)]
pub struct Hosts(BTreeMap<HostId, Seen>);

impl Hosts {
    fn seen(&mut self, host: HostId) -> &mut Seen {
        self.0.entry(host).or_insert_with(|| Seen {
            state: State::Silent,
            heard_ms: 0,
            incarnation: Incarnation::default(),
            why: String::new(),
            facts: HostFacts::default(),
            changed: false,
            urgent: false,
            written: Millis::MIN / 2,
            gathered: Gathered::default(),
            samples: Vec::new(),
        })
    }

    pub fn up(&mut self, host: HostId) {
        let seen = self.seen(host);
        seen.urgent |= seen.state != State::Live;
        (seen.state, seen.changed) = (State::Live, true);
        seen.why.clear();
    }

    /// A line that is down tells so with every attempt: only news are news.
    pub fn down(&mut self, host: HostId, why: String, refused: bool) {
        let state = if refused { State::Refused } else { State::Silent };
        let seen = self.seen(host);
        if seen.state != state || seen.why != why {
            let quiet = seen.state == state && seen.written > Millis::MIN / 2;
            if !quiet {
                tracing::warn!(%host, "the host is {}: {why}", state.word());
            }
            (seen.urgent, seen.changed) = (!quiet, true);
            (seen.state, seen.why) = (state, why);
        }
    }

    pub fn heard(&mut self, host: HostId, answer: &WatchAnswer, date: Millis) {
        let seen = self.seen(host);
        seen.urgent |= seen.state != State::Live || seen.heard_ms == 0;
        (seen.state, seen.changed, seen.heard_ms) = (State::Live, true, date);
        seen.incarnation = answer.answer.incarnation;
        seen.why.clear();
        if let Some(facts) = &answer.facts {
            seen.urgent |= seen.facts.version.is_empty();
            seen.facts = (**facts).clone();
            let at_ms = date.div_euclid(SAMPLE_MS) * SAMPLE_MS;
            if seen.gathered.at_ms != at_ms {
                if seen.gathered.count > 0 && seen.samples.len() < SAMPLES_MAX {
                    seen.samples.push(seen.gathered.mean(host));
                }
                seen.gathered = Gathered { at_ms, ..Gathered::default() };
            }
            seen.gathered.add(facts);
        }
    }

    /// Those that are defined, and no others.
    pub fn keep(&mut self, defined: &BTreeSet<HostId>) {
        self.0.retain(|host, _| defined.contains(host));
    }

    /// Whether any can be used.
    pub fn any_live(&self) -> bool {
        self.0.values().any(|seen| seen.state == State::Live)
    }

    /// What is to be written now; they count as written.
    pub fn due(&mut self, tick: Millis) -> Vec<HostStatus> {
        let mut due = Vec::new();
        for (&host, seen) in &mut self.0 {
            let late = seen.written.saturating_add(WRITE_EVERY_MS) <= tick;
            if due.len() < ROWS_MAX && seen.changed && (seen.urgent || late) {
                (seen.changed, seen.urgent, seen.written) = (false, false, tick);
                due.push(HostStatus {
                    host,
                    state: seen.state.word().into(),
                    heard_ms: seen.heard_ms,
                    incarnation: seen.incarnation,
                    why: seen.why.clone(),
                    facts: serde_json::to_string(&seen.facts).unwrap_or_else(|_| "{}".into()),
                });
            }
        }
        due
    }

    /// Those that are whole; they count as written.
    pub fn samples(&mut self) -> Vec<Sample> {
        let mut all = Vec::new();
        for seen in self.0.values_mut() {
            if all.len() < ROWS_MAX {
                all.append(&mut seen.samples);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> WatchAnswer {
        let answer = Answer { incarnation: Incarnation(7), seq: 1 };
        let listed = Vec::new();
        WatchAnswer { answer, full: true, listed, ..WatchAnswer::default() }
    }

    fn busy(cpu_percent: f32, load_1: f32) -> WatchAnswer {
        let (memory_total, memory_used) = (8_000, 2_000);
        let facts =
            HostFacts { cpu_percent, load_1, memory_total, memory_used, ..HostFacts::default() };
        WatchAnswer { facts: Some(Box::new(facts)), ..answer() }
    }

    #[test]
    fn facts_of_half_a_minute_are_one_sample() {
        let (mut hosts, host) = (Hosts::default(), HostId(1));
        for (date, cpu, load) in [(60_000, 10.0, 1.0), (70_000, 20.0, 2.0), (89_999, 60.0, 3.0)] {
            hosts.heard(host, &busy(cpu, load), date);
            // Without facts there is nothing to gather.
            hosts.heard(host, &answer(), date);
            assert!(hosts.samples().is_empty(), "{date}");
        }
        hosts.heard(host, &busy(99.0, 9.0), 90_000);
        let sample = Sample {
            host,
            at_ms: 60_000,
            cpu_permille: 300,
            memory_permille: 250,
            load_centi: 200,
        };
        assert_eq!(hosts.samples(), [sample]);
        assert!(hosts.samples().is_empty());
        for minute in 2..20 {
            hosts.heard(host, &busy(1.0, 1.0), minute * 60_000);
        }
        assert_eq!(hosts.samples().len(), SAMPLES_MAX);
    }

    #[test]
    fn news_are_written_at_once_and_the_rest_seldom() {
        let mut hosts = Hosts::default();
        let host = HostId(1);
        hosts.down(host, "refused".into(), false);
        assert_eq!(hosts.due(0).len(), 1);
        hosts.down(host, "refused".into(), false);
        assert!(hosts.due(60_000).is_empty());
        hosts.up(host);
        hosts.heard(host, &answer(), 9);
        let due = hosts.due(60_001);
        assert_eq!((due[0].state.as_str(), due[0].heard_ms), ("live", 9));
        for tick in 60_002..64_000 {
            hosts.heard(host, &answer(), tick);
            assert!(hosts.due(tick).is_empty());
        }
        assert_eq!(hosts.due(65_001).len(), 1);
        hosts.down(host, "gone".into(), false);
        assert_eq!(hosts.due(65_002)[0].why, "gone");
        hosts.keep(&BTreeSet::new());
        assert!(!hosts.any_live());
    }
}
