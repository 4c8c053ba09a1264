//! The frame around every page: who looks, in which language, with which pages beside it; and the
//! templates.
//!
//! A handler takes a [`Page`] and ends with `page.render("job/list.html", context! { … })`. In
//! templates there are `t("English text")`, `asset("css/app.css")`, the filters `time`, `date`,
//! `duration`, `ago`, `bytes`, and the macros of `macros.html` and `fields.html`.

use super::assets;
use super::auth::{Right, Viewer};
use super::error::{Error, Result};
use super::i18n::{Catalogue, Lang};
use super::zone;
use crate::app::App;
use crate::config::Config;
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse};
use chrono::DateTime;
use chrono_tz::Tz;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use shared::ids::{Millis, ProjectId};

/// One entry of the tree at the left.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Nav {
    pub group: &'static str,
    pub title: &'static str,
    pub href: &'static str,
    /// Class of layui's icon font.
    pub icon: &'static str,
    /// `g` and this letter go there.
    pub key: &'static str,
}

/// The tree, in order: groups are made of neighbours with one name. A page adds its line here.
pub const NAV: &[Nav] = &[
    nav("Overview", "Home", "/", "layui-icon-home", "h"),
    nav("Monitor", "Executions", "/execute/flow/", "layui-icon-chart-screen", "x"),
    nav("Monitor", "Backfills", "/backfill/", "layui-icon-prev", "b"),
    nav("Monitor", "Stale", "/execute/stale/", "layui-icon-refresh", "t"),
    nav("Monitor", "Why?", "/why/", "layui-icon-help", "y"),
    nav("Define", "Interfaces", "/interface/", "layui-icon-template-1", "i"),
    nav("Define", "Jobs", "/job/", "layui-icon-component", "j"),
    nav("Define", "Files", "/browse/", "layui-icon-file", "f"),
    nav("Schedule", "Dispatches", "/dispatch/", "layui-icon-release", "d"),
    nav("Schedule", "Calendar", "/dispatch/calendar/", "layui-icon-date", "c"),
    nav("Schedule", "Working days", "/calendar/", "layui-icon-flag", "w"),
    nav("Base", "Exec hosts", "/base/exec/host/", "layui-icon-engine", "s"),
    nav("Base", "Projects", "/base/project/", "layui-icon-group", "p"),
];

const fn nav(
    group: &'static str,
    title: &'static str,
    href: &'static str,
    icon: &'static str,
    key: &'static str,
) -> Nav {
    Nav { group, title, href, icon, key }
}

/// The entry whose page this is: the longest that leads to it.
fn here(path: &str) -> &'static str {
    let leads = |href: &&str| path == *href || (*href != "/" && path.starts_with(*href));
    NAV.iter().map(|nav| nav.href).filter(leads).max_by_key(|href| href.len()).unwrap_or_default()
}

/// Everything a page's handler needs: an extractor.
#[derive(Clone, Debug)]
pub struct Page {
    pub app: App,
    /// None on the login page, and where an error is told to a stranger.
    viewer: Option<Viewer>,
    pub lang: Lang,
    dark: Option<bool>,
    pub uri: Uri,
}

impl FromRequestParts<App> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Page, Error> {
        let mut page = Page::anonymous(app, parts);
        page.viewer = parts.extensions.get::<Viewer>().cloned();
        Ok(page)
    }
}

impl Page {
    pub(super) fn anonymous(app: &App, parts: &Parts) -> Page {
        let theme = super::auth::cookie(&parts.headers, "theme");
        Page {
            app: app.clone(),
            viewer: None,
            lang: Lang::of(&parts.headers),
            dark: theme.map(|theme| theme == "dark"),
            uri: parts.uri.clone(),
        }
    }

    /// # Errors
    /// Nobody is logged in; the gate of every route but the public ones has seen to it.
    pub fn viewer(&self) -> Result<&Viewer, Error> {
        self.viewer.as_ref().ok_or_else(Error::login)
    }

    /// Where new definitions go.
    ///
    /// # Errors
    /// As [`Page::viewer`]; who looks may make none there: nobody is to fill in a form for nothing.
    pub fn project(&self, right: Right) -> Result<ProjectId, Error> {
        let viewer = self.viewer()?;
        let project = viewer.place(right);
        viewer.must(right, project)?;
        Ok(project)
    }

    /// Those that the viewer sees, by id: the choice in the frame.
    fn projects(&self) -> Vec<(i64, String)> {
        let Some(viewer) = &self.viewer else { return Vec::new() };
        let known = self.app.known_catalog();
        let seen = known.projects.iter().filter(|(id, _)| viewer.sees(**id));
        seen.map(|(id, project)| (id.0, project.name.clone())).collect()
    }

    /// A key of the catalogue in the viewer's language.
    pub fn t<'a>(&'a self, key: &'a str) -> &'a str {
        self.app.templates.catalogue.key(self.lang, key)
    }

    /// # Errors
    /// The template is broken.
    pub fn html(&self, template: &str, context: Value) -> anyhow::Result<String> {
        let viewer = self.viewer.as_ref();
        let rights: Vec<&str> = Right::ALL
            .iter()
            .filter(|right| viewer.is_some_and(|it| it.may(**right, it.place(**right))))
            .map(|right| right.word())
            .collect();
        let zone = viewer.map_or_else(|| zone::of_server(&self.app.config), |viewer| viewer.zone);
        let frame = context! {
            today => zone::day(self.app.clock.wall_ms(), zone).to_string(),
            own_zone => zone.name(),
            lang => self.lang.word(),
            dark => self.dark,
            // `//host` would lead elsewhere as a link.
            path => Some(self.uri.path()).filter(|path| !path.starts_with("//")).unwrap_or("/"),
            query => self.uri.query().unwrap_or_default(),
            viewer => viewer.map(|viewer| {
                context! { name => viewer.name.as_str(), title => viewer.title.as_str() }
            }),
            rights => rights,
            projects => self.projects(),
            scope => viewer.and_then(|viewer| viewer.scope).map(|scope| scope.0),
            nav => Serde(NAV), here => here(self.uri.path()),
            zone => self.app.config.web.zone.as_str(),
            away => super::away::shown(&self.app, viewer),
            now_ms => self.app.clock.wall_ms(),
            texts => self.app.templates.script_texts(self.lang),
            reasons => self.app.templates.script_reasons(self.lang),
        };
        let env = self.app.templates.of(self.lang);
        let template = env.get_template(template)?;
        Ok(template.render(context! { ..context, ..frame })?)
    }

    /// # Errors
    /// The template is broken.
    pub fn render(&self, template: &str, context: Value) -> Result {
        Ok(Html(self.html(template, context)?).into_response())
    }
}

/// All templates, once per language: so macros too know which one they speak.
#[derive(Debug)]
pub struct Templates {
    chinese: Environment<'static>,
    english: Environment<'static>,
    pub catalogue: Catalogue,
    /// What scripts say, as JSON: key → Chinese.
    script_texts: String,
    /// The engine's reasons for scripts: pairs, in the order in which they are tried.
    script_reasons: String,
}

impl Templates {
    /// # Errors
    /// The catalogue or a template is broken.
    pub fn load(config: &Config) -> anyhow::Result<Templates> {
        let json = assets::template("i18n/zh.json")
            .ok_or_else(|| anyhow::anyhow!("templates/i18n/zh.json is not there"))?;
        let catalogue = Catalogue::parse(&json)?;
        let zone = zone::of_server(config);
        Ok(Templates {
            chinese: environment(Lang::Zh, &catalogue, zone)?,
            english: environment(Lang::En, &catalogue, zone)?,
            script_texts: script_texts(&catalogue),
            script_reasons: in_script(&catalogue.reasons()),
            catalogue,
        })
    }

    fn script_texts(&self, lang: Lang) -> Value {
        Value::from_safe_string(match lang {
            Lang::Zh => self.script_texts.clone(),
            Lang::En => "{}".into(),
        })
    }

    fn script_reasons(&self, lang: Lang) -> Value {
        Value::from_safe_string(match lang {
            Lang::Zh => self.script_reasons.clone(),
            Lang::En => "[]".into(),
        })
    }

    pub fn of(&self, lang: Lang) -> &Environment<'static> {
        match lang {
            Lang::Zh => &self.chinese,
            Lang::En => &self.english,
        }
    }
}

/// Keys in `t('…')` of our own scripts.
pub fn script_keys() -> Vec<String> {
    let call = regex::Regex::new(r"\bt\('((?:[^'\\]|\\.)*)'").expect("a fixed expression");
    let mut keys: Vec<String> = assets::scripts()
        .iter()
        .flat_map(|text| call.captures_iter(text).map(|found| found[1].replace("\\'", "'")))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn script_texts(catalogue: &Catalogue) -> String {
    let texts: std::collections::BTreeMap<String, String> = script_keys()
        .into_iter()
        .map(|key| (key.clone(), catalogue.key(Lang::Zh, &key).to_owned()))
        .collect();
    in_script(&texts)
}

/// JSON inside of <script>: `<` would end it.
fn in_script(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}

fn environment(lang: Lang, texts: &Catalogue, zone: Tz) -> anyhow::Result<Environment<'static>> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // Escaping is on for every `.html`; nothing else is rendered here.
    if cfg!(debug_assertions) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates");
        env.set_loader(minijinja::path_loader(folder));
    } else {
        for name in assets::templates().into_iter().filter(|name| name.ends_with(".html")) {
            let text = assets::template(&name).unwrap_or_default();
            env.add_template_owned(name, text)?;
        }
    }
    let catalogue = texts.clone();
    env.add_function("t", move |key: &str, kwargs: Kwargs| catalogue.call(lang, key, &kwargs));
    let catalogue = texts.clone();
    env.add_filter("why", move |text: Option<&str>| {
        text.map(|text| catalogue.reason(lang, text)).unwrap_or_default()
    });
    env.add_function("asset", |path: &str| assets::address(path));
    env.add_function("state_shape", |word: &str| shape(word));
    env.add_filter("time", move |at: Option<Millis>| time(at, zone, "%Y-%m-%d %H:%M:%S"));
    env.add_filter("minute", move |at: Option<Millis>| time(at, zone, "%m-%d %H:%M"));
    env.add_filter("duration", |ms: Option<Millis>| ms.map(duration).unwrap_or_default());
    env.add_filter("bytes", |bytes: u64| size(bytes));
    env.add_filter("urlencode", |text: &str| super::error::form_urlencoded(text));
    Ok(env)
}

/// `<time>` in the server's zone; `time.js` writes it in the viewer's. What was there from the beginning
/// (project 1) has the time 0, which is none.
fn time(at: Option<Millis>, zone: Tz, format: &str) -> Value {
    let Some(utc) = at.filter(|at| *at != 0).and_then(DateTime::from_timestamp_millis) else {
        return Value::from_safe_string("<span class=\"none\">–</span>".into());
    };
    let local = utc.with_timezone(&zone);
    Value::from_safe_string(format!(
        "<time datetime=\"{}\" title=\"{} {}\">{}</time>",
        utc.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        local.format("%Y-%m-%d %H:%M:%S %:z"),
        zone.name(),
        local.format(format),
    ))
}

/// `3m 12s`; two units are enough.
pub fn duration(ms: Millis) -> String {
    let seconds = ms.max(0) / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if ms < 1_000 => format!("{}ms", ms.max(0)),
        (0, 0, 0) if ms < 10_000 => format!("{}.{}s", seconds, ms.max(0) % 1000 / 100),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if tenths >= 1000 => format!("{} {}", tenths / 10, UNITS[unit]),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// State is colour, shape and word: this is the shape.
pub fn shape(state: &str) -> &'static str {
    match state {
        "ready" => "○",
        "waiting" => "◔",
        "queued" => "◑",
        "assigned" => "◌",
        "running" => "●",
        "stopping" => "◒",
        "unknown" => "?",
        "succeeded" => "✓",
        "failed" => "✕",
        "timed_out" => "⧖",
        "skipped" => "⊘",
        "left_out" => "⊖",
        "paused" => "‖",
        "stopped" => "■",
        "up" | "active" | "ended" => "✓",
        "cancelled" => "⊘",
        "silent" | "refused" => "✕",
        "never" => "○",
        "draining" | "frozen" | "blackout" | "holiday" => "‖",
        _ => "·",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_of_the_tree_is_here() {
        assert_eq!((here("/"), here("/account/")), ("/", ""));
        assert_eq!((here("/dispatch/"), here("/dispatch/7/edit/")), ("/dispatch/", "/dispatch/"));
        assert_eq!(here("/dispatch/calendar/"), "/dispatch/calendar/");
    }

    #[test]
    fn no_time_is_a_dash() {
        let shown = |at| time(at, Tz::UTC, "%Y-%m-%d %H:%M:%S").to_string();
        assert!(shown(Some(1)).contains("1970-01-01 00:00:00"));
        for none in [None, Some(0)] {
            assert_eq!(shown(none), "<span class=\"none\">–</span>");
        }
    }

    #[test]
    fn durations_and_sizes_are_short() {
        assert_eq!((duration(0), duration(95)), ("0ms".into(), "95ms".into()));
        assert_eq!(duration(1_234), "1.2s");
        assert_eq!(duration(192_000), "3m 12s");
        assert_eq!(duration(3_720_000), "1h 02m");
        assert_eq!(duration(90_000_000), "1d 01h");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(500 * 1024 * 1024 * 1024), "500 GiB");
    }
}
