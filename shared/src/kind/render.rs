//! Placeholders: `${name}` in arguments and environment values, and nowhere else.
//!
//! Names are parameters and built-ins over the *period*: `${date}` (`%Y%m%d`), `${period}`,
//! `${flow_name}`, `${job_name}`, and date macros `${date:%Y-%m-%d}`, `${date-1:%Y%m%d}`,
//! `${date+2h:%H}`. `$${` is a literal `${`; any other `$` is itself. The text of a script is never
//! rendered: it reads its environment. Called by kinds, and when a definition is saved.

use super::Context;
use crate::period::Period;
use chrono::format::{Item, StrftimeItems};
use chrono::{Days, Months, NaiveDateTime, NaiveTime, TimeDelta};
use std::fmt::Write;

/// Names that a definition cannot give another meaning to.
pub const BUILT_IN: &[&str] = &[
    "date",
    "period",
    "project",
    "interface",
    "flow_name",
    "job",
    "job_name",
    "execution",
    "run",
    "attempt",
];
/// Characters of one rendered text.
pub const TEXT_MAX: usize = 32 * 1024;
/// A parameter may use another, so deep.
const DEPTH_MAX: usize = 8;

/// One piece of a text.
enum Piece<'a> {
    Literal(&'a str),
    Place(&'a str),
}

/// # Errors
/// A `${` without its `}`.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, place) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            found.push(Piece::Literal(literal));
            found.push(Piece::Literal(&place[..2]));
            rest = &place[2..];
            continue;
        }
        found.push(Piece::Literal(before));
        let Some(end) = place.find('}') else {
            let shown: String = place.chars().take(20).collect();
            return Err(format!("{shown:?} has no closing brace; a literal ${{ is written $${{"));
        };
        found.push(Piece::Place(&place[2..end]));
        rest = &place[end + 1..];
    }
    found.push(Piece::Literal(rest));
    Ok(found)
}

/// Fills the placeholders of a text in.
///
/// # Errors
/// An unknown name, a malformed macro, a parameter that needs itself.
pub fn render(text: &str, context: &Context) -> Result<String, String> {
    rendered(text, context, 0)
}

/// The value of one parameter.
///
/// # Errors
/// As [`render`].
pub fn param(name: &str, context: &Context) -> Result<String, String> {
    rendered(context.params.get(name).map_or("", String::as_str), context, 1)
}

fn rendered(text: &str, context: &Context, depth: usize) -> Result<String, String> {
    if depth > DEPTH_MAX {
        return Err(format!(
            "parameters use one another more than {DEPTH_MAX} deep, or in a circle"
        ));
    }
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Place(place) => match context.params.get(place) {
                Some(value) if !BUILT_IN.contains(&place) => {
                    out.push_str(&rendered(value, context, depth + 1)?);
                }
                _ => out.push_str(&built_in(place, context)?),
            },
        }
        if out.len() > TEXT_MAX {
            return Err(format!("longer than {TEXT_MAX} characters once parameters are filled in"));
        }
    }
    Ok(out)
}

fn built_in(place: &str, context: &Context) -> Result<String, String> {
    Ok(match place {
        "date" => date_of(context.period, "%Y%m%d"),
        "period" => context.period.to_string(),
        "project" => context.project.clone(),
        "interface" | "flow_name" => context.interface.clone(),
        "job" | "job_name" => context.job.clone(),
        "execution" => context.execution.to_string(),
        "run" => context.attempt.run.to_string(),
        "attempt" => context.attempt.number.to_string(),
        _ => return date_macro(place, context.period),
    })
}

/// What is wrong with a text whatever the period: its names must be in `known` or built in.
pub fn problems(text: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err(problem) => return vec![problem],
    };
    let any_day = Period::Day(chrono::NaiveDate::default());
    let mut problems = Vec::new();
    for piece in pieces {
        let Piece::Place(place) = piece else { continue };
        if BUILT_IN.contains(&place) || known(place) {
            continue;
        }
        if let Err(problem) = date_macro(place, any_day) {
            problems.push(problem);
        }
    }
    problems
}

/// `date`, a shift, `:` and a strftime format; without a format `%Y%m%d`.
fn date_macro(place: &str, period: Period) -> Result<String, String> {
    let shown: String = place.chars().take(40).collect();
    let unknown = || {
        format!(
            "there is no parameter {shown:?}: declare it in the job's or the interface's \
             parameters, or write $${{{shown}}} for the text itself"
        )
    };
    let rest = place.strip_prefix("date").ok_or_else(unknown)?;
    let (shift, format) = match rest.split_once(':') {
        Some((shift, format)) => (shift, format),
        None => (rest, "%Y%m%d"),
    };
    if !(shift.is_empty() || shift.starts_with(['+', '-'])) {
        return Err(unknown());
    }
    let at = shifted(begin_of(period), shift).ok_or_else(|| {
        format!(
            "${{{shown}}}: {shift:?} is no shift; -1 (days), +2h, -3w, -1m (months) and -1y are"
        )
    })?;
    formatted(at, format).ok_or_else(|| {
        format!("${{{shown}}}: {format:?} is no date format; %Y %m %d %H %M and their kin are")
    })
}

/// The beginning of a period as its own calendar shows it.
fn begin_of(period: Period) -> NaiveDateTime {
    match period {
        Period::Day(day) | Period::Week(day) | Period::Month(day) => day.and_time(NaiveTime::MIN),
        Period::Hour { start, offset } | Period::Minute { start, offset } => {
            let local = start.saturating_add(i64::from(offset)).saturating_mul(60);
            chrono::DateTime::from_timestamp(local, 0).map(|at| at.naive_utc()).unwrap_or_default()
        }
    }
}

fn shifted(at: NaiveDateTime, shift: &str) -> Option<NaiveDateTime> {
    if shift.is_empty() {
        return Some(at);
    }
    let digits = shift.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &shift[digits.len()..];
    let count: i32 = digits.parse().ok()?;
    let size = u64::from(count.unsigned_abs());
    let months = |months: u32| match count < 0 {
        true => at.checked_sub_months(Months::new(months)),
        false => at.checked_add_months(Months::new(months)),
    };
    let days = |days: u64| match count < 0 {
        true => at.checked_sub_days(Days::new(days)),
        false => at.checked_add_days(Days::new(days)),
    };
    match unit {
        "" | "d" => days(size),
        "w" => days(size * 7),
        "h" => at.checked_add_signed(TimeDelta::try_hours(i64::from(count))?),
        "min" => at.checked_add_signed(TimeDelta::try_minutes(i64::from(count))?),
        "m" => months(count.unsigned_abs()),
        "y" => months(count.unsigned_abs().checked_mul(12)?),
        _ => None,
    }
}

/// None when the format is malformed, or asks for what a date without a zone does not have.
fn formatted(at: NaiveDateTime, format: &str) -> Option<String> {
    let items: Vec<Item> = StrftimeItems::new(format).collect();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return None;
    }
    let mut out = String::new();
    write!(out, "{}", at.format_with_items(items.into_iter())).ok()?;
    Some(out)
}

/// The period's first day, in this format.
pub(super) fn date_of(period: Period, format: &str) -> String {
    formatted(begin_of(period), format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::tests::context;

    #[track_caller]
    fn check(period: &str, text: &str, expect: &str) {
        let mut context = context();
        context.period = period.parse().unwrap();
        match render(text, &context) {
            Ok(got) => assert_eq!(got, expect, "{text}"),
            Err(error) => assert!(error.contains(expect), "{text}: {error}"),
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        let day = "2026-03-01";
        check(day, "plain $HOME $1 100%", "plain $HOME $1 100%");
        check(day, "${date} ${period}", "20260301 2026-03-01");
        check(day, "${flow_name}/${job_name}", "flights/load");
        check(day, "${date:%Y-%m-%d}", "2026-03-01");
        check(day, "${date-1:%Y%m%d}", "20260228");
        check(
            day,
            "${date-1}|${date+1w}|${date-1m}|${date-1y:%Y}",
            "20260228|20260308|20260201|2025",
        );
        check(day, "${date:%d}", "01");
        check(day, "a $${date} ${where}", "a ${date} /data");
        check(day, "${inner}", "x/data-20260301");
        check("2026-11-20T13+08:00", "${date:%Y%m%d%H} ${date-1h:%H}", "2026112013 12");
        check("2026-11-20T13:45+08:00", "${date:%H:%M}", "13:45");
        check("2026-W47", "${date} ${period}", "20261116 2026-W47");
        check("2026-11", "${date:%Y%m}", "202611");
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        let day = "2026-03-01";
        check(day, "${nothing}", "no parameter \"nothing\"");
        check(day, "${date", "no closing brace");
        check(day, "${date:%Q}", "no date format");
        check(day, "${date:%z}", "no date format");
        check(day, "${date-x}", "no shift");
        check(day, "${date-99999999999}", "no shift");
        check(day, "${date+999999999y}", "no shift");
        check(day, "${dates}", "no parameter");
        check(day, "${self}", "in a circle");
        check(day, "${}", "no parameter");
        check(day, "${big}${big}", "longer than");
    }

    #[test]
    fn problems_are_found_without_a_period() {
        let known = |name: &str| name == "where";
        assert!(problems("${where}/${date-1:%d}/$${no}", &known).is_empty());
        assert_eq!(problems("${a}${b}", &known).len(), 2);
        assert_eq!(problems("${date:%Q}", &known).len(), 1);
        assert_eq!(problems("${", &known).len(), 1);
    }
}
