//! Work that lives elsewhere: submitted to a server, observed, adopted, stopped.
//!
//! What an attempt is on its host is only who looks on: `hcndc-executor external`, a process like any
//! other. What it has submitted goes on without it. So that nothing is submitted twice, the name under
//! which the server knows it is the attempt's own, and who comes after asks for it first: for those of
//! attempts whose end nobody has seen ([`External::adopt`]). [`observe`] decides what to ask next, pure;
//! [`carte`] is how Carte and Hop server are asked; `executor/src/external/` asks.
//!
//! What is presumed of a server: what it has not worked off `late_ms` after it was sent, or before it was
//! started anew, it never will.

pub mod carte;
pub mod observe;
pub mod outcome;
pub mod password;

use crate::etl::Engine;
use crate::etl::browse::At;
use crate::etl::drawn::Form;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Server {
    /// Kettle's.
    Carte,
    Hop,
}

impl Server {
    pub const ALL: [Server; 2] = [Server::Carte, Server::Hop];

    /// What the variables of its environment begin with: `CARTE_URL`, `CARTE_USER`, `CARTE_PASSWORD`.
    pub fn variables(self) -> &'static str {
        match self {
            Server::Carte => "CARTE",
            Server::Hop => "HOP_SERVER",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Server::Carte => "Carte",
            Server::Hop => "Hop server",
        }
    }

    /// Whose log lines it gives.
    pub fn engine(self) -> Engine {
        match self {
            Server::Carte => Engine::Kitchen,
            Server::Hop => Engine::Hop,
        }
    }
}

/// Where that which is to be run lies, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    File(String),
    /// Of Kettle, with a leading `/` in front of the directory.
    Repository {
        name: String,
        user: String,
        directory: String,
        object: String,
    },
}

impl Source {
    /// Where a host would look for it; `flow`: a job or workflow. None: in an archive, or on another
    /// machine: no host looks there.
    pub fn at(self, flow: bool) -> Option<At> {
        match self {
            Source::File(file) if !file.starts_with('/') && !file.starts_with("file:///") => None,
            Source::File(file) => Some(At::Path(file)),
            Source::Repository { name, directory, object, .. } => {
                let form = if flow { Form::Job } else { Form::Transformation };
                Some(At::Repository { environment: String::new(), name, directory, object, form })
            }
        }
    }
}

/// One run, as the executor is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    pub server: Server,
    pub source: Source,
    /// A job or workflow, else a transformation or pipeline.
    pub flow: bool,
    /// As Kettle spells it: `Basic`.
    pub level: String,
    /// Of Hop; empty: `local`.
    #[serde(default)]
    pub run_configuration: String,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The name of this attempt there.
    pub key: String,
    /// Names of earlier attempts of the job whose end nobody has seen.
    #[serde(default)]
    pub adopt: Vec<String>,
    /// One of them was told to end its work: what was stopped there was stopped by us.
    #[serde(default)]
    pub stopped: bool,
    /// So long may the server not answer before who looks on gives up (what it does goes on).
    pub patience_s: u32,
    /// Submit again what was submitted once, and is not known to the server any more.
    #[serde(default)]
    pub again_if_gone: bool,
    /// A Carte is to list what it begins, and how far that is ([`carte::live`]).
    #[serde(default)]
    pub lists: bool,
}

impl External {
    /// Bytes that travel to the host, about.
    pub fn size(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }

    /// What it comes to, for people.
    pub fn told(&self) -> String {
        let what = match &self.source {
            Source::File(file) => file.clone(),
            Source::Repository { name, directory, object, .. } => {
                format!("{name}:{}/{object}", directory.trim_end_matches('/'))
            }
        };
        let params = self.params.iter().map(|(name, value)| format!(" {name}={value}"));
        let level = &self.level;
        let url = format!("${}_URL", self.server.variables());
        format!("{} {url}: {what} level={level}{}", self.server.title(), params.collect::<String>())
    }
}
