//! Blackout windows: times in which a dispatch does not fire.
//!
//! A window is a text in the dispatch's zone: `22:00-02:00 SAT,SUN`, each week (without days: each
//! day; one that crosses midnight belongs to the day on which it begins), or one span of dates,
//! `2026-12-31 22:00/2027-01-02 06:00`. The beginning is inside, the end is not. It is judged by what
//! the wall clock of the zone shows, so that in the repeated hour of autumn it holds twice.

use chrono::{Datelike, Days, NaiveDateTime, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;
use shared::ids::Millis;

/// Windows of one dispatch.
pub const WINDOWS_MAX: usize = 50;
const CHARS_MAX: usize = 100;
const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// One window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blackout {
    Weekly {
        from: NaiveTime,
        until: NaiveTime,
        /// By days from Monday.
        days: [bool; 7],
    },
    Once {
        from: NaiveDateTime,
        until: NaiveDateTime,
    },
}

/// # Errors
/// What is expected instead.
pub fn parse(text: &str) -> Result<Blackout, String> {
    let text = text.trim();
    let shown: String = text.chars().take(CHARS_MAX).collect();
    if text.len() > CHARS_MAX {
        return Err(format!("a window has at most {CHARS_MAX} characters"));
    }
    let parsed = match text.split_once('/') {
        Some((from, until)) => once(from, until),
        None => weekly(text),
    };
    parsed.ok_or_else(|| {
        format!(
            "{shown:?} is no window: 22:00-02:00, 22:00-02:00 SAT,SUN or \
             2026-12-31 22:00/2027-01-02 06:00 is expected, the beginning before the end"
        )
    })
}

fn once(from: &str, until: &str) -> Option<Blackout> {
    let moment = |text: &str| NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M").ok();
    let (from, until) = (moment(from)?, moment(until)?);
    (from < until).then_some(Blackout::Once { from, until })
}

fn weekly(text: &str) -> Option<Blackout> {
    let (times, names) = match text.split_once(' ') {
        Some((times, names)) => (times, Some(names)),
        None => (text, None),
    };
    let (from, until) = times.split_once('-')?;
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok();
    // 24:00 is the end of a day as people write it.
    let until = if until == "24:00" { NaiveTime::MIN } else { time(until)? };
    let from = time(from)?;
    let mut days = [names.is_none(); 7];
    for name in names.into_iter().flat_map(|names| names.split(',')).map(str::trim) {
        let at = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        let (first, last) = match name.split_once('-') {
            Some((first, last)) => (at(first)?, at(last)?),
            None => (at(name)?, at(name)?),
        };
        // FRI-MON goes round the end of the week.
        (0..=(last + 7 - first) % 7).for_each(|step| days[(first + step) % 7] = true);
    }
    (from != until || from == NaiveTime::MIN).then_some(Blackout::Weekly { from, until, days })
}

impl Blackout {
    /// When it ends, of an instant inside; where clocks change at that very hour, about.
    fn end(&self, zone: Tz, at: Millis) -> Millis {
        let Some(utc) = chrono::DateTime::from_timestamp_millis(at) else { return at };
        let local = utc.with_timezone(&zone).naive_local();
        let until = match *self {
            Blackout::Once { until, .. } => Some(until),
            Blackout::Weekly { from, until, days } => {
                let today = days[local.weekday().num_days_from_monday() as usize];
                let over_night = from >= until && today && from <= local.time();
                let date = local.date().checked_add_days(Days::new(u64::from(over_night)));
                date.map(|date| date.and_time(until))
            }
        };
        // The later one in the hour that autumn repeats: there the window holds twice.
        let end = until.and_then(|until| zone.from_local_datetime(&until).latest());
        end.map_or(at, |end| end.timestamp_millis())
    }

    /// Whether this instant is inside.
    pub fn holds(&self, zone: Tz, at: Millis) -> bool {
        let Some(utc) = chrono::DateTime::from_timestamp_millis(at) else { return false };
        let local = utc.with_timezone(&zone).naive_local();
        match *self {
            Blackout::Once { from, until } => from <= local && local < until,
            Blackout::Weekly { from, until, days } => {
                let (time, on) =
                    (local.time(), |day: Weekday| days[day.num_days_from_monday() as usize]);
                let (today, yesterday) = (local.weekday(), local.weekday().pred());
                match from < until {
                    true => on(today) && from <= time && time < until,
                    false => on(today) && from <= time || on(yesterday) && time < until,
                }
            }
        }
    }
}

/// The windows of one dispatch, read once.
#[derive(Clone, Debug)]
pub struct Windows<'a> {
    all: Vec<(&'a str, Blackout)>,
    zone: Tz,
}

impl<'a> Windows<'a> {
    /// What cannot be read, or is too much, was refused when it was saved.
    pub fn of(texts: &'a [String], zone: Tz) -> Windows<'a> {
        let read = |text: &'a String| Some((text.as_str(), parse(text).ok()?));
        Windows { all: texts.iter().take(WINDOWS_MAX).filter_map(read).collect(), zone }
    }

    /// The first one that the instant is in.
    pub fn holding(&self, at: Millis) -> Option<&'a str> {
        self.find(at).map(|(text, _)| *text)
    }

    /// When the next of them begins, of an instant that is in none: by the minute, and a week at most,
    /// after which it is to be asked again.
    pub fn opens_after(&self, at: Millis) -> Millis {
        const MINUTE: Millis = 60_000;
        const LOOK_AT: Millis = 7 * 24 * 60;
        let first = at.div_euclid(MINUTE) + 1;
        let opens = (first..first + LOOK_AT).find(|minute| self.find(minute * MINUTE).is_some());
        opens.unwrap_or(first + LOOK_AT) * MINUTE
    }

    fn find(&self, at: Millis) -> Option<&(&'a str, Blackout)> {
        self.all.iter().find(|(_, window)| window.holds(self.zone, at))
    }

    /// When the one that an instant is in ends; of one in none, itself.
    pub fn end(&self, at: Millis) -> Millis {
        self.find(at).map_or(at, |(_, window)| window.end(self.zone, at))
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::calendar;
    use super::super::quiet::Quiet;
    use super::*;
    use chrono::DateTime;

    #[test]
    fn windows_hold_by_the_clock_of_the_zone() {
        // The 20th of November 2026 is a Friday.
        for (window, zone, at, holds) in [
            ("22:00-02:00", "UTC", "2026-11-20T22:00:00Z", true),
            ("22:00-02:00", "UTC", "2026-11-21T01:59:59Z", true),
            ("22:00-02:00", "UTC", "2026-11-21T02:00:00Z", false),
            ("22:00-02:00", "UTC", "2026-11-20T21:59:59Z", false),
            ("22:00-02:00 FRI", "UTC", "2026-11-21T01:00:00Z", true),
            ("22:00-02:00 FRI", "UTC", "2026-11-20T01:00:00Z", false),
            ("22:00-02:00 sat-mon", "UTC", "2026-11-22T23:00:00Z", true),
            ("22:00-02:00 SAT-MON", "UTC", "2026-11-24T23:00:00Z", false),
            ("09:00-17:00 MON,FRI", "Asia/Shanghai", "2026-11-20T01:00:00Z", true),
            ("09:00-17:00 MON,FRI", "UTC", "2026-11-20T01:00:00Z", false),
            ("00:00-24:00 FRI", "UTC", "2026-11-20T23:59:59Z", true),
            ("00:00-24:00 FRI", "UTC", "2026-11-21T00:00:00Z", false),
            ("00:00-00:00", "UTC", "2026-11-21T00:00:00Z", true),
            ("2026-11-20 10:00/2026-11-21 08:00", "UTC", "2026-11-20T10:00:00Z", true),
            ("2026-11-20 10:00/2026-11-21 08:00", "UTC", "2026-11-21T08:00:00Z", false),
            // The hour that autumn repeats, both times.
            ("02:00-03:00", "Europe/Paris", "2026-10-25T00:30:00Z", true),
            ("02:00-03:00", "Europe/Paris", "2026-10-25T01:30:00Z", true),
            ("02:00-03:00", "Europe/Paris", "2026-10-25T02:00:00Z", false),
        ] {
            let at = DateTime::parse_from_rfc3339(at).unwrap();
            let window = parse(window).unwrap();
            let zone = zone.parse().unwrap();
            assert_eq!(window.holds(zone, at.timestamp_millis()), holds, "{window:?} {at}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let long = "0".repeat(101);
        for bad in [
            "",
            "22:00-02:00 ,",
            "22:00-02:00 SAT,",
            "22:00-02:00  SAT,,SUN",
            "22:00",
            "22:00-",
            "22-23",
            "25:00-26:00",
            "22:00-22:00",
            "22:00-23:00 SUNDAY",
            "2026-12-31 22:00/",
            "2026-12-31 22:00/2026-12-31 22:00",
            "2026-02-30 00:00/2026-03-01 00:00",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_comes_after_windows_is_found() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        for (cron, zone, windows, after, next) in [
            (
                "0 * * * *",
                "UTC",
                &["03:00-05:00"][..],
                "2026-11-20T02:30:00Z",
                "2026-11-20T05:00:00Z",
            ),
            // More instants than anybody walks through one by one.
            (
                "* * * * * *",
                "UTC",
                &["2026-11-20 00:00/2026-12-20 00:00"],
                "2026-11-20T00:00:00Z",
                "2026-12-20T00:00:00Z",
            ),
            (
                "*/10 * * * *",
                "UTC",
                &["22:00-02:00", "02:00-04:00 SAT"],
                "2026-11-20T22:05:00Z",
                "2026-11-21T04:00:00Z",
            ),
            (
                "*/30 * * * *",
                "Europe/Paris",
                &["02:00-03:00"],
                "2026-10-24T23:40:00Z",
                "2026-10-25T02:00:00Z",
            ),
        ] {
            let texts: Vec<String> = windows.iter().map(|text| (*text).to_owned()).collect();
            let windows = Quiet::windows(&texts, zone.parse().unwrap());
            let found = windows.next_outside(&calendar::parse(cron).unwrap(), at(after));
            assert_eq!(found, Some(at(next)), "{cron} {texts:?}");
        }
        let always = ["00:00-24:00".to_owned()];
        let windows = Quiet::windows(&always, Tz::UTC);
        assert_eq!(windows.next_outside(&calendar::parse("0 * * * *").unwrap(), 0), None);
    }
}
