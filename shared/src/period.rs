//! Periods (账期, 数据日期): what data belongs to.
//!
//! A period is a range of time at an interface's granularity, written in ISO 8601. Below a day the
//! text carries the offset, so that the hour which autumn repeats is two periods.

mod cut;

pub use cut::{BadMap, BadZone, Cut, PERIODS_MAX, zone};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveTime, TimeZone, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    Minute,
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

/// One period. `Day`, `Week` and `Month` are of a calendar; their instants depend on the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Begins at this minute of UTC (minutes since 1970), shown at this offset (minutes).
    Minute {
        start: i64,
        offset: i32,
    },
    Hour {
        start: i64,
        offset: i32,
    },
    Day(NaiveDate),
    /// Its Monday.
    Week(NaiveDate),
    /// Its first day.
    Month(NaiveDate),
}

#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{0:?} is not a period: 2026-11-20 (day), 2026-W47 (week), 2026-11 (month), \
     2026-11-20T13+08:00 (hour) or 2026-11-20T13:45+08:00 (minute) is expected"
)]
pub struct BadPeriod(String);

impl Period {
    pub fn granularity(self) -> Granularity {
        match self {
            Period::Minute { .. } => Granularity::Minute,
            Period::Hour { .. } => Granularity::Hour,
            Period::Day(_) => Granularity::Day,
            Period::Week(_) => Granularity::Week,
            Period::Month(_) => Granularity::Month,
        }
    }

    /// What is written before 1970 or after 9999 is a slip of the pen.
    fn is_in_range(self) -> bool {
        let date = match self {
            Period::Day(date) | Period::Week(date) | Period::Month(date) => Some(date),
            Period::Minute { start, offset } | Period::Hour { start, offset } => {
                local(start, offset).map(|at| at.date_naive())
            }
        };
        date.is_some_and(|date| (1969..=9999).contains(&date.year()))
    }
}

fn local(start: i64, offset: i32) -> Option<DateTime<FixedOffset>> {
    let offset = FixedOffset::east_opt(offset.checked_mul(60)?)?;
    offset.timestamp_opt(start.checked_mul(60)?, 0).single()
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Period::Day(day) => write!(f, "{}", day.format("%Y-%m-%d")),
            Period::Week(monday) => write!(f, "{}", monday.format("%G-W%V")),
            Period::Month(first) => write!(f, "{}", first.format("%Y-%m")),
            Period::Hour { start, offset } => match local(start, offset) {
                Some(at) => write!(f, "{}", at.format("%Y-%m-%dT%H%:z")),
                None => write!(f, "hour {start}"),
            },
            Period::Minute { start, offset } => match local(start, offset) {
                Some(at) => write!(f, "{}", at.format("%Y-%m-%dT%H:%M%:z")),
                None => write!(f, "minute {start}"),
            },
        }
    }
}

impl FromStr for Period {
    type Err = BadPeriod;

    fn from_str(text: &str) -> Result<Period, BadPeriod> {
        let period = match text {
            _ if text.len() > 32 || !text.is_ascii() => None,
            _ if text.contains('T') => within_day(text),
            _ if text.contains('W') => week(text),
            _ if text.len() == 7 => day(&format!("{text}-01")).map(Period::Month),
            _ => day(text).map(Period::Day),
        };
        // Only what is written as we write it: "2026-1-2" would be a second name of one thing.
        period
            .filter(|period| period.to_string() == text && period.is_in_range())
            .ok_or_else(|| BadPeriod(text.chars().take(40).collect()))
    }
}

fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

fn week(text: &str) -> Option<Period> {
    let (year, week) = text.split_once("-W")?;
    NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, Weekday::Mon)
        .map(Period::Week)
}

fn within_day(text: &str) -> Option<Period> {
    let (date, rest) = text.split_once('T')?;
    let (time, offset) = rest.split_at(rest.find(['+', '-'])?);
    let minute = time.len() > 2;
    let time = if minute { time.to_owned() } else { format!("{time}:00") };
    let time = NaiveTime::parse_from_str(&time, "%H:%M").ok()?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = minutes.parse().ok()?;
    let offset = sign * hours.checked_mul(60)?.checked_add(minutes)?;
    let at = day(date)?.and_time(time).and_utc().timestamp() / 60 - i64::from(offset);
    local(at, offset)?;
    Some(match minute {
        true => Period::Minute { start: at, offset },
        false => Period::Hour { start: at, offset },
    })
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_come_back_from_their_text() {
        for text in [
            "2026-11-20",
            "2026-W47",
            "2026-W01",
            "2026-11",
            "2026-11-20T13+08:00",
            "2026-11-20T13:45+08:00",
            "2026-11-20T13:45-03:30",
        ] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for bad in ["", "2026-1-2", "2026-13", "2026-W54", "2026-11-20T13", "昨天", "2026-02-30"]
            .into_iter()
            .chain(["2026-11-20T13+99999999:00", "2026-11-20T13+00:-2147483648", "+262142-01-01"])
        {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
