//! The cluster's own authority: it signs the certificates of masters and hosts, 90 days each.
//!
//! Its key lies sealed ([`crate::seal`]) in `ca.key` beside `ca.pem`. Called at the master's start
//! and by `hcndc-master issue-host`.

use crate::ids::Millis;
use crate::seal::{Key, write_private};
use crate::tls::{Identity, Role, SERVER_NAME};
use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use std::path::Path;
use std::time::Duration;

const DAY_MS: Millis = 24 * 3_600_000;
/// How long a certificate of a master or a host holds.
pub const LEAF_DAYS: i64 = 90;
/// An alarm is given, and a new one is issued where we can, this long before.
pub const RENEW_DAYS: i64 = 30;
const AUTHORITY_DAYS: i64 = 3650;
/// For clocks that are a little behind.
const BACKDATED_MS: Millis = 3_600_000;

/// Signs for one cluster.
pub struct Authority {
    pub cluster: String,
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_tuple("Authority").field(&self.cluster).finish()
    }
}

/// What an authority has signed, as text. Its key is with whom it was signed for.
#[derive(Clone, Debug)]
pub struct Signed {
    pub identity: Identity,
    /// Hexadecimal.
    pub serial: String,
    pub issued_ms: Millis,
    pub expires_ms: Millis,
    pub certificate_pem: String,
    pub authority_pem: String,
}

/// A certificate and its key, as text.
#[derive(Clone)]
pub struct Issued {
    pub signed: Signed,
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_tuple("Issued").field(&self.signed.identity).finish()
    }
}

/// A key that was made where it is used and stays there, and the request to sign it.
pub struct Request {
    key: KeyPair,
    pub pem: String,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Request(…)")
    }
}

impl Request {
    /// For what it is to be signed, the authority decides.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn make() -> anyhow::Result<Request> {
        let key = KeyPair::generate().context("making a key")?;
        let request = CertificateParams::default().serialize_request(&key);
        let pem = request.and_then(|request| request.pem()).context("asking for a certificate")?;
        Ok(Request { key, pem })
    }

    /// With what was signed for it.
    pub fn issued(&self, signed: Signed) -> Issued {
        Issued { signed, key_pem: self.key.serialize_pem() }
    }
}

impl Authority {
    /// Reads `ca.pem` and `ca.key` of `dir`, sealed with the key in `key_file`; makes all three if
    /// there is no authority yet.
    ///
    /// # Errors
    /// One is missing or damaged, belongs to another cluster, or cannot be written.
    pub fn open(
        dir: &Path,
        key_file: &Path,
        cluster: &str,
        now_ms: Millis,
    ) -> anyhow::Result<Authority> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let (cert_path, key_path) = (dir.join("ca.pem"), dir.join("ca.key"));
        let key = Key::read_or_make(key_file)?;
        let belongs_to = format!("authority/{cluster}");
        if !key_path.exists() && !cert_path.exists() {
            let (authority, secret) = Authority::make(cluster, now_ms)?;
            write_private(&key_path, &key.seal(secret.as_bytes(), &belongs_to)?)?;
            std::fs::write(&cert_path, &authority.pem)
                .with_context(|| format!("writing {}", cert_path.display()))?;
            return Ok(authority);
        }
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let secret = key.open(&read(&key_path)?, &belongs_to).with_context(|| {
            format!("{}: the authority of cluster {cluster:?}", key_path.display())
        })?;
        let secret = String::from_utf8(secret).context("the authority's key is no text")?;
        let pem = String::from_utf8(read(&cert_path)?).context("ca.pem is no text")?;
        Authority::of(cluster, pem, &secret)
            .with_context(|| format!("the authority in {}", dir.display()))
    }

    fn of(cluster: &str, pem: String, secret: &str) -> anyhow::Result<Authority> {
        let key = KeyPair::from_pem(secret).context("its key")?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).context("its certificate")?;
        Ok(Authority { cluster: cluster.into(), pem, issuer })
    }

    /// A new one, and its key as text.
    ///
    /// # Errors
    /// The cluster has no proper name, or the system no random bytes.
    pub fn make(cluster: &str, now_ms: Millis) -> anyhow::Result<(Authority, String)> {
        Identity::new(cluster, Role::Master, "authority")?;
        let key = KeyPair::generate().context("making the authority's key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("HCNDC cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, now_ms, AUTHORITY_DAYS)?;
        let pem = params.self_signed(&key).context("signing the authority")?.pem();
        let secret = key.serialize_pem();
        Ok((Authority::of(cluster, pem, &secret)?, secret))
    }

    /// With a key that is made here, for one of ours.
    ///
    /// # Errors
    /// The agent has no proper name, or the system no random bytes.
    pub fn issue(&self, role: Role, agent: &str, now_ms: Millis) -> anyhow::Result<Issued> {
        let key = KeyPair::generate().context("making a key")?;
        Ok(Issued { signed: self.of_key(&key, role, agent, now_ms)?, key_pem: key.serialize_pem() })
    }

    /// Of a request counts its key alone: for whom and for what it is signed is said here.
    ///
    /// # Errors
    /// It is no request, or not signed by its own key; the agent has no proper name.
    pub fn sign(
        &self,
        request_pem: &str,
        role: Role,
        agent: &str,
        now_ms: Millis,
    ) -> anyhow::Result<Signed> {
        let request =
            CertificateSigningRequestParams::from_pem(request_pem).context("the request")?;
        self.of_key(&request.public_key, role, agent, now_ms)
    }

    fn of_key(
        &self,
        key: &impl PublicKeyData,
        role: Role,
        agent: &str,
        now_ms: Millis,
    ) -> anyhow::Result<Signed> {
        let identity = Identity::new(&self.cluster, role, agent)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, identity.agent.clone());
        let uri = identity.to_string().try_into().context("the identity as a URI")?;
        let name = SERVER_NAME.try_into().context("the server's name")?;
        params.subject_alt_names = vec![SanType::URI(uri), SanType::DnsName(name)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // What a certificate is *not* for, TLS itself refuses: a host's is no client's.
        params.extended_key_usages = match role {
            Role::Master => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Role::Host => vec![ExtendedKeyUsagePurpose::ServerAuth],
        };
        let (serial, expires_ms) = valid(&mut params, now_ms, LEAF_DAYS)?;
        let certificate = params.signed_by(key, &self.issuer).context("signing")?;
        Ok(Signed {
            identity,
            serial,
            issued_ms: now_ms,
            expires_ms,
            certificate_pem: certificate.pem(),
            authority_pem: self.pem.clone(),
        })
    }
}

/// A set of three that was written whole, and is not yet in its place.
const NEXT: &str = "next";

impl Issued {
    /// `ca.pem`, `cert.pem` and `key.pem` (0600) into `dir`, for [`crate::tls::Credentials::read`].
    /// Whoever dies in the middle leaves the old three or the new ones: see [`settle`].
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        settle(dir)?;
        let beside = dir.join("next.new");
        let made = match std::fs::remove_dir_all(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&beside),
        };
        made.with_context(|| format!("making {}", beside.display()))?;
        let Signed { certificate_pem, authority_pem, .. } = &self.signed;
        let all =
            [("key.pem", &self.key_pem), ("cert.pem", certificate_pem), ("ca.pem", authority_pem)];
        for (name, text) in all {
            write_private(&beside.join(name), text.as_bytes())?;
        }
        // A power loss finds what the disk has been told to keep.
        synced(&beside)?;
        let next = dir.join(NEXT);
        std::fs::rename(&beside, &next).with_context(|| format!("making {}", next.display()))?;
        synced(dir)?;
        settle(dir)
    }

    /// # Errors
    /// Never for what an authority has issued.
    pub fn credentials(&self) -> anyhow::Result<crate::tls::Credentials> {
        crate::tls::Credentials::from_pem(
            self.signed.authority_pem.as_bytes(),
            self.signed.certificate_pem.as_bytes(),
            self.key_pem.as_bytes(),
        )
    }
}

/// Brings a set of three that was written whole into its place. Before certificates are read.
///
/// # Errors
/// Files cannot be moved.
pub fn settle(dir: &Path) -> anyhow::Result<()> {
    let next = dir.join(NEXT);
    if !next.is_dir() {
        return Ok(());
    }
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        let (from, to) = (next.join(name), dir.join(name));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("moving {}", from.display()));
            }
            _ => {}
        }
    }
    match std::fs::remove_dir(&next) {
        // Another process of ours was faster.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", next.display()))
        }
        _ => Ok(()),
    }
}

fn synced(dir: &Path) -> anyhow::Result<()> {
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("keeping {}", dir.display()))
}

/// Validity and a random serial; returns the serial and when it ends.
fn valid(
    params: &mut CertificateParams,
    now_ms: Millis,
    days: i64,
) -> anyhow::Result<(String, Millis)> {
    let from_ms = now_ms.saturating_sub(BACKDATED_MS);
    let until_ms = now_ms.saturating_add(days.saturating_mul(DAY_MS));
    let (Ok(from), Ok(until)) = (u64::try_from(from_ms), u64::try_from(until_ms)) else {
        bail!("this machine's clock is before 1970: set it, then start again")
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // Certificates know whole seconds.
    params.not_before = epoch + Duration::from_secs(from / 1000);
    params.not_after = epoch + Duration::from_secs(until / 1000);
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).context("no random bytes from the system")?;
    // Positive, and of one length.
    serial[0] = (serial[0] & 0x3f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let text = serial.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((text, until_ms / 1000 * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_comes_back_and_what_it_issues_says_who_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("seal.key");
        let pki = dir.path().join("pki");
        let now = 1_795_000_000_000;
        let first = Authority::open(&pki, &key, "prod", now).unwrap();
        let again = Authority::open(&pki, &key, "prod", now).unwrap();
        assert_eq!(first.pem, again.pem);
        let issued = again.issue(Role::Host, "h1", now).unwrap();
        issued.write(&dir.path().join("h1")).unwrap();
        let read = crate::tls::Credentials::read(&dir.path().join("h1")).unwrap();
        assert_eq!(read.identity().to_string(), "hcndc://prod/host/h1");
        assert_eq!(read.facts.serial, issued.signed.serial);
        assert_eq!(read.facts.expires_ms, issued.signed.expires_ms);
        assert!(Authority::open(&pki, &key, "other", now).is_err());
        let sealed = std::fs::read(pki.join("ca.key")).unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"PRIVATE"));
        assert!(first.issue(Role::Host, "a/b", now).is_err());
    }

    #[test]
    fn a_key_is_signed_where_it_stays_and_for_whom_the_authority_says() {
        let dir = tempfile::tempdir().unwrap();
        let now = 1_795_000_000_000;
        let (authority, _) = Authority::make("prod", now).unwrap();
        let request = Request::make().unwrap();
        let signed = authority.sign(&request.pem, Role::Host, "h1", now).unwrap();
        request.issued(signed).write(dir.path()).unwrap();
        let read = crate::tls::Credentials::read(dir.path()).unwrap();
        assert_eq!(read.identity().to_string(), "hcndc://prod/host/h1");
        assert!(crate::tls::Acceptor::new(&read).is_ok(), "key and certificate belong together");
        // Another key under the same signature: the third line is the first that two requests differ in.
        let other = Request::make().unwrap();
        let line = |pem: &str| pem.lines().nth(2).unwrap().to_owned();
        let forged = request.pem.replace(&line(&request.pem), &line(&other.pem));
        assert_ne!(forged, request.pem);
        assert!(authority.sign(&forged, Role::Host, "h1", now).is_err());
    }

    #[test]
    fn who_dies_while_certificates_are_exchanged_has_the_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let now = 1_795_000_000_000;
        let (authority, _) = Authority::make("prod", now).unwrap();
        authority.issue(Role::Host, "old", now).unwrap().write(dir.path()).unwrap();
        let new = tempfile::tempdir().unwrap();
        authority.issue(Role::Host, "new", now).unwrap().write(new.path()).unwrap();
        // One of three is moved already.
        std::fs::rename(new.path(), dir.path().join(NEXT)).unwrap();
        std::fs::rename(dir.path().join("next/cert.pem"), dir.path().join("cert.pem")).unwrap();
        let read = crate::tls::Credentials::read(dir.path()).unwrap();
        assert_eq!(read.identity().agent, "new");
        assert!(crate::tls::Acceptor::new(&read).is_ok(), "key and certificate belong together");
    }
}
