//! `hcndc backfill`: plan one, begin it, look at it, hold it, end it.

use super::api::Api;
use super::execution::{command, tell};
use super::files;
use super::show::{self, Kind};
use super::{Code, Done, print, print_json};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// What it would make, and how long that is likely to take; nothing is made.
    Plan(Options),
    /// Begin it. Its number is printed.
    Start(Options),
    /// The newest first.
    List {
        /// Only what has not ended.
        #[arg(long)]
        live: bool,
        /// Only of this one: name or id.
        #[arg(long)]
        interface: Option<String>,
        /// From there on: the number that the page before ended with.
        #[arg(long)]
        before: Option<i64>,
    },
    /// One of them and its executions.
    Show { id: i64 },
    /// It makes nothing new; what lives goes on.
    Pause(One),
    /// It goes on.
    Resume(One),
    /// It makes nothing more, ever.
    Cancel {
        #[command(flatten)]
        one: One,
        /// Stop what lives of it too.
        #[arg(long)]
        stop: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct One {
    id: i64,
    /// Only show what it would do.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Name or id.
    interface: String,
    /// Periods: 2026-01-01..2026-01-31 (both ends inside), 2026-02-05, or a coarser one, 2026-03.
    #[arg(required = true)]
    spans: Vec<String>,
    /// Periods to leave out.
    #[arg(long = "skip", value_name = "SPAN")]
    skips: Vec<String>,
    /// The newest period first.
    #[arg(long)]
    descending: bool,
    /// Executions of it that live at once.
    #[arg(long, default_value_t = 1)]
    parallel: u32,
    /// With all interfaces that follow in the mesh.
    #[arg(long)]
    cascade: bool,
    /// Runs that have succeeded count, and are not made again.
    #[arg(long)]
    missing_only: bool,
    /// Begin executions only within: `22:00-06:00`, `22:00-06:00 SAT,SUN`.
    #[arg(long = "window", value_name = "WINDOW")]
    windows: Vec<String>,
    /// Of the windows.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// By the definitions as they are now, whatever is edited meanwhile.
    #[arg(long)]
    pinned: bool,
    /// Pause when so many executions have ended without success; 0: never.
    #[arg(long, default_value_t = 3)]
    failures_max: u32,
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = files::pair)]
    params: Vec<(String, String)>,
}

async fn spec(api: &Api, options: Options) -> Result<Value, super::Failure> {
    let interface = show::id_of(api, Kind::Interface, &options.interface).await?;
    let params: BTreeMap<String, String> = options.params.into_iter().collect();
    Ok(json!({
        "interface": interface, "spans": options.spans, "skips": options.skips,
        "descending": options.descending, "parallel": options.parallel,
        "cascade": options.cascade, "missing_only": options.missing_only,
        "windows": options.windows, "zone": options.zone, "pinned": options.pinned,
        "failures_max": options.failures_max, "params": params,
    }))
}

pub(super) async fn obey(api: &Api, json: bool, verb: Verb) -> Done {
    let held =
        |name: &str, one: &One| json!({ "verb": name, "backfill": one.id, "dry_run": one.dry_run });
    match verb {
        Verb::Plan(options) => plan(api, json, options).await,
        Verb::Start(options) => {
            let spec = spec(api, options).await?;
            let answer = command(api, json!({ "verb": "backfill", "spec": spec })).await?;
            if json {
                print_json(&answer);
            } else {
                let (id, plan) = (&answer["id"], &answer["plan"]);
                let jobs = &plan["jobs_to_run"];
                print(&format!(
                    "backfill {id}: {} executions, at most {jobs} jobs",
                    plan["executions"]
                ));
            }
            Ok(Code::Ok)
        }
        Verb::List { live, interface, before } => list(api, json, live, interface, before).await,
        Verb::Show { id } => show_one(api, json, id).await,
        Verb::Pause(one) => tell(api, json, held("pause_backfill", &one)).await,
        Verb::Resume(one) => tell(api, json, held("resume_backfill", &one)).await,
        Verb::Cancel { one, stop } => {
            let mut verb = held("cancel_backfill", &one);
            verb["stop"] = stop.into();
            tell(api, json, verb).await
        }
    }
}

async fn plan(api: &Api, json: bool, options: Options) -> Done {
    let spec = spec(api, options).await?;
    let plan = api.post("/api/v1/backfills/plan", &spec).await?;
    if json {
        print_json(&plan);
        return Ok(Code::Ok);
    }
    let place = |name: &str| show::place(&plan, name);
    let interfaces = plan["interfaces"].as_array().map_or(0, Vec::len);
    print(&format!(
        "{} executions from {} to {}; at most {} runs of {interfaces} interfaces, {} jobs",
        place("/executions"),
        place("/first"),
        place("/last"),
        place("/runs_most"),
        place("/jobs_most"),
    ));
    let unknown = plan["estimate"]["unknown"].as_u64().unwrap_or_default();
    let seconds = |name: &str| plan["estimate"][name].as_i64().map(|ms| ms / 1_000);
    match (seconds("elapsed_ms"), seconds("one_ms")) {
        _ if unknown == interfaces as u64 => {
            print("how long is not known: nothing of it has succeeded lately")
        }
        (Some(all), Some(one)) => print(&format!(
            "about {all} s, {one} s an execution, by the runs of the last two months; {unknown} interfaces have none"
        )),
        _ => print("its windows do not open within a week"),
    }
    Ok(Code::Ok)
}

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "/id"),
    ("INTERFACE", "/interface/name"),
    ("STATE", "/state"),
    ("MADE", "/made"),
    ("OF", "/planned"),
    ("FAILED", "/executions/failed"),
    ("WHY", "/why"),
];

async fn list(
    api: &Api,
    json: bool,
    live: bool,
    interface: Option<String>,
    before: Option<i64>,
) -> Done {
    let interface = match interface {
        Some(name) => show::id_of(api, Kind::Interface, &name).await?.to_string(),
        None => String::new(),
    };
    let cursor = before.map_or_else(String::new, |id| id.to_string());
    let state = if live { "live" } else { "" };
    let query = [("state", state), ("interface", &interface), ("cursor", &cursor)];
    let found = api.get("/api/v1/backfills", &query).await?;
    if json {
        print_json(&found);
        return Ok(Code::Ok);
    }
    let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    show::table(&COLUMNS, items);
    if let Some(next) = found["next"].as_i64() {
        print(&format!("there are more: --before {next}"));
    }
    Ok(Code::Ok)
}

async fn show_one(api: &Api, json: bool, id: i64) -> Done {
    let found = api.get(&format!("/api/v1/backfills/{id}"), &[]).await?;
    if json {
        print_json(&found);
        return Ok(Code::Ok);
    }
    show::table(&COLUMNS, std::slice::from_ref(&found));
    let made = found["made_executions"].as_array().map(Vec::as_slice).unwrap_or_default();
    show::table(&[("PERIOD", "/period"), ("STATE", "/state"), ("EXECUTION", "/id")], made);
    Ok(Code::Ok)
}
