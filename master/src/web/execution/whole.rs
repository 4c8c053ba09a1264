//! One execution with all that its page shows, read in a handful of queries; and what follows from
//! it by thinking alone: failed roots, progress, what a run waits for, in words.
//!
//! Called by the pages and the API of executions ([`super`]) and by the live stream.

use crate::db::{Db, Result};
use crate::engine::catalog::{Catalog, Interface};
use crate::engine::rows::{RunState, Target};
use crate::store;
use crate::store::execution::{Attempt, Execution, JobRun, Run, word};
use serde_json::{Value, json};
use shared::ids::*;
use shared::spec::Expect;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The parts of one execution.
#[derive(Debug)]
pub struct Whole {
    pub execution: Execution,
    /// Parents first.
    pub runs: Vec<Run>,
    /// By run and job.
    pub jobs: Vec<JobRun>,
    /// Where their newest attempts are, or were.
    pub hosts: BTreeMap<(RunId, JobId), HostId>,
    /// As they were when the runs began.
    pub definitions: BTreeMap<(InterfaceId, i64), Arc<Interface>>,
    pub catalog: Arc<Catalog>,
    /// Runs outside of this execution that some wait names.
    pub elsewhere: BTreeMap<RunId, (InterfaceId, String)>,
}

impl Whole {
    pub async fn load(db: &Db, catalog: Arc<Catalog>, execution: Execution) -> Result<Whole> {
        Whole::changed(db, catalog, execution, -1).await
    }

    /// All of its runs, and those job runs that a batch after `batch` has written.
    pub async fn changed(
        db: &Db,
        catalog: Arc<Catalog>,
        execution: Execution,
        batch: i64,
    ) -> Result<Whole> {
        let runs = store::execution::runs(db, &execution.runs).await?;
        let jobs = store::execution::changed_job_runs(db, &execution.runs, batch).await?;
        let hosts = store::execution::hosts(db, &jobs).await?;
        let definitions = definitions(db, &catalog, &runs).await?;
        let inside: BTreeSet<RunId> = runs.iter().map(|run| run.id).collect();
        let named = runs.iter().map(|run| &run.waits).chain(jobs.iter().map(|job| &job.waits));
        let others: BTreeSet<RunId> = named
            .flatten()
            .filter_map(|target| match target {
                Target::Run(run) if !inside.contains(run) => Some(*run),
                _ => None,
            })
            .collect();
        let others: Vec<RunId> = others.into_iter().collect();
        let elsewhere = store::execution::runs(db, &others)
            .await?
            .into_iter()
            .map(|run| (run.id, (run.interface, run.period.to_string())))
            .collect();
        Ok(Whole { execution, runs, jobs, hosts, definitions, catalog, elsewhere })
    }

    pub fn definition(&self, run: &Run) -> Option<&Arc<Interface>> {
        self.definitions.get(&(run.interface, run.version))
    }

    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    pub fn interface_name(&self, id: InterfaceId) -> String {
        let now = self.catalog.interfaces.get(&id).map(|interface| interface.name.clone());
        let then = || {
            let mut versions = self.definitions.range((id, 0)..=(id, i64::MAX));
            versions.next_back().map(|(_, interface)| interface.name.clone())
        };
        now.or_else(then).unwrap_or_else(|| format!("interface {id}"))
    }

    pub fn job_name(&self, run: &Run, job: JobId) -> String {
        let jobs = self.definition(run).map(|interface| &interface.jobs);
        let found = jobs.and_then(|jobs| jobs.iter().find(|other| other.id == job));
        found.map_or_else(|| format!("job {job}"), |job| job.name.clone())
    }

    pub fn job_kind(&self, run: &Run, job: JobId) -> String {
        let jobs = self.definition(run).map(|interface| &interface.jobs);
        let found = jobs.and_then(|jobs| jobs.iter().find(|other| other.id == job));
        found.map_or_else(String::new, |job| job.spec.kind.clone())
    }

    pub fn host_name(&self, host: HostId) -> String {
        let found = self.catalog.hosts.get(&host);
        found.map_or_else(|| format!("host {host}"), |host| host.name.clone())
    }

    /// Failed jobs none of whose predecessors failed: where the trouble began.
    pub fn failed_roots(&self) -> Vec<&JobRun> {
        let failed: BTreeSet<(RunId, JobId)> = self
            .jobs
            .iter()
            .filter(|job| is_failure(&job.state))
            .map(|job| (job.run, job.job))
            .collect();
        let before = |job: &JobRun| -> Vec<JobId> {
            let interface = self.run(job.run).and_then(|run| self.definition(run));
            let jobs = interface.map_or(&[][..], |interface| &interface.jobs[..]);
            let found = jobs.iter().find(|other| other.id == job.job);
            found.map_or_else(Vec::new, |found| found.spec.after.iter().map(|e| e.job).collect())
        };
        let mut roots: Vec<&JobRun> = self
            .jobs
            .iter()
            .filter(|job| failed.contains(&(job.run, job.job)))
            .filter(|job| !before(job).iter().any(|&one| failed.contains(&(job.run, one))))
            .collect();
        roots.sort_by_key(|job| (job.ended, job.run, job.job));
        roots
    }

    /// Runs that failed although none of their jobs did: they gave up waiting.
    pub fn given_up(&self) -> Vec<&Run> {
        let with_failure: BTreeSet<RunId> =
            self.jobs.iter().filter(|job| is_failure(&job.state)).map(|job| job.run).collect();
        let failed = self.runs.iter().filter(|run| run.state == RunState::Failed);
        failed.filter(|run| !with_failure.contains(&run.id)).collect()
    }

    /// Job runs by state.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for job in &self.jobs {
            *counts.entry(job.state.clone()).or_default() += 1;
        }
        counts
    }

    /// What a wait waits for: for people and for links.
    pub fn target(&self, target: &Target) -> Value {
        let of = |kind: &str, interface: InterfaceId, period: String| {
            json!({ "kind": kind, "interface": interface, "name": self.interface_name(interface),
                "period": period })
        };
        match target {
            Target::Run(run) => {
                let inside = self.run(*run).map(|run| (run.interface, run.period.to_string()));
                match inside.or_else(|| self.elsewhere.get(run).cloned()) {
                    Some((interface, period)) => {
                        let mut found = of("run", interface, period);
                        found["run"] = json!(run);
                        found
                    }
                    None => json!({ "kind": "run", "run": run, "name": run, "period": "" }),
                }
            }
            Target::Success(interface, period) => of("success", *interface, period.to_string()),
            Target::Idle(interface, period) => of("idle", *interface, period.to_string()),
            Target::SuccessOrNone(interface, period) => {
                of("success_or_none", *interface, period.to_string())
            }
            Target::Job(interface, period, job) => {
                let mut found = of("job", *interface, period.to_string());
                let interface = self.catalog.interfaces.get(interface);
                let name = interface
                    .and_then(|interface| interface.jobs.iter().find(|other| other.id == *job))
                    .map_or_else(|| format!("job {job}"), |job| job.name.clone());
                found["job"] = json!(job);
                found["job_name"] = json!(name);
                found
            }
        }
    }

    fn targets(&self, waits: &BTreeSet<Target>) -> Vec<Value> {
        waits.iter().map(|target| self.target(target)).collect()
    }

    /// A run as API and live stream give it.
    pub fn run_json(&self, run: &Run) -> Value {
        json!({
            "id": run.id,
            "interface": { "id": run.interface, "name": self.interface_name(run.interface) },
            "period": run.period,
            "generation": run.generation,
            "version": run.version,
            // Null: the interface is not there any more.
            "version_now": self.catalog.interfaces.get(&run.interface).map(|it| it.version),
            "execution": run.execution,
            "joined": run.execution != self.execution.id,
            "state": run_word(run),
            "paused": run.paused,
            "priority": run.priority,
            "stale": run.stale,
            "partial": run.partial,
            "waits": self.targets(&run.waits),
            "wait_until_ms": (run.wait_until != Millis::MAX).then_some(run.wait_until),
            "created_ms": run.created,
            "started_ms": run.started,
            "ended_ms": run.ended,
        })
    }

    pub fn job_json(&self, job: &JobRun) -> Value {
        let run = self.run(job.run);
        let host = job.host.or_else(|| self.hosts.get(&(job.run, job.job)).copied());
        json!({
            "id": node_id(job.run, job.job),
            "run": job.run,
            "job": job.job,
            "name": run.map_or_else(String::new, |run| self.job_name(run, job.job)),
            "kind": run.map_or_else(String::new, |run| self.job_kind(run, job.job)),
            "state": job.state,
            "reason": job.reason,
            "attempt": attempt_of(job),
            "number": job.number,
            "allowed": job.allowed,
            "host": host.map(|host| json!({ "id": host, "name": self.host_name(host) })),
            "waits": self.targets(&job.waits),
            "not_before_ms": job.not_before,
            "ready_ms": job.ready,
            "started_ms": job.started,
            "ended_ms": job.ended,
        })
    }

    pub fn attempt_json(&self, attempt: &Attempt) -> Value {
        json!({
            "id": attempt.id.to_string(),
            "number": attempt.id.number,
            "host": { "id": attempt.host, "name": self.host_name(attempt.host) },
            "mark": attempt.mark,
            "end": attempt.end_kind,
            "code": attempt.end_code,
            "text": attempt.end_text,
            "assigned_ms": attempt.assigned,
            "started_ms": attempt.started,
            "ended_ms": attempt.ended,
            "out_bytes": attempt.out_bytes,
            "err_bytes": attempt.err_bytes,
            "rss_max_kib": attempt.rss_max_kib,
            "cpu_ms": attempt.cpu_ms,
        })
    }
}

pub fn is_failure(state: &str) -> bool {
    matches!(state, "failed" | "timed_out")
}

/// How a node of the mesh is named on pages.
pub fn node_id(run: RunId, job: JobId) -> String {
    format!("{run}-{job}")
}

/// The newest attempt, if there was one.
pub fn attempt_of(job: &JobRun) -> Option<String> {
    let JobRun { run, job, number, reign, .. } = *job;
    (number > 0).then(|| AttemptId { run, job, number, reign }.to_string())
}

/// Pages show a paused run as paused.
pub fn run_word(run: &Run) -> String {
    match run.paused && run.state.is_live() {
        true => "paused".into(),
        false => word(run.state),
    }
}

pub fn expect_word(expect: Expect) -> &'static str {
    match expect {
        Expect::Success => "success",
        Expect::Failure => "failure",
        Expect::Done => "done",
    }
}

/// The definitions that the runs name: from memory where they are current, else as they were.
async fn definitions(
    db: &Db,
    catalog: &Catalog,
    runs: &[Run],
) -> Result<BTreeMap<(InterfaceId, i64), Arc<Interface>>> {
    let mut found = BTreeMap::new();
    let mut missing = BTreeSet::new();
    for run in runs {
        let key = (run.interface, run.version);
        let current = catalog.interfaces.get(&run.interface);
        let current = current.filter(|interface| interface.version == run.version);
        match current.or_else(|| catalog.old.get(&key)) {
            Some(interface) => {
                found.insert(key, Arc::clone(interface));
            }
            None => {
                missing.insert(key);
            }
        }
    }
    if !missing.is_empty() {
        found.extend(store::catalog::versions(db, &missing).await?);
    }
    Ok(found)
}
