//! Processes as the system sees them: found, told, counted.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

#[expect(clippy::disallowed_methods, reason = "signals are sent by the system's own program")]
pub fn signal(pid: u32, signal: &str) -> bool {
    Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

/// SIGKILL to many at once; who has ended meanwhile is left out.
#[expect(clippy::disallowed_methods, reason = "signals are sent by the system's own program")]
pub fn kill_all(pids: &[u32]) {
    for some in pids.chunks(1_000) {
        let words = some.iter().map(u32::to_string);
        let _ = Command::new("kill").arg("-9").args(words).stderr(Stdio::null()).status();
    }
}

pub fn kill_of(data: &Path, kind: &str) -> usize {
    signal_of(data, kind, "-9")
}

/// A signal to all of this kind; how many there were.
pub fn signal_of(data: &Path, kind: &str, name: &str) -> usize {
    let pids = pids_with(&[kind.as_ref(), data.as_os_str()]);
    pids.into_iter().filter(|pid| signal(*pid, name)).count()
}

pub fn children_of(pid: u32) -> Vec<u32> {
    // A child is in the list of the thread that has made it.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")));
    let all: Vec<u32> = lists
        .filter_map(Result::ok)
        .flat_map(|text| {
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    all
}

/// Processes whose command line has all of these.
pub fn pids_with(words: &[&OsStr]) -> Vec<u32> {
    use std::os::unix::ffi::OsStrExt;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let parts: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if words.iter().all(|word| parts.contains(&word.as_bytes())) {
            found.push(pid);
        }
    }
    found
}

pub fn resident_kib(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Of a process, and of its children that it has reaped. (The kernel's clock ticks are 10 ms.)
pub fn cpu_ms(pid: u32) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: Vec<u64> =
        fields.split(' ').skip(11).take(4).filter_map(|text| text.parse().ok()).collect();
    match ticks[..] {
        [user, system, user_below, system_below] => {
            ((user + system) * 10, (user_below + system_below) * 10)
        }
        _ => (0, 0),
    }
}
