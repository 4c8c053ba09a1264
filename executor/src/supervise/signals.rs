//! Signals as something to read: children that have ended, and the wish that we end.

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// SIGHUP means: become the program that is installed now. (A terminal that goes sends it too, and
/// does not take us with it.)
///
/// # Errors
/// As the operating system says.
pub fn take() -> anyhow::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    // Threads that are started from here on inherit it.
    set.thread_block().context("blocking signals")?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    SignalFd::with_flags(&set, flags).context("receiving signals")
}

/// Whether a wish to end has come.
pub fn told_to_end(signals: &SignalFd) -> bool {
    std::iter::from_fn(|| signals.read_signal().ok().flatten()).any(|s| is_end(s.ssi_signo))
}

pub fn is_upgrade(signal: u32) -> bool {
    signal == (Signal::SIGHUP as i32).cast_unsigned()
}

pub fn is_end(signal: u32) -> bool {
    [Signal::SIGTERM, Signal::SIGINT].iter().any(|end| (*end as i32).cast_unsigned() == signal)
}
