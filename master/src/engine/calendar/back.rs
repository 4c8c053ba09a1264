//! Back in time: the instant before a moment, which a rule does not give by itself.

use super::{Cron, next_after};
use chrono_tz::Tz;
use shared::ids::Millis;

const DAY_MS: Millis = 86_400_000;
/// How far back it is looked for, in days, the nearest first.
const BACK_DAYS: [Millis; 4] = [1, 32, 366, 5 * 366];

/// The last instant of a rule strictly before that moment, if it is within five years.
pub fn before(cron: &Cron, zone: Tz, at: Millis) -> Option<Millis> {
    let next = |after| next_after(cron, zone, after).filter(|found| *found < at);
    let mut low =
        BACK_DAYS.iter().map(|days| at - days * DAY_MS).find(|from| next(*from).is_some())?;
    let mut high = at;
    // Behind `low` there is one, behind `high` none: until they meet.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match next(middle) {
            Some(_) => low = middle,
            None => high = middle,
        }
    }
    next(low)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use chrono::DateTime;

    #[test]
    fn the_instant_before_is_the_last_one_before() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        for (cron, moment, expect) in [
            ("30 2 * * *", "2026-11-20T02:30:00+08:00", Some("2026-11-19T02:30:00+08:00")),
            ("30 2 * * *", "2026-11-20T02:30:01+08:00", Some("2026-11-20T02:30:00+08:00")),
            ("*/10 * * * * *", "2026-11-20T02:30:05+08:00", Some("2026-11-20T02:30:00+08:00")),
            ("0 0 29 2 *", "2026-11-20T02:30:00+08:00", Some("2024-02-29T00:00:00+08:00")),
            ("@every 90m", "1970-01-01T03:00:00+00:00", Some("1970-01-01T01:30:00+00:00")),
        ] {
            let found = before(&parse(cron).unwrap(), chrono_tz::Asia::Shanghai, at(moment));
            assert_eq!(found, expect.map(at), "{cron} before {moment}");
        }
    }
}
