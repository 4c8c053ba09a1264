//! What a warm engine is asked to run: a JVM of the host that has its engine loaded already.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One run, as its kind has described it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub file: String,
    /// Of Kettle: a job. The desk knows it by the program that would run it cold.
    #[serde(skip)]
    pub job: bool,
    pub level: String,
    /// Of Hop: a run configuration, a project, an environment of it; empty: none is named.
    pub configuration: String,
    pub project: String,
    pub lifecycle: String,
    pub params: BTreeMap<String, String>,
}
