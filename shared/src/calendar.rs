//! Calendars (日历): which days work. Weekly days of rest, holidays, and days that are worked to make
//! up for them (调休), each by its date alone: a calendar has no zone, who asks it has one.

use crate::ids::CalendarId;
use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Holidays and made-up days of one calendar together.
pub const DAYS_MAX: usize = 5_000;
pub const LABEL_CHARS_MAX: usize = 60;
/// Days that are looked at for the next one that works; a calendar without one for so long has none.
const LOOKED_AT: u32 = 800;
/// Working days that [`CalendarSpec::step`] goes.
const STEPS_MAX: i64 = 20_000;

/// One calendar as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSpec {
    #[serde(default)]
    pub description: String,
    /// On which days of each week nobody works.
    #[serde(default = "weekend")]
    pub rest: BTreeSet<DayOfWeek>,
    /// Days off, whatever day of the week they are, and what they are called.
    #[serde(default)]
    pub holidays: BTreeMap<NaiveDate, String>,
    /// 调休: days that are worked although the week says that they rest.
    #[serde(default)]
    pub workdays: BTreeMap<NaiveDate, String>,
}

impl Default for CalendarSpec {
    fn default() -> CalendarSpec {
        CalendarSpec {
            description: String::new(),
            rest: weekend(),
            holidays: BTreeMap::new(),
            workdays: BTreeMap::new(),
        }
    }
}

fn weekend() -> BTreeSet<DayOfWeek> {
    BTreeSet::from([DayOfWeek::Sat, DayOfWeek::Sun])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DayOfWeek {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl DayOfWeek {
    pub const ALL: [DayOfWeek; 7] = [
        DayOfWeek::Mon,
        DayOfWeek::Tue,
        DayOfWeek::Wed,
        DayOfWeek::Thu,
        DayOfWeek::Fri,
        DayOfWeek::Sat,
        DayOfWeek::Sun,
    ];

    pub fn of(date: NaiveDate) -> DayOfWeek {
        match date.weekday() {
            Weekday::Mon => DayOfWeek::Mon,
            Weekday::Tue => DayOfWeek::Tue,
            Weekday::Wed => DayOfWeek::Wed,
            Weekday::Thu => DayOfWeek::Thu,
            Weekday::Fri => DayOfWeek::Fri,
            Weekday::Sat => DayOfWeek::Sat,
            Weekday::Sun => DayOfWeek::Sun,
        }
    }
}

/// What one day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day<'a> {
    Working,
    /// By the week.
    Rest,
    Holiday(&'a str),
    /// Worked although the week says that it rests.
    MadeUp(&'a str),
}

impl CalendarSpec {
    /// A holiday that is also named as worked is a holiday; saving refuses that.
    pub fn day(&self, date: NaiveDate) -> Day<'_> {
        match (self.holidays.get(&date), self.workdays.get(&date)) {
            (Some(label), _) => Day::Holiday(label),
            (None, Some(label)) => Day::MadeUp(label),
            (None, None) if self.rest.contains(&DayOfWeek::of(date)) => Day::Rest,
            (None, None) => Day::Working,
        }
    }

    pub fn works(&self, date: NaiveDate) -> bool {
        matches!(self.day(date), Day::Working | Day::MadeUp(_))
    }

    /// The working day so many working days later (negative: earlier). From a day that does not work
    /// the first step leads to the nearest one that does; no step stays where it is.
    pub fn step(&self, from: NaiveDate, steps: i64) -> Option<NaiveDate> {
        if steps.abs() > STEPS_MAX {
            return None;
        }
        let next = |date: NaiveDate| if steps < 0 { date.pred_opt() } else { date.succ_opt() };
        let mut date = from;
        for _ in 0..steps.abs() {
            let mut looked_at = 0;
            loop {
                date = next(date)?;
                looked_at += 1;
                if self.works(date) {
                    break;
                }
                if looked_at >= LOOKED_AT {
                    return None;
                }
            }
        }
        Some(date)
    }

    /// Which working day of its month it is, counted from the first and from the last; none if it
    /// does not work.
    pub fn working_day_of_month(&self, date: NaiveDate) -> Option<(u32, u32)> {
        if !self.works(date) {
            return None;
        }
        let first = date.with_day(1)?;
        let all = first.iter_days().take(usize::from(first.num_days_in_month()));
        let working: Vec<NaiveDate> = all.filter(|day| self.works(*day)).collect();
        let at = working.iter().position(|day| *day == date)?;
        let count = |days: usize| u32::try_from(days).unwrap_or(u32::MAX);
        Some((count(at + 1), count(working.len() - at)))
    }

    /// The last day that is named: after it only the week speaks.
    pub fn named_until(&self) -> Option<NaiveDate> {
        self.holidays.keys().chain(self.workdays.keys()).max().copied()
    }
}

/// On which days of a calendar a dispatch fires, by the date in the dispatch's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaysSpec {
    pub calendar: CalendarId,
    #[serde(default)]
    pub on: On,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Those that work, made-up ones included.
    #[default]
    Working,
    /// Those that do not, by the week or as a holiday.
    Resting,
    /// Holidays alone.
    Holidays,
    /// All but holidays: weekly days of rest too.
    NotHolidays,
    /// The n-th working day of each month; −1 is the last one.
    NthWorking(i32),
}

impl On {
    pub fn holds(self, calendar: &CalendarSpec, date: NaiveDate) -> bool {
        match self {
            On::Working => calendar.works(date),
            On::Resting => !calendar.works(date),
            On::Holidays => matches!(calendar.day(date), Day::Holiday(_)),
            On::NotHolidays => !matches!(calendar.day(date), Day::Holiday(_)),
            On::NthWorking(n) => {
                let found = calendar.working_day_of_month(date);
                found.is_some_and(|(first, last)| match n > 0 {
                    true => i64::from(first) == i64::from(n),
                    false => i64::from(last) == -i64::from(n),
                })
            }
        }
    }

    /// The first such day from this one on; none within some two years.
    pub fn next(self, calendar: &CalendarSpec, from: NaiveDate) -> Option<NaiveDate> {
        let until = from.checked_add_days(Days::new(LOOKED_AT.into()))?;
        from.iter_days().take_while(|date| *date < until).find(|date| self.holds(calendar, *date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// National Day 2026 in China: seven days off, a Saturday and a Sunday are worked for them.
    fn china() -> CalendarSpec {
        let off = (1..=7).map(|day| (date(&format!("2026-10-0{day}")), "国庆节".to_owned()));
        let mut holidays: BTreeMap<_, _> = off.collect();
        holidays.insert(date("2026-09-25"), "中秋节".to_owned());
        let worked = ["2026-09-20", "2026-10-10"].map(|day| (date(day), "调休".to_owned()));
        CalendarSpec { holidays, workdays: worked.into(), ..CalendarSpec::default() }
    }

    #[test]
    fn steps_go_over_what_does_not_work() {
        for (from, steps, to) in [
            ("2026-10-08", -1, "2026-09-30"),
            ("2026-09-30", 1, "2026-10-08"),
            ("2026-10-09", 1, "2026-10-10"),
            ("2026-10-12", -1, "2026-10-10"),
            ("2026-10-12", -2, "2026-10-09"),
            // From a day that does not work, one step is to the nearest that does.
            ("2026-10-03", -1, "2026-09-30"),
            ("2026-10-03", 1, "2026-10-08"),
            ("2026-10-03", 0, "2026-10-03"),
        ] {
            assert_eq!(china().step(date(from), steps), Some(date(to)), "{from} {steps}");
        }
        let never = CalendarSpec { rest: DayOfWeek::ALL.into(), ..CalendarSpec::default() };
        assert_eq!(never.step(date("2026-10-03"), 1), None);
        assert_eq!(china().step(date("2026-10-03"), STEPS_MAX + 1), None);
    }

    #[test]
    fn each_rule_names_its_days() {
        for (on, holding) in [
            (
                On::Working,
                vec![
                    "2026-09-28",
                    "2026-09-29",
                    "2026-09-30",
                    "2026-10-08",
                    "2026-10-09",
                    "2026-10-10",
                ],
            ),
            (
                On::Holidays,
                vec![
                    "2026-10-01",
                    "2026-10-02",
                    "2026-10-03",
                    "2026-10-04",
                    "2026-10-05",
                    "2026-10-06",
                    "2026-10-07",
                ],
            ),
            (On::NthWorking(1), vec!["2026-10-08"]),
            (On::NthWorking(3), vec!["2026-10-10"]),
            (On::NthWorking(-1), vec!["2026-09-30"]),
            (On::NthWorking(-2), vec!["2026-09-29"]),
        ] {
            let days = date("2026-09-28").iter_days().take(14);
            let found: Vec<String> =
                days.filter(|day| on.holds(&china(), *day)).map(|day| day.to_string()).collect();
            assert_eq!(found, holding, "{on:?}");
        }
        let not = |on: On, other: On| {
            let mut days = date("2026-01-01").iter_days().take(730);
            days.all(|day| on.holds(&china(), day) != other.holds(&china(), day))
        };
        assert!(not(On::Working, On::Resting) && not(On::Holidays, On::NotHolidays));
        assert_eq!(On::NthWorking(3).next(&china(), date("2026-10-11")), Some(date("2026-11-04")));
        assert_eq!(On::Holidays.next(&china(), date("2026-10-08")), None);
    }

    #[test]
    fn a_calendar_is_read_as_people_write_it() {
        let json = r#"{"holidays": {"2026-10-01": "国庆节"}, "workdays": {"2026-10-10": ""}}"#;
        let spec: CalendarSpec = serde_json::from_str(json).unwrap();
        assert_eq!(spec.rest, weekend());
        assert_eq!(spec.day(date("2026-10-01")), Day::Holiday("国庆节"));
        assert_eq!(spec.day(date("2026-10-10")), Day::MadeUp(""));
        assert_eq!(spec.named_until(), Some(date("2026-10-10")));
        for bad in [r#"{"rest": ["Sat"]}"#, r#"{"holidays": {"2026-02-30": ""}}"#, r#"{"days": 1}"#]
        {
            assert!(serde_json::from_str::<CalendarSpec>(bad).is_err(), "{bad}");
        }
    }
}
