//! Both languages from one catalogue: nothing is missing, nothing is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn catalogue() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/i18n/zh.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Keys in `t("…")` of templates and `t('…')` of scripts.
fn keys() -> BTreeSet<String> {
    let call = regex::Regex::new(r#"\bt\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')"#).unwrap();
    let mut keys: BTreeSet<String> = master::web::frame::script_keys().into_iter().collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
    for name in master::web::assets::templates() {
        if !name.ends_with(".html") {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        for found in call.captures_iter(&text) {
            let key = found.get(1).or(found.get(2)).unwrap().as_str();
            if master::web::i18n::PREFIXES.contains(&key) {
                continue;
            }
            keys.insert(key.replace("\\\"", "\"").replace("\\'", "'"));
        }
    }
    keys
}

#[test]
fn every_text_has_its_chinese() {
    let catalogue = catalogue();
    let missing: Vec<String> =
        keys().into_iter().filter(|key| !catalogue.contains_key(key)).collect();
    assert!(missing.is_empty(), "missing in templates/i18n/zh.json: {missing:#?}");
}

#[test]
fn placeholders_are_the_same_in_both_languages() {
    let place = regex::Regex::new(r"\{\w+\}").unwrap();
    for (key, chinese) in catalogue() {
        let of = |text: &str| -> BTreeSet<String> {
            place.find_iter(text).map(|found| found.as_str().to_owned()).collect()
        };
        assert_eq!(of(&key), of(&chinese), "{key}");
    }
}
