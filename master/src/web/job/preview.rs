//! The exact command that a host would start for a job: composed by the kind, as an attempt's is.

use super::super::Page;
use super::super::error::Result;
use super::super::form::Form;
use super::edit;
use crate::app::App;
use crate::engine::catalog::{Catalog, Interface, Job};
use crate::engine::params;
use chrono_tz::Tz;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use shared::etl::Family;
use shared::ids::*;
use shared::kind;
use shared::period::Cut;

/// What is shown of a command.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Command {
    /// Quoted as a shell would want it; or empty when there is an error.
    text: String,
    env: Vec<(String, String)>,
    dir: String,
    /// Whose variables come before its own.
    environment: String,
    etl: Option<Beside>,
    period: String,
    /// Path and what is wrong there.
    error: Option<(String, String)>,
}

/// What the host does beside that command, of Kettle and Hop.
#[derive(Clone, Debug, Serialize)]
struct Beside {
    kettle: bool,
    own_home: bool,
    warm: bool,
}

/// As an attempt for the period that would run now would have it.
pub(in crate::web) fn context(
    app: &App,
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> kind::Context {
    let utc = |_| Cut::natural(interface.spec.granularity, Tz::UTC);
    let cut = catalog.cut(&interface.spec).unwrap_or_else(utc);
    let holding = cut.containing(app.clock.wall_ms());
    let period = cut.offset(holding, -1).unwrap_or(holding);
    let project = catalog.projects.get(&interface.project).map(|project| project.name.clone());
    let run = RunId::of(interface.id, period, 1);
    kind::Context {
        project: project.unwrap_or_default(),
        interface: interface.name.clone(),
        job: job.name.clone(),
        period,
        execution: ExecutionId(0),
        attempt: AttemptId { run, job: job.id, number: 1, reign: 0 },
        unseen: Vec::new(),
        stopped: false,
        params: params::merged(catalog, interface, job, &std::collections::BTreeMap::new()),
    }
}

/// For the period that would run now: the one before this one.
pub(super) async fn command(
    page: &Page,
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> Command {
    let context = context(&page.app, catalog, interface, job);
    let period = context.period;
    match kind::work(&job.spec.kind, &job.spec.fields, &context) {
        Ok(work) => Command {
            text: kind::preview(&work),
            env: kind::shown_env(&work)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            environment: job.spec.environment.clone(),
            etl: work.etl.as_deref().map(|etl| Beside {
                kettle: etl.engine.family() == Family::Kettle,
                own_home: etl.own_home,
                warm: etl.warm.is_some(),
            }),
            dir: work.dir,
            period: period.to_string(),
            error: None,
        },
        Err(error) => Command {
            period: period.to_string(),
            error: Some((error.path, error.message)),
            ..Command::default()
        },
    }
}

/// Beside the form, while it is typed.
pub(super) async fn part(page: Page, mut form: Form) -> Result {
    let catalog = page.app.catalog().await?;
    let draft = edit::read(&mut form);
    let interface = form.text("interface").parse().map(InterfaceId).unwrap_or_default();
    let command = match catalog.interfaces.get(&interface) {
        Some(interface) => {
            page.viewer()?.must(super::Right::View, interface.project)?;
            let id = form.text("id").parse().map(JobId).unwrap_or_default();
            let job = Job { id, name: draft.name.clone(), spec: draft.spec };
            Some(command(&page, &catalog, interface, &job).await)
        }
        None => None,
    };
    page.render("job/preview.html", context! { command => Serde(command) })
}
