//! `[cold]` of `executor.toml`.

use anyhow::ensure;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a run of Hop that starts a JVM of its own is helped with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cold {
    /// A class-data archive is made and used.
    pub class_data: bool,
    /// While each core has more to do than this (the load of the last minute), none is made.
    pub load_max: f64,
}

impl Default for Cold {
    fn default() -> Cold {
        Cold { class_data: true, load_max: 1.0 }
    }
}

impl Cold {
    /// Where the archives are; none where there are to be none.
    pub fn place(&self, data: &Path) -> Option<PathBuf> {
        self.class_data.then(|| data.join("cold"))
    }

    /// # Errors
    /// Names the key and what is expected.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.load_max > 0.0, "cold.load_max: a number above 0 is expected");
        Ok(())
    }
}
