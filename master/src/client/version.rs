//! `hcndc history`, `diff`, `rollback`, `copy`, `export`: versions of definitions.

use super::api::Api;
use super::execution::when;
use super::show::{self, id_of};
use super::{Code, Done, Failure, print, print_json};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// What has versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Interface,
    Job,
    Dispatch,
    Calendar,
    Host,
    Project,
}

impl Kind {
    /// None: it is no definition that `get` shows.
    fn shown(self) -> Option<show::Kind> {
        Some(match self {
            Kind::Interface => show::Kind::Interface,
            Kind::Job => show::Kind::Job,
            Kind::Dispatch => show::Kind::Dispatch,
            Kind::Calendar => show::Kind::Calendar,
            Kind::Host => show::Kind::Host,
            Kind::Project => return None,
        })
    }
}

/// Where the API has it.
async fn place(api: &Api, (kind, name): (Kind, &str)) -> Result<String, Failure> {
    match kind.shown() {
        Some(kind) => Ok(format!("{}/{}", kind.path(), id_of(api, kind, name).await?)),
        None => Ok(format!("/api/v1/projects/{}", project(api, name).await?)),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Everything that you may see: exec hosts, interfaces with their jobs and dispatches.
    All,
    /// One interface with its jobs and dispatches.
    Interface { name: String },
    /// All of one project.
    Project { name: String },
}

pub(super) async fn export(api: &Api, json: bool, what: Export) -> Done {
    let id;
    let mut query = Vec::new();
    match what {
        Export::All => {}
        Export::Interface { name } => {
            id = id_of(api, show::Kind::Interface, &name).await?.to_string();
            query.push(("interface", id.as_str()));
        }
        Export::Project { name } => {
            id = project(api, &name).await?;
            query.push(("project", id.as_str()));
        }
    }
    if json {
        print_json(&api.get("/api/v1/export", &query).await?);
        return Ok(Code::Ok);
    }
    query.push(("format", "yaml"));
    let text = api.text("/api/v1/export", &query).await?;
    // To the byte: what is exported again is compared with it.
    print(text.strip_suffix('\n').unwrap_or(&text));
    Ok(Code::Ok)
}

async fn project(api: &Api, name: &str) -> Result<String, Failure> {
    let all = api.get("/api/v1/projects", &[]).await?;
    let mut items = all["items"].as_array().into_iter().flatten();
    let id = name.parse::<i64>().ok();
    let found = items.find(|it| it["name"] == name || id.is_some_and(|id| it["id"] == id));
    let missing = || Failure::new(Code::Failed, format!("there is no project {name:?}"));
    found.map(|it| it["id"].to_string()).ok_or_else(missing)
}

pub(super) async fn history(
    api: &Api,
    json: bool,
    of: (Kind, &str),
    (before, limit): (Option<i64>, u32),
) -> Done {
    let place = place(api, of).await?;
    let (before, limit) = (before.map(|before| before.to_string()), limit.to_string());
    let mut query = vec![("limit", limit.as_str())];
    query.extend(before.as_deref().map(|before| ("before", before)));
    let answer = api.get(&format!("{place}/versions"), &query).await?;
    if json {
        print_json(&answer);
        return Ok(Code::Ok);
    }
    for step in answer["items"].as_array().into_iter().flatten() {
        print(&step_words(step));
    }
    if let Some(next) = answer["next"].as_i64() {
        print(&format!("older: --before {next}"));
    }
    Ok(Code::Ok)
}

fn step_words(step: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut words =
        format!("v{}  {}  {}", step["version"], when(&step["at_ms"]), text(&step["by"]["name"]));
    let how = match (step["rolled_back_to"].as_i64(), step["copy_of"].as_i64()) {
        (Some(to), _) => format!("rolled back to {to}"),
        (None, Some(id)) => format!("copy of {id}"),
        (None, None) if step["applied"] == true => "from files".into(),
        (None, None) => String::new(),
    };
    for part in [how, text(&step["reason"])].iter().filter(|part| !part.is_empty()) {
        words += &format!("  {part}");
    }
    if step["first"] == true {
        words += "\n    first version";
    }
    if step["deleted"] == true {
        words += "\n    taken out";
    }
    for change in step["changes"].as_array().into_iter().flatten() {
        let [old, new] = ["old", "new"].map(|side| show_value(&change[side]));
        words += &format!("\n    {}: {old} -> {new}", text(&change["path"]));
    }
    for job in step["jobs"].as_array().into_iter().flatten() {
        words += &format!("\n    {} job {}", sign(job), text(&job["name"]));
    }
    if let Some(more) = step["more"].as_u64().filter(|more| *more > 0) {
        words += &format!("\n    and {more} more");
    }
    words
}

fn sign(change: &Value) -> char {
    match change["change"].as_str() {
        Some("added") => '+',
        Some("removed") => '-',
        _ => '~',
    }
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        other => other.to_string(),
    }
}

pub(super) async fn diff(
    api: &Api,
    json: bool,
    of: (Kind, &str),
    (from, to): (Option<i64>, Option<i64>),
) -> Done {
    let place = place(api, of).await?;
    let [from, to] = [from, to].map(|version| version.map(|version| version.to_string()));
    let mut query = Vec::new();
    query.extend(from.as_deref().map(|from| ("from", from)));
    query.extend(to.as_deref().map(|to| ("to", to)));
    let answer = api.get(&format!("{place}/diff"), &query).await?;
    if json {
        print_json(&answer);
        return Ok(Code::Ok);
    }
    for (side, sign) in [("from", "---"), ("to", "+++")] {
        let made = &answer[side];
        let text = |name: &str| made[name].as_str().unwrap_or_default();
        let words = format!(
            "{sign} v{}  {}  {}  {}",
            made["version"],
            when(&made["at_ms"]),
            text("by"),
            text("reason")
        );
        print(words.trim_end());
    }
    print_diff(&answer["diff"]);
    Ok(Code::Ok)
}

fn print_diff(diff: &Value) {
    let list = |name: &str| diff[name].as_array().map_or(&[][..], Vec::as_slice).to_vec();
    let (fields, edges, jobs) = (list("fields"), list("edges"), list("jobs"));
    if fields.is_empty() && edges.is_empty() && jobs.is_empty() {
        print("they are the same");
    }
    print_fields(&fields, "");
    for edge in &edges {
        let text = |name: &str| edge[name].as_str().unwrap_or_default();
        let expect = [text("old"), text("new")];
        let expect: Vec<&str> = expect.into_iter().filter(|word| !word.is_empty()).collect();
        let expect = expect.join(" -> ");
        print(&format!("{} edge {} -> {} ({expect})", sign(edge), text("from"), text("to")));
    }
    for job in &jobs {
        print(&format!("{} job {}", sign(job), job["name"].as_str().unwrap_or_default()));
        print_fields(job["fields"].as_array().map_or(&[][..], Vec::as_slice), "    ");
    }
    if let Some(more) = diff["more"].as_u64().filter(|more| *more > 0) {
        print(&format!("and {more} more"));
    }
}

fn print_fields(fields: &[Value], indent: &str) {
    for field in fields {
        let path = field["path"].as_str().unwrap_or_default();
        let lines = field["lines"].as_array().map_or(&[][..], Vec::as_slice);
        if lines.is_empty() {
            let [old, new] = ["old", "new"].map(|side| show_value(&field[side]));
            print(&format!("{indent}{path}: {old} -> {new}"));
            continue;
        }
        print(&format!("{indent}{path}:"));
        for line in lines {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            match text("sign") {
                "…" => print(&format!("{indent}    … {} lines as before", text("text"))),
                sign => print(format!("{indent}  {sign} {}", text("text")).trim_end()),
            }
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[arg(value_enum)]
    kind: Kind,
    name: String,
    /// To be as this version was.
    version: i64,
    /// Only if this is the newest version still.
    #[arg(long, value_name = "VERSION")]
    from: Option<i64>,
    /// Why, for the history of versions; at most 500 characters.
    #[arg(long, default_value = "")]
    reason: String,
    /// Only show what it would change, and whether it can.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn roll_back(api: &Api, json: bool, options: Rollback) -> Done {
    let Rollback { kind, name, version, from, reason, dry_run } = options;
    let place = place(api, (kind, &name)).await?;
    let body = json!({"version": version, "from": from, "reason": reason, "dry_run": dry_run});
    let answer = api.post(&format!("{place}/rollback"), &body).await?;
    if json {
        print_json(&answer);
        return Ok(Code::Ok);
    }
    print_diff(&answer["diff"]);
    for one in answer["uses"].as_array().into_iter().flatten() {
        print(&format!("used by {}", one.as_str().unwrap_or_default()));
    }
    if let Some(live) = answer["live_runs"].as_i64().filter(|live| *live > 0) {
        print(&format!("{live} runs that have begun keep their version"));
    }
    print(&match answer["version"].as_i64() {
        Some(made) => format!("version {made} is as version {version} was"),
        None => format!("would be as version {version} was"),
    });
    Ok(Code::Ok)
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    #[arg(value_enum)]
    kind: Kind,
    name: String,
    /// What the copy is called.
    new_name: String,
    /// Of a job or a dispatch: into another interface than its own.
    #[arg(long)]
    interface: Option<String>,
    /// Why, for the history of versions; at most 500 characters.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(super) async fn copy(api: &Api, json: bool, options: Copy) -> Done {
    let Copy { kind, name, new_name, interface, reason } = options;
    if matches!(kind, Kind::Host | Kind::Project) {
        return Err(Failure::usage("hosts and projects are not copied"));
    }
    let place = place(api, (kind, &name)).await?;
    let into = match interface {
        Some(_) if !matches!(kind, Kind::Job | Kind::Dispatch) => {
            return Err(Failure::usage("--interface is for a job or a dispatch"));
        }
        Some(interface) => Some(id_of(api, show::Kind::Interface, &interface).await?),
        None => None,
    };
    let body = json!({"name": new_name, "interface": into, "reason": reason});
    let made = api.post(&format!("{place}/copy"), &body).await?;
    match json {
        true => print_json(&made),
        false => print(&format!("{} is a copy of {name}, #{}", new_name, made["id"])),
    }
    Ok(Code::Ok)
}
