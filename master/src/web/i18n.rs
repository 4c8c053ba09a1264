//! Two languages from one catalogue: the key is the English text, `templates/i18n/zh.json` has the
//! Chinese. A text that was put together (an error with a number in it) is found by its pattern:
//! the key `must be at most {n} characters`.

use crate::engine::explain::Said;
use crate::engine::reason::Reason;
use axum::http::{HeaderMap, header};
use minijinja::value::{Kwargs, Value};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    Zh,
    En,
}

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::Zh, Lang::En];

    pub fn word(self) -> &'static str {
        match self {
            Lang::Zh => "zh",
            Lang::En => "en",
        }
    }

    /// The cookie says it; else the browser's first language; else Chinese.
    pub fn of(headers: &HeaderMap) -> Lang {
        let of_word = |word: &str| match word {
            word if word.starts_with("zh") => Some(Lang::Zh),
            word if word.starts_with("en") => Some(Lang::En),
            _ => None,
        };
        let cookie = super::auth::cookie(headers, "lang");
        if let Some(lang) = cookie.as_deref().and_then(of_word) {
            return lang;
        }
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let mut words = accepted.into_iter().flat_map(|text| text.split(','));
        words.find_map(|word| of_word(word.trim())).unwrap_or(Lang::Zh)
    }
}

/// What stands before a word of code, so that readers of a template see what it is.
pub const PREFIXES: &[&str] = &["state ", "origin ", "end "];

/// How deep reasons stand in reasons.
const REASONS_DEEP: usize = 4;

/// English → Chinese.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    exact: Arc<HashMap<String, String>>,
    patterns: Arc<Vec<Pattern>>,
    /// Those of the engine's reasons, which are looked up by themselves.
    reasons: Arc<Vec<Pattern>>,
}

/// `before {name} between {other} after`, both ways.
#[derive(Clone, Debug)]
struct Pattern {
    key: String,
    regex: regex::Regex,
    names: Vec<String>,
    chinese: String,
}

impl Catalogue {
    /// # Errors
    /// The text is no JSON object of texts.
    pub fn parse(json: &str) -> anyhow::Result<Catalogue> {
        let exact: HashMap<String, String> = serde_json::from_str(json)?;
        let (mut patterns, mut reasons) = (Vec::new(), Vec::new());
        for (key, chinese) in exact.iter().filter(|(key, _)| key.contains('{')) {
            let of_reason = Reason::PATTERNS.contains(&key.as_str());
            // Sentences of an explanation come with their parameters: nobody need find them again.
            if !of_reason && Said::PATTERNS.contains(&key.as_str()) {
                continue;
            }
            let list = if of_reason { &mut reasons } else { &mut patterns };
            list.push(pattern(key, chinese)?);
        }
        // The one with most words of its own first: the most exact one.
        for list in [&mut patterns, &mut reasons] {
            list.sort_by_key(|pattern| (std::cmp::Reverse(pattern.own()), pattern.key.clone()));
        }
        let (patterns, reasons) = (Arc::new(patterns), Arc::new(reasons));
        Ok(Catalogue { exact: Arc::new(exact), patterns, reasons })
    }

    /// Keys of the engine's reasons with their Chinese, in the order in which they are tried.
    pub fn reasons(&self) -> Vec<(&str, &str)> {
        let plain = Reason::PATTERNS.iter().filter(|key| !key.contains('{'));
        // What stands in one of them: the words of a kind for its exit codes.
        let inside = shared::etl::outcome::words();
        let plain = plain.copied().chain(inside).map(|key| (key, self.key(Lang::Zh, key)));
        let patterns = self.reasons.iter();
        plain.chain(patterns.map(|one| (one.key.as_str(), one.chinese.as_str()))).collect()
    }

    /// What the engine has said ([`Reason`]); a reason inside of it as well.
    pub fn reason(&self, lang: Lang, text: &str) -> String {
        self.reason_inside(lang, text, REASONS_DEEP)
    }

    fn reason_inside(&self, lang: Lang, text: &str, deep: usize) -> String {
        if lang == Lang::En || deep == 0 {
            return text.to_owned();
        }
        if let Some(chinese) = self.exact.get(text) {
            return chinese.clone();
        }
        let mut found = self.reasons.iter().filter_map(|pattern| {
            pattern.fill(text, |name, value| match name {
                "why" | "what" => self.reason_inside(lang, value, deep - 1),
                _ => value.to_owned(),
            })
        });
        found.next().unwrap_or_else(|| text.to_owned())
    }

    /// A sentence of an explanation, and what a row had to say in it.
    pub fn said(&self, lang: Lang, said: &Said) -> String {
        said.fill(self.key(lang, said.pattern()), |name, value| match name {
            "why" => self.reason(lang, value),
            "state" => self.text(lang, &value.replace('_', " ")),
            _ => value.to_owned(),
        })
    }

    pub fn has(&self, key: &str) -> bool {
        self.exact.contains_key(key)
    }

    /// A key of the catalogue, still with its `{placeholders}`.
    pub fn key<'a>(&'a self, lang: Lang, key: &'a str) -> &'a str {
        match lang {
            Lang::En => key,
            Lang::Zh => self.exact.get(key).map_or(key, String::as_str),
        }
    }

    /// A text that somebody else has put together; as it is when no key fits.
    pub fn text(&self, lang: Lang, text: &str) -> String {
        if lang == Lang::En {
            return text.to_owned();
        }
        if let Some(chinese) = self.exact.get(text) {
            return chinese.clone();
        }
        // A reason inside of another is shorter than the whole.
        let mut found = self.patterns.iter().filter_map(|pattern| {
            pattern.fill(text, |name, value| match name {
                "why" if value.len() < text.len() => self.text(lang, value),
                _ => value.to_owned(),
            })
        });
        found.next().unwrap_or_else(|| text.to_owned())
    }

    /// `t("{n} jobs", n=3)` of a template.
    pub(super) fn call(&self, lang: Lang, key: &str, kwargs: &Kwargs) -> String {
        let names: Vec<&str> = kwargs.args().collect();
        if names.is_empty() {
            return match PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix)) {
                Some(word) => self.text(lang, &word.replace('_', " ")),
                None => self.text(lang, key),
            };
        }
        let mut text = self.key(lang, key).to_owned();
        for name in names {
            if let Ok(value) = kwargs.get::<Value>(name) {
                text = text.replace(&format!("{{{name}}}"), &value.to_string());
            }
        }
        text
    }
}

impl Pattern {
    /// Characters that are not of a placeholder.
    fn own(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + 2).sum();
        self.key.len() - names
    }

    /// The Chinese of this text, if it is of this pattern.
    fn fill(&self, text: &str, value_of: impl Fn(&str, &str) -> String) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut chinese = self.chinese.clone();
        for (at, name) in self.names.iter().enumerate() {
            let value = captures.get(at + 1).map_or("", |found| found.as_str());
            chinese = chinese.replace(&format!("{{{name}}}"), &value_of(name, value));
        }
        Some(chinese)
    }
}

fn pattern(key: &str, chinese: &str) -> anyhow::Result<Pattern> {
    let mut names = Vec::new();
    let mut text = String::from("(?s)^");
    let mut rest = key;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| anyhow::anyhow!("{key:?}: a brace is not closed"))?;
        text.push_str(&regex::escape(before));
        text.push_str("(.+?)");
        names.push(name.to_owned());
        rest = after;
    }
    text.push_str(&regex::escape(rest));
    text.push('$');
    let (key, chinese) = (key.to_owned(), chinese.to_owned());
    Ok(Pattern { key, regex: regex::Regex::new(&text)?, names, chinese })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_exactly_or_by_their_pattern() {
        let json = r#"{"Name": "名称", "at most {n} characters": "最多 {n} 个字符"}"#;
        let catalogue = Catalogue::parse(json).unwrap();
        assert_eq!(catalogue.text(Lang::Zh, "Name"), "名称");
        assert_eq!(catalogue.text(Lang::Zh, "at most 64 characters"), "最多 64 个字符");
        assert_eq!(catalogue.text(Lang::En, "at most 64 characters"), "at most 64 characters");
        assert_eq!(catalogue.text(Lang::Zh, "unknown"), "unknown");
        assert!(Catalogue::parse(r#"{"{n": "x"}"#).is_err());
    }

    #[test]
    fn the_cookie_decides_then_the_browser() {
        let check = |cookie: &str, accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            Lang::of(&headers)
        };
        assert_eq!(check("lang=en", "zh-CN"), Lang::En);
        assert_eq!(check("a=b", "fr, en;q=0.5"), Lang::En);
        assert_eq!(check("a=b", "fr"), Lang::Zh);
    }
}
