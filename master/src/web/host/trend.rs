//! How busy a host was of late, as small lines (sparklines) with their figures in words.

use crate::store::host::{SAMPLE_MS, SAMPLES, Sample, Status};
use serde::Serialize;
use shared::ids::Millis;
use std::fmt::Write;

/// What the lines show.
pub(in crate::web) const SPAN_MS: Millis = SAMPLE_MS * SAMPLES;
/// The picture's own units; pages stretch it.
const WIDTH: f64 = 100.0;
const HEIGHT: f64 = 24.0;
/// Above and below the line, so that its ends are seen whole.
const MARGIN: f64 = 1.5;
/// Samples further apart than this are not joined: nothing was heard in between.
const GAP_MS: Millis = SAMPLE_MS * 5 / 2;

/// One figure over time; none of it when nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::web) struct Spark {
    /// Of an SVG path.
    pub line: String,
    pub now: f64,
    pub lowest: f64,
    pub mean: f64,
    pub highest: f64,
    pub points: usize,
}

/// Percents, and the load as the system tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::web) struct Trend {
    pub cpu: Spark,
    pub memory: Spark,
    pub load: Spark,
}

/// What is stored, and at its end what the host has said last.
pub(in crate::web) fn trend(samples: &[Sample], status: &Status, now: Millis) -> Trend {
    let from = now - SPAN_MS;
    let facts = status.facts.as_ref();
    let cores = facts.map_or(0.0, |facts| f64::from(facts.cores));
    let points = |of: fn(&Sample) -> i64, scale: f64, last: Option<f64>| {
        let stored = samples.iter().map(|sample| (sample.at_ms, of(sample) as f64 / scale));
        let last = last.map(|value| (status.heard_ms, value));
        let within = stored.chain(last).filter(|(at, _)| (from..=now).contains(at));
        within.collect::<Vec<(Millis, f64)>>()
    };
    let cpu = points(|it| it.cpu_permille, 10.0, facts.map(|it| f64::from(it.cpu_percent)));
    let share = |used: u64, total: u64| 100.0 * used as f64 / total as f64;
    let memory = facts.filter(|it| it.memory_total > 0);
    let memory = memory.map(|it| share(it.memory_used, it.memory_total));
    let memory = points(|it| it.memory_permille, 10.0, memory);
    let load = points(|it| it.load_centi, 100.0, facts.map(|it| f64::from(it.load_1)));
    let top = load.iter().fold(cores.max(1.0), |top, (_, value)| top.max(*value));
    Trend {
        cpu: spark(&cpu, 100.0, from),
        memory: spark(&memory, 100.0, from),
        load: spark(&load, top, from),
    }
}

fn spark(points: &[(Millis, f64)], top: f64, from: Millis) -> Spark {
    let Some(&(_, now)) = points.last() else { return Spark::default() };
    let mut line = String::new();
    let mut before: Option<Millis> = None;
    for &(at, value) in points {
        let x = WIDTH * (at - from) as f64 / SPAN_MS as f64;
        let share = (value / top).clamp(0.0, 1.0);
        let y = HEIGHT - MARGIN - share * (HEIGHT - 2.0 * MARGIN);
        let joined = before.is_some_and(|before| at - before <= GAP_MS);
        // One alone is a dot: a line of no length with round ends.
        let step = if joined { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0") };
        let _ = write!(line, "{step}"); // into a text: cannot fail
        before = Some(at);
    }
    let values = || points.iter().map(|(_, value)| *value);
    Spark {
        line,
        now,
        lowest: values().fold(f64::INFINITY, f64::min),
        mean: values().sum::<f64>() / points.len() as f64,
        highest: values().fold(0.0, f64::max),
        points: points.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::HostId;
    use shared::wire::HostFacts;

    fn sample(at_ms: Millis, cpu: i64, load: i64) -> Sample {
        let (host, memory_permille) = (HostId(1), 500);
        Sample { host, at_ms, cpu_permille: cpu, memory_permille, load_centi: load }
    }

    fn status(heard_ms: Millis, facts: Option<HostFacts>) -> Status {
        let (incarnation, why) = (String::new(), String::new());
        Status { state: "live".into(), heard_ms, incarnation, why, facts }
    }

    #[test]
    fn a_line_ends_with_what_was_said_last_and_is_broken_where_nothing_was_heard() {
        let now = 100 * SPAN_MS;
        let facts = HostFacts { cpu_percent: 100.0, load_1: 8.0, cores: 4, ..HostFacts::default() };
        let of = [
            sample(now - SPAN_MS - 1, 900, 0),
            sample(now - SPAN_MS, 0, 0),
            sample(now - SPAN_MS + SAMPLE_MS, 500, 400),
            sample(now - SAMPLE_MS, 250, 400),
        ];
        let trend = trend(&of, &status(now, Some(facts)), now);
        assert_eq!(trend.cpu.line, "M0.0 22.5h0L1.7 12.0M98.3 17.2h0L100.0 1.5");
        let figures = (trend.cpu.now, trend.cpu.lowest, trend.cpu.highest, trend.cpu.points);
        assert_eq!(figures, (100.0, 0.0, 100.0, 4));
        assert_eq!(trend.cpu.mean, 43.75);
        // Twice as many as there are cores: the scale goes with it.
        assert!(trend.load.line.ends_with("L100.0 1.5"), "{}", trend.load.line);
        // Its memory is not known: what is stored is shown.
        assert_eq!((trend.memory.now, trend.memory.points), (50.0, 3));
    }

    #[test]
    fn of_a_host_never_heard_there_is_nothing() {
        assert_eq!(trend(&[], &status(0, None), SPAN_MS * 9), Trend::default());
    }
}
