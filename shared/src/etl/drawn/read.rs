//! From the text of a file to what is seen of it.

use super::{
    DESCRIPTION_MAX, Drawn, FILE_MAX, Form, HOPS_MAX, Hop, KIND_MAX, NAME_MAX, PARAMETERS_MAX,
    Parameter, Place, REFERENCES_MAX, Reference, STEPS_MAX, Step, WORDS_MAX, When, normal, short,
};
use crate::etl::plain_path;
use crate::etl::stored::Stored;
use crate::etl::xml::Element;
use crate::secret::is_secret;
use std::collections::{BTreeMap, HashMap};

/// The largest files of people have a third of it.
const ELEMENTS_MAX: usize = 400_000;
/// Parameters of one entry that are shown.
const HANDS_MAX: usize = 8;
/// A variable in the value of a variable.
const ROUNDS_MAX: usize = 5;
/// Where a step has no place of its own it stands in a row.
const APART: i32 = 120;
/// Coordinates beyond are of nobody's screen.
const COORDINATE_MAX: i32 = 100_000;

/// What variables of the file stand for: its parameters' defaults, and its place.
type Known<'a> = BTreeMap<&'a str, &'a str>;

/// # Errors
/// It is no XML, too large, or none of theirs.
pub fn read(text: &str, place: Place) -> Result<Drawn, String> {
    let root = Element::read(text, ELEMENTS_MAX)?;
    let form = Form::of_root(root.name)?;
    let info = if form.flows() { Some(&root) } else { root.child("info") };
    let of = |name: &str| info.map_or("", |info| info.of(name));
    let listed = info.and_then(|info| info.child("parameters"));
    let listed: Vec<&Element> = listed.into_iter().flat_map(|all| all.all("parameter")).collect();
    let known = known(&listed, place);
    let elements = steps_of(form, &root);
    let mut drawn = Drawn {
        form,
        name: short(of("name"), NAME_MAX),
        description: description(of("description"), of("extended_description")),
        parameters: listed.iter().take(PARAMETERS_MAX).map(|one| parameter(one)).collect(),
        more_parameters: more(listed.len(), PARAMETERS_MAX),
        steps: Vec::new(),
        more_steps: more(elements.len(), STEPS_MAX),
        hops: Vec::new(),
        more_hops: 0,
    };
    let mut references = 0;
    for (at, element) in elements.iter().take(STEPS_MAX).enumerate() {
        let mut step = step(element, at);
        step.runs = reference(element, &step.kind, &known, place);
        references += usize::from(step.runs.is_some());
        if references > REFERENCES_MAX {
            step.runs = None;
        }
        drawn.steps.push(step);
    }
    let hops = hops(form, &root, &elements);
    drawn.more_hops = more(hops.len(), HOPS_MAX);
    drawn.hops = hops.into_iter().take(HOPS_MAX).collect();
    Ok(drawn)
}

fn more(all: usize, max: usize) -> u32 {
    u32::try_from(all.saturating_sub(max)).unwrap_or(u32::MAX)
}

fn description(short_one: &str, long_one: &str) -> String {
    let parts = [short_one, long_one].into_iter().filter(|part| !part.is_empty());
    short(&parts.collect::<Vec<_>>().join("\n"), DESCRIPTION_MAX)
}

fn parameter(element: &Element) -> Parameter {
    let (name, default) = (element.of("name"), element.of("default_value"));
    let secret = is_secret(name, default);
    Parameter {
        name: short(name, NAME_MAX),
        default: if secret { String::new() } else { short(default, WORDS_MAX) },
        description: short(element.of("description"), WORDS_MAX),
        secret,
    }
}

fn steps_of<'a, 'x>(form: Form, root: &'x Element<'a>) -> Vec<&'x Element<'a>> {
    let inside = |outer: &str, name: &'static str| -> Vec<&'x Element<'a>> {
        root.child(outer).into_iter().flat_map(|outer| outer.all(name)).collect()
    };
    match form {
        Form::Job => inside("entries", "entry"),
        Form::Workflow => inside("actions", "action"),
        Form::Transformation => root.all("step").collect(),
        Form::Pipeline => root.all("transform").collect(),
    }
}

fn step(element: &Element, at: usize) -> Step {
    let place = element.child("GUI").unwrap_or(element);
    let nth = i32::try_from(at).unwrap_or(i32::MAX);
    let coordinate = |name: &str, else_at: i32| {
        let number = place.of(name).parse::<i32>().unwrap_or(else_at);
        number.clamp(-COORDINATE_MAX, COORDINATE_MAX)
    };
    Step {
        name: short(element.of("name"), NAME_MAX),
        kind: short(element.of("type"), KIND_MAX),
        x: coordinate("xloc", nth.saturating_mul(APART)),
        y: coordinate("yloc", 0),
        runs: None,
    }
}

// ---- hops ----

/// Places of steps by name; of an entry that is drawn more than once also by the number of its copy.
struct Places<'x>(HashMap<(&'x str, &'x str), u32>);

impl<'x> Places<'x> {
    fn of(elements: &[&'x Element]) -> Places<'x> {
        let mut places = HashMap::new();
        for (at, element) in (0..).zip(elements.iter().take(STEPS_MAX)) {
            places.entry((element.of("name"), copy(element.of("nr")))).or_insert(at);
        }
        Places(places)
    }

    fn find(&self, name: &str, nr: &str) -> Option<u32> {
        self.0.get(&(name, copy(nr))).copied()
    }
}

fn copy(nr: &str) -> &str {
    if nr.is_empty() { "0" } else { nr }
}

fn hops(form: Form, root: &Element, elements: &[&Element]) -> Vec<Hop> {
    let places = Places::of(elements);
    let outer = root.child(if form.flows() { "hops" } else { "order" });
    let mut hops: Vec<Hop> = outer
        .into_iter()
        .flat_map(|outer| outer.all("hop"))
        .filter_map(|hop| {
            let from = places.find(hop.of("from"), hop.of("from_nr"))?;
            let to = places.find(hop.of("to"), hop.of("to_nr"))?;
            Some(Hop { from, to, when: when(form, hop), off: hop.of("enabled") == "N" })
        })
        .collect();
    // Rows that a step rejects go along a hop that is there already.
    for (handling, source, target) in [
        ("step_error_handling", "source_step", "target_step"),
        ("transform_error_handling", "source_transform", "target_transform"),
    ] {
        let errors = root.child(handling).into_iter().flat_map(|outer| outer.all("error"));
        for error in errors.filter(|error| error.of("is_enabled") != "N") {
            let ends = (places.find(error.of(source), ""), places.find(error.of(target), ""));
            let (Some(from), Some(to)) = ends else { continue };
            match hops.iter_mut().find(|hop| (hop.from, hop.to) == (from, to)) {
                Some(hop) => hop.when = When::Errors,
                None => hops.push(Hop { from, to, when: When::Errors, off: false }),
            }
        }
    }
    hops
}

fn when(form: Form, hop: &Element) -> When {
    match (form.flows(), hop.of("unconditional"), hop.of("evaluation")) {
        (false, ..) => When::Rows,
        (true, "Y", _) => When::Always,
        (true, _, "N") => When::Failure,
        (true, ..) => When::Success,
    }
}

// ---- files that steps run ----

fn known<'a>(parameters: &[&'a Element], place: Place<'a>) -> Known<'a> {
    let mut known: Known = parameters
        .iter()
        .map(|one| (one.of("name"), one.of("default_value")))
        .filter(|(name, value)| !value.is_empty() && !is_secret(name, value))
        // A path has no longer ones; filled in again and again they would be gigabytes.
        .filter(|(_, value)| value.len() <= FILE_MAX)
        .collect();
    // Relative to the file; a path in a repository begins at its first folder.
    for name in [
        "Internal.Entry.Current.Directory",
        "Internal.Entry.Current.Folder",
        "Internal.Job.Filename.Directory",
        "Internal.Job.Filename.Folder",
        "Internal.Transformation.Filename.Directory",
        "Internal.Workflow.Filename.Folder",
        "Internal.Workflow.Filename.Directory",
        "Internal.Pipeline.Filename.Directory",
    ] {
        known.insert(name, place.folder);
    }
    if let Some(project) = place.project {
        known.insert("PROJECT_HOME", project);
    }
    known
}

fn reference(element: &Element, kind: &str, known: &Known, place: Place) -> Option<Reference> {
    let form = match kind {
        "TRANS" | "TransExecutor" | "Mapping" | "MetaInject"
            if element.name != "action" && element.name != "transform" =>
        {
            Form::Transformation
        }
        "SimpleMapping" if element.name == "step" => Form::Transformation,
        "JOB" | "JobExecutor" => Form::Job,
        "PIPELINE" | "PipelineExecutor" | "SimpleMapping" | "Mapping" | "MetaInject" => {
            Form::Pipeline
        }
        "WORKFLOW" | "WorkflowExecutor" => Form::Workflow,
        _ => return None,
    };
    let by_name = element.of("specification_method") == "rep_name";
    let file = element.of("filename");
    let (file, whole) = match by_name || file.is_empty() {
        false => filled(file, known),
        true => named(element, form, known, place)?,
    };
    let path = whole.then(|| placed(&file, form)).flatten();
    let whole = path.is_some();
    let file = path.unwrap_or(file);
    let whole = whole && file.len() <= FILE_MAX;
    Some(Reference { form, file: short(&file, FILE_MAX), whole, hands: hands(element) })
}

/// Without `.` and `..`. In a repository of a database files have no endings of their own.
fn placed(file: &str, form: Form) -> Option<String> {
    let Some(mut stored) = Stored::parse(file) else { return normal(&plain_path(file)) };
    if Form::of_file(&stored.path).is_none() {
        stored.path = format!("{}.{}", stored.path, form.extension());
    }
    Some(stored.to_string())
}

fn hands(element: &Element) -> Vec<String> {
    let all = element.child("parameters").into_iter().flat_map(|outer| outer.all("parameter"));
    let one = |one: &Element| {
        let (name, value) = (one.of("name"), one.of("value"));
        match value.is_empty() || is_secret(name, value) {
            true => short(name, NAME_MAX),
            false => format!("{}={}", short(name, NAME_MAX), short(value, NAME_MAX)),
        }
    };
    all.filter(|it| !it.of("name").is_empty()).take(HANDS_MAX).map(one).collect()
}

/// By directory and name in its repository; if that is made of files, where it is in it.
fn named(element: &Element, form: Form, known: &Known, place: Place) -> Option<(String, bool)> {
    let object = match form {
        Form::Job => ["jobname", "job_name"],
        _ => ["transname", "trans_name"],
    };
    let object = object.iter().map(|name| element.of(name)).find(|name| !name.is_empty())?;
    let directory = ["directory", "directory_path"].map(|name| element.of(name));
    let directory = directory.into_iter().find(|name| !name.is_empty()).unwrap_or("/");
    let (path, whole) = filled(&format!("{directory}/{object}"), known);
    let relative_to_place = directory.starts_with("${Internal.");
    match place.repository {
        Some(_) if relative_to_place => Some((format!("{path}.{}", form.extension()), whole)),
        Some(root) => Some((format!("{root}/{path}.{}", form.extension()), whole)),
        None => Some((path, false)),
    }
}

/// With its variables; and whether none is left.
fn filled(text: &str, known: &Known) -> (String, bool) {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        if !text.contains("${") || text.len() > FILE_MAX * 4 {
            break;
        }
        text = once(&text, known);
    }
    let whole = !text.contains("${") && !text.contains("%%");
    (text, whole)
}

fn once(text: &str, known: &Known) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let found = after.split_once('}');
        match found.and_then(|(name, after)| Some((*known.get(name)?, after))) {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
