//! How time is cut into periods: by a granularity and the calendar of a zone.
//!
//! The rule: in one zone, the periods of one granularity follow each other without gap or overlap,
//! whatever the clocks do; a day has 23 to 25 hours, an hour of which clocks change within may be
//! shorter. Days, weeks and months of two zones with the same name count as the same.
//!
//! A daily cut may have a calendar (逻辑账期). Then only its working days are periods, each its own day
//! and no more; steps go over the days between. A day of rest has no period: what asks for that very
//! day gets none, and a step from it leads to the nearest working day.

use super::{Granularity, Period};
use crate::calendar::CalendarSpec;
use crate::ids::Millis;
use crate::spec::PeriodMap;
use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;
use std::sync::Arc;

/// Periods that one period can be mapped to, and periods in a range; beyond that it is refused.
pub const PERIODS_MAX: usize = 2_000;
/// Hours that [`Period::offset`] goes.
const HOURS_MAX: i64 = 20_000;
const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// 9999-12-31T00:00Z: later than that is cut as then.
const LAST: Millis = 253_402_214_400_000;

/// No such zone in the IANA data base.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time zone: a name as Asia/Shanghai or UTC is expected")]
pub struct BadZone(String);

/// # Errors
/// There is no such zone.
pub fn zone(name: &str) -> Result<Tz, BadZone> {
    name.parse().map_err(|_| BadZone(name.chars().take(60).collect()))
}

/// Why periods cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    #[error("these are more than {PERIODS_MAX} periods")]
    TooMany,
    #[error("these periods are before 1970 or after 9999")]
    OutOfRange,
}

/// How one interface cuts time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub granularity: Granularity,
    pub zone: Tz,
    /// Of a daily one: which days are periods.
    pub calendar: Option<Arc<CalendarSpec>>,
}

impl Cut {
    /// # Errors
    /// There is no such zone.
    pub fn new(granularity: Granularity, zone_name: &str) -> Result<Cut, BadZone> {
        Ok(Cut::natural(granularity, zone(zone_name)?))
    }

    /// Without a calendar: every day is one.
    pub fn natural(granularity: Granularity, zone: Tz) -> Cut {
        Cut { granularity, zone, calendar: None }
    }

    /// Only working days are periods, if it is a daily one.
    pub fn with(self, calendar: Option<Arc<CalendarSpec>>) -> Cut {
        let calendar = calendar.filter(|_| self.granularity == Granularity::Day);
        Cut { calendar, ..self }
    }

    /// The period that this instant is in, whether or not it is one of the calendar.
    pub fn containing(&self, instant: Millis) -> Period {
        Period::containing(self.granularity, instant, self.zone)
    }

    /// Whether the calendar has this day; without one it has all.
    pub fn has(&self, period: Period) -> bool {
        match (&self.calendar, period) {
            (Some(calendar), Period::Day(date)) => calendar.works(date),
            _ => true,
        }
    }

    /// As [`Period::offset`], over working days where there is a calendar.
    pub fn offset(&self, period: Period, steps: i64) -> Option<Period> {
        let Some(calendar) = &self.calendar else { return period.offset(steps, self.zone) };
        let Period::Day(date) = period else { return None };
        let to = calendar.step(date, steps).filter(|date| in_range(*date)).map(Period::Day);
        to.filter(|to| self.has(*to))
    }

    /// Whether the period is one of this cut: of its granularity, a day of its calendar, and below a
    /// day written with the offset that the zone has then.
    pub fn accepts(&self, period: Period) -> bool {
        period.granularity() == self.granularity
            && match period {
                Period::Day(_) | Period::Week(_) | Period::Month(_) => self.has(period),
                Period::Hour { .. } | Period::Minute { .. } => {
                    self.containing(period.start_ms(self.zone)) == period
                }
            }
    }
}

/// Minutes east of UTC at that instant; instants beyond the calendar are as its ends.
fn offset_at(instant: Millis, zone: Tz) -> i32 {
    let at = DateTime::from_timestamp_millis(instant.clamp(0, LAST)).unwrap_or_default();
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc().div_euclid(60)
}

fn local_date(instant: Millis, zone: Tz) -> NaiveDate {
    let local = instant.clamp(0, LAST) + Millis::from(offset_at(instant, zone)) * MINUTE;
    DateTime::from_timestamp_millis(local).unwrap_or_default().date_naive()
}

/// When this date begins: usually at midnight; where clocks skip midnight, when they do.
fn date_start(date: NaiveDate, zone: Tz) -> Millis {
    let midnight = date.and_time(chrono::NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.timestamp_millis(),
        LocalResult::None => {
            let utc = midnight.and_utc().timestamp_millis();
            let (mut before, mut after) = ((utc - DAY) / MINUTE, (utc + 2 * DAY) / MINUTE);
            while before + 1 < after {
                let middle = before.midpoint(after);
                match local_date(middle * MINUTE, zone) >= date {
                    true => after = middle,
                    false => before = middle,
                }
            }
            after * MINUTE
        }
    }
}

fn monday(date: NaiveDate) -> NaiveDate {
    let days = Days::new(u64::from(date.weekday().num_days_from_monday()));
    date.checked_sub_days(days).unwrap_or(date)
}

fn first(date: NaiveDate) -> NaiveDate {
    date.with_day(1).unwrap_or(date)
}

fn day_of(date: NaiveDate, granularity: Granularity) -> Period {
    match granularity {
        Granularity::Week => Period::Week(monday(date)),
        Granularity::Month => Period::Month(first(date)),
        Granularity::Minute | Granularity::Hour | Granularity::Day => Period::Day(date),
    }
}

fn add_days(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    let count = Days::new(days.unsigned_abs());
    if days < 0 { date.checked_sub_days(count) } else { date.checked_add_days(count) }
}

fn in_range(date: NaiveDate) -> bool {
    (1969..=9999).contains(&date.year()) // 1970 in UTC begins in 1969 elsewhere
}

impl Period {
    /// The period that this instant is in. Before 1970 and after 9999 the nearest one there is.
    pub fn containing(granularity: Granularity, instant: Millis, zone: Tz) -> Period {
        let instant = instant.clamp(0, LAST);
        let offset = offset_at(instant, zone);
        let local = instant.div_euclid(MINUTE) + i64::from(offset);
        match granularity {
            Granularity::Minute => Period::Minute { start: local - i64::from(offset), offset },
            Granularity::Hour => {
                Period::Hour { start: local.div_euclid(60) * 60 - i64::from(offset), offset }
            }
            Granularity::Day | Granularity::Week | Granularity::Month => {
                let date = local_date(instant, zone);
                // Clocks set back over midnight: the range decides, not the calendar on the wall.
                let date = match date.succ_opt() {
                    _ if instant < date_start(date, zone) => date.pred_opt().unwrap_or(date),
                    Some(next) if instant >= date_start(next, zone) => next,
                    _ => date,
                };
                day_of(date, granularity)
            }
        }
    }

    /// Its first instant.
    pub fn start_ms(self, zone: Tz) -> Millis {
        match self {
            Period::Minute { start, .. } => start * MINUTE,
            Period::Hour { start, offset } => hour_range(start, offset, zone).0,
            Period::Day(date) | Period::Week(date) | Period::Month(date) => date_start(date, zone),
        }
    }

    /// The first instant that is not in it any more.
    pub fn end_ms(self, zone: Tz) -> Millis {
        match self {
            Period::Minute { start, .. } => (start + 1) * MINUTE,
            Period::Hour { start, offset } => hour_range(start, offset, zone).1,
            Period::Day(_) | Period::Week(_) | Period::Month(_) => match self.calendar_offset(1) {
                Some(next) => next.start_ms(zone),
                None => LAST + DAY,
            },
        }
    }

    /// The one so many steps later (negative: earlier); none outside of 1970 to 9999, and none more
    /// than 20,000 hours away.
    pub fn offset(self, steps: i64, zone: Tz) -> Option<Period> {
        match self {
            Period::Minute { start, .. } => {
                let instant = start.checked_add(steps)?.checked_mul(MINUTE)?;
                let range = 0..LAST;
                range
                    .contains(&instant)
                    .then(|| Period::containing(Granularity::Minute, instant, zone))
            }
            // Step by step: where clocks change by half an hour, hours are not all of one length.
            Period::Hour { .. } if steps.abs() > HOURS_MAX => None,
            Period::Hour { .. } => {
                let mut hour = self;
                for _ in 0..steps.abs() {
                    let instant =
                        if steps > 0 { hour.end_ms(zone) } else { hour.start_ms(zone) - 1 };
                    if !(0..LAST).contains(&instant) {
                        return None;
                    }
                    hour = Period::containing(Granularity::Hour, instant, zone);
                }
                Some(hour)
            }
            Period::Day(_) | Period::Week(_) | Period::Month(_) => self.calendar_offset(steps),
        }
    }

    fn calendar_offset(self, steps: i64) -> Option<Period> {
        match self {
            Period::Day(date) => {
                add_days(date, steps).filter(|date| in_range(*date)).map(Period::Day)
            }
            Period::Week(date) => add_days(date, steps.checked_mul(7)?)
                .filter(|date| in_range(*date))
                .map(Period::Week),
            Period::Month(date) => {
                let count = Months::new(u32::try_from(steps.unsigned_abs()).ok()?);
                let to = if steps < 0 {
                    date.checked_sub_months(count)
                } else {
                    date.checked_add_months(count)
                };
                to.filter(|date| in_range(*date)).map(Period::Month)
            }
            Period::Minute { .. } | Period::Hour { .. } => None,
        }
    }

    /// The `count` of a cut before this one, the oldest first.
    ///
    /// # Errors
    /// More than [`PERIODS_MAX`], or before 1970.
    pub fn previous(self, count: u32, of: &Cut) -> Result<Vec<Period>, BadMap> {
        if count as usize > PERIODS_MAX {
            return Err(BadMap::TooMany);
        }
        let mut all = Vec::with_capacity(count as usize);
        let mut period = self;
        for _ in 0..count {
            period = of.offset(period, -1).ok_or(BadMap::OutOfRange)?;
            all.push(period);
        }
        all.reverse();
        Ok(all)
    }

    /// From this one to that one, both included; empty when that one is earlier.
    ///
    /// # Errors
    /// More than [`PERIODS_MAX`], or another granularity.
    pub fn through(self, last: Period, zone: Tz) -> Result<Vec<Period>, BadMap> {
        if self.granularity() != last.granularity() {
            return Err(BadMap::OutOfRange);
        }
        let mut all = Vec::new();
        let mut next = Some(self);
        while let Some(period) = next.filter(|period| period.start_ms(zone) <= last.start_ms(zone))
        {
            if all.len() >= PERIODS_MAX {
                return Err(BadMap::TooMany);
            }
            all.push(period);
            next = if period == last { None } else { period.offset(1, zone) };
        }
        Ok(all)
    }

    /// The periods of another cut that begin within this one, in order; of its calendar, if it has one.
    ///
    /// # Errors
    /// More than [`PERIODS_MAX`].
    pub fn within(self, zone: Tz, target: &Cut) -> Result<Vec<Period>, BadMap> {
        let is_calendar = |granularity| granularity >= Granularity::Day;
        // Dates against dates: two zones' days of one name are the same.
        let cut_zone = if is_calendar(self.granularity()) && is_calendar(target.granularity) {
            target.zone
        } else {
            zone
        };
        let (start, end) = (self.start_ms(cut_zone), self.end_ms(cut_zone));
        let mut next = target.containing(start);
        if next.start_ms(target.zone) < start {
            next = next.offset(1, target.zone).ok_or(BadMap::OutOfRange)?;
        }
        let mut all = Vec::new();
        while next.start_ms(target.zone) < end {
            if all.len() >= PERIODS_MAX {
                return Err(BadMap::TooMany);
            }
            all.push(next);
            match next.offset(1, target.zone) {
                Some(period) => next = period,
                None => break,
            }
        }
        all.retain(|period| target.has(*period));
        Ok(all)
    }

    /// Which periods of a target one period of a waiter (this one, cut by `zone`) needs, in order. None
    /// where the target's calendar has no such day.
    ///
    /// # Errors
    /// More than [`PERIODS_MAX`], or outside of the calendar.
    pub fn map(self, map: PeriodMap, zone: Tz, target: &Cut) -> Result<Vec<Period>, BadMap> {
        let is_finer = target.granularity < self.granularity();
        match map {
            PeriodMap::Same | PeriodMap::AllWithin if is_finer => self.within(zone, target),
            PeriodMap::LastWithin if is_finer => {
                let mut all = self.within(zone, target)?;
                Ok(all.pop().into_iter().collect())
            }
            PeriodMap::Same | PeriodMap::AllWithin | PeriodMap::LastWithin => {
                Ok(self.same(zone, target))
            }
            PeriodMap::Previous(count) => self.base(zone, target).previous(count, target),
            PeriodMap::Offset(0) => Ok(self.same(zone, target)),
            PeriodMap::Offset(steps) => {
                let base = self.base(zone, target);
                let period = target.offset(base, i64::from(steps));
                period.map(|period| vec![period]).ok_or(BadMap::OutOfRange)
            }
        }
    }

    fn same(self, zone: Tz, target: &Cut) -> Vec<Period> {
        Some(self.base(zone, target)).filter(|base| target.has(*base)).into_iter().collect()
    }

    /// The target's period in which this one begins.
    fn base(self, zone: Tz, target: &Cut) -> Period {
        match self {
            Period::Day(date) | Period::Week(date) | Period::Month(date)
                if target.granularity >= Granularity::Day =>
            {
                day_of(date, target.granularity)
            }
            _ => target.containing(self.start_ms(zone)),
        }
    }
}

/// An hour is cut short where the offset it is written with begins or ends within it.
fn hour_range(start: i64, offset: i32, zone: Tz) -> (Millis, Millis) {
    let holds = |minute: &i64| offset_at((start + minute) * MINUTE, zone) == offset;
    let from = (0..60).find(holds).unwrap_or(0);
    let until = (0..60).rev().find(holds).unwrap_or(59) + 1;
    ((start + from) * MINUTE, (start + until) * MINUTE)
}

#[cfg(test)]
mod tests;
