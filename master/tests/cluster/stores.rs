//! The stores of several masters die under what runs, by kill -9, and come back with what they had on
//! their disk; the primary of the replica set changes. No job notices, none begins twice, every byte of
//! output is stored once, and who was told "yes" gets what he was promised.

use crate::own::{Kind, Own};
use crate::pair::{Pair, Servers};
use crate::replica::ReplicaSet;
use shared::ids::AttemptId;
use shared::wire::Stream;
use std::collections::BTreeMap;

/// Jobs side by side.
const WIDE: usize = 4;
/// With the one that comes after all of them.
const JOBS: usize = WIDE + 1;
/// Of output, by each job.
const LINES: usize = 20;

/// Jobs that write for two seconds; each appends its identity to the file of the test when it begins
/// and when it ends.
fn mesh(pair: &Pair) -> String {
    let journal = pair.masters[0].path("journal");
    let journal = journal.display();
    let job = |job: &str, after: &str| {
        format!(
            "  - name: {job}\n    kind: shell\n    fields:\n      use_shell: true\n      script: |\n        \
             echo \"begin $HCNDC_RUN $HCNDC_JOB $HCNDC_ATTEMPT\" >> {journal}\n        \
             for i in $(seq {LINES}); do echo \"line $i\"; sleep 0.1; done\n        \
             echo \"end $HCNDC_RUN $HCNDC_JOB $HCNDC_ATTEMPT\" >> {journal}\n    after: [{after}]\n"
        )
    };
    let names: Vec<String> = (0..WIDE).map(|at| format!("j{at}")).collect();
    let mut jobs: String = names.iter().map(|name| job(name, "")).collect();
    jobs.push_str(&job("last", &names.join(", ")));
    format!("kind: interface\nname: first\nspec: {{granularity: day, zone: UTC}}\njobs:\n{jobs}")
}

/// So many executions are there, and all have succeeded; each of their jobs began once and ended once.
#[track_caller]
fn judge(pair: &mut Pair, executions: usize) {
    pair.until("all executions have ended", |pair| {
        pair.count("SELECT COUNT(*) FROM execution WHERE state <> 'running'") == executions
    });
    let good = pair.count("SELECT COUNT(*) FROM execution WHERE state = 'succeeded'");
    assert_eq!(good, executions, "{}", pair.logs());
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for line in pair.journal() {
        *seen.entry(line).or_default() += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "written twice: {twice:?}\n{}", pair.logs());
    assert_eq!(seen.len(), 2 * JOBS * executions, "{seen:?}");
}

/// The store has the output of so many jobs: whole, once and in order.
#[track_caller]
fn judge_logs(pair: &mut Pair, executions: usize) {
    let ended = |pair: &Pair| pair.chunks().iter().filter(|chunk| chunk.end.is_some()).count();
    pair.until("all output is stored", |pair| ended(pair) >= JOBS * executions);
    let expected: String = (1..=LINES).map(|at| format!("line {at}\n")).collect();
    let mut outputs: BTreeMap<AttemptId, Vec<u8>> = BTreeMap::new();
    for chunk in pair.chunks() {
        if chunk.id.stream() == Stream::Out {
            let output = outputs.entry(chunk.id.attempt()).or_default();
            assert_eq!(chunk.from(), output.len() as u64, "once, and in order");
            output.extend(&chunk.bytes);
        }
    }
    assert_eq!(outputs.len(), JOBS * executions);
    for (attempt, output) in outputs {
        assert_eq!(String::from_utf8_lossy(&output), expected, "{attempt}");
    }
}

fn run(pair: &Pair, at: usize, day: u32) {
    pair.masters[at].must(&["run", "first", "--period", &format!("2026-11-{day:02}")]);
}

#[track_caller]
fn until_begun(pair: &mut Pair, jobs: usize) {
    pair.until("the jobs have begun", |pair| {
        pair.journal().iter().filter(|line| line.starts_with("begin")).count() >= jobs
    });
}

#[test]
fn the_database_is_killed_and_comes_back() {
    let mut maria = Own::start(Kind::Mariadb, &[]);
    let mut pair = Pair::on(&Servers { mysql: maria.url(), ..Servers::shared() });
    let yaml = mesh(&pair);
    pair.masters[0].apply(&yaml);
    run(&pair, 1, 1);
    until_begun(&mut pair, WIDE);

    // What runs ends without it, and what nobody can store is not promised.
    maria.kill();
    pair.until("they have ended without a database", |pair| pair.journal().len() == 2 * WIDE);
    let refused = pair.masters[0].hcndc(&["run", "first", "--period", "2026-11-02"]);
    assert!(!refused.status.success(), "nobody can have stored this");
    maria.again();
    judge(&mut pair, 1);

    // In the middle of commands that are being given: whose answer was yes is there afterwards.
    let given = 6;
    let commands: Vec<_> = (0..given)
        .map(|at| {
            let day = format!("2026-11-{:02}", 10 + at);
            pair.masters[at % 2].begin_hcndc(&["run", "first", "--period", &day])
        })
        .collect();
    until_begun(&mut pair, JOBS + 1);
    maria.kill();
    maria.again();
    let answers = commands.into_iter().map(|mut command| command.wait().unwrap().success());
    let promised = answers.filter(|yes| *yes).count();
    pair.until("what was promised is there", |pair| {
        pair.count("SELECT COUNT(*) FROM execution") > promised
    });
    pair.until("no command is left", |pair| {
        pair.count("SELECT COUNT(*) FROM command WHERE done_ms IS NULL") == 0
    });
    let executions = pair.count("SELECT COUNT(*) FROM execution");
    assert!(executions > 1, "nothing ran when it was killed");
    judge(&mut pair, executions);
}

/// Who leads goes on leading (rule L1), and output waits on its host (rule G2).
#[test]
fn the_store_of_lease_and_logs_is_killed_and_comes_back() {
    let mut set = ReplicaSet::start(1);
    let mut pair = Pair::on(&Servers { mongo: set.url(), ..Servers::shared() });
    let yaml = mesh(&pair);
    pair.masters[0].apply(&yaml);
    run(&pair, 0, 1);
    until_begun(&mut pair, WIDE);
    pair.until("some output is stored", |pair| !pair.chunks().is_empty());
    let before = pair.leads();

    set.members[0].kill();
    run(&pair, 1, 2);
    judge(&mut pair, 2);
    assert_eq!(pair.leads().epoch, before.epoch, "nobody was deposed");
    set.members[0].again();
    judge_logs(&mut pair, 2);

    // And once more at once, while output is being written to it.
    run(&pair, 0, 3);
    until_begun(&mut pair, 2 * JOBS + WIDE);
    set.members[0].kill();
    set.members[0].again();
    judge(&mut pair, 3);
    judge_logs(&mut pair, 3);
}

/// People have to log in anew; nobody else notices.
#[test]
fn the_store_of_sessions_is_killed_and_comes_back() {
    let mut redis = Own::start(Kind::Redis, &[]);
    let mut pair = Pair::on(&Servers { redis: redis.url(), ..Servers::shared() });
    let yaml = mesh(&pair);
    pair.masters[0].apply(&yaml);
    run(&pair, 0, 1);
    let cookie = pair.masters[0].log_in();
    let knows = |pair: &Pair, at: usize, cookie: &str| {
        pair.masters[at].page("/execute/flow/", cookie).starts_with("HTTP/1.0 200")
    };
    assert!(knows(&pair, 0, &cookie) && knows(&pair, 1, &cookie), "logged in on both");
    until_begun(&mut pair, WIDE);

    redis.kill();
    assert!(!knows(&pair, 0, &cookie) && !knows(&pair, 1, &cookie), "nobody can say who that is");
    // A command through whoever does not lead: nothing nudges the leader.
    let other = 1 - pair.leader().expect("one leads");
    run(&pair, other, 2);
    judge(&mut pair, 2);
    redis.again();

    pair.until("people can log in again", |pair| pair.masters[0].try_log_in().is_some());
    assert!(!knows(&pair, 0, &cookie), "the session of before was in Redis alone");
    let anew = pair.masters[0].log_in();
    pair.until("both know who that is", |pair| knows(pair, 0, &anew) && knows(pair, 1, &anew));
    run(&pair, other, 3);
    judge(&mut pair, 3);
}

/// Killed, and then told to step down: whoever leads has kept the lease, or the other one has taken it
/// by a later epoch.
#[test]
fn the_primary_of_the_replica_set_changes() {
    let mut set = ReplicaSet::start(3);
    let mut pair = Pair::on(&Servers { mongo: set.url(), ..Servers::shared() });
    let yaml = mesh(&pair);
    pair.masters[0].apply(&yaml);
    let mut primary = set.primary().expect("it has one");
    let mut leads = pair.leads();
    for round in 0..2 {
        let done = round as usize;
        run(&pair, done % 2, 1 + round);
        until_begun(&mut pair, done * JOBS + WIDE);
        let dead = primary.at;
        match round {
            0 => set.members[dead].kill(),
            _ => set.step_down(dead),
        }
        pair.until("another one is primary", |_| {
            set.primary().is_some_and(|now| now.at != dead && now.election > primary.election)
        });
        primary = set.primary().expect("it has one");
        judge(&mut pair, done + 1);
        judge_logs(&mut pair, done + 1);
        let now = pair.leads();
        assert!(
            (now.epoch, &now.url) == (leads.epoch, &leads.url) || now.epoch > leads.epoch,
            "{leads:?} became {now:?}"
        );
        leads = now;
        if round == 0 {
            set.members[dead].again();
        }
    }
}
