//! `GET /api/v1/export`: definitions as documents that `apply` takes back unchanged.
//!
//! As JSON it is what `POST /api/v1/apply` takes; with `format=yaml` it is the file. Only what the
//! viewer may see; whether a dispatch is paused, what projects say, and secrets are no definitions.

use super::super::Routes;
use super::super::auth::{Right, Viewer};
use super::super::error::{Error, Result};
use super::super::save;
use super::super::version::documents;
use super::super::version::named::Names;
use crate::app::App;
use crate::engine::catalog::{Catalog, Dispatch, Interface};
use axum::Json;
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
            (project.name.clone(), all(&catalog, |of| of == id))
        }
        (None, None) => ("all".into(), all(&catalog, |of| viewer.sees(of))),
    };
    match asked.format.as_str() {
        "" | "json" => Ok(Json(json!({ "documents": documents })).into_response()),
        "yaml" => file(&name, &documents),
        _ => Err(Error::bad_request("format is json or yaml")),
    }
}

fn file(name: &str, documents: &[Mapping]) -> Result<Response> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/yaml; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.yaml\"")),
    ];
    Ok((headers, documents::yaml(documents)?).into_response())
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
