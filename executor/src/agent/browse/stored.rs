//! What is in the copy of a repository: the same folders and files, under paths of their own.

use super::{Looker, Opened, open_in, read_file, short};
use shared::etl::browse::{File, Folder, PATH_MAX, Unseen};
use shared::etl::drawn::Place;
use shared::etl::stored::{Copied, Stored};
use std::path::{Path, PathBuf};

impl Looker {
    pub(super) fn stored_folder(&self, at: &Stored, after: &str) -> Result<Folder, Unseen> {
        let (opened, copied) = self.open_stored(at, true)?;
        let above = at.above().map(|above| above.to_string());
        let folder = Folder { path: at.to_string(), above, ..Folder::default() };
        let mut folder = self.list(&opened, folder, after)?;
        // When somebody has changed it in its repository is not known.
        folder.entries.iter_mut().for_each(|entry| entry.changed_ms = 0);
        folder.copied = Some(Box::new(copied));
        Ok(folder)
    }

    pub(super) fn stored_file(&self, at: &Stored) -> Result<File, Unseen> {
        let (opened, copied) = self.open_stored(at, false)?;
        let folder = at.above().map(|above| above.to_string()).unwrap_or_default();
        let root = copied.root();
        let place = Place { folder: &folder, repository: Some(&root), project: None };
        let file = read_file(opened, at.to_string(), place)?;
        Ok(File { changed_ms: 0, copied: Some(Box::new(copied)), ..file })
    }

    fn open_stored(&self, at: &Stored, folder: bool) -> Result<(Opened, Copied), Unseen> {
        let path = at.to_string();
        let copied = self.repositories.find(&at.environment, &at.name);
        let copied = copied.ok_or_else(|| Unseen::InDatabase(short(&at.name)))?;
        if path.len() > PATH_MAX || path.contains('\0') {
            return Err(Unseen::Outside(short(&path)));
        }
        let mut last = None;
        loop {
            let Some(files) = self.repositories.files(&copied) else {
                return Err(Unseen::NotRead(Box::new(copied)));
            };
            let plain: PathBuf = files.join(at.path.trim_start_matches('/'));
            let within = |path: &Path| path.starts_with(&files).then(|| files.clone());
            match open_in(&plain, (&path, folder), within) {
                // Another copy may just have taken its place.
                Err(Unseen::Missing(_)) if last.as_ref() != Some(&files) => last = Some(files),
                opened => return Ok((opened?, copied)),
            }
        }
    }
}
