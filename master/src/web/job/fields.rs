//! The part of a job's form that its kind declares: fields to texts and back.

use super::super::form::Form;
use serde::Serialize;
use serde_json::Value as Json;
use shared::kind::{self, Input};
use shared::spec::JobSpec;

/// A kind's field, for the template.
#[derive(Debug, Serialize)]
pub(super) struct FieldView {
    name: String,
    label: &'static str,
    help: &'static str,
    /// `line`, `text`, `number`, `switch`, `choice`, `list`, `map`.
    input: &'static str,
    max: usize,
    choices: &'static [&'static str],
    required: bool,
}

/// A kind's fields are named `fields.NAME`, as their errors are; those of other kinds are not sent.
pub(super) fn fields(kind: &dyn kind::Kind) -> Vec<FieldView> {
    let view = |field: &kind::Field| {
        let (input, max, choices): (_, _, &'static [&'static str]) = match field.input {
            Input::Line { chars_max } => ("line", chars_max, &[]),
            Input::Text { chars_max } => ("text", chars_max, &[]),
            Input::Number { .. } => ("number", 20, &[]),
            Input::Switch => ("switch", 0, &[]),
            Input::Choice(choices) => ("choice", 0, choices),
            Input::List { items_max } => ("list", items_max.saturating_mul(4_000), &[]),
            Input::Map { items_max, .. } => ("map", items_max.saturating_mul(4_000), &[]),
        };
        let name = format!("fields.{}", field.name);
        let (label, help, required) = (field.label, field.help, field.required);
        FieldView { name, label, help, input, max, choices, required }
    };
    kind.fields().iter().map(view).collect()
}

pub(super) fn write_fields(form: &mut Form, spec: &JobSpec) {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    };
    for (name, value) in &spec.fields {
        let name = format!("fields.{name}");
        match value {
            Json::Bool(on) => form.set(name, if *on { "on" } else { "" }),
            Json::Array(items) => {
                form.set(name, items.iter().map(text).collect::<Vec<_>>().join("\n"));
            }
            Json::Object(map) => {
                let lines = map.iter().map(|(key, value)| format!("{key}={}", text(value)));
                form.set(name, lines.collect::<Vec<_>>().join("\n"));
            }
            other => form.set(name, text(other)),
        }
    }
}

/// Empty fields are left out: the kind's default holds.
pub(super) fn read_fields(form: &mut Form, kind: &str) -> kind::Fields {
    let mut read = kind::Fields::new();
    for field in kind::find(kind).map(|kind| kind.fields()).unwrap_or_default() {
        let name = format!("fields.{}", field.name);
        let value = match field.input {
            Input::Line { .. } | Input::Choice(_) if form.text(&name).is_empty() => continue,
            Input::Line { .. } | Input::Choice(_) => form.text(&name).into(),
            Input::Text { .. } if form.raw(&name).trim().is_empty() => continue,
            Input::Text { .. } => form.raw(&name).into(),
            Input::Switch if form.flag(&name) => true.into(),
            Input::Switch => continue,
            Input::Number { .. } => match form.text(&name) {
                "" => continue,
                text => match text.parse::<i64>() {
                    Ok(number) => number.into(),
                    Err(_) => {
                        form.wrong(name, "a whole number is expected here");
                        continue;
                    }
                },
            },
            // Blanks belong to an argument: only the line's end does not.
            Input::List { .. } => match form.raw(&name).trim_end_matches('\n') {
                "" => continue,
                text => text.split('\n').map(Json::from).collect::<Vec<_>>().into(),
            },
            Input::Map { .. } => {
                let map = form.map(&name);
                if map.is_empty() {
                    continue;
                }
                map.into_iter()
                    .map(|(key, value)| (key, Json::from(value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
        };
        read.insert(field.name.to_owned(), value);
    }
    read
}
