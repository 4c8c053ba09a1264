//! Our own program as a process: `run` starts a supervisor and an agent with it.

use anyhow::Context;
use nix::sys::signal::SigSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Goes on when we die: a session of its own, its words into a file.
///
/// # Errors
/// It cannot be started.
pub fn start_detached(args: &[OsString], log: File) -> anyhow::Result<Child> {
    let mut command = command(args)?;
    let log_too = log.try_clone().context("the log file")?;
    command.stdin(Stdio::null()).stdout(log).stderr(log_too);
    let detach = || {
        SigSet::empty().thread_set_mask()?;
        nix::unistd::setsid()?;
        Ok(())
    };
    before_exec(&mut command, detach);
    command.spawn().context("cannot start the supervisor")
}

/// Ends when we die.
///
/// # Errors
/// It cannot be started.
pub fn start_attached(args: &[OsString]) -> anyhow::Result<Child> {
    let mut command = command(args)?;
    command.stdin(Stdio::null());
    let bind = || {
        // Ours is inherited, and blocks the very signal.
        SigSet::empty().thread_set_mask()?;
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
        Ok(())
    };
    before_exec(&mut command, bind);
    command.spawn().context("cannot start the agent")
}

#[expect(clippy::disallowed_methods, reason = "this is where programs are started")]
fn command(args: &[OsString]) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("where our own program is")?;
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

fn before_exec(
    command: &mut Command,
    step: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
) {
    #[expect(unsafe_code, reason = "the steps are two system calls each; `run` is a small process")]
    // SAFETY: see the reason.
    unsafe {
        command.pre_exec(step);
    }
}
