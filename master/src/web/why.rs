//! Why did this run, why did it not, what does it wait for: one answer ([`explain`]) as a page and
//! as `GET /api/v1/explain`, of which the command line makes its own.
//!
//! What is asked about is a text ([`ask`]); what must be known is read as the answer asks for it, in
//! rounds, so that a chain of waits is followed as far as it goes and no further than the limits.

mod ask;

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::i18n::Lang;
use super::{Page, Routes};
use crate::app::App;
use crate::engine::explain::{self, Explanation, Facts, Line, Link, Question, Said, Want};
use crate::leader::ops::Pace;
use crate::store;
use axum::Json;
use axum::extract::{Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;
use std::collections::BTreeSet;

/// Rounds of reading for one answer: each follows every chain one step.
const ROUNDS_MAX: usize = 40;
/// Things read for one answer, and rows; then it is told as far as it is known.
const WANTS_MAX: usize = 1_000;
const ROWS_MAX: usize = 300_000;
/// Things read at once: so many may go beyond the limit of rows, for how many a thing has is known
/// only when it was read.
const AT_ONCE: usize = 20;

pub(super) fn routes() -> Routes {
    Routes::default().get("/why/", Right::View, show).get("/api/v1/explain", Right::View, api)
}

/// What is asked about, as it stands in the address.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// `nightly`, `orders/2026-11-20`, an execution, a job run.
    what: String,
    /// A time or a period; of an execution: the name of a job.
    when: String,
}

async fn answer(app: &App, viewer: &Viewer, question: Question) -> Result<Explanation, Error> {
    gather(app, viewer, |facts| explain::explain(question, facts)).await
}

/// What was read for one answer.
#[derive(Debug, Default)]
struct Read {
    wants: usize,
    rows: usize,
}

impl Read {
    /// How many things may be read next; none: it is enough.
    fn next(&self) -> usize {
        match self.rows < ROWS_MAX {
            true => WANTS_MAX.saturating_sub(self.wants).min(AT_ONCE),
            false => 0,
        }
    }

    fn add(&mut self, wants: usize, rows: usize) {
        self.wants += wants;
        self.rows += rows;
    }
}

/// Composes, reads what that lacks, and composes again.
///
/// # Errors
/// The database's.
pub(super) async fn gather<T>(
    app: &App,
    viewer: &Viewer,
    compose: impl Fn(&Facts) -> (T, BTreeSet<Want>),
) -> Result<T, Error> {
    let mut facts = Facts::new(app.clock.wall_ms(), app.catalog().await?);
    facts.kept_ms = Pace::default().keep_ms;
    facts.users = store::user::names(&app.db).await?;
    if !viewer.may(Right::View, ProjectId(0)) {
        let seen = viewer.rights.keys().copied().filter(|id| viewer.sees(*id));
        facts.sees = Some(seen.collect());
    }
    let mut read = Read::default();
    'rounds: for _ in 0..ROUNDS_MAX {
        let (found, wants) = compose(&facts);
        if wants.is_empty() {
            return Ok(found);
        }
        let mut wants = wants.into_iter().peekable();
        while wants.peek().is_some() {
            let some: BTreeSet<Want> = wants.by_ref().take(read.next()).collect();
            if some.is_empty() {
                break 'rounds;
            }
            let rows = store::explain::learn(&app.db, &some, &mut facts).await?;
            read.add(some.len(), rows);
        }
    }
    facts.closed = true;
    Ok(compose(&facts).0)
}

async fn api(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let question = ask::read(&app, &viewer, &asked).await?;
    let found = answer(&app, &viewer, question).await?;
    Ok(Json(shown(&found, &ask::told(question), &|said| said.to_string())))
}

async fn show(page: Page, Query(asked): Query<Asked>) -> Result {
    let viewer = page.viewer()?;
    let app = &page.app;
    let catalogue = &app.templates.catalogue;
    let lang: Lang = page.lang;
    let words = |said: &Said| catalogue.said(lang, said);
    let (mut found, mut errors) = (Value::Null, Value::Null);
    if !asked.what.trim().is_empty() {
        match ask::read(app, viewer, &asked).await {
            Ok(question) => {
                let answer = answer(app, viewer, question).await?;
                found = shown(&answer, &ask::told(question), &words);
            }
            Err(error) if !error.problem().errors.is_empty() => {
                let each = error.problem().errors.iter();
                errors = each
                    .map(|error| {
                        let message = catalogue.text(lang, &error.message);
                        (error.path.clone(), Value::from(message))
                    })
                    .collect::<serde_json::Map<_, _>>()
                    .into();
            }
            Err(error) => return Err(error),
        }
    }
    page.render(
        "why.html",
        context! { asked => Serde(&asked), found => Serde(&found), errors => Serde(&errors) },
    )
}

/// As API and page give it; `words` are the reader's language.
fn shown(found: &Explanation, question: &Value, words: &dyn Fn(&Said) -> String) -> Value {
    let roots: Vec<Value> = found.roots().into_iter().map(|line| alone(line, words)).collect();
    let then: Vec<Value> = found.then.iter().map(|line| alone(line, words)).collect();
    json!({ "question": question, "answer": whole(&found.head, words), "roots": roots, "then": then })
}

fn whole(line: &Line, words: &dyn Fn(&Said) -> String) -> Value {
    let mut shown = alone(line, words);
    shown["because"] = line.because.iter().map(|line| whole(line, words)).collect();
    shown
}

/// Without what caused it.
pub(super) fn alone(line: &Line, words: &dyn Fn(&Said) -> String) -> Value {
    let sentence = |said: &Said| {
        let params: serde_json::Map<String, Value> = said
            .params()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        json!({ "code": said.code(), "params": params, "text": words(said) })
    };
    let mut shown = sentence(&line.said);
    shown["tone"] = json!(line.tone);
    shown["at_ms"] = json!(line.at);
    shown["until_ms"] = json!(line.until);
    shown["last"] = json!(line.last);
    shown["satisfied_by"] = json!(line.cure.as_ref().map(sentence));
    shown["about"] = json!(line.link);
    shown["href"] = json!(line.link.as_ref().map(href));
    shown
}

/// The page of what a line is about.
fn href(link: &Link) -> String {
    match link {
        Link::Dispatch { dispatch } => format!("/dispatch/{dispatch}/"),
        Link::Instant { dispatch, instant_ms } => {
            format!("/why/?what=dispatch:{dispatch}&when={}", ask::utc(*instant_ms))
        }
        Link::Period { interface, period } => {
            let period = super::error::form_urlencoded(&period.to_string());
            format!("/why/?what=interface:{interface}&when={period}")
        }
        Link::Execution { execution } | Link::Run { execution, .. } => {
            format!("/execute/flow/detail/{execution}/")
        }
        Link::Job { execution, run, job } => {
            format!("/execute/flow/detail/{execution}/?tab=jobs&job={run}-{job}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many things in one round, each with so many rows: what was read.
    fn one_round(wants: usize, rows_each: usize) -> Read {
        let mut read = Read::default();
        let mut left = wants;
        while left > 0 && read.next() > 0 {
            let some = read.next().min(left);
            read.add(some, some * rows_each);
            left -= some;
        }
        read
    }

    #[test]
    fn a_single_round_is_bounded_too() {
        let read = one_round(1_000, 20_000);
        assert_eq!((read.wants, read.rows), (AT_ONCE, AT_ONCE * 20_000));
        let read = one_round(1_000, 1_000);
        assert!((ROWS_MAX..ROWS_MAX + AT_ONCE * 1_000).contains(&read.rows), "{read:?}");
        assert_eq!(one_round(5_000, 1).wants, WANTS_MAX);
        assert_eq!(one_round(999, 1).wants, 999);
    }
}
