//! Whose clock a page shows: the viewer's.
//!
//! The rule: days and hours on a page (today, the hour chart, a day in a filter, every time) are the
//! viewer's zone, and the page names it; what belongs to another zone (a dispatch's instants) says which.
//! The browser tells its zone in a cookie (`theme.js`); a program with a token, and a browser that has
//! not told yet, have the server's.

use super::auth::cookie;
use crate::config::Config;
use axum::http::HeaderMap;
use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use shared::ids::Millis;

/// Of the clock in the frame, and of who tells none.
pub fn of_server(config: &Config) -> Tz {
    config.web.zone.parse().unwrap_or(Tz::UTC)
}

/// As the browser says.
pub fn of_browser(config: &Config, headers: &HeaderMap) -> Tz {
    let told = cookie(headers, "zone").and_then(|name| name.parse().ok());
    told.unwrap_or_else(|| of_server(config))
}

fn local(at: Millis, zone: Tz) -> Option<DateTime<Tz>> {
    DateTime::<Utc>::from_timestamp_millis(at).map(|utc| utc.with_timezone(&zone))
}

/// Its date there: what a filter by day takes.
pub fn day(at: Millis, zone: Tz) -> NaiveDate {
    local(at, zone).map(|local| local.date_naive()).unwrap_or_default()
}

/// When the day began there that contains now.
pub fn today_ms(now: Millis, zone: Tz) -> Millis {
    // Where clocks skip midnight the day begins somewhat later: an hour too many is no harm.
    hour_ms(day(now, zone), 0, zone).unwrap_or(now - 86_400_000)
}

/// When that hour began there; none where clocks skip it.
pub fn hour_ms(day: NaiveDate, hour: u32, zone: Tz) -> Option<Millis> {
    let start = zone.from_local_datetime(&day.and_hms_opt(hour, 0, 0)?).earliest();
    start.map(|start| start.timestamp_millis())
}

/// `19:30` there.
pub fn clock(at: Millis, zone: Tz) -> String {
    local(at, zone).map(|local| local.format("%H:%M").to_string()).unwrap_or_default()
}

/// `11-29 19:30` there.
pub fn moment(at: Millis, zone: Tz) -> String {
    local(at, zone).map(|local| local.format("%m-%d %H:%M").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_795_230_000_000; // 2026-11-21T03:00Z

    #[test]
    fn a_day_is_the_zones() {
        let [utc, shanghai, kolkata, new_york] =
            [Tz::UTC, Tz::Asia__Shanghai, Tz::Asia__Kolkata, Tz::America__New_York];
        assert_eq!(NOW - today_ms(NOW, utc), 3 * 3_600_000);
        assert_eq!(NOW - today_ms(NOW, shanghai), 11 * 3_600_000);
        assert_eq!(day(NOW, new_york).to_string(), "2026-11-20");
        assert_eq!(clock(NOW, kolkata), "08:30");
        let first = hour_ms(day(NOW, kolkata), 0, kolkata).unwrap();
        assert_eq!(
            (clock(first, utc), moment(first, shanghai)),
            ("18:30".into(), "11-21 02:30".into())
        );
        // Clocks skip an hour in spring.
        let spring = NaiveDate::from_ymd_opt(2026, 3, 8).unwrap();
        assert_eq!(hour_ms(spring, 2, new_york), None);
    }

    #[test]
    fn the_browser_tells_its_zone_and_nonsense_is_the_servers() {
        let config = Config::default();
        let zone = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", cookie.parse().unwrap());
            of_browser(&config, &headers)
        };
        assert_eq!(zone("lang=en; zone=Europe/Berlin"), Tz::Europe__Berlin);
        assert_eq!(zone("zone=Mars/Olympus"), of_server(&config));
        assert_eq!(zone("lang=en"), of_server(&config));
    }
}
