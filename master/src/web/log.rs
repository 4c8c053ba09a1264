//! The log of one attempt (运行日志): page, API, search, download.
//!
//! Never the whole of it at once: parts of bounded size from where somebody looks, so that ten
//! gigabytes open as fast as ten lines. A place in a log is `OUT-ERR`, a byte offset per stream.
//! Text goes out as JSON and reaches the page as text nodes only.

mod lines;
mod seek;

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::{Page, Routes, steps};
use crate::app::App;
use crate::logs::{self, PART_MAX};
use crate::store;
use crate::store::execution::{Attempt, Run};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lines::{Line, Place};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::{self, FieldError};
use shared::wire::{LogPart, Stream};
use std::time::Duration;

/// How long a request that follows waits for news; under the time limit of a request.
const FOLLOW_MS: Millis = 15_000;
const FOLLOW_EVERY: Duration = Duration::from_millis(400);
/// One search reads so much of a log at most, and then says where to go on.
const SCAN_MAX: u64 = 64 * 1024 * 1024;
const SCAN_MS: Millis = 8_000;
const MATCHES_MAX: usize = 200;
const QUERY_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/execute/job/log/{attempt}/", Right::View, page)
        .get("/execute/job/log/{attempt}/download", Right::View, download)
        .get("/api/v1/attempts/{attempt}", Right::View, show)
        .get("/api/v1/attempts/{attempt}/log", Right::View, read)
        .get("/api/v1/attempts/{attempt}/log/search", Right::View, search)
        .get("/api/v1/attempts/{attempt}/log/cause", Right::View, cause)
}

impl From<logs::Error> for Error {
    fn from(error: logs::Error) -> Error {
        match error {
            logs::Error::NoAttempt | logs::Error::NoOutput { .. } => Error::gone(error.to_string()),
            logs::Error::Away { .. } | logs::Error::StoreAway { .. } => {
                Error::unavailable(error.to_string())
            }
            logs::Error::Db(error) => error.into(),
        }
    }
}

/// The attempt and its run, if the viewer may see them.
async fn find(app: &App, viewer: &Viewer, text: &str) -> Result<(Attempt, Run), Error> {
    let missing = || Error::not_found(format!("attempt {text}"));
    let id: AttemptId = text.parse().map_err(|_| missing())?;
    let attempt = store::execution::find_attempt(&app.db, id).await?.ok_or_else(missing)?;
    let run = store::execution::runs(&app.db, &[id.run]).await?.pop().ok_or_else(missing)?;
    match viewer.sees(run.project) {
        true => Ok((attempt, run)),
        false => Err(missing()),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// `out`, `err`, `both`.
    stream: String,
    /// Forward from a place; `end` (or nothing) for the last lines.
    from: String,
    /// Backward from a place.
    before: String,
    /// Forward from the first line that was written at this time (milliseconds) or later.
    at: Option<Millis>,
    /// Forward from this line of one stream; the first is 1.
    line: Option<u64>,
    /// Bytes per stream.
    max: Option<u32>,
    /// Any text but `0`: wait for news.
    follow: String,
    q: String,
    regex: String,
    case: String,
}

impl Asked {
    fn streams(&self) -> Result<Vec<Stream>, Error> {
        match self.stream.as_str() {
            "" | "both" => Ok(vec![Stream::Out, Stream::Err]),
            "out" => Ok(vec![Stream::Out]),
            "err" => Ok(vec![Stream::Err]),
            _ => Err(wrong("stream", "out, err or both is expected")),
        }
    }

    fn yes(text: &str) -> bool {
        !matches!(text, "" | "0" | "false")
    }

    /// `OUT-ERR`, or one number for the stream that is asked for (for both of them).
    fn place(path: &str, text: &str) -> Result<Option<Place>, Error> {
        let number = |text: &str| text.parse().ok();
        let place = match text.split_once('-') {
            _ if text.is_empty() || text == "end" => return Ok(None),
            Some((out, err)) => number(out).zip(number(err)),
            None => number(text).map(|at| (at, at)),
        };
        match place {
            Some((out, err)) => Ok(Some(Place { out, err })),
            None => Err(wrong(path, "a place such as 1024-0 (bytes of out and err) is expected")),
        }
    }
}

fn wrong(path: &str, message: &str) -> Error {
    Error::invalid(vec![FieldError::new(path, message)])
}

/// Lines of a part of the log, and the places before and after them.
#[derive(Debug)]
struct Shown {
    lines: Vec<Line>,
    begin: Place,
    next: Place,
    len: Place,
    /// Nothing comes after these lines.
    ended: bool,
    /// The attempt has ended, wherever these lines are.
    finished: bool,
    holes: Vec<Value>,
}

impl Shown {
    fn json(&self) -> Value {
        json!({ "lines": self.lines, "begin": self.begin.to_string(),
            "next": self.next.to_string(), "len": { "out": self.len.out, "err": self.len.err },
            "ended": self.ended, "finished": self.finished, "holes": self.holes })
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    From(Place),
    Before(Place),
    End,
}

async fn look(
    app: &App,
    id: AttemptId,
    streams: &[Stream],
    way: Way,
    max: u32,
) -> Result<Shown, Error> {
    let mut parts: Vec<(LogPart, Stream)> = Vec::new();
    for stream in [Stream::Out, Stream::Err] {
        let part = match (streams.contains(&stream), way) {
            (false, _) => LogPart { ended: true, ..LogPart::default() },
            (true, Way::From(place)) => app.logs.read(id, stream, place.of(stream), max).await?,
            (true, Way::End) => app.logs.tail(id, stream, max).await?,
            (true, Way::Before(place)) => {
                let end = place.of(stream);
                let from = end.saturating_sub(u64::from(max));
                let room = u32::try_from(end - from).unwrap_or(max);
                match room {
                    0 => LogPart { ended: true, ..LogPart::default() },
                    _ => app.logs.read(id, stream, from, room).await?,
                }
            }
        };
        parts.push((part, stream));
    }
    Ok(arrange(parts, streams, way))
}

fn arrange(parts: Vec<(LogPart, Stream)>, streams: &[Stream], way: Way) -> Shown {
    let forward = matches!(way, Way::From(_));
    let mut split =
        parts.iter().map(|(part, stream)| lines::split(part, *stream, forward || part.from == 0));
    let (out, err) = (split.next().unwrap_or_default(), split.next().unwrap_or_default());
    let mut merged = lines::merge(out, err);
    let pair = [(&parts[0].0, Stream::Out), (&parts[1].0, Stream::Err)];
    match forward {
        true => lines::cut_after(&mut merged, pair),
        false => lines::cut_before(&mut merged, pair),
    }
    let mut shown = Shown {
        begin: Place::default(),
        next: Place::default(),
        len: Place::default(),
        ended: true,
        finished: true,
        holes: Vec::new(),
        lines: Vec::new(),
    };
    for (part, stream) in &parts {
        if !streams.contains(stream) {
            continue;
        }
        let mut own = merged.iter().filter(|line| line.stream == *stream);
        let first = own.next().map_or(part.from, |line| line.from);
        // An open line is told again, with its end.
        let last = merged.iter().rev().find(|line| line.stream == *stream && !line.open);
        let next = last.map_or(first, |line| line.until);
        shown.begin.set(*stream, first);
        shown.next.set(*stream, if part.bytes.is_empty() { part.from.min(part.len) } else { next });
        shown.len.set(*stream, part.len);
        shown.finished &= part.ended;
        shown.ended &= part.ended && shown.next.of(*stream) >= part.len;
        shown.holes.extend(
            part.hole
                .map(|(from, until)| json!({ "stream": stream, "from": from, "until": until })),
        );
    }
    shown.lines = merged;
    shown
}

async fn read(
    State(app): State<App>,
    viewer: Viewer,
    Path(attempt): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let (attempt, _) = find(&app, &viewer, &attempt).await?;
    let streams = asked.streams()?;
    let max = asked.max.unwrap_or(PART_MAX / 2).clamp(1024, PART_MAX);
    let way = match (Asked::place("from", &asked.from)?, Asked::place("before", &asked.before)?) {
        (_, Some(place)) => Way::Before(place),
        (Some(place), None) => Way::From(place),
        (None, None) => match seek::place(&app, attempt.id, &streams, &asked).await? {
            Some(place) => Way::From(place),
            None => Way::End,
        },
    };
    let begun = app.clock.mono_ms();
    let _permit = match Asked::yes(&asked.follow) {
        true => Some(app.live.follows.try_acquire().map_err(|_| {
            Error::too_many("too many logs are being followed: close some of them")
        })?),
        false => None,
    };
    loop {
        let shown = look(&app, attempt.id, &streams, way, max).await?;
        let news = shown.ended || shown.lines.iter().any(|line| !line.open);
        let late = app.clock.mono_ms() - begun > FOLLOW_MS;
        if news || late || !Asked::yes(&asked.follow) || !matches!(way, Way::From(_)) {
            return Ok(Json(shown.json()));
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(attempt): Path<String>,
) -> Result<Json<Value>> {
    let (attempt, run) = find(&app, &viewer, &attempt).await?;
    let catalog = app.catalog().await?;
    let interface = catalog.interfaces.get(&run.interface);
    let job = interface.and_then(|it| it.jobs.iter().find(|job| job.id == attempt.id.job));
    let kind = job.map_or("", |job| job.spec.kind.as_str());
    let steps = steps::json(&steps::of(&app, &attempt, kind).await?);
    Ok(Json(json!({ "steps": steps,
        "id": attempt.id.to_string(), "run": run.id, "job": attempt.id.job,
        "number": attempt.id.number, "host": attempt.host, "end": attempt.end_kind,
        "code": attempt.end_code, "text": attempt.end_text, "assigned_ms": attempt.assigned,
        "started_ms": attempt.started, "ended_ms": attempt.ended,
        "out_bytes": attempt.out_bytes, "err_bytes": attempt.err_bytes,
    })))
}

/// The line that most likely says why it failed.
async fn cause(
    State(app): State<App>,
    viewer: Viewer,
    Path(attempt): Path<String>,
) -> Result<Json<Value>> {
    let (attempt, _) = find(&app, &viewer, &attempt).await?;
    for stream in [Stream::Err, Stream::Out] {
        let shown = look(&app, attempt.id, &[stream], Way::End, 32 * 1024).await?;
        if let Some(line) = lines::cause(&shown.lines) {
            return Ok(Json(json!({ "line": line })));
        }
    }
    Ok(Json(json!({ "line": null })))
}

/// Matches from a place on, as far as one request reaches.
async fn search(
    State(app): State<App>,
    viewer: Viewer,
    Path(attempt): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let (attempt, _) = find(&app, &viewer, &attempt).await?;
    if asked.q.is_empty() || asked.q.chars().count() > QUERY_CHARS_MAX {
        let message = format!("1 to {QUERY_CHARS_MAX} characters are expected");
        return Err(wrong("q", &message));
    }
    let pattern = match Asked::yes(&asked.regex) {
        true => asked.q.clone(),
        false => regex::escape(&asked.q),
    };
    let pattern = regex::RegexBuilder::new(&pattern)
        .case_insensitive(!Asked::yes(&asked.case))
        .size_limit(1 << 20)
        .build()
        .map_err(|error| wrong("q", &format!("this regular expression is not right: {error}")))?;
    let streams = asked.streams()?;
    let mut place = Asked::place("from", &asked.from)?.unwrap_or_default();
    let begun = app.clock.mono_ms();
    let (mut matches, mut read, mut done) = (Vec::new(), 0_u64, false);
    while !done
        && matches.len() < MATCHES_MAX
        && read < SCAN_MAX
        && app.clock.mono_ms() - begun < SCAN_MS
    {
        let shown = look(&app, attempt.id, &streams, Way::From(place), PART_MAX).await?;
        let found = shown.lines.iter().filter(|line| pattern.is_match(&line.text));
        matches.extend(found.map(|line| {
            let shown = json!({ "stream": line.stream, "from": line.from, "at_ms": line.at_ms,
                "text": line.text.chars().take(300).collect::<String>() });
            (line.stream, line.from, shown)
        }));
        let step = (shown.next.out - place.out.min(shown.next.out))
            + (shown.next.err - place.err.min(shown.next.err));
        read += step;
        place = shown.next;
        // An open line at the very end does not make a step.
        done = step == 0 || shown.ended;
    }
    let more = !done || matches.len() > MATCHES_MAX;
    // Each stream goes on at the first match that is not told now.
    for (stream, from, _) in matches.drain(MATCHES_MAX.min(matches.len())..).rev() {
        place.set(stream, from);
    }
    let items: Vec<Value> = matches.into_iter().map(|(_, _, shown)| shown).collect();
    Ok(Json(json!({ "items": items, "next": more.then(|| place.to_string()), "read": read })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DownloadAsked {
    stream: String,
}

/// One stream's bytes as they are, however many: read as the browser takes them.
async fn download(
    State(app): State<App>,
    viewer: Viewer,
    Path(attempt): Path<String>,
    Query(asked): Query<DownloadAsked>,
) -> Result {
    let (attempt, _) = find(&app, &viewer, &attempt).await?;
    let stream = if asked.stream == "err" { Stream::Err } else { Stream::Out };
    let first = app.logs.read(attempt.id, stream, 0, PART_MAX).await?;
    let name = format!("{}-{}.log", attempt.id, if stream == Stream::Err { "err" } else { "out" });
    let id = attempt.id;
    let parts = futures::stream::unfold(Some((app, first)), move |state| async move {
        let (app, part) = state?;
        if part.bytes.is_empty() {
            return None;
        }
        let next = part.from + part.bytes.len() as u64;
        let after = match next < part.len {
            true => app.logs.read(id, stream, next, PART_MAX).await,
            false => return Some((Ok(part.bytes), None)),
        };
        match after {
            Ok(after) => Some((Ok(part.bytes), Some((app, after)))),
            Err(error) => Some((Err(std::io::Error::other(error.to_string())), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    headers
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
    let disposition = format!("attachment; filename=\"{name}\"");
    if let Ok(value) = disposition.parse() {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response.into_response())
}

async fn page(page: Page, Path(attempt): Path<String>) -> Result {
    let viewer = page.viewer()?;
    let app = &page.app;
    let (attempt, run) = find(app, viewer, &attempt).await?;
    let catalog = app.catalog().await?;
    let interface = catalog.interfaces.get(&run.interface);
    let job = interface.and_then(|it| it.jobs.iter().find(|job| job.id == attempt.id.job));
    let others = store::execution::attempts(&app.db, attempt.id.run, attempt.id.job).await?;
    let others: Vec<Value> = others
        .iter()
        .map(
            |one| json!({ "id": one.id.to_string(), "number": one.id.number, "end": one.end_kind }),
        )
        .collect();
    let host = catalog.hosts.get(&attempt.host).map(|host| host.name.clone());
    let kind = job.map_or("", |job| job.spec.kind.as_str());
    let steps = steps::json(&steps::of(app, &attempt, kind).await?);
    let means = job.zip(attempt.end_code).and_then(|(job, code)| {
        let kind = kind::find(&job.spec.kind)?;
        kind.exit_means(&job.spec.fields, i32::try_from(code).ok()?)
    });
    page.render(
        "execution/log.html",
        context! {
            attempt => attempt.id.to_string(),
            number => attempt.id.number,
            others => Serde(&others),
            job_id => attempt.id.job.0,
            job => job.map_or_else(|| format!("job {}", attempt.id.job), |job| job.name.clone()),
            interface_id => run.interface.0,
            interface =>
                interface.map_or_else(|| format!("interface {}", run.interface), |it| it.name.clone()),
            period => run.period.to_string(),
            execution => run.execution.to_string(),
            host => host.unwrap_or_else(|| format!("host {}", attempt.host)),
            started_ms => attempt.started,
            ended_ms => attempt.ended,
            end => attempt.end_kind,
            code => attempt.end_code,
            text => attempt.end_text,
            steps => Serde(&steps),
            counts_rows => kind::find(kind).is_some_and(kind::Kind::counts_rows),
            means,
        },
    )
}
