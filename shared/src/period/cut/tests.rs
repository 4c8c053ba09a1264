use super::*;
use proptest::prelude::*;

const ALL: [Granularity; 5] = [
    Granularity::Minute,
    Granularity::Hour,
    Granularity::Day,
    Granularity::Week,
    Granularity::Month,
];

/// Whole hours, half hours, a half-hour summer, clocks that skip midnight, a date that never was.
const ZONES: [Tz; 12] = [
    Tz::UTC,
    Tz::Europe__Paris,
    Tz::Asia__Shanghai,
    Tz::America__Sao_Paulo,
    Tz::Asia__Kolkata,
    Tz::Asia__Kathmandu,
    Tz::Australia__Lord_Howe,
    Tz::America__St_Johns,
    Tz::America__Havana,
    Tz::Pacific__Apia,
    Tz::Africa__Cairo,
    Tz::America__Goose_Bay,
];

fn at(text: &str) -> Millis {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

fn p(text: &str) -> Period {
    text.parse().unwrap()
}

fn texts(periods: &[Period]) -> String {
    periods.iter().map(Period::to_string).collect::<Vec<_>>().join(" ")
}

fn hours(period: &str, zone: Tz) -> f64 {
    (p(period).end_ms(zone) - p(period).start_ms(zone)) as f64 / HOUR as f64
}

#[test]
fn days_have_23_to_25_hours() {
    use Tz::*;
    for (day, zone, expected) in [
        ("2026-03-28", Europe__Paris, 24.0),
        ("2026-03-29", Europe__Paris, 23.0),
        ("2026-10-25", Europe__Paris, 25.0),
        ("2026-10-25", Asia__Shanghai, 24.0),
        ("1988-04-17", Asia__Shanghai, 23.0),
        // Clocks skip midnight, and are set back over it.
        ("2018-11-04", America__Sao_Paulo, 23.0),
        ("2018-02-17", America__Sao_Paulo, 25.0),
        ("2018-02-18", America__Sao_Paulo, 24.0),
        // Half an hour.
        ("2026-04-05", Australia__Lord_Howe, 24.5),
        ("2026-10-04", Australia__Lord_Howe, 23.5),
        // Midnight comes twice.
        ("2026-11-01", America__Havana, 25.0),
        // The date line.
        ("2011-12-30", Pacific__Apia, 0.0),
        ("2026-W13", Europe__Paris, 167.0),
        ("2026-10", Europe__Paris, 745.0),
        ("2028-02", Europe__Paris, 696.0),
    ] {
        assert_eq!(hours(day, zone), expected, "{day} in {zone}");
    }
}

#[test]
fn the_hour_which_autumn_repeats_is_two_periods() {
    let zone = Tz::Europe__Paris;
    let first = Period::containing(Granularity::Hour, at("2026-10-25T02:30:00+02:00"), zone);
    let second = Period::containing(Granularity::Hour, at("2026-10-25T02:30:00+01:00"), zone);
    assert_eq!(texts(&[first, second]), "2026-10-25T02+02:00 2026-10-25T02+01:00");
    assert_eq!(first.offset(1, zone), Some(second));
    assert_eq!(second.offset(-1, zone), Some(first));
    // Where the clocks go by half an hour, an hour is half as long.
    let zone = Tz::Australia__Lord_Howe;
    assert_eq!(hours("2026-04-05T01+11:00", zone), 1.0);
    assert_eq!(hours("2026-04-05T01+10:30", zone), 0.5);
    assert_eq!(hours("2026-10-04T02+11:00", zone), 0.5);
    let day = p("2026-04-05").within(zone, &Cut::natural(Granularity::Hour, zone)).unwrap();
    assert_eq!(day.len(), 25);
}

#[test]
fn maps_name_what_a_period_needs() {
    let check = |period: &str, map, (granularity, zone), expected: &str| {
        let mapped = p(period).map(map, Tz::Europe__Paris, &Cut::natural(granularity, zone));
        assert_eq!(mapped.map(|all| texts(&all)), Ok(expected.to_owned()), "{period} {map:?}");
    };
    use Granularity::*;
    use PeriodMap::*;
    let paris = Tz::Europe__Paris;
    check("2026-11-20", Same, (Day, paris), "2026-11-20");
    check("2026-11-20", Same, (Day, Tz::Asia__Shanghai), "2026-11-20");
    check("2026-11-20", Same, (Week, Tz::Asia__Shanghai), "2026-W47");
    check("2026-11-20", Same, (Month, paris), "2026-11");
    check("2026-11", LastWithin, (Day, paris), "2026-11-30");
    check("2026-11", LastWithin, (Week, paris), "2026-W49");
    check("2026-W53", AllWithin, (Month, paris), "2026-12");
    check("2026-11-20", Previous(2), (Day, paris), "2026-11-18 2026-11-19");
    check("2026-11-20", Previous(1), (Month, paris), "2026-10");
    check("2026-03-01", Offset(-1), (Day, paris), "2026-02-28");
    check("2026-03-01", Offset(1), (Month, paris), "2026-04");
    check("2026-11-20T13+01:00", Same, (Day, paris), "2026-11-20");
    check("2026-11-20T13+01:00", Same, (Hour, Tz::Asia__Shanghai), "2026-11-20T20+08:00");
    check("2026-11-20T23+01:00", Same, (Day, Tz::Asia__Shanghai), "2026-11-21");
    check("2026-11-20", LastWithin, (Hour, paris), "2026-11-20T23+01:00");
    check("2026-11-20", Previous(1), (Hour, paris), "2026-11-19T23+01:00");
    check("2026-11-20T00+01:00", Offset(-1), (Hour, paris), "2026-11-19T23+01:00");
    let all =
        |period: &str| p(period).map(AllWithin, paris, &Cut::natural(Hour, paris)).unwrap().len();
    assert_eq!((all("2026-03-29"), all("2026-10-25"), all("2026-11-20")), (23, 25, 24));
    let minutes = &Cut::natural(Minute, paris);
    let days = &Cut::natural(Day, paris);
    assert_eq!(p("2026-10-25").within(paris, minutes).unwrap().len(), 1500);
    assert_eq!(p("2026-10").within(paris, minutes), Err(BadMap::TooMany));
    assert_eq!(p("2026-10-25").previous(u32::MAX, days), Err(BadMap::TooMany));
    assert_eq!(p("1970-01-02").previous(999, days), Err(BadMap::OutOfRange));
    assert_eq!(p("2026-10-25").offset(i64::MIN, paris), None);
}

#[test]
fn a_calendar_of_working_days_is_stepped_over() {
    use Granularity::*;
    use PeriodMap::*;
    // Holiday from 1 to 7 October; Saturday the 10th is worked for it.
    let json = r#"{"holidays": {"2026-10-01": "", "2026-10-02": "", "2026-10-05": "", "2026-10-06": "",
        "2026-10-07": ""}, "workdays": {"2026-10-10": ""}}"#;
    let calendar = std::sync::Arc::new(serde_json::from_str(json).unwrap());
    let zone = Tz::Asia__Shanghai;
    let cut = Cut::natural(Day, zone).with(Some(calendar));
    assert!(Cut::natural(Week, zone).with(cut.calendar.clone()).calendar.is_none());
    for (from, steps, to) in [
        ("2026-10-08", -1, "2026-09-30"),
        ("2026-10-12", -1, "2026-10-10"),
        ("2026-10-03", -1, "2026-09-30"),
        ("2026-10-04", 1, "2026-10-08"),
        ("2026-10-09", 0, "2026-10-09"),
        ("2026-10-09", 2, "2026-10-12"),
    ] {
        assert_eq!(cut.offset(p(from), steps), Some(p(to)), "{from} {steps}");
    }
    assert_eq!(cut.offset(p("2026-10-03"), 0), None, "a day of rest is no period");
    assert!(cut.accepts(p("2026-10-10")) && !cut.accepts(p("2026-10-11")));
    for (period, map, expected) in [
        ("2026-10-09", Same, "2026-10-09"),
        ("2026-10-03", Same, ""),
        ("2026-10-03", Offset(0), ""),
        ("2026-10-03", Offset(-1), "2026-09-30"),
        ("2026-10-03", Previous(2), "2026-09-29 2026-09-30"),
        ("2026-10-12", Previous(3), "2026-10-08 2026-10-09 2026-10-10"),
        ("2026-W40", AllWithin, "2026-09-28 2026-09-29 2026-09-30"),
        ("2026-W41", Same, "2026-10-08 2026-10-09 2026-10-10"),
        ("2026-W41", LastWithin, "2026-10-10"),
        ("2026-10-03T13+08:00", Same, ""),
        ("2026-10-03T13+08:00", Previous(1), "2026-09-30"),
        ("2026-10-10T13+08:00", Same, "2026-10-10"),
    ] {
        let mapped = p(period).map(map, zone, &cut).map(|all| texts(&all));
        assert_eq!(mapped, Ok(expected.to_owned()), "{period} {map:?}");
    }
    // A working day is its own day and no more.
    assert_eq!(p("2026-10-08").map(Same, zone, &Cut::natural(Hour, zone)).unwrap().len(), 24);
}

#[test]
fn ranges_and_bad_input() {
    let utc = Tz::UTC;
    assert_eq!(p("2026-02-27").through(p("2026-03-02"), utc).unwrap().len(), 4);
    assert_eq!(p("2026-02-27").through(p("2026-02-27"), utc).unwrap().len(), 1);
    assert_eq!(p("2026-02-27").through(p("2026-02-26"), utc).unwrap().len(), 0);
    assert_eq!(p("2026-02").through(p("2026-02-26"), utc), Err(BadMap::OutOfRange));
    assert_eq!(p("1970-01-02").through(p("2026-02-26"), utc), Err(BadMap::TooMany));
    let shanghai = Cut::new(Granularity::Hour, "Asia/Shanghai").unwrap();
    assert!(shanghai.accepts(p("2026-11-20T13+08:00")));
    assert!(!shanghai.accepts(p("2026-11-20T13+07:00")));
    assert!(!shanghai.accepts(p("2026-11-20")));
    assert!(zone("Asia/Peking").is_err());
    for bad in ["0001-01-01", "+12026-01-01", "1960-01"] {
        assert!(bad.parse::<Period>().is_err(), "{bad}");
    }
    for granularity in ALL {
        for instant in [Millis::MIN, -1, 0, LAST, Millis::MAX] {
            let period = Period::containing(granularity, instant, Tz::Pacific__Kiritimati);
            assert!(period.start_ms(utc) < period.end_ms(utc));
        }
    }
}

fn any_zone() -> impl Strategy<Value = Tz> {
    prop::sample::select(ZONES.to_vec())
}

fn any_granularity() -> impl Strategy<Value = Granularity> {
    prop::sample::select(ALL.to_vec())
}

/// 1980 to 2100; every other one within a day of a change of clocks, if there is one that year.
fn any_instant() -> impl Strategy<Value = (Millis, Tz)> {
    let at = 315_532_800_000_i64..4_102_444_800_000;
    (at, any_zone(), any::<bool>()).prop_map(|(at, zone, near)| {
        let changes =
            |day: &i64| offset_at(at + day * DAY, zone) != offset_at(at + (day + 1) * DAY, zone);
        let day = if near { (0..366).find(changes).unwrap_or(0) } else { 0 };
        (at + day * DAY + at % (2 * DAY) - DAY / 2, zone)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn periods_follow_each_other_without_gap(
        (instant, zone) in any_instant(), granularity in any_granularity()
    ) {
        let cut = Cut::natural(granularity, zone);
        let period = cut.containing(instant);
        let (start, end) = (period.start_ms(zone), period.end_ms(zone));
        prop_assert!(start <= instant && instant < end, "{period} {start} {end}");
        prop_assert_eq!(cut.containing(start), period);
        prop_assert_eq!(cut.containing(end - 1), period);
        prop_assert!(cut.accepts(period));
        prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        let next = cut.containing(end);
        prop_assert_eq!(next.start_ms(zone), end);
        // The date that Apia skipped is a period of no length.
        let later = period.offset(1, zone).unwrap();
        prop_assert!(later == next || later.start_ms(zone) == later.end_ms(zone));
        prop_assert_eq!(period.offset(7, zone).unwrap().offset(-7, zone), Some(period));
    }

    #[test]
    fn finer_periods_fill_a_coarser_one(
        (instant, zone) in any_instant(), hours in any::<bool>()
    ) {
        let (coarse, fine) = match hours {
            true => (Granularity::Week, Granularity::Hour),
            false => (Granularity::Month, Granularity::Day),
        };
        let cut = &Cut::natural(fine, zone);
        let period = Period::containing(coarse, instant, zone);
        let all = period.within(zone, cut).unwrap();
        prop_assert!(all.contains(&cut.containing(instant)));
        prop_assert_eq!(all[0].start_ms(zone), period.start_ms(zone));
        prop_assert_eq!(all[all.len() - 1].end_ms(zone), period.end_ms(zone));
        for pair in all.windows(2) {
            prop_assert_eq!(pair[0].end_ms(zone), pair[1].start_ms(zone));
        }
        let whole = &Cut::natural(coarse, zone);
        let back = |one: &Period| one.map(PeriodMap::Same, zone, whole) == Ok(vec![period]);
        prop_assert!(all.iter().all(back));
    }
}
