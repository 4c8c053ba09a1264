//! `[services.NAME]` of `executor.toml`.

use crate::warm;
use anyhow::ensure;
use serde::Deserialize;
use shared::ids::Millis;
use shared::kind::check::{is_environment, is_variable};
use shared::wire::{Limits, SERVICES_MAX, Work};
use std::collections::BTreeMap;
use std::path::PathBuf;

const ARGV_MAX: usize = 200;
const VARS_MAX: usize = 100;
const MEMORY_MIB_MIN: u32 = 16;
const GRACE_S_MAX: u32 = 600;

/// One that is kept running.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// The program and its arguments; never text for a shell.
    pub argv: Vec<String>,
    /// A named environment of this host; empty: the fixed one alone.
    pub environment: String,
    pub vars: BTreeMap<String, String>,
    /// Empty: one of its own.
    pub dir: PathBuf,
    /// As of jobs: `jobs.users`; empty: `jobs.user`.
    pub user: String,
    /// Of each of its processes, what it writes to; 0: no limit.
    pub memory_mib: u32,
    /// From TERM to KILL.
    pub grace_s: u32,
}

impl Default for Service {
    fn default() -> Service {
        Service {
            argv: Vec::new(),
            environment: String::new(),
            vars: BTreeMap::new(),
            dir: PathBuf::new(),
            user: String::new(),
            memory_mib: 0,
            grace_s: 10,
        }
    }
}

impl Service {
    /// The same as of a job: so it is started by the same rules.
    pub fn work(&self) -> Work {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let memory_mib = Some(self.memory_mib).filter(|mib| *mib > 0);
        Work {
            argv: self.argv.clone(),
            env: self.vars.clone(),
            dir: self.dir.display().to_string(),
            user: given(&self.user),
            limits: Limits { memory_mib, ..Limits::default() },
            environment: given(&self.environment),
            ..Work::default()
        }
    }

    pub fn grace_ms(&self) -> Millis {
        Millis::from(self.grace_s) * 1_000
    }

    fn check(&self, name: &str) -> anyhow::Result<()> {
        let at = format!("services.{name}");
        ensure!(name != warm::defined::NAME, "{at}: the warm engine has this name: write [warm]");
        ensure!(is_environment(name), "{at}: a name is letters, digits, _ - and ., at most 40");
        let named = self.argv.first().is_some_and(|program| !program.is_empty());
        ensure!(
            named && self.argv.len() <= ARGV_MAX,
            "{at}.argv: a program and its arguments are expected, at most {ARGV_MAX}"
        );
        ensure!(
            self.argv.iter().chain(self.vars.values()).all(|text| !text.contains('\0')),
            "{at}: a zero byte in argv or vars"
        );
        ensure!(
            self.dir.as_os_str().is_empty() || self.dir.is_absolute(),
            "{at}.dir: {} is no absolute path",
            self.dir.display()
        );
        ensure!(self.vars.len() <= VARS_MAX, "{at}.vars: at most {VARS_MAX} variables");
        let wrong = |name: &&String| !is_variable(name) || name.starts_with("HCNDC_");
        if let Some(wrong) = self.vars.keys().find(wrong) {
            anyhow::bail!("{at}.vars.{wrong}: no name of a variable, or one of HCNDC's own");
        }
        ensure!(
            self.memory_mib == 0 || self.memory_mib >= MEMORY_MIB_MIN,
            "{at}.memory_mib: {MEMORY_MIB_MIN} or more, or 0 for no limit"
        );
        ensure!(self.grace_s <= GRACE_S_MAX, "{at}.grace_s: at most {GRACE_S_MAX}");
        Ok(())
    }
}

/// # Errors
/// Names the key and what is expected.
pub(crate) fn check(services: &BTreeMap<String, Service>) -> anyhow::Result<()> {
    ensure!(services.len() <= SERVICES_MAX, "services: at most {SERVICES_MAX}");
    services.iter().try_for_each(|(name, service)| service.check(name))
}
