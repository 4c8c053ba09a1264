//! The program's own log: one line an event, to standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Whether a filter is one.
///
/// # Errors
/// What is wrong with it.
pub fn check(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(|_| ()).map_err(|error| error.to_string())
}

/// `filter` as of `RUST_LOG`: `info`, `master=debug,info`. Called once, first thing in `main`.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // A second call (tests) changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A log that cannot be written, on a full disk, must not end the program: its complaint would be
        // written to the same place, and panic.
        .log_internal_errors(false)
        // Colours are for people, not for files.
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
