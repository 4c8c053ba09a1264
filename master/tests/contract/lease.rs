//! The lease, and the lock on the data directory.

use crate::child;
use master::lease::Lease;
use master::lease::local::{DirLock, Local};
use shared::clock::Clock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Long: a server that is asked under load must not run into it by itself.
const TTL: Duration = Duration::from_secs(300);

/// `advance` lets so many milliseconds pass for the lease.
pub(crate) async fn suite(lease: Lease, advance: impl AsyncFn(i64)) {
    assert!(lease.try_hold("one", TTL).await.unwrap());
    assert!(!lease.try_hold("two", TTL).await.unwrap(), "one at a time");
    advance(200_000).await;
    assert!(lease.try_hold("one", TTL).await.unwrap(), "renewed");
    advance(200_000).await;
    assert!(!lease.try_hold("two", TTL).await.unwrap(), "counted from the renewal");
    advance(100_000).await;
    assert!(lease.try_hold("two", TTL).await.unwrap(), "it has run out");
    assert!(!lease.try_hold("one", TTL).await.unwrap());
    lease.release("one").await.unwrap();
    assert!(!lease.try_hold("one", TTL).await.unwrap(), "only the holder can give it back");
    lease.release("two").await.unwrap();
    assert!(lease.try_hold("one", TTL).await.unwrap());
    lease.release("one").await.unwrap();
}

/// Of many that ask at the same moment one has it, however often they ask.
pub(crate) async fn race(leases: &[Lease]) {
    let names: Vec<String> = (0..leases.len()).map(|at| format!("holder {at}")).collect();
    for _ in 0..20 {
        let all = leases.iter().zip(&names).map(|(lease, name)| lease.try_hold(name, TTL));
        let held = futures::future::try_join_all(all).await.unwrap();
        assert_eq!(held.iter().filter(|held| **held).count(), 1, "{held:?}");
        let winner = held.iter().position(|held| *held).unwrap();
        leases[winner].release(&names[winner]).await.unwrap();
    }
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Arc::new(DirLock::take(dir.path()).unwrap());
    let clock = Clock::set_to(0);
    let lease = Lease::Local(Local::new(lock, clock.clone()));
    race(&vec![lease.clone(); 8]).await;
    suite(lease, async |by| clock.advance(by)).await;
}

pub(crate) fn hold_the_directory(dir: &str) {
    let _lock = DirLock::take(Path::new(dir)).unwrap();
    println!("held");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let first = child::start("hold_the_directory", &path, "held");
    let error = DirLock::take(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", first.pid())), "{error}");
    assert!(error.contains(&path) && !error.contains('\n'), "{error}");
    drop(first); // by kill -9: the kernel gives the lock back
    let lock = DirLock::take(dir.path()).unwrap();
    let own = DirLock::take(dir.path()).unwrap_err().to_string();
    assert!(own.contains(&format!("process {}", std::process::id())), "{own}");
    drop(lock);
    DirLock::take(dir.path()).unwrap();
    assert!(DirLock::take(&dir.path().join("nowhere")).is_err());
}
