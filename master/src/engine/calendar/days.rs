//! Some days of a zone, hour by hour, as its clock shows them: the frame of what is counted.

use chrono::{DateTime, Datelike, Days as Further, NaiveDate, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use shared::ids::Millis;

pub(super) const HOUR_MS: Millis = 3_600_000;
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;
/// The longest stretch of days that is counted.
pub const DAYS_MAX: u32 = 31;

/// What is wrong with a month, in words that say how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMonth(String);

/// One hour as the clock of a zone shows it. Where clocks change it may be shorter, be left out, or
/// come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    pub from: Millis,
    /// Not included.
    pub until: Millis,
    pub date: NaiveDate,
    pub hour: u32,
    /// The second time on this day.
    pub again: bool,
}

/// Some days of a zone, hour by hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Days {
    pub zone: Tz,
    pub first: NaiveDate,
    /// In order, without gaps.
    pub hours: Vec<Hour>,
}

impl Days {
    /// `2026-11`.
    ///
    /// # Errors
    /// The text is no such month.
    pub fn month(text: &str, zone: Tz) -> Result<Days, BadMonth> {
        let first = month_of(text).ok_or_else(|| {
            let shown: String = text.chars().take(20).collect();
            let (from, until) = (YEARS.start(), YEARS.end());
            BadMonth(format!(
                "{shown:?} is no month: a year from {from} to {until} and a month such as 2026-11 \
                 is expected"
            ))
        })?;
        Ok(Days::from(first, u32::from(first.num_days_in_month()), zone))
    }

    /// The day there that contains this instant, and the ones after it.
    pub fn ahead(now: Millis, count: u32, zone: Tz) -> Days {
        let today = local(zone, now).map(|now| now.date_naive()).unwrap_or_default();
        Days::from(today, count.min(DAYS_MAX), zone)
    }

    pub(super) fn from(first: NaiveDate, count: u32, zone: Tz) -> Days {
        let after = first.checked_add_days(Further::new(u64::from(count))).unwrap_or(first);
        let hours = hours(zone, midnight(zone, first), midnight(zone, after));
        Days { zone, first, hours }
    }

    /// From the first instant to the one after the last.
    pub fn span(&self) -> (Millis, Millis) {
        let ends = self.hours.first().zip(self.hours.last());
        ends.map_or((0, 0), |(first, last)| (first.from, last.until))
    }

    /// Which hour an instant lies in.
    pub fn at(&self, instant: Millis) -> Option<usize> {
        let after = self.hours.partition_point(|hour| hour.from <= instant);
        let at = after.checked_sub(1)?;
        (instant < self.hours[at].until).then_some(at)
    }
}

fn month_of(text: &str) -> Option<NaiveDate> {
    let (year, month) = text.split_once('-')?;
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) {
        return None;
    }
    let year = year.parse().ok().filter(|year| YEARS.contains(year))?;
    NaiveDate::from_ymd_opt(year, month.parse().ok()?, 1)
}

pub(super) fn local(zone: Tz, at: Millis) -> Option<DateTime<Tz>> {
    DateTime::<Utc>::from_timestamp_millis(at).map(|utc| utc.with_timezone(&zone))
}

/// Seconds east of Greenwich.
pub(super) fn offset(zone: Tz, at: Millis) -> i64 {
    local(zone, at).map_or(0, |at| i64::from(at.offset().fix().local_minus_utc()))
}

/// The first instant after `from`, up to `until`, at which the clock is another one.
pub(super) fn change(zone: Tz, from: Millis, until: Millis) -> Option<Millis> {
    let before = offset(zone, from);
    if offset(zone, until) == before {
        return None;
    }
    let (mut low, mut high) = (from.div_euclid(1_000), until.div_euclid(1_000));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(zone, middle * 1_000) == before { low = middle } else { high = middle }
    }
    Some(high * 1_000)
}

/// When a day begins: its midnight, or where clocks skip that, what comes instead.
fn midnight(zone: Tz, date: NaiveDate) -> Millis {
    let naive = date.and_hms_opt(0, 0, 0).unwrap_or_default();
    if let Some(at) = zone.from_local_datetime(&naive).earliest() {
        return at.timestamp_millis();
    }
    let utc = naive.and_utc().timestamp_millis();
    change(zone, utc - 24 * HOUR_MS, utc + 24 * HOUR_MS).unwrap_or(utc)
}

fn hours(zone: Tz, from: Millis, until: Millis) -> Vec<Hour> {
    let mut hours: Vec<Hour> = Vec::new();
    let mut at = from;
    while at < until {
        let Some(shown) = local(zone, at) else { break };
        let into = Millis::from(shown.minute() * 60 + shown.second()) * 1_000;
        let full = (at + HOUR_MS - into).min(until);
        let next = change(zone, at, full).unwrap_or(full);
        let (date, hour) = (shown.date_naive(), shown.hour());
        let again = hours.iter().rev().take(30).any(|one| (one.date, one.hour) == (date, hour));
        hours.push(Hour { from: at, until: next, date, hour, again });
        at = next;
    }
    hours
}

#[cfg(test)]
mod tests {
    use super::super::zone;
    use super::*;

    #[test]
    fn a_month_has_all_hours_of_its_zone() {
        // Month, zone > hours; of the day, how many hours; those that are short, or come again.
        for (month, name, hours, day, of_day, odd) in [
            ("2026-11", "Asia/Shanghai", 720, 1, 24, vec![]),
            ("2026-02", "UTC", 672, 28, 24, vec![]),
            ("2028-02", "UTC", 696, 29, 24, vec![]),
            ("2027-03", "Europe/Paris", 743, 28, 23, vec![]),
            ("2026-10", "Europe/Paris", 745, 25, 25, vec![(2, 60, true)]),
            ("2026-11", "America/New_York", 721, 1, 25, vec![(1, 60, true)]),
            // By half an hour.
            ("2026-10", "Australia/Lord_Howe", 744, 4, 24, vec![(2, 30, false)]),
            ("2027-04", "Australia/Lord_Howe", 721, 4, 25, vec![(1, 30, true)]),
            // Midnight is left out.
            ("2027-03", "Asia/Beirut", 743, 28, 23, vec![]),
        ] {
            let days = Days::month(month, zone(name).unwrap()).unwrap();
            assert_eq!(days.hours.len(), hours, "{month} {name}");
            let of = days.hours.iter().filter(|hour| hour.date.day() == day);
            assert_eq!(of.clone().count(), of_day, "{month} {name}");
            let minutes = |hour: &Hour| (hour.until - hour.from) / 60_000;
            let found: Vec<_> = of
                .filter(|hour| hour.again || minutes(hour) < 60)
                .map(|hour| (hour.hour, minutes(hour), hour.again))
                .collect();
            assert_eq!(found, odd, "{month} {name}");
            assert!(days.hours.windows(2).all(|pair| pair[0].until == pair[1].from));
            let (from, until) = days.span();
            assert_eq!((days.at(from - 1), days.at(from), days.at(until)), (None, Some(0), None));
            assert_eq!(days.at(until - 1), Some(hours - 1));
        }
    }

    #[test]
    fn what_is_no_month_is_said() {
        for bad in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-1",
            "1999-12",
            "2200-01",
            "+026-11",
            "二〇二六-11",
        ] {
            let error = Days::month(bad, Tz::UTC).unwrap_err().to_string();
            assert!(error.contains("is no month") && error.contains("2026-11"), "{bad}: {error}");
        }
        assert!(Days::month("2000-01", Tz::UTC).is_ok() && Days::month("2199-12", Tz::UTC).is_ok());
    }
}
