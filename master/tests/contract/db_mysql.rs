//! What only a server can be asked: its death at a commit, a link that is cut, its other unique keys.

use crate::{child, on_server, server_url};
use master::db::{Db, Error, Limits, Mode, Write, migrate, params, sql};
use mysql_async::prelude::Queryable;
use shared::address::Target;
use shared::clock::Clock;
use std::time::Duration;

#[tokio::test]
async fn what_is_no_server_is_refused_in_one_line_without_the_password() {
    let server = server_url();
    let at = server.rsplit_once('@').expect("with a user").1;
    for (url, told) in [
        ("mysql://me:secret@127.0.0.1:9/hcndc".to_owned(), "127.0.0.1:9"),
        (format!("{server}/no_such_database"), "no_such_database"),
        (server.clone(), "names no database"),
        (format!("mysql://nobody:secret@{at}/mysql"), "nobody"),
        ("mysql:nothing".to_owned(), ""),
    ] {
        let error = Db::open(Target::plain("database", &url), Clock::system()).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Fatal(_)), "{text}");
        assert!(text.contains(told) && !text.contains('\n') && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn questions_have_limits() {
    on_server(async |db, url| {
        let rows = (0..101).map(|n| params![format!("n{n}"), n]).collect();
        let columns = &["name", "next"];
        let (table, key) = ("sequence", &["name"]);
        db.commit([Write::Rows { table, key, columns, rows, mode: Mode::Insert }]).await.unwrap();
        let query_timeout = Duration::from_millis(1_000);
        let limits = Limits { rows_max: 100, query_timeout, ..Limits::default() };
        let db =
            Db::open_with(Target::plain("database", &url), Clock::system(), limits).await.unwrap();
        let few = db.query("SELECT * FROM sequence LIMIT 100", params![]).await.unwrap();
        assert_eq!(few.len(), 100);
        let many = db.query("SELECT * FROM sequence", params![]).await;
        assert!(matches!(many, Err(Error::Fatal(_))), "{many:?}");
        let late = db.query("SELECT SLEEP(60) AS slept", params![]).await;
        // MariaDB answers a SLEEP that it has ended with 1.
        assert!(!matches!(late, Ok(rows) if rows[0].int("slept").unwrap() == 0));
        db.query("SELECT 1 AS one", params![]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_upsert_never_writes_over_another_row() {
    on_server(async |db, _| {
        let project = |id: i64, name: &str| params![id, name, "t", "{}", 0, 1];
        let put = |mode, rows| Write::Rows {
            table: "project",
            key: &["id"],
            columns: &["id", "name", "title", "params", "created_ms", "row_version"],
            rows,
            mode,
        };
        db.commit([put(Mode::Insert, vec![project(7, "seven"), project(8, "eight")])])
            .await
            .unwrap();
        for mode in [Mode::Upsert, Mode::InsertIfAbsent] {
            let rows = vec![project(8, "eight"), project(9, "seven")];
            let taken = db.commit([put(mode, rows)]).await;
            assert!(matches!(taken, Err(Error::Duplicate { row: 1, .. })), "{mode:?}: {taken:?}");
        }
        let text = "SELECT id FROM project WHERE name = 'seven'";
        assert_eq!(db.query(text, params![]).await.unwrap()[0].int("id").unwrap(), 7);
        let twice = db.commit([put(Mode::Insert, vec![project(9, "seven")])]).await;
        let Err(Error::Duplicate { table, columns, .. }) = twice else { panic!("{twice:?}") };
        assert_eq!((table.as_str(), columns), ("project", vec!["name".to_owned()]));
    })
    .await;
}

#[tokio::test]
async fn connections_that_the_server_has_closed_are_made_anew() {
    on_server(async |db, _| {
        let server = server_url();
        let mut root = mysql_async::Conn::from_url(&server).await.unwrap();
        let name = db.first("SELECT DATABASE() AS name", params![]).await.unwrap().unwrap();
        let find = format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{}'",
            name.text("name").unwrap()
        );
        let ids: Vec<u64> = root.query(find).await.unwrap();
        assert!(!ids.is_empty(), "nothing was cut");
        for id in ids {
            root.query_drop(format!("KILL {id}")).await.unwrap();
        }
        // What was sent over a dead connection has written nothing, and says so.
        let insert = || sql("INSERT INTO sequence (name, next) VALUES ('cut', 1)", params![]);
        let mut tries = 0;
        loop {
            tries += 1;
            match db.commit([insert()]).await {
                Ok(()) => break,
                Err(Error::Retry(_)) if tries < 30 => {}
                Err(other) => panic!("{other}"),
            }
        }
        let rows =
            db.query("SELECT next FROM sequence WHERE name = 'cut'", params![]).await.unwrap();
        assert_eq!(rows.len(), 1);
    })
    .await;
}

/// But those whose names are like `but`.
async fn own_tables(db: &Db, but: &str) -> Vec<String> {
    let text = "SELECT table_name AS name FROM information_schema.tables \
                WHERE table_schema = DATABASE() AND table_name NOT LIKE ?";
    let rows = db.query(text, params![but]).await.unwrap();
    rows.iter().map(|row| row.text("name").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_masters_that_start_at_once_make_one_schema() {
    on_server(async |db, _| {
        for table in own_tables(&db, "").await {
            db.commit([sql(format!("DROP TABLE {table}"), params![])]).await.unwrap();
        }
        let all = (0..4).map(|_| migrate::run(&db));
        let done: Vec<u32> =
            futures::future::try_join_all(all).await.unwrap().into_iter().collect();
        let steps = u32::try_from(migrate::steps().len()).unwrap();
        assert_eq!(done.iter().sum::<u32>(), steps, "each step once: {done:?}");
    })
    .await;
}

#[tokio::test]
async fn a_migration_that_was_killed_goes_on_where_it_stopped() {
    on_server(async |db, _| {
        // As if it had been killed after the seventh statement, before that was recorded.
        let tables = own_tables(&db, "schema%").await;
        for table in &tables {
            db.commit([sql(format!("DROP TABLE {table}"), params![])]).await.unwrap();
        }
        let steps = migrate::steps();
        for statement in steps[0].statements().take(7) {
            db.commit([sql(statement, params![])]).await.unwrap();
        }
        db.commit([
            sql("DELETE FROM schema_version", params![]),
            sql("DELETE FROM schema_progress", params![]),
            sql("INSERT INTO schema_progress (version, statements) VALUES (1, 6)", params![]),
        ])
        .await
        .unwrap();
        assert_eq!(migrate::run(&db).await.unwrap() as usize, steps.len());
        let again = own_tables(&db, "schema%").await;
        assert_eq!(again.len(), tables.len());
    })
    .await;
}

#[tokio::test]
async fn a_client_killed_at_a_commit_has_stored_what_it_confirmed() {
    on_server(async |db, url| {
        let told = child::run_until("write_for_ever", &url, "confirmed", 60);
        let confirmed =
            told.iter().filter_map(|line| line.strip_prefix("confirmed ")?.parse().ok());
        let confirmed: i64 = confirmed.max().unwrap();
        let count = async |letter: &str| {
            let text = "SELECT COUNT(*) AS n FROM sequence WHERE name LIKE ? AND name <> 'project'";
            // The server undoes what its dead client has begun: behind that.
            let rows = db.query_locking(text, params![format!("{letter}%")]).await.unwrap();
            rows[0].int("n").unwrap()
        };
        let (a, b) = (count("a").await, count("b").await);
        assert_eq!(a, b, "half a batch");
        assert!(a == confirmed || a == confirmed + 1, "confirmed {confirmed}, there are {a}");
    })
    .await;
}

/// By then the first statement of a batch is done.
const MIDDLE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_batch_whose_maker_goes_away_leaves_nothing_behind() {
    on_server(async |_, url| {
        let limits = Limits { commit_timeout: MIDDLE * 3, ..Limits::default() };
        let db =
            Db::open_with(Target::plain("database", &url), Clock::system(), limits).await.unwrap();
        let mut other = mysql_async::Conn::from_url(&url).await.unwrap();
        other.query_drop("INSERT INTO sequence (name, next) VALUES ('held', 0)").await.unwrap();
        let mut looker = mysql_async::Conn::from_url(&url).await.unwrap();
        let dirty = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED";
        looker.query_drop(dirty).await.unwrap();
        other.query_drop("START TRANSACTION").await.unwrap();
        other.query_drop("UPDATE sequence SET next = 1 WHERE name = 'held'").await.unwrap();
        let batch = |n: i64| {
            let insert = "INSERT INTO sequence (name, next) VALUES (?, 1)";
            let held = "UPDATE sequence SET next = 2 WHERE name = 'held'";
            [sql(insert, params![format!("half {n}")]), sql(held, params![])]
        };
        for n in 0..6 {
            // Its second statement waits for a lock that is not given back: out of time, or dropped.
            let sent = async {
                match n % 2 {
                    0 => assert!(matches!(db.commit(batch(n)).await, Err(Error::Retry(_)))),
                    _ => drop(
                        tokio::time::timeout(MIDDLE * 2, db.commit(batch(n))).await.unwrap_err(),
                    ),
                }
            };
            let begun = async {
                tokio::time::sleep(MIDDLE).await;
                let dirty = format!("SELECT next FROM sequence WHERE name = 'half {n}'");
                let seen: Option<i64> = looker.query_first(dirty).await.unwrap();
                assert_eq!(seen, Some(1), "it was not in the middle: the test is too kind");
            };
            futures::join!(sent, begun);
        }
        other.query_drop("ROLLBACK").await.unwrap();
        // Every connection is used again, several times.
        for round in 0..10 {
            let each = (0..24).map(|n| {
                let text = "INSERT INTO sequence (name, next) VALUES (?, 1)";
                db.commit([sql(text, params![format!("after {round} {n}")])])
            });
            futures::future::try_join_all(each).await.unwrap();
            let one = db.query("SELECT 41 + 1 AS answer", params![]).await.unwrap();
            assert_eq!(one[0].int("answer").unwrap(), 42, "an answer to another question");
        }
        let half = "SELECT name FROM sequence WHERE name LIKE 'half %'";
        let half = db.query(half, params![]).await.unwrap();
        assert!(half.is_empty(), "{} of 6 batches are half written", half.len());
    })
    .await;
}
