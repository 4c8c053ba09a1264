//! The file that a job runs, on one of its hosts: its picture with the errors of the last run, and
//! whether it declares the parameters that the job gives.

use super::ask::{Problem, ask};
use super::picture::Mark;
use super::{PATIENCE, View};
use crate::engine::catalog::{Catalog, Host, Interface, Job};
use crate::store;
use crate::web::error::Error;
use crate::web::{Page, job, steps};
use minijinja::context;
use minijinja::value::Serde;
use shared::etl::browse::{Ask, At, Shown};
use shared::etl::counts::Step;
use shared::etl::drawn::Drawn;
use shared::etl::{declared, log};
use shared::ids::*;
use shared::kind::{self, FieldError, Ran};
use shared::wire::Stream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A person who saves waits so long for the host.
const SAVE_PATIENCE: Duration = Duration::from_secs(2);
/// Steps of other files whose errors are shown.
const OTHERS_MAX: usize = 10;
/// Of the end of an output.
const TAIL_MAX: u32 = 128 * 1024;

/// What it runs; none: it is of another kind, or no host can say.
fn ran(page: &Page, catalog: &Catalog, interface: &Interface, job: &Job) -> Option<Ran> {
    let context = job::context(page, catalog, interface, job);
    let kind = kind::find(&job.spec.kind)?;
    let mut ran = kind.file(&job.spec.fields, &context).ok()??;
    match &mut ran.at {
        At::Repository { environment, .. } | At::Project { environment, .. } => {
            environment.clone_from(&job.spec.environment);
        }
        At::Path(_) => {}
    }
    Some(ran)
}

/// Whether pages of this job have a picture.
pub(in crate::web) fn is_drawn(kind: &str) -> bool {
    matches!(kind, "kettle" | "hop")
}

/// The hosts that it may run on and that the viewer sees, those first that answer and have what it asks
/// for.
async fn hosts(
    page: &Page,
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> Result<Vec<Arc<Host>>, Error> {
    let viewer = page.viewer()?;
    let place = &job.spec.place;
    let statuses = store::host::statuses(&page.app.db).await?;
    let fits = |host: &&Arc<Host>| {
        viewer.sees(host.project)
            && (host.project.0 == 0 || host.project == interface.project)
            && (place.hosts.is_empty() || place.hosts.contains(&host.id))
            && place.labels.iter().all(|label| host.spec.labels.contains(label))
    };
    let wanted = &job.spec.environment;
    let rank = |host: &Arc<Host>| {
        let status = statuses.get(&host.id.0);
        let lives = status.is_some_and(|status| status.state == "live");
        let named = status.and_then(|status| status.facts.as_ref());
        let has = named.is_some_and(|facts| facts.named.get(wanted).is_some_and(|one| one.whole));
        (!lives, !(wanted.is_empty() || has), host.id)
    };
    let mut hosts: Vec<Arc<Host>> = catalog.hosts.values().filter(fits).cloned().collect();
    hosts.sort_by_key(rank);
    Ok(hosts)
}

// ---- the picture ----

/// # Errors
/// The database's.
pub(in crate::web) async fn tab(
    page: &Page,
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> Result<minijinja::Value, Error> {
    let Some(ran) = ran(page, catalog, interface, job) else {
        return Ok(context! { away => true });
    };
    let (hosts, last) = futures::future::try_join(
        hosts(page, catalog, interface, job),
        last_run(page, &job.spec.kind, job.id),
    )
    .await?;
    // Where it ran last it is known to be.
    let last_host = last.as_ref().and_then(|last| last.host);
    let host = hosts.iter().find(|host| Some(host.id) == last_host).or(hosts.first());
    let Some(host) = host else { return Ok(context! { no_host => true }) };
    let name = host.name.as_str();
    let last_told = last.as_ref().map(|last| &last.told);
    match ask(&page.app, host, Ask::File(ran.at), PATIENCE).await {
        Ok(Shown::File(file)) => {
            let marks = last.as_ref().map(|last| marks(&file.drawn, &last.steps, &last.faults));
            let others = last.as_ref().map(|last| others(&file.drawn, &last.faults));
            let view = View::of(host.id, *file, &marks.unwrap_or_default());
            let shown = Serde(view);
            Ok(
                context! { view => shown, host => host.id.0, host_name => name, last => Serde(last_told), others => Serde(others) },
            )
        }
        Ok(_) => Ok(context! { away => true }),
        Err(problem) => Ok(context! { problem => Serde(problem), host => host.id.0 }),
    }
}

struct LastRun {
    host: Option<HostId>,
    told: store::job::Last,
    steps: Vec<Step>,
    faults: BTreeMap<String, String>,
}

/// What its last attempt that has ended has told of its steps.
async fn last_run(page: &Page, kind: &str, job: JobId) -> Result<Option<LastRun>, Error> {
    let app = &page.app;
    let latest = store::job::latest(&app.db, job, 1).await?;
    let Some(told) = latest.into_iter().next() else { return Ok(None) };
    let attempts = store::execution::attempts(&app.db, told.run, job).await?;
    let Some(attempt) = attempts.iter().rfind(|attempt| attempt.ended.is_some()) else {
        return Ok(None);
    };
    let steps = steps::of(app, attempt, kind).await?;
    // Without its output there still is what was counted.
    let tail = app.logs.tail(attempt.id, Stream::Out, TAIL_MAX).await;
    let text = tail.map(|part| String::from_utf8_lossy(&part.bytes).into_owned());
    let faults = log::faults(&text.unwrap_or_default());
    Ok(Some(LastRun { host: Some(attempt.host), told, steps, faults }))
}

/// By the name of a step: what was counted and said of it. An entry that runs a file has what was
/// counted of that file.
fn marks(
    drawn: &Drawn,
    steps: &[Step],
    faults: &BTreeMap<String, String>,
) -> BTreeMap<String, Mark> {
    let parts: BTreeSet<&str> = steps.iter().map(|step| step.part.as_str()).collect();
    let own = |step: &&Step| step.part == drawn.name || !parts.contains(drawn.name.as_str());
    let mut marks = BTreeMap::new();
    for at in &drawn.steps {
        let runs = at.runs.as_ref().map(|runs| stem(&runs.file));
        let counted: Vec<&Step> = match runs.filter(|_| drawn.form.flows()) {
            Some(part) => steps.iter().filter(|step| step.part == part).collect(),
            None => steps.iter().filter(own).filter(|step| step.name == at.name).collect(),
        };
        let sum = |of: fn(&Step) -> u64| counted.iter().map(|step| of(step)).sum::<u64>();
        let fault = faults.get(&at.name);
        if counted.is_empty() && fault.is_none() {
            continue;
        }
        let rows = [
            ("I", sum(|step| step.input)),
            ("O", sum(|step| step.output)),
            ("R", sum(|step| step.read)),
            ("W", sum(|step| step.written)),
            ("U", sum(|step| step.updated)),
            ("E", sum(|step| step.errors)),
        ];
        let rows = rows.iter().filter(|(_, count)| *count > 0);
        let mark = Mark {
            errors: sum(|step| step.errors).max(u64::from(fault.is_some())),
            words: fault.cloned().unwrap_or_default(),
            rows: rows.map(|(key, count)| format!("{key}={count}")).collect::<Vec<_>>().join(" "),
        };
        marks.insert(at.name.clone(), mark);
    }
    marks
}

/// What was said of steps that are not in the picture, but in a file that one of it runs. The programs
/// themselves only sum up.
fn others<'a>(drawn: &Drawn, faults: &'a BTreeMap<String, String>) -> Vec<(&'a str, &'a str)> {
    let drawn: BTreeSet<&str> = drawn.steps.iter().map(|step| step.name.as_str()).collect();
    let programs = ["Kitchen", "Pan", "HopRun"];
    faults
        .iter()
        .map(|(name, words)| (name.as_str(), words.as_str()))
        .filter(|(name, words)| {
            !words.is_empty() && !drawn.contains(name) && !programs.contains(name)
        })
        .take(OTHERS_MAX)
        .collect()
}

fn stem(file: &str) -> &str {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

// ---- parameters ----

/// What came of the question which parameters the file declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Checked {
    pub(in crate::web) errors: Vec<FieldError>,
    /// They were not checked: a word of [`Problem`].
    pub(in crate::web) unchecked: Option<Problem>,
}

/// # Errors
/// The database's.
pub(in crate::web) async fn check(
    page: &Page,
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> Result<Checked, Error> {
    let ran = ran(page, catalog, interface, job).filter(|ran| !ran.params.is_empty());
    let Some(ran) = ran else { return Ok(Checked::default()) };
    let hosts = hosts(page, catalog, interface, job).await?;
    let Some(host) = hosts.first() else { return Ok(Checked::default()) };
    match ask(&page.app, host, Ask::File(ran.at), SAVE_PATIENCE).await {
        Ok(Shown::File(file)) if file.drawn.more_parameters == 0 => {
            let names = file.drawn.parameters.into_iter().map(|one| one.name).collect();
            let errors = declared::undeclared(&ran.params, &names)
                .map(|(name, words)| FieldError::new(format!("fields.params.{name}"), words));
            Ok(Checked { errors: errors.collect(), unchecked: None })
        }
        Ok(_) => Ok(Checked::default()),
        // Nobody has asked this host to show anything: at the start they are checked anyhow.
        Err(problem) if problem.word == "no_folders" => Ok(Checked::default()),
        Err(problem) => Ok(Checked { errors: Vec::new(), unchecked: Some(problem) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::etl::drawn::{Place, read};

    const JOB: &str = include_str!("../../../../executor/tests/kettle/samples/job.kjb");
    const HELLO: &str = include_str!("../../../../executor/tests/kettle/samples/hello.ktr");

    fn step(part: &str, name: &str, errors: u64) -> Step {
        Step { part: part.into(), name: name.into(), written: 3, errors, ..Step::default() }
    }

    #[test]
    fn what_a_run_has_told_stands_at_its_step() {
        let steps = [step("hello", "gen", 0), step("hello", "log", 2), step("other", "log", 7)];
        let faults = BTreeMap::from([("gen".to_owned(), "no rows".to_owned())]);
        let drawn = read(HELLO, Place::default()).unwrap();
        let told = marks(&drawn, &steps, &faults);
        assert_eq!((told["gen"].errors, told["gen"].words.as_str()), (1, "no rows"));
        assert_eq!((told["log"].errors, told["log"].rows.as_str()), (2, "W=3 E=2"));
        // An entry has what the file that it runs has.
        let drawn = read(JOB, Place { folder: "/etl", ..Place::default() }).unwrap();
        let told = marks(&drawn, &steps, &BTreeMap::new());
        assert_eq!((told.len(), told["trans"].errors), (1, 2));
        assert_eq!(told["trans"].rows, "W=6 E=2");
    }
}
