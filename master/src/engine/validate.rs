//! What is wrong with a definition, said beside its field, before it is saved.
//!
//! Pure: a draft is judged against the catalog as it would be with the draft in it. Called by the
//! forms, by the API and by `apply`, and by nothing else: what is stored has passed here.

mod calendar;
mod dispatch;
mod maps;
pub mod mesh;

use super::calendar as cron;
use super::catalog::Catalog;
use super::params;
pub use calendar::{CalendarDraft, calendar_fields, check_calendar};
pub use dispatch::{DispatchDraft, check_dispatch, dispatch_fields, too_often};
pub use maps::{PERIODS_MAX, map_problem};
use mesh::Node;
use shared::ids::*;
use shared::kind::{self, FieldError};
use shared::period::Granularity;
use shared::spec::*;
use shared::wire::Timing;
use std::collections::BTreeSet;

pub const NAME_CHARS_MAX: usize = 100;
pub const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// Of jobs, interfaces and runs, and as far below zero.
pub const PRIORITY_MAX: i32 = 1_000;
pub const EDGES_MAX: usize = 500;
pub const NEEDS_MAX: usize = 200;
pub const LABELS_MAX: usize = 50;
const DAY_S: u32 = 24 * 3600;

/// An interface as a person would like it; `id` is none when it is new.
#[derive(Clone, Copy, Debug)]
pub struct InterfaceDraft<'a> {
    pub id: Option<InterfaceId>,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a InterfaceSpec,
}

#[derive(Clone, Copy, Debug)]
pub struct JobDraft<'a> {
    pub id: Option<JobId>,
    pub interface: InterfaceId,
    pub name: &'a str,
    pub spec: &'a JobSpec,
}

#[derive(Clone, Copy, Debug)]
pub struct HostDraft<'a> {
    pub id: Option<HostId>,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a HostSpec,
}

/// Collects what is wrong.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError::new(path, message));
    }

    fn name(&mut self, name: &str) {
        if let Some(problem) = name_problem(name) {
            self.add("name", problem);
        }
    }

    fn chars(&mut self, path: &str, text: &str, chars_max: usize) {
        let chars = text.chars().count();
        if chars > chars_max {
            self.add(path, format!("{chars} characters; at most {chars_max} are allowed"));
        }
    }

    fn range(&mut self, path: &str, value: impl Into<i64>, min: i64, max: i64) {
        let value = value.into();
        if !(min..=max).contains(&value) {
            self.add(path, format!("{value} is not from {min} to {max}"));
        }
    }

    fn count(&mut self, path: &str, count: usize, count_max: usize) {
        if count > count_max {
            self.add(path, format!("{count} of them; at most {count_max} are allowed"));
        }
    }

    fn labels(&mut self, path: &str, labels: &[String]) {
        self.count(path, labels.len(), LABELS_MAX);
        for (index, label) in labels.iter().enumerate() {
            let plain = |c: char| c.is_alphanumeric() || "_-.=".contains(c);
            if label.is_empty() || label.chars().count() > 64 || !label.chars().all(plain) {
                let message = "a label is 1 to 64 letters, digits and _ - . =";
                self.add(format!("{path}[{index}]"), message);
            }
        }
    }
}

fn name_problem(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("a name is required".into());
    }
    if name.trim() != name {
        return Some("a name begins and ends with no space".into());
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Some(format!("a name has at most {NAME_CHARS_MAX} characters"));
    }
    name.contains(|c: char| c.is_control() || c == '/').then(|| "a name has no / in it".into())
}

pub fn check_interface(catalog: &Catalog, draft: &InterfaceDraft) -> Vec<FieldError> {
    let twin = catalog.interfaces.values().find(|other| {
        Some(other.id) != draft.id && other.project == draft.project && other.name == draft.name
    });
    let mut errors = taken(twin.map(|twin| format!("interface {} has this name already", twin.id)));
    errors.extend(interface_fields(catalog, draft));
    if errors.is_empty() {
        let catalog = mesh::with_interface(catalog, draft);
        let own = draft.id.unwrap_or_default();
        if let Some(cycle) = mesh::cycle(&catalog, &[Node::Begin(own)]) {
            let parents = &draft.spec.parents;
            let at = parents.iter().position(|it| cycle.has(Node::End(it.interface)));
            let path = at.map_or("parents".into(), |at| format!("parents[{at}].interface"));
            errors.push(FieldError::new(path, cycle.words(&catalog)));
        }
    }
    errors
}

fn taken(why: Option<String>) -> Vec<FieldError> {
    why.map(|why| FieldError::new("name", why)).into_iter().collect()
}

/// All but what concerns all others. Who saves many at once looks for cycles once, in
/// [`mesh::any_cycle`], and finds things by their names: no two of them can have the same.
pub fn interface_fields(catalog: &Catalog, draft: &InterfaceDraft) -> Vec<FieldError> {
    let (mut errors, spec) = (Errors::default(), draft.spec);
    errors.name(draft.name);
    errors.chars("description", &spec.description, DESCRIPTION_CHARS_MAX);
    errors.chars("catalog", &spec.catalog, 200);
    errors.chars("owner", &spec.owner, 100);
    errors.range("priority", spec.priority, -i64::from(PRIORITY_MAX), PRIORITY_MAX.into());
    errors.range("wait_timeout_s", spec.wait_timeout_s, 1, i64::from(400 * DAY_S));
    for (path, limit) in
        [("alarm_after_s", spec.alarm_after_s), ("stop_after_s", spec.stop_after_s)]
    {
        errors.range(path, limit.unwrap_or(1), 1, i64::from(400 * DAY_S));
    }
    if let Err(problem) = cron::zone(&spec.zone) {
        errors.add("zone", problem.to_string());
    }
    calendar::check_periods(&mut errors, catalog, (draft.project, spec));
    errors.count("parents", spec.parents.len(), NEEDS_MAX);
    let mut seen = BTreeSet::new();
    for (index, parent) in spec.parents.iter().enumerate() {
        let path = format!("parents[{index}]");
        if !seen.insert((parent.interface, parent.map)) {
            errors.add(&path, "the same parent is there twice");
        }
        let known = catalog.interfaces.get(&parent.interface);
        let known = known.filter(|known| known.project == draft.project);
        if Some(parent.interface) == draft.id {
            if !mesh::goes_back(parent.map) {
                errors.add(&path, "an interface may wait only for its own earlier periods");
            }
        } else if let Some(known) = known {
            let (own, target) = (spec.granularity, known.spec.granularity);
            check_map(&mut errors, format!("{path}.map"), own, (target, parent.map));
        } else {
            let message = format!("there is no interface {} in this project", parent.interface);
            errors.add(format!("{path}.interface"), message);
        }
    }
    let project = catalog.projects.get(&draft.project);
    let below = |name: &str| project.is_some_and(|it| it.params.contains_key(name));
    errors.0.extend(params::check(&spec.params, &below));
    if let Some(id) = draft.id {
        check_users(&mut errors, catalog, id, spec.granularity);
    }
    errors.0
}

/// A changed granularity may make the maps of those who wait for it senseless.
fn check_users(errors: &mut Errors, catalog: &Catalog, id: InterfaceId, granularity: Granularity) {
    if catalog.interfaces.get(&id).is_none_or(|old| old.spec.granularity == granularity) {
        return;
    }
    for user in catalog.interfaces.values().filter(|user| user.id != id) {
        let parents = user.spec.parents.iter().map(|it| (it.interface, it.map));
        let needs = user.jobs.iter().flat_map(|job| &job.spec.needs);
        let needs = needs.map(|it| (it.interface, it.map));
        for (_, map) in parents.chain(needs).filter(|(interface, _)| *interface == id) {
            if let Some(problem) = map_problem(user.spec.granularity, granularity, map) {
                errors
                    .add("granularity", format!("interface {} waits for it: {problem}", user.name));
            }
        }
    }
}

fn check_map(
    errors: &mut Errors,
    path: String,
    own: Granularity,
    (target, map): (Granularity, PeriodMap),
) {
    if let Some(problem) = map_problem(own, target, map) {
        errors.add(path, problem);
    }
}

pub fn check_job(catalog: &Catalog, draft: &JobDraft) -> Vec<FieldError> {
    let spec = draft.spec;
    let interface = catalog.interfaces.get(&draft.interface);
    let mut jobs = interface.into_iter().flat_map(|interface| &interface.jobs);
    let twin = jobs.find(|job| Some(job.id) != draft.id && job.name == draft.name);
    let said = |id| format!("job {id} of this interface has this name already");
    let mut errors = taken(twin.map(|twin| said(twin.id)));
    errors.extend(job_fields(catalog, draft));
    if errors.is_empty() {
        let catalog = mesh::with_job(catalog, draft);
        if let Some(cycle) = mesh::cycle(&catalog, &[Node::Job(draft.id.unwrap_or_default())]) {
            let after = spec.after.iter().position(|it| cycle.has(Node::Job(it.job)));
            let need = spec.needs.iter().position(|it| cycle.has(Node::Job(it.job)));
            let path = match (after, need) {
                (Some(at), _) => format!("after[{at}].job"),
                (None, Some(at)) => format!("needs[{at}].job"),
                (None, None) => "after".into(),
            };
            errors.push(FieldError::new(path, cycle.words(&catalog)));
        }
    }
    errors
}

/// As [`interface_fields`].
pub fn job_fields(catalog: &Catalog, draft: &JobDraft) -> Vec<FieldError> {
    let (mut errors, spec) = (Errors::default(), draft.spec);
    errors.name(draft.name);
    let Some(interface) = catalog.interfaces.get(&draft.interface) else {
        errors.add("interface", format!("there is no interface {}", draft.interface));
        return errors.0;
    };
    errors.chars("description", &spec.description, DESCRIPTION_CHARS_MAX);
    errors.chars("catalog", &spec.catalog, 200);
    errors.chars("owner", &spec.owner, 100);
    errors.range("priority", spec.priority, -i64::from(PRIORITY_MAX), PRIORITY_MAX.into());
    check_edges(&mut errors, interface, draft);
    check_needs(&mut errors, catalog, interface, spec);
    check_place(&mut errors, catalog, interface.project, &spec.place);
    check_policy(&mut errors, &spec.policy);
    check_limits(&mut errors, &spec.limits);
    if !spec.environment.is_empty() && !kind::check::is_environment(&spec.environment) {
        let message = "the name of an environment is letters, digits, _ - and ., at most 40";
        errors.add("environment", message);
    }
    let needs = kind::find(&spec.kind).is_some_and(kind::Kind::needs_environment);
    if needs && spec.environment.is_empty() {
        let message =
            "jobs of this kind run in a named environment: its host's page says which it has";
        errors.add("environment", message);
    }
    errors.0.extend(kind::check(&spec.kind, &spec.fields));
    let project = catalog.projects.get(&interface.project);
    let below = |name: &str| {
        interface.spec.params.contains_key(name)
            || project.is_some_and(|it| it.params.contains_key(name))
    };
    errors.0.extend(params::check(&spec.params, &below));
    let known = |name: &str| spec.params.contains_key(name) || below(name);
    errors.0.extend(kind::check_placeholders(&spec.kind, &spec.fields, &known));
    errors.0
}

fn check_edges(errors: &mut Errors, interface: &super::catalog::Interface, draft: &JobDraft) {
    let edges = &draft.spec.after;
    errors.count("after", edges.len(), EDGES_MAX);
    let jobs: BTreeSet<JobId> = interface.jobs.iter().map(|job| job.id).collect();
    let mut seen = BTreeSet::new();
    for (index, edge) in edges.iter().enumerate() {
        let path = format!("after[{index}].job");
        if Some(edge.job) == draft.id {
            errors.add(&path, "a job cannot come after itself");
        } else if !jobs.contains(&edge.job) {
            errors.add(&path, format!("this interface has no job {}", edge.job));
        }
        if !seen.insert(edge.job) {
            errors.add(&path, "the same job is there twice");
        }
    }
}

fn check_needs(
    errors: &mut Errors,
    catalog: &Catalog,
    own: &super::catalog::Interface,
    spec: &JobSpec,
) {
    errors.count("needs", spec.needs.len(), NEEDS_MAX);
    let mut seen = BTreeSet::new();
    for (index, need) in spec.needs.iter().enumerate() {
        let path = format!("needs[{index}]");
        if !seen.insert((need.job, need.map)) {
            errors.add(&path, "the same job is there twice");
        }
        let target = catalog.interfaces.get(&need.interface);
        let Some(target) = target.filter(|target| target.project == own.project) else {
            let message = format!("there is no interface {} in this project", need.interface);
            errors.add(format!("{path}.interface"), message);
            continue;
        };
        if !target.jobs.iter().any(|job| job.id == need.job) {
            let message = format!("interface {} has no job {}", target.name, need.job);
            errors.add(format!("{path}.job"), message);
        }
        if target.id == own.id && !mesh::goes_back(need.map) {
            errors.add(&path, "of its own interface a job needs earlier periods only: use after");
        }
        let granularities = (target.spec.granularity, need.map);
        check_map(errors, format!("{path}.map"), own.spec.granularity, granularities);
    }
}

fn check_place(errors: &mut Errors, catalog: &Catalog, project: ProjectId, place: &PlaceSpec) {
    errors.count("place.hosts", place.hosts.len(), EDGES_MAX);
    for (index, id) in place.hosts.iter().enumerate() {
        let host = catalog.hosts.get(id);
        if !host.is_some_and(|host| host.project.0 == 0 || host.project == project) {
            let message = format!("there is no exec host {id} for this project");
            errors.add(format!("place.hosts[{index}]"), message);
        }
    }
    errors.labels("place.labels", &place.labels);
    errors.range("place.slots", place.slots, 1, 1_000);
    errors.count("place.pools", place.pools.len(), 20);
    for (index, id) in place.pools.iter().enumerate() {
        if !catalog.pools.contains_key(id) {
            errors.add(format!("place.pools[{index}]"), format!("there is no pool {id}"));
        }
    }
}

fn check_policy(errors: &mut Errors, policy: &Policy) {
    errors.range("policy.attempts_max", policy.attempts_max, 1, 100);
    errors.range("policy.backoff.delay_s", policy.backoff.delay_s, 0, i64::from(DAY_S));
    errors.range("policy.backoff.factor", policy.backoff.factor, 1, 10);
    let (delay, delay_max) = (policy.backoff.delay_s, policy.backoff.delay_max_s);
    errors.range("policy.backoff.delay_max_s", delay_max, i64::from(delay), i64::from(7 * DAY_S));
    if let Some(timeout_s) = policy.timeout_s {
        errors.range("policy.timeout_s", timeout_s, 1, i64::from(30 * DAY_S));
    }
    errors.range("policy.kill_grace_s", policy.kill_grace_s, 0, 600);
    // Rule H8: it must be dead before another host begins it.
    let timing = Timing::default();
    let spare_s = (timing.lost_ms - timing.fence_ms) / 1_000;
    if policy.on_lost == OnLost::Retry && i64::from(policy.kill_grace_s) >= spare_s {
        let message = format!(
            "with on_lost: retry the grace is less than {spare_s} s: a host that is cut off must \
             have ended the job before another begins it"
        );
        errors.add("policy.kill_grace_s", message);
    }
}

/// As the executor's configuration: no program begins with less.
fn check_limits(errors: &mut Errors, limits: &LimitSpec) {
    for (path, value, least, most) in [
        ("limits.memory_mib", limits.memory_mib, 16, 16 << 20),
        ("limits.open_files", limits.open_files, 16, 1 << 20),
        ("limits.processes", limits.processes, 1, 1 << 20),
    ] {
        if let Some(value) = value {
            errors.range(path, value, least, most);
        }
    }
}

pub fn check_host(catalog: &Catalog, draft: &HostDraft) -> Vec<FieldError> {
    let (mut errors, spec) = (Errors::default(), draft.spec);
    errors.name(draft.name);
    for other in catalog.hosts.values().filter(|other| Some(other.id) != draft.id) {
        if other.name == draft.name {
            errors.add("name", format!("exec host {} has this name already", other.id));
        }
        if other.spec.address == spec.address {
            errors.add("address", format!("exec host {} has this address already", other.name));
        }
    }
    errors.chars("description", &spec.description, DESCRIPTION_CHARS_MAX);
    if !is_address(&spec.address) {
        errors.add("address", "an address is name:port, 10.0.0.7:7890 or [fd00::7]:7890");
    }
    errors.range("slots", spec.slots, 1, 10_000);
    errors.range("weight", spec.weight, 1, 1_000);
    errors.labels("labels", &spec.labels);
    errors.0
}

/// A user of the hosts. Whether a host has it, and allows it, is the host's to say.
pub fn check_run_as(name: &str) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let fits = name.starts_with(first) && name.chars().all(plain) && name.len() <= 32;
    if !name.is_empty() && !fits {
        errors.add(
            "run_as",
            "a user of a host is letters, digits, _ - and ., begins with no digit, and has at most \
             32 characters; empty means as each host's own rule says",
        );
    }
    errors.0
}

fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    let named = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.contains(':') && v6.chars().all(|c| c.is_ascii_hexdigit() || c == ':'),
        None => !host.is_empty() && host.chars().all(plain),
    };
    named && host.len() <= 253 && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests;
