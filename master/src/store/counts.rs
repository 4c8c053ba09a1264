//! Rows that the steps of an attempt have moved: written now and then while it runs and after its end,
//! outside of the guarded batches, by the leader alone. Who writes them twice writes the same.

use super::read::padded;
use crate::db::{self, Db, Mode, Value, Write, params, sql};
use shared::etl::counts::{Counts, Step};
use shared::ids::{AttemptId, ExecutionId, InterfaceId, JobId, Millis, RunId};
use std::collections::BTreeMap;

const COLUMNS: &[&str] = &[
    "run_id",
    "job_id",
    "number",
    "reign",
    "place",
    "entry",
    "part",
    "step",
    "line_count",
    "input_rows",
    "output_rows",
    "read_rows",
    "written_rows",
    "updated_rows",
    "error_rows",
    "took_ms",
    "at_row",
];
/// Ids of one question.
const IDS_MAX: usize = 500;

/// In place of what was kept of it before.
pub fn put(attempt: AttemptId, counts: &Counts) -> [Write; 2] {
    let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let rows = (0_i64..).zip(&counts.steps).map(|(place, step)| {
        params![
            attempt.run,
            attempt.job,
            i64::from(attempt.number),
            attempt.reign,
            place,
            step.entry.as_str(),
            step.part.as_str(),
            step.name.as_str(),
            i64::from(step.lines),
            int(step.input),
            int(step.output),
            int(step.read),
            int(step.written),
            int(step.updated),
            int(step.errors),
            int(step.took_ms),
            int(step.at_row)
        ]
    });
    let before =
        "DELETE FROM step_count WHERE run_id = ? AND job_id = ? AND number = ? AND reign = ?";
    let of = params![attempt.run, attempt.job, i64::from(attempt.number), attempt.reign];
    let rows = Write::Rows {
        table: "step_count",
        key: &["run_id", "job_id", "number", "reign", "place"],
        columns: COLUMNS,
        rows: rows.collect(),
        mode: Mode::Upsert,
    };
    [sql(before, of), rows]
}

/// Of the attempts of a job; those without have no entry.
///
/// # Errors
/// The database's.
pub async fn of_job(db: &Db, run: RunId, job: JobId) -> db::Result<BTreeMap<AttemptId, Vec<Step>>> {
    let text = format!(
        "SELECT {} FROM step_count WHERE run_id = ? AND job_id = ? ORDER BY number, reign, place",
        COLUMNS.join(", ")
    );
    let mut all: BTreeMap<AttemptId, Vec<Step>> = BTreeMap::new();
    for row in db.query(text, params![run, job]).await? {
        let count = |column| row.int(column).map(|value| u64::try_from(value).unwrap_or(0));
        let small = |column| row.int(column).map(|value| u32::try_from(value).unwrap_or(0));
        let attempt = AttemptId { run, job, number: small("number")?, reign: row.int("reign")? };
        all.entry(attempt).or_default().push(Step {
            entry: row.text("entry")?.to_owned(),
            part: row.text("part")?.to_owned(),
            name: row.text("step")?.to_owned(),
            lines: small("line_count")?,
            input: count("input_rows")?,
            output: count("output_rows")?,
            read: count("read_rows")?,
            written: count("written_rows")?,
            updated: count("updated_rows")?,
            errors: count("error_rows")?,
            took_ms: count("took_ms")?,
            at_row: count("at_row")?,
        });
    }
    Ok(all)
}

/// Attempts of these jobs that have come to an end and of which nothing is kept, or only what they were at on
/// their way (a step without a line of its own), of runs that have ended
/// since then: the newest runs first.
///
/// # Errors
/// The database's.
pub async fn missed(
    db: &Db,
    jobs: &[JobId],
    since: Millis,
    limit: usize,
) -> db::Result<Vec<AttemptId>> {
    let mut found = Vec::new();
    let ids: Vec<i64> = jobs.iter().map(|job| job.0).collect();
    for chunk in ids.chunks(IDS_MAX) {
        let ids = padded(chunk);
        let text = format!(
            "SELECT a.run_id, a.job_id, a.number, a.reign FROM run r JOIN attempt a ON a.run_id = r.id \
             LEFT JOIN step_count s ON s.run_id = a.run_id AND s.job_id = a.job_id \
             AND s.number = a.number AND s.reign = a.reign AND s.place = 0 \
             WHERE r.ended_ms >= ? AND a.job_id IN ({}) AND a.end_kind IS NOT NULL \
             AND a.started_ms IS NOT NULL AND (s.run_id IS NULL OR EXISTS (SELECT 1 FROM step_count w \
             WHERE w.run_id = a.run_id AND w.job_id = a.job_id AND w.number = a.number \
             AND w.reign = a.reign AND w.line_count = 0)) \
             ORDER BY r.ended_ms DESC, a.run_id, a.job_id, a.number, a.reign LIMIT {}",
            vec!["?"; ids.len()].join(", "),
            limit.saturating_sub(found.len())
        );
        let values = std::iter::once(Value::Int(since)).chain(ids).collect();
        for row in db.query(text, values).await? {
            found.push(AttemptId {
                run: RunId(row.int("run_id")?),
                job: JobId(row.int("job_id")?),
                number: row.small("number")?,
                reign: row.int("reign")?,
            });
        }
    }
    Ok(found)
}

/// What a job has moved in one period, its steps added up: its newest attempt in the newest run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub run: RunId,
    pub input: u64,
    pub output: u64,
    pub errors: u64,
}

/// Of these runs of a job, those of which something is kept.
///
/// # Errors
/// The database's.
pub async fn of_runs(db: &Db, runs: &[RunId], job: JobId) -> db::Result<Vec<Moved>> {
    let mut found: BTreeMap<RunId, (i64, i64, Moved)> = BTreeMap::new();
    let ids: Vec<i64> = runs.iter().map(|run| run.0).collect();
    for chunk in ids.chunks(IDS_MAX) {
        let ids = padded(chunk);
        // Added up here: a sum has another type in each database.
        let text = format!(
            "SELECT run_id, number, reign, input_rows, output_rows, error_rows FROM step_count \
             WHERE run_id IN ({}) AND job_id = ? ORDER BY run_id, number, reign, place",
            vec!["?"; ids.len()].join(", ")
        );
        let values = ids.into_iter().chain([job.into()]).collect();
        for row in db.query(text, values).await? {
            let count = |column| row.int(column).map(|value| u64::try_from(value).unwrap_or(0));
            let (run, number, reign) =
                (RunId(row.int("run_id")?), row.int("number")?, row.int("reign")?);
            let none = || (number, reign, Moved { run, input: 0, output: 0, errors: 0 });
            let known = found.entry(run).or_insert_with(none);
            if (known.0, known.1) != (number, reign) {
                *known = none();
            }
            let sum = &mut known.2;
            sum.input = sum.input.saturating_add(count("input_rows")?);
            sum.output = sum.output.saturating_add(count("output_rows")?);
            sum.errors = sum.errors.saturating_add(count("error_rows")?);
        }
    }
    Ok(found.into_values().map(|(.., moved)| moved).collect())
}

/// A run of a job, for its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub run: RunId,
    pub execution: ExecutionId,
    pub period: String,
    pub state: String,
    pub took_ms: Option<Millis>,
}

/// The newest run of each of the last periods of a job, the latest period first.
///
/// # Errors
/// The database's.
pub async fn past(
    db: &Db,
    (interface, job): (InterfaceId, JobId),
    periods: usize,
) -> db::Result<Vec<Past>> {
    // Along the index by period; some periods have several generations.
    let text = format!(
        "SELECT r.id, r.execution_id, r.period, j.state, j.started_ms, j.ended_ms FROM run r \
         JOIN job_run j ON j.run_id = r.id AND j.job_id = ? WHERE r.interface_id = ? \
         ORDER BY r.period_ms DESC, r.generation DESC LIMIT {}",
        periods.saturating_mul(3)
    );
    let mut found: Vec<Past> = Vec::new();
    for row in db.query(text, params![job, interface]).await? {
        let period = row.text("period")?.to_owned();
        if found.last().is_some_and(|last| last.period == period) {
            continue;
        }
        if found.len() == periods {
            break;
        }
        let (started, ended) = (row.opt_int("started_ms")?, row.opt_int("ended_ms")?);
        found.push(Past {
            run: RunId(row.int("id")?),
            execution: ExecutionId(row.int("execution_id")?),
            period,
            state: row.text("state")?.to_owned(),
            took_ms: started.zip(ended).map(|(from, to)| to - from),
        });
    }
    Ok(found)
}
