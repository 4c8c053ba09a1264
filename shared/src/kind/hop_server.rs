//! *Hop on a server*: a workflow or a pipeline, run by a Hop server that is there already.

use super::etl::{self, filled, text};
use super::external::{self, Asked, OnServer};
use super::{Context, Field, FieldError, Fields, Input};
use crate::external::{Server, Source};

pub(super) const HOP_SERVER: OnServer = OnServer {
    name: "hop_server",
    title: "Hop on a server",
    server: Server::Hop,
    fields: FIELDS,
    rendered: &["file", "run_configuration", "params"],
    validate,
    asked,
};

const FIELDS: &[Field] = &[
    Field {
        name: "file",
        label: "File",
        help: "A .hpl or .hwf as the server sees it: an absolute path, a URL, or a path in the home of the \
               project that the server runs.",
        input: Input::Line { chars_max: 1_000 },
        required: true,
    },
    Field {
        name: "run_configuration",
        label: "Run configuration",
        help: "Of the metadata that HOP_SERVER_METADATA of the environment names; empty means local.",
        input: Input::Line { chars_max: 200 },
        required: false,
    },
    external::PARAMS,
    etl::LEVEL,
    etl::ERRORS,
    external::PATIENCE,
    external::AGAIN_IF_GONE,
    etl::OUTPUT,
];

fn validate(fields: &Fields) -> Vec<FieldError> {
    let file = text(fields, "file").trim();
    let mut errors = Vec::new();
    if !file.ends_with(".hpl") && !file.ends_with(".hwf") && !file.ends_with('}') {
        errors.push(FieldError::new("fields.file", "a .hpl or a .hwf is expected"));
    }
    errors
}

fn asked(fields: &Fields, context: &Context) -> Result<Asked, FieldError> {
    let file = match filled(fields, "file", context)? {
        file if file.starts_with(['/', '$']) || file.contains(':') => file,
        // The server knows where that is.
        file => format!("${{PROJECT_HOME}}/{file}"),
    };
    let flow = file.ends_with(".hwf");
    let run_configuration = filled(fields, "run_configuration", context)?;
    Ok(Asked { source: Source::File(file), flow, run_configuration, lists: false })
}
