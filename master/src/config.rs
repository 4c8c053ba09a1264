//! `config/master.toml`: every key, its default, its check. Read once, at start, by `cli`.
//!
//! Unknown keys are refused with their line. A key that is here stands in `config/master.toml` with
//! its default and one comment, and the other way round (a `tidy` test compares them).

use crate::link::redis;
use serde::{Deserialize, Serialize};
use shared::address::{Target, is_named};
use shared::ids::Millis;
use shared::mongo;
use shared::wire::Timing;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Masters and hosts of one name belong together; it stands in their certificates.
    pub cluster: String,
    /// Where everything is kept that is not in a database.
    pub data: PathBuf,
    pub web: Web,
    pub database: Database,
    pub session: Outside,
    pub bus: Outside,
    pub lease: Outside,
    pub logs: Outside,
    pub dispatch: Dispatching,
    pub timing: Timings,
    pub log: Log,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cluster: "hcndc".into(),
            data: "var/master".into(),
            web: Web::default(),
            database: Database::default(),
            session: Outside::default(),
            bus: Outside::default(),
            lease: Outside::default(),
            logs: Outside::default(),
            dispatch: Dispatching::default(),
            timing: Timings::default(),
            log: Log::default(),
        }
    }
}

/// Pages and API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    pub listen: SocketAddr,
    /// How people reach it, if not by `listen`: `https://…` makes cookies Secure.
    pub url: String,
    /// Times are written in this zone until the browser knows its own.
    pub zone: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<std::net::IpAddr>,
    pub session_idle_s: u32,
    pub session_max_s: u32,
    /// Failed logins of one name or one address within `login_window_s`, before it has to wait.
    pub login_failures_max: u32,
    pub login_window_s: u32,
    pub body_max_bytes: usize,
    /// Of definitions that are applied together.
    pub apply_max_bytes: usize,
    /// Until the head of an answer is there.
    pub timeout_s: u32,
}

impl Default for Web {
    fn default() -> Web {
        Web {
            listen: SocketAddr::from(([127, 0, 0, 1], 2333)),
            url: String::new(),
            zone: "Asia/Shanghai".into(),
            trusted_proxies: Vec::new(),
            session_idle_s: 12 * 3600,
            session_max_s: 7 * 24 * 3600,
            login_failures_max: 8,
            login_window_s: 300,
            body_max_bytes: 1024 * 1024,
            apply_max_bytes: 32 * 1024 * 1024,
            timeout_s: 30,
        }
    }
}

impl Web {
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// Where definitions and run state are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// Empty: `sqlite:` in the data directory.
    pub url: String,
    /// Authorities one of which must have signed the server's certificate; empty: as `url` says.
    pub ca: PathBuf,
}

impl Default for Database {
    fn default() -> Database {
        Database { url: String::new(), ca: PathBuf::new() }
    }
}

/// A server that several masters share; one master needs none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outside {
    /// Empty: in this process.
    pub url: String,
    /// As [`Database::ca`].
    pub ca: PathBuf,
}

impl Outside {
    pub fn target(&self, key: &str) -> Target {
        Target::new(key, &self.url, &self.ca)
    }
}

/// The numbers that master and hosts must agree on (`docs/PROTOCOL.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timings {
    pub fence_ms: Millis,
    pub lost_ms: Millis,
    pub memory_ms: Millis,
    pub watch_ms: Millis,
}

impl Default for Timings {
    fn default() -> Timings {
        let Timing { fence_ms, lost_ms, memory_ms, watch_ms } = Timing::default();
        Timings { fence_ms, lost_ms, memory_ms, watch_ms }
    }
}

impl Timings {
    pub fn wire(&self) -> Timing {
        let Timings { fence_ms, lost_ms, memory_ms, watch_ms } = *self;
        Timing { fence_ms, lost_ms, memory_ms, watch_ms }
    }
}

/// What dispatches may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dispatching {
    /// Seconds between two firings of one dispatch, at least; 0 allows any.
    pub min_interval_s: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// As of `tracing`: `info`, `master=debug,info`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Log {
        Log { filter: "info".into() }
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// It cannot be read, has an unknown key, or a value that cannot be.
    pub fn read(path: &Path) -> anyhow::Result<Config> {
        let config: Config = shared::config::read(path)?;
        config.check()?;
        Ok(config)
    }

    pub fn database_target(&self) -> Target {
        Target::new("database", &self.database_url(), &self.database.ca)
    }

    /// The database's address, with the default filled in.
    pub fn database_url(&self) -> String {
        match self.database.url.is_empty() {
            true => format!("sqlite:{}", self.data.join("hcndc.db").display()),
            false => self.database.url.clone(),
        }
    }

    /// # Errors
    /// A value that cannot be; the message says which key and what it should be.
    pub fn check(&self) -> anyhow::Result<()> {
        let name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        anyhow::ensure!(
            !self.cluster.is_empty() && self.cluster.len() <= 64 && self.cluster.chars().all(name),
            "cluster: {:?} should be 1 to 64 letters, digits, `-`, `_` or `.`",
            self.cluster
        );
        anyhow::ensure!(
            self.web.zone.parse::<chrono_tz::Tz>().is_ok(),
            "web.zone: {:?} is no zone; write for example \"Asia/Shanghai\" or \"UTC\"",
            self.web.zone
        );
        anyhow::ensure!(
            self.web.url.is_empty()
                || self.web.url.starts_with("http://")
                || self.web.url.starts_with("https://"),
            "web.url: {:?} should begin with http:// or https://",
            self.web.url
        );
        self.check_servers()?;
        for (key, value) in [
            ("web.session_idle_s", self.web.session_idle_s),
            ("web.session_max_s", self.web.session_max_s),
            ("web.login_failures_max", self.web.login_failures_max),
            ("web.login_window_s", self.web.login_window_s),
            ("web.timeout_s", self.web.timeout_s),
        ] {
            anyhow::ensure!(value > 0, "{key}: should be more than 0");
        }
        anyhow::ensure!(
            self.web.body_max_bytes >= 4096,
            "web.body_max_bytes: should be 4096 or more"
        );
        anyhow::ensure!(
            self.web.apply_max_bytes >= self.web.body_max_bytes,
            "web.apply_max_bytes: should be web.body_max_bytes or more"
        );
        if let Err(why) = shared::logs::check(&self.log.filter) {
            anyhow::bail!("log.filter: {:?}: {why}; write for example \"info\"", self.log.filter);
        }
        let Timings { fence_ms, lost_ms, memory_ms, watch_ms } = self.timing;
        anyhow::ensure!(
            0 < watch_ms && watch_ms < fence_ms && fence_ms < lost_ms && lost_ms < memory_ms,
            "timing: watch_ms < fence_ms < lost_ms < memory_ms is expected, found {watch_ms}, \
             {fence_ms}, {lost_ms}, {memory_ms}"
        );
        Ok(())
    }

    fn check_servers(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !is_named(&self.database.ca) || self.database.url.starts_with("mysql:"),
            "database.ca: an embedded database has no certificate; database.url names no server"
        );
        for (key, Outside { url, ca }, check) in [
            ("session", &self.session, redis::check as fn(&str) -> Result<(), String>),
            ("bus", &self.bus, redis::check),
            ("lease", &self.lease, mongo::check),
            ("logs", &self.logs, mongo::check),
        ] {
            anyhow::ensure!(!url.is_empty() || !is_named(ca), "{key}.ca: there is no {key}.url");
            if !url.is_empty()
                && let Err(why) = check(url)
            {
                anyhow::bail!("{key}.url: {why}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_config_says_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/master.toml");
        assert_eq!(Config::read(&path).unwrap(), Config::default());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_key() {
        let mut config = Config::default();
        config.web.zone = "Mars/Olympus".into();
        assert!(config.check().unwrap_err().to_string().contains("web.zone"));
        let mut config = Config::default();
        config.log.filter = "master=nonsense".into();
        assert!(config.check().unwrap_err().to_string().contains("log.filter"));
        let mut config = Config::default();
        config.lease.url = "mongodb+srv://me:geheim@h".into();
        let told = config.check().unwrap_err().to_string();
        assert!(told.contains("lease.url") && !told.contains("geheim"), "{told}");
        let mut config = Config::default();
        config.session.url = "memcached://h".into();
        assert!(config.check().unwrap_err().to_string().contains("session.url"));
        let mut config = Config::default();
        config.bus.ca = "/etc/ca.pem".into();
        assert!(config.check().unwrap_err().to_string().contains("bus.ca"));
        let mut config = Config::default();
        config.database.ca = "/etc/ca.pem".into();
        assert!(config.check().unwrap_err().to_string().contains("database.ca"));
        let mut config = Config::default();
        config.timing.fence_ms = 30_000;
        assert!(config.check().unwrap_err().to_string().contains("timing"));
    }
}
