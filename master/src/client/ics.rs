//! `hcndc calendar import`: the days of an `.ics` file into a calendar, looked at first.

use super::api::Api;
use super::show::{self, Kind};
use super::{Code, Done, Failure, print, print_json};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

const BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum CalendarVerb {
    /// The days of an .ics file into a calendar; what the file does not name stays.
    Import(Options),
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The calendar: it is made if there is none of this name.
    name: String,
    file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn import(api: &Api, json: bool, options: Options) -> Done {
    let Options { name, file, dry_run } = options;
    let shown = file.display();
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {shown}: {error}"));
    if std::fs::metadata(&file).map_err(cannot)?.len() > BYTES_MAX {
        return Err(Failure::usage(format!("{shown} has more than {BYTES_MAX} bytes")));
    }
    let ics = std::fs::read_to_string(&file).map_err(cannot)?;
    let found = api.list(Kind::Calendar.path(), &[("name", &name)]).await?;
    if found["items"].as_array().is_some_and(|all| all.len() > 1) {
        let message = format!("{name:?} names calendars of several projects: use the page");
        return Err(Failure::usage(message));
    }
    let known = found.pointer("/items/0").cloned();
    let id = known.as_ref().map_or(Value::Null, |known| known["id"].clone());
    let mut review =
        api.post("/api/v1/calendars/ics", &json!({ "ics": ics, "calendar": id })).await?;
    let changes = ["/new", "/changed"].iter().any(|at| show::place(&review, at) != "0");
    if !dry_run && changes {
        let mut body = json!({ "name": name, "spec": review["spec"], "reason": "import" });
        match known {
            None => _ = api.post(Kind::Calendar.path(), &body).await?,
            Some(known) => {
                body["version"] = known["version"].clone();
                api.put(&format!("{}/{}", Kind::Calendar.path(), known["id"]), &body).await?;
            }
        }
    }
    review["saved"] = (!dry_run && changes).into();
    if json {
        print_json(&review);
        return Ok(Code::Ok);
    }
    for left in review["left"].as_array().into_iter().flatten() {
        let place = |at| show::place(left, at);
        print(&format!("left out, line {}: {}: {}", place("/line"), place("/what"), place("/why")));
    }
    if show::place(&review, "/left_more") != "0" {
        print(&format!("left out: {} more", review["left_more"]));
    }
    let word = if dry_run { "would be " } else { "" };
    print(&format!(
        "{} days {word}new, {} {word}changed, {} as they are",
        review["new"], review["changed"], review["same"]
    ));
    Ok(Code::Ok)
}
