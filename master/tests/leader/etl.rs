//! Kettle on a real executor, with the stand-in of its tests: placed by its environment, its end told in
//! words, its rows kept.

use crate::real::{Executor, LONG};
use crate::rig::{CLUSTER, Rig};
use master::db::params;
use master::leader::dial::Caller;
use serde_json::{Value, json};
use shared::ids::*;
use shared::pki::Authority;
use shared::spec::JobSpec;
use shared::tls::Role;
use std::path::Path;
use std::time::Duration;

fn standin(path: &str) -> String {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../executor/tests/kettle").join(path);
    at.canonicalize().unwrap().display().to_string()
}

fn kettle(environment: &str, fields: Value) -> JobSpec {
    let spec = json!({"kind": "kettle", "environment": environment, "fields": fields});
    serde_json::from_value(spec).unwrap()
}

/// Both hosts answer, and neither has what job 3 asks for.
async fn waits_for_an_environment(rig: &Rig) {
    let text = "SELECT state, reason FROM job_run WHERE job_id = 3";
    let why = "none of 2 host(s) that answer has environment pdi-99";
    let waits = async {
        loop {
            let row = rig.db.first(text, params![]).await.unwrap().unwrap();
            if (row.text("state").unwrap(), row.text("reason").unwrap()) == ("queued", why) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waits = tokio::time::timeout(LONG, waits).await;
    assert!(waits.is_ok(), "{}", rig.story().await);
}

/// The leader keeps what a run tells on its way; nobody asks its host for that.
async fn tells_its_rows_while_it_runs(rig: &Rig) {
    rig.run_now(3, "2026-11-20").await;
    let told = async {
        loop {
            let text = "SELECT run_id FROM attempt WHERE job_id = 4 AND end_kind IS NULL";
            if let Some(row) = rig.db.first(text, params![]).await.unwrap() {
                let run = RunId(row.int("run_id").unwrap());
                let kept = master::store::counts::of_job(&rig.db, run, JobId(4)).await.unwrap();
                if let Some(step) = kept.into_values().flatten().find(|step| step.name == "gen") {
                    return step;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let step = tokio::time::timeout(LONG, told).await.expect("rows are kept while it runs");
    assert!(step.lines == 0 && step.at_row >= 10_000 && step.speed().is_some(), "{step:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kettle_job_goes_where_its_environment_is_and_its_rows_are_kept() {
    let rig = Rig::new().await;
    let now = rig.clock.wall_ms();
    let (authority, _) = Authority::make(CLUSTER, now).unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = format!(
        "[environments.kettle]\nvars = {{ PDI_HOME = \"{}\", KETTLE_HOME = \"{}\" }}\n",
        standin(""),
        home.path().display()
    );
    let bare = Executor::start(&authority, now, ("bare", ""));
    let with_kettle = Executor::start(&authority, now, ("kettle", &config));
    let own = authority.issue(Role::Master, "m1", now).unwrap().credentials().unwrap();
    rig.host(1, &bare.address, 40).await;
    rig.host(2, &with_kettle.address, 4).await;
    let hello =
        json!({"runs": "transformation", "file": standin("samples/hello.ktr"), "params": {"N": 7}});
    let lenient = json!({"runs": "job", "file": standin("samples/lenient.kjb")});
    let elsewhere = json!({"runs": "job", "file": standin("samples/job.kjb")});
    rig.interface(
        1,
        "flights",
        &[(1, "load", kettle("kettle", hello)), (2, "sloppy", kettle("kettle", lenient))],
    )
    .await;
    let forever = json!({"runs": "transformation", "file": standin("samples/forever.ktr")});
    rig.interface(3, "long", &[(4, "goes-on", kettle("kettle", forever))]).await;
    rig.interface(2, "far", &[(3, "waits", kettle("pdi-99", elsewhere))]).await;
    let mut leading = rig.lead(Caller::over_tls(&own).unwrap());
    leading.until(|status| status.leads && status.why.is_empty()).await;

    let far = rig.run_now(2, "2026-11-20").await;
    let execution = rig.run_now(1, "2026-11-20").await;
    assert_eq!(rig.outcome(execution, LONG).await, "succeeded", "{}", rig.story().await);
    let text = "SELECT j.job_id, j.reason, a.host_id FROM job_run j JOIN attempt a \
                ON a.run_id = j.run_id AND a.job_id = j.job_id ORDER BY j.job_id";
    let rows = rig.db.query(text, params![]).await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (row.int("job_id").unwrap(), row.int("host_id").unwrap(), row.text("reason").unwrap())
        })
        .collect();
    let warning = "exit code 200: it ended with 0, but its log tells of errors";
    assert_eq!(told, [(1, 2, ""), (2, 2, warning)]);
    // Beside the run, and soon.
    let text = "SELECT run_id FROM attempt WHERE job_id = 1";
    let row = rig.db.first(text, params![]).await.unwrap().unwrap();
    let run = RunId(row.int("run_id").unwrap());
    let kept = async {
        loop {
            let counts = master::store::counts::of_job(&rig.db, run, JobId(1)).await.unwrap();
            if let Some(steps) = counts.into_values().next() {
                return steps;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let steps = tokio::time::timeout(LONG, kept).await.expect("rows are kept");
    let told: Vec<_> = steps.iter().map(|it| (&*it.part, &*it.name, it.read, it.written)).collect();
    assert_eq!(told, [("hello", "gen", 0, 7), ("hello", "log", 7, 7)]);
    tells_its_rows_while_it_runs(&rig).await;
    waits_for_an_environment(&rig).await;
    assert_ne!(rig.state_of(far).await, "succeeded");
    leading.stop().await;
}
