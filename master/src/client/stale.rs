//! `hcndc stale`: what was fed by a generation that has been made anew since, and running it anew.

use super::api::Api;
use super::execution::command;
use super::show::{self, Kind};
use super::{Code, Done, Failure, print, print_json};
use clap::Args;
use serde_json::{Value, json};

/// Rows that one call lists, and of which it runs the first ones anew.
const LISTED_MAX: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only of this one: name or id.
    #[arg(long)]
    interface: Option<String>,
    /// Run it anew, with all that follows from it.
    #[arg(long)]
    rerun: bool,
    /// Only show what running it anew would do.
    #[arg(long, requires = "rerun")]
    dry_run: bool,
}

pub(super) async fn stale(api: &Api, json: bool, options: Options) -> Done {
    let interface = match &options.interface {
        Some(name) => show::id_of(api, Kind::Interface, name).await?.to_string(),
        None => String::new(),
    };
    let (items, next) = listed(api, &interface).await?;
    if options.rerun {
        return rerun(api, json, items, options.dry_run).await;
    }
    if json {
        print_json(&json!({ "items": items, "next": next }));
        return Ok(Code::Ok);
    }
    let columns = [
        ("INTERFACE", "/interface"),
        ("PERIOD", "/period"),
        ("GENERATION", "/generation"),
        ("STATE", "/state"),
        ("EXECUTION", "/execution"),
        ("BECAUSE", "/because"),
    ];
    let rows: Vec<Value> = items.into_iter().map(with_cause).collect();
    show::table(&columns, &rows);
    if next.is_some() {
        print(&format!("there are more than {LISTED_MAX}: name an interface"));
    }
    Ok(Code::Ok)
}

fn with_cause(mut item: Value) -> Value {
    let fed = item["fed_by"].as_array().cloned().unwrap_or_default();
    let texts: Vec<&str> = fed.iter().filter_map(|line| line["text"].as_str()).collect();
    item["because"] = texts.join("; ").into();
    item
}

async fn listed(api: &Api, interface: &str) -> Result<(Vec<Value>, Option<String>), Failure> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = [("interface", interface), ("cursor", cursor.as_str())];
        let page = api.get("/api/v1/stale", &query).await?;
        all.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) if all.len() < LISTED_MAX => cursor = next.to_owned(),
            next => return Ok((all, next.map(str::to_owned))),
        }
    }
}

/// Those that nothing stale has fed: the others follow from them.
async fn rerun(api: &Api, json: bool, items: Vec<Value>, dry_run: bool) -> Done {
    let (mut begun, mut refused, mut runs, mut jobs) = (Vec::new(), Vec::new(), 0, 0);
    for one in items.iter().filter(|one| one["first"] == true) {
        let verb = json!({
            "verb": "run_now", "interface": one["interface"]["id"], "period": one["period"],
            "cascade": true, "dry_run": dry_run,
        });
        match command(api, verb).await {
            Ok(answer) => {
                runs += answer["plan"]["runs_made"].as_u64().unwrap_or(0);
                jobs += answer["plan"]["jobs_to_run"].as_u64().unwrap_or(0);
                begun.push(answer["plan"]["execution"].clone());
            }
            Err(failure) if failure.code == Code::Failed => {
                let what =
                    format!("{} {}", show::place(one, "/interface"), show::place(one, "/period"));
                refused.push(json!({ "what": what, "why": failure.message }));
            }
            Err(failure) => return Err(failure),
        }
    }
    let code = if refused.is_empty() { Code::Ok } else { Code::Failed };
    if json {
        print_json(&json!({
            "items": begun, "refused": refused, "runs_made": runs, "jobs_to_run": jobs,
            "dry_run": dry_run,
        }));
        return Ok(code);
    }
    for one in &refused {
        print(&format!("{}: refused: {}", show::place(one, "/what"), show::place(one, "/why")));
    }
    let would = if dry_run { "would be: " } else { "" };
    let (begun, refused) = (begun.len(), refused.len());
    print(&format!(
        "{would}{begun} executions begun, {runs} runs made, {jobs} jobs to run, {refused} refused"
    ));
    Ok(code)
}
