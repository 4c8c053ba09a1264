//! What a job has moved by period, where its kind counts rows: a table and a small chart.

use super::super::error::Error;
use super::Page;
use crate::engine::catalog::Job;
use crate::store;
use serde::Serialize;
use shared::ids::*;
use shared::kind;
use std::collections::BTreeMap;

/// Periods that are shown.
const PERIODS: usize = 30;
/// Of the chart, in its own units.
const HEIGHT: u64 = 80;
/// Of one period: a bar for rows in, one for rows out, one for the time; each so many parts of it. Few
/// periods are drawn as wide as many, up to a limit.
const PARTS: u64 = 20;
const STRETCH_MAX: u64 = 6;
/// Of a letter of the periods below the bars.
const LETTER: u64 = 5;

/// The chart, first period first, and the table, last period first.
#[derive(Debug, Serialize)]
pub(super) struct History {
    width: u64,
    height: u64,
    /// The width of one part of a period, of [`PARTS`].
    part: u64,
    /// There is room to write the periods below.
    labelled: bool,
    /// The most rows of one bar, and the longest time.
    rows_max: u64,
    took_max: Millis,
    bars: Vec<Bar>,
    periods: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Bar {
    at: u64,
    period: String,
    input: u64,
    output: u64,
    took: u64,
    bad: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    period: String,
    execution: String,
    state: String,
    took_ms: Option<Millis>,
    input: Option<u64>,
    output: Option<u64>,
    errors: Option<u64>,
}

/// None: its kind counts no rows, or it has not run.
///
/// # Errors
/// The database's.
pub(super) async fn of(
    page: &Page,
    interface: InterfaceId,
    job: &Job,
) -> Result<Option<History>, Error> {
    if !kind::find(&job.spec.kind).is_some_and(kind::Kind::counts_rows) {
        return Ok(None);
    }
    let db = &page.app.db;
    let past = store::counts::past(db, (interface, job.id), PERIODS).await?;
    let runs: Vec<RunId> = past.iter().map(|past| past.run).collect();
    let moved = store::counts::of_runs(db, &runs, job.id).await?;
    let moved = moved.into_iter().map(|moved| (moved.run, moved)).collect();
    let history = arranged(past, &moved);
    Ok((!history.periods.is_empty()).then_some(history))
}

fn arranged(
    past: Vec<store::counts::Past>,
    moved: &BTreeMap<RunId, store::counts::Moved>,
) -> History {
    let periods: Vec<Line> = past
        .into_iter()
        .map(|past| {
            let moved = moved.get(&past.run);
            Line {
                input: moved.map(|moved| moved.input),
                output: moved.map(|moved| moved.output),
                errors: moved.map(|moved| moved.errors),
                period: past.period,
                execution: past.execution.to_string(),
                state: past.state,
                took_ms: past.took_ms,
            }
        })
        .collect();
    let rows = periods.iter().flat_map(|line| [line.input, line.output]).flatten();
    let rows_max = rows.max().unwrap_or(0);
    let took_max = periods.iter().filter_map(|line| line.took_ms).max().unwrap_or(0);
    let part = (PERIODS as u64 / (periods.len() as u64).max(1)).clamp(1, STRETCH_MAX);
    let step = part * PARTS;
    let letters = periods.iter().map(|line| line.period.chars().count() as u64).max();
    let bars = (0..).zip(periods.iter().rev()).map(|(at, line)| Bar {
        at: at * step,
        period: line.period.clone(),
        input: height(line.input.unwrap_or(0), rows_max),
        output: height(line.output.unwrap_or(0), rows_max),
        took: height(unsigned(line.took_ms.unwrap_or(0)), unsigned(took_max)),
        bad: line.errors.unwrap_or(0) > 0,
    });
    let bars: Vec<Bar> = bars.collect();
    let width = step * bars.len() as u64;
    let labelled = letters.unwrap_or(0) * LETTER <= step;
    History { width, height: HEIGHT, part, labelled, rows_max, took_max, bars, periods }
}

fn unsigned(ms: Millis) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

/// What is not nothing can be seen.
fn height(value: u64, max: u64) -> u64 {
    let part = u128::from(value) * u128::from(HEIGHT);
    let part = part.checked_div(u128::from(max)).unwrap_or(0);
    u64::try_from(part).unwrap_or(HEIGHT).max(u64::from(value > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::counts::{Moved, Past};

    #[test]
    fn bars_go_on_in_time_and_the_table_begins_with_the_last() {
        let past = |run: i64, period: &str, took_ms| Past {
            run: RunId(run),
            execution: ExecutionId(run),
            period: period.into(),
            state: "succeeded".into(),
            took_ms,
        };
        let moved = |run: i64, input, output, errors| {
            (RunId(run), Moved { run: RunId(run), input, output, errors })
        };
        let all = vec![past(3, "C", Some(4_000)), past(2, "B", None), past(1, "A", Some(1_000))];
        let moved = [moved(3, 1_000_000, 1, 0), moved(1, 500_000, 500_000, 2)].into();
        let history = arranged(all, &moved);
        let bars: Vec<_> = history
            .bars
            .iter()
            .map(|bar| (&*bar.period, bar.at, bar.input, bar.output, bar.took, bar.bad))
            .collect();
        assert_eq!(
            bars,
            [("A", 0, 40, 40, 20, true), ("B", 120, 0, 0, 0, false), ("C", 240, 80, 1, 80, false)]
        );
        assert_eq!((&*history.periods[0].period, history.periods[1].input), ("C", None));
        assert_eq!((history.width, history.rows_max, history.took_max), (360, 1_000_000, 4_000));
    }

    #[test]
    fn few_periods_are_as_wide_as_many() {
        let past = |run: i64| Past {
            run: RunId(run),
            execution: ExecutionId(run),
            period: "2026-11-20".into(),
            state: "succeeded".into(),
            took_ms: None,
        };
        for (periods, width, labelled) in
            [(1, 120, true), (5, 600, true), (10, 600, true), (15, 600, false), (30, 600, false)]
        {
            let history = arranged((0..periods).map(past).collect(), &BTreeMap::new());
            assert_eq!((history.width, history.labelled), (width, labelled), "{periods}");
        }
    }
}
