//! The way back: a new version that is as an earlier one was. Nothing is ever erased.
//!
//! It is planned by what it does: the difference from now, who depends on it, and what of it does not
//! fit any more.

use super::diff::Diff;
use super::show::{self, Made};
use super::{About, Content, Known, whole};
use crate::app::App;
use crate::store;
use crate::store::version::{How, Of};
use crate::web::Page;
use crate::web::auth::Viewer;
use crate::web::error::{Error, Result};
use crate::web::form::Form;
use crate::web::save::{Draft, Refused, Saver};
use crate::web::uses;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::ids::InterfaceId;
use shared::kind::FieldError;

/// Users that are named; the rest is counted.
const USES_MAX: usize = 20;

/// What rolling back would do.
struct Plan {
    known: Known,
    wanted: Content,
    /// From now to then.
    diff: Diff,
    uses: Vec<String>,
    /// Runs that go on with the version they began with.
    live: i64,
    errors: Vec<FieldError>,
}

impl Plan {
    async fn of(app: &App, viewer: &Viewer, about: About, to: i64) -> Result<Plan, Error> {
        let known = Known::find(app, viewer, about).await?;
        viewer.must(known.right(), known.project)?;
        let wanted = known.at(app, to).await?;
        let diff = known.diff(&known.content, &wanted);
        let (uses, interface) = match (&known.of, &known.content) {
            (Of::Interface(id), _) => (uses::uses_of_interface(&known.catalog, *id), *id),
            (Of::Job(id), Content::Job(owner, _)) => {
                (uses::uses_of_job(&known.catalog, *id), owner.id)
            }
            (Of::Calendar(id), _) => (uses::uses_of_calendar(&known.catalog, *id), InterfaceId(0)),
            (Of::Host(id), _) => (uses::uses_of_host(&known.catalog, *id), InterfaceId(0)),
            // What a dispatch has started goes on without it.
            _ => (Vec::new(), InterfaceId(0)),
        };
        let live = store::interface::live_runs(&app.db, interface).await?;
        let saver = Saver::new(app, viewer);
        let errors = match judged(&saver, &known, &wanted).await {
            Ok(()) => Vec::new(),
            Err(Refused::Invalid(errors)) => errors,
            Err(other) => return Err(other.into()),
        };
        Ok(Plan { known, wanted, diff, uses, live, errors })
    }

    fn json(&self, to: i64) -> Value {
        json!({
            "name": self.known.name, "from": self.known.version, "to": to, "diff": self.diff,
            "uses": self.uses, "live_runs": self.live,
        })
    }
}

async fn judged(saver: &Saver, known: &Known, wanted: &Content) -> Result<(), Refused> {
    let from = Some(known.version);
    match (known.of, wanted) {
        (Of::Interface(_), Content::Interface(wanted)) => {
            match whole::judge(&known.catalog, wanted) {
                errors if errors.is_empty() => Ok(()),
                errors => Err(Refused::Invalid(errors)),
            }
        }
        (Of::Job(id), Content::Job(owner, job)) => {
            let draft = Draft { name: job.name.clone(), spec: job.spec.clone(), from };
            saver.judge_job(Some(id), owner.id, &draft).await.map(drop)
        }
        (Of::Dispatch(id), Content::Dispatch(it)) => {
            let draft = Draft { name: it.name.clone(), spec: it.spec.clone(), from };
            saver.judge_dispatch(Some(id), &draft).await.map(drop)
        }
        (Of::Calendar(id), Content::Calendar(it)) => {
            let draft = Draft { name: it.name.clone(), spec: it.spec.as_ref().clone(), from };
            saver.judge_calendar(Some(id), it.project, &draft).await.map(drop)
        }
        (Of::Host(id), Content::Host(it)) => {
            let draft = Draft { name: it.name.clone(), spec: it.spec.clone(), from };
            saver.judge_host(Some(id), it.project, &draft).await.map(drop)
        }
        _ => Ok(()),
    }
}

fn how(About(of): About, to: i64) -> How {
    match of {
        Of::Job(job) => How::JobRolledBack(job, to),
        _ => How::RolledBack(to),
    }
}

async fn roll_back(saver: &Saver, plan: &Plan, from: i64) -> Result<(), Refused> {
    if from != plan.known.version {
        return Err(Refused::Stale);
    }
    if plan.diff.is_empty() {
        return Err(
            Error::conflict("it is as that version was: there is nothing to roll back").into()
        );
    }
    match (plan.known.of, &plan.wanted) {
        (Of::Interface(id), Content::Interface(wanted)) => {
            saver.roll_back_interface(id, from, wanted).await
        }
        (Of::Job(id), Content::Job(owner, job)) => {
            let draft = Draft { name: job.name.clone(), spec: job.spec.clone(), from: Some(from) };
            saver.job(Some(id), owner.id, &draft).await.map(drop)
        }
        (Of::Dispatch(id), Content::Dispatch(it)) => {
            let draft = Draft { name: it.name.clone(), spec: it.spec.clone(), from: Some(from) };
            saver.dispatch(Some(id), &draft).await.map(drop)
        }
        (Of::Calendar(id), Content::Calendar(it)) => {
            let (name, spec) = (it.name.clone(), it.spec.as_ref().clone());
            let draft = Draft { name, spec, from: Some(from) };
            saver.calendar(Some(id), it.project, &draft).await.map(drop)
        }
        (Of::Host(id), Content::Host(it)) => {
            let draft = Draft { name: it.name.clone(), spec: it.spec.clone(), from: Some(from) };
            saver.host(Some(id), it.project, &draft).await.map(drop)
        }
        (Of::Project(id), Content::Project(it)) => saver.run_as(id, from, &it.run_as).await,
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct To {
    version: i64,
}

/// What the page says beside the plan.
#[derive(Default)]
struct Beside {
    form: Form,
    stale: bool,
}

async fn render(page: &Page, plan: &Plan, to: i64, beside: Beside) -> Result {
    let Plan { known, diff, live, errors, .. } = plan;
    let mut form = beside.form;
    form.errors.extend(errors.iter().cloned());
    let status = match (beside.stale, form.errors.is_empty()) {
        (true, _) => StatusCode::CONFLICT,
        (false, true) => StatusCode::OK,
        (false, false) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let shown: Vec<&String> = plan.uses.iter().take(USES_MAX).collect();
    let html = page.render(
        "version/rollback.html",
        context! {
            name => known.name.as_str(), href => known.href(), current => known.version,
            made => Serde(Made::find(&page.app, known, to).await?),
            now => Serde(Made::find(&page.app, known, known.version).await?),
            is_interface => matches!(known.of, Of::Interface(_)),
            diff => show::shown(diff), uses => Serde(shown), uses_total => plan.uses.len(),
            live, stale => beside.stale, possible => errors.is_empty() && !diff.is_empty(),
            form => form.value(&[]),
        },
    )?;
    Ok((status, html).into_response())
}

pub(super) async fn page(page: Page, about: About, Path(to): Path<To>) -> Result {
    let plan = Plan::of(&page.app, page.viewer()?, about, to.version).await?;
    let mut answer = render(&page, &plan, to.version, Beside::default()).await?;
    // It was only asked for: the page is right, whatever it says.
    *answer.status_mut() = StatusCode::OK;
    Ok(answer)
}

pub(super) async fn post(page: Page, about: About, Path(to): Path<To>, mut form: Form) -> Result {
    let plan = Plan::of(&page.app, page.viewer()?, about, to.version).await?;
    let from = form.text("version").parse().unwrap_or_default();
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let saver = saver.by(how(about, to.version));
    match roll_back(&saver, &plan, from).await {
        Ok(()) => Ok(Redirect::to(&format!("{}?tab=versions", plan.known.href())).into_response()),
        Err(Refused::Invalid(errors)) => {
            // Those of the plan are shown already.
            form.errors = errors.into_iter().filter(|one| !plan.errors.contains(one)).collect();
            render(&page, &plan, to.version, Beside { form, stale: false }).await
        }
        Err(Refused::Stale) => {
            let plan = Plan::of(&page.app, page.viewer()?, about, to.version).await?;
            render(&page, &plan, to.version, Beside { form, stale: true }).await
        }
        Err(Refused::Error(error)) => Err(error),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// To be as this one was.
    version: i64,
    /// The version that it was decided about; the newest when it is not said.
    #[serde(default)]
    from: Option<i64>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn api(
    State(app): State<App>,
    viewer: Viewer,
    about: About,
    Json(body): Json<Value>,
) -> Result<Json<Value>> {
    let Body { version, from, reason, dry_run } = super::understood(body)?;
    let plan = Plan::of(&app, &viewer, about, version).await?;
    if !plan.errors.is_empty() {
        return Err(Error::invalid(plan.errors));
    }
    let mut shown = plan.json(version);
    shown["dry_run"] = dry_run.into();
    if !dry_run {
        let saver = Saver::new(&app, &viewer).because(reason).by(how(about, version));
        let done = roll_back(&saver, &plan, from.unwrap_or(plan.known.version)).await;
        if let Err(refused) = done {
            return Err(super::told(&app, &viewer, about.0, refused).await);
        }
        shown["version"] = Known::find(&app, &viewer, about).await?.version.into();
    }
    Ok(Json(shown))
}
