//! Saving dispatches.

use super::*;

impl Saver {
    /// Whether it might be saved; the project that it is in.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_dispatch(
        &self,
        id: Option<DispatchId>,
        draft: &Draft<DispatchSpec>,
    ) -> Result<ProjectId, Refused> {
        let catalog = self.app.catalog().await?;
        let Draft { name, spec, .. } = draft;
        let Some(target) = catalog.interfaces.get(&spec.interface) else {
            let why = "there is no such interface: choose one of the list";
            return Err(Refused::Invalid(vec![FieldError::new("interface", why)]));
        };
        let project = target.project;
        let known = id.and_then(|id| catalog.dispatches.get(&id));
        if let Some(id) = id {
            let known = known.ok_or_else(|| Error::not_found(format!("dispatch {id}")))?;
            self.viewer.must(Right::Schedule, known.project)?;
        }
        self.viewer.must(Right::Schedule, project)?;
        let mut errors = check_dispatch(&catalog, &DispatchDraft { id, project, name, spec });
        let least = self.app.config.dispatch.min_interval_s;
        errors.extend(too_often(known.map(|known| &known.spec), spec, least));
        none_wrong(errors)?;
        Ok(project)
    }

    /// # Errors
    /// [`Refused`].
    pub async fn dispatch(
        &self,
        id: Option<DispatchId>,
        draft: &Draft<DispatchSpec>,
    ) -> Result<DispatchId, Refused> {
        let project = self.judge_dispatch(id, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::dispatch::Put { id, project, name, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::dispatch::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = DispatchId(sequence::next(&self.app.db, "dispatch").await?);
                self.commit(store::dispatch::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`].
    pub async fn delete_dispatch(&self, id: DispatchId, from: i64) -> Result<(), Refused> {
        let catalog = self.app.catalog().await?;
        let dispatch = catalog.dispatches.get(&id).filter(|d| self.viewer.sees(d.project));
        let dispatch = dispatch.ok_or_else(|| Error::not_found(format!("dispatch {id}")))?;
        self.viewer.must(Right::Schedule, dispatch.project)?;
        let what = (dispatch.project, dispatch.name.as_str());
        self.commit(store::dispatch::delete(id, from, what, &self.edit()?)).await
    }
}
