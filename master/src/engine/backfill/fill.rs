//! Making the executions of backfills: each step, as many as slots are open.

use super::line::{Line, Span, refined};
use super::outline::{count, family, is_its_turn};
use super::{BackfillSpec, LIVE_MAX, check};
use crate::engine::blackout::Windows;
use crate::engine::dag::Shape;
use crate::engine::expand::{After, Again, Fill, Members, Start, accept, members_of};
use crate::engine::reason::Reason;
use crate::engine::rows::*;
use crate::engine::slice::SliceId;
use crate::engine::world::{Now, World};
use shared::ids::*;
use shared::period::{Period, zone};
use shared::sabotage::Sabotage;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Rows of runs and jobs after which a step makes no further execution; the rest waits for the next step,
/// which is due at once.
const ROWS_AT_ONCE: usize = 2_000;

#[derive(Debug, Default)]
pub(crate) struct Fills {
    /// Perhaps they can go on now.
    open: BTreeSet<CommandId>,
    /// History must be loaded first.
    held: BTreeMap<SliceId, BTreeSet<CommandId>>,
    /// Outside of their windows until then.
    asleep: BTreeSet<(Millis, CommandId)>,
    /// The same: a window is searched for minute by minute, once and not at each edit of something.
    until: BTreeMap<CommandId, Millis>,
    /// In which step.
    ended: VecDeque<(u64, CommandId)>,
}

impl Fills {
    /// When one of them can go on by time alone.
    pub(crate) fn next(&self, now: Millis) -> Option<Millis> {
        let opens = self.asleep.first().map(|(at, _)| *at);
        if self.open.is_empty() { opens } else { Some(now) }
    }

    pub(crate) fn open(&mut self, id: CommandId) {
        self.open.insert(id);
    }

    fn sleep(&mut self, id: CommandId, until: Millis) {
        self.wake(id);
        self.until.insert(id, until);
        self.asleep.insert((until, id));
    }

    fn wake(&mut self, id: CommandId) {
        if let Some(until) = self.until.remove(&id) {
            self.asleep.remove(&(until, id));
        }
    }

    fn wake_due(&mut self, now: Millis) {
        while let Some(&(at, id)) = self.asleep.first()
            && at <= now
        {
            self.wake(id);
            self.open(id);
        }
    }

    fn sleeps_past(&self, id: CommandId, now: Millis) -> bool {
        self.until.get(&id).is_some_and(|until| *until > now)
    }

    /// The slice has come: what was held for it is looked at again.
    pub(crate) fn unhold(&mut self, slice: SliceId) {
        self.open.extend(self.held.remove(&slice).into_iter().flatten());
    }
}

/// What becomes of a backfill that is looked at.
enum Next {
    /// It has made one of so many rows, and may make another.
    Made(usize),
    /// It waits for what opens it again.
    Rest,
    /// It cannot go on until a person has done something.
    Pause(Reason),
}

impl World {
    pub(in crate::engine) fn index_backfill(&mut self, id: CommandId) {
        match self.table.backfills.get(&id).map(|row| row.state) {
            Some(BackfillState::Running | BackfillState::Paused) => self.fills.open(id),
            Some(BackfillState::Cancelled | BackfillState::Ended) => {
                self.fills.wake(id);
                self.fills.ended.push_back((self.step, id));
            }
            None => {}
        }
    }

    /// Definitions are not what they were: all that run are looked at.
    pub(in crate::engine) fn open_fills(&mut self) {
        self.open_fills_of(|_| true);
    }

    /// That version has come, or is known to be gone.
    pub(in crate::engine) fn open_fills_by(&mut self, id: InterfaceId, version: i64) {
        self.open_fills_of(|row| row.pins.contains(&(id, version)));
    }

    fn open_fills_of(&mut self, which: impl Fn(&Backfill) -> bool) {
        let rows = self.table.backfills.iter();
        let running = rows.filter(|(_, row)| row.state == BackfillState::Running && which(row));
        self.fills.open.extend(running.map(|(id, _)| *id));
    }

    pub(in crate::engine) fn fill(&mut self, now: Now) {
        // A window is judged by the date, and so is what a run waits for.
        if !now.clocks_agree() {
            return;
        }
        self.fills.wake_due(now.date);
        let mut rows = 0;
        while let Some(id) = self.fills.open.pop_first() {
            loop {
                if rows >= ROWS_AT_ONCE {
                    return self.fills.open(id);
                }
                match self.fill_one(now, id) {
                    Next::Made(more) => rows += more,
                    Next::Rest => break,
                    Next::Pause(why) => {
                        self.pause_fill(id, &why);
                        break;
                    }
                }
                // One whose runs have all succeeded has ended by now, and leaves its slot.
                self.work();
                if self
                    .table
                    .backfills
                    .get(&id)
                    .is_none_or(|row| row.state != BackfillState::Running)
                {
                    break;
                }
            }
        }
    }

    fn fill_one(&mut self, now: Now, id: CommandId) -> Next {
        let Some(row) = self.table.backfills.get(&id).cloned() else { return Next::Rest };
        let live = self.folds.filling(id).take(row.spec.parallel as usize).count();
        if let Some(rest) = self.rests(now, id, &row, live) {
            return rest;
        }
        if !self.catalog.interfaces.contains_key(&row.interface) {
            return Next::Pause(Reason::NoInterface { id: row.interface });
        }
        let family = match self.family_of(&row) {
            Ok(Some(family)) => family,
            Ok(None) => return Next::Rest, // its versions were asked for
            Err(why) => return Next::Pause(why),
        };
        let Some(root) = family.first().cloned() else {
            return Next::Pause(Reason::NoInterface { id: row.interface });
        };
        if let Err(why) = still_fits(&row, &root) {
            return Next::Pause(why);
        }
        let line = Line::new(&row.spec, &root.cut);
        let Some(period) = line.after(row.cursor) else {
            if live == 0 {
                self.end_fill(now, id, BackfillState::Ended);
            }
            return Next::Rest;
        };
        if self.mesh.is_interface_frozen(row.interface) {
            return self.rest(id, Reason::InterfaceFrozen {}.told());
        }
        if self.fills.sleeps_past(id, now.date) {
            return self.rest(id, Reason::OutsideWindow {}.told());
        }
        if let Some(opens) = self.closed_until(now, &row.spec) {
            self.fills.sleep(id, opens);
            return self.rest(id, Reason::OutsideWindow {}.told());
        }
        let mut members = Members::new();
        let turn = (period, line.after(Some(period)));
        let found = accept(&root, period).and_then(|()| {
            members_of(&family, period, |at, of| {
                if is_its_turn(&family, turn, (at, of)) {
                    members.push((family[at].interface.id, of));
                }
            })
        });
        if let Err(why) = found {
            return Next::Pause(why);
        }
        if !self.has_history(&members) {
            for slice in members.into_iter().filter(|slice| !self.slices.is_decidable(*slice)) {
                self.fills.held.entry(slice).or_default().insert(id);
            }
            return Next::Rest;
        }
        let mut start = start_of(id, &row, period);
        if self.has(Sabotage::FillUnpinned) {
            start.fill = None;
        }
        let plan = self.execute(now, &start, &members);
        let rows = 1 + members.len() + plan.jobs_to_run as usize;
        let period = match self.has(Sabotage::FillForgets) {
            true => turn.1.unwrap_or(period),
            false => period,
        };
        let (made, why) = (row.made + 1, String::new());
        let row = Backfill { cursor: Some(period), made, why, ..(*row).clone() };
        self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
        Next::Made(rows)
    }

    /// It makes none now: it is held, or its slots are taken.
    fn rests(&mut self, now: Now, id: CommandId, row: &Backfill, live: usize) -> Option<Next> {
        match row.state {
            BackfillState::Running => {}
            // It ends when it has nothing left, also one that was paused for its failures.
            BackfillState::Paused if live == 0 && row.made >= row.planned => {
                self.end_fill(now, id, BackfillState::Ended);
                return Some(Next::Rest);
            }
            BackfillState::Paused | BackfillState::Cancelled | BackfillState::Ended => {
                return Some(Next::Rest);
            }
        }
        let full = live >= row.spec.parallel as usize && !self.has(Sabotage::FillPastSlots);
        full.then(|| self.rest(id, String::new()))
    }

    /// The interface and what descends from it, by the versions that count. None: they are not here yet.
    fn family_of(&mut self, row: &Backfill) -> Result<Option<Vec<Arc<Shape>>>, Reason> {
        if row.pins.is_empty() {
            let catalog = Arc::clone(&self.catalog);
            return Ok(Some(family(&mut self.mesh, &catalog, &row.spec)));
        }
        let mut shapes = Vec::with_capacity(row.pins.len());
        let mut all = true;
        for &(interface, version) in &row.pins {
            if !self.has_version(interface, version) {
                all = false;
                continue;
            }
            let Some(project) = self.catalog.at(interface, version).map(|of| of.project) else {
                let interface = self.name_of(interface);
                return Err(Reason::VersionGone { version, interface });
            };
            shapes.push(self.mesh.shape(&self.catalog, interface, version, project));
        }
        Ok(all.then_some(shapes))
    }

    /// Until when its windows are shut; none: one is open, or it has none.
    fn closed_until(&self, now: Now, spec: &BackfillSpec) -> Option<Millis> {
        let zone = zone(&spec.zone).ok().filter(|_| !spec.windows.is_empty())?;
        let windows = Windows::of(&spec.windows, zone);
        windows.holding(now.date).is_none().then(|| windows.opens_after(now.date))
    }

    /// Nothing is made just now; why is told, if it is worth telling.
    fn rest(&mut self, id: CommandId, why: String) -> Next {
        if let Some(row) = self.table.backfills.get(&id).filter(|row| row.why != why) {
            let row = Backfill { why, ..(**row).clone() };
            self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
            self.fills.open.remove(&id);
        }
        Next::Rest
    }

    /// One of its executions has ended so.
    pub(in crate::engine) fn filled(&mut self, id: CommandId, state: RunState) {
        let Some(row) = self.table.backfills.get(&id).filter(|row| row.state.is_live()) else {
            return;
        };
        if state == RunState::Succeeded {
            return;
        }
        let row = Backfill { failed: row.failed + 1, ..(**row).clone() };
        let (failed, most) = (row.failed, row.spec.failures_max);
        let goes_on = row.state == BackfillState::Running && row.made < row.planned;
        self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
        if goes_on && most > 0 && failed >= most {
            self.pause_fill(id, &Reason::FailedSoOften { n: failed });
        }
    }

    /// It makes nothing more until a person says so, and on-call is told.
    pub(in crate::engine) fn pause_fill(&mut self, id: CommandId, why: &Reason) {
        let Some(row) = self.table.backfills.get(&id).filter(|row| row.state.is_live()) else {
            return;
        };
        let row = Arc::clone(row);
        let name = self.name_of(row.interface);
        let alert = Alert {
            project: row.project,
            event: AlertEvent::BackfillPaused,
            execution: None,
            run: None,
            job: None,
            body: format!("backfill {id} of {name} is paused: {why}"),
            created: self.date(),
        };
        let row = Backfill { state: BackfillState::Paused, why: why.told(), ..(*row).clone() };
        self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
        self.alert(&format!("backfill {id}"), alert);
    }

    fn end_fill(&mut self, now: Now, id: CommandId, state: BackfillState) {
        let Some(row) = self.table.backfills.get(&id).cloned() else { return };
        let (why, ended) = (String::new(), Some(now.date));
        let row = Backfill { state, why, ended, ..(*row).clone() };
        self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
    }

    /// What has succeeded before would satisfy these waits, while the same backfill is making it anew:
    /// then that has to end first. Of an earlier period, so that no two wait for each other; or, of what
    /// is coarser than the root, of any within: the month waits for each of its days that is at work.
    pub(in crate::engine) fn unfinished_of(
        &self,
        start: &Start,
        waits: &BTreeSet<Target>,
        period: Period,
        shape: &Shape,
    ) -> BTreeSet<Target> {
        let Some(fill) = &start.fill else { return BTreeSet::new() };
        let begins = |of: Period| of.start_ms(shape.cut.zone);
        let coarser = period.granularity() > start.period.granularity();
        let succeeded = waits.iter().filter_map(|target| match *target {
            Target::Success(interface, of) | Target::SuccessOrNone(interface, of) => {
                Some((interface, of))
            }
            Target::Run(_) | Target::Idle(..) | Target::Job(..) => None,
        });
        let live = succeeded.filter(|(interface, of)| {
            let run = self.slices.latest((*interface, *of)).and_then(|id| self.run(id));
            let own = run.filter(|run| run.state.is_live()).is_some_and(|run| {
                run.execution == start.id || self.folds.is_filling(fill.of, run.execution)
            });
            let within = coarser && of.granularity() < period.granularity();
            own && (within || begins(*of) < begins(period))
        });
        live.map(|(interface, of)| Target::Idle(interface, of)).collect()
    }

    // ---- verbs ----

    pub(in crate::engine) fn begin_backfill(
        &mut self,
        now: Now,
        id: CommandId,
        command: &Command,
        spec: &BackfillSpec,
    ) -> Result<Plan, Reason> {
        let catalog = Arc::clone(&self.catalog);
        if let Some(error) = check(&catalog, spec).into_iter().next() {
            return Err(Reason::BadBackfill { field: error.path, why: error.message });
        }
        let rows = self.table.backfills.iter().filter(|(_, row)| row.state.is_live());
        let own = |(_, row): &(&CommandId, &Arc<Backfill>)| row.project == command.project;
        let mut live = 0;
        for (twin, row) in rows.filter(own) {
            live += 1;
            // A second click, or a second person: the two would share all their runs.
            if row.spec == *spec {
                return Err(Reason::SameBackfill { id: *twin });
            }
        }
        if live >= LIVE_MAX {
            return Err(Reason::TooManyBackfills { n: LIVE_MAX });
        }
        let outline = count(&mut self.mesh, &catalog, spec)?;
        let least = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let planned = least(outline.periods as u64);
        let row = Backfill {
            project: command.project,
            interface: spec.interface,
            by: command.by,
            spec: spec.clone(),
            pins: if spec.pinned { outline.family } else { Vec::new() },
            planned,
            made: 0,
            failed: 0,
            cursor: None,
            state: BackfillState::Running,
            why: String::new(),
            created: now.date,
            ended: None,
        };
        self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
        let (runs_made, jobs_to_run) = (least(outline.runs), least(outline.jobs));
        Ok(Plan { executions: planned, runs_made, jobs_to_run, ..Plan::default() })
    }

    pub(in crate::engine) fn hold_backfill(
        &mut self,
        id: CommandId,
        paused: bool,
    ) -> Result<Plan, Reason> {
        let row = self.table.backfills.get(&id).filter(|row| row.state.is_live()).cloned();
        let row = row.ok_or(Reason::NoBackfill { id })?;
        if (row.state == BackfillState::Paused) == paused {
            return Err(if paused { Reason::IsPaused {} } else { Reason::IsNotPaused {} });
        }
        let state = if paused { BackfillState::Paused } else { BackfillState::Running };
        let (failed, why) = (if paused { row.failed } else { 0 }, String::new());
        let executions = row.planned.saturating_sub(row.made);
        let row = Backfill { state, failed, why, ..(*row).clone() };
        self.put(Key::Backfill(id), Row::Backfill(Arc::new(row)));
        Ok(Plan { executions, ..Plan::default() })
    }

    pub(in crate::engine) fn cancel_backfill(
        &mut self,
        now: Now,
        id: CommandId,
        stop: bool,
    ) -> Result<Plan, Reason> {
        let row = self.table.backfills.get(&id).filter(|row| row.state.is_live());
        let row = row.ok_or(Reason::NoBackfill { id })?;
        let executions = row.planned.saturating_sub(row.made);
        self.end_fill(now, id, BackfillState::Cancelled);
        let mut plan = Plan { executions, ..Plan::default() };
        if stop {
            let live: Vec<ExecutionId> = self.folds.filling(id).collect();
            for execution in live {
                let runs = self.own_runs(execution)?;
                // Of one that has only joined what others run, nothing is to be stopped.
                let stopped = self.stop(&runs, &Reason::StoppedByHand {}).unwrap_or_default();
                plan.runs_waiting_on_it += stopped.runs_waiting_on_it;
            }
        }
        Ok(plan)
    }

    pub(in crate::engine) fn forget_backfills(&mut self, until: u64) {
        while let Some(&(step, id)) = self.fills.ended.front()
            && step <= until
        {
            self.fills.ended.pop_front();
            if self.table.backfills.get(&id).is_some_and(|row| !row.state.is_live()) {
                self.forget(Key::Backfill(id));
            }
        }
    }
}

/// # Errors
/// The interface was edited since: the cursor, or a span, is of periods that it has no more.
fn still_fits(row: &Backfill, root: &Shape) -> Result<(), Reason> {
    let odd = |span: &&Span| refined(**span, &root.cut).is_none();
    let moved = row.cursor.filter(|cursor| cursor.granularity() != root.cut.granularity);
    let moved = moved.or(row.spec.spans.iter().find(odd).map(|span| span.first));
    moved.map_or(Ok(()), |period| {
        let interface = root.interface.name.clone();
        let cut = format!("{:?}", root.cut.granularity).to_lowercase();
        Err(Reason::NoSuchPeriod { interface, cut, period })
    })
}

fn peculiar(id: CommandId, row: &Backfill) -> Fill {
    Fill { of: id, pins: Arc::new(row.pins.iter().copied().collect()) }
}

impl World {
    /// Of a backfill that has not ended; of one that has, its executions go by the definitions of now.
    pub(in crate::engine) fn fill_by(&self, id: CommandId) -> Option<Fill> {
        self.table.backfills.get(&id).map(|row| peculiar(id, row))
    }
}

fn start_of(id: CommandId, row: &Backfill, period: Period) -> Start {
    let spec = &row.spec;
    Start {
        id: ExecutionId::of_backfill(id, period),
        origin: Origin::Backfill,
        dispatch: None,
        command: Some(id),
        by: Some(row.by),
        interface: row.interface,
        period,
        cascade: spec.cascade,
        params: spec.params.clone(),
        again: if spec.missing_only { Again::None } else { Again::All },
        part: None,
        paused: false,
        after: After::new(),
        fill: Some(peculiar(id, row)),
    }
}
