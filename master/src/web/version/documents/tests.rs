//! What is exported is taken back unchanged: every field of every definition, and every text.

use super::super::named::written;
use super::{SILENCE, yaml};
use crate::engine::catalog::{Catalog, Project};
use crate::web::api::apply::diff::{Action, changes};
use crate::web::api::apply::documents::{Document, items};
use crate::web::api::apply::resolve::{Ids, Resolved, resolve};
use crate::web::api::export;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use serde_yaml_ng::Mapping;
use shared::calendar::CalendarSpec;
use shared::ids::*;
use shared::spec::*;
use std::sync::Arc;

fn empty() -> Catalog {
    let project = |name: &str| Arc::new(Project { name: name.into(), ..Project::default() });
    let projects = [(ProjectId(1), project("default")), (ProjectId(2), project("other"))];
    Catalog { projects: projects.into(), pools: [(PoolId(9), 1)].into(), ..Catalog::default() }
}

fn apply(catalog: &Catalog, documents: Vec<Value>) -> Resolved {
    let ids = Ids { host: 50, calendar: 50, interface: 50, job: 50, dispatch: 50 };
    let documents: Vec<Document> = serde_json::from_value(Value::Array(documents)).unwrap();
    resolve(catalog, items(documents).unwrap(), ids).unwrap()
}

/// As `hcndc apply` reads a file.
fn read(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let values = documents.map(|one| serde_yaml_ng::Value::deserialize(one).unwrap());
    values.map(|value| serde_json::to_value(value).unwrap()).collect()
}

fn exported(catalog: &Catalog) -> String {
    yaml(&export::all(catalog, |_| true)).unwrap()
}

/// Applied where it came from nothing changes; applied to nothing, and exported again, it is the same
/// to the byte.
fn goes_round(documents: Vec<Value>) -> Catalog {
    let made = apply(&empty(), documents).catalog;
    let text = exported(&made);
    let again = apply(&made, read(&text));
    let count = made.hosts.len()
        + made.calendars.len()
        + made.dispatches.len()
        + made.interfaces.values().map(|it| 1 + it.jobs.len()).sum::<usize>();
    let changes = changes(&made, &again);
    let other: Vec<_> = changes.iter().filter(|change| change.action != Action::None).collect();
    assert!(other.is_empty(), "{other:?}\n{text}");
    assert_eq!(changes.len(), count, "all of it is in the file\n{text}");
    assert_eq!(exported(&apply(&empty(), read(&text)).catalog), text);
    made
}

/// Every field says something else than by default.
fn full() -> [(&'static str, Value); 5] {
    let params = json!({"a": "1=2", "b": ""});
    [
        (
            "interface",
            json!({
                "description": "d", "catalog": "c", "owner": "o", "granularity": "hour", "zone": "UTC",
                "calendar": "banks", "parents": [{"interface": "before", "map": {"previous": 2}}, {"interface": "before"}],
                "on_failure": "stop", "self_dependence": "idle", "priority": -5, "frozen": true,
                "wait_timeout_s": 5400, "alarm_after_s": 3600, "stop_after_s": 7200, "params": params,
            }),
        ),
        (
            "job",
            json!({
                "description": "d", "catalog": "c", "owner": "o", "kind": "shell",
                "fields": {"use_shell": true, "script": "  x\n\n y\n", "args": ["-k", " 2 ", "a,b"],
                    "env": {"A": "1=2"}, "success_codes": [0, 3], "output_max_mib": 5, "dir": "/"},
                "after": [{"job": "first", "expect": "done"}, {"job": "other"}], "join": "any",
                "needs": [{"interface": "before", "job": "first", "map": {"offset": -1}}],
                "place": {"hosts": ["one"], "labels": ["gpu"], "slots": 2, "pools": [9]},
                "policy": {"attempts_max": 3, "timeout_s": 3600, "kill_grace_s": 5,
                    "backoff": {"delay_s": 5, "factor": 1, "delay_max_s": 60},
                    "on_lost": "retry", "on_unknown": "fail"},
                "environment": "java-17", "limits": {"memory_mib": 512, "open_files": 64, "processes": 9},
                "priority": 4, "frozen": true, "params": params,
            }),
        ),
        (
            "dispatch",
            json!({
                "description": "d", "cron": "30 2 * * MON-FRI", "zone": "UTC", "period_offset": 2,
                "cascade": false, "misfire": {"within": 7200}, "late_s": 90,
                "overlap": {"parallel": 3}, "days": {"calendar": "banks", "on": "resting"},
                "blackouts": ["22:00-02:00", "08:00-09:00 FRI"],
                "from_ms": 1_795_230_000_000_i64, "until_ms": 1_795_316_400_000_i64, "params": params,
            }),
        ),
        (
            "host",
            json!({
                "description": "d", "address": "127.0.0.1:7701", "slots": 3, "weight": 5,
                "labels": ["gpu", "a=b"], "draining": true,
            }),
        ),
        (
            "calendar",
            json!({
                "description": "d", "rest": ["FRI"], "holidays": {"2026-10-01": "National Day"},
                "workdays": {"2026-10-09": ""},
            }),
        ),
    ]
}

/// What a type is asked for when it is given a field that it does not know. Empty: it takes any.
fn known_fields<T: DeserializeOwned>(spec: &Value) -> Vec<String> {
    let Err(error) = serde_json::from_value::<T>(spec.clone()) else { return Vec::new() };
    let said = error.to_string();
    if !said.contains("unknown field") {
        return Vec::new(); // a map by date takes any of those
    }
    let (_, list) = said.split_once("expected ").unwrap_or_else(|| panic!("{said}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All places of a value that are maps, by JSON pointer.
fn maps(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (name, below) in fields {
                maps(&format!("{at}/{name}"), below, found);
            }
        }
        Value::Array(items) => {
            for (index, below) in items.iter().enumerate() {
                maps(&format!("{at}/{index}"), below, found);
            }
        }
        _ => {}
    }
}

/// Every field that the type declares, however deep, is in the sample: a field that is added later and
/// not there fails here, and one that is there and not exported fails in the test of the round.
fn covers<T: DeserializeOwned + Serialize>(mut sample: Value, silence: &Mapping) {
    // Ids where documents have names.
    let numbers = |value: &mut Value, list: &str, names: &[&str]| {
        for element in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            match element {
                Value::Object(fields) => {
                    for name in
                        names.iter().filter(|name| fields.contains_key(**name)).collect::<Vec<_>>()
                    {
                        fields.insert((*name).to_string(), 7.into());
                    }
                }
                other => *other = 7.into(),
            }
        }
    };
    numbers(&mut sample, "parents", &["interface"]);
    numbers(&mut sample, "after", &["job"]);
    numbers(&mut sample, "needs", &["interface", "job"]);
    if let Some(place) = sample.get_mut("place") {
        numbers(place, "hosts", &[]);
    }
    serde_json::from_value::<T>(sample.clone()).unwrap();
    let mut places = Vec::new();
    maps("", &sample, &mut places);
    for place in places {
        let mut odd = sample.clone();
        let fields = odd.pointer_mut(&place).and_then(Value::as_object_mut).unwrap();
        fields.insert("no such field".into(), Value::Null);
        let said = &sample.pointer(&place).and_then(Value::as_object).unwrap();
        // Of a list it is enough that one element says it.
        let list = place.rsplit_once('/').filter(|(_, last)| last.parse::<usize>().is_ok());
        let all = list.and_then(|(list, _)| sample.pointer(list)).and_then(Value::as_array);
        for field in known_fields::<T>(&odd) {
            let elsewhere = all.is_some_and(|all| all.iter().any(|one| one.get(&field).is_some()));
            assert!(said.contains_key(&field) || elsewhere, "{place}/{field} is not in the sample");
        }
    }
    let silence = serde_json::to_value(silence).unwrap();
    differs("", &sample, &silence);
}

fn differs(at: &str, said: &Value, silent: &Value) {
    let (Value::Object(said), Value::Object(silent)) = (said, silent) else {
        assert_ne!(said, silent, "{at} is what goes without saying");
        return;
    };
    for (name, value) in said {
        let none = Value::Null;
        differs(&format!("{at}/{name}"), value, silent.get(name).unwrap_or(&none));
    }
}

#[test]
fn the_samples_have_every_field() {
    let [(_, mut interface), (_, job), (_, mut dispatch), (_, host), (_, calendar)] = full();
    interface["calendar"] = 7.into();
    dispatch["days"]["calendar"] = 7.into();
    covers::<InterfaceSpec>(interface, &SILENCE.interface);
    covers::<JobSpec>(job, &SILENCE.job);
    dispatch["interface"] = 7.into();
    covers::<DispatchSpec>(dispatch, &SILENCE.dispatch);
    covers::<HostSpec>(host, &SILENCE.host);
    covers::<CalendarSpec>(calendar, &SILENCE.calendar);
}

fn named(name: &str, spec: &Value) -> Value {
    let mut inline: Map<String, Value> = spec.as_object().unwrap().clone();
    inline.insert("name".into(), name.into());
    Value::Object(inline)
}

#[test]
fn every_field_goes_round() {
    let [(_, mut interface), (_, job), (_, dispatch), (_, host), (_, calendar)] = full();
    // Hours have no calendar: a daily one has.
    let banks = interface.as_object_mut().unwrap().remove("calendar");
    let first = json!({"kind": "shell", "fields": {"program": "true"}});
    let other = json!({"kind": "shell", "fields": {"program": "true"}, "needs": ["before/first"]});
    let made = goes_round(vec![
        json!({"kind": "host", "name": "one", "project": "default", "spec": host}),
        json!({"kind": "calendar", "name": "banks", "spec": calendar}),
        json!({"kind": "calendar", "name": "banks", "project": "other"}),
        json!({"kind": "interface", "name": "days", "spec": {"calendar": banks}}),
        json!({"kind": "interface", "name": "before", "jobs": [named("first", &first)],
            "spec": {"granularity": "hour"}}),
        json!({"kind": "interface", "name": "full", "spec": interface,
            "jobs": [named("first", &first), named("other", &other), named("full", &job)],
            "dispatches": [named("full", &dispatch)]}),
        // Another project has names of its own.
        json!({"kind": "interface", "name": "full", "project": "other",
            "jobs": [named("first", &first)], "dispatches": [named("full", &dispatch)]}),
    ]);
    // And it is what was said, not only the same nothing each time.
    let full = made.interfaces.values().find(|it| it.name == "full").unwrap();
    assert_eq!(written(&full.spec).get("wait_timeout_s"), Some(&5400.into()));
    let job = full.jobs.iter().find(|job| job.name == "full").unwrap();
    assert_eq!((job.spec.after.len(), job.spec.policy.timeout_s), (2, Some(3600)));
    assert_eq!(job.spec.fields["script"], "  x\n\n y\n");
    assert_eq!(made.dispatches.len(), 2);
}

/// Texts that YAML could take for something else.
const TEXTS: &[&str] = &[
    "",
    " lead",
    "trail ",
    "a\nb\n",
    "\n\n",
    "\n lead\n",
    "a\n  b",
    "null",
    "true",
    "No",
    "5",
    "1e3",
    "0x1F",
    "1_000",
    "~",
    "- x",
    "# no",
    "x # no",
    "a: b",
    "a:",
    "'q' \"d\"",
    "\ttab",
    "tab\t",
    "账期",
    "a\r\nb",
    "\r",
    "\u{85}x",
    "x\u{2028}y",
    "\u{feff}bom",
    "\u{7f}",
    "\u{1}",
    "|",
    "> fold",
    "---",
    "--- x",
    "...",
    "%YAML 1.2",
    "@at",
    "`tick",
    "&anchor",
    "*alias",
    "!tag",
    "? q",
    "12:30:45",
    "2026-11-20",
    "=1",
    "<<",
    "{a: b}",
    "[a]",
    "\\n",
    "\u{1f600}",
    "line\n---\nkind: host\n",
];

/// A small generator: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len())]
    }

    fn text(&mut self) -> String {
        match self.roll(8) {
            0 => format!("{}{}", self.pick(TEXTS), self.pick(TEXTS)),
            1 => self.pick(TEXTS).repeat(40),
            _ => (*self.pick(TEXTS)).to_owned(),
        }
    }
}

fn generated_job(dice: &mut Dice, (interface, at): (usize, usize)) -> Value {
    let mut spec = json!({
        "kind": "shell", "description": dice.text(), "owner": dice.pick(&["", "ann", "5", "null"]),
        "fields": {"program": "true", "args": [dice.text(), dice.text()],
            "env": {"A": dice.text(), "null": dice.text()}},
        "params": {"p": dice.text()}, "join": dice.pick(&["all", "any"]),
        "priority": dice.roll(9), "frozen": dice.roll(2) == 0,
        "policy": {"attempts_max": 1 + dice.roll(3), "on_unknown": dice.pick(&["hold", "fail", "retry"])},
    });
    let edge = |dice: &mut Dice, job: usize| {
        let expect = dice.pick(&["success", "failure", "done"]);
        json!({"job": job_name(job), "expect": expect})
    };
    let after: Vec<usize> = (0..at).filter(|_| dice.roll(2) == 0).collect();
    spec["after"] = after.into_iter().rev().map(|job| edge(dice, job)).collect();
    if interface > 0 && dice.roll(2) == 0 {
        let maps = [json!("same"), json!({"previous": 3}), json!({"offset": -2})];
        let map = dice.pick(&maps);
        let of = interface_name(dice.roll(interface));
        spec["needs"] = json!([{"interface": of, "job": job_name(0), "map": map}]);
    }
    named(&job_name(at), &spec)
}

fn interface_name(at: usize) -> String {
    ["null", "5", "a: b", "- x", "账期", "~", "1e3", "true"][at % 8].to_owned()
        + &"x".repeat(at / 8)
}

fn job_name(at: usize) -> String {
    // Backwards by name: they are to follow each other as their edges say.
    format!("{}", 9 - at)
}

#[test]
fn a_generated_mesh_goes_round() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut documents = Vec::new();
        for interface in 0..1 + dice.roll(9) {
            let parents: Vec<usize> = (0..interface).filter(|_| dice.roll(3) == 0).collect();
            let parents: Vec<Value> = parents
                .into_iter()
                .map(|parent| match dice.roll(2) {
                    0 => interface_name(parent).into(),
                    _ => json!({"interface": interface_name(parent), "map": {"offset": -1}}),
                })
                .collect();
            let jobs: Vec<Value> =
                (0..1 + dice.roll(5)).map(|at| generated_job(&mut dice, (interface, at))).collect();
            let spec = json!({"description": dice.text(), "parents": parents,
                "params": {"x": dice.text(), "true": dice.text()}});
            let cron = json!({"cron": "0 2 * * *", "description": dice.text(),
                "misfire": dice.pick(&[json!("all"), json!("none"), json!({"within": 9})])});
            let dispatches = [named(&format!("{interface}"), &cron)];
            documents.push(json!({"kind": "interface", "name": interface_name(interface),
                "spec": spec, "jobs": jobs, "dispatches": dispatches}));
        }
        goes_round(documents);
    }
}

#[test]
fn what_goes_without_saying_is_not_said() {
    let shell = json!({"kind": "shell", "fields": {"program": "true"}, "priority": 0});
    let mut last = named("a", &shell);
    last["after"] = json!([{"job": "z", "expect": "success"}]);
    last["needs"] = json!([{"interface": "before", "job": "z", "map": "same"}]);
    let made = apply(
        &empty(),
        vec![
            json!({"kind": "interface", "name": "before", "jobs": [named("z", &shell)]}),
            json!({"kind": "interface", "name": "it", "jobs": [last, named("z", &shell)],
                "spec": {"parents": [{"interface": "before", "map": "same"}]},
                "dispatches": [{"name": "d", "cron": "0 2 * * *", "cascade": true}]}),
        ],
    );
    let expected = "\
kind: interface
name: before
jobs:
- name: z
  kind: shell
  fields:
    program: 'true'
---
kind: interface
name: it
spec:
  parents:
  - before
jobs:
- name: z
  kind: shell
  fields:
    program: 'true'
- name: a
  kind: shell
  fields:
    program: 'true'
  after:
  - z
  needs:
  - before/z
dispatches:
- name: d
  cron: 0 2 * * *
";
    assert_eq!(exported(&made.catalog), expected);
}
