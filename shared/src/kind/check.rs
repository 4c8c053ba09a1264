//! The general checks of a kind's fields: unknown, required, types, limits. What only the kind can
//! know it says itself, afterwards.

use super::{Field, FieldError, Fields, Input, Names, find, render, unknown_kind};
use serde_json::Value;

/// Characters of one item of a list, or of one value of a map.
pub const ITEM_CHARS_MAX: usize = 4_000;

/// Everything that is wrong with what a person has filled in, each error beside its field
/// (`fields.args[2]`); `kind` itself may be what is wrong.
pub fn check(kind: &str, fields: &Fields) -> Vec<FieldError> {
    let Some(kind) = find(kind) else { return vec![unknown_kind(kind)] };
    let declared = kind.fields();
    let mut errors = Vec::new();
    for name in fields.keys() {
        if !declared.iter().any(|field| field.name == name) {
            let known: Vec<&str> = declared.iter().map(|field| field.name).collect();
            let shown: String = name.chars().take(40).collect();
            errors.push(FieldError::new(
                format!("fields.{shown}"),
                format!("{} has no such field; it has: {}", kind.name(), known.join(", ")),
            ));
        }
    }
    for field in declared {
        match fields.get(field.name) {
            None | Some(Value::Null) if field.required => {
                errors.push(FieldError::new(path(field), "this field is required"));
            }
            None | Some(Value::Null) => {}
            Some(value) => check_value(field, value, &mut errors),
        }
    }
    // Only what is well-formed is looked at closely: one slip, one error.
    if errors.is_empty() {
        errors = kind.validate(fields);
    }
    errors
}

/// Placeholders that no period and no run could fill in: `known` says which parameters there are.
pub fn check_placeholders(
    kind: &str,
    fields: &Fields,
    known: &dyn Fn(&str) -> bool,
) -> Vec<FieldError> {
    let rendered = find(kind).map_or(&[][..], |kind| kind.rendered());
    let mut errors = Vec::new();
    let mut look = |path: String, value: &Value| {
        let problems = render::problems(&scalar(value).unwrap_or_default(), known);
        errors.extend(problems.into_iter().map(|problem| FieldError::new(path.clone(), problem)));
    };
    for name in rendered {
        match fields.get(*name) {
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    look(format!("fields.{name}[{index}]"), item);
                }
            }
            Some(Value::Object(items)) => {
                for (key, item) in items {
                    look(format!("fields.{name}.{key}"), item);
                }
            }
            Some(value) => look(format!("fields.{name}"), value),
            None => {}
        }
    }
    errors
}

fn path(field: &Field) -> String {
    format!("fields.{}", field.name)
}

fn check_value(field: &Field, value: &Value, errors: &mut Vec<FieldError>) {
    let mut wrong = |message: String| errors.push(FieldError::new(path(field), message));
    match (field.input, value) {
        (Input::Line { chars_max }, Value::String(text)) => {
            if text.contains(['\n', '\r']) {
                wrong("one line is expected".into());
            } else if let Some(problem) = text_problem(text, chars_max) {
                wrong(problem);
            } else if field.required && text.trim().is_empty() {
                wrong("this field is required".into());
            }
        }
        (Input::Text { chars_max }, Value::String(text)) => {
            if let Some(problem) = text_problem(text, chars_max) {
                wrong(problem);
            }
        }
        (Input::Number { min, max }, Value::Number(number)) => {
            if !number.as_i64().is_some_and(|number| (min..=max).contains(&number)) {
                wrong(format!("a whole number from {min} to {max} is expected"));
            }
        }
        (Input::Switch, Value::Bool(_)) => {}
        (Input::Choice(choices), Value::String(text)) => {
            if !choices.contains(&text.as_str()) {
                wrong(format!("one of {} is expected", choices.join(", ")));
            }
        }
        (Input::List { items_max }, Value::Array(items)) => {
            check_list(field, items, items_max, errors);
        }
        (Input::Map { items_max, names }, Value::Object(items)) => {
            check_map(field, items, (items_max, names), errors);
        }
        (input, _) => wrong(format!("{} is expected", wanted(input))),
    }
}

fn wanted(input: Input) -> &'static str {
    match input {
        Input::Line { .. } | Input::Text { .. } => "a text",
        Input::Number { .. } => "a number",
        Input::Switch => "true or false",
        Input::Choice(_) => "one of the choices",
        Input::List { .. } => "a list of texts",
        Input::Map { .. } => "a map of names to texts",
    }
}

fn text_problem(text: &str, chars_max: usize) -> Option<String> {
    let chars = text.chars().count();
    if chars > chars_max {
        return Some(format!("{chars} characters; at most {chars_max} are allowed"));
    }
    text.contains('\0').then(|| "a NUL character cannot be given to a program".into())
}

fn check_list(field: &Field, items: &[Value], items_max: usize, errors: &mut Vec<FieldError>) {
    if items.len() > items_max {
        let message = format!("{} items; at most {items_max} are allowed", items.len());
        errors.push(FieldError::new(path(field), message));
        return;
    }
    for (index, item) in items.iter().enumerate() {
        let problem = match scalar(item) {
            None => Some("a text or a number is expected".to_owned()),
            Some(text) => text_problem(&text, ITEM_CHARS_MAX),
        };
        if let Some(problem) = problem {
            errors.push(FieldError::new(format!("{}[{index}]", path(field)), problem));
        }
    }
}

fn check_map(
    field: &Field,
    items: &serde_json::Map<String, Value>,
    (items_max, names): (usize, Names),
    errors: &mut Vec<FieldError>,
) {
    if items.len() > items_max {
        let message = format!("{} entries; at most {items_max} are allowed", items.len());
        errors.push(FieldError::new(path(field), message));
        return;
    }
    for (name, item) in items {
        let shown: String = name.chars().take(40).collect();
        let problem = match scalar(item) {
            _ if names == Names::Any && !is_plain(name) => {
                Some("a name is one line without =, at most 100 characters".to_owned())
            }
            _ if names == Names::Variables && !is_variable(name) => {
                Some("a name is letters, digits and _, and begins with no digit".to_owned())
            }
            None => Some("a text or a number is expected".to_owned()),
            Some(text) => text_problem(&text, ITEM_CHARS_MAX),
        };
        if let Some(problem) = problem {
            errors.push(FieldError::new(format!("{}.{shown}", path(field)), problem));
        }
    }
}

/// Names of parameters and environment variables: `[A-Za-z_][A-Za-z0-9_]*`, at most 64.
pub fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 64
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A name that stands before a `=` in a text.
fn is_plain(name: &str) -> bool {
    let forbidden = |c: char| c == '=' || c.is_control();
    !name.trim().is_empty() && name.chars().count() <= 100 && !name.contains(forbidden)
}

/// Names of environments: letters, digits, `_`, `-` and `.`, at most 40.
pub fn is_environment(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (1..=40).contains(&name.len()) && name.chars().all(plain)
}

/// A text, a number or a switch as text: YAML turns `-n 5` into a number, and a person means "5".
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    }
}
