//! The form of a dispatch.

use super::super::auth::Right;
use super::super::error::{Error, Result};
use super::super::form::*;
use super::super::save::{Draft, Refused, Saver};
use super::super::uses::{self, Stale};
use super::super::{Page, choices};
use super::dispatch_of;
use crate::engine::blackout::WINDOWS_MAX;
use crate::engine::calendar;
use crate::store;
use crate::store::version::How;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use chrono::{DateTime, NaiveDateTime, TimeZone};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use shared::calendar::{DaysSpec, On};
use shared::ids::*;
use shared::spec::*;

/// As it is typed, in the dispatch's zone: the browser's own field would follow its language.
const LOCAL: &str = "%Y-%m-%d %H:%M";

fn write_instant(at: Option<Millis>, zone: &str) -> String {
    let utc = at.and_then(DateTime::from_timestamp_millis);
    match (utc, calendar::zone(zone)) {
        (Some(utc), Ok(zone)) => utc.with_timezone(&zone).format(LOCAL).to_string(),
        _ => String::new(),
    }
}

fn read_instant(form: &mut Form, name: &str) -> Option<Millis> {
    let text = form.text(name);
    if text.is_empty() {
        return None;
    }
    let zone = calendar::zone(form.text("zone")).ok()?;
    let Ok(local) = NaiveDateTime::parse_from_str(&text.replace('T', " "), LOCAL) else {
        form.wrong(name, "a date and time such as 2026-11-20 02:30 is expected here");
        return None;
    };
    let at = zone.from_local_datetime(&local).earliest();
    if at.is_none() {
        form.wrong(name, "a date and time that exists in this zone is expected here");
    }
    at.map(|at| at.timestamp_millis())
}

pub(super) fn misfire_words(misfire: Misfire) -> (&'static str, String) {
    match misfire {
        Misfire::All => ("all", String::new()),
        Misfire::Last => ("last", String::new()),
        Misfire::None => ("none", String::new()),
        Misfire::Within(seconds) => ("within", write_seconds(seconds)),
    }
}

pub(super) fn overlap_words(overlap: Overlap) -> (&'static str, String) {
    match overlap {
        Overlap::Allow => ("allow", String::new()),
        Overlap::Skip => ("skip", String::new()),
        Overlap::Parallel(most) => ("parallel", most.to_string()),
        Overlap::Queue => ("queue", String::new()),
        Overlap::Cancel => ("cancel", String::new()),
    }
}

/// With how many working days.
pub(super) fn on_words(on: On) -> (&'static str, String) {
    match on {
        On::Working => ("working", String::new()),
        On::Resting => ("resting", String::new()),
        On::Holidays => ("holidays", String::new()),
        On::NotHolidays => ("not_holidays", String::new()),
        On::NthWorking(n) => ("nth_working", n.to_string()),
    }
}

fn read_days(form: &mut Form) -> Option<DaysSpec> {
    let on = match form.text("days.on") {
        "" | "working" => On::Working,
        "resting" => On::Resting,
        "holidays" => On::Holidays,
        "not_holidays" => On::NotHolidays,
        "nth_working" => On::NthWorking(form.parse("days.on.nth_working", 0, "a whole number")),
        _ => {
            form.wrong("days.on", "choose one of the list");
            On::Working
        }
    };
    if form.text("days.calendar").is_empty() {
        return None;
    }
    let calendar = form.parse("days.calendar", CalendarId(0), "one of the list");
    Some(DaysSpec { calendar, on })
}

fn read_overlap(form: &mut Form) -> Overlap {
    match form.text("overlap") {
        "" | "allow" => Overlap::Allow,
        "skip" => Overlap::Skip,
        "parallel" => Overlap::Parallel(form.parse("overlap.parallel", 1, "a whole number")),
        "queue" => Overlap::Queue,
        "cancel" => Overlap::Cancel,
        _ => {
            form.wrong("overlap", "choose one of the list");
            Overlap::Allow
        }
    }
}

fn read_misfire(form: &mut Form) -> Misfire {
    match form.text("misfire") {
        "" | "all" => Misfire::All,
        "last" => Misfire::Last,
        "none" => Misfire::None,
        "within" => {
            let seconds = form.seconds("within", None);
            if seconds.is_none() && form.text("within").is_empty() {
                form.wrong("within", "how late may it be? for example 2h");
            }
            Misfire::Within(seconds.unwrap_or_default())
        }
        _ => {
            form.wrong("misfire", "choose one of the list");
            Misfire::All
        }
    }
}

fn write(name: &str, spec: &DispatchSpec, version: Option<i64>) -> Form {
    let mut form = Form::default();
    form.set("name", name);
    form.set("version", version.map(|version| version.to_string()).unwrap_or_default());
    form.set("description", &spec.description);
    if spec.interface.0 != 0 {
        form.set("interface", spec.interface);
    }
    form.set("cron", &spec.cron);
    form.set("zone", &spec.zone);
    form.set("period_offset", spec.period_offset);
    if spec.cascade {
        form.set("cascade", "on");
    }
    let (misfire, within) = misfire_words(spec.misfire);
    form.set("misfire", misfire);
    form.set("within", within);
    form.set("late_s", write_seconds(spec.late_s));
    let (overlap, parallel) = overlap_words(spec.overlap);
    form.set("overlap", overlap);
    form.set("overlap.parallel", parallel);
    if let Some(days) = spec.days {
        let (on, n) = on_words(days.on);
        form.set("days.calendar", days.calendar);
        form.set("days.on", on);
        form.set("days.on.nth_working", n);
    }
    form.set("blackouts", spec.blackouts.join("\n"));
    form.set("from_ms", write_instant(spec.from_ms, &spec.zone));
    form.set("until_ms", write_instant(spec.until_ms, &spec.zone));
    form.set("params", write_map(&spec.params));
    form
}

pub(super) fn read(form: &mut Form) -> Draft<DispatchSpec> {
    let lines = form.text("blackouts").lines().map(str::trim).filter(|line| !line.is_empty());
    let mut blackouts: Vec<String> = lines.map(str::to_owned).collect();
    if blackouts.len() > WINDOWS_MAX {
        // What is shown beside the form is reckoned with no more either.
        blackouts.truncate(WINDOWS_MAX);
        form.wrong("blackouts", format!("at most {WINDOWS_MAX} windows are allowed"));
    }
    let spec = DispatchSpec {
        description: form.text("description").to_owned(),
        interface: form.parse("interface", InterfaceId(0), "one of the list"),
        cron: form.text("cron").to_owned(),
        zone: form.text("zone").to_owned(),
        period_offset: form.parse("period_offset", 1, "a whole number"),
        cascade: form.flag("cascade"),
        misfire: read_misfire(form),
        overlap: read_overlap(form),
        blackouts,
        days: read_days(form),
        late_s: form.seconds("late_s", Some(300)).unwrap_or(300),
        from_ms: read_instant(form, "from_ms"),
        until_ms: read_instant(form, "until_ms"),
        params: form.map("params"),
    };
    Draft { name: form.text("name").to_owned(), spec, from: form.text("version").parse().ok() }
}

async fn render(page: &Page, id: Option<i64>, form: &Form, stale: Option<Stale>) -> Result {
    let status = uses::status(form, &stale);
    let catalog = page.app.catalog().await?;
    let viewer = page.viewer()?;
    let name = id.and_then(|id| catalog.dispatches.get(&DispatchId(id))).map(|d| d.name.as_str());
    let chosen = [form.text("interface").to_owned()];
    let interfaces =
        choices::interfaces(&catalog, (viewer, Right::Schedule), &chosen, |interface| {
            format!("{} ({})", interface.name, interface.id)
        });
    let html = page.render(
        "dispatch/form.html",
        context! {
            id, name,
            form => form.value(&[]), stale => Serde(stale),
            interfaces => Serde(interfaces.options), search => interfaces.search,
            calendars => Serde(choices::calendars(&catalog, viewer)),
        },
    )?;
    Ok((status, html).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct For {
    interface: i64,
    /// Another one: filled in as it is.
    copy: i64,
}

pub(super) async fn add(page: Page, Query(asked): Query<For>) -> Result {
    if asked.copy != 0 {
        let catalog = page.app.catalog().await?;
        let source = dispatch_of(&page, &catalog, asked.copy)?;
        let mut form = write(&format!("{} copy", source.name), &source.spec, None);
        form.set("copy", source.id);
        return render(&page, None, &form, None).await;
    }
    let zone = page.app.config.web.zone.clone();
    let json =
        serde_json::json!({ "interface": asked.interface, "cron": "0 2 * * *", "zone": zone });
    let spec: DispatchSpec = serde_json::from_value(json).map_err(anyhow::Error::from)?;
    render(&page, None, &write("", &spec, None), None).await
}

pub(super) async fn show(page: Page, Path(id): Path<i64>) -> Result {
    let catalog = page.app.catalog().await?;
    let dispatch = dispatch_of(&page, &catalog, id)?;
    page.viewer()?.must(Right::Schedule, dispatch.project)?;
    let form = write(&dispatch.name, &dispatch.spec, Some(dispatch.version));
    render(&page, Some(id), &form, None).await
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
    let saver = match (id, form.text("copy").parse()) {
        (None, Ok(source)) => saver.by(How::Copied(source)),
        _ => saver,
    };
    let catalog = page.app.catalog().await?;
    if let Some(id) = id {
        dispatch_of(&page, &catalog, id)?;
    }
    let target = catalog.interfaces.get(&draft.spec.interface);
    // What was typed is not to be lost for that.
    if target.is_some_and(|it| page.viewer().is_ok_and(|one| !one.may(Right::Schedule, it.project)))
    {
        form.wrong("interface", "you may schedule nothing in its project: choose another one");
    }
    if !form.errors.is_empty() {
        return render(&page, id, &form, None).await;
    }
    match saver.dispatch(id.map(DispatchId), &draft).await {
        Ok(id) => Ok(Redirect::to(&format!("/dispatch/{id}/")).into_response()),
        Err(Refused::Invalid(errors)) => {
            form.errors = errors;
            render(&page, id, &form, None).await
        }
        Err(Refused::Stale) => {
            let catalog = page.app.catalog().await?;
            let id = id.ok_or_else(|| Error::conflict("try again"))?;
            let newest = dispatch_of(&page, &catalog, id)?;
            let theirs = write(&newest.name, &newest.spec, Some(newest.version));
            let meta = store::dispatch::metas(&page.app.db).await?.remove(&id);
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
    saver.delete_dispatch(DispatchId(id), from).await?;
    Ok(Redirect::to("/dispatch/").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_comes_back_from_its_form() {
        let json = serde_json::json!({
            "description": "d", "interface": 3, "cron": "30 2 * * MON-FRI", "zone": "Asia/Shanghai",
            "period_offset": 2, "cascade": false, "misfire": {"within": 7200}, "late_s": 90,
            "days": {"calendar": 2, "on": {"nth_working": -1}}, "overlap": {"parallel": 3}, "blackouts": ["22:00-02:00", "08:00-09:00 FRI"],
            "from_ms": 1_795_230_000_000_i64, "until_ms": 1_795_316_400_000_i64, "params": {"a": "b"},
        });
        let spec: DispatchSpec = serde_json::from_value(json).unwrap();
        let mut form = write("name", &spec, Some(2));
        let draft = read(&mut form);
        assert_eq!(form.errors, []);
        assert_eq!((draft.from, draft.spec), (Some(2), spec));
    }
}
