//! `hcndc log`: out to standard output, err to standard error, followed until the job has ended.

use super::api::Api;
use super::execution::jobs::{FoundJob, find_job};
use super::{Code, Done, Failure, print_json};
use clap::Args;
use serde_json::Value;
use shared::clock::Clock;
use shared::ids::{AttemptId, ExecutionId};
use std::io::Write;
use std::time::Duration;

/// How long a log that is followed may be out of reach.
const AWAY_MAX_MS: i64 = 60_000;
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// An execution, with its job; or one attempt alone: RUN-JOB-NUMBER-REIGN.
    execution_or_attempt: String,
    /// `interface/job`, or `job` where there is only one of that name.
    job: Option<String>,
    /// Go on until the job has ended, its retries included.
    #[arg(short, long)]
    follow: bool,
    /// Only `out` or `err`.
    #[arg(long, default_value = "both", value_parser = ["out", "err", "both"])]
    stream: String,
}

pub(super) async fn log(api: &Api, json: bool, options: Options) -> Done {
    let Options { execution_or_attempt: first, job, follow, stream } = options;
    if let Some(job) = job {
        let execution: ExecutionId =
            first.parse().map_err(|error| Failure::usage(format!("{error}")))?;
        return of_job(api, json, (execution, &job), (follow, &stream)).await;
    }
    let attempt: AttemptId = first.parse().map_err(|_| {
        let message = format!("{first:?} is no attempt; of an execution name the job as well");
        Failure::usage(message)
    })?;
    of_attempt(api, json, &attempt.to_string(), (follow, &stream)).await
}

/// Its newest attempt; followed, every one that comes.
async fn of_job(
    api: &Api,
    json: bool,
    (execution, name): (ExecutionId, &str),
    (follow, stream): (bool, &str),
) -> Done {
    let mut told: Option<String> = None;
    loop {
        let FoundJob { attempt, ended, .. } = find_job(api, execution, name).await?;
        match attempt.filter(|attempt| told.as_ref() != Some(attempt)) {
            Some(attempt) => {
                of_attempt(api, json, &attempt, (follow, stream)).await?;
                told = Some(attempt);
            }
            None if told.is_none() && (ended || !follow) => {
                return Err(Failure::new(Code::Failed, format!("job {name:?} has not begun")));
            }
            None if ended || !follow => return Ok(Code::Ok),
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
        if !follow {
            return Ok(Code::Ok);
        }
    }
}

async fn of_attempt(api: &Api, json: bool, attempt: &str, (follow, stream): (bool, &str)) -> Done {
    let clock = Clock::system();
    let path = format!("/api/v1/attempts/{attempt}/log");
    let (mut from, mut heard_ms) = ("0-0".to_owned(), 0);
    loop {
        let wait = if follow { "1" } else { "0" };
        let query = [("stream", stream), ("from", &from), ("follow", wait)];
        let part = match api.get(&path, &query).await {
            Ok(part) => part,
            // Its host is away, or it has not begun to write: a log that is followed waits.
            Err(failure) if follow && failure.code != Code::Usage => {
                if clock.mono_ms() - heard_ms > AWAY_MAX_MS {
                    return Err(failure);
                }
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        heard_ms = clock.mono_ms();
        let ended = part["ended"].as_bool() == Some(true);
        let next = part["next"].as_str().unwrap_or(&from).to_owned();
        let stuck = next == from;
        match json {
            true => print_json(&part),
            false => print_lines(&part, ended || (stuck && !follow)),
        }
        from = next;
        if ended || (stuck && !follow) {
            return Ok(Code::Ok);
        }
    }
}

/// A line whose end is not written yet is told again: it is printed at the last moment only.
fn print_lines(part: &Value, last: bool) {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    for line in part["lines"].as_array().into_iter().flatten() {
        if line["open"].as_bool() == Some(true) && !last {
            continue;
        }
        let text = line["text"].as_str().unwrap_or_default();
        // A closed pipe (`| head`) is no error.
        let _ = match line["stream"].as_str() {
            Some("err") => writeln!(err, "{text}"),
            _ => writeln!(out, "{text}"),
        };
    }
}
