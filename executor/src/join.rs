//! `hcndc-executor join`: makes a key, has it signed by a master, keeps both.
//!
//! The token never travels, and an answer of somebody who does not know it is not believed
//! ([`shared::join`]): the way to the master need not be trusted.

use crate::spool::Layout;
use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::clock::Clock;
use shared::join::{Answer, Ask};
use shared::pki::{Request, Signed};
use shared::tls::{Acceptor, Credentials, Facts};
use std::path::Path;
use std::time::Duration;

const ASK_MAX: Duration = Duration::from_secs(30);
/// An answer is two certificates.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What `join` is told.
#[derive(Clone, Debug)]
pub struct Invitation<'a> {
    /// Address of a master's pages, `http://…` or `https://…`.
    pub master: &'a str,
    /// The host's name there.
    pub host: &'a str,
    pub token: &'a str,
    /// Of an `https` address that the system does not know.
    pub ca: Option<&'a Path>,
}

/// `ca.pem`, `cert.pem` and `key.pem` into `pki`. Who it is now.
///
/// # Errors
/// The master is not reached, does not know the token, or is not who made it.
pub fn join(invitation: &Invitation, pki: &Path) -> anyhow::Result<Facts> {
    let Invitation { master, host, token, .. } = invitation;
    let request = Request::make()?;
    let ask = Ask::new(token, host, &request.pem);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(send(invitation, &ask))?;
    ensure!(
        answer.knows(token, &ask),
        "what answers at {master} does not know the token: it is not the master that has made it, \
         or somebody stands between; nothing was changed"
    );
    let issued = request.issued(Signed {
        identity: shared::tls::Identity::new("joining", shared::tls::Role::Host, "joining")?,
        serial: String::new(),
        issued_ms: Clock::system().wall_ms(),
        expires_ms: 0,
        certificate_pem: answer.certificate,
        authority_pem: answer.authority,
    });
    // Before what may be there is touched.
    Acceptor::new(&issued.credentials()?).context("what the master has signed")?;
    issued.write(pki)?;
    Ok(Credentials::read(pki)?.facts)
}

async fn send(invitation: &Invitation<'_>, ask: &Ask) -> anyhow::Result<Answer> {
    let Invitation { master, ca, .. } = invitation;
    let address = master.trim_end_matches('/');
    ensure!(
        address.starts_with("http://") || address.starts_with("https://"),
        "--master: http://HOST:PORT or https://HOST:PORT is expected"
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client =
        reqwest::Client::builder().timeout(ASK_MAX).redirect(reqwest::redirect::Policy::none());
    if let Some(ca) = ca {
        let pem = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
        let known = reqwest::Certificate::from_pem(&pem);
        client = client.tls_certs_merge([known.with_context(|| ca.display().to_string())?]);
    }
    let client = client.build().context("an HTTP client")?;
    let sent = client.post(format!("{address}/api/v1/join")).json(ask).send().await;
    let mut response = sent.with_context(|| format!("the master at {address}"))?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.context("reading the master's answer")? {
        ensure!(bytes.len() + part.len() <= ANSWER_BYTES_MAX, "the master's answer has no end");
        bytes.extend_from_slice(&part);
    }
    if !status.is_success() {
        let problem: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("it does not say why");
        bail!("the master at {address} refuses ({status}): {detail}");
    }
    let none = || format!("{address} does not answer as a master does");
    serde_json::from_slice(&bytes).with_context(none)
}

/// An agent that runs shows what lies on the disk from now on. Whether one runs.
///
/// # Errors
/// It cannot be told.
pub fn tell_agent(layout: &Layout) -> anyhow::Result<bool> {
    let Some(pid) = layout.holder("agent") else { return Ok(false) };
    kill(Pid::from_raw(pid), Signal::SIGHUP).context("telling the agent")?;
    Ok(true)
}
