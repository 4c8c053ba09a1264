//! The database port.

use crate::every_database;
use futures::future::join_all;
use master::db::faulty::{Fault, Faulty};
use master::db::{Db, Error, Mode, Value, Write, guard, migrate, params, sql};
use shared::ids::Incarnation;

async fn put(db: &Db, name: &str, next: i64) {
    let text = "INSERT INTO sequence (name, next) VALUES (?, ?)";
    db.commit([sql(text, params![name, next])]).await.unwrap();
}

async fn get(db: &Db, name: &str) -> Option<i64> {
    let row = db.first("SELECT next FROM sequence WHERE name = ?", params![name]).await.unwrap();
    row.map(|row| row.int("next").unwrap())
}

fn raise(name: &str, seen: i64) -> Write {
    let text = "UPDATE sequence SET next = next + 1 WHERE name = ? AND next = ?";
    guard(text, params![name, seen])
}

fn rows(names: impl Iterator<Item = i64>, next: i64, mode: Mode) -> Write {
    let rows = names.map(|n| params![format!("bulk {n}"), next]).collect();
    Write::Rows { table: "sequence", key: &["name"], columns: &["name", "next"], rows, mode }
}

#[tokio::test]
async fn a_commit_is_all_or_nothing() {
    every_database(async |db| {
        put(&db, "x", 7).await;
        let insert =
            |name: &str| sql("INSERT INTO sequence (name, next) VALUES (?, 0)", params![name]);
        db.commit([insert("a"), raise("x", 7)]).await.unwrap();
        // A stale reader leaves no trace, whether its guard comes first or last.
        assert_eq!(db.commit([insert("b"), raise("x", 7)]).await, Err(Error::Conflict));
        assert_eq!(db.commit([raise("x", 7), insert("b")]).await, Err(Error::Conflict));
        assert_eq!((get(&db, "x").await, get(&db, "b").await), (Some(8), None));
        // What matches is counted, not what changes.
        let same = "UPDATE sequence SET next = next WHERE name = ?";
        db.commit([guard(same, params!["x"])]).await.unwrap();
        db.commit([]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_duplicate_says_where() {
    every_database(async |db| {
        put(&db, "x", 1).await;
        let text = "INSERT INTO sequence (name, next) VALUES (?, 2)";
        let twice = db.commit([raise("x", 1), sql(text, params!["x"])]).await;
        let Err(Error::Duplicate { table, columns, write, .. }) = twice else {
            panic!("{twice:?}")
        };
        assert_eq!((table.as_str(), columns, write), ("sequence", vec!["name".to_owned()], 1));
        put(&db, "bulk 777", 1).await;
        let bulk = db.commit([rows(0..1000, 5, Mode::Insert)]).await;
        assert!(matches!(bulk, Err(Error::Duplicate { row: 777, .. })), "{bulk:?}");
        assert_eq!(get(&db, "bulk 1").await, None);
        // A NULL where none may be is the fault of one row too.
        let bad = vec![params!["a", 1], params!["b", None::<i64>], params!["c", 1]];
        let bad = Write::Rows {
            table: "sequence",
            key: &["name"],
            columns: &["name", "next"],
            rows: bad,
            mode: Mode::Upsert,
        };
        let bad = db.commit([raise("x", 1), bad]).await;
        assert!(matches!(bad, Err(Error::Bad { write: 1, row: 1, .. })), "{bad:?}");
    })
    .await;
}

#[tokio::test]
async fn rows_in_bulk() {
    every_database(async |db| {
        db.commit([rows(0..5_003, 1, Mode::Insert)]).await.unwrap();
        db.commit([rows(4_000..6_000, 2, Mode::InsertIfAbsent)]).await.unwrap();
        assert_eq!((get(&db, "bulk 4000").await, get(&db, "bulk 5999").await), (Some(1), Some(2)));
        db.commit([rows(0..10, 3, Mode::Upsert)]).await.unwrap();
        assert_eq!((get(&db, "bulk 9").await, get(&db, "bulk 10").await), (Some(3), Some(1)));
        let named = |names: std::ops::Range<i64>| {
            names.map(|n| params![format!("bulk {n}")]).collect::<Vec<_>>()
        };
        let exist = |rows| Write::Exist { table: "sequence", columns: &["name"], rows };
        db.commit([exist(named(0..6_000)), exist(vec![])]).await.unwrap();
        assert_eq!(db.commit([exist(named(0..6_001))]).await, Err(Error::Conflict));
        db.commit([exist([named(0..9), named(0..9)].concat())]).await.unwrap();
        let delete = |rows| Write::Delete { table: "sequence", key: &["name"], rows };
        db.commit([delete(named(0..5_000)), delete(named(0..5_000))]).await.unwrap();
        assert_eq!((get(&db, "bulk 4999").await, get(&db, "bulk 5000").await), (None, Some(1)));
        // A slip in the program is found before anything is sent.
        let short = Write::Delete { table: "sequence", key: &["name"], rows: vec![vec![]] };
        assert!(matches!(db.commit([short]).await, Err(Error::Bad { .. })));
    })
    .await;
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    every_database(async |db| {
        let big = "账期🙂'\"\\%_\u{0}\n".repeat(100_000);
        let bytes: Vec<u8> = b"0123".iter().copied().chain(0..=255).collect();
        let texts = ["", " ", "0123", "NULL", "任务流 🙂", "a'b\"c\\d", big.as_str()];
        for (id, text) in (1_i64..).zip(texts) {
            let insert = "INSERT INTO command (id, project_id, verb, args, by_user, at_ms, result)
                VALUES (?, ?, ?, ?, ?, ?, ?)";
            let row = params![id, i64::MIN, "v", text, i64::MAX, 0, None::<&str>];
            db.commit([sql(insert, row)]).await.unwrap();
            let rows = db.query("SELECT * FROM command WHERE id = ?", params![id]).await.unwrap();
            assert_eq!(rows[0].text("args").unwrap(), text);
            assert_eq!(rows[0].int("project_id").unwrap(), i64::MIN);
            assert_eq!(rows[0].int("by_user").unwrap(), i64::MAX);
            assert_eq!(rows[0].get("result").unwrap(), &Value::Null);
            assert_eq!(rows[0].opt_text("result").unwrap(), None);
            assert!(rows[0].int("args").is_err() && rows[0].text("nothing").is_err());
        }
        // `0123` in a binary column is four bytes, not a number.
        for (id, bytes) in [(1_i64, b"0123".to_vec()), (2, vec![]), (3, bytes[..32].to_vec())] {
            let insert = "INSERT INTO token (id, user_id, name, hash, created_ms, expires_ms)
                VALUES (?, 1, 'n', ?, 0, 0)";
            db.commit([sql(insert, params![id, bytes.clone()])]).await.unwrap();
            let found = "SELECT id, hash FROM token WHERE hash = ?";
            let row = db.first(found, params![bytes.clone()]).await.unwrap().unwrap();
            assert_eq!((row.int("id").unwrap(), row.bytes("hash").unwrap()), (id, &bytes[..]));
        }
        let row = db.first("SELECT ? AS one, ? AS two", vec![Value::Server, Incarnation(7).into()]);
        let row = row.await.unwrap().unwrap();
        assert_eq!(row.text("one").unwrap(), db.server().await.unwrap());
        assert_eq!(row.parsed::<Incarnation>("two").unwrap(), Incarnation(7));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_outcome_is_read_behind_a_lock() {
    every_database(async |db| {
        put(&db, "x", 1).await;
        let link = Faulty::new(db.clone());
        let broken = link.db();
        link.inject(Fault::AnswerLost);
        let outcome = broken.commit([raise("x", 1)]).await;
        assert!(matches!(outcome, Err(Error::UnknownOutcome(_))), "{outcome:?}");
        let read = "SELECT next FROM sequence WHERE name = 'x'";
        let rows = broken.query_locking(read, params![]).await.unwrap();
        assert_eq!(rows[0].int("next").unwrap(), 2, "it was stored");
        link.inject(Fault::BatchLost);
        let outcome = broken.commit([raise("x", 2)]).await;
        assert!(matches!(outcome, Err(Error::UnknownOutcome(_))), "{outcome:?}");
        let rows = broken.query_locking(read, params![]).await.unwrap();
        assert_eq!(rows[0].int("next").unwrap(), 2, "it was not: the same again");
        broken.commit([raise("x", 2)]).await.unwrap();
        link.inject(Fault::Away);
        assert!(matches!(broken.commit([raise("x", 3)]).await, Err(Error::Retry(_))));
        link.fail_over("another");
        let row = broken.first("SELECT ? AS server", vec![Value::Server]).await.unwrap().unwrap();
        assert_eq!(row.text("server").unwrap(), "another");
    })
    .await;
}

#[tokio::test]
async fn a_locking_read_waits_for_what_was_sent_before() {
    every_database(async |db| {
        put(&db, "x", 0).await;
        for seen in 0..50 {
            let sent = db.commit([rows(0..2_000, seen, Mode::Upsert), raise("x", seen)]);
            let read = db.query_locking("SELECT next FROM sequence WHERE name = 'x'", params![]);
            // Polled in this order, so the commit is sent first.
            let (sent, read) = futures::join!(sent, read);
            sent.unwrap();
            assert_eq!(read.unwrap()[0].int("next").unwrap(), seen + 1);
        }
    })
    .await;
}

/// Writers of one row at once, and how often each writes it: every one makes all others read again.
const TASKS: i64 = 12;
const EACH: i64 = 12;

#[tokio::test]
async fn writers_at_once_lose_nothing_and_spoil_nothing() {
    every_database(async |db| {
        put(&db, "x", 0).await;
        let each = (0..TASKS).map(|task| {
            let db = db.clone();
            async move {
                let mut conflicts = 0;
                for n in 0..EACH {
                    // A batch of one's own, among the conflicts of all others, always passes.
                    let own = rows(task * 100 + n..task * 100 + n + 1, 1, Mode::Insert);
                    let (own, ()) = futures::join!(db.commit([own]), async {
                        for attempt in 0.. {
                            let seen = get(&db, "x").await.unwrap();
                            let text = "INSERT INTO sequence (name, next) VALUES (?, 0)";
                            let trace = sql(text, params![format!("trace {task} {n} {attempt}")]);
                            match db.commit([trace, raise("x", seen)]).await {
                                Ok(()) => break,
                                Err(Error::Conflict) => conflicts += 1,
                                Err(other) => panic!("{other}"),
                            }
                        }
                    });
                    own.unwrap();
                }
                conflicts
            }
        });
        let conflicts: i32 = join_all(each).await.into_iter().sum();
        assert_eq!(get(&db, "x").await, Some(TASKS * EACH));
        let traces = "SELECT COUNT(*) AS n FROM sequence WHERE name LIKE 'trace %'";
        let traces = db.first(traces, params![]).await.unwrap().unwrap();
        assert_eq!(traces.int("n").unwrap(), TASKS * EACH, "a conflict leaves no trace");
        assert!(conflicts > 0, "nobody ever met another: the test is too kind");
    })
    .await;
}

#[tokio::test]
async fn numbers_of_a_sequence_are_given_once() {
    every_database(async |db| {
        use master::store::sequence;
        let each = (0..20).map(async |_| sequence::next(&db, "thing").await.unwrap());
        let mut all = join_all(each).await;
        all.sort_unstable();
        assert_eq!(all, (1..=20).collect::<Vec<i64>>());
        assert_eq!(sequence::take(&db, "thing", 100).await.unwrap(), 21);
        assert_eq!(sequence::next(&db, "thing").await.unwrap(), 121);
        assert_eq!(sequence::next(&db, "project").await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn migrations_run_once() {
    every_database(async |db| {
        assert_eq!(migrate::run(&db).await, Ok(0));
        let (one, two) = futures::join!(migrate::run(&db), migrate::run(&db));
        assert_eq!((one, two), (Ok(0), Ok(0)));
        let edit = "UPDATE schema_version SET checksum = 'x' WHERE version = 1";
        db.commit([guard(edit, params![])]).await.unwrap();
        let edited = migrate::run(&db).await.unwrap_err().to_string();
        assert!(edited.contains("another build") && !edited.contains('\n'), "{edited}");
        let newer = "INSERT INTO schema_version (version, name, checksum, applied_ms)
            VALUES (99, 'z', 'z', 0)";
        db.commit([sql(newer, params![])]).await.unwrap();
        let newer = migrate::run(&db).await.unwrap_err().to_string();
        assert!(newer.contains("version 99") && !newer.contains('\n'), "{newer}");
    })
    .await;
}

#[tokio::test]
async fn faults_in_sql_name_the_statement() {
    every_database(async |db| {
        let error = db.query("SELECT nothing FROM nowhere", params![]).await.unwrap_err();
        assert!(matches!(&error, Error::Fatal(why) if why.contains("nowhere")), "{error}");
        let error = db.commit([sql("UPDATE nowhere SET a = 1", params![])]).await.unwrap_err();
        assert!(matches!(&error, Error::Fatal(why) if why.contains("nowhere")), "{error}");
        put(&db, "still alive", 1).await;
    })
    .await;
}
