//! Real processes, killed with -9 at the named points of the protocol (`shared/src/crash.rs`) and at
//! any other moment: the outcome must be right. Every job appends its identity to a file when it
//! begins and when it ends, so that "began twice" and "never ran" are facts; a proof file shows that
//! each fault really happened.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test binary has no outside, and may fail"
)]

#[path = "../contract/own.rs"]
mod own;
#[path = "../contract/own_tls.rs"]
mod own_tls;
#[expect(dead_code, reason = "the bench uses more of it")]
mod real;
mod replica;
#[expect(dead_code, reason = "the contracts use more of it")]
#[path = "../contract/server.rs"]
mod server;

mod away;
mod clocks;
mod disk;
mod faults;
mod join;
mod logs;
mod masters;
#[expect(dead_code, reason = "the bench uses more of it")]
mod pair;
mod proxy;
mod stores;
mod tls;

use real::Real;
use std::collections::BTreeMap;

/// Two interfaces by day, five jobs each: a fan and a join, and one that depends on the other.
fn mesh(real: &Real) -> String {
    let journal = real.path("journal");
    let journal = journal.display();
    let job = |name: &str, after: &str| {
        format!(
            "  - name: {name}\n    kind: shell\n    fields:\n      use_shell: true\n      script: |\n        \
             echo \"begin $HCNDC_RUN $HCNDC_JOB $HCNDC_ATTEMPT\" >> {journal}\n        sleep 0.05\n        \
             echo \"end $HCNDC_RUN $HCNDC_JOB $HCNDC_ATTEMPT\" >> {journal}\n    after: [{after}]\n    \
             policy: {{attempts_max: 4, backoff: {{delay_s: 0, factor: 1, delay_max_s: 0}}, on_unknown: retry}}\n"
        )
    };
    let jobs = [("a", ""), ("b", "a"), ("c", "a"), ("d", "a"), ("e", "b, c, d")];
    let jobs: String = jobs.iter().map(|(name, after)| job(name, after)).collect();
    let interface = |name: &str, parents: &str| {
        format!(
            "kind: interface\nname: {name}\nspec: {{granularity: day, zone: UTC, parents: [{parents}]}}\njobs:\n{jobs}"
        )
    };
    format!("{}---\n{}", interface("first", ""), interface("second", "first"))
}

/// Everything succeeded, and what the jobs wrote says so: each began at most once per attempt, in
/// order, and ended well exactly once.
#[track_caller]
fn judge(real: &Real) {
    let states = real.rows("SELECT state, COUNT(*) FROM job_run GROUP BY state", |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    });
    assert_eq!(states, [("succeeded".to_owned(), 10)], "{}", real.logs());
    let mut begun: BTreeMap<String, u32> = BTreeMap::new();
    let mut ended: BTreeMap<String, u32> = BTreeMap::new();
    for line in real.journal() {
        let (what, attempt) = line.split_once(' ').expect("begin or end");
        let job = attempt.rsplit_once(' ').expect("with its number").0.to_owned();
        match what {
            "begin" => *begun.entry(attempt.to_owned()).or_default() += 1,
            _ => *ended.entry(job).or_default() += 1,
        }
    }
    let twice: Vec<_> = begun.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "attempts that began twice: {twice:?}");
    assert_eq!(ended.len(), 10, "jobs that ended: {ended:?}");
}

fn crash_at(real: &Real, point: &str) -> Vec<(&'static str, String)> {
    vec![
        ("HCNDC_CRASH_AT", point.to_owned()),
        ("HCNDC_CRASH_PROOF", real.path("proof").display().to_string()),
    ]
}

#[track_caller]
fn ended(real: &mut Real) {
    real.until("the execution has ended", |real| {
        let states = real.executions();
        !states.is_empty() && states.iter().all(|state| state != "running")
    });
}

#[track_caller]
fn run_both(real: &mut Real) {
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    ended(real);
}

/// The master dies at this point while the mesh runs, and is started again.
fn master_dies_at(point: &str) {
    let mut real = Real::new();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    let yaml = mesh(&real);
    real.apply(&yaml);
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    real.kill_master();
    let env = crash_at(&real, point);
    real.start_master(&env);
    real.until("the master has died where it should", |real| real.path("proof").exists());
    let status = real.master.as_mut().expect("it was started").wait().unwrap();
    assert!(!status.success(), "it died: {status}");
    real.start_master(&[]);
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    judge(&real);
}

/// A process of the executor dies at this point, and `run` starts it again.
fn executor_dies_at(point: &str) {
    let mut real = Real::new();
    let env = crash_at(&real, point);
    real.start_executor(&env);
    real.start_master(&[]);
    real.master_is_ready();
    let yaml = mesh(&real);
    real.apply(&yaml);
    run_both(&mut real);
    let proof = std::fs::read_to_string(real.path("proof")).unwrap_or_default();
    assert_eq!(
        proof,
        point.split(':').next().unwrap(),
        "the fault did not happen\n{}",
        real.logs()
    );
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    judge(&real);
}

#[test]
fn master_dies_before_a_commit() {
    master_dies_at("before-commit:4");
}

#[test]
fn master_dies_after_a_commit_before_the_order() {
    master_dies_at("after-commit-before-order:3");
}

#[test]
fn master_dies_after_a_report_before_its_commit() {
    master_dies_at("after-report-before-commit:2");
}

#[test]
fn master_dies_between_batch_and_alert() {
    master_dies_at("between-batch-and-alert:1");
}

#[test]
fn master_dies_during_take_over() {
    master_dies_at("during-take-over:1");
}

#[test]
fn agent_dies_after_an_order_before_its_acknowledgement() {
    executor_dies_at("after-order-before-ack:2");
}

#[test]
fn supervisor_dies_after_the_journal_before_the_spawn() {
    executor_dies_at("after-journal-before-spawn:2");
}

#[test]
fn supervisor_dies_after_a_spawn_before_its_first_answer() {
    executor_dies_at("after-spawn-before-first-answer:2");
}

#[test]
fn supervisor_dies_after_an_exit_before_its_journal_entry() {
    executor_dies_at("after-exit-before-journal:2");
}

/// At no point that has a name: all of them, one after the other, while forty jobs run.
#[test]
fn everything_is_killed_in_turn_while_jobs_run() {
    let mut real = Real::new();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    let yaml = mesh(&real);
    real.apply(&yaml);
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    real.until("a job has begun", |real| !real.journal().is_empty());
    real.kill_master();
    assert!(real.kill_of_executor("agent") > 0, "no agent was there to be killed");
    real.start_master(&[]);
    real.until("another job has begun", |real| real.journal().len() > 3);
    assert!(real.kill_of_executor("supervise") > 0, "no supervisor was there to be killed");
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    judge(&real);
}

/// Two processes on one data directory: the second is told the pid of the first.
#[test]
fn a_second_master_on_the_same_data_is_refused() {
    let mut real = Real::new();
    real.start_master(&[]);
    real.master_is_ready();
    let first = real.master.take().expect("it was started");
    let pid = first.id().to_string();
    real.start_master(&[]);
    let status = real.master.as_mut().expect("it was started").wait().unwrap();
    assert!(!status.success());
    let log = std::fs::read_to_string(real.path("master.log")).unwrap();
    assert!(log.lines().last().unwrap_or("").contains(&pid), "{log}");
    real.master = Some(first);
}
