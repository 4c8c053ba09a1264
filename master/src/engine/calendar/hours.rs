//! How often a rule fires in each hour of some days: what the pages draw as a heat map.
//!
//! Every count is what [`next_after`] gives. It is asked once for an hour in which no clock changes:
//! whoever fires at all in such an hour does so at each of its minutes and seconds, so that a rule of
//! each second costs no more than an hourly one. Near a change of the clock it is asked one by one.

use super::days::{Days, HOUR_MS, change, local, offset};
use super::{Cron, Rule, next_after};
use crate::engine::quiet::Quiet;
use chrono::Timelike;
use chrono_tz::Tz;
use shared::ids::Millis;

/// Between two looks for a change of the clock: no zone has had two within that.
const LOOK_MS: Millis = 6 * HOUR_MS;
/// A rule, and when it does not fire.
#[derive(Clone, Copy, Debug)]
pub struct Fires<'a> {
    pub cron: &'a Cron,
    pub zone: Tz,
    pub quiet: &'a Quiet<'a>,
}

/// Of one hour of some days, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub at: u16,
    pub fires: u32,
    /// Instants on days or in windows in which it does not fire.
    pub dark: u32,
}

/// In which hours a rule fires, and how often, in order. Each question to [`next_after`], and each
/// minute that is held against the days and windows, takes one of `steps`; none: they did not suffice.
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
            let seconds = seconds_of_an_hour(&fields.cron);
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
        let is_dark = self.rule.quiet.holding(instant).is_some();
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
    /// zone may lie in two of ours, and days and windows begin and end within it.
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
            if let Some(grain) = self.rule.quiet.grain_ms().filter(|_| count > 0) {
                *steps = steps.checked_sub(1)?;
                end = end.min(from - from.rem_euclid(grain) + grain);
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
    use crate::engine::catalog::{Calendar, Catalog};
    use shared::ids::{CalendarId, ProjectId};
    use shared::spec::DispatchSpec;
    use std::sync::Arc;

    const ANY: (Millis, Millis) = (Millis::MIN, Millis::MAX);

    /// Windows, and days of a calendar.
    type Dark = (&'static [&'static str], &'static str);
    const NONE: Dark = (&[], "");

    fn windows(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// A weekend, holidays at both ends of daylight saving, and a Sunday that is worked.
    fn catalog() -> Catalog {
        let json = r#"{"holidays": {"2026-10-04": "", "2026-11-20": "", "2027-03-28": "", "2011-12-31": ""},
            "workdays": {"2026-10-25": "", "2026-11-01": ""}}"#;
        let spec = Arc::new(serde_json::from_str(json).unwrap());
        let (id, project, name) = (CalendarId(1), ProjectId(1), "c".to_owned());
        let calendar = Calendar { id, project, name, version: 1, spec };
        Catalog { calendars: [(id, Arc::new(calendar))].into(), ..Catalog::default() }
    }

    fn spec((rule, of): (&str, &str), (windows, on): Dark) -> DispatchSpec {
        let mut json = serde_json::json!({
            "interface": 1, "cron": rule, "zone": of, "blackouts": windows,
        });
        if !on.is_empty() {
            json["days"] = serde_json::json!({"calendar": 1, "on": on});
        }
        serde_json::from_value(json).unwrap()
    }

    fn counted((rule, of): (&str, &str), dark: Dark, days: &Days) -> Vec<Count> {
        let (cron, zone) = (parse(rule).unwrap(), zone(of).unwrap());
        let (catalog, spec) = (catalog(), spec((rule, of), dark));
        let quiet = Quiet::of(&catalog, &spec, zone).unwrap();
        count(Fires { cron: &cron, zone, quiet: &quiet }, days, ANY, &mut 200_000).unwrap()
    }

    /// One by one, by the functions that fire.
    fn walked((rule, of): (&str, &str), dark: Dark, days: &Days) -> Vec<Count> {
        let (cron, zone) = (parse(rule).unwrap(), zone(of).unwrap());
        let (catalog, spec) = (catalog(), spec((rule, of), dark));
        let quiet = Quiet::of(&catalog, &spec, zone).unwrap();
        let mut found: Vec<Count> = Vec::new();
        let (from, until) = days.span();
        for at in instants(cron, zone, from - 1).take_while(|at| *at < until) {
            let is_dark = quiet.holding(at).is_some();
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
        const WINDOWS: &[&str] = &["22:10-02:35", "03:00-03:01", "13:50-14:25 SAT-MON"];
        const DARK: &[Dark] = &[NONE, (WINDOWS, ""), (&[], "working"), (WINDOWS, "not_holidays")];
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
            let found = fires(counted((rule, name), NONE, &days)).into_iter();
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
        let (none, dark) = (Quiet::windows(&[], paris), Quiet::windows(&dark, paris));
        let rule = |quiet| Fires { cron: &cron, zone: paris, quiet };
        let all = count(rule(&none), &days, ANY, &mut steps).unwrap();
        assert_eq!(all.len(), 745);
        assert!(all.iter().all(|one| (one.fires, one.dark) == (3_600, 0)));
        // Only the hours around the change are walked.
        assert!(steps > 10_000, "{steps} are left");
        assert_eq!(count(rule(&none), &days, ANY, &mut 500), None, "and it can be cut");
        // With windows minute by minute: a half of 32 hours is in one.
        assert_eq!(count(rule(&dark), &days, ANY, &mut 30_000), None);
        let all = count(rule(&dark), &days, ANY, &mut 70_000).unwrap();
        assert_eq!(all.iter().map(|one| one.dark).sum::<u32>(), 32 * 1_800);
        let every = parse("@every 1s").unwrap();
        let rule = Fires { cron: &every, ..rule(&none) };
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
                let quiet = Quiet::windows(&[], Tz::UTC);
                let rule = Fires { cron: &cron, zone: Tz::UTC, quiet: &quiet };
                let found = count(rule, &days, window, &mut 100).unwrap();
                assert_eq!(fires(found), expect, "{text} {window:?}");
            }
        }
    }
}
