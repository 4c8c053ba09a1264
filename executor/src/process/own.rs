//! Our own program as a process: `run` starts a supervisor and an agent with it, and a supervisor
//! becomes the one that is installed now.

use anyhow::{Context, bail};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::SigSet;
use shared::clock::Clock;
use shared::ids::Millis;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A rehearsal that takes longer has failed. Nothing else happens meanwhile, so it is far below the
/// fence.
const REHEARSAL_MAX_MS: Millis = 4_000;
/// Of a rehearsal's words.
const WORDS_MAX: usize = 64 * 1024;

/// Where our own program is installed: as it was called if that says so, for who installs a newer
/// one may do it by moving a link. To be asked first before somebody can have replaced it.
///
/// # Errors
/// The operating system does not say.
pub fn program() -> anyhow::Result<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        let same = |path: &PathBuf| {
            let ids = |found: std::fs::Metadata| (found.dev(), found.ino());
            let own = std::fs::metadata("/proc/self/exe").ok().map(ids);
            own.is_some() && std::fs::metadata(path).ok().map(ids) == own
        };
        let called = std::env::args_os().next().filter(|name| name.as_bytes().contains(&b'/'));
        let called = called.and_then(|name| std::path::absolute(name).ok()).filter(same);
        called.or_else(|| std::env::current_exe().ok())
    });
    found.as_deref().context("where our own program is")
}

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

/// A file that is nowhere but in memory, empty.
///
/// # Errors
/// As the operating system says.
pub fn memory_file(name: &str) -> anyhow::Result<File> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC).context("a file in memory")?.into())
}

/// Starts the installed program on `input` as its standard input, and waits for its verdict.
///
/// # Errors
/// It is not there, does not start, says no (its last words are told), or takes too long.
pub fn rehearse(args: &[OsString], input: &File) -> anyhow::Result<()> {
    let words = memory_file("rehearsal")?;
    let mut command = command(args)?;
    command.stdin(input.try_clone().context("the state")?);
    command.stdout(Stdio::null()).stderr(words.try_clone().context("a file in memory")?);
    let name = program()?.display();
    let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
    let begun = Clock::system();
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for it")? {
            break status;
        }
        if begun.mono_ms() > REHEARSAL_MAX_MS {
            child.kill().context("ending it")?;
            child.wait().context("waiting for its end")?;
            bail!("{name} has said nothing for {REHEARSAL_MAX_MS} ms");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if status.success() {
        return Ok(());
    }
    let mut text = vec![0; WORDS_MAX];
    let length = words.read_at(&mut text, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..length]);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("without a word");
    bail!("{name} cannot take over ({status}): {last}")
}

/// This process becomes the installed program: it returns only if that failed. What is in `keep`
/// stays open. Pid, children, locks and blocked signals stay as they are; all other threads end.
///
/// # Errors
/// The program cannot be executed; nothing has changed.
pub fn become_installed(args: &[OsString], keep: &[BorrowedFd]) -> anyhow::Result<()> {
    let program = program()?;
    let c = |text: &[u8]| CString::new(text).context("an argument holds a zero byte");
    let path = c(program.as_os_str().as_bytes())?;
    let mut argv = vec![path.clone()];
    for arg in args {
        argv.push(c(arg.as_bytes())?);
    }
    // Not by `Command`: it would unblock our signals before the new program can take them.
    let result = set_inherited(keep, true).map(|()| nix::unistd::execv(&path, &argv));
    set_inherited(keep, false)?;
    match result? {
        Ok(never) => match never {},
        Err(error) => Err(error).with_context(|| format!("{} does not start", program.display())),
    }
}

fn set_inherited(keep: &[BorrowedFd], inherited: bool) -> anyhow::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let flags = if inherited { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    for fd in keep {
        fcntl(fd, FcntlArg::F_SETFD(flags)).context("marking a descriptor")?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is where programs are started")]
fn command(args: &[OsString]) -> anyhow::Result<Command> {
    let mut command = Command::new(program()?);
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
