//! The sample mesh, from its files to its report, whose totals are computed here a second time.

use crate::rig::{Cluster, command};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/sample").canonicalize().unwrap()
}

/// flights, cancelled, more than 15 minutes late, sum of departure delays, flights by origin.
fn totals(days: RangeInclusive<u32>) -> (i64, i64, i64, i64, BTreeMap<String, i64>) {
    let source = sample().join("data/flights-2013-01.csv.gz");
    let unpacked = command(Path::new("gzip")).arg("-dc").arg(source).output().unwrap().stdout;
    let text = String::from_utf8(unpacked).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|it| *it == name).unwrap();
    let (on, delay, origin) = (column("day"), column("dep_delay"), column("origin"));
    let (mut all, mut cancelled, mut late, mut sum) = (0, 0, 0, 0);
    let mut by_origin = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        if !days.contains(&fields[on].parse::<u32>().unwrap()) {
            continue;
        }
        all += 1;
        match fields[delay].parse::<i64>() {
            Ok(minutes) => {
                late += i64::from(minutes > 15);
                sum += minutes;
                *by_origin.entry(fields[origin].to_owned()).or_default() += 1;
            }
            Err(_) => cancelled += 1,
        }
    }
    (all, cancelled, late, sum, by_origin)
}

#[test]
fn a_period_of_real_flights_from_file_to_report() {
    let cluster = Cluster::start();
    let (home, work) = (sample(), cluster.path("work"));
    let (home, work) = (home.display().to_string(), work.display().to_string());
    let params = [format!("home={home}"), format!("work={work}")];
    let apply = ["apply", "-f", &home, "--param", &params[0], "--param", &params[1]];

    let mut dry: Vec<&str> = apply.to_vec();
    dry.push("--dry-run");
    let shown = cluster.hcndc(&dry).is(0).out;
    assert!(
        shown.contains("+ interface flights_load") && shown.contains("would change"),
        "{shown}"
    );
    assert_eq!(
        cluster.hcndc(&["get", "interface", "-o", "json"]).is(0).json()["items"],
        Value::Array(vec![])
    );

    let said = cluster.hcndc(&apply).is(0).out;
    assert!(said.ends_with("changed, 0 unchanged\n"), "{said}");
    let again = cluster.hcndc(&apply).is(0).out;
    assert!(again.starts_with("0 changed"), "{again}");
    assert!(cluster.hcndc(&["get", "job"]).is(0).out.contains("flights_aggregate  carrier_names"));
    assert!(cluster.hcndc(&["get", "dispatch"]).is(0).out.contains("30 2 * * *"));

    // Day of month 20: 20 January 2013.
    let run = ["run", "flights_load", "--period", "2026-11-20", "--cascade", "--wait"];
    let said = cluster.hcndc(&run).is(0);
    assert!(said.out.contains("flights_report") && said.out.contains("succeeded"), "{}", said.out);

    let dir = cluster.path("work/2026-11-20");
    let told = std::fs::read_to_string(dir.join("totals.csv")).unwrap();
    let (all, cancelled, late, sum, by_origin) = totals(20..=20);
    assert_eq!(told.trim(), format!("{all},{},{cancelled},{late},{sum}", all - cancelled));
    let origins = std::fs::read_to_string(dir.join("by_origin.csv")).unwrap();
    for (origin, flights) in by_origin {
        assert!(
            origins.lines().any(|it| it.starts_with(&format!("{origin},{flights},"))),
            "{origins}"
        );
    }
    let report = std::fs::read_to_string(cluster.path("work/reports/2026-11-20.txt")).unwrap();
    assert!(report.contains(&format!("flights {all}, operated")), "{report}");
    assert!(report.contains("JetBlue Airways"), "{report}");

    // One job failed once, and was tried again; its log is there, out and err told apart.
    let list = cluster.hcndc(&["execution", "list", "-o", "json"]).is(0).json();
    assert_eq!(list["items"][0]["state"], "succeeded");
    let id = list["items"][0]["id"].as_str().unwrap();
    let shown = cluster.hcndc(&["execution", "show", id, "-o", "json"]).is(0).json();
    let runs = shown["runs"].as_array().unwrap();
    let (months, days): (Vec<&Value>, Vec<&Value>) =
        runs.iter().partition(|run| run["period"] == "2026-11");
    let jobs: Vec<&Value> = days.iter().flat_map(|run| run["jobs"].as_array().unwrap()).collect();
    assert_eq!(jobs.len(), 4 + 4 + 6 + 3);
    // The month waits for its other days.
    assert_eq!((months.len(), &months[0]["state"]), (1, &"waiting".into()));
    for job in &jobs {
        let tries = if job["name"] == "source_ready" { 2 } else { 1 };
        assert_eq!((&job["state"], &job["number"]), (&"succeeded".into(), &tries.into()), "{job}");
    }
    let log = cluster.hcndc(&["log", id, "source_ready"]).is(0);
    assert!(log.out.contains("is whole") && log.err.is_empty(), "{log:?}");
    let followed = cluster.hcndc(&["log", id, "flights_report/report", "-f"]).is(0);
    assert!(followed.out.contains("JetBlue Airways"), "{followed:?}");

    // What has succeeded is not run again when only what is missing is asked for.
    let ids = |shown: &Value| -> Vec<Value> {
        shown["runs"].as_array().unwrap().iter().map(|run| run["id"].clone()).collect()
    };
    let mut missing = run.to_vec();
    missing.extend(["--missing-only", "-o", "json"]);
    let satisfied = cluster.hcndc(&missing).is(0).json();
    assert_eq!((&satisfied["state"], ids(&satisfied)), (&"succeeded".into(), ids(&shown)));
    assert_ne!(satisfied["id"], id);
}

/// Across granularities: the month begins when the last of its days is there, whatever their order.
#[test]
fn a_month_of_real_flights_waits_for_all_its_days() {
    let cluster = Cluster::start();
    let (home, work) = (sample(), cluster.path("work"));
    let (home, work) = (home.display().to_string(), work.display().to_string());
    let params = [format!("home={home}"), format!("work={work}")];
    cluster.hcndc(&["apply", "-f", &home, "--param", &params[0], "--param", &params[1]]).is(0);
    // 28 days: the shortest there is. The last of them is left for later.
    let day = |day: u32| {
        let period = format!("2027-02-{day:02}");
        let run = ["run", "flights_load", "--period", &period, "--cascade", "-o", "json"];
        cluster.hcndc(&run).is(0).json()["plan"]["execution"].as_str().unwrap().to_owned()
    };
    let executions: Vec<String> = (1..=27).rev().map(day).collect();
    for execution in &executions {
        cluster.hcndc(&["execution", "wait", execution]).is(0);
    }
    let why = cluster.hcndc(&["why", "flights_month/2027-02"]).is(0);
    assert!(why.out.starts_with("flights_month 2027-02 waits"), "{why:?}");
    assert!(why.out.contains("flights_aggregate 2027-02-28"), "{why:?}");
    assert!(!cluster.path("work/reports/2027-02.txt").exists());

    day(28);
    let month = ["run", "flights_month", "--period", "2027-02", "--missing-only", "--wait"];
    let said = cluster.hcndc(&month).is(0);
    assert!(said.out.contains("month_report"), "{}", said.out);
    let days = std::fs::read_to_string(cluster.path("work/2027-02/days.csv")).unwrap();
    assert_eq!(days.lines().count(), 28, "{days}");
    let (all, cancelled, late, ..) = totals(1..=28);
    let report = std::fs::read_to_string(cluster.path("work/reports/2027-02.txt")).unwrap();
    let told = format!("days 28, operated {}, more than 15 minutes late {late}", all - cancelled);
    assert!(report.contains(&told), "{told}\n{report}");
    // It is one run, which the executions of all days have shared.
    let month_of = |execution: &str| {
        let shown = cluster.hcndc(&["execution", "show", execution, "-o", "json"]).is(0).json();
        let runs = shown["runs"].as_array().unwrap();
        runs.iter().find(|run| run["period"] == "2027-02").unwrap()["id"].clone()
    };
    assert_eq!(month_of(&executions[0]), month_of(&executions[26]));
}
