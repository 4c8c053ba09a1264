//! How hosts get their certificates: an invitation, the join itself, and the end of a certificate.

use super::super::auth::{Address, Right, Viewer};
use super::super::error::{Error, Result};
use super::super::{Page, Routes};
use crate::app::App;
use crate::engine::catalog::{Catalog, Host};
use crate::leader::certs::{Certs, NotAdmitted};
use crate::store::certificate;
use crate::store::edit::Edit;
use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde_json::json;
use shared::ids::*;
use shared::join::Ask;
use shared::tls::{Identity, Role};
use std::sync::Arc;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/base/exec/host/{id}/invite/", Right::Write, invite)
        .post("/base/exec/host/{id}/deny/", Right::Write, deny)
        .post("/api/v1/hosts/{id}/invite", Right::Write, invite_for_programs)
        .post("/api/v1/hosts/{id}/deny", Right::Write, deny_for_programs)
        // For who has no login yet, and shows that it knows its token.
        .public(Method::POST, "/api/v1/join", join)
}

fn certs(app: &App) -> Result<&Arc<Certs>, Error> {
    let none = || Error::unavailable("this master has no authority to sign certificates with");
    app.caller.certs.as_ref().ok_or_else(none)
}

/// A host that the viewer may change.
async fn host_of(app: &App, viewer: &Viewer, id: i64) -> Result<(Arc<Catalog>, Arc<Host>), Error> {
    let catalog = app.catalog().await?;
    let found = catalog.hosts.get(&HostId(id)).filter(|host| viewer.sees(host.project));
    let host = found.cloned().ok_or_else(|| Error::not_found(format!("exec host {id}")))?;
    viewer.must(Right::Write, host.project)?;
    Ok((catalog, host))
}

/// Whoever may write one host has nothing to say of another one's certificates.
fn alone(catalog: &Catalog, host: &Host) -> Result<(), Error> {
    let agent = agent_of(host);
    let mut others = catalog.hosts.values().filter(|other| other.id != host.id);
    match others.any(|other| agent_of(other) == agent) {
        true => Err(Error::conflict(format!(
            "another exec host has the agent \"{agent}\" in its certificate: give this one another name"
        ))),
        false => Ok(()),
    }
}

fn edit(app: &App, viewer: &Viewer) -> Edit {
    let (by, from) = (viewer.id, viewer.address.clone());
    Edit::new(by, from, app.clock.wall_ms())
}

async fn token_for(app: &App, viewer: &Viewer, host: &Host) -> Result<(String, Millis), Error> {
    let invited = certs(app)?.invite(host.id, &edit(app, viewer)).await;
    invited.map_err(Error::internal)
}

/// The token is shown once.
async fn invite(page: Page, Path(id): Path<i64>, headers: HeaderMap) -> Result {
    let viewer = page.viewer()?;
    let (catalog, host) = host_of(&page.app, viewer, id).await?;
    alone(&catalog, &host)?;
    let (token, expires_ms) = token_for(&page.app, viewer, &host).await?;
    let web = &page.app.config.web;
    let asked = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let origin = match (web.url.is_empty(), asked) {
        (false, _) => web.url.trim_end_matches('/').to_owned(),
        (true, Some(asked)) => format!("http://{asked}"),
        (true, None) => format!("http://{}", web.listen),
    };
    let name = host.name.clone();
    let shown = context! { id, name, token, expires_ms, origin };
    Ok(kept_nowhere(page.render("host/invited.html", shown)?))
}

async fn invite_for_programs(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
) -> Result {
    let (catalog, host) = host_of(&app, &viewer, id).await?;
    alone(&catalog, &host)?;
    let (token, expires_ms) = token_for(&app, &viewer, &host).await?;
    let answer = json!({ "host": host.name, "token": token, "expires_ms": expires_ms });
    Ok(kept_nowhere(Json(answer).into_response()))
}

fn kept_nowhere(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Its certificates are good for nothing any more; how many there were.
async fn deny_all(app: &App, viewer: &Viewer, id: i64) -> Result<i64, Error> {
    let (catalog, host) = host_of(app, viewer, id).await?;
    // The agent that has answered for it is its own, whatever others are called; until one has, its
    // name alone says which certificates are meant.
    if host.agent.is_empty() {
        alone(&catalog, &host)?;
    }
    let (agent, edit) = (agent_of(&host), edit(app, viewer));
    let count = certificate::good(&app.db, &agent, edit.at).await?;
    let note = edit.audit(host.project, "deny", ("host", id), &agent);
    let (deny, uninvite) = (certificate::deny(&agent, edit.at), certificate::uninvite(host.id));
    app.db.commit(vec![deny, uninvite, note]).await?;
    Ok(count)
}

async fn deny(page: Page, Path(id): Path<i64>) -> Result {
    deny_all(&page.app, page.viewer()?, id).await?;
    Ok(Redirect::to(&format!("/base/exec/host/{id}/")).into_response())
}

async fn deny_for_programs(State(app): State<App>, viewer: Viewer, Path(id): Path<i64>) -> Result {
    let denied = deny_all(&app, &viewer, id).await?;
    Ok(Json(json!({ "denied": denied })).into_response())
}

/// As in its certificate: the one it has, or its name, or what its number makes.
fn agent_of(host: &Host) -> String {
    let named = Identity::new("any", Role::Host, &host.name).is_ok();
    match (host.agent.is_empty(), named) {
        (false, _) => host.agent.clone(),
        (true, true) => host.name.clone(),
        (true, false) => format!("host-{}", host.id),
    }
}

async fn join(
    State(app): State<App>,
    Extension(address): Extension<Address>,
    Json(ask): Json<Ask>,
) -> Result {
    let certs = certs(&app)?;
    let now = app.clock.wall_ms();
    let keys = [format!("join {}", address.0)];
    if let Some(wait_ms) = app.throttle.begin(&keys, now).await? {
        let seconds = wait_ms / 1_000 + 1;
        let told = format!("too many tokens that were not good; try again in {seconds} s");
        return Err(Error::too_many(told));
    }
    let catalog = app.catalog().await?;
    let mut hosts = catalog.hosts.values();
    // No host of this name is told like no token: it is nobody's business which there are.
    let host = hosts.find(|host| host.name == ask.host);
    let host = host.ok_or_else(|| Error::forbidden(NotAdmitted::Token.to_string()))?;
    let invited = certs.invited(host.id, &ask, now).await.map_err(refused)?;
    // Only now: what else is called so is told to nobody who has no token.
    alone(&catalog, host)?;
    let from = address.0.to_string();
    let edit = Edit::new(UserId(0), from, now);
    let answer = certs.admit((invited, &agent_of(host)), &ask, &edit).await.map_err(refused)?;
    app.throttle.succeeded(&keys, now).await?;
    Ok(Json(answer).into_response())
}

fn refused(refused: NotAdmitted) -> Error {
    match refused {
        NotAdmitted::Token => Error::forbidden(refused.to_string()),
        NotAdmitted::Request(_) => Error::bad_request(refused.to_string()),
        NotAdmitted::Database(error) => error.into(),
        NotAdmitted::Other(error) => Error::internal(error),
    }
}
