//! What a job may use: limits of its own and of its host, and what is told when memory ends it.

use crate::rig::Rig;
use shared::ids::AttemptId;
use shared::wire::*;

fn limited(rig: &mut Rig, limits: Limits, script: &str) -> AttemptId {
    let mut start = rig.plan(&["sh", "-c", script]);
    start.work.limits = limits;
    rig.begin(start)
}

/// Holds that many bytes in memory, and fails if it may not.
fn holds(bytes: u64) -> String {
    format!("head -c {bytes} /dev/zero | tail -c {bytes} > /dev/null")
}

#[test]
fn a_job_gets_what_it_asks_for_and_else_what_the_host_gives() {
    let config = "[limits]\nmemory_mib = 100\nopen_files = 333\nfile_mib = 2\ncore_mib = 3\n";
    let mut rig = Rig::with(config);
    let own = Limits { memory_mib: Some(1_000), open_files: Some(44), processes: None };
    let shown = "ulimit -n; ulimit -d; ulimit -c; ulimit -f";
    let asked = limited(&mut rig, own, shown);
    let given = limited(&mut rig, Limits::default(), shown);
    let large = holds(300_000_000);
    let enough = limited(&mut rig, own, &large);
    let little = limited(&mut rig, Limits::default(), &large);
    let file = limited(&mut rig, own, "head -c 3000000 /dev/zero > file; echo $?");
    let ends = rig.ends(&[asked, given, enough, little, file]);
    let code = |code| State::Ended(Exit::Code(code));
    assert_eq!(ends, [code(0), code(0), code(0), code(1), code(0)], "{}", rig.log());
    // In KiB, and blocks of 512 bytes.
    assert_eq!(rig.out(asked), format!("44\n{}\n{}\n{}\n", 1_000 * 1024, 3 * 2048, 2 * 2048));
    assert_eq!(rig.out(given), format!("333\n{}\n{}\n{}\n", 100 * 1024, 3 * 2048, 2 * 2048));
    assert!(rig.out_of(little, Stream::Err).contains("memory exhausted"));
    assert_ne!(rig.out(file), "0\n");
}

#[test]
fn processor_time_ends_with_the_signal_that_names_it() {
    let mut rig = Rig::with("[limits]\ncpu_s = 1\n");
    let busy = limited(&mut rig, Limits::default(), "while :; do :; done");
    assert_eq!(rig.end(busy), State::Ended(Exit::Signal(libc_signal::XCPU)));
}

mod libc_signal {
    pub(super) const XCPU: i32 = nix::sys::signal::Signal::SIGXCPU as i32;
    pub(super) const KILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;
}

#[test]
fn a_job_cannot_have_more_processes_than_it_may() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "only root can become another user: run these tests as root \
         (sudo -E env \"PATH=$PATH\" cargo test -p executor --test host)"
    );
    // A user of this test alone: all its processes count.
    let mut rig = Rig::with("[jobs]\nusers = [\"games\"]\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(rig.dir.path(), mode).unwrap();
    let five = Limits { processes: Some(5), ..Limits::default() };
    let script = "for n in 1 2 3 4 5 6 7 8 9; do sleep 3 & done; echo all nine";
    let run = |rig: &mut Rig, limits, user: Option<&str>| {
        let mut start = rig.plan(&["sh", "-c", script]);
        start.work.limits = limits;
        start.work.user = user.map(str::to_owned);
        rig.begin(start)
    };
    let held = run(&mut rig, five, Some("games"));
    assert!(matches!(rig.end(held), State::Ended(Exit::Code(1..))), "{:?}", rig.known[&held]);
    assert_eq!(rig.out(held), "");
    assert!(rig.out_of(held, Stream::Err).contains("fork"), "it was told so");
    let free = run(&mut rig, Limits::default(), Some("games"));
    assert_eq!(rig.end(free), State::Ended(Exit::Code(0)));
    assert_eq!(rig.out(free), "all nine\n");
    if rig.log().contains("cgroup") {
        return; // a group holds root too
    }
    let root = run(&mut rig, five, None);
    let State::Refused(Refusal::CannotStart(words)) = rig.end(root) else {
        panic!("{:?}", rig.known[&root])
    };
    assert!(words.contains("a limit of processes does not hold root"), "{words}");
}

/// A memory group of the machine's own (v1 here), 40 MiB large: what is in it the kernel kills as
/// where a machine has no memory left.
fn small_memory(rig: &Rig) -> Option<std::path::PathBuf> {
    let group = format!("/sys/fs/cgroup/memory/hcndc-test-{}", std::process::id());
    let group = std::path::PathBuf::from(group);
    std::fs::create_dir(&group).ok()?;
    // It must not swap instead.
    let _ = std::fs::write(group.join("memory.swappiness"), "0");
    let limit = group.join("memory.limit_in_bytes");
    match std::fs::write(&limit, (40 << 20).to_string()) {
        Ok(()) => Some(group),
        Err(error) => {
            println!("{}: {error}\n{}", limit.display(), rig.log());
            std::fs::remove_dir(&group).unwrap();
            None
        }
    }
}

#[test]
fn a_kill_for_memory_is_told_as_that_and_another_kill_is_not() {
    let mut rig = Rig::start();
    let by_hand = rig.sh("kill -9 $$");
    assert_eq!(rig.end(by_hand), State::Ended(Exit::Signal(libc_signal::KILL)));
    let Some(group) = small_memory(&rig) else {
        println!("no memory group of cgroup v1 can be made here: not shown on this machine");
        return;
    };
    let script = "echo $$ > $0/cgroup.procs; mkfifo pipe
        head -c 400000000 /dev/zero > pipe & exec tail -c 400000000 pipe";
    let attempt = rig.run(&["sh", "-c", script, &group.display().to_string()]);
    assert_eq!(rig.end(attempt), State::Ended(Exit::HostOutOfMemory), "{}", rig.log());
    rig.until("an empty group", |_| std::fs::remove_dir(&group).is_ok());
}
