//! One server over HTTP: whether a word has arrived is told as exactly as it can be known.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use shared::etl::counts::{Step, Whose};
use shared::external::carte::live::{self, Begun, Listed};
use shared::external::carte::{self, Beside, Reply};
use shared::external::observe::{Answer, Ask};
use shared::external::{External, Server};
use std::io::{Read, Write};
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How far it is can wait.
const GLANCE_MAX: Duration = Duration::from_secs(3);
pub(super) const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    client: reqwest::Client,
    /// Without a `/` at its end.
    url: String,
    user: String,
    password: String,
}

impl Connection {
    /// `ca`: a PEM file of who has signed its certificate; empty: the system's.
    pub(crate) fn new(
        url: &str,
        (user, password): (String, String),
        ca: &str,
    ) -> Result<Connection, String> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            // Nobody else is to be given the password.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if !ca.is_empty() {
            let pem = std::fs::read(ca).map_err(|error| format!("{ca}: {error}"))?;
            let known = reqwest::Certificate::from_pem(&pem);
            builder =
                builder.add_root_certificate(known.map_err(|error| format!("{ca}: {error}"))?);
        }
        // The address itself is not told: somebody may have written a password into it.
        let parsed = reqwest::Url::parse(url).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|it| {
            let bare = it.username().is_empty() && it.password().is_none();
            match matches!(it.scheme(), "http" | "https") && bare {
                true => Ok(()),
                false => Err("that is something else".to_owned()),
            }
        });
        parsed.map_err(|why| {
            format!(
                "the address: {why}: http://HOST:PORT or https://HOST:PORT is expected; user and password have \
                 variables of their own"
            )
        })?;
        // The second time it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = builder.build().map_err(|error| format!("no client of HTTP: {error}"))?;
        Ok(Connection { client, url: url.trim_end_matches('/').to_owned(), user, password })
    }

    /// Whether it answers as such a server does, and within that time; or why not.
    pub(crate) async fn reach(&self, server: Server, within: Duration) -> Result<(), String> {
        let url = format!("{}{}", self.url, carte::list(server));
        let asked = self.with_user(self.client.get(url)).timeout(within);
        let answer = match asked.send().await {
            Ok(response) => match answer(server, &Ask::List, response).await {
                Some(reply) => reply.answer,
                None => Answer::Lost(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")),
            },
            Err(error) => Answer::Away(words(&error)),
        };
        match answer {
            Answer::Away(why) | Answer::Lost(why) | Answer::Refused(why) => Err(why),
            _ => Ok(()),
        }
    }

    /// All that a Carte lists; none where it does not answer now.
    pub(super) async fn listed(&self) -> Option<Vec<Listed>> {
        self.get(&live::listing()).await.map(|text| live::listed(&text))
    }

    /// Of a transformation that runs on a Carte, begun by an entry; nothing where it cannot be told now.
    pub(super) async fn steps(&self, begun: &Begun, whose: Whose<'_>) -> Vec<Step> {
        let all = self.listed().await.unwrap_or_default();
        let Some(running) = begun.running(&all, whose.part) else { return Vec::new() };
        let text = self.get(&live::looking(&running)).await;
        text.map_or_else(Vec::new, |text| live::steps(&text, whose))
    }

    /// Whether it has been removed.
    pub(super) async fn remove(&self, it: &Listed) -> bool {
        self.get(&live::removing(it)).await.is_some()
    }

    async fn get(&self, path: &str) -> Option<String> {
        let asked = self.with_user(self.client.get(format!("{}{path}", self.url)));
        let response = asked.timeout(GLANCE_MAX).send().await.ok()?;
        match response.status().as_u16() {
            200 => body(response).await.ok().flatten(),
            _ => None,
        }
    }

    fn with_user(&self, asked: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self.user.as_str() {
            "" => asked,
            user => asked.basic_auth(user, Some(&self.password)),
        }
    }

    /// None: the answer is longer than any that is taken.
    pub(super) async fn ask(
        &self,
        external: &External,
        ask: &Ask,
        beside: Beside<'_>,
    ) -> Option<Reply> {
        let request = carte::request(external, ask, beside);
        let url = format!("{}{}", self.url, request.path);
        let asked = match request.body {
            Some(body) => self.client.post(url).header("Content-Type", "text/xml").body(body),
            None => self.client.get(url),
        };
        match self.with_user(asked).send().await {
            Ok(response) => answer(external.server, ask, response).await,
            Err(error) if error.is_connect() => Some(Answer::Away(words(&error)).into()),
            Err(error) => Some(Answer::Lost(words(&error)).into()),
        }
    }
}

/// None: it is longer than any that is taken.
async fn body(mut response: reqwest::Response) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| words(&error))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

async fn answer(server: Server, ask: &Ask, response: reqwest::Response) -> Option<Reply> {
    let status = response.status();
    let text = match body(response).await {
        Ok(text) => text?,
        Err(why) => return Some(Answer::Lost(why).into()),
    };
    Some(match status.as_u16() {
        200 => carte::reply(server, ask, &text),
        // Newer ones say so where older ones say 200.
        404 if text.contains("<webresult>") => carte::reply(server, ask, &text),
        401 | 403 => {
            let variables = server.variables();
            let why =
                format!("{status}: {variables}_USER or {variables}_PASSWORD is not what it knows");
            Answer::Refused(why).into()
        }
        // It may have done what it was asked all the same, or somebody between us has.
        500.. => Answer::Lost(status.to_string()).into(),
        _ if matches!(ask, Ask::Start(_)) => Answer::Lost(status.to_string()).into(),
        _ => Answer::Refused(status.to_string()).into(),
    })
}

/// Without the address: a person knows it, and it may hold more than is good to tell.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// By gzip, in base64: as both servers give and take longer texts.
pub(super) fn packed(bytes: &[u8]) -> String {
    let mut to = GzEncoder::new(Vec::new(), Compression::default());
    // Into memory nothing fails.
    let _ = to.write_all(bytes);
    STANDARD.encode(to.finish().unwrap_or_default())
}

/// At most so many bytes of it, and whether there are more.
pub(super) fn unpacked(text: &str, bytes_max: usize) -> Result<(String, bool), String> {
    let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
    let mut unpacked = Vec::new();
    let read =
        GzDecoder::new(bytes.as_slice()).take(bytes_max as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| error.to_string())?;
    let more = unpacked.len() > bytes_max;
    unpacked.truncate(bytes_max);
    Ok((String::from_utf8_lossy(&unpacked).into_owned(), more))
}
