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
use shared::spec::{PeriodMap, SelfDependence};
use std::collections::BTreeSet;
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
    let mut mesh = Mesh::new(catalog);
    let family = family(&mut mesh, catalog, spec);
    if let Some(why) = out_of_order(&family, spec.descending) {
        add("descending", why);
    }
    if let Some(why) = needs_the_whole(&family) {
        add("cascade", why);
    }
    // As with a dispatch: a cascade reaches interfaces that declare other names.
    errors.extend(params::check(&spec.params, &is_variable));
    errors
}

/// Whether this member is made with this period of the root, which the other one comes after: what is
/// coarser, the month of a day, is made once, with the last that the backfill has within it.
pub(super) fn is_its_turn(
    family: &[Arc<Shape>],
    (period, next): (Period, Option<Period>),
    (at, of): (usize, Period),
) -> bool {
    if of.granularity() <= period.granularity() {
        return true;
    }
    let (Some(next), Some(root), Some(member)) = (next, family.first(), family.get(at)) else {
        return true;
    };
    let again = next.map(PeriodMap::Same, root.cut.zone, &member.cut);
    !again.is_ok_and(|periods| periods.contains(&of))
}

/// One that is made with each period of the root, and needs something coarser, which is made with the
/// last one: it would hold a slot until then, or be fed by what was there before.
fn needs_the_whole(family: &[Arc<Shape>]) -> Option<String> {
    let root = family.first()?;
    let of = |id: InterfaceId| family.iter().find(|shape| shape.interface.id == id);
    let fine = family.iter().filter(|shape| shape.granularity() <= root.granularity());
    for shape in fine {
        let parents = shape.interface.spec.parents.iter().map(|parent| parent.interface);
        let needs = shape.interface.jobs.iter().flat_map(|job| &job.spec.needs);
        let mut edges = parents.chain(needs.map(|need| need.interface));
        let whole = edges.find_map(|id| of(id).filter(|of| of.granularity() > root.granularity()));
        if let Some(whole) = whole {
            let (name, whole) = (&shape.interface.name, &whole.interface.name);
            return Some(format!(
                "{name} needs {whole}, which is made when all periods within it are: backfill it apart"
            ));
        }
    }
    None
}

/// Who needs a period of the family that is made after its own would wait for it in a slot which that
/// one needs, or be fed by what was there before.
fn out_of_order(family: &[Arc<Shape>], descending: bool) -> Option<String> {
    let members: BTreeSet<InterfaceId> = family.iter().map(|shape| shape.interface.id).collect();
    let wrong = |map: PeriodMap| match map {
        PeriodMap::Previous(_) => descending,
        PeriodMap::Offset(n) => {
            if descending {
                n < 0
            } else {
                n > 0
            }
        }
        _ => false,
    };
    for shape in family {
        let (name, spec) = (&shape.interface.name, &shape.interface.spec);
        if descending && spec.self_dependence == SelfDependence::Succeeded {
            return Some(format!(
                "{name} depends on its period before: the oldest must come first"
            ));
        }
        let parents = spec.parents.iter().map(|parent| (parent.interface, parent.map));
        let needs = shape.interface.jobs.iter().flat_map(|job| &job.spec.needs);
        let needs = needs.map(|need| (need.interface, need.map));
        let mut edges = parents.chain(needs);
        if edges.any(|(of, map)| members.contains(&of) && wrong(map)) {
            return Some(match descending {
                true => format!(
                    "{name} needs an earlier period of what is made too: the oldest must come first"
                ),
                false => format!(
                    "{name} needs a later period of what is made too: the newest must come first"
                ),
            });
        }
    }
    None
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
    let mut all = line.all().peekable();
    while let Some(period) = all.next() {
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
        let next = all.peek().copied();
        members_of(&family, period, |at, of| {
            counts[at] += usize::from(is_its_turn(&family, (period, next), (at, of)));
        })?;
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
