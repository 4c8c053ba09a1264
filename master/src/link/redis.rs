//! Redis: one connection that everything shares, made anew in the background when it is lost.

use super::Away;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{
    Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, TlsCertificates,
};
use shared::address::{Target, shown};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is asked has its answer within this time, or the server is away.
const DEADLINE: Duration = Duration::from_secs(3);
const CONNECT_MAX: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_millis(1_500);
/// Attempts to connect again for one question; the next question tries anew.
const RECONNECTS_MAX: usize = 1;
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// What a server says to whom it does not let in; no waiting mends that.
const REFUSALS: &[&str] = &["NOAUTH", "WRONGPASS", "NOPERM"];

/// Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    manager: ConnectionManager,
    cluster: String,
    target: Target,
}

/// By hand: the client's own would show the password.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({:?})", self.0.target)
    }
}

impl Redis {
    /// Asks whether it is there. One that is away is only told of: it may come back.
    ///
    /// # Errors
    /// The address cannot be one, the server does not let us in, or is not who it should be.
    pub async fn open(target: Target, cluster: &str) -> anyhow::Result<Redis> {
        let (key, url) = (format!("{}.url", target.key), &*target.url);
        let server = shown(url);
        check(url).map_err(|why| anyhow::anyhow!("{key}: {why}"))?;
        let told = |error: &RedisError| target.told(&error.to_string());
        let wrong = |error: RedisError| anyhow::anyhow!("{key}: {server}: {}", told(&error));
        let client = match target.authorities()? {
            None => Client::open(url),
            // Its own words would be about a method of the client.
            Some(_) if !url.starts_with("rediss://") => {
                anyhow::bail!("{key}: with {}.ca the address begins with rediss://", target.key)
            }
            Some(pem) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                Client::build_with_tls(url, certificates)
            }
        };
        let client = client.map_err(wrong)?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX))
            .set_number_of_retries(RECONNECTS_MAX)
            .set_min_delay(RECONNECT_PAUSE)
            .set_max_delay(RECONNECT_PAUSE);
        let manager = client.get_connection_manager_lazy(settings).map_err(wrong)?;
        let mut connection = manager.clone();
        let ping = redis::cmd("PING");
        match tokio::time::timeout(DEADLINE, ping.query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_refusal(&error) => {
                anyhow::bail!("{key}: {server} does not let us in: {}", told(&error))
            }
            Ok(Err(error)) if Target::is_stranger(&error.to_string()) => return Err(wrong(error)),
            Ok(Err(error)) => tracing::warn!("{key}: {server} is away: {}", told(&error)),
            Err(_) => tracing::warn!("{key}: {server} does not answer"),
        }
        Ok(Redis(Arc::new(Inner { client, manager, cluster: cluster.to_owned(), target })))
    }

    /// Clusters that share a server do not meet.
    pub fn key(&self, name: &str) -> String {
        format!("hcndc:{}:{name}", self.0.cluster)
    }

    /// # Errors
    /// The server is away.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        let mut manager = self.0.manager.clone();
        self.in_time(command.query_async(&mut manager)).await
    }

    /// A script is asked once more when the connection was lost under it: done twice, it must be as
    /// done once.
    ///
    /// # Errors
    /// The server is away.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        let mut manager = self.0.manager.clone();
        self.in_time(async move {
            match script.invoke_async(&mut manager).await {
                Err(error) if error.is_connection_dropped() => {
                    script.invoke_async(&mut manager).await
                }
                answer => answer,
            }
        })
        .await
    }

    /// A connection of its own that hears what is said on a channel from now on.
    ///
    /// # Errors
    /// The server is away.
    pub async fn subscribe(&self, channel: &str) -> Result<PubSub, Away> {
        self.in_time(async {
            let mut pubsub = self.0.client.get_async_pubsub().await?;
            pubsub.subscribe(channel).await?;
            Ok(pubsub)
        })
        .await
    }

    /// # Errors
    /// It failed, or took too long.
    pub async fn in_time<T>(&self, asked: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        let why = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.0.target.told(&error.to_string()),
            Err(_) => format!("no answer within {} s", DEADLINE.as_secs()),
        };
        Err(Away { server: shown(&self.0.target.url), why })
    }
}

fn is_refusal(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| REFUSALS.contains(&code))
}

/// # Errors
/// Why this cannot be the address of a Redis.
pub fn check(url: &str) -> Result<(), String> {
    match url.starts_with("redis://") || url.starts_with("rediss://") {
        true => Ok(()),
        false => Err(format!(
            "{:?} should begin with redis:// or rediss://, for example \"redis://127.0.0.1:6379\"",
            shown(url)
        )),
    }
}
