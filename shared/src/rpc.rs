//! The executor's service, as the master calls it: tarpc over mutual TLS.
//!
//! Every call is short (a dropped call cancels its handler in tarpc, so no handler owns work), and
//! says what went wrong in its own `Result`: tarpc's `ServerError.kind` is not to be branched on.
//! [`serve`] and [`connect`] put the same frames, codec and limits on both ends.

use crate::codec::NamedMessagePack;
use crate::etl::browse;
use crate::tasks;
use crate::wire::{
    Call, FRAME_MAX, Hello, HostFacts, LogPart, LogQuery, OrderCall, Refused, WatchAnswer,
    WatchCall,
};
use futures::{StreamExt, TryStreamExt};
use std::time::{Duration, Instant};
use tarpc::server::{BaseChannel, Channel};
use tarpc::{ClientMessage, context};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::LengthDelimitedCodec;

/// Calls that one connection may have open at its host; one more is refused by tarpc.
pub const IN_FLIGHT_MAX: usize = 32;
/// Calls that wait at the caller while so many are open.
const PENDING_MAX: usize = 64;
/// No call lasts longer; a peer that asks for more gets this. (A deadline of years would end
/// tarpc's task: its timer does not reach that far.)
pub const DEADLINE_MAX: Duration = Duration::from_secs(60);

#[tarpc::service]
pub trait Executor {
    /// First on every connection: versions, and whether both belong to one cluster.
    async fn hello(hello: Hello) -> Result<Hello, Refused>;
    /// Takes orders up.
    async fn order(call: OrderCall) -> Result<(), Refused>;
    /// What has changed; held open while nothing has.
    async fn watch(call: WatchCall) -> Result<WatchAnswer, Refused>;
    /// A part of an attempt's output; none: it has no output there.
    async fn read_log(query: LogQuery) -> Result<Option<LogPart>, Refused>;
    /// The test button: how the host is, by itself.
    async fn probe(call: Call) -> Result<HostFacts, Refused>;
    /// What people may see of files of Kettle and Hop.
    async fn browse(ask: browse::Ask) -> Result<browse::Answer, Refused>;
    /// A request to sign the host's next certificate, as PEM: its key is made there and stays there.
    async fn next_key(call: Call) -> Result<String, Refused>;
    /// What was signed for it, as PEM; new connections are met with it.
    async fn next_certificate(call: Call, certificate: String) -> Result<(), Refused>;
}

/// Answers the calls of one connection until it ends. Its handlers end with it.
pub async fn serve<Io, S>(io: Io, service: S)
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Executor + Clone + Send + 'static,
{
    let codec = NamedMessagePack::default();
    let transport = tarpc::serde_transport::new(frames().new_framed(io), codec).map_ok(clamped);
    BaseChannel::with_defaults(transport)
        .max_concurrent_requests(IN_FLIGHT_MAX)
        .execute(service.serve())
        .for_each_concurrent(None, |handler| handler)
        .await;
}

/// The caller's end of a connection; it closes when the last clone is dropped.
pub fn connect<Io>(io: Io) -> ExecutorClient
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let codec = NamedMessagePack::default();
    let transport = tarpc::serde_transport::new(frames().new_framed(io), codec);
    let mut config = tarpc::client::Config::default();
    config.max_in_flight_requests = IN_FLIGHT_MAX;
    config.pending_request_buffer = PENDING_MAX;
    let client = ExecutorClient::new(config, transport);
    tasks::spawn("rpc connection", async move {
        if let Err(error) = client.dispatch.await {
            tracing::debug!("a connection to a host ended: {error:#}");
        }
    });
    client.client
}

/// A call that is given up after so long.
#[expect(clippy::disallowed_methods, reason = "tarpc's own deadlines are instants of this clock")]
pub fn within(limit: Duration) -> context::Context {
    let mut context = context::Context::current();
    context.deadline = Instant::now() + limit.min(DEADLINE_MAX);
    context
}

fn frames() -> tokio_util::codec::length_delimited::Builder {
    let mut frames = LengthDelimitedCodec::builder();
    frames.max_frame_length(FRAME_MAX);
    frames
}

#[expect(clippy::disallowed_methods, reason = "tarpc's own deadlines are instants of this clock")]
fn clamped<T>(message: ClientMessage<T>) -> ClientMessage<T> {
    match message {
        ClientMessage::Request(mut request) => {
            let latest = Instant::now() + DEADLINE_MAX;
            request.context.deadline = request.context.deadline.min(latest);
            ClientMessage::Request(request)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_years_is_cut_at_both_ends() {
        let latest = within(DEADLINE_MAX).deadline + Duration::from_secs(1);
        assert!(within(Duration::MAX).deadline < latest);
        let mut context = within(DEADLINE_MAX);
        context.deadline += Duration::from_secs(3 * 365 * 24 * 3600);
        let request = tarpc::Request { context, id: 1, message: () };
        let ClientMessage::Request(cut) = clamped(ClientMessage::Request(request)) else {
            panic!("it was a request");
        };
        assert!(cut.context.deadline < latest);
    }
}
