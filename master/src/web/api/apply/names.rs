//! Names in a spec become ids.

use super::resolve::Known;
use serde_json::{Map, Value};
use shared::ids::*;
use shared::kind::FieldError;

/// YAML reads `n: 5` as a number, and a person means the text.
pub(super) fn plain_params(spec: &mut Map<String, Value>) {
    let Some(Value::Object(params)) = spec.get_mut("params") else { return };
    for value in params.values_mut() {
        if let Value::Number(_) | Value::Bool(_) = value {
            *value = Value::String(value.to_string());
        }
    }
}

pub(super) fn name_parents(
    spec: &mut Map<String, Value>,
    known: &Known,
    project: ProjectId,
) -> Result<(), Vec<FieldError>> {
    each(spec, "parents", |parent| {
        let id = |name: &str| {
            let found = known.interfaces.get(&(project, name.to_owned()));
            found.map(|id| id.0).ok_or_else(|| missing("interface", name))
        };
        name_field(parent, "interface", &id)
    })
}

/// `calendar` of a spec, or of a part of it.
pub(super) fn name_calendar(
    spec: &mut Map<String, Value>,
    below: &str,
    known: &Known,
    project: ProjectId,
) -> Result<(), Vec<FieldError>> {
    let Some(Value::String(name)) = spec.get("calendar") else { return Ok(()) };
    let Some(id) = known.calendars.get(&(project, name.clone())) else {
        let path = format!("{below}calendar");
        return Err(vec![FieldError::new(path, missing("calendar", name))]);
    };
    spec.insert("calendar".into(), id.0.into());
    Ok(())
}

pub(super) fn name_job(
    spec: &mut Map<String, Value>,
    known: &Known,
    project: ProjectId,
    own: InterfaceId,
) -> Result<(), Vec<FieldError>> {
    each(spec, "after", |edge| {
        let id = |name: &str| {
            let found = known.jobs.get(&(own, name.to_owned()));
            found
                .map(|id| id.0)
                .ok_or_else(|| format!("this interface has no job {name:?}, here or in the files"))
        };
        name_field(edge, "job", &id)
    })?;
    each(spec, "needs", |need| {
        if let Value::String(text) = need {
            let Some((interface, job)) = text.split_once('/') else {
                return Err(("", format!("{text:?} is not of the form interface/job")));
            };
            *need = serde_json::json!({"interface": interface, "job": job});
        }
        let interface = match need.get("interface") {
            Some(Value::String(name)) => known
                .interfaces
                .get(&(project, name.clone()))
                .copied()
                .ok_or_else(|| (".interface", missing("interface", name)))?,
            Some(Value::Number(id)) => InterfaceId(id.as_i64().unwrap_or_default()),
            _ => return Err((".interface", "the name of an interface is required".into())),
        };
        if let Some(field) = need.get_mut("interface") {
            *field = interface.0.into();
        }
        let id = |name: &str| {
            let found = known.jobs.get(&(interface, name.to_owned()));
            found.map(|id| id.0).ok_or_else(|| format!("that interface has no job {name:?}"))
        };
        name_field(need, "job", &id)
    })?;
    let Some(Value::Object(place)) = spec.get_mut("place") else { return Ok(()) };
    let hosts = each(place, "hosts", |host| {
        if let Value::String(name) = host {
            let id = known.hosts.get(name).ok_or_else(|| ("", missing("exec host", name)))?;
            *host = (*id).into();
        }
        Ok(())
    });
    hosts.map_err(|errors| {
        let inside =
            |error: FieldError| FieldError::new(format!("place.{}", error.path), error.message);
        errors.into_iter().map(inside).collect()
    })
}

fn missing(what: &str, name: &str) -> String {
    format!("there is no {what} {name:?}, here or in the files")
}

/// The part of the path below an element, and what is wrong there.
type Wrong = (&'static str, String);

/// Every element of a list; what is not a list is left to be refused by its type.
fn each(
    spec: &mut Map<String, Value>,
    list: &str,
    change: impl Fn(&mut Value) -> Result<(), Wrong>,
) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    if let Some(Value::Array(elements)) = spec.get_mut(list) {
        for (at, element) in elements.iter_mut().enumerate() {
            if let Err((below, message)) = change(element) {
                errors.push(FieldError::new(format!("{list}[{at}]{below}"), message));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// `load` stands for `{job: load}`; a name becomes an id, an id stays.
fn name_field(
    element: &mut Value,
    field: &'static str,
    id: &dyn Fn(&str) -> Result<i64, String>,
) -> Result<(), Wrong> {
    if element.is_string() {
        *element = serde_json::json!({ field: element.take() });
    }
    if let Some(Value::String(name)) = element.get(field) {
        let found = id(name).map_err(|message| ("", message))?;
        if let Some(name) = element.get_mut(field) {
            *name = found.into();
        }
    }
    Ok(())
}
