//! A stand-in for Carte, held to what was recorded of real ones (7.1 and 8.3): its words, its codes, its
//! log that is packed. What it runs is what the file is called: `fails` or `bad`, `gone`, `forever`, `errors` or
//! `lenient` (it has errors, and goes on to success), else well.

use super::children::Children;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use shared::clock::Clock;
use shared::ids::Millis;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Of its repository.
const REPOSITORY_PASSWORD: &str = "rep0";
/// How long what ends by itself takes.
const TAKES_MS: Millis = 400;
const HALTS_MS: Millis = 2_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) body: String,
    /// Why it is going to fail, whatever it runs.
    refused: Option<String>,
    begun: Option<Millis>,
    pub(super) stopped: bool,
    /// From a stop to the end; nothing more is logged.
    halts_until: Option<Millis>,
    lines: Vec<(u64, String)>,
    /// What it has told of one that has ended, or was stopped, and from which line on.
    told: Option<(u64, String)>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    children: Children,
    /// Of the whole server.
    line: u64,
    ids: u64,
    /// Names of what has begun.
    begun: Vec<String>,
    /// By verb: so often it does what it is asked, and the answer is no answer.
    mute: BTreeMap<String, u32>,
    /// By verb: so often its answer is this.
    garble: BTreeMap<String, (u32, String)>,
    asked: Vec<String>,
    unknown: StatusCode,
}

#[derive(Clone, Debug)]
struct Shared {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

/// It lives until it is dropped.
#[derive(Debug)]
pub(super) struct Carte {
    shared: Shared,
    pub(super) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Carte {
    pub(super) fn start() -> Carte {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shared = Shared { inner: Arc::default(), clock: Clock::system() };
        let router = Router::new().route("/kettle/{verb}/", any(asked)).with_state(shared.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        shared::tasks::spawn("a stand-in for Carte", async move {
            axum::serve(listener, router).await.unwrap();
        });
        drop(_inside);
        Carte { shared, address, _runtime: runtime }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.shared.inner.lock().unwrap())
    }

    /// Names of what has begun, each time.
    pub(super) fn begun(&self) -> Vec<String> {
        self.with(|inner| inner.begun.clone())
    }

    /// What it still knows.
    pub(super) fn known(&self) -> Vec<String> {
        self.with(|inner| inner.entries.iter().map(|entry| entry.name.clone()).collect())
    }

    /// What its jobs have begun, and it still lists.
    pub(super) fn children(&self) -> Vec<String> {
        self.with(|inner| inner.children.known())
    }

    /// Somebody else has begun one, and it has ended.
    pub(super) fn foreign(&self, name: &'static str) {
        let of = Entry { name: "somebody".into(), begun: Some(0), ..Entry::default() };
        self.with(|inner| inner.children.add(name, false, &of));
    }

    pub(super) fn live(&self) -> usize {
        let now = self.shared.clock.mono_ms();
        let lives = |entry: &&Entry| status(entry, now) == "Running";
        self.with(|inner| inner.entries.iter().filter(lives).count())
    }

    pub(super) fn mute(&self, verb: &str, times: u32) {
        self.with(|inner| inner.mute.insert(verb.into(), times));
    }

    /// It does not what it is asked, and its answer is this.
    pub(super) fn garble(&self, verb: &str, times: u32, answer: String) {
        self.with(|inner| inner.garble.insert(verb.into(), (times, answer)));
    }

    /// Lines of a log that is longer than any we take.
    pub(super) fn talk(&self, lines: u64, text: &str) {
        self.with(|inner| {
            for n in 0..lines {
                inner.line += 1;
                let line = inner.line;
                for entry in &mut inner.entries {
                    entry.lines.push((line, format!("2026/11/20 10:19:19 - gen.0 - {n} {text}")));
                }
            }
        });
    }

    /// On its own page.
    pub(super) fn stop_all(&self) {
        self.with(|inner| inner.entries.iter_mut().for_each(|entry| entry.stopped = true));
    }

    /// As Kettle 9 and later.
    pub(super) fn unknown_is_404(&self) {
        self.with(|inner| inner.unknown = StatusCode::NOT_FOUND);
    }

    /// It was started anew.
    pub(super) fn forget(&self) {
        self.with(|inner| {
            inner.entries.clear();
            inner.children.forget();
        });
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.with(|inner| inner.asked.clone())
    }
}

type Asked = BTreeMap<String, String>;

async fn asked(
    State(shared): State<Shared>,
    Path(verb): Path<String>,
    Query(query): Query<Asked>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let basic = format!("Basic {}", STANDARD.encode("cluster:s3cret"));
    if headers.get("authorization").is_none_or(|given| given.to_str().ok() != Some(basic.as_str()))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let xml = headers.get("content-type").is_some_and(|kind| kind == "text/xml");
    if verb == "addJob" && !xml {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let now = shared.clock.mono_ms();
    let mut inner = shared.inner.lock().unwrap();
    inner.asked.push(format!("{verb} {query:?} {body}"));
    if let Some((times, answer)) = inner.garble.get_mut(&verb).filter(|(times, _)| *times > 0) {
        *times -= 1;
        return answer.clone().into_response();
    }
    let find = |name: &str| query.get(name).cloned().unwrap_or_default();
    if matches!(verb.as_str(), "transStatus" | "removeTrans" | "removeJob") {
        let told = inner.children.obey(&verb, &find("name"), &find("id"));
        match told {
            Some(told) => return told.into_response(),
            // It has a null for the transformation, and does not look.
            None if verb != "removeJob" => {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            None => {}
        }
    }
    let told = inner.obey(now, &verb, &query, body);
    match inner.mute.get_mut(&verb).filter(|times| **times > 0) {
        Some(times) => {
            *times -= 1;
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        None if told.contains("could not be found") => (inner.unknown, told).into_response(),
        None => told.into_response(),
    }
}

impl Inner {
    fn obey(&mut self, now: Millis, verb: &str, query: &Asked, body: String) -> String {
        let find = |name: &str| query.get(name).cloned().unwrap_or_default();
        let (name, id) = (find("name"), find("id"));
        let at = self.entries.iter().position(|entry| entry.name == name && entry.id == id);
        let missing =
            || result("ERROR", &format!("The specified job [{name}] could not be found"), "");
        match (verb, at) {
            ("status", _) => {
                let all = self.entries.iter().map(|entry| {
                    format!(
                        "<jobstatus><jobname>{}</jobname><id>{}</id><status_desc>{}</status_desc></jobstatus>",
                        entry.name,
                        entry.id,
                        status(entry, now)
                    )
                });
                format!(
                    "<?xml version=\"1.0\"?><serverstatus><statusdesc>Online</statusdesc><transstatuslist>{}\
                     </transstatuslist><jobstatuslist>{}{}</jobstatuslist></serverstatus>",
                    self.children.listed(false, now),
                    self.children.listed(true, now),
                    all.collect::<String>()
                )
            }
            ("addJob", _) => self.add(body),
            (_, None) => missing(),
            ("startJob", Some(at)) => {
                if status(&self.entries[at], now) != "Running" {
                    self.begin(at, now);
                }
                result("OK", &format!("Job [{name}] was started."), "")
            }
            ("stopJob", Some(at)) => {
                self.entries[at].stopped = true;
                self.entries[at].halts_until.get_or_insert(now + HALTS_MS);
                self.children.stop(&id);
                result("OK", "Job stop requested.", "")
            }
            ("removeJob", Some(at)) => {
                self.entries.remove(at);
                result("OK", "The job was removed.", "")
            }
            ("jobStatus", Some(at)) => {
                let from: u64 = query.get("from").and_then(|line| line.parse().ok()).unwrap_or(0);
                let last = self.line;
                self.entries[at].told_of(now, (from, last))
            }
            _ => result("ERROR", "what?", ""),
        }
    }

    fn add(&mut self, body: String) -> String {
        let between = |open: &str, close: &str| {
            let (_, rest) = body.split_once(open)?;
            Some(rest.split_once(close)?.0.to_owned())
        };
        let Some(name) = between("<job><name>", "</name>") else {
            return result("ERROR", "no job is in it", "");
        };
        // A repository that it cannot connect to is no reason to refuse a job: it runs without one.
        let connected = between("<repository>", "</repository>").is_some_and(|_| {
            decoded(&between("<password>", "</password>").unwrap_or_default())
                == REPOSITORY_PASSWORD
        });
        let refused = (body.contains("rep_name") && !connected)
            .then(|| "no repository is connected: what is in one cannot be loaded".to_owned());
        self.ids += 1;
        let id = format!("8cd95a36-0000-4000-8000-{:012}", self.ids);
        let (stopped, begun) = (false, None);
        self.entries.push(Entry {
            name: name.clone(),
            id: id.clone(),
            body,
            refused,
            begun,
            stopped,
            ..Entry::default()
        });
        result("OK", &format!("Job [{name}] was added to the list with id {id}"), &id)
    }

    fn begin(&mut self, at: usize, now: Millis) {
        let entry = &mut self.entries[at];
        entry.begun = Some(now);
        self.children.begin(entry);
        self.begun.push(entry.name.clone());
        let name = entry.name.clone();
        let mut texts = vec![
            format!("{name} - Start of job execution"),
            format!("{name} - Starting entry [work]"),
        ];
        if entry.body.contains("<type>JOB</type>") {
            texts.push("daily - Starting entry [trans]".to_owned());
        }
        texts.push("hello - Dispatching started for transformation [hello]".to_owned());
        for (file, text) in [
            ("errors.ktr", "x.0 - ERROR (version 8.3.0.0) : a row is odd, s3cret"),
            ("lenient.kjb", "x.0 - ERROR (version 8.3.0.0) : a row is odd, s3cret"),
            ("fails.ktr", "abort.0 - ERROR (version 8.3.0.0) : deliberate abort"),
            ("bad.ktr", "abort.0 - ERROR (version 8.3.0.0) : deliberate abort"),
            ("gone.ktr", "work - ERROR (version 8.3.0.0) : there is no gone.ktr"),
        ] {
            if entry.body.contains(file) {
                texts.push(text.to_owned());
            }
        }
        if let Some(why) = &entry.refused {
            texts.push(format!("work - ERROR (version 8.3.0.0) : {why}"));
        }
        // So many rows as the parameter N says.
        let given = entry.body.split_once("<name>N</name><stream_name/><value>");
        let given = given.and_then(|(_, rest)| rest.split('<').next()).map(str::parse::<u32>);
        let rows = given.and_then(Result::ok).unwrap_or(3);
        texts.push(format!("gen.0 - Finished processing (I=0, O=0, R=0, W={rows}, U=0, E=0)"));
        texts.push(format!("{name} - Job execution finished"));
        for text in texts {
            self.line += 1;
            entry.lines.push((self.line, format!("2026/11/20 10:19:19 - {text}")));
        }
    }
}

fn fails(body: &str) -> bool {
    ["fails.ktr", "bad.ktr", "gone.ktr"].iter().any(|file| body.contains(file))
}

impl Entry {
    /// Of one that has ended, or was stopped, it tells again what it has told to who asks for the same lines.
    fn told_of(&mut self, now: Millis, (from, last): (u64, u64)) -> String {
        if let Some((_, text)) = self.told.as_ref().filter(|(line, _)| *line == from) {
            return text.clone();
        }
        let text = told(self, now, (from, last));
        self.told = (status(self, now) != "Running").then(|| (from, text.clone()));
        text
    }
}

pub(super) fn status(entry: &Entry, now: Millis) -> &'static str {
    let Some(begun) = entry.begun else { return "Waiting" };
    let body = &entry.body;
    match now - begun < TAKES_MS || body.contains("forever.ktr") {
        _ if entry.halts_until.is_some_and(|until| now < until) => "Halting",
        _ if entry.stopped => "Stopped",
        true => "Running",
        false if fails(body) || entry.refused.is_some() => "Finished (with errors)",
        false => "Finished",
    }
}

/// As Kettle reads it: a number in hexadecimal, XOR one that is known. What is no number is no password.
fn decoded(text: &str) -> String {
    const SEED: &str = "02be98afc86aa7f2e4cb79ce10bef2cfba";
    let digits = text.strip_prefix("Encrypted ").unwrap_or(text);
    let len = digits.len().max(SEED.len()).next_multiple_of(2);
    let bytes = |digits: &str| -> Option<Vec<u8>> {
        let all = format!("{digits:0>len$}");
        (0..len / 2).map(|at| u8::from_str_radix(all.get(2 * at..2 * at + 2)?, 16).ok()).collect()
    };
    let Some((number, seed)) = bytes(digits).zip(bytes(SEED)) else { return String::new() };
    let plain: Vec<u8> = number.iter().zip(seed).map(|(byte, seed)| byte ^ seed).collect();
    let begin = plain.iter().position(|byte| *byte != 0).unwrap_or(plain.len());
    String::from_utf8_lossy(&plain[begin..]).into_owned()
}

pub(super) fn result(result: &str, message: &str, id: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<webresult>\n  <result>{result}</result>\n  <message>{message}</message>\n  \
         <id>{id}</id>\n</webresult>\n"
    )
}

fn told(entry: &Entry, now: Millis, (from, last): (u64, u64)) -> String {
    let new = entry.lines.iter().filter(|(line, _)| *line > from);
    let text: String = new.map(|(_, text)| format!("{text}\r\n")).collect();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = STANDARD.encode(packed.finish().unwrap());
    let escaped: String =
        packed.chars().map(|c| if c == '/' { "&#x2f;".into() } else { c.to_string() }).collect();
    let status = status(entry, now);
    // A job that was stopped says that all is well.
    let (good, errors) = if status == "Finished (with errors)" { ("N", 1) } else { ("Y", 0) };
    format!(
        "<?xml version=\"1.0\"?><jobstatus><jobname>{}</jobname><id>{}</id><status_desc>{status}</status_desc>\
         <error_desc/><logging_string>&lt;&#x21;&#x5b;CDATA&#x5b;{escaped}&#x5d;&#x5d;&gt;</logging_string>\
         <first_log_line_nr>0</first_log_line_nr><last_log_line_nr>{last}</last_log_line_nr><result>\
         <lines_input>0</lines_input><nr_errors>{errors}</nr_errors><result>{good}</result>\
         <exit_status>0</exit_status><is_stopped>N</is_stopped><log_text/></result></jobstatus>",
        entry.name, entry.id
    )
}
