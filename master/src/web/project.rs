//! Projects: whom things belong to, and as which user of the hosts their jobs run.

use super::auth::Right;
use super::error::{Error, Result};
use super::form::Form;
use super::save::{Refused, Saver};
use super::uses::{self, Stale};
use super::version::history::Turned;
use super::{Page, Routes, version};
use crate::store;
use crate::store::interface::Meta;
use crate::store::project::Project;
use crate::store::version::Of;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use shared::ids::ProjectId;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/base/project/", Right::View, list)
        .get("/base/project/{id}/", Right::View, detail)
        .get("/base/project/{id}/edit/", Right::Admin, show)
        .post("/base/project/{id}/edit/", Right::Admin, save)
}

async fn list(page: Page) -> Result {
    let viewer = page.viewer()?;
    let all = store::project::list(&page.app.db).await?;
    let seen: Vec<Project> = all.into_iter().filter(|one| viewer.sees(one.id)).collect();
    page.render("project/list.html", context! { listed => Serde(seen) })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tab {
    tab: String,
}

async fn detail(
    page: Page,
    Path(id): Path<i64>,
    Query(tab): Query<Tab>,
    Query(turned): Query<Turned>,
) -> Result {
    let viewer = page.viewer()?;
    let all = store::project::list(&page.app.db).await?;
    let found = all.into_iter().find(|one| one.id.0 == id && viewer.sees(one.id));
    let project = found.ok_or_else(|| Error::not_found(format!("project {id}")))?;
    let tab = if tab.tab == "versions" { "versions" } else { "facts" };
    let versions = match tab {
        "versions" => Some(version::tab(&page, Of::Project(project.id), &turned).await?),
        _ => None,
    };
    let may_edit = viewer.may(Right::Admin, ProjectId(0));
    page.render(
        "project/detail.html",
        context! { project => Serde(project), tab, versions => versions, may_edit },
    )
}

/// One that is there, if the viewer may decide about it.
async fn one(page: &Page, id: i64) -> Result<Project, Error> {
    page.viewer()?.must(Right::Admin, ProjectId(0))?;
    let all = store::project::list(&page.app.db).await?;
    let found = all.into_iter().find(|project| project.id.0 == id);
    found.ok_or_else(|| Error::not_found(format!("project {id}")))
}

fn write(project: &Project) -> Form {
    let mut form = Form::default();
    form.set("version", project.version);
    form.set("run_as", &project.run_as);
    form
}

fn render(page: &Page, project: &Project, form: &Form, stale: Option<Stale>) -> Result {
    let status = uses::status(form, &stale);
    let context = context! { id => project.id.0, name => project.name.as_str(), form => form.value(&[]), stale => Serde(stale) };
    let html = page.render("project/form.html", context)?;
    Ok((status, html).into_response())
}

async fn show(page: Page, Path(id): Path<i64>) -> Result {
    let project = one(&page, id).await?;
    render(&page, &project, &write(&project), None)
}

async fn save(page: Page, Path(id): Path<i64>, mut form: Form) -> Result {
    let project = one(&page, id).await?;
    let from = form.text("version").parse().unwrap_or_default();
    let run_as = form.text("run_as").to_owned();
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    match saver.run_as(project.id, from, &run_as).await {
        Ok(()) => Ok(Redirect::to(&format!("/base/project/{id}/")).into_response()),
        Err(Refused::Invalid(errors)) => {
            form.errors = errors;
            render(&page, &project, &form, None)
        }
        Err(Refused::Stale) => {
            let last = store::audit::of_object(&page.app.db, "project", project.id.0, 1).await?;
            let meta = last.first().map(|last| Meta {
                version: project.version,
                updated_ms: last.at_ms,
                updated_by: last.by,
            });
            let stale = Stale::of(&page, meta, (&write(&project), &form)).await?;
            form.set("version", project.version);
            render(&page, &project, &form, Some(stale))
        }
        Err(Refused::Error(error)) => Err(error),
    }
}
