//! *Kettle on Carte*: a job or a transformation, run by a Carte that is there already.

use super::etl::{self, text};
use super::kettle::{self, DIRECTORY, FILE, OBJECT, REPOSITORY, RUNS, USER};
use super::{Context, Field, FieldError, Fields, Kind, Locus, external};
use crate::external::{Server, outcome};
use crate::wire::Work;

#[derive(Debug)]
pub(super) struct Carte;

const FIELDS: &[Field] = &[
    RUNS,
    Field {
        help: "As the server sees it: an absolute path, or a URL that Kettle understands. Empty: it is in \
               a repository.",
        ..FILE
    },
    REPOSITORY,
    DIRECTORY,
    OBJECT,
    USER,
    etl::PARAMS,
    etl::LEVEL,
    etl::ERRORS,
    external::PATIENCE,
    external::AGAIN_IF_GONE,
    etl::OUTPUT,
];

impl Kind for Carte {
    fn name(&self) -> &'static str {
        "carte"
    }

    fn title(&self) -> &'static str {
        "Kettle on Carte"
    }

    fn locus(&self) -> Locus {
        Locus::External
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn rendered(&self) -> &'static [&'static str] {
        &["file", "repository", "directory", "object", "user", "params"]
    }

    fn validate(&self, fields: &Fields) -> Vec<FieldError> {
        kettle::check_source(fields)
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
        let source = kettle::source(fields, context)?;
        let flow = text(fields, "runs") != "transformation";
        external::work(fields, context, (Server::Carte, source, flow, String::new()))
    }
}
