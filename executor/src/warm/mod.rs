//! `hcndc-executor warm`: the desk of a warm engine, one of the services of its host.
//!
//! It keeps a JVM with Kettle or Hop loaded and lends it to attempts: their process (`hcndc-executor etl`)
//! connects to its socket, says what is to be run, and gets the lines, the true counts and the end of that run
//! alone. [`desk`] decides and is pure, [`shell`] does it, [`build`] compiles our Java sources against the engine
//! that is there, [`words`] is what desk and JVM say to each other, [`talk`] what attempt and desk do.
//!
//! What runs in one JVM is not isolated: `docs/kinds/hop.md` says what is shared.

mod build;
pub mod defined;
mod desk;
mod shell;
pub mod talk;
mod words;

use anyhow::Context;
use defined::Warm;
use std::process::ExitCode;

/// Runs it in its own directory until it is ended.
///
/// # Errors
/// What is meant cannot be understood, the engine or a JDK is not there, the socket cannot be made.
pub fn run(about: &str) -> anyhow::Result<ExitCode> {
    let warm: Warm = serde_json::from_str(about).context("what it is (--about)")?;
    shared::logs::start("info");
    let own = std::env::current_dir().context("its directory")?;
    let built = build::build(&warm, &own)?;
    shell::serve(&warm, &built, &own)?;
    Ok(ExitCode::SUCCESS)
}
