//! What is in the copy of a repository: the same folders and files, under paths of their own.

use super::{Looker, Opened, open_in, read_file, short};
use shared::etl::browse::{File, Folder, PATH_MAX, Unseen};
use shared::etl::drawn::Place;
use shared::etl::stored::{Copied, Stored};
use std::path::{Path, PathBuf};

/// Lists of one folder, until its copy was the same before and after.
const LISTS_MAX: usize = 2;

impl Looker {
    pub(super) fn stored_folder(&self, at: &Stored, after: &str) -> Result<Folder, Unseen> {
        for _ in 0..LISTS_MAX {
            let (opened, copied) = self.open_stored(at, true)?;
            let folder = Folder {
                path: at.to_string(),
                above: at.above().map(|above| above.to_string()),
                copied: Some(Box::new(copied.clone())),
                ..Folder::default()
            };
            let listed = self.list(&opened, folder, after);
            // A copy that another one has taken the place of is deleted: the list may lack what was gone already.
            if self.repositories.files(&copied).as_ref() == Some(&opened.within) {
                let mut folder = listed?;
                // When somebody has changed it in its repository is not known.
                folder.entries.iter_mut().for_each(|entry| entry.changed_ms = 0);
                return Ok(folder);
            }
        }
        Err(Unseen::Busy)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::browse::Browser;
    use crate::config::{Config, Defined};
    use shared::clock::Clock;
    use shared::etl::browse::{Ask, At, Shown};
    use shared::etl::drawn::Form;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    /// A host whose Kettle exports what lies beside it, and knows a repository of files of the same name.
    struct Shop {
        dir: tempfile::TempDir,
        browser: Browser,
    }

    impl Shop {
        fn new(export: &str) -> Shop {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap();
            for below in ["pdi", "data", "files", "home/.kettle"] {
                std::fs::create_dir_all(root.join(below)).unwrap();
            }
            std::fs::write(root.join("pdi/export.xml"), export).unwrap();
            let script = "#!/bin/sh\nfor a in \"$@\"; do case $a in -exprep=*) cp \"$(dirname \"$0\")/export.xml\" \
                \"${a#-exprep=}\" ;; esac; done\n";
            for name in ["pan.sh", "kitchen.sh"] {
                let path = root.join("pdi").join(name);
                std::fs::write(&path, script).unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            }
            let list = format!(
                "<repositories><repository><id>KettleFileRepository</id><name>main</name><base_directory>{}\
                 </base_directory></repository></repositories>",
                root.join("files").display()
            );
            std::fs::write(root.join("home/.kettle/repositories.xml"), list).unwrap();
            let mut config = Config { data: root.join("data"), ..Config::default() };
            let defined = |name: &str, path: &str| Defined {
                vars: [(name.to_owned(), root.join(path).display().to_string())].into(),
                path: Vec::new(),
            };
            config.environments.insert("pdi".into(), defined("PDI_HOME", "pdi"));
            config.environments.insert("z-files".into(), defined("KETTLE_HOME", "home"));
            config.browse.repositories = vec!["pdi:main".into()];
            config.browse.folders = vec![root.join("files")];
            config.output.disk_low_bytes = 0;
            let browser = Browser::new(&config.checked().unwrap(), Clock::system());
            Shop { dir, browser }
        }

        fn looker(&self) -> &Looker {
            &self.browser.looker
        }

        /// Has it read, and waits for that.
        fn read(&self) {
            self.looker().repositories.read("pdi", "main").unwrap();
            while let Some(copied) = self.looker().repositories.find("pdi", "main") {
                if copied.since_ms.is_none() {
                    return assert_eq!(copied.failed, None);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn folder(&self, path: &str) -> Result<Folder, Unseen> {
            self.looker().stored_folder(&Stored::parse(path).unwrap(), "")
        }
    }

    impl Drop for Shop {
        fn drop(&mut self) {
            self.browser.end();
        }
    }

    fn export(names: impl Iterator<Item = String>) -> String {
        let one = |name| format!("<job><name>{name}</name><directory>/x</directory></job>\n");
        format!("<repository><jobs>{}</jobs></repository>", names.map(one).collect::<String>())
    }

    #[test]
    fn who_meets_an_exchange_of_copies_has_a_whole_list() {
        let shop = Shop::new(&export((0..380).map(|n| format!("{n:03}"))));
        shop.read();
        let done = AtomicBool::new(false);
        let looked = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut looked = 0;
                while !done.load(Ordering::Relaxed) {
                    let folder = shop.folder("repository://pdi/main/x").unwrap();
                    let whole = folder.entries.iter().filter(|entry| entry.bytes > 0).count();
                    assert_eq!((folder.entries.len(), whole), (380, 380));
                    looked += 1;
                }
                looked
            });
            for _ in 0..15 {
                shop.read();
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        assert!(looked > 15, "{looked}");
    }

    #[test]
    fn a_name_of_a_repository_may_begin_with_a_dot() {
        let shop = Shop::new(&export([".hidden".to_owned()].into_iter()));
        std::fs::write(shop.dir.path().join("files/.hidden.kjb"), "<job/>").unwrap();
        shop.read();
        let folder = shop.folder("repository://pdi/main/x").unwrap();
        let names: Vec<&str> = folder.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, [".hidden.kjb"]);
        // In a folder of the host it is none of theirs.
        let files = shop.dir.path().canonicalize().unwrap().join("files");
        let folder = shop.looker().folder(&files.display().to_string(), "").unwrap();
        assert_eq!(folder.entries, []);
    }

    #[test]
    fn a_copy_is_taken_for_a_job_of_no_environment_where_nothing_else_has_its_name() {
        let shop = Shop::new(&export(["night".to_owned()].into_iter()));
        shop.read();
        let at = |environment: &str| {
            Ask::File(At::Repository {
                environment: environment.into(),
                name: "main".into(),
                directory: "/x".into(),
                object: "night".into(),
                form: Form::Job,
            })
        };
        let x = shop.dir.path().join("files/x");
        std::fs::create_dir(&x).unwrap();
        std::fs::write(x.join("night.kjb"), "<job><name>of files</name></job>").unwrap();
        let file = |environment| match shop.looker().answer(&at(environment)) {
            Ok(Shown::File(file)) => file.drawn.name,
            told => panic!("{told:?}"),
        };
        assert_eq!((&*file(""), &*file("pdi")), ("of files", "night"));
        std::fs::remove_file(shop.dir.path().join("home/.kettle/repositories.xml")).unwrap();
        assert_eq!(file(""), "night");
    }
}
