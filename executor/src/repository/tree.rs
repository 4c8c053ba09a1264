//! A copy of a repository: a folder of its own with a file of each object, exchanged as a whole.
//!
//! `KEY/now` is a link to the copy that counts, `KEY/NUMBER`. In it are `files`, the directories and objects under the
//! names that they have in the repository, and `about.json`. Whatever else is in `KEY` is of nobody. Names come out of a
//! database that anybody may write to: what is no name of a file is left out, and nothing is written twice.

use super::split::{Object, Splitter};
use crate::process::clear::clear;
use crate::spool::layout::{private_dir, write_private};
use anyhow::Context;
use shared::etl::browse::{FILE_BYTES_MAX, PATH_MAX};
use shared::etl::drawn::Form;
use shared::etl::stored::{Copied, NAMED_BYTES_MAX, NAMED_MAX};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// Objects of one repository, and directories.
const OBJECTS_MAX: u32 = 50_000;
const DIRECTORIES_MAX: usize = 20_000;
/// Directories within one another.
const DEEP_MAX: usize = 40;
/// What stands before the path of an object where people see it.
const ROOT_BYTES_MAX: usize = 300;
/// Bytes of a name, as most file systems have it.
const NAME_MAX: usize = 255;
const PART_BYTES: usize = 64 * 1024;
const ABOUT_BYTES_MAX: u64 = 64 * 1024;

/// Where the files of the copy that counts are, if there is one.
pub(super) fn files(dir: &Path) -> Option<PathBuf> {
    Some(dir.join("now").canonicalize().ok()?.join("files"))
}

/// What is known of the copy that counts, if it is of this repository.
pub(super) fn about(dir: &Path, environment: &str, name: &str) -> Option<Copied> {
    let mut text = String::new();
    let file = File::open(dir.join("now/about.json")).ok()?;
    file.take(ABOUT_BYTES_MAX).read_to_string(&mut text).ok()?;
    let copied: Copied = serde_json::from_str(&text).ok()?;
    let same = copied.environment == environment && copied.name == name;
    (same && files(dir)?.is_dir()).then_some(copied)
}

/// Makes a copy of what is exported, and lets it count from now on.
///
/// # Errors
/// It is no export, the disk does not take it, or `stop` asks to give up; then the former copy stays.
pub(super) fn make(
    dir: &Path,
    copied: Copied,
    export: impl Read,
    stop: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Copied> {
    private_dir(dir, 0o700)?;
    let own = dir.join(free_number(dir).to_string());
    let made = write(&own, copied, export, stop).and_then(|copied| {
        let next = dir.join("next");
        let _ = std::fs::remove_file(&next);
        symlink(own.file_name().unwrap_or_default(), &next).context("a link to the copy")?;
        std::fs::rename(&next, dir.join("now")).context("the link to the copy")?;
        Ok(copied)
    });
    tidy(dir);
    made
}

/// Takes away all that is not the copy that counts.
pub(super) fn tidy(dir: &Path) {
    let now = dir.join("now").canonicalize().ok();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let stays =
            now.is_some() && (entry.file_name() == "now" || path.canonicalize().ok() == now);
        if !stays {
            remove(&path, dir);
        }
    }
}

fn remove(path: &Path, own: &Path) {
    if let Err(error) = clear(path, own) {
        tracing::warn!("{} stays: {error}", path.display());
    }
}

fn free_number(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    numbers.max().map_or(1, |last| last.saturating_add(1))
}

fn write(
    own: &Path,
    copied: Copied,
    mut export: impl Read,
    mut stop: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Copied> {
    private_dir(own, 0o700)?;
    let mut tree = Tree::new(own.join("files"), copied)?;
    let mut splitter = Splitter::default();
    let mut part = vec![0; PART_BYTES];
    let mut objects = Vec::new();
    loop {
        stop()?;
        let read = export.read(&mut part).context("its export")?;
        if read == 0 {
            break;
        }
        let pushed = splitter.push(&part[..read], &mut objects);
        pushed.map_err(|why| anyhow::anyhow!("its export is not understood: {why}"))?;
        for object in objects.drain(..) {
            stop()?;
            tree.put(&object)?;
        }
    }
    splitter.end().map_err(|why| anyhow::anyhow!("its export is not whole: {why}"))?;
    let text = serde_json::to_string(&tree.copied).context("what is known of it")?;
    write_private(&own.join("about.json"), &text).context("what is known of it")?;
    // All of it is on the disk before it counts.
    let folder = File::open(own).context("its folder")?;
    nix::unistd::syncfs(&folder).context("it does not reach the disk")?;
    Ok(tree.copied)
}

struct Tree {
    files: PathBuf,
    directories: BTreeSet<PathBuf>,
    copied: Copied,
}

impl Tree {
    fn new(files: PathBuf, copied: Copied) -> anyhow::Result<Tree> {
        private_dir(&files, 0o700)?;
        let copied = Copied { objects: 0, left_out: 0, named: Vec::new(), failed: None, ..copied };
        Ok(Tree { files, directories: BTreeSet::new(), copied })
    }

    /// # Errors
    /// The disk does not take it. What is wrong with an object itself only leaves that one out.
    fn put(&mut self, object: &Object) -> anyhow::Result<()> {
        let (directory, name) = object.place();
        let left_out = match place(&directory, &name, object.form) {
            Err(why) => Some(why.to_owned()),
            Ok(_) if !object.whole => Some(format!("it has more than {FILE_BYTES_MAX} bytes")),
            Ok(_) if self.copied.objects >= OBJECTS_MAX => {
                Some(format!("there are more than {OBJECTS_MAX}"))
            }
            Ok(place) => self.write(&place, &object.text)?,
        };
        match left_out {
            None => self.copied.objects += 1,
            Some(why) => {
                let what = format!("{}/{name}", directory.trim_end_matches('/'));
                self.leave_out(&what, object.form, &why);
            }
        }
        Ok(())
    }

    /// Why it cannot be written under this name, if the disk could take it.
    fn write(&mut self, place: &Path, text: &[u8]) -> anyhow::Result<Option<String>> {
        let folder = place.parent().unwrap_or(Path::new(""));
        if !self.directories.contains(folder) {
            let all = || folder.ancestors().filter(|above| !above.as_os_str().is_empty());
            let new = all().filter(|above| !self.directories.contains(*above)).count();
            if self.directories.len() + new > DIRECTORIES_MAX {
                return Ok(Some(format!("there are more than {DIRECTORIES_MAX} directories")));
            }
            let made =
                DirBuilder::new().recursive(true).mode(0o700).create(self.files.join(folder));
            if let Err(error) = made {
                return refused(&error, place);
            }
            self.directories.extend(all().map(Path::to_owned));
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(self.files.join(place));
        match opened {
            Err(error) => refused(&error, place),
            Ok(mut file) => {
                file.write_all(text).with_context(|| place.display().to_string())?;
                Ok(None)
            }
        }
    }

    fn leave_out(&mut self, what: &str, form: Form, why: &str) {
        self.copied.left_out += 1;
        if self.copied.named.len() < NAMED_MAX {
            // The reason is never cut off.
            let rest = NAMED_BYTES_MAX.saturating_sub(why.len() + form.word().len() + 3);
            let what = &what[..what.floor_char_boundary(rest)];
            self.copied.named.push(format!("{} {what}: {why}", form.word()));
        }
    }
}

/// # Errors
/// It is not for its name that it cannot be there.
fn refused(error: &std::io::Error, place: &Path) -> anyhow::Result<Option<String>> {
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            Ok(Some("there is one of this name already".into()))
        }
        ErrorKind::InvalidFilename => Ok(Some("its name is too long".into())),
        kind => {
            let system = std::io::Error::new(kind, error.to_string());
            Err(system).with_context(|| place.display().to_string())
        }
    }
}

/// Where it is below the first folder.
///
/// # Errors
/// Why there is no such file.
fn place(directory: &str, name: &str, form: Form) -> Result<PathBuf, &'static str> {
    let mut place = PathBuf::new();
    let fits = |part: &str| match part {
        "." | ".." => Err("its directory is none"),
        _ if part.contains('\0') => Err("its name holds a zero byte"),
        _ if part.len() > NAME_MAX => Err("its name is too long"),
        _ => Ok(()),
    };
    for part in directory.split('/').filter(|part| !part.is_empty()) {
        fits(part)?;
        if Form::of_file(part).is_some() {
            return Err("its directory has the name of a file");
        }
        place.push(part);
    }
    if place.components().count() > DEEP_MAX {
        return Err("its directory is too deep");
    }
    let file = format!("{name}.{}", form.extension());
    if name.is_empty() {
        return Err("it has no name");
    }
    if name.contains('/') {
        return Err("its name holds a /");
    }
    fits(&file)?;
    place.push(file);
    match place.as_os_str().len() + ROOT_BYTES_MAX < PATH_MAX {
        true => Ok(place),
        false => Err("its name is too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Error};

    fn export(names: &[&str]) -> String {
        let one = |name: &&str| format!("<job><name>{name}</name><directory>/x</directory></job>");
        let jobs: String = names.iter().map(one).collect();
        format!("<repository><transformations/><jobs>{jobs}</jobs></repository>")
    }

    fn copy() -> Copied {
        Copied { environment: "e".into(), name: "main".into(), ..Copied::default() }
    }

    /// What is in the copy that counts, and how many there are.
    fn there(dir: &Path) -> (Vec<String>, usize) {
        let names = |dir: &Path| -> Vec<String> {
            let all = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let mut all: Vec<_> =
                all.map(|it| it.file_name().to_str().unwrap().to_owned()).collect();
            all.sort();
            all
        };
        (names(&files(dir).unwrap().join("x")), names(dir).len() - 1)
    }

    #[test]
    fn a_copy_takes_the_place_of_the_former_one_as_a_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let dir = &root.path().join("copy");
        assert_eq!((files(dir), about(dir, "e", "main")), (None, None));
        let first = export(&["a", "b"]);
        let made = make(dir, copy(), Cursor::new(&first), || Ok(())).unwrap();
        assert_eq!((made.objects, there(dir)), (2, (vec!["a.kjb".into(), "b.kjb".into()], 1)));
        assert_eq!(about(dir, "e", "main"), Some(made));
        assert_eq!(about(dir, "e", "other"), None);
        // It is cut off, it cannot be read, somebody stops us: nothing of it stays.
        let second = export(&["c"]);
        let cut = &second[..second.len() - 5];
        let mut times = 0;
        let fails: [(Box<dyn Read>, bool); 3] = [
            (Box::new(Cursor::new(cut)), false),
            (Box::new(Cursor::new(&second).chain(Failing)), false),
            (Box::new(Cursor::new(&second)), true),
        ];
        for (reader, stops) in fails {
            let stop = || {
                times += 1;
                anyhow::ensure!(!stops || times % 2 == 1, "told to stop");
                Ok(())
            };
            assert!(make(dir, copy(), reader, stop).is_err());
            assert_eq!(there(dir), (vec!["a.kjb".into(), "b.kjb".into()], 1));
        }
        // What an earlier life has left goes with the next one.
        std::fs::create_dir_all(dir.join("77/files/x")).unwrap();
        symlink("77", dir.join("next")).unwrap();
        make(dir, copy(), Cursor::new(&second), || Ok(())).unwrap();
        assert_eq!(there(dir), (vec!["c.kjb".into()], 1));
    }

    #[test]
    fn every_directory_counts_and_no_secret_of_a_connection_is_on_the_disk() {
        let root = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(root.path().join("files"), copy()).unwrap();
        let one = |directory: &str| {
            let head = format!("<info><name>a</name><directory>{directory}</directory></info>");
            let text = format!("<transformation>{head}</transformation>").into_bytes();
            Object { form: Form::Transformation, text, whole: true }
        };
        tree.put(&one("/a/b/c")).unwrap();
        tree.put(&one("/a/b/d")).unwrap();
        assert_eq!((tree.copied.objects, tree.directories.len()), (2, 4));
        let full = (0..DIRECTORIES_MAX - 5).map(|n| PathBuf::from(n.to_string()));
        tree.directories.extend(full);
        tree.put(&one("/x/y")).unwrap();
        tree.put(&one("/x")).unwrap();
        assert_eq!((tree.copied.objects, tree.copied.left_out), (3, 1));
        let dir = &root.path().join("copy");
        let server = "<slaveservers><slaveserver><password>Encrypted 2be</password></slaveserver></slaveservers>";
        let export = format!(
            "<repository><transformations><transformation><info><name>a</name><directory>/x</directory>{server}</info>\
             </transformation></transformations><jobs><job><name>b</name><directory>/x</directory>{server}</job></jobs>\
             </repository>"
        );
        make(dir, copy(), Cursor::new(export), || Ok(())).unwrap();
        for name in ["a.ktr", "b.kjb"] {
            let text = std::fs::read_to_string(files(dir).unwrap().join("x").join(name)).unwrap();
            assert!(!text.contains("Encrypted") && text.contains("<name>"), "{text}");
        }
    }

    /// A disk that fails.
    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(Error::other("no disk"))
        }
    }
}
