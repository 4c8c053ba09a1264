//! Kettle as it is started on a host: by the kind's own command, in a named environment, behind `etl`.

use crate::install::{ENGLISH, install, java, own, sample};
use crate::rig::{Rig, alive};
use executor::process::table;
use serde_json::{Value, json};
use shared::etl::counts::Counts;
use shared::ids::*;
use shared::wire::*;
use std::path::{Path, PathBuf};

struct Kettle {
    rig: Rig,
    home: tempfile::TempDir,
}

impl Kettle {
    fn at(install: &Path, vars: &str) -> Kettle {
        let home = tempfile::tempdir().unwrap();
        let java = java();
        let rig = Rig::with(&format!(
            "[environments.kettle]\nvars = {{ PDI_HOME = \"{}\", KETTLE_HOME = \"{}\", \
             PENTAHO_DI_JAVA_OPTIONS = \"-Xmx512m {ENGLISH}\"{java}{vars} }}\n",
            install.display(),
            home.path().display(),
        ));
        Kettle { rig, home }
    }

    fn new() -> Kettle {
        Kettle::at(&install(), "")
    }

    /// The very command that a leader would send.
    fn plan(&mut self, fields: Value) -> Start {
        self.rig.plan_kind(("kettle", "kettle"), fields, Vec::new(), &[("rows", "5")])
    }

    fn begin(&mut self, fields: Value) -> AttemptId {
        let start = self.plan(fields);
        self.rig.begin(start)
    }

    /// How it ended, its output and what `etl` has said.
    fn run(&mut self, fields: Value) -> (State, String, String) {
        let attempt = self.begin(fields);
        let state = self.rig.end(attempt);
        (state, self.rig.out(attempt), self.rig.out_of(attempt, Stream::Err))
    }

    fn fails(&mut self, fields: Value, code: i32, words: &str) -> String {
        let (state, out, err) = self.run(fields);
        assert_eq!(state, State::Ended(Exit::Code(code)), "{out}\n{err}");
        let last = err.lines().last().unwrap_or_default();
        assert!(last.starts_with("hcndc: ") && last.contains(words), "{words}: {last}\n{out}");
        out
    }

    /// What lives below the supervisor.
    fn tree(&self) -> Vec<i32> {
        let (all, own) = (table::all(), self.rig.pid());
        let below = table::descendants(&all, |process| process.pid == own);
        below.into_iter().map(|process| process.pid).filter(|pid| *pid != own).collect()
    }

    fn until_it_says(&self, attempt: AttemptId, words: &str) {
        self.rig.until_it_says(attempt, words);
    }

    /// A file repository named `files`, with the samples in it.
    fn with_repository(&self) {
        let base = self.home.path().join("repository");
        std::fs::create_dir_all(base.join("etl")).unwrap();
        for name in ["hello.ktr", "forever.ktr", "tell.ktr"] {
            std::fs::copy(sample(name), base.join("etl").join(name)).unwrap();
        }
        let hello = std::fs::read_to_string(sample("hello.ktr")).unwrap();
        let (head, rest) = hello.split_once("<parameters>").unwrap();
        let (_, tail) = rest.split_once("</parameters>").unwrap();
        let bare = format!("{head}{tail}").replace("${N}", "1");
        std::fs::write(base.join("etl/bare.ktr"), bare).unwrap();
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repositories>\n<repository><id>KettleFileRepository</id>\
             <name>files</name><description/><is_default>false</is_default><base_directory>{}</base_directory>\
             <read_only>N</read_only><hides_hidden_files>N</hides_hidden_files></repository>\n</repositories>\n",
            base.display()
        );
        std::fs::create_dir_all(self.home.path().join(".kettle")).unwrap();
        std::fs::write(self.home.path().join(".kettle/repositories.xml"), xml).unwrap();
    }
}

pub(crate) fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

#[test]
fn a_job_and_a_transformation_run_with_their_parameters_and_tell_their_rows() {
    let mut kettle = Kettle::new();
    let job = json!({"runs": "job", "file": sample("job.kjb"), "params": {"WHO": "it's ${date}"}});
    let (state, out, err) = kettle.run(job);
    assert_eq!(state, State::Ended(Exit::Code(0)), "{out}\n{err}");
    assert!(out.contains("hello it's 20261120"), "{out}");
    let counts = Counts::find(&err).expect("row counts");
    assert!(counts.steps.iter().any(|step| step.name == "gen" && step.written == 3), "{counts:?}");
    let file =
        json!({"runs": "transformation", "file": sample("hello.ktr"), "params": {"N": "${rows}"}});
    let (state, out, err) = kettle.run(file);
    assert_eq!(state, State::Ended(Exit::Code(0)), "{out}\n{err}");
    let counts = Counts::find(&err).expect("row counts");
    let told: Vec<_> =
        counts.steps.iter().map(|it| (&*it.part, &*it.name, it.read, it.written)).collect();
    assert_eq!(told, [("hello", "gen", 0, 5), ("hello", "log", 5, 5)]);
    assert!(!err.lines().last().unwrap_or_default().starts_with("hcndc: pan"), "{err}");
}

/// The file of a job with these entries, one after the other.
fn chain(dir: &Path, name: &str, entries: &[(&str, &str, String)]) -> PathBuf {
    let usual = "<specification_method>filename</specification_method><cluster>N</cluster><wait_until_finished>Y</wait_until_finished>\
                 <parameters><pass_all_parameters>Y</pass_all_parameters></parameters><parallel>N</parallel><draw>Y</draw><nr>0</nr>";
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<job><name>{name}</name><directory>/</directory>\n<entries>\n"
    );
    xml += "<entry><name>START</name><type>SPECIAL</type><start>Y</start><dummy>N</dummy><repeat>N</repeat>\
            <schedulerType>0</schedulerType><parallel>N</parallel><draw>Y</draw><nr>0</nr><xloc>50</xloc><yloc>50</yloc></entry>\n";
    let mut hops = String::new();
    let mut before = "START";
    for (entry, kind, file) in entries {
        xml += &format!(
            "<entry><name>{entry}</name><type>{kind}</type><filename>{file}</filename>{usual}<xloc>150</xloc><yloc>50</yloc></entry>\n"
        );
        let unconditional = if before == "START" { "Y" } else { "N" };
        hops += &format!(
            "<hop><from>{before}</from><to>{entry}</to><from_nr>0</from_nr><to_nr>0</to_nr><enabled>Y</enabled>\
             <evaluation>Y</evaluation><unconditional>{unconditional}</unconditional></hop>\n"
        );
        before = entry;
    }
    let path = dir.join(name).with_extension("kjb");
    std::fs::write(&path, format!("{xml}</entries>\n<hops>{hops}</hops>\n</job>\n")).unwrap();
    path
}

/// Two entries of one transformation, in a job that two entries run.
pub(crate) fn twice(dir: &Path) -> PathBuf {
    let who = || sample("who.ktr");
    let part = [("north", "TRANS", who()), ("south", "TRANS", who())];
    let part = chain(dir, "part", &part).display().to_string();
    chain(
        dir,
        "all",
        &[("first", "JOB", part.clone()), ("own", "TRANS", who()), ("last", "JOB", part)],
    )
}

/// What has gone through `log` by the entry that has begun it.
pub(crate) fn rows_by_entry(err: &str) -> Vec<(String, u64)> {
    let counts = Counts::find(err).expect("row counts");
    let log = counts.steps.into_iter().filter(|step| step.name == "log");
    log.map(|step| (step.entry, step.read)).collect()
}

#[test]
fn two_entries_of_one_file_tell_their_rows_each() {
    let mut kettle = Kettle::new();
    let file = twice(kettle.home.path());
    let (state, out, err) = kettle.run(json!({"runs": "job", "file": file}));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{out}\n{err}");
    let of = ["first › north", "first › south", "own", "last › north", "last › south"];
    assert_eq!(rows_by_entry(&err), of.map(|entry| (entry.to_owned(), 3)), "{out}\n{err}");
}

#[test]
fn the_truth_of_an_end_is_told() {
    let mut kettle = Kettle::new();
    let pan = |name: &str| json!({"runs": "transformation", "file": sample(name)});
    kettle.fails(pan("bad.ktr"), 1, "deliberate abort");
    kettle.fails(pan("nostep.ktr"), 3, "cannot be prepared");
    // It failed, and its job went on to success: 0 is not the truth.
    let lenient = json!({"runs": "job", "file": sample("lenient.kjb")});
    kettle.fails(lenient, 200, "not without errors");
    let strict = json!({"runs": "job", "file": sample("job.kjb"), "params": {"KTR": "bad.ktr"}});
    kettle.fails(strict, 1, "result is false");
}

#[test]
fn what_can_be_known_before_is_said_before() {
    let mut kettle = Kettle::new();
    let slip = json!({"runs": "job", "file": sample("job.kjb"), "params": {"WHOM": "x"}});
    let out = kettle.fails(slip, 202, "declares no parameter \"WHOM\"; it has: KTR, WHO");
    assert_eq!(out, "", "no JVM was started");
    let gone = json!({"runs": "job", "file": "/no/such/job.kjb"});
    let out = kettle.fails(gone, 203, "/no/such/job.kjb: No such file");
    assert_eq!(out, "");
    let mut start = kettle.plan(json!({"runs": "job", "file": sample("job.kjb")}));
    start.work.environment = None;
    let attempt = kettle.rig.begin(start);
    let State::Refused(Refusal::CannotStart(told)) = kettle.rig.end(attempt) else {
        panic!("{:?}", kettle.rig.known[&attempt])
    };
    assert!(told.contains("kitchen.sh"), "{told}");
}

#[test]
fn a_stop_ends_the_jvm_and_all_its_shells() {
    let mut kettle = Kettle::new();
    let attempt = kettle.begin(json!({"runs": "transformation", "file": sample("forever.ktr")}));
    kettle.until_it_says(attempt, "Pan - ");
    let tree = kettle.tree();
    // `etl`, two scripts, a JVM, a grep.
    assert!(tree.len() >= 4, "{tree:?}");
    kettle.rig.stop(attempt, 10_000);
    assert_eq!(kettle.rig.end(attempt), State::Ended(Exit::Killed));
    let left: Vec<i32> = tree.into_iter().filter(|pid| alive(*pid)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_jvm_that_is_killed_is_told_as_that() {
    let mut kettle = Kettle::new();
    let attempt = kettle.begin(json!({"runs": "transformation", "file": sample("forever.ktr")}));
    kettle.until_it_says(attempt, "Pan - ");
    let is_jvm = |pid: &i32| {
        let line = command_line(*pid);
        (line.contains("org.pentaho.di.pan.Pan") && !line.contains("spoon.sh"))
            && (line.contains("jvm.sh") || line.contains("java"))
    };
    let jvm = kettle.tree().into_iter().find(is_jvm).expect("a JVM");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(jvm), nix::sys::signal::SIGKILL).unwrap();
    let state = kettle.rig.end(attempt);
    // Whether the machine just now had no memory left is not ours to say.
    let expected = [Exit::Signal(9), Exit::HostOutOfMemory].map(State::Ended);
    assert!(expected.contains(&state), "{state:?}");
    let err = kettle.rig.out_of(attempt, Stream::Err);
    assert!(err.contains("pan.sh or its JVM was killed"), "{err}");
}

#[test]
fn a_repository_is_used_and_its_password_is_nowhere_to_be_seen() {
    let mut kettle = Kettle::at(
        &install(),
        ", KETTLE_PASSWORD = \"it's s3cret\", KETTLE_REPOSITORY = \"wrong\"",
    );
    kettle.with_repository();
    let run = |object: &str, params: Value| {
        json!({"runs": "transformation", "repository": "files", "user": "admin", "directory": "/etl",
            "object": object, "params": params})
    };
    let (state, out, err) = kettle.run(run("tell", json!({})));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{out}\n{err}");
    assert!(out.contains("password ••••••"), "it was told, and is masked: {out}");
    assert!(!out.contains("s3cret") && !err.contains("s3cret"), "{out}\n{err}");
    let attempt = kettle.begin(run("forever", json!({})));
    kettle.until_it_says(attempt, "Pan - ");
    let lines: Vec<String> = kettle.tree().into_iter().map(command_line).collect();
    assert!(lines.iter().any(|line| line.contains("-rep=files")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("s3cret")), "{lines:?}");
    kettle.rig.stop(attempt, 5_000);
    kettle.rig.end(attempt);
    // The engine is asked what it declares, for the file is not to be seen.
    kettle.fails(run("hello", json!({"M": "1"})), 202, "declares no parameter \"M\"; it has: N");
    kettle.fails(run("bare", json!({"M": "1"})), 202, "declares no parameters");
    // Nothing is concluded from what cannot be loaded.
    let gone = kettle.run(run("gone", json!({"M": "1"})));
    assert!(
        gone.2.contains("it lists no parameters") && gone.0 != State::Ended(Exit::Code(202)),
        "{gone:?}"
    );
    let file = json!({"runs": "transformation", "file": sample("hello.ktr")});
    let (state, out, _) = kettle.run(file);
    assert_eq!(state, State::Ended(Exit::Code(0)), "KETTLE_REPOSITORY beats no file: {out}");
}

#[test]
fn values_of_parameters_are_not_on_our_own_command_line() {
    let mut kettle = Kettle::at(&own(""), ", STANDIN = \"mute\"");
    let fields = json!({"runs": "transformation", "file": sample("hello.ktr"), "warm": true,
        "params": {"N": "987654"}});
    let attempt = kettle.begin(fields);
    let jvm = |pid: &i32| command_line(*pid).contains("jvm.sh");
    kettle.rig.until("a JVM", |_| kettle.tree().iter().any(jvm));
    for pid in kettle.tree() {
        let line = command_line(pid);
        assert!(!line.contains("hcndc-executor") || !line.contains("\"987654\""), "{line}");
    }
    kettle.rig.stop(attempt, 5_000);
    kettle.rig.end(attempt);
}

#[test]
fn a_run_may_have_a_kettle_home_of_its_own() {
    let mut kettle = Kettle::new();
    let shared = kettle.home.path().join(".kettle");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("kettle.properties"), "A=1\n").unwrap();
    let attempt = kettle.begin(json!({
        "runs": "transformation", "file": sample("tell.ktr"), "kettle_home": "per_run",
    }));
    assert_eq!(kettle.rig.end(attempt), State::Ended(Exit::Code(0)));
    let own = kettle.rig.layout.work_of(attempt).join("kettle-home");
    let out = kettle.rig.out(attempt);
    assert!(out.contains(&format!("home {}", own.display())), "{out}");
    assert_eq!(std::fs::read_to_string(own.join(".kettle/kettle.properties")).unwrap(), "A=1\n");
}

#[test]
fn what_says_nothing_is_not_believed() {
    let standin = |how: &str| Kettle::at(&own(""), &format!(", STANDIN = \"{how}\""));
    let job = json!({"runs": "job", "file": sample("job.kjb")});
    standin("arch").fails(job.clone(), 201, "nothing has run");
    standin("heap").fails(job.clone(), 204, "no heap left");
    let login = json!({"runs": "job", "repository": "files", "object": "load"});
    // The second has said `Start of run`, and waits before it opens its repository.
    for (how, fields) in [("mute", job), ("login", login)] {
        let mut kettle = standin(how);
        let mut start = kettle.plan(fields);
        start.work.etl.as_mut().unwrap().start_within_s = 1;
        let attempt = kettle.rig.begin(start);
        let jvm = |pid: &i32| command_line(*pid).contains("jvm.sh");
        kettle.rig.until("a JVM", |_| kettle.tree().iter().any(jvm));
        let tree = kettle.tree();
        assert_eq!(kettle.rig.end(attempt), State::Ended(Exit::Code(205)), "{how}");
        let err = kettle.rig.out_of(attempt, Stream::Err);
        assert!(err.contains("waits for a browser or a password"), "{how}: {err}");
        assert!(!tree.into_iter().any(alive), "{how}: what it has left is ended");
    }
}

#[test]
fn who_asks_what_is_declared_leaves_nothing_behind() {
    let mut kettle = Kettle::at(&own(""), ", STANDIN = \"mute\"");
    let params =
        json!({"runs": "job", "repository": "files", "object": "load", "params": {"A": "1"}});
    let mut start = kettle.plan(params);
    start.work.etl.as_mut().unwrap().start_within_s = 1;
    let attempt = kettle.rig.begin(start);
    let asks = |pid: &i32| command_line(*pid).contains("-listparam");
    kettle.rig.until("it asks", |_| kettle.tree().iter().any(asks));
    kettle.rig.until("it asks no more", |_| !kettle.tree().iter().any(asks));
    assert_eq!(kettle.rig.end(attempt), State::Ended(Exit::Code(205)));
}
