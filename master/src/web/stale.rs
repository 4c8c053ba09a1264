//! What is stale, what has been made anew since, and where to begin making it anew: a page, and
//! `GET /api/v1/stale` for the command line.
//!
//! Running the first ones anew with all that follows from them takes the others with it: these are
//! marked `first`.

use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::execution::list::seen_projects;
use super::{Page, Routes, choices, why};
use crate::app::App;
use crate::engine::catalog::Catalog;
use crate::engine::explain::{self, Line, Said};
use crate::store;
use crate::store::stale::{Cursor, PAGE_MAX, Stale};
use axum::Json;
use axum::extract::{Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;
use shared::kind::FieldError;

pub(super) fn routes() -> Routes {
    Routes::default().get("/execute/stale/", Right::View, show).get(
        "/api/v1/stale",
        Right::View,
        api,
    )
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// Id of an interface.
    interface: String,
    cursor: String,
    limit: String,
}

impl Asked {
    fn read<T: std::str::FromStr>(
        text: &str,
        path: &str,
        expected: &str,
    ) -> Result<Option<T>, Error> {
        match (text.trim(), text.trim().parse()) {
            ("", _) => Ok(None),
            (_, Ok(read)) => Ok(Some(read)),
            (_, Err(_)) => {
                let message = format!("{expected} is expected");
                Err(Error::invalid(vec![FieldError::new(path, message)]))
            }
        }
    }
}

/// One page: each with what is newer; and the cursor of the next.
async fn page_of(
    app: &App,
    viewer: &Viewer,
    asked: &Asked,
) -> Result<(Vec<(Stale, Vec<Line>)>, Option<String>), Error> {
    let interface = Asked::read(&asked.interface, "interface", "the id of an interface")?;
    let cursor = Asked::read::<Cursor>(&asked.cursor, "cursor", "the cursor of the page before")?;
    let limit = Asked::read(&asked.limit, "limit", "a number of rows")?;
    let limit = limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let projects = seen_projects(viewer);
    let mut found =
        store::stale::list(&app.db, projects.as_deref(), interface, cursor, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| {
        let (interface, period_ms, run) = (last.interface, last.period_ms, last.run);
        Cursor { interface, period_ms, run }.to_string()
    });
    let runs: Vec<RunId> = found.iter().map(|one| one.run).collect();
    let fed = why::gather(app, viewer, |facts| explain::fed_by(&runs, facts)).await?;
    Ok((found.into_iter().zip(fed).collect(), next))
}

/// As API and page give it; `words` are the reader's language.
fn item(
    catalog: &Catalog,
    (one, fed): &(Stale, Vec<Line>),
    words: &dyn Fn(&Said) -> String,
) -> Value {
    let name = catalog.interfaces.get(&one.interface).map(|it| it.name.clone());
    let name = name.unwrap_or_else(|| format!("interface {}", one.interface));
    // One that was fed by something stale follows when that is made anew.
    let first = !fed.iter().any(|line| matches!(line.said, Said::StaleItself { .. }));
    json!({ "run": one.run, "execution": one.execution,
        "interface": { "id": one.interface, "name": name }, "period": one.period,
        "generation": one.generation, "state": one.state, "ended_ms": one.ended, "first": first,
        "fed_by": fed.iter().map(|line| why::alone(line, words)).collect::<Vec<_>>() })
}

async fn api(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>> {
    let (found, next) = page_of(&app, &viewer, &asked).await?;
    let catalog = app.catalog().await?;
    let items: Vec<Value> =
        found.iter().map(|one| item(&catalog, one, &|said| said.to_string())).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

async fn show(page: Page, Query(asked): Query<Asked>) -> Result {
    let viewer = page.viewer()?;
    let (app, lang) = (&page.app, page.lang);
    let (found, next) = page_of(app, viewer, &asked).await?;
    let catalog = app.catalog().await?;
    let words = |said: &Said| app.templates.catalogue.said(lang, said);
    let items: Vec<Value> = found.iter().map(|one| item(&catalog, one, &words)).collect();
    let chosen = [asked.interface.clone()];
    let interfaces = choices::interfaces(&catalog, (viewer, Right::View), &chosen, |interface| {
        interface.name.clone()
    });
    page.render(
        "stale.html",
        context! {
            asked => Serde(&asked), items => Serde(&items), next,
            interfaces => Serde(&interfaces.options), search => interfaces.search,
            may_execute => viewer.may_somewhere(Right::Execute),
        },
    )
}
