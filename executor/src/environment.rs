//! Named environments of this host: variables and programs that jobs may ask for by name.
//!
//! Written down in `[environments]` of `executor.toml`, or found where `homes.look_in` says: a JDK is
//! `java-17`, Kettle `pdi-8.3`, Hop `hop-2.15.0`. What is written down wins. Each is looked at again
//! before a job begins with it ([`Environments::find`]), and told to the leader, who places jobs by it
//! ([`Environments::told`]). Values that are no directories are told to nobody: they may be secrets.

use crate::config::{Config, Defined};
use shared::wire::{NAMED_MAX, NAMED_WORDS_MAX, Named};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Directories looked at in one place.
const LOOKED_AT_MAX: usize = 500;
/// Of a `release` file.
const RELEASE_BYTES_MAX: u64 = 64 * 1024;

/// What one name stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    pub vars: BTreeMap<String, String>,
    /// What comes before the `PATH` of jobs.
    pub path: Vec<PathBuf>,
}

/// All of a host.
#[derive(Clone, Debug, Default)]
pub struct Environments {
    defined: BTreeMap<String, Defined>,
    look_in: Vec<PathBuf>,
}

impl Environments {
    pub fn new(config: &Config) -> Environments {
        Environments { defined: config.environments.clone(), look_in: config.homes.look_in.clone() }
    }

    /// # Errors
    /// There is none of this name, or something of it is missing: what, and where it should be.
    pub fn find(&self, name: &str) -> Result<Environment, String> {
        let found = match self.defined.get(name) {
            Some(defined) => Environment::of(defined),
            None => self.found().remove(name).ok_or_else(|| {
                format!("this host has no environment {name:?}: see its executor.toml")
            })?,
        };
        match found.missing() {
            None => Ok(found),
            Some(missing) => Err(format!("environment {name:?}: {missing}")),
        }
    }

    /// What is written down and what is found, whether it is whole or not.
    pub fn all(&self) -> BTreeMap<String, Environment> {
        let mut all = self.found();
        all.extend(
            self.defined.iter().map(|(name, defined)| (name.clone(), Environment::of(defined))),
        );
        all
    }

    /// As the leader is told: what each is made of, or what is missing of it.
    pub fn told(&self) -> BTreeMap<String, Named> {
        let all = self.all();
        if all.len() > NAMED_MAX {
            tracing::warn!("{} named environments: only {NAMED_MAX} are told", all.len());
        }
        let one = |(name, environment): (String, Environment)| {
            let missing = environment.missing();
            let whole = missing.is_none();
            let words = short(missing.unwrap_or_else(|| environment.words()));
            (name, Named { whole, words })
        };
        all.into_iter().take(NAMED_MAX).map(one).collect()
    }

    /// The first of a name is taken: places in their order, names in theirs.
    fn found(&self) -> BTreeMap<String, Environment> {
        let mut all = BTreeMap::new();
        for place in &self.look_in {
            let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
            let mut dirs: Vec<PathBuf> =
                entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
            dirs.sort();
            dirs.truncate(LOOKED_AT_MAX);
            for dir in dirs {
                let inner = dir.join("data-integration");
                for home in [dir, inner] {
                    if let Some((name, variable)) = installed(&home) {
                        let home = home.display().to_string();
                        let vars = BTreeMap::from([(variable.to_owned(), home)]);
                        let defined = Defined { vars, path: Vec::new() };
                        all.entry(name).or_insert_with(|| Environment::of(&defined));
                    }
                }
            }
        }
        all
    }
}

impl Environment {
    /// Each home adds its programs to the `PATH`, after what is named.
    fn of(defined: &Defined) -> Environment {
        let mut path = defined.path.clone();
        for (name, home) in homes(&defined.vars) {
            let bin = home.join("bin");
            match name {
                "PDI_HOME" | "HOP_HOME" => path.push(home.to_owned()),
                _ if bin.is_dir() => path.push(bin),
                _ => {}
            }
        }
        Environment { vars: defined.vars.clone(), path }
    }

    /// The first thing that is not there.
    fn missing(&self) -> Option<String> {
        let missing_home = homes(&self.vars).find(|(_, home)| !home.is_dir());
        if let Some((name, home)) = missing_home {
            return Some(format!("{name}: {} is no directory here", home.display()));
        }
        // An attempt would find out, and be lost by it.
        for (name, home) in homes(&self.vars) {
            let programs = PROGRAMS.iter().find(|(of, _)| *of == name).map_or(&[][..], |it| it.1);
            // Others may see what we may not.
            let is_missing = |program: &&&str| {
                let found = home.join(program).metadata();
                found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
            };
            if let Some(program) = programs.iter().find(is_missing) {
                return Some(format!("{name}: there is no {program} in {}", home.display()));
            }
        }
        let dir = self.path.iter().find(|dir| !dir.is_dir())?;
        Some(format!("path: {} is no directory here", dir.display()))
    }

    fn words(&self) -> String {
        let one = |(name, value): (&String, &String)| match name.ends_with("_HOME") {
            true => format!("{name}={value}"),
            false => name.clone(),
        };
        self.vars.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Before the `PATH` of jobs.
    pub fn path_before(&self, path: &str) -> String {
        let own = self.path.iter().map(|dir| dir.display().to_string());
        own.chain([path.to_owned()]).filter(|dir| !dir.is_empty()).collect::<Vec<_>>().join(":")
    }
}

/// What a home is for.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("PDI_HOME", &["kitchen.sh", "pan.sh"]),
    ("HOP_HOME", &["hop-run.sh"]),
    ("JAVA_HOME", &["bin/java"]),
];

/// Variables that name an installation.
fn homes(vars: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &Path)> {
    let home = |(name, _): &(&String, &String)| name.ends_with("_HOME");
    vars.iter().filter(home).map(|(name, value)| (name.as_str(), Path::new(value)))
}

/// What is installed in this directory: the name of its environment, and the variable that holds it.
fn installed(home: &Path) -> Option<(String, &'static str)> {
    let named = |kind: &str, version: Option<String>| match version {
        Some(version) => format!("{kind}-{version}"),
        None => kind.to_owned(),
    };
    let has = |file: &str| home.join(file).is_file();
    if has("kitchen.sh") && has("pan.sh") {
        let version = jar_version(&home.join("lib"), "kettle-engine-");
        let short = version.map(|version| version.split('.').take(2).collect::<Vec<_>>().join("."));
        return Some((named("pdi", short), "PDI_HOME"));
    }
    if has("hop-run.sh") {
        let version = jar_version(&home.join("lib/core"), "hop-core-");
        return Some((named("hop", version), "HOP_HOME"));
    }
    if has("bin/java") {
        let version = java_version(home)?;
        let major = version.strip_prefix("1.").unwrap_or(&version);
        let major = major.split('.').next().unwrap_or(major);
        return Some((format!("java-{major}"), "JAVA_HOME"));
    }
    None
}

/// `JAVA_VERSION` of its `release` file: `17.0.15`, `1.8.0_392`.
pub fn java_version(home: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    let release = std::fs::File::open(home.join("release")).ok()?;
    release.take(RELEASE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    Some(line.trim().trim_matches('"').to_owned())
}

/// `2.15.0` of `hop-core-2.15.0.jar`, `8.3.0.0-371` of `kettle-engine-8.3.0.0-371.jar`.
fn jar_version(dir: &Path, prefix: &str) -> Option<String> {
    let names = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.file_name());
    let mut versions: Vec<String> = names
        .filter_map(|name| {
            let version = name.to_str()?.strip_prefix(prefix)?.strip_suffix(".jar")?.to_owned();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            let fits = version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= 30;
            (fits && version.chars().all(plain)).then_some(version)
        })
        .collect();
    versions.sort();
    versions.into_iter().next()
}

fn short(mut words: String) -> String {
    let mut end = words.len().min(NAMED_WORDS_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words.truncate(end);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Homes;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    fn host(root: &Path, toml: &str) -> Environments {
        let file = root.join("executor.toml");
        std::fs::write(&file, toml).unwrap();
        let mut config = Config::read(&file).unwrap();
        config.homes = Homes { look_in: vec![root.join("opt"), root.join("jvm")] };
        Environments::new(&config)
    }

    #[test]
    fn installations_are_found_where_they_are_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for file in [
            "opt/pentaho/data-integration/kitchen.sh",
            "opt/pentaho/data-integration/pan.sh",
            "opt/pentaho/data-integration/lib/kettle-engine-8.3.0.0-371.jar",
            "opt/hop/hop-run.sh",
            "opt/hop/lib/core/hop-core-2.15.0.jar",
            "opt/kettle-old/kitchen.sh",
            "opt/kettle-old/pan.sh",
            "opt/half/kitchen.sh",
            "jvm/a/bin/java",
            "jvm/b/bin/java",
            "jvm/c/bin/java",
        ] {
            touch(&root.join(file));
        }
        for (jdk, version) in [("a", "17.0.15"), ("b", "1.8.0_392"), ("c", "17.0.2")] {
            let text = format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n");
            std::fs::write(root.join("jvm").join(jdk).join("release"), text).unwrap();
        }
        let told = host(root, "").told();
        let home = |path: &str| root.join(path).display().to_string();
        let expect = [
            ("hop-2.15.0", format!("HOP_HOME={}", home("opt/hop"))),
            ("java-17", format!("JAVA_HOME={}", home("jvm/a"))),
            ("java-8", format!("JAVA_HOME={}", home("jvm/b"))),
            ("pdi", format!("PDI_HOME={}", home("opt/kettle-old"))),
            ("pdi-8.3", format!("PDI_HOME={}", home("opt/pentaho/data-integration"))),
        ];
        let expect = expect
            .map(|(name, words)| (name.to_owned(), Named { whole: true, words: short(words) }));
        assert_eq!(told, expect.into());
        let java = host(root, "").find("java-17").unwrap();
        assert_eq!(java.path_before("/bin"), format!("{}:/bin", home("jvm/a/bin")));
    }

    #[test]
    fn what_is_written_down_wins_and_what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        touch(&root.join("jvm/a/bin/java"));
        std::fs::write(root.join("jvm/a/release"), "JAVA_VERSION=\"17\"\n").unwrap();
        touch(&root.join("tools/kitchen.sh"));
        touch(&root.join("tools/pan.sh"));
        touch(&root.join("empty/kitchen.sh"));
        let toml = format!(
            "[environments.java-17]\nvars = {{ JAVA_HOME = \"{0}/gone\" }}\n\
             [environments.etl]\nvars = {{ PDI_HOME = \"{0}/tools\", TOKEN = \"s3cret\" }}\n\
             [environments.empty]\nvars = {{ PDI_HOME = \"{0}/empty\" }}\n\
             [environments.half]\npath = [\"{0}/nowhere\"]\n",
            root.display()
        );
        let host = host(root, &toml);
        let error = host.find("java-17").unwrap_err();
        assert!(error.contains("JAVA_HOME") && error.contains("/gone is no directory"), "{error}");
        let error = host.find("nope").unwrap_err();
        assert!(error.contains("no environment \"nope\""), "{error}");
        let etl = host.find("etl").unwrap();
        assert_eq!(etl.vars["TOKEN"], "s3cret");
        assert_eq!(etl.path, [root.join("tools")]);
        let told = host.told();
        let whole: Vec<(&str, bool)> =
            told.iter().map(|(name, named)| (name.as_str(), named.whole)).collect();
        assert_eq!(whole, [("empty", false), ("etl", true), ("half", false), ("java-17", false)]);
        assert!(told["empty"].words.contains("there is no pan.sh in "), "{told:?}");
        assert!(!told["etl"].words.contains("s3cret"), "{told:?}");
        assert!(told["half"].words.contains("nowhere"), "{told:?}");
    }
}
