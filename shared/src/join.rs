//! How a host joins a cluster: with a token that is good once.
//!
//! Whoever asks and whoever answers show that they know the token (HMAC-SHA256, RFC 2104); it never
//! travels. So it does not matter whether the way between them is believed: nobody else's key is
//! signed, and nobody else's authority is taken. Called by `hcndc-executor join` and by the master.

use ring::hmac;
use serde::{Deserialize, Serialize};

/// Letters and digits of a token that the master makes: 160 bits.
pub const TOKEN_CHARS: usize = 32;
/// The longest request to be signed that is looked at.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// What a host asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Its name on the page of exec hosts.
    pub host: String,
    /// PKCS #10 (RFC 2986), as PEM.
    pub request: String,
    /// Hexadecimal.
    pub proof: String,
}

/// What it is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub certificate: String,
    pub authority: String,
    /// Hexadecimal; it holds for this very [`Ask`].
    pub proof: String,
}

impl Ask {
    pub fn new(token: &str, host: &str, request: &str) -> Ask {
        let proof = tag(token, &["ask", host, request]);
        Ask { host: host.into(), request: request.into(), proof }
    }

    /// Whether who asks knows the token.
    pub fn knows(&self, token: &str) -> bool {
        holds(token, &["ask", &self.host, &self.request], &self.proof)
    }
}

impl Answer {
    pub fn new(token: &str, ask: &Ask, certificate: String, authority: String) -> Answer {
        let proof = tag(token, &["answer", &ask.proof, &certificate, &authority]);
        Answer { certificate, authority, proof }
    }

    /// Whether who answers knows the token.
    pub fn knows(&self, token: &str, ask: &Ask) -> bool {
        let parts = ["answer", &ask.proof, &self.certificate, &self.authority];
        holds(token, &parts, &self.proof)
    }
}

fn key(token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token.trim().as_bytes())
}

/// With its length before each part: two lists of parts are never the same bytes.
fn joined(parts: &[&str]) -> Vec<u8> {
    let part = |part: &&str| [&part.len().to_be_bytes()[..], part.as_bytes()].concat();
    parts.iter().flat_map(part).collect()
}

fn tag(token: &str, parts: &[&str]) -> String {
    let tag = hmac::sign(&key(token), &joined(parts));
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn holds(token: &str, parts: &[&str], proof: &str) -> bool {
    let pairs = proof.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    let Some(bytes) = pairs.collect::<Option<Vec<u8>>>() else { return false };
    hmac::verify(&key(token), &joined(parts), &bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_token_is_believed_and_for_what_was_asked_alone() {
        let ask = Ask::new("secret", "h1", "request");
        assert!(ask.knows("secret") && ask.knows(" secret\n"));
        assert!(!ask.knows("guess"));
        assert!(!Ask { host: "h2".into(), ..ask.clone() }.knows("secret"));
        assert!(!Ask { request: "another key".into(), ..ask.clone() }.knows("secret"));
        assert!(!Ask { proof: "zz".into(), ..ask.clone() }.knows("secret"));
        let answer = Answer::new("secret", &ask, "cert".into(), "ca".into());
        assert!(answer.knows("secret", &ask));
        assert!(
            !Answer { authority: "of somebody else".into(), ..answer.clone() }
                .knows("secret", &ask)
        );
        assert!(!answer.knows("secret", &Ask::new("secret", "h1", "another request")));
    }
}
