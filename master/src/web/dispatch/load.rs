//! How often dispatches fire in each hour of some days, and which of them fire in a part of it.
//!
//! Rules, not dispatches, are counted, and what was counted is kept: a thousand dispatches have a
//! hundred rules. The work of one request is bounded; what did not fit into it is told, and is
//! counted when it is asked for again. Never in the async runtime.

use crate::app::App;
use crate::engine::calendar::days::Days;
use crate::engine::calendar::hours::{self, Count, Fires};
use crate::engine::calendar::{self, Crons};
use crate::engine::catalog::{Catalog, Dispatch};
use crate::engine::quiet::{Quiet, QuietKey};
use crate::store;
use anyhow::Context;
use chrono_tz::Tz;
use shared::ids::*;
use shared::spec::DispatchSpec;
use shared::tasks;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Questions of one request to the function that fires: about a second's work.
const STEPS_MAX: usize = 300_000;
/// What reading a rule costs beside them.
const READ_STEPS: usize = 10;
/// Hours with a firing that are remembered, of all rules: 16 MB.
const KEPT_MAX: usize = 2_000_000;
/// A rule takes as much as so many of them, beside its own.
const KEPT_RULE: usize = 20;
/// The dispatch that is in a form.
pub(super) const TYPED: DispatchId = DispatchId(0);
/// Firings that are listed one by one.
pub(super) const LISTED_MAX: usize = 200;

type Counts = Arc<[Count]>;

/// What is counted once: two dispatches with the same rule fire alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    cron: String,
    quiet: QuietKey,
    window: (Millis, Millis),
    span: (Millis, Millis),
    own: Tz,
}

/// Rules that were counted of late.
#[derive(Debug)]
pub struct Counted {
    kept: Mutex<(HashMap<Key, Counts>, usize)>,
    /// One request at a time: it takes a core.
    turn: Arc<Semaphore>,
}

impl Default for Counted {
    fn default() -> Counted {
        Counted { kept: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Counted {
    fn lock(&self) -> std::sync::MutexGuard<'_, (HashMap<Key, Counts>, usize)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None: the steps did not suffice.
    fn of(&self, one: &Dispatch, ask: &Ask, steps: &mut usize) -> Option<Counts> {
        let (spec, days, catalog) = (&one.spec, &ask.days, &ask.catalog);
        let (span, window) = (days.span(), window(spec));
        let window = (window.0.max(span.0), window.1.min(span.1));
        let key = Key {
            cron: spec.cron.clone(),
            quiet: Quiet::key(catalog, spec),
            window,
            span,
            own: days.zone,
        };
        if let Some(known) = self.lock().0.get(&key) {
            return Some(Arc::clone(known));
        }
        *steps = steps.checked_sub(READ_STEPS)?;
        // What cannot be read fires never; nothing like it can be saved.
        let (Ok(cron), Ok(zone)) = (calendar::parse(&spec.cron), calendar::zone(&spec.zone)) else {
            return Some(Arc::default());
        };
        // Nor does one whose calendar is gone.
        let Ok(quiet) = Quiet::of(catalog, spec, zone) else { return Some(Arc::default()) };
        let rule = Fires { cron: &cron, zone, quiet: &quiet };
        let counts: Counts = hours::count(rule, days, window, steps)?.into();
        // What is being typed is another rule with every letter.
        if one.id == TYPED {
            return Some(counts);
        }
        let mut kept = self.lock();
        let size = counts.len() + KEPT_RULE;
        if kept.1 + size > KEPT_MAX {
            *kept = Default::default();
        }
        kept.1 += size;
        kept.0.insert(key, Arc::clone(&counts));
        Some(counts)
    }
}

/// From inclusive, until exclusive.
fn window(spec: &DispatchSpec) -> (Millis, Millis) {
    (spec.from_ms.unwrap_or(Millis::MIN), spec.until_ms.unwrap_or(Millis::MAX))
}

/// A dispatch, and why none of its instants starts anything: `paused`, `frozen`, or empty.
#[derive(Clone, Debug)]
pub(super) struct One {
    pub dispatch: Arc<Dispatch>,
    pub held: &'static str,
}

/// Those that are wanted, as they are now.
///
/// # Errors
/// The database's.
pub(super) async fn dispatches(
    app: &App,
    catalog: &Catalog,
    wanted: impl Fn(&Dispatch) -> bool,
) -> crate::db::Result<Vec<One>> {
    let paused: BTreeSet<DispatchId> =
        store::dispatch::paused(&app.db).await?.into_iter().collect();
    let frozen = |id| catalog.interfaces.get(&id).is_some_and(|found| found.spec.frozen);
    let held = |one: &Dispatch| match (paused.contains(&one.id), frozen(one.spec.interface)) {
        (true, _) => "paused",
        (false, true) => "frozen",
        (false, false) => "",
    };
    let found = catalog.dispatches.values().filter(|one| wanted(one));
    Ok(found.map(|one| One { dispatch: Arc::clone(one), held: held(one) }).collect())
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Whose calendars are asked.
    pub catalog: Arc<Catalog>,
    pub days: Days,
    pub dispatches: Vec<One>,
    /// Of this stretch of time the firings themselves.
    pub listed: Option<(Millis, Millis)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// By hour: what starts, and what does not, as it is paused, frozen or in a blackout window.
    pub fires: Vec<u32>,
    pub held: Vec<u32>,
    /// The first ones: instant, and position of the dispatch.
    pub listed: Vec<(Millis, usize)>,
    /// Dispatches that were not counted: too much work for one request.
    pub uncounted: usize,
}

/// # Errors
/// The work panicked.
pub(super) async fn of(app: &App, ask: Ask) -> anyhow::Result<(Ask, Load)> {
    let turn = Arc::clone(&app.counted.turn).acquire_owned().await.context("counting firings")?;
    let app = app.clone();
    tasks::blocking(move || {
        // Until the work is done, also when nobody waits for it any more.
        let _turn = turn;
        let load = count(&app.counted, &ask);
        (ask, load)
    })
    .await
}

fn count(counted: &Counted, ask: &Ask) -> Load {
    let hours = ask.days.hours.len();
    let mut load = Load { fires: vec![0; hours], held: vec![0; hours], ..Load::default() };
    let mut steps = STEPS_MAX;
    let mut named = Vec::new();
    let within = |at: u16| {
        let hour = ask.days.hours[usize::from(at)];
        ask.listed.is_some_and(|(from, until)| from < hour.until && hour.from < until)
    };
    for (position, one) in ask.dispatches.iter().enumerate() {
        let Some(counts) = counted.of(&one.dispatch, ask, &mut steps) else {
            load.uncounted += 1;
            continue;
        };
        for Count { at, fires, dark } in counts.iter().copied() {
            let at = usize::from(at);
            let (fires, held) = if one.held.is_empty() { (fires, dark) } else { (0, fires + dark) };
            load.fires[at] = load.fires[at].saturating_add(fires);
            load.held[at] = load.held[at].saturating_add(held);
        }
        if counts.iter().any(|count| within(count.at)) {
            named.push(position);
        }
    }
    if let Some(range) = ask.listed {
        load.listed = listed(&ask.dispatches, named, range);
    }
    load
}

/// The first instants of all of them, in order: one question for each dispatch, and one for each
/// instant that is listed.
fn listed(all: &[One], named: Vec<usize>, range: (Millis, Millis)) -> Vec<(Millis, usize)> {
    let mut crons = Crons::default();
    let mut next = |position: usize, after: Millis| {
        let spec = &all[position].dispatch.spec;
        let (from, until) = window(spec);
        let zone = calendar::zone(&spec.zone).ok()?;
        let at = calendar::next_after(
            &*crons.get(&spec.cron).ok()?,
            zone,
            after.max(from.saturating_sub(1)),
        )?;
        (at < range.1.min(until)).then_some(Reverse((at, position)))
    };
    let mut heap: BinaryHeap<Reverse<(Millis, usize)>> =
        named.into_iter().filter_map(|position| next(position, range.0 - 1)).collect();
    let mut found = Vec::new();
    while let Some(Reverse((at, position))) = heap.pop().filter(|_| found.len() < LISTED_MAX) {
        found.push((at, position));
        heap.extend(next(position, at));
    }
    found
}

/// How dark a cell is, 0 to 5: by the logarithm, for one dispatch of each second would leave all
/// others white.
pub(super) fn level(count: u32, most: u32) -> u32 {
    if count == 0 || most == 0 {
        return 0;
    }
    let share = f64::from(count).ln_1p() / f64::from(most).ln_1p();
    (1..=5).find(|level| share <= f64::from(*level) / 5.0).unwrap_or(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: i64, cron: &str, held: &'static str) -> One {
        let json = serde_json::json!({"interface": 1, "cron": cron, "zone": "UTC"});
        let dispatch = Dispatch {
            id: DispatchId(id),
            project: ProjectId(1),
            name: format!("d{id}"),
            version: 1,
            since: 0,
            spec: serde_json::from_value(json).unwrap(),
        };
        One { dispatch: Arc::new(dispatch), held }
    }

    fn ask(dispatches: Vec<One>, listed: Option<(Millis, Millis)>) -> Ask {
        let days = Days::month("2026-11", Tz::UTC).unwrap();
        Ask { catalog: Arc::default(), days, dispatches, listed }
    }

    #[test]
    fn what_is_held_is_counted_apart_and_all_is_listed_in_order() {
        let mut ask = ask(
            vec![
                one(1, "30 2 * * *", ""),
                one(2, "*/20 2 * * *", "paused"),
                one(3, "0 3 * * *", ""),
            ],
            None,
        );
        let hour = ask.days.hours[24 + 2];
        ask.listed = Some((hour.from, hour.until));
        let load = count(&Counted::default(), &ask);
        assert_eq!((load.fires[26], load.held[26], load.fires[27]), (1, 3, 1));
        let minutes: Vec<_> =
            load.listed.iter().map(|(at, who)| ((at - hour.from) / 60_000, *who)).collect();
        assert_eq!(minutes, [(0, 1), (20, 1), (30, 0), (40, 1)]);
        assert_eq!(load.uncounted, 0);
    }

    #[test]
    fn the_list_and_the_work_are_bounded() {
        let counted = Counted::default();
        let seconds = |second: i64| one(second, &format!("{second} * * * * *"), "");
        let mut few = ask((0..60).map(seconds).collect(), None);
        few.listed = Some(few.days.span());
        let load = count(&counted, &few);
        assert_eq!((load.fires[0], load.listed.len()), (3_600, LISTED_MAX));
        assert!(load.listed.is_sorted());
        // Rules that nobody has counted yet: each takes one step an hour.
        let minute = |at: i64| one(at, &format!("{} {} * * * *", at % 60, at / 60), "");
        let many = ask((0..600).map(minute).collect(), None);
        let first = count(&counted, &many);
        assert!(first.uncounted > 0 && first.uncounted < 300, "{}", first.uncounted);
        // What was counted is known: the second request gets on.
        let second = count(&counted, &many);
        assert_eq!(second.uncounted, 0);
        assert!(second.fires.iter().all(|count| *count == 600), "each of them once an hour");
    }

    #[test]
    fn levels_go_from_nothing_to_full() {
        assert_eq!((level(0, 0), level(0, 9), level(1, 1), level(9, 9)), (0, 0, 5, 5));
        assert!(level(1, 3_600) == 1 && level(60, 3_600) == 3);
    }
}
