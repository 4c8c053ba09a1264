//! `GET /api/v1/export`: definitions as documents that `apply` takes back unchanged.
//!
//! As JSON it is what `POST /api/v1/apply` takes; with `format=yaml` it is the file. Only what the
//! viewer may see; whether a dispatch is paused, what projects say, and secrets are no definitions.
//! No more at once than `apply` takes back.

use super::super::Routes;
use super::super::auth::{Right, Viewer};
use super::super::error::{Error, Result};
use super::super::save;
use super::super::version::documents;
use super::super::version::named::Names;
use super::apply::documents::ITEMS_MAX;
use crate::app::App;
use crate::engine::catalog::{Catalog, Dispatch, Interface};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use serde_yaml_ng::Mapping;
use shared::ids::*;
use std::collections::BTreeMap;

pub(in super::super) fn routes() -> Routes {
    Routes::default().get("/api/v1/export", Right::View, export)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// One, with its jobs and dispatches.
    interface: Option<i64>,
    /// All of one project, its hosts included.
    project: Option<i64>,
    /// `yaml`, or else JSON.
    format: String,
}

async fn export(State(app): State<App>, viewer: Viewer, Query(asked): Query<Asked>) -> Result {
    let catalog = app.catalog().await?;
    let seen = |of: ProjectId| viewer.sees(of) && asked.project.is_none_or(|id| id == of.0);
    if asked.interface.is_none() {
        not_too_many(definitions(&catalog, seen))?;
    }
    let (name, documents) = match (asked.interface, asked.project) {
        (Some(_), Some(_)) => {
            return Err(Error::bad_request("an interface or a project is asked for, not both"));
        }
        (Some(id), None) => {
            let it = save::interface_of(&catalog, InterfaceId(id), &viewer)?;
            (it.name.clone(), of_interfaces(&catalog, |other| other.id == it.id))
        }
        (None, Some(id)) => {
            let id = ProjectId(id);
            let found = catalog.projects.get(&id).filter(|_| viewer.sees(id));
            let project = found.ok_or_else(|| Error::not_found(format!("project {id}")))?;
            (project.name.clone(), all(&catalog, seen))
        }
        (None, None) => ("all".into(), all(&catalog, seen)),
    };
    let max = app.config.web.apply_max_bytes;
    match asked.format.as_str() {
        "" | "json" => {
            let text = serde_json::to_string(&json!({ "documents": documents }));
            let text = not_too_long(text.map_err(anyhow::Error::from)?, max)?;
            Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
        }
        "yaml" => file(&name, not_too_long(documents::yaml(&documents)?, max)?),
        _ => Err(Error::bad_request("format is json or yaml")),
    }
}

/// Counted before any of them is written out.
fn definitions(catalog: &Catalog, of: impl Fn(ProjectId) -> bool) -> usize {
    let interfaces = catalog.interfaces.values().filter(|it| of(it.project));
    interfaces.map(|it| 1 + it.jobs.len()).sum::<usize>()
        + catalog.dispatches.values().filter(|it| of(it.project)).count()
        + catalog.calendars.values().filter(|it| of(it.project)).count()
        + catalog.hosts.values().filter(|it| of(it.project)).count()
}

fn not_too_many(count: usize) -> Result<(), Error> {
    match count > ITEMS_MAX {
        true => Err(Error::bad_request(format!(
            "these are {count} definitions; {ITEMS_MAX} at most are exported at once, for no more \
             can be applied again: ask for one project (project=ID, hcndc export project NAME) or \
             for one interface (interface=ID, hcndc export interface NAME)"
        ))),
        false => Ok(()),
    }
}

fn not_too_long(text: String, max: usize) -> Result<String, Error> {
    let bytes = text.len();
    match bytes > max {
        true => Err(Error::bad_request(format!(
            "this export has {bytes} bytes; {max} at most (web.apply_max_bytes) can be applied \
             again: ask for one project (project=ID, hcndc export project NAME) or for one \
             interface (interface=ID, hcndc export interface NAME), or raise web.apply_max_bytes"
        ))),
        false => Ok(text),
    }
}

fn file(name: &str, text: String) -> Result<Response> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/yaml; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.yaml\"")),
    ];
    Ok((headers, text).into_response())
}

/// Hosts first, then calendars and interfaces, each by name.
pub fn all(catalog: &Catalog, of: impl Fn(ProjectId) -> bool) -> Vec<Mapping> {
    let hosts = catalog.hosts.values().filter(|host| of(host.project));
    let hosts: BTreeMap<&str, Mapping> =
        hosts.map(|host| (host.name.as_str(), documents::host(catalog, host))).collect();
    let mut documents: Vec<Mapping> = hosts.into_values().collect();
    let calendars = catalog.calendars.values().filter(|calendar| of(calendar.project));
    let calendars: BTreeMap<_, Mapping> = calendars
        .map(|it| ((it.name.as_str(), it.project), documents::calendar(catalog, it)))
        .collect();
    documents.extend(calendars.into_values());
    documents.extend(of_interfaces(catalog, |interface| of(interface.project)));
    documents
}

fn of_interfaces(catalog: &Catalog, shown: impl Fn(&Interface) -> bool) -> Vec<Mapping> {
    let names = Names::of(catalog);
    let mut dispatches: BTreeMap<InterfaceId, Vec<&Dispatch>> = BTreeMap::new();
    for dispatch in catalog.dispatches.values() {
        dispatches.entry(dispatch.spec.interface).or_default().push(dispatch);
    }
    let mut interfaces: Vec<&Interface> =
        catalog.interfaces.values().map(|it| &**it).filter(|it| shown(it)).collect();
    interfaces.sort_by(|a, b| (&a.name, a.project).cmp(&(&b.name, b.project)));
    interfaces
        .into_iter()
        .map(|it| {
            let own = dispatches.get(&it.id).map_or(&[][..], Vec::as_slice);
            documents::interface((catalog, &names), it, own)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_says_how_to_narrow_it() {
        assert!(not_too_many(ITEMS_MAX).is_ok());
        let told = not_too_many(ITEMS_MAX + 1).unwrap_err();
        assert!(told.problem().detail.contains("hcndc export project NAME"), "{told:?}");
        assert_eq!(not_too_long("abc".into(), 3).ok().as_deref(), Some("abc"));
        let told = not_too_long("abcd".into(), 3).unwrap_err();
        assert!(told.problem().detail.contains("4 bytes"), "{told:?}");
        assert!(told.problem().detail.contains("web.apply_max_bytes"), "{told:?}");
    }
}
