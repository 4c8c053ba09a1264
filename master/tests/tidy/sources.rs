//! Small things in sources.

use crate::{code, files, none, root, rust};
use std::collections::BTreeSet;

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let mut found = Vec::new();
    for (path, text) in rust() {
        let lines = text.lines().enumerate();
        for (number, line) in lines.filter(|(_, line)| line.trim_start().starts_with("#")) {
            let expects = line.contains("[expect(") && line.contains(")]");
            if line.contains("[allow(") || expects && !line.contains("reason") {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("a lint switched off without #[expect(…, reason = …)]", found);
}

#[test]
fn nothing_is_left_open() {
    // Put together, so that this file does not find itself.
    let words = ["TO", "FIX", "XX"].map(|start| match start {
        "TO" => "TODO".to_owned(),
        "FIX" => format!("{start}ME"),
        _ => format!("{start}X"),
    });
    let macros = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let ignored = format!("#[{}", "ignore");
    let mut found = Vec::new();
    for (path, text) in rust() {
        if path.starts_with("master/tests/tidy/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let open = words.iter().chain(&macros).any(|word| line.contains(word.as_str()));
            if open || line.contains(&ignored) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("left open", found);
}

#[test]
fn identifiers_are_english() {
    let mut found = Vec::new();
    for (path, text) in rust() {
        for (number, line) in code(&text).lines().enumerate() {
            // Strings, characters and comments may be Chinese; what is left may not.
            let mut outside = String::new();
            let mut quoted = false;
            let mut last = ' ';
            for c in line.split("//").next().unwrap_or("").chars() {
                quoted ^= c == '"' && last != '\\';
                if !quoted {
                    outside.push(c);
                }
                last = c;
            }
            let word = ["fn ", "let ", "struct ", "mod ", "enum "].iter().find_map(|keyword| {
                let name = outside.split(keyword).nth(1)?;
                name.chars().take(20).find(|c| ('\u{4e00}'..'\u{9fff}').contains(c))
            });
            if word.is_some() {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("identifiers in Chinese", found);
}

#[test]
fn templates_and_code_name_each_other() {
    let used: String =
        files(&["master/src", "templates"], "").into_iter().map(|(_, text)| text).collect();
    let templates: BTreeSet<String> = files(&["templates"], ".html")
        .into_iter()
        .map(|(path, _)| path.trim_start_matches("templates/").to_owned())
        .collect();
    let unused = templates.iter().filter(|name| !used.contains(&format!("\"{name}\"")));
    none("templates that nothing renders", unused.cloned().collect());
    let named = used.split('"').filter(|text| text.ends_with(".html") && !text.contains(' '));
    let missing = named.filter(|name| !name.starts_with('.') && !templates.contains(*name));
    none("templates that do not exist", missing.map(str::to_owned).collect());
}

/// What is private to one machine or workplace has no place here.
#[test]
fn no_machine_is_named() {
    let home = ["/wo", "rk/"].concat();
    let root_home = ["/ro", "ot/"].concat();
    let mut found = Vec::new();
    let folders =
        ["shared", "master", "executor", "templates", "static", "config", "ddl", "docs", ".ci"];
    for ending in [".rs", ".html", ".js", ".mjs", ".css", ".toml", ".yaml", ".md", ".sh", ".sql"] {
        for (path, text) in files(&folders, ending) {
            let hits = text.lines().enumerate().filter(|(_, line)| {
                [&home, &root_home].iter().any(|place| {
                    line.match_indices(place.as_str()).any(|(at, _)| {
                        !line[..at]
                            .ends_with(|c: char| c.is_alphanumeric() || "._-~$})".contains(c))
                    })
                })
            });
            found.extend(hits.map(|(number, line)| format!("{path}:{}: {line}", number + 1)));
        }
    }
    none("a path of one machine", found);
}

/// Nothing large is committed by mistake: the sample's data are the largest.
#[test]
fn files_are_light() {
    const BYTES_MAX: u64 = 1_000_000;
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                let own = ["target", "node_modules", "vendor", ".git", "var", ".services"];
                if !own.contains(&name.as_str()) {
                    folders.push(entry.path());
                }
            } else if kind.is_file() && entry.metadata().unwrap().len() > BYTES_MAX {
                found.push(entry.path().display().to_string());
            }
        }
    }
    none("files over 1 MB", found);
}

/// What the engine says to people is one list, so that each of it has its other language.
#[test]
fn the_engine_says_no_reason_that_is_not_in_its_list() {
    let texts = [
        "reason: \"",
        "reason: format!",
        "reason = \"",
        "reason = format!",
        "Err(\"",
        "Err(format!",
    ];
    let mut found = Vec::new();
    for (path, text) in rust() {
        let file = path.strip_prefix("master/src/engine/").filter(|file| !file.contains('/'));
        // What is wrong with a definition is told beside its field, when it is saved.
        let Some(file) = file.filter(|file| {
            !["validate.rs", "calendar.rs", "blackout.rs", "params.rs"].contains(file)
        }) else {
            continue;
        };
        for (number, line) in code(&text).lines().enumerate() {
            let attribute = line.contains("expect(");
            if !attribute && texts.iter().any(|text| line.contains(text)) {
                found.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("a reason beside engine/reason.rs", found);
}
