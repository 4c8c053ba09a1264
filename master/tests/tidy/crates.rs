//! What we depend on: licences, and no new duplicates.

use crate::{none, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Dead, or a second provider of what we have.
const BANNED: &[&str] = &["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls", "bincode"];

fn metadata() -> Value {
    #[expect(clippy::disallowed_methods, reason = "cargo itself is asked")]
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform=x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Packages that are really built for us on this platform.
fn packages() -> Vec<Value> {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let used: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().unwrap();
    all.iter().filter(|p| used.contains(p["id"].as_str().unwrap())).cloned().collect()
}

/// `MIT OR (Apache-2.0 AND ISC)`: of alternatives one must be allowed, of all parts every one.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let plain = expression.replace(['(', ')'], "");
    let parts = plain.split(" AND ");
    parts.into_iter().all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn licences_are_permissive() {
    let bad = packages().into_iter().filter(|p| !allowed(p["license"].as_str().unwrap_or("none")));
    none("licences", bad.map(|p| format!("{} {}", p["name"], p["license"])).collect());
}

#[test]
fn nothing_banned_is_in() {
    let all = packages();
    let bad = all.iter().filter_map(|p| p["name"].as_str()).filter(|name| BANNED.contains(name));
    none("banned packages", bad.map(str::to_owned).collect());
}

#[test]
fn no_new_duplicates() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let known: BTreeSet<&str> =
        include_str!("duplicates.txt").lines().filter(|line| !line.starts_with('#')).collect();
    let twice: BTreeSet<&str> =
        versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, _)| name.as_str()).collect();
    none(
        "new duplicates (add a line to master/tests/tidy/duplicates.txt only if it cannot be helped)",
        twice.difference(&known).map(|name| (*name).to_owned()).collect(),
    );
    none("no longer duplicates", known.difference(&twice).map(|name| (*name).to_owned()).collect());
}
