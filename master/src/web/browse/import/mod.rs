//! From a folder of a host to interfaces and jobs: proposed, reviewed in a table, and saved as `apply`
//! saves. Nothing that is there is changed, and nothing is saved that nobody has looked at.

mod propose;
mod save;

use super::ask::{Line, Problem};
use super::{Asked, hosts, stored};
use crate::engine::catalog::{Catalog, Host};
use crate::store;
use crate::web::auth::Right;
use crate::web::error::{Error, Result};
use crate::web::form::Form;
use crate::web::{Page, Routes, zone};
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use minijinja::context;
use minijinja::value::Serde;
use propose::{How, Proposal, Remark, propose};
use serde::{Deserialize, Serialize};
use shared::etl::browse::{Ask, At, File, Shown};
use shared::etl::drawn::Form as Kind;
use shared::etl::stored::{Copied, Stored};
use shared::ids::Millis;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What is gone through for one review.
const FILES_MAX: usize = 300;
const FOLDERS_MAX: usize = 200;
const DEPTH_MAX: usize = 8;
const LOOK_MAX_MS: Millis = 20_000;
/// Of one question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Files that cannot be read and are named.
const UNREAD_MAX: usize = 20;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/browse/import/", Right::Write, show).post(
        "/browse/import/",
        Right::Write,
        save::save,
    )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    /// `files` or `expanded`.
    how: String,
}

impl Wanted {
    fn how(&self) -> How {
        if self.how == "expanded" { How::Expanded } else { How::Files }
    }
}

/// What was found below a folder.
#[derive(Debug, Default)]
struct Found {
    files: Vec<File>,
    /// Of a repository in a database: what the host has of it.
    copied: Option<Box<Copied>>,
    unread: Vec<Unread>,
    /// Not all was looked at.
    cut: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Unread {
    path: String,
    why: Problem,
}

async fn collect(page: &Page, host: &Host, path: &str) -> Result<Found, Problem> {
    let line = Line::open(&page.app, host, PATIENCE).await?;
    let mut found = Found::default();
    if Kind::of_file(path).is_some() {
        if let Shown::File(file) = line.ask(Ask::File(At::Path(path.to_owned()))).await? {
            found.copied.clone_from(&file.copied);
            found.files.push(*file);
        }
        return Ok(found);
    }
    let until = page.app.clock.mono_ms() + LOOK_MAX_MS;
    let mut open = vec![(path.to_owned(), String::new(), 0)];
    let mut folders = 0;
    let mut seen = BTreeSet::new();
    while let Some((path, after, depth)) = open.pop() {
        folders += 1;
        if folders > FOLDERS_MAX || page.app.clock.mono_ms() > until {
            found.cut = true;
            break;
        }
        let first = after.is_empty();
        let folder = match line.ask(Ask::Folder { path: path.clone(), after }).await {
            Ok(Shown::Folder(folder)) => folder,
            Ok(_) => continue,
            Err(why) if depth == 0 || why.is_away() => return Err(why),
            // What is below one that cannot be read is left out, and said.
            Err(why) => {
                found.cut |= found.unread.len() >= UNREAD_MAX;
                found
                    .unread
                    .extend((found.unread.len() < UNREAD_MAX).then_some(Unread { path, why }));
                continue;
            }
        };
        // By the path that it really has: links may lead to one twice, or upwards.
        if first && !seen.insert(folder.path.clone()) {
            continue;
        }
        found.cut |= folder.cut;
        found.copied = folder.copied.or(found.copied);
        for entry in &folder.entries {
            let below = format!("{}/{}", folder.path, entry.name);
            match entry.form {
                None if depth < DEPTH_MAX => open.push((below, String::new(), depth + 1)),
                None => found.cut = true,
                Some(_) if found.files.len() >= FILES_MAX => found.cut = true,
                Some(_) if page.app.clock.mono_ms() > until => found.cut = true,
                Some(_) => match line.ask(Ask::File(At::Path(below.clone()))).await {
                    Ok(Shown::File(file)) => found.files.push(*file),
                    Ok(_) => {}
                    Err(why) if why.is_away() => return Err(why),
                    Err(why) if found.unread.len() < UNREAD_MAX => {
                        found.unread.push(Unread { path: below, why });
                    }
                    Err(_) => found.cut = true,
                },
            }
        }
        if let Some(next) = folder.next {
            open.push((path, next, depth));
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.files.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

fn host_of(page: &Page, catalog: &Catalog, id: i64) -> Result<Arc<Host>, Error> {
    let found = hosts(page, catalog)?.into_iter().find(|host| host.id.0 == id);
    found.ok_or_else(|| Error::not_found(format!("exec host {id}")))
}

/// Environments of the host that look as if they were of Kettle, or of Hop: the first of each.
async fn environments(page: &Page, host: &Host) -> Result<(Vec<String>, [String; 2]), Error> {
    let status = store::host::statuses(&page.app.db).await?.remove(&host.id.0);
    let named = status.and_then(|status| status.facts).map(|facts| facts.named);
    let whole = named.unwrap_or_default().into_iter().filter(|(_, one)| one.whole);
    let (mut names, mut first) = (Vec::new(), [String::new(), String::new()]);
    for (name, one) in whole {
        for (place, variable) in first.iter_mut().zip(["PDI_HOME=", "HOP_HOME="]) {
            if place.is_empty() && one.words.contains(variable) {
                place.clone_from(&name);
            }
        }
        names.push(name);
    }
    Ok((names, first))
}

/// What stands beside the table.
#[derive(Debug, Default, Serialize)]
struct Beside {
    problem: Option<Problem>,
    copied: Option<Box<Copied>>,
    unread: Vec<Unread>,
    cut: bool,
    /// Rows that did not fit.
    more: usize,
    /// Per row.
    remarks: Vec<Vec<Remark>>,
}

async fn show(page: Page, Query(asked): Query<Asked>, Query(wanted): Query<Wanted>) -> Result {
    page.project(Right::Write)?;
    let catalog = page.app.catalog().await?;
    let host = host_of(&page, &catalog, asked.host)?;
    let how = wanted.how();
    let mut form = Form::default();
    let (_, first) = environments(&page, &host).await?;
    for (name, value) in [
        ("host", host.id.to_string()),
        ("path", asked.path.clone()),
        ("how", (if how == How::Expanded { "expanded" } else { "files" }).to_owned()),
        ("granularity", "day".to_owned()),
        ("zone", zone::of_server(&page.app.config).name().to_owned()),
        ("environment_kettle", first[0].clone()),
        ("environment_hop", first[1].clone()),
        ("only_here", "on".to_owned()),
    ] {
        form.set(name, value);
    }
    let beside = match collect(&page, &host, &asked.path).await {
        Ok(found) => {
            if let Some(copied) = &found.copied {
                form.set("environment_kettle", copied.environment.as_str());
                form.set("user", copied.user.as_str());
            }
            let root = match found.files.first() {
                Some(one) if one.path == asked.path => {
                    asked.path.rsplit_once('/').map_or("", |(folder, _)| folder)
                }
                _ => asked.path.trim_end_matches('/'),
            };
            let Proposal { rows, more } = propose(root, &found.files, how);
            write_rows(&mut form, &rows);
            let remarks = rows.into_iter().map(|row| row.remarks).collect();
            let Found { copied, unread, cut, .. } = found;
            Beside { problem: None, copied, unread, cut, more, remarks }
        }
        Err(problem) => Beside { problem: Some(problem), ..Beside::default() },
    };
    render(&page, &host, &form, beside).await
}

fn write_rows(form: &mut Form, rows: &[propose::Row]) {
    for (index, row) in rows.iter().enumerate() {
        let cells = [
            ("take", (if row.take { "on" } else { "" }).to_owned()),
            ("interface", row.interface.clone()),
            ("name", row.name.clone()),
            ("file", row.file.clone()),
            ("form", row.form.word().to_owned()),
            ("after", row.after.clone()),
        ];
        form.set_row("rows", index, &cells);
    }
}

async fn render(page: &Page, host: &Host, form: &Form, beside: Beside) -> Result {
    let (names, _) = environments(page, host).await?;
    let catalog = page.app.catalog().await?;
    let project = catalog.projects.get(&page.viewer()?.place(Right::Write));
    let refused = beside.problem.as_ref().map(|problem| problem.status(form.text("path")));
    let status = match form.errors.is_empty() {
        true => refused.unwrap_or(StatusCode::OK),
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let html = page.render(
        "browse/import.html",
        context! {
            host => host.id.0, host_name => host.name.as_str(), path => form.text("path"),
            project => project.map(|project| project.name.as_str()),
            stored => Stored::parse(form.text("path")).is_some(),
            may_read => stored::may_read(page, host),
            how => form.text("how"), form => form.value(&["rows"]),
            beside => Serde(beside), environments => Serde(names),
        },
    )?;
    Ok((status, html).into_response())
}
