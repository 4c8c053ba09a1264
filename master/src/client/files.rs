//! YAML files of definitions: which there are, and their documents with file and line.

use super::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FILES_MAX: usize = 5_000;
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
const DEPTH_MAX: usize = 16;

/// All documents of the files, each with `source` set; problems of reading are told all at once.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Map<String, Value>>, Failure> {
    let mut files = BTreeSet::new();
    for path in paths {
        find(path, 0, &mut files)?;
    }
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for file in &files {
        match read_file(file) {
            Ok(more) => documents.extend(more),
            Err(problem) => problems.push(problem),
        }
    }
    match (problems.is_empty(), documents.is_empty()) {
        (false, _) => Err(Failure::usage(problems.join("\n"))),
        (true, true) => Err(Failure::usage("there is no document in these files (*.yaml, *.yml)")),
        (true, false) => Ok(documents),
    }
}

fn find(path: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {shown}: {error}"));
    if files.len() >= FILES_MAX || depth > DEPTH_MAX {
        let message = format!("at most {FILES_MAX} files, {DEPTH_MAX} folders deep, are applied");
        return Err(Failure::usage(message));
    }
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.');
        let yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if !hidden && (yaml || path.is_dir()) {
            find(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Vec<Map<String, Value>>, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{shown}: {size} bytes; at most {FILE_BYTES_MAX} are read"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut documents = Vec::new();
    let lines = first_lines(&text);
    for (index, document) in serde_yaml_ng::Deserializer::from_str(&text).enumerate() {
        let line = lines.get(index).copied().unwrap_or(1);
        // By way of YAML's own values: they refuse a key that is there twice.
        let read = serde_yaml_ng::Value::deserialize(document);
        // The parser knows its line.
        let read = read.map_err(|error| format!("{shown}: {error}"))?;
        let value = serde_json::to_value(read)
            .map_err(|error| format!("{shown}:{line}: a key is no text: {error}"))?;
        match value {
            Value::Null => {}
            Value::Object(mut document) => {
                document.insert("source".into(), format!("{shown}:{line}").into());
                documents.push(document);
            }
            _ => return Err(format!("{shown}:{line}: a document with kind and name is expected")),
        }
    }
    Ok(documents)
}

/// Of each document the line of its first text.
fn first_lines(text: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            if !open && !lines.is_empty() {
                // An empty document counts too.
                lines.push(index + 1);
            }
            open = false;
            continue;
        }
        let says = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if says && !open {
            lines.push(index + 1);
            open = true;
        }
    }
    lines
}

/// Gives declared parameters other values: for a sample that must know where it lies.
///
/// # Errors
/// No document declares a parameter of this name: a slip of the pen.
pub(super) fn set_params(
    documents: &mut [Map<String, Value>],
    params: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let mut used = BTreeSet::new();
    for document in documents.iter_mut() {
        let jobs = match document.remove("jobs") {
            Some(Value::Array(mut jobs)) => {
                for job in jobs.iter_mut().filter_map(Value::as_object_mut) {
                    set(job, params, &mut used);
                }
                Some(Value::Array(jobs))
            }
            other => other,
        };
        if let Some(jobs) = jobs {
            document.insert("jobs".into(), jobs);
        }
        if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
            set(spec, params, &mut used);
        }
    }
    match params.keys().find(|name| !used.contains(*name)) {
        Some(name) => Err(Failure::usage(format!("--param {name}: no document declares it"))),
        None => Ok(()),
    }
}

fn set(
    spec: &mut Map<String, Value>,
    params: &BTreeMap<String, String>,
    used: &mut BTreeSet<String>,
) {
    let Some(Value::Object(declared)) = spec.get_mut("params") else { return };
    for (name, value) in params {
        if let Some(old) = declared.get_mut(name) {
            *old = value.clone().into();
            used.insert(name.clone());
        }
    }
}

/// For `NAME=VALUE` on the command line.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A period, as far as its form goes: which granularity is right the master knows.
pub(super) fn period(text: &str) -> Result<shared::period::Period, String> {
    text.parse().map_err(|error: shared::period::BadPeriod| error.to_string())
}

/// A duration in seconds, or with a unit: `90`, `90s`, `15m`, `2h`, `3d`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.trim_end_matches(['s', 'm', 'h', 'd']) {
        digits if text.ends_with('m') => (digits, 60),
        digits if text.ends_with('h') => (digits, 3_600),
        digits if text.ends_with('d') => (digits, 86_400),
        digits => (digits, 1),
    };
    let number: u64 =
        digits.parse().map_err(|_| "90, 90s, 15m, 2h or 3d is expected".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn documents_know_their_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        file(
            dir.path(),
            "b.yml",
            "# said\n\nkind: host\nname: one\n---\n\nkind: host\nname: two\n",
        );
        file(dir.path(), "sub/a.yaml", "kind: interface\nname: x\n");
        file(dir.path(), "notes.txt", "kind: host");
        file(dir.path(), ".hidden.yaml", "kind: host");
        let documents = read(&[dir.path().to_owned()]).unwrap();
        let sources: Vec<String> = documents
            .iter()
            .map(|it| it["source"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(sources, ["b.yml:3", "b.yml:7", "a.yaml:1"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let bad = file(dir.path(), "bad.yaml", "kind: host\nname: [1\n");
        let told = read(&[bad]).unwrap_err().message;
        assert!(told.contains("bad.yaml") && told.contains("line 3"), "{told}");
        let twice = file(dir.path(), "twice.yaml", "kind: host\nname: x\nspec: {}\nspec: {a: 1}\n");
        let told = read(&[twice]).unwrap_err().message;
        assert!(told.contains("duplicate") && told.contains("spec"), "{told}");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for at in 1..12 {
            let own = vec![format!("*a{}", at - 1); 10].join(", ");
            bomb.push_str(&format!("a{at}: &a{at} [{own}]\n"));
        }
        let bomb = file(dir.path(), "bomb.yaml", &bomb);
        let told = read(&[bomb]).unwrap_err().message;
        assert!(told.contains("bomb.yaml") && told.contains("repetition"), "{told}");
        let list = file(dir.path(), "list.yaml", "- a\n- b\n");
        assert!(read(&[list]).unwrap_err().message.contains("list.yaml:1"));
        assert!(read(&[dir.path().join("nowhere")]).is_err());
        let empty = file(dir.path(), "empty/x.yaml", "# nothing\n");
        assert!(read(&[empty]).is_err());
    }

    #[test]
    fn parameters_are_set_where_they_are_declared() {
        let text = "kind: interface\nname: x\nspec: {params: {home: a}}\njobs: [{name: j, params: {n: 1}}]\n";
        let dir = tempfile::tempdir().unwrap();
        let mut documents = read(&[file(dir.path(), "x.yaml", text)]).unwrap();
        let params = BTreeMap::from([("home".into(), "b".into()), ("n".into(), "2".into())]);
        set_params(&mut documents, &params).unwrap();
        assert_eq!(documents[0]["spec"]["params"]["home"], "b");
        assert_eq!(documents[0]["jobs"][0]["params"]["n"], "2");
        let params = BTreeMap::from([("hom".into(), "b".into())]);
        assert!(set_params(&mut documents, &params).is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("2h"), Ok(7_200));
        assert!(
            seconds("x").is_err()
                && seconds("-1").is_err()
                && seconds("99999999999999999h").is_err()
        );
    }
}
