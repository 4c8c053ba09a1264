//! The executor's service, as the master calls it: tarpc over mutual TLS.
//!
//! Every call is short (a dropped call cancels its handler in tarpc, so no handler owns work), and
//! says what went wrong in its own `Result`: tarpc's `ServerError.kind` is not to be branched on.

use crate::ids::AttemptId;
use crate::wire::{
    Call, Hello, HostFacts, LogPart, OrderCall, Refused, Stream, WatchAnswer, WatchCall,
};

#[tarpc::service]
pub trait Executor {
    /// First on every connection: versions, and whether both belong to one cluster.
    async fn hello(hello: Hello) -> Result<Hello, Refused>;
    /// Takes orders up.
    async fn order(call: OrderCall) -> Result<(), Refused>;
    /// What has changed; held open while nothing has.
    async fn watch(call: WatchCall) -> Result<WatchAnswer, Refused>;
    /// A part of an attempt's output, at most `max` bytes (and what a frame holds).
    async fn read_log(
        attempt: AttemptId,
        stream: Stream,
        from: u64,
        max: u32,
    ) -> Result<Option<LogPart>, Refused>;
    /// The test button: how the host is, by itself.
    async fn probe(call: Call) -> Result<HostFacts, Refused>;
}
