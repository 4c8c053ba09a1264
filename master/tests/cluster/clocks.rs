//! The wall clock of a real master, or of a host, is set an hour forward and back while it works. Each
//! instant is decided once, none early by the database's clock, none missed.

use crate::faults::{held_job, none_began_twice};
use crate::pair::{Pair, Setup};
use crate::real::Real;
use crate::{ended, mesh};
use shared::ids::Millis;
use std::time::Duration;

const HOUR_S: i32 = 3_600;
/// Between two firings.
const BEAT_S: usize = 2;
/// Some beats.
const A_WHILE: Duration = Duration::from_millis(4_500);

/// An interface that fires all the time.
fn beat() -> String {
    format!(
        "kind: interface\nname: beat\nspec: {{granularity: day, zone: UTC}}\njobs:\n  \
         - {{name: beat, kind: shell, fields: {{use_shell: true, script: exit 0}}}}\n---\n\
         kind: dispatch\ninterface: beat\nname: beat\nspec: {{cron: \"*/{BEAT_S} * * * * *\", zone: UTC}}\n"
    )
}

/// Decided: the instants in order, each with how late.
type Decided = Vec<(Millis, Millis)>;

const FIRINGS: &str = "SELECT instant_ms, decided_ms - instant_ms FROM firing ORDER BY instant_ms";

/// No instant between the first and the last is missing; the database holds each once.
#[track_caller]
fn none_is_missing(decided: &Decided) {
    let beat = BEAT_S as Millis * 1_000;
    let gaps: Vec<_> = decided.windows(2).filter(|pair| pair[1].0 - pair[0].0 != beat).collect();
    assert!(gaps.is_empty(), "instants between these are missing: {gaps:?}");
    assert!(
        decided.iter().all(|(_, late)| *late >= 0),
        "decided before they were due: {decided:?}"
    );
}

/// The leader of two on MariaDB: while its wall and the database disagree it fires nothing and says why;
/// afterwards it makes good what was due, and by when it was decided each one says that it is late.
fn the_leader_of_two_is_off_by(seconds: i32) {
    let mut pair = Pair::of(Setup { clocks: true, ..Setup::default() });
    let leader = pair.leader().unwrap();
    pair.masters[0].apply(&beat());
    let decided = |pair: &Pair| -> Decided { pair.rows(FIRINGS) };
    let now = |pair: &Pair| -> Millis {
        pair.rows("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")[0]
    };
    pair.until("the dispatch has fired", |pair| decided(pair).len() >= 2);

    pair.masters[leader].set_clock("clock", seconds);
    pair.until("it is said why nothing fires", |pair| {
        pair.masters[leader].ready_text().contains("the clocks of this machine")
    });
    let held = decided(&pair);
    std::thread::sleep(A_WHILE);
    let still = decided(&pair);
    assert_eq!(held.len(), still.len(), "the fault: it fires by a wrong clock\n{}", pair.logs());
    let (last, date) = (still.last().unwrap().0, now(&pair));
    assert!(last <= date, "{last} is decided before it is due, at {date}");
    assert!(date - last > 2 * BEAT_S as Millis * 1_000, "the fault: instants were due meanwhile");
    let reign = pair.leads().epoch;

    pair.masters[leader].set_clock("clock", 0);
    pair.until("what was due is made good, and it fires on", |pair| {
        decided(pair).last().is_some_and(|(instant, late)| *instant > date && *late < 1_000)
    });
    let all = decided(&pair);
    none_is_missing(&all);
    let late = all.iter().filter(|(instant, _)| *instant > last && *instant <= date);
    assert!(late.clone().count() >= 2, "{all:?}");
    assert!(late.clone().any(|(_, late)| *late >= 2_000), "the late ones say so: {all:?}");
    assert_eq!(pair.leads().epoch, reign, "nobody else had to lead");
    let text = "SELECT COUNT(*) FROM execution WHERE origin = 'cron'";
    pair.until("each has its execution", |pair| pair.count(text) >= all.len());
}

#[test]
fn the_leaders_clock_is_an_hour_ahead_for_a_while() {
    the_leader_of_two_is_off_by(HOUR_S);
}

#[test]
fn the_leaders_clock_is_an_hour_behind_for_a_while() {
    the_leader_of_two_is_off_by(-HOUR_S);
}

/// The embedded database has no clock but the machine's: the hour that is left out is made good at once,
/// the one that comes again fires nothing a second time.
#[test]
fn the_only_clock_there_is_goes_an_hour_ahead_and_back() {
    let mut real = Real::quick();
    real.start_executor(&[]);
    let env = real.own_clock("clock");
    real.start_master(&env);
    real.master_is_ready();
    let yaml = format!("{}---\n{}", beat(), mesh(&real));
    real.apply(&yaml);
    let decided =
        |real: &Real| -> Decided { real.rows(FIRINGS, |row| Ok((row.get(0)?, row.get(1)?))) };
    real.until("the dispatch has fired", |real| decided(real).len() >= 2);
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    let first = decided(&real)[0].0;

    real.set_clock("clock", HOUR_S);
    let hour = HOUR_S as usize / BEAT_S;
    real.until("the hour is made good", |real| decided(real).len() > hour);
    real.set_clock("clock", 0);
    std::thread::sleep(A_WHILE);
    let back = decided(&real);
    none_is_missing(&back);
    std::thread::sleep(A_WHILE);
    assert_eq!(decided(&real).len(), back.len(), "an instant is decided once: {}", real.logs());
    assert!(back.last().unwrap().0 - first >= Millis::from(HOUR_S) * 1_000, "the fault: {back:?}");
    let twice = "SELECT COUNT(*) FROM execution WHERE origin = 'cron' GROUP BY instant_ms \
                 HAVING COUNT(*) > 1";
    assert!(real.rows(twice, |row| row.get::<_, i64>(0)).is_empty());
    // Work that people ask for goes on by any clock.
    real.until("the jobs have ended", |real| {
        let text = "SELECT COUNT(*) FROM execution WHERE origin <> 'cron' AND state = 'succeeded'";
        real.rows(text, |row| row.get::<_, i64>(0)) == [1]
    });
}

/// Leases and time-outs of a host do not count by its wall clock: jobs of both kinds live through it.
#[test]
fn a_hosts_clock_goes_an_hour_ahead_and_back() {
    let mut real = Real::new();
    real.timing = crate::away::SHORT;
    let env = real.own_clock("clock");
    real.start_executor(&env);
    real.start_master(&[]);
    real.master_is_ready();
    let held = held_job(&real, "{on_lost: retry, kill_grace_s: 1, timeout_s: 120}", "{}");
    real.apply(&format!("{held}---\n{}", mesh(&real)));
    real.must(&["run", "held", "--period", "2026-11-20"]);
    real.until("the job has begun", |real| !real.journal().is_empty());
    for (seconds, period) in [(HOUR_S, "2026-11-21"), (-HOUR_S, "2026-11-22")] {
        real.set_clock("clock", seconds);
        std::thread::sleep(A_WHILE);
        // By the host's own clock.
        let text = format!(
            "SELECT attempt.started_ms - assigned_ms FROM attempt JOIN run ON run.id = run_id \
                            WHERE period = '{period}' AND attempt.started_ms IS NOT NULL"
        );
        real.must(&["run", "first", "--period", period, "--cascade"]);
        real.until("its jobs begin", |real| {
            let off = real.rows(&text, |row| row.get::<_, Millis>(0));
            off.first().is_some_and(|off| (off / 1_000 - Millis::from(seconds)).abs() < 60)
        });
    }
    std::fs::write(real.path("go"), "").unwrap();
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"; 3], "{}", real.logs());
    none_began_twice(&real);
    let begun = real.journal().iter().filter(|line| line.starts_with("begin")).count();
    assert_eq!(
        begun,
        1 + 2 * 10,
        "the one that was held is the one of before: {:?}",
        real.journal()
    );
}
