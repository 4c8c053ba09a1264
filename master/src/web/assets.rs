//! Files of `static/`, served under one hash of them all: `/static/HASH/css/app.css`.
//!
//! One hash for the whole tree, so that a module's relative imports stay inside it. Release builds
//! carry the files; debug builds read them from disk and tell browsers not to keep them.

use super::Routes;
use super::error::{Error, Result};
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

#[derive(RustEmbed)]
#[folder = "../static"]
struct Static;

#[derive(RustEmbed)]
#[folder = "../templates"]
struct Templates;

pub(super) fn routes() -> Routes {
    Routes::default().public(Method::GET, "/static/{hash}/{*path}", file)
}

/// A template's text, or the catalogue's.
pub(super) fn template(name: &str) -> Option<String> {
    let file = Templates::get(name)?;
    String::from_utf8(file.data.into_owned()).ok()
}

/// Names of all templates.
pub fn templates() -> Vec<String> {
    Templates::iter().map(|name| name.into_owned()).collect()
}

/// The text of our own scripts.
pub(super) fn scripts() -> Vec<String> {
    Static::iter()
        .filter(|name| name.starts_with("js/"))
        .filter_map(|name| Static::get(&name))
        .filter_map(|file| String::from_utf8(file.data.into_owned()).ok())
        .collect()
}

/// Of all files: 12 hex digits.
fn hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let mut names: Vec<_> = Static::iter().collect();
        names.sort();
        let mut hash = Sha256::new();
        for file in names.iter().filter_map(|name| Static::get(name)) {
            hash.update(file.metadata.sha256_hash());
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    })
}

/// The address of a file of `static/`.
pub fn address(path: &str) -> String {
    format!("/static/{}/{path}", hash())
}

async fn file(Path((asked, path)): Path<(String, String)>) -> Result {
    let file = Static::get(&path).ok_or_else(|| Error::not_found(format!("file {path}")))?;
    let keep = match asked == hash() && !cfg!(debug_assertions) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..8]));
    let headers = [
        (header::CONTENT_TYPE, content_type(&path).to_owned()),
        (header::CACHE_CONTROL, keep.to_owned()),
        (header::ETAG, etag),
    ];
    Ok((headers, Body::from(file.data)).into_response())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    }
}
