//! Who did what when. Written in the batch of what it tells of; never changed.

use super::edit::Edit;
use crate::db::{self, Db, Mode, Write, params};
use shared::ids::*;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A row of the audit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    pub id: i64,
    pub project: ProjectId,
    pub at_ms: Millis,
    pub by: UserId,
    pub from: String,
    pub action: String,
    pub object: String,
    pub object_id: i64,
    pub detail: String,
}

/// Characters of a detail: the rest is cut.
const DETAIL_CHARS_MAX: usize = 4_000;

/// Ordered by time, without asking the database: 42 bits of milliseconds, 21 that count on from a
/// random start, so that one batch of thousands, all of one millisecond, does not meet itself.
fn id(at: Millis) -> i64 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
        let mut random = [0; 4];
        // Without chance two masters' audits of one millisecond may collide: the batch is refused.
        let _ = getrandom::fill(&mut random);
        AtomicU32::new(u32::from_be_bytes(random))
    });
    (at << 21) | i64::from(NEXT.fetch_add(1, Ordering::Relaxed) & 0x1f_ffff)
}

/// One thing that was done.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    pub project: ProjectId,
    pub action: &'a str,
    /// What kind of thing, and its id.
    pub object: (&'a str, i64),
    pub detail: &'a str,
}

impl<'a> Deed<'a> {
    /// A definition was stored that had version `from` before, 0 for a new one.
    pub fn put(project: ProjectId, object: (&'a str, i64), from: i64, detail: &'a str) -> Deed<'a> {
        let action = if from == 0 { "create" } else { "update" };
        Deed { project, action, object, detail }
    }
}

/// All that one edit has done.
pub(super) fn write(edit: &Edit, deeds: &[Deed]) -> Write {
    let row = |deed: &Deed| {
        let detail: String = deed.detail.chars().take(DETAIL_CHARS_MAX).collect();
        params![
            id(edit.at),
            deed.project,
            edit.at,
            edit.by,
            edit.from.as_str(),
            deed.action,
            deed.object.0,
            deed.object.1,
            detail
        ]
    };
    Write::Rows {
        table: "audit",
        key: &["id"],
        columns: &[
            "id",
            "project_id",
            "at_ms",
            "by_user",
            "from_address",
            "action",
            "object",
            "object_id",
            "detail",
        ],
        rows: deeds.iter().map(row).collect(),
        mode: Mode::Insert,
    }
}

/// The newest entries about one thing.
///
/// # Errors
/// The database's.
pub async fn of_object(db: &Db, object: &str, id: i64, limit: u32) -> db::Result<Vec<Entry>> {
    let rows = db
        .query(
            "SELECT * FROM audit WHERE object = ? AND object_id = ? ORDER BY at_ms DESC, id DESC \
             LIMIT ?",
            params![object, id, limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                id: row.int("id")?,
                project: ProjectId(row.int("project_id")?),
                at_ms: row.int("at_ms")?,
                by: UserId(row.int("by_user")?),
                from: row.text("from_address")?.to_owned(),
                action: row.text("action")?.to_owned(),
                object: row.text("object")?.to_owned(),
                object_id: row.int("object_id")?,
                detail: row.text("detail")?.to_owned(),
            })
        })
        .collect()
}
