//! Hop as it is started on a host: a real one, for it can be had. Only `make test-engines E=hop` runs this.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../host/maria.rs"]
mod maria;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../host/rig.rs"]
mod rig;
#[path = "../host/served.rs"]
mod served;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../host/site.rs"]
mod site;

mod cold;
mod warm;

mod database;
mod server;
mod services;

use executor::process::table;
use rig::{Rig, alive};
use serde_json::{Value, json};
use shared::etl::counts::Counts;
use shared::ids::*;
use shared::wire::*;
use std::path::{Path, PathBuf};

/// Of a JVM that starts cold.
const OPTIONS: &str = "-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

struct Hop {
    rig: Rig,
    /// Project, configuration and what is written.
    home: tempfile::TempDir,
}

impl Hop {
    /// The install that HCNDC_TEST_HOP names, with a project of its own.
    fn new() -> Hop {
        Hop::with("")
    }

    /// With these lines of `executor.toml`.
    fn with(lines: &str) -> Hop {
        Hop::of(OPTIONS, lines)
    }

    /// With these options of its JVM.
    fn of(options: &str, lines: &str) -> Hop {
        let home = tempfile::tempdir().unwrap();
        let (install, config) = (install(), prepare(home.path()));
        let environment = environment("hop", &install, &config, options);
        let rig = Rig::with(&(environment + lines));
        Hop { rig, home }
    }

    fn plan(&mut self, fields: Value) -> Start {
        let home = self.home.path().display().to_string();
        self.rig.plan_kind(("hop", "hop"), fields, Vec::new(), &[("home", &home)])
    }

    fn begin(&mut self, fields: Value) -> AttemptId {
        let start = self.plan(fields);
        self.rig.begin(start)
    }

    fn run(&mut self, fields: Value) -> (State, String, String) {
        let attempt = self.begin(fields);
        let state = self.rig.end(attempt);
        (state, self.rig.out(attempt), self.rig.out_of(attempt, Stream::Err))
    }

    fn fails(&mut self, fields: Value, code: i32, words: &str) {
        let (state, out, err) = self.run(fields);
        assert_eq!(state, State::Ended(Exit::Code(code)), "{out}\n{err}");
        let last = err.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("hcndc: ") && last.contains(words),
            "{words}: {last}\n{out}\n{err}"
        );
    }

    /// What lives below the supervisor, once the pipeline has begun.
    fn tree(&self, attempt: AttemptId) -> Vec<i32> {
        self.rig.until_it_says(attempt, "Execution started for pipeline");
        let (all, own) = (table::all(), self.rig.pid());
        let below = table::descendants(&all, |process| process.pid == own);
        below.into_iter().map(|process| process.pid).filter(|pid| *pid != own).collect()
    }
}

/// The install that is to be tried.
fn install() -> PathBuf {
    let install = shared::config::env("HCNDC_TEST_HOP").map(PathBuf::from);
    install.expect("HCNDC_TEST_HOP names no Hop: make test-engines E=hop")
}

/// As it stands in `executor.toml`.
fn environment(name: &str, install: &Path, config: &Path, options: &str) -> String {
    // Of the driver that no Hop brings.
    let jdbc = shared::config::env("HCNDC_TEST_JDBC").unwrap_or_default();
    let (install, config) = (install.display(), config.display());
    format!(
        "[environments.{name}]\nvars = {{ HOP_HOME = \"{install}\", HOP_CONFIG_FOLDER = \"{config}\", \
         HOP_SHARED_JDBC_FOLDERS = \"lib/jdbc,{jdbc}\", HOP_OPTIONS = \"{options}\" }}\n"
    )
}

/// A project in this folder, and the configuration that knows it.
fn prepare(home: &Path) -> PathBuf {
    let project = home.join("project");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hop/project"), &project);
    let config = home.join("config");
    std::fs::create_dir_all(&config).unwrap();
    let registered = json!({"projectsConfig": {
        "enabled": true, "projectMandatory": false,
        "projectConfigurations": [{
            "projectName": "demo", "projectHome": project, "configFilename": "project-config.json",
        }],
        "lifecycleEnvironments": [{
            "name": "dev", "purpose": "Testing", "projectName": "demo",
            "configurationFiles": [project.join("env-dev.json")],
        }],
    }});
    std::fs::write(config.join("hop-config.json"), registered.to_string()).unwrap();
    config
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &to),
            false => _ = std::fs::copy(&path, &to).unwrap(),
        }
    }
}

fn read_by(counts: &Counts, name: &str) -> u64 {
    counts.steps.iter().filter(|step| step.name == name).map(|step| step.input).sum()
}

/// What this step has passed on, by the action that has begun it.
fn written_by(counts: &Counts, name: &str) -> Vec<(String, u64)> {
    let steps = counts.steps.iter().filter(|step| step.name == name);
    steps.map(|step| (step.entry.clone(), step.written)).collect()
}

#[test]
fn a_pipeline_and_a_workflow_run_with_their_parameters_and_tell_their_rows() {
    let mut hop = Hop::new();
    // Values with blanks, commas and = arrive as they are.
    let out = "${home}/a, b=c";
    let (state, log, err) = hop.run(json!({
        "file": "sales.hpl", "project": "demo", "lifecycle": "dev", "run_configuration": "local",
        "params": {"OUT": out, "MIN": "20"},
    }));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    let counts = Counts::find(&err).expect("row counts");
    assert_eq!(read_by(&counts, "read"), 7, "six rows and the head: {counts:?}");
    assert!(counts.steps.iter().all(|step| step.part == "sales"), "{counts:?}");
    let written = std::fs::read_to_string(hop.home.path().join("a, b=c.csv")).unwrap();
    assert!(written.contains("south") && !written.contains(";10;"), "{written}");
    let (state, log, err) = hop.run(json!({
        "file": "${home}/project/daily.hwf", "project": "demo", "run_configuration": "local",
        "params": {"OUT": "${home}/daily"},
    }));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    assert_eq!(read_by(&Counts::find(&err).expect("row counts"), "read"), 7);
    assert!(hop.home.path().join("daily.csv").exists());
}

/// A workflow that runs one pipeline by two actions: one after the other, or side by side.
fn twice(dir: &Path, parallel: &str) -> PathBuf {
    let action = |name: &str, kind: &str, parallel: &str, more: &str| {
        format!(
            "<action><name>{name}</name><type>{kind}</type>{more}<parallel>{parallel}</parallel><xloc>64</xloc><yloc>64</yloc></action>\n"
        )
    };
    let rows = |rows: u32| {
        format!(
            "<filename>${{PROJECT_HOME}}/rows.hpl</filename><parameters><pass_all_parameters>Y</pass_all_parameters>\
             <parameter><name>ROWS</name><stream_name/><value>{rows}</value></parameter></parameters>\
             <run_configuration>local</run_configuration><wait_until_finished>Y</wait_until_finished><loglevel>Basic</loglevel>"
        )
    };
    let hop = |from: &str, to: &str, unconditional: &str| {
        format!(
            "<hop><from>{from}</from><to>{to}</to><enabled>Y</enabled><evaluation>Y</evaluation><unconditional>{unconditional}</unconditional></hop>"
        )
    };
    let second = if parallel == "Y" { "Start" } else { "north" };
    let unconditional = parallel;
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<workflow><name>twice</name><name_sync_with_filename>N</name_sync_with_filename>\
         <parameters/>\n<actions>\n{}{}{}</actions>\n<hops>{}{}</hops></workflow>\n",
        action("Start", "SPECIAL", parallel, "<repeat>N</repeat><schedulerType>0</schedulerType>"),
        action("north", "PIPELINE", "N", &rows(3)),
        action("south", "PIPELINE", "N", &rows(4)),
        hop("Start", "north", "Y"),
        hop(second, "south", unconditional),
    );
    let path = dir.join(format!("project/twice-{parallel}.hwf"));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn two_actions_of_one_pipeline_tell_their_rows_each_unless_side_by_side() {
    for (language, launched) in
        [("en -Duser.country=US", "in parallel"), ("zh -Duser.country=CN", "并行")]
    {
        let mut hop = Hop::of(&format!("{OPTIONS} -Duser.language={language}"), "");
        let mut rows = |parallel: &str| {
            let file = twice(hop.home.path(), parallel);
            let fields = json!({"file": file, "project": "demo", "run_configuration": "local"});
            let (state, log, err) = hop.run(fields);
            assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
            (written_by(&Counts::find(&err).expect("row counts"), "gen"), log)
        };
        let (told, log) = rows("N");
        assert_eq!(told, [("north".to_owned(), 3), ("south".to_owned(), 4)], "{log}");
        let (told, log) = rows("Y");
        assert!(log.contains(launched), "{log}");
        assert_eq!(told, [(String::new(), 7)], "{log}");
    }
}

#[test]
fn the_truth_of_an_end_is_told() {
    let mut hop = Hop::new();
    let of = |file: &str| json!({"file": file, "project": "demo", "run_configuration": "local"});
    hop.fails(of("fail.hpl"), 1, "errors in the run");
    hop.fails(of("unknown.hpl"), 1, "errors in the run");
    hop.fails(of("nofile.hpl"), 1, "errors in the run");
    hop.fails(of("gone.hpl"), 203, "gone.hpl: No such file");
    let slip = json!({"file": "rows.hpl", "project": "demo", "params": {"ROW": "3"}});
    hop.fails(slip, 202, "declares no parameter \"ROW\"; it has: ROWS");
    let nowhere = json!({"file": "rows.hpl", "project": "demo", "run_configuration": "nope"});
    hop.fails(nowhere, 1, "errors in the run");
}

#[test]
fn a_million_rows_are_counted() {
    let mut hop = Hop::new();
    let (state, log, err) = hop.run(json!({
        "file": "rows.hpl", "project": "demo", "run_configuration": "local", "params": {"ROWS": "1000000"},
    }));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    let counts = Counts::find(&err).expect("row counts");
    let told: Vec<_> = counts.steps.iter().map(|it| (&*it.name, it.read, it.written)).collect();
    assert!(
        told.contains(&("gen", 0, 1_000_000)) && told.contains(&("out", 1_000_000, 1_000_000)),
        "{told:?}"
    );
}

#[test]
fn a_stop_ends_the_jvm_and_its_shell_and_a_killed_jvm_is_told() {
    let mut hop = Hop::new();
    let forever =
        || json!({"file": "forever.hpl", "project": "demo", "run_configuration": "local"});
    let attempt = hop.begin(forever());
    let tree = hop.tree(attempt);
    assert!(tree.len() >= 3, "{tree:?}");
    hop.rig.stop(attempt, 10_000);
    assert_eq!(hop.rig.end(attempt), State::Ended(Exit::Killed));
    assert!(!tree.into_iter().any(alive), "all of it has ended");
    let attempt = hop.begin(forever());
    let is_jvm = |pid: &i32| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains("org.apache.hop.run.HopRun")
    };
    let jvm = hop.tree(attempt).into_iter().find(is_jvm).expect("a JVM");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(jvm), nix::sys::signal::SIGKILL).unwrap();
    let state = hop.rig.end(attempt);
    let expected = [Exit::Signal(9), Exit::HostOutOfMemory].map(State::Ended);
    assert!(expected.contains(&state), "{state:?}");
}
