//! `executor.toml`: every key, its default, what it means. `config/executor.toml` shows them all.

use crate::agent::browse::defined::Browse;
use crate::cold::defined::Cold;
use crate::services::defined::{self, Service};
use crate::warm::defined::Warm;
use anyhow::{Context, ensure};
use serde::Deserialize;
use shared::address::{Target, is_named};
use shared::ids::Millis;
use shared::kind::check::{is_environment, is_variable};
use shared::wire::Timing;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// No program begins with less.
const MEMORY_MIB_MIN: u32 = 16;
const OPEN_FILES_MIN: u32 = 16;
/// Of one environment.
const VARS_MAX: usize = 100;
const NO_LIMIT: &str = ", or 0 for no limit";
/// A path of a Unix socket holds 107 bytes: what is left for the data directory.
const DATA_PATH_MAX: usize = 107 - "/supervisor.sock".len();

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Journal, output of jobs, locks and socket live here; it belongs to one executor.
    pub data: PathBuf,
    /// `address:port` where masters dial.
    pub listen: String,
    /// Holds `ca.pem`, `cert.pem` and `key.pem` as `hcndc-master issue-host` writes them;
    /// empty means `pki` in the data directory.
    pub pki: PathBuf,
    /// As of `RUST_LOG`.
    pub log: String,
    pub jobs: Jobs,
    pub limits: Limits,
    /// What jobs may ask for by name.
    pub environments: BTreeMap<String, Defined>,
    pub homes: Homes,
    pub browse: Browse,
    pub output: Output,
    pub logs: Logs,
    pub timing: Times,
    /// What `hcndc-executor services` keeps running, by name.
    pub services: BTreeMap<String, Service>,
    /// One of them, where it is wanted: a JVM that attempts are lent.
    pub warm: Warm,
    /// What helps those that are lent none.
    pub cold: Cold,
}

/// How children are started.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// Users that a job may run as; the executor must be root for that.
    pub users: Vec<String>,
    /// User of jobs whose project names none; empty means the executor's own, who can read its key.
    pub user: String,
    /// `PATH` of jobs.
    pub path: String,
    /// `LANG` of jobs.
    pub lang: String,
    /// `TZ` of jobs; empty means the machine's own.
    pub tz: String,
    /// Octal, as in `umask 022`.
    pub umask: String,
    /// A writable directory of a cgroup v2 tree; each attempt gets a group in it. Empty means the
    /// supervisor's own group if that is delegated to it; `off` means none.
    pub cgroup: String,
    /// What is left of a job that has succeeded is ended too, unless this is false.
    pub end_leftovers: bool,
}

/// What a job may use that does not ask for its own. 0 means no limit. Where the attempt has a cgroup
/// with the controller it holds for all its processes together, else for each of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Without a cgroup: of what a process may write to.
    pub memory_mib: u32,
    /// Of a process; never 0.
    pub open_files: u32,
    /// Without a cgroup: of all that the job's user runs, and root is not held to it.
    pub processes: u32,
    /// Of a core dump; 0 means that none is written.
    pub core_mib: u32,
    /// Of one file that a process writes, its output included.
    pub file_mib: u32,
    /// Processor time of a process.
    pub cpu_s: u32,
    /// Of one core, 150 is one and a half; with a cgroup only.
    pub cpu_percent: u32,
}

/// One named environment. A variable that ends in `_HOME` must name a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defined {
    pub vars: BTreeMap<String, String>,
    /// Before the `PATH` of jobs.
    pub path: Vec<PathBuf>,
}

/// Where installations are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Homes {
    /// Each directory in these that holds a JDK, Kettle or Hop is an environment by itself.
    pub look_in: Vec<PathBuf>,
}

/// What is kept of the output of jobs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Bytes kept per stream of an attempt; a job may ask for less. Beyond it the middle is cut out.
    pub max_bytes: u64,
    /// Output older than this is deleted, once its attempt has ended.
    pub keep_h: u32,
    /// With less room than this on the disk of the data directory no job is started.
    pub disk_low_bytes: u64,
}

/// Where output is shipped to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// A MongoDB that the masters read too; empty: output stays on this host.
    pub url: String,
    /// Authorities one of which must have signed the store's certificate; empty: as `url` says.
    pub ca: PathBuf,
    /// What the store has goes here so many hours after its attempt has ended.
    pub keep_h: u32,
}

/// All in milliseconds. `fence_ms + grace of kills < lost_ms` must hold, and the master's numbers
/// must be the same.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    pub fence_ms: Millis,
    pub lost_ms: Millis,
    pub memory_ms: Millis,
    pub watch_ms: Millis,
    /// From TERM to KILL for what an earlier life of the supervisor left.
    pub stray_grace_ms: Millis,
    /// How often facts about the host are gathered.
    pub facts_ms: Millis,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: "var/executor".into(),
            listen: "127.0.0.1:7701".into(),
            pki: PathBuf::new(),
            log: "info".into(),
            jobs: Jobs::default(),
            limits: Limits::default(),
            environments: BTreeMap::new(),
            homes: Homes::default(),
            browse: Browse::default(),
            output: Output::default(),
            logs: Logs::default(),
            timing: Times::default(),
            services: BTreeMap::new(),
            warm: Warm::default(),
            cold: Cold::default(),
        }
    }
}

impl Default for Jobs {
    fn default() -> Jobs {
        Jobs {
            users: Vec::new(),
            user: String::new(),
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            lang: "C.UTF-8".into(),
            tz: String::new(),
            umask: "022".into(),
            cgroup: String::new(),
            end_leftovers: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_mib: 0,
            open_files: 65_536,
            processes: 0,
            core_mib: 0,
            file_mib: 0,
            cpu_s: 0,
            cpu_percent: 0,
        }
    }
}

impl Limits {
    fn check(&self) -> anyhow::Result<()> {
        let least = |key: &str, value: u32, least: u32, none: &str| {
            let fits = value >= least || value == 0 && !none.is_empty();
            ensure!(fits, "limits.{key}: {value} lets no program run: {least} or more{none}");
            Ok(())
        };
        least("memory_mib", self.memory_mib, MEMORY_MIB_MIN, NO_LIMIT)?;
        least("open_files", self.open_files, OPEN_FILES_MIN, "")?;
        least("file_mib", self.file_mib, 1, NO_LIMIT)?;
        least("cpu_percent", self.cpu_percent, 1, NO_LIMIT)
    }
}

impl Default for Homes {
    fn default() -> Homes {
        let places = ["/opt", "/usr/local", "/srv", "/usr/share", "/usr/lib/jvm"];
        Homes { look_in: places.map(PathBuf::from).to_vec() }
    }
}

impl Defined {
    fn check(&self, name: &str) -> anyhow::Result<()> {
        ensure!(
            is_environment(name),
            "environments.{name}: a name is letters, digits, _ - and ., at most 40"
        );
        ensure!(self.vars.len() <= VARS_MAX, "environments.{name}: at most {VARS_MAX} variables");
        for (variable, value) in &self.vars {
            let at = format!("environments.{name}.vars.{variable}");
            ensure!(
                is_variable(variable) && !variable.starts_with("HCNDC_") && variable != "PATH",
                "{at}: a variable is letters, digits and _, and neither PATH (write path = [...]) nor \
                 one of HCNDC's own"
            );
            ensure!(!value.contains('\0'), "{at}: it holds a zero byte");
            ensure!(
                !variable.ends_with("_HOME") || Path::new(value).is_absolute(),
                "{at}: {value:?} is no absolute path"
            );
        }
        let relative = self.path.iter().find(|dir| !dir.is_absolute());
        let shown = relative.map(|dir| dir.display().to_string()).unwrap_or_default();
        ensure!(relative.is_none(), "environments.{name}.path: {shown:?} is no absolute path");
        Ok(())
    }
}

impl Default for Output {
    fn default() -> Output {
        Output { max_bytes: 1 << 30, keep_h: 168, disk_low_bytes: 1 << 30 }
    }
}

impl Default for Logs {
    fn default() -> Logs {
        Logs { url: String::new(), ca: PathBuf::new(), keep_h: 24 }
    }
}

impl Default for Times {
    fn default() -> Times {
        let Timing { fence_ms, lost_ms, memory_ms, watch_ms } = Timing::default();
        let (stray_grace_ms, facts_ms) = (5_000, 10_000);
        Times { fence_ms, lost_ms, memory_ms, watch_ms, stray_grace_ms, facts_ms }
    }
}

impl Times {
    pub fn timing(&self) -> Timing {
        let Times { fence_ms, lost_ms, memory_ms, watch_ms, .. } = *self;
        Timing { fence_ms, lost_ms, memory_ms, watch_ms }
    }
}

impl Config {
    /// Reads the file; a relative data directory counts from where the program was started.
    ///
    /// # Errors
    /// It cannot be read, has an unknown key, or a value that cannot be.
    pub fn read(path: &Path) -> anyhow::Result<Config> {
        shared::config::read::<Config>(path)?
            .checked()
            .with_context(|| format!("in the configuration {}", path.display()))
    }

    /// Where jobs run as other users they have no business in the file.
    ///
    /// # Errors
    /// Others than its owner and its group may read or change it.
    pub fn keep_from_jobs(&self, path: &Path) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_or(0, |found| found.permissions().mode());
        ensure!(
            !self.jobs.names_users() || mode & 0o007 == 0,
            "{0} is open to all users (mode {1:o}), jobs included: chmod o-rwx {0}",
            path.display(),
            mode & 0o777
        );
        Ok(())
    }

    /// Makes paths absolute and refuses values that cannot be.
    ///
    /// # Errors
    /// Names the key and what is expected.
    pub fn checked(mut self) -> anyhow::Result<Config> {
        self.data = std::path::absolute(&self.data).context("data: not a path")?;
        let length = self.data.as_os_str().len();
        ensure!(
            length <= DATA_PATH_MAX,
            "data: the path has {length} bytes, {DATA_PATH_MAX} at most fit beside a socket's name"
        );
        if self.pki.as_os_str().is_empty() {
            self.pki = self.data.join("pki");
        }
        if let Err(why) = shared::logs::check(&self.log) {
            anyhow::bail!("log: {:?}: {why}; write for example \"info\"", self.log);
        }
        let times = &self.timing;
        let all = [times.fence_ms, times.lost_ms, times.memory_ms, times.watch_ms];
        ensure!(
            all.into_iter().chain([times.facts_ms]).all(|ms| ms > 0) && times.stray_grace_ms >= 0,
            "timing: every number must be above 0"
        );
        ensure!(
            times.fence_ms < times.lost_ms,
            "timing: fence_ms {} must be below lost_ms {}",
            times.fence_ms,
            times.lost_ms
        );
        let keep_ms = Millis::from(self.output.keep_h) * 3_600_000;
        ensure!(
            keep_ms >= times.memory_ms,
            "output.keep_h: output must be kept as long as attempts are remembered (timing.memory_ms)"
        );
        self.jobs.umask_bits()?;
        if self.ships()
            && let Err(why) = shared::mongo::check(&self.logs.url)
        {
            anyhow::bail!("logs.url: {why}");
        }
        let ca = &self.logs.ca;
        if is_named(ca) {
            ensure!(self.ships(), "logs.ca: there is no logs.url");
            self.logs.ca = std::path::absolute(ca).context("logs.ca: not a path")?;
        }
        self.limits.check()?;
        let pki = std::path::absolute(&self.pki).context("pki: not a path")?;
        self.browse.check(&[&self.data, &pki], &self.jobs)?;
        for (name, defined) in &self.environments {
            defined.check(name)?;
        }
        defined::check(&self.services)?;
        self.warm.check(&self.data)?;
        self.cold.check()?;
        Ok(self)
    }

    /// Output is shipped to a store.
    pub fn ships(&self) -> bool {
        !self.logs.url.is_empty()
    }
}

impl Logs {
    pub fn target(&self) -> Target {
        Target::new("logs", &self.url, &self.ca)
    }
}

impl Jobs {
    /// Whether a job may run as somebody who is not the executor.
    pub fn names_users(&self) -> bool {
        !(self.users.is_empty() && self.user.is_empty())
    }

    /// # Errors
    /// It is not an octal number up to 777.
    pub fn umask_bits(&self) -> anyhow::Result<u32> {
        let bits = u32::from_str_radix(&self.umask, 8).ok().filter(|bits| *bits <= 0o777);
        bits.with_context(|| format!("jobs.umask: {:?} is not like \"022\"", self.umask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/executor.toml");
        let shown = Config::read(&path).unwrap();
        assert_eq!(shown, Config::default().checked().unwrap());
    }

    #[test]
    fn slips_are_refused_with_the_key() {
        for (text, words) in [
            ("datum = 'x'", "datum"),
            ("[jobs]\numask = '9'", "jobs.umask"),
            ("[timing]\nfence_ms = 30000", "fence_ms"),
            ("[output]\nkeep_h = 1", "output.keep_h"),
            ("[logs]\nurl = 'redis://h'", "logs.url"),
            ("[logs]\nca = '/etc/ca.pem'", "logs.ca"),
            (
                "[limits]\nmemory_mib = 3",
                "limits.memory_mib: 3 lets no program run: 16 or more, or 0",
            ),
            ("[limits]\nopen_files = 0", "limits.open_files"),
            ("[limits]\nmemory = 3", "unknown field"),
            ("[browse]\nfolders = ['etl']", "browse.folders: \"etl\" is no absolute path"),
            ("[browse]\nfolders = ['/']", "browse.folders"),
            ("[browse]\nfolders = ['/srv/../etc']", "browse.folders"),
            ("data = '/srv/x'\n[browse]\nfolders = ['/srv/x/pki']", "belongs to the executor"),
            ("[browse]\nrepositories = ['main']", "browse.repositories: \"main\" is not like"),
            ("[browse]\nrepositories = ['a b:main']", "browse.repositories"),
            ("[browse]\nrepositories = ['a:']", "browse.repositories"),
            ("[browse]\nrepositories = ['a:x.ktr']", "browse.repositories"),
            ("[browse]\nrepositories = ['a:b', 'a:b']", "stands there 2 times"),
            ("[browse]\nuser = 'nobody'", "browse.user: \"nobody\" is not on jobs.users"),
            (
                "[browse]\nrepositories = ['a:b']\n[jobs]\nusers = ['etl']",
                "browse.user: jobs of this host run as users of their own",
            ),
            ("[browse]\nread_within_s = 0", "browse.read_within_s"),
            ("[environments.'a b']", "environments.a b: a name is"),
            ("[environments.a]\nvars = { PATH = '/x' }", "environments.a.vars.PATH"),
            ("[environments.a]\nvars = { JAVA_HOME = 'x' }", "no absolute path"),
            ("[environments.a]\npath = ['x']", "environments.a.path"),
            ("[environments.a]\nvar = 1", "unknown field"),
            ("[services.'a/b']\nargv = ['x']", "services.a/b: a name is"),
            ("[services.a]", "services.a.argv"),
            ("[services.a]\nargv = ['x']\ndir = 'y'", "services.a.dir"),
            ("[services.a]\nargv = ['x']\nvars = { HCNDC_A = '1' }", "services.a.vars.HCNDC_A"),
            ("[warm]\nengine = 'x'", "warm.engine"),
            ("[warm]\nengine = 'hop'", "warm.environment"),
            ("[warm]\nengine = 'hop'\nenvironment = 'h'\nslots = 0", "warm.slots"),
            ("[cold]\nload_max = 0.0", "cold.load_max"),
            ("[services.warm]\nargv = ['x']", "services.warm"),
            ("[services.a]\nargv = ['x']\nmemory_mib = 3", "services.a.memory_mib"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let error = format!("{:#}", Config::read(file.path()).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }
}
