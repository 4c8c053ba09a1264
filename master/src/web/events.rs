//! The live stream of pages (`/events`): what changed since a batch of the leader, by id.
//!
//! One poller per process serves all browsers, and only while there is one: it looks at the leader's
//! batch number at most every [`POLL_MIN`], and reads what the watched executions changed when it has
//! moved. Nothing is remembered for a browser that went away: it comes back with the last batch it
//! has seen and is told everything after it. The bus only makes the next look come sooner.

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::{Routes, execution, zone};
use crate::app::App;
use crate::bus::Topic;
use crate::store;
use crate::store::host::Mark;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use execution::whole::Whole;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::*;
use shared::tasks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Between two looks at the database, at least.
const POLL_MIN: Duration = Duration::from_millis(500);
/// And at most, when nothing nudges.
const POLL_MAX: Duration = Duration::from_secs(1);
/// A stream says so often that it lives.
const BEAT_MS: Millis = 10_000;
/// A stream ends after this long: the browser comes back, and its rights are looked at again.
const LIFE: Duration = Duration::from_secs(600);
const STREAMS_MAX: usize = 500;
/// Logs that are followed at a time.
const FOLLOWS_MAX: usize = 100;
const STREAMS_PER_USER_MAX: usize = 30;
/// Rows of a list that one browser watches.
const ITEMS_MAX: usize = 200;
/// Messages that a slow browser may lag behind, before it has to come back.
const QUEUE: usize = 32;

pub(super) fn routes() -> Routes {
    Routes::default().get("/events", Right::View, stream)
}

/// Who listens, and to what.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<Streams>,
    wake: Notify,
    /// Requests that wait for more of a log.
    pub follows: Semaphore,
}

impl Default for Hub {
    fn default() -> Hub {
        Hub { state: Mutex::default(), wake: Notify::new(), follows: Semaphore::new(FOLLOWS_MAX) }
    }
}

#[derive(Debug, Default)]
struct Streams {
    next: u64,
    all: BTreeMap<u64, Stream>,
    polling: bool,
}

#[derive(Clone, Debug)]
struct Stream {
    viewer: Arc<Viewer>,
    watch: Watch,
    /// It has been told everything up to this batch.
    after: i64,
    told_ms: Millis,
    /// The counters it has been told.
    counters: Value,
    /// How the hosts were when it was told so.
    hosts: Option<Mark>,
    send: mpsc::Sender<Message>,
}

#[derive(Clone, Debug, Default)]
struct Watch {
    execution: Option<ExecutionId>,
    items: Vec<ExecutionId>,
    /// Of the list: it is told how many were made since.
    newest: Option<Millis>,
    /// How the exec hosts are.
    hosts: bool,
}

#[derive(Clone, Debug)]
struct Message {
    name: &'static str,
    batch: i64,
    data: Arc<Value>,
}

impl Hub {
    fn lock(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a stream in; true when the poller has to be started.
    fn enter(&self, stream: Stream) -> Result<(u64, bool), Error> {
        let mut streams = self.lock();
        let own = streams.all.values().filter(|one| one.viewer.id == stream.viewer.id).count();
        if own >= STREAMS_PER_USER_MAX || streams.all.len() >= STREAMS_MAX {
            return Err(Error::too_many("too many live pages are open: close some of them"));
        }
        streams.next += 1;
        let id = streams.next;
        streams.all.insert(id, stream);
        let start = !std::mem::replace(&mut streams.polling, true);
        drop(streams);
        self.wake.notify_one();
        Ok((id, start))
    }

    fn leave(&self, id: u64) {
        self.lock().all.remove(&id);
    }
}

/// Leaves the hub when the browser goes.
struct Guard(App, u64);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.live.leave(self.1);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    execution: String,
    items: String,
    newest: Option<Millis>,
    hosts: String,
    after: Option<i64>,
}

async fn stream(
    State(app): State<App>,
    viewer: Viewer,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result {
    let (newest, hosts) = (asked.newest, !asked.hosts.is_empty());
    let mut watch = Watch { newest, hosts, ..Watch::default() };
    if !asked.execution.is_empty() {
        watch.execution = Some(execution::load_row(&app, &viewer, &asked.execution).await?.id);
    }
    let ids = asked.items.split(',').filter(|id| !id.is_empty()).take(ITEMS_MAX);
    watch.items = ids.filter_map(|id| id.parse().ok()).collect();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.and_then(|id| id.parse().ok()).or(asked.after);
    let after = match after {
        Some(after) => after,
        None => store::execution::batch(&app.db).await?,
    };
    let (send, receive) = mpsc::channel(QUEUE);
    let counters = Value::Null;
    let viewer = Arc::new(viewer);
    let stream = Stream { viewer, watch, after, told_ms: 0, counters, hosts: None, send };
    let (id, start) = app.live.enter(stream)?;
    if start {
        tasks::spawn("live pages", poll(app.clone()));
    }
    Ok(respond(Guard(app, id), receive))
}

fn respond(guard: Guard, receive: mpsc::Receiver<Message>) -> Response {
    let events = ReceiverStream::new(receive).map(move |message| {
        // The guard lives as long as the stream.
        let _ = &guard;
        let event = Event::default().event(message.name).id(message.batch.to_string());
        event.json_data(&*message.data)
    });
    let until = futures::StreamExt::take_until(events, Box::pin(tokio::time::sleep(LIFE)));
    let mut response = Sse::new(until).into_response();
    // A proxy that collects an answer before it passes it on would make nothing of "live".
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}

/// Runs while somebody listens.
async fn poll(app: App) {
    let mut ear = app.bus.listen();
    loop {
        {
            let mut streams = app.live.lock();
            if streams.all.is_empty() {
                streams.polling = false;
                return;
            }
        }
        if let Err(error) = look(&app).await {
            // The browsers keep what they have; the next look tells them what they missed.
            tracing::warn!("live pages: {:#}", anyhow::Error::from(error));
        }
        tokio::time::sleep(POLL_MIN).await;
        let nudged = async {
            loop {
                match ear.hear().await {
                    Some(Topic::Run | Topic::Lagged) => return,
                    Some(_) => {}
                    None => std::future::pending::<()>().await,
                }
            }
        };
        tokio::select! {
            () = nudged => {}
            () = app.live.wake.notified() => {}
            () = tokio::time::sleep(POLL_MAX - POLL_MIN) => {}
        }
    }
}

/// One look: what moved since each stream was told last.
async fn look(app: &App) -> crate::db::Result<()> {
    let batch = store::execution::batch(&app.db).await?;
    let now = app.clock.wall_ms();
    let mut streams: Vec<(u64, Stream)> =
        app.live.lock().all.iter().map(|(id, stream)| (*id, stream.clone())).collect();
    for (_, stream) in &mut streams {
        // The database was restored: what the browser has is of another history.
        if stream.after > batch {
            stream.after = -1;
        }
    }
    let behind: Vec<&Stream> =
        streams.iter().map(|(_, stream)| stream).filter(|stream| stream.after < batch).collect();
    let deltas = deltas(app, &behind).await?;
    let items = items(app, &behind).await?;
    let hosts = match streams.iter().any(|(_, stream)| stream.watch.hosts) {
        true => Some(store::host::mark(&app.db).await?),
        false => None,
    };
    let mut counted: BTreeMap<(Option<Vec<ProjectId>>, Millis), Value> = BTreeMap::new();
    for (id, mut stream) in streams {
        let moved = stream.after < batch;
        let mut messages = Vec::new();
        if moved || stream.counters.is_null() {
            let projects = execution::list::seen_projects(&stream.viewer);
            let of = (projects, zone::today_ms(now, stream.viewer.zone));
            let counters = match counted.get(&of) {
                Some(counters) => counters.clone(),
                None => {
                    let counters =
                        store::execution::counters(&app.db, of.0.as_deref(), of.1).await?;
                    counted.entry(of).or_insert(json!(counters)).clone()
                }
            };
            if stream.counters != counters {
                stream.counters = counters.clone();
                messages.push(("counters", Arc::new(counters)));
            }
            if let Some(newest) = stream.watch.newest {
                let projects = execution::list::seen_projects(&stream.viewer);
                let count = store::execution::newer(&app.db, projects.as_deref(), newest).await?;
                messages.push(("newer", Arc::new(json!({ "count": count }))));
            }
        }
        if moved {
            let delta = stream.watch.execution.and_then(|execution| deltas.get(&execution));
            messages.extend(delta.map(|delta| ("delta", Arc::clone(delta))));
            let own = stream.watch.items.iter().filter_map(|id| items.get(id));
            let seen = own.filter(|item| may_see(&stream.viewer, item)).cloned();
            let seen: Vec<Value> = seen.collect();
            if !seen.is_empty() {
                messages.push(("items", Arc::new(json!({ "items": seen }))));
            }
        }
        // The page asks for what it shows of them anew: its filters are its own.
        if stream.watch.hosts && stream.hosts != hosts {
            stream.hosts = hosts;
            messages.push(("hosts", Arc::new(json!({ "now_ms": now }))));
        }
        if messages.is_empty() && now - stream.told_ms >= BEAT_MS {
            messages.push(("beat", Arc::new(json!({ "now_ms": now, "batch": batch }))));
        }
        tell(app, id, stream, messages, (batch, now));
    }
    Ok(())
}

fn may_see(viewer: &Viewer, item: &Value) -> bool {
    item["project"].as_i64().is_some_and(|project| viewer.sees(ProjectId(project)))
}

fn tell(
    app: &App,
    id: u64,
    stream: Stream,
    messages: Vec<(&'static str, Arc<Value>)>,
    (batch, now): (i64, Millis),
) {
    let any = !messages.is_empty();
    for (name, data) in messages {
        if stream.send.try_send(Message { name, batch, data }).is_err() {
            // Too slow, or gone: it comes back and is told what it has missed.
            app.live.leave(id);
            return;
        }
    }
    if let Some(kept) = app.live.lock().all.get_mut(&id) {
        kept.after = batch;
        kept.counters = stream.counters;
        kept.hosts = stream.hosts;
        if any {
            kept.told_ms = now;
        }
    }
}

/// What the watched executions changed: one reading for all who watch the same one.
async fn deltas(
    app: &App,
    behind: &[&Stream],
) -> crate::db::Result<BTreeMap<ExecutionId, Arc<Value>>> {
    let mut after: BTreeMap<ExecutionId, i64> = BTreeMap::new();
    for stream in behind {
        if let Some(execution) = stream.watch.execution {
            let least = after.entry(execution).or_insert(stream.after);
            *least = stream.after.min(*least);
        }
    }
    let ids: Vec<ExecutionId> = after.keys().copied().collect();
    let mut found = BTreeMap::new();
    for row in store::execution::many(&app.db, &ids).await? {
        let id = row.id;
        let since = after.get(&id).copied().unwrap_or(-1);
        let changed = store::execution::changed_runs(&app.db, &row.runs, since).await?;
        let changed: BTreeSet<RunId> = changed.into_iter().map(|run| run.id).collect();
        let whole = Whole::changed(&app.db, app.catalog().await?, row, since).await?;
        if changed.is_empty() && whole.jobs.is_empty() && whole.execution.batch <= since {
            continue;
        }
        let runs = whole.runs.iter().filter(|run| changed.contains(&run.id));
        let delta = json!({
            "execution": { "id": id, "state": whole.execution.state,
                "ended_ms": whole.execution.ended },
            "runs": runs.map(|run| whole.run_json(run)).collect::<Vec<_>>(),
            "jobs": whole.jobs.iter().map(|job| whole.job_json(job)).collect::<Vec<_>>(),
        });
        found.insert(id, Arc::new(delta));
    }
    Ok(found)
}

/// The rows of lists that live, or have changed.
async fn items(app: &App, behind: &[&Stream]) -> crate::db::Result<BTreeMap<ExecutionId, Value>> {
    let after = behind.iter().map(|stream| stream.after).min().unwrap_or(0);
    let ids: BTreeSet<ExecutionId> =
        behind.iter().flat_map(|stream| stream.watch.items.iter().copied()).collect();
    let ids: Vec<ExecutionId> = ids.into_iter().collect();
    let mut rows = store::execution::many(&app.db, &ids).await?;
    rows.retain(|row| row.state.is_live() || row.batch > after);
    let items = execution::list::items(app, &rows).await?;
    Ok(rows.iter().map(|row| row.id).zip(items).collect())
}
