//! Saved filters of lists: the address stays the truth, a saved filter is a name for one.
//!
//! A list's page shows [`of`] below its filter row (`m.saved(saved)`); a new list is a line in [`LISTS`].

use super::auth::Right;
use super::error::{Error, Result, form_urlencoded};
use super::form::Form;
use super::{Page, Routes};
use crate::db;
use crate::store::filter::{self, FILTERS_MAX, Filter};
use axum::extract::Query;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use serde::Serialize;
use shared::kind::FieldError;

const LISTS: [&str; 5] =
    ["/execute/flow/", "/interface/", "/job/", "/dispatch/", "/base/exec/host/"];
const NAME_CHARS_MAX: usize = 40;
/// Bytes of a query, as it is stored.
const QUERY_MAX: usize = 1_000;
/// Where in a list one is, and what is to be done with it: no part of a filter.
const PLACES: [&str; 6] = ["after", "before", "cursor", "format", "limit", "run"];
/// How a list is shown: kept, but by themselves no filter.
const LOOKS: [&str; 2] = ["sort", "size"];

pub(super) fn routes() -> Routes {
    Routes::default().post("/filters/save/", Right::View, save).post(
        "/filters/remove/",
        Right::View,
        remove,
    )
}

/// What a list shows of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Saved {
    list: String,
    /// What is looked for now.
    query: String,
    filters: Vec<Filter>,
    /// It is a filter, it has no name yet, and there is room for one more.
    may_save: bool,
    /// There is none.
    full: bool,
    name_chars_max: usize,
    count_max: u32,
}

/// The viewer's, of the list that is shown.
///
/// # Errors
/// The database's.
pub(super) async fn of(page: &Page) -> Result<Saved, Error> {
    let list = page.uri.path().to_owned();
    let query = plain(page.uri.query().unwrap_or_default());
    let filters = filter::all(&page.app.db, page.viewer()?.id, &list).await?;
    let new = is_filter(&query) && filters.iter().all(|known| known.query != query);
    let full = filters.len() >= FILTERS_MAX as usize;
    let may_save = new && !full && query.len() <= QUERY_MAX;
    let (full, count_max) = (full && new, FILTERS_MAX);
    Ok(Saved { list, query, filters, may_save, full, name_chars_max: NAME_CHARS_MAX, count_max })
}

/// None of what is no query.
fn pairs(query: &str) -> Vec<(String, String)> {
    let address: Option<Uri> = format!("/?{query}").parse().ok();
    let read = address.and_then(|address| Query::try_from_uri(&address).ok());
    read.map(|Query(pairs)| pairs).unwrap_or_default()
}

/// Without places and what is empty, and in one order: two addresses of the same rows are the same.
fn plain(query: &str) -> String {
    let mut pairs = pairs(query);
    pairs.retain(|(name, value)| !value.is_empty() && !PLACES.contains(&name.as_str()));
    pairs.sort();
    let written = pairs
        .iter()
        .map(|pair| format!("{}={}", form_urlencoded(&pair.0), form_urlencoded(&pair.1)));
    written.collect::<Vec<_>>().join("&")
}

fn is_filter(query: &str) -> bool {
    pairs(query).iter().any(|(name, _)| !LOOKS.contains(&name.as_str()))
}

/// Of which list a form speaks.
fn list_of(form: &Form) -> Result<&'static str, Error> {
    let list = LISTS.into_iter().find(|list| *list == form.text("list"));
    list.ok_or_else(|| Error::bad_request("this is no list that has filters"))
}

fn back(list: &str, query: &str) -> Result {
    let query = plain(query);
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(Redirect::to(&format!("{list}{mark}{query}")).into_response())
}

async fn save(page: Page, form: Form) -> Result {
    let list = list_of(&form)?;
    let (name, query) = (form.text("name").to_owned(), plain(form.text("query")));
    let mut wrong = Vec::new();
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || name.contains(char::is_control) {
        let why = format!("a name of 1 to {NAME_CHARS_MAX} characters is expected");
        wrong.push(FieldError::new("name", why));
    }
    if !is_filter(&query) || query.len() > QUERY_MAX {
        let why = format!("a filter of at most {QUERY_MAX} characters is expected");
        wrong.push(FieldError::new("query", why));
    }
    if !wrong.is_empty() {
        return Err(Error::invalid(wrong));
    }
    let (user, now) = (page.viewer()?.id, page.app.clock.wall_ms());
    match filter::put(&page.app.db, user, list, &Filter { name, query: query.clone() }, now).await {
        Ok(()) => back(list, &query),
        Err(db::Error::Conflict) => Err(Error::conflict(format!(
            "{FILTERS_MAX} filters of this list are saved already: remove one of them first"
        ))),
        Err(error) => Err(error.into()),
    }
}

async fn remove(page: Page, form: Form) -> Result {
    let list = list_of(&form)?;
    filter::delete(&page.app.db, page.viewer()?.id, list, form.text("name")).await?;
    back(list, form.text("query"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_of_the_same_rows_are_one_filter() {
        let one = plain("state=failed&q=a%20b&cursor=7-x&interface=&format=csv");
        assert_eq!(one, "q=a%20b&state=failed");
        assert_eq!(one, plain("?q=a+b&state=failed".trim_start_matches('?')));
        assert!(is_filter(&one) && is_filter("q=x&sort=name"));
        assert_eq!(plain("a b"), "");
        assert!(!is_filter(&plain("after=t1&sort=name&size=50")) && !is_filter(""));
    }
}
