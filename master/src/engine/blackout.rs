//! Blackout windows: times in which a dispatch does not fire.
//!
//! A window is a text in the dispatch's zone: `22:00-02:00 SAT,SUN`, each week (without days: each
//! day; one that crosses midnight belongs to the day on which it begins), or one span of dates,
//! `2026-12-31 22:00/2027-01-02 06:00`. The beginning is inside, the end is not. It is judged by what
//! the wall clock of the zone shows, so that in the repeated hour of autumn it holds twice.

use chrono::{Datelike, NaiveDateTime, NaiveTime, Weekday};
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
    let (times, names) = text.split_once(' ').unwrap_or((text, ""));
    let (from, until) = times.split_once('-')?;
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok();
    // 24:00 is the end of a day as people write it.
    let until = if until == "24:00" { NaiveTime::MIN } else { time(until)? };
    let from = time(from)?;
    let mut days = [names.trim().is_empty(); 7];
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
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

/// The first of these windows that the instant is in. What cannot be read was refused when it was
/// saved.
pub fn first_that_holds(windows: &[String], zone: Tz, at: Millis) -> Option<&str> {
    let holds = |text: &&String| parse(text).is_ok_and(|window| window.holds(zone, at));
    windows.iter().find(holds).map(String::as_str)
}

#[cfg(test)]
mod tests {
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
}
