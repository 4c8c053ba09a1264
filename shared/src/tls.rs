//! Mutual TLS between master and hosts: who is at the other end (rule H1).
//!
//! A certificate carries one URI, `hcndc://CLUSTER/ROLE/AGENT`, signed by the cluster's own
//! authority ([`crate::pki`]). Both ends check all three; no name of a machine matters. Called by
//! the executor's agent ([`Acceptor`]) and by the master's dialer ([`Connector`]).

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::ids::Millis;

/// From the first byte to a known peer.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Until the other machine has taken the connection.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);
/// In every certificate: TLS wants a name; who it is stands in the URI.
pub const SERVER_NAME: &str = "hcndc.internal";
/// Of each of cluster and agent.
pub const NAME_CHARS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Master,
    Host,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Role::Master => "master",
            Role::Host => "host",
        })
    }
}

/// Who a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub cluster: String,
    pub role: Role,
    pub agent: String,
}

impl Identity {
    /// # Errors
    /// Cluster or agent is not a name: 1 to 64 of `a-z A-Z 0-9 . _ -`.
    pub fn new(cluster: &str, role: Role, agent: &str) -> anyhow::Result<Identity> {
        for (what, name) in [("cluster", cluster), ("agent", agent)] {
            let fits = (1..=NAME_CHARS_MAX).contains(&name.len());
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !fits || !plain {
                bail!("{what} {name:?}: 1 to {NAME_CHARS_MAX} of a-z A-Z 0-9 . _ - are expected");
            }
        }
        Ok(Identity { cluster: cluster.into(), role, agent: agent.into() })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "hcndc://{}/{}/{}", self.cluster, self.role, self.agent)
    }
}

impl FromStr for Identity {
    type Err = anyhow::Error;

    fn from_str(uri: &str) -> anyhow::Result<Identity> {
        let rest = uri.strip_prefix("hcndc://").context("no URI of ours")?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [cluster, role, agent] = parts[..] else { bail!("{uri:?} has not three parts") };
        let role = match role {
            "master" => Role::Master,
            "host" => Role::Host,
            _ => bail!("{uri:?} names no role"),
        };
        Identity::new(cluster, role, agent)
    }
}

/// What is read out of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub identity: Identity,
    /// Hexadecimal: for the deny-list.
    pub serial: String,
    pub expires_ms: Millis,
}

/// # Errors
/// It is no certificate of ours.
pub fn facts(certificate: &CertificateDer) -> anyhow::Result<Facts> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).context("no certificate")?;
    let names = parsed.subject_alternative_name().context("its names are damaged")?;
    let mut uris =
        names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            x509_parser::extensions::GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        bail!("it does not carry exactly one URI: it was not issued by a cluster")
    };
    Ok(Facts {
        identity: uri.parse()?,
        serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        expires_ms: parsed.validity().not_after.timestamp().saturating_mul(1000),
    })
}

/// What one end shows, and whom it believes.
pub struct Credentials {
    pub facts: Facts,
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.facts).finish()
    }
}

impl Clone for Credentials {
    fn clone(&self) -> Credentials {
        Credentials {
            facts: self.facts.clone(),
            authority: self.authority.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl Credentials {
    /// `ca.pem`, `cert.pem` and `key.pem` of a directory, as [`crate::pki`] writes them.
    ///
    /// # Errors
    /// One is missing or damaged, or the key is open to all; the message names it.
    pub fn read(dir: &Path) -> anyhow::Result<Credentials> {
        crate::pki::settle(dir)?;
        let text = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let key = dir.join("key.pem");
        let mode = std::fs::metadata(&key).map_or(0, |found| found.permissions().mode());
        anyhow::ensure!(
            mode & 0o007 == 0,
            "{0} is open to all users (mode {1:o}): chmod 600 {0}",
            key.display(),
            mode & 0o777
        );
        Credentials::from_pem(&text("ca.pem")?, &text("cert.pem")?, &text("key.pem")?)
            .with_context(|| format!("the certificate in {}", dir.display()))
    }

    /// # Errors
    /// One is damaged.
    pub fn from_pem(ca: &[u8], certificate: &[u8], key: &[u8]) -> anyhow::Result<Credentials> {
        let certificate =
            CertificateDer::from_pem_slice(certificate).context("cert.pem is damaged")?;
        Ok(Credentials {
            facts: facts(&certificate).context("cert.pem")?,
            authority: CertificateDer::from_pem_slice(ca).context("ca.pem is damaged")?,
            certificate,
            key: PrivateKeyDer::from_pem_slice(key).context("key.pem is damaged")?,
        })
    }

    pub fn identity(&self) -> &Identity {
        &self.facts.identity
    }

    fn roots(&self) -> anyhow::Result<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).context("ca.pem is no authority")?;
        Ok(Arc::new(roots))
    }
}

/// The executor's end: it believes masters of its own cluster, nobody else.
#[derive(Clone)]
pub struct Acceptor {
    own: Identity,
    tls: TlsAcceptor,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.own).finish()
    }
}

impl Acceptor {
    /// # Errors
    /// The credentials do not fit together, or are not a host's.
    pub fn new(own: &Credentials) -> anyhow::Result<Acceptor> {
        if own.identity().role != Role::Host {
            bail!("the certificate is of a {}: an executor needs a host's", own.identity().role);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(own.roots()?, provider.clone())
            .build()
            .context("ca.pem")?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("TLS 1.3")?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own.certificate.clone()], own.key.clone_key())
            .context("key.pem does not belong to cert.pem")?;
        Ok(Acceptor { own: own.identity().clone(), tls: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Handshake, and who it is. Within [`HANDSHAKE_MAX`].
    ///
    /// # Errors
    /// No certificate, a foreign one, not a master's, of another cluster; or it took too long.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> anyhow::Result<(tokio_rustls::server::TlsStream<TcpStream>, Facts)> {
        stream.set_nodelay(true).context("TCP_NODELAY")?;
        let tls = match tokio::time::timeout(HANDSHAKE_MAX, self.tls.accept(stream)).await {
            Ok(tls) => tls.context("TLS handshake")?,
            Err(_) => bail!("TLS handshake: not done after {HANDSHAKE_MAX:?}"),
        };
        let peer = peer_of(tls.get_ref().1.peer_certificates())?;
        expect(&peer.identity, &self.own.cluster, Role::Master)?;
        Ok((tls, peer))
    }
}

/// The master's end: it believes hosts of its own cluster, nobody else.
#[derive(Clone)]
pub struct Connector {
    pub own: Identity,
    tls: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.own).finish()
    }
}

impl Connector {
    /// # Errors
    /// The credentials do not fit together. (Whether they are a master's is for the host to say.)
    pub fn new(own: &Credentials) -> anyhow::Result<Connector> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("TLS 1.3")?
            .with_root_certificates(own.roots()?)
            .with_client_auth_cert(vec![own.certificate.clone()], own.key.clone_key())
            .context("key.pem does not belong to cert.pem")?;
        Ok(Connector {
            own: own.identity().clone(),
            tls: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(SERVER_NAME).context("the server's name")?,
        })
    }

    /// Connects to `name:port` and says who answered. TLS 1.3: a refusal of *our* certificate shows
    /// only with the first call.
    ///
    /// # Errors
    /// Nobody answers, it is not a host of this cluster, or it took too long.
    pub async fn connect(
        &self,
        address: &str,
    ) -> anyhow::Result<(tokio_rustls::client::TlsStream<TcpStream>, Facts)> {
        let stream = match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(stream) => stream.with_context(|| format!("connecting to {address}"))?,
            Err(_) => bail!("connecting to {address}: no answer after {CONNECT_MAX:?}"),
        };
        stream.set_nodelay(true).context("TCP_NODELAY")?;
        let shake = self.tls.connect(self.name.clone(), stream);
        let tls = match tokio::time::timeout(HANDSHAKE_MAX, shake).await {
            Ok(tls) => tls.with_context(|| format!("TLS handshake with {address}"))?,
            Err(_) => bail!("TLS handshake with {address}: not done after {HANDSHAKE_MAX:?}"),
        };
        let peer = peer_of(tls.get_ref().1.peer_certificates())?;
        expect(&peer.identity, &self.own.cluster, Role::Host)
            .with_context(|| format!("who answers at {address}"))?;
        Ok((tls, peer))
    }
}

fn peer_of(chain: Option<&[CertificateDer]>) -> anyhow::Result<Facts> {
    let certificate = chain.and_then(<[_]>::first).context("it showed no certificate")?;
    facts(certificate).context("its certificate")
}

fn expect(who: &Identity, cluster: &str, role: Role) -> anyhow::Result<()> {
    if who.cluster != cluster {
        bail!("{who} belongs to another cluster, not to {cluster:?}");
    }
    if who.role != role {
        bail!("{who} is not a {role}'s certificate: it may not do that");
    }
    Ok(())
}
