use super::*;

const YEARS: (i32, i32) = (2026, 2028);

fn file(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}\r\nEND:VCALENDAR\r\n")
}

fn event(lines: &str) -> String {
    file(&format!("BEGIN:VEVENT\nSUMMARY:x\n{lines}\nEND:VEVENT"))
}

fn days(days: &BTreeMap<NaiveDate, String>) -> String {
    days.keys().map(NaiveDate::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn days_of_events() {
    for (lines, expected) in [
        ("DTSTART;VALUE=DATE:20261001", "2026-10-01"),
        (
            "DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261004",
            "2026-10-01 2026-10-02 2026-10-03",
        ),
        ("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261001", "2026-10-01"),
        ("DTSTART;VALUE=DATE:20261001\nDURATION:P2D", "2026-10-01 2026-10-02"),
        ("DTSTART;VALUE=DATE:20261001\nDURATION:PT36H", "2026-10-01 2026-10-02"),
        // By the local date, whatever the zone.
        (
            "DTSTART;TZID=\"Asia/Shanghai\":20261001T000000\nDTEND;TZID=Asia/Shanghai:20261002T000000",
            "2026-10-01",
        ),
        (
            "DTSTART;TZID=America/New_York:20261001T230000\nDTEND;TZID=America/New_York:20261002T010000",
            "2026-10-01 2026-10-02",
        ),
        ("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY", "2026-01-01 2027-01-01 2028-01-01"),
        ("DTSTART;VALUE=DATE:20200229\nRRULE:FREQ=YEARLY;WKST=MO", "2020-02-29 2028-02-29"),
        (
            "DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=YEARLY;COUNT=3",
            "2025-01-01 2026-01-01 2027-01-01",
        ),
        (
            "DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;UNTIL=20270101T000000Z",
            "2026-01-01 2027-01-01",
        ),
        ("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;INTERVAL=2", "2026-01-01 2028-01-01"),
        // Thanksgiving, Memorial Day.
        (
            "DTSTART;VALUE=DATE:20261126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            "2026-11-26 2027-11-25 2028-11-23",
        ),
        (
            "DTSTART;VALUE=DATE:20260525\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO",
            "2026-05-25 2027-05-31 2028-05-29",
        ),
        (
            "DTSTART;VALUE=DATE:20260405\nRDATE;VALUE=DATE:20270328,20280416\nEXDATE;VALUE=DATE:20270328",
            "2026-04-05 2028-04-16",
        ),
    ] {
        let found = read(&event(lines), YEARS).unwrap();
        assert_eq!((days(&found.holidays), found.left), (expected.to_owned(), vec![]), "{lines}");
    }
}

#[test]
fn what_is_worked_is_told_apart() {
    let one = |summary: &str, more: &str, day: u32| {
        format!(
            "BEGIN:VEVENT\nSUMMARY:{summary}\nDTSTART;VALUE=DATE:202610{day:02}{more}\nEND:VEVENT\n"
        )
    };
    let text = file(&[one("国庆节 假期", "", 1), one("国庆节 补班\\, 第1天", "", 10)].concat());
    let found = read(&text, YEARS).unwrap();
    assert_eq!(
        (days(&found.holidays).as_str(), days(&found.workdays).as_str()),
        ("2026-10-01", "2026-10-10")
    );
    assert_eq!(found.workdays.values().next().unwrap(), "国庆节 补班, 第1天");
    // Where days are marked, a feast without a mark is no day off.
    let marked = [
        one("国庆节（休）", "\nX-APPLE-SPECIAL-DAY:WORK-HOLIDAY", 1),
        one("国庆节（班）", "\nX-APPLE-SPECIAL-DAY:ALTERNATE-WORKDAY", 10),
        one("重阳节", "", 18),
    ];
    let found = read(&file(&marked.concat()), YEARS).unwrap();
    assert_eq!(
        (days(&found.holidays).as_str(), days(&found.workdays).as_str()),
        ("2026-10-01", "2026-10-10")
    );
    assert_eq!((found.left.len(), found.left[0].what.as_str()), (1, "重阳节"));
}

#[test]
fn what_is_not_understood_is_told_with_its_line() {
    for (lines, line, why) in [
        ("DTSTART:20261001T160000Z", 5, "a moment of UTC"),
        ("DTSTART;VALUE=DATE:2026-10-01", 5, "is no date"),
        ("DTSTART;VALUE=DATE:20260230", 5, "is no date"),
        ("LOCATION:here", 3, "no DTSTART"),
        ("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20260901", 6, "ends before it begins"),
        ("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20291001", 6, "at most 366"),
        ("DTSTART;VALUE=DATE:20261001\nDURATION:1 day", 6, "is no duration"),
        ("DTSTART;VALUE=DATE:20261001\nRRULE:FREQ=WEEKLY", 6, "not WEEKLY"),
        ("DTSTART;VALUE=DATE:20261001\nRRULE:FREQ=YEARLY;BYWEEKNO=3", 6, "BYWEEKNO"),
        ("DTSTART;VALUE=DATE:20261001\nRRULE:FREQ=YEARLY;BYDAY=MO", 6, "only one weekday"),
        ("DTSTART;VALUE=DATE:20261001\nRRULE:FREQ=YEARLY;INTERVAL=0", 6, "is no count"),
        ("DTSTART;VALUE=DATE:20261001\nSTATUS:CANCELLED", 3, "cancelled"),
        ("DTSTART;VALUE=DATE:20261001\nRECURRENCE-ID:20261001", 6, "single days of a rule"),
    ] {
        let found = read(&event(lines), YEARS).unwrap();
        assert!(found.holidays.is_empty(), "{lines}");
        let left = &found.left[0];
        assert!(left.line == line && left.why.contains(why), "{lines}: {left:?}");
    }
}

#[test]
fn what_is_no_such_file_is_refused() {
    let long = format!("{}x", " ".repeat(BYTES_MAX));
    for (text, line, why) in [
        ("", 1, "BEGIN:VCALENDAR is expected"),
        ("<html>", 1, "no line of an .ics file"),
        ("SUMMARY:x", 1, "BEGIN:VCALENDAR is expected"),
        ("BEGIN:VEVENT\nEND:VEVENT", 1, "BEGIN:VCALENDAR is expected"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR", 3, "ends what begins as VEVENT in line 2"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x", 3, "VCALENDAR of line 1 does not"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR", 3, "has not begun"),
        (&long, 1, "more than"),
    ] {
        let error = read(text, YEARS).unwrap_err();
        assert!(error.line == line && error.why.contains(why), "{error}");
    }
    // Far too many days.
    let many = event("DTSTART;VALUE=DATE:20260101\nDURATION:P366D\nRRULE:FREQ=YEARLY");
    assert!(read(&many, (2026, 2060)).unwrap_err().why.contains("more than 5000 days"));
}

#[test]
fn lines_are_put_together_and_other_parts_passed_over() {
    let text = "\u{feff}BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x\nDTSTART:16010101T000000\n\
                END:VTIMEZONE\nBEGIN:VEVENT\nSUMM\n ARY;LANGUAGE=\"a:b;c\":国庆\n\t节\nBEGIN:VALARM\n\
                SUMMARY:no\nEND:VALARM\n\nDTSTART;VALUE=DATE:20261\n 001\nEND:VEVENT\nEND:VCALENDAR";
    let found = read(text, YEARS).unwrap();
    let day = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
    assert_eq!(found.holidays, BTreeMap::from([(day, "国庆节".to_owned())]));
}

#[test]
fn a_review_counts_what_would_change() {
    let before: CalendarSpec = serde_json::from_str(
        r#"{"holidays": {"2026-01-01": "x", "2026-10-01": "old", "2026-12-25": "kept"},
            "workdays": {"2026-10-02": "x"}}"#,
    )
    .unwrap();
    let one =
        |day: &str| format!("BEGIN:VEVENT\nSUMMARY:x\nDTSTART;VALUE=DATE:{day}\nEND:VEVENT\n");
    let text: String = ["20260101", "20261001", "20261002", "20261003"].map(one).concat();
    let review = merge(&before, read(&file(&text), YEARS).unwrap());
    assert_eq!((review.new, review.changed, review.same), (1, 2, 1));
    assert_eq!(review.spec.holidays.len(), 5);
    assert!(review.spec.workdays.is_empty() && review.left.is_empty());
}
