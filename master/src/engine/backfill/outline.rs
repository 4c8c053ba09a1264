//! What a backfill would do, before it does: checked, and in numbers.

use super::line::{Line, Span, refined};
use super::{BackfillSpec, PARALLEL_MAX, PERIODS_MAX, RUNS_MAX, SPANS_MAX};
use crate::engine::blackout;
use crate::engine::catalog::Catalog;
use crate::engine::dag::Shape;
use crate::engine::expand::members_of;
use crate::engine::mesh::Mesh;
use crate::engine::params;
use crate::engine::reason::Reason;
use shared::ids::*;
use shared::kind::{FieldError, check::is_variable};
use shared::period::{Period, zone};
use shared::spec::SelfDependence;
use std::sync::Arc;

/// In numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Executions: one for each period.
    pub periods: usize,
    pub first: Period,
    pub last: Period,
    /// At most: some may have succeeded, or live already.
    pub runs: u64,
    pub jobs: u64,
    /// The interface and what descends from it, parents first, each with the version of now.
    pub family: Vec<(InterfaceId, i64)>,
    /// How many of each of the family one period of the root has, at most.
    pub widths: Vec<usize>,
}

/// What is wrong with it, beside its fields.
pub fn check(catalog: &Catalog, spec: &BackfillSpec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut add = |path: &str, message: String| errors.push(FieldError::new(path, message));
    let Some(interface) = catalog.interfaces.get(&spec.interface) else {
        add("interface", format!("there is no interface {}", spec.interface));
        return errors;
    };
    if !(1..=PARALLEL_MAX).contains(&spec.parallel) {
        add("parallel", format!("{} is out of range: 1 to {PARALLEL_MAX}", spec.parallel));
    }
    if spec.failures_max > 10_000 {
        add("failures_max", format!("{} is out of range: 0 to 10000", spec.failures_max));
    }
    if spec.spans.is_empty() {
        add("spans", "at least one period is asked for, as 2026-01-01..2026-01-31".into());
    }
    let cut = catalog.cut(&interface.spec);
    for (path, spans) in [("spans", &spec.spans), ("skips", &spec.skips)] {
        if spans.len() > SPANS_MAX {
            add(path, format!("{} spans; at most {SPANS_MAX} are allowed", spans.len()));
        }
        let Ok(cut) = &cut else { continue };
        let odd = |span: &&Span| refined(**span, cut).is_none();
        if let Some(span) = spans.iter().take(SPANS_MAX).find(odd) {
            let of = format!("{:?}", cut.granularity).to_lowercase();
            add(
                path,
                format!("{span} is no span of {}, whose granularity is {of}", interface.name),
            );
        }
    }
    if let Err(why) = zone(&spec.zone) {
        add("zone", why.to_string());
    }
    if spec.windows.len() > blackout::WINDOWS_MAX {
        add("windows", format!("at most {} windows are allowed", blackout::WINDOWS_MAX));
    }
    for window in spec.windows.iter().take(blackout::WINDOWS_MAX) {
        if let Err(why) = blackout::parse(window) {
            add("windows", why);
        }
    }
    if spec.descending {
        // The newest would wait for one that is made after it, for as long as that has failed.
        let mut mesh = Mesh::new(catalog);
        let family = family(&mut mesh, catalog, spec);
        let waits =
            |shape: &&Arc<Shape>| shape.interface.spec.self_dependence == SelfDependence::Succeeded;
        if let Some(shape) = family.iter().find(waits) {
            let name = &shape.interface.name;
            let why = format!("{name} depends on its period before: the oldest must come first");
            add("descending", why);
        }
    }
    // As with a dispatch: a cascade reaches interfaces that declare other names.
    errors.extend(params::check(&spec.params, &is_variable));
    errors
}

/// The interface and, with a cascade, what descends from it, parents first.
pub(super) fn family(mesh: &mut Mesh, catalog: &Catalog, spec: &BackfillSpec) -> Vec<Arc<Shape>> {
    let ids = match spec.cascade {
        true => mesh.family(catalog, spec.interface).to_vec(),
        false => vec![spec.interface],
    };
    ids.into_iter().filter_map(|id| mesh.current(catalog, id)).collect()
}

/// What it would do. `check` has found nothing wrong.
///
/// # Errors
/// It has no period, or too many.
pub fn outline(catalog: &Catalog, spec: &BackfillSpec) -> Result<Outline, Reason> {
    count(&mut Mesh::new(catalog), catalog, spec)
}

pub(super) fn count(
    mesh: &mut Mesh,
    catalog: &Catalog,
    spec: &BackfillSpec,
) -> Result<Outline, Reason> {
    let family = family(mesh, catalog, spec);
    let root = family.first().ok_or(Reason::NoInterface { id: spec.interface })?;
    let line = Line::new(spec, &root.cut);
    let mut widths = vec![0; family.len()];
    let (mut periods, mut runs, mut jobs) = (0, 0, 0);
    let mut ends = None;
    for period in line.all() {
        periods += 1;
        if periods > PERIODS_MAX {
            return Err(Reason::TooManyPeriods { n: PERIODS_MAX });
        }
        let (first, _) = ends.unwrap_or((period, period));
        ends = Some((first, period));
        if let [only] = family.as_slice() {
            (widths[0], runs, jobs) = (1, runs + 1, jobs + only.nodes.len() as u64);
            continue;
        }
        let mut counts = vec![0; family.len()];
        members_of(&family, period, |at, _| counts[at] += 1)?;
        for (at, count) in counts.into_iter().enumerate() {
            widths[at] = widths[at].max(count);
            runs += count as u64;
            jobs += (count * family[at].nodes.len()) as u64;
        }
        if runs > RUNS_MAX {
            return Err(Reason::TooManyRunsFilled { n: RUNS_MAX });
        }
    }
    let (first, last) = ends.ok_or(Reason::NoPeriodLeft {})?;
    let of = |shape: &Arc<Shape>| (shape.interface.id, shape.interface.version);
    let family = family.iter().map(of).collect();
    Ok(Outline { periods, first, last, runs, jobs, family, widths })
}
