//! *Hop on a server*: a workflow or a pipeline, run by a Hop server that is there already.

use super::etl::{self, filled, text};
use super::{Context, Field, FieldError, Fields, Input, Kind, Locus, external};
use crate::external::{Server, Source, outcome};
use crate::wire::Work;

#[derive(Debug)]
pub(super) struct HopServer;

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
    etl::PARAMS,
    etl::LEVEL,
    etl::ERRORS,
    external::PATIENCE,
    external::AGAIN_IF_GONE,
    etl::OUTPUT,
];

impl Kind for HopServer {
    fn name(&self) -> &'static str {
        "hop_server"
    }

    fn title(&self) -> &'static str {
        "Hop on a server"
    }

    fn locus(&self) -> Locus {
        Locus::External
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn rendered(&self) -> &'static [&'static str] {
        &["file", "run_configuration", "params"]
    }

    fn validate(&self, fields: &Fields) -> Vec<FieldError> {
        let file = text(fields, "file").trim();
        let mut errors = Vec::new();
        if !file.ends_with(".hpl") && !file.ends_with(".hwf") && !file.ends_with('}') {
            errors.push(FieldError::new("fields.file", "a .hpl or a .hwf is expected"));
        }
        errors
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

    fn work(&self, fields: &Fields, context: &Context) -> Result<Work, FieldError> {
        let file = match filled(fields, "file", context)? {
            file if file.starts_with(['/', '$']) || file.contains(':') => file,
            // The server knows where that is.
            file => format!("${{PROJECT_HOME}}/{file}"),
        };
        let flow = file.ends_with(".hwf");
        let configured = filled(fields, "run_configuration", context)?;
        external::work(fields, context, (Server::Hop, Source::File(file), flow, configured))
    }
}
