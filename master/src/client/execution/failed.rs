//! `hcndc execution resume-failed`: all that have failed since a time, once more.
//!
//! What has been made anew since is refused by the leader and told as that, so the newest of each
//! interface and period is what goes on.

use super::super::api::Api;
use super::super::show::{self, Kind};
use super::super::{Code, Done, Failure, print, print_json};
use super::{Since, command};
use serde_json::{Value, json};
use shared::clock::Clock;

const AT_ONCE: usize = 200;
/// One call of the program resumes so many.
const RESUMED_MAX: usize = 10_000;
/// Executions that began so long before the time may have failed after it.
const BEFORE_MS: i64 = 30 * 86_400_000;
/// Of eleven digits, as the list takes moments: 1970-04-26.
const FIRST_MS: i64 = 10_000_000_000;

pub(super) async fn resume(api: &Api, json: bool, asked: Since) -> Done {
    let ago_ms = i64::try_from(asked.since.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let since = Clock::system().wall_ms().saturating_sub(ago_ms).max(0);
    let found = failed_since(api, since, asked.interface.as_deref()).await?;
    let (mut resumed, mut refused, mut jobs) = (Vec::new(), Vec::new(), 0);
    let mut broken = None;
    for one in &found {
        let verb = json!({
            "verb": "resume_execution", "execution": one["id"], "dry_run": asked.dry_run,
        });
        match command(api, verb).await {
            Ok(answer) => {
                jobs += answer["plan"]["jobs_reset"].as_u64().unwrap_or(0);
                resumed.push(one["id"].clone());
            }
            Err(failure) if failure.code == Code::Failed => {
                refused.push(json!({ "execution": one["id"], "why": failure.message }));
            }
            // What was done until then is told all the same.
            Err(failure) => {
                broken = Some(failure);
                break;
            }
        }
    }
    match json {
        true => print_json(&json!({
            "items": resumed, "refused": refused, "jobs_reset": jobs, "dry_run": asked.dry_run,
        })),
        false => tell(asked.dry_run, &resumed, &refused, jobs),
    }
    match broken {
        Some(failure) => Err(failure),
        None => Ok(if refused.is_empty() { Code::Ok } else { Code::Failed }),
    }
}

fn tell(dry_run: bool, resumed: &[Value], refused: &[Value], jobs: u64) {
    for one in refused {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        print(&format!("execution {}: refused: {}", text("execution"), text("why")));
    }
    let would = if dry_run { "would be: " } else { "" };
    let (resumed, refused) = (resumed.len(), refused.len());
    print(&format!("{would}{resumed} executions resumed, {jobs} jobs reset, {refused} refused"));
}

/// The oldest first, as they would have run.
async fn failed_since(
    api: &Api,
    since: i64,
    interface: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    let interface = match interface {
        Some(name) => show::id_of(api, Kind::Interface, name).await?.to_string(),
        None => String::new(),
    };
    let (from, limit) = ((since - BEFORE_MS).max(FIRST_MS).to_string(), AT_ONCE.to_string());
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = [
            ("state", "failed"),
            ("interface", interface.as_str()),
            ("from", &from),
            ("limit", &limit),
            ("cursor", &cursor),
        ];
        let page = api.get("/api/v1/executions", &query).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let late = |item: &Value| item["ended_ms"].as_i64().is_some_and(|at| at >= since);
        all.extend(items.into_iter().filter(late));
        if all.len() > RESUMED_MAX {
            let message = format!("more than {RESUMED_MAX} have failed: choose a shorter time");
            return Err(Failure::new(Code::Failed, message));
        }
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    all.reverse();
    Ok(all)
}
