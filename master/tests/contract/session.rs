//! Sessions and the bus.

use master::bus::{Bus, Topic};
use master::session::{Limits, Sessions};
use shared::clock::Clock;
use shared::ids::UserId;

async fn sessions_suite(sessions: Sessions, advance: impl Fn(i64)) {
    let (ann, ben) = (UserId(1), UserId(2));
    let id = sessions.create(ann, "127.0.0.1", "浏览器").await.unwrap();
    let other = sessions.create(ann, "::1", "x").await.unwrap();
    assert!(id.len() >= 64 && id != other, "256 random bits");
    assert_eq!(sessions.find(&id).await.unwrap(), Some(ann));
    for wrong in ["", "0", &id[1..], &id.to_uppercase(), "'; DROP TABLE run; --"] {
        assert_eq!(sessions.find(wrong).await.unwrap(), None, "{wrong}");
    }
    // What is shown of it is of no use to log in with.
    let shown = sessions.of_user(ann).await.unwrap();
    assert_eq!((shown.len(), sessions.of_user(ben).await.unwrap().len()), (2, 0));
    assert!(shown.iter().all(|one| !id.contains(&one.handle)));
    assert_eq!(sessions.revoke(ben, None).await.unwrap(), 0);
    sessions.end(&other).await.unwrap();
    assert_eq!(sessions.find(&other).await.unwrap(), None);
    // Idle for a minute is too long; used, it lives for ten.
    for _ in 0..10 {
        advance(59_000);
        assert_eq!(sessions.find(&id).await.unwrap(), Some(ann));
    }
    advance(59_000);
    assert_eq!(sessions.find(&id).await.unwrap(), None, "too old, however much it is used");
    let id = sessions.create(ann, "", "").await.unwrap();
    advance(60_000);
    assert_eq!(sessions.find(&id).await.unwrap(), None, "idle");
    assert_eq!(sessions.revoke(ann, None).await.unwrap(), 0);
}

#[tokio::test]
async fn sessions_end() {
    let clock = Clock::set_to(0);
    let sessions = Sessions::memory(clock.clone(), Limits { idle_ms: 60_000, age_ms: 600_000 });
    sessions_suite(sessions, |by| clock.advance(by)).await;
}

async fn bus_suite(bus: Bus) {
    bus.nudge(Topic::Run); // nobody listens, no matter
    let (mut one, mut two) = (bus.listen(), bus.listen());
    bus.nudge(Topic::Command);
    assert_eq!((one.hear().await, two.hear().await), (Some(Topic::Command), Some(Topic::Command)));
    // Who is slow hears that something was lost, and then what comes.
    for _ in 0..100_000 {
        bus.nudge(Topic::Run);
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&Topic::Lagged) {
        heard.push(one.hear().await.unwrap());
        assert!(heard.len() < 100_000);
    }
    assert_eq!(one.hear().await, Some(Topic::Run));
}

#[tokio::test]
async fn the_bus_nudges() {
    bus_suite(Bus::memory()).await;
}
