//! What a leader reads: live state, slices, definitions; and what is forgotten.

use crate::every_database;
use crate::made::*;
use master::db::faulty::Faulty;
use master::db::{migrate, params, sql};
use master::engine::rows::*;
use master::engine::world::Ask;
use master::store::run;
use master::store::version::{self, Of};
use master::store::{catalog, slice, upkeep};
use shared::ids::*;
use std::collections::BTreeSet;
use std::sync::Arc;

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
        assert!(Arc::ptr_eq(&first.interfaces[&two], &second.interfaces[&two]));
        assert!(Arc::ptr_eq(&first.interfaces[&one], &second.old[&(one, 1)]));
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
async fn what_is_kept_of_definitions_holds_for_one_server_and_one_past() {
    every_database(async |db| {
        let link = Faulty::new(db.clone());
        let db = link.db();
        db.commit(interface(1, 1, r#"{"description":"one"}"#)).await.unwrap();
        let kept = catalog::Kept::default();
        let current = async || kept.current(&db, kept.seen(&db).await.unwrap()).await.unwrap();
        let first = current().await;
        assert!(Arc::ptr_eq(&first, &current().await));
        let one = InterfaceId(1);
        let at = |catalog: &master::engine::catalog::Catalog| catalog.interfaces[&one].clone();
        // An edit of something else: what has not changed is not read again.
        let other = [interface(2, 1, r#"{"description":"two"}"#), vec![raise()]];
        db.commit(other.concat()).await.unwrap();
        let second = current().await;
        assert_eq!(second.interfaces.len(), 2);
        assert!(Arc::ptr_eq(&at(&first), &at(&second)));
        // A server that never saw it may have another text at the same version.
        link.fail_over("another");
        let third = current().await;
        assert!(!Arc::ptr_eq(&at(&second), &at(&third)), "the same server is only assumed");
        // So may a database whose revision went back.
        let back = "UPDATE revision SET value = value - 1 WHERE name = 'definition'";
        db.commit(vec![sql(back, params![])]).await.unwrap();
        let fourth = kept.fresh(&db).await.unwrap();
        assert!(!Arc::ptr_eq(&at(&third), &at(&fourth)));
        assert!(Arc::ptr_eq(&fourth, &current().await));
    })
    .await;
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
            attempt_of(7_000, 1, Mark::Orphan),
        ];
        let keep: Vec<Key> =
            [2, 3, 5, 6, 7, 8, 9, 10, 11, 12].map(|at: usize| changes[at].0).into();
        for id in 1..=1_234 {
            changes.push(ended(run_of(id, id, 1, RunState::Succeeded), id % 7));
            changes.push(job_run_of(id, 1));
            changes.push(attempt_of(id, 1, Mark::Plain));
        }
        db.commit(run::writes(&changes, 1)).await.unwrap();
        let (mut from, mut steps) = (upkeep::Swept::default(), 0);
        while let Some((runs, swept)) = upkeep::long_ended(&db, from, 1_000).await.unwrap() {
            upkeep::forget_details(&db, &runs, 1_000).await.unwrap();
            (from, steps) = (swept, steps + 1);
        }
        assert_eq!(steps, 3);
        let asked = [1, 2, 5_000, 7_000].map(RunId);
        let known = upkeep::with_details(&db, &asked).await.unwrap();
        assert_eq!(known, BTreeSet::from([RunId(5_000), RunId(7_000)]));
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

/// What was there before there were versions of hosts and projects has a first one; done twice, for
/// the step may have been killed before it was recorded, it is the same.
#[tokio::test]
async fn hosts_of_before_their_versions_have_a_first_one() {
    every_database(async |db| {
        let host = "INSERT INTO host (id, project_id, name, agent, spec, version, deleted_ms, \
                    updated_ms, updated_by) VALUES (7, 0, 'etl-7', '', '{}', 3, NULL, 11, 5)";
        let project = "UPDATE project SET run_as = 'etl' WHERE id = 1";
        let none = "DELETE FROM project_version";
        let before = [host, project, none].map(|text| sql(text, params![]));
        db.commit(before).await.unwrap();
        let step = migrate::steps().into_iter().find(|step| step.name == "014_host_versions");
        for _ in 0..2 {
            let inserts = step.as_ref().unwrap().statements();
            let inserts = inserts.filter(|text| text.contains("INSERT INTO"));
            let writes: Vec<_> = inserts.map(|text| sql(text, params![])).collect();
            assert_eq!(writes.len(), 2);
            db.commit(writes).await.unwrap();
        }
        let of = Of::Host(HostId(7));
        let first = version::page(&db, of, None, 9).await.unwrap();
        let told: Vec<_> =
            first.iter().map(|it| (it.version, &*it.name, &*it.spec, it.at_ms, it.by)).collect();
        assert_eq!(told, [(3, "etl-7", "{}", 11, UserId(5))]);
        let of = Of::Project(ProjectId(1));
        let first = version::page(&db, of, None, 9).await.unwrap();
        assert_eq!(
            (first.len(), first[0].version, &*first[0].spec),
            (1, 1, "{\"run_as\":\"etl\"}")
        );
    })
    .await;
}
