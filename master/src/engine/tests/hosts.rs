//! Hosts: what they say, silence, doubt, orphans; and where jobs are placed.

use super::lab::*;
use crate::engine::rows::*;
use crate::engine::world::*;
use shared::ids::*;
use shared::wire::{Exit, Refusal, State};

const DAY: &str = "2026-11-20";
const H1: HostId = HostId(1);

fn newest(lab: &Lab, of: &str, name: &str) -> AttemptId {
    let id = JobRunId { run: lab.run(of, DAY), job: job(interface(of), name) };
    lab.world.table().jobs[&id].attempt(id)
}

/// The host's supervisor begins another life, with all its attempts gone or (`kept`) listed so.
fn reborn(lab: &mut Lab, host: HostId, listed: Vec<(AttemptId, State)>) {
    let answer = lab.seq.get_mut(&host).unwrap();
    *answer = Answer { incarnation: Incarnation(answer.incarnation.0 + 1000), seq: 0 };
    lab.running.entry(host).or_default().clear();
    let listed = listed.into_iter().map(|(id, state)| report(id, state)).collect();
    lab.answer(host, true, listed);
    lab.settle();
}

#[test]
fn what_is_not_listed_any_more_is_unknown_and_held() {
    let mut lab = Lab::new("A: a>b; a hangs");
    lab.runs("A", DAY, false);
    reborn(&mut lab, H1, vec![]);
    assert_eq!(lab.jobs("A", DAY), "a unknown, b waiting");
    assert_eq!(lab.alerts(), [AlertEvent::AttemptUnknown]);
    let (run, job) = (lab.run("A", DAY), job(interface("A"), "a"));
    lab.command(Verb::MarkSuccess { run, job, reason: "its file is there".into() }, false);
    lab.settle();
    assert_eq!(lab.jobs("A", DAY), "a ok, b ok");
}

#[test]
fn unknown_ends_are_treated_by_their_policy() {
    let mut lab = Lab::new("A: a unknown fail; a hangs\nB: a unknown retry; a hangs; a tries 2");
    lab.runs("A", DAY, false);
    lab.runs("B", DAY, false);
    reborn(&mut lab, H1, vec![]);
    assert_eq!((lab.jobs("A", DAY), lab.jobs("B", DAY)), ("a failed".into(), "a waiting".into()));
    lab.fate("B", "a", Fate::Ok);
    lab.wait(60_000);
    assert_eq!(lab.state("B", DAY), "succeeded");
}

#[test]
fn a_silent_host_loses_its_leased_jobs_only() {
    let mut lab = Lab::with_hosts("A: a hangs; a retry; a tries 2; b hangs", &[8]);
    lab.runs("A", DAY, false);
    lab.silent.insert(H1);
    lab.wait(24_999);
    assert_eq!(lab.jobs("A", DAY), "a running, b running");
    lab.wait(1);
    assert_eq!(lab.jobs("A", DAY), "a waiting, b running");
    assert_eq!(lab.world.due().leased, 0);
}

#[test]
fn an_attempt_that_was_given_up_and_lives_is_killed() {
    let mut lab = Lab::new("A: a hangs; a retry; a tries 2");
    lab.runs("A", DAY, false);
    let first = newest(&lab, "A", "a");
    lab.silent.insert(H1);
    lab.wait(30_000);
    lab.silent.clear();
    lab.answer(H1, true, vec![report(first, State::Running)]);
    let orders = &lab.world.due().orders[&H1];
    assert!(matches!(orders[&first], Todo::Kill { .. }), "{orders:?}");
    lab.settle();
    assert!(lab.running[&H1].is_empty());
    lab.wait(40_000);
    assert_eq!(lab.jobs("A", DAY), "a running");
}

#[test]
fn a_refusal_is_tried_elsewhere_and_costs_no_attempt() {
    let mut lab = Lab::with_hosts("A: a", &[9, 8]);
    lab.start("A", DAY, false);
    let first = newest(&lab, "A", "a");
    let place = lab.world.table().attempts[&first].place;
    lab.answer(place.host, false, vec![report(first, State::Refused(Refusal::DiskLow))]);
    assert_eq!(lab.jobs("A", DAY), "a waiting");
    lab.wait(31_000);
    assert_eq!(lab.state("A", DAY), "succeeded");
    let other = lab.world.table().attempts[&newest(&lab, "A", "a")].place;
    assert_eq!(lab.job_row("A", DAY, "a").number, 2);
    let _ = other;
}

#[test]
fn a_program_that_is_not_there_fails_the_job() {
    let mut lab = Lab::new("A: a");
    lab.start("A", DAY, false);
    let first = newest(&lab, "A", "a");
    let why = Refusal::CannotStart("no such program".into());
    lab.answer(H1, false, vec![report(first, State::Refused(why))]);
    assert_eq!(lab.job_row("A", DAY, "a").reason, "cannot start: no such program");
    assert_eq!(lab.state("A", DAY), "failed");
    let mut lab = Lab::new("A: a tries 3");
    lab.start("A", DAY, false);
    let first = newest(&lab, "A", "a");
    lab.apply(Event::CannotStart(first, "no value for day".into()));
    assert_eq!(lab.state("A", DAY), "failed");
    assert!(lab.world.due().orders.is_empty());
}

#[test]
fn a_list_in_parts_concludes_with_the_last() {
    let mut lab = Lab::new("A: a hangs; b hangs");
    lab.runs("A", DAY, false);
    let (a, b) = (newest(&lab, "A", "a"), newest(&lab, "A", "b"));
    let incarnation = lab.seq[&H1].incarnation;
    for (seq, attempt, full, more) in [(100, a, true, true), (101, b, false, false)] {
        let answer = shared::wire::WatchAnswer {
            answer: Answer { incarnation, seq },
            full,
            listed: vec![report(attempt, State::Running)],
            more,
            ..shared::wire::WatchAnswer::default()
        };
        lab.apply(Event::Heard(H1, answer));
        assert_eq!(lab.jobs("A", DAY), "a running, b running");
    }
}

#[test]
fn an_answer_of_another_life_counts_only_when_it_lists_all() {
    let mut lab = Lab::new("A: a hangs");
    lab.runs("A", DAY, false);
    let answer = shared::wire::WatchAnswer {
        answer: Answer { incarnation: Incarnation(99), seq: 3 },
        full: false,
        listed: vec![],
        ..shared::wire::WatchAnswer::default()
    };
    assert!(lab.apply(Event::Heard(H1, answer)).is_empty());
    assert_eq!(lab.jobs("A", DAY), "a running");
}

#[test]
fn orders_are_for_the_life_they_were_made_for() {
    let mut lab = Lab::new("A: a");
    lab.start("A", DAY, false);
    assert_eq!(lab.world.due().orders[&H1].len(), 1);
    let first = newest(&lab, "A", "a");
    // It dies before the order comes; the next life cannot know the attempt.
    reborn(&mut lab, H1, vec![]);
    assert!(lab.world.due().orders.is_empty());
    assert_eq!(lab.jobs("A", DAY), "a unknown");
    let mut lab = Lab::new("A: a");
    lab.start("A", DAY, false);
    reborn(&mut lab, H1, vec![(first, State::Ended(Exit::Code(0)))]);
    assert_eq!(lab.jobs("A", DAY), "a ok");
}

/// `H1` answers as another life, which has read the whole journal of the one before: that one had
/// forgotten nothing after `floor`.
fn followed(lab: &mut Lab, floor: u64) {
    let was = lab.seq[&H1];
    let incarnation = Incarnation(was.incarnation.0 + 76);
    lab.seq.insert(H1, Answer { incarnation, seq: 1 });
    let answer = shared::wire::WatchAnswer {
        answer: Answer { incarnation, seq: 1 },
        full: true,
        follows: vec![shared::wire::Former { incarnation: was.incarnation, floor }],
        ..shared::wire::WatchAnswer::default()
    };
    lab.apply(Event::Heard(H1, answer));
}

/// `H1` dies before an order comes.
fn next_life_of_an_assigned(floor: u64) -> Lab {
    let mut lab = Lab::new("A: a");
    lab.start("A", DAY, false);
    let attempt = newest(&lab, "A", "a");
    followed(&mut lab, floor);
    assert_eq!(newest(&lab, "A", "a"), attempt, "it is no other attempt");
    lab
}

#[test]
fn what_a_former_life_never_began_goes_to_the_next() {
    let mut lab = next_life_of_an_assigned(0);
    let orders: Vec<Todo> = lab.world.due().orders[&H1].values().copied().collect();
    let [Todo::Start { basis, .. }] = orders[..] else { panic!("{orders:?}") };
    assert_eq!(basis, lab.seq[&H1]);
    // Another leader reads it so.
    let stored = lab.db.values().filter_map(|row| match row {
        Row::Attempt(row) => Some(row.place.basis),
        Row::JobRun(row) => Some(row.phase.place()?.basis),
        _ => None,
    });
    assert_eq!(stored.collect::<Vec<_>>(), [basis, basis]);
    lab.settle();
    assert_eq!(lab.jobs("A", DAY), "a ok");
    let lab = next_life_of_an_assigned(9);
    assert!(lab.world.due().orders.is_empty());
    assert_eq!(lab.jobs("A", DAY), "a unknown", "the former life may have forgotten it");
}

#[test]
fn what_kills_each_supervisor_does_not_go_round_for_ever() {
    let mut lab = next_life_of_an_assigned(0);
    for _ in 0..2 {
        followed(&mut lab, 0);
        assert_eq!(lab.jobs("A", DAY), "a assigned");
    }
    followed(&mut lab, 0);
    assert_eq!(lab.jobs("A", DAY), "a unknown");
}

/// In a failover the commits were lost by which the job had been stopped, begun again and placed on
/// `H2`: by the rows it is still on its way to `H1`, whose supervisor was restarted since.
#[test]
fn what_another_host_may_have_begun_does_not_go_to_the_next_life() {
    let doubtful = |doubts: &[HostId]| {
        let mut lab = Lab::with_hosts("A: a", &[9, 8]);
        lab.start("A", DAY, false);
        assert_eq!(placed(&lab), [(101, 1)]);
        lab.silent.extend([H1, HostId(2)]);
        lab.db.extend(doubts.iter().map(|host| (Key::Doubt(*host), Row::Doubt)));
        lab.reload();
        lab
    };
    let mut lab = doubtful(&[H1]);
    followed(&mut lab, 0);
    assert_eq!(lab.jobs("A", DAY), "a assigned", "nobody else can have begun it");
    let mut lab = doubtful(&[H1, HostId(2)]);
    followed(&mut lab, 0);
    assert_eq!(lab.jobs("A", DAY), "a unknown", "the other host has not said what it has");
    let mut lab = doubtful(&[H1, HostId(2)]);
    let first = newest(&lab, "A", "a");
    let elsewhere = report(AttemptId { number: 2, ..first }, State::Ended(Exit::Code(0)));
    lab.answer(HostId(2), true, vec![elsewhere.clone()]);
    lab.settle();
    lab.answer(HostId(2), true, vec![elsewhere]);
    assert!(!lab.db.contains_key(&Key::Doubt(HostId(2))));
    followed(&mut lab, 0);
    assert_eq!(lab.jobs("A", DAY), "a unknown", "the other host has said that it has had it");
}

// ---- doubt ----

fn doubtful(mesh: &str) -> Lab {
    let mut lab = Lab::with_hosts(mesh, &[8, 8]);
    lab.silent.insert(HostId(2));
    lab.db.insert(Key::Doubt(H1), Row::Doubt);
    lab.db.insert(Key::Doubt(HostId(2)), Row::Doubt);
    lab
}

#[test]
fn in_doubt_nothing_is_placed_until_every_host_has_spoken() {
    let mut lab = doubtful("A: a; b retry; a>c; b>c");
    lab.reload();
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a queued, b queued, c waiting");
    assert!(lab.job_row("A", DAY, "a").reason.contains("host 2 must first say"));
    assert!(!lab.db.contains_key(&Key::Doubt(H1)));
    // Leased jobs trust in the lease: whatever was lost is dead by now.
    lab.wait(25_000);
    assert_eq!(lab.jobs("A", DAY), "a queued, b ok, c waiting");
    lab.command(Verb::Retire { host: HostId(2) }, false);
    lab.settle();
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn an_attempt_whose_commit_was_lost_is_adopted() {
    let mut lab = doubtful("A: a; a hangs; a tries 3");
    lab.silent.insert(H1);
    lab.reload();
    lab.silent.clear();
    let run = RunId::of(interface("A"), period(DAY), 0);
    let lost = AttemptId { run, job: job(interface("A"), "a"), number: 2, reign: 7 };
    lab.running.entry(H1).or_default().insert(lost);
    lab.answer(H1, true, vec![report(lost, State::Running)]);
    // Not taken up before it is known that no row knows it.
    assert!(lab.db.contains_key(&Key::Doubt(H1)));
    lab.give();
    lab.answer(H1, true, vec![report(lost, State::Running)]);
    assert!(!lab.db.contains_key(&Key::Doubt(H1)));
    match &lab.db[&Key::Attempt(lost)] {
        Row::Attempt(attempt) => assert_eq!((attempt.mark, &attempt.end), (Mark::Orphan, &None)),
        _ => panic!("no attempt"),
    }
    assert!(lab.world.due().orders.is_empty(), "its run may be made again");
    lab.command(Verb::Retire { host: HostId(2) }, false);
    lab.runs("A", DAY, false);
    assert_eq!(lab.job_row("A", DAY, "a").number, 2);
    assert!(lab.begun.is_empty());
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn an_older_orphan_is_killed_and_blocks_placing() {
    let mut lab = doubtful("A: a fails 2; a tries 9");
    lab.runs("A", DAY, false);
    lab.wait(40_000);
    let lost = AttemptId { reign: 5, ..newest(&lab, "A", "a") };
    assert_eq!(lost.number, 2);
    lab.reload();
    lab.answer(H1, true, vec![report(lost, State::Running)]);
    lab.running.entry(H1).or_default().insert(lost);
    lab.command(Verb::Retire { host: HostId(2) }, false);
    lab.now.date += 1_000_000;
    lab.now.wall += 1_000_000;
    lab.apply(Event::Tick);
    assert_eq!(lab.jobs("A", DAY), "a waiting");
    let orders = &lab.world.due().orders[&H1];
    assert!(matches!(orders[&lost], Todo::Kill { .. }));
    lab.settle();
    assert_eq!(lab.state("A", DAY), "succeeded");
}

// ---- placing ----

fn placed(lab: &Lab) -> Vec<(i64, i64)> {
    let rows = lab.world.table().attempts.iter();
    let mut placed: Vec<(i64, i64)> =
        rows.map(|(id, attempt)| (id.job.0, attempt.place.host.0)).collect();
    placed.sort_unstable();
    placed
}

#[test]
fn slots_are_kept_and_the_freest_host_is_taken() {
    let mut lab =
        Lab::with_hosts("A: a,b,c,d,e; a hangs; b hangs; c hangs; d hangs; e hangs", &[2, 1]);
    lab.runs("A", DAY, false);
    assert_eq!(lab.begun.len(), 3);
    assert_eq!(lab.jobs("A", DAY), "a running, b running, c running, d queued, e queued");
    assert_eq!(lab.job_row("A", DAY, "d").reason, "no free slot on 2 host(s)");
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.begun.len(), 4);
}

#[test]
fn big_jobs_take_their_slots() {
    let mut lab = Lab::with_hosts("A: a slots 3; b slots 2; a hangs; b hangs; c slots 9", &[4]);
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a running, b queued, c queued");
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.jobs("A", DAY), "a ok, b running, c queued");
}

#[test]
fn hosts_are_chosen_by_name_and_label() {
    let mut lab = Lab::with_hosts("A: a on 2; b label gpu; c", &[1, 1]);
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a ok, b queued, c ok");
    assert!(lab.job_row("A", DAY, "b").reason.starts_with("no host has all"));
    assert!(placed(&lab).contains(&(101, 2)));
    let mut edited = lab.catalog.clone();
    let mut host = host(3, 1);
    host.spec.labels.push("gpu".into());
    edited.hosts.insert(HostId(3), std::sync::Arc::new(host));
    lab.catalog = edited.clone();
    lab.apply(Event::Catalog(std::sync::Arc::new(edited)));
    lab.answer(HostId(3), true, vec![]);
    lab.settle();
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn a_draining_host_takes_nothing_new() {
    let mut lab = Lab::with_hosts("A: a,b", &[1, 1]);
    let mut edited = lab.catalog.clone();
    let mut drained = host(1, 1);
    drained.spec.draining = true;
    drained.version = 2;
    edited.hosts.insert(H1, std::sync::Arc::new(drained));
    lab.apply(Event::Catalog(std::sync::Arc::new(edited)));
    lab.runs("A", DAY, false);
    assert_eq!(placed(&lab), [(101, 2), (102, 2)]);
}

#[test]
fn a_pool_is_shared_by_all_hosts() {
    let mut lab = Lab::with_hosts("A: a pool 1; b pool 1; a hangs; b hangs", &[8, 8]);
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a running, b queued");
    assert_eq!(lab.job_row("A", DAY, "b").reason, "pool 1 is full");
    lab.exit("A", DAY, "a", Exit::Code(0));
    assert_eq!(lab.jobs("A", DAY), "a ok, b running");
}

#[test]
fn higher_priority_goes_first_and_runs_take_turns() {
    let mut lab = Lab::with_hosts("A: a,b,c,d,e\nB: a,b\nC: a; prio 9\nD: a; a hangs", &[1]);
    lab.runs("D", DAY, false);
    for name in ["A", "B", "C"] {
        lab.start(name, DAY, false);
    }
    lab.exit("D", DAY, "a", Exit::Code(0));
    let order: Vec<i64> = lab.begun.iter().skip(1).map(|attempt| attempt.job.0).collect();
    assert_eq!(order, [301, 101, 201, 102, 202, 103, 104, 105]);
}

#[test]
fn what_is_frozen_does_not_begin() {
    let mut lab = Lab::new("A: a; b frozen; a>c");
    lab.runs("A", DAY, false);
    assert_eq!(lab.jobs("A", DAY), "a ok, b waiting, c ok");
    let mut edited = lab.catalog.clone();
    let mut thawed = (*edited.interfaces[&interface("A")]).clone();
    edited.old.insert((thawed.id, 1), std::sync::Arc::new(thawed.clone()));
    thawed.version = 2;
    thawed.jobs[1].spec.frozen = false;
    edited.interfaces.insert(thawed.id, std::sync::Arc::new(thawed));
    lab.apply(Event::Catalog(std::sync::Arc::new(edited)));
    lab.settle();
    assert_eq!(lab.state("A", DAY), "succeeded");
}

#[test]
fn a_new_leader_goes_on_where_the_rows_are() {
    let mut lab =
        Lab::new("A: a>b; c>d; a hangs; c tries 2; c fails 1\nB <A: a\nC: a; a needs B.a");
    lab.runs("A", DAY, true);
    lab.runs("C", DAY, false);
    let before = lab.db.clone();
    lab.reload();
    lab.settle();
    assert!(before == lab.db);
    assert_eq!(lab.jobs("A", DAY), "a running, b waiting, c waiting, d waiting");
    lab.wait(60_000);
    lab.exit("A", DAY, "a", Exit::Code(0));
    for name in ["A", "B", "C"] {
        assert_eq!(lab.state(name, DAY), "succeeded");
    }
}
