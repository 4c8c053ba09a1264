//! The leader's stores on a database: who leads, what it loads, what it is asked.

use crate::every_database;
use master::db::faulty::Faulty;
use master::db::{Db, Error, Write, guard, params, sql};
use master::engine::rows::*;
use master::engine::world::Ask;
use master::store::leader::{self, Claim};
use master::store::run::{self, Stored};
use master::store::{catalog, command, outbox, slice, upkeep};
use shared::ids::*;
use shared::period::Period;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CLUSTER: &str = "c";

fn claim_by(holder: i64, told: i64) -> Claim {
    Claim { cluster: CLUSTER.into(), holder, told, url: "http://x".into(), now: 5 }
}

async fn doubts(db: &Db) -> Vec<i64> {
    let rows =
        db.query("SELECT host_id FROM host_doubt ORDER BY host_id", params![]).await.unwrap();
    rows.iter().map(|row| row.int("host_id").unwrap()).collect()
}

fn host(id: i64, deleted: Option<i64>) -> Write {
    sql(
        "INSERT INTO host (id, project_id, name, agent, spec, version, deleted_ms, updated_ms, updated_by)
         VALUES (?, 0, ?, ?, ?, 1, ?, 0, 0)",
        params![id, format!("h{id}"), "", r#"{"address":"127.0.0.1:1"}"#, deleted],
    )
}

fn interface(id: i64, version: i64, spec: &str) -> Vec<Write> {
    vec![
        sql("DELETE FROM interface WHERE id = ?", params![id]),
        sql(
            "INSERT INTO interface (id, project_id, name, version, updated_ms, updated_by)
             VALUES (?, 1, ?, ?, 0, 0)",
            params![id, format!("i{id}"), version],
        ),
        sql(
            "INSERT INTO interface_version
             (interface_id, version, project_id, spec, note, at_ms, by_user)
             VALUES (?, ?, 1, ?, '', 0, 0)",
            params![id, version, spec],
        ),
    ]
}

fn job(id: i64, of: i64, version: i64, deleted: bool) -> Vec<Write> {
    let spec = format!(r#"{{"kind":"shell","description":"v{version}"}}"#);
    vec![
        sql("DELETE FROM job WHERE id = ?", params![id]),
        sql(
            "INSERT INTO job
             (id, project_id, interface_id, name, version, deleted_ms, updated_ms, updated_by)
             VALUES (?, 1, ?, ?, ?, ?, 0, 0)",
            params![id, of, format!("j{id}"), version, deleted.then_some(1)],
        ),
        sql(
            "INSERT INTO job_version
             (job_id, version, project_id, interface_id, deleted, spec, at_ms, by_user)
             VALUES (?, ?, 1, ?, ?, ?, 0, 0)",
            params![id, version, of, deleted, spec],
        ),
    ]
}

fn dispatch(id: i64, version: i64) -> Vec<Write> {
    vec![
        sql("DELETE FROM dispatch WHERE id = ?", params![id]),
        sql(
            "INSERT INTO dispatch
             (id, project_id, interface_id, name, version, updated_ms, updated_by)
             VALUES (?, 1, 1, ?, ?, 0, 0)",
            params![id, format!("d{id}"), version],
        ),
        sql(
            "INSERT INTO dispatch_version
             (dispatch_id, version, project_id, spec, note, at_ms, by_user)
             VALUES (?, ?, 1, ?, '', ?, 0)",
            params![id, version, r#"{"interface":1,"cron":"0 1 * * *"}"#, 77],
        ),
    ]
}

fn raise() -> Write {
    guard("UPDATE revision SET value = value + 1 WHERE name = 'definition'", params![])
}

fn day(text: &str) -> Period {
    text.parse().unwrap()
}

fn run_of(id: i64, interface: i64, generation: u32, state: RunState) -> Change {
    let run = Run {
        project: ProjectId(1),
        interface: InterfaceId(interface),
        period: day("2026-11-20"),
        period_start: 0,
        generation,
        version: 1,
        execution: ExecutionId(1),
        priority: 0,
        params: BTreeMap::new(),
        state,
        paused: false,
        stale: false,
        waits: BTreeSet::new(),
        wait_until: i64::MAX,
        created: 0,
        started: None,
        ended: None,
    };
    (Key::Run(RunId(id)), Some(Row::Run(run)))
}

fn job_run_of(run: i64, job: i64) -> Change {
    let row = JobRun {
        project: ProjectId(1),
        phase: Phase::Waiting,
        reason: String::new(),
        number: 0,
        reign: 0,
        allowed: 1,
        not_before: 0,
        waits: BTreeSet::new(),
        ready: None,
        started: None,
        ended: None,
    };
    (Key::JobRun(JobRunId { run: RunId(run), job: JobId(job) }), Some(Row::JobRun(row)))
}

fn attempt_of(run: i64, job: i64, mark: Mark) -> Change {
    let row = Attempt {
        project: ProjectId(1),
        place: Place { host: HostId(1), basis: Answer::default() },
        end: None,
        mark,
        assigned: 0,
        started: None,
        ended: None,
        out_bytes: 0,
        err_bytes: 0,
        rss_max_kib: None,
        cpu_ms: None,
    };
    let id = AttemptId { run: RunId(run), job: JobId(job), number: 1, reign: 9 };
    (Key::Attempt(id), Some(Row::Attempt(row)))
}

fn execution_of(id: i64, state: RunState, runs: &[i64]) -> Change {
    let row = Execution {
        project: ProjectId(1),
        interface: InterfaceId(1),
        period: day("2026-11-20"),
        origin: Origin::Hand,
        dispatch: None,
        command: None,
        by: None,
        cascade: false,
        params: BTreeMap::new(),
        state,
        runs: runs.iter().map(|run| RunId(*run)).collect(),
        created: 0,
        ended: None,
    };
    (Key::Execution(ExecutionId(id)), Some(Row::Execution(row)))
}

fn firing_of(dispatch: i64, instant: i64, version: i64) -> Change {
    let row = Firing {
        project: ProjectId(1),
        version,
        period: day("2026-11-20"),
        decision: Decision::Fired,
        why: String::new(),
        execution: Some(ExecutionId(1)),
        decided: 0,
    };
    (Key::Firing(DispatchId(dispatch), instant), Some(Row::Firing(row)))
}

#[tokio::test]
async fn who_leads_is_the_row() {
    every_database(async |db| {
        assert_eq!(leader::read(&db, CLUSTER).await.unwrap(), None);
        leader::claim(&db, &claim_by(11, 0)).await.unwrap();
        let one = leader::read(&db, CLUSTER).await.unwrap().unwrap();
        assert_eq!((one.epoch, one.holder, one.batch), (1, 11, 0));
        assert!(one.is_of(11) && one.server == db.server().await.unwrap());
        // A host has told of a higher epoch.
        leader::claim(&db, &claim_by(12, 7)).await.unwrap();
        let two = leader::read(&db, CLUSTER).await.unwrap().unwrap();
        assert_eq!((two.epoch, two.holder), (8, 12));
        // Batches of the one who was are refused; those of the one who is pass once each.
        let old = run::store(&db, CLUSTER, (one.reigning(), 0), &[]).await;
        assert_eq!(old, Stored::Refused(Some(two.clone())));
        assert_eq!(run::store(&db, CLUSTER, (two.reigning(), 0), &[]).await, Stored::Done);
        let again = run::store(&db, CLUSTER, (two.reigning(), 0), &[]).await;
        assert!(matches!(again, Stored::Refused(Some(row)) if row.batch == 1));
        assert_eq!(run::store(&db, CLUSTER, (two.reigning(), 1), &[]).await, Stored::Done);
        // Two who claim at once: one row, one winner.
        let (a, b) = (claim_by(21, 0), claim_by(22, 0));
        let (a, b) = futures::join!(leader::claim(&db, &a), leader::claim(&db, &b));
        let row = leader::read(&db, CLUSTER).await.unwrap().unwrap();
        assert!(a.is_ok() || b.is_ok());
        assert!(row.holder == 21 || row.holder == 22);
        assert_eq!(leader::show(&db, CLUSTER).await.unwrap().unwrap(), row);
        assert_eq!(doubts(&db).await, Vec::<i64>::new());
    })
    .await;
}

#[tokio::test]
async fn another_server_puts_every_host_in_doubt() {
    every_database(async |db| {
        db.commit([host(1, None), host(2, Some(5)), host(3, None)]).await.unwrap();
        let link = Faulty::new(db.clone());
        let db = link.db();
        leader::claim(&db, &claim_by(11, 0)).await.unwrap();
        let row = leader::read(&db, CLUSTER).await.unwrap().unwrap();
        link.fail_over("B");
        // The guard does not pass on another server, the row being the same.
        let refused = run::store(&db, CLUSTER, (row.reigning(), 0), &[]).await;
        assert!(matches!(refused, Stored::Refused(Some(row)) if row.answered_by == "B"));
        assert_eq!(doubts(&db).await, Vec::<i64>::new());
        leader::claim(&db, &claim_by(12, 0)).await.unwrap();
        assert_eq!(doubts(&db).await, [1, 3]);
        let row = leader::read(&db, CLUSTER).await.unwrap().unwrap();
        assert!(row.is_of(12) && row.server == "B");
        // Known in doubt, and again on another one.
        link.fail_over("C");
        leader::claim(&db, &claim_by(13, 0)).await.unwrap();
        assert_eq!(doubts(&db).await, [1, 3]);
        let change = (Key::Doubt(HostId(1)), None);
        let row = leader::read(&db, CLUSTER).await.unwrap().unwrap();
        assert_eq!(run::store(&db, CLUSTER, (row.reigning(), 0), &[change]).await, Stored::Done);
        assert_eq!(doubts(&db).await, [3]);
        // An empty database that hosts have obeyed before.
        let lost = Claim { cluster: "d".into(), ..claim_by(14, 3) };
        leader::claim(&db, &lost).await.unwrap();
        assert_eq!(doubts(&db).await, [1, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_firing_is_stored_only_for_its_version() {
    every_database(async |db| {
        db.commit([dispatch(1, 4), dispatch(2, 9)].concat()).await.unwrap();
        leader::claim(&db, &claim_by(11, 0)).await.unwrap();
        let reign = leader::read(&db, CLUSTER).await.unwrap().unwrap().reigning();
        let good = [firing_of(1, 1000, 4), firing_of(1, 2000, 4), firing_of(2, 1000, 9)];
        assert_eq!(run::store(&db, CLUSTER, (reign, 0), &good).await, Stored::Done);
        db.commit(dispatch(2, 10)).await.unwrap();
        let late = [firing_of(1, 3000, 4), firing_of(2, 3000, 9), run_of(5, 1, 1, RunState::Ready)];
        let refused = run::store(&db, CLUSTER, (reign, 1), &late).await;
        assert_eq!(refused, Stored::Edited(vec![Key::Firing(DispatchId(2), 3000)]));
        let keys = [late[0].0, late[2].0];
        assert_eq!(run::find(&db, &keys).await.unwrap(), []);
        let rest = [late[0].clone()];
        assert_eq!(run::store(&db, CLUSTER, (reign, 1), &rest).await, Stored::Done);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_is_named() {
    every_database(async |db| {
        leader::claim(&db, &claim_by(11, 0)).await.unwrap();
        let reign = leader::read(&db, CLUSTER).await.unwrap().unwrap().reigning();
        let first = [run_of(5, 1, 1, RunState::Ready)];
        assert_eq!(run::store(&db, CLUSTER, (reign, 0), &first).await, Stored::Done);
        // Another id for what is there already: ids are derived, so something is very wrong.
        let mut changes: Vec<Change> =
            (10..500).map(|id| run_of(id, 100 + id, 1, RunState::Ready)).collect();
        changes.push(run_of(321, 1, 1, RunState::Ready));
        changes.push(execution_of(1, RunState::Running, &[5]));
        let bad = run::store(&db, CLUSTER, (reign, 1), &changes).await;
        assert!(matches!(bad, Stored::Bad(Key::Run(RunId(321)), _)), "{bad:?}");
        assert_eq!(leader::read(&db, CLUSTER).await.unwrap().unwrap().batch, 1);
    })
    .await;
}

#[tokio::test]
async fn a_new_leader_loads_what_lives() {
    every_database(async |db| {
        let state = DispatchState { project: ProjectId(1), cursor: 5, paused: true };
        let changes = vec![
            (Key::Dispatch(DispatchId(1)), Some(Row::Dispatch(state))),
            (Key::Doubt(HostId(3)), Some(Row::Doubt)),
            execution_of(1, RunState::Running, &[1, 2]),
            execution_of(2, RunState::Succeeded, &[3]),
            run_of(1, 1, 1, RunState::Running),
            job_run_of(1, 1),
            job_run_of(1, 2),
            attempt_of(1, 1, Mark::Plain),
            // Named by a live execution: its row is wanted, not its jobs.
            run_of(2, 2, 1, RunState::Succeeded),
            job_run_of(2, 1),
            attempt_of(2, 1, Mark::Plain),
            // History.
            run_of(3, 3, 1, RunState::Failed),
            job_run_of(3, 1),
            attempt_of(3, 1, Mark::Plain),
            attempt_of(3, 2, Mark::Abandoned),
            attempt_of(99, 2, Mark::Orphan),
            attempt_of(1, 2, Mark::Abandoned),
        ];
        db.commit(run::writes(&changes, 1)).await.unwrap();
        let mut loaded: Vec<(Key, Row)> = run::load_live(&db).await.unwrap();
        loaded.sort_by_key(|(key, _)| *key);
        let wanted = [0, 1, 2, 4, 5, 6, 7, 8, 14, 15, 16];
        let mut wanted: Vec<(Key, Row)> =
            wanted.iter().map(|at| (changes[*at].0, changes[*at].1.clone().unwrap())).collect();
        wanted.sort_by_key(|(key, _)| *key);
        assert_eq!(loaded, wanted);
    })
    .await;
}

/// More than one page of rows, and more ids than one query takes.
#[tokio::test]
async fn many_rows_are_loaded_page_by_page() {
    every_database(async |db| {
        let mut changes = Vec::new();
        for run in 0..1_200 {
            changes.push(run_of(run, run, 1, RunState::Running));
            let jobs = if run == 7 { 45_000 } else { 3 };
            changes.extend((0..jobs).map(|job| job_run_of(run, job)));
        }
        db.commit(run::writes(&changes, 1)).await.unwrap();
        let loaded = run::load_live(&db).await.unwrap();
        assert_eq!(loaded.len(), changes.len());
        let keys: BTreeSet<Key> = loaded.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.len(), changes.len());
    })
    .await;
}

#[tokio::test]
async fn slices_are_read_many_at_once() {
    every_database(async |db| {
        let mut changes = vec![
            run_of(11, 1, 1, RunState::Failed),
            run_of(12, 1, 2, RunState::Succeeded),
            job_run_of(11, 1),
            job_run_of(12, 1),
            attempt_of(11, 1, Mark::Plain),
            attempt_of(12, 1, Mark::Plain),
            execution_of(5, RunState::Succeeded, &[12]),
        ];
        changes.extend((100..900).map(|id| run_of(id, id, 1, RunState::Succeeded)));
        db.commit(run::writes(&changes, 1)).await.unwrap();
        let period = day("2026-11-20");
        let mut asks = vec![
            Ask::Slice(InterfaceId(1), period),
            Ask::Slice(InterfaceId(1), day("2026-11-21")),
            Ask::Run(RunId(12)),
            Ask::Run(RunId(77)),
            Ask::Execution(ExecutionId(5)),
            Ask::Execution(ExecutionId(6)),
        ];
        asks.extend((100..900).map(|id| Ask::Slice(InterfaceId(id), period)));
        let answers = slice::load(&db, &asks).await.unwrap();
        let told: Vec<Ask> = answers.iter().map(|answer| answer.ask).collect();
        assert_eq!(told, asks);
        let keys = |at: usize| {
            let mut keys: Vec<Key> = answers[at].rows.iter().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            keys
        };
        let changed = |ats: &[usize]| ats.iter().map(|at| changes[*at].0).collect::<Vec<_>>();
        assert_eq!(keys(0), changed(&[0, 1, 2, 3]));
        assert_eq!(keys(1), []);
        assert_eq!(keys(2), changed(&[0, 1, 2, 3, 5]), "the slice, and the attempts of this run");
        assert_eq!((keys(3), keys(4), keys(5)), (vec![], changed(&[6]), vec![]));
        assert!((6..806).all(|at| keys(at).len() == 1));
    })
    .await;
}

#[tokio::test]
async fn definitions_are_read_whole() {
    every_database(async |db| {
        let writes = [
            interface(1, 1, r#"{"description":"one"}"#),
            job(1, 1, 1, false),
            job(2, 1, 1, false),
            interface(2, 1, r#"{"description":"two"}"#),
            dispatch(1, 3),
            vec![host(1, None), host(2, Some(1))],
            vec![sql("INSERT INTO pool (id, project_id, name, slots, row_version) VALUES (1, 1, 'p', 4, 1)", params![])],
        ];
        db.commit(writes.concat()).await.unwrap();
        let first = catalog::load(&db).await.unwrap();
        assert_eq!((first.revision, first.interfaces.len(), first.hosts.len()), (1, 2, 1));
        assert_eq!(first.interfaces[&InterfaceId(1)].jobs.len(), 2);
        assert_eq!(first.dispatches[&DispatchId(1)].since, 77);
        assert_eq!(first.pools[&PoolId(1)], 4);
        assert_eq!(first.projects[&ProjectId(1)].name, "default");
        // A live run goes on by the version it began with: a job is edited, one deleted, one made.
        let live = run_of(1, 1, 1, RunState::Running);
        db.commit(run::writes(&[live], 1)).await.unwrap();
        let writes = [
            interface(1, 2, r#"{"description":"edited"}"#),
            job(1, 1, 2, false),
            job(2, 1, 2, true),
            job(3, 1, 2, false),
            vec![raise()],
        ];
        db.commit(writes.concat()).await.unwrap();
        let second = catalog::reload(&db, &first).await.unwrap();
        assert_eq!(second.revision, catalog::revision(&db).await.unwrap());
        let ids = |interface: &master::engine::catalog::Interface| {
            let of = |job: &master::engine::catalog::Job| (job.id.0, job.spec.description.clone());
            interface.jobs.iter().map(of).collect::<Vec<_>>()
        };
        let (one, two) = (InterfaceId(1), InterfaceId(2));
        let (v1, v2) = ("v1".to_owned(), "v2".to_owned());
        assert_eq!(ids(&second.interfaces[&one]), [(1, v2.clone()), (3, v2.clone())]);
        assert_eq!(ids(&second.old[&(one, 1)]), [(1, v1.clone()), (2, v1.clone())]);
        // What is known is not read again, and what is loaded afresh is the same.
        assert!(std::sync::Arc::ptr_eq(&first.interfaces[&two], &second.interfaces[&two]));
        assert!(std::sync::Arc::ptr_eq(&first.interfaces[&one], &second.old[&(one, 1)]));
        let fresh = catalog::load(&db).await.unwrap();
        assert_eq!((&fresh.interfaces, &fresh.old), (&second.interfaces, &second.old));
        let asked = [(one, 1), (one, 2), (one, 3), (InterfaceId(9), 1)].into();
        let versions = catalog::versions(&db, &asked).await.unwrap();
        assert_eq!(versions.len(), 2);
        assert_eq!(versions[&(one, 2)], second.interfaces[&one]);
        // A text that cannot be read names whose it is.
        db.commit(interface(2, 2, r#"{"descriptoin":"slip"}"#)).await.unwrap();
        let error = catalog::load(&db).await.unwrap_err().to_string();
        assert!(error.contains("interface 2") && error.contains("descriptoin"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn commands_are_asked_obeyed_and_answered() {
    every_database(async |db| {
        let ask = |dry_run| {
            let (project, by) = (ProjectId(1), UserId(7));
            Command { project, by, verb: Verb::Stop { run: RunId(99) }, dry_run }
        };
        let one = command::insert(&db, &ask(false), 5).await.unwrap();
        let two = command::insert(&db, &ask(true), 6).await.unwrap();
        assert!(one < two);
        // Of a newer program: refused at once, not for ever in the way.
        let strange = "INSERT INTO command (id, project_id, verb, args, by_user, at_ms)
            VALUES (50, 1, 'dance', ?, 1, 0)";
        db.commit([sql(strange, params![r#"{"verb":{"verb":"dance"}}"#])]).await.unwrap();
        let polled = command::poll(&db, 100).await.unwrap();
        assert_eq!(polled, [(one, ask(false)), (two, ask(true))]);
        assert_eq!(command::poll(&db, 1).await.unwrap().len(), 1);
        let refused = command::result(&db, CommandId(50)).await.unwrap().unwrap();
        assert!(!refused.done && refused.plan.refused.unwrap().contains("understand"));
        assert_eq!(command::wait(&db, one, Duration::from_millis(60)).await.unwrap(), None);
        let plan = Plan { jobs_stopped: 3, ..Plan::default() };
        let result = CommandResult { done: true, plan, at: 9 };
        let change = (Key::Command(one), Some(Row::Command(result.clone())));
        let answer = async {
            tokio::time::sleep(Duration::from_millis(80)).await;
            db.commit(run::writes(&[change], 1)).await.unwrap();
        };
        let waited = command::wait(&db, one, Duration::from_secs(5));
        let ((), waited) = futures::join!(answer, waited);
        assert_eq!(waited.unwrap(), Some(result));
        assert_eq!(command::poll(&db, 100).await.unwrap(), [(two, ask(true))]);
    })
    .await;
}

#[tokio::test]
async fn an_alert_is_sent_once() {
    every_database(async |db| {
        let alert = |body: &str| Alert {
            project: ProjectId(1),
            event: AlertEvent::ExecutionFailed,
            execution: Some(ExecutionId(1)),
            run: None,
            job: None,
            body: body.into(),
            created: 1,
        };
        let change = |id: i64, body: &str| (Key::Outbox(id), Some(Row::Outbox(alert(body))));
        db.commit(run::writes(&[change(1, "a"), change(2, "b")], 1)).await.unwrap();
        assert_eq!(outbox::unsent(&db, 10).await.unwrap(), [(1, alert("a")), (2, alert("b"))]);
        db.commit(outbox::sent(&[1], 7)).await.unwrap();
        // A new leader tells the same again.
        db.commit(run::writes(&[change(1, "a"), change(3, "c")], 2)).await.unwrap();
        let left: Vec<i64> =
            outbox::unsent(&db, 10).await.unwrap().into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [2, 3]);
        assert_eq!(db.commit(outbox::sent(&[], 7)).await, Ok::<(), Error>(()));
    })
    .await;
}

/// The same row, ended then.
fn ended(change: Change, at: i64) -> Change {
    match change {
        (key, Some(Row::Run(run))) => (key, Some(Row::Run(Run { ended: Some(at), ..run }))),
        (key, Some(Row::Execution(execution))) => {
            (key, Some(Row::Execution(Execution { ended: Some(at), ..execution })))
        }
        other => other,
    }
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_succeeded_is_not() {
    every_database(async |db| {
        let state = DispatchState { project: ProjectId(1), cursor: 50, paused: false };
        db.commit(dispatch(1, 1)).await.unwrap();
        let mut changes = vec![
            (Key::Dispatch(DispatchId(1)), Some(Row::Dispatch(state))),
            firing_of(1, 40, 1),
            firing_of(1, 60, 1),
            firing_of(1, 2_000, 1),
            ended(execution_of(1, RunState::Failed, &[1]), 100),
            execution_of(2, RunState::Running, &[2]),
            ended(execution_of(3, RunState::Failed, &[1]), 3_000),
            run_of(5_000, 5_000, 1, RunState::Running),
            job_run_of(5_000, 1),
            ended(run_of(5_001, 5_001, 1, RunState::Failed), 1_000),
            job_run_of(5_001, 1),
            attempt_of(1, 8, Mark::Abandoned),
        ];
        let keep: Vec<Key> = [2, 3, 5, 6, 7, 8, 9, 10, 11].map(|at: usize| changes[at].0).into();
        for id in 1..=1_234 {
            changes.push(ended(run_of(id, id, 1, RunState::Succeeded), id % 7));
            changes.push(job_run_of(id, 1));
            changes.push(attempt_of(id, 1, Mark::Plain));
        }
        db.commit(run::writes(&changes, 1)).await.unwrap();
        let (mut from, mut steps) = (upkeep::Swept::default(), 0);
        while let Some(swept) = upkeep::forget_details(&db, from, 1_000).await.unwrap() {
            (from, steps) = (swept, steps + 1);
        }
        assert_eq!(steps, 3);
        assert_eq!(upkeep::forget_history(&db, 1_000).await.unwrap(), 1);
        let keys: Vec<Key> = changes.iter().map(|(key, _)| *key).collect();
        let found = run::find(&db, &keys).await.unwrap();
        let mut left: BTreeSet<Key> = found.into_iter().map(|(key, _)| key).collect();
        assert!(left.remove(&changes[0].0) && keep.iter().all(|key| left.remove(key)));
        assert!((1..=1_234).all(|id| left.remove(&Key::Run(RunId(id)))), "runs stay");
        assert_eq!(left, BTreeSet::new());
    })
    .await;
}
