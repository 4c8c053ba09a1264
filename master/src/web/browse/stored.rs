//! Repositories of Kettle in a database: a host is told to read one, and what a job of one says.

use super::ask::ask;
use super::{Asked, PATIENCE, address, context, hosts};
use crate::engine::catalog::Host;
use crate::store::edit::Edit;
use crate::web::auth::{Right, Viewer};
use crate::web::error::{Error, Result, form_urlencoded};
use crate::web::form::Form;
use crate::web::{Page, Routes};
use axum::response::{IntoResponse, Redirect};
use serde_json::{Value, json};
use shared::etl::browse::{Ask, Shown};
use shared::etl::drawn;
use shared::etl::stored::Stored;
use shared::spec::JobSpec;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/browse/read/", Right::Write, read)
}

/// It starts a JVM there, which has the password of the repository: who may change the host may do that. One that all
/// projects share is for whoever may edit jobs of any.
///
/// # Errors
/// Forbidden, with the right that is missing.
fn must_read(viewer: &Viewer, host: &Host) -> Result<(), Error> {
    match host.project.0 == 0 && viewer.may_somewhere(Right::Write) {
        true => Ok(()),
        false => viewer.must(Right::Write, host.project),
    }
}

/// Whether pages have a button for it.
pub(super) fn may_read(page: &Page, host: &Host) -> bool {
    page.viewer().is_ok_and(|viewer| must_read(viewer, host).is_ok())
}

/// The host has it read and does not wait for that; neither do we.
async fn read(page: Page, form: Form) -> Result {
    let viewer = page.viewer()?;
    let catalog = page.app.catalog().await?;
    let id = form.text("host").parse::<i64>().unwrap_or_default();
    let host = hosts(&page, &catalog)?.into_iter().find(|host| host.id.0 == id);
    let host = host.ok_or_else(|| Error::not_found(format!("exec host {id}")))?;
    must_read(viewer, &host)?;
    let (environment, name) = (form.text("environment"), form.text("repository"));
    let question = Ask::Read { environment: environment.to_owned(), name: name.to_owned() };
    let root = Stored::root(environment, name);
    let told = ask(&page.app, &host, question, PATIENCE).await;
    match told {
        Ok(Shown::Read(_)) => {
            tracing::info!("{} has exec host {} read {root}", viewer.name, host.name);
            let edit = Edit::new(viewer.id, viewer.address.clone(), page.app.clock.wall_ms());
            let note = edit.audit(host.project, "read", ("host", host.id.0), &root);
            page.app.db.commit(vec![note]).await?;
            // Back to where it was asked for.
            let at = Stored::parse(form.text("path")).map_or(root, |at| at.to_string());
            let address = match drawn::Form::of_file(&at) {
                Some(_) => address(host.id, &at),
                None => format!("/browse/?host={id}&path={}", form_urlencoded(&at)),
            };
            Ok(Redirect::to(&address).into_response())
        }
        Ok(_) => Err(Error::not_found(format!("exec host {id}"))),
        Err(problem) if problem.word == "reads" => {
            let root = form_urlencoded(&root);
            let address = format!("/browse/?host={id}&path={root}&busy=true");
            Ok(Redirect::to(&address).into_response())
        }
        Err(problem) => {
            let asked = Asked { host: id, path: root, ..Asked::default() };
            let (_, context) = context(&page, &asked, Some(problem.clone())).await?;
            let html = page.render("browse/folder.html", context)?;
            Ok((problem.status(&asked.path), html).into_response())
        }
    }
}

/// Fields of a job that runs it, and in which environment.
pub(in crate::web) fn fields(path: &str) -> Option<(Value, String)> {
    let at = Stored::parse(path)?;
    let (directory, object, form) = at.object()?;
    // `${…}` in a name is Kettle's, not ours.
    let plain = |text: &str| text.replace("${", "$${");
    let fields = json!({
        "runs": form.word(), "repository": plain(&at.name), "directory": plain(directory),
        "object": plain(object),
    });
    Some((fields, at.environment))
}

/// As far as its fields say it without being filled in.
pub(super) fn is_run_by(at: &Stored, spec: &JobSpec) -> bool {
    let Some((directory, object, form)) = at.object() else { return false };
    let field =
        |name: &str| spec.fields.get(name).and_then(Value::as_str).unwrap_or_default().trim();
    let same = spec.environment == at.environment
        && field("repository") == at.name
        && field("object") == object
        && field("runs") == form.word();
    let of_job =
        drawn::normal(if field("directory").is_empty() { "/" } else { field("directory") });
    same && field("file").is_empty() && of_job.as_deref() == Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_a_repository_is_found_by_its_fields() {
        let path = "repository://pdi-8/main/finance/load.kjb";
        let at = Stored::parse(path).unwrap();
        let (fields, environment) = fields(path).unwrap();
        assert_eq!(
            fields,
            json!({"runs": "job", "repository": "main", "directory": "/finance", "object": "load"})
        );
        let spec = |fields: &Value, environment: &str| -> JobSpec {
            let spec = json!({"kind": "kettle", "fields": fields, "environment": environment});
            serde_json::from_value(spec).unwrap()
        };
        assert!(is_run_by(&at, &spec(&fields, &environment)));
        assert!(!is_run_by(&at, &spec(&fields, "pdi-9")));
        for (name, value, is_run) in [
            ("directory", "finance/", false),
            ("directory", "/finance/", true),
            ("directory", "/", false),
            ("object", "other", false),
            ("runs", "transformation", false),
            ("file", "/x.kjb", false),
        ] {
            let mut fields = fields.clone();
            fields[name] = value.into();
            assert_eq!(is_run_by(&at, &spec(&fields, "pdi-8")), is_run, "{name} {value}");
        }
    }
}
