//! A real executor, its two processes, over TLS: jobs run, their output is read, a kill reaches them.

#[path = "../cluster/port.rs"]
mod port;

use crate::rig::{CLUSTER, Rig};
use master::db::params;
use master::engine::rows::Verb;
use master::leader::dial::Caller;
use master::logs::{Logs, on_host::OnHost};
use shared::ids::*;
use shared::pki::Authority;
use shared::spec::JobSpec;
use shared::tls::Role;
use shared::wire::Stream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Its jobs end with it, when it goes out of scope.
pub(crate) struct Executor {
    processes: Vec<Child>,
    pub(crate) address: String,
    dir: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "the real program is started for this test")]
fn program() -> Command {
    let beside = Path::new(env!("CARGO_BIN_EXE_hcndc-master")).parent().unwrap();
    let path = beside.join("hcndc-executor");
    assert!(path.exists(), "{} is not there: cargo build --workspace", path.display());
    Command::new(path)
}

impl Executor {
    /// By this name, with these lines of `executor.toml`.
    pub(crate) fn start(
        authority: &Authority,
        now: Millis,
        (name, config): (&str, &str),
    ) -> Executor {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("executor.toml");
        std::fs::write(&file, config).unwrap();
        let pki = dir.path().join("pki");
        authority.issue(Role::Host, name, now).unwrap().write(&pki).unwrap();
        let address = format!("127.0.0.1:{}", port::free_port());
        // Both by hand: whoever is killed with them would leave the other behind.
        let start = |part: &str| {
            program()
                .args([part, "--listen", &address])
                .arg("--config")
                .arg(&file)
                .arg("--data")
                .arg(dir.path().join("data"))
                .arg("--pki")
                .arg(&pki)
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        let processes = vec![start("supervise"), start("agent")];
        Executor { processes, address, dir }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        let stopped = program().args(["stop-jobs", "--grace", "1", "--data"]).arg(data).output();
        drop(stopped);
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn script(text: &str, after: &[i64]) -> JobSpec {
    let after: Vec<_> = after.iter().map(|job| serde_json::json!({ "job": job })).collect();
    serde_json::from_value(serde_json::json!({
        "kind": "shell",
        "fields": { "use_shell": true, "script": text },
        "after": after,
        "policy": { "kill_grace_s": 1 },
    }))
    .unwrap()
}

async fn attempt_of(rig: &Rig, job: i64) -> AttemptId {
    let text =
        "SELECT run_id, number, reign FROM attempt WHERE job_id = ? AND started_ms IS NOT NULL";
    let found = async {
        loop {
            if let Some(row) = rig.db.first(text, params![job]).await.unwrap() {
                return AttemptId {
                    run: RunId(row.int("run_id").unwrap()),
                    job: JobId(job),
                    number: row.small("number").unwrap(),
                    reign: row.int("reign").unwrap(),
                };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, found).await.expect("it begins")
}

async fn text_of(logs: &Logs, attempt: AttemptId, stream: Stream) -> String {
    let part = logs.read(attempt, stream, 0, 1_000).await.unwrap();
    String::from_utf8(part.bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_executor_runs_jobs_shows_their_output_and_ends_them() {
    let rig = Rig::new().await;
    let now = rig.clock.wall_ms();
    let (authority, _) = Authority::make(CLUSTER, now).unwrap();
    let executor = Executor::start(&authority, now, ("real", ""));
    let own = authority.issue(Role::Master, "m1", now).unwrap().credentials().unwrap();
    let caller = Caller::over_tls(&own).unwrap();
    rig.host(1, &executor.address, 4).await;
    let first = "echo one; echo two >&2; sleep 1; echo \"three $HCNDC_PERIOD\"";
    let jobs = [(1, "load", script(first, &[])), (2, "report", script("exit 0", &[1]))];
    rig.interface(1, "flights", &jobs).await;
    rig.interface(2, "long", &[(3, "sleeps", script("echo begun; sleep 300", &[]))]).await;
    let mut leading = rig.lead(caller.clone());
    leading.until(|status| status.leads && status.why.is_empty()).await;
    let logs = Logs::OnHost(OnHost::new(rig.db.clone(), caller.clone(), rig.clock.clone()));

    let execution = rig.run_now(1, "2026-11-20").await;
    // Live: what is there so far.
    let attempt = attempt_of(&rig, 1).await;
    let live = async {
        while text_of(&logs, attempt, Stream::Out).await != "one\n" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, live).await.expect("output is seen while the job runs");
    assert_eq!(rig.outcome(execution, LONG).await, "succeeded");
    assert_eq!(text_of(&logs, attempt, Stream::Out).await, "one\nthree 2026-11-20\n");
    assert_eq!(text_of(&logs, attempt, Stream::Err).await, "two\n");
    let tail = logs.tail(attempt, Stream::Out, 11).await.unwrap();
    assert_eq!((tail.bytes.as_slice(), tail.ended, tail.len), (&b"2026-11-20\n"[..], true, 21));

    // A kill reaches the whole of it.
    let execution = rig.run_now(2, "2026-11-20").await;
    let attempt = attempt_of(&rig, 3).await;
    let kill = Verb::Kill { run: attempt.run, job: attempt.job };
    assert!(rig.tell(kill).await.done);
    assert_ne!(rig.outcome(execution, LONG).await, "succeeded");
    let end = "SELECT end_kind FROM attempt WHERE job_id = 3";
    let row = rig.db.first(end, params![]).await.unwrap().unwrap();
    assert_eq!(row.text("end_kind").unwrap(), "killed");

    // The test button, over the same certificates.
    let (agent, facts) = caller.probe(&executor.address).await.unwrap();
    assert_eq!(agent, "real");
    assert!(facts.cores > 0 && facts.memory_total > 0, "{facts:?}");
    leading.stop().await;
}
