//! Beside the form of a dispatch: the month to come with what is in the form, before it is saved, and
//! behind it what the other dispatches start.

use super::super::error::Result;
use super::super::{Error, Page};
use super::load::{self, Ask, Load, One};
use crate::engine::calendar;
use crate::engine::calendar::days::{DAYS_MAX, Days};
use crate::engine::catalog::{Catalog, Dispatch};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;
use shared::ids::*;
use shared::spec::DispatchSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One hour of the clock in which something fires; one that comes twice is one here.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Cell {
    own: u32,
    others: u32,
    own_level: u32,
    others_level: u32,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Row {
    label: String,
    /// By the hour of the clock.
    cells: BTreeMap<u32, Cell>,
}

fn rows(days: &Days, own: &Load, others: &Load) -> Vec<Row> {
    let most = |of: &[u32]| of.iter().copied().max().unwrap_or_default();
    let (own_most, others_most) = (most(&own.fires), most(&others.fires));
    let mut rows = BTreeMap::new();
    for (at, hour) in days.hours.iter().enumerate() {
        let label = hour.date.format("%m-%d").to_string();
        let row: &mut Row =
            rows.entry(hour.date).or_insert_with(|| Row { label, ..Row::default() });
        let (fires, behind) = (own.fires[at], others.fires[at]);
        if fires + behind > 0 {
            let cell = row.cells.entry(hour.hour).or_default();
            cell.own += fires;
            cell.others += behind;
            cell.own_level = cell.own_level.max(load::level(fires, own_most));
            cell.others_level = cell.others_level.max(load::level(behind, others_most));
        }
    }
    rows.into_values().collect()
}

/// # Errors
/// The database's.
pub(super) async fn picture(
    page: &Page,
    catalog: &Arc<Catalog>,
    spec: &DispatchSpec,
    edited: Option<DispatchId>,
) -> Result<Value, Error> {
    let (app, viewer) = (&page.app, page.viewer()?);
    let now = app.clock.wall_ms();
    let days = Days::ahead(now, DAYS_MAX, viewer.zone);
    let wanted = |one: &Dispatch| viewer.lists(one.project) && Some(one.id) != edited;
    let mut others = load::dispatches(app, catalog, wanted).await?;
    others.retain(|one| one.held.is_empty());
    let count = others.len();
    let typed = Dispatch {
        id: load::TYPED,
        project: ProjectId(0),
        name: String::new(),
        version: 0,
        since: 0,
        // What has passed today does not fire any more.
        spec: DispatchSpec { from_ms: spec.from_ms.max(Some(now + 1)), ..spec.clone() },
    };
    let typed = vec![One { dispatch: Arc::new(typed), held: "" }];
    let ask = |dispatches| {
        let catalog = Arc::clone(catalog);
        Ask { catalog, days: days.clone(), dispatches, listed: None }
    };
    let (_, own) = load::of(app, ask(typed)).await?;
    let (_, others) = load::of(app, ask(others)).await?;
    let sum = |at: usize| own.fires[at].saturating_add(others.fires[at]);
    let full = (0..days.hours.len())
        .filter(|at| own.fires[*at] > 0)
        .max_by_key(|at| (sum(*at), usize::MAX - at));
    Ok(context! {
        rows => Serde(rows(&days, &own, &others)),
        fires => own.fires.iter().map(|count| u64::from(*count)).sum::<u64>(),
        fullest => full.map(|at| calendar::show(days.zone, days.hours[at].from)),
        fullest_count => full.map(sum), days => DAYS_MAX,
        others => count, uncounted => others.uncounted + own.uncounted,
    })
}
