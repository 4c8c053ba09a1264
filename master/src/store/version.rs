//! Versions of definitions: who made each, when, why and how. Each is written with its definition
//! ([`super::interface`], [`super::job`], [`super::dispatch`] …) and never changed; here they are read.

use crate::db::{self, Db, params};
use shared::ids::*;

/// By what a version came to be, beside being saved: kept in the column `note`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    #[default]
    Saved,
    /// From files.
    Applied,
    /// Made to be as this earlier version was.
    RolledBack(i64),
    /// Made as a copy of the definition of this id.
    Copied(i64),
    /// This job of the interface was made to be as in this earlier version.
    JobRolledBack(JobId, i64),
    /// A job of it was made as a copy of this one.
    JobCopied(JobId),
}

impl How {
    pub fn text(self) -> String {
        match self {
            How::Saved => String::new(),
            How::Applied => "apply".into(),
            How::RolledBack(version) => format!("rollback to {version}"),
            How::Copied(id) => format!("copy of {id}"),
            How::JobRolledBack(job, version) => format!("rollback of job {job} to {version}"),
            How::JobCopied(job) => format!("copy of job {job}"),
        }
    }

    /// None: words of a person, as the release before kept them there.
    fn parse(text: &str) -> Option<How> {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse().ok();
        Some(match words[..] {
            [""] => How::Saved,
            ["apply"] => How::Applied,
            ["rollback", "to", version] => How::RolledBack(number(version)?),
            ["copy", "of", id] => How::Copied(number(id)?),
            ["rollback", "of", "job", job, "to", version] => {
                How::JobRolledBack(JobId(number(job)?), number(version)?)
            }
            ["copy", "of", "job", job] => How::JobCopied(JobId(number(job)?)),
            _ => return None,
        })
    }
}

/// Whose versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Interface(InterfaceId),
    Job(JobId),
    Dispatch(DispatchId),
    Calendar(CalendarId),
    Host(HostId),
    Project(ProjectId),
}

/// One step of a definition's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub version: i64,
    /// What it was called then; empty where a master of the release before has written it.
    pub name: String,
    /// JSON, as it was saved.
    pub spec: String,
    /// Of a job: from here on it is not there.
    pub deleted: bool,
    pub how: How,
    pub reason: String,
    pub at_ms: Millis,
    pub by: UserId,
}

impl Of {
    fn select(self) -> (&'static str, i64) {
        match self {
            Of::Interface(id) => (
                "SELECT version, name, spec, 0 AS deleted, note, reason, at_ms, by_user \
                 FROM interface_version WHERE interface_id = ? AND version < ? \
                 ORDER BY version DESC LIMIT ?",
                id.0,
            ),
            Of::Job(id) => (
                "SELECT v.version AS version, v.name AS name, v.spec AS spec, \
                 v.deleted AS deleted, i.note AS note, i.reason AS reason, v.at_ms AS at_ms, \
                 v.by_user AS by_user FROM job_version v JOIN interface_version i \
                 ON i.interface_id = v.interface_id AND i.version = v.version \
                 WHERE v.job_id = ? AND v.version < ? ORDER BY v.version DESC LIMIT ?",
                id.0,
            ),
            Of::Dispatch(id) => (
                "SELECT version, name, spec, 0 AS deleted, note, reason, at_ms, by_user \
                 FROM dispatch_version WHERE dispatch_id = ? AND version < ? \
                 ORDER BY version DESC LIMIT ?",
                id.0,
            ),
            Of::Calendar(id) => (
                "SELECT version, name, spec, 0 AS deleted, note, reason, at_ms, by_user \
                 FROM calendar_version WHERE calendar_id = ? AND version < ? \
                 ORDER BY version DESC LIMIT ?",
                id.0,
            ),
            Of::Host(id) => (
                "SELECT version, name, spec, 0 AS deleted, note, reason, at_ms, by_user \
                 FROM host_version WHERE host_id = ? AND version < ? \
                 ORDER BY version DESC LIMIT ?",
                id.0,
            ),
            Of::Project(id) => (
                "SELECT version, name, spec, 0 AS deleted, note, reason, at_ms, by_user \
                 FROM project_version WHERE project_id = ? AND version < ? \
                 ORDER BY version DESC LIMIT ?",
                id.0,
            ),
        }
    }
}

/// The newest first; before this version, if one is named.
///
/// # Errors
/// The database's.
pub async fn page(db: &Db, of: Of, before: Option<i64>, limit: u32) -> db::Result<Vec<Version>> {
    let (sql, id) = of.select();
    let rows = db.query(sql, params![id, before.unwrap_or(i64::MAX), limit]).await?;
    rows.iter().map(version).collect()
}

/// What holds at this version: of a job its newest one up to it.
///
/// # Errors
/// The database's.
pub async fn at(db: &Db, of: Of, version: i64) -> db::Result<Option<Version>> {
    let found = page(db, of, Some(version.saturating_add(1)), 1).await?.pop();
    Ok(found.filter(|found| matches!(of, Of::Job(_)) || found.version == version))
}

fn version(row: &db::Row) -> db::Result<Version> {
    let (note, reason) = (row.text("note")?, row.text("reason")?);
    let how = How::parse(note);
    let said = if how.is_none() && reason.is_empty() { note } else { reason };
    Ok(Version {
        version: row.int("version")?,
        name: row.text("name")?.to_owned(),
        spec: row.text("spec")?.to_owned(),
        deleted: row.flag("deleted")?,
        reason: said.to_owned(),
        how: how.unwrap_or_default(),
        at_ms: row.int("at_ms")?,
        by: UserId(row.int("by_user")?),
    })
}

/// What became of a job of an interface in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStep {
    pub version: i64,
    pub job: JobId,
    pub name: String,
    pub was_there: bool,
    pub is_there: bool,
}

/// Of the versions from the first to the last of these, the newest first.
///
/// # Errors
/// The database's.
pub async fn job_steps(
    db: &Db,
    interface: InterfaceId,
    (first, last): (i64, i64),
    limit: u32,
) -> db::Result<Vec<JobStep>> {
    let sql = "SELECT v.version AS version, v.job_id AS job_id, v.name AS name, \
               v.deleted AS deleted, j.name AS called, p.deleted AS was_deleted \
               FROM job_version v JOIN job j ON j.id = v.job_id \
               LEFT JOIN job_version p ON p.job_id = v.job_id AND p.version = \
                 (SELECT MAX(w.version) FROM job_version w \
                  WHERE w.job_id = v.job_id AND w.version < v.version) \
               WHERE v.interface_id = ? AND v.version >= ? AND v.version <= ? \
               ORDER BY v.version DESC, v.job_id LIMIT ?";
    let rows = db.query(sql, params![interface, first, last, limit]).await?;
    rows.iter()
        .map(|row| {
            let (name, called) = (row.text("name")?, row.text("called")?);
            Ok(JobStep {
                version: row.int("version")?,
                job: JobId(row.int("job_id")?),
                name: if name.is_empty() { called } else { name }.to_owned(),
                was_there: row.opt_int("was_deleted")? == Some(0),
                is_there: !row.flag("deleted")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_version_came_to_be_is_read_as_it_was_written() {
        let (back, copied) = (How::JobRolledBack(JobId(3), 7), How::JobCopied(JobId(3)));
        for how in [How::Saved, How::Applied, How::RolledBack(7), How::Copied(12), back, copied] {
            assert_eq!(How::parse(&how.text()), Some(how));
        }
        for words in ["fetch: a new source", "rollback to the old one", "copy of mine"] {
            assert_eq!(How::parse(words), None, "{words}");
        }
    }
}
