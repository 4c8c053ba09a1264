//! The picture of one year: twelve months, each day with what it is.

use chrono::{Datelike, NaiveDate};
use serde::Serialize;
use shared::calendar::{CalendarSpec, Day};

pub(super) const YEARS: std::ops::RangeInclusive<i32> = 1970..=2199;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Year {
    months: Vec<Month>,
    working: usize,
    resting: usize,
    holidays: usize,
    made_up: usize,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Month {
    month: u32,
    working: usize,
    /// From Monday; none outside of the month.
    weeks: Vec<[Option<Cell>; 7]>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Cell {
    date: String,
    day: u32,
    kind: &'static str,
    label: String,
    today: bool,
}

/// `working`, `rest`, `holiday` or `made_up`, and what it is called.
pub(super) fn kind(day: Day<'_>) -> (&'static str, &str) {
    match day {
        Day::Working => ("working", ""),
        Day::Rest => ("rest", ""),
        Day::Holiday(label) => ("holiday", label),
        Day::MadeUp(label) => ("made_up", label),
    }
}

pub(super) fn picture(spec: &CalendarSpec, year: i32, today: NaiveDate) -> Year {
    let months: Vec<Month> = (1..=12).map(|month| of_month(spec, (year, month), today)).collect();
    let cells = || months.iter().flat_map(|month| month.weeks.iter().flatten().flatten());
    let count = |kind: &str| cells().filter(|cell| cell.kind == kind).count();
    let (working, resting) = (count("working"), count("rest"));
    let (holidays, made_up) = (count("holiday"), count("made_up"));
    Year { working: working + made_up, resting, holidays, made_up, months }
}

fn of_month(spec: &CalendarSpec, (year, month): (i32, u32), today: NaiveDate) -> Month {
    let mut weeks: Vec<[Option<Cell>; 7]> = Vec::new();
    let days = NaiveDate::from_ymd_opt(year, month, 1)
        .into_iter()
        .flat_map(|first| first.iter_days().take(usize::from(first.num_days_in_month())));
    let mut working = 0;
    for date in days {
        let (kind, label) = kind(spec.day(date));
        working += usize::from(spec.works(date));
        let at = date.weekday().num_days_from_monday() as usize;
        if at == 0 || weeks.is_empty() {
            weeks.push(Default::default());
        }
        let (label, today) = (label.to_owned(), date == today);
        if let Some(week) = weeks.last_mut() {
            week[at] = Some(Cell { date: date.to_string(), day: date.day(), kind, label, today });
        }
    }
    Month { month, working, weeks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_has_all_its_days_in_their_places() {
        let json = r#"{"holidays": {"2028-02-29": "x"}, "workdays": {"2028-02-26": "y"}}"#;
        let spec: CalendarSpec = serde_json::from_str(json).unwrap();
        let today = NaiveDate::from_ymd_opt(2028, 2, 29).unwrap();
        let year = picture(&spec, 2028, today);
        assert_eq!(year.working + year.resting + year.holidays, 366);
        assert_eq!((year.holidays, year.made_up), (1, 1));
        let february = &year.months[1];
        // A Tuesday, in the fifth row: the first is a Tuesday too.
        let leap = february.weeks[4][1].as_ref().unwrap();
        assert_eq!(
            (leap.day, leap.kind, leap.label.as_str(), leap.today),
            (29, "holiday", "x", true)
        );
        assert!(february.weeks[0][0].is_none() && february.weeks[0][1].is_some());
        assert_eq!(february.working, 21);
    }
}
