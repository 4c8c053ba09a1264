//! Asking a host, and what people are told when it shows nothing.

use crate::app::App;
use crate::engine::catalog::Host;
use serde::Serialize;
use shared::etl::browse::{Ask, Shown, Unseen};
use shared::rpc::{ExecutorClient, within};
use std::time::Duration;

/// Why nothing is shown: a word that templates have a sentence for, and what belongs in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::web) struct Problem {
    pub(in crate::web) word: &'static str,
    pub(in crate::web) what: String,
    pub(in crate::web) host: String,
}

impl Problem {
    fn of(host: &str, unseen: Unseen) -> Problem {
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
            Unseen::NoProject(name) => ("no_project", name),
            Unseen::Busy => ("busy", String::new()),
        };
        Problem::new(word, host, what)
    }

    fn new(word: &'static str, host: &str, what: String) -> Problem {
        Problem { word, what, host: host.to_owned() }
    }

    /// The host is not to be asked now, whatever the question.
    pub(in crate::web) fn is_away(&self) -> bool {
        matches!(self.word, "away" | "late" | "broken")
    }
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
            Ok(Err(error)) => Err(Problem::new("away", &name, format!("{error:#}"))),
            Err(_) => Err(late(&name, limit)),
        }
    }

    /// # Errors
    /// It does not answer in time, or shows none of it.
    pub(in crate::web) async fn ask(&self, question: Ask) -> Result<Shown, Problem> {
        let asked = self.client.browse(within(self.limit), question);
        match tokio::time::timeout(self.limit, asked).await {
            Ok(Ok(Ok(Ok(shown)))) => Ok(shown),
            Ok(Ok(Ok(Err(unseen)))) => Err(Problem::of(&self.host, unseen)),
            Ok(Ok(Err(refused))) => Err(Problem::new("away", &self.host, refused.to_string())),
            // One that is older than the question ends the connection.
            Ok(Err(error)) => Err(Problem::new("broken", &self.host, error.to_string())),
            Err(_) => Err(late(&self.host, self.limit)),
        }
    }
}

fn late(host: &str, limit: Duration) -> Problem {
    Problem::new("late", host, limit.as_secs().to_string())
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
