//! What only the embedded database can be asked: its file, its limits, its death.

use crate::{child, sqlite};
use master::db::{Db, Error, Limits, migrate, params, sql};
use shared::address::Target;
use shared::clock::Clock;
use std::time::Duration;

#[tokio::test]
async fn the_identity_is_the_files() {
    let fresh = sqlite().await;
    let again = Db::open(Target::plain("database", &fresh.url), Clock::system()).await.unwrap();
    assert_eq!(fresh.db.server().await.unwrap(), again.server().await.unwrap());
    assert_ne!(fresh.db.server().await.unwrap(), sqlite().await.db.server().await.unwrap());
    let clock = Clock::set_to(12_345);
    assert_eq!(
        Db::open(Target::plain("database", &fresh.url), clock)
            .await
            .unwrap()
            .now_ms()
            .await
            .unwrap(),
        12_345
    );
}

#[tokio::test]
async fn what_is_no_database_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "not a database at all ".repeat(100)).unwrap();
    for url in [
        format!("sqlite:{}", dir.path().join("text").display()),
        format!("sqlite:{}", dir.path().join("nowhere/hcndc.db").display()),
        "oracle:thin".to_owned(),
        String::new(),
    ] {
        let error = Db::open(Target::plain("database", &url), Clock::system())
            .await
            .unwrap_err()
            .to_string();
        assert!(!error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn questions_have_limits() {
    let fresh = sqlite().await;
    let limits =
        Limits { rows_max: 100, query_timeout: Duration::from_millis(200), ..Limits::default() };
    let db = Db::open_with(Target::plain("database", &fresh.url), Clock::system(), limits)
        .await
        .unwrap();
    let count = |to: i64| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})
             SELECT i FROM n"
        )
    };
    assert_eq!(db.query(count(100), params![]).await.unwrap().len(), 100);
    let many = db.query(count(101), params![]).await;
    assert!(matches!(many, Err(Error::Fatal(_))), "{many:?}");
    let endless = format!("SELECT COUNT(*) AS n FROM ({})", count(i64::MAX));
    for _ in 0..8 {
        let late = db.query(endless.clone(), params![]).await;
        assert!(matches!(late, Err(Error::Retry(_))), "{late:?}");
    }
    assert_eq!(db.query(count(3), params![]).await.unwrap().len(), 3, "the readers are free again");
    // Readers cannot write.
    let write = db.query("INSERT INTO sequence (name, next) VALUES ('x', 1)", params![]).await;
    assert!(write.is_err());
}

/// Batches of two rows, one after the other; each is told when it is confirmed.
pub(crate) async fn write_for_ever(url: &str) {
    let db = Db::open(Target::plain("database", url), Clock::system()).await.unwrap();
    migrate::run(&db).await.unwrap();
    for n in 1_i64.. {
        let text = "INSERT INTO sequence (name, next) VALUES (?, ?)";
        let both = [sql(text, params![format!("a{n}"), n]), sql(text, params![format!("b{n}"), n])];
        db.commit(both).await.unwrap();
        println!("confirmed {n}");
    }
}

#[tokio::test]
async fn a_writer_killed_at_a_commit_has_stored_what_it_confirmed() {
    for round in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("hcndc.db").display());
        let told = child::run_until("write_for_ever", &url, "confirmed", 20 + 37 * round);
        let confirmed: i64 = told
            .iter()
            .filter_map(|line| line.strip_prefix("confirmed ")?.parse().ok())
            .max()
            .unwrap();
        let db = Db::open(Target::plain("database", &url), Clock::system()).await.unwrap();
        migrate::run(&db).await.unwrap();
        let count = |letter: &str| {
            let text = "SELECT COUNT(*) AS n FROM sequence WHERE name LIKE ? AND name <> 'project'";
            db.first(text, params![format!("{letter}%")])
        };
        let a = count("a").await.unwrap().unwrap().int("n").unwrap();
        let b = count("b").await.unwrap().unwrap().int("n").unwrap();
        assert_eq!(a, b, "half a batch");
        assert!(a == confirmed || a == confirmed + 1, "confirmed {confirmed}, there are {a}");
    }
}
