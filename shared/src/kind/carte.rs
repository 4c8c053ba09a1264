//! *Kettle on Carte*: a job or a transformation, run by a Carte that is there already.

use super::etl::{self, text};
use super::external::{self, Asked, OnServer};
use super::kettle::{self, DIRECTORY, FILE, OBJECT, REPOSITORY, RUNS, USER};
use super::{Field, Input};
use crate::external::Server;
use serde_json::Value;

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
        let lists = fields.get(LISTS.name).and_then(Value::as_bool).unwrap_or(false);
        Ok(Asked { source, flow, run_configuration: String::new(), lists })
    },
};

const LISTS: Field = Field {
    name: "live_rows",
    label: "Rows of steps while they run",
    help: "Carte lists each transformation and job that this one begins, tells how far its steps are, and \
           keeps it in its memory until it has ended and is removed: not for one that begins thousands, as \
           a loop or an executor step does. Off: a step's rows are told when it ends.",
    input: Input::Switch,
    required: false,
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
    external::PARAMS,
    etl::LEVEL,
    etl::ERRORS,
    LISTS,
    external::PATIENCE,
    external::AGAIN_IF_GONE,
    etl::OUTPUT,
];
