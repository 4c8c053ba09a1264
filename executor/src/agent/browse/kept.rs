//! Repositories of Kettle and projects of Hop, as the environments of this host know them.
//!
//! Their files may be anywhere: they are the host's own configuration. Only names and folders are
//! told of them, and folders are shown like all others: if `browse.folders` holds them. Of those that
//! `browse.repositories` names it is told what was read of them.

use super::Looker;
use crate::environment::Environment;
use shared::config::env;
use shared::etl::browse::{Known, Unseen};
use shared::etl::found::{self, Kept, LISTED_MAX, Store};
use shared::etl::stored::Copied;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Of a `repositories.xml` or `hop-config.json`.
const BYTES_MAX: u64 = 2 * 1024 * 1024;

impl Looker {
    /// All that any environment knows, each once.
    pub(super) fn known(&self) -> Vec<Known> {
        let mut all: Vec<Kept> = Vec::new();
        for kept in self.listed("").into_iter().chain(self.projects("")) {
            if !all.contains(&kept) {
                all.push(kept);
            }
        }
        let copies: Vec<Known> = self.repositories.all().into_iter().map(copy).collect();
        // In a database they have but their names.
        all.retain(|kept| {
            let same = |copy: &Known| kept.folder.is_none() && copy.kept.name == kept.name;
            !copies.iter().any(same)
        });
        all.truncate(LISTED_MAX.saturating_sub(copies.len()));
        let known = |kept: Kept| {
            let shown = kept.folder.as_deref().is_some_and(|it| self.is_shown(Path::new(it)));
            Known { kept, shown, copied: None }
        };
        all.into_iter().map(known).chain(copies).collect()
    }

    fn is_shown(&self, folder: &Path) -> bool {
        self.within(folder).is_some() && folder.is_dir()
    }

    /// The folder of a repository, or where its copy begins.
    pub(super) fn repository(&self, environment: &str, name: &str) -> Result<String, Unseen> {
        let mut listed = self.listed(environment).into_iter().filter(|kept| kept.name == name);
        let first = listed.next();
        // Of no environment: a copy of some other one is taken where nothing else has this name.
        if environment.is_empty()
            && let Some(folder) = first.iter().cloned().chain(listed).find_map(|kept| kept.folder)
        {
            return Ok(folder);
        }
        if let Some(copied) = self.repositories.find(environment, name) {
            return Ok(copied.root());
        }
        let kept = first.ok_or_else(|| Unseen::NoRepository(super::short(name)))?;
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
        let all = self.listed("").into_iter().filter(|kept| kept.store == Store::Files);
        let folders = all.filter_map(|kept| PathBuf::from(kept.folder?).canonicalize().ok());
        let holding = folders.filter(|folder| file.starts_with(folder));
        let deepest = holding.max_by_key(|folder| folder.as_os_str().len())?;
        Some(deepest.display().to_string())
    }

    /// In the lists of Kettle.
    fn listed(&self, environment: &str) -> Vec<Kept> {
        let mut homes = self.variables(environment, "KETTLE_HOME");
        // Where Kettle looks that is told of none.
        homes.extend(env("HOME").map(PathBuf::from));
        let files = homes.into_iter().map(|home| home.join(".kettle/repositories.xml"));
        files.flat_map(|file| read_list(&file, found::repositories)).collect()
    }

    fn projects(&self, environment: &str) -> Vec<Kept> {
        let mut folders = self.variables(environment, "HOP_CONFIG_FOLDER");
        let homes = self.variables(environment, "HOP_HOME");
        folders.extend(homes.into_iter().map(|home| home.join("config")));
        let files = folders.into_iter().map(|folder| folder.join("hop-config.json"));
        files.flat_map(|file| read_list(&file, found::projects)).collect()
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

/// What is long of it is told where one looks into it.
fn copy(copied: Copied) -> Known {
    let kept = Kept { store: Store::Database, name: copied.name.clone(), folder: None };
    let shown = copied.read_ms.is_some();
    let copied = Copied { named: Vec::new(), error: String::new(), user: String::new(), ..copied };
    Known { kept, shown, copied: Some(Box::new(copied)) }
}

/// None: it is not there, or is no such file. Then it names nothing.
fn read_list(file: &Path, read: impl Fn(&str) -> Result<Vec<Kept>, String>) -> Vec<Kept> {
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
