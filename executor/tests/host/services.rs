//! A host's services: kept running, started again, ended whole, and told of.

use crate::rig::{Rig, alive};
use executor::services::told;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::wire::Service;
use std::process::Child;

/// Ends what it keeps, whatever the test comes to.
struct Keeper(Child);

impl Keeper {
    fn end(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

fn told(rig: &Rig, name: &str) -> Service {
    told::read(&rig.layout.root, &[name.to_owned()]).remove(name).unwrap()
}

fn rig(script: &str) -> Rig {
    let mut rig = Rig::without_process("");
    rig.config = format!(
        "[environments.tools]\nvars = {{ COLOUR = \"blue\" }}\n\
         [services.one]\nargv = [\"sh\", \"-c\", '''{}''']\nenvironment = \"tools\"\n\
         vars = {{ AT = \"{}\" }}\ngrace_s = 1\nmemory_mib = 64\n\
         [services.none]\nargv = [\"no-such-program\"]\n",
        script,
        rig.path("").display(),
    );
    rig
}

#[test]
fn what_ends_is_started_again_and_nothing_of_it_is_left() {
    let rig =
        rig("echo $COLOUR $(ulimit -d) > $AT/seen; sleep 1000 & echo $$ $! >> $AT/pids; wait");
    assert!(told(&rig, "one").words.contains("nobody keeps it"));
    let mut keeper = Keeper(rig.spawn("services", &[]));
    rig.until("the first start", |rig| rig.pids("pids").len() == 2);
    rig.until("what is told", |rig| told(rig, "one").runs);
    assert_eq!(std::fs::read_to_string(rig.path("seen")).unwrap().trim(), "blue 65536");
    rig.until("the one that cannot be started", |rig| told(rig, "none").restarts > 0);
    let none = told(&rig, "none");
    assert!(!none.runs && none.words.contains("no program \"no-such-program\""), "{none:?}");
    // Its first process is killed: so is what it has started, and both come again.
    let first = rig.pids("pids");
    kill(Pid::from_raw(first[0]), Signal::SIGKILL).unwrap();
    rig.until("the second start", |rig| rig.pids("pids").len() == 4);
    assert!(!first.iter().any(|pid| alive(*pid)), "nothing of it is left");
    rig.until("what is told", |rig| told(rig, "one").restarts == 1 && told(rig, "one").runs);
    assert!(told(&rig, "one").words.contains("signal 9"), "{:?}", told(&rig, "one"));
    // A second one may not keep them too.
    let mut second = rig.spawn("services", &[]);
    assert!(!second.wait().unwrap().success());
    keeper.end();
    let second = rig.pids("pids").split_off(2);
    assert!(!second.iter().any(|pid| alive(*pid)), "it has ended them");
    assert!(!told(&rig, "one").runs);
}

#[test]
fn who_ignores_the_wish_is_killed_and_what_a_killed_keeper_has_left_is_ended_first() {
    let rig = rig("trap '' TERM; echo $$ >> $AT/pids; while :; do sleep 1; done");
    let mut keeper = Keeper(rig.spawn("services", &[]));
    rig.until("the first start", |rig| rig.pids("pids").len() == 1);
    keeper.0.kill().unwrap();
    keeper.0.wait().unwrap();
    let first = rig.pids("pids")[0];
    assert!(alive(first), "it goes on without its keeper");
    let mut keeper = Keeper(rig.spawn("services", &[]));
    rig.until("the second start", |rig| rig.pids("pids").len() == 2);
    assert!(!alive(first), "never two of a service");
    let second = rig.pids("pids")[1];
    keeper.end();
    assert!(!alive(second), "killed after its grace");
}
