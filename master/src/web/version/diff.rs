//! What differs between two versions of a definition: field by field, jobs and edges by their names,
//! texts line by line.

use super::named::Names;
use crate::engine::catalog::{Interface, Job};
use serde::{Serialize, Serializer};
use serde_yaml_ng::{Mapping, Value};
use shared::ids::*;
use shared::spec::Expect;
use similar::{ChangeTag, TextDiff};
use std::collections::BTreeMap;

/// Fields shown of one comparison; the rest is counted.
const FIELDS_MAX: usize = 1_000;
/// Longer texts are not compared line by line.
const LINES_MAX: usize = 4_000;
/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Characters shown of one value.
const SHOWN_MAX: usize = 4_000;

/// One field. None on a side: it is not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    pub path: String,
    #[serde(serialize_with = "json")]
    pub old: Option<Value>,
    #[serde(serialize_with = "json")]
    pub new: Option<Value>,
    /// Of a text of several lines, or a list: with what stands around.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub sign: Sign,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Sign {
    #[serde(rename = "-")]
    Gone,
    #[serde(rename = "+")]
    New,
    #[serde(rename = " ")]
    Same,
    /// Lines that are the same are left out here.
    #[serde(rename = "…")]
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Removed,
    Changed,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobChange {
    pub change: Change,
    pub id: JobId,
    pub name: String,
    pub fields: Vec<Field>,
}

/// From the job that comes first to the one that comes after it, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeChange {
    pub change: Change,
    pub from: String,
    pub to: String,
    pub old: Option<Expect>,
    pub new: Option<Expect>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    pub fields: Vec<Field>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobChange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgeChange>,
    /// Differences that are not shown.
    pub more: usize,
}

fn json<S: Serializer>(value: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
    value.serialize(to)
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.jobs.is_empty() && self.edges.is_empty()
    }

    /// Bounded: what is beyond is counted.
    fn cut(mut self) -> Diff {
        let mut left = FIELDS_MAX;
        let mut more = cut(&mut self.fields, &mut left);
        more += cut(&mut self.edges, &mut left);
        for job in &mut self.jobs {
            more += cut(&mut job.fields, &mut left);
        }
        Diff { more, ..self }
    }
}

fn cut<T>(list: &mut Vec<T>, left: &mut usize) -> usize {
    let more = list.len().saturating_sub(*left);
    list.truncate(*left);
    *left -= list.len();
    more
}

/// Of one definition alone: its name and its spec, as they are written.
pub fn of_spec((old_name, old): (&str, &Mapping), (name, new): (&str, &Mapping)) -> Diff {
    let mut fields = renamed(old_name, name);
    fields.extend(changes(old, new));
    Diff { fields, ..Diff::default() }.cut()
}

fn renamed(old: &str, new: &str) -> Vec<Field> {
    let name = |name: &str| Some(Value::from(name));
    if old == new {
        return Vec::new();
    }
    vec![Field { path: "name".into(), old: name(old), new: name(new), lines: Vec::new() }]
}

/// Of an interface with its jobs. Each side has its own names: of what was called otherwise, or is gone.
pub fn of_interface(
    (old_names, old): (&Names, &Interface),
    (names, new): (&Names, &Interface),
) -> Diff {
    let spec = |names: &Names, it: &Interface| names.interface_spec(it.project, &it.spec);
    let mut fields = renamed(&old.name, &new.name);
    fields.extend(changes(&spec(old_names, old), &spec(names, new)));
    let find = |it: &'_ Interface, id: JobId| it.jobs.iter().position(|job| job.id == id);
    let written = |names: &Names, it: &Interface, job: &Job| {
        let mut written = names.job_spec(it.project, &job.spec);
        // Edges are told by themselves.
        written.remove("after");
        written
    };
    let mut jobs = Vec::new();
    for job in &new.jobs {
        let now = written(names, new, job);
        let (change, fields) = match find(old, job.id).map(|at| &old.jobs[at]) {
            None => (Change::Added, changes(&Mapping::new(), &now)),
            Some(was) => {
                let mut fields = renamed(&was.name, &job.name);
                fields.extend(changes(&written(old_names, old, was), &now));
                (Change::Changed, fields)
            }
        };
        if change != Change::Changed || !fields.is_empty() {
            jobs.push(JobChange { change, id: job.id, name: job.name.clone(), fields });
        }
    }
    for job in old.jobs.iter().filter(|job| find(new, job.id).is_none()) {
        let fields = changes(&written(old_names, old, job), &Mapping::new());
        let (change, name) = (Change::Removed, job.name.clone());
        jobs.push(JobChange { change, id: job.id, name, fields });
    }
    Diff { fields, jobs, edges: edges(old, new), more: 0 }.cut()
}

type Edges = BTreeMap<(JobId, JobId), Expect>;

fn edges_of(interface: &Interface) -> Edges {
    let of = |job: &Job| {
        let to = job.id;
        job.spec.after.iter().map(move |edge| ((edge.job, to), edge.expect)).collect::<Vec<_>>()
    };
    interface.jobs.iter().flat_map(of).collect()
}

fn edges(old: &Interface, new: &Interface) -> Vec<EdgeChange> {
    let (before, after) = (edges_of(old), edges_of(new));
    let name = |id: JobId| {
        let mut jobs = new.jobs.iter().chain(&old.jobs);
        jobs.find(|job| job.id == id).map_or_else(|| format!("#{id}"), |job| job.name.clone())
    };
    let mut found = Vec::new();
    let all: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    for edge in all {
        let (old, new) = (before.get(&edge).copied(), after.get(&edge).copied());
        let change = match (old, new) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ if old == new => continue,
            _ => Change::Changed,
        };
        found.push(EdgeChange { change, from: name(edge.0), to: name(edge.1), old, new });
    }
    found.sort_by(|a, b| (&a.to, &a.from).cmp(&(&b.to, &b.from)));
    found
}

/// Fields whose values differ, in the order of the definition.
pub fn changes(old: &Mapping, new: &Mapping) -> Vec<Field> {
    let mut found = Vec::new();
    mappings("", old, new, &mut found);
    found
}

fn mappings(path: &str, old: &Mapping, new: &Mapping, found: &mut Vec<Field>) {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    for key in new.keys().chain(gone) {
        let name = key.as_str().map_or_else(|| text(key), str::to_owned);
        let below = if path.is_empty() { name } else { format!("{path}.{name}") };
        compare(below, old.get(key), new.get(key), found);
    }
}

fn compare(path: String, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Field>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Mapping(old)), Some(Value::Mapping(new))) => mappings(&path, old, new, found),
        (Some(Value::Mapping(old)), None) => mappings(&path, old, &Mapping::new(), found),
        (None, Some(Value::Mapping(new))) => mappings(&path, &Mapping::new(), new, found),
        (Some(Value::Sequence(_)) | None, Some(Value::Sequence(_)))
        | (Some(Value::Sequence(_)), None) => {
            let side = |value: Option<&Value>| {
                value.and_then(Value::as_sequence).cloned().unwrap_or_default()
            };
            lists(path, (side(old), side(new)), found);
        }
        _ => found.push(field(path, old, new)),
    }
}

/// Lists of things that have a name are compared by it, others as lines.
fn lists(path: String, (old, new): (Vec<Value>, Vec<Value>), found: &mut Vec<Field>) {
    if old.is_empty() && new.is_empty() {
        return;
    }
    if let (Some(old), Some(new)) = (named(&old), named(&new)) {
        for (name, value) in &new {
            compare(format!("{path}[{name}]"), old.get(name), Some(value), found);
        }
        for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            compare(format!("{path}[{name}]"), Some(value), None, found);
        }
        return;
    }
    let all = |list: &[Value]| list.iter().map(one_line).collect::<Vec<_>>();
    let lines = lines(&all(&old), &all(&new));
    let side = |list: Vec<Value>| Some(Value::Sequence(list));
    found.push(Field { path, old: side(old), new: side(new), lines });
}

/// Elements such as `{interface: a, job: b, map: …}` by `a/b`. None: they are others, or not told
/// apart by their names.
fn named(list: &[Value]) -> Option<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for element in list {
        let element = element.as_mapping()?;
        let part = |key: &str| element.get(key).map(text);
        let name = match (part("interface"), part("job")) {
            (Some(interface), Some(job)) => format!("{interface}/{job}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        if all.insert(name, Value::Mapping(element.clone())).is_some() {
            return None;
        }
    }
    Some(all)
}

fn field(path: String, old: Option<&Value>, new: Option<&Value>) -> Field {
    let side = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\n'));
    let (before, after) = (side(old), side(new));
    let is_text = |value: Option<&Value>| value.is_none_or(Value::is_string);
    let lines = match is_text(old) && is_text(new) && (long(&before) || long(&after)) {
        true => {
            let split = |text: Option<String>| {
                text.unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
            };
            lines(&split(before), &split(after))
        }
        false => Vec::new(),
    };
    Field { path, old: old.cloned(), new: new.cloned(), lines }
}

/// With a few lines around each change. Empty: they are the same line by line, or too many.
fn lines(old: &[String], new: &[String]) -> Vec<Line> {
    if old.len().max(new.len()) > LINES_MAX {
        return Vec::new();
    }
    let [old, new] = [old, new].map(|side| side.iter().map(String::as_str).collect::<Vec<_>>());
    let diff = TextDiff::from_slices(&old, &new);
    let mut found = Vec::new();
    let mut reached = 0;
    let groups = diff.grouped_ops(CONTEXT);
    for group in &groups {
        let first = group.first().map_or(reached, |op| op.old_range().start);
        if first > reached {
            found.push(Line { sign: Sign::Left, text: (first - reached).to_string() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => Sign::Gone,
                ChangeTag::Insert => Sign::New,
                ChangeTag::Equal => Sign::Same,
            };
            let text = change.value().chars().take(SHOWN_MAX).collect();
            found.push(Line { sign, text });
        }
        reached = group.last().map_or(reached, |op| op.old_range().end);
    }
    if !groups.is_empty() && reached < old.len() {
        found.push(Line { sign: Sign::Left, text: (old.len() - reached).to_string() });
    }
    found
}

/// A value as people read it: a text as it is, anything else as YAML would have it in one line.
pub fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    text.chars().take(SHOWN_MAX).collect()
}

fn one_line(value: &Value) -> String {
    text(value).replace('\n', "⏎")
}

#[cfg(test)]
mod tests;
