//! What a drawing promises: the same each time, nothing on top of another, edges that end where
//! their jobs stand, and fast.

use super::*;
use proptest::prelude::*;
use shared::clock::Clock;

fn one_group(nodes: usize, edges: &[(usize, usize)]) -> Mesh {
    Mesh {
        groups: vec![Group { folded: false, title_chars: 10 }],
        nodes: vec![Node { group: 0, name_chars: 12 }; nodes],
        edges: edges
            .iter()
            .map(|&(from, to)| MeshEdge { from: End::Node(from), to: End::Node(to) })
            .collect(),
    }
}

fn overlap(a: [i32; 4], b: [i32; 4]) -> bool {
    a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3]
}

fn sound(mesh: &Mesh) {
    let drawn = layout(mesh);
    assert_eq!(drawn, layout(mesh), "drawn twice, drawn the same");
    assert_eq!(drawn.lines.len(), mesh.edges.len());
    for rects in [&drawn.nodes, &drawn.groups] {
        for (at, &a) in rects.iter().enumerate() {
            for &b in &rects[at + 1..] {
                assert!(a[2] == 0 || b[2] == 0 || !overlap(a, b), "{a:?} lies on {b:?}");
            }
        }
    }
    for (node, rect) in mesh.nodes.iter().zip(&drawn.nodes) {
        let frame = drawn.groups[node.group];
        if rect[2] > 0 {
            let inside = rect[0] >= frame[0]
                && rect[1] >= frame[1]
                && rect[0] + rect[2] <= frame[0] + frame[2]
                && rect[1] + rect[3] <= frame[1] + frame[3];
            assert!(inside, "{rect:?} in {frame:?}");
        }
    }
    for group in &drawn.groups {
        assert!(group[0] >= 0 && group[0] + group[2] <= drawn.width, "{group:?}");
        assert!(group[1] >= 0 && group[1] + group[3] <= drawn.height, "{group:?}");
    }
}

#[test]
fn a_chain_is_a_straight_line_to_the_right() {
    let drawn = layout(&one_group(3, &[(0, 1), (1, 2)]));
    let [a, b, c] = drawn.nodes[..] else { panic!() };
    assert!(a[0] + a[2] < b[0] && b[0] + b[2] < c[0]);
    assert_eq!((a[1], b[1]), (b[1], c[1]));
    assert_eq!(drawn.lines[0], [a[0] + a[2], a[1] + 20, b[0], b[1] + 20]);
}

#[test]
fn a_diamond_is_symmetric_and_nothing_crosses() {
    let drawn = layout(&one_group(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]));
    let middle = |node: usize| drawn.nodes[node][1] * 2 + drawn.nodes[node][3];
    assert!((middle(1) + middle(2) - 2 * middle(0)).abs() <= 4);
    assert!((middle(0) - middle(3)).abs() <= 4);
}

#[test]
fn jobs_without_edges_stand_in_rows() {
    let drawn = layout(&one_group(100, &[]));
    let rows: BTreeSet<i32> = drawn.nodes.iter().map(|node| node[1]).collect();
    assert!((5..=30).contains(&rows.len()), "{} rows", rows.len());
    sound(&one_group(100, &[]));
}

#[test]
fn a_folded_group_takes_the_edges_of_its_jobs() {
    let mut mesh = one_group(2, &[(0, 1)]);
    mesh.groups.push(Group { folded: true, title_chars: 5 });
    mesh.nodes.extend([Node { group: 1, name_chars: 3 }; 2]);
    for (from, to) in [(1, 2), (1, 3), (2, 3)] {
        mesh.edges.push(MeshEdge { from: End::Node(from), to: End::Node(to) });
    }
    let drawn = layout(&mesh);
    assert_eq!(drawn.nodes[2], [0; 4]);
    assert!(!drawn.lines[1].is_empty(), "one line to the box");
    assert!(drawn.lines[2].is_empty() && drawn.lines[3].is_empty(), "and no second, none inside");
    sound(&mesh);
}

#[test]
fn a_cycle_and_a_loop_are_drawn_too() {
    sound(&one_group(4, &[(0, 1), (1, 2), (2, 0), (3, 3)]));
    sound(&one_group(0, &[]));
    sound(&Mesh::default());
}

#[test]
fn edges_that_name_nothing_are_not_drawn() {
    let drawn = layout(&one_group(1, &[(0, 7), (9, 0)]));
    assert!(drawn.lines.iter().all(Vec::is_empty));
}

#[test]
fn three_thousand_jobs_are_drawn() {
    let edges: Vec<(usize, usize)> = (1..3_000_usize)
        .flat_map(|to| [7, 13, 41].map(|step| (to.saturating_sub(step * (1 + to % 5)), to)))
        .filter(|(from, to)| from != to)
        .collect();
    let clock = Clock::system();
    let drawn = layout(&one_group(3_000, &edges));
    println!("3,000 jobs laid out in {} ms", clock.mono_ms());
    assert_eq!(drawn.nodes.len(), 3_000);
}

#[test]
fn the_cache_gives_the_same_layout_and_stays_small() {
    let cache = Cache::default();
    let mesh = one_group(3, &[(0, 1)]);
    let first = cache.layout(&mesh);
    assert!(Arc::ptr_eq(&first, &cache.layout(&mesh)));
    for nodes in 0..300 {
        cache.layout(&one_group(nodes % 5 + nodes / 5, &[]));
    }
    assert!(cache.0.lock().unwrap().layouts.len() <= CACHED_MAX);
}

#[test]
fn a_chinese_name_is_twice_as_wide() {
    assert_eq!((text_width("abc"), text_width("航班")), (3, 4));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_mesh_is_drawn_soundly(
        groups in prop::collection::vec(any::<bool>(), 1..6),
        nodes in prop::collection::vec(0_usize..6, 0..40),
        edges in prop::collection::vec((0_usize..40, 0_usize..40, 0_usize..8), 0..80),
    ) {
        let count = groups.len();
        let mesh = Mesh {
            groups: groups.iter().map(|&folded| Group { folded, title_chars: 8 }).collect(),
            nodes: nodes.iter().map(|&g| Node { group: g % count, name_chars: 9 }).collect(),
            edges: edges
                .iter()
                .map(|&(from, to, way)| match way {
                    0 => MeshEdge { from: End::Group(from % count), to: End::Group(to % count) },
                    1 => MeshEdge { from: End::Group(from % count), to: End::Node(to) },
                    _ => MeshEdge { from: End::Node(from), to: End::Node(to) },
                })
                .collect(),
        };
        sound(&mesh);
    }

    #[test]
    fn edges_of_a_dag_lead_to_the_right(edges in prop::collection::vec((0_usize..30, 0_usize..30), 0..60)) {
        let dag: Vec<(usize, usize)> =
            edges.into_iter().filter(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))).collect();
        let drawn = layout(&one_group(30, &dag));
        for (&(from, to), line) in dag.iter().zip(&drawn.lines) {
            let (a, b) = (drawn.nodes[from], drawn.nodes[to]);
            prop_assert!(a[0] + a[2] <= b[0]);
            prop_assert_eq!(&line[..2], &[a[0] + a[2], a[1] + 20][..]);
            prop_assert_eq!(&line[line.len() - 2..], &[b[0], b[1] + 20][..]);
        }
    }
}
