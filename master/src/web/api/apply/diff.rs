//! What differs between the catalog as it is and as the documents say, field by field.

use super::documents::What;
use super::resolve::Resolved;
use crate::engine::catalog::Catalog;
use serde::Serialize;
use serde_json::Value;
use shared::ids::*;
use std::collections::{BTreeSet, HashMap};

/// Differences shown of one definition.
const SHOWN_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    Delete,
    /// It is as it should be.
    None,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub action: Action,
    pub kind: What,
    pub name: String,
    /// Of a job or a dispatch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    #[serde(skip)]
    pub id: i64,
    #[serde(skip)]
    pub interface_id: Option<InterfaceId>,
    #[serde(skip)]
    pub project: ProjectId,
    pub source: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// One field. `null` on a side: it is not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub path: String,
    pub old: Value,
    pub new: Value,
}

impl Change {
    /// Where the definition belonged before, if it was there.
    pub fn old_project(&self, catalog: &Catalog, _: &Resolved) -> Option<ProjectId> {
        match self.kind {
            What::Host => catalog.hosts.get(&HostId(self.id)).map(|it| it.project),
            What::Calendar => catalog.calendars.get(&CalendarId(self.id)).map(|it| it.project),
            What::Interface => catalog.interfaces.get(&InterfaceId(self.id)).map(|it| it.project),
            What::Job => {
                self.interface_id.and_then(|id| catalog.interfaces.get(&id).map(|it| it.project))
            }
            What::Dispatch => catalog.dispatches.get(&DispatchId(self.id)).map(|it| it.project),
        }
    }
}

/// Interfaces of which anything changes, their jobs included.
pub fn interfaces(changes: &[Change]) -> BTreeSet<InterfaceId> {
    let changed = changes.iter().filter(|change| change.action != Action::None);
    changed
        .filter_map(|change| match change.kind {
            What::Interface => Some(InterfaceId(change.id)),
            What::Job => change.interface_id,
            What::Host | What::Calendar | What::Dispatch => None,
        })
        .collect()
}

/// Every item with what becomes of it, and the jobs that complete lists have left out.
pub fn changes(old: &Catalog, resolved: &Resolved) -> Vec<Change> {
    let new = &resolved.catalog;
    let mut changes = Vec::new();
    // A job stays in its interface: one map for both catalogs.
    let owners: Owners =
        new.interfaces.values().flat_map(|it| it.jobs.iter().map(|job| (job.id, it.id))).collect();
    for (item, id, created) in &resolved.items {
        let before = if *created { None } else { spec(old, item.what, *id, &owners) };
        let after = spec(new, item.what, *id, &owners);
        let Some((after, project, interface_id)) = after else { continue };
        let mut differences = Vec::new();
        let mut action = Action::Create;
        if let Some((before, old_project, _)) = before {
            if old_project != project {
                let (old, new) = (old_project.0.into(), project.0.into());
                differences.push(Difference { path: "project".into(), old, new });
            }
            compare(String::new(), &before, &after, &mut differences);
            action = if differences.is_empty() { Action::None } else { Action::Update };
        }
        changes.push(Change {
            action,
            kind: item.what,
            name: item.name.clone(),
            interface: item.interface.clone(),
            id: *id,
            interface_id,
            project,
            source: item.source.clone(),
            differences,
        });
    }
    for (interface_id, job) in &resolved.removed {
        let Some(interface) = old.interfaces.get(interface_id) else { continue };
        let name = interface.jobs.iter().find(|it| it.id == *job).map(|it| it.name.clone());
        changes.push(Change {
            action: Action::Delete,
            kind: What::Job,
            name: name.unwrap_or_default(),
            interface: Some(interface.name.clone()),
            id: job.0,
            interface_id: Some(*interface_id),
            project: interface.project,
            source: String::new(),
            differences: Vec::new(),
        });
    }
    changes
}

type Found = (Value, ProjectId, Option<InterfaceId>);
/// Whose jobs they are.
type Owners = HashMap<JobId, InterfaceId>;

/// As JSON, as it is stored and shown.
fn spec(catalog: &Catalog, what: What, id: i64, owners: &Owners) -> Option<Found> {
    fn json<T: Serialize>(spec: &T) -> Option<Value> {
        serde_json::to_value(spec).ok()
    }
    match what {
        What::Host => {
            let it = catalog.hosts.get(&HostId(id))?;
            Some((json(&it.spec)?, it.project, None))
        }
        What::Calendar => {
            let it = catalog.calendars.get(&CalendarId(id))?;
            Some((json(&it.spec)?, it.project, None))
        }
        What::Interface => {
            let it = catalog.interfaces.get(&InterfaceId(id))?;
            Some((json(&it.spec)?, it.project, Some(it.id)))
        }
        What::Job => {
            let it = catalog.interfaces.get(owners.get(&JobId(id))?)?;
            let at = it.jobs.binary_search_by_key(&JobId(id), |job| job.id).ok()?;
            Some((json(&it.jobs[at].spec)?, it.project, Some(it.id)))
        }
        What::Dispatch => {
            let it = catalog.dispatches.get(&DispatchId(id))?;
            Some((json(&it.spec)?, it.project, Some(it.spec.interface)))
        }
    }
}

/// Leaves that differ; lists are compared place by place.
fn compare(path: String, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    if old == new || found.len() >= SHOWN_MAX {
        return;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let side = |map: &serde_json::Map<String, Value>| map.get(name).cloned();
                let (a, b) = (side(a).unwrap_or_default(), side(b).unwrap_or_default());
                compare(below, &a, &b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for at in 0..a.len().max(b.len()) {
                let side = |list: &[Value]| list.get(at).cloned().unwrap_or_default();
                compare(format!("{path}[{at}]"), &side(a), &side(b), found);
            }
        }
        _ => found.push(Difference { path, old: old.clone(), new: new.clone() }),
    }
}
