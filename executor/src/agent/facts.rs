//! How the host is: processor, memory, disk, load, and the programs found on the `PATH` of jobs.
//!
//! Gathered every `timing.facts_ms` and told with the next answer. No program is run for it:
//! versions are read off names and `release` files.

use super::link::SupervisorLink;
use super::servers::Servers;
use crate::config::Config;
use crate::environment::Environments;
use crate::services;
use shared::wire::{HostFacts, Named, Refused};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sysinfo::System;

/// What people ask for when they place a job.
const PROGRAMS: &[&str] = &[
    "sh",
    "bash",
    "awk",
    "perl",
    "python3",
    "java",
    "node",
    "Rscript",
    "kitchen.sh",
    "pan.sh",
    "hop-run.sh",
    "flink",
    "spark-submit",
    "hive",
    "hadoop",
    "mysql",
    "psql",
    "sqlite3",
    "datax.py",
    "seatunnel.sh",
    "curl",
];
/// Programs come and go seldom: looked for at every so many-th gathering.
const LOOK_EVERY: u32 = 30;

#[derive(Clone, Debug)]
pub struct Facts {
    shared: Arc<Mutex<Latest>>,
    data: Arc<PathBuf>,
    /// Names of what `hcndc-executor services` is to keep running.
    services: Arc<Vec<String>>,
    servers: Servers,
    link: SupervisorLink,
}

#[derive(Debug, Default)]
struct Latest {
    system: Option<System>,
    facts: HostFacts,
    /// Gathered since they were last told.
    fresh: bool,
}

impl Facts {
    /// Gathers for as long as the process lives.
    pub fn gather(config: &Config, link: SupervisorLink) -> Facts {
        let system = System::new().inspect_err(|error| tracing::warn!("host facts: {error}")).ok();
        let latest = Latest { system, ..Latest::default() };
        let shared = Arc::new(Mutex::new(latest));
        let services = Arc::new(services::names(config));
        let (data, servers) = (Arc::new(config.data.clone()), Servers::watch(config));
        let facts = Facts { shared, data, services, servers, link };
        let every = Duration::from_millis(u64::try_from(config.timing.facts_ms).unwrap_or(10_000));
        let (gathering, path) = (facts.clone(), config.jobs.path.clone());
        let named = Environments::new(config);
        shared::tasks::spawn("host facts", async move {
            for turn in 0_u32.. {
                let look = || (environments(&path), named.told());
                let found = turn.is_multiple_of(LOOK_EVERY).then(look);
                gathering.sample(found).await;
                tokio::time::sleep(every).await;
            }
        });
        facts
    }

    /// What was gathered since it was last told; whatever there is if `anyway`.
    pub fn news(&self, anyway: bool) -> Option<HostFacts> {
        let mut latest = self.lock();
        let known = !latest.facts.version.is_empty();
        let tell = known && (latest.fresh || anyway);
        latest.fresh &= !tell;
        tell.then(|| latest.facts.clone())
    }

    /// # Errors
    /// The supervisor does not answer.
    pub async fn now(&self) -> Result<HostFacts, Refused> {
        self.link.status().await?;
        self.sample(None).await;
        Ok(self.lock().facts.clone())
    }

    async fn sample(&self, found: Option<(BTreeMap<String, String>, BTreeMap<String, Named>)>) {
        let status = self.link.status().await.ok();
        let services = services::told::read(&self.data, &self.services);
        let mut latest = self.lock();
        if let Some(status) = status {
            latest.facts.since_ms = status.since_ms;
            latest.facts.running = status.running;
        }
        if let Some((programs, named)) = found {
            (latest.facts.environments, latest.facts.named) = (programs, named);
        }
        latest.facts.services = services;
        latest.facts.servers = self.servers.told();
        latest.look(&self.data);
        latest.fresh = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    fn look(&mut self, data: &Path) {
        let facts = &mut self.facts;
        facts.version = env!("CARGO_PKG_VERSION").into();
        facts.os = System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.into());
        facts.hostname = System::host_name().unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        facts.cores = u32::try_from(cores).unwrap_or(u32::MAX);
        if let Ok(load) = System::load_average() {
            #[expect(clippy::cast_possible_truncation, reason = "a load has few digits")]
            let one = load.one as f32;
            facts.load_1 = one;
        }
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            facts.cpu_percent = system.global_cpu_usage();
            facts.memory_total = system.total_memory();
            facts.memory_used = system.used_memory();
        }
        if let Some((total, free)) = crate::process::disk_of(data) {
            facts.disk_total = total;
            facts.disk_used = total.saturating_sub(free);
        }
    }
}

/// Programs of [`PROGRAMS`] on that `PATH`, each with its version, or where it is.
pub fn environments(path: &str) -> BTreeMap<String, String> {
    let find = |name: &&str| {
        let found = path.split(':').map(|dir| Path::new(dir).join(name)).find(|at| at.is_file())?;
        let version = version_of(name, &found);
        Some(((*name).to_owned(), version.unwrap_or_else(|| found.display().to_string())))
    };
    PROGRAMS.iter().filter_map(find).collect()
}

fn version_of(name: &str, found: &Path) -> Option<String> {
    let real = std::fs::canonicalize(found).ok()?;
    if name == "java" {
        return crate::environment::java_version(real.parent()?.parent()?);
    }
    // python3 -> python3.11
    let file = real.file_name()?.to_str()?;
    let rest = file.strip_prefix(name.trim_end_matches(|c: char| c.is_ascii_digit()))?;
    let version = rest.trim_start_matches('-');
    let numbers = version.contains('.') && version.starts_with(|c: char| c.is_ascii_digit());
    numbers.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_without_running_them() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("jdk");
        std::fs::create_dir_all(home.join("bin")).unwrap();
        for file in ["bin/java", "bin/python3.12", "bin/bash"] {
            std::fs::write(home.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("python3.12", home.join("bin/python3")).unwrap();
        std::fs::write(home.join("release"), "OS=\"x\"\nJAVA_VERSION=\"17.0.15\"\n").unwrap();
        let bin = home.join("bin").display().to_string();
        let found = environments(&format!("/nowhere:{bin}"));
        assert_eq!(found["java"], "17.0.15");
        assert_eq!(found["python3"], "3.12");
        assert_eq!(found["bash"], format!("{bin}/bash"));
        assert_eq!(found.len(), 3);
    }
}
