//! The picture of a file, where its author has put things: circles, arrows and words for a template to
//! write as SVG. Pure.

use serde::Serialize;
use shared::etl::drawn::{Drawn, Hop, Step, When};
use std::collections::{BTreeMap, BTreeSet};

/// Half of a step's icon.
const HALF: f64 = 21.0;
/// Steps in Kettle and Hop stand closer than our words are wide.
const STRETCH: f64 = 1.3;
/// Around everything, with room for the words below.
const MARGIN: f64 = 78.0;
const BELOW: f64 = 48.0;
/// Where steps lie one on another (a file that a program has written) they are moved apart.
const CELL: i32 = 40;
const ASIDE: i32 = 120;
/// Pixels: a file with one step far away is drawn smaller.
const SIDE_MAX: f64 = 6_000.0;
/// A picture is drawn smaller where there is no room for it, down to this.
const SHRINK_MIN: f64 = 0.6;
/// Columns of a name that is not cut.
const NAME_COLUMNS: usize = 18;

/// What the last run has told of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    pub(super) errors: u64,
    /// The first line of its error.
    pub(super) words: String,
    /// Rows read, written, in and out.
    pub(super) rows: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Picture {
    width: String,
    height: String,
    /// It is not made narrower on a small screen: then its frame scrolls.
    least: String,
    nodes: Vec<Node>,
    lines: Vec<Line>,
    /// Steps with errors.
    wrong: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Node {
    x: String,
    y: String,
    name: String,
    shown: String,
    kind: String,
    letters: String,
    tone: &'static str,
    /// A file that it runs.
    href: Option<String>,
    runs: String,
    mark: Option<Mark>,
    bad: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    path: String,
    head: String,
    when: &'static str,
    /// On the line: it is told without colours too.
    sign: &'static str,
    x: String,
    y: String,
    off: bool,
}

pub(super) fn picture(
    drawn: &Drawn,
    marks: &BTreeMap<String, Mark>,
    address: impl Fn(&str) -> String,
) -> Picture {
    let places = places(&drawn.steps);
    let node = |(step, place): (&Step, &Place)| {
        let mark = marks.get(&step.name).cloned();
        let runs = step.runs.as_ref();
        Node {
            x: number(place.x),
            y: number(place.y),
            name: step.name.clone(),
            shown: cut(&step.name),
            kind: step.kind.clone(),
            letters: letters(&step.kind),
            tone: tone(&step.kind),
            href: runs.filter(|runs| runs.whole).map(|runs| address(&runs.file)),
            runs: runs.map(|runs| runs.file.clone()).unwrap_or_default(),
            bad: mark.as_ref().is_some_and(|mark| mark.errors > 0 || !mark.words.is_empty()),
            mark,
        }
    };
    let nodes: Vec<Node> = drawn.steps.iter().zip(&places).map(node).collect();
    let far = |side: fn(&Place) -> f64| places.iter().map(side).fold(0.0, f64::max);
    let width = far(|place| place.x) + MARGIN;
    Picture {
        width: number(width),
        least: number(width * SHRINK_MIN),
        height: number(far(|place| place.y) + BELOW + HALF),
        lines: drawn.hops.iter().filter_map(|hop| line(hop, &places)).collect(),
        wrong: nodes.iter().filter(|node| node.bad).count(),
        nodes,
    }
}

/// The middle of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    x: f64,
    y: f64,
}

fn places(steps: &[Step]) -> Vec<Place> {
    let mut taken = BTreeSet::new();
    let apart: Vec<(i32, i32)> = steps
        .iter()
        .map(|step| {
            let (mut x, y) = (step.x, step.y);
            while !taken.insert((x.div_euclid(CELL), y.div_euclid(CELL))) {
                x += ASIDE;
            }
            (x, y)
        })
        .collect();
    let least = |side: fn(&(i32, i32)) -> i32| apart.iter().map(side).min().unwrap_or(0);
    let (left, top) = (least(|at| at.0), least(|at| at.1));
    let span = apart.iter().map(|at| (at.0 - left).max(at.1 - top)).max().unwrap_or(0);
    let scale = STRETCH.min(SIDE_MAX / f64::from(span.max(1)));
    let place = |&(x, y): &(i32, i32)| Place {
        x: MARGIN + f64::from(x - left) * scale,
        y: HALF + 16.0 + f64::from(y - top) * scale,
    };
    apart.iter().map(place).collect()
}

fn line(hop: &Hop, places: &[Place]) -> Option<Line> {
    let from = places.get(usize::try_from(hop.from).ok()?)?;
    let to = places.get(usize::try_from(hop.to).ok()?)?;
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy);
    // Of a step to itself, or to one beside it, nothing would be seen.
    if length < 2.0 * HALF + 8.0 {
        return None;
    }
    let (ux, uy) = (dx / length, dy / length);
    let near = HALF + 3.0;
    let (ax, ay) = (from.x + ux * near, from.y + uy * near);
    let (bx, by) = (to.x - ux * near, to.y - uy * near);
    let (hx, hy) = (bx - ux * 9.0, by - uy * 9.0);
    let corner = |side: f64| format!("{} {}", number(hx - uy * side), number(hy + ux * side));
    let (when, sign) = match hop.when {
        When::Always => ("always", ""),
        When::Success => ("success", "✓"),
        When::Failure => ("failure", "✕"),
        When::Rows => ("rows", ""),
        When::Errors => ("errors", "!"),
    };
    Some(Line {
        path: format!("M{} {}L{} {}", number(ax), number(ay), number(hx), number(hy)),
        head: format!("M{} {}L{}L{}Z", number(bx), number(by), corner(4.5), corner(-4.5)),
        when,
        sign,
        x: number((ax + bx) / 2.0),
        y: number((ay + by) / 2.0),
        off: hop.off,
    })
}

fn number(value: f64) -> String {
    format!("{value:.0}")
}

/// A Chinese character is twice as wide.
fn cut(name: &str) -> String {
    if super::super::graph::text_width(name) <= NAME_COLUMNS {
        return name.to_owned();
    }
    let mut columns = 0;
    let short: String = name
        .chars()
        .take_while(|c| {
            columns += super::super::graph::text_width(c.encode_utf8(&mut [0; 4]));
            columns < NAME_COLUMNS
        })
        .collect();
    format!("{short}…")
}

/// `TableInput` is TI, `TRANS` is TR.
fn letters(kind: &str) -> String {
    match kind {
        "SPECIAL" => return "▶".into(),
        "SUCCESS" => return "✓".into(),
        "ABORT" | "ABRT" | "Abort" => return "✕".into(),
        _ => {}
    }
    let capitals: String = kind.chars().filter(char::is_ascii_uppercase).take(2).collect();
    let is_word = kind.chars().any(|c| c.is_ascii_lowercase());
    match is_word && capitals.len() == 2 {
        true => capitals,
        false => kind.chars().take(2).flat_map(char::to_uppercase).collect(),
    }
}

/// What it is for, by its name: only for the eye.
fn tone(kind: &str) -> &'static str {
    let ends = |words: &[&str]| words.iter().any(|word| kind.ends_with(word));
    match kind {
        "SPECIAL" => "start",
        "SUCCESS" => "good",
        "ABORT" | "ABRT" | "Abort" => "bad",
        "TRANS" | "JOB" | "PIPELINE" | "WORKFLOW" | "TransExecutor" | "JobExecutor"
        | "PipelineExecutor" | "WorkflowExecutor" | "Mapping" | "SimpleMapping" | "MetaInject" => {
            "runs"
        }
        _ if ends(&["Input", "Generator", "DataGrid", "GetFileNames"]) => "in",
        _ if ends(&["Output", "Loader", "InsertUpdate", "WriteToLog", "Update", "Delete"]) => "out",
        _ => "plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::etl::drawn::{self, Place as Where};

    const JOB: &str = include_str!("../../../../executor/tests/kettle/samples/job.kjb");
    const SALES: &str = include_str!("../../../../executor/tests/hop/project/sales.hpl");

    fn of(text: &str, marks: &[(&str, Mark)]) -> Picture {
        let place = Where { folder: "/etl", ..Where::default() };
        let drawn = drawn::read(text, place).unwrap();
        let marks = marks.iter().map(|(name, mark)| ((*name).to_owned(), mark.clone())).collect();
        picture(&drawn, &marks, |path| format!("/at{path}"))
    }

    #[test]
    fn steps_stand_where_their_author_has_put_them() {
        let mark = Mark { errors: 3, words: "no table".into(), rows: String::new() };
        let picture = of(JOB, &[("trans", mark), ("nobody", Mark::default())]);
        let at: Vec<_> =
            picture.nodes.iter().map(|node| (node.x.as_str(), node.y.as_str())).collect();
        assert_eq!(at, [("78", "37"), ("208", "37"), ("338", "37")]);
        assert_eq!((picture.width.as_str(), picture.height.as_str()), ("416", "106"));
        let trans = &picture.nodes[1];
        assert_eq!(trans.href.as_deref(), Some("/at/etl/hello.ktr"));
        assert!(trans.bad && picture.wrong == 1);
        assert_eq!(picture.lines.len(), 2);
        assert_eq!((picture.lines[0].when, picture.lines[1].sign), ("always", "✓"));
        assert_eq!(picture.lines[0].path, "M102 37L175 37");
    }

    #[test]
    fn what_lies_one_on_another_is_moved_apart_and_what_is_far_away_is_drawn() {
        let picture = of(SALES, &[]);
        let at: Vec<_> = picture.nodes.iter().map(|node| node.x.as_str()).collect();
        assert_eq!(at, ["78", "234", "390", "546", "702"]);
        assert_eq!(picture.lines.len(), 4);
        let far = "<job><entries><entry><name>a</name><xloc>-100000</xloc><yloc>0</yloc></entry><entry>\
                   <name>b</name><xloc>100000</xloc><yloc>5</yloc></entry></entries></job>";
        assert_eq!(of(far, &[]).nodes[1].x, "6078");
        let same = "<entry><name>a</name><xloc>1</xloc><yloc>1</yloc></entry>".repeat(400);
        let picture = of(&format!("<job><entries>{same}</entries></job>"), &[]);
        assert_eq!(picture.nodes.len(), 400);
        assert_eq!(of("<job/>", &[]).nodes.len(), 0);
    }

    #[test]
    fn names_and_kinds_are_short() {
        assert_eq!(cut("a short name"), "a short name");
        assert_eq!(cut(&"x".repeat(40)), format!("{}…", "x".repeat(17)));
        assert_eq!(cut(&"字".repeat(20)), format!("{}…", "字".repeat(8)));
        for (kind, letter) in [
            ("TableInput", "TI"),
            ("TRANS", "TR"),
            ("SPECIAL", "▶"),
            ("MemoryGroupBy", "MG"),
            ("Dummy", "DU"),
            ("", ""),
        ] {
            assert_eq!(letters(kind), letter);
        }
    }
}
