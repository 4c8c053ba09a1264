//! An install of Kettle or Hop on this host, and the Java that its own scripts would take.

use crate::environment::java_version;
use anyhow::{Context, ensure};
use shared::etl::Family;
use std::hash::{DefaultHasher, Hash};
use std::path::{Path, PathBuf};

const JARS_MAX: usize = 5_000;
/// Where further jars may lie, as releases differ.
const FURTHER: &[&str] = &["lib", "lib/beam"];

#[derive(Debug)]
pub(crate) struct Install {
    pub(crate) home: PathBuf,
    /// As `-cp` understands it.
    pub(crate) jars: String,
    pub(crate) java: Java,
}

#[derive(Debug)]
pub(crate) struct Java {
    pub(crate) program: String,
    pub(crate) home: Option<PathBuf>,
    /// `17.0.15`, `1.8.0_392`; empty: not known.
    pub(crate) version: String,
}

impl Install {
    /// In that folder; `get` reads the environment that it would be started in.
    pub(crate) fn of(
        family: Family,
        home: PathBuf,
        get: impl Fn(&str) -> Option<String>,
    ) -> Install {
        let arch = std::env::consts::ARCH;
        let shown = home.display();
        let jars = match family {
            Family::Kettle => {
                format!("{shown}:{shown}/classes:{shown}/lib/*:{shown}/libswt/linux/{arch}/*")
            }
            Family::Hop => format!("{shown}/lib/core/*:{shown}/lib/swt/linux/{arch}/*"),
        };
        let homes: &[&str] = match family {
            Family::Kettle => &["PENTAHO_JAVA_HOME", "JAVA_HOME"],
            Family::Hop => &["HOP_JAVA_HOME", "JAVA_HOME"],
        };
        let given = |name: &&str| get(name).filter(|home| !home.is_empty());
        let java = Java::of(homes.iter().find_map(given), &get("PATH").unwrap_or_default());
        Install { home, jars, java }
    }

    /// Another one when a jar or the Java is another one.
    ///
    /// # Errors
    /// There are no jars, or one cannot be looked at.
    pub(crate) fn hash(&self, key: &mut DefaultHasher) -> anyhow::Result<()> {
        (&self.jars, &self.java.program, &self.java.version).hash(key);
        // One that was exchanged in its place may say the same version.
        let modules = self.java.home.as_ref().map(|home| home.join("lib/modules"));
        let modules = modules.and_then(|path| path.metadata().ok());
        modules.map(|found| (found.len(), found.modified().ok())).hash(key);
        let mut jars = 0;
        let named = self.jars.split(':').filter_map(|part| part.strip_suffix("/*"));
        let further = FURTHER.iter().map(|dir| self.home.join(dir));
        for dir in named.map(PathBuf::from).chain(further) {
            let mut found: Vec<_> =
                std::fs::read_dir(dir).into_iter().flatten().flatten().collect();
            found.retain(|entry| entry.path().extension().is_some_and(|end| end == "jar"));
            jars += found.len();
            found.sort_by_key(std::fs::DirEntry::file_name);
            for entry in found.iter().take(JARS_MAX) {
                let path = entry.path();
                // What a link leads to.
                let meta = path.metadata().with_context(|| path.display().to_string())?;
                (entry.file_name(), meta.len(), meta.modified().ok()).hash(key);
            }
        }
        let shown = self.home.display();
        ensure!(jars > 0, "there are no jars in {shown}: is that an install of the engine?");
        Ok(())
    }
}

impl Java {
    fn of(home: Option<String>, path: &str) -> Java {
        let program = home.as_ref().map_or("java".to_owned(), |home| format!("{home}/bin/java"));
        let home = home.map(PathBuf::from).or_else(|| on_path(path));
        let version = home.as_deref().and_then(java_version).unwrap_or_default();
        Java { program, home, version }
    }

    /// Another program of the same one.
    pub(crate) fn beside(&self, name: &str) -> String {
        match self.program.strip_suffix("/java") {
            Some(bin) => format!("{bin}/{name}"),
            None => name.to_owned(),
        }
    }

    /// 17, or 8.
    pub(crate) fn major(&self) -> Option<u32> {
        let version = self.version.strip_prefix("1.").unwrap_or(&self.version);
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }
}

/// The home of the `java` that is found there.
fn on_path(path: &str) -> Option<PathBuf> {
    let all = path.split(':').map(|dir| Path::new(dir).join("java"));
    let found = all.into_iter().find(|at| at.is_file())?;
    let real = std::fs::canonicalize(found).ok()?;
    Some(real.parent()?.parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    fn key(install: &Install) -> u64 {
        let mut key = DefaultHasher::new();
        install.hash(&mut key).unwrap();
        key.finish()
    }

    #[test]
    fn another_jar_or_java_is_another_install() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), text).unwrap();
        };
        write("hop/lib/core/hop-core-1.jar", "x");
        write("jdk/bin/java", "");
        write("jdk/lib/modules", "x");
        write("jdk/release", "JAVA_VERSION=\"17.0.15\"\n");
        write("old/release", "JAVA_VERSION=\"1.8.0_392\"\n");
        let of = |homes: &[(&str, &str)]| {
            let get = |name: &str| {
                let found = homes.iter().find(|(key, _)| *key == name);
                found.map(|(_, home)| at(home).display().to_string())
            };
            Install::of(Family::Hop, at("hop"), get)
        };
        let install = of(&[("HOP_JAVA_HOME", "jdk"), ("JAVA_HOME", "old")]);
        assert_eq!((install.java.version.as_str(), install.java.major()), ("17.0.15", Some(17)));
        assert_eq!(install.java.beside("javac"), at("jdk/bin/javac").display().to_string());
        assert_eq!(of(&[("JAVA_HOME", "old")]).java.major(), Some(8));
        let found = of(&[("PATH", "jdk/bin")]);
        assert_eq!((found.java.program.as_str(), found.java.major()), ("java", Some(17)));
        assert_eq!(found.java.beside("javac"), "javac");
        assert_eq!(of(&[]).java.major(), None);
        let before = key(&install);
        assert_eq!(before, key(&of(&[("HOP_JAVA_HOME", "jdk")])));
        write("jdk/lib/modules", "xy");
        let other_java = key(&install);
        assert_ne!(before, other_java);
        write("hop/lib/beam/more.jar", "x");
        assert_ne!(other_java, key(&install));
        std::fs::remove_dir_all(at("hop/lib")).unwrap();
        let error = install.hash(&mut DefaultHasher::new()).unwrap_err().to_string();
        assert!(error.contains("there are no jars in"), "{error}");
    }
}
