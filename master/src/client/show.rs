//! `hcndc get`: definitions and hosts, as tables or as the API gives them.

use super::api::Api;
use super::{Code, Done, Failure, print, print_json};
use clap::ValueEnum;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    #[value(alias = "interfaces")]
    Interface,
    #[value(alias = "jobs")]
    Job,
    #[value(alias = "dispatches")]
    Dispatch,
    #[value(alias = "hosts")]
    Host,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Kind::Interface => "/api/v1/interfaces",
            Kind::Job => "/api/v1/jobs",
            Kind::Dispatch => "/api/v1/dispatches",
            Kind::Host => "/api/v1/hosts",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Interface => "interface",
            Kind::Job => "job",
            Kind::Dispatch => "dispatch",
            Kind::Host => "exec host",
        }
    }

    /// Heading, and where it is in an item.
    fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Interface => &[
                ("ID", "/id"),
                ("NAME", "/name"),
                ("GRANULARITY", "/spec/granularity"),
                ("ZONE", "/spec/zone"),
                ("VERSION", "/version"),
                ("DESCRIPTION", "/spec/description"),
            ],
            Kind::Job => &[
                ("ID", "/id"),
                ("INTERFACE", "/interface"),
                ("NAME", "/name"),
                ("KIND", "/spec/kind"),
                ("VERSION", "/version"),
                ("DESCRIPTION", "/spec/description"),
            ],
            Kind::Dispatch => &[
                ("ID", "/id"),
                ("NAME", "/name"),
                ("INTERFACE", "/interface"),
                ("CRON", "/spec/cron"),
                ("ZONE", "/spec/zone"),
                ("PAUSED", "/paused"),
            ],
            Kind::Host => &[
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ADDRESS", "/spec/address"),
                ("SLOTS", "/spec/slots"),
                ("STATE", "/status/state"),
                ("WHY", "/status/why"),
            ],
        }
    }
}

pub(super) async fn get(api: &Api, json: bool, kind: Kind, name: Option<&str>) -> Done {
    let mut list = api.list(kind.path(), &[]).await?;
    if let Some(name) = name {
        let found = pick(&list, kind, name)?;
        // One alone is shown in full, however it is printed.
        print_json(found);
        return Ok(Code::Ok);
    }
    match json {
        true => print_json(&list),
        false => {
            let items = list["items"].take();
            table(kind.columns(), items.as_array().map_or(&[][..], Vec::as_slice));
        }
    }
    Ok(Code::Ok)
}

/// The id of what has this name, or this id; jobs as `interface/job`.
pub(super) async fn id_of(api: &Api, kind: Kind, name: &str) -> Result<i64, Failure> {
    let list = api.list(kind.path(), &[]).await?;
    let found = pick(&list, kind, name)?;
    found["id"].as_i64().ok_or_else(|| missing(kind, name))
}

fn pick<'a>(list: &'a Value, kind: Kind, name: &str) -> Result<&'a Value, Failure> {
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let called = |item: &&Value| {
        let own = item["name"].as_str().unwrap_or_default();
        let of = place(item, "/interface");
        own == name || (kind == Kind::Job && format!("{of}/{own}") == name)
    };
    let mut found: Vec<&Value> = items.iter().filter(called).collect();
    if found.is_empty()
        && let Ok(id) = name.parse::<i64>()
    {
        found = items.iter().filter(|item| item["id"].as_i64() == Some(id)).collect();
    }
    match found[..] {
        [] => Err(missing(kind, name)),
        [one] => Ok(one),
        _ => {
            let ids: Vec<String> = found.iter().map(|item| item["id"].to_string()).collect();
            let ids = ids.join(", ");
            Err(Failure::usage(format!("{name:?} names several ({ids}): give the id")))
        }
    }
}

fn missing(kind: Kind, name: &str) -> Failure {
    Failure::new(Code::Failed, format!("there is no {} {name:?}", kind.word()))
}

/// A value of an item as text; an object with a name is its name.
pub(super) fn place(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(object)) => {
            object.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        Some(other) => other.to_string(),
    }
}

pub(super) fn table(columns: &[(&str, &str)], items: &[Value]) {
    let mut rows: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    for item in items {
        // A line is a line, whatever a description holds.
        let cell = |(_, pointer): &(&str, &str)| place(item, pointer).replace(['\n', '\r'], " ");
        rows.push(columns.iter().map(cell).collect());
    }
    let width = |column: usize| rows.iter().map(|row| columns_of(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += cell;
            line += &" ".repeat(width + 2 - columns_of(cell));
        }
        print(line.trim_end());
    }
}

/// How wide a terminal shows it: an ideograph takes two places.
fn columns_of(text: &str) -> usize {
    let wide = |c: char| matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0x2_0000..=0x3_FFFD);
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}
