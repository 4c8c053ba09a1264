//! Lives and deaths of the supervisor: what a new one knows, ends and says.

use crate::rig::{Rig, alive};
use shared::ids::AttemptId;
use shared::wire::*;

/// A job that notes its pid and stays, and what it has started to get away.
fn stay(rig: &mut Rig) -> AttemptId {
    let file = rig.path("pids").display().to_string();
    let script = "echo $$ >> $0; env -i setsid -f sh -c 'echo $$ >> $0; exec sleep 1000' $0; exec sleep 1000";
    rig.run(&["sh", "-c", script, &file])
}

#[test]
fn a_second_supervisor_is_refused_with_the_pid_of_the_first() {
    let rig = Rig::start();
    let mut second = rig.spawn("supervise", &[]);
    assert_eq!(second.wait().unwrap().code(), Some(1));
    let words = format!("process {} is the supervisor of", rig.pid());
    assert!(rig.log().contains(&words), "{}", rig.log());
    assert!(rig.status().is_some());
}

#[test]
fn a_new_life_ends_what_the_old_one_left_before_it_says_a_word() {
    let mut rig = Rig::start();
    let before = rig.run(&["true"]);
    rig.end(before);
    let attempts: Vec<_> = (0..20).map(|_| stay(&mut rig)).collect();
    rig.until("all pids", |rig| rig.pids("pids").len() == 40);
    let pids = rig.pids("pids");
    let first = rig.status().unwrap().incarnation;
    rig.kill();
    assert!(pids.iter().all(|pid| alive(*pid)), "they outlive it");
    rig.launch(&[]);
    assert!(!pids.iter().any(|pid| alive(*pid)), "{}", rig.log());
    assert_ne!(rig.status().unwrap().incarnation, first);
    rig.watch(0);
    assert!(attempts.iter().all(|attempt| rig.state(*attempt) == Some(&State::Unknown)));
    assert_eq!(rig.state(before), Some(&State::Ended(Exit::Code(0))), "an end is not forgotten");
    let former: Vec<_> = rig.follows.iter().map(|former| former.incarnation).collect();
    assert_eq!(former, [first], "it answers for the one whose journal it has read");
    // A late start of the old life begins nothing.
    let mut late = rig.plan(&["true"]);
    late.basis.incarnation = first;
    let late = rig.begin(late);
    rig.watch(200);
    assert_eq!(rig.state(late), None);
}

#[test]
fn a_stubborn_process_of_the_old_life_is_killed() {
    let mut rig = Rig::with("[timing]\nstray_grace_ms = 300\n");
    let file = rig.path("pids").display().to_string();
    rig.run(&["sh", "-c", "trap '' TERM; echo $$ >> $0; while :; do sleep 0.1; done", &file]);
    rig.until("its pid", |rig| rig.pids("pids").len() == 1);
    rig.kill();
    rig.launch(&[]);
    assert!(!alive(rig.pids("pids")[0]));
}

#[test]
fn another_data_directory_is_not_touched() {
    let mut rig = Rig::start();
    stay(&mut rig);
    rig.until("all pids", |rig| rig.pids("pids").len() == 2);
    let mut other = Rig::start();
    other.kill();
    other.launch(&[]);
    assert!(rig.pids("pids").iter().all(|pid| alive(*pid)));
}

#[test]
fn a_torn_journal_costs_its_tail_alone() {
    let mut rig = Rig::start();
    let attempts: Vec<_> = (0..10).map(|_| rig.run(&["true"])).collect();
    rig.ends(&attempts);
    rig.kill();
    let mut files: Vec<_> = std::fs::read_dir(rig.layout.journal()).unwrap().flatten().collect();
    files.sort_by_key(std::fs::DirEntry::path);
    let newest = files.last().unwrap().path();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&newest, &bytes).unwrap();
    rig.launch(&[]);
    rig.watch(0);
    let ended = State::Ended(Exit::Code(0));
    let whole = attempts.iter().filter(|attempt| rig.state(**attempt) == Some(&ended)).count();
    let unknown = attempts.iter().filter(|attempt| rig.state(**attempt) == Some(&State::Unknown));
    assert_eq!((whole, unknown.count()), (9, 1));
    assert!(rig.log().contains("1 damaged records"), "{}", rig.log());
}

/// Dies at the point while it obeys a start; then a new life answers.
fn crash(point: &str) -> (Rig, AttemptId, std::path::PathBuf) {
    let mut rig = Rig::without_process("");
    let (proof, file) = (rig.path("proof"), rig.path("ran"));
    rig.launch(&[("HCNDC_CRASH_AT", point.as_ref()), ("HCNDC_CRASH_PROOF", proof.as_os_str())]);
    let start = rig.plan(&["sh", "-c", "echo $$ >> $0; sleep 0.3", &file.display().to_string()]);
    let attempt = start.attempt;
    // It may die before it acknowledges.
    let _ = rig.try_order(vec![Order::Start(Box::new(start))]);
    let mut process = rig.process.take().unwrap();
    let status = process.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    assert_eq!(std::fs::read_to_string(&proof).unwrap(), point);
    rig.launch(&[]);
    rig.watch(0);
    (rig, attempt, file)
}

#[test]
fn crash_after_journal_before_spawn() {
    let (rig, attempt, file) = crash("after-journal-before-spawn");
    assert_eq!(rig.state(attempt), Some(&State::Unknown));
    assert!(!file.exists(), "it never ran");
}

#[test]
fn crash_after_spawn_before_first_answer() {
    let (rig, attempt, _) = crash("after-spawn-before-first-answer");
    assert_eq!(rig.state(attempt), Some(&State::Unknown));
    assert!(!rig.pids("ran").iter().any(|pid| alive(*pid)), "it is gone");
}

#[test]
fn crash_after_exit_before_journal() {
    let (rig, attempt, _) = crash("after-exit-before-journal");
    assert_eq!(rig.pids("ran").len(), 1, "it ran once");
    assert_eq!(rig.state(attempt), Some(&State::Unknown));
}

#[test]
fn crash_after_order_before_ack() {
    let (mut rig, attempt, _) = crash("after-order-before-ack");
    assert_eq!(rig.state(attempt), Some(&State::Unknown));
    // The leader, who heard nothing, orders it again: it does not begin twice.
    let mut again = rig.plan(&["touch", "/nowhere/at/all"]);
    again.attempt = attempt;
    rig.begin(again);
    rig.watch(100);
    assert_eq!(rig.state(attempt), Some(&State::Unknown));
    assert!(rig.pids("ran").len() <= 1);
}

#[test]
fn told_to_end_it_waits_for_what_runs() {
    let mut rig = Rig::start();
    let attempt = rig.sh("sleep 0.5; exit 5");
    let pid = nix::unistd::Pid::from_raw(rig.pid());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    rig.until("its wish to end", |rig| rig.log().contains("their end is waited for"));
    let refused = rig.run(&["true"]);
    assert_eq!(rig.end(refused), State::Refused(Refusal::Draining));
    let status = rig.process.take().unwrap().wait().unwrap();
    assert!(status.success(), "{status}");
    rig.launch(&[]);
    rig.watch(0);
    assert_eq!(rig.state(attempt), Some(&State::Ended(Exit::Code(5))));
}

#[test]
fn its_memory_stays_small() {
    let mut rig = Rig::start();
    let attempts: Vec<_> = (0..300).map(|_| rig.run(&["true"])).collect();
    rig.ends(&attempts);
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.pid())).unwrap();
    // The pages of the program itself are those of a build for tests, and the page cache's.
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("the supervisor holds {kib} KiB of its own");
    assert!(kib < 8 * 1024, "{kib} KiB\n{status}");
}

#[test]
fn a_retry_job_ends_when_no_leader_hears_us_any_more() {
    let mut rig = Rig::with("[timing]\nfence_ms = 1500\nlost_ms = 4000\n");
    // Without a lease it does not begin; nor does it when it was assigned before there was one.
    let mut early = rig.plan(&["true"]);
    early.leased = true;
    let early = rig.begin(early);
    rig.watch(0);
    assert_eq!(rig.state(early), None);
    rig.watch(0);
    let mut start = rig.plan(&["sleep", "1000"]);
    start.leased = true;
    let leased = rig.begin(start);
    let other = rig.run(&["sleep", "1000"]);
    let begun = rig.now_ms();
    while rig.now_ms() < begun + 2_500 {
        rig.watch(300);
    }
    assert_eq!(rig.state(leased), Some(&State::Running), "as long as it is heard");
    let silent = rig.now_ms();
    rig.until("the fence", |rig| rig.status().is_some_and(|status| status.running == 1));
    assert!(rig.now_ms() - silent < 4_000, "gone before the leader gives it up");
    rig.watch(0);
    assert_eq!(rig.state(leased), Some(&State::Ended(Exit::Fenced)));
    assert_eq!(rig.state(other), Some(&State::Running));
}
