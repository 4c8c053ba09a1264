//! Sessions, failed logins and the bus in Redis, and what happens when it dies.

use crate::own::{Kind, Own};
use crate::server::{cluster, free_port, until, url};
use crate::session::{LIMITS, bus_suite, sessions_suite, throttle_suite};
use master::bus::{Bus, Ear, Topic, redis::Wire};
use master::link::redis::Redis;
use master::session::{Error, Limits, Sessions, Throttle};
use shared::address::Target;
use shared::clock::Clock;
use shared::ids::UserId;
use std::time::Duration;

async fn redis(cluster: &str) -> Redis {
    Redis::open(Target::plain("session", &url("HCNDC_TEST_REDIS")), cluster).await.unwrap()
}

fn bus(redis: Redis) -> Bus {
    Bus::Redis(Wire::over(redis).unwrap())
}

#[tokio::test]
async fn sessions_end_in_redis() {
    let clock = Clock::set_to(1_000_000);
    let sessions = Sessions::redis(redis(&cluster()).await, clock.clone(), LIMITS);
    sessions_suite(sessions, |by| clock.advance(by)).await;
}

#[tokio::test]
async fn failed_logins_make_wait_in_redis() {
    let redis = redis(&cluster()).await;
    throttle_suite(|failures| Throttle::redis(redis.clone(), failures)).await;
}

#[tokio::test]
async fn the_bus_nudges_over_redis() {
    bus_suite(bus(redis(&cluster()).await)).await;
}

#[tokio::test]
async fn masters_share_sessions_and_clusters_do_not() {
    let (ours, theirs) = (cluster(), cluster());
    let open = async |cluster: &str| {
        Sessions::redis(redis(cluster).await, Clock::set_to(1_000_000), LIMITS)
    };
    let (one, two, other) = (open(&ours).await, open(&ours).await, open(&theirs).await);
    let ann = UserId(1);
    let id = one.create(ann, "", "").await.unwrap();
    assert_eq!(two.find(&id).await.unwrap(), Some(ann));
    assert_eq!(other.find(&id).await.unwrap(), None);
    assert_eq!(other.revoke(ann, None).await.unwrap(), 0);
    assert_eq!(two.revoke(ann, None).await.unwrap(), 1);
    assert_eq!(one.find(&id).await.unwrap(), None);
}

/// What is in the server: never the id, and nothing for ever.
#[tokio::test]
async fn keys_hold_no_id_and_expire() {
    let cluster = cluster();
    let redis = redis(&cluster).await;
    let limits = Limits { idle_ms: 1_000, age_ms: 2_000 };
    let sessions = Sessions::redis(redis.clone(), Clock::set_to(1_000_000), limits);
    let id = sessions.create(UserId(1), "", "").await.unwrap();
    let mut command = redis::cmd("KEYS");
    command.arg(redis.key("*"));
    let keys = redis.ask::<Vec<String>>(&command).await.unwrap();
    assert!(keys.iter().all(|key| !key.contains(&id)), "{keys:?}");
    for key in &keys {
        let left = redis.ask::<i64>(redis::cmd("PTTL").arg(key)).await.unwrap();
        assert!(left != -1, "{key} does not expire");
    }
    until("all keys have expired", async || {
        redis.ask::<Vec<String>>(&command).await.unwrap().is_empty().then_some(())
    })
    .await;
}

/// Until `to` hears the topic, `from` says it: a subscription takes its time.
async fn hears(from: &Bus, to: &mut Ear, topic: Topic) {
    let hearing = async {
        loop {
            from.nudge(topic);
            let heard = tokio::time::timeout(Duration::from_millis(100), to.hear()).await;
            if heard == Ok(Some(topic)) {
                return;
            }
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, hearing).await.expect("the other bus hears it");
}

#[tokio::test]
async fn masters_hear_each_other() {
    let (ours, theirs) = (cluster(), cluster());
    let (one, two) = (bus(redis(&ours).await), bus(redis(&ours).await));
    let mut stranger = bus(redis(&theirs).await).listen();
    let (mut at_one, mut at_two) = (one.listen(), two.listen());
    hears(&one, &mut at_two, Topic::Command).await;
    hears(&two, &mut at_one, Topic::Definition).await;
    let silence = tokio::time::timeout(Duration::from_millis(50), stranger.hear()).await;
    assert!(!matches!(silence, Ok(Some(_))), "another cluster's: {silence:?}");
}

#[tokio::test]
async fn redis_may_die_and_come_back() {
    let mut server = Own::start(Kind::Redis, &[]);
    let cluster = cluster();
    let open =
        async || Redis::open(Target::plain("session", &server.url()), &cluster).await.unwrap();
    let (one, two) = (bus(open().await), bus(open().await));
    let sessions = Sessions::redis(open().await, Clock::set_to(1_000_000), LIMITS);
    let ann = UserId(1);
    let id = until("the server is up", async || sessions.create(ann, "", "").await.ok()).await;
    let mut ear = two.listen();
    hears(&one, &mut ear, Topic::Command).await;

    server.kill();
    for _ in 0..3 {
        assert!(matches!(sessions.find(&id).await, Err(Error::Away(_))));
    }
    assert!(matches!(sessions.create(ann, "", "").await, Err(Error::Away(_))));
    // What is said now reaches nobody outside; here it is heard, and nobody waits.
    one.nudge(Topic::Run);
    let mut own = one.listen();
    one.nudge(Topic::Definition);
    assert_eq!(own.hear().await, Some(Topic::Definition));

    server.again();
    let found = until("the sessions are back", async || sessions.find(&id).await.ok()).await;
    assert_eq!(found, None, "it kept nothing: people log in again");
    let id = sessions.create(ann, "", "").await.unwrap();
    assert_eq!(sessions.find(&id).await.unwrap(), Some(ann));
    // Who was cut off looks at everything, without being told anything.
    let lagged = async { while ear.hear().await != Some(Topic::Lagged) {} };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, lagged).await.expect("a lost connection is heard of");
    hears(&one, &mut ear, Topic::Command).await;
}

#[tokio::test]
async fn a_wrong_address_is_told_at_the_start_and_a_dead_server_is_waited_for() {
    for wrong in ["memcached://me:geheim@h:1", "redis://me:geheim@h:port", "me:geheim@h"] {
        let told = Redis::open(Target::plain("bus", wrong), "c").await.unwrap_err().to_string();
        assert!(told.starts_with("bus.url: ") && !told.contains("geheim"), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
    let dead = format!("redis://me:geheim@127.0.0.1:{}", free_port());
    let redis = Redis::open(Target::plain("bus", &dead), "c").await.unwrap();
    let away = redis.ask::<()>(&redis::cmd("PING")).await.unwrap_err().to_string();
    assert!(away.contains("127.0.0.1") && !away.contains("geheim"), "{away}");
    assert!(!format!("{redis:?}").contains("geheim"), "{redis:?}");
    // One that answers and does not let us in will not change its mind.
    let address = url("HCNDC_TEST_REDIS");
    let refused = address.replacen("redis://", "redis://nobody:geheim@", 1);
    let told = Redis::open(Target::plain("bus", &refused), "c").await.unwrap_err().to_string();
    assert!(told.contains("let us in") && !told.contains("geheim"), "{told}");
}
