//! All stores by TLS, with the real programs: what stands in their configuration reaches every driver.

use crate::own::Kind;
use crate::own_tls::{Authority, DATABASE, initiate};
use crate::real::Real;
use mongodb::bson::{Document, doc};
use shared::chunk::collection;

#[test]
fn all_stores_by_tls() {
    let ours = Authority::make("stores");
    let serve = |kind| ours.serve(kind, "127.0.0.1");
    let (maria, mongo, redis) = (serve(Kind::Mariadb), serve(Kind::Mongod), serve(Kind::Redis));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stored = runtime.block_on(initiate(mongo.port, &ours.file()));
    let table =
        |name: &str, url: &str, ca: &str| format!("[{name}]\nurl = \"{url}\"\nca = \"{ca}\"\n");
    let mysql = format!("mysql://root@127.0.0.1:{}/{DATABASE}", maria.port);
    let mongo = format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", mongo.port);
    let redis = format!("rediss://127.0.0.1:{}", redis.port);
    let all = |ca: &str| {
        let tables = [
            ("database", &mysql),
            ("session", &redis),
            ("bus", &redis),
            ("lease", &mongo),
            ("logs", &mongo),
        ];
        tables.iter().map(|(name, url)| table(name, url, ca)).collect::<String>()
    };
    let ca = ours.file().display().to_string();
    let mut real = Real::new();
    real.master_more = all(&ca);
    real.executor_more = table("logs", &mongo, &ca);
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(
        "kind: interface\nname: first\nspec: {granularity: day, zone: UTC}\njobs:\n  \
         - {name: a, kind: shell, fields: {use_shell: true, script: echo by TLS}}\n",
    );
    real.must(&["run", "first", "--period", "2026-11-20"]);
    real.until("it has succeeded", |real| real.must(&["execution", "list"]).contains("succeeded"));
    let chunks = stored.database("hcndc").collection::<Document>(&collection("hcndc"));
    real.until("the host has shipped its output", |_| {
        let whole = chunks.count_documents(doc! { "end": { "$exists": true } });
        runtime.block_on(async { whole.await }).unwrap() == 1
    });
    assert!(!real.log_in().is_empty(), "sessions, too");

    // Of another authority: it does not start, and says why in its last line.
    let theirs = Authority::make("stores");
    real.stop_master();
    real.master_more = all(&theirs.file().display().to_string());
    real.start_master(&[]);
    let status = real.master.as_mut().expect("it was started").wait().unwrap();
    assert!(!status.success(), "it believes anybody");
    let log = std::fs::read_to_string(real.path("master.log")).unwrap();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("(database.ca) has signed it"), "{last}");
}
