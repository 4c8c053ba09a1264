//! One master: follower, or leader with a [`Reign`]. Pure: the shell (and the simulation) calls
//! [`Master::step`] for whatever happens, and does what it answers.
//!
//! Rule: a question to the database is asked once at a time per lane, so that answers cannot overtake
//! each other; the lanes are the batch (or the claim), the poll, and what the World wants to know.

use super::ops::*;
use super::reign::{Bad, Next, Reign};
use crate::engine::World;
use crate::engine::fleet::Fleet;
use crate::engine::world::Setup;
use shared::ids::*;
use shared::sabotage::{Sabotage, Switch};
use shared::wire::{Refused, WatchAnswer};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Lead,
    Poll,
    Load,
}

#[derive(Debug)]
pub struct Master {
    /// Random for each life of the process.
    life: i64,
    pace: Pace,
    sabotage: Switch,
    /// Numbers claims, questions and calls.
    count: u64,
    /// The highest epoch that a host has told us of. A host that may hold orders of a reign has
    /// answered it and knows its epoch; so nobody else need be asked (rule L2).
    told: i64,
    lease_asked: Option<Millis>,
    asked: BTreeMap<Lane, (u64, Millis)>,
    /// Nothing is asked in this lane before that: it has just failed.
    rest: BTreeMap<Lane, Millis>,
    role: Role,
}

#[derive(Debug)]
pub enum Role {
    Follower,
    /// As this holder, a number never used before: two leaders that a forgetful database gave the
    /// same epoch are told apart by it.
    Claiming(i64),
    /// Claimed, granted or not: the row tells. Also: the World is in doubt and is loaded anew.
    Loading(i64, Fleet, BTreeSet<Bad>),
    Leading(Box<Reign>),
}

impl Master {
    pub fn new(life: i64, pace: Pace, sabotage: Switch) -> Master {
        Master {
            life,
            pace,
            sabotage,
            count: 0,
            told: 0,
            lease_asked: None,
            asked: BTreeMap::new(),
            rest: BTreeMap::new(),
            role: Role::Follower,
        }
    }

    pub fn life(&self) -> i64 {
        self.life
    }

    pub fn role(&self) -> &Role {
        &self.role
    }

    pub fn reign(&self) -> Option<&Reign> {
        match &self.role {
            Role::Leading(reign) => Some(reign),
            Role::Follower | Role::Claiming(_) | Role::Loading(..) => None,
        }
    }

    /// [`Input::Time`] is due then, on the monotonic clock, if nothing else happens before.
    pub fn wake(&self) -> Millis {
        let lease = self.lease_asked.map_or(0, |at| at + self.pace.lease_ms);
        match &self.role {
            Role::Leading(reign) => lease.min(reign.wake()),
            Role::Claiming(_) | Role::Loading(..) => lease,
            Role::Follower => lease,
        }
    }

    /// `tick`: monotonic; `wall`: this machine's clock.
    #[must_use]
    pub fn step(&mut self, tick: Millis, wall: Millis, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Time => {}
            Input::Db(number, answer) => {
                let lane = self.asked.iter().find(|(_, (n, _))| *n == number).map(|(l, _)| *l);
                if let Some(lane) = lane {
                    self.answered((tick, wall), lane, answer);
                }
            }
            Input::Lease(true) if matches!(self.role, Role::Follower) => {
                self.count += 1;
                self.become_role(Role::Claiming(self.life ^ self.count.cast_signed()));
            }
            Input::Lease(_) => {}
            Input::Free => self.lease_asked = None,
            Input::Ordered(host, number, answer) => self.ordered(tick, host, number, answer),
            Input::Watched(host, number, answer) => {
                self.watched((tick, wall), host, number, answer);
            }
            Input::CannotStart(attempt, why) => {
                if let Role::Leading(reign) = &mut self.role {
                    reign.cannot_start((tick, wall), attempt, why);
                }
            }
            Input::Nudge => {
                if let Role::Leading(reign) = &mut self.role {
                    reign.nudged = true;
                }
            }
        }
        self.give_up((tick, wall));
        if self.lease_asked.is_none_or(|at| at + self.pace.lease_ms <= tick) {
            self.lease_asked = Some(tick);
            out.push(Output::Lease);
        }
        if let Role::Leading(reign) = &mut self.role {
            reign.turn(tick, wall);
        }
        self.ask(tick, &mut out);
        if let Role::Leading(reign) = &mut self.role {
            reign.call_hosts(tick, &mut self.count, &mut out);
        }
        out
    }

    // ---- the database ----

    fn become_role(&mut self, role: Role) {
        self.role = role;
        self.asked.clear();
        self.rest.clear();
    }

    /// Questions that nobody has answered.
    fn give_up(&mut self, now: (Millis, Millis)) {
        let limit = self.pace.db_timeout_ms;
        let late = |&(_, at): &(u64, Millis)| at + limit <= now.0;
        let lanes: Vec<Lane> =
            self.asked.iter().filter(|(_, asked)| late(asked)).map(|(lane, _)| *lane).collect();
        for lane in lanes {
            self.answered(now, lane, None);
        }
    }

    fn ask(&mut self, tick: Millis, out: &mut Vec<Output>) {
        for lane in [Lane::Lead, Lane::Poll, Lane::Load] {
            let rests = self.rest.get(&lane).is_some_and(|until| tick < *until);
            if rests || self.asked.contains_key(&lane) {
                continue;
            }
            if let Some(op) = self.question(tick, lane) {
                self.count += 1;
                self.asked.insert(lane, (self.count, tick));
                out.push(Output::Db(self.count, op));
            }
        }
    }

    fn question(&mut self, tick: Millis, lane: Lane) -> Option<DbOp> {
        match (&mut self.role, lane) {
            (Role::Claiming(holder), Lane::Lead) => {
                Some(DbOp::Claim { above: self.told, holder: *holder })
            }
            (Role::Loading(..), Lane::Lead) => Some(DbOp::Load),
            (Role::Leading(reign), Lane::Lead) => reign.question(tick),
            (Role::Leading(reign), Lane::Poll) if reign.outdated => Some(DbOp::Catalog),
            (Role::Leading(reign), Lane::Poll) => reign.polls(tick).then_some(DbOp::Poll),
            (Role::Leading(reign), Lane::Load) => {
                let asks = reign.world.due().load.iter().take(ASKS_MAX).copied();
                let asks: Vec<_> = asks.collect();
                (!asks.is_empty()).then_some(DbOp::Slices(asks))
            }
            (Role::Follower | Role::Claiming(_) | Role::Loading(..), _) => None,
        }
    }

    fn answered(&mut self, (tick, wall): (Millis, Millis), lane: Lane, answer: Option<DbAnswer>) {
        let Some((_, asked)) = self.asked.remove(&lane) else { return };
        let failed = answer.is_none() || matches!(answer, Some(DbAnswer::NotDone));
        match std::mem::replace(&mut self.role, Role::Follower) {
            Role::Claiming(holder) => {
                self.become_role(Role::Loading(holder, Fleet::new(tick), BTreeSet::new()));
            }
            Role::Loading(holder, fleet, bad) => {
                let role = self.loaded(tick, (holder, fleet, bad), answer);
                self.become_role(role);
            }
            Role::Leading(mut reign) => {
                if lane == Lane::Poll {
                    reign.poll_went(tick, failed);
                }
                let next = match (lane, answer) {
                    (Lane::Lead, answer) => reign.answered((tick, wall), answer),
                    (Lane::Poll | Lane::Load, Some(answer)) => {
                        reign.polled((tick, wall), asked, answer)
                    }
                    (Lane::Poll | Lane::Load, None) => Next::Lead,
                };
                match next {
                    Next::Lead => self.role = Role::Leading(reign),
                    Next::Reload(bad) => {
                        reign.bad.extend(bad);
                        let fleet = reign.world.fleet.reloaded();
                        self.become_role(Role::Loading(reign.row.holder, fleet, reign.bad));
                    }
                    Next::Deposed => self.become_role(Role::Follower),
                }
            }
            Role::Follower => {}
        }
        if failed {
            self.rest.insert(lane, tick + self.pace.poll_ms);
        }
    }

    fn loaded(
        &mut self,
        tick: Millis,
        (holder, fleet, bad): (i64, Fleet, BTreeSet<Bad>),
        answer: Option<DbAnswer>,
    ) -> Role {
        let Some(DbAnswer::Loaded { leader, server, catalog, rows, date }) = answer else {
            return Role::Loading(holder, fleet, bad);
        };
        let any = self.has(Sabotage::GuardAnyServer);
        if holder != leader.holder || !any && leader.server != server {
            return Role::Follower;
        }
        let (timing, sabotage) = (self.pace.timing, self.sabotage);
        let setup = Setup { catalog, reign: leader.holder, timing, sabotage, fleet };
        let mut world = World::load(setup, rows);
        world.keep_slices(self.pace.slice_keep_ms);
        let reign = Reign::new(world, leader, (self.pace, sabotage), (tick, date), bad);
        Role::Leading(Box::new(reign))
    }

    // ---- the hosts ----

    fn ordered(&mut self, tick: Millis, host: HostId, number: u64, answer: Result<(), CallError>) {
        let done = answer.is_ok();
        if let Err(error) = answer
            && self.is_refused(&error)
        {
            return self.become_role(Role::Follower);
        }
        if let Role::Leading(reign) = &mut self.role {
            reign.ordered(tick, host, number, done);
        }
    }

    fn watched(
        &mut self,
        now: (Millis, Millis),
        host: HostId,
        number: u64,
        answer: Result<WatchAnswer, CallError>,
    ) {
        if let Err(error) = &answer
            && self.is_refused(error)
        {
            return self.become_role(Role::Follower);
        }
        if let Role::Leading(reign) = &mut self.role {
            reign.heard(now, host, number, answer.ok());
        }
    }

    /// We were deposed, or the database forgot somebody (rule L2).
    fn is_refused(&mut self, error: &CallError) -> bool {
        let CallError::Refused(Refused::Reign(told)) = error else { return false };
        if self.has(Sabotage::IgnoreHigherEpoch) {
            return false;
        }
        self.told = self.told.max(told.epoch);
        let Role::Leading(reign) = &self.role else { return false };
        told.epoch >= reign.row.epoch && told.holder != reign.row.holder
    }

    fn has(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }
}
