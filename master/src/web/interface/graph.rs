//! The pictures of an interface: its jobs; its neighbours; all that hangs together with it.

use super::super::error::{Error, Result};
use super::super::graph::{
    End, Group, Layout, Mesh, MeshEdge, NODES_MAX, Node, layout, text_width,
};
use super::super::{Page, save};
use super::word;
use crate::engine::catalog::{Catalog, Interface};
use axum::Json;
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// `jobs`, `local` or `all`.
    of: String,
}

pub(super) async fn data(page: Page, Path(id): Path<i64>, Query(asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    let viewer = page.viewer()?;
    let interface = save::interface_of(&catalog, InterfaceId(id), viewer)?;
    let shown: BTreeSet<InterfaceId> = match asked.of.as_str() {
        "local" => neighbours(&catalog, interface.id),
        "all" => component(&catalog, interface.id),
        _ => with_needed(&interface),
    };
    let seen = shown.into_iter().filter_map(|id| catalog.interfaces.get(&id));
    let groups: Vec<&Interface> =
        seen.filter(|group| viewer.sees(group.project)).map(AsRef::as_ref).collect();
    let is_open =
        |group: &Interface| asked.of != "local" && asked.of != "all" && group.id == interface.id;
    Ok(Json(picture(&groups, &is_open)?).into_response())
}

/// Itself, and the interfaces of jobs that its jobs need.
fn with_needed(interface: &Interface) -> BTreeSet<InterfaceId> {
    let needs = interface.jobs.iter().flat_map(|job| &job.spec.needs);
    let mut shown: BTreeSet<InterfaceId> = needs.map(|need| need.interface).collect();
    shown.insert(interface.id);
    shown
}

type Links = BTreeMap<InterfaceId, BTreeSet<InterfaceId>>;

/// Who is before whom: parents, and interfaces whose jobs are needed.
fn links(catalog: &Catalog) -> (Links, Links) {
    let (mut before, mut after) = (Links::new(), Links::new());
    for interface in catalog.interfaces.values() {
        let parents = interface.spec.parents.iter().map(|parent| parent.interface);
        let needs =
            interface.jobs.iter().flat_map(|job| &job.spec.needs).map(|need| need.interface);
        for other in parents.chain(needs).filter(|other| *other != interface.id) {
            before.entry(interface.id).or_default().insert(other);
            after.entry(other).or_default().insert(interface.id);
        }
    }
    (before, after)
}

fn reached(from: InterfaceId, links: &[&Links]) -> BTreeSet<InterfaceId> {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for next in links.iter().filter_map(|links| links.get(&at)).flatten() {
            if seen.insert(*next) {
                open.push(*next);
            }
        }
    }
    seen
}

/// All descendants, with their direct parents.
fn neighbours(catalog: &Catalog, id: InterfaceId) -> BTreeSet<InterfaceId> {
    let (before, after) = links(catalog);
    let below = reached(id, &[&after]);
    let parents = below.iter().filter_map(|id| before.get(id)).flatten().copied();
    parents.chain(below.iter().copied()).collect()
}

/// Whatever hangs together with it.
fn component(catalog: &Catalog, id: InterfaceId) -> BTreeSet<InterfaceId> {
    let (before, after) = links(catalog);
    reached(id, &[&before, &after])
}

/// Ends and texts of one edge: what it expects decides how it is drawn.
struct Edges<'a> {
    groups: BTreeMap<InterfaceId, usize>,
    nodes: BTreeMap<JobId, usize>,
    list: Vec<(End, End, &'a str)>,
}

impl Edges<'_> {
    /// A job that is drawn, or else the box of its interface.
    fn end(&self, interface: InterfaceId, job: JobId) -> Option<End> {
        let node = self.nodes.get(&job).map(|at| End::Node(*at));
        node.or_else(|| self.groups.get(&interface).map(|at| End::Group(*at)))
    }

    fn add(&mut self, from: Option<End>, to: Option<End>, expect: &'static str) {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
            && !self.list.contains(&(from, to, expect))
        {
            self.list.push((from, to, expect));
        }
    }
}

fn picture(groups: &[&Interface], is_open: &dyn Fn(&Interface) -> bool) -> Result<Value, Error> {
    let jobs: Vec<(usize, &crate::engine::catalog::Job)> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| is_open(group))
        .flat_map(|(at, group)| group.jobs.iter().map(move |job| (at, job)))
        .collect();
    if jobs.len() + groups.len() > NODES_MAX {
        return Err(Error::bad_request(format!("more than {NODES_MAX} nodes are not drawn")));
    }
    let mut edges = Edges {
        groups: groups.iter().enumerate().map(|(at, group)| (group.id, at)).collect(),
        nodes: jobs.iter().enumerate().map(|(at, (_, job))| (job.id, at)).collect(),
        list: Vec::new(),
    };
    for group in groups {
        let own = edges.groups.get(&group.id).map(|at| End::Group(*at));
        for parent in &group.spec.parents {
            let from = edges.groups.get(&parent.interface).map(|at| End::Group(*at));
            edges.add(from, own, "parent");
        }
        for job in &group.jobs {
            let to = edges.end(group.id, job.id);
            for edge in job.spec.after.iter().filter(|_| is_open(group)) {
                let expect = match edge.expect {
                    shared::spec::Expect::Success => "success",
                    shared::spec::Expect::Failure => "failure",
                    shared::spec::Expect::Done => "done",
                };
                edges.add(edges.end(group.id, edge.job), to, expect);
            }
            for need in &job.spec.needs {
                edges.add(edges.end(need.interface, need.job), to, "success");
            }
        }
    }
    let mesh = Mesh {
        groups: groups
            .iter()
            .map(|group| Group { folded: !is_open(group), title_chars: text_width(&group.name) })
            .collect(),
        nodes: jobs
            .iter()
            .map(|(group, job)| Node { group: *group, name_chars: text_width(&job.name) })
            .collect(),
        edges: edges.list.iter().map(|(from, to, _)| MeshEdge { from: *from, to: *to }).collect(),
    };
    Ok(drawn(groups, &jobs, &edges, &layout(&mesh)))
}

/// As `static/js/mesh.js` reads it.
fn drawn(
    groups: &[&Interface],
    jobs: &[(usize, &crate::engine::catalog::Job)],
    edges: &Edges,
    layout: &Layout,
) -> Value {
    let end = |end: End| match end {
        End::Node(at) => i64::try_from(at).unwrap_or(i64::MAX),
        End::Group(at) => -1 - i64::try_from(at).unwrap_or(i64::MAX - 1),
    };
    let group = |(at, group): (usize, &&Interface)| {
        let open = jobs.iter().any(|(owner, _)| *owner == at);
        json!({
            "id": group.id, "name": group.name, "sub": word(&group.spec.granularity),
            "jobs": group.jobs.len(), "state": if group.spec.frozen { "paused" } else { "" },
            "folded": !open, "rect": layout.groups.get(at), "note": group.spec.description,
        })
    };
    let node = |(at, (owner, job)): (usize, &(usize, &crate::engine::catalog::Job))| {
        json!({
            "id": job.id, "name": job.name, "group": owner, "rect": layout.nodes.get(at),
            "state": if job.spec.frozen { "paused" } else { "" }, "note": job.spec.description,
        })
    };
    let edge = |(at, (from, to, expect)): (usize, &(End, End, &str))| json!({ "from": end(*from), "to": end(*to), "expect": expect, "line": layout.lines.get(at) });
    json!({
        "width": layout.width, "height": layout.height, "down": layout.down,
        "groups": groups.iter().enumerate().map(group).collect::<Vec<_>>(),
        "nodes": jobs.iter().enumerate().map(node).collect::<Vec<_>>(),
        "edges": edges.list.iter().enumerate().map(edge).collect::<Vec<_>>(),
    })
}
