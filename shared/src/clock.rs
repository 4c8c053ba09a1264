//! The only place that reads time.

use crate::ids::Millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Wall and monotonic time; in tests both are set by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { origin: std::time::Instant },
    Set { wall: Arc<AtomicI64>, mono: Arc<AtomicI64> },
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn system() -> Clock {
        Clock(Source::System { origin: std::time::Instant::now() })
    }

    /// Stands still until [`Clock::advance`] moves it.
    pub fn set_to(wall_ms: Millis) -> Clock {
        let wall = Arc::new(AtomicI64::new(wall_ms));
        Clock(Source::Set { wall, mono: Arc::new(AtomicI64::new(0)) })
    }

    /// This machine's wall clock: milliseconds since 1970 UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall_ms(&self) -> Millis {
        match &self.0 {
            Source::System { .. } => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)),
            Source::Set { wall, .. } => wall.load(Ordering::Relaxed),
        }
    }

    /// Milliseconds since this clock was made; never goes back.
    pub fn mono_ms(&self) -> Millis {
        match &self.0 {
            Source::System { origin } => {
                Millis::try_from(origin.elapsed().as_millis()).unwrap_or(Millis::MAX)
            }
            Source::Set { mono, .. } => mono.load(Ordering::Relaxed),
        }
    }

    /// Only of a clock that was set.
    pub fn advance(&self, by_ms: Millis) {
        if let Source::Set { wall, mono } = &self.0 {
            wall.fetch_add(by_ms, Ordering::Relaxed);
            mono.fetch_add(by_ms, Ordering::Relaxed);
        }
    }
}
