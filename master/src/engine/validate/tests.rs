//! Drafts, good and bad, against a small mesh.

use super::*;
use crate::engine::catalog::{Dispatch, Host, Interface, Job};
use serde_json::{Value, json};
use std::sync::Arc;

fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn job(id: i64, name: &str, more: Value) -> Job {
    let mut spec = json!({"kind": "shell", "fields": {"program": "true"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Job { id: JobId(id), name: name.into(), spec: of(spec) }
}

fn interface(id: i64, name: &str, spec: Value, jobs: Vec<Job>) -> (InterfaceId, Arc<Interface>) {
    let (project, version) = (ProjectId(1), 1);
    let interface = Interface {
        id: InterfaceId(id),
        project,
        name: name.into(),
        version,
        spec: of(spec),
        jobs,
    };
    (InterfaceId(id), Arc::new(interface))
}

/// 1 load (a, b after a) < 2 report (c needs load/b) ; 3 month of load; 4 alone.
fn catalog() -> Catalog {
    let load = vec![job(1, "a", json!({})), job(2, "b", json!({"after": [{"job": 1}]}))];
    let report = vec![job(3, "c", json!({"needs": [{"interface": 1, "job": 2}]}))];
    let host = Host {
        id: HostId(1),
        project: ProjectId(0),
        name: "one".into(),
        agent: String::new(),
        version: 1,
        spec: of(json!({"address": "one:7890"})),
    };
    let dispatch = Dispatch {
        id: DispatchId(1),
        project: ProjectId(1),
        name: "daily".into(),
        version: 1,
        since: 0,
        spec: of(json!({"interface": 1, "cron": "0 2 * * *"})),
    };
    Catalog {
        interfaces: [
            interface(1, "load", json!({"params": {"table": "x"}}), load),
            interface(2, "report", json!({"parents": [{"interface": 1}]}), report),
            interface(
                3,
                "month",
                json!({"granularity": "month", "parents": [{"interface": 1, "map": "all_within"}]}),
                vec![],
            ),
            interface(4, "alone", json!({}), vec![job(4, "d", json!({}))]),
        ]
        .into(),
        hosts: [(host.id, Arc::new(host))].into(),
        dispatches: [(dispatch.id, Arc::new(dispatch))].into(),
        ..Catalog::default()
    }
}

/// The errors as `path: message`, joined; empty when all is well.
fn said(errors: Vec<FieldError>) -> String {
    let texts: Vec<String> = errors.iter().map(FieldError::to_string).collect();
    texts.join("\n")
}

fn interface_said(id: Option<i64>, name: &str, spec: Value) -> String {
    let spec = of(spec);
    let id = id.map(InterfaceId);
    let draft = InterfaceDraft { id, project: ProjectId(1), name, spec: &spec };
    said(check_interface(&catalog(), &draft))
}

fn job_said(id: Option<i64>, interface: i64, name: &str, more: Value) -> String {
    let spec = job(0, "", more).spec;
    let (id, interface) = (id.map(JobId), InterfaceId(interface));
    said(check_job(&catalog(), &JobDraft { id, interface, name, spec: &spec }))
}

#[track_caller]
fn has(said: String, expect: &str) {
    match expect {
        "" => assert_eq!(said, ""),
        _ => assert!(said.contains(expect), "{expect:?} is not in {said:?}"),
    }
    assert!(expect.is_empty() || said.lines().count() == 1, "{said}");
}

#[test]
fn interfaces() {
    has(interface_said(None, "新接口", json!({"parents": [{"interface": 1}]})), "");
    has(interface_said(Some(1), "load", json!({})), "");
    has(interface_said(None, "load", json!({})), "name: interface 1 has");
    for bad in ["", " ", " a", "a/b", "a\n"] {
        has(interface_said(None, bad, json!({})), "name: ");
    }
    has(interface_said(None, &"x".repeat(101), json!({})), "name: ");
    has(interface_said(None, "n", json!({"zone": "Mars/Base"})), "zone: ");
    has(interface_said(None, "n", json!({"priority": 1001})), "priority: ");
    has(interface_said(None, "n", json!({"wait_timeout_s": 0})), "wait_timeout_s: ");
    has(interface_said(None, "n", json!({"params": {"job": "x"}})), "params.job: ");
    has(
        interface_said(None, "n", json!({"parents": [{"interface": 9}]})),
        "parents[0].interface: there is no interface 9",
    );
    has(
        interface_said(None, "n", json!({"parents": [{"interface": 1}, {"interface": 1}]})),
        "parents[1]: the same parent",
    );
}

#[test]
fn periods_of_parents() {
    let parents = |granularity: &str, map: Value| {
        let parents = json!([{"interface": 1, "map": map}]);
        interface_said(None, "n", json!({"granularity": granularity, "parents": parents}))
    };
    has(parents("day", json!("same")), "");
    has(parents("month", json!("last_within")), "");
    has(parents("day", json!({"previous": 7})), "");
    has(parents("day", json!("all_within")), "parents[0].map: all_within");
    has(parents("hour", json!("last_within")), "parents[0].map: all_within");
    has(parents("day", json!({"previous": 0})), "parents[0].map: previous");
    has(parents("day", json!({"offset": 99_999})), "parents[0].map: an offset");
    // Who waits for all days of a month cannot wait for months.
    has(interface_said(Some(1), "load", json!({"granularity": "month"})), "granularity: ");
}

#[test]
fn cycles_across_interfaces() {
    has(
        interface_said(Some(1), "load", json!({"parents": [{"interface": 2}]})),
        "parents[0].interface: a cycle: each waits for the next: load > report",
    );
    has(interface_said(Some(1), "load", json!({"parents": [{"interface": 1}]})), "parents[0]: ");
    let back = json!({"parents": [{"interface": 1, "map": {"previous": 1}}]});
    has(interface_said(Some(1), "load", back), "");
    let back = json!({"parents": [{"interface": 2, "map": {"offset": -1}}]});
    has(interface_said(Some(1), "load", back), "");
    // A job's need closes it as well: load waits for report's end, which is after c, which needs b.
    let needs = json!({"needs": [{"interface": 2, "job": 3}]});
    has(
        job_said(Some(1), 1, "a", needs),
        "needs[0].job: a cycle: each waits for the next: load / a",
    );
    let needs = json!({"needs": [{"interface": 2, "job": 3, "map": {"previous": 1}}]});
    has(job_said(Some(1), 1, "a", needs), "");
    let needs = json!({"needs": [{"interface": 4, "job": 4}]});
    has(job_said(Some(1), 1, "a", needs), "");
    // A later period of what waits for an earlier one of ours.
    let ahead = json!({"needs": [{"interface": 2, "job": 3, "map": {"offset": 1}}]});
    has(job_said(Some(1), 1, "a", ahead), "a cycle");
}

#[test]
fn cycles_within_an_interface() {
    has(job_said(None, 1, "new", json!({"after": [{"job": 2}]})), "");
    has(
        job_said(Some(1), 1, "a", json!({"after": [{"job": 2}]})),
        "after[0].job: a cycle: each waits for the next: load / a > load / b > load / a",
    );
    has(job_said(Some(1), 1, "a", json!({"after": [{"job": 1}]})), "after[0].job: a job cannot");
    has(job_said(Some(1), 1, "a", json!({"after": [{"job": 4}]})), "after[0].job: this interface");
    let twice = json!({"after": [{"job": 1}, {"job": 1}]});
    has(job_said(Some(2), 1, "b", twice), "after[1].job: the same job");
}

#[test]
fn jobs() {
    has(job_said(None, 9, "n", json!({})), "interface: there is no interface 9");
    has(job_said(None, 1, "a", json!({})), "name: job 1");
    has(job_said(None, 1, "n", json!({"kind": "cobol"})), "kind: ");
    has(job_said(None, 1, "n", json!({"fields": {}})), "fields.program: ");
    let args = |text: &str| json!({"fields": {"program": "echo", "args": [text]}});
    has(job_said(None, 1, "n", args("${table} ${date}")), "");
    has(job_said(None, 4, "n", args("${table}")), "fields.args[0]: there is no parameter");
    has(job_said(None, 1, "n", json!({"params": {"p": "${q}"}})), "params.p: ");
    has(job_said(None, 1, "n", json!({"place": {"hosts": [1]}})), "");
    has(job_said(None, 1, "n", json!({"place": {"hosts": [2]}})), "place.hosts[0]: ");
    has(job_said(None, 1, "n", json!({"place": {"labels": ["a b"]}})), "place.labels[0]: ");
    has(job_said(None, 1, "n", json!({"place": {"slots": 0}})), "place.slots: ");
    has(job_said(None, 1, "n", json!({"place": {"pools": [1]}})), "place.pools[0]: ");
    has(job_said(None, 1, "n", json!({"policy": {"attempts_max": 0}})), "policy.attempts_max: ");
    has(job_said(None, 1, "n", json!({"limits": {"memory_mib": 3}})), "limits.memory_mib: ");
    has(job_said(None, 1, "n", json!({"limits": {"processes": 0}})), "limits.processes: ");
    has(job_said(None, 1, "n", json!({"policy": {"timeout_s": 0}})), "policy.timeout_s: ");
    has(job_said(None, 1, "n", json!({"policy": {"on_lost": "retry"}})), "policy.kill_grace_s: ");
    let retry = json!({"policy": {"on_lost": "retry", "kill_grace_s": 5}});
    has(job_said(None, 1, "n", retry), "");
    let need = |job: i64| json!({"needs": [{"interface": 1, "job": job}]});
    has(job_said(None, 4, "n", need(2)), "");
    has(job_said(None, 4, "n", need(3)), "needs[0].job: interface load has no job 3");
    has(job_said(None, 1, "n", need(2)), "needs[0]: of its own interface");
}

#[test]
fn dispatches() {
    let said_of = |name: &str, spec: Value| {
        let spec = of(spec);
        let draft = DispatchDraft { id: None, project: ProjectId(1), name, spec: &spec };
        said(check_dispatch(&catalog(), &draft))
    };
    has(said_of("n", json!({"interface": 1, "cron": "0 2 * * MON-FRI"})), "");
    for at in [i64::MIN, -1, i64::MAX] {
        let more = json!({"interface": 1, "cron": "0 2 * * *", "from_ms": at});
        has(said_of("far", more), "from_ms:");
    }
    has(said_of("daily", json!({"interface": 1, "cron": "0 2 * * *"})), "name: dispatch 1");
    has(said_of("n", json!({"interface": 9, "cron": "0 2 * * *"})), "interface: ");
    has(said_of("n", json!({"interface": 1, "cron": "0 2 30 2 *"})), "cron: ");
    has(said_of("n", json!({"interface": 1, "cron": "0 2 * *"})), "cron: ");
    let never = json!({"interface": 1, "cron": "0,30 2 * 3 +SUN#L", "zone": "Europe/Paris"});
    has(said_of("n", never), "cron: it never comes true in Europe/Paris");
    has(said_of("n", json!({"interface": 1, "cron": "0 2 * * *", "zone": "X"})), "zone: ");
    has(said_of("n", json!({"interface": 1, "cron": "0 2 * * *", "late_s": 0})), "late_s: ");
    let backwards = json!({"interface": 1, "cron": "0 2 * * *", "from_ms": 2, "until_ms": 1});
    has(said_of("n", backwards), "until_ms: ");
    for (cron, least, wrong) in [
        ("*/5 * * * *", 300, false),
        ("*/5 * * * *", 301, true),
        ("0,1 2 * * *", 61, true),
        ("0 2 * * *", 82_800, false),
        ("@every 30s", 60, true),
        ("@every 30s", 0, false),
    ] {
        let spec = of(json!({"interface": 1, "cron": cron, "zone": "Europe/Paris"}));
        assert_eq!(too_often(None, &spec, least).is_some(), wrong, "{cron} {least}");
        assert_eq!(too_often(Some(&spec), &spec, least), None, "it was there");
    }
    let within = json!({"interface": 1, "cron": "0 2 * * *", "misfire": {"within": 0}});
    has(said_of("n", within), "misfire.within: ");
}

#[test]
fn hosts() {
    let said_of = |id: Option<i64>, name: &str, spec: Value| {
        let spec = of(spec);
        let draft = HostDraft { id: id.map(HostId), project: ProjectId(0), name, spec: &spec };
        said(check_host(&catalog(), &draft))
    };
    for fine in ["two:7890", "10.0.0.7:1", "[::1]:7890"] {
        has(said_of(None, "two", json!({"address": fine})), "");
    }
    has(said_of(Some(1), "one", json!({"address": "one:7890"})), "");
    has(said_of(None, "one", json!({"address": "two:7890"})), "name: ");
    has(said_of(None, "two", json!({"address": "one:7890"})), "address: ");
    for bad in ["", "two", "two:0", "two:99999", ":1", "http://two:1", "a b:1"] {
        has(said_of(None, "two", json!({"address": bad})), "address: an address");
    }
    has(said_of(None, "two", json!({"address": "two:1", "slots": 0})), "slots: ");
}

/// A ladder has 2^30 paths and a chain of 100,000 would break a recursion.
#[test]
fn large_meshes_are_judged_at_once() {
    let mut jobs = Vec::new();
    for at in 0..100_000_i64 {
        let after = match at % 2 {
            _ if at < 2 => json!([]),
            0 => json!([{"job": at - 2}, {"job": at - 1}]),
            _ => json!([{"job": at - 3}, {"job": at - 2}]),
        };
        let after: Vec<Edge> = of(after);
        let after = after.into_iter().filter(|edge| edge.job.0 >= 0).collect();
        let mut job = job(at, "j", json!({}));
        job.spec.after = after;
        jobs.push(job);
    }
    let mut catalog = Catalog {
        interfaces: [interface(1, "ladder", json!({}), jobs)].into(),
        ..Catalog::default()
    };
    let clock = shared::clock::Clock::system();
    assert_eq!(mesh::any_cycle(&catalog), None);
    let ladder = Arc::make_mut(catalog.interfaces.get_mut(&InterfaceId(1)).unwrap());
    ladder.jobs[0].spec.after = of(json!([{"job": 99_999}]));
    let cycle = mesh::any_cycle(&catalog).unwrap();
    assert!(cycle.words(&catalog).len() < 2_000);
    // An exponential search would not end at all.
    println!("100,000 jobs searched twice in {} ms", clock.mono_ms());
}
