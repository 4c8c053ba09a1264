//! The file that a job runs, and the hosts that may have it.

use crate::app::App;
use crate::engine::catalog::{Catalog, Host, Interface, Job};
use crate::store::host::Status;
use crate::web::auth::Viewer;
use crate::web::job::context as context_of;
use shared::etl::browse::At;
use shared::ids::HostId;
use shared::kind::{self, Ran};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What it runs; none: it is of another kind, or no host can say.
pub(super) fn ran(app: &App, catalog: &Catalog, interface: &Interface, job: &Job) -> Option<Ran> {
    let kind = kind::find(&job.spec.kind).filter(|kind| kind.runs_file())?;
    let context = context_of(app, catalog, interface, job);
    let mut ran = kind.file(&job.spec.fields, &context).ok()??;
    match &mut ran.at {
        At::Repository { environment, .. } | At::Project { environment, .. } => {
            environment.clone_from(&job.spec.environment);
        }
        At::Path(_) => {}
    }
    Some(ran)
}

/// What is known of hosts.
pub(super) struct Hosts<'a> {
    pub(super) all: &'a BTreeMap<HostId, Arc<Host>>,
    pub(super) statuses: &'a BTreeMap<i64, Status>,
}

impl Hosts<'_> {
    /// Those that the job may run on and that the viewer sees; those first that answer and have what it
    /// asks for.
    pub(super) fn of(&self, viewer: &Viewer, interface: &Interface, job: &Job) -> Vec<Arc<Host>> {
        let place = &job.spec.place;
        let fits = |host: &&Arc<Host>| {
            viewer.sees(host.project)
                && (host.project.0 == 0 || host.project == interface.project)
                && (place.hosts.is_empty() || place.hosts.contains(&host.id))
                && place.labels.iter().all(|label| host.spec.labels.contains(label))
        };
        let wanted = &job.spec.environment;
        let rank = |host: &Arc<Host>| {
            let status = self.statuses.get(&host.id.0);
            let lives = status.is_some_and(|status| status.state == "live");
            let named = status.and_then(|status| status.facts.as_ref());
            let has = named.is_some_and(|facts| facts.named.get(wanted).is_some_and(|it| it.whole));
            (!lives, !(wanted.is_empty() || has), host.id)
        };
        let mut hosts: Vec<Arc<Host>> = self.all.values().filter(fits).cloned().collect();
        hosts.sort_by_key(rank);
        hosts
    }
}
