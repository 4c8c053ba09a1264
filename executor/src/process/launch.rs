//! From a job's work to the plan of a process: user, directory, environment, program.
//!
//! What is missing is found out here, in words for people, before a process is there. Called by the
//! threads that spawn.

use super::account::{Account, Accounts};
use super::limits::{self, Bounds, Controllers, Resource};
use super::mark::{self, Mark};
use super::sys::{Plan, Step, User};
use crate::config::{self, Config, Jobs};
use crate::environment::Environments;
use crate::warm::defined::Warm;
use serde::Serialize;
use shared::etl::Family;
use shared::wire::Work;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// Where our own one finds what it is to do, as JSON: it holds values of parameters, and a command line is for all to
/// read.
pub const ABOUT: &str = "HCNDC_ABOUT";
/// Bytes of the words of a refusal: a thousand of them must fit a frame.
pub const WORDS_MAX: usize = 160;

/// What a process is started from; [`super::sys::Plan`] adds its files.
#[derive(Debug)]
pub struct Launch {
    pub program: CString,
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub dir: CString,
    pub user: Option<User>,
}

impl Launch {
    /// With its standard input, output and error; without a mark and a group of its own.
    pub fn with<'a>(
        self,
        [stdin, out, err]: [BorrowedFd<'a>; 3],
        (umask, limits): (u32, Vec<Resource>),
    ) -> Plan<'a> {
        let Launch { program, argv, env, dir, user } = self;
        Plan { program, argv, env, dir, stdin, out, err, group: None, umask, limits, mark: 0, user }
    }
}

/// What all jobs of a host have in common.
#[derive(Clone, Debug)]
pub struct Common {
    jobs: Jobs,
    limits: config::Limits,
    umask: u32,
    accounts: Accounts,
    environments: Environments,
    warm: Option<Lent>,
    /// Where class-data archives of Hop are, each user's in a folder of its own.
    archives: Option<PathBuf>,
}

/// The warm engine of this host: jobs of its engine, in its environment, may go there.
#[derive(Clone, Debug)]
struct Lent {
    family: Family,
    environment: String,
    socket: PathBuf,
}

impl Common {
    /// # Errors
    /// A value of the configuration cannot be.
    pub fn new(config: &Config) -> anyhow::Result<Common> {
        let jobs = config.jobs.clone();
        let (accounts, umask) = (Accounts::new(&jobs)?, jobs.umask_bits()?);
        let environments = Environments::new(config);
        let warm = config.warm.family().map(|family| Lent {
            family,
            environment: config.warm.environment.clone(),
            socket: Warm::socket(&config.data),
        });
        let archives = config.cold.place(&config.data);
        let limits = config.limits.clone();
        Ok(Common { jobs, limits, umask, accounts, environments, warm, archives })
    }

    pub fn umask(&self) -> u32 {
        self.umask
    }

    /// # Errors
    /// What the work asks for cannot be held, in words for people.
    pub fn bounds(
        &self,
        work: &Work,
        user: Option<&User>,
        controllers: Controllers,
    ) -> Result<Bounds, String> {
        let root = match user {
            Some(user) => user.uid == 0,
            None => nix::unistd::geteuid().is_root(),
        };
        limits::bounds(&self.limits, &work.limits, controllers, root)
    }

    /// `own_dir` makes the directory of a job that names none.
    ///
    /// # Errors
    /// What is missing or cannot be, in words for people.
    pub fn launch(
        &self,
        work: &Work,
        own_dir: impl FnOnce() -> io::Result<PathBuf>,
        mark: Mark,
    ) -> Result<Launch, String> {
        let account = self.account(work)?;
        let dir = directory(work, own_dir, account.user.as_ref())?;
        let mut env = self.environment(work, &account, mark)?;
        let c = |what: String, text: &str| {
            CString::new(text).map_err(|_| format!("{what} holds a zero byte"))
        };
        let path = env.get("PATH").map_or("", String::as_str);
        let uid = account.user.as_ref().map(|user| user.uid);
        let Command { program, argv, about } = self.command(work, path, &dir, uid)?;
        env.extend(about.map(|about| (ABOUT.to_owned(), about)));
        let argv = (0..).zip(&argv).map(|(at, text)| c(format!("argument {at}"), text));
        let env = env.iter().map(|(name, value)| c(name.clone(), &format!("{name}={value}")));
        Ok(Launch {
            program: c("the program".into(), &program)?,
            argv: argv.collect::<Result<_, _>>()?,
            env: env.collect::<Result<_, _>>()?,
            dir: c("the directory".into(), &dir.to_string_lossy())?,
            user: account.user,
        })
    }

    /// The program and its arguments; of some kinds it is our own, which starts or submits what is meant.
    fn command(
        &self,
        work: &Work,
        path: &str,
        dir: &Path,
        uid: Option<u32>,
    ) -> Result<Command, String> {
        if let Some(external) = &work.external {
            return own("external", external, []);
        }
        let Some(first) = work.argv.first().filter(|first| !first.is_empty()) else {
            return Err("no program is named: the first argument is empty".into());
        };
        let program = find(first, path, dir)?;
        let Some(etl) = &work.etl else {
            return Ok(Command { program, argv: work.argv.clone(), about: None });
        };
        let rest = work.argv.iter().skip(1).cloned();
        let fits = |lent: &&Lent| {
            etl.warm.is_some()
                && lent.family == etl.engine.family()
                && work.environment.as_deref() == Some(&lent.environment)
        };
        let lent = self.warm.as_ref().filter(fits);
        let warm = lent.map(|lent| ["--warm".to_owned(), lent.socket.display().to_string()]);
        let archives = self.archives.as_ref().filter(|_| etl.engine.family() == Family::Hop);
        let uid = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        let archives = archives.map(|dir| dir.join(uid.to_string()).display().to_string());
        let archives = archives.map(|dir| ["--archives".to_owned(), dir]);
        let given = warm.into_iter().chain(archives).flatten();
        let before = given.chain(["--".to_owned(), program]);
        own("etl", etl, before.chain(rest))
    }

    /// Whose it is.
    ///
    /// # Errors
    /// Why it cannot run as that user, in words for people.
    pub fn account(&self, work: &Work) -> Result<Account, String> {
        self.accounts.find(work.user.as_deref())
    }

    /// Small and fixed, then what is asked for by name, then the work's own; our mark last.
    ///
    /// # Errors
    /// What is missing of it, in words for people.
    pub fn environment(
        &self,
        work: &Work,
        account: &Account,
        mark: Mark,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut env = BTreeMap::new();
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                env.insert(name.to_owned(), value.to_owned());
            }
        };
        put("PATH", &self.jobs.path);
        put("LANG", &self.jobs.lang);
        put("TZ", &self.jobs.tz);
        put("HOME", &account.home);
        put("USER", &account.name);
        put("LOGNAME", &account.name);
        put("SHELL", "/bin/sh");
        if let Some(name) = &work.environment {
            let found = self.environments.find(name)?;
            env.insert("PATH".into(), found.path_before(&self.jobs.path));
            env.extend(found.vars);
        }
        for (name, value) in &work.env {
            if name.is_empty() || name.contains('=') {
                return Err(format!("{name:?} is no name of an environment variable"));
            }
            env.insert(name.clone(), value.clone());
        }
        env.insert(mark::VARIABLE.into(), mark.text());
        Ok(env)
    }
}

#[derive(Debug)]
struct Command {
    program: String,
    argv: Vec<String>,
    /// What our own one is told to do.
    about: Option<String>,
}

/// The one that runs now, wherever its file is by then.
fn own(
    name: &str,
    about: &impl Serialize,
    more: impl IntoIterator<Item = String>,
) -> Result<Command, String> {
    let about = serde_json::to_string(about).map_err(|error| format!("what it runs: {error}"))?;
    let argv = ["hcndc-executor".to_owned(), name.to_owned()].into_iter().chain(more).collect();
    Ok(Command { program: "/proc/self/exe".into(), argv, about: Some(about) })
}

fn directory(
    work: &Work,
    own_dir: impl FnOnce() -> io::Result<PathBuf>,
    user: Option<&User>,
) -> Result<PathBuf, String> {
    if work.dir.is_empty() {
        let failed = |error: io::Error| format!("the job's own directory: {error}");
        let own_dir = own_dir().map_err(failed)?;
        if let Some(User { uid, gid, .. }) = user {
            std::os::unix::fs::chown(&own_dir, Some(*uid), Some(*gid)).map_err(failed)?;
        }
        return Ok(own_dir);
    }
    let dir = PathBuf::from(&work.dir);
    if !dir.is_absolute() {
        return Err(format!("directory {:?}: an absolute path is needed", work.dir));
    }
    match std::fs::metadata(&dir) {
        Ok(found) if found.is_dir() => Ok(dir),
        Ok(_) => Err(format!("directory {:?} is not a directory", work.dir)),
        Err(error) => Err(format!("directory {:?}: {}", work.dir, plain(&error))),
    }
}

/// As `execvp` would find it, but never by way of a shell.
///
/// # Errors
/// It is not there, in words for people.
pub fn find(name: &str, path: &str, dir: &Path) -> Result<String, String> {
    if name.contains('/') {
        let at = dir.join(name);
        return match std::fs::metadata(&at) {
            Ok(_) => Ok(name.to_owned()),
            Err(error) => Err(format!("program {name:?}: {}", plain(&error))),
        };
    }
    use std::os::unix::fs::PermissionsExt;
    let runs = |at: &PathBuf| {
        at.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let mut places = path.split(':').filter(|place| !place.is_empty());
    let found = places.find_map(|place| Some(dir.join(place).join(name)).filter(runs));
    found
        .map(|at| at.to_string_lossy().into_owned())
        .ok_or_else(|| format!("there is no program {name:?} on the PATH {path}"))
}

/// What failed between fork and exec, for people.
pub fn words(step: Step, error: &io::Error, work: &Work) -> String {
    let name = work.argv.first().map_or("", String::as_str);
    let why = plain(error);
    match (step, error.raw_os_error()) {
        (Step::Exec, Some(libc::ENOEXEC)) => {
            format!("program {name:?} is neither a binary nor does it begin with #!")
        }
        (Step::Exec, Some(libc::ENOENT)) => {
            format!("program {name:?}, or the interpreter in its first line, is not there")
        }
        (Step::Exec, Some(libc::EAGAIN)) => {
            "its user has as many processes as its limit allows already".into()
        }
        (Step::Exec, _) => format!("program {name:?}: {why}"),
        (Step::Dir, _) => format!("directory {:?}: {why}", work.dir),
        (Step::User, _) => {
            format!("cannot become user {:?}: {why}", work.user.as_deref().unwrap_or(""))
        }
        (Step::Fork, _) => format!("no more processes can be started: {why}"),
        (Step::Group, _) => format!("cannot join its cgroup: {why}"),
        (Step::Session | Step::Files, _) => format!("the process could not be made ready: {why}"),
    }
}

/// Without the number that Rust adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// At most [`WORDS_MAX`] bytes.
pub fn short(words: &str) -> String {
    let mut end = words.len().min(WORDS_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].to_owned()
}
