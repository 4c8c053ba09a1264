//! What happened to one execution, in order: each decision of the engine with its reason, each try of a
//! job, and what people asked for. Made from the rows as they are; nothing is kept for it.
//!
//! Called by the tab Events of its page, which says each event in a sentence.

use super::whole::{Whole, is_failure, node_id, run_word};
use super::{Json, Path, Query, Result, State, Viewer, load};
use crate::app::App;
use crate::store;
use crate::store::execution::{Attempt, JobRun};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;
use std::collections::BTreeMap;

/// Tries that are read of one execution.
const ATTEMPTS_MAX: usize = 50_000;
/// What people asked for in its time, of this execution or of others.
const COMMANDS_MAX: usize = 5_000;
/// Events in one answer.
const PAGE_MAX: usize = 1_000;

/// One thing that happened.
#[derive(Debug, Serialize)]
pub struct Event {
    pub at_ms: Millis,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// As pages name it: the run and the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// It went wrong, or was not as planned.
    pub bad: bool,
    #[serde(flatten)]
    pub more: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    from: usize,
    limit: Option<usize>,
    /// Only of this job, as pages name it.
    job: String,
    /// `bad` or `people`; else everything.
    only: String,
    /// The last one first.
    newest: bool,
}

pub(super) async fn api(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let whole = load(&app, &viewer, &id).await?;
    let mut events = of(&app, &whole).await?;
    events.retain(|event| {
        let of_job = asked.job.is_empty() || event.job.as_ref() == Some(&asked.job);
        let wanted = match asked.only.as_str() {
            "bad" => event.bad,
            "people" => event.kind == "asked",
            _ => true,
        };
        of_job && wanted
    });
    if asked.newest {
        events.reverse();
    }
    let limit = asked.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let total = events.len();
    let items: Vec<Event> = events.into_iter().skip(asked.from).take(limit).collect();
    let next = asked.from.saturating_add(items.len());
    Ok(Json(json!({ "items": items, "total": total, "next": (next < total).then_some(next) })))
}

/// All events, the first one first; those of one moment in the order of cause and effect.
async fn of(app: &App, whole: &Whole) -> Result<Vec<Event>> {
    let execution = &whole.execution;
    let mut story = Story { whole, events: Vec::new() };
    if let Some((dispatch, instant)) = execution.dispatch.zip(execution.instant)
        && let Some((decision, why, decided)) =
            store::dispatch::decision(&app.db, dispatch, instant).await?
    {
        let name = whole.catalog.dispatches.get(&dispatch).map(|dispatch| dispatch.name.clone());
        let more = json!({ "dispatch": { "id": dispatch, "name": name }, "instant_ms": instant,
            "decision": decision, "why": why });
        story.tell(decided, "decided", (None, None), more);
        story.bad_if(decision != "fired" || !why.is_empty());
    }
    let until = execution.ended.unwrap_or_else(|| app.clock.wall_ms());
    // The clock that writes a command down may be behind the one that obeys it.
    let span = (execution.created - 60_000, until + 60_000);
    story.asked(&store::command::between(&app.db, span, COMMANDS_MAX).await?);
    story.runs();
    let attempts = store::execution::attempts_of(&app.db, &execution.runs, ATTEMPTS_MAX).await?;
    story.jobs(attempts);
    if let Some(ended) = execution.ended {
        let bad = !matches!(execution.state, crate::engine::rows::RunState::Succeeded);
        story.tell(ended, "over", (None, None), json!({ "state": execution.state }));
        story.bad_if(bad);
    }
    let mut events = story.events;
    events.sort_by_key(|event| event.at_ms);
    Ok(events)
}

struct Story<'a> {
    whole: &'a Whole,
    events: Vec<Event>,
}

impl Story<'_> {
    fn tell(
        &mut self,
        at_ms: Millis,
        kind: &'static str,
        (run, job): (Option<RunId>, Option<JobId>),
        more: Value,
    ) {
        let job = run.zip(job).map(|(run, job)| node_id(run, job));
        self.events.push(Event { at_ms, kind, run, job, bad: false, more });
    }

    /// The one told last went wrong, or was not as planned.
    fn bad_if(&mut self, bad: bool) {
        if let Some(event) = self.events.last_mut() {
            event.bad = bad;
        }
    }

    /// What people asked of this execution, its runs and its jobs.
    fn asked(&mut self, commands: &[store::command::Listed]) {
        let execution = json!(self.whole.execution.id);
        for command in commands {
            let verb = &command.args["verb"];
            let run: Option<RunId> = serde_json::from_value(verb["run"].clone()).ok();
            let run = run.filter(|run| self.whole.run(*run).is_some());
            let made = command.plan.as_ref().and_then(|plan| plan.execution);
            let made = made.is_some_and(|id| json!(id) == execution);
            if run.is_none() && !made && verb["execution"] != execution {
                continue;
            }
            let job = serde_json::from_value(verb["job"].clone()).ok();
            let bad = command.result.as_deref() == Some("refused");
            let more = json!({ "verb": command.verb, "by": command.by_name, "command": command.id,
                "result": command.result, "plan": command.plan, "note": verb["reason"] });
            self.tell(command.at, "asked", (run, job), more);
            self.bad_if(bad);
        }
    }

    fn runs(&mut self) {
        for run in &self.whole.runs {
            let id = (Some(run.id), None);
            let made = run.execution == self.whole.execution.id;
            let at = if made { run.created } else { self.whole.execution.created };
            let more = json!({ "generation": run.generation, "version": run.version,
                "execution": run.execution });
            self.tell(at, if made { "made" } else { "joined" }, id, more);
            let shown = self.whole.run_json(run);
            if !run.waits.is_empty() {
                let more =
                    json!({ "waits": shown["waits"], "wait_until_ms": shown["wait_until_ms"] });
                self.tell(at, "waits", id, more);
            }
            if let Some(started) = run.started {
                self.tell(started, "begun", id, json!({}));
            }
            if let Some(ended) = run.ended {
                let state = run_word(run);
                let bad = state != "succeeded";
                self.tell(ended, "run_ended", id, json!({ "state": state }));
                self.bad_if(bad);
            }
        }
    }

    fn jobs(&mut self, attempts: Vec<Attempt>) {
        let mut tries: BTreeMap<(RunId, JobId), Vec<Attempt>> = BTreeMap::new();
        for attempt in attempts {
            tries.entry((attempt.id.run, attempt.id.job)).or_default().push(attempt);
        }
        let whole = self.whole;
        for job in &whole.jobs {
            let of = tries.remove(&(job.run, job.job)).unwrap_or_default();
            self.job(job, &of);
        }
    }

    fn job(&mut self, job: &JobRun, attempts: &[Attempt]) {
        let id = (Some(job.run), Some(job.job));
        // A rerun forgets when it was ready before: what came earlier belongs to an earlier round.
        if let Some(ready) = job.ready {
            self.tell(ready, "ready", id, json!({}));
            if job.state == "queued" {
                self.tell(ready, "queued", id, json!({ "why": job.reason }));
            }
        }
        for attempt in attempts {
            let newest = attempt.id.number == job.number;
            self.attempt(job, attempt, newest);
        }
        let last = attempts.last().filter(|last| last.id.number == job.number);
        if job.state == "waiting" && job.not_before > 0 && job.number > 0 {
            let at = last.and_then(|last| last.ended).unwrap_or(job.not_before);
            let more = json!({ "not_before_ms": job.not_before, "number": job.number + 1,
                "allowed": job.allowed });
            self.tell(at, "again", id, more);
        }
        if let Some(ended) = job.ended {
            let bad = is_failure(&job.state) || matches!(job.state.as_str(), "skipped" | "stopped");
            let more = json!({ "state": job.state, "why": job.reason });
            self.tell(ended, "ended", id, more);
            self.bad_if(bad);
        }
    }

    fn attempt(&mut self, job: &JobRun, attempt: &Attempt, newest: bool) {
        let id = (Some(job.run), Some(job.job));
        let (number, host) = (attempt.id.number, attempt.host);
        let host = json!({ "id": host, "name": self.whole.host_name(host) });
        let queued = job.ready.filter(|_| newest && number == 1);
        let more = json!({ "number": number, "allowed": job.allowed.max(number), "host": host,
            "queued_ms": queued.map(|ready| attempt.assigned - ready) });
        self.tell(attempt.assigned, "assigned", id, more);
        if let Some(started) = attempt.started {
            let more = json!({ "number": number, "host": host });
            // The host's clock; nothing begins before it was assigned.
            self.tell(started.max(attempt.assigned), "started", id, more);
        }
        if let Some(end) = &attempt.end_kind {
            let at = attempt.ended.or(attempt.started).unwrap_or(attempt.assigned);
            let good = end == "code" && attempt.end_code == Some(0);
            let more = json!({ "number": number, "end": end, "code": attempt.end_code,
                "text": attempt.end_text, "attempt": attempt.id.to_string(),
                "took_ms": attempt.started.map(|started| at - started) });
            self.tell(at.max(attempt.assigned), "tried", id, more);
            self.bad_if(!good);
        }
    }
}
