//! Copies, for programs; people copy by a form that is filled in already.

use super::{About, Content, Known};
use crate::app::App;
use crate::store::version::How;
use crate::web::auth::Viewer;
use crate::web::error::{Error, Result};
use crate::web::save::{Draft, Saver};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::InterfaceId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    /// Of a job or a dispatch: into another one than its own.
    #[serde(default)]
    interface: Option<InterfaceId>,
    #[serde(default)]
    reason: String,
}

pub(super) async fn api(
    State(app): State<App>,
    viewer: Viewer,
    about: About,
    Json(body): Json<Value>,
) -> Result {
    let Body { name, interface, reason } = super::understood(body)?;
    let known = Known::find(&app, &viewer, about).await?;
    let saver = Saver::new(&app, &viewer).because(reason);
    let from = None;
    let (path, id) = match &known.content {
        Content::Interface(it) => {
            let draft = Draft { name: name.clone(), spec: it.spec.clone(), from };
            ("interfaces", saver.copy_interface(it.id, &draft).await?.0)
        }
        Content::Job(owner, job) => {
            let saver = saver.by(How::JobCopied(job.id));
            let mut spec = job.spec.clone();
            let into = interface.unwrap_or(owner.id);
            if into != owner.id {
                // What it comes after is there.
                spec.after.clear();
            }
            let draft = Draft { name: name.clone(), spec, from };
            ("jobs", saver.job(None, into, &draft).await?.0)
        }
        Content::Dispatch(it) => {
            let saver = saver.by(How::Copied(it.id.0));
            let mut spec = it.spec.clone();
            spec.interface = interface.unwrap_or(spec.interface);
            let draft = Draft { name: name.clone(), spec, from };
            ("dispatches", saver.dispatch(None, &draft).await?.0)
        }
        Content::Calendar(it) => {
            let saver = saver.by(How::Copied(it.id.0));
            let draft = Draft { name: name.clone(), spec: it.spec.as_ref().clone(), from };
            ("calendars", saver.calendar(None, it.project, &draft).await?.0)
        }
        // A machine is invited, and a project made: neither is a copy of another one.
        Content::Host(_) | Content::Project(_) => return Err(Error::not_found("such page")),
    };
    let place = format!("/api/v1/{path}/{id}");
    let made = json!({ "id": id, "name": name, "copy_of": known.title() });
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(made)).into_response())
}
