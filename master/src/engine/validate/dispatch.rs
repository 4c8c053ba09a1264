//! What is wrong with a dispatch.

use super::super::catalog::Catalog;
use super::super::{blackout, calendar, params};
use super::{DAY_S, DESCRIPTION_CHARS_MAX, Errors, taken};
use shared::ids::*;
use shared::kind::{FieldError, check::is_variable};
use shared::spec::*;

/// The first day that every zone's rules are known for: 2026-01-01, UTC.
const FIRST_DAY: Millis = 1_767_225_600_000;
/// The end of the year 9999.
const INSTANT_MAX: Millis = 253_402_300_799_999;

#[derive(Clone, Copy, Debug)]
pub struct DispatchDraft<'a> {
    pub id: Option<DispatchId>,
    pub project: ProjectId,
    pub name: &'a str,
    pub spec: &'a DispatchSpec,
}

pub fn check_dispatch(catalog: &Catalog, draft: &DispatchDraft) -> Vec<FieldError> {
    let twin = catalog.dispatches.values().find(|other| {
        Some(other.id) != draft.id && other.project == draft.project && other.name == draft.name
    });
    let mut errors = taken(twin.map(|twin| format!("dispatch {} has this name already", twin.id)));
    errors.extend(dispatch_fields(catalog, draft));
    errors
}

/// Whether two firings of it are closer than an operator allows; a rule that was there before stays.
pub fn too_often(
    old: Option<&DispatchSpec>,
    spec: &DispatchSpec,
    min_interval_s: u32,
) -> Option<FieldError> {
    /// So many firings are looked at: a year of days, two weeks of hours.
    const LOOKED_AT: usize = 400;
    let rule = |spec: &DispatchSpec| (spec.cron.clone(), spec.zone.clone(), spec.from_ms);
    let least = Millis::from(min_interval_s) * 1_000;
    if least == 0 || old.is_some_and(|old| rule(old) == rule(spec)) {
        return None;
    }
    let (cron, zone) = (calendar::parse(&spec.cron).ok()?, calendar::zone(&spec.zone).ok()?);
    let from = spec.from_ms.unwrap_or(FIRST_DAY);
    let instants = calendar::next_many(&cron, zone, from - 1, LOOKED_AT);
    let gap = instants.windows(2).map(|two| two[1] - two[0]).min().filter(|gap| *gap < least)?;
    let seconds = gap / 1_000;
    let message = format!(
        "it fires twice within {seconds} s; at least {min_interval_s} s between two firings are asked \
         for here (dispatch.min_interval_s)"
    );
    Some(FieldError::new("cron", message))
}

/// As [`super::interface_fields`].
pub fn dispatch_fields(catalog: &Catalog, draft: &DispatchDraft) -> Vec<FieldError> {
    let (mut errors, spec) = (Errors::default(), draft.spec);
    errors.name(draft.name);
    errors.chars("description", &spec.description, DESCRIPTION_CHARS_MAX);
    let interface = catalog.interfaces.get(&spec.interface);
    if interface.is_none_or(|interface| interface.project != draft.project) {
        let message = format!("there is no interface {} in this project", spec.interface);
        errors.add("interface", message);
    }
    let instants = [("from_ms", spec.from_ms), ("until_ms", spec.until_ms)];
    for (path, at) in instants {
        errors.range(path, at.unwrap_or_default(), 0, INSTANT_MAX);
    }
    // Nothing can be reckoned from an instant that no calendar has.
    let from = spec.from_ms.filter(|from| (0..=INSTANT_MAX).contains(from));
    match (calendar::parse(&spec.cron), calendar::zone(&spec.zone)) {
        (Err(problem), _) => errors.add("cron", problem.to_string()),
        (Ok(_), Err(problem)) => errors.add("zone", problem.to_string()),
        (Ok(cron), Ok(zone)) => {
            if calendar::next_after(&cron, zone, from.unwrap_or(FIRST_DAY)).is_none() {
                errors.add("cron", format!("it never comes true in {}", spec.zone));
            }
        }
    }
    errors.range("period_offset", spec.period_offset, -1_000, 1_000);
    errors.range("late_s", spec.late_s, 1, i64::from(7 * DAY_S));
    if let Overlap::Parallel(most) = spec.overlap {
        errors.range("overlap.parallel", most, 1, 1_000);
    }
    if spec.blackouts.len() > blackout::WINDOWS_MAX {
        let message = format!("at most {} windows are allowed", blackout::WINDOWS_MAX);
        errors.add("blackouts", message);
    }
    for window in spec.blackouts.iter().take(blackout::WINDOWS_MAX) {
        if let Err(why) = blackout::parse(window) {
            errors.add("blackouts", why);
        }
    }
    super::calendar::check_days(&mut errors, catalog, (draft.project, spec));
    if let Misfire::Within(seconds) = spec.misfire {
        errors.range("misfire.within", seconds, 1, i64::from(400 * DAY_S));
    }
    if let (Some(from), Some(until)) = (spec.from_ms, spec.until_ms)
        && from >= until
    {
        errors.add("until_ms", "it ends before it begins");
    }
    // With a cascade they reach interfaces that declare other names: any name may be given.
    errors.0.extend(params::check(&spec.params, &is_variable));
    errors.0
}
