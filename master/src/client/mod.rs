//! `hcndc`, the command line: a client of the API and of nothing else.
//!
//! The rule: `-o json` prints what the API gives; the exit code is the outcome (see [`Code`]).
//! Called by `bin/hcndc.rs`.

mod api;
mod apply;
mod backfill;
mod calendar;
mod execution;
mod files;
mod freeze;
mod host;
mod ics;
mod log;
mod show;
mod stale;
mod version;
mod why;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Ok = 0,
    /// The run failed; a command was refused; something is not there.
    Failed = 1,
    /// Wrong arguments, files or definitions: nothing was done. (Also clap's own.)
    Usage = 2,
    /// The run was stopped.
    Stopped = 3,
    /// The master was not reached, or the time was up: the outcome is not known.
    Unreachable = 4,
}

/// Why it ended early, and with what.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Code::Usage, message)
    }
}

type Done = Result<Code, Failure>;

#[derive(Debug, Parser)]
#[command(
    name = "hcndc",
    version,
    about = "The command line of HCNDC: definitions, runs, logs.",
    after_help = "Exit codes: 0 done, succeeded; 1 failed, refused, not found; 2 wrong arguments or \
                  definitions; 3 stopped; 4 master not reached, or time up.\n\
                  Address and token are read from client.toml: --config, HCNDC_CONFIG, or \
                  ~/.config/hcndc/client.toml."
)]
pub struct Cli {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Args)]
struct Given {
    /// client.toml: address and token.
    #[arg(long, global = true, env = "HCNDC_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    /// What the API gives.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the definitions as the YAML files say: all of them, or none.
    Apply(apply::Options),
    /// Definitions: interfaces, jobs, dispatches, calendars or hosts, or one of them.
    Get {
        #[arg(value_enum)]
        kind: show::Kind,
        name: Option<String>,
    },
    /// Definitions as YAML that `apply` takes back unchanged: to standard output.
    Export {
        #[command(subcommand)]
        what: version::Export,
    },
    /// Versions of a definition, the newest first: who made each, when, why, and what changed.
    History {
        #[arg(value_enum)]
        kind: version::Kind,
        name: String,
        /// Versions before this one.
        #[arg(long, value_name = "VERSION")]
        before: Option<i64>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// What differs between two versions: the newest and the one before, or those that are named.
    Diff {
        #[arg(value_enum)]
        kind: version::Kind,
        name: String,
        from: Option<i64>,
        to: Option<i64>,
    },
    /// A new version that is as an earlier one was. Nothing is erased.
    Rollback(version::Rollback),
    /// Another definition that is as this one: an interface with its jobs and edges.
    Copy(version::Copy),
    /// Hold an interface or a job: nothing more of it begins, its dispatches start nothing.
    Freeze(freeze::Options),
    /// Let it go on.
    #[command(alias = "thaw")]
    Unfreeze(freeze::Options),
    /// Start an interface for a period.
    Run(execution::RunOptions),
    /// Executions: what they are, and what to do with them.
    #[command(subcommand)]
    Execution(execution::Verb),
    /// Why did it run, why did it not, what does it wait for.
    Why(why::Options),
    /// What was fed by a generation that has been made anew since.
    Stale(stale::Options),
    /// Many periods of an interface, one after the other or some at once.
    #[command(subcommand)]
    Backfill(backfill::Verb),
    /// The log of a job: of an execution's job, or of one attempt.
    Log(log::Options),
    /// Dispatches: when they fire.
    #[command(subcommand)]
    Dispatch(calendar::DispatchVerb),
    /// Calendars of working days.
    #[command(subcommand)]
    Calendar(ics::CalendarVerb),
    /// Exec hosts.
    #[command(subcommand)]
    Host(HostVerb),
}

#[derive(Debug, Subcommand)]
enum HostVerb {
    /// All of them, and how they are.
    List,
    /// A token with which an executor joins as this host, once: `hcndc-executor join`.
    Token { name: String },
    /// Deny all its certificates: no master speaks with it until it has joined again.
    Deny { name: String },
    /// Say that it is dead and will not come back: nothing waits for it any more.
    Retire {
        name: String,
        /// Only show what it would do.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs one command.
pub async fn main(cli: Cli) -> Done {
    let api = api::Api::open(cli.given.config.as_deref())?;
    let json = cli.given.output == Output::Json;
    match cli.command {
        Command::Apply(options) => apply::apply(&api, json, options).await,
        Command::Get { kind, name } => show::get(&api, json, kind, name.as_deref()).await,
        Command::Export { what } => version::export(&api, json, what).await,
        Command::History { kind, name, before, limit } => {
            version::history(&api, json, (kind, &name), (before, limit)).await
        }
        Command::Diff { kind, name, from, to } => {
            version::diff(&api, json, (kind, &name), (from, to)).await
        }
        Command::Rollback(options) => version::roll_back(&api, json, options).await,
        Command::Copy(options) => version::copy(&api, json, options).await,
        Command::Freeze(options) => freeze::turn(&api, json, "freeze", options).await,
        Command::Unfreeze(options) => freeze::turn(&api, json, "unfreeze", options).await,
        Command::Run(options) => execution::run(&api, json, options).await,
        Command::Execution(verb) => execution::obey(&api, json, verb).await,
        Command::Why(options) => why::why(&api, json, options).await,
        Command::Stale(options) => stale::stale(&api, json, options).await,
        Command::Backfill(verb) => backfill::obey(&api, json, verb).await,
        Command::Log(options) => log::log(&api, json, options).await,
        Command::Dispatch(calendar::DispatchVerb::Calendar(options)) => {
            calendar::calendar(&api, json, options).await
        }
        Command::Calendar(ics::CalendarVerb::Import(options)) => {
            ics::import(&api, json, options).await
        }
        Command::Host(HostVerb::List) => show::get(&api, json, show::Kind::Host, None).await,
        Command::Host(HostVerb::Token { name }) => host::token(&api, json, &name).await,
        Command::Host(HostVerb::Deny { name }) => host::deny(&api, json, &name).await,
        Command::Host(HostVerb::Retire { name, dry_run }) => {
            let host = show::id_of(&api, show::Kind::Host, &name).await?;
            let verb = serde_json::json!({ "verb": "retire", "host": host, "dry_run": dry_run });
            execution::tell(&api, json, verb).await
        }
    }
}

/// To standard output; a closed pipe (`| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn print_json(value: &serde_json::Value) {
    print(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// `1 job`, `3 jobs`.
fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        let dispatches = |n| counted(n, "dispatch", "dispatches");
        assert_eq!([0, 1, 2].map(dispatches), ["0 dispatches", "1 dispatch", "2 dispatches"]);
    }
}
