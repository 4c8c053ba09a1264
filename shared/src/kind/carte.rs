//! *Kettle on Carte*: a job or a transformation, run by a Carte that is there already.

use super::Field;
use super::etl::{self, text};
use super::external::{self, Asked, OnServer};
use super::kettle::{self, DIRECTORY, FILE, OBJECT, REPOSITORY, RUNS, USER};
use crate::external::Server;

pub(super) const CARTE: OnServer = OnServer {
    name: "carte",
    title: "Kettle on Carte",
    server: Server::Carte,
    fields: FIELDS,
    rendered: &["file", "repository", "directory", "object", "user", "params"],
    validate: kettle::check_source,
    asked: |fields, context| {
        let source = kettle::source(fields, context)?;
        let flow = text(fields, "runs") != "transformation";
        Ok(Asked { source, flow, run_configuration: String::new() })
    },
};

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
