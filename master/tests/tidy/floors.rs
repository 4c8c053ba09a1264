//! Imports go down only; what decides is pure.

use crate::{code, files, none, rust};

/// What a folder or file of the master may name with `crate::`. Everything may name `shared`.
const FLOORS: &[(&str, &[&str])] = &[
    ("master/src/engine/", &["engine"]),
    ("master/src/db/", &["db"]),
    ("master/src/link/", &["link"]),
    ("master/src/lease/", &["lease", "db", "link"]),
    ("master/src/session/", &["session", "link"]),
    ("master/src/bus/", &["bus", "link"]),
    ("master/src/store/", &["store", "db", "engine"]),
    ("master/src/logs/", &["logs", "db", "store", "engine", "leader"]),
    (
        "master/src/leader/",
        &["leader", "engine", "store", "db", "lease", "bus", "logs", "session", "config"],
    ),
];

#[test]
fn imports_go_down_only() {
    let mut found = Vec::new();
    for (path, text) in rust() {
        let Some((_, allowed)) = FLOORS.iter().find(|(floor, _)| path.starts_with(floor)) else {
            continue;
        };
        for (number, line) in code(&text).lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let name: String =
                    part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                // A macro that is exported stands at the root: it is db's.
                let name = if name == "params" { "db".to_owned() } else { name };
                if !name.is_empty() && !allowed.contains(&name.as_str()) {
                    found.push(format!("{path}:{} imports crate::{name}", number + 1));
                }
            }
        }
    }
    none("imports that go up", found);
}

#[test]
fn master_and_executor_do_not_know_each_other() {
    let mut found = Vec::new();
    for (path, text) in files(&["master/src", "executor/src"], ".rs") {
        let other = if path.starts_with("master") { "executor::" } else { "master::" };
        for line in code(&text).lines() {
            let named = line.split(other).next().filter(|_| line.contains(other));
            if let Some(before) = named
                && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            {
                found.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    none("master and executor import each other", found);
}

/// Only the agent talks to servers; what owns the jobs stays small and cannot hang on a network.
#[test]
fn the_supervisor_knows_no_server() {
    let words = ["mongodb::", "shared::mongo", "shared::tls", "tokio::", "tarpc"];
    let folders = ["executor/src/supervise", "executor/src/process", "executor/src/spool"];
    let mut found = Vec::new();
    for (path, text) in files(&folders, ".rs") {
        for word in words.iter().filter(|word| code(&text).contains(*word)) {
            found.push(format!("{path}: {word}"));
        }
    }
    none("servers in the supervisor", found);
}

/// Code that decides: no clock, no I/O, no threads, no chance.
const PURE: &[&str] = &[
    "master/src/engine/",
    "master/src/leader/master.rs",
    "master/src/leader/reign",
    "master/src/leader/line.rs",
    "master/src/leader/away.rs",
    "executor/src/supervise/attempts",
    "shared/src/kind/",
    "shared/src/period.rs",
    "shared/src/spec.rs",
    "shared/src/ids.rs",
];

const IMPURE: &[&str] = &[
    "async fn",
    ".await",
    "tokio::",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::time::",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "getrandom",
    "rand::",
    "println!",
    "unsafe",
];

#[test]
fn what_decides_is_pure() {
    let mut found = Vec::new();
    for (path, text) in rust() {
        let tests = path.contains("/tests/") || path.ends_with("/tests.rs");
        if tests || !PURE.iter().any(|pure| path.starts_with(pure)) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            // A log line is I/O: the engine says what it has to say by rows.
            let engine = path.starts_with("master/src/engine/");
            let all = IMPURE.iter().chain(engine.then_some(&"tracing::"));
            for impure in all.filter(|impure| line.contains(**impure)) {
                found.push(format!("{path}:{}: {impure}", number + 1));
            }
        }
    }
    none("code that decides is not pure", found);
}

#[test]
fn sql_stays_in_the_store() {
    let allowed = ["master/src/db/", "master/src/store/"];
    let words = ["\"SELECT ", "\"INSERT INTO ", "\"DELETE FROM ", "\"UPDATE ", "\"REPLACE INTO "];
    let mut found = Vec::new();
    for (path, text) in files(&["master/src", "executor/src", "shared/src"], ".rs") {
        if allowed.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("SQL outside store/ and db/", found);
}

#[test]
fn tables_are_made_in_ddl_alone() {
    let mut found = Vec::new();
    for (path, text) in files(&["master/src", "executor/src", "shared/src"], ".rs") {
        // The table of schema versions must be there before the first file is applied.
        let own = path == "master/src/db/migrate.rs";
        if !own && code(&text).contains("CREATE TABLE") {
            found.push(path);
        }
    }
    none("CREATE TABLE outside ddl/", found);
}

/// The subset that MySQL, MariaDB and SQLite read alike.
#[test]
fn the_ddl_stays_in_the_common_subset() {
    let banned = [
        "AUTOINCREMENT",
        "JSON ",
        "DATETIME",
        "TIMESTAMP",
        "BOOLEAN",
        "IF NOT EXISTS",
        "ENUM(",
        " KEY (`",
        "FOREIGN KEY",
    ];
    let mut found = Vec::new();
    for (path, text) in files(&["ddl"], ".sql") {
        for (number, line) in text.lines().enumerate() {
            let line = line.split("--").next().unwrap_or("").split("/*!").next().unwrap_or("");
            for word in banned.iter().filter(|word| line.to_uppercase().contains(**word)) {
                found.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    none("not in the common subset of SQL", found);
}
