//! Prints, as one line of JSON, how many rows per second the embedded database takes on a disk.
//!
//! `cargo run --release -p master --example bulk_rows -- [DIRECTORY [ROWS [BATCH]]]`

use anyhow::Context;
use master::db::{Db, measure, migrate};
use shared::address::Target;
use shared::clock::Clock;
use std::path::PathBuf;

const ROWS: usize = 200_000;
const BATCH: usize = 2_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mut number = |default: usize| {
        args.next().map_or(Ok(default), |text| text.parse()).context("a number is expected")
    };
    let (rows, batch) = (number(ROWS)?, number(BATCH)?);
    let file = dir.join(format!("bulk-rows-{}.db", std::process::id()));
    let clock = Clock::system();
    let db =
        Db::open(Target::plain("database", &format!("sqlite:{}", file.display())), clock.clone())
            .await?;
    migrate::run(&db).await?;
    let rate = measure::bulk_rows(&db, &clock, rows, batch).await;
    drop(db);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display())); // may not be there
    }
    let rate = rate?;
    println!(
        "{{\"rows\":{},\"batch\":{batch},\"ms\":{},\"rows_per_second\":{:.0},\"commit_ms\":{:.3}}}",
        rate.rows, rate.ms, rate.rows_per_second, rate.commit_ms
    );
    Ok(())
}
