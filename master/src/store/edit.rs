//! One change by one person: who, from where, when. Every change of a definition is one batch: the
//! row (guarded by its version), its version row, the revision, and the audit.

use super::audit::{self, Deed};
use super::version::How;
use crate::db::{Write, guard, params};
use shared::ids::*;

/// Characters of a reason.
pub const REASON_CHARS_MAX: usize = 500;

#[derive(Clone, Debug)]
pub struct Edit {
    pub by: UserId,
    /// Address of the asker.
    pub from: String,
    pub at: Millis,
    /// Why, in that person's words, at most [`REASON_CHARS_MAX`]: kept with the versions it makes.
    pub reason: String,
    pub how: How,
}

impl Edit {
    pub fn new(by: UserId, from: impl Into<String>, at: Millis) -> Edit {
        Edit { by, from: from.into(), at, reason: String::new(), how: How::Saved }
    }

    /// By the master itself, at start.
    pub fn of_system(at: Millis) -> Edit {
        Edit::new(UserId(0), "master", at)
    }

    /// As the column of the versions holds it.
    pub(super) fn reason(&self) -> String {
        self.reason.chars().take(REASON_CHARS_MAX).collect()
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

    /// What the audit tells of something that goes: no version of it is left to have the reason.
    pub(super) fn farewell(&self, name: &str) -> String {
        match self.reason.as_str() {
            "" => name.to_owned(),
            _ => format!("{name}: {}", self.reason()),
        }
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
