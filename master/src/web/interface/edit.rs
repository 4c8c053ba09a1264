//! The form of an interface.

use super::super::auth::Right;
use super::super::error::{Error, Result};
use super::super::form::*;
use super::super::save::{self, Draft, Refused, Saver};
use super::super::uses::{self, Beside, Review, Stale};
use super::super::{Page, choices, history};
use super::word;
use crate::engine::catalog::Catalog;
use crate::store;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use shared::ids::*;
use shared::spec::*;
use std::collections::BTreeMap;

/// A spec as it is typed.
fn write(name: &str, spec: &InterfaceSpec, version: Option<i64>) -> Form {
    let mut form = Form::default();
    form.set("name", name);
    form.set("version", version.map(|version| version.to_string()).unwrap_or_default());
    form.set("description", &spec.description);
    form.set("catalog", &spec.catalog);
    form.set("owner", &spec.owner);
    form.set("granularity", word(&spec.granularity));
    form.set("zone", &spec.zone);
    if let Some(calendar) = spec.calendar {
        form.set("calendar", calendar);
    }
    for (index, parent) in spec.parents.iter().enumerate() {
        let [map, n] = write_period_map(parent.map);
        form.set_row("parents", index, &[("interface", parent.interface.to_string()), map, n]);
    }
    form.set("on_failure", word(&spec.on_failure));
    form.set("self_dependence", word(&spec.self_dependence));
    form.set("priority", spec.priority);
    if spec.frozen {
        form.set("frozen", "on");
    }
    form.set("wait_timeout_s", write_seconds(spec.wait_timeout_s));
    form.set("alarm_after_s", spec.alarm_after_s.map(write_seconds).unwrap_or_default());
    form.set("stop_after_s", spec.stop_after_s.map(write_seconds).unwrap_or_default());
    form.set("params", write_map(&spec.params));
    form
}

fn read(form: &mut Form) -> Draft<InterfaceSpec> {
    let mut parents = Vec::new();
    for (index, row) in form.rows("parents").iter().enumerate() {
        let id = row.get("interface").map_or("", String::as_str);
        match (id.parse(), read_period_map(row)) {
            (Ok(interface), Ok(map)) => parents.push(Parent { interface, map }),
            (Err(_), _) => form.wrong(format!("parents[{index}].interface"), "choose an interface"),
            (_, Err(why)) => form.wrong(format!("parents[{index}].map"), why),
        }
    }
    let spec = InterfaceSpec {
        description: form.text("description").to_owned(),
        catalog: form.text("catalog").to_owned(),
        owner: form.text("owner").to_owned(),
        granularity: form.word("granularity"),
        zone: form.text("zone").to_owned(),
        calendar: match form.text("calendar") {
            "" => None,
            _ => Some(form.parse("calendar", CalendarId(0), "one of the list")),
        },
        parents,
        on_failure: form.word("on_failure"),
        self_dependence: form.word("self_dependence"),
        priority: form.parse("priority", 0, "a whole number"),
        frozen: form.flag("frozen"),
        wait_timeout_s: form.seconds("wait_timeout_s", Some(86_400)).unwrap_or(86_400),
        alarm_after_s: form.seconds("alarm_after_s", None),
        stop_after_s: form.seconds("stop_after_s", None),
        params: form.map("params"),
    };
    Draft { name: form.text("name").to_owned(), spec, from: form.text("version").parse().ok() }
}

/// Catalogs and owners there are, for suggestions; interfaces to choose from.
fn choice_lists(
    page: &Page,
    catalog: &Catalog,
    form: &Form,
    own: Option<i64>,
) -> Result<minijinja::Value, Error> {
    let viewer = page.viewer()?;
    let seen = || catalog.interfaces.values().filter(|interface| viewer.sees(interface.project));
    let distinct = |text: fn(&InterfaceSpec) -> &str| {
        let texts = seen().map(|interface| text(&interface.spec)).filter(|text| !text.is_empty());
        texts.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let parents: Vec<String> =
        form.rows("parents").iter().filter_map(|row| row.get("interface").cloned()).collect();
    let mut interfaces =
        choices::interfaces(catalog, (viewer, Right::View), &parents, |interface| {
            let granularity = word(&interface.spec.granularity);
            format!("{} ({}, {})", interface.name, interface.id, page.t(&granularity))
        });
    let own = own.map(|id| id.to_string());
    interfaces.options.retain(|(id, _)| Some(id) != own.as_ref());
    let owner: fn(&InterfaceSpec) -> &str = |spec| &spec.owner;
    let catalogs: fn(&InterfaceSpec) -> &str = |spec| &spec.catalog;
    Ok(context! {
        interfaces => Serde(interfaces.options), search => interfaces.search,
        owners => Serde(distinct(owner)),
        catalogs => Serde(distinct(catalogs)),
        calendars => Serde(choices::calendars(catalog, viewer)),
    })
}

async fn render(page: &Page, id: Option<i64>, form: &Form, beside: Beside) -> Result {
    let status = uses::status(form, &beside.stale);
    let catalog = page.app.catalog().await?;
    let name = id.and_then(|id| catalog.interfaces.get(&InterfaceId(id))).map(|i| i.name.as_str());
    let copied = form.text("copy").parse().ok().map(InterfaceId);
    let copied = copied.and_then(|id| catalog.interfaces.get(&id));
    let copied = copied.filter(|it| page.viewer().is_ok_and(|viewer| viewer.sees(it.project)));
    let children = id.map(|id| uses::uses_of_interface(&catalog, InterfaceId(id)).len());
    let project = catalog.projects.get(&page.viewer()?.place(Right::Write));
    let html = page.render(
        "interface/form.html",
        context! {
            id, name, children, project => project.map(|project| project.name.as_str()),
            copied => copied.map(|it| context! { name => it.name.as_str(), jobs => it.jobs.len() }),
            form => form.value(&["parents"]),
            stale => Serde(beside.stale), review => Serde(beside.review),
            ..choice_lists(page, &catalog, form, id)?
        },
    )?;
    Ok((status, html).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct For {
    /// Another one: its spec is filled in, and its jobs come with it.
    copy: i64,
}

pub(super) async fn add(page: Page, Query(asked): Query<For>) -> Result {
    page.project(Right::Write)?;
    if asked.copy != 0 {
        let catalog = page.app.catalog().await?;
        let source = save::interface_of(&catalog, InterfaceId(asked.copy), page.viewer()?)?;
        let mut form = write(&format!("{} copy", source.name), &source.spec, None);
        form.set("copy", source.id);
        return render(&page, None, &form, Beside::default()).await;
    }
    let zone = page.app.config.web.zone.clone();
    let json = serde_json::json!({ "zone": zone });
    let spec: InterfaceSpec = serde_json::from_value(json).map_err(anyhow::Error::from)?;
    render(&page, None, &write("", &spec, None), Beside::default()).await
}

pub(super) async fn show(page: Page, Path(id): Path<i64>) -> Result {
    let catalog = page.app.catalog().await?;
    let interface = save::interface_of(&catalog, InterfaceId(id), page.viewer()?)?;
    page.viewer()?.must(Right::Write, interface.project)?;
    let form = write(&interface.name, &interface.spec, Some(interface.version));
    render(&page, Some(id), &form, Beside::default()).await
}

pub(super) async fn create(page: Page, form: Form) -> Result {
    put(page, None, form).await
}

pub(super) async fn save(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    put(page, Some(id), form).await
}

async fn put(page: Page, id: Option<i64>, mut form: Form) -> Result {
    let draft = read(&mut form);
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let mut review = None;
    if let Some(id) = id {
        let catalog = page.app.catalog().await?;
        let now = save::interface_of(&catalog, InterfaceId(id), page.viewer()?)?;
        let before = write(&now.name, &now.spec, Some(now.version));
        let mut after = write(&draft.name, &draft.spec, draft.from);
        after.set("confirmed", form.text("confirmed"));
        review = Review::of(&before, &after, uses::uses_of_interface(&catalog, now.id));
    }
    if !form.errors.is_empty() {
        return render(&page, id, &form, Beside::default()).await;
    }
    let project = page.viewer()?.place(Right::Write);
    if review.is_some() && saver.judge_interface(id.map(InterfaceId), project, &draft).await.is_ok()
    {
        return render(&page, id, &form, Beside { review, stale: None }).await;
    }
    let saved = match (id, form.text("copy").parse().map(InterfaceId)) {
        (None, Ok(source)) => saver.copy_interface(source, &draft).await,
        _ => saver.interface(id.map(InterfaceId), project, &draft).await,
    };
    match saved {
        Ok(id) => Ok(Redirect::to(&format!("/interface/{id}/")).into_response()),
        Err(Refused::Invalid(errors)) => {
            form.errors = errors;
            render(&page, id, &form, Beside::default()).await
        }
        Err(Refused::Stale) => {
            let catalog = page.app.catalog().await?;
            let id = id.ok_or_else(|| Error::conflict("try again"))?;
            let newest = save::interface_of(&catalog, InterfaceId(id), page.viewer()?)?;
            let theirs = write(&newest.name, &newest.spec, Some(newest.version));
            let metas = store::interface::metas_of(&page.app.db, &[id]).await?;
            let stale = Stale::of(&page, metas.get(&id).cloned(), (&theirs, &form)).await?;
            form.set("version", newest.version);
            let beside = Beside { stale: Some(stale), review: None };
            render(&page, Some(id), &form, beside).await
        }
        Err(Refused::Error(error)) => Err(error),
    }
}

/// What a stale form and the newest version differ in.
pub(in super::super) fn differences(theirs: &Form, yours: &Form) -> Vec<[String; 3]> {
    let flat = |form: &Form| -> BTreeMap<String, String> {
        let pairs = form.names().map(|name| (name.to_owned(), form.all(name).join("\n")));
        let own = ["id", "version", "reason", "confirmed", "copy"];
        pairs
            .filter(|(name, value)| !own.contains(&name.as_str()) && !value.trim().is_empty())
            .map(|(name, value)| (name, value.trim().to_owned()))
            .collect()
    };
    history::changes(&flat(theirs), &flat(yours))
}

pub(super) async fn delete(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let from = form.text("version").parse().unwrap_or_default();
    saver.delete_interface(InterfaceId(id), from).await?;
    Ok(Redirect::to("/interface/").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_comes_back_from_its_form() {
        let json = serde_json::json!({
            "description": "d", "catalog": "c", "owner": "o", "granularity": "hour", "zone": "UTC", "calendar": 3,
            "parents": [{"interface": 3, "map": {"previous": 2}}, {"interface": 4}],
            "on_failure": "stop", "self_dependence": "idle", "priority": -5, "frozen": true,
            "wait_timeout_s": 5400, "alarm_after_s": 90, "stop_after_s": 120, "params": {"a": "1=2", "b": ""},
        });
        let spec: InterfaceSpec = serde_json::from_value(json).unwrap();
        let mut form = write("name", &spec, Some(7));
        let draft = read(&mut form);
        assert_eq!(form.errors, []);
        assert_eq!((draft.name.as_str(), draft.from, draft.spec), ("name", Some(7), spec));
    }
}
