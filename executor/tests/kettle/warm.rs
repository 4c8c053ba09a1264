//! The warm engine: our Java sources compiled against the Kettle that is there, by the desk itself.

use crate::etl::{rows_by_entry, twice};
use crate::install::{ENGLISH, install, java, sample};
use crate::rig::Rig;
use executor::process::table;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use shared::etl::counts::Counts;
use shared::etl::outcome::WARM_LOST;
use shared::ids::*;
use shared::wire::*;
use std::process::Child;

const WELL: State = State::Ended(Exit::Code(0));

struct Warm {
    rig: Rig,
    _home: tempfile::TempDir,
    services: Option<Child>,
}

impl Warm {
    /// With these lines of `[warm]`. Its first run has ended: the JVM is there.
    fn new(lines: &str) -> Warm {
        Warm::with("", lines)
    }

    /// With further options of its JVM.
    fn with(more: &str, lines: &str) -> Warm {
        let home = tempfile::tempdir().unwrap();
        let english: String = ENGLISH.split(' ').map(|one| format!("\"{one}\",")).collect();
        let rig = Rig::with(&format!(
            "[environments.kettle]\nvars = {{ PDI_HOME = \"{}\", KETTLE_HOME = \"{}\"{} }}\n\
             [warm]\nengine = \"kettle\"\nenvironment = \"kettle\"\nheap_mib = 512\n\
             start_within_s = 280\njava_options = [{english}{more}]\n{lines}\n",
            install().display(),
            home.path().display(),
            java(),
        ));
        let services = Some(rig.spawn("services", &[]));
        let mut warm = Warm { rig, _home: home, services };
        warm.rig.until("a desk", |rig| {
            executor::warm::defined::Warm::socket(&rig.layout.root).exists()
        });
        let (state, _, err) = warm.run("transformation", "who.ktr", json!({}));
        assert_eq!(state, WELL, "{err}");
        warm
    }

    fn log(&self) -> String {
        let path = self.rig.layout.root.join("services/warm.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn plan(&mut self, runs: &str, name: &str, params: Value) -> Start {
        let fields = json!({"runs": runs, "file": sample(name), "params": params, "warm": true});
        self.rig.plan_kind(("kettle", "kettle"), fields, Vec::new(), &[])
    }

    fn begin(&mut self, runs: &str, name: &str, params: Value) -> AttemptId {
        let start = self.plan(runs, name, params);
        self.rig.begin(start)
    }

    fn run(&mut self, runs: &str, name: &str, params: Value) -> (State, String, String) {
        let attempt = self.begin(runs, name, params);
        self.end(attempt)
    }

    /// How it ended, its output, and what was said of it. It was lent a JVM.
    fn end(&mut self, attempt: AttemptId) -> (State, String, String) {
        let state = self.rig.end(attempt);
        let err = self.rig.out_of(attempt, Stream::Err);
        assert!(!err.contains("it starts cold"), "{err}\n{}", self.log());
        (state, self.rig.out(attempt), err)
    }

    fn says(&self, attempt: AttemptId, words: &str) {
        self.rig.until_it_says(attempt, words);
    }

    fn jvm(&self) -> i32 {
        let root = self.services.as_ref().unwrap().id().cast_signed();
        let below = table::descendants(&table::all(), |process| process.pid == root);
        let is_jvm = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("\0Warm\0WarmKettle")
        };
        below.into_iter().map(|process| process.pid).find(is_jvm).expect("a JVM")
    }

    /// It says these words, is stopped, and ends by that; its JVM lives on.
    fn stops(&mut self, runs: &str, (name, params): (&str, Value), words: &str) {
        let jvm = self.jvm();
        let attempt = self.begin(runs, name, params);
        self.says(attempt, words);
        self.rig.stop(attempt, 20_000);
        let (state, out, err) = self.end(attempt);
        assert_eq!(state, State::Ended(Exit::Killed), "{name}: {out}\n{err}");
        assert_eq!(self.jvm(), jvm, "{name}: {out}\n{err}\n{}", self.log());
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        if let Some(mut services) = self.services.take() {
            let _ = kill(Pid::from_raw(services.id().cast_signed()), Signal::SIGTERM);
            let _ = services.wait();
        }
    }
}

fn rows(err: &str) -> Vec<(String, String, u64, u64)> {
    let counts = Counts::find(err).unwrap_or_default();
    counts.steps.into_iter().map(|it| (it.part, it.name, it.read, it.written)).collect()
}

fn three_rows(part: &str) -> Vec<(String, String, u64, u64)> {
    let of = |name: &str, read| (part.to_owned(), name.to_owned(), read, 3);
    vec![of("gen", 0), of("log", 3)]
}

#[test]
fn warm_runs_of_one_file_eight_at_once_and_no_line_in_the_wrong_one() {
    let mut warm = Warm::new("slots = 8\nqueue = 200\nrecycle_after = 60");
    let mut starts = Vec::new();
    for number in 0..100 {
        let params = json!({"WHO": format!("run-{number}-.")});
        starts.push(match number % 2 {
            0 => warm.plan("transformation", "who.ktr", params),
            _ => warm.plan("job", "job.kjb", params),
        });
    }
    let attempts: Vec<AttemptId> = starts.iter().map(|start| start.attempt).collect();
    let orders = starts.into_iter().map(|start| Order::Start(Box::new(start)));
    warm.rig.order(orders.collect());
    warm.rig.ends(&attempts);
    for (number, attempt) in attempts.into_iter().enumerate() {
        let (state, out, err) = warm.end(attempt);
        assert_eq!(state, WELL, "{out}\n{err}\n{}", warm.log());
        let (part, own) = match number % 2 {
            0 => ("who", format!("I am run-{number}-.")),
            _ => ("hello", format!("hello run-{number}-.")),
        };
        let said: Vec<&str> = out.lines().filter(|line| line.contains("run-")).collect();
        assert_eq!(said.len(), 3, "{out}\n{err}");
        assert!(said.iter().all(|line| line.ends_with(&own)), "{own}: {out}");
        assert_eq!(out.matches("Finished processing").count(), 2, "{out}");
        assert_eq!(rows(&err), three_rows(part), "{err}");
    }
    // One JVM was full, and the next took what came.
    assert!(warm.log().contains("JVM 2: process"), "{}", warm.log());
}

#[test]
fn a_warm_run_tells_the_truth_of_its_end_and_its_rows_as_a_cold_one_does() {
    let mut warm = Warm::new("");
    let (state, out, err) = warm.run("transformation", "hello.ktr", json!({"N": "5"}));
    assert_eq!(state, WELL, "{out}\n{err}");
    let of = |name: &str, read| ("hello".to_owned(), name.to_owned(), read, 5);
    assert_eq!(rows(&err), [of("gen", 0), of("log", 5)]);
    // A job in a job: the rows of its transformation, and each of its lines.
    let (state, out, err) = warm.run("job", "nested.kjb", json!({"WHO": "it's me"}));
    assert_eq!(state, WELL, "{out}\n{err}");
    assert_eq!(out.matches("hello it's me").count(), 3, "{out}");
    assert_eq!(rows(&err), three_rows("hello"), "{err}");
    let entries = rows_by_entry(&err);
    assert_eq!(entries, [("within › trans".to_owned(), 3)], "{err}");
    for (runs, name, params, code, words) in [
        ("transformation", "bad.ktr", json!({}), 1, "deliberate abort"),
        ("transformation", "nostep.ktr", json!({}), 3, "cannot be prepared"),
        ("transformation", "hello.ktr", json!({"N": "abc"}), 3, "cannot be prepared"),
        ("transformation", "hello.ktr", json!({"M": "1"}), 202, "declares no parameter \"M\""),
        ("transformation", "gone.ktr", json!({}), 203, "gone.ktr: No such file"),
        ("job", "job.kjb", json!({"KTR": "bad.ktr"}), 1, "deliberate abort"),
        ("job", "job.kjb", json!({"KTR": "gone.ktr"}), 1, "gone.ktr"),
        ("job", "nested.kjb", json!({"KTR": "bad.ktr"}), 1, "deliberate abort"),
        ("job", "lenient.kjb", json!({}), 200, "not without errors"),
    ] {
        let (state, out, err) = warm.run(runs, name, params);
        assert_eq!(state, State::Ended(Exit::Code(code)), "{name}: {out}\n{err}");
        let last = err.lines().last().unwrap_or_default();
        assert!(last.starts_with("hcndc: "), "{name}: {out}\n{err}");
        assert!(err.contains(words) || out.contains(words), "{name}, {words}: {out}\n{err}");
    }
    let dir = tempfile::tempdir().unwrap();
    let fields =
        json!({"runs": "job", "file": twice(dir.path()), "warm": true, "level": "Minimal"});
    let start = warm.rig.plan_kind(("kettle", "kettle"), fields, Vec::new(), &[]);
    let attempt = warm.rig.begin(start);
    let (state, out, err) = warm.end(attempt);
    assert_eq!(state, WELL, "{out}\n{err}");
    assert!(!out.contains("Starting entry"), "its log does not tell: {out}");
    let of = ["first › north", "first › south", "own", "last › north", "last › south"];
    assert_eq!(rows_by_entry(&err), of.map(|entry| (entry.to_owned(), 3)), "{out}\n{err}");
    let (_, _, err) = warm.run("job", "job.kjb", json!({"KTR": "bad.ktr"}));
    let counts = Counts::find(&err).expect("row counts");
    let aborted = counts.steps.iter().find(|step| step.name == "abort").expect("its step");
    assert_eq!((&*aborted.part, aborted.errors), ("bad", 1), "{err}");
}

#[test]
fn a_warm_run_is_stopped_wherever_it_is_and_a_killed_jvm_is_told_to_all_its_runs() {
    // Nothing is stopped by the end of its JVM.
    let mut warm = Warm::new("stop_grace_s = 60");
    warm.stops("transformation", ("forever.ktr", json!({})), "still here");
    warm.stops("job", ("job.kjb", json!({"KTR": "forever.ktr"})), "still here");
    warm.stops("job", ("nested.kjb", json!({"KTR": "forever.ktr"})), "still here");
    let jvm = warm.jvm();
    let two = [(); 2].map(|()| warm.begin("transformation", "forever.ktr", json!({})));
    two.iter().for_each(|attempt| warm.says(*attempt, "still here"));
    kill(Pid::from_raw(jvm), Signal::SIGKILL).unwrap();
    for attempt in two {
        let (state, _, err) = warm.end(attempt);
        assert_eq!(state, State::Ended(Exit::Code(WARM_LOST)), "{err}");
    }
    let (state, _, err) = warm.run("transformation", "who.ktr", json!({}));
    assert_eq!(state, WELL, "{err}");
    assert_ne!(warm.jvm(), jvm);
}

/// What starts forgets that it was stopped: the stand-in takes its time to do so.
#[test]
fn a_stop_is_not_lost_while_a_warm_run_begins() {
    let mut warm = Warm::with("\"-Dstandin.slow=500\"", "stop_grace_s = 60");
    warm.stops("transformation", ("forever.ktr", json!({})), "Dispatching started");
    warm.stops("job", ("job.kjb", json!({"KTR": "forever.ktr"})), "Start of job execution");
    warm.stops("job", ("job.kjb", json!({"KTR": "forever.ktr"})), "Dispatching started");
}
