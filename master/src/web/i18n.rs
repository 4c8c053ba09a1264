//! Two languages from one catalogue: the key is the English text, `templates/i18n/zh.json` has the
//! Chinese. A text that was put together (an error with a number in it) is found by its pattern:
//! the key `must be at most {n} characters`.

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

/// English → Chinese.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    exact: Arc<HashMap<String, String>>,
    patterns: Arc<Vec<Pattern>>,
}

/// `before {name} between {other} after`, both ways.
#[derive(Clone, Debug)]
struct Pattern {
    regex: regex::Regex,
    names: Vec<String>,
    chinese: String,
}

impl Catalogue {
    /// # Errors
    /// The text is no JSON object of texts.
    pub fn parse(json: &str) -> anyhow::Result<Catalogue> {
        let exact: HashMap<String, String> = serde_json::from_str(json)?;
        let mut patterns = Vec::new();
        for (key, chinese) in exact.iter().filter(|(key, _)| key.contains('{')) {
            patterns.push(pattern(key, chinese)?);
        }
        // The longest first: the most exact one.
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.regex.as_str().len()));
        Ok(Catalogue { exact: Arc::new(exact), patterns: Arc::new(patterns) })
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
        let found = self.patterns.iter().find_map(|pattern| {
            let captures = pattern.regex.captures(text)?;
            let mut chinese = pattern.chinese.clone();
            for (at, name) in pattern.names.iter().enumerate() {
                let value = captures.get(at + 1).map_or("", |found| found.as_str());
                chinese = chinese.replace(&format!("{{{name}}}"), value);
            }
            Some(chinese)
        });
        found.unwrap_or_else(|| text.to_owned())
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
    Ok(Pattern { regex: regex::Regex::new(&text)?, names, chinese: chinese.to_owned() })
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
