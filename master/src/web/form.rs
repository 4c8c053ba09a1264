//! Forms: what a person has typed, kept as it was typed; what is wrong, beside each field.
//!
//! A form is pairs of texts both ways: a spec is written into one to be shown, and read out of one
//! when it is posted. So an error, or somebody else's newer version, never loses what was typed.
//! Repeated parts are rows: `after[0].job`, `after[0].expect`.

use super::error::{Error, Result};
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse;
use minijinja::value::{Serde, Value};
use serde::Serialize;
use shared::kind::FieldError;
use shared::spec::PeriodMap;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Pairs in one form.
const PAIRS_MAX: usize = 5_000;
/// Parameters in one definition's form: `NAME=value` a line.
const LINES_MAX: usize = 1_000;

/// One row of a repeated part.
pub type FormRow = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub struct Form {
    /// All values of a name, in order.
    values: BTreeMap<String, Vec<String>>,
    pub errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Form, Self::Rejection> {
        let pairs = axum::extract::Form::<Vec<(String, String)>>::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        if pairs.0.len() > PAIRS_MAX {
            let detail = format!("a form has at most {PAIRS_MAX} fields");
            return Err(Error::bad_request(detail).into_response());
        }
        let mut form = Form::default();
        for (name, value) in pairs.0 {
            // Browsers end lines of a text area with CR LF.
            form.values.entry(name).or_default().push(value.replace("\r\n", "\n"));
        }
        Ok(form)
    }
}

impl Form {
    pub fn set(&mut self, name: impl Into<String>, value: impl ToString) {
        self.values.insert(name.into(), vec![value.to_string()]);
    }

    pub fn set_all(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        self.values.insert(name.to_owned(), values.into_iter().collect());
    }

    /// One row of a repeated part.
    pub fn set_row(&mut self, part: &str, index: usize, cells: &[(&str, String)]) {
        for (cell, value) in cells {
            self.set(format!("{part}[{index}].{cell}"), value);
        }
    }

    pub fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError::new(path, message));
    }

    /// Without the blanks around it; empty when it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    pub fn raw(&self, name: &str) -> &str {
        self.values.get(name).and_then(|values| values.last()).map_or("", String::as_str)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A check box: there when it is on.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.raw(name), "on" | "true" | "1")
    }

    /// A number or another small text; what it should be is said when it is not.
    pub fn parse<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> T {
        match self.text(name) {
            "" => default,
            text => match text.parse() {
                Ok(value) => value,
                Err(_) => {
                    self.wrong(name, format!("{expected} is expected here"));
                    default
                }
            },
        }
    }

    /// A word of a closed set, as serde writes it.
    pub fn word<T: serde::de::DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let text = self.text(name);
        if text.is_empty() {
            return T::default();
        }
        match serde_json::from_value(serde_json::Value::String(text.to_owned())) {
            Ok(word) => word,
            Err(_) => {
                self.wrong(name, "choose one of the list");
                T::default()
            }
        }
    }

    /// Seconds, written `90`, `90s`, `15m`, `24h` or `2d`.
    pub fn seconds(&mut self, name: &str, default: Option<u32>) -> Option<u32> {
        match self.text(name) {
            "" => default,
            text => match read_seconds(text) {
                Some(seconds) => Some(seconds),
                None => {
                    self.wrong(name, "a time like 90s, 15m, 24h or 2d is expected here");
                    default
                }
            },
        }
    }

    /// One text a line; empty lines are left out.
    pub fn lines(&self, name: &str) -> Vec<String> {
        self.raw(name).lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()
    }

    /// `NAME=value` a line.
    pub fn map(&mut self, name: &str) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        let mut wrong = Vec::new();
        for (number, line) in self.raw(name).lines().enumerate().take(LINES_MAX) {
            if line.trim().is_empty() {
                continue;
            }
            match line.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    map.insert(key.trim().to_owned(), value.to_owned());
                }
                _ => wrong.push(format!("line {}: NAME=value is expected", number + 1)),
            }
        }
        for message in wrong {
            self.wrong(name, message);
        }
        map
    }

    /// The rows of a repeated part, in order; where rows were taken out, the rest closes up.
    pub fn rows(&self, part: &str) -> Vec<FormRow> {
        let mut rows: BTreeMap<usize, FormRow> = BTreeMap::new();
        for (name, values) in &self.values {
            let Some(rest) = name.strip_prefix(part).and_then(|rest| rest.strip_prefix('[')) else {
                continue;
            };
            let Some((index, cell)) = rest.split_once("].") else { continue };
            let (Ok(index), Some(value)) = (index.parse(), values.last()) else { continue };
            rows.entry(index).or_default().insert(cell.to_owned(), value.trim().to_owned());
        }
        rows.into_values().collect()
    }

    /// As templates see it: `form.value.name`, `form.all.hosts`, `form.rows.after`, `form.errors`.
    pub fn value(&self, parts: &[&str]) -> Value {
        #[derive(Serialize)]
        struct View<'a> {
            value: BTreeMap<&'a str, &'a str>,
            all: &'a BTreeMap<String, Vec<String>>,
            rows: BTreeMap<&'a str, Vec<FormRow>>,
            errors: &'a [FieldError],
        }
        let value = self.values.keys().map(|name| (name.as_str(), self.raw(name))).collect();
        let rows = parts.iter().map(|part| (*part, self.rows(part))).collect();
        Value::from(Serde(View { value, all: &self.values, rows, errors: &self.errors }))
    }
}

pub fn read_seconds(text: &str) -> Option<u32> {
    let (number, unit) = match text.char_indices().last()? {
        (_, '0'..='9') => (text, 1),
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86_400),
        _ => return None,
    };
    number.trim().parse::<u32>().ok()?.checked_mul(unit)
}

pub fn write_seconds(seconds: u32) -> String {
    match seconds {
        0 => "0s".into(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

pub fn write_map(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// Cells `map` and `n` of a row.
pub fn write_period_map(map: PeriodMap) -> [(&'static str, String); 2] {
    let (word, n) = match map {
        PeriodMap::Same => ("same", String::new()),
        PeriodMap::AllWithin => ("all_within", String::new()),
        PeriodMap::LastWithin => ("last_within", String::new()),
        PeriodMap::Previous(n) => ("previous", n.to_string()),
        PeriodMap::Offset(n) => ("offset", n.to_string()),
    };
    [("map", word.to_owned()), ("n", n)]
}

/// # Errors
/// What is wrong with the row.
pub fn read_period_map(row: &FormRow) -> Result<PeriodMap, &'static str> {
    let n = row.get("n").map_or("", String::as_str);
    match row.get("map").map_or("", String::as_str) {
        "" | "same" => Ok(PeriodMap::Same),
        "all_within" => Ok(PeriodMap::AllWithin),
        "last_within" => Ok(PeriodMap::LastWithin),
        "previous" => n.parse().map(PeriodMap::Previous).map_err(|_| "how many periods before?"),
        "offset" => n.parse().map(PeriodMap::Offset).map_err(|_| "how many periods later?"),
        _ => Err("choose one of the list"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_close_up_where_some_were_taken_out() {
        let mut form = Form::default();
        form.set_row("after", 3, &[("job", "30".into())]);
        form.set_row("after", 11, &[("job", "110".into()), ("expect", "done".into())]);
        form.set("after[x].job", "no");
        let rows = form.rows("after");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0]["job"].as_str(), rows[1]["expect"].as_str()), ("30", "done"));
    }

    #[test]
    fn seconds_have_units() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86_400)] {
            assert_eq!(read_seconds(text), Some(seconds));
            assert_eq!(read_seconds(&write_seconds(seconds)), Some(seconds));
        }
        for bad in ["", "h", "-1h", "1.5h", "99999999d"] {
            assert_eq!(read_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn maps_say_which_line_is_wrong() {
        let mut form = Form::default();
        form.set("params", "a=1\n\nb=x=y\nnonsense");
        let map = form.map("params");
        assert_eq!((map["a"].as_str(), map["b"].as_str()), ("1", "x=y"));
        assert_eq!(form.errors, [FieldError::new("params", "line 4: NAME=value is expected")]);
    }

    #[test]
    fn period_maps_come_back_from_their_rows() {
        for map in [
            PeriodMap::Same,
            PeriodMap::AllWithin,
            PeriodMap::LastWithin,
            PeriodMap::Previous(3),
            PeriodMap::Offset(-2),
        ] {
            let row = write_period_map(map).map(|(name, value)| (name.to_owned(), value)).into();
            assert_eq!(read_period_map(&row), Ok(map));
        }
    }
}
