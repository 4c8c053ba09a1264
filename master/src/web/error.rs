//! What goes wrong, told to people and programs: one type, two faces.
//!
//! Handlers return [`Error`]; it carries a [`Problem`] in the response's extensions, and
//! [`render`] (the outermost layer that knows the request) writes it as a page or, under
//! `/api/`, as `application/problem+json` (RFC 9457).

use super::auth::Viewer;
use super::frame::Page;
use super::i18n::Lang;
use crate::app::App;
use crate::{db, session};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use shared::kind::FieldError;

/// Bytes of an error of axum's own that are read to be told on.
const SAID_MAX: usize = 8 * 1024;

pub type Result<T = Response, E = Error> = std::result::Result<T, E>;

/// RFC 9457, and what is wrong with which field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A word that programs may branch on.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The request's id, as in the log.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Problem>);

impl Error {
    fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Error {
        Error(Box::new(Problem {
            kind,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            instance: String::new(),
        }))
    }

    /// `what` is a noun: "interface 42".
    pub fn not_found(what: impl std::fmt::Display) -> Error {
        Error::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what}"))
    }

    pub fn login() -> Error {
        Error::new(StatusCode::UNAUTHORIZED, "login", "a login or a bearer token is needed")
    }

    pub fn bad_token() -> Error {
        let detail = "this token is unknown, revoked or expired";
        Error::new(StatusCode::UNAUTHORIZED, "token", detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub fn bad_request(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// Fields are wrong, each error beside its field.
    pub fn invalid(errors: Vec<FieldError>) -> Error {
        let mut error =
            Error::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "some fields are not right");
        error.0.errors = errors;
        error
    }

    /// It was there, and is not any more, or not yet.
    pub fn gone(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::NOT_FOUND, "gone", detail)
    }

    /// Somebody else was first, or something depends on it.
    pub fn conflict(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub fn too_large(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    pub fn too_many(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail)
    }

    /// Not now; again in a moment.
    pub fn unavailable(detail: impl Into<String>) -> Error {
        Error::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// Logged here with its chain; people see the request's id only.
    pub fn internal(error: impl Into<anyhow::Error>) -> Error {
        tracing::error!("a request failed: {:#}", error.into());
        let detail = "something went wrong here; the master's log has it under this request's id";
        Error::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Error {
        Error::internal(error)
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Error {
        match error {
            db::Error::Conflict => {
                Error::conflict("somebody else has changed it meanwhile; load it again")
            }
            db::Error::Duplicate { .. } => Error::conflict("this is there already"),
            db::Error::Retry(_) | db::Error::UnknownOutcome(_) => {
                tracing::warn!("the database did not answer: {error:#}");
                Error::unavailable("the database is busy or away; try again in a moment")
            }
            db::Error::Bad { .. } | db::Error::Fatal(_) => Error::internal(error),
        }
    }
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Error {
        match error {
            session::Error::Away(_) => {
                tracing::warn!("{error}");
                Error::unavailable(
                    "the store of sessions is away: nobody can be recognised until it is back; try \
                     again in a moment",
                )
            }
            session::Error::Random(_) => Error::internal(error),
        }
    }
}

impl From<minijinja::Error> for Error {
    fn from(error: minijinja::Error) -> Error {
        Error::internal(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.0.detail.clone()).into_response();
        response.extensions_mut().insert(*self.0);
        response
    }
}

/// The id under which a request is logged; sent back as `x-request-id`.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Middleware: gives a problem the face that the asker understands.
pub(super) async fn render(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut random = [0; 8];
    let _ = getrandom::fill(&mut random);
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(RequestId(id.clone()));
    let mut asker = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(mut problem) = problem_of(&mut response).await {
        problem.instance = id.clone();
        // Known from before; see `auth::identify`.
        response.extensions_mut().remove::<Viewer>().map(|viewer| asker.extensions.insert(viewer));
        let status = response.status();
        let log = format!("{} {}: {status}: {}", asker.method, asker.uri.path(), problem.detail);
        match status.is_server_error() {
            true => tracing::warn!(request = id, "{log}"),
            false => tracing::debug!(request = id, "{log}"),
        }
        response = face(&app, asker, problem).await;
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// Ours, or one of axum's own (a bad query, a method that is not there), which are plain text.
async fn problem_of(response: &mut Response) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    let status = response.status();
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|value| value.as_bytes().starts_with(b"text/plain"));
    if !plain || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let said = text_of(response).await;
    // An address with something else in the place of a number leads nowhere.
    let nowhere = said.as_deref().is_some_and(|said| said.starts_with("Invalid URL"));
    let status = if nowhere { StatusCode::NOT_FOUND } else { status };
    *response.status_mut() = status;
    let (kind, detail) = match status {
        StatusCode::NOT_FOUND => ("not_found", "there is no such page"),
        StatusCode::METHOD_NOT_ALLOWED => ("method", "this address does not take that method"),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "too_large",
            "the request is larger than this master takes (web.body_max_bytes; for definitions \
             that are applied, web.apply_max_bytes)",
        ),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
            ("timeout", "this took too long; try again")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("media_type", "this content type is not understood here")
        }
        _ if status.is_server_error() => ("internal", "something went wrong here"),
        // Which field, which line: what axum says of it helps.
        _ => ("bad_request", said.as_deref().unwrap_or("this request is not understood")),
    };
    Some(*Error::new(status, kind, detail).0)
}

/// A short plain text, if that is what the answer is.
async fn text_of(response: &mut Response) -> Option<String> {
    let body = std::mem::take(response.body_mut());
    let bytes = axum::body::to_bytes(body, SAID_MAX).await.ok()?;
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(300).collect())
}

async fn face(app: &App, mut asker: axum::http::request::Parts, problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let path = asker.uri.path();
    if path.starts_with("/api/") || path.starts_with("/static/") || path == "/events" {
        let problem = for_script(app, &asker.headers, problem);
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let kind = (header::CONTENT_TYPE, "application/problem+json");
        return (status, [kind], body).into_response();
    }
    if problem.kind == "login" {
        let target = asker.uri.path_and_query().map_or("/", |uri| uri.as_str());
        // What was to be changed cannot be posted again by a redirect: back to its form's page.
        let next = form_urlencoded(target);
        return Redirect::to(&format!("/login/?next={next}")).into_response();
    }
    let page = Page::from_request_parts(&mut asker, app).await;
    let html = match &page {
        Ok(page) => page.html("error.html", context! { problem => Serde(&problem) }),
        Err(_) => {
            Page::anonymous(app, &asker).html("error.html", context! { problem => Serde(&problem) })
        }
    };
    match html {
        Ok(html) => (status, axum::response::Html(html)).into_response(),
        Err(error) => {
            tracing::error!("the page of an error failed: {:#}", error);
            (status, problem.detail).into_response()
        }
    }
}

/// A script of our pages shows what it is told: in the language of its page. Programs are told English.
fn for_script(app: &App, asker: &HeaderMap, mut problem: Problem) -> Problem {
    if super::auth::cookie(asker, "lang").as_deref() == Some(Lang::Zh.word()) {
        let texts = &app.templates.catalogue;
        problem.detail = texts.text(Lang::Zh, &problem.detail);
        for error in &mut problem.errors {
            error.message = texts.text(Lang::Zh, &error.message);
        }
    }
    problem
}

/// A text inside of a query.
pub(super) fn form_urlencoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
