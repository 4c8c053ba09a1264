//! Both languages from one catalogue: nothing is missing, nothing is left over.

use master::engine::explain::Said;
use master::engine::reason::Reason;
use master::web::i18n::{Catalogue, Lang};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

#[test]
fn every_reason_of_the_engine_has_its_chinese_and_is_found_by_its_pattern() {
    let texts = catalogue();
    let missing: Vec<&&str> =
        Reason::PATTERNS.iter().filter(|key| !texts.contains_key(**key)).collect();
    assert!(missing.is_empty(), "missing in templates/i18n/zh.json: {missing:#?}");
    let json = serde_json::to_string(&texts).unwrap();
    let found = Catalogue::parse(&json).unwrap();
    let place = regex::Regex::new(r"\{(\w+)\}").unwrap();
    for key in Reason::PATTERNS {
        // Each placeholder with a value of its own, so that another pattern shows.
        let fill = |text: &str| {
            place.replace_all(text, |one: &regex::Captures| format!("<{}>", &one[1])).into_owned()
        };
        assert_eq!(found.reason(Lang::Zh, &fill(key)), fill(&texts[*key]), "{key}");
    }
}

#[test]
fn what_kinds_say_has_its_chinese() {
    let texts = catalogue();
    let fields = shared::kind::ALL.iter().flat_map(|kind| kind.fields());
    let said = fields.flat_map(|field| [field.label, field.help]);
    let said = said.chain(shared::etl::outcome::words());
    let missing: Vec<&str> = said.filter(|key| !texts.contains_key(*key)).collect();
    assert!(missing.is_empty(), "missing in templates/i18n/zh.json: {missing:#?}");
    // Inside of the reason, as a script finds it too.
    let found = Catalogue::parse(&serde_json::to_string(&texts).unwrap()).unwrap();
    let reason = Reason::ExitMeans { code: 9, why: "it was told nothing to run".into() };
    let chinese = found.reason(Lang::Zh, &reason.to_string());
    assert_eq!(chinese, "返回码 9：没有给出要执行的内容");
    let pairs = found.reasons();
    assert!(pairs.iter().any(|(key, _)| *key == "it was told nothing to run"));
}

#[test]
fn every_sentence_of_an_explanation_has_its_chinese() {
    let texts = catalogue();
    let missing: Vec<&&str> =
        Said::PATTERNS.iter().filter(|key| !texts.contains_key(**key)).collect();
    assert!(missing.is_empty(), "missing in templates/i18n/zh.json: {missing:#?}");
    let found = Catalogue::parse(&serde_json::to_string(&texts).unwrap()).unwrap();
    let why = Reason::Late { seconds: 75 }.to_string();
    let said = Said::NotFired { dispatch: "nightly".into(), why };
    assert_eq!(found.said(Lang::Zh, &said), "nightly 未触发：迟到 75 秒");
    assert_eq!(found.said(Lang::En, &said), said.to_string());
    let said = Said::Ended { what: "a 2026-11-20".into(), state: "timed_out".into() };
    assert_eq!(found.said(Lang::Zh, &said), "a 2026-11-20 结束：超时");
    // Sentences are not looked for in other texts.
    assert_eq!(found.text(Lang::Zh, "the disk waits"), "the disk waits");
}

#[test]
fn a_reason_inside_of_a_reason_is_chinese_too() {
    let json = serde_json::to_string(&catalogue()).unwrap();
    let found = Catalogue::parse(&json).unwrap();
    let inner = Reason::CannotStart { why: "no such file".into() };
    let reason = Reason::Again { n: 1, all: 3, why: Box::new(inner) };
    let chinese = found.reason(Lang::Zh, &reason.to_string());
    assert_eq!(chinese, "第 1 次（共 3 次）：无法启动：no such file");
    assert_eq!(found.reason(Lang::En, &reason.to_string()), reason.to_string());
}

/// All sources of a folder, and of those in it.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true if name != "tests" => sources(&path, found),
            false if name.ends_with(".rs") && name != "tests.rs" => found.push(path),
            _ => {}
        }
    }
}

/// What is said beside fields, and why something is refused, is put together in code: each such text
/// has its key.
#[test]
fn what_people_are_refused_for_has_its_chinese() {
    let names = regex::Regex::new(r"\{[^{}]*\}").unwrap();
    let bare = |text: &str| names.replace_all(text, "{}").into_owned();
    let keys: BTreeSet<String> = catalogue().keys().map(|key| bare(key)).collect();
    let call = regex::Regex::new(
        r#"(?xs)
        (?: FieldError::new\( | wrong\( | \#\[error\( | Err\(
          | Error::(?:new|conflict|unavailable|too_many|too_large|forbidden|bad_request|gone)\(
          | \blet\ (?:detail|told)\ = )
        [^;"]*? (?:"[a-z_.]*",\s*)? (?:format!\(\s*)? "((?:[^"\\]|\\.)*)""#,
    )
    .unwrap();
    // Braces that are text; what only joins others; and what is logged alone.
    let excused = [
        "has no closing brace",
        "the page of an error",
        "not ready: ",
        "is no shift",
        "there is no parameter",
        "{path}: {message}",
        "which certificates are denied: ",
        // Of a file that a host does not show, to programs; pages have a sentence of their own.
        "exec host {}: {}",
        "it ended the connection: ",
        "it cannot be asked now: ",
    ];
    let broken = regex::Regex::new(r"\\\n\s*").unwrap();
    // What is logged is for those who run it, in English.
    let logged = regex::Regex::new(r"tracing::\w+!\([^;]*;").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = Vec::new();
    let mut seen = 0;
    let mut files = vec![root.join("master/src/leader/certs.rs")];
    for folder in [
        "master/src/engine",
        "master/src/logs",
        "master/src/web",
        "shared/src/kind",
        "shared/src/period",
    ] {
        sources(&root.join(folder), &mut files);
    }
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = logged.replace_all(code, "");
        for found in call.captures_iter(&code) {
            let said = broken.replace_all(&found[1], "").replace("\\\"", "\"");
            let sentence = said.contains(' ') && said.len() > 12;
            if !sentence || excused.iter().any(|part| said.contains(part)) {
                continue;
            }
            seen += 1;
            if !keys.contains(&bare(&said)) {
                missing.push(format!("{}: {said}", path.file_name().unwrap().display()));
            }
        }
    }
    // As many as there were, about: an expression that finds none any more is no test.
    assert!(seen > 90, "only {seen} texts were found");
    assert!(missing.is_empty(), "missing in templates/i18n/zh.json: {missing:#?}");
}
