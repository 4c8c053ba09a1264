//! What people see of a file of Kettle or Hop: its parameters, its description, and its picture, from
//! the coordinates that its author has given.
//!
//! Only this leaves a host, never the file: it may hold connections with passwords that anybody can
//! read. Everything is limited, so that all of it fits a frame ([`super::browse`]).

mod read;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use read::read;

/// Steps or entries, and hops between them; what is above is only counted.
pub const STEPS_MAX: usize = 400;
pub const HOPS_MAX: usize = 1_000;
pub const PARAMETERS_MAX: usize = 100;
/// Steps whose file is told.
pub const REFERENCES_MAX: usize = 100;
/// Bytes of texts.
const NAME_MAX: usize = 128;
const KIND_MAX: usize = 40;
const WORDS_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 2_000;
const FILE_MAX: usize = 400;

/// What kind of a file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Of Kettle.
    Job,
    Transformation,
    /// Of Hop.
    Workflow,
    Pipeline,
}

impl Form {
    /// By its first element.
    ///
    /// # Errors
    /// It is another one.
    pub fn of_root(name: &str) -> Result<Form, String> {
        Ok(match name {
            "job" => Form::Job,
            "transformation" => Form::Transformation,
            "workflow" => Form::Workflow,
            "pipeline" => Form::Pipeline,
            _ => {
                let shown = super::xml::shown(name);
                return Err(format!(
                    "it begins with <{shown}>, which is no job, transformation, workflow or pipeline"
                ));
            }
        })
    }

    /// By the end of its name, in small letters or capitals.
    pub fn of_file(name: &str) -> Option<Form> {
        let (_, end) = name.rsplit_once('.')?;
        let all = [Form::Job, Form::Transformation, Form::Workflow, Form::Pipeline];
        all.into_iter().find(|form| form.extension().eq_ignore_ascii_case(end))
    }

    pub fn extension(self) -> &'static str {
        match self {
            Form::Job => "kjb",
            Form::Transformation => "ktr",
            Form::Workflow => "hwf",
            Form::Pipeline => "hpl",
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Form::Job => "job",
            Form::Transformation => "transformation",
            Form::Workflow => "workflow",
            Form::Pipeline => "pipeline",
        }
    }

    /// One thing after another, not rows.
    pub fn flows(self) -> bool {
        matches!(self, Form::Job | Form::Workflow)
    }

    /// The kind of our jobs that runs it.
    pub fn kind(self) -> &'static str {
        match self {
            Form::Job | Form::Transformation => "kettle",
            Form::Workflow | Form::Pipeline => "hop",
        }
    }
}

/// A file as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    pub form: Form,
    pub name: String,
    pub description: String,
    pub parameters: Vec<Parameter>,
    /// Parameters that are not listed.
    #[serde(default)]
    pub more_parameters: u32,
    pub steps: Vec<Step>,
    /// Steps that are not drawn; neither are hops from and to them.
    pub more_steps: u32,
    pub hops: Vec<Hop>,
    pub more_hops: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    /// Of one that looks like a secret, none.
    pub default: String,
    pub description: String,
    #[serde(default)]
    pub secret: bool,
}

/// A step of a transformation or pipeline, an entry of a job, an action of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    /// As Kettle or Hop calls it: `TableInput`, `TRANS`.
    pub kind: String,
    pub x: i32,
    pub y: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Reference>,
}

/// Another file that a step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub form: Form,
    /// An absolute path, or one of [`super::stored`], if `whole`; else with what could not be filled in.
    pub file: String,
    pub whole: bool,
    /// Parameters that it is handed, `name=value`; of what looks like a secret only the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hands: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Places in the list of steps.
    pub from: u32,
    pub to: u32,
    pub when: When,
    #[serde(default)]
    pub off: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Of jobs and workflows.
    Always,
    Success,
    Failure,
    /// Of transformations and pipelines.
    Rows,
    Errors,
}

/// Where a file lies: what the variables of its own place stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// Its folder, an absolute path, or one of [`super::stored`].
    pub folder: &'a str,
    /// The first folder of the repository that it is in.
    pub repository: Option<&'a str>,
    /// The home of the project that it is in.
    pub project: Option<&'a str>,
}

/// An absolute path without `.` and `..`; none: it leaves the root.
pub fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

fn short(text: &str, bytes_max: usize) -> String {
    let text = text.trim();
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}
