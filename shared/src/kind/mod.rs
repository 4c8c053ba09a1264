//! Kinds of jobs. A new kind is one new file here and one line in [`ALL`].
//!
//! A kind declares its fields (forms, validation and help are made from them), says what is wrong
//! with them, and describes the process of one attempt. [`check`] is called when a definition is
//! saved, [`work`] when an attempt is ordered; both are pure.

mod carte;
pub mod check;
mod etl;
mod external;
mod hop;
mod hop_server;
mod kettle;
pub mod render;
mod shell;

pub use check::{check, check_placeholders};

use crate::etl::browse::At;
use crate::ids::{AttemptId, ExecutionId};
use crate::period::Period;
use crate::secret::is_secret;
use crate::wire::Work;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Every kind there is, in the order in which forms offer them.
pub const ALL: &[&dyn Kind] =
    &[&shell::Shell, &kettle::Kettle, &hop::Hop, &carte::CARTE, &hop_server::HOP_SERVER];

pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.iter().copied().find(|kind| kind.name() == name)
}

/// Instead of a secret.
const HIDDEN: &str = "••••••";

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
    /// The fields whose texts may hold placeholders: `${date}`, parameters.
    fn rendered(&self) -> &'static [&'static str];
    /// What is wrong with the fields, each error beside its field. Called after the general checks
    /// of [`check`]: types, required, unknown.
    fn validate(&self, fields: &Fields) -> Vec<FieldError>;
    /// Exit codes that mean success, as [`Work::success_codes`] will have them: the engine judges.
    fn success_codes(&self, _fields: &Fields) -> Vec<i32> {
        vec![0]
    }
    /// What an exit code of it means, for people and as a key of the catalogue of languages. A code that
    /// counts as success and means something is a warning.
    fn exit_means(&self, _fields: &Fields, _code: i32) -> Option<&'static str> {
        None
    }
    /// It runs in a named environment of its host only. (So a host whose executor is older than the kind
    /// is never given it: it tells of none.)
    fn needs_environment(&self) -> bool {
        false
    }
    /// Its output ends with the rows that its steps have moved ([`crate::etl::counts`]).
    fn counts_rows(&self) -> bool {
        false
    }
    /// Of an `External` kind: who looks on has ended with this code and has not seen the end of what he
    /// looked on; the next one goes on with it, and that counts as no attempt.
    fn is_unseen(&self, _code: i32) -> bool {
        false
    }
    /// An attempt that has ended with this code is not tried again without a person's word.
    fn is_final(&self, _code: i32) -> bool {
        false
    }
    /// It runs files of Kettle or Hop: pages have a picture of them.
    fn runs_file(&self) -> bool {
        false
    }
    /// The file that it runs, where a host can be asked what is in it.
    ///
    /// # Errors
    /// A field that only now turns out to be wrong.
    fn file(&self, _fields: &Fields, _context: &Context) -> Result<Option<Ran>, FieldError> {
        Ok(None)
    }
    /// The exact command of one attempt on its host.
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
        names: Names,
    },
}

/// What the names of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Of an environment.
    Variables,
    /// Of something that has rules of its own: one line without `=`.
    Any,
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
    /// Attempts of the job before it whose end nobody has seen, back to the last one that was.
    pub unseen: Vec<AttemptId>,
    /// One of those was told to end its work.
    pub stopped: bool,
    /// project < interface < job < run, already merged; values still unrendered.
    pub params: BTreeMap<String, String>,
}

/// What a job of Kettle or Hop runs, and the names of the parameters that it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Of the environment that it names.
    pub at: At,
    /// None of what a server runs: its file may be another one than that of the host.
    pub params: Vec<String>,
}

/// Bytes of one attempt's command and environment together: it travels in one frame with others.
pub const WORK_BYTES_MAX: usize = 48 * 1024;

/// What the host is to start for one attempt: the kind's command, and what every job is told.
///
/// # Errors
/// A parameter that has no value, or a command that has become too long; the path names the field.
pub fn work(kind: &str, fields: &Fields, context: &Context) -> Result<Work, FieldError> {
    let found = find(kind).ok_or_else(|| unknown_kind(kind))?;
    let mut work = found.work(fields, context)?;
    for (name, value) in told(context)? {
        // What a person has set in the environment map stays as it is.
        work.env.entry(name).or_insert(value);
    }
    let argv: usize = work.argv.iter().map(|text| text.len() + 1).sum();
    let env: usize = work.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let external = work.external.as_ref().map_or(0, |external| external.size());
    if argv + env + external > WORK_BYTES_MAX {
        let message = format!(
            "command and environment are {} bytes long once parameters are filled in; at most \
             {WORK_BYTES_MAX} go to a host: put long texts into a file",
            argv + env + external
        );
        return Err(FieldError::new("fields", message));
    }
    Ok(work)
}

pub(crate) fn unknown_kind(kind: &str) -> FieldError {
    let known: Vec<&str> = ALL.iter().map(|kind| kind.name()).collect();
    let shown: String = kind.chars().take(40).collect();
    FieldError::new("kind", format!("{shown:?} is no kind; there are: {}", known.join(", ")))
}

/// The `HCNDC_*` variables: who the job is, and every parameter as `HCNDC_PARAM_name`.
fn told(context: &Context) -> Result<BTreeMap<String, String>, FieldError> {
    let mut env = BTreeMap::new();
    let mut tell = |name: &str, value: String| env.insert(format!("HCNDC_{name}"), value);
    tell("PROJECT", context.project.clone());
    tell("INTERFACE", context.interface.clone());
    tell("JOB", context.job.clone());
    tell("PERIOD", context.period.to_string());
    tell("DATE", render::date_of(context.period, "%Y%m%d"));
    tell("EXECUTION", context.execution.to_string());
    tell("RUN", context.attempt.run.to_string());
    tell("ATTEMPT", context.attempt.number.to_string());
    tell("ATTEMPT_ID", context.attempt.to_string());
    for name in context.params.keys() {
        let path = format!("params.{name}");
        let value = render::param(name, context).map_err(|why| FieldError::new(path, why))?;
        tell(&format!("PARAM_{name}"), value);
    }
    Ok(env)
}

/// The command as a person would type it: what a form and the job's drawer show. Only for the eye.
pub fn preview(work: &Work) -> String {
    if let Some(external) = &work.external {
        return external.told();
    }
    let words: Vec<String> = work.argv.iter().map(|word| quoted(word)).collect();
    match work.dir.is_empty() {
        true => words.join(" "),
        false => format!("cd {} && {}", quoted(&work.dir), words.join(" ")),
    }
}

/// The variables that a job gives itself, as people may see them: no values of what looks like a secret.
pub fn shown_env(work: &Work) -> BTreeMap<&str, &str> {
    let own = work.env.iter().filter(|(name, _)| !name.starts_with("HCNDC_"));
    own.map(|(name, value)| (name.as_str(), if is_secret(name, value) { HIDDEN } else { value }))
        .collect()
}

/// As a POSIX shell would need it to read back the same word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=.,:/@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests;
