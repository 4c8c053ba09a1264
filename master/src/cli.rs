//! What `hcndc-master` is told, and its sub-commands. Called by `main.rs`.

use crate::boot;
use crate::config::Config;
use crate::store::leader;
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use shared::clock::Clock;
use shared::pki::Authority;
use shared::tls::Role;
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
#[command(
    name = "hcndc-master",
    version,
    about = "The master of HCNDC: pages, API, and the leader that runs everything.",
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write certificate, key and authority for the executor of one host.
    IssueHost {
        #[command(flatten)]
        given: Given,
        /// The host's name in its certificate; no two hosts have the same.
        #[arg(long)]
        name: String,
        /// Where ca.pem, cert.pem and key.pem go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Say that the database was restored from a backup. What hosts began since then is unknown to
    /// it: nothing is placed until each host has told what it runs, or was retired by hand.
    Restore {
        #[command(flatten)]
        given: Given,
    },
}

/// What is given here counts more than what the file says.
#[derive(Clone, Debug, Args)]
struct Given {
    /// master.toml; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database, keys and certificates.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
struct Serve {
    #[command(flatten)]
    given: Given,
    /// Of pages and API, on the address of the configuration.
    #[arg(long)]
    port: Option<u16>,
    /// At the first start: write the password of `admin` there instead of printing it.
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Write a client.toml for `hcndc`, with a token for `admin`; a token that is in it is kept.
    #[arg(long, value_name = "FILE")]
    client_file: Option<PathBuf>,
}

impl Given {
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(data) = &self.data {
            config.data = data.clone();
        }
        config.data = std::path::absolute(&config.data).context("data: not a path")?;
        config.check()?;
        Ok(config)
    }
}

/// Obeys one command; without one, serves until it is told to stop.
///
/// # Errors
/// What makes it impossible, in words.
pub async fn main(cli: Cli) -> anyhow::Result<()> {
    // Database, keys and certificates are nobody else's business, whoever made the directory.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    match cli.command {
        Some(Command::IssueHost { given, name, out }) => {
            issue_host(&given.config()?, &name, &out).await
        }
        Some(Command::Restore { given }) => restore(&given.config()?).await,
        None => {
            let Serve { given, port, admin_password_file, client_file } = cli.serve;
            let mut config = given.config()?;
            if let Some(port) = port {
                config.web.listen.set_port(port);
            }
            // It tells of its own birth, at length; who asks for that by name gets it.
            let quiet = match config.log.filter.contains("tokio_cron_scheduler") {
                true => "",
                false => ",tokio_cron_scheduler=warn",
            };
            shared::logs::start(&format!("{}{quiet}", config.log.filter));
            boot::serve(config, boot::First { admin_password_file, client_file }).await
        }
    }
}

async fn restore(config: &Config) -> anyhow::Result<()> {
    use std::io::Write;
    let db = boot::open(config, &Clock::system()).await?;
    // Nobody's name: whoever leads is deposed, and whoever claims next has one of its own.
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("no random bytes from the system")?;
    let holder = i64::from_le_bytes(random);
    db.commit(leader::restored(&config.cluster, holder)).await.context("telling the database")?;
    let hosts = leader::in_doubt(&db).await.context("reading the hosts in doubt")?;
    let _ = writeln!(
        std::io::stdout(),
        "{hosts} hosts are in doubt until they have told what they run; one that will never come \
         back is retired on the page of exec hosts"
    );
    Ok(())
}

async fn issue_host(config: &Config, name: &str, out: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    let clock = Clock::system();
    let now_ms = clock.wall_ms();
    let authority = authority(config, now_ms)?;
    let issued = authority
        .issue(Role::Host, name, now_ms)
        .with_context(|| format!("issuing a certificate for host {name:?}"))?;
    let db = boot::open(config, &clock).await?;
    boot::record(&db, &issued.signed).await?;
    issued.write(out)?;
    let until =
        chrono::DateTime::from_timestamp_millis(issued.signed.expires_ms).unwrap_or_default();
    let (out, until) = (out.display(), until.format("%Y-%m-%d"));
    let _ = writeln!(std::io::stdout(), "{} in {out}, good until {until}", issued.signed.identity);
    Ok(())
}

/// The cluster's authority, made at the first use.
///
/// # Errors
/// It is damaged, belongs to another cluster, or cannot be written.
pub(crate) fn authority(config: &Config, now_ms: i64) -> anyhow::Result<Authority> {
    let dir = config.data.join("pki");
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Authority::open(&dir, &config.data.join("secret.key"), &config.cluster, now_ms)
}
