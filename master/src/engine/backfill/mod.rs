//! Backfill (补数): many periods of one interface, made as slots open.
//!
//! A backfill is a row with a cursor, not a list: which periods it has follows from what was asked for,
//! and each step asks for the next one. So ten years are planned as fast as ten days, and a leader that
//! takes over goes on where its predecessor was.

mod estimate;
mod fill;
mod line;
mod outline;

pub use estimate::{Estimate, estimate};
pub(crate) use fill::Fills;
pub use line::{Line, Span};
pub use outline::{Outline, check, outline};

use serde::{Deserialize, Serialize};
use shared::ids::*;
use std::collections::BTreeMap;

/// Executions of one backfill at once.
pub const PARALLEL_MAX: u32 = 100;
/// Spans of periods, and as many to be left out.
pub const SPANS_MAX: usize = 400;
/// Periods of one backfill.
pub const PERIODS_MAX: usize = 100_000;
/// Runs of one backfill: periods times what descends from its interface.
pub const RUNS_MAX: u64 = 1_000_000;
/// Backfills of a project that have not ended.
pub const LIVE_MAX: usize = 200;

/// What a person asks for. The periods are those of all spans, each once, without those of the skips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillSpec {
    pub interface: InterfaceId,
    /// `2026-01-01..2026-01-31`, both ends inside, or one period alone.
    pub spans: Vec<Span>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<Span>,
    /// The newest period first.
    #[serde(default)]
    pub descending: bool,
    /// Executions of it that live at once.
    #[serde(default = "one")]
    pub parallel: u32,
    /// All that descends from the interface too.
    #[serde(default)]
    pub cascade: bool,
    /// Runs that have succeeded count; otherwise they get a new generation.
    #[serde(default)]
    pub missing_only: bool,
    /// New executions begin only in these, `22:00-06:00 SAT,SUN`; none: at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// Of the windows.
    #[serde(default = "utc")]
    pub zone: String,
    /// By the definitions as they are when it is planned, whatever is edited meanwhile.
    #[serde(default)]
    pub pinned: bool,
    /// It pauses when so many of its executions have failed; 0: never.
    #[serde(default = "failures")]
    pub failures_max: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

fn failures() -> u32 {
    3
}

fn utc() -> String {
    "UTC".into()
}
