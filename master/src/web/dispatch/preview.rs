//! When a dispatch would fire: by the function that fires ([`calendar`]), so that what is shown is
//! what happens.

use super::super::Page;
use super::super::error::{Error, Result};
use super::super::form::Form;
use super::super::interface::rule_in_words;
use super::super::zone;
use super::{ahead, edit};
use crate::engine::calendar;
use crate::engine::catalog::Catalog;
use crate::engine::quiet::{Held, Missing, Quiet, QuietKey};
use axum::Json;
use axum::extract::Query;
use axum::response::IntoResponse;
use chrono_tz::Tz;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::{Deserialize, Serialize};
use shared::ids::*;
use shared::kind::FieldError;
use shared::spec::DispatchSpec;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

const SHOWN: usize = 10;
const COUNT_MAX: usize = 100;
/// Rules whose next instant is remembered.
const RULES_MAX: usize = 50_000;

/// One instant to come.
#[derive(Clone, Debug, Serialize)]
pub struct Firing {
    pub instant_ms: Millis,
    /// In the dispatch's zone, with its offset.
    pub local: String,
    /// In the viewer's, where the clock there shows something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// The blackout window that it is in: it will not fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackout: Option<String>,
    /// The calendar of which its day is none: it will not fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holiday: Option<String>,
    /// The data's period: none while the interface is not known.
    pub period: Option<String>,
}

/// What makes a rule: two dispatches with the same have the same next instant.
type Rule = (String, QuietKey, Option<Millis>, Option<Millis>);

/// The next instant of every rule, kept until it has passed: lists of ten thousand dispatches parse
/// none of them anew.
#[derive(Debug, Default)]
pub struct Upcoming(Mutex<HashMap<Rule, (Millis, Option<Millis>)>>);

impl Upcoming {
    /// The first instant after now, if there is one.
    pub fn next(&self, catalog: &Catalog, spec: &DispatchSpec, now: Millis) -> Option<Millis> {
        let rule = (spec.cron.clone(), Quiet::key(catalog, spec), spec.from_ms, spec.until_ms);
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, next)) = lock().get(&rule)
            && *asked <= now
            && next.is_none_or(|next| now < next)
        {
            return *next;
        }
        let next = first_that_fires(catalog, spec, now);
        // Behind very many windows and days there may be one that was not found.
        if next.is_none() && !(spec.blackouts.is_empty() && spec.days.is_none()) {
            return None;
        }
        let mut known = lock();
        if known.len() >= RULES_MAX {
            known.clear();
        }
        known.insert(rule, (now, next));
        next
    }
}

/// On its days, outside of its blackout windows.
fn first_that_fires(catalog: &Catalog, spec: &DispatchSpec, now: Millis) -> Option<Millis> {
    let (cron, zone) = (calendar::parse(&spec.cron).ok()?, calendar::zone(&spec.zone).ok()?);
    let after = spec.from_ms.map_or(now, |from| now.max(from - 1));
    let next = Quiet::of(catalog, spec, zone).ok()?.next_outside(&cron, after)?;
    spec.until_ms.is_none_or(|until| next < until).then_some(next)
}

/// Inside of the dispatch's window: from inclusive, until exclusive.
fn instants(
    spec: &DispatchSpec,
    now: Millis,
    count: usize,
) -> Result<impl Iterator<Item = Millis>, FieldError> {
    let wrong = |path: &str, error: calendar::BadCron| FieldError::new(path, error.to_string());
    let cron = calendar::parse(&spec.cron).map_err(|error| wrong("cron", error))?;
    let zone = calendar::zone(&spec.zone).map_err(|error| wrong("zone", error))?;
    let after = spec.from_ms.map_or(now, |from| now.max(from - 1));
    let until = spec.until_ms.unwrap_or(Millis::MAX);
    Ok(calendar::instants(cron, zone, after).take(count).take_while(move |at| *at < until))
}

/// The data's period of an instant: none while the interface is not known.
pub(super) fn period(catalog: &Catalog, spec: &DispatchSpec, at: Millis) -> Option<String> {
    let cut = catalog.cut(&catalog.interfaces.get(&spec.interface)?.spec).ok()?;
    Some(cut.offset(cut.containing(at), -i64::from(spec.period_offset))?.to_string())
}

/// # Errors
/// The cron text or the zone is not understood.
pub(super) fn firings(
    catalog: &Catalog,
    spec: &DispatchSpec,
    (now, count): (Millis, usize),
    own: Tz,
) -> Result<Vec<Firing>, FieldError> {
    let zone =
        calendar::zone(&spec.zone).map_err(|error| FieldError::new("zone", error.to_string()))?;
    let own = |at: Millis| {
        let shown = zone::moment(at, own);
        (shown != zone::moment(at, zone)).then_some(shown)
    };
    let quiet = Quiet::of(catalog, spec, zone).map_err(|Missing(id)| {
        FieldError::new("days.calendar", format!("there is no calendar {id}"))
    })?;
    let firing = |at: Millis| {
        let (blackout, holiday) = match quiet.holding(at) {
            None => (None, None),
            Some(Held::Window(window)) => (Some(window.to_owned()), None),
            Some(Held::Day { calendar, .. } | Held::NoPeriod { calendar, .. }) => {
                (None, Some(calendar.to_owned()))
            }
        };
        let (local, period) = (calendar::show(zone, at), period(catalog, spec, at));
        Firing { instant_ms: at, local, own: own(at), blackout, holiday, period }
    };
    Ok(instants(spec, now, count)?.map(firing).collect())
}

/// Interfaces that a cascade would make runs of: the one and its descendants.
fn cascade(catalog: &Catalog, spec: &DispatchSpec) -> (usize, usize) {
    let mut seen = BTreeSet::from([spec.interface]);
    let mut open = vec![spec.interface];
    while let Some(at) = open.pop().filter(|_| spec.cascade) {
        for (id, interface) in &catalog.interfaces {
            if interface.spec.parents.iter().any(|p| p.interface == at) && seen.insert(*id) {
                open.push(*id);
            }
        }
    }
    let found = seen.iter().filter_map(|id| catalog.interfaces.get(id));
    let jobs = found.map(|interface| interface.jobs.len()).sum();
    (seen.len(), jobs)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Edited {
    /// Of the form; a new one has none.
    id: Option<i64>,
}

/// Beside the form, while it is typed.
pub(super) async fn part(page: Page, Query(edited): Query<Edited>, mut form: Form) -> Result {
    let catalog = page.app.catalog().await?;
    let spec = edit::read(&mut form).spec;
    let now = page.app.clock.wall_ms();
    let (firings, error) = match firings(&catalog, &spec, (now, SHOWN), page.viewer()?.zone) {
        Ok(firings) => (firings, None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    let known = catalog.interfaces.get(&spec.interface);
    let (interfaces, jobs) = if known.is_some() { cascade(&catalog, &spec) } else { (0, 0) };
    let frozen = known.is_some_and(|interface| interface.spec.frozen);
    let (rule, ahead) = match error {
        None => {
            let edited = edited.id.map(DispatchId);
            let ahead = ahead::picture(&page, &catalog, &spec, edited).await?;
            (rule_in_words(&spec.cron, page.lang), ahead)
        }
        Some(_) => (String::new(), Value::from(())),
    };
    page.render(
        "dispatch/preview.html",
        context! {
            firings => Serde(firings), error, rule, interfaces, jobs, zone_of => spec.zone, frozen,
            ahead, overlap => edit::overlap_words(spec.overlap).0,
            misfire => edit::misfire_words(spec.misfire).0,
        },
    )
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    cron: String,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    interface: Option<i64>,
    #[serde(default)]
    period_offset: Option<i32>,
    #[serde(default)]
    count: Option<usize>,
}

/// `GET /api/v1/dispatches/preview?cron=…&zone=…&interface=…&period_offset=…&count=…`
pub(super) async fn api(page: Page, Query(asked): Query<Asked>) -> Result {
    let catalog = page.app.catalog().await?;
    let mut json = serde_json::json!({
        "interface": asked.interface.unwrap_or_default(), "cron": asked.cron,
        "zone": asked.zone.unwrap_or_else(|| page.app.config.web.zone.clone()),
    });
    if let Some(offset) = asked.period_offset {
        json["period_offset"] = offset.into();
    }
    let spec: DispatchSpec = serde_json::from_value(json).map_err(anyhow::Error::from)?;
    let count = asked.count.unwrap_or(SHOWN).min(COUNT_MAX);
    let firings = firings(&catalog, &spec, (page.app.clock.wall_ms(), count), page.viewer()?.zone)
        .map_err(|error| Error::invalid(vec![error]))?;
    let rule = rule_in_words(&spec.cron, page.lang);
    Ok(Json(serde_json::json!({ "items": firings, "next": null, "rule": rule })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_instant_is_remembered_until_it_has_passed() {
        let json = serde_json::json!({"interface": 1, "cron": "0 * * * *", "zone": "UTC"});
        let spec: DispatchSpec = serde_json::from_value(json).unwrap();
        let upcoming = Upcoming::default();
        const HOUR: Millis = 3_600_000;
        for (now, next) in [(0, 1), (1, 1), (HOUR - 1, 1), (HOUR, 2), (HOUR + 5, 2), (5, 1)] {
            assert_eq!(upcoming.next(&Catalog::default(), &spec, now), Some(next * HOUR), "{now}");
        }
    }
}
