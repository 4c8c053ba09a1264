//! The API as the command line uses it: requests, lists page by page, errors in words.

use super::{Code, Failure};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One request; a command waits 5 s for the leader, a log that is followed 15 s for news.
const REQUEST_MAX: Duration = Duration::from_secs(60);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Items read of one list.
const ITEMS_MAX: usize = 10_000;
/// A request that did not reach the master is sent again so often: only one that changes nothing.
const TRIES: u32 = 3;

/// `client.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// `http://127.0.0.1:8630`.
    address: String,
    token: String,
    /// Authority of an `https` address that the system does not know.
    #[serde(default)]
    ca: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    address: String,
    token: String,
}

impl Api {
    pub(super) fn open(path: Option<&Path>) -> Result<Api, Failure> {
        let usage = |error: anyhow::Error| Failure::usage(format!("{error:#}"));
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path()?,
        };
        let config: Config = shared::config::read(&path).map_err(usage)?;
        let address = config.address.trim_end_matches('/').to_owned();
        if !address.starts_with("http://") && !address.starts_with("https://") {
            let message = "address: http://HOST:PORT or https://HOST:PORT is expected";
            return Err(Failure::usage(format!("in {}: {message}", path.display())));
        }
        // Without it a client that was built without a provider of its own would not start.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = &config.ca {
            let pem = std::fs::read(ca).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", ca.display()))
            })?;
            let certificate = reqwest::Certificate::from_pem(&pem)
                .map_err(|error| Failure::usage(format!("{}: {error}", ca.display())))?;
            client = client.tls_certs_merge([certificate]);
        }
        let client = client.build().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Api { client, address, token: config.token })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut tries = 1;
        loop {
            match self.send(Method::GET, path, query, None).await {
                Err(failure) if failure.code == Code::Unreachable && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// What is no JSON, as it comes.
    pub(super) async fn text(&self, path: &str, query: &[(&str, &str)]) -> Result<String, Failure> {
        let bytes = self.bytes(Method::GET, path, query, None).await?;
        String::from_utf8(bytes).map_err(|_| self.stranger())
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    /// All definitions of a list, as `{"items": […], "next": null}`.
    pub(super) async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            if let Some(cursor) = &cursor {
                query.push(("after", cursor));
            }
            let mut page = self.get(path, &query).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            let next = page["next"].as_i64().map(|id| id.to_string());
            if next.is_none() || next == cursor || items.len() >= ITEMS_MAX {
                return Ok(serde_json::json!({"items": items, "next": next}));
            }
            cursor = next;
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let bytes = self.bytes(method, path, query, body).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.stranger())
    }

    fn stranger(&self) -> Failure {
        let message = format!("{} does not answer as a master does", self.address);
        Failure::new(Code::Unreachable, message)
    }

    async fn bytes(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.address))
            .bearer_auth(&self.token)
            .query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let away = |error: reqwest::Error| {
            let why = match error.is_timeout() {
                true => "it did not answer in time".to_owned(),
                false => root_cause(&error),
            };
            let message = format!("the master at {} cannot be reached: {why}", self.address);
            Failure::new(Code::Unreachable, message)
        };
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(away)?;
        match status.is_success() {
            true => Ok(bytes.to_vec()),
            false => Err(refused(status, &bytes)),
        }
    }
}

/// reqwest's own words hide what the system said.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = problem["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    let mut message = detail;
    for error in problem["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        message += &format!("\n  {}: {}", text("path"), text("message"));
    }
    let code = match status.as_u16() {
        400 | 422 | 413 => Code::Usage,
        502..=504 => Code::Unreachable,
        _ => Code::Failed,
    };
    Failure::new(code, message)
}

fn default_path() -> Result<PathBuf, Failure> {
    let home = shared::config::env("XDG_CONFIG_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| shared::config::env("HOME").map(|home| Path::new(&home).join(".config")));
    let home = home.ok_or_else(|| {
        Failure::usage("where is client.toml? Name it by --config or by HCNDC_CONFIG")
    })?;
    Ok(home.join("hcndc/client.toml"))
}
