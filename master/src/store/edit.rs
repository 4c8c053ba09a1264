//! One change by one person: who, from where, when. Every change of a definition is one batch: the
//! row (guarded by its version), its version row, the revision, and the audit.

use super::audit::{self, Deed};
use crate::db::{Write, guard, params};
use shared::ids::*;

#[derive(Clone, Debug)]
pub struct Edit {
    pub by: UserId,
    /// Address of the asker.
    pub from: String,
    pub at: Millis,
    /// For the history of versions.
    pub note: String,
}

impl Edit {
    /// By the master itself, at start.
    pub fn of_system(at: Millis) -> Edit {
        Edit { by: UserId(0), from: "master".into(), at, note: String::new() }
    }

    /// What was done to what, for the audit.
    pub fn audit(
        &self,
        project: ProjectId,
        action: &str,
        object: (&str, i64),
        detail: &str,
    ) -> Write {
        audit::write(self, &[Deed { project, action, object, detail }])
    }

    /// As [`Edit::audit`], of many things in one write.
    pub fn audit_all(&self, deeds: &[Deed]) -> Write {
        audit::write(self, deeds)
    }

    /// Every edit of a definition raises it: the leader and the pages read anew.
    pub fn revision(&self) -> Write {
        let sql = "UPDATE revision SET value = value + 1 WHERE name = ?";
        guard(sql, params!["definition"])
    }

    /// First in a batch that was judged against all definitions as they were at this revision:
    /// [`crate::db::Error::Conflict`] when anything was edited since.
    pub fn unchanged_since(&self, revision: i64) -> Write {
        let sql = "UPDATE revision SET value = value + 1 WHERE name = ? AND value = ?";
        guard(sql, params!["definition", revision])
    }
}
