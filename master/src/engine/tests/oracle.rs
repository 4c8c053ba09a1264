//! Our calendar against one that is not ours: `master/tests/data/calendar_oracle.py` walked each minute
//! of two years in twelve zones with Python's zoneinfo, and recorded what the documents promise.

use crate::engine::calendar;
use shared::ids::Millis;
use shared::period::{Cut, Granularity};

const RECORDED: &str = include_str!("../../../tests/data/calendar_oracle.txt");
const MINUTE: Millis = 60_000;

/// `first+stepxcount,first,…`
fn numbers(runs: &str) -> Vec<Millis> {
    let number = |text: &str| text.parse::<Millis>().unwrap();
    let mut all = Vec::new();
    for run in runs.split(',').filter(|run| !run.is_empty()) {
        match run.split_once('+') {
            None => all.push(number(run)),
            Some((first, rest)) => {
                let (step, count) = rest.split_once('x').unwrap();
                all.extend((0..number(count)).map(|at| number(first) + at * number(step)));
            }
        }
    }
    all
}

fn boundaries(granularity: Granularity, zone: &str, from: Millis, until: Millis) -> Vec<Millis> {
    let cut = Cut::new(granularity, zone).unwrap();
    let mut all = Vec::new();
    let mut period = cut.containing(from);
    loop {
        let end = period.end_ms(cut.zone);
        if end >= until {
            return all;
        }
        let next = cut.containing(end);
        assert_eq!(next.start_ms(cut.zone), end, "{zone}: {period} and {next} touch");
        assert_eq!(cut.containing(end - 1), period, "{zone}: the last millisecond of {period}");
        period = next;
        all.push((end - from) / MINUTE);
    }
}

#[test]
fn every_recorded_line_is_what_ours_says() {
    let (mut lines, mut instants, mut wrong) = (0, 0, Vec::new());
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('|').collect();
        let [kind, zone, from, until, rule, runs] = fields[..] else { panic!("{line}") };
        let minute = |text: &str| text.parse::<Millis>().unwrap() * MINUTE;
        let (from, until) = (minute(from), minute(until));
        let ours: Vec<Millis> = match kind {
            "day" => boundaries(Granularity::Day, zone, from, until),
            "hour" => boundaries(Granularity::Hour, zone, from, until),
            _ => {
                let (cron, zone) = (calendar::parse(rule).unwrap(), calendar::zone(zone).unwrap());
                let instants = calendar::instants(cron, zone, from - 1);
                instants.take_while(|at| *at < until).map(|at| (at - from) / 1_000).collect()
            }
        };
        let theirs = numbers(runs);
        lines += 1;
        instants += theirs.len();
        if ours != theirs {
            let unit = if kind == "cron" { 1_000 } else { MINUTE };
            let shown =
                |at: &Millis| calendar::show(calendar::zone(zone).unwrap(), from + at * unit);
            let only = |some: &[Millis], others: &[Millis]| -> Vec<String> {
                some.iter().filter(|at| !others.contains(at)).take(5).map(shown).collect()
            };
            let (more, less) = (only(&ours, &theirs), only(&theirs, &ours));
            wrong.push(format!("{kind} {zone} {rule:?}: ours only {more:?}, theirs only {less:?}"));
        }
    }
    assert!(lines > 700 && instants > 50_000, "{lines} {instants}");
    assert!(wrong.is_empty(), "{} of {lines} differ:\n{}", wrong.len(), wrong.join("\n"));
}
