//! What a long run adds up (`make soak`): each is one line of the file that `HCNDC_FACTS` names.

use std::io::Write;

/// `faults` that were made, attempts that have `begun`, `firings` that were decided.
pub fn note(what: &str, count: usize) {
    let Some(path) = shared::config::env("HCNDC_FACTS").filter(|_| count > 0) else { return };
    let mut options = std::fs::OpenOptions::new();
    // One write each: tests are threads of one process.
    let written = options.create(true).append(true).open(path);
    let _ = written.and_then(|mut file| file.write_all(format!("{what} {count}\n").as_bytes()));
}
