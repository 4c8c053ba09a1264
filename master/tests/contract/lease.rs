//! The lease, and the lock on the data directory.

use crate::child;
use master::lease::Lease;
use master::lease::local::{DirLock, Local};
use shared::clock::Clock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(3);

/// `advance` lets so many milliseconds pass for the lease.
async fn suite(lease: Lease, advance: impl AsyncFn(i64)) {
    assert!(lease.try_hold("one", TTL).await.unwrap());
    assert!(!lease.try_hold("two", TTL).await.unwrap(), "one at a time");
    advance(2_000).await;
    assert!(lease.try_hold("one", TTL).await.unwrap(), "renewed");
    advance(2_000).await;
    assert!(!lease.try_hold("two", TTL).await.unwrap(), "counted from the renewal");
    advance(1_000).await;
    assert!(lease.try_hold("two", TTL).await.unwrap(), "it has run out");
    assert!(!lease.try_hold("one", TTL).await.unwrap());
    lease.release("one").await.unwrap();
    assert!(!lease.try_hold("one", TTL).await.unwrap(), "only the holder can give it back");
    lease.release("two").await.unwrap();
    assert!(lease.try_hold("one", TTL).await.unwrap());
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Arc::new(DirLock::take(dir.path()).unwrap());
    let clock = Clock::set_to(0);
    let lease = Lease::Local(Local::new(lock, clock.clone()));
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
