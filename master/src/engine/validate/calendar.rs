//! What is wrong with a calendar, and with naming one.

use super::super::catalog::Catalog;
use super::{DESCRIPTION_CHARS_MAX, Errors, taken};
use chrono::{Datelike, NaiveDate};
use shared::calendar::*;
use shared::ids::*;
use shared::kind::FieldError;
use shared::period::Granularity;
use shared::spec::{DispatchSpec, InterfaceSpec};

const YEARS: std::ops::RangeInclusive<i32> = 1970..=2199;
/// Working days of one month.
const NTH_MAX: i32 = 31;

#[derive(Clone, Copy, Debug)]
pub struct CalendarDraft<'a> {
    pub id: Option<CalendarId>,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a CalendarSpec,
}

pub fn check_calendar(catalog: &Catalog, draft: &CalendarDraft) -> Vec<FieldError> {
    let twin = catalog.calendars.values().find(|other| {
        Some(other.id) != draft.id && other.project == draft.project && other.name == draft.name
    });
    let mut errors = taken(twin.map(|twin| format!("calendar {} has this name already", twin.id)));
    errors.extend(calendar_fields(draft));
    errors
}

/// As [`super::interface_fields`].
pub fn calendar_fields(draft: &CalendarDraft) -> Vec<FieldError> {
    let (mut errors, spec) = (Errors::default(), draft.spec);
    errors.name(draft.name);
    errors.chars("description", &spec.description, DESCRIPTION_CHARS_MAX);
    if spec.rest.len() == DayOfWeek::ALL.len() {
        errors.add("rest", "one day of the week at least must work");
    }
    let count = spec.holidays.len() + spec.workdays.len();
    errors.count("days", count, DAYS_MAX);
    let both = spec.holidays.keys().find(|date| spec.workdays.contains_key(date));
    if let Some(date) = both {
        let message = format!("{date} is named both as a holiday and as a day that is worked");
        errors.add("days", message);
    }
    for (path, days) in [("holidays", &spec.holidays), ("workdays", &spec.workdays)] {
        // The first one: thousands may be wrong in the same way.
        let wrong = days.iter().find_map(|(date, label)| day_problem(*date, label));
        errors.0.extend(wrong.map(|(date, why)| FieldError::new(format!("{path}.{date}"), why)));
    }
    errors.0
}

fn day_problem(date: NaiveDate, label: &str) -> Option<(NaiveDate, String)> {
    let chars = label.chars().count();
    if !YEARS.contains(&date.year()) {
        let (from, until) = (YEARS.start(), YEARS.end());
        return Some((date, format!("its year is not from {from} to {until}")));
    }
    if chars > LABEL_CHARS_MAX {
        return Some((date, format!("{chars} characters; at most {LABEL_CHARS_MAX} are allowed")));
    }
    let odd = label.contains(char::is_control) || label.trim() != label;
    odd.then(|| (date, "its name has line ends in it, or spaces around it".to_owned()))
}

fn is_in(catalog: &Catalog, project: ProjectId, id: CalendarId) -> bool {
    catalog.calendars.get(&id).is_some_and(|calendar| calendar.project == project)
}

pub(super) fn check_days(
    errors: &mut Errors,
    catalog: &Catalog,
    (project, spec): (ProjectId, &DispatchSpec),
) {
    let Some(days) = spec.days else { return };
    if !is_in(catalog, project, days.calendar) {
        let message = format!("there is no calendar {} in this project", days.calendar);
        errors.add("days.calendar", message);
    }
    if let On::NthWorking(n) = days.on
        && !(1..=NTH_MAX).contains(&n.saturating_abs())
    {
        let message =
            format!("{n} is not from 1 to {NTH_MAX}, or from -1 (the last) to -{NTH_MAX}");
        errors.add("days.on.nth_working", message);
    }
}

pub(super) fn check_periods(
    errors: &mut Errors,
    catalog: &Catalog,
    (project, spec): (ProjectId, &InterfaceSpec),
) {
    let Some(id) = spec.calendar else { return };
    if !is_in(catalog, project, id) {
        errors.add("calendar", format!("there is no calendar {id} in this project"));
    }
    if spec.granularity != Granularity::Day {
        errors.add(
            "calendar",
            "only daily periods can be those of a calendar: weeks, months, hours and minutes are \
             natural ones",
        );
    }
}
