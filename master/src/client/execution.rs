//! `hcndc run` and `hcndc execution …`: start, wait, look, stop, resume.

mod failed;
pub(super) mod jobs;

use super::api::Api;
use super::show::{self, Kind};
use super::{Code, Done, Failure, files, print, print_json};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::ids::ExecutionId;
use shared::period::Period;
use std::time::Duration;

/// Between two looks at an execution that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// While the leader is away a command has no answer; it is asked again.
const ANSWER_WITHIN_MS: i64 = 60_000;
/// A master that is started again is waited for.
const AWAY_MAX_MS: i64 = 60_000;

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Name or id.
    interface: String,
    /// What the data belongs to: 2026-11-20, 2026-W47, 2026-11, 2026-11-20T13+08:00.
    #[arg(long, value_parser = files::period)]
    period: Period,
    /// With all that descends from the interface.
    #[arg(long)]
    cascade: bool,
    /// Periods that have succeeded already are not run again.
    #[arg(long, conflicts_with = "job")]
    missing_only: bool,
    /// Only some jobs, seen from this one; of the others counts what they have done before.
    #[arg(long, conflicts_with = "cascade")]
    job: Option<String>,
    /// alone; from: it and all after it; to: all before it, and it.
    #[arg(long, requires = "job", default_value = "alone", value_parser = ["alone", "from", "to"])]
    part: String,
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = files::pair)]
    params: Vec<(String, String)>,
    /// Only show what it would do.
    #[arg(long)]
    dry_run: bool,
    /// Until it has ended; the exit code is its outcome.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most: 90s, 15m, 2h.
    #[arg(long, value_parser = files::seconds, default_value = "24h", value_name = "TIME")]
    timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The newest first.
    List(ListOptions),
    /// One of them: its runs and jobs.
    Show { execution: ExecutionId },
    /// Until it has ended; the exit code is its outcome.
    Wait {
        execution: ExecutionId,
        #[arg(long, value_parser = files::seconds, default_value = "24h", value_name = "TIME")]
        timeout: u64,
    },
    /// End what runs, and begin nothing more.
    Stop(OfExecution),
    /// What failed, was stopped or skipped, once more.
    Resume(OfExecution),
    /// Begin nothing more in its runs, until `start`.
    Pause(OfExecution),
    /// What of it is paused goes on, or begins after a reset.
    #[command(visible_alias = "unpause")]
    Start(OfExecution),
    /// All its runs anew, by the definitions of now; they wait for `start`.
    Reset(OfExecution),
    /// All that descends from what it has started, as far as it is missing or stale.
    Follow {
        #[command(flatten)]
        of: OfExecution,
        /// Also what has succeeded since.
        #[arg(long)]
        all: bool,
    },
    /// Its jobs that wait for a place go before those of a lower priority.
    Prioritize {
        #[command(flatten)]
        of: OfExecution,
        /// From -1000 to 1000.
        #[arg(long, allow_hyphen_values = true)]
        priority: i32,
    },
    /// All that have failed of late, once more: the newest of each interface and period.
    ResumeFailed(Since),
    /// End one job.
    Kill(OfJob),
    /// Take one job for succeeded.
    MarkSuccess {
        #[command(flatten)]
        of: OfJob,
        /// Why; it is kept.
        #[arg(long)]
        reason: String,
    },
    /// Leave out a job that has not begun: what comes after it goes on.
    Skip {
        #[command(flatten)]
        of: OfJob,
        /// Why; it is kept.
        #[arg(long)]
        reason: String,
    },
    /// Begin in spite of what is waited for.
    Force(OfJob),
    /// Take an attempt for dead that nobody can reach.
    Abandon(OfJob),
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// waiting, ready, running, succeeded, failed, stopped; several with commas.
    #[arg(long, default_value = "")]
    state: String,
    /// Name or id.
    #[arg(long)]
    interface: Option<String>,
    #[arg(long, value_parser = files::period)]
    period: Option<Period>,
    /// Rows at most.
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct Since {
    /// Those that ended within this time, and began at most thirty days before it: 90m, 12h, 3d.
    #[arg(long, value_parser = files::seconds, value_name = "TIME")]
    since: u64,
    /// Name or id.
    #[arg(long)]
    interface: Option<String>,
    /// Only show what it would do.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct OfExecution {
    execution: ExecutionId,
    /// Only show what it would do.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct OfJob {
    execution: ExecutionId,
    /// `interface/job`, or `job` where there is only one of that name.
    job: String,
    /// Only show what it would do.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(api: &Api, json: bool, options: RunOptions) -> Done {
    let interface = show::id_of(api, Kind::Interface, &options.interface).await?;
    let params: std::collections::BTreeMap<String, String> = options.params.into_iter().collect();
    let verb = match &options.job {
        Some(name) => {
            let job = show::id_of_job(api, (interface, &options.interface), name).await?;
            json!({
                "verb": "run_part", "interface": interface, "period": options.period,
                "job": job, "part": options.part, "params": params,
                "dry_run": options.dry_run,
            })
        }
        None => json!({
            "verb": "run_now", "interface": interface, "period": options.period,
            "cascade": options.cascade, "missing_only": options.missing_only, "params": params,
            "dry_run": options.dry_run,
        }),
    };
    let answer = command(api, verb).await?;
    let execution = answer["plan"]["execution"].as_str().unwrap_or_default().to_owned();
    if options.dry_run || !options.wait {
        say(json, &answer);
        return Ok(Code::Ok);
    }
    if !json {
        print(&format!("execution {execution}: {}{}", api.address(), page(&execution)));
    }
    wait(api, json, &execution, options.timeout).await
}

fn page(execution: &str) -> String {
    format!("/execute/flow/detail/{execution}/")
}

pub(super) async fn obey(api: &Api, json: bool, verb: Verb) -> Done {
    let of = |verb: &str, it: &OfExecution| json!({"verb": verb, "execution": it.execution, "dry_run": it.dry_run});
    match verb {
        Verb::List(options) => list(api, json, options).await,
        Verb::Show { execution } => show_one(api, json, &execution.to_string()).await,
        Verb::Wait { execution, timeout } => wait(api, json, &execution.to_string(), timeout).await,
        Verb::Stop(it) => tell(api, json, of("stop_execution", &it)).await,
        Verb::Resume(it) => tell(api, json, of("resume_execution", &it)).await,
        Verb::Pause(it) => tell(api, json, of("pause_execution", &it)).await,
        Verb::Start(it) => tell(api, json, of("start_execution", &it)).await,
        Verb::Reset(it) => tell(api, json, of("reset", &it)).await,
        Verb::Follow { of, all } => jobs::follow(api, json, &of, all).await,
        Verb::Skip { of, reason } => jobs::tell_of(api, json, "skip", &of, Some(&reason)).await,
        Verb::Force(it) => jobs::tell_of(api, json, "force", &it, None).await,
        Verb::Prioritize { of, priority } => {
            each_run(api, json, json!({"verb": "prioritize", "priority": priority}), &of).await
        }
        Verb::ResumeFailed(since) => failed::resume(api, json, since).await,
        Verb::Kill(it) => jobs::tell_of(api, json, "kill", &it, None).await,
        Verb::MarkSuccess { of, reason } => {
            jobs::tell_of(api, json, "mark_success", &of, Some(&reason)).await
        }
        Verb::Abandon(it) => jobs::tell_of(api, json, "abandon", &it, None).await,
    }
}

async fn list(api: &Api, json: bool, options: ListOptions) -> Done {
    let ListOptions { state, interface, period, limit } = options;
    let interface = match interface {
        Some(name) => show::id_of(api, Kind::Interface, &name).await?.to_string(),
        None => String::new(),
    };
    let (period, limit) = (period.map_or_else(String::new, |it| it.to_string()), limit.to_string());
    let query = [
        ("state", state.as_str()),
        ("interface", &interface),
        ("period", &period),
        ("limit", &limit),
    ];
    let found = api.get("/api/v1/executions", &query).await?;
    if json {
        print_json(&found);
        return Ok(Code::Ok);
    }
    let columns = [
        ("ID", "/id"),
        ("INTERFACE", "/interface"),
        ("PERIOD", "/period"),
        ("STATE", "/state"),
        ("ORIGIN", "/origin"),
        ("JOBS", "/jobs_total"),
        ("CREATED", "/created"),
    ];
    let mut items = found["items"].as_array().cloned().unwrap_or_default();
    for item in &mut items {
        item["created"] = when(&item["created_ms"]).into();
    }
    show::table(&columns, &items);
    Ok(Code::Ok)
}

/// UTC, to the second.
/// What was there from the beginning has the time 0, which is none.
pub(super) fn when(ms: &Value) -> String {
    let at = ms.as_i64();
    if at == Some(0) {
        return "-".into();
    }
    let at = at.and_then(chrono::DateTime::from_timestamp_millis);
    at.map_or_else(String::new, |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

async fn show_one(api: &Api, json: bool, execution: &str) -> Done {
    let mut shown = api.get(&format!("/api/v1/executions/{execution}"), &[]).await?;
    let runs = api.get(&format!("/api/v1/executions/{execution}/runs"), &[]).await?;
    shown["runs"] = runs["items"].clone();
    if json {
        print_json(&shown);
        return Ok(Code::Ok);
    }
    let text = |pointer: &str| show::place(&shown, pointer);
    print(&format!(
        "execution {execution}  {}  {}  {}\n{}{}",
        text("/interface"),
        text("/period"),
        text("/state"),
        api.address(),
        page(execution)
    ));
    let mut rows = Vec::new();
    for run in shown["runs"].as_array().into_iter().flatten() {
        for job in run["jobs"].as_array().into_iter().flatten() {
            let mut row = job.clone();
            row["interface"] = run["interface"].clone();
            row["took"] = took(job).into();
            rows.push(row);
        }
    }
    let columns = [
        ("INTERFACE", "/interface"),
        ("JOB", "/name"),
        ("STATE", "/state"),
        ("ATTEMPT", "/number"),
        ("HOST", "/host"),
        ("TOOK", "/took"),
        ("REASON", "/reason"),
    ];
    show::table(&columns, &rows);
    Ok(Code::Ok)
}

fn took(job: &Value) -> String {
    match (job["started_ms"].as_i64(), job["ended_ms"].as_i64()) {
        (Some(from), Some(until)) => format!("{:.1}s", (until - from) as f64 / 1_000.0),
        _ => String::new(),
    }
}

/// Until it has ended.
async fn wait(api: &Api, json: bool, execution: &str, timeout_s: u64) -> Done {
    let clock = Clock::system();
    let timeout_ms = i64::try_from(timeout_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let (path, mut heard_ms) = (format!("/api/v1/executions/{execution}"), 0);
    loop {
        match api.get(&path, &[]).await {
            Ok(shown) => {
                heard_ms = clock.mono_ms();
                let code = match shown["state"].as_str().unwrap_or_default() {
                    "succeeded" => Some(Code::Ok),
                    "failed" => Some(Code::Failed),
                    "stopped" => Some(Code::Stopped),
                    _ => None,
                };
                if let Some(code) = code {
                    match json {
                        true => print_json(&shown),
                        false => {
                            show_one(api, false, execution).await?;
                        }
                    }
                    return Ok(code);
                }
            }
            // It was made just now, and its batch is on its way; or the master is being restarted.
            Err(failure) if clock.mono_ms() - heard_ms > AWAY_MAX_MS => return Err(failure),
            Err(failure) if failure.code == Code::Usage => return Err(failure),
            Err(_) => {}
        }
        if clock.mono_ms() > timeout_ms {
            let message = format!("execution {execution} has not ended within {timeout_s} s");
            return Err(Failure::new(Code::Unreachable, message));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Gives a command and waits for the leader's answer; a refusal is a failure.
pub(super) async fn command(api: &Api, verb: Value) -> Result<Value, Failure> {
    let clock = Clock::system();
    let mut answer = api.post("/api/v1/commands", &verb).await?;
    while answer["result"].is_null() {
        if clock.mono_ms() > ANSWER_WITHIN_MS {
            let id = &answer["id"];
            let message = format!("no leader has answered; command {id} stands and will be obeyed");
            return Err(Failure::new(Code::Unreachable, message));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let path = format!("/api/v1/commands/{}", answer["id"]);
        answer = api.get(&path, &[]).await?;
    }
    match answer["plan"]["refused"].as_str() {
        Some(why) => Err(Failure::new(Code::Failed, why)),
        None => Ok(answer),
    }
}

pub(super) async fn tell(api: &Api, json: bool, verb: Value) -> Done {
    say(json, &command(api, verb).await?);
    Ok(Code::Ok)
}

/// What it did, or would do, in numbers.
fn say(json: bool, answer: &Value) {
    if json {
        print_json(answer);
        return;
    }
    let plan = &answer["plan"];
    let mut words = Vec::new();
    for (name, said) in [
        ("executions", "executions still to be made"),
        ("runs_made", "runs made"),
        ("runs_joined", "runs joined"),
        ("runs_satisfied", "runs satisfied"),
        ("runs_paused", "runs paused"),
        ("runs_started", "runs go on"),
        ("jobs_to_run", "jobs to run"),
        ("jobs_stopped", "jobs stopped"),
        ("jobs_skipped", "jobs skipped"),
        ("jobs_reset", "jobs reset"),
        ("attempts_abandoned", "attempts abandoned"),
        ("runs_waiting_on_it", "runs wait on it"),
    ] {
        if let Some(count) = plan[name].as_u64().filter(|count| *count > 0) {
            words.push(format!("{count} {said}"));
        }
    }
    if words.is_empty() {
        words.push("nothing to do".into());
    }
    let would = if answer["dry_run"].as_bool() == Some(true) { "would be: " } else { "" };
    let execution = plan["execution"].as_str().map(|id| format!("execution {id}: "));
    print(&format!("{}{would}{}", execution.unwrap_or_default(), words.join(", ")));
}

async fn each_run(api: &Api, json: bool, verb: Value, it: &OfExecution) -> Done {
    let path = format!("/api/v1/executions/{}", it.execution);
    let shown = api.get(&path, &[]).await?;
    let own = |run: &&Value| {
        let live =
            matches!(run["state"].as_str(), Some("waiting" | "ready" | "running" | "paused"));
        live && run["joined"].as_bool() != Some(true)
    };
    let runs = shown["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let runs: Vec<&Value> = runs.iter().filter(own).collect();
    if runs.is_empty() {
        let message = format!("no run of execution {} is live", it.execution);
        return Err(Failure::new(Code::Failed, message));
    }
    for run in runs {
        let mut verb = verb.clone();
        verb["run"] = run["id"].clone();
        verb["dry_run"] = it.dry_run.into();
        say(json, &command(api, verb).await?);
    }
    Ok(Code::Ok)
}
