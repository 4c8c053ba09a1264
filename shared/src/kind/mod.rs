//! Kinds of jobs. A new kind is one new file here and one line in [`ALL`].

use crate::ids::{AttemptId, ExecutionId};
use crate::period::Period;
use crate::wire::Work;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Every kind there is, in the order in which forms offer them.
pub const ALL: &[&dyn Kind] = &[];

pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.iter().copied().find(|kind| kind.name() == name)
}

/// What a person has filled in: [`crate::spec::JobSpec::fields`].
pub type Fields = BTreeMap<String, serde_json::Value>;

/// Where a job of a kind lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locus {
    /// The engine decides: condition, wait, sub-interface.
    Engine,
    /// A child process on a host.
    Process,
    /// Submitted, then observed: Flink, Carte.
    External,
}

/// One type of job. Pure: it describes, it never does.
pub trait Kind: Sync {
    /// In definitions: `shell`.
    fn name(&self) -> &'static str;
    /// For people; the key of its translation.
    fn title(&self) -> &'static str;
    fn locus(&self) -> Locus;
    fn fields(&self) -> &'static [Field];
    /// What is wrong with the fields, each error beside its field. Called after the general checks
    /// of [`check`]: types, required, unknown.
    fn validate(&self, fields: &Fields) -> Vec<FieldError>;
    /// Of a `Process` kind: the exact command of one attempt.
    ///
    /// # Errors
    /// A field that only now turns out to be wrong (a parameter without a value).
    fn work(&self, fields: &Fields, context: &Context) -> Result<Work, FieldError>;
}

impl fmt::Debug for dyn Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One field of a kind's form. Forms, validation and help are made from it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    /// For people; the key of its translation.
    pub label: &'static str,
    pub help: &'static str,
    pub input: Input,
    pub required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    Line {
        chars_max: usize,
    },
    Text {
        chars_max: usize,
    },
    Number {
        min: i64,
        max: i64,
    },
    Switch,
    Choice(&'static [&'static str]),
    /// One text a line: arguments.
    List {
        items_max: usize,
    },
    /// `NAME=value` a line: an environment.
    Map {
        items_max: usize,
    },
}

/// What is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FieldError {
    /// `fields.argv`, `after[2].job`, `cron`.
    pub path: String,
    pub message: String,
}

impl FieldError {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { path: path.into(), message: message.into() }
    }
}

/// What an attempt is for: where its parameters and its `HCNDC_*` variables come from.
#[derive(Clone, Debug)]
pub struct Context {
    pub project: String,
    pub interface: String,
    pub job: String,
    pub period: Period,
    pub execution: ExecutionId,
    pub attempt: AttemptId,
    /// project < interface < job < run, already merged; values still unrendered.
    pub params: BTreeMap<String, String>,
}
