//! One version, and what differs between two.

use super::diff::Diff;
use super::{About, Content, Known, documents};
use crate::app::App;
use crate::store;
use crate::store::version::Version;
use crate::web::Page;
use crate::web::auth::Viewer;
use crate::web::error::{Error, Result};
use axum::Json;
use axum::extract::{Path, Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::ids::*;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Two {
    /// The one before the newest when it is not said.
    from: Option<i64>,
    /// The newest when it is not said.
    to: Option<i64>,
}

/// Who made a version, when and why.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Made {
    pub(super) version: i64,
    pub(super) at_ms: Option<Millis>,
    pub(super) by: String,
    pub(super) reason: String,
}

impl Made {
    pub(super) async fn find(app: &App, known: &Known, version: i64) -> Result<Made, Error> {
        let found: Option<Version> = store::version::at(&app.db, known.of, version).await?;
        let names = store::user::names(&app.db).await?;
        Ok(Made {
            version,
            at_ms: found.as_ref().map(|found| found.at_ms),
            by: found.as_ref().and_then(|it| names.get(&it.by)).cloned().unwrap_or_default(),
            reason: found.map(|found| found.reason).unwrap_or_default(),
        })
    }
}

/// Two versions with what differs.
struct Compared {
    known: Known,
    from: Made,
    to: Made,
    diff: Diff,
}

async fn compared(app: &App, viewer: &Viewer, asked: About, two: &Two) -> Result<Compared, Error> {
    let known = Known::find(app, viewer, asked).await?;
    let to = two.to.unwrap_or(known.version);
    let from = match two.from {
        Some(from) => from,
        // Of a job's versions some are missing: it is that of its interface.
        None => {
            let before = store::version::page(&app.db, known.of, Some(to), 1).await?;
            before.first().map_or(to, |before| before.version)
        }
    };
    let (old, new) = (known.at(app, from).await?, known.at(app, to).await?);
    let diff = known.diff(&old, &new);
    let (from, to) = (Made::find(app, &known, from).await?, Made::find(app, &known, to).await?);
    Ok(Compared { known, from, to, diff })
}

pub(super) async fn compare(page: Page, asked: About, Query(two): Query<Two>) -> Result {
    let compared = compared(&page.app, page.viewer()?, asked, &two).await?;
    let Compared { known, from, to, diff } = &compared;
    page.render(
        "version/diff.html",
        context! {
            name => known.name.as_str(), href => known.href(), current => known.version,
            from => Serde(from), to => Serde(to), diff => shown(diff),
            may_change => page.viewer()?.may(known.right(), known.project),
        },
    )
}

pub(super) async fn compare_api(
    State(app): State<App>,
    viewer: Viewer,
    asked: About,
    Query(two): Query<Two>,
) -> Result<Json<Value>> {
    let Compared { known, from, to, diff } = compared(&app, &viewer, asked, &two).await?;
    Ok(Json(json!({ "name": known.name, "from": from, "to": to, "diff": diff })))
}

#[derive(Debug, Deserialize)]
pub(super) struct At {
    version: i64,
}

pub(super) async fn version(page: Page, asked: About, Path(at): Path<At>) -> Result {
    let (app, viewer) = (&page.app, page.viewer()?);
    let known = Known::find(app, viewer, asked).await?;
    let content = known.at(app, at.version).await?;
    let made = Made::find(app, &known, at.version).await?;
    page.render(
        "version/show.html",
        context! {
            name => known.name.as_str(), href => known.href(), current => known.version,
            made => Serde(made), called => content.name(),
            yaml => documents::yaml(&[content.document(&known.catalog)])?,
            diff => shown(&known.diff(&content, &known.content)),
            may_change => viewer.may(known.right(), known.project),
        },
    )
}

pub(super) async fn version_api(
    State(app): State<App>,
    viewer: Viewer,
    asked: About,
    Path(at): Path<At>,
) -> Result<Json<Value>> {
    let known = Known::find(&app, &viewer, asked).await?;
    let content: Content = known.at(&app, at.version).await?;
    let made = Made::find(&app, &known, at.version).await?;
    let mut shown = json!(made);
    shown["name"] = content.name().into();
    shown["current"] = known.version.into();
    shown["document"] = json!(content.document(&known.catalog));
    Ok(Json(shown))
}

/// A difference as templates show it: values as texts.
pub(super) fn shown(diff: &Diff) -> minijinja::Value {
    let fields = |fields: &[super::diff::Field]| -> Vec<Value> {
        let text = |value: &Option<serde_yaml_ng::Value>| value.as_ref().map(super::diff::text);
        fields
            .iter()
            .map(|it| {
                let (old, new) = (text(&it.old), text(&it.new));
                json!({ "path": it.path, "old": old, "new": new, "lines": it.lines })
            })
            .collect()
    };
    let jobs: Vec<Value> = diff
        .jobs
        .iter()
        .map(|job| {
            json!({ "change": job.change, "id": job.id, "name": job.name,
                "fields": fields(&job.fields) })
        })
        .collect();
    minijinja::Value::from(Serde(json!({
        "empty": diff.is_empty(), "fields": fields(&diff.fields), "jobs": jobs,
        "edges": diff.edges, "more": diff.more,
    })))
}
