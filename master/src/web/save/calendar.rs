//! Saving calendars.

use super::*;
use crate::engine::catalog::Calendar;
use shared::calendar::CalendarSpec;
use std::sync::Arc;

impl Saver {
    /// Whether it might be saved; the project that it is in, or will be.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_calendar(
        &self,
        id: Option<CalendarId>,
        project: ProjectId,
        draft: &Draft<CalendarSpec>,
    ) -> Result<ProjectId, Refused> {
        let catalog = self.app.catalog().await?;
        let project = match id {
            Some(id) => calendar_of(&catalog, id, &self.viewer)?.project,
            None => project,
        };
        self.viewer.must(Right::Write, project)?;
        is_there(&catalog, project)?;
        let Draft { name, spec, .. } = draft;
        none_wrong(check_calendar(&catalog, &CalendarDraft { id, project, name, spec }))?;
        Ok(project)
    }

    /// # Errors
    /// [`Refused`].
    pub async fn calendar(
        &self,
        id: Option<CalendarId>,
        project: ProjectId,
        draft: &Draft<CalendarSpec>,
    ) -> Result<CalendarId, Refused> {
        let project = self.judge_calendar(id, project, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::calendar::Put { id, project, name, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::calendar::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = CalendarId(sequence::next(&self.app.db, "calendar").await?);
                self.commit(store::calendar::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`]; something uses it.
    pub async fn delete_calendar(&self, id: CalendarId, from: i64) -> Result<(), Refused> {
        for _ in 0..TRIES {
            let catalog = self.app.catalog().await?;
            let calendar = calendar_of(&catalog, id, &self.viewer)?;
            self.viewer.must(Right::Write, calendar.project)?;
            unused(uses_of_calendar(&catalog, id))?;
            if calendar.version != from {
                break;
            }
            let what = (calendar.project, calendar.name.as_str());
            let from = (from, catalog.revision);
            // Somebody has edited something, perhaps: look again whether it is used now.
            match self.commit(store::calendar::delete(id, from, what, &self.edit()?)).await {
                Err(Refused::Stale) => {}
                other => return other,
            }
        }
        Err(Refused::Stale)
    }
}

/// A calendar that the viewer may see.
///
/// # Errors
/// There is none.
pub fn calendar_of(
    catalog: &Catalog,
    id: CalendarId,
    viewer: &Viewer,
) -> Result<Arc<Calendar>, Error> {
    let found = catalog.calendars.get(&id).filter(|calendar| viewer.sees(calendar.project));
    found.cloned().ok_or_else(|| Error::not_found(format!("calendar {id}")))
}
