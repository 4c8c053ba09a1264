//! The host's own certificate: shown to masters, and exchanged for a new one while calls go on.

use anyhow::{Context, ensure};
use shared::pki::{Issued, Request, Signed};
use shared::tls::{Acceptor, Credentials, Identity};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

#[derive(Debug)]
pub struct Own {
    /// Holds `ca.pem`, `cert.pem` and `key.pem`.
    dir: PathBuf,
    identity: Identity,
    /// For the next connection.
    acceptor: RwLock<Acceptor>,
    /// The key that waits for its certificate.
    asked: Mutex<Option<Request>>,
}

impl Own {
    /// # Errors
    /// A file is missing or damaged, they do not fit together, or they are not a host's.
    pub fn read(dir: &Path) -> anyhow::Result<Own> {
        let credentials = Credentials::read(dir)?;
        let acceptor = Acceptor::new(&credentials)
            .with_context(|| format!("the certificate in {}", dir.display()))?;
        Ok(Own {
            dir: dir.to_owned(),
            identity: credentials.identity().clone(),
            acceptor: RwLock::new(acceptor),
            asked: Mutex::default(),
        })
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn acceptor(&self) -> Acceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a key and asks for its certificate. The newest one counts.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn next_key(&self) -> anyhow::Result<String> {
        let request = Request::make()?;
        let pem = request.pem.clone();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        Ok(pem)
    }

    /// Takes what was signed for the newest key, onto the disk and for new connections.
    ///
    /// # Errors
    /// Nothing was asked for, it is of another key or for somebody else, or cannot be written.
    pub fn take(&self, certificate: String) -> anyhow::Result<()> {
        // Held to the end: of two masters that answer, one after the other.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let request = asked.as_ref().context("nothing was asked for")?;
        let path = self.dir.join("ca.pem");
        let authority = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let issued = request.issued(Signed {
            identity: self.identity.clone(),
            serial: String::new(),
            issued_ms: 0,
            expires_ms: 0,
            certificate_pem: certificate,
            authority_pem: authority,
        });
        self.usable(&issued)?;
        issued.write(&self.dir)?;
        *asked = None;
        self.reload()
    }

    /// Before the files that work are touched.
    fn usable(&self, issued: &Issued) -> anyhow::Result<()> {
        let credentials = issued.credentials()?;
        let identity = credentials.identity();
        ensure!(*identity == self.identity, "it is of {identity}, and this is {}", self.identity);
        Acceptor::new(&credentials).map(|_| ())
    }

    /// What lies on the disk is shown from the next connection on.
    ///
    /// # Errors
    /// As [`Own::read`]; or it is somebody else's: then what was there stays in use.
    pub fn reload(&self) -> anyhow::Result<()> {
        let new = Own::read(&self.dir)?;
        let identity = new.identity();
        ensure!(*identity == self.identity, "it is of {identity}, and this is {}", self.identity);
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = new.acceptor();
        tracing::info!("a new certificate is in use");
        Ok(())
    }
}
