//! The rules of the house that a machine can see, as tests. Why each rule is there:
//! `docs/ARCHITECTURE.md`. An exception is an entry with its reason in this folder, never a comment
//! that switches a check off.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail, too")]

mod crates;
mod docs;
mod floors;
mod sizes;
mod sources;
mod units;

use std::path::{Path, PathBuf};

/// The folder that holds `Cargo.toml` of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("master lies in the workspace").to_owned()
}

/// Files below `under` with this ending, with their path relative to the root and their text.
fn files(under: &[&str], ending: &str) -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = under.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let skipped = ["target", "node_modules", "vendor", ".git", "var"];
                if !skipped.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                let relative = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push((relative, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Our Rust, tests included.
fn rust() -> Vec<(String, String)> {
    files(&["shared", "master", "executor"], ".rs")
}

/// The part of a source file that is not its inline tests, without comments.
fn code(text: &str) -> String {
    let body = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}
