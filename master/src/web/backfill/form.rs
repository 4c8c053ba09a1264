//! The form of a backfill: what is asked for, its plan, and then its beginning.

use super::super::Page;
use super::super::auth::Right;
use super::super::choices;
use super::super::command;
use super::super::error::{Error, Result};
use super::super::form::Form;
use super::{plan_value, planned};
use crate::engine::backfill::{BackfillSpec, Span};
use crate::engine::rows::Verb;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::Value;
use shared::ids::*;

/// Spans with something wrong that are told at once.
const WRONG_MAX: usize = 10;

/// One a line.
pub(super) fn write_spans(spans: &[Span]) -> String {
    spans.iter().map(Span::to_string).collect::<Vec<_>>().join("\n")
}

/// One a line, or with commas between.
fn read_spans(form: &mut Form, name: &str) -> Vec<Span> {
    let text = form.raw(name).to_owned();
    let mut spans = Vec::new();
    for part in text.split(['\n', ',']).map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse() {
            Ok(span) => spans.push(span),
            Err(why) if form.errors.len() < WRONG_MAX => form.wrong(name, why),
            Err(_) => {}
        }
    }
    spans
}

fn read(form: &mut Form) -> BackfillSpec {
    BackfillSpec {
        interface: InterfaceId(form.parse("interface", 0, "an interface")),
        spans: read_spans(form, "spans"),
        skips: read_spans(form, "skips"),
        descending: form.text("order") == "descending",
        parallel: form.parse("parallel", 1, "a number"),
        cascade: form.flag("cascade"),
        missing_only: form.flag("missing_only"),
        windows: form.lines("windows"),
        zone: form.text("zone").to_owned(),
        pinned: form.flag("pinned"),
        failures_max: form.parse("failures_max", 3, "a number"),
        params: form.map("params"),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    interface: String,
}

pub(super) async fn add(page: Page, Query(asked): Query<Asked>) -> Result {
    let mut form = Form::default();
    form.set("interface", asked.interface);
    form.set("order", "ascending");
    form.set("parallel", 1);
    form.set("failures_max", 3);
    form.set("zone", page.viewer()?.zone.name());
    render(&page, &form, None).await
}

async fn render(page: &Page, form: &Form, plan: Option<Value>) -> Result {
    let catalog = page.app.catalog().await?;
    let chosen = [form.text("interface").to_owned()];
    let interfaces =
        choices::interfaces(&catalog, (page.viewer()?, Right::Execute), &chosen, |interface| {
            let of = format!("{:?}", interface.spec.granularity).to_lowercase();
            format!("{} ({of})", interface.name)
        });
    let status = match form.errors.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let html = page.render(
        "backfill/form.html",
        context! {
            form => form.value(&[]), plan => Serde(plan),
            interfaces => Serde(&interfaces.options), search => interfaces.search,
        },
    )?;
    Ok((status, html).into_response())
}

/// `do`: `plan` shows what it would do, `start` does it.
pub(super) async fn post(page: Page, mut form: Form) -> Result {
    let spec = read(&mut form);
    if form.text("interface").is_empty() {
        form.wrong("interface", "choose an interface");
    }
    if !form.errors.is_empty() {
        return render(&page, &form, None).await;
    }
    let viewer = page.viewer()?;
    let (found, estimate) = match planned(&page.app, viewer, &spec).await {
        Ok(planned) => planned,
        Err(error) => return refused(&page, form, error).await,
    };
    if form.text("do") != "start" {
        let catalog = page.app.catalog().await?;
        let plan = plan_value((&catalog, viewer), &found, &estimate);
        return render(&page, &form, Some(plan)).await;
    }
    let verb = Verb::Backfill { spec: Box::new(spec) };
    let (id, answer) = match command::ask(&page.app, viewer, verb, false).await {
        Ok(asked) => asked,
        Err(error) => return refused(&page, form, error).await,
    };
    match answer {
        Some(answer) if answer.plan.refused.is_some() => {
            form.wrong("interface", answer.plan.refused.unwrap_or_default());
            render(&page, &form, None).await
        }
        Some(_) => Ok(Redirect::to(&format!("/backfill/{id}/")).into_response()),
        // It is written down, and will be in the list as soon as somebody leads.
        None => Ok(Redirect::to("/backfill/").into_response()),
    }
}

/// What is wrong with a field goes beside it.
async fn refused(page: &Page, mut form: Form, error: Error) -> Result {
    let errors = error.problem().errors.clone();
    if errors.is_empty() {
        return Err(error);
    }
    for error in errors {
        let path = error.path.strip_prefix("spec.").unwrap_or(&error.path).to_owned();
        let path = if path == "descending" { "order".to_owned() } else { path };
        form.wrong(path, error.message);
    }
    render(page, &form, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_lines_or_have_commas_between() {
        let mut form = Form::default();
        form.set("spans", "2026-01-01..2026-01-31\n 2026-02-05 , 2026-03\n\n");
        let spans = read_spans(&mut form, "spans");
        assert_eq!(write_spans(&spans), "2026-01-01..2026-01-31\n2026-02-05\n2026-03");
        assert_eq!(form.errors, []);
        form.set("spans", "2026-01-01\nyesterday\n2026-02-02..2026-02-01");
        read_spans(&mut form, "spans");
        assert_eq!(form.errors.len(), 2);
        assert!(form.errors[0].message.contains("yesterday"));
    }
}
