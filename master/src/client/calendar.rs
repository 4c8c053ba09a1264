//! `hcndc dispatch calendar`: how often dispatches fire in each hour of a month.

use super::api::Api;
use super::show::{self, Kind};
use super::{Code, Done, counted, print, print_json};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum DispatchVerb {
    /// How often dispatches fire in each hour of a month, by their rules as they are now.
    Calendar(Options),
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Such as 2026-11; without it this month.
    #[arg(long)]
    month: Option<String>,
    /// Whose days and hours; without it the server's.
    #[arg(long)]
    zone: Option<String>,
    /// Only dispatches of this one.
    #[arg(long)]
    interface: Option<String>,
    /// Only this one.
    #[arg(long)]
    dispatch: Option<String>,
}

pub(super) async fn calendar(api: &Api, json: bool, options: Options) -> Done {
    let mut query = Vec::new();
    for (name, text) in [("month", options.month), ("zone", options.zone)] {
        query.extend(text.map(|text| (name, text)));
    }
    let named = [
        ("interface", Kind::Interface, options.interface),
        ("dispatch", Kind::Dispatch, options.dispatch),
    ];
    for (key, kind, name) in named {
        if let Some(name) = name {
            query.push((key, show::id_of(api, kind, &name).await?.to_string()));
        }
    }
    let query: Vec<(&str, &str)> = query.iter().map(|(name, text)| (*name, &**text)).collect();
    let told = api.get("/api/v1/dispatches/calendar", &query).await?;
    if json {
        print_json(&told);
        return Ok(Code::Ok);
    }
    let days = told["days"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |name: &str| days.iter().filter_map(|day| day[name].as_u64()).sum::<u64>();
    let place = |name: &str| show::place(&told, name);
    print(&format!(
        "{} in {}: {} of {}; {}",
        place("/month"),
        place("/zone"),
        counted(sum("firings"), "firing", "firings"),
        counted(told["dispatches"].as_u64().unwrap_or(0), "dispatch", "dispatches"),
        counted(sum("held"), "more starts nothing", "more start nothing"),
    ));
    if told["uncounted"].as_u64() > Some(0) {
        print(&format!("{} dispatches are not counted: ask again", told["uncounted"]));
    }
    let columns: Vec<(String, String)> =
        (0..24).map(|hour| (format!("{hour:02}"), format!("/hours/{hour}"))).collect();
    let mut heads = vec![("DAY", "/day"), ("SUM", "/firings")];
    heads.extend(columns.iter().map(|(head, at)| (head.as_str(), at.as_str())));
    show::table(&heads, &days.iter().map(line).collect::<Vec<_>>());
    Ok(Code::Ok)
}

/// By the hour of the clock: one that comes twice is one, one that is left out is empty.
fn line(day: &Value) -> Value {
    let mut hours = vec![Value::from(""); 24];
    for hour in day["hours"].as_array().into_iter().flatten() {
        let at = hour["hour"].as_u64().and_then(|at| usize::try_from(at).ok());
        if let Some(shown) = at.and_then(|at| hours.get_mut(at)) {
            let count = shown.as_u64().unwrap_or(0) + hour["firings"].as_u64().unwrap_or(0);
            *shown = if count == 0 { ".".into() } else { count.into() };
        }
    }
    json!({ "day": day["day"], "firings": day["firings"], "hours": hours })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_hours_of_the_clock() {
        let hour = |hour, firings| json!({ "hour": hour, "firings": firings });
        let day = json!({ "day": "2026-10-25", "firings": 6,
            "hours": [hour(0, 0), hour(2, 2), hour(2, 3), hour(4, 1)] });
        let line = line(&day);
        let shown: Vec<&Value> = (0..5).map(|at| &line["hours"][at]).collect();
        assert_eq!(shown, [&json!("."), &json!(""), &json!(5), &json!(""), &json!(1)]);
    }
}
