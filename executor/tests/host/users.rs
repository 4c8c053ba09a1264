//! Jobs as other users of the host, and what they cannot reach: the executor, and each other.

use crate::rig::Rig;
use shared::clock::Clock;
use shared::ids::AttemptId;
use shared::pki::Authority;
use shared::tls::Role;
use shared::wire::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Two users that every Linux has, and that are nobody's.
const USERS: &str = "[jobs]\nusers = [\"nobody\", \"daemon\"]\n";

/// With a directory that those users may walk through.
fn rig(config: &str) -> Rig {
    assert!(
        nix::unistd::geteuid().is_root(),
        "only root can become another user: run these tests as root \
         (sudo -E env \"PATH=$PATH\" cargo test -p executor --test host)"
    );
    let mut rig = Rig::without_process(config);
    std::fs::set_permissions(rig.dir.path(), PermissionsExt::from_mode(0o711)).unwrap();
    rig.launch(&[]);
    rig
}

fn as_user(rig: &mut Rig, user: &str, argv: &[&str]) -> AttemptId {
    let mut start = rig.plan(argv);
    start.work.user = Some(user.into());
    rig.begin(start)
}

fn refusal(rig: &mut Rig, attempt: AttemptId) -> String {
    match rig.end(attempt) {
        State::Refused(Refusal::CannotStart(words)) => words,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_is_that_user_in_every_respect() {
    let mut rig = rig(USERS);
    let script = "id -un; id -gn; id -Gn; echo $HOME $USER $LOGNAME; umask; touch mine
        stat -c '%U %a' . mine; grep -E '^(NoNewPrivs|CapEff|Uid|Gid):' /proc/self/status";
    let attempt = as_user(&mut rig, "daemon", &["sh", "-c", script]);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)), "{}", rig.log());
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let name = std::ffi::CString::new("daemon").unwrap();
    let groups = nix::unistd::getgrouplist(&name, daemon.gid).unwrap();
    let named = |gid: &nix::unistd::Gid| nix::unistd::Group::from_gid(*gid).unwrap().unwrap().name;
    let groups: Vec<String> = groups.iter().map(named).collect();
    let (uid, gid) = (daemon.uid, daemon.gid);
    let expected = format!(
        "daemon\n{}\n{}\n{} daemon daemon\n0022\ndaemon 700\ndaemon 644\n\
         Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\n\
         CapEff:\t0000000000000000\nNoNewPrivs:\t1\n",
        named(&daemon.gid),
        groups.join(" "),
        daemon.dir.display(),
    );
    assert_eq!(rig.out(attempt), expected, "{}", rig.out_of(attempt, Stream::Err));
}

#[test]
fn whom_the_host_does_not_list_it_does_not_become() {
    let mut rig = rig("[jobs]\nusers = [\"daemon\"]\nuser = \"nobody\"\n");
    let unnamed = rig.run(&["id", "-un"]);
    assert_eq!(rig.end(unnamed), State::Ended(Exit::Code(0)));
    assert_eq!(rig.out(unnamed), "nobody\n", "the user of jobs that name none");
    for user in ["root", "nobody-at-all", "", "bin"] {
        let attempt = as_user(&mut rig, user, &["id"]);
        let words = refusal(&mut rig, attempt);
        assert!(words.contains("is not on this host's list (jobs.users"), "{user}: {words}");
    }
    // Where the user may not go, its job does not go either.
    let closed = rig.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let mut start = rig.plan(&["pwd"]);
    start.work.user = Some("daemon".into());
    start.work.dir = closed.display().to_string();
    let attempt = rig.begin(start);
    let words = refusal(&mut rig, attempt);
    assert!(words.contains("Permission denied"), "{words}");
    assert!(!rig.layout.work_of(attempt).exists());
}

/// The pid that a job has written to its output.
fn pid_of(rig: &Rig, attempt: AttemptId) -> i32 {
    let file = rig.layout.output_of(attempt).with_extension("out");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    rig.until("its pid", |_| read().ends_with('\n'));
    read().trim().parse().unwrap()
}

#[test]
fn a_job_reaches_neither_the_executor_nor_other_jobs() {
    let mut rig = rig(USERS);
    let pki = rig.layout.root.join("pki");
    let now = Clock::system().wall_ms();
    let authority = Authority::make("test", now).unwrap().0;
    authority.issue(Role::Host, "host-1", now).unwrap().write(&pki).unwrap();
    // Two other jobs, each with a secret in its environment, its output and its directory.
    let script = "echo secret > mine; echo $$; exec sleep 1000";
    let others: Vec<AttemptId> = [None, Some("daemon")]
        .into_iter()
        .map(|user| {
            let mut start = rig.plan(&["sh", "-c", script]);
            start.work.user = user.map(str::to_owned);
            start.work.env.insert("PASSWORD".into(), "hunter2".into());
            rig.begin(start)
        })
        .collect();
    let pids: Vec<i32> = others.iter().map(|attempt| pid_of(&rig, *attempt)).collect();
    let root = rig.layout.root.clone();
    let mut files = vec![
        pki.join("key.pem"),
        rig.path("executor.toml"),
        root.join("supervisor.lock"),
        root.join("mark"),
        root.join("journal"),
        root.join("journal/00000001.log"),
        root.join("out"),
        root.join("work"),
        std::path::PathBuf::from(format!("/proc/{}/environ", rig.pid())),
        std::path::PathBuf::from(format!("/proc/{}/fd", rig.pid())),
    ];
    for (attempt, pid) in others.iter().zip(&pids) {
        let output = rig.layout.output_of(*attempt);
        files.extend([output.with_extension("out"), output.with_extension("err")]);
        files.extend([rig.layout.work_of(*attempt), rig.layout.work_of(*attempt).join("mine")]);
        files.extend(
            ["environ", "fd", "cwd/mine", "mem"].map(|file| format!("/proc/{pid}/{file}").into()),
        );
    }
    assert!(files.iter().all(|file| std::fs::symlink_metadata(file).is_ok()), "{files:?}");
    // The prober names what it reached; that it can name something is shown by what is its own.
    let probe = "for file in \"$@\"; do
            if [ -d \"$file\" ]; then ls \"$file\" > /dev/null && echo \"listed $file\"
            else head -c 1 \"$file\" > /dev/null && echo \"read $file\"; fi
            [ -w \"$file\" ] && echo \"may write $file\"
        done 2>/dev/null
        for pid in $PIDS; do kill -0 $pid && echo \"may signal $pid\"; done 2>/dev/null
        for pid in $PIDS; do kill -9 $pid && echo \"killed $pid\"; done 2>/dev/null
        ln -s /etc/passwd $ROOT/work/link 2>/dev/null && echo made a link
        echo x > $ROOT/supervisor.sock 2>/dev/null && echo spoke to the supervisor
        touch own; head -c 1 own && head -c 1 /proc/self/environ > /dev/null && echo own environ
        sleep 100 & kill -9 $! && echo own child; true";
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mut argv = vec!["sh", "-c", probe, "probe"];
    argv.extend(files.iter().map(String::as_str));
    let supervisor = rig.pid();
    let mut start = rig.plan(&argv);
    start.work.user = Some("nobody".into());
    let list = [supervisor, pids[0], pids[1]].map(|pid| pid.to_string()).join(" ");
    start.work.env.insert("PIDS".into(), list);
    start.work.env.insert("ROOT".into(), root.display().to_string());
    let prober = rig.begin(start);
    assert_eq!(rig.end(prober), State::Ended(Exit::Code(0)));
    assert_eq!(rig.out(prober), "own environ\nown child\n", "{}", rig.out_of(prober, Stream::Err));
    // The other way round: what runs as the executor's own user is not kept from anything.
    let environ = format!("/proc/{}/environ", pids[1]);
    let own = rig.run(&["cat", &environ]);
    rig.end(own);
    assert!(rig.out(own).contains("PASSWORD=hunter2"));
    // Whoever may connect to it may start programs as root.
    let socket = std::fs::metadata(rig.layout.socket()).unwrap().permissions().mode();
    assert_eq!(socket & 0o777, 0o600);
}

#[test]
fn a_list_that_cannot_be_is_refused_at_the_start() {
    let one_line = |rig: &Rig, words: &str| {
        let mut process = rig.spawn("supervise", &[]);
        assert_eq!(process.wait().unwrap().code(), Some(1));
        assert!(rig.log().contains(words), "{words}: {}", rig.log());
    };
    let rig = Rig::without_process("[jobs]\nusers = [\"nobody-at-all\"]\n");
    one_line(&rig, "jobs.users: there is no user \"nobody-at-all\" on this host: make it");
    let mut rig = rig;
    rig.config = "[jobs]\nuser = \"nobody-at-all\"\n".into();
    one_line(&rig, "jobs.user: there is no user");
    rig.config = USERS.into();
    rig.args();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let config = rig.path("executor.toml");
    open(&config, 0o644);
    let mut process = crate::rig::program(&rig.program);
    let data = rig.layout.root.display().to_string();
    process.args(["supervise", "--cluster", "test", "--data", &data, "--config"]).arg(&config);
    let told = process.output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("is open to all users (mode 644), jobs included: chmod o-rwx"), "{told}");
    // A key that all may read is no key.
    let pki = rig.layout.root.join("pki");
    let now = Clock::system().wall_ms();
    let authority = Authority::make("test", now).unwrap().0;
    authority.issue(Role::Host, "host-1", now).unwrap().write(&pki).unwrap();
    open(&pki.join("key.pem"), 0o644);
    let mut process = rig.spawn("agent", &[]);
    assert_eq!(process.wait().unwrap().code(), Some(1));
    let log = std::fs::read_to_string(rig.path("agent.log")).unwrap();
    assert!(log.contains("key.pem is open to all users (mode 644): chmod 600"), "{log}");
    // Directories that somebody has opened are closed again.
    open(&rig.layout.journal(), 0o755);
    rig.launch(&[]);
    let mode = std::fs::metadata(rig.layout.journal()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
