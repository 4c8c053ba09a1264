//! One reign of one leader: what people wrote and what the hosts said is applied at once, what
//! changed is stored as soon as no batch is in the air, and only then orders go out (rule L3).

mod flight;

use super::away::Asked;
use super::line::Line;
use super::ops::*;
use crate::engine::World;
use crate::engine::rows::*;
use crate::engine::world::{Event, Now, SKEW_MS, Todo};
use flight::{Flight, Released};
use shared::ids::*;
use shared::sabotage::{Sabotage, Switch};
use shared::wire::WatchAnswer;
use std::collections::{BTreeMap, BTreeSet};

/// By so much the anchor is moved towards the database's clock at each poll: a monotonic clock
/// drifts, and a date must not jump.
const SLEW_MS: Millis = 5;

#[derive(Debug)]
pub enum Next {
    Lead,
    /// Memory and rows may differ: drop the World. With the item that cannot be stored, if any.
    Reload(Option<Bad>),
    Deposed,
}

/// What cannot be stored, by its cause (rule L4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bad {
    Firing(DispatchId, Millis),
    Command(CommandId),
    Backfill(CommandId),
}

#[derive(Debug)]
pub struct Reign {
    pub(super) world: World,
    /// As our last batch left it.
    pub(super) row: LeaderRow,
    pub(super) pace: Pace,
    sabotage: Switch,
    /// (tick, date) at one moment.
    anchor: (Millis, Millis),
    pub(super) bad: BTreeSet<Bad>,
    pub(super) nudged: bool,
    /// The bus made the poll that is under way.
    by_bus: bool,
    polled: Millis,
    pub(super) asked_to_poll: Asked,
    ticked: Millis,
    purged: Millis,
    took_off: Millis,
    /// No batch before that: the last one could not be stored just now.
    rest: Millis,
    /// Changed since the flight left.
    pending: BTreeMap<Key, Option<Row>>,
    flight: Option<Flight>,
    released: Released,
    pub(super) lines: BTreeMap<HostId, Line>,
    /// A definition was edited: they must be read again.
    pub(super) outdated: bool,
}

impl Reign {
    pub(super) fn new(
        world: World,
        row: LeaderRow,
        (pace, sabotage): (Pace, Switch),
        anchor: (Millis, Millis),
        bad: BTreeSet<Bad>,
    ) -> Reign {
        let mut reign = Reign {
            world,
            row,
            pace,
            sabotage,
            anchor,
            bad: BTreeSet::new(),
            nudged: false,
            by_bus: false,
            polled: anchor.0 - pace.poll_ms,
            asked_to_poll: Asked::from(anchor.0),
            ticked: anchor.0 - pace.tick_ms,
            purged: anchor.0,
            took_off: anchor.0,
            rest: anchor.0,
            pending: BTreeMap::new(),
            flight: None,
            released: Released::default(),
            lines: BTreeMap::new(),
            outdated: false,
        };
        let now = reign.now(anchor.0, anchor.1);
        for bad in bad {
            reign.set_aside(now, bad);
        }
        reign
    }

    pub fn now(&self, tick: Millis, wall: Millis) -> Now {
        Now { tick, date: self.anchor.1 + (tick - self.anchor.0), wall }
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    pub fn row(&self) -> &LeaderRow {
        &self.row
    }

    /// A poll was answered, or could not be.
    pub(super) fn poll_went(&mut self, tick: Millis, failed: bool) {
        self.asked_to_poll = match failed {
            true => Asked { failed, ..self.asked_to_poll },
            false => Asked::from(tick),
        };
    }

    /// Nothing is in the air, and nothing waits for a batch: memory and rows are the same.
    pub fn is_stored(&self) -> bool {
        self.flight.is_none() && self.pending.is_empty()
    }

    fn apply(&mut self, now: Now, event: Event) {
        let changes = self.world.apply(now, event);
        self.pending.extend(changes);
    }

    /// It goes on without this one.
    fn set_aside(&mut self, now: Now, bad: Bad) {
        self.bad.insert(bad);
        match bad {
            Bad::Backfill(id) => {
                // It is paused, in its row: if a person lets it go on, it may.
                self.bad.remove(&bad);
                self.apply(now, Event::Unfillable(id));
            }
            Bad::Firing(dispatch, instant) => self.apply(now, Event::Unfirable(dispatch, instant)),
            Bad::Command(id) => {
                let why = "what it would make cannot be stored; the log of the leader says why";
                let plan = Plan { refused: Some(why.into()), ..Plan::default() };
                let result = CommandResult { done: false, plan, at: now.date };
                self.pending.insert(Key::Command(id), Some(Row::Command(result)));
            }
        }
    }

    // ---- time ----

    /// When time alone has something to do.
    pub(super) fn wake(&self) -> Millis {
        self.tick_at().min(self.polled + self.pace.poll_ms)
    }

    /// What the World asked for and was given and still asks for, as while the clocks disagree,
    /// comes with the next tick.
    fn tick_at(&self) -> Millis {
        let regular = self.ticked + self.pace.tick_ms;
        let asked = self.world.due().wake.filter(|at| *at > self.ticked);
        asked.map_or(regular, |at| at.min(regular))
    }

    pub(super) fn turn(&mut self, tick: Millis, wall: Millis) {
        let now = self.now(tick, wall);
        if self.purged + self.pace.purge_every_ms <= tick {
            self.purged = tick;
            self.apply(now, Event::Purge(now.date - self.pace.keep_ms));
        }
        if self.tick_at() <= tick {
            self.ticked = tick;
            self.apply(now, Event::Tick);
        }
        self.take_off(tick);
    }

    // ---- what people wrote ----

    pub(super) fn polls(&mut self, tick: Millis) -> bool {
        let due = self.nudged || self.polled + self.pace.poll_ms <= tick;
        if due {
            self.polled = tick;
            // A nudge that comes from now on may be about something that this poll will not see.
            self.by_bus = std::mem::take(&mut self.nudged);
        }
        due
    }

    /// `asked`: when the question was.
    pub(super) fn polled(
        &mut self,
        (tick, wall): (Millis, Millis),
        asked: Millis,
        answer: DbAnswer,
    ) -> Next {
        match answer {
            DbAnswer::Polled { leader, server, revision, commands, date } => {
                if !self.is_ours(&leader, &server) {
                    return Next::Deposed;
                }
                self.outdated = revision != self.world.catalog().revision;
                self.anchor_again((tick, wall), asked, date);
                let now = self.now(tick, wall);
                if self.by_bus || !self.has(Sabotage::BusOnly) {
                    for (id, command) in commands {
                        if !self.bad.contains(&Bad::Command(id)) {
                            self.apply(now, Event::Command(id, command));
                        }
                    }
                }
            }
            DbAnswer::Catalog(catalog) => {
                self.outdated = false;
                self.apply(self.now(tick, wall), Event::Catalog(catalog));
            }
            DbAnswer::Slices(slices) => {
                self.apply(self.now(tick, wall), Event::Slices(slices));
            }
            _ => {}
        }
        Next::Lead
    }

    fn is_ours(&self, leader: &LeaderRow, server: &str) -> bool {
        let any = self.has(Sabotage::GuardAnyServer);
        let same = leader.epoch == self.row.epoch && leader.holder == self.row.holder;
        same && (any || leader.server == server)
    }

    /// While firing holds we ask again which clock is right; else we follow the database's slowly.
    /// Silence is not counted by dates.
    fn anchor_again(&mut self, (tick, wall): (Millis, Millis), asked: Millis, date: Millis) {
        let skew = |date: Millis| wall.abs_diff(date) > SKEW_MS.unsigned_abs();
        let ours = self.now(tick, wall).date;
        if skew(ours) && !skew(date) {
            self.anchor = (tick, date);
            return;
        }
        // It was read at some time between the question and the answer.
        let (early, late) = (date - ours, date + (tick - asked) - ours);
        let off = if early > 0 { early } else { late.min(0) };
        if off.abs() <= SKEW_MS {
            self.anchor.1 += off.clamp(-SLEW_MS, SLEW_MS);
        }
    }

    // ---- the hosts ----

    /// A line for every host that is defined, and no other.
    fn keep_lines(&mut self, tick: Millis) {
        let catalog = self.world.catalog().clone();
        if self.lines.len() == catalog.hosts.len()
            && self.lines.keys().all(|host| catalog.hosts.contains_key(host))
        {
            return;
        }
        self.lines.retain(|host, _| catalog.hosts.contains_key(host));
        for &host in catalog.hosts.keys() {
            if !self.lines.contains_key(&host) {
                let line = self.lines.entry(host).or_default();
                line.release(self.released.orders.get(&host), tick, &self.pace);
                line.stored = self.released.bases.get(&host).copied();
            }
        }
    }

    pub(super) fn call_hosts(&mut self, tick: Millis, count: &mut u64, out: &mut Vec<Output>) {
        self.keep_lines(tick);
        let leader = self.row.reigning();
        let unguarded = self.has(Sabotage::EchoUnguarded);
        for (&host, line) in &mut self.lines {
            if let Some(orders) = line.orders(tick, (*count + 1, leader), &self.pace) {
                *count += 1;
                out.push(Output::Order(host, *count, orders));
            }
            let after = self.world.fleet.hosts.get(&host).and_then(|seen| seen.answer);
            if let Some(mut watch) = line.watch(tick, (*count + 1, leader), after, &self.pace) {
                if unguarded {
                    watch.stored = after;
                }
                *count += 1;
                out.push(Output::Watch(host, *count, watch));
            }
        }
    }

    /// What the committed state wants of all hosts.
    pub fn released(&self) -> impl Iterator<Item = &Todo> {
        self.released.orders.values().flat_map(|orders| orders.values())
    }

    pub(super) fn ordered(&mut self, tick: Millis, host: HostId, number: u64, done: bool) {
        if let Some(line) = self.lines.get_mut(&host) {
            line.ordered(number, done, tick, &self.pace);
        }
    }

    /// The shell composes a start after its commit, so an attempt of an older state may be named;
    /// the World ignores what is not assigned any more.
    pub(super) fn cannot_start(
        &mut self,
        (tick, wall): (Millis, Millis),
        attempt: AttemptId,
        why: String,
    ) {
        self.apply(self.now(tick, wall), Event::CannotStart(attempt, why));
    }

    pub(super) fn heard(
        &mut self,
        (tick, wall): (Millis, Millis),
        host: HostId,
        number: u64,
        answer: Option<WatchAnswer>,
    ) {
        let Some(line) = self.lines.get_mut(&host) else { return };
        let newest = line.watched(number, answer.is_some(), tick, &self.pace);
        let Some(answer) = answer else { return };
        let seen = self.world.fleet.hosts.get(&host);
        let last = seen.and_then(|seen| seen.answer);
        let in_order = if self.has(Sabotage::AnyCall) {
            last.is_none_or(|last| {
                last.incarnation != answer.answer.incarnation || last.seq < answer.answer.seq
            })
        } else if self.has(Sabotage::OrderByWall) {
            seen.is_none_or(|seen| seen.wall < answer.wall_ms)
        } else {
            newest
        };
        if in_order {
            self.apply(self.now(tick, wall), Event::Heard(host, answer));
        }
    }

    fn has(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }
}
