//! From documents to definitions: names become ids, specs are read, and everything is judged
//! together. Pure: the catalog as it is goes in, the catalog as it would be comes out.

use super::documents::{Item, Problem, What};
use super::names::{name_calendar, name_job, name_parents, plain_params};
use crate::engine::catalog::{Calendar, Catalog, Dispatch, Host, Interface, Job};
use crate::engine::validate::{self, mesh};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared::ids::*;
use shared::kind::FieldError;
use shared::spec::PeriodMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Problems told at once.
pub(super) const PROBLEMS_MAX: usize = 100;

/// The next free ids; what is new takes them in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub host: i64,
    pub calendar: i64,
    pub interface: i64,
    pub job: i64,
    pub dispatch: i64,
}

impl Ids {
    /// For a dry run: ids that nothing has.
    pub const NOBODY: Ids = Ids {
        host: 1 << 40,
        calendar: 1 << 40,
        interface: 1 << 40,
        job: 1 << 40,
        dispatch: 1 << 40,
    };
}

/// The catalog as it would be, and what of it is new, changed or gone.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub catalog: Catalog,
    /// Per item, in order: its id, and whether it is new.
    pub items: Vec<(Item, i64, bool)>,
    /// Jobs that complete lists do not name any more.
    pub removed: Vec<(InterfaceId, JobId)>,
    /// Taken from each sequence.
    pub taken: Ids,
}

type Names = BTreeMap<String, i64>;

/// What every name stands for, those of new things included.
pub(super) struct Known {
    projects: Names,
    pub(super) hosts: Names,
    /// Whose the hosts are that were there before.
    homes: BTreeMap<String, ProjectId>,
    pub(super) calendars: BTreeMap<(ProjectId, String), CalendarId>,
    pub(super) interfaces: BTreeMap<(ProjectId, String), InterfaceId>,
    pub(super) jobs: BTreeMap<(InterfaceId, String), JobId>,
    dispatches: BTreeMap<(ProjectId, String), DispatchId>,
}

impl Known {
    fn of(catalog: &Catalog) -> Known {
        let projects = catalog.projects.iter().map(|(id, it)| (it.name.clone(), id.0));
        let hosts = catalog.hosts.values().map(|it| (it.name.clone(), it.id.0));
        let homes = catalog.hosts.values().map(|it| (it.name.clone(), it.project));
        let calendars = catalog.calendars.values();
        let interfaces = catalog.interfaces.values();
        let dispatches = catalog.dispatches.values();
        Known {
            projects: projects.collect(),
            hosts: hosts.collect(),
            homes: homes.collect(),
            calendars: calendars.map(|it| ((it.project, it.name.clone()), it.id)).collect(),
            interfaces: interfaces
                .clone()
                .map(|it| ((it.project, it.name.clone()), it.id))
                .collect(),
            jobs: interfaces
                .flat_map(|it| it.jobs.iter().map(|job| ((it.id, job.name.clone()), job.id)))
                .collect(),
            dispatches: dispatches.map(|it| ((it.project, it.name.clone()), it.id)).collect(),
        }
    }

    fn project(&self, item: &Item) -> Result<ProjectId, Problem> {
        match (&item.project, item.what) {
            // A host that is there stays whose it is.
            (None, What::Host) => Ok(self.homes.get(&item.name).copied().unwrap_or(ProjectId(0))),
            (None, _) => Ok(ProjectId(1)),
            (Some(name), _) => self
                .projects
                .get(name)
                .map(|&id| ProjectId(id))
                .ok_or_else(|| item.wrong("project", format!("there is no project {name:?}"))),
        }
    }

    fn interface(&self, project: ProjectId, item: &Item) -> Result<InterfaceId, Problem> {
        let Some(name) = &item.interface else {
            return Err(item.wrong("interface", "the name of its interface is required"));
        };
        self.interfaces.get(&(project, name.clone())).copied().ok_or_else(|| {
            item.wrong("interface", format!("there is no interface {name:?}, here or in the files"))
        })
    }
}

/// # Errors
/// Everything that is wrong, at most a hundred of it; nothing may be written then.
pub fn resolve(catalog: &Catalog, items: Vec<Item>, ids: Ids) -> Result<Resolved, Vec<Problem>> {
    let (known, resolved) = read_all(catalog, items, ids)?;
    let mut problems = judge(&resolved.catalog, &known, &resolved.items);
    match problems.is_empty() {
        true => Ok(resolved),
        false => {
            problems.truncate(PROBLEMS_MAX);
            Err(problems)
        }
    }
}

/// The same with other ids, of what was judged already: its names and specs are what they were.
///
/// # Errors
/// There is none that [`resolve`] has not told.
pub fn renumbered(catalog: &Catalog, items: Vec<Item>, ids: Ids) -> Result<Resolved, Vec<Problem>> {
    read_all(catalog, items, ids).map(|(_, resolved)| resolved)
}

fn read_all(
    catalog: &Catalog,
    items: Vec<Item>,
    ids: Ids,
) -> Result<(Known, Resolved), Vec<Problem>> {
    let mut known = Known::of(catalog);
    let (items, taken) = identify(&mut known, items, ids)?;
    let mut next = catalog.clone();
    let mut problems = Vec::new();
    for (item, id, _) in &items {
        if let Err(mut wrong) = put(&mut next, &known, item, *id) {
            problems.append(&mut wrong);
        }
    }
    let removed = remove(&mut next, &items);
    match problems.is_empty() {
        true => Ok((known, Resolved { catalog: next, items, removed, taken })),
        false => {
            problems.truncate(PROBLEMS_MAX);
            Err(problems)
        }
    }
}

type Identified = Vec<(Item, i64, bool)>;

/// An id for every item: the one its name has, or the next free one.
fn identify(
    known: &mut Known,
    items: Vec<Item>,
    ids: Ids,
) -> Result<(Identified, Ids), Vec<Problem>> {
    let (mut done, mut problems) = (Vec::with_capacity(items.len()), Vec::new());
    let mut free = ids;
    let mut seen: BTreeMap<(What, i64), String> = BTreeMap::new();
    for item in items {
        match identity(known, &item, &mut free) {
            Err(problem) => problems.push(problem),
            Ok((id, new)) => {
                if let Some(other) = seen.insert((item.what, id), item.source.clone()) {
                    problems
                        .push(item.wrong("name", format!("it is there twice, also in {other}")));
                }
                done.push((item, id, new));
            }
        }
    }
    problems.truncate(PROBLEMS_MAX);
    let taken = Ids {
        host: free.host - ids.host,
        calendar: free.calendar - ids.calendar,
        interface: free.interface - ids.interface,
        job: free.job - ids.job,
        dispatch: free.dispatch - ids.dispatch,
    };
    if problems.is_empty() { Ok((done, taken)) } else { Err(problems) }
}

fn identity(known: &mut Known, item: &Item, free: &mut Ids) -> Result<(i64, bool), Problem> {
    let project = known.project(item)?;
    let name = item.name.clone();
    let taken = |next: &mut i64| {
        *next += 1;
        *next - 1
    };
    Ok(match item.what {
        What::Host => match known.hosts.get(&name) {
            Some(&id) => (id, false),
            None => {
                let id = taken(&mut free.host);
                known.hosts.insert(name, id);
                (id, true)
            }
        },
        What::Calendar => match known.calendars.get(&(project, name.clone())) {
            Some(id) => (id.0, false),
            None => {
                let id = taken(&mut free.calendar);
                known.calendars.insert((project, name), CalendarId(id));
                (id, true)
            }
        },
        What::Interface => match known.interfaces.get(&(project, name.clone())) {
            Some(id) => (id.0, false),
            None => {
                let id = taken(&mut free.interface);
                known.interfaces.insert((project, name), InterfaceId(id));
                (id, true)
            }
        },
        What::Job => {
            let interface = known.interface(project, item)?;
            match known.jobs.get(&(interface, name.clone())) {
                Some(id) => (id.0, false),
                None => {
                    let id = taken(&mut free.job);
                    known.jobs.insert((interface, name), JobId(id));
                    (id, true)
                }
            }
        }
        What::Dispatch => {
            known.interface(project, item)?;
            match known.dispatches.get(&(project, name.clone())) {
                Some(id) => (id.0, false),
                None => {
                    let id = taken(&mut free.dispatch);
                    known.dispatches.insert((project, name), DispatchId(id));
                    (id, true)
                }
            }
        }
    })
}

/// Reads one item's spec and puts it into the catalog.
fn put(next: &mut Catalog, known: &Known, item: &Item, id: i64) -> Result<(), Vec<Problem>> {
    let project = known.project(item).map_err(|problem| vec![problem])?;
    let of = |errors: Vec<FieldError>| -> Vec<Problem> {
        errors.iter().map(|error| item.problem(error)).collect()
    };
    let (name, mut spec) = (item.name.clone(), item.spec.clone());
    plain_params(&mut spec);
    match item.what {
        What::Host => {
            let spec = read(spec).map_err(of)?;
            let old = next.hosts.get(&HostId(id));
            let agent = old.map_or_else(String::new, |old| old.agent.clone());
            let version = old.map_or(0, |old| old.version);
            let host = Host { id: HostId(id), project, name, agent, version, spec };
            next.hosts.insert(HostId(id), Arc::new(host));
        }
        What::Calendar => {
            let (spec, id) = (Arc::new(read(spec).map_err(of)?), CalendarId(id));
            let version = next.calendars.get(&id).map_or(0, |old| old.version);
            next.calendars.insert(id, Arc::new(Calendar { id, project, name, version, spec }));
        }
        What::Interface => {
            name_parents(&mut spec, known, project).map_err(of)?;
            name_calendar(&mut spec, "", known, project).map_err(of)?;
            let (spec, id) = (read(spec).map_err(of)?, InterfaceId(id));
            let old = next.interfaces.get(&id);
            let version = old.map_or(0, |old| old.version);
            let jobs = old.map_or_else(Vec::new, |old| old.jobs.clone());
            let interface = Interface { id, project, name, version, spec, jobs };
            next.interfaces.insert(id, Arc::new(interface));
        }
        What::Job => {
            let interface = known.interface(project, item).map_err(|problem| vec![problem])?;
            name_job(&mut spec, known, project, interface).map_err(of)?;
            let job = Job { id: JobId(id), name, spec: read(spec).map_err(of)? };
            // Missing only if its interface's own document is wrong, which is told already.
            if let Some(interface) = next.interfaces.get_mut(&interface) {
                let interface = Arc::make_mut(interface);
                match interface.jobs.binary_search_by_key(&job.id, |job| job.id) {
                    Ok(at) => interface.jobs[at] = job,
                    Err(at) => interface.jobs.insert(at, job),
                }
            }
        }
        What::Dispatch => {
            let interface = known.interface(project, item).map_err(|problem| vec![problem])?;
            if spec.contains_key("interface") {
                let message = "it is named beside the dispatch's name, not in its spec";
                return Err(vec![item.wrong("interface", message)]);
            }
            spec.insert("interface".into(), interface.0.into());
            if let Some(Value::Object(days)) = spec.get_mut("days") {
                name_calendar(days, "days.", known, project).map_err(of)?;
            }
            let (spec, id) = (read(spec).map_err(of)?, DispatchId(id));
            let old = next.dispatches.get(&id);
            let (version, since) = old.map_or((0, 0), |old| (old.version, old.since));
            let dispatch = Dispatch { id, project, name, version, since, spec };
            next.dispatches.insert(id, Arc::new(dispatch));
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(spec: Map<String, Value>) -> Result<T, Vec<FieldError>> {
    serde_path_to_error::deserialize(Value::Object(spec)).map_err(|error| {
        let path = error.path().to_string();
        vec![FieldError::new(if path == "." { "spec" } else { &path }, error.inner().to_string())]
    })
}

/// Jobs of interfaces whose list is complete, and which are not in it.
fn remove(next: &mut Catalog, items: &Identified) -> Vec<(InterfaceId, JobId)> {
    let named: BTreeSet<JobId> = items
        .iter()
        .filter(|(item, ..)| item.what == What::Job)
        .map(|(_, id, _)| JobId(*id))
        .collect();
    let mut removed = Vec::new();
    for (item, id, new) in items {
        if item.what != What::Interface || !item.complete || *new {
            continue;
        }
        if let Some(interface) = next.interfaces.get_mut(&InterfaceId(*id)) {
            let interface = Arc::make_mut(interface);
            let (kept, gone): (Vec<Job>, Vec<Job>) =
                interface.jobs.drain(..).partition(|job| named.contains(&job.id));
            interface.jobs = kept;
            removed.extend(gone.iter().map(|job| (interface.id, job.id)));
        }
    }
    removed
}

/// Everything together: the items, those who need what was removed, and cycles once.
fn judge(next: &Catalog, known: &Known, items: &Identified) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (item, id, _) in items {
        let errors = match item.what {
            What::Host => next.hosts.get(&HostId(*id)).map(|host| {
                let (id, project) = (Some(host.id), host.project);
                let draft = validate::HostDraft { id, project, name: &host.name, spec: &host.spec };
                validate::check_host(next, &draft)
            }),
            What::Calendar => next.calendars.get(&CalendarId(*id)).map(|it| {
                let (id, project) = (Some(it.id), it.project);
                let draft = validate::CalendarDraft { id, project, name: &it.name, spec: &it.spec };
                validate::calendar_fields(&draft)
            }),
            What::Interface => next.interfaces.get(&InterfaceId(*id)).map(|it| {
                let (id, project) = (Some(it.id), it.project);
                let draft =
                    validate::InterfaceDraft { id, project, name: &it.name, spec: &it.spec };
                validate::interface_fields(next, &draft)
            }),
            What::Job => find_job(next, known, JobId(*id), item).map(|(interface, job)| {
                let (id, interface) = (Some(job.id), interface.id);
                let draft = validate::JobDraft { id, interface, name: &job.name, spec: &job.spec };
                validate::job_fields(next, &draft)
            }),
            What::Dispatch => next.dispatches.get(&DispatchId(*id)).map(|it| {
                let (id, project) = (Some(it.id), it.project);
                let draft = validate::DispatchDraft { id, project, name: &it.name, spec: &it.spec };
                validate::dispatch_fields(next, &draft)
            }),
        };
        problems.extend(errors.unwrap_or_default().iter().map(|error| item.problem(error)));
    }
    if problems.is_empty() {
        problems.extend(broken(next, items));
    }
    if problems.is_empty()
        && let Some(cycle) = mesh::any_cycle(next)
    {
        let own = |(item, id, _): &&(Item, i64, bool)| match item.what {
            What::Job => cycle.has(mesh::Node::Job(JobId(*id))),
            What::Interface => cycle.has(mesh::Node::Begin(InterfaceId(*id))),
            What::Host | What::Calendar | What::Dispatch => false,
        };
        let (path, message) = ("after", cycle.words(next));
        problems.push(match items.iter().find(own) {
            Some((item, ..)) if item.what == What::Interface => item.wrong("parents", message),
            Some((item, ..)) => item.wrong(path, message),
            None => {
                Problem { source: String::new(), object: "mesh".into(), path: path.into(), message }
            }
        });
    }
    problems
}

fn find_job<'a>(
    next: &'a Catalog,
    known: &Known,
    id: JobId,
    item: &Item,
) -> Option<(&'a Interface, &'a Job)> {
    let project = known.project(item).ok()?;
    let interface = next.interfaces.get(&known.interface(project, item).ok()?)?;
    let at = interface.jobs.binary_search_by_key(&id, |job| job.id).ok()?;
    Some((interface, &interface.jobs[at]))
}

/// A wait of an untouched definition for one that has another granularity now.
fn unfit(
    (own, next): (&Interface, &Catalog),
    (target, map): (InterfaceId, PeriodMap),
    object: impl Fn() -> String,
    source: &str,
) -> Option<Problem> {
    let target = next.interfaces.get(&target)?;
    let why = validate::map_problem(own.spec.granularity, target.spec.granularity, map)?;
    let message = format!("it waits for interface {}, which changes: {why}", target.name);
    let path = "map".into();
    Some(Problem { source: source.to_owned(), object: object(), path, message })
}

/// Edges and needs of untouched definitions that lead to what is gone, or to what does not fit any more.
fn broken(next: &Catalog, items: &Identified) -> Vec<Problem> {
    let jobs: BTreeSet<(InterfaceId, JobId)> =
        next.interfaces.values().flat_map(|it| it.jobs.iter().map(|job| (it.id, job.id))).collect();
    let mut problems = Vec::new();
    let source = items.first().map_or(String::new(), |(item, ..)| item.source.clone());
    for interface in next.interfaces.values() {
        for parent in &interface.spec.parents {
            let object = || format!("interface {}", interface.name);
            let wait = (parent.interface, parent.map);
            problems.extend(unfit((interface, next), wait, object, &source));
        }
        for job in &interface.jobs {
            let after = job.spec.after.iter().map(|edge| (interface.id, edge.job));
            let needs = job.spec.needs.iter().map(|need| (need.interface, need.job));
            for need in &job.spec.needs {
                let object = || format!("job {}/{}", interface.name, job.name);
                problems.extend(unfit(
                    (interface, next),
                    (need.interface, need.map),
                    object,
                    &source,
                ));
            }
            if let Some((_, gone)) = after.chain(needs).find(|target| !jobs.contains(target)) {
                problems.push(Problem {
                    source: source.clone(),
                    object: format!("job {}/{}", interface.name, job.name),
                    path: "needs".into(),
                    message: format!("it needs job {gone}, which these files remove"),
                });
            }
        }
    }
    problems
}
