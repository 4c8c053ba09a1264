//! Time: which instants are due, what is decided about each, and that none is decided twice.
//!
//! All dispatches stand in one order by their next instant; a step looks at those that are due and
//! at no other. The cursor of a dispatch goes forward only, and with it its row in the order. A
//! firing is bound to the version of the dispatch that it was computed from (rule L6).

use super::calendar;
use super::catalog::{Catalog, Dispatch, Interface};
use super::expand::{After, Again, Members, Start};
use super::mesh::differing;
use super::quiet::{Held, Missing, Quiet};
use super::reason::Reason;
use super::rows::*;
use super::slice::SliceId;
use super::world::{Ask, Now, World};
use shared::ids::*;
use shared::period::{Granularity, Period};
use shared::sabotage::Sabotage;
use shared::spec::Misfire;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Instants that one step decides; the rest waits for the next one, which is due at once.
const AT_ONCE: usize = 1_000;
/// The history that a firing needs is asked for so long before.
const AHEAD_MS: Millis = 30_000;
/// Instants of an edited dispatch that were due before the edit and not decided yet.
const CARRIED_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Heap {
    order: BTreeSet<(Millis, DispatchId)>,
    next: BTreeMap<DispatchId, Millis>,
    /// Due, and history must be loaded first.
    held: BTreeMap<SliceId, BTreeSet<DispatchId>>,
    /// Instants of versions that were edited since, in order.
    carried: BTreeMap<DispatchId, VecDeque<Millis>>,
    /// On-call was told that they skip; a new leader tells it once more.
    skipping: BTreeSet<DispatchId>,
    pub(crate) unfirable: BTreeSet<(DispatchId, Millis)>,
    /// What fires up to here has its history asked for.
    ahead: Millis,
    soon: BTreeSet<DispatchId>,
    /// Only a sabotage looks at it.
    last_firing: BTreeMap<DispatchId, Millis>,
}

impl Heap {
    /// When the first of them is due.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.order.first().map(|(instant, _)| *instant)
    }

    fn set(&mut self, id: DispatchId, next: Option<Millis>) {
        if let Some(old) = self.next.remove(&id) {
            self.order.remove(&(old, id));
        }
        if let Some(next) = next {
            self.next.insert(id, next);
            self.order.insert((next, id));
            if next <= self.ahead {
                self.soon.insert(id);
            }
        }
    }

    /// The slice has come: what was held for it is looked at again.
    pub(crate) fn unhold(&mut self, slice: SliceId) {
        for id in self.held.remove(&slice).into_iter().flatten() {
            if let Some(&next) = self.next.get(&id) {
                self.order.insert((next, id));
            }
        }
    }

    pub(crate) fn fired(&mut self, id: DispatchId, instant: Millis) {
        let last = self.last_firing.entry(id).or_insert(instant);
        *last = instant.max(*last);
    }

    pub(crate) fn purge(&mut self, before: Millis) {
        self.last_firing.retain(|_, last| *last >= before);
    }
}

impl World {
    pub(crate) fn cursor(&self, id: DispatchId) -> Millis {
        let since = self.catalog.dispatches.get(&id).map_or(0, |dispatch| dispatch.since);
        if self.has(Sabotage::CursorFromFirings) {
            return self.heap.last_firing.get(&id).copied().unwrap_or(0).max(since);
        }
        self.table.dispatches.get(&id).map_or(0, |state| state.cursor).max(since)
    }

    /// The first instant of this dispatch after that moment.
    fn instant_after(&mut self, dispatch: &Dispatch, after: Millis) -> Option<Millis> {
        let spec = &dispatch.spec;
        let after = spec.from_ms.map_or(after, |from| after.max(from - 1));
        let cron = self.mesh.crons.get(&spec.cron).ok()?;
        let zone = calendar::zone(&spec.zone).ok()?;
        let next = calendar::next_after(&cron, zone, after)?;
        spec.until_ms.is_none_or(|until| next < until).then_some(next)
    }

    /// Its state or its definition has changed.
    pub(crate) fn reschedule(&mut self, id: DispatchId) {
        let Some(dispatch) = self.catalog.dispatches.get(&id).cloned() else {
            self.heap.carried.remove(&id);
            return self.heap.set(id, None);
        };
        let cursor = self.table.dispatches.get(&id).map_or(0, |state| state.cursor);
        if let Some(carried) = self.heap.carried.get_mut(&id) {
            while carried.front().is_some_and(|instant| *instant <= cursor) {
                carried.pop_front();
            }
            if let Some(&first) = carried.front() {
                return self.heap.set(id, Some(first));
            }
            self.heap.carried.remove(&id);
        }
        let after = self.cursor(id);
        let next = self.instant_after(&dispatch, after);
        self.heap.set(id, next);
    }

    pub(crate) fn reschedule_all(&mut self) {
        let all: Vec<DispatchId> = self.catalog.dispatches.keys().copied().collect();
        all.into_iter().for_each(|id| self.reschedule(id));
    }

    /// Decides what is due.
    pub(crate) fn fire(&mut self, now: Now) {
        let date = match self.has(Sabotage::FireByWall) {
            true => now.wall,
            false if !now.clocks_agree() => return,
            false => now.date,
        };
        for _ in 0..AT_ONCE {
            let Some(&(instant, id)) = self.heap.order.first() else { break };
            if instant > date {
                break;
            }
            self.decide(now, date, id, instant);
            self.work();
        }
        self.look_ahead(date);
    }

    fn decide(&mut self, now: Now, date: Millis, id: DispatchId, instant: Millis) {
        let Some(dispatch) = self.catalog.dispatches.get(&id).cloned() else {
            return self.heap.set(id, None);
        };
        let period = self.period_of(&dispatch, instant);
        let (mut decision, mut why) = self.verdict(&dispatch, instant, date);
        let mut execution = None;
        if decision == Decision::Fired {
            let root = dispatch.spec.interface;
            match self.members(root, period, dispatch.spec.cascade) {
                Ok(members) if !self.has_history(&members) => {
                    return self.hold_firing(id, &members);
                }
                Ok(members) => match self.room(&dispatch, &members) {
                    Ok(after) => {
                        let start = start_of(&dispatch, (instant, period), after);
                        execution = Some(start.id);
                        self.execute(now, &start, &members);
                    }
                    Err(still) => (decision, why) = (Decision::Overlap, Some(still)),
                },
                Err(error) => (decision, why) = (Decision::Failed, Some(error)),
            }
        }
        let told = match decision {
            Decision::Failed => Some(AlertEvent::FiringFailed),
            // Once, and not at each of its instants.
            Decision::Overlap if self.heap.skipping.insert(id) => Some(AlertEvent::FiringSkipped),
            Decision::Fired => {
                self.heap.skipping.remove(&id);
                None
            }
            _ => None,
        };
        if let Some(event) = told {
            let why = why.as_ref().map(Reason::to_string).unwrap_or_default();
            let body = format!("{}: {why}", dispatch.name);
            let alert = Alert {
                project: dispatch.project,
                event,
                execution: None,
                run: None,
                job: None,
                body,
                created: instant,
            };
            self.alert(&id.to_string(), alert);
        }
        let firing = Firing {
            project: dispatch.project,
            version: dispatch.version,
            period,
            decision,
            why: why.map(|why| why.told()).unwrap_or_default(),
            execution,
            decided: now.date,
        };
        self.put(Key::Firing(id, instant), Row::Firing(firing));
        let state = self.table.dispatches.get(&id).copied().unwrap_or_default();
        let state = DispatchState { project: dispatch.project, cursor: instant, ..state };
        self.put(Key::Dispatch(id), Row::Dispatch(state));
    }

    fn verdict(
        &mut self,
        dispatch: &Dispatch,
        instant: Millis,
        date: Millis,
    ) -> (Decision, Option<Reason>) {
        let (id, spec) = (dispatch.id, &dispatch.spec);
        let state = self.table.dispatches.get(&id);
        let is_late = |after_s: u32| instant + Millis::from(after_s) * 1_000 < date;
        let late = is_late(spec.late_s);
        let catalog = Arc::clone(&self.catalog);
        let zone = calendar::zone(&spec.zone).unwrap_or(chrono_tz::UTC); // the instant came of one
        let quiet = Quiet::of(&catalog, spec, zone);
        let dark = |at: Millis| quiet.as_ref().ok().and_then(|quiet| quiet.holding(at));
        // What is due and will not fire, by its day or its hour, is no reason not to make this one good.
        let is_last = |world: &mut World| {
            let carried = world.heap.carried.get(&id);
            let later = carried.into_iter().flatten().filter(|at| **at > instant);
            if later.clone().any(|at| dark(*at).is_none()) {
                return false;
            }
            let after = later.max().copied().unwrap_or(instant);
            let (Ok(cron), Ok(quiet)) = (world.mesh.crons.get(&spec.cron), &quiet) else {
                return true;
            };
            let next =
                quiet.next_outside(&cron, spec.from_ms.map_or(after, |from| after.max(from - 1)));
            next.is_none_or(|next| next > date || spec.until_ms.is_some_and(|until| next >= until))
        };
        let seconds = (date - instant) / 1_000;
        if self.heap.unfirable.contains(&(id, instant)) {
            return (Decision::Failed, Some(Reason::Unstorable {}));
        }
        if state.is_some_and(|state| state.paused) {
            return (Decision::Paused, Some(Reason::DispatchPaused {}));
        }
        if self.mesh.is_interface_frozen(spec.interface) {
            return (Decision::Frozen, Some(Reason::InterfaceFrozen {}));
        }
        if let Err(Missing(id)) = quiet {
            return (Decision::Failed, Some(Reason::NoCalendar { id }));
        }
        if let Some(held) = dark(instant) {
            return held_by(held);
        }
        match spec.misfire {
            Misfire::None if late => (Decision::Misfired, Some(Reason::Late { seconds })),
            Misfire::Last if late && !is_last(self) => {
                (Decision::Misfired, Some(Reason::LateNotLast { seconds }))
            }
            Misfire::Within(limit) if is_late(limit.max(spec.late_s)) => {
                (Decision::Misfired, Some(Reason::TooLate { seconds, limit }))
            }
            _ if late => (Decision::Fired, Some(Reason::Late { seconds })),
            _ => (Decision::Fired, None),
        }
    }

    /// The period that an instant is for: derived from when it was *scheduled*, in the zone of the
    /// interface; by default the one before (T-1).
    pub(crate) fn period_of(&mut self, dispatch: &Dispatch, instant: Millis) -> Period {
        let day = Period::containing(Granularity::Day, instant, chrono_tz::UTC);
        let Some(shape) = self.mesh.current(&self.catalog, dispatch.spec.interface) else {
            return day;
        };
        let period = shape.cut.containing(instant);
        let steps = i64::from(dispatch.spec.period_offset);
        shape.cut.offset(period, -steps).unwrap_or(period)
    }

    fn hold_firing(&mut self, id: DispatchId, members: &Members) {
        if let Some(next) = self.heap.next.get(&id) {
            self.heap.order.remove(&(*next, id));
        }
        for slice in members {
            if !self.slices.is_decidable(*slice) {
                self.heap.held.entry(*slice).or_default().insert(id);
            }
        }
    }

    /// Asks for the history of what fires soon.
    fn look_ahead(&mut self, date: Millis) {
        let until = date + AHEAD_MS;
        let from = self.heap.ahead.max(date).saturating_add(1);
        let mut soon = std::mem::take(&mut self.heap.soon);
        let mut ahead = until;
        if from <= until {
            let first = (from, DispatchId(i64::MIN));
            let last = (until, DispatchId(i64::MAX));
            let due: Vec<_> = self.heap.order.range(first..=last).take(AT_ONCE).copied().collect();
            if due.len() == AT_ONCE {
                ahead = due.last().map_or(until, |(instant, _)| *instant);
            }
            soon.extend(due.into_iter().map(|(_, id)| id));
        }
        self.heap.ahead = self.heap.ahead.max(ahead);
        for id in soon {
            let Some(dispatch) = self.catalog.dispatches.get(&id).cloned() else { continue };
            let Some(&instant) = self.heap.next.get(&id) else { continue };
            let period = self.period_of(&dispatch, instant);
            let cascade = dispatch.spec.cascade;
            if let Ok(members) = self.members(dispatch.spec.interface, period, cascade) {
                self.has_history(&members);
            }
        }
    }

    /// Definitions were edited.
    pub(crate) fn edited(&mut self, now: Now, catalog: Arc<Catalog>) {
        let old = std::mem::replace(&mut self.catalog, catalog);
        self.keep_versions(&old);
        let interfaces = self.mesh.edit(&old, &self.catalog);
        let version = |dispatch: &Dispatch| dispatch.version;
        for id in differing(&old.dispatches, &self.catalog.dispatches, version) {
            if let Some(before) = old.dispatches.get(&id) {
                self.carry(now, before);
            }
            self.reschedule(id);
        }
        for id in interfaces {
            for run in self.mesh.by_interface.get(&id).cloned().unwrap_or_default() {
                if self.mesh.is_interface_frozen(id) {
                    self.unqueue_run(run, &Reason::InterfaceFrozen {});
                }
                self.refresh_run(run);
            }
        }
        self.open_fills();
        if old.hosts != self.catalog.hosts || old.pools != self.catalog.pools {
            self.queue.hosts_edited();
        }
    }

    /// The new definitions name the versions that *stored* live runs have; ours may not be stored yet.
    fn keep_versions(&mut self, old: &Catalog) {
        let mut kept = Vec::new();
        for interface in old.interfaces.values().chain(old.old.values()) {
            let key = (interface.id, interface.version);
            if self.catalog.at(key.0, key.1).is_some() {
                continue;
            }
            let runs = self.mesh.by_interface.get(&key.0).into_iter().flatten();
            let mut runs = runs.filter_map(|run| self.run(*run));
            if runs.any(|run| run.version == key.1) {
                kept.push((key, interface.clone()));
            }
        }
        if !kept.is_empty() {
            Arc::make_mut(&mut self.catalog).old.extend(kept);
        }
    }

    /// Whether the version by which this run was made is known, or known to be gone.
    pub(crate) fn has_version(&mut self, id: InterfaceId, version: i64) -> bool {
        let has = self.catalog.at(id, version).is_some() || self.mesh.gone.contains(&(id, version));
        if !has {
            self.due.load.insert(Ask::Version(id, version));
        }
        has
    }

    pub(crate) fn learn_version(
        &mut self,
        id: InterfaceId,
        version: i64,
        definition: Option<Arc<Interface>>,
    ) {
        match definition {
            Some(_) if self.catalog.at(id, version).is_some() => {}
            Some(definition) => {
                Arc::make_mut(&mut self.catalog).old.insert((id, version), definition);
                self.mesh.forget_shape(id, version);
            }
            None => _ = self.mesh.gone.insert((id, version)),
        }
        self.open_fills_by(id, version);
    }

    /// Instants that were due when the dispatch was edited, and were not decided yet, are decided
    /// nevertheless, under what it says now.
    fn carry(&mut self, now: Now, before: &Dispatch) {
        let id = before.id;
        let Some(since) = self.catalog.dispatches.get(&id).map(|dispatch| dispatch.since) else {
            return;
        };
        let state = self.table.dispatches.get(&id).map_or(0, |state| state.cursor);
        let mut after = state.max(before.since);
        let mut carried = self.heap.carried.remove(&id).unwrap_or_default();
        while carried.len() < CARRIED_MAX
            && let Some(instant) = self.instant_after(before, after)
            && instant <= since.min(now.date)
        {
            carried.push_back(instant);
            after = instant;
        }
        if !carried.is_empty() {
            self.heap.carried.insert(id, carried);
        }
    }
}

fn held_by(held: Held) -> (Decision, Option<Reason>) {
    let (decision, why) = match held {
        Held::Day { calendar, date } => {
            (Decision::Holiday, Reason::NoDay { date, calendar: calendar.to_owned() })
        }
        Held::NoPeriod { calendar, date } => {
            (Decision::Holiday, Reason::NoPeriodOfDay { date, calendar: calendar.to_owned() })
        }
        Held::Window(window) => {
            (Decision::Blackout, Reason::InBlackout { window: window.to_owned() })
        }
    };
    (decision, Some(why))
}

fn start_of(dispatch: &Dispatch, (instant, period): (Millis, Period), after: After) -> Start {
    Start {
        id: ExecutionId::of_firing(dispatch.id, instant),
        origin: Origin::Cron,
        dispatch: Some((dispatch.id, instant)),
        command: None,
        by: None,
        interface: dispatch.spec.interface,
        period,
        cascade: dispatch.spec.cascade,
        params: dispatch.spec.params.clone(),
        again: Again::None,
        part: None,
        paused: false,
        after,
        fill: None,
    }
}
