//! Definitions as documents that `apply` takes back unchanged. Pure.
//!
//! The same definitions give the same bytes: things come by name, jobs as they follow each other, and
//! what a definition says by default is left out.

use super::named::{Names, written};
use crate::engine::catalog::{Calendar, Catalog, Dispatch, Host, Interface, Job};
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_yaml_ng::{Mapping, Value};
use shared::calendar::CalendarSpec;
use shared::ids::*;
use shared::spec::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

/// What each kind of definition says when it is told nothing but what it must be told.
struct Silence {
    interface: Mapping,
    job: Mapping,
    dispatch: Mapping,
    host: Mapping,
    calendar: Mapping,
}

static SILENCE: LazyLock<Silence> = LazyLock::new(|| {
    fn least<T: DeserializeOwned + serde::Serialize>(told: serde_json::Value) -> Mapping {
        serde_json::from_value::<T>(told).map(|spec| written(&spec)).unwrap_or_default()
    }
    Silence {
        interface: least::<InterfaceSpec>(json!({})),
        job: least::<JobSpec>(json!({"kind": ""})),
        dispatch: least::<DispatchSpec>(json!({"interface": 0, "cron": ""})),
        host: least::<HostSpec>(json!({"address": ""})),
        calendar: least::<CalendarSpec>(json!({})),
    }
});

/// Without what goes without saying.
fn brief(said: Mapping, silence: &Mapping) -> Mapping {
    let mut left = Mapping::new();
    for (key, value) in said {
        match (silence.get(&key), value) {
            (Some(silent), value) if *silent == value => {}
            (Some(Value::Mapping(silent)), Value::Mapping(value)) => {
                left.insert(key, Value::Mapping(brief(value, silent)));
            }
            (_, value) => {
                left.insert(key, value);
            }
        }
    }
    left
}

/// `{job: load, expect: success}` is `load`: an element that says by default all but its name.
fn short(spec: &mut Mapping, list: &str, (field, silent): (&str, (&str, &str))) {
    let elements = spec.get_mut(list).and_then(Value::as_sequence_mut);
    for element in elements.into_iter().flatten() {
        let Value::Mapping(fields) = element else { continue };
        if fields.get(silent.0).and_then(Value::as_str) == Some(silent.1) {
            fields.remove(silent.0);
        }
        // A number is no name: it stays beside its field.
        let named = fields.get(field).filter(|name| name.is_string()).cloned();
        match (fields.len(), named) {
            (1, Some(name)) => *element = name,
            (2, Some(Value::String(job))) if list == "needs" => {
                let Some(interface) = fields.get("interface").and_then(Value::as_str) else {
                    continue;
                };
                *element = format!("{interface}/{job}").into();
            }
            _ => {}
        }
    }
}

pub fn interface_spec(names: &Names, interface: &Interface) -> Mapping {
    let said = names.interface_spec(interface.project, &interface.spec);
    let mut said = brief(said, &SILENCE.interface);
    short(&mut said, "parents", ("interface", ("map", "same")));
    said
}

pub fn job_spec(names: &Names, project: ProjectId, spec: &JobSpec) -> Mapping {
    let mut said = brief(names.job_spec(project, spec), &SILENCE.job);
    short(&mut said, "after", ("job", ("expect", "success")));
    short(&mut said, "needs", ("job", ("map", "same")));
    said
}

pub fn dispatch_spec(names: &Names, project: ProjectId, spec: &DispatchSpec) -> Mapping {
    let mut said = brief(names.dispatch_spec(project, spec), &SILENCE.dispatch);
    // It stands beside the name.
    said.remove("interface");
    said
}

/// What every document begins with.
fn head(kind: &str, name: &str, project: Option<&str>) -> Mapping {
    let mut document = Mapping::new();
    document.insert("kind".into(), kind.into());
    document.insert("name".into(), name.into());
    if let Some(project) = project {
        document.insert("project".into(), project.into());
    }
    document
}

/// None: the one that goes without saying.
fn project(catalog: &Catalog, id: ProjectId, silent: ProjectId) -> Option<&str> {
    if id == silent {
        return None;
    }
    catalog.projects.get(&id).map(|project| project.name.as_str())
}

fn put(document: &mut Mapping, key: &str, part: Mapping) {
    if !part.is_empty() {
        document.insert(key.into(), Value::Mapping(part));
    }
}

fn inline(name: &str, spec: Mapping) -> Value {
    let mut inline = Mapping::new();
    inline.insert("name".into(), name.into());
    inline.extend(spec);
    Value::Mapping(inline)
}

/// With all its jobs, and these of its dispatches.
pub fn interface(
    (catalog, names): (&Catalog, &Names),
    it: &Interface,
    dispatches: &[&Dispatch],
) -> Mapping {
    let mut document = head("interface", &it.name, project(catalog, it.project, ProjectId(1)));
    put(&mut document, "spec", interface_spec(names, it));
    let jobs = in_order(&it.jobs);
    let jobs =
        jobs.into_iter().map(|job| inline(&job.name, job_spec(names, it.project, &job.spec)));
    document.insert("jobs".into(), jobs.collect::<Vec<_>>().into());
    let mut dispatches = dispatches.to_vec();
    dispatches.sort_by(|a, b| a.name.cmp(&b.name));
    if !dispatches.is_empty() {
        let said = |it: &&Dispatch| inline(&it.name, dispatch_spec(names, it.project, &it.spec));
        let dispatches: Vec<Value> = dispatches.iter().map(said).collect();
        document.insert("dispatches".into(), dispatches.into());
    }
    document
}

pub fn job((catalog, names): (&Catalog, &Names), owner: &Interface, job: &Job) -> Mapping {
    let mut document = head("job", &job.name, project(catalog, owner.project, ProjectId(1)));
    document.insert("interface".into(), owner.name.as_str().into());
    put(&mut document, "spec", job_spec(names, owner.project, &job.spec));
    document
}

pub fn dispatch((catalog, names): (&Catalog, &Names), it: &Dispatch) -> Mapping {
    let mut document = head("dispatch", &it.name, project(catalog, it.project, ProjectId(1)));
    let interface = catalog.interfaces.get(&it.spec.interface);
    let interface = interface.map_or_else(|| it.spec.interface.to_string(), |it| it.name.clone());
    document.insert("interface".into(), interface.into());
    put(&mut document, "spec", dispatch_spec(names, it.project, &it.spec));
    document
}

pub fn calendar(catalog: &Catalog, it: &Calendar) -> Mapping {
    let mut document = head("calendar", &it.name, project(catalog, it.project, ProjectId(1)));
    put(&mut document, "spec", brief(written(&*it.spec), &SILENCE.calendar));
    document
}

pub fn host(catalog: &Catalog, it: &Host) -> Mapping {
    let mut document = head("host", &it.name, project(catalog, it.project, ProjectId(0)));
    put(&mut document, "spec", brief(written(&it.spec), &SILENCE.host));
    document
}

/// Each after those that it comes after, and else by name.
fn in_order(jobs: &[Job]) -> Vec<&Job> {
    let own: HashMap<JobId, &Job> = jobs.iter().map(|job| (job.id, job)).collect();
    let mut open: HashMap<JobId, usize> = HashMap::new();
    let mut followers: HashMap<JobId, Vec<JobId>> = HashMap::new();
    for job in jobs {
        let before: BTreeSet<JobId> =
            job.spec.after.iter().map(|edge| edge.job).filter(|id| own.contains_key(id)).collect();
        open.insert(job.id, before.len());
        for id in before {
            followers.entry(id).or_default().push(job.id);
        }
    }
    let free = jobs.iter().filter(|job| open[&job.id] == 0);
    let mut free: BTreeMap<&str, &Job> = free.map(|job| (job.name.as_str(), job)).collect();
    let mut ordered = Vec::with_capacity(jobs.len());
    while let Some((_, job)) = free.pop_first() {
        ordered.push(job);
        for id in followers.remove(&job.id).unwrap_or_default() {
            let (Some(left), Some(next)) = (open.get_mut(&id), own.get(&id)) else { continue };
            *left -= 1;
            if *left == 0 {
                free.insert(&next.name, next);
            }
        }
    }
    ordered
}

/// # Errors
/// Something in it cannot be written: there is none such.
pub fn yaml(documents: &[Mapping]) -> anyhow::Result<String> {
    let mut text = String::new();
    for (at, document) in documents.iter().enumerate() {
        if at > 0 {
            text.push_str("---\n");
        }
        text.push_str(&serde_yaml_ng::to_string(document)?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
