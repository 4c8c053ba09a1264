//! How often a rule fires in each hour of some days: what the pages draw as a heat map.
//!
//! Every count is what [`next_after`] gives. It is asked once for an hour in which no clock changes:
//! whoever fires at all in such an hour does so at each of its minutes and seconds, so that a rule of
//! each second costs no more than an hourly one. Near a change of the clock it is asked one by one.

use super::{Cron, Rule, next_after};
use crate::engine::blackout::Blackout;
use chrono::{DateTime, Datelike, Days as Further, NaiveDate, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use shared::ids::Millis;

const MINUTE_MS: Millis = 60_000;
const HOUR_MS: Millis = 3_600_000;
/// Between two looks for a change of the clock: no zone has had two within that.
const LOOK_MS: Millis = 6 * HOUR_MS;
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

    fn from(first: NaiveDate, count: u32, zone: Tz) -> Days {
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

fn local(zone: Tz, at: Millis) -> Option<DateTime<Tz>> {
    DateTime::<Utc>::from_timestamp_millis(at).map(|utc| utc.with_timezone(&zone))
}

/// Seconds east of Greenwich.
fn offset(zone: Tz, at: Millis) -> i64 {
    local(zone, at).map_or(0, |at| i64::from(at.offset().fix().local_minus_utc()))
}

/// The first instant after `from`, up to `until`, at which the clock is another one.
fn change(zone: Tz, from: Millis, until: Millis) -> Option<Millis> {
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

/// A rule, and the windows in which it does not fire.
#[derive(Clone, Copy, Debug)]
pub struct Fires<'a> {
    pub cron: &'a Cron,
    pub zone: Tz,
    pub blackouts: &'a [Blackout],
}

/// Of one hour of some days, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub at: u16,
    pub fires: u32,
    /// Instants in a blackout window.
    pub dark: u32,
}

/// In which hours a rule fires, and how often, in order. Each question to [`next_after`], and each
/// minute that is held against the windows, takes one of `steps`; none: they did not suffice.
pub fn count(
    rule: Fires,
    days: &Days,
    window: (Millis, Millis),
    steps: &mut usize,
) -> Option<Vec<Count>> {
    let span = days.span();
    let window = (span.0.max(window.0), span.1.min(window.1));
    let mut counts = Counts { rule, days, found: Vec::new() };
    match &rule.cron.0 {
        Rule::Every(rate) => counts.every(*rate, window, steps)?,
        Rule::Fields(fields) => {
            let seconds = seconds_of_an_hour(fields);
            counts.fields(&seconds, window, steps)?;
        }
    }
    Some(counts.found)
}

/// A change of the clock, and what it lets come twice.
#[derive(Clone, Copy, Debug)]
struct Change {
    at: Millis,
    width: Millis,
}

impl Change {
    /// Whether an hour has or may have other instants because of it.
    fn touches(self, start: Millis, end: Millis) -> bool {
        start - self.width - HOUR_MS < self.at && self.at <= end
    }
}

fn changes(zone: Tz, from: Millis, until: Millis) -> Vec<Change> {
    let (mut at, until) = (from - 48 * HOUR_MS, until + 48 * HOUR_MS);
    let mut changes = Vec::new();
    while at < until {
        if let Some(found) = change(zone, at, at + LOOK_MS) {
            let width = (offset(zone, found) - offset(zone, found - 1_000)).abs() * 1_000;
            changes.push(Change { at: found, width });
        }
        at += LOOK_MS;
    }
    changes
}

/// At which seconds of an hour a rule fires, if it fires in it.
fn seconds_of_an_hour(fields: &croner::Cron) -> Vec<Millis> {
    let pattern = &fields.pattern;
    let seconds = pattern.seconds.values();
    let minutes = pattern.minutes.values();
    let all = minutes.iter().flat_map(|minute| {
        seconds.iter().map(move |second| Millis::from(*minute) * 60 + Millis::from(*second))
    });
    all.collect()
}

struct Counts<'a> {
    rule: Fires<'a>,
    days: &'a Days,
    found: Vec<Count>,
}

impl Counts<'_> {
    fn fields(
        &mut self,
        seconds: &[Millis],
        (mut at, until): (Millis, Millis),
        steps: &mut usize,
    ) -> Option<()> {
        let Fires { cron, zone, .. } = self.rule;
        let changes = changes(zone, at, until);
        while at < until {
            *steps = steps.checked_sub(1)?;
            let next = next_after(cron, zone, at - 1).filter(|next| *next < until);
            let Some(next) = next else { break };
            let into = local(zone, next).map_or(0, |next| next.minute() * 60 + next.second());
            let start = next - Millis::from(into) * 1_000;
            let end = start + HOUR_MS;
            if changes.iter().any(|change| change.touches(start, end)) {
                self.add(next, 1);
                at = next + 1;
            } else {
                let within = |end: Millis| seconds.partition_point(|s| start + s * 1_000 < end);
                self.add_all((at, end.min(until)), within, steps)?;
                at = end;
            }
        }
        Some(())
    }

    fn every(&mut self, rate: Millis, window: (Millis, Millis), steps: &mut usize) -> Option<()> {
        // Multiples before that instant, since 1970.
        let before = |end: Millis| usize::try_from((end - 1).div_euclid(rate)).unwrap_or(0);
        for hour in &self.days.hours {
            let part = (hour.from.max(window.0), hour.until.min(window.1));
            *steps = steps.checked_sub(1)?;
            if part.0 < part.1 {
                self.add_all(part, before, steps)?;
            }
        }
        Some(())
    }

    fn add(&mut self, instant: Millis, count: u32) {
        let Some(at) = self.days.at(instant).and_then(|at| u16::try_from(at).ok()) else { return };
        let Fires { zone, blackouts, .. } = self.rule;
        let is_dark = blackouts.iter().any(|window| window.holds(zone, instant));
        let (fires, dark) = if is_dark { (0, count) } else { (count, 0) };
        match self.found.last_mut() {
            Some(last) if last.at == at => {
                last.fires += fires;
                last.dark += dark;
            }
            _ => self.found.push(Count { at, fires, dark }),
        }
    }

    /// From inclusive, until exclusive, where `before` counts up to an instant. An hour of the rule's
    /// zone may lie in two of ours, and windows begin and end with minutes.
    fn add_all(
        &mut self,
        (mut from, until): (Millis, Millis),
        before: impl Fn(Millis) -> usize,
        steps: &mut usize,
    ) -> Option<()> {
        while from < until {
            let Some(hour) = self.days.at(from).map(|at| self.days.hours[at]) else { break };
            let mut end = hour.until.min(until);
            let count = before(end) - before(from);
            if !self.rule.blackouts.is_empty() && count > 0 {
                *steps = steps.checked_sub(1)?;
                end = end.min(from - from.rem_euclid(MINUTE_MS) + MINUTE_MS);
            }
            let count = before(end) - before(from);
            if count > 0 {
                self.add(from, u32::try_from(count).unwrap_or(u32::MAX));
            }
            from = end;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{instants, parse, zone};
    use super::*;
    use crate::engine::blackout;

    const ANY: (Millis, Millis) = (Millis::MIN, Millis::MAX);

    fn windows(texts: &[&str]) -> Vec<Blackout> {
        texts.iter().map(|text| blackout::parse(text).unwrap()).collect()
    }

    fn counted((rule, of): (&str, &str), dark: &[&str], days: &Days) -> Vec<Count> {
        let (cron, zone) = (parse(rule).unwrap(), zone(of).unwrap());
        let fires = Fires { cron: &cron, zone, blackouts: &windows(dark) };
        count(fires, days, ANY, &mut 200_000).unwrap()
    }

    /// One by one, by the functions that fire.
    fn walked((rule, of): (&str, &str), dark: &[&str], days: &Days) -> Vec<Count> {
        let (cron, zone) = (parse(rule).unwrap(), zone(of).unwrap());
        let mut found: Vec<Count> = Vec::new();
        let (from, until) = days.span();
        for at in instants(cron, zone, from - 1).take_while(|at| *at < until) {
            let texts: Vec<String> = dark.iter().map(|text| (*text).to_owned()).collect();
            let is_dark = blackout::Windows::of(&texts, zone).holding(at).is_some();
            let hour = u16::try_from(days.at(at).unwrap()).unwrap();
            if found.last().is_none_or(|last| last.at != hour) {
                found.push(Count { at: hour, fires: 0, dark: 0 });
            }
            let last = found.last_mut().unwrap();
            *(if is_dark { &mut last.dark } else { &mut last.fires }) += 1;
        }
        found
    }

    fn fires(found: Vec<Count>) -> Vec<(u16, u32)> {
        found.into_iter().map(|one| (one.at, one.fires)).collect()
    }

    fn around(date: &str, count: u32, zone_name: &str) -> Days {
        Days::from(date.parse().unwrap(), count, zone(zone_name).unwrap())
    }

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
    fn counts_are_what_fires() {
        const RULES: &[&str] = &[
            "30 2 * * *",
            "0 0 1 * *",
            "*/30 * * * *",
            "*/7 1-4 * * *",
            "10,50 2 * * *",
            "0 3 * * *",
            "59 59 23 * * *",
            "*/20 */10 2,14 * * *",
            "0 9 * * FRI#2",
            "@hourly",
            "@every 7m",
            "@every 1h30m",
            "@every 25m7s",
        ];
        const DARK: &[&[&str]] = &[&[], &["22:10-02:35", "03:00-03:01", "13:50-14:25 SAT-MON"]];
        const SPANS: &[(&str, &str)] = &[
            ("2026-11-20", "Asia/Shanghai"),
            ("2027-03-27", "Europe/Paris"),
            ("2026-10-24", "Europe/Paris"),
            ("2026-10-31", "America/New_York"),
            ("2026-10-03", "Australia/Lord_Howe"),
            ("2027-04-03", "Australia/Lord_Howe"),
            ("2027-03-27", "Asia/Beirut"),
            // A day that never was.
            ("2011-12-29", "Pacific/Apia"),
        ];
        let (mut some, mut kept) = (0, 0);
        for (date, own) in SPANS {
            let days = around(date, 3, own);
            // A rule of the same zone, of one with half hours, and of one that changes elsewhere.
            for of in [*own, "Asia/Kathmandu", "Europe/Paris"] {
                for (rule, dark) in
                    RULES.iter().flat_map(|rule| DARK.iter().map(move |d| (*rule, *d)))
                {
                    let found = counted((rule, of), dark, &days);
                    let expect = walked((rule, of), dark, &days);
                    assert_eq!(found, expect, "{rule} {of} but {dark:?}, seen in {own} {date}");
                    some += found.iter().filter(|one| one.fires > 0).count();
                    kept += found.iter().filter(|one| one.dark > 0).count();
                }
            }
        }
        assert!(some > 2_000 && kept > 500, "{some} {kept}");
    }

    #[test]
    fn days_with_23_and_25_hours() {
        let shown = |rule, date, name| -> Vec<(u32, bool, u32)> {
            let days = around(date, 1, name);
            let found = fires(counted((rule, name), &[], &days)).into_iter();
            found
                .map(|(at, count)| {
                    let hour = days.hours[usize::from(at)];
                    (hour.hour, hour.again, count)
                })
                .collect()
        };
        let (spring, autumn, paris) = ("2027-03-28", "2026-10-25", "Europe/Paris");
        // A fixed time of the hour that is left out fires at its end; of the one that repeats, once.
        assert_eq!(shown("30 2 * * *", spring, paris), [(3, false, 1)]);
        assert_eq!(shown("30 2 * * *", autumn, paris), [(2, false, 1)]);
        assert_eq!(shown("*/10 2 * * *", spring, paris), []);
        assert_eq!(shown("*/10 2 * * *", autumn, paris), [(2, false, 6), (2, true, 6)]);
        assert_eq!(shown("0 * * * *", spring, paris).len(), 23);
        assert_eq!(shown("0 * * * *", autumn, paris).len(), 25);
    }

    #[test]
    fn each_second_of_a_month_takes_few_steps() {
        let paris = zone("Europe/Paris").unwrap();
        let days = Days::month("2026-10", paris).unwrap();
        let cron = parse("* * * * * *").unwrap();
        let mut steps = 30_000;
        let dark = windows(&["02:00-02:30"]);
        let rule = |blackouts| Fires { cron: &cron, zone: paris, blackouts };
        let all = count(rule(&[]), &days, ANY, &mut steps).unwrap();
        assert_eq!(all.len(), 745);
        assert!(all.iter().all(|one| (one.fires, one.dark) == (3_600, 0)));
        // Only the hours around the change are walked.
        assert!(steps > 10_000, "{steps} are left");
        assert_eq!(count(rule(&[]), &days, ANY, &mut 500), None, "and it can be cut");
        // With windows minute by minute: a half of 32 hours is in one.
        assert_eq!(count(rule(&dark), &days, ANY, &mut 30_000), None);
        let all = count(rule(&dark), &days, ANY, &mut 70_000).unwrap();
        assert_eq!(all.iter().map(|one| one.dark).sum::<u32>(), 32 * 1_800);
        let every = parse("@every 1s").unwrap();
        let rule = Fires { cron: &every, ..rule(&[]) };
        assert_eq!(count(rule, &days, ANY, &mut 800).unwrap().len(), 745);
    }

    #[test]
    fn a_window_cuts_within_an_hour() {
        let days = around("2026-11-20", 1, "UTC");
        let from = days.span().0;
        // From inclusive, until exclusive.
        for (window, expect) in [
            ((from + 20 * 60_000, from + 40 * 60_000), vec![(0, 2)]),
            ((from + 20 * 60_000 + 1, from + 90 * 60_000), vec![(0, 3), (1, 3)]),
            ((from + 50 * 60_000, from + 60 * 60_000 + 1), vec![(0, 1), (1, 1)]),
            ((Millis::MIN, from), vec![]),
        ] {
            for text in ["*/10 * * * *", "@every 10m"] {
                let cron = parse(text).unwrap();
                let rule = Fires { cron: &cron, zone: Tz::UTC, blackouts: &[] };
                let found = count(rule, &days, window, &mut 100).unwrap();
                assert_eq!(fires(found), expect, "{text} {window:?}");
            }
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
