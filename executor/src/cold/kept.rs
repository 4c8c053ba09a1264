//! Where archives are and what they are called: of which place, of what in it, how long.

use crate::install::Install;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Of one user; the ones made last stay.
pub(super) const ARCHIVES_MAX: usize = 8;

/// What an archive fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// An install, and which Java it takes.
    place: u32,
    /// What they were made of.
    state: u64,
}

/// # Errors
/// There are no jars, or one cannot be looked at.
pub(super) fn key(install: &Install, script: &str) -> anyhow::Result<Key> {
    let (mut place, mut state) = (DefaultHasher::new(), DefaultHasher::new());
    (&install.home, &install.java.program, &install.java.home).hash(&mut place);
    (env!("CARGO_PKG_VERSION"), script).hash(&mut state);
    install.hash(&mut state)?;
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one too")]
    let place = place.finish() as u32;
    Ok(Key { place, state: state.finish() })
}

impl Key {
    pub(super) fn name(self, length: u64) -> String {
        format!("{:08x}-{:016x}-{length}.jsa", self.place, self.state)
    }
}

/// Of a file's name.
fn told(name: &str) -> Option<(Key, u64)> {
    let mut parts = name.strip_suffix(".jsa")?.split('-');
    let (place, state, length) = (parts.next()?, parts.next()?, parts.next()?);
    let place = u32::from_str_radix(place, 16).ok()?;
    let state = u64::from_str_radix(state, 16).ok()?;
    let key = Key { place, state };
    Some((key, length.parse().ok()?)).filter(|(key, length)| key.name(*length) == name)
}

/// A plain file that is as long as its name says.
struct Archive {
    path: PathBuf,
    key: Key,
    found: Metadata,
}

fn all(dir: &Path) -> Vec<Archive> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let one = |entry: std::fs::DirEntry| {
        let (key, length) = told(entry.file_name().to_str()?)?;
        let found = entry.metadata().ok()?;
        let whole = found.is_file() && found.len() == length;
        whole.then(|| Archive { path: entry.path(), key, found })
    };
    entries.filter_map(one).collect()
}

pub(super) fn find(dir: &Path, key: Key) -> Option<PathBuf> {
    all(dir).into_iter().find(|archive| archive.key == key).map(|archive| archive.path)
}

/// What is not to stay: whatever is no whole archive, those that fitted the place of `key` before, the oldest of
/// too many.
pub(super) fn old(dir: &Path, key: Key) -> Vec<PathBuf> {
    let mut stay = all(dir);
    stay.retain(|one| one.key == key || one.key.place != key.place);
    stay.sort_by_key(|one| (one.key != key, std::cmp::Reverse(one.found.modified().ok())));
    stay.truncate(ARCHIVES_MAX);
    let stays = |path: &PathBuf| stay.iter().any(|one| one.path == *path);
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| !stays(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_fits_is_found_and_the_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let key = |place, state| Key { place, state };
        let put = |key: Key, length: u64, text: &str| {
            std::fs::write(dir.path().join(key.name(length)), text).unwrap();
        };
        put(key(1, 1), 3, "old");
        put(key(1, 2), 3, "new");
        put(key(2, 7), 5, "other");
        put(key(3, 7), 9, "cut off");
        std::fs::write(dir.path().join("part"), "x").unwrap();
        std::fs::create_dir(dir.path().join(key(4, 4).name(4096))).unwrap();
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let found = find(dir.path(), key(1, 2)).map(name);
        assert_eq!(found.as_deref(), Some("00000001-0000000000000002-3.jsa"));
        for gone in [key(3, 7), key(4, 4), key(1, 3)] {
            assert_eq!(find(dir.path(), gone), None);
        }
        let mut gone: Vec<String> = old(dir.path(), key(1, 2)).into_iter().map(name).collect();
        gone.sort();
        let expect = [
            "00000001-0000000000000001-3.jsa",
            "00000003-0000000000000007-9.jsa",
            "00000004-0000000000000004-4096.jsa",
            "part",
        ];
        assert_eq!(gone, expect);
        (10..30).for_each(|place| put(key(place, 0), 1, "x"));
        let gone = old(dir.path(), key(1, 2)).len();
        assert_eq!(gone, 4 + 20 + 2 - ARCHIVES_MAX);
        assert!(!old(dir.path(), key(1, 2)).contains(&dir.path().join(key(1, 2).name(3))));
    }
}
