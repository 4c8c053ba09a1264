//! `hcndc freeze`, `hcndc unfreeze`: an interface or a job is held, or goes on; in numbers first.

use super::api::Api;
use super::show::{self, id_of};
use super::{Code, Done, counted, print, print_json};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

/// What can be frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Interface,
    Job,
}

#[derive(Debug, Args)]
pub(super) struct Options {
    #[arg(value_enum)]
    kind: Kind,
    /// Name or id; a job also as `interface/job`.
    name: String,
    /// Why: it is kept with the version that this makes; at most 500 characters.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Only if this is the newest version still.
    #[arg(long, value_name = "VERSION")]
    from: Option<i64>,
    /// Only show what it would hold, or let go on.
    #[arg(long)]
    dry_run: bool,
}

/// `verb` as the API calls it.
pub(super) async fn turn(api: &Api, json: bool, verb: &str, options: Options) -> Done {
    let Options { kind, name, reason, from, dry_run } = options;
    let kind = match kind {
        Kind::Interface => show::Kind::Interface,
        Kind::Job => show::Kind::Job,
    };
    let id = id_of(api, kind, &name).await?;
    let body = json!({"reason": reason.unwrap_or_default(), "from": from, "dry_run": dry_run});
    let answer = api.post(&format!("{}/{id}/{verb}", kind.path()), &body).await?;
    match json {
        true => print_json(&answer),
        false => print(&said(&answer)),
    }
    Ok(Code::Ok)
}

/// What a number of the plan is called: of one, of many; and of what goes on again.
type Word = (&'static str, [&'static str; 2], [&'static str; 2]);

const WORDS: [Word; 7] = [
    (
        "jobs_held",
        ["job held that has not begun", "jobs held that have not begun"],
        ["job goes on that has not begun", "jobs go on that have not begun"],
    ),
    ("jobs_queued", ["of these queued"; 2], ["of these queued"; 2]),
    (
        "jobs_running",
        ["job at work goes on", "jobs at work go on"],
        ["job is at work", "jobs are at work"],
    ),
    (
        "jobs_after",
        ["job comes after it", "jobs come after it"],
        ["job comes after it", "jobs come after it"],
    ),
    (
        "dispatches_skipped",
        ["dispatch starts nothing", "dispatches start nothing"],
        ["dispatch fires again", "dispatches fire again"],
    ),
    (
        "dispatches_held",
        ["dispatch makes runs in which it is held", "dispatches make runs in which it is held"],
        ["dispatch makes runs of it", "dispatches make runs of it"],
    ),
    (
        "interfaces_waiting",
        ["interface waits for it", "interfaces wait for it"],
        ["interface waits for it", "interfaces wait for it"],
    ),
];

fn said(answer: &Value) -> String {
    let frozen = answer["frozen"] == true;
    let number = |name: &str| answer["plan"][name].as_u64().unwrap_or(0);
    let mut told = Vec::new();
    for (name, held, free) in WORDS {
        let [one, many] = if frozen { held } else { free };
        if number(name) > 0 {
            told.push(counted(number(name), one, many));
        }
    }
    if number("interfaces_behind") > number("interfaces_waiting") {
        told.push(format!("{} with those that wait for these", number("interfaces_behind")));
    }
    if told.is_empty() {
        told.push("nothing of it lives, and nothing fires it".into());
    }
    let (name, told) = (answer["name"].as_str().unwrap_or_default(), told.join(", "));
    let state = if frozen { "frozen" } else { "not frozen any more" };
    match answer["dry_run"] == true {
        true => format!("{name} would be {state}: {told}"),
        false => format!("{name} is {state}, version {}: {told}", answer["version"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_counts_is_told() {
        let plan =
            json!({"runs_live": 2, "jobs_held": 3, "jobs_queued": 0, "dispatches_skipped": 1});
        let answer = json!({"name": "load", "frozen": true, "dry_run": true, "plan": plan});
        let held =
            "load would be frozen: 3 jobs held that have not begun, 1 dispatch starts nothing";
        assert_eq!(said(&answer), held);
        let answer = json!({"name": "load", "frozen": false, "version": 7, "plan": {}});
        let free =
            "load is not frozen any more, version 7: nothing of it lives, and nothing fires it";
        assert_eq!(said(&answer), free);
    }
}
