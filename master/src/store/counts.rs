//! Rows that the steps of an attempt have moved: written once, after its end, outside of the guarded
//! batches. Who writes them twice writes the same.

use crate::db::{self, Db, Mode, Write, params};
use shared::etl::counts::{Counts, Step};
use shared::ids::{AttemptId, JobId, RunId};
use std::collections::BTreeMap;

const COLUMNS: &[&str] = &[
    "run_id",
    "job_id",
    "number",
    "reign",
    "place",
    "part",
    "step",
    "line_count",
    "input_rows",
    "output_rows",
    "read_rows",
    "written_rows",
    "updated_rows",
    "error_rows",
];

pub fn put(attempt: AttemptId, counts: &Counts) -> Write {
    let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let rows = (0_i64..).zip(&counts.steps).map(|(place, step)| {
        params![
            attempt.run,
            attempt.job,
            i64::from(attempt.number),
            attempt.reign,
            place,
            step.part.as_str(),
            step.name.as_str(),
            i64::from(step.lines),
            int(step.input),
            int(step.output),
            int(step.read),
            int(step.written),
            int(step.updated),
            int(step.errors)
        ]
    });
    Write::Rows {
        table: "step_count",
        key: &["run_id", "job_id", "number", "reign", "place"],
        columns: COLUMNS,
        rows: rows.collect(),
        mode: Mode::Upsert,
    }
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
            part: row.text("part")?.to_owned(),
            name: row.text("step")?.to_owned(),
            lines: small("line_count")?,
            input: count("input_rows")?,
            output: count("output_rows")?,
            read: count("read_rows")?,
            written: count("written_rows")?,
            updated: count("updated_rows")?,
            errors: count("error_rows")?,
        });
    }
    Ok(all)
}
