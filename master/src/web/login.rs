//! Login, logout, health: the only pages for strangers.

use super::auth::{Address, Means, Right};
use super::error::{Error, RequestId, Result};
use super::{Page, Routes, away, lead};
use crate::app::App;
use crate::store;
use crate::store::edit::Edit;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use minijinja::context;
use serde::Deserialize;
use shared::ids::{ProjectId, UserId};

const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::default()
        .public(Method::GET, "/login/", form)
        .public(Method::POST, "/login/", login)
        .post("/logout/", Right::View, logout)
        .public(Method::GET, "/healthz", || async { "ok\n" })
        .public(Method::GET, "/readyz", ready)
}

#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn form(page: Page, Query(query): Query<Next>) -> Result {
    page.render("login.html", context! { next => local(&query.next), name => "", error => () })
}

/// Only a path of ours: `//host` and `/\host` lead elsewhere.
fn local(next: &str) -> &str {
    let ours = next.starts_with('/')
        && !next[1..].starts_with(['/', '\\'])
        && !next.contains(|c: char| c.is_control());
    if ours { next } else { "/" }
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn login(
    page: Page,
    Extension(address): Extension<Address>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Result {
    let app = page.app.clone();
    let name = login.name.trim().to_owned();
    let keys = [name_key(&name), format!("address {}", address.0)];
    let now = app.clock.wall_ms();
    // Counted before the password is looked at: a thousand at the same moment are a thousand.
    if let Some(wait) = app.throttle.begin(&keys, now).await? {
        let seconds = wait / 1000 + 1;
        let error = format!("too many failed logins; try again in {seconds} s");
        return refused(&page, &login, StatusCode::TOO_MANY_REQUESTS, &error);
    }
    let user = match check_password(&app, &name, login.password.clone()).await {
        Ok(user) => user,
        Err(error) => {
            // Nobody has guessed wrong: the database was away.
            if let Err(error) = app.throttle.forget(&keys, now).await {
                tracing::warn!("a failed login stays counted: {error}");
            }
            return Err(error);
        }
    };
    let Some(user) = user else {
        tracing::info!(request = request.0, address = %address.0, "a login failed");
        let error = "this name and password do not belong together";
        return refused(&page, &login, StatusCode::UNAUTHORIZED, error);
    };
    app.throttle.succeeded(&keys, now).await?;
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let address = address.0.to_string();
    let id = app.sessions.create(user, &address, agent.unwrap_or_default()).await?;
    let edit = Edit::new(user, address, now);
    app.db.commit(vec![edit.audit(ProjectId(0), "login", ("user", user.0), "")]).await?;
    let cookie = set_cookie(&app, &id, app.config.web.session_max_s);
    let next = local(&login.next).to_owned();
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
}

fn refused(page: &Page, login: &Login, status: StatusCode, error: &str) -> Result {
    let context = context! { next => local(&login.next), name => login.name.as_str(), error };
    let html = page.render("login.html", context)?;
    Ok((status, html).into_response())
}

fn set_cookie(app: &App, value: &str, age_s: u32) -> String {
    let name = app.cookie_name();
    let secure = if app.config.web.is_https() { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age_s}{secure}")
}

async fn logout(State(app): State<App>, viewer: super::auth::Viewer) -> Result {
    if let Means::Session(id) = &viewer.means {
        app.sessions.end(id).await?;
    }
    let headers = [
        (header::SET_COOKIE, set_cookie(&app, "", 0)),
        (header::HeaderName::from_static("clear-site-data"), "\"cache\"".to_owned()),
    ];
    Ok((headers, Redirect::to("/login/")).into_response())
}

/// Whether this master can serve: the database answers. Who leads is told beside it.
async fn ready(State(app): State<App>) -> Response {
    let leader = app.leader.borrow().clone();
    // One question tells whether the database answers: one that hangs is not asked again.
    match away::ask(&app, store::catalog::revision(&app.db)).await {
        Ok(_) => {
            let lead = lead::of(&app).await;
            Json(serde_json::json!({ "ready": true, "leader": leader, "lead": lead }))
                .into_response()
        }
        Err(error) => {
            tracing::warn!("not ready: {}", error.problem().detail);
            let why = "the database does not answer";
            let body = serde_json::json!({ "ready": false, "why": why, "leader": leader });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// The hash of a password, of argon2id; at most two at a time.
///
/// # Errors
/// There is no randomness to be had.
pub async fn hash_password(app: &App, password: String) -> anyhow::Result<String> {
    let _turn = app.hashing.acquire().await?;
    shared::tasks::blocking(move || {
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| anyhow::anyhow!("argon2: {error}"))
    })
    .await?
}

/// What a new password must be; an error in words that say how to mend it.
pub fn weak(password: &str) -> Option<String> {
    let chars = password.chars().count();
    (!(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars))
        .then(|| format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"))
}

/// A name that nobody has costs as much time as a wrong password.
pub(super) async fn check_password(
    app: &App,
    name: &str,
    password: String,
) -> Result<Option<UserId>, Error> {
    // Of a random password that nobody knows.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$\
        yP0sBlB3yOMqq0AUtAlBNYEc0CzS9o2zHqfLxkGGyGk";
    let found = store::user::password_of(&app.db, name).await?;
    let (user, hash) = match found {
        Some((user, hash)) => (Some(user), hash),
        None => (None, NOBODY.to_owned()),
    };
    if password.chars().count() > PASSWORD_CHARS_MAX {
        return Ok(None);
    }
    let _turn = app.hashing.acquire().await.map_err(anyhow::Error::from)?;
    let good = shared::tasks::blocking(move || {
        PasswordHash::new(&hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    })
    .await?;
    Ok(user.filter(|_| good))
}

/// Of a fixed size, however long a name is sent.
fn name_key(name: &str) -> String {
    let digest = super::auth::digest(name);
    format!("name {}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_gone_to() {
        for (next, expected) in [
            ("/job/?q=1", "/job/?q=1"),
            ("//evil", "/"),
            ("/\\evil", "/"),
            ("http://evil", "/"),
            ("", "/"),
            ("/a\nb", "/"),
        ] {
            assert_eq!(local(next), expected, "{next:?}");
        }
    }

    #[test]
    fn a_long_name_is_no_long_key() {
        assert_eq!(name_key(&"x".repeat(1_000_000)).len(), name_key("x").len());
    }
}
