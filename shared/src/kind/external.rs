//! What kinds have in common whose work lives on a server.

use super::etl::{self, filled_map};
use super::{Context, Field, FieldError, Fields, Input};
use crate::external::{External, Server, Source};
use crate::ids::AttemptId;
use crate::wire::Work;
use serde_json::Value;

const PATIENCE_S: u32 = 600;

pub(super) const PATIENCE: Field = Field {
    name: "patience_s",
    label: "Patience (s)",
    help: "So long may the server not answer before the attempt gives up looking on; what runs there \
           goes on, and another attempt looks for it. Empty means 600.",
    input: Input::Number { min: 10, max: 86_400 },
    required: false,
};
pub(super) const AGAIN_IF_GONE: Field = Field {
    name: "again_if_gone",
    label: "Again if the server has forgotten it",
    help: "A server that was started anew knows nothing of what it ran. On: it is submitted once more, \
           though it may have run. Off: the job fails, and a person decides.",
    input: Input::Switch,
    required: false,
};

/// The name of an attempt on the server.
fn key(attempt: AttemptId) -> String {
    format!("hcndc-{attempt}")
}

pub(super) fn work(
    fields: &Fields,
    context: &Context,
    (server, source, flow, run_configuration): (Server, Source, bool, String),
) -> Result<Work, FieldError> {
    let given = fields.get("patience_s").and_then(Value::as_u64);
    let output_max = fields.get("output_max_mib").and_then(Value::as_u64);
    let external = External {
        server,
        source,
        flow,
        level: etl::level(fields).to_owned(),
        run_configuration,
        params: filled_map(fields, "params", context)?,
        key: key(context.attempt),
        adopt: context.unseen.iter().copied().map(key).collect(),
        stopped: false,
        patience_s: given.and_then(|s| u32::try_from(s).ok()).unwrap_or(PATIENCE_S),
        again_if_gone: fields.get("again_if_gone").and_then(Value::as_bool).unwrap_or(false),
    };
    Ok(Work {
        success_codes: etl::success_codes(fields),
        output_max: output_max.map(|mib| mib.saturating_mul(1 << 20)),
        external: Some(Box::new(external)),
        ..Work::default()
    })
}
