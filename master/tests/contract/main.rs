//! What every adapter of a port must do: one suite per port, run on each adapter there is.
//!
//! A suite opens its port through [`every_database`] and knows nothing of the adapter; a new adapter is
//! one more entry there.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod child;
mod db;
mod db_sqlite;
mod leader;
mod lease;
mod logs;
mod made;
mod rows;
mod session;
mod store;

use master::db::{Db, Limits, migrate};
use shared::clock::Clock;

/// A fresh, migrated database. The directory lives as long as it.
pub(crate) struct Fresh {
    pub(crate) db: Db,
    pub(crate) url: String,
    _dir: tempfile::TempDir,
}

pub(crate) async fn sqlite() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("hcndc.db").display());
    let db = Db::open_with(&url, Clock::system(), Limits::default()).await.unwrap();
    migrate::run(&db).await.unwrap();
    Fresh { db, url, _dir: dir }
}

/// Runs a check on every adapter of the database.
pub(crate) async fn every_database(check: impl AsyncFn(Db)) {
    let fresh = sqlite().await;
    check(fresh.db.clone()).await;
}
