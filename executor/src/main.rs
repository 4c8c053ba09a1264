//! `hcndc-executor`: the executor of one host. See `hcndc-executor --help`.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use executor::config::Config;
use executor::join::Invitation;
use executor::process::own;
use executor::run::Options;
use executor::spool::Layout;
use executor::supervise::Called;
use executor::supervise::talk::{self, Ask, Told};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "hcndc-executor", version, about = "Runs the jobs of one host.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start supervisor and agent, and start again what dies. SIGTERM ends the agent; the supervisor
    /// goes on until its last job has ended.
    Run {
        #[command(flatten)]
        given: Given,
        /// When told to end, end the jobs too. How they ended is `unknown` to the master then.
        #[arg(long)]
        stop_jobs: bool,
        /// From TERM to KILL, with --stop-jobs.
        #[arg(long, default_value_t = 10, value_name = "SECONDS")]
        grace: u32,
    },
    /// The process that owns the jobs. SIGTERM: end as soon as nothing runs. SIGHUP: become the
    /// program that is installed now, with its configuration; all jobs go on.
    Supervise {
        #[command(flatten)]
        given: Given,
        /// The descriptor with the state of the program that this process was before.
        #[arg(long, hide = true)]
        resume: Option<i32>,
        /// Only say whether that state could be gone on with.
        #[arg(long, hide = true, requires = "resume")]
        rehearse: bool,
    },
    /// The process that talks to the master; it may be restarted at any time.
    Agent(#[command(flatten)] Given),
    /// Keep the services of this host running: what `[services]` of executor.toml lists. SIGTERM ends them.
    Services(#[command(flatten)] Given),
    /// How the supervisor of this data directory is.
    Status(#[command(flatten)] Given),
    /// Put the program that is installed now, and its configuration, in the place of the supervisor
    /// and the agent that run. All jobs go on. If it cannot take over, nothing changes.
    Upgrade(#[command(flatten)] Given),
    /// Join a cluster: make a key, have it signed by a master that has invited this host (`hcndc host
    /// token NAME`), keep both. An agent that runs takes them up at once.
    Join {
        #[command(flatten)]
        given: Given,
        /// Address of a master's pages.
        #[arg(long, value_name = "URL")]
        master: String,
        /// The host's name there.
        #[arg(long, value_name = "NAME")]
        host: String,
        /// Good once; it does not travel.
        #[arg(long)]
        token: String,
        /// Authority of an https address that the system does not know.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Stand before Kettle or Hop: what an attempt of theirs is started as.
    #[command(hide = true)]
    Etl {
        /// Where the warm engine of this host listens.
        #[arg(long)]
        warm: Option<PathBuf>,
        /// Where class-data archives for it are.
        #[arg(long)]
        archives: Option<PathBuf>,
        #[arg(last = true, required = true)]
        argv: Vec<String>,
    },
    /// Keep a JVM with Kettle or Hop loaded, and lend it to attempts: what the service `warm` is started as.
    #[command(hide = true)]
    Warm {
        /// `[warm]` of executor.toml, as JSON.
        #[arg(long)]
        about: String,
    },
    /// Look on at what lives on a server: what an attempt of such a kind is started as.
    #[command(hide = true)]
    External,
    /// End all jobs of this data directory and the supervisor. How they ended is `unknown` then.
    StopJobs {
        #[command(flatten)]
        given: Given,
        /// From TERM to KILL.
        #[arg(long, default_value_t = 10, value_name = "SECONDS")]
        grace: u32,
    },
}

/// What is given here counts more than what the file says.
#[derive(Clone, Debug, Args)]
struct Given {
    /// executor.toml; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Journal, output, locks and socket.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where masters dial.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Holds ca.pem, cert.pem and key.pem.
    #[arg(long, value_name = "DIR")]
    pki: Option<PathBuf>,
    /// For a supervisor without a certificate (tests).
    #[arg(long, hide = true)]
    cluster: Option<String>,
}

impl Given {
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => {
                let read = shared::config::read::<Config>(path)?;
                read.keep_from_jobs(path)?;
                read
            }
            None => Config::default(),
        };
        let given = self.clone();
        config.data = given.data.unwrap_or(config.data);
        config.listen = given.listen.unwrap_or(config.listen);
        config.pki = given.pki.unwrap_or(config.pki);
        let named =
            self.config.as_ref().map(|path| format!("in the configuration {}", path.display()));
        config.checked().with_context(|| named.unwrap_or_else(|| "in the configuration".into()))
    }

    fn cluster(&self, config: &Config) -> anyhow::Result<String> {
        match &self.cluster {
            Some(name) => Ok(name.clone()),
            None => Ok(shared::tls::Credentials::read(&config.pki)?.identity().cluster.clone()),
        }
    }

    /// The same again, for another process of ours.
    fn args(&self) -> Vec<OsString> {
        let pairs: [(&str, Option<OsString>); 5] = [
            ("--config", self.config.clone().map(Into::into)),
            ("--data", self.data.clone().map(Into::into)),
            ("--listen", self.listen.clone().map(Into::into)),
            ("--pki", self.pki.clone().map(Into::into)),
            ("--cluster", self.cluster.clone().map(Into::into)),
        ];
        let given = pairs.into_iter().filter_map(|(name, value)| Some([name.into(), value?]));
        given.flatten().collect()
    }
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    // Asked while the file still is where it was started from.
    let done = match &command {
        Command::Etl { warm, archives, argv } => {
            executor::etl::run(warm.as_deref(), archives.as_deref(), argv)
        }
        Command::Warm { about } => executor::warm::run(about),
        Command::External => Ok(executor::external::run()),
        _ => own::program().and_then(|_| obey(command)).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // A closed standard error is no reason to panic on the way out.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("hcndc-executor: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> anyhow::Result<()> {
    let given = match &command {
        Command::Run { given, .. }
        | Command::Supervise { given, .. }
        | Command::Join { given, .. }
        | Command::StopJobs { given, .. } => given,
        Command::Agent(given)
        | Command::Services(given)
        | Command::Status(given)
        | Command::Upgrade(given) => given,
        // It is of a job, and has no configuration.
        Command::Etl { .. } | Command::External | Command::Warm { .. } => return Ok(()),
    };
    let config = given.config()?;
    shared::logs::start(&config.log);
    match &command {
        Command::Run { stop_jobs, grace, .. } => {
            given.cluster(&config)?;
            let layout = Layout::make(&config.data)?;
            let grace_ms = i64::from(*grace) * 1000;
            executor::run::run(
                layout,
                Options { args: given.args(), stop_jobs: *stop_jobs, grace_ms },
            )
        }
        Command::Supervise { resume, rehearse, .. } => {
            let cluster = given.cluster(&config)?;
            let args = std::iter::once("supervise".into()).chain(given.args()).collect();
            let called = Called { config, cluster, args, resume: *resume };
            match rehearse {
                true => executor::supervise::rehearse(called),
                false => executor::supervise::supervise(called),
            }
        }
        Command::Etl { .. } | Command::External | Command::Warm { .. } => Ok(()),
        Command::Agent(_) => executor::agent::run(&config),
        Command::Services(_) => executor::services::run(&config),
        Command::Status(_) => {
            let told = ask(&config, Ask::Status)?;
            let Told::Status(status) = told else {
                anyhow::bail!("an unexpected answer: {told:?}")
            };
            println!("supervisor {}: {} running", status.pid, status.running);
            println!("incarnation {}, version {}", status.incarnation, status.version);
            Ok(())
        }
        Command::Upgrade(_) => upgrade(&config),
        Command::Join { master, host, token, ca, .. } => {
            let ca = ca.as_deref();
            join(&config, &Invitation { master, host, token, ca })
        }
        Command::StopJobs { grace, .. } => {
            ask(&config, Ask::StopJobs { grace_ms: i64::from(*grace) * 1000 })?;
            let layout = Layout { root: config.data };
            while layout.holder("supervisor").is_some() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Ok(())
        }
    }
}

fn join(config: &Config, invitation: &Invitation) -> anyhow::Result<()> {
    let facts = executor::join::join(invitation, &config.pki)?;
    println!("this is {} now; its certificate is in {}", facts.identity, config.pki.display());
    let layout = Layout { root: config.data.clone() };
    match executor::join::tell_agent(&layout)? {
        true => println!(
            "the agent that runs was told; if this host had another name before, start it again"
        ),
        false => println!("no agent runs: `hcndc-executor run`, or systemctl start hcndc-agent"),
    }
    Ok(())
}

fn upgrade(config: &Config) -> anyhow::Result<()> {
    match ask(config, Ask::Upgrade)? {
        Told::Upgrade(Ok(status)) => println!(
            "supervisor {} is version {} now: {} attempts go on",
            status.pid, status.version, status.running
        ),
        Told::Upgrade(Err(why)) => anyhow::bail!("the supervisor goes on as it was: {why}"),
        other => anyhow::bail!("an unexpected answer: {other:?}"),
    }
    let layout = Layout { root: config.data.clone() };
    match executor::run::restart_agent(&layout)? {
        true => println!("`run` starts the agent again"),
        false => println!("no `run` looks after the agent: start it again yourself"),
    }
    Ok(())
}

fn ask(config: &Config, ask: Ask) -> anyhow::Result<Told> {
    let socket = Layout { root: config.data.clone() }.socket();
    talk::call(&socket, ask)
        .with_context(|| format!("no supervisor answers on {}", socket.display()))
}
