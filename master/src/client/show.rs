//! `hcndc get`: definitions and hosts, as tables or as the API gives them.

use super::api::Api;
use super::{Code, Done, Failure, print, print_json};
use clap::ValueEnum;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    #[value(alias = "interfaces")]
    Interface,
    #[value(alias = "jobs")]
    Job,
    #[value(alias = "dispatches")]
    Dispatch,
    #[value(alias = "calendars")]
    Calendar,
    #[value(alias = "hosts")]
    Host,
}

impl Kind {
    pub(super) fn path(self) -> &'static str {
        match self {
            Kind::Interface => "/api/v1/interfaces",
            Kind::Job => "/api/v1/jobs",
            Kind::Dispatch => "/api/v1/dispatches",
            Kind::Calendar => "/api/v1/calendars",
            Kind::Host => "/api/v1/hosts",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Interface => "interface",
            Kind::Job => "job",
            Kind::Dispatch => "dispatch",
            Kind::Calendar => "calendar",
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
                ("INTERFACE", "/spec/interface"),
                ("CRON", "/spec/cron"),
                ("ZONE", "/spec/zone"),
                ("VERSION", "/version"),
            ],
            Kind::Calendar => &[
                ("ID", "/id"),
                ("NAME", "/name"),
                ("REST", "/spec/rest"),
                ("VERSION", "/version"),
                ("DESCRIPTION", "/spec/description"),
            ],
            Kind::Host => &[
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ADDRESS", "/spec/address"),
                ("SLOTS", "/spec/slots"),
                ("STATE", "/status/state"),
                ("WHY", "/status/last/why"),
            ],
        }
    }
}

pub(super) async fn get(api: &Api, json: bool, kind: Kind, name: Option<&str>) -> Done {
    if let Some(name) = name {
        // One alone is shown in full, however it is printed.
        print_json(&find(api, kind, name).await?);
        return Ok(Code::Ok);
    }
    let mut list = api.list(kind.path(), &[]).await?;
    if json {
        print_json(&list);
        return Ok(Code::Ok);
    }
    let mut items = list["items"].take();
    let items = items.as_array_mut().map(std::mem::take).unwrap_or_default();
    let items = match kind {
        Kind::Job | Kind::Dispatch => with_names(api, items).await?,
        Kind::Interface | Kind::Calendar | Kind::Host => items,
    };
    table(kind.columns(), &items);
    Ok(Code::Ok)
}

/// The interface by name, for people.
async fn with_names(api: &Api, mut items: Vec<Value>) -> Result<Vec<Value>, Failure> {
    let interfaces = api.list(Kind::Interface.path(), &[]).await?;
    let names: BTreeMap<i64, &str> = interfaces["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| Some((it["id"].as_i64()?, it["name"].as_str()?)))
        .collect();
    for item in &mut items {
        for pointer in ["/interface", "/spec/interface"] {
            if let Some(field) = item.pointer_mut(pointer)
                && let Some(name) = field.as_i64().and_then(|id| names.get(&id))
            {
                *field = (*name).into();
            }
        }
    }
    Ok(items)
}

/// The id of what has this name, or this id.
pub(super) async fn id_of(api: &Api, kind: Kind, name: &str) -> Result<i64, Failure> {
    let found = find(api, kind, name).await?;
    found["id"].as_i64().ok_or_else(|| missing(kind, name))
}

/// The id of a job of an interface that is known; `given` is what the person has called that one.
pub(super) async fn id_of_job(
    api: &Api,
    (interface, given): (i64, &str),
    name: &str,
) -> Result<i64, Failure> {
    let said = format!("{given}/{name}");
    let found = named(api, Kind::Job, (&interface.to_string(), name), &said).await?;
    found["id"].as_i64().ok_or_else(|| missing(Kind::Job, &said))
}

/// By name, or else by id; a job also as `interface/job`.
async fn find(api: &Api, kind: Kind, name: &str) -> Result<Value, Failure> {
    let (of, own) = match name.split_once('/') {
        Some((interface, job)) if kind == Kind::Job => (Some(interface), job),
        _ => (None, name),
    };
    let of = match of {
        // Named by its name or its id, and never by a slash: this goes one deep.
        Some(interface) => Box::pin(id_of(api, Kind::Interface, interface)).await?.to_string(),
        None => String::new(),
    };
    named(api, kind, (&of, own), name).await
}

/// Of this interface, if one is given; `said` is how the person has named it.
async fn named(
    api: &Api,
    kind: Kind,
    (of, own): (&str, &str),
    said: &str,
) -> Result<Value, Failure> {
    let mut query = vec![("name", own)];
    if !of.is_empty() {
        query.push(("interface", of));
    }
    let mut list = api.list(kind.path(), &query).await?;
    let mut found = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().map(|item| item["id"].to_string()).collect();
        let ids = ids.join(", ");
        return Err(Failure::usage(format!("{said:?} names several ({ids}): give the id")));
    }
    match (found.pop(), said.parse::<i64>()) {
        (Some(one), _) => Ok(one),
        (None, Ok(id)) => api.get(&format!("{}/{id}", kind.path()), &[]).await,
        (None, Err(_)) => Err(missing(kind, said)),
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
