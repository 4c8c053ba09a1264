//! A file is a room that does one thing. (The length of functions is clippy's to see.)

use crate::{files, none, rust};

const LINES_P90: usize = 400;
const LINES_MAX: usize = 600;

/// Longer ones, each with the reason why it is one room.
const EXCEPTIONS: &[(&str, usize, &str)] = &[];

#[test]
fn files_stay_small() {
    let mut sizes: Vec<(usize, String)> =
        rust().into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    sizes.extend(
        files(&["static/js", "static/css", "templates", "master/tests/e2e"], "")
            .into_iter()
            .filter(|(path, _)| [".js", ".mjs", ".css", ".html"].iter().any(|e| path.ends_with(e)))
            .map(|(path, text)| (text.lines().count(), path)),
    );
    sizes.sort();
    let p90 = sizes[sizes.len() * 9 / 10].0;
    assert!(p90 <= LINES_P90, "nine in ten files have up to {p90} lines; {LINES_P90} is the limit");
    let excused = |path: &str, lines: usize| {
        EXCEPTIONS.iter().any(|(name, limit, _)| *name == path && lines <= *limit)
    };
    let long = sizes.iter().filter(|(lines, path)| *lines > LINES_MAX && !excused(path, *lines));
    none("files over the limit", long.map(|(lines, path)| format!("{path}: {lines}")).collect());
}

#[test]
fn exceptions_are_still_needed() {
    let all = rust();
    let idle = EXCEPTIONS.iter().filter(|(name, ..)| {
        !all.iter().any(|(path, text)| path == name && text.lines().count() > LINES_MAX)
    });
    none("exceptions that nothing needs", idle.map(|(name, ..)| (*name).to_owned()).collect());
}
