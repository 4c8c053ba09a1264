//! Rows of the run state are the same after they were stored.

use crate::every_database;
use master::engine::backfill::Span;
use master::engine::rows::*;
use master::store::run;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use shared::ids::*;
use shared::period::{Granularity, Period};
use shared::wire::{Exit, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![0..4_i64, 0..i64::MAX]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ -~]{0,40}", "\\PC{0,40}", Just("账期 🙂 '\"\\".to_owned())]
}

fn period() -> impl Strategy<Value = Period> {
    use Granularity::*;
    let granularity = prop::sample::select(vec![Minute, Hour, Day, Week, Month]);
    let zones = ["UTC", "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe"];
    let zone = prop::sample::select(zones.to_vec());
    (granularity, 315_532_800_000_i64..4_102_444_800_000, zone).prop_map(
        |(granularity, at, zone)| {
            Period::containing(granularity, at, shared::period::zone(zone).unwrap())
        },
    )
}

fn params() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

fn run_state() -> impl Strategy<Value = RunState> {
    use RunState::*;
    prop::sample::select(vec![Waiting, Ready, Running, Succeeded, Failed, Stopped])
}

fn target() -> impl Strategy<Value = Target> {
    (0..5, id(), period(), id()).prop_map(|(which, one, period, two)| {
        let (interface, job) = (InterfaceId(one), JobId(two));
        match which {
            0 => Target::Run(RunId(two)),
            1 => Target::Success(interface, period),
            2 => Target::Idle(interface, period),
            3 => Target::Job(interface, period, job),
            _ => Target::SuccessOrNone(interface, period),
        }
    })
}

fn place() -> impl Strategy<Value = Place> {
    (id(), any::<u128>(), 0..i64::MAX as u64).prop_map(|(host, incarnation, seq)| Place {
        host: HostId(host),
        basis: Answer { incarnation: Incarnation(incarnation), seq },
    })
}

fn phase() -> impl Strategy<Value = Phase> {
    use Verdict::*;
    let verdict = prop::sample::select(vec![Succeeded, Failed, TimedOut, Skipped, Stopped]);
    prop_oneof![
        Just(Phase::Waiting),
        Just(Phase::Queued),
        Just(Phase::Unknown),
        place().prop_map(Phase::Assigned),
        place().prop_map(Phase::Running),
        place().prop_map(Phase::Stopping),
        verdict.prop_map(Phase::Done),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<i32>().prop_map(|code| End::Exit(Exit::Code(code))),
        any::<i32>().prop_map(|signal| End::Exit(Exit::Signal(signal))),
        Just(End::Exit(Exit::Killed)),
        Just(End::Exit(Exit::Fenced)),
        Just(End::Exit(Exit::TimedOut)),
        Just(End::Exit(Exit::OverMemory)),
        Just(End::Exit(Exit::HostOutOfMemory)),
        Just(End::Refused(Refusal::DiskLow)),
        Just(End::Refused(Refusal::Draining)),
        text().prop_map(|why| End::Refused(Refusal::CannotStart(why))),
        Just(End::Unknown),
        Just(End::Lost),
        Just(End::Abandoned),
    ]
}

fn dispatch() -> impl Strategy<Value = (Key, Row)> {
    (id(), id(), any::<i64>(), any::<bool>()).prop_map(|(dispatch, project, cursor, paused)| {
        let state = DispatchState { project: ProjectId(project), cursor, paused };
        (Key::Dispatch(DispatchId(dispatch)), Row::Dispatch(state))
    })
}

fn firing() -> impl Strategy<Value = (Key, Row)> {
    use Decision::*;
    let decision = prop::sample::select(vec![Fired, Paused, Frozen, Misfired, Failed]);
    (id(), id(), period(), decision, text(), option::of(id())).prop_map(
        |(dispatch, at, period, decision, why, execution)| {
            let firing = Firing {
                project: ProjectId(at),
                version: 1,
                period,
                decision,
                why,
                execution: execution.map(ExecutionId),
                decided: at,
            };
            (Key::Firing(DispatchId(dispatch), at), Row::Firing(firing))
        },
    )
}

fn execution() -> impl Strategy<Value = (Key, Row)> {
    use Origin::*;
    let origin = prop::sample::select(vec![Cron, Hand, Api, File, Backfill]);
    let of = (option::of((id(), id())), option::of(id()), option::of(id()), any::<bool>());
    let times = (id(), option::of(id()));
    (id(), period(), origin, of, params(), run_state(), vec(id(), 0..4), times).prop_map(
        |(id, period, origin, (dispatch, command, by, cascade), params, state, runs, times)| {
            let execution = Execution {
                project: ProjectId(id % 7),
                interface: InterfaceId(id % 11),
                period,
                origin,
                dispatch: dispatch.map(|(dispatch, instant)| (DispatchId(dispatch), instant)),
                command: command.map(CommandId),
                by: by.map(UserId),
                cascade,
                params,
                state,
                runs: runs.into_iter().map(RunId).collect(),
                created: times.0,
                ended: times.1,
            };
            (Key::Execution(ExecutionId(id)), Row::Execution(execution))
        },
    )
}

fn run_row() -> impl Strategy<Value = (Key, Row)> {
    let flags = (any::<bool>(), any::<bool>(), any::<i32>());
    let times = (any::<i64>(), id(), option::of(id()), option::of(id()));
    (id(), period(), any::<u32>(), flags, params(), run_state(), btree_set(target(), 0..4), times)
        .prop_map(|(id, period, generation, flags, params, state, waits, times)| {
            let run = Run {
                project: ProjectId(id % 7),
                // No two of these have the same interface and period.
                interface: InterfaceId(id),
                period,
                period_start: times.1,
                generation,
                version: times.1,
                execution: ExecutionId(times.1),
                priority: flags.2,
                params,
                state,
                paused: flags.0,
                stale: flags.1,
                partial: flags.0 != flags.1,
                waits,
                wait_until: times.0,
                created: times.1,
                started: times.2,
                age_from: times.3,
                ended: times.3,
            };
            (Key::Run(RunId(id)), Row::Run(run))
        })
}

fn job_run() -> impl Strategy<Value = (Key, Row)> {
    let counts = (any::<u32>(), any::<u32>(), any::<i64>());
    let times = (any::<i64>(), option::of(id()), option::of(id()), option::of(id()));
    (id(), id(), phase(), text(), counts, btree_set(target(), 0..3), times).prop_map(
        |(run, job, phase, reason, (number, allowed, reign), waits, times)| {
            let job_run = JobRun {
                project: ProjectId(1),
                phase,
                reason,
                number,
                reign,
                allowed,
                not_before: times.0,
                forced: [Forced::Not, Forced::Edges, Forced::All]
                    [usize::from(job % 3 == 0) + usize::from(job % 2 == 0)],
                waits,
                ready: times.1,
                started: times.2,
                ended: times.3,
            };
            (Key::JobRun(JobRunId { run: RunId(run), job: JobId(job) }), Row::JobRun(job_run))
        },
    )
}

fn attempt() -> impl Strategy<Value = (Key, Row)> {
    let mark = prop::sample::select(vec![Mark::Plain, Mark::Orphan, Mark::Abandoned]);
    let size = || 0..i64::MAX as u64;
    let sizes = (size(), size(), option::of(size()), option::of(size()));
    let times = (id(), option::of(id()), option::of(id()));
    let marks = (mark, text());
    (id(), id(), any::<(u32, i64)>(), place(), option::of(end()), marks, sizes, times).prop_map(
        |(run, job, (number, reign), place, end, (mark, queued), sizes, times)| {
            let attempt = Attempt {
                project: ProjectId(1),
                place,
                end,
                mark,
                queued,
                assigned: times.0,
                started: times.1,
                ended: times.2,
                out_bytes: sizes.0,
                err_bytes: sizes.1,
                rss_max_kib: sizes.2,
                cpu_ms: sizes.3,
            };
            let id = AttemptId { run: RunId(run), job: JobId(job), number, reign };
            (Key::Attempt(id), Row::Attempt(attempt))
        },
    )
}

fn alert() -> impl Strategy<Value = (Key, Row)> {
    use AlertEvent::*;
    let events =
        vec![ExecutionSucceeded, ExecutionFailed, ExecutionStopped, AttemptUnknown, FiringFailed];
    let of = (option::of(id()), option::of(id()), option::of(id()));
    (any::<i64>(), prop::sample::select(events), of, text(), id()).prop_map(
        |(id, event, (execution, run, job), body, created)| {
            let alert = Alert {
                project: ProjectId(1),
                event,
                execution: execution.map(ExecutionId),
                run: run.map(RunId),
                job: job.map(JobId),
                body,
                created,
            };
            (Key::Outbox(id), Row::Outbox(alert))
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    period().prop_map(Span::one)
}

fn backfill_spec() -> impl Strategy<Value = BackfillSpec> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (id(), vec(span(), 0..3), vec(span(), 0..3), flags, vec(text(), 0..2), params()).prop_map(
        |(interface, spans, skips, flags, windows, params)| BackfillSpec {
            interface: InterfaceId(interface),
            spans,
            skips,
            descending: flags.0,
            parallel: 3,
            cascade: flags.1,
            missing_only: flags.2,
            windows,
            zone: "Asia/Shanghai".into(),
            pinned: flags.3,
            failures_max: 2,
            params,
        },
    )
}

fn backfill() -> impl Strategy<Value = (Key, Row)> {
    use BackfillState::*;
    let state = prop::sample::select(vec![Running, Paused, Cancelled, Ended]);
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    let pins = vec((id().prop_map(InterfaceId), id()), 0..3);
    let times = (id(), option::of(id()));
    (id(), backfill_spec(), pins, counts, option::of(period()), state, "[ -~]{0,40}", times)
        .prop_map(|(id, spec, pins, counts, cursor, state, why, times)| {
            let backfill = Backfill {
                project: ProjectId(1),
                interface: spec.interface,
                by: UserId(1),
                spec,
                pins,
                planned: counts.0,
                made: counts.1,
                failed: counts.2,
                cursor,
                state,
                why,
                created: times.0,
                ended: times.1,
            };
            (Key::Backfill(CommandId(id)), Row::Backfill(Arc::new(backfill)))
        })
}

fn any_row() -> impl Strategy<Value = (Key, Row)> {
    let doubt = id().prop_map(|host| (Key::Doubt(HostId(host)), Row::Doubt));
    prop_oneof![
        dispatch(),
        firing(),
        execution(),
        run_row(),
        job_run(),
        attempt(),
        alert(),
        doubt,
        backfill()
    ]
}

/// Writes rows, reads them; overwrites some, deletes some, reads again.
#[tokio::test]
async fn every_row_comes_back_as_it_was() {
    every_database(async |db| {
        let mut random = TestRunner::new_with_rng(
            Config::default(),
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        );
        let batches = vec((any_row(), any::<bool>()), 1..60);
        let mut all: BTreeMap<Key, Row> = BTreeMap::new();
        for batch in 0..150 {
            let rows = batches.new_tree(&mut random).unwrap().current();
            let mut changes: Vec<Change> = Vec::new();
            for ((key, row), keep) in rows {
                // Of an alert only the first telling is kept.
                let told = matches!(key, Key::Outbox(_)) && all.contains_key(&key);
                if keep && !told {
                    changes.push((key, Some(row.clone())));
                    all.insert(key, row);
                } else if !keep {
                    changes.push((key, None));
                    all.remove(&key);
                }
            }
            // Their dispatches are not there: what guards firings has its own test.
            let writes = run::writes(&changes, batch).into_iter();
            let writes = writes.filter(|write| !matches!(write, master::db::Write::Exist { .. }));
            db.commit(writes.collect::<Vec<_>>()).await.unwrap();
        }
        let keys: Vec<Key> = all.keys().copied().collect();
        let found: BTreeMap<Key, Row> = run::find(&db, &keys).await.unwrap().into_iter().collect();
        assert!(all.len() > 1_500, "{} rows: the test is too kind", all.len());
        for (key, row) in &all {
            assert_eq!(found.get(key), Some(row), "{key:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn long_words_for_people_are_cut() {
    every_database(async |db| {
        let key = Key::Attempt(AttemptId { run: RunId(1), job: JobId(1), number: 1, reign: 1 });
        let place = Place { host: HostId(1), basis: Answer::default() };
        let end = End::Refused(Refusal::CannotStart("错".repeat(1_000)));
        let attempt = Attempt {
            project: ProjectId(1),
            place,
            end: Some(end),
            mark: Mark::Plain,
            queued: String::new(),
            assigned: 0,
            started: None,
            ended: None,
            out_bytes: u64::MAX,
            err_bytes: 0,
            rss_max_kib: None,
            cpu_ms: None,
        };
        let change = (key, Some(Row::Attempt(attempt)));
        db.commit(run::writes(&[change], 1)).await.unwrap();
        let found = run::find(&db, &[key]).await.unwrap();
        let [(_, Row::Attempt(attempt))] = &found[..] else { panic!("{found:?}") };
        let Some(End::Refused(Refusal::CannotStart(why))) = &attempt.end else { panic!() };
        assert_eq!(why.chars().count(), 255 - "cannot_start: ".len());
        assert_eq!(attempt.out_bytes, i64::MAX as u64);
    })
    .await;
}
