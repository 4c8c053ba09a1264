//! Saving interfaces.

use super::*;
use crate::engine::catalog::Interface;
use std::sync::Arc;

impl Saver {
    /// Whether it might be saved; the project that it is in, or will be.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_interface(
        &self,
        id: Option<InterfaceId>,
        project: ProjectId,
        draft: &Draft<InterfaceSpec>,
    ) -> Result<ProjectId, Refused> {
        let catalog = self.app.catalog().await?;
        let project = match id {
            Some(id) => interface_of(&catalog, id, &self.viewer)?.project,
            None => project,
        };
        self.viewer.must(Right::Write, project)?;
        is_there(&catalog, project)?;
        let Draft { name, spec, .. } = draft;
        let check = InterfaceDraft { id, project, name, spec };
        none_wrong(check_interface(&catalog, &check))?;
        Ok(project)
    }

    /// # Errors
    /// [`Refused`].
    pub async fn interface(
        &self,
        id: Option<InterfaceId>,
        project: ProjectId,
        draft: &Draft<InterfaceSpec>,
    ) -> Result<InterfaceId, Refused> {
        let project = self.judge_interface(id, project, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::interface::Put { id, project, name, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::interface::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = InterfaceId(sequence::next(&self.app.db, "interface").await?);
                self.commit(store::interface::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`]; something uses it.
    pub async fn delete_interface(&self, id: InterfaceId, from: i64) -> Result<(), Refused> {
        let catalog = self.app.catalog().await?;
        let interface = interface_of(&catalog, id, &self.viewer)?;
        self.viewer.must(Right::Write, interface.project)?;
        unused(uses_of_interface(&catalog, id))?;
        let what = (interface.project, interface.name.as_str());
        self.commit(store::interface::delete(id, from, what, &self.edit()?)).await
    }
}

/// An interface that the viewer may see.
///
/// # Errors
/// There is none.
pub fn interface_of(
    catalog: &Catalog,
    id: InterfaceId,
    viewer: &Viewer,
) -> Result<Arc<Interface>, Error> {
    let found = catalog.interfaces.get(&id).filter(|interface| viewer.sees(interface.project));
    found.cloned().ok_or_else(|| Error::not_found(format!("interface {id}")))
}
