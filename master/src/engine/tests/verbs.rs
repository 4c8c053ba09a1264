//! What people ask for, and that a dry run does nothing but tell.

use super::lab::*;
use crate::engine::rows::*;
use shared::ids::*;
use shared::wire::Exit;

const DAY: &str = "2026-11-20";

/// The dry run tells what the verb does, and leaves no trace but its answer.
pub(super) fn both(lab: &mut Lab, verb: Verb) -> Plan {
    let shown =
        |lab: &Lab| format!("{:?} {:?}", lab.world.due(), lab.world.ready().collect::<Vec<_>>());
    let rows = |lab: &Lab| {
        let rows = lab.db.iter().filter(|(key, _)| !matches!(key, Key::Command(_)));
        rows.map(|(key, row)| (*key, row.clone())).collect::<Vec<_>>()
    };
    // Once to load what it needs.
    lab.command(verb.clone(), true);
    let before = (shown(lab), rows(lab));
    let dry = lab.command(verb.clone(), true);
    assert!(before == (shown(lab), rows(lab)), "a dry run of {verb:?} left something behind");
    let mut plan = lab.command(verb, false);
    plan.execution = dry.execution;
    assert_eq!(dry, plan);
    lab.settle();
    plan
}

fn id(lab: &Lab, of: &str) -> RunId {
    lab.run(of, DAY)
}

fn at(of: &str, name: &str) -> JobId {
    job(interface(of), name)
}

#[test]
fn run_now_tells_what_it_makes() {
    let mut lab = Lab::new("A: a>b\nB <A: a\nC: a");
    let run_now = |of, cascade, missing_only| Verb::RunNow {
        interface: interface(of),
        period: period(DAY),
        cascade,
        params: [("x".to_owned(), "1".to_owned())].into(),
        missing_only,
        api: false,
    };
    let plan = both(&mut lab, run_now("A", true, false));
    assert_eq!((plan.runs_made, plan.jobs_to_run), (2, 3));
    assert_eq!(lab.run_row("B", DAY).params["x"], "1");
    let plan = both(&mut lab, run_now("A", true, true));
    assert_eq!((plan.runs_made, plan.runs_satisfied), (0, 2));
    let plan = lab.command(
        Verb::RunNow {
            interface: interface("C"),
            period: period("2026-W47"),
            cascade: false,
            params: Default::default(),
            missing_only: false,
            api: false,
        },
        false,
    );
    let why = "2026-W47 is no period of C, whose granularity is day";
    assert_eq!(plan.refused.unwrap(), why);
    let plan = lab.command(run_now("Z", false, false), false);
    assert_eq!(plan.refused.unwrap(), "there is no interface 26");
}

#[test]
fn stop_ends_what_runs_by_a_kill_and_the_rest_at_once() {
    let mut lab = Lab::new("A: a>b; c; a hangs\nB <A: a");
    let plan = lab.runs("A", DAY, true);
    let execution = plan.execution.unwrap();
    let plan = both(&mut lab, Verb::StopExecution { execution });
    assert_eq!(plan.jobs_stopped, 3);
    assert_eq!(lab.jobs("A", DAY), "a stopped, b stopped, c ok");
    assert_eq!((lab.state("A", DAY), lab.state("B", DAY)), ("stopped", "stopped"));
    assert_eq!(lab.alerts(), [AlertEvent::ExecutionStopped]);
    let run = id(&lab, "A");
    let again = lab.command(Verb::Stop { run }, false);
    assert_eq!(again.refused.unwrap(), "nothing of it is live");
}

#[test]
fn resume_goes_on_where_it_failed() {
    let mut lab = Lab::new("A: a>b>c; b fails\nB <A: a\nC <B: a");
    let plan = lab.runs("A", DAY, true);
    assert_eq!(lab.execution(&plan).state, RunState::Failed);
    lab.fate("A", "b", Fate::Ok);
    lab.pass(1);
    let execution = plan.execution.unwrap();
    let resumed = both(&mut lab, Verb::ResumeExecution { execution });
    assert_eq!(resumed.jobs_reset, 4);
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok, c ok");
    assert_eq!((lab.state("B", DAY), lab.state("C", DAY)), ("succeeded", "succeeded"));
    assert_eq!(lab.run_row("A", DAY).generation, 0);
    assert_eq!(lab.execution(&plan).state, RunState::Succeeded);
    let a = lab
        .begun
        .iter()
        .filter(|attempt| attempt.job == at("A", "a") && attempt.run == id(&lab, "A"));
    assert_eq!(a.count(), 1);
    assert_eq!(lab.alerts(), [AlertEvent::ExecutionFailed, AlertEvent::ExecutionSucceeded]);
    let run = id(&lab, "A");
    assert!(lab.command(Verb::Resume { run }, false).refused.is_some());
}

#[test]
fn resume_of_a_child_alone_waits_for_any_success_of_its_parent() {
    let mut lab = Lab::new("A: a; a fails\nB <A: a");
    lab.runs("A", DAY, true);
    let run = id(&lab, "B");
    let plan = both(&mut lab, Verb::Resume { run });
    assert_eq!(plan.jobs_reset, 1);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.fate("A", "a", Fate::Ok);
    lab.runs("A", DAY, false);
    assert_eq!((lab.state("B", DAY), lab.run_row("B", DAY).generation), ("succeeded", 0));
}

#[test]
fn resume_of_a_live_run_tries_its_failed_branch_again() {
    let mut lab = Lab::new("A: a>b; c; a fails; c hangs");
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a failed, b skipped, c running");
    lab.fate("A", "a", Fate::Ok);
    let run = id(&lab, "A");
    both(&mut lab, Verb::Resume { run });
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok, c running");
}

#[test]
fn only_the_newest_generation_can_be_resumed() {
    let mut lab = Lab::new("A: a; a fails");
    lab.runs("A", DAY, false);
    let old = id(&lab, "A");
    lab.runs("A", DAY, false);
    let plan = lab.command(Verb::Resume { run: old }, false);
    assert!(plan.refused.unwrap().contains("not the newest"));
}

#[test]
fn a_paused_run_begins_nothing() {
    let mut lab = Lab::new("A: a>b; a hangs");
    lab.runs("A", DAY, false);
    let run = id(&lab, "A");
    both(&mut lab, Verb::Pause { run });
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.jobs("A", DAY), "a ok, b waiting");
    assert!(lab.command(Verb::Pause { run }, false).refused.is_some());
    both(&mut lab, Verb::Unpause { run });
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn one_job_is_killed_and_its_followers_are_skipped() {
    let mut lab = Lab::new("A: a>b; c; a hangs");
    lab.runs("A", DAY, false);
    let (run, job) = (id(&lab, "A"), at("A", "a"));
    let plan = both(&mut lab, Verb::Kill { run, job });
    assert_eq!(plan.jobs_stopped, 1);
    assert_eq!(lab.jobs("A", DAY), "a stopped, b skipped, c ok");
    assert!(lab.command(Verb::Kill { run, job }, false).refused.is_some());
}

#[test]
fn a_marked_success_lets_the_skipped_go_on() {
    let mut lab = Lab::new("A: a>b>c; d>e; a fails; d fails; e>f");
    lab.runs("A", DAY, false);
    let (run, job) = (id(&lab, "A"), at("A", "a"));
    let verb = || Verb::MarkSuccess { run, job, reason: "seen by hand".into() };
    let plan = both(&mut lab, verb());
    assert_eq!(plan.jobs_reset, 2);
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok, c ok, d failed, e skipped, f skipped");
    assert_eq!(lab.state("A", DAY), "failed");
    assert_eq!(lab.job_row("A", DAY, "a").reason, "marked by hand: seen by hand");
    assert!(lab.command(verb(), false).refused.is_some());
    lab.command(Verb::MarkSuccess { run, job: at("A", "d"), reason: String::new() }, false);
    lab.settle();
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn an_unreachable_attempt_is_abandoned_and_killed_when_its_host_is_back() {
    let mut lab = Lab::new("A: a tries 2; a hangs");
    lab.runs("A", DAY, false);
    lab.silent.insert(HostId(1));
    lab.wait(100_000);
    assert_eq!(lab.jobs("A", DAY), "a running");
    let (run, job) = (id(&lab, "A"), at("A", "a"));
    let plan = both(&mut lab, Verb::Abandon { run, job });
    assert_eq!(plan.attempts_abandoned, 1);
    assert_eq!(lab.jobs("A", DAY), "a waiting");
    lab.fate("A", "a", Fate::Ok);
    lab.silent.clear();
    lab.pass(1);
    assert!(lab.running[&HostId(1)].is_empty());
    lab.wait(60_000);
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn a_host_is_retired() {
    let mut lab = Lab::with_hosts("A: a tries 2; a hangs; a on 1; b on 1", &[1, 1]);
    lab.runs("A", DAY, false);
    lab.silent.insert(HostId(1));
    let plan = both(&mut lab, Verb::Retire { host: HostId(1) });
    assert_eq!(plan.attempts_abandoned, 1);
    assert_eq!(lab.jobs("A", DAY), "a waiting, b assigned");
}

#[test]
fn commands_are_obeyed_once_and_in_order() {
    let mut lab = Lab::new("A: a");
    let plan = lab.start("A", DAY, false);
    let verb = Verb::StopExecution { execution: plan.execution.unwrap() };
    let command = Command { project: ProjectId(1), by: UserId(1), verb, dry_run: false };
    use crate::engine::world::Event;
    let stop = CommandId(lab.commands + 1);
    assert!(!lab.apply(Event::Command(stop, command.clone())).is_empty());
    assert!(lab.apply(Event::Command(stop, command)).is_empty());
    assert_eq!(lab.state("A", DAY), "running");
    lab.settle();
    assert_eq!(lab.state("A", DAY), "stopped");
}

#[test]
fn history_is_loaded_for_a_verb_on_what_ended_long_ago() {
    let mut lab = Lab::new("A: a>b; a fails\nB <A: a");
    let plan = lab.runs("A", DAY, true);
    lab.reload();
    lab.settle();
    assert!(lab.world.table().runs.is_empty());
    lab.fate("A", "a", Fate::Ok);
    let execution = plan.execution.unwrap();
    both(&mut lab, Verb::ResumeExecution { execution });
    assert_eq!(lab.state("B", DAY), "succeeded");
    lab.reload();
    let unknown = Verb::Stop { run: RunId(5) };
    assert_eq!(lab.command(unknown, false).refused.unwrap(), "nothing of it is live");
    let unknown = Verb::ResumeExecution { execution: ExecutionId(5) };
    assert!(lab.command(unknown, false).refused.unwrap().starts_with("there is no execution"));
}

#[test]
fn what_waits_for_a_place_can_be_put_first() {
    let mut lab = Lab::with_hosts("A: a; a hangs\nB: a; a hangs\nC: a; a hangs", &[1]);
    for of in ["A", "B", "C"] {
        lab.runs(of, DAY, false);
    }
    let state = |lab: &Lab, of: &str| lab.state(of, "2026-11-20");
    let (b, c) = (lab.run("B", "2026-11-20"), lab.run("C", "2026-11-20"));
    let plan = both(&mut lab, Verb::Prioritize { run: c, priority: 7 });
    assert_eq!(plan.refused, None);
    let again = lab.command(Verb::Prioritize { run: c, priority: 7 }, true);
    assert_eq!(again.refused.unwrap(), "its priority is 7 already");
    // Another leader knows it too.
    lab.reload();
    let run = lab.run("A", "2026-11-20");
    lab.command(Verb::Stop { run }, false);
    lab.settle();
    assert_eq!([state(&lab, "B"), state(&lab, "C")], ["ready", "running"]);
    lab.command(Verb::Stop { run: b }, false);
    lab.settle();
    let ended = lab.command(Verb::Prioritize { run: b, priority: 1 }, false);
    assert_eq!(ended.refused.unwrap(), "the run is not live");
}
