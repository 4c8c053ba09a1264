//! What this master says of leading: on every page's head, and in `/readyz`.

use shared::ids::{ExecutionId, Millis, ProjectId};
use std::collections::BTreeMap;

/// How this master stands to leading.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LeaderStatus {
    pub leads: bool,
    /// Another master holds the lease: it leads, or is about to.
    pub another: bool,
    /// The epoch of this master's reign, or the newest that it knows of.
    pub epoch: i64,
    /// The date since when it leads.
    pub since_ms: Option<Millis>,
    /// Why it does not lead, or why nothing runs although it does: for people. Empty: all is well.
    pub why: String,
    /// It leads, and can store nothing.
    pub away: Option<Away>,
}

/// The database does not take what the leader would store.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Away {
    /// A date.
    pub since_ms: Millis,
    /// The next one first.
    pub ends: Vec<Ending>,
}

/// Jobs with `on_lost = retry` that their host will end, if nothing can be stored before.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ending {
    /// Names are for who may see them: `/readyz` is for anybody.
    #[serde(skip)]
    pub host: String,
    /// The host's.
    #[serde(skip)]
    pub project: ProjectId,
    pub at_ms: Millis,
    pub count: usize,
    /// By the project of the jobs.
    #[serde(skip)]
    pub counts: BTreeMap<ProjectId, usize>,
    /// The first ones of each project.
    #[serde(skip)]
    pub jobs: Vec<Doomed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doomed {
    pub project: ProjectId,
    pub execution: ExecutionId,
    pub job: String,
    pub interface: String,
    pub period: String,
}
