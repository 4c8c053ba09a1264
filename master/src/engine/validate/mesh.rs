//! Cycles, within an interface and across the mesh, with their path in words.
//!
//! A run has a beginning, its jobs and an end; edges say what must come first: a parent's end before
//! a child's beginning, a job before the job that comes after it or needs it. Waits for *earlier*
//! periods (自依赖) close no cycle. The search is iterative: a chain of a million jobs is no
//! recursion, and a node is entered once, however many paths lead to it.

use super::{InterfaceDraft, JobDraft};
use crate::engine::catalog::{Catalog, Interface, Job};
use shared::ids::{InterfaceId, JobId};
use shared::spec::PeriodMap;
use std::collections::HashMap;
use std::sync::Arc;

/// Names shown of one cycle.
const SHOWN_MAX: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// What a run of this interface needs before any job of it.
    Begin(InterfaceId),
    Job(JobId),
    End(InterfaceId),
}

/// Each waits for the next, and the last for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<Node>);

/// Waits only for periods before its own.
pub fn goes_back(map: PeriodMap) -> bool {
    match map {
        PeriodMap::Previous(_) => true,
        PeriodMap::Offset(steps) => steps < 0,
        PeriodMap::Same | PeriodMap::AllWithin | PeriodMap::LastWithin => false,
    }
}

fn goes_ahead(map: PeriodMap) -> bool {
    matches!(map, PeriodMap::Offset(steps) if steps > 0)
}

/// The catalog as it would be with this draft.
pub fn with_interface(catalog: &Catalog, draft: &InterfaceDraft) -> Catalog {
    let id = draft.id.unwrap_or_default();
    let old = catalog.interfaces.get(&id);
    let interface = Interface {
        id,
        project: draft.project,
        name: draft.name.to_owned(),
        version: old.map_or(0, |old| old.version),
        spec: draft.spec.clone(),
        jobs: old.map_or_else(Vec::new, |old| old.jobs.clone()),
    };
    let mut catalog = catalog.clone();
    catalog.interfaces.insert(id, Arc::new(interface));
    catalog
}

/// The catalog as it would be with this draft.
pub fn with_job(catalog: &Catalog, draft: &JobDraft) -> Catalog {
    let mut catalog = catalog.clone();
    let id = draft.id.unwrap_or_default();
    if let Some(interface) = catalog.interfaces.get_mut(&draft.interface) {
        let interface = Arc::make_mut(interface);
        interface.jobs.retain(|job| job.id != id);
        let (name, spec) = (draft.name.to_owned(), draft.spec.clone());
        interface.jobs.push(Job { id, name, spec });
    }
    catalog
}

/// A cycle that can be reached from these, if there is one.
pub fn cycle(catalog: &Catalog, from: &[Node]) -> Option<Cycle> {
    let graph = Graph::of(catalog);
    // What waits for earlier periods only is let go; a wait for a *later* period is not, and
    // together with one for an earlier one it could close a cycle after some steps: refused too.
    graph.search(from, |map| !goes_back(map)).or_else(|| {
        let ahead = graph.edges_ahead()?;
        graph.search(from, |_| true).filter(|cycle| ahead.iter().any(|&node| cycle.has(node)))
    })
}

/// A cycle anywhere.
pub fn any_cycle(catalog: &Catalog) -> Option<Cycle> {
    let all: Vec<Node> = catalog.interfaces.keys().map(|&id| Node::End(id)).collect();
    cycle(catalog, &all)
}

impl Cycle {
    pub fn has(&self, node: Node) -> bool {
        self.0.contains(&node)
    }

    /// `a cycle: flights / load waits for flights / clean, which waits for …`.
    pub fn words(&self, catalog: &Catalog) -> String {
        let graph = Graph::of(catalog);
        let mut names: Vec<String> = self.0.iter().map(|&node| graph.name(node)).collect();
        names.dedup();
        if names.first() == names.last() && names.len() > 1 {
            names.pop();
        }
        let first = names.first().cloned().unwrap_or_default();
        let more = names.len().saturating_sub(SHOWN_MAX);
        names.truncate(SHOWN_MAX);
        if more > 0 {
            names.push(format!("… {more} more …"));
        }
        names.push(first);
        format!("a cycle: each waits for the next: {}", names.join(" > "))
    }
}

/// What waits for what, by node.
struct Graph<'a> {
    catalog: &'a Catalog,
    jobs: HashMap<JobId, (&'a Interface, &'a Job)>,
}

impl<'a> Graph<'a> {
    fn of(catalog: &'a Catalog) -> Graph<'a> {
        let interfaces = catalog.interfaces.values();
        let jobs = interfaces.flat_map(|it| it.jobs.iter().map(|job| (job.id, (&**it, job))));
        Graph { catalog, jobs: jobs.collect() }
    }

    fn name(&self, node: Node) -> String {
        let interface = |id| self.catalog.interfaces.get(&id).map(|it| it.name.clone());
        match node {
            Node::Begin(id) | Node::End(id) => interface(id).unwrap_or_else(|| id.to_string()),
            Node::Job(id) => match self.jobs.get(&id) {
                Some((interface, job)) => format!("{} / {}", interface.name, job.name),
                None => id.to_string(),
            },
        }
    }

    /// What must come before this node, as far as `counts` says that the edge does.
    fn before(&self, node: Node, counts: &dyn Fn(PeriodMap) -> bool) -> Vec<Node> {
        match node {
            Node::Begin(id) => {
                let parents = self.catalog.interfaces.get(&id).map(|it| &it.spec.parents);
                let parents = parents.into_iter().flatten().filter(|parent| counts(parent.map));
                parents.map(|parent| Node::End(parent.interface)).collect()
            }
            Node::Job(id) => {
                let Some((interface, job)) = self.jobs.get(&id) else { return Vec::new() };
                let after = job.spec.after.iter().map(|edge| Node::Job(edge.job));
                let needs = job.spec.needs.iter().filter(|need| counts(need.map));
                let needs = needs.map(|need| Node::Job(need.job));
                after.chain(needs).chain([Node::Begin(interface.id)]).collect()
            }
            Node::End(id) => {
                let jobs = self.catalog.interfaces.get(&id).map(|it| &it.jobs);
                let jobs = jobs.into_iter().flatten().map(|job| Node::Job(job.id));
                jobs.chain([Node::Begin(id)]).collect()
            }
        }
    }

    /// Where something waits for a later period; none if nothing does, as nearly always.
    fn edges_ahead(&self) -> Option<Vec<Node>> {
        let mut found = Vec::new();
        for interface in self.catalog.interfaces.values() {
            if interface.spec.parents.iter().any(|parent| goes_ahead(parent.map)) {
                found.push(Node::Begin(interface.id));
            }
            for job in &interface.jobs {
                if job.spec.needs.iter().any(|need| goes_ahead(need.map)) {
                    found.push(Node::Job(job.id));
                }
            }
        }
        (!found.is_empty()).then_some(found)
    }

    fn search(&self, from: &[Node], counts: impl Fn(PeriodMap) -> bool) -> Option<Cycle> {
        // Open (on the path, at this depth) or done.
        let mut seen: HashMap<Node, Option<usize>> = HashMap::new();
        for &root in from {
            let mut path: Vec<(Node, Vec<Node>)> = Vec::new();
            let mut next = Some(root);
            loop {
                if let Some(node) = next.take() {
                    match seen.get(&node) {
                        Some(Some(depth)) => {
                            return Some(Cycle(path[*depth..].iter().map(|step| step.0).collect()));
                        }
                        Some(None) => {}
                        None => {
                            seen.insert(node, Some(path.len()));
                            path.push((node, self.before(node, &counts)));
                        }
                    }
                }
                let Some((node, rest)) = path.last_mut() else { break };
                match rest.pop() {
                    Some(before) => next = Some(before),
                    None => {
                        seen.insert(*node, None);
                        path.pop();
                    }
                }
            }
        }
        None
    }
}
