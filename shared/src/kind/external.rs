//! Kinds whose work lives on a server. One of them is a table: what differs from server to server.

use super::etl::{self, filled_map};
use super::{Context, Field, FieldError, Fields, Input, Kind, Locus, Ran};
use crate::external::{External, Server, Source, outcome};
use crate::ids::AttemptId;
use crate::wire::Work;
use serde_json::Value;

const PATIENCE_S: u32 = 600;

pub(super) const PARAMS: Field = Field {
    help: "NAME=value a line; ${date}, ${period} and parameters of the job are filled in. What it runs \
           must declare each of them, else the default is taken without a word: that is checked where the \
           host that looks on sees the file under the same path; where it does not, its log says so.",
    ..etl::PARAMS
};
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

pub(super) struct OnServer {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) server: Server,
    /// What it asks of a person beside what all of them do.
    pub(super) fields: &'static [Field],
    pub(super) rendered: &'static [&'static str],
    pub(super) validate: fn(&Fields) -> Vec<FieldError>,
    pub(super) asked: fn(&Fields, &Context) -> Result<Asked, FieldError>,
}

/// What the server is to run.
pub(super) struct Asked {
    pub(super) source: Source,
    /// A job or a workflow; else a transformation or a pipeline.
    pub(super) flow: bool,
    pub(super) run_configuration: String,
    /// See [`External::lists`].
    pub(super) lists: bool,
}

impl Kind for OnServer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn locus(&self) -> Locus {
        Locus::External
    }

    fn fields(&self) -> &'static [Field] {
        self.fields
    }

    fn rendered(&self) -> &'static [&'static str] {
        self.rendered
    }

    fn validate(&self, fields: &Fields) -> Vec<FieldError> {
        (self.validate)(fields)
    }

    fn success_codes(&self, fields: &Fields) -> Vec<i32> {
        etl::success_codes(fields)
    }

    fn exit_means(&self, _: &Fields, code: i32) -> Option<&'static str> {
        outcome::means(code)
    }

    fn needs_environment(&self) -> bool {
        true
    }

    fn counts_rows(&self) -> bool {
        true
    }

    fn is_unseen(&self, code: i32) -> bool {
        !outcome::is_seen(code)
    }

    fn is_final(&self, code: i32) -> bool {
        code == outcome::GONE
    }

    fn runs_file(&self) -> bool {
        true
    }

    /// Of a host that has it too, as where the server is: the server may have another one, so nothing is
    /// refused for what is in it.
    fn file(&self, fields: &Fields, context: &Context) -> Result<Option<Ran>, FieldError> {
        let Asked { source, flow, .. } = (self.asked)(fields, context)?;
        Ok(source.at(flow).map(|at| Ran { at, params: Vec::new() }))
    }

    fn work(&self, fields: &Fields, context: &Context) -> Result<Work, FieldError> {
        let asked = (self.asked)(fields, context)?;
        work(self.server, asked, fields, context)
    }
}

/// The name of an attempt on the server.
fn key(attempt: AttemptId) -> String {
    format!("hcndc-{attempt}")
}

fn work(
    server: Server,
    Asked { source, flow, run_configuration, lists }: Asked,
    fields: &Fields,
    context: &Context,
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
        stopped: context.stopped,
        patience_s: given.and_then(|s| u32::try_from(s).ok()).unwrap_or(PATIENCE_S),
        again_if_gone: fields.get("again_if_gone").and_then(Value::as_bool).unwrap_or(false),
        lists,
    };
    Ok(Work {
        success_codes: etl::success_codes(fields),
        output_max: output_max.map(|mib| mib.saturating_mul(1 << 20)),
        external: Some(Box::new(external)),
        ..Work::default()
    })
}
