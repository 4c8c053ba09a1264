//! `hcndc-master`: pages, API and leader in one process. See `hcndc-master --help`, and `cli`.

use clap::Parser;
use master::cli::{self, Cli};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    master::memory::few_heaps();
    let cli = Cli::parse();
    // One provider of cryptography for all of TLS, chosen before anything asks for it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    match runtime.block_on(cli::main(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&format!("{error:#}")),
    }
}

/// One clear line. A closed standard error is no reason to panic on the way out.
fn failed(why: &str) -> ExitCode {
    let line = why.replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "hcndc-master: {line}");
    ExitCode::FAILURE
}
