//! What keeps an instant of a dispatch from firing by the calendar alone: the days on which it fires,
//! the days that are periods of its interface, and its blackout windows. Firing, preview and heat map
//! ask this one place.

use super::blackout::Windows;
use super::calendar::{self, Cron};
use super::catalog::{Calendar, Catalog};
use chrono::NaiveDate;
use chrono_tz::Tz;
use shared::calendar::On;
use shared::ids::*;
use shared::period::{Granularity, Period};
use shared::spec::DispatchSpec;
use std::sync::Arc;

/// Days and windows that are passed over in search of an instant outside.
const JUMPS_MAX: usize = 1_000;
const MINUTE_MS: Millis = 60_000;

/// A calendar that a definition names is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub CalendarId);

/// Why an instant does not fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// Not a day of its calendar.
    Day {
        calendar: &'a str,
        date: NaiveDate,
    },
    /// Its interface has no period of this day.
    NoPeriod {
        calendar: &'a str,
        date: NaiveDate,
    },
    Window(&'a str),
}

/// All that decides it: two dispatches with the same are quiet alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuietKey {
    zone: String,
    blackouts: Vec<String>,
    days: Option<(CalendarId, i64, On)>,
    period: Option<(CalendarId, i64, String)>,
}

/// Of one dispatch, read once.
#[derive(Clone, Debug)]
pub struct Quiet<'a> {
    days: Option<(&'a Calendar, On)>,
    /// Where the instant's own day is the period: the interface's calendar, in its zone.
    period: Option<(&'a Calendar, Tz)>,
    windows: Windows<'a>,
    zone: Tz,
}

/// The calendar of the interface, if the very day of an instant must be one of it.
fn of_period<'a>(
    catalog: &'a Catalog,
    spec: &DispatchSpec,
) -> Result<Option<(&'a Arc<Calendar>, &'a str)>, Missing> {
    let interface = catalog.interfaces.get(&spec.interface).map(|found| &found.spec);
    let interface = interface.filter(|_| spec.period_offset == 0);
    let interface = interface.filter(|it| it.granularity == Granularity::Day);
    let Some((interface, id)) = interface.and_then(|it| Some((it, it.calendar?))) else {
        return Ok(None);
    };
    Ok(Some((catalog.calendars.get(&id).ok_or(Missing(id))?, &interface.zone)))
}

impl<'a> Quiet<'a> {
    /// # Errors
    /// A calendar is not there.
    pub fn of(
        catalog: &'a Catalog,
        spec: &'a DispatchSpec,
        zone: Tz,
    ) -> Result<Quiet<'a>, Missing> {
        let named = |id| catalog.calendars.get(&id).map(Arc::as_ref).ok_or(Missing(id));
        let days = spec.days.map(|days| Ok((named(days.calendar)?, days.on))).transpose()?;
        let period = of_period(catalog, spec)?;
        let period = period.and_then(|(it, zone)| Some((it.as_ref(), calendar::zone(zone).ok()?)));
        Ok(Quiet { days, period, windows: Windows::of(&spec.blackouts, zone), zone })
    }

    /// What it is made of.
    pub fn key(catalog: &Catalog, spec: &DispatchSpec) -> QuietKey {
        let version = |id| catalog.calendars.get(&id).map_or(0, |it| it.version);
        let days = spec.days.map(|days| (days.calendar, version(days.calendar), days.on));
        let period = of_period(catalog, spec).ok().flatten();
        QuietKey {
            zone: spec.zone.clone(),
            blackouts: spec.blackouts.clone(),
            days,
            period: period.map(|(it, zone)| (it.id, it.version, zone.to_owned())),
        }
    }

    /// Only windows.
    pub fn windows(texts: &'a [String], zone: Tz) -> Quiet<'a> {
        Quiet { days: None, period: None, windows: Windows::of(texts, zone), zone }
    }

    /// The first rule that keeps this instant from firing.
    pub fn holding(&self, at: Millis) -> Option<Held<'a>> {
        if let Some((calendar, on)) = self.days {
            let date = date(at, self.zone);
            if !on.holds(&calendar.spec, date) {
                return Some(Held::Day { calendar: &calendar.name, date });
            }
        }
        if let Some((calendar, zone)) = self.period {
            let date = date(at, zone);
            if !calendar.spec.works(date) {
                return Some(Held::NoPeriod { calendar: &calendar.name, date });
            }
        }
        self.windows.holding(at).map(Held::Window)
    }

    /// Within so long, counted from whole ones since 1970, either all or nothing is held; none: always.
    pub fn grain_ms(&self) -> Option<Millis> {
        // No zone has had days that begin beside a quarter of an hour since 1972.
        let by_day = self.days.is_some() || self.period.is_some();
        match self.windows.is_empty() {
            false => Some(MINUTE_MS),
            true => by_day.then_some(15 * MINUTE_MS),
        }
    }

    /// The first instant of a rule after that moment that nothing holds; none also if so many days and
    /// windows follow each other that none was found.
    pub fn next_outside(&self, cron: &Cron, mut after: Millis) -> Option<Millis> {
        for _ in 0..JUMPS_MAX {
            let at = calendar::next_after(cron, self.zone, after)?;
            let end = match self.holding(at) {
                None => return Some(at),
                Some(Held::Window(_)) => self.windows.end(at),
                Some(Held::Day { date, .. }) => {
                    let (calendar, on) = self.days?;
                    let next = on.next(&calendar.spec, date.succ_opt()?)?;
                    Period::Day(next).start_ms(self.zone)
                }
                Some(Held::NoPeriod { date, .. }) => {
                    let (calendar, zone) = self.period?;
                    Period::Day(calendar.spec.step(date, 1)?).start_ms(zone)
                }
            };
            after = end.max(at + 1) - 1;
        }
        None
    }
}

/// As the periods of a day go: from its first instant to the first of the next.
fn date(at: Millis, zone: Tz) -> NaiveDate {
    match Period::containing(Granularity::Day, at, zone) {
        Period::Day(date) => date,
        _ => NaiveDate::default(),
    }
}
