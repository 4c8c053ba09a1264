//! What documents say is there.

use crate::{files, none, root};

#[test]
fn links_in_documents_resolve() {
    let mut found = Vec::new();
    let mut documents = files(&["docs", "config", "master/tests"], ".md");
    for name in ["README.md", "README.zh.md"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            documents.push((name.to_owned(), text));
        }
    }
    for (path, text) in documents {
        let folder = root().join(&path).parent().expect("a file has a folder").to_owned();
        for part in text.split("](").skip(1) {
            let link = part.split([')', ' ']).next().unwrap_or("");
            let target = link.split('#').next().unwrap_or("");
            let outside =
                link.contains("://") || link.starts_with('#') || link.starts_with("mailto:");
            if !outside && !target.is_empty() && !folder.join(target).exists() {
                found.push(format!("{path}: {link}"));
            }
        }
    }
    none("links that lead nowhere", found);
}

/// A path in backquotes that begins with a folder of ours must be there.
#[test]
fn paths_in_documents_exist() {
    let folders =
        ["master/", "executor/", "shared/", "templates/", "static/", "config/", "ddl/", "docs/"];
    let mut found = Vec::new();
    let mut documents = files(&["docs"], ".md");
    documents.retain(|(path, _)| !path.starts_with("docs/results/"));
    for name in ["README.md", "README.zh.md"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            documents.push((name.to_owned(), text));
        }
    }
    for (path, text) in documents {
        for quoted in text.split('`').skip(1).step_by(2) {
            let name = quoted.split([':', '#', ' ']).next().unwrap_or("");
            let plain = !name.contains(['*', '{', '<', '…', '$']) && !name.contains("NNN");
            let ours = folders.iter().any(|folder| name.starts_with(folder));
            let vendor = name.starts_with("static/vendor");
            if ours && plain && !vendor && !root().join(name).exists() {
                found.push(format!("{path}: {quoted}"));
            }
        }
    }
    none("documents name files that are not there", found);
}

/// A promise names the tests that would fail without it: they are there, and none is promised bare.
#[test]
fn every_guarantee_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/GUARANTEES.md")).unwrap();
    let sources = crate::rust();
    let exists = |name: &str| {
        let begin = format!("fn {name}(");
        sources.iter().any(|(_, source)| source.contains(&begin))
    };
    let mut found = Vec::new();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    let mut promises = 0;
    for row in rows {
        promises += 1;
        let (promise, tests) =
            row.trim_end_matches(" |").rsplit_once(" | ").expect("a column of tests");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let tests = names.iter().filter(|name| name.contains('_') && !name.contains([' ', '/']));
        if tests.clone().count() == 0 {
            found.push(format!("{promise}: no test"));
        }
        found.extend(tests.filter(|name| !exists(name)).map(|name| format!("no test {name}")));
    }
    assert!(promises > 10, "the table of promises is there");
    none("guarantees that nothing shows", found);
}
