//! What the indexes stand for, computed from the rows alone, the slow way. Every case of every test
//! is held against it after every event, and so are random lives of random meshes.

use super::lab::*;
use crate::engine::catalog::{Interface, Job};
use crate::engine::rows::*;
use crate::engine::wait::Met;
use crate::engine::world::*;
use proptest::prelude::*;
use shared::ids::*;
use shared::spec::*;
use shared::wire::Exit;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn interface_of(lab: &Lab, run: &Run) -> Option<Arc<Interface>> {
    let current = lab.catalog.interfaces.get(&run.interface);
    let current = current.filter(|found| found.version == run.version);
    current.or_else(|| lab.catalog.old.get(&(run.interface, run.version))).cloned()
}

fn edge_holds(lab: &Lab, run: RunId, edge: &Edge) -> bool {
    let id = JobRunId { run, job: edge.job };
    let phase = lab.world.table().jobs.get(&id).map(|job| job.phase);
    let Some(Phase::Done(verdict)) = phase else { return false };
    match edge.expect {
        Expect::Success => matches!(verdict, Verdict::Succeeded | Verdict::LeftOut),
        Expect::Failure => matches!(verdict, Verdict::Failed | Verdict::TimedOut),
        Expect::Done => true,
    }
}

fn is_ready(lab: &Lab, id: JobRunId, row: &JobRun) -> bool {
    let table = lab.world.table();
    let Some(run) = table.runs.get(&id.run) else { return false };
    let Some(interface) = interface_of(lab, run) else { return false };
    let Some(job) = interface.jobs.iter().find(|job| job.id == id.job) else { return false };
    let holds = |edge: &Edge| edge_holds(lab, id.run, edge);
    let edges = match job.spec.join {
        Join::All => job.spec.after.iter().all(holds),
        Join::Any => job.spec.after.is_empty() || job.spec.after.iter().any(holds),
    };
    let now = lab.catalog.interfaces.get(&run.interface);
    let frozen = now.is_some_and(|now| {
        now.spec.frozen || now.jobs.iter().any(|job| job.id == id.job && job.spec.frozen)
    });
    let orphans = table
        .attempts
        .iter()
        .filter(|(attempt, row)| attempt.job_run() == id && row.mark == Mark::Orphan);
    let blocked = orphans.map(|(_, row)| row).any(|row| row.end.is_none());
    matches!(row.phase, Phase::Waiting | Phase::Queued)
        && run.state.is_live()
        && !run.paused
        && (run.waits.is_empty() || row.forced == Forced::All)
        && row.waits.is_empty()
        && row.not_before <= lab.now.date
        && (edges || row.forced != Forced::Not)
        && !frozen
        && !blocked
}

/// The order that each row asks for, whoever is where.
fn orders(lab: &Lab) -> BTreeMap<HostId, BTreeSet<AttemptId>> {
    let mut all: BTreeMap<HostId, BTreeSet<AttemptId>> = BTreeMap::new();
    let table = lab.world.table();
    let mut add = |place: Place, attempt: AttemptId| {
        if lab.world.fleet.incarnation(place.host) == Some(place.basis.incarnation) {
            all.entry(place.host).or_default().insert(attempt);
        }
    };
    for (id, row) in &table.jobs {
        if let Phase::Assigned(place) | Phase::Stopping(place) = row.phase {
            add(place, row.attempt(*id));
        }
    }
    for (id, row) in table.attempts.iter().filter(|(_, row)| row.mark == Mark::Abandoned) {
        add(row.place, *id);
    }
    all
}

pub(super) fn check(lab: &Lab) {
    let table = lab.world.table();
    if table.jobs.len() > 300 {
        return;
    }
    let ready: BTreeSet<JobRunId> = lab.world.ready().collect();
    let defined = table.jobs.iter().filter(|(id, row)| is_ready(lab, **id, row));
    let defined: BTreeSet<JobRunId> = defined.map(|(id, _)| *id).collect();
    assert_eq!(ready, defined, "the ready set");

    let due = &lab.world.due().orders;
    for (host, attempts) in orders(lab) {
        for attempt in attempts {
            assert!(due.get(&host).is_some_and(|due| due.contains_key(&attempt)), "{attempt}");
        }
    }
    for (host, todos) in due {
        for (attempt, todo) in todos.iter() {
            let row = table.jobs.get(&attempt.job_run());
            let phase = row.filter(|row| row.attempt(attempt.job_run()) == *attempt);
            let phase = phase.map(|row| row.phase);
            match todo {
                Todo::Start { .. } => assert!(matches!(phase, Some(Phase::Assigned(_)))),
                Todo::Kill { .. } => assert!(
                    !matches!(phase, Some(Phase::Assigned(_) | Phase::Running(_))),
                    "{attempt} on {host}"
                ),
            }
        }
    }
    check_runs(lab);
    check_slots(lab);
    let live = |row: &Execution| {
        row.state.is_live() && row.origin == Origin::Cron && row.command.is_none()
    };
    let fired = table.executions.iter().filter(|(_, row)| live(row));
    let fired: BTreeSet<_> =
        fired.filter_map(|(id, row)| Some((row.dispatch?.0, row.dispatch?.1, *id))).collect();
    assert_eq!(*lab.world.fired(), fired, "what was fired and lives");
}

fn check_runs(lab: &Lab) {
    let table = lab.world.table();
    let mut live = BTreeMap::new();
    for (id, run) in table.runs.iter().filter(|(_, run)| run.state.is_live()) {
        let other = live.insert((run.interface, run.period), id);
        assert!(other.is_none(), "two live runs of {} {}", run.interface, run.period);
        let Some(interface) = interface_of(lab, run) else { continue };
        let done = |job: &Job| {
            let row = table.jobs.get(&JobRunId { run: *id, job: job.id });
            row.is_some_and(|row| matches!(row.phase, Phase::Done(_)))
        };
        let nothing_left = interface.jobs.iter().all(done);
        let met = |target: &Target| lab.world.met(*target);
        let unknown = run.waits.iter().any(|target| met(target) == Met::Unknown);
        let waits = interface.jobs.is_empty() || unknown;
        assert!(!nothing_left || waits, "{id} has ended and is live");
        let all_forced = |(of, job): (&JobRunId, &JobRun)| {
            of.run == *id && job.forced == Forced::All && job.number > 0
        };
        match run.state {
            RunState::Waiting => assert!(!run.waits.is_empty(), "{run:?}"),
            // A person has made one of its jobs begin.
            _ => assert!(run.waits.is_empty() || table.jobs.iter().any(all_forced), "{run:?}"),
        }
    }
    for (id, row) in &table.executions {
        let states = row.runs.iter().filter_map(|run| table.runs.get(run));
        let counted = states
            .filter(|run| run.partial || run.period.granularity() <= row.period.granularity());
        let any_live = counted.clone().any(|run| run.state.is_live());
        if row.state.is_live() {
            assert!(any_live, "{id} has ended and is live");
        }
    }
}

fn check_slots(lab: &Lab) {
    let mut used: BTreeMap<HostId, u32> = BTreeMap::new();
    let mut pool = 0;
    for (id, row) in &lab.world.table().jobs {
        let Some(place) = row.phase.place() else { continue };
        let run = &lab.world.table().runs[&id.run];
        let interface = interface_of(lab, run).unwrap();
        let job = interface.jobs.iter().find(|job| job.id == id.job).unwrap();
        *used.entry(place.host).or_default() += job.spec.place.slots;
        pool += job.spec.place.pools.len();
    }
    for (host, used) in used {
        let adopted = lab.world.table().attempts.values().any(|row| row.mark != Mark::Plain);
        let slots = lab.catalog.hosts.get(&host).map_or(0, |host| host.spec.slots);
        assert!(used <= slots || adopted, "host {host} has {used} of {slots}");
    }
    assert!(pool <= 1, "the pool has one place");
}

// ---- random lives ----

#[derive(Clone, Debug)]
enum Act {
    Start(u8, u8, bool),
    Exit(u8, bool),
    Pass(u32),
    Reload,
    Stop(u8),
    Resume(u8),
    Pause(u8, bool),
    Kill(u8),
    Mark(u8),
    Silence(bool),
    Settle,
    DryStop(u8),
    Stored,
    Part(u8, u8, u8),
    Skip(u8),
    Force(u8, bool),
    Follow(u8, bool),
    Reset(u8, bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4_u8, 0..3_u8, any::<bool>()).prop_map(|(i, p, c)| Act::Start(i, p, c)),
        8 => (any::<u8>(), any::<bool>()).prop_map(|(n, ok)| Act::Exit(n, ok)),
        4 => (0..90_000_u32).prop_map(Act::Pass),
        1 => Just(Act::Reload),
        1 => any::<u8>().prop_map(Act::Stop),
        2 => any::<u8>().prop_map(Act::Resume),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, on)| Act::Pause(n, on)),
        1 => any::<u8>().prop_map(Act::Kill),
        2 => any::<u8>().prop_map(Act::Mark),
        1 => any::<bool>().prop_map(Act::Silence),
        6 => Just(Act::Settle),
        1 => any::<u8>().prop_map(Act::DryStop),
        1 => Just(Act::Stored),
        2 => (any::<u8>(), any::<u8>(), 0..3_u8).prop_map(|(d, j, p)| Act::Part(d, j, p)),
        1 => any::<u8>().prop_map(Act::Skip),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, all)| Act::Force(n, all)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, all)| Act::Follow(n, all)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, begin)| Act::Reset(n, begin)),
    ]
}

/// Edges from earlier to later jobs, of four interfaces of which later ones descend from earlier ones.
fn mesh() -> impl Strategy<Value = String> {
    let edge = (0..5_u8, 0..5_u8, 0..4_u8);
    let of = (prop::collection::vec(edge, 0..8), any::<u8>(), 0..6_u8);
    prop::collection::vec(of, 4).prop_map(|all| {
        let mut text = String::new();
        for (at, (edges, parents, flavour)) in (0_u8..).zip(all) {
            text.push(char::from(b'A' + at));
            for parent in (0..at).filter(|parent| parents & (1 << parent) != 0) {
                text.push_str(&format!(" <{}", char::from(b'A' + parent)));
            }
            text.push_str(": a; b; c hangs; a hangs; b tries 2; e hangs; d retry; d hangs; d tries 2; e pool 1");
            for (from, to, how) in edges.into_iter().filter(|(from, to, _)| from < to) {
                let (from, to) = (char::from(b'a' + from), char::from(b'a' + to));
                let how = ["", "!", "*", ""][usize::from(how)];
                text.push_str(&format!("; {from}>{how}{to}"));
            }
            let needs = format!("b needs {}.a", char::from(b'A' + at.saturating_sub(1)));
            let flavours = ["", "any d", "stop", "self idle", "self succeeded", &needs];
            if at > 0 || flavour != 5 {
                text.push_str(&format!("; {}", flavours[usize::from(flavour)]));
            }
            text.push('\n');
        }
        text
    })
}

const NAMES: [&str; 4] = ["A", "B", "C", "D"];
const DAYS: [&str; 3] = ["2026-11-18", "2026-11-19", "2026-11-20"];

fn runs(lab: &Lab) -> Vec<RunId> {
    let rows = lab.db.iter();
    rows.filter_map(|(key, _)| if let Key::Run(id) = key { Some(*id) } else { None }).collect()
}

fn some<T: Copy>(all: &[T], n: u8) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(n) % all.len()])
}

fn some_job(lab: &Lab, n: u8) -> Option<JobRunId> {
    let rows = lab.db.keys();
    let jobs: Vec<JobRunId> =
        rows.filter_map(|key| if let Key::JobRun(id) = key { Some(*id) } else { None }).collect();
    some(&jobs, n)
}

fn execution(lab: &Lab, n: u8) -> Option<ExecutionId> {
    let rows = lab.db.keys();
    let all: Vec<ExecutionId> = rows
        .filter_map(|key| if let Key::Execution(id) = key { Some(*id) } else { None })
        .collect();
    some(&all, n)
}

fn exit(lab: &mut Lab, n: u8, ok: bool) {
    let all: Vec<(HostId, AttemptId)> = lab
        .running
        .iter()
        .filter(|(host, _)| !lab.silent.contains(host))
        .flat_map(|(host, set)| set.iter().map(move |attempt| (*host, *attempt)))
        .collect();
    let Some((host, attempt)) = some(&all, n) else { return };
    lab.running.entry(host).or_default().remove(&attempt);
    let exit = shared::wire::State::Ended(Exit::Code(i32::from(!ok)));
    lab.answer(host, false, vec![report(attempt, exit)]);
}

fn perform(lab: &mut Lab, act: Act) {
    let run = |lab: &Lab, n| some(&runs(lab), n);
    let verb = match act {
        Act::Start(interface, day, cascade) => {
            lab.start(NAMES[usize::from(interface)], DAYS[usize::from(day)], cascade);
            return;
        }
        Act::Exit(n, ok) => return exit(lab, n, ok),
        Act::Pass(ms) => return lab.pass(Millis::from(ms)),
        Act::Reload => return lab.reload(),
        Act::Settle => return lab.settle(),
        Act::Silence(on) => {
            lab.silent = on.then_some(HostId(1)).into_iter().collect();
            return;
        }
        Act::Stored => {
            let step = lab.world.step();
            lab.apply(Event::Stored(step));
            return;
        }
        Act::Stop(n) | Act::DryStop(n) => run(lab, n).map(|run| Verb::Stop { run }),
        Act::Resume(n) => run(lab, n).map(|run| Verb::Resume { run }),
        Act::Pause(n, true) => run(lab, n).map(|run| Verb::Pause { run }),
        Act::Pause(n, false) => run(lab, n).map(|run| Verb::Unpause { run }),
        Act::Part(day, n, part) => some_job(lab, n).map(|id| Verb::RunPart {
            interface: InterfaceId(id.job.0 / 100),
            period: period(DAYS[usize::from(day) % DAYS.len()]),
            job: id.job,
            part: [Part::Alone, Part::From, Part::To][usize::from(part)],
            params: BTreeMap::new(),
            api: false,
        }),
        Act::Skip(n) => some_job(lab, n).map(|id| Verb::Skip {
            run: id.run,
            job: id.job,
            reason: "seen".into(),
        }),
        Act::Force(n, all) => {
            some_job(lab, n).map(|id| Verb::Force { run: id.run, job: (!all).then_some(id.job) })
        }
        Act::Follow(n, all) => run(lab, n).map(|run| Verb::Follow { run, all }),
        Act::Reset(n, false) => execution(lab, n).map(|execution| Verb::Reset { execution }),
        Act::Reset(n, true) => {
            execution(lab, n).map(|execution| Verb::StartExecution { execution })
        }
        Act::Kill(n) => some_job(lab, n).map(|id| Verb::Kill { run: id.run, job: id.job }),
        Act::Mark(n) => some_job(lab, n).map(|id| Verb::MarkSuccess {
            run: id.run,
            job: id.job,
            reason: "seen".into(),
        }),
    };
    if let Some(verb) = verb {
        lab.command(verb, matches!(act, Act::DryStop(_)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// [`check`] holds after every event; a new leader loads the same ready set; and when everybody
    /// speaks again and every process ends, everything comes to its end.
    #[test]
    fn indexes_equal_their_definitions(mesh in mesh(), acts in prop::collection::vec(act(), 1..60)) {
        let mut lab = Lab::with_hosts(&mesh, &[2, 3]);
        for act in acts {
            perform(&mut lab, act);
            let ready: BTreeSet<JobRunId> = lab.world.ready().collect();
            let (world, changes) = lab.loaded();
            let loaded: BTreeSet<JobRunId> = world.ready().collect();
            prop_assert_eq!(ready, loaded, "a new leader");
            // Nothing follows from the rows that is not in them; only reasons are about hosts.
            for (key, row) in &changes {
                let queued = |row: &Row| {
                    matches!(row, Row::JobRun(job) if job.phase == Phase::Queued)
                };
                prop_assert!(row.as_ref().is_some_and(queued), "{:?} {:?}", key, row);
                prop_assert!(lab.db.get(key).is_some_and(queued), "{:?} {:?}", key, row);
            }
        }
        lab.silent.clear();
        for run in runs(&lab) {
            lab.command(Verb::Unpause { run }, false);
        }
        for _ in 0..400 {
            lab.pass(3_600_000);
            exit(&mut lab, 0, true);
            lab.settle();
        }
        for run in lab.world.table().runs.values() {
            prop_assert!(!run.state.is_live(), "{:?}", run);
        }
        for row in lab.world.table().executions.values() {
            prop_assert!(!row.state.is_live(), "{:?}", row);
        }
    }
}
