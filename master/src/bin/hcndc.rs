//! `hcndc`, the command line. See `hcndc --help` and `master::client`.

use clap::Parser;
use master::client::{self, Cli};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(client::main(cli)),
        Err(error) => Err(client::Failure::usage(format!("cannot start: {error}"))),
    };
    match done {
        Ok(code) => ExitCode::from(code as u8),
        Err(failure) => {
            // A closed standard error is no reason to panic on the way out.
            let _ = writeln!(std::io::stderr(), "hcndc: {}", failure.message);
            ExitCode::from(failure.code as u8)
        }
    }
}
