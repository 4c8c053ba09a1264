//! My account: the password, where one is logged in, tokens for programs.

use super::auth::{Means, Right, Viewer, digest};
use super::error::{Error, Result};
use super::form::Form;
use super::login::{check_password, hash_password, weak};
use super::{Page, Routes};
use crate::session::Sessions;
use crate::store;
use crate::store::edit::Edit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use shared::ids::Millis;

const DAY_MS: Millis = 24 * 3_600_000;
const TOKEN_DAYS_MAX: i64 = 3_650;
const NAME_CHARS_MAX: usize = 64;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/account/", Right::View, show)
        .post("/account/password/", Right::View, password)
        .post("/account/session/", Right::View, end_sessions)
        .post("/account/token/", Right::View, add_token)
        .post("/account/token/revoke/", Right::View, revoke_token)
}

fn edit(page: &Page, viewer: &Viewer) -> Edit {
    let at = page.app.clock.wall_ms();
    Edit::new(viewer.id, viewer.address.as_str(), at)
}

/// `token`: a new one, shown this once.
async fn render(page: &Page, form: &Form, token: Option<&str>) -> Result {
    let viewer = page.viewer()?;
    let sessions = page.app.sessions.of_user(viewer.id).await?;
    let own = match &viewer.means {
        Means::Session(id) => Sessions::handle(id),
        Means::Token => String::new(),
    };
    let tokens = store::token::of_user(&page.app.db, viewer.id).await?;
    let rights: Vec<(i64, String)> =
        viewer.rights.iter().map(|(project, rights)| (project.0, rights.words())).collect();
    let html = page.render(
        "account.html",
        context! {
            form => form.value(&[]), token,
            sessions => Serde(sessions), own, tokens => Serde(tokens), rights => Serde(rights),
        },
    )?;
    let status =
        if form.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, html).into_response())
}

async fn show(page: Page) -> Result {
    render(&page, &Form::default(), None).await
}

/// The old one is asked for, throttled like a login; all other sessions end.
async fn password(page: Page, mut form: Form) -> Result {
    let app = page.app.clone();
    let viewer = page.viewer()?.clone();
    let keys = [format!("password of {}", viewer.id)];
    let now = app.clock.wall_ms();
    let (old, new) = (form.raw("old").to_owned(), form.raw("new").to_owned());
    if app.throttle.begin(&keys, now).await?.is_some() {
        form.wrong("old", "too many wrong passwords: try again in some minutes");
    } else if check_password(&app, &viewer.name, old).await? == Some(viewer.id) {
        app.throttle.succeeded(&keys, now).await?;
    } else {
        form.wrong("old", "this is not your password");
    }
    if let Some(why) = weak(&new) {
        form.wrong("new", why);
    }
    if new != form.raw("again") {
        form.wrong("again", "the two new passwords are not the same");
    }
    // What was typed is not sent back: these are passwords.
    for name in ["old", "new", "again"] {
        form.set(name, "");
    }
    if !form.errors.is_empty() {
        return render(&page, &form, None).await;
    }
    let hash = hash_password(&app, new).await?;
    store::user::set_password(&app.db, viewer.id, &hash, &edit(&page, &viewer)).await?;
    for session in app.sessions.of_user(viewer.id).await? {
        let is_own =
            matches!(&viewer.means, Means::Session(id) if Sessions::handle(id) == session.handle);
        if !is_own {
            app.sessions.revoke(viewer.id, Some(&session.handle)).await?;
        }
    }
    Ok(Redirect::to("/account/").into_response())
}

async fn end_sessions(page: Page, form: Form) -> Result {
    let viewer = page.viewer()?;
    let handle = form.text("handle");
    if handle.is_empty() {
        return Err(Error::bad_request("which session is to end?"));
    }
    page.app.sessions.revoke(viewer.id, Some(handle)).await?;
    Ok(Redirect::to("/account/").into_response())
}

async fn add_token(page: Page, mut form: Form) -> Result {
    let viewer = page.viewer()?;
    if viewer.means == Means::Token {
        return Err(Error::forbidden("a token makes no tokens: log in"));
    }
    let name = form.text("name").to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        form.wrong("name", "say what it is for, in 1 to 64 characters");
    }
    let days: i64 = form.parse("days", 365, "a whole number");
    if !(1..=TOKEN_DAYS_MAX).contains(&days) {
        form.wrong("days", "1 to 3650 days");
    }
    if !form.errors.is_empty() {
        return render(&page, &form, None).await;
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(anyhow::Error::from)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let edit = edit(&page, viewer);
    let expires = edit.at + days * DAY_MS;
    store::token::create(&page.app.db, viewer.id, (&name, &digest(&token)), expires, &edit).await?;
    // Answered, not redirected to: it is shown this once and kept nowhere.
    let mut response = render(&page, &Form::default(), Some(&token)).await?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn revoke_token(page: Page, form: Form) -> Result {
    let viewer = page.viewer()?;
    let id = form.text("id").parse().map_err(|_| Error::bad_request("which token?"))?;
    store::token::revoke(&page.app.db, viewer.id, id, &edit(&page, viewer)).await?;
    Ok(Redirect::to("/account/").into_response())
}
