//! What happens to machines and networks: frozen, cut off, full, restored. Every test shows that its
//! fault happened; what the jobs have written is the judge.

use super::proxy::{Link, Proxy};
use super::real::{Real, facts, free_port};
use super::{ended, judge, mesh};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer than LOST with [`super::real::QUICK`].
const LONGER_THAN_LOST: Duration = Duration::from_millis(4_500);

/// Executor and master with quick timing; `h1` is dialled through a link of ours.
fn linked() -> (Real, Proxy) {
    let mut real = Real::quick();
    real.start_executor(&[]);
    let proxy = Proxy::to(real.host_port(), free_port());
    real.through = Some(proxy.port);
    real.start_master(&[]);
    real.master_is_ready();
    (real, proxy)
}

/// One job that begins, waits for a file named `go`, and ends.
pub fn held_job(real: &Real, policy: &str, place: &str) -> String {
    let (journal, go) = (real.path("journal"), real.path("go"));
    format!(
        "kind: interface\nname: held\nspec: {{granularity: day, zone: UTC}}\njobs:\n  - name: held\n    kind: shell\n    \
         fields:\n      use_shell: true\n      script: |\n        \
         echo \"begin $HCNDC_RUN $HCNDC_JOB $HCNDC_ATTEMPT\" >> {journal}\n        \
         until [ -e {go} ]; do sleep 0.05; done\n        \
         echo \"end $HCNDC_RUN $HCNDC_JOB $HCNDC_ATTEMPT\" >> {journal}\n    \
         policy: {policy}\n    place: {place}\n",
        journal = journal.display(),
        go = go.display(),
    )
}

/// Begins and ends by attempt, as its job has written them.
fn written(real: &Real, what: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in real.journal() {
        if let Some(attempt) = line.strip_prefix(what) {
            *found.entry(attempt.trim().to_owned()).or_default() += 1;
        }
    }
    found
}

#[track_caller]
pub fn none_began_twice(real: &Real) {
    let twice: Vec<_> = written(real, "begin").into_iter().filter(|(_, n)| *n > 1).collect();
    assert!(twice.is_empty(), "attempts that began twice: {twice:?}\n{}", real.logs());
}

/// Whose jobs wait for a person when nobody knows how they ended: here it is known that they never
/// began.
#[test]
fn an_order_that_a_dead_supervisor_never_read_goes_to_the_next_one() {
    let mut real = Real::new();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    std::fs::write(real.path("go"), "").unwrap();
    real.apply(&held_job(&real, "{attempts_max: 1}", "{}"));
    real.until("the host is up", |real| host_states(real).contains(" up"));
    assert_eq!(real.signal_of_executor("supervise", "-STOP"), 1);
    real.must(&["run", "held", "--period", "2026-11-20"]);
    real.until("the job is assigned", |real| real.attempts_assigned() == 1);
    // By then the order waits in the socket of the one that is about to die.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(real.attempts_started(), 0);
    assert_eq!(real.kill_of_executor("supervise"), 1);
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    assert_eq!(written(&real, "begin").len(), 1);
    assert_eq!(written(&real, "end").len(), 1);
}

fn host_states(real: &Real) -> String {
    real.must(&["host", "list"])
}

#[test]
fn a_master_that_was_frozen_goes_on() {
    let mut real = Real::quick();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(&mesh(&real));
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    real.until("a job has begun", |real| !real.journal().is_empty());
    real.signal_master("-STOP");
    std::thread::sleep(LONGER_THAN_LOST);
    let meanwhile = real.journal().len();
    real.signal_master("-CONT");
    ended(&mut real);
    assert!(real.journal().len() > meanwhile, "it was not frozen in the middle of the work");
    judge(&real);
}

/// `wait`: whoever is silent is waited for, and its job is the same one afterwards.
#[test]
fn a_host_that_was_frozen_whole_keeps_its_waiting_job() {
    let mut real = Real::quick();
    real.start_executor(&[]);
    real.add_host("h2");
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(&held_job(&real, "{on_lost: wait}", "{hosts: [h1]}"));
    real.must(&["run", "held", "--period", "2026-11-20"]);
    real.until("the job has begun", |real| !real.journal().is_empty());
    assert!(real.signal_host("-STOP") >= 3, "agent, supervisor and job were stopped");
    real.until("the host is told as silent", |real| host_states(real).contains("silent"));
    assert_eq!(real.executions(), ["running"], "{}", real.logs());
    real.signal_host("-CONT");
    std::fs::write(real.path("go"), "").unwrap();
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    none_began_twice(&real);
    assert_eq!(written(&real, "begin").len(), 1, "one attempt: {:?}", real.journal());
}

/// `retry`: another host takes over, and the frozen one ends its own when it wakes.
#[test]
fn a_job_of_a_frozen_host_is_tried_again_elsewhere() {
    let mut real = Real::quick();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    let policy = "{on_lost: retry, attempts_max: 9, kill_grace_s: 1, backoff: {delay_s: 0, factor: 1, delay_max_s: 0}}";
    real.apply(&held_job(&real, policy, "{}"));
    real.must(&["run", "held", "--period", "2026-11-20"]);
    real.until("the job has begun", |real| !real.journal().is_empty());
    // From now on there is a second host; the job may run on any.
    real.add_host("h2");
    real.apply(&held_job(&real, policy, "{}"));
    assert!(real.signal_host("-STOP") >= 3, "agent, supervisor and job were stopped");
    real.until("a second attempt has begun", |real| written(real, "begin").len() == 2);
    real.signal_host("-CONT");
    real.until("the host is heard again", |real| !host_states(real).contains("silent"));
    // The first attempt was fenced: it does not live to see this.
    std::thread::sleep(LONGER_THAN_LOST);
    std::fs::write(real.path("go"), "").unwrap();
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    none_began_twice(&real);
    let ends = written(&real, "end");
    assert_eq!(ends.len(), 1, "the fenced attempt has written on: {ends:?}");
}

fn link_fails_as(link: Link) {
    let (mut real, proxy) = linked();
    real.apply(&mesh(&real));
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    real.until("a job has begun", |real| !real.journal().is_empty());
    proxy.set(link);
    facts::note("faults", 1);
    real.until("the host is told as silent", |real| host_states(real).contains("silent"));
    assert!(proxy.faults() > 0, "the link has carried on");
    proxy.set(Link::Whole);
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    judge(&real);
}

#[test]
fn a_link_that_breaks() {
    link_fails_as(Link::Cut);
}

#[test]
fn a_link_that_carries_nothing_to_the_host() {
    link_fails_as(Link::DeafHost);
}

#[test]
fn a_link_that_carries_nothing_from_the_host() {
    link_fails_as(Link::DumbHost);
}

/// The database of before the jobs began is put back. What the host runs is adopted, not begun again.
#[test]
fn a_restored_database_learns_from_its_hosts() {
    let mut real = Real::quick();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(&held_job(&real, "{}", "{hosts: [h1]}"));
    real.stop_master();
    // Of an embedded database the log beside it is part of the backup.
    let copy = |real: &Real, from: &str, to: &str| {
        for ending in ["", "-wal"] {
            let from = real.path(&format!("{from}{ending}"));
            if from.exists() {
                std::fs::copy(from, real.path(&format!("{to}{ending}"))).unwrap();
            }
        }
    };
    copy(&real, "master/hcndc.db", "backup.db");
    real.start_master(&[]);
    real.master_is_ready();
    real.must(&["run", "held", "--period", "2026-11-20"]);
    real.until("the job has begun", |real| !real.journal().is_empty());
    real.kill_master();
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(real.path(&format!("master/hcndc.db{ending}")));
    }
    copy(&real, "backup.db", "master/hcndc.db");
    assert!(real.executions().is_empty(), "the fault: the database has forgotten the execution");
    let told = real.restore();
    assert!(told.contains("1 hosts are in doubt"), "{told}");
    real.start_master(&[]);
    real.master_is_ready();
    real.must(&["run", "held", "--period", "2026-11-20"]);
    std::thread::sleep(LONGER_THAN_LOST);
    std::fs::write(real.path("go"), "").unwrap();
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    let begun = written(&real, "begin");
    assert_eq!(begun.len(), 1, "the job of before was adopted: {begun:?}\n{}", real.logs());
    none_began_twice(&real);
}
