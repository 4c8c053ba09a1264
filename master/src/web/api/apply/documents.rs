//! What people write: documents that name things, one per interface, job, dispatch, calendar or host.
//!
//! An interface's document may hold its jobs and dispatches inline. With `jobs` the list is complete:
//! a job that is not in it any more is removed. Nothing else is ever removed by `apply`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::kind::FieldError;

pub const ITEMS_MAX: usize = 200_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    #[serde(default)]
    pub dry_run: bool,
    /// Kept with the versions that it makes.
    #[serde(default)]
    pub reason: String,
    pub documents: Vec<Document>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Where it was read: `flights/load.yaml:2`. Only told back.
    #[serde(default)]
    pub source: String,
    pub kind: What,
    pub name: String,
    /// None: the default project; for a host: shared by all.
    #[serde(default)]
    pub project: Option<String>,
    /// Of a job or a dispatch.
    #[serde(default)]
    pub interface: Option<String>,
    #[serde(default)]
    pub spec: Map<String, Value>,
    /// All the jobs of an interface, each its spec with its name.
    #[serde(default)]
    pub jobs: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    pub dispatches: Vec<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Host,
    Calendar,
    Interface,
    Job,
    Dispatch,
}

impl What {
    pub fn word(self) -> &'static str {
        match self {
            What::Host => "host",
            What::Calendar => "calendar",
            What::Interface => "interface",
            What::Job => "job",
            What::Dispatch => "dispatch",
        }
    }
}

/// One thing that is to be as its spec says; names are not resolved yet.
#[derive(Clone, Debug)]
pub struct Item {
    pub source: String,
    /// Before the paths of its spec: `jobs[2].` when it stood inline.
    pub prefix: String,
    pub what: What,
    pub project: Option<String>,
    pub interface: Option<String>,
    pub name: String,
    pub spec: Map<String, Value>,
    /// Of an interface: its jobs are all in the documents.
    pub complete: bool,
}

/// What is wrong, in which document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub source: String,
    /// `interface flights_load`, `job flights_load/extract`.
    pub object: String,
    pub path: String,
    pub message: String,
}

impl Item {
    pub fn object(&self) -> String {
        match (&self.interface, self.what) {
            (Some(interface), What::Job) => format!("job {interface}/{}", self.name),
            (_, what) => format!("{} {}", what.word(), self.name),
        }
    }

    pub fn problem(&self, error: &FieldError) -> Problem {
        Problem {
            source: self.source.clone(),
            object: self.object(),
            path: format!("{}{}", self.prefix, error.path),
            message: error.message.clone(),
        }
    }

    pub fn wrong(&self, path: &str, message: impl Into<String>) -> Problem {
        self.problem(&FieldError::new(path, message))
    }
}

/// Inline jobs and dispatches become items of their own; hosts and calendars first, then interfaces, then the rest.
pub fn items(documents: Vec<Document>) -> Result<Vec<Item>, Vec<Problem>> {
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    for document in documents {
        let Document { source, kind, name, project, interface, spec, jobs, dispatches } = document;
        let complete = jobs.is_some();
        let of = (kind == What::Interface).then(|| name.clone());
        let own = Item {
            source,
            prefix: String::new(),
            what: kind,
            project,
            interface: if kind == What::Interface { None } else { interface },
            name,
            spec,
            complete,
        };
        if kind != What::Interface && (complete || !dispatches.is_empty()) {
            problems.push(own.wrong("jobs", "only an interface has jobs and dispatches inline"));
        }
        if let What::Host | What::Calendar = kind
            && own.interface.is_some()
        {
            let message = format!("a {} belongs to no interface", kind.word());
            problems.push(own.wrong("interface", message));
        }
        let jobs = jobs.unwrap_or_default().into_iter().map(|spec| (What::Job, "jobs", spec));
        let dispatches = dispatches.into_iter().map(|it| (What::Dispatch, "dispatches", it));
        let (mut at, mut last) = (0, "");
        let mut inline = Vec::new();
        for (what, list, mut spec) in jobs.chain(dispatches) {
            at = if list == last { at + 1 } else { 0 };
            last = list;
            let prefix = format!("{list}[{at}].");
            let Some(Value::String(name)) = spec.remove("name") else {
                problems.push(own.wrong(&format!("{prefix}name"), "a name is required"));
                continue;
            };
            let (source, project) = (own.source.clone(), own.project.clone());
            let interface = of.clone();
            inline.push(Item {
                source,
                prefix,
                what,
                project,
                interface,
                name,
                spec,
                complete: false,
            });
        }
        items.push(own);
        items.extend(inline);
    }
    items.sort_by_key(|item| item.what);
    match problems.is_empty() {
        true => Ok(items),
        false => Err(problems),
    }
}
