//! What every adapter of a port must do: one suite per port, run on each adapter there is.
//!
//! A suite opens its port through [`every_database`] and knows nothing of the adapter; a new adapter is
//! one more entry there.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod child;
mod db;
mod db_mysql;
mod db_sqlite;
mod leader;
mod lease;
mod lease_mongo;
mod logs;
mod logs_mongo;
mod made;
#[expect(dead_code, reason = "the cluster tests use more of it")]
mod own;
mod own_tls;
#[expect(unreachable_pub, dead_code, reason = "the cluster tests use more of it")]
#[path = "../cluster/proxy.rs"]
mod proxy;
mod rows;
mod server;
mod session;
mod session_redis;
mod shown;
mod store;
mod tls;

use master::db::{Db, Limits, migrate};
use mysql_async::prelude::Queryable;
use shared::address::Target;
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
    let db = Db::open_with(Target::plain("database", &url), Clock::system(), Limits::default())
        .await
        .unwrap();
    migrate::run(&db).await.unwrap();
    Fresh { db, url, _dir: dir }
}

pub(crate) fn server_url() -> String {
    shared::config::env("HCNDC_TEST_MYSQL")
        .expect("HCNDC_TEST_MYSQL: run `make services` and `source .services/env` first")
}

/// With the address of a schema of its own on the server of `make services`, dropped afterwards.
pub(crate) async fn on_server(check: impl AsyncFn(Db, String)) {
    let server = server_url();
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("hcndc_test_{:016x}", u64::from_le_bytes(random));
    let mut root = mysql_async::Conn::from_url(&server).await.unwrap();
    root.query_drop(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await.unwrap();
    let url = format!("{server}/{name}");
    let db = Db::open_with(Target::plain("database", &url), Clock::system(), Limits::default())
        .await
        .unwrap();
    migrate::run(&db).await.unwrap();
    check(db, url).await;
    root.query_drop(format!("DROP DATABASE {name}")).await.unwrap();
}

/// Runs a check on every adapter of the database.
pub(crate) async fn every_database(check: impl AsyncFn(Db)) {
    let fresh = sqlite().await;
    check(fresh.db.clone()).await;
    on_server(async |db, _| check(db).await).await;
}
