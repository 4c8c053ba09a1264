//! What has changed from one version of a definition to the next; and what of a stale form differs
//! from what somebody else has saved meanwhile.

use crate::store::interface::Version;
use serde::Serialize;
use serde_json::Value;
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};

/// Characters shown of one value.
const SHOWN_MAX: usize = 300;
/// Differences shown of one version.
const CHANGES_MAX: usize = 60;

/// A version as pages show it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub version: i64,
    pub note: String,
    pub at_ms: Millis,
    pub by: String,
    pub first: bool,
    /// Path, before, after.
    pub changes: Vec<[String; 3]>,
}

/// The newest first, as the versions come.
pub fn steps(versions: &[Version], names: &BTreeMap<UserId, String>) -> Vec<Step> {
    let specs: Vec<BTreeMap<String, String>> =
        versions.iter().map(|version| flat(&version.spec)).collect();
    let step = |(at, version): (usize, &Version)| Step {
        version: version.version,
        note: version.note.clone(),
        at_ms: version.at_ms,
        by: names.get(&version.by).cloned().unwrap_or_else(|| format!("#{}", version.by)),
        first: at + 1 == versions.len(),
        changes: specs.get(at + 1).map(|old| changes(old, &specs[at])).unwrap_or_default(),
    };
    versions.iter().enumerate().map(step).collect()
}

/// Paths whose values differ.
pub fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<[String; 3]> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let text = |map: &BTreeMap<String, String>, path: &String| -> String {
        map.get(path).map(|text| text.chars().take(SHOWN_MAX).collect()).unwrap_or_default()
    };
    paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .take(CHANGES_MAX)
        .map(|path| [path.clone(), text(old, path), text(new, path)])
        .collect()
}

/// A JSON text as paths and texts: `after[0].job` → `3`.
fn flat(json: &str) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    if let Ok(value) = serde_json::from_str(json) {
        put("", &value, &mut map);
    }
    map
}

fn put(path: &str, value: &Value, map: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                put(&format!("{path}{dot}{name}"), value, map);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                put(&format!("{path}[{at}]"), value, map);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            map.insert(path.to_owned(), text.clone());
        }
        other => {
            map.insert(path.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_path() {
        let old = flat(r#"{"a": 1, "b": {"c": "x"}, "d": [1, 2]}"#);
        let new = flat(r#"{"a": 1, "b": {"c": "y"}, "d": [1], "e": null}"#);
        let expected = [["b.c", "x", "y"], ["d[1]", "2", ""]];
        assert_eq!(changes(&old, &new), expected.map(|row| row.map(str::to_owned)));
    }
}
