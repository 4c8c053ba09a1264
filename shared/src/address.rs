//! Addresses of servers that may hold a password, and by whom a server must be certified.
//!
//! The rule: what stands before the `@` of an address is never told, neither in a log nor in an error.

use anyhow::{Context, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A server as the configuration names it. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    /// The table whose `url` and `ca` these are.
    pub key: Arc<str>,
    pub url: Arc<str>,
    /// Empty: as the address itself says. Else the connection is TLS, and the server's certificate is
    /// signed by an authority of this file, for the host that the address names.
    pub ca: Arc<Path>,
}

/// By hand: the address may hold a password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, shown(&self.url))
    }
}

/// How rustls begins when it does not believe a certificate.
const REFUSED: &str = "invalid peer certificate: ";

/// How it goes on when nobody whom it knows has signed it: no authority of that name, or one of the
/// same name with another key, as when it was made anew.
const UNSIGNED: [&str; 2] = ["UnknownIssuer", "BadSignature"];

impl Target {
    pub fn new(key: &str, url: &str, ca: &Path) -> Target {
        Target { key: key.into(), url: url.into(), ca: ca.into() }
    }

    /// As the address itself says.
    pub fn plain(key: &str, url: &str) -> Target {
        Target::new(key, url, Path::new(""))
    }

    /// Whether the certificate must be of `ca`.
    pub fn is_certified(&self) -> bool {
        is_named(&self.ca)
    }

    /// The authorities of `ca`, as text; none if the address alone says how.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn authorities(&self) -> anyhow::Result<Option<Vec<u8>>> {
        if !self.is_certified() {
            return Ok(None);
        }
        let at = || format!("{}.ca: {}", self.key, self.ca.display());
        let pem = std::fs::read(&self.ca).with_context(|| format!("{} cannot be read", at()))?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let count = all.map_or(0, |all| all.len());
        ensure!(count > 0, "{} should hold certificates of authorities, in PEM", at());
        Ok(Some(pem))
    }

    /// What a driver says, without the password, and in our words where it is about certificates.
    pub fn told(&self, why: &str) -> String {
        let why = scrub(why, &self.url);
        if why.contains("InvalidContentType") {
            return "it does not speak TLS on that port".into();
        }
        let Some((_, detail)) = why.split_once(REFUSED) else { return why };
        // What the driver tells of the connection besides.
        let detail = detail.split(", labels").next().unwrap_or(detail);
        let because =
            match (UNSIGNED.iter().any(|one| detail.starts_with(one)), self.is_certified()) {
                (false, _) => detail.to_owned(),
                (true, true) => {
                    format!("no authority in {} ({}.ca) has signed it", self.ca.display(), self.key)
                }
                (true, false) => {
                    format!(
                        "no authority that is known here has signed it; name its own by {}.ca",
                        self.key
                    )
                }
            };
        format!("its certificate is refused: {because}")
    }

    /// It is not who we were told it is; no waiting mends that. (One that has expired may be
    /// exchanged.)
    pub fn is_stranger(why: &str) -> bool {
        let detail = why.split_once(REFUSED).map(|(_, detail)| detail);
        detail.is_some_and(|detail| {
            !detail.starts_with("certificate expired")
                && !detail.starts_with("certificate not valid yet")
        })
    }
}

/// Whether a configuration names authorities.
pub fn is_named(ca: &Path) -> bool {
    !ca.as_os_str().is_empty()
}

/// An address without name and password.
pub fn shown(url: &str) -> String {
    match secret(url) {
        Some(secret) => url.replacen(&format!("{secret}@"), "", 1),
        None => url.to_owned(),
    }
}

/// What others say of an address may quote it.
pub fn scrub(text: &str, url: &str) -> String {
    let Some(secret) = secret(url) else { return text.to_owned() };
    let text = text.replace(secret, "…");
    match secret.split_once(':') {
        Some((_, password)) if !password.is_empty() => text.replace(password, "…"),
        _ => text,
    }
}

/// `name:password` of `scheme://name:password@host`; an `@` may stand in it unescaped.
fn secret(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = match rest.rfind('@') {
        Some(at) => &rest[..at],
        None => return None,
    };
    Some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_refused_is_told_in_one_line() {
        let target = Target::new("lease", "mongodb://me:geheim@h", Path::new("/etc/ca.pem"));
        let long = "Topology: { Servers: [ { Error: Kind: I/O error: invalid peer certificate: \
                    UnknownIssuer, labels: {} } ] } geheim";
        let told = target.told(long);
        let expected =
            "its certificate is refused: no authority in /etc/ca.pem (lease.ca) has signed it";
        assert_eq!(told, expected);
        assert!(Target::is_stranger(long));
        let name = "invalid peer certificate: certificate not valid for name \"h\"; certificate is \
                    only valid for DnsName(\"i\"), labels: {}";
        assert!(
            target.told(name).ends_with("only valid for DnsName(\"i\")"),
            "{}",
            target.told(name)
        );
        assert!(Target::is_stranger(name));
        let late = "invalid peer certificate: certificate expired: verification time 2 (UNIX)";
        assert!(target.told(late).contains("certificate expired"));
        assert!(!Target::is_stranger(late) && !Target::is_stranger("connection refused"));
        let anew = target.told("invalid peer certificate: BadSignature, labels: {}");
        assert_eq!(anew, expected, "an authority of the same name, made anew");
        for other in ["certificate revoked", "Other(UnsupportedCertVersion)"] {
            let told = target.told(&format!("invalid peer certificate: {other}, labels: {{}}"));
            assert_eq!(told, format!("its certificate is refused: {other}"));
        }
        let plain =
            Target::plain("bus", "rediss://h").told("invalid peer certificate: UnknownIssuer");
        assert!(plain.ends_with("name its own by bus.ca"), "{plain}");
    }

    #[test]
    fn a_file_of_authorities_that_is_none_is_refused_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let target = Target::new("logs", "mongodb://h", &file);
        let told = |target: &Target| format!("{:#}", target.authorities().unwrap_err());
        assert!(told(&target).starts_with("logs.ca: "), "{}", told(&target));
        std::fs::write(&file, "none").unwrap();
        assert!(told(&target).contains("should hold certificates"), "{}", told(&target));
        assert!(Target::plain("logs", "mongodb://h").authorities().unwrap().is_none());
    }

    #[test]
    fn names_and_passwords_are_not_shown() {
        for (url, expected) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://:geheim@h:1", "redis://h:1"),
            ("mongodb://me:ge@h/eim@a:1,b:2/db?x=y", "mongodb://a:1,b:2/db?x=y"),
            ("me:geheim@h", "h"),
            ("", ""),
        ] {
            assert_eq!(shown(url), expected);
        }
        let told = scrub("bad password geheim in me:geheim@h", "redis://me:geheim@h");
        assert_eq!(told, "bad password … in …@h");
        assert_eq!(scrub("as it is", "redis://h"), "as it is");
    }
}
