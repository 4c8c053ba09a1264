//! The database port.

use master::db::{Db, Error, Mode, Write, guard, migrate, params, sql};
use shared::clock::Clock;

/// Opens a fresh, migrated database; the directory lives as long as the test.
async fn open(dir: &tempfile::TempDir) -> Db {
    let url = format!("sqlite:{}", dir.path().join("hcndc.db").display());
    let db = Db::open(&url, Clock::system()).await.unwrap();
    migrate::run(&db).await.unwrap();
    db
}

#[tokio::test]
async fn a_commit_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir).await;
    db.commit([sql("INSERT INTO sequence (name, next) VALUES (?, ?)", params!["x", 7])])
        .await
        .unwrap();
    let save = |seen: i64| {
        vec![
            sql("INSERT INTO sequence (name, next) VALUES (?, ?)", params![format!("y{seen}"), 7]),
            guard(
                "UPDATE sequence SET next = next + 1 WHERE name = 'x' AND next = ?",
                params![seen],
            ),
        ]
    };
    db.commit(save(7)).await.unwrap();
    assert_eq!(db.commit(save(6)).await, Err(Error::Conflict));
    let rows =
        db.query("SELECT name, next FROM sequence WHERE next = ?", params![7]).await.unwrap();
    assert_eq!((rows.len(), rows[0].text("name").unwrap()), (1, "y7"));
    let twice = db.commit(save(8)).await.and(db.commit(save(8)).await);
    assert!(matches!(twice, Err(Error::Duplicate { .. })), "{twice:?}");
    let rows = (0..1000).map(|n| params![format!("bulk {n}"), n]).collect();
    let bulk = Write::Rows {
        table: "sequence",
        key: &["name"],
        columns: &["name", "next"],
        rows,
        mode: Mode::Upsert,
    };
    db.commit([bulk.clone()]).await.unwrap();
    db.commit([bulk]).await.unwrap();
    let count = db.first("SELECT COUNT(*) AS n FROM sequence", params![]).await.unwrap().unwrap();
    assert_eq!(count.int("n").unwrap(), 1004);
}
