//! Meshes made by chance: interfaces of several granularities, their jobs, dispatches, hosts, pools;
//! and what people edit in them.

use crate::rng::Rng;
use master::engine::catalog::*;
use shared::calendar::{CalendarSpec, DayOfWeek, DaysSpec, On};
use shared::ids::*;
use shared::period::Granularity;
use shared::spec::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So long a run waits for what is outside.
pub(crate) const WAIT_TIMEOUT_S: u32 = 60;
/// An instant is late after this long.
pub(crate) const LATE_S: u32 = 10;
const CRONS: &[&str] = &["*/5 * * * * *", "*/15 * * * * *", "*/20 * * * * *", "*/30 * * * * *"];

/// `plain`: every instant fires, every day is a period.
pub(crate) fn mesh(rng: &mut Rng, plain: bool) -> Catalog {
    let mut catalog = Catalog { revision: 1, ..Catalog::default() };
    for pool in 1..=2 {
        catalog.pools.insert(PoolId(pool), u32::try_from(1 + rng.below(4)).expect("small"));
    }
    for id in 1..=2 + rng.below(2) {
        catalog.hosts.insert(HostId(id), Arc::new(host(id, rng)));
    }
    if !plain && !rng.one_in(3) {
        let calendar = calendar(rng);
        catalog.calendars.insert(calendar.id, Arc::new(calendar));
    }
    for id in 1..=1 + rng.below(4) {
        let interface = interface(id, &catalog, rng, plain);
        catalog.interfaces.insert(interface.id, Arc::new(interface));
    }
    let interfaces: Vec<InterfaceId> = catalog.interfaces.keys().copied().collect();
    for id in 1..=1 + rng.below(3) {
        let spec = DispatchSpec {
            description: String::new(),
            interface: rng.pick(&interfaces),
            cron: rng.pick(CRONS).into(),
            zone: rng.pick(&["Europe/Berlin", "Europe/Berlin", "Asia/Shanghai"]).into(),
            period_offset: rng.pick(&[0, 0, 1]),
            cascade: rng.one_in(2),
            misfire: rng.pick(&[Misfire::All, Misfire::Last, Misfire::None, Misfire::Within(20)]),
            late_s: LATE_S,
            overlap: if plain { Overlap::Allow } else { overlap(rng) },
            blackouts: Vec::new(),
            days: catalog.calendars.keys().next().filter(|_| rng.one_in(5)).map(|calendar| {
                let on = rng.pick(&[On::Working, On::Working, On::Resting]);
                DaysSpec { calendar: *calendar, on }
            }),
            from_ms: None,
            until_ms: None,
            params: BTreeMap::new(),
        };
        let (project, name) = (ProjectId(1), format!("dispatch{id}"));
        let dispatch = Dispatch { id: DispatchId(id), project, name, version: 1, since: 0, spec };
        catalog.dispatches.insert(dispatch.id, Arc::new(dispatch));
    }
    catalog
}

fn overlap(rng: &mut Rng) -> Overlap {
    let allow = [Overlap::Allow; 3];
    let others = [Overlap::Skip, Overlap::Parallel(2), Overlap::Queue, Overlap::Cancel];
    rng.pick(&[&allow[..], &others[..]].concat())
}

/// Some days of the week work, at least one; the few minutes of a world see one or two of them.
fn calendar(rng: &mut Rng) -> Calendar {
    let works = rng.pick(&DayOfWeek::ALL);
    let rest = DayOfWeek::ALL.into_iter().filter(|day| *day != works && rng.one_in(3));
    let spec = Arc::new(CalendarSpec { rest: rest.collect(), ..CalendarSpec::default() });
    let (id, name) = (CalendarId(1), "working days".to_owned());
    Calendar { id, project: ProjectId(1), name, version: 1, spec }
}

fn host(id: i64, rng: &mut Rng) -> Host {
    let spec = HostSpec {
        description: String::new(),
        address: format!("host{id}:9000"),
        slots: u32::try_from(2 + rng.below(3)).expect("small"),
        weight: 1 + u32::from(rng.one_in(3)),
        labels: if rng.one_in(2) { vec!["big".into()] } else { Vec::new() },
        draining: false,
    };
    let (project, agent) = (ProjectId(0), format!("agent{id}"));
    Host { id: HostId(id), project, name: format!("host{id}"), agent, version: 1, spec }
}

fn granularity(rng: &mut Rng) -> Granularity {
    use Granularity::*;
    rng.pick(&[Minute, Minute, Minute, Minute, Hour, Hour, Day, Week, Month])
}

/// Maps that make sense from a waiter of one granularity to a target of another.
fn map(waiter: Granularity, target: Granularity, rng: &mut Rng) -> PeriodMap {
    match target < waiter {
        true => rng.pick(&[PeriodMap::LastWithin, PeriodMap::LastWithin, PeriodMap::Same]),
        false => rng.pick(&[
            PeriodMap::Same,
            PeriodMap::Same,
            PeriodMap::Same,
            PeriodMap::Previous(1),
            PeriodMap::Offset(-1),
        ]),
    }
}

/// A cascade from a coarse parent makes all the runs within: a day of hours is enough.
fn makes_few(parent: &Interface, child: Granularity) -> bool {
    use Granularity::*;
    let pair = (parent.spec.granularity, child);
    let few = [(Day, Hour), (Week, Day), (Month, Week)].contains(&pair);
    child >= parent.spec.granularity || few && parent.spec.parents.is_empty()
}

/// All minutes of a month would be too much of one thing.
fn is_small(waiter: Granularity, target: Granularity, map: PeriodMap) -> bool {
    let all = matches!(map, PeriodMap::Same | PeriodMap::AllWithin);
    target >= waiter || !all || waiter <= Granularity::Hour || target >= Granularity::Day
}

fn interface(id: i64, catalog: &Catalog, rng: &mut Rng, plain: bool) -> Interface {
    let granularity = granularity(rng);
    // Daily ones: their periods are the working days.
    let logical = !plain && granularity == Granularity::Day && rng.one_in(2);
    let mut parents = Vec::new();
    for parent in catalog.interfaces.values() {
        let map = map(granularity, parent.spec.granularity, rng);
        let small =
            is_small(granularity, parent.spec.granularity, map) && makes_few(parent, granularity);
        if rng.one_in(2) && small {
            parents.push(Parent { interface: parent.id, map });
        }
    }
    let mut interface = Interface {
        id: InterfaceId(id),
        project: ProjectId(1),
        name: format!("interface{id}"),
        version: 1,
        spec: InterfaceSpec {
            description: String::new(),
            catalog: String::new(),
            owner: String::new(),
            granularity,
            zone: rng.pick(&["Europe/Berlin", "Europe/Berlin", "Asia/Shanghai"]).into(),
            calendar: catalog.calendars.keys().next().copied().filter(|_| logical),
            parents,
            on_failure: rng.pick(&[OnFailure::Continue, OnFailure::Continue, OnFailure::Stop]),
            self_dependence: rng.pick(&[
                SelfDependence::None,
                SelfDependence::None,
                SelfDependence::Idle,
                SelfDependence::Succeeded,
            ]),
            priority: i32::try_from(rng.below(3)).expect("small"),
            frozen: false,
            wait_timeout_s: WAIT_TIMEOUT_S,
            alarm_after_s: rng.one_in(4).then_some(20),
            stop_after_s: rng.one_in(8).then_some(60),
            params: BTreeMap::new(),
        },
        jobs: Vec::new(),
    };
    interface.jobs = jobs(&interface, catalog, rng);
    interface
}

fn jobs(interface: &Interface, catalog: &Catalog, rng: &mut Rng) -> Vec<Job> {
    let first = interface.id.0 * 10;
    let mut jobs: Vec<Job> = Vec::new();
    for id in first..=first + rng.below(3) {
        let after = jobs.iter().map(|job| job.id).filter(|_| rng.one_in(2)).collect::<Vec<_>>();
        let expect =
            [Expect::Success, Expect::Success, Expect::Success, Expect::Failure, Expect::Done];
        let after = after.into_iter().map(|job| Edge { job, expect: rng.pick(&expect) });
        let after = after.collect();
        let mut needs = Vec::new();
        for other in catalog.interfaces.range(..interface.id).map(|(_, other)| other) {
            let map = map(interface.spec.granularity, other.spec.granularity, rng);
            let small = is_small(interface.spec.granularity, other.spec.granularity, map);
            if rng.one_in(5) && small {
                let job = rng.pick(&other.jobs).id;
                needs.push(Need { interface: other.id, job, map });
            }
        }
        let spec = JobSpec {
            description: String::new(),
            catalog: String::new(),
            owner: String::new(),
            kind: "shell".into(),
            fields: BTreeMap::from([("program".to_owned(), "true".into())]),
            after,
            join: rng.pick(&[Join::All, Join::All, Join::Any]),
            needs,
            place: place(catalog, rng),
            environment: String::new(),
            policy: policy(rng),
            limits: LimitSpec::default(),
            priority: i32::try_from(rng.below(3)).expect("small"),
            frozen: false,
            params: BTreeMap::new(),
        };
        jobs.push(Job { id: JobId(id), name: format!("job{id}"), spec });
    }
    jobs
}

/// Whatever one host has is not asked for: it may be the one that dies.
fn place(catalog: &Catalog, rng: &mut Rng) -> PlaceSpec {
    let mut hosts: Vec<HostId> = catalog.hosts.keys().copied().collect();
    let left_out = rng.index(hosts.len());
    let some = hosts.len() > 2 && rng.one_in(6);
    if some {
        hosts.remove(left_out);
    }
    let big = catalog.hosts.values().filter(|host| !host.spec.labels.is_empty()).count() > 1;
    PlaceSpec {
        hosts: if some { hosts } else { Vec::new() },
        labels: if big && !some && rng.one_in(6) { vec!["big".into()] } else { Vec::new() },
        slots: 1 + u32::from(rng.one_in(6)),
        pools: catalog.pools.keys().copied().filter(|_| rng.one_in(4)).collect(),
    }
}

fn policy(rng: &mut Rng) -> Policy {
    let small = |n: i64| u32::try_from(n).expect("small");
    Policy {
        attempts_max: small(1 + rng.below(4)),
        backoff: Backoff { delay_s: small(rng.below(3)), factor: 2, delay_max_s: 4 },
        timeout_s: Some(small(10 + rng.below(30))),
        kill_grace_s: 1,
        on_lost: rng.pick(&[OnLost::Wait, OnLost::Retry]),
        on_unknown: rng.pick(&[OnUnknown::Hold, OnUnknown::Fail, OnUnknown::Retry]),
    }
}

/// Somebody saves another version of an interface or of a dispatch.
pub(crate) fn edit(catalog: &Catalog, now: Millis, rng: &mut Rng) -> Catalog {
    let mut next = Catalog { revision: catalog.revision + 1, ..catalog.clone() };
    if rng.one_in(2) {
        let ids: Vec<DispatchId> = next.dispatches.keys().copied().collect();
        let id = rng.pick(&ids);
        let mut dispatch = Dispatch::clone(&next.dispatches[&id]);
        (dispatch.version, dispatch.since) = (dispatch.version + 1, now);
        dispatch.spec.cron = rng.pick(CRONS).into();
        dispatch.spec.cascade = rng.one_in(2);
        dispatch.spec.period_offset = rng.pick(&[0, 0, 1]);
        next.dispatches.insert(id, Arc::new(dispatch));
    } else {
        let ids: Vec<InterfaceId> = next.interfaces.keys().copied().collect();
        let id = rng.pick(&ids);
        let mut interface = Interface::clone(&next.interfaces[&id]);
        interface.version += 1;
        // Jobs on which others depend stay; their edges, places and policies are others.
        let mut jobs = jobs(&interface, catalog, rng);
        if jobs.len() < interface.jobs.len() {
            jobs.extend(interface.jobs[jobs.len()..].iter().cloned());
        }
        interface.jobs = jobs;
        interface.spec.priority = i32::try_from(rng.below(3)).expect("small");
        next.interfaces.insert(id, Arc::new(interface));
    }
    next
}

/// Interfaces of a version that is not current any more, or is.
pub(crate) type Versions = BTreeMap<(InterfaceId, i64), Arc<Interface>>;
