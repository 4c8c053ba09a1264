//! The form of a job. The kind's part of it is made from the kind's declaration.

use super::super::auth::Right;
use super::super::browse::notice::Notice;
use super::super::error::{Error, Result};
use super::super::form::*;
use super::super::interface::word;
use super::super::save::{self, Draft, Refused, Saver};
use super::super::uses::{self, Beside, Review, Stale};
use super::super::{Page, choices};
use super::fields::{fields, read_fields, write_fields};
use crate::engine::catalog::Catalog;
use crate::store;
use crate::store::version::How;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::Value as Json;
use shared::ids::*;
use shared::kind;
use shared::spec::*;
use std::collections::BTreeSet;

fn write(name: &str, interface: InterfaceId, spec: &JobSpec, version: Option<i64>) -> Form {
    let mut form = Form::default();
    form.set("name", name);
    if interface.0 != 0 {
        form.set("interface", interface);
    }
    form.set("version", version.map(|version| version.to_string()).unwrap_or_default());
    form.set("description", &spec.description);
    form.set("catalog", &spec.catalog);
    form.set("owner", &spec.owner);
    form.set("kind", &spec.kind);
    write_fields(&mut form, spec);
    for (index, edge) in spec.after.iter().enumerate() {
        let cells = [("job", edge.job.to_string()), ("expect", word(&edge.expect))];
        form.set_row("after", index, &cells);
    }
    form.set("join", word(&spec.join));
    for (index, need) in spec.needs.iter().enumerate() {
        let [map, n] = write_period_map(need.map);
        form.set_row("needs", index, &[("job", need.job.to_string()), map, n]);
    }
    form.set_all("place.hosts", spec.place.hosts.iter().map(ToString::to_string));
    form.set("place.labels", spec.place.labels.join("\n"));
    form.set("place.slots", spec.place.slots);
    form.set_all("place.pools", spec.place.pools.iter().map(ToString::to_string));
    form.set("environment", &spec.environment);
    let policy = &spec.policy;
    form.set("policy.attempts_max", policy.attempts_max);
    form.set("policy.backoff.delay_s", write_seconds(policy.backoff.delay_s));
    form.set("policy.backoff.factor", policy.backoff.factor);
    form.set("policy.backoff.delay_max_s", write_seconds(policy.backoff.delay_max_s));
    form.set("policy.timeout_s", policy.timeout_s.map(write_seconds).unwrap_or_default());
    form.set("policy.kill_grace_s", write_seconds(policy.kill_grace_s));
    form.set("policy.on_lost", word(&policy.on_lost));
    form.set("policy.on_unknown", word(&policy.on_unknown));
    for (name, value) in limits_of(&spec.limits) {
        form.set(name, value.map(|value| value.to_string()).unwrap_or_default());
    }
    form.set("priority", spec.priority);
    if spec.frozen {
        form.set("frozen", "on");
    }
    form.set("params", write_map(&spec.params));
    form
}

/// Fields of the form, and what stands in them.
fn limits_of(limits: &LimitSpec) -> [(&'static str, Option<u32>); 3] {
    [
        ("limits.memory_mib", limits.memory_mib),
        ("limits.open_files", limits.open_files),
        ("limits.processes", limits.processes),
    ]
}

pub(super) fn read(form: &mut Form) -> Draft<JobSpec> {
    let kind = form.text("kind").to_owned();
    let mut after = Vec::new();
    for (index, row) in form.rows("after").iter().enumerate() {
        let word = row.get("expect").cloned().unwrap_or_default();
        let expect = serde_json::from_value(Json::String(word)).unwrap_or_default();
        match row.get("job").and_then(|id| id.parse().ok()) {
            Some(job) => after.push(Edge { job, expect }),
            None => form.wrong(format!("after[{index}].job"), "choose a job"),
        }
    }
    let ids = |form: &Form, name: &str| -> Vec<i64> {
        form.all(name).iter().filter_map(|id| id.parse().ok()).collect()
    };
    let place = PlaceSpec {
        hosts: ids(form, "place.hosts").into_iter().map(HostId).collect(),
        labels: form.lines("place.labels"),
        slots: form.parse("place.slots", 1, "a whole number"),
        pools: ids(form, "place.pools").into_iter().map(PoolId).collect(),
    };
    let standard = Policy::default();
    let policy = Policy {
        attempts_max: form.parse("policy.attempts_max", 1, "a whole number"),
        backoff: Backoff {
            delay_s: form
                .seconds("policy.backoff.delay_s", Some(standard.backoff.delay_s))
                .unwrap_or_default(),
            factor: form.parse("policy.backoff.factor", standard.backoff.factor, "a whole number"),
            delay_max_s: form
                .seconds("policy.backoff.delay_max_s", Some(standard.backoff.delay_max_s))
                .unwrap_or_default(),
        },
        timeout_s: form.seconds("policy.timeout_s", None),
        kill_grace_s: form
            .seconds("policy.kill_grace_s", Some(standard.kill_grace_s))
            .unwrap_or_default(),
        on_lost: form.word("policy.on_lost"),
        on_unknown: form.word("policy.on_unknown"),
    };
    let [memory_mib, open_files, processes] = limits_of(&LimitSpec::default()).map(|(name, _)| {
        (!form.text(name).is_empty()).then(|| form.parse(name, 0, "a whole number"))
    });
    let limits = LimitSpec { memory_mib, open_files, processes };
    let spec = JobSpec {
        description: form.text("description").to_owned(),
        catalog: form.text("catalog").to_owned(),
        owner: form.text("owner").to_owned(),
        fields: read_fields(form, &kind),
        kind,
        after,
        join: form.word("join"),
        needs: Vec::new(),
        place,
        environment: form.text("environment").to_owned(),
        policy,
        limits,
        priority: form.parse("priority", 0, "a whole number"),
        frozen: form.flag("frozen"),
        params: form.map("params"),
    };
    Draft { name: form.text("name").to_owned(), spec, from: form.text("version").parse().ok() }
}

/// A row names a job only: its interface is looked up.
fn read_needs(form: &mut Form, catalog: &Catalog) -> Vec<Need> {
    let mut needs = Vec::new();
    for (index, row) in form.rows("needs").iter().enumerate() {
        let id: Option<JobId> = row.get("job").and_then(|id| id.parse().ok());
        let mut interfaces = catalog.interfaces.values();
        let owner = id.and_then(|id| {
            interfaces.find(|interface| interface.jobs.iter().any(|job| job.id == id))
        });
        match (id, owner, read_period_map(row)) {
            (Some(job), Some(owner), Ok(map)) => needs.push(Need { interface: owner.id, job, map }),
            (_, _, Err(why)) => form.wrong(format!("needs[{index}].map"), why),
            _ => form.wrong(format!("needs[{index}].job"), "choose a job"),
        }
    }
    needs
}

/// What a form offers: interfaces, jobs beside it, hosts, kinds.
fn choice_lists(
    page: &Page,
    catalog: &Catalog,
    own: Option<i64>,
    form: &Form,
) -> Result<minijinja::Value, Error> {
    let viewer = page.viewer()?;
    let seen = || catalog.interfaces.values().filter(|interface| viewer.sees(interface.project));
    let chosen = [form.text("interface").to_owned()];
    let interfaces = choices::interfaces(catalog, (viewer, Right::Write), &chosen, |interface| {
        format!("{} ({})", interface.name, interface.id)
    });
    let interface = form.text("interface").parse().ok().map(InterfaceId);
    let chosen = interface.and_then(|id| catalog.interfaces.get(&id));
    let jobs: Vec<(String, String)> = chosen
        .into_iter()
        .flat_map(|interface| &interface.jobs)
        .filter(|job| Some(job.id.0) != own)
        .map(|job| (job.id.to_string(), format!("{} ({})", job.name, job.id)))
        .collect();
    // Of all other jobs only those that rows name: more are found by typing.
    let named: Vec<String> =
        form.rows("needs").iter().filter_map(|row| row.get("job").cloned()).collect();
    let others: Vec<(String, String)> = seen()
        .flat_map(|interface| interface.jobs.iter().map(move |job| (interface, job)))
        .filter(|(_, job)| named.contains(&job.id.to_string()))
        .map(|(interface, job)| (job.id.to_string(), format!("{} / {}", interface.name, job.name)))
        .collect();
    let hosts: Vec<(String, String)> = catalog
        .hosts
        .values()
        .filter(|host| viewer.sees(host.project))
        .map(|host| (host.id.to_string(), host.name.clone()))
        .collect();
    let kinds: Vec<_> =
        kind::ALL.iter().map(|kind| (kind.name(), kind.title(), fields(*kind))).collect();
    let kind_options: Vec<_> =
        kind::ALL.iter().map(|kind| (kind.name(), page.t(kind.title()))).collect();
    let distinct = |text: fn(&JobSpec) -> &str| {
        let all = seen().flat_map(|interface| &interface.jobs).map(|job| text(&job.spec));
        all.filter(|text| !text.is_empty()).collect::<BTreeSet<_>>()
    };
    let owner: fn(&JobSpec) -> &str = |spec| &spec.owner;
    let group: fn(&JobSpec) -> &str = |spec| &spec.catalog;
    Ok(context! {
        interfaces => Serde(interfaces.options), search => interfaces.search, jobs => Serde(jobs), others => Serde(others),
        hosts => Serde(hosts), kinds => Serde(kinds), kind_options => Serde(kind_options),
        owners => Serde(distinct(owner)), catalogs => Serde(distinct(group)),
    })
}

/// Those that hosts which the viewer sees have told of.
async fn environments(page: &Page, catalog: &Catalog) -> Result<BTreeSet<String>, Error> {
    let viewer = page.viewer()?;
    let statuses = store::host::statuses(&page.app.db).await?;
    let seen = |id: &i64| catalog.hosts.get(&HostId(*id)).is_some_and(|it| viewer.sees(it.project));
    let facts = statuses.into_iter().filter(|(id, _)| seen(id)).filter_map(|(_, it)| it.facts);
    let named = facts.flat_map(|facts| facts.named).filter(|(_, named)| named.whole);
    Ok(named.map(|(name, _)| name).collect())
}

async fn render(page: &Page, id: Option<i64>, form: &Form, beside: Beside) -> Result {
    let status = uses::status(form, &beside.stale);
    let catalog = page.app.catalog().await?;
    let environments = environments(page, &catalog).await?;
    let mut jobs = catalog.interfaces.values().flat_map(|interface| &interface.jobs);
    let name = id.and_then(|id| jobs.find(|job| job.id.0 == id)).map(|job| job.name.as_str());
    let html = page.render(
        "job/form.html",
        context! {
            id, name,
            form => form.value(&["after", "needs"]), stale => Serde(beside.stale),
            review => Serde(beside.review), environments => Serde(environments),
            ..choice_lists(page, &catalog, id, form)?
        },
    )?;
    Ok((status, html).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct For {
    interface: i64,
    /// A job to begin from.
    copy: i64,
    /// A file of Kettle or Hop, and the host that has it.
    file: String,
    host: i64,
    /// Of a repository that it is in.
    user: String,
}

pub(super) async fn add(page: Page, Query(asked): Query<For>) -> Result {
    if asked.copy != 0 {
        let catalog = page.app.catalog().await?;
        let (interface, job) = save::job_of(&catalog, JobId(asked.copy), page.viewer()?)?;
        let name = format!("{} copy", job.name);
        let mut form = write(&name, interface.id, &job.spec, None);
        form.set("copy", job.id);
        return render(&page, None, &form, Beside::default()).await;
    }
    if let Some(spec) = of_file(&asked) {
        let mut form = write("", InterfaceId(asked.interface), &spec, None);
        let name = asked.file.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
        form.set("name", name.map_or("", |(stem, _)| stem));
        return render(&page, None, &form, Beside::default()).await;
    }
    let first = kind::ALL.first().map(|kind| kind.name()).unwrap_or_default();
    let json = serde_json::json!({ "kind": first });
    let spec: JobSpec = serde_json::from_value(json).map_err(anyhow::Error::from)?;
    render(&page, None, &write("", InterfaceId(asked.interface), &spec, None), Beside::default())
        .await
}

/// What a job that runs this file begins with.
fn of_file(asked: &For) -> Option<JobSpec> {
    let form = shared::etl::drawn::Form::of_file(&asked.file)?;
    let mut fields = serde_json::json!({ "file": asked.file });
    if form.kind() == "kettle" {
        fields["runs"] = form.word().into();
    }
    let mut environment = String::new();
    if let Some(stored) = crate::web::browse::stored::fields(&asked.file) {
        (fields, environment) = stored;
        fields["user"] = asked.user.as_str().into();
    }
    let hosts: Vec<i64> = Some(asked.host).filter(|host| *host != 0).into_iter().collect();
    let json = serde_json::json!({
        "kind": form.kind(), "fields": fields, "environment": environment,
        "place": { "hosts": hosts },
    });
    serde_json::from_value(json).ok()
}

pub(super) async fn show(page: Page, Path(id): Path<i64>) -> Result {
    let catalog = page.app.catalog().await?;
    let (interface, job) = save::job_of(&catalog, JobId(id), page.viewer()?)?;
    page.viewer()?.must(Right::Write, interface.project)?;
    let meta = store::job::meta(&page.app.db, job.id).await?;
    let form = write(&job.name, interface.id, &job.spec, meta.map(|meta| meta.version));
    render(&page, Some(id), &form, Beside::default()).await
}

pub(super) async fn create(page: Page, form: Form) -> Result {
    put(page, None, form).await
}

pub(super) async fn save(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    put(page, Some(id), form).await
}

async fn put(page: Page, id: Option<i64>, mut form: Form) -> Result {
    let catalog = page.app.catalog().await?;
    let mut draft = read(&mut form);
    draft.spec.needs = read_needs(&mut form, &catalog);
    let interface = match id {
        // A job stays in its interface: runs of it name both.
        Some(id) => save::job_of(&catalog, JobId(id), page.viewer()?)?.0.id,
        None => form.parse("interface", InterfaceId(0), "an interface"),
    };
    if interface.0 == 0 {
        form.wrong("interface", "choose an interface");
    }
    let owner = catalog.interfaces.get(&interface);
    // What was typed is not to be lost for that.
    if owner.is_some_and(|it| page.viewer().is_ok_and(|one| !one.may(Right::Write, it.project))) {
        form.wrong("interface", "you may write nothing in its project: choose another one");
    }
    if !form.errors.is_empty() {
        return render(&page, id, &form, Beside::default()).await;
    }
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let saver = match (id, form.text("copy").parse()) {
        (None, Ok(source)) => saver.by(How::JobCopied(JobId(source))),
        _ => saver,
    };
    let saved = match saver.asked_job(id.map(JobId), interface, &draft).await {
        Ok(notices) => {
            if let Some(review) = review(&page, &catalog, (id, &form), &draft).await? {
                let beside = Beside { review: Some(review), stale: None };
                return render(&page, id, &form, beside).await;
            }
            let saved = saver.job(id.map(JobId), interface, &draft).await;
            saved.map(|id| (id, notices.first().map(Notice::query)))
        }
        Err(refused) => Err(refused),
    };
    match saved {
        Ok((id, None)) => Ok(Redirect::to(&format!("/job/{id}/")).into_response()),
        Ok((id, Some(query))) => {
            let address = format!("/job/{id}/?{query}");
            Ok(Redirect::to(&address).into_response())
        }
        Err(Refused::Invalid(errors)) => {
            form.errors = errors;
            render(&page, id, &form, Beside::default()).await
        }
        Err(Refused::Stale) => {
            let catalog = page.app.catalog().await?;
            let id = id.ok_or_else(|| Error::conflict("try again"))?;
            let (interface, newest) = save::job_of(&catalog, JobId(id), page.viewer()?)?;
            let meta = store::job::meta(&page.app.db, newest.id).await?;
            let version = meta.as_ref().map(|meta| meta.version);
            let theirs = write(&newest.name, interface.id, &newest.spec, version);
            let stale = Stale::of(&page, meta, (&theirs, &form)).await?;
            form.set("version", version.unwrap_or_default());
            let beside = Beside { stale: Some(stale), review: None };
            render(&page, Some(id), &form, beside).await
        }
        Err(Refused::Error(error)) => Err(error),
    }
}

/// What others depend on is shown before it is saved.
async fn review(
    page: &Page,
    catalog: &Catalog,
    (id, form): (Option<i64>, &Form),
    draft: &Draft<JobSpec>,
) -> Result<Option<Review>, Error> {
    let Some(id) = id.map(JobId) else { return Ok(None) };
    let (interface, now) = save::job_of(catalog, id, page.viewer()?)?;
    let version = store::job::meta(&page.app.db, id).await?.map(|meta| meta.version);
    let before = write(&now.name, interface.id, &now.spec, version);
    let mut after = write(&draft.name, interface.id, &draft.spec, draft.from);
    after.set("confirmed", form.text("confirmed"));
    Ok(Review::of(&before, &after, uses::uses_of_job(catalog, id)))
}

pub(super) async fn delete(page: Page, Path(id): Path<i64>, form: Form) -> Result {
    let saver = Saver::new(&page.app, page.viewer()?).because(form.text("reason"));
    let from = form.text("version").parse().unwrap_or_default();
    saver.delete_job(JobId(id), from).await?;
    Ok(Redirect::to("/job/").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_comes_back_from_its_form() {
        let json = serde_json::json!({
            "description": "d", "catalog": "c", "owner": "o", "kind": "shell",
            "fields": {
                "program": "sort", "args": ["-k", " 2 ", "a,b"], "env": {"A": "1=2"},
                "success_codes": ["0", "3"], "output_max_mib": 5, "use_shell": true,
                "script": "  x\n\n y\n",
            },
            "after": [{"job": 4, "expect": "done"}, {"job": 5}], "join": "any",
            "place": {"hosts": [1, 2], "labels": ["gpu"], "slots": 2, "pools": [9]},
            "policy": {"attempts_max": 3, "backoff": {"delay_s": 5, "factor": 1, "delay_max_s": 60},
                "timeout_s": 3600, "kill_grace_s": 5, "on_lost": "retry", "on_unknown": "fail"},
            "limits": {"memory_mib": 512, "processes": 9}, "environment": "java-17",
            "priority": 4, "frozen": true, "params": {"a": "b"},
        });
        let spec: JobSpec = serde_json::from_value(json).unwrap();
        let mut form = write("name", InterfaceId(3), &spec, Some(7));
        let draft = read(&mut form);
        assert_eq!(form.errors, []);
        assert_eq!((draft.from, draft.spec), (Some(7), spec));
    }
}
