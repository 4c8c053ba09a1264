//! How a master calls a host: over mutual TLS, `hello` first; and the test button.
//!
//! Called by the lines of the leader ([`super::lines`]), by the log store and by pages.

use super::certs::Certs;
use shared::ids::{Millis, Reigning};
use shared::rpc::{self, ExecutorClient, within};
use shared::tls::{Connector, Credentials, Facts};
use shared::wire::*;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// `hello` and `order` are short; a `watch` has its hold in addition. Below what the core waits.
pub(super) const CALL_MAX: Duration = Duration::from_millis(3_500);

/// How a host is reached.
#[derive(Clone)]
pub enum Dial {
    /// With the certificate of the moment.
    Tls(watch::Receiver<Connector>),
    /// Hosts inside this process, for the bench and for tests: the agent that answers at an address,
    /// and a client whose other end it holds.
    Inside(Arc<dyn Inside>),
}

/// Hosts that need no wire.
pub trait Inside: Send + Sync {
    /// # Errors
    /// Nobody answers there.
    fn connect(&self, address: &str) -> anyhow::Result<(String, ExecutorClient)>;
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Dial::Tls(_) => "Tls",
            Dial::Inside(_) => "Inside",
        })
    }
}

/// How this master calls a host: cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    pub dial: Dial,
    /// What it says first.
    pub hello: Hello,
    /// The cluster's certificates; none: nobody is denied and nothing is exchanged (tests).
    pub certs: Option<Arc<Certs>>,
}

/// Who has answered.
#[derive(Clone, Debug)]
pub struct Peer {
    pub agent: String,
    /// What its certificate says; hosts inside this process have none.
    pub certificate: Option<Facts>,
}

impl Caller {
    pub fn new(dial: Dial, cluster: &str, agent: &str) -> Caller {
        let version = env!("CARGO_PKG_VERSION").into();
        let (cluster, agent) = (cluster.into(), agent.into());
        let hello = Hello { protocol: PROTOCOL, cluster, version, agent };
        Caller { dial, hello, certs: None }
    }

    /// Over mutual TLS, as its certificate says.
    ///
    /// # Errors
    /// The credentials do not fit together.
    pub fn over_tls(own: &Credentials) -> anyhow::Result<Caller> {
        Caller::exchangeable(own).map(|(caller, _)| caller)
    }

    /// The same, and where the next certificate goes: new connections are made with it.
    ///
    /// # Errors
    /// The credentials do not fit together.
    pub fn exchangeable(own: &Credentials) -> anyhow::Result<(Caller, watch::Sender<Connector>)> {
        let who = own.identity();
        let (next, connector) = watch::channel(Connector::new(own)?);
        Ok((Caller::new(Dial::Tls(connector), &who.cluster, &who.agent), next))
    }

    /// Who answers at this address, as its certificate says, and a client that has said hello.
    ///
    /// # Errors
    /// Nobody answers, it is not a host of this cluster, its certificate is denied, or the versions
    /// do not fit.
    pub async fn connect(&self, address: &str) -> anyhow::Result<(Peer, ExecutorClient)> {
        let (peer, client) = match &self.dial {
            Dial::Tls(connector) => {
                let connector = connector.borrow().clone();
                let (tls, facts) = connector.connect(address).await?;
                let agent = facts.identity.agent.clone();
                let peer = Peer { agent, certificate: Some(facts) };
                self.believes(&peer).await?;
                (peer, rpc::connect(tls))
            }
            Dial::Inside(hosts) => {
                let (agent, client) = hosts.connect(address)?;
                (Peer { agent, certificate: None }, client)
            }
        };
        match client.hello(within(CALL_MAX), self.hello.clone()).await {
            Ok(Ok(_)) => Ok((peer, client)),
            Ok(Err(refused)) => anyhow::bail!("the executor at {address} refuses: {refused}"),
            Err(error) => anyhow::bail!(
                "the executor at {address} ended the connection: {error} (its log says why: a \
                 certificate that it does not believe, most of the time)"
            ),
        }
    }

    /// Whether its certificate is still believed.
    ///
    /// # Errors
    /// It was denied: in words.
    pub async fn believes(&self, peer: &Peer) -> anyhow::Result<()> {
        match (&self.certs, &peer.certificate) {
            (Some(certs), Some(facts)) => certs.check(facts).await,
            _ => Ok(()),
        }
    }

    /// The test button: connects, and asks how the host is. It takes nothing over.
    ///
    /// # Errors
    /// As [`Caller::connect`]; the executor's own supervisor does not answer it.
    pub async fn probe(&self, address: &str) -> anyhow::Result<(String, HostFacts)> {
        let (peer, client) = self.connect(address).await?;
        let call = Call { cluster: self.hello.cluster.clone(), leader: Reigning::default() };
        let facts = flat(client.probe(within(CALL_MAX), call).await);
        let facts = facts.map_err(|fault| anyhow::anyhow!("the executor at {address}: {fault}"))?;
        Ok((peer.agent, facts))
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Refused(Refused),
    /// Nobody knows whether the host has heard it.
    Broken(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Fault::Refused(refused) => refused.fmt(f),
            Fault::Broken(why) => f.write_str(why),
        }
    }
}

/// One error out of the wire's and the host's.
pub(super) fn flat<T>(
    result: Result<Result<T, Refused>, tarpc::client::RpcError>,
) -> Result<T, Fault> {
    match result {
        Ok(result) => result.map_err(Fault::Refused),
        Err(error) => Err(Fault::Broken(match error {
            tarpc::client::RpcError::DeadlineExceeded => "no answer in time".into(),
            tarpc::client::RpcError::Shutdown => "the connection broke".into(),
            other => format!("the connection broke: {other}"),
        })),
    }
}

/// A part of [`Millis`] that a duration can hold.
pub fn duration(ms: Millis) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
