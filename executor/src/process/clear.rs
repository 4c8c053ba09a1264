//! Takes folders away that another user may have filled, and may be filling: however deep they are, whatever becomes of
//! their names meanwhile, and without following a link.
//!
//! What is to go is moved into a folder that is ours alone, and so is each folder that is found in it before it is looked
//! into: so nothing is ever looked for by a path that somebody else can change, and none of them grows long.

use crate::spool::layout::private_dir;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{read_dir, remove_dir, remove_file, rename};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Of the folder in `own` that things go through.
const GONE: &str = ".gone";
/// Who still writes into a folder that goes may do so as often.
const TRIES: u32 = 10;

/// A folder with all below, or a file; nothing there is no error. `own` is a folder of the same file system that only we
/// write to; what was left of an earlier call goes as well.
///
/// # Errors
/// Something stays; it is in `own`.
pub fn clear(path: &Path, own: &Path) -> Result<()> {
    let gone = own.join(GONE);
    private_dir(&gone, 0o700).map_err(Error::other)?;
    let mut folders: VecDeque<OsString> = VecDeque::new();
    for entry in read_dir(&gone)? {
        folders.push_back(entry?.file_name());
    }
    let number = |name: &OsString| name.to_str().and_then(|name| name.parse::<u64>().ok());
    let mut next = folders.iter().filter_map(number).max().unwrap_or(0);
    let mut take = |path: &Path, folders: &mut VecDeque<OsString>| {
        next = next.saturating_add(1);
        let name = OsString::from(next.to_string());
        match rename(path, gone.join(&name)) {
            Ok(()) => folders.push_back(name),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    };
    if path != gone {
        take(path, &mut folders)?;
    }
    let mut tries = TRIES;
    while let Some(name) = folders.pop_front() {
        let own = gone.join(&name);
        if !own.symlink_metadata()?.is_dir() {
            remove_file(&own)?;
            continue;
        }
        for entry in read_dir(&own)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => take(&entry.path(), &mut folders)?,
                false => remove_file(entry.path())?,
            }
        }
        match remove_dir(&own) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && tries > 0 => {
                tries -= 1;
                folders.push_back(name);
            }
            ended => ended?,
        }
    }
    remove_dir(&gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{AT_FDCWD, OFlag, openat};
    use nix::sys::stat::{Mode, mkdirat};
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_deeper_than_a_stack_goes_and_what_links_lead_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let (own, other) = (root.path().join("own"), root.path().join("other"));
        create_dir_all(&own).unwrap();
        create_dir_all(&other).unwrap();
        write(other.join("kept"), "x").unwrap();
        let tree = root.path().join("tree");
        create_dir_all(tree.join("b/c")).unwrap();
        write(tree.join("b/c/file"), "x").unwrap();
        symlink(&other, tree.join("b/link")).unwrap();
        symlink("/nowhere", tree.join("broken")).unwrap();
        let mut at = openat(AT_FDCWD, &tree, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..30_000 {
            mkdirat(&at, "a", Mode::S_IRWXU).unwrap();
            at = openat(&at, "a", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        // In a thread as small as those that do it.
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        let (path, place) = (tree.clone(), own.clone());
        small.spawn(move || clear(&path, &place)).unwrap().join().unwrap().unwrap();
        assert!(!tree.exists() && other.join("kept").exists());
        assert_eq!(read_dir(&own).unwrap().count(), 0);
        clear(&tree, &own).unwrap();
        // What was left, and a file.
        create_dir_all(own.join(".gone/7/x")).unwrap();
        write(&tree, "x").unwrap();
        clear(&tree, &own).unwrap();
        assert_eq!((read_dir(&own).unwrap().count(), tree.exists()), (0, false));
        // A link itself goes, not what it leads to.
        symlink(&other, &tree).unwrap();
        clear(&tree, &own).unwrap();
        assert!(!tree.is_symlink() && other.join("kept").exists());
    }
}
