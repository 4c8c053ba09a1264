//! What the process of an attempt and the warm engine's desk say to each other, in the frames of
//! [`crate::supervise::talk`]. One connection is one run; its end is the end of the run.

use serde::{Deserialize, Serialize};
use shared::etl::counts::Step;
use shared::etl::{Engine, warm::Asked};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// First, and once.
    Run { engine: Engine, what: Box<Asked> },
    /// End it.
    Stop,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// From here on it may have done something.
    Begun,
    Log(String),
    /// True counts, not read from a log; without lines: of a step on its way.
    Step(Step),
    /// The last.
    Ended(Ended),
    /// The last: its JVM is gone, it may have run in part.
    Lost(String),
    /// The last: nothing has run.
    Refused(String),
}

impl Told {
    pub fn is_last(&self) -> bool {
        matches!(self, Told::Ended(_) | Told::Lost(_) | Told::Refused(_))
    }

    /// About how much memory it takes while it waits.
    pub(super) fn size(&self) -> usize {
        match self {
            Told::Log(line) => line.len() + 64,
            _ => 256,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub how: How,
    pub errors: u64,
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    Well,
    WithErrors,
    Stopped,
    /// It could not be loaded.
    NotLoaded,
    /// It could not be prepared.
    NotPrepared,
}
