//! `[browse]` of `executor.toml`.

use crate::config::Jobs;
use anyhow::ensure;
use serde::Deserialize;
use shared::etl::browse::{FOLDERS_MAX, PATH_MAX};
use shared::etl::drawn::{Form, normal};
use shared::etl::stored::{COPIES_MAX, NAME_MAX};
use shared::kind::check::is_environment;
use std::path::{Path, PathBuf};

/// What masters may look at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Browse {
    /// Folders with files of Kettle and Hop, and all below them.
    pub folders: Vec<PathBuf>,
    /// `ENVIRONMENT:NAME` of repositories of Kettle in a database, which that environment's Kettle may export.
    pub repositories: Vec<String>,
    /// Who Kettle runs as for that, as of jobs; empty means `jobs.user`.
    pub user: String,
    /// One that takes longer is ended.
    pub read_within_s: u32,
    /// The largest export; a copy takes as much again.
    pub export_mib: u32,
}

impl Default for Browse {
    fn default() -> Browse {
        let (folders, repositories, user) = (Vec::new(), Vec::new(), String::new());
        Browse { folders, repositories, user, read_within_s: 900, export_mib: 1024 }
    }
}

impl Browse {
    /// Environments, and repositories as they know them.
    pub fn wanted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.repositories.iter().filter_map(|one| one.split_once(':'))
    }

    /// What is `own` is shown to nobody.
    ///
    /// # Errors
    /// Names the key and what is expected.
    pub(crate) fn check(&self, own: &[&Path], jobs: &Jobs) -> anyhow::Result<()> {
        self.check_folders(own)?;
        self.check_repositories(jobs)
    }

    fn check_folders(&self, own: &[&Path]) -> anyhow::Result<()> {
        let count = self.folders.len();
        ensure!(count <= FOLDERS_MAX, "browse.folders: {count} folders, and at most {FOLDERS_MAX}");
        for folder in &self.folders {
            let shown = folder.display().to_string();
            let plain = normal(&shown).filter(|plain| plain.len() <= PATH_MAX);
            ensure!(
                plain.as_deref().is_some_and(|plain| plain != "/" && Path::new(plain) == folder),
                "browse.folders: {shown:?} is no absolute path of a folder, without . and .., other than /"
            );
            let within = own.iter().any(|own| folder.starts_with(own));
            ensure!(!within, "browse.folders: {shown:?} belongs to the executor: its key is near");
        }
        Ok(())
    }

    fn check_repositories(&self, jobs: &Jobs) -> anyhow::Result<()> {
        let count = self.repositories.len();
        ensure!(
            count <= COPIES_MAX,
            "browse.repositories: {count} repositories, and at most {COPIES_MAX}"
        );
        for one in &self.repositories {
            let fits = |(environment, name): (&str, &str)| {
                let plain = !name.is_empty() && !name.contains(char::is_control);
                // Such a name would be taken for a file.
                let plain = plain && name.trim() == name && Form::of_file(name).is_none();
                is_environment(environment) && name.len() <= NAME_MAX && plain
            };
            ensure!(
                one.split_once(':').is_some_and(fits),
                "browse.repositories: {one:?} is not like \"pdi-8.3:main\": a named environment, a colon, the name of \
                 a repository as its repositories.xml has it (at most {NAME_MAX} bytes, without .ktr and .kjb at its end)"
            );
            let times = self.repositories.iter().filter(|other| *other == one).count();
            ensure!(times == 1, "browse.repositories: {one:?} stands there {times} times");
        }
        let user = &self.user;
        ensure!(
            user.is_empty() || *user == jobs.user || jobs.users.contains(user),
            "browse.user: {user:?} is not on jobs.users"
        );
        ensure!(
            count == 0 || !user.is_empty() || !jobs.user.is_empty() || jobs.users.is_empty(),
            "browse.user: jobs of this host run as users of their own (jobs.users): name the one that Kettle is to run as \
             for browse.repositories; else it would run as the executor itself"
        );
        for (key, value) in [("read_within_s", self.read_within_s), ("export_mib", self.export_mib)]
        {
            ensure!(value > 0, "browse.{key}: with 0 no repository could be read");
        }
        Ok(())
    }
}
