//! Cron × zone: at which instants a dispatch fires.
//!
//! Preview and firing are this one function, [`next_after`]; what is done about an instant that
//! passed unfired (misfire, late) is decided in the World, not here. Called by the World's firing
//! heap, by validation and by the dispatch form.
//!
//! Daylight saving, as tested below: a *fixed* time (one second, minute and hour) that falls into
//! the gap fires at the first instant after it, whatever day that is, and fires once in the overlap, at the earlier of
//! the two. Anything else (ranges, lists, steps) follows the wall clock: not in the gap, in both
//! halves of the overlap.

mod back;
pub mod days;
pub mod hours;
mod words;

pub use back::before;
use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, CronDateTime, Resolution, Weekday};
use shared::ids::Millis;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
pub use words::{describe, describe_zh};

/// Characters of one expression.
pub const CHARS_MAX: usize = 200;
/// Different expressions that [`Crons`] keeps parsed: one is 5.7 KB.
pub const INTERNED_MAX: usize = 20_000;
/// An expression that names no instant within so many years names none: a 29 February that is a
/// given weekday comes back after 28 years, or 40 across a century.
const YEARS_MAX: i32 = 50;

/// The longest fixed rate.
const EVERY_MAX_S: u32 = 31 * 86_400;

/// A parsed expression that has at least one instant.
#[derive(Clone, Debug)]
pub struct Cron(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Fields(Box<Fields>),
    /// A fixed rate, whatever the clock of the zone does: the multiples of it since 1970, UTC.
    Every(Millis),
}

#[derive(Clone, Debug)]
struct Fields {
    cron: croner::Cron,
    /// One time of the day, which must not be lost where clocks leave it out.
    fixed: bool,
}

/// What is wrong with an expression, in words that say how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCron(String);

/// # Errors
/// The text is no cron expression, or one that never comes true (30 February).
pub fn parse(text: &str) -> Result<Cron, BadCron> {
    let text = text.trim();
    let shown: String = text.chars().take(40).collect();
    if text.len() > CHARS_MAX {
        return Err(BadCron(format!("a cron expression has at most {CHARS_MAX} characters")));
    }
    if let Some(rate) = text.strip_prefix("@every") {
        return every(rate.trim());
    }
    let fields = text.split_whitespace().count();
    if !text.starts_with('@') && !(5..=6).contains(&fields) {
        return Err(BadCron(format!(
            "{shown:?} has {fields} fields: five (minute hour day month weekday) or six, with \
             seconds first, are expected"
        )));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .sloppy_ranges(true)
        .build();
    let cron = parser.parse(text).map_err(|error| {
        BadCron(format!(
            "{shown:?} is no cron expression: {error} (known are * , - / L W # ? and names: \
             \"30 2 * * MON-FRI\", \"0 0 L * *\", \"0 9 * * FRI#2\")"
        ))
    })?;
    let fixed = is_fixed(&cron);
    let cron = Cron(Rule::Fields(Box::new(Fields { cron, fixed })));
    match next_after(&cron, Tz::UTC, 0) {
        Some(_) => Ok(cron),
        None => Err(BadCron(format!("{shown:?} never comes true: there is no such date"))),
    }
}

fn every(rate: &str) -> Result<Cron, BadCron> {
    let shown: String = rate.chars().take(40).collect();
    match lasting(rate) {
        Some(seconds @ 1..=EVERY_MAX_S) => Ok(Cron(Rule::Every(Millis::from(seconds) * 1_000))),
        _ => Err(BadCron(format!(
            "@every {shown:?} is no rate: from 1s to 31d is expected, such as @every 90m or @every 1h30m"
        ))),
    }
}

/// `90s`, `1h30m`, `2d`: the units once each at most, the greater first.
fn lasting(text: &str) -> Option<u32> {
    const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let (mut rest, mut sum) = (text, 0_u32);
    for (unit, seconds) in UNITS {
        if let Some((count, after)) = rest.split_once(unit) {
            sum = sum.checked_add(count.parse::<u32>().ok()?.checked_mul(seconds)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}

/// # Errors
/// It is no name of the IANA time zone database.
pub fn zone(name: &str) -> Result<Tz, BadCron> {
    name.parse().map_err(|_| {
        let shown: String = name.chars().take(40).collect();
        BadCron(format!("{shown:?} is no time zone: a name like Asia/Shanghai is expected"))
    })
}

/// The first instant strictly after `after`; none if there is none within 50 years (which in a
/// zone may be so: only ever in the hour that spring leaves out).
pub fn next_after(cron: &Cron, zone: Tz, after: Millis) -> Option<Millis> {
    let fields = match &cron.0 {
        Rule::Fields(fields) => fields,
        Rule::Every(rate) => return after.div_euclid(*rate).checked_add(1)?.checked_mul(*rate),
    };
    let start = DateTime::<Utc>::from_timestamp_millis(after)?.with_timezone(&zone);
    let until = start.to_civil().year().saturating_add(YEARS_MAX);
    let start = Bounded { at: start, until, fixed: fields.fixed, left_out: None };
    let next = fields.cron.find_next_occurrence(&start, false).ok()?;
    let next = next.at.timestamp_millis();
    // The search walks whole seconds.
    (next > after).then_some(next)
}

/// The next ten instants after `after`: what a form shows.
pub fn next_ten(cron: &Cron, zone: Tz, after: Millis) -> Vec<Millis> {
    next_many(cron, zone, after, 10)
}

/// At most `count` instants after `after`.
pub fn next_many(cron: &Cron, zone: Tz, after: Millis, count: usize) -> Vec<Millis> {
    instants(cron.clone(), zone, after).take(count).collect()
}

/// All instants after `after`, as they are asked for.
pub fn instants(cron: Cron, zone: Tz, after: Millis) -> impl Iterator<Item = Millis> {
    std::iter::successors(next_after(&cron, zone, after), move |&at| next_after(&cron, zone, at))
}

/// Parsed expressions by their text: a hundred thousand dispatches share a few hundred.
#[derive(Clone, Debug, Default)]
pub struct Crons {
    known: HashMap<String, Arc<Cron>>,
}

impl Crons {
    /// # Errors
    /// As [`parse`].
    pub fn get(&mut self, text: &str) -> Result<Arc<Cron>, BadCron> {
        if let Some(cron) = self.known.get(text) {
            return Ok(Arc::clone(cron));
        }
        let cron = Arc::new(parse(text)?);
        if self.known.len() >= INTERNED_MAX {
            self.known.retain(|_, cron| Arc::strong_count(cron) > 1);
        }
        if self.known.len() < INTERNED_MAX {
            self.known.insert(text.to_owned(), Arc::clone(&cron));
        }
        Ok(cron)
    }
}

fn is_fixed(cron: &croner::Cron) -> bool {
    let pattern = &cron.pattern;
    let one = |values: usize| values == 1;
    one(pattern.seconds.values().len())
        && one(pattern.minutes.values().len())
        && one(pattern.hours.values().len())
}

/// An instant whose search ends at a year: croner's own ends in the year 5000, second by second
/// where a clock change swallows every candidate. And one that knows what a fixed time becomes which
/// clocks leave out: croner's own search gives up where that is more than two hours (a whole day in
/// Samoa), and loses what is left out up to midnight.
#[derive(Clone, Debug)]
struct Bounded {
    at: DateTime<Tz>,
    until: i32,
    fixed: bool,
    /// It stands for this one, which the clock does not show.
    left_out: Option<CivilDateTime>,
}

/// The first instant after a time of the clock that is left out.
fn after_gap(zone: Tz, civil: CivilDateTime) -> Option<DateTime<Tz>> {
    let date = chrono::NaiveDate::from_ymd_opt(civil.year(), civil.month(), civil.day())?;
    let naive = date.and_hms_opt(civil.hour(), civil.minute(), civil.second())?;
    let about = naive.and_utc().timestamp_millis();
    // No zone is further east or west.
    let at = days::change(zone, about - 15 * days::HOUR_MS, about + 13 * days::HOUR_MS)?;
    days::local(zone, at)
}

impl CronDateTime for Bounded {
    fn to_civil(&self) -> CivilDateTime {
        self.left_out.unwrap_or_else(|| self.at.to_civil())
    }

    fn civil_weekday(&self) -> Weekday {
        self.at.civil_weekday()
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Bounded>, CronError> {
        if civil.year() > self.until {
            return Err(CronError::TimeSearchLimitExceeded);
        }
        let bound = |at| Bounded { at, left_out: None, ..*self };
        Ok(match self.at.resolve_civil(civil)? {
            Resolution::Single(at) => Resolution::Single(bound(at)),
            Resolution::Ambiguous(a, b) => Resolution::Ambiguous(bound(a), bound(b)),
            Resolution::Gap if self.fixed => match after_gap(self.at.timezone(), civil) {
                Some(at) => Resolution::Single(Bounded { at, left_out: Some(civil), ..*self }),
                None => Resolution::Gap,
            },
            Resolution::Gap => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Bounded> {
        let at = CronDateTime::checked_add_seconds(&self.at, seconds)?;
        Some(Bounded { at, left_out: None, ..*self })
    }

    fn cmp_instant(&self, other: &Bounded) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// An instant as a wall clock of this zone shows it: `2026-11-20 02:30:00 +08:00`.
pub fn show(zone: Tz, at: Millis) -> String {
    match zone.timestamp_millis_opt(at).single() {
        Some(at) => at.format("%Y-%m-%d %H:%M:%S %:z").to_string(),
        None => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    /// `zone; after; cron > instants` in that zone.
    fn check(zone_name: &str, after: &str, cron: &str, expect: &[&str]) {
        let zone = zone(zone_name).unwrap();
        let cron = parse(cron).unwrap();
        let got: Vec<String> = next_many(&cron, zone, at(after), expect.len())
            .iter()
            .map(|&at| zone.timestamp_millis_opt(at).unwrap().to_rfc3339())
            .collect();
        assert_eq!(got, expect, "{} {zone_name} after {after}", describe(&cron));
    }

    #[test]
    fn instants_of_plain_expressions() {
        let after = "2026-11-20T12:00:00+08:00";
        let shanghai = "Asia/Shanghai";
        check(shanghai, after, "30 2 * * *", &["2026-11-21T02:30:00+08:00"]);
        check(shanghai, after, "0 0 12 * * ?", &["2026-11-21T12:00:00+08:00"]);
        check(
            shanghai,
            after,
            "5/15 * * * *",
            &[
                "2026-11-20T12:05:00+08:00",
                "2026-11-20T12:20:00+08:00",
                "2026-11-20T12:35:00+08:00",
                "2026-11-20T12:50:00+08:00",
                "2026-11-20T13:05:00+08:00",
            ],
        );
        check(shanghai, after, "*/10 * * * * *", &["2026-11-20T12:00:10+08:00"]);
        check(
            shanghai,
            after,
            "0 0 L * *",
            &["2026-11-30T00:00:00+08:00", "2026-12-31T00:00:00+08:00"],
        );
        check(shanghai, after, "0 9 15W * *", &["2026-12-15T09:00:00+08:00"]);
        check(
            shanghai,
            after,
            "0 9 * * FRI#2",
            &["2026-12-11T09:00:00+08:00", "2027-01-08T09:00:00+08:00"],
        );
        check(shanghai, after, "0 0 29 2 *", &["2028-02-29T00:00:00+08:00"]);
        check(shanghai, after, "@daily", &["2026-11-21T00:00:00+08:00"]);
    }

    #[test]
    fn weekdays_by_name_and_number_are_the_same_days() {
        // A Friday; the original's mon…sun was read as ISO week numbers.
        let after = "2026-11-20T12:00:00+08:00";
        let days =
            ["2026-11-23T08:00:00+08:00", "2026-11-24T08:00:00+08:00", "2026-11-25T08:00:00+08:00"];
        check("Asia/Shanghai", after, "0 8 * * 1-5", &days);
        check("Asia/Shanghai", after, "0 8 * * mon-fri", &days);
        let sundays = ["2026-11-22T08:00:00+08:00", "2026-11-29T08:00:00+08:00"];
        for sunday in ["0 8 * * 0", "0 8 * * 7", "0 8 * * Sun"] {
            check("Asia/Shanghai", after, sunday, &sundays);
        }
        // Day of month and weekday: either; with + both.
        let either = ["2026-11-27T00:00:00+08:00", "2026-12-01T00:00:00+08:00"];
        check("Asia/Shanghai", after, "0 0 1 * FRI", &either);
        check("Asia/Shanghai", after, "0 0 13 * +FRI", &["2027-08-13T00:00:00+08:00"]);
    }

    #[test]
    fn the_hour_that_spring_leaves_out() {
        let before = "2027-03-27T12:00:00+01:00";
        check(
            "Europe/Paris",
            before,
            "30 2 * * *",
            &["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"],
        );
        check(
            "Europe/Paris",
            "2027-03-28T01:40:00+01:00",
            "*/30 * * * *",
            &["2027-03-28T03:00:00+02:00", "2027-03-28T03:30:00+02:00"],
        );
        check("Europe/Paris", before, "0,30 2 * * *", &["2027-03-29T02:00:00+02:00"]);
        check("Europe/Paris", before, "30 9 * * *", &["2027-03-28T09:30:00+02:00"]);
    }

    #[test]
    fn the_hour_that_autumn_repeats() {
        let before = "2026-10-24T12:00:00+02:00";
        check(
            "Europe/Paris",
            before,
            "30 2 * * *",
            &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        );
        check(
            "Europe/Paris",
            "2026-10-25T01:50:00+02:00",
            "*/30 * * * *",
            &[
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T02:30:00+01:00",
                "2026-10-25T03:00:00+01:00",
            ],
        );
        // A range of hours follows the clock, so its 02:30 comes twice.
        check(
            "Europe/Paris",
            before,
            "30 2-3 * * *",
            &[
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:30:00+01:00",
                "2026-10-25T03:30:00+01:00",
            ],
        );
    }

    #[test]
    fn instants_go_forward_from_any_start() {
        let zone = zone("Europe/Paris").unwrap();
        for text in ["*/7 * * * * *", "30 2 * * *", "0 */5 * * *", "0 0 L 2 *"] {
            let cron = parse(text).unwrap();
            let mut after = at("2026-10-24T22:00:00Z") + 1;
            for _ in 0..400 {
                let next = next_after(&cron, zone, after).unwrap();
                assert!(next > after);
                // Nothing lies between: asked one millisecond before, it is the same instant.
                assert_eq!(next_after(&cron, zone, next - 1), Some(next), "{text}");
                after = next;
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("0 0 0 1 1 * 2026", "7 fields"),
            ("0 25 * * *", "no cron expression"),
            ("0 0 30 2 *", "never comes true"),
            ("0 0 31 4,6 *", "never comes true"),
            ("@reboot", "no cron expression"),
            ("0 0 * * 每天", "no cron expression"),
            ("*/0 * * * *", "no cron expression"),
            ("99999999999/5 * * * *", "no cron expression"),
            ("0 0 L-3 * *", "no cron expression"),
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert!(parse(&"1,".repeat(200)).is_err());
        assert!(zone("Asia/Peking").is_err() && zone("").is_err());
        // Only ever in the gap: possible as a date, never in this zone, and found out quickly.
        let never = parse("0,30 2 * 3 SUN#L").unwrap();
        let from = at("2026-01-01T00:00:00Z");
        assert_eq!(next_after(&never, zone("Europe/Paris").unwrap(), from), None);
        assert_eq!(next_after(&never, Tz::UTC, i64::MAX), None);
    }

    #[test]
    fn a_fixed_rate_does_not_know_the_clock() {
        let paris = zone("Europe/Paris").unwrap();
        let cron = parse("@every 1h30m").unwrap();
        let first = next_many(&cron, paris, at("2026-10-25T00:00:00Z") - 1, 3);
        let expected = ["2026-10-25T00:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z"];
        assert_eq!(first, expected.map(at));
        assert_eq!(next_after(&cron, paris, i64::MAX), None);
        assert_eq!(next_after(&cron, paris, -1), Some(0));
        for bad in ["@every", "@every 0s", "@every 32d", "@every 1.5h", "@every 5m1h", "@every 9 h"]
        {
            assert!(parse(bad).unwrap_err().to_string().contains("@every 90m"), "{bad}");
        }
    }

    #[test]
    fn equal_texts_are_parsed_once() {
        let mut crons = Crons::default();
        let one = crons.get("0 1 * * *").unwrap();
        assert!(Arc::ptr_eq(&one, &crons.get("0 1 * * *").unwrap()));
        assert!(crons.get("0 1 * *").is_err());
    }
}
