//! Saving exec hosts.

use super::*;

impl Saver {
    /// Whether it might be saved; the project that it is in, or will be, and its agent's name.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn judge_host(
        &self,
        id: Option<HostId>,
        project: ProjectId,
        draft: &Draft<HostSpec>,
    ) -> Result<(ProjectId, String), Refused> {
        let catalog = self.app.catalog().await?;
        let known = match id {
            Some(id) => {
                let known = catalog.hosts.get(&id);
                Some(known.ok_or_else(|| Error::not_found(format!("exec host {id}")))?)
            }
            None => None,
        };
        let project = known.map_or(project, |host| host.project);
        self.viewer.must(Right::Write, project)?;
        if project != ProjectId(0) {
            is_there(&catalog, project)?;
        }
        let Draft { name, spec, .. } = draft;
        none_wrong(check_host(&catalog, &HostDraft { id, project, name, spec }))?;
        Ok((project, known.map_or_else(String::new, |host| host.agent.clone())))
    }

    /// # Errors
    /// [`Refused`].
    pub async fn host(
        &self,
        id: Option<HostId>,
        project: ProjectId,
        draft: &Draft<HostSpec>,
    ) -> Result<HostId, Refused> {
        let (project, agent) = self.judge_host(id, project, draft).await?;
        let Draft { name, spec, .. } = draft;
        let edit = self.edit()?;
        let put = |id| store::host::Put { id, project, name, agent: &agent, spec };
        match (id, draft.from) {
            (Some(id), Some(from)) => {
                self.commit(store::host::update(&put(id), from, &edit)?).await?;
                Ok(id)
            }
            _ => {
                let id = HostId(sequence::next(&self.app.db, "host").await?);
                self.commit(store::host::insert(&put(id), &edit)?).await?;
                Ok(id)
            }
        }
    }

    /// # Errors
    /// [`Refused`]; a job names it, or it still runs something.
    pub async fn delete_host(&self, id: HostId, from: i64) -> Result<(), Refused> {
        let catalog = self.app.catalog().await?;
        let host = catalog.hosts.get(&id).filter(|host| self.viewer.sees(host.project));
        let host = host.ok_or_else(|| Error::not_found(format!("exec host {id}")))?;
        self.viewer.must(Right::Write, host.project)?;
        let mut uses = uses_of_host(&catalog, id);
        let running = store::host::running(&self.app.db, 100_000).await?;
        let count = running.iter().filter(|running| running.host == id).count();
        if count > 0 {
            uses.push(format!("{count} running jobs"));
        }
        // Only retiring it says that nothing is to be waited for.
        if store::host::is_in_doubt(&self.app.db, id).await? {
            uses.push("what it ran before the database was restored (retire it first)".into());
        }
        unused(uses)?;
        let what = (host.project, host.name.as_str());
        self.commit(store::host::delete(id, from, what, &self.edit()?)).await
    }
}
