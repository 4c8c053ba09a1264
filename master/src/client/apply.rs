//! `hcndc apply`: the files' documents to the master, its differences to the terminal.

use super::api::Api;
use super::{Code, Done, files, print, print_json};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A YAML file, or a folder of them; may be given several times.
    #[arg(short, long = "file", required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    /// Why, for the history of versions; at most 500 characters.
    #[arg(long, default_value = "")]
    reason: String,
    /// Another value for a parameter that these files declare.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = files::pair)]
    params: Vec<(String, String)>,
}

pub(super) async fn apply(api: &Api, json: bool, options: Options) -> Done {
    let mut documents = files::read(&options.files)?;
    files::set_params(&mut documents, &options.params.into_iter().collect())?;
    let (dry_run, reason) = (options.dry_run, options.reason);
    let body = json!({"dry_run": dry_run, "reason": reason, "documents": documents});
    let answer = api.post("/api/v1/apply", &body).await?;
    if json {
        print_json(&answer);
        return Ok(Code::Ok);
    }
    let changes = answer["changes"].as_array().map_or(&[][..], Vec::as_slice);
    for change in changes {
        print(&words(change));
    }
    for notice in answer["notices"].as_array().into_iter().flatten() {
        print(&noticed(notice));
    }
    let unchanged = answer["unchanged"].as_u64().unwrap_or(0);
    let would = if dry_run { "would change" } else { "changed" };
    print(&format!("{} {would}, {unchanged} unchanged", changes.len()));
    Ok(Code::Ok)
}

/// What was saved although nobody could say whether it is right.
fn noticed(notice: &Value) -> String {
    let jobs = notice["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = jobs.iter().filter_map(Value::as_str).collect();
    let more = notice["count"].as_u64().unwrap_or(0).saturating_sub(names.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = notice["message"].as_str().unwrap_or_default();
    format!("! job {}{more}: {message}", names.join(", "))
}

fn words(change: &Value) -> String {
    let text = |name: &str| change[name].as_str().unwrap_or_default();
    let sign = match text("action") {
        "create" => '+',
        "delete" => '-',
        _ => '~',
    };
    let name = match text("interface") {
        "" => text("name").to_owned(),
        interface => format!("{interface}/{}", text("name")),
    };
    let mut words = format!("{sign} {} {name}", text("kind"));
    for difference in change["differences"].as_array().into_iter().flatten() {
        let path = difference["path"].as_str().unwrap_or_default();
        words += &format!("\n    {path}: {} -> {}", difference["old"], difference["new"]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_names_jobs_and_counts_the_rest() {
        let notice = json!({"message": "not checked", "jobs": ["a/b", "c/d"], "count": 5});
        assert_eq!(noticed(&notice), "! job a/b, c/d and 3 more: not checked");
        let notice = json!({"message": "not checked", "jobs": ["a/b"], "count": 1});
        assert_eq!(noticed(&notice), "! job a/b: not checked");
    }
}
