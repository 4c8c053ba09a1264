//! How Carte and Hop server are asked, and what they answer: text in, text out.
//!
//! What is to be run is always given to them within a small job (workflow) of our own, which has the name
//! of the attempt and one entry: so the server knows it under our name, its own file is loaded by the
//! server itself, and its log lines are those of Kitchen or `hop-run`. Carte: `/kettle/addJob/` and the
//! others as of Kettle 7.1 and 8.3; Hop server: `/hop/registerWorkflow/` as of 2.15. A `<result>ERROR`
//! comes with 200 from both.

mod body;
mod digits;
pub mod live;

use super::observe::{Answer, Ask, Ended, Entry, There};
use super::{External, Server};
use crate::etl::xml;
use std::fmt::Write;

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Behind its address, with a leading `/`.
    pub path: String,
    /// None: it is a GET.
    pub body: Option<String>,
}

/// What it has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub answer: Answer,
    /// New lines of its log: packed by gzip, in base64.
    pub log: Option<String>,
    /// From which line on to ask next time.
    pub next_line: Option<u64>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply { answer, log: None, next_line: None }
    }
}

struct Words {
    base: &'static str,
    register: &'static str,
    start: &'static str,
    look: &'static str,
    stop: &'static str,
    remove: &'static str,
    /// Of an entry of its list.
    block: &'static str,
    name: &'static str,
}

const KETTLE: Words = Words {
    base: "/kettle",
    register: "addJob",
    start: "startJob",
    look: "jobStatus",
    stop: "stopJob",
    remove: "removeJob",
    block: "jobstatus",
    name: "jobname",
};

const HOP: Words = Words {
    base: "/hop",
    register: "registerWorkflow",
    start: "startWorkflow",
    look: "workflowStatus",
    stop: "stopWorkflow",
    remove: "removeWorkflow",
    block: "workflow-status",
    name: "workflowname",
};

fn words(server: Server) -> &'static Words {
    match server {
        Server::Carte => &KETTLE,
        Server::Hop => &HOP,
    }
}

/// `secret`: the password of a repository as Kettle reads it ([`super::password`]); `metadata`: of Hop, packed (see [`crate::etl`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    pub secret: &'a str,
    pub metadata: &'a str,
    /// Of the log.
    pub from_line: u64,
}

pub fn request(external: &External, ask: &Ask, beside: Beside) -> Request {
    let words = words(external.server);
    let base = words.base;
    let named = |verb: &str, entry: &Entry, more: &str| Request {
        path: format!(
            "{base}/{verb}/?name={}&id={}&xml=Y{more}",
            query(&entry.name),
            query(&entry.id)
        ),
        body: None,
    };
    match ask {
        Ask::List => Request { path: list(external.server), body: None },
        Ask::Register => Request {
            path: format!("{base}/{}/?xml=Y", words.register),
            body: Some(match external.server {
                Server::Carte => body::job(external, beside),
                Server::Hop => body::workflow(external, beside),
            }),
        },
        Ask::Start(entry) => named(words.start, entry, ""),
        Ask::Look(entry) => named(words.look, entry, &format!("&from={}", beside.from_line)),
        Ask::Stop(entry) => named(words.stop, entry, ""),
        Ask::Remove(entry) => named(words.remove, entry, ""),
    }
}

/// Where it tells all that it knows.
pub fn list(server: Server) -> String {
    format!("{}/status/?xml=Y", words(server).base)
}

/// What an answer with status 200 says.
pub fn reply(server: Server, ask: &Ask, text: &str) -> Reply {
    let words = words(server);
    if let Some(result) = element(text, "webresult") {
        return result_of(ask, &result).into();
    }
    match ask {
        Ask::List => Answer::Listed(listed(words, text)).into(),
        Ask::Look(_) => looked(text),
        // Whoever has said that (a proxy, a page of its own): it may have arrived.
        _ => Answer::Lost(format!("it answers what is not understood: {}", short(text))).into(),
    }
}

fn result_of(ask: &Ask, result: &str) -> Answer {
    let message = element(result, "message").map_or_else(String::new, |text| plain(&text));
    let good = element(result, "result").is_some_and(|word| word.trim() == "OK");
    let id = element(result, "id").map(|id| plain(id.trim())).filter(|id| !id.is_empty());
    match (ask, good, id) {
        (Ask::Register, true, Some(id)) => Answer::Registered(id),
        (Ask::Register, true, None) => {
            Answer::Refused(format!("it gives no id: {}", short(&message)))
        }
        (Ask::Look(_), true, _) => Answer::Refused(short(&message)),
        (_, true, _) => Answer::Done,
        // There is no code for it.
        (Ask::Start(_) | Ask::Look(_) | Ask::Stop(_) | Ask::Remove(_), false, _)
            if message.contains("could not be found") || message.contains("couldn't be found") =>
        {
            Answer::Unknown
        }
        (_, false, _) => Answer::Refused(short(&message)),
    }
}

fn listed(words: &Words, text: &str) -> Vec<(Entry, There)> {
    let mut entries = Vec::new();
    let (open, close) = (format!("<{}>", words.block), format!("</{}>", words.block));
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(open.as_str()) {
        let Some((block, after)) = after.split_once(close.as_str()) else { break };
        rest = after;
        let name = element(block, words.name).map(|name| plain(name.trim()));
        let id = element(block, "id").map(|id| plain(id.trim()));
        if let (Some(name), Some(id)) = (name, id) {
            entries.push((Entry { name, id }, there(block)));
        }
    }
    entries
}

fn looked(text: &str) -> Reply {
    if element(text, "status_desc").is_none() {
        return Answer::Refused(format!("it answers what is not understood: {}", short(text)))
            .into();
    }
    let log = element(text, "logging_string").map(|log| plain(log.trim()));
    let log = log.map(|log| {
        log.trim_start_matches("<![CDATA[")
            .trim_end_matches("]]>")
            .split_whitespace()
            .collect::<String>()
    });
    let next_line = element(text, "last_log_line_nr").and_then(|line| line.trim().parse().ok());
    Reply { answer: Answer::Seen(there(text)), log: log.filter(|log| !log.is_empty()), next_line }
}

/// By its words, and by the result within.
fn there(text: &str) -> There {
    let status = element(text, "status_desc").map_or_else(String::new, |text| plain(text.trim()));
    // Hop tells before it how each of its actions has ended.
    let whole = text.rsplit_once("</action_status_list>").map_or(text, |(_, behind)| behind);
    let result = element(whole, "result").unwrap_or_default();
    let errors: i64 =
        element(&result, "nr_errors").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    let bad = errors > 0 || element(&result, "result").is_some_and(|word| word.trim() == "N");
    match status.as_str() {
        "Waiting" => There::Waits,
        "Finished" if !bad => There::Ended(Ended::Well),
        "Finished" | "Finished (with errors)" => There::Ended(Ended::WithErrors),
        "Stopped" | "Stopped (with errors)" => There::Ended(Ended::Stopped),
        // Also a word that is new: it is looked at again.
        _ => There::Lives,
    }
}

fn short(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

// ---- XML and addresses ----

fn plain(text: &str) -> String {
    xml::unescaped(text).into_owned()
}

/// What is within the first element of that name; one of the same name within it is whole.
fn element(text: &str, name: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, after) = text.split_once(open.as_str())?;
    let mut depth = 1;
    let mut at = 0;
    while depth > 0 {
        let next_close = at + after[at..].find(close.as_str())?;
        match after[at..next_close].find(open.as_str()) {
            Some(inner) => {
                depth += 1;
                at += inner + open.len();
            }
            None => {
                depth -= 1;
                if depth == 0 {
                    return Some(after[..next_close].to_owned());
                }
                at = next_close + close.len();
            }
        }
    }
    None
}

/// Of a value in a query.
fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            byte => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests;
