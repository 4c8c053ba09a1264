//! Rows that the steps of an attempt have moved, for pages and API: as the leader has kept them, while it
//! runs or after its end.

use super::error::Error;
use crate::app::App;
use crate::store;
use crate::store::execution::Attempt;
use serde_json::{Value, json};
use shared::etl::counts::Step;

/// Of one attempt. Nothing: its kind counts none, or none are kept yet.
///
/// # Errors
/// The database's.
pub(super) async fn of(app: &App, attempt: &Attempt, kind: &str) -> Result<Vec<Step>, Error> {
    if !shared::kind::find(kind).is_some_and(shared::kind::Kind::counts_rows) {
        return Ok(Vec::new());
    }
    let id = attempt.id;
    let mut kept = store::counts::of_job(&app.db, id.run, id.job).await?;
    Ok(kept.remove(&id).unwrap_or_default())
}

pub(super) fn json(steps: &[Step]) -> Value {
    let one = |step: &Step| {
        json!({ "entry": step.entry, "part": step.part, "name": step.name, "lines": step.lines, "input": step.input,
            "output": step.output, "read": step.read, "written": step.written,
            "updated": step.updated, "errors": step.errors, "took_ms": step.took_ms,
            "at_row": step.at_row, "speed": step.speed() })
    };
    steps.iter().map(one).collect()
}
