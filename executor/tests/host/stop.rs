//! A stop takes the whole tree, whatever its processes have done to get away.

use crate::rig::{Rig, alive};
use shared::ids::Millis;
use shared::wire::*;

/// Starts the script, waits until it has written so many pids into the file, stops it, and sees that
/// all of them are gone when that is told.
fn stopped(script: &str, count: usize, grace_ms: Millis) -> Millis {
    stopped_with("", script, count, grace_ms)
}

fn stopped_with(config: &str, script: &str, count: usize, grace_ms: Millis) -> Millis {
    let mut rig = Rig::with(config);
    let file = rig.path("pids");
    let start = rig.plan(&["sh", "-c", script, &file.display().to_string()]);
    let attempt = rig.begin(start);
    rig.until("all pids", |rig| rig.pids("pids").len() >= count);
    let pids = rig.pids("pids");
    assert!(pids.iter().all(|pid| alive(*pid)), "{pids:?}");
    let begun = rig.now_ms();
    rig.stop(attempt, grace_ms);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Killed), "{}", rig.log());
    let left: Vec<i32> = pids.into_iter().filter(|pid| alive(*pid)).collect();
    assert!(left.is_empty(), "{left:?} live on\n{}", rig.log());
    rig.now_ms() - begun
}

#[test]
fn a_plain_child_ends_by_term() {
    let took = stopped("echo $$ >> $0; sleep 1000", 1, 30_000);
    assert!(took < 10_000, "{took} ms");
}

#[test]
fn a_trap_that_ignores_term_ends_by_kill() {
    let script = "trap '' TERM; echo $$ >> $0; while :; do sleep 0.1; done";
    let took = stopped(script, 1, 400);
    assert!(took >= 400, "{took} ms: the grace was not given");
}

#[test]
fn a_stopped_process_hears_term() {
    let took = stopped("echo $$ >> $0; kill -STOP $$; sleep 1000", 1, 30_000);
    assert!(took < 10_000, "{took} ms");
}

#[test]
fn nohup_setsid_and_double_forks_do_not_get_away() {
    stopped(
        "echo $$ >> $0
        nohup sleep 1001 >/dev/null 2>&1 & echo $! >> $0
        (setsid sh -c 'trap \"\" TERM; echo $$ >> $0; sleep 1002' $0 &)
        (sh -c '(sh -c \"echo \\$\\$ >> $0; sleep 1003\" &)' $0 &)
        setsid -f sh -c 'echo $$ >> $0; exec sleep 1004' $0
        sleep 1000",
        5,
        300,
    );
}

#[test]
fn an_empty_environment_in_a_session_of_its_own_does_not_get_away() {
    let script = "echo $$ >> $0
        env -i /usr/bin/setsid -f /bin/sh -c \
            '/usr/bin/setsid -f /bin/sh -c \"echo \\$\\$ >> $0; exec /bin/sleep 1001\"' $0
        sleep 1000";
    stopped(script, 2, 300);
}

#[test]
fn the_same_in_a_cgroup() {
    let Some(base) = cgroup_base() else { return };
    let config = format!("[jobs]\ncgroup = \"{}\"\n", base.display());
    let script = "echo $$ >> $0; cat /proc/self/cgroup > $0.cgroup
        env -i setsid -f sh -c 'echo $$ >> $0; trap \"\" TERM; sleep 1001' $0; sleep 1000";
    stopped_with(&config, script, 2, 200);
    let left = std::fs::read_dir(&base).unwrap().flatten();
    let left: Vec<_> = left.filter(|entry| entry.path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
    std::fs::remove_dir(&base).unwrap();
}

/// A directory of our own in a cgroup v2 tree, if this machine has one that we may write.
fn cgroup_base() -> Option<std::path::PathBuf> {
    let name = format!("hcndc-test-{}", std::process::id());
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    places.iter().map(|place| std::path::Path::new(place).join(&name)).find(|path| {
        std::fs::create_dir(path).is_ok() && {
            let usable = path.join("cgroup.kill").exists();
            if !usable {
                let _ = std::fs::remove_dir(path);
            }
            usable
        }
    })
}

#[test]
fn a_jvm_that_does_not_want_to_end() {
    if !["/usr/bin/javac", "/usr/bin/java"].iter().all(|path| std::path::Path::new(path).exists()) {
        return; // no JDK on this machine
    }
    let mut rig = Rig::start();
    let source = rig.path("Stubborn.java");
    std::fs::write(
        &source,
        "public class Stubborn { public static void main(String[] a) throws Exception {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                System.out.println(\"hook\"); try { Thread.sleep(100000); } catch (Exception e) {} }));
            Process child = new ProcessBuilder(\"sleep\", \"1000\").start();
            System.out.println(ProcessHandle.current().pid() + \" \" + child.pid());
            System.out.flush(); Thread.sleep(100000); } }",
    )
    .unwrap();
    let attempt = rig.run(&["java", "-Xmx64m", &source.display().to_string()]);
    rig.until("the JVM", |rig| {
        let out = output_of(rig, attempt);
        out.ends_with('\n')
    });
    let out = output_of(&rig, attempt);
    let pids: Vec<i32> = out.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| alive(*pid)), "{out}");
    rig.stop(attempt, 1_000);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Killed));
    assert!(!pids.iter().any(|pid| alive(*pid)));
    assert!(rig.out(attempt).contains("hook"), "it was told before it was killed");
}

fn output_of(rig: &Rig, attempt: shared::ids::AttemptId) -> String {
    let file = rig.layout.output_of(attempt).with_extension("out");
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn many_are_stopped_at_once() {
    let mut rig = Rig::start();
    let attempts: Vec<_> = (0..100).map(|_| rig.sh("sleep 1000 & sleep 1000")).collect();
    rig.until("all of them", |rig| rig.status().is_some_and(|status| status.running == 100));
    let incarnation = rig.answer.unwrap().incarnation;
    let kill = |attempt: &_| Order::Kill { attempt: *attempt, incarnation, grace_ms: 2_000 };
    rig.order(attempts.iter().map(kill).collect());
    assert!(rig.ends(&attempts).iter().all(|state| *state == State::Ended(Exit::Killed)));
    assert_eq!(rig.status().unwrap().running, 0);
}

#[test]
fn what_a_job_leaves_behind_is_ended_before_its_end_is_told() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3)] {
        let mut rig = Rig::start();
        let file = rig.path("pids");
        let script =
            format!("setsid -f sh -c 'echo $$ >> $0; exec sleep 1000' $0; sleep 0.3; {script}");
        let attempt = rig.run(&["sh", "-c", &script, &file.display().to_string()]);
        assert_eq!(rig.end(attempt), State::Ended(Exit::Code(code)));
        let pids = rig.pids("pids");
        assert!(pids.len() == 1 && !alive(pids[0]), "{pids:?}");
    }
}

#[test]
fn what_a_successful_job_leaves_behind_stays_if_the_host_says_so() {
    let mut rig = Rig::with("[jobs]\nend_leftovers = false\n");
    let file = rig.path("pids");
    let script = "setsid -f sh -c 'echo $$ >> $0; exec sleep 5' $0; sleep 0.3";
    let attempt = rig.run(&["sh", "-c", script, &file.display().to_string()]);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)));
    let pids = rig.pids("pids");
    assert!(pids.len() == 1 && alive(pids[0]), "{pids:?}");
}

#[test]
fn a_stop_of_what_never_came_leaves_a_tombstone() {
    let mut rig = Rig::start();
    let file = rig.path("ran");
    let start = rig.plan(&["touch", &file.display().to_string()]);
    rig.stop(start.attempt, 0);
    let attempt = rig.begin(start);
    assert_eq!(rig.end(attempt), State::Ended(Exit::Killed));
    assert!(!file.exists());
}
