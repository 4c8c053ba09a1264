//! The schema: numbered files of `ddl/`, each run once, in order, by one process at a time.
//!
//! The rule: a file that has been released is never edited (its checksum is stored); a change is a new
//! file and one line in [`steps`]. A database of a newer program is refused. Called at start.

use super::{Db, Error, Result, Row};
use sha2::{Digest, Sha256};

/// One file of `ddl/`.
#[derive(Clone, Debug)]
pub struct Step {
    pub version: i64,
    pub name: &'static str,
    pub text: &'static str,
}

/// What is in the binary.
pub fn steps() -> Vec<Step> {
    vec![
        Step { version: 1, name: "001_init", text: include_str!("../../../ddl/001_init.sql") },
        Step { version: 2, name: "002_events", text: include_str!("../../../ddl/002_events.sql") },
        Step { version: 3, name: "003_run_as", text: include_str!("../../../ddl/003_run_as.sql") },
        Step {
            version: 4,
            name: "004_host_sample",
            text: include_str!("../../../ddl/004_host_sample.sql"),
        },
        Step {
            version: 5,
            name: "005_saved_filter",
            text: include_str!("../../../ddl/005_saved_filter.sql"),
        },
        Step {
            version: 6,
            name: "006_execution_period",
            text: include_str!("../../../ddl/006_execution_period.sql"),
        },
        Step { version: 7, name: "007_join", text: include_str!("../../../ddl/007_join.sql") },
        Step {
            version: 8,
            name: "008_calendar",
            text: include_str!("../../../ddl/008_calendar.sql"),
        },
        Step {
            version: 9,
            name: "009_explain",
            text: include_str!("../../../ddl/009_explain.sql"),
        },
        Step {
            version: 10,
            name: "010_versions",
            text: include_str!("../../../ddl/010_versions.sql"),
        },
        Step { version: 11, name: "011_part", text: include_str!("../../../ddl/011_part.sql") },
        Step {
            version: 12,
            name: "012_backfill",
            text: include_str!("../../../ddl/012_backfill.sql"),
        },
        Step {
            version: 13,
            name: "013_step_count",
            text: include_str!("../../../ddl/013_step_count.sql"),
        },
        Step {
            version: 14,
            name: "014_host_versions",
            text: include_str!("../../../ddl/014_host_versions.sql"),
        },
        Step {
            version: 15,
            name: "015_execution_fill",
            text: include_str!("../../../ddl/015_execution_fill.sql"),
        },
        Step {
            version: 16,
            name: "016_step_time",
            text: include_str!("../../../ddl/016_step_time.sql"),
        },
        Step {
            version: 17,
            name: "017_step_entry",
            text: include_str!("../../../ddl/017_step_entry.sql"),
        },
    ]
}

/// Where applied steps are recorded; the same text for every adapter.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (
  version BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  checksum VARCHAR(64) NOT NULL,
  applied_ms BIGINT NOT NULL
)";
/// Where DDL commits by itself: how many statements of a step are done.
pub(super) const PROGRESS: &str = "CREATE TABLE IF NOT EXISTS schema_progress (
  version BIGINT NOT NULL PRIMARY KEY,
  statements BIGINT NOT NULL
)";
pub(super) const BEGUN: &str = "SELECT statements FROM schema_progress WHERE version = ?";
/// Of the embedded database: what its servers' ids are to the others.
pub(super) const IDENTITY: &str = "CREATE TABLE IF NOT EXISTS database_identity (
  one BIGINT NOT NULL PRIMARY KEY,
  id VARCHAR(64) NOT NULL
)";
pub(super) const APPLIED: &str = "SELECT version, checksum FROM schema_version ORDER BY version";
pub(super) const RECORD: &str =
    "INSERT INTO schema_version (version, name, checksum, applied_ms) VALUES (?, ?, ?, ?)";

impl Step {
    /// SHA-256 of the text, in hex.
    pub fn checksum(&self) -> String {
        Sha256::digest(self.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// One statement per `;` at the end of a line.
    pub fn statements(&self) -> impl Iterator<Item = &'static str> {
        let has_sql = |part: &&str| {
            part.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("--"))
        };
        self.text.split(";\n").filter(has_sql)
    }
}

/// Brings the schema to what this program knows; answers how many steps that took.
///
/// # Errors
/// The database is of a newer program, a released step was edited, or a statement failed.
pub async fn run(db: &Db) -> Result<u32> {
    db.migrate(steps()).await
}

/// What [`APPLIED`] has answered: (version, checksum).
pub(super) fn applied(rows: &[Row]) -> Result<Vec<(i64, String)>> {
    rows.iter().map(|row| Ok((row.int("version")?, row.text("checksum")?.to_owned()))).collect()
}

/// What is left to do, given (version, checksum) of what was done.
pub(super) fn missing(applied: &[(i64, String)], steps: Vec<Step>) -> Result<Vec<Step>> {
    let newest = steps.last().map_or(0, |step| step.version);
    if let Some((version, _)) = applied.iter().find(|(version, _)| *version > newest) {
        return Err(Error::Fatal(format!(
            "the schema of this database is version {version}, and this program knows none above \
             {newest}: start the newer program that made it, or restore a backup from before"
        )));
    }
    for (version, checksum) in applied {
        let step = steps.iter().find(|step| step.version == *version);
        if step.is_none_or(|step| step.checksum() != *checksum) {
            return Err(Error::Fatal(format!(
                "step {version} of the schema of this database was made by another text than this \
                 program's: it belongs to another build; use that one, or another database"
            )));
        }
    }
    // Not those above the newest: numbers are given out before they are used, and one that came later
    // may have a lower one.
    let is_done = |step: &Step| applied.iter().any(|(version, _)| *version == step.version);
    Ok(steps.into_iter().filter(|step| !is_done(step)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_was_not_done() {
        let step = |version: i64| Step { version, name: "x", text: "SELECT 1;\n" };
        let steps = || [1, 2, 3, 5].map(step).to_vec();
        let done = |versions: &[i64]| -> Vec<(i64, String)> {
            versions.iter().map(|version| (*version, step(*version).checksum())).collect()
        };
        let left = |versions: &[i64]| -> Vec<i64> {
            let left = missing(&done(versions), steps()).unwrap();
            left.iter().map(|step| step.version).collect()
        };
        assert_eq!(left(&[]), [1, 2, 3, 5]);
        assert_eq!(left(&[1, 2, 3, 5]), [0; 0]);
        // The third came after the fifth.
        assert_eq!(left(&[1, 2, 5]), [3]);
        // Of a newer program; of another build.
        assert!(missing(&done(&[1, 6]), steps()).is_err());
        assert!(missing(&done(&[4]), steps()).is_err());
    }

    #[test]
    fn a_file_is_cut_into_statements() {
        let text = "-- a; b\nCREATE TABLE a (\n  b BIGINT\n);\n\n-- only words;\nINSERT INTO a VALUES (1);\n";
        let step = Step { version: 1, name: "x", text };
        let statements: Vec<&str> = step.statements().collect();
        assert_eq!(statements.len(), 2, "{statements:?}");
        assert!(steps()[0].statements().count() > 30);
    }
}
