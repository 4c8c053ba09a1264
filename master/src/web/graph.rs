//! Where the nodes of a mesh stand on a page: computed once on the server, sent as compact arrays,
//! drawn by `static/js/mesh.js`.
//!
//! Two levels: the jobs of each group (an interface or its run) left to right, then the groups as
//! boxes, in whichever direction fits a screen better. A folded group is a small box, and edges of
//! its jobs end at it. Pure and deterministic; [`Cache`] keeps the last layouts by their content.
//! Called by the pages of executions, interfaces and by home.

mod layered;

use layered::{Drawing, Gap, Graph, draw};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Nodes in one picture; more than that is refused in words instead of drawn.
pub const NODES_MAX: usize = 20_000;
const CACHED_MAX: usize = 128;
const FOLDED: [i32; 2] = [220, 66];
/// Around the jobs of a group.
const PADDING: i32 = 16;
/// Its title line.
const TITLE: i32 = 40;
const GAP_JOBS: Gap = Gap { across: 56, along: 14 };
const GAP_GROUPS: Gap = Gap { across: 52, along: 28 };
/// What a picture is fitted to when the direction of the groups is chosen.
const SCREEN: [f64; 2] = [1200.0, 620.0];

/// What is to be drawn. Groups and nodes are named by their index.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    pub groups: Vec<Group>,
    pub nodes: Vec<Node>,
    pub edges: Vec<MeshEdge>,
}

#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its jobs are not drawn.
    pub folded: bool,
    /// Room for its title, in characters of Latin width.
    pub title_chars: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub group: usize,
    pub name_chars: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct MeshEdge {
    pub from: End,
    pub to: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Group(usize),
    Node(usize),
}

/// Rectangles are x, y, width, height.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layout {
    pub width: i32,
    pub height: i32,
    /// The groups follow each other downwards; otherwise rightwards.
    pub down: bool,
    pub groups: Vec<[i32; 4]>,
    /// Width 0: in a folded group, not drawn.
    pub nodes: Vec<[i32; 4]>,
    /// Per edge x, y, x, y, …; empty when it is not drawn.
    pub lines: Vec<Vec<i32>>,
}

/// Columns a text takes: a Chinese character is twice as wide.
pub fn text_width(text: &str) -> usize {
    text.chars().map(|c| if (c as u32) < 0x1100 { 1 } else { 2 }).sum()
}

/// Draws it. Every index must name something that is there; edges that do not are not drawn.
pub fn layout(mesh: &Mesh) -> Layout {
    let inner = Inner::of(mesh);
    let sizes: Vec<[i32; 2]> =
        (0..mesh.groups.len()).map(|group| inner.size(mesh, group)).collect();
    let boxes = outer_edges(mesh);
    let right = draw(&Graph { sizes: sizes.clone(), edges: boxes.clone() }, GAP_GROUPS);
    let turned = sizes.iter().map(|&[width, height]| [height, width]).collect();
    let mut down = draw(&Graph { sizes: turned, edges: boxes.clone() }, GAP_GROUPS);
    turn(&mut down);
    let fit = |size: [i32; 2]| {
        let ratio = |side: usize| SCREEN[side] / f64::from(size[side].max(1));
        ratio(0).min(ratio(1))
    };
    // Rightwards unless downwards is clearly larger on a screen.
    let downwards = fit(down.size) > fit(right.size) * 1.15;
    let outer = if downwards { down } else { right };
    compose(mesh, &inner, (&outer, &boxes, &sizes), downwards)
}

fn turn(drawing: &mut Drawing) {
    drawing.size.reverse();
    drawing.nodes.iter_mut().for_each(|node| node.reverse());
    for line in &mut drawing.lines {
        line.chunks_exact_mut(2).for_each(<[i32]>::reverse);
    }
}

/// The jobs of each group, drawn by themselves.
struct Inner {
    drawings: Vec<Drawing>,
    /// Index of each node within its group.
    within: Vec<usize>,
    /// Per edge: group and index within its drawing.
    edges: Vec<Option<(usize, usize)>>,
    size: [i32; 2],
}

impl Inner {
    fn of(mesh: &Mesh) -> Inner {
        let longest = mesh.nodes.iter().map(|node| node.name_chars).max().unwrap_or(0);
        let chars = i32::try_from(longest.min(60)).unwrap_or(60);
        let size = [(chars * 7 + 56).clamp(150, 250), 40];
        let mut graphs = vec![Graph::default(); mesh.groups.len()];
        let mut within = Vec::with_capacity(mesh.nodes.len());
        for node in &mesh.nodes {
            let graph = &mut graphs[node.group];
            within.push(graph.sizes.len());
            graph.sizes.push(size);
        }
        let edges = mesh
            .edges
            .iter()
            .map(|edge| {
                let (End::Node(from), End::Node(to)) = (edge.from, edge.to) else { return None };
                let group = mesh.nodes.get(from)?.group;
                if mesh.nodes.get(to)?.group != group || mesh.groups[group].folded {
                    return None;
                }
                graphs[group].edges.push([within[from], within[to]]);
                Some((group, graphs[group].edges.len() - 1))
            })
            .collect();
        let drawings = graphs
            .iter()
            .zip(&mesh.groups)
            .map(|(graph, group)| match group.folded {
                true => Drawing::default(),
                false => draw(graph, GAP_JOBS),
            })
            .collect();
        Inner { drawings, within, edges, size }
    }

    fn size(&self, mesh: &Mesh, group: usize) -> [i32; 2] {
        let title = i32::try_from(mesh.groups[group].title_chars.min(60)).unwrap_or(60) * 8 + 90;
        if mesh.groups[group].folded {
            return [FOLDED[0].max(title.min(360)), FOLDED[1]];
        }
        let [width, height] = self.drawings[group].size;
        [(width + 2 * PADDING).max(title), height + TITLE + PADDING]
    }
}

/// Which box follows which: each pair once, in the order of the edges.
fn outer_edges(mesh: &Mesh) -> Vec<[usize; 2]> {
    let mut seen = BTreeSet::new();
    mesh.edges
        .iter()
        .filter_map(|edge| {
            let pair = [group_of(mesh, edge.from)?, group_of(mesh, edge.to)?];
            (pair[0] != pair[1] && seen.insert(pair)).then_some(pair)
        })
        .collect()
}

fn group_of(mesh: &Mesh, end: End) -> Option<usize> {
    match end {
        End::Group(group) => (group < mesh.groups.len()).then_some(group),
        End::Node(node) => mesh.nodes.get(node).map(|node| node.group),
    }
}

/// The drawing of the boxes, which box follows which, and how large they are.
type Outer<'a> = (&'a Drawing, &'a [[usize; 2]], &'a [[i32; 2]]);

fn compose(mesh: &Mesh, inner: &Inner, (outer, boxes, sizes): Outer, down: bool) -> Layout {
    let rect = |at: [i32; 2], size: [i32; 2]| [at[0], at[1], size[0], size[1]];
    let groups: Vec<[i32; 4]> =
        outer.nodes.iter().zip(sizes).map(|(&at, &size)| rect(at, size)).collect();
    let corner = |group: usize| [groups[group][0] + PADDING, groups[group][1] + TITLE];
    let nodes: Vec<[i32; 4]> = mesh
        .nodes
        .iter()
        .zip(&inner.within)
        .map(|(node, &within)| match inner.drawings[node.group].nodes.get(within) {
            Some(at) if !mesh.groups[node.group].folded => {
                let [x, y] = corner(node.group);
                rect([at[0] + x, at[1] + y], inner.size)
            }
            _ => [0; 4],
        })
        .collect();
    let routes: BTreeMap<[usize; 2], usize> =
        boxes.iter().enumerate().map(|(at, &pair)| (pair, at)).collect();
    let mut drawn = BTreeSet::new();
    let lines = mesh
        .edges
        .iter()
        .zip(&inner.edges)
        .map(|(edge, &inside)| {
            if let Some((group, index)) = inside {
                let [x, y] = corner(group);
                let line = &inner.drawings[group].lines[index];
                return line.chunks_exact(2).flat_map(|p| [p[0] + x, p[1] + y]).collect();
            }
            let seen_end = |end: End| match end {
                End::Node(node) if nodes.get(node).is_some_and(|rect| rect[2] == 0) => {
                    End::Group(mesh.nodes[node].group)
                }
                end => end,
            };
            let ends = (seen_end(edge.from), seen_end(edge.to));
            let (Some(from), Some(to)) = (group_of(mesh, ends.0), group_of(mesh, ends.1)) else {
                return Vec::new();
            };
            // Several edges of folded jobs are one line between two boxes.
            if from == to || !drawn.insert(ends) {
                return Vec::new();
            }
            if let (End::Group(_), End::Group(_), Some(&route)) =
                (ends.0, ends.1, routes.get(&[from, to]))
            {
                return outer.lines[route].clone();
            }
            let rect_of = |end: End| match end {
                End::Group(group) => groups[group],
                End::Node(node) => nodes[node],
            };
            let straight = across(rect_of(ends.0), rect_of(ends.1), down);
            // Around the boxes between them, as their boxes are joined.
            let route = routes.get(&[from, to]).map(|&route| &outer.lines[route][..]);
            let around = route.filter(|line| line.len() > 4).map(|line| &line[2..line.len() - 2]);
            [&straight[..2], around.unwrap_or_default(), &straight[2..]].concat()
        })
        .collect();
    Layout { width: outer.size[0], height: outer.size[1], down, groups, nodes, lines }
}

/// From one rectangle to another of another box.
fn across(from: [i32; 4], to: [i32; 4], down: bool) -> Vec<i32> {
    match down {
        true => vec![from[0] + from[2] / 2, from[1] + from[3], to[0] + to[2] / 2, to[1]],
        false => vec![from[0] + from[2], from[1] + from[3] / 2, to[0], to[1] + to[3] / 2],
    }
}

/// The layouts of late, by the hash of what was drawn.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    layouts: BTreeMap<[u8; 32], (u64, Arc<Layout>)>,
    turn: u64,
}

impl Cache {
    pub fn layout(&self, mesh: &Mesh) -> Arc<Layout> {
        let key = hash(mesh);
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.turn += 1;
            let turn = kept.turn;
            if let Some((used, layout)) = kept.layouts.get_mut(&key) {
                *used = turn;
                return layout.clone();
            }
        }
        // Drawn outside of the lock: two may draw the same at once, and get the same.
        let layout = Arc::new(layout(mesh));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = kept.turn;
        if kept.layouts.len() >= CACHED_MAX
            && let Some(oldest) =
                kept.layouts.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key)
        {
            kept.layouts.remove(&oldest);
        }
        kept.layouts.insert(key, (turn, layout.clone()));
        layout
    }
}

fn hash(mesh: &Mesh) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut number = |n: usize| hash.update((n as u64).to_be_bytes());
    number(mesh.groups.len());
    for group in &mesh.groups {
        number(usize::from(group.folded));
        number(group.title_chars);
    }
    number(mesh.nodes.len());
    for node in &mesh.nodes {
        number(node.group);
        number(node.name_chars);
    }
    for edge in &mesh.edges {
        for end in [edge.from, edge.to] {
            match end {
                End::Group(group) => number(group * 2),
                End::Node(node) => number(node * 2 + 1),
            }
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
