//! A supervisor that becomes a newer program: same process, same children, same life.

use crate::rig::{Rig, alive, program};
use crate::site::{Site, kill};
use executor::process::table;
use executor::supervise::talk::{self, Ask, Told};
use nix::sys::signal::Signal;
use shared::ids::*;
use shared::wire::*;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file a process runs.
fn program_of(pid: i32) -> Option<u64> {
    std::fs::metadata(format!("/proc/{pid}/exe")).ok().map(|found| found.ino())
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

#[test]
fn two_upgrades_under_200_jobs_and_the_agent_killed_cost_nothing() {
    let mut site = Site::installed();
    let long = site.gated(200);
    let said = |rig: &Rig, attempt: &AttemptId| {
        let file = rig.layout.output_of(*attempt).with_extension("out");
        file.metadata().is_ok_and(|found| found.len() > 0)
    };
    site.rig.until("all jobs", |rig| long.iter().all(|attempt| said(rig, attempt)));
    assert!(site.watch(0));
    let incarnation = site.answer.unwrap().incarnation;
    let supervisor = site.holder("supervisor").unwrap();
    let start = table::look(supervisor).unwrap().start;
    let ran = site.rig.path("ran").display().to_string();
    let mut short = Vec::new();
    for round in 0..2 {
        site.rig.install();
        let installed = inode(&site.rig.program);
        // Some of them end while the program changes, whenever that is.
        let script = "echo $1 >> \"$0\"; sleep 0.$2; echo done; exit $3";
        let mut orders = Vec::new();
        for number in 0..60 {
            let words = [round * 100 + number, number * 5, number].map(|n| n.to_string());
            let argv = ["sh", "-c", script, &ran, &words[0], &words[1], &words[2]];
            let mut start = site.rig.plan(&argv);
            start.attempt.job = JobId(2);
            start.basis = site.answer.unwrap();
            short.push((start.attempt, number));
            orders.push(Order::Start(Box::new(start)));
        }
        site.order(orders);
        kill(supervisor, Signal::SIGHUP);
        let agent = site.holder("agent").unwrap();
        kill(agent, Signal::SIGKILL);
        site.rig.until("the new programs", |rig| {
            let agent = rig.layout.holder("agent").and_then(program_of);
            program_of(supervisor) == Some(installed) && agent == Some(installed)
        });
        site.connect();
    }
    std::fs::write(site.rig.path("gate"), "").unwrap();
    let until = site.rig.now_ms() + crate::rig::wait_ms();
    let all = long.len() + short.len();
    while site.known.len() < all || site.known.values().any(|r| r.state == State::Running) {
        assert!(site.rig.now_ms() < until, "{}", site.log());
        assert!(site.watch(500), "{}", site.log());
    }
    assert_eq!(site.holder("supervisor"), Some(supervisor));
    assert_eq!(table::look(supervisor).unwrap().start, start);
    assert_eq!(site.answer.unwrap().incarnation, incarnation);
    assert_eq!(site.log().matches("goes on as version").count(), 2, "{}", site.log());
    for (number, attempt) in (0..).zip(&long) {
        let code = number % 100;
        assert_eq!(site.known[attempt].state, State::Ended(Exit::Code(code)));
        assert_eq!(site.rig.out(*attempt), format!("{code}\nend {code}\n"));
    }
    for (attempt, code) in &short {
        assert_eq!(site.known[attempt].state, State::Ended(Exit::Code(*code)));
        assert_eq!(site.rig.out(*attempt), "done\n");
    }
    let mut lines = site.rig.pids("ran");
    assert_eq!(lines.len(), short.len(), "each ran once");
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), short.len(), "and no other twice");
}

/// The new program waits, once it is this process, until a file is there. (Builtins only: another
/// child of this process would reap those of the jobs.)
fn slow_program(rig: &mut Rig) {
    let (inside, go) = (rig.path("inside"), rig.path("go"));
    rig.replace_by_script(&format!(
        "case \"$*\" in *--rehearse*) ;; *) : > {}; while [ ! -e {} ]; do :; done;; esac
        exec {} \"$@\"",
        inside.display(),
        go.display(),
        env!("CARGO_BIN_EXE_hcndc-executor")
    ));
}

#[test]
fn who_ends_or_asks_while_the_program_changes_is_not_lost() {
    let mut rig = Rig::without_process("");
    rig.install();
    rig.launch(&[]);
    let (gate, pids) = (rig.path("gate").display().to_string(), rig.path("pids"));
    let script = "echo $$ >> $1; while [ ! -e $0 ]; do sleep 0.05; done; echo end; exit $2";
    let attempts: Vec<_> = (0..30)
        .map(|code: i32| {
            let pids = pids.display().to_string();
            rig.run(&["sh", "-c", script, &gate, &pids, &code.to_string()])
        })
        .collect();
    // One that leaves something behind.
    let left = rig.path("left").display().to_string();
    let script = "setsid -f sh -c 'echo $$ >> $0; exec sleep 1000' $1; echo $$ >> $2
        while [ ! -e $0 ] || [ ! -s $1 ]; do sleep 0.05; done";
    let leaves = rig.run(&["sh", "-c", script, &gate, &left, &pids.display().to_string()]);
    rig.until("all jobs", |rig| rig.pids("pids").len() == 31 && rig.pids("left").len() == 1);
    rig.watch(0);
    slow_program(&mut rig);
    kill(rig.pid(), Signal::SIGHUP);
    let inside = rig.path("inside");
    rig.until("the moment between two programs", |_| inside.exists());
    // All end now, and somebody asks.
    std::fs::write(rig.path("gate"), "").unwrap();
    let zombie = |pid: &i32| table::look(*pid).is_some_and(|process| process.zombie);
    rig.until("their ends", |rig| rig.pids("pids").iter().all(zombie));
    let socket = rig.layout.socket();
    let asked = std::thread::spawn(move || talk::call(&socket, Ask::Status));
    std::fs::write(rig.path("go"), "").unwrap();
    let Ok(Told::Status(status)) = asked.join().unwrap() else { panic!("{}", rig.log()) };
    assert_eq!(status.pid, rig.pid().cast_unsigned());
    for (code, attempt) in (0..).zip(attempts) {
        assert_eq!(rig.end(attempt), State::Ended(Exit::Code(code)), "{}", rig.log());
        assert_eq!(rig.out(attempt), "end\n");
    }
    assert_eq!(rig.end(leaves), State::Ended(Exit::Code(0)));
    assert!(!alive(rig.pids("left")[0]), "{}", rig.log());
    assert!(rig.log().contains("goes on as version"));
}

#[test]
fn a_question_that_is_held_is_answered_by_the_next_program() {
    let mut rig = Rig::start();
    let gate = rig.path("gate").display().to_string();
    let attempt = rig.run(&["sh", "-c", "while [ ! -e $0 ]; do sleep 0.05; done", &gate]);
    rig.watch(0);
    let call = Call { cluster: "test".into(), leader: rig.leader };
    let call = WatchCall { call, after: rig.answer, stored: rig.answer, hold_ms: 3_000 };
    let socket = rig.layout.socket();
    let held = std::thread::spawn(move || talk::call(&socket, Ask::Watch(call)));
    let before = rig.status().unwrap();
    let after = rig.upgrade().unwrap();
    assert_eq!((after.incarnation, after.since_ms), (before.incarnation, before.since_ms));
    std::fs::write(&gate, "").unwrap();
    let told = held.join().unwrap();
    let Ok(Told::Watch(Ok(answer))) = told else { panic!("{told:?}\n{}", rig.log()) };
    assert!(answer.listed.iter().all(|report| report.attempt == attempt), "{answer:?}");
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(0)));
}

#[test]
fn what_is_under_way_goes_on_under_the_next_program() {
    let mut rig = Rig::start();
    let stubborn = rig.sh("trap '' TERM; while :; do sleep 0.1; done");
    let mut timed = rig.plan(&["sleep", "1000"]);
    timed.timeout_ms = Some(1_500);
    let timed = rig.begin(timed);
    let gate = rig.path("gate").display().to_string();
    let script = "printf HEAD; head -c 3000000 /dev/zero | tr '\\0' x; echo half >&2
        while [ ! -e $0 ]; do sleep 0.05; done; head -c 3000000 /dev/zero | tr '\\0' y; printf TAIL";
    let mut loud = rig.plan(&["sh", "-c", script, &gate]);
    loud.work.output_max = Some(1_000_000);
    let loud = rig.begin(loud);
    let hole = rig.layout.output_of(loud).with_extension("hole");
    rig.until("the first cut", |_| hole.exists());
    rig.until("the first half", |rig| rig.part(loud, Stream::Err, 0).len > 0);
    rig.stop(stubborn, 400);
    rig.upgrade().unwrap();
    rig.upgrade().unwrap();
    std::fs::write(&gate, "").unwrap();
    assert_eq!(rig.end(stubborn), State::Ended(Exit::Killed));
    assert_eq!(rig.end(timed), State::Ended(Exit::TimedOut));
    assert_eq!(rig.end(loud), State::Ended(Exit::Code(0)));
    assert_eq!(rig.known[&loud].out_bytes, 6_000_008);
    let part = rig.part(loud, Stream::Out, 0);
    let (from, until) = part.hole.unwrap();
    assert!(from <= 500_000 && part.len - until < 700_000, "{from} {until}");
    let kept = rig.read(loud, Stream::Out);
    assert!(kept.starts_with(b"HEADxxx") && kept.ends_with(b"yyyTAIL") && !kept.contains(&0));
    let tail = rig.part(loud, Stream::Out, part.len - 4);
    assert_eq!(tail.marks.last().map(|mark| mark.out_len), Some(part.len), "times are kept on");
    // A wish to end is kept too.
    let last = rig.sh("sleep 0.5; exit 5");
    rig.watch(0);
    kill(rig.pid(), Signal::SIGTERM);
    rig.until("its wish to end", |rig| rig.log().contains("their end is waited for"));
    rig.upgrade().unwrap();
    assert!(rig.process.take().unwrap().wait().unwrap().success());
    rig.launch(&[]);
    rig.watch(0);
    assert_eq!(rig.state(last), Some(&State::Ended(Exit::Code(5))));
}

#[test]
fn a_program_that_cannot_take_over_changes_nothing() {
    let mut rig = Rig::without_process("");
    rig.install();
    rig.launch(&[]);
    let before = rig.status().unwrap();
    let gate = rig.path("gate").display().to_string();
    let attempt = rig.run(&["sh", "-c", "while [ ! -e $0 ]; do sleep 0.05; done; exit 3", &gate]);
    let refused = |rig: &Rig, words: &str| {
        let why = rig.upgrade().unwrap_err();
        assert!(why.contains(words), "{words}: {why}");
        assert!(rig.log().contains("no upgrade, this program goes on"));
        let status = rig.status().unwrap();
        assert_eq!((status.pid, status.incarnation), (before.pid, before.incarnation));
    };
    std::fs::remove_file(&rig.program).unwrap();
    refused(&rig, "No such file");
    rig.replace(|path| std::fs::write(path, "no program").unwrap());
    refused(&rig, "Permission denied");
    let whole = std::fs::read(env!("CARGO_BIN_EXE_hcndc-executor")).unwrap();
    rig.replace(|path| {
        std::fs::copy(env!("CARGO_BIN_EXE_hcndc-executor"), path).unwrap();
        std::fs::write(path, &whole[..whole.len() / 3]).unwrap();
    });
    refused(&rig, "hcndc-executor");
    rig.replace_by_script("echo 'error: unexpected argument --resume found' >&2; exit 2");
    refused(&rig, "unexpected argument");
    rig.replace_by_script("while :; do :; done");
    refused(&rig, "has said nothing");
    rig.replace_by_script("rm \"$0\"");
    refused(&rig, "does not start");
    rig.install();
    rig.config = "[jobs]\numask = \"9\"\n".into();
    rig.args();
    refused(&rig, "jobs.umask");
    // By hand, with the reason; and by signal, whose reason is in the log.
    let by_hand = |rig: &Rig| {
        let mut command = program(&rig.program);
        let args = rig.args();
        let done = command.arg("upgrade").args(args).output().unwrap();
        let text = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(text).unwrap())
    };
    rig.replace_by_script("exec false");
    rig.config = String::new();
    let original = std::mem::replace(&mut rig.program, env!("CARGO_BIN_EXE_hcndc-executor").into());
    let (done, words) = by_hand(&rig);
    assert!(!done && words.contains("the supervisor goes on as it was"), "{words}");
    rig.program = original;
    let count = |rig: &Rig| rig.log().matches("no upgrade").count();
    let told = count(&rig);
    kill(rig.pid(), Signal::SIGHUP);
    rig.until("the refusal", |rig| count(rig) > told);
    rig.install();
    let (done, words) = by_hand(&rig);
    assert!(done && words.contains("1 attempts go on") && words.contains("agent"), "{words}");
    assert_eq!(program_of(rig.pid()), Some(inode(&rig.program)));
    std::fs::write(&gate, "").unwrap();
    assert_eq!(rig.end(attempt), State::Ended(Exit::Code(3)));
}

#[test]
fn crash_during_re_execution() {
    let mut rig = Rig::without_process("");
    let proof = rig.path("proof");
    let env = [
        ("HCNDC_CRASH_AT", "during-re-execution".as_ref()),
        ("HCNDC_CRASH_PROOF", proof.as_os_str()),
    ];
    rig.launch(&env);
    let pids = rig.path("pids").display().to_string();
    let before = rig.sh("exit 4");
    rig.end(before);
    let attempts: Vec<_> =
        (0..10).map(|_| rig.run(&["sh", "-c", "echo $$ >> $0; exec sleep 1000", &pids])).collect();
    rig.until("all jobs", |rig| rig.pids("pids").len() == 10);
    let first = rig.status().unwrap().incarnation;
    kill(rig.pid(), Signal::SIGHUP);
    let status = rig.process.take().unwrap().wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!(std::fs::read_to_string(&proof).unwrap(), "during-re-execution");
    // As any death of a supervisor: a new life ends what is left, and says that it does not know.
    rig.launch(&env);
    assert!(!rig.pids("pids").iter().any(|pid| alive(*pid)));
    assert_ne!(rig.status().unwrap().incarnation, first);
    rig.watch(0);
    assert!(attempts.iter().all(|attempt| rig.state(*attempt) == Some(&State::Unknown)));
    assert_eq!(rig.state(before), Some(&State::Ended(Exit::Code(4))));
    let second = rig.status().unwrap().incarnation;
    assert_eq!(rig.upgrade().unwrap().incarnation, second, "and the next upgrade succeeds");
}
