//! Class-data archives for cold starts of Hop: who has them made, and who takes them. The script is a stand-in for Hop's
//! own: it writes an archive when it is told to, and else says what it was given.

use crate::rig::alive;
use crate::site::{Site, kill};
use nix::sys::signal::Signal;
use serde_json::json;
use shared::ids::*;
use shared::wire::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

/// As Hop's begins; what it does as an archive is made stands in the file `make`.
const SCRIPT: &str = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
if [ -z \"$HOP_OPTIONS\" ]; then
  HOP_OPTIONS=\"-Xmx3g\"
fi
part=$(echo \"$HOP_OPTIONS\" | sed -n 's/.*-XX:ArchiveClasses.tExit=\\([^ ]*\\).*/\\1/p')
if [ -n \"$part\" ]; then echo \"$(id -un) $(nice) $HOP_CONFIG_FOLDER $JAVA_TOOL_OPTIONS.\" >> made; . ./make; exit; fi
echo \"options: $HOP_OPTIONS\"
";
const MAKES: &str = "head -c 10000 /dev/zero > \"$part\"; mkdir -p \"$HOP_AUDIT_FOLDER\"";

struct Cold {
    site: Site,
    number: u32,
}

impl Cold {
    /// With what the script does as it is to make an archive, and further lines of `executor.toml`.
    fn with(make: &str, lines: &str) -> Cold {
        Cold::of(make, lines, "load_max = 1000.0")
    }

    fn of(make: &str, lines: &str, cold: &str) -> Cold {
        let site = Site::of(|rig| {
            let open = |path: PathBuf, mode| {
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            };
            open(rig.dir.path().to_owned(), 0o711);
            let (hop, jdk) = (rig.path("hop"), rig.path("jdk"));
            std::fs::create_dir_all(hop.join("lib/core")).unwrap();
            std::fs::create_dir_all(jdk.join("bin")).unwrap();
            std::fs::write(jdk.join("bin/java"), "").unwrap();
            std::fs::write(jdk.join("release"), "JAVA_VERSION=\"17.0.15\"\n").unwrap();
            std::fs::write(hop.join("lib/core/hop-core-1.jar"), "1").unwrap();
            std::fs::write(hop.join("hop-run.sh"), SCRIPT).unwrap();
            std::fs::write(hop.join("make"), make).unwrap();
            std::fs::write(hop.join("made"), "").unwrap();
            std::fs::write(rig.path("x.hpl"), "<pipeline/>").unwrap();
            open(hop.join("hop-run.sh"), 0o755);
            open(hop.join("made"), 0o666);
            rig.config = format!(
                "{}[cold]\n{cold}\n[environments.hop]\nvars = {{ HOP_HOME = \"{}\", JAVA_HOME = \"{}\", \
                 JAVA_TOOL_OPTIONS = \"-Dx=y\" }}\n{lines}",
                rig.config,
                hop.display(),
                jdk.display()
            );
        });
        Cold { site, number: 0 }
    }

    fn begin(&mut self, options: &str, user: Option<&str>) -> AttemptId {
        self.number += 1;
        let file = self.site.rig.path("x.hpl").display().to_string();
        let fields = json!({"file": file, "java_options": options});
        let mut start = self.site.rig.plan_kind(("hop", "hop"), fields, Vec::new(), &[]);
        start.attempt.number = self.number;
        start.work.user = user.map(str::to_owned);
        let attempt = start.attempt;
        self.site.order(vec![Order::Start(Box::new(start))]);
        attempt
    }

    /// What its script was given.
    fn run_as(&mut self, options: &str, user: Option<&str>) -> String {
        let attempt = self.begin(options, user);
        let until = self.site.rig.now_ms() + crate::rig::wait_ms();
        let over = |site: &Site| {
            site.known.get(&attempt).is_some_and(|report| report.state != State::Running)
        };
        while !over(&self.site) {
            assert!(self.site.rig.now_ms() < until && self.site.watch(500), "{}", self.site.log());
        }
        let err = self.site.rig.out_of(attempt, Stream::Err);
        assert_eq!(self.site.known[&attempt].state, State::Ended(Exit::Code(0)), "{err}");
        let out = self.site.rig.out(attempt);
        let line = out.lines().find_map(|line| line.strip_prefix("options: "));
        line.unwrap_or_else(|| panic!("{out}\n{err}")).to_owned()
    }

    fn run(&mut self) -> String {
        self.run_as("", None)
    }

    fn made(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.site.rig.path("hop/made")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn archives(&self, uid: u32) -> Vec<PathBuf> {
        let dir = self.site.rig.layout.root.join("cold").join(uid.to_string());
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    fn until_log_says(&self, words: &str) {
        let until = self.site.rig.now_ms() + crate::rig::wait_ms();
        while !self.site.log().contains(words) {
            assert!(self.site.rig.now_ms() < until, "{words}: {}", self.site.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn own() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[test]
fn an_archive_is_made_once_and_again_when_what_it_fits_has_changed() {
    let mut cold = Cold::with(MAKES, "");
    assert_eq!(cold.run(), "-Xmx3g", "the first run makes none, and waits for none");
    cold.until_log_says("is made, 0 MiB");
    let made = cold.made();
    let [how] = &made[..] else { panic!("{made:?}") };
    assert!(how.contains(" 19 ") && how.ends_with("cold/hop/config ."), "{how}");
    let archives = cold.archives(own());
    let [first] = &archives[..] else { panic!("{archives:?}") };
    let name = first.display();
    let with = format!(
        "-Xmx3g -Xshare:auto -XX:SharedArchiveFile={name} -XX:+VerifySharedSpaces -Xlog:cds*=off"
    );
    assert_eq!(cold.run(), with);
    // The options of a job come first; what it says about class data is all that is said.
    assert_eq!(cold.run_as("-Xmx1g", None), with.replace("-Xmx3g", "-Xmx1g"));
    assert_eq!(cold.run_as("-Xmx1g -Xshare:off", None), "-Xmx1g -Xshare:off");
    // One that is cut off is none, one that nobody can read is none.
    let whole = std::fs::read(first).unwrap();
    std::fs::write(first, &whole[..5_000]).unwrap();
    assert_eq!(cold.run(), "-Xmx3g");
    std::fs::write(first, &whole).unwrap();
    assert_eq!(cold.run(), with);
    std::fs::write(cold.site.rig.path("hop/lib/core/hop-core-1.jar"), "22").unwrap();
    assert_eq!(cold.run(), "-Xmx3g", "a stale one is not taken");
    cold.site.rig.until("another archive", |_| cold.made().len() == 2 && !first.exists());
    cold.site.rig.until("its name", |_| cold.archives(own()).iter().all(|path| path != first));
    cold.until_log_says("is made");
    let options = cold.run();
    assert!(options.contains("SharedArchiveFile") && options != with, "{options}");
    assert_eq!((cold.made().len(), cold.archives(own()).len()), (2, 1));
}

#[test]
fn a_failure_is_told_once_and_not_tried_again() {
    let mut cold = Cold::with("echo 'no such plugin' >&2; exit 3", "");
    assert_eq!(cold.run(), "-Xmx3g");
    let words = "hop-run.sh has ended with 3: no such plugin";
    cold.until_log_says(words);
    assert_eq!(cold.run(), "-Xmx3g");
    // Longer than it takes to look again.
    std::thread::sleep(std::time::Duration::from_millis(14_000));
    assert_eq!(cold.run(), "-Xmx3g");
    assert_eq!((cold.made().len(), cold.site.log().matches(words).count()), (1, 1));
    assert_eq!(cold.archives(own()), Vec::<PathBuf>::new());
}

#[test]
fn what_makes_one_ends_with_the_agent() {
    let mut cold =
        Cold::with("sleep 1000 & echo $! > $HOP_CONFIG_FOLDER/../../pid; sleep 1001", "");
    cold.run();
    let file = cold.site.rig.layout.root.join("cold/pid");
    let pid = || std::fs::read_to_string(&file).ok()?.trim().parse::<i32>().ok();
    cold.site.rig.until("its start", |_| pid().is_some_and(alive));
    let first = pid().unwrap();
    // Told to end it takes it along; one that is killed leaves it to the next.
    let agent = cold.site.holder("agent").unwrap();
    kill(agent, Signal::SIGTERM);
    cold.site.rig.until("its end", |_| !alive(first));
    cold.site
        .rig
        .until("another agent", |rig| rig.layout.holder("agent").is_some_and(|pid| pid != agent));
    std::fs::remove_file(&file).unwrap();
    cold.site.connect();
    cold.run();
    cold.site.rig.until("its start", |_| pid().is_some_and(alive));
    let second = pid().unwrap();
    kill(cold.site.holder("agent").unwrap(), Signal::SIGKILL);
    cold.site.rig.until("its end", |_| !alive(second));
}

#[test]
fn each_user_has_archives_of_its_own() {
    assert!(nix::unistd::geteuid().is_root(), "only root can become another user");
    let mut cold = Cold::with(MAKES, "[jobs]\nusers = [\"daemon\"]\n");
    assert_eq!(cold.run_as("", Some("daemon")), "-Xmx3g");
    cold.until_log_says("is made, 0 MiB");
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap().uid.as_raw();
    assert!(cold.made()[0].starts_with("daemon "), "{:?}", cold.made());
    let archives = cold.archives(daemon);
    let [archive] = &archives[..] else { panic!("{archives:?}") };
    let dir = archive.parent().unwrap().metadata().unwrap();
    assert_eq!((dir.uid(), dir.mode() & 0o777), (daemon, 0o700));
    assert_eq!(archive.metadata().unwrap().uid(), daemon);
    let options = cold.run_as("", Some("daemon"));
    assert!(options.contains(&archive.display().to_string()), "{options}");
    assert_eq!(cold.run(), "-Xmx3g", "what another user has written is not trusted");
}

#[test]
fn where_none_are_wanted_or_the_host_is_busy_none_are_made() {
    for lines in ["class_data = false", "load_max = 0.000001"] {
        let mut cold = Cold::of(MAKES, "", lines);
        assert_eq!(cold.run(), "-Xmx3g");
        std::thread::sleep(std::time::Duration::from_millis(5_000));
        assert_eq!((cold.run(), cold.made().len()), ("-Xmx3g".to_owned(), 0), "{lines}");
    }
}
