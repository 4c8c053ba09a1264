//! What *kettle* and *hop* have in common: fields, parameters, and their place in the work of a host.

use super::check::{ITEM_CHARS_MAX, scalar};
use super::render::render;
use super::{Context, Field, FieldError, Fields, Input, Names};
use crate::etl::Etl;
use crate::etl::outcome::WITH_ERRORS;
use crate::secret::is_secret;
use crate::wire::Work;
use serde_json::Value;
use std::collections::BTreeMap;

/// Spelled as they spell it: anything else is silently *Basic*.
pub(super) const LEVELS: &[&str] =
    &["Nothing", "Error", "Minimal", "Basic", "Detailed", "Debug", "Rowlevel"];
const START_WITHIN_S: u32 = 600;

pub(super) const PARAMS: Field = Field {
    name: "params",
    label: "Named parameters",
    help: "NAME=value a line; ${date}, ${period} and parameters of the job are filled in. What it runs \
           must declare each of them.",
    input: Input::Map { items_max: 100, names: Names::Any },
    required: false,
};
pub(super) const LEVEL: Field = Field {
    name: "level",
    label: "Log level",
    help: "Row counts are told from Basic on; empty means Basic.",
    input: Input::Choice(LEVELS),
    required: false,
};
pub(super) const ERRORS: Field = Field {
    name: "errors",
    label: "Errors with exit code 0",
    help: "What it is when the program says success and its log tells of errors or rejected rows: a \
           warning (then it has succeeded) or a failure; empty means a warning.",
    input: Input::Choice(&["warning", "failure"]),
    required: false,
};
pub(super) const START_WITHIN: Field = Field {
    name: "start_within_s",
    label: "Must begin within (s)",
    help: "One that waits for a browser or a password never begins: it is ended then. Empty means 600. Below the \
           level Basic (from a file: Minimal) it is silent, and only the time-out of the job ends it.",
    input: Input::Number { min: 10, max: 86_400 },
    required: false,
};
pub(super) const WARM: Field = Field {
    name: "warm",
    label: "Warm engine",
    help: "In a JVM that the host keeps ready with its engine loaded, if it has one ([warm] of its \
           executor.toml): it begins at once, and shares that JVM with other runs. Else it starts cold.",
    input: Input::Switch,
    required: false,
};
pub(super) const ENV: Field = Field {
    name: "env",
    label: "Environment",
    help: "NAME=value a line; ${date}, ${period} and parameters are filled in.",
    input: Input::Map { items_max: 200, names: Names::Variables },
    required: false,
};
pub(super) const OUTPUT: Field = Field {
    name: "output_max_mib",
    label: "Output kept (MiB)",
    help: "Of each stream; of a longer output the beginning and the end are kept.",
    input: Input::Number { min: 1, max: 10_240 },
    required: false,
};

pub(super) fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn items(fields: &Fields, name: &str) -> BTreeMap<String, String> {
    let entries = fields.get(name).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect()
}

pub(super) fn level(fields: &Fields) -> &str {
    match text(fields, "level") {
        "" => "Basic",
        level => level,
    }
}

/// Of the parameters that it is given.
pub(super) fn names(fields: &Fields) -> Vec<String> {
    items(fields, "params").into_keys().collect()
}

/// At less than *Minimal* it does not even say that it begins.
pub(super) fn speaks(fields: &Fields) -> bool {
    !matches!(level(fields), "Nothing" | "Error")
}

pub(super) fn start_within_s(fields: &Fields) -> u32 {
    let given = fields.get("start_within_s").and_then(Value::as_u64);
    given.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(START_WITHIN_S)
}

pub(super) fn success_codes(fields: &Fields) -> Vec<i32> {
    match text(fields, "errors") {
        "failure" => vec![0],
        _ => vec![0, WITH_ERRORS],
    }
}

/// What is wrong with the fields that both have.
pub(super) fn validate(fields: &Fields, jvm_variable: &str) -> Vec<FieldError> {
    let mut errors = check_params(fields);
    for name in items(fields, "env").keys() {
        let why = match name.as_str() {
            _ if name.starts_with("HCNDC_") => "names that begin with HCNDC_ are set by HCNDC",
            _ if name == jvm_variable => "it has a field of its own: JVM options",
            "KETTLE_REPOSITORY" | "KETTLE_USER" | "KETTLE_PASSWORD" => {
                "it would beat the fields above: a password belongs into the environment of the host"
            }
            _ => continue,
        };
        errors.push(FieldError::new(format!("fields.env.{name}"), why));
    }
    errors
}

/// Parameters that would be seen by all on the command line.
fn check_params(fields: &Fields) -> Vec<FieldError> {
    let all = items(fields, "params").into_iter();
    let secret = all.filter(|(name, value)| !value.is_empty() && is_secret(name, value));
    let error = |(name, _)| {
        let why = "it looks like a secret, and a parameter stands on the command line for all to read: \
                   put it into the kettle.properties or the configuration that it runs with, or into a \
                   variable of the environment of its host, under a name of its own";
        FieldError::new(format!("fields.params.{name}"), why)
    };
    secret.map(error).collect()
}

/// It may be lent a JVM.
pub(super) fn warm(fields: &Fields) -> bool {
    fields.get("warm").and_then(Value::as_bool).unwrap_or_default()
}

/// What one JVM cannot give to each of its runs.
pub(super) fn check_warm(fields: &Fields, others: &[&str]) -> Vec<FieldError> {
    let given =
        |name: &str| !text(fields, name).trim().is_empty() || !items(fields, name).is_empty();
    let wrong = |name: &&&str| warm(fields) && given(name);
    let error = |name: &&str| {
        let why = "runs of a warm engine share its JVM and have none of their own: empty it, or start cold";
        FieldError::new(format!("fields.{name}"), why)
    };
    ["java_options", "env"].iter().chain(others).filter(wrong).map(error).collect()
}

/// A field, filled in.
pub(super) fn filled(fields: &Fields, name: &str, context: &Context) -> Result<String, FieldError> {
    let made = render(text(fields, name).trim(), context);
    made.map_err(|why| FieldError::new(format!("fields.{name}"), why))
}

/// A map, filled in.
pub(super) fn filled_map(
    fields: &Fields,
    name: &str,
    context: &Context,
) -> Result<BTreeMap<String, String>, FieldError> {
    let mut map = BTreeMap::new();
    for (key, value) in items(fields, name) {
        let wrong = |why: String| FieldError::new(format!("fields.{name}.{key}"), why);
        let value = render(&value, context).map_err(wrong)?;
        if value.chars().count() > ITEM_CHARS_MAX {
            return Err(wrong(format!("longer than {ITEM_CHARS_MAX} characters once filled in")));
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// The work of a host from its parts.
pub(super) fn work(
    fields: &Fields,
    context: &Context,
    (argv, jvm_variable): (Vec<String>, &str),
    etl: Etl,
) -> Result<Work, FieldError> {
    let mut env = filled_map(fields, "env", context)?;
    let options = filled(fields, "java_options", context)?;
    if !options.is_empty() {
        env.insert(jvm_variable.to_owned(), options);
    }
    let output_max = fields.get("output_max_mib").and_then(Value::as_u64);
    Ok(Work {
        argv,
        env,
        success_codes: success_codes(fields),
        output_max: output_max.map(|mib| mib.saturating_mul(1 << 20)),
        etl: Some(Box::new(etl)),
        ..Work::default()
    })
}
