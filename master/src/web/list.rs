//! Lists: filters in the URL, sorted, paged by keyset, exported as CSV.
//!
//! Definitions are in memory (see [`crate::app::App::catalog`]), so a list is rows, filtered and
//! sorted here. A page begins after the last row of the one before, named by its sort key and id:
//! rows that come and go meanwhile neither shift nor double the rest.

use super::error::form_urlencoded;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// Rows of one page, and the choices there are.
const SIZES: [usize; 4] = [25, 50, 100, 200];
const SIZE: usize = 50;
/// Rows of one export: beyond that the first so many are given.
const EXPORT_MAX: usize = 100_000;

/// What all lists understand in their query, besides their own filters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub sort: String,
    /// Cursor: the last row of the page before.
    pub after: String,
    /// Cursor: the first row of the page after.
    pub before: String,
    pub size: String,
    /// `csv`: all filtered rows as a file.
    pub format: String,
}

/// By what a row is sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Int(i64),
    Text(String),
}

/// A column by which a list can be sorted.
pub type Sorter<T> = (&'static str, fn(&T) -> Key);

/// One page of a list, as templates see it.
#[derive(Clone, Debug, Serialize)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    /// Of all pages.
    pub total: usize,
    /// Number of the first row shown, from 1.
    pub first: usize,
    pub last: usize,
    pub size: usize,
    pub sizes: Vec<usize>,
    /// Name of the column, and whether it goes down.
    pub sort: String,
    pub down: bool,
    /// Queries of the neighbouring pages.
    pub next: Option<String>,
    pub previous: Option<String>,
    /// The query without cursor, sort and size: `a=b&c=d`, or empty.
    pub filters: String,
    /// The same as pairs: for a form's hidden fields.
    pub filter_pairs: Vec<(String, String)>,
    /// Whether a filter is set: an empty list then says so.
    pub filtered: bool,
}

fn cursor(key: &Key, id: i64) -> String {
    match key {
        Key::Int(value) => format!("i{value}~{id}"),
        Key::Text(value) => format!("t{value}~{id}"),
    }
}

fn read_cursor(text: &str) -> Option<(Key, i64)> {
    let (key, id) = text.rsplit_once('~')?;
    let key = match key.split_at_checked(1)? {
        ("i", value) => Key::Int(value.parse().ok()?),
        ("t", value) => Key::Text(value.to_owned()),
        _ => return None,
    };
    Some((key, id.parse().ok()?))
}

/// Sorts and cuts. The first sorter is the default; `sort=-name` goes down. `filters` are the
/// list's own, by name; empty ones are not set.
pub fn page<T>(
    mut rows: Vec<T>,
    id: fn(&T) -> i64,
    sorters: &[Sorter<T>],
    asked: &Asked,
    filters: &[(&str, &str)],
) -> Listed<T> {
    let down = asked.sort.starts_with('-');
    let wanted = asked.sort.trim_start_matches('-');
    let (name, key) = *sorters.iter().find(|(name, _)| *name == wanted).unwrap_or(&sorters[0]);
    let place = |row: &T| (key(row), id(row));
    rows.sort_by_cached_key(place);
    if down {
        rows.reverse();
    }
    let size = asked.size.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE);
    let total = rows.len();
    // Rows that stand before or at a cursor, in the direction of the list.
    let passed = |at: &(Key, i64), inclusive: bool| {
        rows.partition_point(|row| {
            let order = place(row).cmp(at);
            let order = if down { order.reverse() } else { order };
            order.is_lt() || inclusive && order.is_eq()
        })
    };
    let start = match (read_cursor(&asked.after), read_cursor(&asked.before)) {
        (Some(after), _) => passed(&after, true),
        (None, Some(before)) => passed(&before, false).saturating_sub(size),
        (None, None) => 0,
    };
    let start = if start >= total { total.saturating_sub(1) / size * size } else { start };
    let end = (start + size).min(total);
    let set: Vec<_> = filters.iter().filter(|(_, value)| !value.is_empty()).collect();
    let query = set
        .iter()
        .map(|(name, value)| format!("{name}={}", form_urlencoded(value)))
        .collect::<Vec<_>>()
        .join("&");
    let sort = if down { format!("-{name}") } else { name.to_owned() };
    let link = |direction: &str, row: &T| {
        let (key, id) = place(row);
        let cursor = form_urlencoded(&cursor(&key, id));
        let filters = if query.is_empty() { String::new() } else { format!("{query}&") };
        format!("?{filters}sort={sort}&size={size}&{direction}={cursor}")
    };
    let next = (end < total).then(|| link("after", &rows[end - 1]));
    let previous = (start > 0).then(|| link("before", &rows[start]));
    Listed {
        total,
        first: if total == 0 { 0 } else { start + 1 },
        last: end,
        size,
        sizes: SIZES.to_vec(),
        sort: name.to_owned(),
        down,
        next,
        previous,
        filtered: !set.is_empty(),
        filter_pairs: set.iter().map(|pair| (pair.0.to_owned(), pair.1.to_owned())).collect(),
        filters: query,
        rows: rows.drain(start..end).collect(),
    }
}

/// Whether all words of `query` are in one of the texts, in any case.
pub fn matches(query: &str, texts: &[&str]) -> bool {
    let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    query.to_lowercase().split_whitespace().all(|word| texts.iter().any(|text| text.contains(word)))
}

/// A file of rows, for spreadsheets.
pub fn csv(name: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Response {
    // The mark tells spreadsheets that it is UTF-8.
    let mut text = String::from("\u{feff}");
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    };
    line(&mut head.iter().map(|text| (*text).to_owned()));
    for row in rows.into_iter().take(EXPORT_MAX) {
        line(&mut row.into_iter());
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    (headers, text).into_response()
}

/// A text that a spreadsheet would run as a formula is made a text by a quote before it.
fn cell(text: &str) -> String {
    let number = text.parse::<f64>().is_ok();
    let formula = !number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SORTERS: &[Sorter<(i64, &str)>] =
        &[("id", |row| Key::Int(row.0)), ("name", |row| Key::Text(row.1.to_owned()))];

    fn rows(count: i64) -> Vec<(i64, &'static str)> {
        (1..=count).map(|id| (id, if id % 2 == 0 { "b" } else { "a" })).collect()
    }

    fn walk(sort: &str, count: i64) -> Vec<i64> {
        let mut seen = Vec::new();
        let mut asked = Asked { sort: sort.into(), size: "25".into(), ..Asked::default() };
        loop {
            let listed = page(rows(count), |row| row.0, SORTERS, &asked, &[]);
            seen.extend(listed.rows.iter().map(|row| row.0));
            let Some(next) = listed.next else { return seen };
            let (_, cursor) = next.split_once("after=").unwrap();
            asked.after = cursor.replace("%7E", "~");
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_double() {
        for sort in ["", "-id", "name", "-name", "nonsense"] {
            for count in [0, 1, 25, 26, 120] {
                let mut seen = walk(sort, count);
                assert_eq!(seen.len() as i64, count, "{sort} {count}");
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len() as i64, count, "{sort} {count}");
            }
        }
    }

    #[test]
    fn the_page_before_is_the_page_before() {
        let asked = Asked { size: "25".into(), before: "i51~51".into(), ..Asked::default() };
        let listed = page(rows(120), |row| row.0, SORTERS, &asked, &[("q", "x y"), ("no", "")]);
        assert_eq!((listed.first, listed.last, listed.filtered), (26, 50, true));
        assert_eq!(listed.filters, "q=x%20y");
    }

    #[test]
    fn formulas_are_no_formulas_in_a_csv() {
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("-5"), "-5");
        assert_eq!(cell("@x,\"y\""), "\"'@x,\"\"y\"\"\"");
        assert_eq!(cell("账期"), "账期");
    }

    #[test]
    fn every_word_must_be_somewhere() {
        assert!(matches("LOAD day", &["load_flights", "by day"]));
        assert!(!matches("load week", &["load_flights", "by day"]));
        assert!(matches("", &[]));
    }
}
