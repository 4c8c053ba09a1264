//! Who asks, and what they may: the one place that decides rights.
//!
//! [`identify`] finds the viewer of a request (session cookie or bearer token), [`gate`] lets a
//! route's requests through, [`Viewer::must`] is asked by handlers for the project of the object at
//! hand. Nothing is allowed that nobody has granted.

use super::error::Error;
use super::{away, zone};
use crate::app::App;
use crate::store;
use crate::store::user::User;
pub use crate::store::user::{Right, Rights};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use shared::ids::{ProjectId, UserId};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Who may enter a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Public,
    /// A login, and this right in some project; the handler asks for the object's own project.
    Needs(Right),
}

/// By what a viewer is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// The session's id, as in the cookie.
    Session(String),
    Token,
}

/// Who asks: an extractor, there on every route that is not public.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub id: UserId,
    pub name: String,
    pub title: String,
    /// By project; 0 holds in every project.
    pub rights: BTreeMap<ProjectId, Rights>,
    /// The project that lists are narrowed to, if one was chosen.
    pub scope: Option<ProjectId>,
    pub means: Means,
    /// Whose days and hours pages show: see [`zone`].
    pub zone: Tz,
    /// For the audit.
    pub address: String,
}

impl Viewer {
    pub fn may(&self, right: Right, project: ProjectId) -> bool {
        [ProjectId(0), project]
            .iter()
            .any(|id| self.rights.get(id).is_some_and(|rights| rights.has(right)))
    }

    pub fn may_somewhere(&self, right: Right) -> bool {
        self.rights.values().any(|rights| rights.has(right))
    }

    /// Where something new goes that needs this right: the project that was chosen, or else the first in
    /// which the viewer has it.
    pub fn place(&self, right: Right) -> ProjectId {
        let own = || self.rights.iter().find(|(id, rights)| id.0 != 0 && rights.has(right));
        let found = self.scope.or_else(|| own().map(|(id, _)| *id));
        found.unwrap_or(ProjectId(1))
    }

    /// # Errors
    /// Forbidden, with the right that is missing.
    pub fn must(&self, right: Right, project: ProjectId) -> Result<(), Error> {
        match self.may(right, project) {
            true => Ok(()),
            false => Err(Error::forbidden(format!(
                "you need the right \"{}\" in this project; an administrator can grant it",
                right.word()
            ))),
        }
    }

    /// Whether lists show it: a link leads to all that the viewer sees, lists to what was chosen.
    pub fn lists(&self, project: ProjectId) -> bool {
        let chosen = self.scope.is_none_or(|scope| project == scope || project.0 == 0);
        chosen && self.sees(project)
    }

    /// Things of project 0 are shared by all: who sees something sees them.
    pub fn sees(&self, project: ProjectId) -> bool {
        match project {
            ProjectId(0) => self.may_somewhere(Right::View),
            _ => self.may(Right::View, project),
        }
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Viewer, Error> {
        parts.extensions.get::<Viewer>().cloned().ok_or_else(Error::login)
    }
}

/// Middleware of one route.
pub(super) async fn gate(access: Access, request: Request, next: Next) -> Response {
    let viewer = request.extensions().get::<Viewer>();
    match (access, viewer) {
        (Access::Public, _) => next.run(request).await,
        (Access::Needs(_), None) => Error::login().into_response(),
        (Access::Needs(right), Some(viewer)) if viewer.may_somewhere(right) => {
            next.run(request).await
        }
        (Access::Needs(right), Some(_)) => Error::forbidden(format!(
            "you need the right \"{}\"; an administrator can grant it",
            right.word()
        ))
        .into_response(),
    }
}

/// Middleware of all routes: puts the [`Viewer`] into the request's extensions, if there is one.
pub(super) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let address = address_of(&app, request.extensions(), request.headers());
    request.extensions_mut().insert(Address(address));
    // Files of our own are the same for everybody: nobody is looked up for them.
    if request.uri().path().starts_with("/static/") {
        return next.run(request).await;
    }
    match viewer_of(&app, request.headers(), address).await {
        Ok(Some(viewer)) => {
            request.extensions_mut().insert(viewer);
        }
        Ok(None) => {}
        Err((error, known)) => {
            let mut response = error.into_response();
            // No handler runs for them: the page of the error is theirs.
            known.map(|viewer| response.extensions_mut().insert(viewer));
            return response;
        }
    }
    next.run(request).await
}

/// Where a request comes from; behind a trusted proxy what that says.
#[derive(Clone, Copy, Debug)]
pub struct Address(pub IpAddr);

fn address_of(app: &App, extensions: &axum::http::Extensions, headers: &HeaderMap) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([127, 0, 0, 1]), |info| info.0.ip());
    let trusted = &app.config.web.trusted_proxies;
    if !trusted.contains(&peer) {
        return peer;
    }
    // The last entry that no proxy of ours has written is the client: those before it are hearsay.
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|text| text.to_str().ok());
    let hops: Vec<IpAddr> = forwarded
        .flat_map(|text| text.split(','))
        .filter_map(|hop| hop.trim().parse().ok())
        .collect();
    hops.into_iter().rev().find(|hop| !trusted.contains(hop)).unwrap_or(peer)
}

/// SHA-256: what is kept of tokens.
pub fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

async fn viewer_of(
    app: &App,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Option<Viewer>, (Error, Option<Viewer>)> {
    let now = app.clock.wall_ms();
    let (user, means) = match bearer(headers) {
        Some(token) => {
            let digest = digest(token.trim());
            let found = away::ask(app, store::token::user_of(&app.db, &digest, now)).await;
            match found.map_err(|error| (error, None))? {
                Some(user) => (user, Means::Token),
                None => return Err((Error::bad_token(), None)),
            }
        }
        None => {
            let Some(cookie) = cookie(headers, app.cookie_name()) else { return Ok(None) };
            match app.sessions.find(&cookie).await.map_err(|error| (error.into(), None))? {
                Some(user) => (user, Means::Session(cookie)),
                None => return Ok(None),
            }
        }
    };
    let mono = app.clock.mono_ms();
    let account = match away::ask(app, store::user::find(&app.db, user)).await {
        Ok(account) => account,
        Err(error) => {
            let known = app.known.remembered(user, mono).filter(|known| !known.disabled);
            let viewer = known.map(|known| viewer_as(app, headers, (known, means, address)));
            return Err((error, viewer));
        }
    };
    app.known.remember(user, account.as_ref(), mono);
    let account = account.filter(|account| !account.disabled);
    Ok(account.map(|account| viewer_as(app, headers, (account, means, address))))
}

fn viewer_as(
    app: &App,
    headers: &HeaderMap,
    (account, means, address): (User, Means, IpAddr),
) -> Viewer {
    let mut viewer = Viewer {
        id: account.id,
        name: account.name,
        title: account.title,
        rights: account.rights,
        scope: None,
        means,
        zone: zone::of_server(&app.config),
        address: address.to_string(),
    };
    if let Means::Session(_) = viewer.means {
        viewer.zone = zone::of_browser(&app.config, headers);
        let chosen = cookie(headers, "project").and_then(|id| id.parse().ok()).map(ProjectId);
        viewer.scope = chosen.filter(|id| id.0 != 0 && viewer.sees(*id));
    }
    viewer
}

/// A token; what a browser may send by itself (`Basic`) is none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The value of one cookie.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// Middleware: a change must come from our own pages, or from a program that is no browser.
///
/// Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`), and no page can make them
/// lie; a bearer token is never sent by a browser on its own.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    if safe || bearer(headers).is_some() || is_own(headers) {
        return next.run(request).await;
    }
    Error::forbidden("this request came from another site's page").into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text("host")
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_from_our_own_pages() {
        let check = |pairs: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                let name: axum::http::HeaderName = name.parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
            is_own(&headers)
        };
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(check(&[("origin", "http://a:1"), ("host", "a:1")]));
        assert!(!check(&[("origin", "http://b"), ("host", "a:1")]));
        assert!(!check(&[("origin", "null"), ("host", "a:1")]));
        assert!(check(&[]));
    }
}
