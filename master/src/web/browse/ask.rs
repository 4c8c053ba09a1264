//! Asking a host, and what people and programs are told when it shows nothing.

use crate::app::App;
use crate::engine::catalog::Host;
use axum::http::StatusCode;
use serde::Serialize;
use shared::etl::browse::{Ask, PATH_MAX, Shown, Unseen};
use shared::etl::drawn::normal;
use shared::etl::stored::{Copied, Stored};
use shared::rpc::{ExecutorClient, within};
use std::time::Duration;

/// Why nothing is shown: a word that templates have a sentence for, and what belongs in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::web) struct Problem {
    pub(in crate::web) word: &'static str,
    pub(in crate::web) what: String,
    pub(in crate::web) host: String,
    /// Of a repository in a database: what the host has of it.
    pub(in crate::web) copied: Option<Box<Copied>>,
    /// For programs, in English.
    #[serde(skip)]
    pub(in crate::web) said: String,
}

impl Problem {
    fn of(host: &str, unseen: Unseen) -> Problem {
        let said = unseen.to_string();
        let mut copied = None;
        let (word, what) = match unseen {
            Unseen::NoFolders => ("no_folders", String::new()),
            Unseen::Outside(path) => ("outside", path),
            Unseen::Missing(path) => ("missing", path),
            Unseen::NoFolder(path) => ("no_folder", path),
            Unseen::NoFile(path) => ("no_file", path),
            Unseen::TooLarge(bytes) => ("too_large", bytes.to_string()),
            Unseen::Garbage(why) => ("garbage", why),
            Unseen::System(why) => ("system", why),
            Unseen::NoRepository(name) => ("no_repository", name),
            Unseen::InDatabase(name) => ("in_database", name),
            Unseen::NotRead(copy) => {
                let name = copy.name.clone();
                copied = Some(copy);
                ("not_read", name)
            }
            Unseen::Reads(name) => ("reads", name),
            Unseen::NoProject(name) => ("no_project", name),
            Unseen::Busy => ("busy", String::new()),
        };
        Problem { word, what, host: host.to_owned(), copied, said }
    }

    /// The host has said nothing of the file.
    pub(super) fn new(word: &'static str, host: &str, (what, said): (String, String)) -> Problem {
        Problem { word, what, host: host.to_owned(), copied: None, said }
    }

    /// The host is not to be asked now, whatever the question.
    pub(in crate::web) fn is_away(&self) -> bool {
        matches!(self.word, "away" | "late" | "broken")
    }

    /// Of a page that was asked for this path: what is refused is no page that is there. A host that is
    /// away, or busy, refuses nothing.
    pub(super) fn status(&self, path: &str) -> StatusCode {
        match self.word {
            // Whatever is shown: no host would look for that.
            "outside" if !is_path(path) => StatusCode::UNPROCESSABLE_ENTITY,
            "outside" => StatusCode::FORBIDDEN,
            // The beginning of a host that shows nothing says how that is mended.
            "no_folders" if path.is_empty() => StatusCode::OK,
            "no_folders" => StatusCode::FORBIDDEN,
            "missing" | "no_repository" | "no_project" => StatusCode::NOT_FOUND,
            "no_folder" | "no_file" | "too_large" | "garbage" | "in_database" => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            // Of a repository that is not read yet the page says how that is mended.
            _ => StatusCode::OK,
        }
    }
}

/// Whether it could be the path of anything: from the root, without a step above it, not too long.
fn is_path(path: &str) -> bool {
    let is_path = normal(path).is_some() || Stored::parse(path).is_some();
    path.len() <= PATH_MAX && !path.contains('\0') && is_path
}

/// A connection of its own to one host; it takes nothing over.
pub(in crate::web) struct Line {
    client: ExecutorClient,
    host: String,
    limit: Duration,
}

impl Line {
    /// # Errors
    /// The host cannot be reached in time.
    pub(in crate::web) async fn open(
        app: &App,
        host: &Host,
        limit: Duration,
    ) -> Result<Line, Problem> {
        let connected = tokio::time::timeout(limit, app.caller.connect(&host.spec.address)).await;
        let name = host.name.clone();
        match connected {
            Ok(Ok((_, client))) => Ok(Line { client, host: name, limit }),
            Ok(Err(error)) => Err(away(&name, format!("{error:#}"))),
            Err(_) => Err(late(&name, limit)),
        }
    }

    /// # Errors
    /// It does not answer in time, or shows none of it.
    pub(in crate::web) async fn ask(&self, question: Ask) -> Result<Shown, Problem> {
        self.ask_within(question, self.limit).await
    }

    /// # Errors
    /// As [`Line::ask`].
    pub(in crate::web) async fn ask_within(
        &self,
        question: Ask,
        limit: Duration,
    ) -> Result<Shown, Problem> {
        let asked = self.client.browse(within(limit), question);
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(Ok(Ok(shown)))) => Ok(shown),
            Ok(Ok(Ok(Err(unseen)))) => Err(Problem::of(&self.host, unseen)),
            Ok(Ok(Err(refused))) => Err(away(&self.host, refused.to_string())),
            // One that is older than the question ends the connection.
            Ok(Err(error)) => {
                let said = format!("it ended the connection: {error}");
                Err(Problem::new("broken", &self.host, (error.to_string(), said)))
            }
            Err(_) => Err(late(&self.host, limit)),
        }
    }
}

fn away(host: &str, why: String) -> Problem {
    let said = format!("it cannot be asked now: {why}");
    Problem::new("away", host, (why, said))
}

pub(super) fn late(host: &str, limit: Duration) -> Problem {
    let seconds = limit.as_secs().max(1);
    Problem::new(
        "late",
        host,
        (seconds.to_string(), format!("it did not answer within {seconds} s")),
    )
}

/// One question.
///
/// # Errors
/// As of [`Line`].
pub(in crate::web) async fn ask(
    app: &App,
    host: &Host,
    question: Ask,
    limit: Duration,
) -> Result<Shown, Problem> {
    let both = async { Line::open(app, host, limit).await?.ask(question).await };
    match tokio::time::timeout(limit, both).await {
        Ok(answer) => answer,
        Err(_) => Err(late(&host.name, limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_no_page_that_is_there() {
        let long = format!("/{}", "x".repeat(PATH_MAX));
        let outside = Unseen::Outside(String::new());
        for (unseen, path, status) in [
            (outside.clone(), "/etc", 403),
            (outside.clone(), "/etl/../etc", 403),
            (outside.clone(), "/../etc", 422),
            (outside.clone(), "etc", 422),
            (outside.clone(), "/a\0b", 422),
            (outside, &*long, 422),
            (Unseen::NoFolders, "", 200),
            (Unseen::NoFolders, "/etl", 403),
            (Unseen::Missing(String::new()), "/etl/x", 404),
            (Unseen::TooLarge(1), "/etl/x.ktr", 422),
            (Unseen::Outside(String::new()), "repository://pdi-8/main", 403),
            (Unseen::Outside(String::new()), "repository://pdi-8/main/../..", 422),
            (Unseen::InDatabase(String::new()), "repository://pdi-8/main", 422),
            (Unseen::NotRead(Box::default()), "repository://pdi-8/main", 200),
            (Unseen::Reads(String::new()), "repository://pdi-8/main", 200),
            (Unseen::Busy, "/etl", 200),
        ] {
            let problem = Problem::of("one", unseen);
            assert_eq!(problem.status(path).as_u16(), status, "{path:.20} {problem:?}");
        }
        assert_eq!(late("one", Duration::from_secs(2)).status("/etl"), StatusCode::OK);
    }
}
