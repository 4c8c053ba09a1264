//! The warm engine on a real Hop: our Java sources compiled against it, by the desk itself.

use crate::Hop;
use crate::cold::{Cold, PLAIN};
use executor::process::table;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use shared::etl::counts::Counts;
use shared::etl::outcome::WARM_LOST;
use shared::ids::*;
use shared::wire::*;
use std::process::Child;

struct Warm {
    hop: Hop,
    services: Option<Child>,
}

impl Warm {
    fn new(lines: &str) -> Warm {
        let warm =
            "[warm]\nengine = \"hop\"\nenvironment = \"hop\"\nheap_mib = 512\nstop_grace_s = 2";
        let hop = Hop::with(&format!("{warm}\n{lines}\n"));
        let services = Some(hop.rig.spawn("services", &[]));
        let mut warm = Warm { hop, services };
        warm.hop.rig.until("a desk", |rig| {
            executor::warm::defined::Warm::socket(&rig.layout.root).exists()
        });
        // The JVM comes while this waits.
        let (state, _, err) = warm.run(tell("first"));
        assert_eq!(state, State::Ended(Exit::Code(0)), "{err}\n{}", warm.log());
        warm
    }

    fn log(&self) -> String {
        let path = self.hop.rig.layout.root.join("services/warm.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn run(&mut self, fields: Value) -> (State, String, String) {
        let attempt = self.hop.begin(fields);
        self.end(attempt)
    }

    fn end(&mut self, attempt: AttemptId) -> (State, String, String) {
        let state = self.hop.rig.end(attempt);
        let err = self.hop.rig.out_of(attempt, Stream::Err);
        assert!(!err.contains("it starts cold"), "{err}");
        (state, self.hop.rig.out(attempt), err)
    }

    fn says(&self, attempt: AttemptId, words: &str) {
        self.hop.rig.until_it_says(attempt, words);
    }

    fn jvm(&self) -> i32 {
        let root = self.services.as_ref().unwrap().id().cast_signed();
        let below = table::descendants(&table::all(), |process| process.pid == root);
        let is_jvm = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("\0Warm\0WarmHop")
        };
        below.into_iter().map(|process| process.pid).find(is_jvm).expect("a JVM")
    }

    /// How long an attempt took on its host.
    fn took(&mut self, fields: Value) -> Millis {
        let attempt = self.hop.begin(fields);
        let state = self.hop.rig.end(attempt);
        let err = self.hop.rig.out_of(attempt, Stream::Err);
        assert_eq!(state, State::Ended(Exit::Code(0)), "{err}");
        let report = &self.hop.rig.known[&attempt];
        report.ended_ms.unwrap() - report.started_ms.unwrap()
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        if let Some(mut services) = self.services.take() {
            let _ = kill(Pid::from_raw(services.id().cast_signed()), Signal::SIGTERM);
            let _ = services.wait();
        }
    }
}

fn of(file: &str) -> Value {
    json!({"file": file, "project": "demo", "run_configuration": "local", "warm": true})
}

fn tell(who: &str) -> Value {
    let mut fields = of("tell.hpl");
    fields["params"] = json!({"WHO": who});
    fields
}

#[test]
fn five_hundred_warm_runs_eight_at_once_and_no_line_in_the_wrong_one() {
    let mut warm = Warm::new("slots = 8\nrecycle_after = 200");
    for hundred in 0..5 {
        let mut starts = Vec::new();
        for number in 0..100 {
            starts.push(warm.hop.plan(tell(&format!("run-{hundred}-{number}-."))));
        }
        let attempts: Vec<AttemptId> = starts.iter().map(|start| start.attempt).collect();
        let orders = starts.into_iter().map(|start| Order::Start(Box::new(start)));
        warm.hop.rig.order(orders.collect());
        let ends = warm.hop.rig.ends(&attempts);
        for (number, attempt) in attempts.iter().enumerate() {
            let (out, own) = (warm.hop.rig.out(*attempt), format!("I am run-{hundred}-{number}-."));
            let err = warm.hop.rig.out_of(*attempt, Stream::Err);
            assert_eq!(ends[number], State::Ended(Exit::Code(0)), "{out}\n{err}\n{}", warm.log());
            let said: Vec<&str> = out.lines().filter(|line| line.contains("I am ")).collect();
            assert_eq!(said.len(), 3, "{out}\n{err}");
            assert!(said.iter().all(|line| line.ends_with(&own)), "{own}: {out}");
            assert_eq!(out.matches("Finished processing").count(), 2, "{out}");
            let counts = Counts::find(&err).expect("true counts");
            let told: Vec<_> =
                counts.steps.iter().map(|it| (&*it.name, it.read, it.written)).collect();
            assert_eq!(told, [("gen", 0, 3), ("tell", 3, 3)], "{err}");
        }
    }
    assert_eq!(warm.log().matches("ended (exit status: 0)").count(), 2, "{}", warm.log());
}

#[test]
fn a_warm_run_tells_the_truth_as_a_cold_one_does() {
    let mut warm = Warm::new("");
    let mut fields = of("sales.hpl");
    fields["lifecycle"] = json!("dev");
    fields["params"] = json!({"OUT": "${home}/a, b=c", "MIN": "20"});
    let (state, log, err) = warm.run(fields);
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    assert_eq!(crate::read_by(&Counts::find(&err).unwrap(), "read"), 7, "{err}");
    let written = std::fs::read_to_string(warm.hop.home.path().join("a, b=c.csv")).unwrap();
    assert!(written.contains("south") && !written.contains(";10;"), "{written}");
    let mut fields = of("daily.hwf");
    fields["params"] = json!({"OUT": "${home}/daily"});
    let (state, log, err) = warm.run(fields);
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    assert_eq!(crate::read_by(&Counts::find(&err).unwrap(), "read"), 7, "{err}");
    // By itself, whatever its log tells: one after the other, side by side, and silent.
    for (parallel, level) in [("N", "Basic"), ("Y", "Basic"), ("Y", "Nothing")] {
        let mut fields = of("");
        fields["file"] = json!(crate::twice(warm.hop.home.path(), parallel));
        fields["level"] = json!(level);
        let (state, log, err) = warm.run(fields);
        assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
        let mut told = crate::written_by(&Counts::find(&err).expect("true counts"), "gen");
        told.sort();
        assert_eq!(told, [("north".to_owned(), 3), ("south".to_owned(), 4)], "{log}\n{err}");
    }
    // What a step begins tells its own rows, and takes none of who has begun it.
    let mut fields = of("each.hpl");
    fields["params"] = json!({"ROWS": "2"});
    let (state, log, err) = warm.run(fields);
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    let counts = Counts::find(&err).expect("true counts");
    let mut told: Vec<_> =
        counts.steps.iter().map(|it| (&*it.part, &*it.name, it.read, it.written)).collect();
    told.sort_unstable();
    let each = [("each", "exec", 2, 0), ("each", "gen", 0, 2)];
    assert_eq!(told, [&each[..], &[("rows", "gen", 0, 10), ("rows", "out", 10, 10)]].concat());
    for (file, code, words) in [
        ("fail.hpl", 1, "Row nr 1 causing abort"),
        ("unknown.hpl", 1, "errors in the run"),
        ("nofile.hpl", 1, "errors in the run"),
        ("gone.hpl", 203, "gone.hpl: No such file"),
    ] {
        let (state, out, err) = warm.run(of(file));
        assert_eq!(state, State::Ended(Exit::Code(code)), "{file}: {out}\n{err}");
        assert!(err.contains(words), "{file}: {out}\n{err}");
    }
    let mut nowhere = of("rows.hpl");
    nowhere["run_configuration"] = json!("nope");
    let (state, _, err) = warm.run(nowhere);
    assert_eq!(state, State::Ended(Exit::Code(1)), "{err}");
    assert!(err.contains("'nope'"), "{err}");
}

#[test]
fn a_warm_run_is_stopped_and_a_killed_jvm_is_told_to_all_its_runs() {
    let mut warm = Warm::new("");
    let begun = "Execution started for pipeline";
    let jvm = warm.jvm();
    let attempt = warm.hop.begin(of("forever.hpl"));
    warm.says(attempt, begun);
    warm.hop.rig.stop(attempt, 10_000);
    assert_eq!(warm.end(attempt).0, State::Ended(Exit::Killed));
    assert_eq!(warm.jvm(), jvm, "the JVM lives");
    let two = [of("forever.hpl"), of("forever.hpl")].map(|fields| warm.hop.begin(fields));
    two.iter().for_each(|attempt| warm.says(*attempt, begun));
    kill(Pid::from_raw(jvm), Signal::SIGKILL).unwrap();
    for attempt in two {
        let (state, _, err) = warm.end(attempt);
        assert_eq!(state, State::Ended(Exit::Code(WARM_LOST)), "{err}");
    }
    assert_eq!(warm.run(tell("next")).0, State::Ended(Exit::Code(0)));
    assert_ne!(warm.jvm(), jvm);
}

fn middle(mut all: Vec<Millis>) -> (Millis, Millis, Millis) {
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() * 95 / 100], all[all.len() - 1])
}

/// Prints a table; `make bench` takes it.
#[test]
fn the_start_of_a_run_cold_and_warm() {
    let mut cold = Cold::new();
    cold.run("hop");
    cold.archive(None);
    let (mut plain, mut with) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        plain.push(cold.run(PLAIN).0);
        with.push(cold.run("hop").0);
    }
    drop(cold);
    let mut warm = Warm::new("slots = 4");
    let one_row = || {
        let mut fields = of("rows.hpl");
        fields["params"] = json!({"ROWS": "1"});
        fields
    };
    (0..50).for_each(|_| _ = warm.took(one_row()));
    let lent = (0..200).map(|_| warm.took(one_row())).collect();
    println!();
    println!(
        "| an attempt of one row, from its start to its end | runs | p50 ms | p95 ms | longest ms |"
    );
    println!("|---|--:|--:|--:|--:|");
    let line = |what: &str, all: Vec<Millis>| {
        let (count, (p50, p95, longest)) = (all.len(), middle(all));
        println!("| {what} | {count} | {p50} | {p95} | {longest} |");
        p50
    };
    let cold = line("cold: hop-run.sh", plain);
    line("cold, with the class-data archive that the host has made", with);
    let lent = line("warm", lent);
    assert!(lent * 5 < cold, "warm is another order: {lent} of {cold} ms");
}
