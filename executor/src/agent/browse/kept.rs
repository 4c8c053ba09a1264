//! Repositories of Kettle and projects of Hop, as the environments of this host know them.
//!
//! Their files may be anywhere: they are the host's own configuration. Only names and folders are
//! told of them, and folders are shown like all others: if `browse.folders` holds them.

use super::Looker;
use crate::environment::Environment;
use shared::config::env;
use shared::etl::browse::{Known, Unseen};
use shared::etl::found::{self, Kept, LISTED_MAX, Store};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Of a `repositories.xml` or `hop-config.json`.
const BYTES_MAX: u64 = 2 * 1024 * 1024;

impl Looker {
    /// All that any environment knows, each once.
    pub(super) fn known(&self) -> Vec<Known> {
        let mut all: Vec<Kept> = Vec::new();
        for kept in self.repositories("").into_iter().chain(self.projects("")) {
            if !all.contains(&kept) {
                all.push(kept);
            }
        }
        all.truncate(LISTED_MAX);
        let known = |kept: Kept| {
            let shown = kept.folder.as_deref().is_some_and(|it| self.is_shown(Path::new(it)));
            Known { kept, shown }
        };
        all.into_iter().map(known).collect()
    }

    fn is_shown(&self, folder: &Path) -> bool {
        self.within(folder).is_some() && folder.is_dir()
    }

    /// The folder of a repository.
    pub(super) fn repository(&self, environment: &str, name: &str) -> Result<String, Unseen> {
        let all = self.repositories(environment);
        let kept = all.into_iter().find(|kept| kept.name == name);
        let kept = kept.ok_or_else(|| Unseen::NoRepository(super::short(name)))?;
        kept.folder.ok_or_else(|| Unseen::InDatabase(super::short(name)))
    }

    /// The home of a project.
    pub(super) fn project(&self, environment: &str, name: &str) -> Result<String, Unseen> {
        let all = self.projects(environment);
        let home = all.into_iter().find(|kept| kept.name == name).and_then(|kept| kept.folder);
        home.ok_or_else(|| Unseen::NoProject(super::short(name)))
    }

    /// The folder of the repository that holds this file: the deepest.
    pub(super) fn repository_of(&self, file: &Path) -> Option<String> {
        let all = self.repositories("").into_iter().filter(|kept| kept.store == Store::Files);
        let folders = all.filter_map(|kept| PathBuf::from(kept.folder?).canonicalize().ok());
        let holding = folders.filter(|folder| file.starts_with(folder));
        let deepest = holding.max_by_key(|folder| folder.as_os_str().len())?;
        Some(deepest.display().to_string())
    }

    fn repositories(&self, environment: &str) -> Vec<Kept> {
        let mut homes = self.variables(environment, "KETTLE_HOME");
        // Where Kettle looks that is told of none.
        homes.extend(env("HOME").map(PathBuf::from));
        let files = homes.into_iter().map(|home| home.join(".kettle/repositories.xml"));
        files.flat_map(|file| listed(&file, found::repositories)).collect()
    }

    fn projects(&self, environment: &str) -> Vec<Kept> {
        let mut folders = self.variables(environment, "HOP_CONFIG_FOLDER");
        let homes = self.variables(environment, "HOP_HOME");
        folders.extend(homes.into_iter().map(|home| home.join("config")));
        let files = folders.into_iter().map(|folder| folder.join("hop-config.json"));
        files.flat_map(|file| listed(&file, found::projects)).collect()
    }

    /// What environments say of a variable: the one of this name, or all of them.
    fn variables(&self, environment: &str, variable: &str) -> Vec<PathBuf> {
        let environments: BTreeMap<String, Environment> = self.environments.all();
        let chosen = environments
            .into_iter()
            .filter(|(name, _)| environment.is_empty() || name == environment);
        let mut values: Vec<PathBuf> = Vec::new();
        for value in chosen.filter_map(|(_, it)| it.vars.get(variable).map(PathBuf::from)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    }
}

/// None: it is not there, or is no such file. Then it names nothing.
fn listed(file: &Path, read: impl Fn(&str) -> Result<Vec<Kept>, String>) -> Vec<Kept> {
    let mut text = String::new();
    let Ok(found) = std::fs::File::open(file) else { return Vec::new() };
    if found.take(BYTES_MAX).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    read(&text).unwrap_or_else(|why| {
        tracing::warn!("{}: {why}", file.display());
        Vec::new()
    })
}
