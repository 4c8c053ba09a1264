//! The warm engine with a stand-in for Hop: a real JVM, our own protocol (`tests/warm/WarmEcho.java`).
//!
//! What it runs are files that say what is to be done; cold it would be a script that says so.

use crate::rig::{Rig, alive};
use crate::services::SmallDisk;
use executor::process::table;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use shared::etl::counts::Counts;
use shared::etl::outcome::WARM_LOST;
use shared::ids::*;
use shared::wire::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Child;

/// A zip without anything in it: a jar.
const EMPTY_JAR: [u8; 22] = *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

struct Warm {
    rig: Rig,
    services: Option<Child>,
    files: u32,
    /// Under its services.
    disk: Option<SmallDisk>,
}

impl Warm {
    /// With these lines of `[warm]`.
    fn with(lines: &str) -> Warm {
        let warm = Warm::of(lines, |_| None);
        warm.rig.until("a desk", |rig| executor_socket(rig).exists());
        warm
    }

    fn of(lines: &str, disk: impl FnOnce(&Rig) -> Option<SmallDisk>) -> Warm {
        let mut rig = Rig::without_process("");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(rig.dir.path(), open).unwrap();
        let home = rig.path("hop");
        std::fs::create_dir_all(home.join("lib/core")).unwrap();
        std::fs::write(home.join("lib/core/hop-core-1.jar"), EMPTY_JAR).unwrap();
        let script = home.join("hop-run.sh");
        std::fs::write(&script, "#!/bin/sh\necho cold; echo started cold >&2\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();
        let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/warm/WarmEcho.java");
        rig.config = format!(
            "[environments.hop]\nvars = {{ HOP_HOME = \"{}\" }}\n[warm]\nengine = \"hop\"\n\
             environment = \"hop\"\nadapter = \"{}\"\nheap_mib = 64\nstop_grace_s = 1\n{lines}\n",
            home.display(),
            adapter.display(),
        );
        rig.launch(&[]);
        let disk = disk(&rig);
        let services = Some(rig.spawn("services", &[]));
        Warm { rig, services, files: 0, disk }
    }

    fn plan(&mut self, script: &str, params: Value) -> Start {
        self.files += 1;
        let file = self.rig.path(&format!("{}.hpl", self.files));
        std::fs::write(&file, script).unwrap();
        let fields = json!({"file": file, "warm": true, "params": params});
        self.rig.plan_kind(("hop", "hop"), fields, Vec::new(), &[])
    }

    fn begin(&mut self, script: &str) -> AttemptId {
        let start = self.plan(script, json!({}));
        self.rig.begin(start)
    }

    fn run(&mut self, script: &str) -> (State, String, String) {
        let attempt = self.begin(script);
        self.end(attempt)
    }

    fn end(&mut self, attempt: AttemptId) -> (State, String, String) {
        let state = self.rig.end(attempt);
        (state, self.rig.out(attempt), self.rig.out_of(attempt, Stream::Err))
    }

    /// It says this, so it has begun.
    fn says(&self, attempt: AttemptId, words: &str) {
        self.rig.until_it_says(attempt, words);
    }

    /// Our JVMs that live.
    fn jvms(&self) -> Vec<i32> {
        let root = self.services.as_ref().unwrap().id().cast_signed();
        let below = table::descendants(&table::all(), |process| process.pid == root);
        let is_jvm = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("\0Warm\0WarmEcho")
        };
        below
            .into_iter()
            .map(|process| process.pid)
            .filter(is_jvm)
            .filter(|pid| alive(*pid))
            .collect()
    }

    fn end_services(&mut self) {
        if let Some(mut services) = self.services.take() {
            let _ = kill(Pid::from_raw(services.id().cast_signed()), Signal::SIGTERM);
            let _ = services.wait();
        }
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.rig.layout.root.join("services/warm.log");
            eprintln!("{}", std::fs::read_to_string(log).unwrap_or_default());
        }
        self.end_services();
    }
}

fn executor_socket(rig: &Rig) -> std::path::PathBuf {
    executor::warm::defined::Warm::socket(&rig.layout.root)
}

fn ok() -> State {
    State::Ended(Exit::Code(0))
}

fn lost() -> State {
    State::Ended(Exit::Code(WARM_LOST))
}

#[test]
fn five_hundred_runs_eight_at_once_and_no_line_in_the_wrong_one() {
    let mut warm = Warm::with("slots = 8\nqueue = 600\nrecycle_after = 200");
    let mut starts = Vec::new();
    for number in 0..500 {
        let script = "say one ${WHO}\nrows step 7\nsay two ${WHO}\nsay three ${WHO}\n";
        starts.push(warm.plan(script, json!({"WHO": format!("run-{number}-.")})));
    }
    let attempts: Vec<AttemptId> = starts.iter().map(|start| start.attempt).collect();
    for part in starts.chunks(ORDERS_MAX) {
        let orders = part.iter().map(|start| Order::Start(Box::new(start.clone())));
        warm.rig.order(orders.collect());
    }
    let ends = warm.rig.ends(&attempts);
    assert!(ends.iter().all(|end| *end == ok()), "{ends:?}");
    for (number, attempt) in attempts.iter().enumerate() {
        let out = warm.rig.out(*attempt);
        let own = format!("run-{number}-.");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 6, "{out}");
        assert!(lines.iter().all(|line| line.ends_with(&own)), "{number}: {out}");
        let err = warm.rig.out_of(*attempt, Stream::Err);
        let counts = Counts::find(&err).expect("true counts");
        assert_eq!((counts.steps.len(), counts.steps[0].read), (1, 7), "{err}");
    }
    // Two JVMs were full, and the third takes what comes.
    let log = std::fs::read_to_string(warm.rig.layout.root.join("services/warm.log")).unwrap();
    assert_eq!(log.matches("ended (exit status: 0)").count(), 2, "{log}");
    assert_eq!(warm.jvms().len(), 1);
}

#[test]
fn a_stop_ends_one_run_and_the_jvm_only_where_it_must() {
    let mut warm = Warm::with("");
    let attempt = warm.begin("say here\nsleep 600000\n");
    warm.says(attempt, "again here");
    let jvms = warm.jvms();
    warm.rig.stop(attempt, 10_000);
    assert_eq!(warm.end(attempt).0, State::Ended(Exit::Killed));
    // One that times out goes the same way.
    let mut start = warm.plan("say here\nsleep 600000\n", json!({}));
    start.timeout_ms = Some(1_500);
    start.grace_ms = 10_000;
    let attempt = warm.rig.begin(start);
    assert_eq!(warm.end(attempt).0, State::Ended(Exit::TimedOut));
    // The process of an attempt is killed: its run is stopped, its slot is free.
    let attempt = warm.begin("say here\nsleep 600000\n");
    warm.says(attempt, "again here");
    warm.rig.stop(attempt, 0);
    assert_eq!(warm.end(attempt).0, State::Ended(Exit::Killed));
    assert_eq!(warm.run("say x\n").0, ok());
    assert_eq!(warm.jvms(), jvms, "the JVM is the same");
    // One that cannot be stopped takes the JVM along, and the other run is told.
    let (spins, other) = (warm.begin("say here\nspin\n"), warm.begin("say there\nsleep 600000\n"));
    warm.says(spins, "again here");
    warm.says(other, "again there");
    warm.rig.stop(spins, 20_000);
    assert_eq!(warm.end(spins).0, State::Ended(Exit::Killed));
    let (state, _, err) = warm.end(other);
    assert_eq!(state, lost(), "{err}");
    assert!(err.contains("because another run did not stop in time"), "{err}");
    assert_eq!(warm.run("say x\n").0, ok(), "there is a new JVM");
    assert_ne!(warm.jvms(), jvms);
}

#[test]
fn a_quiet_run_tells_how_far_it_is() {
    let mut warm = Warm::with("");
    let attempt = warm.begin("live read 5000\nsleep 600000\nsay over");
    warm.rig.until("rows on their way", |rig| {
        let counts = Counts::find(&rig.so_far(attempt, Stream::Err));
        counts.is_some_and(|counts| {
            counts.steps.iter().any(|step| (step.read, step.lines) == (5_001, 0))
        })
    });
    warm.rig.stop(attempt, 5_000);
    warm.rig.end(attempt);
}

#[test]
fn a_jvm_that_dies_or_has_no_heap_left_is_told_and_there_is_another() {
    let mut warm = Warm::with("");
    let other = warm.begin("say there\nsleep 600000\n");
    warm.says(other, "again there");
    let (state, _, err) = warm.run("say x\ndie\n");
    assert_eq!(state, lost(), "{err}");
    assert_eq!(warm.end(other).0, lost());
    let (state, _, err) = warm.run("heap\n");
    assert_eq!(state, lost(), "{err}");
    assert!(err.contains("OutOfMemoryError"), "{err}");
    let (state, _, err) = warm.run("fail bad row\n");
    assert_eq!(state, State::Ended(Exit::Code(1)), "{err}");
    assert!(err.lines().last().unwrap().contains("bad row"), "{err}");
    let (state, _, err) = warm.run("what\n");
    assert_eq!(state, State::Ended(Exit::Code(1)), "{err}");
    let (state, out, _) = warm.run("say x\n");
    assert_eq!((state, out.contains("again x")), (ok(), true), "{out}");
}

#[test]
fn without_a_desk_or_a_jvm_it_starts_cold_and_says_so() {
    let mut warm = Warm::with("queue = 0\nslots = 1");
    let first = warm.begin("say here\nsleep 600000\n");
    warm.rig.until("it runs, warm or cold", |rig| rig.status().is_some());
    let (state, out, err) = warm.run("say x\n");
    // Its only slot is taken, or it is not ready yet.
    assert_eq!((state, out.as_str()), (ok(), "cold\n"), "{err}");
    assert!(err.contains("it starts cold: 0 runs wait already"), "{err}");
    warm.rig.stop(first, 5_000);
    warm.end(first);
    warm.end_services();
    let (state, out, err) = warm.run("say x\n");
    assert_eq!((state, out.as_str()), (ok(), "cold\n"), "{err}");
    assert!(err.contains("does not answer"), "{err}");
    let mut warm = Warm::with("java_options = [\"-Decho.dies=1\"]");
    let (state, out, err) = warm.run("say x\n");
    assert_eq!((state, out.as_str()), (ok(), "cold\n"), "{err}");
    assert!(err.contains("no JVM can be had: it has ended (exit status: 7)"), "{err}");
}

#[test]
fn on_a_full_disk_nothing_half_compiled_is_used_later_and_jobs_start_cold() {
    let mut warm = Warm::of("", |rig| {
        let disk = SmallDisk::at(&rig.layout.root.join("services"), "512k");
        // The sources fit, and some of the classes.
        disk.fill(48 * 1024);
        Some(disk)
    });
    let told = |warm: &Warm| {
        executor::services::told::read(&warm.rig.layout.root, &["warm".into()]).remove("warm")
    };
    warm.rig.until("what is told", |_| told(&warm).is_some_and(|it| it.restarts > 0));
    let (state, out, err) = warm.run("say x\n");
    assert_eq!((state, out.as_str()), (ok(), "cold\n"), "{err}");
    assert!(err.contains("it starts cold: "), "{err}");
    let words = told(&warm).unwrap().words;
    assert!(words.contains("is full"), "{words}");
    // There is room again: it is compiled whole, by itself.
    warm.disk.as_ref().unwrap().free();
    warm.rig.until("a desk", |rig| executor_socket(rig).exists());
    let until = warm.rig.now_ms() + crate::rig::wait_ms();
    while warm.run("say x\n").1 == "cold\n" {
        assert!(warm.rig.now_ms() < until);
    }
}

#[test]
fn another_users_warm_engine_is_his_and_nobody_elses() {
    assert!(nix::unistd::geteuid().is_root(), "only root can become another user");
    let mut warm =
        Warm::of("user = \"daemon\"\n[jobs]\nusers = [\"daemon\", \"nobody\"]", |_| None);
    warm.rig.until("a desk", |rig| executor_socket(rig).exists());
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let as_user = |warm: &mut Warm, user: Option<&str>| {
        let mut start = warm.plan("say x\n", json!({}));
        start.work.user = user.map(str::to_owned);
        let attempt = warm.rig.begin(start);
        warm.end(attempt)
    };
    let (state, out, err) = as_user(&mut warm, Some("daemon"));
    assert_eq!((state, out.contains("again x")), (ok(), true), "{out}{err}");
    for other in [None, Some("nobody")] {
        let (state, out, err) = as_user(&mut warm, other);
        assert_eq!((state, out.as_str()), (ok(), "cold\n"), "{other:?}: {err}");
        let why = ["runs as another user", "Permission denied"];
        assert!(why.iter().any(|why| err.contains(why)), "{err}");
    }
    let services = warm.rig.layout.root.join("services");
    let found = |path: &str| {
        let found = std::fs::metadata(services.join(path)).unwrap();
        (found.uid(), found.permissions().mode() & 0o777)
    };
    let uid = daemon.uid.as_raw();
    assert_eq!(found("warm.dir"), (uid, 0o700));
    assert_eq!(found("warm.dir/desk.sock"), (uid, 0o600));
    assert_eq!(found("warm.dir/classes").0, uid);
    assert_eq!(found("warm.log"), (0, 0o600), "it writes there by what it was handed");
    let [jvm] = warm.jvms()[..] else { panic!("{:?}", warm.jvms()) };
    let status = std::fs::read_to_string(format!("/proc/{jvm}/status")).unwrap();
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{status}");
}
