//! The only place that spawns tasks: each has a name, and its panic is logged.

use std::future::Future;
use tokio::task::JoinHandle;

/// A task that nobody awaits must not die in silence.
#[expect(clippy::disallowed_methods, reason = "this is what is used instead")]
pub fn spawn<F>(name: &'static str, work: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let inner = tokio::spawn(work);
    tokio::spawn(async move {
        let abort = AbortOnDrop(inner.abort_handle());
        if let Err(error) = inner.await
            && error.is_panic()
        {
            tracing::error!(task = name, "a task panicked: {error}");
        }
        drop(abort);
    })
}

/// Aborting the outer handle ends the inner task too.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Work that blocks: files, the embedded database, password hashes.
///
/// # Errors
/// The work panicked.
#[expect(clippy::disallowed_methods, reason = "this is what is used instead")]
pub async fn blocking<T, F>(work: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| anyhow::anyhow!("blocking work: {error}"))
}
