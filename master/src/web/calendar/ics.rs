//! `.ics` files (RFC 5545), as far as calendars of holidays use them: events of whole days, yearly
//! rules, lists of dates. What is an event and cannot be understood is told with its line and left out;
//! what is no such file at all is refused. Pure.

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use serde::Serialize;
use shared::calendar::{CalendarSpec, DAYS_MAX, Day, LABEL_CHARS_MAX};
use std::collections::{BTreeMap, BTreeSet};

pub const BYTES_MAX: usize = 1024 * 1024;
/// Events that are told to be left out; more are counted.
const LEFT_MAX: usize = 50;
/// Days of one event.
const EVENT_DAYS_MAX: u64 = 366;
/// A summary with one of these in it is a day that is worked.
const WORKED: [&str; 6] = ["补班", "上班", "(班)", "（班）", "调休工作", "makeup workday"];

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub holidays: BTreeMap<NaiveDate, String>,
    pub workdays: BTreeMap<NaiveDate, String>,
    pub left: Vec<Left>,
    pub left_more: usize,
}

/// An event that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    pub line: usize,
    pub what: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadIcs {
    pub line: usize,
    pub why: String,
}

/// One line of the file, put together again.
struct Line<'a> {
    number: usize,
    name: String,
    value: &'a str,
}

#[derive(Default)]
struct Event<'a> {
    line: usize,
    lines: Vec<Line<'a>>,
}

/// Rules that come again each year are counted out for the years from the first to the last.
///
/// # Errors
/// It is no such file.
pub fn read(text: &str, years: (i32, i32)) -> Result<Found, BadIcs> {
    let wrong = |line, why: &str| BadIcs { line, why: why.to_owned() };
    if text.len() > BYTES_MAX {
        return Err(wrong(1, &format!("the file has more than {BYTES_MAX} bytes")));
    }
    let unfolded = unfold(text.strip_prefix('\u{feff}').unwrap_or(text));
    let events = events(&unfolded)?;
    // Such a file names feasts too on which nobody is off.
    let marked = events.iter().any(|event| event.get("X-APPLE-SPECIAL-DAY").is_some());
    let mut found = Found::default();
    for event in &events {
        let summary = event.get("SUMMARY").map(|line| plain(line.value)).unwrap_or_default();
        match event.days(years, marked) {
            Ok((worked, days)) => {
                let label: String = summary.chars().take(LABEL_CHARS_MAX).collect();
                let label = label.trim().to_owned();
                let into = if worked { &mut found.workdays } else { &mut found.holidays };
                days.into_iter().for_each(|day| _ = into.entry(day).or_insert(label.clone()));
            }
            Err((line, why)) if found.left.len() < LEFT_MAX => {
                let what = summary.chars().take(LABEL_CHARS_MAX).collect();
                found.left.push(Left { line, what, why });
            }
            Err(_) => found.left_more += 1,
        }
        if found.holidays.len() + found.workdays.len() > DAYS_MAX {
            return Err(wrong(event.line, &format!("these are more than {DAYS_MAX} days")));
        }
    }
    // A day that is worked is named on purpose: the feast on it is no day off.
    found.holidays.retain(|day, _| !found.workdays.contains_key(day));
    Ok(found)
}

/// Long lines are folded: what begins with a blank goes on.
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            _ if line.is_empty() => {}
            _ => lines.push((at + 1, line.to_owned())),
        }
    }
    lines
}

fn events(lines: &[(usize, String)]) -> Result<Vec<Event<'_>>, BadIcs> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let (mut events, mut last) = (Vec::new(), 1);
    for (number, text) in lines {
        let wrong = |why: String| BadIcs { line: *number, why };
        let shown: String = text.chars().take(40).collect();
        let line = line(*number, text).ok_or_else(|| {
            wrong(format!("{shown:?} is no line of an .ics file: NAME:value is expected"))
        })?;
        last = *number;
        let name = line.name.clone();
        match name.as_str() {
            "BEGIN" => {
                if open.is_empty() && !line.value.eq_ignore_ascii_case("VCALENDAR") {
                    return Err(wrong("BEGIN:VCALENDAR is expected first".to_owned()));
                }
                if line.value.eq_ignore_ascii_case("VEVENT") {
                    events.push(Event { line: *number, lines: Vec::new() });
                }
                open.push((*number, line.value));
            }
            "END" => match open.pop() {
                Some((_, begun)) if begun.eq_ignore_ascii_case(line.value) => {}
                Some((since, begun)) => {
                    return Err(wrong(format!(
                        "END:{} ends what begins as {begun} in line {since}",
                        line.value
                    )));
                }
                None => return Err(wrong("it ends what has not begun".to_owned())),
            },
            _ => match open.last() {
                None => return Err(wrong("BEGIN:VCALENDAR is expected first".to_owned())),
                Some((_, what)) if what.eq_ignore_ascii_case("VEVENT") => {
                    if let Some(event) = events.last_mut() {
                        event.lines.push(line);
                    }
                }
                Some(_) => {}
            },
        }
    }
    match open.first() {
        Some((since, what)) => {
            let why = format!("the file ends, and {what} of line {since} does not");
            Err(BadIcs { line: last, why })
        }
        None if lines.is_empty() => {
            Err(BadIcs { line: 1, why: "BEGIN:VCALENDAR is expected first".to_owned() })
        }
        None => Ok(events),
    }
}

/// `DTSTART;VALUE=DATE:20261001`; a value in quotes may have any sign in it.
fn line(number: usize, text: &str) -> Option<Line<'_>> {
    let mut quoted = false;
    let mut cuts = Vec::new();
    let mut colon = None;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => cuts.push(at),
            ':' if !quoted => {
                colon = Some(at);
                break;
            }
            _ => {}
        }
    }
    let colon = colon?;
    cuts.push(colon);
    let name = &text[..cuts[0]];
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    // Parameters say the zone and the kind of a value: its own form tells as much.
    let is_param = |pair: &[usize]| text[pair[0] + 1..pair[1]].contains('=');
    let line = Line { number, name: name.to_ascii_uppercase(), value: text[colon + 1..].trim() };
    cuts.windows(2).all(is_param).then_some(line)
}

/// A text as it is meant: `\,` is a comma.
fn plain(value: &str) -> String {
    let mut text = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') | None => text.push(' '),
                Some(other) => text.push(other),
            },
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text.trim().to_owned()
}

/// Line and reason.
type Why = (usize, String);

impl<'a> Event<'a> {
    fn get(&self, name: &str) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| line.name == name)
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &Line<'a>> {
        self.lines.iter().filter(move |line| line.name == name)
    }

    /// Whether its days are worked, and which they are.
    fn days(&self, years: (i32, i32), marked: bool) -> Result<(bool, BTreeSet<NaiveDate>), Why> {
        let not = |why: &str| Err((self.line, why.to_owned()));
        if self.get("STATUS").is_some_and(|it| it.value.eq_ignore_ascii_case("CANCELLED")) {
            return not("it is cancelled");
        }
        if let Some(line) = self.get("RECURRENCE-ID") {
            return Err((
                line.number,
                "changes of single days of a rule are not understood".into(),
            ));
        }
        let summary = self.get("SUMMARY").map(|line| plain(line.value)).unwrap_or_default();
        let worked = match self.get("X-APPLE-SPECIAL-DAY").map(|line| line.value) {
            Some("ALTERNATE-WORKDAY") => true,
            Some(_) => false,
            None if marked => {
                return not("it names a day, and does not say that it is off or worked");
            }
            None => WORKED.iter().any(|word| summary.to_lowercase().contains(word)),
        };
        let Some(start) = self.get("DTSTART") else { return not("it has no DTSTART") };
        let first = date(start)?;
        let count = self.length(first)?;
        let mut begins = BTreeSet::from([first]);
        if let Some(rule) = self.get("RRULE") {
            begins.extend(yearly(rule, first, years)?);
        }
        for line in self.all("RDATE") {
            begins.extend(dates(line)?);
        }
        for line in self.all("EXDATE") {
            for day in dates(line)? {
                begins.remove(&day);
            }
        }
        // They may be the same days many times over; what is said of them is bounded nevertheless.
        let length = usize::try_from(count).unwrap_or(usize::MAX);
        if begins.len().saturating_mul(length) > 20 * DAYS_MAX {
            return not("it names more days than a calendar can have");
        }
        let days = begins
            .into_iter()
            .flat_map(|from| from.iter_days().take(usize::try_from(count).unwrap_or_default()));
        Ok((worked, days.collect()))
    }

    /// Its days: until DTEND, which is not in it unless it has a time, or as long as DURATION says.
    fn length(&self, first: NaiveDate) -> Result<u64, Why> {
        let (line, days) = match (self.get("DTEND"), self.get("DURATION")) {
            (Some(line), _) => {
                let end = date(line)?;
                let into =
                    line.value.split_once('T').is_some_and(|(_, time)| !time.starts_with("000000"));
                (line, (end - first).num_days() + i64::from(into))
            }
            (None, Some(line)) => (line, duration(line)?),
            (None, None) => return Ok(1),
        };
        // A moment is of its day.
        let days = u64::try_from(days.max(i64::from(days == 0))).unwrap_or_default();
        match days {
            0 => Err((line.number, "it ends before it begins".to_owned())),
            1..=EVENT_DAYS_MAX => Ok(days),
            _ => {
                Err((line.number, format!("it has {days} days; at most {EVENT_DAYS_MAX} are read")))
            }
        }
    }
}

/// By its date alone, in whatever zone it is written.
fn date(line: &Line) -> Result<NaiveDate, Why> {
    day(line.value).map_err(|why| (line.number, why))
}

fn day(text: &str) -> Result<NaiveDate, String> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    if time.is_some_and(|time| time.ends_with('Z')) {
        return Err(format!(
            "{text:?} is a moment of UTC: which day that is depends on a zone, and a calendar has none"
        ));
    }
    let digits = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.then(|| NaiveDate::parse_from_str(date, "%Y%m%d").ok()).flatten();
    let shown: String = text.chars().take(40).collect();
    parsed.ok_or_else(|| format!("{shown:?} is no date such as 20261001"))
}

fn dates(line: &Line) -> Result<Vec<NaiveDate>, Why> {
    line.value.split(',').map(|text| day(text.trim()).map_err(|why| (line.number, why))).collect()
}

/// `P1D`, `P2W`, `PT24H`: rounded up to days.
fn duration(line: &Line) -> Result<i64, Why> {
    let parsed = || -> Option<i64> {
        let mut hours = 0_i64;
        let mut number = String::new();
        for c in line.value.strip_prefix('P')?.chars() {
            match c {
                'T' => {}
                '0'..='9' if number.len() < 6 => number.push(c),
                unit => {
                    let count: i64 = std::mem::take(&mut number).parse().ok()?;
                    hours += match unit {
                        'W' => count * 168,
                        'D' => count * 24,
                        'H' => count,
                        'M' | 'S' => i64::from(count > 0),
                        _ => return None,
                    };
                }
            }
        }
        Some((hours + 23) / 24)
    };
    parsed().ok_or_else(|| (line.number, format!("{:?} is no duration such as P1D", line.value)))
}

/// A rule that comes each year, on the same date or on such a weekday of a month.
fn yearly(
    line: &Line,
    first: NaiveDate,
    (from, until): (i32, i32),
) -> Result<BTreeSet<NaiveDate>, Why> {
    let not = |why: String| (line.number, why);
    let mut parts: BTreeMap<String, &str> = BTreeMap::new();
    for part in line.value.split(';').filter(|part| !part.is_empty()) {
        let (name, value) =
            part.split_once('=').ok_or_else(|| not(format!("{part:?} is no part of a rule")))?;
        parts.insert(name.to_ascii_uppercase(), value);
    }
    let take =
        |parts: &mut BTreeMap<String, &str>, name: &str| parts.remove(name).map(str::to_owned);
    let freq = take(&mut parts, "FREQ").unwrap_or_default();
    if freq != "YEARLY" {
        return Err(not(format!("of rules only those of each year are understood, not {freq}")));
    }
    let number = |text: Option<String>, default: u32| match text {
        None => Ok(default),
        Some(text) => {
            text.parse().ok().filter(|n| *n > 0).ok_or_else(|| not(format!("{text:?} is no count")))
        }
    };
    let interval = number(take(&mut parts, "INTERVAL"), 1)?;
    let count = number(take(&mut parts, "COUNT"), u32::MAX)?;
    let last = match take(&mut parts, "UNTIL") {
        None => None,
        Some(text) => Some(day(text.trim_end_matches('Z')).map_err(not)?),
    };
    let month = number(take(&mut parts, "BYMONTH"), first.month())?;
    let month_day = number(take(&mut parts, "BYMONTHDAY"), first.day())?;
    let weekday = match take(&mut parts, "BYDAY") {
        None => None,
        Some(text) => Some(nth(&text).ok_or_else(|| {
            not(format!(
                "{text:?}: only one weekday with its number is understood, such as 4TH or -1MO"
            ))
        })?),
    };
    parts.remove("WKST");
    if let Some(name) = parts.keys().next() {
        return Err(not(format!("{name} of a rule is not understood")));
    }
    let mut days = BTreeSet::new();
    let step = usize::try_from(interval).unwrap_or(usize::MAX);
    let years = (first.year()..=until.min(first.year() + 400)).step_by(step);
    let all = years.filter_map(|year| match weekday {
        Some((nth, weekday)) => of_month(year, month, nth, weekday),
        None => NaiveDate::from_ymd_opt(year, month, month_day),
    });
    let counted =
        all.filter(|day| *day >= first).take(usize::try_from(count).unwrap_or(usize::MAX));
    days.extend(counted.filter(|day| last.is_none_or(|last| *day <= last) && day.year() >= from));
    Ok(days)
}

/// `4TH`, `-1MO`.
fn nth(text: &str) -> Option<(i32, Weekday)> {
    const NAMES: [(&str, Weekday); 7] = [
        ("MO", Weekday::Mon),
        ("TU", Weekday::Tue),
        ("WE", Weekday::Wed),
        ("TH", Weekday::Thu),
        ("FR", Weekday::Fri),
        ("SA", Weekday::Sat),
        ("SU", Weekday::Sun),
    ];
    let (name, weekday) = NAMES.into_iter().find(|(name, _)| text.ends_with(name))?;
    let n: i32 = text.strip_suffix(name)?.parse().ok()?;
    (n != 0 && n.unsigned_abs() <= 5).then_some((n, weekday))
}

fn of_month(year: i32, month: u32, nth: i32, weekday: Weekday) -> Option<NaiveDate> {
    if let Ok(n @ 1..) = u8::try_from(nth) {
        return NaiveDate::from_weekday_of_month_opt(year, month, weekday, n);
    }
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    let last = first.checked_add_months(Months::new(1))?.pred_opt()?;
    let back = (last.weekday().days_since(weekday)) + 7 * (nth.unsigned_abs() - 1);
    last.checked_sub_days(Days::new(back.into())).filter(|day| day.month() == month)
}

/// What a file makes of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Days that were not named before.
    pub new: usize,
    /// Those that were something else, or are called differently now.
    pub changed: usize,
    pub same: usize,
    pub left: Vec<Left>,
    pub left_more: usize,
    /// The calendar with them.
    pub spec: CalendarSpec,
}

/// What the file does not name stays as it is.
pub fn merge(before: &CalendarSpec, found: Found) -> Review {
    let mut spec = before.clone();
    let (mut new, mut changed, mut same) = (0, 0, 0);
    let holidays = found.holidays.into_iter().map(|(date, label)| (date, label, false));
    let workdays = found.workdays.into_iter().map(|(date, label)| (date, label, true));
    for (date, label, worked) in holidays.chain(workdays) {
        match (before.day(date), worked) {
            (Day::Holiday(old), false) | (Day::MadeUp(old), true) if old == label => same += 1,
            (Day::Holiday(_) | Day::MadeUp(_), _) => changed += 1,
            (Day::Working | Day::Rest, _) => new += 1,
        }
        spec.holidays.remove(&date);
        spec.workdays.remove(&date);
        let into = if worked { &mut spec.workdays } else { &mut spec.holidays };
        into.insert(date, label);
    }
    let Found { left, left_more, .. } = found;
    Review { new, changed, same, left, left_more, spec }
}

#[cfg(test)]
mod tests;
