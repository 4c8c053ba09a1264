//! Verbs about one job of an execution, and about the run that it was started for.

use super::{OfExecution, OfJob, tell};
use crate::client::api::Api;
use crate::client::{Code, Done, Failure, show};
use serde_json::{Value, json};
use shared::ids::{ExecutionId, JobId, RunId};

/// The run that it was started for.
pub(super) async fn follow(api: &Api, json: bool, it: &OfExecution, all: bool) -> Done {
    let shown = api.get(&format!("/api/v1/executions/{}", it.execution), &[]).await?;
    let root =
        |run: &&Value| run["interface"] == shown["interface"] && run["period"] == shown["period"];
    let Some(run) = shown["runs"].as_array().and_then(|runs| runs.iter().find(root)) else {
        let message = format!("execution {} has no run of what it started", it.execution);
        return Err(Failure::new(Code::Failed, message));
    };
    let verb = json!({"verb": "follow", "run": run["id"], "all": all, "dry_run": it.dry_run});
    tell(api, json, verb).await
}

pub(super) async fn tell_of(
    api: &Api,
    json: bool,
    verb: &str,
    it: &OfJob,
    reason: Option<&str>,
) -> Done {
    let found = find_job(api, it.execution, &it.job).await?;
    let mut verb = json!({"verb": verb, "run": found.run, "job": found.job, "dry_run": it.dry_run});
    if let Some(reason) = reason {
        verb["reason"] = reason.into();
    }
    tell(api, json, verb).await
}

/// A job of an execution.
#[derive(Debug)]
pub(in crate::client) struct FoundJob {
    pub(in crate::client) run: RunId,
    pub(in crate::client) job: JobId,
    /// Its newest attempt, if there was one.
    pub(in crate::client) attempt: Option<String>,
    /// Nothing more will come of it.
    pub(in crate::client) ended: bool,
}

/// `job`, or `interface/job` where several have the name.
pub(in crate::client) async fn find_job(
    api: &Api,
    execution: ExecutionId,
    name: &str,
) -> Result<FoundJob, Failure> {
    let runs = api.get(&format!("/api/v1/executions/{execution}/runs"), &[]).await?;
    let mut found = Vec::new();
    for run in runs["items"].as_array().into_iter().flatten() {
        let interface = show::place(run, "/interface");
        for job in run["jobs"].as_array().into_iter().flatten() {
            let own = job["name"].as_str().unwrap_or_default();
            if own == name || format!("{interface}/{own}") == name {
                found.push(job.clone());
            }
        }
    }
    match &found[..] {
        [] => {
            let message = format!("execution {execution} has no job {name:?}");
            Err(Failure::new(Code::Failed, message))
        }
        [job] => {
            let bad = |_| Failure::new(Code::Failed, "the master answers with an unknown id");
            let run: RunId = show::place(job, "/run").parse().map_err(bad)?;
            let state = job["state"].as_str().unwrap_or_default();
            Ok(FoundJob {
                run,
                job: JobId(job["job"].as_i64().unwrap_or_default()),
                attempt: job["attempt"].as_str().map(str::to_owned),
                ended: matches!(
                    state,
                    "succeeded"
                        | "failed"
                        | "skipped"
                        | "left_out"
                        | "stopped"
                        | "timed_out"
                        | "unknown"
                ),
            })
        }
        _ => {
            let message = format!("several jobs are called {name:?}: write interface/job");
            Err(Failure::usage(message))
        }
    }
}
