//! What an `.ics` file would make of a calendar: looked at first, and saved as every other change.

use super::super::auth::Viewer;
use super::super::error::{Error, Result};
use super::super::{Page, save, zone};
use super::{edit, ics};
use crate::app::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use chrono::Datelike;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::calendar::CalendarSpec;
use shared::ids::*;
use shared::kind::FieldError;

/// Rules that come again each year are counted out so far.
const YEARS_BACK: i32 = 1;
const YEARS_AHEAD: i32 = 10;

/// As JSON, that escapes line ends.
const BODY_MAX: usize = 4 * ics::BYTES_MAX;

/// A file is larger than what forms send.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Error> {
    let body = axum::body::to_bytes(request.into_body(), BODY_MAX).await;
    let body = body.map_err(|_| {
        let most = ics::BYTES_MAX;
        Error::too_large(format!("the file did not come whole, or has more than {most} bytes"))
    })?;
    let mut json = serde_json::Deserializer::from_slice(&body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Error::invalid(vec![FieldError::new(error.path().to_string(), error.inner().to_string())])
    })
}

fn review(
    app: &App,
    viewer: &Viewer,
    before: &CalendarSpec,
    text: &str,
) -> Result<ics::Review, Vec<FieldError>> {
    let year = zone::day(app.clock.wall_ms(), viewer.zone).year();
    let found = ics::read(text, (year - YEARS_BACK, year + YEARS_AHEAD));
    let wrong = |error: ics::BadIcs| vec![FieldError::new("ics", error.to_string())];
    Ok(ics::merge(before, found.map_err(wrong)?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    ics: String,
    /// The days as they stand in the form.
    days: String,
}

/// Beside the form: what would come of it.
pub(super) async fn part(page: Page, request: Request) -> Result {
    let typed: Typed = read(request).await?;
    let mut before = CalendarSpec::default();
    let reviewed = match edit::read_days(&typed.days, &mut before) {
        Ok(()) => review(&page.app, page.viewer()?, &before, &typed.ics),
        Err(wrong) => Err(wrong),
    };
    let (review, wrong) = match reviewed {
        Ok(review) => (Some(review), Vec::new()),
        Err(wrong) => (None, wrong),
    };
    let days = review.as_ref().map(|review| edit::write_days(&review.spec));
    page.render(
        "calendar/review.html",
        context! { review => Serde(review), wrong => Serde(wrong), days },
    )
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    ics: String,
    /// The calendar that it is to go into; none: a new one.
    #[serde(default)]
    calendar: Option<CalendarId>,
}

/// `POST /api/v1/calendars/ics {"ics": …, "calendar": …}`: what would be new and changed, what was left
/// out, and the spec to save. Nothing is saved by it.
pub(super) async fn api(State(app): State<App>, viewer: Viewer, request: Request) -> Result {
    let sent: Sent = read(request).await?;
    let catalog = app.catalog().await?;
    let before = match sent.calendar {
        Some(id) => save::calendar_of(&catalog, id, &viewer)?.spec.as_ref().clone(),
        None => CalendarSpec::default(),
    };
    let review = review(&app, &viewer, &before, &sent.ics).map_err(Error::invalid)?;
    Ok(Json(review).into_response())
}
