//! MongoDB: one way to open it, one deadline, one way to say that it is away. Used by the lease and
//! the reader of logs in the master, and by the agent that ships them.

use crate::address::{Target, shown};
use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, Tls, TlsOptions, WriteConcern,
};
use mongodb::{Client, Collection, Database};
use std::future::Future;
use std::path::Path;
use std::time::Duration;

/// If the address names no database.
const DATABASE: &str = "hcndc";
/// A document that is there already, said by the server.
pub const DUPLICATE_KEY: i32 = 11_000;

/// The server did not answer in time, or refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {why}")]
pub struct Away {
    /// Its address, without name and password.
    pub server: String,
    pub why: String,
}

/// What one user of a server asks of it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Who waits for an answer longer than that has none.
    pub deadline: Duration,
    /// Connections, beside the driver's own watch of the servers.
    pub pool_max: u32,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Mongo {
    database: Database,
    target: Target,
    manner: Manner,
}

/// By hand: the address holds a password.
impl std::fmt::Debug for Mongo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mongo({:?})", self.target)
    }
}

impl Mongo {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// The address cannot be one; its authorities cannot be read.
    pub async fn open(target: Target, cluster: &str, manner: Manner) -> anyhow::Result<Mongo> {
        let (key, url) = (&target.key, &target.url);
        let wrong = |why: &str| anyhow::anyhow!("{key}.url: {}: {}", shown(url), target.told(why));
        check(url).map_err(|why| anyhow::anyhow!("{key}.url: {why}"))?;
        let mut options =
            ClientOptions::parse(&**url).await.map_err(|error| wrong(&error.to_string()))?;
        if target.authorities()?.is_some() {
            let tls = certified(options.tls.take(), &target.ca);
            let tls = tls.map_err(|why| anyhow::anyhow!("{key}.url: with {key}.ca {why}"))?;
            options.tls = Some(Tls::Enabled(tls));
        }
        options.app_name = Some(format!("hcndc {cluster}"));
        options.connect_timeout = Some(manner.deadline);
        // Before our own deadline: it knows why.
        options.server_selection_timeout = Some(manner.deadline * 4 / 5);
        options.max_pool_size = Some(manner.pool_max);
        let database = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let client = Client::with_options(options).map_err(|error| wrong(&error.to_string()))?;
        Ok(Mongo { database: client.database(&database), target, manner })
    }

    /// The same; but one that must be certified is met at once.
    ///
    /// # Errors
    /// Those of [`Mongo::open`]; another one answers there.
    pub async fn open_met(target: Target, cluster: &str, manner: Manner) -> anyhow::Result<Mongo> {
        let certified = target.is_certified();
        let server = Mongo::open(target, cluster, manner).await?;
        if certified {
            server.meet().await?;
        }
        Ok(server)
    }

    /// Whether it is who it should be, asked at the start. One that is away is only told of: it may
    /// come back.
    ///
    /// # Errors
    /// Its certificate is not one of our authorities, or not its own.
    async fn meet(&self) -> anyhow::Result<()> {
        let ping = self.database.run_command(doc! { "ping": 1 });
        let why = match tokio::time::timeout(self.manner.deadline, ping).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let key = &self.target.key;
        let away = self.away(&why);
        anyhow::ensure!(!Target::is_stranger(&why), "{key}.url: {away}");
        tracing::warn!("{key}.url: {away}");
        Ok(())
    }

    /// What is written there counts once a majority of the servers has it.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        let majority = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .w_timeout(self.manner.deadline)
            .build();
        let settings = CollectionOptions::builder().write_concern(majority).build();
        self.database.collection_with_options(name, settings)
    }

    /// # Errors
    /// It failed, or took too long.
    pub async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Away> {
        let why = match tokio::time::timeout(self.manner.deadline, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", self.manner.deadline.as_secs()),
        };
        Err(self.away(&why))
    }

    /// In these words, without the password.
    pub fn away(&self, why: &str) -> Away {
        Away { server: shown(&self.target.url), why: self.target.told(why) }
    }
}

/// As the address says, for example with a certificate of our own; but who the server must be is said
/// by these authorities alone.
fn certified(tls: Option<Tls>, ca: &Path) -> Result<TlsOptions, &'static str> {
    let mut options = match tls {
        Some(Tls::Enabled(options)) => options,
        Some(Tls::Disabled) => {
            return Err("the connection is TLS: take tls=false out of the address");
        }
        None => TlsOptions::default(),
    };
    if options.allow_invalid_certificates == Some(true) {
        return Err("the server's certificate is checked: take tlsInsecure and \
                    tlsAllowInvalidCertificates out of the address");
    }
    options.ca_file_path = Some(ca.to_path_buf());
    Ok(options)
}

/// The server says it in one shape for commands and in another for writes.
pub fn is_duplicate(error: &Error) -> bool {
    let code = match &*error.kind {
        ErrorKind::Command(refused) => Some(refused.code),
        ErrorKind::Write(WriteFailure::WriteError(refused)) => Some(refused.code),
        _ => None,
    };
    code == Some(DUPLICATE_KEY)
}

/// # Errors
/// Why this cannot be the address of a MongoDB.
pub fn check(url: &str) -> Result<(), String> {
    match url.starts_with("mongodb://") {
        true => Ok(()),
        false => Err(format!(
            "{:?} should begin with mongodb://, for example \
             \"mongodb://127.0.0.1:27017/?replicaSet=rs0\"; mongodb+srv:// is not known here: name \
             the hosts",
            shown(url)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANNER: Manner = Manner { deadline: Duration::from_secs(1), pool_max: 1 };

    #[tokio::test]
    async fn the_address_may_name_our_own_certificate_and_not_believe_any() {
        let of = async |options: &str| {
            let url = format!("mongodb://127.0.0.1:1/?{options}");
            let tls = ClientOptions::parse(url).await.unwrap().tls;
            certified(tls, Path::new("/etc/ca.pem"))
        };
        let ca = Some("/etc/ca.pem".into());
        let own = of("tls=true&tlsCertificateKeyFile=/etc/own.pem").await.unwrap();
        assert_eq!((own.cert_key_file_path, own.ca_file_path), (Some("/etc/own.pem".into()), ca));
        let ca = Some("/etc/ca.pem".into());
        assert_eq!(of("tlsCAFile=/etc/other.pem").await.unwrap().ca_file_path, ca);
        assert_eq!(of("replicaSet=rs0").await.unwrap().ca_file_path, ca);
        for any in ["tls=true&tlsInsecure=true", "tls=true&tlsAllowInvalidCertificates=true"] {
            assert!(of(any).await.unwrap_err().contains("tlsInsecure"));
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let (authority, _) =
            crate::pki::Authority::make("test", crate::clock::Clock::system().wall_ms()).unwrap();
        std::fs::write(&file, authority.pem).unwrap();
        let target = Target::new("logs", "mongodb://me:geheim@h:1/?tls=false", &file);
        let told = Mongo::open(target, "test", MANNER).await.unwrap_err().to_string();
        assert!(told.starts_with("logs.url: with logs.ca the connection is TLS"), "{told}");
    }
}
