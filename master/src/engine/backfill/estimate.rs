//! How long a backfill is likely to take, by what its runs have taken before.

use super::{BackfillSpec, Outline};
use crate::engine::blackout::Windows;
use crate::engine::catalog::Catalog;
use serde::Serialize;
use shared::ids::*;
use shared::period::zone;
use shared::spec::SelfDependence;
use std::collections::BTreeMap;

/// What is known of it before it begins; an estimate, not a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// One execution: the longest way through the mesh.
    pub one_ms: Millis,
    /// All that its runs do, one after the other.
    pub work_ms: Millis,
    /// From its beginning to its end, with its slots and its windows. None: its windows do not open
    /// within a week.
    pub elapsed_ms: Option<Millis>,
    /// Interfaces of which nothing has succeeded lately: they are counted as taking no time.
    pub unknown: usize,
}

/// `means`: how long the runs of an interface have taken.
pub fn estimate(
    catalog: &Catalog,
    spec: &BackfillSpec,
    (outline, now): (&Outline, Millis),
    means: &BTreeMap<InterfaceId, Millis>,
) -> Estimate {
    let periods = Millis::try_from(outline.periods).unwrap_or(Millis::MAX);
    let mut until: BTreeMap<InterfaceId, Millis> = BTreeMap::new();
    let (mut work, mut slowest, mut serial, mut unknown) = (0, 0, 0, 0);
    for ((id, _), width) in outline.family.iter().zip(&outline.widths) {
        let Some(interface) = catalog.interfaces.get(id) else { continue };
        let width = Millis::try_from(*width).unwrap_or(Millis::MAX);
        let mean = means.get(id).copied();
        unknown += usize::from(mean.is_none());
        let mean = mean.unwrap_or_default();
        // One that depends on its period before takes them one by one.
        let in_order = interface.spec.self_dependence != SelfDependence::None;
        let own = if in_order { mean.saturating_mul(width) } else { mean };
        let parents = interface.spec.parents.iter();
        let before = parents.filter_map(|parent| until.get(&parent.interface)).max();
        let end = before.copied().unwrap_or_default().saturating_add(own);
        until.insert(*id, end);
        slowest = slowest.max(end);
        if in_order {
            serial = serial.max(own.saturating_mul(periods));
        }
        work += mean.saturating_mul(width).saturating_mul(periods);
    }
    let slots = Millis::from(spec.parallel.max(1));
    let rounds = periods.saturating_add(slots - 1) / slots;
    let busy = rounds.saturating_mul(slowest).max(serial);
    let elapsed_ms = match open_minutes(spec, now) {
        0 => None,
        open => Some(
            (i128::from(busy) * i128::from(WEEK) / i128::from(open))
                .try_into()
                .unwrap_or(Millis::MAX),
        ),
    };
    Estimate { one_ms: slowest, work_ms: work, elapsed_ms, unknown }
}

const MINUTE: Millis = 60_000;
/// In minutes.
const WEEK: Millis = 7 * 24 * 60;

/// How many minutes of the coming week it may begin something in.
fn open_minutes(spec: &BackfillSpec, now: Millis) -> Millis {
    let Some(zone) = zone(&spec.zone).ok().filter(|_| !spec.windows.is_empty()) else {
        return WEEK;
    };
    let windows = Windows::of(&spec.windows, zone);
    let open = (0..WEEK).filter(|minute| windows.holding(now + minute * MINUTE).is_some()).count();
    Millis::try_from(open).unwrap_or_default()
}
