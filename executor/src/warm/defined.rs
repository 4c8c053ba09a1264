//! `[warm]` of `executor.toml`.

use crate::services::defined::Service;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use shared::etl::Family;
use shared::kind::check::is_environment;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Its name among the services of its host.
pub const NAME: &str = "warm";
/// Below the data directory.
const SOCKET: &str = "services/warm.dir/desk.sock";
/// A path of a Unix socket holds so many bytes.
const SOCKET_PATH_MAX: usize = 107;
const SLOTS_MAX: u32 = 64;
const QUEUE_MAX: u32 = 1_000;
const HEAP_MIB: (u32, u32) = (64, 1_048_576);
const JAVA_OPTIONS_MAX: usize = 50;
const SECONDS_MAX: u32 = 3_600;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Warm {
    /// `kettle` or `hop`; empty: there is none.
    pub engine: String,
    /// The named environment that it is started in; jobs of another one do not go to it.
    pub environment: String,
    /// As of jobs: `jobs.users`; empty: `jobs.user`. Jobs of other users do not reach it.
    pub user: String,
    /// Runs at once.
    pub slots: u32,
    /// Runs that wait for a slot; one more starts cold.
    pub queue: u32,
    /// Of one JVM; while one is exchanged for the next there are two.
    pub heap_mib: u32,
    /// A JVM that has begun so many runs is exchanged once they have ended.
    pub recycle_after: u32,
    /// From a stop to the end of the JVM, with all that runs in it.
    pub stop_grace_s: u32,
    /// A JVM that is not ready after so long is ended.
    pub start_within_s: u32,
    /// Further options of the JVM.
    pub java_options: Vec<String>,
    /// A Java source that stands between us and the engine, in the place of ours; empty: ours.
    pub adapter: PathBuf,
}

impl Default for Warm {
    fn default() -> Warm {
        Warm {
            engine: String::new(),
            environment: String::new(),
            user: String::new(),
            slots: 4,
            queue: 100,
            heap_mib: 1_024,
            recycle_after: 500,
            stop_grace_s: 10,
            start_within_s: 120,
            java_options: Vec::new(),
            adapter: PathBuf::new(),
        }
    }
}

impl Warm {
    pub fn family(&self) -> Option<Family> {
        match self.engine.as_str() {
            "kettle" => Some(Family::Kettle),
            "hop" => Some(Family::Hop),
            _ => None,
        }
    }

    /// Where it listens.
    pub fn socket(data: &Path) -> PathBuf {
        data.join(SOCKET)
    }

    /// The desk as one of the services of its host; none where there is no warm engine.
    pub fn service(&self) -> Option<Service> {
        self.family()?;
        let about = serde_json::to_string(self).ok()?;
        let argv = ["/proc/self/exe", "warm", "--about", &about].map(str::to_owned);
        Some(Service {
            argv: argv.to_vec(),
            environment: self.environment.clone(),
            user: self.user.clone(),
            vars: BTreeMap::new(),
            ..Service::default()
        })
    }

    /// # Errors
    /// Names the key and what is expected.
    pub(crate) fn check(&self, data: &Path) -> anyhow::Result<()> {
        if self.engine.is_empty() {
            return Ok(());
        }
        self.family().with_context(|| {
            format!("warm.engine: {:?} is neither \"kettle\" nor \"hop\"", self.engine)
        })?;
        ensure!(
            is_environment(&self.environment),
            "warm.environment: the named environment with its PDI_HOME or HOP_HOME is missing"
        );
        let within = |key: &str, value: u32, (least, most): (u32, u32)| {
            ensure!((least..=most).contains(&value), "warm.{key}: {least} to {most} is expected");
            Ok(())
        };
        within("slots", self.slots, (1, SLOTS_MAX))?;
        within("queue", self.queue, (0, QUEUE_MAX))?;
        within("heap_mib", self.heap_mib, HEAP_MIB)?;
        within("recycle_after", self.recycle_after, (1, u32::MAX))?;
        within("stop_grace_s", self.stop_grace_s, (1, SECONDS_MAX))?;
        within("start_within_s", self.start_within_s, (1, SECONDS_MAX))?;
        let options = &self.java_options;
        ensure!(
            options.len() <= JAVA_OPTIONS_MAX && options.iter().all(|one| one.starts_with('-')),
            "warm.java_options: at most {JAVA_OPTIONS_MAX}, each beginning with -"
        );
        let adapter = &self.adapter;
        ensure!(
            adapter.as_os_str().is_empty()
                || adapter.is_absolute() && adapter.extension().is_some_and(|end| end == "java"),
            "warm.adapter: {} is no absolute path of a .java",
            adapter.display()
        );
        let length = Warm::socket(data).as_os_str().len();
        ensure!(
            length <= SOCKET_PATH_MAX,
            "data: the path is too long for the socket of the warm engine ({length} bytes, {SOCKET_PATH_MAX} at most)"
        );
        Ok(())
    }
}
