//! What was reviewed becomes documents, as people would write them, and is applied: all of it or nothing.

use super::super::stored;
use super::{Beside, host_of, render};
use crate::engine::catalog::{Catalog, Host};
use crate::web::Page;
use crate::web::api::apply;
use crate::web::api::apply::documents::{Apply, Document, What};
use crate::web::auth::Right;
use crate::web::error::{Error, Result};
use crate::web::form::{Form, FormRow};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde_json::{Map, Value, json};
use shared::ids::*;
use std::collections::BTreeMap;

/// Where a problem of `apply` is told to be.
const SOURCE: &str = "row ";

pub(super) async fn save(page: Page, mut form: Form) -> Result {
    let catalog = page.app.catalog().await?;
    let host = host_of(&page, &catalog, form.text("host").parse().unwrap_or_default())?;
    let project = page.viewer()?.place(Right::Write);
    let documents = documents(&mut form, &catalog, &host, project);
    if form.errors.is_empty() && documents.is_empty() {
        form.wrong("rows", "choose at least one job");
    }
    if !form.errors.is_empty() {
        return render(&page, &host, &form, Beside::default()).await;
    }
    let reason = match form.text("reason") {
        "" => format!("imported from {}:{}", host.name, form.text("path")),
        reason => reason.to_owned(),
    };
    let reason = reason.chars().take(400).collect();
    let asked = Apply { dry_run: false, reason, documents };
    match apply::put(&page.app, page.viewer()?, asked).await {
        Ok(applied) => {
            let interfaces = applied.changes.iter().filter_map(|change| change.interface_id);
            let mut interfaces: Vec<InterfaceId> = interfaces.collect();
            interfaces.dedup();
            let address = match interfaces.as_slice() {
                [one] => format!("/interface/{one}/"),
                _ => "/interface/".to_owned(),
            };
            Ok(Redirect::to(&address).into_response())
        }
        Err(error) => {
            beside_rows(&mut form, error)?;
            render(&page, &host, &form, Beside::default()).await
        }
    }
}

/// What is wrong in a document stands beside its row; what nobody may or can do now, above them all: what
/// was typed is not lost.
///
/// # Errors
/// It is of no field: told as it is.
fn beside_rows(form: &mut Form, error: Error) -> Result<(), Error> {
    let problem = error.problem();
    if [StatusCode::FORBIDDEN, StatusCode::CONFLICT].iter().any(|it| it.as_u16() == problem.status)
    {
        form.wrong("rows", problem.detail.clone());
        return Ok(());
    }
    if problem.status != StatusCode::UNPROCESSABLE_ENTITY.as_u16() || problem.errors.is_empty() {
        return Err(error);
    }
    for one in &problem.errors {
        let row = one.path.strip_prefix(SOURCE).and_then(|path| path.split_once(": "));
        let path = match row {
            Some((row, rest)) => {
                let field = rest.rsplit_once(": ").map_or(rest, |(_, field)| field);
                format!("rows[{row}].{field}")
            }
            None => "rows".to_owned(),
        };
        form.wrong(path, one.message.clone());
    }
    Ok(())
}

fn documents(form: &mut Form, catalog: &Catalog, host: &Host, project: ProjectId) -> Vec<Document> {
    let name = catalog.projects.get(&project).map(|project| project.name.clone());
    let common = Common {
        project: name,
        zone: form.text("zone").to_owned(),
        granularity: form.text("granularity").to_owned(),
        kettle: form.text("environment_kettle").to_owned(),
        hop: form.text("environment_hop").to_owned(),
        user: form.text("user").to_owned(),
        host: form.flag("only_here").then_some(host.id),
    };
    // Of a name: its id and its jobs, where it is there.
    let known: BTreeMap<&str, Vec<&str>> = catalog
        .interfaces
        .values()
        .filter(|interface| interface.project == project)
        .map(|it| (it.name.as_str(), it.jobs.iter().map(|job| job.name.as_str()).collect()))
        .collect();
    let mut documents = Vec::new();
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for (index, row) in form.rows("rows").iter().enumerate() {
        let cell = |name: &str| row.get(name).map_or("", |text| text.trim());
        if cell("take") != "on" {
            continue;
        }
        let (interface, name) = (cell("interface"), cell("name"));
        for (cell, text) in [("interface", interface), ("name", name)] {
            if text.is_empty() {
                form.wrong(format!("rows[{index}].{cell}"), "a name is required");
            }
        }
        let jobs = known.get(interface);
        if jobs.is_some_and(|jobs| jobs.contains(&name)) {
            let told = "there is a job of this name already: choose another one";
            form.wrong(format!("rows[{index}].name"), told);
        }
        if jobs.is_none() && made.insert(interface.to_owned(), index).is_none() {
            documents.push(common.interface(interface, index, form.text("path"), &host.name));
        }
        match common.job(row, index) {
            Ok(document) => documents.push(document),
            Err(why) => form.wrong(format!("rows[{index}].after"), why),
        }
    }
    documents
}

/// What all rows share.
struct Common {
    project: Option<String>,
    zone: String,
    granularity: String,
    kettle: String,
    hop: String,
    /// Of a repository.
    user: String,
    host: Option<HostId>,
}

impl Common {
    fn interface(&self, name: &str, index: usize, path: &str, host: &str) -> Document {
        let spec = json!({
            "description": format!("{host}:{path}"), "granularity": self.granularity,
            "zone": self.zone,
        });
        self.document(What::Interface, name, index, (None, spec))
    }

    /// # Errors
    /// What it comes after is not understood.
    fn job(&self, row: &FormRow, index: usize) -> Result<Document, String> {
        let cell = |name: &str| row.get(name).map_or("", |text| text.trim());
        let (file, form) = (cell("file"), cell("form"));
        let is_kettle = matches!(form, "job" | "transformation");
        // `${…}` in a path is Kettle's and Hop's, not ours.
        let mut fields = json!({ "file": file.replace("${", "$${") });
        if let Some((stored, _)) = stored::fields(file) {
            fields = stored;
            fields["user"] = self.user.as_str().into();
        }
        if is_kettle {
            fields["runs"] = form.into();
        }
        let after = after(cell("after"))?;
        // One way or the other: whichever comes.
        let any = after.iter().any(|edge| edge["expect"] == "failure") && after.len() > 1;
        let hosts: Vec<i64> = self.host.iter().map(|host| host.0).collect();
        let spec = json!({
            "kind": if is_kettle { "kettle" } else { "hop" },
            "fields": fields,
            "environment": if is_kettle { &self.kettle } else { &self.hop },
            "after": after,
            "join": if any { "any" } else { "all" },
            "place": { "hosts": hosts },
        });
        let interface = Some(cell("interface").to_owned());
        Ok(self.document(What::Job, cell("name"), index, (interface, spec)))
    }

    fn document(
        &self,
        kind: What,
        name: &str,
        index: usize,
        (interface, spec): (Option<String>, Value),
    ) -> Document {
        let spec: Map<String, Value> = match spec {
            Value::Object(spec) => spec,
            _ => Map::new(),
        };
        Document {
            source: format!("{SOURCE}{index}"),
            kind,
            name: name.to_owned(),
            project: self.project.clone(),
            interface,
            spec,
            jobs: None,
            dispatches: Vec::new(),
        }
    }
}

/// `extract, clean:failure` as edges.
///
/// # Errors
/// A word after a colon that is none.
fn after(text: &str) -> Result<Vec<Value>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let (name, expect) = name.rsplit_once(':').unwrap_or((name, "success"));
            match expect.trim() {
                expect @ ("success" | "failure" | "done") => {
                    Ok(json!({ "job": name.trim(), "expect": expect }))
                }
                _ => Err("after a colon, success, failure or done is expected".to_owned()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_comes_after_is_read() {
        assert_eq!(after("").unwrap(), Vec::<Value>::new());
        let read = after(" a, b:failure ,c : done").unwrap();
        let told: Vec<String> =
            read.iter().map(|it| format!("{} {}", it["job"], it["expect"])).collect();
        assert_eq!(told, ["\"a\" \"success\"", "\"b\" \"failure\"", "\"c\" \"done\""]);
        assert!(after("a:sometimes").is_err());
    }
}
