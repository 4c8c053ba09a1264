//! Where the leader begins: called once, at the start of a master.

use super::drive::{Ports, Shell};
use anyhow::Context;
use std::future::Future;

/// Leads whenever it may, until `stop` is done.
///
/// # Errors
/// The system has no random bytes.
pub async fn run(ports: Ports, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut life = [0; 8];
    getrandom::fill(&mut life).context("no random bytes from the system")?;
    // Not negative: it is part of the names of attempts, in hexadecimal.
    Shell::new(i64::from_be_bytes(life) & i64::MAX, ports).run(stop).await;
    Ok(())
}
