//! Verbs that make runs: of an interface, of what a dispatch would start, of some jobs, of what
//! follows, of a whole execution anew.

use super::Done;
use crate::engine::expand::{After, Again, Start};
use crate::engine::reason::Reason;
use crate::engine::rows::*;
use crate::engine::world::{Now, World};
use shared::ids::*;
use shared::period::Period;
use std::collections::BTreeMap;

/// What a person asks for, by hand, once, of one interface and period alone.
fn start(now: Now, id: CommandId, command: &Command) -> Start {
    Start {
        id: ExecutionId::of_command(id),
        origin: Origin::Hand,
        dispatch: None,
        command: Some(id),
        by: Some(command.by),
        interface: InterfaceId(0),
        period: Period::containing(shared::period::Granularity::Day, now.date, chrono_tz::UTC),
        cascade: false,
        params: BTreeMap::new(),
        again: Again::All,
        part: None,
        paused: false,
        after: After::new(),
        fill: None,
    }
}

fn origin(api: bool) -> Origin {
    if api { Origin::Api } else { Origin::Hand }
}

impl World {
    pub(super) fn begin_anew(&mut self, now: Now, id: CommandId, command: &Command) -> Done {
        let start = start(now, id, command);
        match &command.verb {
            Verb::RunNow { interface, period, cascade, params, missing_only, api } => {
                let again = if *missing_only { Again::None } else { Again::All };
                let start = Start {
                    origin: origin(*api),
                    interface: *interface,
                    period: *period,
                    cascade: *cascade,
                    params: params.clone(),
                    again,
                    ..start
                };
                self.run_now(now, &start)
            }
            Verb::RunDispatch { dispatch, period, cascade } => {
                let found = self.catalog.dispatches.get(dispatch);
                let found = found.ok_or(Reason::NoDispatch { id: *dispatch })?;
                let start = Start {
                    dispatch: Some((*dispatch, now.date)),
                    interface: found.spec.interface,
                    period: *period,
                    cascade: *cascade,
                    params: found.spec.params.clone(),
                    ..start
                };
                self.run_now(now, &start)
            }
            Verb::RunPart { interface, period, job, part, params, api } => {
                let start = Start {
                    origin: origin(*api),
                    interface: *interface,
                    period: *period,
                    params: params.clone(),
                    part: Some((*job, *part)),
                    ..start
                };
                self.run_part(now, start, *job)
            }
            Verb::Follow { run, all } => self.follow(now, start, *run, *all),
            Verb::Reset { execution } => self.make_anew(now, id, *execution),
            _ => Ok(Plan::default()),
        }
    }

    fn run_now(&mut self, now: Now, start: &Start) -> Done {
        let members = self.members(start.interface, start.period, start.cascade)?;
        if self.mesh.is_interface_frozen(start.interface) {
            return Err(Reason::Frozen { interface: self.name_of(start.interface) });
        }
        Ok(self.execute(now, start, &members))
    }

    fn run_part(&mut self, now: Now, mut start: Start, job: JobId) -> Done {
        let slice = (start.interface, start.period);
        let shape = self.mesh.current(&self.catalog, start.interface);
        let shape = shape.ok_or(Reason::NoInterface { id: start.interface })?;
        if !shape.at.contains_key(&job) {
            return Err(Reason::NoSuchJob { job, interface: shape.interface.name.clone() });
        }
        if self.slices.is_live(slice) {
            let what = Box::new(self.describe(Target::Success(slice.0, slice.1)));
            return Err(Reason::PartOfLive { what });
        }
        let before = self.slices.latest(slice).and_then(|id| self.run(id));
        if let Some(before) = before.filter(|_| start.params.is_empty()) {
            start.params = before.params.clone();
        }
        self.run_now(now, &start)
    }

    /// 继续后置.
    fn follow(&mut self, now: Now, start: Start, id: RunId, all: bool) -> Done {
        let Some(run) = self.run(id).cloned() else { return Err(Reason::NoRun { run: id }) };
        if self.slices.latest((run.interface, run.period)) != Some(id) {
            let what = Box::new(self.describe(Target::Run(id)));
            return Err(Reason::NotNewest { generation: run.generation, what });
        }
        if !run.is_success() {
            let what = Box::new(self.describe(Target::Run(id)));
            return Err(Reason::NotSucceeded { what });
        }
        let start = Start {
            interface: run.interface,
            period: run.period,
            cascade: true,
            params: run.params,
            again: if all { Again::AllBut(id) } else { Again::Stale(id) },
            ..start
        };
        if self.members(run.interface, run.period, true)?.len() < 2 {
            return Err(Reason::NoFollowers { interface: self.name_of(run.interface) });
        }
        self.run_now(now, &start)
    }

    /// 重置.
    fn make_anew(&mut self, now: Now, by: CommandId, id: ExecutionId) -> Done {
        let row = self.table.executions.get(&id).cloned();
        let row = row.ok_or(Reason::NoExecution { id })?;
        if row.state.is_live() {
            return Err(Reason::StillLives {});
        }
        let start = Start {
            id,
            // Of a backfill it stays a period: it is found among its executions, and counts there.
            origin: row.origin,
            dispatch: row.dispatch,
            command: row.command.filter(|_| row.origin == Origin::Backfill).or(Some(by)),
            by: row.by,
            interface: row.interface,
            period: row.period,
            cascade: row.cascade,
            params: row.params,
            again: Again::All,
            part: None,
            paused: true,
            after: After::new(),
            fill: None,
        };
        self.run_now(now, &start)
    }
}
