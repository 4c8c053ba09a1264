//! Where a Kettle is: the one that HCNDC_TEST_PDI names, else our stand-in, laid out as an install is.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use crate::rig::program;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Of the folder of these tests.
pub fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kettle").join(path)
}

pub fn sample(name: &str) -> String {
    own("samples").join(name).display().to_string()
}

/// What somebody has asked for.
pub fn named() -> Option<PathBuf> {
    shared::config::env("HCNDC_TEST_PDI").filter(|path| !path.is_empty()).map(PathBuf::from)
}

pub fn install() -> PathBuf {
    named().unwrap_or_else(|| laid_out().clone())
}

/// Of a JVM: the words that we look for are English ones.
pub const ENGLISH: &str = "-Duser.language=en -Duser.country=US";

/// A line of an environment with the Java of who runs the tests.
pub fn java() -> String {
    let java = shared::config::env("JAVA_HOME").filter(|home| Path::new(home).is_dir());
    java.map_or(String::new(), |home| format!(", JAVA_HOME = \"{home}\""))
}

/// Compiled once for each of its texts, and kept beside what cargo makes.
fn laid_out() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let mut key = DefaultHasher::new();
        texts(&own("engine"), &mut key);
        for script in ["layout.sh", "kitchen.sh", "pan.sh", "spoon.sh", "jvm.sh"] {
            std::fs::read(own(script)).unwrap().hash(&mut key);
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("kettle-standin-{:016x}", key.finish()));
        if !dir.is_dir() {
            let part = dir.with_extension(std::process::id().to_string());
            let told = program(&own("layout.sh")).arg(&part).output().unwrap();
            let err = String::from_utf8_lossy(&told.stderr);
            assert!(told.status.success(), "{err}");
            // Whoever was first: it is the same.
            let _ = std::fs::rename(&part, &dir);
        }
        dir
    })
}

fn texts(dir: &Path, key: &mut DefaultHasher) {
    let mut all: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().collect();
    all.sort_by_key(std::fs::DirEntry::file_name);
    for entry in all {
        match entry.path() {
            path if path.is_dir() => texts(&path, key),
            path => (entry.file_name(), std::fs::read(path).unwrap()).hash(key),
        }
    }
}
