//! What wraps all routes: limits, headers, who asks, where from, how errors look.

use super::{auth, error};
use crate::app::App;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// No inline script, no other host. layui's template engine compiles with `Function`: hence
/// `unsafe-eval`; layui and ECharts set style attributes: hence `unsafe-inline` for styles only.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
    connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

pub(super) fn wrap(routes: Router<App>, app: App) -> Router {
    let web = &app.config.web;
    let timeout = Duration::from_secs(u64::from(web.timeout_s));
    routes
        .fallback(nothing_here)
        .layer(from_fn_with_state(app.clone(), auth::identify))
        .layer(from_fn(auth::same_site))
        // What a handler takes as a form or as JSON; `apply` reads its own body, up to the limit of all.
        .layer(DefaultBodyLimit::max(web.body_max_bytes))
        .layer(RequestBodyLimitLayer::new(web.apply_max_bytes.max(web.body_max_bytes)))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, timeout))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), error::render))
        .layer(from_fn(headers))
        .layer(CompressionLayer::new())
        .with_state(app)
}

/// An address without its last slash is sent to the one with it; anything else is not there.
async fn nothing_here(request: Request) -> Response {
    let uri = request.uri();
    let known = request.extensions().get::<auth::Viewer>().is_some();
    if !known {
        return error::Error::login().into_response();
    }
    let path = uri.path();
    let page = !path.starts_with("/api/") && !path.starts_with("/static/");
    if request.method() == Method::GET
        && page
        && !path.ends_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
    {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return Redirect::permanent(&format!("{path}/{query}")).into_response();
    }
    error::Error::not_found("such page").into_response()
}

fn panicked(cause: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".into());
    error::Error::internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
}

async fn headers(request: Request, next: Next) -> Response {
    let is_static = request.uri().path().starts_with("/static/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Asked for anew each time; still there, with what was typed, when somebody goes back.
    if !is_static && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    response
}
