//! The form of an exec host.

use super::super::Page;
use super::super::auth::Right;
use super::super::error::{Error, Result};
use super::super::form::Form;
use super::super::save::{Draft, Refused, Saver};
use super::super::uses::{self, Stale};
use super::host_of;
use crate::store;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use shared::ids::*;
use shared::spec::HostSpec;

fn write(name: &str, spec: &HostSpec, version: Option<i64>) -> Form {
    let mut form = Form::default();
    form.set("name", name);
    form.set("version", version.map(|version| version.to_string()).unwrap_or_default());
    form.set("description", &spec.description);
    form.set("address", &spec.address);
    form.set("slots", spec.slots);
    form.set("weight", spec.weight);
    form.set("labels", spec.labels.join("\n"));
    if spec.draining {
        form.set("draining", "on");
    }
    form
}

fn read(form: &mut Form) -> Draft<HostSpec> {
    let spec = HostSpec {
        description: form.text("description").to_owned(),
        address: form.text("address").to_owned(),
        slots: form.parse("slots", 8, "a whole number"),
        weight: form.parse("weight", 1, "a whole number"),
        labels: form.lines("labels"),
        draining: form.flag("draining"),
    };
    Draft { name: form.text("name").to_owned(), spec, from: form.text("version").parse().ok() }
}

async fn render(page: &Page, id: Option<i64>, form: &Form, stale: Option<Stale>) -> Result {
    let status = uses::status(form, &stale);
    let catalog = page.app.catalog().await?;
    let name = id.and_then(|id| catalog.hosts.get(&HostId(id))).map(|host| host.name.as_str());
    let context = context! { id, name, form => form.value(&[]), stale => Serde(stale) };
    let html = page.render("host/form.html", context)?;
    Ok((status, html).into_response())
}

pub(super) async fn add(page: Page) -> Result {
    page.viewer()?.must(Right::Write, place(&page)?)?;
    let spec: HostSpec = serde_json::from_value(serde_json::json!({ "address": "" }))
        .map_err(anyhow::Error::from)?;
    render(&page, None, &write("", &spec, None), None).await
}

/// Who may write everywhere makes hosts that all projects share.
fn place(page: &Page) -> Result<ProjectId, Error> {
    let viewer = page.viewer()?;
    let everywhere = viewer.may(Right::Write, ProjectId(0));
    Ok(if everywhere { ProjectId(0) } else { viewer.place(Right::Write) })
}

pub(super) async fn show(page: Page, Path(id): Path<i64>) -> Result {
    let catalog = page.app.catalog().await?;
    let host = host_of(&page, &catalog, id)?;
    page.viewer()?.must(Right::Write, host.project)?;
    render(&page, Some(id), &write(&host.name, &host.spec, Some(host.version)), None).await
}

pub(super) async fn create(page: Page, form: Form) -> Result {
    put(page, None, form).await
}

pub(super) async fn save(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    put(page, Some(id), form).await
}

async fn put(page: Page, id: Option<i64>, mut form: Form) -> Result {
    let draft = read(&mut form);
    if let Some(id) = id {
        let catalog = page.app.catalog().await?;
        host_of(&page, &catalog, id)?;
    }
    if !form.errors.is_empty() {
        return render(&page, id, &form, None).await;
    }
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    match saver.host(id.map(HostId), place(&page)?, &draft).await {
        Ok(id) => Ok(Redirect::to(&format!("/base/exec/host/{id}/")).into_response()),
        Err(Refused::Invalid(errors)) => {
            form.errors = errors;
            render(&page, id, &form, None).await
        }
        Err(Refused::Stale) => {
            let catalog = page.app.catalog().await?;
            let id = id.ok_or_else(|| Error::conflict("try again"))?;
            let newest = host_of(&page, &catalog, id)?;
            let theirs = write(&newest.name, &newest.spec, Some(newest.version));
            let meta = store::host::metas(&page.app.db).await?.remove(&id);
            let stale = Stale::of(&page, meta, (&theirs, &form)).await?;
            form.set("version", newest.version);
            render(&page, Some(id), &form, Some(stale)).await
        }
        Err(Refused::Error(error)) => Err(error),
    }
}

pub(super) async fn delete(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let from = form.text("version").parse().unwrap_or_default();
    saver.delete_host(HostId(id), from).await?;
    Ok(Redirect::to("/base/exec/host/").into_response())
}
