//! Named crash points: where a test makes a process die by SIGKILL, between two lines that matter.
//!
//! In builds with debug assertions only. `HCNDC_CRASH_AT=after-commit-before-order:3` dies at the third
//! pass of that point; a file named by `HCNDC_CRASH_PROOF` then holds the name, so that a test can
//! prove that the fault happened. Where that file is already there nobody dies: who is started again
//! with the same environment lives.

/// Every point there is; a name that is not here would never be reached.
pub const POINTS: &[&str] = &[
    "before-commit",
    "after-commit-before-order",
    "after-order-before-ack",
    "after-journal-before-spawn",
    "after-spawn-before-first-answer",
    "after-exit-before-journal",
    "after-report-before-commit",
    "between-batch-and-alert",
    "during-take-over",
    "during-re-execution",
    "during-shipping",
];

/// Dies here if a test has asked for it.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ASKED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);

    pub(super) fn pass(name: &'static str) {
        debug_assert!(super::POINTS.contains(&name), "{name} is not in the list of crash points");
        let asked = ASKED.get_or_init(|| {
            let text = crate::config::env("HCNDC_CRASH_AT")?;
            let proof = crate::config::env("HCNDC_CRASH_PROOF");
            if proof.is_some_and(|proof| std::path::Path::new(&proof).exists()) {
                return None;
            }
            let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
            Some((name.to_owned(), count.parse().unwrap_or(1)))
        });
        let Some((at, count)) = asked else { return };
        if at != name || PASSED.fetch_add(1, Ordering::SeqCst) + 1 != *count {
            return;
        }
        if let Some(proof) = crate::config::env("HCNDC_CRASH_PROOF") {
            let _ = std::fs::write(proof, name);
        }
        // The process must not run one more line of ours: no destructors, no flush.
        kill_self();
    }

    #[expect(clippy::disallowed_methods, reason = "shared has no process module and no libc")]
    fn kill_self() -> ! {
        let pid = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
        std::process::abort()
    }
}
