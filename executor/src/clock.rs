//! The host's own time: a clock that also runs while the machine sleeps (rule H8).
//!
//! Leases and time-outs count on it; the wall clock is for people only ([`shared::clock::Clock`]).

use nix::time::{ClockId, clock_gettime};
use shared::ids::Millis;

/// Milliseconds since the machine was started, suspended time included.
pub fn boot_ms() -> Millis {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |at| at.tv_sec() * 1000 + at.tv_nsec() / 1_000_000)
}
