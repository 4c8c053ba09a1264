//! One export: a run of `pan.sh -exprep` in a named environment, as the user of its jobs, in a session and a folder of
//! its own.

use super::told::Told;
use crate::agent::browse::defined::Browse;
use crate::config::{self, Config, Limits};
use crate::etl::pump::hidden;
use crate::etl::ready::{self, Exporting};
use crate::process::clear::clear;
use crate::process::disk_of;
use crate::process::launch::{self, Common};
use crate::process::limits::Controllers;
use crate::process::mark::HostMark;
use crate::process::sys::{self, Plan, Stack};
use crate::spool::layout::{private_dir, write_private};
use crate::supervise::strays;
use anyhow::{Context, bail, ensure};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::clock::Clock;
use shared::etl::Engine;
use shared::etl::browse::WORDS_MAX;
use shared::etl::outcome;
use shared::ids::Millis;
use shared::wire::Work;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What it may say.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Beside what jobs must have on the disk.
const DISK_MIN: u64 = 512 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What does not end by SIGKILL is not waited for much longer.
const GONE_WITHIN_MS: Millis = 5_000;
/// What an earlier life has left, and does not end either.
const SWEPT_WITHIN_MS: Millis = 60_000;
/// Of a line of its log.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// Who asked for an end. It may be asked at any time, and then is asked until all has ended.
pub(super) trait Stop {
    fn is_asked(&self) -> bool;
}

/// What Kettle has written, and what it said although it has ended well.
#[derive(Debug)]
pub(super) struct Exported {
    /// No more of it than there may be: whoever else is its user could go on writing.
    pub(super) file: Take<File>,
    pub(super) error: String,
}

/// A run, made ready.
#[derive(Debug)]
struct Ready {
    work: Work,
    secrets: Vec<String>,
    uid: u32,
    gid: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Bench {
    common: Common,
    browse: Browse,
    disk_low_bytes: u64,
    /// Of all copies.
    dir: PathBuf,
    /// Of the run that is there now, and of its user.
    own: PathBuf,
    mark: HostMark,
    null: File,
    clock: Clock,
}

impl Bench {
    /// Ends what an earlier life has left.
    ///
    /// # Errors
    /// Its folder cannot be made, a value of the configuration cannot be, or it is told to stop.
    pub(super) fn new(config: &Config, dir: &Path, stop: &impl Stop) -> anyhow::Result<Bench> {
        private_dir(dir, 0o711)?;
        let mark = HostMark::of(dir)?;
        let own = dir.join("export");
        let clock = Clock::system();
        let until = clock.mono_ms() + SWEPT_WITHIN_MS;
        strays::end_all(mark, None, 0, || stop.is_asked() || clock.mono_ms() > until)
            .context("what an earlier agent has started to read a repository does not end")?;
        clear(&own, dir).with_context(|| own.display().to_string())?;
        // Limits of jobs are none of its; what it writes has one here.
        let file_mib = config.browse.export_mib;
        let limits = Limits { file_mib, ..config::Limits::default() };
        let common = Common::new(&Config { limits, ..config.clone() })?;
        let browse = config.browse.clone();
        let null = File::open("/dev/null").context("/dev/null")?;
        let (dir, disk_low_bytes) = (dir.to_owned(), config.output.disk_low_bytes);
        Ok(Bench { common, browse, disk_low_bytes, dir, own, mark, null, clock })
    }

    /// # Errors
    /// Why there is no room for it.
    pub(super) fn has_room(&self) -> anyhow::Result<()> {
        let Some((_, free)) = disk_of(&self.dir) else { return Ok(()) };
        let least = self.disk_low_bytes.saturating_add(DISK_MIN);
        ensure!(
            free >= least,
            "only {free} bytes of the disk are free, and {least} must be (output.disk_low_bytes and what a copy needs)"
        );
        Ok(())
    }

    /// # Errors
    /// Too much time has gone by since then.
    pub(super) fn in_time(&self, begun: Millis, what: &str) -> anyhow::Result<()> {
        let within_s = self.browse.read_within_s;
        ensure!(
            self.clock.mono_ms() - begun <= i64::from(within_s) * 1_000,
            "it took longer than {within_s} s (browse.read_within_s) {what}"
        );
        Ok(())
    }

    /// Has it exported; what was exported before is gone.
    ///
    /// # Errors
    /// In words for people, its password not in them.
    pub(super) fn export(
        &self,
        environment: &str,
        name: &str,
        stack: &mut Stack,
        stop: &impl Stop,
    ) -> anyhow::Result<Exported> {
        self.has_room()?;
        let ready = self.ready(environment, name).map_err(anyhow::Error::msg)?;
        let mut log = self.prepare(&ready)?;
        let pid = self.spawn(&ready, &log, stack).map_err(anyhow::Error::msg)?;
        let ended = self.until_over(pid, &log, stop);
        // With all that it has started.
        let until = self.clock.mono_ms() + GONE_WITHIN_MS;
        strays::end_all(self.mark, None, 0, || self.clock.mono_ms() > until)
            .context("pan.sh, or a process that it has started, does not end")?;
        if ended.is_err() {
            let _ = waitpid(Pid::from_raw(pid), None);
        }
        let said = self.said(&mut log, &ready.secrets);
        let found = self.exported(&ready);
        let mib = self.browse.export_mib;
        let is_cut = found.as_ref().is_ok_and(|(_, bytes)| *bytes >= u64::from(mib) << 20);
        ensure!(
            !is_cut,
            "its export is larger than the {mib} MiB that are read (browse.export_mib)"
        );
        match ended? {
            WaitStatus::Exited(_, 0) => {}
            WaitStatus::Exited(_, code) => {
                let means = outcome::means(Engine::Pan, code).unwrap_or("it has failed");
                let why = if said.is_empty() { means } else { &said };
                bail!("pan.sh has ended with {code}: {why}")
            }
            WaitStatus::Signaled(_, signal, _) => bail!("pan.sh was ended by {signal}"),
            other => bail!("pan.sh has ended: {other:?}"),
        }
        // By version it ends with 0 though it knows no such repository.
        let (file, _) = found.with_context(|| match said.is_empty() {
            true => format!("pan.sh has exported nothing of {name:?}"),
            false => format!("pan.sh has exported nothing of {name:?}: {said}"),
        })?;
        Ok(Exported { file: file.take(u64::from(mib) << 20), error: short(&said) })
    }

    pub(super) fn clean(&self) {
        if let Err(error) = self.cleared() {
            tracing::warn!("{error:#}");
        }
    }

    /// # Errors
    /// What was exported before is still there.
    fn cleared(&self) -> anyhow::Result<()> {
        clear(&self.own, &self.dir).with_context(|| format!("{} stays", self.own.display()))
    }

    /// As whom Kettle logs in; empty: as nobody.
    pub(super) fn user(&self, environment: &str) -> String {
        let work = Work { environment: Some(environment.to_owned()), ..Work::default() };
        let vars = self
            .common
            .account(&work)
            .and_then(|account| self.common.environment(&work, &account, self.mark.attempt(1)));
        short(&vars.ok().and_then(|mut vars| vars.remove("KETTLE_USER")).unwrap_or_default())
    }

    fn ready(&self, environment: &str, name: &str) -> Result<Ready, String> {
        let user = Some(self.browse.user.clone()).filter(|user| !user.is_empty());
        let environment = Some(environment.to_owned());
        let program = Engine::Pan.program();
        let argv = vec![program.to_owned(), format!("-rep={name}")];
        let mut work = Work { argv, environment, user, ..Work::default() };
        let account = self.common.account(&work)?;
        let vars = self.common.environment(&work, &account, self.mark.attempt(1))?;
        let Exporting { set, secrets } = ready::exporting(|name| vars.get(name).cloned())?;
        work.env.extend(set);
        if let Some(user) = vars.get("KETTLE_USER").filter(|user| !user.is_empty()) {
            work.argv.push(format!("-user={user}"));
        }
        work.argv.push(format!("-exprep={}", self.file().display()));
        work.argv.push("-level=Basic".to_owned());
        let uid = account.user.as_ref().map(|user| user.uid);
        let uid = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        Ok(Ready { work, secrets, uid, gid: account.user.map(|user| user.gid) })
    }

    fn file(&self) -> PathBuf {
        self.own.join("repository.xml")
    }

    /// A folder that is its user's alone, and a log that has no name: a JVM begins it with the password that it is given.
    fn prepare(&self, ready: &Ready) -> anyhow::Result<File> {
        // It would be taken for what is exported now.
        self.cleared()?;
        private_dir(&self.own, 0o700)?;
        if ready.gid.is_some() {
            chown(&self.own, Some(ready.uid), ready.gid).context("a folder of its own")?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let path = self.dir.join("log.part");
        clear(&path, &self.dir)?;
        let log = options.open(&path).with_context(|| path.display().to_string());
        clear(&path, &self.dir)?;
        log
    }

    /// The first error in its log, in words; empty: there is none.
    fn said(&self, log: &mut File, secrets: &[String]) -> String {
        let mut told = Told::default();
        let mut line = Vec::new();
        // Without it there is nothing to be said.
        let _ = log.seek(SeekFrom::Start(0));
        let mut lines = BufReader::new(log.take(LOG_BYTES_MAX));
        while lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|n| n > 0)
        {
            let text = String::from_utf8_lossy(&line);
            told.line(&hidden(text.trim_end_matches(['\n', '\r']), secrets));
            line.clear();
        }
        let text = told.end();
        if let Err(error) = write_private(&self.dir.join("last.log"), &text) {
            tracing::warn!("last.log of a repository: {error}");
        }
        told.error()
    }

    fn spawn(&self, ready: &Ready, log: &File, stack: &mut Stack) -> Result<i32, String> {
        let mark = self.mark.attempt(1);
        let plan = self.common.launch(&ready.work, || Ok(self.own.clone()), mark)?;
        let user = plan.user.as_ref();
        let bounds = self.common.bounds(&ready.work, user, Controllers::default())?;
        let files = [self.null.as_fd(), log.as_fd(), log.as_fd()];
        // What it exports holds passwords, whatever the umask of jobs is.
        let plan = Plan { mark: mark.limit(), ..plan.with(files, (0o077, bounds.resources)) };
        sys::spawn(&plan, stack).map_err(|(step, error)| launch::words(step, &error, &ready.work))
    }

    fn until_over(&self, pid: i32, log: &File, stop: &impl Stop) -> anyhow::Result<WaitStatus> {
        let begun = self.clock.mono_ms();
        loop {
            match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {}
                ended => return ended.context("its end is not known"),
            }
            ensure!(!stop.is_asked(), "the agent of this host has ended meanwhile");
            self.in_time(
                begun,
                "to export it: pan.sh waits for a password or a browser, or needs more",
            )?;
            let said = log.metadata().map_or(0, |found| found.len());
            ensure!(
                said <= LOG_BYTES_MAX,
                "pan.sh has said more than {LOG_BYTES_MAX} bytes, so it was ended"
            );
            self.has_room()?;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Its folder was its user's: there may be anything in it.
    fn exported(&self, ready: &Ready) -> anyhow::Result<(File, u64)> {
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(self.file())?;
        let found = file.metadata()?;
        ensure!(found.is_file() && found.uid() == ready.uid, "what is there is no file of its own");
        Ok((file, found.len()))
    }
}

pub(super) fn short(text: &str) -> String {
    text[..text.floor_char_boundary(WORDS_MAX)].to_owned()
}
