//! Certificates of hosts: who is denied is not believed, what runs out is exchanged, and who has an
//! invitation is let in. Called by [`super::dial`], by [`super::lines`], and by pages and API.

use super::dial::{CALL_MAX, flat};
use crate::db::{self, Db};
use crate::store::certificate::{self, Certificate};
use crate::store::edit::Edit;
use anyhow::Context;
use shared::clock::Clock;
use shared::ids::*;
use shared::join::{Answer, Ask, REQUEST_BYTES_MAX, TOKEN_CHARS};
use shared::pki::{Authority, RENEW_DAYS, Signed};
use shared::rpc::{ExecutorClient, within};
use shared::seal::Key;
use shared::tls::{Facts, Role};
use shared::wire::Call;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

const DAY_MS: Millis = 24 * 3_600_000;
/// Denials are read so often.
const LOOK_MS: Millis = 5_000;
/// An invitation holds so long.
const INVITED_MS: Millis = 24 * 3_600_000;

pub struct Certs {
    pub authority: Authority,
    pub key: Key,
    pub db: Db,
    pub clock: Clock,
    denied: Mutex<Denied>,
    /// Held by the one who asks.
    asking: tokio::sync::Mutex<()>,
}

/// As last read: with the database away, what was denied stays denied.
#[derive(Debug, Default)]
struct Denied {
    /// Of the monotonic clock; none: never, and then everybody waits for the first answer.
    at: Option<Millis>,
    serials: BTreeSet<String>,
}

impl std::fmt::Debug for Certs {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_tuple("Certs").field(&self.authority).finish()
    }
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_tuple("Invited").field(&self.host).finish()
    }
}

/// Why a host is not let in.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// One answer for all that is wrong with a token: it tells nobody what there is.
    #[error(
        "the token is not good for this host: it was used, has run out, or is another host's; ask \
         for a new one (`hcndc host token NAME`)"
    )]
    Token,
    #[error("the request for a certificate: {0:#}")]
    Request(anyhow::Error),
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(transparent)]
    Other(anyhow::Error),
}

/// A host that has shown that it knows its token.
pub struct Invited {
    host: HostId,
    token: String,
    /// As it is stored.
    sealed: Vec<u8>,
}

impl Certs {
    pub fn new(authority: Authority, key: Key, db: Db, clock: Clock) -> Certs {
        Certs { authority, key, db, clock, denied: Mutex::default(), asking: Default::default() }
    }

    /// Whether this certificate is still believed.
    ///
    /// # Errors
    /// It is denied: in words.
    pub async fn check(&self, peer: &Facts) -> anyhow::Result<()> {
        let is_old =
            |denied: &Denied| denied.at.is_none_or(|at| at + LOOK_MS <= self.clock.mono_ms());
        if is_old(&self.denied()) {
            // One asks. The others go by the list before meanwhile, however slow the database is; where
            // there is none yet, they wait for the answer.
            let turn = match self.asking.try_lock() {
                Ok(turn) => Some(turn),
                Err(_) if self.denied().at.is_some() => None,
                Err(_) => Some(self.asking.lock().await),
            };
            if turn.is_some() && is_old(&self.denied()) {
                self.look().await?;
            }
        }
        anyhow::ensure!(
            !self.denied().serials.contains(&peer.serial),
            "the certificate of {} was denied: let the host join again (`hcndc host token NAME`)",
            peer.identity
        );
        Ok(())
    }

    async fn look(&self) -> anyhow::Result<()> {
        let answer = certificate::denied(&self.db, self.clock.wall_ms()).await;
        let mut denied = self.denied();
        match answer {
            Ok(serials) => denied.serials = serials.into_iter().collect(),
            Err(error) => {
                // Without any answer yet nobody is believed: nothing could be stored either.
                anyhow::ensure!(denied.at.is_some(), "which certificates are denied: {error}");
                tracing::warn!("which certificates are denied: {error}");
            }
        }
        // From the answer on: who has waited for it does not ask once more.
        denied.at = Some(self.clock.mono_ms());
        Ok(())
    }

    fn denied(&self) -> MutexGuard<'_, Denied> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges a certificate that runs out soon, over the connection itself. Whether it did.
    ///
    /// # Errors
    /// The host does not answer or does not take it; the database's.
    pub async fn renew(&self, client: &ExecutorClient, peer: &Facts) -> anyhow::Result<bool> {
        let now = self.clock.wall_ms();
        if peer.expires_ms - now > RENEW_DAYS * DAY_MS {
            return Ok(false);
        }
        let cluster = self.authority.cluster.clone();
        let call = Call { cluster, leader: Reigning::default() };
        let asked = flat(client.next_key(within(CALL_MAX), call.clone()).await);
        let request = asked.map_err(|fault| anyhow::anyhow!("asking for its key: {fault}"))?;
        let agent = &peer.identity.agent;
        let signed = self.authority.sign(&request, Role::Host, agent, now)?;
        // Recorded first: what is out there can be denied. Not for who was denied meanwhile.
        let kept = certificate::renewed(&Certificate::from(&signed), &peer.serial);
        self.db.commit([kept]).await.context("recording it")?;
        let known = certificate::good_serial(&self.db, &signed.serial).await?;
        anyhow::ensure!(known, "it was denied");
        let given = client.next_certificate(within(CALL_MAX), call, signed.certificate_pem).await;
        flat(given).map_err(|fault| anyhow::anyhow!("giving it the certificate: {fault}"))?;
        tracing::info!("host {agent:?} has a new certificate");
        Ok(true)
    }

    /// A token with which this host may join once, and until when. The one before is good no more.
    ///
    /// # Errors
    /// The database's; the system has no random bytes.
    pub async fn invite(&self, host: HostId, edit: &Edit) -> anyhow::Result<(String, Millis)> {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut random = [0; TOKEN_CHARS];
        getrandom::fill(&mut random).context("no random bytes from the system")?;
        let token: String =
            random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        let sealed = self.key.seal(token.as_bytes(), &belongs_to(host))?;
        let expires = edit.at + INVITED_MS;
        let note = edit.audit(ProjectId(0), "invite", ("host", host.0), "");
        self.db.commit(vec![certificate::invite(host, &sealed, expires, edit), note]).await?;
        Ok((token, expires))
    }

    /// Whether a host knows its token; nothing is changed.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub async fn invited(
        &self,
        host: HostId,
        ask: &Ask,
        now: Millis,
    ) -> Result<Invited, NotAdmitted> {
        let sealed = certificate::invitation(&self.db, host, now).await?;
        let sealed = sealed.ok_or(NotAdmitted::Token)?;
        let token = self.key.open(&sealed, &belongs_to(host)).map_err(NotAdmitted::Other)?;
        let token = String::from_utf8(token).map_err(|error| NotAdmitted::Other(error.into()))?;
        if ask.request.len() > REQUEST_BYTES_MAX || !ask.knows(&token) {
            return Err(NotAdmitted::Token);
        }
        Ok(Invited { host, token, sealed })
    }

    /// Signs for who was invited, once.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub async fn admit(
        &self,
        (invited, agent): (Invited, &str),
        ask: &Ask,
        edit: &Edit,
    ) -> Result<Answer, NotAdmitted> {
        let Invited { host, token, sealed } = invited;
        let signed = self.authority.sign(&ask.request, Role::Host, agent, edit.at);
        let signed: Signed = signed.map_err(NotAdmitted::Request)?;
        let joined = self.db.commit(vec![
            certificate::joined(host, &sealed, edit.at),
            certificate::issued(&Certificate::from(&signed)),
            edit.audit(ProjectId(0), "join", ("host", host.0), &signed.serial),
        ]);
        match joined.await {
            Err(db::Error::Conflict) => return Err(NotAdmitted::Token),
            other => other?,
        }
        Ok(Answer::new(&token, ask, signed.certificate_pem, signed.authority_pem))
    }
}

fn belongs_to(host: HostId) -> String {
    format!("join/{host}")
}
