use super::*;
use std::collections::BTreeSet;

const NOW: Now = Now { mono: 1_000, wall: 1_700_000_000_000 };

fn at(mono: Millis) -> Now {
    Now { mono, ..NOW }
}

fn setup() -> Setup {
    Setup { cluster: "test".into(), timing: Timing::default(), sabotage: None }
}

fn boot(journal: Vec<Entry>) -> Attempts {
    Attempts::boot(setup(), journal, begins(7, &BTreeSet::new()), NOW)
}

fn begins(incarnation: u128, alive: &BTreeSet<AttemptId>) -> Beginning<'_> {
    Beginning { incarnation: Incarnation(incarnation), machine: "m", whole: true, alive }
}

fn call() -> Call {
    Call { cluster: "test".into(), leader: Reigning { epoch: 1, holder: 9 } }
}

fn id(number: u32) -> AttemptId {
    AttemptId { run: RunId(1), job: JobId(1), number, reign: 9 }
}

fn start(number: u32, seq: u64) -> Order {
    let basis = Answer { incarnation: Incarnation(7), seq };
    Order::Start(Box::new(Start { basis, ..plan(number) }))
}

fn plan(number: u32) -> Start {
    Start {
        attempt: id(number),
        basis: Answer { incarnation: Incarnation(7), seq: 0 },
        leased: false,
        timeout_ms: Some(60_000),
        grace_ms: 5_000,
        work: Work::default(),
    }
}

fn kill(number: u32) -> Order {
    Order::Kill { attempt: id(number), incarnation: Incarnation(7), grace_ms: 2_000 }
}

fn order(attempts: &mut Attempts, orders: Vec<Order>) -> Vec<Do> {
    attempts.order(NOW, &OrderCall { call: call(), stored: None, orders }).unwrap();
    attempts.todo()
}

fn watch(attempts: &mut Attempts, after: Option<Answer>) -> Option<WatchAnswer> {
    let call = WatchCall { call: call(), after, stored: None, hold_ms: 0 };
    attempts.watch(NOW, &call, false).unwrap()
}

fn state(attempts: &Attempts, number: u32) -> State {
    attempts.record(id(number)).unwrap().report().state
}

#[test]
fn the_journal_stands_before_the_spawn() {
    let todo = order(&mut boot(vec![]), vec![start(1, 0)]);
    assert!(matches!(&todo[..], [Do::Journal(Entry::Put(_)), Do::Spawn(_)]), "{todo:?}");
}

#[test]
fn a_kill_is_over_when_it_is_gone() {
    let mut attempts = boot(vec![]);
    order(&mut attempts, vec![start(1, 0)]);
    let todo = order(&mut attempts, vec![kill(1)]);
    assert!(matches!(todo[..], [Do::Journal(_), Do::Kill { grace_ms: 2_000, .. }]), "{todo:?}");
    attempts.ended(NOW, id(1), Exit::Code(0), Usage::default());
    assert_eq!(state(&attempts, 1), State::Running);
    attempts.gone(NOW, id(1), Usage::default());
    assert_eq!(state(&attempts, 1), State::Ended(Exit::Killed));
    assert!(order(&mut attempts, vec![kill(1)]).iter().all(|d| matches!(d, Do::Journal(_))));
}

#[test]
fn a_late_start_does_not_revive_what_was_killed() {
    let mut attempts = boot(vec![]);
    order(&mut attempts, vec![kill(1)]);
    assert_eq!(order(&mut attempts, vec![start(1, 0)]), vec![]);
    assert_eq!(state(&attempts, 1), State::Ended(Exit::Killed));
}

#[test]
fn a_new_life_knows_what_the_journal_knows() {
    let mut attempts = boot(vec![]);
    let mut journal = Vec::new();
    let mut keep = |todo: Vec<Do>| {
        journal.extend(todo.into_iter().filter_map(|todo| match todo {
            Do::Journal(entry) => Some(entry),
            _ => None,
        }));
    };
    keep(order(&mut attempts, (1..=4).map(|n| start(n, 0)).collect()));
    attempts.ended(NOW, id(1), Exit::Code(3), Usage::default());
    keep(order(&mut attempts, vec![kill(4)]));
    let alive = BTreeSet::from([id(3)]);
    let mut next = Attempts::boot(setup(), journal, begins(8, &alive), NOW);
    let want = [
        (1, State::Ended(Exit::Code(3))),
        (2, State::Unknown),
        (3, State::Running),
        (4, State::Ended(Exit::Killed)),
    ];
    for (number, state_then) in want {
        assert_eq!(state(&next, number), state_then, "{number}");
    }
    next.gone(NOW, id(3), Usage::default());
    assert_eq!(state(&next, 3), State::Unknown);
}

fn journal_of(attempts: &Attempts) -> Vec<Entry> {
    attempts.snapshot().collect()
}

#[test]
fn a_new_life_answers_for_those_whose_journal_it_has_whole() {
    let follows = |attempts: &mut Attempts| -> Vec<u128> {
        let answer = watch(attempts, None).unwrap();
        answer.follows.iter().map(|former| former.incarnation.0).collect()
    };
    let nobody = BTreeSet::new();
    let next = |before: &Attempts, number: u128, change: fn(Beginning<'_>) -> Beginning<'_>| {
        let journal = journal_of(before);
        let journal = journal.iter().map(|entry| rmp_serde::to_vec_named(entry).unwrap());
        let journal = journal.map(|bytes| rmp_serde::from_slice(&bytes).unwrap());
        let journal: Vec<Entry> = journal.collect();
        Attempts::boot(setup(), journal, change(begins(number, &nobody)), NOW)
    };
    let mut first = boot(vec![]);
    assert!(follows(&mut first).is_empty());
    let mut second = next(&first, 8, |begins| begins);
    assert_eq!(follows(&mut second), [7]);
    let answer = watch(&mut second, None).unwrap().answer;
    assert_eq!(watch(&mut second, Some(answer)), None, "only what is full names them");
    assert_eq!(follows(&mut next(&second, 9, |begins| begins)), [8, 7]);
    fn other(begins: Beginning<'_>) -> Beginning<'_> {
        Beginning { machine: "another", ..begins }
    }
    assert!(follows(&mut next(&second, 9, other)).is_empty(), "what was not synced may be lost");
    fn torn(begins: Beginning<'_>) -> Beginning<'_> {
        Beginning { whole: false, ..begins }
    }
    assert!(follows(&mut next(&second, 9, torn)).is_empty());
    let mut lossy = next(&first, 8, |begins| begins);
    lossy.distrust_journal();
    assert!(matches!(lossy.todo()[..], [Do::Journal(Entry::Life(_))]));
    assert_eq!(follows(&mut lossy), [7], "whom it has read whole it has read whole");
    assert!(follows(&mut next(&lossy, 9, |begins| begins)).is_empty());
    fn nameless(begins: Beginning<'_>) -> Beginning<'_> {
        Beginning { machine: "", ..begins }
    }
    assert!(follows(&mut next(&lossy, 9, nameless)).is_empty());
    // What is forgotten may have been of a former life.
    order(&mut second, vec![]);
    let begun = Start { basis: Answer { incarnation: Incarnation(8), seq: 0 }, ..plan(1) };
    order(&mut second, vec![Order::Start(Box::new(begun))]);
    second.ended(NOW, id(1), Exit::Code(0), Usage::default());
    let told = watch(&mut second, None).unwrap().answer;
    let _ = second.todo();
    let later = at(NOW.mono + setup().timing.memory_ms);
    let call = WatchCall { call: call(), after: Some(told), stored: Some(told), hold_ms: 0 };
    second.watch(later, &call, true).unwrap();
    assert!(second.record(id(1)).is_none(), "it is old, and stored");
    let todo = second.todo();
    let first = todo.iter().position(|todo| matches!(todo, Do::Journal(Entry::Life(_))));
    let forgets = todo.iter().position(|todo| matches!(todo, Do::Journal(Entry::Forget(_))));
    assert!(first.is_some() && first < forgets, "should the write be cut short: {todo:?}");
    assert!(follows(&mut second).is_empty());
    let mut third = next(&second, 9, |begins| begins);
    let former = watch(&mut third, None).unwrap().follows[0];
    assert!(former.incarnation == Incarnation(8) && former.floor > 0, "{former:?}");
}

#[test]
fn a_long_line_of_lives_is_cut() {
    let nobody = BTreeSet::new();
    let mut last = boot(vec![]);
    for number in 100..130 {
        last = Attempts::boot(setup(), journal_of(&last), begins(number, &nobody), NOW);
    }
    assert_eq!(watch(&mut last, None).unwrap().follows.len(), FOLLOWS_MAX);
}

#[test]
fn a_re_execution_is_the_same_life() {
    let mut attempts = boot(vec![]);
    order(&mut attempts, vec![start(1, 0), start(2, 0), kill(2)]);
    let answer = watch(&mut attempts, None).unwrap();
    let saved = serde_json::to_vec(&attempts.save()).unwrap();
    let mut next = Attempts::restore(setup(), serde_json::from_slice(&saved).unwrap());
    assert!(matches!(next.todo()[..], [Do::Kill { .. }]));
    assert_eq!(next.incarnation(), answer.answer.incarnation);
    assert_eq!(watch(&mut next, Some(answer.answer)), None);
    next.ended(NOW, id(1), Exit::Code(0), Usage::default());
    let news = watch(&mut next, Some(answer.answer)).unwrap();
    assert!(!news.full && news.listed.len() == 1, "{news:?}");
}

#[test]
fn long_lists_come_in_parts_and_nothing_is_left_out() {
    let mut attempts = boot(vec![]);
    let many = 2 * u32::try_from(LISTED_MAX).unwrap() + 5;
    order(&mut attempts, (1..=many).map(|n| start(n, 0)).collect());
    let mut seen = BTreeSet::new();
    let mut answer = watch(&mut attempts, None).unwrap();
    assert!(answer.full);
    loop {
        seen.extend(answer.listed.iter().map(|report| report.attempt));
        if !answer.more {
            break;
        }
        // One that changes meanwhile comes again at the end.
        attempts.ended(NOW, id(1), Exit::Code(0), Usage::default());
        answer = watch(&mut attempts, Some(answer.answer)).unwrap();
        assert!(!answer.full);
    }
    assert_eq!(seen.len(), many as usize);
    assert!(answer.listed.iter().any(|report| report.attempt == id(1)));
}

#[test]
fn time_is_up_then_it_is_ended() {
    let mut attempts = boot(vec![]);
    order(&mut attempts, vec![start(1, 0)]);
    assert_eq!(attempts.wake(), Some(61_000));
    attempts.tick(at(60_999));
    assert_eq!(attempts.todo(), vec![]);
    attempts.tick(at(61_000));
    assert!(matches!(attempts.todo()[..], [Do::Journal(_), Do::Kill { .. }]));
    attempts.gone(at(61_500), id(1), Usage::default());
    assert_eq!(state(&attempts, 1), State::Ended(Exit::TimedOut));
}

#[test]
fn only_what_a_leader_has_stored_is_forgotten_and_late_starts_of_it_are_unknown() {
    let mut attempts = boot(vec![]);
    order(&mut attempts, vec![start(1, 0)]);
    attempts.ended(NOW, id(1), Exit::Code(0), Usage::default());
    let late = at(NOW.mono + Timing::default().memory_ms);
    attempts.tick(late);
    assert!(attempts.record(id(1)).is_some());
    let stored = watch(&mut attempts, None).unwrap().answer;
    let call = WatchCall { call: call(), after: Some(stored), stored: Some(stored), hold_ms: 0 };
    attempts.watch(late, &call, false).unwrap();
    assert!(attempts.record(id(1)).is_none());
    order(&mut attempts, vec![start(1, 0)]);
    assert_eq!(state(&attempts, 1), State::Unknown);
}

#[test]
fn other_clusters_and_older_reigns_are_refused() {
    let mut attempts = boot(vec![]);
    order(&mut attempts, vec![]);
    for (cluster, epoch, holder) in [("other", 2, 9), ("test", 0, 9), ("test", 1, 8)] {
        let call = Call { cluster: cluster.into(), leader: Reigning { epoch, holder } };
        let call = OrderCall { call, stored: None, orders: vec![start(1, 0)] };
        assert!(attempts.order(NOW, &call).is_err());
    }
    assert!(attempts.todo().is_empty() && attempts.leader().holder == 9);
}

#[test]
fn what_the_order_says_is_stored_is_enough_for_a_start_under_the_lease() {
    let mut attempts = boot(vec![]);
    let given = watch(&mut attempts, None).unwrap().answer;
    let order = |attempts: &mut Attempts, now: Now, stored: Option<Answer>| {
        let start = Start { leased: true, basis: given, ..plan(1) };
        let orders = vec![Order::Start(Box::new(start))];
        attempts.order(now, &OrderCall { call: call(), stored, orders }).unwrap();
        attempts.todo()
    };
    assert!(order(&mut attempts, NOW, None).is_empty(), "nobody hears us, as far as we know");
    let (fence, mono) = (setup().timing.fence_ms, NOW.mono);
    let foreign = Answer { incarnation: Incarnation(8), ..given };
    assert!(order(&mut attempts, NOW, Some(foreign)).is_empty());
    assert!(order(&mut attempts, at(mono + fence), Some(given)).is_empty(), "it is too old");
    let begun = order(&mut attempts, at(mono + fence - 1), Some(given));
    assert!(matches!(&begun[..], [Do::Journal(_), Do::Spawn(_)]), "{begun:?}");
    attempts.tick(at(mono + fence));
    assert!(
        matches!(&attempts.todo()[..], [Do::Journal(_), Do::Kill { .. }]),
        "it counts from then"
    );
}
