//! A host's services: kept running, started again, ended whole, and told of.

use crate::rig::{Rig, alive, program};
use executor::services::told;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::wire::Service;
use std::io::Write;
use std::path::{Path, PathBuf};
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

/// A file system of its own in memory, while it lives.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn at(path: &Path, size: &str) -> SmallDisk {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={size}");
        let path = path.display().to_string();
        let mount =
            program(Path::new("mount")).args(["-t", "tmpfs", "-o", &size, "tmpfs", &path]).status();
        assert!(mount.unwrap().success(), "a small disk cannot be mounted: these tests need root");
        SmallDisk(path.into())
    }

    /// But for that many bytes.
    pub(crate) fn fill(&self, left: u64) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for chunk in [&[0; 4_096][..], &[0; 1][..]] {
            while file.write_all(chunk).is_ok() {}
        }
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(left)).unwrap();
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the programs on it are only now told to end.
        let _ = program(Path::new("umount")).arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_services_go_on_and_what_cannot_is_told() {
    let script = "echo $$ >> $AT/pids; while :; do printf %5000d 1 || echo lost >> $AT/lost; sleep 0.1; done";
    let rig = rig(script);
    let disk = SmallDisk::at(&rig.layout.root.join("services"), "256k");
    let mut keeper = Keeper(rig.spawn("services", &[]));
    rig.until("the first start", |rig| rig.pids("pids").len() == 1 && told(rig, "one").runs);
    disk.fill(0);
    rig.until("lines that are lost", |rig| rig.path("lost").exists());
    let first = rig.pids("pids")[0];
    assert!(alive(first) && told(&rig, "one").runs, "it goes on");
    // What happens now is told all the same.
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    rig.until("the second start", |rig| rig.pids("pids").len() == 2);
    rig.until("what is told", |rig| told(rig, "one").restarts == 1 && told(rig, "one").runs);
    let words = told(&rig, "one").words;
    assert!(words.contains("the disk of") && words.contains("is full"), "{words}");
    disk.free();
    let log = rig.layout.root.join("services/one.log");
    let length = || log.metadata().map_or(0, |found| found.len());
    let before = length();
    rig.until("lines again", |_| length() > before);
    keeper.end();
    assert!(!told(&rig, "one").runs);
}

#[test]
fn what_a_script_has_started_has_the_grace_too() {
    let rig = rig(
        "sh -c \"trap 'sleep 0.3; touch $AT/clean; exit 0' TERM; echo \\$\\$ >> $AT/pids; while :; do sleep 0.1; done\"; exit 0",
    );
    let mut keeper = Keeper(rig.spawn("services", &[]));
    rig.until("the start", |rig| rig.pids("pids").len() == 1);
    keeper.end();
    assert!(
        rig.path("clean").exists(),
        "its script ends at once, and what it has started a little later"
    );
    assert!(!alive(rig.pids("pids")[0]));
}
