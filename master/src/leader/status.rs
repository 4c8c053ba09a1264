//! What this master says of leading: on every page's head, and in `/readyz`.

use shared::ids::Millis;

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
}
