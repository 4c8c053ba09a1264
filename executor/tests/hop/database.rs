//! A million rows from a file into a real MariaDB: what the run counts is what is there.

use super::rig::program;
use super::{Hop, read_by};
use serde_json::json;
use shared::config::env;
use shared::etl::counts::Counts;
use shared::wire::*;
use std::fmt::Write;
use std::path::Path;

const ROWS: u64 = 1_000_000;
const NAME: &str = "hcndc_hop";

/// Of `mysql://root@127.0.0.1:PORT`, as `.ci/services` says it.
fn port() -> String {
    let address = env("HCNDC_TEST_MYSQL").expect("HCNDC_TEST_MYSQL: make test-engines E=hop");
    address.rsplit(':').next().unwrap().to_owned()
}

/// By the client that comes with the server.
fn sql(port: &str, text: &str) -> String {
    let mut client = program(Path::new("mariadb"));
    client.args(["--no-defaults", "-h127.0.0.1", "-uroot", "-N", "-B", "-P", port, "-e", text]);
    let told = client.output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_million_rows_go_from_a_file_into_a_database_and_are_counted() {
    let mut hop = Hop::new();
    let port = port();
    sql(
        &port,
        &format!(
            "DROP DATABASE IF EXISTS {NAME}; CREATE DATABASE {NAME}; \
             CREATE TABLE {NAME}.orders (id BIGINT, region VARCHAR(20), amount BIGINT)"
        ),
    );
    let (mut text, mut sum) = (String::from("id,region,amount\n"), 0);
    for id in 1..=ROWS {
        let amount = id * 37 % 1_000;
        sum += amount;
        writeln!(text, "{id},r{},{amount}", id % 7).unwrap();
    }
    let file = hop.home.path().join("orders.csv");
    std::fs::write(&file, text).unwrap();
    let (state, log, err) = hop.run(json!({
        "file": "csv2db.hpl", "project": "demo", "run_configuration": "local",
        "params": {"IN": file, "DB_NAME": NAME, "DB_PORT": port},
    }));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    let counts = Counts::find(&err).expect("row counts");
    assert_eq!(read_by(&counts, "read"), ROWS + 1, "its head counts too: {counts:?}");
    let write = counts.steps.iter().find(|step| step.name == "write").unwrap();
    assert_eq!((write.read, write.output, write.errors), (ROWS, ROWS, 0), "{counts:?}");
    assert!(write.speed().is_some_and(|speed| speed < ROWS), "it took a while: {counts:?}");
    let there = sql(&port, &format!("SELECT COUNT(*), SUM(amount) FROM {NAME}.orders"));
    assert_eq!(there, format!("{}\t{sum}", write.output));
    sql(&port, &format!("DROP DATABASE {NAME}"));
}
