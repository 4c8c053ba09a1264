//! The form of a calendar. Days are lines: `2026-10-01/2026-10-07 off 国庆节`, `2026-10-10 work 调休`.

use super::super::Page;
use super::super::auth::Right;
use super::super::error::{Error, Result};
use super::super::form::Form;
use super::super::save::{self, Draft, Refused, Saver};
use super::super::uses::{self, Stale};
use crate::store;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use chrono::NaiveDate;
use minijinja::context;
use minijinja::value::Serde;
use shared::calendar::{CalendarSpec, DAYS_MAX, DayOfWeek};
use shared::ids::*;
use shared::kind::FieldError;
use std::collections::BTreeMap;

/// Problems with days that are told at once.
const WRONG_MAX: usize = 10;

/// Days that follow each other and are called the same are one line.
pub(super) fn write_days(spec: &CalendarSpec) -> String {
    let off = spec.holidays.iter().map(|(date, label)| (*date, ("off", label.as_str())));
    let work = spec.workdays.iter().map(|(date, label)| (*date, ("work", label.as_str())));
    let all: BTreeMap<NaiveDate, (&str, &str)> = off.chain(work).collect();
    let mut spans: Vec<(NaiveDate, NaiveDate, (&str, &str))> = Vec::new();
    for (date, what) in all {
        match spans.last_mut() {
            Some((_, last, same)) if *same == what && last.succ_opt() == Some(date) => *last = date,
            _ => spans.push((date, date, what)),
        }
    }
    let line = |(first, last, (word, label)): &(NaiveDate, NaiveDate, (&str, &str))| {
        let days = if first == last { first.to_string() } else { format!("{first}/{last}") };
        format!("{days} {word} {label}").trim_end().to_owned()
    };
    spans.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// # Errors
/// What is wrong, with its line.
pub(super) fn read_days(text: &str, spec: &mut CalendarSpec) -> Result<(), Vec<FieldError>> {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || wrong.len() >= WRONG_MAX {
            continue;
        }
        let mut say =
            |why: String| wrong.push(FieldError::new("days", format!("line {}: {why}", at + 1)));
        let Some((first, last, word, label)) = read_line(line) else {
            let shown: String = line.chars().take(40).collect();
            say(format!(
                "{shown:?} is not understood: 2026-10-01 off Name, 2026-10-01/2026-10-07 off Name or \
                 2026-10-10 work Name is expected"
            ));
            continue;
        };
        let into = if word == "off" { &mut spec.holidays } else { &mut spec.workdays };
        for date in first.iter_days().take_while(|date| *date <= last) {
            count += 1;
            if count > DAYS_MAX {
                say(format!("these are more than {DAYS_MAX} days"));
                return Err(wrong);
            }
            into.insert(date, label.to_owned());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn read_line(line: &str) -> Option<(NaiveDate, NaiveDate, &str, &str)> {
    let (days, rest) = line.split_once(char::is_whitespace)?;
    let (word, label) = match rest.trim().split_once(char::is_whitespace) {
        Some((word, label)) => (word, label.trim()),
        None => (rest.trim(), ""),
    };
    let (first, last) = days.split_once('/').unwrap_or((days, days));
    let date = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let (first, last) = (date(first)?, date(last)?);
    (first <= last && (word == "off" || word == "work")).then_some((first, last, word, label))
}

fn word(day: DayOfWeek) -> String {
    format!("{day:?}").to_uppercase()
}

fn write(name: &str, spec: &CalendarSpec, version: Option<i64>) -> Form {
    let mut form = Form::default();
    form.set("name", name);
    form.set("version", version.map(|version| version.to_string()).unwrap_or_default());
    form.set("description", &spec.description);
    form.set_all("rest", spec.rest.iter().map(|day| word(*day)));
    form.set("days", write_days(spec));
    form
}

fn read(form: &mut Form) -> Draft<CalendarSpec> {
    let rest = DayOfWeek::ALL.into_iter().filter(|day| form.all("rest").contains(&word(*day)));
    let mut spec = CalendarSpec {
        description: form.text("description").to_owned(),
        rest: rest.collect(),
        ..CalendarSpec::default()
    };
    if let Err(wrong) = read_days(form.raw("days"), &mut spec) {
        form.errors.extend(wrong);
    }
    Draft { name: form.text("name").to_owned(), spec, from: form.text("version").parse().ok() }
}

async fn render(page: &Page, id: Option<i64>, form: &Form, stale: Option<Stale>) -> Result {
    let status = uses::status(form, &stale);
    let catalog = page.app.catalog().await?;
    let found = id.and_then(|id| catalog.calendars.get(&CalendarId(id)));
    let users = id.map(|id| uses::uses_of_calendar(&catalog, CalendarId(id))).unwrap_or_default();
    let html = page.render(
        "calendar/form.html",
        context! {
            id, name => found.map(|found| found.name.as_str()), users => Serde(users),
            form => form.value(&[]), stale => Serde(stale), rest => Serde(form.all("rest")),
        },
    )?;
    Ok((status, html).into_response())
}

pub(super) async fn add(page: Page) -> Result {
    page.project(Right::Write)?;
    render(&page, None, &write("", &CalendarSpec::default(), None), None).await
}

pub(super) async fn show(page: Page, Path(id): Path<i64>) -> Result {
    let catalog = page.app.catalog().await?;
    let calendar = save::calendar_of(&catalog, CalendarId(id), page.viewer()?)?;
    page.viewer()?.must(Right::Write, calendar.project)?;
    let form = write(&calendar.name, &calendar.spec, Some(calendar.version));
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
    if let Some(id) = id {
        let catalog = page.app.catalog().await?;
        save::calendar_of(&catalog, CalendarId(id), page.viewer()?)?;
    }
    if !form.errors.is_empty() {
        return render(&page, id, &form, None).await;
    }
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    match saver.calendar(id.map(CalendarId), page.viewer()?.place(Right::Write), &draft).await {
        Ok(id) => Ok(Redirect::to(&format!("/calendar/{id}/")).into_response()),
        Err(Refused::Invalid(errors)) => {
            form.errors = errors;
            // There is one field for all of them.
            for error in &mut form.errors {
                if let Some((part, day)) = error.path.split_once('.')
                    && (part == "holidays" || part == "workdays")
                {
                    *error = FieldError::new(format!("days.{day}"), error.message.as_str());
                }
            }
            render(&page, id, &form, None).await
        }
        Err(Refused::Stale) => {
            let catalog = page.app.catalog().await?;
            let id = id.ok_or_else(|| Error::conflict("try again"))?;
            let newest = save::calendar_of(&catalog, CalendarId(id), page.viewer()?)?;
            let theirs = write(&newest.name, &newest.spec, Some(newest.version));
            let meta = store::calendar::metas(&page.app.db).await?.remove(&id);
            let stale = Stale::of(&page, meta, (&theirs, &form)).await?;
            form.set("version", newest.version);
            render(&page, Some(id), &form, Some(stale)).await
        }
        Err(Refused::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_comes_back_from_its_form() {
        let json = r#"{"description": "d", "rest": ["SUN"],
            "holidays": {"2026-10-01": "国庆节", "2026-10-02": "国庆节", "2026-10-03": "", "2027-01-01": "a b"},
            "workdays": {"2026-10-10": "调休", "2026-10-04": ""}}"#;
        let spec: CalendarSpec = serde_json::from_str(json).unwrap();
        let mut form = write("name", &spec, Some(2));
        assert_eq!(
            form.text("days"),
            "2026-10-01/2026-10-02 off 国庆节\n2026-10-03 off\n2026-10-04 work\n2026-10-10 work 调休\n2027-01-01 off a b"
        );
        let draft = read(&mut form);
        assert_eq!(form.errors, []);
        assert_eq!((draft.from, draft.spec), (Some(2), spec));
    }

    #[test]
    fn what_is_no_day_is_told_with_its_line() {
        for (text, why) in [
            ("2026-10-01 off x\n\nx", "line 3: \"x\" is not understood"),
            ("2026-02-30 off", "line 1"),
            ("2026-10-01", "line 1"),
            ("2026-10-01 maybe x", "line 1"),
            ("2026-10-02/2026-10-01 off", "line 1"),
            ("2026-10-01 work\n1990-01-01/2026-10-01 off", "line 2: these are more than 5000 days"),
        ] {
            let wrong = read_days(text, &mut CalendarSpec::default()).unwrap_err();
            assert!(wrong[0].message.contains(why), "{text}: {wrong:?}");
        }
        let many = "x\n".repeat(100);
        assert_eq!(read_days(&many, &mut CalendarSpec::default()).unwrap_err().len(), WRONG_MAX);
    }
}
