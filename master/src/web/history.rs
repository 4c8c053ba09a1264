//! What of a form differs from what is saved: shown where somebody else has saved meanwhile, and before
//! something is saved on which others depend.

use std::collections::{BTreeMap, BTreeSet};

/// Characters shown of one value.
const SHOWN_MAX: usize = 300;
/// Differences shown of one form.
const CHANGES_MAX: usize = 60;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_name() {
        let flat = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let old = flat(&[("a", "1"), ("b.c", "x"), ("d[1]", "2")]);
        let new = flat(&[("a", "1"), ("b.c", "y")]);
        let expected = [["b.c", "x", "y"], ["d[1]", "2", ""]];
        assert_eq!(changes(&old, &new), expected.map(|row| row.map(str::to_owned)));
    }
}
