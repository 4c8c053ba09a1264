//! The mesh of one execution in the form that `static/js/mesh.js` paints: groups, nodes and edges
//! with their places.

use super::whole::{Whole, expect_word, node_id, run_word};
use crate::engine::rows::Target;
use crate::web::graph::{self, Cache, End, Group, Mesh, MeshEdge, Node};
use serde_json::{Value, json};
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};

/// Beyond so many jobs all boxes are folded at first.
const OPEN_MAX: usize = 400;

/// Which groups are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folded {
    /// All, when there are many jobs.
    Auto,
    All,
    These(BTreeSet<String>),
}

impl Folded {
    /// `auto`, `all`, `none`, or ids with commas between.
    pub fn of(text: &str) -> Folded {
        match text {
            "" | "auto" => Folded::Auto,
            "all" => Folded::All,
            "none" => Folded::These(BTreeSet::new()),
            ids => Folded::These(ids.split(',').take(1000).map(str::to_owned).collect()),
        }
    }

    fn holds(&self, id: &str, jobs: usize) -> bool {
        match self {
            Folded::Auto => jobs > OPEN_MAX,
            Folded::All => true,
            Folded::These(ids) => ids.contains(id),
        }
    }
}

/// What is collected before it is laid out.
#[derive(Default)]
struct Picture {
    mesh: Mesh,
    groups: Vec<Value>,
    nodes: Vec<Value>,
    /// Beside `mesh.edges`.
    expects: Vec<&'static str>,
    jobs: BTreeMap<(usize, JobId), usize>,
}

impl Picture {
    fn group(&mut self, mut about: Value, folded: bool) -> usize {
        let text = |key: &str| about[key].as_str().map_or(0, graph::text_width);
        self.mesh.groups.push(Group { folded, title_chars: text("name") + text("sub") });
        about["folded"] = json!(folded);
        self.groups.push(about);
        self.groups.len() - 1
    }

    fn node(&mut self, group: usize, job: JobId, about: Value) {
        let name_chars = about["name"].as_str().map_or(0, graph::text_width);
        self.mesh.nodes.push(Node { group, name_chars });
        self.jobs.insert((group, job), self.nodes.len());
        self.nodes.push(about);
    }

    fn edge(&mut self, from: End, to: End, expect: &'static str) {
        self.mesh.edges.push(MeshEdge { from, to });
        self.expects.push(expect);
    }

    fn json(mut self, cache: &Cache) -> Value {
        let layout = cache.layout(&self.mesh);
        for (group, rect) in self.groups.iter_mut().zip(&layout.groups) {
            group["rect"] = json!(rect);
        }
        for ((node, place), rect) in self.nodes.iter_mut().zip(&self.mesh.nodes).zip(&layout.nodes)
        {
            node["rect"] = json!(rect);
            node["group"] = json!(place.group);
        }
        // An end of an edge: the index of a node, or -1 - that of a group.
        let end = |end: End| match end {
            End::Node(node) => i64::try_from(node).unwrap_or(0),
            End::Group(group) => -1 - i64::try_from(group).unwrap_or(0),
        };
        let edges: Vec<Value> = self
            .mesh
            .edges
            .iter()
            .zip(&self.expects)
            .zip(&layout.lines)
            .map(|((edge, expect), line)| {
                let to_group = |e: End| match (e, &self.mesh) {
                    (End::Node(node), mesh) if layout.nodes[node][2] == 0 => {
                        End::Group(mesh.nodes[node].group)
                    }
                    (e, _) => e,
                };
                json!({ "from": end(to_group(edge.from)), "to": end(to_group(edge.to)),
                    "expect": expect, "line": line })
            })
            .collect();
        json!({ "width": layout.width, "height": layout.height, "down": layout.down,
            "groups": self.groups, "nodes": self.nodes, "edges": edges })
    }
}

/// Of an execution: its runs as boxes, and small boxes for what they still wait for outside.
pub fn of_execution(whole: &Whole, folded: &Folded, cache: &Cache) -> Value {
    let mut picture = Picture::default();
    let mut groups: BTreeMap<RunId, usize> = BTreeMap::new();
    let mut by_interface: BTreeMap<InterfaceId, Vec<usize>> = BTreeMap::new();
    for run in &whole.runs {
        let id = run.id.to_string();
        let generation = match run.generation {
            0 | 1 => String::new(),
            more => format!(" #{more}"),
        };
        let about = json!({
            "id": id, "name": whole.interface_name(run.interface),
            "sub": format!("{}{generation}", run.period), "state": run_word(run),
            "interface": run.interface, "run": run.id,
        });
        let group = picture.group(about, folded.holds(&id, whole.jobs.len()));
        groups.insert(run.id, group);
        by_interface.entry(run.interface).or_default().push(group);
    }
    for job in &whole.jobs {
        let (Some(&group), Some(run)) = (groups.get(&job.run), whole.run(job.run)) else {
            continue;
        };
        let about = json!({
            "id": node_id(job.run, job.job), "name": whole.job_name(run, job.job),
            "state": job.state, "reason": job.reason,
            "start": job.started, "end": job.ended,
        });
        picture.node(group, job.job, about);
    }
    for run in &whole.runs {
        let (Some(&group), Some(interface)) = (groups.get(&run.id), whole.definition(run)) else {
            continue;
        };
        for parent in &interface.spec.parents {
            for &from in by_interface.get(&parent.interface).into_iter().flatten() {
                picture.edge(End::Group(from), End::Group(group), "parent");
            }
        }
        edges_of(&mut picture, interface, group, &by_interface);
        for target in &run.waits {
            outside(whole, &mut picture, target, End::Group(group), &groups);
        }
    }
    for job in &whole.jobs {
        let end = groups.get(&job.run).and_then(|&group| picture.jobs.get(&(group, job.job)));
        let Some(&node) = end else { continue };
        for target in &job.waits {
            outside(whole, &mut picture, target, End::Node(node), &groups);
        }
    }
    picture.json(cache)
}

/// The edges among its jobs, and from jobs of other interfaces that are drawn too.
fn edges_of(
    picture: &mut Picture,
    interface: &crate::engine::catalog::Interface,
    group: usize,
    by_interface: &BTreeMap<InterfaceId, Vec<usize>>,
) {
    for job in &interface.jobs {
        let Some(&to) = picture.jobs.get(&(group, job.id)) else { continue };
        for edge in &job.spec.after {
            if let Some(&from) = picture.jobs.get(&(group, edge.job)) {
                picture.edge(End::Node(from), End::Node(to), expect_word(edge.expect));
            }
        }
        for need in &job.spec.needs {
            for other in by_interface.get(&need.interface).into_iter().flatten() {
                if let Some(&from) = picture.jobs.get(&(*other, need.job)) {
                    picture.edge(End::Node(from), End::Node(to), "success");
                }
            }
        }
    }
}

/// A wait for something that is no part of this execution: a box of its own, once.
fn outside(
    whole: &Whole,
    picture: &mut Picture,
    target: &Target,
    end: End,
    groups: &BTreeMap<RunId, usize>,
) {
    if matches!(target, Target::Run(run) if groups.contains_key(run)) {
        return;
    }
    let about = whole.target(target);
    let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
    let id = format!("wait:{}:{}:{}", about["interface"], text("period"), about["job"]);
    let known = picture.groups.iter().position(|group| group["id"] == json!(id));
    let group = known.unwrap_or_else(|| {
        let name = match about["job_name"].as_str() {
            Some(job) => format!("{} / {job}", text("name")),
            None => text("name"),
        };
        let about = json!({ "id": id, "name": name, "sub": text("period"), "state": "waiting",
            "interface": about["interface"], "outside": true });
        picture.group(about, true)
    });
    picture.edge(End::Group(group), end, "parent");
}
