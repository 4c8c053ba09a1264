//! A million rows from a file into a real MariaDB: what the run counts is what is there.

use super::maria::{Orders, ROWS};
use super::{Hop, read_by};
use serde_json::json;
use shared::etl::counts::Counts;
use shared::wire::*;

#[test]
fn a_million_rows_go_from_a_file_into_a_database_and_are_counted() {
    let mut hop = Hop::new();
    let file = hop.home.path().join("orders.csv");
    let orders = Orders::new("hcndc_hop", &file);
    let (state, log, err) = hop.run(json!({
        "file": "csv2db.hpl", "project": "demo", "run_configuration": "local",
        "params": {"IN": file, "DB_NAME": orders.name, "DB_PORT": orders.port},
    }));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    let counts = Counts::find(&err).expect("row counts");
    assert_eq!(read_by(&counts, "read"), ROWS + 1, "its head counts too: {counts:?}");
    let write = counts.steps.iter().find(|step| step.name == "write").unwrap();
    assert_eq!((write.read, write.output, write.errors), (ROWS, ROWS, 0), "{counts:?}");
    assert!(write.speed().is_some_and(|speed| speed < ROWS), "it took a while: {counts:?}");
    assert_eq!(orders.there(), format!("{}\t{}", write.output, orders.sum));
}
