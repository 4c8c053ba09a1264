//! The only place that reads the environment; and configuration files, strictly.

use anyhow::Context;
use serde::de::DeserializeOwned;
use std::path::Path;

/// A variable of the environment; empty counts as absent.
#[expect(clippy::disallowed_methods, reason = "this is what is used instead")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a TOML file. A key that nobody knows is an error with its line.
///
/// # Errors
/// The file cannot be read, or is not what `T` expects.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        // In one line: the picture that the parser draws is for a terminal.
        let at = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        let what = error.message().replace('\n', ", ");
        anyhow::anyhow!("in the configuration {}: line {line}: {what}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        #[expect(dead_code, reason = "only read")]
        known: u32,
    }

    #[test]
    fn what_is_wrong_is_one_line_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        for (text, expected) in [
            ("known = 1\nnonsense = 2\n", "line 2: unknown field `nonsense`"),
            ("\nknown = -1\n", "line 2: invalid value"),
            ("known = 1\n[broken", "line 2: "),
        ] {
            std::fs::write(&path, text).unwrap();
            let told = format!("{:#}", read::<Small>(&path).unwrap_err());
            assert!(told.contains(expected) && !told.contains('\n'), "{told}");
        }
    }
}
