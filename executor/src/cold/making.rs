//! One archive: a run of a tiny pipeline of ours by the install's own script, as the user whose runs are to have it.

use super::kept::{self, Key};
use super::{given, read};
use crate::config::{self, Config, Limits};
use crate::install::Install;
use crate::process::clear::clear;
use crate::process::launch::{self, Common};
use crate::process::limits::Controllers;
use crate::process::mark::HostMark;
use crate::process::sys::{self, Plan, Stack};
use crate::spool::layout::private_dir;
use crate::supervise::strays;
use anyhow::Context;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::clock::Clock;
use shared::etl::{Engine, Family};
use shared::ids::Millis;
use shared::wire::Work;
use std::fs::{File, OpenOptions, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

/// The machine may have other things to do.
const MADE_WITHIN_MS: Millis = 180_000;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What is shorter is none.
const BYTES_MIN: u64 = 4 * 1024;
const MIB_MAX: u32 = 256;
const HEAP: &str = "-Xmx512m";
const WORDS_MAX: usize = 200;
const LOG_BYTES_MAX: u64 = 64 * 1024;
/// Our own pipeline, and what Hop must know to run it.
const PIPELINE: &str = include_str!("one.hpl");
const RUN_CONFIGURATION: &str = include_str!("local.json");

/// Whose runs want one, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wish {
    pub(super) environment: Option<String>,
    pub(super) user: Option<String>,
}

/// What is to be made.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) key: Key,
    pub(super) uid: u32,
    work: Work,
    dir: PathBuf,
    /// For people.
    pub(super) what: String,
}

#[derive(Debug)]
pub(super) enum Failed {
    /// We are to end.
    Stopped,
    Why(String),
}

pub(super) struct Bench {
    common: Common,
    /// Of all that is here.
    dir: PathBuf,
    mark: HostMark,
    null: File,
    clock: Clock,
}

impl Bench {
    /// Ends what an earlier life has left.
    ///
    /// # Errors
    /// Its folder cannot be made, or a value of the configuration cannot be.
    pub(super) fn new(config: &Config, dir: PathBuf) -> anyhow::Result<Bench> {
        private_dir(&dir, 0o711)?;
        let mark = HostMark::of(&dir)?;
        strays::end_all(mark, None, 0, || false)?;
        // Limits of jobs are none of its; a file that has no end has one here.
        let limits = Limits { file_mib: MIB_MAX, ..config::Limits::default() };
        let common = Common::new(&Config { limits, ..config.clone() })?;
        let null = File::open("/dev/null").context("/dev/null")?;
        Ok(Bench { common, dir, mark, null, clock: Clock::system() })
    }

    /// What would have to be made; none where it is there already.
    ///
    /// # Errors
    /// Why no run would take it, in words.
    pub(super) fn look(&self, wish: &Wish) -> Result<Option<Wanted>, String> {
        let mut work = Work {
            argv: vec![Engine::Hop.program().to_owned()],
            environment: wish.environment.clone(),
            user: wish.user.clone(),
            ..Work::default()
        };
        let account = self.common.account(&work)?;
        let vars = self.common.environment(&work, &account, self.mark.attempt(1))?;
        let get = |name: &str| vars.get(name).cloned();
        let path = get("PATH").unwrap_or_default();
        let script = PathBuf::from(launch::find(&work.argv[0], &path, &self.dir)?);
        let text = read(&script)?;
        given::base(&text, get)?;
        let install = Install::of(Family::Hop, given::home(&script), get);
        let major = given::major(&install.java)?;
        let key = kept::key(&install, &text).map_err(|error| format!("{error:#}"))?;
        let uid = account.user.map_or(nix::unistd::geteuid().as_raw(), |user| user.uid);
        let dir = self.dir.join(uid.to_string());
        if kept::find(&dir, key).is_some() {
            return Ok(None);
        }
        let own = self.dir.join("hop");
        let shown = |path: PathBuf| path.display().to_string();
        let options = given::making(HEAP, &dir.join("part"), major)?;
        work.argv.extend(["-r", "local", "-l", "BASIC", "-f"].map(str::to_owned));
        work.argv.push(shown(own.join("one.hpl")));
        let mut set = |name: &str, value: String| work.env.insert(name.to_owned(), value);
        set(given::OPTIONS, options);
        set("HOP_CONFIG_FOLDER", shown(own.join("config")));
        set("HOP_AUDIT_FOLDER", shown(dir.join("audit")));
        // A debugger or a port that runs ask for is none of ours.
        for name in given::OF_ALL.into_iter().filter(|name| vars.contains_key(*name)) {
            set(name, String::new());
        }
        let what = format!("{} with {}", install.home.display(), install.java.program);
        Ok(Some(Wanted { key, uid, work, dir, what }))
    }

    /// How long it is; the others of its place are gone then.
    pub(super) fn make(
        &self,
        wanted: &Wanted,
        stack: &mut Stack,
        stop: impl Fn() -> bool,
    ) -> Result<u64, Failed> {
        let made = self.run(wanted, stack, stop).and_then(|()| {
            let length = self.keep(wanted).map_err(|error| format!("{error:#}"));
            length.map_err(Failed::Why)
        });
        for path in kept::old(&wanted.dir, wanted.key) {
            // They are another user's.
            if let Err(error) = clear(&path, &self.dir) {
                tracing::warn!("{} stays: {error}", path.display());
            }
        }
        made
    }

    fn run(
        &self,
        wanted: &Wanted,
        stack: &mut Stack,
        stop: impl Fn() -> bool,
    ) -> Result<(), Failed> {
        let mut log = self.prepare(wanted).map_err(|error| Failed::Why(format!("{error:#}")))?;
        let pid = self.spawn(wanted, &log, stack).map_err(Failed::Why)?;
        let until = self.clock.mono_ms() + MADE_WITHIN_MS;
        let ended = loop {
            match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {}
                ended => break Some(ended),
            }
            if stop() || self.clock.mono_ms() > until {
                break None;
            }
            std::thread::sleep(LOOK_EVERY);
        };
        // With all that it has started.
        let _ = strays::end_all(self.mark, None, 0, || false);
        match ended {
            Some(Ok(WaitStatus::Exited(_, 0))) => Ok(()),
            Some(Ok(WaitStatus::Exited(_, code))) => {
                Err(Failed::Why(format!("hop-run.sh has ended with {code}: {}", last(&mut log))))
            }
            Some(Ok(other)) => Err(Failed::Why(format!("hop-run.sh has ended: {other:?}"))),
            Some(Err(error)) => Err(Failed::Why(format!("its end is not known: {error}"))),
            None => {
                let _ = waitpid(Pid::from_raw(pid), None);
                match stop() {
                    true => Err(Failed::Stopped),
                    false => Err(Failed::Why(format!("it took longer than {MADE_WITHIN_MS} ms"))),
                }
            }
        }
    }

    /// Our pipeline, a folder of its user's own, an empty log.
    fn prepare(&self, wanted: &Wanted) -> anyhow::Result<File> {
        // All may read these: nobody else writes to them.
        let own = self.dir.join("hop");
        let runs = own.join("config/metadata/pipeline-run-configuration");
        for dir in [own.clone(), own.join("config"), own.join("config/metadata"), runs.clone()] {
            private_dir(&dir, 0o755)?;
        }
        for (path, text) in [
            (own.join("one.hpl"), PIPELINE),
            (own.join("config/hop-config.json"), "{}\n"),
            (runs.join("local.json"), RUN_CONFIGURATION),
        ] {
            let written = std::fs::write(&path, text)
                .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o644)));
            written.with_context(|| path.display().to_string())?;
        }
        let dir = &wanted.dir;
        private_dir(dir, 0o700)?;
        if wanted.uid != nix::unistd::geteuid().as_raw() {
            chown(dir, Some(wanted.uid), None).with_context(|| dir.display().to_string())?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let path = self.dir.join("last.log");
        options.open(&path).with_context(|| path.display().to_string())
    }

    fn spawn(&self, wanted: &Wanted, log: &File, stack: &mut Stack) -> Result<i32, String> {
        let mark = self.mark.attempt(1);
        let plan = self.common.launch(&wanted.work, || Ok(wanted.dir.clone()), mark)?;
        let user = plan.user.as_ref();
        let bounds = self.common.bounds(&wanted.work, user, Controllers::default())?;
        let files = [self.null.as_fd(), log.as_fd(), log.as_fd()];
        let limits = (self.common.umask(), bounds.resources);
        let plan = Plan { mark: mark.limit(), ..plan.with(files, limits) };
        let words = |(step, error)| launch::words(step, &error, &wanted.work);
        sys::spawn(&plan, stack).map_err(words)
    }

    /// What was made gets its name when it is whole and on the disk.
    fn keep(&self, wanted: &Wanted) -> anyhow::Result<u64> {
        let part = wanted.dir.join("part");
        let mut options = OpenOptions::new();
        // Its folder is its user's: there may be anything in it.
        let options = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&part).context("no archive was written (see last.log)")?;
        let found = file.metadata()?;
        let fits = BYTES_MIN..=u64::from(MIB_MAX) << 20;
        anyhow::ensure!(
            found.is_file() && fits.contains(&found.len()),
            "{} bytes are no archive",
            found.len()
        );
        file.sync_all().context("it does not reach the disk")?;
        let path = wanted.dir.join(wanted.key.name(found.len()));
        std::fs::rename(&part, &path).with_context(|| path.display().to_string())?;
        Ok(found.len())
    }
}

/// The last line that says something.
fn last(log: &mut File) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    let from = log.metadata().map_or(0, |found| found.len().saturating_sub(LOG_BYTES_MAX));
    let read = log.seek(SeekFrom::Start(from)).and_then(|_| log.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rfind(|line| !line.trim().is_empty() && read.is_ok());
    line.unwrap_or("it has said nothing").chars().take(WORDS_MAX).collect()
}
