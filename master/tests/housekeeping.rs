//! Chores: what each does, that the scheduler comes to them, and that only a leader does them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use master::db::{Db, migrate, params, sql};
use master::leader::dial::{Caller, Dial, Inside};
use master::leader::housekeeping::{Chore, Housekeeping, Keeper, PLAN};
use master::leader::status::LeaderStatus;
use master::logs::{Logs, on_host::OnHost};
use master::session::{Limits, Sessions};
use master::store::certificate::{self, Certificate};
use shared::address::Target;
use shared::clock::Clock;
use shared::ids::UserId;
use shared::rpc::ExecutorClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const DAY: i64 = 24 * 3_600_000;
const NOW: i64 = 1_795_230_000_000;

/// No host is there.
struct Nobody;

impl Inside for Nobody {
    fn connect(&self, address: &str) -> anyhow::Result<(String, ExecutorClient)> {
        anyhow::bail!("nobody answers at {address}")
    }
}

async fn keeper(leads: bool) -> (Keeper, watch::Sender<LeaderStatus>, tempfile::TempDir) {
    keeper_ahead(leads, 0).await
}

/// The database's clock is not ours.
async fn keeper_ahead(
    leads: bool,
    ahead_ms: i64,
) -> (Keeper, watch::Sender<LeaderStatus>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(NOW);
    let url = format!("sqlite:{}", dir.path().join("db").display());
    let db =
        Db::open(Target::plain("database", &url), Clock::set_to(NOW - ahead_ms)).await.unwrap();
    migrate::run(&db).await.unwrap();
    let limits = Limits { idle_ms: 1_000, age_ms: DAY };
    let sessions = Sessions::memory(clock.clone(), limits);
    let status = LeaderStatus { leads, ..LeaderStatus::default() };
    let (sender, leader) = watch::channel(status);
    let caller = Caller::new(Dial::Inside(Arc::new(Nobody)), "test", "m1");
    let logs = Logs::OnHost(OnHost::new(db.clone(), caller, clock.clone()));
    (Keeper { db, sessions, logs, clock, leader }, sender, dir)
}

async fn count(db: &Db, table: &str) -> i64 {
    let text = format!("SELECT count(*) AS n FROM {table}");
    db.first(text, params![]).await.unwrap().unwrap().int("n").unwrap()
}

async fn old_command(db: &Db, id: i64, done: Option<i64>) {
    let text = "INSERT INTO command (id, project_id, verb, args, by_user, at_ms, result, done_ms)
                VALUES (?, 1, 'stop', '{}', 1, 0, ?, ?)";
    db.commit([sql(text, params![id, done.map(|_| "done"), done])]).await.unwrap();
}

#[tokio::test]
async fn each_chore_does_its_part_and_no_more() {
    let (keeper, _status, _dir) = keeper(true).await;
    let db = &keeper.db;
    old_command(db, 1, Some(NOW - 401 * DAY)).await;
    old_command(db, 2, Some(NOW - 399 * DAY)).await;
    old_command(db, 3, None).await;
    let status = "INSERT INTO host_status (host_id, state, heard_ms, incarnation, why, facts)
                  VALUES (7, 'live', 0, '', '', '{}')";
    let sample = "INSERT INTO host_sample (host_id, place, at_ms, cpu_permille, memory_permille,
                  load_centi) VALUES (7, 0, 0, 0, 0, 0)";
    db.commit([sql(status, params![]), sql(sample, params![])]).await.unwrap();
    keeper.sessions.create(UserId(1), "127.0.0.1", "test").await.unwrap();
    keeper.clock.advance(2_000);
    for (_, chore) in PLAN {
        keeper.run(*chore).await.unwrap();
        keeper.run(*chore).await.unwrap();
    }
    assert_eq!(count(db, "command").await, 2);
    assert_eq!((count(db, "host_status").await, count(db, "host_sample").await), (0, 0));
    assert!(keeper.sessions.of_user(UserId(1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_purged_while_the_clocks_differ() {
    for (ahead_ms, left) in [(-401 * DAY, 1), (2 * DAY, 1), (-2_001, 1), (-2_000, 0)] {
        let (keeper, _status, _dir) = keeper_ahead(true, ahead_ms).await;
        old_command(&keeper.db, 1, Some(NOW - 401 * DAY)).await;
        for chore in [Chore::Commands, Chore::History, Chore::Orphans] {
            keeper.run(chore).await.unwrap();
        }
        assert_eq!(count(&keeper.db, "command").await, left, "{ahead_ms}");
    }
}

#[tokio::test]
async fn only_the_newest_certificate_of_an_agent_counts() {
    let (keeper, _status, _dir) = keeper(true).await;
    let certificate = |serial: &str, agent: &str, days: i64| Certificate {
        serial: serial.into(),
        role: "host".into(),
        agent: agent.into(),
        issued_ms: NOW,
        expires_ms: NOW + days * DAY,
    };
    let all = [
        certificate("1", "renewed", 3),
        certificate("2", "renewed", 90),
        certificate("3", "soon", 29),
        certificate("4", "later", 31),
        certificate("5", "over", -1),
    ];
    keeper.db.commit(all.iter().map(certificate::issued).collect::<Vec<_>>()).await.unwrap();
    let soon = certificate::expiring(&keeper.db, NOW + 30 * DAY).await.unwrap();
    let agents: Vec<_> = soon.iter().map(|it| it.agent.as_str()).collect();
    assert_eq!(agents, ["over", "soon"]);
    assert!(keeper.run(Chore::Certificates).await.unwrap().starts_with("2 certificates"));
}

#[tokio::test]
async fn the_scheduler_comes_and_only_the_leader_acts() {
    let (keeper, status, _dir) = keeper(false).await;
    old_command(&keeper.db, 1, Some(NOW - 401 * DAY)).await;
    let every_second = [("* * * * * *", Chore::Commands)];
    let housekeeping = Housekeeping::start(&keeper, &every_second).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(count(&keeper.db, "command").await, 1);
    status.send_modify(|status| status.leads = true);
    let gone = async {
        while count(&keeper.db, "command").await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the scheduler comes");
    housekeeping.stop().await;
    // The plan itself is understood.
    Housekeeping::start(&keeper, PLAN).await.unwrap().stop().await;
}
