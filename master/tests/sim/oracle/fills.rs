//! Backfills: no period of the plan is left out and none comes twice, no more live at once than were
//! asked for, and what is pinned is made by the version of then.

use super::Oracle;
use crate::db::Db;
use master::engine::backfill::Line;
use master::engine::rows::*;
use shared::ids::*;
use shared::period::Period;

impl Oracle {
    pub(super) fn check_fills(&mut self, db: &Db, changes: &[Change]) {
        for (key, row) in changes {
            match (*key, row) {
                (Key::Backfill(id), Some(Row::Backfill(row))) => self.check_fill(db, id, row),
                (Key::Execution(_), Some(Row::Execution(row))) if row.state.is_live() => {
                    self.check_slots(db, row);
                }
                (Key::Run(id), Some(Row::Run(run))) => self.check_pin(db, id, run),
                _ => {}
            }
        }
    }

    /// What it has made is the beginning of its plan, in order.
    fn check_fill(&mut self, db: &Db, id: CommandId, row: &Backfill) {
        let spec = &db.catalog.interfaces[&row.interface].spec;
        let cut = db.catalog.cut(spec).expect("a zone");
        let line = Line::new(&row.spec, &cut);
        let all: Vec<Period> = line.all().collect();
        let made = row.made as usize;
        let last = made.checked_sub(1).and_then(|at| all.get(at)).copied();
        let (cursor, planned) = (row.cursor, row.planned as usize);
        self.check(cursor == last && planned == all.len(), || {
            format!(
                "backfill {id} has made {made} of {planned}, its cursor is {cursor:?} of {all:?}"
            )
        });
        for period in all.iter().take(made) {
            let execution = ExecutionId::of_backfill(id, *period);
            let there = self.members.contains_key(&execution);
            self.check(there, || format!("backfill {id} has left out {period}"));
        }
        if row.state == BackfillState::Ended {
            let live = self.live_of(db, id).count();
            self.check(made == planned && live == 0, || {
                format!("backfill {id} has ended with {made} of {planned} made, {live} live")
            });
        }
    }

    /// Those that a person has resumed are not counted: they may be one too many.
    fn live_of(&self, db: &Db, id: CommandId) -> impl Iterator<Item = ExecutionId> {
        db.rows.iter().filter_map(move |(key, row)| match (key, row) {
            (Key::Execution(execution), Row::Execution(row))
                if row.state.is_live()
                    && row.origin == Origin::Backfill
                    && row.command == Some(id)
                    && !self.finished.contains(execution) =>
            {
                Some(*execution)
            }
            _ => None,
        })
    }

    fn check_slots(&mut self, db: &Db, execution: &Execution) {
        let Some(id) = execution.command.filter(|_| execution.origin == Origin::Backfill) else {
            return;
        };
        // One that was made anew by a person names that command.
        let Some(Row::Backfill(row)) = db.rows.get(&Key::Backfill(id)) else { return };
        let (live, slots) = (self.live_of(db, id).count(), row.spec.parallel as usize);
        self.check(live <= slots, || {
            format!("backfill {id} of {slots} slots has {live} executions")
        });
    }

    fn check_pin(&mut self, db: &Db, id: RunId, run: &Run) {
        let Some(Row::Execution(execution)) = db.rows.get(&Key::Execution(run.execution)) else {
            return;
        };
        if self.by_hand.anew.contains(&run.execution) {
            return;
        }
        let fill = execution.command.filter(|_| execution.origin == Origin::Backfill);
        let row = fill.and_then(|id| db.rows.get(&Key::Backfill(id)));
        // What a cancelled one has joined is made whole by the definitions of now.
        let Some(Row::Backfill(row)) = row.filter(|row| is_live(row)) else { return };
        let pin = row.pins.iter().find(|(interface, _)| *interface == run.interface);
        if let Some((_, version)) = pin {
            let has = run.version;
            self.check(has == *version, || {
                format!("{id:?} is of version {has}, pinned to {version}")
            });
        }
    }
}

fn is_live(row: &Row) -> bool {
    matches!(row, Row::Backfill(row) if row.state.is_live())
}
