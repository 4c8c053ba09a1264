//! Which periods a backfill has, one after the other.

use super::BackfillSpec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared::period::{Cut, Granularity, Period};
use std::fmt;
use std::str::FromStr;

/// Periods of one granularity from the first to the last, both inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub first: Period,
    pub last: Period,
}

impl Span {
    pub fn one(period: Period) -> Span {
        Span { first: period, last: period }
    }

    fn has(&self, period: Period) -> bool {
        self.first <= period && period <= self.last
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}..{}", self.first, self.last),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let read = |text: &str| text.trim().parse::<Period>().map_err(|why| why.to_string());
        let span = Span { first: read(first)?, last: read(last)? };
        match span {
            _ if span.first.granularity() != span.last.granularity() => {
                Err(format!("{span}: both ends must be of one granularity"))
            }
            _ if span.last < span.first => Err(format!("{span} ends before it begins")),
            _ => Ok(span),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The periods of a backfill in its order: O(log spans) for each.
#[derive(Debug)]
pub struct Line<'a> {
    spans: Vec<Span>,
    skips: Vec<Span>,
    descending: bool,
    cut: &'a Cut,
}

/// In order, those that touch as one.
fn merged(spans: &[Span]) -> Vec<Span> {
    let mut all = spans.to_vec();
    all.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(all.len());
    for span in all {
        match merged.last_mut() {
            Some(last) if span.first <= last.last => last.last = last.last.max(span.last),
            _ => merged.push(span),
        }
    }
    merged
}

/// The same span in periods of that cut: of a coarser one all that begin within. None: they have no
/// common measure.
pub(super) fn refined(span: Span, cut: &Cut) -> Option<Span> {
    let (own, wanted) = (span.first.granularity(), cut.granularity);
    if own == wanted {
        return Some(span);
    }
    // A month does not consist of weeks.
    if own < wanted || wanted == Granularity::Week {
        return None;
    }
    let first = cut.containing(span.first.start_ms(cut.zone));
    let last = cut.containing(span.last.end_ms(cut.zone) - 1);
    Some(Span { first, last })
}

impl<'a> Line<'a> {
    /// A span that has no common measure with the cut was refused, and is left out.
    pub fn new(spec: &BackfillSpec, cut: &'a Cut) -> Line<'a> {
        let all = |spans: &[Span]| {
            let refined: Vec<Span> = spans.iter().filter_map(|span| refined(*span, cut)).collect();
            merged(&refined)
        };
        let (spans, skips) = (all(&spec.spans), all(&spec.skips));
        Line { spans, skips, descending: spec.descending, cut }
    }

    /// The one that comes after that; none: the first of all.
    pub fn after(&self, cursor: Option<Period>) -> Option<Period> {
        match cursor {
            None => self.at_or_after(None),
            Some(cursor) => self.at_or_after(Some(self.step(cursor)?)),
        }
    }

    /// The next one by the clock alone, in this order.
    fn step(&self, period: Period) -> Option<Period> {
        period.offset(if self.descending { -1 } else { 1 }, self.cut.zone)
    }

    fn at_or_after(&self, mut from: Option<Period>) -> Option<Period> {
        // Each turn leaves a skip or a stretch of days off behind.
        loop {
            let period = self.in_span(from)?;
            if let Some(skip) = self.skip_of(period) {
                let end = if self.descending { skip.first } else { skip.last };
                from = Some(self.step(end)?);
            } else if !self.cut.has(period) {
                from = Some(self.cut.offset(period, if self.descending { -1 } else { 1 })?);
            } else {
                return Some(period);
            }
        }
    }

    fn in_span(&self, from: Option<Period>) -> Option<Period> {
        if self.descending {
            let Some(from) = from else { return self.spans.last().map(|span| span.last) };
            let at = self.spans.partition_point(|span| span.first <= from);
            let span = self.spans.get(at.checked_sub(1)?)?;
            return Some(span.last.min(from));
        }
        let Some(from) = from else { return self.spans.first().map(|span| span.first) };
        let at = self.spans.partition_point(|span| span.last < from);
        self.spans.get(at).map(|span| span.first.max(from))
    }

    fn skip_of(&self, period: Period) -> Option<Span> {
        let at = self.skips.partition_point(|skip| skip.last < period);
        self.skips.get(at).filter(|skip| skip.has(period)).copied()
    }
}

impl Iterator for Walk<'_> {
    type Item = Period;

    fn next(&mut self) -> Option<Period> {
        let next = self.line.after(self.cursor)?;
        self.cursor = Some(next);
        Some(next)
    }
}

/// All of them.
#[derive(Debug)]
pub struct Walk<'a> {
    line: &'a Line<'a>,
    cursor: Option<Period>,
}

impl<'a> Line<'a> {
    pub fn all(&'a self) -> Walk<'a> {
        Walk { line: self, cursor: None }
    }

    pub fn all_after(&'a self, cursor: Option<Period>) -> Walk<'a> {
        Walk { line: self, cursor }
    }
}
