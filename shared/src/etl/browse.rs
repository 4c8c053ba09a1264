//! What a master asks a host about files of Kettle and Hop, and what it may be told.
//!
//! A host shows the folders that its own `executor.toml` names, and of a file what [`super::drawn`] makes
//! of it. Every answer fits a frame.

use super::drawn::{Drawn, Form};
use super::found::Kept;
use super::stored::Copied;
use crate::ids::Millis;
use serde::{Deserialize, Serialize};

/// Folders that a host may name.
pub const FOLDERS_MAX: usize = 64;
/// Entries in one answer.
pub const ENTRIES_MAX: usize = 400;
/// Bytes of a path.
pub const PATH_MAX: usize = 1_000;
/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of words about what went wrong.
pub const WORDS_MAX: usize = 300;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Which folders there are.
    Start,
    /// What is in a folder, behind what the last answer ended with.
    Folder {
        path: String,
        #[serde(default)]
        after: String,
    },
    File(At),
    /// Have Kettle export a repository of a database: what comes of it is asked for later.
    Read {
        environment: String,
        name: String,
    },
}

/// Which file: as the fields of a job say it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum At {
    Path(String),
    /// In a repository of Kettle, as an environment of the host knows it; empty: any.
    Repository {
        environment: String,
        name: String,
        directory: String,
        object: String,
        form: Form,
    },
    /// In the home of a project of Hop.
    Project {
        environment: String,
        name: String,
        file: String,
    },
}

/// What is shown, or why it is not.
pub type Answer = Result<Shown, Unseen>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    Start(Start),
    Folder(Folder),
    File(Box<File>),
    /// It is being read from now on.
    Read(Box<Copied>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// As `browse.folders` names them.
    pub folders: Vec<Root>,
    /// Repositories and projects that the host's environments know.
    pub kept: Vec<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub path: String,
    /// It is there, and a folder.
    pub is_there: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub kept: Kept,
    /// Its folder is in one of the folders that are shown, or there is a copy of it.
    pub shown: bool,
    /// Of one in a database that may be read: what there is of it.
    #[serde(default)]
    pub copied: Option<Box<Copied>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Without links.
    pub path: String,
    /// The one above, unless that is not shown.
    pub above: Option<String>,
    pub entries: Vec<Entry>,
    /// There is more behind: ask again with this as `after`.
    pub next: Option<String>,
    /// Links that lead out, and names that are no text.
    pub left_out: u32,
    /// There are so many that not all were looked at.
    pub cut: bool,
    /// It is in a copy of a repository.
    #[serde(default)]
    pub copied: Option<Box<Copied>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    /// None: a folder.
    pub form: Option<Form>,
    pub bytes: u64,
    /// 0: that is not known.
    pub changed_ms: Millis,
}

impl Entry {
    /// Folders first; also what `after` means.
    pub fn key(&self) -> String {
        format!("{}{}", u8::from(self.form.is_some()), self.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Without links.
    pub path: String,
    pub bytes: u64,
    /// 0: that is not known.
    pub changed_ms: Millis,
    pub drawn: Drawn,
    /// It is in a copy of a repository.
    #[serde(default)]
    pub copied: Option<Box<Copied>>,
}

/// Why something is not shown. Pages have their own words for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unseen {
    #[error("this host shows no folders: add browse.folders to its executor.toml")]
    NoFolders,
    #[error("{0} is in none of the folders of browse.folders in the host's executor.toml")]
    Outside(String),
    #[error("{0} is not there")]
    Missing(String),
    #[error("{0} is no folder")]
    NoFolder(String),
    #[error("{0} is no .ktr, .kjb, .hpl or .hwf file")]
    NoFile(String),
    #[error("the file has {0} bytes, and at most {FILE_BYTES_MAX} are read")]
    TooLarge(u64),
    /// Its text is none of theirs: why.
    #[error("it cannot be read: {0}")]
    Garbage(String),
    /// The operating system's words.
    #[error("{0}")]
    System(String),
    #[error("no environment of the host knows a repository {0:?}")]
    NoRepository(String),
    #[error(
        "repository {0:?} is no folder, and browse.repositories in the host's executor.toml does not name it"
    )]
    InDatabase(String),
    #[error("repository {:?} has not been read yet: the page Files has it read", .0.name)]
    NotRead(Box<Copied>),
    /// One at a time.
    #[error("repository {0:?} is being read: try again when that is done")]
    Reads(String),
    #[error("no environment of the host knows a project {0:?}")]
    NoProject(String),
    #[error("others look at files of this host: try again")]
    Busy,
}

#[cfg(test)]
mod tests {
    use super::super::drawn::*;
    use super::super::found::{LISTED_MAX, Store};
    use super::super::stored::{COPIES_MAX, Failed, NAME_MAX, NAMED_BYTES_MAX, NAMED_MAX};
    use super::*;
    use crate::codec::encode;
    use crate::wire::FRAME_MAX;

    /// What else is in a frame.
    const AROUND: usize = 4 * 1024;

    #[test]
    fn the_longest_answers_fit_a_frame() {
        let text = |bytes: usize| "x".repeat(bytes);
        let kept = Kept { store: Store::Elsewhere, name: text(200), folder: Some(text(PATH_MAX)) };
        let mut start = Start {
            folders: vec![Root { path: text(PATH_MAX), is_there: true }; FOLDERS_MAX],
            kept: vec![Known { kept, shown: true, copied: None }; LISTED_MAX],
        };
        let mut copied = Copied {
            environment: text(40),
            name: text(NAME_MAX),
            user: text(WORDS_MAX),
            read_ms: Some(i64::MAX),
            since_ms: Some(i64::MAX),
            failed: Some(Failed { at_ms: i64::MAX, words: text(WORDS_MAX) }),
            objects: u32::MAX,
            left_out: u32::MAX,
            named: Vec::new(),
            error: String::new(),
        };
        for known in start.kept.iter_mut().take(COPIES_MAX) {
            known.kept.folder = None;
            known.copied = Some(Box::new(copied.clone()));
        }
        copied.named = vec![text(NAMED_BYTES_MAX); NAMED_MAX];
        copied.error = text(WORDS_MAX);
        let entry = Entry {
            name: text(255),
            form: Some(Form::Transformation),
            bytes: u64::MAX,
            changed_ms: i64::MAX,
        };
        let folder = Folder {
            path: text(PATH_MAX),
            above: Some(text(PATH_MAX)),
            entries: vec![entry; ENTRIES_MAX],
            next: Some(text(256)),
            left_out: u32::MAX,
            cut: true,
            copied: Some(Box::new(copied)),
        };
        for answer in [Shown::Start(start), Shown::Folder(folder)] {
            let size = encode(&Answer::Ok(answer)).unwrap().len();
            assert!(size + AROUND <= FRAME_MAX, "{size} of {FRAME_MAX}");
        }
    }

    /// As large as what `read` lets through: everything at its limit, in one file.
    #[test]
    fn the_largest_file_fits_a_frame() {
        let x = |bytes: usize| "x".repeat(bytes);
        let parameter = format!(
            "<parameter><name>{}</name><default_value>{}</default_value><description>{}</description></parameter>",
            x(500),
            x(500),
            x(500)
        );
        let entry = |nr: usize| {
            format!(
                "<entry><name>{}</name><type>JOB{}</type><nr>{nr}</nr><xloc>-100000</xloc><yloc>-100000</yloc>\
                 </entry><entry><name>{}</name><type>JOB</type><nr>{}</nr><filename>/{}</filename></entry>",
                x(500),
                x(100),
                x(500),
                nr + 1_000,
                x(500)
            )
        };
        let hop = |nr: usize| {
            format!(
                "<hop><from>{0}</from><to>{0}</to><from_nr>{1}</from_nr><to_nr>{1}</to_nr><enabled>N</enabled></hop>",
                x(500),
                nr % 200
            )
        };
        let text = format!(
            "<job><name>{}</name><description>{}</description><parameters>{}</parameters><entries>{}</entries>\
             <hops>{}</hops></job>",
            x(500),
            x(5_000),
            parameter.repeat(200),
            (0..300).map(entry).collect::<String>(),
            (0..2_000).map(hop).collect::<String>(),
        );
        let drawn = read(&text, Place::default()).unwrap();
        assert_eq!((drawn.steps.len(), drawn.hops.len()), (STEPS_MAX, HOPS_MAX));
        let references = drawn.steps.iter().filter(|step| step.runs.is_some()).count();
        assert_eq!(references, REFERENCES_MAX);
        let copied = Copied { named: vec![x(NAMED_BYTES_MAX); NAMED_MAX], ..Copied::default() };
        let copied = Some(Box::new(Copied { user: x(WORDS_MAX), error: x(WORDS_MAX), ..copied }));
        let file = File { path: x(PATH_MAX), bytes: u64::MAX, changed_ms: i64::MAX, drawn, copied };
        let size = encode(&Answer::Ok(Shown::File(Box::new(file)))).unwrap().len();
        assert!(size + AROUND <= FRAME_MAX, "{size} of {FRAME_MAX}");
    }
}
