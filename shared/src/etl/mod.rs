//! Kettle and Hop: what the executor is told about a run of theirs, and what it reads and concludes.
//!
//! A host never starts them bare: `hcndc-executor etl` stands before them. It checks what can be known
//! before a JVM is started ([`declared`]), reads their output as it goes by ([`log`]), and says how the
//! run ended ([`outcome`]), for their own exit code is not the whole truth. All here is pure; the kinds
//! ([`crate::kind`]) make an [`Etl`], `executor/src/etl/` uses it, pages read [`counts`]. What people see
//! of a file ([`drawn`]) and where it is found ([`found`], [`stored`]) is asked of a host with [`browse`].

pub mod xml;

pub mod counts;
pub mod declared;
pub(crate) mod entries;
pub mod log;
pub mod outcome;
pub mod progress;
pub mod warm;

pub mod drawn;
pub mod found;
pub mod stored;

pub mod browse;

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The path that a `file://` URL means, as Kettle and Hop read it; anything else as it is.
pub fn plain_path(file: &str) -> Cow<'_, str> {
    match file.strip_prefix("file://") {
        Some(path) => percent_encoding::percent_decode_str(path).decode_utf8_lossy(),
        None => file.into(),
    }
}

/// Which program runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Kettle's jobs.
    Kitchen,
    /// Kettle's transformations.
    Pan,
    /// Hop's pipelines and workflows.
    Hop,
}

/// What an engine is a program of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    Kettle,
    Hop,
}

impl Engine {
    pub fn family(self) -> Family {
        match self {
            Engine::Kitchen | Engine::Pan => Family::Kettle,
            Engine::Hop => Family::Hop,
        }
    }

    /// As it is called on a host's `PATH`.
    pub fn program(self) -> &'static str {
        match self {
            Engine::Kitchen => "kitchen.sh",
            Engine::Pan => "pan.sh",
            Engine::Hop => "hop-run.sh",
        }
    }
}

/// One run, beside its command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etl {
    pub engine: Engine,
    /// A path or a URL; none: it is in a repository.
    #[serde(default)]
    pub file: Option<String>,
    /// Of Hop: whose home `file` may begin with.
    #[serde(default)]
    pub project: Option<String>,
    /// Parameters that it is given: what it runs must declare each of them.
    #[serde(default)]
    pub params: Vec<String>,
    /// Its log level is one at which it says that it begins.
    pub speaks: bool,
    /// Without a word of its own for so long it waits for something that never comes.
    pub start_within_s: u32,
    /// It says that it begins before it logs in, and may wait there: only a word of what it runs counts. Not at
    /// levels at which that is silent.
    #[serde(default)]
    pub logs_in: bool,
    /// A `KETTLE_HOME` of the attempt's own, copied from the shared one.
    #[serde(default)]
    pub own_home: bool,
    /// It may be lent a JVM that has its engine loaded, where its host has one.
    #[serde(default)]
    pub warm: Option<Box<warm::Asked>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_file_is_a_path() {
        for (file, path) in [
            ("/srv/a b%20.ktr", "/srv/a b%20.ktr"),
            ("file:///srv/a%20b.ktr", "/srv/a b.ktr"),
            ("file:///srv/%E6%97%A5.kjb", "/srv/日.kjb"),
            ("file:///srv/100%.ktr", "/srv/100%.ktr"),
            ("sftp://h/a%20b.ktr", "sftp://h/a%20b.ktr"),
            ("", ""),
        ] {
            assert_eq!(plain_path(file), path);
        }
    }
}
