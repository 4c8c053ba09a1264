//! Where the programs of a test listen.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the kernel gives to whoever connects, so that nobody takes it before the
/// program that it is for; each test process begins elsewhere.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let at = (std::process::id().wrapping_mul(64).wrapping_add(count)) % 12_000;
        let port = u16::try_from(20_000 + at).expect("below 32,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
