//! Files of Kettle and Hop that masters may look at: those in the folders of `browse.folders`.
//!
//! A path is judged before anything is touched, once more when its links are resolved, and a third
//! time by what was really opened, so that nobody can exchange it in between. Of a file only what
//! `shared::etl::drawn` makes of it leaves this host; what belongs to the executor is never opened, but for the copies of
//! repositories ([`stored`]), which have paths of their own.

pub mod defined;
mod folder;
mod kept;
mod stored;

use crate::config::Config;
use crate::environment::Environments;
use crate::repository::Repositories;
use shared::clock::Clock;
use shared::etl::browse::{Answer, Ask, At, FILE_BYTES_MAX, File, Shown, Unseen, WORDS_MAX};
use shared::etl::browse::{PATH_MAX, Root, Start};
use shared::etl::drawn::{self, Form, Place, normal};
use shared::etl::plain_path;
use shared::etl::stored::Stored;
use shared::ids::Millis;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Looks at one time: a share that hangs holds no more threads than these.
const LOOKS_MAX: usize = 4;
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Folders above a file in which its project is looked for.
const ABOVE_MAX: usize = 40;
/// What makes a folder a project of Hop.
const PROJECT_FILE: &str = "project-config.json";

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Browser {
    looker: Arc<Looker>,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Looker {
    folders: Vec<PathBuf>,
    /// The executor's own.
    closed: Vec<PathBuf>,
    environments: Environments,
    repositories: Repositories,
    clock: Clock,
}

impl Browser {
    /// Repositories are read by a thread of its own, which ends with [`Browser::end`].
    pub fn new(config: &Config, clock: Clock) -> Browser {
        let looker = Looker {
            folders: config.browse.folders.clone(),
            closed: vec![config.data.clone(), config.pki.clone()],
            environments: Environments::new(config),
            repositories: Repositories::start(config, clock.clone()),
            clock,
        };
        Browser { looker: Arc::new(looker), turns: Arc::new(Semaphore::new(LOOKS_MAX)) }
    }

    pub async fn answer(&self, ask: Ask) -> Answer {
        let turn = tokio::time::timeout(WAIT_MAX, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Unseen::Busy) };
        let looker = self.looker.clone();
        // The turn ends with the work, also when nobody waits for it any more.
        let looked = shared::tasks::blocking(move || {
            let answer = looker.answer(&ask);
            drop(turn);
            answer
        });
        looked.await.unwrap_or_else(|error| Err(Unseen::System(format!("{error:#}"))))
    }

    /// Ends what is being read of a repository, and waits for that.
    pub fn end(&self) {
        self.looker.repositories.end();
    }
}

/// What was opened, and where it really is.
struct Opened {
    file: std::fs::File,
    real: PathBuf,
    /// The folder of `browse.folders` that it is in.
    within: PathBuf,
}

impl Looker {
    fn answer(&self, ask: &Ask) -> Answer {
        if self.folders.is_empty() && self.repositories.is_empty() {
            return Err(Unseen::NoFolders);
        }
        match ask {
            Ask::Start => Ok(Shown::Start(self.start())),
            Ask::Folder { path, after } => match Stored::parse(path) {
                Some(at) => self.stored_folder(&at, after).map(Shown::Folder),
                None => self.folder(path, after).map(Shown::Folder),
            },
            Ask::File(at) => {
                let path = self.path_of(at)?;
                let file = match Stored::parse(&path) {
                    Some(at) => self.stored_file(&at),
                    None => self.file(&path),
                };
                file.map(|file| Shown::File(Box::new(file)))
            }
            Ask::Read { environment, name } => {
                let reading = self.repositories.read(environment, name);
                reading.map(|copied| Shown::Read(Box::new(copied)))
            }
        }
    }

    fn start(&self) -> Start {
        let root =
            |path: &PathBuf| Root { path: path.display().to_string(), is_there: path.is_dir() };
        Start { folders: self.folders.iter().map(root).collect(), kept: self.known() }
    }

    fn path_of(&self, at: &At) -> Result<String, Unseen> {
        match at {
            At::Path(path) => Ok(plain_path(path).into_owned()),
            At::Repository { environment, name, directory, object, form } => {
                let folder = self.repository(environment, name)?;
                Ok(format!("{folder}/{directory}/{object}.{}", form.extension()))
            }
            At::Project { environment, name, file } => {
                let home = self.project(environment, name)?;
                let file = file.strip_prefix("${PROJECT_HOME}/").unwrap_or(file);
                Ok(format!("{home}/{file}"))
            }
        }
    }

    fn file(&self, path: &str) -> Result<File, Unseen> {
        let opened = self.open(path, false)?;
        let real = opened.real.display().to_string();
        let folder = opened.real.parent().unwrap_or(Path::new("/"));
        let (shown, project) =
            (folder.display().to_string(), self.project_of(folder, &opened.within));
        let repository = self.repository_of(&opened.real);
        let place = Place {
            folder: &shown,
            repository: repository.as_deref(),
            project: project.as_deref(),
        };
        read_file(opened, real, place)
    }

    /// The folder above that is a project of Hop.
    fn project_of(&self, folder: &Path, within: &Path) -> Option<String> {
        let above = folder.ancestors().take(ABOVE_MAX).take_while(|dir| dir.starts_with(within));
        let mut homes = above.filter(|dir| dir.join(PROJECT_FILE).is_file());
        homes.next().map(|home| home.display().to_string())
    }

    /// Opens what may be looked at, and nothing else.
    fn open(&self, path: &str, folder: bool) -> Result<Opened, Unseen> {
        let plain = normal(path).filter(|path| path.len() <= PATH_MAX && !path.contains('\0'));
        let plain = PathBuf::from(plain.ok_or_else(|| Unseen::Outside(short(path)))?);
        // It may show repositories alone.
        if self.folders.is_empty() {
            return Err(Unseen::NoFolders);
        }
        open_in(&plain, (path, folder), |path| self.within(path))
    }

    /// The folder of ours that holds the path, as it is named or without its links.
    fn within(&self, path: &Path) -> Option<PathBuf> {
        let real = |path: &PathBuf| path.canonicalize().ok();
        let closed = self.closed.iter().flat_map(|own| [Some(own.clone()), real(own)]).flatten();
        if closed.into_iter().any(|own| path.starts_with(own)) {
            return None;
        }
        let folders = self.folders.iter().flat_map(|it| [Some(it.clone()), real(it)]).flatten();
        folders.into_iter().find(|folder| path.starts_with(folder))
    }
}

/// What is in a folder that may be looked at, under the name that people have for it, and nothing else.
fn open_in(
    plain: &Path,
    (path, folder): (&str, bool),
    within: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<Opened, Unseen> {
    let outside = || Unseen::Outside(short(path));
    // Of what is elsewhere it is not even said whether it is there.
    within(plain).ok_or_else(outside)?;
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unseen::Missing(short(path)),
        ErrorKind::NotADirectory if folder => Unseen::NoFolder(short(path)),
        ErrorKind::NotADirectory => Unseen::Missing(short(path)),
        _ => system(error),
    };
    let real = plain.canonicalize().map_err(failed)?;
    within(&real).ok_or_else(outside)?;
    // A pipe must not hold us.
    let mut flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    if folder {
        flags |= libc::O_DIRECTORY;
    }
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&real).map_err(failed)?;
    let real = std::fs::read_link(of_descriptor(&file)).map_err(system)?;
    let within = within(&real).ok_or_else(outside)?;
    Ok(Opened { file, real, within })
}

/// Of what was opened; `real` is its path for people.
fn read_file(opened: Opened, real: String, place: Place) -> Result<File, Unseen> {
    let meta = opened.file.metadata().map_err(system)?;
    if !meta.is_file() || Form::of_file(&real).is_none() {
        return Err(Unseen::NoFile(short(&real)));
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(Unseen::TooLarge(meta.len()));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    opened.file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(system)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut drawn = drawn::read(&text, place).map_err(|why| Unseen::Garbage(short(&why)))?;
    if drawn.name.is_empty() {
        let stem = opened.real.file_stem().unwrap_or_default();
        drawn.name = short(&stem.to_string_lossy());
    }
    let changed_ms = changed_ms(&meta);
    Ok(File { path: real, bytes: meta.len(), changed_ms, drawn, copied: None })
}

fn of_descriptor(file: &std::fs::File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn changed_ms(meta: &std::fs::Metadata) -> Millis {
    let since = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(0))
}

fn system(error: std::io::Error) -> Unseen {
    Unseen::System(short(&error.to_string()))
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(WORDS_MAX)].to_owned()
}
