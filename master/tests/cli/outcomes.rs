//! Exit codes are outcomes, and what is refused says why.

use crate::rig::{Cluster, Said};
use std::process::Stdio;

fn mesh(cluster: &Cluster, program: &str) -> String {
    let text = format!(
        "kind: interface\nname: one\nspec: {{zone: UTC}}\njobs:\n  - name: job\n    kind: shell\n    \
         fields: {{use_shell: true, script: '{program}'}}\n  - name: next\n    kind: shell\n    \
         fields: {{program: echo, args: [\"${{period}} a  b\", \"$HOME\"]}}\n    after: [job]\n"
    );
    cluster.file("mesh.yaml", &text)
}

#[test]
fn the_exit_code_is_the_outcome() {
    let cluster = Cluster::start();
    let run = |program: &str, period: &str, more: &[&str]| -> Said {
        cluster.hcndc(&["apply", "-f", &mesh(&cluster, program)]).is(0);
        let mut args = vec!["run", "one", "--period", period, "--wait"];
        args.extend(more);
        cluster.hcndc(&args)
    };
    let done = run("echo out; echo err >&2", "2026-11-01", &["-o", "json"]).is(0).json();
    let id = done["id"].as_str().unwrap().to_owned();
    let log = cluster.hcndc(&["log", &id, "job"]).is(0);
    assert_eq!((log.out.as_str(), log.err.as_str()), ("out\n", "err\n"));
    // Arguments are what they are: nothing splits or expands them.
    let log = cluster.hcndc(&["log", &id, "one/next"]).is(0);
    assert_eq!(log.out, "2026-11-01 a  b $HOME\n");

    let failed = run("exit 7", "2026-11-02", &[]).is(1);
    assert!(failed.out.contains("failed") && failed.out.contains("skipped"), "{failed:?}");
    let late = run("sleep 60", "2026-11-03", &["--timeout", "1s"]).is(4);
    assert!(late.err.contains("has not ended within 1 s"), "{late:?}");

    // It runs still: its log is followed while somebody else stops it.
    let list = ["execution", "list", "--period", "2026-11-03", "-o", "json"];
    let running = cluster.hcndc(&list).is(0).json();
    let id = running["items"][0]["id"].as_str().unwrap().to_owned();
    let plan = cluster.hcndc(&["execution", "stop", &id, "--dry-run"]).is(0);
    assert!(plan.out.contains("would be: 2 jobs stopped"), "{plan:?}");
    let waiting = cluster.hcndc_of(&["execution", "wait", &id]).stdout(Stdio::piped()).spawn();
    cluster.hcndc(&["execution", "stop", &id]).is(0);
    assert_eq!(waiting.unwrap().wait_with_output().unwrap().status.code(), Some(3));

    // Resumed, it takes up its jobs where they were.
    cluster.hcndc(&["execution", "resume", &id]).is(0);
    cluster.until("it runs again", || {
        let shown = cluster.hcndc(&["execution", "show", &id, "-o", "json"]).json();
        shown["runs"][0]["jobs"].as_array().unwrap().iter().any(|job| job["state"] == "running")
    });
    let mark = ["execution", "kill", &id, "job"];
    cluster.hcndc(&mark).is(0);
    cluster.hcndc(&["execution", "wait", &id]).is(3);
}

#[test]
fn all_that_has_failed_goes_on_at_once() {
    let cluster = Cluster::start();
    let flag = cluster.file("flag", "");
    std::fs::remove_file(&flag).unwrap();
    cluster.hcndc(&["apply", "-f", &mesh(&cluster, &format!("test -e {flag}"))]).is(0);
    // The first one of a period is not what goes on.
    for period in ["2026-11-01", "2026-11-02", "2026-11-02"] {
        cluster.hcndc(&["run", "one", "--period", period, "--wait"]).is(1);
    }
    let why = cluster.hcndc(&["why", "one/2026-11-01"]).is(0);
    assert!(why.out.starts_with("one 2026-11-01 failed"), "{why:?}");
    assert!(why.out.contains("job: failed, exit code 1"), "{why:?}");
    assert!(why.out.contains("<- what was waited for last"), "{why:?}");
    let told = cluster.hcndc(&["why", "one", "2026-11-03", "-o", "json"]).is(0).json();
    assert_eq!(told["answer"]["code"], "never_started");
    cluster.hcndc(&["why", "nothing"]).is(1);
    cluster.hcndc(&["why", "one", "yesterday"]).is(2);
    let none = cluster.hcndc(&["stale", "-o", "json"]).is(0).json();
    assert_eq!(none["items"], serde_json::json!([]));
    cluster.hcndc(&["stale", "--interface", "nothing"]).is(1);
    cluster.hcndc(&["stale", "--dry-run"]).is(2);
    let job = cluster.hcndc(&["run", "one", "--period", "2026-11-03", "--job", "nosuch"]).is(1);
    assert!(job.err.contains("there is no job \"one/nosuch\""), "{job:?}");
    let all = ["execution", "resume-failed", "--since", "1h"];
    let would = cluster.hcndc(&[&all[..], &["--dry-run"]].concat()).is(1);
    assert!(
        would.out.contains("would be: 2 executions resumed, 4 jobs reset, 1 refused"),
        "{would:?}"
    );
    assert!(would.out.contains("generation 0 of one 2026-11-02 is not the newest"), "{would:?}");
    std::fs::write(&flag, "").unwrap();
    let done = cluster.hcndc(&[&all[..], &["-o", "json"]].concat()).is(1).json();
    assert_eq!((done["items"].as_array().unwrap().len(), &done["jobs_reset"]), (2, &4.into()));
    for id in done["items"].as_array().unwrap() {
        cluster.hcndc(&["execution", "wait", id.as_str().unwrap()]).is(0);
        let first = ["execution", "prioritize", id.as_str().unwrap(), "--priority", "5"];
        assert!(cluster.hcndc(&first).is(1).err.contains("is live"));
    }
    cluster.hcndc(&["execution", "resume-failed", "--since", "soon"]).is(2);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let cluster = Cluster::master();
    let bad = |text: &str| {
        let path = cluster.file("bad.yaml", text);
        cluster.hcndc(&["apply", "-f", &path]).is(2).err
    };
    let told = bad("kind: interface\nname: [a\n");
    assert!(told.contains("bad.yaml") && told.contains("line"), "{told}");
    let told = bad("# x\nkind: interface\nname: a\nspec: {parents: [b]}\n");
    assert!(told.contains("bad.yaml:2: interface a: parents[0]: there is no interface"), "{told}");
    let told = bad(
        "kind: interface\nname: a\nspec: {parents: [b]}\n---\nkind: interface\nname: b\nspec: {parents: [a]}\n",
    );
    assert!(told.contains("a cycle: each waits for the next"), "{told}");
    let told = bad(
        "kind: interface\nname: a\ndispatches: [{name: d, cron: '0 25 * * *'}]\njobs:\n  - name: j\n    \
         kind: shell\n    fields: {program: x}\n    place: {hosts: [nowhere]}\n",
    );
    assert!(told.contains("jobs[0].place.hosts[0]: there is no exec host"), "{told}");
    assert_eq!(
        cluster.hcndc(&["get", "interface", "-o", "json"]).is(0).json()["items"],
        serde_json::json!([])
    );

    cluster.hcndc(&["run", "nothing", "--period", "2026-11-20"]).is(1);
    cluster.hcndc(&["run", "nothing", "--period", "yesterday"]).is(2);
    cluster.hcndc(&["execution", "show", "0000000000000"]).is(1);
    cluster.hcndc(&["execution", "show", "x"]).is(2);
    cluster.hcndc(&["log", "x"]).is(2);
    cluster.hcndc(&["nothing"]).is(2);
}

#[test]
fn who_cannot_be_reached_is_named() {
    let mut cluster = Cluster::master();
    assert_eq!(cluster.master.terminate(), Some(0));
    let said = cluster.hcndc(&["execution", "list"]).is(4);
    assert!(said.err.contains("cannot be reached"), "{said:?}");
    // A token that is none.
    let address = "address = \"http://127.0.0.1:1\"\ntoken = \"x\"\nadress = 1\n";
    cluster.file("client.toml", address);
    let said = cluster.hcndc(&["execution", "list"]).is(2);
    assert!(said.err.contains("adress"), "{said:?}");
    std::fs::remove_file(cluster.path("client.toml")).unwrap();
    assert!(cluster.hcndc(&["execution", "list"]).is(2).err.contains("client.toml"));
}

#[test]
fn a_backfill_is_planned_begun_held_and_ended() {
    let cluster = Cluster::start();
    let flag = cluster.file("flag", "");
    std::fs::remove_file(&flag).unwrap();
    cluster
        .hcndc(&[
            "apply",
            "-f",
            &mesh(&cluster, &format!("until test -e {flag}; do sleep 0.1; done")),
        ])
        .is(0);
    let november = ["one", "2026-11-01..2026-11-05", "--skip", "2026-11-02", "--parallel", "2"];
    let plan = cluster.hcndc(&[&["backfill", "plan"], &november[..]].concat()).is(0);
    assert!(plan.out.contains("4 executions from 2026-11-01 to 2026-11-05"), "{plan:?}");
    let begun = cluster.hcndc(&[&["backfill", "start", "-o", "json"], &november[..]].concat());
    let id = begun.is(0).json()["id"].to_string();
    let show = || cluster.hcndc(&["backfill", "show", &id, "-o", "json"]).is(0).json();
    let live = |shown: &serde_json::Value| shown["executions"]["live"].as_i64().unwrap();
    cluster.until("two live", || live(&show()) == 2);
    assert_eq!(show()["made"], 2, "and no more than that");
    let twice = cluster.hcndc(&["backfill", "resume", &id]).is(1);
    assert!(twice.err.contains("not paused"), "{twice:?}");
    cluster.hcndc(&["backfill", "pause", &id]).is(0);
    std::fs::write(&flag, "").unwrap();
    cluster.until("those have ended", || live(&show()) == 0);
    let shown = show();
    assert_eq!((&shown["made"], &shown["state"]), (&2.into(), &"paused".into()));
    cluster.hcndc(&["backfill", "resume", &id]).is(0);
    cluster.until("all of it", || show()["state"] == "ended");
    let shown = show();
    let mut periods: Vec<&str> = shown["made_executions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["period"].as_str().unwrap())
        .collect();
    periods.sort_unstable();
    assert_eq!(periods, ["2026-11-01", "2026-11-03", "2026-11-04", "2026-11-05"]);
    // What it has made is known for the next estimate.
    let plan =
        cluster.hcndc(&[&["backfill", "plan", "-o", "json"], &november[..]].concat()).is(0).json();
    assert_eq!(plan["estimate"]["unknown"], 0, "{plan}");

    std::fs::remove_file(&flag).unwrap();
    let again = ["backfill", "start", "one", "2026-11-01..2026-11-05", "-o", "json"];
    let id = cluster.hcndc(&again).is(0).json()["id"].to_string();
    let show = || cluster.hcndc(&["backfill", "show", &id, "-o", "json"]).is(0).json();
    cluster.until("one lives", || live(&show()) == 1);
    let would = cluster.hcndc(&["backfill", "cancel", &id, "--stop", "--dry-run"]).is(0);
    assert!(would.out.contains("4 executions still to be made"), "{would:?}");
    cluster.hcndc(&["backfill", "cancel", &id, "--stop"]).is(0);
    cluster.until("it is stopped", || show()["executions"]["stopped"] == 1);
    assert_eq!((&show()["made"], &show()["state"]), (&1.into(), &"cancelled".into()));
    let list = cluster.hcndc(&["backfill", "list", "--live", "-o", "json"]).is(0).json();
    assert_eq!(list["items"], serde_json::json!([]));
    let wrong = cluster.hcndc(&["backfill", "plan", "one", "yesterday"]).is(2);
    assert!(wrong.err.contains("yesterday"), "{wrong:?}");
}
