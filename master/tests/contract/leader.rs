//! Who leads, what its batches store, and what it is asked.

use crate::every_database;
use crate::made::*;
use master::db::Error;
use master::db::faulty::Faulty;
use master::db::{params, sql};
use master::engine::rows::*;
use master::store::leader::{self, Claim};
use master::store::run::{self, Stored};
use master::store::{command, outbox};
use shared::ids::*;
use std::time::Duration;

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
