//! Some jobs only, what follows, all of it anew, and what a person takes out of the way.

use super::lab::*;
use super::verbs::both;
use crate::engine::rows::*;
use shared::wire::Exit;

const DAY: &str = "2026-11-20";

fn part(of: &str, name: &str, part: Part) -> Verb {
    Verb::RunPart {
        interface: interface(of),
        period: period(DAY),
        job: job(interface(of), name),
        part,
        params: Default::default(),
        api: false,
    }
}

/// (mesh, what is asked for, jobs to run, jobs afterwards, whether it counts as the whole)
#[test]
fn some_jobs_only() {
    use Part::*;
    let cases = [
        ("A: a>b>c", "b", Alone, 1, "a left_out, b ok, c left_out", false),
        ("A: a>b>c", "b", From, 2, "a left_out, b ok, c ok", false),
        ("A: a>b>c", "b", To, 2, "a ok, b ok, c left_out", false),
        ("A: a>b>c", "a", From, 3, "a ok, b ok, c ok", true),
        ("A: a>b>c", "c", To, 3, "a ok, b ok, c ok", true),
        ("A: a,b>c; c>d,e", "c", From, 3, "a left_out, b left_out, c ok, d ok, e ok", false),
        ("A: a>b; c>d", "d", To, 2, "a left_out, b left_out, c ok, d ok", false),
        // One that was to take up a failure runs when it is asked for by name …
        ("A: a>!b", "b", Alone, 1, "a left_out, b ok", false),
        // … and not because of what was left out.
        ("A: a>!b; c>b", "c", From, 2, "a left_out, b skipped, c ok", false),
        ("A: a>*b; c>b", "c", From, 2, "a left_out, b ok, c ok", false),
    ];
    for (mesh, name, which, jobs, after, whole) in cases {
        let mut lab = Lab::new(mesh);
        let plan = both(&mut lab, part("A", name, which));
        assert_eq!((plan.runs_made, plan.jobs_to_run), (1, jobs), "{mesh}");
        assert_eq!(lab.jobs("A", DAY), after, "{mesh} {which:?} {name}");
        assert_eq!(lab.state("A", DAY), "succeeded", "{mesh}");
        assert_eq!(!lab.run_row("A", DAY).partial, whole, "{mesh}");
    }
}

#[test]
fn what_has_succeeded_before_counts() {
    let mut lab = Lab::new("A: a>b>c; b fails\nB <A: a");
    lab.runs("A", DAY, false);
    lab.runs("B", DAY, false);
    assert_eq!((lab.state("A", DAY), lab.state("B", DAY)), ("failed", "waiting"));
    lab.fate("A", "b", Fate::Ok);
    both(&mut lab, part("A", "b", Part::Alone));
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok, c left_out");
    assert_eq!(lab.job_row("A", DAY, "a").reason, "it succeeded in generation 0, which counts");
    assert_eq!(lab.state("B", DAY), "waiting", "c has never run");
    both(&mut lab, part("A", "c", Part::Alone));
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok, c ok");
    assert_eq!(lab.job_row("A", DAY, "b").reason, "it succeeded in generation 1, which counts");
    assert_eq!((lab.state("A", DAY), lab.state("B", DAY)), ("succeeded", "succeeded"));
    assert_eq!(
        lab.begun.iter().filter(|attempt| attempt.job == job(interface("A"), "a")).count(),
        1
    );
}

#[test]
fn parameters_are_those_of_the_generation_before() {
    let mut lab = Lab::new("A: a>b");
    let params = [("x".to_owned(), "1".to_owned())];
    let (interface, day) = (interface("A"), period(DAY));
    lab.command(
        Verb::RunNow {
            interface,
            period: day,
            cascade: false,
            params: params.clone().into(),
            missing_only: false,
            api: false,
        },
        false,
    );
    lab.settle();
    both(&mut lab, part("A", "b", Part::Alone));
    assert_eq!(lab.run_row("A", DAY).params, params.into());
}

#[test]
fn a_part_of_what_lives_is_refused() {
    let mut lab = Lab::new("A: a>b; a hangs");
    lab.runs("A", DAY, false);
    let refused = |lab: &mut Lab, verb| lab.command(verb, false).refused.unwrap();
    let why = refused(&mut lab, part("A", "b", Part::Alone));
    assert_eq!(why, "a run of A 2026-11-20 is live: resume, skip or force jobs of that one");
    assert_eq!(refused(&mut lab, part("A", "z", Part::Alone)), "A has no job 126");
}

/// It would take the part for the whole otherwise.
#[test]
fn who_joins_a_part_gets_the_whole_when_it_has_ended() {
    let mut lab = Lab::new("A: a>b>c; b hangs\nB <A: a\nC <B: a");
    lab.command(part("A", "b", Part::Alone), false);
    lab.settle();
    let plan = lab.runs("A", DAY, true);
    assert_eq!((plan.runs_joined, plan.runs_made), (1, 2));
    let other = lab.runs("A", DAY, false);
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.reload();
    lab.settle();
    lab.exit("A", DAY, "b", Exit::Code(0));
    assert_eq!(lab.run_row("A", DAY).generation, 1);
    assert_eq!(lab.jobs("A", DAY), "a ok, b running, c waiting");
    assert_eq!(lab.state("B", DAY), "waiting");
    lab.exit("A", DAY, "b", Exit::Code(0));
    assert_eq!((lab.state("B", DAY), lab.state("C", DAY)), ("succeeded", "succeeded"));
    for plan in [&plan, &other] {
        assert_eq!(lab.execution(plan).state, RunState::Succeeded);
        assert_eq!(lab.execution(plan).runs[0], lab.run("A", DAY));
    }
    assert_eq!(lab.execution(&plan).runs.len(), 3);
}

/// It does not keep an execution open, but what it owes does: else nobody would be left to be given it.
#[test]
fn a_coarser_part_is_made_whole_too() {
    const WEEK: &str = "2026-W47";
    let mut lab = Lab::new("A: a\nB week <A: a>b; b hangs");
    lab.command(
        Verb::RunPart {
            interface: interface("B"),
            period: period(WEEK),
            job: job(interface("B"), "b"),
            part: Part::Alone,
            params: Default::default(),
            api: false,
        },
        false,
    );
    let run = lab.run("B", WEEK);
    lab.command(Verb::Force { run, job: None }, false);
    lab.settle();
    let plan = lab.runs("A", DAY, true);
    assert_eq!((plan.runs_joined, plan.runs_made), (1, 1));
    assert_eq!(lab.state("A", DAY), "succeeded");
    lab.reload();
    lab.settle();
    lab.exit("B", WEEK, "b", Exit::Code(1));
    // The whole one waits for the other days of its week, and holds nobody up.
    assert_eq!((lab.run_row("B", WEEK).generation, lab.state("B", WEEK)), (1, "waiting"));
    assert_eq!(lab.jobs("B", WEEK), "a waiting, b waiting");
    let row = lab.execution(&plan);
    assert_eq!((row.state, row.runs[1]), (RunState::Succeeded, lab.run("B", WEEK)));
}

#[test]
fn what_follows_goes_on_by_hand() {
    let mut lab = Lab::new("A: a\nB <A: a\nC <B: a\nD: a");
    lab.runs("A", DAY, false);
    let run = lab.run("A", DAY);
    let follow = |run, all| Verb::Follow { run, all };
    let plan = both(&mut lab, follow(run, false));
    assert_eq!((plan.runs_satisfied, plan.runs_made), (1, 2));
    assert_eq!(lab.state("C", DAY), "succeeded");
    let plan = both(&mut lab, follow(run, false));
    assert_eq!((plan.runs_satisfied, plan.runs_made), (3, 0));
    // What is fed by an older generation is made again, and what that feeds.
    lab.runs("A", DAY, false);
    assert!(lab.run_row("B", DAY).stale && lab.run_row("C", DAY).stale);
    let old = lab.command(follow(run, false), false).refused.unwrap();
    assert!(old.contains("not the newest"), "{old}");
    let run = lab.run("A", DAY);
    let plan = both(&mut lab, follow(run, false));
    assert_eq!((plan.runs_satisfied, plan.runs_made), (1, 2));
    assert!(!lab.run_row("B", DAY).stale && !lab.run_row("C", DAY).stale);
    let plan = both(&mut lab, follow(run, true));
    assert_eq!((plan.runs_satisfied, plan.runs_made), (1, 2));
    let run = lab.run("C", DAY);
    let none = lab.command(follow(run, false), false).refused.unwrap();
    assert_eq!(none, "nothing depends on C");
    let mut lab = Lab::new("A: a; a fails\nB <A: a");
    lab.runs("A", DAY, false);
    let run = lab.run("A", DAY);
    let failed = lab.command(follow(run, false), false).refused.unwrap();
    assert_eq!(failed, "A 2026-11-20 has not succeeded: only what has is followed");
}

#[test]
fn a_reset_waits_for_its_start() {
    let mut lab = Lab::new("A: a>b; b fails\nB <A: a");
    let plan = lab.runs("A", DAY, true);
    let execution = plan.execution.unwrap();
    lab.fate("A", "b", Fate::Ok);
    lab.reload();
    lab.settle();
    let made = both(&mut lab, Verb::Reset { execution });
    assert_eq!((made.runs_made, made.jobs_to_run), (2, 3));
    assert_eq!(
        (lab.jobs("A", DAY).as_str(), lab.state("A", DAY)),
        ("a waiting, b waiting", "ready")
    );
    assert_eq!(lab.run_row("A", DAY).generation, 1);
    let why = lab.command(Verb::Reset { execution }, false).refused.unwrap();
    assert_eq!(why, "it still lives: stop it first, or wait for its end");
    lab.reload();
    lab.settle();
    assert_eq!(lab.state("A", DAY), "ready");
    let begun = both(&mut lab, Verb::StartExecution { execution });
    assert_eq!(begun.runs_started, 2);
    assert_eq!((lab.state("A", DAY), lab.state("B", DAY)), ("succeeded", "succeeded"));
    let row = lab.execution(&plan);
    assert_eq!((row.state, row.runs.len()), (RunState::Succeeded, 2));
    let none = lab.command(Verb::StartExecution { execution }, false).refused.unwrap();
    assert_eq!(none, "nothing of it is paused");
}

#[test]
fn an_execution_is_paused_as_a_whole() {
    let mut lab = Lab::new("A: a>b; a hangs\nB <A: a");
    let execution = lab.runs("A", DAY, true).execution.unwrap();
    let plan = both(&mut lab, Verb::PauseExecution { execution });
    assert_eq!(plan.runs_paused, 2);
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.jobs("A", DAY), "a ok, b waiting");
    let again = lab.command(Verb::PauseExecution { execution }, false);
    assert_eq!(again.refused.unwrap(), "nothing of it can be paused");
    both(&mut lab, Verb::StartExecution { execution });
    assert_eq!(lab.state("B", DAY), "succeeded");
}

#[test]
fn what_is_left_out_holds_nobody_up() {
    let mut lab = Lab::new("A: a>b>c; b>!d; e hangs; a hangs");
    lab.runs("A", DAY, false);
    let run = lab.run("A", DAY);
    let skip = |name: &str| Verb::Skip {
        run,
        job: job(interface("A"), name),
        reason: "no data today".into(),
    };
    let plan = both(&mut lab, skip("b"));
    assert_eq!(plan.jobs_skipped, 2);
    assert_eq!(lab.job_row("A", DAY, "b").reason, "left out by hand: no data today");
    assert_eq!(lab.jobs("A", DAY), "a running, b left_out, c ok, d skipped, e running");
    let why = lab.command(skip("a"), false).refused.unwrap();
    assert_eq!(why, "the job has begun, or has ended");
    lab.exit("A", DAY, "a", Exit::Code(1));
    lab.exit("A", DAY, "e", Exit::Code(0));
    assert_eq!(lab.state("A", DAY), "failed");
    // To resume does not take back what a person has decided.
    lab.fate("A", "a", Fate::Ok);
    both(&mut lab, Verb::Resume { run });
    assert_eq!(lab.jobs("A", DAY), "a ok, b left_out, c ok, d skipped, e ok");
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn a_forced_job_waits_for_nothing_but_a_place() {
    let mut lab = Lab::new("A: a\nB: a>b>c; a hangs; b needs A.a; c needs A.a\nC <B: a>b");
    lab.runs("B", DAY, true);
    let run = lab.run("B", DAY);
    let force =
        |run, of: &str, name: &str| Verb::Force { run, job: Some(job(interface(of), name)) };
    let plan = both(&mut lab, force(run, "B", "b"));
    assert_eq!(plan.jobs_to_run, 1);
    assert_eq!(lab.jobs("B", DAY), "a running, b ok, c waiting");
    let why = lab.command(force(run, "B", "a"), false).refused.unwrap();
    assert_eq!(why, "the job has begun, or has ended");
    // Of a run that itself waits.
    let waits = lab.run("C", DAY);
    both(&mut lab, force(waits, "C", "b"));
    assert_eq!((lab.jobs("C", DAY).as_str(), lab.state("C", DAY)), ("a waiting, b ok", "running"));
    lab.reload();
    lab.settle();
    assert_eq!(lab.jobs("C", DAY), "a waiting, b ok");
    // A frozen or paused one does not begin.
    lab.command(Verb::Pause { run: waits }, false);
    let why = lab.command(force(waits, "C", "a"), false).refused.unwrap();
    assert_eq!(why, "it waits for nothing that can be passed over");
    lab.command(Verb::Unpause { run: waits }, false);
    // Its parent fails: what was forced is not undone, the rest never begins.
    lab.exit("B", DAY, "a", Exit::Code(1));
    assert_eq!(lab.jobs("B", DAY), "a failed, b ok, c waiting");
}

#[test]
fn a_run_begins_in_spite_of_what_it_waits_for() {
    let mut lab = Lab::new("A: a\nB <A: a>b; b needs A.a");
    lab.runs("B", DAY, false);
    assert_eq!(lab.state("B", DAY), "waiting");
    let run = lab.run("B", DAY);
    let plan = both(&mut lab, Verb::Force { run, job: None });
    assert_eq!(plan.jobs_to_run, 2);
    assert_eq!(lab.state("B", DAY), "succeeded");
    let why = lab.command(Verb::Force { run, job: None }, false).refused.unwrap();
    assert_eq!(why, "the run is not live");
}

/// Nothing is left to do, and what was waited for is not needed any more.
#[test]
fn a_run_whose_jobs_were_all_forced_or_left_out_has_succeeded() {
    let mut lab = Lab::new("A: a\nB <A: a>b\nC <B: a");
    lab.runs("B", DAY, true);
    let run = lab.run("B", DAY);
    let (a, b) = (job(interface("B"), "a"), job(interface("B"), "b"));
    lab.command(Verb::Force { run, job: Some(a) }, false);
    lab.settle();
    assert_eq!(lab.state("B", DAY), "running");
    lab.command(Verb::Skip { run, job: b, reason: "not today".into() }, false);
    lab.settle();
    assert_eq!(lab.jobs("B", DAY), "a ok, b left_out");
    assert_eq!((lab.state("B", DAY), lab.state("C", DAY)), ("succeeded", "succeeded"));
}

/// Of two parts that were joined the later one does not take the earlier one for its parent.
#[test]
fn a_whole_run_waits_for_no_part() {
    let mut lab = Lab::new("A: a>b; b hangs\nB <A: a>b; b hangs");
    lab.command(part("A", "b", Part::Alone), false);
    lab.settle();
    let by_hand = part("B", "b", Part::Alone);
    lab.command(by_hand, false);
    let run = lab.run("B", DAY);
    lab.command(Verb::Force { run, job: None }, false);
    lab.settle();
    lab.runs("A", DAY, true);
    lab.exit("B", DAY, "b", Exit::Code(0));
    assert_eq!((lab.run_row("B", DAY).generation, lab.state("B", DAY)), (1, "waiting"));
    lab.exit("A", DAY, "b", Exit::Code(1));
    assert_eq!(lab.state("B", DAY), "waiting", "the part has failed, and the whole is made");
    lab.exit("A", DAY, "b", Exit::Code(0));
    assert_eq!(lab.jobs("B", DAY), "a ok, b running");
}

#[test]
fn a_part_on_top_of_a_whole_does_not_make_it_again() {
    let mut lab = Lab::new("A: a>b");
    lab.runs("A", DAY, false);
    let missing = |lab: &mut Lab| {
        let verb = Verb::RunNow {
            interface: interface("A"),
            period: period(DAY),
            cascade: false,
            params: Default::default(),
            missing_only: true,
            api: false,
        };
        let plan = lab.command(verb, false);
        (plan.runs_satisfied, plan.runs_made)
    };
    assert_eq!(missing(&mut lab), (1, 0));
    both(&mut lab, part("A", "b", Part::Alone));
    assert!(!lab.run_row("A", DAY).partial);
    assert_eq!(missing(&mut lab), (1, 0));
}
