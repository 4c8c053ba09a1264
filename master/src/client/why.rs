//! `hcndc why`: why something ran or did not, waits, failed, or ended when it did.

use super::api::Api;
use super::{Code, Done, print, print_json};
use clap::Args;
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A dispatch or an interface (name or id; dispatch:NAME, interface:NAME), INTERFACE/PERIOD, an
    /// execution, a run, or a job run (RUN-JOB).
    thing: String,
    /// Of a dispatch: a time (2026-11-20T02:00 in its zone, or with an offset) or a period; of an
    /// interface: a period; of an execution: the name of a job. Without it the latest one.
    at: Option<String>,
}

pub(super) async fn why(api: &Api, json: bool, options: Options) -> Done {
    let at = options.at.unwrap_or_default();
    let query = [("what", options.thing.as_str()), ("when", at.as_str())];
    let told = api.get("/api/v1/explain", &query).await?;
    match json {
        true => print_json(&told),
        false => lines(&told).iter().for_each(|line| print(line)),
    }
    Ok(Code::Ok)
}

/// What is so; where that begins; the chain in between; and the way there.
fn lines(told: &Value) -> Vec<String> {
    let mut lines = vec![line(&told["answer"])];
    let each = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let chain = told["answer"]["because"].as_array().map_or(&[][..], Vec::as_slice);
    let roots = each("roots");
    // A chain of one link is its own beginning.
    let deep =
        chain.iter().any(|cause| cause["because"].as_array().is_some_and(|it| !it.is_empty()));
    if deep && !roots.is_empty() {
        lines.push("it begins with:".into());
        lines.extend(roots.iter().map(|root| format!("  {}", line(root))));
    }
    if !chain.is_empty() {
        lines.push("because:".into());
        chain.iter().for_each(|cause| tree(cause, 1, &mut lines));
    }
    let then = each("then");
    if !then.is_empty() {
        lines.push("what led to it:".into());
    }
    for step in then {
        let last = if step["last"] == true { "  <- what was waited for last" } else { "" };
        lines.push(format!("  {}  {}{last}", when(&step["at_ms"]), text(&step)));
    }
    lines
}

fn tree(cause: &Value, deep: usize, lines: &mut Vec<String>) {
    lines.push(format!("{}{}", "  ".repeat(deep), line(cause)));
    for cause in cause["because"].as_array().into_iter().flatten() {
        tree(cause, deep + 1, lines);
    }
}

fn text(line: &Value) -> &str {
    line["text"].as_str().unwrap_or_default()
}

fn line(of: &Value) -> String {
    let mut told = text(of).to_owned();
    let times = [("at_ms", ""), ("until_ms", "until ")];
    let times =
        times.map(|(name, word)| of[name].as_i64().map(|_| format!("{word}{}", when(&of[name]))));
    let times: Vec<String> = times.into_iter().flatten().collect();
    if !times.is_empty() {
        told += &format!(" ({})", times.join(", "));
    }
    if let Some(cure) = of["satisfied_by"]["text"].as_str() {
        told += &format!(" [satisfied by: {cure}]");
    }
    told
}

/// UTC, to the second.
fn when(ms: &Value) -> String {
    let at = ms.as_i64().and_then(chrono::DateTime::from_timestamp_millis);
    at.map_or_else(|| " ".repeat(20), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn roots_stand_before_the_chain_and_the_last_wait_is_marked() {
        let root = json!({ "text": "a runs on h1", "at_ms": 1_794_997_600_000_i64, "because": [] });
        let cure = json!({ "text": "any run of it that succeeds" });
        let told = json!({
            "answer": { "text": "B waits", "because": [
                { "text": "it waits for A", "until_ms": 1_794_997_600_000_i64, "satisfied_by": cure,
                  "because": [root] } ] },
            "roots": [root],
            "then": [ { "text": "A was there", "at_ms": 1_794_997_600_000_i64, "last": true },
                { "text": "made", "at_ms": null, "last": false } ],
        });
        assert_eq!(
            lines(&told),
            [
                "B waits",
                "it begins with:",
                "  a runs on h1 (2026-11-18T10:26:40Z)",
                "because:",
                "  it waits for A (until 2026-11-18T10:26:40Z) [satisfied by: any run of it that succeeds]",
                "    a runs on h1 (2026-11-18T10:26:40Z)",
                "what led to it:",
                "  2026-11-18T10:26:40Z  A was there  <- what was waited for last",
                "                        made",
            ]
        );
    }
}
