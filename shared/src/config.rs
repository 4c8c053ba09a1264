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
    toml::from_str(&text).with_context(|| format!("in the configuration {}", path.display()))
}
