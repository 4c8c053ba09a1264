//! One layered drawing, left to right: ranks, then the order in each rank, then places.
//!
//! Pure, iterative (no recursion, so no depth limit) and deterministic: the same graph is drawn the
//! same, so that a page can be reloaded and a picture compared. Called by [`super::layout`].

/// Edges longer than this many ranks in total are drawn straight instead of being routed.
const BENDS_MAX: usize = 120_000;
/// Rounds of crossing reduction; most drawings settle after four.
const ORDER_ROUNDS: usize = 12;
const PLACE_ROUNDS: usize = 6;

/// Nodes are indexes into `sizes`.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// Width and height.
    pub sizes: Vec<[i32; 2]>,
    pub edges: Vec<[usize; 2]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// Between ranks.
    pub across: i32,
    /// Between neighbours of one rank.
    pub along: i32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    pub size: [i32; 2],
    /// Top left corners.
    pub nodes: Vec<[i32; 2]>,
    /// Per edge: x, y, x, y, … from its first node to its second.
    pub lines: Vec<Vec<i32>>,
}

pub(super) fn draw(graph: &Graph, gap: Gap) -> Drawing {
    let mut linked = vec![false; graph.sizes.len()];
    for &[from, to] in &graph.edges {
        linked[from] |= from != to;
        linked[to] |= from != to;
    }
    let ranks = rank(graph);
    let mut web = Web::new(graph, &ranks, &linked);
    web.order();
    let middles = web.place(gap);
    let mut drawing = web.finish(graph, &middles, gap);
    grid(graph, &linked, gap, &mut drawing);
    drawing
}

/// The longest path to each node. What lies on a cycle (drafts may have one) is cut open at the
/// smallest index.
fn rank(graph: &Graph) -> Vec<usize> {
    let count = graph.sizes.len();
    let (mut after, mut missing) = (vec![Vec::new(); count], vec![0_usize; count]);
    for &[from, to] in graph.edges.iter().filter(|[from, to]| from != to) {
        after[from].push(to);
        missing[to] += 1;
    }
    let has_before: Vec<bool> = missing.iter().map(|&n| n > 0).collect();
    let (mut rank, mut placed, mut order) = (vec![0_usize; count], vec![false; count], Vec::new());
    let mut ready: std::collections::VecDeque<usize> =
        (0..count).filter(|&node| missing[node] == 0).collect();
    let mut forced = 0;
    while order.len() < count {
        let node = ready.pop_front().unwrap_or_else(|| {
            while forced < count && placed[forced] {
                forced += 1;
            }
            forced.min(count - 1)
        });
        if std::mem::replace(&mut placed[node], true) {
            continue;
        }
        order.push(node);
        for &next in &after[node] {
            if placed[next] {
                continue;
            }
            rank[next] = rank[next].max(rank[node] + 1);
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.push_back(next);
            }
        }
    }
    // A node that nothing leads to stands right before what it leads to.
    for &node in order.iter().rev().filter(|&&node| !has_before[node]) {
        let first = after[node].iter().map(|&next| rank[next]).min();
        rank[node] = first.map_or(0, |first| first.saturating_sub(1).max(rank[node]));
    }
    rank
}

/// The graph with every edge cut into steps of one rank.
struct Web {
    /// Per vertex: nodes first, bends behind them.
    height: Vec<i32>,
    nodes: usize,
    layers: Vec<Vec<usize>>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    /// Per edge: its vertices from the lower to the higher rank.
    chains: Vec<Vec<usize>>,
    /// Place of each vertex within its layer.
    at: Vec<usize>,
}

impl Web {
    fn new(graph: &Graph, ranks: &[usize], linked: &[bool]) -> Web {
        let nodes = graph.sizes.len();
        let depth = (0..nodes).filter(|&n| linked[n]).map(|n| ranks[n] + 1).max().unwrap_or(0);
        let mut rank_of = ranks.to_vec();
        let mut web = Web {
            height: graph.sizes.iter().map(|size| size[1]).collect(),
            nodes,
            layers: vec![Vec::new(); depth],
            before: vec![Vec::new(); nodes],
            after: vec![Vec::new(); nodes],
            chains: Vec::with_capacity(graph.edges.len()),
            at: Vec::new(),
        };
        for &[from, to] in &graph.edges {
            let (low, high) = if ranks[from] <= ranks[to] { (from, to) } else { (to, from) };
            let span = ranks[high] - ranks[low];
            let mut chain = vec![low];
            if span > 1 && web.height.len() - nodes + span <= BENDS_MAX {
                for rank in ranks[low] + 1..ranks[high] {
                    chain.push(web.height.len());
                    web.height.push(6);
                    web.before.push(Vec::new());
                    web.after.push(Vec::new());
                    rank_of.push(rank);
                }
            }
            chain.push(high);
            for step in chain.windows(2).filter(|s| rank_of[s[0]] + 1 == rank_of[s[1]]) {
                web.after[step[0]].push(step[1]);
                web.before[step[1]].push(step[0]);
            }
            web.chains.push(chain);
        }
        web.start(&rank_of, linked);
        web
    }

    /// A first order: as a walk into the depth meets them, which draws trees without a crossing.
    fn start(&mut self, rank_of: &[usize], linked: &[bool]) {
        let count = self.height.len();
        self.at = vec![0; count];
        let mut seen = vec![false; count];
        let mut roots: Vec<usize> = (0..count).filter(|&v| v >= self.nodes || linked[v]).collect();
        roots.sort_by_key(|&v| (rank_of[v], v));
        for root in roots {
            let mut stack = vec![root];
            while let Some(vertex) = stack.pop() {
                if std::mem::replace(&mut seen[vertex], true) {
                    continue;
                }
                self.layers[rank_of[vertex]].push(vertex);
                stack.extend(self.after[vertex].iter().rev().filter(|&&next| !seen[next]));
            }
        }
        self.number();
    }

    fn number(&mut self) {
        for layer in &self.layers {
            for (at, &vertex) in layer.iter().enumerate() {
                self.at[vertex] = at;
            }
        }
    }

    /// Barycentres, down and up in turn; the best order seen is kept.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.layers.clone());
        let mut idle = 0;
        for round in 0..ORDER_ROUNDS {
            if best.0 == 0 || idle == 4 {
                break;
            }
            let down = round % 2 == 0;
            for step in 0..self.layers.len() {
                self.sort(if down { step } else { self.layers.len() - 1 - step }, down);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
                idle = 0;
            } else {
                idle += 1;
            }
        }
        self.layers = best.1;
        self.number();
    }

    fn sort(&mut self, layer: usize, down: bool) {
        let mut vertices = std::mem::take(&mut self.layers[layer]);
        let beside = if down { &self.before } else { &self.after };
        let mut keyed: Vec<(f64, usize)> = vertices
            .iter()
            .map(|&vertex| {
                let near = &beside[vertex];
                let sum: usize = near.iter().map(|&other| self.at[other]).sum();
                match near.len() {
                    0 => (self.at[vertex] as f64, vertex),
                    count => (sum as f64 / count as f64, vertex),
                }
            })
            .collect();
        // Stable: who is equal keeps its place.
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        vertices.clear();
        for (at, (_, vertex)) in keyed.into_iter().enumerate() {
            self.at[vertex] = at;
            vertices.push(vertex);
        }
        self.layers[layer] = vertices;
    }

    /// How many pairs of steps cross: inversions, counted with a Fenwick tree.
    fn crossings(&self) -> u64 {
        let mut total = 0;
        for pair in self.layers.windows(2) {
            let mut tree = vec![0_u32; pair[1].len() + 1];
            let mut met = 0_u64;
            for &vertex in &pair[0] {
                let mut ends: Vec<usize> =
                    self.after[vertex].iter().map(|&next| self.at[next]).collect();
                ends.sort_unstable();
                for &end in &ends {
                    let (mut index, mut not_above) = (end + 1, 0_u64);
                    while index > 0 {
                        not_above += u64::from(tree[index]);
                        index -= index & index.wrapping_neg();
                    }
                    total += met - not_above;
                }
                for end in ends {
                    met += 1;
                    let mut index = end + 1;
                    while index < tree.len() {
                        tree[index] += 1;
                        index += index & index.wrapping_neg();
                    }
                }
            }
        }
        total
    }

    /// The middle of each vertex along its layer: as near to its neighbours as order and gaps allow.
    fn place(&self, gap: Gap) -> Vec<f64> {
        let mut middle = vec![0.0; self.height.len()];
        for layer in &self.layers {
            let mut top = 0.0;
            for &vertex in layer {
                let height = f64::from(self.height[vertex]);
                middle[vertex] = top + height / 2.0;
                top += height + f64::from(gap.along);
            }
        }
        for round in 0..PLACE_ROUNDS {
            for step in 0..self.layers.len() {
                // The last round looks both ways, so that a join stands between its branches.
                let (layer, near): (usize, [&[Vec<usize>]; 2]) = match round {
                    _ if round + 1 == PLACE_ROUNDS => (step, [&self.before, &self.after]),
                    _ if round % 2 == 0 => (step, [&self.before, &[]]),
                    _ => (self.layers.len() - 1 - step, [&self.after, &[]]),
                };
                self.settle(layer, near, gap, &mut middle);
            }
        }
        middle
    }

    /// Least squares to the wished places under fixed order and gaps: pool adjacent violators.
    fn settle(&self, layer: usize, near: [&[Vec<usize>]; 2], gap: Gap, middle: &mut [f64]) {
        // (sum of wishes, weight, members), wishes taken relative to the packed place.
        let mut pools: Vec<(f64, f64, usize)> = Vec::new();
        let mut packed = Vec::with_capacity(self.layers[layer].len());
        let mut base = 0.0;
        let mut previous = 0.0;
        for (at, &vertex) in self.layers[layer].iter().enumerate() {
            let half = f64::from(self.height[vertex]) / 2.0;
            if at > 0 {
                base += previous + half + f64::from(gap.along);
            }
            previous = half;
            packed.push(base);
            let (mut sum, mut weight) = (0.0, 0.0);
            for other in near.iter().flat_map(|side| side.get(vertex)).flatten() {
                // A bend beside a bend should make a straight line.
                let stiff = if vertex >= self.nodes && *other >= self.nodes { 8.0 } else { 1.0 };
                sum += middle[*other] * stiff;
                weight += stiff;
            }
            if weight == 0.0 {
                (sum, weight) = (middle[vertex] * 0.01, 0.01);
            }
            let mut pool = (sum - base * weight, weight, 1);
            while let Some(&last) = pools.last()
                && last.0 / last.1 >= pool.0 / pool.1
            {
                pool = (last.0 + pool.0, last.1 + pool.1, last.2 + pool.2);
                pools.pop();
            }
            pools.push(pool);
        }
        let mut members = self.layers[layer].iter().zip(packed);
        for (sum, weight, count) in pools {
            for (&vertex, base) in members.by_ref().take(count) {
                middle[vertex] = base + sum / weight;
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "coordinates are far below 2^31")]
    fn finish(&self, graph: &Graph, middle: &[f64], gap: Gap) -> Drawing {
        let wide = |layer: &Vec<usize>| {
            layer.iter().filter(|&&v| v < self.nodes).map(|&v| graph.sizes[v][0]).max().unwrap_or(0)
        };
        let top = self
            .layers
            .iter()
            .flatten()
            .map(|&v| middle[v] - f64::from(self.height[v]) / 2.0)
            .fold(f64::INFINITY, f64::min);
        let mut drawing = Drawing { nodes: vec![[0, 0]; self.nodes], ..Drawing::default() };
        let (mut left, mut columns) = (0, vec![[0, 0]; self.height.len()]);
        for layer in &self.layers {
            let width = wide(layer);
            for &vertex in layer {
                let height = self.height[vertex];
                let y = (middle[vertex] - top - f64::from(height) / 2.0).round() as i32;
                columns[vertex] = [left, left + width];
                if vertex < self.nodes {
                    drawing.nodes[vertex] = [left, y];
                    columns[vertex][1] = left + graph.sizes[vertex][0];
                }
                drawing.size[1] = drawing.size[1].max(y + height);
            }
            drawing.size[0] = left + width;
            left += width + gap.across;
        }
        let y_of = |v: usize| (middle[v] - top).round() as i32;
        for (chain, &[from, to]) in self.chains.iter().zip(&graph.edges) {
            let mut line = Vec::with_capacity(chain.len() * 4);
            if from != to {
                let last = chain.len() - 1;
                for (at, &vertex) in chain.iter().enumerate() {
                    let y = y_of(vertex);
                    if at > 0 {
                        line.extend([columns[vertex][0], y]);
                    }
                    if at < last {
                        line.extend([columns[vertex][1], y]);
                    }
                }
                if chain[0] != from {
                    line = line.chunks(2).rev().flatten().copied().collect();
                }
            }
            drawing.lines.push(straightened(line));
        }
        drawing
    }
}

/// Without the points in the middle of a level stretch.
fn straightened(line: Vec<i32>) -> Vec<i32> {
    let points: Vec<[i32; 2]> = line.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    let mut kept: Vec<[i32; 2]> = Vec::with_capacity(points.len());
    for point in points {
        if let [.., a, b] = kept[..]
            && a[1] == b[1]
            && b[1] == point[1]
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept.concat()
}

/// Nodes without an edge stand in rows below the rest, about twice as wide as high.
#[expect(clippy::cast_possible_truncation, reason = "a square root of a count")]
fn grid(graph: &Graph, linked: &[bool], gap: Gap, drawing: &mut Drawing) {
    let alone: Vec<usize> = (0..linked.len()).filter(|&node| !linked[node]).collect();
    let Some(width) = alone.iter().map(|&node| graph.sizes[node][0]).max() else { return };
    let height = alone.iter().map(|&node| graph.sizes[node][1]).max().unwrap_or(0);
    let step = [width + gap.along, height + gap.along];
    let square = (alone.len() as f64 * 2.0 * f64::from(step[1]) / f64::from(step[0])).sqrt().ceil();
    let fitting = ((drawing.size[0] + gap.along) / step[0]).max(1) as usize;
    let columns = (square as usize).max(fitting).clamp(1, alone.len());
    let top = if drawing.size[1] > 0 { drawing.size[1] + gap.along } else { 0 };
    for (at, node) in alone.into_iter().enumerate() {
        let (column, row) = ((at % columns) as i32, (at / columns) as i32);
        let place = [column * step[0], top + row * step[1]];
        drawing.nodes[node] = place;
        drawing.size[0] = drawing.size[0].max(place[0] + width);
        drawing.size[1] = drawing.size[1].max(place[1] + height);
    }
}
