//! What a job gets and what is told of it: arguments, environment, output, exit, refusals.

use crate::rig::Rig;
use shared::ids::Reigning;
use shared::wire::*;

#[test]
fn a_job_runs_and_its_exit_is_told() {
    let mut rig = Rig::start();
    let fine = rig.run(&["true"]);
    let seven = rig.sh("exit 7");
    let signalled = rig.sh("kill -USR1 $$");
    let states = rig.ends(&[fine, seven, signalled]);
    let ended = |exit| State::Ended(exit);
    let usr1 = ended(Exit::Signal(10));
    assert_eq!(states, [ended(Exit::Code(0)), ended(Exit::Code(7)), usr1]);
    let report = &rig.known[&seven];
    assert!(report.started_ms.is_some() && report.ended_ms >= report.started_ms);
    assert!(report.rss_max_kib.is_some_and(|kib| kib > 100) && report.cpu_ms.is_some());
}

#[test]
fn arguments_arrive_as_they_are() {
    let mut rig = Rig::start();
    let odd = ["a b", "", "'\"", ";rm -rf x", "$HOME", "*", "line\nline", "", "-n", "中文"];
    let mut argv = vec!["sh", "-c", r#"for a in "$@"; do printf '<%s>' "$a"; done"#, "sh"];
    argv.extend(odd);
    let attempt = rig.run(&argv);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)));
    let expected: String = odd.iter().map(|text| format!("<{text}>")).collect();
    assert_eq!(rig.out(attempt), expected);
}

#[test]
fn a_job_gets_a_small_environment_and_nothing_of_ours() {
    let mut rig = Rig::without_process("[jobs]\ntz = \"Asia/Tokyo\"\n[limits]\nopen_files = 333\n");
    rig.launch(&[("SECRET_OF_THE_SUPERVISOR", "x".as_ref())]);
    let mut start = rig.plan(&[
        "sh",
        "-c",
        "env; umask; ulimit -n; ls /proc/self/fd; cat; ps -o sid= -p $$; echo $$",
    ]);
    start.work.env.insert("HCNDC_JOB".into(), "a=b c".into());
    start.work.env.insert("LANG".into(), "de_DE".into());
    let attempt = rig.begin(start);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)));
    let out = rig.out(attempt);
    for line in ["HCNDC_JOB=a=b c", "LANG=de_DE", "TZ=Asia/Tokyo", "0022", "333"] {
        assert!(out.lines().any(|found| found == line), "{line} in {out}");
    }
    assert!(!out.contains("SECRET_OF"), "{out}");
    // Only its three files (and the one that `ls` reads with).
    let fds: Vec<&str> = out.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(fds, ["0", "1", "2", "3"], "{out}");
    let last: Vec<&str> = out.split_whitespace().rev().take(2).collect();
    assert_eq!(last[0], last[1], "it leads a session of its own: {out}");
}

#[test]
fn it_runs_where_it_is_told_to() {
    let mut rig = Rig::start();
    let own = rig.sh("pwd; touch kept");
    let mut start = rig.plan(&["pwd"]);
    start.work.dir = "/usr".into();
    let there = rig.begin(start);
    rig.ends(&[own, there]);
    let work = rig.layout.work_of(own);
    assert_eq!(rig.out(own).trim(), work.display().to_string());
    assert!(work.join("kept").exists(), "what it has left there stays");
    assert_eq!(rig.out(there), "/usr\n");
    let empty = rig.run(&["true"]);
    rig.end(empty);
    assert!(!rig.layout.work_of(empty).exists(), "an empty one goes");
}

#[test]
fn what_cannot_start_is_refused_with_the_reason() {
    let mut rig = Rig::start();
    let script = rig.path("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let text = rig.path("text");
    std::fs::write(&text, "echo never\n").unwrap();
    for file in [&script, &text] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(file, mode).unwrap();
    }
    let (script, text) = (script.display().to_string(), text.display().to_string());
    let mut cases = vec![
        (rig.plan(&["no-such-program"]), "there is no program \"no-such-program\" on the PATH"),
        (rig.plan(&["/no/such/program"]), "No such file"),
        (rig.plan(&["/etc/passwd"]), "Permission denied"),
        (rig.plan(&["/usr"]), "Permission denied"),
        (rig.plan(&[script.as_str()]), "interpreter"),
        (rig.plan(&[text.as_str()]), "nor does it begin with #!"),
        (rig.plan(&[""]), "no program is named"),
        (rig.plan::<&str>(&[]), "no program is named"),
        (rig.plan(&["true", "a\0b"]), "argument 1 holds a zero byte"),
        (rig.plan(&["true"]), "directory \"/no/such/dir\""),
        (rig.plan(&["true"]), "an absolute path is needed"),
        (rig.plan(&["true"]), "user \"nobody\" is not on this host's list"),
        (rig.plan(&["true"]), "no name of an environment variable"),
    ];
    let many = cases.len();
    cases[many - 4].0.work.dir = "/no/such/dir".into();
    cases[many - 3].0.work.dir = "here".into();
    cases[many - 2].0.work.user = Some("nobody".into());
    cases[many - 1].0.work.env.insert("a=b".into(), String::new());
    for (start, words) in cases {
        let attempt = rig.begin(start);
        let State::Refused(Refusal::CannotStart(told)) = rig.end(attempt) else {
            panic!("{:?}", rig.known[&attempt])
        };
        assert!(told.contains(words) && told.len() <= 160, "{told}");
        assert!(!rig.layout.output_of(attempt).with_extension("out").exists());
    }
    assert_eq!(rig.status().unwrap().running, 0);
}

#[test]
fn an_environment_gives_its_variables_and_programs_or_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let tool = home.path().join("bin/tool");
    std::fs::create_dir_all(tool.parent().unwrap()).unwrap();
    std::fs::write(&tool, "#!/bin/sh\necho \"$TOOL_HOME|$A|$B\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&tool, mode).unwrap();
    let root = home.path().display();
    let mut rig = Rig::with(&format!(
        "[environments.tools]\nvars = {{ TOOL_HOME = \"{root}\", A = \"host\", B = \"host\" }}\n\
         [environments.gone]\nvars = {{ JAVA_HOME = \"{root}/gone\" }}\n"
    ));
    let within = |rig: &mut Rig, name: &str| {
        let mut start = rig.plan(&["tool"]);
        start.work.environment = Some(name.into());
        start.work.env.insert("B".into(), "job".into());
        rig.begin(start)
    };
    let fine = within(&mut rig, "tools");
    assert_eq!(rig.end(fine), State::Ended(Exit::Code(0)));
    assert_eq!(rig.out(fine), format!("{root}|host|job\n"));
    for (name, words) in [
        ("gone", "environment \"gone\": JAVA_HOME: "),
        ("none", "this host has no environment \"none\""),
    ] {
        let attempt = within(&mut rig, name);
        let State::Refused(Refusal::CannotStart(told)) = rig.end(attempt) else {
            panic!("{:?}", rig.known[&attempt])
        };
        assert!(told.starts_with(words), "{told}");
    }
}

#[test]
fn a_low_disk_refuses_starts() {
    let mut rig = Rig::with("[output]\ndisk_low_bytes = 9000000000000000000\n");
    let attempt = rig.run(&["true"]);
    assert_eq!(rig.end(attempt), State::Refused(Refusal::DiskLow));
    assert!(!rig.layout.output_of(attempt).with_extension("out").exists());
}

#[test]
fn time_is_up() {
    let mut rig = Rig::start();
    let mut start = rig.plan(&["sleep", "1000"]);
    start.timeout_ms = Some(300);
    let begun = rig.now_ms();
    let attempt = rig.begin(start);
    assert_eq!(rig.end(attempt), State::Ended(Exit::TimedOut));
    let took = rig.now_ms() - begun;
    assert!((300..5_000).contains(&took), "{took} ms");
}

#[test]
fn the_same_start_again_starts_nothing() {
    let mut rig = Rig::start();
    let file = rig.path("ran");
    let start = rig.plan(&["sh", "-c", "echo ran >> \"$0\"", &file.display().to_string()]);
    for _ in 0..3 {
        rig.begin(start.clone());
    }
    assert_eq!(rig.end(start.attempt), State::Ended(Exit::Code(0)));
    rig.begin(start);
    rig.watch(100);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "ran\n");
}

#[test]
fn other_clusters_and_older_leaders_are_refused() {
    let mut rig = Rig::start();
    rig.watch(0);
    rig.leader = Reigning { epoch: 3, holder: 33 };
    rig.watch(0);
    let newest = rig.leader;
    for other in [Reigning { epoch: 2, holder: 22 }, Reigning { epoch: 3, holder: 34 }] {
        rig.leader = other;
        assert_eq!(rig.try_order(Vec::new()).unwrap(), Err(Refused::Reign(newest)));
    }
}
