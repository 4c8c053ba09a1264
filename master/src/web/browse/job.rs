//! The file that a job runs, on one of its hosts: its picture, with the errors of the last run.

use super::ask::ask;
use super::picture::Mark;
use super::ran::{Hosts, ran};
use super::{PATIENCE, View, stored};
use crate::engine::catalog::{Catalog, Interface, Job};
use crate::logs::PART_MAX;
use crate::store;
use crate::web::error::Error;
use crate::web::{Page, steps};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use shared::etl::browse::{Ask, Shown};
use shared::etl::counts::Step;
use shared::etl::drawn::Drawn;
use shared::etl::log;
use shared::ids::*;
use shared::kind::{self, Locus};
use shared::wire::{LogPart, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// Steps of other files whose errors are shown.
const OTHERS_MAX: usize = 10;
/// Bytes of the end of an output in which errors are looked for; the page says when there are more.
const END_MAX: u64 = 2 * 1024 * 1024;

/// Whether pages of this job have a picture.
pub(in crate::web) fn is_drawn(kind: &str) -> bool {
    kind::find(kind).is_some_and(kind::Kind::runs_file)
}

/// # Errors
/// The database's.
pub(in crate::web) async fn tab(
    page: &Page,
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> Result<minijinja::Value, Error> {
    let Some(ran) = ran(&page.app, catalog, interface, job) else {
        return Ok(context! { away => true });
    };
    let statuses = store::host::statuses(&page.app.db).await?;
    let known = Hosts { all: &catalog.hosts, statuses: &statuses };
    let hosts = known.of(page.viewer()?, interface, job);
    let last = last_run(page, &job.spec.kind, job.id).await?;
    // Where it ran last it is known to be.
    let last_host = last.as_ref().and_then(|last| last.host);
    let host = hosts.iter().find(|host| Some(host.id) == last_host).or(hosts.first());
    let Some(host) = host else { return Ok(context! { no_host => true }) };
    let name = host.name.as_str();
    let may_read = stored::may_read(page, host);
    let last_told = last.as_ref().map(|last| &last.told);
    let read = last.as_ref().and_then(|last| last.cut);
    let kind = kind::find(&job.spec.kind);
    let served = kind.is_some_and(|kind| kind.locus() == Locus::External);
    match ask(&page.app, host, Ask::File(ran.at), PATIENCE).await {
        Ok(Shown::File(file)) => {
            let marks = last.as_ref().map(|last| marks(&file.drawn, &last.steps, &last.faults));
            let others = last.as_ref().map(|last| others(&file.drawn, &last.faults));
            let view = View::of(host.id, *file, &marks.unwrap_or_default());
            Ok(context! {
                view => Serde(view), host => host.id.0, host_name => name, served, may_read,
                last => Serde(last_told), others => Serde(others), read => Serde(read),
            })
        }
        Ok(_) => Ok(context! { away => true }),
        Err(problem) => {
            Ok(context! { problem => Serde(problem), host => host.id.0, served, may_read })
        }
    }
}

struct LastRun {
    host: Option<HostId>,
    told: store::job::Last,
    steps: Vec<Step>,
    faults: BTreeMap<String, String>,
    cut: Option<Cut>,
}

/// How much of an output was looked at, where that is not all of it.
#[derive(Clone, Copy, Debug, Serialize)]
struct Cut {
    read: u64,
    of: u64,
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
    let read = |from, max| {
        let part = app.logs.read(attempt.id, Stream::Out, from, max);
        async { part.await.ok() }
    };
    let end = tokio::time::timeout(PATIENCE, end_of(read)).await;
    let (bytes, cut) = end.ok().flatten().unwrap_or_default();
    let faults = log::faults(&String::from_utf8_lossy(&bytes));
    Ok(Some(LastRun { host: Some(attempt.host), told, steps, faults, cut }))
}

/// The end of what it has said; nothing: it cannot be read now.
async fn end_of<F>(read: impl Fn(u64, u32) -> F) -> Option<(Vec<u8>, Option<Cut>)>
where
    F: Future<Output = Option<LogPart>>,
{
    let of = read(u64::MAX, 1).await?.len;
    let mut at = of.saturating_sub(END_MAX);
    let mut bytes = Vec::new();
    while at < of {
        let part = read(at, PART_MAX).await?;
        if part.bytes.is_empty() {
            break;
        }
        // It begins later where the quota has cut something out.
        at = part.from + part.bytes.len() as u64;
        bytes.extend(part.bytes);
    }
    let cut = (of > END_MAX).then_some(Cut { read: END_MAX, of });
    Some((bytes, cut))
}

/// By the name of a step: what was counted and said of it. An entry has what was counted of all that it
/// has begun; where that was not told, what nobody is known to have begun and has its file's name.
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
        let flows = drawn.form.flows();
        let within = || steps.iter().filter(|step| flows && step.is_within(&at.name));
        let counted: Vec<&Step> = match runs.filter(|_| flows) {
            _ if within().next().is_some() => within().collect(),
            Some(part) => {
                let unknown = |step: &&Step| step.entry.is_empty() && step.part == part;
                steps.iter().filter(unknown).collect()
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use shared::etl::drawn::{Place, read};

    const JOB: &str = include_str!("../../../../executor/tests/kettle/samples/job.kjb");
    const HELLO: &str = include_str!("../../../../executor/tests/kettle/samples/hello.ktr");

    fn step(part: &str, name: &str, errors: u64) -> Step {
        Step { part: part.into(), name: name.into(), written: 3, errors, ..Step::default() }
    }

    /// Of an output of so many bytes, without those of the hole.
    async fn end(of: u64, hole: (u64, u64)) -> (usize, Option<u64>) {
        let read = |from: u64, max: u32| {
            let from = if from >= hole.0 && from < hole.1 { hole.1 } else { from };
            let until = of.min(from.saturating_add(u64::from(max)));
            let until = if from < hole.0 { until.min(hole.0) } else { until };
            let bytes = vec![b'x'; usize::try_from(until.saturating_sub(from)).unwrap()];
            let (len, ended, marks) = (of, true, Vec::new());
            let part = LogPart { from, bytes, len, ended, hole: Some(hole), marks };
            std::future::ready(Some(part))
        };
        let (bytes, cut) = end_of(read).await.unwrap();
        assert!(cut.is_none_or(|cut| cut.read == END_MAX));
        (bytes.len(), cut.map(|cut| cut.of))
    }

    #[tokio::test]
    async fn errors_are_looked_for_at_the_end_and_it_is_said_where_that_is_not_all() {
        let none = (0, 0);
        let most = usize::try_from(END_MAX).unwrap();
        assert_eq!(end(0, none).await, (0, None));
        assert_eq!(end(300_000, none).await, (300_000, None));
        assert_eq!(end(END_MAX, none).await, (most, None));
        assert_eq!(end(9_000_000_000, none).await, (most, Some(9_000_000_000)));
        // What the quota has cut out is not waited for.
        assert_eq!(end(1_000_000, (200_000, 700_000)).await, (500_000, None));
        assert_eq!(end(1_000_000, (200_000, 1_000_000)).await, (200_000, None));
    }

    #[test]
    fn what_a_run_has_told_stands_at_its_step() {
        let steps = [step("hello", "gen", 0), step("hello", "log", 2), step("other", "log", 7)];
        let faults = BTreeMap::from([("gen".to_owned(), "no rows".to_owned())]);
        let drawn = read(HELLO, Place::default()).unwrap();
        let told = marks(&drawn, &steps, &faults);
        assert_eq!((told["gen"].errors, told["gen"].words.as_str()), (1, "no rows"));
        assert_eq!((told["log"].errors, told["log"].rows.as_str()), (2, "W=3 E=2"));
        // An entry has what the file that it runs has, where it is not told which entry that was of.
        let drawn = read(JOB, Place { folder: "/etl", ..Place::default() }).unwrap();
        let told = marks(&drawn, &steps, &BTreeMap::new());
        assert_eq!((told.len(), told["trans"].errors), (1, 2));
        assert_eq!(told["trans"].rows, "W=6 E=2");
        // Two that run one file, each with its own; what an entry runs may be a job.
        let twice = JOB.replace("<name>Success</name>", "<name>again</name>").replace(
            "<type>SUCCESS</type>",
            "<type>TRANS</type><filename>/etl/hello.ktr</filename>",
        );
        let drawn = read(&twice, Place { folder: "/etl", ..Place::default() }).unwrap();
        let [of_trans, of_again] =
            ["trans", "again › more"].map(|entry| step("hello", "gen", 1).of(entry));
        let told = marks(&drawn, std::slice::from_ref(&of_trans), &BTreeMap::new());
        assert_eq!((told.len(), &*told["trans"].rows), (1, "W=3 E=1"));
        let told = marks(&drawn, &[of_trans, of_again], &BTreeMap::new());
        assert_eq!((told.len(), &*told["again"].rows), (2, "W=3 E=1"));
    }
}
