//! Rows that the steps of an attempt have moved, for pages and API: as they are kept, or else as the end
//! of the output tells (then they are kept from now on).

use super::error::Error;
use crate::app::App;
use crate::leader::counts::read;
use crate::store;
use crate::store::execution::Attempt;
use serde_json::{Value, json};
use shared::etl::counts::Step;

/// Of one attempt. Nothing: its kind counts none, it has not ended, or its output is away just now.
///
/// # Errors
/// The database's.
pub(super) async fn of(app: &App, attempt: &Attempt, kind: &str) -> Result<Vec<Step>, Error> {
    let counts_rows = shared::kind::find(kind).is_some_and(shared::kind::Kind::counts_rows);
    if !counts_rows || attempt.end_kind.as_deref() != Some("code") {
        return Ok(Vec::new());
    }
    let id = attempt.id;
    let mut kept = store::counts::of_job(&app.db, id.run, id.job).await?;
    if let Some(steps) = kept.remove(&id) {
        return Ok(steps);
    }
    let Ok(counts) = read(&app.logs, id).await else { return Ok(Vec::new()) };
    if !counts.is_empty() {
        app.db.commit([store::counts::put(id, &counts)]).await?;
    }
    Ok(counts.steps)
}

pub(super) fn json(steps: &[Step]) -> Value {
    let one = |step: &Step| {
        json!({ "part": step.part, "name": step.name, "lines": step.lines, "input": step.input,
            "output": step.output, "read": step.read, "written": step.written,
            "updated": step.updated, "errors": step.errors })
    };
    steps.iter().map(one).collect()
}
