//! Sessions and the bus.

use master::bus::{Bus, Topic};
use master::session::{Failures, Limits, Sessions, Throttle};
use shared::clock::Clock;
use shared::ids::UserId;

/// Of the sessions that the suites are given.
pub(crate) const LIMITS: Limits = Limits { idle_ms: 60_000, age_ms: 600_000 };
/// Sessions that are kept at a time.
const KEPT: usize = 10_000;

pub(crate) async fn sessions_suite(sessions: Sessions, advance: impl Fn(i64)) {
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
    // By the handle that is shown: this one and no other.
    let one = sessions.create(ann, "here", "test").await.unwrap();
    let two = sessions.create(ann, "there", "test").await.unwrap();
    let own = sessions.of_user(ann).await.unwrap();
    let handle = Sessions::handle(&one);
    let shown = own.iter().find(|session| session.handle == handle).unwrap();
    assert_eq!((shown.address.as_str(), shown.agent.as_str(), shown.user), ("here", "test", ann));
    assert_eq!(sessions.revoke(ben, Some(&handle)).await.unwrap(), 0, "not one's own");
    assert_eq!(sessions.revoke(ann, Some(&handle)).await.unwrap(), 1);
    assert_eq!(sessions.find(&one).await.unwrap(), None);
    assert_eq!(sessions.find(&two).await.unwrap(), Some(ann));
    assert_eq!(sessions.revoke(ann, None).await.unwrap(), 1);
    assert_eq!(sessions.of_user(ann).await.unwrap().len(), 0);
    // So many and no more: the one that was idle longest gives way.
    let idle = sessions.create(ann, "", "").await.unwrap();
    let busy = sessions.create(ann, "", "").await.unwrap();
    advance(1);
    assert_eq!(sessions.find(&busy).await.unwrap(), Some(ann));
    for _ in 0..KEPT - 1 {
        sessions.create(ben, "", "").await.unwrap();
    }
    assert_eq!(sessions.find(&idle).await.unwrap(), None, "it gave way");
    assert_eq!(sessions.find(&busy).await.unwrap(), Some(ann));
    assert_eq!(sessions.purge().await.unwrap(), 0);
    advance(60_000);
    assert_eq!(sessions.purge().await.unwrap(), KEPT, "all have run out");
    assert_eq!(sessions.purge().await.unwrap(), 0);
}

pub(crate) async fn throttle_suite(throttle: impl Fn(Failures) -> Throttle) {
    let throttle = throttle(Failures { failures_max: 2, window_ms: 100_000 });
    let begin = async |keys: &[String], now| throttle.begin(keys, now).await.unwrap();
    let keys = ["name a".to_owned(), "address b".to_owned()];
    assert_eq!(begin(&keys, 0).await, None);
    assert_eq!(begin(&keys, 10_000).await, None);
    assert_eq!(begin(&keys, 10_000).await, Some(90_000), "however many come at once");
    assert_eq!(begin(&keys, 20_000).await, Some(80_000));
    assert_eq!(begin(&keys, 205_000).await, None, "the window has passed");
    throttle.succeeded(&keys, 205_000).await.unwrap();
    assert_eq!(begin(&keys, 206_000).await, None, "a success is no failure");
    assert_eq!(begin(&keys, 207_000).await, None);
    assert!(begin(&keys, 208_000).await.is_some());
    throttle.succeeded(&keys, 206_000).await.unwrap();
    let other = ["name c".to_owned(), keys[1].clone()];
    assert_eq!(begin(&other, 209_000).await, None, "the name was forgiven");
    assert!(begin(&other, 209_500).await.is_some(), "the address is not");
    throttle.forget(&other, 209_000).await.unwrap();
    assert_eq!(begin(&other, 209_500).await, None, "it was no try");
}

#[tokio::test]
async fn failed_logins_make_wait() {
    throttle_suite(Throttle::memory).await;
}

#[tokio::test]
async fn sessions_end() {
    let clock = Clock::set_to(0);
    let sessions = Sessions::memory(clock.clone(), LIMITS);
    sessions_suite(sessions, |by| clock.advance(by)).await;
}

pub(crate) async fn bus_suite(bus: Bus) {
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
