//! `/api/v1/calendars`: as other definitions; and what an `.ics` file would make of one.

use super::*;

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/api/v1/calendars", Right::View, list)
        .post("/api/v1/calendars", Right::Write, post)
        .get("/api/v1/calendars/{id}", Right::View, show)
        .put("/api/v1/calendars/{id}", Right::Write, put)
        .delete("/api/v1/calendars/{id}", Right::Write, delete)
}

async fn list(State(app): State<App>, viewer: Viewer, Query(asked): Query<Asked>) -> Result {
    let catalog = app.catalog().await?;
    let seen = catalog.calendars.values().filter(|it| viewer.sees(it.project));
    let items = seen.map(|it| item(it.id.0, it.project, &it.name, it.version, &it.spec));
    Ok(page(items.collect(), &asked))
}

async fn one(app: &App, viewer: &Viewer, id: CalendarId) -> Result<Item, Error> {
    let catalog = app.catalog().await?;
    let it = save::calendar_of(&catalog, id, viewer)?;
    Ok(item(it.id.0, it.project, &it.name, it.version, &it.spec))
}

async fn show(State(app): State<App>, viewer: Viewer, Path(id): Path<i64>) -> Result {
    Ok(Json(one(&app, &viewer, CalendarId(id)).await?).into_response())
}

async fn post(State(app): State<App>, viewer: Viewer, Json(body): Json<Value>) -> Result {
    let (draft, project, reason) = draft(read(body)?, true)?;
    let project = project.unwrap_or(ProjectId(1));
    let id = saver(&app, &viewer, reason).calendar(None, project, &draft).await?;
    Ok(created("calendars", one(&app, &viewer, id).await?))
}

async fn put(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Json(body): Json<Value>,
) -> Result {
    let (draft, _, reason) = draft(read(body)?, false)?;
    let id = CalendarId(id);
    let saved = saver(&app, &viewer, reason).calendar(Some(id), ProjectId(0), &draft).await;
    told(&app, &viewer, Of::Calendar(id), saved).await?;
    Ok(Json(one(&app, &viewer, id).await?).into_response())
}

async fn delete(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<i64>,
    Query(from): Query<From>,
) -> Result {
    saver(&app, &viewer, from.reason).delete_calendar(CalendarId(id), from.version).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
