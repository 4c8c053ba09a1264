//! The servers that adapters are tried on: those that `make services` starts.

use std::net::TcpListener;
use std::time::Duration;

/// What a condition may take on a machine that is busy; then it is no slowness.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address of a server, by the variable that names it.
pub(crate) fn url(variable: &str) -> String {
    shared::config::env(variable).unwrap_or_else(|| {
        panic!("{variable} is not set: make services && source .services/env, or make test")
    })
}

/// Tests share the servers; a cluster is one's own.
pub(crate) fn cluster() -> String {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    format!("test-{:016x}", u64::from_le_bytes(random))
}

/// Until the answer is there.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| panic!("never came about: {what}"))
}

/// An odd port that nobody has, below those that the system gives out.
pub(crate) fn free_port() -> u16 {
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap();
    let start = u16::from_le_bytes(random) % 3_000;
    (0..3_000)
        .map(|at| 25_001 + (start + at) % 3_000 * 2)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}
